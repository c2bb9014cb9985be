//! What a route would do with a message.

use super::message::{fault, text_or_base64};
use crate::shape;
use crossdock_engine::{Sent, StepOutcome, StepTrace, Trial, TrialEnd, TrialStart};
use crossdock_model::{Fault, Text};

/// A trial, as the API answers it and `crossdock try --json` prints it.
#[must_use]
pub fn trial(trial: &Trial) -> shape::Trial {
    let mut shape = shape::Trial {
        route: trial.route.to_string(),
        id: trial.id.to_string(),
        start: match trial.start {
            TrialStart::Accept => "accept".into(),
            TrialStart::Steps => "steps".into(),
        },
        content_type: trial.content_type.as_ref().map(ToString::to_string),
        payload_bytes: trial.payload_bytes as u64,
        steps: trial.steps.iter().map(step).collect(),
        outcome: String::new(),
        step: None,
        fault: None,
        expired_at: None,
        targets: Vec::new(),
        payload: None,
        payload_base64: None,
    };
    shape.outcome = match &trial.end {
        TrialEnd::Filtered { step } => {
            shape.step = Some(step.to_string());
            "filtered"
        }
        TrialEnd::Refused(refusal) => {
            shape.fault = Some(fault(&refusal.fault));
            "refused"
        }
        TrialEnd::Expired { at } => {
            shape.expired_at = Some(at.to_string());
            "expired"
        }
        TrialEnd::Dead(cause) => {
            shape.fault = Some(fault(cause));
            "dead"
        }
        TrialEnd::Sent { payload, targets } => {
            shape.targets = targets.iter().map(target).collect();
            (shape.payload, shape.payload_base64) = text_or_base64(payload.as_ref());
            let mut faults = targets.iter().map_while(|(_, sent)| sent.as_ref().err());
            match faults.next().filter(|_| faults.count() + 1 == targets.len()) {
                Some(first) => {
                    shape.fault = Some(fault(first));
                    "dead"
                }
                None => "sent",
            }
        }
    }
    .into();
    shape
}

fn step(step: &StepTrace) -> shape::TrialStep {
    let (outcome, fault) = match &step.outcome {
        StepOutcome::Passed => ("passed", None),
        StepOutcome::Filtered => ("filtered", None),
        StepOutcome::Failed(cause) => ("failed", Some(fault(cause))),
    };
    let changes = step.changes.iter().map(|change| shape::TrialChange {
        at: change.at.to_string(),
        before: change.before.as_ref().map(ToString::to_string),
        after: change.after.as_ref().map(ToString::to_string),
    });
    shape::TrialStep { step: step.label.to_string(), outcome: outcome.into(), changes: changes.collect(), fault }
}

fn target((name, sent): &(Text, Result<Sent, Fault>)) -> shape::TrialTarget {
    let target = name.to_string();
    match sent {
        Err(cause) => {
            let (headers, lost) = (Vec::new(), Vec::new());
            shape::TrialTarget { target, act: None, headers, lost, fault: Some(fault(cause)) }
        }
        Ok(sent) => shape::TrialTarget {
            target,
            act: Some(sent.act.to_string()),
            headers: sent.headers.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect(),
            lost: sent.lost.iter().map(ToString::to_string).collect(),
            fault: None,
        },
    }
}
