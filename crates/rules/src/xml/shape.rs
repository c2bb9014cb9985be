//! The order of elements in a document, which a value does not keep.
//!
//! For each path of elements it is noted which name was seen right before which one in the same element. An order that
//! respects all of that gives every element back as it came, also where an element lacks what another one of its path
//! has (`<line><qty/></line><line><sku/><qty/></line>`), so a document that follows a schema's sequence still does when
//! steps have taken elements away. Where a document contradicts itself, the order of first appearance counts.

use std::collections::{BTreeMap, BTreeSet};

/// Most distinct paths that are remembered; elements beyond are written sorted by name.
const NODES_MAX: usize = 4096;

/// Most pairs of neighbours that are remembered of one path.
const PAIRS_MAX: usize = 4096;

/// For each path of elements the names of its children in an order that fits all of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shape {
    /// The first one stands for the document, whose only child is the root.
    nodes: Vec<Node>,
}

#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Node {
    /// In the order of first appearance until [`Shape::settle`] has put them in order.
    names: Vec<Box<str>>,
    /// By name: its place among `names` at first, and its own node.
    children: BTreeMap<Box<str>, (usize, usize)>,
    /// Places in `names` of which the first was seen right before the second.
    pairs: BTreeSet<(usize, usize)>,
}

/// A path in a shape; nothing is known of one that is not in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Path(Option<usize>);

/// A child within the names of its parent's path; none before the first one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Sibling(Option<usize>);

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
    /// Notes a child that comes for the first time in its element, behind another one or as the first.
    pub fn enter(&mut self, path: Path, name: &str, before: Sibling) -> (Path, Sibling) {
        let new = self.nodes.len();
        let Some(parent) = path.0.and_then(|index| self.nodes.get_mut(index)) else {
            return (Path::UNKNOWN, Sibling(None));
        };
        let (place, child) = match parent.children.get(name) {
            Some(known) => *known,
            None if new >= NODES_MAX => return (Path::UNKNOWN, before),
            None => {
                let place = parent.names.len();
                parent.names.push(name.into());
                parent.children.insert(name.into(), (place, new));
                (place, new)
            }
        };
        if let Some(before) = before.0.filter(|_| parent.pairs.len() < PAIRS_MAX) {
            parent.pairs.insert((before, place));
        }
        if child == new {
            self.nodes.push(Node::default());
        }
        (Path(Some(child)), Sibling(Some(place)))
    }

    /// Puts the names of each path in order, once the document is read.
    pub fn settle(&mut self) {
        for node in &mut self.nodes {
            node.settle();
        }
    }

    /// The path of a child.
    pub fn child(&self, path: Path, name: &str) -> Path {
        let parent = path.0.and_then(|index| self.nodes.get(index));
        Path(parent.and_then(|node| node.children.get(name)).map(|(_, child)| *child))
    }

    /// The names of the children of a path, in order.
    pub fn names(&self, path: Path) -> impl Iterator<Item = &str> {
        let node = path.0.and_then(|index| self.nodes.get(index));
        node.into_iter().flat_map(|node| node.names.iter().map(|name| &**name))
    }
}

impl Node {
    /// Sorts the names topologically by the pairs (Kahn 1962); among those that could come next the one seen first does.
    fn settle(&mut self) {
        let pairs = std::mem::take(&mut self.pairs);
        if pairs.iter().all(|(before, after)| before < after) {
            return;
        }
        let mut waits_for = vec![0_usize; self.names.len()];
        let mut followers = vec![Vec::new(); self.names.len()];
        for (before, after) in pairs {
            if let (Some(count), Some(list)) = (waits_for.get_mut(after), followers.get_mut(before)) {
                *count += 1;
                list.push(after);
            }
        }
        let mut left: BTreeSet<usize> = (0..self.names.len()).collect();
        let mut ready: BTreeSet<usize> =
            left.iter().copied().filter(|place| waits_for.get(*place) == Some(&0)).collect();
        let mut names = Vec::with_capacity(self.names.len());
        // Without one that is ready the document contradicts itself.
        while let Some(next) = ready.pop_first().or_else(|| left.first().copied()) {
            left.remove(&next);
            names.extend(self.names.get_mut(next).map(std::mem::take));
            for after in followers.get_mut(next).map(std::mem::take).unwrap_or_default() {
                if let Some(count) = waits_for.get_mut(after) {
                    *count = count.saturating_sub(1);
                    if *count == 0 && left.contains(&after) {
                        ready.insert(after);
                    }
                }
            }
        }
        self.names = names;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(elements: &[&[&str]], expected: &[&str]) {
        let mut shape = Shape::default();
        for element in elements {
            let mut before = Sibling::default();
            for name in *element {
                before = shape.enter(Path::ROOT, name, before).1;
            }
        }
        shape.settle();
        assert_eq!(shape.names(Path::ROOT).collect::<Vec<_>>(), expected, "{elements:?}");
    }

    #[test]
    fn one_order_fits_all_elements_of_a_path() {
        check(&[&["b", "a"]], &["b", "a"]);
        check(&[&["qty"], &["sku", "qty"]], &["sku", "qty"]);
        check(&[&["a", "c"], &["a", "b", "c"]], &["a", "b", "c"]);
        check(&[&["c"], &["a"], &["c", "y"], &["a", "c"]], &["a", "c", "y"]);
        check(&[&["a", "b"], &["b", "a"]], &["a", "b"]);
        check(&[&["a", "b", "c"], &["c", "a"], &["d", "b"]], &["d", "a", "b", "c"]);
        check(&[], &[]);
    }
}
