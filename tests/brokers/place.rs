//! A queue or topic of its own at a server that tests share, and the server's own clients to put something in and take it out.

use crossdock_testkit::{
    Gateway, Partner, request,
    servers::{self, create_topic, unique},
    wait_for,
};
use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader, Write},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

/// How long anything may take that is to happen, on a busy machine.
pub const SOON: Duration = Duration::from_secs(90);

/// The protocols between which everything can be bridged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protocol {
    Http,
    Amqp,
    Kafka,
    Mqtt,
}

impl Protocol {
    pub const ALL: [Self; 4] = [Self::Http, Self::Amqp, Self::Kafka, Self::Mqtt];
    pub const BROKERS: [Self; 3] = [Self::Amqp, Self::Kafka, Self::Mqtt];

    pub fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Amqp => "amqp",
            Self::Kafka => "kafka",
            Self::Mqtt => "mqtt",
        }
    }

    /// Host and port of the server.
    pub fn address(self) -> &'static str {
        match self {
            Self::Http => unreachable!("HTTP has no server of its own"),
            Self::Amqp => servers::rabbit().address(),
            Self::Kafka => servers::kafka().address(),
            Self::Mqtt => servers::mosquitto().address(),
        }
    }

    /// A line of `connections`, named after the protocol; `client` tells MQTT clients of different gateways apart.
    pub fn connection(self, address: &str, client: &str) -> String {
        match self {
            Self::Http => format!("  http: {{ http: {{ base_url: \"http://{address}\" }} }}\n"),
            Self::Amqp => format!(
                "  amqp: {{ amqp: {{ url: \"amqp://guest:guest@{address}/%2f\", heartbeat: 2s, timeout: 5s }} }}\n"
            ),
            Self::Kafka => format!("  kafka: {{ kafka: {{ brokers: [\"{address}\"] }} }}\n"),
            Self::Mqtt => {
                format!(
                    "  mqtt: {{ mqtt: {{ url: \"mqtt://{address}\", client_id: {client}, version: \"5\", keep_alive: 5s }} }}\n"
                )
            }
        }
    }
}

