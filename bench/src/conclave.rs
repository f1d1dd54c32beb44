//! Conclave, with its native provider.

use crate::client::{Client, Commit, Result};
use crate::rng;
use chacha20::ChaCha20Rng;
use conclave_mls::crypto::{CryptoProvider, PqSuite, Secret, SignatureKeyPair, Suite, Suites};
use conclave_mls::rows::{Batch, RowKey};
use conclave_mls::wire::{Decode, Encode, MlsMessage, MlsMessageBody};
use conclave_mls::{
    Answers, Capabilities, CipherSuite, CommitMessages, CommitOptions, Config, Credential,
    CredentialType, Event, ExternalJoinOptions, ExternalJoinStage, Framing, Group,
    GroupInfoOptions, GroupParams, KeyPackageParams, LeafIndex, LeafParams, Lifetime, NewGroup,
    NewProposal, OwnKeyPackage, ProtocolVersion, Received, Transition, ValidKeyPackage, Verdict,
    WelcomeStage, apply,
};
use conclave_provider_aws_lc::AwsLc;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

static SUITE: OnceLock<CipherSuite> = OnceLock::new();

/// The suite of this run: 1 unless another was chosen, in which only Conclave runs.
pub fn suite() -> CipherSuite {
    *SUITE.get_or_init(|| CipherSuite(1))
}

/// Chooses the suite, by its number or by the name of a post-quantum one or a part of it, before
/// anything runs.
pub fn choose_suite(name: &str) -> Result<CipherSuite> {
    let number =
        name.strip_prefix("0x").map_or_else(|| name.parse(), |n| u16::from_str_radix(n, 16));
    let named = PqSuite::ALL.into_iter().find(|suite| suite.name().contains(name));
    let suite = match (number, named) {
        (Ok(number), _) => Some(CipherSuite(number)),
        (_, Some(named)) => Suites::CONCLAVE.code_point(named),
        _ => None,
    };
    let suite = suite.ok_or_else(|| format!("there is no suite {name}"))?;
    Suite::new(&provider(), suite)?;
    Ok(*SUITE.get_or_init(|| suite))
}

/// The default settings, but for the length of messages: the first commits of the largest groups,
/// whose trees are bare, are longer than most applications should take.
fn config() -> Config {
    let mut config = Config::default();
    config.limits.message_bytes = 1 << 30;
    config
}

/// The provider, on all cores.
pub fn provider() -> AwsLc {
    AwsLc::new().with_suites(Suites::CONCLAVE)
}

pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |t| t.as_secs())
}

pub fn lifetime() -> Lifetime {
    let now = now();
    Lifetime { not_before: now - 3600, not_after: now + 80 * 24 * 3600 }
}

pub fn leaf_params(name: &str) -> LeafParams {
    LeafParams {
        credential: Credential::basic(name.as_bytes()),
        capabilities: Capabilities {
            versions: vec![ProtocolVersion::MLS10],
            cipher_suites: vec![suite()],
            extensions: Vec::new(),
            proposals: Vec::new(),
            credentials: vec![CredentialType::BASIC],
        },
        extensions: Vec::new(),
    }
}

/// A key package as an MLSMessage, with its private keys.
pub fn key_package(
    provider: &AwsLc,
    rng: &mut ChaCha20Rng,
    name: &str,
) -> Result<(OwnKeyPackage, Vec<u8>)> {
    let suite = Suite::new(provider, suite())?;
    let signer = provider.signature_key_pair(suite.params().signature, rng)?;
    let params = KeyPackageParams {
        cipher_suite: self::suite(),
        leaf: leaf_params(name),
        lifetime: lifetime(),
        extensions: Vec::new(),
        last_resort: false,
    };
    let own = OwnKeyPackage::generate(provider, rng, params, signer)?;
    let body = MlsMessageBody::KeyPackage(Box::new(own.key_package().clone()));
    let message = MlsMessage::from(body).to_bytes()?;
    Ok((own, message))
}

/// Rows in memory, by epoch, so that an epoch is deleted as by the index of a real store.
#[derive(Default)]
struct Rows {
    by_epoch: BTreeMap<u64, BTreeMap<RowKey, Secret>>,
    written: u64,
    discards: bool,
}

