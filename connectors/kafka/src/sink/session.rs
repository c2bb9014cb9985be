//! A target's session with a producer: which tickets have no result yet, and where results go.
//!
//! A ticket is in `open` from before librdkafka gets its record until its result is posted; whoever takes it out posts it,
//! so each has exactly one result however the session ends.

use crate::lock;
use crossdock_connector::{Completions, Receipt, Results, Ticket};
use crossdock_model::{DenseMap, Fault, Text};
use std::{sync::Mutex, time::Instant};
use tokio::sync::Notify;

/// What is known of a record under way.
#[derive(Clone, Debug, Default)]
pub(super) struct Open {
    /// The parts of the envelope that it does not carry; empty almost always.
    pub lost: Vec<Text>,
}

/// A target's session.
#[derive(Debug)]
pub(super) struct Session {
    open: Mutex<DenseMap<Open>>,
    done: Completions,
    /// Whether a message has a say in its topic.
    pub picks_topic: bool,
    answered: Notify,
}

impl Session {
    /// A session without records.
    pub fn new(done: Completions, picks_topic: bool) -> Self {
        Self { open: Mutex::default(), done, picks_topic, answered: Notify::new() }
    }

    /// Records are about to be given to librdkafka.
    pub fn begin(&self, tickets: impl Iterator<Item = Ticket>) {
        lock(&self.open).extend(tickets.map(|ticket| (ticket.0, Open::default())));
    }

    /// What a record that is about to be given does not carry.
    pub fn lose(&self, ticket: Ticket, lost: Vec<Text>) {
        if !lost.is_empty() {
            lock(&self.open).insert(ticket.0, Open { lost });
        }
    }

    /// Results that did not come from the broker; of tickets that were begun or not.
    pub fn post(&self, results: Results) {
        if !results.is_empty() {
            let mut open = lock(&self.open);
            for (ticket, _) in &results {
                open.remove(&ticket.0);
            }
            drop(open);
            self.done.post(results);
        }
    }

    /// The brokers' answers; those of tickets that have their result are dropped.
    pub fn answer(&self, answers: Vec<(u64, Result<(), Fault>)>) {
        let mut open = lock(&self.open);
        let known = answers.into_iter().filter_map(|(ticket, answer)| {
            let Open { lost } = open.remove(&ticket)?;
            Some((Ticket(ticket), answer.map(|()| Receipt { lost })))
        });
        let results: Results = known.collect();
        drop(open);
        if !results.is_empty() {
            self.done.post(results);
        }
        self.answered.notify_one();
    }

    /// How many have no result yet.
    pub fn count(&self) -> usize {
        lock(&self.open).len()
    }

    /// Waits until all have their result, at most until `by`.
    pub async fn drained(&self, by: Instant) {
        self.few(0, by).await;
    }

    /// Waits until no more than so many have no result yet, at most until `by`.
    pub async fn few(&self, most: usize, by: Instant) {
        while self.count() > most {
            if tokio::time::timeout_at(by.into(), self.answered.notified()).await.is_err() {
                return;
            }
        }
    }

    /// Waits for a round of answers.
    pub async fn answered(&self) {
        self.answered.notified().await;
    }

    /// Whatever has no result gets this one.
    pub fn give_up(&self, fault: &Fault) {
        let open = std::mem::take(&mut *lock(&self.open));
        if !open.is_empty() {
            self.done.post(open.into_keys().map(|ticket| (Ticket(ticket), Err(fault.clone()))).collect());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossdock_model::FaultClass;
    use std::{sync::Arc, time::Duration};

    fn session() -> (Session, Arc<Mutex<Results>>) {
        let posted = Arc::new(Mutex::new(Results::new()));
        let to = Arc::clone(&posted);
        (Session::new(Completions::new(move |results| to.lock().unwrap().extend(results)), false), posted)
    }

    #[test]
    fn each_ticket_has_one_result() {
        let (session, posted) = session();
        session.begin((0..5).map(Ticket));
        let fault = Fault::new(FaultClass::Failed, "kafka.x", "x");
        session.answer(vec![(1, Ok(())), (1, Ok(())), (9, Ok(())), (2, Err(fault.clone()))]);
        session.post(vec![(Ticket(0), Err(fault.clone()))]);
        assert_eq!(session.count(), 2);
        session.give_up(&fault);
        session.answer((0..5).map(|ticket| (ticket, Ok(()))).collect());
        let mut tickets: Vec<_> =
            posted.lock().unwrap().iter().map(|(ticket, result)| (ticket.0, result.is_ok())).collect();
        tickets.sort_unstable();
        assert_eq!(tickets, [(0, false), (1, true), (2, false), (3, false), (4, false)]);
    }

    #[tokio::test]
    async fn waits_until_few_have_no_result_or_the_time_is_up() {
        let (session, _) = session();
        let session = Arc::new(session);
        session.begin((0..5).map(Ticket));
        let own = Arc::clone(&session);
        let waiting = tokio::spawn(async move { own.few(2, Instant::now() + Duration::from_secs(3600)).await });
        tokio::task::yield_now().await;
        session.answer(vec![(0, Ok(())), (1, Ok(()))]);
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished(), "three are left");
        session.answer(vec![(2, Ok(()))]);
        waiting.await.unwrap();
        assert_eq!(session.count(), 2);
        let by = Instant::now() + Duration::from_millis(20);
        session.few(1, by).await;
        assert!(Instant::now() >= by, "nobody answered any more");
    }

    #[test]
    fn what_was_lost_is_told() {
        let (session, posted) = session();
        session.begin([Ticket(7)].into_iter());
        session.lose(Ticket(7), vec![Text::from_static("headers")]);
        session.answer(vec![(7, Ok(()))]);
        assert_eq!(posted.lock().unwrap()[0].1.as_ref().unwrap().lost, [Text::from_static("headers")]);
    }
}
