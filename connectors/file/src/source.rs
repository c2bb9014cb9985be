//! The source: looks for files, gives what is in them, and finishes a file when all of it is stored.

use crate::{
    append::sync_folder_of,
    fault::source_error,
    finish::{finish_ready, note_marks},
    identity::Sight,
    journal::Journal,
    left::Left,
    lock,
    progress::Progress,
    scan::{Scanner, Step},
    walk::Glob,
};
use async_trait::async_trait;
use crossdock_connector::{
    Credit, Diagnostics, Event, Placed, Received, Receiver, Setting, Settlement, Settler, Source, SourceConfig,
    SourceError, SourceErrorKind, Token,
};
use crossdock_model::{Digest, DigestBuilder, Text};
use std::{
    collections::VecDeque,
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::{sync::Notify, task::JoinHandle};

/// How often the marks of files that are read by lines are noted, while they move.
const NOTE_EVERY: Duration = Duration::from_millis(500);

/// Whether a file or a line of it is a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// The file.
    Whole,
    /// Each line.
    Lines,
}

/// What happens to a file of which everything is stored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Done {
    /// It is deleted.
    Delete,
    /// It is moved to this folder.
    Move(PathBuf),
    /// It stays, and the journal remembers it.
    Keep,
}

/// A source's settings.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The route, which is part of each message's id.
    pub route: Text,
    /// Which files.
    pub glob: Glob,
    /// The folder of routes.yaml, which shown paths leave out.
    pub folder: PathBuf,
    /// Whole or by lines.
    pub mode: Mode,
    /// What happens at the end.
    pub done: Done,
    /// The largest message, in bytes.
    pub body_bytes_max: usize,
    /// The media type, if it is not the extension that tells.
    pub content_type: Option<Text>,
    /// How often to look.
    pub poll: Duration,
    /// How long a file must have stood still.
    pub quiet: Duration,
    /// Where the journal is.
    pub journal: PathBuf,
    /// Where it was while the route had another name.
    pub journal_before: Option<PathBuf>,
}

impl Plan {
    fn new(config: &SourceConfig, state_folder: &Path) -> Result<Self, Diagnostics> {
        let settings = &config.settings;
        let path = settings.path("path").ok_or_else(|| settings.missing("path"))?;
        let wrong = |message: String| Diagnostics::from(settings.error("path", "file.glob", message));
        let text = path.to_str().ok_or_else(|| wrong("the path is no UTF-8".into()))?;
        let glob = Glob::new(&config.folder, path).map_err(|error| {
            let hint = "`*` stands for a name or a part of one, `**` for any folders, `[ab]` for one character";
            settings.error("path", "file.glob", format!("`{text}` is no glob: {}", error.msg)).hint(hint)
        })?;
        if text.ends_with('/') {
            let hint = format!("write `{text}*` for all its files");
            let found = settings.error("path", "file.glob", format!("`{text}` is a folder, not the files in it"));
            return Err(found.hint(hint).into());
        }
        let bytes_max = settings.size("max_body").unwrap_or(1 << 20);
        Ok(Self {
            route: config.route.clone(),
            glob,
            folder: config.folder.clone(),
            mode: if settings.text("mode").is_some_and(|mode| &**mode == "lines") { Mode::Lines } else { Mode::Whole },
            done: done(config),
            body_bytes_max: usize::try_from(bytes_max).unwrap_or(usize::MAX),
            content_type: settings.text("content_type").cloned(),
            poll: settings.duration("poll").unwrap_or(Duration::from_secs(1)),
            quiet: settings.duration("quiet").unwrap_or(Duration::from_secs(1)),
            journal: state_folder.join(journal_name(&config.route)),
            journal_before: config.was.as_deref().map(|was| state_folder.join(journal_name(was))),
        })
    }

    /// What the journal knows a file by: read whole, also by its size and time of change.
    pub fn key(&self, sight: Sight) -> Digest {
        match self.mode {
            Mode::Whole => sight.version(),
            Mode::Lines => sight.file,
        }
    }

    /// A path as it is shown and as it goes into ids: without the folder of routes.yaml, if it is below that.
    pub fn shown<'a>(&self, path: &'a Path) -> &'a Path {
        path.strip_prefix(&self.folder).unwrap_or(path)
    }
}

