//! What stands beside an envelope on disk: redrives, where an edited copy comes from, why it is dead.
//!
//! ```text
//! notes   mask · [redrives] · [edited from: 16] · [dead] · [number of earlier deaths · earlier deaths]
//! dead    cause · route · dead since · tries in all · number of tries kept · tries · mask · [target] · [source]
//! earlier cause · dead since · tries in all · redriven at · mask · [target]
//! try     number · at · mask · [target] · [fault]
//! fault   class, answer · code · text · mask · [step] · [retry after, ms]
//! ```
//! A mask is a varint with a bit for each field in brackets, the first one lowest.

use super::words::{put_text, text};
use super::{DeadNote, EarlierDeath, Notes};
use crate::{
    DecodeError, Try,
    format::{Reader, Write},
};
use bytes::Bytes;
use crossdock_model::{Answer, Fault, FaultClass, FaultParts, MessageId, Timestamp};
use std::time::Duration;

/// A mask of which of the fields are there.
pub fn mask_of(fields: &[bool]) -> u64 {
    fields.iter().enumerate().map(|(bit, there)| u64::from(*there) << bit).sum()
}

/// Reads a mask of so many fields.
pub fn mask(reader: &mut Reader<'_>, fields: u32) -> Result<u64, DecodeError> {
    let mask = reader.varint()?;
    if mask >> fields != 0 {
        return Err(DecodeError("a field is not known: a newer version wrote it"));
    }
    Ok(mask)
}

/// Whether the field is there.
pub const fn has(mask: u64, field: u32) -> bool {
    mask >> field & 1 == 1
}

pub fn put_notes(to: &mut Vec<u8>, notes: &Notes) {
    let Notes { redrives, edited_from, dead, earlier } = notes;
    to.put_varint(mask_of(&[*redrives > 0, edited_from.is_some(), dead.is_some(), !earlier.is_empty()]));
    if *redrives > 0 {
        to.put_varint(u64::from(*redrives));
    }
    if let Some(id) = edited_from {
        to.put_raw(id.as_bytes());
    }
    if let Some(dead) = dead {
        put_dead(to, dead);
    }
    if !earlier.is_empty() {
        to.put_varint(earlier.len() as u64);
        earlier.iter().for_each(|death| put_earlier(to, death));
    }
}

pub fn notes(reader: &mut Reader<'_>, whole: &Bytes) -> Result<Notes, DecodeError> {
    let mask = mask(reader, 4)?;
    Ok(Notes {
        redrives: if has(mask, 0) { reader.varint_u32()? } else { 0 },
        edited_from: if has(mask, 1) { Some(MessageId::from_bytes(reader.array()?)) } else { None },
        dead: if has(mask, 2) { Some(dead(reader, whole)?) } else { None },
        earlier: if has(mask, 3) { all_earlier(reader, whole)? } else { Vec::new() },
    })
}

fn put_earlier(to: &mut Vec<u8>, death: &EarlierDeath) {
    let EarlierDeath { cause, target, dead_since, tries_total, redriven_at } = death;
    put_fault(to, cause);
    to.put_signed(dead_since.millis());
    to.put_varint(u64::from(*tries_total));
    to.put_signed(redriven_at.millis());
    to.put_varint(mask_of(&[target.is_some()]));
    if let Some(target) = target {
        put_text(to, target);
    }
}

fn all_earlier(reader: &mut Reader<'_>, whole: &Bytes) -> Result<Vec<EarlierDeath>, DecodeError> {
    let count = reader.count()?;
    (0..count).map(|_| earlier(reader, whole)).collect()
}

fn earlier(reader: &mut Reader<'_>, whole: &Bytes) -> Result<EarlierDeath, DecodeError> {
    let cause = fault(reader, whole)?;
    let dead_since = Timestamp(reader.signed()?);
    let tries_total = reader.varint_u32()?;
    let redriven_at = Timestamp(reader.signed()?);
    let mask = mask(reader, 1)?;
    let target = if has(mask, 0) { Some(text(reader, whole)?) } else { None };
    Ok(EarlierDeath { cause, target, dead_since, tries_total, redriven_at })
}

