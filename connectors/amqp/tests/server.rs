//! What only RabbitMQ does: returns, refuses, blocks, cancels, and carries messages that no other client reads.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a helper of a test fails the test"
)]

mod client;
mod server {
    mod hostile;
    mod publish;
    mod rig;
    mod secure;
    mod topology;
}
