//! A member's state of a group, its rows, and its steps.

use crate::cache::ProposalCache;
use crate::config::Config;
use crate::error::{Error, Misuse};
use crate::event::{Event, Member};
use crate::pending::{PendingCommit, PendingUpdate};
use crate::public::{
    PublicDelta, PublicEpoch, PublicState, ROW_VERSION, check_row_version, proposal_from_row,
};
use crate::rows::{Batch, RowKey, Table};
use crate::transition::{Fold, Revision, Sealed, State, swap_map, swap_value};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;
use conclave_crypto::{CryptoProvider, HpkePrivateKey, Secret, SignatureKeyPair, Suite};
use conclave_schedule::{
    EpochAuthenticator, EpochSecrets, ExporterSecret, ExternalSecret, InitSecret, MembershipKey,
    ResumptionPsk, SecretTree, SecretTreeDelta, SecretTreeRow, SenderDataSecret, export,
};
use conclave_tree::{RatchetTree, TreeError, TreeRead};
use conclave_wire::{
    Bytes, CipherSuite, Decode, Encode, Extension, GroupContext, GroupId, LeafIndex, NodeIndex,
    ReInit, Reader, TreeSize, Writer,
};
use core::fmt;

/// The secrets of the current epoch, but for its secret tree.
pub(crate) struct CurrentSecrets {
    pub(crate) init: InitSecret,
    pub(crate) sender_data: SenderDataSecret,
    pub(crate) exporter: ExporterSecret,
    pub(crate) external: ExternalSecret,
    pub(crate) membership_key: MembershipKey,
    pub(crate) resumption_psk: ResumptionPsk,
    pub(crate) epoch_authenticator: EpochAuthenticator,
}

/// What is kept of a past epoch, beside its secret tree.
pub(crate) struct PastEpoch {
    pub(crate) context: GroupContext,
    pub(crate) sender_data: SenderDataSecret,
    pub(crate) resumption_psk: ResumptionPsk,
    pub(crate) tree_size: TreeSize,
    /// When it ended, in seconds since 1970.
    pub(crate) ended: u64,
    /// The leaves that the next epoch has otherwise, as they were; none for a blank one.
    pub(crate) leaves: BTreeMap<LeafIndex, Option<Bytes>>,
}

/// Where this client stands in the group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It is a member.
    Active,
    /// It was removed; all secrets are gone.
    Removed,
    /// The group was closed by a ReInit and waits for its successor (section 11.2).
    Reinitialized,
}

/// A member's view of a group in its current epoch, with what is kept of past ones.
///
/// All operations take `&self` and yield a [`Transition`](crate::Transition); only
/// [`apply`](crate::apply) and a [`Fold`] change the group.
pub struct Group {
    pub(crate) config: Config,
    pub(crate) public: PublicState,
    pub(crate) own_leaf: LeafIndex,
    pub(crate) signer: SignatureKeyPair,
    /// None once this client was removed.
    pub(crate) secrets: Option<Box<CurrentSecrets>>,
    /// By epoch, the current one included.
    pub(crate) secret_trees: BTreeMap<u64, SecretTree>,
    pub(crate) past: BTreeMap<u64, PastEpoch>,
    pub(crate) private_keys: BTreeMap<NodeIndex, HpkePrivateKey>,
    pub(crate) pending_updates: BTreeMap<u64, PendingUpdate>,
    pub(crate) pending_commit: Option<Box<PendingCommit>>,
    revision: Revision,
}

/// A change of one epoch's secret tree.
pub(crate) enum SecretTreeChange {
    /// Some of its nodes and ratchets.
    Part(SecretTreeDelta),
    /// It comes or goes.
    Whole(Option<SecretTree>),
}

/// A change of a [`Group`].
#[derive(Default)]
pub struct Delta {
    pub(crate) public: PublicDelta,
    pub(crate) signer: Option<SignatureKeyPair>,
    pub(crate) secrets: Option<Option<Box<CurrentSecrets>>>,
    pub(crate) secret_trees: BTreeMap<u64, SecretTreeChange>,
    pub(crate) past: BTreeMap<u64, Option<PastEpoch>>,
    pub(crate) private_keys: BTreeMap<NodeIndex, Option<HpkePrivateKey>>,
    pub(crate) pending_updates: BTreeMap<u64, Option<PendingUpdate>>,
    pub(crate) pending_commit: Option<Option<Box<PendingCommit>>>,
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group")
            .field("group_id", self.group_id())
            .field("epoch", &self.epoch())
            .field("own_leaf", &self.own_leaf)
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}

