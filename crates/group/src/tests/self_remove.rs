//! SelfRemove (draft-ietf-mls-extensions-10, "SelfRemove Proposal").

use super::draft_scene::*;
use super::fixture::*;
use crate::{
    Action, Actor, Committed, Config, Error, ExternalJoinOptions, ExternalJoinStage,
    ExternalTarget, Framing, Misuse, NewProposal, ObserverEvent, Obstacle, Permission, Received,
    Rejection, Rules, Verdict,
};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use conclave_wire::{
    Content, CustomProposal, Encode, Extension, ExtensionType, ExternalSender, LeafIndex, Proposal,
    ProposalOrRef, ProposalRef, ProposalType, SelfRemove,
};

const BOB: LeafIndex = LeafIndex(1);
const CAROL: LeafIndex = LeafIndex(2);

fn leave(peers: &mut [Peer], who: usize) -> Vec<u8> {
    let message = peers[who].propose(NewProposal::SelfRemove, &Framing::default());
    deliver(peers, who, &message);
    message
}

fn reference(peer: &Peer, place: usize) -> ProposalRef {
    peer.group.proposals().nth(place).unwrap().reference.clone()
}

/// A signed proposal message with any proposal.
fn forged(peer: &mut Peer, proposal: Proposal, framing: &Framing) -> Vec<u8> {
    let content = peer.group.sign(&suite(), Content::Proposal(proposal), framing).unwrap();
    peer.forge(content, framing)
}

fn join(peer: &Peer, name: &str) -> (ExternalJoinStage, ExternalJoinOptions) {
    let info = peer.group.group_info(&PROVIDER, ALL).unwrap();
    let config = peer.group.config().clone();
    let stage = ExternalJoinStage::open(&PROVIDER, config, &info, None).unwrap();
    (stage, ExternalJoinOptions::new(able(name), signer(&mut TestRng(77))))
}

fn enter(stage: ExternalJoinStage, options: ExternalJoinOptions) -> (Peer, Vec<u8>) {
    let verdicts = vec![Verdict::Accept; stage.credentials().len()];
    let joined = stage.commit(&PROVIDER, &mut TestRng(78), &verdicts, options).unwrap();
    (Peer::settle(joined.group, 79), joined.commit)
}

#[test]
fn a_member_leaves_by_one_message_that_another_member_commits() {
    let mut peers = scene(&[]);
    let mut observer = observer_of(&peers[0]);
    let message = leave(&mut peers, 1);
    observe(&mut observer, &message).unwrap();
    peers.iter_mut().for_each(Peer::reload);

    let commit = peers[0].commit(commit_of(vec![])).commit;
    assert!(peers[0].group.pending_commit.as_ref().unwrap().path.is_some());
    let change = peers[1].is_removed(&commit);
    assert_eq!(change.left, [BOB]);
    assert_eq!(peers[2].follows(&commit).left, [BOB]);
    assert_eq!(peers[0].accepted().removed[0].index, BOB);
    let event = observe(&mut observer, &commit).unwrap();
    assert!(matches!(event, ObserverEvent::Epoch(change) if change.left == [BOB]));

    peers.remove(1);
    agree(&peers);
    assert_eq!(peers[0].group.members().count(), 2);
}

#[test]
fn a_member_asks_once_an_epoch_and_not_encrypted() {
    let mut peers = scene(&[]);
    let rejected = |r: Rejection| Error::from(r);
    let rng = &mut TestRng(3);
    let sent = peers[1].group.propose(&PROVIDER, rng, NOW, NewProposal::SelfRemove, &encrypted());
    assert_eq!(sent.unwrap_err(), rejected(Rejection::SelfRemoveEncrypted));
    let message = forged(&mut peers[1], Proposal::SelfRemove(SelfRemove::DRAFT), &encrypted());
    let refused = peers[0].refuses(&message);
    assert_eq!(refused.error, rejected(Rejection::SelfRemoveEncrypted));
    assert!(refused.key_deletion.is_some());

    leave(&mut peers, 1);
    let twice = Misuse::NotPossible(Obstacle::SelfRemovePending);
    assert_eq!(cannot_propose(&mut peers[1], NewProposal::SelfRemove), twice.clone().into());
    // Not after its proposals were dropped either.
    let step = peers[1].group.discard_proposals().unwrap();
    peers[1].take(step.untyped());
    assert_eq!(cannot_propose(&mut peers[1], NewProposal::SelfRemove), twice.into());
    commits(&mut peers, 0, commit_of(vec![NewProposal::Remove(CAROL)]));
}

