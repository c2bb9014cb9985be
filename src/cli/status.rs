//! `crossdock status`: the gateway, its routes, sources and targets.

use super::{
    exit::Outcome,
    look::Look,
    table::{Cell, Column, Table},
    terminal::{Paint, Tone},
    units::{age, bytes},
};
use clap::Args;
use crossdock_admin::shape::{Route, RouteState, Status, TargetState, UpDown};
use std::path::PathBuf;

/// Show the gateway, its routes, sources and targets.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    look: Look,
}

/// Asks and shows.
pub fn execute(config: Option<PathBuf>, arguments: &Arguments) -> Outcome {
    arguments.look.execute(config, |client| client.get(&["status"], &[]), render)
}

fn render(status: &Status, paint: Paint) -> String {
    let ready = match &status.reason {
        None => paint.text(Tone::Good, "ready"),
        Some(reason) => paint.text(Tone::Bad, &format!("not ready: {reason}")),
    };
    let full = if status.store.full { paint.text(Tone::Bad, ", the volume is full") } else { String::new() };
    let head = format!(
        "crossdock {}: {ready}, up {}, store {}{full}\n",
        status.version,
        age(status.uptime_seconds),
        bytes(status.store.bytes)
    );
    let mut text = format!("{head}\n{}\n{}", routes(&status.routes).render(paint), ends(&status.routes).render(paint));
    for orphan in &status.orphans {
        text += &format!("\n`{orphan}` holds messages, but the configuration does not name it");
    }
    format!("{}\n", text.trim_end())
}

fn routes(routes: &[Route]) -> Table {
    let numbers = ["RECEIVED", "DELIVERED", "FILTERED", "REFUSED", "DEAD", "EXPIRED", "STORED"].map(Column::number);
    let mut columns = vec![Column::text("ROUTE"), Column::text("STATE")];
    columns.extend(numbers);
    let mut table = Table::new(columns);
    for route in routes {
        let c = &route.counts;
        let dead = if c.dead > 0 { Cell::toned(Tone::Warning, c.dead.to_string()) } else { c.dead.into() };
        table.row([
            Cell::toned(Tone::Strong, route.id.as_str()),
            route_state(route),
            c.received.into(),
            c.delivered.into(),
            c.filtered.into(),
            c.refused.into(),
            dead,
            c.expired.into(),
            c.stored.into(),
        ]);
    }
    table
}

fn route_state(route: &Route) -> Cell {
    match (route.state, &route.reason) {
        (RouteState::Running, None) => Cell::toned(Tone::Good, "running"),
        (RouteState::Running, Some(reason)) => Cell::toned(Tone::Bad, format!("running, but holds: {reason}")),
        (RouteState::Paused, _) => Cell::toned(Tone::Warning, "paused"),
        (RouteState::Stopped, None) => Cell::toned(Tone::Bad, "stopped"),
        (RouteState::Stopped, Some(reason)) => Cell::toned(Tone::Bad, format!("stopped: {reason}")),
    }
}

/// Sources and targets: what the routes talk to.
fn ends(routes: &[Route]) -> Table {
    let mut table = Table::new([
        Column::text("ROUTE"),
        Column::text("SIDE"),
        Column::text("PEER"),
        Column::text("STATE"),
        Column::number("READY"),
        Column::number("IN FLIGHT"),
        Column::number("SCHEDULED"),
        Column::text("SINCE"),
        Column::text("WHY"),
    ]);
    for route in routes {
        for source in &route.sources {
            let state = match source.state {
                UpDown::Up => Cell::toned(Tone::Good, "up"),
                UpDown::Down => Cell::toned(Tone::Bad, "down"),
            };
            let (name, why) = (source.name.as_str(), source.reason.as_deref().unwrap_or_default());
            let row = [route.id.as_str().into(), "from".into(), name.into(), state];
            let rest = ["".into(), "".into(), "".into(), source.since.as_str().into(), why.into()];
            table.row([row.as_slice(), rest.as_slice()].concat());
        }
        for target in &route.targets {
            let state = match target.state {
                TargetState::Up => Cell::toned(Tone::Good, "up"),
                TargetState::Held => Cell::toned(Tone::Bad, "held"),
                TargetState::Probing => Cell::toned(Tone::Warning, "probing"),
            };
            let why = target.reason.as_deref().unwrap_or_default();
            let row = [route.id.as_str().into(), "to".into(), target.name.as_str().into(), state];
            let numbers = [target.ready.into(), target.in_flight.into(), target.scheduled.into()];
            let rest = [target.since.as_str().into(), why.into()];
            table.row([row.as_slice(), numbers.as_slice(), rest.as_slice()].concat());
        }
    }
    table
}
