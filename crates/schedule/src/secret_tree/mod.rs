//! The secret tree and its ratchets (section 9).
//!
//! The tree holds what has not been consumed: node secrets, the head of each opened ratchet, and
//! the keys of skipped generations. Deriving a key takes `&self`. The [`SecretTreeDelta`] that
//! comes with the key holds what its use consumes, which is gone once the delta is swapped in. A
//! ciphertext that cannot be decrypted costs no key: its delta is dropped.

mod delta;
mod error;
mod ratchet;
mod row;
mod rows;

pub use delta::SecretTreeDelta;
pub use error::RatchetError;
pub use ratchet::{MessageKey, RatchetKind, RatchetLimits};
pub use row::SecretTreeRow;

use crate::EncryptionSecret;
use crate::node_secrets::{NodeSecrets, consume_path, swap_entries};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use conclave_crypto::Suite;
use conclave_wire::{LeafIndex, TreeSize};
use core::fmt;
use ratchet::{Ratchet, RatchetId};

/// The message keys of one epoch that have not been consumed.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretTree {
    size: TreeSize,
    /// Secrets of nodes below which no leaf has been opened.
    nodes: NodeSecrets,
    /// Both ratchets of each opened leaf.
    ratchets: BTreeMap<RatchetId, Ratchet>,
    /// Unused keys of generations that a ratchet has passed.
    skipped: BTreeMap<(RatchetId, u32), MessageKey>,
}

impl fmt::Debug for SecretTree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretTree")
            .field("size", &self.size)
            .field("nodes", &self.nodes.len())
            .field("ratchets", &self.ratchets.len())
            .field("skipped", &self.skipped.len())
            .finish()
    }
}

impl SecretTree {
    /// The secret tree of an epoch with a ratchet tree of this size.
    #[must_use]
    pub fn new(size: TreeSize, encryption: EncryptionSecret) -> Self {
        Self {
            size,
            nodes: BTreeMap::from([(size.root(), encryption.into_secret())]),
            ratchets: BTreeMap::new(),
            skipped: BTreeMap::new(),
        }
    }

    /// Exchanges the values that a delta names with those that it holds. A second swap of the same
    /// delta restores exactly what was before, as long as nothing else was swapped in between.
    pub fn swap(&mut self, delta: &mut SecretTreeDelta) {
        swap_entries(&mut self.nodes, &mut delta.nodes);
        swap_entries(&mut self.ratchets, &mut delta.ratchets);
        swap_entries(&mut self.skipped, &mut delta.skipped);
    }

    /// The number of leaves.
    #[must_use]
    pub fn size(&self) -> TreeSize {
        self.size
    }

    /// The generation of a sender's next message if none of its messages is in transit: one more
    /// than the highest generation sent or received here.
    #[must_use]
    pub fn next_generation(&self, leaf: LeafIndex, kind: RatchetKind) -> u32 {
        self.ratchets.get(&RatchetId { leaf, kind }).map_or(0, |r| r.next)
    }

    /// Derives the key of a received message, with the delta of its use.
    ///
    /// A generation ahead of the ratchet costs one step per generation. The last
    /// [`RatchetLimits::max_skipped`] of the skipped keys are kept, as far as
    /// [`RatchetLimits::max_skipped_in_epoch`] allows.
    ///
    /// # Errors
    /// These are found before anything is derived: [`RatchetError::NoSuchLeaf`];
    /// [`RatchetError::KeyGone`] if the key was already used or dropped;
    /// [`RatchetError::TooFarAhead`]; [`RatchetError::Exhausted`] for generation 2^32 - 1, the end
    /// of every ratchet.
    pub fn receive(
        &self,
        suite: &Suite<'_>,
        leaf: LeafIndex,
        kind: RatchetKind,
        generation: u32,
        limits: RatchetLimits,
    ) -> Result<(MessageKey, SecretTreeDelta), RatchetError> {
        let id = self.ratchet_id(leaf, kind)?;
        let next = self.next_generation(leaf, kind);
        let Some(ahead) = generation.checked_sub(next) else {
            return self.take_skipped(id, generation);
        };
        if ahead > limits.max_forward {
            return Err(RatchetError::TooFarAhead { leaf, generation, by: ahead });
        }
        if generation == u32::MAX {
            return Err(RatchetError::Exhausted { leaf });
        }

        let mut delta = SecretTreeDelta::default();
        let mut ratchet = self.open(suite, id, &mut delta)?;
        self.drop_oldest_skipped(id, ahead, limits.max_skipped, &mut delta);

        // section 9.2: keep the keys of skipped generations
        while ratchet.next < generation {
            let generation_here = ratchet.next;
            ratchet = if generation - generation_here <= limits.max_skipped {
                let (key, next) = ratchet.message_key(suite)?;
                delta.skipped.insert((id, generation_here), Some(key));
                next
            } else {
                ratchet.step(suite)?
            };
        }

        let (key, ratchet) = ratchet.message_key(suite)?;
        delta.ratchets.insert(id, Some(ratchet));

        if ahead > 0 {
            self.share_room(limits.max_skipped_in_epoch, &mut delta);
        }
        self.count_skipped(&mut delta);
        Ok((key, delta))
    }

