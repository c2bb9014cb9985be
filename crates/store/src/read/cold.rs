//! Reading messages from segments: what lies close together is read at once.

use super::Loaded;
use crate::{
    DiskFile, OpenMode, StoredMessage,
    cipher::{Opened, Unsealer},
    disk::is_missing,
    format::{RECORD_BYTES, RecordHead, RecordKind, Seal, segment_name},
    message::id_of,
    recover::keep_bytes,
    shared::Shared,
    state::{self, Segment, State},
};
use bytes::Bytes;
use crossdock_model::Timestamp;
use std::{
    collections::HashSet,
    io,
    sync::{Arc, Mutex, PoisonError},
};

/// Read at once, at most.
const SPAN_BYTES: u64 = 256 << 10;
/// Bytes read for nothing between two messages cost less than another read.
pub const GAP_BYTES: u64 = 16 << 10;
/// Read for the last message of a span, whose length is not known before.
const GUESS_BYTES: u64 = 4 << 10;

/// Where a message is on disk.
#[derive(Clone, Debug)]
pub struct Place {
    pub offset: u64,
    pub segment: u64,
    seal: Seal,
    /// Its record and the time of its frame, where memory knows them.
    known: Option<(u32, Timestamp)>,
}

/// A message whose record's first byte is known.
#[derive(Clone, Copy)]
struct Placed {
    offset: u64,
    position: u32,
    appended_at: Timestamp,
}

/// Where a live message is on disk, as far as memory knows.
pub fn place(state: &State, channel: u32, offset: u64) -> Option<Place> {
    let segment = state.channels.get(channel)?.run_of(offset)?.segment;
    let seal = state.segments.get(segment)?.seal();
    let known = state.open_indexes.get(&segment).and_then(|index| {
        let position = index.position(channel, offset)?;
        Some((position, index.time_at(position)?))
    });
    Some(Place { offset, segment, seal, known })
}

impl Shared {
    /// Reads messages of a channel, by ascending offset.
    pub fn read_cold(&self, channel: u32, places: &[Place]) -> io::Result<Vec<Loaded>> {
        let mut loaded = Vec::with_capacity(places.len());
        let mut rest = places;
        while let Some(first) = rest.first() {
            let count = rest.iter().take_while(|place| place.segment == first.segment).count();
            let (here, later) = rest.split_at(count);
            rest = later;
            let before = loaded.len();
            match self.read_segment(channel, first.segment, first.seal, here, &mut loaded) {
                // The segment was removed while nobody held the state: everything in it was settled by all, or moved.
                Err(error) if is_missing(&error) => {
                    loaded.truncate(before);
                    loaded.extend(here.iter().map(|place| Loaded::Damaged(place.offset)));
                }
                Err(error) => return Err(error),
                Ok(()) => {}
            }
        }
        Ok(loaded)
    }

    fn read_segment(
        &self,
        channel: u32,
        segment: u64,
        seal: Seal,
        places: &[Place],
        loaded: &mut Vec<Loaded>,
    ) -> io::Result<()> {
        let file = self.disk.open(&segment_name(segment), OpenMode::Read)?;
        let reader = SegmentReader { file, unsealer: self.unsealer(segment, seal), channel };
        let placed = self.positions(channel, segment, seal, places)?;
        let found: Vec<Placed> = placed.iter().flatten().copied().collect();
        let begin = loaded.len();
        let mut buffer = self.spans.take();
        reader.read(&found, &mut buffer, loaded)?;
        if loaded.len() - begin == places.len() {
            self.spans.give(buffer);
            return Ok(());
        }
        let read: HashSet<u64> = loaded.get(begin..).unwrap_or_default().iter().map(Loaded::offset).collect();
        let missing: Vec<&Place> = places.iter().filter(|place| !read.contains(&place.offset)).collect();
        // Either the record is damaged or the index is: the segment itself tells.
        let anew = self.make_index(segment, seal)?;
        for place in missing {
            let position = anew.positions(channel, &[place.offset])?.pop().flatten();
            let again = position.and_then(|position| {
                let appended_at = anew.time_at(position)?;
                Some(Placed { offset: place.offset, position, appended_at })
            });
            let before = loaded.len();
            if let Some(again) = again {
                reader.read(&[again], &mut buffer, loaded)?;
            }
            if loaded.len() == before {
                let was = placed.iter().flatten().find(|placed| placed.offset == place.offset);
                if let Some(was) = was {
                    self.quarantine(&*reader.file, segment, u64::from(was.position))?;
                }
                loaded.push(Loaded::Damaged(place.offset));
            }
        }
        Ok(())
    }