#[test]
fn every_member_must_support_it() {
    let leaves = vec![able("alice"), able("bob"), leaf_params("carol")];
    let mut peers = group_from(leaves, Vec::new(), &Config::default());
    let unsupported = Error::from(Rejection::UnsupportedProposal(ProposalType::SELF_REMOVE));
    assert_eq!(cannot_propose(&mut peers[1], NewProposal::SelfRemove), unsupported);
    let framing = Framing::default();
    let message = forged(&mut peers[1], Proposal::SelfRemove(SelfRemove::DRAFT), &framing);
    peers[0].caches(&message);
    peers[2].caches(&message);
    let (mut stage, _) = join(&peers[0], "dave");
    assert_eq!(stage.take_self_remove(&PROVIDER, &message).unwrap_err(), unsupported);

    // A commit leaves it out, unless it removes the member who does not support it.
    let listed = ProposalOrRef::Reference(reference(&peers[0], 0));
    let forged = peers[0].forge_commit(vec![listed], &framing);
    assert_eq!(peers[2].error(&forged), unsupported);
    peers[0].commit(commit_of(vec![]));
    assert_eq!(peers[0].group.pending_commit_references().count(), 0);
    peers[0].rejected();
    peers[0].commit(commit_of(vec![NewProposal::Remove(CAROL)]));
    assert_eq!(peers[0].accepted().left, [BOB]);
}

#[test]
fn it_is_refused_by_value_from_outside_and_from_the_committer() {
    let service = signer(&mut TestRng(90));
    let credential = conclave_wire::Credential::basic(b"the service");
    let listed = ExternalSender { signature_key: service.public.clone(), credential };
    let extension = Extension::new(ExtensionType::EXTERNAL_SENDERS, &vec![listed]).unwrap();
    let leaves = ["alice", "bob", "carol"].map(able).into();
    let mut peers = group_from(leaves, vec![extension], &Config::default());
    let mut observer = observer_of(&peers[0]);

    let proposal = Proposal::SelfRemove(SelfRemove::DRAFT);
    let by_value = ProposalOrRef::Proposal(proposal.clone());
    let forged_commit = peers[1].forge_commit(vec![by_value], &Framing::default());
    let hidden = Rejection::SelfRemoveByValue;
    for error in
        [peers[0].error(&forged_commit), observe(&mut observer, &forged_commit).unwrap_err()]
    {
        assert_eq!(rejection(error), hidden);
    }
    let own = peers[0].try_commit(commit_of(vec![NewProposal::SelfRemove])).unwrap_err();
    assert_eq!(rejection(own), hidden);

    let group = &peers[0].group;
    let target = ExternalTarget::new(group.group_id().clone(), group.epoch(), SUITE);
    let sent = target.propose(&PROVIDER, 0, &service, proposal);
    let external = Rejection::ExternalSenderProposal(ProposalType::SELF_REMOVE);
    assert_eq!(sent.map_err(rejection), Err(external));

    leave(&mut peers, 1);
    let reference = ProposalOrRef::Reference(reference(&peers[1], 0));
    let own = peers[1].forge_commit(vec![reference], &Framing::default());
    assert_eq!(rejection(peers[0].error(&own)), Rejection::CommitterRemoved);
    // Bob's own commits leave it out.
    let commit = peers[1].commit(commit_of(vec![])).commit;
    assert!(peers[0].follows(&commit).left.is_empty());
}

#[test]
fn it_takes_precedence_over_removes_and_updates_of_the_same_leaf() {
    let mut peers = scene(&[]);
    let framing = Framing::default();
    let remove = peers[0].propose(NewProposal::Remove(BOB), &framing);
    deliver(&mut peers, 0, &remove);
    let update = peers[1].propose_update(None, &framing);
    deliver(&mut peers, 1, &update);
    leave(&mut peers, 1);

    for both in [[0, 2], [1, 2]] {
        let both = both.map(|place| ProposalOrRef::Reference(reference(&peers[0], place)));
        let forged = peers[0].forge_commit(both.into(), &framing);
        assert_eq!(rejection(peers[2].error(&forged)), Rejection::SeveralChangesOfLeaf(BOB));
    }

    let commit = peers[0].commit(commit_of(vec![])).commit;
    let taken: Vec<_> = peers[0].group.pending_commit_references().cloned().collect();
    assert_eq!(taken, [reference(&peers[0], 2)]);
    assert_eq!(peers[2].follows(&commit).left, [BOB]);
    assert_eq!(peers[1].is_removed(&commit).left, [BOB]);
}

