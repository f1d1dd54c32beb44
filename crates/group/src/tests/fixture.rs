//! Members of a group in one process: reproducible, each with the rows that it has written.

use crate::state::group::Delta;
use crate::store::rows::{Batch, RowKey};
use crate::{
    Answers, AppDataRequest, ApplicationMessage, CachedProposal, CommitId, CommitMessages,
    CommitOptions, Config, EpochChange, Error, Event, Framing, Group, GroupInfoOptions,
    GroupParams, KeyPackageParams, LeafParams, LeafUpdate, NewGroup, NewProposal, Observer,
    ObserverEvent, ObserverStage, Outcome, OwnKeyPackage, Received, Refused, Rejection, Transition,
    ValidKeyPackage, Verdict, WelcomeStage, WriteError, apply,
};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;
pub(super) use conclave_crypto::testing::TestRng;
use conclave_crypto::{CryptoRng, Secret, SignatureKeyPair, Suite};
use conclave_provider_rustcrypto::RustCrypto;
use conclave_tree::{TreeRead, sign_leaf};
use conclave_wire::{
    AuthenticatedContent, Bytes, CipherSuite, Commit, Content, Credential, Epoch, Extension,
    ExtensionType, LeafIndex, LeafNodeContext, LeafNodeSource, Lifetime, Proposal, ProposalOrRef,
    PskType, UnixTime,
};
use core::convert::Infallible;

pub(super) static PROVIDER: RustCrypto = RustCrypto::new();
pub(super) const SUITE: CipherSuite = CipherSuite(1);
pub(super) const NOW: UnixTime = at(1_700_000_000);
/// A GroupInfo that lets in every client that has it.
pub(super) const ALL: GroupInfoOptions =
    GroupInfoOptions { ratchet_tree: true, external_pub: true };
/// An extension of private use that all members support.
pub(super) const CUSTOM: ExtensionType = ExtensionType(0xf001);
pub(super) const LIFETIME: Lifetime =
    Lifetime { not_before: NOW.as_secs() - 10, not_after: NOW.as_secs() + 1_000_000 };

pub(super) type Rows = BTreeMap<RowKey, Secret>;

/// A time, by its seconds since 1970.
pub(super) const fn at(seconds: u64) -> UnixTime {
    match UnixTime::from_secs(seconds) {
        Some(time) => time,
        None => panic!("out of range"),
    }
}

pub(super) fn suite() -> Suite<'static> {
    Suite::new(&PROVIDER, SUITE).unwrap()
}

pub(super) fn encrypted() -> Framing {
    Framing { encrypt: true, ..Framing::default() }
}

pub(super) fn leaf_params(name: &str) -> LeafParams {
    let mut leaf = LeafParams::new(Credential::basic(name.as_bytes()), &[SUITE]);
    leaf.capabilities.extensions.push(CUSTOM);
    leaf
}

pub(super) fn signer(rng: &mut dyn CryptoRng) -> SignatureKeyPair {
    suite().signature_key_pair(rng).unwrap()
}

pub(super) fn key_package_of(leaf: LeafParams, rng: &mut TestRng) -> OwnKeyPackage {
    let params = KeyPackageParams::new(SUITE, leaf, LIFETIME);
    let signer = signer(rng);
    OwnKeyPackage::generate(&PROVIDER, rng, params, signer).unwrap()
}

/// A client's key package. The seed decides its keys.
pub(super) fn key_package(name: &str, seed: u64) -> OwnKeyPackage {
    key_package_of(leaf_params(name), &mut TestRng(seed))
}

pub(super) fn valid(own: &OwnKeyPackage) -> Box<ValidKeyPackage> {
    valid_under(own, &Config::default())
}

pub(super) fn valid_under(own: &OwnKeyPackage, config: &Config) -> Box<ValidKeyPackage> {
    let kp = own.key_package().clone();
    let stage = ValidKeyPackage::check(&PROVIDER, NOW, config, kp).unwrap();
    Box::new(stage.resolve(Verdict::Accept).unwrap())
}