    /// Where the records of messages of a segment begin.
    fn positions(&self, channel: u32, segment: u64, seal: Seal, places: &[Place]) -> io::Result<Vec<Option<Placed>>> {
        if places.iter().all(|place| place.known.is_some()) {
            let placed = |place: &Place| {
                let (position, appended_at) = place.known?;
                Some(Placed { offset: place.offset, position, appended_at })
            };
            return Ok(places.iter().map(placed).collect());
        }
        let index = self.index(segment, seal)?;
        let offsets: Vec<u64> = places.iter().map(|place| place.offset).collect();
        let positions = index.positions(channel, &offsets)?;
        let placed = |(offset, position): (&u64, Option<u32>)| {
            let position = position?;
            Some(Placed { offset: *offset, position, appended_at: index.time_at(position)? })
        };
        Ok(offsets.iter().zip(positions).map(placed).collect())
    }

    /// When a message that is on disk was appended.
    pub fn time_of(&self, channel: u32, place: &Place) -> Option<Timestamp> {
        let is_log = self.state().segments.get(place.segment).is_none_or(|segment| segment.kind.is_log());
        if !is_log {
            // A copy tells it itself.
            return match self.read_cold(channel, std::slice::from_ref(place)).ok()?.pop()? {
                Loaded::Message(message) => Some(message.appended_at),
                Loaded::Damaged(_) => None,
            };
        }
        let placed = self.positions(channel, place.segment, place.seal, std::slice::from_ref(place)).ok()?;
        placed.into_iter().flatten().next().map(|placed| placed.appended_at)
    }

