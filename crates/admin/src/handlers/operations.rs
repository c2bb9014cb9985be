//! Operations: what goes on in the background.

use super::{
    Answer, Shared,
    audit::{Deed, audited},
    json,
    messages::parse,
};
use crate::{
    Problem,
    audit::{Action, Caller},
    convert,
    extract::{Params, Part},
};
use axum::{
    extract::{Path, State},
    http::StatusCode,
};
use serde_json::Map;

/// `GET /operations`: all that run, and the last others.
pub async fn list(State(shared): State<Shared>, Params(part): Params<Part>) -> Answer {
    let operations = shared.gateway.operations();
    Ok(json(StatusCode::OK, &part.of(operations.iter().map(convert::operation).collect())?))
}

/// `GET /operations/{id}`.
pub async fn one(State(shared): State<Shared>, Path(id): Path<String>) -> Answer {
    let operation = shared.gateway.operation(parse(&id)?);
    let operation =
        operation.ok_or_else(|| Problem::not_found("operation.unknown", format!("there is no operation {id}")))?;
    Ok(json(StatusCode::OK, &convert::operation(&operation)))
}

/// `POST /operations/{id}/cancel`.
pub async fn cancel(State(shared): State<Shared>, caller: Caller, Path(id): Path<String>) -> Answer {
    let (gateway, number) = (shared.gateway.clone(), parse(&id)?);
    let cancel = async move { Ok((gateway.cancel(number).await?, Map::new())) };
    let operation = audited(&shared, caller, Deed::new(Action::Cancel, id), cancel).await?;
    Ok(json(StatusCode::OK, &convert::operation(&operation)))
}
