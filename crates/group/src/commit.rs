//! Creating proposals, commits, and what goes with them (sections 12.1, 12.4.1 and 12.4.3).

use crate::advance::{Incoming, PathSource, WelcomeKeys, next_epoch};
use crate::error::{Error, Misuse};
use crate::event::{CommitMessages, Event, WelcomeMessage};
use crate::key_package::{LeafParams, ValidKeyPackage};
use crate::link::Link;
use crate::pending::{OwnPath, PendingCommit, PendingUpdate};
use crate::proposals::{Committer, Linking, ListedProposal, check_proposal, committable, update};
use crate::public::StagedCommit;
use crate::rows::{Batch, RowKey, Table};
use crate::rules;
use crate::state::{Delta, Group, SecretTreeChange, put_secret_tree_rows};
use crate::transition::Transition;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;
use conclave_crypto::{CryptoProvider, CryptoRng, Secret, SignatureKeyPair, Suite};
use conclave_framing::{Padding, protect_private, protect_public, sign_content};
use conclave_schedule::{CommitSecret, RatchetKind, confirmation_tag, external_key_pair};
use conclave_tree::{NewPath, StagedTree, TreeRead, create_path, seal_path, sign_leaf};
use conclave_wire::{
    AuthenticatedContent, Bytes, Commit, Content, Encode, EncryptedGroupSecrets, Extension,
    ExtensionType, FramedContent, GroupContext, GroupId, GroupInfo, GroupInfoTbs, GroupSecrets,
    HpkePublicKey, KeyPackageRef, LeafIndex, LeafNodeContext, LeafNodeSource, Mac, MlsMessage,
    MlsMessageBody, PathSecret, PreSharedKeyId, Proposal, ProposalOrRef, PskType, ReInit,
    ResumptionPskUsage, Sender, Welcome, WireFormat, Writer,
};
use zeroize::Zeroizing;

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
        epoch: u64,
    },
    /// Close the group, to be replaced by another.
    ReInit(ReInit),
    /// Replace the GroupContext's extensions.
    GroupContextExtensions(Vec<Extension>),
}

/// A change of the own leaf beyond its encryption key.
#[derive(Clone, Debug)]
pub struct LeafUpdate {
    /// What the leaf says from now on.
    pub params: LeafParams,
    /// The signature key pair from now on.
    pub signer: SignatureKeyPair,
}

/// What a GroupInfo holds beside what it must.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupInfoOptions {
    /// The ratchet tree (section 12.4.3.3).
    pub ratchet_tree: bool,
    /// The key by which others can join by external commit (section 12.4.3.2).
    pub external_pub: bool,
}

/// What a commit is to do.
#[derive(Clone, Debug)]
pub struct CommitOptions {
    /// Proposals by value.
    pub proposals: Vec<NewProposal>,
    /// Whether the proposals received in this epoch are committed too, as far as they fit.
    /// Default true.
    pub received: bool,
    /// Whether the commit renews the own keys even if it need not.
    pub force_path: bool,
    /// A change of the own leaf; makes a path.
    pub leaf: Option<LeafUpdate>,
    /// How the commit is framed.
    pub framing: Framing,
    /// Whether Welcomes hold the ratchet tree. If not, hand it to new members in another way.
    /// Default true.
    pub welcome_ratchet_tree: bool,
    /// At most how many new members share a Welcome. Default all.
    pub welcome_recipients: usize,
    /// Whether a GroupInfo of the new epoch is made, and what it holds.
    pub group_info: Option<GroupInfoOptions>,
    /// The PSKs that the proposals name, unless they are resumption PSKs of this group.
    pub psks: Vec<(PskType, Secret)>,
    /// In the first commit of a group: the group that this one branches off or replaces.
    pub link: Option<Link>,
}

impl Default for CommitOptions {
    fn default() -> Self {
        Self {
            proposals: Vec::new(),
            received: true,
            force_path: false,
            leaf: None,
            framing: Framing::default(),
            welcome_ratchet_tree: true,
            welcome_recipients: usize::MAX,
            group_info: None,
            psks: Vec::new(),
            link: None,
        }
    }
}

/// A commit that is computed up to its signature.
struct Prepared<'a> {
    list: Vec<ListedProposal>,
    staged: StagedCommit<'a>,
    commit: Commit,
    path: Option<NewPath>,
}

