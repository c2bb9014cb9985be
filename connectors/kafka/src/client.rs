//! A connection's settings as a client of librdkafka has them, and what such a client tells of itself.

use crate::{
    lock,
    options::{self, Options, Side},
};
use crossdock_connector::{ConnectionConfig, Diagnostic, Diagnostics, Settings, clear_text};
use crossdock_model::Text;
use rdkafka::{ClientConfig, config::RDKafkaLogLevel, error::KafkaError, types::RDKafkaErrorCode};
use std::{fs::File, path::Path, sync::Mutex};

/// A connection, read.
#[derive(Clone)]
pub(crate) struct Connection {
    /// Its name in routes.yaml.
    pub name: Text,
    /// The brokers, as they stand there.
    pub brokers: Text,
    config: ClientConfig,
    options: Options,
}

impl Connection {
    /// Reads a connection; of the files that `tls` names only whether they can be read is looked at.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn new(connection: &ConnectionConfig, folder: &Path) -> Result<Self, Diagnostics> {
        let (settings, mut found, mut config) = (&connection.settings, Diagnostics::new(), ClientConfig::new());
        let brokers = found.take(brokers(settings)).unwrap_or_default();
        for (name, value) in [
            ("bootstrap.servers", &*brokers),
            ("client.id", settings.text("client_id").map_or("crossdock", |id| &**id)),
            // A broker that comes back is found again soon, and one that says nothing does not hold us for a minute.
            ("reconnect.backoff.max.ms", "1000"),
            ("socket.timeout.ms", "20000"),
            ("socket.keepalive.enable", "true"),
            ("socket.connection.setup.timeout.ms", "10000"),
            ("log.connection.close", "false"),
            ("enable.metrics.push", "false"),
        ] {
            config.set(name, value);
        }
        security(settings, folder, &mut config, &mut found);
        let options = found.take(options::read(settings, Side::Both)).unwrap_or_default();
        if found.has_errors() {
            return Err(found);
        }
        Ok(Self { name: connection.name.clone(), brokers: Text::from(brokers), config, options })
    }

    /// Whether anything is said to librdkafka that the gateway does not say by itself.
    pub fn has_options(&self, side: Side, section: &Options) -> bool {
        !section.is_empty() || options::of_side(&self.options, side).next().is_some()
    }

    /// A client's configuration: what `own` says, over it the connection's options, over these the section's.
    pub fn config(&self, side: Side, own: &[(&str, &str)], section: &Options) -> ClientConfig {
        let mut config = self.config.clone();
        for (name, value) in own {
            config.set(*name, *value);
        }
        for (name, value) in options::of_side(&self.options, side).chain(section) {
            config.set(name.to_string(), value.to_string());
        }
        config
    }
}

fn brokers(settings: &Settings) -> Result<String, Diagnostics> {
    let (mut found, mut list) = (Diagnostics::new(), Vec::new());
    for placed in settings.list("brokers") {
        let Some(broker) = placed.value.as_text() else { continue };
        if is_broker(broker) {
            list.push(broker.to_string());
        } else {
            let error = Diagnostic::error("kafka.broker", placed.span, "this is no address of a broker");
            found.push(error.hint("write HOST:PORT, one an item: `[\"kafka-1:9092\", \"kafka-2:9092\"]`"));
        }
    }
    if list.is_empty() && !found.has_errors() {
        found.push(settings.error("brokers", "kafka.broker", "there is no broker").hint("add a `HOST:PORT`"));
    }
    if found.has_errors() { Err(found) } else { Ok(list.join(",")) }
}

/// `HOST`, `HOST:PORT`, and the same with an IPv6 address in brackets; without a port librdkafka takes 9092.
fn is_broker(broker: &str) -> bool {
    let bracketed = broker.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let (host, port) = match bracketed {
        Some((host, "")) => (host, None),
        Some((host, rest)) => (host, Some(rest.strip_prefix(':').unwrap_or_default())),
        None => broker.split_once(':').map_or((broker, None), |(host, port)| (host, Some(port))),
    };
    let wrong = |c: char| matches!(c, '/' | ',' | '@' | '[' | ']') || c.is_whitespace();
    let is_port = |port: &str| port.parse::<u16>().is_ok_and(|port| port != 0);
    !host.is_empty() && !host.contains(wrong) && port.is_none_or(is_port)
}

/// A warning of a password that everybody on the way can read. SCRAM tells nobody the password.
pub(crate) fn advice(settings: &Settings) -> Option<Diagnostic> {
    let is_plain = settings.group("auth")?.text("sasl").is_none_or(|mechanism| &**mechanism == "PLAIN");
    if !is_plain || settings.group("tls").is_some() {
        return None;
    }
    let brokers = settings.list("brokers").iter().filter_map(|placed| placed.value.as_text());
    let hosts = brokers.map(|broker| broker.rsplit_once(':').map_or(&**broker, |(host, _)| host));
    clear_text::warning(settings, "brokers", hosts, "add `tls: {}`, or take SCRAM-SHA-512 as `sasl`")
}

