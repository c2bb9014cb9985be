//! An edited copy of a dead letter: a message of its own that names the one it was made of, put where that one failed.
//!
//! The copy has another id, so that a receiver which remembers the original's refusal takes it as what it is. The original
//! leaves the dead letters in the frame that stores the copy: sent back later with all others, it would be delivered
//! beside it. Who wants to have it still says so.

use super::{
    release::{Release, release_as},
    run::instead_of,
};
use crate::{
    Gateway, RequestError,
    browse::{browser, lost, unreadable},
    claims::commit,
    gateway::Inner,
    limits::PAGE_MAX,
    tasks::blocking,
};
use bytes::Bytes;
use crossdock_model::{ENVELOPE_BYTES_MAX, Envelope, HEADERS_MAX, MessageId, Text, Timestamp, Value};
use crossdock_store::{ChannelInfo, CommitError, DeadNote, Notes, Outcome, PutResult, StoredMessage, Txn};
use std::sync::Arc;

/// What is changed about a dead letter, and what becomes of it.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Edit {
    /// Another payload; none leaves it as it is. It is taken to be without a coding (`gzip`).
    pub payload: Option<Bytes>,
    /// Another media type; none leaves it as it is, an empty text removes it.
    pub content_type: Option<Text>,
    /// User headers by name with their new values, in place of all that were there; without values they are removed.
    pub headers: Vec<(Text, Vec<Value>)>,
    /// At which target it failed, where several dead letters have the id.
    pub target: Option<Text>,
    /// Whether the original stays among the dead letters.
    pub keep: bool,
}

/// What became of an edited copy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Edited {
    /// The copy's id.
    pub id: MessageId,
    /// Whether it is stored; otherwise `accept` let it go: a filter, or a `dedupe` that knows it.
    pub stored: bool,
}

/// A dead letter and where it stands.
struct Letter {
    channel: ChannelInfo,
    message: StoredMessage,
    note: DeadNote,
}

impl Gateway {
    /// Puts an edited copy of a dead letter where that one failed, and takes that one away, in one frame.
    ///
    /// # Errors
    /// Nothing is changed, there is no such dead letter or there are several, `accept` refuses the copy, what it failed in
    /// is gone, or there is no room.
    pub async fn edit_dead_letter(&self, id: MessageId, edit: Edit) -> Result<Edited, RequestError> {
        if edit.payload.is_none() && edit.content_type.is_none() && edit.headers.is_empty() {
            return Err(RequestError::Invalid(String::from("nothing is changed: redrive it as it is")));
        }
        // No redrive moves it meanwhile.
        let _moving = self.0.operations.moving.lock().await;
        let letter = self.0.only_letter(id, edit.target.as_ref()).await?;
        let original = letter.message.envelope().map_err(|_| undecodable(id))?;
        let now = self.0.shared.time.now();
        let keep = edit.keep;
        let copy = apply(original, edit, super::id_of(now, self.0.shared.random()), now)?;
        self.0.replace(&letter, copy, keep).await
    }
}

impl Inner {
    /// The dead letter that is meant.
    async fn only_letter(self: &Arc<Self>, id: MessageId, target: Option<&Text>) -> Result<Letter, RequestError> {
        let (inner, dead) = (Arc::clone(self), self.dead_channels());
        let mut letters = blocking(move || letters(&inner, &dead, id)).await.ok_or_else(lost)??;
        letters.retain(|letter| target.is_none_or(|target| letter.note.target.as_ref() == Some(target)));
        let letter = letters.pop().ok_or_else(|| {
            let at = target.map(|target| format!(" of the target `{target}`")).unwrap_or_default();
            RequestError::NotFound(format!("there is no dead letter `{id}`{at}"))
        })?;
        if !letters.is_empty() {
            let all = letters.iter().chain([&letter]);
            let names: Vec<_> = all.filter_map(|letter| letter.note.target.as_deref()).collect();
            let text = format!("the message died at several targets: name one of them ({})", names.join(", "));
            return Err(RequestError::Conflict(text));
        }
        match self.shared.plan.reader(&letter.channel.name) {
            None => Ok(letter),
            Some(_) => {
                let text = format!("a route reads `{}`, so the dead letter is that route's", letter.channel.name);
                Err(RequestError::Conflict(text))
            }
        }
    }

