//! Conclave, with its native provider.

use crate::client::{Client, Commit, Result};
use crate::{clock, rng};
use chacha20::ChaCha20Rng;
use conclave_mls::crypto::{CryptoProvider, PqSuite, Secret, Suite, Suites};
use conclave_mls::error::Error;
use conclave_mls::group::{
    Answers, CommitOptions, Framing, LeafIndex, NewGroup, NewProposal, Refused,
};
use conclave_mls::join::{ExternalJoinStage, GroupInfoOptions, WelcomeStage};
use conclave_mls::key_package::{OwnKeyPackage, ValidKeyPackage, key_package_from_message};
use conclave_mls::storage::{Batch, Outcome, RowKey};
use conclave_mls::{
    CipherSuite, Config, Credential, Event, Group, Identity, Received, Transition, Verdict, apply,
};
use conclave_provider_aws_lc::AwsLc;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::OnceLock;

static SUITE: OnceLock<CipherSuite> = OnceLock::new();

/// The suite of this run: 1, or the one that was chosen, which only Conclave runs.
pub fn suite() -> CipherSuite {
    *SUITE.get_or_init(|| CipherSuite(1))
}

/// Chooses the suite before anything runs: by its number, or by a part of a post-quantum suite's name.
pub fn choose_suite(name: &str) -> Result<CipherSuite> {
    let number = match name.strip_prefix("0x") {
        Some(digits) => u16::from_str_radix(digits, 16),
        None => name.parse(),
    };

    let named = PqSuite::ALL.into_iter().find(|suite| suite.name().contains(name));
    let suite = match (number, named) {
        (Ok(number), _) => Some(CipherSuite(number)),
        (Err(_), Some(named)) => Suites::CONCLAVE.code_point(named),
        (Err(_), None) => None,
    };

    let suite = suite.ok_or_else(|| format!("there is no suite {name}"))?;
    Suite::new(&provider(), suite)?;
    Ok(*SUITE.get_or_init(|| suite))
}

/// The default settings with a higher limit on the length of messages: the first commits of the largest
/// groups, whose trees are bare, are longer than most applications should accept.
fn config() -> Config {
    let mut config = Config::default();
    config.limits.message_bytes = 1 << 30;
    config
}

/// The provider, on all cores.
pub fn provider() -> AwsLc {
    AwsLc::new().with_suites(Suites::CONCLAVE)
}

/// A client with a fresh key pair, whose leaf lists this run's suite and basic credentials alone.
pub fn identity(
    provider: &dyn CryptoProvider,
    rng: &mut ChaCha20Rng,
    name: &str,
) -> Result<Identity> {
    Ok(Identity::generate(provider, rng, Credential::basic(name.as_bytes()), suite())?)
}

/// A key package with its private keys.
fn own_key_package(
    provider: &AwsLc,
    rng: &mut ChaCha20Rng,
    identity: &Identity,
) -> Result<OwnKeyPackage> {
    let params = identity.key_package_params(clock::lifetime()?);
    Ok(OwnKeyPackage::generate(provider, rng, params, identity.signer.clone())?)
}

/// Encoded key packages of as many clients, with these numbers in their names.
pub fn key_packages(numbers: std::ops::Range<usize>) -> Result<Vec<Vec<u8>>> {
    let provider = provider();
    let mut rng = rng::seeded(1);

    let mut encoded = Vec::with_capacity(numbers.len());
    for number in numbers {
        let identity = identity(&provider, &mut rng, &format!("member-{number:08}"))?;
        encoded.push(own_key_package(&provider, &mut rng, &identity)?.message()?);
    }
    Ok(encoded)
}

/// The error of a refused message. No benchmark goes on after one, so its key is not deleted.
fn refused(refused: Refused) -> Error {
    refused.error
}

/// Rows in memory, by epoch, so that deleting an epoch costs what it costs a store with an index.
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
    identity: Identity,
    key_packages: Vec<OwnKeyPackage>,
    group: Option<Group>,
    rows: Rows,
    /// The bytes that were written when watching began.
    watched: u64,
    tree_apart: bool,
}

