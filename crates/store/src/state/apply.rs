//! Taking in a frame.

use super::{Channel, ENDED_OPERATIONS_MAX, HeldFrame, Place, Slot, State, subscription::Update};
use crate::{
    ChannelKind, DecodeError, OffsetRun, Operation, OperationState, Touch, Watch,
    format::{self, Entry, RECORD_BYTES, Reader, RecordKind},
    message::may_expire,
};
use bytes::Bytes;
use crossdock_model::{Text, Timestamp};
use std::sync::Arc;

/// A frame as it stands in the log.
#[derive(Debug)]
pub struct AppliedFrame {
    pub segment: u64,
    /// Its first byte in the segment.
    pub start: u32,
    pub bytes: u32,
    pub sequence: u64,
    pub time: Timestamp,
    pub records: Vec<Applied>,
    /// The frame itself, if readers shall find it in memory.
    pub buffer: Option<Bytes>,
}

/// A record of a frame.
#[derive(Debug)]
pub struct Applied {
    pub entry: Entry,
    /// Its first byte in the segment.
    pub at: u32,
    /// Its body; not needed of a message, nor of a key in a frame whose buffer is there.
    pub body: Bytes,
    /// Whether its checksum held.
    pub sound: bool,
}

impl AppliedFrame {
    fn body<'a>(&'a self, record: &'a Applied) -> &'a [u8] {
        let Some(buffer) = &self.buffer else { return &record.body };
        let begin = (record.at - self.start) as usize + RECORD_BYTES;
        buffer.get(begin..begin + record.entry.plain_bytes() as usize).unwrap_or_default()
    }
}

impl State {
    /// Takes in a frame. Returns who has something new to fetch.
    ///
    /// # Errors
    /// If a record says what is not known here: a newer version wrote it.
    pub fn apply(&mut self, frame: &AppliedFrame) -> Result<Vec<Watch>, DecodeError> {
        if let Some(segment) = self.segments.get_mut(frame.segment) {
            segment.last_sequence = frame.sequence;
            segment.end = u64::from(frame.start) + u64::from(frame.bytes);
        }
        self.open_indexes.entry(frame.segment).or_default().frames.push((frame.start, frame.time));
        let mut puts: Vec<(u32, u32)> = Vec::new();
        let mut relieved = Vec::new();
        let mut keys = false;
        for record in &frame.records {
            match record.entry.kind {
                // A checkpoint tells of copies; none is in the log.
                _ if record.entry.is_copy() => {}
                RecordKind::Put => {
                    self.apply_put(frame, record);
                    match puts.iter_mut().find(|(channel, _)| *channel == record.entry.number) {
                        Some((_, count)) => *count += 1,
                        None => puts.push((record.entry.number, 1)),
                    }
                }
                _ if !record.sound => tracing::error!(
                    segment = frame.segment,
                    at = record.at,
                    kind = ?record.entry.kind,
                    number = record.entry.number,
                    "a record of the log is damaged and was skipped; what it settled may be delivered again"
                ),
                RecordKind::Declare => self.declare(record.entry.number, format::declaration(&record.body)?),
                RecordKind::Settle => {
                    self.apply_settle(record, &mut relieved)?;
                }
                RecordKind::Touch => {
                    let touch = format::touch(record.entry.number, record.entry.offset, &record.body)?;
                    self.reveal(record.entry.number, touch.offset.checked_add(1));
                    self.touch(&touch, Place { segment: frame.segment, at: record.at });
                }
                RecordKind::Key => {
                    let key = format::key(&mut Reader::new(frame.body(record)))?;
                    self.keys.insert(record.entry.number, key, frame.time);
                    keys = true;
                }
                RecordKind::Operation => {
                    let operation = format::operation(&mut Reader::new(&record.body), &record.body)?;
                    self.note_operation(operation);
                }
            }
        }
        if keys {
            self.keys.expire(frame.time);
        }
        let mut watches = self.watches(&puts);
        watches.extend(relieved.into_iter().filter_map(|reader| self.watch_of(reader)));
        if let Some(buffer) = frame.buffer.clone() {
            self.window.push(HeldFrame { buffer, time: frame.time, puts });
        }
        Ok(watches)
    }

    fn watches(&self, puts: &[(u32, u32)]) -> Vec<Watch> {
        let readers = puts.iter().filter_map(|(channel, _)| self.channels.get(*channel));
        let readers = readers.flat_map(|channel| &channel.subscriptions);
        readers.filter_map(|reader| self.watch_of(*reader)).collect()
    }

    fn watch_of(&self, reader: u32) -> Option<Watch> {
        self.subscriptions.get(reader)?.watch.as_ref().map(Arc::clone)
    }

