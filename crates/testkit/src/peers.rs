//! Members of one group in one process, each with the rows that it has written: for tests that
//! look into the rows, copy them, or tear them.
#![allow(clippy::panic, clippy::expect_used, clippy::indexing_slicing)]

use crate::SeededRng;
use conclave_crypto::{CryptoProvider, Secret, SignatureKeyPair, Suite, Suites};
use conclave_group::rows::{Batch, RowKey};
use conclave_group::{
    Answers, CommitMessages, CommitOptions, Config, Event, ExternalJoinOptions, ExternalJoinStage,
    Framing, Group, GroupInfoOptions, GroupParams, KeyPackageParams, LeafParams, LeafUpdate,
    NewGroup, NewProposal, OwnKeyPackage, Received, Refused, Transition, ValidKeyPackage, Verdict,
    WelcomeStage, apply,
};
use conclave_provider_rustcrypto::RustCrypto;
use conclave_wire::{CipherSuite, Credential, Lifetime, PskType};
use std::collections::BTreeMap;
use std::convert::Infallible;

/// Seconds since 1970, for all that happens here.
pub const NOW: u64 = 1_700_000_000;

/// The portable provider, with the post-quantum suites at Conclave's code points.
const PORTABLE: RustCrypto = RustCrypto::new().with_suites(Suites::CONCLAVE);

/// What a member has stored.
pub type Rows = BTreeMap<RowKey, Secret>;

/// The key of the first row that holds these bytes.
#[must_use]
pub fn row_with(rows: &Rows, bytes: &[u8]) -> Option<RowKey> {
    assert!(bytes.len() >= 12, "too short to be told from chance");
    let holds = |row: &Secret| row.expose().windows(bytes.len()).any(|window| window == bytes);
    rows.iter().find(|(_, row)| holds(row)).map(|(key, _)| *key)
}

/// Writes a batch to rows, which cannot fail.
///
/// # Errors
/// Never.
pub fn stored(rows: &mut Rows, batch: &Batch) -> Result<(), Infallible> {
    batch.apply_to(rows);
    Ok(())
}

/// How a member of tests is set up.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The cipher suite.
    pub suite: CipherSuite,
    /// Its settings.
    pub config: Config,
    /// What is random for it.
    pub seed: u64,
}

/// A client that is not a member yet, with its key package.
pub struct Client {
    setup: Setup,
    name: String,
    rng: SeededRng,
    /// Its key package with the private keys.
    pub own: OwnKeyPackage,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Client({})", self.name)
    }
}

/// A member with what it has stored.
pub struct Peer {
    /// Its cryptography.
    pub provider: Box<dyn CryptoProvider>,
    /// Its state in memory.
    pub group: Group,
    /// The fold of all batches that it has written.
    pub rows: Rows,
    /// Where its randomness comes from.
    pub rng: SeededRng,
    /// The external PSKs that it knows.
    pub psks: Vec<(PskType, Secret)>,
    setup: Setup,
}

impl std::fmt::Debug for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Peer({})", self.group.own_leaf())
    }
}

impl Setup {
    /// These settings for another client.
    #[must_use]
    pub fn with_seed(&self, seed: u64) -> Self {
        Self { seed, ..self.clone() }
    }

    fn leaf(&self, name: &str) -> LeafParams {
        LeafParams::new(Credential::basic(name.as_bytes()), &[self.suite])
    }

    fn lifetime() -> Lifetime {
        Lifetime { not_before: NOW - 10, not_after: NOW + 1_000_000 }
    }

    fn signer(&self, rng: &mut SeededRng) -> SignatureKeyPair {
        let suite = Suite::new(&PORTABLE, self.suite).expect("supported");
        suite.signature_key_pair(rng).expect("a key pair")
    }

    /// A client with a fresh key package.
    ///
    /// # Panics
    /// If the provider does not have the suite.
    #[must_use]
    pub fn client(&self, provider: &dyn CryptoProvider, name: &str) -> Client {
        let mut rng = SeededRng::from_u64(self.seed);
        let params = KeyPackageParams {
            cipher_suite: self.suite,
            leaf: self.leaf(name),
            lifetime: Self::lifetime(),
            extensions: Vec::new(),
            last_resort: false,
        };
        let signer = self.signer(&mut rng);
        let own = OwnKeyPackage::generate(provider, &mut rng, params, signer).expect("generated");
        Client { setup: self.clone(), name: name.into(), rng, own }
    }

