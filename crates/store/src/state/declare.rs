//! Channels and subscriptions: declared, renamed, retired.

use super::{Channel, Group, State, Subscription, Touches, settle::settled_by_all, settled::Outcomes};
use crate::{ChannelKind, GroupCounts, OffsetRun, format::Declaration};
use crossdock_model::Text;

impl State {
    /// Takes in a declaration.
    pub fn declare(&mut self, number: u32, declaration: Declaration) {
        match declaration {
            Declaration::Channel { kind, name } => self.declare_channel(number, kind, own(&name)),
            Declaration::Subscription { channel, start, name, group } => {
                if self.subscriptions.get(number).is_some() {
                    self.rename_subscription(number, own(&name), own(&group));
                } else {
                    self.add_subscription(number, channel, start, own(&name), own(&group));
                }
            }
            Declaration::Scope { name } => self.keys.declare(number, own(&name)),
            Declaration::ChannelRetired => self.retire_channel(number),
            Declaration::SubscriptionRetired => self.retire_subscription(number),
        }
    }

    fn declare_channel(&mut self, number: u32, kind: ChannelKind, name: Text) {
        match self.channels.get_mut(number) {
            Some(channel) => {
                self.channel_numbers.remove(&channel.name);
                (channel.name, channel.kind) = (name.clone(), kind);
            }
            None => self.channels.insert(number, Channel::new(kind, name.clone())),
        }
        self.channel_numbers.insert(name, number);
    }

    fn add_subscription(&mut self, number: u32, channel_number: u32, start: u64, name: Text, group: Text) {
        let Some(channel) = self.channels.get_mut(channel_number) else { return };
        // What is done for all who read it before is not there for a new one either.
        let mut settled = channel.done.clone();
        settled.settle(OffsetRun { first: 0, count: start });
        let all = OffsetRun { first: 0, count: channel.next_offset };
        let pending = settled.open_runs(all).iter().map(|run| run.count).sum();
        let cursor = settled.floor();
        channel.subscriptions.push(number);
        self.subscription_numbers.insert(name.clone(), number);
        let (outcomes, touched) = (Outcomes::default(), Touches::default());
        let channel = channel_number;
        let (watch, behind, followers) = (None, None, Vec::new());
        let subscription = Subscription {
            name,
            channel,
            group: group.clone(),
            start,
            settled,
            outcomes,
            pending,
            cursor,
            touched,
            watch,
            behind,
            followers,
        };
        self.subscriptions.insert(number, subscription);
        self.join_group(number, channel, group);
    }

    fn join_group(&mut self, number: u32, channel: u32, name: Text) {
        let Some(channel) = self.channels.get_mut(channel) else { return };
        let place = channel.groups.iter().position(|group| group.name == name).unwrap_or_else(|| {
            channel.groups.push(Group { name, members: Vec::new(), counts: GroupCounts::default() });
            channel.groups.len() - 1
        });
        let Some(group) = channel.groups.get_mut(place) else { return };
        let before = pending_of(&self.subscriptions, &group.members, channel.next_offset);
        group.members.push(number);
        let after = pending_of(&self.subscriptions, &group.members, channel.next_offset);
        group.counts.append(after.saturating_sub(before));
    }

    /// Takes a subscription out of its group, whose account begins anew.
    fn leave_group(&mut self, number: u32, channel: u32) {
        let Some(channel) = self.channels.get_mut(channel) else { return };
        for group in channel.groups.iter_mut().filter(|group| group.members.contains(&number)) {
            group.members.retain(|member| *member != number);
            let stored = pending_of(&self.subscriptions, &group.members, channel.next_offset);
            group.counts = GroupCounts::default();
            group.counts.append(stored);
        }
        channel.groups.retain(|group| !group.members.is_empty());
    }

    fn rename_subscription(&mut self, number: u32, name: Text, group: Text) {
        let Some(subscription) = self.subscriptions.get_mut(number) else { return };
        self.subscription_numbers.remove(&subscription.name);
        self.subscription_numbers.insert(name.clone(), number);
        subscription.name = name;
        if subscription.group != group {
            subscription.group = group.clone();
            let channel = subscription.channel;
            self.leave_group(number, channel);
            self.join_group(number, channel, group);
        }
    }

    fn retire_subscription(&mut self, number: u32) {
        let Some(subscription) = self.subscriptions.remove(number) else { return };
        self.subscription_numbers.remove(&subscription.name);
        for (_, place) in subscription.touched.held().values().flat_map(|message| &message.history) {
            self.segments.unpin(*place);
        }
        self.leave_group(number, subscription.channel);
        let Some(channel) = self.channels.get_mut(subscription.channel) else { return };
        channel.subscriptions.retain(|reader| *reader != number);
        if channel.subscriptions.is_empty() && channel.keeps() {
            return;
        }
        let all = OffsetRun { first: 0, count: channel.next_offset };
        for open in subscription.settled.open_runs(all) {
            for run in settled_by_all(&self.subscriptions, channel, open) {
                for done in channel.done.settle(run) {
                    channel.release(done, &mut self.segments);
                }
            }
        }
    }

    fn retire_channel(&mut self, number: u32) {
        let readers = self.channels.get(number).map(|channel| channel.subscriptions.clone()).unwrap_or_default();
        for reader in readers {
            self.retire_subscription(reader);
        }
        let Some(channel) = self.channels.remove(number) else { return };
        self.channel_numbers.remove(&channel.name);
        for run in &channel.runs {
            self.segments.settle(run.segment, run.live);
        }
    }
}

/// A text of its own, which holds no frame's buffer.
fn own(text: &Text) -> Text {
    Text::from(text.to_string())
}

/// How many messages some member has not settled.
pub fn pending_of(subscriptions: &super::Numbered<Subscription>, members: &[u32], next_offset: u64) -> u64 {
    let all = OffsetRun { first: 0, count: next_offset };
    let members: Vec<&Subscription> = members.iter().filter_map(|member| subscriptions.get(*member)).collect();
    if let [only] = members.as_slice() {
        return only.pending;
    }
    let mut open: Vec<OffsetRun> = members.iter().flat_map(|member| member.settled.open_runs(all)).collect();
    open.sort_unstable_by_key(|run| run.first);
    let (mut count, mut end) = (0, 0);
    for run in open {
        let stop = run.first + run.count;
        count += stop.saturating_sub(end.max(run.first));
        end = end.max(stop);
    }
    count
}
