//! Joining by an external commit, and proposals from outside the group (sections 12.1.8 and
//! 12.4.3.2).

use crate::advance::next_epoch;
use crate::config::Config;
use crate::create::NewGroup;
use crate::credentials::{CredentialRequest, Verdict, check_verdicts};
use crate::error::{Error, Misuse, Rejection};
use crate::event::Member;
use crate::join::{join_credentials, members, other_extensions, verified_state};
use crate::key_package::{LeafParams, OwnKeyPackage};
use crate::limits::{Limit, Limits};
use crate::proposals::{Committer, Linking, ListedProposal, Origin};
use crate::public::{PublicState, StagedCommit};
use crate::rows::Batch;
use crate::rules;
use crate::send::random_nonce;
use crate::state::{Group, Parts};
use crate::welcome::{GroupInfoMaker, GroupInfoOptions};
use alloc::boxed::Box;
use alloc::vec::Vec;
use conclave_crypto::{CryptoProvider, CryptoRng, Secret, SignatureKeyPair, Suite};
use conclave_framing::{protect_public_from_outside, sign_content, sign_proposal_from_outside};
use conclave_schedule::{CommitSecret, confirmation_tag, external_init_to, external_key_pair};
use conclave_tree::{create_path, seal_path};
use conclave_wire::{
    Bytes, CipherSuite, Commit, Content, Decode, Encode, Epoch, Extension, ExtensionType,
    FramedContent, GroupContext, GroupId, GroupInfo, HpkePublicKey, LeafIndex, MlsMessage,
    MlsMessageBody, PreSharedKeyId, Proposal, ProposalOrRef, PskType, Sender, WireFormat,
    find_extension,
};

/// A group that can be joined from outside: its GroupInfo and tree are verified, its members'
/// credentials to be judged.
#[derive(Debug)]
pub struct ExternalJoinStage {
    public: PublicState,
    external_pub: HpkePublicKey,
    extensions: Vec<Extension>,
    credentials: Vec<CredentialRequest>,
}

/// How to join.
#[derive(Clone, Debug)]
pub struct ExternalJoinOptions {
    /// The own leaf.
    pub leaf: LeafParams,
    /// The key pair that the new member signs with.
    pub signer: SignatureKeyPair,
    /// The leaf of an old appearance of this client, to be removed (a "resync").
    pub removes: Option<LeafIndex>,
    /// PSKs to inject, by where they come from.
    pub psks: Vec<(PskType, Secret)>,
    /// Data of the application that the commit authenticates.
    pub authenticated_data: Vec<u8>,
    /// Whether a GroupInfo of the new epoch is made, and what it holds.
    pub group_info: Option<GroupInfoOptions>,
}

impl ExternalJoinOptions {
    /// To join as somebody new, with nothing else.
    #[must_use]
    pub fn new(leaf: LeafParams, signer: SignatureKeyPair) -> Self {
        Self {
            leaf,
            signer,
            removes: None,
            psks: Vec::new(),
            authenticated_data: Vec::new(),
            group_info: None,
        }
    }
}

/// An external commit: the group as it will be, and the messages that make it so.
///
/// Store the group when the delivery service has accepted the commit; if it has not, drop it and
/// try again with a newer GroupInfo. Until then [`Self::to_secret`] keeps it over a restart.
#[must_use = "the group is not stored yet"]
#[derive(Debug)]
pub struct ExternalCommit {
    /// The group in its new epoch.
    pub group: NewGroup,
    /// The commit, an encoded MLSMessage.
    pub commit: Vec<u8>,
    /// The GroupInfo of the new epoch, an encoded MLSMessage, if it was asked for.
    pub group_info: Option<Vec<u8>>,
}

/// A GroupInfo from an encoded MLSMessage.
pub(crate) fn decode_group_info(limits: &Limits, message: &[u8]) -> Result<GroupInfo, Error> {
    limits.check(Limit::JoinBytes, message.len())?;
    match MlsMessage::from_bytes(message)?.body {
        MlsMessageBody::GroupInfo(info) => Ok(*info),
        _ => Err(Rejection::UnexpectedMessage.into()),
    }
}

impl ExternalJoinStage {
    /// Verifies a GroupInfo, an encoded MLSMessage, and the ratchet tree in it or given apart.
    ///
    /// # Errors
    /// If one breaks a rule, or the GroupInfo does not allow external commits.
    pub fn open(
        provider: &dyn CryptoProvider,
        config: Config,
        group_info: &[u8],
        ratchet_tree: Option<&[u8]>,
    ) -> Result<Self, Error> {
        let info = decode_group_info(&config.limits, group_info)?;
        let suite = Suite::new(provider, info.group_context.cipher_suite)?;
        let external_pub = find_extension(&info.extensions, ExtensionType::EXTERNAL_PUB)?
            .ok_or(Rejection::ExternalPubMissing)?;
        let extensions = other_extensions(&info);
        let public = verified_state(&suite, config, info, ratchet_tree)?;
        let credentials = join_credentials(&public, None)?;
        Ok(Self { public, external_pub, extensions, credentials })
    }

