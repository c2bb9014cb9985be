//! What a piece of work costs: how many messages a second, and the CPU of the threads that did it. For benches.

use rustix::time::{ClockId, clock_gettime};
use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

/// Whose CPU counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Whose {
    /// That of all threads of this process, also of those that have ended.
    Process,
    /// That of its threads of this name which run at the beginning and at the end: what the other side of a bench costs in the
    /// same process does not count. The work must be on these threads, and not on the one that waits for it.
    Threads(&'static str),
}

/// Measures from when it is made.
#[derive(Debug)]
pub struct Meter {
    whose: Whose,
    cpu_before: Duration,
    begun: Instant,
}

impl Meter {
    /// Begins to measure.
    #[must_use]
    pub fn start(whose: Whose) -> Self {
        Self { whose, cpu_before: cpu(whose), begun: Instant::now() }
    }

    /// What so many messages cost until now: `  123456/s   4.56 us CPU`.
    #[must_use]
    pub fn read(&self, messages: usize) -> String {
        let (took, spent) = (self.begun.elapsed(), cpu(self.whose).saturating_sub(self.cpu_before));
        let messages = messages as f64;
        format!("{:>9.0}/s {:>7.2} us CPU", messages / took.as_secs_f64(), spent.as_secs_f64() * 1e6 / messages)
    }
}

fn cpu(whose: Whose) -> Duration {
    match whose {
        Whose::Process => clock_gettime(ClockId::ProcessCPUTime).try_into().unwrap_or_default(),
        Whose::Threads(name) => Duration::from_nanos(of_threads(name)),
    }
}

/// Nanoseconds on a processor, by the scheduler's own count (the first of three in `schedstat`).
fn of_threads(name: &str) -> u64 {
    let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().flatten().map(|task| task.path());
    let named = |task: &PathBuf| fs::read_to_string(task.join("comm")).is_ok_and(|comm| comm.trim() == name);
    let run = |task: PathBuf| fs::read_to_string(task.join("schedstat")).ok()?.split(' ').next()?.parse::<u64>().ok();
    tasks.filter(named).filter_map(run).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wait;
    use std::{
        sync::atomic::{AtomicBool, Ordering},
        thread,
    };

    /// A thread that computes until it is told to stop, and what two meters saw of it.
    #[test]
    fn the_threads_that_are_named_count() {
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            let busy = || {
                while !stop.load(Ordering::Relaxed) {
                    std::hint::spin_loop()
                }
            };
            thread::Builder::new().name("meter-busy".into()).spawn_scoped(scope, busy).unwrap();
            let start = cpu(Whose::Process);
            let grown = |whose, from: Duration| (cpu(whose) > from + Duration::from_millis(20)).then_some(());
            wait("CPU of the thread", || grown(Whose::Threads("meter-busy"), Duration::ZERO));
            wait("CPU of the process", || grown(Whose::Process, start));
            assert_eq!(cpu(Whose::Threads("meter-idle")), Duration::ZERO);
            stop.store(true, Ordering::Relaxed);
        });
    }
}
