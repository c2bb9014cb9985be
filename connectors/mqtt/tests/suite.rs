//! The checks that every connector passes, against a real Mosquitto, with its own clients at the other end.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a helper of a test fails the test")]

use crossdock_connector::{Connector, GatewayConfig, SourceErrorKind, mapping::Part};
use crossdock_mqtt::Mqtt;
use crossdock_testkit::{
    servers::{self, Mosquitto, MosquittoOptions, PASSWORD, USER, unique},
    sink_suite, source_suite,
    suite::{Can, Message, Peer},
};
use serde_json::{Value, json};
use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
};

/// How many messages Mosquitto sends without an acknowledgement, if nothing else is said.
const WINDOW: usize = 20;

/// Topics of its own at a server, in a version of the protocol.
struct Broker<const VERSION: u8> {
    /// Of its own, if it is to be restarted; it asks for a password.
    own: Option<Mosquitto>,
    name: String,
    got: Arc<Mutex<Vec<Message>>>,
    listener: Option<Child>,
}

impl<const VERSION: u8> Broker<VERSION> {
    fn at(own: Option<Mosquitto>) -> Self {
        let mut broker = Self { own, name: unique("suite"), got: Arc::default(), listener: None };
        // The session is there before anything is published.
        let subscribed = broker.listen(&["-E"]).status().unwrap();
        assert!(subscribed.success());
        if broker.own.is_none() {
            broker.start_listening();
        }
        broker
    }

    fn address(&self) -> String {
        self.own.as_ref().map_or_else(|| servers::mosquitto().address().to_owned(), |own| own.address().to_owned())
    }

    fn client(&self, program: &str) -> Command {
        let address = self.address();
        let (host, port) = address.rsplit_once(':').unwrap();
        let mut command = Command::new(program);
        command.args(["-h", host, "-p", port, "-V", "5", "-q", "1"]);
        if self.own.is_some() {
            command.args(["-u", USER, "-P", PASSWORD]);
        }
        command
    }

    fn listen(&self, more: &[&str]) -> Command {
        let mut command = self.client("mosquitto_sub");
        let id = format!("{}-listener", self.name);
        command.args(["-i", &id, "-c", "-x", "3600", "-t", &format!("{}/out", self.name)]).args(more);
        command
    }

    fn start_listening(&mut self) {
        // Payload and user properties last, each in hexadecimal or without blanks; `|` stands in none of the others.
        let mut command = self.listen(&["-F", "%x|%C|%D|%R|%P"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let (pipe, got) = (child.stdout.take().unwrap(), Arc::clone(&self.got));
        thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                got.lock().unwrap().push(parse(&line));
            }
        });
        self.listener = Some(child);
    }

    fn stop_listening(&mut self) {
        if let Some(mut child) = self.listener.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    fn publish(&self, message: &Message, more: &[&str]) {
        let mut command = self.client("mosquitto_pub");
        command.args(["-t", &format!("{}/in", self.name)]).args(more);
        for (property, value) in [
            ("content-type", &message.content_type),
            ("correlation-data", &message.correlation_id),
            ("response-topic", &message.reply_to),
        ] {
            command.args(value.iter().flat_map(|value| ["-D", "publish", property, value.as_str()]));
        }
        for (name, value) in &message.headers {
            command.args(["-D", "publish", "user-property", name, value]);
        }
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(&message.payload).unwrap();
        assert!(child.wait().unwrap().success());
    }
}

impl<const VERSION: u8> Drop for Broker<VERSION> {
    fn drop(&mut self) {
        self.stop_listening();
    }
}

/// A line of the listener.
fn parse(line: &str) -> Message {
    let parts: Vec<&str> = line.split('|').collect();
    let digits = parts[0].as_bytes().chunks(2);
    let payload = digits.map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap()).collect();
    let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let (content_type, correlation_id, reply_to) = (text(parts[1]), text(parts[2]), text(parts[3]));
    // `name:value name:value`, where a value may have blanks and no name has a colon.
    let mut headers: Vec<(String, String)> = Vec::new();
    for word in parts[4].split(' ') {
        match (word.split_once(':'), headers.last_mut()) {
            (Some((name, value)), _) => headers.push((name.into(), value.into())),
            (None, Some((_, value))) => {
                value.push(' ');
                value.push_str(word);
            }
            (None, None) => {}
        }
    }
    Message { payload, content_type, correlation_id, reply_to, headers, ..Message::default() }
}

