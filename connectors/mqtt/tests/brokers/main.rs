//! The connector against a real Mosquitto: clients that are killed, a broker that restarts, and what only MQTT has.

#![cfg_attr(test, expect(clippy::wildcard_enum_match_arm, reason = "whatever else comes fails the test"))]

#[cfg(test)]
mod client;
#[cfg(test)]
mod ledger;
#[cfg(test)]
mod only_mqtt;
