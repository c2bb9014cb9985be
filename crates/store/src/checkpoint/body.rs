//! The body of a checkpoint.
//!
//! ```text
//! section        kind · bytes · content                      an unknown kind: a newer version wrote it
//! 1 numbers      next channel · next subscription · next scope · next segment · secret: 16
//! 2 channels     number of · (number · kind · 0 · name · next offset · settled · runs)…
//! 3 subscriptions  number of · (number · channel · start · 0 · name · group · settled · outcomes · touched)…
//! 4 segments     number of · (number · kind, 128 more with a key · [key: 4] · incarnation: 8 · first sequence · last sequence · end)…
//! 5 keys         number of scopes · (number · name)… · number of key files · (generation)…
//! 6 operations   number of · operation…
//! 7 tries        number of · (number of a file of tries)…, oldest first; absent where there is none
//!
//! settled        floor · number of pages · (page · 0 full | 1 number of runs (gap · count)… | 2 bits: 8192)…
//! runs           number of · (first · count · segment · live · live bytes)…
//! outcomes       number of · (outcome · first · count)…
//! touched        those in memory: number of · (offset · tries · charges · mask · [due] · number of · (try · segment · at)…)…
//! ```
//! The zeros are masks of fields to come.

use crate::{
    OffsetRun,
    cipher::KeyId,
    format::{Write, kind_number, outcome_number, put_operation},
    message::words::put_text,
    state::{
        Channel, State, Subscription,
        settled::{PAGE_OFFSETS, Page, Settled},
    },
    tries::put_touched,
};

pub const NUMBERS: u8 = 1;
pub const CHANNELS: u8 = 2;
pub const SUBSCRIPTIONS: u8 = 3;
pub const SEGMENTS: u8 = 4;
pub const KEYS: u8 = 5;
pub const OPERATIONS: u8 = 6;
pub const TRIES: u8 = 7;

pub const PAGE_FULL: u8 = 0;
pub const PAGE_RUNS: u8 = 1;
pub const PAGE_BITS: u8 = 2;

/// What is added to the kind of a segment that is encrypted.
pub const ENCRYPTED: u8 = 0x80;

/// Bytes of a page's bits.
pub const BITS_BYTES: usize = (PAGE_OFFSETS / 8) as usize;

/// What a checkpoint holds beside the state.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Extra {
    /// The number of the next new segment.
    pub next_segment: u64,
    /// Keys the hashes that are not to be guessed from outside.
    pub secret: [u8; 16],
    /// The generations of the key files.
    pub key_files: Vec<u64>,
    /// The numbers of the files of tries.
    pub try_files: Vec<u64>,
}

pub fn encode(state: &State, extra: &Extra) -> Vec<u8> {
    let mut to = Vec::new();
    section(&mut to, NUMBERS, |to| {
        to.put_varint(u64::from(state.channels.next_number()));
        to.put_varint(u64::from(state.subscriptions.next_number()));
        to.put_varint(u64::from(state.keys.scopes.next_number()));
        to.put_varint(extra.next_segment);
        to.put_raw(&extra.secret);
    });
    section(&mut to, CHANNELS, |to| {
        put_all(to, state.channels.iter(), |to, (number, channel)| put_channel(to, number, channel));
    });
    section(&mut to, SUBSCRIPTIONS, |to| {
        put_all(to, state.subscriptions.iter(), |to, (number, reader)| put_subscription(to, number, reader));
    });
    section(&mut to, SEGMENTS, |to| {
        put_all(to, state.segments.iter(), |to, (number, segment)| {
            to.put_varint(number);
            let encrypted = if segment.key.is_some() { ENCRYPTED } else { 0 };
            to.put_u8(segment.kind.number() | encrypted);
            if segment.key.is_some() {
                to.put_u32(KeyId::number(segment.key));
            }
            to.put_u64(segment.incarnation);
            for n in [segment.first_sequence, segment.last_sequence, segment.end] {
                to.put_varint(n);
            }
        });
    });
    section(&mut to, KEYS, |to| {
        put_all(to, state.keys.scopes.iter(), |to, (number, scope)| {
            to.put_varint(u64::from(number));
            put_text(to, &scope.name);
        });
        put_all(to, extra.key_files.iter(), |to, generation| to.put_varint(*generation));
    });
    section(&mut to, OPERATIONS, |to| put_all(to, state.operations.iter(), put_operation));
    // A version that knows of no such files refuses the store while there are any, and only then.
    if !extra.try_files.is_empty() {
        section(&mut to, TRIES, |to| put_all(to, extra.try_files.iter(), |to, number| to.put_varint(*number)));
    }
    to
}

