//! The connector against a real RabbitMQ: the checks that every connector passes, and what only RabbitMQ does: it returns,
//! refuses, blocks, cancels, and carries messages that no other client reads.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a helper of a test fails the test"
)]

mod server {
    mod client;
    mod hostile;
    mod publish;
    mod rig;
    mod secure;
    mod suite;
    mod topology;
}
