//! The task of a connection: it alone reads and writes the socket, pings, and ends it.
//!
//! ```text
//!  user: lock, change the role, put bytes into `out`, unlock, wake the driver
//!  driver: lock, take `out`, unlock │ write │ read, lock, give the packets to the role, unlock, wake the user │ tick
//! ```
//!
//! The lock is held for what is ready and never across an await, so neither side can block the other.

use super::{
    End, Ended, Opened,
    dial::Stream,
    pulse::{Beat, Pulse},
};
use crate::{
    lock,
    packet::{self, Decoder, Incoming},
};
use bytes::{Buf, BytesMut};
use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf},
    sync::Notify,
    task::JoinHandle,
    time::{Interval, MissedTickBehavior, interval_at},
};

/// How often a role looks at its clocks.
const TICK: Duration = Duration::from_millis(500);
/// How long a broker may take to close after the goodbye.
const GOODBYE: Duration = Duration::from_secs(1);
/// Room for what is read at once.
const READ_BYTES: usize = 1 << 16;
/// Less room than this is not worth a read.
const READ_BYTES_MIN: usize = 1 << 13;

/// What a session makes of its packets.
pub(crate) trait Role: Send + 'static {
    /// A packet came; what is to be answered goes to `out`.
    ///
    /// # Errors
    /// The session is over.
    fn take(&mut self, packet: Incoming, out: &mut Out) -> Result<(), Ended>;

    /// Whether more is read now.
    fn wants_more(&self) -> bool;

    /// All bytes up to this position of [`Out`] are in the socket's hands.
    fn written(&mut self, position: u64);

    /// Everything that was read at once was taken; `midway` tells whether a packet has begun that is not whole.
    fn batch_taken(&mut self, midway: bool);

    /// Half a second went by.
    ///
    /// # Errors
    /// Something took too long, and the session is over.
    fn tick(&mut self, now: Instant) -> Result<(), Ended>;

    /// The session is over.
    fn end(&mut self, ended: &Ended);
}

/// Bytes to be written, and how many there ever were.
#[derive(Debug, Default)]
pub(crate) struct Out {
    pub(crate) bytes: BytesMut,
    taken: u64,
}

impl Out {
    /// The position behind everything that was put here.
    pub(crate) fn position(&self) -> u64 {
        self.taken + self.bytes.len() as u64
    }
}

/// What driver and user share.
pub(crate) struct Link<R> {
    state: Mutex<State<R>>,
    to_driver: Notify,
    to_user: Notify,
}

pub(crate) struct State<R> {
    pub(crate) role: R,
    pub(crate) out: Out,
    closing: bool,
    pub(crate) ended: Option<Ended>,
}

/// The driver's task; it ends, and the connection with it, when this is dropped.
pub(crate) struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Driver {
    /// Waits for the driver's end.
    pub(crate) async fn ended(&mut self) {
        // A panic in it ends the session like anything else.
        drop((&mut self.0).await);
    }
}

impl<R: Role> Link<R> {
    /// Begins to drive a connection.
    pub(crate) fn start(opened: Opened, role: R, out: BytesMut) -> (Arc<Self>, Driver) {
        let state = State { role, out: Out { bytes: out, taken: 0 }, closing: false, ended: None };
        let link = Arc::new(Self { state: Mutex::new(state), to_driver: Notify::new(), to_user: Notify::new() });
        let driver = tokio::spawn(drive(opened, Arc::clone(&link)));
        (link, Driver(driver))
    }

    /// The state, for as long as nothing is waited for.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State<R>> {
        lock(&self.state)
    }

    /// There is something to write, or room to read.
    pub(crate) fn wake_driver(&self) {
        self.to_driver.notify_one();
    }

    /// Waits until the driver has news. One task at a time waits here.
    pub(crate) async fn news(&self) {
        self.to_user.notified().await;
    }

    /// Ends the session for its user, whatever the driver is at; it is about to be dropped.
    pub(crate) fn give_up(&self, ended: Ended) {
        let mut state = self.lock();
        if state.ended.is_none() {
            state.role.end(&ended);
            state.ended = Some(ended);
        }
    }

    /// Asks the driver to write what is left and say goodbye.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        if !state.closing {
            state.closing = true;
            packet::disconnect(&mut state.out.bytes);
        }
        drop(state);
        self.wake_driver();
    }
}

async fn drive<R: Role>(opened: Opened, link: Arc<Link<R>>) {
    let mut guard = Guard { link: &link, ended: Ended::protocol("the connection's task broke down: report this") };
    let mut wire = Wire::new(opened);
    guard.ended = match wire.run(&link).await {
        Ok(never) => match never {},
        Err(ended) => ended,
    };
    if guard.ended.kind == End::Closed {
        drop(wire.writer.shutdown().await);
        wire.hear_out().await;
    }
}

/// Tells the end, also if the driver panics or is dropped.
struct Guard<'a, R: Role> {
    link: &'a Link<R>,
    ended: Ended,
}

impl<R: Role> Drop for Guard<'_, R> {
    fn drop(&mut self) {
        self.link.give_up(self.ended.clone());
        self.link.to_user.notify_one();
    }
}

/// The driver's own.
struct Wire {
    reader: ReadHalf<Stream>,
    writer: WriteHalf<Stream>,
    decoder: Decoder,
    buffer: BytesMut,
    /// Taken from [`Out`] and not written yet.
    pending: BytesMut,
    written: u64,
    /// Written, and perhaps still in a buffer of TLS.
    unflushed: bool,
    pulse: Pulse,
    tick: Interval,
}

/// What became of a turn.
enum Turn {
    Read(std::io::Result<usize>),
    Wrote(std::io::Result<usize>),
    Woken,
    Tick,
}