impl Rows {
    fn write(&mut self, batch: &Batch) {
        self.written += batch.bytes() as u64;
        if self.discards {
            return;
        }
        if batch.clear {
            self.by_epoch.clear();
        }
        for epoch in &batch.deleted_epochs {
            self.by_epoch.remove(epoch);
        }
        for (key, value) in &batch.rows {
            let rows = self.by_epoch.entry(key.epoch).or_default();
            match value {
                Some(value) => rows.insert(*key, value.clone()),
                None => rows.remove(key),
            };
        }
    }
}

pub struct ConclaveClient {
    provider: AwsLc,
    rng: ChaCha20Rng,
    name: String,
    signer: SignatureKeyPair,
    key_packages: Vec<OwnKeyPackage>,
    group: Option<Group>,
    rows: Rows,
    watched: u64,
    tree_apart: bool,
}

impl ConclaveClient {
    pub fn new(name: &str) -> Result<Self> {
        let provider = provider();
        let mut rng = rng::of_name(name);
        let suite = Suite::new(&provider, suite())?;
        let signer = provider.signature_key_pair(suite.params().signature, &mut rng)?;
        Ok(Self {
            provider,
            rng,
            name: name.into(),
            signer,
            key_packages: Vec::new(),
            group: None,
            rows: Rows::default(),
            watched: 0,
            tree_apart: false,
        })
    }

    fn group(&self) -> Result<&Group> {
        self.group.as_ref().ok_or_else(|| "in no group".into())
    }

    fn take(&mut self, step: Transition<Group>) -> Result<Event> {
        let group = self.group.as_mut().ok_or("in no group")?;
        let rows = &mut self.rows;
        let event = apply(group, step, |write| {
            rows.write(write.batch);
            Ok::<_, Infallible>(())
        });
        Ok(event.map_err(|e| format!("{e:?}"))?)
    }

    fn enter(&mut self, new: NewGroup) -> Result<()> {
        let rows = &mut self.rows;
        self.group = Some(new.store(|batch| {
            rows.write(batch);
            Ok::<_, Infallible>(())
        })?);
        Ok(())
    }

    fn commit(&mut self, options: CommitOptions) -> Result<Commit> {
        let group = self.group.as_ref().ok_or("in no group")?;
        let step = group.commit(&self.provider, &mut self.rng, now(), options)?;
        match self.take(step)? {
            Event::Commit(CommitMessages { commit, welcomes, .. }) => {
                let welcome = welcomes.into_iter().next().map(|w| w.message).unwrap_or_default();
                Ok(Commit { commit, welcome })
            }
            other => Err(format!("{other:?}").into()),
        }
    }
}

impl Client for ConclaveClient {
    fn key_package(&mut self) -> Result<Vec<u8>> {
        let (own, message) = key_package(&self.provider, &mut self.rng, &self.name)?;
        self.key_packages.push(own);
        Ok(message)
    }

    fn create(&mut self, group_id: &[u8]) -> Result<()> {
        let params = GroupParams {
            group_id: group_id.into(),
            cipher_suite: suite(),
            extensions: Vec::new(),
            leaf: leaf_params(&self.name),
            lifetime: lifetime(),
        };
        let signer = self.signer.clone();
        let config = config();
        let new = Group::create(&self.provider, &mut self.rng, config, params, signer)?;
        self.enter(new)
    }

    fn tree_apart(&mut self, apart: bool) -> Result<()> {
        self.tree_apart = apart;
        Ok(())
    }

    fn add(&mut self, key_packages: &[Vec<u8>]) -> Result<Commit> {
        let (now, config) = (now(), config());
        let mut decoded = Vec::with_capacity(key_packages.len());
        for message in key_packages {
            let MlsMessageBody::KeyPackage(kp) = MlsMessage::from_bytes(message)?.body else {
                return Err("no key package".into());
            };
            decoded.push(*kp);
        }
        let stages = ValidKeyPackage::check_many(&self.provider, now, &config, decoded);
        let mut proposals = Vec::with_capacity(key_packages.len());
        for stage in stages.map_err(|(i, e)| format!("key package {i}: {e}"))? {
            let valid = stage.resolve(Verdict::Accept)?;
            proposals.push(NewProposal::Add(Box::new(valid)));
        }
        let welcome_ratchet_tree = !self.tree_apart;
        let options = CommitOptions::default();
        self.commit(CommitOptions { proposals, force_path: true, welcome_ratchet_tree, ..options })
    }

