//! Why there is no connection, or none any more.

use crossdock_connector::{SourceError, SourceErrorKind};
use crossdock_model::{Answer, Fault, FaultClass, Text};

/// What went wrong with a connection.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{text}")]
pub struct Trouble {
    /// Of which kind it is.
    pub kind: TroubleKind,
    /// What happened; a lowercase fragment without secrets.
    pub text: String,
    /// The server's code for it, where it said one.
    pub code: Option<u16>,
}

/// The kinds of trouble.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TroubleKind {
    /// There was no connection.
    Unreached,
    /// There was one, and it broke.
    Broken,
    /// The server refuses the credentials or the rights.
    Denied,
    /// The server does not have what is asked for.
    Missing,
    /// The server refuses what is asked for, for another reason.
    Refused,
    /// The server, or we, broke the protocol.
    Protocol,
}

impl Trouble {
    /// Trouble of a kind.
    pub fn new(kind: TroubleKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into(), code: None }
    }

    /// What a server means that closes a channel or the connection (specification §1.4, and RabbitMQ's use of it).
    pub fn closed(what: &str, code: u16, text: &str) -> Self {
        let kind = match code {
            // A shut-down, an operator's hand.
            200 | 320 => TroubleKind::Broken,
            403 => TroubleKind::Denied,
            530 if text.contains("refused") => TroubleKind::Denied,
            404 | 402 => TroubleKind::Missing,
            530 if text.contains("not found") => TroubleKind::Missing,
            405 | 406 | 311 | 313 | 530 | 540 | 506 => TroubleKind::Refused,
            _ => TroubleKind::Protocol,
        };
        Self { kind, text: format!("the server closed the {what}: {code} {text}"), code: Some(code) }
    }

    /// As the end of a source's session.
    pub fn into_source_error(self) -> SourceError {
        let kind = match self.kind {
            TroubleKind::Unreached | TroubleKind::Broken => SourceErrorKind::Connection,
            TroubleKind::Denied => SourceErrorKind::Denied,
            TroubleKind::Missing => SourceErrorKind::Missing,
            TroubleKind::Refused | TroubleKind::Protocol => SourceErrorKind::Internal,
        };
        SourceError::new(kind, self.text)
    }

    /// As the fault of a message of which nothing was sent.
    pub fn before_sending(&self) -> Fault {
        Fault::new(FaultClass::Unreachable, self.fault_code(), &self.text).answered_by(self.answered_by())
    }

    /// As the fault of a message of which nothing was sent because the server does not have, or does not let us have, what its
    /// target names. Other targets of the connection have nothing to do with it, and it is not the message's doing.
    pub fn of_target(&self) -> Fault {
        match self.kind {
            TroubleKind::Denied | TroubleKind::Missing | TroubleKind::Refused => {
                Fault::new(FaultClass::Failed, self.fault_code(), &self.text).answered_by(Answer::Intermediary)
            }
            TroubleKind::Unreached | TroubleKind::Broken | TroubleKind::Protocol => self.before_sending(),
        }
    }

    /// As the fault of a message that waited in a session that ended so. Where what its target names is gone, that is the
    /// target's; any other end may be the fault of what was sent before it, which is charged, and this not.
    pub fn while_waiting(&self) -> Fault {
        if self.kind == TroubleKind::Missing { self.of_target() } else { self.before_sending() }
    }

    /// As the fault of a message that was sent, in part at least, and about which nothing was heard.
    pub fn after_sending(&self) -> Fault {
        Fault::new(FaultClass::Failed, self.fault_code(), &self.text).answered_by(self.answered_by())
    }

    fn fault_code(&self) -> Text {
        if let Some(code) = self.code {
            return Text::from(format!("amqp.{code}"));
        }
        Text::from_static(match self.kind {
            TroubleKind::Unreached => "amqp.connect",
            TroubleKind::Broken => "amqp.connection",
            TroubleKind::Denied => "amqp.denied",
            TroubleKind::Missing => "amqp.missing",
            TroubleKind::Refused => "amqp.refused",
            TroubleKind::Protocol => "amqp.protocol",
        })
    }

    /// A server that closes in answer to what was sent has answered; one that goes has not.
    const fn answered_by(&self) -> Answer {
        match self.kind {
            TroubleKind::Unreached | TroubleKind::Broken | TroubleKind::Protocol => Answer::Nobody,
            TroubleKind::Denied | TroubleKind::Missing | TroubleKind::Refused => Answer::Application,
        }
    }
}

impl From<crate::wire::Malformed> for Trouble {
    fn from(error: crate::wire::Malformed) -> Self {
        Self::new(TroubleKind::Protocol, format!("what the server sent cannot be read: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_their_kind() {
        for (code, text, kind) in [
            (320, "CONNECTION_FORCED - broker forced connection closure with reason 'shutdown'", TroubleKind::Broken),
            (403, "ACCESS_REFUSED - Login was refused", TroubleKind::Denied),
            (404, "NOT_FOUND - no queue 'q' in vhost '/'", TroubleKind::Missing),
            (405, "RESOURCE_LOCKED - cannot obtain exclusive access", TroubleKind::Refused),
            (406, "PRECONDITION_FAILED - inequivalent arg 'durable'", TroubleKind::Refused),
            (501, "FRAME_ERROR", TroubleKind::Protocol),
            (530, "NOT_ALLOWED - vhost nope not found", TroubleKind::Missing),
            (530, "NOT_ALLOWED - access to vhost '/' refused for user 'u'", TroubleKind::Denied),
        ] {
            assert_eq!(Trouble::closed("connection", code, text).kind, kind, "{code} {text}");
        }
    }

    #[test]
    fn faults_tell_whether_anything_was_sent() {
        let trouble = Trouble::closed("channel", 404, "NOT_FOUND - no exchange 'e' in vhost '/'");
        assert_eq!(trouble.before_sending().class, FaultClass::Unreachable);
        assert_eq!((trouble.after_sending().class, &*trouble.after_sending().code), (FaultClass::Failed, "amqp.404"));
        assert_eq!((trouble.of_target().class, trouble.of_target().answer), (FaultClass::Failed, Answer::Intermediary));
        assert_eq!(trouble.while_waiting().class, FaultClass::Failed);
        let poisoned =
            Trouble::closed("channel", 406, "PRECONDITION_FAILED - message size 9 is larger than configured");
        assert_eq!(poisoned.while_waiting().class, FaultClass::Unreachable);
        let broken = Trouble::new(TroubleKind::Broken, "reset");
        assert_eq!(broken.of_target().class, FaultClass::Unreachable);
        assert_eq!(broken.after_sending().answer, Answer::Nobody);
    }
}
