//! Opening: from the files to the state, whatever a crash or the disk did to them.
//!
//! ```text
//! lock ─► checkpoint (the newer whole one) ─► frames beyond it, past the cache ─► torn tail cut ─► lost messages dead
//!                                              │ none after a clean stop                            │
//!                                              └────────────────────────────────────────► two new checkpoints ─► open
//! ```

mod quarantine;
mod replay;
mod scan;
mod segments;
mod tries;

pub use quarantine::keep_bytes;
pub use scan::{Chunks, Found, ScanError, ScannedFrame, scan};
pub use segments::{index_of, scan_failed};

use crate::{
    Disk, DiskLock, Keyring, OpenError, Options, SyncPolicy,
    checkpoint::{self, Body, CheckpointRead, Extra, Header},
    cipher::{FileError, missing_key},
    disk::{is_full, is_missing},
    format::{BLOCK_BYTES, number_of},
    keys::{file_name, is_key_file},
    meters::Meters,
    shared::Shared,
    state::State,
    writer::{Company, Draft, Frames, Log, Passing, SPARE, TryFiles, Writer, read_keys, remove_file},
};
use aws_lc_rs::error::Unspecified;
use crossdock_model::Text;
use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

/// The file whose lock keeps a second process out.
pub const LOCK: &str = "lock";

/// What opening found and made of it.
struct Recovered {
    header: Header,
    state: State,
    extra: Extra,
    /// Nothing was written since the last clean stop.
    clean: bool,
    /// It was written under another key than it will be, or one of the two is plain.
    rekeyed: bool,
}

/// Opens the store, or makes one.
pub fn open(disk: Arc<dyn Disk>, options: Options) -> Result<(Arc<Shared>, Writer), OpenError> {
    check_options(&options)?;
    let lock = take_lock(&*disk)?;
    let recovered = match newest_checkpoint(&*disk)? {
        Some(newest) => recover(&*disk, newest, &options)?,
        None => make(&*disk, &options)?,
    };
    let Recovered { header, state, extra, clean, rekeyed } = recovered;
    let (shared, mut writer) = assemble(disk, options, lock, &header, state, extra)?;
    writer.rekeyed = rekeyed;
    if !clean || rekeyed {
        writer.settle_in()?;
    }
    Ok((shared, writer))
}

fn check_options(options: &Options) -> Result<(), OpenError> {
    let bytes = options.segment_bytes;
    if (64 << 10..=1 << 30).contains(&bytes) && bytes.is_multiple_of(BLOCK_BYTES as u64) {
        return Ok(());
    }
    let what = format!("a segment of {bytes} bytes: set `segment` from 64KiB to 1GiB, in whole 4KiB");
    Err(OpenError::Unusable { what: Text::from(what) })
}

/// Takes the lock; no other process may.
pub fn take_lock(disk: &dyn Disk) -> Result<Box<dyn DiskLock>, OpenError> {
    disk.lock(LOCK).map_err(|error| {
        if error.kind() == io::ErrorKind::WouldBlock {
            OpenError::Held
        } else {
            failed("locking the data folder", LOCK, error)
        }
    })
}

/// What an error of the system means to whoever opens a store.
pub fn failed(doing: &str, name: &str, error: io::Error) -> OpenError {
    if matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem) {
        OpenError::Permission { name: Text::from(name) }
    } else if is_full(&error) {
        OpenError::NoSpace
    } else {
        OpenError::Io { doing: Text::from(format!("{doing} ({name})")), source: error }
    }
}

/// A checkpoint that counts.
pub struct Newest {
    pub header: Header,
    pub body: Body,
    /// Whether both files are whole and of the same end of the log.
    both: bool,
}

