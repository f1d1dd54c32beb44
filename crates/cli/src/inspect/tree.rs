//! Ratchet trees (RFC 9420 section 4), drawn.

use super::value::shown;
use conclave_client::plain;
use conclave_mls::wire::{Credential, LeafIndex, LeafNode, Node, NodeIndex, ParentNode, TreeSize};
use serde_json::{Value as Json, json};

/// The most nodes whose resolutions JSON has: together they can be much longer than the tree.
const MAX_RESOLVED: usize = 4096;
/// The most nodes of a resolution that a drawing shows.
const SHOWN_NODES: usize = 12;

/// A tree with what follows from its nodes.
pub(super) struct Drawing {
    nodes: Vec<Option<Node>>,
    size: TreeSize,
    resolutions: Vec<Resolution>,
}

/// The nodes that a node stands for (section 4.1.1), or the first of them.
#[derive(Default)]
struct Resolution {
    first: Vec<u32>,
    count: usize,
}

impl Drawing {
    /// Draws the nodes of a `ratchet_tree` extension. None if they are no tree.
    pub(super) fn of(nodes: Vec<Option<Node>>) -> Option<Self> {
        let leaves = u32::try_from(nodes.len() / 2 + 1).ok().filter(|_| !nodes.is_empty())?;
        let size = TreeSize::for_leaves(leaves)?;
        let count = usize::try_from(size.node_count()).ok()?;
        let resolutions = std::iter::repeat_with(Resolution::default).take(count).collect();
        let mut drawing = Self { nodes, size, resolutions };
        let kept = if count <= MAX_RESOLVED { usize::MAX } else { SHOWN_NODES };
        drawing.resolve(size.root(), kept);
        Some(drawing)
    }

    fn node(&self, node: NodeIndex) -> Option<&Node> {
        self.nodes.get(usize::try_from(node.0).ok()?)?.as_ref()
    }

    /// Finds the resolution of a node, and of all below it.
    fn resolve(&mut self, node: NodeIndex, kept: usize) -> Vec<u32> {
        // There are 30 levels at most.
        let below = node.children().map(|(left, right)| {
            let mut all = self.resolve(left, kept);
            all.extend(self.resolve(right, kept));
            all
        });
        let all = match self.node(node) {
            None => below.unwrap_or_default(),
            Some(Node::Leaf(_)) => vec![node.0],
            Some(Node::Parent(parent)) => {
                let unmerged = parent.unmerged_leaves.iter().map(|leaf| leaf.node().0);
                std::iter::once(node.0).chain(unmerged).collect()
            }
        };
        let place = usize::try_from(node.0).ok().and_then(|i| self.resolutions.get_mut(i));
        if let Some(place) = place {
            let first = all.iter().take(kept).copied().collect();
            *place = Resolution { first, count: all.len() };
        }
        all
    }

    /// The tree as JSON.
    pub(super) fn to_json(&self, of: &str) -> Json {
        let node = |(index, resolution): (usize, &Resolution)| {
            let whole = resolution.first.len() == resolution.count;
            json!({ "node": index, "resolution": whole.then_some(&resolution.first) })
        };
        let nodes: Vec<Json> = self.resolutions.iter().enumerate().map(node).collect();
        json!({ "of": of, "leaves": self.size.leaf_count(), "root": self.size.root().0, "nodes": nodes })
    }

    /// The tree for people: a line for each node, those below a node behind it and further in.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        self.draw(self.size.root(), "", "", &mut lines);
        lines
    }

    fn draw(&self, node: NodeIndex, margin: &str, branch: &str, lines: &mut Vec<String>) {
        lines.push(format!("{margin}{branch}{}", self.describe(node)));
        let Some((left, right)) = node.children() else { return };
        let below = match branch {
            "" => String::new(),
            "├─ " => format!("{margin}│  "),
            _ => format!("{margin}   "),
        };
        self.draw(left, &below, "├─ ", lines);
        self.draw(right, &below, "└─ ", lines);
    }

    fn describe(&self, node: NodeIndex) -> String {
        let name = match node.leaf() {
            Some(LeafIndex(leaf)) => format!("node {}, leaf {leaf}", node.0),
            None => format!("node {}", node.0),
        };
        let what = match self.node(node) {
            None => "blank".to_string(),
            Some(Node::Leaf(leaf)) => describe_leaf(leaf, node.leaf().is_some()),
            Some(Node::Parent(parent)) => describe_parent(parent, node.leaf().is_none()),
        };

        let resolution = usize::try_from(node.0).ok().and_then(|i| self.resolutions.get(i));
        match resolution.filter(|_| node.leaf().is_none()) {
            Some(Resolution { first, count }) => {
                format!("{name}: {what}, resolution {}", listed(first, *count))
            }
            None => format!("{name}: {what}"),
        }
    }
}

fn describe_leaf(leaf: &LeafNode, in_place: bool) -> String {
    let place = if in_place { "" } else { "A LEAF IN A PARENT'S PLACE, " };
    format!("{place}{}, key {}", identity(&leaf.credential), beginning(&leaf.encryption_key))
}

fn describe_parent(parent: &ParentNode, in_place: bool) -> String {
    let unmerged: Vec<u32> = parent.unmerged_leaves.iter().map(|leaf| leaf.0).collect();
    format!(
        "{}key {}, parent hash {}, unmerged leaves {}",
        if in_place { "" } else { "A PARENT IN A LEAF'S PLACE, " },
        beginning(&parent.encryption_key),
        beginning(&parent.parent_hash),
        listed(&unmerged, unmerged.len()),
    )
}

fn beginning(bytes: &[u8]) -> String {
    shown(bytes.get(..8).unwrap_or(bytes))
}

/// Whose a leaf is, as its credential says.
fn identity(credential: &Credential) -> String {
    match credential.identity().map(std::str::from_utf8) {
        Some(Ok(identity)) => format!("\"{}\"", plain(identity)),
        Some(Err(_)) => format!("identity {}", shown(credential.identity().unwrap_or_default())),
        None => format!("{} credential", credential.credential_type()),
    }
}

fn listed(numbers: &[u32], count: usize) -> String {
    if count == 0 {
        return "none".into();
    }
    let first: Vec<String> = numbers.iter().take(SHOWN_NODES).map(u32::to_string).collect();
    let more = if count > first.len() { format!("… ({count} in all)") } else { String::new() };
    format!("{}{more}", first.join(" "))
}