pub(super) fn commit_of(proposals: Vec<NewProposal>) -> CommitOptions {
    CommitOptions { proposals, ..CommitOptions::default() }
}

pub(super) fn custom_extensions() -> Vec<Extension> {
    vec![Extension { extension_type: CUSTOM, extension_data: Vec::new().into() }]
}

pub(super) fn stored(rows: &mut Rows, batch: &Batch) -> Result<(), Infallible> {
    batch.apply_to(rows);
    Ok(())
}

/// A member and its stored rows.
pub(super) struct Peer {
    pub(super) group: Group,
    pub(super) rows: Rows,
    pub(super) rng: TestRng,
    pub(super) psks: Vec<(PskType, Secret)>,
}

impl Peer {
    pub(super) fn settle(new: NewGroup, seed: u64) -> Self {
        let mut rows = Rows::new();
        let shown = new.batch().clone();
        let group = new.store(|batch| stored(&mut rows, batch)).unwrap();
        assert_eq!(shown.rows, group.rows().unwrap().rows);
        Self { group, rows, rng: TestRng(seed ^ 0xabcd), psks: Vec::new() }
    }

    pub(super) fn found_with(name: &str, config: Config, group_id: &[u8]) -> Self {
        Self::found_by(leaf_params(name), config, group_id)
    }

    pub(super) fn found_by(leaf: LeafParams, config: Config, group_id: &[u8]) -> Self {
        let params = GroupParams::new(group_id.into(), SUITE, leaf, LIFETIME);
        Self::try_found(params, config).unwrap()
    }

    pub(super) fn try_found(params: GroupParams, config: Config) -> Result<Self, Error> {
        let mut rng = TestRng(7);
        let signer = signer(&mut rng);
        let new = Group::create(&PROVIDER, &mut rng, config, params, signer)?;
        Ok(Self::settle(new, 1))
    }

    pub(super) fn join(welcome: &[u8], own: &OwnKeyPackage, config: Config, seed: u64) -> Self {
        let stage = WelcomeStage::open(&PROVIDER, config, welcome, own).unwrap();
        let join = stage.join(&PROVIDER, &[], None, None).unwrap();
        let verdicts = vec![Verdict::Accept; join.credentials().len()];
        Self::settle(join.resolve(&verdicts).unwrap(), seed)
    }

    /// Applies a step and writes its rows. Then the rows must be those of the state.
    pub(super) fn take<O: Outcome<Event>>(&mut self, step: Transition<Group, O>) -> O {
        let rows = &mut self.rows;
        let outcome = apply(&mut self.group, step, |write| stored(rows, write.batch)).unwrap();
        self.check();
        outcome
    }

    pub(super) fn all_rows(&self) -> Rows {
        let mut rows = Rows::new();
        self.group.rows().unwrap().apply_to(&mut rows);
        rows
    }

    pub(super) fn check(&self) {
        assert_eq!(self.all_rows(), self.rows);
        self.group.tree().check_caches(&suite()).unwrap();
    }

    /// The same member, loaded from the same rows.
    pub(super) fn twin(&self) -> Self {
        let rows = self.rows.clone();
        let group = Group::load(&PROVIDER, self.group.config().clone(), rows.clone()).unwrap();
        Self { group, rows, rng: TestRng(0x7717), psks: self.psks.clone() }
    }

    pub(super) fn reload(&mut self) {
        let rows = self.rows.clone();
        self.group = Group::load(&PROVIDER, self.group.config().clone(), rows).unwrap();
        self.check();
    }

    pub(super) fn commit(&mut self, options: CommitOptions) -> CommitMessages {
        let step = self.try_commit(options).unwrap();
        self.take(step)
    }

