//! Keys and their files: when they are written, and what the decisions of a group have to know of them.

use super::{Writer, log::Trouble, space::remove_file};
use crate::{
    Disk, Keyring, Txn,
    format::Key,
    keys::{self, KeyFile, Source, file_name},
    shared::Shared,
    state::{Held, KEYS_HELD, Keys},
};
use crossdock_model::{Digest, Text, Timestamp};
use hashbrown::HashMap;
use std::{io, sync::Arc};

/// More files are merged.
const FILES_MAX: usize = 16;

impl Writer {
    /// Keys that no file has are written to one when there are nearly as many of a scope as memory is to hold; a checkpoint
    /// will name it.
    pub fn write_keys_when_many(&mut self) -> Result<(), Trouble> {
        // Sooner than memory is full, so that what is held of a scope never outgrows its place.
        if self.shared.state().keys.unsaved() < KEYS_HELD / 4 * 3 {
            return Ok(());
        }
        match self.write_keys() {
            Err(Trouble::NoSpace) => {
                tracing::warn!("there is no room for a file of keys: they stay in memory");
                Ok(())
            }
            written => written,
        }
    }

    /// Writes down, durably, the keys that no file has yet, and merges files where there are many.
    pub fn write_keys(&mut self) -> Result<(), Trouble> {
        let now = (self.shared.options.clock)();
        let (fresh, files) = {
            let mut state = self.shared.state();
            state.keys.expire(now);
            let keys = &mut state.keys;
            let (spent, left): (Vec<_>, Vec<_>) =
                std::mem::take(&mut keys.files).into_iter().partition(|file| keys.is_spent(file, now));
            keys.files = left;
            drop(spent);
            (keys.fresh(), keys.files.clone())
        };
        let merged = match (self.rekeyed, fresh.len()) {
            (true, _) => files.len(),
            (false, 0) => 0,
            (false, fresh) => to_merge(&files, fresh as u64),
        };
        if !fresh.is_empty() || merged > 0 {
            let kept = files.len() - merged;
            let merging = files.iter().skip(kept).map(|file| Source::of(Arc::clone(file)));
            let sources = merging.chain([Source::memory(fresh)]).collect();
            let made = self.make_key_file(sources, now)?;
            let mut state = self.shared.state();
            // Nothing was added since: only this thread adds.
            state.keys.files.truncate(kept);
            made.into_iter().for_each(|file| state.keys.add_file(file));
            state.keys.mark_saved();
        }
        self.rekeyed = false;
        self.extra.key_files = self.shared.state().keys.files.iter().map(|file| file.number()).collect();
        Ok(())
    }

    fn make_key_file(&mut self, sources: Vec<Source>, now: Timestamp) -> Result<Option<KeyFile>, Trouble> {
        let number = self.next_key_file;
        self.next_key_file += 1;
        let shared = Arc::clone(&self.shared);
        let keeps = |record: &keys::Record| shared.state().keys.counts(record, now);
        let made = keys::write(&self.shared.disk, number, &self.shared.options, sources, &keeps);
        match made {
            Ok(None) => Ok(None),
            Ok(Some(file)) => {
                self.key_files.push(number);
                file.sync().map_err(|error| Trouble::fatal("syncing a file of keys", &error))?;
                // A checkpoint that names it may be durable before the next `sync_dir`.
                let named = self.shared.disk.sync_dir("");
                named.map_err(|error| Trouble::fatal("syncing the data folder", &error))?;
                self.shared.meters.wrote(file.bytes());
                Ok(Some(file))
            }
            Err(error) => {
                // What is there of it is nobody's.
                let _ = remove_file(&*self.shared.disk, &file_name(number));
                Err(Trouble::of("writing a file of keys", &error))
            }
        }
    }

    /// Removes the files of keys that neither checkpoint names any more.
    pub fn forget_old_keys(&mut self) -> Result<(), Trouble> {
        let [_, newer] = std::mem::take(&mut self.named_key_files);
        let named = self.extra.key_files.clone();
        let is_named = |number: &u64| newer.contains(number) || named.contains(number);
        for number in self.key_files.extract_if(.., |number| !is_named(number)).collect::<Vec<_>>() {
            remove_file(&*self.shared.disk, &file_name(number))
                .map_err(|error| Trouble::fatal("removing a file of keys", &error))?;
        }
        self.named_key_files = [newer, named];
        Ok(())
    }
}