/// The newest whole checkpoint; `None` where there is no store yet.
pub fn newest_checkpoint(disk: &dyn Disk) -> Result<Option<Newest>, OpenError> {
    let mut whole: Vec<(Header, Body)> = Vec::new();
    let mut damaged = 0;
    for name in checkpoint::FILES {
        match checkpoint::read(disk, name).map_err(|error| failed("reading a checkpoint", name, error))? {
            CheckpointRead::Whole(header, body) => whole.push((header, body)),
            CheckpointRead::Missing => {}
            CheckpointRead::Newer => return Err(OpenError::Newer { what: Text::from_static("its checkpoint") }),
            CheckpointRead::Damaged => damaged += 1,
        }
    }
    let both = matches!(whole.as_slice(), [(a, _), (b, _)] if a.log == b.log && a.clean && b.clean);
    if let Some((header, body)) = whole.into_iter().max_by_key(|(header, _)| header.generation) {
        return Ok(Some(Newest { header, body, both }));
    }
    let files = disk.list("").map_err(|error| failed("listing the data folder", "", error))?;
    let has_log = files.iter().any(|file| number_of(&file.name, ".log").is_some());
    // A store whose making was interrupted has neither two checkpoints nor a log.
    if has_log || damaged > 1 {
        let what =
            "both checkpoints are gone or damaged: put the folder back from a backup, or move it away to begin anew";
        return Err(OpenError::Unusable { what: Text::from_static(what) });
    }
    Ok(None)
}

/// A new store: two checkpoints of nothing, durable before anything else is.
fn make(disk: &dyn Disk, options: &Options) -> Result<Recovered, OpenError> {
    let draw = || (options.random)();
    let mut secret = [0; 16];
    for (to, from) in secret.iter_mut().zip(draw().to_le_bytes().into_iter().chain(draw().to_le_bytes())) {
        *to = from;
    }
    let (state, extra) = (State::default(), Extra { next_segment: 1, secret, ..Extra::default() });
    let mut header = Header { clean: true, store: draw() as u32, generation: 0, log: checkpoint::LogEnd::default() };
    for _ in checkpoint::FILES {
        header.generation += 1;
        let bytes = checkpoint::encode(&header, &state, &extra, options).map_err(cannot_encrypt)?;
        checkpoint::write(disk, &header, &bytes)
            .and_then(|file| file.sync())
            .and_then(|()| disk.sync_dir(""))
            .map_err(|error| failed("making the store", "checkpoint", error))?;
    }
    Ok(Recovered { header, state, extra, clean: true, rekeyed: false })
}

fn cannot_encrypt(_: Unspecified) -> OpenError {
    OpenError::Unusable { what: Text::from_static("encrypting failed") }
}

/// Why a checkpoint's body cannot be read.
pub fn sealed(error: FileError, keys: &Keyring) -> OpenError {
    let what = match error {
        FileError::NoKey(id) => missing_key(id, keys),
        FileError::Broken(id) => format!(
            "the checkpoint does not open under the key {id}, though it is whole: is the file in `gateway.store.encryption` \
             the one that it was written with?"
        ),
        FileError::Invalid(why) => return OpenError::Newer { what: Text::from_static(why.0) },
    };
    OpenError::Key { what: Text::from(what) }
}

/// The state of a checkpoint and of the frames beyond it.
fn recover(disk: &dyn Disk, newest: Newest, options: &Options) -> Result<Recovered, OpenError> {
    let (Newest { mut header, body, both }, keys) = (newest, &options.keys);
    let rekeyed = body.key() != keys.current();
    let body = body.open(&header, keys).map_err(|error| sealed(error, keys))?;
    let newer = |why: crate::DecodeError| OpenError::Newer { what: Text::from_static(why.0) };
    let (mut state, mut extra) = checkpoint::decode_body(&body).map_err(newer)?;
    tries::load(disk, &extra, keys, &mut state)?;
    let found = segments::find(disk, &header, &state, &extra)?;
    segments::check_keys(disk, &state, &header, &found, keys)?;
    for number in &extra.key_files {
        read_keys(disk, *number, keys, &mut state.keys)
            .map_err(|error| failed("reading keys", &file_name(*number), error))?;
    }
    state.begin_account();
    let clean = header.clean && both && found.beyond.is_empty() && found.is_whole(&state);
    if clean {
        segments::forget_removed(&mut state, &found);
    } else {
        header.log = segments::replay(disk, &mut state, &header, &found, options)?;
        tries::count_pins(&mut state)?;
        segments::check_short(disk, &mut state, keys)?;
        state.begin_account();
        extra.next_segment = extra.next_segment.max(found.last + 1);
        tracing::warn!(sequence = header.log.sequence, "the store was not closed: its log was read again");
    }
    Ok(Recovered { header, state, extra, clean, rekeyed })
}

