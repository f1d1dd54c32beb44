//! A simulated world: clients, groups and a delivery service in one process, driven by a seed.
//!
//! A [`World`] takes random steps (everything that RFC 9420 lets a group do, messages late,
//! reordered and duplicated, clients reloaded from their stored rows) and after each step checks
//! what must hold:
//!
//! * all members agree on epoch authenticator, tree hash and an exported secret;
//! * the observer agrees on the tree hash;
//! * cached hashes and indices equal recomputed ones;
//! * the rows that a client's batches add up to are those of its state, reloaded or not;
//! * a message that is refused changes neither state nor rows.
//!
//! What does not hold is a panic whose message names the seed and the step.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use crate::SeededRng;
use conclave_crypto::{CryptoProvider, HpkePrivateKey, Secret, SignatureKeyPair, Suite};
use conclave_group::rows::{Batch, RowKey, Table};
use conclave_group::{
    Answers, CommitMessages, CommitOptions, Config, Error, Event, ExternalJoinOptions,
    ExternalJoinStage, ExternalTarget, Framing, Group, GroupInfoOptions, GroupParams,
    KeyPackageParams, LeafParams, LeafUpdate, Misuse, NewGroup, NewProposal, Observer,
    ObserverStage, OwnKeyPackage, Padding, Received, Rejection, Status, Transition,
    ValidKeyPackage, Verdict, WelcomeStage, apply,
};
use conclave_provider_aws_lc::AwsLc;
use conclave_provider_rustcrypto::RustCrypto;
use conclave_schedule::RatchetError;
use conclave_tree::TreeRead;
use conclave_wire::{
    CipherSuite, Credential, CredentialType, Extension, ExtensionType, ExternalSender, GroupId,
    LeafIndex, Lifetime, NodeIndex, Proposal, ProtocolVersion, PskType, ReInit,
    RequiredCapabilities,
};
use rand_core::Rng;
use std::collections::BTreeMap;
use std::convert::Infallible;

/// An extension type of private use that all clients here support.
const CUSTOM_EXTENSION: ExtensionType = ExtensionType(0xf001);
const START: u64 = 1_700_000_000;

/// The rows that a client has written.
type Rows = BTreeMap<RowKey, Secret>;

/// A message that has not been delivered to somebody yet.
struct Held {
    epoch: u64,
    message: Vec<u8>,
    data: Vec<u8>,
    sender: LeafIndex,
}

struct Peer {
    name: String,
    provider: Box<dyn CryptoProvider>,
    group: Group,
    rows: Rows,
    held: Vec<Held>,
}

struct Watcher {
    observer: Observer,
    rows: Rows,
}

/// How a world is to be.
#[derive(Clone, Copy, Debug)]
pub struct WorldParams {
    /// Decides everything that happens.
    pub seed: u64,
    /// The cipher suite of the first group.
    pub cipher_suite: CipherSuite,
    /// At most this many members.
    pub max_members: usize,
    /// Whether handshake messages are encrypted, so that no observer can follow.
    pub encrypt: bool,
}

/// How often each kind of step was taken.
pub type Counts = BTreeMap<&'static str, u64>;

/// A group with its members, what is under way to them, and an observer.
pub struct World {
    params: WorldParams,
    rng: SeededRng,
    suite: CipherSuite,
    now: u64,
    step: u64,
    clients: u64,
    config: Config,
    peers: Vec<Peer>,
    watcher: Option<Watcher>,
    external: Option<SignatureKeyPair>,
    psks: BTreeMap<Vec<u8>, Secret>,
    counts: Counts,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "World {{ {:?}, step {}, {} members }}", self.params, self.step, self.peers.len())
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            use std::io::Write;
            let _ = writeln!(std::io::stderr(), "this happened in {self:?}");
        }
    }
}

fn provider_for(suite: CipherSuite, coin: bool) -> Box<dyn CryptoProvider> {
    let native = AwsLc::with_threads(1);
    match coin && native.suite(suite).is_some() {
        true => Box::new(native),
        false => Box::new(RustCrypto::new()),
    }
}

fn stored(rows: &mut Rows, batch: &Batch) -> Result<(), Infallible> {
    batch.apply_to(rows);
    Ok(())
}

impl Peer {
    fn take(&mut self, step: Transition<Group>) -> Event {
        let rows = &mut self.rows;
        apply(&mut self.group, step, |write| stored(rows, write.batch)).expect("fits its state")
    }

    /// Forgets the group in memory and loads it from the rows.
    fn reload(&mut self) {
        let rows = self.rows.iter().map(|(key, value)| (*key, value.clone()));
        let config = Config { past_epochs: 3, ..Config::default() };
        self.group = Group::load(&*self.provider, config, rows).expect("stored rows load");
    }

    fn check(&self) {
        let mut full = Rows::new();
        self.group.rows().expect("a state has rows").apply_to(&mut full);
        for (key, row) in &full {
            assert_eq!(self.rows.get(key), Some(row), "{}: stored {key:?} differs", self.name);
        }
        assert_eq!(full.len(), self.rows.len(), "{}: surplus rows are stored", self.name);
        let suite = Suite::new(&*self.provider, self.group.cipher_suite()).expect("supported");
        self.group.tree().check_caches(&suite).expect("cached values equal recomputed ones");
    }

