//! How a source that makes messages (`generate`) has the expressions of its section evaluated, without seeing one.
//!
//! A target's formulas are rendered before its sink gets the message ([`crate::Rendered`]). A source's cannot be: there
//! is no message yet. So `config` compiles them and gives the source a function along, in
//! [`crate::SourceConfig::formulas`]; the source makes an input and asks for the value of a slot.

use bytes::Bytes;
use crossdock_model::{Envelope, Fault};
use crossdock_settings::Slot;
use std::{fmt, sync::Arc};

/// What an expression of a source gave.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Evaluated {
    /// A string: its bytes as they are, which need not be UTF-8.
    Text(Bytes),
    /// Any other value (object, array, number, boolean, null), encoded as JSON.
    Json(Bytes),
}

type Evaluate = dyn Fn(Slot, &Envelope) -> Result<Evaluated, Fault> + Send + Sync;

/// The expressions of a source's section, compiled. Evaluating neither waits nor does I/O.
#[derive(Clone)]
pub struct Formulas(Arc<Evaluate>);

impl Formulas {
    /// Slots are evaluated by this function. `.` is the envelope's payload, decoded by its content type as in a step;
    /// `%` is its metadata.
    #[must_use]
    pub fn new(evaluate: impl Fn(Slot, &Envelope) -> Result<Evaluated, Fault> + Send + Sync + 'static) -> Self {
        Self(Arc::new(evaluate))
    }

    /// For a section without expressions: every slot is a fault.
    #[must_use]
    pub fn none() -> Self {
        Self::new(|slot, _| {
            Err(Fault::rejected("internal.formula", format!("slot {} has no expression: report this", slot.0)))
        })
    }

    /// The value of the expression in `slot` for the given input.
    ///
    /// # Errors
    /// The expression failed or aborted at run time: class `Rejected`, code `expression`.
    pub fn evaluate(&self, slot: Slot, input: &Envelope) -> Result<Evaluated, Fault> {
        (self.0)(slot, input)
    }
}

impl Default for Formulas {
    fn default() -> Self {
        Self::none()
    }
}

impl fmt::Debug for Formulas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Formulas")
    }
}
