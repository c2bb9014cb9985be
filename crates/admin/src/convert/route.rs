//! Routes and the gateway as a whole.

use crate::shape;
use crossdock_engine::{Counts, RouteState, RouteView, SourceState, SourceView, Status, TargetState, TargetView};
use crossdock_model::Text;

/// A route.
pub fn route(view: &RouteView) -> shape::Route {
    shape::Route {
        id: view.id.to_string(),
        state: match view.state {
            RouteState::Running => shape::RouteState::Running,
            RouteState::Paused => shape::RouteState::Paused,
            RouteState::Stopped => shape::RouteState::Stopped,
        },
        reason: text(view.reason.as_ref()),
        targets: view.targets.iter().map(target).collect(),
        sources: view.sources.iter().map(source).collect(),
        counts: counts(&view.counts),
    }
}

/// The gateway as a whole.
pub fn status(view: &Status) -> shape::Status {
    shape::Status {
        version: env!("CARGO_PKG_VERSION").into(),
        started_at: view.started_at.to_string(),
        uptime_seconds: view.uptime.as_secs_f64(),
        ready: view.unready.is_none(),
        reason: text(view.unready.as_ref()),
        store: shape::StoreView { id: view.store_id.to_string(), bytes: view.store_bytes, full: view.store_full },
        routes: view.routes.iter().map(route).collect(),
        orphans: view.orphans.iter().map(ToString::to_string).collect(),
    }
}

fn target(view: &TargetView) -> shape::TargetView {
    shape::TargetView {
        name: view.name.to_string(),
        state: match view.state {
            TargetState::Up => shape::TargetState::Up,
            TargetState::Held => shape::TargetState::Held,
            TargetState::Probing => shape::TargetState::Probing,
        },
        since: view.since.to_string(),
        reason: text(view.reason.as_ref()),
        next_probe: view.next_probe.map(|at| at.to_string()),
        suspects: view.suspects as u64,
        ready: view.ready,
        in_flight: view.in_flight,
        scheduled: view.scheduled,
    }
}

fn source(view: &SourceView) -> shape::SourceView {
    shape::SourceView {
        name: view.name.to_string(),
        state: match view.state {
            SourceState::Up => shape::UpDown::Up,
            SourceState::Down => shape::UpDown::Down,
        },
        since: view.since.to_string(),
        reason: text(view.reason.as_ref()),
    }
}

const fn counts(view: &Counts) -> shape::Counts {
    shape::Counts {
        received: view.received,
        delivered: view.delivered,
        filtered: view.filtered,
        refused: view.refused,
        dead: view.dead,
        expired: view.expired,
        stored: view.stored,
    }
}

fn text(text: Option<&Text>) -> Option<String> {
    text.map(ToString::to_string)
}
