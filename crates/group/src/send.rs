//! Sending: proposals and application data (sections 12.1 and 15).

use crate::config::Config;
use crate::error::limit::Limit;
use crate::error::reasons::Obstacle;
use crate::error::{Error, Misuse};
use crate::event::{CachedProposal, Event, ProposalMessage};
use crate::key_package::{LeafParams, ValidKeyPackage};
use crate::seed::KeySeed;
use crate::state::checkpoints::{Own, OwnProposal};
use crate::state::group::{Delta, Group, SecretTreeChange};
use crate::state::pending::PendingUpdate;
use crate::state::stored::put_secret_tree_rows;
use crate::store::context_codec::dictionary_in;
use crate::store::rows::{Batch, RowKey, Table};
use crate::transition::Transition;
use crate::validate::components::check_own_components;
use crate::validate::leaf::check_advertised;
use crate::validate::proposal::{check_readable, check_supported};
use crate::validate::safe_aad;
use crate::view::proposals::ListedProposal;
use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use conclave_crypto::{CryptoProvider, CryptoRng, HpkeKeyPair, SignatureKeyPair, Suite};
use conclave_framing::{Padding, protect_private, protect_public, sign_content};
use conclave_schedule::RatchetKind;
use conclave_tree::{TreeRead, sign_leaf};
use conclave_wire::{
    AppDataUpdate, AppDataUpdateOperation, AuthenticatedContent, Bytes, ComponentData, ComponentId,
    Content, Encode, Epoch, Extension, FramedContent, GroupId, LeafIndex, LeafNode,
    LeafNodeContext, LeafNodeSource, MlsMessage, MlsMessageBody, PreSharedKeyId, Proposal,
    ProposalType, PskType, ReInit, ResumptionPskUsage, Sender, UnixTime, WireFormat,
};

/// Options for the framing of a message. The default sends handshake messages in the clear, without
/// padding.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Framing {
    /// Whether a proposal or commit is encrypted, so that the delivery service cannot follow it.
    /// Application data always is.
    pub encrypt: bool,
    /// The application's data that is authenticated and not encrypted. In a group that requires safe AAD
    /// it must be an encoded [`SafeAad`](conclave_wire::SafeAad); empty data becomes the one without items.
    pub authenticated_data: Vec<u8>,
    /// The padding of an encrypted message.
    pub padding: Padding,
}

/// A proposal to make.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NewProposal {
    /// Add a client.
    Add(Box<ValidKeyPackage>),
    /// Remove the member at a leaf.
    Remove(LeafIndex),
    /// Inject a PSK of the application's own.
    ExternalPsk {
        /// The application's name for the PSK.
        psk_id: Bytes,
    },
    /// Inject a PSK of a component (draft-ietf-mls-extensions-10, "Pre-Shared Keys"). Every member must
    /// know the draft: others cannot read the proposal.
    ApplicationPsk {
        /// The component.
        component_id: ComponentId,
        /// The component's name for the PSK.
        psk_id: Bytes,
    },
    /// Inject the resumption PSK of an epoch of this or another group.
    ResumptionPsk {
        /// The group.
        group_id: GroupId,
        /// The epoch.
        epoch: Epoch,
    },
    /// Close the group and announce the one that replaces it.
    ReInit(ReInit),
    /// Replace the GroupContext's extensions. The `app_data_dictionary` stays as it is, whether the
    /// list holds it or not.
    GroupContextExtensions(Vec<Extension>),
    /// Update the data of a component in the GroupContext, as the component defines
    /// (draft-ietf-mls-extensions-10). All members must support AppDataUpdate.
    AppDataUpdate {
        /// The component.
        component_id: ComponentId,
        /// The update.
        update: Bytes,
    },
    /// Remove the data of a component from the GroupContext (draft-ietf-mls-extensions-10).
    AppDataRemoval {
        /// The component.
        component_id: ComponentId,
    },
    /// Give a component data that belongs to the commit alone (draft-ietf-mls-extensions-10). All
    /// members must support AppEphemeral.
    AppEphemeral {
        /// The component.
        component_id: ComponentId,
        /// The data.
        data: Bytes,
    },
    /// Leave: ask to be removed, in a way that anybody can commit, even a client that joins from
    /// outside (draft-ietf-mls-extensions-10). It is a message of its own, not encrypted, at most one
    /// an epoch. All members must support it; see also
    /// [`CustomProposal::self_remove`](conclave_wire::CustomProposal::self_remove).
    SelfRemove,
    /// A proposal of the application's own type, which must be among
    /// [`Config::proposals`](crate::Config).
    Custom {
        /// The type.
        proposal_type: ProposalType,
        /// The encoded body, including its own length header if it has one.
        body: Bytes,
    },
}

