//! What a route does, in words, from the plan that runs.

use crate::plan::{Destination, From, OnFailure, Plan, Retry, Route, Start};
use crossdock_connector::OnRefused;
use std::{fmt::Write, time::Duration};

/// The words of a route; none if there is no such route.
pub(crate) fn explain(plan: &Plan, id: &str) -> Option<String> {
    let route = plan.route(id)?;
    let mut out = String::new();
    // Writing into a String cannot fail.
    let _ = tell(route, &mut out);
    Some(out)
}

fn tell(route: &Route, out: &mut String) -> std::fmt::Result {
    writeln!(out, "Route {}", route.id)?;
    if let Some(was) = &route.was {
        writeln!(out, "Takes over what is stored under its name before, {was}.")?;
    }
    tell_source(route, out)?;
    if let Some(key) = &route.words.order_by {
        let behind = match route.on_failure {
            OnFailure::BlockKey => "those behind one that is tried again wait for it",
            OnFailure::Skip => "those behind one that is tried again go on past it",
        };
        writeln!(out, "Order: messages with the same `{key}` go one after the other; {behind}.")?;
    }
    if !route.words.steps.is_empty() {
        writeln!(out, "Steps, on the stored message (what fails here becomes a dead letter and can be redriven):")?;
        list(&route.words.steps, out)?;
    }
    tell_targets(route, out)?;
    if has_deliveries(route) {
        tell_retry(&route.retry, out)?;
        if let Some(tenant) = &route.words.circuit {
            writeln!(out, "Circuit: one for each `{tenant}`, so that one of them being out holds up no other.")?;
        }
    }
    writeln!(out, "Dead letters: into the queue {}.", route.dead_letter)
}

fn tell_source(route: &Route, out: &mut String) -> std::fmt::Result {
    match &route.from {
        From::Connector(source) => {
            writeln!(out, "From: {}.", route.words.from)?;
            let refused = match source.on_refused {
                OnRefused::Tell => "the sender hears why",
                OnRefused::DeadLetter => "it goes to the dead letters",
                OnRefused::Reject => "it is rejected in the protocol's own way",
                OnRefused::Drop => "it is dropped and counted",
            };
            if !route.words.accept.is_empty() {
                writeln!(out, "At the door (what is refused here is not stored: {refused}):")?;
                list(&route.words.accept, out)?;
            }
            match &route.hidden_queue {
                Some(queue) => {
                    writeln!(out, "Stored: in the route's own queue, {queue}; the sender is told when it is on disk.")
                }
                None => writeln!(out, "Stored: at once in the channels below; the sender is told when it is on disk."),
            }
        }
        From::Queue(name) => writeln!(out, "From: the queue {name}, which it alone reads."),
        From::Topic { name, start, subscription } => {
            let start = match start {
                Start::Earliest => "the oldest message that is kept".to_owned(),
                Start::Latest => "what comes from now on".to_owned(),
                Start::At(at) => format!("what came at {at} or later"),
            };
            writeln!(out, "From: the topic {name}, as the subscription {subscription}, which begins with {start}.")
        }
    }
}

fn tell_targets(route: &Route, out: &mut String) -> std::fmt::Result {
    let words = &route.words.targets;
    let routed = words.iter().any(|target| target.condition.is_some());
    match (routed, words.len()) {
        (true, _) => writeln!(out, "To each target whose condition holds; `otherwise` if none does:")?,
        (false, 1) => writeln!(out, "To:")?,
        (false, _) => writeln!(out, "To all of these, each at its own pace:")?,
    }
    for (target, words) in route.targets.iter().zip(words) {
        let condition = words.condition.as_ref().map(|text| format!(", {text}")).unwrap_or_default();
        writeln!(out, "  - {}: {}{condition}", target.name, words.to)?;
        for manner in &words.manner {
            writeln!(out, "      {manner}")?;
        }
    }
    Ok(())
}

/// Whether something is delivered to a peer, rather than only appended.
fn has_deliveries(route: &Route) -> bool {
    route.targets.iter().any(|target| match target.to {
        Destination::Connector { .. } => true,
        Destination::Channel(_) => false,
    })
}

fn tell_retry(retry: &Retry, out: &mut String) -> std::fmt::Result {
    writeln!(
        out,
        "Retry: dead after {} attempts that are the message's fault; waits of {}, each {} times the one before, at most \
         {}, varied by {} %. An outage of the target is waited for and costs no attempts; a message that nothing can pass \
         is charged after {} all the same.",
        retry.attempts,
        duration(retry.initial),
        retry.factor,
        duration(retry.max),
        (retry.jitter * 100.0).round(),
        duration(retry.alone_limit),
    )
}

fn list(items: &[String], out: &mut String) -> std::fmt::Result {
    for (number, item) in (1..).zip(items) {
        let mut lines = item.lines();
        writeln!(out, "  {number}. {}", lines.next().unwrap_or_default())?;
        for line in lines {
            writeln!(out, "       {line}")?;
        }
    }
    Ok(())
}

/// A duration as the file writes it.
fn duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s")];
    match units.into_iter().find(|(unit, _)| millis > 0 && millis.is_multiple_of(*unit)) {
        Some((unit, name)) => format!("{}{name}", millis / unit),
        None => format!("{millis}ms"),
    }
}
