//! Reading a segment frame by frame, over whatever is damaged in it.

use crate::{
    DecodeError, DiskFile,
    cipher::{Opened, Unsealer},
    format::{BLOCK_BYTES, ENTRY_BYTES, Entry, FrameHeader, HEADER_BYTES, RECORD_BYTES, RecordHead, RecordKind, Seal},
    state::Applied,
};
use bytes::Bytes;
use std::{io, ops::Range, sync::Arc};

/// Bytes read at once.
const CHUNK_BYTES: usize = 1 << 20;

/// A file, read from front to back past the cache.
pub struct Chunks {
    file: Arc<dyn DiskFile>,
    length: u64,
    begin: u64,
    buffer: Vec<u8>,
}

impl Chunks {
    pub fn new(file: Arc<dyn DiskFile>) -> io::Result<Self> {
        let length = file.length()?;
        Ok(Self { file, length, begin: 0, buffer: Vec::new() })
    }

    pub const fn length(&self) -> u64 {
        self.length
    }

    /// So many bytes at a place; `None` if the file ends before.
    pub fn get(&mut self, at: u64, bytes: usize) -> io::Result<Option<&[u8]>> {
        if at.checked_add(bytes as u64).is_none_or(|end| end > self.length) {
            return Ok(None);
        }
        let held = self.begin <= at && at + bytes as u64 <= self.begin + self.buffer.len() as u64;
        if !held {
            let wanted = bytes.max(CHUNK_BYTES).min(usize::try_from(self.length - at).map_err(io::Error::other)?);
            self.buffer.resize(wanted, 0);
            let read = self.file.read_past_cache(&mut self.buffer, at)?;
            self.buffer.truncate(read);
            self.begin = at;
        }
        let from = usize::try_from(at - self.begin).map_err(io::Error::other)?;
        Ok(self.buffer.get(from..from + bytes))
    }
}

/// A frame that is whole.
#[derive(Debug)]
pub struct ScannedFrame {
    pub start: u64,
    pub header: FrameHeader,
    /// Of its header.
    pub checksum: u32,
    /// Some of which may be damaged.
    pub records: Vec<Applied>,
}

impl ScannedFrame {
    pub const fn end(&self) -> u64 {
        self.start + self.header.frame_bytes as u64
    }

    /// Whether all its records verify.
    pub fn is_whole(&self) -> bool {
        self.records.iter().all(|record| record.sound)
    }
}

/// What there is in a segment.
#[derive(Debug)]
pub enum Found {
    /// A frame.
    Frame(ScannedFrame),
    /// No frame, and a frame behind it: damage.
    Damage(Range<u64>),
    /// The end: no frame from here on. What stands here, if anything, that began as a frame of this segment.
    End(Option<Range<u64>>),
}

/// Why a scan ended early.
#[derive(Debug)]
pub enum ScanError {
    Io(io::Error),
    Newer(DecodeError),
}

impl From<io::Error> for ScanError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Reads a segment from a place on; `visit` hears of everything in order, last of the end.
pub fn scan(
    chunks: &mut Chunks,
    unsealer: &Unsealer,
    from: u64,
    visit: &mut dyn FnMut(&mut Chunks, Found) -> Result<(), ScanError>,
) -> Result<(), ScanError> {
    let mut at = from;
    loop {
        if let Some(frame) = frame_at(chunks, unsealer, at)? {
            at = frame.end();
            visit(chunks, Found::Frame(frame))?;
            continue;
        }
        match next_frame(chunks, unsealer, at)? {
            Some(next) => {
                visit(chunks, Found::Damage(at..next))?;
                at = next;
            }
            None => {
                let torn = torn_at(chunks, unsealer.seal, at)?;
                return visit(chunks, Found::End(torn));
            }
        }
    }
}

