//! Joining by a Welcome (section 12.4.3.1).

use crate::commit::advance::ProvidedPsks;
use crate::config::Config;
use crate::credentials::{CredentialRequest, Verdict, check_verdicts};
use crate::error::limit::Limit;
use crate::error::reasons::{LinkFault, Obstacle};
use crate::error::{Error, Misuse, Rejection};
use crate::event::Member;
use crate::join::create::NewGroup;
use crate::key_package::OwnKeyPackage;
use crate::limits::Limits;
use crate::state::exporter::{epoch_secrets, exports};
use crate::state::group::{Group, Parts};
use crate::state::link::{Link, Unmatched, linking_psk};
use crate::state::public::PublicState;
use crate::validate::components::check_joined_tree;
use crate::validate::credentials::join_credentials;
use crate::validate::leaf as rules;
use crate::view::epoch::PublicEpoch;
use crate::view::proposals::ProposalCache;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use conclave_crypto::{CryptoProvider, HpkePrivateKey, Secret, Suite};
use conclave_schedule::{
    JoinerSecret, MemberSecret, confirmation_tag_matches, interim_transcript_hash, psk_secret,
};
use conclave_tree::{RatchetTree, TreeError, TreeRead, UnverifiedTree, keys_from_path_secret};
use conclave_wire::{
    Decode, Encode, Extension, ExtensionType, GroupContext, GroupId, GroupInfo, GroupInfoTbs,
    GroupSecrets, LeafIndex, MlsMessage, MlsMessageBody, NodeIndex, PreSharedKeyId,
    ProtocolVersion, PskType, ResumptionPskUsage, SignaturePublicKey, Welcome, extension_of_type,
};
use core::fmt;

/// An opened Welcome, whose PSKs are to be provided.
///
/// ```
#[doc = two_members!()]
/// use conclave_mls::join::WelcomeStage;
///
/// # let own = key_package_of(b"carol");
/// # let options = conclave_mls::CommitOptions { proposals: vec![carol], ..Default::default() };
/// # let step = alice.commit(&provider, &mut rng, now, options)?;
/// # let sent = apply(&mut alice, step, |write| store.write(write))?;
/// # let welcome = sent.welcomes.into_iter().next().ok_or("a Welcome")?.message;
/// // Carol has a Welcome, and `own`, the key package that it is for.
/// let stage = WelcomeStage::open(&provider, Config::default(), &welcome, &own)?;
/// assert!(stage.psks().is_empty() && stage.linked_group().is_none());
/// let stage = stage.join(&provider, &[], None, None)?;
///
/// // She judges everybody in the group. `stage.inviter()` is the member who added her.
/// let verdicts: Vec<Verdict> = stage.credentials().iter().map(|_| Verdict::Accept).collect();
/// let group = stage.resolve(&verdicts)?.store(|rows| store.create(rows))?;
/// # assert_eq!(group.members().count(), 3);
/// # Done::Ok(())
/// ```
pub struct WelcomeStage {
    config: Config,
    own: OwnKeyPackage,
    welcome: Welcome,
    secrets: GroupSecrets,
}

/// A group that is valid, apart from the application's verdicts on its members' credentials.
/// [`WelcomeStage`] has an example.
#[derive(Debug)]
pub struct JoinStage {
    group: Group,
    extensions: Vec<Extension>,
    inviter: Member,
    credentials: Vec<CredentialRequest>,
    unmatched: Option<Unmatched>,
}

impl fmt::Debug for WelcomeStage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WelcomeStage").field("psks", &self.secrets.psks).finish_non_exhaustive()
    }
}

/// The references of the key packages that a Welcome, an encoded MLSMessage, is for.
///
/// # Errors
/// If the bytes are not a Welcome.
pub fn welcome_recipients(message: &[u8]) -> Result<Vec<conclave_wire::KeyPackageRef>, Error> {
    Ok(decode_welcome(message)?.secrets.into_iter().map(|entry| entry.new_member).collect())
}

