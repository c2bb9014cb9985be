//! Between packets and envelopes (what goes where is told in README.md).

pub(crate) mod inbound;
pub(crate) mod outbound;

use crossdock_connector::mapping::Part;
use crossdock_model::Timestamp;
use std::time::{SystemTime, UNIX_EPOCH};

/// Which parts MQTT 5 has a property for; the others go into user properties of their names.
pub(crate) const fn has_property(part: Part) -> bool {
    matches!(part, Part::ContentType | Part::CorrelationId | Part::ReplyTo | Part::ExpiresAt)
}

pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
