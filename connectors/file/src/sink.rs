//! The sink: takes batches, writes them on a thread of its own with one sync for all that waits, and says how it went.

use crate::{
    append::{AppendFiles, make_folder},
    confine::{Mode, Place},
    create,
    fault::{Stage, fault},
    lock, media,
};
use async_trait::async_trait;
use bytes::Bytes;
use crossdock_connector::{
    Completions, Diagnostics, Outgoing, Preview, Receipt, Results, Sender, Sink, SinkConfig, SinkError, Ticket,
    mapping::{self, Part},
};
use crossdock_model::{Answer, Envelope, Fault, FaultClass, Text};
use std::{
    collections::{BTreeMap, HashSet},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Instant,
};
use tokio::{sync::mpsc, task::JoinHandle};

/// Batches that may wait while one is written.
const BATCHES_WAITING_MAX: usize = 4;

/// A target of a route.
#[derive(Clone, Debug)]
pub struct FileSink {
    place: Place,
    mode: Mode,
    strict: bool,
    /// Whether where they came from is to go along, which a file cannot carry.
    forward_origin: bool,
    files: Arc<AppendFiles>,
}

impl FileSink {
    /// A sink from its settings.
    ///
    /// # Errors
    /// A `path` that names no file in the mode.
    pub fn new(config: &SinkConfig, files: Arc<AppendFiles>) -> Result<Self, Diagnostics> {
        let mode = match config.settings.text("mode").map(|mode| &**mode) {
            Some("create") => Mode::Create,
            Some(_) | None => Mode::Append,
        };
        Ok(Self {
            place: Place::new(config, mode)?,
            mode,
            strict: config.strict,
            forward_origin: config.forward_origin,
            files,
        })
    }

    /// What would be written where.
    ///
    /// # Errors
    /// The message cannot be written, whatever the state of the disk.
    pub fn preview(&self, outgoing: &Outgoing) -> Result<Preview, Fault> {
        let (path, receipt) = prepare(self, outgoing)?;
        let act = match self.mode {
            Mode::Append => {
                line(outgoing)?;
                format!("append a line to {}", path.display())
            }
            Mode::Create => format!("write the file {}", path.display()),
        };
        Ok(Preview { act: Text::from(act), headers: Vec::new(), lost: receipt.lost })
    }
}

#[async_trait]
impl Sink for FileSink {
    async fn open(&mut self, done: Completions) -> Result<Box<dyn Sender>, Fault> {
        let folder = self.place.folder.clone();
        let made = tokio::task::spawn_blocking(move || {
            make_folder(&folder).map_err(|error| fault(Stage::Open { dynamic: false }, &folder, &error))
        });
        made.await.unwrap_or_else(|_| Err(stopped()))?;
        let (batches, waiting) = mpsc::channel(BATCHES_WAITING_MAX);
        let open = Arc::new(Open { done, taken: Mutex::default() });
        let (sink, answers) = (self.clone(), Arc::clone(&open));
        let writer = tokio::task::spawn_blocking(move || write_all(&sink, waiting, &answers));
        Ok(Box::new(FileSender { batches, open, writer }))
    }
}

/// What was taken and has no result yet; whoever removes a ticket posts its result, so that there is exactly one.
struct Open {
    done: Completions,
    taken: Mutex<HashSet<Ticket>>,
}

impl Open {
    fn post(&self, mut results: Results) {
        {
            let mut taken = lock(&self.taken);
            results.retain(|(ticket, _)| taken.remove(ticket));
        }
        if !results.is_empty() {
            self.done.post(results);
        }
    }

    fn give_up(&self, why: &Fault) {
        let left: Vec<Ticket> = lock(&self.taken).iter().copied().collect();
        self.post(left.into_iter().map(|ticket| (ticket, Err(why.clone()))).collect());
    }
}

struct FileSender {
    batches: mpsc::Sender<Vec<Outgoing>>,
    open: Arc<Open>,
    writer: JoinHandle<()>,
}

