//! A schedule: what happens to the processes of one store, drawn from a seed.

use super::{
    check,
    dice::Dice,
    disk::Disk,
    process::{Down, Process},
    promises::{is_sound, lane},
    target::{Mood, Nature},
};
use crossdock_delivery::{Entry, Order};
use crossdock_model::{Moment, Timestamp};
use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering::Relaxed},
    },
};

/// What a route is.
#[derive(Clone, Debug)]
pub struct Plan {
    pub name: String,
    pub order: Order,
    pub attempts: u32,
    pub dedupes: bool,
    /// Of its targets.
    pub natures: Vec<Nature>,
}

impl Plan {
    fn draw(at: usize, dice: &mut Dice) -> Self {
        Self {
            name: format!("r{at}"),
            order: dice.one_of([Order::None, Order::BlockKey, Order::Skip]),
            attempts: dice.one_of([1, 2, 3, 8]),
            dedupes: dice.chance(40),
            natures: (0..1 + dice.below(2)).map(|_| Nature::draw(dice)).collect(),
        }
    }

    pub fn entry(offset: u64, n: u64) -> Entry {
        Entry { lane: Some(lane(n)), ..Entry::fresh(offset) }
    }
}

/// What was seen from outside of a route.
#[derive(Default)]
pub struct Witness {
    /// Messages that were sent to it.
    pub sent: u64,
    /// Those that it said are stored.
    pub acknowledged: BTreeSet<u64>,
    /// What each target took, in order.
    pub taken: Vec<(usize, u64)>,
}

impl Witness {
    pub fn taken(&mut self, target: usize, n: u64) {
        self.taken.push((target, n));
    }
}

/// A schedule under way.
pub struct Life {
    pub dice: Dice,
    pub plans: Vec<Plan>,
    pub witnesses: Vec<Witness>,
    pub moods: Vec<Vec<Mood>>,
    pub disk: Disk,
    pub calendar: Arc<AtomicI64>,
    moment: u64,
    process: Option<Process>,
    tells: bool,
}

/// Lives through the schedule of a seed; panics if something that is promised does not hold.
pub fn live(seed: u64, tells: bool) {
    let mut dice = Dice(seed);
    let plans: Vec<Plan> = (0..1 + dice.below(3) as usize).map(|at| Plan::draw(at, &mut dice)).collect();
    let mut life = Life {
        witnesses: plans.iter().map(|_| Witness::default()).collect(),
        moods: plans.iter().map(|plan| vec![Mood::Up; plan.natures.len()]).collect(),
        plans,
        disk: Disk::new(),
        calendar: Arc::new(AtomicI64::new(1_795_000_000_000)),
        moment: 1000,
        process: None,
        dice,
        tells,
    };
    life.tell(|life| format!("{:#?}", life.plans));
    for _ in 0..20 + life.dice.below(40) {
        life.step();
    }
    // Poison that nothing waits behind is tried for ever: the targets are mended, too.
    let plans = life.plans.clone();
    life.plans.iter_mut().flat_map(|plan| &mut plan.natures).for_each(|nature| *nature = Nature::kind());
    life.heal();
    life.plans = plans;
    check::holds(&life, life.process.as_ref().unwrap());
    life.process.take().unwrap().store.close().unwrap();
    is_sound(&life.disk.memory);
}

impl Life {
    pub fn now(&self) -> Moment {
        Moment(self.moment)
    }

    /// Tells what happens, if anybody wants to know.
    fn tell(&self, what: impl FnOnce(&Self) -> String) {
        if self.tells {
            println!("{:>9} {}", self.moment, what(self));
        }
    }

    pub fn calendar(&self) -> Timestamp {
        Timestamp(self.calendar.load(Relaxed))
    }

    /// Something happens, then everything that follows at once.
    fn step(&mut self) {
        match self.dice.below(100) {
            0..50 => self.send(),
            50..70 => self.pass(),
            70..80 => {
                let (route, mood) = (self.dice.below(self.moods.len() as u64) as usize, Mood::draw(&mut self.dice));
                let target = self.dice.below(self.moods[route].len() as u64) as usize;
                self.moods[route][target] = mood;
                self.tell(|_| format!("r{route}/{target} is {mood:?}"));
            }
            80..84 => {
                let millis = self.dice.jump_millis();
                self.calendar.fetch_add(millis, Relaxed);
                self.tell(|_| format!("the calendar jumps by {millis} ms"));
            }
            84..89 => self.break_disk(),
            89..94 => self.crash(),
            94..97 => self.restart(),
            _ => {
                let tidied = self.process.as_ref().map(|process| process.store.tidy());
                if tidied.is_some_and(|tidied| tidied.is_err()) {
                    self.crash();
                }
            }
        }
        self.turn();
    }

