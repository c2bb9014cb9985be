//! A gateway over channels that outlive it, between scripted peers: what the tests of the engine are made of. What stands
//! behind the channels is the business of the test binary that uses it.

pub mod peer;
pub mod world;

use crate::backend::Backend;
use crossdock_config::{ConfigFile, Environment, Plan, Protocol};
use crossdock_connector::{Connector, Settlement};
use crossdock_engine::{ChannelView, DeadFilter, DeadLetter, Gateway, Options, RouteView};
use crossdock_model::{Envelope, MessageId, Text, Timestamp};
use peer::{ASK, BROKER, Peer};
use std::{
    collections::HashMap,
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};
use tokio::runtime::Runtime;
use world::World;

/// A gateway and everything around it.
pub struct Rig {
    pub world: Arc<World>,
    pub backend: Backend,
    plan: Arc<Plan>,
    running: Option<(Runtime, Gateway)>,
    /// How far the calendar is ahead of the system's, in milliseconds.
    ahead: Arc<AtomicI64>,
    seed: u64,
}

struct Files(HashMap<&'static str, &'static str>);

impl Environment for Files {
    fn variable(&self, _: &str) -> Option<String> {
        None
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let text = self.0.get(&*name).ok_or(io::ErrorKind::NotFound)?;
        Ok(text.as_bytes().to_vec())
    }
}

/// A schema that wants an `id`.
const SCHEMA: &str = r#"{"type": "object", "required": ["id"]}"#;

/// Reads a configuration whose sources are `ask` (its sender waits) and `broker` (its sender keeps), and whose targets
/// are `ask`.
pub fn plan(yaml: &str) -> Arc<Plan> {
    let yaml = format!("version: 1\nconnections: {{ p: {{ ask: {{}} }}, other: {{ ask: {{}} }} }}\n{yaml}");
    let file = ConfigFile { name: "routes.yaml", folder: Path::new("/nowhere"), bytes: yaml.as_bytes() };
    let protocols = [
        Protocol { description: &ASK, make: |_| Arc::new(Peer::new(&ASK, Arc::default())) },
        Protocol { description: &BROKER, make: |_| Arc::new(Peer::new(&BROKER, Arc::default())) },
    ];
    let loaded = crossdock_config::load(&file, &Files(HashMap::from([("s.json", SCHEMA)])), &protocols);
    loaded.plan.unwrap_or_else(|| panic!("{}", loaded.report.render(false)))
}

impl Rig {
    /// Starts a gateway on nothing.
    pub fn start(yaml: &str) -> Self {
        Self::start_on(yaml, Backend::default())
    }

    /// Starts a gateway on what is there.
    pub fn start_on(yaml: &str, backend: Backend) -> Self {
        let (world, ahead) = (Arc::default(), Arc::default());
        let mut rig = Self { world, backend, plan: plan(yaml), running: None, ahead, seed: 7 };
        rig.restart();
        rig
    }

    /// Starts the gateway again, after [`Self::kill`] or [`Self::stop`].
    pub fn restart(&mut self) {
        assert!(self.running.is_none(), "it runs");
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let ahead = Arc::clone(&self.ahead);
        let clock = Arc::new(move || {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
            Timestamp(i64::try_from(now.as_millis()).unwrap() + ahead.load(Ordering::Relaxed))
        });
        self.seed += 1;
        let mut options = Options::new(clock, self.seed);
        options.boot = Some([1; 16]);
        let channels = self.backend.open(&self.plan, &options);
        let connectors: Vec<Arc<dyn Connector>> = vec![
            Arc::new(Peer::new(&ASK, Arc::clone(&self.world))),
            Arc::new(Peer::new(&BROKER, Arc::clone(&self.world))),
        ];
        let gateway = runtime.block_on(Gateway::start(Arc::clone(&self.plan), connectors, channels, options)).unwrap();
        self.running = Some((runtime, gateway));
    }

    /// Reads another configuration, for the next start.
    pub fn write(&mut self, yaml: &str) {
        self.plan = plan(yaml);
    }

    /// Ends everything where it stands, as a killed process does.
    pub fn kill(&mut self) {
        let (runtime, gateway) = self.running.take().unwrap();
        drop(gateway);
        runtime.shutdown_timeout(Duration::from_secs(10));
        self.world.forget_sessions();
    }

