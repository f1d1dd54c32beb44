//! OpenMLS, with its RustCrypto provider and its store in memory.

use crate::client::{Client, Commit, Result};
use crate::clock;
use openmls::prelude::tls_codec::{Deserialize as _, Serialize as _};
use openmls::prelude::*;
use openmls::treesync::LeafNodeParameters;
use openmls_basic_credential::SignatureKeyPair;
use openmls_rust_crypto::OpenMlsRustCrypto;
use std::collections::HashMap;

const SUITE: Ciphersuite = Ciphersuite::MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519;

pub struct OpenMlsClient {
    provider: OpenMlsRustCrypto,
    signer: SignatureKeyPair,
    credential: CredentialWithKey,
    group: Option<MlsGroup>,
    /// The store when watching began. OpenMLS writes through too many methods to count, so the values that have
    /// changed are counted; values that were written again unchanged are missed.
    watched: HashMap<Vec<u8>, Vec<u8>>,
}

fn capabilities() -> Capabilities {
    Capabilities::new(
        Some(&[ProtocolVersion::Mls10]),
        Some(&[SUITE]),
        Some(&[]),
        Some(&[]),
        Some(&[CredentialType::Basic]),
    )
}

fn lifetime() -> Result<Lifetime> {
    let lifetime = clock::lifetime()?;
    Ok(Lifetime::init(lifetime.not_before, lifetime.not_after))
}

fn join_config(tree_inside: bool) -> MlsGroupJoinConfig {
    MlsGroupJoinConfig::builder()
        .wire_format_policy(MIXED_PLAINTEXT_WIRE_FORMAT_POLICY)
        .use_ratchet_tree_extension(tree_inside)
        .build()
}

impl OpenMlsClient {
    pub fn new(name: &str) -> Result<Self> {
        let provider = OpenMlsRustCrypto::default();
        let signer = SignatureKeyPair::new(SUITE.signature_algorithm())?;
        signer.store(provider.storage())?;
        let credential = CredentialWithKey {
            credential: BasicCredential::new(name.as_bytes().to_vec()).into(),
            signature_key: signer.public().into(),
        };
        Ok(Self { provider, signer, credential, group: None, watched: HashMap::new() })
    }

    fn commit(
        &mut self,
        change: impl FnOnce(CommitBuilder<'_, Initial>) -> CommitBuilder<'_, Initial>,
        with_group_info: bool,
    ) -> Result<Commit> {
        let group = self.group.as_mut().ok_or("in no group")?;
        let bundle = change(group.commit_builder())
            .load_psks(self.provider.storage())?
            .create_group_info(with_group_info)
            .build(self.provider.rand(), self.provider.crypto(), &self.signer, |_| true)?
            .stage_commit(&self.provider)?;

        let (commit, welcome, _) = bundle.into_messages();
        let welcome = welcome.map(|w| w.tls_serialize_detached()).transpose()?;
        Ok(Commit {
            commit: commit.tls_serialize_detached()?,
            welcome: welcome.unwrap_or_default(),
        })
    }

    fn receive(&mut self, message: &[u8]) -> Result<ProcessedMessageContent> {
        let message = MlsMessageIn::tls_deserialize_exact(message)?;
        let group = self.group.as_mut().ok_or("in no group")?;
        let message = message.try_into_protocol_message()?;
        Ok(group.process_message(&self.provider, message)?.into_content())
    }
}

impl Client for OpenMlsClient {
    fn key_package(&mut self) -> Result<Vec<u8>> {
        let bundle = KeyPackage::builder()
            .key_package_lifetime(lifetime()?)
            .leaf_node_capabilities(capabilities())
            .build(SUITE, &self.provider, &self.signer, self.credential.clone())?;
        let message = MlsMessageOut::from(bundle.key_package().clone());
        Ok(message.tls_serialize_detached()?)
    }

    fn create(&mut self, group_id: &[u8]) -> Result<()> {
        let config = MlsGroupCreateConfig::builder()
            .ciphersuite(SUITE)
            .wire_format_policy(MIXED_PLAINTEXT_WIRE_FORMAT_POLICY)
            .use_ratchet_tree_extension(true)
            .capabilities(capabilities())
            .lifetime(lifetime()?)
            .build();
        let id = GroupId::from_slice(group_id);
        let credential = self.credential.clone();
        self.group = Some(MlsGroup::new_with_group_id(
            &self.provider,
            &self.signer,
            &config,
            id,
            credential,
        )?);
        Ok(())
    }

    fn tree_apart(&mut self, apart: bool) -> Result<()> {
        let group = self.group.as_mut().ok_or("in no group")?;
        Ok(group.set_configuration(self.provider.storage(), &join_config(!apart))?)
    }

    fn add(&mut self, key_packages: &[Vec<u8>]) -> Result<Commit> {
        let mut valid = Vec::with_capacity(key_packages.len());
        for message in key_packages {
            let MlsMessageBodyIn::KeyPackage(kp) =
                MlsMessageIn::tls_deserialize_exact(message)?.extract()
            else {
                return Err("no key package".into());
            };
            valid.push(kp.validate(self.provider.crypto(), ProtocolVersion::Mls10)?);
        }
        self.commit(|builder| builder.propose_adds(valid).force_self_update(true), true)
    }

