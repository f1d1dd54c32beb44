//! The application's rules: judged alike by who sends, who receives and who observes.

use super::fixture::*;
use crate::rows::{RowKey, Table};
use crate::{
    CommitOptions, Config, Error, Event, ExternalCommit, ExternalJoinOptions, ExternalJoinStage,
    ExternalTarget, Framing, Group, GroupInfoOptions, GroupView, LeafUpdate, Misuse, NewProposal,
    Observer, ObserverStage, Permission, Policy, Proposed, ProposedCommit, Rejection, Rules,
    Verdict, What, Who, apply,
};
use alloc::format;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use conclave_crypto::SignatureKeyPair;
use conclave_wire::{
    Credential, Epoch, Extension, ExtensionType, ExternalSender, LeafIndex, Proposal, ProposalType,
    ProtocolVersion, ReInit, RequiredCapabilities,
};
use core::convert::Infallible;

const ALL: GroupInfoOptions = GroupInfoOptions { ratchet_tree: true, external_pub: true };
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

/// Alice, bob, carol and dave, an observer, and a service that may send proposals.
struct Scene {
    peers: Vec<Peer>,
    observer: Observer,
    service: SignatureKeyPair,
}

fn observed(observer: &Observer, message: &[u8]) -> Result<crate::Transition<Observer>, Error> {
    let stage = observer.process(&PROVIDER, message)?;
    let verdicts = vec![Verdict::Accept; stage.credentials().len()];
    stage.resolve(observer, &PROVIDER, &verdicts)
}

impl Scene {
    fn new() -> Self {
        let mut peers = group_of(&["alice", "bob", "carol", "dave"]);
        let service = signer(&mut TestRng(90));
        let extensions = vec![lists_service(&service), custom_extensions().remove(0)];
        let extensions = NewProposal::GroupContextExtensions(extensions);
        commits(&mut peers, 0, commit_of(vec![extensions]));
        let info = peers[0].group.group_info(&PROVIDER, ALL).unwrap();
        let stage = ObserverStage::open(&PROVIDER, Config::default(), &info, None).unwrap();
        let verdicts = vec![Verdict::Accept; stage.credentials().len()];
        Self { peers, observer: stage.resolve(&verdicts).unwrap(), service }
    }

    /// All have these rules from now on.
    fn rule(&mut self, policy: &Arc<dyn Policy>) {
        for peer in &mut self.peers {
            peer.group.public.config.policy = policy.clone();
        }
        self.observer.public.config.policy = policy.clone();
    }

    /// All but some have a message that is good.
    fn take(&mut self, message: &[u8], but: &[usize]) {
        let others = self.peers.iter_mut().enumerate().filter(|(place, _)| !but.contains(place));
        for (_, peer) in others {
            peer.receive(message);
        }
        let step = observed(&self.observer, message).unwrap();
        apply(&mut self.observer, step, |_| Ok::<_, Infallible>(())).unwrap();
    }

    /// A member proposes, in the clear.
    fn pending(&mut self, who: usize, proposal: NewProposal) -> Vec<u8> {
        let message = self.peers[who].propose(proposal, &Framing::default());
        self.take(&message, &[who]);
        message
    }

    /// What all but `sender` say of a message.
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

/// Accepted, or refused for a reason that holds these words.
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

/// A proposal of a member, as it and all others judge it, in the clear and encrypted.
#[track_caller]
fn proposal_is(what: &str, rules: &Rules, who: usize, new: &NewProposal, expected: Expected<'_>) {
    let policy: Arc<dyn Policy> = Arc::new(rules.clone());
    for framing in [Framing::default(), encrypted()] {
        let mut scene = Scene::new();
        scene.rule(&policy);
        let propose = |peer: &Peer| {
            peer.group.propose(&PROVIDER, &mut TestRng(3), NOW, new.clone(), &framing)
        };
        says(&format!("{what}, sent"), propose(&scene.peers[who]).map(|_| ()), expected);
        scene.peers[who].group.public.config.policy = Arc::new(Rules::default());
        let Event::Proposal { message, .. } = propose(&scene.peers[who]).unwrap().into_event()
        else {
            panic!("no proposal")
        };
        scene.judge(what, Some(who), &message, expected);
        if !framing.encrypt {
            scene.observe(what, &message, expected);
        }
    }
}

/// A commit of a member, as it and all others judge it, in the clear and encrypted.
#[track_caller]
fn commit_is(
    what: &str,
    rules: &Rules,
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
        // The own commit is judged once more when it is accepted.
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
        removes,
        psks: Vec::new(),
        authenticated_data: Vec::new(),
        group_info: None,
    };
    stage.commit(&PROVIDER, &mut TestRng(601), &verdicts, options)
}

