//! Grouping dead letters by cause.

use crate::DeadGroup;
use crossdock_model::Text;
use crossdock_store::DeadNote;
use std::collections::HashMap;

/// Most groups that are told apart; what is beyond counts in groups without a text.
const GROUPS_MAX: usize = 1000;

/// Longest text of a group, in characters.
const TEXT_MAX: usize = 200;

/// Dead letters by cause.
#[derive(Default)]
pub(crate) struct Groups(HashMap<(Text, Option<Text>, Text, Text), DeadGroup>);

impl Groups {
    /// Counts a dead letter.
    pub fn add(&mut self, note: &DeadNote) {
        let (route, target, code) = (note.route.clone(), note.target.clone(), note.cause.code.clone());
        let mut key = (route, target, code, Text::from(common(&note.cause.text)));
        if self.0.len() >= GROUPS_MAX && !self.0.contains_key(&key) {
            key.3 = Text::new();
        }
        let new = || {
            let (route, target, code, text) = key.clone();
            DeadGroup { route, target, code, text, count: 0, first: note.dead_since, last: note.dead_since }
        };
        let group = self.0.entry(key.clone()).or_insert_with(new);
        group.count += 1;
        group.first = group.first.min(note.dead_since);
        group.last = group.last.max(note.dead_since);
    }

    /// The groups, the largest first.
    pub fn finish(self) -> Vec<DeadGroup> {
        let mut groups: Vec<_> = self.0.into_values().collect();
        // By all that tells them apart, so that a list that is read in parts has each once.
        let name =
            |group: &DeadGroup| (group.route.clone(), group.code.clone(), group.target.clone(), group.text.clone());
        groups.sort_by_cached_key(|group| (std::cmp::Reverse(group.count), name(group)));
        groups
    }
}

/// A fault's text without what differs by message: what stands in quotes and every word with a digit become `…`.
/// A JSON pointer keeps its names.
fn common(text: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    for word in unquoted(text).split_whitespace() {
        let word = if word.starts_with('/') { pointer(word) } else { plain(word) };
        // A run of them says no more than one.
        if word != "…" || words.last().is_none_or(|last| last != "…") {
            words.push(word);
        }
    }
    words.join(" ").chars().take(TEXT_MAX).collect()
}

fn plain(word: &str) -> String {
    if word.chars().any(|c| c.is_ascii_digit()) { String::from("…") } else { word.to_owned() }
}

/// `/lines/3/price:` → `/lines/…/price:`.
fn pointer(word: &str) -> String {
    word.split('/').map(plain).collect::<Vec<_>>().join("/")
}

/// The text with what stands in double quotes or backticks replaced.
fn unquoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut open: Option<char> = None;
    let mut escaped = false;
    for c in text.chars() {
        match open {
            None => {
                if matches!(c, '"' | '`') {
                    open = Some(c);
                    out.push('…');
                } else {
                    out.push(c);
                }
            }
            Some(quote) => {
                if c == quote && !escaped {
                    open = None;
                }
                escaped = c == '\\' && !escaped;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_has_nothing_that_differs_by_message() {
        for (text, expected) in [
            ("500 Internal Server Error", "… Internal Server Error"),
            (r#"{"error":"order o-17 is not \"known\""}"#, "{…:…}"),
            (
                "/lines/3/price: 12.5 is greater than the maximum of 10",
                "/lines/…/price: … is greater than the maximum of …",
            ),
            ("the answer was `abc` after 2 s", "the answer was … after … s"),
            ("id 0191-aa 0191-bb gone", "id … gone"),
        ] {
            assert_eq!(common(text), expected, "{text}");
        }
    }
}
