//! The simulator: a store on a faulty disk, the schedulers of many routes and targets with whims, from one seed, in virtual
//! time. What a route's task does between store and schedulers is done here in a straight line, without tasks or threads;
//! nothing sleeps.
//!
//! ```text
//! seed ─► routes (order, dedupe, attempts) ─► a life: messages, outages, poison, days that jump, full disks, torn writes,
//!                                             crashes that forget what was not synced, restarts
//!                                          ─► everything heals, time goes on until all is done ─► what is promised holds
//! ```
//!
//! A second kind, with the feature `soak`, runs the real gateway (`whole`).
//!
//! `SIM_SEED=N` runs one schedule and tells what happens in it, `SIM_SCHEDULES=N` so many [15,000]. Seeds that fail are kept in
//! `seeds.txt`, which is run first.

#![cfg(test)]
mod check;
mod dice;
mod disk;
mod life;
mod process;
mod promises;
mod route;
mod seeds;
mod target;
#[cfg(feature = "soak")]
mod whole;

use seeds::Seeds;

#[test]
fn p1_p3_p10_p12_every_schedule_keeps_what_is_promised() {
    Seeds { kept: "seeds.txt", count: 15_000, live: life::live }.run();
}