    /// Stops in order.
    pub fn stop(&mut self, within: Duration) {
        let (runtime, gateway) = self.running.take().unwrap();
        runtime.block_on(gateway.shutdown(Instant::now() + within)).unwrap();
        drop(gateway);
        runtime.shutdown_timeout(Duration::from_secs(10));
        self.world.forget_sessions();
    }

    /// The calendar jumps by so many milliseconds, forth or back.
    pub fn jump_by(&self, millis: i64) {
        self.ahead.fetch_add(millis, Ordering::Relaxed);
    }

    /// Sends a message that is received when the calendar says so; its number among the route's.
    pub fn push_now(&self, route: &str, payload: &str) -> usize {
        let mut envelope = envelope(payload);
        envelope.received_at = Timestamp(envelope.received_at.0 + self.ahead.load(Ordering::Relaxed));
        self.world.push(route, envelope, None)
    }

    /// The calendar jumps.
    pub fn jump(&self, by: Duration) {
        self.ahead.fetch_add(i64::try_from(by.as_millis()).unwrap(), Ordering::Relaxed);
    }

    /// The handle.
    pub fn gateway(&self) -> &Gateway {
        &self.running.as_ref().unwrap().1
    }

    /// Awaits something.
    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.running.as_ref().unwrap().0.block_on(future)
    }

    /// Sends a message and waits for what became of it.
    pub fn post(&self, route: &str, payload: &str) -> Settlement {
        let number = self.push(route, payload);
        wait("the settlement", || self.world.settled(route, number))
    }

    /// Sends a message; its number among the route's.
    pub fn push(&self, route: &str, payload: &str) -> usize {
        self.world.push(route, envelope(payload), None)
    }

    /// What is shown of a route.
    pub fn route(&self, id: &str) -> RouteView {
        self.block_on(self.gateway().route(id)).unwrap()
    }

    /// What is shown of a channel.
    pub fn channel(&self, name: &str) -> ChannelView {
        self.block_on(self.gateway().channel(name)).unwrap()
    }

    /// All dead letters.
    pub fn dead(&self) -> Vec<DeadLetter> {
        self.block_on(self.gateway().dead_letters(&DeadFilter::default(), None, 1000)).unwrap().items
    }

    /// A line of the metrics, by its beginning.
    pub fn metric(&self, begins: &str) -> Option<f64> {
        let text = self.block_on(self.gateway().metrics());
        let line = text.lines().find(|line| line.starts_with(begins))?;
        line.rsplit(' ').next()?.parse().ok()
    }

    /// At rest everything is accounted for.
    pub fn account(&self) {
        let sums = || -> Vec<(String, i64)> {
            let text = self.block_on(self.gateway().metrics());
            let lines = text.lines().filter_map(|line| line.strip_prefix("crossdock_unaccounted_messages{"));
            lines.map(|line| (line.to_owned(), line.rsplit(' ').next().unwrap().parse().unwrap())).collect()
        };
        let end = Instant::now() + Duration::from_secs(10);
        loop {
            let sums = sums();
            assert!(!sums.is_empty());
            if sums.iter().all(|(_, sum)| *sum == 0) {
                break;
            }
            assert!(Instant::now() < end, "not accounted for: {sums:?}");
            pause();
        }
        for route in self.block_on(self.gateway().routes()) {
            assert_eq!(route.counts.unaccounted(), 0, "{route:?}");
        }
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if let Some((runtime, gateway)) = self.running.take() {
            drop(gateway);
            runtime.shutdown_timeout(Duration::from_secs(10));
        }
    }
}

/// A message of JSON with an id of its own.
pub fn envelope(payload: &str) -> Envelope {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let mut bytes = [0; 16];
    bytes[8..].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let received_at = Timestamp(i64::try_from(now.as_millis()).unwrap());
    let mut envelope = Envelope::new(MessageId::from_bytes(bytes), received_at, payload.to_owned());
    envelope.properties.content_type = Some(Text::from_static("application/json"));
    envelope
}

/// Waits for a condition and gives what it gave.
pub fn wait<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < end, "waited for {what}");
        pause();
    }
}

/// Waits until it is so.
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    wait(what, || condition().then_some(()));
}

fn pause() {
    std::thread::park_timeout(Duration::from_millis(2));
}
