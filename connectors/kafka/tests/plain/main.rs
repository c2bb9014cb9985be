//! The connector without a broker: what is wrong with settings, and librdkafka's own mock cluster where errors are to be
//! injected that a real broker seldom has.

#[cfg(test)]
#[path = "../kafka/common.rs"]
#[expect(dead_code, reason = "shared with the tests against a real server, which use more of it")]
mod common;
#[cfg(test)]
mod configuration;
#[cfg(test)]
mod mock;
