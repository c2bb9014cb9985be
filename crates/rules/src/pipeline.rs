//! A list of steps, compiled once and applied to one message after the other.

use crate::{
    Claim, Decode, Environment, EventDefaults, Format, JsonSchema, StepOutcome, StepTrace, Working, XmlEncode,
    decode::Undecodable, dedupe, trace,
};
use crossdock_expression::{Program, View};
use crossdock_model::{Fault, Refusal, RefusalKind, Text, Violation};
use crossdock_settings::{Diagnostics, Placed, Setting};
use std::time::Duration;

/// Where a list of steps stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// At the door, before a message is stored: the sender hears what is wrong.
    Accept,
    /// After it is stored: a failure can be mended and the message replayed.
    Steps,
}

/// A compiled list of steps.
#[derive(Debug)]
pub struct Pipeline {
    pub(crate) stage: Stage,
    pub(crate) steps: Vec<Step>,
    /// How payloads are decoded where a list before this one said so.
    pub(crate) inherited: Option<Decode>,
    pub(crate) delay: Option<Duration>,
    pub(crate) expire_after: Option<Duration>,
    /// Whether a payload is looked at by one schema and by nobody else, so that its outline will do.
    pub(crate) glances: bool,
}

/// One compiled step.
#[derive(Debug)]
pub(crate) struct Step {
    /// `steps[1] transform`.
    pub label: Text,
    pub action: Action,
}

/// What a step does.
#[derive(Debug)]
pub(crate) enum Action {
    Decode(Decode),
    Encode {
        format: Format,
        options: XmlEncode,
        content_type: Text,
    },
    EncodeEvent(EventDefaults),
    Filter(Program),
    Transform(Program),
    Validate(Box<JsonSchema>),
    Dedupe {
        key: Program,
        window: Duration,
        keys_max: u64,
    },
    /// Told by [`Pipeline::delay`] and [`Pipeline::expire_after`]: conditions of the subscription, not of the message.
    Condition,
}

/// How a list of steps ended for a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It goes on, if the store grants every claim.
    Pass {
        /// What `dedupe` asks for; almost always none.
        claims: Vec<Claim>,
    },
    /// It goes no further, as the rules want it.
    Filtered {
        /// The label of the step.
        step: Text,
    },
}

/// Why a step failed.
enum Failure {
    Undecodable(Box<Undecodable>),
    Invalid(Box<Invalid>),
    Fault(Fault),
}

/// What a schema says of a value.
struct Invalid {
    fault: Fault,
    violations: Vec<Violation>,
}

/// What a step said.
enum Flow {
    On,
    Claim(Claim),
    Filtered,
}

impl Pipeline {
    /// A list without steps.
    #[must_use]
    pub const fn empty(stage: Stage) -> Self {
        Self { stage, steps: Vec::new(), inherited: None, delay: None, expire_after: None, glances: false }
    }

    /// Compiles the items of `accept` or `steps` as read by [`crate::ACCEPT_STEPS`] or [`crate::STEPS`]; `inherited` is
    /// what the route's `accept` said about decoding. None where something is wrong, and then findings say so; warnings
    /// are findings too.
    pub fn compile(
        stage: Stage,
        items: &[Placed<Setting>],
        inherited: Option<Decode>,
        environment: &mut Environment<'_>,
        found: &mut Diagnostics,
    ) -> Option<Self> {
        crate::steps::compile(stage, items, inherited, environment, found)
    }

    /// Notes what is to be known of the whole list, once it has all its steps.
    pub(crate) fn complete(mut self) -> Self {
        let mut readers = self.steps.iter().filter(|step| step.action.needs_payload());
        let only = readers.next().filter(|_| readers.next().is_none());
        let validates = only.is_some_and(|step| matches!(step.action, Action::Validate(_)));
        // Behind the door the value is needed once more than the steps tell: by targets, for their addresses.
        self.glances = validates && self.stage == Stage::Accept;
        self
    }

