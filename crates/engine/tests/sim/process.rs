//! A process: an open store and its routes. It ends where a crash ends it.

use super::{
    life::{Life, Plan},
    route::{Route, number},
};
use crossdock_model::{Envelope, MessageId, Text, Timestamp};
use crossdock_store::{
    ChannelSpec, CommitError, Committed, EncodedMessage, Options, Put, PutResult, Start, Store, SubscriptionNumber,
    SubscriptionSpec, Takes, Txn,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

/// The process cannot go on: the disk failed it.
#[derive(Debug)]
pub struct Down;

/// A running process.
pub struct Process {
    pub store: Store,
    pub routes: Vec<Route>,
}

/// How the stores of a schedule are opened.
pub fn options(calendar: &Arc<AtomicI64>, seed: u64) -> Options {
    let (calendar, draws) = (Arc::clone(calendar), AtomicU64::new(seed));
    let mut options = Options::new(Arc::new(move || Timestamp(calendar.load(Relaxed))));
    options.random = Arc::new(move || draws.fetch_add(0x9e37_79b9_7f4a_7c15, Relaxed) ^ 0x5dee_ce66_d1ce_4e5b);
    options.segment_bytes = 64 << 10;
    options.window_bytes = 16 << 10;
    options.ride = Duration::ZERO;
    options.idle = Duration::from_secs(3600);
    options
}

/// Commits; a disk that is full refuses, everything else ends the process.
pub fn commit(store: &Store, txn: Txn) -> Result<Option<Committed>, Down> {
    match store.commit(txn) {
        Ok(committed) => Ok(Some(committed)),
        Err(CommitError::NoSpace) => Ok(None),
        Err(CommitError::Failed(_) | CommitError::Closed) => Err(Down),
        Err(error @ (CommitError::Full { .. } | CommitError::Invalid(_) | CommitError::Fenced)) => panic!("{error}"),
    }
}

/// What may not be refused without ending the process: settlements.
pub fn must(store: &Store, txn: Txn) -> Result<Committed, Down> {
    commit(store, txn)?.ok_or(Down)
}

impl Process {
    /// Opens the store and begins where the last process ended.
    pub fn start(life: &mut Life) -> Result<Self, Down> {
        let seed = life.dice.next();
        let store = Store::open(Arc::new(life.disk.faulty.clone()), options(&life.calendar, seed)).map_err(|_| Down)?;
        let mut routes = Vec::new();
        for plan in &life.plans {
            routes.push(declare(&store, plan, seed)?);
        }
        let (now, calendar) = (life.now(), life.calendar());
        for route in &mut routes {
            route.recover(&store, now, calendar)?;
        }
        Ok(Self { store, routes })
    }

    /// What stands in the routes' channels, and the files, for people.
    pub fn holds(&self) -> String {
        let numbers = |route: &Route| {
            let page = self.store.browse(route.channel, 0, 1000);
            let messages = page.map(|page| page.messages).unwrap_or_default();
            messages.iter().map(|stored| number(&stored.envelope().unwrap())).collect::<Vec<_>>()
        };
        let held: Vec<_> = self.routes.iter().map(|route| (&route.plan.name, numbers(route))).collect();
        format!("a process begins with {held:?}")
    }

    /// Appends messages; which of them the process said are stored.
    pub fn append(&self, route: usize, messages: &[(u64, usize)], received_at: Timestamp) -> Result<Vec<u64>, Down> {
        let route = &self.routes[route];
        let put = |(n, bytes): &(u64, usize)| Put::new(route.channel, message(*n, *bytes, received_at), *n as u32);
        let txn = Txn { puts: messages.iter().map(put).collect(), takes: Takes::Prefix, ..Txn::default() };
        let Some(committed) = commit(&self.store, txn)? else { return Ok(Vec::new()) };
        let stored = messages.iter().zip(&committed.puts).filter(|(_, put)| matches!(put, PutResult::Stored { .. }));
        Ok(stored.map(|((n, _), _)| *n).collect())
    }
}

/// A message that tells its number.
pub fn message(n: u64, bytes: usize, received_at: Timestamp) -> EncodedMessage {
    let mut payload = format!("{n} ").into_bytes();
    payload.resize(bytes.max(payload.len()), b'.');
    let mut id = [0; 16];
    id[..8].copy_from_slice(&n.to_le_bytes());
    EncodedMessage::new(&Envelope::new(MessageId::from_bytes(id), received_at, payload), None)
}

fn declare(store: &Store, plan: &Plan, seed: u64) -> Result<Route, Down> {
    let channels = [plan.name.clone(), format!("{}.dead", plan.name)].map(ChannelSpec::queue);
    let channels = store.declare_channels(channels.into()).map_err(|_| Down)?;
    let [channel, dead] = channels[..] else { panic!("two were declared") };
    let subscribe = |name: String, channel, group: &str| -> Result<SubscriptionNumber, Down> {
        let (name, group) = (Text::from(name), Text::from(group.to_owned()));
        let spec = SubscriptionSpec { name, channel, group, start: Start::Earliest };
        store.declare_subscription(spec).map_err(|_| Down)
    };
    let letters = format!("queue:{}.dead", plan.name);
    subscribe(letters.clone(), dead, &letters)?;
    let gate = if plan.dedupes { Some(subscribe(format!("steps:{}", plan.name), channel, &plan.name)?) } else { None };
    let mut targets = Vec::new();
    for target in 0..plan.natures.len() {
        targets.push(subscribe(format!("{}/{target}", plan.name), channel, &plan.name)?);
    }
    Ok(Route::new(store, plan.clone(), (channel, dead), gate, &targets, seed))
}
