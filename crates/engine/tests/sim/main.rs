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
//! `SIM_SEED=N` runs one schedule and tells what happens in it, `SIM_SCHEDULES=N` so many [1,000]. Seeds that fail are kept in `seeds.txt`.

#![cfg(test)]
mod check;
mod life;
mod process;
mod route;
mod target;

use std::{
    fs,
    io::Write as _,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    time::SystemTime,
};

/// How many schedules a run takes.
const SCHEDULES: u64 = 1000;

fn seeds() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/sim/seeds.txt")
}

/// Runs a schedule; one that fails is kept.
fn run(seed: u64) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| life::live(seed, setting("SIM_SEED").is_some()))) {
        let kept = fs::read_to_string(seeds()).unwrap_or_default();
        if !kept.lines().any(|line| line.trim() == seed.to_string()) {
            let mut file = fs::OpenOptions::new().append(true).create(true).open(seeds()).unwrap();
            writeln!(file, "{seed}").unwrap();
        }
        println!("the schedule of seed {seed} failed: SIM_SEED={seed}; it is kept in {}", seeds().display());
        std::panic::resume_unwind(panic);
    }
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

#[test]
fn p1_p3_p10_p12_every_schedule_keeps_what_is_promised() {
    if let Some(seed) = setting("SIM_SEED") {
        return run(seed);
    }
    let kept = fs::read_to_string(seeds()).unwrap();
    kept.lines().filter_map(|line| line.trim().parse().ok()).for_each(run);
    let first = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos() as u64;
    let (next, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let count = setting("SIM_SCHEDULES").unwrap_or(SCHEDULES);
    println!("{count} schedules from seed {first} on");
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while !stop.load(Relaxed) {
                    let at = next.fetch_add(1, Relaxed);
                    if at >= count {
                        return;
                    }
                    if let Err(panic) = catch_unwind(|| run(first.wrapping_add(at))) {
                        stop.store(true, Relaxed);
                        std::panic::resume_unwind(panic);
                    }
                }
            });
        }
    });
}
