//! The connector over real sockets: as a service against raw requests, as a client against a scripted service.

#[cfg(test)]
mod answers;
#[cfg(test)]
mod bench;
#[cfg(test)]
mod bodies;
#[cfg(test)]
mod common;
#[cfg(test)]
mod configuration;
#[cfg(test)]
mod idle;
#[cfg(test)]
mod messages;
#[cfg(test)]
mod outcomes;
#[cfg(test)]
mod partner;
#[cfg(test)]
mod requests;
#[cfg(test)]
mod sending;
#[cfg(test)]
mod sessions;
#[cfg(test)]
mod tls;
