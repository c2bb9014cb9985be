//! Between a request and an envelope, by mapping.md: what has a field goes to the field, what would set a control field
//! never leaves, the reserved prefix is never taken from outside.

mod inbound;
mod names;
mod outbound;

pub(crate) use inbound::{BadRequest, fields, idempotency_key, query};
pub(crate) use names::{is_configurable, is_user_header};
pub(crate) use outbound::{Losses, write};