    /// The only member of a new group.
    ///
    /// # Panics
    /// If the provider does not have the suite.
    #[must_use]
    pub fn found(&self, provider: Box<dyn CryptoProvider>, name: &str) -> Peer {
        let mut rng = SeededRng::from_u64(self.seed);
        let params = GroupParams {
            group_id: b"a group".as_slice().into(),
            cipher_suite: self.suite,
            extensions: Vec::new(),
            leaf: self.leaf(name),
            lifetime: Self::lifetime(),
        };
        let (config, signer) = (self.config.clone(), self.signer(&mut rng));
        let new = Group::create(&*provider, &mut rng, config, params, signer).expect("created");
        Peer::settle(self.clone(), provider, rng, new)
    }

    /// Joins from outside by the GroupInfo of a member, who with the others is to receive the commit
    /// that comes back.
    ///
    /// # Panics
    /// If that breaks a rule.
    pub fn join_from_outside(
        &self,
        provider: Box<dyn CryptoProvider>,
        name: &str,
        member: &Peer,
    ) -> (Peer, Vec<u8>) {
        let mut rng = SeededRng::from_u64(self.seed);
        let wanted = GroupInfoOptions { ratchet_tree: true, external_pub: true };
        let info = member.group.group_info(&*member.provider, wanted).expect("a GroupInfo");
        let stage = ExternalJoinStage::open(&*provider, self.config.clone(), &info, None);
        let stage = stage.expect("valid");
        let verdicts = vec![Verdict::Accept; stage.credentials().len()];
        let options = ExternalJoinOptions {
            leaf: self.leaf(name),
            signer: self.signer(&mut rng),
            removes: None,
            psks: Vec::new(),
            authenticated_data: Vec::new(),
            group_info: None,
        };
        let joined = stage.commit(&*provider, &mut rng, &verdicts, options);
        let joined = joined.expect("an external commit");
        (Peer::settle(self.clone(), provider, rng, joined.group), joined.commit)
    }

    /// A group of this many members, the first of whom has added the others.
    ///
    /// # Panics
    /// If the provider does not have the suite, or there are no members.
    #[must_use]
    pub fn group(&self, provider: fn() -> Box<dyn CryptoProvider>, members: usize) -> Vec<Peer> {
        let mut peers = vec![self.found(provider(), "member 0")];
        let clients: Vec<Client> = (1..members)
            .map(|i| {
                let setup = self.with_seed(self.seed + i as u64);
                setup.client(&*provider(), &format!("member {i}"))
            })
            .collect();
        let adds = clients.iter().map(Client::add).collect();
        if members > 1 {
            let options = CommitOptions { proposals: adds, ..CommitOptions::default() };
            let messages = commits(&mut peers, 0, options);
            let welcome = &messages.welcomes[0].message;
            peers.extend(clients.into_iter().map(|client| client.join(provider(), welcome, &[])));
        }
        agree(&peers);
        peers
    }
}

impl Client {
    /// The proposal to add it.
    ///
    /// # Panics
    /// Never: its key package is valid.
    #[must_use]
    pub fn add(&self) -> NewProposal {
        let key_package = self.own.key_package().clone();
        let stage = ValidKeyPackage::check(&PORTABLE, NOW, &self.setup.config, key_package);
        let valid = stage.expect("valid").resolve(Verdict::Accept).expect("accepted");
        NewProposal::Add(Box::new(valid))
    }

    /// The group as it would be joined by a Welcome, which holds the tree.
    ///
    /// # Panics
    /// If the Welcome is not for this client, or breaks a rule.
    pub fn open_welcome(
        &self,
        provider: &dyn CryptoProvider,
        welcome: &[u8],
        psks: &[(PskType, Secret)],
    ) -> NewGroup {
        let stage = WelcomeStage::open(provider, self.setup.config.clone(), welcome, &self.own)
            .expect("for it");
        let join = stage.join(provider, psks, None, None);
        let join = join.expect("valid");
        let verdicts = vec![Verdict::Accept; join.credentials().len()];
        join.resolve(&verdicts).expect("accepted")
    }

