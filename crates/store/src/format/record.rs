//! The bodies of records other than messages.
//!
//! ```text
//! Declare    1 channel       kind (1 queue, 2 topic) · 0 · name          again with a number that is known: renamed
//!            2 subscription  channel · start offset · 0 · name · group   again with a number that is known: renamed
//!            3 scope         name
//!            4 channel retired        5 subscription retired
//! Settle     outcome · number of runs · (gap to the end of the run before, signed · count)…
//! Touch      tries · charges · at · mask · [due] · [fault]
//! Key        hash: 16 · body hash: 16, or when its message was received: 8 · 0: 8 · id: 16 · until
//! Operation  id: 16 · kind · state · total · done · failed · body
//! ```
//! Numbers are varints. The zeros are masks of fields to come.

use super::{Reader, Write};
use crate::{
    ChannelKind, DecodeError, OffsetRun, Offsets, Operation, OperationState, Outcome, Touch,
    message::{
        notes::{fault, has, mask, mask_of, put_fault},
        words::{piece, put_text, text},
    },
};
use bytes::Bytes;
use crossdock_model::{Digest, MessageId, Text, Timestamp};

/// What a `Declare` record says; what it is about is the number of its entry.
#[derive(Clone, PartialEq, Debug)]
pub enum Declaration {
    Channel { kind: ChannelKind, name: Text },
    Subscription { channel: u32, start: u64, name: Text, group: Text },
    Scope { name: Text },
    ChannelRetired,
    SubscriptionRetired,
}

/// A key that was seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Key {
    pub hash: Digest,
    pub body: Digest,
    pub id: MessageId,
    pub until: Timestamp,
}

pub fn put_declaration(to: &mut Vec<u8>, declaration: &Declaration) {
    match declaration {
        Declaration::Channel { kind, name } => {
            to.put_u8(1);
            to.put_u8(kind_number(*kind));
            to.put_varint(0);
            put_text(to, name);
        }
        Declaration::Subscription { channel, start, name, group } => {
            to.put_u8(2);
            to.put_varint(u64::from(*channel));
            to.put_varint(*start);
            to.put_varint(0);
            put_text(to, name);
            put_text(to, group);
        }
        Declaration::Scope { name } => {
            to.put_u8(3);
            put_text(to, name);
        }
        Declaration::ChannelRetired => to.put_u8(4),
        Declaration::SubscriptionRetired => to.put_u8(5),
    }
}

pub fn declaration(body: &Bytes) -> Result<Declaration, DecodeError> {
    let reader = &mut Reader::new(body);
    Ok(match reader.u8()? {
        1 => {
            let kind = channel_kind(reader.u8()?)?;
            mask(reader, 0)?;
            Declaration::Channel { kind, name: text(reader, body)? }
        }
        2 => {
            let (channel, start) = (reader.varint_u32()?, reader.varint()?);
            mask(reader, 0)?;
            Declaration::Subscription { channel, start, name: text(reader, body)?, group: text(reader, body)? }
        }
        3 => Declaration::Scope { name: text(reader, body)? },
        4 => Declaration::ChannelRetired,
        5 => Declaration::SubscriptionRetired,
        _ => return Err(DecodeError("a declaration is not known: a newer version wrote it")),
    })
}

/// The number of a kind of channel.
pub const fn kind_number(kind: ChannelKind) -> u8 {
    match kind {
        ChannelKind::Queue => 1,
        ChannelKind::Topic => 2,
    }
}

/// The kind of channel of a number.
pub const fn channel_kind(number: u8) -> Result<ChannelKind, DecodeError> {
    match number {
        1 => Ok(ChannelKind::Queue),
        2 => Ok(ChannelKind::Topic),
        _ => Err(DecodeError("a kind of channel is not known: a newer version wrote it")),
    }
}

pub const fn outcome_number(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Delivered => 1,
        Outcome::Filtered => 2,
        Outcome::Dead => 3,
        Outcome::Expired => 4,
        Outcome::Refused => 5,
        Outcome::Split => 6,
    }
}

pub fn outcome(number: u8) -> Result<Outcome, DecodeError> {
    let unknown = DecodeError("an outcome is not known: a newer version wrote it");
    Outcome::ALL.into_iter().find(|outcome| outcome_number(*outcome) == number).ok_or(unknown)
}

pub fn put_settle(to: &mut Vec<u8>, outcome: Outcome, offsets: &Offsets) {
    to.put_u8(outcome_number(outcome));
    to.put_varint(offsets.runs().len() as u64);
    let mut end = 0_u64;
    for run in offsets.runs() {
        to.put_signed(run.first.wrapping_sub(end).cast_signed());
        to.put_varint(run.count);
        end = run.first.wrapping_add(run.count);
    }
}

