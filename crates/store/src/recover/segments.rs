//! Which segments there are, which of them to read, and what is missing of them.

use super::{
    failed, quarantine,
    replay::Replay,
    scan::{Chunks, Found, ScanError, frame_at, scan},
    tries::Tries,
};
use crate::{
    Disk, Keyring, OpenError, OpenMode, Options,
    checkpoint::{Extra, Header, LogEnd},
    cipher::{KeyId, Unsealer, missing_key},
    disk::is_missing,
    format::{
        BLOCK_BYTES, FrameHeader, HEADER_BYTES, RecordKind, Seal, SegmentHeader, SegmentKind, SegmentRead, index_name,
        number_of, segment_name,
    },
    state::{OpenIndex, Segment, State},
    writer::remove_file,
};
use crossdock_model::Text;
use std::io;

/// The segments in the folder.
pub struct Present {
    /// Number and length, in order.
    files: Vec<(u64, u64)>,
    /// Those of which the checkpoint has no frame.
    pub beyond: Vec<u64>,
    /// The greatest number.
    pub last: u64,
}

impl Present {
    fn length(&self, number: u64) -> Option<u64> {
        self.files.iter().find(|(known, _)| *known == number).map(|(_, length)| *length)
    }

    /// Whether all segments that hold something are there to their end. Those that do not were removed after the
    /// checkpoint that still names them.
    pub fn is_whole(&self, state: &State) -> bool {
        let mut needed = state.segments.iter().filter(|(_, segment)| !segment.is_idle());
        needed.all(|(number, segment)| self.length(number).is_some_and(|length| length >= segment.end))
    }
}

/// Finds the segments in the folder.
pub fn find(disk: &dyn Disk, header: &Header, state: &State, extra: &Extra) -> Result<Present, OpenError> {
    let files = disk.list("").map_err(|error| failed("listing the data folder", "", error))?;
    let mut files: Vec<(u64, u64)> =
        files.iter().filter_map(|file| Some((number_of(&file.name, ".log")?, file.bytes))).collect();
    files.sort_unstable();
    let beyond = files.iter().map(|(number, _)| *number);
    // One below that nobody knows is what an interrupted removal left.
    // One that was begun has no frame in the checkpoint if the volume ran full just then: what came later is beyond it.
    let is_new = |number: u64| {
        let known = state.segments.get(number);
        known.is_none_or(|known| known.kind.is_log() && known.first_sequence > header.log.sequence)
    };
    let beyond = beyond.filter(|number| *number > header.log.segment && is_new(*number)).collect();
    let last = files.last().map_or(0, |(number, _)| *number).max(extra.next_segment.saturating_sub(1));
    Ok(Present { files, beyond, last })
}

/// Makes sure, before anything is changed, that what is needed of the log can be read with the keys that are given.
pub fn check_keys(
    disk: &dyn Disk,
    state: &State,
    header: &Header,
    found: &Present,
    keys: &Keyring,
) -> Result<(), OpenError> {
    let needed = |number: u64, segment: &Segment| !segment.is_idle() || number == header.log.segment;
    let known = state.segments.iter().filter(|(number, _)| found.length(*number).is_some());
    let known =
        known.filter(|(number, segment)| needed(*number, segment)).map(|(number, segment)| (number, segment.key));
    let mut all: Vec<(u64, Option<KeyId>)> = known.collect();
    for number in &found.beyond {
        let name = segment_name(*number);
        let read = || {
            Chunks::new(disk.open(&name, OpenMode::Read)?)?.get(0, BLOCK_BYTES).map(|block| match block {
                Some(block) => SegmentHeader::decode(block),
                None => SegmentRead::Invalid,
            })
        };
        match read().map_err(|error| failed("reading the log", &name, error))? {
            SegmentRead::Segment(header) if header.number == *number && header.kind.is_log() => {
                all.push((*number, header.key));
            }
            SegmentRead::Segment(_) | SegmentRead::Newer | SegmentRead::Invalid => {}
        }
    }
    if let Some((number, Some(id))) = all.iter().find(|(_, key)| !keys.has(*key)) {
        let what = format!("{} holds messages and {}", segment_name(*number), missing_key(*id, keys));
        return Err(OpenError::Key { what: Text::from(what) });
    }
    let older = all.iter().filter(|(_, key)| *key != keys.current()).count();
    if older > 0 {
        tracing::info!(
            segments = older,
            "some of the log was written under another key, or plain, and is read as it is"
        );
    }
    Ok(())
}

