//! A member's state of a group.

use crate::config::Config;
use crate::error::{Error, Misuse};
use crate::event::{Event, Member};
use crate::external_target::ExternalTarget;
use crate::limits::Limits;
use crate::state::checkpoints::Checkpoints;
use crate::state::exporter::ExporterChange;
use crate::state::pending::{PendingCommit, PendingUpdate};
use crate::state::public::{PublicDelta, PublicState};
use crate::state::targeted::{TargetedKeys, TargetedRead, TargetedReadDelta};
use crate::store::rows::Batch;
use crate::transition::{Change, Fold, Revision, Sealed, State, Transition, swap_map, swap_value};
use crate::view::GroupView;
use crate::view::proposals::PendingProposal;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use conclave_crypto::{CryptoProvider, HpkePrivateKey, Secret, SignatureKeyPair, Suite};
use conclave_schedule::{
    ApplicationExportSecret, EncryptionSecret, EpochAuthenticator, EpochSecrets, ExporterSecret,
    ExporterTree, ExternalSecret, InitSecret, MembershipKey, ResumptionPsk, SecretTree,
    SecretTreeDelta, SenderDataSecret, export,
};
use conclave_tree::{RatchetTree, TreeRead};
use conclave_wire::{
    Bytes, CipherSuite, Credential, Epoch, Extension, GroupContext, GroupId, LeafIndex, NodeIndex,
    ProposalOrRef, ProposalRef, ReInit, TreeSize, UnixTime,
};
use core::fmt;

/// The secrets of the current epoch, apart from its secret tree.
pub(crate) struct CurrentSecrets {
    pub(crate) init: InitSecret,
    pub(crate) sender_data: SenderDataSecret,
    pub(crate) exporter: ExporterSecret,
    pub(crate) external: ExternalSecret,
    pub(crate) membership_key: MembershipKey,
    pub(crate) resumption_psk: ResumptionPsk,
    pub(crate) epoch_authenticator: EpochAuthenticator,
}

/// What we keep of a past epoch, beside its secret tree.
#[derive(Clone)]
pub(crate) struct PastEpoch {
    pub(crate) context: GroupContext,
    pub(crate) sender_data: SenderDataSecret,
    pub(crate) resumption_psk: ResumptionPsk,
    pub(crate) tree_size: TreeSize,
    /// When it ended, in seconds since 1970.
    pub(crate) ended: u64,
    /// The leaves that differ in the next epoch, as they were. None for a blank one.
    pub(crate) leaves: BTreeMap<LeafIndex, Option<Bytes>>,
    /// What opens late targeted messages, if there may be any.
    pub(crate) targeted: Option<TargetedKeys>,
}

/// Our standing in the group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// We are a member.
    Active,
    /// The state was deleted, and all secrets are gone.
    Deleted,
    /// The group was closed by a ReInit and waits for its successor (section 11.2).
    Reinitialized,
}

/// A member's state of a group: the current epoch, and what is kept of past ones.
///
/// All operations take `&self` and yield a [`Transition`](crate::Transition). Only
/// [`apply`](crate::apply), [`begin`](crate::begin) and a [`Fold`] change the group.
///
/// A group comes from [`Self::create`], a [Welcome](crate::WelcomeStage) or an [external
/// commit](crate::ExternalJoinStage), and after a restart from [`Self::load`]. Its methods stand
/// below by task: looking, secrets, ending, linking, storing, sending, committing, inviting,
/// creating, receiving.
pub struct Group {
    pub(crate) public: PublicState,
    pub(crate) own_leaf: LeafIndex,
    pub(crate) signer: SignatureKeyPair,
    /// None once the state was deleted.
    pub(crate) secrets: Option<Box<CurrentSecrets>>,
    /// By epoch, the current one included.
    pub(crate) secret_trees: BTreeMap<Epoch, SecretTree>,
    /// What components can still export in the current epoch, if our leaf advertises the draft.
    pub(crate) exporter: Option<ExporterTree>,
    pub(crate) past: BTreeMap<Epoch, PastEpoch>,
    pub(crate) targeted_read: TargetedRead,
    pub(crate) private_keys: BTreeMap<NodeIndex, HpkePrivateKey>,
    pub(crate) pending_updates: BTreeMap<u64, PendingUpdate>,
    pub(crate) pending_commit: Option<Box<PendingCommit>>,
    pub(crate) checkpoints: Checkpoints,
    pub(crate) revision: Revision,
}

