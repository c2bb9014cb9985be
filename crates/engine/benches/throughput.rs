//! What a message costs: from a source that always has more, through the engine and the store, to a sink that takes
//! everything at once. Prints messages a second and CPU time a message, with the same for the store alone.
//!
//! `cargo bench -p crossdock-engine --bench throughput -- [MESSAGES] [FOLDER]`

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement for people, which may end at any trouble")]

use crossdock_config::{ConfigFile, Environment, Plan, Protocol};
use crossdock_connector::{
    Completions, ConnectionConfig, Connector, Credit, Description, Diagnostics, Event, Field, Kind, OnRefused,
    Outgoing, Receipt, Received, Receiver, Sender, Settlement, Settler, Sink, SinkConfig, SinkError, Source,
    SourceConfig, SourceError, StartError, Token, async_trait,
};
use crossdock_engine::{Gateway, Options};
use crossdock_model::{Envelope, Fault, MessageId, Text, Timestamp};
use crossdock_store::{
    ChannelSpec, EncodedMessage, OffsetRun, Offsets, Outcome, Put, RealDisk, Settle, Start, Store, SubscriptionSpec,
    Txn,
};
use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc,
    },
    time::{Duration, Instant, SystemTime},
};
use tokio::sync::Notify;

static MESSAGES: AtomicU64 = AtomicU64::new(0);

/// An order of 512 bytes.
fn payload() -> String {
    let head = r#"{"order_id":"o-12345","total":99.5,"customer":{"id":"c-17","name":"Ada Lovelace"},"lines":["#;
    let line = r#"{"sku":"A-1","quantity":2,"price":12.5},"#;
    let mut text = format!("{head}{}", line.repeat(8));
    text.truncate(text.len() - 1);
    format!("{text}],\"pad\":\"{}\"}}", "x".repeat(512_usize.saturating_sub(text.len() + 11)))
}

const SCHEMA: &str = r#"{"type":"object","required":["order_id","total"],"properties":{"order_id":{"type":"string","pattern":"^o-"},"total":{"type":"number","minimum":0},"lines":{"type":"array","items":{"type":"object","required":["sku"]}}}}"#;

static LOAD: Description = Description {
    name: "load",
    about: "always has more, takes everything",
    connection: Some(&[]),
    source: Some(&[]),
    target: Some(&[Field::required("connection", Kind::Connection("load"), "the connection")]),
    address: &[],
    on_refused: OnRefused::DeadLetter,
};

#[derive(Default)]
struct Counts {
    given: AtomicU64,
    settled: AtomicU64,
    taken: AtomicU64,
    changed: Notify,
}

#[derive(Clone)]
struct Load(Arc<Counts>);

#[async_trait]
impl Connector for Load {
    fn description(&self) -> &'static Description {
        &LOAD
    }
    fn source(&self, _: &SourceConfig) -> Result<Box<dyn Source>, Diagnostics> {
        Ok(Box::new(self.clone()))
    }
    fn sink(&self, _: &SinkConfig) -> Result<Box<dyn Sink>, Diagnostics> {
        Ok(Box::new(self.clone()))
    }
    fn check(&self, _: &[SourceConfig]) -> Diagnostics {
        Diagnostics::new()
    }
    async fn probe(&self, _: &ConnectionConfig) -> Result<(), Fault> {
        Ok(())
    }
    async fn start(&self) -> Result<(), StartError> {
        Ok(())
    }
    async fn stop(&self, _: Instant) {}
}

#[async_trait]
impl Source for Load {
    async fn open(&mut self) -> Result<(Box<dyn Receiver>, Box<dyn Settler>), SourceError> {
        let payload = bytes::Bytes::from(payload());
        Ok((Box::new(Feed { counts: Arc::clone(&self.0), payload }), Box::new(self.clone())))
    }
}

struct Feed {
    counts: Arc<Counts>,
    payload: bytes::Bytes,
}