    pub(super) fn try_commit(
        &mut self,
        options: CommitOptions,
    ) -> Result<Transition<Group, CommitMessages>, Error> {
        let draft = self.group.draft_commit(&PROVIDER, &mut self.rng, NOW, options)?;
        let app_data = appended(draft.app_data());
        draft.seal(&mut self.rng, app_data)
    }

    pub(super) fn propose_update(
        &mut self,
        change: Option<LeafUpdate>,
        framing: &Framing,
    ) -> Vec<u8> {
        let rng = &mut self.rng;
        let step = self.group.propose_update(&PROVIDER, rng, change, framing).unwrap();
        self.take(step).message
    }

    pub(super) fn accepted(&mut self) -> EpochChange {
        let step = self.group.commit_accepted(&PROVIDER, NOW, &pending_id(&self.group)).unwrap();
        self.take(step)
    }

    pub(super) fn checkpoint(&mut self) {
        let step = self.group.checkpoint().unwrap();
        self.take(step);
    }

    pub(super) fn rewind(&mut self, epoch: Epoch) {
        let step = self.group.rewind(&PROVIDER, epoch).unwrap();
        self.take(step);
        assert_eq!(self.group.epoch(), epoch);
    }

    /// Gives the pending commit up.
    pub(super) fn rejected(&mut self) {
        let step = self.group.commit_rejected(&pending_id(&self.group)).unwrap();
        self.take(step);
    }

    pub(super) fn propose(&mut self, proposal: NewProposal, framing: &Framing) -> Vec<u8> {
        let step = self.group.propose(&PROVIDER, &mut self.rng, NOW, proposal, framing).unwrap();
        self.take(step).message
    }

    pub(super) fn say(&mut self, data: &[u8]) -> Vec<u8> {
        let framing = Framing::default();
        let step = self.group.encrypt(&PROVIDER, &mut self.rng, data, &framing).unwrap();
        self.take(step)
    }

    /// The step of a message if everything is accepted.
    pub(super) fn process(
        &self,
        message: &[u8],
    ) -> Result<Option<Transition<Group, Event>>, Refused> {
        Ok(Some(match self.group.process(&PROVIDER, NOW, message)? {
            Received::Application(step) => step.untyped(),
            Received::Targeted(step) => step.untyped(),
            Received::OwnCommit(step) => step.untyped(),
            Received::OwnProposal(step) => step.untyped(),
            Received::Proposal(stage) => {
                let verdicts = vec![Verdict::Accept; stage.credentials().len()];
                stage.resolve(&self.group, &verdicts)?.untyped()
            }
            Received::Commit(stage) => {
                let verdicts = vec![Verdict::Accept; stage.credentials().len()];
                let psks = self.psks.clone();
                let answers = Answers { verdicts, psks, app_data: appended(stage.app_data()) };
                stage.resolve(&self.group, &PROVIDER, NOW, &answers)?.untyped()
            }
            Received::Known => return Ok(None),
        }))
    }

    pub(super) fn receive(&mut self, message: &[u8]) -> Event {
        let step = self.process(message).unwrap().unwrap();
        self.take(step)
    }

    /// Processes a commit that removes this member, and keeps the group.
    pub(super) fn learns_of_removal(&mut self, message: &[u8]) -> EpochChange {
        match self.receive(message) {
            Event::Removal(change) => change,
            other => panic!("no removal: {other:?}"),
        }
    }

    /// Processes a commit that removes this member, and deletes the group because the service's
    /// order confirms it.
    pub(super) fn is_removed(&mut self, message: &[u8]) -> EpochChange {
        let change = self.learns_of_removal(message);
        let step = self.group.delete().unwrap();
        assert_eq!(self.take(step.untyped()), Event::Deleted);
        change
    }

    pub(super) fn reads(&mut self, message: &[u8]) -> ApplicationMessage {
        match self.receive(message) {
            Event::Application(message) => message,
            other => panic!("no data: {other:?}"),
        }
    }

