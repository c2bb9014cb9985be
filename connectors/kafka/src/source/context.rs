//! What librdkafka asks and tells of a consumer: assignments, errors, log lines. It calls from within a poll, on the
//! polling thread.

use super::{
    plan::{Plan, Start},
    shared::Shared,
};
use crate::{
    client::{self, Troubles},
    fault,
};
use crossdock_connector::{SourceError, SourceErrorKind};
use crossdock_model::Text;
use rdkafka::{
    ClientContext, Offset, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer, ConsumerContext, RebalanceProtocol},
    error::{KafkaError, KafkaResult},
    types::RDKafkaRespErr,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

/// How long what was received of partitions that go elsewhere may take to be settled.
const DRAIN_MAX: Duration = Duration::from_secs(2);
/// How long the brokers may take to say where a group begins.
const OFFSETS_MAX: Duration = Duration::from_secs(10);

/// The context of a session's consumer.
pub(super) struct Context {
    pub shared: Arc<Shared>,
    pub troubles: Troubles,
    pub plan: Arc<Plan>,
    /// Counts assignments, so that the polling thread sees that one has changed.
    pub epoch: AtomicU32,
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        client::log(level, facility, text);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.troubles.note(&error, reason);
    }
}

impl ConsumerContext for Context {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, what: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let result = if what == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            self.assign(consumer, list)
        } else {
            self.revoke(consumer, list)
        };
        self.epoch.fetch_add(1, Ordering::Relaxed);
        if let Err(error) = result {
            let reason = format!("the group's assignment could not be followed: {error}");
            let error = fault::of_source(&error, Some(reason.clone()));
            self.shared.fail(error.unwrap_or_else(|| SourceError::new(SourceErrorKind::Connection, reason)));
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, offsets: &TopicPartitionList) {
        // What is not committed now is committed with the next one, or comes again.
        if let Err(error) = result {
            tracing::debug!(%error, ?offsets, "committing offsets failed");
        }
    }
}

impl Context {
    fn assign(&self, consumer: &BaseConsumer<Self>, list: &mut TopicPartitionList) -> KafkaResult<()> {
        let begun = match self.begin(consumer, list) {
            Ok(begun) => begun,
            Err(error) => {
                // The group waits for an answer, whatever comes of the session.
                consumer.unassign()?;
                return Err(error);
            }
        };
        self.shared.ledger(|ledger| {
            for element in list.elements() {
                ledger.begin(&Text::from(element.topic()), element.partition());
            }
        });
        match consumer.rebalance_protocol() {
            RebalanceProtocol::Cooperative => consumer.incremental_assign(list)?,
            RebalanceProtocol::Eager | RebalanceProtocol::None => consumer.assign(list)?,
        }
        // Committed before anything is read: where a group began must not move when it is started again.
        if begun.count() > 0 {
            consumer.store_offsets(&begun)?;
        }
        tracing::info!(route = %self.plan.route, partitions = list.count(), "partitions were assigned");
        self.shared.join();
        Ok(())
    }

    fn revoke(&self, consumer: &BaseConsumer<Self>, list: &TopicPartitionList) -> KafkaResult<()> {
        let scopes: Vec<u32> = self.shared.ledger(|ledger| {
            let elements = list.elements();
            elements.iter().filter_map(|one| ledger.number_of(one.topic(), one.partition())).collect()
        });
        // Of partitions that are lost nothing can be committed any more.
        if !consumer.assignment_lost() {
            self.shared.drain(&scopes, Instant::now() + DRAIN_MAX);
            self.store(consumer);
        }
        self.shared.forget(&scopes);
        tracing::info!(route = %self.plan.route, partitions = list.count(), "partitions were taken away");
        // What is stored is committed before the partitions are given up.
        match consumer.rebalance_protocol() {
            RebalanceProtocol::Cooperative => consumer.incremental_unassign(list),
            RebalanceProtocol::Eager | RebalanceProtocol::None => consumer.unassign(),
        }
    }

    /// Stores for committing what the ledger has.
    pub fn store(&self, consumer: &BaseConsumer<Self>) {
        let progress = self.shared.take_progress();
        if progress.is_empty() {
            return;
        }
        let mut list = TopicPartitionList::with_capacity(progress.len());
        for (topic, partition, next) in &progress {
            // Only a negative offset is refused, which there is none.
            let _ = list.add_partition_offset(topic, *partition, Offset::Offset(*next));
        }
        if let Err(error) = consumer.store_offsets(&list) {
            tracing::debug!(%error, "offsets of a partition that is gone were not stored");
        }
    }

    /// Decides where partitions begin of which nothing is committed; gives those that were decided.
    fn begin(&self, consumer: &BaseConsumer<Self>, list: &mut TopicPartitionList) -> KafkaResult<TopicPartitionList> {
        let mut begun = TopicPartitionList::new();
        let wanted = match self.plan.start {
            Start::Earliest => return Ok(begun),
            Start::Latest => Offset::End,
            Start::At(time) => Offset::Offset(time.millis()),
        };
        let committed = consumer.committed_offsets(self.siblings(consumer, list)?, OFFSETS_MAX)?;
        let is_known = |topic: &str, partition| {
            let found = committed.find_partition(topic, partition);
            found.is_some_and(|one| matches!(one.offset(), Offset::Offset(_)))
        };
        let is_read = |topic: &str| {
            committed.elements_for_topic(topic).iter().any(|one| matches!(one.offset(), Offset::Offset(_)))
        };
        let mut asked = TopicPartitionList::new();
        for one in list.elements() {
            let (topic, partition) = (one.topic(), one.partition());
            let is_new = wanted == Offset::End && is_read(topic);
            if !is_known(topic, partition) && !is_new {
                asked.add_partition_offset(topic, partition, wanted)?;
            }
        }
        if asked.count() == 0 {
            return Ok(begun);
        }
        for one in consumer.offsets_for_times(asked, OFFSETS_MAX)?.elements() {
            one.error()?;
            list.set_partition_offset(one.topic(), one.partition(), one.offset())?;
            if matches!(one.offset(), Offset::Offset(_)) {
                begun.add_partition_offset(one.topic(), one.partition(), one.offset())?;
            }
        }
        Ok(begun)
    }

    /// All partitions of the topics of a list: one that was added to a topic that the group reads already is read from its
    /// beginning, lest what came before it was noticed is passed over.
    fn siblings(&self, consumer: &BaseConsumer<Self>, list: &TopicPartitionList) -> KafkaResult<TopicPartitionList> {
        let mut all = TopicPartitionList::new();
        let mut topics: Vec<String> = list.elements().iter().map(|one| one.topic().to_owned()).collect();
        topics.dedup();
        for topic in topics {
            let metadata = consumer.fetch_metadata(Some(&topic), OFFSETS_MAX)?;
            for partition in metadata.topics().iter().flat_map(|topic| topic.partitions()) {
                all.add_partition(&topic, partition.id());
            }
        }
        for one in list.elements() {
            if all.find_partition(one.topic(), one.partition()).is_none() {
                all.add_partition(one.topic(), one.partition());
            }
        }
        Ok(all)
    }
}
