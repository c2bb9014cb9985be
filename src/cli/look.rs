//! What commands share that ask the gateway for one thing and show it.

use super::{
    connect::Connection,
    exit::{Exit, Outcome},
    terminal::{Paint, data, json},
};
use clap::Args;
use serde::de::DeserializeOwned;
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
    /// Asks for what is at a path below `/api/v1`, and shows it: to programs as it came, to people as `render` says.
    ///
    /// # Errors
    /// The gateway cannot be asked, or what it says cannot be written.
    pub fn execute<T: DeserializeOwned>(
        &self,
        config: Option<PathBuf>,
        path: &[&str],
        render: impl FnOnce(&T, Paint) -> String,
    ) -> Outcome {
        let answer = self.connection.client(config.or_else(|| self.file.clone()))?.get::<T>(path, &[])?;
        if self.json {
            json(&answer.json)?;
        } else {
            data(&render(&answer.shape, Paint::stdout()))?;
        }
        Ok(Exit::Fine)
    }
}
