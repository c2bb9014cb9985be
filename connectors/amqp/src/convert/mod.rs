//! Between a message of AMQP and an envelope, by mapping.md's table: what has a field goes to the field, what would set a
//! control field never leaves, the reserved prefix is never taken from outside.
//!
//! | Envelope | AMQP | where it does not fit |
//! |---|---|---|
//! | `content_type`, `content_encoding`, `correlation_id`, `reply_to` | the property of the name | beyond 255 bytes, or a correlation id that is no UTF-8: header of that name with dashes |
//! | the idempotency key | `message_id` | |
//! | `time` | `timestamp`, whole seconds | with a fraction also header `crossdock-time` |
//! | `expires_at` | `expiration`, what is left in milliseconds | |
//! | `priority` | `priority` | |
//! | `key`, the origin | – | headers `crossdock-key`, `crossdock-origin` |
//! | `traceparent`, `tracestate` | – | headers of these names |
//! | user headers | the table, typed; names are unique: the last of a name leaves | longer than 255 bytes, control names: lost |
//! | `type`, `app_id` | of a message that came over AMQP: as they came | |

mod inbound;
mod outbound;

pub use inbound::{Arrival, Inbound};
pub use outbound::{Outbound, Rules};

/// User headers by which a publisher would tell RabbitMQ where else a message goes, or would stop its dead-lettering.
const CONTROL_HEADERS: [&str; 3] = ["CC", "BCC", "x-death"];