impl Sealed for Group {}

impl State for Group {
    type Delta = Delta;
    type Event = Event;

    fn swap(&mut self, delta: &mut Delta) {
        self.public.swap(&mut delta.public);
        swap_value(&mut self.signer, &mut delta.signer);
        swap_value(&mut self.secrets, &mut delta.secrets);
        for (epoch, change) in &mut delta.secret_trees {
            match change {
                SecretTreeChange::Part(part) => {
                    if let Some(tree) = self.secret_trees.get_mut(epoch) {
                        tree.swap(part);
                    }
                }
                SecretTreeChange::Whole(whole) => {
                    *whole = match whole.take() {
                        Some(new) => self.secret_trees.insert(*epoch, new),
                        None => self.secret_trees.remove(epoch),
                    };
                }
            }
        }
        swap_map(&mut self.past, &mut delta.past);
        swap_map(&mut self.private_keys, &mut delta.private_keys);
        swap_map(&mut self.pending_updates, &mut delta.pending_updates);
        swap_value(&mut self.pending_commit, &mut delta.pending_commit);
    }

    fn state_of(&self) -> &GroupId {
        self.group_id()
    }

    fn revision(&self) -> Revision {
        self.revision
    }

    fn revision_mut(&mut self) -> &mut Revision {
        &mut self.revision
    }
}

/// What a new group is made of.
pub(crate) struct Parts {
    pub(crate) config: Config,
    pub(crate) public: PublicState,
    pub(crate) own_leaf: LeafIndex,
    pub(crate) signer: SignatureKeyPair,
    pub(crate) secrets: EpochSecrets,
    pub(crate) private_keys: BTreeMap<NodeIndex, HpkePrivateKey>,
}

impl Group {
    pub(crate) fn from_parts(parts: Parts) -> Self {
        let epoch = parts.public.epoch.context.epoch;
        let size = parts.public.tree.size();
        let (secrets, encryption) = CurrentSecrets::split(parts.secrets);
        Self {
            config: parts.config,
            own_leaf: parts.own_leaf,
            signer: parts.signer,
            secrets: Some(Box::new(secrets)),
            secret_trees: BTreeMap::from([(epoch, SecretTree::new(size, encryption))]),
            past: BTreeMap::new(),
            private_keys: parts.private_keys,
            pending_updates: BTreeMap::new(),
            pending_commit: None,
            public: parts.public,
            revision: Revision::default(),
        }
    }

    /// The group's identifier.
    #[must_use]
    pub fn group_id(&self) -> &GroupId {
        &self.public.epoch.context.group_id
    }

