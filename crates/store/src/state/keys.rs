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
use hashbrown::{DefaultHashBuilder, HashMap, HashTable};
use std::{collections::VecDeque, hash::BuildHasher as _, sync::Arc};

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

/// What memory knows of a hash.
#[derive(Clone, Copy, Debug)]
pub enum Held<'a> {
    /// Nothing: a file may have it.
    No,
    /// Its key has run out, or is forgotten; no file has a later one.
    Spent,
    /// This key counts.
    Counts(&'a Key),
}

/// The keys of a scope. There may be a million a minute: of those in memory each stands once, and is found by its number.
#[derive(Debug)]
pub struct Scope {
    pub name: Text,
    /// In memory, in the order in which they came: their numbers have no gap, and end before `next`. One that came again
    /// stands there twice.
    recent: VecDeque<Key>,
    /// The low half of the number at which each hash stands, where it came last.
    places: HashTable<u32>,
    hasher: DefaultHashBuilder,
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
        self.scopes.insert(number, Scope::new(name));
    }

    pub fn scope(&self, name: &str) -> Option<u32> {
        self.numbers.get(name).copied()
    }

    /// What memory knows of a hash.
    pub fn held(&self, scope: u32, hash: Digest, now: Timestamp) -> Held<'_> {
        let Some(scope) = self.scopes.get(scope) else { return Held::No };
        match scope.find(hash) {
            None => Held::No,
            Some((sequence, key)) if key.until > now && sequence >= scope.horizon() => Held::Counts(key),
            Some(_) => Held::Spent,
        }
    }

    /// A scope is to remember so many keys.
    pub fn remember(&mut self, scope: u32, keys_max: u64) {
        if let Some(scope) = self.scopes.get_mut(scope) {
            scope.keys_max = Some(keys_max);
        }
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
        let forgotten = match scope.first() <= gone {
            true => scope.forget_oldest().is_some_and(|key| key.until > now),
            false => self.files.iter().any(|file| {
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
            while scope.recent.front().is_some_and(|key| key.until <= now || !scope.counts(key, scope.first())) {
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
            let fresh = (scope.first()..).zip(&scope.recent).skip(scope.recent.len() - scope.unsaved());
            let counts = fresh.filter(|(sequence, key)| scope.counts(key, *sequence));
            counts.map(move |(sequence, key)| Record { scope: number, key: *key, sequence })
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

    fn new(name: Text) -> Self {
        let (recent, places, hasher) = (VecDeque::new(), HashTable::new(), DefaultHashBuilder::default());
        Self { name, recent, places, hasher, next: 0, saved: 0, keys_max: None }
    }

    /// The number of the oldest in memory; that of the next key if there is none.
    fn first(&self) -> u64 {
        self.next - self.recent.len() as u64
    }

    /// The number that stands in the table for a key that is in memory.
    const fn place(sequence: u64) -> u32 {
        sequence as u32
    }

    /// Where in `recent` the key of a place is: its number is less than 2³² above the oldest one's.
    const fn index(first: u64, place: u32) -> usize {
        place.wrapping_sub(Self::place(first)) as usize
    }

    /// The key of a hash where it came last, and its number, if it is in memory.
    fn find(&self, hash: Digest) -> Option<(u64, &Key)> {
        let (first, recent) = (self.first(), &self.recent);
        let is = |place: &u32| recent.get(Self::index(first, *place)).is_some_and(|key| key.hash == hash);
        let at = Self::index(first, *self.places.find(self.hasher.hash_one(hash), is)?);
        Some((first + at as u64, recent.get(at)?))
    }

    /// Whether a key with this number is the one that came last of its hash.
    fn counts(&self, key: &Key, sequence: u64) -> bool {
        self.find(key.hash).is_some_and(|(last, _)| last == sequence)
    }

    fn insert(&mut self, key: Key) {
        let (first, place) = (self.first(), Self::place(self.next));
        self.recent.push_back(key);
        self.next += 1;
        let (recent, hasher) = (&self.recent, &self.hasher);
        let key_at = |place: &u32| recent.get(Self::index(first, *place));
        let is = |known: &u32| key_at(known).is_some_and(|known| known.hash == key.hash);
        let hash = |known: &u32| key_at(known).map_or(0, |known| hasher.hash_one(known.hash));
        self.places.entry(hasher.hash_one(key.hash), is, hash).insert(place);
        self.shrink();
    }

    /// How many of the newest in the order are in no file.
    fn unsaved(&self) -> usize {
        usize::try_from(self.next - self.saved).map_or(self.recent.len(), |unsaved| unsaved.min(self.recent.len()))
    }

    /// Keeps the newest of what is in files, too.
    fn shrink(&mut self) {
        while self.recent.len() > KEYS_HELD && self.first() < self.saved {
            self.forget_oldest();
        }
    }

    /// Lets go of the oldest in memory; the key, if it is the one that counts.
    fn forget_oldest(&mut self) -> Option<Key> {
        let place = Self::place(self.first());
        let key = self.recent.pop_front()?;
        let entry = self.places.find_entry(self.hasher.hash_one(key.hash), |known| *known == place);
        entry.is_ok_and(|entry| entry.remove().0 == place).then_some(key)
    }

    #[cfg(test)]
    pub fn held(&self) -> usize {
        self.recent.len()
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
        matches!(keys.held(3, key(n, 0).hash, Timestamp(now)), Held::Counts(_))
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

    /// What a scope of at most so many keys knows, in the plainest way.
    #[derive(Default)]
    struct Plain {
        seen: Vec<Key>,
        saved: usize,
        most: usize,
        now: i64,
    }

    impl Plain {
        fn get(&self, hash: Digest) -> Option<&Key> {
            let key = self.seen.iter().skip(self.seen.len().saturating_sub(self.most)).rfind(|key| key.hash == hash);
            key.filter(|key| key.until > Timestamp(self.now))
        }
    }

    proptest::proptest! {
        #[test]
        fn a_scope_knows_what_a_plain_list_knows(
            steps in proptest::collection::vec((0..40_u32, 0..60_i64, 0..20_u8), 1..400),
            most in 1..50_usize,
        ) {
            let (mut keys, mut plain) = (keys(), Plain { most, ..Plain::default() });
            keys.remember(3, most as u64);
            for (n, life, what) in steps {
                match what {
                    0 => {
                        keys.mark_saved();
                        plain.saved = plain.seen.len();
                    }
                    1 => keys.expire(Timestamp(plain.now)),
                    2 => plain.now += life,
                    _ => {
                        let key = key(n, plain.now + life);
                        keys.insert(3, key, Timestamp(plain.now));
                        plain.seen.push(key);
                    }
                }
                for n in 0..40 {
                    let hash = key(n, 0).hash;
                    let known = match keys.held(3, hash, Timestamp(plain.now)) {
                        Held::Counts(key) => Some(key.until),
                        Held::No | Held::Spent => None,
                    };
                    assert_eq!(known, plain.get(hash).map(|key| key.until), "{n}");
                }
                let fresh = keys.fresh();
                assert!(fresh.iter().all(|record| record.sequence as usize >= plain.saved));
                assert!(fresh.iter().all(|record| plain.seen[record.sequence as usize].hash == record.key.hash));
            }
        }
    }
}
