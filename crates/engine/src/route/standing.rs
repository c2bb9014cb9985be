//! Whether a target takes messages: told to the log when that changes, once for an outage however often it is probed, and
//! kept so that `since` of a target that is up again says when it came up.

use super::{RouteTask, target::Target};
use crossdock_delivery::{Hold, Trouble};
use crossdock_model::{Moment, Timestamp};

/// What was last seen of a target.
pub(crate) struct Standing {
    seen: Seen,
    /// The state of the link that was last looked at.
    link_version: u64,
    /// Whether an answer came that may have changed what was seen.
    is_news: bool,
}

#[derive(Clone, Copy)]
enum Seen {
    Up {
        since: Timestamp,
    },
    /// Held because it asked for patience, which is no news: it does so many times a minute where a rate is limited.
    Patient,
    Held {
        since: Moment,
    },
}

impl Standing {
    /// A target that nothing was sent to yet is taken to be up.
    pub const fn new(now: Timestamp) -> Self {
        Self { seen: Seen::Up { since: now }, link_version: 0, is_news: true }
    }

    /// Answers came; `is_trouble` if one of them was a fault.
    pub const fn hear(&mut self, is_trouble: bool) {
        self.is_news |= is_trouble || !matches!(self.seen, Seen::Up { .. });
    }

    /// When it came up; none if it is held.
    pub const fn up_since(&self) -> Option<Timestamp> {
        match self.seen {
            Seen::Up { since } => Some(since),
            Seen::Patient | Seen::Held { .. } => None,
        }
    }
}

impl RouteTask {
    /// Tells the log of targets that are held now, or up again.
    pub(super) fn look_at_targets(&mut self) {
        for target in &mut self.targets {
            let Target { name, scheduler, link, standing, .. } = target;
            let seen = link.lend(|link| {
                let is_news = std::mem::take(&mut standing.is_news) | (standing.link_version != link.version());
                standing.link_version = link.version();
                is_news.then(|| scheduler.trouble(link))
            });
            let Some(trouble) = seen else { continue };
            let (route, before) = (&self.evaluator.route().id, standing.seen);
            standing.seen = match (before, trouble) {
                (Seen::Up { .. }, Some(Trouble { hold: Hold::Busy, fault, .. })) => {
                    tracing::debug!(%route, target = %name, reason = %fault, "the target asks for patience");
                    Seen::Patient
                }
                (Seen::Up { .. }, Some(Trouble { since, fault, .. }))
                | (
                    Seen::Patient,
                    Some(Trouble { hold: Hold::Suspects | Hold::Unreachable | Hold::Outage, since, fault }),
                ) => {
                    tracing::warn!(%route, target = %name, reason = %fault, "the target is held");
                    Seen::Held { since }
                }
                (Seen::Held { since }, None) => {
                    let held_ms = self.shared.time.moment().since(since).as_millis();
                    tracing::info!(%route, target = %name, held_ms, "the target is up again");
                    Seen::Up { since: self.shared.time.now() }
                }
                (Seen::Patient, None) => Seen::Up { since: self.shared.time.now() },
                (same, _) => same,
            };
        }
    }
}
