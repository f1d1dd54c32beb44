//! A service that keeps states as bytes, and asks the validator about everything that it is given.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use conclave_mls::group::{CommitMessages, CommitOptions, LeafIndex, NewProposal};
use conclave_mls::{Epoch, UnixTime};
use conclave_testkit::party::{
    NOW, Peer, add, commit_of, encrypted, group_of, key_package, native, watch,
};
use conclave_validator::{Answers, GroupState, Kind, Refusal, Sender, Validator};

fn validator() -> Validator<'static> {
    Validator::new(native())
}

/// What a service stores of a group, through its bytes.
fn stored(state: &GroupState) -> GroupState {
    GroupState::from_bytes(&state.to_bytes().unwrap()).unwrap()
}

fn created(peers: &[Peer]) -> GroupState {
    stored(&validator().group(&peers[0].group_info(), None).unwrap().state)
}

/// The code of a refusal of a message.
fn refusal(state: &GroupState, message: &[u8]) -> &'static str {
    validator().message(state, message, &Answers::default()).unwrap_err().code()
}

fn commits(peer: &mut Peer, options: CommitOptions) -> CommitMessages {
    peer.commit(options).unwrap()
}

#[test]
fn a_group_is_followed_through_its_stored_bytes() {
    let mut peers = group_of(&["alice", "bob", "carol"]);
    let mut state = created(&peers);
    assert_eq!(state.epoch(), peers[0].group.epoch().0);

    // Bob proposes that Carol goes; Alice's commit refers to it.
    let remove = NewProposal::Remove(LeafIndex(2));
    let message = peers[1].propose(remove, &Default::default());
    let proposed = validator().message(&state, &message, &Answers::default()).unwrap();
    assert_eq!((proposed.kind, proposed.sender), (Kind::Proposal, Sender::Member(LeafIndex(1))));
    let without = state;
    state = stored(&proposed.next);
    let passed_over = commits(&mut peers[0], CommitOptions::default());
    let judged = validator().message(&state, &passed_over.commit, &Answers::default()).unwrap();
    assert_eq!(judged.left_out.len(), 1, "the proposal");
    peers[0].rejected();
    peers[0].receive(&message);
    let made = commits(&mut peers[0], CommitOptions::default());
    assert_eq!(refusal(&without, &made.commit), "rejected", "the proposal is unknown");
    let judged = validator().message(&state, &made.commit, &Answers::default()).unwrap();
    assert_eq!((judged.kind, judged.next.epoch()), (Kind::Commit, state.epoch() + 1));
    assert_eq!((judged.removed.len(), judged.left_out.len()), (1, 0));
    assert_eq!(judged.removed[0].index, LeafIndex(2));
    state = stored(&judged.next);

    // The state is what an observer of the new epoch has.
    peers[0].accepted();
    let observed = watch(&peers[0].group_info());
    assert_eq!(Epoch(state.epoch()), observed.epoch());
    let with_info = validator().group_info(&state, &peers[0].group_info()).unwrap();
    assert_eq!(with_info.epoch(), state.epoch());

    // That of another epoch is refused field by field.
    let refused = validator().group_info(&without, &peers[0].group_info()).unwrap_err();
    let Refusal::GroupInfo(_, misfits) = &refused else { panic!("{refused}") };
    let fields: Vec<&str> = misfits.iter().map(|misfit| misfit.field).collect();
    assert_eq!(fields, ["epoch", "tree_hash", "confirmed_transcript_hash"]);
    assert_eq!(refused.code(), "wrong-epoch");
    assert!(refused.to_string().contains("tree_hash"), "{refused}");
}