#[test]
fn a_client_that_joins_from_outside_commits_pending_self_removes() {
    let mut peers = scene(&[]);
    let mut observer = observer_of(&peers[0]);
    let framing = Framing::default();
    let message = leave(&mut peers, 1);
    observe(&mut observer, &message).unwrap();
    let other = peers[2].propose(NewProposal::Remove(LeafIndex(0)), &framing);

    let (mut stage, options) = join(&peers[0], "dave");
    stage.take_self_remove(&PROVIDER, &message).unwrap();
    let again = stage.take_self_remove(&PROVIDER, &message).unwrap_err();
    assert_eq!(rejection(again), Rejection::SeveralChangesOfLeaf(BOB));
    let no_self_remove = stage.take_self_remove(&PROVIDER, &other).unwrap_err();
    assert_eq!(rejection(no_self_remove), Rejection::UnexpectedMessage);
    let mut unsigned = message.clone();
    // The last bytes are the membership tag, which no outsider can check; before it is the signature.
    let place = unsigned.len() - 40;
    unsigned[place] ^= 1;
    let (mut fresh, _) = join(&peers[0], "dave");
    assert!(fresh.take_self_remove(&PROVIDER, &unsigned).is_err());
    assert!(stage.leaving().eq([BOB]));

    let (dave, commit) = enter(stage, options);
    assert_eq!(peers[1].learns_of_removal(&commit).left, [BOB]);
    for peer in [0, 2] {
        let change = peers[peer].follows(&commit);
        assert!(change.external);
        assert_eq!(change.left, [BOB]);
    }
    assert!(
        matches!(observe(&mut observer, &commit), Ok(ObserverEvent::Epoch(c)) if c.left == [BOB])
    );
    peers[1] = dave;
    agree(&peers);
}

#[test]
fn a_client_that_replaces_a_leaf_which_leaves_needs_no_remove() {
    let mut peers = scene(&[]);
    let message = leave(&mut peers, 1);
    let (mut stage, options) = join(&peers[0], "bob");
    stage.take_self_remove(&PROVIDER, &message).unwrap();
    let options = ExternalJoinOptions { replaces: Some(BOB), ..options };
    let (bob, commit) = enter(stage, options);
    for peer in [0, 2] {
        assert_eq!(peers[peer].follows(&commit).left, [BOB]);
    }
    peers[1] = bob;
    agree(&peers);
}

#[test]
fn an_external_commit_refers_to_self_removes_alone() {
    let mut peers = scene(&[]);
    let framing = Framing::default();
    let remove = peers[0].propose(NewProposal::Remove(BOB), &framing);
    deliver(&mut peers, 0, &remove);
    let (stage, options) = join(&peers[2], "dave");
    let (_, commit) = enter(stage, options);

    // A changed commit fails at its signature, before its references are looked up, so each list is
    // judged by itself.
    let Ok(Received::Commit(_)) = peers[2].group.process(&PROVIDER, NOW, &commit) else {
        panic!("a commit")
    };
    let sender = conclave_wire::Sender::NewMemberCommit;
    let list = |reference| conclave_wire::Commit {
        proposals: vec![
            ProposalOrRef::Proposal(Proposal::ExternalInit([0; 32].into())),
            ProposalOrRef::Reference(reference),
        ],
        path: None,
    };
    let judge = |commit: &conclave_wire::Commit| {
        let view = peers[2].group.view();
        let linking = crate::validate::proposal::Linking::Forbidden;
        let origin = crate::validate::list::Origin::Received;
        let resolve = crate::commit::validate::resolve_proposals;
        resolve(view, &suite(), sender, commit, linking, origin).map(|_| ()).map_err(rejection)
    };
    let known = reference(&peers[2], 0);
    assert_eq!(judge(&list(known)), Err(Rejection::ExternalReference));

    // In a group that can be left by SelfRemove, an unknown reference may be to one that is late.
    let late = ProposalRef::from([5; 32].as_slice());
    assert_eq!(judge(&list(late.clone())), Err(Rejection::UnknownProposal(late)));
}

#[test]
fn other_code_points_and_prefixed_bodies_follow_the_profile() {
    for length_prefixed in [false, true] {
        let format = SelfRemove { proposal_type: ProposalType(0xf003), length_prefixed };
        let proposals = vec![CustomProposal::self_remove(format)];
        let config = Config { proposals, ..Config::default() };
        let able = |name| able_with(name, &[format.proposal_type]);
        let leaves = ["alice", "bob", "carol"].map(able).into();
        let mut peers = group_from(leaves, Vec::new(), &config);

        let message = leave(&mut peers, 1);
        let body = Proposal::SelfRemove(format).to_bytes().unwrap();
        assert_eq!(body.len(), 2 + usize::from(length_prefixed));
        assert!(message.windows(body.len()).any(|window| window == body));
        peers.iter_mut().for_each(Peer::reload);

        // The draft's own format is understood beside it.
        let draft = Proposal::SelfRemove(SelfRemove::DRAFT);
        let message = forged(&mut peers[2], draft, &Framing::default());
        deliver(&mut peers, 2, &message);
        let commit = peers[0].commit(commit_of(vec![])).commit;
        assert_eq!(peers[1].is_removed(&commit).left, [BOB, CAROL]);
        assert_eq!(peers[0].accepted().left, [BOB, CAROL]);

        // Its body cannot be sent as a proposal of the application's.
        let custom = NewProposal::Custom { proposal_type: format.proposal_type, body: [].into() };
        let unsupported = Rejection::UnsupportedProposal(format.proposal_type);
        assert_eq!(rejection(cannot_propose(&mut peers[0], custom)), unsupported);
    }
}

