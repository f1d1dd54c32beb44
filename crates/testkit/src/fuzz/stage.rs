//! The group that all runs use. A run leaves it as it was.

use crate::forge::{Insider, OpenWelcome};
use crate::party::{
    self, ALL, CUSTOM, CUSTOM_PROPOSALS, NOW, NotWritten, PROVIDER, Peer, SUITE, add, commit_of,
    encrypted, key_package_of,
};
use crate::{SeededRng, accepting};
use conclave_crypto::Secret;
use conclave_group::{
    CommitOptions, Config, Event, ExternalJoinOptions, ExternalTarget, Framing, Group, GroupParams,
    LeafParams, Limits, NewProposal, Observer, OwnKeyPackage, RatchetLimits,
};
use conclave_wire::{
    AppDataDictionary, Bytes, ComponentId, Content, CustomProposal, Decode, Encode, Epoch,
    Extension, ExtensionType, ExternalSender, GroupInfo, LeafIndex, MlsMessage, MlsMessageBody,
    Proposal, ProposalOrRef, ProposalRef, ProposalRules, ProposalType, Reader, UpdatePath,
};
use std::cell::RefCell;

/// The group's identifier.
pub(super) const GROUP: &[u8] = b"fuzzed";
/// A proposal type without a body that requires a path, and that external senders may propose.
pub(super) const EMPTY: ProposalType = ProposalType(0xf0e0);

pub(super) struct Stage {
    /// Sends all real messages.
    pub(super) alice: Peer,
    /// Receives. Has past epochs, skipped keys, proposals, an Update of its own and a pending commit.
    pub(super) bob: Peer,
    /// Follows the group. It has the same proposals as bob.
    pub(super) observer: Observer,
    /// Alice as a member that breaks rules.
    pub(super) insider: Insider,
    /// An outsider that knows what members know.
    pub(super) stranger: Insider,
    /// The stranger's key package.
    pub(super) newcomer: OwnKeyPackage,
    /// A Welcome to the newcomer.
    pub(super) welcome: OpenWelcome,
    /// References to the proposals that members and observer have cached.
    pub(super) references: Vec<ProposalRef>,
    /// The group's GroupInfo.
    pub(super) info: GroupInfo,
    /// A path that fits no commit of this epoch.
    pub(super) path: UpdatePath,
    /// Real messages of this epoch, and late ones.
    pub(super) messages: Vec<Vec<u8>>,
}

/// The component that all clients know.
pub(super) const COMPONENT: ComponentId = ComponentId(0x8001);

