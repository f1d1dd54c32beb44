//! OpenMLS, with its RustCrypto provider and its store in memory.
//!
//! In a mended suite, key pairs of post-quantum KEMs are derived as HPKE-PQ specifies; hpke-rs 0.7, which the
//! provider is built on, derives them differently.

use crate::member::{
    Change, Commit, EXPORT_LABEL, EXPORT_LENGTH, Extension, How, LEEWAY, LIFETIME, Linked, Member,
    Outside, ReInit, Received, Result, TOPIC, View, application_psk, encode_external_sender, now,
};
use crate::suite::Suite;
use conclave_mls::wire::{Decode, Encode};
use hpke_rs_crypto::HpkeCrypto;
use hpke_rs_crypto::types::KemAlgorithm;
use hpke_rs_rust_crypto::HpkeRustCrypto;
use openmls::prelude::tls_codec::{Deserialize as _, SecretVLBytes, Serialize as _};
use openmls::prelude::*;
use openmls::schedule::psk::ResumptionPskUsage;
use openmls::schedule::{PreSharedKeyId, Psk};
use openmls_basic_credential::SignatureKeyPair;
use openmls_rust_crypto::{MemoryStorage, RustCrypto};
use openmls_traits::crypto::HpkeSealPskResolvedAadError;
use openmls_traits::crypto::OpenMlsCrypto;
use openmls_traits::types::{
    AeadType, CryptoError, ExporterSecret, HashType, HpkeCiphertext, HpkeConfig, HpkeKemType,
    HpkeKeyPair, KemOutput, SignatureScheme,
};

mod draft_types;
mod drafts;

pub use drafts::observer;

struct OpenMls {
    provider: Provider,
    /// Whether it implements the drafts of extensions and of targeted messages.
    extended: bool,
    /// What the last commit gave to components.
    ephemeral: Vec<(u16, Vec<u8>)>,
    suite: Ciphersuite,
    name: Vec<u8>,
    signer: SignatureKeyPair,
    credential: CredentialWithKey,
    group: Option<MlsGroup>,
}

/// The parts of OpenMlsRustCrypto, with cryptography that can be mended.
#[derive(Default)]
struct Provider {
    crypto: Crypto,
    random: RustCrypto,
    storage: MemoryStorage,
}

impl OpenMlsProvider for Provider {
    type CryptoProvider = Crypto;
    type RandProvider = RustCrypto;
    type StorageProvider = MemoryStorage;

    fn storage(&self) -> &MemoryStorage {
        &self.storage
    }

    fn crypto(&self) -> &Crypto {
        &self.crypto
    }

    fn rand(&self) -> &RustCrypto {
        &self.random
    }
}

/// The result of a function of the crypto trait.
type Answer<T> = std::result::Result<T, CryptoError>;

/// OpenMLS's cryptography, mended or as it is.
#[derive(Default)]
struct Crypto {
    own: RustCrypto,
    mended: bool,
    /// Whether targeted messages are sealed as the draft's version -02 has it.
    targeted: bool,
}

impl Crypto {
    /// `DeriveKeyPair` (draft-ietf-hpke-pq sections 3 and 4), `SHAKE256.LabeledDerive` (section 5 of
    /// draft-ietf-hpke-hpke) included; hpke-rs 0.7 uses `SHAKE256(ikm)` as the seed.
    fn derive(kem: KemAlgorithm, ikm: &[u8]) -> Answer<HpkeKeyPair> {
        let length = if kem == KemAlgorithm::XWingDraft06 { 32_u16 } else { 64 };
        let label = b"DeriveKeyPair";
        let input = [
            ikm,
            b"HPKE-v1",
            b"KEM",
            &(kem as u16).to_be_bytes(),
            &(label.len() as u16).to_be_bytes(),
            label,
            &length.to_be_bytes(),
        ]
        .concat();
        let seed = libcrux_sha3::shake256::<64>(&input);
        let seed = &seed[..usize::from(length)];
        let (public, private) = HpkeRustCrypto::kem_key_gen_derand(kem, seed)
            .map_err(|_| CryptoError::CryptoLibraryError)?;
        Ok(HpkeKeyPair { private: private.into(), public })
    }
}