/// A change of one epoch's secret tree.
pub(crate) enum SecretTreeChange {
    /// Some of its nodes and ratchets.
    Part(SecretTreeDelta),
    /// It is new or deleted.
    Whole(Option<SecretTree>),
}

/// A change of a [`Group`].
#[derive(Default)]
pub struct Delta {
    pub(crate) public: PublicDelta,
    pub(crate) signer: Option<SignatureKeyPair>,
    pub(crate) secrets: Change<Box<CurrentSecrets>>,
    pub(crate) secret_trees: BTreeMap<Epoch, SecretTreeChange>,
    pub(crate) exporter: ExporterChange,
    pub(crate) past: BTreeMap<Epoch, Option<PastEpoch>>,
    pub(crate) targeted_read: TargetedReadDelta,
    pub(crate) private_keys: BTreeMap<NodeIndex, Option<HpkePrivateKey>>,
    pub(crate) pending_updates: BTreeMap<u64, Option<PendingUpdate>>,
    pub(crate) pending_commit: Change<Box<PendingCommit>>,
    pub(crate) checkpoints: Option<Checkpoints>,
    /// The whole state after a rewind. There is no other change then.
    pub(crate) rewound: Option<Box<Group>>,
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
        if let Some(other) = &mut delta.rewound {
            core::mem::swap(self, &mut **other);
            core::mem::swap(&mut self.revision, &mut other.revision);
            return;
        }

        self.public.swap(&mut delta.public);
        swap_value(&mut self.signer, &mut delta.signer);
        delta.secrets.swap(&mut self.secrets);
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
        delta.exporter.swap(&mut self.exporter);
        swap_map(&mut self.past, &mut delta.past);
        self.targeted_read.swap(&mut delta.targeted_read);
        swap_map(&mut self.private_keys, &mut delta.private_keys);
        swap_map(&mut self.pending_updates, &mut delta.pending_updates);
        delta.pending_commit.swap(&mut self.pending_commit);
        swap_value(&mut self.checkpoints, &mut delta.checkpoints);
    }

    fn revision(&self) -> Revision {
        self.revision
    }

    fn revision_mut(&mut self) -> &mut Revision {
        &mut self.revision
    }
}

/// The parts of a new group.
pub(crate) struct Parts {
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

        let (secrets, encryption, export) = CurrentSecrets::split(parts.secrets);
        Self {
            own_leaf: parts.own_leaf,
            signer: parts.signer,
            secrets: Some(Box::new(secrets)),
            secret_trees: BTreeMap::from([(epoch, SecretTree::new(size, encryption))]),
            exporter: export.map(ExporterTree::new),
            past: BTreeMap::new(),
            targeted_read: TargetedRead::default(),
            private_keys: parts.private_keys,
            pending_updates: BTreeMap::new(),
            pending_commit: None,
            checkpoints: Checkpoints::default(),
            public: parts.public,
            revision: Revision::first(),
        }
    }
}