    /// The current epoch.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.public.epoch.context.epoch
    }

    /// The cipher suite.
    #[must_use]
    pub fn cipher_suite(&self) -> CipherSuite {
        self.public.epoch.context.cipher_suite
    }

    /// The current epoch's context.
    #[must_use]
    pub fn context(&self) -> &GroupContext {
        &self.public.epoch.context
    }

    /// The GroupContext's extensions.
    #[must_use]
    pub fn extensions(&self) -> &[Extension] {
        &self.public.epoch.context.extensions
    }

    /// The ratchet tree.
    #[must_use]
    pub fn tree(&self) -> &RatchetTree {
        &self.public.tree
    }

    /// The own leaf.
    #[must_use]
    pub fn own_leaf(&self) -> LeafIndex {
        self.own_leaf
    }

    /// Where this client stands.
    #[must_use]
    pub fn status(&self) -> Status {
        match (&self.secrets, &self.public.epoch.reinit) {
            (None, _) => Status::Removed,
            (Some(_), Some(_)) => Status::Reinitialized,
            (Some(_), None) => Status::Active,
        }
    }

    /// The parameters of the group that replaces this one, if it was closed.
    #[must_use]
    pub fn reinit(&self) -> Option<&ReInit> {
        self.public.epoch.reinit.as_ref()
    }

    /// The members, by ascending leaf.
    pub fn members(&self) -> impl Iterator<Item = Member> {
        let tree = &self.public.tree;
        tree.members().filter_map(|leaf| tree.leaf(leaf).map(|node| Member::of(leaf, &node)))
    }

    /// The member at a leaf.
    #[must_use]
    pub fn member(&self, leaf: LeafIndex) -> Option<Member> {
        self.public.tree.leaf(leaf).map(|node| Member::of(leaf, &node))
    }

    /// How many proposals wait for a commit.
    #[must_use]
    pub fn pending_proposals(&self) -> usize {
        self.public.proposals.len()
    }

    /// The messages of the own commit that waits for the delivery service's verdict, to be sent
    /// again after a restart.
    #[must_use]
    pub fn pending_commit(&self) -> Option<&crate::CommitMessages> {
        self.pending_commit.as_ref().map(|pending| &pending.messages)
    }

    /// The secret by which members can compare their views (section 8.7).
    ///
    /// # Errors
    /// If this client was removed.
    pub fn epoch_authenticator(&self) -> Result<&EpochAuthenticator, Error> {
        Ok(&self.secrets()?.epoch_authenticator)
    }

    /// `MLS-Exporter(label, context, length)` (section 8.5).
    ///
    /// # Errors
    /// If this client was removed, or `length` is over the KDF's limit.
    pub fn export(
        &self,
        provider: &dyn CryptoProvider,
        label: &[u8],
        context: &[u8],
        length: usize,
    ) -> Result<Secret, Error> {
        let suite = self.suite(provider)?;
        Ok(export(&suite, &self.secrets()?.exporter, label, context, length)?)
    }

    /// The resumption PSK of the current or a kept past epoch (section 8.6).
    #[must_use]
    pub fn resumption_psk(&self, epoch: u64) -> Option<&ResumptionPsk> {
        if epoch == self.epoch() {
            return self.secrets.as_ref().map(|secrets| &secrets.resumption_psk);
        }
        self.past.get(&epoch).map(|past| &past.resumption_psk)
    }

    /// Starts a fold of many transitions into one write.
    pub fn fold(&mut self) -> Fold<'_, Self> {
        let batch = self.batch();
        Fold::new(self, batch)
    }

    pub(crate) fn suite<'a>(&self, provider: &'a dyn CryptoProvider) -> Result<Suite<'a>, Error> {
        Ok(Suite::new(provider, self.cipher_suite())?)
    }

    pub(crate) fn secrets(&self) -> Result<&CurrentSecrets, Error> {
        self.secrets.as_deref().ok_or(Misuse::Removed.into())
    }

    /// The current secrets, if the group is open.
    pub(crate) fn active(&self) -> Result<&CurrentSecrets, Error> {
        match self.status() {
            Status::Active => self.secrets(),
            Status::Removed => Err(Misuse::Removed.into()),
            Status::Reinitialized => Err(Misuse::Reinitialized.into()),
        }
    }

    pub(crate) fn batch(&self) -> Batch {
        Batch::new(self.group_id().clone())
    }

    /// A leaf as it was in an epoch that is kept, encoded. Between that epoch and now none may be
    /// missing from the past epochs.
    pub(crate) fn leaf_in_epoch(&self, epoch: u64, leaf: LeafIndex) -> Option<&[u8]> {
        let changed = self.past.range(epoch..).find_map(|(_, past)| past.leaves.get(&leaf));
        match changed {
            Some(encoded) => encoded.as_deref(),
            None => self.public.tree.node(leaf.node()),
        }
    }

    /// Forgets the past epochs that are over count or age: in the delta and the batch.
    pub(crate) fn expire(&self, now: u64, one_more: bool, delta: &mut Delta, batch: &mut Batch) {
        let keep = self.config.past_epochs.saturating_sub(usize::from(one_more));
        let surplus = self.past.len().saturating_sub(keep);
        let old = |past: &PastEpoch| now.saturating_sub(past.ended) > self.config.past_epoch_age;
        // By count or by age, always from the oldest on: a reverse delta is of no use without all
        // later ones, and the clock may have been set back in between.
        let mut over_age = self.past.values().enumerate().filter(|(_, past)| old(past));
        let last_old = over_age.next_back().map_or(0, |(place, _)| place + 1);
        for epoch in self.past.keys().take(surplus.max(last_old)) {
            delta.past.insert(*epoch, None);
            delta.secret_trees.insert(*epoch, SecretTreeChange::Whole(None));
            batch.deleted_epochs.insert(*epoch);
        }
    }
}

