//! Messages with tries on record beyond what memory holds: written to files, read back, and never more in memory than may be,
//! whatever their number and whatever becomes of the process, the disk and the segments meanwhile.

#![cfg(test)]

mod common;

use common::{model::Dice, *};
use crossdock_model::Timestamp;
use crossdock_store::*;
use proptest::prelude::*;
use std::{collections::BTreeMap, sync::Arc};

/// What memory may hold between two commits, and what one commit adds.
const HELD: usize = 8;
const AT_ONCE: u64 = 5;

fn small() -> Options {
    Options { tried_in_memory_max: HELD, ..options() }
}

fn start(disk: &MemoryDisk) -> Store {
    Store::open(Arc::new(disk.clone()), small()).unwrap()
}

fn try_files(disk: &MemoryDisk) -> Vec<String> {
    let files = disk.list("").unwrap().into_iter().map(|file| file.name);
    let mut files: Vec<String> = files.filter(|name| name.starts_with("tries-")).collect();
    files.sort();
    files
}

/// What is known of a message: its tries, its charges, when it is due.
type Known = (u32, u32, Option<Timestamp>);

/// A queue as it must be: what is open, with what is known of it.
#[derive(Clone, Default)]
struct Model {
    open: BTreeMap<u64, Option<Known>>,
    next: u64,
    /// What the decision that was not answered would have changed.
    doubt: Option<BTreeMap<u64, Option<Known>>>,
}

impl Model {
    fn tried(&self) -> Vec<(u64, Known)> {
        self.open.iter().filter_map(|(offset, known)| Some((*offset, (*known)?))).collect()
    }
}

/// The store's part.
struct Life {
    store: Store,
    channel: ChannelNumber,
    reader: SubscriptionNumber,
}

impl Life {
    fn begin(disk: Arc<dyn Disk>) -> Option<Self> {
        let store = Store::open(disk, small()).ok()?;
        let channel = store.declare_channel(ChannelSpec::queue("q")).ok()?;
        let spec = SubscriptionSpec { name: "r/t".into(), channel, group: "r".into(), start: Start::Earliest };
        let reader = store.declare_subscription(spec).ok()?;
        Some(Self { store, channel, reader })
    }

    /// One random decision; whether the store answered.
    fn step(&self, model: &mut Model, dice: &mut Dice) -> bool {
        let mut after = model.open.clone();
        let some: Vec<u64> = {
            let first = dice.below(model.next.max(1));
            model.open.range(first..).take(1 + dice.below(AT_ONCE) as usize).map(|(offset, _)| *offset).collect()
        };
        let txn = match dice.below(12) {
            0..=2 => {
                let numbers = model.next..model.next + 1 + dice.below(6);
                model.next = numbers.end;
                after.extend(numbers.clone().map(|offset| (offset, None)));
                // Some are large, so that segments come to be worth cleaning.
                puts(self.channel, numbers, [30, 30, 900, 4000][dice.below(4) as usize])
            }
            3..=9 => {
                let mut touches = Vec::new();
                for offset in some {
                    let before = model.open[&offset].unwrap_or_default();
                    let mut touch = touch(self.reader, offset, before.0 + 1);
                    if dice.below(6) == 0 {
                        // A charge alone, or a message that is put off: no try.
                        touch = Touch { tries: before.0, charges: before.1 + 1, fault: None, ..touch };
                    }
                    touch.due = [None, Some(Timestamp(dice.below(1000) as i64))][dice.below(2) as usize];
                    after.insert(offset, Some((touch.tries, touch.charges, touch.due)));
                    touches.push(touch);
                }
                Txn { touches, ..Txn::default() }
            }
            10 => {
                after.retain(|offset, _| !some.contains(offset));
                settle(self.reader, Outcome::Delivered, some)
            }
            _ => return self.store.tidy().is_ok(),
        };
        match self.store.commit(txn) {
            Ok(_) => model.open = after,
            Err(CommitError::NoSpace) => model.next = self.next(),
            Err(_) => {
                model.doubt = Some(after);
                return false;
            }
        }
        true
    }

    fn next(&self) -> u64 {
        self.store.channel(self.channel).unwrap().next_offset
    }

