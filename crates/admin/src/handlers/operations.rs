//! Operations: what goes on in the background.

use super::{Answer, Shared, json, messages::parse};
use crate::{Problem, convert, shape::Page};
use axum::{
    extract::{Path, State},
    http::StatusCode,
};

/// `GET /operations`: all that run, and the last others.
pub async fn list(State(shared): State<Shared>) -> Answer {
    let operations = shared.gateway.operations();
    Ok(json(StatusCode::OK, &Page::whole(operations.iter().map(convert::operation).collect())))
}

/// `GET /operations/{id}`.
pub async fn one(State(shared): State<Shared>, Path(id): Path<String>) -> Answer {
    let operation = shared.gateway.operation(parse(&id)?);
    let operation =
        operation.ok_or_else(|| Problem::not_found("operation.unknown", format!("there is no operation {id}")))?;
    Ok(json(StatusCode::OK, &convert::operation(&operation)))
}

/// `POST /operations/{id}/cancel`.
pub async fn cancel(State(shared): State<Shared>, Path(id): Path<String>) -> Answer {
    let operation = shared.gateway.cancel(parse(&id)?).await?;
    Ok(json(StatusCode::OK, &convert::operation(&operation)))
}