impl OpenMlsCrypto for Crypto {
    fn derive_hpke_keypair(&self, config: HpkeConfig, ikm: &[u8]) -> Answer<HpkeKeyPair> {
        match config.0 {
            HpkeKemType::XWingKemDraft6 if self.mended => {
                Self::derive(KemAlgorithm::XWingDraft06, ikm)
            }
            HpkeKemType::MlKem768 if self.mended => Self::derive(KemAlgorithm::MlKem768, ikm),
            HpkeKemType::MlKem1024 if self.mended => Self::derive(KemAlgorithm::MlKem1024, ikm),
            _ => self.own.derive_hpke_keypair(config, ikm),
        }
    }

    fn supports(&self, suite: Ciphersuite) -> Answer<()> {
        self.own.supports(suite)
    }

    fn supported_ciphersuites(&self) -> Vec<Ciphersuite> {
        self.own.supported_ciphersuites()
    }

    fn hkdf_extract(&self, hash: HashType, salt: &[u8], ikm: &[u8]) -> Answer<SecretVLBytes> {
        self.own.hkdf_extract(hash, salt, ikm)
    }

    fn hmac(&self, hash: HashType, key: &[u8], message: &[u8]) -> Answer<SecretVLBytes> {
        self.own.hmac(hash, key, message)
    }

    fn hkdf_expand(
        &self,
        hash: HashType,
        prk: &[u8],
        info: &[u8],
        length: usize,
    ) -> Answer<SecretVLBytes> {
        self.own.hkdf_expand(hash, prk, info, length)
    }

    fn hash(&self, hash: HashType, data: &[u8]) -> Answer<Vec<u8>> {
        self.own.hash(hash, data)
    }

    fn aead_encrypt(
        &self,
        aead: AeadType,
        key: &[u8],
        data: &[u8],
        nonce: &[u8],
        aad: &[u8],
    ) -> Answer<Vec<u8>> {
        self.own.aead_encrypt(aead, key, data, nonce, aad)
    }

    fn aead_decrypt(
        &self,
        aead: AeadType,
        key: &[u8],
        data: &[u8],
        nonce: &[u8],
        aad: &[u8],
    ) -> Answer<Vec<u8>> {
        self.own.aead_decrypt(aead, key, data, nonce, aad)
    }

    fn signature_key_gen(&self, scheme: SignatureScheme) -> Answer<(Vec<u8>, Vec<u8>)> {
        self.own.signature_key_gen(scheme)
    }

    fn verify_signature(
        &self,
        scheme: SignatureScheme,
        data: &[u8],
        key: &[u8],
        signature: &[u8],
    ) -> Answer<()> {
        self.own.verify_signature(scheme, data, key, signature)
    }

    fn sign(&self, scheme: SignatureScheme, data: &[u8], key: &[u8]) -> Answer<Vec<u8>> {
        self.own.sign(scheme, data, key)
    }

    fn hpke_seal(
        &self,
        config: HpkeConfig,
        key: &[u8],
        info: &[u8],
        aad: &[u8],
        data: &[u8],
    ) -> Answer<HpkeCiphertext> {
        self.own.hpke_seal(config, key, info, aad, data)
    }

    fn hpke_open(
        &self,
        config: HpkeConfig,
        input: &HpkeCiphertext,
        key: &[u8],
        info: &[u8],
        aad: &[u8],
    ) -> Answer<Vec<u8>> {
        self.own.hpke_open(config, input, key, info, aad)
    }

    fn hpke_setup_sender_and_export(
        &self,
        config: HpkeConfig,
        key: &[u8],
        info: &[u8],
        context: &[u8],
        length: usize,
    ) -> Answer<(KemOutput, ExporterSecret)> {
        self.own.hpke_setup_sender_and_export(config, key, info, context, length)
    }

    fn hpke_open_psk(
        &self,
        config: HpkeConfig,
        input: &HpkeCiphertext,
        key: &[u8],
        info: &[u8],
        aad: &[u8],
        psk: &[u8],
        psk_id: &[u8],
    ) -> Answer<Vec<u8>> {
        let inputs = self.targeted.then(|| draft_types::targeted_inputs(aad)).transpose()?;
        let (info, aad) = inputs.unwrap_or_else(|| (info.to_vec(), aad.to_vec()));
        self.own.hpke_open_psk(config, input, key, &info, &aad, psk, psk_id)
    }