    /// The tree invariant (section 4.2): the stored private keys are those of nodes above the own
    /// leaf, and belong to the public keys there. Past epochs are within their limit.
    fn check_secrets(&self, config: &Config) {
        let suite = Suite::new(&*self.provider, self.group.cipher_suite()).expect("supported");
        let tree = self.group.tree();
        let own = self.group.own_leaf().node();
        let mut past = 0;
        for (key, row) in &self.rows {
            match key.table {
                Table::PrivateKey => {
                    let node = NodeIndex(key.index as u32);
                    assert!(node.covers(own), "{}: knows the key of {node}", self.name);
                    let public = suite.hpke_public_key(&HpkePrivateKey(row.clone())).ok();
                    assert_eq!(public, tree.encryption_key(node), "{}: {node}", self.name);
                }
                Table::PastEpoch => past += 1,
                _ => {}
            }
        }
        assert!(past <= config.past_epochs, "{}: {past} past epochs are kept", self.name);
    }

    /// Receives a message that must not be refused.
    fn receive(&mut self, now: u64, message: &[u8], psks: &[(PskType, Secret)]) -> Option<Event> {
        let provider = &*self.provider;
        let received = self.group.process(provider, now, message);
        let step = match received.unwrap_or_else(|e| panic!("{}: {e}", self.name)) {
            Received::Application(step) | Received::OwnCommit(step) => step,
            Received::Proposal(stage) => {
                let verdicts = vec![Verdict::Accept; stage.credentials().len()];
                let step = stage.resolve(&self.group, provider, &verdicts);
                step.unwrap_or_else(|e| panic!("{}: {e}", self.name))
            }
            Received::Commit(stage) => {
                let verdicts = vec![Verdict::Accept; stage.credentials().len()];
                let answers = Answers { verdicts, psks: psks.to_vec() };
                let step = stage.resolve(&self.group, provider, now, &answers);
                step.unwrap_or_else(|e| panic!("{}: {e}", self.name))
            }
            Received::Known => return None,
        };
        Some(self.take(step))
    }

    /// Receives a second copy of a handshake message: known if it is public, else its key is gone.
    fn receive_again(&mut self, now: u64, message: &[u8]) {
        match self.group.process(&*self.provider, now, message) {
            Ok(Received::Known) => {}
            Err(refused) => {
                let gone =
                    Rejection::Ratchet(RatchetError::KeyGone { leaf: LeafIndex(0), generation: 0 });
                let Error::Rejected(found) = &refused.error else { panic!("{}", refused.error) };
                assert_eq!(std::mem::discriminant(found), std::mem::discriminant(&gone));
                assert!(refused.key_deletion.is_none());
            }
            Ok(other) => panic!("{}: a second copy led to {other:?}", self.name),
        }
    }

    /// Receives a message that must be refused without changing anything but a consumed key.
    fn refuse(&mut self, now: u64, message: &[u8]) {
        let before = self.group.rows().expect("a state has rows");
        let provider = &*self.provider;
        let deletion = match self.group.process(provider, now, message) {
            Err(refused) => refused.key_deletion,
            Ok(Received::Known) => None,
            Ok(Received::Commit(stage)) => {
                let verdicts = vec![Verdict::Accept; stage.credentials().len()];
                let answers = Answers { verdicts, psks: Vec::new() };
                let refused = stage.resolve(&self.group, provider, now, &answers);
                refused.expect_err("a mutated commit is refused").key_deletion
            }
            Ok(other) => panic!("{}: a mutated message led to {other:?}", self.name),
        };
        assert!(deletion.is_none(), "{}: a mutated message consumed a key", self.name);
        assert_eq!(self.group.rows().expect("a state has rows"), before);
    }
}

impl World {
    /// A world of one group with one member.
    #[must_use]
    pub fn new(params: WorldParams) -> Self {
        let mut world = Self {
            params,
            rng: SeededRng::from_u64(params.seed),
            suite: params.cipher_suite,
            now: START,
            step: 0,
            clients: 0,
            config: Config { past_epochs: 3, ..Config::default() },
            peers: Vec::new(),
            watcher: None,
            external: None,
            psks: BTreeMap::new(),
            counts: Counts::new(),
        };
        let (name, provider) = world.new_client();
        let group_id = world.bytes(16).into();
        let (new, _) = world.found(&name, &*provider, group_id, Vec::new());
        world.settle(name, provider, new);
        world.watch();
        world
    }

    /// Takes random steps.
    pub fn run(&mut self, steps: u64) -> &Counts {
        for _ in 0..steps {
            self.random_step();
        }
        &self.counts
    }

    /// The number of members.
    #[must_use]
    pub fn members(&self) -> usize {
        self.peers.len()
    }

    fn below(&mut self, n: usize) -> usize {
        (self.rng.next_u64() % n.max(1) as u64) as usize
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.rng.next_u64() % 100 < percent
    }

    fn bytes(&mut self, n: usize) -> Vec<u8> {
        let mut bytes = vec![0; n];
        self.rng.fill_bytes(&mut bytes);
        bytes
    }

    fn some_peer(&mut self) -> usize {
        let n = self.peers.len();
        self.below(n)
    }

    fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    fn framing(&mut self) -> Framing {
        let padding = match self.below(3) {
            0 => Padding::None,
            1 => Padding::Padme,
            _ => Padding::ToMultipleOf(64),
        };
        let n = self.below(20);
        let authenticated_data = self.bytes(n);
        Framing { encrypt: self.params.encrypt, authenticated_data, padding }
    }

