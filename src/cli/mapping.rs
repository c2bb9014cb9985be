//! `crossdock mapping`: what each protocol does with each part of a message, as `docs/mapping.md` has it.

use super::{
    exit::{Exit, Outcome},
    terminal::data,
};
use crate::registry;
use clap::Args;
use crossdock_connector::{Carriage, Column, Events, mapping::Part};
use std::fmt::Write as _;

/// Print what each protocol does with each part of a message (docs/mapping.md).
#[derive(Debug, Args)]
pub struct Arguments {}

/// Prints it.
pub fn execute() -> Outcome {
    data(&page(&registry::columns()))?;
    Ok(Exit::Fine)
}

const HEAD: &str = "<!-- Made by `cargo xtask codegen` from the tables of the connectors: do not edit. -->

# Messages across protocols

A message has the parts below. What a protocol has a field for goes there; what it has none for goes into a user header, where it has these;
what cannot go there either is lost. A loss is counted (`crossdock_mapping_losses_total{field,target}`, `field` as in the first column) and
shown by `crossdock try`; with `strict: true` on the target it is refused instead (`mapping.lost`, the message is dead).

On the way in it is the same the other way round. What begins with `crossdock-` is never taken from outside, a user header never sets a
field or what controls a protocol, and a value that a protocol does not allow (a line break in a header) is a loss.

| Part | Header where there is no field |
|---|---|
";

const EVENTS: &str = "
## CloudEvents

Events are recognised in both modes, whatever they came over: structured by the content type `application/cloudevents+json`, binary by the header
`specversion` under one of the prefixes `ce-`, `ce_`, `cloudEvents:`, `cloudEvents_` (in MQTT 5 without one). Over HTTP a body of
`application/cloudevents-batch+json` is as many messages. They pass as they came; nobody's payload is wrapped or unwrapped unasked.

- `decode: cloudevent` among the steps makes the data the payload, and the attributes headers `ce_NAME` (`%headers.ce_type`).
- `encode: cloudevent` among the steps makes one JSON object; a payload that is coded (`content_encoding`) it refuses, since an event cannot say so.
- `encode: cloudevent` on a target makes the event that the protocol has a form for:

| Protocol | Mode |
|---|---|
";

const DEFAULTS: &str = "
An event keeps what it says. What a message does not say comes from itself: `id` is the message's id, `source` where it came from (`mqtt:plant/3/temp`), `time`
when its sender made it or else when it was received, `type` is `crossdock.message`. `type`, `source` and `subject` can be said
with `encode: { cloudevent: { type: … } }`, or by a step: `%headers.ce_type = \"order.created\"`. The key goes as `partitionkey`.
A user header that would be taken for one of the event's attributes does not go along.
";

fn page(columns: &[&Column]) -> String {
    let mut page = HEAD.to_owned();
    for part in Part::ALL {
        let header = part.header().map_or_else(|| "–".to_owned(), |name| format!("`{name}`"));
        // Writing to a string cannot fail.
        let _ = writeln!(page, "| `{}` | {header} |", part.name());
    }
    page += "\n## What each protocol does\n\n| Part |";
    for column in columns {
        let _ = write!(page, " {} |", column.protocol);
    }
    let _ = writeln!(page, "\n|---|{}", "---|".repeat(columns.len()));
    for part in Part::ALL {
        let cells: Vec<_> = columns.iter().map(|column| cell(column.carriage(part))).collect();
        let _ = writeln!(page, "| `{}` | {} |", part.name(), cells.join(" | "));
    }
    page += EVENTS;
    for column in columns {
        let _ = writeln!(page, "| {} | {} |", column.protocol, events(column.events));
    }
    page + DEFAULTS
}

fn cell(carriage: Carriage) -> String {
    let noted = |what: &str, note: &str| if note.is_empty() { what.to_owned() } else { format!("{what}; {note}") };
    match carriage {
        Carriage::Field { name, note } => noted(&format!("**{name}**"), note),
        Carriage::Header { note } => noted("header", note),
        Carriage::Lost { note } => noted("lost", note),
    }
}

fn events(events: Events) -> String {
    match events {
        Events::Structured => "structured".to_owned(),
        Events::Headers { prefix, percent_encoded } => {
            let prefix = if prefix.is_empty() { "no prefix".to_owned() } else { format!("prefix `{prefix}`") };
            let encoded = if percent_encoded { ", percent-encoded" } else { "" };
            format!("binary, {prefix}{encoded}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_column_names_each_part_once() {
        for column in registry::columns() {
            assert_eq!(column.unclear(), [], "{}", column.protocol);
        }
    }

    #[test]
    fn the_page_in_the_documents_is_this_one() {
        let written = include_str!("../../docs/mapping.md");
        assert!(written == page(&registry::columns()), "docs/mapping.md is stale: run `cargo xtask codegen`");
    }
}