fn done(config: &SourceConfig) -> Done {
    match config.settings.variant("done") {
        Some(("move", Placed { value: Setting::Path(folder), .. })) => Done::Move(config.folder.join(folder)),
        Some(("keep", _)) => Done::Keep,
        Some(_) | None => Done::Delete,
    }
}

fn journal_name(route: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_' || c == '.';
    if route.len() <= 128 && route.chars().all(plain) {
        return format!("file-{route}.jsonl");
    }
    let digest = DigestBuilder::new("crossdock.file.journal").part(route.as_bytes()).finish();
    format!("file-{}.jsonl", crate::identity::hex(digest))
}

/// Two routes with one glob would race for each file.
pub fn check(sources: &[SourceConfig]) -> Diagnostics {
    let mut found = Diagnostics::new();
    for (at, source) in sources.iter().enumerate() {
        let path = source.path("path");
        let before = sources.iter().take(at).find(|other| other.path("path") == path);
        let keeps = |config: &SourceConfig| done(config) == Done::Keep;
        if let Some(other) = before.filter(|other| !(keeps(source) && keeps(other))) {
            let message = format!("the route `{}` reads the same files", other.route);
            let hint = "let one route read them into a topic that both read, or let both `keep` them";
            found.push(source.settings.error("path", "file.two_readers", message).hint(hint));
        }
    }
    found
}

/// A route's source.
#[derive(Debug)]
pub struct FileSource {
    plan: Arc<Plan>,
    session: u32,
}

/// What both halves of a session know.
#[derive(Debug)]
pub struct Shared {
    /// The settings.
    pub plan: Arc<Plan>,
    /// What is under way.
    pub progress: Mutex<Progress>,
    /// What is remembered; held while it is written, so never by an async task.
    pub journal: Mutex<Journal>,
    /// Files that hold up no other.
    pub left: Mutex<Left>,
    /// Wakes the receiver when a message is to be given again.
    wake: Notify,
}

impl FileSource {
    /// A source from its settings.
    ///
    /// # Errors
    /// A path that is no glob.
    pub fn new(config: &SourceConfig, state_folder: &Path) -> Result<Self, Diagnostics> {
        Ok(Self { plan: Arc::new(Plan::new(config, state_folder)?), session: 0 })
    }
}

#[async_trait]
impl Source for FileSource {
    async fn open(&mut self) -> Result<(Box<dyn Receiver>, Box<dyn Settler>), SourceError> {
        self.session += 1;
        let plan = Arc::clone(&self.plan);
        let journal = blocking(move || {
            let path = &plan.journal;
            let taken_over = plan.journal_before.as_deref().map_or(Ok(()), |before| take_over(before, path));
            taken_over.map_err(|error| source_error("take over what was noted before in", path, &error))?;
            Journal::load(path.clone()).map_err(|error| source_error("read what was noted in", path, &error))
        })
        .await?;
        let shared = Arc::new(Shared {
            plan: Arc::clone(&self.plan),
            progress: Mutex::new(Progress::new(self.session)),
            journal: Mutex::new(journal),
            left: Mutex::default(),
            wake: Notify::new(),
        });
        let scanner = Box::new(Scanner::new(Arc::clone(&shared)));
        let work = Work::Idle { scanner, until: Instant::now() };
        let receiver = FileReceiver { shared: Arc::clone(&shared), ready: VecDeque::new(), blocked: None, work };
        Ok((Box::new(receiver), Box::new(FileSettler { shared, noted_at: Instant::now() })))
    }
}

/// The journal of a route that had another name is its own, unless it has one already.
fn take_over(before: &Path, journal: &Path) -> io::Result<()> {
    if !journal.exists() && before.exists() {
        fs::rename(before, journal)?;
        sync_folder_of(journal)?;
    }
    Ok(())
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SourceError> + Send + 'static,
) -> Result<T, SourceError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err(interrupted()))
}

fn interrupted() -> SourceError {
    SourceError::new(SourceErrorKind::Internal, "the thread that reads files has ended")
}

struct FileReceiver {
    shared: Arc<Shared>,
    /// Read and not given out.
    ready: VecDeque<Received>,
    /// What was told last of what does not come.
    blocked: Option<String>,
    work: Work,
}

/// The scanner is with the receiver or with a blocking thread. The thread's handle is kept here, so that a call of
/// `next` that is given up loses nothing.
enum Work {
    Idle {
        scanner: Box<Scanner>,
        until: Instant,
    },
    Busy(JoinHandle<(Box<Scanner>, Result<Step, SourceError>)>),
    /// A thread ended badly; the engine opens again.
    Broken,
}

