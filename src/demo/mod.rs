//! The demo: a day at the dock in a few seconds. The routes are those of `routes.yaml`, the HTTP is real, the data
//! folder is a temporary one, and the partner systems live in this process.

mod account;
mod orders;
mod partners;
mod report;
mod stage;
mod traffic;

use crate::{
    cli::{Exit, Failure, Outcome, Paint, Tone, note},
    signals::Signals,
};
use account::Account;
use orders::{ORDERS, Order};
use partners::{Manner, Partner};
use stage::Stage;
use std::time::{Duration, Instant};
use traffic::{Heard, SENDERS};

/// The carrier goes down when it has taken so many orders.
const DOWN_AFTER: usize = 60;
/// How long the carrier is down.
const DOWN_FOR: Duration = Duration::from_millis(1500);
/// How long everything may take to arrive.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often the gateway is looked at meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long what is under way at the end may take.
const DRAIN: Duration = Duration::from_secs(5);

/// How the demo is played.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Whether it ends by itself.
    pub exit: bool,
    /// What the orders follow from.
    pub seed: u64,
}

/// A demo that has been played; the gateway and the partners go on.
struct Played {
    stage: Stage,
    erp: Partner,
    _carrier: Partner,
    account: Account,
}

/// Plays the demo; fine only if the account is right. A signal ends it early, which is no account.
///
/// # Errors
/// Something that the demo needs is not there, or went wrong on the way.
pub async fn play(options: Options) -> Outcome {
    let mut signals = Signals::new()?;
    let story = Story { began: Instant::now(), paint: Paint::stderr() };
    let Played { stage, erp, account, _carrier } = tokio::select! {
        played = perform(&story, options.seed) => played?,
        // What is dropped here takes its temporary folder with it.
        name = signals.next() => return Err(Failure::other(format!("{name} ended the demo before its account was drawn up"))),
    };
    report::print(&account, Paint::stdout())?;
    if !options.exit {
        erp.learn_customers();
        report::next(&stage, Paint::stdout())?;
        let name = signals.next().await;
        story.tell(&format!("stopping after {name}"));
    }
    stage.strike(Instant::now() + DRAIN).await?;
    Ok(if account.is_right() { Exit::Fine } else { Exit::Findings })
}

async fn perform(story: &Story, seed: u64) -> Result<Played, Failure> {
    let erp = Partner::open(Manner::KnowsCustomers).await.map_err(anyhow::Error::from)?;
    let manner = Manner::GoesDown { after: DOWN_AFTER, pause: DOWN_FOR };
    let carrier = Partner::open(manner).await.map_err(anyhow::Error::from)?;
    let stage = Stage::set(erp.address(), carrier.address()).await?;
    story.tell(&format!("the gateway is up: orders at http://{}/orders, data in {}", stage.door, stage.folder()));
    let orders = orders::orders(seed);
    let heard = act(story, &stage, &orders, &carrier).await?;
    let account = settle(story, &stage, &orders, &heard, [&erp, &carrier]).await?;
    Ok(Played { stage, erp, _carrier: carrier, account })
}

/// The shop sends, the carrier goes down and comes back.
async fn act(story: &Story, stage: &Stage, orders: &[Order], carrier: &Partner) -> anyhow::Result<Heard> {
    story.tell(&format!("the web shop sends {ORDERS} orders, {SENDERS} at a time"));
    let outage = async {
        carrier.went_down().await;
        story.tell("the carrier goes down: it answers 503 from now on");
        tokio::time::sleep(DOWN_FOR).await;
        story.tell("the carrier is back");
    };
    let sending = async {
        let heard = traffic::send(stage.door, orders).await;
        if let Ok(heard) = &heard {
            story.tell(&format!(
                "all are sent: {} taken and on disk (202), {} refused at the door (400, 422), {} sent twice and known again",
                heard.taken.len(),
                heard.refused,
                heard.known_again,
            ));
        }
        heard
    };
    tokio::pin!(outage, sending);
    let mut down = true;
    let heard = loop {
        tokio::select! {
            heard = &mut sending => break heard?,
            () = &mut outage, if down => down = false,
        }
    };
    if down && tokio::time::timeout(PATIENCE, outage).await.is_err() {
        story.tell("the carrier never went down");
    }
    Ok(heard)
}

/// Waits until everything is where it belongs, and draws up the account.
async fn settle(
    story: &Story,
    stage: &Stage,
    orders: &[Order],
    heard: &Heard,
    partners: [&Partner; 2],
) -> anyhow::Result<Account> {
    let end = Instant::now() + PATIENCE;
    loop {
        let routes = stage.gateway().routes().await;
        let rest = routes.iter().all(|route| route.counts.stored == 0 && route.counts.unaccounted() == 0);
        if rest || Instant::now() > end {
            story.tell(if rest { "everything has come to its end" } else { "something is still on its way" });
            return Account::draw_up(stage.gateway(), routes, orders, heard, partners.map(Partner::ledger)).await;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// What happens, told as it happens.
struct Story {
    began: Instant,
    paint: Paint,
}

impl Story {
    fn tell(&self, what: &str) {
        let time = format!("{:5.1} s", self.began.elapsed().as_secs_f64());
        note(&format!("{}  {what}", self.paint.text(Tone::Faint, &time)));
    }
}
