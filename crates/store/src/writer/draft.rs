//! A frame in the making.

use crate::{
    EncodedMessage, StoredMessage,
    checkpoint::LogEnd,
    cipher::{SegmentCipher, TAG_BYTES},
    format::{
        ENTRY_BYTES, Entry, FLAG_COPY, FrameHeader, HEADER_BYTES, RECORD_BYTES, RecordKind, Seal, Write, frame_bytes,
    },
    state::{Applied, AppliedFrame},
};
use aws_lc_rs::error::Unspecified;
use bytes::Bytes;
use crossdock_model::Timestamp;
use std::ops::Range;

/// Memory for so many records is kept from frame to frame.
const KEPT_RECORDS: usize = 4096;

/// Records that will be a frame.
#[derive(Default)]
pub struct Draft {
    records: Vec<Record>,
    records_bytes: u64,
    /// The bodies of what is no message.
    small: Vec<u8>,
    /// What every record of it is marked with.
    flags: u8,
}

struct Record {
    entry: Entry,
    body: Body,
}

enum Body {
    Message(EncodedMessage),
    Small(Range<usize>),
}

/// What stands in a frame's header beside what the draft knows.
#[derive(Clone, Copy, Debug)]
pub struct Stamp {
    pub seal: Seal,
    /// Where the frame will begin in its segment.
    pub segment: u64,
    pub start: u32,
    pub sequence: u64,
    pub synced_sequence: u64,
    pub time: Timestamp,
    pub previous_checksum: u32,
    pub closing: bool,
}

impl Draft {
    /// One whose records are copies.
    pub fn of_copies() -> Self {
        Self { flags: FLAG_COPY, ..Self::default() }
    }

    /// The same without records; what a usual frame needs of its memory is kept.
    pub fn emptied(mut self) -> Self {
        self.records.clear();
        self.small.clear();
        self.records.shrink_to(KEPT_RECORDS);
        self.small.shrink_to(KEPT_RECORDS * ENTRY_BYTES);
        Self { records: self.records, small: self.small, ..Self::default() }
    }

    /// Adds the copy of a message, with the time at which it was first appended.
    pub fn push_copy(&mut self, channel: u32, message: &StoredMessage) {
        self.push_small(RecordKind::Put, channel, message.offset, |to| {
            to.put_u64(message.appended_at.millis().cast_unsigned());
            to.put_raw(&message.body);
        });
    }

    /// Whether it notes keys.
    pub fn has_keys(&self) -> bool {
        self.records.iter().any(|record| record.entry.kind == RecordKind::Key)
    }

    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Bytes of the frame that it would make, if it is not encrypted.
    pub fn frame_bytes(&self) -> u64 {
        self.frame_bytes_on_disk(0)
    }

    /// Bytes of the frame that it would make, if each record is longer on disk by so many.
    pub fn frame_bytes_on_disk(&self, record_overhead: u64) -> u64 {
        frame_bytes(self.records.len() as u64, self.records_bytes_with(record_overhead))
    }

    fn records_bytes_with(&self, record_overhead: u64) -> u64 {
        self.records_bytes + self.records.len() as u64 * record_overhead
    }

    /// Bytes that a frame grows by, at most, with a record of so many bytes.
    pub const fn growth(body_bytes: usize) -> u64 {
        (ENTRY_BYTES + RECORD_BYTES + body_bytes + TAG_BYTES) as u64
    }

    pub fn push_message(&mut self, channel: u32, offset: u64, message: EncodedMessage) {
        let body_bytes = message.len() as u32;
        let entry =
            Entry { kind: RecordKind::Put, flags: self.flags, failed_writes: 0, body_bytes, number: channel, offset };
        self.push(entry, Body::Message(message));
    }

    /// Adds a record whose body is written by a function.
    pub fn push_small(&mut self, kind: RecordKind, number: u32, offset: u64, write: impl FnOnce(&mut Vec<u8>)) {
        let begin = self.small.len();
        write(&mut self.small);
        let body_bytes = (self.small.len() - begin) as u32;
        let entry = Entry { kind, flags: self.flags, failed_writes: 0, body_bytes, number, offset };
        self.push(entry, Body::Small(begin..self.small.len()));
    }

    fn push(&mut self, entry: Entry, body: Body) {
        self.records_bytes += RECORD_BYTES as u64 + u64::from(entry.body_bytes);
        self.records.push(Record { entry, body });
    }

