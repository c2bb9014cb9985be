//! The two halves of a connection that the engine holds.

use super::inbox::Inbox;
use crate::link::{Driver, Ended, Link};
use async_trait::async_trait;
use crossdock_connector::{Credit, Event, Receiver, Settlement, Settler, SourceError, Token};
use std::{sync::Arc, time::Instant};
use tokio::time::timeout_at;

/// Takes what has come.
pub(super) struct MqttReceiver {
    link: Arc<Link<Inbox>>,
    /// What the operator is to know of the session, until it is told.
    untold: Option<String>,
}

/// Acknowledges. The connection ends with it.
pub(super) struct MqttSettler {
    link: Arc<Link<Inbox>>,
    driver: Driver,
}

/// The halves of a connection; `untold` is shown for as long as the session lives.
pub(super) fn halves(link: Arc<Link<Inbox>>, driver: Driver, untold: Option<String>) -> (MqttReceiver, MqttSettler) {
    (MqttReceiver { link: Arc::clone(&link), untold }, MqttSettler { link, driver })
}

/// Waits until the broker has answered the SUBSCRIBE, or until what the session held back fills the inbox: then it was
/// subscribed before, and the answer stands behind messages that nobody has taken yet.
pub(super) async fn subscribed(link: &Link<Inbox>) -> Result<(), Ended> {
    use crate::link::Role as _;
    loop {
        {
            let state = link.lock();
            if let Some(ended) = &state.ended {
                return Err(ended.clone());
            }
            if state.role.is_subscribed() || !state.role.wants_more() {
                return Ok(());
            }
        }
        link.news().await;
    }
}

#[async_trait]
impl Receiver for MqttReceiver {
    async fn next(&mut self, credit: Credit) -> Result<Event, SourceError> {
        if let Some(text) = self.untold.take() {
            return Ok(Event::Blocked(text));
        }
        loop {
            {
                let mut state = self.link.lock();
                if let Some(event) = state.role.next(credit) {
                    drop(state);
                    // There may be room to read again.
                    self.link.wake_driver();
                    return Ok(event);
                }
                if let Some(ended) = &state.ended {
                    return Err(ended.source_error());
                }
            }
            self.link.news().await;
        }
    }
}

#[async_trait]
impl Settler for MqttSettler {
    async fn settle(&mut self, batch: Vec<(Token, Settlement)>) -> Result<(), SourceError> {
        let state = &mut *self.link.lock();
        // Also when the connection has ended: what is stored is to be known when it comes again.
        for (token, settlement) in &batch {
            state.role.settle(*token, settlement, &mut state.out);
        }
        match &state.ended {
            Some(ended) => Err(ended.source_error()),
            None => {
                self.link.wake_driver();
                Ok(())
            }
        }
    }

    async fn released(&mut self, _: u32) {}

    async fn close(mut self: Box<Self>, by: Instant) {
        self.link.close();
        // What is not written by then is acknowledged by nobody, and comes again.
        drop(timeout_at(by.into(), self.driver.ended()).await);
    }
}