/// The settings of all clients: limits are low, so that runs reach them.
pub(super) fn config() -> Config {
    let mut proposals: Vec<_> = CUSTOM_PROPOSALS.map(CustomProposal::vector).into();
    let rules =
        ProposalRules { external_senders: true, path_required: true, ..ProposalRules::default() };
    proposals.push(CustomProposal::empty(EMPTY).with_rules(rules));
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

/// Runs on this thread's stage. The run must leave the stage as it was.
pub(super) fn with<T>(run: impl FnOnce(&mut Stage) -> T) -> T {
    thread_local! {
        static STAGE: RefCell<Stage> = RefCell::new(build());
    }
    STAGE.with(|stage| run(&mut stage.borrow_mut()))
}

pub(super) fn leaf(name: &str) -> LeafParams {
    let mut leaf = party::inviting(party::leaf_params(name, SUITE));
    leaf.capabilities.proposals.extend(CUSTOM_PROPOSALS);
    leaf.capabilities.proposals.push(EMPTY);
    party::supporting(leaf, &[COMPONENT])
}

fn key_package(name: &str, seed: u64) -> OwnKeyPackage {
    key_package_of(leaf(name), SUITE, seed)
}

fn joined(welcome: &[u8], own: &OwnKeyPackage, seed: u64) -> Peer {
    let psks = accepting::known(&[]);
    let new = accepting::join(&PROVIDER, config(), welcome, own, psks, None, None);
    Peer::settle(new.expect("a good Welcome"), seed)
}

/// Alice founds a group; bob and carol join.
fn found() -> Vec<Peer> {
    let mut params = GroupParams::new(GROUP.into(), SUITE, leaf("alice"), party::LIFETIME);
    let dictionary = AppDataDictionary::default().with(COMPONENT, b"a topic".as_slice());
    params.extensions.push(dictionary.to_extension().expect("an encoding"));
    let mut rng = SeededRng::from_u64(1);
    let signer = party::signer(SUITE, 1);
    let new = Group::create(&PROVIDER, &mut rng, config(), params, signer);
    let mut alice = Peer::settle(new.expect("a group"), 1);

    let owns = [key_package("bob", 2), key_package("carol", 3)];
    let messages = alice.commit(commit_of(owns.iter().map(add).collect())).expect("a commit");
    alice.accepted();

    let welcome = &messages.welcomes.first().expect("a Welcome").message;
    let mut peers = vec![alice];
    peers.extend(owns.iter().zip(2..).map(|(own, seed)| joined(welcome, own, seed)));
    peers
}

/// The group's extensions. Alice is an external sender, too.
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
    // Several epochs, each with messages that bob has not read.
    let mut peers = found();
    let extensions = NewProposal::GroupContextExtensions(extensions(&peers[0]));
    party::commits(&mut peers, 0, commit_of(vec![extensions]));
    let renew = || CommitOptions { force_path: true, ..CommitOptions::default() };
    party::commits(&mut peers, 1, renew());
    party::commits(&mut peers, 2, renew());
    let late = [b"one", b"two"].map(|data| peers[0].say(data));
    peers[1].reads(&late[1]);
    let bob = peers[1].group.own_leaf();
    let mut told = vec![peers[0].tell(bob, b"late")];
    party::commits(&mut peers, 1, renew());
    let data = [b"1", b"2", b"3"].map(|data| peers[0].say(data));
    peers[1].reads(&data[1]);
    let heard = peers[2].tell(bob, b"heard");
    peers[1].hears(&heard);
    told.push(peers[0].tell(bob, b"new"));
    let mut messages = vec![late[0].clone(), data[0].clone(), data[2].clone()];

    // The forgers, and messages by which newcomers join.
    let insider = Insider::of(&peers[0].group);
    let newcomer = key_package("erin", 5);
    let mut stranger = Insider::of(&peers[0].group);
    stranger.signer = newcomer.signer().clone();
    let info = peers[0].group_info();
    let mut observer = accepting::watch(&PROVIDER, config(), &info).expect("an observer");
    let joining = commit_of(vec![add(&newcomer)]);
    let joining = peers[0].commit(joining).expect("a commit");
    let welcome = &joining.welcomes.first().expect("a Welcome").message;
    messages.extend([joining.commit.clone(), welcome.clone(), info]);
    let zero = Secret::zero(32);
    let welcome = OpenWelcome::of(&PROVIDER, welcome, &newcomer, &zero);
    peers[0].rejected();
    messages.extend(from_outside(&peers[0], &newcomer));

    // Proposals of this epoch, and a commit of bob's that is pending.
    let public = Framing::default();
    let update = peers[1].propose_update(None, &public);
    party::deliver(&mut peers, 1, &update);
    let remove = peers[0].propose(NewProposal::Remove(LeafIndex(2)), &public);
    party::deliver(&mut peers, 0, &remove);
    let leave = peers[2].propose(NewProposal::SelfRemove, &public);
    party::deliver(&mut peers, 2, &leave);
    let data = b"another".as_slice().into();
    let data = NewProposal::AppDataUpdate { component_id: COMPONENT, update: data };
    let data = peers[2].propose(data, &public);
    party::deliver(&mut peers, 2, &data);
    for message in [&update, &remove, &leave, &data] {
        party::observe(&mut observer, message).expect("a proposal");
    }
    let pending = commit_of(vec![custom(EMPTY, &[])]);
    messages.push(peers[1].commit(pending).expect("a commit").commit);

    // Real messages that alice sends next.
    peers.truncate(2);
    let (Some(bob), Some(mut alice)) = (peers.pop(), peers.pop()) else { panic!("two peers") };
    let MlsMessageBody::GroupInfo(info) = decoded(&alice.group_info()) else { panic!("no info") };
    let last = by(&mut alice);
    let (references, path) = committed(last.first().expect("a commit"));
    messages.extend(last);
    messages.extend(told);
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

/// The body of a real message.
pub(super) fn decoded(message: &[u8]) -> MlsMessageBody {
    let config = config();
    let reader = Reader::with_proposals(message, &config.proposals);
    MlsMessage::from_reader(reader).expect("a real message").body
}

/// The references and the path of a public commit.
fn committed(message: &[u8]) -> (Vec<ProposalRef>, UpdatePath) {
    let MlsMessageBody::PublicMessage(message) = decoded(message) else { panic!("not public") };
    let Content::Commit(commit) = message.content.content else { panic!("no commit") };
    let references = commit.proposals.into_iter().filter_map(|item| match item {
        ProposalOrRef::Reference(reference) => Some(reference),
        ProposalOrRef::Proposal(_) => None,
    });
    (references.collect(), *commit.path.expect("a path"))
}

/// Messages from outside: an external commit, a proposal of a new member, and one of an external
/// sender.
fn from_outside(alice: &Peer, newcomer: &OwnKeyPackage) -> [Vec<u8>; 3] {
    let info = alice.group_info();
    let options = ExternalJoinOptions {
        replaces: Some(LeafIndex(2)),
        authenticated_data: b"hello".to_vec(),
        ..ExternalJoinOptions::new(leaf("carol"), party::signer(SUITE, 6))
    };
    let mut rng = SeededRng::from_u64(6);
    let external =
        accepting::join_from_outside(&PROVIDER, &mut rng, config(), &info, None, options)
            .expect("a commit");

    let target = ExternalTarget::new(GROUP.into(), alice.group.epoch(), SUITE);
    let own = target.propose_self(&PROVIDER, NOW, newcomer).expect("a proposal");
    let empty = Proposal::Custom { proposal_type: EMPTY, body: Bytes::default() };
    let signer = party::signer(SUITE, 1);
    let other = target.propose(&PROVIDER, 0, &signer, empty).expect("a proposal");
    [external.commit, own, other]
}

/// Messages of a member, public and encrypted. The member itself has given them all up.
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
        let step = group.propose(&PROVIDER, &mut alice.rng, NOW, proposal, &framing);
        let mut fold = alice.group.fold();
        fold.push(step.expect("a proposal")).expect("fresh");
        let _ = fold.commit(|write| {
            if let [Event::Proposal(proposal)] = write.events {
                messages.push(proposal.message.clone());
            }
            Err::<(), _>(NotWritten)
        });
    }
    messages
}
