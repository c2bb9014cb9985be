//! Which headers are the user's. One rule for both ways: what a request's user headers leave out, a message's user
//! headers never set.

use crossdock_model::is_reserved;

/// Headers that speak of the connection and not of the message (RFC 9110 §7.6.1 and what came before it).
const HOP_BY_HOP: &[&str] = &[
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Headers that are fields of the envelope, or the sender's own affair.
const FIELDS_AND_CONTROL: &[&str] = &[
    "authorization",
    "cookie",
    "date",
    "expect",
    "host",
    "idempotency-key",
    "traceparent",
    "tracestate",
    "user-agent",
    "x-correlation-id",
];

/// Whether a header of this name, in lower case, is a user header.
pub(crate) fn is_user_header(name: &str) -> bool {
    !(name.starts_with("content-")
        || name.starts_with("accept")
        || is_reserved(name)
        || FIELDS_AND_CONTROL.contains(&name)
        || HOP_BY_HOP.contains(&name))
}

/// Whether a target's configuration may set a header of this name: not what frames the request or speaks of the
/// connection.
pub(crate) fn is_configurable(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name != "content-length" && name != "expect" && (name == "te" || !HOP_BY_HOP.contains(&&*name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_control_headers_apart() {
        for name in ["x-unit", "webhook-id", "forwarded", "etag", "ce-id", "x-crossdock", "priority"] {
            assert!(is_user_header(name), "{name}");
        }
        for name in ["host", "te", "content-md5", "accept-language", "crossdock-key", "CROSSDOCK-x", "date", "upgrade"]
        {
            assert!(!is_user_header(name), "{name}");
        }
        for (name, may) in [("Authorization", true), ("Host", true), ("Content-Type", true), ("Content-Length", false)]
        {
            assert_eq!(is_configurable(name), may, "{name}");
        }
    }
}
