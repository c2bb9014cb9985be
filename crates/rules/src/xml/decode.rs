//! From a document to a value: one pass over the events, with a stack of open elements.

use super::{
    ATTRIBUTES_MAX, XmlDecode, XmlError, encoding, name,
    shape::{Path, Shape, Sibling},
};
use crossdock_expression::{Object, Value};
use crossdock_model::VALUE_DEPTH_MAX;
use quick_xml::{
    Reader, XmlVersion,
    escape::resolve_predefined_entity,
    events::{BytesRef, BytesStart, Event},
};
use std::collections::BTreeSet;

/// The value of a document, and the order of its elements. `charset` is what the content type says of the encoding.
///
/// # Errors
/// It is not well-formed, has a DOCTYPE, or is beyond a limit.
pub fn decode(payload: &[u8], options: &XmlDecode, charset: Option<&str>) -> Result<(Value, Shape), XmlError> {
    let text = encoding::decode(payload, charset)?;
    if let Some((at, sign)) = text.char_indices().find(|(_, sign)| !name::is_char(*sign)) {
        return Err(XmlError(format!("the sign U+{:04X} at {} is not allowed", u32::from(sign), place(&text, at))));
    }
    let mut reader = Reader::from_str(&text);
    let config = reader.config_mut();
    config.check_comments = true;
    config.expand_empty_elements = true;
    let mut document = Document::new(options);
    loop {
        let event = reader.read_event().map_err(|error| {
            let at = usize::try_from(reader.error_position()).unwrap_or(usize::MAX);
            XmlError(format!("{error} at {}", place(&text, at)))
        })?;
        let more = document.take(event).map_err(|error| {
            let at = usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX);
            XmlError(format!("{error} at {}", place(&text, at)))
        })?;
        if !more {
            break;
        }
    }
    document.finish()
}

fn place(text: &str, offset: usize) -> String {
    let before = text.get(..offset.min(text.len())).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |line| line.chars().count()) + 1;
    format!("line {line}, column {column}")
}

/// What was read so far.
struct Document<'a> {
    force_array: BTreeSet<&'a str>,
    infer_types: bool,
    begun: bool,
    open: Vec<Open>,
    root: Option<(String, Value)>,
    shape: Shape,
}

/// An element whose end was not seen yet.
struct Open {
    name: String,
    /// Attributes and children.
    members: Object,
    has_children: bool,
    text: String,
    path: Path,
    /// The child that came last.
    last: Sibling,
}

impl<'a> Document<'a> {
    fn new(options: &'a XmlDecode) -> Self {
        Self {
            force_array: options.force_array.iter().map(|name| &**name).collect(),
            infer_types: options.infer_types,
            begun: false,
            open: Vec::new(),
            root: None,
            shape: Shape::default(),
        }
    }

    /// Takes an event; false at the end of the document.
    fn take(&mut self, event: Event<'_>) -> Result<bool, String> {
        let first = !std::mem::replace(&mut self.begun, true);
        match event {
            Event::Start(start) | Event::Empty(start) => self.start(&start)?,
            Event::End(_) => self.end(),
            Event::Text(text) => {
                if text.contains("]]>") {
                    return Err("`]]>` is not allowed in text".into());
                }
                self.text(&text.xml10_content())?;
            }
            Event::CData(text) => {
                if self.open.is_empty() {
                    return Err("text is not allowed outside of the root element".into());
                }
                self.text(&text.xml10_content())?;
            }
            Event::GeneralRef(reference) => {
                let sign = resolve(&reference)?;
                if self.open.is_empty() {
                    return Err("text is not allowed outside of the root element".into());
                }
                self.text(&sign)?;
            }
            Event::DocType(_) => return Err("a DOCTYPE is not allowed".into()),
            Event::Decl(_) if !first => return Err("an XML declaration is allowed at the very start only".into()),
            Event::Decl(_) | Event::Comment(_) | Event::PI(_) => {}
            Event::Eof => return Ok(false),
        }
        Ok(true)
    }

    fn start(&mut self, start: &BytesStart<'_>) -> Result<(), String> {
        if self.open.is_empty() && self.root.is_some() {
            return Err("there is more than one root element".into());
        }
        if self.open.len() == VALUE_DEPTH_MAX {
            return Err(format!("nested deeper than {VALUE_DEPTH_MAX} levels"));
        }
        let name = start.name().as_ref().to_owned();
        if !name::is_name(&name) {
            return Err("the name of an element is none that XML allows".into());
        }
        let members = attributes(start, self.infer_types)?;
        let path = self.note(&name);
        self.open.push(Open {
            name,
            members,
            has_children: false,
            text: String::new(),
            path,
            last: Sibling::default(),
        });
        Ok(())
    }

    /// Notes the place of a child in its parent.
    fn note(&mut self, name: &str) -> Path {
        let Some(parent) = self.open.last_mut() else {
            return self.shape.enter(Path::ROOT, name, Sibling::default()).0;
        };
        if parent.members.get(name).is_some() {
            return self.shape.child(parent.path, name);
        }
        let (path, sibling) = self.shape.enter(parent.path, name, parent.last);
        parent.last = sibling;
        path
    }

