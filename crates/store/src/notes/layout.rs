//! The bytes of the notes: a header and slots of 512 bytes, numbers little-endian.
//!
//! | Header | Bytes | Slot | Bytes |
//! |---|---|---|---|
//! | CRC-32C of the rest | 4 | CRC-32C of the rest | 4 |
//! | `CDFL`, version 1 | 8 | run | 4 |
//! | run | 4 | batch: equal in the slots of one note | 4 |
//! | boot | 16 | subscription | 4 |
//! | 1 if stopped | 1 | its place among the slots of the note | 2 |
//! | 1 if charged | 1 | flights in it | 2 |
//! | zeros | | 1 if alone | 1 |
//! | | | zeros | 3 |
//! | | | flights: an offset, the highest bit set while the rules are applied | 8 each |

use super::{End, Flight};
use crate::SubscriptionNumber;

/// Bytes of the header and of each slot.
pub const SLOT_BYTES: usize = 512;
/// Flights in a slot.
pub const SLOT_FLIGHTS: usize = (SLOT_BYTES - SLOT_HEAD_BYTES) / 8;
const SLOT_HEAD_BYTES: usize = 24;
const MAGIC: [u8; 8] = *b"CDFL\x01\0\0\0";
const EVALUATING: u64 = 1 << 63;

/// What a file begins with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// Grows with each process that notes something.
    pub run: u32,
    /// Which start of the machine.
    pub boot: [u8; 16],
    /// It was being stopped.
    pub stopped: bool,
    /// Somebody was charged for its end.
    pub charged: bool,
}

/// What the slots of a note have in common.
pub struct Slot {
    pub run: u32,
    pub batch: u32,
    pub subscription: SubscriptionNumber,
    pub alone: bool,
}

/// A slot as read.
struct Found {
    batch: u32,
    subscription: SubscriptionNumber,
    place: u16,
    alone: bool,
    flights: Vec<Flight>,
}

impl Header {
    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![0; 4];
        bytes.extend(MAGIC);
        bytes.extend(self.run.to_le_bytes());
        bytes.extend(self.boot);
        bytes.extend([u8::from(self.stopped), u8::from(self.charged)]);
        bytes.resize(SLOT_BYTES, 0);
        seal(&mut bytes);
        bytes
    }

    /// Reads one; none if it is none, or of another version.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let rest = unsealed(bytes.get(..SLOT_BYTES)?)?;
        let (magic, rest) = rest.split_first_chunk::<8>()?;
        let (run, rest) = rest.split_first_chunk()?;
        let (boot, rest) = rest.split_first_chunk()?;
        let [stopped, charged, ..] = rest else { return None };
        let header =
            Self { run: u32::from_le_bytes(*run), boot: *boot, stopped: *stopped != 0, charged: *charged != 0 };
        (*magic == MAGIC).then_some(header)
    }

    /// Whether it is of an end that says something: in this start of the machine, and not told to.
    pub fn counts(&self, boot: &[u8; 16]) -> bool {
        !self.stopped && self.boot == *boot
    }
}

/// Puts a note into as many slots as it needs, at least one, in place of what `to` holds.
pub fn encode_slots(slot: &Slot, flights: &[Flight], to: &mut Vec<u8>) {
    to.clear();
    let mut chunks = flights.chunks(SLOT_FLIGHTS);
    let first = chunks.next().unwrap_or_default();
    for (place, chunk) in (0_u16..).zip(std::iter::once(first).chain(chunks)) {
        let begin = to.len();
        to.extend([0; 4]);
        for number in [slot.run, slot.batch, slot.subscription.0] {
            to.extend(number.to_le_bytes());
        }
        to.extend(place.to_le_bytes());
        to.extend((chunk.len() as u16).to_le_bytes());
        to.extend([u8::from(slot.alone), 0, 0, 0]);
        for flight in chunk {
            let bit = if flight.evaluating { EVALUATING } else { 0 };
            to.extend((flight.offset | bit).to_le_bytes());
        }
        to.resize(begin + SLOT_BYTES, 0);
        seal(to.get_mut(begin..).unwrap_or_default());
    }
}

/// What the notes of a run say; slots of another run, or torn, say nothing.
pub fn decode_slots(file: &[u8], run: u32) -> End {
    let mut flights = Vec::new();
    let mut note: Option<(u32, SubscriptionNumber, u16)> = None;
    for slot in file.chunks_exact(SLOT_BYTES).skip(1) {
        let Some(found) = decode_slot(slot, run) else {
            note = None;
            continue;
        };
        let follows = note.is_some_and(|(batch, subscription, next)| {
            found.place == next && found.batch == batch && found.subscription == subscription
        });
        if found.place > 0 && !follows {
            note = None;
            continue;
        }
        note = Some((found.batch, found.subscription, found.place.saturating_add(1)));
        match found.flights.first() {
            Some(one) if found.alone => return End::Alone(*one),
            Some(_) | None => flights.extend(found.flights),
        }
    }
    End::Together(flights)
}

fn decode_slot(bytes: &[u8], run: u32) -> Option<Found> {
    let rest = unsealed(bytes)?;
    let (of_run, rest) = rest.split_first_chunk()?;
    let (batch, rest) = rest.split_first_chunk()?;
    let (subscription, rest) = rest.split_first_chunk()?;
    let (place, rest) = rest.split_first_chunk()?;
    let (count, rest) = rest.split_first_chunk()?;
    let ([alone, ..], rest) = rest.split_first_chunk::<4>()?;
    let subscription = SubscriptionNumber(u32::from_le_bytes(*subscription));
    let numbers = rest.chunks_exact(8).filter_map(|bytes| Some(u64::from_le_bytes(*bytes.first_chunk()?)));
    let flight = |number| Flight { subscription, offset: number & !EVALUATING, evaluating: number & EVALUATING != 0 };
    let flights = numbers.take(usize::from(u16::from_le_bytes(*count))).map(flight).collect();
    let (batch, place) = (u32::from_le_bytes(*batch), u16::from_le_bytes(*place));
    (u32::from_le_bytes(*of_run) == run).then_some(Found { batch, subscription, place, alone: *alone != 0, flights })
}

fn seal(bytes: &mut [u8]) {
    if let Some((sum, rest)) = bytes.split_first_chunk_mut() {
        *sum = crc32c::crc32c(rest).to_le_bytes();
    }
}

/// What stands behind the checksum, if it matches.
fn unsealed(bytes: &[u8]) -> Option<&[u8]> {
    let (sum, rest) = bytes.split_first_chunk()?;
    (crc32c::crc32c(rest) == u32::from_le_bytes(*sum)).then_some(rest)
}
