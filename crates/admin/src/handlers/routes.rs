//! Routes: their states, and pausing them.

use super::{Answer, Shared, json};
use crate::{Problem, convert, shape::Page};
use axum::{
    extract::{Path, State},
    http::StatusCode,
};

/// `GET /routes`.
pub async fn list(State(shared): State<Shared>) -> Answer {
    let routes = shared.gateway.routes().await;
    Ok(json(StatusCode::OK, &Page::whole(routes.iter().map(convert::route).collect())))
}

/// `GET /routes/{id}`.
pub async fn one(State(shared): State<Shared>, Path(id): Path<String>) -> Answer {
    let route = shared.gateway.route(&id).await;
    let route = route.ok_or_else(|| Problem::not_found("route.unknown", format!("there is no route `{id}`")))?;
    Ok(json(StatusCode::OK, &convert::route(&route)))
}

/// `POST /routes/{id}/pause`; the route as it is then.
pub async fn pause(shared: State<Shared>, id: Path<String>) -> Answer {
    shared.gateway.pause(&id).await?;
    one(shared, id).await
}

/// `POST /routes/{id}/resume`; the route as it is then.
pub async fn resume(shared: State<Shared>, id: Path<String>) -> Answer {
    shared.gateway.resume(&id).await?;
    one(shared, id).await
}
