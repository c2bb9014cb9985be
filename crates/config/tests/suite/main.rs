//! Configurations from outside: whole files and their reports, plans, the schema, hostile input.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may panic")]

mod fixtures;
mod hostile;
mod plan;
mod schema;
mod support;
