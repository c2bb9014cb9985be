//! The JSON Schema (draft 2020-12) of `routes.yaml`, from the tables by which it is parsed.
//!
//! It is for editors: it says where a key may stand, what its value looks like and what it is for. What needs the whole
//! file or the language of expressions is left to `check`. Every scalar may also be a `${…}`.

use crate::{
    read::choice::{Choices, Variant},
    tables,
};
use crossdock_connector::Description;
use crossdock_rules::{ACCEPT_STEPS, STEPS};
use crossdock_settings::{Field, Kind, Presence};
use serde_json::{Map, Value, json};

/// A text that is substituted.
const SUBSTITUTED: &str = r"\$\{(env|file):[^}]+\}";
const DURATION: &str = "^[0-9]+(ms|s|m|h|d)$";
const SIZE: &str = "^[0-9]+(B|KiB|MiB|GiB|TiB)$";
const RATE: &str = "^[0-9]+(\\.[0-9]+)?/(s|m|h)$";

/// The schema of a file whose routes use these protocols.
pub(crate) fn schema(descriptions: &[&'static Description]) -> Value {
    let mut root = object(tables::ROOT);
    let sources = choices(descriptions, "source", |d| d.source, tables::source_channels(), tables::SOURCE_COMMON);
    let targets = choices(descriptions, "target", |d| d.target, tables::target_channels(), tables::TARGET_COMMON);
    let connections = descriptions.iter().filter_map(|d| Some((d.name, d.about, d.connection?)));
    let mut route = object(tables::ROUTE);
    set(&mut route, &["properties", "from"], described(json!({ "$ref": "#/$defs/source" }), "one source"));
    let target = json!({ "$ref": "#/$defs/target" });
    let list = json!({ "anyOf": [target, { "type": "array", "items": target, "minItems": 1 }] });
    set(&mut route, &["properties", "to"], described(list, "one target or a list"));
    set(&mut route, &["properties", "accept", "items"], json!({ "$ref": "#/$defs/accept_step" }));
    set(&mut route, &["properties", "steps", "items"], json!({ "$ref": "#/$defs/step" }));
    let version = json!({ "const": 1, "description": "version of the language" });
    set(&mut root, &["properties", "version"], version);
    set(&mut root, &["properties", "gateway"], with_about(&Kind::Group(tables::GATEWAY), "the gateway itself"));
    for (section, of, about) in [
        ("connections", "connection", "other systems, named once and used by many routes"),
        ("channels", "channel", "durable queues and topics inside the gateway"),
        ("routes", "route", "from where messages come, what happens to them and where they go"),
    ] {
        let map = json!({ "type": ["object", "null"], "additionalProperties": { "$ref": format!("#/$defs/{of}") } });
        set(&mut root, &["properties", section], described(map, about));
    }
    set(&mut root, &["required"], json!(["version"]));
    let definitions = json!({
        "substituted": { "type": "string", "pattern": SUBSTITUTED },
        "duration": scalar(json!({ "type": "string", "pattern": DURATION })),
        "size": scalar(json!({ "type": "string", "pattern": SIZE })),
        "rate": scalar(json!({ "type": "string", "pattern": RATE })),
        "route": route,
        "connection": one_of(connections.map(|(name, about, fields)| (name, described(object(fields), about)))),
        "channel": kind(&Kind::Variant(tables::CHANNEL)),
        "source": choice(&sources),
        "target": choice(&targets),
        "accept_step": kind(&ACCEPT_STEPS),
        "step": kind(&STEPS),
    });
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Crossdock routes.yaml",
    });
    for (key, value) in
        [("$defs", definitions)].into_iter().chain(members(root).iter().map(|(k, v)| (k.as_str(), v.clone())))
    {
        set(&mut schema, &[key], value);
    }
    schema
}

