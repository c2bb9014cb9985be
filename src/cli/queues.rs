//! `crossdock queues`: the channels, with what stands in them.

use super::{
    client::Client,
    exit::Outcome,
    look::Look,
    table::{Cell, Column, Table},
    terminal::{Paint, Tone},
    units::{age, bytes},
};
use clap::Args;
use crossdock_admin::shape::{Channel, ChannelKind, Page};
use std::path::PathBuf;

/// Show the queues and topics: messages, bytes, age of the oldest message, readers.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    look: Look,
}

/// Asks and shows.
pub fn execute(config: Option<PathBuf>, arguments: &Arguments) -> Outcome {
    let ask = |client: &Client| client.list(&["channels"]);
    arguments.look.execute(config, ask, |page: &Page<Channel>, paint| render(&page.items, paint))
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
