//! What subscriptions a plan wants, and how those that the store has become them.
//!
//! A subscription is named `ROUTE/TARGET` (for a topic `SUBSCRIPTION/TARGET`), one of a queue that no route reads
//! `queue:NAME`. What the store has under another name is taken over where it is clear what is meant:
//!
//! - `was: OLD` on a route: `OLD/TARGET` becomes `NEW/TARGET`, with the hidden queue and the dead letters.
//! - The reader of a queue changed (a route came, went, or gave way to another): what stands in the queue is the new
//!   reader's.
//! - A route with a single target whose address was edited: what waits for the old address goes to the new one. One that
//!   reads a topic under another `subscription` than before begins as that one's `start` says.
//!
//! Everything else keeps the messages that it has, and is reported. What comes to a channel that others read is none of its
//! business any more: without messages it is retired, otherwise what comes is settled for it from the start. In a queue or
//! topic that no route reads any more it stays as it is. A new target of a route that was there before sees what comes from
//! now on.

use crossdock_config::{Channels, Plan, Route, Start as PlanStart};
use crossdock_model::Text;
use crossdock_store::{Amendment, ChannelInfo, ChannelNumber, Start, SubscriptionInfo, SubscriptionNumber};

/// A subscription that the plan wants.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// Its name.
    pub name: Text,
    /// The channel's name.
    pub channel: Text,
    /// The group that settles messages together.
    pub group: Text,
    /// Where it begins if it is new.
    pub start: Start,
    /// What it was called before, if the route says so.
    was: Option<Text>,
    /// Whether it is a route's gate.
    gate: bool,
    /// Whether the group has no other.
    single: bool,
    /// Whether the channel is a queue, which has one reader.
    queue: bool,
}

/// The name of a route's subscription for a target.
pub(crate) fn subscription_name(route: &Route, target: &Text) -> Text {
    let prefix = match route.reads() {
        Channels::Topic { subscription, .. } => subscription,
        Channels::Queue(_) | Channels::None => &route.id,
    };
    Text::from(format!("{prefix}/{target}"))
}

/// The name of a route's gate: where messages are looked at before its targets read them.
pub(crate) fn gate_name(route: &Route) -> Text {
    let prefix = match route.reads() {
        Channels::Topic { subscription, .. } => subscription,
        Channels::Queue(_) | Channels::None => &route.id,
    };
    Text::from(format!("{GATE}{prefix}"))
}

/// Whether a subscription is the gate of a route.
pub(crate) fn is_gate(name: &str) -> bool {
    name.starts_with(GATE)
}

/// What the names of gates begin with; no route has a colon in its name.
const GATE: &str = "steps:";

/// The group of a queue that no route reads, and the name of its subscription.
pub(crate) fn queue_group(queue: &str) -> Text {
    Text::from(format!("queue:{queue}"))
}

/// All subscriptions that a plan wants.
pub(crate) fn wanted(plan: &Plan) -> Vec<Wanted> {
    let mut wanted = Vec::new();
    for route in plan.routes() {
        let (channel, start) = match (route.reads(), &route.from) {
            (Channels::Queue(name), _) => (name, Start::Earliest),
            (Channels::Topic { name, .. }, crossdock_config::From::Topic { start, .. }) => (name, from_plan(*start)),
            (Channels::Topic { name, .. }, _) => (name, Start::Latest),
            (Channels::None, _) => continue,
        };
        let queue = matches!(route.reads(), Channels::Queue(_));
        if route.steps.claims() {
            wanted.push(Wanted {
                name: gate_name(route),
                channel: channel.clone(),
                group: route.id.clone(),
                start,
                was: route.was.as_ref().map(|was| Text::from(format!("{GATE}{was}"))),
                gate: true,
                single: false,
                queue,
            });
        }
        for target in &route.targets {
            wanted.push(Wanted {
                name: subscription_name(route, &target.name),
                channel: channel.clone(),
                group: route.id.clone(),
                start,
                gate: false,
                was: route.was.as_ref().map(|was| Text::from(format!("{was}/{}", target.name))),
                single: route.targets.len() == 1,
                queue,
            });
        }
    }
    for channel in plan.channels() {
        if channel.is_queue() && plan.reader(&channel.name).is_none() {
            let name = queue_group(&channel.name);
            let (channel, group) = (channel.name.clone(), name.clone());
            wanted.push(Wanted {
                name,
                channel,
                group,
                start: Start::Earliest,
                was: None,
                gate: false,
                single: true,
                queue: true,
            });
        }
    }
    wanted
}

