//! mls-rs, with its AWS-LC provider.

use crate::client::{Client, Commit, Result};
use mls_rs::client_builder::MlsConfig;
use mls_rs::group::{Group, GroupContext, ReceivedMessage, Roster};
use mls_rs::identity::SigningIdentity;
use mls_rs::identity::basic::{BasicCredential, BasicIdentityProvider};
use mls_rs::mls_rules::{
    CommitDirection, CommitOptions, CommitSource, EncryptionOptions, ProposalBundle,
};
use mls_rs::storage_provider::in_memory::InMemoryGroupStateStorage;
use mls_rs::{
    CipherSuite, CipherSuiteProvider, CryptoProvider, GroupStateStorage, MlsMessage, MlsRules,
};
use mls_rs_core::group::{EpochRecord, GroupState};
use mls_rs_crypto_awslc::AwsLcCryptoProvider;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use zeroize::Zeroizing;

const SUITE: CipherSuite = CipherSuite::CURVE25519_AES128;

/// mls-rs's store in memory, which counts what is written.
#[derive(Clone, Default)]
struct Storage {
    inner: InMemoryGroupStateStorage,
    written: Arc<AtomicU64>,
    state: Arc<AtomicU64>,
    discards: Arc<AtomicBool>,
}

impl GroupStateStorage for Storage {
    type Error = Infallible;

    fn state(
        &self,
        group_id: &[u8],
    ) -> std::result::Result<Option<Zeroizing<Vec<u8>>>, Infallible> {
        Ok(self.inner.state(group_id).ok().flatten())
    }

    fn epoch(
        &self,
        group_id: &[u8],
        epoch_id: u64,
    ) -> std::result::Result<Option<Zeroizing<Vec<u8>>>, Infallible> {
        Ok(self.inner.epoch(group_id, epoch_id).ok().flatten())
    }

    fn write(
        &mut self,
        state: GroupState,
        inserts: Vec<EpochRecord>,
        updates: Vec<EpochRecord>,
    ) -> std::result::Result<(), Infallible> {
        let epochs: usize = inserts.iter().chain(&updates).map(|epoch| epoch.data.len()).sum();
        self.written.fetch_add((state.data.len() + epochs) as u64, Relaxed);
        self.state.store(state.data.len() as u64, Relaxed);
        if self.discards.load(Relaxed) {
            return Ok(());
        }

        let _ = self.inner.write(state, inserts, updates);
        Ok(())
    }

    fn max_epoch_id(&self, group_id: &[u8]) -> std::result::Result<Option<u64>, Infallible> {
        Ok(self.inner.max_epoch_id(group_id).ok().flatten())
    }
}

/// mls-rs's default rules, with commits as all stacks make them and a switch for the ratchet tree.
#[derive(Clone, Default)]
struct Rules {
    tree_apart: Arc<AtomicBool>,
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
        Ok(CommitOptions::new()
            .with_path_required(true)
            .with_ratchet_tree_extension(!self.tree_apart.load(Relaxed))
            .with_single_welcome_message(true))
    }

    fn encryption_options(
        &self,
        _: &Roster,
        _: &GroupContext,
    ) -> std::result::Result<EncryptionOptions, Infallible> {
        Ok(EncryptionOptions::default())
    }
}

struct MlsRsClient<C: MlsConfig> {
    client: mls_rs::Client<C>,
    rules: Rules,
    storage: Storage,
    group: Option<Group<C>>,
    group_id: Vec<u8>,
    watched: u64,
}

pub fn client(name: &str) -> Result<Box<dyn Client>> {
    let crypto = AwsLcCryptoProvider::with_enabled_cipher_suites(vec![SUITE]);
    let suite = crypto.cipher_suite_provider(SUITE).ok_or("no such suite")?;
    let (secret, public) = suite.signature_key_generate().map_err(|e| format!("{e:?}"))?;

    let credential = BasicCredential::new(name.as_bytes().to_vec()).into_credential();
    let storage = Storage::default();
    let rules = Rules::default();
    let client = mls_rs::Client::builder()
        .identity_provider(BasicIdentityProvider)
        .crypto_provider(crypto)
        .group_state_storage(storage.clone())
        .mls_rules(rules.clone())
        .signing_identity(SigningIdentity::new(credential, public), secret, SUITE)
        .build();
    Ok(Box::new(MlsRsClient {
        client,
        rules,
        storage,
        group: None,
        group_id: Vec::new(),
        watched: 0,
    }))
}

impl<C: MlsConfig> MlsRsClient<C> {
    fn group(&mut self) -> Result<&mut Group<C>> {
        self.group.as_mut().ok_or_else(|| "in no group".into())
    }