    /// Holds the store against the model; what was in doubt is not afterwards.
    fn check(&self, model: &mut Model, story: &str) {
        let touched = self.store.touched(self.reader).unwrap();
        let found: Vec<(u64, Known)> = touched.iter().map(|t| (t.offset, (t.tries, t.charges, t.due))).collect();
        let open = |model: &Model| model.open.keys().all(|offset| self.store.is_pending(self.reader, *offset));
        if let Some(open) = model.doubt.take() {
            let after = Model { open, ..Model::default() };
            let same =
                after.tried() == found && self.store.channel(self.channel).unwrap().messages == after.open.len() as u64;
            if same {
                model.open = after.open;
            }
        }
        model.next = self.next();
        assert!(open(model), "{story}: something that is open is settled");
        assert_eq!(found, model.tried(), "{story}");
        for (offset, (tries, ..)) in model.tried() {
            let history = self.store.history(self.reader, offset).unwrap();
            assert_eq!(history.total, tries, "{story}: {offset}");
            let shown: Vec<u32> = history.kept.iter().map(|one| one.number).collect();
            let all = (1..=tries).collect::<Vec<_>>();
            let expected: Vec<u32> = all.iter().copied().filter(|n| *n <= 5 || *n + 20 > tries).collect();
            assert_eq!(shown, expected, "{story}: the history of {offset}");
            let told =
                |one: &Try| one.fault.as_ref().is_some_and(|fault| *fault.text == *format!("try {}", one.number));
            assert!(history.kept.iter().all(told), "{story}: {offset}");
        }
        self.store.rewind(self.reader, 0);
        let fresh: Vec<u64> = drain(&self.store, self.reader).iter().map(|stored| stored.offset).collect();
        let expected: Vec<u64> =
            model.open.iter().filter(|(_, known)| known.is_none()).map(|(offset, _)| *offset).collect();
        assert_eq!(fresh, expected, "{story}: what a fetch gives");
    }
}

fn plain(seed: u64) -> Result<(), TestCaseError> {
    let (mut disk, mut model, mut dice) = (MemoryDisk::new(), Model::default(), Dice(seed));
    for round in 0..6 {
        let life = Life::begin(Arc::new(disk.clone())).unwrap();
        life.check(&mut model, &format!("seed {seed}, round {round}"));
        for step in 0..60 {
            prop_assert!(life.step(&mut model, &mut dice));
            let held = life.store.counts().tried_in_memory;
            // The cleaner may be at it just then.
            prop_assert!(held <= HELD as u64 * 3 / 2, "{} are in memory, round {}, step {}", held, round, step);
            prop_assert!(try_files(&disk).len() <= 3 * 17, "{:?}", try_files(&disk));
        }
        life.check(&mut model, &format!("seed {seed}, round {round}, at its end"));
        if dice.below(2) == 0 {
            life.store.close().unwrap();
        } else {
            let after = disk.after_crash(CrashPolicy::Tear { seed });
            drop(life);
            disk = after;
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(24) })]

    #[test]
    fn tries_are_what_a_plain_map_says(seed in 0..u64::MAX) {
        plain(seed)?;
    }
}

/// Lives on a disk that ends at its `last` operation.
fn life_until(seed: u64, last: u64, mishap: Mishap) -> (MemoryDisk, Model, u64) {
    let below = MemoryDisk::new();
    let disk = FaultyDisk::new(Arc::new(below.clone()));
    disk.plan(None, last, mishap);
    let (mut model, mut dice) = (Model::default(), Dice(seed));
    for _ in 0..3 {
        let Some(life) = Life::begin(Arc::new(disk.clone())) else { break };
        if !(0..30).all(|_| life.step(&mut model, &mut dice)) || life.store.close().is_err() {
            break;
        }
    }
    (below, model, disk.total())
}

