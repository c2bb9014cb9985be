//! A message by its id.

use super::{Answer, Shared, json};
use crate::{Problem, convert};
use axum::{
    extract::{Path, State},
    http::StatusCode,
};
use crossdock_model::MessageId;

/// `GET /messages/{id}`: where it stands now, dead letters included.
pub async fn one(State(shared): State<Shared>, Path(id): Path<String>) -> Answer {
    match shared.gateway.message(parse(&id)?).await? {
        Some(message) => Ok(json(StatusCode::OK, &convert::message(&message))),
        None => Err(Problem::not_found(
            "message.unknown",
            format!("message {id} stands nowhere: it was never here, or it has been delivered"),
        )),
    }
}

/// The id in a path.
pub fn parse(id: &str) -> Result<MessageId, Problem> {
    id.parse().map_err(|error: crossdock_model::InvalidMessageId| Problem::bad_request("id.invalid", error.to_string()))
}
