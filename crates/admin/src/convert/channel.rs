//! Channels.

use crate::shape;
use crossdock_engine::{ChannelKind, ChannelView};

/// A channel.
pub fn channel(view: &ChannelView) -> shape::Channel {
    let subscription = |view: &crossdock_engine::SubscriptionView| shape::ChannelSubscription {
        name: view.name.to_string(),
        messages: view.messages,
    };
    shape::Channel {
        name: view.name.to_string(),
        kind: match view.kind {
            ChannelKind::Queue => shape::ChannelKind::Queue,
            ChannelKind::Topic => shape::ChannelKind::Topic,
        },
        hidden: view.hidden,
        messages: view.messages,
        bytes: view.bytes,
        oldest_seconds: view.oldest.map(|age| age.as_secs_f64()),
        ready: view.ready(),
        in_flight: view.in_flight,
        scheduled: view.scheduled,
        subscriptions: view.subscriptions.iter().map(subscription).collect(),
    }
}
