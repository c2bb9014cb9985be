//! XML and values, by one convention in both directions.
//!
//! ```text
//! <o:Order xmlns:o="urn:o" id="7">          {"o:Order": {"@xmlns:o": "urn:o", "@id": "7",
//!   <Line n="1">a &amp; b</Line>               "Line": [{"@n": "1", "#text": "a & b"},
//!   <Line n="2"/>                                       {"@n": "2"}],
//!   <Note><![CDATA[<x>]]></Note>               "Note": "<x>",
//!   <Empty/>                                    "Empty": ""}}
//! </o:Order>
//! ```
//!
//! - The root element is the value's only key. An element is a key of its parent; repeated ones are an array, and so
//!   is one that comes once if `force_array` names it as it is written.
//! - Attributes, namespace declarations among them, have the prefix `@`; names keep their namespace prefix.
//! - A leaf without attributes is its text as it stands; an empty one is `""`. Text beside attributes is `#text`; beside
//!   elements it is `#text` without the space around it, and nothing if there is only space.
//! - Every leaf, attributes among them, is a string unless `types: infer`: then `true` and `false` are booleans, and what is
//!   a JSON number of at most 15 significant digits is a number; `007`, `+1` and longer ones stay strings, so that no digit
//!   is lost, and so do `null` and the names of namespaces.
//! - Comments, processing instructions and the place of text between elements are not kept.
//! - Encoding is the inverse: what was decoded gives the same document again, but for what is not kept. A value keeps
//!   no order of keys, so a [`Shape`] taken while decoding remembers the order of elements. A null is an empty element,
//!   an empty array none, an attribute that is null is left out.
//!
//! XML 1.0 (fifth edition) in UTF-8, or in another encoding that the declaration, a byte order mark or the content
//! type's `charset` names; always UTF-8 on the way out. A document with a DOCTYPE is refused, so there are no entities
//! but the five of XML and character references; nothing outside of the document is ever read. Names are checked;
//! that namespace prefixes are declared is not.

mod decode;
mod encode;
mod encoding;
mod name;
mod shape;
#[cfg(test)]
mod tests;

pub(crate) use decode::decode;
pub(crate) use encode::encode;
pub(crate) use name::is_name;
pub(crate) use shape::Shape;

use crossdock_model::Text;

/// How XML is decoded.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct XmlDecode {
    /// Names of elements, as written, that are arrays even where they come once.
    pub force_array: Vec<Text>,
    /// Whether leaves that look like numbers or booleans become such; else every leaf is a string.
    pub infer_types: bool,
}

/// How a value is written as XML.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct XmlEncode {
    /// Name of the root element that is put around the value; without it, or if it is the value's only key already, the
    /// value's only key is the root.
    pub root: Option<Text>,
}

/// Why a payload is no XML that is taken, or a value cannot be written as XML; a lowercase fragment.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct XmlError(pub(crate) String);

/// Most attributes of one element.
const ATTRIBUTES_MAX: usize = 1024;