    /// Settles. Who can fetch again, though nothing new came, is relieved: those that follow the subscription, if it has come
    /// further.
    fn apply_settle(&mut self, record: &Applied, relieved: &mut Vec<u32>) -> Result<(), DecodeError> {
        let number = record.entry.number;
        let (outcome, offsets) = format::settle(&record.body)?;
        let look = |state: &Self| state.subscriptions.get(number).map_or(0, |reader| reader.settled.floor());
        let floor = look(self);
        self.reveal(number, offsets.runs().iter().map(|r| r.first + r.count).max());
        self.settle(number, outcome, &offsets);
        if look(self) > floor
            && let Some(reader) = self.subscriptions.get(number)
        {
            relieved.extend(&reader.followers);
        }
        Ok(())
    }

    fn apply_put(&mut self, frame: &AppliedFrame, record: &Applied) {
        let (number, offset) = (record.entry.number, record.entry.offset);
        if self.channels.get(number).is_none() {
            self.declare_lost(number);
        }
        self.skip_to(number, offset);
        let frame_number = self.window.next_number();
        let Some(channel) = self.channels.get_mut(number).filter(|channel| channel.next_offset == offset) else {
            tracing::error!(
                channel = number,
                offset,
                "the log gives an offset a second time; the later one was skipped"
            );
            return;
        };
        let bytes = record.entry.plain_bytes();
        channel.append(frame.segment, u64::from(bytes), &mut self.segments);
        if frame.buffer.is_none() || may_expire(frame.body(record)) {
            channel.expiring_below = offset + 1;
        }
        if frame.buffer.is_some() {
            let at = record.at - frame.start + RECORD_BYTES as u32;
            channel.recent.push(offset, Slot { frame: frame_number, at, bytes });
        }
        let index = self.open_indexes.entry(frame.segment).or_default();
        index.push(number, offset, record.at);
        self.count_appended(number, 1);
        if !record.sound {
            self.missing.push((number, OffsetRun { first: offset, count: 1 }));
        }
    }

    /// Offsets were given up to here, as a record shows that came through; those not seen are lost, unless a later record
    /// settles them.
    fn skip_to(&mut self, number: u32, offset: u64) {
        let Some(channel) = self.channels.get_mut(number).filter(|channel| channel.next_offset < offset) else {
            return;
        };
        let lost = OffsetRun { first: channel.next_offset, count: offset - channel.next_offset };
        let keeps = channel.keeps();
        (channel.next_offset, channel.expiring_below) = (offset, offset);
        if keeps {
            channel.messages += lost.count;
            self.missing.push((number, lost));
        } else {
            channel.done.settle(lost);
        }
        self.count_appended(number, lost.count);
    }

    fn reveal(&mut self, subscription: u32, next_offset: Option<u64>) {
        if let (Some(next), Some(channel)) = (next_offset, self.subscriptions.get(subscription).map(|s| s.channel)) {
            self.skip_to(channel, next);
        }
    }

    /// A channel whose declaration was lost: its messages are kept under a name that tells.
    fn declare_lost(&mut self, number: u32) {
        let name = Text::from(format!("lost-channel-{number}"));
        tracing::error!(channel = number, %name, "the declaration of a channel was lost; it is kept under another name");
        self.channel_numbers.insert(name.clone(), number);
        self.channels.insert(number, Channel::new(ChannelKind::Queue, name));
    }

    /// Notes a try, if the message is still pending.
    fn touch(&mut self, touch: &Touch, place: Place) {
        let Some(subscription) = self.subscriptions.get_mut(touch.subscription.0) else { return };
        if subscription.settled.has(touch.offset) {
            return;
        }
        match subscription.touched.hold(touch.offset).update(touch, place) {
            Update::Noted => {}
            Update::Kept => self.segments.pin(place),
            Update::Replaces(dropped) => {
                self.segments.pin(place);
                self.segments.unpin(dropped);
            }
        }
    }

    pub fn note_operation(&mut self, operation: Operation) {
        match self.operations.iter_mut().find(|known| known.id == operation.id) {
            Some(known) => *known = operation,
            None => self.operations.push(operation),
        }
        let ended = |operation: &Operation| operation.state != OperationState::Running;
        if self.operations.iter().filter(|operation| ended(operation)).count() > ENDED_OPERATIONS_MAX
            && let Some(oldest) = self.operations.iter().position(ended)
        {
            self.operations.remove(oldest);
        }
    }

    /// Lets go of frames beyond the bound; gives their buffers.
    pub fn shrink_window(&mut self, bytes_max: usize) -> Vec<Bytes> {
        let mut left = Vec::new();
        while let Some(frame) = self.window.pop_beyond(bytes_max) {
            let end = self.window.next_number() - self.window.len() as u64;
            for (channel, _) in frame.puts {
                if let Some(channel) = self.channels.get_mut(channel) {
                    channel.recent.forget(end);
                }
            }
            left.push(frame.buffer);
        }
        left
    }
}