    fn hpke_seal_psk_resolved_aad<F, E>(
        &self,
        config: HpkeConfig,
        key: &[u8],
        info: &[u8],
        data: &[u8],
        psk: &[u8],
        psk_id: &[u8],
        aad: F,
    ) -> std::result::Result<HpkeCiphertext, HpkeSealPskResolvedAadError<E>>
    where
        F: FnOnce(&[u8]) -> std::result::Result<Vec<u8>, E>,
    {
        if !self.targeted {
            return self.own.hpke_seal_psk_resolved_aad(config, key, info, data, psk, psk_id, aad);
        }
        // OpenMLS's AAD says what the draft's inputs are made of.
        let aad = aad(&[]).map_err(HpkeSealPskResolvedAadError::AadBuildError)?;
        let inputs = draft_types::targeted_inputs(&aad);
        let (info, aad) = inputs.map_err(HpkeSealPskResolvedAadError::CryptoError)?;
        self.own.hpke_seal_psk_resolved_aad(config, key, &info, data, psk, psk_id, |_| Ok(aad))
    }

    fn hpke_setup_receiver_and_export(
        &self,
        config: HpkeConfig,
        enc: &[u8],
        key: &[u8],
        info: &[u8],
        context: &[u8],
        length: usize,
    ) -> Answer<ExporterSecret> {
        self.own.hpke_setup_receiver_and_export(config, enc, key, info, context, length)
    }
}

/// A new client.
pub fn client(name: &str, suite: Suite) -> Result<Box<dyn Member>> {
    let mut provider = Provider::default();
    provider.crypto.mended = matches!(suite, Suite::Mended(_));
    let extended = matches!(suite, Suite::Extended(_));
    let suite = Ciphersuite::try_from(suite.code_point())?;
    let signer = SignatureKeyPair::new(suite.signature_algorithm())?;
    signer.store(provider.storage())?;
    let credential = CredentialWithKey {
        credential: BasicCredential::new(name.as_bytes().to_vec()).into(),
        signature_key: signer.public().into(),
    };
    let name = name.into();
    let ephemeral = Vec::new();
    let group = None;
    Ok(Box::new(OpenMls { provider, extended, ephemeral, suite, name, signer, credential, group }))
}

fn capabilities(extended: bool) -> Capabilities {
    let known = |point: u16| Ciphersuite::try_from(point).ok();
    let suites: Vec<Ciphersuite> = Suite::code_points().into_iter().filter_map(known).collect();
    Capabilities::new(
        Some(&[ProtocolVersion::Mls10]),
        Some(&suites),
        Some(if extended { draft_types::EXTENSIONS } else { &[ExtensionType::Unknown(TOPIC)] }),
        Some(if extended { draft_types::PROPOSALS } else { &[] }),
        Some(&[CredentialType::Basic]),
    )
}

fn lifetime() -> Lifetime {
    let now = now().as_secs();
    Lifetime::init(now - LEEWAY.as_secs(), now + LIFETIME.as_secs())
}

/// Keeps late messages and resumption PSKs for a while; by default it keeps neither.
fn config(private: bool) -> MlsGroupJoinConfig {
    MlsGroupJoinConfig::builder()
        .wire_format_policy(policy(private))
        .use_ratchet_tree_extension(true)
        .max_past_epochs(3)
        .number_of_resumption_psks(8)
        .build()
}

fn policy(private: bool) -> WireFormatPolicy {
    if private { MIXED_CIPHERTEXT_WIRE_FORMAT_POLICY } else { MIXED_PLAINTEXT_WIRE_FORMAT_POLICY }
}

fn extensions(list: &[Extension]) -> Result<Extensions<GroupContext>> {
    let mut all = Vec::new();
    for extension in list {
        let wire = conclave_mls::group::Extension {
            extension_type: conclave_mls::group::ExtensionType(extension.kind),
            extension_data: extension.data.as_slice().into(),
        };
        all.push(openmls::prelude::Extension::tls_deserialize_exact(wire.to_bytes()?)?);
    }
    Ok(Extensions::from_vec(all)?)
}

fn key_package(message: &[u8], crypto: &impl OpenMlsCrypto) -> Result<KeyPackage> {
    match MlsMessageIn::tls_deserialize_exact(message)?.extract() {
        MlsMessageBodyIn::KeyPackage(kp) => Ok(kp.validate(crypto, ProtocolVersion::Mls10)?),
        _ => Err("not a key package".into()),
    }
}

