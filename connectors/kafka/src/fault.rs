//! What an error of librdkafka means: for a source which state, for a target which class (blame.md).

use crossdock_connector::{SourceError, SourceErrorKind};
use crossdock_model::{Answer, Fault, FaultClass};
use rdkafka::{error::KafkaError, types::RDKafkaErrorCode as Code};

/// The message itself is wrong, whoever sends it.
const REJECTED: &[Code] =
    &[Code::InvalidTopic, Code::UnknownPartition, Code::UnsupportedForMessageFormat, Code::InvalidArgument];

/// A record is wrong, and not each that was in one batch with it: the brokers answer for the batch as a whole.
const REJECTED_ALONE: &[Code] = &[
    Code::InvalidTimestamp,
    Code::InvalidRecord,
    Code::InvalidMessageSize,
    Code::InvalidMessage,
    Code::PolicyViolation,
];

/// What is refused by its size.
const TOO_LARGE: &[Code] = &[Code::MessageSizeTooLarge, Code::MessageBatchTooLarge];

/// The topic is not there.
const NO_TOPIC: &[Code] = &[Code::UnknownTopic, Code::UnknownTopicOrPartition, Code::UnknownTopicId];

/// The brokers refuse us.
const DENIED: &[Code] = &[
    Code::Authentication,
    Code::SaslAuthenticationFailed,
    Code::TopicAuthorizationFailed,
    Code::GroupAuthorizationFailed,
    Code::ClusterAuthorizationFailed,
    Code::TransactionalIdAuthorizationFailed,
    Code::UnsupportedSASLMechanism,
    Code::IllegalSASLState,
    Code::SecurityDisabled,
];

/// The brokers do not let us into the group, and say what of its settings they do not take.
const NO_MEMBER: &[Code] =
    &[Code::InvalidSessionTimeout, Code::InvalidGroupId, Code::InconsistentGroupProtocol, Code::GroupMaxSizeReached];

/// Nobody answered.
const SILENT: &[Code] = &[
    Code::MessageTimedOut,
    Code::OperationTimedOut,
    Code::RequestTimedOut,
    Code::TimedOutQueue,
    Code::BrokerTransportFailure,
    Code::AllBrokersDown,
    Code::Resolve,
    Code::SSL,
    Code::PurgeInflight,
    Code::PurgeQueue,
];

/// Of no consequence for a source: librdkafka deals with it.
const PASSING: &[Code] = &[
    Code::BrokerTransportFailure,
    Code::OperationTimedOut,
    Code::RequestTimedOut,
    Code::TimedOutQueue,
    Code::Resolve,
    Code::PartitionEOF,
    Code::PollExceeded,
    Code::NoOffset,
    Code::WaitingForCoordinator,
    Code::RebalanceInProgress,
    Code::UnknownMemberId,
    Code::IllegalGeneration,
    Code::AssignmentLost,
    Code::NotCoordinator,
    Code::CoordinatorLoadInProgress,
    Code::CoordinatorNotAvailable,
    Code::LeaderNotAvailable,
    Code::NotLeaderForPartition,
];

/// Whether the brokers refuse credentials or rights.
pub(crate) fn is_denied(code: Code) -> bool {
    DENIED.contains(&code)
}

/// Whether a topic is not there.
pub(crate) fn is_missing(code: Code) -> bool {
    NO_TOPIC.contains(&code)
}

/// How a record was sent, as far as it decides what its failure means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Sent {
    /// Whether the message had a say in which topic it is: then a topic that is not there is its own fault.
    pub picks_topic: bool,
    /// Whether it was the only one under way, or too large to be one of a batch: then what is said of the batch is said of it.
    pub alone: bool,
}

/// The fault of a record that was not delivered.
pub(crate) fn of_delivery(code: Code, topic: &str, sent: Sent) -> Fault {
    let name = format!("kafka.{}", snake(code));
    let fault = |class, text: String| Fault::new(class, name.clone(), text);
    if TOO_LARGE.contains(&code) {
        let text = format!(
            "topic `{topic}` does not take a message of this size: see `max.message.bytes` of the topic and `message.max.bytes` of the brokers"
        );
        return fault(if sent.alone { FaultClass::Rejected } else { FaultClass::Failed }, text);
    }
    if NO_TOPIC.contains(&code) {
        let class = if sent.picks_topic { FaultClass::Rejected } else { FaultClass::Failed };
        return fault(class, format!("topic `{topic}` is not there: create it, or mend `topic`"));
    }
    let said = format!(
        "topic `{topic}`: {}",
        KafkaError::MessageProduction(code).to_string().replace("Message production error: ", "")
    );
    if REJECTED.contains(&code) || (sent.alone && REJECTED_ALONE.contains(&code)) {
        return fault(FaultClass::Rejected, said);
    }
    if code == Code::ThrottlingQuotaExceeded {
        return fault(FaultClass::Busy, said);
    }
    let by = if SILENT.contains(&code) { Answer::Nobody } else { Answer::Application };
    fault(FaultClass::Failed, said).answered_by(by)
}

