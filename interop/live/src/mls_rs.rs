//! mls-rs, with its AWS-LC provider and its stores in memory.
//!
//! Two of its post-quantum suites have the components of one of the draft's: ML_KEM_768_X25519
//! (65100) those of TBD1, ML_KEM_1024 (65003) those of TBD8. Its provider can be told to make them at
//! another code point.

use crate::member::{
    Change, Commit, Drafts, EXPORT_LABEL, EXPORT_LENGTH, Extension, How, LIFETIME, Linked, Member,
    Outside, ReInit, Received, Result, TOPIC, View, encode_external_sender,
};
use crate::suite::{POINTS, Suite};
use conclave_mls::crypto::PqSuite;
use mls_rs::client_builder::MlsConfig;
use mls_rs::external_client::ExternalClient;
use mls_rs::group::proposal::ProposalType;
use mls_rs::group::{CommitEffect, ExportedTree, Group, ReceivedMessage, Roster};
use mls_rs::identity::SigningIdentity;
use mls_rs::identity::basic::{BasicCredential, BasicIdentityProvider};
use mls_rs::mls_rules::{
    CommitDirection, CommitOptions, CommitSource, EncryptionOptions, ProposalBundle,
};
use mls_rs::psk::{ExternalPskId, PreSharedKey};
use mls_rs::storage_provider::in_memory::{InMemoryGroupStateStorage, InMemoryPreSharedKeyStorage};
use mls_rs::{
    CipherSuite, CipherSuiteProvider, CryptoProvider, ExtensionList, MlsMessage, MlsRules,
    ProtocolVersion,
};
use mls_rs_core::crypto::SignatureSecretKey;
use mls_rs_core::extension::ExtensionType;
use mls_rs_core::group::{GroupContext, GroupStateStorage};
use mls_rs_crypto_awslc::{
    AwsLcCipherSuite, AwsLcCipherSuiteBuilder, AwsLcCryptoProvider, AwsLcHash, MlKem, Sha3,
};
use mls_rs_crypto_traits::{AeadId, KdfId};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

/// The rules that mls-rs asks its host for at each message.
#[derive(Clone, Debug)]
struct Rules(Arc<Mutex<How>>);

impl Rules {
    fn how(&self) -> How {
        *self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn set(&self, how: How) {
        *self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = how;
    }
}

impl MlsRules for Rules {
    type Error = Infallible;

    fn filter_proposals(
        &self,
        _: CommitDirection,
        _: CommitSource,
        _: &Roster,
        _: &GroupContext,
        proposals: ProposalBundle,
    ) -> std::result::Result<ProposalBundle, Infallible> {
        Ok(proposals)
    }

    fn commit_options(
        &self,
        _: &Roster,
        _: &GroupContext,
        _: &ProposalBundle,
    ) -> std::result::Result<CommitOptions, Infallible> {
        let how = self.how();
        Ok(CommitOptions::new()
            .with_path_required(how.path)
            .with_ratchet_tree_extension(how.tree)
            .with_single_welcome_message(true))
    }

    fn encryption_options(
        &self,
        _: &Roster,
        _: &GroupContext,
    ) -> std::result::Result<EncryptionOptions, Infallible> {
        Ok(EncryptionOptions::new(
            self.how().private,
            mls_rs::client_builder::PaddingMode::StepFunction,
        ))
    }
}

struct MlsRs<C: MlsConfig> {
    client: mls_rs::Client<C>,
    name: Vec<u8>,
    suite: CipherSuite,
    identity: SigningIdentity,
    signer: SignatureSecretKey,
    rules: Rules,
    psks: InMemoryPreSharedKeyStorage,
    storage: InMemoryGroupStateStorage,
    group: Option<Group<C>>,
    /// Keys for the successor of a closed group, if its suite differs.
    next: Option<(SignatureSecretKey, SigningIdentity)>,
    /// The client for the successor of a closed group.
    reinit: Option<mls_rs::group::ReinitClient<C>>,
}

/// Its provider, with post-quantum suites at the code points of the other stacks.
#[derive(Clone, Debug)]
struct Crypto(AwsLcCryptoProvider);

impl CryptoProvider for Crypto {
    type CipherSuiteProvider = AwsLcCipherSuite;