fn verifiable(group_info: &[u8]) -> Result<group_info::VerifiableGroupInfo> {
    match MlsMessageIn::tls_deserialize_exact(group_info)?.extract() {
        MlsMessageBodyIn::GroupInfo(info) => Ok(info),
        _ => Err("not a GroupInfo".into()),
    }
}

impl OpenMls {
    fn group(&mut self) -> Result<&mut MlsGroup> {
        self.group.as_mut().ok_or_else(|| "in no group".into())
    }

    fn leave(&mut self) -> Result<()> {
        match self.group.take() {
            Some(mut group) => Ok(group.delete(self.provider.storage())?),
            None => Ok(()),
        }
    }

    fn leaf(&self) -> Result<LeafNodeParameters> {
        Ok(LeafNodeParameters::builder()
            .with_capabilities(capabilities(self.extended))
            .with_extensions(draft_types::leaf_extensions(self.extended)?)
            .build())
    }

    fn new_key_package(&mut self) -> Result<KeyPackage> {
        let bundle = KeyPackage::builder()
            .key_package_lifetime(lifetime())
            .leaf_node_capabilities(capabilities(self.extended))
            .leaf_node_extensions(draft_types::leaf_extensions(self.extended)?)
            .build(self.suite, &self.provider, &self.signer, self.credential.clone())?;
        Ok(bundle.key_package().clone())
    }

    fn psk_id(&self, psk: Psk) -> Result<PreSharedKeyId> {
        Ok(PreSharedKeyId::new(self.suite, self.provider.rand(), psk)?)
    }

    /// The identifier of an external PSK, or of the resumption PSK of an epoch of our group.
    fn psk_of(&self, change: &Change) -> Result<Option<PreSharedKeyId>> {
        Ok(match change {
            Change::ExternalPsk(id) => {
                let external = openmls::schedule::ExternalPsk::new(id.clone());
                Some(self.psk_id(Psk::External(external))?)
            }
            Change::ResumptionPsk(epoch) => {
                let group_id = self.group.as_ref().ok_or("in no group")?.group_id().clone();
                let usage = ResumptionPskUsage::Application;
                let resumption =
                    openmls::schedule::psk::ResumptionPsk::new(usage, group_id, (*epoch).into());
                Some(self.psk_id(Psk::Resumption(resumption))?)
            }
            Change::ApplicationPsk(id) => Some(self.psk_id(draft_types::psk(id))?),
            _ => None,
        })
    }

    /// Goes on into the epoch of a commit.
    fn follow(&mut self, staged: StagedCommit) -> Result<Received> {
        self.ephemeral = draft_types::ephemeral_of(&staged);
        let removed = staged.self_removed();
        let group = self.group.as_mut().ok_or("in no group")?;
        group.merge_staged_commit(&self.provider, staged)?;
        Ok(if removed { Received::Removed } else { Received::Epoch })
    }
}

impl Member for OpenMls {
    fn key_package(&mut self) -> Result<Vec<u8>> {
        Ok(MlsMessageOut::from(self.new_key_package()?).tls_serialize_detached()?)
    }

    fn create(&mut self, group_id: &[u8], list: &[Extension]) -> Result<()> {
        let create = MlsGroupCreateConfig::builder()
            .ciphersuite(self.suite)
            .wire_format_policy(policy(false))
            .use_ratchet_tree_extension(true)
            .max_past_epochs(3)
            .number_of_resumption_psks(8)
            .capabilities(capabilities(self.extended))
            .with_leaf_node_extensions(draft_types::leaf_extensions(self.extended)?)?
            .lifetime(lifetime())
            .with_group_context_extensions(extensions(list)?)
            .build();
        let id = GroupId::from_slice(group_id);
        let signer = &self.signer;
        let credential = self.credential.clone();
        let group = MlsGroup::new_with_group_id(&self.provider, signer, &create, id, credential)?;
        self.group = Some(group);
        Ok(())
    }

