//! The keys that were seen: for each scope the newest 65,536 that have not run out.

use super::numbered::Numbered;
use crate::format::Key;
use crossdock_model::{Digest, Text, Timestamp};
use std::collections::{HashMap, VecDeque};

/// How many keys of a scope are remembered.
pub const KEYS_MAX: usize = 65_536;

/// All scopes by number.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    pub scopes: Numbered<Scope>,
    numbers: HashMap<Text, u32>,
}

/// The keys of a scope.
#[derive(Clone, Debug)]
pub struct Scope {
    pub name: Text,
    known: HashMap<Digest, Key>,
    /// The order in which they came.
    order: VecDeque<Digest>,
    /// Keys that were added since the last checkpoint, which has not written them down yet.
    pub fresh: u64,
}

impl Keys {
    pub fn declare(&mut self, number: u32, name: Text) {
        self.numbers.insert(name.clone(), number);
        let (known, order) = (HashMap::new(), VecDeque::new());
        self.scopes.insert(number, Scope { name, known, order, fresh: 0 });
    }

    pub fn scope(&self, name: &str) -> Option<u32> {
        self.numbers.get(name).copied()
    }

    /// The key of a hash, if it has not run out.
    pub fn get(&self, scope: u32, hash: Digest, now: Timestamp) -> Option<&Key> {
        self.scopes.get(scope)?.known.get(&hash).filter(|key| key.until > now)
    }

    /// Notes a key; a scope that is full forgets its oldest.
    pub fn insert(&mut self, scope: u32, key: Key) {
        if let Some(scope) = self.scopes.get_mut(scope) {
            scope.insert(key);
        }
    }

    /// Forgets what has run out and came before all that has not.
    pub fn expire(&mut self, now: Timestamp) {
        for (_, scope) in self.scopes.iter_mut() {
            while scope.order.front().is_some_and(|hash| scope.known.get(hash).is_none_or(|key| key.until <= now)) {
                scope.forget_oldest();
            }
        }
    }

    /// Everything is written down.
    pub fn mark_saved(&mut self) {
        self.scopes.iter_mut().for_each(|(_, scope)| scope.fresh = 0);
    }
}

impl Scope {
    fn insert(&mut self, key: Key) {
        // A key that ran out and came again stands twice in the order; its first place goes with the older one.
        if self.known.insert(key.hash, key).is_some() {
            self.order.retain(|hash| *hash != key.hash);
        }
        self.order.push_back(key.hash);
        self.fresh += 1;
        while self.order.len() > KEYS_MAX {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some(hash) = self.order.pop_front() {
            self.known.remove(&hash);
        }
        self.fresh = self.fresh.min(self.order.len() as u64);
    }

    /// All keys, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Key> {
        self.order.iter().filter_map(|hash| self.known.get(hash))
    }

    pub fn len(&self) -> usize {
        self.order.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossdock_model::MessageId;

    fn key(n: u32, until: i64) -> Key {
        let mut hash = [0; 16];
        hash[..4].copy_from_slice(&n.to_le_bytes());
        Key { hash: Digest(hash), body: Digest([0; 16]), id: MessageId::from_bytes([0; 16]), until: Timestamp(until) }
    }

    #[test]
    fn the_newest_are_remembered_until_they_run_out() {
        let mut keys = Keys::default();
        keys.declare(3, Text::from_static("door"));
        for n in 0..KEYS_MAX as u32 + 10 {
            keys.insert(3, key(n, 100));
        }
        let known = |keys: &Keys, n, now| keys.get(3, key(n, 0).hash, Timestamp(now)).is_some();
        assert!(!known(&keys, 9, 0) && known(&keys, 10, 0) && !known(&keys, 10, 100));
        assert_eq!(keys.scopes.get(3).unwrap().len(), KEYS_MAX);
        keys.insert(3, key(10, 300));
        keys.expire(Timestamp(200));
        assert_eq!(keys.scopes.get(3).unwrap().len(), 1);
        assert!(known(&keys, 10, 200));
    }
}
