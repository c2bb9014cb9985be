//! What tests of steps need: items read as the configuration reads them, files in memory, messages.

use crate::{ACCEPT_STEPS, Environment, Files, Pipeline, STEPS, SourceFile, Stage};
use crossdock_expression::Compiler;
use crossdock_model::{Envelope, MessageId, Text, Timestamp};
use crossdock_settings::{Diagnostics, Entry, Layout, Node, NodeKind, Placed, Position, Reader, Scalar, Setting, Span};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

pub struct Fixtures;

impl Files for Fixtures {
    fn read(&mut self, path: &Path) -> Result<SourceFile, String> {
        let text = match path.to_str() {
            Some("order.schema.json") => include_str!("../fixtures/order.schema.json"),
            Some("two.json") => r#"{"required": ["a", "b"], "properties": {"a": {"type": "string"}}}"#,
            _ => return Err("no such file".to_owned()),
        };
        Ok(SourceFile { path: PathBuf::from("/conf").join(path), shown: "fixture".into(), text: text.to_owned() })
    }
}

/// The tree of a list of items, written as JSON.
fn node(json: &serde_json::Value) -> Node {
    let scalar = |text: String, quoted| {
        let lines = vec![Position { line: 1, column: 1 }];
        NodeKind::Scalar(Scalar { text, quoted, masked: None, layout: Layout { lines, ..Layout::default() } })
    };
    let kind = match json {
        serde_json::Value::Null => NodeKind::Null,
        serde_json::Value::Bool(_) | serde_json::Value::Number(_) => scalar(json.to_string(), false),
        serde_json::Value::String(text) => scalar(text.clone(), false),
        serde_json::Value::Array(items) => NodeKind::Sequence(items.iter().map(node).collect()),
        serde_json::Value::Object(members) => NodeKind::Mapping(
            members
                .iter()
                .map(|(key, value)| Entry { key: key.clone(), key_span: Span::default(), value: node(value) })
                .collect(),
        ),
    };
    Node { span: Span::default(), kind }
}

/// The items as typed values, and what is wrong with them.
pub fn read(stage: Stage, items: &serde_json::Value) -> (Vec<Placed<Setting>>, Diagnostics) {
    let mut reader = Reader::new();
    let table = match stage {
        Stage::Accept => &ACCEPT_STEPS,
        Stage::Steps => &STEPS,
    };
    let node = node(items);
    let NodeKind::Sequence(items) = &node.kind else { panic!("a list of items") };
    let read = items.iter().filter_map(|item| Some(Placed::new(reader.value(item, table)?, item.span))).collect();
    (read, reader.finish())
}

/// The compiled items, and every finding.
pub fn compile(stage: Stage, items: &serde_json::Value) -> (Option<Pipeline>, Diagnostics) {
    let (items, mut found) = read(stage, items);
    let compiler = Compiler::new();
    let mut environment = Environment { compiler: &compiler, files: &mut Fixtures };
    let pipeline = Pipeline::compile(stage, &items, None, &mut environment, &mut found);
    (pipeline, found)
}

pub fn pipeline(stage: Stage, items: &serde_json::Value) -> Pipeline {
    let (pipeline, found) = compile(stage, items);
    assert!(!found.has_errors(), "{items}: {found:#?}");
    pipeline.expect("a pipeline")
}

/// A message of a content type.
pub fn message(content_type: Option<&'static str>, payload: impl Into<bytes::Bytes>) -> Arc<Envelope> {
    let mut envelope = Envelope::new(MessageId::from_bytes([1; 16]), Timestamp(0), payload);
    envelope.properties.content_type = content_type.map(Text::from_static);
    Arc::new(envelope)
}