impl<const VERSION: u8> Peer for Broker<VERSION> {
    const CAN: Can = Can {
        carries: if VERSION == 5 {
            &[Part::ContentType, Part::CorrelationId, Part::ReplyTo, Part::Headers]
        } else {
            &[]
        },
        window: Some(WINDOW),
        missing: SourceErrorKind::Missing,
    };

    async fn new() -> Self {
        Self::at(None)
    }

    async fn alone() -> Self {
        Self::at(Some(Mosquitto::with(&MosquittoOptions { login: true, ..MosquittoOptions::default() })))
    }

    fn restart(&mut self) {
        assert!(self.listener.is_none(), "what it has not acknowledged would be sent to it again");
        self.own.as_mut().unwrap().restart();
    }

    fn connector(&self, gateway: &GatewayConfig) -> Arc<dyn Connector> {
        Arc::new(Mqtt::new(gateway))
    }

    fn server(&self) -> Option<String> {
        Some(self.address())
    }

    fn connection(&self, address: &str) -> Option<Value> {
        let version = if VERSION == 5 { "5" } else { "3.1.1" };
        let mut section = json!({
            "url": format!("mqtt://{address}"), "version": version, "client_id": self.name,
            "keep_alive": "2s", "connect_timeout": "2s"
        });
        if self.own.is_some() {
            section["auth"] = json!({ "user": USER, "password": PASSWORD });
        }
        Some(section)
    }

    fn denied(&self, address: &str) -> Option<Value> {
        let mut section = self.connection(address)?;
        section["auth"] = json!({ "user": USER, "password": "wrong" });
        Some(section)
    }

    fn source(&self) -> Value {
        json!({ "topics": [format!("{}/in", self.name)], "qos": 1, "receive_maximum": WINDOW })
    }

    fn target(&self) -> Value {
        json!({ "topic": format!("{}/out", self.name), "qos": 1, "timeout": "5s" })
    }

    async fn put(&mut self, messages: &[Message]) {
        let is_plain =
            |message: &Message| Message { key: None, ..message.clone() } == Message::new(message.payload.clone());
        if messages.iter().all(|message| is_plain(message) && message.payload.starts_with(b"{\"n\":")) {
            // Lines, over one connection.
            let lines: Vec<u8> = messages.iter().flat_map(|m| [m.payload.as_slice(), b"\n"].concat()).collect();
            self.publish(&Message::new(lines), &["-l"]);
        } else {
            messages.iter().for_each(|message| self.publish(message, &["-s"]));
        }
    }

    async fn take(&mut self) -> Vec<Message> {
        // What a server of one's own has is asked for no sooner, so that it is the server that keeps it over a restart.
        if self.listener.is_none() {
            self.start_listening();
        }
        std::mem::take(&mut *self.got.lock().unwrap())
    }
}

macro_rules! version {
    ($name:ident, $version:literal) => {
        mod $name {
            use super::*;

            mod source {
                use super::*;
                source_suite!(Broker<$version>:
                    opens_and_closes,
                    receives_bytes_and_metadata,
                    keeps_order,
                    gives_again_what_was_not_settled,
                    settles_what_it_can_before_it_closes,
                    stops_when_nothing_is_settled,
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
                sink_suite!(Broker<$version>:
                    sends_bytes_and_metadata,
                    keeps_order,
                    closes_with_a_result_for_each,
                    believes_nothing_but_the_confirm,
                    bears_a_cut_at_any_byte,
                    waits_for_a_server_that_is_absent,
                    closes_in_time_before_a_silent_server,
                    tells_wrong_credentials,
                    bears_a_slow_line,
                    loses_nothing_with_a_restart_of_the_server,
                );
            }
        }
    };
}

version!(version_3_1_1, 3);
version!(version_5, 5);
