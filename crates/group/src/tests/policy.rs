//! The application's rules: senders, receivers and observers judge alike.

use super::fixture::*;
use crate::store::rows::{RowKey, Table};
use crate::{
    Action, Actor, AllOf, CommitOptions, Config, Error, ExternalCommit, ExternalJoinOptions,
    ExternalJoinStage, ExternalTarget, Framing, Group, GroupView, LeafUpdate, Misuse, NewProposal,
    Observer, ObserverEvent, ObserverStage, Permission, Policy, Proposed, ProposedCommit,
    Rejection, Rules, Transition, Verdict, apply,
};
use alloc::format;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use conclave_crypto::SignatureKeyPair;
use conclave_wire::{
    Credential, Epoch, Extension, ExtensionType, ExternalSender, LeafIndex, Proposal, ProposalType,
    ProtocolVersion, ReInit, RequiredCapabilities, Sender,
};
use core::convert::Infallible;

const BOB: LeafIndex = LeafIndex(1);
const CAROL: LeafIndex = LeafIndex(2);

fn config_of(policy: impl Policy + 'static) -> Config {
    Config { policy: Arc::new(policy), ..Config::default() }
}

fn lists_service(service: &SignatureKeyPair) -> Extension {
    let credential = Credential::basic(b"the service");
    let sender = ExternalSender { signature_key: service.public.clone(), credential };
    Extension::new(ExtensionType::EXTERNAL_SENDERS, &vec![sender]).unwrap()
}

/// An extension that lists members with these names.
fn list_of(names: &[&str]) -> Extension {
    let credentials: Vec<Credential> =
        names.iter().map(|name| Credential::basic(name.as_bytes())).collect();
    Actor::list_extension(CUSTOM, &credentials).unwrap()
}

/// Alice, Bob, Carol and Dave, an observer, and a service that may send proposals.
struct Scene {
    peers: Vec<Peer>,
    observer: Observer,
    service: SignatureKeyPair,
}

fn observed(
    observer: &Observer,
    message: &[u8],
) -> Result<Transition<Observer, ObserverEvent>, Error> {
    let stage = observer.process(&PROVIDER, message)?;
    let verdicts = vec![Verdict::Accept; stage.credentials().len()];
    stage.resolve(observer, &PROVIDER, &verdicts.into())
}

impl Scene {
    fn new() -> Self {
        Self::with(list_of(&["bob"]))
    }

    fn with(extension: Extension) -> Self {
        let mut peers = group_of(&["alice", "bob", "carol", "dave"]);
        let service = signer(&mut TestRng(90));
        let extensions = vec![lists_service(&service), extension];
        let extensions = NewProposal::GroupContextExtensions(extensions);
        commits(&mut peers, 0, commit_of(vec![extensions]));
        let info = peers[0].group.group_info(&PROVIDER, ALL).unwrap();
        let stage = ObserverStage::open(&PROVIDER, Config::default(), &info, None).unwrap();
        let verdicts = vec![Verdict::Accept; stage.credentials().len()];
        Self { peers, observer: stage.resolve(&verdicts).unwrap(), service }
    }

    /// Gives everybody these rules.
    fn rule(&mut self, policy: &Arc<dyn Policy>) {
        for peer in &mut self.peers {
            peer.group.public.config.policy = policy.clone();
        }
        self.observer.public.config.policy = policy.clone();
    }

    /// Delivers a valid message to everybody except some members.
    fn take(&mut self, message: &[u8], but: &[usize]) {
        let others = self.peers.iter_mut().enumerate().filter(|(place, _)| !but.contains(place));
        for (_, peer) in others {
            peer.receive(message);
        }
        let step = observed(&self.observer, message).unwrap();
        apply(&mut self.observer, step, |_| Ok::<_, Infallible>(())).unwrap();
    }

    /// Lets a member propose in the clear, and everybody cache it.
    fn pending(&mut self, who: usize, proposal: NewProposal) -> Vec<u8> {
        let message = self.peers[who].propose(proposal, &Framing::default());
        self.take(&message, &[who]);
        message
    }

    /// Checks what all members except `sender` answer to a message.
    #[track_caller]
    fn judge(&self, what: &str, sender: Option<usize>, message: &[u8], expected: Expected<'_>) {
        for (place, peer) in self.peers.iter().enumerate().filter(|(at, _)| Some(*at) != sender) {
            let before = peer.all_rows();
            let result = peer.process(message).map(|_| ()).map_err(|refused| refused.error);
            assert_eq!(peer.all_rows(), before);
            says(&format!("{what}, member {place}"), result, expected);
        }
    }

    #[track_caller]
    fn observe(&self, what: &str, message: &[u8], expected: Expected<'_>) {
        let result = observed(&self.observer, message).map(|_| ());
        says(&format!("{what}, observer"), result, expected);
    }

    fn target(&self) -> ExternalTarget {
        ExternalTarget::new(self.observer.group_id().clone(), self.observer.epoch(), SUITE)
    }
}

/// Accepted, or refused for a reason that contains these words.
type Expected<'a> = Result<(), &'a str>;

#[track_caller]
fn says(what: &str, result: Result<(), Error>, expected: Expected<'_>) {
    match (result, expected) {
        (Ok(()), Ok(())) => {}
        (Err(Error::Rejected(Rejection::RefusedByPolicy { reason })), Err(wanted)) => {
            assert!(reason.contains(wanted), "{what}: {reason}");
        }
        (other, _) => panic!("{what}: {other:?}, not {expected:?}"),
    }
}

