//! `crossdock verify`: reads every byte of a store and says what is wrong with it.

use crate::{
    Disk, Keyring, OffsetRun, OpenError, OpenMode,
    checkpoint::{self, CheckpointRead, Extra, Header},
    cipher::{FileError, missing_key},
    format::{BLOCK_BYTES, RecordKind, SegmentHeader, SegmentRead, number_of, segment_name},
    keys::{self, Opened, file_name},
    recover::{Chunks, Found, Newest, ScannedFrame, failed, newest_checkpoint, scan, scan_failed, sealed, take_lock},
    state::{OpenIndex, Segment, State},
    tries::{self, RunError},
};
use crossdock_model::Text;
use std::{io, ops::Range};

/// What a store's files hold.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Report {
    /// Segments read.
    pub segments: u64,
    /// Frames that are whole.
    pub frames: u64,
    /// Records that are whole.
    pub records: u64,
    /// Messages among them.
    pub messages: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Bytes of a frame that was being written when the store was stopped; the next start cuts them. Damage to the very
    /// last frame looks the same.
    pub torn_bytes: u64,
    /// What could not be checked for want of a key, but for its checksums.
    pub unchecked: Vec<Finding>,
    /// What is wrong; empty for a sound store.
    pub findings: Vec<Finding>,
}

/// Something that is wrong with a file, or could not be checked of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// The file.
    pub file: Text,
    /// The first byte of it.
    pub at: u64,
    /// What it is.
    pub what: Text,
}

/// Reads all files of a plain store that no process holds, and changes nothing.
///
/// # Errors
/// As for opening; damage is no error but a finding.
pub fn verify(disk: &dyn Disk) -> Result<Report, OpenError> {
    verify_with(disk, &Keyring::default())
}

/// Reads all files of a store that no process holds, with the keys that it is encrypted under, and changes nothing. Without a
/// key only the checksums of what it encrypts are checked, which is told.
///
/// # Errors
/// As for opening; damage is no error but a finding.
pub fn verify_with(disk: &dyn Disk, keys: &Keyring) -> Result<Report, OpenError> {
    let _lock = take_lock(disk)?;
    let mut report = Report::default();
    for name in checkpoint::FILES {
        let read = checkpoint::read(disk, name).map_err(|error| failed("reading a checkpoint", name, error))?;
        if let CheckpointRead::Damaged = read {
            report.find(name, 0, "it is not whole; the other one counts, and the next one replaces it");
        }
    }
    let Some(Newest { header, body, .. }) = newest_checkpoint(disk)? else { return Ok(report) };
    let (state, extra) = match body.open(&header, keys) {
        Ok(body) => {
            let newer = |why: crate::DecodeError| OpenError::Newer { what: Text::from_static(why.0) };
            checkpoint::decode_body(&body).map_err(newer)?
        }
        // What is to be found cannot be told then; what is there is read.
        Err(error) => {
            report.leave(checkpoint::file_of(&header), sealed(error, keys).to_string());
            (State::default(), Extra::default())
        }
    };
    key_files(disk, &extra, keys, &mut report)?;
    try_files(disk, &extra, keys, &mut report)?;
    let files = disk.list("").map_err(|error| failed("listing the data folder", "", error))?;
    let mut numbers: Vec<u64> = files.iter().filter_map(|file| number_of(&file.name, ".log")).collect();
    numbers.sort_unstable();
    for (number, _) in state.segments.iter().filter(|(number, _)| !numbers.contains(number)) {
        lost(&state, number, &OpenIndex::default(), &mut report);
    }
    let mut last = header.log.sequence;
    let known = Known { keys, checkpoint: &header, state: &state };
    for number in numbers {
        segment(disk, &known, number, &mut last, &mut report)?;
    }
    Ok(report)
}

impl Report {
    fn find(&mut self, file: &str, at: u64, what: impl Into<Text>) {
        self.findings.push(Finding { file: Text::from(file), at, what: what.into() });
    }

    fn leave(&mut self, file: &str, what: impl Into<Text>) {
        self.unchecked.push(Finding { file: Text::from(file), at: 0, what: what.into() });
    }
}