/// How many of the newest files are merged with what comes: none while there are few; else those that are not much larger
/// than all that is newer, so that a key is written few times over, and at least one.
fn to_merge(files: &[Arc<KeyFile>], fresh: u64) -> usize {
    if files.len() < FILES_MAX {
        return 0;
    }
    let mut records = fresh;
    let alike = files.iter().rev().take_while(|file| {
        let alike = file.records <= records.saturating_mul(2);
        records += file.records;
        alike
    });
    alike.count().max(1)
}

/// What is known of the keys that a group of decisions claims: read before the frame is planned, since planning reads no disk.
/// Hardly any is ever known.
#[derive(Default)]
pub struct Recalled(HashMap<(u32, Digest), Key>);

impl Recalled {
    /// Looks for the keys of a group of decisions. Blocks where a file may have one.
    pub fn read<'t>(shared: &Shared, txns: impl Iterator<Item = &'t Txn>, now: Timestamp) -> Self {
        let claimed = txns.flat_map(|txn| {
            let puts = txn.puts.iter().flat_map(|put| &put.keys).map(|key| (&key.scope, key.hash, key.keys_max));
            let sifted = txn.sieve.iter().flat_map(|sieve| &sieve.messages).flat_map(|message| &message.keys);
            puts.chain(sifted.map(|key| (&key.scope, key.hash, key.keys_max)))
        });
        let mut claimed = claimed.peekable();
        if claimed.peek().is_none() {
            return Self::default();
        }
        let mut found = HashMap::new();
        let (wanted, files) = Self::in_memory(shared, claimed, now, &mut found);
        let mut filed: HashMap<(u32, Digest), Key> = HashMap::new();
        // File by file, so that a filter is in the processor's cache for all keys; the newest first: of two records the later
        // one counts.
        for file in files.iter().rev() {
            for (scope, hash) in wanted.iter().filter(|(scope, hash)| file.may_have(*scope, *hash)) {
                if filed.contains_key(&(*scope, *hash)) {
                    continue;
                }
                match file.find(*scope, *hash) {
                    Ok(record) => {
                        let counts = record.filter(|record| shared.state().keys.counts(record, now));
                        filed.extend(record.map(|record| ((*scope, *hash), record.key)));
                        found.extend(counts.map(|record| ((*scope, *hash), record.key)));
                    }
                    Err(error) => {
                        tracing::error!(%error, "a file of keys cannot be read: repetitions may be stored again");
                    }
                }
            }
        }
        Self(found)
    }

    /// Adds what memory knows. Of what it does not hold, the files have to be asked.
    fn in_memory<'t>(
        shared: &Shared,
        claimed: impl Iterator<Item = (&'t Text, Digest, u64)>,
        now: Timestamp,
        found: &mut HashMap<(u32, Digest), Key>,
    ) -> (Vec<(u32, Digest)>, Vec<Arc<KeyFile>>) {
        let mut state = shared.state();
        let mut wanted = Vec::new();
        let mut last: Option<(&Text, u64, Option<u32>)> = None;
        for (name, hash, keys_max) in claimed {
            let scope = match last {
                Some((known, max, scope)) if max == keys_max && known == name => scope,
                _ => {
                    let scope = state.keys.scope(name);
                    scope.into_iter().for_each(|scope| state.keys.remember(scope, keys_max));
                    last = Some((name, keys_max, scope));
                    scope
                }
            };
            let Some(scope) = scope else { continue };
            match state.keys.held(scope, hash, now) {
                Held::No => wanted.push((scope, hash)),
                Held::Spent => {}
                Held::Counts(key) => drop(found.insert((scope, hash), *key)),
            }
        }
        let files = if wanted.is_empty() { Vec::new() } else { state.keys.files.clone() };
        (wanted, files)
    }

    /// The key of a hash, if it is known and has not run out.
    pub fn get(&self, scope: u32, hash: Digest) -> Option<&Key> {
        if self.0.is_empty() { None } else { self.0.get(&(scope, hash)) }
    }
}

/// Opens a file of keys into what is known. A damaged or lost one is passed over: its keys may
/// then be stored again. What a version before wrote is taken into memory: the next checkpoint replaces it.
pub fn read_keys(disk: &dyn Disk, number: u64, ring: &Keyring, keys: &mut Keys) -> io::Result<()> {
    match keys::open(disk, number, ring)? {
        keys::Opened::Whole(file) => keys.add_file(file),
        keys::Opened::Earlier(earlier) => {
            earlier.into_iter().for_each(|(scope, key)| keys.insert(scope, key, Timestamp(i64::MAX)));
        }
        keys::Opened::Damaged(why) => {
            let file = file_name(number);
            tracing::error!(file, %why, "a file of keys is damaged: repetitions of its keys may be stored again");
        }
    }
    Ok(())
}
