//! The checks that every connector passes, against its real server where it has one: a player of the engine on one side, the
//! protocol's own means on the other, and between connector and server a [`crate::Proxy`] that breaks what passes.
//!
//! A connector hands over a [`Peer`] and names its checks with [`crate::source_suite`] and [`crate::sink_suite`], each of which
//! becomes a test of its own.

mod player;
mod sections;
pub mod sink;
pub mod source;

pub use sections::settings;

use crate::Proxy;
use crossdock_connector::{Connector, GatewayConfig, SourceErrorKind, mapping::Part};
use crossdock_model::FaultClass;
use serde_json::Value;
use std::{future::Future, sync::Arc, time::Duration};

/// How long anything may take that is to happen.
pub const SOON: Duration = Duration::from_secs(60);

/// How long nothing comes until it is believed that nothing will.
pub const QUIET: Duration = Duration::from_millis(1500);

/// The other end of a connector: places of its own at a server (a queue, a topic, a folder), the sections that name them, and
/// the protocol's own means to put something in and take it out.
pub trait Peer: Send + Sized + 'static {
    /// What its protocol can do.
    const CAN: Can;

    /// Whether the protocol's own means of this peer keep headers in order.
    const KEEPS_HEADERS_IN_ORDER: bool = true;

    /// Places that nobody else has, at a server that tests share.
    fn new() -> impl Future<Output = Self> + Send;

    /// The connector as a process makes it at its start.
    fn connector(&self, gateway: &GatewayConfig) -> Arc<dyn Connector>;

    /// Host and port of the server; none where the connector has none (files, an HTTP service of its own).
    fn server(&self) -> Option<String>;

    /// A proxy before the server.
    fn proxy(&self, server: &str) -> Proxy {
        Proxy::to(server)
    }

    /// The section of the connection, with the server at this address; none where the connector has no connections.
    fn connection(&self, address: &str) -> Option<Value>;

    /// The section of a source that reads where [`Peer::put`] puts.
    fn source(&self) -> Value;

    /// The section of a target that writes where [`Peer::take`] takes.
    fn target(&self) -> Value;

    /// The port of the gateway's `http` sources.
    fn http_port(&self) -> u16 {
        1
    }

    /// Puts messages where the source reads, in order. A sender of a protocol that keeps nothing (HTTP) repeats what is not
    /// acknowledged, beside this.
    fn put(&mut self, messages: &[Message]) -> impl Future<Output = ()> + Send;

    /// Takes what has arrived where the target writes, in order; nothing if nothing is there.
    fn take(&mut self) -> impl Future<Output = Vec<Message>> + Send;

    /// The section of the connection with wrong credentials.
    fn denied(&self, _address: &str) -> Option<Value> {
        None
    }

    /// The section of a source that reads what is not there.
    fn missing_source(&self) -> Option<Value> {
        None
    }

    /// The section of a target that writes to what is not there, and the class of the fault.
    fn missing_target(&self) -> Option<(Value, FaultClass)> {
        None
    }

    /// Places at a server of its own, which [`Peer::restart`] restarts.
    fn alone() -> impl Future<Output = Self> + Send {
        Self::new()
    }

    /// Stops the server as its operator would, and starts it again.
    fn restart(&mut self) {}
}

/// What a protocol can do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Can {
    /// The parts of the envelope that go through it in both directions.
    pub carries: &'static [Part],
    /// How many messages the source of [`Peer::source`] has at most unsettled; none where it is bounded by the engine's
    /// credit alone.
    pub window: Option<usize>,
    /// How a source says that what it reads is not there.
    pub missing: SourceErrorKind,
}

/// A message as its sender or receiver sees it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Message {
    /// The payload.
    pub payload: Vec<u8>,
    /// Its media type.
    pub content_type: Option<String>,
    /// What a reply belongs to.
    pub correlation_id: Option<String>,
    /// Where a reply goes.
    pub reply_to: Option<String>,
    /// 0 to 255.
    pub priority: Option<u8>,
    /// What orders it.
    pub key: Option<String>,
    /// User headers that are text, in order.
    pub headers: Vec<(String, String)>,
}

impl Message {
    /// A message with nothing but a payload.
    #[must_use]
    pub fn new(payload: impl Into<Vec<u8>>) -> Self {
        Self { payload: payload.into(), ..Self::default() }
    }

    /// What of it a protocol carries.
    #[must_use]
    pub fn only(&self, parts: &[Part]) -> Self {
        let text = |part: Part, value: &Option<String>| value.clone().filter(|_| parts.contains(&part));
        Self {
            payload: self.payload.clone(),
            content_type: text(Part::ContentType, &self.content_type),
            correlation_id: text(Part::CorrelationId, &self.correlation_id),
            reply_to: text(Part::ReplyTo, &self.reply_to),
            priority: self.priority.filter(|_| parts.contains(&Part::Priority)),
            key: text(Part::Key, &self.key),
            headers: if parts.contains(&Part::Headers) { self.headers.clone() } else { Vec::new() },
        }
    }
}

/// What of a message a peer can compare: what its protocol carries, with headers in an order that its means keep.
pub(crate) fn comparable<P: Peer>(message: &Message) -> Message {
    let mut message = message.only(P::CAN.carries);
    if !P::KEEPS_HEADERS_IN_ORDER {
        message.headers.sort();
    }
    message
}

/// Messages whose payloads are their numbers, of one key, so that they have one order everywhere.
#[must_use]
pub fn numbered(numbers: std::ops::Range<usize>) -> Vec<Message> {
    numbers.map(|number| Message { key: Some("k".into()), ..Message::new(name(number)) }).collect()
}

/// The payload of a numbered message.
#[must_use]
pub fn name(number: usize) -> String {
    format!("{{\"n\":\"{number:06}\"}}")
}

/// Messages that are hard to carry.
#[must_use]
pub fn odd() -> Vec<Message> {
    let rich = Message {
        payload: b"{\"temperature\": 21.50, \"unit\": \"\xc2\xb0C\"}".to_vec(),
        content_type: Some("application/json".into()),
        correlation_id: Some("c-17".into()),
        reply_to: Some("answers/17".into()),
        priority: Some(7),
        key: Some("plant 3".into()),
        headers: vec![
            ("x-unit".into(), "°C".into()),
            ("x-empty".into(), String::new()),
            ("site".into(), "A/3 #+*".into()),
        ],
    };
    let plain = |payload: Vec<u8>| Message { key: Some("plant 3".into()), ..Message::new(payload) };
    let binary = plain((0..=255).collect());
    let large = plain((0..1_000_000_u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect());
    vec![rich, binary, large, plain(b"\r\n.\r\n".to_vec()), plain(b"x".to_vec())]
}

/// Runs a check on a runtime of its own.
///
/// # Panics
/// The check fails, or there is no runtime.
pub fn run(check: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(check);
}

/// Makes tests of checks of sources ([`crate::suite::source`]): `source_suite!(AmqpPeer: opens_and_closes, keeps_order)`.
#[macro_export]
macro_rules! source_suite {
    ($peer:ty: $($check:ident),+ $(,)?) => {
        $(#[test]
        fn $check() {
            $crate::suite::run($crate::suite::source::$check::<$peer>());
        })+
    };
}

/// Makes tests of checks of sinks ([`crate::suite::sink`]), likewise.
#[macro_export]
macro_rules! sink_suite {
    ($peer:ty: $($check:ident),+ $(,)?) => {
        $(#[test]
        fn $check() {
            $crate::suite::run($crate::suite::sink::$check::<$peer>());
        })+
    };
}
