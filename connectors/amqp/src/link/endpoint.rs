//! A connection's settings, made into what is needed to connect.

use crossdock_connector::{ConnectionConfig, Diagnostic, Diagnostics, Placed, Setting, Settings, clear_text, tls};
use crossdock_model::Text;
use percent_encoding::percent_decode_str;
use rustls::ClientConfig;
use std::{fmt, path::Path, sync::Arc, time::Duration};

const HINT: &str = "write it as amqp://HOST:PORT/VHOST or amqps://HOST:PORT/VHOST, such as amqp://127.0.0.1:5672/%2f";

/// Where a server is and how to log in.
pub struct Endpoint {
    /// The connection's name in routes.yaml.
    pub name: Text,
    /// A name or an address, without brackets.
    pub host: String,
    /// The TCP port.
    pub port: u16,
    /// The virtual host.
    pub vhost: String,
    /// Whether TLS is spoken.
    pub security: Security,
    /// How to log in.
    pub login: Login,
    /// What is agreed to at most; 0 is none.
    pub heartbeat_seconds: u16,
    /// How the server shows the connection.
    pub connection_name: Option<Text>,
    /// For name, connection, TLS and login.
    pub connect_timeout: Duration,
    /// For an answer.
    pub timeout: Duration,
}

/// Whether TLS is spoken, and how.
pub enum Security {
    /// It is not.
    Plain,
    /// With the system's authorities, whose files are read when they are needed.
    System,
    /// As the settings say.
    Custom(Arc<ClientConfig>),
}

/// How to log in (SASL).
pub enum Login {
    /// PLAIN, RFC 4616.
    Password { user: String, password: String },
    /// EXTERNAL: the certificate tells.
    External,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("name", &self.name).field("place", &self.place()).finish_non_exhaustive()
    }
}

impl Endpoint {
    /// By a connection's settings; files that they name are read, so that a wrong one is found by `check`.
    ///
    /// # Errors
    /// Everything about them that the table cannot say.
    pub fn new(config: &ConnectionConfig, folder: &Path) -> Result<Self, Diagnostics> {
        let (settings, mut found) = (&config.settings, Diagnostics::new());
        let url = settings.text("url").ok_or_else(|| settings.missing("url"))?;
        let wrong = |message: String| Diagnostics::from(settings.error("url", "amqp.url", message).hint(HINT));
        let place = found.take(Place::parse(url).map_err(wrong));
        let custom = found.take(tls::from_settings(settings, folder, "amqp.tls", &[])).flatten();
        let heartbeat_seconds = found.take(heartbeat(settings));
        let login = place.as_ref().and_then(|place| found.take(login(settings, place)));
        let (Some(place), Some(login), Some(heartbeat_seconds), false) =
            (place, login, heartbeat_seconds, found.has_errors())
        else {
            return Err(found);
        };
        if !place.is_secure && settings.group("tls").is_some() {
            let error = settings.error("tls", "amqp.tls", "`tls` has no meaning for a URL that begins with amqp://");
            return Err(error.hint("write amqps:// to use TLS").into());
        }
        let security = match custom {
            _ if !place.is_secure => Security::Plain,
            None => Security::System,
            Some(config) => Security::Custom(config),
        };
        Ok(Self {
            name: config.name.clone(),
            host: place.host,
            port: place.port,
            vhost: place.vhost,
            security,
            login,
            heartbeat_seconds,
            connection_name: settings.text("connection_name").cloned(),
            connect_timeout: settings.duration("connect_timeout").unwrap_or(Duration::from_secs(5)),
            timeout: settings.duration("timeout").unwrap_or(Duration::from_secs(30)),
        })
    }

    /// A warning of credentials that everybody on the way can read.
    pub fn advice(&self, settings: &Settings) -> Option<Diagnostic> {
        match self.security {
            Security::Plain => clear_text::warning(settings, "url", [&*self.host], "write amqps:// to use TLS"),
            Security::System | Security::Custom(_) => None,
        }
    }

