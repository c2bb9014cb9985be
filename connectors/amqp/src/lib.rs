//! AMQP 0-9-1 (RabbitMQ and its like) as a source and a target. What it does for a user, its options and its traps are in
//! `README.md`.
//!
//! | Module | Is |
//! |---|---|
//! | `wire` | the protocol's bytes, pure |
//! | `link` | a connection: dialled, logged in, read and written |
//! | `convert` | between a message and an envelope, by mapping.md |
//! | `topology` | what is declared at each start |
//! | `source`, `sink` | a consumer; a publisher with confirms |
//!
//! Invariants
//! - **Nothing that somebody publishes to a queue can stop its consumer**: a message that cannot be read is rejected by
//!   itself. This is why the bytes are read here and not by a client library (docs/adr/0018-amqp-of-our-own.md).
//! - **Acknowledged after the synced append, successful after the server's confirm**, each of exactly that message.
//! - **Nothing reconnects, retries or buffers by itself**: the engine opens a session anew, and until then all of it is gone.

mod carriage;
mod connector;
mod convert;
mod describe;
mod link;
mod sink;
mod source;
mod topology;
mod wire;

pub use connector::Amqp;
pub use describe::DESCRIPTION;