/// The fault of a target whose brokers cannot be reached or refuse us: nothing was sent.
pub(crate) fn unreachable(code: Option<Code>, text: &str) -> Fault {
    let name = code.map_or_else(|| "kafka.unreachable".to_owned(), |code| format!("kafka.{}", snake(code)));
    Fault::new(FaultClass::Unreachable, name, text)
}

/// What an error means for a source; none for what passes by itself.
pub(crate) fn of_source(error: &KafkaError, reason: Option<String>) -> Option<SourceError> {
    let code = error.rdkafka_error_code()?;
    let text = reason.unwrap_or_else(|| error.to_string());
    let kind = if is_denied(code) || NO_MEMBER.contains(&code) {
        SourceErrorKind::Denied
    } else if is_missing(code) {
        SourceErrorKind::Missing
    } else if code == Code::AllBrokersDown {
        SourceErrorKind::Connection
    } else if matches!(error, KafkaError::MessageConsumptionFatal(_)) || code == Code::FencedInstanceId {
        SourceErrorKind::Internal
    } else if PASSING.contains(&code) {
        return None;
    } else {
        tracing::warn!(%error, "librdkafka told of trouble with reading");
        return None;
    };
    Some(SourceError::new(kind, text))
}

/// `MessageSizeTooLarge` → `message_size_too_large`.
fn snake(code: Code) -> String {
    let mut name = String::new();
    let mut before = '_';
    for letter in format!("{code:?}").chars() {
        if letter.is_uppercase() && before.is_lowercase() {
            name.push('_');
        }
        name.extend(letter.to_lowercase());
        before = letter;
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use FaultClass::{Busy, Failed, Rejected};

    #[test]
    fn a_failed_delivery_has_its_class() {
        let usual = Sent { picks_topic: false, alone: false };
        for (code, sent, class, name, by) in [
            (Code::MessageSizeTooLarge, usual, Failed, "kafka.message_size_too_large", Answer::Application),
            (
                Code::MessageSizeTooLarge,
                Sent { alone: true, ..usual },
                Rejected,
                "kafka.message_size_too_large",
                Answer::Application,
            ),
            (Code::UnknownTopicOrPartition, usual, Failed, "kafka.unknown_topic_or_partition", Answer::Application),
            (
                Code::UnknownTopic,
                Sent { picks_topic: true, ..usual },
                Rejected,
                "kafka.unknown_topic",
                Answer::Application,
            ),
            (Code::UnknownPartition, usual, Rejected, "kafka.unknown_partition", Answer::Application),
            (Code::InvalidRecord, usual, Failed, "kafka.invalid_record", Answer::Application),
            (Code::InvalidTimestamp, usual, Failed, "kafka.invalid_timestamp", Answer::Application),
            (
                Code::InvalidTimestamp,
                Sent { alone: true, ..usual },
                Rejected,
                "kafka.invalid_timestamp",
                Answer::Application,
            ),
            (Code::PolicyViolation, usual, Failed, "kafka.policy_violation", Answer::Application),
            (Code::TopicAuthorizationFailed, usual, Failed, "kafka.topic_authorization_failed", Answer::Application),
            (Code::MessageTimedOut, usual, Failed, "kafka.message_timed_out", Answer::Nobody),
            (Code::PurgeInflight, usual, Failed, "kafka.purge_inflight", Answer::Nobody),
            (Code::NotEnoughReplicas, usual, Failed, "kafka.not_enough_replicas", Answer::Application),
            (Code::ThrottlingQuotaExceeded, usual, Busy, "kafka.throttling_quota_exceeded", Answer::Application),
            (Code::Fatal, usual, Failed, "kafka.fatal", Answer::Application),
        ] {
            let fault = of_delivery(code, "orders", sent);
            assert_eq!((fault.class, &*fault.code, fault.answer), (class, name, by), "{code:?}");
            assert!(fault.text.contains("orders"), "{}", fault.text);
        }
    }

    #[test]
    fn a_source_ends_for_what_does_not_pass() {
        use SourceErrorKind::{Connection, Denied, Internal, Missing};
        for (error, kind) in [
            (KafkaError::MessageConsumption(Code::AllBrokersDown), Some(Connection)),
            (KafkaError::MessageConsumption(Code::BrokerTransportFailure), None),
            (KafkaError::MessageConsumption(Code::UnknownTopicOrPartition), Some(Missing)),
            (KafkaError::MessageConsumption(Code::Authentication), Some(Denied)),
            (KafkaError::MessageConsumption(Code::GroupAuthorizationFailed), Some(Denied)),
            (KafkaError::MessageConsumption(Code::PollExceeded), None),
            (KafkaError::MessageConsumptionFatal(Code::FencedInstanceId), Some(Internal)),
            (KafkaError::PartitionEOF(3), None),
            (KafkaError::MessageConsumption(Code::InvalidSessionTimeout), Some(Denied)),
            (KafkaError::MessageConsumption(Code::BadMessage), None),
        ] {
            assert_eq!(of_source(&error, None).map(|error| error.kind), kind, "{error}");
        }
    }
}
