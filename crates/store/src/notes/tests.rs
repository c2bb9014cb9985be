//! What is noted is what the next process reads, and nothing false, whatever happened to the files in between.

use super::*;
use crate::{DiskOperation, FaultyDisk, MemoryDisk};

const BOOT: [u8; 16] = [7; 16];

fn flight(subscription: u32, offset: u64) -> Flight {
    Flight { subscription: SubscriptionNumber(subscription), offset, evaluating: offset.is_multiple_of(2) }
}

fn flights(subscription: u32, offsets: std::ops::Range<u64>) -> Vec<Flight> {
    offsets.map(|offset| flight(subscription, offset)).collect()
}

fn open(disk: &MemoryDisk) -> (FlightNotes, Ends) {
    FlightNotes::open(Arc::new(disk.clone()), BOOT).unwrap()
}

/// A process that notes this and is killed.
fn run(disk: &MemoryDisk, alone: bool, noted: &[Flight]) -> Ends {
    let (notes, ends) = open(disk);
    notes.region(noted[0].subscription).write(alone, noted).unwrap();
    ends
}

fn together(flights: Vec<Flight>) -> Option<End> {
    Some(End::Together(flights))
}

#[test]
fn two_ends_in_a_row_are_told_and_what_noted_nothing_does_not_count() {
    let disk = MemoryDisk::new();
    assert_eq!(run(&disk, false, &[flight(1, 5)]), Ends::default());
    let one = Ends { last: together(vec![flight(1, 5)]), ..Ends::default() };
    assert_eq!(open(&disk).1, one);
    assert_eq!(run(&disk, false, &[flight(1, 5), flight(1, 6)]), one, "killed before it noted anything");
    assert_eq!(run(&disk, true, &[flight(1, 5)]).before, one.last);
    let ends = open(&disk).1;
    assert_eq!(ends.last, Some(End::Alone(flight(1, 5))));
    assert_eq!(ends.before, together(vec![flight(1, 5), flight(1, 6)]));
    for charged in [false, true, true] {
        let (notes, ends) = open(&disk);
        assert_eq!(ends.charged, charged);
        notes.charged().unwrap();
    }
    assert!(!open_after_note(&disk).charged, "a new end, a new charge");
}

fn open_after_note(disk: &MemoryDisk) -> Ends {
    run(disk, true, &[flight(1, 5)]);
    open(disk).1
}

#[test]
fn a_stop_and_another_boot_make_void_what_was_before() {
    let disk = MemoryDisk::new();
    run(&disk, false, &[flight(1, 5)]);
    let other = |boot| FlightNotes::open(Arc::new(disk.clone()), boot).unwrap().1;
    assert_eq!(other([8; 16]), Ends::default());
    assert_ne!(other(BOOT), Ends::default());
    open(&disk).0.close().unwrap();
    assert_eq!(open(&disk).1, Ends::default(), "stopped without a note");
    run(&disk, false, &[flight(1, 5)]);
    let (notes, _) = open(&disk);
    let mut region = notes.region(SubscriptionNumber(1));
    region.write(false, &[flight(1, 9)]).unwrap();
    notes.close().unwrap();
    region.write(false, &[flight(1, 11)]).unwrap();
    notes.region(SubscriptionNumber(2)).write(false, &[flight(2, 1)]).unwrap();
    assert_eq!(open(&disk).1, Ends::default(), "stopped with notes");
    assert_eq!(run(&disk, false, &[flight(1, 5)]), Ends::default());
    assert_eq!(open(&disk).1.before, None, "the run before was stopped");
}

#[test]
fn regions_grow_and_shrink_and_keep_apart() {
    let disk = MemoryDisk::new();
    let (notes, _) = open(&disk);
    let (mut one, mut two) = (notes.region(SubscriptionNumber(1)), notes.region(SubscriptionNumber(2)));
    for count in [1, 61, 62, 300, 5, 1000, 0, 123] {
        one.write(false, &flights(1, 0..count)).unwrap();
        two.write(false, &flights(2, 10..12)).unwrap();
        let Some(End::Together(mut noted)) = open(&disk).1.last else { panic!("nothing is noted") };
        noted.sort_unstable();
        let expected: Vec<_> = flights(1, 0..count).into_iter().chain(flights(2, 10..12)).collect();
        assert_eq!(noted, expected, "{count}");
    }
}

#[test]
fn a_note_is_one_write_and_no_sync() {
    let disk = FaultyDisk::new(Arc::new(MemoryDisk::new()));
    let (notes, _) = FlightNotes::open(Arc::new(disk.clone()), BOOT).unwrap();
    let mut region = notes.region(SubscriptionNumber(1));
    region.write(false, &[]).unwrap();
    assert_eq!(disk.count(DiskOperation::Write), 0, "nothing is written before something is in flight");
    region.write(false, &flights(1, 0..64)).unwrap();
    let (writes, all) = (disk.count(DiskOperation::Write), disk.count(DiskOperation::Sync));
    for n in 0..100 {
        region.write(false, &flights(1, n..n + 64)).unwrap();
    }
    assert_eq!((disk.count(DiskOperation::Write) - writes, all), (100, 0));
}

#[test]
fn torn_and_damaged_notes_say_less_and_nothing_false() {
    let disk = MemoryDisk::new();
    run(&disk, false, &flights(1, 0..200));
    let whole = disk.contents(FILES[0]).unwrap();
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        disk.plant(FILES[0], bytes);
        match open(&disk).1.last {
            None => assert!(at < SLOT_BYTES),
            Some(End::Together(noted)) => {
                assert!(noted.len() < 200 && noted.iter().all(|flight| flight.offset < 200), "{at}: {noted:?}");
            }
            Some(End::Alone(one)) => panic!("{at}: {one:?}"),
        }
    }
    for length in 0..whole.len() {
        disk.plant(FILES[0], whole[..length].to_vec());
        let last = open(&disk).1.last;
        assert!(!matches!(last, Some(End::Alone(_))));
    }
}
