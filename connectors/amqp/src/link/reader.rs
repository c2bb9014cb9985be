//! What the server says: frames put together to methods and messages.

use super::{CHANNEL, Trouble, TroubleKind, Writer};
use crate::wire::{BasicProperties, Frame, FrameKind, Malformed, Method, Told, send, take_frame};
use bytes::{Bytes, BytesMut};
use std::time::Duration;
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    time::{Instant, timeout_at},
};

/// What is read from the socket at once, at least.
const READ_BYTES: usize = 64 << 10;
/// Room that is made for a payload before it is there.
const ROOM_BYTES_MAX: usize = 1 << 20;

/// Something the server said, whole.
#[derive(Debug)]
pub enum Heard {
    /// A method that brings no message.
    Method {
        /// On which channel.
        channel: u16,
        /// What it says.
        method: Method,
    },
    /// A message, with the method that brought it.
    Delivery(Box<Delivery>),
    /// A message whose properties cannot be read, and why.
    Broken(Box<(Method, Malformed)>),
}

/// A message as it came.
#[derive(Debug)]
pub struct Delivery {
    /// [`Method::Deliver`] or [`Method::Return`].
    pub method: Method,
    /// Its properties.
    pub properties: BasicProperties,
    /// Its payload.
    pub payload: Bytes,
}

/// The reading half of a link.
pub struct Reader {
    stream: Box<dyn AsyncRead + Send + Unpin>,
    received: BytesMut,
    frame_bytes_max: usize,
    /// The message that is coming in.
    assembly: Assembly,
    /// Longest silence.
    silence_max: Option<Duration>,
    heard_at: Instant,
    /// When somebody last waited for the server: while nobody does, it may well be silent to us.
    waited_at: Instant,
}

enum Assembly {
    None,
    /// The header is awaited.
    Header(Method),
    /// A part of the payload is awaited.
    Body(Box<Body>),
}

/// A message of which the payload is not all there.
struct Body {
    method: Method,
    properties: Result<BasicProperties, Malformed>,
    payload: BytesMut,
    /// Bytes that are awaited.
    left: u64,
}

impl Reader {
    /// Reads from the stream, before anything is agreed on.
    pub fn new(stream: Box<dyn AsyncRead + Send + Unpin>) -> Self {
        let now = Instant::now();
        Self {
            stream,
            received: BytesMut::new(),
            frame_bytes_max: 128 << 10,
            assembly: Assembly::None,
            silence_max: None,
            heard_at: now,
            waited_at: now,
        }
    }

    /// What was agreed on: the size of frames, and after which silence the server is given up.
    pub fn agree(&mut self, frame_bytes_max: usize, silence_max: Option<Duration>) {
        (self.frame_bytes_max, self.silence_max) = (frame_bytes_max, silence_max);
    }

    /// The next thing the server said, if it is all there. The end of a channel or of the connection is an error, and
    /// answered.
    ///
    /// # Errors
    /// The server closed the channel or the connection, or what it sent cannot be read.
    pub fn heard(&mut self, writer: &Writer) -> Result<Option<Heard>, Trouble> {
        while let Some(frame) = take_frame(&mut self.received, self.frame_bytes_max)? {
            if let Some(heard) = self.assemble(frame)? {
                return match heard {
                    Heard::Method { channel, method } => {
                        Ok(Some(Heard::Method { channel, method: answer(channel, method, writer)? }))
                    }
                    Heard::Delivery(_) | Heard::Broken(_) => Ok(Some(heard)),
                };
            }
        }
        Ok(None)
    }

    /// Waits for more. A call that is given up loses nothing.
    ///
    /// # Errors
    /// The connection broke, or the server was silent for too long.
    pub async fn fill(&mut self) -> Result<(), Trouble> {
        let now = Instant::now();
        if self.silence_max.is_some_and(|most| now - self.waited_at > most) {
            self.heard_at = now;
        }
        self.waited_at = now;
        self.received.reserve(READ_BYTES);
        let reading = self.stream.read_buf(&mut self.received);
        let read = match self.silence_max {
            None => reading.await,
            Some(most) => timeout_at(self.heard_at + most, reading).await.map_err(|_| {
                Trouble::new(TroubleKind::Broken, format!("nothing was heard of the server for {most:?}"))
            })?,
        };
        self.heard_at = Instant::now();
        self.waited_at = self.heard_at;
        match read {
            Ok(0) => Err(Trouble::new(TroubleKind::Broken, "the server closed the connection without a word")),
            Ok(_) => Ok(()),
            Err(error) => Err(Trouble::new(TroubleKind::Broken, format!("the connection broke: {error}"))),
        }
    }

