//! A connection's settings, finished: where the service is, what goes with every request, how long it may take.

use super::private;
use crate::convert::is_configurable;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use crossdock_connector::{ConnectionConfig, Diagnostic, Diagnostics, Setting, Settings, tls};
use http::{
    HeaderMap, HeaderName, HeaderValue, Uri,
    header::{AUTHORIZATION, HOST, USER_AGENT},
    uri::{Authority, Scheme},
};
use percent_encoding::percent_decode_str;
use rustls::ClientConfig;
use std::{net::IpAddr, path::Path, sync::Arc, time::Duration};

const AGENT: HeaderValue = HeaderValue::from_static(concat!("crossdock/", env!("CARGO_PKG_VERSION")));
const TIMEOUT: Duration = Duration::from_secs(10);
/// What a TLS peer is offered to speak.
pub(super) const PROTOCOLS: &[&[u8]] = &[b"http/1.1"];
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A service, by the settings of its connection.
#[derive(Debug)]
pub(crate) struct Base {
    /// Name or address, without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    /// TLS as the section says; `None` within is the system's authorities, which are loaded when they are needed.
    pub(super) tls: Option<Option<Arc<ClientConfig>>>,
    /// What stands before a target's path, as written: it begins with a slash and may end with one.
    pub(super) path: String,
    /// Sent with every request: `Host`, credentials, the section's own.
    pub(super) headers: HeaderMap,
    /// Names among them whose values are not shown.
    secret: Vec<HeaderName>,
    pub(super) timeout: Duration,
    pub(super) connect_timeout: Duration,
    pub(super) block_private: bool,
}

/// A time limit of nothing, with which no request could ever be answered.
pub(super) fn no_time(settings: &Settings, name: &str) -> Option<Diagnostic> {
    settings.duration(name).filter(Duration::is_zero)?;
    let error = settings.error(name, "http.no_time", format!("`{name}: 0s` leaves no time for an answer"));
    Some(error.hint("write how long it may take, for example `10s`"))
}

impl Base {
    /// Reads the settings of a connection, and the PEM files that they name.
    pub(super) fn new(config: &ConnectionConfig, folder: &Path) -> Result<Self, Diagnostics> {
        let (settings, mut found) = (&config.settings, Diagnostics::new());
        let url = settings.text("base_url").map_or("", |url| url);
        let place = match Place::parse(url) {
            Ok(place) => place,
            Err((message, hint)) => return Err(settings.error("base_url", "http.base_url", message).hint(hint).into()),
        };
        let block_private = settings.flag("block_private");
        if block_private && place.host.parse::<IpAddr>().is_ok_and(private::is_private) {
            let message = format!("{} is an address of this machine or of a private network", place.host);
            let error = settings.error("base_url", "http.private", message);
            found.push(error.hint("choose a public address, or leave out `block_private`"));
        }
        let tls = match &place.scheme {
            scheme if *scheme == Scheme::HTTPS => {
                found.take(tls::from_settings(settings, folder, "http.tls", PROTOCOLS))
            }
            _ => None,
        };
        let (headers, secret) = found.take(fixed_headers(settings, &place)).unwrap_or_default();
        let limits = ["timeout", "connect_timeout"].into_iter().filter_map(|name| no_time(settings, name));
        limits.for_each(|error| found.push(error));
        if found.has_errors() {
            return Err(found);
        }
        Ok(Self {
            tls,
            headers,
            secret,
            timeout: settings.duration("timeout").unwrap_or(TIMEOUT),
            connect_timeout: settings.duration("connect_timeout").unwrap_or(CONNECT_TIMEOUT),
            block_private,
            host: place.host,
            port: place.port,
            path: place.path,
        })
    }

    /// Scheme, host and port, for people.
    pub(super) fn origin(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let host = self.headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or(&self.host);
        format!("{scheme}://{host}")
    }

    /// Whether the value of a header that goes with every request is not shown.
    pub(super) fn is_secret(&self, name: &HeaderName) -> bool {
        self.secret.contains(name)
    }
}

/// The parts of a `base_url`.
#[derive(Debug)]
struct Place {
    scheme: Scheme,
    host: String,
    port: u16,
    /// What goes into `Host`.
    authority: String,
    path: String,
    /// Name and password before the host, decoded.
    user: Option<String>,
}