fn put_dead(to: &mut Vec<u8>, dead: &DeadNote) {
    put_fault(to, &dead.cause);
    put_text(to, &dead.route);
    to.put_signed(dead.dead_since.millis());
    to.put_varint(u64::from(dead.tries_total));
    to.put_varint(dead.tries.len() as u64);
    for one in &dead.tries {
        put_try(to, one);
    }
    to.put_varint(mask_of(&[dead.target.is_some(), dead.source.is_some()]));
    for text in dead.target.iter().chain(&dead.source) {
        put_text(to, text);
    }
}

fn dead(reader: &mut Reader<'_>, whole: &Bytes) -> Result<DeadNote, DecodeError> {
    let cause = fault(reader, whole)?;
    let route = text(reader, whole)?;
    let dead_since = Timestamp(reader.signed()?);
    let tries_total = reader.varint_u32()?;
    let kept = reader.count()?;
    let tries = (0..kept).map(|_| one_try(reader, whole)).collect::<Result<_, _>>()?;
    let mask = mask(reader, 2)?;
    let target = if has(mask, 0) { Some(text(reader, whole)?) } else { None };
    let source = if has(mask, 1) { Some(text(reader, whole)?) } else { None };
    Ok(DeadNote { cause, route, target, dead_since, source, tries_total, tries })
}

fn put_try(to: &mut Vec<u8>, one: &Try) {
    to.put_varint(u64::from(one.number));
    to.put_signed(one.at.millis());
    to.put_varint(mask_of(&[one.target.is_some(), one.fault.is_some()]));
    if let Some(target) = &one.target {
        put_text(to, target);
    }
    if let Some(fault) = &one.fault {
        put_fault(to, fault);
    }
}

fn one_try(reader: &mut Reader<'_>, whole: &Bytes) -> Result<Try, DecodeError> {
    let (number, at) = (reader.varint_u32()?, Timestamp(reader.signed()?));
    let mask = mask(reader, 2)?;
    let target = if has(mask, 0) { Some(text(reader, whole)?) } else { None };
    let fault = if has(mask, 1) { Some(fault(reader, whole)?) } else { None };
    Ok(Try { number, at, target, fault })
}

const CLASSES: [FaultClass; 4] = [FaultClass::Rejected, FaultClass::Failed, FaultClass::Busy, FaultClass::Unreachable];
const ANSWERS: [Answer; 3] = [Answer::Application, Answer::Intermediary, Answer::Nobody];

pub fn put_fault(to: &mut Vec<u8>, fault: &Fault) {
    let class = CLASSES.iter().position(|class| *class == fault.class).unwrap_or(0);
    let answer = ANSWERS.iter().position(|answer| *answer == fault.answer).unwrap_or(0);
    to.put_u8((class | answer << 4) as u8);
    put_text(to, &fault.code);
    put_text(to, &fault.text);
    to.put_varint(mask_of(&[fault.step.is_some(), fault.retry_after.is_some()]));
    if let Some(step) = &fault.step {
        put_text(to, step);
    }
    if let Some(wait) = fault.retry_after {
        to.put_varint(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
    }
}

pub fn fault(reader: &mut Reader<'_>, whole: &Bytes) -> Result<Fault, DecodeError> {
    let kind = usize::from(reader.u8()?);
    let unknown = DecodeError("a class of fault is not known: a newer version wrote it");
    let class = *CLASSES.get(kind & 0x0F).ok_or_else(|| unknown.clone())?;
    let answer = *ANSWERS.get(kind >> 4).ok_or(unknown)?;
    let (code, what) = (text(reader, whole)?, text(reader, whole)?);
    let mask = mask(reader, 2)?;
    let step = if has(mask, 0) { Some(text(reader, whole)?) } else { None };
    let retry_after = if has(mask, 1) { Some(Duration::from_millis(reader.varint()?)) } else { None };
    Ok(Fault::from(FaultParts { class, code, text: what, step, retry_after, answer }))
}
