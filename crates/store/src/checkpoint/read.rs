//! Reading the body of a checkpoint: see `body` for what it looks like.

use super::body::{
    BITS_BYTES, CHANNELS, ENCRYPTED, Extra, KEYS, NUMBERS, OPERATIONS, PAGE_BITS, PAGE_FULL, PAGE_RUNS, SEGMENTS,
    SUBSCRIPTIONS, TRIES,
};
use crate::{
    DecodeError, OffsetRun,
    cipher::KeyId,
    format::{Reader, SegmentKind, channel_kind, operation, outcome},
    message::{notes, words},
    state::{
        Channel, Group, Run, Segment, State, Subscription, Touches,
        settled::{Outcomes, PAGE_OFFSETS, Page, Settled},
    },
    tries,
};
use bytes::Bytes;
use crossdock_model::Text;
use std::collections::BTreeMap;

/// Makes the state of a checkpoint's body.
pub fn decode_body(body: &Bytes) -> Result<(State, Extra), DecodeError> {
    let (mut state, mut extra) = (State::default(), Extra::default());
    let mut reader = Reader::new(body);
    while !reader.is_empty() {
        let kind = reader.u8()?;
        let section = &mut Reader::new(reader.piece()?);
        match kind {
            NUMBERS => numbers(section, &mut state, &mut extra)?,
            CHANNELS => all(section, |reader| channel(reader, body, &mut state))?,
            SUBSCRIPTIONS => all(section, |reader| subscription(reader, body, &mut state))?,
            SEGMENTS => all(section, |reader| segment(reader, &mut state))?,
            KEYS => keys(section, body, &mut state, &mut extra)?,
            OPERATIONS => all(section, |reader| {
                state.operations.push(operation(reader, body)?);
                Ok(())
            })?,
            TRIES => all(section, |reader| {
                extra.try_files.push(reader.varint()?);
                Ok(())
            })?,
            _ => return Err(DecodeError("a section is not known: a newer version wrote it")),
        }
    }
    connect(&mut state);
    Ok((state, extra))
}

fn all<'a>(
    reader: &mut Reader<'a>,
    mut one: impl FnMut(&mut Reader<'a>) -> Result<(), DecodeError>,
) -> Result<(), DecodeError> {
    for _ in 0..reader.count()? {
        one(reader)?;
    }
    Ok(())
}

/// A text of its own, which does not hold the whole body.
fn text(reader: &mut Reader<'_>, body: &Bytes) -> Result<Text, DecodeError> {
    words::text(reader, body).map(|text| Text::from(text.to_string()))
}

fn numbers(reader: &mut Reader<'_>, state: &mut State, extra: &mut Extra) -> Result<(), DecodeError> {
    state.channels.skip_to(reader.varint_u32()?);
    state.subscriptions.skip_to(reader.varint_u32()?);
    state.keys.scopes.skip_to(reader.varint_u32()?);
    extra.next_segment = reader.varint()?;
    extra.secret = reader.array()?;
    Ok(())
}

fn channel(reader: &mut Reader<'_>, body: &Bytes, state: &mut State) -> Result<(), DecodeError> {
    let (number, kind) = (reader.varint_u32()?, channel_kind(reader.u8()?)?);
    notes::mask(reader, 0)?;
    let name = text(reader, body)?;
    let mut channel = Channel::new(kind, name.clone());
    channel.next_offset = reader.varint()?;
    channel.expiring_below = channel.next_offset;
    channel.done = settled(reader)?;
    all(reader, |reader| {
        let (first, count, segment) = (reader.varint()?, reader.varint()?, reader.varint()?);
        let (live, live_bytes) = (reader.varint()?, reader.varint()?);
        channel.runs.push_back(Run { first, count, segment, live, live_bytes });
        channel.messages += live;
        channel.bytes += live_bytes;
        Ok(())
    })?;
    state.channel_numbers.insert(name, number);
    state.channels.insert(number, channel);
    Ok(())
}

