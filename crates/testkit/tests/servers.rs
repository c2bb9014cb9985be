//! The servers for tests: they come up, take what their clients send, and do not outlive who started them.
//!
//! The clients are the servers' own: `amqp-publish`, `kcat`, `mosquitto_pub`.

#![expect(clippy::panic, reason = "a helper of a test fails the test")]

use crossdock_testkit::{
    servers::{Kafka, KafkaOptions, Mosquitto, MosquittoOptions, PASSWORD, Rabbit, RabbitOptions, USER},
    wait_for,
};
use std::{
    net::TcpStream,
    process::{Command, Stdio},
    time::Duration,
};

/// Runs a client and gives what it said.
#[track_caller]
fn client(program: &str, arguments: &[&str]) -> Result<String, String> {
    let ran = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    let ran = ran.unwrap_or_else(|error| panic!("cannot run {program}: {error}"));
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    if ran.status.success() { Ok(said) } else { Err(said + &String::from_utf8_lossy(&ran.stderr)) }
}

fn is_closed(address: &str) -> bool {
    TcpStream::connect(address).is_err()
}

/// Nobody listens there; who does, as far as `ss` is there to tell it, is in the text.
#[track_caller]
fn assert_closed(address: &str) {
    if is_closed(address) {
        return;
    }
    let told = Command::new("ss").arg("-Hltnp").output().map(|ss| String::from_utf8_lossy(&ss.stdout).into_owned());
    let told = told.unwrap_or_default();
    let theirs: Vec<&str> = told.lines().filter(|line| line.contains(address)).collect();
    panic!("{address} still takes connections: {}", theirs.join("; "));
}

#[test]
fn rabbitmq_keeps_what_it_took() {
    let mut rabbit = Rabbit::with(&RabbitOptions { tls: true, settings: "heartbeat = 7".into() });
    let (url, address) = (rabbit.url().to_owned(), rabbit.address().to_owned());
    client("amqp-declare-queue", &["--url", &url, "-d", "-q", "orders"]).unwrap();
    client("amqp-publish", &["--url", &url, "-r", "orders", "-p", "-b", "hello"]).unwrap();
    rabbit.halt();
    assert_closed(&address);
    rabbit.restart();
    assert_eq!(client("amqp-get", &["--url", &url, "-q", "orders"]).unwrap(), "hello");
    assert!(rabbit.control(&["environment"]).contains("{heartbeat,7}"));
    let (tls, certificates) = rabbit.tls();
    // This client knows names of hosts, no addresses, when it checks a certificate.
    let tls = tls.replace("127.0.0.1", "localhost");
    let login = format!("amqps://{USER}:{PASSWORD}@{tls}/%2f");
    let ca = certificates.ca.to_str().unwrap();
    client("amqp-publish", &["--url", &login, "--ssl", "--cacert", ca, "-r", "orders", "-b", "tls"]).unwrap();
    let wrong = format!("amqps://{USER}:wrong@{tls}/%2f");
    client("amqp-publish", &["--url", &wrong, "--ssl", "--cacert", ca, "-r", "orders", "-b", "no"]).unwrap_err();
    rabbit.kill();
    assert_closed(&address);
    rabbit.restart();
    client("amqp-publish", &["--url", &url, "-r", "orders", "-b", "again"]).unwrap();
}

