//! What the rules of a route make of a message: the one implementation, for the running gateway, `try` and route tests.
//!
//! Pure and repeatable: the same message gives the same evaluation at any time. A panic in a step is caught here and is
//! the message's fault.

use crate::tasks;
use crossdock_config::{Route, TargetEvent};
use crossdock_connector::{Rendered, RenderedValue};
use crossdock_expression::Program;
use crossdock_model::{Envelope, Fault, Refusal, RefusalKind, Text, Timestamp};
use crossdock_rules::{Claim, Formula, Routed as RuleResult, StepTrace, Verdict, When, Working, encode_event};
use crossdock_store::StoredMessage;
use std::{
    hash::{DefaultHasher, Hasher},
    sync::Arc,
};

/// The rules of a route, ready to be applied.
#[derive(Clone, Debug)]
pub struct Evaluator {
    route: Arc<Route>,
    /// What a target's formulas give where they are the same for every message, by target.
    fixed: Arc<[Option<Rendered>]>,
}

/// What `accept` makes of a message.
#[derive(Clone, PartialEq, Debug)]
pub enum Acceptance {
    /// It is taken, if the store grants every claim of `dedupe`.
    Taken {
        /// The message to store: as it came, with the expiry that `accept` gives it.
        envelope: Arc<Envelope>,
        /// What `dedupe` asks for; almost always none.
        claims: Vec<Claim>,
    },
    /// A filter let it go.
    Filtered {
        /// The label of the step.
        step: Text,
    },
    /// It is not taken.
    Refused(Refusal),
}

/// What the steps at the door said.
enum Judged {
    Pass(Vec<Claim>),
    Filtered(Text),
    Refused(Box<Refusal>),
}

/// What `steps`, `order_by`, `circuit`, `when` and the targets' formulas make of a stored message.
#[derive(Clone, Debug)]
pub enum Evaluation {
    /// A filter let it go: it is done for all targets.
    Filtered {
        /// The label of the step.
        step: Text,
    },
    /// It is at fault itself: dead for all targets.
    Fault(Fault),
    /// It goes to at least one target.
    Routed(Routed),
}

/// A message that goes to at least one target.
#[derive(Clone, Debug)]
pub struct Routed {
    /// The message as it leaves.
    pub envelope: Arc<Envelope>,
    /// What it is to each target, in the order of the file.
    pub targets: Vec<Addressed>,
    /// The message as it leaves as a CloudEvent, for those targets that want it so.
    pub events: Vec<(usize, Arc<Envelope>)>,
    /// Hash of what `order_by` gave; none where there is no order or it gave null.
    pub lane: Option<u64>,
    /// Hash of what `circuit` gave; 0 where there is none or it gave null.
    pub circuit: u64,
    /// What `dedupe` among the steps asks for: it goes on only if these keys are new.
    pub claims: Vec<Claim>,
}

/// What a message is to one target.
#[derive(Clone, Debug)]
pub enum Addressed {
    /// It is not for this one.
    Not,
    /// It is, with what the target's formulas gave.
    To(Rendered),
    /// It is, but a formula failed: dead for this target.
    Faulty(Fault),
}

impl Evaluator {
    /// The rules of a route.
    #[must_use]
    pub fn new(route: Arc<Route>) -> Self {
        let fixed = route.router.targets().iter().map(|target| fixed(&target.formulas)).collect();
        Self { route, fixed }
    }

    /// The route.
    #[must_use]
    pub const fn route(&self) -> &Arc<Route> {
        &self.route
    }

    /// Whether evaluating costs so little that it is not worth a task of its own.
    pub(crate) fn is_cheap(&self) -> bool {
        let always = self.route.router.targets().iter().all(|target| matches!(target.when, When::Always));
        let rules = self.route.order_by.is_none() && self.route.circuit.is_none();
        rules && always && self.route.steps.is_empty() && self.fixed.iter().all(Option::is_some)
    }

    /// Runs the steps at the door.
    #[must_use]
    pub fn accept(&self, envelope: Arc<Envelope>) -> Acceptance {
        let since = envelope.received_at;
        self.accept_since(envelope, since)
    }

