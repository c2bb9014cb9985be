//! Files of keys: what was written is found, what was not is not, whatever is damaged.

use super::*;
use crate::{MasterKey, MemoryDisk, Options, format::put_key};
use std::collections::VecDeque;

fn options(keys: Keyring) -> Options {
    let mut options = Options::new(Arc::new(|| Timestamp(0)));
    options.keys = keys;
    options
}

fn encrypted() -> Keyring {
    Keyring::new(Some(MasterKey::from_hex(&"a".repeat(64)).unwrap()), Vec::new())
}

fn hash(n: u64) -> Digest {
    crossdock_model::DigestBuilder::new("test").part(&n.to_le_bytes()).finish()
}

fn record(scope: u32, n: u64, sequence: u64) -> Record {
    let key = Key {
        hash: hash(n),
        body: hash(n + 1),
        id: MessageId::from_bytes([3; 16]),
        until: Timestamp(i64::try_from(n).unwrap()),
    };
    Record { scope, key, sequence }
}

fn make(disk: &Arc<dyn Disk>, number: u64, options: &Options, sources: Vec<Source>) -> KeyFile {
    write(disk, number, options, sources, &|_| true).unwrap().unwrap()
}

fn whole(disk: &Arc<dyn Disk>, number: u64, options: &Options) -> KeyFile {
    match open(&**disk, number, &options.keys).unwrap() {
        Opened::Whole(file) => file,
        Opened::Earlier(_) => panic!("of an earlier version"),
        Opened::Damaged(why) => panic!("{why}"),
    }
}

#[test]
fn what_was_written_is_found_by_a_read_and_of_the_rest_one_in_a_hundred_is_looked_for() {
    for keys in [Keyring::default(), encrypted()] {
        let (disk, options): (Arc<dyn Disk>, _) = (Arc::new(MemoryDisk::new()), options(keys));
        let of = |scope, numbers: std::ops::Range<u64>| numbers.map(move |n| record(scope, n, n)).collect::<Vec<_>>();
        let records: Vec<_> = [of(9, 0..3000), of(2, 2000..2001), of(7, 0..100)].concat();
        make(&disk, 1, &options, vec![Source::memory(records.clone())]);
        let file = whole(&disk, 1, &options);
        assert_eq!((file.records, file.blocks(), file.runs.len()), (3101, 49, 3));
        let run = file.runs.iter().find(|run| run.scope == 9).unwrap();
        assert_eq!((run.records, run.first_sequence, run.last_sequence, run.until), (3000, 0, 2999, Timestamp(2999)));
        for record in &records {
            assert!(file.may_have(record.scope, record.key.hash));
            assert_eq!(file.find(record.scope, record.key.hash).unwrap(), Some(*record));
        }
        assert!(!file.may_have(8, hash(5)) && file.find(8, hash(5)).unwrap().is_none());
        assert_eq!(file.find(7, hash(100)).unwrap(), None);
        let fooled = (10_000..20_000).filter(|n| file.may_have(9, hash(*n))).count();
        assert!(fooled < 30, "{fooled} of 10,000");
        assert!((0..file.blocks()).all(|block| file.is_sound(block).unwrap()));
    }
}

#[test]
fn merging_keeps_the_later_of_two_and_what_is_worth_it() {
    let (disk, options): (Arc<dyn Disk>, _) = (Arc::new(MemoryDisk::new()), options(encrypted()));
    let old = make(&disk, 1, &options, vec![Source::memory((0..500).map(|n| record(1, n, n)).collect())]);
    let new = make(&disk, 2, &options, vec![Source::memory((400..600).map(|n| record(1, n, 1000 + n)).collect())]);
    let sources = vec![Source::of(Arc::new(old)), Source::of(Arc::new(new)), Source::memory(vec![record(0, 7, 7)])];
    write(&disk, 3, &options, sources, &|record| record.key.hash != hash(13)).unwrap();
    let file = whole(&disk, 3, &options);
    assert_eq!(file.records, 600);
    let sequence = |n| file.find(1, hash(n)).unwrap().map(|record| record.sequence);
    assert_eq!([0, 13, 399, 400, 599].map(sequence), [Some(0), None, Some(399), Some(1400), Some(1599)]);
    assert_eq!(file.find(0, hash(7)).unwrap(), Some(record(0, 7, 7)));
    assert!(write(&disk, 4, &options, vec![Source::Memory(VecDeque::new())], &|_| true).unwrap().is_none());
    assert!(disk.list("").unwrap().iter().all(|file| file.name != file_name(4)));
}

#[test]
fn every_byte_that_changes_is_found_out() {
    for keys in [Keyring::default(), encrypted()] {
        let (disk, options): (Arc<dyn Disk>, _) = (Arc::new(MemoryDisk::new()), options(keys));
        make(&disk, 1, &options, vec![Source::memory((0..70).map(|n| record(1, n, n)).collect())]);
        let file = disk.open(&file_name(1), OpenMode::Existing).unwrap();
        let bytes = file.length().unwrap();
        for at in 0..bytes {
            let mut was = [0];
            file.read_at(&mut was, at).unwrap();
            file.write_at(&[was[0] ^ 0x10], at).unwrap();
            let sound = match open(&*disk, 1, &options.keys).unwrap() {
                Opened::Whole(file) => (0..file.blocks()).all(|block| file.is_sound(block).unwrap()),
                Opened::Earlier(_) | Opened::Damaged(_) => false,
            };
            assert!(!sound, "byte {at} of {bytes}");
            file.write_at(&was, at).unwrap();
        }
        for cut in (0..bytes).step_by(97) {
            file.truncate(cut).unwrap();
            assert!(matches!(open(&*disk, 1, &options.keys).unwrap(), Opened::Damaged(_)), "cut at {cut}");
        }
    }
}

#[test]
fn a_file_of_version_1_is_read_whole() {
    for keys in [Keyring::default(), encrypted()] {
        let (disk, options): (Arc<dyn Disk>, _) = (Arc::new(MemoryDisk::new()), options(keys));
        let mut body = Vec::new();
        for n in [5, 3, 4] {
            body.put_u32(2);
            put_key(&mut body, &record(2, n, n).key);
        }
        let is_encrypted = options.keys.current().is_some();
        let body = options.keys.encrypt_file(FileKind::Keys, &6_u64.to_le_bytes(), &|| 5, body).unwrap();
        let mut bytes = MAGIC.to_vec();
        bytes.put_u16(1);
        bytes.put_u16(u16::from(is_encrypted));
        bytes.put_u32(3);
        bytes.put_u32(crc32c::crc32c(&body));
        bytes.put_raw(&body);
        let file = disk.open(&file_name(6), OpenMode::Create).unwrap();
        file.write_at(&bytes, 0).unwrap();
        let Opened::Earlier(read) = open(&*disk, 6, &options.keys).unwrap() else { panic!("not read") };
        assert_eq!(read, [5, 3, 4].map(|n| (2, record(2, n, n).key)));
        file.write_at(&[0xEE], 40).unwrap();
        assert!(matches!(open(&*disk, 6, &options.keys).unwrap(), Opened::Damaged(_)));
    }
}
