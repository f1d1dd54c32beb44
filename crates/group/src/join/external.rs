//! Joining by an external commit (section 12.4.3.2).

use crate::commit::seal::{Draft, Inputs, SealedCommit, seal};
use crate::commit::validate::StagedCommit;
use crate::commit::welcome::GroupInfoOptions;
use crate::config::Config;
use crate::credentials::{CredentialRequest, Verdict, check_verdicts};
use crate::error::limit::Limit;
use crate::error::{Error, Rejection};
use crate::event::Member;
use crate::join::by_welcome::{other_extensions, verified_state};
use crate::join::create::NewGroup;
use crate::key_package::LeafParams;
use crate::limits::Limits;
use crate::policy;
use crate::seed::KeySeed;
use crate::send::random_nonce;
use crate::state::group::{Group, Parts};
use crate::state::public::PublicState;
use crate::store::rows::Batch;
use crate::validate::apply::apply;
use crate::validate::credentials::join_credentials;
use crate::validate::leaf::check_own_leaf;
use crate::validate::list::{CheckedList, Committer, Origin};
use crate::validate::proposal::{Linking, check_supported};
use crate::validate::safe_aad;
use crate::view::members;
use crate::view::proposals::ListedProposal;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use conclave_crypto::{CryptoProvider, CryptoRng, Secret, SignatureKeyPair, Suite};
use conclave_framing::{Verified, protect_public_from_outside, sign_content};
use conclave_schedule::external_init_to;
use conclave_tree::{PathOrigin, create_path_from};
use conclave_wire::{
    AppDataUpdate, AppDataUpdateOperation, Bytes, ComponentData, ComponentId, Content, Decode,
    Encode, Extension, ExtensionType, FramedContent, GroupContext, GroupInfo, HpkePublicKey,
    LeafIndex, MlsMessage, MlsMessageBody, PreSharedKeyId, Proposal, ProposalType, PskType, Sender,
    WireFormat, find_extension,
};

/// A group that can be joined from outside. Its GroupInfo and tree are verified, and its members'
/// credentials are to be judged.
///
/// ```
#[doc = two_members!()]
/// use conclave_mls::join::{ExternalJoinOptions, ExternalJoinStage};
///
/// # let options = conclave_mls::GroupInfoOptions { ratchet_tree: true, external_pub: true };
/// # let info = alice.group_info(&provider, options)?;
/// # let bob = identity(b"bob");
/// // Bob has lost his state. `info` is a GroupInfo from the delivery service.
/// let stage = ExternalJoinStage::open(&provider, Config::default(), &info, None)?;
/// let old = stage.members().find(|member| member.credential == Credential::basic(b"bob"));
/// let verdicts: Vec<Verdict> = stage.credentials().iter().map(|_| Verdict::Accept).collect();
/// let options = ExternalJoinOptions {
///     replaces: old.map(|member| member.index),
///     ..bob.external_join_options()
/// };
/// let joined = stage.commit(&provider, &mut rng, &verdicts, options)?;
/// // `joined.to_secret()` is stored, then `joined.commit` sent. Once that is accepted:
/// let bob = joined.group.store(|rows| store.create(rows))?;
/// # assert_eq!(bob.members().count(), 2);
/// # Done::Ok(())
/// ```
#[derive(Debug)]
pub struct ExternalJoinStage {
    public: PublicState,
    external_pub: HpkePublicKey,
    extensions: Vec<Extension>,
    credentials: Vec<CredentialRequest>,
    /// Proposals of the application's own types and of components.
    more: Vec<Proposal>,
    /// The new data of components that the commit updates.
    app_data: BTreeMap<ComponentId, Bytes>,
    seed: Option<KeySeed>,
}

/// Options for joining from outside.
/// [`Identity::external_join_options`](crate::Identity::external_join_options) makes them.
#[derive(Clone, Debug)]
pub struct ExternalJoinOptions {
    /// Our leaf.
    pub leaf: LeafParams,
    /// The key pair that we sign with.
    pub signer: SignatureKeyPair,
    /// The old leaf of this client, to be removed (a "resync").
    pub replaces: Option<LeafIndex>,
    /// PSKs to inject, by their identifiers.
    pub psks: Vec<(PskType, Secret)>,
    /// The application's data that the commit authenticates: as in
    /// [`Framing`](crate::Framing::authenticated_data).
    pub authenticated_data: Vec<u8>,
    /// Makes a GroupInfo of the new epoch with these contents.
    pub group_info: Option<GroupInfoOptions>,
}