/// Takes in the frames beyond the checkpoint; returns the end of the log.
pub fn replay(
    disk: &dyn Disk,
    state: &mut State,
    header: &Header,
    found: &Present,
    options: &Options,
) -> Result<LogEnd, OpenError> {
    let keys = &options.keys;
    let tries = Tries::new(disk, options).map_err(|error| failed("listing the data folder", "", error))?;
    let known = state.segments.get(header.log.segment).map(Segment::seal);
    let mut replay = Replay::new(disk, state, header.log, tries);
    if let (Some(seal), Some(_)) = (known, found.length(header.log.segment)) {
        let number = header.log.segment;
        let mut chunks = durable(disk, number)?;
        let unsealer = keys.unsealer(number, seal);
        replay.segment(number, &mut chunks, &unsealer, header.log.end).map_err(|error| scan_failed(number, error))?;
    }
    for number in &found.beyond {
        let mut chunks = durable(disk, *number)?;
        let Some(segment) = segment_of(&mut chunks, *number, header, keys).map_err(|e| scan_failed(*number, e))? else {
            continue;
        };
        let unsealer = keys.unsealer(*number, segment.seal());
        replay.state.segments.insert(*number, segment);
        let from = BLOCK_BYTES as u64;
        replay.segment(*number, &mut chunks, &unsealer, from).map_err(|error| scan_failed(*number, error))?;
    }
    let cut = replay.finish().map_err(|error| scan_failed(header.log.segment, error))?;
    let end = replay.end;
    if let Some(cut) = cut {
        for (segment, range) in &cut.dropped {
            let keep = || {
                quarantine::keep(
                    disk,
                    &mut Chunks::new(disk.open(&segment_name(*segment), OpenMode::Read)?)?,
                    *segment,
                    range,
                    "tail",
                )
            };
            keep().map_err(|error| failed("keeping the tail of the log", &segment_name(*segment), error))?;
        }
        cut_off(disk, cut.segment, cut.end)
            .map_err(|error| failed("cutting the log", &segment_name(cut.segment), error))?;
    }
    forget_empty(disk, state, found)?;
    trim(disk, state, end.segment)?;
    Ok(end)
}