impl Place {
    fn parse(url: &str) -> Result<Self, (String, &'static str)> {
        const HINT: &str = "write it as https://HOST/PATH or http://HOST:PORT";
        // The URL may hold a password, so no message repeats it.
        if url.contains('#') {
            return Err(("a base URL has no fragment".into(), HINT));
        }
        let uri: Uri = url.parse().map_err(|error| (format!("this is no URL: {error}"), HINT))?;
        let scheme = uri.scheme().filter(|scheme| **scheme == Scheme::HTTP || **scheme == Scheme::HTTPS).cloned();
        let Some(scheme) = scheme else { return Err(("the scheme is neither http nor https".into(), HINT)) };
        if uri.query().is_some() {
            return Err(("a base URL has no query: it stands before each target's path".into(), HINT));
        }
        let authority = uri.authority().map_or("", Authority::as_str);
        let (user, authority) = match authority.rsplit_once('@') {
            Some((user, rest)) => (Some(percent_decode_str(user).decode_utf8_lossy().into_owned()), rest),
            None => (None, authority),
        };
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        if host.is_empty() {
            return Err(("the host is missing".into(), HINT));
        }
        let usual = if scheme == Scheme::HTTPS { 443 } else { 80 };
        let port = match authority.rsplit_once(':').filter(|(_, port)| !port.ends_with(']')) {
            Some((_, port)) => port.parse().map_err(|_| (format!("`{port}` is no port"), HINT))?,
            None => usual,
        };
        let path = uri.path().to_owned();
        Ok(Self { scheme, host, port, authority: authority.to_owned(), path, user })
    }
}

fn fixed_headers(settings: &Settings, place: &Place) -> Result<(HeaderMap, Vec<HeaderName>), Diagnostics> {
    let (mut headers, mut secret, mut found) = (HeaderMap::new(), Vec::new(), Diagnostics::new());
    headers.insert(USER_AGENT, AGENT);
    if let Ok(host) = HeaderValue::from_str(&place.authority) {
        headers.insert(HOST, host);
    }
    for (name, value) in settings.map("headers") {
        let text = value.value.as_text().map_or("", |text| text);
        match (header_name(name), HeaderValue::from_str(text)) {
            (Ok(name), Ok(text)) => {
                if matches!(value.value, Setting::Secret { .. }) {
                    secret.push(name.clone());
                }
                headers.insert(name, text);
            }
            (Err(error), _) => found.push(settings.error("headers", "http.header", error)),
            (_, Err(_)) => {
                let message = format!("the value of {name} holds what a header cannot");
                found.push(settings.error("headers", "http.header", message));
            }
        }
    }
    let credentials = match (credentials(settings), &place.user) {
        (Some(_), Some(_)) => {
            let message = "there are credentials in `base_url` and under `auth`";
            found.push(settings.error("auth", "http.auth_twice", message).hint("leave one of them out"));
            None
        }
        (credentials, user) => credentials.or_else(|| user.as_deref().map(basic)),
    };
    match credentials.map(HeaderValue::try_from) {
        Some(Ok(credentials)) => {
            headers.insert(AUTHORIZATION, credentials);
            secret.push(AUTHORIZATION);
        }
        Some(Err(_)) => {
            let message = "the credentials hold what a header cannot, such as a line break";
            found.push(settings.error("auth", "http.auth", message));
        }
        None => {}
    }
    if found.has_errors() { Err(found) } else { Ok((headers, secret)) }
}

fn credentials(settings: &Settings) -> Option<String> {
    let (kind, value) = settings.variant("auth")?;
    if kind == "bearer" {
        return Some(format!("Bearer {}", value.value.as_text()?.trim()));
    }
    let Setting::Group(pair) = &value.value else { return None };
    let part = |name| pair.text(name).map_or("", |text| text);
    Some(basic(&format!("{}:{}", part("user"), part("password"))))
}

fn basic(pair: &str) -> String {
    format!("Basic {}", STANDARD.encode(pair))
}

/// A header name that configuration may set.
///
/// # Errors
/// It is no name, or the header is not the configuration's to set.
pub(super) fn header_name(name: &str) -> Result<HeaderName, String> {
    let parsed = HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("`{name}` is no header name"))?;
    if is_configurable(parsed.as_str()) {
        return Ok(parsed);
    }
    Err(format!("`{name}` is set by the client itself: leave it out"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_urls_apart() {
        for (url, origin, path, user) in [
            ("http://127.0.0.1:1", "127.0.0.1 1 127.0.0.1:1", "/", None),
            ("https://erp.example/api/", "erp.example 443 erp.example", "/api/", None),
            ("http://[::1]:8080/a", "::1 8080 [::1]:8080", "/a", None),
            ("http://u:p%40w@h/", "h 80 h", "/", Some("u:p@w")),
        ] {
            let place = Place::parse(url).unwrap();
            assert_eq!(format!("{} {} {}", place.host, place.port, place.authority), origin, "{url}");
            assert_eq!((&*place.path, place.user.as_deref()), (path, user), "{url}");
        }
        for url in [
            "",
            "erp.example",
            "ftp://h",
            "http://",
            "http://h?x=1",
            "http://h/#a",
            "http://h:99999",
            "/a",
            "http:// h",
        ] {
            assert!(Place::parse(url).is_err(), "{url}");
        }
    }
}