    /// Joins by a Welcome that holds the tree.
    ///
    /// # Panics
    /// As [`Self::open_welcome`].
    #[must_use]
    pub fn join(
        self,
        provider: Box<dyn CryptoProvider>,
        welcome: &[u8],
        psks: &[(PskType, Secret)],
    ) -> Peer {
        let new = self.open_welcome(&*provider, welcome, psks);
        let mut peer = Peer::settle(self.setup, provider, self.rng, new);
        peer.psks = psks.to_vec();
        peer
    }
}

impl Peer {
    fn settle(
        setup: Setup,
        provider: Box<dyn CryptoProvider>,
        rng: SeededRng,
        new: NewGroup,
    ) -> Self {
        let mut rows = Rows::new();
        let Ok(group) = new.store(|batch| stored(&mut rows, batch));
        Self { provider, group, rows, rng, psks: Vec::new(), setup }
    }

    /// Its suite with its provider.
    ///
    /// # Panics
    /// Never: the group could be made.
    #[must_use]
    pub fn suite(&self) -> Suite<'_> {
        Suite::new(&*self.provider, self.setup.suite).expect("supported")
    }

    /// All rows of the state in memory.
    ///
    /// # Panics
    /// If the state has no rows.
    #[must_use]
    pub fn all_rows(&self) -> Rows {
        let mut rows = Rows::new();
        self.group.rows().expect("a state has rows").apply_to(&mut rows);
        rows
    }

    /// A group from rows, as this member would load it.
    ///
    /// # Errors
    /// If the rows do not fit together.
    pub fn load(&self, rows: &Rows) -> Result<Group, conclave_group::Error> {
        let rows = rows.iter().map(|(key, value)| (*key, value.clone()));
        Group::load(&*self.provider, self.setup.config.clone(), rows)
    }

    /// Forgets the group in memory and loads it from the rows.
    ///
    /// # Panics
    /// If the rows do not load.
    pub fn reload(&mut self) {
        self.group = self.load(&self.rows).expect("stored rows load");
        assert_eq!(self.all_rows(), self.rows, "a loaded state has the rows that it came from");
    }

    /// Who has copied this member's rows, and its PSKs, as they are now.
    ///
    /// # Panics
    /// If the rows do not load.
    #[must_use]
    pub fn thief(&self, provider: Box<dyn CryptoProvider>) -> Self {
        Self {
            group: self.load(&self.rows).expect("stored rows load"),
            provider,
            rows: self.rows.clone(),
            rng: self.rng.fork("thief"),
            psks: self.psks.clone(),
            setup: self.setup.clone(),
        }
    }

    /// Writes a step's rows and applies it.
    ///
    /// # Panics
    /// If the step is not one of this state, or rows and state differ after it.
    pub fn take(&mut self, step: Transition<Group>) -> Event {
        let rows = &mut self.rows;
        let event = apply(&mut self.group, step, |write| stored(rows, write.batch));
        assert!(self.all_rows() == self.rows, "what is stored is not the state");
        event.expect("the step is of this state")
    }

    /// What a message leads to if everything is accepted; none if it is known.
    ///
    /// # Errors
    /// If the message is refused.
    pub fn process(&self, message: &[u8]) -> Result<Option<Transition<Group>>, Refused> {
        process(&self.group, &*self.provider, message, &self.psks)
    }

    /// Receives a message that must not be refused; none if it is known.
    ///
    /// # Panics
    /// If it is refused.
    pub fn receive(&mut self, message: &[u8]) -> Option<Event> {
        let step = self.process(message).unwrap_or_else(|e| panic!("{self:?}: {e}"))?;
        Some(self.take(step))
    }

    /// Receives application data.
    ///
    /// # Panics
    /// If it is refused, or is something else.
    pub fn reads(&mut self, message: &[u8]) -> Vec<u8> {
        let Some(Event::Application(read)) = self.receive(message) else { panic!("no data") };
        read.data
    }

    /// Sends application data.
    ///
    /// # Panics
    /// If it cannot.
    pub fn say(&mut self, data: &[u8]) -> Vec<u8> {
        let framing = Framing::default();
        let step = self.group.encrypt(&*self.provider, &mut self.rng, data, &framing);
        let Event::Message(message) = self.take(step.expect("encrypted")) else { panic!() };
        message
    }

    /// Makes a proposal.
    ///
    /// # Panics
    /// If it cannot.
    pub fn proposes(&mut self, proposal: NewProposal, framing: &Framing) -> Vec<u8> {
        let step = self.group.propose(&*self.provider, &mut self.rng, proposal, framing);
        let Event::Proposal { message, .. } = self.take(step.expect("proposed")) else { panic!() };
        message
    }

    /// Proposes to renew its leaf.
    ///
    /// # Panics
    /// If it cannot.
    pub fn proposes_update(&mut self, change: Option<LeafUpdate>, framing: &Framing) -> Vec<u8> {
        let step = self.group.propose_update(&*self.provider, &mut self.rng, change, framing);
        let Event::Proposal { message, .. } = self.take(step.expect("proposed")) else { panic!() };
        message
    }

    /// Makes a commit, which is pending then.
    ///
    /// # Panics
    /// If it cannot.
    pub fn commits(&mut self, mut options: CommitOptions) -> CommitMessages {
        options.psks.extend(self.psks.iter().cloned());
        let step = self.group.commit(&*self.provider, &mut self.rng, options);
        let Event::Commit(messages) = self.take(step.expect("committed")) else { panic!() };
        messages
    }

    /// Hears that the own commit was accepted.
    ///
    /// # Panics
    /// If none is pending.
    pub fn accepted(&mut self) {
        let step = self.group.commit_accepted(&*self.provider, NOW).expect("a pending commit");
        self.take(step);
    }

    /// Hears that the own commit was rejected.
    ///
    /// # Panics
    /// If none is pending.
    pub fn rejected(&mut self) {
        let step = self.group.commit_rejected().expect("a pending commit");
        self.take(step);
    }

    /// A new signature key and credential for its leaf.
    pub fn new_leaf(&mut self, name: &str) -> LeafUpdate {
        let signer = self.setup.signer(&mut self.rng);
        LeafUpdate { params: self.setup.leaf(name), signer }
    }
}