    /// Processes a proposal that is new to this member.
    pub(super) fn caches(&mut self, message: &[u8]) -> CachedProposal {
        match self.receive(message) {
            Event::ProposalReceived(cached) => cached,
            other => panic!("no proposal: {other:?}"),
        }
    }

    /// Processes a commit that keeps this member in the group.
    pub(super) fn follows(&mut self, message: &[u8]) -> EpochChange {
        match self.receive(message) {
            Event::Epoch(change) => change,
            other => panic!("no epoch: {other:?}"),
        }
    }

    /// Processes a message that must be refused, and checks that nothing has changed.
    pub(super) fn refuses(&self, message: &[u8]) -> Refused {
        let before = self.all_rows();
        let refused = match self.process(message) {
            Err(refused) => refused,
            Ok(step) => panic!("it led to {step:?}"),
        };
        assert_eq!(self.all_rows(), before);
        assert_eq!(self.rows, before);
        refused
    }

    pub(super) fn error(&self, message: &[u8]) -> Error {
        self.refuses(message).error
    }

    /// A message of this member with any content, allowed or not.
    pub(super) fn forge(&mut self, content: AuthenticatedContent, framing: &Framing) -> Vec<u8> {
        let mut delta = Delta::default();
        let mut batch = self.group.batch();
        let rng = &mut self.rng;
        let message =
            self.group.protect(&suite(), rng, &content, framing, &mut delta, &mut batch).unwrap();
        let step = Transition::new(&self.group, delta, batch, Event::Discarded);
        self.take(step);
        message
    }

    /// An Update of this member to the encryption key of another. It is valid alone, but not in a
    /// tree with the other member.
    pub(super) fn update_with_key_of(&mut self, other: LeafIndex) -> Vec<u8> {
        let leaf_index = self.group.own_leaf();
        let mut leaf = self.group.tree().leaf(leaf_index).unwrap();
        leaf.leaf_node_source = LeafNodeSource::Update;
        leaf.encryption_key = self.group.tree().leaf(other).unwrap().encryption_key;
        let group_id = self.group.group_id().clone();
        let context = LeafNodeContext { group_id: &group_id, leaf_index };
        sign_leaf(&suite(), &mut leaf, &self.group.signer, context).unwrap();
        let content = Content::Proposal(Proposal::Update(leaf.into()));
        let content = self.group.sign(&suite(), content, &Framing::default()).unwrap();
        self.forge(content, &Framing::default())
    }

    /// A commit of any proposals, without a path and with a tag that cannot match.
    pub(super) fn forge_commit(
        &mut self,
        proposals: Vec<ProposalOrRef>,
        framing: &Framing,
    ) -> Vec<u8> {
        let commit = Content::Commit(Commit { proposals, path: None });
        let mut content = self.group.sign(&suite(), commit, framing).unwrap();
        content.auth.confirmation_tag = Some([0; 32].into());
        self.forge(content, framing)
    }
}

/// What the components of these tests do with updates: they append them.
pub(super) fn appended(requests: &[AppDataRequest]) -> Vec<Bytes> {
    let append = |request: &AppDataRequest| {
        let mut data = request.current.as_deref().unwrap_or_default().to_vec();
        request.updates.iter().for_each(|(_, update)| data.extend_from_slice(update));
        data.into()
    };
    requests.iter().map(append).collect()
}

/// A group of members with these names, in order.
pub(super) fn group_of(names: &[&str]) -> Vec<Peer> {
    group_with(names, Config::default())
}

pub(super) fn group_with(names: &[&str], config: Config) -> Vec<Peer> {
    group_of_leaves(names, config, leaf_params)
}

/// A group whose members have this leaf, each with its name.
pub(super) fn group_of_leaves(
    names: &[&str],
    config: Config,
    leaf: fn(&str) -> LeafParams,
) -> Vec<Peer> {
    group_from(names.iter().map(|name| leaf(name)).collect(), Vec::new(), &config)
}