fn subscription(reader: &mut Reader<'_>, body: &Bytes, state: &mut State) -> Result<(), DecodeError> {
    let (number, channel, start) = (reader.varint_u32()?, reader.varint_u32()?, reader.varint()?);
    notes::mask(reader, 0)?;
    let (name, group, settled) = (text(reader, body)?, text(reader, body)?, settled(reader)?);
    let mut outcomes = Outcomes::default();
    all(reader, |reader| {
        let (outcome, first, count) = (outcome(reader.u8()?)?, reader.varint()?, reader.varint()?);
        outcomes.note(OffsetRun { first, count }, outcome);
        Ok(())
    })?;
    let mut touched = BTreeMap::new();
    all(reader, |reader| {
        let offset = reader.varint()?;
        touched.insert(offset, tries::touched(reader)?);
        Ok(())
    })?;
    let cursor = settled.floor();
    state.subscription_numbers.insert(name.clone(), number);
    let subscription = Subscription {
        name,
        channel,
        group,
        start,
        settled,
        outcomes,
        pending: 0,
        cursor,
        touched: Touches::of(touched),
        watch: None,
        behind: None,
        followers: Vec::new(),
    };
    state.subscriptions.insert(number, subscription);
    Ok(())
}

fn segment(reader: &mut Reader<'_>, state: &mut State) -> Result<(), DecodeError> {
    let number = reader.varint()?;
    let kind = reader.u8()?;
    let key = if kind & ENCRYPTED == 0 { None } else { KeyId::of(reader.u32()?) };
    let kind = SegmentKind::of(kind & !ENCRYPTED)?;
    let incarnation = reader.u64()?;
    let (first_sequence, last_sequence, end) = (reader.varint()?, reader.varint()?, reader.varint()?);
    let (live, pins, sealed) = (0, 0, true);
    let segment = Segment { kind, incarnation, key, first_sequence, last_sequence, end, live, pins, sealed };
    state.segments.insert(number, segment);
    Ok(())
}

fn keys(reader: &mut Reader<'_>, body: &Bytes, state: &mut State, extra: &mut Extra) -> Result<(), DecodeError> {
    all(reader, |reader| {
        let (number, name) = (reader.varint_u32()?, text(reader, body)?);
        state.keys.declare(number, name);
        Ok(())
    })?;
    all(reader, |reader| {
        extra.key_files.push(reader.varint()?);
        Ok(())
    })
}

fn settled(reader: &mut Reader<'_>) -> Result<Settled, DecodeError> {
    let floor = reader.varint()?;
    let mut pages = BTreeMap::new();
    all(reader, |reader| {
        let number = reader.varint()?;
        let page = match reader.u8()? {
            PAGE_FULL => Page::Full,
            PAGE_RUNS => page_of_runs(reader, number)?,
            PAGE_BITS => page_of_bits(reader.raw(BITS_BYTES)?),
            _ => return Err(DecodeError("a kind of page is not known: a newer version wrote it")),
        };
        pages.insert(number, page);
        Ok(())
    })?;
    Ok(Settled::from_parts(floor, pages))
}

fn page_of_runs(reader: &mut Reader<'_>, number: u64) -> Result<Page, DecodeError> {
    let first = number.checked_mul(PAGE_OFFSETS).ok_or(DecodeError("a page is too far"))?;
    let (mut runs, mut end) = (Vec::new(), first);
    all(reader, |reader| {
        let run = OffsetRun { first: end.saturating_add(reader.varint()?), count: reader.varint()? };
        end = run.first.saturating_add(run.count);
        runs.push(run);
        Ok(())
    })?;
    if end > first.saturating_add(PAGE_OFFSETS) {
        return Err(DecodeError("a run goes beyond its page"));
    }
    Ok(Page::of_runs(first, &runs))
}

fn page_of_bits(bytes: &[u8]) -> Page {
    let words = bytes.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word));
    let bits: Box<[u64]> = words.collect();
    Page::Part(bits.iter().map(|word| word.count_ones()).sum(), bits)
}

/// Works out what follows from the parts: members of groups, what is pending, what is live in which segment.
fn connect(state: &mut State) {
    for (number, reader) in state.subscriptions.iter_mut() {
        let Some(channel) = state.channels.get_mut(reader.channel) else { continue };
        let all = OffsetRun { first: 0, count: channel.next_offset };
        reader.pending = reader.settled.open_runs(all).iter().map(|run| run.count).sum();
        channel.subscriptions.push(number);
        match channel.groups.iter_mut().find(|group| group.name == reader.group) {
            Some(group) => group.members.push(number),
            None => {
                let (name, counts) = (reader.group.clone(), crate::GroupCounts::default());
                channel.groups.push(Group { name, members: vec![number], counts });
            }
        }
        for (_, place) in reader.touched.held().values().flat_map(|message| &message.history) {
            state.segments.pin(*place);
        }
    }
    for run in state.channels.iter().flat_map(|(_, channel)| &channel.runs) {
        if let Some(segment) = state.segments.get_mut(run.segment) {
            segment.live += run.live;
        }
    }
}
