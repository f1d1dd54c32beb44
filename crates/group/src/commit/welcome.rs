//! What new members get: GroupInfos and Welcomes (sections 12.4.3 and 12.4.3.1).

use crate::commit::epoch::WelcomeKeys;
use crate::error::limit::Limit;
use crate::error::reasons::Obstacle;
use crate::error::{Error, Misuse};
use crate::event::WelcomeMessage;
use crate::limits::Limits;
use crate::state::group::Group;
use crate::validate::leaf::{check_group_info_extensions, is_of_group_info};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::collections::btree_map::Entry;
use alloc::vec::Vec;
use conclave_crypto::{CryptoProvider, CryptoRng, Secret, SignatureKeyPair, Suite};
use conclave_schedule::external_key_pair;
use conclave_tree::{NewPath, StagedTree, TreeRead};
use conclave_wire::{
    Bytes, Encode, EncryptedGroupSecrets, Extension, ExtensionType, GroupContext, GroupInfo,
    GroupInfoTbs, GroupSecrets, HpkePublicKey, KeyPackage, LeafIndex, Mac, MlsMessage,
    MlsMessageBody, NodeIndex, PathSecret, PreSharedKeyId, Welcome, Writer,
};

/// Optional contents of a GroupInfo. The default has the ratchet tree, and no key for external
/// commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupInfoOptions {
    /// The ratchet tree (section 12.4.3.3).
    pub ratchet_tree: bool,
    /// The key by which clients can join with an external commit (section 12.4.3.2).
    pub external_pub: bool,
}

impl Default for GroupInfoOptions {
    fn default() -> Self {
        Self { ratchet_tree: true, external_pub: false }
    }
}

/// # Inviting
impl Group {
    /// A GroupInfo of the current epoch, an encoded MLSMessage. By it clients join with external
    /// commits, and observers follow the group.
    ///
    /// ```
    #[doc = two_members!()]
    /// use conclave_mls::join::{ExternalJoinStage, GroupInfoOptions};
    ///
    /// let options = GroupInfoOptions { ratchet_tree: true, external_pub: true };
    /// let info = alice.group_info(&provider, options)?;
    /// let stage = ExternalJoinStage::open(&provider, Config::default(), &info, None)?;
    /// assert_eq!(stage.members().count(), 2);
    /// # Done::Ok(())
    /// ```
    ///
    /// # Errors
    /// If the group was deleted or closed.
    pub fn group_info(
        &self,
        provider: &dyn CryptoProvider,
        options: GroupInfoOptions,
    ) -> Result<Vec<u8>, Error> {
        self.group_info_with(provider, options, &[])
    }

    /// [`Self::group_info`] with extensions of the application's own.
    ///
    /// # Errors
    /// As for [`Self::group_info`]; or if an extension occurs twice, or is one that RFC 9420
    /// defines for GroupInfos.
    pub fn group_info_with(
        &self,
        provider: &dyn CryptoProvider,
        options: GroupInfoOptions,
        extensions: &[Extension],
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
            limits: self.limits(),
            extensions,
        }
        .message(options)
    }
}

/// A client that a commit adds.
pub(crate) struct Joiner<'a> {
    pub(crate) leaf: LeafIndex,
    pub(crate) key_package: &'a KeyPackage,
}

/// Makes the Welcomes of a commit.
pub(crate) struct WelcomeMaker<'a> {
    pub(crate) group_info: &'a GroupInfoMaker<'a, StagedTree<'a>>,
    pub(crate) keys: &'a WelcomeKeys,
    pub(crate) path: Option<&'a NewPath>,
    /// The PSKs that the commit injects, in its order.
    pub(crate) psks: &'a [(PreSharedKeyId, Secret)],
}

