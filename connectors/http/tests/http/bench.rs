//! A target under test, and what it posts.

use crate::common::*;
use crate::partner::*;
use crossdock_connector::{
    Completions, Connector, Outgoing, Receipt, Rendered, RenderedValue, Sender, SinkConfig, Ticket,
};
use crossdock_http::Http;
use crossdock_model::{Answer as By, Envelope, Fault, FaultClass, MessageId, Text, Timestamp};
use serde_json::json;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};
use tokio::time::timeout;

pub type Outcome = Result<Receipt, Fault>;

/// A target's sender, and what was posted, by ticket; a second word about a ticket fails the test.
pub struct Bench {
    pub sender: Box<dyn Sender>,
    pub results: Arc<Mutex<HashMap<u64, Outcome>>>,
}

impl Bench {
    pub async fn new(config: &SinkConfig) -> Self {
        let http = Http::new(&gateway(&json!({})));
        let mut sink = http.sink(config).unwrap_or_else(|found| panic!("{found:?}"));
        let results = Arc::new(Mutex::new(HashMap::new()));
        let posted = Arc::clone(&results);
        let done = Completions::new(move |batch| {
            for (Ticket(ticket), outcome) in batch {
                assert!(posted.lock().unwrap().insert(ticket, outcome).is_none(), "two results for {ticket}");
            }
        });
        Self { sender: sink.open(done).await.unwrap(), results }
    }

    pub async fn send(&mut self, messages: Vec<Outgoing>) {
        timeout(SOON, self.sender.submit(messages)).await.expect("submitting hangs").unwrap();
    }

    pub async fn result(&self, ticket: u64) -> Outcome {
        until("a result", || self.results.lock().unwrap().contains_key(&ticket)).await;
        self.results.lock().unwrap()[&ticket].clone()
    }
}

pub fn message(ticket: u64, rendered: &[&str]) -> Outgoing {
    let mut envelope = Envelope::new(MessageId::from_bytes([7; 16]), Timestamp(0), "{\"n\":1}");
    envelope.properties.content_type = Some(Text::from_static("application/json"));
    let rendered: Vec<_> = rendered.iter().map(|text| RenderedValue::Text(Text::from(*text))).collect();
    Outgoing {
        ticket: Ticket(ticket),
        envelope: Arc::new(envelope),
        rendered: Rendered::new(rendered),
        idempotency_key: Text::from(format!("key-{ticket}")),
        attempt: 1,
    }
}

/// Sends one message to a service that answers so.
pub async fn outcome(script: Script, connection: serde_json::Value, target: serde_json::Value) -> Outcome {
    let partner = Partner::start(move |_, _| script.clone()).await;
    let mut connection = connection;
    connection["base_url"] = json!(partner.url());
    let mut bench = Bench::new(&sink(&connection, &target)).await;
    bench.send(vec![message(1, &[""])]).await;
    bench.result(1).await
}

pub async fn check(script: Script, target: serde_json::Value, class: FaultClass, code: &str, answer: By) -> Fault {
    let shown = format!("{script:?}");
    let fault = outcome(script, json!({}), target).await.expect_err(&shown);
    assert_eq!((fault.class, &*fault.code, fault.answer), (class, code, answer), "{shown}: {fault}");
    fault
}
