//! What handlers are given of a request, with errors as problems.

use crate::{Problem, shape::Page};
use axum::{
    extract::{FromRequest, FromRequestParts, Query, Request},
    http::{StatusCode, request::Parts},
};
use serde::{Deserialize, de::DeserializeOwned};
use std::time::Duration;

/// The most items of a part of a list.
pub const LIMIT_MAX: usize = 1000;
/// The items of a part of a list unless told otherwise.
pub const LIMIT_DEFAULT: usize = 100;
/// The largest JSON body of a request; a message to publish is bounded by the store.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;
/// The largest JSON body that holds a message.
pub const MESSAGE_BODY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// How long a body may take; operators' bodies are small.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// The query, in which an unknown key is an error.
#[derive(Debug)]
pub struct Params<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Query(params) = Query::try_from_uri(&parts.uri)
            .map_err(|error| Problem::bad_request("query.invalid", format!("in the query: {error}")))?;
        Ok(Self(params))
    }
}

/// A JSON body, in which an unknown key is an error; no body at all is read as `{}`.
#[derive(Debug)]
pub struct Body<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        parse(&read(request, BODY_BYTES_MAX).await?).map(Self)
    }
}

/// The same with a message in it, which may be large.
#[derive(Debug)]
pub struct MessageBody<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for MessageBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        parse(&read(request, MESSAGE_BODY_BYTES_MAX).await?).map(Self)
    }
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let text: &[u8] = if bytes.is_empty() { b"{}" } else { bytes };
    // Of a list the fields would be read in the order in which we happen to have them.
    if text.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[') {
        return Err(Problem::bad_request("body.invalid", "in the body: an object is expected, not a list"));
    }
    serde_json::from_slice(text).map_err(|error| Problem::bad_request("body.invalid", format!("in the body: {error}")))
}

/// The whole body; 413 if it is too large, 408 if it does not come.
pub async fn read(request: Request, bytes_max: usize) -> Result<axum::body::Bytes, Problem> {
    match tokio::time::timeout(BODY_TIMEOUT, axum::body::to_bytes(request.into_body(), bytes_max)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(_)) => {
            let detail = format!("the body is not complete, or larger than {bytes_max} bytes");
            Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body.too_large", detail))
        }
        Err(_) => {
            let detail = format!("the body was not complete within {BODY_TIMEOUT:?}");
            Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "body.late", detail))
        }
    }
}

/// Which part of a list is asked for that is made whole: of what a configuration names, and of operations.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    cursor: Option<String>,
    limit: Option<usize>,
}

impl Part {
    /// That part. The cursor is the number of items before it.
    ///
    /// # Errors
    /// The limit is out of its range, or the cursor none that was given out.
    pub fn of<T>(self, mut items: Vec<T>) -> Result<Page<T>, Problem> {
        let limit = limit(self.limit)?;
        let before = match self.cursor {
            None => 0,
            Some(cursor) => cursor.parse().map_err(|_| no_cursor(&cursor))?,
        };
        items.drain(..items.len().min(before));
        let next = (items.len() > limit).then(|| before.saturating_add(limit).to_string());
        items.truncate(limit);
        Ok(Page { items, next })
    }
}

/// What is said of a cursor that was not given out.
pub fn no_cursor(cursor: &str) -> Problem {
    Problem::bad_request("cursor.invalid", format!("`{cursor}` is no cursor: leave it out to begin anew"))
}

/// The number of items asked for.
///
/// # Errors
/// It is out of its range.
pub fn limit(asked: Option<usize>) -> Result<usize, Problem> {
    match asked {
        None => Ok(LIMIT_DEFAULT),
        Some(limit) if (1..=LIMIT_MAX).contains(&limit) => Ok(limit),
        Some(limit) => {
            Err(Problem::bad_request("limit.range", format!("limit is from 1 to {LIMIT_MAX}, and not {limit}")))
        }
    }
}
