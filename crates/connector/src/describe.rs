//! What a connector says of itself, from which its parsing, its JSON Schema and its reference come.

use crossdock_settings::Field;

/// A protocol's name and the tables of its sections.
#[derive(Clone, Copy, Debug)]
pub struct Description {
    /// The key in routes.yaml: `http`, `amqp`, `file`.
    pub name: &'static str,
    /// What it is for, in a line.
    pub about: &'static str,
    /// The fields under `connections`; none where it has no connections.
    pub connection: Option<&'static [Field]>,
    /// The fields under `from`; none where it is no source. A field `connection` is declared with
    /// [`crossdock_settings::Kind::Connection`].
    pub source: Option<&'static [Field]>,
    /// The fields under `to`, without those that every target has; none where it is no target.
    pub target: Option<&'static [Field]>,
    /// The target's fields that make up its address, in order; with the connection they are its identity.
    pub address: &'static [&'static str],
    /// What happens to a message that `accept` refuses, unless the source says otherwise.
    pub on_refused: OnRefused,
}

/// What becomes of a message that `accept` refuses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OnRefused {
    /// The sender waits for the answer and hears it; only for protocols that can tell (HTTP).
    Tell,
    /// It goes to the route's dead letters, and the sender hears that it was taken.
    DeadLetter,
    /// The source rejects it in the protocol's way, without requeueing.
    Reject,
    /// It is dropped and counted, and the sender hears that it was taken.
    Drop,
}
