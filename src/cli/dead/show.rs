//! `crossdock dead show`: one dead letter with its cause, tries and payload.

use crate::cli::{
    client::Client,
    exit::{Exit, Outcome},
    table::{Column, Table},
    terminal::{Paint, Tone, data, json},
    units::count,
};
use clap::Args;
use crossdock_admin::shape::DeadLetter;

/// Show one dead letter: its cause, its tries, where it came from, its headers and payload.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The message's id
    id: String,

    /// For programs: what GET /api/v1/dead-letters/{id} answers
    #[arg(long)]
    json: bool,
}

/// Asks and shows.
pub fn execute(client: &Client, arguments: &Arguments) -> Outcome {
    let answer = client.get::<DeadLetter>(&["dead-letters", &arguments.id], &[])?;
    if arguments.json {
        json(&answer.json)?;
    } else {
        data(&render(&answer.shape, Paint::stdout()))?;
    }
    Ok(Exit::Fine)
}

fn render(letter: &DeadLetter, paint: Paint) -> String {
    let cause = &letter.cause;
    let step = cause.step.as_deref().map(|step| format!(" in {step}")).unwrap_or_default();
    let origin = &letter.origin;
    let remote = origin.remote.as_deref().map(|remote| format!(" from {remote}")).unwrap_or_default();
    let facts = [
        ("message", paint.text(Tone::Strong, &letter.id)),
        ("cause", paint.text(Tone::Bad, &format!("{} ({}){step}", cause.code, cause.class))),
        ("", cause.text.clone()),
        ("route", letter.route.clone()),
        ("target", letter.target.clone().unwrap_or_else(|| "-".into())),
        ("came in", format!("{} over {} {}{remote}", letter.received_at, origin.protocol, origin.address)),
        ("dead since", format!("{} in {}", letter.dead_since, letter.channel)),
        ("redriven", count(letter.redrives, "time")),
        ("type", letter.content_type.clone().unwrap_or_else(|| "-".into())),
    ];
    let mut text: String = facts.iter().map(|(name, value)| format!("{name:<12}{}\n", disarm(value, paint))).collect();
    if !letter.attempts.is_empty() {
        text += &format!("\n{}", attempts(letter).render(paint));
    }
    text += "\n";
    for (name, value) in &letter.headers {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        text += &format!("{}: {}\n", disarm(name, paint), disarm(&value, paint));
    }
    text += &format!("\n{}\n", payload(letter, paint));
    text
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

fn payload(letter: &DeadLetter, paint: Paint) -> String {
    match (&letter.payload, &letter.payload_base64) {
        (Some(text), _) => text.lines().map(|line| disarm(line, paint)).collect::<Vec<_>>().join("\n"),
        (None, Some(encoded)) => format!("(not text; base64) {encoded}"),
        (None, None) => "(no payload)".into(),
    }
}

/// What came from outside must not be able to move the cursor; our own colour may.
fn disarm(text: &str, paint: Paint) -> String {
    if paint.is_colourful() && text.starts_with("\x1b[") {
        return text.to_owned();
    }
    text.chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).collect()
}