/// How the store's channels are renamed for routes that were called otherwise.
pub(crate) fn renamed_channels(plan: &Plan, channels: &[ChannelInfo]) -> Vec<(ChannelNumber, Text)> {
    let number = |name: &str| channels.iter().find(|channel| channel.name == name).map(|channel| channel.number);
    let mut renamed = Vec::new();
    for route in plan.routes() {
        let Some(was) = &route.was else { continue };
        let hidden = route.hidden_queue.clone().map(|name| (format!("route:{was}"), name));
        let dead = (format!("{was}.dead"), route.dead_letter.clone());
        let default = dead.1 == format!("{}.dead", route.id);
        for (old, new) in hidden.into_iter().chain(default.then_some(dead)) {
            if let (Some(channel), None) = (number(&old), number(&new)) {
                renamed.push((channel, new));
            }
        }
    }
    renamed
}

/// How the store's subscriptions become those that are wanted.
#[derive(Default, Debug)]
pub(crate) struct Takeover {
    /// First: names that are wanted elsewhere make way.
    pub away: Vec<Amendment>,
    /// Second: the wanted ones that are declared, new or known.
    pub declared: Vec<Wanted>,
    /// Third: what is taken over, or retired. Behind the new ones, which begin with the oldest message that is kept: a
    /// crash between the two is mended by the next start.
    pub taken: Vec<Amendment>,
    /// What keeps what it has, and takes nothing new: the subscriptions with their channels.
    pub closed: Vec<(SubscriptionNumber, ChannelNumber)>,
}

/// How the store's subscriptions become those that are wanted; its channels are given as they are called by now, and
/// `kept` are those that keep messages for whoever comes.
pub(crate) fn takeover(
    wanted: Vec<Wanted>,
    kept: &[Text],
    channels: &[ChannelInfo],
    subscriptions: &[SubscriptionInfo],
) -> Takeover {
    let mut result = Takeover::default();
    let number = |name: &Text| channels.iter().find(|channel| channel.name == *name).map(|channel| channel.number);
    let readers = wanted.iter().filter(|want| !want.gate).map(|want| &want.channel);
    let cared_for: Vec<_> = readers.chain(kept).filter_map(number).collect();
    let mut left: Vec<&SubscriptionInfo> = subscriptions.iter().collect();
    left.retain(|has| !wanted.iter().any(|w| w.name == has.name && number(&w.channel) == Some(has.channel)));
    for mut want in wanted {
        let here = |has: &&SubscriptionInfo| number(&want.channel) == Some(has.channel);
        let on_channel: Vec<_> = subscriptions.iter().filter(|has| here(has)).collect();
        if let Some(has) = on_channel.iter().find(|has| has.name == want.name) {
            if has.group != want.group {
                result.taken.push(rename(has, &want));
            }
            result.declared.push(want);
            continue;
        }
        let takes = |has: &&SubscriptionInfo| here(has) && want.takes(has, &left, number(&want.channel));
        if let Some(at) = left.iter().position(takes) {
            let has = left.remove(at);
            result.taken.push(rename(has, &want));
            continue;
        }
        // A gate that comes to a queue looks at what waits there.
        let looks_back = want.gate && want.queue;
        if on_channel.iter().any(|has| want.is_beside(has)) && !looks_back {
            want.start = Start::Latest;
        }
        result.declared.push(want);
    }
    for has in left {
        if is_gate(&has.name) && result.has_no_use_of(has, channels) {
            result.away.push(Amendment::RetireSubscription { subscription: has.number });
            continue;
        }
        if result.wants(&has.name) {
            let at = channels.iter().find(|channel| channel.number == has.channel).map_or("", |channel| &channel.name);
            let name = Text::from(format!("{} (of {at})", has.name));
            let group = name.clone();
            result.away.push(Amendment::RenameSubscription { subscription: has.number, name, group });
        }
        if !is_gate(&has.name) && cared_for.contains(&has.channel) {
            result.leave(has);
        }
    }
    result
}

