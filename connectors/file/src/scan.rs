//! Finding files and reading them, a step at a time, on a blocking thread.
//!
//! A file that is still being written must not be taken: it is taken when two looks at it, `quiet` apart, saw the same
//! size and time of change. Whoever writes files for others should write them under another name and rename them. Files
//! that are kept and read by lines are the exception: a log grows all the time, so its lines are taken as they come, and
//! what is behind the last line break waits for it. Empty files are left alone.

use crate::{
    fault::source_error,
    finish::{finish_ready, note_marks},
    identity::{Sight, now},
    journal::{Mark, Memory},
    lines::{LineReader, Next, Place, Started},
    lock, media,
    source::{Done, Mode, Plan, Shared},
};
use bytes::Bytes;
use crossdock_connector::{Claim, Received, SourceError};
use crossdock_model::{Digest, DigestBuilder, Envelope, MessageId, Text};
use std::{
    collections::{HashMap, HashSet, VecDeque},
    fs::{self, File},
    io::{self, Read as _},
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

/// Most messages that a step reads.
const STEP_MESSAGES_MAX: usize = 256;
/// Most bytes that a step reads, one message more or less.
const STEP_BYTES_MAX: usize = 1 << 20;
/// Most files that wait to stand still; the others wait for these.
const SEEN_MAX: usize = 16_384;
/// Most files that a look brings.
const CANDIDATES_MAX: usize = 1024;
/// Shortest time between two looks.
const LOOK_EVERY_MIN: Duration = Duration::from_millis(10);
/// How long the claims of messages are remembered: a crash must be mended in this time to give no duplicates.
const CLAIM_WINDOW: Duration = Duration::from_secs(24 * 3600);

/// Looks for files and reads them.
#[derive(Debug)]
pub struct Scanner {
    shared: Arc<Shared>,
    /// Files that are seen and not taken, and since when they look so.
    seen: HashMap<Digest, (Sight, Instant)>,
    /// Why nothing, or not all, was found at the last look.
    trouble: Option<String>,
    candidates: VecDeque<(PathBuf, Sight)>,
    current: Option<Current>,
    next_look: Option<Instant>,
    /// Whether the journal was rid of files that are no more, which the first whole look does.
    is_journal_pruned: bool,
}

/// A file that is read by lines.
#[derive(Debug)]
struct Current {
    path: PathBuf,
    sight: Sight,
    life: u64,
    reader: LineReader,
}

/// What a look finds.
#[derive(Debug)]
struct Found {
    now: Instant,
    /// Files that are not taken yet.
    seen: HashMap<Digest, (Sight, Instant)>,
    /// Every file there is, as the journal knows it.
    all: HashSet<Digest>,
    /// Whether there are more.
    is_cut: bool,
}

/// What a step brought.
#[derive(Debug)]
pub struct Step {
    /// Messages in order.
    pub received: Vec<Received>,
    /// When the next step is due.
    pub next_at: Instant,
    /// Why nothing, or not all, can come at the moment.
    pub blocked: Option<String>,
}

impl Found {
    fn at(now: Instant) -> Self {
        Self { now, seen: HashMap::new(), all: HashSet::new(), is_cut: false }
    }
}

impl Scanner {
    /// A scanner that has seen nothing.
    pub fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            seen: HashMap::new(),
            trouble: None,
            candidates: VecDeque::new(),
            current: None,
            next_look: None,
            is_journal_pruned: false,
        }
    }

    /// Reads what is at hand, or looks for more if it is time. Blocks.
    ///
    /// # Errors
    /// The folder cannot be looked through, or a file cannot be finished.
    pub fn step(&mut self, now: Instant) -> Result<Step, SourceError> {
        let mut step = Step { received: Vec::new(), next_at: now, blocked: None };
        if self.current.is_none() && self.candidates.is_empty() {
            if self.next_look.is_none_or(|at| at <= now) {
                self.look(now)?;
            }
            if self.candidates.is_empty() {
                step.next_at = self.next_look.unwrap_or(now);
                finish_ready(&self.shared)?;
                note_marks(&self.shared)?;
                step.blocked = self.blocked();
                return Ok(step);
            }
        }
        let mut bytes = 0;
        while step.received.len() < STEP_MESSAGES_MAX && bytes < STEP_BYTES_MAX {
            let before = step.received.len();
            let result = match (self.current.take(), self.shared.plan.mode) {
                (Some(current), _) => self.read_lines(current, &mut step.received),
                (None, mode) => match self.candidates.pop_front() {
                    None => break,
                    Some((path, sight)) if mode == Mode::Whole => self.read_whole(path, sight, &mut step.received),
                    Some((path, sight)) => self.begin_lines(path, sight),
                },
            };
            result?;
            bytes += step.received.iter().skip(before).map(|r| r.envelope.bytes().len()).sum::<usize>();
        }
        finish_ready(&self.shared)?;
        step.blocked = self.blocked();
        Ok(step)
    }

    fn blocked(&self) -> Option<String> {
        self.trouble.clone().or_else(|| lock(&self.shared.left).told())
    }

    /// Goes through the folder and gathers the files that can be taken.
    fn look(&mut self, now: Instant) -> Result<(), SourceError> {
        let plan = Arc::clone(&self.shared.plan);
        self.next_look = Some(now + plan.poll.min(plan.quiet).max(LOOK_EVERY_MIN));
        self.trouble = None;
        let due = {
            let mut left = lock(&self.shared.left);
            left.forget_vanished();
            left.due(now)
        };
        due.into_iter().for_each(|file| lock(&self.shared.progress).finish_again(file));
        let root = plan.glob.root();
        // The empty path is the folder we are in.
        if !root.as_os_str().is_empty() && !root.is_dir() {
            self.trouble = Some(format!("there is no folder {}", root.display()));
            return Ok(());
        }
        let (mut found, mut failed) = (Found::at(now), Ok(()));
        plan.glob.walk(|path| match path {
            Ok(path) => self.find(&mut found, path),
            Err((path, error)) if path == root => {
                failed = Err(source_error("look through", &path, &error));
                ControlFlow::Break(())
            }
            Err((path, error)) => {
                self.trouble = Some(format!("the folder {} cannot be looked through: {error}", path.display()));
                ControlFlow::Continue(())
            }
        });
        failed?;
        // What a folder holds that cannot be looked through is remembered.
        let is_whole = !found.is_cut && self.trouble.is_none();
        if is_whole && !std::mem::replace(&mut self.is_journal_pruned, is_whole) {
            lock(&self.shared.journal).forget_unseen(|file| found.all.contains(&file));
        }
        self.seen = found.seen;
        Ok(())
    }

    /// A file of the folder is taken when it has stood still for long enough.
    fn find(&mut self, found: &mut Found, path: PathBuf) -> ControlFlow<()> {
        let plan = &self.shared.plan;
        let Some(sight) = self.sight(&path) else { return ControlFlow::Continue(()) };
        if !self.is_journal_pruned {
            found.all.insert(plan.key(sight));
        }
        if !self.may_be_taken(&path, sight, found.now) {
            return ControlFlow::Continue(());
        }
        let since = match self.seen.get(&sight.file) {
            Some((before, since)) if *before == sight => *since,
            Some(_) | None => found.now,
        };
        let grows = plan.mode == Mode::Lines && plan.done == Done::Keep;
        if grows || found.now.duration_since(since) >= plan.quiet {
            self.candidates.push_back((path, sight));
        } else {
            found.seen.insert(sight.file, (sight, since));
        }
        if self.candidates.len() >= CANDIDATES_MAX || found.seen.len() >= SEEN_MAX {
            found.is_cut = true;
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }

    /// The sight of a file; none of an empty one, of one that is done with, and of what is no file.
    fn sight(&self, path: &Path) -> Option<Sight> {
        if matches!(&self.shared.plan.done, Done::Move(folder) if path.starts_with(folder)) {
            return None;
        }
        // What vanished in between is nobody's concern.
        let metadata = fs::metadata(path).ok().filter(|metadata| metadata.is_file() && metadata.len() > 0)?;
        Some(Sight::of(&metadata))
    }

    /// Whether the file was not read, is not under way and not left where it is.
    fn may_be_taken(&self, path: &Path, sight: Sight, now: Instant) -> bool {
        let is_known = || lock(&self.shared.progress).get(sight.file).is_some_and(|file| file.is_done_with(sight));
        let grows = self.shared.plan.mode == Mode::Lines;
        if is_known() || lock(&self.shared.left).holds(sight, grows, now) {
            return false;
        }
        let noted = match self.shared.plan.mode {
            Mode::Whole => lock(&self.shared.journal).get(sight.version()).cloned(),
            Mode::Lines => None,
        };
        // Stored before a restart, and not removed yet.
        if noted == Some(Memory::Left) && self.shared.plan.done != Done::Keep {
            lock(&self.shared.progress).read_before(path.to_owned(), sight);
        }
        noted.is_none()
    }

    fn read_whole(&mut self, path: PathBuf, sight: Sight, out: &mut Vec<Received>) -> Result<(), SourceError> {
        let limit = self.shared.plan.body_bytes_max;
        if sight.size > limit as u64 {
            self.stick(&path, sight, &format!("it is larger than `max_body` ({limit} bytes)"));
            return Ok(());
        }
        let read = File::open(&path).and_then(|mut file| {
            let mut bytes = Vec::with_capacity(usize::try_from(sight.size).unwrap_or(0));
            (&mut file).take(sight.size.saturating_add(1)).read_to_end(&mut bytes)?;
            Ok((bytes, Sight::of(&file.metadata()?)))
        });
        match read {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => self.stick(&path, sight, &error.to_string()),
            // It is being written again: it is seen anew at the next look.
            Ok((bytes, after)) if after != sight || bytes.len() as u64 != sight.size => {}
            Ok((bytes, _)) => {
                let message = message(&self.shared.plan, &path, sight, sight.version(), None, bytes.into());
                lock(&self.shared.left).release(sight.file);
                let mut progress = lock(&self.shared.progress);
                progress.begin(path, sight, Mark::default());
                out.extend(progress.receive(sight.file, message, Place { byte: sight.size, line: 0 }, None));
                progress.end(sight.file, Place { byte: sight.size, line: 0 }, None);
            }
        }
        Ok(())
    }

    fn begin_lines(&mut self, path: PathBuf, sight: Sight) -> Result<(), SourceError> {
        let noted = match lock(&self.shared.journal).get(sight.file) {
            Some(Memory::Lines(mark)) => mark.clone(),
            Some(Memory::Whole | Memory::Left) | None => Mark::default(),
        };
        // In this session it may have been read further than it is settled.
        let known = lock(&self.shared.progress).get(sight.file).map(|file| (file.read_to(), file.mark.life));
        let ((from, head), life) = known.unwrap_or(((noted.place, noted.head), noted.life));
        let started = File::open(&path).and_then(|file| LineReader::start(file, from, head));
        let (reader, mark) = match started {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => {
                self.stick(&path, sight, &error.to_string());
                return Ok(());
            }
            Ok(Started::On(reader)) => (reader, Mark { life, ..noted }),
            Ok(Started::Anew(reader)) => {
                tracing::info!(path = %path.display(), "the file started anew: reading it from its first line");
                let mark = Mark { life: life + 1, ..Mark::default() };
                // Noted before a line is given out, so that ids of this life are never taken for those of the last.
                let entry = (sight.file, path.clone(), Some(Memory::Lines(mark.clone())));
                let noted = lock(&self.shared.journal).note(&[entry]);
                noted.map_err(|error| source_error("note what was read in", &self.shared.plan.journal, &error))?;
                (reader, mark)
            }
        };
        let life = mark.life;
        lock(&self.shared.left).release(sight.file);
        lock(&self.shared.progress).begin(path.clone(), sight, mark);
        self.current = Some(Current { path, sight, life, reader });
        Ok(())
    }

    fn read_lines(&mut self, mut current: Current, out: &mut Vec<Received>) -> Result<(), SourceError> {
        let plan = Arc::clone(&self.shared.plan);
        let (mut messages, mut bytes_read) = (0, 0);
        while messages < STEP_MESSAGES_MAX && bytes_read < STEP_BYTES_MAX {
            let Current { path, sight, life, reader } = &mut current;
            let next = match reader.next(plan.body_bytes_max, plan.done != Done::Keep) {
                Ok(next) => next,
                Err(error) => {
                    self.stick(path, *sight, &error.to_string());
                    return Ok(());
                }
            };
            match next {
                Next::Line { start, bytes } => {
                    messages += 1;
                    bytes_read += bytes.len();
                    let version =
                        DigestBuilder::new("crossdock.file.life").part(&sight.file.0).part(&life.to_le_bytes());
                    let message = message(&plan, path, *sight, version.finish(), Some(start), bytes.into());
                    let (end, head) = (reader.place(), reader.head());
                    out.extend(lock(&self.shared.progress).receive(sight.file, message, end, Some(head)));
                }
                Next::End => {
                    let (end, head) = (reader.place(), reader.head());
                    lock(&self.shared.progress).end(sight.file, end, Some(head));
                    return Ok(());
                }
                Next::TooLong { line } => {
                    let why = format!("line {line} is larger than `max_body` ({} bytes)", plan.body_bytes_max);
                    self.stick(path, *sight, &why);
                    return Ok(());
                }
            }
        }
        self.current = Some(current);
        Ok(())
    }

    fn stick(&mut self, path: &Path, sight: Sight, why: &str) {
        lock(&self.shared.left).unread(path, sight, why, Instant::now());
        lock(&self.shared.progress).leave(sight.file);
    }
}

/// The message that a file or a line of it is, and the claim by which it is known when it is read again.
fn message(
    plan: &Plan,
    path: &Path,
    sight: Sight,
    version: Digest,
    start: Option<Place>,
    bytes: Bytes,
) -> (Envelope, Claim) {
    let address = plan.shown(path).to_string_lossy();
    let key = DigestBuilder::new("crossdock.file.message")
        .part(plan.route.as_bytes())
        .part(address.as_bytes())
        .part(&version.0)
        .part(&start.map_or(0, |start| start.byte).to_le_bytes())
        .finish();
    let mut envelope = Envelope::new(MessageId::from_digest(key), now(), bytes);
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    let told = || media::of_extension(extension, start.is_some()).map(Text::from_static);
    envelope.properties.content_type = plan.content_type.clone().or_else(told);
    envelope.properties.time = Some(sight.modified());
    envelope.origin.protocol = Text::from_static("file");
    envelope.origin.address = Text::from(address.into_owned());
    envelope.origin.offset = start.and_then(|start| i64::try_from(start.line + 1).ok());
    // The version stands for the content, so the bodies of one key are equal.
    (envelope, Claim { key, body: key, window: CLAIM_WINDOW, place: None })
}
