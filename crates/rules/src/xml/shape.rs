//! The order of elements in a document, which a value does not keep.

use std::collections::BTreeMap;

/// Most distinct paths that are remembered; elements beyond are written sorted by name.
const NODES_MAX: usize = 4096;

/// For each path of elements the names of its children in the order in which they first came.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shape {
    /// The first one stands for the document, whose only child is the root.
    nodes: Vec<Node>,
}

#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Node {
    names: Vec<Box<str>>,
    children: BTreeMap<Box<str>, usize>,
}

/// A path in a shape; nothing is known of one that is not in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Path(Option<usize>);

impl Path {
    /// The document.
    pub const ROOT: Self = Self(Some(0));
    /// A path of which nothing is known.
    pub const UNKNOWN: Self = Self(None);
}

impl Default for Shape {
    fn default() -> Self {
        Self { nodes: vec![Node::default()] }
    }
}

impl Shape {
    /// The path of a child; it is noted if it is new.
    pub fn enter(&mut self, path: Path, name: &str) -> Path {
        let Some(parent) = path.0.and_then(|index| self.nodes.get(index)) else { return Path::UNKNOWN };
        if let Some(child) = parent.children.get(name) {
            return Path(Some(*child));
        }
        let new = self.nodes.len();
        if new >= NODES_MAX {
            return Path::UNKNOWN;
        }
        if let Some(parent) = path.0.and_then(|index| self.nodes.get_mut(index)) {
            parent.names.push(name.into());
            parent.children.insert(name.into(), new);
        }
        self.nodes.push(Node::default());
        Path(Some(new))
    }

    /// The path of a child.
    pub fn child(&self, path: Path, name: &str) -> Path {
        let parent = path.0.and_then(|index| self.nodes.get(index));
        Path(parent.and_then(|node| node.children.get(name).copied()))
    }

    /// The names of the children of a path, in order.
    pub fn names(&self, path: Path) -> impl Iterator<Item = &str> {
        let node = path.0.and_then(|index| self.nodes.get(index));
        node.into_iter().flat_map(|node| node.names.iter().map(|name| &**name))
    }
}