    /// Waits for the next thing the server says.
    ///
    /// # Errors
    /// As [`Self::heard`] and [`Self::fill`].
    pub async fn hear(&mut self, writer: &Writer) -> Result<Heard, Trouble> {
        loop {
            if let Some(heard) = self.heard(writer)? {
                return Ok(heard);
            }
            self.fill().await?;
        }
    }

    fn assemble(&mut self, frame: Frame) -> Result<Option<Heard>, Malformed> {
        match (frame.kind, std::mem::replace(&mut self.assembly, Assembly::None)) {
            (FrameKind::Heartbeat, assembly) => self.assembly = assembly,
            (FrameKind::Method, assembly) => {
                let method = Method::read(frame.payload)?;
                if !matches!(method, Method::Deliver { .. } | Method::Return { .. }) {
                    // The connection and other channels may speak between the frames of a message.
                    if frame.channel != CHANNEL {
                        self.assembly = assembly;
                    }
                    return Ok(Some(Heard::Method { channel: frame.channel, method }));
                }
                self.assembly = Assembly::Header(method);
            }
            (FrameKind::Header, Assembly::Header(method)) => {
                let (left, properties) = BasicProperties::read(frame.payload)?;
                let room = usize::try_from(left).unwrap_or(usize::MAX).min(ROOM_BYTES_MAX);
                let payload = if room > self.frame_bytes_max { BytesMut::with_capacity(room) } else { BytesMut::new() };
                if left == 0 {
                    return Ok(Some(whole(method, properties, Bytes::new())));
                }
                self.assembly = Assembly::Body(Box::new(Body { method, properties, payload, left }));
            }
            (FrameKind::Body, Assembly::Body(mut body)) => {
                let Some(left) = body.left.checked_sub(frame.payload.len() as u64) else {
                    return Err(Malformed("a payload is longer than its header says"));
                };
                if left == 0 && body.payload.is_empty() {
                    return Ok(Some(whole(body.method, body.properties, frame.payload)));
                }
                body.payload.extend_from_slice(&frame.payload);
                if left == 0 {
                    return Ok(Some(whole(body.method, body.properties, body.payload.freeze())));
                }
                body.left = left;
                self.assembly = Assembly::Body(body);
            }
            (FrameKind::Header | FrameKind::Body, _) => return Err(Malformed("a part of a message comes out of turn")),
        }
        Ok(None)
    }
}

fn whole(method: Method, properties: Result<BasicProperties, Malformed>, payload: Bytes) -> Heard {
    match properties {
        Ok(properties) => Heard::Delivery(Box::new(Delivery { method, properties, payload })),
        Err(error) => Heard::Broken(Box::new((method, error))),
    }
}

/// Answers what has to be answered at once, and makes errors of the ends of [`CHANNEL`] and of the connection. The end of
/// another channel is answered by whoever opened it, before he opens it again.
fn answer(channel: u16, method: Method, writer: &Writer) -> Result<Method, Trouble> {
    let mut out = BytesMut::new();
    let end = if let Method::Close { code, text } = &method {
        send::close_ok(&mut out);
        Some(Trouble::closed("connection", *code, text))
    } else if let (Method::ChannelClose { code, text }, CHANNEL) = (&method, channel) {
        send::channel_close_ok(&mut out, channel);
        Some(Trouble::closed("channel", *code, text))
    } else {
        if let Method::Told(Told::Flow(active)) = method {
            send::flow_ok(&mut out, channel, active);
        }
        None
    };
    if !out.is_empty() {
        // Nobody waits for it to be written: who reads must not wait for the other direction.
        let writer = writer.clone();
        tokio::spawn(async move { tokio::time::timeout(Duration::from_secs(1), writer.send(out)).await });
    }
    end.map_or(Ok(method), Err)
}
