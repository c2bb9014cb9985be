//! Between a record and an envelope.

mod arena;
mod inbound;
mod outbound;
#[cfg(test)]
mod tests;

pub(crate) use arena::Arena;
pub(crate) use inbound::{Lane, envelope};
pub(crate) use outbound::{has_field, headers, shown, timestamp};
