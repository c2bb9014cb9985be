//! Sections of routes.yaml from JSON, and what a gateway makes of them.

use super::Peer;
use crossdock_connector::{
    ConnectionConfig, Connector, Description, Field, Formulas, GatewayConfig, HTTP_LISTENER, Placed, Rendered,
    RenderedValue, Setting, Settings, SinkConfig, SourceConfig, Span,
};
use crossdock_model::Text;
use crossdock_settings::{Entry, Layout, Node, NodeKind, Reader, Scalar, Slot};
use serde_json::{Value, json};
use std::{collections::BTreeMap, path::Path, sync::Arc};

/// The name of the route and of the connection.
const NAME: &str = "suite";

/// A section as routes.yaml would give it.
///
/// # Panics
/// The table finds something wrong with it.
#[must_use]
pub fn settings(fields: &'static [Field], section: &Value) -> Settings {
    let mut reader = Reader::new();
    let settings = reader.group(&node(section), fields);
    let found = reader.finish();
    assert!(found.is_empty(), "{section}: {found:?}");
    settings
}

fn node(value: &Value) -> Node {
    let scalar =
        |text: String, quoted| NodeKind::Scalar(Scalar { text, quoted, masked: None, layout: Layout::default() });
    let entry =
        |(key, value): (&String, &Value)| Entry { key: key.clone(), key_span: Span::default(), value: node(value) };
    let kind = match value {
        Value::Null => NodeKind::Null,
        Value::Bool(_) | Value::Number(_) => scalar(value.to_string(), false),
        Value::String(text) => scalar(text.clone(), true),
        Value::Array(items) => NodeKind::Sequence(items.iter().map(node).collect()),
        Value::Object(items) => NodeKind::Mapping(items.iter().map(entry).collect()),
    };
    Node { span: Span::default(), kind }
}

/// A gateway whose state is in a folder.
pub(super) fn gateway(peer: &impl Peer, folder: &Path) -> GatewayConfig {
    let listen = format!("127.0.0.1:{}", peer.http_port());
    GatewayConfig {
        http: settings(HTTP_LISTENER, &json!({ "listen": listen })),
        folder: folder.to_owned(),
        store: Text::from_static("0123abcd"),
        admin_url: Text::from_static("http://127.0.0.1:8090"),
        state_folder: folder.join("connectors"),
    }
}

fn connection(of: &Description, section: Option<Value>) -> Option<ConnectionConfig> {
    let settings = settings(of.connection?, &section?);
    Some(ConnectionConfig { name: Text::from_static(NAME), settings })
}

/// The section with its connection, where its table asks for one (an HTTP source has none, an HTTP target has).
fn with_connection(section: &Value, table: &[Field]) -> Value {
    let mut section = section.clone();
    if let Some(fields) = section.as_object_mut().filter(|_| table.iter().any(|field| field.name == "connection")) {
        fields.insert("connection".into(), json!(NAME));
    }
    section
}

pub(super) fn source(
    connector: &Arc<dyn Connector>,
    connection_section: Option<Value>,
    section: &Value,
    folder: &Path,
) -> SourceConfig {
    let of = connector.description();
    let table = of.source.expect("a source");
    SourceConfig {
        route: Text::from_static(NAME),
        was: None,
        settings: settings(table, &with_connection(section, table)),
        connection: connection(of, connection_section),
        formulas: Formulas::none(),
        folder: folder.to_owned(),
    }
}

pub(super) fn sink(
    connector: &Arc<dyn Connector>,
    connection_section: Option<Value>,
    section: &Value,
    folder: &Path,
) -> SinkConfig {
    let of = connector.description();
    let table = of.target.expect("a target");
    SinkConfig {
        route: Text::from_static(NAME),
        target: Text::from_static(NAME),
        ordinal: 0,
        settings: settings(table, &with_connection(section, table)),
        connection: connection(of, connection_section),
        folder: folder.to_owned(),
        forward_origin: false,
        strict: false,
    }
}

/// The results of a target's templates, which are texts without holes here.
pub(super) fn rendered(settings: &Settings) -> Rendered {
    let mut found = BTreeMap::new();
    gather(settings, &mut found);
    let last = found.keys().next_back().map_or(0, |slot| slot.0 + 1);
    let value = |slot| found.get(&Slot(slot)).map_or(RenderedValue::Null, |text| RenderedValue::Text(text.clone()));
    Rendered::new((0..last).map(value).collect::<Vec<_>>())
}

fn gather(settings: &Settings, found: &mut BTreeMap<Slot, Text>) {
    for (_, setting) in settings.iter() {
        gather_one(setting, found);
    }
}

fn gather_one(setting: &Placed<Setting>, found: &mut BTreeMap<Slot, Text>) {
    if let Some(formula) = setting.value.as_formula() {
        found.insert(formula.slot, formula.text.clone());
    }
    if let Setting::Group(group) = &setting.value {
        gather(group, found);
    }
}
