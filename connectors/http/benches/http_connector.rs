//! What the connector costs a message, in and out, beside the bare thing: a hyper echo, and a loop over hyper's client.
//!
//! `cargo bench -p crossdock-http --bench http_connector -- [ROUNDS]`. Bodies of 1 KiB over loopback, 32
//! keep-alive connections in, 64 out. Both sides run in this process on runtimes of their own; CPU is that of the threads
//! of the side under test (`/proc/self/task/*/schedstat`), so the load's own cost and other work do not count. The player
//! of the engine settles what it gets at once: no store, no rules.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a bench prints its figures, and stops where it cannot go on"
)]

use bytes::Bytes;
use crossdock_connector::{
    Completions, ConnectionConfig, Connector, Credit, Event, Formulas, GatewayConfig, HTTP_LISTENER, Outgoing,
    Rendered, Settlement, SinkConfig, SourceConfig, Ticket,
};
use crossdock_http::{DESCRIPTION, Http};
use crossdock_model::{Envelope, MessageId, Text, Timestamp};
use crossdock_testkit::{Meter, Whose, suite::settings};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::json;
use std::{
    convert::Infallible,
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::{Builder, Runtime},
    task::JoinSet,
};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// The name of the threads of the side under test.
const TESTED: &str = "tested";
const REQUESTS: usize = 60_000;
const CONNECTIONS_IN: usize = 32;
const IN_FLIGHT_OUT: usize = 64;

fn main() {
    let rounds = std::env::args().nth(1).and_then(|rounds| rounds.parse().ok()).unwrap_or(3);
    let (tested, other) = (runtime(TESTED), runtime("other"));
    let body = Bytes::from(vec![b'x'; 1024]);
    let (bare, source) = (tested.block_on(echo()), tested.block_on(source()));
    let peer = other.block_on(echo());
    for _ in 0..rounds {
        for (name, address) in [("in, bare hyper echo", bare), ("in, the source", source)] {
            measure(name, || other.block_on(load(address, CONNECTIONS_IN, body.clone())));
        }
        measure("out, bare hyper client", || on(&tested, load(peer, IN_FLIGHT_OUT, body.clone())));
        measure("out, the sink", || on(&tested, sink(peer, body.clone())));
    }
}

fn runtime(name: &'static str) -> Runtime {
    Builder::new_multi_thread().worker_threads(2).thread_name(name).enable_all().build().unwrap()
}

fn measure(name: &str, work: impl FnOnce()) {
    let meter = Meter::start(Whose::Threads(TESTED));
    work();
    println!("{name:24} {}", meter.read(REQUESTS));
}

/// Work on a thread of the runtime, whose time counts; that of the thread that waits here does not.
fn on(runtime: &Runtime, work: impl Future<Output = ()> + Send + 'static) {
    runtime.block_on(runtime.spawn(work)).unwrap();
}

/// A server that reads a body and answers with a few bytes.
async fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            let answer = service_fn(|request: Request<Incoming>| async move {
                request.into_body().collect().await.unwrap();
                let body = Full::new(Bytes::from_static(b"{\"id\":\"019aa000-0000-7000-8000-000000000000\"}"));
                Ok::<_, Infallible>(Response::builder().status(202).body(body).unwrap())
            });
            tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
        }
    });
    address
}

fn connector() -> Http {
    Http::new(&GatewayConfig {
        http: settings(HTTP_LISTENER, &json!({ "listen": "127.0.0.1:0" })),
        folder: PathBuf::new(),
        store: Text::new(),
        admin_url: Text::from_static("http://127.0.0.1:8090"),
        state_folder: PathBuf::new(),
    })
}