#[async_trait]
impl Sender for FileSender {
    async fn submit(&mut self, batch: Vec<Outgoing>) -> Result<(), SinkError> {
        lock(&self.open.taken).extend(batch.iter().map(|outgoing| outgoing.ticket));
        if self.batches.send(batch).await.is_err() {
            self.open.give_up(&stopped());
            return Err(SinkError("the thread that writes files has ended".into()));
        }
        Ok(())
    }

    async fn close(self: Box<Self>, by: Instant) {
        let Self { batches, open, writer } = *self;
        drop(batches);
        let late = tokio::time::timeout_at(by.into(), writer).await.is_err();
        if late {
            tracing::warn!("files were not written in time: what is not confirmed stays with the gateway");
        }
        open.give_up(&stopped());
    }
}

fn stopped() -> Fault {
    Fault::new(FaultClass::Failed, "file.stopped", "the gateway stopped before the file was synced")
        .answered_by(Answer::Nobody)
}

/// Writes until the sender is gone: takes all batches that wait, writes them, syncs once a file, posts.
fn write_all(sink: &FileSink, mut waiting: mpsc::Receiver<Vec<Outgoing>>, open: &Open) {
    while let Some(mut batch) = waiting.blocking_recv() {
        while let Ok(more) = waiting.try_recv() {
            batch.extend(more);
        }
        open.post(match sink.mode {
            Mode::Append => append_batch(sink, &batch),
            Mode::Create => create_batch(sink, &batch),
        });
    }
}

/// What goes to one file: its lines in the order of the batch, and who waits for them.
#[derive(Default)]
struct Lines {
    bytes: Vec<u8>,
    tickets: Vec<(Ticket, Receipt)>,
}

fn append_batch(sink: &FileSink, batch: &[Outgoing]) -> Results {
    let mut results = Results::with_capacity(batch.len());
    let mut files: BTreeMap<PathBuf, Lines> = BTreeMap::new();
    for outgoing in batch {
        let prepared = prepare(sink, outgoing).and_then(|(path, receipt)| Ok((path, line(outgoing)?, receipt)));
        match prepared {
            Err(fault) => results.push((outgoing.ticket, Err(fault))),
            Ok((path, line, receipt)) => {
                let lines = files.entry(path).or_default();
                lines.bytes.extend_from_slice(line);
                lines.bytes.push(b'\n');
                lines.tickets.push((outgoing.ticket, receipt));
            }
        }
    }
    for (path, Lines { bytes, tickets }) in files {
        let written = sink.files.append(&path, &bytes, sink.place.is_dynamic());
        results.extend(
            tickets
                .into_iter()
                .map(|(ticket, receipt)| (ticket, written.as_ref().map(|()| receipt).map_err(Clone::clone))),
        );
    }
    results
}

/// The payload as a line, without its own line break at the end.
fn line(outgoing: &Outgoing) -> Result<&[u8], Fault> {
    let bytes = outgoing.envelope.bytes();
    let line = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    if line.contains(&b'\n') {
        let text = "the payload has a line break within, which would tear its line: use `mode: create`, or a step \
                    `encode: json`, which writes it on one line";
        return Err(Fault::rejected("file.line_break", text));
    }
    Ok(line)
}

fn create_batch(sink: &FileSink, batch: &[Outgoing]) -> Results {
    let mut results = Results::with_capacity(batch.len());
    let (mut files, mut tickets) = (Vec::new(), Vec::new());
    for outgoing in batch {
        match prepare(sink, outgoing) {
            Err(fault) => results.push((outgoing.ticket, Err(fault))),
            Ok((path, receipt)) => {
                files.push((path, outgoing.envelope.payload.clone().unwrap_or(Bytes::new())));
                tickets.push((outgoing.ticket, receipt));
            }
        }
    }
    let written = create::create(&files, sink.place.is_dynamic());
    results.extend(
        tickets.into_iter().zip(written).map(|((ticket, receipt), written)| (ticket, written.map(|()| receipt))),
    );
    results
}

