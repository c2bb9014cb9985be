//! What is written down of a message with tries on record, in a file of them as in a checkpoint.
//!
//! ```text
//! tries · charges · mask · [due: signed] · number of · (try · segment · at)…
//! ```

use crate::{
    DecodeError,
    format::{Reader, Write},
    message::notes::{has, mask, mask_of},
    state::{Place, TouchedMessage},
};
use crossdock_model::Timestamp;

/// A message with tries on record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    pub subscription: u32,
    pub offset: u64,
    pub message: TouchedMessage,
}

impl Entry {
    /// What files are sorted by.
    pub const fn place(&self) -> (u32, u64) {
        (self.subscription, self.offset)
    }
}

pub fn put_touched(to: &mut Vec<u8>, message: &TouchedMessage) {
    to.put_varint(u64::from(message.tries));
    to.put_varint(u64::from(message.charges));
    to.put_varint(mask_of(&[message.due.is_some()]));
    if let Some(due) = message.due {
        to.put_signed(due.millis());
    }
    to.put_varint(message.history.len() as u64);
    for (number, place) in &message.history {
        to.put_varint(u64::from(*number));
        to.put_varint(place.segment);
        to.put_varint(u64::from(place.at));
    }
}

pub fn touched(reader: &mut Reader<'_>) -> Result<TouchedMessage, DecodeError> {
    let (tries, charges) = (reader.varint_u32()?, reader.varint_u32()?);
    let known = mask(reader, 1)?;
    let due = if has(known, 0) { Some(Timestamp(reader.signed()?)) } else { None };
    let mut history = Vec::new();
    for _ in 0..reader.count()? {
        history.push((reader.varint_u32()?, Place { segment: reader.varint()?, at: reader.varint_u32()? }));
    }
    Ok(TouchedMessage { tries, charges, due, history })
}

pub fn put_entry(to: &mut Vec<u8>, entry: &Entry) {
    to.put_varint(u64::from(entry.subscription));
    to.put_varint(entry.offset);
    put_touched(to, &entry.message);
}

pub fn entry(reader: &mut Reader<'_>) -> Result<Entry, DecodeError> {
    Ok(Entry { subscription: reader.varint_u32()?, offset: reader.varint()?, message: touched(reader)? })
}
