//! Sources: the one reconnect loop, and what a source's messages go through until they are stored.

mod board;
mod commit;
mod door;
mod session;
mod settling;

pub(crate) use board::Board;
pub(crate) use door::DoorPlan;

use crate::{SourceState, shared::Phase, tasks::caught};
use crossdock_connector::{Source, SourceError};
use crossdock_model::Text;
use session::{Session, SessionEnd};
use settling::{Settling, panicked};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{oneshot, watch},
    time::{Instant, sleep},
};

/// Pause before the first reconnect; it doubles.
const PAUSE_MIN: Duration = Duration::from_millis(100);
/// Longest pause between reconnects.
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// How long a connector may take to hear what was stored of a session that is lost.
const TELL_MAX: Duration = Duration::from_secs(1);

/// A connector source of a route.
pub(crate) struct SourceTask {
    /// What its messages go through.
    pub plan: Arc<DoorPlan>,
    /// The connector's part.
    pub source: Box<dyn Source>,
    /// What is shown of it.
    pub board: Arc<Board>,
    /// Whether the route is paused, for one that delivers at the door.
    pub paused: watch::Receiver<bool>,
    /// Dropped when the first try to open it has ended, for who waits for that.
    pub tried: Option<oneshot::Sender<()>>,
}

impl SourceTask {
    /// Opens sessions until the gateway stops or nothing more will come.
    pub async fn run(self) {
        let Self { plan, mut source, board, paused, mut tried } = self;
        let mut phase = plan.shared.phase.subscribe();
        let mut pause = PAUSE_MIN;
        let mut down_for = None;
        loop {
            let opened = tokio::select! {
                biased;
                () = stopped(&mut phase) => return,
                opened = caught(source.open()) => opened.unwrap_or_else(|panic| Err(panicked(&panic))),
            };
            let lost = match opened {
                Ok(halves) => {
                    board.set(&plan.shared.time, SourceState::Up, None);
                    if down_for.take().is_some() {
                        tracing::info!(route = %plan.evaluator.route().id, "the source is up again");
                    }
                    tried.take();
                    let mut session = Session::new(&plan, &board, halves, paused.clone());
                    let end = session.run().await;
                    if session.lively {
                        pause = PAUSE_MIN;
                    }
                    match ended(&plan, &board, session.end(), end).await {
                        Some(lost) => lost,
                        None => return,
                    }
                }
                Err(error) => error,
            };
            // Each lost connection and each other reason once, not each try.
            if down_for.as_ref() != Some(&lost.text) {
                tracing::warn!(route = %plan.evaluator.route().id, error = %lost, "the source is down");
                down_for = Some(lost.text.clone());
            }
            board.set(&plan.shared.time, SourceState::Down, Some(Text::from(lost.text)));
            tried.take();
            let wait = jitter(&plan, pause);
            tokio::select! {
                biased;
                () = stopped(&mut phase) => return,
                () = sleep(wait) => pause = (pause * 2).min(PAUSE_MAX),
            }
        }
    }
}

/// Says goodbye, unless the session is lost; then its error is given back.
async fn ended(plan: &DoorPlan, board: &Board, settling: Settling, end: SessionEnd) -> Option<SourceError> {
    let by = match *plan.shared.phase.borrow() {
        Phase::Draining { by } | Phase::Closing { by } => by,
        Phase::Running => Instant::now() + PAUSE_MAX,
    };
    let (state, reason) = match end {
        SessionEnd::Lost(error) => {
            settling.tell(by.min(Instant::now() + TELL_MAX)).await;
            return Some(error);
        }
        SessionEnd::Stopped => (SourceState::Down, "the gateway stops"),
        SessionEnd::Ended => (SourceState::Up, "everything was received; nothing more will come"),
    };
    settling.close(by).await;
    board.set(&plan.shared.time, state, Some(Text::from_static(reason)));
    None
}

/// The pause, lengthened by up to a half, so that the sources of many gateways do not come back at once.
fn jitter(plan: &DoorPlan, pause: Duration) -> Duration {
    let part = u32::try_from(plan.shared.random() % 1024).unwrap_or(0);
    pause + pause * part / 2048
}

/// Resolves when the gateway stops.
async fn stopped(phase: &mut watch::Receiver<Phase>) {
    if phase.wait_for(|phase| !matches!(phase, Phase::Running)).await.is_err() {
        std::future::pending().await
    }
}
