//! What a protocol does with each part of the envelope, as its connector says: the table of `docs/mapping.md`, and how
//! CloudEvents leave.

use crate::mapping::Part;

/// A protocol, or a version of one, and what it does with the parts of a message.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// `Kafka`, `MQTT 5`.
    pub protocol: &'static str,
    /// Each part once, in any order.
    pub parts: &'static [(Part, Carriage)],
    /// How events leave in binary mode.
    pub events: Events,
}

/// What becomes of a part on the way out; on the way in it is the same the other way round.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Carriage {
    /// The protocol has a field for it.
    Field {
        /// The field's name there.
        name: &'static str,
        /// What is different there: `whole seconds`; empty where nothing is.
        note: &'static str,
    },
    /// It goes as a user header of the name in [`Part::header`].
    Header {
        /// What is to be known of it; empty where nothing is.
        note: &'static str,
    },
    /// It is lost, which is counted, or refused for a `strict` target.
    Lost {
        /// Which of it, or why; empty where all is.
        note: &'static str,
    },
}

/// How CloudEvents leave over a protocol.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Events {
    /// In binary mode: the data is the payload, and each attribute a user header.
    Headers {
        /// What the headers' names begin with.
        prefix: &'static str,
        /// Whether values are percent-encoded.
        percent_encoded: bool,
    },
    /// In structured mode: there are no headers.
    Structured,
}

/// A field of the protocol's own that holds the part as it is.
#[must_use]
pub const fn field(name: &'static str) -> Carriage {
    Carriage::Field { name, note: "" }
}

/// The same with what is different there.
#[must_use]
pub const fn field_with(name: &'static str, note: &'static str) -> Carriage {
    Carriage::Field { name, note }
}

/// A user header.
#[must_use]
pub const fn header() -> Carriage {
    Carriage::Header { note: "" }
}

/// Lost.
#[must_use]
pub const fn lost() -> Carriage {
    Carriage::Lost { note: "" }
}

impl Column {
    /// What becomes of a part; lost where the column does not name it.
    #[must_use]
    pub fn carriage(&self, part: Part) -> Carriage {
        self.parts.iter().find(|(named, _)| *named == part).map_or(lost(), |(_, carriage)| *carriage)
    }

    /// The parts that the column names not once; for tests of connectors.
    #[must_use]
    pub fn unclear(&self) -> Vec<Part> {
        let count = |part: &Part| self.parts.iter().filter(|(named, _)| named == part).count();
        Part::ALL.into_iter().filter(|part| count(part) != 1).collect()
    }
}
