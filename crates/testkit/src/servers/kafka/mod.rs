//! Apache Kafka 4.3.0: one node in KRaft mode, from its Maven artifacts. Needs Java 17 and, the first time, Maven.

mod jars;
mod wire;

use super::{
    Certificates, PASSWORD, USER,
    process::{Server, has_a_life, output},
};
use crate::free_port;
use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};
pub use wire::create_topic;

/// Names the cluster; any 16 bytes in base64url will do.
const CLUSTER_ID: &str = "MkU3OEVBNTcwNTJENDM2Qg";

/// What a node for tests needs beside its listeners: one replica of everything, no waiting for others, nor for a session of
/// its own after it was killed.
const SETTINGS: &str = "\
process.roles=broker,controller
node.id=1
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,LOGIN:SASL_PLAINTEXT,TLS:SSL,TLSLOGIN:SASL_SSL
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
num.partitions=4
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=4000
";

/// What is asked of a Kafka.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct KafkaOptions {
    /// Has three more listeners: one with a password ([`USER`], [`PASSWORD`]; PLAIN, SCRAM-SHA-256, SCRAM-SHA-512), one with
    /// TLS (a client's certificate is asked for and not required), one with both.
    pub secured: bool,
    /// More lines of `server.properties`: `auto.create.topics.enable=false`.
    pub settings: String,
}

/// A Kafka of one's own; killed and removed when dropped.
#[derive(Debug)]
pub struct Kafka {
    server: Server,
    jars: PathBuf,
    address: String,
    secured: Option<Secured>,
}

#[derive(Debug)]
struct Secured {
    login: String,
    tls: String,
    tls_login: String,
    certificates: Certificates,
}

impl Kafka {
    /// One without passwords and TLS.
    ///
    /// # Panics
    /// It does not come up; the end of its log is in the text.
    #[must_use]
    pub fn start() -> Self {
        Self::with(&KafkaOptions::default())
    }

    /// One as asked.
    ///
    /// # Panics
    /// It does not come up; the end of its log is in the text.
    #[must_use]
    pub fn with(options: &KafkaOptions) -> Self {
        Self::try_with(options).unwrap_or_else(|error| panic!("{error}"))
    }

    /// One as asked, or why there is none.
    ///
    /// # Errors
    /// Java is not there, the jars cannot be had, or it does not come up.
    pub fn try_with(options: &KafkaOptions) -> io::Result<Self> {
        Self::prepare(options).and_then(|mut made| made.up().map(|()| made)).map_err(io::Error::other)
    }