impl NewProposal {
    /// Checks that a client can be added now (section 7.3): its key package may have been checked
    /// long ago.
    pub(crate) fn check_lifetime(&self, now: UnixTime, config: &Config) -> Result<(), Error> {
        let Self::Add(valid) = self else { return Ok(()) };
        config.check_within_lifetime(&valid.key_package().leaf_node, now)
    }
}

/// A change of our leaf beyond its encryption key.
/// [`Identity::leaf_update`](crate::Identity::leaf_update) makes it.
#[derive(Clone, Debug)]
pub struct LeafUpdate {
    /// The leaf's new contents.
    pub params: LeafParams,
    /// The new signature key pair.
    pub signer: SignatureKeyPair,
}

/// # Sending
///
/// Messages and proposals. [Commits](#committing) have a section of their own.
impl Group {
    /// Proposes a change. The proposal is cached, as it will be at the other members.
    ///
    /// ```
    #[doc = two_members!()]
    /// use conclave_mls::group::{Framing, NewProposal};
    ///
    /// // Bob asks to be removed, which he cannot commit himself.
    /// let leave = NewProposal::Remove(bob.own_leaf());
    /// let step = bob.propose(&provider, &mut rng, now, leave, &Framing::default())?;
    /// let proposal = apply(&mut bob, step, |write| store.write(write))?;
    /// // `proposal.message` is sent. Commits refer to it by `proposal.reference`.
    /// # assert_eq!(bob.proposals().next().unwrap().reference, &proposal.reference);
    /// # Done::Ok(())
    /// ```
    ///
    /// # Errors
    /// If the proposal breaks a rule, a key package is out of its lifetime (section 7.3), or the
    /// group was deleted.
    pub fn propose(
        &self,
        provider: &dyn CryptoProvider,
        rng: &mut dyn CryptoRng,
        now: UnixTime,
        proposal: NewProposal,
        framing: &Framing,
    ) -> Result<Transition<Self, ProposalMessage>, Error> {
        let suite = self.suite(provider)?;
        proposal.check_lifetime(now, self.config())?;
        let proposal = self.make_proposal(&suite, rng, proposal);
        self.send_proposal(&suite, rng, proposal, framing, None)
    }

    /// Proposes to renew our leaf. The change takes effect once somebody else commits it.
    ///
    /// ```
    #[doc = two_members!()]
    /// use conclave_mls::group::Framing;
    ///
    /// let step = bob.propose_update(&provider, &mut rng, None, &Framing::default())?;
    /// let proposal = apply(&mut bob, step, |write| store.write(write))?;
    /// # assert_eq!(bob.pending_proposals(), 1);
    /// # Done::Ok(())
    /// ```
    ///
    /// # Errors
    /// If the new leaf breaks a rule, or the group was deleted.
    pub fn propose_update(
        &self,
        provider: &dyn CryptoProvider,
        rng: &mut dyn CryptoRng,
        change: Option<LeafUpdate>,
        framing: &Framing,
    ) -> Result<Transition<Self, ProposalMessage>, Error> {
        let suite = self.suite(provider)?;
        self.active()?;
        let key = suite.hpke_key_pair(rng)?;
        self.propose_update_to(&suite, rng, key, change, framing)
    }

