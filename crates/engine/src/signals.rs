//! What the store's own thread tells the engine: how long a sync took, and that it failed for good.

use crate::metrics::Histogram;
use crossdock_model::Text;
use tokio::sync::watch;

/// Shared by the store's hooks, the tasks and the handle.
pub(crate) struct Signals {
    /// How long syncs of the log took.
    pub sync_seconds: Histogram,
    failure: watch::Sender<Option<Text>>,
}

impl Default for Signals {
    fn default() -> Self {
        Self { sync_seconds: Histogram::seconds(), failure: watch::Sender::new(None) }
    }
}

impl Signals {
    /// The gateway cannot go on: the first reason is kept.
    pub fn fail(&self, reason: &str) {
        let first = self.failure.send_if_modified(|failure| match failure {
            Some(_) => false,
            None => {
                *failure = Some(Text::from(reason));
                true
            }
        });
        if first {
            tracing::error!(reason, "the gateway cannot go on");
        }
    }

    /// Why the gateway cannot go on; none if it can.
    pub fn failure(&self) -> Option<Text> {
        self.failure.borrow().clone()
    }

    /// Resolves when the gateway cannot go on, with the reason.
    pub async fn failed(&self) -> Text {
        let mut failure = self.failure.subscribe();
        match failure.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().unwrap_or_default(),
            // The sender is part of `self`, which is borrowed: it is not gone.
            Err(_) => std::future::pending().await,
        }
    }
}
