//! The group that all runs play in. Nothing that a run does to it stays.

use crate::SeededRng;
use crate::forge::{Insider, OpenWelcome};
use crate::party::{
    self, ALL, CUSTOM, CUSTOM_PROPOSALS, NOW, NotWritten, PROVIDER, Peer, Rows, SUITE, add,
    commit_of, encrypted, key_package_of,
};
use conclave_crypto::Secret;
use conclave_group::{
    CommitOptions, Config, ExternalJoinOptions, ExternalJoinStage, ExternalTarget, Framing,
    GroupParams, LeafParams, Limits, NewProposal, Observer, ObserverStage, OwnKeyPackage,
    RatchetLimits, Verdict, WelcomeStage,
};
use conclave_wire::{
    Bytes, Content, CustomProposal, Decode, Encode, Epoch, Extension, ExtensionType,
    ExternalSender, GroupInfo, LeafIndex, MlsMessage, MlsMessageBody, Proposal, ProposalOrRef,
    ProposalRef, ProposalType, Reader, UpdatePath,
};
use std::cell::RefCell;

/// The group's identifier.
pub(super) const GROUP: &[u8] = b"fuzzed";
/// A proposal without a body that asks for a path, which external senders may make.
pub(super) const EMPTY: ProposalType = ProposalType(0xf0e0);

pub(super) struct Stage {
    /// Who sends all that is real.
    pub(super) alice: Peer,
    /// Who receives: with past epochs, skipped keys, proposals, an own update and commit pending.
    pub(super) bob: Peer,
    /// Follows the group; its proposals are those that bob has.
    pub(super) observer: Observer,
    /// Alice, when she breaks rules.
    pub(super) insider: Insider,
    /// Somebody outside who knows what members know.
    pub(super) stranger: Insider,
    /// The stranger's key package.
    pub(super) newcomer: OwnKeyPackage,
    /// A Welcome to the newcomer.
    pub(super) welcome: OpenWelcome,
    /// References to the proposals that members and observer have cached.
    pub(super) references: Vec<ProposalRef>,
    /// The group's GroupInfo.
    pub(super) info: GroupInfo,
    /// A path, of no commit that could follow.
    pub(super) path: UpdatePath,
    /// Real messages of this epoch, and late ones.
    pub(super) messages: Vec<Vec<u8>>,
}

/// What all clients are set to: limits are low, so that they are met.
pub(super) fn config() -> Config {
    let mut proposals: Vec<_> = CUSTOM_PROPOSALS.map(CustomProposal::vector).into();
    let empty = CustomProposal::empty(EMPTY);
    proposals.push(CustomProposal { path_required: true, external: true, ..empty });
    let limits = Limits {
        ratchet: RatchetLimits { max_forward: 40, max_skipped: 20, max_skipped_in_epoch: 60 },
        tree_leaves: 64,
        proposals: 12,
        pending_proposals: 6,
        psks: 4,
        ..Limits::default()
    };
    Config { proposals, limits, ..Config::default() }
}

/// Runs on this thread's stage, which has to be left as it was found.
pub(super) fn with<T>(run: impl FnOnce(&mut Stage) -> T) -> T {
    thread_local! {
        static STAGE: RefCell<Stage> = RefCell::new(build());
    }
    STAGE.with(|stage| run(&mut stage.borrow_mut()))
}

pub(super) fn leaf(name: &str) -> LeafParams {
    let mut leaf = party::leaf_params(name, SUITE);
    leaf.capabilities.proposals.extend(CUSTOM_PROPOSALS);
    leaf.capabilities.proposals.push(EMPTY);
    leaf
}

fn key_package(name: &str, seed: u64) -> OwnKeyPackage {
    key_package_of(leaf(name), SUITE, seed)
}

fn joined(welcome: &[u8], own: &OwnKeyPackage, seed: u64) -> Peer {
    let join = WelcomeStage::open(&PROVIDER, config(), welcome, own)
        .and_then(|stage| stage.join(&PROVIDER, &[], None, None))
        .expect("a good Welcome");
    let verdicts = vec![Verdict::Accept; join.credentials().len()];
    Peer::settle(join.resolve(&verdicts).expect("accepted"), seed)
}

