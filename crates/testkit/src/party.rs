//! Members of a group in one process, each with the rows that it has written, over the public
//! interface alone, for tests that say step by step what happens. (A
//! [`World`](crate::world::World) decides by itself.)
#![allow(clippy::panic, clippy::expect_used, clippy::indexing_slicing)]

use crate::SeededRng;
use conclave_crypto::{CryptoProvider, Secret, SignatureKeyPair, Suite, Suites};
use conclave_group::rows::{Batch, RowKey};
use conclave_group::{
    Answers, CommitId, CommitMessages, CommitOptions, Config, EpochChange, Error, Event,
    ExternalJoinOptions, ExternalJoinStage, Framing, Group, GroupInfoOptions, GroupParams,
    KeyPackageParams, LeafParams, LeafUpdate, NewGroup, NewProposal, Observer, ObserverEvent,
    ObserverStage, OwnKeyPackage, Received, Refused, Rejection, Transition, ValidKeyPackage,
    Verdict, WelcomeStage, WriteError, apply,
};
use conclave_provider_aws_lc::AwsLc;
use conclave_provider_rustcrypto::RustCrypto;
use conclave_wire::{
    CipherSuite, Credential, CustomProposal, ExtensionType, LeafIndex, Lifetime, ProposalType,
    PskType,
};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::LazyLock;

/// The time of all that happens.
pub const NOW: u64 = 1_700_000_000;
/// When key packages may be used.
pub const LIFETIME: Lifetime = Lifetime { not_before: NOW - 10, not_after: NOW + 1_000_000 };
/// The suite of tests that do not choose one: suite 1, or what `CONCLAVE_TEST_SUITE` says (in
/// hexadecimal digits, when this is compiled), so that they can be run in every other one.
pub const SUITE: CipherSuite = match option_env!("CONCLAVE_TEST_SUITE") {
    None => CipherSuite(1),
    Some(digits) => match u16::from_str_radix(digits, 16) {
        Ok(suite) => CipherSuite(suite),
        Err(_) => panic!("CONCLAVE_TEST_SUITE is not a suite's number in hexadecimal digits"),
    },
};
/// An extension type of private use that all members support.
pub const CUSTOM: ExtensionType = ExtensionType(0xf001);
/// Proposal types beyond RFC 9420's that all clients implement, each with a vector as its body.
pub const CUSTOM_PROPOSALS: [ProposalType; 4] =
    [ProposalType(0xf0f0), ProposalType(0xfafa), ProposalType(0x0a0b), ProposalType(0x7777)];
/// A GroupInfo that lets in whoever has it.
pub const ALL: GroupInfoOptions = GroupInfoOptions { ratchet_tree: true, external_pub: true };

/// The rows that a client has written.
pub type Rows = BTreeMap<RowKey, Secret>;

/// The provider of members that were not given another, with the post-quantum suites at Conclave's
/// code points, as both have here.
pub static PROVIDER: RustCrypto = RustCrypto::new().with_suites(Suites::CONCLAVE);

/// [`PROVIDER`], for tests that run with several.
#[must_use]
pub fn portable() -> &'static dyn CryptoProvider {
    &PROVIDER
}

/// The native provider, on one thread.
#[must_use]
pub fn native() -> &'static dyn CryptoProvider {
    static NATIVE: LazyLock<AwsLc> =
        LazyLock::new(|| AwsLc::with_threads(1).with_suites(Suites::CONCLAVE));
    &*NATIVE
}

/// The key of the first row that holds these bytes.
///
/// # Panics
/// If they are too few to be told from chance.
#[must_use]
pub fn row_with(rows: &Rows, bytes: &[u8]) -> Option<RowKey> {
    assert!(bytes.len() >= 12, "too short to be told from chance");
    let holds = |row: &Secret| row.expose().windows(bytes.len()).any(|window| window == bytes);
    rows.iter().find(|(_, row)| holds(row)).map(|(key, _)| *key)
}

/// What every client is set to, if nothing else is said.
#[must_use]
pub fn config() -> Config {
    let proposals = CUSTOM_PROPOSALS.map(CustomProposal::vector).into();
    Config { proposals, ..Config::default() }
}

/// An encrypted handshake message's framing.
#[must_use]
pub fn encrypted() -> Framing {
    Framing { encrypt: true, ..Framing::default() }
}

/// A leaf of a name that supports [`CUSTOM`].
#[must_use]
pub fn leaf_params(name: &str, suite: CipherSuite) -> LeafParams {
    let mut leaf = LeafParams::new(Credential::basic(name.as_bytes()), &[suite]);
    leaf.capabilities.extensions.push(CUSTOM);
    leaf
}