    /// The group's context.
    #[must_use]
    pub fn context(&self) -> &GroupContext {
        &self.public.epoch.context
    }

    /// The members, by ascending leaf.
    pub fn members(&self) -> impl Iterator<Item = Member> {
        members(&self.public.tree)
    }

    /// The extensions of the GroupInfo, but for those that RFC 9420 defines.
    #[must_use]
    pub fn group_info_extensions(&self) -> &[Extension] {
        &self.extensions
    }

    /// The credentials to judge: of all members and external senders.
    #[must_use]
    pub fn credentials(&self) -> &[CredentialRequest] {
        &self.credentials
    }

    /// Makes the commit that joins, if all verdicts, one for each credential, accept.
    ///
    /// # Errors
    /// If one does not, or the options do not fit the group.
    pub fn commit(
        self,
        provider: &dyn CryptoProvider,
        rng: &mut dyn CryptoRng,
        verdicts: &[Verdict],
        options: ExternalJoinOptions,
    ) -> Result<ExternalCommit, Error> {
        check_verdicts(&self.credentials, verdicts)?;
        let Self { mut public, external_pub, .. } = self;
        let limits = public.config.limits;
        let suite = Suite::new(provider, public.epoch.context.cipher_suite)?;
        let (kem_output, init) = external_init_to(&suite, &external_pub, rng)
            .map_err(|e| Error::of_input(e, Rejection::InvalidPublicKey))?;
        let sender = Sender::NewMemberCommit;
        let psks: Vec<(PreSharedKeyId, Secret)> = options
            .psks
            .iter()
            .map(|(psktype, psk)| {
                let psk_nonce = random_nonce(&suite, rng);
                (PreSharedKeyId { psktype: psktype.clone(), psk_nonce }, psk.clone())
            })
            .collect();
        let mut proposals = alloc::vec![Proposal::ExternalInit(kem_output)];
        proposals.extend(options.removes.map(Proposal::Remove));
        proposals.extend(psks.iter().map(|(id, _)| Proposal::PreSharedKey(id.clone())));
        let list: Vec<ListedProposal> =
            proposals.iter().map(|p| ListedProposal::by_value(sender, p.clone())).collect();

        let list = public.checked_list(
            &suite,
            Committer::External,
            list,
            Linking::Forbidden,
            Origin::Own,
        )?;
        let mut applied = public.apply_list(&list)?;
        let own_leaf = applied.tree.place_leaf()?;
        let template = options.leaf.template(&options.signer.public);
        let (tree, signer) = (&mut applied.tree, &options.signer);
        let group_id = public.epoch.context.group_id.clone();
        let path = create_path(&suite, tree, own_leaf, template, signer, &group_id, rng)?;
        rules::check_own_leaf(&suite, &public.config, &path.leaf_node)?;
        public.check_result(&applied)?;
        public.check_policy(sender, &list, Some(&path.leaf_node))?;
        let provisional = public.provisional_context(&suite, &mut applied)?;
        let context = provisional.to_bytes()?;
        let update_path = seal_path(&suite, &applied.tree, own_leaf, &path, &context, &[], rng)?;
        let commit = Commit {
            proposals: proposals.into_iter().map(ProposalOrRef::Proposal).collect(),
            path: Some(Box::new(update_path)),
        };
        let content = FramedContent {
            group_id,
            epoch: public.epoch.context.epoch,
            sender,
            authenticated_data: options.authenticated_data.into(),
            content: Content::Commit(commit),
        };
        let old = &public.epoch.context;
        let mut content = sign_content(&suite, WireFormat::PUBLIC_MESSAGE, content, old, signer)?;
        let mut context = provisional.clone();
        context.confirmed_transcript_hash =
            public.confirmed_after(&suite, &content.transcript_hash_input())?;
        let commit_secret = CommitSecret::from_secret(path.keys.commit_secret.clone());
        let (_, secrets) = next_epoch(&suite, &init, &commit_secret, &psks, &context)?;
        let confirmed = &context.confirmed_transcript_hash;
        let tag = confirmation_tag(&suite, &secrets.confirmation_key, confirmed)?;
        content.auth.confirmation_tag = Some(tag.clone());
        let external = external_key_pair(&suite, &secrets.external)?.public;
        let maker = GroupInfoMaker {
            suite: &suite,
            context: &context,
            tag: &tag,
            signer,
            own_leaf,
            tree: &applied.tree,
            external: &external,
            limits: &limits,
            extensions: &[],
        };
        let group_info = match options.group_info {
            Some(wanted) => Some(maker.message(wanted)?),
            None => None,
        };
        let message = protect_public_from_outside(content)?;
        let commit =
            MlsMessage::from(MlsMessageBody::PublicMessage(Box::new(message))).to_bytes()?;
        limits.check(Limit::MessageBytes, commit.len())?;
        let staged =
            StagedCommit { applied, committer: own_leaf, new_leaves: Vec::new(), provisional };
        // The rows of the change alone are of no use to a client that has none of the others.
        let mut unused = Batch::new(context.group_id.clone());
        let mut step =
            public.finish_commit(&suite, staged, context, tag, sender, &mut unused)?.delta;
        public.swap(&mut step);
        let mut private_keys: alloc::collections::BTreeMap<_, _> =
            path.keys.keys.into_iter().collect();
        private_keys.insert(own_leaf.node(), path.leaf_key.private);
        let signer = options.signer;
        let parts = Parts { public, own_leaf, signer, secrets, private_keys };
        let group = NewGroup::new(Group::from_parts(parts))?;
        // Whoever removes its old leaf may have the state of that leaf still stored.
        let group = if options.removes.is_some() { group.replacing() } else { group };
        Ok(ExternalCommit { group, commit, group_info })
    }
}

