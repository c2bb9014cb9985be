//! Who may send: credentials, compared in constant time.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use crossdock_connector::{Diagnostics, Setting, Settings};
use crossdock_model::{Digest, DigestBuilder, Text};
use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use subtle::ConstantTimeEq;

/// What an endpoint asks for. Digests are compared, so that not even the length of a secret shows in the time.
#[derive(Debug, Default)]
pub(super) enum Auth {
    /// Nothing.
    #[default]
    Open,
    /// A token.
    Bearer { token: Digest },
    /// A name and a password.
    Basic { pair: Digest, principal: Text },
}

impl Auth {
    /// What the section asks for.
    pub(super) fn new(settings: &Settings) -> Result<Self, Diagnostics> {
        let Some((kind, value)) = settings.variant("auth") else { return Ok(Self::Open) };
        let empty = |what: &str| {
            let error =
                settings.error("auth", "http.auth_empty", format!("the {what} is empty, so anybody would pass"));
            Diagnostics::from(error.hint("set it, or leave out `auth` if anybody may send"))
        };
        if kind == "bearer" {
            let token = value.value.as_text().map_or("", |token| token);
            return if token.is_empty() { Err(empty("token")) } else { Ok(Self::bearer(token)) };
        }
        let Setting::Group(pair) = &value.value else { return Err(empty("password")) };
        let (user, password) = (pair.text("user"), pair.text("password"));
        let (user, password) = (user.map_or("", |text| text), password.map_or("", |text| text));
        if user.contains(':') {
            let error = settings.error("auth", "http.auth_user", "a user's name cannot hold a colon (RFC 7617)");
            return Err(error.hint("choose a name without one").into());
        }
        if password.is_empty() { Err(empty("password")) } else { Ok(Self::basic(user, password)) }
    }

    fn bearer(token: &str) -> Self {
        Self::Bearer { token: digest(token.as_bytes()) }
    }

    fn basic(user: &str, password: &str) -> Self {
        Self::Basic { pair: digest(format!("{user}:{password}").as_bytes()), principal: format!("basic:{user}").into() }
    }

    /// Who sends, as part of what an idempotency key belongs to; none if he may not. A token that is changed stays the
    /// same caller, so that keys outlive it.
    pub(super) fn principal(&self, headers: &HeaderMap) -> Option<&str> {
        let credentials = |scheme: &str| {
            let (given, rest) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
            given.eq_ignore_ascii_case(scheme).then(|| rest.trim_start_matches(' '))
        };
        match self {
            Self::Open => Some(""),
            Self::Bearer { token } => {
                let given = digest(credentials("bearer")?.as_bytes());
                bool::from(given.0.ct_eq(&token.0)).then_some("bearer")
            }
            Self::Basic { pair, principal } => {
                let given = digest(&STANDARD.decode(credentials("basic")?).ok()?);
                bool::from(given.0.ct_eq(&pair.0)).then_some(principal)
            }
        }
    }

    /// What to show beside 401.
    pub(super) const fn challenge(&self) -> HeaderValue {
        match self {
            Self::Open | Self::Bearer { .. } => HeaderValue::from_static("Bearer realm=\"crossdock\""),
            Self::Basic { .. } => HeaderValue::from_static("Basic realm=\"crossdock\", charset=\"UTF-8\""),
        }
    }
}

fn digest(secret: &[u8]) -> Digest {
    DigestBuilder::new("http.credentials").part(secret).finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_right_credentials_only() {
        let (bearer, basic) = (Auth::bearer("s3cret"), Auth::basic("ada", "p:w"));
        for (auth, header, principal) in [
            (&bearer, Some("Bearer s3cret"), Some("bearer")),
            (&bearer, Some("bearer  s3cret"), Some("bearer")),
            (&bearer, Some("Bearer s3cre"), None),
            (&bearer, Some("Bearer s3cret "), None),
            (&bearer, Some("Bearer "), None),
            (&bearer, Some("s3cret"), None),
            (&bearer, Some("Basic s3cret"), None),
            (&bearer, None, None),
            (&basic, Some("Basic YWRhOnA6dw=="), Some("basic:ada")),
            (&basic, Some("basic YWRhOnA6dw=="), Some("basic:ada")),
            (&basic, Some("Basic YWRhOng="), None),
            (&basic, Some("Basic ?"), None),
            (&basic, Some("Bearer YWRhOnA6dw=="), None),
            (&Auth::Open, None, Some("")),
            (&Auth::Open, Some("Bearer x"), Some("")),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(value) = header {
                headers.insert(AUTHORIZATION, HeaderValue::from_static(value));
            }
            assert_eq!(auth.principal(&headers), principal, "{header:?}");
        }
    }
}
