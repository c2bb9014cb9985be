//! Telling the store what the plan needs: channels, subscriptions, and what is called otherwise by now.

use super::names::{MovedTarget, Takeover, moved_targets, renamed_channels, takeover, wanted};
use crate::{StartError, account::Channel, claims::Claims};
use crossdock_config::{ChannelKind as PlanKind, ChannelUse, Plan, WhenFull as PlanWhenFull};
use crossdock_model::Text;
use crossdock_store::{
    Amendment, ChannelKind, ChannelSpec, Channels, DeclareError, Retain, SubscriptionNumber, SubscriptionSpec, WhenFull,
};
use std::{collections::HashMap, sync::Arc};

/// What the store has for the plan.
pub(crate) struct Declared {
    /// The channels by name.
    pub channels: HashMap<Text, Arc<Channel>>,
    /// The subscriptions by name.
    pub subscriptions: HashMap<Text, SubscriptionNumber>,
    /// Targets whose address was edited, or that were given a name: what waited for them went on to the new one.
    pub moved: Vec<MovedTarget>,
}

/// Declares everything, and claims it. Blocks.
pub(crate) fn declare(plan: &Plan, store: &dyn Channels) -> Result<(Declared, Claims), StartError> {
    let renamed = renamed_channels(plan, &store.channels());
    let rename = |(channel, name)| Amendment::RenameChannel { channel, name };
    amend(store, renamed.into_iter().map(rename).collect())?;
    let wanted = wanted(plan);
    let kept: Vec<_> = plan.channels().iter().filter(|channel| retains(channel)).map(|c| c.name.clone()).collect();
    let before = store.subscriptions();
    let Takeover { away, declared, taken, closed } = takeover(wanted, &kept, &store.channels(), &before);
    let moved = moved_targets(&taken, &before);
    amend(store, away)?;
    let numbers = store.declare_channels(plan.channels().iter().map(spec).collect())?;
    let by_name: HashMap<_, _> = plan.channels().iter().map(|channel| &channel.name).zip(numbers).collect();
    let specs = declared.into_iter().filter_map(|want| {
        let channel = *by_name.get(&want.channel)?;
        Some(SubscriptionSpec { name: want.name, channel, group: want.group, start: want.start })
    });
    store.declare_subscriptions(specs.collect())?;
    amend(store, taken)?;
    let has = store.subscriptions();
    let channels = plan.channels().iter().filter_map(|channel| {
        let number = *by_name.get(&channel.name)?;
        let mut made = Channel::new(channel.name.clone(), number);
        made.closed = closed.iter().filter(|(_, at)| *at == number).map(|(subscription, _)| *subscription).collect();
        made.hidden = matches!(channel.purpose, ChannelUse::Hidden { .. });
        made.bytes_max = match &channel.kind {
            PlanKind::Queue(limits) => limits.bytes_max,
            PlanKind::Topic(_) => None,
        };
        let drops = |other: &crossdock_config::Channel| match &other.kind {
            PlanKind::Queue(limits) => {
                matches!(&limits.when_full, PlanWhenFull::DropOldest { dead_letter: Some(to) } if *to == channel.name)
            }
            PlanKind::Topic(_) => false,
        };
        made.dead_letters =
            plan.routes().iter().any(|route| route.dead_letter == channel.name) || plan.channels().iter().any(drops);
        Some((channel.name.clone(), Arc::new(made)))
    });
    let channels = channels.collect();
    let claims = Claims::take(store)?;
    let subscriptions = has.into_iter().map(|has| (has.name, has.number)).collect();
    Ok((Declared { channels, subscriptions, moved }, claims))
}

/// Whether messages that no route reads are kept there for as long as the file says.
fn retains(channel: &crossdock_config::Channel) -> bool {
    spec(channel).retain.is_some()
}

fn amend(store: &dyn Channels, amendments: Vec<Amendment>) -> Result<(), DeclareError> {
    if amendments.is_empty() { Ok(()) } else { store.amend(amendments) }
}

fn spec(channel: &crossdock_config::Channel) -> ChannelSpec {
    let queue = ChannelSpec::queue(channel.name.clone());
    match &channel.kind {
        PlanKind::Queue(limits) => ChannelSpec {
            bytes_max: limits.bytes_max,
            messages_max: limits.messages_max,
            when_full: match &limits.when_full {
                PlanWhenFull::Refuse => WhenFull::Refuse,
                PlanWhenFull::DropOldest { .. } => WhenFull::DropOldest,
            },
            dead_letter: match &limits.when_full {
                PlanWhenFull::Refuse => None,
                PlanWhenFull::DropOldest { dead_letter } => dead_letter.clone(),
            },
            ..queue
        },
        PlanKind::Topic(plan) => {
            let retain = Retain { age: plan.age, bytes: plan.bytes, messages: plan.messages };
            ChannelSpec { kind: ChannelKind::Topic, retain: (retain != Retain::default()).then_some(retain), ..queue }
        }
    }
}