pub(super) fn watch(info: &[u8]) -> Observer {
    let stage = ObserverStage::open(&PROVIDER, config(), info, None).expect("an observer");
    let verdicts = vec![Verdict::Accept; stage.credentials().len()];
    stage.resolve(&verdicts).expect("accepted")
}

/// Alice founds a group; bob and carol join.
fn found() -> Vec<Peer> {
    let params = GroupParams {
        group_id: GROUP.into(),
        cipher_suite: SUITE,
        extensions: Vec::new(),
        leaf: leaf("alice"),
        lifetime: party::LIFETIME,
    };
    let mut rng = SeededRng::from_u64(1);
    let signer = party::signer(SUITE, 1);
    let new = conclave_group::Group::create(&PROVIDER, &mut rng, config(), params, signer);
    let mut alice = Peer::settle(new.expect("a group"), 1);
    let owns = [key_package("bob", 2), key_package("carol", 3)];
    let messages = alice.commit(commit_of(owns.iter().map(add).collect())).expect("a commit");
    alice.accepted();
    let welcome = &messages.welcomes.first().expect("a Welcome").message;
    let mut peers = vec![alice];
    peers.extend(owns.iter().zip(2..).map(|(own, seed)| joined(welcome, own, seed)));
    peers
}

/// The group's extensions: alice may send from outside, too.
fn extensions(alice: &Peer) -> Vec<Extension> {
    let sender = ExternalSender {
        signature_key: party::signer(SUITE, 1).public,
        credential: leaf("alice's bot").credential,
    };
    let senders = vec![sender].to_bytes().expect("an encoding").into();
    assert_eq!(alice.group.own_leaf(), LeafIndex(0));
    vec![
        Extension { extension_type: ExtensionType::EXTERNAL_SENDERS, extension_data: senders },
        Extension { extension_type: CUSTOM, extension_data: b"a setting".as_slice().into() },
    ]
}

fn custom(kind: ProposalType, body: &[u8]) -> NewProposal {
    NewProposal::Custom { proposal_type: kind, body: body.into() }
}

fn build() -> Stage {
    let mut peers = found();
    let extensions = NewProposal::GroupContextExtensions(extensions(&peers[0]));
    party::commits(&mut peers, 0, commit_of(vec![extensions]));
    let renew = || CommitOptions { force_path: true, ..CommitOptions::default() };
    party::commits(&mut peers, 1, renew());
    party::commits(&mut peers, 2, renew());
    let late = [b"one", b"two"].map(|data| peers[0].say(data));
    peers[1].reads(&late[1]);
    party::commits(&mut peers, 1, renew());
    let data = [b"1", b"2", b"3"].map(|data| peers[0].say(data));
    let insider = Insider::of(&peers[0].group);
    let newcomer = key_package("erin", 5);
    let mut stranger = Insider::of(&peers[0].group);
    stranger.signer = newcomer.signer().clone();
    let mut observer = watch(&peers[0].group_info());

    let mut messages = vec![late[0].clone(), data[0].clone(), data[2].clone()];
    peers[1].reads(&data[1]);
    let joining = commit_of(vec![add(&newcomer)]);
    let joining = peers[0].commit(joining).expect("a commit");
    let welcome = &joining.welcomes.first().expect("a Welcome").message;
    messages.extend([joining.commit.clone(), welcome.clone(), peers[0].group_info()]);
    let zero = Secret::zero(32);
    let welcome = OpenWelcome::of(&PROVIDER, welcome, &newcomer, &zero);
    peers[0].rejected();
    messages.extend(from_outside(&peers[0], &newcomer));

    let public = Framing::default();
    let update = peers[1].propose_update(None, &public);
    party::deliver(&mut peers, 1, &update);
    let remove = peers[0].propose(NewProposal::Remove(LeafIndex(2)), &public);
    party::deliver(&mut peers, 0, &remove);
    for message in [&update, &remove] {
        party::observe(&mut observer, message).expect("a proposal");
    }
    let pending = commit_of(vec![custom(EMPTY, &[])]);
    messages.push(peers[1].commit(pending).expect("a commit").commit);
    peers.truncate(2);
    let (Some(bob), Some(mut alice)) = (peers.pop(), peers.pop()) else { panic!("two") };
    let MlsMessageBody::GroupInfo(info) = decoded(&alice.group_info()) else { panic!("no info") };
    let last = by(&mut alice);
    let (references, path) = committed(last.first().expect("a commit"));
    messages.extend(last);
    Stage {
        alice,
        bob,
        observer,
        insider,
        stranger,
        newcomer,
        welcome,
        references,
        info: *info,
        path,
        messages,
    }
}

