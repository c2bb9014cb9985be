//! What the rules made of messages, shared by the targets of a route: each reads the channel at its own pace, and those
//! in step find the work done. Nothing depends on a hit.

use crate::{Evaluation, limits};
use crossdock_model::DenseMap;
use std::collections::VecDeque;

/// Evaluations by offset, the oldest let go when there are too many.
#[derive(Default)]
pub(crate) struct Cache {
    entries: DenseMap<Entry>,
    order: VecDeque<u64>,
    bytes: usize,
}

struct Entry {
    evaluation: Evaluation,
    bytes: usize,
    /// How many more targets will ask.
    askers: usize,
}

impl Cache {
    /// Keeps an evaluation for `askers` more targets.
    pub fn keep(&mut self, offset: u64, evaluation: &Evaluation, bytes: usize, askers: usize) {
        if askers == 0 || bytes > limits::CACHE_BYTES_MAX {
            return;
        }
        let entry = Entry { evaluation: evaluation.clone(), bytes, askers };
        if let Some(old) = self.entries.insert(offset, entry) {
            self.bytes -= old.bytes;
        } else {
            self.order.push_back(offset);
        }
        self.bytes += bytes;
        while self.bytes > limits::CACHE_BYTES_MAX || self.order.len() > limits::CACHE_MESSAGES_MAX {
            let Some(oldest) = self.order.pop_front() else { return };
            if let Some(entry) = self.entries.remove(&oldest) {
                self.bytes -= entry.bytes;
            }
        }
    }

    /// Whether the evaluation is there.
    pub fn has(&self, offset: u64) -> bool {
        self.entries.contains_key(&offset)
    }

    /// The evaluation, if it is there; the last one who asks takes it away.
    pub fn ask(&mut self, offset: u64) -> Option<Evaluation> {
        let entry = self.entries.get_mut(&offset)?;
        entry.askers -= 1;
        if entry.askers > 0 {
            return Some(entry.evaluation.clone());
        }
        let entry = self.entries.remove(&offset)?;
        self.bytes -= entry.bytes;
        // Its place in the order stays until it is the oldest, or all are gone.
        if self.entries.is_empty() {
            self.order.clear();
        }
        Some(entry.evaluation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossdock_model::Text;

    fn evaluation(name: u64) -> Evaluation {
        Evaluation::Filtered { step: Text::from(name.to_string()) }
    }

    #[test]
    fn each_asker_gets_it_once_and_the_oldest_go_first() {
        let mut cache = Cache::default();
        cache.keep(7, &evaluation(7), 10, 2);
        assert!(cache.ask(7).is_some() && cache.ask(7).is_some() && cache.ask(7).is_none());
        assert_eq!((cache.bytes, cache.order.len()), (0, 0));
        for offset in 0..limits::CACHE_MESSAGES_MAX as u64 + 5 {
            cache.keep(offset, &evaluation(offset), 1, 1);
        }
        assert!(cache.ask(4).is_none() && cache.ask(5).is_some());
        cache.keep(9999, &evaluation(1), limits::CACHE_BYTES_MAX, 1);
        assert!(cache.ask(6).is_none() && cache.ask(9999).is_some());
        assert_eq!(cache.bytes, 0);
    }
}
