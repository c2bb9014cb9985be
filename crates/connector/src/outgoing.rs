//! What a sink is given to send.

use crate::{Slot, Ticket};
use bytes::Bytes;
use crossdock_model::{Envelope, Text};
use std::sync::Arc;

/// A message on its way out.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// What its result is posted under.
    pub ticket: Ticket,
    /// The message as it leaves: payload encoded, metadata as the steps left them.
    pub envelope: Arc<Envelope>,
    /// The results of the target's templates and expressions.
    pub rendered: Rendered,
    /// Idempotency key for protocols that have one: the id, or the id and the redrive's number.
    pub idempotency_key: Text,
    /// Which try this is, from 1; a try after a failure goes over a new connection (HTTP).
    pub attempt: u32,
}

/// The results of a target's formulas, by slot.
#[derive(Clone, Debug, Default)]
pub struct Rendered(Arc<[RenderedValue]>);

/// The result of a formula.
#[derive(Clone, PartialEq, Debug)]
pub enum RenderedValue {
    /// Nothing: an expression gave null.
    Null,
    /// A text.
    Text(Text),
    /// Bytes (an expression that gave a text that is no UTF-8).
    Bytes(Bytes),
}

impl Rendered {
    /// The results in the order of their slots.
    #[must_use]
    pub fn new(values: impl Into<Arc<[RenderedValue]>>) -> Self {
        Self(values.into())
    }

    /// The result of a slot.
    #[must_use]
    pub fn get(&self, slot: Slot) -> Option<&RenderedValue> {
        self.0.get(usize::from(slot.0))
    }

    /// The result of a slot as text; empty where there is none.
    #[must_use]
    pub fn text(&self, slot: Slot) -> &str {
        match self.get(slot) {
            Some(RenderedValue::Text(text)) => text,
            Some(RenderedValue::Null | RenderedValue::Bytes(_)) | None => "",
        }
    }
}
