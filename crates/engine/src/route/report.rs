//! What a route's task tells of itself when asked.

use super::RouteTask;
use crate::{MessageState, RouteState, TargetView, route::live::Stage};
use crossdock_delivery::{Counters, State};
use crossdock_model::Text;

/// What is shown of a route, and counted.
pub(crate) struct RouteReport {
    /// Whether it delivers.
    pub state: RouteState,
    /// Why it holds although it runs.
    pub reason: Option<Text>,
    /// Its targets in the order of the file.
    pub targets: Vec<TargetReport>,
    /// Offsets of what is on its way to a target, and of what waits for its next try at one. A message may be among them
    /// for each of its targets; how many there are is bounded by what the targets hold.
    pub in_flight: Vec<u64>,
    pub scheduled: Vec<u64>,
    /// What else waits for the route's constant `delay`: of its targets, the one for which most does.
    pub delayed: Option<Delayed>,
}

/// What waits for a constant `delay`.
#[derive(Clone, Copy)]
pub(crate) struct Delayed {
    /// From which offset on.
    pub from: u64,
    /// How many messages.
    pub count: u64,
}

/// What is shown of a target, and counted.
pub(crate) struct TargetReport {
    /// What is shown.
    pub view: TargetView,
    /// What happened so far.
    pub counters: Counters,
}

impl RouteTask {
    /// What is shown now.
    pub(crate) fn report(&self) -> RouteReport {
        let state = match (self.stopping.is_some(), self.paused) {
            (true, _) => RouteState::Stopped,
            (false, true) => RouteState::Paused,
            (false, false) => RouteState::Running,
        };
        let targets = (0..self.targets.len()).filter_map(|target| self.target_report(target)).collect();
        let delayed = (0..self.targets.len()).filter_map(|target| self.delayed(target));
        let delayed = delayed.max_by_key(|delayed| delayed.count);
        let no_room = || {
            Text::from_static("settlements cannot be stored: the volume of the data folder is full: free some space")
        };
        let reason = self.trouble.clone().or_else(|| self.outbox.is_stuck().then(no_room));
        let (mut in_flight, mut scheduled) = (Vec::new(), Vec::new());
        for (offset, live) in self.targets.iter().flat_map(|target| &target.live) {
            match (live.stage, live.due) {
                (Stage::Sending { .. } | Stage::Recalling { .. }, _) => in_flight.push(*offset),
                (Stage::Waiting, Some(_)) => scheduled.push(*offset),
                (Stage::Waiting, None) => {}
            }
        }
        RouteReport { state, reason, targets, in_flight, scheduled, delayed }
    }

    /// From which message on a target waits for the route's delay: the first that it has read and that is not due.
    fn delayed_from(&self, at: usize) -> Option<u64> {
        self.parked_until(at).filter(|due| *due > self.shared.time.now())?;
        self.targets.get(at)?.parked.front().map(|stored| stored.offset)
    }

    /// How many messages wait for it: all that the target has read no further than to look when they are due, or not at all.
    fn delayed(&self, at: usize) -> Option<Delayed> {
        let (from, target) = (self.delayed_from(at)?, self.targets.get(at)?);
        let pending = self.shared.channels.subscription(target.claimed.subscription).map_or(0, |info| info.pending);
        Some(Delayed { from, count: pending.saturating_sub((target.live.len() + target.evaluating) as u64) })
    }

    fn target_report(&self, at: usize) -> Option<TargetReport> {
        let target = self.targets.get(at)?;
        let time = &self.shared.time;
        let status = target.link.lend(|link| target.scheduler.status(link));
        let pending = self.shared.channels.subscription(target.claimed.subscription).map_or(0, |info| info.pending);
        let (in_flight, scheduled) =
            (status.in_flight as u64, status.scheduled as u64 + self.delayed(at).map_or(0, |delayed| delayed.count));
        let circuit = status.circuit;
        let reason = circuit.fault.as_ref().map(|fault| Text::from(fault.to_string()));
        let view = TargetView {
            name: target.name.clone(),
            state: circuit.state,
            since: match (circuit.since, target.standing.up_since()) {
                (Some(held), _) => time.timestamp_of(held),
                (None, Some(up)) => up,
                (None, None) => time.now(),
            },
            reason: if circuit.state == State::Up { None } else { reason },
            next_probe: circuit.next_probe.map(|at| time.timestamp_of(at)),
            suspects: circuit.suspects.len(),
            ready: pending.saturating_sub(in_flight).saturating_sub(scheduled),
            in_flight,
            scheduled,
            connector: target.is_connector(),
        };
        Some(TargetReport { view, counters: target.scheduler.counters() })
    }

    /// Where messages stand: the furthest of the targets counts.
    pub(crate) fn locate(&self, offsets: &[u64]) -> Vec<MessageState> {
        let delayed_from = (0..self.targets.len()).filter_map(|target| self.delayed_from(target)).min();
        let state = |offset: &u64| {
            let lives = self.targets.iter().filter_map(|target| target.live.get(offset));
            let is_delayed = delayed_from.is_some_and(|from| from <= *offset);
            let unread = if is_delayed { MessageState::Scheduled } else { MessageState::Queued };
            lives.fold(unread, |state, live| match (state, live.stage, live.due) {
                (_, Stage::Sending { .. } | Stage::Recalling { .. }, _) => MessageState::InFlight,
                (MessageState::Queued, Stage::Waiting, Some(_)) => MessageState::Scheduled,
                (state, Stage::Waiting, _) => state,
            })
        };
        offsets.iter().map(state).collect()
    }
}