    fn supported_cipher_suites(&self) -> Vec<CipherSuite> {
        let draft = [PqSuite::MlKem768X25519Aes128Ed25519, PqSuite::MlKem1024Aes256P384];
        let draft = draft.into_iter().filter_map(|suite| POINTS.code_point(suite));
        let mut all = AwsLcCryptoProvider::supported_classical_cipher_suites();
        all.extend(draft.map(|at| CipherSuite::from(at.0)));
        all
    }

    fn cipher_suite_provider(&self, suite: CipherSuite) -> Option<AwsLcCipherSuite> {
        let build = AwsLcCipherSuiteBuilder::new();
        let is = |of_draft| POINTS.code_point(of_draft).is_some_and(|at| at.0 == *suite);
        if is(PqSuite::MlKem768X25519Aes128Ed25519) {
            let kdf = KdfId::HkdfSha256;
            let aead = AeadId::Aes128Gcm;
            let classical = CipherSuite::CURVE25519_AES128;
            let sha3 = Sha3::SHA3_256;
            let hash = AwsLcHash::new_sha3(sha3)?;
            let build = build.combined_hpke(classical, MlKem::MlKem768, kdf, aead, hash);
            return build.fallback_cipher_suite(classical).build(suite);
        }

        if is(PqSuite::MlKem1024Aes256P384) {
            let kdf = KdfId::HkdfSha384;
            let aead = AeadId::Aes256Gcm;
            let build = build.pq_hpke(MlKem::MlKem1024, kdf, aead);
            return build.fallback_cipher_suite(CipherSuite::P384_AES256).build(suite);
        }

        self.0.cipher_suite_provider(suite)
    }
}

fn crypto() -> Crypto {
    Crypto(AwsLcCryptoProvider::new())
}

fn keys(name: &[u8], suite: CipherSuite) -> Result<(SignatureSecretKey, SigningIdentity)> {
    let suite = crypto().cipher_suite_provider(suite).ok_or("no such suite")?;
    let (secret, public) = suite.signature_key_generate().map_err(|e| format!("{e:?}"))?;
    let credential = BasicCredential::new(name.to_vec()).into_credential();
    Ok((secret, SigningIdentity::new(credential, public)))
}

/// A new client.
pub fn client(name: &str, suite: Suite) -> Result<Box<dyn Member>> {
    let rcs = matches!(suite, Suite::Rcs(_));
    let suite = CipherSuite::from(suite.code_point());
    let (signer, identity) = keys(name.as_bytes(), suite)?;
    let rules = Rules(Arc::new(Mutex::new(How { private: false, path: false, tree: true })));
    let psks = InMemoryPreSharedKeyStorage::default();
    let storage = InMemoryGroupStateStorage::default();
    let client = mls_rs::Client::builder()
        .identity_provider(BasicIdentityProvider)
        .crypto_provider(crypto())
        .group_state_storage(storage.clone())
        .psk_store(psks.clone())
        .mls_rules(rules.clone())
        .extension_type(ExtensionType::from(TOPIC))
        .custom_proposal_types(rcs.then_some(ProposalType::SELF_REMOVE))
        .key_package_lifetime(LIFETIME)
        .signing_identity(identity.clone(), signer.clone(), suite)
        .build();
    Ok(Box::new(MlsRs {
        client,
        name: name.into(),
        suite,
        identity,
        signer,
        rules,
        psks,
        storage,
        group: None,
        next: None,
        reinit: None,
    }))
}

fn extensions(list: &[Extension]) -> ExtensionList {
    let mut all = ExtensionList::new();
    for extension in list {
        let kind = ExtensionType::from(extension.kind);
        all.set(mls_rs::Extension::new(kind, extension.data.clone()));
    }
    all
}

fn tree_of(bytes: Option<&[u8]>) -> Result<Option<ExportedTree<'static>>> {
    Ok(bytes.map(ExportedTree::from_bytes).transpose()?)
}

impl<C: MlsConfig> MlsRs<C> {
    fn group(&mut self) -> Result<&mut Group<C>> {
        self.group.as_mut().ok_or_else(|| "in no group".into())
    }