/// Whether a file of keys is as it was written. Reads all of it.
fn is_sound(disk: &dyn Disk, number: u64, keys: &Keyring) -> io::Result<bool> {
    match keys::open(disk, number, keys)? {
        Opened::Whole(file) => {
            for block in 0..file.blocks() {
                if !file.is_sound(block)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        Opened::Earlier(_) => Ok(true),
        Opened::Damaged(_) => Ok(false),
    }
}

fn key_files(disk: &dyn Disk, extra: &Extra, keys: &Keyring, report: &mut Report) -> Result<(), OpenError> {
    for number in &extra.key_files {
        let name = file_name(*number);
        let sound = is_sound(disk, *number, keys).map_err(|error| failed("reading keys", &name, error))?;
        if !sound {
            report.find(&name, 0, "it is damaged or gone; repetitions of its keys may be stored again");
        }
    }
    Ok(())
}

fn try_files(disk: &dyn Disk, extra: &Extra, keys: &Keyring, report: &mut Report) -> Result<(), OpenError> {
    for number in &extra.try_files {
        let name = tries::file_name(*number);
        let read = tries::open(disk, *number, keys)
            .and_then(|file| (0..file.blocks()).try_for_each(|block| file.block(block).map(drop)));
        match read {
            Ok(()) => {}
            Err(RunError::Io(error)) => return Err(failed("reading tries", &name, error)),
            Err(RunError::Key(why @ FileError::NoKey(_))) => report.leave(&name, sealed(why, keys).to_string()),
            Err(why @ (RunError::Damaged(_) | RunError::Key(_))) => {
                report.find(&name, 0, format!("{why}; some of its messages count as never tried"));
            }
        }
    }
    Ok(())
}

/// What the segments are held against.
struct Known<'a> {
    keys: &'a Keyring,
    checkpoint: &'a Header,
    state: &'a State,
}

fn segment(
    disk: &dyn Disk,
    Known { keys, checkpoint, state }: &Known<'_>,
    number: u64,
    last: &mut u64,
    report: &mut Report,
) -> Result<(), OpenError> {
    let name = segment_name(number);
    let open = || Chunks::new(disk.open(&name, OpenMode::Read)?);
    let mut chunks = open().map_err(|error: io::Error| failed("reading the log", &name, error))?;
    report.segments += 1;
    report.bytes += chunks.length();
    let known = state.segments.get(number);
    let block = chunks.get(0, BLOCK_BYTES).map_err(|error| failed("reading the log", &name, error))?;
    let told = match SegmentHeader::decode(block.unwrap_or_default()) {
        SegmentRead::Segment(header) if header.number == number => Some(header.seal()),
        SegmentRead::Segment(_) | SegmentRead::Invalid => None,
        SegmentRead::Newer => return Err(OpenError::Newer { what: Text::from(name) }),
    };
    if told.is_none() && (known.is_some() || number >= checkpoint.log.segment) && !is_unused(&mut chunks, &name)? {
        report.find(&name, 0, "its first block is damaged");
    }
    let Some(seal) = known.map(Segment::seal).or(told) else { return Ok(()) };
    let (mut index, mut before, records) = (OpenIndex::default(), None, report.records);
    scan(&mut chunks, &keys.unsealer(number, seal), BLOCK_BYTES as u64, &mut |_, found| {
        match found {
            Found::Frame(frame) => {
                let expected =
                    before.or((number > checkpoint.log.segment).then_some(*last)).map(|before: u64| before + 1);
                if expected.is_some_and(|expected| frame.header.sequence > expected) {
                    report.find(&name, frame.start, "frames before it are lost");
                }
                before = Some(frame.header.sequence);
                *last = frame.header.sequence.max(*last);
                frame_found(&name, &frame, &mut index, report);
            }
            Found::Damage(Range { start, end }) => {
                report.find(&name, start, format!("{} bytes are no frame, with frames behind them", end - start));
            }
            Found::End(torn) => report.torn_bytes += torn.map_or(0, |range| range.end - range.start),
        }
        Ok(())
    })
    .map_err(|error| scan_failed(number, error))?;
    if let Some(id) = seal.key.filter(|_| !keys.has(seal.key)) {
        let records = report.records - records;
        report.leave(&name, format!("the checksums of its {records} records hold, but {}", missing_key(id, keys)));
    }
    lost(state, number, &index, report);
    Ok(())
}

/// Whether a file has nothing in it yet: its making was interrupted.
fn is_unused(chunks: &mut Chunks, name: &str) -> Result<bool, OpenError> {
    let block = chunks.get(BLOCK_BYTES as u64, BLOCK_BYTES).map_err(|error| failed("reading the log", name, error))?;
    Ok(block.is_none_or(|block| block.iter().all(|byte| *byte == 0)))
}

fn frame_found(name: &str, frame: &ScannedFrame, index: &mut OpenIndex, report: &mut Report) {
    report.frames += 1;
    for record in &frame.records {
        let (kind, number, offset) = (record.entry.kind, record.entry.number, record.entry.offset);
        if !record.sound {
            let what = format!("a record is damaged: {kind:?} of number {number}, offset {offset}");
            report.find(name, u64::from(record.at), what);
            continue;
        }
        report.records += 1;
        if kind == RecordKind::Put {
            report.messages += 1;
            index.push(number, offset, record.at);
        }
    }
}

/// Finds messages that the checkpoint says are in a segment and are not.
fn lost(state: &State, segment: u64, index: &OpenIndex, report: &mut Report) {
    for (channel, OffsetRun { first, count }) in state.lost_of(segment, index) {
        let name = state.channels.get(channel).map(|channel| channel.name.clone()).unwrap_or_default();
        let what = format!("{count} messages of `{name}` from offset {first} on are lost");
        report.find(&segment_name(segment), 0, what);
    }
}
