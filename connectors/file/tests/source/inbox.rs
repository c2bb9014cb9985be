//! A folder, and the source that reads it, driven as the engine drives it.

use crossdock_connector::{
    ConnectionConfig, Connector, Credit, Event, Formulas, GatewayConfig, Placed, Received, Receiver, Setting, Settings,
    Settlement, Settler, Source, SourceConfig, Span,
};
use crossdock_file::FileConnector;
use crossdock_model::Text;
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// A folder with files, and the settings of a source that reads them.
pub struct Inbox {
    pub folder: TempDir,
    pub settings: Settings,
}

/// A session of the source.
pub struct Session {
    pub receiver: Box<dyn Receiver>,
    pub settler: Box<dyn Settler>,
    /// What was told last of what does not come.
    pub blocked: Option<String>,
}

fn placed(setting: Setting) -> Placed<Setting> {
    Placed::new(setting, Span::default())
}

impl Inbox {
    /// `done` is `delete`, `keep`, or the folder to move to.
    pub fn new(path: &str, mode: &'static str, done: &'static str) -> Self {
        let mut settings = Settings::empty(Span::default());
        let nothing = || Box::new(placed(Setting::Group(Settings::default())));
        settings.insert("path", placed(Setting::Path(path.into())));
        settings.insert("mode", placed(Setting::Text(Text::from_static(mode))));
        settings.insert("max_body", placed(Setting::Size(100)));
        settings.insert("poll", placed(Setting::Duration(Duration::from_millis(10))));
        settings.insert("quiet", placed(Setting::Duration(Duration::from_millis(30))));
        let done = match done {
            "delete" | "keep" => Setting::Variant { name: done, value: nothing() },
            folder => Setting::Variant { name: "move", value: Box::new(placed(Setting::Path(folder.into()))) },
        };
        settings.insert("done", placed(done));
        let inbox = Self { folder: tempfile::tempdir().unwrap(), settings };
        fs::create_dir(inbox.path("in")).unwrap();
        inbox
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, content: &str) {
        // Under another name and renamed, as a careful writer does.
        fs::write(self.path("writing"), content).unwrap();
        fs::rename(self.path("writing"), self.path(name)).unwrap();
    }

    pub fn append(&self, name: &str, content: &str) {
        use std::io::Write as _;
        fs::OpenOptions::new().append(true).open(self.path(name)).unwrap().write_all(content.as_bytes()).unwrap();
    }

    pub fn config(&self) -> SourceConfig {
        SourceConfig {
            route: Text::from_static("r"),
            was: None,
            connection: None::<ConnectionConfig>,
            settings: self.settings.clone(),
            formulas: Formulas::none(),
            folder: self.folder.path().to_owned(),
        }
    }

    pub fn source(&self) -> Box<dyn Source> {
        connector(self.folder.path()).source(&self.config()).unwrap()
    }

    /// A fresh session of a fresh process.
    pub async fn start(&self) -> Session {
        let (receiver, settler) = self.source().open().await.unwrap();
        Session { receiver, settler, blocked: None }
    }

    pub fn files(&self, folder: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.path(folder)) else { return Vec::new() };
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

pub fn connector(folder: &Path) -> FileConnector {
    FileConnector::new(&GatewayConfig {
        http: Settings::default(),
        folder: folder.to_owned(),
        store: Text::from_static("01234567"),
        admin_url: Text::from_static("http://127.0.0.1:1"),
        state_folder: folder.join("data/connectors"),
    })
}

impl Session {
    /// The next messages, until none comes for a while.
    pub async fn receive(&mut self) -> Vec<Received> {
        let mut all = Vec::new();
        let credit = Credit { messages: 3, bytes: 1000 };
        while let Ok(event) = tokio::time::timeout(Duration::from_millis(150), self.receiver.next(credit)).await {
            match event.unwrap() {
                Event::Messages(messages) => {
                    assert!((1..=3).contains(&messages.len()), "within the credit");
                    all.extend(messages);
                }
                Event::Blocked(why) => self.blocked = Some(why),
                Event::Unblocked => self.blocked = None,
                other @ (Event::Refused(_) | Event::Revoking { .. } | Event::End) => {
                    panic!("unexpected {other:?}")
                }
            }
        }
        all
    }

    pub async fn store(&mut self, messages: &[Received]) {
        let settle = |m: &Received| (m.token, Settlement::Stored { id: m.envelope.id, duplicate: false });
        self.settler.settle(messages.iter().map(settle).collect()).await.unwrap();
    }

    pub async fn close(self) {
        self.settler.close(Instant::now() + Duration::from_secs(5)).await;
    }
}

pub fn texts(messages: &[Received]) -> Vec<&str> {
    messages.iter().map(|m| std::str::from_utf8(m.envelope.bytes()).unwrap()).collect()
}

pub fn ids(messages: &[Received]) -> BTreeSet<String> {
    messages.iter().map(|m| m.envelope.id.to_string()).collect()
}