    /// The next generation of our own ratchet and its key, with the delta of its use.
    ///
    /// # Errors
    /// [`RatchetError::NoSuchLeaf`]; [`RatchetError::Exhausted`] after 2^32 - 1 messages in one
    /// epoch.
    pub fn send(
        &self,
        suite: &Suite<'_>,
        leaf: LeafIndex,
        kind: RatchetKind,
    ) -> Result<(u32, MessageKey, SecretTreeDelta), RatchetError> {
        let id = self.ratchet_id(leaf, kind)?;
        let generation = self.next_generation(leaf, kind);
        if generation == u32::MAX {
            return Err(RatchetError::Exhausted { leaf });
        }

        let mut delta = SecretTreeDelta::default();
        let ratchet = self.open(suite, id, &mut delta)?;
        let (key, next) = ratchet.message_key(suite)?;
        delta.ratchets.insert(id, Some(next));
        Ok((generation, key, delta))
    }

    /// Moves a ratchet on to a generation without deriving the keys before it, which are then gone. This takes
    /// one derivation for each generation that it passes. No change if the ratchet is already that far.
    ///
    /// # Errors
    /// [`RatchetError::NoSuchLeaf`].
    pub fn pass(
        &self,
        suite: &Suite<'_>,
        leaf: LeafIndex,
        kind: RatchetKind,
        generation: u32,
    ) -> Result<SecretTreeDelta, RatchetError> {
        let id = self.ratchet_id(leaf, kind)?;
        let mut delta = SecretTreeDelta::default();
        if self.next_generation(leaf, kind) >= generation {
            return Ok(delta);
        }

        let mut ratchet = self.open(suite, id, &mut delta)?;
        while ratchet.next < generation {
            ratchet = ratchet.step(suite)?;
        }
        delta.ratchets.insert(id, Some(ratchet));
        Ok(delta)
    }

    /// Derives the key of any generation that is still derivable, at any cost. This is for test
    /// vectors and tools, not for messages.
    ///
    /// # Errors
    /// Those of [`Self::receive`], without its limit.
    pub fn leaf_keys(
        &self,
        suite: &Suite<'_>,
        leaf: LeafIndex,
        kind: RatchetKind,
        generation: u32,
    ) -> Result<MessageKey, RatchetError> {
        let limits =
            RatchetLimits { max_forward: u32::MAX, max_skipped: 0, max_skipped_in_epoch: 0 };
        self.receive(suite, leaf, kind, generation, limits).map(|(key, _)| key)
    }

    fn ratchet_id(&self, leaf: LeafIndex, kind: RatchetKind) -> Result<RatchetId, RatchetError> {
        if self.size.has_leaf(leaf) {
            Ok(RatchetId { leaf, kind })
        } else {
            Err(RatchetError::NoSuchLeaf(leaf))
        }
    }

    /// The head of a ratchet. If this opens its leaf, the delta says so.
    fn open(
        &self,
        suite: &Suite<'_>,
        id: RatchetId,
        delta: &mut SecretTreeDelta,
    ) -> Result<Ratchet, RatchetError> {
        if let Some(ratchet) = self.ratchets.get(&id) {
            return Ok(ratchet.clone());
        }

        let nodes = &mut delta.nodes;
        let leaf_secret = consume_path(suite, self.size, &self.nodes, id.leaf, nodes)?
            .ok_or(RatchetError::SecretMissing(id.leaf))?;
        let opened = Ratchet::first(suite, &leaf_secret, id.kind)?;
        let other = RatchetId { leaf: id.leaf, kind: id.kind.other() };
        delta.ratchets.insert(other, Some(Ratchet::first(suite, &leaf_secret, other.kind)?));
        Ok(opened)
    }

