//! Who may talk to the admin listener: the `Host` that is meant, and the bearer of the token.
//!
//! The `Host` check keeps a web page from reaching a loopback listener under a name of its own that resolves here
//! (DNS rebinding): a page can choose the name, but not make a browser send another one. It holds for every path. The
//! token is asked for everywhere but at the probes and metrics.

use crate::Problem;
use axum::{
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header, uri::Authority},
    middleware::Next,
    response::{IntoResponse, Response},
};
use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};
use subtle::ConstantTimeEq;

/// What a request must show.
#[derive(Debug)]
pub struct Guard {
    hosts: Vec<String>,
    address: IpAddr,
    token: Token,
}

/// A secret that is never printed and compared in constant time.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    /// A token; without surrounding white space, as a file has it.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.trim().to_owned())
    }

    /// The text, to be sent.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    fn matches(&self, given: &str) -> bool {
        self.0.as_bytes().ct_eq(given.as_bytes()).into()
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token")
    }
}

impl Guard {
    /// A guard for a listener at the address, which also answers to the names given.
    #[must_use]
    pub fn new(address: SocketAddr, hosts: &[String], token: Token) -> Self {
        let hosts = hosts.iter().map(|host| host_of(host).to_ascii_lowercase()).collect();
        Self { hosts, address: address.ip(), token }
    }

    /// Whether the request names this listener. Ports are not compared: a forwarded port is another one.
    fn knows_host(&self, host: &str) -> bool {
        let name = host_of(host).to_ascii_lowercase();
        if name == "localhost" || self.hosts.contains(&name) {
            return true;
        }
        match name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
            // A listener on all addresses cannot name its own; an address in numbers cannot be rebound.
            Ok(ip) => ip == self.address || self.address.is_unspecified(),
            Err(_) => false,
        }
    }

    fn check_host(&self, request: &Request) -> Result<(), Problem> {
        let named = request.headers().get(header::HOST).and_then(|value| value.to_str().ok());
        let host = request.uri().authority().map(Authority::as_str).or(named);
        match host {
            Some(host) if self.knows_host(host) => Ok(()),
            Some(host) => Err(Problem::new(
                StatusCode::MISDIRECTED_REQUEST,
                "host.unknown",
                format!("this listener does not answer to the host `{host}`; name it under gateway.admin.hosts"),
            )),
            None => Err(Problem::new(
                StatusCode::MISDIRECTED_REQUEST,
                "host.missing",
                "the request has no Host header; send the listener's address",
            )),
        }
    }

    fn check_token(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let bearer = given.and_then(|value| {
            let (scheme, rest) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| rest.trim())
        });
        match bearer {
            Some(token) if self.token.matches(token) => Ok(()),
            Some(_) => Err(denied("token.wrong", "the token is not this gateway's")),
            None => Err(denied("token.missing", "send `Authorization: Bearer TOKEN`; see <data_dir>/admin.token")),
        }
    }
}

fn denied(code: &'static str, detail: &str) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, code, detail)
}

/// The host without its port; an address in brackets keeps them.
fn host_of(text: &str) -> &str {
    match text.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !is_bare_v6(text) => host,
        Some(_) | None => text,
    }
}

fn is_bare_v6(text: &str) -> bool {
    !text.starts_with('[') && text.matches(':').count() > 1
}

/// Middleware: 421 for a foreign host.
pub async fn require_host(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    match guard.check_host(&request) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

/// Middleware: 401 without the token.
pub async fn require_token(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    match guard.check_token(request.headers()) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(listen: &str, hosts: &[&str], asked: &str, known: bool) {
        let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let guard = Guard::new(listen.parse().unwrap(), &hosts, Token::new("t"));
        assert_eq!(guard.knows_host(asked), known, "{asked} at {listen}");
    }

    #[test]
    fn only_its_own_names_are_answered() {
        check("127.0.0.1:8090", &[], "127.0.0.1:8090", true);
        check("127.0.0.1:8090", &[], "127.0.0.1", true);
        check("127.0.0.1:8090", &[], "LocalHost:1", true);
        check("127.0.0.1:8090", &[], "evil.example:8090", false);
        check("127.0.0.1:8090", &[], "10.0.0.1:8090", false);
        check("127.0.0.1:8090", &[], "127.0.0.1.evil.example", false);
        check("127.0.0.1:8090", &[], "localhost.evil.example", false);
        check("127.0.0.1:8090", &[], "", false);
        check("127.0.0.1:8090", &["gate.example"], "GATE.example:443", true);
        check("127.0.0.1:8090", &["gate.example:8090"], "gate.example", true);
        check("[::1]:8090", &[], "[::1]:8090", true);
        check("[::1]:8090", &[], "[::1]", true);
        check("[::1]:8090", &[], "127.0.0.1", false);
        check("0.0.0.0:8090", &[], "10.1.2.3:8090", true);
        check("0.0.0.0:8090", &[], "evil.example", false);
    }

    #[test]
    fn only_the_bearer_of_the_token_is_let_in() {
        let guard = Guard::new("127.0.0.1:1".parse().unwrap(), &[], Token::new("secret\n"));
        let code = |value: Option<&str>| {
            let mut headers = HeaderMap::new();
            if let Some(value) = value {
                headers.insert(header::AUTHORIZATION, value.parse().unwrap());
            }
            guard.check_token(&headers).err().map(|problem| problem.code)
        };
        assert_eq!(code(Some("Bearer secret")), None);
        assert_eq!(code(Some("bearer secret")), None);
        assert_eq!(code(Some("Bearer Secret")), Some("token.wrong"));
        assert_eq!(code(Some("Bearer secret2")), Some("token.wrong"));
        assert_eq!(code(Some("Bearer ")), Some("token.wrong"));
        assert_eq!(code(Some("Basic secret")), Some("token.missing"));
        assert_eq!(code(None), Some("token.missing"));
    }
}