/// # Looking
impl Group {
    /// The public state, which members and observers have in common: context, tree, members, cached
    /// proposals.
    ///
    /// ```
    #[doc = two_members!()]
    /// let view = alice.view();
    /// let names: Vec<_> = view.members().map(|member| member.credential).collect();
    /// assert_eq!(names, [Credential::basic(b"alice"), Credential::basic(b"bob")]);
    /// # Done::Ok(())
    /// ```
    #[must_use]
    pub fn view(&self) -> GroupView<'_> {
        self.public.view()
    }

    /// The group's identifier.
    #[must_use]
    pub fn group_id(&self) -> &GroupId {
        &self.public.epoch.context.group_id
    }

    /// The current epoch.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
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

    /// Our leaf.
    #[must_use]
    pub fn own_leaf(&self) -> LeafIndex {
        self.own_leaf
    }

    /// Our standing in the group.
    #[must_use]
    pub fn status(&self) -> Status {
        match (&self.secrets, &self.public.epoch.reinit) {
            (None, _) => Status::Deleted,
            (Some(_), Some(_)) => Status::Reinitialized,
            (Some(_), None) => Status::Active,
        }
    }

    /// The parameters of the group that replaces this one, if this one was closed.
    #[must_use]
    pub fn reinit(&self) -> Option<&ReInit> {
        self.public.epoch.reinit.as_ref()
    }

    /// The members, by ascending leaf.
    pub fn members(&self) -> impl Iterator<Item = Member> {
        self.view().members()
    }

    /// The member at a leaf.
    #[must_use]
    pub fn member(&self, leaf: LeafIndex) -> Option<Member> {
        self.view().member(leaf)
    }

    /// The member with a credential: the first by leaf, if several have it.
    ///
    /// ```
    #[doc = two_members!()]
    /// use conclave_mls::group::NewProposal;
    ///
    /// let member = alice.find(&Credential::basic(b"bob")).ok_or("bob is not a member")?;
    /// let removal = NewProposal::Remove(member.index);
    /// # Done::Ok(())
    /// ```
    #[must_use]
    pub fn find(&self, credential: &Credential) -> Option<Member> {
        self.view().find(credential)
    }

    /// We, as the others see us. None once the group was deleted.
    #[must_use]
    pub fn own_member(&self) -> Option<Member> {
        self.secrets.as_ref().and_then(|_| self.member(self.own_leaf))
    }

    /// What an outsider must know about the group to send it proposals.
    ///
    /// ```
    #[doc = two_members!()]
    /// let target = alice.external_target();
    /// // Carol, who has it from her service, asks to be added.
    /// let carol = key_package_of(b"carol");
    /// let message = target.propose_self(&provider, now, &carol)?;
    /// # assert!(matches!(alice.process(&provider, now, &message), Ok(Received::Proposal(_))));
    /// # Done::Ok(())
    /// ```
    #[must_use]
    pub fn external_target(&self) -> ExternalTarget {
        ExternalTarget::of(self.context(), self.config())
    }

    /// The number of proposals that wait for a commit.
    #[must_use]
    pub fn pending_proposals(&self) -> usize {
        self.public.proposals.len()
    }

    /// The proposals that wait for a commit, by order of arrival.
    pub fn proposals(&self) -> impl Iterator<Item = PendingProposal<'_>> {
        self.view().proposals()
    }

    /// The messages of our commit that waits for the delivery service's verdict. After a restart
    /// they can be sent again.
    ///
    /// ```
    #[doc = two_members!()]
    /// # let step = alice.commit(&provider, &mut rng, now, Default::default())?;
    /// # apply(&mut alice, step, |write| store.write(write))?;
    /// # fn send(_: &conclave_mls::CommitMessages) {}
    /// // After `Group::load`:
    /// if let Some(messages) = alice.pending_commit() {
    ///     send(messages);
    /// }
    /// # assert!(alice.pending_commit().is_some());
    /// # Done::Ok(())
    /// ```
    #[must_use]
    pub fn pending_commit(&self) -> Option<&crate::CommitMessages> {
        self.pending_commit.as_ref().map(|pending| &pending.messages)
    }

    /// The cached proposals, received or our own, that the pending commit refers to, in its order.
    /// A proposal that is missing here could not be combined with the rest
    /// ([`CommitOptions::received`](crate::CommitOptions::received)).
    pub fn pending_commit_references(&self) -> impl Iterator<Item = &ProposalRef> {
        let commit = self.pending_commit.as_ref().map(|pending| &pending.content.content.commit);
        commit.into_iter().flat_map(|commit| &commit.proposals).filter_map(|item| match item {
            ProposalOrRef::Reference(reference) => Some(reference),
            ProposalOrRef::Proposal(_) => None,
        })
    }

    /// The settings that the group was created, joined or loaded with.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.public.config
    }
}

