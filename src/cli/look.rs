//! What commands share that ask the gateway for one thing and show it.

use super::{
    client::{Answer, Client},
    connect::Connection,
    exit::{Exit, Failure, Outcome},
    terminal::{Paint, data, json},
};
use clap::Args;
use std::path::PathBuf;

/// Where to ask, and for whom to show.
#[derive(Debug, Args)]
pub struct Look {
    /// The configuration, which tells where the gateway is [routes.yaml]
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,

    /// For programs: what the admin API answers
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    connection: Connection,
}

impl Look {
    /// Asks, and shows what is answered: to programs as it came, to people as `render` says.
    ///
    /// # Errors
    /// The gateway cannot be asked, or what it says cannot be written.
    pub fn execute<T>(
        &self,
        config: Option<PathBuf>,
        ask: impl FnOnce(&Client) -> Result<Answer<T>, Failure>,
        render: impl FnOnce(&T, Paint) -> String,
    ) -> Outcome {
        let answer = ask(&self.connection.client(config.or_else(|| self.file.clone()))?)?;
        if self.json {
            json(&answer.json)?;
        } else {
            data(&render(&answer.shape, Paint::stdout()))?;
        }
        Ok(Exit::Fine)
    }
}