fn check_every_operation(seed: u64, mishap: Mishap, policies: &[CrashPolicy]) {
    let (disk, _, total) = life_until(seed, u64::MAX, mishap);
    assert!(total > 150 && !try_files(&disk).is_empty(), "the life is too short to tell: {total} operations");
    for last in 1..=total {
        let (disk, model, _) = life_until(seed, last, mishap);
        for policy in policies {
            let (mut disk, mut model) = (disk.after_crash(*policy), model.clone());
            for round in 0..2 {
                let story =
                    format!("seed {seed}, {mishap:?} at operation {last} of {total}, {policy:?}, round {round}");
                let life = Life::begin(Arc::new(disk.clone())).unwrap_or_else(|| panic!("{story}"));
                life.check(&mut model, &story);
                let mut dice = Dice(seed + round);
                assert!((0..6).all(|_| life.step(&mut model, &mut dice)), "{story}");
                let after = disk.after_crash(*policy);
                drop(life);
                disk = after;
            }
        }
    }
}

#[test]
fn p1_tries_outlive_a_loss_of_power_at_every_operation() {
    check_every_operation(1, Mishap::Ends, &[CrashPolicy::LoseAll, CrashPolicy::KeepAll]);
    check_every_operation(2, Mishap::Ends, &[CrashPolicy::Tear { seed: 7 }]);
}

#[test]
fn p5_tries_outlive_a_torn_write_and_a_full_volume_at_every_operation() {
    check_every_operation(3, Mishap::Tears, &[CrashPolicy::KeepAll, CrashPolicy::Tear { seed: 3 }]);
    check_every_operation(4, Mishap::NoSpace, &[CrashPolicy::KeepAll, CrashPolicy::LoseAll]);
}

/// A store with so many messages, all tried once but the last.
fn tried(disk: &MemoryDisk, count: u64) -> (Store, SubscriptionNumber) {
    let store = start(disk);
    let (channel, reader) = queue(&store);
    store.commit(puts(channel, 0..count, 20)).unwrap();
    for first in (0..count - 1).step_by(AT_ONCE as usize) {
        let offsets = first..(first + AT_ONCE).min(count - 1);
        let touches = offsets.map(|offset| touch(reader, offset, 1)).collect();
        store.commit(Txn { touches, ..Txn::default() }).unwrap();
    }
    (store, reader)
}

#[test]
fn memory_holds_few_of_a_hundred_thousand_and_a_fresh_one_is_given_all_the_same() {
    const COUNT: u64 = 100_000;
    let disk = MemoryDisk::new();
    let large = || {
        let options = Options { segment_bytes: 16 << 20, tried_in_memory_max: 4096, ..options() };
        Store::open(Arc::new(disk.clone()), options).unwrap()
    };
    let store = large();
    let (channel, reader) = queue(&store);
    for first in (0..COUNT).step_by(1000) {
        store.commit(puts(channel, first..first + 1000, 20)).unwrap();
        let touches = (first..first + 1000).map(|offset| Touch { fault: None, ..touch(reader, offset, 1) }).collect();
        store.commit(Txn { touches, ..Txn::default() }).unwrap();
        assert!(store.counts().tried_in_memory <= 4096);
    }
    store.commit(puts(channel, [COUNT], 20)).unwrap();
    assert_eq!(numbers(&drain(&store, reader)), [COUNT], "more than 81,920 have tries on record");
    store.close().unwrap();
    let store = large();
    assert!(store.counts().tried_in_memory <= 4096);
    assert_eq!(store.subscription(reader).unwrap().touched, COUNT);
    let touched = store.touched(reader).unwrap();
    assert!(touched.iter().map(|touched| touched.offset).eq(0..COUNT));
    assert!(try_files(&disk).len() <= 17, "{:?}", try_files(&disk));
    // All of them end, and nothing is left of it.
    store.commit(settle(reader, Outcome::Delivered, 0..COUNT)).unwrap();
    store.tidy().unwrap();
    assert_eq!(try_files(&disk), Vec::<String>::new());
    assert_eq!(store.subscription(reader).unwrap().touched, 0);
}

#[test]
fn what_no_checkpoint_names_is_removed_by_the_next_start() {
    let disk = MemoryDisk::new();
    let (store, reader) = tried(&disk, 60);
    let before = store.touched(reader).unwrap();
    let after = disk.after_crash(CrashPolicy::KeepAll);
    let left = try_files(&after);
    assert!(!left.is_empty());
    drop(store);
    after.plant("tries-0000000000000077", b"half of".to_vec());
    let store = start(&after);
    assert_eq!(store.touched(reader).unwrap(), before);
    let now = try_files(&after);
    assert!(left.iter().all(|name| !now.contains(name)) && !now.contains(&"tries-0000000000000077".to_owned()));
    store.close().unwrap();
    assert_eq!(verify(&after).unwrap().findings, []);
}

