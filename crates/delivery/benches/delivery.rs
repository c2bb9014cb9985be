//! What a message costs in the scheduler, without a store, a connector or a socket: admitted, started, answered.
//!
//! `cargo bench -p crossdock-delivery --bench delivery -- [MESSAGES]`

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

use crossdock_delivery::{Effect, Entry, Link, Order, Policy, Scheduler, Start};
use crossdock_model::{Fault, FaultClass, Moment};
use std::hint::black_box;

/// What is measured.
struct Case {
    name: &'static str,
    policy: Policy,
    lanes: u64,
    circuits: u64,
    /// One in so many always fails; 0: none.
    poison: u64,
    /// Answers handed over at once.
    batch: usize,
}

/// Time that this thread was on a processor, so that a busy machine does not count.
fn cpu_nanos() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0)
}

/// Nanoseconds of processor time a message.
fn run(case: &Case, messages: u64) -> u64 {
    let mut scheduler = Scheduler::new(case.policy, 1);
    let mut link = Link::new();
    let fault = Fault::new(FaultClass::Failed, "http.500", "500 internal server error");
    let (mut starts, mut effects): (Vec<Start>, Vec<Effect>) = (Vec::new(), Vec::new());
    let (mut next, mut ended, mut millis) = (0_u64, 0_u64, 0_u64);
    let before = cpu_nanos();
    while ended < messages {
        for _ in 0..scheduler.room().min(usize::try_from(messages - next).unwrap_or(0)) {
            let entry = Entry { lane: Some(next % case.lanes), circuit: next % case.circuits, ..Entry::fresh(next) };
            scheduler.admit(Moment(millis), entry);
            next += 1;
        }
        scheduler.poll(Moment(millis), &mut link, &mut starts);
        if starts.is_empty() {
            millis = scheduler.wake_at(Moment(millis), &link).map_or(millis + 1, |at| at.0);
        }
        millis += 5;
        for batch in starts.chunks(case.batch) {
            let answers = batch.iter().map(|start| {
                let fails = case.poison > 0 && start.offset % case.poison == 7;
                (start.offset, if fails { Err(fault.clone()) } else { Ok(()) })
            });
            scheduler.finished_batch(Moment(millis), &mut link, answers, &mut effects);
        }
        starts.clear();
        let over = |effect: &Effect| match effect {
            Effect::Delivered { .. } | Effect::Dead { .. } => 1,
            Effect::Touch { .. } => 0,
        };
        ended += black_box(&effects).iter().map(over).sum::<u64>();
        effects.clear();
        // The last poison waits for a success that never comes.
        if next == messages && scheduler.status(&link).fresh == 0 {
            break;
        }
    }
    cpu_nanos().saturating_sub(before) / messages
}

fn main() {
    let messages = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(2_000_000);
    let plain = Policy { max_in_flight: 256, ..Policy::default() };
    let few = Policy { max_in_flight: 8, window: 1032, ..Policy::default() };
    let ordered = Policy { order: Order::BlockKey, ..plain };
    let cases = [
        Case { name: "plain", policy: plain, lanes: 1, circuits: 1, poison: 0, batch: 256 },
        Case { name: "plain, 64 in flight", policy: Policy::default(), lanes: 1, circuits: 1, poison: 0, batch: 64 },
        Case { name: "1,000 keys in order", policy: ordered, lanes: 1_000, circuits: 1, poison: 0, batch: 256 },
        Case { name: "1,000 circuits", policy: plain, lanes: 1, circuits: 1_000, poison: 0, batch: 256 },
        Case { name: "20,000 circuits, 8 in flight", policy: few, lanes: 1, circuits: 20_000, poison: 0, batch: 8 },
        Case { name: "1 % poison", policy: plain, lanes: 1, circuits: 1, poison: 101, batch: 256 },
    ];
    for case in &cases {
        println!("{:>28}: {:>5} ns a message", case.name, run(case, messages));
    }
}
