//! Where the reading of a subscription stands, and when it goes on.
//!
//! ```text
//!           fetched: nothing left                     fetched: more is on disk
//!    Dry ◄──────────────────────── More ──────────────────────────────► Cold
//!     │ ring                        ▲ ▲                                  │ the thread's answer:
//!     └─────────────────────────────┘ └──────────────────────────────────┘ more, or nothing left (Dry)
//! ```
//!
//! The store rings from its own thread whenever there may be something new. A ring counts from the moment when what is
//! fetched next was decided: one that comes while a thread reads from disk may be news that the thread did not see, and
//! stays until its answer is there.

use super::lease::Leases;
use crossdock_store::Rest;
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// The reading of a subscription.
pub(crate) struct Reading {
    stand: Stand,
    ring: Ring,
    /// Of what was fetched.
    pub leases: Leases,
}

/// What the store rings when there may be something new to fetch.
#[derive(Clone)]
pub(crate) struct Ring(Arc<AtomicBool>);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stand {
    /// There may be something to fetch.
    More,
    /// Nothing until the store rings.
    Dry,
    /// A thread reads from disk.
    Cold,
}

impl Ring {
    /// There may be something new.
    pub fn ring(&self) {
        self.0.store(true, Ordering::Release);
    }
}

impl Reading {
    /// A subscription of which nothing was fetched.
    pub fn new() -> Self {
        Self { stand: Stand::More, ring: Ring(Arc::default()), leases: Leases::default() }
    }

    /// What the store is to ring.
    pub fn ring(&self) -> Ring {
        self.ring.clone()
    }

    /// Whether there may be something to fetch now, and nobody fetches. If so, fetch: the rings so far are answered by it.
    pub fn may_fetch(&mut self) -> bool {
        if self.is_cold() {
            return false;
        }
        if self.ring.0.swap(false, Ordering::AcqRel) {
            self.stand = Stand::More;
        }
        self.stand == Stand::More
    }

    /// Whether a thread reads from disk.
    pub const fn is_cold(&self) -> bool {
        match self.stand {
            Stand::Cold => true,
            Stand::More | Stand::Dry => false,
        }
    }

    /// A thread begins to read from disk.
    pub const fn begin_cold(&mut self) {
        self.stand = Stand::Cold;
    }

    /// A fetch is through, from memory or by the thread. What is on disk is read when there is room again.
    pub const fn fetched(&mut self, rest: Rest) {
        self.stand = match rest {
            Rest::More | Rest::Cold => Stand::More,
            Rest::Nothing => Stand::Dry,
        };
    }

    /// The thread could not read: nothing is tried until the next ring.
    pub const fn failed(&mut self) {
        self.stand = Stand::Dry;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A channel with a writer, a reader's task, and the thread that reads for it.
    struct Model {
        reading: Reading,
        ring: Ring,
        /// Messages that were put and not fetched; what is on disk must be read by the thread.
        hot: u32,
        cold: u32,
        /// What the thread found was left when it was through; its answer is still to be heard.
        answer: Option<Rest>,
        /// Whether the thread has still to read.
        thread_reads: bool,
        /// Whether something woke the task since its last turn.
        woken: bool,
    }

    /// What may come next; the task's turn only where something woke it.
    const STEPS: usize = 4;

    impl Model {
        fn new(cold: u32) -> Self {
            let reading = Reading::new();
            let ring = reading.ring();
            Self { reading, ring, hot: 0, cold, answer: None, thread_reads: false, woken: true }
        }

        fn rest(&self) -> Rest {
            match (self.hot, self.cold) {
                (_, 1..) => Rest::Cold,
                (1.., 0) => Rest::More,
                (0, 0) => Rest::Nothing,
            }
        }

        fn put(&mut self) {
            self.hot += 1;
            self.ring.ring();
            self.woken = true;
        }

        fn thread_reads(&mut self) {
            if std::mem::take(&mut self.thread_reads) {
                // Room for one message at a time.
                if self.cold > 0 {
                    self.cold -= 1
                } else {
                    self.hot = self.hot.saturating_sub(1)
                }
                self.answer = Some(self.rest());
            }
        }

        fn answer(&mut self) {
            if let Some(rest) = self.answer.take() {
                self.reading.fetched(rest);
                self.woken = true;
            }
        }

        fn turn(&mut self) {
            if !std::mem::take(&mut self.woken) || !self.reading.may_fetch() {
                return;
            }
            if self.cold > 0 {
                self.reading.begin_cold();
                self.thread_reads = true;
            } else {
                self.woken = self.hot > 0;
                self.hot = self.hot.saturating_sub(1);
                self.reading.fetched(self.rest());
            }
        }

        fn step(&mut self, step: usize) {
            [Self::put, Self::turn, Self::thread_reads, Self::answer][step](self);
        }

        /// Nothing more is put: the rest goes on until nothing moves.
        fn settle(&mut self) {
            while self.woken || self.thread_reads || self.answer.is_some() {
                self.thread_reads();
                self.answer();
                self.turn();
            }
        }
    }

    #[test]
    fn in_whatever_order_it_comes_everything_is_fetched() {
        const LENGTH: u32 = 9;
        for order in 0..STEPS.pow(LENGTH) {
            let mut model = Model::new(2);
            let steps: Vec<usize> = (0..LENGTH).map(|at| order / STEPS.pow(at) % STEPS).collect();
            steps.iter().for_each(|step| model.step(*step));
            model.settle();
            assert_eq!((model.hot, model.cold), (0, 0), "left unread after {steps:?}: {:?}", model.reading.stand);
        }
    }

    #[test]
    fn a_failed_read_waits_for_a_ring_and_one_during_it_counts() {
        let mut reading = Reading::new();
        assert!(reading.may_fetch());
        reading.begin_cold();
        assert!(!reading.may_fetch() && reading.is_cold());
        reading.failed();
        assert!(!reading.may_fetch());
        reading.ring().ring();
        assert!(reading.may_fetch());
        reading.begin_cold();
        reading.ring().ring();
        assert!(!reading.may_fetch());
        reading.failed();
        assert!(reading.may_fetch());
    }
}
