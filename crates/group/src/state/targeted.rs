//! What a member keeps for targeted messages (draft-ietf-mls-targeted-messages-02): the keys of past
//! epochs, and which messages it has read.

use crate::error::Error;
use crate::store::row_codec::{nothing_left, put_secret, take_secret};
use crate::store::rows::{Batch, RowKey, Table};
use alloc::collections::BTreeMap;
use conclave_crypto::{HpkePrivateKey, Secret};
use conclave_framing::TargetedSecrets;
use conclave_schedule::SenderDataSecret;
use conclave_wire::{
    Bytes, Epoch, ExtensionType, LeafNode, Reader, WireFormat, WireFormats, Writer, find_extension,
};

/// Whether a leaf says that its client takes targeted messages.
pub(crate) fn supports_targeted(leaf: &LeafNode) -> bool {
    let listed: Result<Option<WireFormats>, _> =
        find_extension(&leaf.extensions, ExtensionType::SUPPORTED_WIRE_FORMATS);
    let listed = listed.ok().flatten().unwrap_or_default();
    listed.wire_formats.contains(&WireFormat::TARGETED_MESSAGE)
}

/// What opens the targeted messages of a past epoch: no more of its key schedule than their two
/// secrets, and the key of our leaf.
#[derive(Clone)]
pub(crate) struct TargetedKeys {
    pub(crate) secrets: TargetedSecrets,
    pub(crate) leaf_key: HpkePrivateKey,
}

impl TargetedKeys {
    pub(crate) fn to_row(&self) -> Result<Secret, Error> {
        let mut w = Writer::secret();
        put_secret(&mut w, &self.secrets.psk)?;
        put_secret(&mut w, self.secrets.sender_auth_data.as_secret())?;
        put_secret(&mut w, &self.leaf_key.0)?;
        Ok(Secret::new(w.finish()))
    }

    pub(crate) fn from_row(bytes: &[u8]) -> Result<Self, Error> {
        let mut r = Reader::new(bytes);
        let psk = take_secret(&mut r)?;
        let sender_auth_data = SenderDataSecret::from_secret(take_secret(&mut r)?);
        let leaf_key = HpkePrivateKey(take_secret(&mut r)?);
        nothing_left(&r)?;
        Ok(Self { secrets: TargetedSecrets { psk, sender_auth_data }, leaf_key })
    }
}

/// The messages of an epoch, by the hash of their ciphertext, with the index of their rows.
type Messages = BTreeMap<Bytes, u64>;

/// The targeted messages that were read, by epoch. An epoch without any has no entry.
#[derive(Default)]
pub(crate) struct TargetedRead(BTreeMap<Epoch, Messages>);

/// Changes of [`TargetedRead`], by epoch.
pub(crate) type TargetedReadDelta = BTreeMap<Epoch, TargetedReadChange>;

/// A change of an epoch's read messages.
pub(crate) enum TargetedReadChange {
    /// One is there that was not, or the reverse.
    One(Bytes, u64),
    /// All are replaced.
    All(Messages),
}

impl TargetedRead {
    pub(crate) fn has(&self, epoch: Epoch, hash: &[u8]) -> bool {
        let hash = Bytes::from(hash);
        self.0.get(&epoch).is_some_and(|messages| messages.contains_key(&hash))
    }

    /// The number of messages of an epoch.
    pub(crate) fn count(&self, epoch: Epoch) -> usize {
        self.0.get(&epoch).map_or(0, Messages::len)
    }

    /// The change that adds a message, which must be new, with its row.
    pub(crate) fn add(
        &self,
        epoch: Epoch,
        hash: &[u8],
        delta: &mut TargetedReadDelta,
        batch: &mut Batch,
    ) {
        // Messages are removed only with their epoch, so their number is a free index.
        let index = u64::try_from(self.count(epoch)).unwrap_or(u64::MAX);
        batch.put(RowKey::of_epoch(Table::TargetedRead, epoch.0, index), hash);
        delta.insert(epoch, TargetedReadChange::One(hash.into(), index));
    }

    /// The change that forgets an epoch. Its rows are deleted with the epoch.
    pub(crate) fn forget(&self, epoch: Epoch, delta: &mut TargetedReadDelta) {
        if self.0.contains_key(&epoch) {
            delta.insert(epoch, TargetedReadChange::All(Messages::new()));
        }
    }

    /// The change that forgets all epochs.
    pub(crate) fn forget_all(&self) -> TargetedReadDelta {
        self.0.keys().map(|epoch| (*epoch, TargetedReadChange::All(Messages::new()))).collect()
    }

    /// Adds a loaded row.
    pub(crate) fn load(&mut self, epoch: Epoch, index: u64, hash: &[u8]) {
        self.0.entry(epoch).or_default().insert(hash.into(), index);
    }

    /// Writes the rows of an epoch.
    pub(crate) fn put_rows(&self, epoch: Epoch, batch: &mut Batch) {
        for (hash, index) in self.0.get(&epoch).into_iter().flatten() {
            batch.put(RowKey::of_epoch(Table::TargetedRead, epoch.0, *index), hash);
        }
    }

    /// Adds the messages of all epochs before this one.
    pub(crate) fn extend_before(&mut self, epoch: Epoch, other: &Self) {
        self.0.extend(other.0.range(..epoch).map(|(past, read)| (*past, read.clone())));
    }

    /// The number of messages of all epochs, after changes.
    pub(crate) fn total_after(&self, delta: &TargetedReadDelta) -> usize {
        let unchanged = self.0.iter().filter(|(epoch, _)| !delta.contains_key(epoch));
        let unchanged: usize = unchanged.map(|(_, messages)| messages.len()).sum();
        let changed = delta.iter().map(|(epoch, change)| match change {
            TargetedReadChange::One(hash, _) if self.has(*epoch, hash) => {
                self.count(*epoch).saturating_sub(1)
            }
            TargetedReadChange::One(..) => self.count(*epoch).saturating_add(1),
            TargetedReadChange::All(messages) => messages.len(),
        });
        unchanged.saturating_add(changed.sum())
    }

    /// Exchanges what a delta names with what it holds. A second swap restores what was before.
    pub(crate) fn swap(&mut self, delta: &mut TargetedReadDelta) {
        for (epoch, change) in delta {
            let messages = self.0.entry(*epoch).or_default();
            match change {
                TargetedReadChange::One(hash, index) => {
                    if messages.remove(hash).is_none() {
                        messages.insert(hash.clone(), *index);
                    }
                }
                TargetedReadChange::All(others) => core::mem::swap(messages, others),
            }
            if messages.is_empty() {
                self.0.remove(epoch);
            }
        }
    }
}