fn decode_welcome(message: &[u8]) -> Result<Welcome, Error> {
    match MlsMessage::from_bytes(message)?.body {
        MlsMessageBody::Welcome(welcome) => Ok(welcome),
        MlsMessageBody::PublicMessage(_)
        | MlsMessageBody::PrivateMessage(_)
        | MlsMessageBody::GroupInfo(_)
        | MlsMessageBody::KeyPackage(_)
        | MlsMessageBody::TargetedMessage(_) => Err(Rejection::UnexpectedMessage.into()),
    }
}

impl WelcomeStage {
    /// Opens our entry in a Welcome, an encoded MLSMessage.
    ///
    /// # Errors
    /// If it has no entry for the key package, or the entry does not open.
    pub fn open(
        provider: &dyn CryptoProvider,
        config: Config,
        message: &[u8],
        own: &OwnKeyPackage,
    ) -> Result<Self, Error> {
        config.limits.check(Limit::JoinBytes, message.len())?;
        rules::check_advertised(&config.proposals, &own.key_package().leaf_node)?;
        let welcome = decode_welcome(message)?;
        if welcome.cipher_suite != own.key_package().cipher_suite {
            return Err(Rejection::WrongCipherSuite(welcome.cipher_suite).into());
        }

        let suite = Suite::new(provider, welcome.cipher_suite)?;
        let entry = welcome
            .secrets
            .iter()
            .find(|entry| entry.new_member == *own.reference())
            .ok_or(Rejection::WelcomeNotForKeyPackage)?;

        let secrets = suite
            .decrypt_with_label(
                &own.init_key_pair(),
                b"Welcome",
                &welcome.encrypted_group_info,
                &entry.encrypted_group_secrets,
            )
            .map_err(|e| Error::of_input(e, Rejection::WelcomeOpen))?;
        let secrets = GroupSecrets::from_bytes(secrets.expose())?;
        config.limits.check(Limit::Psks, secrets.psks.len())?;
        linking_psk(&secrets.psks)?;
        Ok(Self { config, own: own.clone(), welcome, secrets })
    }

    /// The PSKs that it takes to join.
    #[must_use]
    pub fn psks(&self) -> &[PreSharedKeyId] {
        &self.secrets.psks
    }

    /// The group that the new one replaces or branches off. It takes its [`Link`] to join, which
    /// [`Group::link_for`] makes.
    #[must_use]
    pub fn linked_group(&self) -> Option<&GroupId> {
        match &linking_psk(&self.secrets.psks).ok()??.psktype {
            PskType::Resumption { psk_group_id, .. } => Some(psk_group_id),
            PskType::External { .. } | PskType::Application { .. } => None,
        }
    }

