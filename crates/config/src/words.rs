//! Sections in words, for `explain`: from the tree, in which every text knows how it may be shown.

use crate::{
    mask::{self, Masks},
    read::choice::Chosen,
    substitute::MASK,
};
use crossdock_settings::{Entry, Node, NodeKind};

/// What a route is said to do; the texts hold no secrets.
#[derive(Debug, Default)]
pub(crate) struct Words {
    pub from: String,
    pub accept: Vec<String>,
    pub order_by: Option<String>,
    pub circuit: Option<String>,
    pub steps: Vec<String>,
    pub targets: Vec<TargetWords>,
}

/// What a target is said to be.
#[derive(Debug)]
pub(crate) struct TargetWords {
    pub to: String,
    pub condition: Option<String>,
    /// What is done to what goes there.
    pub manner: Vec<String>,
}

impl Words {
    /// What the tree says of a route beside its source and targets.
    pub(crate) fn of(route: &Node, masks: &Masks) -> Self {
        let list = |name: &str| match route.get(name).map(|node| &node.kind) {
            Some(NodeKind::Sequence(items)) => items.iter().map(|item| step(item, masks)).collect(),
            Some(NodeKind::Null | NodeKind::Scalar(_) | NodeKind::Mapping(_)) | None => Vec::new(),
        };
        Self {
            from: String::new(),
            accept: list("accept"),
            order_by: route.get("order_by").map(|node| shown(node, masks)),
            circuit: route.get("circuit").map(|node| shown(node, masks)),
            steps: list("steps"),
            targets: Vec::new(),
        }
    }
}

/// A source or target: `http, path /orders, method POST`.
pub(crate) fn peer(chosen: &Chosen, masks: &Masks) -> String {
    let values = shown(&chosen.own, masks);
    match &chosen.own.kind {
        NodeKind::Scalar(_) => format!("{} {values}", chosen.variant.name),
        NodeKind::Mapping(entries) if !entries.is_empty() => format!("{}, {values}", chosen.variant.name),
        NodeKind::Null | NodeKind::Sequence(_) | NodeKind::Mapping(_) => chosen.variant.name.to_owned(),
    }
}

/// A target.
pub(crate) fn target(chosen: &Chosen, masks: &Masks) -> TargetWords {
    let condition = match (chosen.common.get("when"), chosen.common.get("otherwise")) {
        (Some(when), _) => Some(format!("when `{}`", shown(when, masks))),
        (None, Some(_)) => Some("otherwise".to_owned()),
        (None, None) => None,
    };
    TargetWords { to: peer(chosen, masks), condition, manner: manner(&chosen.common, masks) }
}

/// What the keys that every target takes say of how messages go there.
fn manner(common: &Node, masks: &Masks) -> Vec<String> {
    let is = |name: &str, value: &str| common.get(name).and_then(Node::scalar).is_some_and(|found| found.text == value);
    let flags = [
        ("strict", "true", "what the protocol cannot carry is a fault"),
        ("forward_origin", "true", "`crossdock-origin` goes with each message"),
        ("allow_dynamic", "true", "content may choose any destination"),
        ("idempotency", "per_redrive", "each redrive has an idempotency key of its own"),
    ];
    let told = flags.into_iter().filter(|(name, value, _)| is(name, value)).map(|(_, _, words)| words.to_owned());
    let encode = common.get("encode").map(|encode| format!("written as {}", shown(encode, masks)));
    encode.into_iter().chain(told).collect()
}

/// A step; a program of several lines goes on in lines of its own.
fn step(item: &Node, masks: &Masks) -> String {
    let (name, value) = match item.entries() {
        Some([entry]) => (entry.key.as_str(), &entry.value),
        Some(_) | None => return shown(item, masks),
    };
    let text = shown(value, masks);
    match name {
        "filter" => format!("let through only what holds `{text}`"),
        "transform" if text.contains('\n') => format!("change the message:\n{text}"),
        "transform" => format!("change the message: `{text}`"),
        "validate" => format!("validate against {text}"),
        "decode" => format!("take the payload as {text}"),
        "encode" => format!("write the payload as {text}"),
        "dedupe" => format!("drop what came before: {text}"),
        "expire" => format!("give up what is too old: {text}"),
        "delay" => format!("wait {text} from its receipt"),
        name if text.is_empty() => name.to_owned(),
        name => format!("{name}: {text}"),
    }
}

/// A part of the tree in a line: `path /orders, method POST`.
fn shown(node: &Node, masks: &Masks) -> String {
    line(node, masks, true).trim().to_owned()
}

fn line(node: &Node, masks: &Masks, outermost: bool) -> String {
    match &node.kind {
        NodeKind::Null => String::new(),
        NodeKind::Scalar(scalar) => mask::shown(scalar),
        NodeKind::Sequence(items) => {
            format!("[{}]", items.iter().map(|item| line(item, masks, false)).collect::<Vec<_>>().join(", "))
        }
        NodeKind::Mapping(entries) => {
            let part = |entry: &Entry| {
                let secret = masks.is_secret(&entry.key, &entry.value);
                let value = if secret { MASK.to_owned() } else { line(&entry.value, masks, false) };
                format!("{} {value}", entry.key).trim().to_owned()
            };
            let text = entries.iter().map(part).collect::<Vec<_>>().join(", ");
            if outermost || text.is_empty() { text } else { format!("({text})") }
        }
    }
}