pub fn settle(body: &[u8]) -> Result<(Outcome, Offsets), DecodeError> {
    let reader = &mut Reader::new(body);
    let outcome = outcome(reader.u8()?)?;
    let count = reader.count()?;
    let (mut offsets, mut end) = (Offsets::new(), 0_u64);
    for _ in 0..count {
        let first = end.wrapping_add(reader.signed()?.cast_unsigned());
        let count = reader.varint()?;
        end = first.checked_add(count).ok_or(DecodeError("a run is too long"))?;
        offsets.push_run(OffsetRun { first, count });
    }
    Ok((outcome, offsets))
}

pub fn put_touch(to: &mut Vec<u8>, touch: &Touch) {
    to.put_varint(u64::from(touch.tries));
    to.put_varint(u64::from(touch.charges));
    to.put_signed(touch.at.millis());
    to.put_varint(mask_of(&[touch.due.is_some(), touch.fault.is_some()]));
    if let Some(due) = touch.due {
        to.put_signed(due.millis());
    }
    if let Some(fault) = &touch.fault {
        put_fault(to, fault);
    }
}

pub fn touch(subscription: u32, offset: u64, body: &Bytes) -> Result<Touch, DecodeError> {
    let reader = &mut Reader::new(body);
    let (tries, charges, at) = (reader.varint_u32()?, reader.varint_u32()?, Timestamp(reader.signed()?));
    let mask = mask(reader, 2)?;
    let due = if has(mask, 0) { Some(Timestamp(reader.signed()?)) } else { None };
    let fault = if has(mask, 1) { Some(fault(reader, body)?) } else { None };
    let subscription = crate::SubscriptionNumber(subscription);
    Ok(Touch { subscription, offset, tries, charges, due, at, fault })
}

pub fn put_key(to: &mut Vec<u8>, key: &Key) {
    to.put_raw(&key.hash.0);
    to.put_raw(&key.body.0);
    to.put_raw(key.id.as_bytes());
    to.put_signed(key.until.millis());
}

pub fn key(reader: &mut Reader<'_>) -> Result<Key, DecodeError> {
    Ok(Key {
        hash: Digest(reader.array()?),
        body: Digest(reader.array()?),
        id: MessageId::from_bytes(reader.array()?),
        until: Timestamp(reader.signed()?),
    })
}

pub fn put_operation(to: &mut Vec<u8>, operation: &Operation) {
    to.put_raw(operation.id.as_bytes());
    put_text(to, &operation.kind);
    to.put_u8(match operation.state {
        OperationState::Running => 1,
        OperationState::Done => 2,
        OperationState::Cancelled => 3,
        OperationState::Failed => 4,
    });
    for n in [operation.total, operation.done, operation.failed] {
        to.put_varint(n);
    }
    to.put_piece(&operation.body);
}

pub fn operation(reader: &mut Reader<'_>, whole: &Bytes) -> Result<Operation, DecodeError> {
    Ok(Operation {
        id: MessageId::from_bytes(reader.array()?),
        kind: text(reader, whole)?,
        state: match reader.u8()? {
            1 => OperationState::Running,
            2 => OperationState::Done,
            3 => OperationState::Cancelled,
            4 => OperationState::Failed,
            _ => return Err(DecodeError("a state is not known: a newer version wrote it")),
        },
        total: reader.varint()?,
        done: reader.varint()?,
        failed: reader.varint()?,
        // A copy: it is kept for long and must not hold the frame's buffer.
        body: Bytes::copy_from_slice(&piece(reader, whole)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn settled_runs_come_back(runs in proptest::collection::vec((0_u64..1 << 62, 1_u64..1 << 20), 0..20), which in 0_usize..6) {
            let mut offsets = Offsets::new();
            runs.iter().for_each(|(first, count)| offsets.push_run(OffsetRun { first: *first, count: *count }));
            let mut body = Vec::new();
            put_settle(&mut body, Outcome::ALL[which], &offsets);
            prop_assert_eq!(settle(&body).unwrap(), (Outcome::ALL[which], offsets));
        }

        #[test]
        fn any_bytes_are_a_record_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let body = Bytes::from(bytes);
            let _ = (declaration(&body), settle(&body), touch(1, 1, &body), key(&mut Reader::new(&body)));
            let _ = operation(&mut Reader::new(&body), &body);
        }
    }

    #[test]
    fn a_run_of_neighbours_takes_few_bytes() {
        let mut body = Vec::new();
        put_settle(&mut body, Outcome::Delivered, &(1_000_000..1_000_256).collect());
        assert!(body.len() <= 7, "{} bytes", body.len());
    }
}
