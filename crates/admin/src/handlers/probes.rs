//! What orchestrators and Prometheus ask, without a token.

use super::Shared;
use crate::Problem;
use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};

/// The media type of OpenMetrics text.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The process answers.
pub async fn live() -> &'static str {
    "ok\n"
}

/// Messages are taken. A target that is down does not count: its messages are stored.
pub async fn ready(State(shared): State<Shared>) -> Result<&'static str, Problem> {
    match shared.gateway.ready() {
        Ok(()) => Ok("ok\n"),
        Err(reason) => Err(Problem::unavailable("not_ready", reason.to_string())),
    }
}

/// All metrics.
pub async fn metrics(State(shared): State<Shared>) -> Response {
    ([(header::CONTENT_TYPE, OPEN_METRICS)], shared.gateway.metrics().await).into_response()
}
