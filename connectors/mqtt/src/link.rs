//! A connection to a broker: dialled, logged in, and driven by one task.

mod dial;
mod drive;
mod login;
mod pulse;

pub(crate) use drive::{Driver, Link, Out, Role};
pub(crate) use login::{Opened, Wish, open};

use crate::packet::{Refused, Why};
use crossdock_connector::{SourceError, SourceErrorKind};
use crossdock_model::{Answer, Fault, FaultClass};

/// Why there is no connection, or none any more.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Ended {
    pub(crate) kind: End,
    /// A lowercase fragment without secrets.
    pub(crate) text: String,
}

/// The kinds of ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum End {
    /// We said goodbye.
    Closed,
    /// Not reached, broken, silent, or closed by the broker.
    Broken,
    /// No acknowledgement came in time.
    Silent,
    /// The broker refuses credentials or rights.
    Denied,
    /// The broker does not have what is asked for.
    Missing,
    /// It broke the protocol.
    Protocol,
}

impl Ended {
    pub(crate) fn new(kind: End, text: impl Into<String>) -> Self {
        Self { kind, text: text.into() }
    }

    pub(crate) fn broken(text: impl Into<String>) -> Self {
        Self::new(End::Broken, text)
    }

    pub(crate) fn protocol(text: impl Into<String>) -> Self {
        Self::new(End::Protocol, text)
    }

    /// What the broker refused as a whole: the login, or the session.
    pub(crate) fn refused(refused: Refused) -> Self {
        let kind = match refused.why {
            Why::Denied => End::Denied,
            Why::Unsupported | Why::Topic | Why::Payload => End::Missing,
            Why::Busy | Why::TakenOver | Why::Other => End::Broken,
        };
        Self::new(kind, refused.text)
    }

    /// As a source's error.
    pub(crate) fn source_error(&self) -> SourceError {
        let kind = match self.kind {
            End::Closed | End::Broken | End::Silent => SourceErrorKind::Connection,
            End::Denied => SourceErrorKind::Denied,
            End::Missing => SourceErrorKind::Missing,
            End::Protocol => SourceErrorKind::Internal,
        };
        SourceError::new(kind, self.text.clone())
    }

    /// As the fault of a message; `sent` tells whether a byte of it went to the socket.
    pub(crate) fn fault(&self, sent: bool) -> Fault {
        let code = match self.kind {
            End::Closed | End::Broken => "mqtt.connection",
            End::Silent => "mqtt.timeout",
            End::Denied => "mqtt.denied",
            End::Missing => "mqtt.unsupported",
            End::Protocol => "mqtt.protocol",
        };
        let class = if sent { FaultClass::Failed } else { FaultClass::Unreachable };
        Fault::new(class, code, &self.text).answered_by(Answer::Nobody)
    }
}
