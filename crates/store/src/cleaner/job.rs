//! A job: the live records of some segments, copied in the order of (channel, offset).

use super::{pick::Choice, target::Target};
use crate::{
    OffsetRun,
    format::{RecordKind, SegmentHeader, SegmentKind},
    read::Loaded,
    state::{MovedRun, MovedTouch, State},
    writer::{Draft, Trouble, Writer},
};
use std::{collections::VecDeque, io};

/// Messages with tries on record that are looked at at once.
const TRIED_AT_ONCE: usize = 1024;

/// What is to be done.
pub struct Job {
    kind: SegmentKind,
    /// The segments that are to be emptied.
    pub sources: Vec<u64>,
    pieces: VecDeque<Piece>,
    touches: VecDeque<MovedTouch>,
    /// From which message on, by subscription and offset, tries are still to be looked for; none if all were.
    next_tried: Option<(u32, u64)>,
    pub target: Option<Target>,
}

/// A run that is to be copied.
struct Piece {
    run: MovedRun,
    end: u64,
    /// The next offset to copy.
    next: u64,
    /// Of its messages, on average.
    message_bytes: u64,
    /// Whether something of it is damaged: then it stays, to be found by whoever reads it.
    damaged: bool,
}

impl Piece {
    const fn is_untouched(&self) -> bool {
        self.next == self.run.first
    }
}

impl Job {
    /// What is live in the chosen segments now.
    pub fn new(state: &State, choice: Choice) -> Self {
        let mut pieces = VecDeque::new();
        for (number, channel) in state.channels.iter() {
            for run in channel.runs.iter().filter(|run| run.live > 0 && choice.sources.contains(&run.segment)) {
                let moved = MovedRun { channel: number, first: run.first, from: run.segment };
                let message_bytes = run.live_bytes / run.live.max(1) + 1;
                let (end, next) = (run.end(), run.first);
                pieces.push_back(Piece { run: moved, end, next, message_bytes, damaged: false });
            }
        }
        let pinned = |number: &u64| state.segments.get(*number).is_some_and(|segment| segment.pins > 0);
        let next_tried = choice.sources.iter().any(pinned).then_some((0, 0));
        let Choice { kind, sources } = choice;
        Self { kind, sources, pieces, touches: VecDeque::new(), next_tried, target: None }
    }

    /// Whether nothing is left to be copied.
    fn is_done(&self) -> bool {
        self.pieces.is_empty() && self.touches.is_empty() && self.next_tried.is_none()
    }

    /// Whether the target is as large as a segment: the run at hand is the last one that goes into it.
    fn holds_a_segment(&self, segment_bytes: u64) -> bool {
        self.target.as_ref().is_some_and(|target| target.end >= segment_bytes)
    }

    /// Whether a target is as large as a segment, or nothing follows that could be added.
    fn is_target_full(&self, segment_bytes: u64) -> bool {
        let between = self.pieces.front().is_none_or(Piece::is_untouched);
        (self.holds_a_segment(segment_bytes) && between) || self.is_done()
    }
}

impl Writer {
    /// Copies about so many bytes; returns whether the job is done. A segment of copies ends with the run that fills it: it
    /// may be larger than others by a run.
    pub fn advance(&mut self, job: &mut Job, bytes: u64) -> Result<bool, Trouble> {
        let mut draft = Draft::of_copies();
        let (mut finished, mut touches) = (Vec::new(), Vec::new());
        let read = self
            .read_pieces(job, bytes, &mut draft, &mut finished)
            .and_then(|()| self.read_touches(job, bytes, &mut draft, &mut touches));
        if let Err(error) = read {
            tracing::warn!(%error, "segments of the log could not be read to clean them: they stay as they are");
            self.cleaner.spoiled.extend(job.sources.iter().copied());
            job.pieces.clear();
            job.touches.clear();
            job.next_tried = None;
            return job.target.take().map_or(Ok(()), |target| target.remove(&*self.shared.disk)).map(|()| true);
        }
        if !draft.is_empty() {
            if job.target.is_none() {
                job.target = Some(self.make_target(job.kind)?);
            }
            let (lost, kept): (Vec<_>, Vec<_>) = touches.into_iter().partition(|(_, found)| !found);
            if let Some(target) = &mut job.target {
                let now = (self.shared.options.clock)();
                target.write(&draft, kept.into_iter().map(|(touch, _)| touch).collect(), now)?;
                target.touches.extend(lost.into_iter().map(|(touch, _)| touch));
            }
        }
        if let Some(target) = &mut job.target {
            target.runs.extend(finished);
        }
        if job.is_target_full(self.log.segment_bytes)
            && let Some(target) = job.target.take()
        {
            let (kind, bytes) = (target.kind(), target.end);
            let mut copies = target.finish(&*self.shared.disk)?;
            let (number, runs, touches) = (copies.number, copies.runs.len(), std::mem::take(&mut copies.touches));
            self.state().take_over(copies);
            self.move_touches(&touches)?;
            self.seal_in_state(number);
            tracing::debug!(segment = number, ?kind, bytes, runs, "messages were moved to a segment of copies");
        }
        Ok(job.is_done())
    }