/// # Secrets
impl Group {
    /// The secret by which members can compare their views of the epoch (section 8.7).
    ///
    /// ```
    #[doc = two_members!()]
    /// assert_eq!(alice.epoch_authenticator()?, bob.epoch_authenticator()?);
    /// # Done::Ok(())
    /// ```
    ///
    /// # Errors
    /// If the group was deleted.
    pub fn epoch_authenticator(&self) -> Result<&EpochAuthenticator, Error> {
        Ok(&self.secrets()?.epoch_authenticator)
    }

    /// A secret of the current epoch for another use: `MLS-Exporter(label, context, length)`
    /// (section 8.5). Past epochs cannot be exported from.
    ///
    /// ```
    #[doc = two_members!()]
    /// let key = alice.export(&provider, b"file key", b"report.pdf", 32)?;
    /// assert_eq!(key, bob.export(&provider, b"file key", b"report.pdf", 32)?);
    /// # Done::Ok(())
    /// ```
    ///
    /// # Errors
    /// If the group was deleted, or `length` is over the KDF's limit.
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

    /// The resumption PSK of the current epoch or of a past one that is kept (section 8.6).
    #[must_use]
    pub fn resumption_psk(&self, epoch: Epoch) -> Option<&ResumptionPsk> {
        if epoch == self.epoch() {
            return self.secrets.as_ref().map(|secrets| &secrets.resumption_psk);
        }
        self.past.get(&epoch).map(|past| &past.resumption_psk)
    }
}

/// # Ending
impl Group {
    /// The step that drops the past epochs over the count or age of [`Limits`]. None if there are
    /// none. Every commit drops them too, so this is for an idle group.
    ///
    /// ```
    #[doc = two_members!()]
    /// if let Some(step) = alice.expire_past_epochs(now) {
    ///     apply(&mut alice, step, |write| store.write(write))?;
    /// }
    /// # let much_later = UnixTime::MAX;
    /// # let step = alice.expire_past_epochs(much_later).ok_or("epoch 0 expires")?;
    /// # apply(&mut alice, step, |write| store.write(write))?;
    /// # Done::Ok(())
    /// ```
    #[must_use]
    pub fn expire_past_epochs(&self, now: UnixTime) -> Option<Transition<Self>> {
        let mut delta = Delta::default();
        let mut batch = self.batch();
        self.expire(now, false, &mut delta, &mut batch);
        let any = !batch.deleted_epochs.is_empty();
        any.then(|| self.silent_step(delta, batch, Event::Discarded))
    }

    /// The step that deletes the whole state of the group, in memory and stored: once the delivery
    /// service's order confirms our [removal](Event::Removal), or when we are done with the group.
    ///
    /// ```
    #[doc = two_members!()]
    /// use conclave_mls::group::Status;
    ///
    /// let step = bob.delete()?;
    /// apply(&mut bob, step, |write| store.write(write))?;
    /// assert_eq!(bob.status(), Status::Deleted);
    /// # Done::Ok(())
    /// ```
    ///
    /// # Errors
    /// [`Misuse::Deleted`] if it was deleted before. By now its rows may be those of another group
    /// that was joined under the same identifier.
    pub fn delete(&self) -> Result<Transition<Self>, Error> {
        self.secrets()?;

        let mut batch = self.batch();
        batch.clear = true;
        let proposals = self.public.proposals.places().map(|place| (place, None)).collect();
        let delta = Delta {
            public: PublicDelta { proposals, ..PublicDelta::default() },
            signer: Some(SignatureKeyPair::new(Secret::default(), self.signer.public.clone())),
            secrets: Change::Remove,
            secret_trees: self
                .secret_trees
                .keys()
                .map(|epoch| (*epoch, SecretTreeChange::Whole(None)))
                .collect(),
            exporter: ExporterChange::Whole(None),
            past: self.past.keys().map(|epoch| (*epoch, None)).collect(),
            targeted_read: self.targeted_read.forget_all(),
            private_keys: self.private_keys.keys().map(|node| (*node, None)).collect(),
            pending_updates: self.pending_updates.keys().map(|place| (*place, None)).collect(),
            pending_commit: Change::Remove,
            checkpoints: Some(Checkpoints::default()),
            rewound: None,
        };
        Ok(self.silent_step(delta, batch, Event::Deleted))
    }
}