    fn enter(&mut self, mut group: Group<C>) -> Result<()> {
        group.write_to_storage()?;
        self.group = Some(group);
        Ok(())
    }

    /// Replaces the group by a client for its successor.
    fn close(&mut self) -> Result<&mut mls_rs::group::ReinitClient<C>> {
        if let Some(group) = self.group.take() {
            let (signer, identity) = self.next.take().unzip();
            self.reinit = Some(group.get_reinit_client(signer, identity)?);
        }
        self.reinit.as_mut().ok_or_else(|| "no closed group".into())
    }

    fn prepare(&mut self, suite: Suite) -> Result<()> {
        let suite = CipherSuite::from(suite.code_point());
        if suite != self.suite && self.next.is_none() && self.reinit.is_none() {
            self.next = Some(keys(&self.name, suite)?);
        }
        Ok(())
    }
}

fn first(welcomes: &[MlsMessage]) -> Result<Linked> {
    Ok(Linked { welcome: welcomes.first().ok_or("no Welcome")?.to_bytes()?, tree: None })
}

impl<C: MlsConfig> Drafts for MlsRs<C> {
    fn join_external_with(
        &mut self,
        group_info: &[u8],
        changes: &[Change],
        leaving: &[Vec<u8>],
    ) -> Result<Vec<u8>> {
        if !changes.is_empty() {
            return Err("mls-rs takes no other proposals here".into());
        }
        let mut builder = self.client.external_commit_builder()?;
        for message in leaving {
            builder = builder.with_received_custom_proposal(MlsMessage::from_bytes(message)?);
        }
        let (group, commit) = builder.build(MlsMessage::from_bytes(group_info)?)?;
        self.enter(group)?;
        Ok(commit.to_bytes()?)
    }
}

impl<C: MlsConfig> Member for MlsRs<C> {
    fn key_package(&mut self) -> Result<Vec<u8>> {
        let none = ExtensionList::default;
        Ok(self.client.generate_key_package_message(none(), none(), None)?.to_bytes()?)
    }

    fn create(&mut self, group_id: &[u8], list: &[Extension]) -> Result<()> {
        let id = group_id.to_vec();
        let none = ExtensionList::default();
        let group = self.client.create_group_with_id(id, extensions(list), none, None)?;
        self.enter(group)
    }

    fn join(&mut self, welcome: &[u8], tree: Option<&[u8]>) -> Result<()> {
        let welcome = MlsMessage::from_bytes(welcome)?;
        let (group, _) = self.client.join_group(tree_of(tree)?, &welcome, None)?;
        self.enter(group)
    }

    fn join_external(
        &mut self,
        group_info: &[u8],
        tree: Option<&[u8]>,
        psk: Option<&[u8]>,
        resync: bool,
    ) -> Result<Vec<u8>> {
        let mut builder = self.client.external_commit_builder()?;
        if let Some(tree) = tree_of(tree)? {
            builder = builder.with_tree_data(tree);
        }

        if let Some(id) = psk {
            builder = builder.with_external_psk(ExternalPskId::new(id.to_vec()));
        }

        if resync {
            let old = self.group.take().ok_or("in no group")?;
            builder = builder.with_removal(old.current_member_index());
            self.storage.delete_group(old.group_id());
        }

        let (group, commit) = builder.build(MlsMessage::from_bytes(group_info)?)?;
        self.enter(group)?;
        Ok(commit.to_bytes()?)
    }

    fn group_info(&mut self, tree: bool) -> Result<Vec<u8>> {
        Ok(self.group()?.group_info_message_allowing_ext_commit(tree)?.to_bytes()?)
    }

    fn tree(&mut self) -> Result<Vec<u8>> {
        Ok(self.group()?.export_tree().to_bytes()?)
    }

    fn know_psk(&mut self, id: &[u8], secret: &[u8]) -> Result<()> {
        self.psks.insert(ExternalPskId::new(id.to_vec()), PreSharedKey::new(secret.to_vec()));
        Ok(())
    }