/// A target of a route that is called otherwise by now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct MovedTarget {
    pub route: Text,
    pub old: Text,
    pub new: Text,
}

/// The targets among what is taken over: what a route read before as well.
pub(crate) fn moved_targets(taken: &[Amendment], before: &[SubscriptionInfo]) -> Vec<MovedTarget> {
    let moved = |amendment: &Amendment| {
        let Amendment::RenameSubscription { subscription, name, group } = amendment else { return None };
        let has = before.iter().find(|has| has.number == *subscription && has.group == *group)?;
        let target = |name: &Text| name.split_once('/').map(|(_, target)| Text::from(target));
        Some(MovedTarget { route: group.clone(), old: target(&has.name)?, new: target(name)? })
    };
    taken.iter().filter_map(moved).collect()
}

impl Takeover {
    /// Whether a gate that nobody wants stands where a route that has none reads: it would keep what all others settle.
    fn has_no_use_of(&self, gate: &SubscriptionInfo, channels: &[ChannelInfo]) -> bool {
        let here = channels.iter().find(|channel| channel.number == gate.channel).map(|channel| &channel.name);
        let group = |amendment: &Amendment| matches!(amendment, Amendment::RenameSubscription { group, .. } if *group == gate.group);
        let reads = |want: &Wanted| (want.queue && Some(&want.channel) == here) || want.group == gate.group;
        self.declared.iter().any(reads) || self.taken.iter().any(group) || self.wants(&gate.name)
    }

    /// Nobody settles any more for a subscription that others have taken the place of: it would pin what comes.
    fn leave(&mut self, has: &SubscriptionInfo) {
        if has.pending == 0 {
            self.taken.push(Amendment::RetireSubscription { subscription: has.number });
        } else {
            self.closed.push((has.number, has.channel));
        }
    }

    fn wants(&self, name: &Text) -> bool {
        let taken =
            |amendment: &Amendment| matches!(amendment, Amendment::RenameSubscription { name: to, .. } if to == name);
        self.declared.iter().any(|want| want.name == *name) || self.taken.iter().any(taken)
    }
}

impl Wanted {
    /// Whether a subscription that nobody wants under its own name becomes this one.
    fn takes(&self, has: &SubscriptionInfo, left: &[&SubscriptionInfo], channel: Option<ChannelNumber>) -> bool {
        let was = self.was.as_ref() == Some(&has.name);
        if self.gate || is_gate(&has.name) {
            return was;
        }
        let reader_changed = self.queue && has.group != self.group;
        // Of a topic others may read too: what is left of them is theirs.
        let own = |other: &&&SubscriptionInfo| other.group == self.group && !is_gate(&other.name);
        let alone = left.iter().filter(|other| Some(other.channel) == channel).filter(own).count() == 1;
        was || reader_changed || (self.single && alone && self.is_beside(has))
    }

    /// Whether a subscription is one of the route's as it reads now. Of a topic that it read under another name before it is
    /// not: one begins where its `start` says, which is how a topic is read anew.
    fn is_beside(&self, has: &SubscriptionInfo) -> bool {
        has.group == self.group && (self.queue || prefix(&has.name) == prefix(&self.name))
    }
}

/// What stands before the target: the route, or the subscription of a topic.
fn prefix(name: &str) -> &str {
    let name = name.strip_prefix(GATE).unwrap_or(name);
    name.split_once('/').map_or(name, |(prefix, _)| prefix)
}

fn rename(has: &SubscriptionInfo, wanted: &Wanted) -> Amendment {
    let (name, group) = (wanted.name.clone(), wanted.group.clone());
    Amendment::RenameSubscription { subscription: has.number, name, group }
}

fn from_plan(start: PlanStart) -> Start {
    match start {
        PlanStart::Earliest => Start::Earliest,
        PlanStart::Latest => Start::Latest,
        PlanStart::At(at) => Start::At(at),
    }
}
