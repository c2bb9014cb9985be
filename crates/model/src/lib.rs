//! What a message is: the envelope, its headers and typed values, its identity, and what can go wrong with it.
//!
//! Everything here is pure data. The crate knows no clock, task, socket, file or environment, and none of its types
//! derive a wire or disk format: shapes on the wire, on disk and in JSON are types of their own boundary.

mod dense;
mod digest;
mod envelope;
mod fault;
mod headers;
mod id;
mod limits;
mod time;
pub mod uri;
mod value;

pub use bytestring::ByteString as Text;
pub use dense::{DenseHasher, DenseMap};
pub use digest::{Digest, DigestBuilder, Places};
pub use envelope::{Envelope, Origin, Properties};
pub use fault::{Answer, Fault, FaultClass, FaultParts, Refusal, RefusalKind, Violation};
pub use headers::{Header, Headers};
pub use id::{InvalidMessageId, MessageId};
pub use limits::{
    ENVELOPE_BYTES_MAX, FAULT_TEXT_BYTES_MAX, HEADER_NAME_BYTES_MAX, HEADERS_MAX, RESERVED_PREFIX, VALUE_DEPTH_MAX,
    is_reserved,
};
pub use time::{Moment, Timestamp};
pub use value::Value;