    fn prepare(options: &KafkaOptions) -> Result<Self, String> {
        let (server, jars) = (Server::new("kafka")?, jars::folder()?);
        let (address, controller) = (format!("127.0.0.1:{}", free_port()), format!("127.0.0.1:{}", free_port()));
        let secured = if options.secured { Some(Secured::make(&server.path(""))?) } else { None };
        let mut listeners = format!("PLAINTEXT://{address}");
        let mut settings = String::new();
        if let Some(Secured { login, tls, tls_login, certificates }) = &secured {
            listeners.push_str(&format!(",LOGIN://{login},TLS://{tls},TLSLOGIN://{tls_login}"));
            settings = secure(certificates)?;
        }
        let data = server.path("data");
        let text = format!(
            "{SETTINGS}listeners={listeners},CONTROLLER://{controller}\nadvertised.listeners={listeners}\n\
             controller.quorum.bootstrap.servers={controller}\nlog.dirs={}\n{settings}{}\n",
            data.display(),
            options.settings
        );
        server.write("server.properties", &text)?;
        let made = Self { server, jars, address, secured };
        let mut format = made.java("kafka.tools.StorageTool");
        format.args(["format", "-t", CLUSTER_ID, "-c"]).arg(made.server.path("server.properties")).arg("--standalone");
        if made.secured.is_some() {
            for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-512"] {
                format.args(["--add-scram", &format!("{mechanism}=[name={USER},password={PASSWORD}]")]);
            }
        }
        output(&mut format)?;
        Ok(made)
    }

    fn java(&self, class: &str) -> Command {
        let mut command = Command::new("java");
        command
            .args(["-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp"])
            .arg(self.jars.join("*"))
            .arg(class);
        command
    }

    fn up(&mut self) -> Result<(), String> {
        let mut command = self.java("kafka.Kafka");
        command.arg(self.server.path("server.properties"));
        let address = self.address.clone();
        self.server.start(&command, || wire::brokers(&address).is_ok_and(|brokers| brokers > 0))
    }

    /// Host and port without password and TLS.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The same, as `brokers` of a connection takes it.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.address
    }

    /// Host and port of the listener with a password.
    ///
    /// # Panics
    /// It was not started `secured`.
    #[must_use]
    pub fn login(&self) -> &str {
        &self.secured.as_ref().expect("a server started secured").login
    }

    /// Host and port of the listener with TLS, and the certificates.
    ///
    /// # Panics
    /// It was not started `secured`.
    #[must_use]
    pub fn tls(&self) -> (&str, &Certificates) {
        let secured = self.secured.as_ref().expect("a server started secured");
        (&secured.tls, &secured.certificates)
    }

    /// Host and port of the listener with TLS and a password.
    ///
    /// # Panics
    /// It was not started `secured`.
    #[must_use]
    pub fn tls_login(&self) -> &str {
        &self.secured.as_ref().expect("a server started secured").tls_login
    }

    /// Makes a topic; see [`create_topic`].
    ///
    /// # Panics
    /// It cannot be made.
    pub fn create_topic(&self, name: &str, partitions: i32) {
        create_topic(&self.address, name, partitions, &[]).unwrap_or_else(|error| panic!("{error}"));
    }

    /// Runs one of Kafka's own tools by its class and gives what it said on stdout:
    /// `org.apache.kafka.tools.consumer.group.ConsumerGroupCommand`. It takes two seconds.
    ///
    /// # Panics
    /// It fails.
    pub fn tool(&self, class: &str, arguments: &[&str]) -> String {
        let said = output(self.java(class).args(arguments)).unwrap_or_else(|error| panic!("{error}"));
        String::from_utf8_lossy(&said).into_owned()
    }
}

has_a_life!(Kafka);

impl Secured {
    fn make(folder: &Path) -> Result<Self, String> {
        let address = || format!("127.0.0.1:{}", free_port());
        let certificates = Certificates::make(folder)?;
        Ok(Self { login: address(), tls: address(), tls_login: address(), certificates })
    }
}

/// The lines for passwords and TLS. Kafka takes key and certificate in one file.
fn secure(certificates: &Certificates) -> Result<String, String> {
    let read =
        |path: &Path| fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()));
    let both = certificates.server.with_file_name("kafka.pem");
    let text = read(&certificates.server_key)? + &read(&certificates.server)?;
    fs::write(&both, text).map_err(|error| format!("cannot write {}: {error}", both.display()))?;
    let security = "org.apache.kafka.common.security";
    let mut lines = format!(
        "sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512\nssl.client.auth=requested\nssl.keystore.type=PEM\n\
         ssl.keystore.location={}\nssl.truststore.type=PEM\nssl.truststore.location={}\n",
        both.display(),
        certificates.ca.display()
    );
    for listener in ["login", "tlslogin"] {
        lines.push_str(&format!(
            "listener.name.{listener}.plain.sasl.jaas.config={security}.plain.PlainLoginModule required \
             user_{USER}=\"{PASSWORD}\";\n"
        ));
        for mechanism in ["scram-sha-256", "scram-sha-512"] {
            lines.push_str(&format!(
                "listener.name.{listener}.{mechanism}.sasl.jaas.config={security}.scram.ScramLoginModule required;\n"
            ));
        }
    }
    Ok(lines)
}