/// Gives back the room that was allocated behind the last frame: nothing is written to this segment any more, and on a full
/// volume each unclean stop would cost a segment.
fn trim(disk: &dyn Disk, state: &State, number: u64) -> Result<(), OpenError> {
    let Some(segment) = state.segments.get(number) else { return Ok(()) };
    let act = || {
        let file = disk.open(&segment_name(number), OpenMode::Existing)?;
        if file.length()? > segment.end {
            file.truncate(segment.end)?;
            file.sync()?;
        }
        Ok(())
    };
    match act() {
        Err(error) if !is_missing(&error) => Err(failed("trimming the log", &segment_name(number), error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// What a scan's error means to whoever opens a store.
pub fn scan_failed(number: u64, error: ScanError) -> OpenError {
    match error {
        ScanError::Io(error) => failed("reading the log", &segment_name(number), error),
        ScanError::Newer(why) => OpenError::Newer { what: Text::from_static(why.0) },
    }
}

/// Opens a segment whose end may be in the page cache only: it is made durable, then read past the cache.
fn durable(disk: &dyn Disk, number: u64) -> Result<Chunks, OpenError> {
    let name = segment_name(number);
    let open = || {
        let file = disk.open(&name, OpenMode::Existing)?;
        file.sync()?;
        Chunks::new(file)
    };
    open().map_err(|error| failed("reading the log", &name, error))
}

/// What the first block says of a segment that the checkpoint does not know; `None` if it was never begun or is no log. Where the
/// block is damaged, the first frame that is newer than the checkpoint tells the incarnation: frames of an earlier use of
/// the file are older.
fn segment_of(
    chunks: &mut Chunks,
    number: u64,
    checkpoint: &Header,
    keys: &Keyring,
) -> Result<Option<Segment>, ScanError> {
    let block = chunks.get(0, BLOCK_BYTES)?.unwrap_or_default();
    match SegmentHeader::decode(block) {
        // Copies of which the cleaner did not come to tell: what they are of is where it was.
        SegmentRead::Segment(header) if !header.kind.is_log() => return Ok(None),
        SegmentRead::Segment(header) if header.number == number && header.store == checkpoint.store => {
            return Ok(Some(fresh(header.kind, header.seal(), header.first_sequence)));
        }
        SegmentRead::Newer => return Err(ScanError::Newer(crate::DecodeError("a segment of a newer version"))),
        SegmentRead::Segment(_) | SegmentRead::Invalid => {}
    }
    let mut at = BLOCK_BYTES as u64;
    while let Some(head) = chunks.get(at, HEADER_BYTES)? {
        let incarnation = head.get(8..16).and_then(|bytes| bytes.first_chunk()).map(|bytes| u64::from_le_bytes(*bytes));
        let seal = Seal::new(incarnation.unwrap_or_default());
        if let Some((frame, _)) = FrameHeader::decode(seal, head).map_err(ScanError::Newer)?
            && frame.sequence > checkpoint.log.sequence
        {
            let seal = seal.under(key_of(chunks, number, seal, at, keys)?);
            return Ok(Some(fresh(SegmentKind::Log, seal, frame.sequence)));
        }
        at += BLOCK_BYTES as u64;
    }
    Ok(None)
}

/// The key of a segment whose first block is damaged: that under which a record of a frame can be read. Where there is none
/// with records, it makes no difference.
fn key_of(chunks: &mut Chunks, number: u64, seal: Seal, at: u64, keys: &Keyring) -> Result<Option<KeyId>, ScanError> {
    for key in keys.ids() {
        let frame = frame_at(chunks, &keys.unsealer(number, seal.under(Some(key))), at)?;
        if frame.is_some_and(|frame| frame.records.iter().any(|record| record.sound)) {
            return Ok(Some(key));
        }
    }
    Ok(None)
}

const fn fresh(kind: SegmentKind, seal: Seal, first_sequence: u64) -> Segment {
    let Seal { incarnation, key, .. } = seal;
    let (last_sequence, end) = (first_sequence.saturating_sub(1), BLOCK_BYTES as u64);
    Segment { kind, incarnation, key, first_sequence, last_sequence, end, live: 0, pins: 0, sealed: true }
}

fn cut_off(disk: &dyn Disk, segment: u64, end: u64) -> io::Result<()> {
    match disk.open(&segment_name(segment), OpenMode::Existing) {
        Ok(file) => {
            file.truncate(end)?;
            file.sync()
        }
        // The last frame may be in a segment that was dead and is gone.
        Err(error) if is_missing(&error) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Forgets segments of which no frame counts, and what memory holds of indexes that may not be complete.
fn forget_empty(disk: &dyn Disk, state: &mut State, found: &Present) -> Result<(), OpenError> {
    for number in &found.beyond {
        let name = segment_name(*number);
        let counts = state.segments.get(*number).is_some_and(|segment| segment.end > BLOCK_BYTES as u64);
        let act = || {
            remove_file(disk, &index_name(*number))?;
            if counts { Ok(()) } else { remove_file(disk, &name) }
        };
        act().map_err(|error| failed("clearing the data folder", &name, error))?;
        if !counts {
            state.segments.remove(*number);
        }
    }
    state.open_indexes.clear();
    Ok(())
}

/// Forgets segments that were removed after the checkpoint was written.
pub fn forget_removed(state: &mut State, found: &Present) {
    let gone: Vec<u64> =
        state.segments.iter().map(|(number, _)| number).filter(|n| found.length(*n).is_none()).collect();
    gone.into_iter().for_each(|number| state.segments.remove(number));
}

/// Settles as dead what stood in segments that are gone or end too soon.
pub fn check_short(disk: &dyn Disk, state: &mut State, keys: &Keyring) -> Result<(), OpenError> {
    let mut short = Vec::new();
    for (number, segment) in state.segments.iter() {
        let length = match disk.open(&segment_name(number), OpenMode::Read).and_then(|file| file.length()) {
            Ok(length) => length,
            Err(error) if is_missing(&error) => 0,
            Err(error) => return Err(failed("opening a segment", &segment_name(number), error)),
        };
        if length < segment.end {
            short.push((number, segment.seal(), length, segment.is_idle()));
        }
    }
    for (number, seal, length, is_idle) in short {
        if is_idle && length == 0 {
            state.segments.remove(number);
            continue;
        }
        tracing::error!(segment = number, length, "a segment of the log is gone or ends too soon");
        let index = if length == 0 {
            OpenIndex::default()
        } else {
            index_of(disk, number, &keys.unsealer(number, seal)).map_err(|error| scan_failed(number, error))?
        };
        let missing = state.lost_of(number, &index);
        state.missing.extend(missing);
        if length == 0 {
            state.segments.remove(number);
        } else if let Some(segment) = state.segments.get_mut(number) {
            segment.end = length;
        }
    }
    Ok(())
}

/// Makes the index of a segment by reading it; what is damaged is not in it, and a copy is kept.
pub fn index_of(disk: &dyn Disk, number: u64, unsealer: &Unsealer) -> Result<OpenIndex, ScanError> {
    let mut chunks = Chunks::new(disk.open(&segment_name(number), OpenMode::Read)?)?;
    let mut index = OpenIndex::default();
    scan(&mut chunks, unsealer, BLOCK_BYTES as u64, &mut |chunks, found| {
        match found {
            Found::Frame(frame) => {
                index.frames.push((frame.start as u32, frame.header.time));
                let puts = frame.records.iter().filter(|record| record.entry.kind == RecordKind::Put);
                for record in puts.filter(|record| record.sound) {
                    index.push(record.entry.number, record.entry.offset, record.at);
                }
            }
            Found::Damage(range) => quarantine::keep(disk, chunks, number, &range, "frame")?,
            Found::End(_) => {}
        }
        Ok(())
    })?;
    Ok(index)
}