#[test]
fn kafka_keeps_what_it_took() {
    let mut kafka = Kafka::with(&KafkaOptions { secured: true, ..KafkaOptions::default() });
    let address = kafka.address().to_owned();
    kafka.create_topic("orders", 1);
    kafka.create_topic("orders", 1);
    let pom = concat!(env!("CARGO_MANIFEST_DIR"), "/src/servers/kafka/pom.xml");
    client("kcat", &["-b", &address, "-P", "-t", "orders", pom]).unwrap();
    kafka.restart();
    let read = |more: &[&str]| {
        let at: &[&str] = &["-C", "-t", "orders", "-o", "beginning", "-e", "-q", "-f", "%S", "-m", "10"];
        client("kcat", &[at, more].concat())
    };
    let size = std::fs::read(pom).unwrap().len().to_string();
    assert_eq!(read(&["-b", &address]).unwrap(), size);
    let (tls, certificates) = kafka.tls();
    let ca = format!("ssl.ca.location={}", certificates.ca.display());
    assert_eq!(read(&["-b", tls, "-X", "security.protocol=ssl", "-X", &ca]).unwrap(), size);
    let (user, password) = (format!("sasl.username={USER}"), format!("sasl.password={PASSWORD}"));
    let login = ["-X", "sasl.mechanism=PLAIN", "-X", user.as_str(), "-X"];
    let plain = ["-b", kafka.login(), "-X", "security.protocol=sasl_plaintext"];
    assert_eq!(read(&[&plain, &login[..], &[&password]].concat()).unwrap(), size);
    let both = ["-b", kafka.tls_login(), "-X", "security.protocol=sasl_ssl", "-X", &ca];
    assert_eq!(read(&[&both, &login[..], &[&password]].concat()).unwrap(), size);
    read(&[&plain, &login[..], &["sasl.password=wrong"]].concat()).unwrap_err();
    // Debian's kcat (librdkafka 2.0.2) fails at SCRAM with Kafka 4; Kafka's own client does not.
    for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-512"] {
        let properties = tempfile::NamedTempFile::new().unwrap();
        let module = "org.apache.kafka.common.security.scram.ScramLoginModule";
        let text = format!(
            "security.protocol=SASL_PLAINTEXT\nsasl.mechanism={mechanism}\nsasl.jaas.config={module} required \
             username=\"{USER}\" password=\"{PASSWORD}\";\n"
        );
        std::fs::write(properties.path(), text).unwrap();
        let configuration = ["--command-config", properties.path().to_str().unwrap(), "--list"];
        let server = ["--bootstrap-server", kafka.login()];
        let topics = kafka.tool("org.apache.kafka.tools.TopicCommand", &[&server, &configuration[..]].concat());
        assert!(topics.contains("orders"), "{mechanism}: {topics}");
    }
    kafka.kill();
    assert_closed(&address);
    kafka.restart();
    assert_eq!(read(&["-b", &address]).unwrap(), size);
}

#[test]
fn mosquitto_asks_for_the_password() {
    let mut mosquitto = Mosquitto::with(&MosquittoOptions { login: true, tls: true, settings: String::new() });
    let port = mosquitto.address().rsplit_once(':').unwrap().1.to_owned();
    let publish = |port: &str, password: &str, more: &[&str]| {
        let to: &[&str] = &["-h", "127.0.0.1", "-p", port, "-u", USER, "-P", password, "-t", "a", "-m", "b", "-q", "1"];
        client("mosquitto_pub", &[to, &["-r"], more].concat())
    };
    publish(&port, PASSWORD, &[]).unwrap();
    publish(&port, "wrong", &[]).unwrap_err();
    let (tls, certificates) = mosquitto.tls();
    let tls = tls.rsplit_once(':').unwrap().1.to_owned();
    publish(&tls, PASSWORD, &["--cafile", certificates.ca.to_str().unwrap(), "-V", "5"]).unwrap();
    mosquitto.restart();
    let subscribe = ["-h", "127.0.0.1", "-p", &port, "-u", USER, "-P", PASSWORD, "-t", "a", "-C", "1", "-W", "10"];
    assert_eq!(client("mosquitto_sub", &subscribe).unwrap(), "b\n");
}

/// Says that this process is the one that is killed.
const IS_KILLED: &str = "CROSSDOCK_TEST_IS_KILLED";

#[test]
fn no_server_outlives_a_killed_process() {
    use std::io::{BufRead as _, BufReader};
    const NAME: &str = "no_server_outlives_a_killed_process";
    if std::env::var_os(IS_KILLED).is_some() {
        let mosquitto = Mosquitto::start();
        eprintln!("listens on {};", mosquitto.address());
        return crossdock_testkit::pause(Duration::from_secs(60));
    }
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture", NAME])
        .env(IS_KILLED, "1")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let address = lines.find_map(|line| Some(line.split_once("listens on ")?.1.split_once(';')?.0.to_owned())).unwrap();
    assert!(!is_closed(&address));
    child.kill().unwrap();
    child.wait().unwrap();
    wait_for(Duration::from_secs(10), "the server to end with who started it", || is_closed(&address).then_some(()));
}
