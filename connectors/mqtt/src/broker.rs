//! A connection's settings, finished: where the broker is, how to log in, and what its clients are called.

use crate::{
    packet::{Version, Will, qos},
    topic,
};
use bytes::Bytes;
use crossdock_connector::{ConnectionConfig, Diagnostic, Diagnostics, Settings, clear_text, tls};
use percent_encoding::percent_decode_str;
use rustls::ClientConfig;
use std::{path::Path, sync::Arc, time::Duration};
use tokio::sync::OnceCell;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest client id: its length goes over the wire in 16 bits, and something is put behind the configured one.
const CLIENT_ID_BYTES_MAX: usize = 60_000;

/// A broker, by the settings of its connection.
#[derive(Debug)]
pub(crate) struct Broker {
    /// Name or address, without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) security: Security,
    pub(crate) version: Version,
    /// How the clients' ids begin.
    client_id: String,
    pub(crate) clean_start: bool,
    /// Seconds; `u32::MAX` is for ever.
    pub(crate) session_expiry: u32,
    /// Seconds; 0 is none.
    pub(crate) keep_alive: u16,
    pub(crate) connect_timeout: Duration,
    pub(crate) user: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) will: Option<Will>,
}

/// Whether and how a connection is encrypted.
#[derive(Debug)]
pub(crate) enum Security {
    Plain,
    Tls(Arc<ClientConfig>),
    /// The system's authorities, whose files are read when they are needed.
    SystemTls(OnceCell<Arc<ClientConfig>>),
}

impl Broker {
    /// Reads the settings of a connection, and the PEM files that they name. `store` stands in for a missing client id.
    pub(crate) fn new(config: &ConnectionConfig, folder: &Path, store: &str) -> Result<Self, Diagnostics> {
        let (settings, mut found) = (&config.settings, Diagnostics::new());
        let url = settings.text("url").map_or("", |url| url);
        let wrong = |(message, hint): (String, &'static str)| {
            Diagnostics::from(settings.error("url", "mqtt.url", message).hint(hint))
        };
        let place = found.take(Place::parse(url).map_err(wrong));
        let security = found.take(security(settings, folder, place.as_ref().is_some_and(|place| place.secure)));
        let login = found.take(login(settings, place.as_ref()));
        let keep_alive = found.take(keep_alive(settings));
        let will = found.take(will(settings));
        let client_id = found.take(client_id(settings, store));
        let version =
            if settings.text("version").is_some_and(|word| &**word == "5") { Version::V5 } else { Version::V4 };
        if let (Version::V4, Some((None, Some(_)))) = (version, &login) {
            let error = settings.error("auth", "mqtt.auth", "MQTT 3.1.1 has no password without a user");
            found.push(error.hint("name the user, or set `version: 5`"));
        }
        match (place, security, login, keep_alive, will, client_id) {
            (Some(place), Some(security), Some((user, password)), Some(keep_alive), Some(will), Some(client_id))
                if !found.has_errors() =>
            {
                Ok(Self {
                    host: place.host,
                    port: place.port,
                    security,
                    version,
                    client_id,
                    clean_start: settings.flag("clean_start"),
                    session_expiry: seconds(settings.duration("session_expiry").unwrap_or_default()),
                    keep_alive,
                    connect_timeout: settings.duration("connect_timeout").unwrap_or(CONNECT_TIMEOUT),
                    user,
                    password,
                    will,
                })
            }
            _ => Err(found),
        }
    }

    /// A warning of credentials that everybody on the way can read.
    pub(crate) fn advice(&self, settings: &Settings) -> Option<Diagnostic> {
        match self.security {
            Security::Plain => clear_text::warning(settings, "url", [&*self.host], "write mqtts:// to use TLS"),
            Security::Tls(_) | Security::SystemTls(_) => None,
        }
    }

    /// The id of a route's source.
    pub(crate) fn source_client(&self, route: &str) -> String {
        format!("{}-{route}", self.client_id)
    }

    /// The id of a route's target, the `ordinal`th from 0 on this connection.
    pub(crate) fn target_client(&self, route: &str, ordinal: usize) -> String {
        match ordinal {
            0 => format!("{}-{route}-out", self.client_id),
            more => format!("{}-{route}-out{}", self.client_id, more + 1),
        }
    }

    /// An id that no source or target has.
    pub(crate) fn probe_client(&self) -> String {
        format!("{}--check-{:08x}", self.client_id, fastrand::u32(..))
    }

    /// Host and port, as they tell brokers apart.
    pub(crate) fn address(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host.to_ascii_lowercase(), self.port)
        }
    }
}

/// Whole seconds, a part of one counted as one; beyond what the protocol can say it is for ever.
fn seconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis().div_ceil(1000)).unwrap_or(u32::MAX)
}

fn keep_alive(settings: &Settings) -> Result<u16, Diagnostics> {
    u16::try_from(seconds(settings.duration("keep_alive").unwrap_or_default())).map_err(|_| {
        let error = settings.error("keep_alive", "mqtt.keep_alive", "MQTT knows no keep-alive beyond 65535s");
        error.hint("take at most 18h, or 0s for none").into()
    })
}

fn security(settings: &Settings, folder: &Path, secure: bool) -> Result<Security, Diagnostics> {
    if !secure {
        return match settings.group("tls") {
            None => Ok(Security::Plain),
            Some(_) => {
                let error = settings.error("tls", "mqtt.tls", "there is a section `tls`, but the URL asks for no TLS");
                Err(error.hint("write the URL as mqtts://HOST, or leave `tls` out").into())
            }
        };
    }
    let config = tls::from_settings(settings, folder, "mqtt.tls", &[])?;
    Ok(config.map_or_else(|| Security::SystemTls(OnceCell::new()), Security::Tls))
}