/// The file of a message, and what a file cannot carry of it.
fn prepare(sink: &FileSink, outgoing: &Outgoing) -> Result<(PathBuf, Receipt), Fault> {
    let path = sink.place.file(&outgoing.envelope, |slot| outgoing.rendered.text(slot))?;
    let lost = lost(&outgoing.envelope, &path, sink.mode, sink.forward_origin);
    if sink.strict {
        mapping::strictly("a file", &lost)?;
    }
    Ok((path, Receipt { lost }))
}

/// The fields that are set and have no place in a file (mapping.md); the content type has one in a known extension.
fn lost(envelope: &Envelope, path: &Path, mode: Mode, forward_origin: bool) -> Vec<Text> {
    let properties = &envelope.properties;
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    let told = |content_type: &Text| {
        mapping::is_event(content_type) || media::carries(extension, content_type, mode == Mode::Append)
    };
    let is_lost = |part: &Part| match part {
        // No payload is another thing than an empty file.
        Part::Payload => envelope.payload.is_none(),
        Part::ContentType => properties.content_type.as_ref().is_some_and(|content_type| !told(content_type)),
        Part::ContentEncoding => properties.content_encoding.is_some(),
        // The id is the gateway's own, and what the file is called is the target's to say.
        Part::Id => false,
        Part::CorrelationId => properties.correlation_id.is_some(),
        Part::ReplyTo => properties.reply_to.is_some(),
        Part::Time => properties.time.is_some(),
        Part::ExpiresAt => properties.expires_at.is_some(),
        Part::Priority => properties.priority.is_some(),
        Part::Key => properties.key.is_some(),
        Part::Traceparent => properties.traceparent.is_some(),
        Part::Tracestate => properties.tracestate.is_some(),
        Part::Origin => forward_origin,
        Part::Headers => !envelope.headers.is_empty(),
    };
    Part::ALL.into_iter().filter(is_lost).map(Part::lost).collect()
}

#[cfg(test)]
pub mod tests {
    //! The sink, driven as the engine drives it.

    use super::*;
    use crossdock_connector::{Formula, Placed, Rendered, RenderedValue, Setting, Settings, Slot, Span};
    use crossdock_model::{MessageId, Timestamp};
    use std::{fs, time::Duration};

    /// A target's settings with `path` as a formula in slot 0.
    pub fn sink_config(folder: &Path, path: &str, mode: &str) -> SinkConfig {
        let mut settings = Settings::empty(Span::default());
        let kind = crossdock_connector::FormulaKind::Template(crossdock_connector::TemplateUse {
            address: true,
            path_segment: false,
        });
        let formula = Formula { text: path.into(), layout: Default::default(), kind, slot: Slot(0) };
        settings.insert("path", Placed::new(Setting::Formula(formula), Span::default()));
        settings.insert("mode", Placed::new(Setting::Text(mode.into()), Span::default()));
        SinkConfig {
            route: Text::from_static("r"),
            target: Text::from_static("t"),
            ordinal: 0,
            connection: None,
            settings,
            folder: folder.to_owned(),
            forward_origin: false,
            strict: false,
        }
    }

    fn outgoing(ticket: u64, path: &str, payload: &'static str) -> Outgoing {
        let mut envelope = Envelope::new(MessageId::from_bytes([ticket as u8; 16]), Timestamp(0), payload);
        envelope.properties.content_type = Some(Text::from_static("application/json"));
        Outgoing {
            ticket: Ticket(ticket),
            envelope: Arc::new(envelope),
            rendered: Rendered::new([RenderedValue::Text(path.into())]),
            idempotency_key: Text::from_static("k"),
            attempt: 1,
        }
    }

    /// Sends all in batches of `batch` and gives the outcome of each by ticket: `ok`, what was lost, or the fault's code.
    async fn send(config: &SinkConfig, batch: usize, messages: Vec<Outgoing>) -> Vec<String> {
        let results: Arc<Mutex<Results>> = Arc::default();
        let posted = Arc::clone(&results);
        let mut sink = FileSink::new(config, Arc::default()).unwrap();
        let done = Completions::new(move |results| lock(&posted).extend(results));
        let mut sender = sink.open(done).await.map_err(|fault| fault.to_string()).unwrap();
        for batch in messages.chunks(batch) {
            sender.submit(batch.to_vec()).await.unwrap();
        }
        sender.close(Instant::now() + Duration::from_secs(10)).await;
        let mut results = lock(&results).clone();
        results.sort_by_key(|(ticket, _)| *ticket);
        assert!(results.iter().zip(&messages).all(|((ticket, _), sent)| *ticket == sent.ticket), "one result a ticket");
        results
            .into_iter()
            .map(|(_, result)| result.map_or_else(|f| f.code.to_string(), |r| r.lost.join(" ")))
            .collect()
    }

