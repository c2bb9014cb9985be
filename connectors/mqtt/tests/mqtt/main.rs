//! The connector over real sockets, against a broker that is scripted packet by packet.

#![cfg_attr(test, expect(clippy::wildcard_enum_match_arm, reason = "whatever else comes fails the test"))]

#[cfg(test)]
mod common;
#[cfg(test)]
mod configuration;
#[cfg(test)]
mod malformed;
#[cfg(test)]
mod publishing;
#[cfg(test)]
mod receiving;
#[cfg(test)]
mod repeating;
#[cfg(test)]
mod sessions;
