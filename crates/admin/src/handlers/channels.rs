//! Channels and what stands in them.

use super::{Answer, Shared, json};
use crate::{
    Problem, convert,
    extract::{Params, Part, limit},
    shape::Page,
};
use axum::{
    extract::{Path, State},
    http::StatusCode,
};
use serde::Deserialize;

/// A part of what stands in a channel.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Looked {
    /// A condition of the language of `filter` and `when`.
    filter: Option<String>,
    cursor: Option<String>,
    limit: Option<usize>,
}

/// `GET /channels`.
pub async fn list(State(shared): State<Shared>, Params(part): Params<Part>) -> Answer {
    let channels = shared.gateway.channels().await;
    Ok(json(StatusCode::OK, &part.of(channels.iter().map(convert::channel).collect())?))
}

/// `GET /channels/{name}`.
pub async fn one(State(shared): State<Shared>, Path(name): Path<String>) -> Answer {
    let channel = shared.gateway.channel(&name).await;
    let channel =
        channel.ok_or_else(|| Problem::not_found("channel.unknown", format!("there is no channel `{name}`")))?;
    Ok(json(StatusCode::OK, &convert::channel(&channel)))
}

/// `GET /channels/{name}/messages`: what stands there, without consuming it.
pub async fn browse(State(shared): State<Shared>, Path(name): Path<String>, Params(part): Params<Looked>) -> Answer {
    let (cursor, limit) = (part.cursor.as_deref(), limit(part.limit)?);
    let page = match &part.filter {
        None => shared.gateway.browse(&name, cursor, limit).await?,
        Some(filter) => shared.gateway.browse_where(&name, filter, cursor, limit).await?,
    };
    let items = page.items.iter().map(convert::message).collect();
    Ok(json(StatusCode::OK, &Page { items, next: page.next.map(|next| next.to_string()) }))
}