/// The frame at a place, if it is whole.
pub fn frame_at(chunks: &mut Chunks, unsealer: &Unsealer, at: u64) -> Result<Option<ScannedFrame>, ScanError> {
    let seal = unsealer.seal;
    let Some(head) = chunks.get(at, HEADER_BYTES)? else { return Ok(None) };
    let Some((header, checksum)) = FrameHeader::decode(seal, head).map_err(ScanError::Newer)? else {
        return Ok(None);
    };
    let Some(frame) = chunks.get(at, header.frame_bytes as usize)? else { return Ok(None) };
    let Some(table) = header.table(seal, frame).map_err(ScanError::Newer)? else { return Ok(None) };
    let mut begin = HEADER_BYTES + table.len() * ENTRY_BYTES;
    let mut records = Vec::with_capacity(table.len());
    for entry in table {
        let end = begin + RECORD_BYTES + entry.body_bytes as usize;
        records.push(record(unsealer, entry, (at + begin as u64) as u32, frame.get(begin..end).unwrap_or_default()));
        begin = end;
    }
    Ok(Some(ScannedFrame { start: at, header, checksum, records }))
}

/// A record of a frame, of which the bytes are these.
fn record(unsealer: &Unsealer, entry: Entry, at: u32, bytes: &[u8]) -> Applied {
    let (head, stored) = bytes.split_at_checked(RECORD_BYTES).unwrap_or_default();
    let what = (entry.kind, entry.number, entry.offset);
    let opened = RecordHead::decode(head).map_or(Opened::Damaged, |head| unsealer.open(head, what, at, stored));
    let is_put = entry.kind == RecordKind::Put;
    let (sound, body) = match opened {
        Opened::Damaged => (false, Bytes::new()),
        Opened::Locked => (true, Bytes::new()),
        Opened::AsStored | Opened::Decrypted(_) if is_put => (true, Bytes::new()),
        Opened::AsStored => (true, Bytes::copy_from_slice(stored)),
        Opened::Decrypted(body) => (true, Bytes::from(body)),
    };
    Applied { entry, at, body, sound }
}

/// Where the next whole frame begins after a place that has none.
fn next_frame(chunks: &mut Chunks, unsealer: &Unsealer, at: u64) -> Result<Option<u64>, ScanError> {
    let mut next = at + BLOCK_BYTES as u64;
    while next + BLOCK_BYTES as u64 <= chunks.length() {
        let looks = chunks.get(next, HEADER_BYTES)?.is_some_and(|head| begins_frame(head, unsealer.seal) == 2);
        if looks && frame_at(chunks, unsealer, next)?.is_some() {
            return Ok(Some(next));
        }
        next += BLOCK_BYTES as u64;
    }
    Ok(None)
}

/// How many of the two marks of a frame of this segment stand there: the magic and the incarnation.
fn begins_frame(head: &[u8], seal: Seal) -> u32 {
    let magic = head.get(..4) == Some(b"CDKF".as_slice());
    let incarnation = head.get(8..16) == Some(seal.incarnation.to_le_bytes().as_slice());
    u32::from(magic) + u32::from(incarnation)
}

/// Whether a header of the segment that the file was before stands there: it is whole under the incarnation that it names.
fn is_of_earlier_use(head: &[u8], seal: Seal) -> bool {
    let named = head.get(8..16).and_then(|bytes| bytes.try_into().ok()).map(u64::from_le_bytes);
    let earlier = named.filter(|named| *named != seal.incarnation).map(Seal::new);
    earlier.is_some_and(|earlier| !matches!(FrameHeader::decode(earlier, head), Ok(None)))
}

/// What was begun as a frame at the end, without the zeros behind it. One mark is enough: a bit may have flipped in the
/// other. In a file that was used before, old bytes stand behind the end: a frame of then, or what has neither mark.
fn torn_at(chunks: &mut Chunks, seal: Seal, at: u64) -> Result<Option<Range<u64>>, ScanError> {
    let head = chunks.get(at, HEADER_BYTES)?.unwrap_or_default();
    if begins_frame(head, seal) == 0 || is_of_earlier_use(head, seal) {
        return Ok(None);
    }
    let told = FrameHeader::decode(seal, head).map_err(ScanError::Newer)?.map(|(header, _)| header.frame_bytes);
    let most = told.map_or(4 << 20, u64::from).min(chunks.length() - at);
    let bytes = chunks.get(at, usize::try_from(most).unwrap_or(usize::MAX))?.unwrap_or_default();
    let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last as u64 + 1);
    Ok(Some(at..at + used))
}
