//! The checks that every connector passes, on folders.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use crossdock_connector::{Connector, GatewayConfig, SourceErrorKind, mapping::Part};
use crossdock_file::FileConnector;
use crossdock_testkit::{
    sink_suite, source_suite,
    suite::{Can, Message, Peer},
};
use serde_json::{Value, json};
use std::{fs, sync::Arc};
use tempfile::TempDir;

/// A folder that is read and a folder that is written.
struct Folders {
    folder: TempDir,
    put: usize,
}

impl Peer for Folders {
    const CAN: Can = Can { carries: &[Part::ContentType], window: None, missing: SourceErrorKind::Missing };

    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("in")).unwrap();
        fs::create_dir(folder.path().join("out")).unwrap();
        Self { folder, put: 0 }
    }

    fn connector(&self, gateway: &GatewayConfig) -> Arc<dyn Connector> {
        Arc::new(FileConnector::new(gateway))
    }

    fn server(&self) -> Option<String> {
        None
    }

    fn connection(&self, _: &str) -> Option<Value> {
        None
    }

    fn source(&self) -> Value {
        json!({ "path": self.folder.path().join("in/*"), "poll": "20ms", "quiet": "20ms" })
    }

    fn target(&self) -> Value {
        json!({ "path": self.folder.path().join("out"), "mode": "create" })
    }

    async fn put(&mut self, messages: &[Message]) {
        for message in messages {
            self.put += 1;
            let extension = if message.content_type.is_some() { "json" } else { "bin" };
            // Under another name and renamed, as a careful writer does.
            let writing = self.folder.path().join("writing");
            fs::write(&writing, &message.payload).unwrap();
            fs::rename(writing, self.folder.path().join(format!("in/{:06}.{extension}", self.put))).unwrap();
        }
    }

    async fn take(&mut self) -> Vec<Message> {
        let files = fs::read_dir(self.folder.path().join("out")).unwrap();
        let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
        // What is being written has a dot before its name.
        paths.retain(|path| !path.file_name().unwrap().to_str().unwrap().starts_with('.'));
        paths.sort();
        let taken = paths.into_iter().map(|path| {
            let payload = fs::read(&path).unwrap();
            fs::remove_file(&path).unwrap();
            let is_json = path.extension().is_some_and(|extension| extension == "json");
            Message { content_type: is_json.then(|| "application/json".into()), ..Message::new(payload) }
        });
        taken.collect()
    }
}

mod source {
    use super::*;
    source_suite!(Folders:
        opens_and_closes,
        receives_bytes_and_metadata,
        keeps_order,
        gives_again_what_was_not_settled,
        settles_what_it_can_before_it_closes,
        refused_is_gone_and_postponed_is_not,
    );
}

mod sink {
    use super::*;
    sink_suite!(Folders: sends_bytes_and_metadata, keeps_order, closes_with_a_result_for_each);
}
