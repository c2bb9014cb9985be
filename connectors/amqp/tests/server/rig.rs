//! Plays the engine: sources and sinks from sections, results that are gathered, messages that are put together.

use crossdock_amqp::{Amqp, DESCRIPTION};
use crossdock_connector::{
    Completions, ConnectionConfig, Connector, Credit, Event, Formulas, GatewayConfig, HTTP_LISTENER, Outgoing, Receipt,
    Received, Receiver, Rendered, RenderedValue, Sender, Settlement, Settler, Sink, SinkConfig, Source, SourceConfig,
    SourceError, Ticket,
};
use crossdock_model::{Envelope, Fault, MessageId, Refusal, RefusalKind, Text, Timestamp};
use crossdock_testkit::suite::settings;
use serde_json::{Value as Section, json};
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::time::timeout;

pub const SOON: Duration = Duration::from_secs(30);
const CREDIT: Credit = Credit { messages: 1000, bytes: 16 << 20 };

pub fn connector() -> Amqp {
    Amqp::new(&GatewayConfig {
        http: settings(HTTP_LISTENER, &json!({})),
        folder: PathBuf::from("/"),
        store: Text::from_static("0123abcd"),
        admin_url: Text::from_static("http://127.0.0.1:8090"),
        state_folder: PathBuf::from("/nowhere"),
    })
}

pub fn connection(section: &Section) -> ConnectionConfig {
    ConnectionConfig { name: Text::from_static("rabbit"), settings: settings(DESCRIPTION.connection.unwrap(), section) }
}

fn with_connection(section: &Section) -> Section {
    let mut section = section.clone();
    section["connection"] = json!("rabbit");
    section
}

/// A source's session.
pub struct Consumer {
    pub source: Box<dyn Source>,
    pub halves: Option<(Box<dyn Receiver>, Box<dyn Settler>)>,
}

impl Consumer {
    pub fn new(at: &Section, section: &Section) -> Self {
        let config = SourceConfig {
            route: Text::from_static("r"),
            was: None,
            connection: Some(connection(at)),
            settings: settings(DESCRIPTION.source.unwrap(), &with_connection(section)),
            formulas: Formulas::none(),
            folder: PathBuf::from("/"),
        };
        Self { source: connector().source(&config).unwrap_or_else(|found| panic!("{found:?}")), halves: None }
    }

    pub async fn open(&mut self) -> Result<(), SourceError> {
        self.halves = Some(timeout(SOON, self.source.open()).await.expect("opening hangs")?);
        Ok(())
    }

    pub async fn opened(at: &Section, section: &Section) -> Self {
        let mut consumer = Self::new(at, section);
        consumer.open().await.unwrap();
        consumer
    }

    pub async fn next(&mut self) -> Result<Event, SourceError> {
        let (receiver, _) = self.halves.as_mut().unwrap();
        timeout(SOON, receiver.next(CREDIT)).await.expect("nothing comes")
    }

    pub async fn receive(&mut self, count: usize) -> Vec<Received> {
        let mut all = Vec::new();
        while all.len() < count {
            match self.next().await.unwrap() {
                Event::Messages(messages) => all.extend(messages),
                other => panic!("{other:?}"),
            }
        }
        all
    }

    pub async fn settle(&mut self, received: &[Received], how: impl Fn(&Received) -> Settlement) {
        let batch = received.iter().map(|message| (message.token, how(message))).collect();
        self.halves.as_mut().unwrap().1.settle(batch).await.unwrap();
    }

    pub async fn close(mut self) {
        let (receiver, settler) = self.halves.take().unwrap();
        drop(receiver);
        settler.close(Instant::now() + SOON).await;
    }
}

pub fn stored(message: &Received) -> Settlement {
    Settlement::Stored { id: message.envelope.id, duplicate: false }
}

pub fn refused(_: &Received) -> Settlement {
    let fault = Fault::rejected("validate.json_schema", "it is wrong");
    Settlement::Refused(Refusal { kind: RefusalKind::Invalid, fault, violations: Vec::new() })
}

