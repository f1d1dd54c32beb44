//! Relations of nodes (RFC 9420 Appendix C).

use super::PlainVector;
use super::compare::same_value;
use super::problem::{At, Problem, ensure};
use crate::SeededRng;
use conclave_wire::{NodeIndex, TreeSize};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
pub(super) struct TreeMath {
    n_leaves: u32,
    n_nodes: u32,
    root: u32,
    left: Vec<Option<u32>>,
    right: Vec<Option<u32>>,
    parent: Vec<Option<u32>>,
    sibling: Vec<Option<u32>>,
}

impl TreeMath {
    fn compute(size: TreeSize) -> Self {
        let root = size.root();
        let each = |relation: fn(NodeIndex) -> Option<NodeIndex>| -> Vec<Option<u32>> {
            (0..size.node_count()).map(|i| relation(NodeIndex(i)).map(|n| n.0)).collect()
        };

        // Parent and sibling do not depend on the size, but the root has neither.
        let but_root = |mut nodes: Vec<Option<u32>>| {
            if let Some(at_root) = nodes.get_mut(root.0 as usize) {
                *at_root = None;
            }
            nodes
        };

        Self {
            n_leaves: size.leaf_count(),
            n_nodes: size.node_count(),
            root: root.0,
            left: each(NodeIndex::left),
            right: each(NodeIndex::right),
            parent: but_root(each(|n| Some(n.parent()))),
            sibling: but_root(each(|n| Some(n.sibling()))),
        }
    }
}

fn same_relation(
    what: &str,
    computed: &[Option<u32>],
    listed: &[Option<u32>],
) -> Result<(), Problem> {
    same_value(format_args!("the length of {what}"), &computed.len(), &listed.len())?;
    computed
        .iter()
        .zip(listed)
        .enumerate()
        .try_for_each(|(i, (c, l))| same_value(format_args!("{what}[{i}]"), c, l))
}

impl PlainVector for TreeMath {
    fn check(&self) -> Result<(), Problem> {
        // A tree of RFC 9420 is complete, so that the number of its leaves is a power of two
        // (section 4.1.2 and Appendix C). The limit keeps a vector from asking for gigabytes.
        let size = TreeSize::for_leaves(self.n_leaves)
            .filter(|size| size.leaf_count() == self.n_leaves)
            .at(format_args!("no tree has {} leaves", self.n_leaves))?;

        same_value("n_nodes", &size.node_count(), &self.n_nodes)?;
        let listed = self.left.len().max(self.right.len()).max(self.parent.len());
        ensure(
            listed.max(self.sibling.len()) == self.n_nodes as usize,
            "the relations are not of n_nodes nodes",
        )?;

        let computed = Self::compute(size);
        same_value("root", &computed.root, &self.root)?;
        same_relation("left", &computed.left, &self.left)?;
        same_relation("right", &computed.right, &self.right)?;
        same_relation("parent", &computed.parent, &self.parent)?;
        same_relation("sibling", &computed.sibling, &self.sibling)
    }

    fn generate(_: &mut SeededRng) -> Result<Vec<Self>, Problem> {
        Ok((0..7).filter_map(|k| TreeSize::for_leaves(1 << k)).map(Self::compute).collect())
    }
}
