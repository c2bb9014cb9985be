//! A sender beside a server that reads, blocks and confirms when a test says so.

use super::{sender::AmqpSender, shared::Shared, *};
use crate::{
    DESCRIPTION,
    link::{Reader, Writer},
    wire::Told,
};
use crossdock_connector::{ConnectionConfig, Outgoing, Rendered, RenderedValue, Results, Ticket};
use crossdock_model::{Envelope, MessageId, Text, Timestamp};
use crossdock_testkit::suite::settings;
use serde_json::json;
use std::{path::PathBuf, sync::Mutex, time::Duration};
use tokio::{
    io::{AsyncReadExt as _, DuplexStream},
    time::Instant,
};

const TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes that lie between us and a server that does not read.
const LINE_BYTES: usize = 64;

struct Rig {
    sender: AmqpSender,
    shared: Arc<Shared>,
    /// What it writes.
    server: DuplexStream,
    /// What is never read nor closed: the server says nothing by itself.
    _silent: DuplexStream,
    slots: [u16; 2],
    posted: Arc<Mutex<Vec<(u64, bool)>>>,
}

impl Rig {
    fn new(exchange: &str) -> Self {
        let text = Text::from_static;
        let connection = json!({ "url": "amqp://localhost" });
        let connection = ConnectionConfig {
            name: text("rabbit"),
            settings: settings(DESCRIPTION.connection.unwrap_or_default(), &connection),
        };
        let target = json!({ "connection": "rabbit", "exchange": exchange, "routing_key": "k", "max_in_flight": 1 });
        let config = SinkConfig {
            route: text("r"),
            target: text("t"),
            ordinal: 0,
            connection: Some(connection),
            settings: settings(DESCRIPTION.target.unwrap_or_default(), &target),
            folder: PathBuf::from("/"),
            forward_origin: false,
            strict: false,
        };
        let slots = ["exchange", "routing_key"].map(|name| config.settings.slot(name).map_or(0, |slot| slot.0));
        let target = Target::new(&config).unwrap_or_else(|found| unreachable!("{found:?}"));
        let (near, server) = tokio::io::duplex(LINE_BYTES);
        let (ours, silent) = tokio::io::duplex(LINE_BYTES);
        let link = Link { reader: Reader::new(Box::new(ours)), writer: Writer::new(Box::new(near)), timeout: TIMEOUT };
        let posted = Arc::<Mutex<Vec<_>>>::default();
        let heard = Arc::clone(&posted);
        let done = Completions::new(move |results: Results| {
            let results = results.into_iter().map(|(Ticket(ticket), result)| (ticket, result.is_ok()));
            heard.lock().unwrap_or_else(std::sync::PoisonError::into_inner).extend(results);
        });
        let sender = AmqpSender::new(link, Arc::new(target), done);
        let shared = Arc::clone(&sender.shared);
        Self { sender, shared, server, _silent: silent, slots, posted }
    }

    fn batch(&self, count: u64) -> Vec<Outgoing> {
        let mut values = vec![RenderedValue::Null; usize::from(self.slots[0].max(self.slots[1])) + 1];
        for (slot, text) in self.slots.iter().zip(["e", "k"]) {
            values[usize::from(*slot)] = RenderedValue::Text(Text::from(text));
        }
        let envelope = Envelope::new(MessageId::from_bytes([7; 16]), Timestamp(0), "x".repeat(4 * LINE_BYTES));
        let outgoing = |ticket| Outgoing {
            ticket: Ticket(ticket),
            envelope: Arc::new(envelope.clone()),
            rendered: Rendered::new(values.clone()),
            idempotency_key: Text::from(format!("id-{ticket}")),
            attempt: 1,
        };
        (1..=count).map(outgoing).collect()
    }
}

/// What the listener does when the server has confirmed up to a number.
fn confirm(shared: &Shared, number: u64) {
    let mut results = Results::new();
    shared.lock().window.confirmed(number, true, true, &mut results);
    shared.post(results);
    shared.change.notify_one();
}

/// Time passes where nothing else can go on.
async fn patiently(what: &str, mut condition: impl FnMut() -> bool) {
    let by = Instant::now() + TIMEOUT * 10;
    while !condition() {
        assert!(Instant::now() < by, "waited for {what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// The server reads whatever comes, for as long as it is let.
async fn read_on(server: &mut DuplexStream) {
    let mut bytes = [0; 4096];
    while server.read(&mut bytes).await.is_ok_and(|read| read > 0) {}
}

/// Submits while the server does as it is told, and then reads and confirms whatever comes.
async fn submit(rig: &mut Rig, count: u64, told: impl Future<Output = ()>) {
    let (batch, shared, posted) = (rig.batch(count), Arc::clone(&rig.shared), Arc::clone(&rig.posted));
    let Rig { sender, server, .. } = rig;
    let results = || posted.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
    let serve = async {
        told.await;
        tokio::join!(read_on(server), async {
            for number in 1..=count {
                patiently("the next in flight", || shared.lock().window.last() >= number).await;
                confirm(&shared, number);
            }
        });
    };
    let submitted = async {
        let submitted = tokio::time::timeout(TIMEOUT * 10, sender.submit(batch)).await;
        assert!(matches!(submitted, Ok(Ok(()))), "{submitted:?}");
        patiently("all results", || results().len() as u64 == count).await;
    };
    tokio::select! {
        () = submitted => {}
        () = serve => unreachable!("the line stays open"),
    }
    assert_eq!(results(), (1..=count).map(|ticket| (ticket, true)).collect::<Vec<_>>());
}

/// The confirm that makes room comes while the rest is still being written: there is no other one to wait for.
#[tokio::test(start_paused = true)]
async fn room_that_was_made_while_it_wrote_is_seen() {
    let mut rig = Rig::new("e");
    let shared = Arc::clone(&rig.shared);
    submit(&mut rig, 2, async {
        patiently("the first to be in flight", || shared.lock().window.open() == 1).await;
        // The line is full, so it is being written.
        confirm(&shared, 1);
        tokio::time::sleep(Duration::from_millis(1)).await;
    })
    .await;
}

/// A server that blocks does not read either, so it answers nothing: that says nothing of the session.
#[tokio::test(start_paused = true)]
async fn a_question_is_not_late_while_the_server_blocks() {
    let mut rig = Rig::new("{{ .exchange }}");
    let shared = Arc::clone(&rig.shared);
    submit(&mut rig, 1, async {
        patiently("the question", || shared.lock().asked.is_some()).await;
        let hear = |told| shared.lock().hear(Method::Told(told), &mut Results::new());
        hear(Told::Blocked(Text::from_static("low on memory")));
        tokio::time::sleep(TIMEOUT * 3).await;
        hear(Told::Unblocked);
        tokio::time::sleep(TIMEOUT / 2).await;
        shared.lock().hear(Method::ExchangeDeclareOk, &mut Results::new());
    })
    .await;
}

/// Some servers slow publishers down with `channel.flow`.
#[tokio::test(start_paused = true)]
async fn nothing_is_published_while_the_channel_is_to_be_still() {
    let mut rig = Rig::new("e");
    let shared = Arc::clone(&rig.shared);
    shared.lock().hear(Method::Told(Told::Flow(false)), &mut Results::new());
    let batch = rig.batch(2);
    rig.sender.submit(batch).await.unwrap();
    let posted = std::mem::take(&mut *rig.posted.lock().unwrap());
    assert_eq!((posted, shared.lock().window.last()), (vec![(1, false), (2, false)], 0));
    shared.lock().hear(Method::Told(Told::Flow(true)), &mut Results::new());
    submit(&mut rig, 2, async {}).await;
}
