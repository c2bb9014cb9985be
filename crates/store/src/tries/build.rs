//! Writing a file of tries: what memory is to let go of, merged with files that it replaces, in one pass and little memory.

use super::{BLOCK_BYTES, Block, Entry, KIND, RunFile, entry::put_entry, file_name};
use crate::{
    Disk, OpenMode, Options,
    blocks::{Output, Written},
    format::Write,
    state::{Made, OffsetSet, Pins, Spill, count_pins},
};
use std::{
    collections::{BTreeMap, VecDeque},
    io,
};

/// A file that is replaced: its entries one by one.
struct Source<'a> {
    file: &'a RunFile,
    block: usize,
    read: VecDeque<Entry>,
}

impl Source<'_> {
    /// The next entry that counts.
    fn peek(&mut self, counts: &dyn Fn(u64, &Entry) -> bool) -> io::Result<Option<&Entry>> {
        while self.read.is_empty() && self.block < self.file.blocks() {
            self.read = self.file.sound_block(self.block)?.into();
            self.read.retain(|entry| counts(self.file.number(), entry));
            self.block += 1;
        }
        Ok(self.read.front())
    }
}

/// Writes a file of what is in memory and of what `counts` (by the number of its file) of those that are merged. Neither the
/// file nor its name is synced. None, and no file, if nothing counts.
pub fn write(
    disk: &dyn Disk,
    number: u64,
    options: &Options,
    spill: &Spill,
    counts: &dyn Fn(u64, &Entry) -> bool,
) -> io::Result<Option<Made>> {
    let file = disk.open(&file_name(number), OpenMode::Create)?;
    file.truncate(0)?;
    let mut builder = Builder::new(Output::new(KIND, number, options, file));
    let mut fresh = spill.entries.iter().peekable();
    let source = |file| Source { file, block: 0, read: VecDeque::new() };
    let mut sources: Vec<Source<'_>> = spill.merged.iter().map(|file| source(&**file)).collect();
    loop {
        let mut first: Option<(usize, (u32, u64))> = None;
        for (at, source) in sources.iter_mut().enumerate() {
            if let Some(place) = source.peek(counts)?.map(Entry::place)
                && first.is_none_or(|(_, least)| place < least)
            {
                first = Some((at, place));
            }
        }
        match (fresh.peek(), first) {
            (Some(entry), first) if first.is_none_or(|(_, place)| entry.place() < place) => {
                builder.push(entry)?;
                fresh.next();
            }
            (_, Some((at, _))) => {
                let entry = sources.get_mut(at).and_then(|source| source.read.pop_front());
                entry.map_or(Ok(()), |entry| builder.push(&entry))?;
            }
            (_, None) => break,
        }
    }
    if builder.offsets.is_empty() {
        disk.remove(&file_name(number))?;
        return Ok(None);
    }
    builder.end().map(Some)
}

struct Builder<'a> {
    output: Output<'a>,
    /// The entries of the block at hand, and the first of them.
    block: Vec<u8>,
    first: (u32, u64),
    blocks: Vec<Block>,
    offsets: BTreeMap<u32, OffsetSet>,
    pins: Pins,
}

impl<'a> Builder<'a> {
    fn new(output: Output<'a>) -> Self {
        let (offsets, pins) = (BTreeMap::new(), Pins::new());
        Self { output, block: Vec::new(), first: (0, 0), blocks: Vec::new(), offsets, pins }
    }

    fn push(&mut self, entry: &Entry) -> io::Result<()> {
        if self.block.is_empty() {
            self.first = entry.place();
        }
        put_entry(&mut self.block, entry);
        self.offsets.entry(entry.subscription).or_default().insert(entry.offset);
        count_pins(&mut self.pins, &entry.message);
        if self.block.len() >= BLOCK_BYTES { self.end_block() } else { Ok(()) }
    }

    fn end_block(&mut self) -> io::Result<()> {
        let (at, bytes) = self.output.put(std::mem::take(&mut self.block))?;
        self.blocks.push(Block { first: self.first, at, bytes });
        Ok(())
    }

    fn end(mut self) -> io::Result<Made> {
        if !self.block.is_empty() {
            self.end_block()?;
        }
        let mut index = Vec::new();
        index.put_varint(self.blocks.len() as u64);
        for Block { first: (subscription, offset), bytes, .. } in &self.blocks {
            index.put_varint(u64::from(*subscription));
            index.put_varint(*offset);
            index.put_varint(*bytes as u64);
        }
        let Self { output, blocks, offsets, pins, .. } = self;
        let Written { file, sealed, bytes } = output.end(index, &[])?;
        Ok(Made { file: RunFile { file, sealed, blocks, bytes }, offsets, pins })
    }
}