    fn join(&mut self, welcome: &[u8], tree: Option<&[u8]>) -> Result<()> {
        let MlsMessageBodyIn::Welcome(welcome) =
            MlsMessageIn::tls_deserialize_exact(welcome)?.extract()
        else {
            return Err("not a Welcome".into());
        };
        let tree = tree.map(RatchetTreeIn::tls_deserialize_exact).transpose()?;
        let staged =
            StagedWelcome::new_from_welcome(&self.provider, &config(false), welcome, tree)?;
        self.group = Some(staged.into_group(&self.provider)?);
        Ok(())
    }

    fn join_external(
        &mut self,
        group_info: &[u8],
        tree: Option<&[u8]>,
        psk: Option<&[u8]>,
        resync: bool,
    ) -> Result<Vec<u8>> {
        if resync {
            // It finds its old leaf by the signature key.
            self.leave()?;
        }

        let leaf = self.leaf()?;
        let psk = match psk {
            Some(id) => self.psk_of(&Change::ExternalPsk(id.to_vec()))?,
            None => None,
        };

        let mut builder = MlsGroup::external_commit_builder().with_config(config(false));
        if let Some(tree) = tree {
            builder = builder.with_ratchet_tree(RatchetTreeIn::tls_deserialize_exact(tree)?);
        }

        let (group, bundle) = builder
            .build_group(&self.provider, verifiable(group_info)?, self.credential.clone())?
            .add_psk_proposals(psk.map(PreSharedKeyProposal::new))
            .leaf_node_parameters(leaf)
            .load_psks(self.provider.storage())?
            .create_group_info(false)
            .build(self.provider.rand(), self.provider.crypto(), &self.signer, |_| true)?
            .finalize(&self.provider)?;
        self.group = Some(group);
        Ok(bundle.into_commit().tls_serialize_detached()?)
    }

    fn group_info(&mut self, tree: bool) -> Result<Vec<u8>> {
        let group = self.group.as_ref().ok_or("in no group")?;
        let info = group.export_group_info(self.provider.crypto(), &self.signer, tree)?;
        Ok(info.tls_serialize_detached()?)
    }

    fn tree(&mut self) -> Result<Vec<u8>> {
        Ok(self.group()?.export_ratchet_tree().tls_serialize_detached()?)
    }

    fn know_psk(&mut self, id: &[u8], secret: &[u8]) -> Result<()> {
        let external = openmls::schedule::ExternalPsk::new(id.to_vec());
        self.psk_id(Psk::External(external))?.store(&self.provider, secret)?;
        let of_component = application_psk(secret);
        Ok(self.psk_id(draft_types::psk(id))?.store(&self.provider, &of_component)?)
    }

    fn propose(&mut self, change: &Change, private: bool) -> Result<Vec<u8>> {
        let psk = self.psk_of(change)?;
        let group = self.group.as_mut().ok_or("in no group")?;
        group.set_configuration(self.provider.storage(), &config(private))?;
        let provider = &self.provider;
        let signer = &self.signer;
        let (message, _) = match change {
            Change::Add(message) => {
                let valid = key_package(message, provider.crypto())?;
                group.propose_add_member(provider, signer, &valid)?
            }
            Change::Remove(leaf) => {
                group.propose_remove_member(provider, signer, LeafNodeIndex::new(*leaf))?
            }
            Change::Update => {
                group.propose_self_update(provider, signer, LeafNodeParameters::default())?
            }
            Change::ExternalPsk(_) | Change::ResumptionPsk(_) | Change::ApplicationPsk(_) => {
                group.propose_pre_shared_key(provider, signer, psk.ok_or("no PSK")?)?
            }
            Change::Extensions(list) => {
                let list = extensions(list)?;
                group.propose_group_context_extensions(provider, list, signer)?
            }
            Change::SelfRemove => {
                group.set_configuration(provider.storage(), &config(false))?;
                let message = group.leave_group_via_self_remove(provider, signer)?;
                return Ok(message.tls_serialize_detached()?);
            }
            Change::AppData(..) | Change::AppDataRemoval(_) => {
                let proposal = draft_types::update(change).ok_or("no AppDataUpdate")?;
                let by_reference = ProposalOrRefType::Reference;
                group.propose(provider, signer, draft_types::propose(&proposal), by_reference)?
            }
            Change::Ephemeral(..) => return Err("OpenMLS cannot propose an AppEphemeral".into()),
            Change::ReInit(_) => return Err("OpenMLS cannot propose a ReInit".into()),
        };

        Ok(message.tls_serialize_detached()?)
    }

