//! The checks that every connector passes, against a real Kafka, with `kcat` at the other end.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use crossdock_connector::{Connector, GatewayConfig, SourceErrorKind, mapping::Part};
use crossdock_kafka::Kafka as Connectors;
use crossdock_model::FaultClass;
use crossdock_testkit::{
    Proxy,
    servers::{self, Kafka, KafkaOptions, PASSWORD, USER, create_topic, unique},
    sink_suite, source_suite,
    suite::{Can, Message, Peer},
};
use serde_json::{Value, json};
use std::{
    fs,
    process::{Command, Stdio},
    sync::Arc,
};

/// Topics of its own at a server, of one partition each.
struct Broker {
    /// Of its own, if it is to be restarted.
    own: Option<Kafka>,
    source: String,
    target: String,
    /// How many messages were taken.
    taken: usize,
}

impl Broker {
    fn at(own: Option<Kafka>) -> Self {
        let broker = Self { own, source: unique("in"), target: unique("out.a"), taken: 0 };
        for topic in [&broker.source, &broker.target] {
            create_topic(&broker.address(), topic, 1, &[("max.message.bytes", "3000000")]).unwrap();
        }
        broker
    }

    fn address(&self) -> String {
        self.own.as_ref().map_or_else(|| servers::kafka().address().to_owned(), |own| own.address().to_owned())
    }

    fn kcat(&self, arguments: &[&str]) -> Vec<u8> {
        let mut command = Command::new("kcat");
        command.args(["-b", &self.address(), "-q"]).args(arguments);
        let ran = command.stdin(Stdio::null()).output().unwrap();
        assert!(ran.status.success(), "{command:?}: {}", String::from_utf8_lossy(&ran.stderr));
        ran.stdout
    }
}

/// A message as `kcat -f '%K\n%k\n%S\n%s\n%h\n'` tells it, and what follows it.
fn parse(told: &[u8]) -> Option<(Message, &[u8])> {
    let (key, rest) = field(told)?;
    let (payload, rest) = field(rest)?;
    let end = rest.iter().position(|byte| *byte == b'\n')?;
    let mut message = Message { key: key.and_then(|key| String::from_utf8(key).ok()), ..Message::new(payload?) };
    let headers = std::str::from_utf8(rest.get(..end)?).unwrap();
    for (name, value) in headers.split(',').filter_map(|header| header.split_once('=')) {
        let value = value.to_owned();
        match name {
            "content-type" => message.content_type = Some(value),
            "correlation-id" => message.correlation_id = Some(value),
            "reply-to" => message.reply_to = Some(value),
            _ => message.headers.push((name.to_owned(), value)),
        }
    }
    Some((message, rest.get(end + 1..)?))
}

/// Bytes after their number, none where that is -1, and what follows them.
fn field(told: &[u8]) -> Option<(Option<Vec<u8>>, &[u8])> {
    let end = told.iter().position(|byte| *byte == b'\n')?;
    let length: i64 = std::str::from_utf8(told.get(..end)?).unwrap().parse().unwrap();
    let count = usize::try_from(length).unwrap_or(0);
    let bytes = told.get(end + 1..end + 1 + count)?;
    Some(((length >= 0).then(|| bytes.to_vec()), told.get(end + 2 + count..)?))
}

impl Peer for Broker {
    const CAN: Can = Can {
        carries: &[Part::ContentType, Part::CorrelationId, Part::ReplyTo, Part::Key, Part::Headers],
        window: None,
        missing: SourceErrorKind::Missing,
    };

    async fn new() -> Self {
        Self::at(None)
    }

    async fn alone() -> Self {
        Self::at(Some(Kafka::with(&KafkaOptions { secured: true, ..KafkaOptions::default() })))
    }

    fn restart(&mut self) {
        self.own.as_mut().unwrap().restart();
    }

    fn connector(&self, gateway: &GatewayConfig) -> Arc<dyn Connector> {
        Arc::new(Connectors::new(gateway))
    }

    fn server(&self) -> Option<String> {
        Some(self.address())
    }

    fn proxy(&self, server: &str) -> Proxy {
        Proxy::to_kafka(server)
    }

