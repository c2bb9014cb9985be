//! What the audit keeps, and for how long.

use super::*;
use crossdock_model::Timestamp;
use std::{
    fs,
    sync::atomic::{AtomicI64, Ordering},
};
use tempfile::TempDir;

fn caller(who: &str, port: u16) -> Caller {
    Caller { who: who.into(), remote: Some(format!("127.0.0.1:{port}")) }
}

struct Rig {
    folder: TempDir,
    now: Arc<AtomicI64>,
}

impl Rig {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), now: Arc::default() }
    }

    fn open(&self) -> Audit {
        let now = Arc::clone(&self.now);
        Audit::open(self.folder.path(), Arc::new(move || Timestamp(now.load(Ordering::Relaxed)))).unwrap()
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join(AUDIT_FILE)
    }
}

fn deed(audit: &Audit, subject: &str) {
    let ticket = audit.begin(Action::Pause, subject, &caller("ada", 1), Map::new());
    audit.end(ticket, Outcome::Done, Map::new());
}

fn subjects(audit: &Audit) -> Vec<String> {
    audit.list(None, 1000).unwrap().items.into_iter().map(|entry| entry.subject).collect()
}

#[test]
fn entries_outlive_the_process_and_are_listed_from_the_newest_on() {
    let rig = Rig::new();
    let audit = rig.open();
    deed(&audit, "a");
    let details: Map<_, _> = [("matched".to_owned(), Value::from(3))].into_iter().collect();
    let ticket = audit.begin(Action::Redrive, "dead-letters", &caller("bob", 2), Map::new());
    audit.end(ticket, Outcome::Failed("no room".into()), details);
    drop(audit);
    let audit = rig.open();
    deed(&audit, "c");
    // The process ended before this one did.
    let _lost = audit.begin(Action::Resume, "d", &caller("ada", 1), Map::new());
    drop(audit);
    let audit = rig.open();
    assert_eq!(subjects(&audit), ["d", "c", "dead-letters", "a"]);
    let first = audit.list(None, 3).unwrap();
    let outcomes: Vec<_> = first.items.iter().map(|entry| entry.outcome.as_str()).collect();
    assert_eq!(outcomes, ["begun", "done", "failed"]);
    let failed = &first.items[2];
    assert_eq!((failed.who.as_str(), failed.text.as_deref()), ("bob", Some("no room")));
    assert_eq!((failed.remote.as_deref(), &failed.details["matched"]), (Some("127.0.0.1:2"), &Value::from(3)));
    let rest = audit.list(first.next.unwrap().parse().ok(), 3).unwrap();
    assert!(rest.items.len() == 1 && rest.items[0].subject == "a" && rest.next.is_none(), "{rest:?}");
}

#[test]
fn a_torn_line_costs_nothing_but_itself() {
    let rig = Rig::new();
    deed(&rig.open(), "a");
    let whole = fs::read(rig.path()).unwrap();
    for cut in 0..whole.len() {
        fs::write(rig.path(), &whole[..cut]).unwrap();
        let audit = rig.open();
        deed(&audit, "b");
        assert_eq!(subjects(&audit)[0], "b", "cut at {cut}");
    }
    fs::write(rig.path(), [&whole[..], b"\xff{}\n[1]\n\n"].concat()).unwrap();
    assert_eq!(subjects(&rig.open()), ["a"]);
}

#[test]
fn it_is_bounded_and_keeps_the_last() {
    let rig = Rig::new();
    let audit = rig.open();
    let long = "x".repeat(10_000);
    let count = 3 * usize::try_from(file::FILE_BYTES_MAX).unwrap() / 1000;
    {
        // Not synced, which is not what this is about.
        let mut state = audit.0.lock();
        for id in 0..count as u64 {
            let begun = Begun::new(id, String::new(), Action::Edit, &long, &caller(&long, 1), Map::new());
            state.file.write(&Line::Begun(begun), false);
        }
        state.next_id = count as u64;
    }
    deed(&audit, "last");
    let files: Vec<_> = fs::read_dir(rig.folder.path()).unwrap().map(|file| file.unwrap()).collect();
    let bytes: u64 = files.iter().map(|file| file.metadata().unwrap().len()).sum();
    assert!(files.len() == 2 && bytes <= 2 * file::FILE_BYTES_MAX + 4096, "{} files, {bytes} bytes", files.len());
    let kept = audit.list(None, 100_000).unwrap().items;
    assert!(kept[0].subject == "last" && kept.len() > 1000 && kept.len() < count, "{}", kept.len());
    assert_eq!(rig.open().list(None, 1).unwrap().items[0].subject, "last");
}

#[test]
fn publishing_again_and_again_is_an_entry_a_minute() {
    let rig = Rig::new();
    let audit = rig.open();
    let publish = |channel: &str, who: &Caller, outcome: Outcome| {
        let ticket = audit.publishing(channel, who);
        audit.published(ticket, channel, who, outcome);
    };
    let shown = |audit: &Audit| {
        let items = audit.list(None, 10).unwrap().items;
        let shown = items.iter().map(|e| format!("{} {} {}", e.subject, e.who, e.details["messages"]));
        shown.collect::<Vec<_>>()
    };
    for port in 1..5 {
        publish("q", &caller("ada", port), Outcome::Done);
    }
    publish("q", &caller("bob", 1), Outcome::Done);
    publish("q", &caller("ada", 1), Outcome::Failed("full".into()));
    rig.now.store(61_000, Ordering::Relaxed);
    publish("q", &caller("ada", 1), Outcome::Done);
    assert_eq!(shown(&audit), ["q ada 1", "q bob 1", "q ada 4"]);
    rig.now.store(0, Ordering::Relaxed);
    publish("q", &caller("ada", 1), Outcome::Done);
    assert_eq!(shown(&audit).len(), 4, "the clock was set back: the series ends");
    drop(audit);
    assert_eq!(shown(&rig.open()), ["q ada 1", "q ada 1", "q bob 1", "q ada 4"]);
}

#[test]
fn only_its_owner_reads_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let rig = Rig::new();
    drop(rig.open());
    assert_eq!(fs::metadata(rig.path()).unwrap().permissions().mode() & 0o777, 0o600);
}
