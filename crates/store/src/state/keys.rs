//! The keys that were seen: of each scope the newest in memory, what came before in files.
//!
//! ```text
//!  sequence   0 ──────────────── horizon ─────────── saved ──────────── next
//!             forgotten: full    in files, and the newest also in memory │ only in memory
//! ```

use super::numbered::Numbered;
use crate::{
    format::Key,
    keys::{KeyFile, Record},
};
use crossdock_model::{Digest, Text, Timestamp};
use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

/// How many keys of a scope are in memory, once what is more is in files.
pub const KEYS_HELD: usize = 65_536;

/// All scopes by number.
#[derive(Default)]
pub struct Keys {
    pub scopes: Numbered<Scope>,
    numbers: HashMap<Text, u32>,
    /// What is not only in memory, oldest first.
    pub files: Vec<Arc<KeyFile>>,
    /// Keys that were forgotten before they ran out, because their scope was full.
    pub forgotten: u64,
}

/// The keys of a scope.
#[derive(Debug)]
pub struct Scope {
    pub name: Text,
    /// In memory, with their sequence.
    known: HashMap<Digest, (u64, Key)>,
    /// The order in which they came. One that came again stands there twice; its sequence tells which place counts.
    order: VecDeque<(u64, Digest)>,
    /// The sequence that the next key gets.
    next: u64,
    /// All below are in files.
    saved: u64,
    /// How many are remembered; none until somebody says.
    keys_max: Option<u64>,
}

impl Keys {
    pub fn declare(&mut self, number: u32, name: Text) {
        self.numbers.insert(name.clone(), number);
        let (known, order) = (HashMap::new(), VecDeque::new());
        self.scopes.insert(number, Scope { name, known, order, next: 0, saved: 0, keys_max: None });
    }

    pub fn scope(&self, name: &str) -> Option<u32> {
        self.numbers.get(name).copied()
    }

    /// The key of a hash that is in memory, if it has not run out.
    pub fn get(&self, scope: u32, hash: Digest, now: Timestamp) -> Option<&Key> {
        let scope = self.scopes.get(scope)?;
        let (sequence, key) = scope.known.get(&hash)?;
        (key.until > now && *sequence >= scope.horizon()).then_some(key)
    }

    /// A scope is to remember so many keys.
    pub fn remember(&mut self, scope: u32, keys_max: u64) {
        if let Some(scope) = self.scopes.get_mut(scope) {
            scope.keys_max = Some(keys_max);
        }
    }

    /// Whether a hash has a key in memory, be it one that has run out: no file has a later one.
    pub fn is_held(&self, scope: u32, hash: Digest) -> bool {
        self.scopes.get(scope).is_some_and(|scope| scope.known.contains_key(&hash))
    }

    /// Whether a record of a file still counts.
    pub fn counts(&self, record: &Record, now: Timestamp) -> bool {
        record.key.until > now && self.scopes.get(record.scope).is_some_and(|scope| record.sequence >= scope.horizon())
    }

    /// Notes a key; a scope that is full forgets its oldest.
    pub fn insert(&mut self, number: u32, key: Key, now: Timestamp) {
        let Some(scope) = self.scopes.get_mut(number) else { return };
        scope.insert(key);
        let Some(gone) = scope.horizon().checked_sub(1) else { return };
        let held = scope.order.front().filter(|(sequence, _)| *sequence <= gone);
        let forgotten = match held {
            Some(_) => scope.forget_oldest().is_some_and(|key| key.until > now),
            None => self.files.iter().any(|file| {
                let has =
                    |sequences: &crate::keys::Run| (sequences.first_sequence..=sequences.last_sequence).contains(&gone);
                file.runs.iter().any(|run| run.scope == number && has(run) && run.until > now)
            }),
        };
        self.forgotten += u64::from(forgotten);
    }

    /// Forgets what has run out and came before all that has not.
    pub fn expire(&mut self, now: Timestamp) {
        for (_, scope) in self.scopes.iter_mut() {
            let runs_out = |scope: &Scope| {
                let (sequence, hash) = scope.order.front()?;
                let (counts, key) = scope.known.get(hash)?;
                Some(counts != sequence || key.until <= now)
            };
            while runs_out(scope).unwrap_or(!scope.order.is_empty()) {
                scope.forget_oldest();
            }
        }
    }

    /// How many keys are in no file, of the scope that has most of them.
    pub fn unsaved(&self) -> usize {
        self.scopes.iter().map(|(_, scope)| scope.unsaved()).max().unwrap_or(0)
    }

