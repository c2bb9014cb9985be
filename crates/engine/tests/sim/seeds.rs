//! Schedules by their seeds: those that failed once come first, then fresh ones on all cores. A seed that fails is kept.

use std::{
    fs,
    io::Write as _,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    time::SystemTime,
};

/// Schedules of a kind.
#[derive(Clone, Copy)]
pub struct Seeds {
    /// The file beside this one with the seeds that failed once.
    pub kept: &'static str,
    /// How many a run takes, unless `SIM_SCHEDULES` says otherwise.
    pub count: u64,
    /// Lives through the schedule of a seed, and tells about it or not; panics if something promised does not hold.
    pub live: fn(u64, bool),
}

impl Seeds {
    /// Runs them all, or the one of `SIM_SEED`.
    pub fn run(self) {
        if let Some(seed) = setting("SIM_SEED") {
            return self.run_one(seed);
        }
        let kept = fs::read_to_string(self.path()).unwrap();
        kept.lines().filter_map(|line| line.trim().parse().ok()).for_each(|seed| self.run_one(seed));
        let first = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos() as u64;
        let (next, stop) = (AtomicU64::new(0), AtomicBool::new(false));
        let count = setting("SIM_SCHEDULES").unwrap_or(self.count);
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
                        if let Err(panic) = catch_unwind(|| self.run_one(first.wrapping_add(at))) {
                            stop.store(true, Relaxed);
                            std::panic::resume_unwind(panic);
                        }
                    }
                });
            }
        });
    }

    fn path(self) -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/sim").join(self.kept)
    }

    /// Runs a schedule; one that fails is kept.
    fn run_one(self, seed: u64) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| (self.live)(seed, setting("SIM_SEED").is_some()))) {
            let kept = fs::read_to_string(self.path()).unwrap_or_default();
            if !kept.lines().any(|line| line.trim() == seed.to_string()) {
                let mut file = fs::OpenOptions::new().append(true).create(true).open(self.path()).unwrap();
                writeln!(file, "{seed}").unwrap();
            }
            println!("the schedule of seed {seed} failed: SIM_SEED={seed}; it is kept in {}", self.path().display());
            std::panic::resume_unwind(panic);
        }
    }
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}