    /// [`Self::propose_update`] to a leaf whose key comes from a seed, in place of fresh randomness.
    ///
    /// # Errors
    /// Those of [`Self::propose_update`], and if the seed has not the right length.
    pub fn propose_update_from_seed(
        &self,
        provider: &dyn CryptoProvider,
        rng: &mut dyn CryptoRng,
        seed: &KeySeed,
        change: Option<LeafUpdate>,
        framing: &Framing,
    ) -> Result<Transition<Self, ProposalMessage>, Error> {
        let suite = self.suite(provider)?;
        self.active()?;
        let key = seed.leaf_key(&suite)?;
        self.propose_update_to(&suite, rng, key, change, framing)
    }

    fn propose_update_to(
        &self,
        suite: &Suite<'_>,
        rng: &mut dyn CryptoRng,
        key: HpkeKeyPair,
        change: Option<LeafUpdate>,
        framing: &Framing,
    ) -> Result<Transition<Self, ProposalMessage>, Error> {
        let (mut leaf, signer) = self.leaf_template(change.as_ref())?;
        check_advertised(&self.config().proposals, &leaf)?;
        check_own_components(&leaf)?;
        leaf.encryption_key = key.public;
        leaf.leaf_node_source = LeafNodeSource::Update;
        let group_id = self.group_id();
        let context = LeafNodeContext { group_id, leaf_index: self.own_leaf };
        sign_leaf(suite, &mut leaf, signer, context)?;

        let signer = change.map(|change| change.signer);
        let pending = PendingUpdate { leaf_key: key.private, signer };
        self.send_proposal(suite, rng, Proposal::Update(Box::new(leaf)), framing, Some(pending))
    }

    fn send_proposal(
        &self,
        suite: &Suite<'_>,
        rng: &mut dyn CryptoRng,
        proposal: Proposal,
        framing: &Framing,
        update: Option<PendingUpdate>,
    ) -> Result<Transition<Self, ProposalMessage>, Error> {
        self.active()?;
        let sender = Sender::Member(self.own_leaf);
        check_readable(&proposal, framing.encrypt)?;
        if !matches!(proposal, Proposal::Custom { .. }) {
            check_supported(self.view(), &proposal)?;
        }
        self.public.check_lone_proposal(suite, sender, &proposal)?;
        self.check_not_leaving(&proposal)?;
        let content = self.sign(suite, Content::Proposal(proposal.clone()), framing)?;

        let mut delta = Delta::default();
        let mut batch = self.batch();
        let reference = suite.proposal_ref(&content.to_bytes()?)?;
        let message = self.protect(suite, rng, &content, framing, &mut delta, &mut batch)?;

        let listed = ListedProposal { sender, proposal, reference: Some(reference.clone()) };
        let own = || {
            let (message, listed, update) = (message.clone(), listed.clone(), update.clone());
            Own::Proposal(Box::new(OwnProposal { message, listed, update }))
        };
        self.record_own(own, &mut delta, &mut batch)?;

        self.cache_own(listed, update, &mut delta, &mut batch)?;
        Ok(self.step(delta, batch, ProposalMessage { message, reference }))
    }

    /// Caches a proposal of ours, with its private keys if it is an Update.
    fn cache_own(
        &self,
        listed: ListedProposal,
        update: Option<PendingUpdate>,
        delta: &mut Delta,
        batch: &mut Batch,
    ) -> Result<(), Error> {
        let (place, public) = self.public.cache_proposal(listed, batch)?;
        delta.public = public;
        if let Some(update) = update {
            batch.put(RowKey::new(Table::PendingUpdate, place), update.to_row()?.expose());
            delta.pending_updates.insert(place, Some(update));
        }
        Ok(())
    }

