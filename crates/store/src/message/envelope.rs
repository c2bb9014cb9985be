//! The envelope on disk.
//!
//! ```text
//! message     id: 16 · mask · received at · [properties] · [headers] · [origin] · [notes] · [payload: all that is left]
//! properties  mask · content type · content encoding · correlation id · reply to · time · expires at · priority · key ·
//!             traceparent · tracestate
//! headers     number · (name · value)…
//! origin      protocol · connection · address · mask · partition · offset · path · query · remote · native · path is
//!             the address (a bit alone)
//! ```
//! Each field of properties, and of origin behind its mask, is there if its bit is. Texts: `words`; values: `value`;
//! notes: `notes`. A message without properties and headers that knows no origin takes 23 bytes beside its payload.

use super::Notes;
use super::notes::{has, mask, mask_of, notes, put_notes};
use super::value::{put_value, value};
use super::words::{piece, put_text, slice, text};
use crate::{
    DecodeError,
    format::{Reader, Write},
};
use bytes::Bytes;
use crossdock_model::{Envelope, Header, Headers, MessageId, Origin, Properties, Text, Timestamp, Value};

const PARTS: u32 = 5;
const PAYLOAD: u32 = 4;

/// Encodes an envelope with what stands beside it.
pub fn encode(envelope: &Envelope, beside: &Notes) -> Vec<u8> {
    let payload = envelope.bytes();
    let mut to = Vec::with_capacity(payload.len() + 128);
    let (properties, headers, origin) = (&envelope.properties, &envelope.headers, &envelope.origin);
    let parts = [
        *properties != Properties::default(),
        !headers.is_empty(),
        !origin.is_unknown(),
        *beside != Notes::default(),
        envelope.payload.is_some(),
    ];
    to.put_raw(envelope.id.as_bytes());
    to.put_varint(mask_of(&parts));
    to.put_signed(envelope.received_at.millis());
    let [has_properties, has_headers, has_origin, has_notes, _] = parts;
    if has_properties {
        put_properties(&mut to, properties);
    }
    if has_headers {
        put_headers(&mut to, headers);
    }
    if has_origin {
        put_origin(&mut to, origin);
    }
    if has_notes {
        put_notes(&mut to, beside);
    }
    to.put_raw(payload);
    to
}

/// Decodes both; what is no number is a slice of the whole.
pub fn decode(whole: &Bytes) -> Result<(Envelope, Notes), DecodeError> {
    let reader = &mut Reader::new(whole);
    let id = MessageId::from_bytes(reader.array()?);
    let parts = mask(reader, PARTS)?;
    let received_at = Timestamp(reader.signed()?);
    let properties = if has(parts, 0) { self::properties(reader, whole)? } else { Properties::default() };
    let headers = if has(parts, 1) { self::headers(reader, whole)? } else { Headers::new() };
    let origin = if has(parts, 2) { self::origin(reader, whole)? } else { Origin::default() };
    let beside = if has(parts, 3) { notes(reader, whole)? } else { Notes::default() };
    let payload = has(parts, PAYLOAD).then(|| slice(reader.rest(), whole));
    Ok((Envelope { id, received_at, payload, properties, headers, origin }, beside))
}

/// The time at which it expires alone. Most have none, of which it takes a look at two masks.
pub fn expires_at_of(whole: &Bytes) -> Result<Option<Timestamp>, DecodeError> {
    let reader = &mut Reader::new(whole);
    reader.raw(size_of::<MessageId>())?;
    let parts = mask(reader, PARTS)?;
    reader.signed()?;
    if !has(parts, 0) {
        return Ok(None);
    }
    let mask = mask(reader, 10)?;
    if !has(mask, 5) {
        return Ok(None);
    }
    for bit in (0..4).filter(|bit| has(mask, *bit)) {
        match bit {
            2 => drop(piece(reader, whole)?),
            _ => drop(text(reader, whole)?),
        }
    }
    if has(mask, 4) {
        reader.signed()?;
    }
    reader.signed().map(|at| Some(Timestamp(at)))
}

/// Whether it says when it expires, or cannot be read so far.
pub fn may_expire(whole: &[u8]) -> bool {
    let reader = &mut Reader::new(whole);
    let mut tells = || {
        reader.raw(size_of::<MessageId>())?;
        let parts = mask(reader, PARTS)?;
        reader.signed()?;
        Ok::<_, DecodeError>(has(parts, 0) && has(mask(reader, 10)?, 5))
    };
    tells().unwrap_or(true)
}

/// The id alone.
pub fn id_of(whole: &[u8]) -> Result<MessageId, DecodeError> {
    Reader::new(whole).array().map(MessageId::from_bytes)
}