/// An external commit, as who joins and all others judge it.
#[track_caller]
fn external_is(
    what: &str,
    rules: &Rules,
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

fn permission(who: Who, what: What) -> Permission {
    Permission { who, what }
}

fn bobs() -> Who {
    Who::Credentials(vec![Credential::basic(b"bob")])
}

fn add(name: &str, seed: u64) -> NewProposal {
    NewProposal::Add(valid(&key_package(name, seed)))
}

fn reinit(extensions: Vec<Extension>) -> NewProposal {
    NewProposal::ReInit(ReInit {
        group_id: b"next".as_slice().into(),
        version: ProtocolVersion::MLS10,
        cipher_suite: SUITE,
        extensions,
    })
}

/// Commits the received proposals.
fn received() -> CommitOptions {
    CommitOptions::default()
}

/// Commits just these, by value.
fn only(proposals: Vec<NewProposal>) -> CommitOptions {
    CommitOptions { received: false, ..commit_of(proposals) }
}

const MAY_NOT_PROPOSE: Expected<'_> = Err("may not propose");
const MAY_NOT_COMMIT: Expected<'_> = Err("may not commit");
const LEFT_OUT: Expected<'_> = Err("is left out");

#[test]
fn who_may_propose_and_commit_is_who_the_rules_name() {
    let remove = NewProposal::Remove(CAROL);
    for (who, alice, bob, service, joiner) in [
        (Who::Everyone, true, true, true, true),
        (Who::Members, true, true, false, false),
        (bobs(), false, true, false, false),
        (Who::Credentials(Vec::new()), false, false, false, false),
        (Who::ExternalSenders, false, false, true, false),
        (Who::Joiners, false, false, false, true),
    ] {
        let what = format!("{who:?}");
        let may = |allowed, refused: Expected<'static>| if allowed { Ok(()) } else { refused };
        let everything = vec![permission(who, What::Everything)];
        let propose = Rules { propose: everything.clone(), ..Rules::default() };
        let commit = Rules { commit: everything, ..Rules::default() };
        for (place, allowed) in [(0, alice), (1, bob)] {
            proposal_is(&what, &propose, place, &remove, may(allowed, MAY_NOT_PROPOSE));
            let by_value = only(vec![remove.clone()]);
            commit_is(&what, &propose, place, nothing, &by_value, may(allowed, MAY_NOT_PROPOSE));
            commit_is(&what, &commit, place, nothing, &by_value, may(allowed, MAY_NOT_COMMIT));
            // Keys alone are no proposal, but a commit.
            commit_is(&what, &propose, place, nothing, &only(Vec::new()), Ok(()));
            let keys = only(Vec::new());
            commit_is(&what, &commit, place, nothing, &keys, may(allowed, MAY_NOT_COMMIT));
        }
        external_is(&what, &propose, "eve", None, may(joiner, MAY_NOT_PROPOSE));
        external_is(&what, &commit, "eve", None, may(joiner, MAY_NOT_COMMIT));
        let mut scene = Scene::new();
        scene.rule(&(Arc::new(propose) as Arc<dyn Policy>));
        let (target, service_key) = (scene.target(), &scene.service);
        let sent = target.propose(&PROVIDER, 0, service_key, Proposal::Remove(CAROL)).unwrap();
        scene.judge(&what, None, &sent, may(service, MAY_NOT_PROPOSE));
        scene.observe(&what, &sent, may(service, MAY_NOT_PROPOSE));
        let sent = target.propose_self(&PROVIDER, NOW, &key_package("eve", 50)).unwrap();
        scene.judge(&what, None, &sent, may(joiner, MAY_NOT_PROPOSE));
        scene.observe(&what, &sent, may(joiner, MAY_NOT_PROPOSE));
    }
}

#[test]
fn what_may_be_proposed_and_committed_is_what_the_rules_name() {
    let (remove, add) = (NewProposal::Remove(CAROL), add("eve", 50));
    let types = |types: &[ProposalType]| What::Types(types.to_vec());
    for (what, removes, adds) in [
        (What::Everything, true, true),
        (types(&[ProposalType::REMOVE]), true, false),
        (types(&[ProposalType::ADD, ProposalType::REMOVE]), true, true),
        (types(&[]), false, false),
    ] {
        let name = format!("{what:?}");
        let may = |allowed, refused: Expected<'static>| if allowed { Ok(()) } else { refused };
        let members = vec![permission(Who::Members, what)];
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
    // Several permissions add up; external commits need their own.
    let commit = vec![
        permission(bobs(), types(&[ProposalType::ADD])),
        permission(Who::Members, types(&[ProposalType::REMOVE])),
        permission(Who::Joiners, types(&[ProposalType::EXTERNAL_INIT])),
    ];
    let rules = Rules { commit, ..Rules::default() };
    let both = only(vec![remove, add]);
    commit_is("bob", &rules, 1, nothing, &both, Ok(()));
    commit_is("alice", &rules, 0, nothing, &both, MAY_NOT_COMMIT);
    external_is("joins", &rules, "eve", None, Ok(()));
    external_is("replaces", &rules, "carol", Some(CAROL), MAY_NOT_COMMIT);
}

#[test]
fn what_a_member_may_not_commit_of_received_proposals_is_left_to_others() {
    let commit = vec![
        permission(bobs(), What::Everything),
        permission(Who::Members, What::Types(vec![ProposalType::ADD, ProposalType::UPDATE])),
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
fn proposals_are_committed_by_reference_where_the_rules_say_so() {
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
fn a_group_of_proposals_by_reference_can_be_founded_and_replaced_by_another() {
    let rules = Rules { by_reference_only: true, ..Rules::default() };
    let mut peers = group_with(&["alice", "bob"], config_of(rules.clone()));
    let message = peers[1].propose(reinit(Vec::new()), &Framing::default());
    peers[0].receive(&message);
    commits(&mut peers, 0, received());
    // The PSK of the link is not sent before: nobody is there.
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
    // One that is not there must not come.
    let rules = Rules { immutable_extensions: vec![CUSTOM], ..Rules::default() };
    let mut peers = group_with(&["alice", "bob"], config_of(rules));
    let options = commit_of(vec![NewProposal::GroupContextExtensions(custom_extensions())]);
    says("new", peers[0].try_commit(options).map(|_| ()), stays);
}

#[test]
fn a_member_keeps_its_credential_where_the_rules_say_so() {
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
            let (rng, change) = (&mut TestRng(3), Some(change.clone()));
            peer.group.propose_update(&PROVIDER, rng, change, &Framing::default())
        };
        let Event::Proposal { message, .. } = update(&scene.peers[2]).unwrap().into_event() else {
            panic!("no proposal")
        };
        scene.rule(&policy);
        says(name, update(&scene.peers[2]).map(|_| ()), expected);
        scene.judge(name, Some(2), &message, expected);
        scene.observe(name, &message, expected);
    }
}

#[test]
fn a_commit_covers_what_is_pending_where_the_rules_say_so() {
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
    // Updates: the committer's own cannot be in its commit.
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
fn an_update_does_not_take_the_place_of_a_removal() {
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
fn an_update_does_not_take_the_place_of_another_member_s() {
    let mut scene = Scene::new();
    // Alice sees that of bob alone.
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
fn a_commit_that_a_proposal_has_overtaken_is_given_up_by_its_committer_too() {
    let rules = Rules { cover_all_pending: true, ..Rules::default() };
    let mut scene = Scene::new();
    scene.rule(&(Arc::new(rules) as Arc<dyn Policy>));
    let commit = scene.peers[0].commit(received()).commit;
    scene.pending(1, NewProposal::Remove(CAROL));
    scene.judge("overtaken", None, &commit, LEFT_OUT);
    scene.observe("overtaken", &commit, LEFT_OUT);
    let step = scene.peers[0].group.commit_rejected(&pending_id(&scene.peers[0].group)).unwrap();
    scene.peers[0].take(step);
    let commit = scene.peers[0].commit(received()).commit;
    scene.take(&commit, &[0]);
    assert_eq!(scene.peers[0].accepted().removed.len(), 1);
}

#[test]
fn nobody_can_block_a_group_that_covers_all_pending_by_what_he_proposes() {
    let rules = Rules { cover_all_pending: true, ..Rules::default() };
    let mut scene = Scene::new();
    scene.rule(&(Arc::new(rules) as Arc<dyn Policy>));
    // A valid Update by itself, and no valid tree.
    let bad = scene.peers[2].update_with_key_of(LeafIndex(3));
    scene.take(&bad, &[]);
    scene.pending(1, add("eve", 50));
    // Extensions that nobody supports, a PSK that nobody has.
    let alien = Extension { extension_type: ExtensionType(0xf0f0), extension_data: [1].into() };
    scene.pending(2, NewProposal::GroupContextExtensions(vec![alien]));
    scene.pending(2, NewProposal::ExternalPsk { psk_id: b"?".as_slice().into() });
    scene.pending(1, NewProposal::Remove(LeafIndex(3)));
    let step = scene.peers[0].try_commit(only(Vec::new()));
    says("all left out", step.map(|_| ()), LEFT_OUT);
    let commit = scene.peers[0].commit(received()).commit;
    // Carol herself has no key for that.
    scene.take(&commit, &[0, 2]);
    let change = scene.peers[0].accepted();
    // Dave's key is free once dave is removed: the Update has become valid.
    assert_eq!((change.added.len(), change.removed.len(), change.updated.len()), (1, 1, 1));
    assert!(!change.extensions_changed);
}

/// An application's own: no commit both adds and removes, and nobody is named mallory.
#[derive(Debug)]
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
        assert!(group.pending().count() <= 4);
        match has(ProposalType::ADD) && has(ProposalType::REMOVE) {
            true => Verdict::refuse("one thing at a time"),
            false => Verdict::Accept,
        }
    }
}

#[test]
fn an_application_writes_a_policy_of_its_own() {
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
    let Event::Proposal { message, .. } = bad.unwrap().into_event() else { panic!("none") };
    let both = only(vec![add("eve", 51), NewProposal::Remove(CAROL)]);
    let commit = scene.peers[1].commit(both.clone()).commit;
    let step = scene.peers[1].group.commit_rejected(&pending_id(&scene.peers[1].group)).unwrap();
    scene.peers[1].take(step);
    scene.rule(&own);
    scene.judge("mallory", Some(1), &message, Err("not mallory"));
    scene.observe("mallory", &message, Err("not mallory"));
    let sent = scene.peers[1].try_commit(only(vec![mallory()]));
    says("mallory", sent.map(|_| ()), Err("not mallory"));
    scene.judge("both", Some(1), &commit, Err("one thing"));
    scene.observe("both", &commit, Err("one thing"));
    says("both", scene.peers[1].try_commit(both).map(|_| ()), Err("one thing"));
    // Received ones that do not go together do not keep anybody from committing some.
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
fn what_is_left_when_a_misfit_is_left_out_is_judged_like_any_commit() {
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
fn a_policy_that_cannot_be_met_says_why_and_leaves_the_group_as_it_was() {
    let commit = vec![permission(bobs(), What::Everything)];
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
fn a_group_is_loaded_under_the_policy_that_it_was_stored_under() {
    let commit = vec![permission(Who::ExternalSenders, What::Everything)];
    let strict = || config_of(Rules { commit: commit.clone(), ..Rules::default() });
    let mut peers = group_of(&["alice", "bob"]);
    let load = |peer: &Peer, config| Group::load(&PROVIDER, config, peer.rows.clone());
    let other = Some(Error::from(Misuse::OtherPolicy));

    // The rules change only where the application says that they do.
    assert_eq!(load(&peers[0], strict()).err(), other);
    let adopt = Config { adopt_policy: true, ..strict() };
    peers[0].group = load(&peers[0], adopt).unwrap();
    says("loaded", peers[0].try_commit(received()).map(|_| ()), MAY_NOT_COMMIT);

    // The new policy is stored with the next epoch, and is missed from then on.
    let commit = peers[1].commit(CommitOptions::default()).commit;
    let lax = permission(Who::Members, What::Everything);
    let lax = || config_of(Rules { commit: vec![lax.clone()], ..Rules::default() });
    peers[0].group = load(&peers[0], Config { adopt_policy: true, ..lax() }).unwrap();
    peers[0].receive(&commit);
    assert_eq!(load(&peers[0], Config::default()).err(), other);
    assert_eq!(load(&peers[0], strict()).err(), other);
    peers[0].group = load(&peers[0], lax()).unwrap();
    peers[0].check();

    // A group whose policy's name is lost is not taken for one without rules.
    let mut lost = peers[0].rows.clone();
    lost.remove(&RowKey::new(Table::Policy, 0)).unwrap();
    let loaded = Group::load(&PROVIDER, Config::default(), lost).map(drop);
    assert!(matches!(loaded, Err(Error::Storage(_))), "{loaded:?}");

    // So is the policy of an observer; and one without rules can be adopted, too.
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
fn a_requirement_only_a_path_meets_excuses_no_left_out_proposal() {
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

    // Alice, without rules, requires what her old leaf does not support, and leaves the removal out.
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

/// Overrides nothing.
#[derive(Debug)]
struct Lax;

impl Policy for Lax {}

#[test]
fn a_policy_that_says_nothing_allows_everything() {
    let mut peers = group_with(&["alice", "bob", "carol"], config_of(Lax));
    let removal = peers[1].propose(NewProposal::Remove(CAROL), &Framing::default());
    deliver(&mut peers[..2], 1, &removal);
    commits(&mut peers[..2], 0, CommitOptions::default());
    assert_eq!(peers[1].group.members().count(), 2);
    let dave = key_package("dave", 77);
    commits(&mut peers[..2], 1, commit_of(vec![NewProposal::Add(valid(&dave))]));
    agree(&peers[..2]);
    // It prints as the group that it shows, and not as all that is in it.
    let shown = format!("{:?}", GroupView(&peers[0].group.public));
    assert_eq!(shown, format!("GroupView({:?})", peers[0].group.group_id()));
}