/// A group with these extensions whose members have these leaves, in order.
pub(super) fn group_from(
    leaves: Vec<LeafParams>,
    extensions: Vec<Extension>,
    config: &Config,
) -> Vec<Peer> {
    let mut leaves = leaves.into_iter();
    let founder = leaves.next().unwrap();
    let mut params = GroupParams::new(b"a group".as_slice().into(), SUITE, founder, LIFETIME);
    params.extensions = extensions;
    let mut peers = vec![Peer::try_found(params, config.clone()).unwrap()];

    let owns: Vec<_> =
        leaves.zip(100..).map(|(leaf, seed)| key_package_of(leaf, &mut TestRng(seed))).collect();
    if owns.is_empty() {
        return peers;
    }
    let adds = owns.iter().map(|own| NewProposal::Add(valid_under(own, config))).collect();
    let messages = peers[0].commit(commit_of(adds));
    peers[0].accepted();

    for (own, seed) in owns.iter().zip(2..) {
        peers.push(Peer::join(&messages.welcomes[0].message, own, config.clone(), seed));
    }
    agree(&peers);
    peers
}

/// An observer of a member's group, under the same settings.
pub(super) fn observer_of(peer: &Peer) -> Observer {
    let info = peer.group.group_info(&PROVIDER, ALL).unwrap();
    let config = peer.group.config().clone();
    let stage = ObserverStage::open(&PROVIDER, config, &info, None).unwrap();
    let verdicts = vec![Verdict::Accept; stage.credentials().len()];
    stage.resolve(&verdicts).unwrap()
}

/// Gives an observer a message, and loads it anew from its rows.
pub(super) fn observe(observer: &mut Observer, message: &[u8]) -> Result<ObserverEvent, Error> {
    let stage = observer.process(&PROVIDER, message)?;
    let verdicts = vec![Verdict::Accept; stage.credentials().len()];
    let app_data = appended(stage.app_data());
    let answers = Answers { verdicts, app_data, ..Answers::default() };
    let step = stage.resolve(observer, &PROVIDER, &answers)?;

    let mut rows = Rows::new();
    observer.rows().unwrap().apply_to(&mut rows);
    let event = apply(observer, step, |write| {
        write.batch.apply_to(&mut rows);
        Ok::<_, Infallible>(())
    })
    .unwrap();
    let config = observer.public.config.clone();
    let loaded = Observer::load(&PROVIDER, config, rows).unwrap();
    assert_eq!(loaded.rows().unwrap(), observer.rows().unwrap());
    Ok(event)
}

/// Checks that all members are in the same epoch.
pub(super) fn agree(peers: &[Peer]) {
    for pair in peers.windows(2) {
        let authenticator = |peer: &Peer| peer.group.epoch_authenticator().unwrap().clone();
        assert_eq!(authenticator(&pair[0]), authenticator(&pair[1]));
    }
}

/// Delivers a message to all members except its sender.
pub(super) fn deliver(peers: &mut [Peer], from: usize, message: &[u8]) {
    for (_, peer) in peers.iter_mut().enumerate().filter(|(place, _)| *place != from) {
        peer.receive(message);
    }
}

/// One member commits and all others follow.
pub(super) fn commits(peers: &mut [Peer], who: usize, options: CommitOptions) -> CommitMessages {
    let messages = peers[who].commit(options);
    deliver(peers, who, &messages.commit);
    peers[who].accepted();
    messages
}

pub(super) fn rejection(error: Error) -> Rejection {
    match error {
        Error::Rejected(rejection) => rejection,
        other => panic!("not a rejection: {other}"),
    }
}

/// The name of the pending commit; an empty name if there is none.
pub(super) fn pending_id(group: &Group) -> CommitId {
    group.pending_commit().map(|messages| messages.id.clone()).unwrap_or_default()
}

/// A write that failed and left nothing behind.
#[derive(Debug, PartialEq)]
pub(super) struct NotWritten;

impl WriteError for NotWritten {
    fn may_have_written(&self) -> bool {
        false
    }
}
