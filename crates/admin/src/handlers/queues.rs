//! Consumers of queues that no route reads: receive, acknowledge, give back.

use super::{Answer, Shared, json};
use crate::{
    Problem, convert,
    extract::Body,
    shape::{AckRequest, Acknowledged, NackRequest, ReceiveRequest, Received, Returned},
};
use axum::{
    Extension,
    extract::{Path, State},
    http::StatusCode,
};
use crossdock_engine::Receive;
use crossdock_listener::Hangup;
use crossdock_model::Text;
use std::{collections::BTreeSet, time::Duration};

/// Most messages of an answer.
const MESSAGES_MAX: usize = 1000;
/// Longest wait for a message; no connection is to be held for ever.
const WAIT_MAX: Duration = Duration::from_secs(600);
/// How long a message is a consumer's own unless it says otherwise.
const LEASE_DEFAULT: Duration = Duration::from_secs(30);
/// Longest lease and delay.
const LEASE_MAX: Duration = Duration::from_secs(7 * 86_400);

/// `POST /queues/{name}/receive`. Who has gone while it waits is given nothing: what comes is somebody else's.
pub async fn receive(
    State(shared): State<Shared>,
    Path(name): Path<String>,
    hangup: Option<Extension<Hangup>>,
    Body(asked): Body<ReceiveRequest>,
) -> Answer {
    let messages_max = asked.max.unwrap_or(1);
    if !(1..=MESSAGES_MAX).contains(&messages_max) {
        let detail = format!("max is from 1 to {MESSAGES_MAX}, and not {messages_max}");
        return Err(Problem::bad_request("max.range", detail));
    }
    let wait = duration("wait", asked.wait.as_deref(), Duration::ZERO, WAIT_MAX)?;
    let lease = duration("lease", asked.lease.as_deref(), LEASE_DEFAULT, LEASE_MAX)?;
    if lease.is_zero() {
        return Err(Problem::bad_request("lease.range", "lease is longer than nothing: `30s`"));
    }
    let has_gone = async {
        match hangup.filter(|_| !wait.is_zero()) {
            Some(Extension(hangup)) => hangup.happened().await,
            None => std::future::pending().await,
        }
    };
    let given = tokio::select! {
        biased;
        given = shared.gateway.receive(&name, Receive { messages_max, wait, lease }) => given?,
        () = has_gone => Vec::new(),
    };
    Ok(json(StatusCode::OK, &Received { messages: given.iter().map(convert::delivery).collect() }))
}

/// `POST /queues/{name}/ack`: answers when it is durable.
pub async fn acknowledge(
    State(shared): State<Shared>,
    Path(name): Path<String>,
    Body(asked): Body<AckRequest>,
) -> Answer {
    let stale = shared.gateway.acknowledge(&name, &asked.leases).await?;
    let acknowledged = counted(&asked.leases, &stale)?;
    Ok(json(StatusCode::OK, &Acknowledged { acknowledged }))
}

/// `POST /queues/{name}/nack`.
pub async fn give_back(
    State(shared): State<Shared>,
    Path(name): Path<String>,
    Body(asked): Body<NackRequest>,
) -> Answer {
    let delay = duration("delay", asked.delay.as_deref(), Duration::ZERO, LEASE_MAX)?;
    let stale = shared.gateway.give_back(&name, &asked.leases, delay).await?;
    let returned = counted(&asked.leases, &stale)?;
    Ok(json(StatusCode::OK, &Returned { returned }))
}

/// How many leases counted, each once however often it is named; a conflict if some were stale.
fn counted(leases: &[String], stale: &[Text]) -> Result<usize, Problem> {
    let leases: BTreeSet<&String> = leases.iter().collect();
    if stale.is_empty() {
        return Ok(leases.len());
    }
    let detail = format!(
        "{} of {} leases are stale: they ran out, were used before, their messages were dropped, redriven or deleted, or the gateway was started again; the others counted",
        stale.len(),
        leases.len()
    );
    let stale = stale.iter().map(ToString::to_string).collect();
    Err(Problem::conflict("lease.stale", detail).stale(stale))
}

fn duration(name: &str, text: Option<&str>, default: Duration, max: Duration) -> Result<Duration, Problem> {
    let Some(text) = text else { return Ok(default) };
    let told = crossdock_settings::parse_duration(text)
        .map_err(|error| Problem::bad_request("duration.invalid", format!("{name}: {error}")))?;
    if told > max {
        return Err(Problem::bad_request("duration.range", format!("{name} is at most {}s", max.as_secs())));
    }
    Ok(told)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: Option<&str>, expected: Result<u64, &str>) {
        let told = duration("wait", text, Duration::from_secs(7), Duration::from_secs(60));
        assert_eq!(told.map(|told| told.as_millis() as u64).map_err(|problem| problem.code), expected, "{text:?}");
    }

    #[test]
    fn durations_have_a_unit_and_an_end() {
        check(None, Ok(7000));
        check(Some("0s"), Ok(0));
        check(Some("250ms"), Ok(250));
        check(Some("1m"), Ok(60_000));
        check(Some("61s"), Err("duration.range"));
        check(Some("5"), Err("duration.invalid"));
        check(Some("soon"), Err("duration.invalid"));
    }

    #[test]
    fn stale_leases_are_named() {
        let leases = ["a".to_owned(), "b".to_owned(), "a".to_owned()];
        assert_eq!(counted(&leases, &[]), Ok(2));
        let problem = counted(&leases, &[Text::from_static("b")]).unwrap_err();
        assert_eq!((problem.status, problem.code), (StatusCode::CONFLICT, "lease.stale"));
        assert_eq!(problem.stale, ["b"]);
    }
}