    fn enter(&mut self, mut group: Group<C>) -> Result<()> {
        group.write_to_storage()?;
        self.group_id = group.group_id().to_vec();
        self.group = Some(group);
        Ok(())
    }
}

fn messages(output: mls_rs::group::CommitOutput) -> Result<Commit> {
    let welcome = output.welcome_messages().first().map(MlsMessage::to_bytes).transpose()?;
    Ok(Commit { commit: output.commit_message().to_bytes()?, welcome: welcome.unwrap_or_default() })
}

impl<C: MlsConfig> Client for MlsRsClient<C> {
    fn key_package(&mut self) -> Result<Vec<u8>> {
        let message = self.client.generate_key_package_message(
            Default::default(),
            Default::default(),
            None,
        )?;
        Ok(message.to_bytes()?)
    }

    fn create(&mut self, group_id: &[u8]) -> Result<()> {
        let id = group_id.to_vec();
        let group =
            self.client.create_group_with_id(id, Default::default(), Default::default(), None)?;
        self.enter(group)
    }

    fn tree_apart(&mut self, apart: bool) -> Result<()> {
        self.rules.tree_apart.store(apart, Relaxed);
        Ok(())
    }

    fn add(&mut self, key_packages: &[Vec<u8>]) -> Result<Commit> {
        let mut builder = self.group()?.commit_builder();
        for message in key_packages {
            builder = builder.add_member(MlsMessage::from_bytes(message)?)?;
        }
        messages(builder.build()?)
    }

    fn remove(&mut self, leaf: u32) -> Result<Commit> {
        messages(self.group()?.commit_builder().remove_member(leaf)?.build()?)
    }

    fn update(&mut self) -> Result<Commit> {
        messages(self.group()?.commit_builder().build()?)
    }

    fn accept(&mut self) -> Result<()> {
        let group = self.group()?;
        group.apply_pending_commit()?;
        Ok(group.write_to_storage()?)
    }

    fn join(&mut self, welcome: &[u8]) -> Result<()> {
        let welcome = MlsMessage::from_bytes(welcome)?;
        let (group, _) = self.client.join_group(None, &welcome, None)?;
        self.enter(group)
    }

    fn join_external(&mut self, group_info: &[u8]) -> Result<Vec<u8>> {
        let info = MlsMessage::from_bytes(group_info)?;
        let (group, commit) = self.client.external_commit_builder()?.build(info)?;
        self.enter(group)?;
        Ok(commit.to_bytes()?)
    }

    fn group_info(&mut self) -> Result<Vec<u8>> {
        Ok(self.group()?.group_info_message_allowing_ext_commit(true)?.to_bytes()?)
    }

    fn process(&mut self, commit: &[u8]) -> Result<()> {
        let group = self.group()?;
        match group.process_incoming_message(MlsMessage::from_bytes(commit)?)? {
            ReceivedMessage::Commit(_) => Ok(group.write_to_storage()?),
            _ => Err("no commit".into()),
        }
    }

    fn encrypt(&mut self, data: &[u8]) -> Result<Vec<u8>> {
        Ok(self.group()?.encrypt_application_message(data, Vec::new())?.to_bytes()?)
    }

    fn decrypt(&mut self, message: &[u8]) -> Result<Vec<u8>> {
        match self.group()?.process_incoming_message(MlsMessage::from_bytes(message)?)? {
            ReceivedMessage::ApplicationMessage(message) => Ok(message.data().to_vec()),
            _ => Err("no message".into()),
        }
    }

    fn reload(&mut self) -> Result<()> {
        self.group = None;
        self.group = Some(self.client.load_group(&self.group_id)?);
        Ok(())
    }

    fn save(&mut self) -> Result<()> {
        Ok(self.group()?.write_to_storage()?)
    }

    fn watch_writes(&mut self) {
        self.watched = self.storage.written.load(Relaxed);
    }

    fn written(&mut self) -> u64 {
        self.storage.written.load(Relaxed) - self.watched
    }

    fn stored(&mut self) -> u64 {
        let last = self.storage.max_epoch_id(&self.group_id).ok().flatten();
        let epochs = last.map_or(0..0, |last| last.saturating_sub(2)..last + 1);
        let epoch = |id| self.storage.epoch(&self.group_id, id).ok().flatten();
        let past: usize = epochs.filter_map(epoch).map(|data| data.len()).sum();
        self.storage.state.load(Relaxed) + past as u64
    }

    fn discard_store(&mut self) {
        self.storage.discards.store(true, Relaxed);
        self.storage.inner.delete_group(&self.group_id);
    }

    fn epoch_authenticator(&mut self) -> Result<Vec<u8>> {
        Ok(self.group()?.epoch_authenticator()?.as_bytes().to_vec())
    }

    fn leaf(&self) -> u32 {
        self.group.as_ref().map_or(0, Group::current_member_index)
    }
}
