//! How a payload becomes a value, and a value a payload: the formats, and which one a content type asks for.

use crate::{
    XmlDecode, XmlEncode, text,
    xml::{self, Shape},
};
use crossdock_expression::{Outline, Value};
use crossdock_model::{Envelope, Fault, RefusalKind};

/// How payloads are decoded where it is said, not taken from the content type.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Decode {
    /// JSON (RFC 8259).
    Json,
    /// XML by the convention of the `xml` module.
    Xml(XmlDecode),
    /// UTF-8 text: the value is one string.
    Text,
    /// A CloudEvent in either mode: the value is its data, by the type that it has.
    CloudEvent,
}

/// The format that a value was decoded from, and in which it leaves again if it was changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// JSON.
    Json,
    /// XML.
    Xml,
    /// Text.
    Text,
}

/// A decoded payload, and where it came from.
#[derive(Clone, Debug)]
pub(crate) struct Decoded {
    pub value: Value,
    pub format: Format,
    /// The order of elements of a document.
    pub shape: Option<Box<Shape>>,
}

/// Why a payload cannot be decoded.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Undecodable {
    /// [`RefusalKind::Undecodable`] or [`RefusalKind::UnsupportedType`].
    pub kind: RefusalKind,
    /// Class `rejected`, code `decode`.
    pub fault: Fault,
}

impl Format {
    /// The name in routes.yaml.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Xml => "xml",
            Self::Text => "text",
        }
    }

    /// The content type of what `encode` makes.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Xml => "application/xml",
            Self::Text => "text/plain; charset=utf-8",
        }
    }

    /// The format of a media type: parameters and case do not count; none for a type nobody knows.
    #[must_use]
    pub fn of_content_type(content_type: &str) -> Option<Self> {
        let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match essence.as_str() {
            "application/json" => Some(Self::Json),
            "application/xml" | "text/xml" => Some(Self::Xml),
            other if other.ends_with("+json") => Some(Self::Json),
            other if other.ends_with("+xml") => Some(Self::Xml),
            _ => None,
        }
    }
}

impl Decode {
    /// The format it reads.
    #[must_use]
    pub const fn format(&self) -> Format {
        match self {
            // A structured event is JSON; of what is in it the event itself says more.
            Self::Json | Self::CloudEvent => Format::Json,
            Self::Xml(_) => Format::Xml,
            Self::Text => Format::Text,
        }
    }
}

/// Decodes a message's payload: as said, else by its content type, else as JSON. A message without a payload (a Kafka
/// tombstone) has the value null.
pub(crate) fn decode(envelope: &Envelope, said: Option<&Decode>) -> Result<Decoded, Box<Undecodable>> {
    let content_type = envelope.properties.content_type.as_deref();
    let by_type;
    let decode = match said {
        Some(decode) => decode,
        None => {
            by_type = by_content_type(content_type)?;
            &by_type
        }
    };
    let format = decode.format();
    let Some(payload) = &envelope.payload else { return Ok(Decoded { value: Value::NULL, format, shape: None }) };
    if let Some(coding) = envelope.properties.content_encoding.as_deref().filter(|coding| is_coded(coding)) {
        return Err(unsupported(&format!(
            "the payload is coded as {coding}, which the gateway passes on but does not undo"
        )));
    }
    let mut shape = None;
    let value = match decode {
        Decode::Json | Decode::CloudEvent => Value::from_json(payload).map_err(|error| undecodable(format, &error))?,
        Decode::Xml(options) => {
            let charset = content_type.and_then(charset);
            let decoded = xml::decode(payload, options, charset);
            let (value, order) = decoded.map_err(|error| undecodable(format, &error))?;
            shape = Some(Box::new(order));
            value
        }
        Decode::Text => text::decode(payload).map_err(|error| undecodable(format, &error))?,
    };
    Ok(Decoded { value, format, shape })
}

/// Whether a payload is of a type that can be decoded, and not coded.
pub(crate) fn tells_format(envelope: &Envelope) -> bool {
    let is_plain = !envelope.properties.content_encoding.as_deref().is_some_and(is_coded);
    is_plain && envelope.properties.content_type.as_deref().and_then(Format::of_content_type).is_some()
}

/// The outline of a payload that [`decode`] would read as JSON.
pub(crate) fn outline<'a>(envelope: &'a Envelope, said: Option<&Decode>) -> Option<Outline<'a>> {
    let json = match (said, envelope.properties.content_type.as_deref()) {
        (Some(decode), _) => decode.format() == Format::Json,
        // What almost every sender says needs no folding of case.
        (None, Some("application/json")) => true,
        (None, content_type) => by_content_type(content_type).is_ok_and(|decode| decode.format() == Format::Json),
    };
    let coded = envelope.properties.content_encoding.as_deref().is_some_and(is_coded);
    Outline::of(envelope.payload.as_ref().filter(|_| json && !coded)?)
}

/// The parameter `charset` of a content type.
fn charset(content_type: &str) -> Option<&str> {
    let parameters = content_type.split(';').skip(1);
    let mut named = parameters.filter_map(|parameter| parameter.split_once('='));
    let (_, value) = named.find(|(name, _)| name.trim().eq_ignore_ascii_case("charset"))?;
    Some(value.trim().trim_matches('"')).filter(|value| !value.is_empty())
}

fn is_coded(coding: &str) -> bool {
    !matches!(coding.trim().to_ascii_lowercase().as_str(), "" | "identity")
}

fn by_content_type(content_type: Option<&str>) -> Result<Decode, Box<Undecodable>> {
    let Some(content_type) = content_type.filter(|text| !text.trim().is_empty()) else { return Ok(Decode::Json) };
    match Format::of_content_type(content_type) {
        Some(Format::Json) => Ok(Decode::Json),
        Some(Format::Xml) => Ok(Decode::Xml(XmlDecode::default())),
        Some(Format::Text) | None => Err(unsupported(
            "the content type is none that can be decoded: JSON and XML are, others with a step `decode`",
        )),
    }
}

/// Why a message is no CloudEvent.
pub(crate) fn no_event(why: &str) -> Box<Undecodable> {
    let fault = Fault::rejected("decode", format!("not a CloudEvent: {why}"));
    Box::new(Undecodable { kind: RefusalKind::Undecodable, fault })
}

fn undecodable(format: Format, error: &dyn std::fmt::Display) -> Box<Undecodable> {
    let fault = Fault::rejected("decode", format!("not valid {}: {error}", format.name()));
    Box::new(Undecodable { kind: RefusalKind::Undecodable, fault })
}

fn unsupported(text: &str) -> Box<Undecodable> {
    Box::new(Undecodable { kind: RefusalKind::UnsupportedType, fault: Fault::rejected("decode", text) })
}

/// Encodes a value.
///
/// # Errors
/// Class `rejected`, code `encode`: the format cannot hold it.
pub(crate) fn encode(decoded: &Decoded, format: Format, options: &XmlEncode) -> Result<Vec<u8>, Fault> {
    let value = decoded.value.as_ref();
    let encoded = match format {
        Format::Json => value.to_json().map_err(|error| error.to_string()),
        Format::Xml => xml::encode(value, options, decoded.shape.as_deref()).map_err(|error| error.to_string()),
        Format::Text => text::encode(value),
    };
    encoded.map_err(|error| Fault::rejected("encode", format!("cannot be written as {}: {error}", format.name())))
}
