//! What a lasting session is subscribed to, which no broker tells: remembered in a file, so that a filter that was taken
//! out of routes.yaml is unsubscribed, where otherwise its messages would come for as long as the session lives.
//!
//! ```text
//!  mqtt-DIGEST: the filters, each ended by NUL, which no filter holds
//! ```
//!
//! Before a SUBSCRIBE the file holds the old and the new filters, after its answer the new ones: whatever the session may
//! be subscribed to is in it. It never saves a SUBSCRIBE: a broker that crashed may have the session and not the
//! subscription, so all filters are asked for at every connection.

use crossdock_model::DigestBuilder;
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Where the filters of a session are remembered.
#[derive(Debug)]
pub(super) struct Subscriptions {
    path: PathBuf,
}

impl Subscriptions {
    /// Those of a client at a broker; nothing is read yet.
    pub(super) fn new(folder: &Path, address: &str, client_id: &str) -> Self {
        let digest = DigestBuilder::new("mqtt.session").part(address.as_bytes()).part(client_id.as_bytes()).finish();
        let name: String = digest.0.iter().map(|byte| format!("{byte:02x}")).collect();
        Self { path: folder.join(format!("mqtt-{name}")) }
    }

    /// What the session may be subscribed to beside what is wanted. A file that cannot be read is as none.
    pub(super) fn unwanted(&self, wanted: &[String]) -> Vec<String> {
        let text = fs::read_to_string(&self.path).unwrap_or_default();
        text.split_terminator('\0').filter(|old| wanted.iter().all(|filter| filter != old)).map(str::to_owned).collect()
    }

    /// Remembers that the session may be subscribed to these.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn write(&self, wanted: &[String], unwanted: &[String]) -> io::Result<()> {
        let text: String = wanted.iter().chain(unwanted).map(|filter| format!("{filter}\0")).collect();
        if fs::read_to_string(&self.path).is_ok_and(|old| old == text) {
            return Ok(());
        }
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder)?;
        }
        let new = self.path.with_extension("new");
        fs::write(&new, text)?;
        fs::rename(&new, &self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_and_is_not_wanted_is_told() {
        let owned = |filters: &[&str]| filters.iter().map(|&filter| filter.to_owned()).collect::<Vec<_>>();
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("connectors");
        let subscriptions = Subscriptions::new(&below, "h:1883", "c-r");
        assert_eq!(subscriptions.unwanted(&owned(&["a"])), owned(&[]));
        subscriptions.write(&owned(&["a", "line\nbreak"]), &owned(&["ü/#"])).unwrap();
        assert_eq!(subscriptions.unwanted(&owned(&["a", "b"])), owned(&["line\nbreak", "ü/#"]));
        subscriptions.write(&owned(&["a"]), &[]).unwrap();
        assert_eq!(subscriptions.unwanted(&[]), owned(&["a"]));
        assert_ne!(subscriptions.path, Subscriptions::new(&below, "h:1883", "c-s").path);
    }
}
