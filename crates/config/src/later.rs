//! What the file may hold and nothing applies yet: each is said as a warning, so that nobody relies on it. A line goes from
//! here when what it tells of is built.

use crate::context::Context;
use crossdock_settings::{Diagnostic, Node, NodeKind};

/// Most keys that a `dedupe` remembers, whatever `max_keys` says.
const KEYS_MAX: u64 = 65_536;

/// Warns of everything that has no effect, in a file that is right otherwise.
pub(crate) fn check(root: &Node, context: &mut Context<'_>) {
    if context.found.has_errors() {
        return;
    }
    for route in values(root.get("routes")) {
        for step in items(route.get("accept")) {
            let Some(node) = step.get("dedupe").and_then(|dedupe| dedupe.get("max_keys")) else { continue };
            let keys = node.scalar().and_then(|scalar| scalar.text.parse::<u64>().ok());
            if keys.is_some_and(|keys| keys > KEYS_MAX) {
                let message = format!("more than {KEYS_MAX} keys are not remembered yet: the oldest are forgotten");
                warn(node, &message, "choose a `window` in which fewer come", context);
            }
        }
    }
}

fn values(section: Option<&Node>) -> impl Iterator<Item = &Node> {
    section.and_then(Node::entries).unwrap_or_default().iter().map(|entry| &entry.value)
}

fn items(list: Option<&Node>) -> &[Node] {
    match list.map(|node| &node.kind) {
        Some(NodeKind::Sequence(items)) => items,
        Some(NodeKind::Null | NodeKind::Scalar(_) | NodeKind::Mapping(_)) | None => &[],
    }
}

fn warn(node: &Node, message: &str, hint: &str, context: &mut Context<'_>) {
    context.found.push(Diagnostic::warning("feature.later", node.span, message).hint(hint));
}
