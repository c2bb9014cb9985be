//! What an answer, or its absence, means (blame.md).

use super::client::{Answer, Trouble};
use crossdock_model::{Answer as By, Fault, FaultClass};
use http::{HeaderMap, StatusCode, header::RETRY_AFTER};
use std::{
    fmt::Write as _,
    time::{Duration, SystemTime},
};

/// Most characters of an answer's body in a fault's text.
const EXCERPT_CHARS_MAX: usize = 300;

/// What a target's configuration makes of a status.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Meaning {
    /// The service has what it should have.
    Delivered,
    /// A fault of this class.
    Fault(FaultClass),
}

impl Meaning {
    /// The meaning of a name: `delivered` or a class.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        if name == "delivered" { Some(Self::Delivered) } else { FaultClass::from_name(name).map(Self::Fault) }
    }

    /// What blame.md says of a status: 2xx is success; 429 is `Busy`, as is 503 with a time to wait; credentials,
    /// time-outs, redirects and 5xx are `Failed`; any other 4xx is `Rejected`.
    fn of(status: StatusCode, tells_when: bool) -> Self {
        match status.as_u16() {
            200..=299 => Self::Delivered,
            429 => Self::Fault(FaultClass::Busy),
            503 if tells_when => Self::Fault(FaultClass::Busy),
            401 | 403 | 407 | 408 => Self::Fault(FaultClass::Failed),
            400..=499 => Self::Fault(FaultClass::Rejected),
            _ => Self::Fault(FaultClass::Failed),
        }
    }
}

/// Whether the service refuses our credentials.
pub(super) fn is_denied(status: StatusCode) -> bool {
    matches!(status.as_u16(), 401 | 403 | 407)
}

/// What an answer means, where the configuration says nothing else.
///
/// # Errors
/// The fault, code `http.STATUS`.
pub(super) fn verdict(answer: &Answer, configured: Option<Meaning>) -> Result<(), Fault> {
    let retry_after = retry_after(&answer.headers, SystemTime::now());
    match configured.unwrap_or_else(|| Meaning::of(answer.status, retry_after.is_some())) {
        Meaning::Delivered => Ok(()),
        Meaning::Fault(class) => {
            let by = if matches!(answer.status.as_u16(), 429 | 502..=504) { By::Intermediary } else { By::Application };
            let code = format!("http.{}", answer.status.as_u16());
            Err(Fault::new(class, code, describe(answer)).answered_by(by).retry_after(retry_after))
        }
    }
}

/// The fault of a request without an answer.
pub(super) fn of_trouble(trouble: Trouble) -> Fault {
    let (class, code, text) = match trouble {
        Trouble::NotSent(error) => (FaultClass::Unreachable, error.code, error.text),
        Trouble::Broken { code, text } => (FaultClass::Failed, code, text),
    };
    Fault::new(class, code, text).answered_by(By::Nobody)
}

/// `the service answered 422 Unprocessable Entity: …`, with the printable beginning of the body. Where a redirect leads is
/// not told: it may hold what is of the one message.
fn describe(answer: &Answer) -> String {
    let mut text = format!("the service answered {}", answer.status.as_u16());
    if let Some(reason) = answer.status.canonical_reason() {
        // Writing to a string cannot fail.
        let _ = write!(text, " {reason}");
    }
    if answer.status.is_redirection() {
        text.push_str(" (redirects are not followed: `base_url` and `path` must name the final place)");
    }
    let body = String::from_utf8_lossy(&answer.excerpt);
    let printable: String = body.chars().map(|c| if c.is_control() || c == '\u{fffd}' { ' ' } else { c }).collect();
    let words: Vec<_> = printable.split_whitespace().collect();
    if !words.is_empty() {
        text.push_str(": ");
        text.extend(words.join(" ").chars().take(EXCERPT_CHARS_MAX));
    }
    text
}

/// How long the service asks to wait: seconds or a date (RFC 9110 §10.2.3). A date gone by is no wait.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let at = httpdate::parse_http_date(value).ok()?;
    Some(at.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use std::time::UNIX_EPOCH;

    fn answer(status: u16, retry_after: Option<&str>, body: &[u8]) -> Answer {
        let mut headers = HeaderMap::new();
        if let Some(value) = retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from_str(value).unwrap());
        }
        Answer { status: StatusCode::from_u16(status).unwrap(), headers, excerpt: body.to_vec() }
    }

    #[test]
    fn statuses_have_their_class() {
        use FaultClass::{Busy, Failed, Rejected};
        for (status, wait, class, by) in [
            (200, None, None, By::Application),
            (204, None, None, By::Application),
            (301, None, Some(Failed), By::Application),
            (400, None, Some(Rejected), By::Application),
            (401, None, Some(Failed), By::Application),
            (403, None, Some(Failed), By::Application),
            (404, None, Some(Rejected), By::Application),
            (407, None, Some(Failed), By::Application),
            (408, None, Some(Failed), By::Application),
            (409, None, Some(Rejected), By::Application),
            (422, None, Some(Rejected), By::Application),
            (429, None, Some(Busy), By::Intermediary),
            (429, Some("7"), Some(Busy), By::Intermediary),
            (500, None, Some(Failed), By::Application),
            (500, Some("7"), Some(Failed), By::Application),
            (501, None, Some(Failed), By::Application),
            (502, None, Some(Failed), By::Intermediary),
            (503, None, Some(Failed), By::Intermediary),
            (503, Some("7"), Some(Busy), By::Intermediary),
            (504, None, Some(Failed), By::Intermediary),
        ] {
            let verdict = verdict(&answer(status, wait, b""), None);
            assert_eq!(verdict.as_ref().err().map(|fault| fault.class), class, "{status}");
            if let Err(fault) = verdict {
                assert_eq!((&*fault.code, fault.answer), (&*format!("http.{status}"), by), "{status}");
                assert_eq!(fault.retry_after, wait.map(|_| Duration::from_secs(7)), "{status}");
            }
        }
    }

    #[test]
    fn configuration_comes_first() {
        let class = |status, name| verdict(&answer(status, None, b""), Meaning::from_name(name)).err().map(|f| f.class);
        assert_eq!(class(409, "delivered"), None);
        assert_eq!(class(404, "failed"), Some(FaultClass::Failed));
        assert_eq!(class(200, "rejected"), Some(FaultClass::Rejected));
        assert_eq!(Meaning::from_name("gone"), None);
    }

    #[test]
    fn texts_are_printable_and_short() {
        let text = |body: &[u8]| verdict(&answer(422, None, body), None).unwrap_err().text.to_string();
        assert_eq!(text(b""), "the service answered 422 Unprocessable Entity");
        assert_eq!(
            text(b"{\"a\":\r\n\x1b[31m 1}\xff"),
            "the service answered 422 Unprocessable Entity: {\"a\": [31m 1}"
        );
        assert!(text(&[b'x'; 512]).len() < 400);
    }

    #[test]
    fn waits_are_seconds_or_dates() {
        let now = UNIX_EPOCH + Duration::from_secs(784_111_777);
        for (value, wait) in [
            ("120", Some(120)),
            ("Sun, 06 Nov 1994 08:49:47 GMT", Some(10)),
            ("Sun, 06 Nov 1994 08:49:07 GMT", Some(0)),
            ("soon", None),
            ("-1", None),
            ("", None),
        ] {
            let headers = answer(503, Some(value), b"").headers;
            assert_eq!(retry_after(&headers, now), wait.map(Duration::from_secs), "{value}");
        }
    }
}