fn section(to: &mut Vec<u8>, kind: u8, fill: impl FnOnce(&mut Vec<u8>)) {
    let mut content = Vec::new();
    fill(&mut content);
    to.put_u8(kind);
    to.put_piece(&content);
}

fn put_all<T>(to: &mut Vec<u8>, all: impl Iterator<Item = T>, mut put: impl FnMut(&mut Vec<u8>, T)) {
    let (mut count, mut content) = (0, Vec::new());
    for one in all {
        count += 1;
        put(&mut content, one);
    }
    to.put_varint(count);
    to.put_raw(&content);
}

fn put_channel(to: &mut Vec<u8>, number: u32, channel: &Channel) {
    to.put_varint(u64::from(number));
    to.put_u8(kind_number(channel.kind));
    to.put_varint(0);
    put_text(to, &channel.name);
    to.put_varint(channel.next_offset);
    put_settled(to, &channel.done);
    put_all(to, channel.runs.iter(), |to, run| {
        for n in [run.first, run.count, run.segment, run.live, run.live_bytes] {
            to.put_varint(n);
        }
    });
}

fn put_subscription(to: &mut Vec<u8>, number: u32, reader: &Subscription) {
    to.put_varint(u64::from(number));
    to.put_varint(u64::from(reader.channel));
    to.put_varint(reader.start);
    to.put_varint(0);
    put_text(to, &reader.name);
    put_text(to, &reader.group);
    put_settled(to, &reader.settled);
    put_all(to, reader.outcomes.runs(), |to, (outcome, run)| {
        to.put_u8(outcome_number(outcome));
        to.put_varint(run.first);
        to.put_varint(run.count);
    });
    put_all(to, reader.touched.held().iter(), |to, (offset, message)| {
        to.put_varint(*offset);
        put_touched(to, message);
    });
}

fn put_settled(to: &mut Vec<u8>, settled: &Settled) {
    to.put_varint(settled.floor());
    put_all(to, settled.pages().iter(), |to, (number, page)| {
        to.put_varint(*number);
        match page {
            Page::Full => to.put_u8(PAGE_FULL),
            Page::Part(_, bits) => {
                let runs = settled_runs(settled, *number);
                let mut as_runs = Vec::new();
                let mut end = number * PAGE_OFFSETS;
                put_all(&mut as_runs, runs.iter(), |to, run| {
                    to.put_varint(run.first - end);
                    to.put_varint(run.count);
                    end = run.first + run.count;
                });
                if as_runs.len() < BITS_BYTES {
                    to.put_u8(PAGE_RUNS);
                    to.put_raw(&as_runs);
                } else {
                    to.put_u8(PAGE_BITS);
                    bits.iter().for_each(|word| to.put_u64(*word));
                }
            }
        }
    });
}

/// The settled runs of a page at or above the floor.
fn settled_runs(settled: &Settled, page: u64) -> Vec<OffsetRun> {
    let end = (page + 1) * PAGE_OFFSETS;
    let mut runs = Vec::new();
    let mut at = settled.next_settled((page * PAGE_OFFSETS).max(settled.floor()), end);
    while at < end {
        let stop = settled.next_open(at).min(end);
        runs.push(OffsetRun { first: at, count: stop - at });
        at = settled.next_settled(stop, end);
    }
    runs
}