/// The source, with a player that settles all it gets.
async fn source() -> SocketAddr {
    let http = connector();
    let settings = settings(DESCRIPTION.source.unwrap(), &json!({ "path": "/in" }));
    let route = Text::from_static("in");
    let config = SourceConfig {
        route,
        was: None,
        connection: None,
        settings,
        formulas: Formulas::none(),
        folder: PathBuf::new(),
    };
    let mut source = http.source(&config).unwrap();
    http.start().await.unwrap();
    let address = http.address().unwrap();
    let (mut receiver, mut settler) = source.open().await.unwrap();
    tokio::spawn(async move {
        let _alive = (http, source);
        loop {
            let Event::Messages(messages) = receiver.next(Credit { messages: 256, bytes: 1 << 20 }).await.unwrap()
            else {
                panic!("an odd event");
            };
            let stored = |id| Settlement::Stored { id, duplicate: false };
            let settled = messages.into_iter().map(|message| (message.token, stored(message.envelope.id)));
            settler.settle(settled.collect()).await.unwrap();
        }
    });
    address
}

/// Requests over so many connections, each driven by whoever sends.
async fn load(address: SocketAddr, connections: usize, body: Bytes) {
    let sent = Arc::new(AtomicUsize::new(0));
    let mut tasks = JoinSet::new();
    for _ in 0..connections {
        let (sent, body) = (Arc::clone(&sent), body.clone());
        tasks.spawn(async move {
            let stream = TcpStream::connect(address).await.unwrap();
            stream.set_nodelay(true).unwrap();
            let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
            let mut connection = std::pin::pin!(connection);
            while sent.fetch_add(1, Ordering::Relaxed) < REQUESTS {
                let request = Request::post("/in")
                    .header("host", "h")
                    .header("content-type", "application/json")
                    .header("idempotent", "019aa000-0000-7000-8000-000000000000")
                    .body(Full::new(body.clone()))
                    .unwrap();
                let exchange = async {
                    sender.ready().await.unwrap();
                    let answer = sender.send_request(request).await.unwrap();
                    assert_eq!(answer.status(), 202);
                    answer.into_body().collect().await.unwrap();
                };
                tokio::select! { biased; () = exchange => {}, _ = &mut connection => panic!("the connection was closed") }
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
}

/// Messages through a target, handed over in batches of 64.
async fn sink(peer: SocketAddr, body: Bytes) {
    let http = connector();
    let connection = json!({ "base_url": format!("http://{peer}") });
    let config = SinkConfig {
        route: Text::from_static("out"),
        target: Text::from_static("erp"),
        ordinal: 0,
        connection: Some(ConnectionConfig {
            name: Text::from_static("erp"),
            settings: settings(DESCRIPTION.connection.unwrap(), &connection),
        }),
        settings: settings(DESCRIPTION.target.unwrap(), &json!({ "connection": "erp" })),
        folder: PathBuf::new(),
        forward_origin: false,
        strict: false,
    };
    let (done, all) = (Arc::new(AtomicUsize::new(0)), Arc::new(tokio::sync::Notify::new()));
    let completions = Completions::new({
        let (done, all) = (Arc::clone(&done), Arc::clone(&all));
        move |results| {
            assert!(results.iter().all(|(_, result)| result.is_ok()), "{results:?}");
            if done.fetch_add(results.len(), Ordering::Relaxed) + results.len() == REQUESTS {
                all.notify_one();
            }
        }
    });
    let mut envelope = Envelope::new(MessageId::from_bytes([7; 16]), Timestamp(0), body);
    envelope.properties.content_type = Some(Text::from_static("application/json"));
    let message = Outgoing {
        ticket: Ticket(0),
        envelope: Arc::new(envelope),
        rendered: Rendered::default(),
        idempotency_key: Text::from_static("019aa000-0000-7000-8000-000000000000"),
        attempt: 1,
    };
    let mut sender = http.sink(&config).unwrap().open(completions).await.unwrap();
    let submitting = tokio::spawn(async move {
        let tickets: Vec<u64> = (0..REQUESTS as u64).collect();
        for batch in tickets.chunks(64) {
            let batch = batch.iter().map(|ticket| Outgoing { ticket: Ticket(*ticket), ..message.clone() }).collect();
            sender.submit(batch).await.unwrap();
        }
        sender
    });
    all.notified().await;
    drop(submitting.await.unwrap());
}