fn put_properties(to: &mut Vec<u8>, p: &Properties) {
    to.put_varint(mask_of(&[
        p.content_type.is_some(),
        p.content_encoding.is_some(),
        p.correlation_id.is_some(),
        p.reply_to.is_some(),
        p.time.is_some(),
        p.expires_at.is_some(),
        p.priority.is_some(),
        p.key.is_some(),
        p.traceparent.is_some(),
        p.tracestate.is_some(),
    ]));
    for text in p.content_type.iter().chain(&p.content_encoding) {
        put_text(to, text);
    }
    if let Some(id) = &p.correlation_id {
        to.put_piece(id);
    }
    if let Some(text) = &p.reply_to {
        put_text(to, text);
    }
    for at in p.time.iter().chain(&p.expires_at) {
        to.put_signed(at.millis());
    }
    if let Some(priority) = p.priority {
        to.put_u8(priority);
    }
    if let Some(key) = &p.key {
        to.put_piece(key);
    }
    for text in p.traceparent.iter().chain(&p.tracestate) {
        put_text(to, text);
    }
}

fn properties(reader: &mut Reader<'_>, whole: &Bytes) -> Result<Properties, DecodeError> {
    let mask = mask(reader, 10)?;
    Ok(Properties {
        content_type: if has(mask, 0) { Some(text(reader, whole)?) } else { None },
        content_encoding: if has(mask, 1) { Some(text(reader, whole)?) } else { None },
        correlation_id: if has(mask, 2) { Some(piece(reader, whole)?) } else { None },
        reply_to: if has(mask, 3) { Some(text(reader, whole)?) } else { None },
        time: if has(mask, 4) { Some(Timestamp(reader.signed()?)) } else { None },
        expires_at: if has(mask, 5) { Some(Timestamp(reader.signed()?)) } else { None },
        priority: if has(mask, 6) { Some(reader.u8()?) } else { None },
        key: if has(mask, 7) { Some(piece(reader, whole)?) } else { None },
        traceparent: if has(mask, 8) { Some(text(reader, whole)?) } else { None },
        tracestate: if has(mask, 9) { Some(text(reader, whole)?) } else { None },
    })
}

fn put_headers(to: &mut Vec<u8>, headers: &Headers) {
    to.put_varint(headers.len() as u64);
    for Header { name, value } in headers {
        put_text(to, name);
        put_value(to, value);
    }
}

fn headers(reader: &mut Reader<'_>, whole: &Bytes) -> Result<Headers, DecodeError> {
    let count = reader.count()?;
    (0..count).map(|_| Ok(Header { name: text(reader, whole)?, value: value(reader, whole)? })).collect()
}

fn put_origin(to: &mut Vec<u8>, origin: &Origin) {
    for text in [&origin.protocol, &origin.connection, &origin.address] {
        put_text(to, text);
    }
    let path_is_address = origin.path.as_ref() == Some(&origin.address);
    to.put_varint(mask_of(&[
        origin.partition.is_some(),
        origin.offset.is_some(),
        origin.path.is_some() && !path_is_address,
        !origin.query.is_empty(),
        origin.remote.is_some(),
        !origin.native.is_empty(),
        path_is_address,
    ]));
    if let Some(partition) = origin.partition {
        to.put_signed(i64::from(partition));
    }
    if let Some(offset) = origin.offset {
        to.put_signed(offset);
    }
    if let Some(path) = origin.path.as_ref().filter(|_| !path_is_address) {
        put_text(to, path);
    }
    if !origin.query.is_empty() {
        to.put_varint(origin.query.len() as u64);
        for text in origin.query.iter().flat_map(|(name, value)| [name, value]) {
            put_text(to, text);
        }
    }
    if let Some(remote) = &origin.remote {
        put_text(to, remote);
    }
    if !origin.native.is_empty() {
        to.put_varint(origin.native.len() as u64);
        for (name, value) in &origin.native {
            put_text(to, name);
            put_value(to, value);
        }
    }
}

fn origin(reader: &mut Reader<'_>, whole: &Bytes) -> Result<Origin, DecodeError> {
    let (protocol, connection, address) = (text(reader, whole)?, text(reader, whole)?, text(reader, whole)?);
    let mask = mask(reader, 7)?;
    let partition = if has(mask, 0) {
        Some(i32::try_from(reader.signed()?).map_err(|_| DecodeError("a partition is too large"))?)
    } else {
        None
    };
    let offset = if has(mask, 1) { Some(reader.signed()?) } else { None };
    let written_path = if has(mask, 2) { Some(text(reader, whole)?) } else { None };
    let path = if has(mask, 6) { Some(address.clone()) } else { written_path };
    let query = if has(mask, 3) { pairs(reader, whole, text)? } else { Vec::new() };
    let remote = if has(mask, 4) { Some(text(reader, whole)?) } else { None };
    let native: Vec<(Text, Value)> = if has(mask, 5) { pairs(reader, whole, value)? } else { Vec::new() };
    Ok(Origin { protocol, connection, address, partition, offset, path, query, remote, native })
}

/// Names, each with what the given function reads behind it.
fn pairs<T>(
    reader: &mut Reader<'_>,
    whole: &Bytes,
    second: fn(&mut Reader<'_>, &Bytes) -> Result<T, DecodeError>,
) -> Result<Vec<(Text, T)>, DecodeError> {
    let count = reader.count()?;
    (0..count).map(|_| Ok((text(reader, whole)?, second(reader, whole)?))).collect()
}