    /// Stores the copy and settles the original in one frame.
    async fn replace(&self, letter: &Letter, copy: Envelope, keep: bool) -> Result<Edited, RequestError> {
        let id = copy.id;
        let notes = Notes { edited_from: Some(letter.message.id()), ..Notes::default() };
        let Release { puts, account } =
            release_as(self, &letter.note, copy, &notes).map_err(RequestError::Unprocessable)?;
        let txn = if keep {
            Txn { puts, ..Txn::default() }
        } else {
            instead_of(self, letter.channel.number, letter.message.offset, puts, Outcome::Delivered)
        };
        if txn.puts.is_empty() && txn.settles.is_empty() {
            // Filtered, and the original stays: there is nothing to write.
            account.count(true);
            return Ok(Edited { id, stored: false });
        }
        let fences = self.shared.claims.of_all(txn.settles.iter().map(|settle| settle.subscription));
        let committed = match commit(&self.shared, &fences, txn).await {
            Ok(committed) => committed,
            Err(error @ CommitError::Invalid(_)) => return Err(RequestError::Internal(error.to_string())),
            Err(error) => return Err(RequestError::Unavailable(error.to_string())),
        };
        if !keep {
            self.tell_gone(letter.channel.number, letter.message.offset);
        }
        let is_stored = |put: &PutResult| matches!(put, PutResult::Stored { .. });
        let stored = committed.puts.first().is_some_and(is_stored);
        account.count(committed.puts.is_empty() || stored);
        Ok(Edited { id, stored })
    }
}

/// The copy. What counts from receipt counts anew, and an expiry that has passed is gone: somebody wants it.
fn apply(original: Envelope, edit: Edit, id: MessageId, now: Timestamp) -> Result<Envelope, RequestError> {
    let mut copy = Envelope { id, received_at: now, ..original };
    if let Some(payload) = edit.payload {
        copy.payload = Some(payload);
        copy.properties.content_encoding = None;
    }
    if let Some(content_type) = edit.content_type {
        copy.properties.content_type = Some(content_type).filter(|text| !text.is_empty());
    }
    for (name, values) in edit.headers {
        copy.headers.remove(&name);
        values.into_iter().for_each(|value| copy.headers.push(name.clone(), value));
    }
    copy.properties.expires_at = copy.properties.expires_at.filter(|at| *at > now);
    let length = |value: &Value| value.to_text().map_or(0, |text| text.len());
    let bytes: usize = copy.headers.iter().map(|header| header.name.len() + length(&header.value)).sum();
    if copy.headers.len() > HEADERS_MAX || bytes > ENVELOPE_BYTES_MAX {
        let text = format!("the headers are more than {HEADERS_MAX}, or longer than {ENVELOPE_BYTES_MAX} bytes");
        return Err(RequestError::TooLarge(text));
    }
    Ok(copy)
}

/// All dead letters of an id. Blocks.
fn letters(inner: &Inner, dead: &[ChannelInfo], id: MessageId) -> Result<Vec<Letter>, RequestError> {
    let (browser, mut letters) = (browser(&*inner.shared.channels)?, Vec::new());
    for channel in dead {
        for message in browser.find(channel.number, id, PAGE_MAX).map_err(|error| unreadable(&error))? {
            if let Some(note) = inner.renames.note_of(&message) {
                letters.push(Letter { channel: channel.clone(), message, note });
            }
        }
    }
    Ok(letters)
}

fn undecodable(id: MessageId) -> RequestError {
    RequestError::Internal(format!("dead letter {id} cannot be decoded: run `crossdock verify`"))
}