impl Group {
    /// Proposes a change; the proposal is cached here as it will be at the others.
    ///
    /// # Errors
    /// If the proposal breaks a rule, or this client was removed.
    pub fn propose(
        &self,
        provider: &dyn CryptoProvider,
        rng: &mut dyn CryptoRng,
        proposal: NewProposal,
        framing: &Framing,
    ) -> Result<Transition<Self>, Error> {
        let suite = self.suite(provider)?;
        let proposal = make_proposal(&suite, rng, proposal);
        self.send_proposal(&suite, rng, proposal, framing, None)
    }

    /// Proposes to renew the own leaf; in effect once somebody else commits it.
    ///
    /// # Errors
    /// If the new leaf breaks a rule, or this client was removed.
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
        let (context, tree) = (self.context(), &self.public.tree);
        check_proposal(suite, context, tree, sender, &proposal, Linking::Forbidden)?;
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
            batch.put(RowKey::new(Table::PendingUpdate, place), update.to_row()?);
            delta.pending_updates.insert(place, Some(update));
        }
        Ok(Transition::new(self, delta, batch, Event::Proposal { message, reference }))
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
        let message = self.protect(&suite, rng, &content, &framing, &mut delta, &mut batch)?;
        Ok(Transition::new(self, delta, batch, Event::Message(message)))
    }

    /// Commits proposals. The commit is pending until [`Self::commit_accepted`] or
    /// [`Self::commit_rejected`], or until another commit is received.
    ///
    /// # Errors
    /// If the proposals break a rule, a PSK is missing, or another own commit is pending.
    pub fn commit(
        &self,
        provider: &dyn CryptoProvider,
        rng: &mut dyn CryptoRng,
        options: CommitOptions,
    ) -> Result<Transition<Self>, Error> {
        let suite = self.suite(provider)?;
        let secrets = self.active()?;
        if self.pending_commit.is_some() {
            return Err(Misuse::CommitPending.into());
        }
        let Prepared { list, staged, commit, path } = self.prepare(&suite, rng, &options)?;
        let mut provided = options.psks.clone();
        provided.extend(options.link.iter().map(Link::provided));
        let psks = self.psk_values(&staged.applied.psks, &provided)?;
        let mut content = self.sign(&suite, Content::Commit(commit), &options.framing)?;
        let mut context = staged.provisional.clone();
        context.confirmed_transcript_hash = self.public.confirmed_after(&suite, &content)?;
        let commit_secret = match &path {
            Some(path) => CommitSecret::from_secret(path.keys.commit_secret.clone()),
            None => CommitSecret::zero(&suite),
        };
        let (welcome, epoch) = next_epoch(&suite, &secrets.init, &commit_secret, &psks, &context)?;
        let confirmed = &context.confirmed_transcript_hash;
        let tag = confirmation_tag(&suite, &epoch.confirmation_key, confirmed)?;
        content.auth.confirmation_tag = Some(tag.clone());

        let (mut delta, mut batch) = (Delta::default(), self.batch());
        let framing = &options.framing;
        let commit = self.protect(&suite, rng, &content, framing, &mut delta, &mut batch)?;
        // The new epoch knows the committer by its new key.
        let signer = options.leaf.as_ref().map_or(&self.signer, |leaf| &leaf.signer);
        let external = external_key_pair(&suite, &epoch.external)?.public;
        let maker = GroupInfoMaker {
            suite: &suite,
            context: &context,
            tag: &tag,
            signer,
            own_leaf: self.own_leaf,
            tree: &staged.applied.tree,
            external: &external,
        };
        let group_info = match options.group_info {
            Some(wanted) => Some(maker.message(wanted)?),
            None => None,
        };
        let ids: Vec<PreSharedKeyId> = psks.iter().map(|(id, _)| id.clone()).collect();
        let welcomes =
            self.welcomes(rng, &maker, &options, &list, &staged, path.as_ref(), &welcome, &ids)?;
        let messages = CommitMessages { commit, welcomes, group_info };
        let path = path.map(|path| OwnPath {
            leaf_key: path.leaf_key.private,
            keys: path.keys.keys,
            commit_secret: path.keys.commit_secret,
            signer: options.leaf.map(|leaf| leaf.signer),
        });
        let pending = PendingCommit { content, path, psks, messages: messages.clone() };
        batch.put(RowKey::new(Table::PendingCommit, 0), pending.to_row()?);
        delta.pending_commit = Some(Some(Box::new(pending)));
        Ok(Transition::new(self, delta, batch, Event::Commit(messages)))
    }

    /// Lists the proposals, applies them, and makes the path.
    fn prepare(
        &self,
        suite: &Suite<'_>,
        rng: &mut dyn CryptoRng,
        options: &CommitOptions,
    ) -> Result<Prepared<'_>, Error> {
        let list = self.list(suite, rng, options)?;
        let me = self.own_leaf;
        let linking = match &options.link {
            Some(_) if self.epoch() == 0 => Linking::Allowed,
            Some(_) => return Err(Misuse::NotPossible("only a new group can be linked").into()),
            None => Linking::Forbidden,
        };
        let mut applied = self.public.apply_list(suite, Committer::Member(me), &list, linking)?;
        let new_leaves: Vec<LeafIndex> = applied.added.iter().map(|(leaf, _)| *leaf).collect();
        let with_path = applied.needs_path || options.force_path || options.leaf.is_some();
        let path = match with_path {
            true => {
                let (template, signer) = self.leaf_template(options.leaf.as_ref())?;
                let group_id = self.group_id();
                let tree = &mut applied.tree;
                Some(create_path(suite, tree, me, template, signer, group_id, rng)?)
            }
            false => None,
        };
        applied.tree.check_unique_keys()?;
        rules::check_group_support(&applied.tree, &applied.extensions)?;
        let provisional = self.public.provisional_context(suite, &mut applied)?;
        let update_path = match &path {
            Some(path) => {
                let context = provisional.to_bytes()?;
                let tree = &applied.tree;
                Some(Box::new(seal_path(suite, tree, me, path, &context, &new_leaves, rng)?))
            }
            None => None,
        };
        let proposals = list.iter().map(|item| match &item.reference {
            Some(reference) => ProposalOrRef::Reference(reference.clone()),
            None => ProposalOrRef::Proposal(item.proposal.clone()),
        });
        let commit = Commit { proposals: proposals.collect(), path: update_path };
        let staged = StagedCommit { applied, committer: me, new_leaves, provisional };
        Ok(Prepared { list, staged, commit, path })
    }

    /// The proposals to commit: received ones by reference, then new ones by value.
    fn list(
        &self,
        suite: &Suite<'_>,
        rng: &mut dyn CryptoRng,
        options: &CommitOptions,
    ) -> Result<Vec<ListedProposal>, Error> {
        let me = Sender::Member(self.own_leaf);
        let by_value = options
            .proposals
            .iter()
            .cloned()
            .map(|new| ListedProposal::by_value(me, make_proposal(suite, rng, new)));
        let mut new: Vec<ListedProposal> = by_value.collect();
        if let Some(link) = &options.link {
            let psk_nonce = random_nonce(suite, rng);
            let id = PreSharedKeyId { psktype: link.psk_type(), psk_nonce };
            new.push(ListedProposal::by_value(me, Proposal::PreSharedKey(id)));
        }
        if !options.received || self.public.proposals.is_empty() {
            return Ok(new);
        }
        // What the caller asks for goes before what others have proposed: chosen as the last.
        let wanted = new.len();
        let version = self.context().version;
        let received = self.public.proposals.iter().map(|(_, listed)| listed.clone());
        let all = received.chain(new.iter().cloned());
        let chosen = committable(
            self.own_leaf,
            version,
            &self.public.tree,
            all.collect::<Vec<_>>().into_iter(),
        );
        let kept = chosen.iter().filter(|item| item.reference.is_none()).count();
        match kept == wanted {
            true => Ok(chosen),
            // What was asked for is not valid by itself; the check of the list will say why.
            false => Ok(new),
        }
    }

    /// The own leaf as a template for a new one, and the key that signs it.
    fn leaf_template<'a>(
        &'a self,
        change: Option<&'a LeafUpdate>,
    ) -> Result<(conclave_wire::LeafNode, &'a SignatureKeyPair), Error> {
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
    fn sign(
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
    fn protect(
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
        Ok(MlsMessage::from(body).to_bytes()?)
    }

    /// A GroupInfo of the current epoch, an encoded MLSMessage.
    ///
    /// # Errors
    /// If this client was removed, or the group closed.
    pub fn group_info(
        &self,
        provider: &dyn CryptoProvider,
        options: GroupInfoOptions,
    ) -> Result<Vec<u8>, Error> {
        let suite = self.suite(provider)?;
        let secrets = self.active()?;
        let external = external_key_pair(&suite, &secrets.external)?.public;
        GroupInfoMaker {
            suite: &suite,
            context: self.context(),
            tag: &self.public.epoch.confirmation_tag,
            signer: &self.signer,
            own_leaf: self.own_leaf,
            tree: &self.public.tree,
            external: &external,
        }
        .message(options)
    }

    /// Welcomes for the clients that a commit adds.
    #[allow(clippy::too_many_arguments)]
    fn welcomes(
        &self,
        rng: &mut dyn CryptoRng,
        maker: &GroupInfoMaker<'_, StagedTree<'_>>,
        options: &CommitOptions,
        list: &[ListedProposal],
        staged: &StagedCommit<'_>,
        path: Option<&NewPath>,
        keys: &WelcomeKeys,
        psks: &[PreSharedKeyId],
    ) -> Result<Vec<WelcomeMessage>, Error> {
        let suite = maker.suite;
        let mut joiners = Vec::new();
        for (leaf, place) in &staged.applied.added {
            if let Some(Proposal::Add(key_package)) = list.get(*place).map(|item| &item.proposal) {
                let reference = suite.key_package_ref(&key_package.to_bytes()?)?;
                joiners.push((*leaf, reference, &key_package.init_key));
            }
        }
        if joiners.is_empty() {
            return Ok(Vec::new());
        }
        let wanted =
            GroupInfoOptions { ratchet_tree: options.welcome_ratchet_tree, external_pub: false };
        let group_info = maker.make(wanted)?.to_bytes()?;
        let sealed = suite.aead_seal(&keys.key, keys.nonce.expose(), &[], &group_info)?;
        let mut secrets = GroupSecretsMaker {
            joiner: keys.joiner.expose(),
            path,
            tree: &staged.applied.tree,
            committer: self.own_leaf,
            psks,
            encoded: BTreeMap::new(),
        };
        let mut recipients: Vec<(&HpkePublicKey, Zeroizing<Vec<u8>>)> = Vec::new();
        for (leaf, _, init_key) in &joiners {
            recipients.push((init_key, secrets.for_leaf(*leaf)?));
        }
        let recipients: Vec<(&HpkePublicKey, &[u8])> =
            recipients.iter().map(|(key, secrets)| (*key, secrets.as_slice())).collect();
        let encrypted = suite.encrypt_many_with_label(&recipients, b"Welcome", &sealed, rng)?;
        let entries: Vec<EncryptedGroupSecrets> = joiners
            .into_iter()
            .zip(encrypted)
            .map(|((_, new_member, _), encrypted_group_secrets)| EncryptedGroupSecrets {
                new_member,
                encrypted_group_secrets,
            })
            .collect();
        let split = entries.chunks(options.welcome_recipients.max(1)).map(|secrets| {
            let recipients: Vec<KeyPackageRef> =
                secrets.iter().map(|entry| entry.new_member.clone()).collect();
            let message = MlsMessage::from(MlsMessageBody::Welcome(Welcome {
                cipher_suite: suite.cipher_suite(),
                secrets: secrets.to_vec(),
                encrypted_group_info: sealed.as_slice().into(),
            }));
            Ok(WelcomeMessage { message: message.to_bytes()?, recipients })
        });
        split.collect()
    }

    /// The step of a pending commit that the delivery service accepted: into the new epoch.
    ///
    /// # Errors
    /// [`Misuse::NoCommitPending`].
    pub fn commit_accepted(
        &self,
        provider: &dyn CryptoProvider,
        now: u64,
    ) -> Result<Transition<Self>, Error> {
        let suite = self.suite(provider)?;
        let pending = self.pending_commit.as_ref().ok_or(Misuse::NoCommitPending)?;
        let sender = Sender::Member(self.own_leaf);
        let commit = crate::public::commit_of(&pending.content.content)?;
        let list = self.public.resolve_list(sender, commit)?;
        let incoming = Incoming {
            now,
            content: &pending.content,
            list: &list,
            source: PathSource::Own(pending.path.as_ref()),
            psks: &pending.psks,
        };
        let step = self.advance(&suite, &incoming)?;
        Ok(Transition::new(self, step.delta, step.batch, Event::Epoch(step.change)))
    }

    /// The step of a pending commit that the delivery service rejected: it is forgotten.
    ///
    /// # Errors
    /// [`Misuse::NoCommitPending`].
    pub fn commit_rejected(&self) -> Result<Transition<Self>, Error> {
        if self.pending_commit.is_none() {
            return Err(Misuse::NoCommitPending.into());
        }
        let delta = Delta { pending_commit: Some(None), ..Delta::default() };
        let mut batch = self.batch();
        batch.delete(RowKey::new(Table::PendingCommit, 0));
        Ok(Transition::new(self, delta, batch, Event::Discarded))
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
        Ok(Transition::new(self, delta, batch, Event::Discarded))
    }
}

pub(crate) fn random_nonce(suite: &Suite<'_>, rng: &mut dyn CryptoRng) -> Bytes {
    let mut nonce = vec![0; suite.nh()];
    rng.fill_bytes(&mut nonce);
    nonce.into()
}

fn make_proposal(suite: &Suite<'_>, rng: &mut dyn CryptoRng, new: NewProposal) -> Proposal {
    let psktype = match new {
        NewProposal::Add(valid) => return Proposal::Add(Box::new(valid.key_package().clone())),
        NewProposal::Remove(leaf) => return Proposal::Remove(leaf),
        NewProposal::ReInit(reinit) => return Proposal::ReInit(reinit),
        NewProposal::GroupContextExtensions(extensions) => {
            return Proposal::GroupContextExtensions(extensions);
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

/// The GroupSecrets of new members. Those below the same node of the path get the same ones, so
/// that they are encoded once for each node.
struct GroupSecretsMaker<'a> {
    joiner: &'a [u8],
    path: Option<&'a NewPath>,
    tree: &'a StagedTree<'a>,
    committer: LeafIndex,
    psks: &'a [PreSharedKeyId],
    encoded: BTreeMap<Option<conclave_wire::NodeIndex>, Zeroizing<Vec<u8>>>,
}

impl GroupSecretsMaker<'_> {
    fn for_leaf(&mut self, leaf: LeafIndex) -> Result<Zeroizing<Vec<u8>>, Error> {
        let ancestor = self.tree.size().common_ancestor(self.committer, leaf);
        let entry =
            self.path.and_then(|path| path.keys.secrets.iter().find(|(node, _)| *node == ancestor));
        let key = entry.map(|(node, _)| *node);
        if let Some(known) = self.encoded.get(&key) {
            return Ok(known.clone());
        }
        let secrets = GroupSecrets {
            joiner_secret: self.joiner.to_vec(),
            path_secret: entry
                .map(|(_, secret)| PathSecret { path_secret: secret.expose().to_vec() }),
            psks: self.psks.to_vec(),
        };
        let mut w = Writer::secret();
        secrets.encode(&mut w)?;
        let bytes = Zeroizing::new(w.finish());
        self.encoded.insert(key, bytes.clone());
        Ok(bytes)
    }
}

/// Makes GroupInfos of an epoch.
pub(crate) struct GroupInfoMaker<'a, T> {
    pub(crate) suite: &'a Suite<'a>,
    pub(crate) context: &'a GroupContext,
    pub(crate) tag: &'a Mac,
    pub(crate) signer: &'a SignatureKeyPair,
    pub(crate) own_leaf: LeafIndex,
    pub(crate) tree: &'a T,
    pub(crate) external: &'a HpkePublicKey,
}

impl<T: TreeRead> GroupInfoMaker<'_, T> {
    pub(crate) fn make(&self, options: GroupInfoOptions) -> Result<GroupInfo, Error> {
        let mut extensions = Vec::new();
        if options.ratchet_tree {
            let tree = self.tree.to_extension_bytes()?.into();
            let extension_type = ExtensionType::RATCHET_TREE;
            extensions.push(Extension { extension_type, extension_data: tree });
        }
        if options.external_pub {
            extensions.push(Extension::new(ExtensionType::EXTERNAL_PUB, self.external)?);
        }
        let mut info = GroupInfo {
            group_context: self.context.clone(),
            extensions,
            confirmation_tag: self.tag.clone(),
            signer: self.own_leaf,
            signature: Bytes::default(),
        };
        let tbs = GroupInfoTbs(&info).to_bytes()?;
        info.signature = self.suite.sign_with_label(self.signer, b"GroupInfoTBS", &tbs)?.into();
        Ok(info)
    }

    pub(crate) fn message(&self, options: GroupInfoOptions) -> Result<Vec<u8>, Error> {
        let body = MlsMessageBody::GroupInfo(Box::new(self.make(options)?));
        Ok(MlsMessage::from(body).to_bytes()?)
    }
}