#[async_trait]
impl Receiver for Feed {
    async fn next(&mut self, credit: Credit) -> Result<Event, SourceError> {
        let given = self.counts.given.load(Relaxed);
        let count = (MESSAGES.load(Relaxed) - given).min(credit.messages.min(256) as u64);
        if count == 0 {
            return Ok(Event::End);
        }
        self.counts.given.fetch_add(count, Relaxed);
        let messages = (given..given + count).map(|seq| {
            let mut id = [0; 16];
            id[8..].copy_from_slice(&seq.to_be_bytes());
            let mut envelope = Envelope::new(MessageId::from_bytes(id), now(), self.payload.clone());
            envelope.properties.content_type = Some(Text::from_static("application/json"));
            Received { token: Token { session: 1, scope: 0, seq }, envelope: Arc::new(envelope), claim: None }
        });
        Ok(Event::Messages(messages.collect()))
    }
}

#[async_trait]
impl Settler for Load {
    async fn settle(&mut self, batch: Vec<(Token, Settlement)>) -> Result<(), SourceError> {
        self.0.settled.fetch_add(batch.len() as u64, Relaxed);
        self.0.changed.notify_one();
        Ok(())
    }
    async fn released(&mut self, _: u32) {}
    async fn close(self: Box<Self>, _: Instant) {}
}

#[async_trait]
impl Sink for Load {
    async fn open(&mut self, done: Completions) -> Result<Box<dyn Sender>, Fault> {
        Ok(Box::new(Take { counts: Arc::clone(&self.0), done }))
    }
}

struct Take {
    counts: Arc<Counts>,
    done: Completions,
}

#[async_trait]
impl Sender for Take {
    async fn submit(&mut self, batch: Vec<Outgoing>) -> Result<(), SinkError> {
        self.counts.taken.fetch_add(batch.len() as u64, Relaxed);
        self.done.post(batch.into_iter().map(|outgoing| (outgoing.ticket, Ok(Receipt::default()))).collect());
        self.counts.changed.notify_one();
        Ok(())
    }
    async fn close(self: Box<Self>, _: Instant) {}
}

struct Files;

impl Environment for Files {
    fn variable(&self, _: &str) -> Option<String> {
        None
    }
    fn read(&self, _: &Path) -> io::Result<Vec<u8>> {
        Ok(SCHEMA.as_bytes().to_vec())
    }
}

fn plan(yaml: &str) -> Arc<Plan> {
    let yaml = format!("version: 1\nconnections: {{ p: {{ load: {{}} }} }}\n{yaml}");
    let file = ConfigFile { name: "routes.yaml", folder: Path::new("/"), bytes: yaml.as_bytes() };
    let protocol = Protocol { description: &LOAD, make: |_| Arc::new(Load(Arc::default())) };
    let loaded = crossdock_config::load(&file, &Files, &[protocol]);
    loaded.plan.ok_or_else(|| loaded.report.render(false)).unwrap()
}

fn now() -> Timestamp {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(now.as_millis()).unwrap_or(i64::MAX))
}

/// CPU time of the process so far.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    // User and system time, in hundredths of a second (proc(5)).
    let ticks: u64 = fields.iter().skip(11).take(2).map(|field| field.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 10)
}

fn report(name: &str, messages: u64, run: impl FnOnce()) {
    let (cpu_before, began) = (cpu(), Instant::now());
    run();
    let (took, used) = (began.elapsed().as_secs_f64(), (cpu() - cpu_before).as_secs_f64());
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let messages = messages as f64;
    println!("{name:44} {:>9.0} messages/s {:>7.2} µs CPU/message", messages / took, used * 1e6 / messages);
}

fn folder(base: &Path, name: &str) -> Arc<RealDisk> {
    let folder = base.join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    Arc::new(RealDisk::new(&folder).unwrap())
}

