//! A path and method of the listener, and the session behind it.

use super::{auth::Auth, path, session::Session};
use arc_swap::ArcSwapOption;
use crossdock_connector::{Diagnostics, SourceConfig};
use crossdock_model::Text;
use http::Method;

/// What a request meets at its path.
#[derive(Debug)]
pub(super) struct Endpoint {
    /// The route, part of what an idempotency key belongs to.
    pub(super) route: Text,
    /// The path in the form in which it is compared.
    pub(super) path: Text,
    pub(super) method: Method,
    pub(super) body_bytes_max: u64,
    pub(super) auth: Auth,
    /// The session that takes requests; none while the source is not open.
    pub(super) session: ArcSwapOption<Session>,
}

impl Endpoint {
    pub(super) fn new(config: &SourceConfig) -> Result<Self, Diagnostics> {
        let (settings, mut found) = (&config.settings, Diagnostics::new());
        let path = settings.text("path").cloned().unwrap_or_default();
        if let Some((message, hint)) = unfit(&path) {
            found.push(settings.error("path", "http.path", message).hint(hint));
        }
        let auth = found.take(Auth::new(settings)).unwrap_or_default();
        let method = settings.text("method").and_then(|method| method.parse().ok()).unwrap_or(Method::POST);
        if found.has_errors() {
            return Err(found);
        }
        Ok(Self {
            route: config.route.clone(),
            path: path::typed(&path).into(),
            method,
            body_bytes_max: settings.size("max_body").unwrap_or(1 << 20),
            auth,
            session: ArcSwapOption::empty(),
        })
    }
}

/// Why a text is no path to listen on, and how to mend it.
fn unfit(path: &str) -> Option<(String, String)> {
    if !path.starts_with('/') {
        return Some((format!("`{path}` is no path: it must start with `/`"), format!("write `/{path}`")));
    }
    let bad = path.chars().find(|c| "?#{}*".contains(*c) || c.is_control())?;
    let hint = match bad {
        '?' | '#' => "leave out what follows: the query is not compared and comes as `%origin.query`",
        _ => "a path is compared letter by letter; give each one a route of its own",
    };
    Some((format!("a path to listen on cannot have {bad:?} in it"), hint.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_paths_that_nobody_can_request() {
        for (path, fits) in [
            ("/orders", true),
            ("/", true),
            ("/a b/ü%20", true),
            ("orders", false),
            ("", false),
            ("/orders?x=1", false),
            ("/orders/{id}", false),
            ("/orders/*", false),
            ("/a#b", false),
            ("/a\r\n", false),
        ] {
            assert_eq!(unfit(path).is_none(), fits, "{path:?}");
        }
    }
}
