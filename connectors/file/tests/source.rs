//! The source, driven as the engine drives it: files in, messages out, settlements back, kills in between.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a helper of a test fails the test")]

mod source {
    pub mod inbox;
}

use crossdock_connector::{Connector, Credit, Event, Settlement, SourceConfig};
use crossdock_model::{Fault, Refusal, RefusalKind, Text};
use source::inbox::{Inbox, Session, connector, ids, texts};
use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

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
    let blocked = session.blocked.unwrap();
    assert!(blocked.contains("a.txt") && blocked.contains("max_body"), "{blocked}");
}

#[tokio::test]
async fn a_log_with_a_line_that_is_too_large_says_so_while_it_grows() {
    let inbox = Inbox::new("in/*", "lines", "keep");
    inbox.write("in/a.log", &format!("one\n{}\n", "x".repeat(200)));
    let mut session = inbox.start().await;
    let messages = session.receive().await;
    assert_eq!(texts(&messages), ["one"]);
    session.store(&messages).await;
    for _ in 0..3 {
        inbox.append("in/a.log", "later\n");
        assert_eq!(texts(&session.receive().await), [""; 0]);
        let blocked = session.blocked.as_deref().unwrap();
        assert!(blocked.contains("a.log") && blocked.contains("line 2"), "{blocked}");
    }
}

/// Nothing can be moved: all is stored once, nothing waits for it, and a restart reads nothing again but moves at last.
#[tokio::test]
async fn what_cannot_be_removed_is_read_once_and_holds_up_nothing_else() {
    for mode in ["whole", "lines"] {
        let inbox = Inbox::new("in/*", mode, "done");
        fs::write(inbox.path("done"), "no folder").unwrap();
        let names: Vec<_> = (0..10).map(|n| format!("{n}.txt")).collect();
        names.iter().for_each(|name| inbox.write(&format!("in/{name}"), name));
        let mut session = inbox.start().await;
        let messages = session.receive().await;
        assert_eq!(texts(&messages), names, "{mode}");
        session.store(&messages).await;
        for _ in 0..2 {
            assert_eq!(texts(&session.receive().await), [""; 0], "{mode}: read once");
            let blocked = session.blocked.take().unwrap();
            assert!(blocked.starts_with("10 files are left") && blocked.contains("done"), "{blocked}");
            assert_eq!(inbox.files("in"), names);
            session = inbox.start().await;
        }
        drop(session);
        fs::remove_file(inbox.path("done")).unwrap();
        let mut session = inbox.start().await;
        inbox.write("in/new.txt", "new");
        assert_eq!(texts(&session.receive().await), ["new"], "{mode}");
        assert_eq!((inbox.files("done"), inbox.files("in")), (names, vec![String::from("new.txt")]), "{mode}");
        assert_eq!(session.blocked, None);
    }
}

/// The route has another name than when it read them.
#[tokio::test]
async fn what_was_read_under_another_name_is_not_read_again() {
    for mode in ["whole", "lines"] {
        let inbox = Inbox::new("in/*", mode, "keep");
        inbox.write("in/a.txt", "1\n");
        let mut session = inbox.start().await;
        let messages = session.receive().await;
        session.store(&messages).await;
        session.close().await;
        let renamed =
            SourceConfig { route: Text::from_static("r2"), was: Some(inbox.config().route), ..inbox.config() };
        for _ in 0..2 {
            let mut source = connector(inbox.folder.path()).source(&renamed).unwrap();
            let (receiver, settler) = source.open().await.unwrap();
            let mut session = Session { receiver, settler, blocked: None };
            assert_eq!(texts(&session.receive().await), [""; 0], "{mode}");
        }
    }
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