type Posted = Arc<Mutex<BTreeMap<u64, Result<Receipt, Fault>>>>;

/// A sink's session.
pub struct Publisher {
    sink: Box<dyn Sink>,
    slots: [u16; 2],
    pub sender: Option<Box<dyn Sender>>,
    posted: Posted,
    tickets: u64,
}

impl Publisher {
    pub fn new(at: &Section, section: &Section) -> Self {
        let config = SinkConfig {
            route: Text::from_static("r"),
            target: Text::from_static("t"),
            ordinal: 0,
            connection: Some(connection(at)),
            settings: settings(DESCRIPTION.target.unwrap(), &with_connection(section)),
            folder: PathBuf::from("/"),
            forward_origin: false,
            strict: false,
        };
        let slots = ["exchange", "routing_key"].map(|name| config.settings.slot(name).unwrap().0);
        let sink = connector().sink(&config).unwrap_or_else(|found| panic!("{found:?}"));
        Self { sink, slots, sender: None, posted: Posted::default(), tickets: 0 }
    }

    pub async fn open(&mut self) -> Result<(), Fault> {
        let posted = Arc::clone(&self.posted);
        let done = Completions::new(move |results| {
            for (Ticket(ticket), result) in results {
                assert!(posted.lock().unwrap().insert(ticket, result).is_none(), "two results for {ticket}");
            }
        });
        self.sender = Some(timeout(SOON, self.sink.open(done)).await.expect("opening hangs")?);
        Ok(())
    }

    pub async fn opened(at: &Section, section: &Section) -> Self {
        let mut publisher = Self::new(at, section);
        publisher.open().await.unwrap();
        publisher
    }

    /// A message with an address and an id; `change` makes the rest of it.
    pub fn message(&mut self, (exchange, key, id): (&str, &str, &str), change: impl FnOnce(&mut Envelope)) -> Outgoing {
        self.tickets += 1;
        let mut envelope = Envelope::new(MessageId::from_bytes([7; 16]), Timestamp(0), format!("{{\"id\":\"{id}\"}}"));
        change(&mut envelope);
        let mut values = vec![RenderedValue::Null; usize::from(self.slots[0].max(self.slots[1])) + 1];
        for (slot, text) in self.slots.iter().zip([exchange, key]) {
            values[usize::from(*slot)] = RenderedValue::Text(Text::from(text));
        }
        Outgoing {
            ticket: Ticket(self.tickets),
            envelope: Arc::new(envelope),
            rendered: Rendered::new(values),
            idempotency_key: Text::from(id),
            attempt: 1,
        }
    }

    pub async fn submit(&mut self, batch: Vec<Outgoing>) -> bool {
        timeout(SOON, self.sender.as_mut().unwrap().submit(batch)).await.expect("submitting hangs").is_ok()
    }

    pub fn posted(&self) -> usize {
        self.posted.lock().unwrap().len()
    }

    /// The results of so many tickets from the first on, in short: `+`, or the class and code of the fault.
    pub async fn results(&self, count: u64) -> Vec<String> {
        let start = Instant::now();
        loop {
            let found: Vec<_> =
                (1..=count).filter_map(|ticket| self.posted.lock().unwrap().get(&ticket).cloned()).collect();
            if found.len() as u64 == count {
                let word = |result: Result<Receipt, Fault>| match result {
                    Ok(_) => "+".to_owned(),
                    Err(fault) => format!("{} {}", fault.class, fault.code),
                };
                return found.into_iter().map(word).collect();
            }
            assert!(start.elapsed() < SOON, "{} of {count} results", found.len());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub async fn close(mut self) {
        self.sender.take().unwrap().close(Instant::now() + SOON).await;
    }
}

pub fn at(url: &str) -> Section {
    json!({ "url": url, "heartbeat": "2s", "timeout": "10s" })
}
