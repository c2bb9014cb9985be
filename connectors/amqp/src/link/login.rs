//! The first words with a server (specification §2.2.4).

use super::{Endpoint, Reader, Trouble, TroubleKind, Writer, dial::Stream, endpoint::Login, reader::Heard};
use crate::wire::{Method, PROTOCOL_HEADER, send};
use bytes::BytesMut;
use crossdock_model::{Text, Value};
use std::time::Duration;

/// The largest frame that is agreed to: what RabbitMQ proposes unless told otherwise.
const FRAME_BYTES_MAX: u32 = 131_072;
/// The smallest largest frame (specification, `frame-min-size`).
const FRAME_BYTES_LEAST: u32 = 4096;

/// What the server has to know of a client before it tells it more.
const CAPABILITIES: &[&str] = &[
    "authentication_failure_close",
    "basic.nack",
    "connection.blocked",
    "consumer_cancel_notify",
    "publisher_confirms",
];

/// Logs in on a stream and opens the virtual host.
pub async fn login(endpoint: &Endpoint, stream: Stream, role: &str) -> Result<(Reader, Writer), Trouble> {
    let (read, write) = stream;
    let (mut reader, writer) = (Reader::new(read), Writer::new(write));
    writer.send(BytesMut::from(&PROTOCOL_HEADER[..])).await?;
    let Method::Start { mechanisms } = next(&mut reader, &writer).await? else { return Err(out_of_turn()) };
    let mut out = BytesMut::new();
    let (mechanism, response) = credentials(endpoint);
    if !mechanisms.split(|byte| *byte == b' ').any(|known| known == mechanism.as_bytes()) {
        let text = format!("the server does not let anybody log in with {mechanism}: it offers {mechanisms:?}");
        return Err(Trouble::new(TroubleKind::Denied, text));
    }
    send::start_ok(&mut out, &properties(endpoint, role), mechanism, &response);
    writer.send(out).await?;
    let answer = next(&mut reader, &writer).await?;
    if answer == Method::Secure {
        let text = format!("the server asks for more than {mechanism} has to say");
        return Err(Trouble::new(TroubleKind::Denied, text));
    }
    let Method::Tune { channel_max, frame_max, heartbeat_seconds } = answer else { return Err(out_of_turn()) };
    let frame_max = if frame_max == 0 { FRAME_BYTES_MAX } else { frame_max.clamp(FRAME_BYTES_LEAST, FRAME_BYTES_MAX) };
    let seconds = match (endpoint.heartbeat_seconds, heartbeat_seconds) {
        (0, _) => 0,
        (ours, 0) => ours,
        (ours, theirs) => ours.min(theirs),
    };
    let mut out = BytesMut::new();
    send::tune_ok(&mut out, channel_max, frame_max, seconds);
    send::open(&mut out, &endpoint.vhost);
    writer.send(out).await?;
    let Method::OpenOk = next(&mut reader, &writer).await? else { return Err(out_of_turn()) };
    let heartbeat = (seconds > 0).then(|| Duration::from_secs(u64::from(seconds)));
    let frame_max = usize::try_from(frame_max).unwrap_or(usize::MAX);
    reader.agree(frame_max, heartbeat.map(|interval| interval * 2));
    writer.agree(frame_max, heartbeat);
    Ok((reader, writer))
}

async fn next(reader: &mut Reader, writer: &Writer) -> Result<Method, Trouble> {
    match reader.hear(writer).await? {
        Heard::Method { method, .. } => Ok(method),
        Heard::Delivery(_) | Heard::Broken(_) => Err(out_of_turn()),
    }
}

fn out_of_turn() -> Trouble {
    Trouble::new(TroubleKind::Protocol, "the server said something out of turn: is it an AMQP 0-9-1 server?")
}

/// The SASL mechanism and its only word.
fn credentials(endpoint: &Endpoint) -> (&'static str, Vec<u8>) {
    match &endpoint.login {
        Login::External => ("EXTERNAL", Vec::new()),
        Login::Password { user, password } => ("PLAIN", [b"\0", user.as_bytes(), b"\0", password.as_bytes()].concat()),
    }
}

fn properties(endpoint: &Endpoint, role: &str) -> Vec<(Text, Value)> {
    let name = endpoint.connection_name.clone().unwrap_or_else(|| Text::from(format!("crossdock {role}")));
    let able = |name: &&'static str| (Text::from_static(name), Value::Boolean(true));
    vec![
        (Text::from_static("product"), Value::from("Crossdock")),
        (Text::from_static("version"), Value::from(env!("CARGO_PKG_VERSION"))),
        (Text::from_static("connection_name"), Value::Text(name)),
        (Text::from_static("capabilities"), Value::Table(CAPABILITIES.iter().map(able).collect())),
    ]
}
