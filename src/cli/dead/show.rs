//! `crossdock dead show`: a dead letter with its cause, tries and payload; of a message that died at several targets, each.

use crate::cli::{
    client::Client,
    exit::{Exit, Outcome},
    table::{Column, Table},
    terminal::{Paint, Tone, data, disarm, json},
    units::count,
};
use clap::Args;
use crossdock_admin::shape::{DeadLetter, Page};

/// Show a dead letter: its cause, its tries, where it came from, its headers and payload.
///
/// A message that died at several targets is shown for each of them, the last one first.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The message's id
    id: String,

    /// For programs: what GET /api/v1/dead-letters/{id} answers, which is the last one; GET /api/v1/dead-letters?id=ID has all
    #[arg(long)]
    json: bool,
}

/// Asks and shows.
pub fn execute(client: &Client, arguments: &Arguments) -> Outcome {
    let answer = client.get::<DeadLetter>(&["dead-letters", &arguments.id], &[])?;
    if arguments.json {
        json(&answer.json)?;
        return Ok(Exit::Fine);
    }
    let others = client.get::<Page<DeadLetter>>(&["dead-letters"], &[("id", &arguments.id)])?;
    data(&all_of(answer.shape, others.shape.items, Paint::stdout()))?;
    Ok(Exit::Fine)
}

/// The last one, and what else the message died of at other targets.
fn all_of(last: DeadLetter, mut all: Vec<DeadLetter>, paint: Paint) -> String {
    all.retain(|letter| (&letter.channel, &letter.target) != (&last.channel, &last.target));
    all.sort_by(|a, b| b.dead_since.cmp(&a.dead_since));
    all.insert(0, last);
    let shown: Vec<_> = all.iter().map(|letter| render(letter, paint)).collect();
    shown.join("\n")
}

fn render(letter: &DeadLetter, paint: Paint) -> String {
    let cause = &letter.cause;
    let step = cause.step.as_deref().map(|step| format!(" in {step}")).unwrap_or_default();
    let origin = &letter.origin;
    let remote = origin.remote.as_deref().map(|remote| format!(" from {remote}")).unwrap_or_default();
    let facts = [
        ("message", Some(Tone::Strong), letter.id.clone()),
        ("cause", Some(Tone::Bad), format!("{} ({}){step}", cause.code, cause.class)),
        ("", None, cause.text.clone()),
        ("route", None, letter.route.clone()),
        ("target", None, letter.target.clone().unwrap_or_else(|| "-".into())),
        ("came in", None, format!("{} over {} {}{remote}", letter.received_at, origin.protocol, origin.address)),
        ("dead since", None, format!("{} in {}", letter.dead_since, letter.channel)),
        ("redriven", None, count(letter.redrives, "time")),
        ("copy of", None, letter.edited_from.clone().unwrap_or_else(|| "-".into())),
        ("type", None, letter.content_type.clone().unwrap_or_else(|| "-".into())),
    ];
    let mut text = String::new();
    let before = deaths_before(letter).map(|told| ("before that", None, told));
    for (name, tone, value) in facts.into_iter().chain(before) {
        let value = disarm(&value);
        text += &format!("{name:<12}{}\n", tone.map_or_else(|| value.clone(), |tone| paint.text(tone, &value)));
    }
    if !letter.attempts.is_empty() {
        text += &format!("\n{}", attempts(letter).render(paint));
    }
    text += "\n";
    for (name, value) in &letter.headers {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        text += &format!("{}: {}\n", disarm(name), disarm(&value));
    }
    text += &format!("\n{}\n", payload(letter));
    text
}

/// When and of what it died before it was redriven, oldest first.
fn deaths_before(letter: &DeadLetter) -> impl Iterator<Item = String> + '_ {
    let deaths: Vec<_> = letter.history.iter().filter(|entry| entry.event == "dead").collect();
    let before = deaths.len().saturating_sub(1);
    deaths.into_iter().take(before).map(|entry| {
        let fault = entry.fault.as_ref().map(|fault| format!("{}: {}", fault.code, fault.text)).unwrap_or_default();
        format!("{} {fault}", entry.at)
    })
}

fn attempts(letter: &DeadLetter) -> Table {
    let columns = [Column::text("TRIED AT"), Column::text("TARGET"), Column::text("OUTCOME"), Column::text("FAULT")];
    let mut table = Table::new(columns);
    for attempt in &letter.attempts {
        let fault = attempt.fault.as_ref().map(|fault| format!("{}: {}", fault.code, fault.text)).unwrap_or_default();
        let target = attempt.target.as_deref().unwrap_or("-");
        table.row([attempt.at.as_str().into(), target.into(), attempt.outcome.as_str().into(), fault.into()]);
    }
    table
}

fn payload(letter: &DeadLetter) -> String {
    match (&letter.payload, &letter.payload_base64) {
        (Some(text), _) => text.lines().map(disarm).collect::<Vec<_>>().join("\n"),
        (None, Some(encoded)) => format!("(not text; base64) {encoded}"),
        (None, None) => "(no payload)".into(),
    }
}