    /// Adds copies of messages to a frame; what it finishes with it.
    fn read_pieces(
        &mut self,
        job: &mut Job,
        bytes: u64,
        draft: &mut Draft,
        finished: &mut Vec<MovedRun>,
    ) -> io::Result<()> {
        let is_last = job.holds_a_segment(self.log.segment_bytes);
        while draft.frame_bytes() < bytes {
            let Some(piece) = job.pieces.front_mut().filter(|piece| !is_last || !piece.is_untouched()) else {
                return Ok(());
            };
            let room = bytes.saturating_sub(draft.frame_bytes()) / (piece.message_bytes + Draft::growth(0)) + 1;
            let offsets = live_offsets(&self.shared.state(), piece, room);
            piece.next = offsets.last().map_or(piece.end, |last| last + 1);
            let loaded = if offsets.is_empty() {
                Vec::new()
            } else {
                self.shared.load(piece.run.channel, &offsets).map_err(io::Error::other)?
            };
            for one in loaded {
                match one {
                    Loaded::Message(message) => draft.push_copy(piece.run.channel, &message),
                    Loaded::Damaged(_) => piece.damaged = true,
                }
            }
            if piece.next >= piece.end || offsets.len() < room as usize {
                if piece.damaged {
                    self.cleaner.spoiled.insert(piece.run.from);
                } else {
                    finished.push(piece.run);
                }
                job.pieces.pop_front();
            }
        }
        Ok(())
    }

    /// Adds copies of tries, and which of them are found.
    fn read_touches(
        &self,
        job: &mut Job,
        bytes: u64,
        draft: &mut Draft,
        touches: &mut Vec<(MovedTouch, bool)>,
    ) -> io::Result<()> {
        if job.pieces.is_empty() && job.touches.is_empty() {
            self.find_touches(job)?;
        }
        while job.pieces.is_empty() && draft.frame_bytes() < bytes {
            let Some(touch) = job.touches.pop_front() else { return Ok(()) };
            let MovedTouch { subscription, offset, from, .. } = touch;
            let body = self.shared.read_record(from, RecordKind::Touch, subscription, offset)?;
            if let Some(body) = &body {
                draft.push_small(RecordKind::Touch, subscription, offset, |to| to.extend_from_slice(body));
            }
            touches.push((touch, body.is_some()));
        }
        Ok(())
    }

    /// Finds the next tries whose records are in the segments that are emptied: looks at so many messages and no more, so that
    /// a step stays a small one and not all are in memory.
    fn find_touches(&self, job: &mut Job) -> io::Result<()> {
        while let Some((subscription, from)) = job.next_tried {
            let (entries, next) = self.shared.touched_from(subscription, from, TRIED_AT_ONCE)?;
            let is_last = subscription + 1 >= self.state().subscriptions.next_number();
            let following = if is_last { None } else { Some((subscription + 1, 0)) };
            job.next_tried = next.map(|next| (subscription, next)).or(following);
            for entry in &entries {
                let here = entry.message.history.iter().map(|(_, place)| *place);
                let here = here.filter(|place| job.sources.contains(&place.segment));
                let offset = entry.offset;
                job.touches.extend(here.map(|from| MovedTouch { subscription, offset, from, to: None }));
            }
            if !entries.is_empty() {
                break;
            }
        }
        Ok(())
    }

    /// Has the copies of tries count: those of messages that files have are taken back into memory for it, some at a time.
    fn move_touches(&mut self, touches: &[MovedTouch]) -> Result<(), Trouble> {
        // Memory takes half as many again as it may hold, for as long as that lasts.
        let at_once = (self.shared.options.tried_in_memory_max / 2).max(1);
        for some in touches.chunks(at_once) {
            self.recall(some.iter().map(|touch| (touch.subscription, touch.offset)));
            {
                let mut state = self.state();
                some.iter().for_each(|touch| state.move_touch(*touch));
            }
            self.spill_when_many()?;
        }
        // What the files pinned of what was emptied they pin no more.
        self.count_pins();
        Ok(())
    }

    fn make_target(&mut self, kind: SegmentKind) -> Result<Target, Trouble> {
        if !self.space.allows_segment(&self.log, false) {
            return Err(Trouble::NoSpace);
        }
        let header = SegmentHeader {
            key: self.shared.options.keys.current(),
            kind,
            number: self.log.next_segment,
            incarnation: (self.shared.options.random)(),
            store: self.log.store,
            first_sequence: self.log.end.sequence,
            created_at: (self.shared.options.clock)(),
        };
        self.log.next_segment += 1;
        Target::make(&self.shared, header)
    }
}

/// The next offsets of a piece that are live and where they were.
fn live_offsets(state: &State, piece: &Piece, most: u64) -> Vec<u64> {
    let Some(channel) = state.channels.get(piece.run.channel) else { return Vec::new() };
    let stays = channel.run_of(piece.next.max(channel.done.next_open(piece.next)));
    if stays.is_none_or(|run| run.first != piece.run.first || run.segment != piece.run.from) {
        return Vec::new();
    }
    let rest = OffsetRun { first: piece.next, count: piece.end - piece.next };
    let open = channel.done.open_runs(rest);
    let open = open.iter().flat_map(|run| run.first..run.first + run.count);
    open.take(usize::try_from(most).unwrap_or(usize::MAX)).collect()
}
