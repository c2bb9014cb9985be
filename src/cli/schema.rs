//! `crossdock schema`: the JSON Schema of `routes.yaml`, for editors.

use super::{
    exit::{Exit, Outcome},
    terminal::json,
};
use crate::registry;
use clap::Args;

/// Print the JSON Schema of routes.yaml, for editors.
#[derive(Debug, Args)]
pub struct Arguments {}

/// Prints it.
pub fn execute() -> Outcome {
    let descriptions: Vec<_> = registry::PROTOCOLS.iter().map(|protocol| protocol.description).collect();
    json(&crossdock_config::schema(&descriptions))?;
    Ok(Exit::Fine)
}
