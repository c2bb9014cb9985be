//! The metrics of contract.md §5 as OpenMetrics text. Everything is read when it is asked for, and every series is there
//! from the start.

use super::Histogram;
use crate::{ChannelView, Counts, Gateway, SourceState, TargetState, gateway::Inner, route::RouteReport};
use crossdock_model::{FaultClass, Text};
use crossdock_store::Accountant;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet},
    metrics::MetricType,
    registry::Registry,
};
use std::{fmt, sync::Arc};

impl Gateway {
    /// The metrics in the OpenMetrics text format (contract.md §5).
    pub async fn metrics(&self) -> String {
        let reports = self.0.reports().await;
        let channels = self.0.channel_views(&reports);
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Snapshot { inner: Arc::clone(&self.0), reports, channels }));
        let mut text = String::new();
        match prometheus_client::encoding::text::encode(&mut text, &registry) {
            Ok(()) => text,
            Err(fmt::Error) => {
                tracing::error!("the metrics cannot be written: report this");
                String::from("# EOF\n")
            }
        }
    }
}

/// What was gathered for a scrape.
struct Snapshot {
    inner: Arc<Inner>,
    reports: Vec<Option<RouteReport>>,
    channels: Vec<ChannelView>,
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Snapshot")
    }
}

impl Collector for Snapshot {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.account(&mut encoder)?;
        self.queues(&mut encoder)?;
        self.targets(&mut encoder)?;
        self.sources(&mut encoder)?;
        self.times(&mut encoder)?;
        self.store(&mut encoder)
    }
}

/// A family of gauges or counters, one series a line.
struct Family<'a>(MetricEncoder<'a>);

impl<'a> Family<'a> {
    fn begin(
        encoder: &'a mut DescriptorEncoder<'_>,
        name: &'a str,
        help: &str,
        kind: MetricType,
    ) -> Result<Self, fmt::Error> {
        encoder.encode_descriptor(name, help, None, kind).map(Self)
    }

    fn counter<const N: usize>(&mut self, labels: [(&str, &str); N], value: u64) -> fmt::Result {
        self.0.encode_family(&labels)?.encode_counter::<NoLabelSet, _, f64>(&value, None)
    }

    fn gauge<const N: usize>(&mut self, labels: [(&str, &str); N], value: f64) -> fmt::Result {
        self.0.encode_family(&labels)?.encode_gauge(&value)
    }

    fn histogram<const N: usize>(&mut self, labels: [(&str, &str); N], histogram: &Histogram) -> fmt::Result {
        let (sum, count, buckets) = histogram.read();
        self.0.encode_family(&labels)?.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }
}

impl Snapshot {
    fn accounts(&self) -> Vec<(&Text, Counts)> {
        let channels = &*self.inner.shared.channels;
        let routes = self.inner.routes.iter().map(|handle| &handle.account);
        let queues = self.inner.queues.iter().map(|handle| &handle.account);
        routes.chain(queues).map(|account| (&account.name, account.counts(channels))).collect()
    }

    fn account(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let accounts = self.accounts();
        let help = "Messages by where they ended, and those received";
        let mut family = Family::begin(encoder, "crossdock_messages", help, MetricType::Counter)?;
        for (name, counts) in &accounts {
            for (outcome, count) in [
                ("received", counts.received),
                ("delivered", counts.delivered),
                ("filtered", counts.filtered),
                ("refused", counts.refused),
                ("dead", counts.dead),
                ("expired", counts.expired),
            ] {
                family.counter([("route", name), ("outcome", outcome)], count)?;
            }
        }
        let help = "Messages received that are neither stored nor ended: 0 when nothing is lost";
        let mut family = Family::begin(encoder, "crossdock_unaccounted_messages", help, MetricType::Gauge)?;
        for (name, counts) in &accounts {
            family.0.encode_family(&[("route", &***name)])?.encode_gauge(&counts.unaccounted())?;
        }
        Ok(())
    }

    fn queues(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Messages in a channel by what they wait for";
        let mut family = Family::begin(encoder, "crossdock_queue_messages", help, MetricType::Gauge)?;
        for channel in &self.channels {
            for (state, count) in
                [("ready", channel.ready()), ("in_flight", channel.in_flight), ("scheduled", channel.scheduled)]
            {
                family.gauge([("queue", &channel.name), ("state", state)], number(count))?;
            }
        }
        let help = "Bytes of the messages in a channel";
        let mut family = Family::begin(encoder, "crossdock_queue_bytes", help, MetricType::Gauge)?;
        for channel in &self.channels {
            family.gauge([("queue", &channel.name)], number(channel.bytes))?;
        }
        let help = "Age of the oldest message in a channel, 0 if it is empty";
        let mut family = Family::begin(encoder, "crossdock_queue_oldest_seconds", help, MetricType::Gauge)?;
        for channel in &self.channels {
            let oldest = channel.oldest.unwrap_or_default().as_secs_f64();
            family.gauge([("queue", &channel.name)], oldest)?;
        }
        Ok(())
    }