#[test]
fn a_policy_that_wants_all_covered_insists_on_self_removes() {
    let rules = Rules { cover_all_pending: true, ..Rules::default() };
    let config = Config { policy: Arc::new(rules), ..Config::default() };
    let leaves = ["alice", "bob", "carol"].map(able).into();
    let mut peers = group_from(leaves, Vec::new(), &config);
    leave(&mut peers, 1);
    let nothing = crate::CommitOptions { received: false, ..commit_of(vec![]) };
    let error = peers[0].try_commit(nothing).unwrap_err();
    assert!(matches!(rejection(error), Rejection::RefusedByPolicy { .. }));

    let commit = peers[0].commit(commit_of(vec![])).commit;
    let Ok(Received::Commit(stage)) = peers[2].group.process(&PROVIDER, NOW, &commit) else {
        panic!("a commit")
    };
    assert!(stage.removes().eq([BOB]));
    let answers = vec![Verdict::Accept; stage.credentials().len()].into();
    let step = stage.resolve(&peers[2].group, &PROVIDER, NOW, &answers).unwrap();
    assert!(matches!(peers[2].take(step), Committed::Epoch(_)));
}

#[test]
fn a_commit_with_self_removes_has_to_cover_the_rest() {
    let rules = Rules { cover_all_pending: true, ..Rules::default() };
    let config = Config { policy: Arc::new(rules), ..Config::default() };
    let leaves = ["alice", "bob", "carol"].map(able).into();
    let mut peers = group_from(leaves, Vec::new(), &config);
    let dave = key_package_of(able("dave"), &mut TestRng(300));
    let add = peers[2].propose(add_with(&dave, &config), &Framing::default());
    deliver(&mut peers, 2, &add);
    leave(&mut peers, 1);

    let references = Some(vec![reference(&peers[0], 1)]);
    let only = crate::CommitOptions { references, ..commit_of(vec![]) };
    let error = peers[0].try_commit(only).unwrap_err();
    assert!(matches!(rejection(error), Rejection::RefusedByPolicy { .. }));
    peers[0].commit(commit_of(vec![]));
    assert_eq!(peers[0].group.pending_commit_references().count(), 2);
}

#[test]
fn a_joiner_needs_no_permission_to_propose_what_members_proposed() {
    let may =
        |actor, types: &[ProposalType]| Permission { actor, action: Action::Types(types.to_vec()) };
    let leave_and_add = [ProposalType::SELF_REMOVE, ProposalType::ADD];
    let enter_by = [ProposalType::EXTERNAL_INIT, ProposalType::SELF_REMOVE];
    let rules = Rules {
        propose: vec![
            may(Actor::Members, &leave_and_add),
            may(Actor::Joiners, &[ProposalType::EXTERNAL_INIT]),
        ],
        commit: vec![may(Actor::Members, &leave_and_add), may(Actor::Joiners, &enter_by)],
        ..Rules::default()
    };
    let config = Config { policy: Arc::new(rules), ..Config::default() };
    let leaves = ["alice", "bob", "carol"].map(able).into();
    let mut peers = group_from(leaves, Vec::new(), &config);
    let message = leave(&mut peers, 1);

    let (mut stage, options) = join(&peers[0], "dave");
    stage.take_self_remove(&PROVIDER, &message).unwrap();
    let (_, commit) = enter(stage, options);
    assert_eq!(peers[0].follows(&commit).left, [BOB]);
}

#[test]
fn a_client_that_joins_can_be_the_only_one_left() {
    let mut peers = group_from(vec![able("alice")], Vec::new(), &Config::default());
    let message = leave(&mut peers, 0);
    let (mut stage, options) = join(&peers[0], "dave");
    stage.take_self_remove(&PROVIDER, &message).unwrap();
    let (dave, commit) = enter(stage, options);
    assert_eq!(peers[0].learns_of_removal(&commit).left, [LeafIndex(0)]);
    assert_eq!(dave.group.members().count(), 1);
}
