//! Routes: their states, and pausing them.

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
    extract::{MessageBody, Params, Part},
    given,
    shape::TryRequest,
};
use axum::{
    extract::{Path, State},
    http::StatusCode,
};
use crossdock_model::{Envelope, Origin, Text, Timestamp};
use serde_json::Map;

/// `GET /routes`.
pub async fn list(State(shared): State<Shared>, Params(part): Params<Part>) -> Answer {
    let routes = shared.gateway.routes().await;
    Ok(json(StatusCode::OK, &part.of(routes.iter().map(convert::route).collect())?))
}

/// `GET /routes/{id}`.
pub async fn one(State(shared): State<Shared>, Path(id): Path<String>) -> Answer {
    let route = shared.gateway.route(&id).await;
    let route = route.ok_or_else(|| Problem::not_found("route.unknown", format!("there is no route `{id}`")))?;
    Ok(json(StatusCode::OK, &convert::route(&route)))
}

/// `POST /routes/{id}/pause`; the route as it is then.
pub async fn pause(shared: State<Shared>, caller: Caller, id: Path<String>) -> Answer {
    let (gateway, route) = (shared.gateway.clone(), id.0.clone());
    let pause = async move { Ok((gateway.pause(&route).await?, Map::new())) };
    audited(&shared, caller, Deed::new(Action::Pause, id.0.clone()), pause).await?;
    one(shared, id).await
}

/// `POST /routes/{id}/resume`; the route as it is then.
pub async fn resume(shared: State<Shared>, caller: Caller, id: Path<String>) -> Answer {
    let (gateway, route) = (shared.gateway.clone(), id.0.clone());
    let resume = async move { Ok((gateway.resume(&route).await?, Map::new())) };
    audited(&shared, caller, Deed::new(Action::Resume, id.0.clone()), resume).await?;
    one(shared, id).await
}

/// `POST /routes/{id}/try`: what it would do with a message, stored or given; nothing is sent or stored.
pub async fn try_message(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    MessageBody(asked): MessageBody<TryRequest>,
) -> Answer {
    let gateway = &shared.gateway;
    let trial = match &asked.message {
        Some(message) => {
            if asked != (TryRequest { message: Some(message.clone()), ..TryRequest::default() }) {
                let detail =
                    "give `message`, the id of one that is stored, or a payload with its headers, and not both";
                return Err(Problem::bad_request("message.twice", detail));
            }
            gateway.try_stored(&id, parse(message)?).await?
        }
        None => gateway.try_message(&id, envelope(asked, (shared.clock)())?).await?,
    };
    Ok(json(StatusCode::OK, &convert::trial(&trial)))
}

/// The message that a request gives, as its sender would.
fn envelope(asked: TryRequest, now: Timestamp) -> Result<Envelope, Problem> {
    let payload = given::payload(asked.payload, asked.payload_base64.as_deref())?.unwrap_or_default();
    let mut envelope = Envelope::new(given::draw_id(now)?, now, payload);
    envelope.properties.content_type = asked.content_type.map(Text::from);
    envelope.headers = given::headers(asked.headers)?;
    envelope.origin = Origin { protocol: Text::from_static("try"), ..Origin::default() };
    Ok(envelope)
}