impl ExternalJoinOptions {
    /// Options that join as a new member and do nothing else.
    #[must_use]
    pub fn new(leaf: LeafParams, signer: SignatureKeyPair) -> Self {
        Self {
            leaf,
            signer,
            replaces: None,
            psks: Vec::new(),
            authenticated_data: Vec::new(),
            group_info: None,
        }
    }
}

/// An external commit: the group as it will be, and the messages that bring it about.
///
/// Store the group when the delivery service has accepted the commit. If it rejects the commit,
/// drop the group and try again with a newer GroupInfo. Until its verdict, [`Self::to_secret`]
/// keeps the commit over a restart.
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

/// Decodes a GroupInfo, an encoded MLSMessage.
pub(crate) fn decode_group_info(limits: &Limits, message: &[u8]) -> Result<GroupInfo, Error> {
    limits.check(Limit::JoinBytes, message.len())?;
    match MlsMessage::from_bytes(message)?.body {
        MlsMessageBody::GroupInfo(info) => Ok(*info),
        MlsMessageBody::PublicMessage(_)
        | MlsMessageBody::PrivateMessage(_)
        | MlsMessageBody::Welcome(_)
        | MlsMessageBody::KeyPackage(_)
        | MlsMessageBody::TargetedMessage(_) => Err(Rejection::UnexpectedMessage.into()),
    }
}

impl ExternalJoinStage {
    /// Verifies a GroupInfo, an encoded MLSMessage, and the ratchet tree, which is in it or given
    /// separately.
    ///
    /// # Errors
    /// If one of them breaks a rule, or the GroupInfo does not allow external commits.
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
        let credentials = join_credentials(public.view(), None)?;
        let more = Vec::new();
        let app_data = BTreeMap::new();
        let seed = None;
        Ok(Self { public, external_pub, extensions, credentials, more, app_data, seed })
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

    /// The GroupInfo's extensions, apart from those that RFC 9420 defines.
    #[must_use]
    pub fn group_info_extensions(&self) -> &[Extension] {
        &self.extensions
    }

    /// The credentials to judge: those of all members and external senders.
    #[must_use]
    pub fn credentials(&self) -> &[CredentialRequest] {
        &self.credentials
    }

    /// Adds a proposal of the application's own type to the commit that joins. The type's
    /// [rules](conclave_wire::ProposalRules::external_commit) must allow it. `body` is encoded,
    /// including its own length header if it has one.
    #[must_use]
    pub fn with_custom_proposal(mut self, proposal_type: ProposalType, body: Bytes) -> Self {
        self.more.push(Proposal::Custom { proposal_type, body });
        self
    }

    /// Updates the data of a component by the commit that joins (draft-ietf-mls-extensions-10): the
    /// update as the component defines it, and the data that it leads to. If a component is updated
    /// several times, the last data counts. The current data is in [`Self::context`].
    #[must_use]
    pub fn with_app_data_update(
        mut self,
        component_id: ComponentId,
        update: Bytes,
        data: Bytes,
    ) -> Self {
        let operation = AppDataUpdateOperation::Update(update);
        self.more.push(Proposal::AppDataUpdate(AppDataUpdate { component_id, operation }));
        self.app_data.insert(component_id, data);
        self
    }

    /// Removes the data of a component by the commit that joins (draft-ietf-mls-extensions-10).
    #[must_use]
    pub fn with_app_data_removal(mut self, component_id: ComponentId) -> Self {
        let operation = AppDataUpdateOperation::Remove;
        self.more.push(Proposal::AppDataUpdate(AppDataUpdate { component_id, operation }));
        self
    }

    /// Gives a component data that belongs to the commit that joins (draft-ietf-mls-extensions-10).
    #[must_use]
    pub fn with_app_ephemeral(mut self, component_id: ComponentId, data: Bytes) -> Self {
        self.more.push(Proposal::AppEphemeral(ComponentData { component_id, data }));
        self
    }

