//! What librdkafka tells of a producer: deliveries, errors, log lines. Deliveries are gathered, and posted together when
//! a poll has ended.

use super::{company::Company, session::Session};
use crate::{
    client::{self, Troubles},
    fault::{self, Sent},
    lock,
};
use crossdock_model::Fault;
use rdkafka::{
    ClientContext, Message, config::RDKafkaLogLevel, error::KafkaError, message::DeliveryResult,
    producer::ProducerContext, types::RDKafkaErrorCode,
};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

/// Bits of a record's name that are the ticket; above them stands the session's place.
const TICKET_BITS: u32 = 48;
/// From this size on a message is never one of a batch: more than librdkafka puts into one.
const BATCH_BYTES_MAX: usize = 1_000_000;

/// Names a record towards librdkafka: session and ticket in one number. None if a ticket is beyond what fits, which
/// would take nine thousand years at a million a second.
pub(super) fn name(place: u16, ticket: u64) -> Option<usize> {
    let name = (u64::from(place) << TICKET_BITS) | (ticket < 1 << TICKET_BITS).then_some(ticket)?;
    usize::try_from(name).ok()
}

fn parts(name: usize) -> (usize, u64) {
    let name = name as u64;
    (usize::try_from(name >> TICKET_BITS).unwrap_or(usize::MAX), name & ((1 << TICKET_BITS) - 1))
}

/// The sessions by their places. A place is not given again before all others were: a late answer to a session that is
/// gone must not be taken for one to another.
#[derive(Default)]
struct Sessions {
    next: u16,
    known: HashMap<usize, Arc<Session>>,
}

/// The context of a producer.
#[derive(Default)]
pub(super) struct Context {
    pub troubles: Troubles,
    sessions: Mutex<Sessions>,
    answers: Mutex<Vec<(usize, Result<(), Fault>)>>,
    /// The records that librdkafka has.
    pub company: Company,
    /// Events that a poll has heard: deliveries, errors, log lines.
    pub heard: AtomicUsize,
}

impl Context {
    /// A place for a session; none if there are too many.
    pub fn enter(&self, session: &Arc<Session>) -> Option<u16> {
        let mut sessions = lock(&self.sessions);
        let mut places = (0..=u16::MAX).map(|more| sessions.next.wrapping_add(more));
        let place = places.find(|place| !sessions.known.contains_key(&usize::from(*place)))?;
        sessions.next = place.wrapping_add(1);
        sessions.known.insert(usize::from(place), Arc::clone(session));
        Some(place)
    }

    /// A session has no records under way any more, or does not care for them.
    pub fn leave(&self, place: u16) {
        lock(&self.sessions).known.remove(&usize::from(place));
    }

    /// Posts what was gathered.
    pub fn post(&self) {
        let mut answers = std::mem::take(&mut *lock(&self.answers));
        if answers.is_empty() {
            return;
        }
        while let Some((first, _)) = answers.first() {
            let place = parts(*first).0;
            let (own, others) = answers.into_iter().partition(|(name, _)| parts(*name).0 == place);
            answers = others;
            let own: Vec<(usize, Result<(), Fault>)> = own;
            if let Some(session) = self.session(place) {
                session.answer(own.into_iter().map(|(name, answer)| (parts(name).1, answer)).collect());
            }
        }
    }

    fn session(&self, place: usize) -> Option<Arc<Session>> {
        lock(&self.sessions).known.get(&place).cloned()
    }

    fn failed(&self, code: RDKafkaErrorCode, message: &impl Message, name: usize) -> Fault {
        let bytes = message.payload().map_or(0, <[u8]>::len) + message.key().map_or(0, <[u8]>::len);
        let sent = Sent {
            picks_topic: self.session(parts(name).0).is_some_and(|session| session.picks_topic),
            alone: self.company.is_alone() || bytes > BATCH_BYTES_MAX,
        };
        fault::of_delivery(code, message.topic(), sent)
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        self.heard.fetch_add(1, Ordering::Relaxed);
        client::log(level, facility, text);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.heard.fetch_add(1, Ordering::Relaxed);
        self.troubles.note(&error, reason);
    }
}

impl ProducerContext for Context {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, name: usize) {
        let answer = match result {
            Ok(_) => Ok(()),
            Err((error, message)) => {
                let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail);
                Err(self.failed(code, message, name))
            }
        };
        self.heard.fetch_add(1, Ordering::Relaxed);
        self.company.leave();
        lock(&self.answers).push((name, answer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_hold_session_and_ticket() {
        for (place, ticket) in [(0, 0), (7, 1), (u16::MAX, (1 << 48) - 1)] {
            assert_eq!(name(place, ticket).map(parts), Some((usize::from(place), ticket)));
        }
        assert_eq!(name(0, 1 << 48), None);
    }

    #[test]
    fn what_is_no_delivery_is_heard_too() {
        let context = Context::default();
        context.error(KafkaError::Global(RDKafkaErrorCode::AllBrokersDown), "1/1 brokers are down");
        context.log(RDKafkaLogLevel::Debug, "FAIL", "refused");
        assert_eq!(context.heard.load(Ordering::Relaxed), 2);
        assert!(context.troubles.is_down());
    }
}