#[async_trait]
impl Receiver for FileReceiver {
    async fn next(&mut self, credit: Credit) -> Result<Event, SourceError> {
        loop {
            if self.ready.len() < credit.messages {
                let due = lock(&self.shared.progress).due(Instant::now(), credit.messages - self.ready.len());
                self.ready.extend(due);
            }
            let messages = take(&mut self.ready, credit);
            if !messages.is_empty() {
                return Ok(Event::Messages(messages));
            }
            let step = match &mut self.work {
                Work::Idle { until, .. } => {
                    let due_at = lock(&self.shared.progress).due_at();
                    let wait = due_at.map_or(*until, |due| due.min(*until));
                    tokio::select! {
                        () = tokio::time::sleep_until(wait.into()) => {}
                        () = self.shared.wake.notified() => continue,
                    }
                    if *until > Instant::now() {
                        continue;
                    }
                    self.start();
                    continue;
                }
                Work::Busy(thread) => thread.await,
                Work::Broken => return Err(interrupted()),
            };
            if let Some(event) = self.finish_step(step)? {
                return Ok(event);
            }
        }
    }
}

impl FileReceiver {
    fn start(&mut self) {
        if let Work::Idle { mut scanner, .. } = std::mem::replace(&mut self.work, Work::Broken) {
            self.work = Work::Busy(tokio::task::spawn_blocking(move || {
                let step = scanner.step(Instant::now());
                (scanner, step)
            }));
        }
    }

    fn finish_step(
        &mut self,
        step: Result<(Box<Scanner>, Result<Step, SourceError>), tokio::task::JoinError>,
    ) -> Result<Option<Event>, SourceError> {
        let Ok((scanner, step)) = step else {
            self.work = Work::Broken;
            return Err(interrupted());
        };
        self.work = Work::Idle { scanner, until: Instant::now() };
        let step = step?;
        if let Work::Idle { until, .. } = &mut self.work {
            *until = step.next_at;
        }
        self.ready.extend(step.received);
        if step.blocked == self.blocked {
            return Ok(None);
        }
        self.blocked = step.blocked.clone();
        Ok(Some(step.blocked.map_or(Event::Unblocked, Event::Blocked)))
    }
}

/// The first messages that the credit allows; the very first may be larger.
fn take(ready: &mut VecDeque<Received>, credit: Credit) -> Vec<Received> {
    let (mut messages, mut bytes) = (Vec::new(), 0);
    while messages.len() < credit.messages.max(1)
        && let Some(next) = ready.front()
        && (messages.is_empty() || bytes + next.envelope.bytes().len() <= credit.bytes)
    {
        bytes += next.envelope.bytes().len();
        messages.extend(ready.pop_front());
    }
    messages
}

struct FileSettler {
    shared: Arc<Shared>,
    noted_at: Instant,
}

#[async_trait]
impl Settler for FileSettler {
    async fn settle(&mut self, batch: Vec<(Token, Settlement)>) -> Result<(), SourceError> {
        let now = Instant::now();
        let (has_finished, is_again) = {
            let mut progress = lock(&self.shared.progress);
            for (token, settlement) in &batch {
                if let Settlement::Refused(refusal) = settlement {
                    tracing::debug!(cause = %refusal.fault, "a message of a file was refused");
                }
                progress.settle(*token, settlement, now);
            }
            (progress.has_finished(), progress.due_at().is_some())
        };
        if is_again {
            self.shared.wake.notify_one();
        }
        let is_time_to_note = now.duration_since(self.noted_at) >= NOTE_EVERY;
        if has_finished || is_time_to_note {
            self.noted_at = now;
            let shared = Arc::clone(&self.shared);
            blocking(move || finish_ready(&shared).and_then(|()| note_marks(&shared))).await?;
        }
        Ok(())
    }

    async fn released(&mut self, _: u32) {}

    async fn close(self: Box<Self>, by: Instant) {
        let shared = self.shared;
        let noted = blocking(move || finish_ready(&shared).and_then(|()| note_marks(&shared)));
        match tokio::time::timeout_at(by.into(), noted).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(%error, "what was read could not be noted: it is read again at the next start")
            }
            Err(_) => tracing::warn!("what was read was not noted in time: it is read again at the next start"),
        }
    }
}