/// A queue, a topic, a path.
pub struct Place {
    pub protocol: Protocol,
    pub name: String,
    /// Takes what is posted, of HTTP.
    pub service: Option<Partner>,
    listener: Option<Child>,
    got: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Place {
    /// A place that is there and empty.
    pub fn new(protocol: Protocol, name: &str) -> Self {
        let place = Self { protocol, name: unique(name), service: None, listener: None, got: Arc::default() };
        match protocol {
            Protocol::Http | Protocol::Mqtt => {}
            Protocol::Amqp => {
                run(place.client("amqp-declare-queue").args(["-d", "-q", &place.name]), b"");
            }
            Protocol::Kafka => create_topic(protocol.address(), &place.name, 4, &[]).unwrap(),
        }
        place
    }

    /// A place with somebody who takes what comes.
    pub fn with_listener(protocol: Protocol, name: &str) -> Self {
        let mut place = Self::new(protocol, name);
        let mut command = match protocol {
            Protocol::Http => {
                place.service = Some(Partner::accepting());
                return place;
            }
            Protocol::Amqp => {
                let mut command = place.client("amqp-consume");
                let hexadecimal = "od -An -v -tx1 | tr -d ' \\n'; echo";
                command.args(["-q", &place.name, "-p", "50", "--", "sh", "-c", hexadecimal]);
                command
            }
            Protocol::Kafka => {
                let mut command = place.client("kcat");
                command.args(["-C", "-u", "-q", "-t", &place.name, "-o", "beginning", "-f", "%S\\n%s\\n"]);
                command
            }
            Protocol::Mqtt => {
                // The session is there before anything is published.
                run(place.subscriber().arg("-E"), b"");
                let mut command = place.subscriber();
                command.args(["-F", "%x"]);
                command
            }
        };
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let (pipe, got) = (BufReader::new(child.stdout.take().unwrap()), Arc::clone(&place.got));
        let is_counted = protocol == Protocol::Kafka;
        thread::spawn(move || hear(pipe, is_counted, &got));
        place.listener = Some(child);
        place
    }

    fn subscriber(&self) -> Command {
        let mut command = self.client("mosquitto_sub");
        command.args(["-q", "1", "-c", "-i", &format!("{}-listener", self.name), "-t", &self.name]);
        command
    }

    /// One of the server's own clients, told where the server is.
    pub fn client(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        match self.protocol {
            Protocol::Http => {}
            Protocol::Amqp => {
                command.arg("--url").arg(servers::rabbit().url());
            }
            Protocol::Kafka => {
                command.args(["-b", servers::kafka().address()]);
            }
            Protocol::Mqtt => {
                let (host, port) = servers::mosquitto().address().rsplit_once(':').unwrap();
                command.args(["-h", host, "-p", port]);
            }
        }
        command
    }

    /// The section of a source that reads it.
    pub fn from(&self) -> String {
        let name = &self.name;
        match self.protocol {
            Protocol::Http => format!("{{ http: {{ path: \"/{name}\" }} }}"),
            Protocol::Amqp => format!("{{ amqp: {{ connection: amqp, queue: \"{name}\", prefetch: 100 }} }}"),
            Protocol::Kafka => format!("{{ kafka: {{ connection: kafka, topics: [\"{name}\"], group: \"{name}\" }} }}"),
            Protocol::Mqtt => format!("{{ mqtt: {{ connection: mqtt, topics: [\"{name}\"] }} }}"),
        }
    }

    /// The section of a target that writes it.
    pub fn to(&self) -> String {
        let name = &self.name;
        match self.protocol {
            Protocol::Http => format!("{{ http: {{ connection: http, path: \"/{name}\" }} }}"),
            Protocol::Amqp => format!("{{ amqp: {{ connection: amqp, routing_key: \"{name}\" }} }}"),
            Protocol::Kafka => format!("{{ kafka: {{ connection: kafka, topic: \"{name}\", timeout: 5s }} }}"),
            Protocol::Mqtt => format!("{{ mqtt: {{ connection: mqtt, topic: \"{name}\", timeout: 5s }} }}"),
        }
    }

    /// Puts a message in, through the gateway where it is HTTP; waits until it is acknowledged.
    pub fn put(&self, gateway: &Gateway, payload: &[u8], more: &[&str]) {
        match self.protocol {
            Protocol::Http => {
                let headers = [("content-type", "application/octet-stream")];
                let answer = request(gateway.http, "POST", &format!("/{}", self.name), &headers, payload).unwrap();
                assert_eq!(answer.status, 202, "{}", answer.text());
            }
            Protocol::Amqp => {
                run(self.client("amqp-publish").args(["-r", &self.name, "-p"]).args(more), payload);
            }
            Protocol::Kafka => {
                let file = tempfile::NamedTempFile::new().unwrap();
                file.as_file().write_all(payload).unwrap();
                run(self.client("kcat").args(["-P", "-t", &self.name]).args(more).arg(file.path()), b"");
            }
            Protocol::Mqtt => {
                let to = ["-q", "1", "-V", "5", "-t", &self.name, "-s"];
                run(self.client("mosquitto_pub").args(to).args(more), payload);
            }
        }
    }

    /// A client that puts each line of its stdin in as a message.
    pub fn liner(&self) -> Command {
        let mut command = match self.protocol {
            Protocol::Http => unreachable!("HTTP has no client that posts lines"),
            Protocol::Amqp => self.client("amqp-publish"),
            Protocol::Kafka => self.client("kcat"),
            Protocol::Mqtt => self.client("mosquitto_pub"),
        };
        match self.protocol {
            Protocol::Http | Protocol::Amqp => command.args(["-r", &self.name, "-p", "-l"]),
            Protocol::Kafka => command.args(["-P", "-t", &self.name]),
            Protocol::Mqtt => command.args(["-q", "1", "-t", &self.name, "-l"]),
        };
        command
    }

    /// What arrived so far, in order.
    pub fn got(&self) -> Vec<Vec<u8>> {
        if let Some(service) = &self.service {
            return service.got().into_iter().map(|request| request.body).collect();
        }
        self.got.lock().unwrap().clone()
    }

    /// Waits until each of the payloads has arrived; gives how many more did.
    #[track_caller]
    pub fn wait_for_all(&self, gateway: &Gateway, payloads: &BTreeSet<Vec<u8>>) -> usize {
        let mut got = Vec::new();
        let arrived = crossdock_testkit::try_wait_for(SOON, || {
            got = self.got();
            let set: BTreeSet<_> = got.iter().collect();
            payloads.iter().all(|payload| set.contains(payload)).then_some(())
        });
        let set: BTreeSet<_> = got.iter().collect();
        let missing: Vec<_> = payloads.iter().filter(|payload| !set.contains(payload)).map(|p| shown(p)).collect();
        if arrived.is_none() {
            let (name, status, log) = (&self.name, gateway.operate(&["status"], ""), gateway.log_tail());
            panic!("{name}: {missing:?} of {} never arrived; {}\n{log}", payloads.len(), status.stdout);
        }
        got.len() - payloads.len()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(mut child) = self.listener.take() {
            // It may have ended by itself.
            let _ended = child.kill().and_then(|()| child.wait());
        }
    }
}

fn shown(payload: &[u8]) -> String {
    String::from_utf8_lossy(payload).chars().take(40).collect()
}

/// Runs a client with something on stdin and gives what it said.
#[track_caller]
pub fn run(command: &mut Command, stdin: &[u8]) -> String {
    let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = pipes.spawn().unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
    child.stdin.take().unwrap().write_all(stdin).unwrap();
    let ended = child.wait_with_output().unwrap();
    assert!(ended.status.success(), "{command:?}: {}", String::from_utf8_lossy(&ended.stderr));
    String::from_utf8_lossy(&ended.stdout).into_owned()
}

/// Hears a listener: lines in hexadecimal, or each payload behind its length.
fn hear(mut pipe: impl BufRead, is_counted: bool, got: &Mutex<Vec<Vec<u8>>>) {
    let mut line = String::new();
    while pipe.read_line(&mut line).is_ok_and(|read| read > 0) {
        let payload = if is_counted {
            let mut payload = vec![0; line.trim().parse().unwrap()];
            let mut end = [0];
            if pipe.read_exact(&mut payload).and_then(|()| pipe.read_exact(&mut end)).is_err() {
                return;
            }
            payload
        } else {
            let digits = line.trim().as_bytes().chunks(2);
            digits.map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap()).collect()
        };
        got.lock().unwrap().push(payload);
        line.clear();
    }
}

/// Waits until every source of the gateway is up.
#[track_caller]
pub fn wait_until_up(gateway: &Gateway) {
    wait_for(SOON, "all sources to be up", || {
        let routes = gateway.list("/routes");
        let mut sources = routes.iter().filter_map(|route| route["sources"].as_array()).flatten();
        sources.all(|source| source["state"] == "up").then_some(())
    });
}

/// Nothing is dead, nothing is left, and the account is right.
#[track_caller]
pub fn assert_all_delivered(gateway: &Gateway, routes: &[String]) {
    for route in routes {
        gateway.wait_until_drained(route, SOON);
    }
    let dead = gateway.list("/dead-letters");
    assert!(dead.is_empty(), "{dead:#?}");
    gateway.assert_account();
}