    fn commit(&mut self, changes: &[Change], how: How) -> Result<Commit> {
        let mut adds = vec![];
        let mut removes = vec![];
        let mut lists = vec![];
        let mut psks = vec![];
        let mut drafts = vec![];
        for change in changes {
            match change {
                Change::Add(message) => adds.push(key_package(message, self.provider.crypto())?),
                Change::Remove(leaf) => removes.push(LeafNodeIndex::new(*leaf)),
                Change::Extensions(list) => lists.push(extensions(list)?),
                Change::ExternalPsk(_) | Change::ResumptionPsk(_) | Change::ApplicationPsk(_) => {
                    psks.extend(self.psk_of(change)?)
                }
                Change::AppData(..) | Change::AppDataRemoval(_) => {
                    let proposal = draft_types::update(change).ok_or("no AppDataUpdate")?;
                    drafts.push(Proposal::AppDataUpdate(Box::new(proposal)));
                }
                Change::Ephemeral(component, data) => {
                    let proposal = AppEphemeralProposal::new(*component, data.clone());
                    drafts.push(Proposal::AppEphemeral(Box::new(proposal)));
                }
                Change::Update | Change::SelfRemove => {
                    return Err(format!("{change:?} cannot be committed by value").into());
                }
                Change::ReInit(_) => return Err("OpenMLS cannot commit a ReInit".into()),
            }
        }

        let group = self.group.as_mut().ok_or("in no group")?;
        group.set_configuration(self.provider.storage(), &config(how.private))?;
        let mut builder = group
            .commit_builder()
            .propose_adds(adds)
            .propose_removals(removes)
            .add_proposals(
                psks.into_iter()
                    .map(|id| Proposal::PreSharedKey(Box::new(PreSharedKeyProposal::new(id)))),
            )
            .force_self_update(how.path);
        for list in lists {
            builder = builder.propose_group_context_extensions(list)?;
        }

        let mut builder = builder.add_proposals(drafts).load_psks(self.provider.storage())?;
        let proposals: Vec<_> = builder.app_data_update_proposals().cloned().collect();
        let updates = draft_types::answers(builder.app_data_dictionary_updater(), proposals.iter());
        builder.with_app_data_dictionary_updates(updates);
        let bundle = builder
            .use_ratchet_tree_extension(how.tree)
            .build(self.provider.rand(), self.provider.crypto(), &self.signer, |_| true)?
            .stage_commit(&self.provider)?;
        let (commit, welcome, _) = bundle.into_messages();
        let welcome = welcome.map(|welcome| welcome.tls_serialize_detached()).transpose()?;
        Ok(Commit { commit: commit.tls_serialize_detached()?, welcome })
    }

    fn accept(&mut self) -> Result<()> {
        let group = self.group.as_mut().ok_or("in no group")?;
        self.ephemeral = group.pending_commit().map(draft_types::ephemeral_of).unwrap_or_default();
        Ok(group.merge_pending_commit(&self.provider)?)
    }

    fn discard(&mut self) -> Result<()> {
        let group = self.group.as_mut().ok_or("in no group")?;
        Ok(group.clear_pending_commit(self.provider.storage())?)
    }

    fn receive(&mut self, message: &[u8]) -> Result<Received> {
        let message = MlsMessageIn::tls_deserialize_exact(message)?;
        if message.wire_format() == WireFormat::TargetedMessage {
            return self.receive_targeted(message);
        }
        let message = message.try_into_protocol_message()?;
        let group = self.group.as_mut().ok_or("in no group")?;
        let processed = group.process_message(&self.provider, message)?;
        let authenticated_data = processed.aad().to_vec();
        match processed.into_content() {
            ProcessedMessageContent::ApplicationMessage(message) => Ok(Received::Data {
                data: message.into_bytes(),
                authenticated_data: Some(authenticated_data),
            }),
            ProcessedMessageContent::ProposalMessage(proposal)
            | ProcessedMessageContent::ExternalJoinProposalMessage(proposal) => {
                group.store_pending_proposal(self.provider.storage(), *proposal)?;
                Ok(Received::Proposal)
            }
            ProcessedMessageContent::StagedCommitMessage(staged) => self.follow(*staged),
            ProcessedMessageContent::UnresolvedAppDataCommit(commit) => {
                let updater = group.app_data_dictionary_updater();
                let updates = draft_types::answers(updater, commit.app_data_update_proposals());
                let staged = group.stage_app_data_commit(&self.provider, *commit, updates)?;
                self.follow(staged)
            }
            _ => Err("our own message".into()),
        }
    }