/// Checks how everybody judges a member's proposal, in the clear and encrypted.
#[track_caller]
fn proposal_is(
    what: &str,
    rules: &(impl Policy + Clone + 'static),
    who: usize,
    new: &NewProposal,
    expected: Expected<'_>,
) {
    let policy: Arc<dyn Policy> = Arc::new(rules.clone());
    for framing in [Framing::default(), encrypted()] {
        let mut scene = Scene::new();
        scene.rule(&policy);
        let propose = |peer: &Peer| {
            peer.group.propose(&PROVIDER, &mut TestRng(3), NOW, new.clone(), &framing)
        };
        says(&format!("{what}, sent"), propose(&scene.peers[who]).map(|_| ()), expected);
        scene.peers[who].group.public.config.policy = Arc::new(Rules::default());
        let message = propose(&scene.peers[who]).unwrap().into_outcome().message;
        scene.judge(what, Some(who), &message, expected);
        if !framing.encrypt {
            scene.observe(what, &message, expected);
        }
    }
}

/// Checks how everybody judges a member's commit, in the clear and encrypted.
#[track_caller]
fn commit_is(
    what: &str,
    rules: &(impl Policy + Clone + 'static),
    who: usize,
    prepare: impl Fn(&mut Scene),
    options: &CommitOptions,
    expected: Expected<'_>,
) {
    let policy: Arc<dyn Policy> = Arc::new(rules.clone());
    for framing in [Framing::default(), encrypted()] {
        let mut scene = Scene::new();
        prepare(&mut scene);
        scene.rule(&policy);
        let options = CommitOptions { framing: framing.clone(), ..options.clone() };
        let sent = scene.peers[who].try_commit(options.clone()).map(|_| ());
        says(&format!("{what}, sent"), sent, expected);
        if expected.is_err() {
            scene.peers[who].group.public.config.policy = Arc::new(Rules::default());
        }
        let commit = scene.peers[who].commit(options).commit;
        scene.judge(what, Some(who), &commit, expected);
        if !framing.encrypt {
            scene.observe(what, &commit, expected);
        }
        // Our own commit is judged again when it is accepted.
        scene.peers[who].group.public.config.policy = policy.clone();
        let accepted = scene.peers[who]
            .group
            .commit_accepted(&PROVIDER, NOW, &pending_id(&scene.peers[who].group))
            .map(|_| ());
        says(&format!("{what}, accepted"), accepted, expected);
    }
}

fn joined_from_outside(
    scene: &Scene,
    policy: Arc<dyn Policy>,
    name: &str,
    removes: Option<LeafIndex>,
) -> Result<ExternalCommit, Error> {
    let config = Config { policy, ..Config::default() };
    let info = scene.peers[0].group.group_info(&PROVIDER, ALL).unwrap();
    let stage = ExternalJoinStage::open(&PROVIDER, config, &info, None)?;
    let verdicts = vec![Verdict::Accept; stage.credentials().len()];
    let options = ExternalJoinOptions {
        leaf: leaf_params(name),
        signer: signer(&mut TestRng(600)),
        replaces: removes,
        psks: Vec::new(),
        authenticated_data: Vec::new(),
        group_info: None,
    };
    stage.commit(&PROVIDER, &mut TestRng(601), &verdicts, options)
}

/// Checks how the joiner and everybody else judge an external commit.
#[track_caller]
fn external_is(
    what: &str,
    rules: &(impl Policy + Clone + 'static),
    name: &str,
    removes: Option<LeafIndex>,
    expected: Expected<'_>,
) {
    let policy: Arc<dyn Policy> = Arc::new(rules.clone());
    let mut scene = Scene::new();
    let sent = joined_from_outside(&scene, policy.clone(), name, removes).map(|_| ());
    says(&format!("{what}, sent"), sent, expected);
    let none = Arc::new(Rules::default());
    let made = joined_from_outside(&scene, none, name, removes).unwrap();
    scene.rule(&policy);
    scene.judge(what, None, &made.commit, expected);
    scene.observe(what, &made.commit, expected);
}

fn nothing(_: &mut Scene) {}

fn permission(actor: Actor, action: Action) -> Permission {
    Permission { actor, action }
}

fn is_bob(credential: &Credential) -> bool {
    credential.identity() == Some(b"bob")
}

fn bobs() -> Actor {
    Actor::Credentials(vec![Credential::basic(b"bob")])
}

fn add(name: &str, seed: u64) -> NewProposal {
    NewProposal::Add(valid(&key_package(name, seed)))
}

fn reinit(extensions: Vec<Extension>) -> NewProposal {
    NewProposal::ReInit(ReInit {
        group_id: b"next".as_slice().into(),
        version: ProtocolVersion::MLS_1_0,
        cipher_suite: SUITE,
        extensions,
    })
}

/// Commits the received proposals.
fn received() -> CommitOptions {
    CommitOptions::default()
}

/// Commits only these, by value.
fn only(proposals: Vec<NewProposal>) -> CommitOptions {
    CommitOptions { received: false, ..commit_of(proposals) }
}

const MAY_NOT_PROPOSE: Expected<'_> = Err("may not propose");
const MAY_NOT_COMMIT: Expected<'_> = Err("may not commit");
const LEFT_OUT: Expected<'_> = Err("is left out");

#[test]
fn rules_name_who_may_propose_and_commit() {
    let remove = NewProposal::Remove(CAROL);
    let matching = |name: &'static str, test| Actor::Matching { name, test };
    for (actor, alice, bob, service, joiner, returning) in [
        (Actor::Everyone, true, true, true, true, true),
        (Actor::Members, true, true, false, false, false),
        (bobs(), false, true, false, false, false),
        (Actor::Credentials(Vec::new()), false, false, false, false, false),
        (matching("bob", is_bob), false, true, false, false, false),
        (matching("all", |_| true), true, true, false, false, false),
        (Actor::ListedIn(CUSTOM), false, true, false, false, false),
        (Actor::ListedIn(ExtensionType(0xf0ad)), false, false, false, false, false),
        // An extension with something else in it.
        (Actor::ListedIn(ExtensionType::EXTERNAL_SENDERS), false, false, false, false, false),
        (Actor::ExternalSenders, false, false, true, false, false),
        (Actor::Joiners, false, false, false, true, true),
        (Actor::Returning, false, false, false, false, true),
    ] {
        let what = format!("{actor:?}");
        let may = |allowed, refused: Expected<'static>| if allowed { Ok(()) } else { refused };
        let everything = vec![permission(actor, Action::Everything)];
        let propose = Rules { propose: everything.clone(), ..Rules::default() };
        let commit = Rules { commit: everything, ..Rules::default() };
        for (place, allowed) in [(0, alice), (1, bob)] {
            proposal_is(&what, &propose, place, &remove, may(allowed, MAY_NOT_PROPOSE));
            let by_value = only(vec![remove.clone()]);
            commit_is(&what, &propose, place, nothing, &by_value, may(allowed, MAY_NOT_PROPOSE));
            commit_is(&what, &commit, place, nothing, &by_value, may(allowed, MAY_NOT_COMMIT));
            // A commit that only renews keys holds no proposal.
            commit_is(&what, &propose, place, nothing, &only(Vec::new()), Ok(()));
            let keys = only(Vec::new());
            commit_is(&what, &commit, place, nothing, &keys, may(allowed, MAY_NOT_COMMIT));
        }
        external_is(&what, &propose, "eve", None, may(joiner, MAY_NOT_PROPOSE));
        external_is(&what, &commit, "eve", None, may(joiner, MAY_NOT_COMMIT));
        let carol = Some(CAROL);
        external_is(&what, &propose, "carol", carol, may(returning, MAY_NOT_PROPOSE));
        external_is(&what, &commit, "carol", carol, may(returning, MAY_NOT_COMMIT));
        let mut scene = Scene::new();
        scene.rule(&(Arc::new(propose) as Arc<dyn Policy>));
        let target = scene.target();
        let service_key = &scene.service;
        let sent = target.propose(&PROVIDER, 0, service_key, Proposal::Remove(CAROL)).unwrap();
        scene.judge(&what, None, &sent, may(service, MAY_NOT_PROPOSE));
        scene.observe(&what, &sent, may(service, MAY_NOT_PROPOSE));
        let sent = target.propose_self(&PROVIDER, NOW, &key_package("eve", 50)).unwrap();
        scene.judge(&what, None, &sent, may(joiner, MAY_NOT_PROPOSE));
        scene.observe(&what, &sent, may(joiner, MAY_NOT_PROPOSE));
    }
}

#[test]
fn rules_name_what_may_be_proposed_and_committed() {
    let remove = NewProposal::Remove(CAROL);
    let add = add("eve", 50);
    let types = |types: &[ProposalType]| Action::Types(types.to_vec());
    for (action, removes, adds) in [
        (Action::Everything, true, true),
        (types(&[ProposalType::REMOVE]), true, false),
        (types(&[ProposalType::ADD, ProposalType::REMOVE]), true, true),
        (types(&[]), false, false),
    ] {
        let name = format!("{action:?}");
        let may = |allowed, refused: Expected<'static>| if allowed { Ok(()) } else { refused };
        let members = vec![permission(Actor::Members, action)];
        let propose = Rules { propose: members.clone(), ..Rules::default() };
        let commit = Rules { commit: members, ..Rules::default() };
        proposal_is(&name, &propose, 0, &remove, may(removes, MAY_NOT_PROPOSE));
        proposal_is(&name, &propose, 0, &add, may(adds, MAY_NOT_PROPOSE));
        for (list, allowed) in [
            (vec![remove.clone()], removes),
            (vec![add.clone()], adds),
            (vec![remove.clone(), add.clone()], removes && adds),
            (vec![], true),
        ] {
            let options = only(list);
            commit_is(&name, &commit, 0, nothing, &options, may(allowed, MAY_NOT_COMMIT));
            commit_is(&name, &propose, 0, nothing, &options, may(allowed, MAY_NOT_PROPOSE));
        }
    }

    // Several permissions add up. External commits need their own.
    let commit = vec![
        permission(bobs(), types(&[ProposalType::ADD])),
        permission(Actor::Members, types(&[ProposalType::REMOVE])),
        permission(Actor::Joiners, types(&[ProposalType::EXTERNAL_INIT])),
    ];
    let rules = Rules { commit, ..Rules::default() };

    let both = only(vec![remove, add]);
    commit_is("bob", &rules, 1, nothing, &both, Ok(()));
    commit_is("alice", &rules, 0, nothing, &both, MAY_NOT_COMMIT);
    external_is("joins", &rules, "eve", None, Ok(()));
    external_is("replaces", &rules, "carol", Some(CAROL), MAY_NOT_COMMIT);
}

#[test]
fn a_committer_leaves_out_what_it_may_not_commit() {
    let commit = vec![
        permission(bobs(), Action::Everything),
        permission(Actor::Members, Action::Types(vec![ProposalType::ADD, ProposalType::UPDATE])),
    ];
    for cover_all_pending in [false, true] {
        let mut scene = Scene::new();
        scene.rule(
            &(Arc::new(Rules { commit: commit.clone(), cover_all_pending, ..Rules::default() })
                as Arc<dyn Policy>),
        );
        scene.pending(2, add("eve", 50));
        scene.pending(1, NewProposal::Remove(LeafIndex(3)));
        scene.pending(2, NewProposal::GroupContextExtensions(Vec::new()));
        scene.pending(3, add("fay", 51));
        let commit = scene.peers[0].commit(received()).commit;
        scene.take(&commit, &[0]);
        let change = scene.peers[0].accepted();
        assert_eq!((change.added.len(), change.removed.len()), (2, 0));
        agree(&scene.peers);
    }
}

#[test]
fn rules_can_demand_proposals_by_reference() {
    let rules = Rules { by_reference_only: true, ..Rules::default() };
    let hidden: Expected<'_> = Err("by reference only");
    let remove = || NewProposal::Remove(CAROL);
    let proposed = |scene: &mut Scene| {
        scene.pending(1, remove());
    };
    commit_is("by value", &rules, 0, nothing, &only(vec![remove()]), hidden);
    commit_is("by reference", &rules, 0, proposed, &received(), Ok(()));

    let both = commit_of(vec![add("eve", 50)]);
    commit_is("both", &rules, 0, proposed, &both, hidden);
    commit_is("keys", &rules, 0, nothing, &only(Vec::new()), Ok(()));
    external_is("joins", &rules, "eve", None, Ok(()));
    external_is("replaces", &rules, "carol", Some(CAROL), Ok(()));
}

#[test]
fn a_by_reference_group_can_be_created_and_replaced() {
    let rules = Rules { by_reference_only: true, ..Rules::default() };
    let mut peers = group_with(&["alice", "bob"], config_of(rules.clone()));
    let message = peers[1].propose(reinit(Vec::new()), &Framing::default());
    peers[0].receive(&message);
    commits(&mut peers, 0, received());
    // The PSK of the link cannot be sent before: nobody is there.
    let mut next = Peer::found_with("alice", config_of(rules), b"next");
    let bob = key_package("bob", 60);
    let link = Some(peers[0].group.reinit_link().unwrap());
    let options = commit_of(vec![NewProposal::Add(valid(&bob))]);
    next.commit(CommitOptions { link, ..options });
    assert_eq!(next.accepted().epoch, Epoch(1));
}

#[test]
fn immutable_extensions_stay_as_they_are() {
    let immutable_extensions = vec![ExtensionType::EXTERNAL_SENDERS, ExtensionType(0xf00f)];
    let rules = Rules { immutable_extensions, ..Rules::default() };
    let stays: Expected<'_> = Err("may not change");
    let service = lists_service(&Scene::new().service);
    let other = lists_service(&signer(&mut TestRng(91)));
    let custom = || custom_extensions().remove(0);

    for (what, extensions, expected) in [
        ("same", vec![service.clone(), custom()], Ok(())),
        ("same alone", vec![service.clone()], Ok(())),
        ("gone", vec![custom()], stays),
        ("none", vec![], stays),
        ("another", vec![other, custom()], stays),
    ] {
        let context = NewProposal::GroupContextExtensions(extensions.clone());
        for proposal in [context, reinit(extensions)] {
            proposal_is(what, &rules, 1, &proposal, expected);
            commit_is(what, &rules, 1, nothing, &only(vec![proposal]), expected);
        }
    }

    // An absent extension must stay absent.
    let rules = Rules { immutable_extensions: vec![CUSTOM], ..Rules::default() };
    let mut peers = group_with(&["alice", "bob"], config_of(rules));
    let options = commit_of(vec![NewProposal::GroupContextExtensions(custom_extensions())]);
    says("new", peers[0].try_commit(options).map(|_| ()), stays);
}

#[test]
fn rules_can_keep_a_members_credential() {
    let rules = Rules { keep_identity: true, ..Rules::default() };
    let policy: Arc<dyn Policy> = Arc::new(rules.clone());
    let keep: Expected<'_> = Err("must keep");
    for (name, expected) in [("carol", Ok(())), ("mallory", keep)] {
        let change = LeafUpdate { params: leaf_params(name), signer: signer(&mut TestRng(70)) };
        let leaf = Some(change.clone());
        let options = CommitOptions { leaf, ..CommitOptions::default() };
        commit_is(name, &rules, 2, nothing, &options, expected);
        external_is(name, &rules, name, Some(CAROL), expected);
        external_is(name, &rules, name, None, Ok(()));
        let mut scene = Scene::new();
        let update = |peer: &Peer| {
            let rng = &mut TestRng(3);
            let change = Some(change.clone());
            peer.group.propose_update(&PROVIDER, rng, change, &Framing::default())
        };
        let message = update(&scene.peers[2]).unwrap().into_outcome().message;
        scene.rule(&policy);
        says(name, update(&scene.peers[2]).map(|_| ()), expected);
        scene.judge(name, Some(2), &message, expected);
        scene.observe(name, &message, expected);
    }
}

#[test]
fn rules_can_demand_that_all_pending_proposals_are_covered() {
    let rules = Rules { cover_all_pending: true, ..Rules::default() };
    let remove = NewProposal::Remove;
    type Pending = Vec<(usize, NewProposal)>;
    let extensions = || NewProposal::GroupContextExtensions(custom_extensions());
    let psk = || NewProposal::ExternalPsk { psk_id: b"?".as_slice().into() };
    let cases: Vec<(&str, Pending, Vec<NewProposal>, Expected<'_>)> = vec![
        ("nothing is pending", vec![], vec![], Ok(())),
        ("left out", vec![(1, remove(CAROL))], vec![], LEFT_OUT),
        ("another leaf", vec![(1, remove(CAROL))], vec![remove(LeafIndex(3))], LEFT_OUT),
        ("same leaf", vec![(1, remove(CAROL))], vec![remove(CAROL)], Ok(())),
        ("the committer", vec![(1, remove(LeafIndex(0)))], vec![], Ok(())),
        ("an Add", vec![(1, add("eve", 50))], vec![add("fay", 51)], LEFT_OUT),
        ("the same Add", vec![(1, add("eve", 50))], vec![add("eve", 50)], Ok(())),
        ("by who goes", vec![(2, add("eve", 50))], vec![remove(CAROL)], Ok(())),
        ("by who stays", vec![(1, add("eve", 50))], vec![remove(CAROL)], LEFT_OUT),
        ("extensions", vec![(1, extensions())], vec![remove(CAROL)], LEFT_OUT),
        (
            "other extensions",
            vec![(1, extensions())],
            vec![NewProposal::GroupContextExtensions(Vec::new())],
            Ok(()),
        ),
        ("a ReInit", vec![(1, reinit(Vec::new()))], vec![], LEFT_OUT),
        ("not a ReInit", vec![(1, reinit(Vec::new()))], vec![remove(CAROL)], Ok(())),
        ("the group ends", vec![(1, remove(CAROL))], vec![reinit(Vec::new())], Ok(())),
        ("a PSK", vec![(1, psk())], vec![], Ok(())),
    ];

    for (what, pending, committed, expected) in cases {
        let prepare = |scene: &mut Scene| {
            for (who, proposal) in pending.clone() {
                scene.pending(who, proposal);
            }
        };
        commit_is(what, &rules, 0, prepare, &only(committed), expected);
        commit_is(what, &rules, 0, prepare, &received(), Ok(()));
    }

    // Updates. The committer's own cannot be in its commit.
    for (who, committed, expected) in [
        (0, vec![], Ok(())),
        (2, vec![], LEFT_OUT),
        (2, vec![remove(CAROL)], Ok(())),
        (2, vec![remove(BOB)], LEFT_OUT),
    ] {
        let prepare = |scene: &mut Scene| {
            let update = scene.peers[who].propose_update(None, &Framing::default());
            scene.take(&update, &[who]);
        };
        commit_is("an Update", &rules, 0, prepare, &only(committed), expected);
        commit_is("an Update", &rules, 0, prepare, &received(), Ok(()));
    }
    external_is("who joins cannot", &rules, "eve", None, Ok(()));
}

#[test]
fn an_update_does_not_cover_a_removal() {
    let mut scene = Scene::new();
    let update = scene.peers[2].propose_update(None, &Framing::default());
    scene.take(&update, &[2]);
    // Alice has not seen it.
    let remove = scene.peers[1].propose(NewProposal::Remove(CAROL), &Framing::default());
    scene.take(&remove, &[0, 1]);
    let commit = scene.peers[0].commit(received()).commit;
    let rules = Rules { cover_all_pending: true, ..Rules::default() };
    scene.rule(&(Arc::new(rules) as Arc<dyn Policy>));
    scene.judge("an Update", Some(0), &commit, LEFT_OUT);
    scene.observe("an Update", &commit, LEFT_OUT);
}

#[test]
fn an_update_does_not_cover_another_members_update() {
    let mut scene = Scene::new();
    // Alice sees only Bob's.
    for (who, but) in [(1, vec![1]), (2, vec![0, 2])] {
        let update = scene.peers[who].propose_update(None, &Framing::default());
        scene.take(&update, &but);
    }
    let commit = scene.peers[0].commit(received()).commit;
    let rules = Rules { cover_all_pending: true, ..Rules::default() };
    scene.rule(&(Arc::new(rules) as Arc<dyn Policy>));
    scene.judge("an Update", Some(0), &commit, LEFT_OUT);
    scene.observe("an Update", &commit, LEFT_OUT);
}

#[test]
fn a_commit_overtaken_by_a_proposal_is_given_up_by_its_committer() {
    let rules = Rules { cover_all_pending: true, ..Rules::default() };
    let mut scene = Scene::new();
    scene.rule(&(Arc::new(rules) as Arc<dyn Policy>));
    let commit = scene.peers[0].commit(received()).commit;
    scene.pending(1, NewProposal::Remove(CAROL));
    scene.judge("overtaken", None, &commit, LEFT_OUT);
    scene.observe("overtaken", &commit, LEFT_OUT);
    scene.peers[0].rejected();
    let commit = scene.peers[0].commit(received()).commit;
    scene.take(&commit, &[0]);
    assert_eq!(scene.peers[0].accepted().removed.len(), 1);
}

#[test]
fn no_proposal_can_block_a_group_that_covers_all_pending() {
    let rules = Rules { cover_all_pending: true, ..Rules::default() };
    let mut scene = Scene::new();
    scene.rule(&(Arc::new(rules) as Arc<dyn Policy>));

    // This Update is valid alone, but not in the tree.
    let bad = scene.peers[2].update_with_key_of(LeafIndex(3));
    scene.take(&bad, &[]);
    scene.pending(1, add("eve", 50));

    // Nobody supports these extensions, and nobody has this PSK.
    let alien = Extension { extension_type: ExtensionType(0xf0f0), extension_data: [1].into() };
    scene.pending(2, NewProposal::GroupContextExtensions(vec![alien]));
    scene.pending(2, NewProposal::ExternalPsk { psk_id: b"?".as_slice().into() });
    scene.pending(1, NewProposal::Remove(LeafIndex(3)));
    let step = scene.peers[0].try_commit(only(Vec::new()));
    says("all left out", step.map(|_| ()), LEFT_OUT);

    let commit = scene.peers[0].commit(received()).commit;
    // Carol has no key for her Update.
    scene.take(&commit, &[0, 2]);
    let change = scene.peers[0].accepted();

    // Dave's key is free once Dave is removed, so the Update is valid.
    assert_eq!((change.added.len(), change.removed.len(), change.updated.len()), (1, 1, 1));
    assert!(!change.extensions_changed);
}

/// An application's own policy: no commit both adds and removes, and nobody is named mallory.
#[derive(Clone, Debug)]
struct Own;

impl Policy for Own {
    fn proposal(&self, group: GroupView<'_>, proposal: Proposed<'_>) -> Verdict {
        assert_eq!(group.context().group_id, b"a group".as_slice().into());
        match proposal.proposal {
            Proposal::Add(kp) if kp.leaf_node.credential == Credential::basic(b"mallory") => {
                Verdict::refuse("not mallory")
            }
            _ => Verdict::Accept,
        }
    }

    fn commit(&self, group: GroupView<'_>, commit: &ProposedCommit<'_>) -> Verdict {
        let has = |t| commit.proposals.iter().any(|item| item.proposal.proposal_type() == t);
        assert!(group.proposals().count() <= 4);
        if has(ProposalType::ADD) && has(ProposalType::REMOVE) {
            Verdict::refuse("one thing at a time")
        } else {
            Verdict::Accept
        }
    }
}

#[test]
fn an_application_can_write_its_own_policy() {
    let mut scene = Scene::new();
    let own: Arc<dyn Policy> = Arc::new(Own);
    let mallory = || add("mallory", 50);
    let bad = scene.peers[1].group.propose(
        &PROVIDER,
        &mut TestRng(3),
        NOW,
        mallory(),
        &Framing::default(),
    );

    let message = bad.unwrap().into_outcome().message;
    let both = only(vec![add("eve", 51), NewProposal::Remove(CAROL)]);
    let commit = scene.peers[1].commit(both.clone()).commit;
    scene.peers[1].rejected();
    scene.rule(&own);
    scene.judge("mallory", Some(1), &message, Err("not mallory"));
    scene.observe("mallory", &message, Err("not mallory"));

    let sent = scene.peers[1].try_commit(only(vec![mallory()]));
    says("mallory", sent.map(|_| ()), Err("not mallory"));
    scene.judge("both", Some(1), &commit, Err("one thing"));
    scene.observe("both", &commit, Err("one thing"));
    says("both", scene.peers[1].try_commit(both).map(|_| ()), Err("one thing"));

    // Received proposals that conflict do not keep anybody from committing some of them.
    for seed in [52, 53] {
        scene.pending(1, add("frank", seed));
        scene.pending(2, NewProposal::Remove(LeafIndex(seed as u32 - 50)));
    }

    let commit = scene.peers[0].commit(received()).commit;
    scene.take(&commit, &[0]);
    let change = scene.peers[0].accepted();
    assert_eq!((change.added.len(), change.removed.len()), (0, 2));
}

#[test]
fn a_commit_without_its_misfits_is_judged_like_any_other() {
    let mut scene = Scene::new();
    scene.rule(&(Arc::new(Own) as Arc<dyn Policy>));
    scene.pending(1, add("frank", 50));
    scene.pending(1, NewProposal::Remove(LeafIndex(3)));
    let bad = scene.peers[2].update_with_key_of(BOB);
    scene.take(&bad, &[]);
    let commit = scene.peers[0].commit(received()).commit;
    scene.take(&commit, &[0]);
    let change = scene.peers[0].accepted();
    assert_eq!((change.added.len(), change.removed.len(), change.updated.len()), (0, 1, 0));
}

#[test]
fn a_policy_that_cannot_be_met_says_why_and_changes_nothing() {
    let commit = vec![permission(bobs(), Action::Everything)];
    let rules: Arc<dyn Policy> = Arc::new(Rules { commit, ..Rules::default() });
    let mut scene = Scene::new();
    scene.rule(&rules);
    scene.pending(3, NewProposal::Remove(CAROL));
    let before = scene.peers[0].all_rows();
    says("alice", scene.peers[0].try_commit(received()).map(|_| ()), MAY_NOT_COMMIT);
    assert_eq!(scene.peers[0].all_rows(), before);
    let commit = scene.peers[1].commit(received()).commit;
    scene.judge("bob", Some(1), &commit, Ok(()));
}

#[test]
fn a_group_loads_only_under_the_policy_it_was_stored_under() {
    let commit = vec![permission(Actor::ExternalSenders, Action::Everything)];
    let strict = || config_of(Rules { commit: commit.clone(), ..Rules::default() });
    let mut peers = group_of(&["alice", "bob"]);
    let load = |peer: &Peer, config| Group::load(&PROVIDER, config, peer.rows.clone());
    let other = Some(Error::from(Misuse::OtherPolicy));

    // The policy changes only if the application says so.
    assert_eq!(load(&peers[0], strict()).err(), other);
    let adopt = Config { adopt_policy: true, ..strict() };
    peers[0].group = load(&peers[0], adopt).unwrap();
    says("loaded", peers[0].try_commit(received()).map(|_| ()), MAY_NOT_COMMIT);

    // The new policy is stored with the next epoch, and required from then on.
    let commit = peers[1].commit(CommitOptions::default()).commit;
    let lax = permission(Actor::Members, Action::Everything);
    let lax = || config_of(Rules { commit: vec![lax.clone()], ..Rules::default() });
    peers[0].group = load(&peers[0], Config { adopt_policy: true, ..lax() }).unwrap();
    peers[0].receive(&commit);
    assert_eq!(load(&peers[0], Config::default()).err(), other);
    assert_eq!(load(&peers[0], strict()).err(), other);
    peers[0].group = load(&peers[0], lax()).unwrap();
    peers[0].check();

    // A group that has lost its policy's name does not load as one without a policy.
    let mut lost = peers[0].rows.clone();
    lost.remove(&RowKey::new(Table::Policy, 0)).unwrap();
    let loaded = Group::load(&PROVIDER, Config::default(), lost).map(drop);
    assert!(matches!(loaded, Err(Error::Storage(_))), "{loaded:?}");

    // The same holds for an observer. An empty policy can be adopted too.
    let observer = peers[0].group.group_info(&PROVIDER, ALL).unwrap();
    let stage = ObserverStage::open(&PROVIDER, lax(), &observer, None).unwrap();
    let observer = stage.resolve(&[Verdict::Accept, Verdict::Accept]).unwrap();
    let mut rows = Rows::new();
    observer.rows().unwrap().apply_to(&mut rows);
    let load = |config| Observer::load(&PROVIDER, config, rows.clone()).map(drop);
    assert_eq!(load(Config::default()).err(), other);
    load(lax()).unwrap();
    load(Config { adopt_policy: true, ..Config::default() }).unwrap();
}

#[test]
fn a_requirement_that_only_a_path_meets_excuses_no_omission() {
    const NEW: ExtensionType = ExtensionType(0xf0e1);
    let rules = Rules { cover_all_pending: true, ..Rules::default() };
    let strict = config_of(rules);
    let able = |name: &str| {
        let mut leaf = leaf_params(name);
        leaf.capabilities.extensions.push(NEW);
        leaf
    };

    let mut peers = vec![Peer::found_with("alice", strict.clone(), b"a group")];
    let owns = ["bob", "carol"].map(|name| {
        let seed = name.len() as u64;
        key_package_of(able(name), &mut TestRng(seed))
    });
    let adds = owns.iter().map(|own| NewProposal::Add(valid(own))).collect();
    let messages = peers[0].commit(commit_of(adds));
    peers[0].accepted();

    for own in &owns {
        peers.push(Peer::join(&messages.welcomes[0].message, own, strict.clone(), 9));
    }

    let removal = peers[1].propose(NewProposal::Remove(CAROL), &Framing::default());
    deliver(&mut peers, 1, &removal);

    // Alice, who has no rules, requires what her old leaf does not support, and leaves the
    // removal out.
    let lawless = Config { adopt_policy: true, ..Config::default() };
    peers[0].group = Group::load(&PROVIDER, lawless, peers[0].rows.clone()).unwrap();
    let required = RequiredCapabilities {
        extension_types: vec![NEW],
        proposal_types: Vec::new(),
        credential_types: Vec::new(),
    };

    let required = Extension::new(ExtensionType::REQUIRED_CAPABILITIES, &required).unwrap();
    let signer = peers[0].group.signer.clone();
    let commit = peers[0].commit(CommitOptions {
        received: false,
        leaf: Some(LeafUpdate { params: able("alice"), signer }),
        ..commit_of(vec![NewProposal::GroupContextExtensions(vec![required])])
    });

    let refused = rejection(peers[1].error(&commit.commit));
    assert!(matches!(refused, Rejection::RefusedByPolicy { .. }), "{refused}");
}

#[test]
fn a_list_of_credentials_changes_with_its_extension() {
    let admins = vec![permission(Actor::ListedIn(CUSTOM), Action::Everything)];
    let rules = Rules { propose: admins.clone(), commit: admins, ..Rules::default() };
    let list = |scene: &Scene, names: &[&str]| {
        let extensions = vec![lists_service(&scene.service), list_of(names)];
        only(vec![NewProposal::GroupContextExtensions(extensions)])
    };
    let mut scene = Scene::new();
    scene.rule(&(Arc::new(rules) as Arc<dyn Policy>));

    // Nobody can add itself to the list. The current list counts until it has changed.
    let own = list(&scene, &["alice", "bob"]);
    says("alice", scene.peers[0].try_commit(own).map(|_| ()), MAY_NOT_PROPOSE);
    let handed_over = list(&scene, &["alice"]);
    let commit = scene.peers[1].commit(handed_over).commit;
    scene.take(&commit, &[1]);
    scene.peers[1].accepted();
    let keys = || only(Vec::new());
    says("bob", scene.peers[1].try_commit(keys()).map(|_| ()), MAY_NOT_COMMIT);
    let commit = scene.peers[0].commit(keys()).commit;
    scene.take(&commit, &[0]);
    scene.peers[0].accepted();
    agree(&scene.peers);
}

#[test]
fn a_malformed_list_of_credentials_allows_nobody() {
    let remove = NewProposal::Remove(CAROL);
    let admins = vec![permission(Actor::ListedIn(CUSTOM), Action::Everything)];
    let rules = Rules { propose: admins, ..Rules::default() };
    let mut cut = list_of(&["alice", "bob"]);
    cut.extension_data = cut.extension_data[..cut.extension_data.len() - 1].into();
    let empty = Extension { extension_type: CUSTOM, extension_data: [0].into() };

    for malformed in [cut, custom_extensions().remove(0)] {
        // Rules refuse it.
        for proposal in [
            NewProposal::GroupContextExtensions(vec![malformed.clone()]),
            reinit(vec![malformed.clone()]),
        ] {
            let no_list = Err("is no list of credentials");
            proposal_is("malformed", &rules, 1, &proposal, no_list);
            commit_is("malformed", &rules, 1, nothing, &only(vec![proposal]), no_list);
        }
        // If the group has it already, it lists nobody.
        let mut scene = Scene::with(malformed);
        let message = scene.peers[1].propose(remove.clone(), &Framing::default());
        scene.rule(&(Arc::new(rules.clone()) as Arc<dyn Policy>));
        scene.judge("malformed", Some(1), &message, MAY_NOT_PROPOSE);
        scene.observe("malformed", &message, MAY_NOT_PROPOSE);
        let sent = scene.peers[1].try_commit(only(vec![remove.clone()])).map(|_| ());
        says("malformed", sent, MAY_NOT_PROPOSE);
    }

    // The admins may empty or remove the list.
    for extensions in [vec![empty], Vec::new()] {
        let proposal = NewProposal::GroupContextExtensions(extensions);
        proposal_is("empty", &rules, 1, &proposal, Ok(()));
    }
}

/// Lets nobody commit proposals of a type.
#[derive(Clone, Debug)]
struct Without(ProposalType);

impl Policy for Without {
    fn id(&self) -> Vec<u8> {
        vec![self.0.0 as u8]
    }

    fn committable(&self, _: GroupView<'_>, _: Sender, proposal: Proposed<'_>) -> Verdict {
        if proposal.proposal.proposal_type() == self.0 {
            Verdict::refuse("without")
        } else {
            Verdict::Accept
        }
    }

    fn commit(&self, group: GroupView<'_>, commit: &ProposedCommit<'_>) -> Verdict {
        let verdicts =
            commit.proposals.iter().map(|item| self.committable(group, commit.sender, *item));
        verdicts.into_iter().find(|verdict| *verdict != Verdict::Accept).unwrap_or(Verdict::Accept)
    }
}

#[test]
fn rules_and_another_policy_refuse_what_either_refuses() {
    let everything = || vec![permission(bobs(), Action::Everything)];
    let remove = NewProposal::Remove(CAROL);
    let own = Rules { propose: everything(), ..Rules::default() }.and(Own);
    proposal_is("neither", &own, 1, &remove, Ok(()));
    proposal_is("rules", &own, 0, &remove, MAY_NOT_PROPOSE);
    proposal_is("own", &own, 1, &add("mallory", 50), Err("not mallory"));

    let both = only(vec![add("eve", 51), remove.clone()]);
    commit_is("own", &own, 1, nothing, &both, Err("one thing"));
    external_is("rules", &own, "eve", None, MAY_NOT_PROPOSE);

    let without = Without(ProposalType::ADD);
    let limited = Rules { commit: everything(), ..Rules::default() }.and(without);
    commit_is("neither", &limited, 1, nothing, &only(vec![remove.clone()]), Ok(()));
    commit_is("rules", &limited, 0, nothing, &only(vec![remove.clone()]), MAY_NOT_COMMIT);
    commit_is("other", &limited, 1, nothing, &only(vec![add("eve", 51)]), Err("without"));

    let third = limited.and(Without(ProposalType::REMOVE));
    commit_is("third", &third, 1, nothing, &only(vec![remove.clone()]), Err("without"));

    // Received proposals that one of the two does not let a member commit are left out.
    let joiners = vec![permission(Actor::Everyone, Action::Types(vec![ProposalType::ADD]))];
    for policy in [
        Arc::new(Rules::default().and(Without(ProposalType::REMOVE))) as Arc<dyn Policy>,
        Arc::new(Rules { commit: joiners, ..Rules::default() }.and(Own)),
    ] {
        let mut scene = Scene::new();
        let proposal = Proposal::Remove(LeafIndex(3));
        let sender = Sender::Member(CAROL);
        let item = Proposed { sender, proposal: &proposal, by_reference: true };
        let group = scene.peers[0].group.view();
        let verdict = policy.committable(group, Sender::Member(LeafIndex(0)), item);
        assert!(matches!(verdict, Verdict::Refuse(_)), "{policy:?}");
        scene.rule(&policy);
        scene.pending(1, add("eve", 51));
        scene.pending(2, NewProposal::Remove(LeafIndex(3)));
        let commit = scene.peers[0].commit(received()).commit;
        scene.take(&commit, &[0]);
        let change = scene.peers[0].accepted();
        assert_eq!((change.added.len(), change.removed.len()), (1, 0));
    }
}

#[test]
fn each_set_of_rules_has_its_own_name() {
    let may = |actor| vec![permission(actor, Action::Everything)];
    let proposes = |actor| Rules { propose: may(actor), ..Rules::default() };
    let matching = |name: &'static str| Actor::Matching { name, test: is_bob };
    let named: Vec<Vec<u8>> = vec![
        proposes(Actor::Everyone).id(),
        proposes(Actor::Members).id(),
        proposes(bobs()).id(),
        proposes(Actor::Credentials(Vec::new())).id(),
        proposes(matching("a")).id(),
        proposes(matching("b")).id(),
        proposes(Actor::ListedIn(CUSTOM)).id(),
        proposes(Actor::ListedIn(ExtensionType(0xf0ad))).id(),
        proposes(Actor::ExternalSenders).id(),
        proposes(Actor::Joiners).id(),
        proposes(Actor::Returning).id(),
        Rules { commit: may(Actor::Everyone), ..Rules::default() }.id(),
        Rules { keep_identity: true, ..Rules::default() }.id(),
        Rules { cover_all_pending: true, ..Rules::default() }.id(),
        Rules { by_reference_only: true, ..Rules::default() }.id(),
        Rules { immutable_extensions: vec![CUSTOM], ..Rules::default() }.id(),
        // Two policies together, in either order.
        proposes(bobs()).and(Lax).id(),
        proposes(bobs()).and(Without(ProposalType::ADD)).id(),
        proposes(bobs()).and(Without(ProposalType::UPDATE)).id(),
        proposes(matching("a")).and(Without(ProposalType::ADD)).id(),
        AllOf::new(Without(ProposalType::ADD), proposes(bobs())).id(),
        Rules::default().and(Without(ProposalType::ADD)).id(),
        AllOf::new(Without(ProposalType::ADD), Lax).id(),
    ];

    for (place, name) in named.iter().enumerate() {
        assert!(!name.is_empty(), "{place}");
        let same: Vec<usize> = (0..named.len()).filter(|other| named[*other] == *name).collect();
        assert_eq!(same, [place]);
    }
    assert_eq!(Rules::default().and(Lax).id(), Vec::<u8>::new());

    // Tests are compared by name.
    let other = Actor::Matching { name: "a", test: |_| false };
    assert_eq!(proposes(matching("a")).id(), proposes(other.clone()).id());
    assert_eq!(other, matching("a"));
    assert_ne!(other, matching("b"));

    // A group under two policies does not load under one of them.
    let two = || proposes(bobs()).and(Without(ProposalType::ADD));
    let peer = Peer::found_with("alice", config_of(two()), b"a group");
    let load = |config| Group::load(&PROVIDER, config, peer.rows.clone()).map(drop);
    assert_eq!(load(config_of(proposes(bobs()))), Err(Misuse::OtherPolicy.into()));
    assert_eq!(load(config_of(two())), Ok(()));
}

/// Overrides nothing.
#[derive(Debug)]
struct Lax;

impl Policy for Lax {}

#[test]
fn a_policy_that_overrides_nothing_allows_everything() {
    let mut peers = group_with(&["alice", "bob", "carol"], config_of(Lax));
    let removal = peers[1].propose(NewProposal::Remove(CAROL), &Framing::default());
    deliver(&mut peers[..2], 1, &removal);
    commits(&mut peers[..2], 0, CommitOptions::default());
    assert_eq!(peers[1].group.members().count(), 2);
    let dave = key_package("dave", 77);
    commits(&mut peers[..2], 1, commit_of(vec![NewProposal::Add(valid(&dave))]));
    agree(&peers[..2]);
    // It prints the group's identifier only.
    let shown = format!("{:?}", peers[0].group.view());
    assert_eq!(shown, format!("GroupView({:?})", peers[0].group.group_id()));
}