    fn propose(&mut self, change: &Change, private: bool) -> Result<Vec<u8>> {
        self.rules.set(How { private, ..self.rules.how() });
        let group = self.group()?;
        let no_aad = Vec::new();
        let message = match change {
            Change::Add(message) => group.propose_add(MlsMessage::from_bytes(message)?, no_aad)?,
            Change::Remove(leaf) => group.propose_remove(*leaf, no_aad)?,
            Change::Update => group.propose_update(no_aad)?,
            Change::ExternalPsk(id) => {
                group.propose_external_psk(ExternalPskId::new(id.clone()), no_aad)?
            }
            Change::ResumptionPsk(epoch) => group.propose_resumption_psk(*epoch, no_aad)?,
            Change::Extensions(list) => {
                group.propose_group_context_extensions(extensions(list), no_aad)?
            }
            Change::ReInit(next) => group.propose_reinit(
                Some(next.group_id.clone()),
                ProtocolVersion::MLS_10,
                CipherSuite::from(next.suite.code_point()),
                extensions(&next.extensions),
                no_aad,
            )?,
            Change::SelfRemove => group.propose_self_remove(no_aad)?,
            other => return Err(format!("mls-rs has no {other:?}").into()),
        };

        let message = message.to_bytes()?;
        group.write_to_storage()?;
        Ok(message)
    }

    fn commit(&mut self, changes: &[Change], how: How) -> Result<Commit> {
        self.rules.set(how);
        let group = self.group()?;
        let mut builder = group.commit_builder();
        for change in changes {
            builder = match change {
                Change::Add(message) => builder.add_member(MlsMessage::from_bytes(message)?)?,
                Change::Remove(leaf) => builder.remove_member(*leaf)?,
                Change::Update => return Err("an Update cannot be committed by value".into()),
                Change::ExternalPsk(id) => {
                    builder.add_external_psk(ExternalPskId::new(id.clone()))?
                }
                Change::ResumptionPsk(epoch) => builder.add_resumption_psk(*epoch)?,
                Change::Extensions(list) => builder.set_group_context_ext(extensions(list))?,
                Change::ReInit(next) => builder.reinit(
                    Some(next.group_id.clone()),
                    ProtocolVersion::MLS_10,
                    CipherSuite::from(next.suite.code_point()),
                    extensions(&next.extensions),
                )?,
                other => return Err(format!("mls-rs commits no {other:?}").into()),
            };
        }

        let output = builder.build()?;
        group.write_to_storage()?;
        let welcome = output.welcome_messages().first().map(MlsMessage::to_bytes).transpose()?;
        Ok(Commit { commit: output.commit_message().to_bytes()?, welcome })
    }

    fn accept(&mut self) -> Result<()> {
        let group = self.group()?;
        group.apply_pending_commit()?;
        Ok(group.write_to_storage()?)
    }

    fn discard(&mut self) -> Result<()> {
        self.group()?.clear_pending_commit();
        Ok(())
    }

    fn receive(&mut self, message: &[u8]) -> Result<Received> {
        let group = self.group()?;
        let received = match group.process_incoming_message(MlsMessage::from_bytes(message)?)? {
            ReceivedMessage::ApplicationMessage(message) => Received::Data {
                data: message.data().to_vec(),
                authenticated_data: Some(message.authenticated_data),
            },
            ReceivedMessage::Proposal(_) => Received::Proposal,
            ReceivedMessage::Commit(commit) => match commit.effect {
                CommitEffect::NewEpoch(_) => Received::Epoch,
                CommitEffect::Removed { .. } => Received::Removed,
                CommitEffect::ReInit(_) => Received::Closed,
            },
            _ => return Err("unexpected".into()),
        };

        group.write_to_storage()?;
        Ok(received)
    }

    fn send(&mut self, data: &[u8], authenticated_data: &[u8]) -> Result<Vec<u8>> {
        let group = self.group()?;
        let message = group.encrypt_application_message(data, authenticated_data.to_vec())?;
        group.write_to_storage()?;
        Ok(message.to_bytes()?)
    }

    fn stored_bytes(&mut self) -> Result<usize> {
        let group_id = self.group()?.group_id().to_vec();
        let state = self.storage.state(&group_id)?;
        Ok(state.ok_or("nothing is stored")?.len())
    }

