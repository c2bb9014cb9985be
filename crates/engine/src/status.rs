//! What runs and how it stands: the whole, routes, channels.

use crate::{
    ChannelView, Gateway, RouteView, Status, SubscriptionView, account::Channel, gateway::Inner, route::RouteReport,
};
use crossdock_model::Text;
use crossdock_store::{Accountant, ChannelInfo, SubscriptionInfo};
use std::collections::HashSet;

impl Gateway {
    /// The whole.
    pub async fn status(&self) -> Status {
        let shared = &self.0.shared;
        let counts = shared.channels.accountant().map(Accountant::counts).unwrap_or_default();
        Status {
            store_id: Text::from(shared.channels.store_id()),
            started_at: shared.started_at,
            uptime: std::time::Duration::from_millis(shared.time.moment().0),
            unready: self.ready().err(),
            store_bytes: counts.bytes,
            store_full: counts.full,
            routes: self.routes().await,
            orphans: self.0.orphans(),
        }
    }

    /// All routes in the order of the file.
    pub async fn routes(&self) -> Vec<RouteView> {
        let mut views = Vec::with_capacity(self.0.routes.len());
        for handle in &self.0.routes {
            views.push(handle.view(&self.0.shared).await);
        }
        views
    }

    /// A route.
    pub async fn route(&self, id: &str) -> Option<RouteView> {
        Some(self.0.route(id)?.view(&self.0.shared).await)
    }

    /// All channels of the plan and those others that hold messages.
    pub async fn channels(&self) -> Vec<ChannelView> {
        let reports = self.0.reports().await;
        self.0.channel_views(&reports)
    }

    /// A channel.
    pub async fn channel(&self, name: &str) -> Option<ChannelView> {
        self.channels().await.into_iter().find(|channel| channel.name == name)
    }
}

impl Inner {
    /// What every route's task says of itself, in the order of the file.
    pub async fn reports(&self) -> Vec<Option<RouteReport>> {
        let mut reports = Vec::with_capacity(self.routes.len());
        for handle in &self.routes {
            reports.push(handle.report().await);
        }
        reports
    }

    /// The channels in the order of the plan, then the store's others that hold messages.
    pub fn channel_views(&self, reports: &[Option<RouteReport>]) -> Vec<ChannelView> {
        let (infos, subscriptions) = (self.shared.channels.channels(), self.shared.channels.subscriptions());
        let planned = self.shared.plan.channels().iter().filter_map(|channel| self.channels.get(&channel.name));
        let mut views: Vec<_> = planned
            .filter_map(|channel| {
                let info = infos.iter().find(|info| info.number == channel.number)?;
                Some(self.channel_view(info, Some(channel), &subscriptions, reports))
            })
            .collect();
        let others = infos.iter().filter(|info| info.messages > 0 && !self.channels.contains_key(&info.name));
        views.extend(others.map(|info| self.channel_view(info, None, &subscriptions, reports)));
        views
    }

    fn channel_view(
        &self,
        info: &ChannelInfo,
        channel: Option<&std::sync::Arc<Channel>>,
        subscriptions: &[SubscriptionInfo],
        reports: &[Option<RouteReport>],
    ) -> ChannelView {
        let readers = self.routes.iter().zip(reports).filter(|(handle, _)| {
            handle.account.group.as_ref().is_some_and(|group| group.channel.number == info.number)
        });
        let reports: Vec<_> = readers.filter_map(|(_, report)| report.as_ref()).collect();
        let (in_flight, scheduled) =
            self.queue_of(info.number).map_or_else(|| standing(&reports), |queue| queue.board.read());
        // Routes and the store are asked one after the other: the states add up all the same.
        let in_flight = in_flight.min(info.messages);
        let scheduled = scheduled.min(info.messages - in_flight);
        let view = |has: &SubscriptionInfo| SubscriptionView { name: has.name.clone(), messages: has.pending };
        let here = |has: &&SubscriptionInfo| has.channel == info.number && !crate::start::is_gate(&has.name);
        let now = self.shared.time.now();
        ChannelView {
            name: info.name.clone(),
            kind: info.kind,
            messages: info.messages,
            bytes: info.bytes,
            oldest: info.oldest_appended_at.map(|at| now.since(at)),
            in_flight,
            scheduled,
            hidden: channel.is_some_and(|channel| channel.hidden),
            subscriptions: subscriptions.iter().filter(here).map(view).collect(),
        }
    }

    /// Channels and subscriptions that hold messages though the plan does not name them.
    fn orphans(&self) -> Vec<Text> {
        let infos = self.shared.channels.channels();
        let planned = |name: &Text| self.channels.contains_key(name);
        let channels = infos.iter().filter(|info| info.messages > 0 && !planned(&info.name));
        let mut orphans: Vec<_> =
            channels.map(|info| Text::from(format!("channel {}: {} messages", info.name, info.messages))).collect();
        for has in self
            .shared
            .channels
            .subscriptions()
            .iter()
            .filter(|has| has.pending > 0 && !crate::start::is_gate(&has.name))
        {
            let channel = infos.iter().find(|info| info.number == has.channel);
            let known = self.routes.iter().any(|handle| {
                let names = handle.route.targets.iter();
                names.map(|target| crate::start::subscription_name(&handle.route, &target.name)).any(|n| n == has.name)
            });
            let queue = channel.is_some_and(|info| crate::start::queue_group(&info.name) == has.name);
            if !known && !queue && channel.is_some_and(|info| planned(&info.name)) {
                orphans.push(Text::from(format!("subscription {}: {} messages", has.name, has.pending)));
            }
        }
        orphans
    }
}

/// How many messages are in flight, and how many of the others wait for their next try or for a delay: each once, however many
/// targets it has.
fn standing(reports: &[&RouteReport]) -> (u64, u64) {
    if let [RouteReport { targets, .. }] = reports
        && let [only] = targets.as_slice()
    {
        return (only.view.in_flight, only.view.scheduled);
    }
    let in_flight: HashSet<u64> = reports.iter().flat_map(|report| &report.in_flight).copied().collect();
    let scheduled = reports.iter().flat_map(|report| &report.scheduled).filter(|offset| !in_flight.contains(offset));
    let scheduled: HashSet<u64> = scheduled.copied().collect();
    // What waits for one reader's delay may be on its way to another.
    let told = |from: u64| in_flight.iter().chain(&scheduled).filter(|offset| **offset >= from).count() as u64;
    let delayed = reports.iter().filter_map(|report| report.delayed);
    let delayed = delayed.map(|delayed| delayed.count.saturating_sub(told(delayed.from))).max().unwrap_or(0);
    (in_flight.len() as u64, scheduled.len() as u64 + delayed)
}
