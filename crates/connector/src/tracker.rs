//! The contiguous tracker: settlements come in any order, the peer hears only how far everything is settled.
//!
//! AMQP acknowledges with `multiple`, Kafka commits a watermark, MQTT acknowledges in the order of receipt: each may
//! speak of sequence number n only when all up to n are settled. One tracker serves one scope.
//!
//! ```text
//!  seq      0 1 2 3 4 5 6 7
//!  settled  x x x . x x . .      watermark = 3: 0, 1 and 2 may be acknowledged
//!                 └ hole          3 settles → watermark = 6
//! ```

use std::collections::VecDeque;

/// Tells how far a scope is settled without a hole, and hands each entry out in order.
#[derive(Debug)]
pub struct Tracker<T> {
    watermark: u64,
    entries: VecDeque<Entry<T>>,
}

#[derive(Debug)]
struct Entry<T> {
    tag: T,
    settled: bool,
}

impl<T> Default for Tracker<T> {
    fn default() -> Self {
        Self { watermark: 0, entries: VecDeque::new() }
    }
}

impl<T> Tracker<T> {
    /// A scope in which nothing was received.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes a received message with what acknowledging it needs (a delivery tag, an offset); gives its sequence number.
    pub fn receive(&mut self, tag: T) -> u64 {
        self.entries.push_back(Entry { tag, settled: false });
        self.watermark + self.entries.len() as u64 - 1
    }

    /// Notes that the message is settled; one that is unknown or was settled before is ignored. What may now be
    /// acknowledged, in order, goes to `acknowledge`.
    pub fn settle(&mut self, seq: u64, mut acknowledge: impl FnMut(T)) {
        let at = seq.checked_sub(self.watermark).and_then(|at| usize::try_from(at).ok());
        if let Some(entry) = at.and_then(|at| self.entries.get_mut(at)) {
            entry.settled = true;
        }
        while let Some(entry) = self.entries.pop_front_if(|entry| entry.settled) {
            self.watermark += 1;
            acknowledge(entry.tag);
        }
    }

    /// What acknowledging the message needs, while it is not handed out.
    #[must_use]
    pub fn tag(&self, seq: u64) -> Option<&T> {
        let at = seq.checked_sub(self.watermark).and_then(|at| usize::try_from(at).ok())?;
        self.entries.get(at).map(|entry| &entry.tag)
    }

    /// Everything below this sequence number is settled.
    #[must_use]
    pub const fn watermark(&self) -> u64 {
        self.watermark
    }

    /// How many are received and not handed out.
    #[must_use]
    pub fn outstanding(&self) -> usize {
        self.entries.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hands_out_in_order_and_never_over_a_hole() {
        let mut tracker = Tracker::new();
        for tag in 10..16 {
            tracker.receive(tag);
        }
        let mut out = Vec::new();
        for (seq, expected, watermark) in
            [(2, vec![], 0), (0, vec![10], 1), (0, vec![], 1), (9, vec![], 1), (1, vec![11, 12], 3), (5, vec![], 3)]
        {
            out.clear();
            tracker.settle(seq, |tag| out.push(tag));
            assert_eq!((&out, tracker.watermark()), (&expected, watermark), "after {seq}");
        }
        assert_eq!(tracker.outstanding(), 3);
        assert_eq!(
            (tracker.tag(2), tracker.tag(3), tracker.tag(5), tracker.tag(6)),
            (None, Some(&13), Some(&15), None)
        );
        assert_eq!(tracker.receive(16), 6);
    }
}
