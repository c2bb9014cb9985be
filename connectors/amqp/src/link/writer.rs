//! What we say: one at a time, whole frames, also if a call is given up in the middle.

use super::{Trouble, TroubleKind};
use crate::wire::send;
use bytes::{Buf, BytesMut};
use std::{
    sync::{Arc, Mutex as StdMutex, OnceLock, PoisonError},
    time::Duration,
};
use tokio::{
    io::{AsyncWrite, AsyncWriteExt},
    sync::Mutex,
    task::JoinHandle,
};

/// The writing half of a link, shared by all who say something.
#[derive(Clone)]
pub struct Writer(Arc<Shared>);

struct Shared {
    line: Arc<Line>,
    agreed: OnceLock<Agreed>,
}

/// What was agreed on at the login.
struct Agreed {
    frame_bytes_max: usize,
    pulse: Option<JoinHandle<()>>,
}

/// The stream, and what was handed over for it: that happens at once, so that a call that is given up while another one
/// writes has handed over all the same.
struct Line {
    handed: StdMutex<BytesMut>,
    outlet: Mutex<Outlet>,
}

/// The stream, and what is to be written to it.
struct Outlet {
    stream: Box<dyn AsyncWrite + Send + Unpin>,
    waiting: BytesMut,
    /// Whether anything was written since the last heartbeat was due.
    has_written: bool,
}

impl Writer {
    /// Writes to the stream, before anything is agreed on.
    pub fn new(stream: Box<dyn AsyncWrite + Send + Unpin>) -> Self {
        let outlet = Mutex::new(Outlet { stream, waiting: BytesMut::new(), has_written: false });
        let line = Arc::new(Line { handed: StdMutex::default(), outlet });
        Self(Arc::new(Shared { line, agreed: OnceLock::new() }))
    }

    /// What was agreed on: the size of frames, and how often the server wants to hear something. From now on a heartbeat
    /// is written whenever nothing else was for half of that time.
    pub fn agree(&self, frame_bytes_max: usize, heartbeat: Option<Duration>) {
        self.0.agreed.get_or_init(|| {
            let pulse = heartbeat.map(|interval| tokio::spawn(beat(Arc::clone(&self.0.line), interval)));
            Agreed { frame_bytes_max, pulse }
        });
    }

    /// Most bytes of a frame.
    pub fn frame_bytes_max(&self) -> usize {
        self.0.agreed.get().map_or(4096, |agreed| agreed.frame_bytes_max)
    }

    /// Writes whole frames, behind what an earlier call left. If this call is given up, the rest goes with the next.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn send(&self, frames: BytesMut) -> Result<(), Trouble> {
        let line = &self.0.line;
        line.handed().unsplit(frames);
        let mut outlet = line.outlet.lock().await;
        outlet.take(line);
        outlet.write_out().await
    }
}

impl Line {
    fn handed(&self) -> std::sync::MutexGuard<'_, BytesMut> {
        self.handed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Outlet {
    /// Takes what was handed over, behind what an earlier call left.
    fn take(&mut self, line: &Line) {
        let handed = std::mem::take(&mut *line.handed());
        self.waiting.unsplit(handed);
    }

    async fn write_out(&mut self) -> Result<(), Trouble> {
        let broken = |error| Trouble::new(TroubleKind::Broken, format!("the connection broke: {error}"));
        while !self.waiting.is_empty() {
            let written = self.stream.write(&self.waiting).await.map_err(broken)?;
            if written == 0 {
                return Err(Trouble::new(TroubleKind::Broken, "the connection takes nothing any more"));
            }
            self.waiting.advance(written);
            self.has_written = true;
        }
        self.stream.flush().await.map_err(broken)
    }
}

/// Writes heartbeats until it fails; that the connection broke is for the reader to find.
async fn beat(line: Arc<Line>, interval: Duration) {
    loop {
        tokio::time::sleep(interval / 2).await;
        let mut outlet = line.outlet.lock().await;
        outlet.take(&line);
        if !std::mem::take(&mut outlet.has_written) && outlet.waiting.is_empty() {
            send::heartbeat(&mut outlet.waiting);
        }
        // Also what a call that was given up has left.
        if outlet.write_out().await.is_err() {
            return;
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if let Some(pulse) = self.agreed.get().and_then(|agreed| agreed.pulse.as_ref()) {
            pulse.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt as _;

    /// Somebody else writes when the call is given up: what it brought goes with the next one, in order.
    #[tokio::test]
    async fn what_was_handed_over_is_written_though_the_call_was_given_up() {
        let (near, mut far) = tokio::io::duplex(64);
        let writer = Writer::new(Box::new(near));
        let held = writer.0.line.outlet.lock().await;
        tokio::select! {
            biased;
            _ = writer.send(BytesMut::from(&b"one"[..])) => unreachable!("the outlet is held"),
            () = std::future::ready(()) => {}
        }
        drop(held);
        writer.send(BytesMut::from(&b"two"[..])).await.unwrap_or_else(|error| unreachable!("{error}"));
        let mut got = [0; 6];
        far.read_exact(&mut got).await.unwrap_or_default();
        assert_eq!(&got, b"onetwo");
    }
}