    /// The body of a record that is no message; `None` if it is damaged or gone.
    pub fn read_record(
        &self,
        place: state::Place,
        kind: RecordKind,
        number: u32,
        offset: u64,
    ) -> io::Result<Option<Bytes>> {
        let Some(seal) = self.state().segments.get(place.segment).map(Segment::seal) else {
            return Ok(None);
        };
        let file = match self.disk.open(&segment_name(place.segment), OpenMode::Read) {
            Ok(file) => file,
            Err(error) if is_missing(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        let reader = SegmentReader { file, unsealer: self.unsealer(place.segment, seal), channel: number };
        let mut span = vec![0; GUESS_BYTES as usize];
        let span = fill(&*reader.file, &mut span, u64::from(place.at))?;
        Ok(reader.record(span, 0, u64::from(place.at), kind, offset)?.map(|(_, body)| body))
    }

    fn quarantine(&self, file: &dyn DiskFile, segment: u64, position: u64) -> io::Result<()> {
        let mut bytes = vec![0; GUESS_BYTES as usize];
        let read = file.read_at(&mut bytes, position)?;
        keep_bytes(&*self.disk, segment, position, bytes.get(..read).unwrap_or_default(), "record")
    }
}

/// Buffers for spans, kept from read to read, so that not each has to be had from the system anew.
#[derive(Default)]
pub struct Spans(Mutex<Vec<Vec<u8>>>);

/// So many are kept; more readers at once than that have one of their own for the while.
const SPANS_KEPT: usize = 2;

impl Spans {
    fn take(&self) -> Vec<u8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    fn give(&self, buffer: Vec<u8>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < SPANS_KEPT {
            kept.push(buffer);
        }
    }
}

struct SegmentReader {
    file: Arc<dyn DiskFile>,
    unsealer: Unsealer,
    /// The channel of the messages, or the number that other records have.
    channel: u32,
}

impl SegmentReader {
    /// Reads messages by ascending position; one that does not verify is left out.
    fn read(&self, placed: &[Placed], buffer: &mut Vec<u8>, loaded: &mut Vec<Loaded>) -> io::Result<()> {
        let mut rest = placed;
        while let Some(first) = rest.first() {
            let start = u64::from(first.position);
            let mut end = start;
            let fits = |placed: &&Placed| {
                let position = u64::from(placed.position);
                let close = position >= end && position - end <= GAP_BYTES && position - start <= SPAN_BYTES;
                end = position;
                close
            };
            let count = rest.iter().take_while(fits).count().max(1);
            let (here, later) = rest.split_at(count);
            rest = later;
            let last = here.last().map_or(start, |last| u64::from(last.position));
            let bytes = usize::try_from(last - start + GUESS_BYTES).map_err(io::Error::other)?;
            buffer.resize(buffer.len().max(bytes), 0);
            let span = fill(&*self.file, buffer.get_mut(..bytes).unwrap_or_default(), start)?;
            for placed in here {
                let position = u64::from(placed.position);
                let at = usize::try_from(position - start).map_err(io::Error::other)?;
                let Some((head, body)) = self.record(span, at, position, RecordKind::Put, placed.offset)? else {
                    continue;
                };
                let told = if head.is_copy() { copied(&body) } else { Some((placed.appended_at, body)) };
                if let Some((appended_at, body)) = told
                    && let Ok(id) = id_of(&body)
                {
                    let offset = placed.offset;
                    loaded.push(Loaded::Message(StoredMessage { offset, appended_at, id, body, own: true }));
                }
            }
        }
        Ok(())
    }

    /// The record at a place of a span, copied out of it; what the span has not is read. `None` if it does not verify.
    fn record(
        &self,
        span: &[u8],
        at: usize,
        position: u64,
        kind: RecordKind,
        offset: u64,
    ) -> io::Result<Option<(RecordHead, Bytes)>> {
        let Some(Ok(head)) = span.get(at..at + RECORD_BYTES).map(RecordHead::decode) else { return Ok(None) };
        let (begin, bytes) = (at + RECORD_BYTES, head.body_bytes as usize);
        let within = span.get(begin..begin + bytes);
        let apart = if within.is_some() {
            None
        } else {
            // A length that is damaged must not reserve memory beyond the file.
            let from = position + RECORD_BYTES as u64;
            if from + bytes as u64 > self.file.length()? {
                return Ok(None);
            }
            let mut body = vec![0; bytes];
            let read = self.file.read_at(&mut body, from)?;
            body.truncate(read);
            Some(body)
        };
        let within = within.unwrap_or_default();
        let what = (kind, self.channel, offset);
        match self.unsealer.open(
            head,
            what,
            u32::try_from(position).unwrap_or(u32::MAX),
            apart.as_deref().unwrap_or(within),
        ) {
            Opened::AsStored => Ok(Some((head, apart.map_or_else(|| Bytes::copy_from_slice(within), Bytes::from)))),
            Opened::Decrypted(plain) => Ok(Some((head, Bytes::from(plain)))),
            Opened::Damaged => Ok(None),
            // Opening the store made sure that the key is there.
            Opened::Locked => Err(io::Error::other("the key of a segment is not there")),
        }
    }
}

/// Reads what there is of the bytes from a place on.
fn fill<'a>(file: &dyn DiskFile, buffer: &'a mut [u8], at: u64) -> io::Result<&'a [u8]> {
    let read = file.read_at(buffer, at)?;
    Ok(buffer.get(..read).unwrap_or_default())
}

/// When the message of a copy was first appended, and the message.
fn copied(body: &Bytes) -> Option<(Timestamp, Bytes)> {
    let (time, _) = body.split_first_chunk()?;
    Some((Timestamp(i64::from_le_bytes(*time)), body.slice(time.len()..)))
}