    #[tokio::test]
    async fn appends_lines_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let config = sink_config(folder.path(), "out/{{ .f }}.jsonl", "append");
        let messages = vec![
            outgoing(1, "out/a.jsonl", "1"),
            outgoing(2, "out/b.jsonl", "2"),
            outgoing(3, "out/a.jsonl", "3\n"),
            outgoing(4, "out/a.jsonl", "4\n4"),
            outgoing(5, "out/../a.jsonl", "5"),
            outgoing(6, "out/a.jsonl", "6"),
        ];
        assert_eq!(send(&config, 4, messages).await, ["", "", "", "file.line_break", "file.path", ""]);
        assert_eq!(fs::read_to_string(folder.path().join("out/a.jsonl")).unwrap(), "1\n3\n6\n");
        assert_eq!(fs::read_to_string(folder.path().join("out/b.jsonl")).unwrap(), "2\n");
    }

    #[tokio::test]
    async fn creates_files_named_by_id_and_again() {
        let folder = tempfile::tempdir().unwrap();
        let config = sink_config(folder.path(), "out/", "create");
        for _ in 0..2 {
            assert_eq!(send(&config, 8, vec![outgoing(1, "", "a\nb"), outgoing(2, "", "c")]).await, ["", ""]);
        }
        let mut names: Vec<_> =
            fs::read_dir(folder.path().join("out")).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["01010101-0101-0101-0101-010101010101.json", "02020202-0202-0202-0202-020202020202.json"]);
    }

    #[tokio::test]
    async fn what_a_file_cannot_carry_is_told_or_refused() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = sink_config(folder.path(), "out.log", "append");
        assert_eq!(send(&config, 1, vec![outgoing(1, "", "x")]).await, ["content_type"]);
        config.strict = true;
        assert_eq!(send(&config, 1, vec![outgoing(1, "", "x")]).await, ["mapping.lost"]);
        let mut event = outgoing(1, "", "{}");
        Arc::make_mut(&mut event.envelope).properties.content_type = Some("application/cloudevents+json".into());
        assert_eq!(send(&config, 1, vec![event]).await, [""], "a structured event says itself what it is");
    }

    #[test]
    fn a_preview_tells_the_file_and_what_is_lost_or_wrong() {
        let sink = |path, mode| FileSink::new(&sink_config(Path::new("/b"), path, mode), Arc::default()).unwrap();
        let preview = sink("out/{{ .f }}.log", "append").preview(&outgoing(1, "out/a.log", "x")).unwrap();
        assert_eq!((&*preview.act, preview.lost.join(" ")), ("append a line to /b/out/a.log", "content_type".into()));
        let preview = sink("out/", "create").preview(&outgoing(1, "", "x\ny")).unwrap();
        assert_eq!(&*preview.act, "write the file /b/out/01010101-0101-0101-0101-010101010101.json");
        let code = |path, payload| {
            sink("out/{{ .f }}", "append").preview(&outgoing(1, path, payload)).map_err(|fault| fault.code.to_string())
        };
        assert_eq!(code("out/../a", "x"), Err("file.path".into()));
        assert_eq!(code("out/a", "x\ny"), Err("file.line_break".into()));
    }

    #[tokio::test]
    async fn a_file_in_the_folders_place_is_unreachable() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("out"), "").unwrap();
        let mut sink = FileSink::new(&sink_config(folder.path(), "out/x.log", "append"), Arc::default()).unwrap();
        let opened = sink.open(Completions::new(|_| {})).await;
        assert_eq!(opened.err().map(|fault| fault.class), Some(FaultClass::Unreachable));
    }
}