    /// The frame's bytes, what is to be applied once they are written, and the end of the log after them. Readers find in
    /// memory what is not encrypted. `frame` is empty; its memory becomes the frame's.
    pub fn seal(
        &self,
        stamp: Stamp,
        cipher: Option<&SegmentCipher>,
        mut frame: Vec<u8>,
    ) -> Result<(Bytes, AppliedFrame, LogEnd), Unspecified> {
        let overhead = if cipher.is_some() { TAG_BYTES } else { 0 };
        let on_disk = |entry: Entry| cipher.map_or(entry, |cipher| entry.encrypted(cipher.failed_writes));
        let bytes = self.frame_bytes_on_disk(overhead as u64) as usize;
        frame.reserve_exact(bytes);
        frame.resize(HEADER_BYTES, 0);
        self.records.iter().for_each(|record| on_disk(record.entry).put(&mut frame));
        let table_checksum = stamp.seal.of(frame.get(HEADER_BYTES..).unwrap_or_default());
        let mut records = Vec::with_capacity(self.records.len());
        for Record { entry, body } in &self.records {
            let at = stamp.start + frame.len() as u32;
            let (body, checksum) = match body {
                Body::Message(message) => (message.body.as_ref(), message.checksum),
                Body::Small(range) => {
                    let body = self.small.get(range.clone()).unwrap_or_default();
                    (body, crc32c::crc32c(body))
                }
            };
            let entry = on_disk(*entry);
            entry.put_record_head(&mut frame, entry.checksum(stamp.seal, checksum));
            frame.put_raw(body);
            frame.resize(frame.len() + overhead, 0);
            records.push(Applied { entry, at, body: Bytes::new(), sound: true });
        }
        frame.resize(bytes, 0);
        let header = FrameHeader {
            closing: stamp.closing,
            sequence: stamp.sequence,
            synced_sequence: stamp.synced_sequence,
            time: stamp.time,
            frame_bytes: bytes as u32,
            records: self.records.len() as u32,
            table_checksum,
            records_bytes: self.records_bytes_with(overhead as u64) as u32,
            previous_checksum: stamp.previous_checksum,
        };
        let (head, checksum) = header.encode(stamp.seal);
        if let Some(place) = frame.get_mut(..HEADER_BYTES) {
            place.copy_from_slice(&head);
        }
        let end = LogEnd {
            sequence: stamp.sequence,
            segment: stamp.segment,
            end: u64::from(stamp.start) + bytes as u64,
            checksum,
        };
        let buffer = Bytes::from(frame);
        let written = match cipher {
            None => buffer.clone(),
            Some(cipher) => encrypted(cipher, &stamp, &records, &buffer)?,
        };
        for record in &mut records {
            record.body = body(record, &stamp, &buffer);
        }
        let frame = AppliedFrame {
            segment: stamp.segment,
            start: stamp.start,
            bytes: bytes as u32,
            sequence: stamp.sequence,
            time: stamp.time,
            records,
            buffer: Some(buffer),
        };
        Ok((written, frame, end))
    }
}

/// The frame as it is on disk: with its records encrypted, each of which has room for it.
fn encrypted(cipher: &SegmentCipher, stamp: &Stamp, records: &[Applied], plain: &[u8]) -> Result<Bytes, Unspecified> {
    let mut frame = plain.to_vec();
    for Applied { entry, at, .. } in records {
        let begin = (at - stamp.start) as usize;
        let body = begin + RECORD_BYTES..begin + RECORD_BYTES + entry.body_bytes as usize;
        let body = frame.get_mut(body).ok_or(Unspecified)?;
        cipher.encrypt(*entry, *at, body)?;
        let checksum = entry.checksum(stamp.seal, crc32c::crc32c(body));
        let place = frame.get_mut(begin + RECORD_BYTES - 4..begin + RECORD_BYTES).ok_or(Unspecified)?;
        place.copy_from_slice(&checksum.to_le_bytes());
    }
    Ok(Bytes::from(frame))
}

/// What is said of a record beside where it is; most are messages and keys, of which the frame's buffer does.
fn body(record: &Applied, stamp: &Stamp, buffer: &Bytes) -> Bytes {
    match record.entry.kind {
        RecordKind::Put | RecordKind::Key => Bytes::new(),
        RecordKind::Declare | RecordKind::Settle | RecordKind::Touch | RecordKind::Operation => {
            let begin = (record.at - stamp.start) as usize + RECORD_BYTES;
            buffer.slice(begin..begin + record.entry.plain_bytes() as usize)
        }
    }
}