/// A signature key pair of a suite.
///
/// # Panics
/// If the provider does not have the suite.
#[must_use]
pub fn signer(suite: CipherSuite, seed: u64) -> SignatureKeyPair {
    let suite = Suite::new(&PROVIDER, suite).expect("a supported suite");
    suite.signature_key_pair(&mut SeededRng::from_u64(seed)).expect("a key pair")
}

/// The length of [`SUITE`]'s hashes, which PSK nonces have, too.
///
/// # Panics
/// If the provider does not have the suite.
#[must_use]
pub fn hash_len() -> usize {
    Suite::new(&PROVIDER, SUITE).expect("a supported suite").params().kdf.extract_len()
}

/// A key package of a leaf; the seed decides its keys.
///
/// # Panics
/// If the leaf breaks a rule.
#[must_use]
pub fn key_package_of(leaf: LeafParams, suite: CipherSuite, seed: u64) -> OwnKeyPackage {
    Setup::of(suite).key_package(leaf, seed)
}

/// A client's key package in [`SUITE`].
#[must_use]
pub fn key_package(name: &str, seed: u64) -> OwnKeyPackage {
    key_package_of(leaf_params(name, SUITE), SUITE, seed)
}

/// A proposal to add whoever made a key package.
///
/// # Panics
/// If the key package is not valid.
#[must_use]
pub fn add(own: &OwnKeyPackage) -> NewProposal {
    let kp = own.key_package().clone();
    let stage = ValidKeyPackage::check(&PROVIDER, NOW, &config(), kp);
    let valid = stage.expect("valid").resolve(Verdict::Accept).expect("accepted");
    NewProposal::Add(Box::new(valid))
}

/// A commit of proposals by value.
#[must_use]
pub fn commit_of(proposals: Vec<NewProposal>) -> CommitOptions {
    CommitOptions { proposals, ..CommitOptions::default() }
}

/// The name of the commit that waits for its verdict; of none if there is none.
#[must_use]
pub fn pending_id(group: &Group) -> CommitId {
    group.pending_commit().map(|messages| messages.id.clone()).unwrap_or_default()
}

/// A write that failed and left nothing behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotWritten;

impl WriteError for NotWritten {
    fn may_have_written(&self) -> bool {
        false
    }
}

/// The rule that an error says was broken.
///
/// # Panics
/// If it says something else.
#[must_use]
pub fn rejection(error: Error) -> Rejection {
    match error {
        Error::Rejected(rejection) => rejection,
        other => panic!("not a rejection: {other}"),
    }
}

/// What the members of a group have in common.
#[derive(Clone)]
pub struct Setup {
    /// The cipher suite.
    pub suite: CipherSuite,
    /// What they are set to.
    pub config: Config,
    /// What computes for them.
    pub provider: &'static dyn CryptoProvider,
}

// Each panics if what it names is not possible; that is what a test wants.
#[allow(clippy::missing_panics_doc)]
impl Setup {
    /// The usual settings, in a suite.
    #[must_use]
    pub fn of(suite: CipherSuite) -> Self {
        Self { suite, config: config(), provider: &PROVIDER }
    }

    /// A key package of a leaf; the seed decides its keys.
    #[must_use]
    pub fn key_package(&self, leaf: LeafParams, seed: u64) -> OwnKeyPackage {
        let params = KeyPackageParams::new(self.suite, leaf, LIFETIME);
        let mut rng = SeededRng::from_u64(seed).fork("key package");
        let signer = signer(self.suite, seed);
        OwnKeyPackage::generate(self.provider, &mut rng, params, signer).expect("valid")
    }

    /// The founder of a group named `a group`.
    #[must_use]
    pub fn found(&self, leaf: LeafParams) -> Peer {
        let params = GroupParams {
            group_id: b"a group".as_slice().into(),
            cipher_suite: self.suite,
            extensions: Vec::new(),
            leaf,
            lifetime: LIFETIME,
        };
        let (config, signer) = (self.config.clone(), signer(self.suite, 6));
        let rng = &mut SeededRng::from_u64(7);
        let new = Group::create(self.provider, rng, config, params, signer).expect("a group");
        Peer { provider: self.provider, ..Peer::settle(new, 7) }
    }