    fn random_step(&mut self) {
        self.step += 1;
        self.now += 1 + self.rng.next_u64() % 600;
        let n = self.peers.len();
        let full = n >= self.params.max_members;
        match self.below(100) {
            0..12 if !full => self.add(),
            12..20 if !full => self.propose_add(),
            20..26 if n > 2 => self.remove(),
            26..32 if n > 2 => self.propose_remove(),
            32..40 => self.renew(),
            40..50 if n > 1 => self.propose_updates(),
            50..55 => self.inject_psk(),
            55..60 if !full => self.external_join(),
            60..63 if n > 1 => self.resync(),
            63..67 => self.change_extensions(),
            67..70 if !full => self.propose_from_outside(),
            70..73 if n > 1 => self.branch(),
            73..75 if n > 1 && n < 12 => self.reinitialize(),
            75..80 => self.reload(),
            80..84 if n > 1 => self.commit_is_rejected(),
            _ => self.talk(),
        }
        self.deliver_late();
        self.check();
    }

    // ── clients ──────────────────────────────────────────────────────────────────────────────

    fn new_client(&mut self) -> (String, Box<dyn CryptoProvider>) {
        self.clients += 1;
        let coin = self.chance(80);
        (format!("client-{}", self.clients), provider_for(self.suite, coin))
    }

    fn leaf_params(&self, name: &str) -> LeafParams {
        let suites: Vec<CipherSuite> = (1..=7).map(CipherSuite).collect();
        let mut leaf = LeafParams::new(Credential::basic(name.as_bytes()), &suites);
        leaf.capabilities.extensions.push(CUSTOM_EXTENSION);
        leaf
    }

    fn lifetime(&self) -> Lifetime {
        Lifetime { not_before: self.now - 10, not_after: self.now + 80 * 24 * 3600 }
    }

    fn signer(&mut self, provider: &dyn CryptoProvider) -> SignatureKeyPair {
        let suite = Suite::new(provider, self.suite).expect("supported");
        suite.signature_key_pair(&mut self.rng).expect("a key pair")
    }

    fn key_package(&mut self, name: &str, provider: &dyn CryptoProvider) -> OwnKeyPackage {
        let params = KeyPackageParams {
            cipher_suite: self.suite,
            leaf: self.leaf_params(name),
            lifetime: self.lifetime(),
            extensions: Vec::new(),
            last_resort: self.chance(10),
        };
        let signer = self.signer(provider);
        let own = OwnKeyPackage::generate(provider, &mut self.rng, params, signer)
            .expect("a key package");
        let stored = own.to_secret().expect("it can be stored");
        assert_eq!(OwnKeyPackage::from_secret(provider, &stored).as_ref(), Ok(&own));
        own
    }

    fn valid(&self, own: &OwnKeyPackage) -> ValidKeyPackage {
        let provider = provider_for(self.suite, true);
        let kp = own.key_package().clone();
        ValidKeyPackage::check(&*provider, self.now, &self.config, kp)
            .expect("valid")
            .resolve(Verdict::Accept)
            .expect("accepted")
    }

    fn found(
        &mut self,
        name: &str,
        provider: &dyn CryptoProvider,
        group_id: GroupId,
        extensions: Vec<Extension>,
    ) -> (NewGroup, SignatureKeyPair) {
        let params = GroupParams {
            group_id,
            cipher_suite: self.suite,
            extensions,
            leaf: self.leaf_params(name),
            lifetime: self.lifetime(),
        };
        let signer = self.signer(provider);
        let config = self.config.clone();
        let new = Group::create(provider, &mut self.rng, config, params, signer.clone())
            .expect("a group");
        (new, signer)
    }

    fn peer(name: String, provider: Box<dyn CryptoProvider>, new: NewGroup) -> Peer {
        let mut rows = Rows::new();
        let group = new.store(|batch| stored(&mut rows, batch)).expect("stored");
        Peer { name, provider, group, rows, held: Vec::new() }
    }

    fn settle(&mut self, name: String, provider: Box<dyn CryptoProvider>, new: NewGroup) {
        self.peers.push(Self::peer(name, provider, new));
    }

    /// Opens the group to an observer, if it can follow.
    fn watch(&mut self) {
        self.watcher = None;
        if self.params.encrypt {
            return;
        }
        let peer = &self.peers[0];
        let options = GroupInfoOptions { ratchet_tree: true, external_pub: true };
        let info = peer.group.group_info(&*peer.provider, options).expect("a GroupInfo");
        let stage = ObserverStage::open(&*peer.provider, &info, None).expect("an observer");
        let verdicts = vec![Verdict::Accept; stage.credentials().len()];
        let observer = stage.resolve(&verdicts).expect("accepted");
        let mut rows = Rows::new();
        observer.rows().expect("rows").apply_to(&mut rows);
        self.watcher = Some(Watcher { observer, rows });
    }

    // ── delivery ─────────────────────────────────────────────────────────────────────────────

    fn known_psks(&self) -> Vec<(PskType, Secret)> {
        let external = |id: &Vec<u8>| PskType::External { psk_id: id.as_slice().into() };
        self.psks.iter().map(|(id, psk)| (external(id), psk.clone())).collect()
    }