fn security(settings: &Settings, folder: &Path, config: &mut ClientConfig, found: &mut Diagnostics) {
    let (auth, tls) = (settings.group("auth"), settings.group("tls"));
    let protocol = match (auth, tls) {
        (None, None) => "plaintext",
        (None, Some(_)) => "ssl",
        (Some(_), None) => "sasl_plaintext",
        (Some(_), Some(_)) => "sasl_ssl",
    };
    config.set("security.protocol", protocol);
    if let Some(auth) = auth {
        for (option, field) in [("sasl.mechanism", "sasl"), ("sasl.username", "user"), ("sasl.password", "password")] {
            config.set(option, auth.text(field).map_or("", |text| &**text));
        }
    }
    let Some(tls) = tls else { return };
    for (field, option) in
        [("ca", "ssl.ca.location"), ("certificate", "ssl.certificate.location"), ("key", "ssl.key.location")]
    {
        let Some(path) = tls.path(field).map(|path| folder.join(path)) else { continue };
        if let Err(error) = File::open(&path) {
            found.push(tls.error(field, "kafka.tls", format!("cannot read {}: {error}", path.display())));
        }
        config.set(option, path.display().to_string());
    }
    match (tls.path("certificate"), tls.path("key")) {
        (Some(_), None) => {
            found.push(tls.error("certificate", "kafka.tls", "a certificate is of no use without its `key`"))
        }
        (None, Some(_)) => found.push(tls.error("key", "kafka.tls", "a key is of no use without its `certificate`")),
        (None, None) | (Some(_), Some(_)) => {}
    }
}

/// What a client told of its trouble; it comes on whichever thread polls the client.
#[derive(Debug, Default)]
pub(crate) struct Troubles(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// The last thing that went wrong with a connection, for people.
    last: Option<(RDKafkaErrorCode, String)>,
    /// Whether no broker has been there since.
    down: bool,
}

impl Troubles {
    /// Notes what librdkafka told.
    pub fn note(&self, error: &KafkaError, reason: &str) {
        let Some(code) = error.rdkafka_error_code() else { return };
        tracing::debug!(target: "librdkafka", %error, reason, "an error");
        let mut known = lock(&self.0);
        if code == RDKafkaErrorCode::AllBrokersDown {
            known.down = true;
        } else {
            known.last = Some((code, readable(reason)));
        }
    }

    /// Whether no broker could be reached when it was last heard of.
    pub fn is_down(&self) -> bool {
        lock(&self.0).down
    }

    /// A broker answered.
    pub fn clear(&self) {
        *lock(&self.0) = Known::default();
    }

    /// The last thing that went wrong, and its words.
    pub fn last(&self) -> Option<(RDKafkaErrorCode, String)> {
        lock(&self.0).last.clone()
    }
}

/// `127.0.0.1:9092/bootstrap: Connect to … failed: Connection refused (after 0ms in state CONNECT)` without what differs
/// from time to time, so that a reason that stays is the same text.
fn readable(reason: &str) -> String {
    let end = reason.find(" (after ").unwrap_or(reason.len());
    reason.get(..end).unwrap_or(reason).replace("/bootstrap", "")
}

/// Passes a line of librdkafka's log on; what matters of it is told as a state, too.
pub(crate) fn log(level: RDKafkaLogLevel, facility: &str, text: &str) {
    match level {
        RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
            tracing::error!(target: "librdkafka", "{facility} {text}");
        }
        RDKafkaLogLevel::Error | RDKafkaLogLevel::Warning | RDKafkaLogLevel::Notice => {
            tracing::info!(target: "librdkafka", "{facility} {text}");
        }
        RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug => tracing::debug!(target: "librdkafka", "{facility} {text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_that_stays_is_the_same_text() {
        for (told, shown) in [
            (
                "127.0.0.1:9092/bootstrap: Connect to ipv4#127.0.0.1:9092 failed: Connection refused (after 7ms in state CONNECT)",
                "127.0.0.1:9092: Connect to ipv4#127.0.0.1:9092 failed: Connection refused",
            ),
            ("sasl: Authentication failed", "sasl: Authentication failed"),
        ] {
            assert_eq!(readable(told), shown);
        }
    }

    #[test]
    fn what_is_known_goes_when_a_broker_answers() {
        let troubles = Troubles::default();
        troubles.note(&KafkaError::Global(RDKafkaErrorCode::BrokerTransportFailure), "refused");
        troubles.note(&KafkaError::Global(RDKafkaErrorCode::AllBrokersDown), "1/1 brokers are down");
        assert!(troubles.is_down());
        assert_eq!(troubles.last(), Some((RDKafkaErrorCode::BrokerTransportFailure, "refused".into())));
        troubles.clear();
        assert!(!troubles.is_down() && troubles.last().is_none());
    }
}
