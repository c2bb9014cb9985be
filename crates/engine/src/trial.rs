//! What a route would do with a message, told and not done: `try` on the command line and in the API.
//!
//! Nothing is sent, stored or asked of a peer; claims of `dedupe` are not looked up. The rules are those that run
//! ([`Evaluator`]), and what would be sent is what the connectors themselves say.

mod masked;

use crate::{
    Acceptance, Addressed, Evaluation, Evaluator, Gateway, RequestError,
    browse::{find, lost},
    gateway::no_route,
    operation::Renames,
    tasks::blocking,
};
use bytes::Bytes;
use crossdock_config::{Channels, Destination, Route, Target};
use crossdock_connector::{Connector, Outgoing, Rendered, Ticket};
use crossdock_model::{Envelope, Fault, MessageId, Refusal, Text, Timestamp};
use crossdock_rules::StepTrace;
use crossdock_store::{ChannelInfo, StoredMessage};
use std::sync::Arc;

/// A message's way through a route.
#[derive(Clone, PartialEq, Debug)]
pub struct Trial {
    /// The route.
    pub route: Text,
    /// The message's id.
    pub id: MessageId,
    /// Where its way began.
    pub start: TrialStart,
    /// The media type it came with.
    pub content_type: Option<Text>,
    /// How long its payload is.
    pub payload_bytes: usize,
    /// The steps that ran, those of `accept` first.
    pub steps: Vec<StepTrace>,
    /// What would become of it.
    pub end: TrialEnd,
}

/// Where the way of a message through a route begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TrialStart {
    /// At the door, as if it came in now.
    Accept,
    /// Behind the store, where it stands or goes back to when it is redriven.
    Steps,
}

/// What would become of a message.
#[derive(Clone, PartialEq, Debug)]
pub enum TrialEnd {
    /// A filter lets it go.
    Filtered {
        /// The label of the step.
        step: Text,
    },
    /// `accept` does not take it: the sender would hear so.
    Refused(Refusal),
    /// Nobody wants it any more.
    Expired {
        /// Since when.
        at: Timestamp,
    },
    /// It would be a dead letter.
    Dead(Fault),
    /// It would be sent.
    Sent {
        /// The payload as it leaves; none for a tombstone.
        payload: Option<Bytes>,
        /// What each target that it is for would be sent, or why it would be a dead letter for that one.
        targets: Vec<(Text, Result<Sent, Fault>)>,
    },
}

/// What a target would be sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sent {
    /// `PUT http://…`, `append to channel orders`.
    pub act: Text,
    /// What goes with the payload.
    pub headers: Vec<(Text, Text)>,
    /// What the protocol cannot carry.
    pub lost: Vec<Text>,
}

/// Runs a message through a route at a time; the connectors say what they would send. What comes of `${env:…}` and
/// `${file:…}` is masked, also in the payload, which would be sent as it is.
#[must_use]
pub fn trial(
    route: &Arc<Route>,
    connectors: &[Arc<dyn Connector>],
    envelope: Envelope,
    start: TrialStart,
    now: Timestamp,
) -> Trial {
    let mut trial = Trial {
        route: route.id.clone(),
        id: envelope.id,
        start,
        content_type: envelope.properties.content_type.clone(),
        payload_bytes: envelope.bytes().len(),
        steps: Vec::new(),
        end: TrialEnd::Sent { payload: None, targets: Vec::new() },
    };
    let evaluator = Evaluator::new(Arc::clone(route));
    let taken = match start {
        TrialStart::Steps => Ok(Arc::new(envelope)),
        TrialStart::Accept => match evaluator.trace_accept(envelope, &mut |step| trial.steps.push(step)) {
            Acceptance::Taken { envelope, .. } => Ok(envelope),
            Acceptance::Filtered { step } => Err(TrialEnd::Filtered { step }),
            Acceptance::Refused(refusal) => Err(TrialEnd::Refused(refusal)),
        },
    };
    trial.end = taken.map_or_else(
        |end| end,
        |envelope| behind(&evaluator, connectors, &envelope, now, &mut |step| trial.steps.push(step)),
    );
    masked::trial(trial, &route.scrubber)
}

/// What becomes of a stored message.
fn behind(
    evaluator: &Evaluator,
    connectors: &[Arc<dyn Connector>],
    envelope: &Arc<Envelope>,
    now: Timestamp,
    seen: &mut dyn FnMut(StepTrace),
) -> TrialEnd {
    if let Some(at) = evaluator.expires_at(envelope, envelope.received_at).filter(|at| *at <= now) {
        return TrialEnd::Expired { at };
    }
    match evaluator.trace(envelope, seen) {
        Evaluation::Filtered { step } => TrialEnd::Filtered { step },
        Evaluation::Fault(fault) => TrialEnd::Dead(fault),
        Evaluation::Routed(routed) => {
            if let Some(at) = routed.deadline(None).filter(|at| *at <= now) {
                return TrialEnd::Expired { at };
            }
            let targets = evaluator.route().targets.iter().zip(&routed.targets).enumerate();
            let sent = targets.filter_map(|(at, (target, addressed))| {
                sent(connectors, target, routed.envelope_for(at), addressed.clone())
            });
            let sent: Vec<_> = sent.collect();
            // Where the only target has it in another form, that is what people want to see.
            let shown = match (routed.targets.as_slice(), routed.events.first()) {
                ([_], Some((_, event))) => event,
                _ => &routed.envelope,
            };
            TrialEnd::Sent { payload: shown.payload.clone(), targets: sent }
        }
    }
}

