//! `crossdock dead ls`: by cause, or one by one.

use super::filter::Filter;
use crate::cli::{
    client::Client,
    exit::{Exit, Failure, Outcome},
    table::{Cell, Column, Table},
    terminal::{Paint, Tone, data, json, note},
};
use clap::Args;
use crossdock_admin::shape::{DeadGroup, DeadLetter, Page};

/// List dead letters by cause; with --all or a filter, one by one.
#[derive(Debug, Args)]
pub struct Arguments {
    /// One by one, oldest first
    #[arg(long)]
    all: bool,

    #[command(flatten)]
    filter: Filter,

    /// Most dead letters to list one by one, 1 to 1000
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: u64,

    /// Go on where a list ended
    #[arg(long, value_name = "CURSOR")]
    cursor: Option<String>,

    /// For programs: what the API answers
    #[arg(long)]
    json: bool,
}

/// Asks and shows.
pub fn execute(client: &Client, arguments: &Arguments) -> Outcome {
    if arguments.all || arguments.cursor.is_some() || !arguments.filter.is_empty() {
        return one_by_one(client, arguments);
    }
    let answer = client.list::<DeadGroup>(&["dead-letters", "groups"])?;
    if arguments.json {
        json(&answer.json)?;
    } else if answer.shape.items.is_empty() {
        note("no dead letters");
    } else {
        data(&groups(&answer.shape.items).render(Paint::stdout()))?;
        note("one by one: crossdock dead ls --all · send them back: crossdock dead redrive");
    }
    Ok(Exit::Fine)
}

fn one_by_one(client: &Client, arguments: &Arguments) -> Outcome {
    let filter = arguments.filter.read(&[])?;
    let limit = arguments.limit.to_string();
    let mut query = vec![("limit", limit.as_str())];
    query.extend(filter.route.as_deref().map(|route| ("route", route)));
    query.extend(filter.code.as_deref().map(|code| ("code", code)));
    query.extend(arguments.cursor.as_deref().map(|cursor| ("cursor", cursor)));
    match filter.ids.as_deref().unwrap_or_default() {
        [] => {}
        [id] => query.push(("id", id)),
        [_, ..] => return Err(Failure::usage("the filter names several ids; list them one after the other")),
    }
    let answer = client.get::<Page<DeadLetter>>(&["dead-letters"], &query)?;
    if arguments.json {
        json(&answer.json)?;
        return Ok(Exit::Fine);
    }
    if answer.shape.items.is_empty() {
        note("no dead letters");
    } else {
        data(&letters(&answer.shape.items).render(Paint::stdout()))?;
    }
    if let Some(next) = &answer.shape.next {
        note(&format!("more: --cursor {next}"));
    }
    Ok(Exit::Fine)
}

fn groups(groups: &[DeadGroup]) -> Table {
    let mut table = Table::new([
        Column::number("COUNT"),
        Column::text("ROUTE"),
        Column::text("TARGET"),
        Column::text("CODE"),
        Column::text("CAUSE"),
        Column::text("LAST"),
    ]);
    for group in groups {
        table.row([
            Cell::toned(Tone::Warning, group.count.to_string()),
            group.route.as_str().into(),
            group.target.as_deref().unwrap_or("-").into(),
            Cell::toned(Tone::Strong, group.code.as_str()),
            shorten(&group.text).into(),
            group.last.as_str().into(),
        ]);
    }
    table
}

fn letters(letters: &[DeadLetter]) -> Table {
    let mut table = Table::new([
        Column::text("ID"),
        Column::text("ROUTE"),
        Column::text("TARGET"),
        Column::text("CODE"),
        Column::text("CAUSE"),
        Column::text("DEAD SINCE"),
        Column::number("REDRIVES"),
    ]);
    for letter in letters {
        table.row([
            Cell::toned(Tone::Strong, letter.id.as_str()),
            letter.route.as_str().into(),
            letter.target.as_deref().unwrap_or("-").into(),
            letter.cause.code.as_str().into(),
            shorten(&letter.cause.text).into(),
            letter.dead_since.as_str().into(),
            letter.redrives.into(),
        ]);
    }
    table
}

/// So much of a cause that a row stays a row; `dead show` has the whole.
fn shorten(text: &str) -> String {
    const CHARACTERS_MAX: usize = 60;
    if text.chars().count() <= CHARACTERS_MAX {
        return text.to_owned();
    }
    text.chars().take(CHARACTERS_MAX - 1).chain(['…']).collect()
}
