//! A histogram that is counted into from many tasks without a lock.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// Upper bounds in seconds: 100 µs to 5 minutes, about three to a decade.
const BOUNDS: [f64; 19] = [
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
    60.0, 300.0,
];

/// Counts how often a duration fell under each bound.
pub(crate) struct Histogram {
    /// One more than there are bounds: the last is for what is above all.
    counts: [AtomicU64; BOUNDS.len() + 1],
    sum_nanos: AtomicU64,
}

impl Histogram {
    /// An empty one.
    pub const fn seconds() -> Self {
        Self { counts: [const { AtomicU64::new(0) }; BOUNDS.len() + 1], sum_nanos: AtomicU64::new(0) }
    }

    /// Counts a duration once.
    pub fn observe(&self, took: Duration) {
        self.observe_many(took, 1);
    }

    /// Counts a duration `times` times: the mean of a batch.
    pub fn observe_many(&self, took: Duration, times: u64) {
        let seconds = took.as_secs_f64();
        let at = BOUNDS.partition_point(|bound| *bound < seconds);
        if let Some(count) = self.counts.get(at) {
            count.fetch_add(times, Ordering::Relaxed);
        }
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.sum_nanos.fetch_add(nanos.saturating_mul(times), Ordering::Relaxed);
    }

    /// Sum in seconds, count, and the count under each bound (not added up), infinity last.
    pub fn read(&self) -> (f64, u64, Vec<(f64, u64)>) {
        let bounds = BOUNDS.into_iter().chain([f64::INFINITY]);
        let buckets: Vec<_> = bounds.zip(&self.counts).map(|(bound, n)| (bound, n.load(Ordering::Relaxed))).collect();
        let sum = Duration::from_nanos(self.sum_nanos.load(Ordering::Relaxed)).as_secs_f64();
        (sum, buckets.iter().map(|(_, n)| n).sum(), buckets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_its_own_bucket() {
        let histogram = Histogram::seconds();
        for (millis, times) in [(0, 1), (1, 2), (2, 1), (400_000, 3)] {
            histogram.observe_many(Duration::from_millis(millis), times);
        }
        let (sum, count, buckets) = histogram.read();
        assert_eq!((sum, count), (1200.004, 7));
        let filled: Vec<_> = buckets.into_iter().filter(|(_, n)| *n > 0).collect();
        assert_eq!(filled, [(0.000_1, 1), (0.001, 2), (0.002_5, 1), (f64::INFINITY, 3)]);
    }
}