/// # Many steps at once
impl Group {
    /// Begins a fold: many transitions with one write.
    ///
    /// ```
    #[doc = two_members!()]
    /// # let mut messages = Vec::new();
    /// # for data in [b"one", b"two"] {
    /// #     let step = alice.encrypt(&provider, &mut rng, data, &Default::default())?;
    /// #     messages.push(apply(&mut alice, step, |write| store.write(write))?);
    /// # }
    /// let mut fold = bob.fold();
    /// for message in &messages {
    ///     // Each step is computed from the fold's state.
    ///     if let Ok(Received::Application(step)) = fold.state().process(&provider, now, message) {
    ///         fold.push(step)?;
    ///     }
    /// }
    /// let events = fold.commit(|write| store.write(write))?;
    /// assert_eq!(events.len(), 2);
    /// # Done::Ok(())
    /// ```
    pub fn fold(&mut self) -> Fold<'_, Self> {
        let batch = self.batch();
        Fold::new(self, batch)
    }
}

impl Group {
    pub(crate) fn suite<'a>(&self, provider: &'a dyn CryptoProvider) -> Result<Suite<'a>, Error> {
        Ok(Suite::new(provider, self.cipher_suite())?)
    }

    pub(crate) fn secrets(&self) -> Result<&CurrentSecrets, Error> {
        self.secrets.as_deref().ok_or(Misuse::Deleted.into())
    }

    /// The current secrets, if the group is active.
    pub(crate) fn active(&self) -> Result<&CurrentSecrets, Error> {
        match self.status() {
            Status::Active => self.secrets(),
            Status::Deleted => Err(Misuse::Deleted.into()),
            Status::Reinitialized => Err(Misuse::Reinitialized.into()),
        }
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.public.config.limits
    }

    pub(crate) fn batch(&self) -> Batch {
        Batch::new(self.group_id().clone())
    }

    /// A leaf as it was in an epoch that is kept, encoded. None of the epochs since then may be
    /// missing among the past ones.
    pub(crate) fn leaf_in_epoch(&self, epoch: Epoch, leaf: LeafIndex) -> Option<&[u8]> {
        let changed = self.past.range(epoch..).find_map(|(_, past)| past.leaves.get(&leaf));
        match changed {
            Some(encoded) => encoded.as_deref(),
            None => self.public.tree.node(leaf.node()),
        }
    }

    /// Drops the past epochs that are over count or age, in the delta and the batch.
    pub(crate) fn expire(
        &self,
        now: UnixTime,
        one_more: bool,
        delta: &mut Delta,
        batch: &mut Batch,
    ) {
        let limits = self.limits();
        let keep = limits.past_epochs.saturating_sub(usize::from(one_more));
        let surplus = self.past.len().saturating_sub(keep);
        let old = |past: &PastEpoch| {
            now.as_secs().saturating_sub(past.ended) > limits.past_epoch_age.as_secs()
        };

        // By count or by age, always from the oldest on: a reverse delta is useless without all
        // later ones, and the clock may have been set back in between.
        let mut over_age = self.past.values().enumerate().filter(|(_, past)| old(past));
        let last_old = over_age.next_back().map_or(0, |(place, _)| place + 1);

        for epoch in self.past.keys().take(surplus.max(last_old)) {
            delta.past.insert(*epoch, None);
            self.targeted_read.forget(*epoch, &mut delta.targeted_read);
            delta.secret_trees.insert(*epoch, SecretTreeChange::Whole(None));
            batch.deleted_epochs.insert(epoch.0);
        }
    }
}

impl CurrentSecrets {
    /// Takes an epoch's secrets apart, into those that stay as they are and the roots of its trees. The
    /// confirmation key is not needed again.
    pub(crate) fn split(
        secrets: EpochSecrets,
    ) -> (Self, EncryptionSecret, Option<ApplicationExportSecret>) {
        let current = Self {
            init: secrets.init,
            sender_data: secrets.sender_data,
            exporter: secrets.exporter,
            external: secrets.external,
            membership_key: secrets.membership_key,
            resumption_psk: secrets.resumption_psk,
            epoch_authenticator: secrets.epoch_authenticator,
        };
        (current, secrets.encryption, secrets.application_export)
    }
}
