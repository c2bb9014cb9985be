//! A TCP proxy with faults: it cuts, delays, throttles and stalls what passes between a client and a server, as a test says.
//!
//! What a client sees when a network fails between its request and the answer: [`Proxy::stall`] one direction, wait until the
//! request has [`Proxy::passed`] in the other, then [`Proxy::cut`]. A half-open connection is one that is stalled: it stays
//! open, takes what the kernel's buffers hold, and nothing comes.

use crate::{free_port, lock, port::listen, wait::pause};
use std::{
    io::{self, Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// The largest piece that is read and passed on at once.
const PIECE_BYTES: usize = 64 * 1024;

/// Which way bytes go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// From the client to the server.
    ToServer,
    /// From the server to the client.
    ToClient,
}

/// A proxy before a server, on a port of loopback.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
    listener: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    server: String,
    /// What the server says and what the client hears instead, of one length.
    rewrite: Option<(Vec<u8>, Vec<u8>)>,
    ways: Mutex<Ways>,
    /// Told when a way changes.
    changed: Condvar,
    passed_to_server: AtomicU64,
    passed_to_client: AtomicU64,
    accepted: AtomicUsize,
    is_down: AtomicBool,
    /// Both ends of each connection.
    ends: Mutex<Vec<TcpStream>>,
}

#[derive(Debug, Default)]
struct Ways {
    to_server: Way,
    to_client: Way,
    /// Grows with each cut, so that what waited in a stall does not pass after it.
    cuts: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Way {
    is_stalled: bool,
    delay: Duration,
    bytes_per_second: Option<u64>,
    /// So many bytes may pass until all connections are cut.
    left: Option<u64>,
}

impl Ways {
    const fn way(&mut self, direction: Direction) -> &mut Way {
        match direction {
            Direction::ToServer => &mut self.to_server,
            Direction::ToClient => &mut self.to_client,
        }
    }
}

impl Proxy {
    /// A proxy that forwards to a server's address, `127.0.0.1:PORT`. The server need not be there yet: a connection whose
    /// server does not answer is closed.
    ///
    /// # Panics
    /// No port could be had.
    #[must_use]
    pub fn to(server: &str) -> Self {
        Self::make(server, |_| None)
    }

    /// A proxy before a Kafka broker, which tells its clients where it is: they hear the proxy's port instead of the broker's
    /// (in answers to Metadata and FindCoordinator, a host's name and the port in four bytes), so that all they do passes.
    ///
    /// # Panics
    /// No port could be had, or the address has none.
    #[must_use]
    pub fn to_kafka(server: &str) -> Self {
        let (host, broker) = server.rsplit_once(':').expect("an address with a port");
        let broker: u16 = broker.parse().expect("a port");
        let place = |port: u16| [host.as_bytes(), &u32::from(port).to_be_bytes()].concat();
        Self::make(server, |port| Some((place(broker), place(port))))
    }

    fn make(server: &str, rewrite: impl FnOnce(u16) -> Option<(Vec<u8>, Vec<u8>)>) -> Self {
        let port = free_port();
        let shared = Shared {
            server: server.to_owned(),
            rewrite: rewrite(port),
            ways: Mutex::default(),
            changed: Condvar::new(),
            passed_to_server: AtomicU64::new(0),
            passed_to_client: AtomicU64::new(0),
            accepted: AtomicUsize::new(0),
            is_down: AtomicBool::new(true),
            ends: Mutex::default(),
        };
        let mut proxy = Self { port, shared: Arc::new(shared), listener: None };
        proxy.up();
        proxy
    }

    /// Its port, the same after it was down.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// `127.0.0.1:PORT`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Bytes that were passed on in a direction, over all connections so far.
    #[must_use]
    pub fn passed(&self, direction: Direction) -> u64 {
        self.shared.passed(direction).load(Ordering::SeqCst)
    }

    /// Connections that were taken so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.accepted.load(Ordering::SeqCst)
    }

    /// Cuts all connections; what is on its way is lost. New ones are taken.
    pub fn cut(&self) {
        self.shared.cut();
    }

    /// Cuts all connections when so many more bytes have passed in the direction; of the piece that reaches the number, what is
    /// beyond is lost. Once.
    pub fn cut_after(&self, direction: Direction, bytes: u64) {
        self.change(|ways| ways.way(direction).left = Some(bytes));
    }

    /// Passes nothing on in a direction, and stops reading there; connections stay open, and new ones are taken.
    pub fn stall(&self, direction: Direction) {
        self.change(|ways| ways.way(direction).is_stalled = true);
    }

    /// Passes nothing on in either direction: connections stay open, new ones are taken, nobody answers.
    pub fn half_open(&self) {
        self.change(|ways| (ways.to_server.is_stalled, ways.to_client.is_stalled) = (true, true));
    }

    /// Passes each piece on so much later.
    pub fn delay(&self, direction: Direction, delay: Duration) {
        self.change(|ways| ways.way(direction).delay = delay);
    }

    /// Passes on at most so many bytes a second and connection.
    pub fn throttle(&self, direction: Direction, bytes_per_second: u64) {
        self.change(|ways| ways.way(direction).bytes_per_second = Some(bytes_per_second.max(1)));
    }

    /// Forgets stalls, delays, throttles and cuts to come. What was stalled passes now.
    pub fn heal(&self) {
        self.change(|ways| (ways.to_server, ways.to_client) = (Way::default(), Way::default()));
    }

    fn change(&self, change: impl FnOnce(&mut Ways)) {
        change(&mut lock(&self.shared.ways));
        self.shared.changed.notify_all();
    }

