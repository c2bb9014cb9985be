//! The source, driven as the engine drives it: files in, messages out, settlements back, kills in between.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a helper of a test fails the test")]

use crossdock_connector::{
    ConnectionConfig, Connector, Credit, Event, Formulas, GatewayConfig, Placed, Received, Receiver, Setting, Settings,
    Settlement, Settler, Source, SourceConfig, Span,
};
use crossdock_file::FileConnector;
use crossdock_model::{Fault, Refusal, RefusalKind, Text};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// A folder with files, and the settings of a source that reads them.
struct Inbox {
    folder: TempDir,
    settings: Settings,
}

/// A session of the source.
struct Session {
    receiver: Box<dyn Receiver>,
    settler: Box<dyn Settler>,
}

fn placed(setting: Setting) -> Placed<Setting> {
    Placed::new(setting, Span::default())
}

impl Inbox {
    /// `done` is `delete`, `keep`, or the folder to move to.
    fn new(path: &str, mode: &'static str, done: &'static str) -> Self {
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

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, content: &str) {
        // Under another name and renamed, as a careful writer does.
        fs::write(self.path("writing"), content).unwrap();
        fs::rename(self.path("writing"), self.path(name)).unwrap();
    }

    fn append(&self, name: &str, content: &str) {
        use std::io::Write as _;
        fs::OpenOptions::new().append(true).open(self.path(name)).unwrap().write_all(content.as_bytes()).unwrap();
    }

    fn config(&self) -> SourceConfig {
        SourceConfig {
            route: Text::from_static("r"),
            connection: None::<ConnectionConfig>,
            settings: self.settings.clone(),
            formulas: Formulas::none(),
            folder: self.folder.path().to_owned(),
        }
    }

    fn source(&self) -> Box<dyn Source> {
        connector(self.folder.path()).source(&self.config()).unwrap()
    }

    /// A fresh session of a fresh process.
    async fn start(&self) -> Session {
        let (receiver, settler) = self.source().open().await.unwrap();
        Session { receiver, settler }
    }