    /// What this list, or the one before it, says about decoding; the next list and the targets decode so.
    #[must_use]
    pub fn decode(&self) -> Option<&Decode> {
        let said = self.steps.iter().rev().find_map(|step| match &step.action {
            Action::Decode(decode) => Some(decode),
            Action::Encode { .. }
            | Action::EncodeEvent(_)
            | Action::Filter(_)
            | Action::Transform(_)
            | Action::Validate(_)
            | Action::Dedupe { .. }
            | Action::Condition => None,
        });
        said.or(self.inherited.as_ref())
    }

    /// Where the list stands.
    #[must_use]
    pub const fn stage(&self) -> Stage {
        self.stage
    }

    /// How long after its receipt a message goes on, at the earliest.
    #[must_use]
    pub const fn delay(&self) -> Option<Duration> {
        self.delay
    }

    /// How long after its receipt a message is of use.
    #[must_use]
    pub const fn expire_after(&self) -> Option<Duration> {
        self.expire_after
    }

    /// Whether a step claims keys, so that whether a message goes on is not for the list alone to say.
    #[must_use]
    pub fn claims(&self) -> bool {
        self.steps.iter().any(|step| matches!(step.action, Action::Dedupe { .. }))
    }

    /// Whether there are no steps.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// The labels of the steps in order: `steps[1] transform`.
    pub fn labels(&self) -> impl Iterator<Item = &Text> {
        self.steps.iter().map(|step| &step.label)
    }

    /// A message on which the steps can be run.
    #[must_use]
    pub fn start(&self, envelope: std::sync::Arc<crossdock_model::Envelope>) -> Working {
        let mut message = Working::new(envelope);
        if let Some(decode) = &self.inherited {
            message.decode_as(decode);
        }
        message
    }

    /// Runs the steps at the door.
    ///
    /// # Errors
    /// What the sender is told: 400 for a payload that cannot be decoded, 415 for a type nobody knows, 422 with each
    /// place for one that breaks a rule.
    pub fn accept(&self, message: &mut Working) -> Result<Verdict, Refusal> {
        self.walk(message, &mut |_, _, _| {}).map_err(Failure::into_refusal)
    }

    /// Runs the steps of a stored message.
    ///
    /// # Errors
    /// Class `rejected`, with the step named.
    pub fn run(&self, message: &mut Working) -> Result<Verdict, Fault> {
        self.walk(message, &mut |_, _, _| {}).map_err(Failure::into_fault)
    }

    /// Runs the steps and tells what each did.
    ///
    /// # Errors
    /// As for [`Self::run`].
    pub fn trace(&self, message: &mut Working, seen: &mut dyn FnMut(StepTrace)) -> Result<Verdict, Fault> {
        let mut before = message.clone();
        let outcome = self.walk(message, &mut |step, message, outcome| {
            let changes = trace::changes(&before, message);
            before = message.clone();
            seen(StepTrace { label: step.label.clone(), outcome, changes });
        });
        outcome.map_err(Failure::into_fault)
    }

    fn walk(
        &self,
        message: &mut Working,
        after: &mut dyn FnMut(&Step, &Working, StepOutcome),
    ) -> Result<Verdict, Failure> {
        // What the list before said may be about the message as a whole.
        message.prepare(false).map_err(Failure::Undecodable)?;
        let mut claims = Vec::new();
        for (index, step) in self.steps.iter().enumerate() {
            match step.apply(index, message, self.glances) {
                Ok(Flow::On) => {}
                Ok(Flow::Claim(claim)) => claims.push(claim),
                Ok(Flow::Filtered) => {
                    after(step, message, StepOutcome::Filtered);
                    return Ok(Verdict::Filtered { step: step.label.clone() });
                }
                Err(failure) => {
                    let failure = failure.in_step(&step.label);
                    after(step, message, StepOutcome::Failed(failure.fault().clone()));
                    return Err(failure);
                }
            }
            after(step, message, StepOutcome::Passed);
        }
        Ok(Verdict::Pass { claims })
    }
}