/// A group as somebody outside it knows it who sends it proposals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalTarget {
    /// The group.
    pub group_id: GroupId,
    /// Its current epoch.
    pub epoch: Epoch,
    /// Its cipher suite.
    pub cipher_suite: CipherSuite,
    authenticated_data: Bytes,
}

impl ExternalTarget {
    /// A group in an epoch.
    #[must_use]
    pub fn new(group_id: GroupId, epoch: Epoch, cipher_suite: CipherSuite) -> Self {
        Self { group_id, epoch, cipher_suite, authenticated_data: Bytes::default() }
    }

    /// The group of this context.
    pub(crate) fn of(context: &GroupContext) -> Self {
        Self::new(context.group_id.clone(), context.epoch, context.cipher_suite)
    }

    /// The same, for proposals that authenticate data of the application (section 6).
    #[must_use]
    pub fn with_authenticated_data(self, data: impl Into<Bytes>) -> Self {
        Self { authenticated_data: data.into(), ..self }
    }

    /// A proposal by the external sender of an index in the group's `external_senders` (section
    /// 12.1.8): an encoded MLSMessage.
    ///
    /// # Errors
    /// If such a sender may not make such a proposal.
    pub fn propose(
        &self,
        provider: &dyn CryptoProvider,
        sender_index: u32,
        signer: &SignatureKeyPair,
        proposal: Proposal,
    ) -> Result<Vec<u8>, Error> {
        self.send(provider, Sender::External(sender_index), signer, proposal)
    }

    /// A proposal to add oneself (section 12.1.8): an encoded MLSMessage.
    ///
    /// # Errors
    /// If the key package is of another suite than the group, or out of its lifetime (section 7.3), give
    /// or take the default [`Config::clock_skew`].
    pub fn propose_self(
        &self,
        provider: &dyn CryptoProvider,
        now: u64,
        own: &OwnKeyPackage,
    ) -> Result<Vec<u8>, Error> {
        rules::check_within_lifetime(&own.key_package().leaf_node, now, &Config::default())?;
        if own.key_package().cipher_suite != self.cipher_suite {
            return Err(Misuse::NotPossible("the key package is of another cipher suite").into());
        }
        let add = Proposal::Add(Box::new(own.key_package().clone()));
        self.send(provider, Sender::NewMemberProposal, &own.signer, add)
    }

    fn send(
        &self,
        provider: &dyn CryptoProvider,
        sender: Sender,
        signer: &SignatureKeyPair,
        proposal: Proposal,
    ) -> Result<Vec<u8>, Error> {
        let suite = Suite::new(provider, self.cipher_suite)?;
        let content = FramedContent {
            group_id: self.group_id.clone(),
            epoch: self.epoch,
            sender,
            authenticated_data: self.authenticated_data.clone(),
            content: Content::Proposal(proposal),
        };
        let signed = sign_proposal_from_outside(&suite, content, signer)?;
        let message = protect_public_from_outside(signed)?;
        let body = MlsMessageBody::PublicMessage(Box::new(message));
        Ok(MlsMessage::from(body).to_bytes()?)
    }
}
