//! The audit: reading it, and how handlers keep it.

use super::{Answer, Shared, json};
use crate::{
    Problem,
    audit::{Action, Audit, Caller, Outcome},
    extract::{Params, limit, no_cursor},
};
use axum::{
    extract::{FromRequestParts, State},
    http::{HeaderMap, StatusCode, request::Parts},
};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::{convert::Infallible, net::SocketAddr};

/// The header in which a client says who uses it.
const OPERATOR: &str = "crossdock-operator";
/// Longest name of an operator, in characters.
const OPERATOR_MAX: usize = 100;

/// The address that a connection came from.
#[derive(Clone, Copy, Debug)]
pub struct Remote(pub SocketAddr);

/// Which entries are listed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listing {
    cursor: Option<String>,
    limit: Option<usize>,
}

/// `GET /audit`: who did what, the newest first.
pub async fn list(State(shared): State<Shared>, Params(asked): Params<Listing>) -> Answer {
    let limit = limit(asked.limit)?;
    let before = asked.cursor.map(|cursor| cursor.parse().map_err(|_| cursor)).transpose();
    let before = before.map_err(|cursor| no_cursor(&cursor))?;
    let page = blocking(&shared.audit, move |audit| audit.list(before, limit)).await?;
    let page =
        page.map_err(|error| Problem::internal("audit.unreadable", format!("cannot read the audit: {error}")))?;
    Ok(json(StatusCode::OK, &page))
}

/// Something that is done for somebody.
pub struct Deed {
    action: Action,
    subject: String,
    details: Map<String, Value>,
}

impl Deed {
    /// A deed without details.
    pub fn new(action: Action, subject: impl Into<String>) -> Self {
        Self { action, subject: subject.into(), details: Map::new() }
    }

    /// The same with a detail, where there is one.
    #[must_use]
    pub fn with(mut self, name: &str, value: Option<impl Into<Value>>) -> Self {
        if let Some(value) = value {
            self.details.insert(name.to_owned(), value.into());
        }
        self
    }
}

/// Does something and keeps it in the audit: noted before it is begun, and with what became of it. It is done to the end
/// also if who asked goes away. What is done tells details that were not known before.
///
/// # Errors
/// What is done has them.
pub async fn audited<T: Send + 'static>(
    shared: &Shared,
    caller: Caller,
    deed: Deed,
    doing: impl Future<Output = Result<(T, Map<String, Value>), Problem>> + Send + 'static,
) -> Result<T, Problem> {
    let audit = shared.audit.clone();
    let done = tokio::spawn(async move {
        let Deed { action, subject, details } = deed;
        let ticket = blocking(&audit, move |audit| audit.begin(action, &subject, &caller, details)).await?;
        let done = doing.await;
        let (outcome, details, done) = match done {
            Ok((value, details)) => (Outcome::Done, details, Ok(value)),
            Err(problem) => (Outcome::Failed(problem.detail.clone()), Map::new(), Err(problem)),
        };
        blocking(&audit, move |audit| audit.end(ticket, outcome, details)).await?;
        done
    });
    done.await.unwrap_or_else(|error| Err(Problem::internal("internal.panic", error.to_string())))
}

/// The same for publishing, of which one entry counts many.
///
/// # Errors
/// What is done has them.
pub async fn audited_publish<T: Send + 'static>(
    shared: &Shared,
    caller: Caller,
    channel: String,
    doing: impl Future<Output = Result<T, Problem>> + Send + 'static,
) -> Result<T, Problem> {
    let audit = shared.audit.clone();
    let done = tokio::spawn(async move {
        let (name, who) = (channel.clone(), caller.clone());
        let ticket = blocking(&audit, move |audit| audit.publishing(&name, &who)).await?;
        let done = doing.await;
        let outcome = match &done {
            Ok(_) => Outcome::Done,
            Err(problem) => Outcome::Failed(problem.detail.clone()),
        };
        blocking(&audit, move |audit| audit.published(ticket, &channel, &caller, outcome)).await?;
        done
    });
    done.await.unwrap_or_else(|error| Err(Problem::internal("internal.panic", error.to_string())))
}

/// The audit waits for the disk.
async fn blocking<T: Send + 'static>(
    audit: &Audit,
    call: impl FnOnce(&Audit) -> T + Send + 'static,
) -> Result<T, Problem> {
    let audit = audit.clone();
    let called = tokio::task::spawn_blocking(move || call(&audit)).await;
    called.map_err(|error| Problem::internal("internal.panic", error.to_string()))
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let remote = parts.extensions.get::<Remote>().map(|remote| remote.0.to_string());
        Ok(Self { who: operator(&parts.headers), remote })
    }
}

/// Who uses the client, as it says.
fn operator(headers: &HeaderMap) -> String {
    let said = headers.get(OPERATOR).and_then(|value| std::str::from_utf8(value.as_bytes()).ok());
    let name: String = said.unwrap_or_default().chars().filter(|c| !c.is_control()).take(OPERATOR_MAX).collect();
    if name.trim().is_empty() { "admin".to_owned() } else { name.trim().to_owned() }
}
