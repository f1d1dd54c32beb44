//! The exporter tree (draft-ietf-mls-extensions-10, "Exported Secrets"): a secret for each component of
//! the application, each given out once in an epoch.
//!
//! It holds what has not been exported, as the secret tree holds what has not been consumed. Exporting
//! takes `&self`; the [`ExporterTreeDelta`] that comes with the secret deletes what it was derived from.

use crate::ApplicationExportSecret;
use crate::node_secrets::{NodeSecrets, consume_path, swap_entries};
use alloc::collections::{BTreeMap, BTreeSet};
use conclave_crypto::{CryptoError, Secret, Suite};
use conclave_wire::{ComponentId, LeafIndex, NodeIndex, TreeSize};
use core::fmt;

/// A leaf for each component.
const LEAVES: u32 = 1 << 16;

/// The secrets of one epoch that no component has exported.
#[derive(Clone, PartialEq, Eq)]
pub struct ExporterTree {
    /// Secrets of nodes below which nothing has been exported.
    nodes: NodeSecrets,
    /// The components that have exported their secret.
    exported: BTreeSet<ComponentId>,
}

impl fmt::Debug for ExporterTree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExporterTree")
            .field("nodes", &self.nodes.len())
            .field("exported", &self.exported)
            .finish()
    }
}

/// The change of an exporter tree by the export of one component's secret.
///
/// Store its [`rows`](Self::rows), then [swap](ExporterTree::swap) it in. It fits only the state that it
/// was made from.
#[derive(Clone, PartialEq, Eq)]
pub struct ExporterTreeDelta {
    component: ComponentId,
    nodes: BTreeMap<NodeIndex, Option<Secret>>,
}

impl fmt::Debug for ExporterTreeDelta {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExporterTreeDelta")
            .field("component", &self.component)
            .field("nodes", &self.nodes.len())
            .finish()
    }
}

/// The reason why an exporter tree has no secret for a component, or cannot be loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExporterError {
    /// The component has exported its secret in this epoch.
    Consumed(ComponentId),
    /// A stored row is at no place of the tree, or contradicts another one.
    DamagedRow(u64),
    /// The stored row of a node is missing, or some below it.
    MissingRow(u64),
    /// The crypto provider failed.
    Crypto(CryptoError),
}

impl fmt::Display for ExporterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Consumed(component) => {
                write!(f, "component {component} has exported its secret of this epoch")
            }
            Self::DamagedRow(node) => {
                write!(f, "the exporter tree's row is damaged: the secret of node {node}")
            }
            Self::MissingRow(node) => {
                write!(f, "the exporter tree's row is missing: the secret of node {node}")
            }
            Self::Crypto(e) => fmt::Display::fmt(e, f),
        }
    }
}

impl core::error::Error for ExporterError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Crypto(e) => Some(e),
            Self::Consumed(_) | Self::DamagedRow(_) | Self::MissingRow(_) => None,
        }
    }
}

impl From<CryptoError> for ExporterError {
    fn from(e: CryptoError) -> Self {
        Self::Crypto(e)
    }
}

impl ExporterTree {
    /// The exporter tree of a new epoch.
    #[must_use]
    pub fn new(root: ApplicationExportSecret) -> Self {
        let nodes = BTreeMap::from([(Self::size().root(), root.into_secret())]);
        Self { nodes, exported: BTreeSet::new() }
    }

    fn size() -> TreeSize {
        // The root of a tree of as many leaves as ComponentID has values exists.
        TreeSize::for_leaves(LEAVES).unwrap_or(TreeSize::MAX)
    }

    fn leaf(component: ComponentId) -> LeafIndex {
        LeafIndex(component.0.into())
    }

    /// `SafeExportSecret(component)`: `KDF.Nh` bytes, with the delta that deletes what they were derived
    /// from. O(log n) of the 2^16 components.
    ///
    /// # Errors
    /// [`ExporterError::Consumed`]; or if the provider fails.
    pub fn export(
        &self,
        suite: &Suite<'_>,
        component: ComponentId,
    ) -> Result<(Secret, ExporterTreeDelta), ExporterError> {
        let mut delta = ExporterTreeDelta { component, nodes: BTreeMap::new() };
        let leaf = Self::leaf(component);
        let secret = consume_path(suite, Self::size(), &self.nodes, leaf, &mut delta.nodes)?;
        Ok((secret.ok_or(ExporterError::Consumed(component))?, delta))
    }

