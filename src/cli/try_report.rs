//! What `crossdock try` shows to people: the steps with what each changed, and the end. What came with the message is
//! shown without control characters.

use super::terminal::{Paint, Tone, disarm};
use crossdock_admin::shape::{Fault, Trial, TrialStep, TrialTarget};

/// A trial in words.
pub fn render(trial: &Trial, paint: Paint) -> String {
    let kind = trial.content_type.as_deref().unwrap_or("no content type");
    let from = if trial.start == "steps" { ", from the stored message on" } else { "" };
    let head = paint.text(Tone::Strong, &disarm(&trial.route));
    let mut text = format!("{head}: {} bytes, {}{from}\n\n", trial.payload_bytes, disarm(kind));
    for step in &trial.steps {
        text += &render_step(step, paint);
    }
    if !trial.steps.is_empty() {
        text += "\n";
    }
    text + &render_end(trial, paint)
}

fn render_end(trial: &Trial, paint: Paint) -> String {
    let cause = trial.fault.as_ref().map(told).unwrap_or_default();
    match trial.outcome.as_str() {
        "filtered" => {
            let step = disarm(trial.step.as_deref().unwrap_or_default());
            format!("{} by {step}: nothing would be sent\n", paint.text(Tone::Warning, "filtered"))
        }
        "expired" => {
            let at = trial.expired_at.as_deref().unwrap_or_default();
            format!("{} since {at}: nothing would be sent\n", paint.text(Tone::Warning, "expired"))
        }
        "refused" => format!("{} at the door: {cause}\n", paint.text(Tone::Bad, "refused")),
        "dead" if trial.targets.is_empty() => format!("{}: {cause}\n", paint.text(Tone::Bad, "would be a dead letter")),
        _ => {
            let mut text: String = trial.targets.iter().map(|target| render_target(target, paint)).collect();
            if trial.targets.iter().any(|target| target.fault.is_none()) {
                text += &format!("\n{}\n", payload(trial));
            }
            text + &paint.text(Tone::Faint, "nothing was sent: this was a try") + "\n"
        }
    }
}

fn render_step(step: &TrialStep, paint: Paint) -> String {
    let (mark, more) = match (step.outcome.as_str(), &step.fault) {
        ("filtered", _) => (paint.text(Tone::Warning, "stop"), ": filtered".to_owned()),
        (_, Some(fault)) => (paint.text(Tone::Bad, "FAIL"), format!(": {}", plain(fault))),
        (_, None) => (paint.text(Tone::Good, "ok  "), String::new()),
    };
    let mut text = format!("{mark}  {}{more}\n", disarm(&step.step));
    for change in &step.changes {
        let after = change.after.as_deref().unwrap_or("removed");
        let line = match &change.before {
            Some(before) => format!("{}: {before} → {after}", change.at),
            None => format!("{}: {after}", change.at),
        };
        let lines = line.trim_end().lines().map(|line| format!("        {}\n", disarm(line)));
        text.extend(lines);
    }
    text
}

fn render_target(target: &TrialTarget, paint: Paint) -> String {
    let name = disarm(&target.target);
    let act = match (&target.fault, &target.act) {
        (Some(fault), _) => {
            return format!("{} {name}: {}\n", paint.text(Tone::Bad, "would be a dead letter for"), told(fault));
        }
        (None, act) => disarm(act.as_deref().unwrap_or_default()),
    };
    let mut text = format!("{} {name}: {act}\n", paint.text(Tone::Good, "would be sent to"));
    for (name, value) in &target.headers {
        text += &format!("  {}: {}\n", disarm(name), disarm(value));
    }
    for field in &target.lost {
        text += &paint.text(Tone::Warning, &format!("  cannot be carried: {}\n", disarm(field)));
    }
    text
}

fn payload(trial: &Trial) -> String {
    match (&trial.payload, &trial.payload_base64) {
        (Some(text), _) => text.trim_end_matches('\n').lines().map(disarm).collect::<Vec<_>>().join("\n"),
        (None, Some(encoded)) => format!("(not text; base64) {encoded}"),
        (None, None) => "(no payload)".into(),
    }
}

fn told(fault: &Fault) -> String {
    match &fault.step {
        Some(step) => format!("{}: {}", disarm(step), plain(fault)),
        None => plain(fault),
    }
}

fn plain(fault: &Fault) -> String {
    format!("{}: {}", fault.code, disarm(&fault.text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_with_the_message_moves_no_cursor() {
        let sent = TrialTarget {
            target: "erp".into(),
            act: Some("PUT http://erp/\x1b[2J".into()),
            headers: vec![("x-\x1b".into(), "\r\n\x07".into())],
            lost: Vec::new(),
            fault: None,
        };
        let trial = Trial {
            route: "out".into(),
            id: String::new(),
            start: "steps".into(),
            content_type: Some("text/\x1b[31m".into()),
            payload_bytes: 3,
            steps: Vec::new(),
            outcome: "sent".into(),
            step: None,
            fault: None,
            expired_at: None,
            targets: vec![sent],
            payload: Some("a\x1b[2J\nb".into()),
            payload_base64: None,
        };
        let text = render(&trial, Paint::plain());
        assert!(!text.contains(['\x1b', '\r', '\x07']), "{text:?}");
        assert!(text.contains("\nb\n"), "{text:?}");
    }
}