/// What one target would be sent; none if the message is not for it.
fn sent(
    connectors: &[Arc<dyn Connector>],
    target: &Target,
    envelope: &Arc<Envelope>,
    addressed: Addressed,
) -> Option<(Text, Result<Sent, Fault>)> {
    let result = match addressed {
        Addressed::Not => return None,
        Addressed::Faulty(fault) => Err(fault),
        Addressed::To(rendered) => preview(connectors, target, envelope, rendered),
    };
    Some((target.name.clone(), result))
}

fn preview(
    connectors: &[Arc<dyn Connector>],
    target: &Target,
    envelope: &Arc<Envelope>,
    rendered: Rendered,
) -> Result<Sent, Fault> {
    match &target.to {
        Destination::Channel(name) => Ok(Sent {
            act: Text::from(format!("append to channel {name}")),
            headers: envelope.headers.iter().map(|h| (h.name.clone(), Text::from(h.value.to_string()))).collect(),
            lost: Vec::new(),
        }),
        Destination::Connector { connector, config } => {
            let outgoing = Outgoing {
                ticket: Ticket(0),
                envelope: Arc::clone(envelope),
                rendered,
                idempotency_key: Text::from(envelope.id.to_string()),
                attempt: 1,
            };
            let found = connectors.iter().find(|c| c.description().name == *connector);
            let preview = found.map(|connector| connector.preview(config, &outgoing)).transpose()?.unwrap_or_default();
            Ok(Sent { act: preview.act, headers: preview.headers, lost: preview.lost })
        }
    }
}

impl Gateway {
    /// What a route would do with a message that came in now.
    ///
    /// # Errors
    /// There is no such route.
    pub async fn try_message(&self, route: &str, envelope: Envelope) -> Result<Trial, RequestError> {
        self.trial(route, envelope, TrialStart::Accept).await
    }

    /// What a route would do with a message that stands somewhere: one that it has already, or that is a dead letter of
    /// its steps or targets, goes on behind the store; any other one is tried from the door on.
    ///
    /// # Errors
    /// There is no such route or message, or the store cannot be read.
    pub async fn try_stored(&self, route: &str, id: MessageId) -> Result<Trial, RequestError> {
        let handle = self.0.route(route).ok_or_else(|| no_route(route))?;
        let own = match handle.route.reads() {
            Channels::Queue(name) | Channels::Topic { name, .. } => Some(name),
            Channels::None => None,
        };
        let mut infos = self.0.shared.channels.channels();
        infos.retain(|info| info.messages > 0);
        // A message may stand in several: the route's own copy is meant before its dead letter, and that before others.
        infos.sort_by_key(|info| (Some(&info.name) != own, info.name != handle.route.dead_letter, info.number));
        for info in infos {
            let channels = Arc::clone(&self.0.shared.channels);
            let number = info.number;
            let found = blocking(move || find(&*channels, number, id)).await.ok_or_else(lost)??;
            if let Some(message) = found {
                let start = start(&handle.route, own == Some(&info.name), &message, &self.0.renames);
                let envelope = message.envelope().map_err(|_| undecodable(&info, id))?;
                return self.trial(route, envelope, start).await;
            }
        }
        let text = format!("message {id} stands nowhere: it was never here, or it has been delivered");
        Err(RequestError::NotFound(text))
    }

    async fn trial(&self, route: &str, envelope: Envelope, start: TrialStart) -> Result<Trial, RequestError> {
        let handle = self.0.route(route).ok_or_else(|| no_route(route))?;
        let (route, connectors) = (Arc::clone(&handle.route), self.0.protocols.clone());
        let now = self.0.shared.time.now();
        // Rules may take a while; the threads that serve the gateway are not held up.
        blocking(move || trial(&route, &connectors, envelope, start, now)).await.ok_or_else(lost)
    }
}

/// Where a stored message's way through a route begins.
fn start(route: &Route, is_own: bool, message: &StoredMessage, renames: &Renames) -> TrialStart {
    let goes_back = || renames.note_of(message).is_some_and(|note| note.route == route.id && note.source.is_some());
    if is_own || goes_back() { TrialStart::Steps } else { TrialStart::Accept }
}

fn undecodable(info: &ChannelInfo, id: MessageId) -> RequestError {
    RequestError::Internal(format!("message {id} in `{}` cannot be decoded: run `crossdock verify`", info.name))
}
