//! The account: what was received, what stands, how the rest ended.

use super::{OpenIndex, State, declare::pending_of};
use crate::{ChannelInfo, ChannelNumber, GroupCounts, OffsetRun, SubscriptionInfo, SubscriptionNumber};

impl State {
    /// Counts messages that were appended, for all who read the channel.
    pub fn count_appended(&mut self, channel: u32, count: u64) {
        let Some(channel) = self.channels.get_mut(channel) else { return };
        for group in &mut channel.groups {
            group.counts.append(count);
        }
        for reader in &channel.subscriptions {
            if let Some(reader) = self.subscriptions.get_mut(*reader) {
                reader.pending += count;
            }
        }
    }

    /// Begins the account: what stands is what was received. Then what is known to be lost ends as dead.
    pub fn begin_account(&mut self) {
        let mut groups: Vec<(u32, usize, u64)> = Vec::new();
        for (number, channel) in self.channels.iter() {
            for (place, group) in channel.groups.iter().enumerate() {
                groups.push((number, place, pending_of(&self.subscriptions, &group.members, channel.next_offset)));
            }
        }
        for (number, place, stored) in groups {
            let group = self.channels.get_mut(number).and_then(|channel| channel.groups.get_mut(place));
            if let Some(group) = group {
                group.counts = GroupCounts::default();
                group.counts.append(stored);
            }
        }
        for (channel, run) in std::mem::take(&mut self.missing) {
            let count = self.give_up(channel, run);
            if count > 0 {
                tracing::error!(channel, first = run.first, count, "messages are lost to damage (store.damaged)");
            }
        }
    }

    /// The live messages of a segment that its index does not have.
    pub fn lost_of(&self, segment: u64, index: &OpenIndex) -> Vec<(u32, OffsetRun)> {
        let mut lost: Vec<(u32, OffsetRun)> = Vec::new();
        for (number, channel) in self.channels.iter() {
            for run in channel.runs.iter().filter(|run| run.segment == segment) {
                let open = channel.done.open_runs(OffsetRun { first: run.first, count: run.count });
                let open = open.iter().flat_map(|run| run.first..run.first + run.count);
                for offset in open.filter(|offset| index.position(number, *offset).is_none()) {
                    match lost.last_mut() {
                        Some((same, run)) if *same == number && run.first + run.count == offset => run.count += 1,
                        Some(_) | None => lost.push((number, OffsetRun { first: offset, count: 1 })),
                    }
                }
            }
        }
        lost
    }

    /// The account of a group, over all channels where it reads.
    pub fn group_counts(&self, name: &str) -> Option<GroupCounts> {
        let groups = self.channels.iter().flat_map(|(_, channel)| &channel.groups).filter(|group| group.name == name);
        groups.map(|group| group.counts.clone()).reduce(|sum, next| sum.plus(&next))
    }

    pub fn channel_info(&self, number: u32) -> Option<ChannelInfo> {
        let channel = self.channels.get(number)?;
        Some(ChannelInfo {
            number: ChannelNumber(number),
            name: channel.name.clone(),
            kind: channel.kind,
            messages: channel.messages,
            bytes: channel.bytes,
            oldest_appended_at: None,
            next_offset: channel.next_offset,
            expiring_below: channel.expiring_below,
        })
    }

    /// Whether a subscription has a message of its channel still to settle.
    pub fn is_pending(&self, number: u32, offset: u64) -> bool {
        let subscription = self.subscriptions.get(number);
        let next = subscription.and_then(|of| self.channels.get(of.channel)).map_or(0, |channel| channel.next_offset);
        offset < next && subscription.is_some_and(|subscription| !subscription.settled.has(offset))
    }

    pub fn subscription_info(&self, number: u32) -> Option<SubscriptionInfo> {
        let subscription = self.subscriptions.get(number)?;
        Some(SubscriptionInfo {
            number: SubscriptionNumber(number),
            name: subscription.name.clone(),
            channel: ChannelNumber(subscription.channel),
            group: subscription.group.clone(),
            floor: subscription.settled.floor(),
            pending: subscription.pending,
            touched: subscription.touched.len(),
        })
    }
}