/// What a real message holds.
pub(super) fn decoded(message: &[u8]) -> MlsMessageBody {
    let config = config();
    let reader = Reader::with_proposals(message, &config.proposals);
    MlsMessage::from_reader(reader).expect("a real message").body
}

/// What a public commit refers to, and its path.
fn committed(message: &[u8]) -> (Vec<ProposalRef>, UpdatePath) {
    let MlsMessageBody::PublicMessage(message) = decoded(message) else { panic!("not public") };
    let Content::Commit(commit) = message.content.content else { panic!("no commit") };
    let references = commit.proposals.into_iter().filter_map(|item| match item {
        ProposalOrRef::Reference(reference) => Some(reference),
        ProposalOrRef::Proposal(_) => None,
    });
    (references.collect(), *commit.path.expect("a path"))
}

/// What comes from outside: an external commit, proposals of a new member and an external sender.
fn from_outside(alice: &Peer, newcomer: &OwnKeyPackage) -> [Vec<u8>; 3] {
    let info = alice.group_info();
    let stage = ExternalJoinStage::open(&PROVIDER, config(), &info, None).expect("a GroupInfo");
    let verdicts = vec![Verdict::Accept; stage.credentials().len()];
    let options = ExternalJoinOptions {
        leaf: leaf("carol"),
        signer: party::signer(SUITE, 6),
        removes: Some(LeafIndex(2)),
        psks: Vec::new(),
        authenticated_data: b"hello".to_vec(),
        group_info: None,
    };
    let mut rng = SeededRng::from_u64(6);
    let external = stage.commit(&PROVIDER, &mut rng, &verdicts, options).expect("a commit");
    let target = ExternalTarget::new(GROUP.into(), alice.group.epoch(), SUITE);
    let own = target.propose_self(&PROVIDER, TIME, newcomer).expect("a proposal");
    let empty = Proposal::Custom { proposal_type: EMPTY, body: Bytes::default() };
    let signer = party::signer(SUITE, 1);
    let other = target.propose(&PROVIDER, 0, &signer, empty).expect("a proposal");
    [external.commit, own, other]
}

/// What a member sends, in public and encrypted; none of it is in effect at the member itself.
fn by(alice: &mut Peer) -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    for framing in [Framing::default(), encrypted()] {
        let body = [3, 1, 2, 3];
        let options = CommitOptions {
            proposals: vec![custom(CUSTOM_PROPOSALS[0], &body)],
            framing: framing.clone(),
            group_info: Some(ALL),
            ..CommitOptions::default()
        };
        let made = alice.commit(options).expect("a commit");
        alice.rejected();
        messages.push(made.commit);
        let options = CommitOptions {
            received: false,
            proposals: vec![NewProposal::ResumptionPsk {
                group_id: GROUP.into(),
                epoch: Epoch(alice.group.epoch().0 - 1),
            }],
            framing: framing.clone(),
            ..CommitOptions::default()
        };
        messages.push(alice.commit(options).expect("a commit").commit);
        alice.rejected();
        let group = &alice.group;
        let proposal = custom(CUSTOM_PROPOSALS[1], &body);
        let step = group.propose(&PROVIDER, &mut alice.rng, TIME, proposal, &framing);
        let mut fold = alice.group.fold();
        fold.push(step.expect("a proposal")).expect("fresh");
        let _ = fold.commit(|write| {
            if let [conclave_group::Event::Proposal { message, .. }] = write.events {
                messages.push(message.clone());
            }
            Err::<(), _>(NotWritten)
        });
    }
    messages
}

/// The rows that an observer would have stored.
pub(super) fn observer_rows(observer: &Observer) -> Rows {
    let mut rows = Rows::new();
    observer.rows().expect("rows").apply_to(&mut rows);
    rows
}

/// The time at which messages come.
pub(super) const TIME: u64 = NOW;
