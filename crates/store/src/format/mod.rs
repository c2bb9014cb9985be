//! The bytes on disk (docs/specs/log.md).

mod bytes;
mod frame;
mod index;
mod record;
mod seal;
mod segment;

pub use bytes::{Reader, Write};
pub use frame::{
    ENTRY_BYTES, Entry, FLAG_COPY, FrameHeader, HEADER_BYTES, RECORD_BYTES, RecordHead, RecordKind, frame_bytes,
};
pub use index::{INDEX_HEADER_BYTES, IndexHeader, IndexedRun, encode_index};
pub use record::*;
pub use seal::Seal;
pub use segment::{BLOCK_BYTES, SegmentHeader, SegmentKind, SegmentRead, VERSION, index_name, number_of, segment_name};