    /// The same of a message that comes again: what `expire` says counts from then on.
    pub(crate) fn accept_since(&self, envelope: Arc<Envelope>, since: Timestamp) -> Acceptance {
        if self.route.accept.is_empty() {
            return Acceptance::Taken { envelope, claims: Vec::new() };
        }
        let mut message = self.route.accept.start(Arc::clone(&envelope));
        let judged = tasks::catch(|| match self.route.accept.accept(&mut message) {
            Ok(Verdict::Pass { claims }) => Judged::Pass(claims),
            Ok(Verdict::Filtered { step }) => Judged::Filtered(step),
            Err(refusal) => Judged::Refused(Box::new(refusal)),
        });
        drop(message);
        match judged {
            Ok(Judged::Pass(claims)) => Acceptance::Taken { envelope: self.with_expiry(envelope, since), claims },
            Ok(Judged::Filtered(step)) => Acceptance::Filtered { step },
            Ok(Judged::Refused(refusal)) => Acceptance::Refused(self.route.scrubber.refusal(*refusal)),
            Err(panic) => Acceptance::Refused(self.route.scrubber.refusal(refused(panicked(&panic)))),
        }
    }

    /// Runs the steps at the door and tells what each did.
    #[must_use]
    pub fn trace_accept(&self, envelope: Envelope, seen: &mut dyn FnMut(StepTrace)) -> Acceptance {
        let envelope = Arc::new(envelope);
        let mut message = self.route.accept.start(Arc::clone(&envelope));
        drop(tasks::catch(|| self.route.accept.trace(&mut message, seen)));
        self.accept(envelope)
    }

    /// The message with the expiry that `accept` gives it; its own stands if it is earlier.
    fn with_expiry(&self, envelope: Arc<Envelope>, since: Timestamp) -> Arc<Envelope> {
        let Some(after) = self.route.accept.expire_after() else { return envelope };
        let mut envelope = Arc::unwrap_or_clone(envelope);
        let until = since.after(after);
        envelope.properties.expires_at = earlier(envelope.properties.expires_at, Some(until));
        Arc::new(envelope)
    }

    /// Runs everything behind the store.
    #[must_use]
    pub fn evaluate(&self, original: &Arc<Envelope>) -> Evaluation {
        let mut message = self.route.steps.start(Arc::clone(original));
        let result = tasks::catch(|| {
            let order = self.order(&mut message)?;
            let verdict = self.route.steps.run(&mut message)?;
            self.finish(&mut message, verdict, order)
        });
        self.flatten(result)
    }

    /// Runs everything behind the store and tells what each step did.
    #[must_use]
    pub fn trace(&self, original: &Arc<Envelope>, seen: &mut dyn FnMut(StepTrace)) -> Evaluation {
        let mut message = self.route.steps.start(Arc::clone(original));
        let result = tasks::catch(|| {
            let order = self.order(&mut message)?;
            let verdict = self.route.steps.trace(&mut message, seen)?;
            self.finish(&mut message, verdict, order)
        });
        self.flatten(result)
    }

    /// When nobody wants the message any more: what it says itself, and what `expire` among the steps says, which counts
    /// from its receipt, or from when it was redriven ([`crossdock_store::Notes::since`]).
    #[must_use]
    pub fn expires_at(&self, original: &Envelope, since: Timestamp) -> Option<Timestamp> {
        let by_step = self.route.steps.expire_after().map(|after| since.after(after));
        earlier(original.properties.expires_at, by_step)
    }

    /// The same of a message that stands in the store, of which no more is decoded than it takes. None for one that cannot be.
    #[must_use]
    pub fn stored_expires_at(&self, message: &StoredMessage) -> Option<Timestamp> {
        match self.route.steps.expire_after() {
            Some(_) => {
                let (envelope, notes) = message.decode().ok()?;
                self.expires_at(&envelope, notes.since(envelope.received_at))
            }
            None => message.expires_at().ok()?,
        }
    }

    /// Lane and circuit are told from the message as stored, so that what the steps take away can still order it.
    fn order(&self, message: &mut Working) -> Result<(Option<u64>, u64), Fault> {
        let lane = self.key(message, self.route.order_by.as_ref(), "order_by")?;
        let circuit = self.key(message, self.route.circuit.as_ref(), "circuit")?;
        Ok((lane, circuit.unwrap_or(0)))
    }

    fn key(&self, message: &mut Working, program: Option<&Program>, name: &'static str) -> Result<Option<u64>, Fault> {
        let Some(program) = program else { return Ok(None) };
        let key = message.key(program).map_err(|fault| fault.in_step(name))?;
        Ok(key.map(|key| hash(&key)))
    }

