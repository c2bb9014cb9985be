//! Which segments are worth cleaning.

use super::Pace;
use crate::{
    format::{BLOCK_BYTES, Seal, SegmentKind},
    state::State,
    writer::Writer,
};
use std::collections::BTreeMap;

/// Segments whose average run of one channel is smaller than this are read slowly.
const RUN_BYTES: u64 = 64 << 10;
/// So many interleaved segments are sorted together, at most.
const SORTED_TOGETHER: usize = 16;
/// While nothing goes on fewer will do, if it is more than one.
const SORTED_WHEN_IDLE: usize = 2;
/// So many segments are emptied into one, at most.
const EMPTIED_TOGETHER: usize = 64;
/// A segment that is smaller than this part of others is joined with so many like it.
const SMALL_PART: u64 = 16;
const SMALL_TOGETHER: usize = 16;
/// What emptying gives back is at least this part of a segment, and more than the room that frames leave at their ends.
const WORTH_PART: u64 = 32;
const WORTH_BYTES: u64 = 16 << 10;
/// What a record takes beside its body.
const RECORD_OVERHEAD_BYTES: u64 = 40;

/// The segments that are cleaned together, and what their records go to.
pub struct Choice {
    pub kind: SegmentKind,
    pub sources: Vec<u64>,
}

/// A sealed segment, as far as its cleaning matters.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    number: u64,
    kind: SegmentKind,
    seal: Seal,
    /// Bytes of frames, and those of them that are live.
    bytes: u64,
    live_bytes: u64,
    live: u64,
}

impl Candidate {
    /// What emptying it gives back.
    const fn garbage(&self) -> u64 {
        self.bytes.saturating_sub(self.live_bytes)
    }

    const fn is_sparse(&self) -> bool {
        self.live_bytes * 2 < self.bytes
    }
}

impl Writer {
    /// What to clean next: what gives back most first.
    pub fn pick(&mut self, pace: Pace) -> Option<Choice> {
        let all = candidates(&self.shared.state(), self.shared.options.window_bytes, pace);
        let now = all.iter().map(|candidate| (candidate.number, candidate.live)).collect();
        let before = std::mem::replace(&mut self.cleaner.live, now);
        let rests = |candidate: &Candidate| {
            let before = before.get(&candidate.number);
            pace == Pace::Idle || before.is_some_and(|before| candidate.live + candidate.live / 8 >= *before)
        };
        let all: Vec<Candidate> =
            all.into_iter().filter(|c| rests(c) && !self.cleaner.spoiled.contains(&c.number)).collect();
        self.sparse(&all, SegmentKind::Log)
            .or_else(|| self.sparse(&all, SegmentKind::Clustered))
            .or_else(|| self.interleaved(&all, pace))
    }

    /// Those of a kind that are less than half live, or small.
    fn sparse(&self, all: &[Candidate], from: SegmentKind) -> Option<Choice> {
        let segment_bytes = self.log.segment_bytes;
        let kind = from.moved()?;
        let is_small = |candidate: &Candidate| candidate.bytes < segment_bytes / SMALL_PART;
        let many_small = all.iter().filter(|c| c.kind == from && is_small(c)).count() >= SMALL_TOGETHER;
        let (mut sources, mut live_bytes, mut garbage) = (Vec::new(), 0, 0);
        for candidate in all.iter().filter(|c| c.kind == from) {
            let fits = live_bytes + candidate.live_bytes <= segment_bytes && sources.len() < EMPTIED_TOGETHER;
            if fits && (candidate.is_sparse() || (many_small && is_small(candidate))) {
                sources.push(candidate.number);
                live_bytes += candidate.live_bytes;
                garbage += candidate.garbage();
            }
        }
        let worth = garbage >= (segment_bytes / WORTH_PART).max(WORTH_BYTES) || sources.len() >= SMALL_TOGETHER;
        (worth && !sources.is_empty()).then_some(Choice { kind, sources })
    }

    /// Those of the log in which the messages of many channels lie between each other.
    fn interleaved(&mut self, all: &[Candidate], pace: Pace) -> Option<Choice> {
        let mut sources = Vec::new();
        for candidate in all.iter().filter(|candidate| candidate.kind.is_log()) {
            if sources.len() < SORTED_TOGETHER && self.is_interleaved(candidate) {
                sources.push(candidate.number);
            }
        }
        let enough = match pace {
            Pace::Busy => SORTED_TOGETHER,
            Pace::Idle => SORTED_WHEN_IDLE,
        };
        (sources.len() >= enough).then_some(Choice { kind: SegmentKind::Clustered, sources })
    }

    fn is_interleaved(&mut self, candidate: &Candidate) -> bool {
        if let Some(known) = self.cleaner.interleaved.get(&candidate.number) {
            return *known;
        }
        let stretches = self.shared.index(candidate.number, candidate.seal).and_then(|index| index.stretches());
        let is = match stretches {
            Ok((channels, stretches)) => channels > 1 && candidate.bytes / stretches.max(1) < RUN_BYTES,
            Err(error) => {
                tracing::warn!(segment = candidate.number, %error, "the index of a segment could not be read");
                self.cleaner.spoiled.insert(candidate.number);
                false
            }
        };
        self.cleaner.interleaved.insert(candidate.number, is);
        is
    }
}

/// The sealed segments that may be moved, by number. While there is traffic, those of the log that the newest frames in
/// memory reach into are none: what is settled soon is written once.
fn candidates(state: &State, window_bytes: u64, pace: Pace) -> Vec<Candidate> {
    let mut live: BTreeMap<u64, u64> = BTreeMap::new();
    for run in state.channels.iter().flat_map(|(_, channel)| &channel.runs).filter(|run| run.live > 0) {
        *live.entry(run.segment).or_default() += run.live_bytes + run.live * RECORD_OVERHEAD_BYTES;
    }
    let mut newer = 0;
    let mut all: Vec<(u64, _)> = state.segments.iter().collect();
    all.reverse();
    let mut found = Vec::new();
    for (number, segment) in all {
        let left_window = newer >= window_bytes || pace == Pace::Idle || !segment.kind.is_log();
        if segment.kind.is_log() {
            newer += segment.end;
        }
        if left_window && segment.sealed && !segment.is_idle() && segment.kind.moved().is_some() {
            found.push(Candidate {
                number,
                kind: segment.kind,
                seal: segment.seal(),
                bytes: segment.end.saturating_sub(BLOCK_BYTES as u64),
                live_bytes: live.get(&number).copied().unwrap_or_default(),
                live: segment.live,
            });
        }
    }
    found.reverse();
    found
}
