//! The listening half of a sink's session: a task that reads what the server says and has it posted.

use super::shared::{Shared, unroutable};
use crate::{
    link::{CHANNEL, Delivery, Heard, Reader, Trouble, Writer},
    wire::{Method, Told},
};
use bytes::BytesMut;
use crossdock_connector::Results;
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, MissedTickBehavior, interval};

/// How often the time is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Listens until the session is over, and ends it.
pub async fn listen(mut reader: Reader, writer: Writer, shared: Arc<Shared>) {
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let trouble = loop {
        if let Err(trouble) = take(&mut reader, &writer, &shared) {
            break trouble;
        }
        let turn = tokio::select! {
            biased;
            read = reader.fill() => read,
            _ = ticks.tick() => shared.look(Instant::now()),
        };
        if let Err(trouble) = turn {
            break trouble;
        }
    };
    tracing::debug!(%trouble, "a publisher's session is over");
    shared.end(trouble);
}

/// Takes all that was received, and posts the results together.
fn take(reader: &mut Reader, writer: &Writer, shared: &Shared) -> Result<(), Trouble> {
    let mut results = Results::new();
    let mut outcome = Ok(());
    let mut has_changed = false;
    loop {
        match reader.heard(writer) {
            Ok(Some(Heard::Method { method: Method::CloseOk, .. })) => {
                outcome = Err(Trouble::new(crate::link::TroubleKind::Broken, "the session was closed"));
                break;
            }
            Ok(Some(heard)) => {
                has_changed = true;
                hear(heard, writer, shared, &mut results);
            }
            Ok(None) => break,
            Err(trouble) => {
                outcome = Err(trouble);
                break;
            }
        }
    }
    shared.post(results);
    if has_changed {
        shared.change.notify_one();
    }
    outcome
}

fn hear(heard: Heard, writer: &Writer, shared: &Shared, results: &mut Results) {
    match heard {
        Heard::Method { channel, method } => {
            if matches!(method, Method::Told(Told::Flow(_))) && channel != CHANNEL {
                // Nothing is published there.
                return;
            }
            if matches!(method, Method::Told(Told::Unblocked | Told::Flow(true))) {
                // What was being written when the server began to block.
                let writer = writer.clone();
                tokio::spawn(async move { writer.send(BytesMut::new()).await });
            }
            shared.lock().hear(method, results);
        }
        Heard::Delivery(delivery) => {
            let Delivery { method: Method::Return { text, exchange, routing_key, .. }, properties, .. } = *delivery
            else {
                return;
            };
            let id = properties.message_id.unwrap_or_default();
            let word = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let fault = unroutable(&text, &word(&exchange), &word(&routing_key));
            shared.lock().window.returned(&word(&id), fault);
        }
        // The server gives back what we wrote.
        Heard::Broken(broken) => tracing::error!(error = %broken.1, "the server returned what cannot be read"),
    }
}
