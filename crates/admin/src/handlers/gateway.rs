//! The gateway as a whole.

use super::{Answer, Shared, json};
use crate::convert;
use axum::{
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};

/// The API's description.
pub const OPENAPI: &str = include_str!("../../openapi.json");

/// `GET /status`.
pub async fn status(State(shared): State<Shared>) -> Answer {
    Ok(json(StatusCode::OK, &convert::status(&shared.gateway.status().await)))
}

/// `GET /config`: as written, secrets masked.
pub async fn config(State(shared): State<Shared>) -> Answer {
    Ok(json(StatusCode::OK, shared.gateway.plan().masked()))
}

/// `GET /openapi.json`.
pub async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI).into_response()
}