fn assemble(
    disk: Arc<dyn Disk>,
    options: Options,
    lock: Box<dyn DiskLock>,
    header: &Header,
    state: State,
    extra: Extra,
) -> Result<(Arc<Shared>, Writer), OpenError> {
    let spare = match disk.open(SPARE, crate::OpenMode::Read) {
        Ok(_) => true,
        Err(error) if is_missing(&error) => false,
        Err(error) => return Err(failed("opening a file", SPARE, error)),
    };
    let segment_bytes = options.segment_bytes;
    let sync_each = options.sync == SyncPolicy::Always;
    let keys = options.keys.clone();
    let shared = Arc::new(Shared::new(disk, options, header.store, state));
    let meters: Arc<Meters> = Arc::clone(&shared.meters);
    let log = Log {
        disk: Arc::clone(&shared.disk),
        meters,
        segment_bytes,
        sync_each,
        store: header.store,
        keys,
        end: header.log,
        synced_sequence: header.log.sequence,
        unsynced: false,
        next_segment: extra.next_segment,
        spare,
        tight: false,
        active: None,
        frames: Frames::default(),
    };
    let last_try_files = [extra.try_files.clone(), extra.try_files.clone()];
    let all = tries::files(&*shared.disk).map_err(|error| failed("listing the data folder", "", error))?;
    let next = all.iter().max().map_or(1, |last| last + 1);
    let tries = TryFiles { next, all, named: last_try_files, patience: None };
    let next_key_file = extra.key_files.iter().max().map_or(1, |last| last + 1);
    let (key_files, named_key_files) = (extra.key_files.clone(), [extra.key_files.clone(), extra.key_files.clone()]);
    let writer = Writer {
        shared: Arc::clone(&shared),
        log,
        generation: header.generation,
        draft: Draft::default(),
        passing: Passing::default(),
        // Until both are written anew, nothing that the older one may need is removed.
        checkpointed: [0, header.log.sequence],
        next_key_file,
        key_files,
        named_key_files,
        extra,
        tries,
        bytes_since_checkpoint: 0,
        rekeyed: false,
        sync_time: Duration::ZERO,
        company: Company::default(),
        space: crate::writer::Watermark::default(),
        cleaner: crate::cleaner::Cleaner::default(),
        last_frame: Instant::now(),
        tidy: true,
        _lock: lock,
    };
    Ok((shared, writer))
}

impl Writer {
    /// After an unclean stop: what was found becomes the new beginning, and what nobody names is removed.
    fn settle_in(&mut self) -> Result<(), OpenError> {
        use crate::CommitError;
        // What was plain, or under another key, is not written over bit by bit.
        let spare = if self.rekeyed { self.remove_spare() } else { Ok(()) };
        let written = spare.and_then(|()| self.checkpoint_twice(false)).map_err(|trouble| self.give_up(&trouble));
        match written {
            Ok(()) => self.clear_away().map_err(|error| failed("clearing the data folder", "", error)),
            Err(CommitError::NoSpace) => {
                tracing::warn!("there is no room for a checkpoint: free some space; deliveries go on");
                Ok(())
            }
            Err(error) => Err(OpenError::Unusable { what: Text::from(error.to_string()) }),
        }
    }

    /// Removes files that an interrupted making or removal left. Files of tries went with the checkpoints.
    fn clear_away(&self) -> io::Result<()> {
        let disk = &*self.shared.disk;
        let state = self.shared.state();
        let keeps = |number: Option<u64>| number.is_none_or(|number| state.segments.get(number).is_some());
        let mut removed = false;
        for file in disk.list("")? {
            let named = keeps(number_of(&file.name, ".log"))
                && keeps(number_of(&file.name, ".index"))
                && (!is_key_file(&file.name)
                    || self.extra.key_files.iter().any(|number| file_name(*number) == file.name));
            if !named {
                remove_file(disk, &file.name)?;
                removed = true;
            }
        }
        if removed { disk.sync_dir("") } else { Ok(()) }
    }
}
