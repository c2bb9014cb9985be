//! The connector against a real Apache Kafka.

#[cfg(test)]
mod common;
#[cfg(test)]
mod groups;
#[cfg(test)]
mod outages;
#[cfg(test)]
mod producing;
#[cfg(test)]
mod reading;
#[cfg(test)]
mod security;