    /// Messages come to a route.
    fn send(&mut self) {
        let route = self.dice.below(self.plans.len() as u64) as usize;
        let count = 1 + self.dice.below(6);
        let first = self.witnesses[route].sent;
        let large = self.dice.chance(10);
        let bytes = |dice: &mut Dice| if large { 2000 + dice.below(7000) } else { 10 + dice.below(300) } as usize;
        let messages: Vec<_> = (first..first + count).map(|n| (n, bytes(&mut self.dice))).collect();
        self.witnesses[route].sent += count;
        self.tell(|_| format!("r{route} is sent {messages:?}"));
        let received_at = self.calendar();
        let Some(process) = &self.process else { return };
        match process.append(route, &messages, received_at) {
            Ok(stored) => self.witnesses[route].acknowledged.extend(stored),
            Err(Down) => self.crash(),
        }
    }

    /// Time passes: to the next thing that is to happen, or a while.
    fn pass(&mut self) {
        let process = self.process.as_ref();
        let wakes = process.into_iter().flat_map(|process| &process.routes).filter_map(|r| r.wake_at(self.now()));
        let next = wakes.min().map_or(100, |next| next.0.saturating_sub(self.moment));
        let millis = if self.dice.chance(70) { next.clamp(1, 60_000) } else { 1 + self.dice.below(3000) };
        self.moment += millis;
        self.calendar.fetch_add(millis as i64, Relaxed);
    }

    /// An operation of the disk will fail.
    fn break_disk(&mut self) {
        let mishap = self.disk.break_soon(&mut self.dice);
        self.tell(|_| format!("the disk will {mishap:?}"));
    }

    /// The process ends where it stands.
    fn crash(&mut self) {
        self.process = None;
        let policy = self.disk.crash(&mut self.dice);
        self.tell(|_| format!("a crash: {policy:?}"));
        if self.dice.chance(10) {
            // The next one does not get far either.
            self.break_disk();
        }
    }

    /// The process stops in order.
    fn restart(&mut self) {
        self.tell(|_| String::from("a restart"));
        let closed = self.process.take().map(|process| process.store.close());
        if closed.is_some_and(|closed| closed.is_err()) {
            self.crash();
        }
    }

    /// A process runs, and does what can be done.
    fn turn(&mut self) {
        if self.process.is_none() {
            match Process::start(self) {
                Ok(process) => {
                    self.tell(|_| process.holds());
                    self.process = Some(process);
                }
                Err(Down) => return self.crash(),
            }
        }
        let (now, calendar) = (self.now(), self.calendar());
        let Self { process, moods, witnesses, dice, tells, .. } = self;
        let Some(process) = process else { return };
        let tells = *tells;
        let routes = process.routes.iter_mut().zip(moods).zip(witnesses);
        for ((route, moods), witness) in routes {
            if route.turn(&process.store, (now, calendar), moods, witness, (dice, tells)).is_err() {
                return self.crash();
            }
        }
    }

    /// The disk is mended, the targets are up, and time goes on until nothing waits.
    fn heal(&mut self) {
        self.disk = Disk::of(self.disk.memory.clone());
        self.process = None;
        self.moods.iter_mut().flatten().for_each(|mood| *mood = Mood::Up);
        for _ in 0..5000 {
            self.turn();
            let process = self.process.as_ref().unwrap();
            if check::is_done(process) {
                return;
            }
            let wakes = process.routes.iter().filter_map(|route| route.wake_at(self.now()));
            let next = wakes.min().unwrap_or(Moment(self.moment + 10));
            let millis = next.0.saturating_sub(self.moment).clamp(1, 3_600_000);
            self.moment += millis;
            self.calendar.fetch_add(millis as i64, Relaxed);
        }
        panic!("it stands still: {}", check::told(self.process.as_ref().unwrap()));
    }
}