    fn end(&mut self) {
        // The reader has checked that the names match, so there is an open element.
        let Some(element) = self.open.pop() else { return };
        let (name, value) = element.finish(self.infer_types);
        match self.open.last_mut() {
            Some(parent) => {
                parent.has_children = true;
                if self.force_array.contains(name.as_str()) && parent.members.get(&name).is_none() {
                    parent.members.insert(name.as_str(), Value::array(vec![value]));
                } else {
                    parent.members.insert_or_push(&name, value);
                }
            }
            None => self.root = Some((name, value)),
        }
    }

    fn text(&mut self, text: &str) -> Result<(), String> {
        match self.open.last_mut() {
            Some(element) => element.text.push_str(text),
            None if text.trim_matches(is_space).is_empty() => {}
            None => return Err("text is not allowed outside of the root element".into()),
        }
        Ok(())
    }

    fn finish(mut self) -> Result<(Value, Shape), XmlError> {
        if let Some(element) = self.open.last() {
            return Err(XmlError(format!("the document ends within `<{}>`", element.name)));
        }
        let (name, value) = self.root.ok_or_else(|| XmlError("there is no root element".into()))?;
        self.shape.settle();
        let mut object = Object::new();
        object.insert(name, value);
        Ok((Value::object(object), self.shape))
    }
}

impl Open {
    /// Its name and value.
    fn finish(mut self, infer_types: bool) -> (String, Value) {
        let text = if self.has_children { self.text.trim_matches(is_space) } else { &self.text };
        if self.members.is_empty() {
            return (self.name, leaf(text, infer_types));
        }
        if !text.is_empty() {
            let text = leaf(text, infer_types);
            self.members.insert("#text", text);
        }
        (self.name, Value::object(self.members))
    }
}

/// What XML takes for space (production 3).
const fn is_space(sign: char) -> bool {
    matches!(sign, ' ' | '\t' | '\n' | '\r')
}

fn attributes(start: &BytesStart<'_>, infer_types: bool) -> Result<Object, String> {
    let mut members = Object::new();
    let mut attributes = start.attributes();
    // The check of the library compares each pair; the object finds what comes twice anyway.
    for attribute in attributes.with_checks(false) {
        let attribute = attribute.map_err(|error| error.to_string())?;
        let name = attribute.key.as_ref();
        if !name::is_name(name) {
            return Err("the name of an attribute is none that XML allows".into());
        }
        if attribute.value.contains('<') {
            return Err("`<` is not allowed in the value of an attribute".into());
        }
        let value = attribute.normalized_value(XmlVersion::Implicit1_0).map_err(|error| error.to_string())?;
        if !value.chars().all(name::is_char) {
            return Err("a character reference names a sign that is not allowed".into());
        }
        // What a namespace is called is a name, whatever it looks like.
        let infer_types = infer_types && name != "xmlns" && !name.starts_with("xmlns:");
        let name = format!("@{name}");
        if members.get(&name).is_some() {
            return Err("an attribute comes twice".into());
        }
        if members.len() == ATTRIBUTES_MAX {
            return Err(format!("an element has more than {ATTRIBUTES_MAX} attributes"));
        }
        members.insert(name, leaf(&value, infer_types));
    }
    Ok(members)
}

/// The sign that a reference stands for.
fn resolve(reference: &BytesRef<'_>) -> Result<String, String> {
    match reference.resolve_char_ref() {
        Ok(Some(sign)) if name::is_char(sign) => Ok(sign.to_string()),
        Ok(Some(_)) => Err("a character reference names a sign that is not allowed".into()),
        Ok(None) => match resolve_predefined_entity(reference) {
            Some(text) => Ok(text.to_owned()),
            None => Err("an entity is used that XML does not define".into()),
        },
        Err(error) => Err(error.to_string()),
    }
}

/// The value of a text without markup.
fn leaf(text: &str, infer_types: bool) -> Value {
    let inferred = if infer_types { infer(text.trim_matches(is_space)) } else { None };
    inferred.unwrap_or_else(|| Value::text(text.to_owned()))
}

fn infer(text: &str) -> Option<Value> {
    match text {
        "true" => return Some(Value::boolean(true)),
        "false" => return Some(Value::boolean(false)),
        _ => {}
    }
    if !text.bytes().all(|sign| matches!(sign, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E')) {
        return None;
    }
    // A binary fraction holds any 15 decimal digits (IEEE 754), so what has more is not touched.
    let digits = text.bytes().take_while(|sign| !matches!(sign, b'e' | b'E')).filter(u8::is_ascii_digit).count();
    let number = serde_json::from_str::<serde_json::Number>(text).ok()?;
    match number.as_i64() {
        Some(whole) => Some(Value::integer(whole)),
        None if digits <= 15 => number.as_f64().map(Value::float),
        None => None,
    }
}
