//! A connection to a server: dialled, logged in, with one channel open.
//!
//! ```text
//!  Endpoint ─ dial: name, TCP, TLS ─► login: start, tune, open ─► Link { Reader, Writer }
//!                                                                  │        └ heartbeats leave by themselves
//!                                                                  └ whoever reads, reads here: nothing is buffered
//!                                                                    beyond what was received in one go
//! ```
//!
//! Invariants
//! - Nothing reconnects by itself. A link that breaks is dropped with all it has, and another is made.
//! - What waits for the server waits for a time: login, answers, and silence are bounded.
//! - A call that is given up tears no frame: what was to be written waits in the writer and goes first at the next call.

mod dial;
mod endpoint;
mod login;
mod reader;
mod trouble;
mod writer;

pub use endpoint::Endpoint;
pub use reader::{Delivery, Heard, Reader};
pub use trouble::{Trouble, TroubleKind};
pub use writer::Writer;

use crate::wire::{Method, send};
use bytes::BytesMut;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// The channel on which everything happens.
pub const CHANNEL: u16 = 1;

/// How long a goodbye is waited for.
const GOODBYE_TIME_MAX: Duration = Duration::from_secs(5);

/// A connection with its channel.
pub struct Link {
    /// What the server says.
    pub reader: Reader,
    /// What we say.
    pub writer: Writer,
    /// How long an answer may take.
    pub timeout: Duration,
}

impl Link {
    /// Connects, logs in and opens [`CHANNEL`]; `role` names the connection where its settings do not.
    ///
    /// # Errors
    /// Why there is no connection.
    pub async fn open(endpoint: &Endpoint, role: &str) -> Result<Self, Trouble> {
        let by = Instant::now() + endpoint.connect_timeout;
        let opening = async {
            let stream = dial::dial(endpoint, by).await?;
            login::login(endpoint, stream, role).await
        };
        let late = |_| {
            let text = format!("{} did not answer within {:?}", endpoint.place(), endpoint.connect_timeout);
            Trouble::new(TroubleKind::Unreached, text)
        };
        let (reader, writer) = timeout_at(by, opening).await.map_err(late)??;
        let mut link = Self { reader, writer, timeout: endpoint.timeout };
        link.ask(|out| send::channel_open(out, CHANNEL), |answer| matches!(answer, Method::ChannelOpenOk)).await?;
        Ok(link)
    }

    /// Says something and waits for the answer to it.
    ///
    /// # Errors
    /// The server refuses it, or there is no answer.
    pub async fn ask(
        &mut self,
        say: impl FnOnce(&mut BytesMut),
        is_answer: impl Fn(&Method) -> bool,
    ) -> Result<Method, Trouble> {
        let mut out = BytesMut::new();
        say(&mut out);
        let timeout = self.timeout;
        let asking = async {
            self.writer.send(out).await?;
            loop {
                match self.reader.hear(&self.writer).await? {
                    Heard::Method { method, .. } if is_answer(&method) => return Ok(method),
                    // What has no meaning yet.
                    Heard::Method { .. } | Heard::Delivery(_) | Heard::Broken(_) => {}
                }
            }
        };
        let late = |_| Trouble::new(TroubleKind::Broken, format!("the server did not answer within {timeout:?}"));
        timeout_at(Instant::now() + timeout, asking).await.map_err(late)?
    }

    /// Says goodbye and waits a little for the server to hear it.
    pub async fn close(mut self, by: Instant) {
        goodbye(&mut self.reader, &self.writer, by).await;
    }
}

/// Says goodbye and waits until `by`, and 5 s at most, for the server to hear it. Whether it was heard makes no difference.
pub async fn goodbye(reader: &mut Reader, writer: &Writer, by: Instant) {
    let mut out = BytesMut::new();
    send::close(&mut out);
    let saying = async {
        writer.send(out).await?;
        loop {
            if let Heard::Method { method: Method::CloseOk, .. } = reader.hear(writer).await? {
                return Ok::<_, Trouble>(());
            }
        }
    };
    drop(timeout_at(by.min(Instant::now() + GOODBYE_TIME_MAX), saying).await);
}