    /// Opens the GroupInfo and verifies the group: signatures, tree, key schedule.
    ///
    /// `psks` provides [`Self::psks`], apart from the one that `link` stands for. `ratchet_tree` is
    /// the encoded tree, if the Welcome does not hold it.
    ///
    /// # Errors
    /// If something is missing, or breaks a rule.
    pub fn join(
        mut self,
        provider: &dyn CryptoProvider,
        psks: &ProvidedPsks,
        ratchet_tree: Option<&[u8]>,
        link: Option<&Link>,
    ) -> Result<JoinStage, Error> {
        let suite = Suite::new(provider, self.welcome.cipher_suite)?;

        // Open the GroupInfo.
        let psks = self.psk_values(psks, link)?;
        let joiner = JoinerSecret::from_secret(Secret::copy_from(&self.secrets.joiner_secret));
        let member = MemberSecret::derive(&suite, &joiner, &psk_secret(&suite, &psks)?)?;
        let info = self.group_info(&suite, &member)?;
        if info.group_context.cipher_suite != suite.cipher_suite() {
            return Err(Rejection::WrongCipherSuite(info.group_context.cipher_suite).into());
        }

        // Verify it and its tree, and find our leaf and private keys.
        let signer = info.signer;
        let extensions = other_extensions(&info);
        let public = verified_state(&suite, self.config.clone(), info, ratchet_tree)?;
        let PublicState { tree, epoch, .. } = &public;
        let own_leaf = own_leaf(tree, &self.own)?;
        let private_keys = self.private_keys(&suite, tree, own_leaf, signer)?;
        let leaf = tree.leaf(signer).ok_or(Rejection::GroupInfoSigner)?;
        let inviter = Member::of(signer, &leaf);

        // The epoch's secrets, which the confirmation tag must match.
        let exports = exports(tree, own_leaf);
        let secrets = epoch_secrets(&suite, member, &epoch.context.to_bytes()?, exports)?;
        let confirmed = &epoch.context.confirmed_transcript_hash;
        let key = &secrets.confirmation_key;
        if !confirmation_tag_matches(&suite, key, confirmed, &epoch.confirmation_tag)? {
            return Err(Rejection::ConfirmationTag.into());
        }

        // The group that it continues.
        let unmatched = match (linking_psk(&self.secrets.psks)?, link) {
            (Some(id), Some(link)) => link.check(id, &epoch.context, tree, own_leaf)?,
            (Some(_), None) => return Err(Misuse::LinkMissing.into()),
            (None, Some(_)) => return Err(Rejection::LinkMismatch(LinkFault::NoGroupNamed).into()),
            (None, None) => None,
        };

        let credentials = join_credentials(public.view(), Some(own_leaf))?;
        let group = Group::from_parts(Parts {
            public,
            own_leaf,
            signer: self.own.signer.clone(),
            secrets,
            private_keys,
        });
        if let Some(node) = group.missing_private_key() {
            return Err(Rejection::PathSecretMissing(node).into());
        }
        Ok(JoinStage { group, inviter, extensions, credentials, unmatched })
    }

    /// Decrypts the GroupInfo. Neither its ciphertext nor its plaintext outlives this: with a large
    /// tree in it, each is most of what a joiner holds.
    fn group_info(&mut self, suite: &Suite<'_>, member: &MemberSecret) -> Result<GroupInfo, Error> {
        let (key, nonce) = member.welcome_key(suite)?;
        let sealed = core::mem::take(&mut self.welcome.encrypted_group_info);
        let info = suite
            .aead_open(&key, nonce.expose(), &[], &sealed)
            .map_err(|e| Error::of_input(e, Rejection::WelcomeOpen))?;
        drop(sealed);
        Ok(GroupInfo::from_bytes(info.expose())?)
    }

    fn psk_values(
        &self,
        provided: &ProvidedPsks,
        link: Option<&Link>,
    ) -> Result<Vec<(PreSharedKeyId, Secret)>, Error> {
        let link = link.map(Link::provided);
        let find = |id: &PreSharedKeyId| {
            provided
                .iter()
                .chain(&link)
                .find(|(kind, _)| *kind == id.psktype)
                .map(|(_, psk)| (id.clone(), psk.clone()))
                .ok_or_else(|| Error::from(Misuse::PskUnavailable(Box::new(id.clone()))))
        };
        self.secrets.psks.iter().map(find).collect()
    }

    fn private_keys(
        &self,
        suite: &Suite<'_>,
        tree: &RatchetTree,
        own_leaf: LeafIndex,
        signer: LeafIndex,
    ) -> Result<BTreeMap<NodeIndex, HpkePrivateKey>, Error> {
        let mut keys = BTreeMap::from([(own_leaf.node(), self.own.leaf_key.clone())]);
        if let Some(path_secret) = &self.secrets.path_secret {
            let path_secret = Secret::copy_from(&path_secret.path_secret);
            let path = keys_from_path_secret(suite, tree, own_leaf, signer, &path_secret)?;
            keys.extend(path.keys);
        }
        Ok(keys)
    }
}

