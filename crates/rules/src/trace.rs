//! What each step did, for `try`.

use crate::Working;
use crossdock_expression::{Metadata, ValueRef};
use crossdock_model::{Fault, Text};
use std::sync::Arc;

/// One step and what it did.
#[derive(Clone, PartialEq, Debug)]
pub struct StepTrace {
    /// `steps[1] transform`.
    pub label: Text,
    /// How it ended.
    pub outcome: StepOutcome,
    /// What it changed, in the order of paths.
    pub changes: Vec<Change>,
}

/// How a step ended.
#[derive(Clone, PartialEq, Debug)]
pub enum StepOutcome {
    /// The message goes on.
    Passed,
    /// The message goes no further, as the rules want it.
    Filtered,
    /// It failed; the message is dead, or refused in `accept`.
    Failed(Fault),
}

/// One thing that a step changed. Values are JSON; texts of more than a screen are cut.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// `.customer.name`, `%headers.region`, or `bytes`.
    pub at: Text,
    /// What was there; none where nothing was.
    pub before: Option<Text>,
    /// What is there now; none where it was removed.
    pub after: Option<Text>,
}

/// Longest text of a value in a trace.
const SHOWN_BYTES_MAX: usize = 4096;

/// What differs between two states of a message.
pub(crate) fn changes(before: &Working, after: &Working) -> Vec<Change> {
    let mut found = Vec::new();
    let mut before = before.clone();
    // The step may be the one that first needed the value.
    drop(before.prepare(after.decoded().is_some()));
    if let (Some(old), Some(new)) = (before.decoded(), after.decoded()) {
        compare("", Some(old.as_ref()), Some(new.as_ref()), &mut found);
        for change in &mut found {
            if !change.at.starts_with('.') {
                change.at = Text::from(format!(".{}", change.at));
            }
        }
    }
    // A step that wraps or unwraps the message as a whole makes it another one.
    let is_other = !Arc::ptr_eq(before.envelope(), after.envelope());
    let names: Vec<_> = if is_other { vec!["content_type", "headers"] } else { after.metadata.changed().collect() };
    if !names.is_empty() {
        let built = |message: &Working| {
            let mut built = Metadata::new();
            built.build_all(message.envelope());
            built
        };
        let (old, new) = (built(&before), built(after));
        for name in names {
            let old = before.metadata.get(name).or_else(|| old.get(name));
            let new =
                if is_other { after.metadata.get(name).or_else(|| new.get(name)) } else { after.metadata.get(name) };
            compare(&format!("%{name}"), old, new, &mut found);
        }
    }
    if let Some(bytes) = after.bytes().filter(|bytes| before.bytes() != Some(bytes)) {
        let at = Text::from_static("bytes");
        found.push(Change { at, before: None, after: Some(cut(&String::from_utf8_lossy(bytes))) });
    }
    found
}

/// Goes down where both sides are objects, so that a change is told at its own place.
fn compare(at: &str, old: Option<ValueRef<'_>>, new: Option<ValueRef<'_>>, found: &mut Vec<Change>) {
    let objects = old.and_then(ValueRef::as_object).zip(new.and_then(ValueRef::as_object));
    if let Some((before, after)) = objects {
        for (name, value) in before.iter().filter(|(name, _)| after.get(name).is_none()) {
            compare(&child(at, name), Some(value), None, found);
        }
        for (name, value) in after.iter() {
            compare(&child(at, name), before.get(name), Some(value), found);
        }
    } else if old != new {
        found.push(Change { at: Text::from(at), before: old.map(show), after: new.map(show) });
    }
}

fn child(at: &str, name: &str) -> String {
    let plain = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_');
    if plain { format!("{at}.{name}") } else { format!("{at}.{name:?}") }
}

fn show(value: ValueRef<'_>) -> Text {
    cut(&value.show())
}

fn cut(text: &str) -> Text {
    if text.len() <= SHOWN_BYTES_MAX {
        return Text::from(text);
    }
    let end = (0..=SHOWN_BYTES_MAX).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    Text::from(format!("{}…", text.get(..end).unwrap_or_default()))
}