    fn observe(&mut self, message: &[u8]) {
        let provider = provider_for(self.suite, true);
        let Some(Watcher { observer, rows }) = &mut self.watcher else { return };
        let stage = observer.process(&*provider, message).expect("the observer follows");
        let verdicts = vec![Verdict::Accept; stage.credentials().len()];
        let step = stage.resolve(observer, &*provider, &verdicts).expect("valid");
        apply(observer, step, |write| stored(rows, write.batch)).expect("fits");
    }

    /// The members in random order.
    fn shuffled(&mut self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.peers.len()).collect();
        for i in (1..order.len()).rev() {
            let j = self.below(i + 1);
            order.swap(i, j);
        }
        order
    }

    /// Sends a proposal to everybody.
    fn spread_proposal(&mut self, message: &[u8]) {
        let now = self.now;
        for i in self.shuffled() {
            self.peers[i].receive(now, message, &[]);
            if self.chance(5) {
                self.peers[i].receive_again(now, message);
            }
        }
        self.observe(message);
    }

    fn propose(&mut self, i: usize, proposal: NewProposal) {
        let framing = self.framing();
        let peer = &mut self.peers[i];
        let step = peer.group.propose(&*peer.provider, &mut self.rng, proposal, &framing);
        let Event::Proposal { message, .. } = peer.take(step.expect("a proposal")) else {
            panic!("no proposal")
        };
        self.spread_proposal(&message);
    }

    /// Lets a member commit and everybody follow. Returns the messages.
    fn commit(&mut self, i: usize, mut options: CommitOptions) -> CommitMessages {
        options.framing = self.framing();
        options.psks = self.known_psks();
        options.force_path |= self.chance(20);
        options.welcome_ratchet_tree = self.chance(50);
        options.welcome_recipients = if self.chance(50) { usize::MAX } else { 1 };
        options.group_info =
            self.chance(50).then_some(GroupInfoOptions { ratchet_tree: false, external_pub: true });
        let peer = &mut self.peers[i];
        let step = peer.group.commit(&*peer.provider, &mut self.rng, options);
        let step = step.unwrap_or_else(|e| panic!("{}: {e}", peer.name));
        let Event::Commit(messages) = peer.take(step) else { panic!("no commit") };
        self.spread_commit(i, &messages);
        messages
    }

    fn spread_commit(&mut self, committer: usize, messages: &CommitMessages) {
        let (now, psks) = (self.now, self.known_psks());
        let rival = self.chance(15).then(|| self.some_peer()).filter(|r| *r != committer);
        if let Some(rival) = rival {
            self.rival_commit(rival);
        }
        for i in self.shuffled() {
            if i == committer {
                if self.chance(30) {
                    // It crashed before it heard the verdict.
                    self.peers[i].reload();
                    assert_eq!(self.peers[i].group.pending_commit(), Some(messages));
                }
                if self.chance(50) {
                    let provider = &*self.peers[i].provider;
                    let step = self.peers[i].group.commit_accepted(provider, now).expect("own");
                    self.peers[i].take(step);
                    continue;
                }
            } else if self.chance(10) {
                let mutated = self.mutated(&messages.commit);
                self.peers[i].refuse(now, &mutated);
            }
            let event = self.peers[i].receive(now, &messages.commit, &psks);
            let Some(Event::Epoch(change)) = event else { panic!("no new epoch: {event:?}") };
            assert_eq!(change.own, i == committer);
            assert_eq!(change.discarded_own_commit, Some(i) == rival);
        }
        self.observe(&messages.commit);
        if let (Some(info), Some(Watcher { observer, rows })) =
            (&messages.group_info, &mut self.watcher)
        {
            let provider = provider_for(self.suite, true);
            let step = observer.take_group_info(&*provider, info).expect("a member's");
            apply(observer, step, |write| stored(rows, write.batch)).expect("fits");
        }
        for peer in &self.peers {
            if peer.group.status() == Status::Removed {
                assert!(peer.rows.is_empty(), "{}: removed, and rows are left", peer.name);
            }
        }
        self.peers.retain(|peer| peer.group.status() != Status::Removed);
    }

    /// A commit by another member for the same epoch, which loses.
    fn rival_commit(&mut self, i: usize) {
        self.count("rival commit");
        let options = CommitOptions { framing: self.framing(), ..CommitOptions::default() };
        let options = CommitOptions { psks: self.known_psks(), ..options };
        let peer = &mut self.peers[i];
        let step = peer.group.commit(&*peer.provider, &mut self.rng, options).expect("a commit");
        peer.take(step);
    }

    fn mutated(&mut self, message: &[u8]) -> Vec<u8> {
        let mut mutated = message.to_vec();
        match self.below(3) {
            0 => {
                let at = self.below(mutated.len());
                mutated[at] ^= 1 << self.below(8);
            }
            1 => mutated.truncate(self.below(message.len())),
            _ => mutated.push(0),
        }
        mutated
    }

    /// Lets the owners of key packages join by the Welcomes of a commit.
    fn welcome(
        &mut self,
        messages: &CommitMessages,
        joiners: Vec<(String, Box<dyn CryptoProvider>, OwnKeyPackage)>,
        tree: &[u8],
    ) {
        let psks = self.joiner_psks();
        for (name, provider, own) in joiners {
            let welcome = messages
                .welcomes
                .iter()
                .find(|welcome| welcome.recipients.contains(own.reference()))
                .expect("a Welcome for everybody");
            let stage = WelcomeStage::open(&*provider, &welcome.message, &own).expect("for it");
            let join = stage
                .join(&*provider, self.config.clone(), &psks, Some(tree), None)
                .unwrap_or_else(|e| panic!("{name} cannot join: {e}"));
            let verdicts = vec![Verdict::Accept; join.credentials().len()];
            let new = join.resolve(&verdicts).expect("accepted");
            self.settle(name, provider, new);
        }
    }

    /// External PSKs, and the resumption PSKs that an old member tells a new one.
    fn joiner_psks(&self) -> Vec<(PskType, Secret)> {
        let mut psks = self.known_psks();
        let group = &self.peers[0].group;
        for epoch in group.epoch().saturating_sub(4)..=group.epoch() {
            let from = self.peers.iter().find_map(|peer| peer.group.resumption_psk(epoch));
            if let Some(psk) = from {
                let psktype = PskType::Resumption {
                    usage: conclave_wire::ResumptionPskUsage::Application,
                    psk_group_id: group.group_id().clone(),
                    psk_epoch: epoch,
                };
                psks.push((psktype, psk.as_secret().clone()));
            }
        }
        psks
    }

    fn tree_bytes(&self) -> Vec<u8> {
        self.peers[0].group.tree().to_extension_bytes().expect("a tree")
    }

    fn clients(&mut self, n: usize) -> Vec<(String, Box<dyn CryptoProvider>, OwnKeyPackage)> {
        (0..n)
            .map(|_| {
                let (name, provider) = self.new_client();
                let own = self.key_package(&name, &*provider);
                (name, provider, own)
            })
            .collect()
    }

    // ── steps ────────────────────────────────────────────────────────────────────────────────

    fn add(&mut self) {
        self.count("add");
        let most = (self.params.max_members - self.peers.len()).min(5);
        let n = 1 + self.below(most);
        let joiners = self.clients(n);
        let mut proposals: Vec<NewProposal> =
            joiners.iter().map(|(_, _, own)| NewProposal::Add(Box::new(self.valid(own)))).collect();
        let committer = self.some_peer();
        if self.peers.len() > 2 && self.chance(20) {
            let removed = self.some_peer();
            if removed != committer {
                proposals.push(NewProposal::Remove(self.peers[removed].group.own_leaf()));
            }
        }
        let messages =
            self.commit(committer, CommitOptions { proposals, ..CommitOptions::default() });
        let tree = self.tree_bytes();
        self.welcome(&messages, joiners, &tree);
    }

    fn propose_add(&mut self) {
        self.count("add by reference");
        let joiners = self.clients(1);
        let add = NewProposal::Add(Box::new(self.valid(&joiners[0].2)));
        let proposer = self.some_peer();
        self.propose(proposer, add);
        self.commit_proposals(joiners);
    }

    /// Lets somebody commit what was proposed.
    fn commit_proposals(&mut self, joiners: Vec<(String, Box<dyn CryptoProvider>, OwnKeyPackage)>) {
        let i = self.some_peer();
        let peer = &self.peers[i];
        let sent = peer.group.encrypt(&*peer.provider, &mut self.rng, b"", &Framing::default());
        assert_eq!(sent.err(), Some(Error::Misuse(Misuse::ProposalsPending)));
        let messages = self.commit(i, CommitOptions::default());
        let tree = self.tree_bytes();
        self.welcome(&messages, joiners, &tree);
    }

    fn remove(&mut self) {
        self.count("remove");
        let committer = self.some_peer();
        let n = 1 + self.below(2);
        let own = self.peers[committer].group.own_leaf();
        let mut leaves = Vec::new();
        for _ in 0..n {
            let removed = self.some_peer();
            leaves.push(self.peers[removed].group.own_leaf());
        }
        leaves.retain(|leaf| *leaf != own);
        leaves.sort_unstable();
        leaves.dedup();
        let proposals = leaves.into_iter().map(NewProposal::Remove).collect();
        self.commit(committer, CommitOptions { proposals, ..CommitOptions::default() });
    }

    fn propose_remove(&mut self) {
        self.count("remove by reference");
        let (proposer, removed, committer) = (self.some_peer(), self.some_peer(), self.some_peer());
        if removed == committer {
            return;
        }
        self.propose(proposer, NewProposal::Remove(self.peers[removed].group.own_leaf()));
        self.commit(committer, CommitOptions::default());
    }

    fn renew(&mut self) {
        self.count("renew");
        let i = self.some_peer();
        let leaf = self.chance(30).then(|| self.new_leaf(i));
        self.commit(i, CommitOptions { leaf, ..CommitOptions::default() });
    }

    /// A new signature key and credential for a member.
    fn new_leaf(&mut self, i: usize) -> LeafUpdate {
        self.clients += 1;
        let name = format!("{}+{}", self.peers[i].name, self.clients);
        let provider = provider_for(self.suite, true);
        LeafUpdate { params: self.leaf_params(&name), signer: self.signer(&*provider) }
    }

    fn propose_updates(&mut self) {
        self.count("updates by reference");
        let n = 1 + self.below(3);
        for _ in 0..n {
            let i = self.some_peer();
            let change = self.chance(30).then(|| self.new_leaf(i));
            let framing = self.framing();
            let peer = &mut self.peers[i];
            let step = peer.group.propose_update(&*peer.provider, &mut self.rng, change, &framing);
            let Event::Proposal { message, .. } = peer.take(step.expect("an Update")) else {
                panic!("no proposal")
            };
            self.spread_proposal(&message);
            if self.chance(20) {
                let j = self.some_peer();
                self.peers[j].reload();
            }
        }
        let committer = self.some_peer();
        self.commit(committer, CommitOptions::default());
    }

    fn inject_psk(&mut self) {
        self.count("psk");
        let i = self.some_peer();
        let epoch = self.peers[i].group.epoch();
        let oldest = self.peers.iter().map(|p| p.group.epoch()).min().unwrap_or(epoch);
        let all_know =
            |epoch: u64| self.peers.iter().all(|peer| peer.group.resumption_psk(epoch).is_some());
        let past = (oldest.saturating_sub(3)..=epoch).find(|epoch| all_know(*epoch));
        let proposal = match past {
            Some(epoch) if self.chance(50) => NewProposal::ResumptionPsk {
                group_id: self.peers[i].group.group_id().clone(),
                epoch,
            },
            _ => {
                let id = self.bytes(8);
                let psk = Secret::new(self.bytes(32));
                self.psks.insert(id.clone(), psk);
                NewProposal::ExternalPsk { psk_id: id.into() }
            }
        };
        if self.chance(50) {
            self.propose(i, proposal);
            let committer = self.some_peer();
            self.commit(committer, CommitOptions::default());
        } else {
            let proposals = vec![proposal];
            self.commit(i, CommitOptions { proposals, ..CommitOptions::default() });
        }
    }

    fn external_join(&mut self) {
        self.count("external join");
        let (name, provider) = self.new_client();
        self.join_externally(name, provider, None);
    }

    fn resync(&mut self) {
        self.count("resync");
        let i = self.some_peer();
        let lost = self.peers.remove(i);
        // Whoever stays tells it the GroupInfo.
        self.join_externally(lost.name, lost.provider, Some(lost.group.own_leaf()));
    }

    fn join_externally(
        &mut self,
        name: String,
        provider: Box<dyn CryptoProvider>,
        removes: Option<LeafIndex>,
    ) {
        let i = self.some_peer();
        let inside = self.chance(50);
        let options = GroupInfoOptions { ratchet_tree: inside, external_pub: true };
        let info = self.peers[i].group.group_info(&*self.peers[i].provider, options).unwrap();
        let tree = (!inside).then(|| self.tree_bytes());
        let stage = ExternalJoinStage::open(&*provider, &info, tree.as_deref()).expect("open");
        let verdicts = vec![Verdict::Accept; stage.credentials().len()];
        let psks = match self.chance(30) {
            true => self.known_psks().into_iter().take(2).collect(),
            false => Vec::new(),
        };
        let signer = self.signer(&*provider);
        let options = ExternalJoinOptions {
            leaf: self.leaf_params(&name),
            signer,
            removes,
            psks,
            authenticated_data: Vec::new(),
            group_info: Some(GroupInfoOptions { ratchet_tree: false, external_pub: true }),
        };
        let config = self.config.clone();
        let joined = stage
            .commit(&*provider, &mut self.rng, config, &verdicts, options)
            .unwrap_or_else(|e| panic!("{name} cannot join: {e}"));
        let (now, psks) = (self.now, self.known_psks());
        for i in self.shuffled() {
            let event = self.peers[i].receive(now, &joined.commit, &psks);
            let Some(Event::Epoch(change)) = event else { panic!("no new epoch") };
            assert!(change.external && change.added.len() == 1);
        }
        // An external commit is public; where the rest is encrypted nobody observes.
        self.observe(&joined.commit);
        self.settle(name, provider, joined.group);
    }

    fn change_extensions(&mut self) {
        self.count("context extensions");
        let i = self.some_peer();
        let mut extensions = Vec::new();
        self.external = None;
        if self.chance(60) {
            let provider = provider_for(self.suite, true);
            let signer = self.signer(&*provider);
            let sender = ExternalSender {
                signature_key: signer.public.clone(),
                credential: Credential::basic(b"service"),
            };
            let list = vec![sender];
            extensions.push(Extension::new(ExtensionType::EXTERNAL_SENDERS, &list).unwrap());
            self.external = Some(signer);
        }
        if self.chance(50) {
            let data = self.bytes(10).into();
            extensions.push(Extension { extension_type: CUSTOM_EXTENSION, extension_data: data });
        }
        if self.chance(50) {
            let required = RequiredCapabilities {
                extension_types: vec![CUSTOM_EXTENSION],
                proposal_types: Vec::new(),
                credential_types: vec![CredentialType::BASIC],
            };
            let kind = ExtensionType::REQUIRED_CAPABILITIES;
            extensions.push(Extension::new(kind, &required).unwrap());
        }
        let proposal = NewProposal::GroupContextExtensions(extensions);
        if self.chance(50) {
            self.propose(i, proposal);
            let committer = self.some_peer();
            self.commit(committer, CommitOptions::default());
        } else {
            let proposals = vec![proposal];
            self.commit(i, CommitOptions { proposals, ..CommitOptions::default() });
        }
    }

    fn propose_from_outside(&mut self) {
        let group = &self.peers[0].group;
        let target = ExternalTarget {
            group_id: group.group_id().clone(),
            epoch: group.epoch(),
            cipher_suite: self.suite,
        };
        let joiners = self.clients(1);
        let provider = provider_for(self.suite, true);
        let message = match &self.external {
            Some(signer) => {
                let add = Proposal::Add(Box::new(joiners[0].2.key_package().clone()));
                target.propose(&*provider, 0, signer, add).expect("an external proposal")
            }
            None => target.propose_self(&*provider, &joiners[0].2).expect("a proposal"),
        };
        self.count(if self.external.is_some() { "external sender" } else { "new member proposal" });
        self.spread_proposal(&message);
        self.commit_proposals(joiners);
    }

    /// A second group of some members, linked to this one; it is dropped again.
    fn branch(&mut self) {
        self.count("branch");
        let founder = self.some_peer();
        let name = self.peers[founder].name.clone();
        // Credentials may have been renewed: a branch presents those that the group knows.
        let own = self.peers[founder].group.own_leaf();
        let name = self.name_of(own).unwrap_or(name);
        let provider = provider_for(self.suite, true);
        let group_id = self.bytes(16).into();
        let extensions = Vec::new();
        let (new, _) = self.found(&name, &*provider, group_id, extensions);
        let mut branch = Self::peer(name, provider, new);
        let others: Vec<usize> = (0..self.peers.len()).filter(|i| *i != founder).take(4).collect();
        self.link_members(&mut branch, &others, founder);
    }

    fn name_of(&self, leaf: LeafIndex) -> Option<String> {
        let member = self.peers[0].group.member(leaf)?;
        String::from_utf8(member.credential.identity()?.to_vec()).ok()
    }

    /// Adds members of this group to a linked new one; returns their states of it.
    fn link_members(&mut self, first: &mut Peer, others: &[usize], founder: usize) -> Vec<Peer> {
        let mut joiners = Vec::new();
        for i in others {
            let name = self.name_of(self.peers[*i].group.own_leaf()).expect("a member");
            let coin = self.chance(80);
            let provider = provider_for(self.suite, coin);
            let own = self.key_package(&name, &*provider);
            joiners.push((*i, name, provider, own));
        }
        let link = |group: &Group| match group.status() {
            Status::Reinitialized => group.reinit_link().expect("closed"),
            _ => group.branch_link().expect("open"),
        };
        let proposals = joiners
            .iter()
            .map(|(_, _, _, own)| NewProposal::Add(Box::new(self.valid(own))))
            .collect();
        let options = CommitOptions {
            proposals,
            link: Some(link(&self.peers[founder].group)),
            ..CommitOptions::default()
        };
        let step = first.group.commit(&*first.provider, &mut self.rng, options);
        let Event::Commit(messages) = first.take(step.expect("the first commit")) else {
            panic!("no commit")
        };
        let step = first.group.commit_accepted(&*first.provider, self.now).expect("accepted");
        first.take(step);
        let mut states = Vec::new();
        for (i, name, provider, own) in joiners {
            let welcome = &messages.welcomes[0].message;
            let link = link(&self.peers[i].group);
            let open = || WelcomeStage::open(&*provider, welcome, &own).expect("for it");
            assert_eq!(open().linked_group(), Some(self.peers[i].group.group_id()));
            let config = || self.config.clone();
            assert!(open().join(&*provider, config(), &[], None, None).is_err());
            let join = open().join(&*provider, config(), &[], None, Some(&link));
            let join = join.unwrap_or_else(|e| panic!("{name} cannot join: {e}"));
            let verdicts = vec![Verdict::Accept; join.credentials().len()];
            let peer = Self::peer(name, provider, join.resolve(&verdicts).expect("accepted"));
            assert_eq!(
                peer.group.epoch_authenticator().unwrap(),
                first.group.epoch_authenticator().unwrap()
            );
            peer.check();
            states.push(peer);
        }
        states
    }

    /// Closes the group and continues in another, perhaps of another suite.
    fn reinitialize(&mut self) {
        self.count("reinit");
        let next = CipherSuite(1 + self.below(7) as u16);
        let reinit = ReInit {
            group_id: self.bytes(16).into(),
            version: ProtocolVersion::MLS10,
            cipher_suite: next,
            extensions: Vec::new(),
        };
        let i = self.some_peer();
        let proposals = vec![NewProposal::ReInit(reinit.clone())];
        self.commit(i, CommitOptions { proposals, ..CommitOptions::default() });
        for peer in &self.peers {
            assert_eq!(peer.group.status(), Status::Reinitialized);
            assert_eq!(peer.group.reinit(), Some(&reinit));
            let sent = peer.group.encrypt(&*peer.provider, &mut self.rng, b"", &Framing::default());
            assert_eq!(sent.err(), Some(Error::Misuse(Misuse::Reinitialized)));
        }
        if self.chance(50) {
            self.reload();
        }
        self.suite = next;
        let founder = self.some_peer();
        let name = self.name_of(self.peers[founder].group.own_leaf()).expect("a member");
        let coin = self.chance(80);
        let provider = provider_for(next, coin);
        let (new, _) =
            self.found(&name, &*provider, reinit.group_id.clone(), reinit.extensions.clone());
        let mut first = Self::peer(name, provider, new);
        let others: Vec<usize> = (0..self.peers.len()).filter(|i| *i != founder).collect();
        let mut states = self.link_members(&mut first, &others, founder);
        states.push(first);
        self.peers = states;
        self.external = None;
        self.watch();
    }

    fn reload(&mut self) {
        self.count("reload");
        for i in 0..self.peers.len() {
            if self.chance(50) {
                self.peers[i].reload();
            }
        }
        if let Some(watcher) = &mut self.watcher {
            let provider = provider_for(self.suite, true);
            let rows = watcher.rows.iter().map(|(key, value)| (*key, value.clone()));
            watcher.observer = Observer::load(&*provider, rows).expect("stored rows load");
        }
    }

    /// A commit that the delivery service refuses: nothing came of it.
    fn commit_is_rejected(&mut self) {
        self.count("rejected commit");
        let options = CommitOptions { framing: self.framing(), ..CommitOptions::default() };
        let i = self.some_peer();
        let peer = &mut self.peers[i];
        let epoch = peer.group.epoch();
        let step = peer.group.commit(&*peer.provider, &mut self.rng, options).expect("a commit");
        peer.take(step);
        if self.chance(50) {
            self.peers[i].reload();
        }
        let step = self.peers[i].group.commit_rejected().expect("pending");
        self.peers[i].take(step);
        assert_eq!(self.peers[i].group.epoch(), epoch);
    }

    /// Application messages, some of them late, reordered or twice.
    fn talk(&mut self) {
        self.count("messages");
        let n = 1 + self.below(4);
        for _ in 0..n {
            let sender = self.some_peer();
            let (size, framing) = (self.below(100), self.framing());
            let data = self.bytes(size);
            let peer = &mut self.peers[sender];
            let step = peer.group.encrypt(&*peer.provider, &mut self.rng, &data, &framing);
            let Event::Message(message) = peer.take(step.expect("an epoch to send in")) else {
                panic!("no message")
            };
            let (epoch, leaf) = (peer.group.epoch(), peer.group.own_leaf());
            for i in 0..self.peers.len() {
                if i == sender {
                    assert_eq!(self.peers[i].receive(self.now, &message, &[]), None);
                    continue;
                }
                let held =
                    Held { epoch, message: message.clone(), data: data.clone(), sender: leaf };
                self.peers[i].held.push(held);
            }
        }
    }

    /// Delivers some of what was held back, in any order; some of it twice.
    fn deliver_late(&mut self) {
        for i in 0..self.peers.len() {
            while !self.peers[i].held.is_empty() && self.chance(60) {
                let at = self.below(self.peers[i].held.len());
                let held = self.peers[i].held.swap_remove(at);
                self.deliver_held(i, &held);
            }
        }
    }

    fn deliver_held(&mut self, i: usize, held: &Held) {
        let now = self.now;
        if self.chance(10) {
            let mutated = self.mutated(&held.message);
            self.peers[i].refuse(now, &mutated);
        }
        let twice = self.chance(20);
        let peer = &mut self.peers[i];
        if peer.group.epoch() - held.epoch > self.config.past_epochs as u64 {
            let refused = peer.group.process(&*peer.provider, now, &held.message);
            let error = refused.expect_err("too old").error;
            assert!(matches!(error, Error::Rejected(Rejection::WrongEpoch { .. })), "{error}");
            *self.counts.entry("message too late").or_default() += 1;
            return;
        }
        let event = peer.receive(now, &held.message, &[]);
        let Some(Event::Application(read)) = event else { panic!("no message: {event:?}") };
        assert_eq!((read.epoch, read.sender.index), (held.epoch, held.sender));
        assert_eq!(read.data, held.data);
        *self.counts.entry("message read").or_default() += 1;
        if twice {
            peer.reload();
            let refused = peer.group.process(&*peer.provider, now, &held.message);
            let error = refused.expect_err("a replay").error;
            let gone =
                matches!(error, Error::Rejected(Rejection::Ratchet(RatchetError::KeyGone { .. })));
            assert!(gone, "{error}");
            *self.counts.entry("replay refused").or_default() += 1;
        }
    }

    /// What must hold after each step.
    fn check(&self) {
        let first = &self.peers[0].group;
        let authenticator = first.epoch_authenticator().expect("a member");
        let export = |peer: &Peer| {
            peer.group.export(&*peer.provider, b"world", b"context", 40).expect("exported")
        };
        let exported = export(&self.peers[0]);
        for peer in &self.peers {
            assert_eq!(peer.group.epoch(), first.epoch());
            assert_eq!(peer.group.tree().tree_hash(), first.tree().tree_hash());
            assert_eq!(peer.group.context(), first.context());
            assert_eq!(peer.group.epoch_authenticator().expect("a member"), authenticator);
            assert_eq!(export(peer), exported);
            peer.check();
        }
        let deep = self.step as usize % self.peers.len();
        self.peers[deep].check_secrets(&self.config);
        assert_eq!(first.tree().member_count() as usize, self.peers.len());
        if let Some(Watcher { observer, rows }) = &self.watcher {
            assert_eq!(observer.context(), first.context());
            let mut full = Rows::new();
            observer.rows().expect("rows").apply_to(&mut full);
            assert_eq!(*rows, full, "the observer's stored rows differ");
        }
    }
}

#[cfg(test)]
mod tests;
