//! Messages and dead letters.

use crossdock_model::{Envelope, Fault, MessageId, Text, Timestamp};

/// A message that stands in a channel.
#[derive(Clone, PartialEq, Debug)]
pub struct MessageView {
    /// The message as stored.
    pub envelope: Envelope,
    /// The route that reads the channel, or that gave the dead letter up; none where no route does.
    pub route: Option<Text>,
    /// The channel that holds it.
    pub channel: Text,
    /// Its place there.
    pub offset: u64,
    /// When it was appended.
    pub appended_at: Timestamp,
    /// Where it stands.
    pub state: MessageState,
    /// How often it was tried; more than `attempts` has where there were very many.
    pub attempts_total: u32,
    /// Its tries: the first five and the last twenty.
    pub attempts: Vec<Attempt>,
    /// What happened to it, in order.
    pub history: Vec<HistoryEvent>,
    /// The dead letter that it is an edited copy of.
    pub edited_from: Option<MessageId>,
}

/// Where a message stands.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum MessageState {
    /// It waits for its turn.
    Queued,
    /// It is on its way to a target.
    InFlight,
    /// It waits for its next try.
    Scheduled,
    /// It is a dead letter.
    Dead,
}

impl MessageState {
    /// The name in the API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::InFlight => "in_flight",
            Self::Scheduled => "scheduled",
            Self::Dead => "dead",
        }
    }
}

/// A try to deliver.
#[derive(Clone, PartialEq, Debug)]
pub struct Attempt {
    /// When it ended.
    pub at: Timestamp,
    /// The target; none where a step or the routing failed.
    pub target: Option<Text>,
    /// What went wrong; none if it was confirmed.
    pub fault: Option<Fault>,
}

impl Attempt {
    /// `delivered`, or the class of the fault.
    #[must_use]
    pub fn outcome(&self) -> &'static str {
        self.fault.as_ref().map_or("delivered", |fault| fault.class.name())
    }
}

/// Something that happened to a message.
#[derive(Clone, PartialEq, Debug)]
pub struct HistoryEvent {
    /// When.
    pub at: Timestamp,
    /// `received`, `stored`, `attempt`, `dead`, `redriven`.
    pub event: &'static str,
    /// The target, where it is about one.
    pub target: Option<Text>,
    /// What went wrong, where something did.
    pub fault: Option<Fault>,
}

/// A dead letter.
#[derive(Clone, PartialEq, Debug)]
pub struct DeadLetter {
    /// The message with the original payload.
    pub message: MessageView,
    /// Why it was given up.
    pub cause: Fault,
    /// Since when.
    pub dead_since: Timestamp,
    /// The target; none if it is the message's own (a step, `route.no_target`, `accept`).
    pub target: Option<Text>,
    /// The channel that it came from; none if `accept` did not take it.
    pub source: Option<Text>,
    /// How often it was redriven before.
    pub redrives: u32,
}

/// Dead letters of one cause.
#[derive(Clone, PartialEq, Debug)]
pub struct DeadGroup {
    /// The route that gave them up.
    pub route: Text,
    /// The target; none if it is the messages' own.
    pub target: Option<Text>,
    /// The fault's code.
    pub code: Text,
    /// The fault's text without what differs by message.
    pub text: Text,
    /// How many.
    pub count: u64,
    /// Since when the first of them is dead.
    pub first: Timestamp,
    /// Since when the last of them is dead.
    pub last: Timestamp,
}

/// Which dead letters are meant; all conditions must hold, and without any all are.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DeadFilter {
    /// The route that gave them up.
    pub route: Option<Text>,
    /// The fault's code.
    pub code: Option<Text>,
    /// Their ids.
    pub ids: Option<Vec<MessageId>>,
}
