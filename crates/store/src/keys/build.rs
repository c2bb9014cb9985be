//! Writing a file of keys: what is in memory, merged with files that it replaces, in one pass and little memory.

use super::{BLOCK_RECORDS, KIND, KeyFile, RECORD_BYTES, Record, Run, file_name, filter::Filter, put_record};
use crate::{
    Disk, OpenMode, Options,
    blocks::{Output, Written},
    format::Write,
};
use crossdock_model::{Digest, Timestamp};
use std::{cmp::Ordering, collections::VecDeque, io, sync::Arc};

/// Where records come from: sorted by scope and hash.
pub enum Source {
    Memory(VecDeque<Record>),
    File { file: Arc<KeyFile>, block: u64, read: VecDeque<Record> },
}

impl Source {
    /// All records of a file.
    pub fn of(file: Arc<KeyFile>) -> Self {
        Self::File { file, block: 0, read: VecDeque::new() }
    }

    /// What is in memory, in any order.
    pub fn memory(mut records: Vec<Record>) -> Self {
        records.sort_unstable_by_key(|record| (record.scope, record.key.hash));
        Self::Memory(records.into())
    }

    /// How many records of a scope it has, at most.
    fn records(&self, scope: u32) -> u64 {
        match self {
            Self::Memory(records) => records.iter().filter(|record| record.scope == scope).count() as u64,
            Self::File { file, .. } => file.runs.iter().filter(|run| run.scope == scope).map(|run| run.records).sum(),
        }
    }

    fn peek(&mut self) -> io::Result<Option<Record>> {
        match self {
            Self::Memory(records) => Ok(records.front().copied()),
            Self::File { file, block, read } => {
                while read.is_empty() && *block < file.blocks() {
                    *read = file.block(*block)?.into();
                    *block += 1;
                }
                Ok(read.front().copied())
            }
        }
    }

    fn advance(&mut self) {
        match self {
            Self::Memory(records) | Self::File { read: records, .. } => drop(records.pop_front()),
        }
    }
}

/// Writes a file of what is worth keeping of all sources; of two records of a hash the later one. Neither the file nor its
/// name is synced. None, and no file, if nothing is worth keeping.
pub fn write(
    disk: &Arc<dyn Disk>,
    number: u64,
    options: &Options,
    mut sources: Vec<Source>,
    keeps: &dyn Fn(&Record) -> bool,
) -> io::Result<Option<KeyFile>> {
    let file = disk.open(&file_name(number), OpenMode::Create)?;
    file.truncate(0)?;
    let mut builder = Builder {
        output: Output::new(KIND, number, options, file),
        block: Vec::with_capacity(RECORD_BYTES * BLOCK_RECORDS),
        records: 0,
        runs: Vec::new(),
        fences: Vec::new(),
    };
    while let Some(record) = next(&mut sources)? {
        if keeps(&record) {
            if builder.runs.last().is_none_or(|run| run.scope != record.scope) {
                builder.begin_run(record.scope, sources.iter().map(|source| source.records(record.scope)).sum());
            }
            builder.push(&record)?;
        }
    }
    if builder.records == 0 {
        disk.remove(&file_name(number))?;
        return Ok(None);
    }
    builder.end().map(Some)
}

/// The next record of all sources, past those of the same hash that it replaces.
fn next(sources: &mut [Source]) -> io::Result<Option<Record>> {
    let mut first: Option<Record> = None;
    for source in &mut *sources {
        let Some(record) = source.peek()? else { continue };
        let order = first.map_or(Ordering::Less, |first| place(&record).cmp(&place(&first)));
        let later = first.is_some_and(|first| record.sequence > first.sequence);
        if order == Ordering::Less || (order == Ordering::Equal && later) {
            first = Some(record);
        }
    }
    if let Some(first) = first {
        for source in sources {
            while source.peek()?.is_some_and(|record| place(&record) == place(&first)) {
                source.advance();
            }
        }
    }
    Ok(first)
}

fn place(record: &Record) -> (u32, Digest) {
    (record.scope, record.key.hash)
}

struct Builder<'a> {
    output: Output<'a>,
    block: Vec<u8>,
    records: u64,
    runs: Vec<Run>,
    fences: Vec<(u32, Digest)>,
}

impl Builder<'_> {
    fn begin_run(&mut self, scope: u32, records_max: u64) {
        let (first_sequence, last_sequence, until) = (u64::MAX, 0, Timestamp(i64::MIN));
        self.runs.push(Run {
            scope,
            records: 0,
            first_sequence,
            last_sequence,
            until,
            // What was taken off the sources so far is the first record.
            filter: Filter::new(records_max + 1),
        });
    }

    fn push(&mut self, record: &Record) -> io::Result<()> {
        if self.block.is_empty() {
            self.fences.push(place(record));
        }
        if let Some(run) = self.runs.last_mut() {
            run.records += 1;
            run.first_sequence = run.first_sequence.min(record.sequence);
            run.last_sequence = run.last_sequence.max(record.sequence);
            run.until = run.until.max(record.key.until);
            run.filter.add(record.key.hash);
        }
        put_record(&mut self.block, record);
        self.records += 1;
        if self.block.len() == RECORD_BYTES * BLOCK_RECORDS { self.end_block() } else { Ok(()) }
    }

    fn end_block(&mut self) -> io::Result<()> {
        let mut content = std::mem::take(&mut self.block);
        content.resize(RECORD_BYTES * BLOCK_RECORDS, 0);
        self.output.put(content).map(drop)
    }

    fn end(mut self) -> io::Result<KeyFile> {
        if !self.block.is_empty() {
            self.end_block()?;
        }
        let mut index = Vec::new();
        index.put_varint(self.runs.len() as u64);
        for run in &self.runs {
            index.put_varint(u64::from(run.scope));
            for n in [run.records, run.first_sequence, run.last_sequence] {
                index.put_varint(n);
            }
            index.put_signed(run.until.millis());
            index.put_piece(&run.filter.encode());
        }
        index.put_varint(self.fences.len() as u64);
        for (scope, hash) in &self.fences {
            index.put_varint(u64::from(*scope));
            index.put_raw(&hash.0);
        }
        let Self { output, records, runs, fences, .. } = self;
        let Written { file, sealed, .. } = output.end(index, &records.to_le_bytes())?;
        Ok(KeyFile { runs, records, file, sealed, fences })
    }
}