    fn view(&mut self, context: &[u8]) -> Result<View> {
        let group = self.group()?;
        let label = EXPORT_LABEL.as_bytes();
        let identity = |m: mls_rs::group::Member| {
            let basic = m.signing_identity.credential.as_basic().map(|b| b.identifier.clone());
            (m.index, basic.unwrap_or_default())
        };

        Ok(View {
            epoch: group.current_epoch(),
            authenticator: group.epoch_authenticator()?.as_bytes().to_vec(),
            exported: group.export_secret(label, context, EXPORT_LENGTH)?.as_bytes().to_vec(),
            roster: group.roster().members_iter().map(identity).collect(),
            extensions: group
                .context()
                .extensions()
                .iter()
                .map(|e| Extension {
                    kind: e.extension_type().raw_value(),
                    data: e.extension_data().to_vec(),
                })
                .collect(),
        })
    }

    fn external_sender(&mut self) -> Result<Vec<u8>> {
        encode_external_sender(self.identity.signature_key.as_ref(), &self.name)
    }

    fn propose_outside(&mut self, group_info: &[u8], what: &Outside) -> Result<Vec<u8>> {
        let info = MlsMessage::from_bytes(group_info)?;
        let none = ExtensionList::default;
        let observe = || {
            ExternalClient::builder()
                .identity_provider(BasicIdentityProvider)
                .crypto_provider(crypto())
                .extension_type(ExtensionType::from(TOPIC))
                .signer(self.signer.clone(), self.identity.clone())
                .build()
                .observe_group(info.clone(), None, None)
        };

        let message = match what {
            Outside::Add(message) => {
                observe()?.propose_add(MlsMessage::from_bytes(message)?, Vec::new())?
            }
            Outside::Remove(leaf) => observe()?.propose_remove(*leaf, Vec::new())?,
            Outside::ExternalPsk(id) => {
                observe()?.propose_external_psk(ExternalPskId::new(id.clone()), Vec::new())?
            }
            Outside::AppData(..) => return Err("mls-rs has no AppDataUpdate".into()),
            Outside::Itself => {
                self.client.external_add_proposal(&info, None, Vec::new(), none(), none(), None)?
            }
        };

        Ok(message.to_bytes()?)
    }

    fn reinit_key_package(&mut self, suite: Suite) -> Result<Vec<u8>> {
        self.prepare(suite)?;
        Ok(self.close()?.generate_key_package(None)?.to_bytes()?)
    }

    fn reinit(&mut self, next: &ReInit, key_packages: &[Vec<u8>]) -> Result<Linked> {
        self.prepare(next.suite)?;
        self.close()?;
        self.rules.set(How { private: false, path: false, tree: true });
        let messages: std::result::Result<Vec<_>, _> =
            key_packages.iter().map(|kp| MlsMessage::from_bytes(kp)).collect();
        let client = self.reinit.take().ok_or("no closed group")?;
        let (group, welcomes) = client.commit(messages?, ExtensionList::default(), None)?;
        self.enter(group)?;
        first(&welcomes)
    }

    fn join_reinit(&mut self, welcome: &[u8], tree: Option<&[u8]>) -> Result<()> {
        self.close()?;
        let client = self.reinit.take().ok_or("no closed group")?;
        let (group, _) = client.join(&MlsMessage::from_bytes(welcome)?, tree_of(tree)?, None)?;
        self.enter(group)
    }

    fn branch(
        &mut self,
        group_id: &[u8],
        other: Option<&[Extension]>,
        key_packages: &[Vec<u8>],
    ) -> Result<Linked> {
        if other.is_some() {
            return Err("mls-rs takes no extensions for a branch".into());
        }

        self.rules.set(How { private: false, path: false, tree: true });
        let messages: std::result::Result<Vec<_>, _> =
            key_packages.iter().map(|kp| MlsMessage::from_bytes(kp)).collect();
        let (group, welcomes) = self.group()?.branch(group_id.to_vec(), messages?, None)?;
        self.enter(group)?;
        first(&welcomes)
    }

    fn join_branch(&mut self, welcome: &[u8], tree: Option<&[u8]>) -> Result<()> {
        let welcome = MlsMessage::from_bytes(welcome)?;
        let (group, _) = self.group()?.join_subgroup(&welcome, tree_of(tree)?, None)?;
        self.enter(group)
    }
}
