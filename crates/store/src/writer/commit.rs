//! A group commit: one frame, one write, one sync, one answer for each decision.

use super::{
    Request, Writer,
    draft::Draft,
    keys::Recalled,
    log::Trouble,
    plan::{Limits, Plan, weight},
    rescue::Rescued,
    reserve::Room,
};
use crate::{
    CommitError, Committed, Completion, SyncPolicy, Txn, Watch, format::RecordKind, format::encode_index,
    format::index_name,
};
use std::{collections::VecDeque, time::Instant};

/// No frame is larger, but for a single decision that is.
const FRAME_BYTES: u64 = 4 << 20;

/// What is answered to whom.
type Answers = Vec<(Completion, Result<Committed, CommitError>)>;

impl Writer {
    /// Takes decisions from the front, as many as make a frame, and commits them.
    pub fn commit_group(&mut self, requests: &mut VecDeque<Request>) {
        self.refresh_space();
        let group = self.next_group(requests);
        match self.try_commit(&group) {
            Ok(answers) => {
                answer(group, answers);
                if let Err(trouble) = self.clean_a_little() {
                    let _ = self.give_up(&trouble);
                }
            }
            Err(Trouble::NoSpace) if !self.space.is_low() => {
                // The volume has just run full: what gives room back may still go through.
                self.run_low();
                let result = self.try_commit(&group);
                match result {
                    Ok(answers) => answer(group, answers),
                    Err(trouble) => self.refuse_all(group, &trouble),
                }
            }
            Err(trouble) => self.refuse_all(group, &trouble),
        }
    }

    fn refuse_all(&self, group: Vec<(Txn, Completion)>, trouble: &Trouble) {
        let why = self.give_up(trouble);
        group.into_iter().for_each(|(_, completion)| completion(Err(why.clone())));
    }

    /// The decisions for one frame.
    fn next_group(&self, requests: &mut VecDeque<Request>) -> Vec<(Txn, Completion)> {
        let most = FRAME_BYTES.min(self.log.segment_bytes / 4);
        let (mut group, mut bytes) = (Vec::with_capacity(requests.len()), 0);
        loop {
            match requests.pop_front() {
                Some(Request::Txn(txn, completion)) => {
                    let weight = weight(&txn);
                    if !group.is_empty() && bytes + weight > most {
                        requests.push_front(Request::Txn(txn, completion));
                        return group;
                    }
                    bytes += weight;
                    group.push((txn, completion));
                }
                Some(other) => {
                    requests.push_front(other);
                    return group;
                }
                None => return group,
            }
        }
    }

    /// Plans and writes a frame; the state knows it then.
    fn try_commit(&mut self, group: &[(Txn, Completion)]) -> Result<Vec<Result<Committed, CommitError>>, Trouble> {
        let now = (self.shared.options.clock)();
        let limits = Limits {
            message_bytes_max: self.shared.options.message_bytes_max(),
            frame_bytes_max: self.log.frame_bytes_max(),
            room: self.room_for(|| group.iter().map(|(txn, _)| weight(txn)).sum()),
        };
        let rescued = Rescued::read(&self.shared, group.iter().map(|(txn, _)| txn), limits.frame_bytes_max);
        self.recall_tried(group.iter().map(|(txn, _)| txn));
        let recalled = Recalled::read(&self.shared, group.iter().map(|(txn, _)| txn), now);
        let ((draft, moved, passing), answers, may_use_reserve) = {
            let state = self.shared.state();
            let kept = (std::mem::take(&mut self.draft), self.passing.clone());
            let mut plan = Plan::new(&state, kept, (now, limits), (recalled, rescued));
            plan.look_ahead(group.iter().map(|(txn, _)| txn));
            let answers: Vec<_> = group.iter().map(|(txn, _)| plan.add(txn)).collect();
            let ordinary = group.iter().flat_map(|(txn, _)| &txn.puts).any(|put| !put.use_reserve);
            (plan.into_parts(), answers, !ordinary || limits.room != Room::Ordinary)
        };
        let written = if draft.is_empty() { Ok(()) } else { self.write(&draft, now, may_use_reserve) };
        self.draft = draft.emptied();
        written?;
        self.passing = passing;
        if !moved.is_empty() {
            let mut state = self.state();
            for (number, count) in moved {
                if let Some(channel) = state.channels.get_mut(number) {
                    channel.moved_in += count;
                }
            }
        }
        Ok(answers)
    }