    /// The step that caches a recorded proposal of ours again. None if it is still cached.
    pub(crate) fn propose_again(
        &self,
        suite: &Suite<'_>,
        own: &OwnProposal,
    ) -> Result<Option<Transition<Self, Option<CachedProposal>>>, Error> {
        let ListedProposal { sender, proposal, reference } = &own.listed;
        let Some(reference) = reference else { return Ok(None) };
        if self.public.proposals.find(reference).is_some() {
            return Ok(None);
        }
        self.active()?;
        self.public.check_lone_proposal(suite, *sender, proposal)?;

        let mut delta = Delta::default();
        let mut batch = self.batch();
        self.cache_own(own.listed.clone(), own.update.clone(), &mut delta, &mut batch)?;
        let (sender, reference) = (*sender, reference.clone());
        let cached = CachedProposal { sender, reference, proposal_type: proposal.proposal_type() };
        Ok(Some(self.step(delta, batch, Some(cached))))
    }

    /// Checks that this client sends one SelfRemove an epoch (draft-ietf-mls-extensions-10).
    fn check_not_leaving(&self, proposal: &Proposal) -> Result<(), Error> {
        let mut pending = self.public.proposals.iter();
        if matches!(proposal, Proposal::SelfRemove(_))
            && pending.any(|(_, listed)| self.is_own_self_remove(listed))
        {
            return Err(Misuse::NotPossible(Obstacle::SelfRemovePending).into());
        }
        Ok(())
    }

    fn is_own_self_remove(&self, listed: &ListedProposal) -> bool {
        listed.is_self_remove() && listed.sender == Sender::Member(self.own_leaf)
    }

    /// Encrypts application data to the members of this epoch.
    ///
    /// ```
    #[doc = two_members!()]
    /// use conclave_mls::group::Framing;
    ///
    /// let step = alice.encrypt(&provider, &mut rng, b"hello", &Framing::default())?;
    /// let message: Vec<u8> = apply(&mut alice, step, |write| store.write(write))?;
    /// // `message` is sent to everybody in the group.
    /// # let Ok(Received::Application(step)) = bob.process(&provider, now, &message) else { panic!() };
    /// # assert_eq!(apply(&mut bob, step, |write| store.write(write))?.data, b"hello");
    /// # Done::Ok(())
    /// ```
    ///
    /// # Errors
    /// [`Misuse::ProposalsPending`] if proposals were received: commit them first (section 12.4).
    pub fn encrypt(
        &self,
        provider: &dyn CryptoProvider,
        rng: &mut dyn CryptoRng,
        data: &[u8],
        framing: &Framing,
    ) -> Result<Transition<Self, Vec<u8>>, Error> {
        let suite = self.suite(provider)?;
        self.active()?;
        self.check_data_may_be_sent()?;

        let framing = Framing { encrypt: true, ..framing.clone() };
        let content = self.sign(&suite, Content::Application(data.into()), &framing)?;
        let mut delta = Delta::default();
        let mut batch = self.batch();
        let message = self.protect(&suite, rng, &content, &framing, &mut delta, &mut batch);
        content.content.content.wipe();
        Ok(self.step(delta, batch, message?))
    }

    /// The generation that the next application message of this epoch will have: the step of our
    /// ratchet that [`Self::encrypt`] uses next. Clients that act as one member agree on it
    /// beforehand, so that no two use the same (draft-ietf-mls-virtual-clients). A new epoch begins
    /// at 0.
    ///
    /// ```
    #[doc = two_members!()]
    /// let next = alice.next_generation()?;
    /// let step = alice.encrypt(&provider, &mut rng, b"hello", &Default::default())?;
    /// let message = apply(&mut alice, step, |write| store.write(write))?;
    /// # let Ok(Received::Application(step)) = bob.process(&provider, now, &message) else { panic!() };
    /// # let read = apply(&mut bob, step, |write| store.write(write))?;
    /// assert_eq!(read.generation, next);
    /// # Done::Ok(())
    /// ```
    ///
    /// # Errors
    /// If the group was deleted.
    pub fn next_generation(&self) -> Result<u32, Error> {
        self.secrets()?;
        let tree = self.secret_trees.get(&self.epoch());
        let tree = tree.ok_or_else(|| Error::storage("the secret tree is missing"))?;
        Ok(tree.next_generation(self.own_leaf, RatchetKind::Application))
    }