impl JoinStage {
    /// The member who invites us: its signature on the GroupInfo was verified (section 12.4.3.1).
    /// Its credential is among those to judge.
    #[must_use]
    pub fn inviter(&self) -> &Member {
        &self.inviter
    }

    /// The context of the group that we would join.
    #[must_use]
    pub fn context(&self) -> &GroupContext {
        self.group.context()
    }

    /// Its members, by ascending leaf.
    pub fn members(&self) -> impl Iterator<Item = Member> {
        self.group.members()
    }

    /// The GroupInfo's extensions, apart from those that RFC 9420 defines.
    #[must_use]
    pub fn group_info_extensions(&self) -> &[Extension] {
        &self.extensions
    }

    /// The credentials to judge: those of all other members and external senders.
    #[must_use]
    pub fn credentials(&self) -> &[CredentialRequest] {
        &self.credentials
    }

    /// In a group that is linked to another, the members that the application must match before we
    /// can join. None if all are matched.
    #[must_use]
    pub fn unmatched(&self) -> Option<&Unmatched> {
        self.unmatched.as_ref()
    }

    /// Names the counterparts, in the other group, of members that [`Self::unmatched`] asks for. A
    /// member without one is left out, and then we cannot join: [`Self::resolve`] refuses.
    ///
    /// # Errors
    /// [`Misuse::NotPossible`] if a member is not asked for, or its counterpart is none or somebody
    /// else's.
    pub fn match_members(&mut self, same: &[(LeafIndex, LeafIndex)]) -> Result<(), Error> {
        match self.unmatched.clone() {
            Some(unmatched) => {
                let left = unmatched.without(same)?;
                self.unmatched = Some(left).filter(|left| !left.asked.is_empty());
                Ok(())
            }
            None if same.is_empty() => Ok(()),
            None => Err(Misuse::NotPossible(Obstacle::AllMatched).into()),
        }
    }

    /// The group, if all verdicts accept, and all members of a linked group are
    /// [matched](Self::match_members). There is one verdict for each credential, in order. The
    /// caller makes sure that it is not a member of a group with this identifier already (section
    /// 12.4.3.1).
    ///
    /// # Errors
    /// If a verdict does not accept, or a member is not matched.
    pub fn resolve(self, verdicts: &[Verdict]) -> Result<NewGroup, Error> {
        let Self { group, credentials, unmatched, .. } = self;
        check_verdicts(&credentials, verdicts)?;
        if let Some(unmatched) = unmatched {
            return Err(unmatched.refusal());
        }
        // This makes room for the rows.
        drop(credentials);
        NewGroup::new(group)
    }
}

/// # Joining a linked group
impl Group {
    /// The link that a Welcome asks for, from a successor or a branch to this group, in the current
    /// epoch or in a past one that is [kept](crate::Limits::past_epochs).
    ///
    /// # Errors
    /// [`Misuse::NotPossible`] if the Welcome names no group, another group, or an epoch that is
    /// not kept; and as for [`Self::branch_link`] and [`Self::reinit_link`].
    pub fn link_for(&self, welcome: &WelcomeStage) -> Result<Link, Error> {
        let Some(psk) = linking_psk(welcome.psks())? else {
            return Err(Misuse::NotPossible(Obstacle::NoGroupNamed).into());
        };
        let PskType::Resumption { usage, psk_group_id, psk_epoch } = &psk.psktype else {
            return Err(Misuse::NotPossible(Obstacle::NoGroupNamed).into());
        };
        if psk_group_id != self.group_id() {
            return Err(Misuse::NotPossible(Obstacle::OtherGroupNamed).into());
        }

        match (usage, *psk_epoch == self.epoch()) {
            (ResumptionPskUsage::Reinit, true) => self.reinit_link(),
            (ResumptionPskUsage::Branch, true) => self.branch_link(),
            (ResumptionPskUsage::Branch, false) => self.past_branch_link(*psk_epoch),
            (ResumptionPskUsage::Reinit, false) | (ResumptionPskUsage::Application, _) => {
                Err(Misuse::NotPossible(Obstacle::NotClosed).into())
            }
        }
    }
}