impl Wire {
    fn new(opened: Opened) -> Self {
        let (reader, writer) = tokio::io::split(opened.stream);
        let mut tick = interval_at(tokio::time::Instant::now() + TICK, TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            reader,
            writer,
            decoder: opened.decoder,
            buffer: opened.buffer,
            pending: BytesMut::new(),
            written: 0,
            unflushed: false,
            pulse: Pulse::new(opened.keep_alive, Instant::now()),
            tick,
        }
    }

    async fn run<R: Role>(&mut self, link: &Link<R>) -> Result<std::convert::Infallible, Ended> {
        // What came with the answer to the login.
        self.take(link)?;
        loop {
            let wants_more = self.look(link)?;
            self.pulse.reading(wants_more, Instant::now());
            let Self { reader, writer, buffer, pending, unflushed, tick, .. } = self;
            if buffer.capacity() - buffer.len() < READ_BYTES_MIN {
                buffer.reserve(READ_BYTES);
            }
            // Not biased: neither of reading and writing may starve the other.
            let turn = tokio::select! {
                written = write_some(writer, pending), if *unflushed || pending.has_remaining() => Turn::Wrote(written),
                read = reader.read_buf(buffer), if wants_more => Turn::Read(read),
                () = link.to_driver.notified() => Turn::Woken,
                _ = tick.tick() => Turn::Tick,
            };
            match turn {
                Turn::Wrote(written) => self.wrote(written.map_err(|error| lost(&error))?, link),
                Turn::Read(Ok(0)) => return Err(Ended::broken(self.decoder.version().closed())),
                Turn::Read(Ok(_)) => {
                    self.pulse.heard(Instant::now());
                    self.take(link)?;
                }
                Turn::Read(Err(error)) => return Err(lost(&error)),
                Turn::Woken => {}
                Turn::Tick => self.ticked(link)?,
            }
        }
    }

    /// Reads until the broker closes, which it does when it has read the goodbye and all before it. A session that is opened
    /// again earlier than that takes the connection over, with acknowledgements in it that nobody has looked at.
    async fn hear_out(&mut self) {
        let Self { reader, buffer, .. } = self;
        let heard = async {
            loop {
                buffer.clear();
                match reader.read_buf(buffer).await {
                    Ok(1..) => {}
                    Ok(0) | Err(_) => return,
                }
            }
        };
        drop(tokio::time::timeout(GOODBYE, heard).await);
    }

    /// Takes what is to be written, and tells whether more is to be read. The end, when that was asked for and nothing is
    /// left to write.
    fn look<R: Role>(&mut self, link: &Link<R>) -> Result<bool, Ended> {
        let mut state = link.lock();
        if self.pending.is_empty() {
            if state.closing && state.out.bytes.is_empty() && !self.unflushed {
                return Err(Ended::new(End::Closed, "the session is closed"));
            }
            let bytes = state.out.bytes.len();
            state.out.taken += bytes as u64;
            // The buffer that was written comes back, so that none is made anew for each batch.
            self.pending.clear();
            std::mem::swap(&mut self.pending, &mut state.out.bytes);
        }
        Ok(state.role.wants_more())
    }

    fn wrote<R: Role>(&mut self, bytes: usize, link: &Link<R>) {
        self.unflushed = bytes > 0;
        if bytes == 0 {
            return;
        }
        self.written += bytes as u64;
        link.lock().role.written(self.written);
        link.to_user.notify_one();
    }

    /// Gives the role what has come.
    fn take<R: Role>(&mut self, link: &Link<R>) -> Result<(), Ended> {
        let mut state = link.lock();
        let State { role, out, .. } = &mut *state;
        while let Some(packet) = self.decoder.next(&mut self.buffer).map_err(malformed)? {
            match packet {
                Incoming::PingResp => {}
                Incoming::Disconnect(refused) => return Err(Ended::refused(refused)),
                Incoming::ConnAck(_) => return Err(Ended::protocol("the broker answered the login twice")),
                packet @ (Incoming::Publish(_)
                | Incoming::TooLarge { .. }
                | Incoming::Malformed { .. }
                | Incoming::PubAck(..)
                | Incoming::PubRec(..)
                | Incoming::PubRel(_)
                | Incoming::PubComp(_)
                | Incoming::SubAck(..)
                | Incoming::UnsubAck) => role.take(packet, out)?,
            }
        }
        role.batch_taken(!self.buffer.is_empty() || self.decoder.is_skipping());
        drop(state);
        link.to_user.notify_one();
        Ok(())
    }

    fn ticked<R: Role>(&mut self, link: &Link<R>) -> Result<(), Ended> {
        let now = Instant::now();
        let mut state = link.lock();
        state.role.tick(now)?;
        match self.pulse.tick(now) {
            Beat::Quiet => {}
            Beat::Ping => packet::ping(&mut state.out.bytes),
            Beat::Dead => {
                let text = format!("the broker was silent for {:?}", self.pulse.period());
                return Err(Ended::broken(text));
            }
        }
        Ok(())
    }
}

/// Writes some of what is pending; nothing is left to write when it gives 0, and then everything was flushed.
async fn write_some(writer: &mut WriteHalf<Stream>, pending: &mut BytesMut) -> std::io::Result<usize> {
    if pending.has_remaining() {
        return match writer.write_buf(pending).await {
            Ok(0) => Err(std::io::ErrorKind::WriteZero.into()),
            written => written,
        };
    }
    writer.flush().await.map(|()| 0)
}

fn lost(error: &std::io::Error) -> Ended {
    Ended::broken(format!("the connection broke: {error}"))
}

fn malformed(error: String) -> Ended {
    Ended::protocol(format!("the broker sent what is no MQTT: {error}"))
}
