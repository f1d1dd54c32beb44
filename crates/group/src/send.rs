//! Sending: proposals and application data (sections 12.1 and 15).

use crate::config::Config;
use crate::error::limit::Limit;
use crate::error::{Error, Misuse};
use crate::event::{Event, ProposalMessage};
use crate::key_package::{LeafParams, ValidKeyPackage};
use crate::state::group::{Delta, Group, SecretTreeChange};
use crate::state::pending::PendingUpdate;
use crate::state::stored::put_secret_tree_rows;
use crate::store::rows::{Batch, RowKey, Table};
use crate::transition::Transition;
use crate::validate::leaf::check_advertised;
use crate::view::proposals::ListedProposal;
use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use conclave_crypto::{CryptoProvider, CryptoRng, SignatureKeyPair, Suite};
use conclave_framing::{Padding, protect_private, protect_public, sign_content};
use conclave_schedule::RatchetKind;
use conclave_tree::{TreeRead, sign_leaf};
use conclave_wire::{
    AuthenticatedContent, Bytes, Content, Encode, Epoch, Extension, FramedContent, GroupId,
    LeafIndex, LeafNode, LeafNodeContext, LeafNodeSource, MlsMessage, MlsMessageBody,
    PreSharedKeyId, Proposal, ProposalType, PskType, ReInit, ResumptionPskUsage, Sender, UnixTime,
    WireFormat,
};

/// Options for the framing of a message. The default sends handshake messages in the clear, without
/// padding.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Framing {
    /// Whether a proposal or commit is encrypted, so that the delivery service cannot follow it.
    /// Application data always is.
    pub encrypt: bool,
    /// The application's data that is authenticated and not encrypted.
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
    /// Inject the resumption PSK of an epoch of this or another group.
    ResumptionPsk {
        /// The group.
        group_id: GroupId,
        /// The epoch.
        epoch: Epoch,
    },
    /// Close the group and announce the one that replaces it.
    ReInit(ReInit),
    /// Replace the GroupContext's extensions.
    GroupContextExtensions(Vec<Extension>),
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
        let proposal = make_proposal(&suite, rng, proposal);
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
        let (mut leaf, signer) = self.leaf_template(change.as_ref())?;
        check_advertised(&self.config().proposals, &leaf)?;
        leaf.encryption_key = key.public;
        leaf.leaf_node_source = LeafNodeSource::Update;
        let group_id = self.group_id();
        let context = LeafNodeContext { group_id, leaf_index: self.own_leaf };
        sign_leaf(&suite, &mut leaf, signer, context)?;

        let signer = change.map(|change| change.signer);
        let pending = PendingUpdate { leaf_key: key.private, signer };
        self.send_proposal(&suite, rng, Proposal::Update(Box::new(leaf)), framing, Some(pending))
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
        self.public.check_lone_proposal(suite, sender, &proposal)?;
        let content = self.sign(suite, Content::Proposal(proposal.clone()), framing)?;

        let mut delta = Delta::default();
        let mut batch = self.batch();
        let reference = suite.proposal_ref(&content.to_bytes()?)?;
        let message = self.protect(suite, rng, &content, framing, &mut delta, &mut batch)?;

        let listed = ListedProposal { sender, proposal, reference: Some(reference.clone()) };
        let (place, public) = self.public.cache_proposal(listed, &mut batch)?;
        delta.public = public;
        if let Some(update) = update {
            batch.put(RowKey::new(Table::PendingUpdate, place), update.to_row()?.expose());
            delta.pending_updates.insert(place, Some(update));
        }
        Ok(self.step(delta, batch, ProposalMessage { message, reference }))
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
        if !self.public.proposals.is_empty() && self.pending_commit.is_none() {
            return Err(Misuse::ProposalsPending.into());
        }

        let framing = Framing { encrypt: true, ..framing.clone() };
        let content = self.sign(&suite, Content::Application(data.into()), &framing)?;
        let mut delta = Delta::default();
        let mut batch = self.batch();
        let message = self.protect(&suite, rng, &content, &framing, &mut delta, &mut batch);
        content.content.content.wipe();
        Ok(self.step(delta, batch, message?))
    }

    /// Drops all proposals of this epoch, received and our own. From then on a commit that refers
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
        for place in self.public.proposals.places() {
            delta.public.proposals.insert(place, None);
            batch.delete(RowKey::new(Table::Proposal, place));
        }
        for place in self.pending_updates.keys() {
            delta.pending_updates.insert(*place, None);
            batch.delete(RowKey::new(Table::PendingUpdate, *place));
        }
        Ok(self.silent_step(delta, batch, Event::Discarded))
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
            authenticated_data: framing.authenticated_data.as_slice().into(),
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

pub(crate) fn make_proposal(
    suite: &Suite<'_>,
    rng: &mut dyn CryptoRng,
    new: NewProposal,
) -> Proposal {
    let psktype = match new {
        NewProposal::Add(valid) => return Proposal::Add(Box::new(valid.key_package().clone())),
        NewProposal::Remove(leaf) => return Proposal::Remove(leaf),
        NewProposal::ReInit(reinit) => return Proposal::ReInit(reinit),
        NewProposal::GroupContextExtensions(extensions) => {
            return Proposal::GroupContextExtensions(extensions);
        }
        NewProposal::Custom { proposal_type, body } => {
            return Proposal::Custom { proposal_type, body };
        }
        NewProposal::ExternalPsk { psk_id } => PskType::External { psk_id },
        NewProposal::ResumptionPsk { group_id, epoch } => PskType::Resumption {
            usage: ResumptionPskUsage::Application,
            psk_group_id: group_id,
            psk_epoch: epoch,
        },
    };
    Proposal::PreSharedKey(PreSharedKeyId { psktype, psk_nonce: random_nonce(suite, rng) })
}
