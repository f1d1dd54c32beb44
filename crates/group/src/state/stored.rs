//! A member's rows: how they are written, and a group from them.

use crate::config::Config;
use crate::error::Error;
use crate::event::Event;
use crate::state::checkpoints::Checkpoints;
use crate::state::exporter;
use crate::state::group::{CurrentSecrets, Delta, Group, PastEpoch};
use crate::state::pending::{PendingCommit, PendingUpdate};
use crate::state::public::PublicState;
use crate::state::targeted::{TargetedKeys, TargetedRead};
use crate::store::context_codec::{
    AppDataChanges, dictionary, differences, put_context, restore_context,
};
use crate::store::row_codec::{
    EpochRows, Ledger, StoredRows, component_id, count_after, named, node_index, nothing_left,
    put_secret, take_secret, tree_size,
};
use crate::store::rows::{Batch, RowKey, Table};
use crate::transition::{Revision, Transition};
use crate::view::epoch::PublicEpoch;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;
use conclave_crypto::{CryptoProvider, HpkePrivateKey, Secret, SignatureKeyPair, Suite};
use conclave_schedule::{
    EpochAuthenticator, ExporterSecret, ExternalSecret, InitSecret, MembershipKey, ResumptionPsk,
    SecretTree, SecretTreeRow, SenderDataSecret,
};
use conclave_tree::TreeRead;
use conclave_wire::{Bytes, Decode, Encode, Epoch, LeafIndex, NodeIndex, Reader, TreeSize, Writer};

/// The header row.
pub(crate) fn header_row(
    public: &PublicEpoch,
    own_leaf: LeafIndex,
    tree_size: TreeSize,
    signer: &SignatureKeyPair,
    secrets: &CurrentSecrets,
) -> Result<Secret, Error> {
    let mut w = Writer::secret();
    public.encode(&mut w)?;
    own_leaf.encode(&mut w)?;
    tree_size.leaf_count().encode(&mut w)?;
    put_secret(&mut w, &signer.private)?;
    signer.public.encode(&mut w)?;

    put_secret(&mut w, secrets.init.as_secret())?;
    put_secret(&mut w, secrets.sender_data.as_secret())?;
    put_secret(&mut w, secrets.exporter.as_secret())?;
    put_secret(&mut w, secrets.external.as_secret())?;
    put_secret(&mut w, secrets.membership_key.as_secret())?;
    put_secret(&mut w, secrets.resumption_psk.as_secret())?;
    put_secret(&mut w, secrets.epoch_authenticator.as_secret())?;
    Ok(Secret::new(w.finish()))
}

/// The contents of the header row.
struct Header {
    public: PublicEpoch,
    own_leaf: LeafIndex,
    tree_size: TreeSize,
    signer: SignatureKeyPair,
    secrets: CurrentSecrets,
}

fn header_from_row(bytes: &[u8]) -> Result<Header, Error> {
    let mut r = Reader::new(bytes);
    let header = Header {
        public: PublicEpoch::decode(&mut r)?,
        own_leaf: Decode::decode(&mut r)?,
        tree_size: tree_size(&mut r)?,
        signer: SignatureKeyPair::new(take_secret(&mut r)?, Decode::decode(&mut r)?),
        secrets: CurrentSecrets {
            init: InitSecret::from_secret(take_secret(&mut r)?),
            sender_data: SenderDataSecret::from_secret(take_secret(&mut r)?),
            exporter: ExporterSecret::from_secret(take_secret(&mut r)?),
            external: ExternalSecret::from_secret(take_secret(&mut r)?),
            membership_key: MembershipKey::from_secret(take_secret(&mut r)?),
            resumption_psk: ResumptionPsk::from_secret(take_secret(&mut r)?),
            epoch_authenticator: EpochAuthenticator::from_secret(take_secret(&mut r)?),
        },
    };
    nothing_left(&r)?;
    Ok(header)
}

