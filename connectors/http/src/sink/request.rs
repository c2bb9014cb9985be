//! A target's settings, finished, and the request that a message becomes.

use super::{
    base::{header_name, no_time},
    client::Client,
    fault::Meaning,
};
use crate::convert::{self, Losses};
use bytes::Bytes;
use crossdock_connector::{
    Diagnostics, Outgoing, SinkConfig, Slot,
    mapping::{self, Part},
};
use crossdock_model::{Fault, uri};
use http::{HeaderName, HeaderValue, Method, Request, StatusCode, Uri, header::CONTENT_LENGTH};
use http_body_util::Full;
use percent_encoding::utf8_percent_encode;
use std::time::Duration;

/// A target.
#[derive(Debug)]
pub(crate) struct Target {
    path: Option<Slot>,
    method: Method,
    headers: Vec<(HeaderName, Slot)>,
    timeout: Option<Duration>,
    pub(super) in_flight_max: usize,
    status: Vec<(StatusCode, Meaning)>,
    forward_origin: bool,
    strict: bool,
}

impl Target {
    pub(super) fn new(config: &SinkConfig) -> Result<Self, Diagnostics> {
        let (settings, mut found) = (&config.settings, Diagnostics::new());
        if settings.formula("path").is_some_and(|formula| has_dot_segment(&formula.text)) {
            let error =
                settings.error("path", "http.path", "a path has no `.` or `..` in it: services read it in two ways");
            found.push(error.hint("write the path out"));
        }
        let mut headers = Vec::new();
        for (name, value) in settings.map("headers") {
            match (header_name(name), value.value.as_formula()) {
                (Ok(name), Some(formula)) => headers.push((name, formula.slot)),
                (Ok(_), None) => {}
                (Err(message), _) => found.push(settings.error("headers", "http.header", message)),
            }
        }
        let mut status = Vec::new();
        for (code, meaning) in settings.map("status") {
            let parsed = code.parse().ok().filter(|code: &StatusCode| (200..600).contains(&code.as_u16()));
            match (parsed, meaning.value.as_text().and_then(|name| Meaning::from_name(name))) {
                (Some(code), Some(meaning)) => status.push((code, meaning)),
                (None, _) => {
                    let error = settings.error("status", "http.status", format!("`{code}` is no status of an answer"));
                    found.push(error.hint("write a number from 200 to 599"));
                }
                (Some(_), None) => {}
            }
        }
        no_time(settings, "timeout").into_iter().for_each(|error| found.push(error));
        if found.has_errors() {
            return Err(found);
        }
        Ok(Self {
            path: settings.slot("path"),
            method: settings.text("method").and_then(|method| method.parse().ok()).unwrap_or(Method::POST),
            headers,
            timeout: settings.duration("timeout"),
            in_flight_max: settings.integer("max_in_flight").and_then(|n| usize::try_from(n).ok()).unwrap_or(64),
            status,
            forward_origin: config.forward_origin,
            strict: config.strict,
        })
    }

    /// How long a request may take: the target's word, else the connection's.
    pub(super) fn timeout(&self, client: &Client) -> Duration {
        self.timeout.unwrap_or(client.base().timeout)
    }

    /// What the configuration makes of a status, where it says something.
    pub(super) fn meaning(&self, status: StatusCode) -> Option<Meaning> {
        self.status.iter().find(|(code, _)| *code == status).map(|(_, meaning)| *meaning)
    }

    /// The request that a message becomes, and what it could not carry.
    ///
    /// # Errors
    /// What the message makes impossible: `Rejected`.
    pub(super) fn request(&self, message: &Outgoing, client: &Client) -> Result<(Request<Full<Bytes>>, Losses), Fault> {
        let base = client.base();
        let path = self.path.map_or("", |slot| message.rendered.text(slot));
        let uri = uri(&base.path, path)?;
        let (mut headers, mut losses) = convert::write(message, &base.headers, &self.headers, self.forward_origin)?;
        let payload = message.envelope.payload.as_ref();
        let bodiless = self.method == Method::GET || self.method == Method::HEAD;
        let (body, is_lost) = match payload {
            Some(payload) if bodiless => (Bytes::new(), !payload.is_empty()),
            Some(payload) => (payload.clone(), false),
            // An empty body is another thing than none.
            None => (Bytes::new(), !bodiless),
        };
        if is_lost {
            losses.push(Part::Payload.lost());
        }
        if self.strict {
            mapping::strictly("HTTP", &losses)?;
        }
        if body.is_empty() && !bodiless {
            // hyper leaves it out, and some servers then ask for it (411).
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        Ok((request, losses))
    }
}

/// Base and path in origin form.
fn uri(base: &str, path: &str) -> Result<Uri, Fault> {
    if has_dot_segment(path) {
        return Err(Fault::rejected("http.path", "the path has a segment `.` or `..`"));
    }
    // To many services `/api` and `/api/` are two things, so without a path the base goes out as it is written.
    let (base, between) = match path.as_bytes().first() {
        None | Some(b'?') => (base, ""),
        Some(b'/') => (base.trim_end_matches('/'), ""),
        Some(_) => (base.trim_end_matches('/'), "/"),
    };
    let whole = format!("{base}{between}{}", utf8_percent_encode(path, uri::TYPED));
    Uri::try_from(whole).map_err(|error| Fault::rejected("http.path", format!("the path is none: {error}")))
}

/// Whether a path climbs or stands still, also where its dots are encoded.
fn has_dot_segment(path: &str) -> bool {
    let path = path.split_once('?').map_or(path, |(path, _)| path);
    path.split(['/', '\\']).any(|segment| {
        let plain = segment.to_ascii_lowercase().replace("%2e", ".");
        plain == "." || plain == ".."
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_appended() {
        for (base, path, expected) in [
            ("/api", "/orders/o-4", Some("/api/orders/o-4")),
            ("/api", "orders", Some("/api/orders")),
            ("/api", "", Some("/api")),
            ("/api/", "/orders", Some("/api/orders")),
            ("/api/", "orders", Some("/api/orders")),
            ("/api/", "/", Some("/api/")),
            ("/api/", "", Some("/api/")),
            ("/", "", Some("/")),
            ("/", "orders", Some("/orders")),
            ("/", "?q=1", Some("/?q=1")),
            ("/api", "?q=1", Some("/api?q=1")),
            ("/api/", "?q=1", Some("/api/?q=1")),
            ("/", "/a b/ü#x", Some("/a%20b/%C3%BC%23x")),
            ("/", "/a%2Fb/%E2%82%AC?x=..", Some("/a%2Fb/%E2%82%AC?x=..")),
            ("/", "/a\r\nx: y", Some("/a%0D%0Ax:%20y")),
            ("/", "/a/../b", None),
            ("/", "/a/%2e%2E", None),
            ("/", "/./a", None),
            ("/", "/a/..", None),
            ("/", "/a...", Some("/a...")),
        ] {
            let uri = uri(base, path).ok().map(|uri| uri.to_string());
            assert_eq!(uri.as_deref(), expected, "{base} {path}");
        }
    }
}