impl ConclaveClient {
    pub fn new(name: &str) -> Result<Self> {
        let provider = provider();
        let mut rng = rng::of_name(name);
        let identity = identity(&provider, &mut rng, name)?;
        Ok(Self {
            provider,
            rng,
            identity,
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

    fn take<O: Outcome<Event>>(&mut self, step: Transition<Group, O>) -> Result<O> {
        let group = self.group.as_mut().ok_or("in no group")?;
        let rows = &mut self.rows;
        Ok(apply(group, step, |write| {
            rows.write(write.batch);
            Ok::<_, Infallible>(())
        })?)
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
        let step = group.commit(&self.provider, &mut self.rng, clock::now()?, options)?;
        let messages = self.take(step)?;

        let welcome = messages.welcomes.into_iter().next();
        let welcome = welcome.map(|welcome| welcome.message).unwrap_or_default();
        Ok(Commit { commit: messages.commit, welcome })
    }
}

impl Client for ConclaveClient {
    fn key_package(&mut self) -> Result<Vec<u8>> {
        let own = own_key_package(&self.provider, &mut self.rng, &self.identity)?;
        let message = own.message()?;
        self.key_packages.push(own);
        Ok(message)
    }

    fn create(&mut self, group_id: &[u8]) -> Result<()> {
        let params = self.identity.group_params(group_id.into(), clock::lifetime()?);
        let signer = self.identity.signer.clone();
        let new = Group::create(&self.provider, &mut self.rng, config(), params, signer)?;
        self.enter(new)
    }

    fn tree_apart(&mut self, apart: bool) -> Result<()> {
        self.tree_apart = apart;
        Ok(())
    }

    fn add(&mut self, key_packages: &[Vec<u8>]) -> Result<Commit> {
        let mut decoded = Vec::with_capacity(key_packages.len());
        for message in key_packages {
            decoded.push(key_package_from_message(message)?);
        }

        let checked =
            ValidKeyPackage::check_many(&self.provider, clock::now()?, &config(), decoded);
        let stages = checked.map_err(|(i, e)| format!("key package {i}: {e}"))?;

        let mut proposals = Vec::with_capacity(stages.len());
        for stage in stages {
            let valid = stage.resolve(Verdict::Accept)?;
            proposals.push(NewProposal::Add(Box::new(valid)));
        }

        self.commit(CommitOptions {
            proposals,
            force_path: true,
            welcome_ratchet_tree: !self.tree_apart,
            ..CommitOptions::default()
        })
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
        let step = group.commit_accepted(&self.provider, clock::now()?, &pending.id)?;
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
        let options = self.identity.external_join_options();
        let joined = stage.commit(&self.provider, &mut self.rng, &verdicts, options)?;
        self.enter(joined.group)?;
        Ok(joined.commit)
    }

    fn group_info(&mut self) -> Result<Vec<u8>> {
        let options = GroupInfoOptions { ratchet_tree: true, external_pub: true };
        Ok(self.group()?.group_info(&self.provider, options)?)
    }

    fn process(&mut self, commit: &[u8]) -> Result<()> {
        let now = clock::now()?;
        let group = self.group()?;
        let received = group.process(&self.provider, now, commit).map_err(refused)?;
        let Received::Commit(stage) = received else { return Err("no commit".into()) };

        let verdicts = vec![Verdict::Accept; stage.credentials().len()];
        let answers = Answers { verdicts, ..Answers::default() };
        let step = stage.resolve(group, &self.provider, now, &answers).map_err(refused)?;
        self.take(step)?;
        Ok(())
    }

    fn encrypt(&mut self, data: &[u8]) -> Result<Vec<u8>> {
        let group = self.group.as_ref().ok_or("in no group")?;
        let step = group.encrypt(&self.provider, &mut self.rng, data, &Framing::default())?;
        self.take(step)
    }

    fn decrypt(&mut self, message: &[u8]) -> Result<Vec<u8>> {
        let received = self.group()?.process(&self.provider, clock::now()?, message);
        match received.map_err(refused)? {
            Received::Application(step) => Ok(self.take(step)?.data),
            _ => Err("no message".into()),
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