    /// Takes a SelfRemove of this epoch, an encoded MLSMessage, which the commit that joins then
    /// refers to (draft-ietf-mls-extensions-10). A client that joins fetches all that are pending,
    /// together with the GroupInfo, and takes each: those who asked to leave need not ask again.
    ///
    /// Its signature is verified. Its membership tag cannot be, by anybody who is not a member.
    ///
    /// ```
    #[doc = two_components!()]
    /// use conclave_mls::group::{Framing, NewProposal};
    /// use conclave_mls::join::ExternalJoinStage;
    ///
    /// # let options = conclave_mls::GroupInfoOptions { ratchet_tree: true, external_pub: true };
    /// # let info = alice.group_info(&provider, options)?;
    /// let leave = NewProposal::SelfRemove;
    /// let step = bob.propose(&provider, &mut rng, now, leave, &Framing::default())?;
    /// let message = apply(&mut bob, step, |write| store.write(write))?.message;
    ///
    /// let mut stage = ExternalJoinStage::open(&provider, Config::default(), &info, None)?;
    /// if let Err(error) = stage.take_self_remove(&provider, &message) {
    ///     println!("this one is left out: {error}");
    /// }
    /// # assert_eq!(stage.leaving().count(), 1);
    /// # Done::Ok(())
    /// ```
    ///
    /// # Errors
    /// If it is no SelfRemove of a member in this epoch, breaks a rule, or this member has sent
    /// another one. The stage is as before.
    pub fn take_self_remove(
        &mut self,
        provider: &dyn CryptoProvider,
        message: &[u8],
    ) -> Result<(), Error> {
        let suite = Suite::new(provider, self.context().cipher_suite)?;
        let Verified::Proposal(content) = self.public.verify(&suite, message)? else {
            return Err(Rejection::UnexpectedMessage.into());
        };

        let sender = content.sender();
        let (proposal, reference) = content.into_parts();
        let listed = ListedProposal { sender, proposal, reference: Some(reference) };
        let leaf = match listed.removed_leaf() {
            Some(leaf) if listed.is_self_remove() => leaf,
            _ => return Err(Rejection::UnexpectedMessage.into()),
        };
        if self.leaving().any(|leaving| leaving == leaf) {
            return Err(Rejection::SeveralChangesOfLeaf(leaf).into());
        }
        self.public.check_lone_proposal(&suite, sender, &listed.proposal)?;
        check_supported(self.public.view(), &listed.proposal)?;
        self.public.proposals.set(self.public.proposals.next_place(), Some(listed));
        Ok(())
    }

    /// The leaves of the members whose SelfRemoves were taken, in that order.
    pub fn leaving(&self) -> impl Iterator<Item = LeafIndex> {
        self.public.proposals.iter().filter_map(|(_, listed)| listed.removed_leaf())
    }

