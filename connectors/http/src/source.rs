//! The source: an endpoint of the shared listener.

mod answer;
mod auth;
mod batch;
mod body;
mod budget;
mod door;
mod doors;
mod endpoint;
mod path;
mod pending;
mod session;
mod table;

pub(crate) use doors::Doors;

use async_trait::async_trait;
use crossdock_connector::{Diagnostic, Diagnostics, Receiver, Settler, Source, SourceConfig, SourceError};
use endpoint::Endpoint;
use session::Session;
use std::sync::Arc;

/// A route's endpoint. While it is there but not open, its path answers 503; when it is dropped, 404.
pub(crate) struct HttpSource {
    endpoint: Arc<Endpoint>,
    doors: Arc<Doors>,
}

impl HttpSource {
    /// An endpoint by its settings, known to the listener from now on.
    pub(crate) fn new(config: &SourceConfig, doors: &Arc<Doors>) -> Result<Self, Diagnostics> {
        let endpoint = Arc::new(Endpoint::new(config)?);
        doors.table.add(&endpoint);
        Ok(Self { endpoint, doors: Arc::clone(doors) })
    }
}

#[async_trait]
impl Source for HttpSource {
    async fn open(&mut self) -> Result<(Box<dyn Receiver>, Box<dyn Settler>), SourceError> {
        let session = Session::open(&self.endpoint);
        Ok((Box::new(session::QueueReceiver::new(&session)), Box::new(session::AnswerSettler::new(session))))
    }
}

impl Drop for HttpSource {
    fn drop(&mut self) {
        self.doors.table.remove(&self.endpoint);
    }
}

/// What is wrong with the listener's settings, and every source whose path and method an earlier one has.
pub(crate) fn check(doors: &Doors, sources: &[SourceConfig]) -> Diagnostics {
    let mut found = doors.check();
    let address = |source: &SourceConfig| {
        (source.settings.text("path").map(|path| path::typed(path)), source.settings.text("method").cloned())
    };
    for (at, source) in sources.iter().enumerate() {
        let mut earlier = sources.iter().take(at);
        if let Some(taken) = earlier.find(|earlier| address(earlier) == address(source)) {
            let [path, method] = ["path", "method"].map(|name| source.settings.text(name).cloned().unwrap_or_default());
            let message = format!("route `{}` already answers to {method} {path}", taken.route);
            let error: Diagnostic = source.settings.error("path", "http.path_taken", message);
            found.push(error.hint("give one of the two routes another path or method"));
        }
    }
    found
}