#[test]
fn a_damaged_file_is_told_and_costs_no_message() {
    let disk = MemoryDisk::new();
    let (store, reader) = tried(&disk, 400);
    store.close().unwrap();
    let [.., name] = &try_files(&disk)[..] else { panic!("there is a file") };
    let bytes = disk.contents(name).unwrap();
    for at in (0..bytes.len()).step_by(bytes.len() / 97 + 1) {
        let disk = disk.copy();
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        disk.plant(name, damaged);
        let findings = verify(&disk).unwrap().findings;
        assert!(findings.iter().any(|finding| *finding.file == **name), "byte {at}: {findings:?}");
        let store = start(&disk);
        let touched: Vec<u64> = store.touched(reader).unwrap().iter().map(|touched| touched.offset).collect();
        let fresh: Vec<u64> = numbers(&drain(&store, reader));
        let mut all = [touched, fresh].concat();
        all.sort_unstable();
        assert!(all.into_iter().eq(0..400), "byte {at}: a message is tried or fresh, never neither");
    }
    let gone = disk.copy();
    gone.remove(name).unwrap();
    assert!(!verify(&gone).unwrap().findings.is_empty());
    start(&gone);
}

#[test]
fn files_are_encrypted_and_written_anew_under_another_key() {
    let disk = MemoryDisk::new();
    let ring =
        |current, previous: &[char]| Keyring::new(Some(key(current)), previous.iter().map(|d| key(*d)).collect());
    let (before, reader) = with_keys(ring('a', &[]), || {
        let (store, reader) = tried(&disk, 60);
        let before = store.touched(reader).unwrap();
        store.close().unwrap();
        (before, reader)
    });
    let old = try_files(&disk);
    with_keys(ring('b', &['a']), || {
        let store = start(&disk);
        assert_eq!(store.touched(reader).unwrap(), before);
        assert_eq!(store.history(reader, 3).unwrap().total, 1);
        store.close().unwrap();
    });
    assert!(try_files(&disk).iter().all(|name| !old.contains(name)), "{:?}", try_files(&disk));
    let keys = ring('b', &['a']);
    assert_eq!(verify_with(&disk, &keys).unwrap().findings, []);
    for name in try_files(&disk) {
        let contents = disk.contents(&name).unwrap();
        assert_eq!(contents[28..32], [1, 0, 0, 0], "the flag says that it is encrypted");
    }
    assert!(matches!(Store::open(Arc::new(disk.clone()), small()), Err(OpenError::Key { .. })));
}

#[test]
fn tries_in_files_go_with_their_messages_when_segments_are_cleaned() {
    let disk = MemoryDisk::new();
    let store = start(&disk);
    let (channel, reader) = queue(&store);
    store.commit(puts(channel, 0..40, 10)).unwrap();
    for tries in 1..=3 {
        for offset in 0..40 {
            store.commit(Txn { touches: vec![touch(reader, offset, tries)], ..Txn::default() }).unwrap();
        }
        let first = store.channel(channel).unwrap().next_offset;
        for n in 0..60 {
            store.commit(puts(channel, [n], 6000)).unwrap();
        }
        store.commit(settle(reader, Outcome::Delivered, first..first + 60)).unwrap();
    }
    let history = |store: &Store| (0..40).map(|offset| store.history(reader, offset).unwrap()).collect::<Vec<_>>();
    let before = history(&store);
    assert!(before.iter().all(|history| history.kept.len() == 3));
    store.tidy().unwrap();
    let bytes = |disk: &MemoryDisk| disk.list("").unwrap().iter().map(|file| file.bytes).sum::<u64>();
    assert!(bytes(&disk) < 4 * (64 << 10), "{:?}", disk.list("").unwrap());
    assert_eq!(history(&store), before);
    let store = start(&disk.after_crash(CrashPolicy::LoseAll));
    assert_eq!(history(&store), before);
}