    /// Each route with what its task says.
    fn routes(&self) -> impl Iterator<Item = (&Text, &RouteReport)> {
        let routes = self.inner.routes.iter().zip(&self.reports);
        routes.filter_map(|(handle, report)| Some((&handle.route.id, report.as_ref()?)))
    }

    fn targets(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Whether a target takes messages";
        let mut family = Family::begin(encoder, "crossdock_target_up", help, MetricType::Gauge)?;
        for (route, report) in self.routes() {
            for target in report.targets.iter().filter(|target| target.view.connector) {
                let up = f64::from(u8::from(target.view.state == TargetState::Up));
                family.gauge([("route", route), ("target", &target.view.name)], up)?;
            }
        }
        let help = "Messages of a target by what they wait for";
        let mut family = Family::begin(encoder, "crossdock_target_messages", help, MetricType::Gauge)?;
        for (route, report) in self.routes() {
            for target in report.targets.iter().filter(|target| target.view.connector) {
                let view = &target.view;
                for (state, count) in
                    [("ready", view.ready), ("in_flight", view.in_flight), ("scheduled", view.scheduled)]
                {
                    family.gauge([("route", route), ("target", &view.name), ("state", state)], number(count))?;
                }
            }
        }
        self.attempts(encoder)
    }

    fn attempts(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Tries to deliver by how they ended";
        let mut family = Family::begin(encoder, "crossdock_attempts", help, MetricType::Counter)?;
        for (route, report) in self.routes() {
            for target in &report.targets {
                let counters = target.counters;
                for (outcome, count) in [
                    ("delivered", counters.delivered),
                    (FaultClass::Rejected.name(), counters.rejected),
                    (FaultClass::Failed.name(), counters.failed),
                    (FaultClass::Busy.name(), counters.busy),
                    (FaultClass::Unreachable.name(), counters.unreachable),
                ] {
                    let labels = [("route", &**route), ("target", &*target.view.name), ("outcome", outcome)];
                    family.counter(labels, count)?;
                }
            }
        }
        let help = "Attempts charged to messages";
        let mut family = Family::begin(encoder, "crossdock_charges", help, MetricType::Counter)?;
        for (route, report) in self.routes() {
            for target in &report.targets {
                family.counter([("route", route), ("target", &target.view.name)], target.counters.charges)?;
            }
        }
        let help = "Fields that a target's protocol could not carry";
        let mut family = Family::begin(encoder, "crossdock_mapping_losses", help, MetricType::Counter)?;
        for ((field, target), count) in self.inner.shared.losses.read() {
            family.counter([("field", &field), ("target", &target)], count)?;
        }
        Ok(())
    }

    fn sources(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Whether a source receives";
        let mut family = Family::begin(encoder, "crossdock_source_up", help, MetricType::Gauge)?;
        for handle in &self.inner.routes {
            let Some(source) = handle.source.as_ref().map(|source| source.view()) else { continue };
            let up = f64::from(u8::from(source.state == SourceState::Up));
            family.gauge([("route", &handle.route.id), ("source", &source.name)], up)?;
        }
        Ok(())
    }

    fn times(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "From receipt to confirmation by the target";
        let mut family = Family::begin(encoder, "crossdock_delivery_seconds", help, MetricType::Histogram)?;
        for handle in &self.inner.routes {
            for (target, histogram) in &handle.deliveries {
                family.histogram([("route", &handle.route.id), ("target", target)], histogram)?;
            }
        }
        let help = "Work of the rules on a message, the mean of its batch";
        let mut family = Family::begin(encoder, "crossdock_step_seconds", help, MetricType::Histogram)?;
        for handle in &self.inner.routes {
            for (stage, histogram) in [("accept", &handle.accept_seconds), ("steps", &handle.step_seconds)] {
                family.histogram([("route", &handle.route.id), ("stage", stage)], histogram)?;
            }
        }
        Ok(())
    }

    fn store(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let shared = &self.inner.shared;
        let help = "Syncs of the log";
        let mut metric =
            encoder.encode_descriptor("crossdock_store_sync_seconds", help, None, MetricType::Histogram)?;
        let (sum, count, buckets) = shared.signals.sync_seconds.read();
        metric.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)?;
        let Some(counts) = shared.channels.accountant().map(Accountant::counts) else { return Ok(()) };
        let help = "Bytes of the store's files";
        let mut metric = encoder.encode_descriptor("crossdock_store_bytes", help, None, MetricType::Gauge)?;
        metric.encode_gauge(&number(counts.bytes))?;
        let help = "Keys forgotten before their window was over, because there were more than `max_keys`";
        let mut metric = encoder.encode_descriptor("crossdock_dedupe_forgotten", help, None, MetricType::Counter)?;
        metric.encode_counter::<NoLabelSet, _, f64>(&counts.keys_forgotten, None)
    }
}

/// A count as a gauge has it: above 2^53 it is rounded.
#[expect(clippy::cast_precision_loss, reason = "a gauge is a binary fraction by the format")]
fn number(count: u64) -> f64 {
    count as f64
}