impl WelcomeMaker<'_> {
    /// Makes Welcomes for `joiners`, at most `recipients` in each, with or without the ratchet
    /// tree.
    pub(crate) fn make(
        &self,
        rng: &mut dyn CryptoRng,
        joiners: &[Joiner<'_>],
        recipients: usize,
        ratchet_tree: bool,
    ) -> Result<Vec<WelcomeMessage>, Error> {
        if joiners.is_empty() {
            return Ok(Vec::new());
        }

        let suite = self.group_info.suite;
        let options = GroupInfoOptions { ratchet_tree, external_pub: false };
        let group_info = self.group_info.make(options)?.to_bytes()?;
        let sealed = suite.aead_seal(&self.keys.key, self.keys.nonce.expose(), &[], &group_info)?;
        let entries = self.entries(rng, joiners, &sealed)?;

        let welcomes = entries.chunks(recipients.max(1)).map(|secrets| {
            let recipients = secrets.iter().map(|entry| entry.new_member.clone()).collect();
            let message = MlsMessage::from(MlsMessageBody::Welcome(Welcome {
                cipher_suite: suite.cipher_suite(),
                secrets: secrets.to_vec(),
                encrypted_group_info: sealed.as_slice().into(),
            }));
            let message = message.to_bytes()?;
            self.group_info.limits.check(Limit::JoinBytes, message.len())?;
            Ok(WelcomeMessage { message, recipients })
        });
        welcomes.collect()
    }

    /// The GroupSecrets, each encrypted to its joiner, all in one batch.
    fn entries(
        &self,
        rng: &mut dyn CryptoRng,
        joiners: &[Joiner<'_>],
        encrypted_group_info: &[u8],
    ) -> Result<Vec<EncryptedGroupSecrets>, Error> {
        let suite = self.group_info.suite;

        // Joiners below the same node of the path get the same secrets, encoded once.
        let mut encoded: BTreeMap<Option<NodeIndex>, Secret> = BTreeMap::new();
        for joiner in joiners {
            let entry = self.path_secret(joiner.leaf);
            if let Entry::Vacant(vacant) = encoded.entry(entry.map(|(node, _)| *node)) {
                vacant.insert(self.group_secrets(entry.map(|(_, secret)| secret))?);
            }
        }

        let mut plaintexts: Vec<(&HpkePublicKey, &[u8])> = Vec::with_capacity(joiners.len());
        for joiner in joiners {
            let node = self.path_secret(joiner.leaf).map(|(node, _)| *node);
            let secrets = encoded.get(&node).map(Secret::expose).unwrap_or_default();
            plaintexts.push((&joiner.key_package.init_key, secrets));
        }
        let sealed =
            suite.encrypt_many_with_label(&plaintexts, b"Welcome", encrypted_group_info, rng)?;

        let entries = joiners.iter().zip(sealed).map(|(joiner, encrypted_group_secrets)| {
            let new_member = suite.key_package_ref(&joiner.key_package.to_bytes()?)?;
            Ok(EncryptedGroupSecrets { new_member, encrypted_group_secrets })
        });
        entries.collect()
    }

    /// The path secret that a joiner gets, and its node.
    fn path_secret(&self, leaf: LeafIndex) -> Option<&(NodeIndex, Secret)> {
        let GroupInfoMaker { tree, own_leaf, .. } = self.group_info;
        let ancestor = tree.size().common_ancestor(*own_leaf, leaf);
        self.path?.keys.secrets.iter().find(|(node, _)| *node == ancestor)
    }

    fn group_secrets(&self, path_secret: Option<&Secret>) -> Result<Secret, Error> {
        let secrets = GroupSecrets {
            joiner_secret: self.keys.joiner.expose().to_vec(),
            path_secret: path_secret
                .map(|secret| PathSecret { path_secret: secret.expose().to_vec() }),
            psks: self.psks.iter().map(|(id, _)| id.clone()).collect(),
        };
        let mut w = Writer::secret();
        secrets.encode(&mut w)?;
        Ok(Secret::new(w.finish()))
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
    pub(crate) limits: &'a Limits,
    /// The application's own.
    pub(crate) extensions: &'a [Extension],
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
        if self.extensions.iter().any(is_of_group_info) {
            return Err(Misuse::NotPossible(Obstacle::GroupInfoExtension).into());
        }
        extensions.extend_from_slice(self.extensions);
        check_group_info_extensions(self.limits, &extensions)?;

        let mut info = GroupInfo {
            group_context: self.context.clone(),
            extensions,
            confirmation_tag: self.tag.clone(),
            signer: self.own_leaf,
            signature: Bytes::default(),
        };
        let tbs = GroupInfoTbs(&info);
        let signature = self.suite.sign_encoded_with_label(self.signer, b"GroupInfoTBS", &tbs)?;
        info.signature = signature.into();
        Ok(info)
    }

    pub(crate) fn message(&self, options: GroupInfoOptions) -> Result<Vec<u8>, Error> {
        let body = MlsMessageBody::GroupInfo(Box::new(self.make(options)?));
        let message = MlsMessage::from(body).to_bytes()?;
        self.limits.check(Limit::JoinBytes, message.len())?;
        Ok(message)
    }
}
