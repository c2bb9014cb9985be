//! Limits that hold for every message, whatever protocol it came over.

/// Names that begin so are the gateway's own; they are never taken from outside (mapping.md).
pub const RESERVED_PREFIX: &str = "crossdock-";

/// Most headers of a message.
pub const HEADERS_MAX: usize = 1024;

/// Longest name of a header.
pub const HEADER_NAME_BYTES_MAX: usize = 1024;

/// Most bytes of a message beside its payload.
pub const ENVELOPE_BYTES_MAX: usize = 256 * 1024;

/// Deepest nesting of a payload that is decoded, and of a header's tables.
pub const VALUE_DEPTH_MAX: usize = 128;

/// Longest text of a fault that is kept.
pub const FAULT_TEXT_BYTES_MAX: usize = 2048;

/// Whether the name is under the reserved prefix, in any case.
#[must_use]
pub fn is_reserved(name: &str) -> bool {
    name.get(..RESERVED_PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(RESERVED_PREFIX))
}