    fn connection(&self, address: &str) -> Option<Value> {
        Some(json!({ "brokers": [address] }))
    }

    fn denied(&self, _: &str) -> Option<Value> {
        let login = self.own.as_ref()?.login();
        Some(
            json!({ "brokers": [login], "auth": { "sasl": "PLAIN", "user": USER, "password": format!("not-{PASSWORD}") } }),
        )
    }

    fn source(&self) -> Value {
        json!({ "topics": [self.source], "group": self.source })
    }

    fn target(&self) -> Value {
        json!({ "topic": self.target, "timeout": "5s", "options": { "message.max.bytes": "3000000" } })
    }

    fn missing_target(&self) -> Option<(Value, FaultClass)> {
        // This server makes topics as they are named, but for one that would be called like another in its metrics.
        Some((json!({ "topic": self.target.replace('.', "_"), "timeout": "5s" }), FaultClass::Failed))
    }

    async fn put(&mut self, messages: &[Message]) {
        let folder = tempfile::tempdir().unwrap();
        let mut left = messages;
        // One run for all that are alike but for their payloads.
        while let Some(first) = left.first() {
            let like = |message: &&Message| Message { payload: first.payload.clone(), ..(*message).clone() } == *first;
            let count = left.iter().take_while(like).count();
            let (alike, rest) = left.split_at(count);
            left = rest;
            let path = |n: usize| folder.path().join(n.to_string()).to_str().unwrap().to_owned();
            let mut arguments = vec!["-P".into(), "-t".into(), self.source.clone()];
            arguments.extend(["-X".into(), "message.max.bytes=3000000".into()]);
            arguments.extend(first.key.iter().flat_map(|key| ["-k".into(), key.clone()]));
            let header = |name: &str, value: &Option<String>| value.as_ref().map(|value| format!("{name}={value}"));
            let mut headers: Vec<String> =
                first.headers.iter().map(|(name, value)| format!("{name}={value}")).collect();
            headers.extend(header("content-type", &first.content_type));
            headers.extend(header("correlation-id", &first.correlation_id));
            headers.extend(header("reply-to", &first.reply_to));
            arguments.extend(headers.into_iter().flat_map(|header| ["-H".into(), header]));
            for (n, message) in alike.iter().enumerate() {
                fs::write(path(n), &message.payload).unwrap();
            }
            arguments.extend((0..count).map(path));
            self.kcat(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        }
    }

    async fn take(&mut self) -> Vec<Message> {
        let offset = self.taken.to_string();
        let format = "%K\\n%k\\n%S\\n%s\\n%h\\n";
        let told = self.kcat(&["-C", "-t", &self.target, "-p", "0", "-o", &offset, "-e", "-f", format]);
        let (mut rest, mut taken) = (told.as_slice(), Vec::new());
        while let Some((message, after)) = parse(rest) {
            taken.push(message);
            rest = after;
        }
        self.taken += taken.len();
        taken
    }
}

mod source {
    use super::*;
    source_suite!(Broker:
        opens_and_closes,
        receives_bytes_and_metadata,
        keeps_order,
        gives_again_what_was_not_settled,
        settles_what_it_can_before_it_closes,
        refused_is_gone_and_postponed_is_not,
        loses_nothing_with_the_connection,
        bears_a_cut_at_any_byte,
        loses_nothing_with_acknowledgements,
        waits_for_a_server_that_is_absent,
        does_not_wait_for_a_silent_server_for_ever,
        tells_wrong_credentials,
        bears_a_slow_line,
        loses_nothing_with_a_restart_of_the_server,
    );
}

mod sink {
    use super::*;
    sink_suite!(Broker:
        sends_bytes_and_metadata,
        keeps_order,
        closes_with_a_result_for_each,
        believes_nothing_but_the_confirm,
        bears_a_cut_at_any_byte,
        waits_for_a_server_that_is_absent,
        closes_in_time_before_a_silent_server,
        tells_wrong_credentials,
        tells_what_is_missing,
        bears_a_slow_line,
        loses_nothing_with_a_restart_of_the_server,
    );
}
