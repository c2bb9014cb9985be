//! The bytes of AMQP 0-9-1 (specification 0-9-1, §4.2, with RabbitMQ's errata for field tables): frames, methods,
//! properties, tables. Pure: no socket, no clock.
//!
//! Invariants
//! - Whatever the bytes, nothing panics, recurses beyond a limit, or takes more memory than the bytes themselves do.
//! - A text that is no UTF-8 is no error here: short strings are bytes, and what they mean is the caller's to say. Nobody
//!   who may publish to a queue can break the connection of its reader by what is in a message.
//! - What is in a table keeps its order and its duplicates.

mod frame;
mod method;
mod properties;
mod read;
mod table;
mod write;

pub use frame::{Frame, FrameKind, frame, take_frame};
pub use method::{Method, Told, send};
pub use properties::{BasicProperties, write_header};
pub use read::{Cursor, Malformed};
pub use table::{fits, time, write_table};
pub use write::{Put, SHORT_BYTES_MAX};

/// What a client says first.
pub const PROTOCOL_HEADER: &[u8; 8] = b"AMQP\x00\x00\x09\x01";
/// What a frame has beside its payload: type, channel, size, and the octet at its end.
pub const FRAME_EXTRA_BYTES: usize = 8;