    /// The key of a generation that was skipped, with the delta of its use.
    fn take_skipped(
        &self,
        id: RatchetId,
        generation: u32,
    ) -> Result<(MessageKey, SecretTreeDelta), RatchetError> {
        let gone = || RatchetError::KeyGone { leaf: id.leaf, generation };
        let key = self.skipped.get(&(id, generation)).ok_or_else(gone)?.clone();

        let mut delta = SecretTreeDelta::default();
        delta.skipped.insert((id, generation), None);
        self.count_skipped(&mut delta);
        Ok((key, delta))
    }

    /// Makes room for the keys that `ahead` steps skip.
    fn drop_oldest_skipped(
        &self,
        id: RatchetId,
        ahead: u32,
        max_skipped: u32,
        delta: &mut SecretTreeDelta,
    ) {
        if ahead == 0 {
            return;
        }

        let room = usize::try_from(max_skipped.saturating_sub(ahead)).unwrap_or(usize::MAX);
        let excess = self.skipped_of(id).count().saturating_sub(room);
        let oldest = self.skipped_of(id).take(excess);
        delta.skipped.extend(oldest.map(|generation| ((id, generation), None)));
    }

    /// Drops the oldest skipped keys of the ratchets that keep most, until their total is within
    /// the bound. A member who skips many generations thus pays with its own keys.
    fn share_room(&self, max_skipped: u32, delta: &mut SecretTreeDelta) {
        let new = delta.skipped.values().filter(|change| change.is_some()).count();
        let dropped = delta.skipped.len() - new;
        let kept = (self.skipped.len() + new).saturating_sub(dropped);
        let room = usize::try_from(max_skipped).unwrap_or(usize::MAX);
        if kept <= room {
            return;
        }

        let mut by_ratchet: BTreeMap<RatchetId, Vec<u32>> = BTreeMap::new();
        let old = self.skipped.keys().filter(|key| !delta.skipped.contains_key(key));
        let new = delta.skipped.iter().filter(|(_, change)| change.is_some()).map(|(key, _)| key);
        for (id, generation) in old.chain(new) {
            by_ratchet.entry(*id).or_default().push(*generation);
        }

        let most = level(by_ratchet.values().map(Vec::len), room);
        let at_level = by_ratchet.values().map(|keys| keys.len().min(most)).sum::<usize>();
        // The room that the level leaves free goes to the first ratchets above it, one key each.
        let mut left = room.saturating_sub(at_level);
        for (id, generations) in by_ratchet {
            let mut excess = generations.len().saturating_sub(most);
            if excess > 0 && left > 0 {
                excess -= 1;
                left -= 1;
            }
            for generation in generations.into_iter().take(excess) {
                let key = (id, generation);
                if self.skipped.contains_key(&key) {
                    delta.skipped.insert(key, None);
                } else {
                    delta.skipped.remove(&key);
                }
            }
        }
    }

    /// Updates the number of skipped keys in each ratchet whose keys a delta adds or drops.
    fn count_skipped(&self, delta: &mut SecretTreeDelta) {
        for ((id, _), change) in &delta.skipped {
            let ratchet =
                delta.ratchets.entry(*id).or_insert_with(|| self.ratchets.get(id).cloned());
            if let Some(ratchet) = ratchet {
                ratchet.skipped = match change {
                    Some(_) => ratchet.skipped.saturating_add(1),
                    None => ratchet.skipped.saturating_sub(1),
                };
            }
        }
    }

    /// The skipped generations of a ratchet with kept keys, in ascending order.
    fn skipped_of(&self, id: RatchetId) -> impl Iterator<Item = u32> {
        self.skipped.range((id, 0)..=(id, u32::MAX)).map(|((_, generation), _)| *generation)
    }
}

/// The highest level at which counts fit into the room if each count above the level is cut down to
/// it. The counts themselves must not fit, so that the highest count is above the level.
fn level(counts: impl Iterator<Item = usize> + Clone, room: usize) -> usize {
    let mut fits = 0;
    let mut over = counts.clone().max().unwrap_or(0);
    while over - fits > 1 {
        let middle = fits + (over - fits) / 2;
        if counts.clone().map(|n| n.min(middle)).sum::<usize>() <= room {
            fits = middle;
        } else {
            over = middle;
        }
    }
    fits
}

#[cfg(test)]
mod tests;