    /// Drops all proposals of this epoch, received and our own, but not a SelfRemove of ours, of which one
    /// an epoch is allowed. From then on a commit that refers
    /// to one of them is refused, and this client falls behind. So this is only for proposals that
    /// others will not commit either.
    ///
    /// ```
    #[doc = two_members!()]
    /// # let step = bob.propose_update(&provider, &mut rng, None, &Default::default())?;
    /// # apply(&mut bob, step, |write| store.write(write))?;
    /// let step = bob.discard_proposals()?;
    /// apply(&mut bob, step, |write| store.write(write))?;
    /// assert_eq!(bob.pending_proposals(), 0);
    /// # Done::Ok(())
    /// ```
    ///
    /// # Errors
    /// [`Misuse::CommitPending`] if a commit of ours may refer to them.
    pub fn discard_proposals(&self) -> Result<Transition<Self>, Error> {
        if self.pending_commit.is_some() {
            return Err(Misuse::CommitPending.into());
        }

        let mut delta = Delta::default();
        let mut batch = self.batch();
        for (place, listed) in self.public.proposals.iter() {
            if self.is_own_self_remove(listed) {
                continue;
            }
            delta.public.proposals.insert(place, None);
            batch.delete(RowKey::new(Table::Proposal, place));
        }
        for place in self.pending_updates.keys() {
            delta.pending_updates.insert(*place, None);
            batch.delete(RowKey::new(Table::PendingUpdate, *place));
        }
        Ok(self.silent_step(delta, batch, Event::Discarded))
    }

    /// Checks that no proposal waits for us to commit it (section 12.4).
    pub(crate) fn check_data_may_be_sent(&self) -> Result<(), Error> {
        if !self.public.proposals.is_empty() && self.pending_commit.is_none() {
            return Err(Misuse::ProposalsPending.into());
        }
        Ok(())
    }

    /// Our leaf as a template for a new one, and the key that signs it.
    pub(crate) fn leaf_template<'a>(
        &'a self,
        change: Option<&'a LeafUpdate>,
    ) -> Result<(LeafNode, &'a SignatureKeyPair), Error> {
        match change {
            Some(change) => Ok((change.params.template(&change.signer.public), &change.signer)),
            None => {
                let leaf = self.public.tree.leaf(self.own_leaf);
                let leaf = leaf.ok_or_else(|| Error::storage("our leaf is missing"))?;
                Ok((leaf, &self.signer))
            }
        }
    }

    /// Signs content as a member of this epoch.
    pub(crate) fn sign(
        &self,
        suite: &Suite<'_>,
        content: Content,
        framing: &Framing,
    ) -> Result<AuthenticatedContent, Error> {
        let wire_format =
            if framing.encrypt { WireFormat::PRIVATE_MESSAGE } else { WireFormat::PUBLIC_MESSAGE };
        let content = FramedContent {
            group_id: self.group_id().clone(),
            epoch: self.epoch(),
            sender: Sender::Member(self.own_leaf),
            authenticated_data: safe_aad::to_send(
                safe_aad::is_required(self.extensions())?,
                &framing.authenticated_data,
            )?,
            content,
        };
        Ok(sign_content(suite, wire_format, content, self.context(), &self.signer)?)
    }

    /// Protects signed content. An encrypted message consumes a key, which the delta deletes.
    pub(crate) fn protect(
        &self,
        suite: &Suite<'_>,
        rng: &mut dyn CryptoRng,
        content: &AuthenticatedContent,
        framing: &Framing,
        delta: &mut Delta,
        batch: &mut Batch,
    ) -> Result<Vec<u8>, Error> {
        let secrets = self.secrets()?;
        let body = if framing.encrypt {
            let kind = match content.content.content {
                Content::Application(_) => RatchetKind::Application,
                Content::Proposal(_) | Content::Commit(_) => RatchetKind::Handshake,
            };
            let epoch = self.epoch();
            let tree = self
                .secret_trees
                .get(&epoch)
                .ok_or_else(|| Error::storage("the secret tree is missing"))?;

            let (generation, key, used) = tree.send(suite, self.own_leaf, kind)?;
            put_secret_tree_rows(epoch, used.rows(), batch);
            delta.secret_trees.insert(epoch, SecretTreeChange::Part(used));

            let secret = &secrets.sender_data;
            let padding = framing.padding;
            MlsMessageBody::PrivateMessage(protect_private(
                suite, content, generation, key, secret, padding, rng,
            )?)
        } else {
            let key = &secrets.membership_key;
            let message = protect_public(suite, content.clone(), self.context(), key)?;
            MlsMessageBody::PublicMessage(Box::new(message))
        };

        // A message that the others refuse is not sent: a commit would part us from them.
        let message = MlsMessage::from(body).to_bytes()?;
        self.limits().check(Limit::MessageBytes, message.len())?;
        Ok(message)
    }
}

