//! What happens to a gateway, drawn from a seed.

use super::{
    check,
    peer::{ASK, BROKER, Peer, fault},
    plan::{RoutePlan, load},
    world::{Got, Reply, World, lock},
};
use crate::{
    dice::Dice,
    disk::Disk,
    promises::is_sound,
    target::{Mood, Nature, send},
};
use crossdock_config::Plan;
use crossdock_connector::{Connector, Settlement};
use crossdock_engine::{Gateway, Options};
use crossdock_model::{Envelope, FaultClass, MessageId, Text, Timestamp};
use crossdock_store::Store;
use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::runtime::Runtime;

/// How long a schedule may take in real time once everything has healed.
const HEALED_WITHIN: Duration = Duration::from_secs(20);

/// What targets do, and with what luck.
struct Whims {
    dice: Dice,
    moods: Vec<Vec<Mood>>,
    natures: Vec<Vec<Nature>>,
}

/// A schedule under way.
pub struct Life {
    dice: Dice,
    pub routes: Vec<RoutePlan>,
    plan: Arc<Plan>,
    pub world: Arc<World>,
    whims: Arc<Mutex<Whims>>,
    /// Messages sent to each route.
    pub sent: Vec<u64>,
    disk: Disk,
    /// What was told to come again, and has.
    given_back: BTreeSet<(String, usize)>,
    calendar: Arc<AtomicI64>,
    running: Option<(Runtime, Gateway)>,
    tells: bool,
}

/// The number in a payload.
pub fn number(payload: &str) -> u64 {
    payload.split(&[':', ','][..]).nth(1).unwrap().parse().unwrap()
}

/// Route and target of `r0/t1`.
fn place(target: &str) -> (usize, usize) {
    let (route, target) = target.split_once('/').unwrap();
    (route[1..].parse().unwrap(), target[1..].parse().unwrap())
}

impl Whims {
    fn reply(&mut self, got: &Got) -> Reply {
        let (route, target) = place(&got.target);
        let reply = send(&self.natures[route][target], self.moods[route][target], number(&got.payload), &mut self.dice);
        match reply.result {
            Ok(()) => Reply::Taken,
            // It takes a while until nobody has answered.
            Err(fault) if &*fault.code == "http.timeout" => Reply::Hang,
            Err(fault) => Reply::Fault(fault),
        }
    }
}

/// Lives through the schedule of a seed; panics if something that is promised does not hold.
pub fn live(seed: u64, tells: bool) {
    let mut dice = Dice(seed);
    let routes: Vec<RoutePlan> = (0..1 + dice.below(4) as usize).map(|at| RoutePlan::draw(at, &mut dice)).collect();
    let whims = Whims {
        dice: Dice(dice.next()),
        moods: routes.iter().map(|route| vec![Mood::Up; route.natures.len()]).collect(),
        natures: routes.iter().map(|route| route.natures.clone()).collect(),
    };
    let (whims, world) = (Arc::new(Mutex::new(whims)), Arc::<World>::default());
    let script = Arc::clone(&whims);
    world.script(move |got| lock(&script).reply(got));
    let mut life = Life {
        plan: load(&routes),
        sent: vec![0; routes.len()],
        disk: Disk::new(),
        calendar: Arc::new(AtomicI64::new(1_795_000_000_000)),
        given_back: BTreeSet::new(),
        running: None,
        dice,
        routes,
        world,
        whims,
        tells,
    };
    life.tell(|life| format!("{:#?}", life.routes));
    for _ in 0..20 + life.dice.below(30) {
        life.step();
        let millis = life.dice.below(200);
        life.pass(millis);
    }
    life.heal();
    check::holds(&life);
    life.stop();
    is_sound(&life.disk.memory);
}

impl Life {
    /// Tells what happens, if anybody wants to know.
    fn tell(&self, what: impl FnOnce(&Self) -> String) {
        if self.tells {
            println!("{} {}", self.calendar.load(Relaxed), what(self));
        }
    }

