//! The `source` of a message that is no event: where it came from, as a URI reference (RFC 3986).

use crossdock_model::{Origin, Text, uri};
use percent_encoding::{AsciiSet, utf8_percent_encode};

/// What need not be escaped in a path: unreserved characters, and what divides addresses.
const ESCAPED: &AsciiSet = &uri::SEGMENT
    .remove(b'/')
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b';')
    .remove(b'=')
    .remove(b':')
    .remove(b'@');

/// `mqtt:plant/3/temp`, `http:/orders`, `kafka:orders`.
pub(super) fn of(origin: &Origin) -> Text {
    let protocol = if origin.protocol.is_empty() { "crossdock" } else { &*origin.protocol };
    Text::from(format!("{protocol}:{}", utf8_percent_encode(&origin.address, ESCAPED)))
}
