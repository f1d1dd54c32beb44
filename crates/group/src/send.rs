//! Sending: proposals and application data (sections 12.1 and 15).

use crate::config::Config;
use crate::error::{Error, Misuse};
use crate::event::Event;
use crate::key_package::{LeafParams, ValidKeyPackage};
use crate::limits::Limit;
use crate::pending::PendingUpdate;
use crate::proposals::{ListedProposal, update};
use crate::rows::{Batch, RowKey, Table};
use crate::rules;
use crate::state::{Delta, Group, SecretTreeChange};
use crate::stored::put_secret_tree_rows;
use crate::transition::Transition;
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
    PreSharedKeyId, Proposal, ProposalType, PskType, ReInit, ResumptionPskUsage, Sender,
    WireFormat,
};

/// How a message is framed.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Framing {
    /// Whether a proposal or commit is encrypted, so that the delivery service cannot follow.
    /// Application data always is.
    pub encrypt: bool,
    /// Data of the application that is authenticated and not encrypted.
    pub authenticated_data: Vec<u8>,
    /// How much padding an encrypted message gets.
    pub padding: Padding,
}

/// A proposal to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NewProposal {
    /// Add a client.
    Add(Box<ValidKeyPackage>),
    /// Remove the member at a leaf.
    Remove(LeafIndex),
    /// Inject a PSK of the application.
    ExternalPsk {
        /// The application's name for it.
        psk_id: Bytes,
    },
    /// Inject the resumption PSK of an epoch of this or another group.
    ResumptionPsk {
        /// The group.
        group_id: GroupId,
        /// The epoch.
        epoch: Epoch,
    },
    /// Close the group, to be replaced by another.
    ReInit(ReInit),
    /// Replace the GroupContext's extensions.
    GroupContextExtensions(Vec<Extension>),
    /// Something of the application's own, of a type among [`Config::proposals`](crate::Config).
    Custom {
        /// The type.
        proposal_type: ProposalType,
        /// The body as it is encoded, its own length header included if it has one.
        body: Bytes,
    },
}

impl NewProposal {
    /// Checks that a client that is to be added can be added now (section 7.3): its key package may
    /// have been checked long ago.
    pub(crate) fn check_lifetime(&self, now: u64, config: &Config) -> Result<(), Error> {
        let Self::Add(valid) = self else { return Ok(()) };
        rules::check_within_lifetime(&valid.key_package().leaf_node, now, config)
    }
}

/// A change of the own leaf beyond its encryption key.
#[derive(Clone, Debug)]
pub struct LeafUpdate {
    /// What the leaf says from now on.
    pub params: LeafParams,
    /// The signature key pair from now on.
    pub signer: SignatureKeyPair,
}

impl Group {
    /// Proposes a change; the proposal is cached here as it will be at the others.
    ///
    /// # Errors
    /// If the proposal breaks a rule, a key package is out of its lifetime (section 7.3), or the
    /// group was deleted.
    pub fn propose(
        &self,
        provider: &dyn CryptoProvider,
        rng: &mut dyn CryptoRng,
        now: u64,
        proposal: NewProposal,
        framing: &Framing,
    ) -> Result<Transition<Self>, Error> {
        let suite = self.suite(provider)?;
        proposal.check_lifetime(now, self.config())?;
        let proposal = make_proposal(&suite, rng, proposal);
        self.send_proposal(&suite, rng, proposal, framing, None)
    }

    /// Proposes to renew the own leaf; in effect once somebody else commits it.
    ///
    /// # Errors
    /// If the new leaf breaks a rule, or the group was deleted.
    pub fn propose_update(
        &self,
        provider: &dyn CryptoProvider,
        rng: &mut dyn CryptoRng,
        change: Option<LeafUpdate>,
        framing: &Framing,
    ) -> Result<Transition<Self>, Error> {
        let suite = self.suite(provider)?;
        self.active()?;
        let key = suite.hpke_key_pair(rng)?;
        let (mut leaf, signer) = self.leaf_template(change.as_ref())?;
        self.config().check_advertised(&leaf)?;
        leaf.encryption_key = key.public;
        leaf.leaf_node_source = LeafNodeSource::Update;
        let group_id = self.group_id();
        let context = LeafNodeContext { group_id, leaf_index: self.own_leaf };
        sign_leaf(&suite, &mut leaf, signer, context)?;
        let signer = change.map(|change| change.signer);
        let pending = PendingUpdate { leaf_key: key.private, signer };
        self.send_proposal(&suite, rng, update(leaf), framing, Some(pending))
    }