/// The extensions of a GroupInfo that are the application's.
pub(crate) fn other_extensions(info: &GroupInfo) -> Vec<Extension> {
    info.extensions.iter().filter(|e| !rules::is_of_group_info(e)).cloned().collect()
}

/// Verifies a GroupInfo and its tree, which is given separately or in an extension. Returns the
/// public state of the epoch that it describes.
pub(crate) fn verified_state(
    suite: &Suite<'_>,
    config: Config,
    info: GroupInfo,
    ratchet_tree: Option<&[u8]>,
) -> Result<PublicState, Error> {
    let limits = &config.limits;
    let context = &info.group_context;
    if context.version != ProtocolVersion::MLS_1_0 {
        return Err(Rejection::WrongVersion(context.version).into());
    }
    rules::check_group_info_extensions(limits, &info.extensions)?;

    // Section 12.4.3.3: the tree.
    let inside = extension_of_type(&info.extensions, ExtensionType::RATCHET_TREE);
    let bytes = ratchet_tree.or(inside.map(|e| &*e.extension_data)).ok_or(Misuse::TreeMissing)?;
    limits.check(Limit::JoinBytes, bytes.len())?;
    let tree = UnverifiedTree::decode_within(suite, bytes, limits.tree_leaves)
        .map_err(|e| too_many_leaves(e, limits))?;
    let longest = tree.longest_leaf();
    limits.check(Limit::LeafBytes, longest)?;
    if *tree.tree_hash() != *context.tree_hash {
        return Err(Rejection::TreeHash.into());
    }

    // Section 12.4.3: the signature.
    let signer = tree.leaf(info.signer).ok_or(Rejection::GroupInfoSigner)?;
    check_group_info_signature(suite, &info, &signer.signature_key)?;

    // Sections 7.9 and 12.4.3.1: the tree as a whole, and what its members support.
    let GroupInfo { group_context: context, confirmation_tag, extensions, .. } = info;
    // The tree's encoding in them is not needed any more.
    drop(extensions);
    let tree = tree.verify(suite, &context.group_id)?;
    rules::check_group_support(limits, &tree, &context.extensions)?;
    check_joined_tree(&tree, &context.extensions)?;

    let confirmed = &context.confirmed_transcript_hash;
    let interim = interim_transcript_hash(suite, confirmed, &confirmation_tag)?;
    let interim_transcript_hash = interim.to_vec().into();
    let policy = config.policy.id();
    let epoch =
        PublicEpoch { context, interim_transcript_hash, confirmation_tag, reinit: None, policy };
    Ok(PublicState { config, epoch, tree, proposals: ProposalCache::default() })
}

/// Verifies a GroupInfo's signature by its signer's key.
pub(crate) fn check_group_info_signature(
    suite: &Suite<'_>,
    info: &GroupInfo,
    key: &SignaturePublicKey,
) -> Result<(), Error> {
    suite
        .verify_encoded_with_label(key, b"GroupInfoTBS", &GroupInfoTbs(info), &info.signature)
        .map_err(|e| Error::of_input(e, Rejection::GroupInfoSignature))
}

fn too_many_leaves(e: TreeError, limits: &Limits) -> Error {
    match e {
        TreeError::OverLimit { leaves } => {
            let limit = Limit::TreeLeaves;
            Rejection::OverLimit { limit, found: leaves, allowed: limits.tree_leaves }.into()
        }
        other => other.into(),
    }
}

fn own_leaf(tree: &RatchetTree, own: &OwnKeyPackage) -> Result<LeafIndex, Error> {
    let node = &own.key_package().leaf_node;
    tree.member_with_signature_key(&node.signature_key)
        .filter(|leaf| tree.leaf(*leaf).as_ref() == Some(node))
        .ok_or(Rejection::OwnLeafMissing.into())
}
