//! Steps and routing: what a route does with a message between its source and its targets.
//!
//! A list of steps is compiled once into a [`Pipeline`], a route's targets into a [`Router`]; both are then applied to
//! one [`Working`] message after the other. Everything here is pure: the same message gives the same result at any
//! time, so that steps can be repeated after a restart. What needs a clock, a store or a task (`expire`, `delay`,
//! `dedupe`) is handed to the caller as a demand.
//!
//! Invariants
//! - A payload is decoded at most once, when something first needs its value, and encoded at most once, when it leaves.
//! - A message that no step changes leaves with the very bytes it came with.
//! - Nothing here panics, recurses without bound or takes more than linear time in the payload, whatever it holds.

mod cloudevent;
mod compile;
mod decode;
mod dedupe;
mod fields;
mod formula;
mod pipeline;
mod router;
mod schema;
mod steps;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod text;
mod trace;
mod working;
mod xml;

pub use cloudevent::{CLOUDEVENT, EventDefaults, EventMode, encode_event};
pub use compile::{Environment, Files, SourceFile};
pub use decode::{Decode, Format};
pub use dedupe::Claim;
pub use fields::{ACCEPT_STEPS, STEPS};
pub use formula::{Formula, Rendered, compile_formula, compile_program};
pub use pipeline::{Pipeline, Stage, Verdict};
pub use router::{Routed, Router, TargetRules, When};
pub use schema::JsonSchema;
pub use trace::{Change, StepOutcome, StepTrace};
pub use working::Working;
pub use xml::{XmlDecode, XmlEncode, XmlError};