impl CurrentSecrets {
    /// Takes an epoch's secrets apart; the confirmation key is not needed again.
    pub(crate) fn split(secrets: EpochSecrets) -> (Self, conclave_schedule::EncryptionSecret) {
        let current = Self {
            init: secrets.init,
            sender_data: secrets.sender_data,
            exporter: secrets.exporter,
            external: secrets.external,
            membership_key: secrets.membership_key,
            resumption_psk: secrets.resumption_psk,
            epoch_authenticator: secrets.epoch_authenticator,
        };
        (current, secrets.encryption)
    }
}

/// Appends a secret as an `opaque<V>`.
pub(crate) fn put_secret(w: &mut Writer, secret: &Secret) -> Result<(), Error> {
    Ok(w.put_opaque(secret.expose())?)
}

pub(crate) fn take_secret(r: &mut Reader<'_>) -> Result<Secret, Error> {
    Ok(Secret::copy_from(r.opaque()?))
}

/// The header row.
pub(crate) fn header_row(
    public: &PublicEpoch,
    own_leaf: LeafIndex,
    tree_size: TreeSize,
    signer: &SignatureKeyPair,
    secrets: &CurrentSecrets,
) -> Result<Secret, Error> {
    let mut w = Writer::secret();
    ROW_VERSION.encode(&mut w)?;
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

/// What the header row holds.
struct Header {
    public: PublicEpoch,
    own_leaf: LeafIndex,
    tree_size: TreeSize,
    signer: SignatureKeyPair,
    secrets: CurrentSecrets,
}

pub(crate) fn tree_size(r: &mut Reader<'_>) -> Result<TreeSize, Error> {
    let leaves = u32::decode(r)?;
    TreeSize::for_leaves(leaves)
        .filter(|size| size.leaf_count() == leaves)
        .ok_or_else(|| Error::storage(format!("no tree has {leaves} leaves")))
}

fn header_from_row(bytes: &Secret) -> Result<Header, Error> {
    let mut r = Reader::new(bytes.expose());
    check_row_version(&mut r)?;
    let header = Header {
        public: PublicEpoch::decode(&mut r)?,
        own_leaf: Decode::decode(&mut r)?,
        tree_size: tree_size(&mut r)?,
        signer: SignatureKeyPair { private: take_secret(&mut r)?, public: Decode::decode(&mut r)? },
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

pub(crate) fn nothing_left(r: &Reader<'_>) -> Result<(), Error> {
    match r.rest().len() {
        0 => Ok(()),
        n => Err(conclave_wire::DecodeError::TrailingBytes(n).into()),
    }
}

pub(crate) fn past_epoch_row(past: &PastEpoch) -> Result<Secret, Error> {
    let mut w = Writer::secret();
    ROW_VERSION.encode(&mut w)?;
    past.context.encode(&mut w)?;
    put_secret(&mut w, past.sender_data.as_secret())?;
    put_secret(&mut w, past.resumption_psk.as_secret())?;
    past.tree_size.leaf_count().encode(&mut w)?;
    past.ended.encode(&mut w)?;
    Ok(Secret::new(w.finish()))
}

fn past_epoch_from_row(bytes: &Secret) -> Result<PastEpoch, Error> {
    let mut r = Reader::new(bytes.expose());
    check_row_version(&mut r)?;
    let past = PastEpoch {
        context: Decode::decode(&mut r)?,
        sender_data: SenderDataSecret::from_secret(take_secret(&mut r)?),
        resumption_psk: ResumptionPsk::from_secret(take_secret(&mut r)?),
        tree_size: tree_size(&mut r)?,
        ended: Decode::decode(&mut r)?,
        leaves: BTreeMap::new(),
    };
    nothing_left(&r)?;
    Ok(past)
}

pub(crate) fn past_leaf_row(leaf: Option<&[u8]>) -> Result<Secret, Error> {
    let mut w = Writer::new();
    ROW_VERSION.encode(&mut w)?;
    leaf.map(Bytes::from).encode(&mut w)?;
    Ok(Secret::new(w.finish()))
}

fn past_leaf_from_row(bytes: &Secret) -> Result<Option<Bytes>, Error> {
    let mut r = Reader::new(bytes.expose());
    check_row_version(&mut r)?;
    Ok(Decode::from_bytes(r.rest())?)
}

/// The rows of a secret tree's change.
pub(crate) fn put_secret_tree_rows(
    epoch: u64,
    rows: impl IntoIterator<Item = (SecretTreeRow, Option<Secret>)>,
    batch: &mut Batch,
) {
    for (row, value) in rows {
        batch.rows.insert(secret_tree_key(epoch, row), value);
    }
}

fn secret_tree_key(epoch: u64, row: SecretTreeRow) -> RowKey {
    let (kind, index) = row.to_index();
    let table = match kind {
        0 => Table::SecretTreeNode,
        1 => Table::Ratchet,
        _ => Table::SkippedKey,
    };
    RowKey::of_epoch(table, epoch, index)
}

fn secret_tree_row(key: &RowKey) -> Option<SecretTreeRow> {
    let kind = match key.table {
        Table::SecretTreeNode => 0,
        Table::Ratchet => 1,
        Table::SkippedKey => 2,
        _ => return None,
    };
    SecretTreeRow::from_index(kind, key.index)
}

impl Group {
    /// All rows of the group: what a store holds after every batch so far.
    ///
    /// # Errors
    /// None that a group which could be stored before can have.
    pub fn rows(&self) -> Result<Batch, Error> {
        let mut batch = self.batch();
        batch.clear = true;
        let Some(secrets) = &self.secrets else { return Ok(batch) };
        let size = self.public.tree.size();
        let header = header_row(&self.public.epoch, self.own_leaf, size, &self.signer, secrets)?;
        batch.put(RowKey::new(Table::Header, 0), header);
        self.public.put_rows(&mut batch)?;
        for (node, key) in &self.private_keys {
            batch.put(RowKey::new(Table::PrivateKey, node.0.into()), key.0.clone());
        }
        for (epoch, tree) in &self.secret_trees {
            let rows = tree.rows().into_iter().map(|(row, secret)| (row, Some(secret)));
            put_secret_tree_rows(*epoch, rows, &mut batch);
        }
        for (epoch, past) in &self.past {
            batch.put(RowKey::of_epoch(Table::PastEpoch, *epoch, 0), past_epoch_row(past)?);
            for (leaf, encoded) in &past.leaves {
                let key = RowKey::of_epoch(Table::PastLeaf, *epoch, leaf.0.into());
                batch.put(key, past_leaf_row(encoded.as_deref())?);
            }
        }
        for (place, update) in &self.pending_updates {
            batch.put(RowKey::new(Table::PendingUpdate, *place), update.to_row()?);
        }
        if let Some(pending) = &self.pending_commit {
            batch.put(RowKey::new(Table::PendingCommit, 0), pending.to_row()?);
        }
        Ok(batch)
    }

    /// A group from its stored rows, in any order: the fold of all batches that were written.
    ///
    /// # Errors
    /// If a row is missing, damaged or does not fit the others; the error says which.
    pub fn load(
        provider: &dyn CryptoProvider,
        config: Config,
        rows: impl IntoIterator<Item = (RowKey, Secret)>,
    ) -> Result<Self, Error> {
        let rows: BTreeMap<RowKey, Secret> = rows.into_iter().collect();
        let header = rows
            .get(&RowKey::new(Table::Header, 0))
            .ok_or_else(|| Error::storage("the header row is missing"))
            .and_then(|row| named(&RowKey::new(Table::Header, 0), header_from_row(row)))?;
        let epoch = header.public.context.epoch;
        let suite = Suite::new(provider, header.public.context.cipher_suite)?;
        let tree_rows = rows
            .range(RowKey::new(Table::Tree, 0)..=RowKey::new(Table::Tree, u64::MAX))
            .map(|(key, row)| (node_index(key), row.expose().to_vec()));
        let tree = RatchetTree::load(&suite, header.tree_size, tree_rows).map_err(damaged_tree)?;
        if *tree.tree_hash() != *header.public.context.tree_hash {
            return Err(Error::storage("the tree's rows do not give the header's tree hash"));
        }
        let mut group = Self {
            config,
            own_leaf: header.own_leaf,
            signer: header.signer,
            secrets: Some(Box::new(header.secrets)),
            secret_trees: BTreeMap::new(),
            past: BTreeMap::new(),
            private_keys: BTreeMap::new(),
            pending_updates: BTreeMap::new(),
            pending_commit: None,
            public: PublicState { epoch: header.public, tree, proposals: ProposalCache::default() },
            revision: Revision::default(),
        };
        if group.public.tree.signature_key(group.own_leaf).as_ref() != Some(&group.signer.public) {
            return Err(Error::storage("the own leaf does not have the header's signature key"));
        }
        let mut secret_trees: BTreeMap<u64, Vec<(SecretTreeRow, Secret)>> = BTreeMap::new();
        for (key, row) in &rows {
            named(key, group.load_row(key, row, &mut secret_trees))?;
        }
        let mut next = epoch;
        for past in group.past.keys().rev() {
            if past.checked_add(1) != Some(next) {
                return Err(Error::storage(format!("a past epoch before {next} is missing")));
            }
            next = *past;
        }
        let size = group.public.tree.size();
        let mut sizes: BTreeMap<u64, TreeSize> =
            group.past.iter().map(|(epoch, past)| (*epoch, past.tree_size)).collect();
        sizes.insert(epoch, size);
        for (epoch, size) in sizes {
            let rows = secret_trees.remove(&epoch).unwrap_or_default();
            let tree = SecretTree::load(size, rows.into_iter())
                .map_err(|e| Error::storage(format!("secret tree of epoch {epoch}: {e}")))?;
            group.secret_trees.insert(epoch, tree);
        }
        match secret_trees.into_keys().next() {
            Some(epoch) => Err(Error::storage(format!("secret tree of unknown epoch {epoch}"))),
            None => Ok(group),
        }
    }

    fn load_row(
        &mut self,
        key: &RowKey,
        row: &Secret,
        secret_trees: &mut BTreeMap<u64, Vec<(SecretTreeRow, Secret)>>,
    ) -> Result<(), Error> {
        match key.table {
            Table::Header | Table::Tree => {}
            Table::PrivateKey => {
                let node = NodeIndex(node_index(key));
                self.private_keys.insert(node, HpkePrivateKey(row.clone()));
            }
            Table::SecretTreeNode | Table::Ratchet | Table::SkippedKey => {
                let place = secret_tree_row(key).ok_or_else(|| Error::storage("no such place"))?;
                secret_trees.entry(key.epoch).or_default().push((place, row.clone()));
            }
            Table::Proposal => {
                let listed = proposal_from_row(row.expose())?;
                self.public.proposals.set(key.index, Some(listed));
            }
            Table::PastEpoch => {
                let past = past_epoch_from_row(row)?;
                self.past.insert(key.epoch, past);
            }
            // Past leaves sort behind past epochs, so that their epoch is known here.
            Table::PastLeaf => {
                let leaf = past_leaf_from_row(row)?;
                let past = self
                    .past
                    .get_mut(&key.epoch)
                    .ok_or_else(|| Error::storage("its epoch is missing"))?;
                past.leaves.insert(LeafIndex(node_index(key)), leaf);
            }
            Table::PendingUpdate => {
                self.pending_updates.insert(key.index, PendingUpdate::from_row(row)?);
            }
            Table::PendingCommit => {
                self.pending_commit = Some(Box::new(PendingCommit::from_row(row)?));
            }
            Table::ObserverHeader | Table::GroupInfo => {
                return Err(Error::storage("it is an observer's, not a member's"));
            }
        }
        Ok(())
    }
}

/// Stored trees are nobody's message: what is wrong with one is wrong with the store.
pub(crate) fn damaged_tree(e: TreeError) -> Error {
    match e {
        TreeError::Crypto(e) => e.into(),
        other => Error::storage(format!("ratchet tree: {other}")),
    }
}

/// The node or leaf that a row is of. One that no tree has stays one.
pub(crate) fn node_index(key: &RowKey) -> u32 {
    u32::try_from(key.index).unwrap_or(u32::MAX)
}

/// Says which row an error is about.
pub(crate) fn named<T>(key: &RowKey, result: Result<T, Error>) -> Result<T, Error> {
    result.map_err(|e| {
        let epoch = match key.epoch {
            RowKey::NO_EPOCH => alloc::string::String::new(),
            epoch => format!(" of epoch {epoch}"),
        };
        Error::storage(format!("{:?} row {}{epoch}: {e}", key.table, key.index))
    })
}
