//! What `crossdock try` shows: the steps with what each changed, and the end.

use super::terminal::{Paint, Tone};
use bytes::Bytes;
use crossdock_model::{Envelope, Fault, Refusal, Text};
use crossdock_rules::{Change, StepOutcome, StepTrace};
use serde_json::{Value, json};

/// A message's way through a route.
#[derive(Debug)]
pub struct Report {
    route: Text,
    content_type: Option<Text>,
    bytes: usize,
    /// The steps that ran, those of `accept` first.
    pub steps: Vec<StepTrace>,
    /// What became of it.
    pub end: Outcome,
}

/// What became of the message.
#[derive(Debug)]
pub enum Outcome {
    /// A filter let it go.
    Filtered {
        /// The label of the step.
        step: Text,
    },
    /// `accept` does not take it: the sender would hear so.
    Refused(Refusal),
    /// It would be a dead letter.
    Dead(Fault),
    /// It would be sent.
    Sent {
        /// The payload as it leaves; none for a tombstone.
        payload: Option<Bytes>,
        /// What each target that it is for would be sent.
        targets: Vec<(Text, Result<Sent, Fault>)>,
    },
}

/// What a target would be sent.
#[derive(Debug)]
pub struct Sent {
    /// `PUT http://…`, `append to channel orders`.
    pub act: Text,
    /// What goes with the payload.
    pub headers: Vec<(Text, Text)>,
    /// What the protocol cannot carry.
    pub lost: Vec<Text>,
}

impl Report {
    /// A report on a message that has not gone anywhere yet.
    pub fn new(route: &Text, envelope: &Envelope) -> Self {
        Self {
            route: route.clone(),
            content_type: envelope.properties.content_type.clone(),
            bytes: envelope.bytes().len(),
            steps: Vec::new(),
            end: Outcome::Sent { payload: None, targets: Vec::new() },
        }
    }

    /// Whether it would be sent everywhere it is for, or filtered.
    pub fn went_well(&self) -> bool {
        match &self.end {
            Outcome::Filtered { .. } => true,
            Outcome::Refused(_) | Outcome::Dead(_) => false,
            Outcome::Sent { targets, .. } => targets.iter().all(|(_, sent)| sent.is_ok()),
        }
    }

    /// For people.
    pub fn render(&self, paint: Paint) -> String {
        let kind = self.content_type.as_deref().unwrap_or("no content type");
        let mut text = format!("{}: {} bytes, {kind}\n\n", paint.text(Tone::Strong, &self.route), self.bytes);
        for step in &self.steps {
            text += &render_step(step, paint);
        }
        if !self.steps.is_empty() {
            text += "\n";
        }
        text + &self.render_end(paint)
    }

    fn render_end(&self, paint: Paint) -> String {
        match &self.end {
            Outcome::Filtered { step } => {
                format!("{} by {step}: nothing would be sent\n", paint.text(Tone::Warning, "filtered"))
            }
            Outcome::Refused(refusal) => {
                format!("{} at the door: {}\n", paint.text(Tone::Bad, "refused"), refusal.fault)
            }
            Outcome::Dead(fault) => format!("{}: {}\n", paint.text(Tone::Bad, "would be a dead letter"), told(fault)),
            Outcome::Sent { payload, targets } => {
                let mut text: String = targets.iter().map(|target| render_target(target, paint)).collect();
                if targets.iter().any(|(_, sent)| sent.is_ok()) {
                    text += &format!("\n{}\n", render_payload(payload.as_ref()));
                }
                text + &paint.text(Tone::Faint, "nothing was sent: this was a try") + "\n"
            }
        }
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let steps: Value = self.steps.iter().map(step_json).collect();
        let (outcome, more) = match &self.end {
            Outcome::Filtered { step } => ("filtered", json!({"step": &**step})),
            Outcome::Refused(refusal) => ("refused", json!({"fault": fault_json(&refusal.fault)})),
            Outcome::Dead(fault) => ("dead", json!({"fault": fault_json(fault)})),
            Outcome::Sent { payload, targets } => {
                let targets: Value = targets.iter().map(target_json).collect();
                ("sent", json!({"targets": targets, "payload": payload.as_ref().map(|p| String::from_utf8_lossy(p))}))
            }
        };
        let mut shape = json!({"route": &*self.route, "steps": steps, "outcome": outcome});
        if let (Some(shape), Value::Object(more)) = (shape.as_object_mut(), more) {
            shape.extend(more);
        }
        shape
    }
}