/// The row of a past epoch, since which the data of so many components has changed.
pub(crate) fn past_epoch_row(past: &PastEpoch, changed: usize) -> Result<Secret, Error> {
    let mut w = Writer::secret();
    put_context(&mut w, &past.context, changed)?;
    put_secret(&mut w, past.sender_data.as_secret())?;
    put_secret(&mut w, past.resumption_psk.as_secret())?;
    past.tree_size.leaf_count().encode(&mut w)?;
    past.ended.encode(&mut w)?;
    u32::try_from(past.leaves.len()).unwrap_or(u32::MAX).encode(&mut w)?;
    Ok(Secret::new(w.finish()))
}

/// A past epoch without its leaves, and the number of leaves that it should have.
fn past_epoch_from_row(bytes: &[u8]) -> Result<(PastEpoch, u32), Error> {
    let mut r = Reader::new(bytes);
    let past = PastEpoch {
        context: Decode::decode(&mut r)?,
        sender_data: SenderDataSecret::from_secret(take_secret(&mut r)?),
        resumption_psk: ResumptionPsk::from_secret(take_secret(&mut r)?),
        tree_size: tree_size(&mut r)?,
        ended: Decode::decode(&mut r)?,
        leaves: BTreeMap::new(),
        targeted: None,
    };
    let leaves = Decode::decode(&mut r)?;
    nothing_left(&r)?;
    Ok((past, leaves))
}

/// The row of a leaf, or of a component's data, as it was in a past epoch.
pub(crate) fn past_value_row(value: Option<&[u8]>) -> Result<Secret, Error> {
    let mut w = Writer::new();
    value.map(Bytes::from).encode(&mut w)?;
    Ok(Secret::new(w.finish()))
}

fn past_value_from_row(bytes: &[u8]) -> Result<Option<Bytes>, Error> {
    Ok(Decode::from_bytes(bytes)?)
}

pub(crate) fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// The rows of a secret tree's change.
pub(crate) fn put_secret_tree_rows(
    epoch: Epoch,
    rows: impl IntoIterator<Item = (SecretTreeRow, Option<Secret>)>,
    batch: &mut Batch,
) {
    for (row, value) in rows {
        batch.set(secret_tree_key(epoch, row), value.as_ref().map(Secret::expose));
    }
}

fn secret_tree_key(epoch: Epoch, row: SecretTreeRow) -> RowKey {
    let (kind, index) = row.to_index();
    let table = match kind {
        0 => Table::SecretTreeNode,
        1 => Table::Ratchet,
        _ => Table::SkippedKey,
    };
    RowKey::of_epoch(table, epoch.0, index)
}

fn secret_tree_row(key: &RowKey) -> Option<SecretTreeRow> {
    let kind = match key.table {
        Table::SecretTreeNode => 0,
        Table::Ratchet => 1,
        Table::SkippedKey => 2,
        Table::Header
        | Table::Tree
        | Table::PrivateKey
        | Table::Proposal
        | Table::PastEpoch
        | Table::PastLeaf
        | Table::PendingUpdate
        | Table::PendingCommit
        | Table::ObserverHeader
        | Table::GroupInfo
        | Table::Ledger
        | Table::Policy
        | Table::AppData
        | Table::PastAppData
        | Table::ExporterNode
        | Table::TargetedKeys
        | Table::TargetedRead
        | Table::Checkpoint
        | Table::OwnRecord => return None,
    };
    SecretTreeRow::from_index(kind, key.index)
}

