//! What a consumer is given to name its lease.

use crossdock_model::Text;
use std::fmt;

/// A lease, as its holder names it: void in any other process, and once the message was given out again.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Token {
    /// Drawn by the queue's task when it began.
    pub incarnation: u64,
    /// The message.
    pub offset: u64,
    /// Which of the times that the queue's task gave a message out.
    pub delivery: u64,
}

impl Token {
    /// Reads a token; none if it is none that this program gave out.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-').map(|part| u64::from_str_radix(part, 16).ok());
        let token = Self { incarnation: parts.next()??, offset: parts.next()??, delivery: parts.next()?? };
        (parts.next().is_none() && token.to_string() == text).then_some(token)
    }

    /// Its text, which means nothing to anybody else.
    pub fn text(self) -> Text {
        Text::from(self.to_string())
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}-{:x}-{:x}", self.incarnation, self.offset, self.delivery)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_as_it_was_written_and_nothing_else_is() {
        for token in [
            Token { incarnation: 0, offset: 0, delivery: 0 },
            Token { incarnation: u64::MAX, offset: u64::MAX, delivery: u64::MAX },
            Token { incarnation: 0xabc, offset: 17, delivery: 4711 },
        ] {
            assert_eq!(Token::parse(&token.text()), Some(token));
        }
        let long = "0".repeat(10_000);
        for text in ["", "-", "1-2-3", "0000000000000abc-11", "0000000000000abc-11-1-1", "0000000000000ABC-11-1", &long]
        {
            assert_eq!(Token::parse(text), None, "{text}");
        }
    }
}
