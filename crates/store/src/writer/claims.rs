//! Keys in the frame in the making: claimed with messages that are appended, and by messages that were appended before.

use super::{draft::Draft, plan::Plan};
use crate::{
    KeyClaim, Offsets, Outcome, PutResult, Sieve, SieveKey, Sifted,
    format::{Declaration, Key, RecordKind, put_declaration, put_key},
};
use crossdock_model::{Digest, MessageId, Text, Timestamp};

impl Plan<'_> {
    /// Whether a key was seen: in the log, in this frame, or in this decision.
    pub fn known(&mut self, claim: &KeyClaim) -> Option<PutResult> {
        let scope = self.scope(&claim.scope)?;
        if let Some(place) = claim.place {
            return self.known_place(scope, claim, place);
        }
        let (body, id) = self.seen(scope, claim.hash)?;
        Some(if body == claim.body { PutResult::Duplicate { id } } else { PutResult::Conflict { id } })
    }

    /// Body and id under which a hash was seen.
    pub(super) fn seen(&self, scope: u32, hash: Digest) -> Option<(Digest, MessageId)> {
        let in_frame = self.keys.get(&(scope, hash)).copied();
        in_frame.or_else(|| self.recalled.get(scope, hash).map(|key| (key.body, key.id)))
    }

    fn scope(&mut self, name: &Text) -> Option<u32> {
        if let Some((last, number)) = &self.last_scope
            && last == name
        {
            return Some(*number);
        }
        let number = self.state.keys.scope(name).or_else(|| {
            let place = self.scopes.iter().position(|scope| scope == name)?;
            Some(self.state.keys.scopes.next_number() + place as u32)
        })?;
        self.last_scope = Some((name.clone(), number));
        Some(number)
    }

    /// The number of a scope, which is declared if it is new.
    fn declared(&mut self, name: &Text) -> u32 {
        self.scope(name).unwrap_or_else(|| {
            let number = self.state.keys.scopes.next_number() + self.scopes.len() as u32;
            self.scopes.push(name.clone());
            let declaration = Declaration::Scope { name: name.clone() };
            self.draft.push_small(RecordKind::Declare, number, 0, |to| put_declaration(to, &declaration));
            number
        })
    }

    /// Takes a key for a message of this decision.
    pub fn take(&mut self, claim: &KeyClaim, taken: &mut Vec<(u32, Digest)>) {
        let scope = self.declared(&claim.scope);
        match claim.place {
            Some(place) => self.take_place(scope, claim, place),
            None => {
                self.keys.insert((scope, claim.hash), (claim.body, claim.id));
                taken.push((scope, claim.hash));
            }
        }
    }

    /// The decision is not taken, and so are not its keys. That a scope is declared, which has none, does no harm.
    pub fn give_back(&mut self, taken: &[(u32, Digest)]) {
        for at in taken {
            self.keys.remove(at);
        }
        self.runs.clear();
    }

    /// Adds the record of a key that was taken; those of places are added by runs.
    pub fn claim(&mut self, claim: &KeyClaim) {
        if claim.place.is_some() {
            return;
        }
        let KeyClaim { hash, body, id, until, .. } = *claim;
        let scope = self.declared(&claim.scope);
        self.draft.push_small(RecordKind::Key, scope, 0, |to| put_key(to, &Key { hash, body, id, until }));
    }

    fn note_key(&mut self, scope: &Text, key: Key) {
        let scope = self.declared(scope);
        self.note(scope, key);
    }

    pub(super) fn note(&mut self, scope: u32, key: Key) {
        self.keys.insert((scope, key.hash), (key.body, key.id));
        self.draft.push_small(RecordKind::Key, scope, 0, |to| put_key(to, &key));
    }

    /// Settles messages whose keys were seen for all, and notes the keys of the others.
    pub fn sift(&mut self, sieve: &Sieve) {
        let (mut sifted, mut seen) = (Offsets::new(), Offsets::new());
        let next = self.next_offset_of(sieve.subscription.0);
        let reader = self.state.subscriptions.get(sieve.subscription.0);
        let open = |offset: u64| offset < next && reader.is_some_and(|reader| !reader.settled.has(offset));
        for message in sieve.messages.iter().filter(|message| open(message.offset)) {
            sifted.push(message.offset);
            if message.keys.iter().any(|key| self.was_seen(key, message)) {
                seen.push(message.offset);
                continue;
            }
            for key in &message.keys {
                let until = self.now.max(message.received_at).after(key.window);
                let body = received_digest(message.received_at);
                self.note_key(&key.scope, Key { hash: key.hash, body, id: message.id, until });
            }
        }
        self.settle(sieve.subscription.0, Outcome::Filtered, &sifted);
        for other in &sieve.others {
            self.settle(other.0, Outcome::Filtered, &seen);
        }
    }

    /// Whether another message of the key was received less than its window away. One that was sent back from dead letters
    /// is no other than itself, by id and receipt: its first key was noted where it had been stored, for the other targets.
    fn was_seen(&mut self, key: &SieveKey, message: &Sifted) -> bool {
        let Some(scope) = self.scope(&key.scope) else { return false };
        let seen = self.seen(scope, key.hash).map(|(body, id)| (received_of(body), id));
        let itself = |seen: &(Timestamp, MessageId)| message.redriven && *seen == (message.received_at, message.id);
        seen.filter(|seen| !itself(seen)).is_some_and(|(seen, _)| {
            let (first, last) = (seen.min(message.received_at), seen.max(message.received_at));
            last.since(first) < key.window
        })
    }
}

/// Bytes of a frame that a sieve may need, at most.
pub fn sieve_weight(sieve: &Sieve) -> u64 {
    let keys = sieve.messages.iter().flat_map(|message| &message.keys);
    let keys: u64 = keys.map(|key| Draft::growth(64) + Draft::growth(key.scope.len() + 16)).sum();
    let settles = (sieve.others.len() as u64 + 1) * Draft::growth(12 + sieve.messages.len() * 20);
    keys + settles
}

/// What stands where other keys have the hash of a body: when the message was received.
fn received_digest(at: Timestamp) -> Digest {
    let mut bytes = [0; 16];
    let (millis, _) = bytes.split_at_mut(8);
    millis.copy_from_slice(&at.millis().to_le_bytes());
    Digest(bytes)
}

fn received_of(body: Digest) -> Timestamp {
    let (millis, _) = body.0.as_chunks::<8>();
    Timestamp(millis.first().map_or(0, |millis| i64::from_le_bytes(*millis)))
}