    fn files(&self, folder: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.path(folder)) else { return Vec::new() };
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

fn connector(folder: &Path) -> FileConnector {
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
    async fn receive(&mut self) -> Vec<Received> {
        let mut all = Vec::new();
        let credit = Credit { messages: 3, bytes: 1000 };
        while let Ok(event) = tokio::time::timeout(Duration::from_millis(150), self.receiver.next(credit)).await {
            match event.unwrap() {
                Event::Messages(messages) => {
                    assert!((1..=3).contains(&messages.len()), "within the credit");
                    all.extend(messages);
                }
                other @ (Event::Refused(_)
                | Event::Revoking { .. }
                | Event::Blocked(_)
                | Event::Unblocked
                | Event::End) => {
                    panic!("unexpected {other:?}")
                }
            }
        }
        all
    }

    async fn store(&mut self, messages: &[Received]) {
        let settle = |m: &Received| (m.token, Settlement::Stored { id: m.envelope.id, duplicate: false });
        self.settler.settle(messages.iter().map(settle).collect()).await.unwrap();
    }

    async fn close(self) {
        self.settler.close(Instant::now() + Duration::from_secs(5)).await;
    }
}

fn texts(messages: &[Received]) -> Vec<&str> {
    messages.iter().map(|m| std::str::from_utf8(m.envelope.bytes()).unwrap()).collect()
}

fn ids(messages: &[Received]) -> BTreeSet<String> {
    messages.iter().map(|m| m.envelope.id.to_string()).collect()
}

#[tokio::test]
async fn whole_files_in_order_deleted_when_stored() {
    let inbox = Inbox::new("in/*.json", "whole", "delete");
    for (name, content) in [("in/b.json", "2"), ("in/a.json", "1"), ("in/c.txt", "no"), ("in/.d.json", "no")] {
        inbox.write(name, content);
    }
    inbox.write("in/empty.json", "");
    let mut session = inbox.start().await;
    let messages = session.receive().await;
    assert_eq!(texts(&messages), ["1", "2"]);
    let envelope = &messages[0].envelope;
    assert_eq!(envelope.properties.content_type.as_deref(), Some("application/json"));
    assert_eq!((&*envelope.origin.protocol, &*envelope.origin.address), ("file", "in/a.json"));
    session.store(&messages[..1]).await;
    assert_eq!(inbox.files("in"), [".d.json", "b.json", "c.txt", "empty.json"]);
    session.store(&messages[1..]).await;
    assert_eq!(inbox.files("in"), [".d.json", "c.txt", "empty.json"]);
    assert!(session.receive().await.is_empty());
}

#[tokio::test]
async fn what_is_read_again_after_a_kill_has_the_same_id_and_claim() {
    for mode in ["whole", "lines"] {
        let inbox = Inbox::new("in/*", mode, "delete");
        inbox.write("in/a.txt", "one");
        inbox.write("in/b.txt", "one");
        let first = inbox.start().await.receive().await;
        let second = inbox.start().await.receive().await;
        assert_eq!((first.len(), ids(&first).len()), (2, 2), "two files of one content are two messages");
        assert_eq!(ids(&first), ids(&second), "{mode}");
        assert_eq!(first[0].claim, second[0].claim, "{mode}");
    }
}

#[tokio::test]
async fn a_file_that_changed_meanwhile_stays_and_is_another_message() {
    let inbox = Inbox::new("in/*", "whole", "delete");
    inbox.write("in/a.txt", "one");
    let mut session = inbox.start().await;
    let messages = session.receive().await;
    inbox.append("in/a.txt", "two");
    session.store(&messages).await;
    assert_eq!(inbox.files("in"), ["a.txt"]);
    let again = session.receive().await;
    assert_eq!(texts(&again), ["onetwo"]);
    assert_ne!(ids(&messages), ids(&again));
    session.store(&again).await;
    assert_eq!(inbox.files("in"), [""; 0]);
}

#[tokio::test]
async fn a_file_being_written_is_not_taken() {
    let inbox = Inbox::new("in/*", "whole", "delete");
    inbox.write("in/a.txt", "1");
    let mut session = inbox.start().await;
    let credit = Credit { messages: 9, bytes: 1000 };
    for part in 0..20 {
        let next = tokio::time::timeout(Duration::from_millis(15), session.receiver.next(credit)).await;
        assert!(next.is_err(), "taken while it grew, after part {part}");
        inbox.append("in/a.txt", "1");
    }
    assert_eq!(texts(&session.receive().await), ["1".repeat(21)]);
}

#[tokio::test]
async fn moved_without_overwriting() {
    let inbox = Inbox::new("in/**/*", "whole", "in/done");
    for content in ["1", "2"] {
        inbox.write("in/a.txt", content);
        let mut session = inbox.start().await;
        let messages = session.receive().await;
        assert_eq!(texts(&messages), [content], "the folder of what is done is not read");
        session.store(&messages).await;
    }
    assert_eq!(inbox.files("in/done"), ["a.txt", "a.txt.1"]);
}

#[tokio::test]
async fn kept_whole_is_not_read_again_after_a_restart() {
    let inbox = Inbox::new("in/*", "whole", "keep");
    inbox.write("in/a.txt", "1");
    inbox.write("in/b.txt", "2");
    let mut session = inbox.start().await;
    let messages = session.receive().await;
    session.store(&messages[..1]).await;
    drop(session);
    fs::rename(inbox.path("in/a.txt"), inbox.path("in/z.txt")).unwrap();
    let mut session = inbox.start().await;
    let messages = session.receive().await;
    assert_eq!(texts(&messages), ["2"], "renamed is not new");
    session.store(&messages).await;
    inbox.append("in/b.txt", "2");
    inbox.write("in/c.txt", "3");
    assert_eq!(texts(&inbox.start().await.receive().await), ["22", "3"], "changed is");
}

#[tokio::test]
async fn lines_go_on_at_the_first_that_is_not_settled() {
    let inbox = Inbox::new("in/*.jsonl", "lines", "keep");
    inbox.write("in/a.jsonl", "1\n2\n\n3\n4\n5");
    let mut session = inbox.start().await;
    let messages = session.receive().await;
    assert_eq!(texts(&messages), ["1", "2", "3", "4"], "what is behind the last line break waits");
    assert_eq!(messages.iter().map(|m| m.envelope.origin.offset.unwrap()).collect::<Vec<_>>(), [1, 2, 4, 5]);
    assert_eq!(messages[0].envelope.properties.content_type.as_deref(), Some("application/json"));
    session.store(&messages[..2]).await;
    session.store(&messages[3..]).await;
    session.close().await;
    let mut session = inbox.start().await;
    let again = session.receive().await;
    assert_eq!(texts(&again), ["3", "4"]);
    assert_eq!(ids(&again), ids(&messages[2..]));
    session.store(&again).await;
    inbox.append("in/a.jsonl", "5\n6\n");
    let more = session.receive().await;
    assert_eq!(texts(&more), ["55", "6"]);
    session.store(&more).await;
    session.close().await;
    assert!(inbox.start().await.receive().await.is_empty());
    fs::write(inbox.path("in/a.jsonl"), "1\n2\n").unwrap();
    let anew = inbox.start().await.receive().await;
    assert_eq!(texts(&anew), ["1", "2"], "cut and written anew");
    assert!(ids(&anew).is_disjoint(&ids(&messages)), "the same lines in a new life are new messages");
}

#[tokio::test]
async fn lines_of_a_file_that_is_deleted_include_the_last_without_a_break() {
    let inbox = Inbox::new("in/*", "lines", "delete");
    inbox.write("in/a.txt", "1\n2\r\n3");
    inbox.write("in/b.txt", "\n\n");
    let mut session = inbox.start().await;
    let messages = session.receive().await;
    assert_eq!(texts(&messages), ["1", "2", "3"]);
    session.store(&messages).await;
    session.receive().await;
    assert_eq!(inbox.files("in"), [""; 0]);
}

#[tokio::test]
async fn what_cannot_be_stored_comes_again_and_what_is_refused_does_not() {
    let inbox = Inbox::new("in/*", "lines", "delete");
    inbox.write("in/a.txt", "1\n2\n");
    let mut session = inbox.start().await;
    let messages = session.receive().await;
    let fault = Fault::rejected("validate.json_schema", "wrong");
    let refused = Settlement::Refused(Refusal { kind: RefusalKind::Invalid, fault, violations: Vec::new() });
    let again = Settlement::Again { after: Some(Duration::from_millis(20)) };
    session.settler.settle(vec![(messages[0].token, again), (messages[1].token, refused)]).await.unwrap();
    let given_again = session.receive().await;
    assert_eq!((texts(&given_again), ids(&given_again)), (vec!["1"], ids(&messages[..1])));
    assert_eq!(inbox.files("in"), ["a.txt"]);
    session.store(&given_again).await;
    assert_eq!(inbox.files("in"), [""; 0]);
}

#[tokio::test]
async fn what_is_too_large_stays_and_holds_up_nothing_else() {
    let inbox = Inbox::new("in/*", "whole", "delete");
    inbox.write("in/a.txt", &"x".repeat(101));
    inbox.write("in/b.txt", "1");
    let mut session = inbox.start().await;
    let messages = session.receive().await;
    assert_eq!(texts(&messages), ["1"]);
    session.store(&messages).await;
    assert_eq!(inbox.files("in"), ["a.txt"]);
}

#[tokio::test]
async fn a_missing_folder_blocks_until_it_is_there() {
    let inbox = Inbox::new("later/*", "whole", "delete");
    let mut session = inbox.start().await;
    let credit = Credit { messages: 9, bytes: 1000 };
    let Event::Blocked(why) = session.receiver.next(credit).await.unwrap() else { panic!("it is not there") };
    assert!(why.contains("later"), "{why}");
    fs::create_dir(inbox.path("later")).unwrap();
    assert!(matches!(session.receiver.next(credit).await.unwrap(), Event::Unblocked));
    inbox.write("later/a", "1");
    assert_eq!(texts(&session.receive().await), ["1"]);
}

#[tokio::test]
async fn a_call_that_is_given_up_loses_nothing() {
    let inbox = Inbox::new("in/*", "lines", "delete");
    let expected: Vec<String> = (0..2000).map(|n| n.to_string()).collect();
    inbox.write("in/a.txt", &expected.join("\n"));
    let mut session = inbox.start().await;
    let (mut found, started) = (Vec::new(), Instant::now());
    while found.len() < expected.len() && started.elapsed() < Duration::from_secs(20) {
        let next = session.receiver.next(Credit { messages: 7, bytes: 1000 });
        if let Ok(Ok(Event::Messages(messages))) = tokio::time::timeout(Duration::from_micros(50), next).await {
            found.extend(texts(&messages).iter().map(ToString::to_string));
            session.store(&messages).await;
        }
    }
    assert_eq!(found, expected);
}

#[test]
fn conflicts_and_wrong_globs_are_told() {
    let folder = Path::new("/base");
    let code = |path: &str| {
        let inbox = Inbox::new(path, "whole", "delete");
        connector(folder).source(&inbox.config()).err().map(|found| found.iter().map(|d| d.code).collect::<Vec<_>>())
    };
    assert_eq!(code("in/*"), None);
    assert_eq!(code("in/a[*"), Some(vec!["file.glob"]));
    assert_eq!(code("in/"), Some(vec!["file.glob"]));
    let twice = |done| {
        let inbox = Inbox::new("in/*", "whole", done);
        connector(folder).check(&[inbox.config(), inbox.config()]).iter().map(|d| d.code).collect::<Vec<_>>()
    };
    assert_eq!((twice("delete"), twice("keep")), (vec!["file.two_readers"], vec![]));
}
