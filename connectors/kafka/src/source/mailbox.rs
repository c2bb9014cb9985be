//! What was polled and the engine has not taken yet, in order, bounded by messages and bytes.

use crossdock_connector::{Credit, Event, Received};
use std::collections::VecDeque;

/// Messages from which on nothing more is polled: what the engine asks for next; the rest waits with librdkafka, smaller.
const MESSAGES_MAX: usize = 1024;
/// Bytes of payload from which on nothing more is polled.
const BYTES_MAX: usize = 1 << 20;

/// The queue between the polling thread and the receiver.
#[derive(Debug, Default)]
pub(super) struct Mailbox {
    items: VecDeque<Item>,
    messages: usize,
    bytes: usize,
}

#[derive(Debug)]
enum Item {
    Messages(Vec<Received>),
    Event(Event),
}

impl Mailbox {
    /// Whether more may be polled.
    pub fn has_room(&self) -> bool {
        self.messages < MESSAGES_MAX && self.bytes < BYTES_MAX
    }

    /// Adds messages behind the others.
    pub fn add(&mut self, batch: Vec<Received>) {
        self.messages += batch.len();
        self.bytes += batch.iter().map(size).sum::<usize>();
        self.items.push_back(Item::Messages(batch));
    }

    /// Adds something that is no message.
    pub fn tell(&mut self, event: Event) {
        self.items.push_back(Item::Event(event));
    }

    /// What is next, of at most `credit`; the first message may be larger. A batch goes as it came if it fits: messages are
    /// large to move.
    pub fn take(&mut self, credit: Credit) -> Option<Event> {
        match self.items.pop_front()? {
            Item::Event(event) => Some(event),
            Item::Messages(mut messages) => {
                let (mut count, mut bytes) = (0, 0);
                for message in &messages {
                    let more = bytes + size(message);
                    if count >= credit.messages.max(1) || (count > 0 && more > credit.bytes) {
                        break;
                    }
                    (count, bytes) = (count + 1, more);
                }
                if count < messages.len() {
                    let rest = messages.split_off(count);
                    self.items.push_front(Item::Messages(rest));
                }
                self.messages -= count;
                self.bytes -= bytes;
                Some(Event::Messages(messages))
            }
        }
    }

    /// Forgets the messages of scopes: who gets their partitions reads them again.
    pub fn forget(&mut self, scopes: &[u32]) {
        for item in &mut self.items {
            if let Item::Messages(messages) = item {
                messages.retain(|message| !scopes.contains(&message.token.scope));
            }
        }
        self.items.retain(|item| !matches!(item, Item::Messages(messages) if messages.is_empty()));
        let left = || {
            self.items.iter().flat_map(|item| match item {
                Item::Messages(messages) => Some(messages).into_iter().flatten(),
                Item::Event(_) => None.into_iter().flatten(),
            })
        };
        (self.messages, self.bytes) = (left().count(), left().map(size).sum());
    }
}

fn size(message: &Received) -> usize {
    message.envelope.bytes().len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossdock_connector::Token;
    use crossdock_model::{Envelope, MessageId, Timestamp};
    use std::sync::Arc;

    fn message(scope: u32, seq: u64, bytes: usize) -> Received {
        let envelope = Envelope::new(MessageId::from_bytes([0; 16]), Timestamp(0), vec![b'x'; bytes]);
        Received { token: Token { session: 0, scope, seq }, envelope: Arc::new(envelope), claim: None }
    }

    fn taken(mailbox: &mut Mailbox, messages: usize, bytes: usize) -> Vec<(u32, u64)> {
        match mailbox.take(Credit { messages, bytes }) {
            Some(Event::Messages(batch)) => batch.iter().map(|got| (got.token.scope, got.token.seq)).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn order_is_kept_and_credit_too() {
        let mut mailbox = Mailbox::default();
        mailbox.add((0..3).map(|seq| message(1, seq, 10)).collect());
        mailbox.add(vec![message(1, 3, 100)]);
        mailbox.tell(Event::Revoking { scope: 1, by: std::time::Instant::now() });
        mailbox.add(vec![message(2, 0, 10)]);
        assert_eq!(taken(&mut mailbox, 2, 1000), [(1, 0), (1, 1)]);
        assert_eq!(taken(&mut mailbox, 9, 50), [(1, 2)]);
        assert_eq!(taken(&mut mailbox, 9, 50), [(1, 3)], "the first may be larger");
        assert!(matches!(mailbox.take(Credit { messages: 1, bytes: 1 }), Some(Event::Revoking { scope: 1, .. })));
        assert_eq!(taken(&mut mailbox, 1, 1), [(2, 0)]);
        assert!(mailbox.take(Credit { messages: 1, bytes: 1 }).is_none());
        assert_eq!((mailbox.messages, mailbox.bytes), (0, 0));
    }

    #[test]
    fn it_is_full_by_number_or_bytes() {
        let mut mailbox = Mailbox::default();
        mailbox.add((0..MESSAGES_MAX as u64).map(|seq| message(0, seq, 0)).collect());
        assert!(!mailbox.has_room());
        mailbox.forget(&[0]);
        assert!(mailbox.has_room() && mailbox.items.is_empty());
        mailbox.add(vec![message(0, 0, BYTES_MAX)]);
        assert!(!mailbox.has_room());
    }

    #[test]
    fn messages_of_a_lost_partition_are_forgotten_and_no_others() {
        let mut mailbox = Mailbox::default();
        mailbox.add(vec![message(1, 0, 5), message(2, 0, 7), message(1, 1, 5)]);
        mailbox.forget(&[1]);
        assert_eq!((mailbox.messages, mailbox.bytes), (1, 7));
        assert_eq!(taken(&mut mailbox, 9, 99), [(2, 0)]);
    }
}