type Login = (Option<String>, Option<String>);

fn login(settings: &Settings, place: Option<&Place>) -> Result<Login, Diagnostics> {
    let in_url = place.and_then(|place| place.login.clone());
    let Some(section) = settings.group("auth") else { return Ok(in_url.unwrap_or_default()) };
    if in_url.is_some() {
        let error = settings.error("auth", "mqtt.auth", "there are credentials in `url` and under `auth`");
        return Err(error.hint("leave one of them out").into());
    }
    let part = |name| section.text(name).map(ToString::to_string);
    Ok((part("user"), part("password")))
}

fn will(settings: &Settings) -> Result<Option<Will>, Diagnostics> {
    let Some(section) = settings.group("will") else { return Ok(None) };
    let topic = section.text("topic").map_or("", |topic| topic);
    topic::check_name(topic).map_err(|wrong| section.error("topic", "mqtt.topic", wrong.text).hint(wrong.hint))?;
    Ok(Some(Will {
        topic: topic.to_owned(),
        payload: section.text("payload").map(|text| text.as_bytes().clone()).unwrap_or_else(Bytes::new),
        qos: qos(section.integer("qos").unwrap_or(0)),
        retain: section.flag("retain"),
    }))
}

fn client_id(settings: &Settings, store: &str) -> Result<String, Diagnostics> {
    let Some(id) = settings.text("client_id") else { return Ok(format!("crossdock-{store}")) };
    let wrong = if id.is_empty() {
        "a client id has at least one character"
    } else if id.len() > CLIENT_ID_BYTES_MAX {
        "this is longer than a client id may be"
    } else if id.contains(char::is_control) {
        "a client id holds no control characters"
    } else {
        return Ok(id.to_string());
    };
    let error: Diagnostic = settings.error("client_id", "mqtt.client_id", wrong);
    Err(error.hint("letters, digits and `-` are understood by every broker").into())
}

/// The parts of a URL.
#[derive(PartialEq, Eq, Debug)]
struct Place {
    secure: bool,
    host: String,
    port: u16,
    login: Option<Login>,
}

impl Place {
    // The URL may hold a password, so no message repeats it.
    fn parse(url: &str) -> Result<Self, (String, &'static str)> {
        const HINT: &str = "write it as mqtt://HOST:PORT, or mqtts://HOST:PORT with TLS";
        let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
        let secure = match scheme.to_ascii_lowercase().as_str() {
            "mqtt" | "tcp" => false,
            "mqtts" | "ssl" | "tls" => true,
            "ws" | "wss" => return Err(("MQTT over WebSockets is not spoken here".into(), HINT)),
            _ => return Err(("the scheme is neither mqtt nor mqtts".into(), HINT)),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains(['/', '?', '#']) {
            return Err(("behind host and port there is nothing in such a URL".into(), HINT));
        }
        let (user, authority) = match rest.rsplit_once('@') {
            Some((user, authority)) => (Some(user), authority),
            None => (None, rest),
        };
        let (host, port) = split_port(authority).ok_or_else(|| ("the host or port is not understood".into(), HINT))?;
        let decoded = |part: &str| percent_decode_str(part).decode_utf8_lossy().into_owned();
        let login = user.map(|user| match user.split_once(':') {
            Some((user, password)) => (Some(decoded(user)), Some(decoded(password))),
            None => (Some(decoded(user)), None),
        });
        Ok(Self { secure, host, port: port.unwrap_or(if secure { 8883 } else { 1883 }), login })
    }
}

fn split_port(authority: &str) -> Option<(String, Option<u16>)> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            (host, if port.is_empty() { None } else { Some(port.strip_prefix(':')?) })
        }
        None => authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
    };
    let usable = !host.is_empty() && !host.contains(|c: char| c.is_whitespace() || c.is_control());
    let port = port.map(str::parse).transpose().ok()?.filter(|port| *port != 0);
    usable.then(|| (host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_urls_apart() {
        let place = |secure, host: &str, port, login: Option<(Option<&str>, Option<&str>)>| Place {
            secure,
            host: host.into(),
            port,
            login: login.map(|(user, password)| (user.map(Into::into), password.map(Into::into))),
        };
        for (url, expected) in [
            ("mqtt://h", place(false, "h", 1883, None)),
            ("mqtt://127.0.0.1:1/", place(false, "127.0.0.1", 1, None)),
            ("MQTTS://h.example", place(true, "h.example", 8883, None)),
            ("mqtt://[::1]:7", place(false, "::1", 7, None)),
            ("mqtt://[::1]", place(false, "::1", 1883, None)),
            ("mqtt://u:p%40w@h:2", place(false, "h", 2, Some((Some("u"), Some("p@w"))))),
            ("mqtt://u@h", place(false, "h", 1883, Some((Some("u"), None)))),
        ] {
            assert_eq!(Place::parse(url).unwrap(), expected, "{url}");
        }
        for url in [
            "",
            "h",
            "http://h",
            "ws://h",
            "mqtt://",
            "mqtt://h/a",
            "mqtt://h:x",
            "mqtt://h:99999",
            "mqtt://[::1",
            "mqtt://[::1]x",
            "mqtt://a b",
            "mqtt://h?x",
        ] {
            assert!(Place::parse(url).is_err(), "{url}");
        }
    }

    #[test]
    fn parts_of_a_second_count_as_one() {
        for (millis, expected) in [(0, 0), (1, 1), (1000, 1), (1001, 2), (u64::MAX, u32::MAX)] {
            assert_eq!(seconds(Duration::from_millis(millis)), expected);
        }
    }
}
