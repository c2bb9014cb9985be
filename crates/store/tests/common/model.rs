//! A model of what a store may hold, and a random life that it is held against.

use super::*;
use std::collections::{BTreeMap, BTreeSet};

/// SplitMix64 (Steele, Lea, Flood 2014).
#[derive(Clone)]
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % sides
    }
}

/// Where a message is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Where {
    /// Not stored.
    Nowhere,
    /// In the queue, with so many tries.
    Queue(u32),
    /// In the dead letters.
    Dead,
    /// Delivered.
    Done,
}

/// Where each message may be: one place once that was answered, several while it was not.
#[derive(Clone, Default)]
pub struct Model {
    pub places: BTreeMap<u64, BTreeSet<Where>>,
    next: u64,
}

/// The store's part of a life.
pub struct Life {
    pub store: Store,
    queue: ChannelNumber,
    dead: ChannelNumber,
    reader: SubscriptionNumber,
}

impl Life {
    /// Opens the store; an error is what a test planned, or a crash in between.
    pub fn begin(disk: Arc<dyn Disk>, options: Options) -> Result<Self, String> {
        let store = Store::open(disk, options).map_err(|error| error.to_string())?;
        let declare =
            |name: &str| store.declare_channel(ChannelSpec::queue(Text::from(name))).map_err(|e| e.to_string());
        let (queue, dead) = (declare("q")?, declare("q.dead")?);
        let subscribe = |name: &str, channel| {
            let (name, start) = (Text::from(name), Start::Earliest);
            let spec = SubscriptionSpec { group: name.clone(), name, channel, start };
            store.declare_subscription(spec).map_err(|error| error.to_string())
        };
        let reader = subscribe("r", queue)?;
        subscribe("queue:q.dead", dead)?;
        Ok(Self { store, queue, dead, reader })
    }

    /// So many random decisions; ends with the first error that is not refused for want of room.
    pub fn live(&self, model: &mut Model, dice: &mut Dice, steps: usize) -> Result<(), CommitError> {
        for _ in 0..steps {
            match dice.below(10) {
                0..=3 => self.put(model, dice)?,
                4..=6 => self.settle(model, dice)?,
                7 => self.bury(model, dice)?,
                8 => self.touch(model, dice)?,
                _ if dice.below(4) == 0 => self.store.tidy()?,
                _ => drop(self.store.fetch_cold(self.reader, 10, 10_000)),
            }
        }
        Ok(())
    }