fn choices(
    descriptions: &[&'static Description],
    what: &'static str,
    fields: impl Fn(&Description) -> Option<&'static [Field]>,
    channels: [Variant; 2],
    common: &'static [Field],
) -> Choices {
    let connectors =
        descriptions.iter().filter_map(|d| Some(Variant { name: d.name, fields: fields(d)?, protocol: None }));
    Choices { what, variants: connectors.chain(channels).collect(), common }
}

/// A map with one of the variants' keys; the common keys stand beside it or within.
fn choice(choices: &Choices) -> Value {
    let mut properties = properties(choices.common);
    for variant in &choices.variants {
        let mut own = object(variant.fields);
        for (name, value) in self::properties(choices.common) {
            if !variant.fields.iter().any(|field| field.name == name) {
                set(&mut own, &["properties", &name], value);
            }
        }
        let is_channel = matches!(variant.fields, [Field { kind: Kind::Channel, .. }, ..]);
        let value = if is_channel { json!({ "anyOf": [{ "type": "string" }, own] }) } else { own };
        properties.insert(variant.name.to_owned(), value);
    }
    let required: Vec<_> = choices.variants.iter().map(|variant| json!({ "required": [variant.name] })).collect();
    json!({ "type": "object", "properties": properties, "additionalProperties": false, "oneOf": required })
}

fn one_of(variants: impl Iterator<Item = (&'static str, Value)>) -> Value {
    let properties: Map<String, Value> = variants.map(|(name, value)| (name.to_owned(), value)).collect();
    json!({
        "type": "object", "properties": properties, "additionalProperties": false,
        "minProperties": 1, "maxProperties": 1,
    })
}

/// A map with the keys of a table; left empty it may be null.
fn object(fields: &[Field]) -> Value {
    let required: Vec<_> =
        fields.iter().filter(|field| matches!(field.presence, Presence::Required)).map(|field| field.name).collect();
    if required.is_empty() {
        return json!({
            "type": ["object", "null"], "properties": properties(fields), "additionalProperties": false,
        });
    }
    json!({
        "type": "object", "properties": properties(fields), "additionalProperties": false, "required": required,
    })
}

fn properties(fields: &[Field]) -> Map<String, Value> {
    fields.iter().map(|field| (field.name.to_owned(), property(field))).collect()
}

fn property(field: &Field) -> Value {
    let mut value = with_about(&field.kind, field.about);
    if let Presence::Default(text) = field.presence {
        let bare = matches!(field.kind, Kind::Boolean | Kind::Integer { .. } | Kind::Number { .. });
        let default = if bare { serde_json::from_str(text).unwrap_or_else(|_| json!(text)) } else { json!(text) };
        set(&mut value, &["default"], default);
    }
    value
}

fn with_about(of: &Kind, about: &str) -> Value {
    described(kind(of), about)
}

fn described(mut value: Value, about: &str) -> Value {
    set(&mut value, &["description"], json!(about));
    value
}

fn kind(of: &Kind) -> Value {
    match of {
        Kind::Boolean => scalar(json!({ "type": "boolean" })),
        Kind::Integer { min, max } => {
            let mut value = json!({ "type": "integer", "minimum": min });
            if *max < i64::MAX {
                set(&mut value, &["maximum"], json!(max));
            }
            scalar(value)
        }
        Kind::Number { min, max } => {
            let mut value = json!({ "type": "number", "minimum": min });
            if max.is_finite() {
                set(&mut value, &["maximum"], json!(max));
            }
            scalar(value)
        }
        Kind::Choice(words) => scalar(json!({ "enum": alternatives(words) })),
        Kind::Duration => json!({ "$ref": "#/$defs/duration" }),
        Kind::Size => json!({ "$ref": "#/$defs/size" }),
        Kind::Rate => json!({ "$ref": "#/$defs/rate" }),
        Kind::Text | Kind::Secret | Kind::Template(_) | Kind::Expression(_) => {
            json!({ "type": ["string", "number", "boolean"] })
        }
        Kind::Path => json!({ "type": "string", "minLength": 1 }),
        Kind::Url => scalar(json!({ "type": "string", "pattern": "^[A-Za-z0-9+.-]+://." })),
        Kind::Connection(_) | Kind::Channel => json!({ "type": "string", "minLength": 1 }),
        Kind::List(item) => json!({ "type": "array", "items": kind(item) }),
        Kind::Map(item) => json!({ "type": "object", "additionalProperties": kind(item) }),
        Kind::Group(fields) => object(fields),
        Kind::Variant(fields) => variant(fields),
        Kind::Short(fields) => match fields.first() {
            Some(first) => json!({ "anyOf": [kind(&first.kind), object(fields)] }),
            None => object(fields),
        },
        Kind::OneOf(kinds) => json!({ "anyOf": kinds.iter().map(kind).collect::<Vec<_>>() }),
        Kind::Any => json!({}),
    }
}

/// A map with one of the keys, or the name of one that needs nothing.
fn variant(fields: &[Field]) -> Value {
    let whole = json!({
        "type": "object", "properties": properties(fields), "additionalProperties": false,
        "minProperties": 1, "maxProperties": 1,
    });
    let bare: Vec<_> = fields
        .iter()
        .filter(|field| {
            let needed = |inner: &Field| matches!(inner.presence, Presence::Required);
            matches!(field.kind, Kind::Group(inner) if !inner.iter().any(needed))
        })
        .map(|field| field.name)
        .collect();
    if bare.is_empty() { whole } else { json!({ "anyOf": [whole, { "enum": bare }] }) }
}

/// Words, and the numbers that YAML takes some of them for.
fn alternatives(words: &[&str]) -> Vec<Value> {
    let numbers = words.iter().filter_map(|word| word.parse::<i64>().ok()).map(|number| json!(number));
    words.iter().map(|word| json!(word)).chain(numbers).collect()
}

fn scalar(value: Value) -> Value {
    json!({ "anyOf": [value, { "$ref": "#/$defs/substituted" }] })
}

fn members(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
    }
}

/// Sets a member of nested objects, which are there.
fn set(value: &mut Value, path: &[&str], to: Value) {
    let Some((last, way)) = path.split_last() else { return };
    let inner = way.iter().try_fold(value, |value, key| value.get_mut(*key));
    if let Some(Value::Object(members)) = inner {
        members.insert((*last).to_owned(), to);
    }
}
