//! `crossdock run`: the gateway, until somebody stops it.

use super::{
    exit::{Exit, Failure, Outcome},
    file,
    terminal::Paint,
};
use crate::{
    signals::Signals,
    start::{Running, start},
};
use clap::Args;
use crossdock_config::Plan;
use std::{
    fmt::Display,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};
use tracing_subscriber::{EnvFilter, filter::LevelFilter};

/// How long what is under way may take to end after SIGTERM.
const DRAIN: Duration = Duration::from_secs(10);
/// The variable that says what is logged (`debug`, `crossdock_engine=trace`).
const LOG_VARIABLE: &str = "CROSSDOCK_LOG";
/// Most threads for what blocks: reading cold segments, files of the `file` connector.
const BLOCKING_THREADS_MAX: usize = 64;

/// Run the gateway until SIGTERM or Ctrl-C, which end it after what is under way (at most 10 s).
#[derive(Debug, Args)]
#[command(after_help = "CROSSDOCK_LOG says what is logged to stderr: error, warn, info (default), debug, trace.")]
pub struct Arguments {
    /// The configuration [routes.yaml]
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
}

/// Runs it.
pub fn execute(path: &Path) -> Outcome {
    log("info")?;
    let plan = file::plan(path)?;
    runtime()?.block_on(run(plan))
}

/// Logs to stderr, at the given level unless the environment says otherwise.
///
/// # Errors
/// The environment says something that is no level.
pub fn log(level: &str) -> Result<(), Failure> {
    // Set to nothing is not set: compose files write it so.
    let said = std::env::var(LOG_VARIABLE).ok().filter(|said| !said.trim().is_empty());
    let directives = said.unwrap_or_else(|| level.to_owned());
    let unusable = |why: &dyn Display| {
        Failure::usage(format!(
            "{LOG_VARIABLE}={directives}: {why}; write for example `info`, or `info,crossdock_http=debug`"
        ))
    };
    if let Some(word) = directives.split(',').find(|word| is_target_alone(word)) {
        return Err(unusable(&format_args!("`{}` is no level", word.trim())));
    }
    let filter = EnvFilter::try_new(&directives).map_err(|error| unusable(&error))?;
    tracing_subscriber::fmt()
        // A line that cannot be written is lost. To say so on the same stderr would be the end of the process.
        .log_internal_errors(false)
        .with_writer(std::io::stderr)
        .with_ansi(Paint::stderr().is_colourful())
        .with_env_filter(filter)
        .init();
    Ok(())
}

/// A word that is no level is taken for a module, of which alone all would be told: most often it is a slip.
fn is_target_alone(word: &str) -> bool {
    let word = word.trim();
    !word.is_empty() && !word.contains(['=', '[']) && word.parse::<LevelFilter>().is_err()
}

/// A runtime with a thread a core.
///
/// # Errors
/// The system gives no threads.
pub fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .build()
        .map_err(|error| Failure::other(format!("cannot start threads: {error}")))
}

async fn run(plan: Arc<Plan>) -> Outcome {
    let mut signals = Signals::new()?;
    let began = Instant::now();
    let running = tokio::select! {
        running = start(Arc::clone(&plan)) => running?,
        name = signals.next() => {
            tracing::info!(signal = name, "stopped before it was ready");
            return Ok(Exit::Fine);
        }
    };
    let took_ms = began.elapsed().as_millis();
    tracing::info!(config = %plan.file(), admin = %running.admin, took_ms, "ready");
    tokio::select! {
        name = signals.next() => {
            tracing::info!(signal = name, "stopping: nothing new is taken, what is under way ends");
            stop(running, signals).await
        }
        reason = running.gateway.failed() => {
            tracing::error!(%reason, "the gateway cannot go on");
            // What was acknowledged is on disk; nothing more can be promised, so nothing is waited for.
            let _ = running.stop(Instant::now()).await;
            Err(Failure::other(format!(
                "the gateway cannot go on: {reason}; what was acknowledged is safe: if the disk failed (the system's log \
                 tells), mend that first, then start the gateway again, which recovers; if it does not, `crossdock verify` \
                 says what is wrong"
            )))
        }
    }
}

/// Ends in good order; a second signal cuts the wait short.
async fn stop(running: Running, mut signals: Signals) -> Outcome {
    let stopped = tokio::select! {
        stopped = running.stop(Instant::now() + DRAIN) => stopped,
        name = signals.next() => {
            tracing::warn!(signal = name, "stopped at once: what is under way will be sent again at the next start");
            return Ok(Exit::Fine);
        }
    };
    stopped?;
    tracing::info!("stopped");
    Ok(Exit::Fine)
}

#[cfg(test)]
mod tests {
    use super::is_target_alone;

    #[test]
    fn a_word_that_is_no_level_is_a_slip() {
        for (word, is_slip) in [
            ("info", false),
            ("DEBUG", false),
            ("off", false),
            ("", false),
            (" warn ", false),
            ("crossdock_http=debug", false),
            ("[span]=info", false),
            ("bogus", true),
            ("inof", true),
            ("crossdock_http", true),
        ] {
            assert_eq!(is_target_alone(word), is_slip, "{word}");
        }
    }
}