fn render_step(step: &StepTrace, paint: Paint) -> String {
    let (mark, more) = match &step.outcome {
        StepOutcome::Passed => (paint.text(Tone::Good, "ok  "), String::new()),
        StepOutcome::Filtered => (paint.text(Tone::Warning, "stop"), ": filtered".to_owned()),
        StepOutcome::Failed(fault) => (paint.text(Tone::Bad, "FAIL"), format!(": {fault}")),
    };
    let mut text = format!("{mark}  {}{more}\n", step.label);
    for change in &step.changes {
        let after = change.after.as_deref().unwrap_or("removed");
        let line = match &change.before {
            Some(before) => format!("{}: {before} → {after}", change.at),
            None => format!("{}: {after}", change.at),
        };
        text += &format!("        {}\n", line.trim_end().replace('\n', "\n        "));
    }
    text
}

fn render_target((name, sent): &(Text, Result<Sent, Fault>), paint: Paint) -> String {
    match sent {
        Err(fault) => format!("{} {name}: {}\n", paint.text(Tone::Bad, "would be a dead letter for"), told(fault)),
        Ok(sent) => {
            let mut text = format!("{} {name}: {}\n", paint.text(Tone::Good, "would be sent to"), sent.act);
            for (name, value) in &sent.headers {
                text += &format!("  {name}: {value}\n");
            }
            for field in &sent.lost {
                text += &paint.text(Tone::Warning, &format!("  cannot be carried: {field}\n"));
            }
            text
        }
    }
}

fn render_payload(payload: Option<&Bytes>) -> String {
    match payload.map(|bytes| (std::str::from_utf8(bytes), bytes.len())) {
        None => "(no payload)".into(),
        Some((Ok(text), _)) => text.trim_end_matches('\n').to_owned(),
        Some((Err(_), length)) => format!("({length} bytes that are no text)"),
    }
}

fn told(fault: &Fault) -> String {
    match &fault.step {
        Some(step) => format!("{step}: {fault}"),
        None => fault.to_string(),
    }
}

fn step_json(step: &StepTrace) -> Value {
    let change = |change: &Change| json!({"at": &*change.at, "before": change.before.as_deref(), "after": change.after.as_deref()});
    let (outcome, fault) = match &step.outcome {
        StepOutcome::Passed => ("passed", None),
        StepOutcome::Filtered => ("filtered", None),
        StepOutcome::Failed(fault) => ("failed", Some(fault_json(fault))),
    };
    let changes: Value = step.changes.iter().map(change).collect();
    json!({"step": &*step.label, "outcome": outcome, "changes": changes, "fault": fault})
}

fn target_json((name, sent): &(Text, Result<Sent, Fault>)) -> Value {
    match sent {
        Err(fault) => json!({"target": &**name, "act": null, "headers": [], "lost": [], "fault": fault_json(fault)}),
        Ok(sent) => {
            let headers: Value = sent.headers.iter().map(|(name, value)| json!([&**name, &**value])).collect();
            let lost: Value = sent.lost.iter().map(|field| Value::from(&**field)).collect();
            json!({"target": &**name, "act": &*sent.act, "headers": headers, "lost": lost, "fault": null})
        }
    }
}

fn fault_json(fault: &Fault) -> Value {
    let step = fault.step.as_deref();
    json!({"class": fault.class.name(), "code": &*fault.code, "text": &*fault.text, "step": step})
}