    /// Who joins by a Welcome that holds the tree, accepting all credentials.
    ///
    /// # Errors
    /// If the Welcome does not let it in.
    pub fn join(
        &self,
        welcome: &[u8],
        own: &OwnKeyPackage,
        psks: &[(PskType, Secret)],
        seed: u64,
    ) -> Result<Peer, Error> {
        let stage = WelcomeStage::open(self.provider, self.config.clone(), welcome, own)?;
        let join = stage.join(self.provider, psks, None, None)?;
        let verdicts = vec![Verdict::Accept; join.credentials().len()];
        let peer = Peer::settle(join.resolve(&verdicts)?, seed);
        Ok(Peer { provider: self.provider, psks: psks.to_vec(), ..peer })
    }

    /// Who joins by an external commit, with that commit.
    ///
    /// # Errors
    /// If the GroupInfo does not let it in.
    pub fn join_from_outside(
        &self,
        info: &[u8],
        leaf: LeafParams,
        removes: Option<LeafIndex>,
        seed: u64,
    ) -> Result<(Peer, Vec<u8>), Error> {
        let stage = ExternalJoinStage::open(self.provider, self.config.clone(), info, None)?;
        let verdicts = vec![Verdict::Accept; stage.credentials().len()];
        let signer = signer(stage.context().cipher_suite, seed);
        let options = ExternalJoinOptions { removes, ..ExternalJoinOptions::new(leaf, signer) };
        let mut rng = SeededRng::from_u64(seed).fork("external");
        let made = stage.commit(self.provider, &mut rng, &verdicts, options)?;
        let peer = Peer::settle(made.group, seed);
        Ok((Peer { provider: self.provider, ..peer }, made.commit))
    }

    /// A group of members of these leaves, each at the leaf of its place.
    #[must_use]
    pub fn group(&self, leaves: Vec<LeafParams>) -> Vec<Peer> {
        let mut leaves = leaves.into_iter();
        let mut peers = vec![self.found(leaves.next().expect("a founder"))];
        let owns: Vec<OwnKeyPackage> =
            leaves.zip(100..).map(|(leaf, seed)| self.key_package(leaf, seed)).collect();
        if owns.is_empty() {
            return peers;
        }
        let adds = owns.iter().map(add).collect();
        let messages = peers[0].commit(commit_of(adds)).expect("a commit");
        peers[0].accepted();
        let welcome = &messages.welcomes[0].message;
        for (own, seed) in owns.iter().zip(2..) {
            peers.push(self.join(welcome, own, &[], seed).expect("joins"));
        }
        agree(&peers);
        peers
    }

    /// A group of so many members.
    #[must_use]
    pub fn members(&self, n: usize) -> Vec<Peer> {
        self.group((0..n).map(|i| leaf_params(&format!("member {i}"), self.suite)).collect())
    }
}

fn stored(rows: &mut Rows, batch: &Batch) -> Result<(), Infallible> {
    batch.apply_to(rows);
    Ok(())
}

/// A member with what it has stored.
pub struct Peer {
    /// The member's state.
    pub group: Group,
    /// What it has written.
    pub rows: Rows,
    /// Where its randomness comes from.
    pub rng: SeededRng,
    /// The PSKs that it knows.
    pub psks: Vec<(PskType, Secret)>,
    /// What computes for it.
    pub provider: &'static dyn CryptoProvider,
}

impl std::fmt::Debug for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Peer({:?})", self.group)
    }
}

// Each panics if what it names is not possible; that is what a test wants.
#[allow(clippy::missing_panics_doc)]
impl Peer {
    /// A member whose group has just come into being.
    #[must_use]
    pub fn settle(new: NewGroup, seed: u64) -> Self {
        let mut rows = Rows::new();
        let Ok(group) = new.store(|batch| stored(&mut rows, batch));
        let rng = SeededRng::from_u64(seed).fork("peer");
        Self { group, rows, rng, psks: Vec::new(), provider: &PROVIDER }
    }

    /// Who joins by a Welcome that holds the tree, with the usual settings.
    ///
    /// # Errors
    /// If the Welcome does not let it in.
    pub fn join(welcome: &[u8], own: &OwnKeyPackage, seed: u64) -> Result<Self, Error> {
        Setup::of(own.key_package().cipher_suite).join(welcome, own, &[], seed)
    }

    /// Who joins by an external commit, with the usual settings; with that commit.
    ///
    /// # Errors
    /// If the GroupInfo does not let it in.
    pub fn join_from_outside(
        info: &[u8],
        leaf: LeafParams,
        removes: Option<LeafIndex>,
        seed: u64,
    ) -> Result<(Self, Vec<u8>), Error> {
        Setup::of(SUITE).join_from_outside(info, leaf, removes, seed)
    }

    /// Applies a step and writes its rows; what is stored must then be what the state is.
    pub fn take(&mut self, step: Transition<Group>) -> Event {
        let rows = &mut self.rows;
        let event = apply(&mut self.group, step, |write| stored(rows, write.batch)).expect("fresh");
        self.check();
        event
    }