    /// What is in no file.
    pub fn fresh(&self) -> Vec<Record> {
        let scopes = self.scopes.iter().flat_map(|(number, scope)| {
            let counts = move |(sequence, hash): &(u64, Digest)| {
                let (at, key) = scope.known.get(hash)?;
                (at == sequence).then_some(Record { scope: number, key: *key, sequence: *sequence })
            };
            scope.order.iter().skip(scope.order.len() - scope.unsaved()).filter_map(counts)
        });
        scopes.collect()
    }

    /// All is in files now: memory keeps the newest.
    pub fn mark_saved(&mut self) {
        for (_, scope) in self.scopes.iter_mut() {
            scope.saved = scope.next;
            scope.shrink();
        }
    }

    /// A file was opened: what comes next comes behind what it has.
    pub fn add_file(&mut self, file: KeyFile) {
        for run in &file.runs {
            if let Some(scope) = self.scopes.get_mut(run.scope) {
                scope.next = scope.next.max(run.last_sequence.saturating_add(1));
                scope.saved = scope.next;
            }
        }
        self.files.push(Arc::new(file));
    }

    /// Whether nothing of a file counts any more.
    pub fn is_spent(&self, file: &KeyFile, now: Timestamp) -> bool {
        file.runs.iter().all(|run| {
            let scope = self.scopes.get(run.scope);
            run.until <= now || scope.is_none_or(|scope| run.last_sequence < scope.horizon())
        })
    }
}

impl Scope {
    /// All below are forgotten, because there are as many as are remembered behind them.
    fn horizon(&self) -> u64 {
        self.keys_max.map_or(0, |most| self.next.saturating_sub(most))
    }

    fn insert(&mut self, key: Key) {
        self.known.insert(key.hash, (self.next, key));
        self.order.push_back((self.next, key.hash));
        self.next += 1;
        self.shrink();
    }

    /// How many of the newest in the order are in no file.
    fn unsaved(&self) -> usize {
        usize::try_from(self.next - self.saved).map_or(self.order.len(), |unsaved| unsaved.min(self.order.len()))
    }

    /// Keeps the newest of what is in files, too.
    fn shrink(&mut self) {
        while self.order.len() > KEYS_HELD && self.order.front().is_some_and(|(sequence, _)| *sequence < self.saved) {
            self.forget_oldest();
        }
    }

    /// Lets go of the oldest in memory; the key, if it is the one that counts.
    fn forget_oldest(&mut self) -> Option<Key> {
        let (sequence, hash) = self.order.pop_front()?;
        if self.known.get(&hash).is_some_and(|(counts, _)| *counts == sequence) {
            return self.known.remove(&hash).map(|(_, key)| key);
        }
        None
    }

    #[cfg(test)]
    pub fn held(&self) -> usize {
        self.order.len()
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").field("scopes", &self.numbers).field("files", &self.files.len()).finish_non_exhaustive()
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

    fn keys() -> Keys {
        let mut keys = Keys::default();
        keys.declare(3, Text::from_static("door"));
        keys
    }

    fn known(keys: &Keys, n: u32, now: i64) -> bool {
        keys.get(3, key(n, 0).hash, Timestamp(now)).is_some()
    }

    #[test]
    fn what_is_in_no_file_stays_in_memory_and_of_the_rest_the_newest() {
        let mut keys = keys();
        for n in 0..KEYS_HELD as u32 + 10 {
            keys.insert(3, key(n, 100), Timestamp(0));
        }
        assert!(known(&keys, 0, 0) && !known(&keys, 0, 100));
        assert_eq!(keys.fresh().len(), KEYS_HELD + 10);
        keys.mark_saved();
        assert!(!known(&keys, 9, 0) && known(&keys, 10, 0));
        assert_eq!((keys.scopes.get(3).unwrap().held(), keys.fresh().len()), (KEYS_HELD, 0));
        // One that came again counts as new.
        keys.insert(3, key(10, 300), Timestamp(0));
        assert_eq!(keys.fresh().len(), 1);
        keys.expire(Timestamp(200));
        assert_eq!(keys.scopes.get(3).unwrap().held(), 1);
        assert!(known(&keys, 10, 200));
    }

    #[test]
    fn a_scope_that_is_full_forgets_the_oldest_and_counts_those_that_had_not_run_out() {
        let mut keys = keys();
        keys.remember(3, 5);
        for n in 0..8 {
            keys.insert(3, key(n, if n == 1 { 10 } else { 100 }), Timestamp(20));
        }
        assert_eq!((0..8).filter(|n| known(&keys, *n, 20)).collect::<Vec<_>>(), [3, 4, 5, 6, 7]);
        assert_eq!((keys.forgotten, keys.scopes.get(3).unwrap().held()), (2, 5), "0 and 2");
    }
}