    fn send_proposal(
        &self,
        suite: &Suite<'_>,
        rng: &mut dyn CryptoRng,
        proposal: Proposal,
        framing: &Framing,
        update: Option<PendingUpdate>,
    ) -> Result<Transition<Self>, Error> {
        self.active()?;
        let sender = Sender::Member(self.own_leaf);
        self.public.check_lone_proposal(suite, sender, &proposal)?;
        let (content, mut delta, mut batch) = (
            self.sign(suite, Content::Proposal(proposal.clone()), framing)?,
            Delta::default(),
            self.batch(),
        );
        let reference = suite.proposal_ref(&content.to_bytes()?)?;
        let message = self.protect(suite, rng, &content, framing, &mut delta, &mut batch)?;
        let listed = ListedProposal { sender, proposal, reference: Some(reference.clone()) };
        let (place, public) = self.public.cache_proposal(listed, &mut batch)?;
        delta.public = public;
        if let Some(update) = update {
            batch.put(RowKey::new(Table::PendingUpdate, place), update.to_row()?.expose());
            delta.pending_updates.insert(place, Some(update));
        }
        Ok(self.step(delta, batch, Event::Proposal { message, reference }))
    }

    /// Encrypts application data to the members of this epoch.
    ///
    /// # Errors
    /// [`Misuse::ProposalsPending`] if proposals were received: commit them first (section 12.4).
    pub fn encrypt(
        &self,
        provider: &dyn CryptoProvider,
        rng: &mut dyn CryptoRng,
        data: &[u8],
        framing: &Framing,
    ) -> Result<Transition<Self>, Error> {
        let suite = self.suite(provider)?;
        self.active()?;
        if !self.public.proposals.is_empty() && self.pending_commit.is_none() {
            return Err(Misuse::ProposalsPending.into());
        }
        let framing = Framing { encrypt: true, ..framing.clone() };
        let content = self.sign(&suite, Content::Application(data.into()), &framing)?;
        let (mut delta, mut batch) = (Delta::default(), self.batch());
        let message = self.protect(&suite, rng, &content, &framing, &mut delta, &mut batch);
        content.content.content.wipe();
        Ok(self.step(delta, batch, Event::Message(message?)))
    }

    /// Forgets all received and own proposals of this epoch. A commit by somebody else that refers
    /// to one of them is refused from then on, so that this client falls behind: only for proposals
    /// that others will not commit either.
    ///
    /// # Errors
    /// [`Misuse::CommitPending`] if an own commit may refer to them.
    pub fn discard_proposals(&self) -> Result<Transition<Self>, Error> {
        if self.pending_commit.is_some() {
            return Err(Misuse::CommitPending.into());
        }
        let (mut delta, mut batch) = (Delta::default(), self.batch());
        for place in self.public.proposals.places() {
            delta.public.proposals.insert(place, None);
            batch.delete(RowKey::new(Table::Proposal, place));
        }
        for place in self.pending_updates.keys() {
            delta.pending_updates.insert(*place, None);
            batch.delete(RowKey::new(Table::PendingUpdate, *place));
        }
        Ok(self.step(delta, batch, Event::Discarded))
    }

    /// The own leaf as a template for a new one, and the key that signs it.
    pub(crate) fn leaf_template<'a>(
        &'a self,
        change: Option<&'a LeafUpdate>,
    ) -> Result<(LeafNode, &'a SignatureKeyPair), Error> {
        match change {
            Some(change) => Ok((change.params.template(&change.signer.public), &change.signer)),
            None => {
                let leaf = self.public.tree.leaf(self.own_leaf);
                let leaf = leaf.ok_or_else(|| Error::storage("the own leaf is missing"))?;
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
        let wire_format = match framing.encrypt {
            true => WireFormat::PRIVATE_MESSAGE,
            false => WireFormat::PUBLIC_MESSAGE,
        };
        let content = FramedContent {
            group_id: self.group_id().clone(),
            epoch: self.epoch(),
            sender: Sender::Member(self.own_leaf),
            authenticated_data: framing.authenticated_data.as_slice().into(),
            content,
        };
        Ok(sign_content(suite, wire_format, content, self.context(), &self.signer)?)
    }

    /// Protects signed content; an encrypted message uses up a key, which goes into the delta.
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
            let (secret, padding) = (&secrets.sender_data, framing.padding);
            MlsMessageBody::PrivateMessage(protect_private(
                suite, content, generation, key, secret, padding, rng,
            )?)
        } else {
            let (context, key) = (self.context(), &secrets.membership_key);
            let message = protect_public(suite, content.clone(), context, key)?;
            MlsMessageBody::PublicMessage(Box::new(message))
        };
        let message = MlsMessage::from(body).to_bytes()?;
        // What the others refuse is not sent: a commit would part this client from them.
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
