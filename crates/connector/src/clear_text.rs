//! Credentials that leave without TLS, so that whoever is on the way can read them: allowed, and said by `check`.

use crate::{Diagnostic, Settings};
use std::net::IpAddr;

/// The warning that a connection's credentials, under `auth` or in the URL that `url` names, go to one of these hosts as they
/// are. There is none where there are no credentials, nor where all of the hosts are this machine.
#[must_use]
pub fn warning<'h>(
    settings: &Settings,
    url: &str,
    hosts: impl IntoIterator<Item = &'h str>,
    hint: &str,
) -> Option<Diagnostic> {
    let in_url = || settings.text(url).is_some_and(|url| url.contains('@')).then_some(url);
    let key = settings.get("auth").map(|_| "auth").or_else(in_url)?;
    let host = hosts.into_iter().find(|host| !is_this_machine(host))?;
    let message = format!("the credentials go to `{host}` without TLS: whoever is on the way can read them");
    Some(Diagnostic::warning("connection.clear_text", settings.span_of(key), message).hint(hint))
}

/// Whether a name or an address, with or without brackets, is loopback (RFC 6761 §6.3 for the names).
fn is_this_machine(host: &str) -> bool {
    let host = host.trim_matches(['[', ']']).trim_end_matches('.').to_ascii_lowercase();
    match host.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => host == "localhost" || host.ends_with(".localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_loopback_and_nothing_else() {
        for host in
            ["127.0.0.1", "127.9.9.9", "::1", "[::1]", "::ffff:127.0.0.1", "localhost", "LocalHost.", "a.localhost"]
        {
            assert!(is_this_machine(host), "{host}");
        }
        for host in ["10.0.0.1", "rabbit", "localhost.example", "::", "0.0.0.0", "192.168.1.1", ""] {
            assert!(!is_this_machine(host), "{host}");
        }
    }
}