    fn remove(&mut self, leaf: u32) -> Result<Commit> {
        let leaf = LeafNodeIndex::new(leaf);
        self.commit(|builder| builder.propose_removals([leaf]), false)
    }

    fn update(&mut self) -> Result<Commit> {
        self.commit(
            |builder| {
                builder.leaf_node_parameters(LeafNodeParameters::default()).force_self_update(true)
            },
            false,
        )
    }

    fn accept(&mut self) -> Result<()> {
        let group = self.group.as_mut().ok_or("in no group")?;
        Ok(group.merge_pending_commit(&self.provider)?)
    }

    fn join(&mut self, welcome: &[u8]) -> Result<()> {
        let MlsMessageBodyIn::Welcome(welcome) =
            MlsMessageIn::tls_deserialize_exact(welcome)?.extract()
        else {
            return Err("no Welcome".into());
        };
        let staged =
            StagedWelcome::new_from_welcome(&self.provider, &join_config(true), welcome, None)?;
        self.group = Some(staged.into_group(&self.provider)?);
        Ok(())
    }

    fn join_external(&mut self, group_info: &[u8]) -> Result<Vec<u8>> {
        let MlsMessageBodyIn::GroupInfo(info) =
            MlsMessageIn::tls_deserialize_exact(group_info)?.extract()
        else {
            return Err("no GroupInfo".into());
        };

        let leaf = LeafNodeParameters::builder().with_capabilities(capabilities()).build();
        let (group, bundle) = MlsGroup::external_commit_builder()
            .with_config(join_config(true))
            .build_group(&self.provider, info, self.credential.clone())?
            .leaf_node_parameters(leaf)
            .load_psks(self.provider.storage())?
            .create_group_info(false)
            .build(self.provider.rand(), self.provider.crypto(), &self.signer, |_| true)?
            .finalize(&self.provider)?;
        self.group = Some(group);
        Ok(bundle.into_commit().tls_serialize_detached()?)
    }

    fn group_info(&mut self) -> Result<Vec<u8>> {
        let group = self.group.as_ref().ok_or("in no group")?;
        let info = group.export_group_info(self.provider.crypto(), &self.signer, true)?;
        Ok(info.tls_serialize_detached()?)
    }

    fn process(&mut self, commit: &[u8]) -> Result<()> {
        let ProcessedMessageContent::StagedCommitMessage(staged) = self.receive(commit)? else {
            return Err("no commit".into());
        };
        let group = self.group.as_mut().ok_or("in no group")?;
        Ok(group.merge_staged_commit(&self.provider, *staged)?)
    }

    fn encrypt(&mut self, data: &[u8]) -> Result<Vec<u8>> {
        let group = self.group.as_mut().ok_or("in no group")?;
        let message = group.create_message(&self.provider, &self.signer, data)?;
        Ok(message.tls_serialize_detached()?)
    }

    fn decrypt(&mut self, message: &[u8]) -> Result<Vec<u8>> {
        match self.receive(message)? {
            ProcessedMessageContent::ApplicationMessage(message) => Ok(message.into_bytes()),
            _ => Err("no message".into()),
        }
    }

    fn reload(&mut self) -> Result<()> {
        let id = self.group.take().ok_or("in no group")?.group_id().clone();
        self.group = MlsGroup::load(self.provider.storage(), &id)?;
        self.group.as_ref().map(|_| ()).ok_or_else(|| "not stored".into())
    }

    fn save(&mut self) -> Result<()> {
        Ok(())
    }

    fn watch_writes(&mut self) {
        self.watched = self.values(HashMap::clone);
    }

    fn written(&mut self) -> u64 {
        let watched = std::mem::take(&mut self.watched);
        self.values(|values| {
            let changed = values.iter().filter(|(key, value)| watched.get(*key) != Some(value));
            changed.map(|(_, value)| value.len() as u64).sum()
        })
    }

    fn stored(&mut self) -> u64 {
        self.values(|values| values.values().map(|value| value.len() as u64).sum())
    }

    fn discard_store(&mut self) {
        if self.group.is_some() {
            *self.provider.storage().values.write().unwrap_or_else(|e| e.into_inner()) =
                HashMap::new();
        }
    }

    fn epoch_authenticator(&mut self) -> Result<Vec<u8>> {
        let group = self.group.as_ref().ok_or("in no group")?;
        Ok(group.epoch_authenticator().as_slice().to_vec())
    }

    fn leaf(&self) -> u32 {
        self.group.as_ref().map_or(0, |group| group.own_leaf_index().u32())
    }
}

impl OpenMlsClient {
    fn values<T>(&self, f: impl FnOnce(&HashMap<Vec<u8>, Vec<u8>>) -> T) -> T {
        f(&self.provider.storage().values.read().unwrap_or_else(|e| e.into_inner()))
    }
}