    /// All rows of the state as it is.
    #[must_use]
    pub fn all_rows(&self) -> Rows {
        let mut rows = Rows::new();
        self.group.rows().expect("rows").apply_to(&mut rows);
        rows
    }

    /// Its suite, with its provider.
    #[must_use]
    pub fn suite(&self) -> Suite<'static> {
        Suite::new(self.provider, self.group.cipher_suite()).expect("supported")
    }

    /// That what is stored is what the state is, and what is cached what can be computed.
    pub fn check(&self) {
        assert_eq!(self.all_rows(), self.rows);
        self.group.tree().check_caches(&self.suite()).expect("cached values are right");
    }

    /// Forgets the group in memory and loads it from its rows.
    pub fn reload(&mut self) {
        self.group = self.load(&self.rows).expect("rows load");
        self.check();
    }

    /// A group from rows, as this member would load it.
    ///
    /// # Errors
    /// If the rows do not fit together.
    pub fn load(&self, rows: &Rows) -> Result<Group, Error> {
        Group::load(self.provider, self.group.config().clone(), rows.clone())
    }

    /// Who has copied this member's rows, and its PSKs, as they are now.
    #[must_use]
    pub fn thief(&self) -> Self {
        Self {
            group: self.load(&self.rows).expect("rows load"),
            rows: self.rows.clone(),
            rng: self.rng.fork("thief"),
            psks: self.psks.clone(),
            provider: self.provider,
        }
    }

    /// Another credential and signature key for its leaf.
    pub fn new_leaf(&mut self, name: &str) -> LeafUpdate {
        let suite = self.group.cipher_suite();
        let signer = signer(suite, self.rng.below(u64::MAX));
        LeafUpdate { params: leaf_params(name, suite), signer }
    }

    /// Makes a commit, which is then pending. The PSKs that it knows need not be given.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn commit(&mut self, mut options: CommitOptions) -> Result<CommitMessages, Error> {
        options.psks.extend(self.psks.iter().cloned());
        let step = self.group.commit(self.provider, &mut self.rng, NOW, options)?;
        let Event::Commit(messages) = self.take(step) else { panic!("no commit") };
        Ok(messages)
    }

    /// Goes into the epoch of the pending commit.
    pub fn accepted(&mut self) -> EpochChange {
        let step = self
            .group
            .commit_accepted(self.provider, NOW, &pending_id(&self.group))
            .expect("pending");
        let Event::Epoch(change) = self.take(step) else { panic!("no epoch") };
        change
    }

    /// Gives the pending commit up.
    pub fn rejected(&mut self) {
        let step = self.group.commit_rejected(&pending_id(&self.group)).expect("pending");
        self.take(step);
    }

    /// Makes a proposal.
    pub fn propose(&mut self, proposal: NewProposal, framing: &Framing) -> Vec<u8> {
        let step = self.group.propose(self.provider, &mut self.rng, NOW, proposal, framing);
        let Event::Proposal { message, .. } = self.take(step.expect("a proposal")) else {
            panic!("no proposal")
        };
        message
    }

    /// Proposes to renew the own leaf.
    pub fn propose_update(&mut self, change: Option<LeafUpdate>, framing: &Framing) -> Vec<u8> {
        let step = self.group.propose_update(self.provider, &mut self.rng, change, framing);
        let Event::Proposal { message, .. } = self.take(step.expect("an Update")) else {
            panic!("no proposal")
        };
        message
    }

    /// Encrypts data.
    pub fn say(&mut self, data: &[u8]) -> Vec<u8> {
        let framing = Framing::default();
        let step = self.group.encrypt(self.provider, &mut self.rng, data, &framing);
        let Event::Message(message) = self.take(step.expect("a message")) else {
            panic!("no message")
        };
        message
    }

    /// A GroupInfo with all that joining takes.
    #[must_use]
    pub fn group_info(&self) -> Vec<u8> {
        self.group.group_info(self.provider, ALL).expect("a GroupInfo")
    }

    /// What a message leads to at a time if all credentials are accepted; nothing if it is known.
    ///
    /// # Errors
    /// If it is refused.
    pub fn process_at(
        &self,
        now: u64,
        message: &[u8],
    ) -> Result<Option<Transition<Group>>, Refused> {
        process(&self.group, self.provider, now, message, &self.psks)
    }

    /// The same now.
    ///
    /// # Errors
    /// If it is refused.
    pub fn process(&self, message: &[u8]) -> Result<Option<Transition<Group>>, Refused> {
        self.process_at(NOW, message)
    }

    /// Processes a message that must be good, and takes the step.
    pub fn receive(&mut self, message: &[u8]) -> Event {
        let step = self.process_at(NOW, message).expect("accepted").expect("new");
        self.take(step)
    }

    /// Processes a message that must be application data.
    pub fn reads(&mut self, message: &[u8]) -> conclave_group::ApplicationMessage {
        let Event::Application(message) = self.receive(message) else { panic!("no data") };
        message
    }

    /// Processes a message that must be refused, and sees to it that nothing has changed.
    #[must_use]
    pub fn refuses(&self, message: &[u8]) -> Refused {
        let refused = match self.process_at(NOW, message) {
            Err(refused) => refused,
            Ok(step) => panic!("it led to {step:?}"),
        };
        assert_eq!(self.all_rows(), self.rows);
        refused
    }
}