    /// Exchanges the values that a delta names with those that it holds. A second swap of the same delta
    /// restores exactly what was before, as long as nothing else was swapped in between.
    pub fn swap(&mut self, delta: &mut ExporterTreeDelta) {
        swap_entries(&mut self.nodes, &mut delta.nodes);
        if !self.exported.insert(delta.component) {
            self.exported.remove(&delta.component);
        }
    }

    /// All rows of this tree, by node index: a secret, or nothing for a leaf that was exported.
    pub fn rows(&self) -> impl Iterator<Item = (u64, &[u8])> {
        let nodes = self.nodes.iter().map(|(node, secret)| (node.0.into(), secret.expose()));
        let exported = self.exported.iter().map(|id| (Self::leaf(*id).node().0.into(), &[][..]));
        nodes.chain(exported)
    }

    /// Loads a tree from its stored rows, in any order. Every leaf must have exactly one row at or above
    /// it.
    ///
    /// # Errors
    /// [`ExporterError::DamagedRow`], [`ExporterError::MissingRow`].
    pub fn load<'a>(rows: impl Iterator<Item = (u64, &'a [u8])>) -> Result<Self, ExporterError> {
        let mut tree = Self { nodes: BTreeMap::new(), exported: BTreeSet::new() };
        for (index, content) in rows {
            let damaged = ExporterError::DamagedRow(index);
            let node = u32::try_from(index).map(NodeIndex).map_err(|_| damaged)?;
            let new = match (content, node.leaf()) {
                _ if !Self::size().has_node(node) => false,
                ([], Some(leaf)) => {
                    u16::try_from(leaf.0).is_ok_and(|id| tree.exported.insert(ComponentId(id)))
                }
                ([], None) => false,
                (secret, _) => tree.nodes.insert(node, Secret::copy_from(secret)).is_none(),
            };
            if !new {
                return Err(damaged);
            }
        }

        let mut found = BTreeSet::new();
        tree.find_below(Self::size().root(), &mut found)?;
        let exported = |id: &ComponentId| Self::leaf(*id).node();
        let mut all = tree.nodes.keys().copied().chain(tree.exported.iter().map(exported));
        let stray = all.find(|node| !found.remove(node));
        stray.map_or(Ok(tree), |node| Err(ExporterError::DamagedRow(node.0.into())))
    }

    /// Finds the topmost rows at and below a node, which must leave no gap. Takes time proportional to
    /// the number of rows.
    fn find_below(
        &self,
        node: NodeIndex,
        found: &mut BTreeSet<NodeIndex>,
    ) -> Result<(), ExporterError> {
        let exported = |leaf: LeafIndex| {
            u16::try_from(leaf.0).is_ok_and(|id| self.exported.contains(&ComponentId(id)))
        };
        if self.nodes.contains_key(&node) || node.leaf().is_some_and(exported) {
            found.insert(node);
            return Ok(());
        }
        match node.children() {
            Some((left, right)) if self.any_below(node) => {
                self.find_below(left, found)?;
                self.find_below(right, found)
            }
            _ => Err(ExporterError::MissingRow(node.0.into())),
        }
    }

    /// Whether there is a row below a node.
    fn any_below(&self, node: NodeIndex) -> bool {
        let leaves = node.leaves();
        let nodes = LeafIndex(leaves.start).node()..LeafIndex(leaves.end).node();
        let first = u16::try_from(leaves.start).unwrap_or(u16::MAX);
        let last = u16::try_from(leaves.end.saturating_sub(1)).unwrap_or(u16::MAX);
        let mut exported = self.exported.range(ComponentId(first)..=ComponentId(last));
        exported.next().is_some() || self.nodes.range(nodes).next().is_some()
    }
}

impl ExporterTreeDelta {
    /// The rows to store with their new contents, by node index; `None` deletes a row.
    ///
    /// Call this before the delta is swapped in. Afterwards it holds the old values.
    pub fn rows(&self) -> impl Iterator<Item = (u64, Option<&[u8]>)> {
        let leaf = ExporterTree::leaf(self.component).node();
        let nodes = self.nodes.iter().filter(move |(node, _)| **node != leaf);
        let nodes =
            nodes.map(|(node, secret)| (node.0.into(), secret.as_ref().map(Secret::expose)));
        nodes.chain([(leaf.0.into(), Some(&[][..]))])
    }
}

#[cfg(test)]
mod tests;
