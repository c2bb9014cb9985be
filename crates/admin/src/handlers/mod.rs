//! The paths of the listener and what answers them.

mod audit;
mod channels;
mod dead;
mod gateway;
mod messages;
mod operations;
mod probes;
mod publish;
mod queues;
mod routes;

use crate::{
    Audit, Problem,
    guard::{Guard, require_host, require_token},
};
pub use audit::Remote;
use axum::{
    Router,
    body::Body,
    http::{HeaderValue, StatusCode, header},
    middleware,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use crossdock_engine::{Clock, Gateway, RequestError};
use serde::Serialize;
use std::sync::Arc;

/// What handlers work with.
#[derive(Clone)]
pub struct Shared {
    /// The gateway.
    pub gateway: Gateway,
    /// The calendar, for messages that are published.
    pub clock: Clock,
    /// Who did what.
    pub audit: Audit,
}

/// Everything the listener answers.
pub fn router(shared: Shared, guard: Arc<Guard>) -> Router {
    let open = Router::new()
        .route("/livez", get(probes::live))
        .route("/readyz", get(probes::ready))
        .route("/metrics", get(probes::metrics));
    let api = api()
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .layer(middleware::from_fn_with_state(Arc::clone(&guard), require_token));
    open.nest("/api/v1", api)
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .layer(middleware::map_response(harden))
        .layer(middleware::from_fn_with_state(guard, require_host))
        .with_state(shared)
}

/// The paths under `/api/v1`; `openapi.json` tells the same, and a test compares them.
fn api() -> Router<Shared> {
    Router::new()
        .route("/openapi.json", get(gateway::openapi))
        .route("/status", get(gateway::status))
        .route("/config", get(gateway::config))
        .route("/routes", get(routes::list))
        .route("/routes/{id}", get(routes::one))
        .route("/routes/{id}/pause", post(routes::pause))
        .route("/routes/{id}/resume", post(routes::resume))
        .route("/routes/{id}/try", post(routes::try_message))
        .route("/channels", get(channels::list))
        .route("/channels/{name}", get(channels::one))
        .route("/channels/{name}/messages", get(channels::browse).post(publish::publish))
        .route("/queues/{name}/receive", post(queues::receive))
        .route("/queues/{name}/ack", post(queues::acknowledge))
        .route("/queues/{name}/nack", post(queues::give_back))
        .route("/messages/{id}", get(messages::one))
        .route("/dead-letters", get(dead::list))
        .route("/dead-letters/groups", get(dead::groups))
        .route("/dead-letters/redrive", post(dead::redrive))
        .route("/dead-letters/delete", post(dead::delete))
        .route("/dead-letters/{id}", get(dead::one))
        .route("/dead-letters/{id}/edit", post(dead::edit))
        .route("/operations", get(operations::list))
        .route("/operations/{id}", get(operations::one))
        .route("/operations/{id}/cancel", post(operations::cancel))
        .route("/audit", get(audit::list))
}

async fn no_such_path() -> Problem {
    Problem::not_found("path.unknown", "there is no such path; see /api/v1/openapi.json")
}

async fn no_such_method() -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method.not_allowed", "the path does not take this method; see Allow")
}

/// Answers hold messages and states: no cache may keep them, no browser may guess their type.
async fn harden(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// An answer in JSON.
fn json<T: Serialize>(status: StatusCode, value: &T) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => {
            let mut response = Response::new(Body::from(body));
            *response.status_mut() = status;
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            response
        }
        Err(error) => Problem::internal("answer.invalid", error.to_string()).into_response(),
    }
}

/// What a handler answers.
type Answer = Result<Response, Problem>;

impl From<RequestError> for Problem {
    fn from(error: RequestError) -> Self {
        let text = error.to_string();
        match error {
            RequestError::NotFound(_) => Self::not_found("unknown", text),
            RequestError::Invalid(_) => Self::bad_request("request.invalid", text),
            RequestError::Unprocessable(_) => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "request.unprocessable", text)
            }
            RequestError::TooLarge(_) => Self::new(StatusCode::PAYLOAD_TOO_LARGE, "body.too_large", text),
            RequestError::Conflict(_) => Self::conflict("conflict", text),
            RequestError::Unavailable(_) => Self::unavailable("unavailable", text),
            RequestError::Unsupported(_) => Self::new(StatusCode::NOT_IMPLEMENTED, "unsupported", text),
            RequestError::Internal(_) => Self::internal("internal", text),
        }
    }
}