    pub fn gateway(&self) -> &Gateway {
        &self.running.as_ref().unwrap().1
    }

    /// Awaits something of the gateway that runs.
    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.running.as_ref().unwrap().0.block_on(future)
    }

    /// Something happens.
    fn step(&mut self) {
        match self.dice.below(100) {
            0..45 => self.send(),
            45..60 => {
                let millis = 100 + self.dice.below(20_000);
                self.pass(millis);
            }
            60..72 => {
                let (route, mood) = (self.dice.below(self.routes.len() as u64) as usize, Mood::draw(&mut self.dice));
                let target = self.dice.below(self.routes[route].natures.len() as u64) as usize;
                lock(&self.whims).moods[route][target] = mood;
                self.tell(|_| format!("r{route}/t{target} is {mood:?}"));
            }
            72..76 => {
                let millis = self.dice.jump_millis();
                self.calendar.fetch_add(millis, Relaxed);
                self.tell(|_| format!("the calendar jumps by {millis} ms"));
            }
            76..82 => self.break_disk(),
            82..92 => self.crash(),
            92..96 => self.stop(),
            _ => {
                let route = self.dice.below(self.routes.len() as u64) as usize;
                self.tell(|_| format!("the sender of r{route} hangs up"));
                self.world.break_session(&format!("r{route}"));
            }
        }
    }

    /// Messages come to a route.
    fn send(&mut self) {
        let route = self.dice.below(self.routes.len() as u64) as usize;
        let (first, count) = (self.sent[route], 1 + self.dice.below(8));
        let padding = if self.dice.chance(10) { self.dice.below(60_000) } else { self.dice.below(200) } as usize;
        self.sent[route] += count;
        self.tell(|_| format!("r{route} is sent {first}..{}", first + count));
        for n in first..first + count {
            let mut id = [0; 16];
            id[..8].copy_from_slice(&(route as u64 + 1).to_be_bytes());
            id[8..].copy_from_slice(&n.to_be_bytes());
            let received_at = Timestamp(self.calendar.load(Relaxed));
            let mut envelope = Envelope::new(MessageId::from_bytes(id), received_at, RoutePlan::payload(n, padding));
            envelope.properties.content_type = Some(Text::from_static("application/json"));
            self.world.push(&format!("r{route}"), envelope, None);
        }
    }

    /// Time passes in which a gateway runs.
    fn pass(&mut self, millis: u64) {
        if self.running.is_none() && !self.start() {
            return;
        }
        let slice = (millis / 10).max(1);
        for _ in 0..millis.div_ceil(slice).max(1) {
            self.block_on(async { tokio::time::sleep(Duration::from_millis(slice)).await });
            self.calendar.fetch_add(slice as i64, Relaxed);
        }
        if self.dice.chance(50) {
            self.world.release(|| Err(fault(FaultClass::Failed, "http.timeout")));
        }
        self.give_back();
        if let Err(reason) = self.gateway().ready() {
            self.tell(|_| format!("it cannot go on: {reason}"));
            self.crash();
        }
    }

    /// What could not be stored then is given again by its sender, which is a broker, before all that waits.
    fn give_back(&mut self) {
        for (route, feed) in &*lock(&self.world.feeds) {
            let mut state = lock(&feed.state);
            let is_again = |settlement: &Settlement| matches!(settlement, Settlement::Again { .. });
            let told = state.settled.iter().filter(|(_, settled)| is_again(settled)).map(|(number, _)| *number);
            let mut again: Vec<usize> =
                told.filter(|number| self.given_back.insert((route.clone(), *number))).collect();
            again.sort_unstable();
            for number in again.into_iter().rev() {
                let message = state.messages[number].clone();
                state.messages.push(message);
                let number = state.messages.len() - 1;
                state.waiting.push_front(number);
            }
            drop(state);
            feed.rung.notify_one();
        }
    }

    /// How often messages were given to a route, and how each of them was settled; nothing, if it is not.
    pub fn settlements(&self, route: &str) -> Vec<(u64, Option<Settlement>)> {
        let feed = self.world.feed(route);
        let state = lock(&feed.state);
        let number = |envelope: &Envelope| number(&String::from_utf8_lossy(envelope.bytes()));
        let settled =
            |(at, (envelope, _)): (usize, &(Envelope, _))| (number(envelope), state.settled.get(&at).cloned());
        state.messages.iter().enumerate().map(settled).collect()
    }

    /// An operation of the disk will fail.
    fn break_disk(&mut self) {
        let mishap = self.disk.break_soon(&mut self.dice);
        self.tell(|_| format!("the disk will {mishap:?}"));
    }

    /// The process ends where it stands.
    fn crash(&mut self) {
        // No task runs now: nobody was told of what is not left by it.
        let policy = self.disk.crash(&mut self.dice);
        self.tell(|_| format!("a crash: {policy:?}"));
        self.end();
        if self.dice.chance(10) {
            // The next one does not get far either.
            self.break_disk();
        }
    }

    /// Drops what runs.
    fn end(&mut self) {
        if let Some((runtime, gateway)) = self.running.take() {
            drop(gateway);
            runtime.shutdown_timeout(Duration::from_secs(10));
        }
        self.world.forget_sessions();
        self.give_back();
    }

    /// The process stops in order, if it can.
    fn stop(&mut self) {
        self.tell(|_| String::from("a stop"));
        let Some((runtime, gateway)) = &self.running else { return };
        let stopped = runtime.block_on(async {
            let by = tokio::time::Instant::now() + Duration::from_secs(5);
            gateway.shutdown(by.into_std()).await
        });
        if stopped.is_err() {
            return self.crash();
        }
        self.end();
    }

    /// Starts a gateway; whether it runs.
    fn start(&mut self) -> bool {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        let calendar = Arc::clone(&self.calendar);
        let mut options = Options::new(Arc::new(move || Timestamp(calendar.load(Relaxed))), self.dice.next());
        options.boot = Some([1; 16]);
        let calendar = Arc::clone(&self.calendar);
        let mut for_store = crossdock_store::Options::new(Arc::new(move || Timestamp(calendar.load(Relaxed))));
        for_store.segment_bytes = self.plan.gateway().store.segment_bytes;
        for_store.window_bytes = 64 << 10;
        (for_store.on_sync, for_store.on_failure) = (Some(options.on_sync()), Some(options.on_failure()));
        let connectors: Vec<Arc<dyn Connector>> = vec![
            Arc::new(Peer::new(&ASK, Arc::clone(&self.world))),
            Arc::new(Peer::new(&BROKER, Arc::clone(&self.world))),
        ];
        let started = match Store::open(Arc::new(self.disk.faulty.clone()), for_store) {
            Ok(store) => runtime
                .block_on(Gateway::start(Arc::clone(&self.plan), connectors, Arc::new(store), options))
                .map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        match started {
            Ok(gateway) => {
                self.tell(|_| String::from("a gateway runs"));
                self.running = Some((runtime, gateway));
                true
            }
            Err(error) => {
                self.tell(|_| format!("a gateway does not start: {error}"));
                runtime.shutdown_timeout(Duration::from_secs(10));
                self.crash();
                false
            }
        }
    }

    /// The disk is mended, the targets are up and kind, and time goes on until nothing waits.
    fn heal(&mut self) {
        self.tell(|_| String::from("all heals"));
        {
            let mut whims = lock(&self.whims);
            whims.moods.iter_mut().flatten().for_each(|mood| *mood = Mood::Up);
            // Poison that nothing waits behind is tried for ever.
            whims.natures.iter_mut().flatten().for_each(|nature| *nature = Nature::kind());
        }
        self.disk = Disk::of(self.disk.memory.copy());
        self.end();
        let begun = Instant::now();
        while self.running.is_none() || !check::is_done(self) {
            assert!(begun.elapsed() < HEALED_WITHIN, "it stands still: {}", check::told(self));
            self.pass(1000);
        }
    }
}
