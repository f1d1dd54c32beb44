//! The tree as section 7 describes it: linked nodes, with everything recomputed and nothing cached.

use super::suite;
use alloc::boxed::Box;
use alloc::vec::Vec;
use conclave_wire::{
    Bytes, Encode, HpkePublicKey, LeafIndex, LeafNode, LeafNodeHashInput, LeafNodeSource, Node,
    NodeIndex, ParentHashInput, ParentNode, ParentNodeHashInput, RatchetTreeExtension,
};

#[derive(Clone)]
pub(crate) enum Linked {
    Leaf { index: u32, value: Option<LeafNode> },
    Parent { value: Option<ParentNode>, left: Box<Linked>, right: Box<Linked> },
}

use Linked::{Leaf, Parent};

impl Linked {
    fn blank(first: u32, leaves: u32) -> Self {
        if leaves == 1 {
            return Leaf { index: first, value: None };
        }
        let half = leaves / 2;
        let left = Box::new(Self::blank(first, half));
        Parent { value: None, left, right: Box::new(Self::blank(first + half, half)) }
    }

    fn leaves(&self) -> Vec<u32> {
        match self {
            Leaf { index, .. } => Vec::from([*index]),
            Parent { left, right, .. } => [left.leaves(), right.leaves()].concat(),
        }
    }

    /// The index in an array: between the two halves.
    pub(crate) fn index(&self) -> NodeIndex {
        let leaves = self.leaves();
        NodeIndex(leaves[0] * 2 + leaves.len() as u32 - 1)
    }

    fn has(&self, leaf: u32) -> bool {
        self.leaves().contains(&leaf)
    }

    fn is_empty(&self) -> bool {
        match self {
            Leaf { value, .. } => value.is_none(),
            Parent { value, left, right } => value.is_none() && left.is_empty() && right.is_empty(),
        }
    }

    pub(crate) fn all(&self) -> Vec<&Self> {
        match self {
            Leaf { .. } => Vec::from([self]),
            Parent { left, right, .. } => {
                let mut all = left.all();
                all.push(self);
                all.extend(right.all());
                all
            }
        }
    }

    pub(crate) fn encoded(&self) -> Option<Vec<u8>> {
        match self {
            Leaf { value, .. } => value.as_ref().map(|v| v.to_bytes().unwrap()),
            Parent { value, .. } => value.as_ref().map(|v| v.to_bytes().unwrap()),
        }
    }

    pub(crate) fn tree_hash(&self) -> Vec<u8> {
        let node = self.encoded();
        let input = match self {
            Leaf { index, .. } => {
                let leaf_index = LeafIndex(*index);
                LeafNodeHashInput { leaf_index, leaf_node: node.as_deref() }.to_bytes()
            }
            Parent { left, right, .. } => ParentNodeHashInput {
                parent_node: node.as_deref(),
                left_hash: &left.tree_hash(),
                right_hash: &right.tree_hash(),
            }
            .to_bytes(),
        };
        suite().hash(&[&input.unwrap()]).unwrap().to_vec()
    }

    pub(crate) fn resolution(&self) -> Vec<NodeIndex> {
        match self {
            Leaf { value: None, .. } => Vec::new(),
            Leaf { .. } => Vec::from([self.index()]),
            Parent { value: None, left, right } => [left.resolution(), right.resolution()].concat(),
            Parent { value: Some(value), .. } => {
                let mut resolution = Vec::from([self.index()]);
                resolution.extend(value.unmerged_leaves.iter().map(|l| l.node()));
                resolution
            }
        }
    }

    /// Calls `f` with each value on the direct path of a leaf, from the leaf up.
    fn on_path(&mut self, leaf: u32, f: &mut impl FnMut(NodeIndex, &mut Option<ParentNode>)) {
        let index = self.index();
        if let Parent { value, left, right } = self {
            let child = if left.has(leaf) { left } else { right };
            child.on_path(leaf, f);
            f(index, value);
        }
    }

    fn set_leaf(&mut self, leaf: u32, new: Option<LeafNode>) {
        match self {
            Leaf { value, .. } => *value = new,
            Parent { left, right, .. } if left.has(leaf) => left.set_leaf(leaf, new),
            Parent { right, .. } => right.set_leaf(leaf, new),
        }
    }

    /// The filtered direct path from the leaf up, with the copath children.
    pub(crate) fn filtered_path(&self, leaf: u32) -> Vec<(NodeIndex, NodeIndex)> {
        let Parent { left, right, .. } = self else { return Vec::new() };
        let (on, off) = if left.has(leaf) { (left, right) } else { (right, left) };
        let mut path = on.filtered_path(leaf);
        if !off.resolution().is_empty() {
            path.push((self.index(), off.index()));
        }
        path
    }

    fn at(&self, index: NodeIndex) -> &Self {
        self.all().into_iter().find(|n| n.index() == index).unwrap()
    }

    /// This subtree without some leaves (section 7.9).
    fn without(&self, leaves: &[LeafIndex]) -> Self {
        let mut copy = self.clone();
        copy.forget(leaves);
        copy
    }

    fn forget(&mut self, leaves: &[LeafIndex]) {
        match self {
            Leaf { index, value } => {
                if leaves.contains(&LeafIndex(*index)) {
                    *value = None;
                }
            }
            Parent { value, left, right } => {
                left.forget(leaves);
                right.forget(leaves);
                if let Some(value) = value {
                    value.unmerged_leaves.retain(|l| !leaves.contains(l));
                }
            }
        }
    }

