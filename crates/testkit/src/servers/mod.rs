//! Real servers for tests: RabbitMQ and Mosquitto from Debian's packages, Apache Kafka from its Maven artifacts. Each has a
//! temporary folder and ports of its own and listens on loopback only.
//!
//! [`rabbit`], [`kafka`] and [`mosquitto`] give one that tests share: a test that uses it names its queues and topics so that
//! nobody else has them ([`unique`]) and does not break it. A test that stops, kills or configures a server starts one of its
//! own: [`Rabbit::start`], [`Kafka::start`], [`Mosquitto::start`]. No server outlives the process that started it, however
//! that ends.

mod certificates;
mod kafka;
mod mosquitto;
mod process;
mod rabbit;

pub use certificates::Certificates;
pub use kafka::{Kafka, KafkaOptions, create_topic};
pub use mosquitto::{Mosquitto, MosquittoOptions};
pub use rabbit::{Rabbit, RabbitOptions};

use std::{
    collections::hash_map::RandomState,
    env,
    hash::{BuildHasher as _, Hasher as _},
    sync::{Mutex, OnceLock},
};

/// The variable that holds the URL of the shared RabbitMQ.
pub const RABBIT: &str = "CROSSDOCK_TEST_RABBIT";
/// The variable that holds host and port of the shared Kafka.
pub const KAFKA: &str = "CROSSDOCK_TEST_KAFKA";
/// The variable that holds host and port of the shared Mosquitto.
pub const MOSQUITTO: &str = "CROSSDOCK_TEST_MOSQUITTO";

/// The user of the servers that ask for one.
pub const USER: &str = "crossdock";
/// Their password.
pub const PASSWORD: &str = "s3cret";

/// Where a server that tests share listens.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shared {
    url: String,
    address: String,
}

impl Shared {
    /// As its clients' configuration names it: `amqp://guest:guest@127.0.0.1:PORT/%2f`, `127.0.0.1:PORT` for Kafka,
    /// `mqtt://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Host and port.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The port.
    ///
    /// # Panics
    /// The address that came from the environment has none.
    #[must_use]
    pub fn port(&self) -> u16 {
        let port = self.address.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        port.unwrap_or_else(|| panic!("`{}` has no port", self.address))
    }

    fn of_address(scheme: &str, address: &str) -> Self {
        Self { url: format!("{scheme}{address}"), address: address.to_owned() }
    }

    /// Of a URL with a user and a path.
    fn of_url(url: &str) -> Self {
        let address = url.split_once("://").map_or(url, |(_, rest)| rest);
        let address = address.rsplit_once('@').map_or(address, |(_, rest)| rest);
        let address = address.split_once('/').map_or(address, |(address, _)| address);
        Self { url: url.to_owned(), address: address.to_owned() }
    }
}

/// The RabbitMQ that tests share.
///
/// # Panics
/// It cannot be started.
pub fn rabbit() -> &'static Shared {
    static SHARED: OnceLock<Shared> = OnceLock::new();
    static SERVER: Mutex<Option<Rabbit>> = Mutex::new(None);
    SHARED.get_or_init(|| match env::var(RABBIT) {
        Ok(url) => Shared::of_url(&url),
        Err(_) => Shared::of_url(crate::lock(&SERVER).insert(Rabbit::start()).url()),
    })
}

/// The Kafka that tests share: four partitions a topic where nothing else is said, topics are made as they are named.
///
/// # Panics
/// It cannot be started.
pub fn kafka() -> &'static Shared {
    static SHARED: OnceLock<Shared> = OnceLock::new();
    static SERVER: Mutex<Option<Kafka>> = Mutex::new(None);
    SHARED.get_or_init(|| match env::var(KAFKA) {
        Ok(address) => Shared::of_address("", &address),
        Err(_) => Shared::of_address("", crate::lock(&SERVER).insert(Kafka::start()).address()),
    })
}

/// The Mosquitto that tests share: MQTT 3.1.1 and 5, no password.
///
/// # Panics
/// It cannot be started.
pub fn mosquitto() -> &'static Shared {
    static SHARED: OnceLock<Shared> = OnceLock::new();
    static SERVER: Mutex<Option<Mosquitto>> = Mutex::new(None);
    SHARED.get_or_init(|| match env::var(MOSQUITTO) {
        Ok(address) => Shared::of_address("mqtt://", &address),
        Err(_) => Shared::of_address("mqtt://", crate::lock(&SERVER).insert(Mosquitto::start()).address()),
    })
}

/// A name that no other test has, for a queue or topic of a shared server: `base` and twelve hex digits.
#[must_use]
pub fn unique(base: &str) -> String {
    let chance = RandomState::new().build_hasher().finish() & 0xffff_ffff_ffff;
    format!("{base}-{chance:012x}")
}
