//! Whether the server lets publish.

use crate::wire::Told;
use crossdock_model::{Answer, Fault, FaultClass, Text};
use tokio::time::Instant;

/// Whether the server lets publish.
pub enum Flow {
    /// It does; confirms are awaited since then at the earliest.
    Free { since: Instant },
    /// It does not.
    Blocked {
        /// What is in the way.
        bars: Bars,
        /// Since when.
        since: Instant,
        /// How many messages told so.
        voices: usize,
    },
}

/// What of the server's words is in the way; while it blocks, there is something.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Bars {
    /// The connection is blocked, and why (RabbitMQ's `connection.blocked`).
    connection: Option<Text>,
    /// The channel is to send nothing (`channel.flow`, AMQP 0-9-1, reference 1.5.2.3).
    channel: bool,
}

impl Default for Flow {
    fn default() -> Self {
        Self::Free { since: Instant::now() }
    }
}

impl Flow {
    /// What the server says of it; everything else changes nothing.
    pub fn hear(&mut self, told: &Told) {
        let mut bars = match self {
            Self::Free { .. } => Bars::default(),
            Self::Blocked { bars, .. } => bars.clone(),
        };
        match told {
            Told::Blocked(reason) => bars.connection = Some(reason.clone()),
            Told::Unblocked => bars.connection = None,
            Told::Flow(may_send) => bars.channel = !may_send,
            Told::Cancel | Told::Ack { .. } | Told::Nack { .. } => return,
        }
        match self {
            Self::Free { .. } if bars.is_empty() => {}
            Self::Free { .. } => {
                tracing::warn!(reason = %bars.text(), "the AMQP server blocks publishing");
                *self = Self::Blocked { bars, since: Instant::now(), voices: 0 };
            }
            Self::Blocked { .. } if bars.is_empty() => {
                tracing::info!("the AMQP server lets publish again");
                *self = Self::default();
            }
            Self::Blocked { bars: known, .. } => *known = bars,
        }
    }
}

impl Bars {
    fn is_empty(&self) -> bool {
        self.connection.is_none() && !self.channel
    }

    fn text(&self) -> String {
        self.connection
            .as_ref()
            .map_or_else(|| "channel.flow".to_owned(), |reason| format!("connection.blocked: {reason}"))
    }

    /// The fault of a message that is not published since the server blocks.
    pub fn fault(&self) -> Fault {
        let text = format!("the server blocks publishing ({})", self.text());
        Fault::new(FaultClass::Busy, "amqp.blocked", text).answered_by(Answer::Intermediary)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_bars_have_to_go() {
        let blocked = || Told::Blocked(Text::from_static("low on memory"));
        let mut flow = Flow::default();
        let mut check = |told: Told, expected: Option<&str>| {
            flow.hear(&told);
            let text = match &flow {
                Flow::Free { .. } => None,
                Flow::Blocked { bars, .. } => Some(bars.fault().text.to_string()),
            };
            assert_eq!(text, expected.map(|why| format!("the server blocks publishing ({why})")), "{told:?}");
        };
        let memory = Some("connection.blocked: low on memory");
        check(Told::Flow(true), None);
        check(Told::Unblocked, None);
        check(blocked(), memory);
        check(Told::Flow(false), memory);
        check(Told::Ack { tag: 1, multiple: false }, memory);
        check(Told::Unblocked, Some("channel.flow"));
        check(blocked(), memory);
        check(Told::Flow(true), memory);
        check(Told::Unblocked, None);
        check(Told::Flow(false), Some("channel.flow"));
        check(Told::Flow(true), None);
    }
}