    fn claimed_parent_hash(&self) -> Option<Bytes> {
        match self {
            Leaf { value, .. } => match &value.as_ref()?.leaf_node_source {
                LeafNodeSource::Commit(hash) => Some(hash.clone()),
                _ => None,
            },
            Parent { value, .. } => Some(value.as_ref()?.parent_hash.clone()),
        }
    }

    /// The number of descendants with a parent hash that is valid for this node (section 7.9.2).
    fn valid_links(&self) -> usize {
        let Parent { value: Some(p), left, right } = self else { return 0 };
        let mut links = 0;
        for (c, s) in [(left, right), (right, left)] {
            let hash = parent_hash(p, &s.without(&p.unmerged_leaves).tree_hash());
            for d in c.all() {
                let mut rest = c.resolution();
                let in_resolution = rest.contains(&d.index());
                rest.retain(|n| *n != d.index());
                let unmerged: Vec<NodeIndex> = p.unmerged_leaves.iter().map(|l| l.node()).collect();
                let unmerged: Vec<_> =
                    unmerged.into_iter().filter(|n| c.index().covers(*n)).collect();
                let matches = d.claimed_parent_hash().as_deref() == Some(&hash[..]);
                if matches && in_resolution && rest == unmerged {
                    links += 1;
                }
            }
        }
        links
    }
}

fn parent_hash(parent: &ParentNode, original_sibling_tree_hash: &[u8]) -> Vec<u8> {
    let input = ParentHashInput {
        encryption_key: &parent.encryption_key,
        parent_hash: &parent.parent_hash,
        original_sibling_tree_hash,
    };
    suite().hash(&[&input.to_bytes().unwrap()]).unwrap().to_vec()
}

#[derive(Clone)]
pub(crate) struct Oracle {
    pub(crate) root: Linked,
}

impl Oracle {
    pub(crate) fn new(leaf: LeafNode) -> Self {
        Self { root: Leaf { index: 0, value: Some(leaf) } }
    }

    pub(crate) fn size(&self) -> u32 {
        self.root.leaves().len() as u32
    }

    pub(crate) fn members(&self) -> Vec<u32> {
        let filled = self.root.all().into_iter().filter_map(|n| match n {
            Leaf { index, value: Some(_) } => Some(*index),
            _ => None,
        });
        filled.collect()
    }

    fn extend(&mut self) {
        let n = self.size();
        let old = core::mem::replace(&mut self.root, Linked::blank(0, 1));
        let right = Box::new(Linked::blank(n, n));
        self.root = Parent { value: None, left: Box::new(old), right };
    }

    /// The leftmost blank leaf. Extends the tree if there is none.
    pub(crate) fn place(&mut self) -> u32 {
        let members = self.members();
        let place = (0..).find(|l| !members.contains(l)).unwrap();
        if place == self.size() {
            self.extend();
        }
        place
    }

    pub(crate) fn add(&mut self, leaf: LeafNode) -> u32 {
        let place = self.place();
        self.root.on_path(place, &mut |_, parent| {
            if let Some(parent) = parent {
                parent.unmerged_leaves.push(LeafIndex(place));
                parent.unmerged_leaves.sort();
            }
        });
        self.root.set_leaf(place, Some(leaf));
        place
    }

    pub(crate) fn update(&mut self, leaf: u32, new: LeafNode) {
        self.root.set_leaf(leaf, Some(new));
        self.root.on_path(leaf, &mut |_, parent| *parent = None);
    }

    pub(crate) fn remove(&mut self, leaf: u32) {
        self.root.set_leaf(leaf, None);
        self.root.on_path(leaf, &mut |_, parent| *parent = None);
        while let Parent { left, right, .. } = &self.root
            && right.is_empty()
        {
            self.root = (**left).clone();
        }
    }

    /// Merges a path and returns the parent hash that its leaf must have.
    pub(crate) fn merge(&mut self, leaf: u32, new: &LeafNode, keys: &[HpkePublicKey]) -> Vec<u8> {
        let path = self.root.filtered_path(leaf);
        assert_eq!(path.len(), keys.len());
        self.update(leaf, new.clone());
        let mut above = Vec::new();
        for ((node, copath_child), key) in path.iter().zip(keys).rev() {
            let parent = ParentNode {
                encryption_key: key.clone(),
                parent_hash: above.clone().into(),
                unmerged_leaves: Vec::new(),
            };
            above = parent_hash(&parent, &self.root.at(*copath_child).tree_hash());
            self.root.on_path(leaf, &mut |index, value| {
                if index == *node {
                    *value = Some(parent.clone());
                }
            });
        }
        above
    }

    pub(crate) fn is_parent_hash_valid(&self) -> bool {
        let filled = |n: &&Linked| matches!(n, Parent { value: Some(_), .. });
        self.root.all().into_iter().filter(filled).all(|n| n.valid_links() == 1)
    }

    pub(crate) fn to_extension(&self) -> RatchetTreeExtension {
        let node = |n: &Linked| match n {
            Leaf { value, .. } => value.clone().map(|v| Node::Leaf(Box::new(v))),
            Parent { value, .. } => value.clone().map(Node::Parent),
        };
        let mut nodes: Vec<Option<Node>> = self.root.all().into_iter().map(node).collect();
        while nodes.last().is_some_and(Option::is_none) {
            nodes.pop();
        }
        RatchetTreeExtension { nodes }
    }
}