    fn finish(
        &self,
        message: &mut Working,
        verdict: Verdict,
        (lane, circuit): (Option<u64>, u64),
    ) -> Result<Evaluation, Fault> {
        let claims = match verdict {
            Verdict::Filtered { step } => return Ok(Evaluation::Filtered { step }),
            Verdict::Pass { claims } => claims,
        };
        let targets = match (self.route.router.targets(), self.fixed.first()) {
            // One target that gets the same from every message: nothing to find out.
            ([only], Some(Some(fixed))) if matches!(only.when, When::Always) => vec![Addressed::To(fixed.clone())],
            _ => self.route.router.route(message)?.into_iter().map(|result| self.addressed(result)).collect(),
        };
        let events = Vec::new();
        let mut routed = Routed { envelope: message.finish()?, targets, events, lane, circuit, claims };
        self.encode_events(&mut routed);
        Ok(Evaluation::Routed(routed))
    }

    fn addressed(&self, result: RuleResult) -> Addressed {
        match result {
            RuleResult::Not => Addressed::Not,
            RuleResult::To(values) => {
                Addressed::To(Rendered::new(values.into_iter().map(rendered).collect::<Vec<_>>()))
            }
            RuleResult::Faulty(fault) => Addressed::Faulty(self.route.scrubber.fault(fault)),
        }
    }

    /// What is told of a fault holds no secret, wherever it goes from here.
    fn flatten(&self, result: Result<Result<Evaluation, Fault>, Text>) -> Evaluation {
        let fault = match result {
            Ok(Ok(evaluation)) => return evaluation,
            Ok(Err(fault)) => fault,
            Err(panic) => panicked(&panic),
        };
        Evaluation::Fault(self.route.scrubber.fault(fault))
    }

    /// Makes events for the targets that want them; a message that can be none is dead for that target.
    fn encode_events(&self, routed: &mut Routed) {
        for (at, target) in self.route.targets.iter().enumerate() {
            let Some(TargetEvent { mode, defaults, .. }) = &target.event else { continue };
            let Some(addressed @ Addressed::To(_)) = routed.targets.get_mut(at) else { continue };
            match encode_event(&routed.envelope, *mode, defaults) {
                Ok(event) => routed.events.push((at, Arc::new(event))),
                Err(fault) => *addressed = Addressed::Faulty(self.route.scrubber.fault(fault)),
            }
        }
    }
}

impl Routed {
    /// The message as it leaves for the target at this place of the list.
    #[must_use]
    pub fn envelope_for(&self, at: usize) -> &Arc<Envelope> {
        let event = self.events.iter().find(|(target, _)| *target == at);
        event.map_or(&self.envelope, |(_, event)| event)
    }

    /// When nobody wants the message any more, given what the original says: a step may bring it forward.
    #[must_use]
    pub fn deadline(&self, of_original: Option<Timestamp>) -> Option<Timestamp> {
        earlier(of_original, self.envelope.properties.expires_at)
    }
}

impl Evaluation {
    /// Whether the route's target at this place of the list has a formula that failed, or the message is at fault.
    #[must_use]
    pub fn fault(&self) -> Option<&Fault> {
        match self {
            Self::Filtered { .. } => None,
            Self::Fault(fault) => Some(fault),
            Self::Routed(routed) => routed.targets.iter().find_map(|target| match target {
                Addressed::Faulty(fault) => Some(fault),
                Addressed::Not | Addressed::To(_) => None,
            }),
        }
    }
}

fn fixed(formulas: &[Formula]) -> Option<Rendered> {
    let values: Option<Vec<_>> = formulas
        .iter()
        .map(|formula| match formula {
            Formula::Template(template) => template.fixed().cloned().map(RenderedValue::Text),
            Formula::Expression(_) => None,
        })
        .collect();
    values.map(Rendered::new)
}

fn rendered(value: crossdock_rules::Rendered) -> RenderedValue {
    match value {
        crossdock_rules::Rendered::Null => RenderedValue::Null,
        crossdock_rules::Rendered::Text(text) => RenderedValue::Text(text),
        crossdock_rules::Rendered::Bytes(bytes) => RenderedValue::Bytes(bytes),
    }
}

/// The fault of a message over which a step or a connector panicked.
pub(crate) fn panicked(panic: &str) -> Fault {
    Fault::rejected("internal.panic", format!("something inside panicked over this message ({panic}): report this"))
}

fn refused(fault: Fault) -> Refusal {
    Refusal { kind: RefusalKind::Invalid, fault, violations: Vec::new() }
}

/// Two keys of one hash share a lane or a circuit, which costs a little concurrency and breaks nothing.
fn hash(key: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(key);
    hasher.finish()
}

/// The earlier of two times, where there are any.
pub(crate) fn earlier(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
