//! What is percent-encoded where a text becomes part of a URI (RFC 3986).
//!
//! One list for whoever writes addresses and for whoever takes secrets out of what is told of them: a secret that were encoded
//! otherwise than it is looked for would be shown.

use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC};

/// What one segment of a path cannot hold as it is: all but the unreserved characters (§2.3). For values.
pub const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What no URI holds (§2): the rest stays as somebody typed it.
pub const TYPED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');