    /// Listens again, on the port it had.
    ///
    /// # Panics
    /// Somebody else has the port by now.
    pub fn up(&mut self) {
        if self.listener.is_some() {
            return;
        }
        let listener = listen(self.port);
        self.shared.is_down.store(false, Ordering::SeqCst);
        let shared = Arc::clone(&self.shared);
        self.listener = Some(thread::spawn(move || accept(&listener, &shared)));
    }

    /// Cuts all connections and listens no more: who connects is refused.
    pub fn down(&mut self) {
        self.shared.is_down.store(true, Ordering::SeqCst);
        // The listening thread is woken by one last connection.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
        if let Some(listener) = self.listener.take() {
            listener.join().expect("the proxy's thread");
        }
        self.shared.cut();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.down();
    }
}

impl Shared {
    const fn passed(&self, direction: Direction) -> &AtomicU64 {
        match direction {
            Direction::ToServer => &self.passed_to_server,
            Direction::ToClient => &self.passed_to_client,
        }
    }

    fn cut(&self) {
        lock(&self.ways).cuts += 1;
        self.changed.notify_all();
        for end in lock(&self.ends).drain(..) {
            // One that is closed already is as good.
            let _closed = end.shutdown(Shutdown::Both);
        }
    }

    /// Waits until the way is free. Its state then, or none if the connections were cut meanwhile.
    fn pass(&self, direction: Direction, cuts: u64) -> Option<Way> {
        let mut ways = lock(&self.ways);
        while ways.cuts == cuts && ways.way(direction).is_stalled {
            ways = self.wait(ways);
        }
        (ways.cuts == cuts).then(|| *ways.way(direction))
    }

    fn wait<'a>(&self, ways: MutexGuard<'a, Ways>) -> MutexGuard<'a, Ways> {
        self.changed.wait(ways).unwrap_or_else(PoisonError::into_inner)
    }

    /// Says the proxy's place instead of the server's. One that lies across two pieces is not seen: answers that name places
    /// are small and come in one.
    fn rewrite(&self, piece: &mut [u8]) {
        let Some((from, to)) = &self.rewrite else { return };
        let mut at = 0;
        while let Some(found) = piece.get(at..at + from.len()) {
            if found == from
                && let Some(place) = piece.get_mut(at..at + to.len())
            {
                place.copy_from_slice(to);
            }
            at += 1;
        }
    }

    /// How many of so many bytes may pass, and whether all is cut then.
    fn take(&self, direction: Direction, bytes: usize) -> (usize, bool) {
        let mut ways = lock(&self.ways);
        let way = ways.way(direction);
        let Some(left) = way.left else { return (bytes, false) };
        let taken = usize::try_from(left).unwrap_or(usize::MAX).min(bytes);
        let left = left - taken as u64;
        way.left = (left > 0).then_some(left);
        (taken, left == 0)
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.is_down.load(Ordering::SeqCst) {
            return;
        }
        let Ok(client) = stream else { continue };
        shared.accepted.fetch_add(1, Ordering::SeqCst);
        // In this order: a cut between the two closes it.
        lock(&shared.ends).extend(client.try_clone());
        let cuts = lock(&shared.ways).cuts;
        let shared = Arc::clone(shared);
        // A connection that fails is closed, which is what its client is to see.
        thread::spawn(move || drop(join(client, &shared, cuts)));
    }
}

/// Connects a client with the server, once the way there is free.
fn join(client: TcpStream, shared: &Arc<Shared>, cuts: u64) -> io::Result<()> {
    let closed = client.try_clone()?;
    let joined = forward(client, shared, cuts);
    if !matches!(joined, Ok(true)) {
        // The copy among the ends would keep it open.
        closed.shutdown(Shutdown::Both)?;
    }
    joined.map(drop)
}

/// Whether the two were connected; else there was a cut while the client waited.
fn forward(client: TcpStream, shared: &Arc<Shared>, cuts: u64) -> io::Result<bool> {
    if shared.pass(Direction::ToServer, cuts).is_none() {
        return Ok(false);
    }
    let server = TcpStream::connect(&shared.server)?;
    lock(&shared.ends).push(server.try_clone()?);
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from, to, beside) = (server.try_clone()?, client.try_clone()?, Arc::clone(shared));
    thread::spawn(move || pump(from, to, &beside, Direction::ToClient, cuts));
    pump(client, server, shared, Direction::ToServer, cuts).map(|()| true)
}

/// Passes bytes on until one end closes; then the other is closed in this direction.
fn pump(mut from: TcpStream, mut to: TcpStream, shared: &Shared, direction: Direction, cuts: u64) -> io::Result<()> {
    let mut piece = vec![0; PIECE_BYTES];
    while shared.pass(direction, cuts).is_some() {
        let most = lock(&shared.ways).way(direction).bytes_per_second.map_or(PIECE_BYTES, |rate| {
            // Twenty pieces a second.
            usize::try_from(rate / 20).unwrap_or(PIECE_BYTES).clamp(1, PIECE_BYTES)
        });
        let read = from.read(piece.get_mut(..most).unwrap_or_default())?;
        // It may have been stalled while this thread waited for bytes.
        let Some(way) = shared.pass(direction, cuts).filter(|_| read > 0) else { break };
        let rate =
            way.bytes_per_second.map_or(Duration::ZERO, |rate| Duration::from_secs(1) * read as u32 / rate as u32);
        pause(way.delay.max(rate));
        // It may have been cut meanwhile.
        if shared.pass(direction, cuts).is_none() {
            break;
        }
        if direction == Direction::ToClient {
            shared.rewrite(piece.get_mut(..read).unwrap_or_default());
        }
        let (passed, is_cut) = shared.take(direction, read);
        to.write_all(piece.get(..passed).unwrap_or_default())?;
        shared.passed(direction).fetch_add(passed as u64, Ordering::SeqCst);
        if is_cut {
            shared.cut();
        }
    }
    to.shutdown(Shutdown::Write)
}
