//! Dead letters: looking at them, sending them back, deleting them.

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
    extract::{Body, MessageBody, Params, Part, limit},
    given,
    shape::{DeleteRequest, DryRun, EditRequest, Edited, Page, RedriveFilter, RedriveRequest, Started},
};
use axum::{
    extract::{Path, State},
    http::StatusCode,
};
use bytes::Bytes;
use crossdock_engine::{Edit, Redrive};
use crossdock_model::Text;
use serde::Deserialize;
use serde_json::{Map, Value};

/// Which dead letters are listed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listing {
    route: Option<String>,
    code: Option<String>,
    id: Option<String>,
    cursor: Option<String>,
    limit: Option<usize>,
}

/// `GET /dead-letters`, oldest first.
pub async fn list(State(shared): State<Shared>, Params(asked): Params<Listing>) -> Answer {
    let ids = asked.id.map(|id| vec![id]);
    let filter = convert::filter(RedriveFilter { route: asked.route, code: asked.code, ids })?;
    let page = shared.gateway.dead_letters(&filter, asked.cursor.as_deref(), limit(asked.limit)?).await?;
    let items = page.items.iter().map(convert::dead_letter).collect();
    Ok(json(StatusCode::OK, &Page { items, next: page.next.map(|next| next.to_string()) }))
}

/// `GET /dead-letters/{id}`.
pub async fn one(State(shared): State<Shared>, Path(id): Path<String>) -> Answer {
    let letter = shared.gateway.dead_letter(parse(&id)?).await?;
    Ok(json(StatusCode::OK, &convert::dead_letter(&letter)))
}

/// `GET /dead-letters/groups`: by cause, the largest group first.
pub async fn groups(State(shared): State<Shared>, Params(part): Params<Part>) -> Answer {
    let groups = shared.gateway.dead_groups().await?;
    Ok(json(StatusCode::OK, &part.of(groups.iter().map(convert::dead_group).collect())?))
}

/// `POST /dead-letters/redrive`.
pub async fn redrive(State(shared): State<Shared>, caller: Caller, Body(asked): Body<RedriveRequest>) -> Answer {
    let rate = asked.rate.as_deref().map(crossdock_settings::parse_rate).transpose();
    let rate = rate.map_err(|error| Problem::bad_request("rate.invalid", format!("rate: {error}: {}", error.hint)))?;
    if asked.max == Some(0) {
        return Err(Problem::bad_request("max.range", "max is at least 1"));
    }
    let deed = deed(Action::Redrive, &asked.filter).with("rate", asked.rate).with("max", asked.max);
    let filter = convert::filter(asked.filter)?;
    let request = crossdock_engine::RedriveRequest { filter, rate, max: asked.max, dry_run: asked.dry_run };
    if request.dry_run {
        return Ok(started(shared.gateway.redrive(request).await?));
    }
    let gateway = shared.gateway.clone();
    let redrive = async move { Ok(told(gateway.redrive(request).await?)) };
    Ok(started(audited(&shared, caller, deed, redrive).await?))
}

/// `POST /dead-letters/delete`.
pub async fn delete(State(shared): State<Shared>, caller: Caller, Body(asked): Body<DeleteRequest>) -> Answer {
    let deed = deed(Action::Delete, &asked.filter);
    let filter = convert::filter(asked.filter)?;
    if asked.dry_run {
        return Ok(started(shared.gateway.delete_dead_letters(filter, true).await?));
    }
    let gateway = shared.gateway.clone();
    let delete = async move { Ok(told(gateway.delete_dead_letters(filter, false).await?)) };
    Ok(started(audited(&shared, caller, deed, delete).await?))
}

/// `POST /dead-letters/{id}/edit`: an edited copy goes where the letter failed, and the letter goes.
pub async fn edit(
    State(shared): State<Shared>,
    caller: Caller,
    Path(name): Path<String>,
    MessageBody(asked): MessageBody<EditRequest>,
) -> Answer {
    let id = parse(&name)?;
    let payload = given::payload(asked.payload, asked.payload_base64.as_deref())?;
    let names: Vec<_> = asked.headers.keys().cloned().collect();
    let deed = Deed::new(Action::Edit, name.as_str())
        .with("payload_bytes", payload.as_ref().map(Bytes::len))
        .with("content_type", asked.content_type.clone())
        .with("headers", (!names.is_empty()).then_some(names))
        .with("target", asked.target.clone())
        .with("keep", asked.keep.then_some(true));
    let headers = given::changes(asked.headers)?;
    let (content_type, target) = (asked.content_type.map(Text::from), asked.target.map(Text::from));
    let edit = Edit { payload, content_type, headers, target, keep: asked.keep };
    let gateway = shared.gateway.clone();
    let doing = async move {
        let edited = gateway.edit_dead_letter(id, edit).await?;
        let mut details = Map::new();
        if edited.stored {
            details.insert("copy".into(), edited.id.to_string().into());
        }
        Ok((edited, details))
    };
    let edited = audited(&shared, caller, deed, doing).await?;
    let copy = edited.stored.then(|| edited.id.to_string());
    Ok(json(StatusCode::ACCEPTED, &Edited { id: copy, edited_from: id.to_string(), filtered: !edited.stored }))
}

/// What is done to dead letters, as the audit keeps it; of many ids the first ones.
fn deed(action: Action, filter: &RedriveFilter) -> Deed {
    const IDS_KEPT: usize = 20;
    let ids = filter.ids.as_ref();
    Deed::new(action, "dead-letters")
        .with("route", filter.route.clone())
        .with("code", filter.code.clone())
        .with("ids", ids.map(|ids| ids.iter().take(IDS_KEPT).cloned().collect::<Vec<_>>()))
        .with("ids_total", ids.map(Vec::len))
}

/// The result, and what the audit keeps of it.
fn told(result: Redrive) -> (Redrive, Map<String, Value>) {
    let mut details = Map::new();
    details.insert("matched".into(), result.matched.into());
    if let Some(id) = result.operation {
        details.insert("operation".into(), id.to_string().into());
    }
    (result, details)
}

fn started(result: Redrive) -> axum::response::Response {
    match result.operation {
        None => json(StatusCode::OK, &DryRun { matched: result.matched }),
        Some(id) => json(StatusCode::ACCEPTED, &Started { operation: id.to_string(), matched: result.matched }),
    }
}
