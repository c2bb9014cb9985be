//! `crossdock queues`: the channels, with what stands in them.

use super::{
    connect::Connection,
    exit::{Exit, Outcome},
    table::{Cell, Column, Table},
    terminal::{Paint, Tone, data, json},
    units::{age, bytes},
};
use clap::Args;
use crossdock_admin::shape::{Channel, ChannelKind, Page};
use std::path::PathBuf;

/// Show the queues and topics: messages, bytes, age of the oldest message, readers.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The configuration, which tells where the gateway is [routes.yaml]
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,

    /// For programs: what GET /api/v1/channels answers
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    connection: Connection,
}

/// Asks and shows.
pub fn execute(config: Option<PathBuf>, arguments: &Arguments) -> Outcome {
    let answer = arguments.connection.client(config)?.get::<Page<Channel>>(&["channels"], &[])?;
    if arguments.json {
        json(&answer.json)?;
    } else {
        data(&render(&answer.shape.items, Paint::stdout()))?;
    }
    Ok(Exit::Fine)
}

fn render(channels: &[Channel], paint: Paint) -> String {
    let mut table = Table::new([
        Column::text("CHANNEL"),
        Column::text("KIND"),
        Column::number("MESSAGES"),
        Column::number("READY"),
        Column::number("IN FLIGHT"),
        Column::number("SCHEDULED"),
        Column::number("SIZE"),
        Column::number("OLDEST"),
        Column::text("READERS"),
    ]);
    for channel in channels {
        let readers: Vec<_> = channel.subscriptions.iter().map(|reader| reader.name.as_str()).collect();
        table.row([
            Cell::toned(Tone::Strong, channel.name.as_str()),
            match channel.kind {
                ChannelKind::Queue => "queue".into(),
                ChannelKind::Topic => "topic".into(),
            },
            channel.messages.into(),
            channel.ready.into(),
            channel.in_flight.into(),
            channel.scheduled.into(),
            bytes(channel.bytes).into(),
            channel.oldest_seconds.map_or_else(|| "-".to_owned(), age).into(),
            readers.join(", ").into(),
        ]);
    }
    table.render(paint)
}