pub(crate) fn random_nonce(suite: &Suite<'_>, rng: &mut dyn CryptoRng) -> Bytes {
    let mut nonce = vec![0; suite.nh()];
    rng.fill_bytes(&mut nonce);
    nonce.into()
}

impl Group {
    pub(crate) fn make_proposal(
        &self,
        suite: &Suite<'_>,
        rng: &mut dyn CryptoRng,
        new: NewProposal,
    ) -> Proposal {
        let psktype = match new {
            NewProposal::Add(valid) => return Proposal::Add(Box::new(valid.key_package().clone())),
            NewProposal::Remove(leaf) => return Proposal::Remove(leaf),
            NewProposal::ReInit(reinit) => return Proposal::ReInit(reinit),
            NewProposal::GroupContextExtensions(mut extensions) => {
                let dictionary = dictionary_in(self.extensions());
                if dictionary_in(&extensions).is_none() {
                    extensions.extend(dictionary.cloned());
                }
                return Proposal::GroupContextExtensions(extensions);
            }
            NewProposal::AppDataUpdate { component_id, update } => {
                let operation = AppDataUpdateOperation::Update(update);
                return Proposal::AppDataUpdate(AppDataUpdate { component_id, operation });
            }
            NewProposal::AppDataRemoval { component_id } => {
                let operation = AppDataUpdateOperation::Remove;
                return Proposal::AppDataUpdate(AppDataUpdate { component_id, operation });
            }
            NewProposal::AppEphemeral { component_id, data } => {
                return Proposal::AppEphemeral(ComponentData { component_id, data });
            }
            NewProposal::SelfRemove => {
                let mut known = self.config().proposals.iter();
                let format = known.find_map(|known| known.self_remove).unwrap_or_default();
                return Proposal::SelfRemove(format);
            }
            NewProposal::Custom { proposal_type, body } => {
                return Proposal::Custom { proposal_type, body };
            }
            NewProposal::ExternalPsk { psk_id } => PskType::External { psk_id },
            NewProposal::ApplicationPsk { component_id, psk_id } => {
                PskType::Application { component_id, psk_id }
            }
            NewProposal::ResumptionPsk { group_id, epoch } => PskType::Resumption {
                usage: ResumptionPskUsage::Application,
                psk_group_id: group_id,
                psk_epoch: epoch,
            },
        };
        Proposal::PreSharedKey(PreSharedKeyId { psktype, psk_nonce: random_nonce(suite, rng) })
    }
}