impl Step {
    fn apply(&self, index: usize, message: &mut Working, glances: bool) -> Result<Flow, Failure> {
        match &self.action {
            Action::Decode(decode) => {
                message.decode_as(decode);
                message.prepare(false).map_err(Failure::Undecodable)?;
                // An event's data may be of any type, also of one that nobody decodes.
                let needed = *decode != Decode::CloudEvent || message.tells_format();
                message.prepare(needed).map_err(Failure::Undecodable)?;
            }
            Action::Encode { format, options, content_type } => {
                message.prepare(true).map_err(Failure::Undecodable)?;
                message.encode(*format, options, content_type).map_err(Failure::Fault)?;
            }
            Action::EncodeEvent(defaults) => message.encode_event(defaults).map_err(Failure::Fault)?,
            Action::Filter(program) => {
                message.prepare(program.needs_payload()).map_err(Failure::Undecodable)?;
                if !message.condition(program).map_err(Failure::Fault)? {
                    return Ok(Flow::Filtered);
                }
            }
            Action::Transform(program) => {
                message.prepare(program.needs_payload()).map_err(Failure::Undecodable)?;
                message.transform(program).map_err(Failure::Fault)?;
            }
            // What an outline cannot show, or the schema does not like, is looked at again as a value.
            Action::Validate(schema) if glances && message.outline().is_some_and(|it| schema.admits(&it)) => {}
            Action::Validate(schema) => {
                message.prepare(true).map_err(Failure::Undecodable)?;
                if let Some(value) = message.decoded() {
                    schema.validate(value.as_ref()).map_err(Failure::invalid)?;
                }
            }
            Action::Dedupe { key, window, keys_max } => {
                message.prepare(key.needs_payload()).map_err(Failure::Undecodable)?;
                let key = dedupe_key(message, key).map_err(Failure::Fault)?;
                return Ok(Flow::Claim(Claim { step: index, key, window: *window, keys_max: *keys_max }));
            }
            Action::Condition => {}
        }
        Ok(Flow::On)
    }
}

/// A key that is null would make all messages without one the same and drop them.
fn dedupe_key(message: &mut Working, program: &Program) -> Result<crossdock_model::Digest, Fault> {
    let value = message.key_value(program)?;
    if let View::Null = value.as_ref().view() {
        let text = format!("the key `{}` is null: give another with `||`, for example `%id`", program.text().trim());
        return Err(Fault::rejected("expression", text));
    }
    let bytes = value.to_json().map_err(|error| Fault::rejected("expression", error.to_string()))?;
    Ok(dedupe::digest(&bytes))
}

impl Failure {
    fn invalid(violations: Vec<Violation>) -> Self {
        let lines: Vec<_> = violations
            .iter()
            .map(|violation| {
                let at = if violation.at.is_empty() { "the payload" } else { &*violation.at };
                format!("{at}: {}", violation.message)
            })
            .collect();
        let fault = Fault::rejected("validate.json_schema", lines.join("; "));
        Self::Invalid(Box::new(Invalid { fault, violations }))
    }

    const fn fault(&self) -> &Fault {
        match self {
            Self::Undecodable(undecodable) => &undecodable.fault,
            Self::Invalid(invalid) => &invalid.fault,
            Self::Fault(fault) => fault,
        }
    }

    fn in_step(mut self, label: &Text) -> Self {
        let fault = match &mut self {
            Self::Undecodable(undecodable) => &mut undecodable.fault,
            Self::Invalid(invalid) => &mut invalid.fault,
            Self::Fault(fault) => fault,
        };
        fault.step = Some(label.clone());
        self
    }

    fn into_fault(self) -> Fault {
        self.into_refusal().fault
    }

    fn into_refusal(self) -> Refusal {
        match self {
            Self::Undecodable(undecodable) => {
                Refusal { kind: undecodable.kind, fault: undecodable.fault, violations: Vec::new() }
            }
            Self::Invalid(invalid) => {
                Refusal { kind: RefusalKind::Invalid, fault: invalid.fault, violations: invalid.violations }
            }
            Self::Fault(fault) => Refusal { kind: RefusalKind::Invalid, fault, violations: Vec::new() },
        }
    }
}