/// What a message leads to in a group if everything is accepted; none if it is known.
///
/// # Errors
/// If the message is refused.
pub fn process(
    group: &Group,
    provider: &dyn CryptoProvider,
    message: &[u8],
    psks: &[(PskType, Secret)],
) -> Result<Option<Transition<Group>>, Refused> {
    Ok(Some(match group.process(provider, NOW, message)? {
        Received::Application(step) | Received::OwnCommit(step) => step,
        Received::Proposal(stage) => {
            let verdicts = vec![Verdict::Accept; stage.credentials().len()];
            stage.resolve(group, provider, &verdicts)?
        }
        Received::Commit(stage) => {
            let verdicts = vec![Verdict::Accept; stage.credentials().len()];
            let answers = Answers { verdicts, psks: psks.to_vec() };
            stage.resolve(group, provider, NOW, &answers)?
        }
        Received::Known => return Ok(None),
    }))
}

/// Delivers a message to all but its sender.
///
/// # Panics
/// If somebody refuses it.
pub fn deliver(peers: &mut [Peer], from: usize, message: &[u8]) {
    for (_, peer) in peers.iter_mut().enumerate().filter(|(place, _)| *place != from) {
        peer.receive(message);
    }
}

/// One commits and all follow.
///
/// # Panics
/// If somebody refuses the commit.
pub fn commits(peers: &mut [Peer], who: usize, options: CommitOptions) -> CommitMessages {
    let messages = peers[who].commits(options);
    deliver(peers, who, &messages.commit);
    peers[who].accepted();
    messages
}

/// Everybody is in the same epoch.
///
/// # Panics
/// If somebody is not.
pub fn agree(peers: &[Peer]) {
    for pair in peers.windows(2) {
        let authenticator = |peer: &Peer| peer.group.epoch_authenticator().cloned().ok();
        assert_eq!(authenticator(&pair[0]), authenticator(&pair[1]));
    }
}