    fn commit(&self, txn: Txn, model: &mut Model, moves: &[(u64, Where)]) -> Result<(), CommitError> {
        let result = self.store.commit(txn);
        for (n, to) in moves {
            let places = model.places.entry(*n).or_insert_with(|| BTreeSet::from([Where::Nowhere]));
            match &result {
                Ok(_) => *places = BTreeSet::from([*to]),
                Err(CommitError::NoSpace) => {}
                Err(_) => drop(places.insert(*to)),
            }
        }
        match result {
            Ok(_) | Err(CommitError::NoSpace) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn put(&self, model: &mut Model, dice: &mut Dice) -> Result<(), CommitError> {
        let count = 1 + dice.below(5);
        let bytes = 20 * [1, 20, 150, 450][dice.below(4) as usize];
        let numbers = model.next..model.next + count;
        model.next += count;
        let moves: Vec<_> = numbers.clone().map(|n| (n, Where::Queue(0))).collect();
        self.commit(puts(self.queue, numbers, bytes), model, &moves)
    }

    /// Some that are in the queue: offset and number.
    fn some(&self, dice: &mut Dice) -> Vec<(u64, u64)> {
        let most = 1 + dice.below(6) as usize;
        let Ok(page) = self.store.browse(self.queue, 0, 40) else { return Vec::new() };
        let first = dice.below(page.messages.len() as u64 + 1) as usize;
        page.messages.iter().skip(first).take(most).map(|message| (message.offset, number(message))).collect()
    }

    fn settle(&self, model: &mut Model, dice: &mut Dice) -> Result<(), CommitError> {
        let some = self.some(dice);
        let moves: Vec<_> = some.iter().map(|(_, n)| (*n, Where::Done)).collect();
        let txn = settle(self.reader, Outcome::Delivered, some.iter().map(|(offset, _)| *offset));
        self.commit(Txn { rides: dice.below(2) == 0, ..txn }, model, &moves)
    }

    /// Moves to the dead letters.
    fn bury(&self, model: &mut Model, dice: &mut Dice) -> Result<(), CommitError> {
        let some = self.some(dice);
        let moves: Vec<_> = some.iter().map(|(_, n)| (*n, Where::Dead)).collect();
        let puts = some.iter().map(|(_, n)| Put { use_reserve: true, ..put(self.dead, *n, 300) }).collect();
        let txn = settle(self.reader, Outcome::Dead, some.iter().map(|(offset, _)| *offset));
        self.commit(Txn { puts, ..txn }, model, &moves)
    }

    fn touch(&self, model: &mut Model, dice: &mut Dice) -> Result<(), CommitError> {
        let Ok(known) = self.store.touched(self.reader) else { return Ok(()) };
        let some = self.some(dice);
        let tries =
            |offset: u64| known.iter().find(|touched| touched.offset == offset).map_or(0, |touched| touched.tries);
        let moves: Vec<_> = some.iter().map(|(offset, n)| (*n, Where::Queue(tries(*offset) + 1))).collect();
        let touches = some.iter().map(|(offset, _)| touch(self.reader, *offset, tries(*offset) + 1)).collect();
        self.commit(Txn { touches, ..Txn::default() }, model, &moves)
    }

    /// Holds what the store has against the model, and fixes in the model what was in doubt.
    pub fn check(&self, model: &mut Model, story: &str) {
        let mut found: BTreeMap<u64, Where> = BTreeMap::new();
        let touched = self.store.touched(self.reader).unwrap();
        let tries = |offset: u64| touched.iter().find(|t| t.offset == offset).map_or(0, |t| t.tries);
        for message in self.all(self.queue) {
            let place = Where::Queue(tries(message.offset));
            assert_eq!(found.insert(number(&message), place), None, "{story}: twice in the queue");
        }
        for message in self.all(self.dead) {
            let before = found.insert(number(&message), Where::Dead);
            assert_eq!(before, None, "{story}: {} is in two places", number(&message));
        }
        for (n, place) in &found {
            assert!(model.places.contains_key(n), "{story}: {n} is {place:?} and was never put");
        }
        for (n, places) in &mut model.places {
            let place = found.get(n).copied().unwrap_or(Where::Nowhere);
            // What is done is nowhere any more.
            let fits = places.contains(&place) || (place == Where::Nowhere && places.contains(&Where::Done));
            assert!(fits, "{story}: {n} is {place:?}, and may be {places:?}");
            let place = if places.contains(&place) { place } else { Where::Done };
            *places = BTreeSet::from([place]);
        }
        let queued = found.values().filter(|place| matches!(place, Where::Queue(_))).count() as u64;
        assert_eq!(self.store.channel(self.queue).unwrap().messages, queued, "{story}: messages of the channel");
        assert_eq!(self.store.group_counts("r").unwrap().stored, queued, "{story}: stored of the group");
        let counts = self.store.group_counts("r").unwrap();
        let ended: u64 = Outcome::ALL.iter().map(|outcome| counts.ended(*outcome)).sum();
        assert_eq!(counts.received, counts.stored + ended, "{story}: the account");
    }

    fn all(&self, channel: ChannelNumber) -> Vec<StoredMessage> {
        let (mut all, mut from) = (Vec::new(), Some(0));
        while let Some(at) = from {
            let page = self.store.browse(channel, at, 50).unwrap();
            all.extend(page.messages);
            from = page.next;
        }
        all
    }
}
