//! What can go wrong with a message, and who is to blame (blame.md).

use crate::{FAULT_TEXT_BYTES_MAX, Text};
use std::{
    fmt,
    ops::{Deref, DerefMut},
    time::Duration,
};

/// Who is at fault decides what happens next (blame.md, Faults).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum FaultClass {
    /// The answer says that the message is wrong: dead at once.
    Rejected,
    /// Anything else after sending began: may count as an attempt.
    Failed,
    /// The target asks for patience: delays, never counts.
    Busy,
    /// No byte of the message was sent: never counts.
    Unreachable,
}

impl FaultClass {
    /// The name in the API, in metrics and in `status: { 409: rejected }`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::Failed => "failed",
            Self::Busy => "busy",
            Self::Unreachable => "unreachable",
        }
    }

    /// The class of a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Rejected, Self::Failed, Self::Busy, Self::Unreachable].into_iter().find(|class| class.name() == name)
    }
}

impl fmt::Display for FaultClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Who answered when a send went wrong: decides how soon to probe and whether a lone message may be charged.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Answer {
    /// The application itself: 500, 404, a nack.
    Application,
    /// Something before it: 502, 503, 504, 429.
    Intermediary,
    /// Nobody: time-out, reset, not reached.
    Nobody,
}

/// Why a message was not delivered or not accepted; reads and changes like its [`FaultParts`]. It is one word wide, for
/// it stands in results, almost all of which are successes, and these are moved from list to list.
#[derive(Clone, PartialEq)]
pub struct Fault(Box<FaultParts>);

/// What is told of a [`Fault`].
#[derive(Clone, PartialEq, Debug)]
pub struct FaultParts {
    /// Who is to blame.
    pub class: FaultClass,
    /// Stable name: `http.404`, `http.timeout`, `amqp.unroutable`, `validate.json_schema`, `expression`.
    pub code: Text,
    /// What happened, for people; a lowercase fragment of at most [`FAULT_TEXT_BYTES_MAX`] bytes.
    pub text: Text,
    /// The step where it happened (`steps[2] transform`); none for a target's fault.
    pub step: Option<Text>,
    /// How long the target asked to wait.
    pub retry_after: Option<Duration>,
    /// Who answered.
    pub answer: Answer,
}

impl Fault {
    /// A fault of the class with code and text, cut to what is kept.
    #[must_use]
    pub fn new(class: FaultClass, code: impl Into<Text>, text: impl AsRef<str>) -> Self {
        let answer = match class {
            FaultClass::Rejected | FaultClass::Failed | FaultClass::Busy => Answer::Application,
            FaultClass::Unreachable => Answer::Nobody,
        };
        let (code, text) = (code.into(), shorten(text.as_ref()));
        Self::from(FaultParts { class, code, text, step: None, retry_after: None, answer })
    }

    /// A message that is wrong.
    #[must_use]
    pub fn rejected(code: impl Into<Text>, text: impl AsRef<str>) -> Self {
        Self::new(FaultClass::Rejected, code, text)
    }

    /// The same fault, in the given step.
    #[must_use]
    pub fn in_step(mut self, step: impl Into<Text>) -> Self {
        self.step = Some(step.into());
        self
    }

    /// The same fault, answered by somebody else.
    #[must_use]
    pub fn answered_by(mut self, answer: Answer) -> Self {
        self.answer = answer;
        self
    }

    /// The same fault, with the time the target asked for.
    #[must_use]
    pub fn retry_after(mut self, wait: Option<Duration>) -> Self {
        self.retry_after = wait;
        self
    }
}

impl From<FaultParts> for Fault {
    fn from(parts: FaultParts) -> Self {
        Self(Box::new(parts))
    }
}

impl Deref for Fault {
    type Target = FaultParts;

    fn deref(&self) -> &FaultParts {
        &self.0
    }
}

impl DerefMut for Fault {
    fn deref_mut(&mut self) -> &mut FaultParts {
        &mut self.0
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.text)
    }
}

fn shorten(text: &str) -> Text {
    if text.len() <= FAULT_TEXT_BYTES_MAX {
        return Text::from(text);
    }
    let mut end = FAULT_TEXT_BYTES_MAX - '…'.len_utf8();
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    Text::from(format!("{}…", text.get(..end).unwrap_or_default()))
}

/// What `accept` says to a sender whose message it does not take.
#[derive(Clone, PartialEq, Debug)]
pub struct Refusal {
    /// What kind of answer it is.
    pub kind: RefusalKind,
    /// The cause, as it stands in a dead letter.
    pub fault: Fault,
    /// Each place that is wrong; empty where the kind has none.
    pub violations: Vec<Violation>,
}

/// The kinds of refusal, which the protocols answer in their own way (contract.md §3).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum RefusalKind {
    /// The body cannot be decoded: 400.
    Undecodable,
    /// Nobody knows the type: 415.
    UnsupportedType,
    /// It breaks a rule: 422.
    Invalid,
    /// Another message came under the same idempotency key: 422.
    Conflict,
    /// Too many in too short a time: 429.
    Throttled,
    /// Larger than a message may be: 413.
    TooLarge,
}

/// One place of a message that breaks a rule.
#[derive(Clone, PartialEq, Debug)]
pub struct Violation {
    /// JSON pointer (RFC 6901) into the payload; `""` is the whole.
    pub at: Text,
    /// What is wrong there.
    pub message: Text,
    /// JSON pointer into the schema, where there is one.
    pub rule: Option<Text>,
}