/// Encode, append in commits of 256, fetch, decode, settle: what no engine can do without.
fn store_alone(base: &Path, messages: u64) {
    let store = Store::open(folder(base, "store"), crossdock_store::Options::new(Arc::new(now))).unwrap();
    let channel = store.declare_channel(ChannelSpec::queue("q")).unwrap();
    let (name, group, start) = ("s".into(), "g".into(), Start::Earliest);
    let reader = store.declare_subscription(SubscriptionSpec { name, channel, group, start }).unwrap();
    let payload = bytes::Bytes::from(payload());
    report("store alone: append, fetch, settle", messages, || {
        let (answered, answers) = mpsc::channel();
        let (mut submitted, mut open) = (0_u64, 0);
        while submitted < messages || open > 0 {
            while submitted < messages && open < 8 {
                let envelope = |seq: u64| {
                    let mut id = [0; 16];
                    id[8..].copy_from_slice(&seq.to_be_bytes());
                    Envelope::new(MessageId::from_bytes(id), now(), payload.clone())
                };
                let puts = (submitted..submitted + 256)
                    .enumerate()
                    .map(|(bundle, seq)| Put::new(channel, EncodedMessage::new(&envelope(seq), None), bundle as u32));
                let answered = answered.clone();
                let txn = Txn { puts: puts.collect(), ..Txn::default() };
                store.submit(txn, Box::new(move |result| answered.send(result.is_ok()).unwrap()));
                submitted += 256;
                open += 1;
            }
            assert!(answers.recv().unwrap());
            open -= 1;
            let fetched = store.fetch(reader, 1024, 8 << 20);
            let mut offsets = Offsets::new();
            for message in &fetched.messages {
                std::hint::black_box(message.envelope().unwrap());
                offsets.push_run(OffsetRun { first: message.offset, count: 1 });
            }
            let settles = vec![Settle { subscription: reader, outcome: Outcome::Delivered, offsets }];
            store.submit(Txn { settles, rides: true, ..Txn::default() }, Box::new(|_| {}));
        }
    });
    store.close().unwrap();
}

fn through(base: &Path, name: &str, yaml: &str, messages: u64, done: fn(&Counts) -> &AtomicU64) {
    let plan = plan(yaml);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let options = Options::new(Arc::new(now), 1);
    let mut store_options = crossdock_store::Options::new(Arc::new(now));
    store_options.on_sync = Some(options.on_sync());
    store_options.on_failure = Some(options.on_failure());
    let store = Store::open(folder(base, "gateway"), store_options).unwrap();
    let counts = Arc::<Counts>::default();
    MESSAGES.store(messages, Relaxed);
    report(name, messages, || {
        runtime.block_on(async {
            let load: Arc<dyn Connector> = Arc::new(Load(Arc::clone(&counts)));
            let gateway = Gateway::start(plan, vec![load], Arc::new(store), options).await.unwrap();
            while done(&counts).load(Relaxed) < messages {
                counts.changed.notified().await;
            }
            gateway.shutdown(Instant::now() + Duration::from_secs(10)).await.unwrap();
        });
    });
}

fn main() {
    // Cargo adds `--bench` to what it is given.
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let messages: u64 = arguments.next().map_or(1_000_000, |text| text.parse().unwrap());
    let base = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from).join("crossdock-throughput");
    store_alone(&base, messages);
    let to_queue = "channels: { q: { queue: {} } }\nroutes: { r: { from: { load: {} }, to: { queue: q } } }\n";
    through(&base, "source to queue", to_queue, messages, |counts| &counts.settled);
    let to_sink = "routes: { r: { from: { load: {} }, to: { load: { connection: p } } } }\n";
    through(&base, "source to sink", to_sink, messages, |counts| &counts.taken);
    let schema = "routes: { r: { from: { load: {} }, accept: [ { validate: { json_schema: s.json } } ], to: { load: { connection: p } } } }\n";
    through(&base, "source to sink, JSON Schema at the door", schema, messages, |counts| &counts.taken);
    let _ = std::fs::remove_dir_all(&base);
}