    fn send(&mut self, data: &[u8], authenticated_data: &[u8]) -> Result<Vec<u8>> {
        let group = self.group.as_mut().ok_or("in no group")?;
        let data_behind = draft_types::set_safe_aad(group, authenticated_data)?;
        group.set_aad(data_behind.to_vec());
        let message = group.create_message(&self.provider, &self.signer, data)?;
        Ok(message.tls_serialize_detached()?)
    }

    fn stored_bytes(&mut self) -> Result<usize> {
        let values = self.provider.storage().values.read().map_err(|e| e.to_string())?;
        Ok(values.values().map(Vec::len).sum())
    }

    fn view(&mut self, context: &[u8]) -> Result<View> {
        let group = self.group.as_ref().ok_or("in no group")?;
        let crypto = self.provider.crypto();
        let mut list = Vec::new();
        for extension in group.extensions().iter() {
            let bytes = extension.tls_serialize_detached()?;
            let wire = conclave_mls::group::Extension::from_bytes(&bytes)?;
            list.push(Extension {
                kind: wire.extension_type.0,
                data: wire.extension_data.to_vec(),
            });
        }

        Ok(View {
            epoch: group.epoch().as_u64(),
            authenticator: group.epoch_authenticator().as_slice().to_vec(),
            exported: group.export_secret(crypto, EXPORT_LABEL, context, EXPORT_LENGTH)?,
            roster: group
                .members()
                .map(|m| (m.index.u32(), m.credential.serialized_content().to_vec()))
                .collect(),
            extensions: list,
        })
    }

    fn external_sender(&mut self) -> Result<Vec<u8>> {
        encode_external_sender(self.signer.public(), &self.name)
    }

    fn propose_outside(&mut self, group_info: &[u8], what: &Outside) -> Result<Vec<u8>> {
        let info = verifiable(group_info)?;
        let group_id = info.group_id().clone();
        let epoch = info.epoch();
        let own = match what {
            Outside::Itself => Some(self.new_key_package()?),
            _ => None,
        };

        let first = SenderExtensionIndex::new(0);
        let message = match (what, own) {
            (Outside::Add(message), _) => {
                let valid = key_package(message, self.provider.crypto())?;
                ExternalProposal::new_add::<Provider>(valid, group_id, epoch, &self.signer, first)?
            }
            (Outside::Remove(leaf), _) => ExternalProposal::new_remove::<Provider>(
                LeafNodeIndex::new(*leaf),
                group_id,
                epoch,
                &self.signer,
                first,
            )?,
            (Outside::ExternalPsk(_), _) => {
                return Err("OpenMLS cannot propose a PSK from outside".into());
            }
            (Outside::AppData(..), _) => {
                return Err("OpenMLS cannot propose an AppDataUpdate from outside".into());
            }
            (Outside::Itself, Some(own)) => JoinProposal::new::<
                <Provider as OpenMlsProvider>::StorageProvider,
            >(own, group_id, epoch, &self.signer)?,
            (Outside::Itself, None) => return Err("no key package".into()),
        };

        Ok(message.tls_serialize_detached()?)
    }

    fn reinit_key_package(&mut self, _: Suite) -> Result<Vec<u8>> {
        Err("OpenMLS has no ReInit".into())
    }

    fn reinit(&mut self, _: &ReInit, _: &[Vec<u8>]) -> Result<Linked> {
        Err("OpenMLS has no ReInit".into())
    }

    fn join_reinit(&mut self, welcome: &[u8], tree: Option<&[u8]>) -> Result<()> {
        self.join(welcome, tree)
    }

    fn branch(&mut self, _: &[u8], _: Option<&[Extension]>, _: &[Vec<u8>]) -> Result<Linked> {
        Err("OpenMLS has no branches".into())
    }

    fn join_branch(&mut self, welcome: &[u8], tree: Option<&[u8]>) -> Result<()> {
        self.join(welcome, tree)
    }
}