#[test]
fn what_members_refuse_is_refused() {
    let mut peers = group_of(&["alice", "bob"]);
    let state = created(&peers);
    let made = commits(&mut peers[0], CommitOptions::default());

    let mut damaged = made.commit.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    assert!(["rejected", "malformed"].contains(&refusal(&state, &damaged)));
    assert_eq!(refusal(&state, &made.commit[..middle]), "malformed");
    assert_eq!(refusal(&state, b""), "malformed");

    let next = validator().message(&state, &made.commit, &Answers::default()).unwrap().next;
    assert_eq!(refusal(&next, &made.commit), "wrong-epoch");
    let other = created(&group_of(&["mallory"]));
    assert!(["wrong-group", "wrong-epoch"].contains(&refusal(&other, &made.commit)));

    let text = peers[1].say(b"hello");
    assert_eq!(refusal(&state, &text), "rejected", "application data is not judged");
    let secret = peers[1].propose(NewProposal::Remove(LeafIndex(0)), &encrypted());
    assert_eq!(refusal(&state, &secret), "rejected", "an encrypted handshake cannot be followed");
}

#[test]
fn each_newcomer_is_welcomed_once_and_nobody_else() {
    let mut peers = group_of(&["alice"]);
    let state = created(&peers);
    let (bob, carol) = (key_package("bob", 7), key_package("carol", 8));
    let made = commits(&mut peers[0], commit_of(vec![add(&bob), add(&carol)]));
    let judged = validator().message(&state, &made.commit, &Answers::default()).unwrap();
    let added: Vec<_> = judged.added.iter().map(|member| member.credential.clone()).collect();
    assert_eq!(added.len(), 2);
    assert_eq!(judged.key_packages, [bob.reference().clone(), carol.reference().clone()]);

    let welcomes: Vec<&[u8]> = made.welcomes.iter().map(|w| &w.message[..]).collect();
    validator().welcomes(&judged, &welcomes).unwrap();
    let twice = [&welcomes[..], &welcomes[..]].concat();
    assert_eq!(validator().welcomes(&judged, &twice), Err(Refusal::NotWelcomedOnce(0)));
    let none: [&[u8]; 0] = [];
    assert_eq!(validator().welcomes(&judged, &none), Err(Refusal::NotWelcomedOnce(0)));
    let mut others = group_of(&["mallory"]);
    let theirs = commits(&mut others[0], commit_of(vec![add(&key_package("dave", 9))]));
    let foreign = [&theirs.welcomes[0].message[..]];
    assert_eq!(validator().welcomes(&judged, &foreign), Err(Refusal::WelcomeForNobody(0)));
    let refused = validator().welcomes(&judged, &[b"x"]).unwrap_err();
    assert_eq!(refused.code(), "malformed");
}

#[test]
fn a_key_package_is_judged_by_its_signature_and_the_time() {
    let own = key_package("bob", 7);
    let message = own.message().unwrap();
    let now = NOW;
    let valid = validator().key_package(&message, now).unwrap();
    assert_eq!(&valid.reference, own.reference());
    assert!(!valid.last_resort && valid.lifetime.not_after >= now.as_secs());
    assert_eq!(valid.credential.credential.identity(), Some(&b"bob"[..]));

    let late = UnixTime::from_secs(valid.lifetime.not_after + 1).unwrap();
    assert_eq!(validator().key_package(&message, late).unwrap_err().code(), "rejected");
    let mut damaged = message.clone();
    *damaged.last_mut().unwrap() ^= 1;
    assert_eq!(validator().key_package(&damaged, now).unwrap_err().code(), "rejected");
    damaged.push(0);
    assert_eq!(validator().key_package(&damaged, now).unwrap_err().code(), "malformed");
}

#[test]
fn a_damaged_state_is_an_error_and_no_panic() {
    let mut peers = group_of(&["alice", "bob"]);
    let state = created(&peers);
    let made = commits(&mut peers[0], CommitOptions::default());
    let bytes = state.to_bytes().unwrap();
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        // What is no part of a row is the number for people alone.
        let Ok(read) = GroupState::from_bytes(&damaged) else { continue };
        match validator().message(&read, &made.commit, &Answers::default()) {
            Ok(judged) => assert_eq!(judged.next.epoch(), state.epoch() + 1, "byte {at}"),
            Err(refused) => assert_eq!(refused.code(), "bad-state", "byte {at}: {refused}"),
        }
    }
    for cut in 0..bytes.len() {
        if let Ok(read) = GroupState::from_bytes(&bytes[..cut]) {
            assert_eq!(refusal(&read, &made.commit), "bad-state", "cut at {cut}");
        }
    }
}
