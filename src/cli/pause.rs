//! `crossdock pause` and `crossdock resume`: stop and go on with a route's deliveries.

use super::{
    connect::Connection,
    exit::{Exit, Outcome},
    terminal::{data, json},
};
use clap::Args;
use crossdock_admin::shape::Route;
use std::path::PathBuf;

/// Which route.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The route's key in the configuration
    route: String,

    /// For programs: the route, as GET /api/v1/routes/{id} answers it
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    connection: Connection,
}

/// What is done to the route.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    /// It stops.
    Pause,
    /// It goes on.
    Resume,
}

/// Tells the gateway, and shows how the route is then.
pub fn execute(config: Option<PathBuf>, arguments: &Arguments, change: Change) -> Outcome {
    let (verb, done) = match change {
        Change::Pause => ("pause", "delivers nothing until it is resumed; it still takes messages in"),
        Change::Resume => ("resume", "delivers"),
    };
    let client = arguments.connection.client(config)?;
    let path = ["routes", arguments.route.as_str(), verb];
    let answer = client.post::<Route>(&path, &serde_json::json!({}))?;
    if arguments.json {
        json(&answer.json)?;
    } else {
        data(&format!("route `{}` {done}\n", answer.shape.id))?;
    }
    Ok(Exit::Fine)
}
