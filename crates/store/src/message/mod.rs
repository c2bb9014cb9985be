//! Messages as they stand in the log: encoded by whoever submits them, sliced out of a frame's buffer for readers.

mod envelope;
pub mod notes;
#[cfg(test)]
mod tests;
mod value;
pub mod words;

pub use envelope::{id_of, may_expire};

use crate::{DecodeError, Try};
use bytes::Bytes;
use crossdock_model::{Envelope, Fault, MessageId, Text, Timestamp};

/// What the store keeps beside an envelope.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Notes {
    /// How often it was redriven.
    pub redrives: u32,
    /// The message that this one is an edited copy of.
    pub edited_from: Option<MessageId>,
    /// Why it is a dead letter.
    pub dead: Option<DeadNote>,
    /// Why it was one before, oldest first: the first time and the last ones ([`Notes::revived`]).
    pub earlier: Vec<EarlierDeath>,
}

/// Why a message was a dead letter until it was redriven.
#[derive(Clone, PartialEq, Debug)]
pub struct EarlierDeath {
    /// What had gone wrong.
    pub cause: Fault,
    /// The target that had refused it.
    pub target: Option<Text>,
    /// When it died.
    pub dead_since: Timestamp,
    /// How many tries there had been since it was received, or redriven before.
    pub tries_total: u32,
    /// When it was redriven.
    pub redriven_at: Timestamp,
}

/// So many earlier deaths are kept of a message.
const EARLIER_MAX: usize = 8;

impl Notes {
    /// The notes of a dead letter that is redriven, beside why it was one. None if it is none.
    #[must_use]
    pub fn revived(self, redriven_at: Timestamp) -> Option<(Self, DeadNote)> {
        let Self { redrives, edited_from, dead, mut earlier } = self;
        let note = dead?;
        let DeadNote { cause, target, dead_since, tries_total, .. } = note.clone();
        if earlier.len() >= EARLIER_MAX {
            earlier.remove(1);
        }
        earlier.push(EarlierDeath { cause, target, dead_since, tries_total, redriven_at });
        Some((Self { redrives: redrives.saturating_add(1), edited_from, dead: None, earlier }, note))
    }

    /// From when on what is to be done in time counts: it was redriven for the last time, or received.
    #[must_use]
    pub fn since(&self, received_at: Timestamp) -> Timestamp {
        self.earlier.last().map_or(received_at, |death| death.redriven_at)
    }

    /// The same without what only tells of the past.
    #[must_use]
    pub fn without_earlier(self) -> Self {
        Self { earlier: Vec::new(), ..self }
    }
}

/// Why a message is a dead letter, and where it belongs.
#[derive(Clone, PartialEq, Debug)]
pub struct DeadNote {
    /// What went wrong in the end.
    pub cause: Fault,
    /// The route that gave it up.
    pub route: Text,
    /// The target that refused it; none if it is the message's own (a step, `route.no_target`, `accept`).
    pub target: Option<Text>,
    /// Since when it is dead.
    pub dead_since: Timestamp,
    /// The channel that it goes back to when redriven; none for one that `accept` did not take: it goes through
    /// `accept` again.
    pub source: Option<Text>,
    /// How many tries there were.
    pub tries_total: u32,
    /// The first and the last of them.
    pub tries: Vec<Try>,
}

/// A message ready to be put.
#[derive(Clone, Debug)]
pub struct EncodedMessage {
    pub(crate) id: MessageId,
    pub(crate) body: Bytes,
    pub(crate) checksum: u32,
}

impl EncodedMessage {
    /// Encodes and checksums, which is the work that the writer need not do.
    #[must_use]
    pub fn new(envelope: &Envelope, dead: Option<&DeadNote>) -> Self {
        match dead {
            None => Self::with_notes(envelope, &Notes::default()),
            Some(dead) => Self::with_notes(envelope, &Notes { dead: Some(dead.clone()), ..Notes::default() }),
        }
    }

    /// The same with all that can stand beside an envelope.
    #[must_use]
    pub fn with_notes(envelope: &Envelope, notes: &Notes) -> Self {
        let body = Bytes::from(envelope::encode(envelope, notes));
        Self { id: envelope.id, checksum: crc32c::crc32c(&body), body }
    }

    /// The message's id.
    #[must_use]
    pub const fn id(&self) -> MessageId {
        self.id
    }

    /// Its bytes as encoded.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.body.len()
    }

    /// Never: there is always an id.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.body.is_empty()
    }

    /// The message as it stands in a channel, for channels that keep it in a way of their own.
    #[must_use]
    pub fn stored(&self, offset: u64, appended_at: Timestamp) -> StoredMessage {
        StoredMessage { offset, appended_at, id: self.id, body: self.body.clone(), own: false }
    }
}

/// A message as it stands in a channel: a slice of the buffer that it was written from or read into. One that is held
/// for more than a moment is best [`StoredMessage::detached`], for it holds the whole buffer.
#[derive(Clone, Debug)]
pub struct StoredMessage {
    /// Its place in its channel.
    pub offset: u64,
    /// The time of the frame in which it was first appended.
    pub appended_at: Timestamp,
    pub(crate) id: MessageId,
    pub(crate) body: Bytes,
    /// Whether its buffer is its own. That nobody else has the buffer says less: it may be the last one of a frame.
    pub(crate) own: bool,
}

impl StoredMessage {
    /// The message's id.
    #[must_use]
    pub const fn id(&self) -> MessageId {
        self.id
    }

    /// Its bytes as encoded.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.body.len()
    }

    /// Never: there is always an id.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.body.is_empty()
    }

    /// The envelope; payload and texts are slices of the buffer.
    ///
    /// # Errors
    /// Only after damage that the checksum did not show.
    pub fn envelope(&self) -> Result<Envelope, DecodeError> {
        envelope::decode(&self.body).map(|(envelope, _)| envelope)
    }

    /// When it expires, as the envelope says, without decoding the rest.
    ///
    /// # Errors
    /// As for [`Self::envelope`].
    pub fn expires_at(&self) -> Result<Option<Timestamp>, DecodeError> {
        envelope::expires_at_of(&self.body)
    }

    /// What stands beside the envelope.
    ///
    /// # Errors
    /// As for [`Self::envelope`].
    pub fn notes(&self) -> Result<Notes, DecodeError> {
        envelope::decode(&self.body).map(|(_, notes)| notes)
    }

    /// Why it is a dead letter.
    ///
    /// # Errors
    /// As for [`Self::envelope`].
    pub fn dead_note(&self) -> Result<Option<DeadNote>, DecodeError> {
        Ok(self.notes()?.dead)
    }

    /// The same message in a buffer of its own, so that it no longer holds the frame's.
    #[must_use]
    pub fn detached(self) -> Self {
        if self.own {
            return self;
        }
        Self { body: Bytes::copy_from_slice(&self.body), own: true, ..self }
    }

    /// Both at once.
    ///
    /// # Errors
    /// As for [`Self::envelope`].
    pub fn decode(&self) -> Result<(Envelope, Notes), DecodeError> {
        envelope::decode(&self.body)
    }

    /// The bytes as encoded, to be put elsewhere as they are.
    #[must_use]
    pub fn encoded(&self) -> EncodedMessage {
        EncodedMessage { id: self.id, body: self.body.clone(), checksum: crc32c::crc32c(&self.body) }
    }
}