/// Checks that the next rows of secret trees belong to this epoch or a later one; if there is no epoch,
/// that no rows are left.
fn no_rows_before(epoch: Option<Epoch>, tables: &[EpochRows<'_>]) -> Result<(), Error> {
    let next = tables.iter().filter_map(EpochRows::next_epoch).min();
    match next.filter(|next| epoch.is_none_or(|epoch| *next < epoch.0)) {
        Some(stray) => Err(Error::storage(format!("secret tree of unknown epoch {stray}"))),
        None => Ok(()),
    }
}

/// # Storing
impl Group {
    /// All rows of the group: what a store holds after every batch so far.
    ///
    /// # Errors
    /// None for a group that could be stored before.
    pub fn rows(&self) -> Result<Batch, Error> {
        let mut batch = self.batch();
        batch.clear = true;
        let Some(secrets) = &self.secrets else { return Ok(batch) };

        self.put_current_rows(secrets, &mut batch)?;
        for (epoch, past) in &self.past {
            self.put_key_rows(*epoch, &mut batch);
            let next = epoch.next().and_then(|next| self.past.get(&next));
            let next = next.map_or(self.context(), |next| &next.context);
            let changed = differences(&past.context.extensions, &next.extensions)?;
            let row = past_epoch_row(past, changed.len())?;
            batch.put(RowKey::of_epoch(Table::PastEpoch, epoch.0, 0), row.expose());
            for (leaf, encoded) in &past.leaves {
                let key = RowKey::of_epoch(Table::PastLeaf, epoch.0, leaf.0.into());
                batch.put(key, past_value_row(encoded.as_deref())?.expose());
            }
            for (component, old) in changed {
                let key = RowKey::of_epoch(Table::PastAppData, epoch.0, component.0.into());
                batch.put(key, past_value_row(old.as_deref())?.expose());
            }
            if let Some(keys) = &past.targeted {
                let key = RowKey::of_epoch(Table::TargetedKeys, epoch.0, 0);
                batch.put(key, keys.to_row()?.expose());
            }
        }
        if let Some(pending) = &self.pending_commit {
            batch.put(RowKey::new(Table::PendingCommit, 0), pending.to_row()?.expose());
        }
        Checkpoints::default().put_changes(&self.checkpoints, &mut batch)?;

        self.ledger().put(&mut batch);
        Ok(batch)
    }

    /// A group from its stored rows, in any order: the sum of all batches that were written.
    ///
    /// ```
    #[doc = two_members!()]
    /// # let mut rows = std::collections::BTreeMap::new();
    /// # alice.rows()?.apply_to(&mut rows);
    /// // `rows` is what the store gives back: pairs of a `RowKey` and a `Secret`.
    /// let group = Group::load(&provider, Config::default(), rows)?;
    /// assert_eq!(group.epoch(), alice.epoch());
    /// # Done::Ok(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Storage`] if a row is damaged or missing, or does not fit the others: the text
    /// names it. [`Misuse::OtherPolicy`](crate::Misuse::OtherPolicy) if the group was stored under
    /// another policy.
    pub fn load(
        provider: &dyn CryptoProvider,
        config: Config,
        rows: impl IntoIterator<Item = (RowKey, Secret)>,
    ) -> Result<Self, Error> {
        let rows = StoredRows::new(rows);
        let header = header_from_row(rows.single(Table::Header)?);
        let header = named(&RowKey::new(Table::Header, 0), header)?;
        rows.check(&header.public.context.group_id)?;
        let suite = Suite::new(provider, header.public.context.cipher_suite)?;

        let public =
            PublicState::from_rows(&suite, config, header.public, header.tree_size, &rows)?;
        let mut group = Self {
            own_leaf: header.own_leaf,
            signer: header.signer,
            secrets: Some(Box::new(header.secrets)),
            secret_trees: BTreeMap::new(),
            exporter: None,
            past: BTreeMap::new(),
            targeted_read: TargetedRead::default(),
            private_keys: BTreeMap::new(),
            pending_updates: BTreeMap::new(),
            pending_commit: None,
            checkpoints: Checkpoints::default(),
            public,
            revision: Revision::first(),
        };
        if group.public.tree.signature_key(group.own_leaf).as_ref() != Some(&group.signer.public) {
            return Err(Error::storage("our leaf does not have the header's signature key"));
        }

        let mut past_leaves = Vec::new();
        for (key, row) in rows.iter() {
            named(key, group.load_row(&suite, key, row, &mut past_leaves))?;
        }
        group.check_past_epochs(past_leaves)?;
        group.restore_past_contexts(&rows)?;
        if let Some(later) = group.checkpoints.epochs().find(|epoch| *epoch > group.epoch()) {
            return Err(Error::storage(format!("a checkpoint of the later epoch {later}")));
        }
        group.load_secret_trees(&rows)?;
        group.exporter = exporter::load(&rows, group.epoch())?;
        group.ledger().check(&rows)?;
        group.check_private_keys()?;
        Ok(group)
    }
}

impl Group {
    /// Writes the rows of the current epoch, apart from the pending commit and the ledger.
    pub(crate) fn put_current_rows(
        &self,
        secrets: &CurrentSecrets,
        batch: &mut Batch,
    ) -> Result<(), Error> {
        let size = self.public.tree.size();
        let header = header_row(&self.public.epoch, self.own_leaf, size, &self.signer, secrets)?;
        batch.put(RowKey::new(Table::Header, 0), header.expose());
        self.public.put_rows(batch)?;

        for (node, key) in &self.private_keys {
            batch.put(RowKey::new(Table::PrivateKey, node.0.into()), key.0.expose());
        }
        self.put_key_rows(self.epoch(), batch);
        if let Some(tree) = &self.exporter {
            exporter::put_rows(self.epoch(), tree, batch);
        }
        for (place, update) in &self.pending_updates {
            batch.put(RowKey::new(Table::PendingUpdate, *place), update.to_row()?.expose());
        }
        Ok(())
    }

    /// Writes the keys of an epoch's messages, and which targeted ones were read.
    fn put_key_rows(&self, epoch: Epoch, batch: &mut Batch) {
        if let Some(tree) = self.secret_trees.get(&epoch) {
            let rows = tree.rows().into_iter().map(|(row, secret)| (row, Some(secret)));
            put_secret_tree_rows(epoch, rows, batch);
        }
        self.targeted_read.put_rows(epoch, batch);
    }

    /// Checks that past epochs follow each other up to the current one, each with all its leaves.
    fn check_past_epochs(&self, past_leaves: Vec<(Epoch, u32)>) -> Result<(), Error> {
        for (epoch, wanted) in past_leaves {
            let found = self.past.get(&epoch).map_or(0, |past| past.leaves.len());
            if u32::try_from(found) != Ok(wanted) {
                let what = format!("{found} PastLeaf rows of epoch {epoch}, not {wanted}");
                return Err(Error::storage(what));
            }
        }

        let mut next = self.epoch();
        for past in self.past.keys().rev() {
            if past.next() != Some(next) {
                return Err(Error::storage(format!("a past epoch before {next} is missing")));
            }
            next = *past;
        }
        Ok(())
    }

    /// Puts the data of components into the contexts of past epochs, from the last to the first: a row
    /// holds what differs from the epoch after it.
    fn restore_past_contexts(&mut self, rows: &StoredRows) -> Result<(), Error> {
        let mut changes: BTreeMap<Epoch, AppDataChanges> = BTreeMap::new();
        for (key, row) in rows.of_epochs(Table::PastAppData).contents() {
            let old =
                named(key, component_id(key).and_then(|id| Ok((id, past_value_from_row(row)?))));
            changes.entry(Epoch(key.epoch)).or_default().extend([old?]);
        }

        let mut data = dictionary(&self.public.epoch.context.extensions)?;
        for (epoch, past) in self.past.iter_mut().rev() {
            let changed = changes.remove(epoch).unwrap_or_default();
            let count = changed.len();
            for (component, old) in changed {
                match old {
                    Some(old) => data.insert(component, old),
                    None => data.remove(&component),
                };
            }
            named(
                &RowKey::of_epoch(Table::PastEpoch, epoch.0, 0),
                restore_context(&mut past.context, &data, count),
            )?;
        }
        match changes.keys().next() {
            Some(stray) => {
                Err(Error::storage(format!("PastAppData rows of unknown epoch {stray}")))
            }
            None => Ok(()),
        }
    }

    /// Puts together the secret tree of each epoch.
    fn load_secret_trees(&mut self, rows: &StoredRows) -> Result<(), Error> {
        let tables = [Table::SecretTreeNode, Table::Ratchet, Table::SkippedKey];
        let mut tables = tables.map(|table| rows.of_epochs(table));
        let current = (self.epoch(), self.public.tree.size());
        let past = self.past.iter().map(|(epoch, past)| (*epoch, past.tree_size));

        for (epoch, size) in past.chain([current]) {
            no_rows_before(Some(epoch), &tables)?;
            let of_epoch = tables.each_mut().map(|rows| rows.take(epoch.0));
            let of_epoch = of_epoch.into_iter().flat_map(EpochRows::contents);
            let of_epoch = of_epoch.filter_map(|(key, row)| Some((secret_tree_row(key)?, row)));
            let tree = SecretTree::load(size, of_epoch)
                .map_err(|e| Error::storage(format!("secret tree of epoch {epoch}: {e}")))?;
            self.secret_trees.insert(epoch, tree);
        }
        no_rows_before(None, &tables)
    }

    /// Checks that there is a private key for our leaf and for each node above it that is not
    /// blank, unless we have not learned it yet, and no other.
    fn check_private_keys(&self) -> Result<(), Error> {
        if let Some(node) = self.missing_private_key() {
            let key = RowKey::new(Table::PrivateKey, node.0.into());
            return Err(Error::storage(format!("{key} is missing")));
        }
        let above = self.own_leaf_and_above();
        let found = above.filter(|node| self.private_keys.contains_key(node)).count();
        if found != self.private_keys.len() {
            return Err(Error::storage("a PrivateKey row is of a node that is not above our leaf"));
        }
        Ok(())
    }

    fn own_leaf_and_above(&self) -> impl Iterator<Item = NodeIndex> {
        let me = self.own_leaf.node();
        core::iter::once(me).chain(self.public.tree.size().direct_path(me))
    }

    /// Our leaf or a node above it, not blank, whose private key we should know and do not.
    pub(crate) fn missing_private_key(&self) -> Option<NodeIndex> {
        let tree = &self.public.tree;
        let me = self.own_leaf;
        self.own_leaf_and_above().find(|node| {
            let known = match tree.is_unmerged(*node, me) {
                Some(unmerged) => !unmerged,
                None => *node == me.node(),
            };
            known && !self.private_keys.contains_key(node)
        })
    }

    pub(crate) fn ledger(&self) -> Ledger {
        let (checkpoints, own_records) = self.checkpoints.counts();
        Ledger {
            past_epochs: count(self.past.len()),
            proposals: count(self.public.proposals.len()),
            pending_updates: count(self.pending_updates.len()),
            targeted_keys: count(self.past.values().filter(|past| past.targeted.is_some()).count()),
            targeted_read: count(self.targeted_read.total_after(&BTreeMap::new())),
            checkpoints: count(checkpoints),
            own_records: count(own_records),
            single: self.pending_commit.is_some(),
            policy: !self.public.epoch.policy.is_empty(),
            exporter: self.exporter.is_some(),
        }
    }

    /// A step of this state, with the count of its rows if that changes.
    pub(crate) fn step<O: Into<Event>>(
        &self,
        delta: Delta,
        mut batch: Batch,
        outcome: O,
    ) -> Transition<Self, O> {
        self.put_ledger(&delta, &mut batch);
        Transition::new(self, delta, batch, outcome)
    }

    /// A step without an outcome.
    pub(crate) fn silent_step(
        &self,
        delta: Delta,
        mut batch: Batch,
        event: Event,
    ) -> Transition<Self> {
        self.put_ledger(&delta, &mut batch);
        Transition::silent(self, delta, batch, event)
    }

    fn put_ledger(&self, delta: &Delta, batch: &mut Batch) {
        let past = &self.past;
        let past_epochs = count_after(past.len(), |k| past.contains_key(k), delta.past.iter());
        let proposals = &self.public.proposals;
        let changes = delta.public.proposals.iter();
        let proposals = count_after(proposals.len(), |k| proposals.has(*k), changes);
        let updates = &self.pending_updates;
        let changes = delta.pending_updates.iter();
        let pending_updates = count_after(updates.len(), |k| updates.contains_key(k), changes);
        let checkpoints = delta.checkpoints.as_ref().unwrap_or(&self.checkpoints);
        let (checkpoints, own_records) = checkpoints.counts();

        let ledger = Ledger {
            past_epochs,
            proposals,
            pending_updates,
            targeted_keys: self.targeted_keys_after(delta),
            targeted_read: count(self.targeted_read.total_after(&delta.targeted_read)),
            checkpoints: count(checkpoints),
            own_records: count(own_records),
            single: delta.pending_commit.is_some_after(self.pending_commit.is_some()),
            policy: !delta.public.epoch.as_ref().unwrap_or(&self.public.epoch).policy.is_empty(),
            exporter: delta.exporter.is_some_after(self.exporter.is_some()),
        };
        if !batch.clear && ledger != self.ledger() {
            ledger.put(batch);
        }
    }

    /// The number of past epochs with keys for targeted messages, after a step.
    fn targeted_keys_after(&self, delta: &Delta) -> u32 {
        let changed = |epoch: &Epoch| delta.past.contains_key(epoch);
        let kept = self.past.iter().filter(|(epoch, _)| !changed(epoch)).map(|(_, past)| past);
        let new = delta.past.values().flatten();
        count(kept.chain(new).filter(|past| past.targeted.is_some()).count())
    }

    /// Loads a row, unless it is loaded before or after, and notes how many leaves a past epoch should
    /// have.
    fn load_row(
        &mut self,
        suite: &Suite<'_>,
        key: &RowKey,
        row: &[u8],
        past_leaves: &mut Vec<(Epoch, u32)>,
    ) -> Result<(), Error> {
        match key.table {
            Table::Header
            | Table::Tree
            | Table::Proposal
            | Table::Ledger
            | Table::Policy
            | Table::AppData
            | Table::PastAppData
            | Table::ExporterNode => {}
            Table::PrivateKey => {
                let node = NodeIndex(node_index(key));
                self.private_keys.insert(node, HpkePrivateKey(Secret::copy_from(row)));
            }
            Table::SecretTreeNode | Table::Ratchet | Table::SkippedKey => {
                secret_tree_row(key).ok_or_else(|| Error::storage("no such place"))?;
            }
            Table::PastEpoch => {
                let (past, leaves) = past_epoch_from_row(row)?;
                past_leaves.push((Epoch(key.epoch), leaves));
                self.past.insert(Epoch(key.epoch), past);
            }
            // Past leaves are sorted behind past epochs, so their epoch is known here.
            Table::PastLeaf => {
                let leaf = past_value_from_row(row)?;
                let past = self
                    .past
                    .get_mut(&Epoch(key.epoch))
                    .ok_or_else(|| Error::storage("its PastEpoch row is missing"))?;
                past.leaves.insert(LeafIndex(node_index(key)), leaf);
            }
            Table::TargetedKeys => {
                let keys = TargetedKeys::from_row(row)?;
                let past = self.past.get_mut(&Epoch(key.epoch));
                past.ok_or_else(|| Error::storage("its PastEpoch row is missing"))?.targeted =
                    Some(keys);
            }
            Table::TargetedRead => {
                let epoch = Epoch(key.epoch);
                if epoch != self.epoch() && !self.past.contains_key(&epoch) {
                    return Err(Error::storage("its PastEpoch row is missing"));
                }
                self.targeted_read.load(epoch, key.index, row);
            }
            Table::PendingUpdate => {
                self.pending_updates.insert(key.index, PendingUpdate::from_row(row)?);
            }
            Table::PendingCommit => {
                let pending = PendingCommit::from_row(suite, row, self.config())?;
                self.pending_commit = Some(Box::new(pending));
            }
            Table::Checkpoint => self.checkpoints.load_copy(key, row)?,
            Table::OwnRecord => {
                let config = &self.public.config;
                self.checkpoints.load_record(suite, key, row, config)?;
            }
            Table::ObserverHeader | Table::GroupInfo => {
                return Err(Error::storage("it is an observer's, not a member's"));
            }
        }
        Ok(())
    }
}
