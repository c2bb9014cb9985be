//! From a value to a document.

use super::{
    XmlEncode, XmlError,
    name::{is_char, is_name},
    shape::{Path, Shape},
};
use crossdock_expression::{ObjectRef, ValueRef, View};
use crossdock_model::VALUE_DEPTH_MAX;
use std::borrow::Cow;

/// Deepest nesting that is written: what a payload may have, and as much again that steps put around it.
const DEPTH_MAX: usize = 2 * VALUE_DEPTH_MAX;

/// The document of a value. `shape` gives the order of elements where it knows it; others follow sorted by name.
///
/// # Errors
/// The value has no form in XML: no single root, a name that XML does not allow, an array within an array, a sign or
/// number that XML cannot hold, too deep.
pub fn encode(value: ValueRef<'_>, options: &XmlEncode, shape: Option<&Shape>) -> Result<Vec<u8>, XmlError> {
    let mut writer = Writer { out: String::with_capacity(256), shape };
    writer.out.push_str(r#"<?xml version="1.0" encoding="UTF-8"?>"#);
    writer.out.push('\n');
    let (name, content) = root(value, options)?;
    let path = shape.map_or(Path::UNKNOWN, |shape| shape.child(Path::ROOT, name));
    // The only item of an array is as good as itself; two roots have no form.
    let content = match content.as_array().map(|items| (items.len(), items.iter().next())) {
        None => content,
        Some((1, Some(item))) => item,
        Some(_) => {
            let text = "the root is an array, but a document has one root: put the array under a key";
            return Err(XmlError(text.into()));
        }
    };
    writer.element(name, content, path, 1)?;
    Ok(writer.out.into_bytes())
}

/// The name of the root and what is in it.
fn root<'a>(value: ValueRef<'a>, options: &'a XmlEncode) -> Result<(&'a str, ValueRef<'a>), XmlError> {
    let members = value.as_object();
    let only = members.filter(|members| members.len() == 1).and_then(|members| members.iter().next());
    match (only, &options.root) {
        (Some((name, content)), None) => Ok((name, content)),
        (Some((name, content)), Some(root)) if name == &**root => Ok((name, content)),
        (_, Some(root)) => Ok((root, value)),
        (None, None) => Err(XmlError(format!(
            "the value is {}, but a document has one root: name it, `encode: {{ xml: {{ root: NAME }} }}`",
            if members.is_some() { "an object whose keys are not just one" } else { value.describe() },
        ))),
    }
}

struct Writer<'a> {
    out: String,
    shape: Option<&'a Shape>,
}

impl Writer<'_> {
    /// Writes an element; an array has been taken apart before.
    fn element(&mut self, name: &str, value: ValueRef<'_>, path: Path, depth: usize) -> Result<(), XmlError> {
        if !is_name(name) {
            return Err(XmlError(format!("`{name:.100}` is no name that an XML element can have")));
        }
        if depth > DEPTH_MAX {
            return Err(XmlError(format!("nested deeper than {DEPTH_MAX} levels")));
        }
        self.out.push('<');
        self.out.push_str(name);
        let members = value.as_object();
        if let Some(members) = members {
            self.attributes(members)?;
        }
        self.out.push('>');
        let content_start = self.out.len();
        match members {
            Some(members) => self.content(members, path, depth)?,
            None => self.text(value, name)?,
        }
        if self.out.len() == content_start {
            self.out.pop();
            self.out.push_str("/>");
        } else {
            self.out.push_str("</");
            self.out.push_str(name);
            self.out.push('>');
        }
        Ok(())
    }

    fn text(&mut self, value: ValueRef<'_>, name: &str) -> Result<(), XmlError> {
        match scalar(value, name)? {
            Some(text) => escape(&mut self.out, &text, false),
            None => Ok(()),
        }
    }

    fn attributes(&mut self, members: ObjectRef<'_>) -> Result<(), XmlError> {
        for (key, value) in members.iter() {
            let Some(name) = key.strip_prefix('@') else { continue };
            if !is_name(name) {
                return Err(XmlError(format!("`{name:.100}` is no name that an XML attribute can have")));
            }
            if let Some(text) = scalar(value, key)? {
                self.out.push(' ');
                self.out.push_str(name);
                self.out.push_str("=\"");
                escape(&mut self.out, &text, true)?;
                self.out.push('"');
            }
        }
        Ok(())
    }

    /// Writes the text and the children: those whose order is known in that order, then the others.
    fn content(&mut self, members: ObjectRef<'_>, path: Path, depth: usize) -> Result<(), XmlError> {
        if let Some(text) = members.get("#text") {
            self.text(text, "#text")?;
        }
        if let Some(shape) = self.shape {
            for name in shape.names(path) {
                if let Some(value) = members.get(name) {
                    self.children(name, value, shape.child(path, name), depth)?;
                }
            }
        }
        for (name, value) in members.iter() {
            let path = self.shape.map_or(Path::UNKNOWN, |shape| shape.child(path, name));
            if path == Path::UNKNOWN && name != "#text" && !name.starts_with('@') {
                self.children(name, value, Path::UNKNOWN, depth)?;
            }
        }
        Ok(())
    }

    /// Writes the elements of one name.
    fn children(&mut self, name: &str, value: ValueRef<'_>, path: Path, depth: usize) -> Result<(), XmlError> {
        let Some(items) = value.as_array() else { return self.element(name, value, path, depth + 1) };
        for item in items.iter() {
            if item.as_array().is_some() {
                return Err(XmlError(format!("`{name}` holds an array within an array, which has no form in XML")));
            }
            self.element(name, item, path, depth + 1)?;
        }
        Ok(())
    }
}

/// The text of what is no object or array; none for null.
fn scalar<'a>(value: ValueRef<'a>, name: &str) -> Result<Option<Cow<'a, str>>, XmlError> {
    match value.view() {
        View::Null => Ok(None),
        View::Text(text) => Ok(Some(text)),
        View::Boolean(_) | View::Integer(_) | View::Float(_) => {
            let json = value.to_json().map_err(|error| XmlError(error.to_string()))?;
            Ok(Some(Cow::Owned(String::from_utf8_lossy(&json).into_owned())))
        }
        View::Bytes(_) => Err(XmlError(format!(
            "`{name}` holds bytes that are no UTF-8: encode them, for example with `encode_base64`"
        ))),
        View::Array(_) | View::Object(_) => {
            Err(XmlError(format!("`{name}` is {}, where XML has room for a text only", value.describe())))
        }
    }
}

/// Writes a text so that a reader gets the same one: space that readers normalize becomes references.
fn escape(out: &mut String, text: &str, attribute: bool) -> Result<(), XmlError> {
    for sign in text.chars() {
        match sign {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\r' => out.push_str("&#13;"),
            '"' if attribute => out.push_str("&quot;"),
            '\t' if attribute => out.push_str("&#9;"),
            '\n' if attribute => out.push_str("&#10;"),
            _ if is_char(sign) => out.push(sign),
            _ => return Err(XmlError(format!("the sign U+{:04X} has no form in XML", u32::from(sign)))),
        }
    }
    Ok(())
}
