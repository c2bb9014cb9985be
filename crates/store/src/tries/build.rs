//! Writing a file of tries: what memory is to let go of, merged with files that it replaces, in one pass and little memory.

use super::{
    BLOCK_BYTES, Block, Entry, FLAG_ENCRYPTED, HEADER_BYTES, INDEX, MAGIC, RunFile, VERSION, associated,
    entry::put_entry, file_name,
};
use crate::{
    Disk, DiskFile, OpenMode, Options,
    cipher::FileKind,
    format::Write,
    state::{Made, OffsetSet, Pins, Spill, count_pins},
};
use std::{collections::BTreeMap, collections::VecDeque, io, sync::Arc};

/// Written at once.
const BUFFER_BYTES: usize = 256 << 10;

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
            self.read.retain(|entry| counts(self.file.number, entry));
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
    let mut builder = Builder::new(number, options, file);
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
    options: &'a Options,
    number: u64,
    file: Arc<dyn DiskFile>,
    /// Up to here it is written.
    at: u64,
    buffer: Vec<u8>,
    /// The entries of the block at hand, and the first of them.
    block: Vec<u8>,
    first: (u32, u64),
    blocks: Vec<Block>,
    offsets: BTreeMap<u32, OffsetSet>,
    pins: Pins,
}

impl<'a> Builder<'a> {
    fn new(number: u64, options: &'a Options, file: Arc<dyn DiskFile>) -> Self {
        Self {
            options,
            number,
            file,
            at: HEADER_BYTES as u64,
            buffer: Vec::new(),
            block: Vec::new(),
            first: (0, 0),
            blocks: Vec::new(),
            offsets: BTreeMap::new(),
            pins: Pins::new(),
        }
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
        let content = std::mem::take(&mut self.block);
        let sealed = self.sealed(self.blocks.len() as u64, content)?;
        let at = self.at + self.buffer.len() as u64;
        self.buffer.put_u32(crc32c::crc32c(&sealed));
        self.buffer.put_raw(&sealed);
        self.blocks.push(Block { first: self.first, at, bytes: sealed.len() + 4 });
        if self.buffer.len() >= BUFFER_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.write_at(&self.buffer, self.at)?;
        self.at += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    fn sealed(&self, block: u64, content: Vec<u8>) -> io::Result<Vec<u8>> {
        let Options { keys, random, .. } = self.options;
        let sealed = keys.encrypt_file(FileKind::Tries, &associated(self.number, block), &**random, content);
        sealed.map_err(|_| io::Error::other("encrypting failed"))
    }

    fn end(mut self) -> io::Result<Made> {
        if !self.block.is_empty() {
            self.end_block()?;
        }
        self.flush()?;
        let mut index = Vec::new();
        index.put_varint(self.blocks.len() as u64);
        for Block { first: (subscription, offset), bytes, .. } in &self.blocks {
            index.put_varint(u64::from(*subscription));
            index.put_varint(*offset);
            index.put_varint(*bytes as u64);
        }
        let index = self.sealed(INDEX, index)?;
        self.file.write_at(&index, self.at)?;
        let encrypted = self.options.keys.current().is_some();
        let mut header = Vec::with_capacity(HEADER_BYTES);
        header.put_raw(&MAGIC);
        header.put_u16(VERSION);
        header.put_u16(0);
        header.put_u64(self.at);
        header.put_u64(index.len() as u64);
        header.put_u32(crc32c::crc32c(&index));
        header.put_u32(if encrypted { FLAG_ENCRYPTED } else { 0 });
        header.resize(HEADER_BYTES - 4, 0);
        header.put_u32(crc32c::crc32c(&header));
        self.file.write_at(&header, 0)?;
        let Self { options, number, file, at, blocks, offsets, pins, .. } = self;
        let bytes = at + index.len() as u64;
        let file = RunFile { number, file, keys: options.keys.clone(), encrypted, blocks, bytes };
        Ok(Made { file, offsets, pins })
    }
}