    /// Derives the keys of our leaf and of the nodes above it from a seed, in place of fresh
    /// randomness.
    #[must_use]
    pub fn with_seed(mut self, seed: KeySeed) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Makes the commit that joins, if all verdicts accept. There is one for each credential, in
    /// order.
    ///
    /// # Errors
    /// If a verdict does not accept, or the options do not fit the group.
    pub fn commit(
        self,
        provider: &dyn CryptoProvider,
        rng: &mut dyn CryptoRng,
        verdicts: &[Verdict],
        options: ExternalJoinOptions,
    ) -> Result<ExternalCommit, Error> {
        check_verdicts(&self.credentials, verdicts)?;
        let Self { mut public, external_pub, more, app_data, seed, .. } = self;
        let suite = Suite::new(provider, public.epoch.context.cipher_suite)?;
        let (kem_output, init) = external_init_to(&suite, &external_pub, rng)
            .map_err(|e| Error::of_input(e, Rejection::InvalidPublicKey))?;

        // Section 12.4.3.2: an ExternalInit, the Remove of our old leaf, PSKs. If the old leaf has
        // asked to leave, a Remove would be invalid beside its SelfRemove.
        let psks: Vec<(PreSharedKeyId, Secret)> = options
            .psks
            .iter()
            .map(|(psktype, psk)| {
                let psk_nonce = random_nonce(&suite, rng);
                (PreSharedKeyId { psktype: psktype.clone(), psk_nonce }, psk.clone())
            })
            .collect();
        let leaving: Vec<ListedProposal> =
            public.proposals.iter().map(|(_, listed)| listed.clone()).collect();
        let leaves =
            |leaf: &LeafIndex| leaving.iter().any(|item| item.removed_leaf() == Some(*leaf));
        let mut proposals = alloc::vec![Proposal::ExternalInit(kem_output)];
        proposals.extend(options.replaces.filter(|leaf| !leaves(leaf)).map(Proposal::Remove));
        proposals.extend(psks.iter().map(|(id, _)| Proposal::PreSharedKey(id.clone())));
        proposals.extend(more);
        let sender = Sender::NewMemberCommit;
        let proposals = proposals.into_iter().map(|p| ListedProposal::by_value(sender, p));
        let list = proposals.chain(leaving).collect();
        let app_data = app_data.into_values().collect();
        let origin = match &seed {
            Some(seed) => seed.path(&suite)?,
            None => PathOrigin::random(&suite, rng),
        };
        let draft = draft(&suite, origin, &public, list, app_data, &options)?;
        let own_leaf = draft.own_leaf;

        // Seal it, as a commit of our own is sealed.
        let inputs = Inputs {
            group: public.view(),
            own_leaf,
            signer: &options.signer,
            init: &init,
            psks: &psks,
            group_info_extensions: &[],
        };
        let required = safe_aad::is_required(&public.epoch.context.extensions)?;
        let authenticated_data = safe_aad::to_send(required, &options.authenticated_data)?;
        let sign = |commit| {
            let content = FramedContent {
                group_id: public.view().group_id().clone(),
                epoch: public.view().epoch(),
                sender: Sender::NewMemberCommit,
                authenticated_data,
                content: Content::Commit(commit),
            };
            let context = public.view().context();
            Ok(sign_content(&suite, WireFormat::PUBLIC_MESSAGE, content, context, &options.signer)?)
        };
        let sealed = seal(&suite, rng, &inputs, draft.draft, sign)?;
        let maker = sealed.group_info_maker(&suite, &inputs);
        let group_info = options.group_info.map(|wanted| maker.message(wanted)).transpose()?;

        // A client that is not a member yet sends in the clear.
        let SealedCommit { applied, path, content, context, confirmation_tag, secrets, .. } =
            sealed;
        let message = protect_public_from_outside(content)?;
        let commit =
            MlsMessage::from(MlsMessageBody::PublicMessage(Box::new(message))).to_bytes()?;
        public.config.limits.check(Limit::MessageBytes, commit.len())?;

        // The group as it will be. All its rows are stored, so those of the change alone are not
        // needed.
        let mut unused = Batch::new(context.group_id.clone());
        let staged = StagedCommit { applied, committer: own_leaf, context };
        let sender = Sender::NewMemberCommit;
        let finished =
            public.finish_commit(&suite, staged, confirmation_tag, sender, &mut unused)?;
        let mut step = finished.delta;
        public.swap(&mut step);

        let mut private_keys = BTreeMap::new();
        if let Some(path) = path {
            private_keys.extend(path.keys.keys);
            private_keys.insert(own_leaf.node(), path.leaf_key.private);
        }
        let signer = options.signer;
        let parts = Parts { public, own_leaf, signer, secrets, private_keys };
        let group = NewGroup::new(Group::from_parts(parts))?;
        // A client that removes its old leaf may still have the state of that leaf stored.
        let group = if options.replaces.is_some() { group.replacing() } else { group };
        Ok(ExternalCommit { group, commit, group_info })
    }
}

/// An external commit's proposals, applied, and its path.
struct ExternalDraft<'a> {
    draft: Draft<'a>,
    own_leaf: LeafIndex,
}

fn draft<'a>(
    suite: &Suite<'_>,
    origin: PathOrigin,
    public: &'a PublicState,
    list: Vec<ListedProposal>,
    app_data: Vec<Bytes>,
    options: &ExternalJoinOptions,
) -> Result<ExternalDraft<'a>, Error> {
    let sender = Sender::NewMemberCommit;
    let view = public.view();
    let linking = Linking::Forbidden;
    let mut list =
        CheckedList::check(suite, view, Committer::External, list, linking, Origin::Own)?;
    list.answer(app_data)?;
    let mut applied = apply(view, &list)?;
    applied.update_app_data(&list)?;

    let own_leaf = applied.tree.place_leaf()?;
    let template = options.leaf.template(&options.signer.public);
    let signer = &options.signer;
    let group_id = view.group_id();
    let tree = &mut applied.tree;
    let path = create_path_from(suite, tree, own_leaf, template, signer, group_id, origin)?;
    check_own_leaf(suite, view.limits, view.custom, &path.leaf_node)?;

    applied.check(view)?;
    policy::check_commit(&*public.config.policy, view, sender, &list, Some(&path.leaf_node))?;
    Ok(ExternalDraft { draft: Draft { list, applied, path: Some(path) }, own_leaf })
}