    fn remove(&mut self, leaf: u32) -> Result<Commit> {
        let proposals = vec![NewProposal::Remove(LeafIndex(leaf))];
        self.commit(CommitOptions { proposals, ..CommitOptions::default() })
    }

    fn update(&mut self) -> Result<Commit> {
        self.commit(CommitOptions { force_path: true, ..CommitOptions::default() })
    }

    fn accept(&mut self) -> Result<()> {
        let group = self.group()?;
        let pending = group.pending_commit().ok_or("no commit is pending")?;
        let step = group.commit_accepted(&self.provider, now(), &pending.id)?;
        self.take(step)?;
        Ok(())
    }

    fn join(&mut self, welcome: &[u8]) -> Result<()> {
        let own = self.key_packages.pop().ok_or("no key package")?;
        let stage = WelcomeStage::open(&self.provider, config(), welcome, &own)?;
        let join = stage.join(&self.provider, &[], None, None)?;
        let verdicts = vec![Verdict::Accept; join.credentials().len()];
        let new = join.resolve(&verdicts)?;
        self.enter(new)
    }

    fn join_external(&mut self, group_info: &[u8]) -> Result<Vec<u8>> {
        let stage = ExternalJoinStage::open(&self.provider, config(), group_info, None)?;
        let verdicts = vec![Verdict::Accept; stage.credentials().len()];
        let options = ExternalJoinOptions {
            leaf: leaf_params(&self.name),
            signer: self.signer.clone(),
            removes: None,
            psks: Vec::new(),
            authenticated_data: Vec::new(),
            group_info: None,
        };
        let joined = stage.commit(&self.provider, &mut self.rng, &verdicts, options)?;
        self.enter(joined.group)?;
        Ok(joined.commit)
    }

    fn group_info(&mut self) -> Result<Vec<u8>> {
        let options = GroupInfoOptions { ratchet_tree: true, external_pub: true };
        Ok(self.group()?.group_info(&self.provider, options)?)
    }

    fn process(&mut self, commit: &[u8]) -> Result<()> {
        let now = now();
        let group = self.group()?;
        let Received::Commit(stage) = group.process(&self.provider, now, commit)? else {
            return Err("no commit".into());
        };
        let verdicts = vec![Verdict::Accept; stage.credentials().len()];
        let answers = Answers { verdicts, psks: Vec::new() };
        let step = stage.resolve(group, &self.provider, now, &answers)?;
        self.take(step)?;
        Ok(())
    }

    fn encrypt(&mut self, data: &[u8]) -> Result<Vec<u8>> {
        let group = self.group.as_ref().ok_or("in no group")?;
        let step = group.encrypt(&self.provider, &mut self.rng, data, &Framing::default())?;
        match self.take(step)? {
            Event::Message(message) => Ok(message),
            other => Err(format!("{other:?}").into()),
        }
    }

    fn decrypt(&mut self, message: &[u8]) -> Result<Vec<u8>> {
        let received = self.group()?.process(&self.provider, now(), message)?;
        let Received::Application(step) = received else { return Err("no message".into()) };
        match self.take(step)? {
            Event::Application(message) => Ok(message.data),
            other => Err(format!("{other:?}").into()),
        }
    }

    fn reload(&mut self) -> Result<()> {
        self.group = None;
        let rows = self.rows.by_epoch.values().flatten();
        let rows = rows.map(|(key, value)| (*key, value.clone()));
        self.group = Some(Group::load(&self.provider, config(), rows)?);
        Ok(())
    }

    fn save(&mut self) -> Result<()> {
        Ok(())
    }

    fn watch_writes(&mut self) {
        self.watched = self.rows.written;
    }

    fn written(&mut self) -> u64 {
        self.rows.written - self.watched
    }

    fn stored(&mut self) -> u64 {
        self.rows.by_epoch.values().flatten().map(|(_, value)| value.len() as u64).sum()
    }

    fn discard_store(&mut self) {
        self.rows = Rows { discards: true, ..Rows::default() };
    }

    fn epoch_authenticator(&mut self) -> Result<Vec<u8>> {
        Ok(self.group()?.epoch_authenticator()?.as_secret().expose().to_vec())
    }

    fn leaf(&self) -> u32 {
        self.group.as_ref().map_or(0, |group| group.own_leaf().0)
    }
}