    /// Writes a frame, makes it durable as the policy says, and applies it.
    pub fn write(
        &mut self,
        draft: &Draft,
        now: crossdock_model::Timestamp,
        may_use_reserve: bool,
    ) -> Result<(), Trouble> {
        self.make_way(draft, now, may_use_reserve)?;
        let applied = self.log.write(draft, now, false)?;
        self.bytes_since_checkpoint += u64::from(applied.bytes);
        (self.last_frame, self.tidy) = (Instant::now(), false);
        match self.shared.options.sync {
            SyncPolicy::Always => self.sync()?,
            SyncPolicy::Every(_) | SyncPolicy::Never => {}
        }
        let tried = applied.records.iter().any(|record| record.entry.kind == RecordKind::Touch);
        let (watches, left) = {
            let mut state = self.state();
            let watches: Result<Vec<Watch>, _> = state.apply(&applied);
            let left = state.shrink_window(self.shared.options.window_bytes as usize);
            // What was just written cannot be of a newer version.
            (watches.unwrap_or_default(), left)
        };
        watches.iter().for_each(|watch| watch());
        self.log.recycle(left);
        if tried {
            self.spill_when_many()?;
        }
        if self.bytes_since_checkpoint >= self.checkpoint_bytes() {
            return self.checkpoint_when_due();
        }
        if draft.has_keys() { self.write_keys_when_many() } else { Ok(()) }
    }

    fn sync(&mut self) -> Result<(), Trouble> {
        if let Some(took) = self.log.sync()? {
            self.sync_time = (self.sync_time * 7 + took) / 8;
        }
        Ok(())
    }

    /// Begins a new segment and writes the index of the old one.
    pub fn roll(&mut self, now: crossdock_model::Timestamp) -> Result<(), Trouble> {
        let old = self.log.active.as_ref().map(|active| active.number);
        let incarnation = (self.shared.options.random)();
        let (number, segment) = self.log.roll(incarnation, now)?;
        self.state().segments.insert(number, segment);
        if let Some(old) = old {
            self.seal_in_state(old);
        }
        Ok(())
    }

    /// Notes that a segment is sealed, and writes its index. Without an index on disk it stays in memory.
    pub fn seal_in_state(&self, number: u64) {
        let encoded = {
            let mut state = self.state();
            let Some(segment) = state.segments.get_mut(number) else { return };
            segment.sealed = true;
            let (incarnation, end) = (segment.incarnation, segment.end);
            let Some(index) = state.open_indexes.get(&number) else { return };
            encode_index(number, incarnation, end, index)
        };
        let written = self.shared.disk.open(&index_name(number), crate::OpenMode::Create).and_then(|file| {
            file.truncate(0)?;
            file.write_at(&encoded, 0)
        });
        match written {
            Ok(()) => {
                self.shared.meters.wrote(encoded.len() as u64);
                self.state().open_indexes.remove(&number);
            }
            Err(error) => tracing::warn!(segment = number, %error, "the index of a segment could not be written"),
        }
    }
}

fn answer(group: Vec<(Txn, Completion)>, answers: Vec<Result<Committed, CommitError>>) {
    let answers: Answers =
        group.into_iter().zip(answers).map(|((_, completion), answer)| (completion, answer)).collect();
    for (completion, answer) in answers {
        completion(answer);
    }
}
