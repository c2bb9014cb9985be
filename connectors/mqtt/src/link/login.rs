//! CONNECT and its answer.

use super::{
    Ended,
    dial::{self, Stream},
};
use crate::{
    broker::Broker,
    packet::{self, ConnAck, Connect, Decoder, Incoming, Limits},
};
use bytes::BytesMut;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, timeout_at},
};

/// The first byte of a CONNACK.
const CONNACK: u8 = 0x20;

/// What a client asks of its session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish<'a> {
    pub(crate) client_id: &'a str,
    /// Begin anew; else go on with the session that the broker may have.
    pub(crate) clean: bool,
    /// Whether the broker keeps the session beyond the connection.
    pub(crate) lasting: bool,
    /// Most messages the broker may send that are not acknowledged.
    pub(crate) receive_maximum: u16,
    /// A publish beyond this is skipped.
    pub(crate) publish_bytes_max: usize,
    /// Whether the broker is given the connection's will.
    pub(crate) will: bool,
}

/// A connection that is logged in.
pub(crate) struct Opened {
    pub(super) stream: Stream,
    pub(super) decoder: Decoder,
    /// What was read behind the answer.
    pub(super) buffer: BytesMut,
    pub(crate) session_present: bool,
    pub(crate) limits: Limits,
    /// Seconds; 0 is none.
    pub(super) keep_alive: u16,
}

/// Connects and logs in.
///
/// # Errors
/// The broker is not there, or does not let us in.
pub(crate) async fn open(broker: &Broker, wish: Wish<'_>) -> Result<Opened, Ended> {
    let by = Instant::now() + broker.connect_timeout;
    let mut stream = dial::dial(broker, by).await?;
    let late = |_| Ended::broken(format!("{} did not answer the login in time", broker.address()));
    let mut decoder = Decoder::new(broker.version, wish.publish_bytes_max);
    let mut buffer = BytesMut::with_capacity(1 << 16);
    let answer = timeout_at(by, ask(broker, wish, &mut stream, &mut decoder, &mut buffer)).await.map_err(late)??;
    let limits = answer.result.map_err(Ended::refused)?;
    let keep_alive = limits.keep_alive.unwrap_or(broker.keep_alive);
    Ok(Opened { stream, decoder, buffer, session_present: answer.session_present, limits, keep_alive })
}

async fn ask(
    broker: &Broker,
    wish: Wish<'_>,
    stream: &mut Stream,
    decoder: &mut Decoder,
    buffer: &mut BytesMut,
) -> Result<ConnAck, Ended> {
    let connect = Connect {
        client_id: wish.client_id,
        clean: wish.clean,
        keep_alive: broker.keep_alive,
        session_expiry: if wish.lasting { broker.session_expiry } else { 0 },
        receive_maximum: wish.receive_maximum,
        user: broker.user.as_deref(),
        password: broker.password.as_deref(),
        will: broker.will.as_ref().filter(|_| wish.will),
    };
    let mut out = BytesMut::new();
    packet::connect(broker.version, &connect, &mut out).map_err(Ended::protocol)?;
    let lost = |error: std::io::Error| Ended::broken(format!("the connection broke while logging in: {error}"));
    stream.write_all(&out).await.map_err(lost)?;
    stream.flush().await.map_err(lost)?;
    loop {
        if buffer.first().is_some_and(|first| *first != CONNACK) {
            return Err(Ended::protocol("what answers there is no MQTT broker: the login was not answered first"));
        }
        let packet = decoder.next(buffer).map_err(|error| {
            let other = match broker.version {
                packet::Version::V4 => "5",
                packet::Version::V5 => "3.1.1",
            };
            Ended::protocol(format!("the answer to the login is not understood ({error}): try `version: {other}`"))
        })?;
        match packet {
            Some(Incoming::ConnAck(answer)) => return Ok(answer),
            Some(_) => return Err(Ended::protocol("the broker did not answer the login first")),
            None if stream.read_buf(buffer).await.map_err(lost)? > 0 => {}
            None => return Err(Ended::broken("the broker closed the connection instead of answering the login")),
        }
    }
}

impl Opened {
    /// Says goodbye at once.
    pub(crate) async fn close(mut self) {
        let mut out = BytesMut::new();
        packet::disconnect(&mut out);
        // Whether the broker hears it does not matter any more.
        drop(self.stream.write_all(&out).await);
        drop(self.stream.shutdown().await);
    }
}