/// What a message leads to in a group if all credentials are accepted; nothing if it is known.
///
/// # Errors
/// If it is refused.
pub fn process(
    group: &Group,
    provider: &dyn CryptoProvider,
    now: u64,
    message: &[u8],
    psks: &[(PskType, Secret)],
) -> Result<Option<Transition<Group>>, Refused> {
    Ok(Some(match group.process(provider, now, message)? {
        Received::Application(step) | Received::OwnCommit(step) => step,
        Received::Proposal(stage) => {
            let verdicts = vec![Verdict::Accept; stage.credentials().len()];
            stage.resolve(group, &verdicts)?
        }
        Received::Commit(stage) => {
            let verdicts = vec![Verdict::Accept; stage.credentials().len()];
            let answers = Answers { verdicts, psks: psks.to_vec() };
            stage.resolve(group, provider, now, &answers)?
        }
        Received::Known => return Ok(None),
    }))
}

/// A group of members of these leaves, each at the leaf of its place.
///
/// # Panics
/// If it cannot be made.
#[must_use]
pub fn group_of_leaves(leaves: Vec<LeafParams>, suite: CipherSuite) -> Vec<Peer> {
    Setup::of(suite).group(leaves)
}

/// A group of members of these names in a suite.
#[must_use]
pub fn group_in(suite: CipherSuite, names: &[&str]) -> Vec<Peer> {
    group_of_leaves(names.iter().map(|name| leaf_params(name, suite)).collect(), suite)
}

/// A group of members of these names in [`SUITE`].
#[must_use]
pub fn group_of(names: &[&str]) -> Vec<Peer> {
    group_in(SUITE, names)
}

/// That everybody is in the same epoch, with the same tree.
///
/// # Panics
/// If not.
pub fn agree(peers: &[Peer]) {
    for pair in peers.windows(2) {
        let what = |peer: &Peer| {
            let authenticator = peer.group.epoch_authenticator().expect("a member").clone();
            (authenticator, peer.group.tree().tree_hash().to_vec())
        };
        assert_eq!(what(&pair[0]), what(&pair[1]));
    }
}

/// Delivers a message to all but one, as the delivery service does: who is removed by it is out.
pub fn deliver(peers: &mut [Peer], from: usize, message: &[u8]) {
    for (_, peer) in peers.iter_mut().enumerate().filter(|(place, _)| *place != from) {
        if let Event::Removal(_) = peer.receive(message) {
            let deletion = peer.group.delete().expect("a member");
            peer.take(deletion);
        }
    }
}

/// One commits and all follow.
///
/// # Panics
/// If somebody does not.
pub fn commits(peers: &mut [Peer], who: usize, options: CommitOptions) -> CommitMessages {
    let messages = peers[who].commit(options).expect("a commit");
    deliver(peers, who, &messages.commit);
    peers[who].accepted();
    messages
}

/// An observer of a group.
///
/// # Panics
/// If the GroupInfo is not valid.
#[must_use]
pub fn watch(info: &[u8]) -> Observer {
    let stage = ObserverStage::open(&PROVIDER, config(), info, None).expect("an observer");
    let verdicts = vec![Verdict::Accept; stage.credentials().len()];
    stage.resolve(&verdicts).expect("accepted")
}

/// What an observer makes of a public message, all credentials accepted.
///
/// # Errors
/// If it refuses it.
pub fn observe(observer: &mut Observer, message: &[u8]) -> Result<ObserverEvent, Error> {
    let stage = observer.process(&PROVIDER, message)?;
    let verdicts = vec![Verdict::Accept; stage.credentials().len()];
    let step = stage.resolve(observer, &PROVIDER, &verdicts)?;
    Ok(apply(observer, step, |_| Ok::<_, Infallible>(())).expect("fresh"))
}
