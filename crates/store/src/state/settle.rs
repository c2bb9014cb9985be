//! Settling: for a subscription, for its group, and for the channel.

use super::{Channel, Numbered, State, Subscription};
use crate::{OffsetRun, Offsets, Outcome};

impl State {
    /// Settles what is open of these offsets; returns how many were.
    pub fn settle(&mut self, number: u32, outcome: Outcome, offsets: &Offsets) -> u64 {
        let mut count = 0;
        for run in offsets.runs() {
            let Some(subscription) = self.subscriptions.get_mut(number) else { return count };
            let Some(channel) = self.channels.get(subscription.channel) else { return count };
            let end = run.first.saturating_add(run.count).min(channel.next_offset);
            let Some(within) = end.checked_sub(run.first).filter(|count| *count > 0) else { continue };
            let fresh = subscription.settled.settle(OffsetRun { first: run.first, count: within });
            for run in fresh {
                count += run.count;
                self.settled(number, run, outcome);
            }
        }
        count
    }

    /// What follows from a run that a subscription has just settled.
    fn settled(&mut self, number: u32, run: OffsetRun, outcome: Outcome) {
        let Some(subscription) = self.subscriptions.get_mut(number) else { return };
        subscription.pending = subscription.pending.saturating_sub(run.count);
        let freed = subscription.touched.settle(run);
        let Some(channel) = self.channels.get_mut(subscription.channel) else { return };
        let alone = channel.subscriptions.len() == 1;
        let group = channel.groups.iter_mut().find(|group| group.members.contains(&number));
        match group.map(|group| (group.members.len(), group)) {
            Some((1, group)) => group.counts.end(outcome, run.count),
            Some((_, group)) => {
                subscription.outcomes.note(run, outcome);
                for offset in run.first..run.first + run.count {
                    if let Some(outcome) = outcome_of_group(&self.subscriptions, &group.members, offset) {
                        group.counts.end(outcome, 1);
                    }
                }
                let floor = group.members.iter().filter_map(|member| self.subscriptions.get(*member));
                let floor = floor.map(|member| member.settled.floor()).min().unwrap_or(0);
                for member in &group.members {
                    if let Some(member) = self.subscriptions.get_mut(*member) {
                        member.outcomes.forget_below(floor);
                    }
                }
            }
            None => {}
        }
        for message in freed {
            message.history.iter().for_each(|(_, place)| self.segments.unpin(*place));
        }
        let done = if alone { vec![run] } else { settled_by_all(&self.subscriptions, channel, run) };
        for run in done {
            for done in channel.done.settle(run) {
                channel.release(done, &mut self.segments);
            }
        }
    }

    /// Settles for all who have not, as dead, what cannot be read; returns how many messages that were.
    pub fn give_up(&mut self, channel: u32, run: OffsetRun) -> u64 {
        let Some(known) = self.channels.get(channel) else { return 0 };
        let open: u64 = known.done.open_runs(run).iter().map(|run| run.count).sum();
        let readers = known.subscriptions.clone();
        let mut offsets = Offsets::new();
        offsets.push_run(run);
        for reader in readers {
            self.settle(reader, Outcome::Dead, &offsets);
        }
        // A queue without a reader holds it still.
        if let Some(known) = self.channels.get_mut(channel) {
            for run in known.done.settle(run) {
                known.release(run, &mut self.segments);
            }
        }
        self.damaged += open;
        open
    }
}

/// How a message ended for a group, if all its members have settled it.
pub fn outcome_of_group(subscriptions: &Numbered<Subscription>, members: &[u32], offset: u64) -> Option<Outcome> {
    let mut ended = Outcome::Filtered;
    for member in members.iter().filter_map(|member| subscriptions.get(*member)) {
        if !member.settled.has(offset) {
            return None;
        }
        if member.start <= offset {
            ended = ended.max(member.outcomes.of(offset));
        }
    }
    Some(ended)
}

/// The parts of a run that every reader of the channel has settled.
pub fn settled_by_all(subscriptions: &Numbered<Subscription>, channel: &Channel, run: OffsetRun) -> Vec<OffsetRun> {
    let readers: Vec<&Subscription> = channel.subscriptions.iter().filter_map(|n| subscriptions.get(*n)).collect();
    let (mut at, end) = (run.first, run.first + run.count);
    let mut runs = Vec::new();
    while at < end {
        // The first offset that some reader has open bounds the run that all have settled.
        let stop = readers.iter().map(|reader| reader.settled.next_open(at)).min().unwrap_or(end).min(end);
        if stop > at {
            runs.push(OffsetRun { first: at, count: stop - at });
        }
        // From there on, nothing is settled by all before the last of them has settled something.
        at = readers.iter().map(|reader| reader.settled.next_settled(stop, end)).max().unwrap_or(end);
    }
    runs
}