    /// Host and port, to be shown.
    pub fn place(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

fn heartbeat(settings: &Settings) -> Result<u16, Diagnostics> {
    let interval = settings.duration("heartbeat").unwrap_or(Duration::from_secs(10));
    match u16::try_from(interval.as_secs()) {
        Ok(seconds) if interval.subsec_nanos() == 0 => Ok(seconds),
        Ok(_) | Err(_) => {
            let error =
                settings.error("heartbeat", "amqp.heartbeat", "the protocol counts heartbeats in whole seconds");
            Err(error.hint("write 0s to 18h, such as 10s").into())
        }
    }
}

fn login(settings: &Settings, place: &Place) -> Result<Login, Diagnostics> {
    let Some(Placed { value, .. }) = settings.get("auth") else {
        let (user, password) = place.user.clone().unwrap_or_else(|| ("guest".into(), "guest".into()));
        return Ok(Login::Password { user, password });
    };
    let wrong = |message: &str| settings.error("auth", "amqp.auth", message);
    if place.user.is_some() {
        let error = settings.error("auth", "amqp.auth_twice", "there are credentials in `url` and under `auth`");
        return Err(error.hint("leave one of them out").into());
    }
    if let Setting::Group(pair) = value {
        let part = |name| pair.text(name).map(ToString::to_string).unwrap_or_default();
        return Ok(Login::Password { user: part("user"), password: part("password") });
    }
    let has_certificate = settings.group("tls").is_some_and(|tls| tls.path("certificate").is_some());
    if !has_certificate {
        let error = wrong("`external` means that the client certificate tells who it is, and there is none");
        return Err(error.hint("name it as tls.certificate and tls.key").into());
    }
    Ok(Login::External)
}

/// A URL, taken apart.
struct Place {
    is_secure: bool,
    host: String,
    port: u16,
    vhost: String,
    user: Option<(String, String)>,
}

impl Place {
    fn parse(url: &str) -> Result<Self, String> {
        let (scheme, rest) = url.split_once("://").ok_or("it has no scheme")?;
        let is_secure = match scheme {
            "amqp" => false,
            "amqps" => true,
            _ => return Err(format!("`{scheme}` is no scheme of AMQP")),
        };
        if let Some((_, query)) = rest.split_once(['?', '#']) {
            return Err(format!(
                "`?{query}` is not understood: heartbeat, timeouts and TLS are keys of the connection"
            ));
        }
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, host) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, authority),
        };
        let (host, port) = match host.rsplit_once(':').filter(|(_, port)| !port.ends_with(']')) {
            Some((host, port)) => (host, Some(port)),
            None => (host, None),
        };
        let usual = if is_secure { 5671 } else { 5672 };
        let port = port.map_or(Ok(usual), |port| port.parse().map_err(|_| format!("`{port}` is no port")))?;
        let host = decoded(host.trim_matches(['[', ']']))?;
        if host.is_empty() || host.contains(char::is_whitespace) {
            return Err("the host is missing".into());
        }
        if path.contains('/') {
            return Err("the virtual host holds a `/`: write it as %2f".into());
        }
        let user = user.map(|user| user.split_once(':').unwrap_or((user, "")));
        let user = user.map(|(user, password)| Ok::<_, String>((decoded(user)?, decoded(password)?))).transpose()?;
        // Nobody means the virtual host without a name, and a slash at the end is soon written.
        let vhost = if path.is_empty() { "/".to_owned() } else { decoded(path)? };
        if vhost.len() > 255 {
            return Err("the virtual host is longer than 255 bytes".into());
        }
        Ok(Self { is_secure, host, port, vhost, user })
    }
}

fn decoded(text: &str) -> Result<String, String> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map(std::borrow::Cow::into_owned).map_err(|_| "it holds bytes that are no UTF-8".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_urls_apart() {
        for (url, expected) in [
            ("amqp://h", "false h 5672 / -"),
            ("amqps://h/", "true h 5671 / -"),
            ("amqp://guest:guest@127.0.0.1:5673/%2f", "false 127.0.0.1 5673 / guest guest"),
            ("amqp://u%40x:p%3aw%2f@h/prod", "false h 5672 prod u@x p:w/"),
            ("amqp://u:p@ss@h/a%2Fb", "false h 5672 a/b u p@ss"),
            ("amqp://[::1]:1234/v", "false ::1 1234 v -"),
            ("amqp://[fe80::1]", "false fe80::1 5672 / -"),
        ] {
            let place = Place::parse(url).unwrap();
            let user = place.user.map_or("-".into(), |(user, password)| format!("{user} {password}"));
            let got = format!("{} {} {} {} {user}", place.is_secure, place.host, place.port, place.vhost);
            assert_eq!(got, expected, "{url}");
        }
        for url in [
            "",
            "h:5672",
            "http://h",
            "amqp://",
            "amqp://h:x",
            "amqp://h:99999",
            "amqp://h//",
            "amqp://h/a/b",
            "amqp://h?heartbeat=5",
            "amqp://h /v",
            "amqp://h/%ff",
        ] {
            assert!(Place::parse(url).is_err(), "{url}");
        }
    }

    #[test]
    fn a_password_without_tls_is_told() {
        let pair = || serde_json::json!({ "user": "u", "password": "s3cret" });
        for (section, is_told) in [
            (serde_json::json!({ "url": "amqp://rabbit.example", "auth": pair() }), true),
            (serde_json::json!({ "url": "amqp://u:s3cret@10.0.0.7/%2f" }), true),
            (serde_json::json!({ "url": "amqps://u:s3cret@rabbit.example" }), false),
            (serde_json::json!({ "url": "amqp://rabbit.example" }), false),
            (serde_json::json!({ "url": "amqp://guest:guest@127.0.0.1:5672/%2f" }), false),
        ] {
            let settings = crossdock_testkit::suite::settings(crate::DESCRIPTION.connection.unwrap(), &section);
            let config = ConnectionConfig { name: "rabbit".into(), settings };
            let advice = Endpoint::new(&config, Path::new(".")).unwrap().advice(&config.settings);
            assert_eq!(advice.as_ref().map(|one| one.code), is_told.then_some("connection.clear_text"), "{section}");
            assert!(!format!("{advice:?}").contains("s3cret"), "{advice:?}");
        }
    }
}
