//! What an observer takes and reports.

use super::fixture::*;
use crate::{
    Answers, ApplyError, CommitOptions, Config, Error, ExternalJoinStage, Framing,
    GroupInfoOptions, Misuse, NewProposal, Observer, ObserverEvent, Outcome, Rejection, Transition,
    apply,
};
use alloc::vec::Vec;
use conclave_tree::TreeRead;
use conclave_wire::{
    Decode, Encode, Epoch, Extension, ExtensionType, GroupInfoTbs, HpkePublicKey, LeafIndex,
    MlsMessage, MlsMessageBody, Proposal, Sender,
};
use core::convert::Infallible;

fn take<O: Outcome<ObserverEvent>>(observer: &mut Observer, step: Transition<Observer, O>) -> O {
    apply(observer, step, |_| Ok::<_, Infallible>(())).unwrap()
}

#[test]
fn an_observer_reports_who_proposes_or_commits_what() {
    let mut peers = group_of(&["alice", "bob", "carol"]);
    let mut observer = observer_of(&peers[0]);
    let about = |data: &[u8]| Framing { authenticated_data: data.into(), ..Framing::default() };
    let removal = Proposal::Remove(LeafIndex(2));
    let item = (Sender::Member(LeafIndex(1)), &removal);
    let proposal = peers[1].propose(NewProposal::Remove(LeafIndex(2)), &about(b"a request"));
    deliver(&mut peers, 1, &proposal);

    let stage = observer.process(&PROVIDER, &proposal).unwrap();
    assert!(!stage.is_commit());
    assert_eq!(stage.sender(), Sender::Member(LeafIndex(1)));
    assert_eq!(stage.proposals().collect::<Vec<_>>(), [item]);
    assert_eq!(stage.authenticated_data(), b"a request");
    assert!(stage.credentials().is_empty());

    let step = stage.resolve(&observer, &PROVIDER, &Answers::default()).unwrap();
    take(&mut observer, step);
    let options = CommitOptions { framing: about(b"a deed"), ..CommitOptions::default() };
    let commit = peers[0].commit(options).commit;
    let stage = observer.process(&PROVIDER, &commit).unwrap();
    assert!(stage.is_commit());
    assert_eq!(stage.sender(), Sender::Member(LeafIndex(0)));
    assert_eq!(stage.proposals().collect::<Vec<_>>(), [item]);
    assert_eq!(stage.authenticated_data(), b"a deed");
}

#[test]
fn an_observer_takes_only_a_group_info_of_its_group_and_epoch() {
    let mut peers = group_of(&["alice", "bob"]);
    let mut observer = observer_of(&peers[0]);
    let old = peers[0].group.group_info(&PROVIDER, ALL).unwrap();
    let commit = commits(&mut peers, 0, CommitOptions::default()).commit;
    let stage = observer.process(&PROVIDER, &commit).unwrap();
    let step = stage.resolve(&observer, &PROVIDER, &Answers::default()).unwrap();
    take(&mut observer, step);
    assert_eq!(observer.group_info(), None);

    let refused = |info: &[u8]| rejection(observer.take_group_info(&PROVIDER, info).unwrap_err());
    assert_eq!(refused(&old), Rejection::WrongEpoch { message: Epoch(1), current: Epoch(2) });
    let other = Peer::found_with("alice", Config::default(), b"another group");
    let other = other.group.group_info(&PROVIDER, ALL).unwrap();
    assert_eq!(refused(&other), Rejection::WrongGroup);

    // The same group and epoch, after another commit.
    let mut fork = group_of(&["alice", "bob"]);
    commits(&mut fork, 1, CommitOptions::default());
    let fork = fork[0].group.group_info(&PROVIDER, ALL).unwrap();
    assert_eq!(refused(&fork), Rejection::TreeHash);

    let fields = |info: &[u8]| -> Vec<&str> {
        let misfits = observer.group_info_misfits(&PROVIDER, info).unwrap();
        misfits.iter().map(|misfit| misfit.field).collect()
    };
    let after_other_commits = ["tree_hash", "confirmed_transcript_hash"];
    assert_eq!(fields(&old), [&["epoch"][..], &after_other_commits].concat());
    assert!(fields(&other).starts_with(&["group_id", "epoch"]));
    assert!(fields(&fork).starts_with(&after_other_commits), "{:?}", fields(&fork));
    assert!(fields(&fork).contains(&"confirmation_tag"));

    let current = peers[1].group.group_info(&PROVIDER, ALL).unwrap();
    assert_eq!(fields(&current), [] as [&str; 0]);
    let step = observer.take_group_info(&PROVIDER, &current).unwrap();
    assert_eq!(take(&mut observer, step.untyped()), ObserverEvent::GroupInfo);
    assert_eq!(observer.group_info(), Some(&*current));
}

#[test]
fn an_observer_finds_steps_and_stages_of_another_state_stale() {
    let mut peers = group_of(&["alice", "bob", "carol"]);
    let mut observer = observer_of(&peers[0]);
    let messages = [0, 1]
        .map(|who| peers[who].propose(NewProposal::Remove(LeafIndex(2)), &Framing::default()));
    let stage = |n: usize| observer.process(&PROVIDER, &messages[n]).unwrap();
    let first = stage(0);
    let second = stage(1);

    let late = stage(1);
    // A stage of the same age, but of another group.
    let other = observer_of(&Peer::found_with("alice", Config::default(), b"another group"));
    let stale = Error::from(Misuse::Stale);
    assert_eq!(stage(0).resolve(&other, &PROVIDER, &Answers::default()).unwrap_err(), stale);

    let first = first.resolve(&observer, &PROVIDER, &Answers::default()).unwrap();
    let second = second.resolve(&observer, &PROVIDER, &Answers::default()).unwrap();
    take(&mut observer, first);
    assert_eq!(late.resolve(&observer, &PROVIDER, &Answers::default()).unwrap_err(), stale);

    let before = observer.rows().unwrap();
    let failed = apply(&mut observer, second, |_| -> Result<(), Infallible> { panic!("written") });
    assert_eq!(failed.unwrap_err(), ApplyError::Stale);
    assert_eq!(observer.rows().unwrap(), before);
}

#[test]
fn an_observer_folds_many_messages_into_one_write() {
    let mut peers = group_of(&["alice", "bob"]);
    let mut observer = observer_of(&peers[0]);
    let mut rows = Rows::new();
    observer.rows().unwrap().apply_to(&mut rows);
    let messages = [0, 1, 0].map(|who| commits(&mut peers, who, CommitOptions::default()).commit);
    let mut fold = observer.fold();

    for message in &messages {
        let stage = fold.state().process(&PROVIDER, message).unwrap();
        let step = stage.resolve(fold.state(), &PROVIDER, &Answers::default()).unwrap();
        fold.push(step).unwrap();
    }

    fold.commit(|write| stored(&mut rows, write.batch)).unwrap();
    assert_eq!(observer.context(), peers[0].group.context());
    let mut now = Rows::new();
    observer.rows().unwrap().apply_to(&mut now);
    assert_eq!(rows, now);
}

#[test]
fn a_group_info_nobody_can_join_by_is_not_taken() {
    let peers = group_of(&["alice", "bob"]);
    let mut observer = observer_of(&peers[0]);
    let good = observer.group_info().unwrap().to_vec();
    let bobs = &peers[1].group;
    let made = |external_pub, extensions: &[Extension]| {
        let options = GroupInfoOptions { ratchet_tree: false, external_pub };
        bobs.group_info_with(&PROVIDER, options, extensions).unwrap()
    };

    // A GroupInfo of Bob with a forged extension.
    let forged = |external_pub, extension: Extension| {
        let body = MlsMessage::from_bytes(&made(external_pub, &[])).unwrap().body;
        let MlsMessageBody::GroupInfo(mut info) = body else { panic!("no GroupInfo") };
        info.extensions.push(extension);
        let tbs = GroupInfoTbs(&info);
        let signed = suite().sign_encoded_with_label(&bobs.signer, b"GroupInfoTBS", &tbs);
        info.signature = signed.unwrap().into();
        MlsMessage::from(MlsMessageBody::GroupInfo(info)).to_bytes().unwrap()
    };

    let external_pub = |key: &[u8]| {
        let key = HpkePublicKey::from(key.to_vec());
        forged(false, Extension::new(ExtensionType::EXTERNAL_PUB, &key).unwrap())
    };
    let other_key = key_package("x", 70).key_package().init_key.to_vec();
    let extension_type = ExtensionType::RATCHET_TREE;
    let garbage = b"garbage".as_slice().into();

    let with_tree = forged(true, Extension { extension_type, extension_data: garbage });

    for (info, why) in [
        (made(false, &[]), Rejection::ExternalPubMissing),
        (external_pub(&[0; 32]), Rejection::InvalidPublicKey),
        (external_pub(&other_key), Rejection::ExternalPubChanged),
        (with_tree, Rejection::TreeHash),
    ] {
        let error = observer.take_group_info(&PROVIDER, &info).unwrap_err();
        assert_eq!(rejection(error), why);
        let misfits = observer.group_info_misfits(&PROVIDER, &info).unwrap();
        assert_eq!(misfits.len(), 1, "{misfits:?}");
        let is_tree = why == Rejection::TreeHash;
        assert_eq!(misfits[0].field, if is_tree { "ratchet_tree" } else { "external_pub" });
        assert_eq!(misfits[0].found.is_none(), why == Rejection::ExternalPubMissing);
        assert!(misfits[0].expected.is_some() && misfits[0].expected != misfits[0].found);
        assert_eq!(observer.group_info(), Some(&*good));
    }

    // A GroupInfo by which clients can join is taken, also with the application's extensions.
    let note = Extension { extension_type: CUSTOM, extension_data: b"note".as_slice().into() };
    let step =
        observer.take_group_info(&PROVIDER, &made(true, core::slice::from_ref(&note))).unwrap();
    take(&mut observer, step);
    let tree = peers[0].group.tree().to_extension_bytes().unwrap();
    let info = observer.group_info().unwrap();

    let stage = ExternalJoinStage::open(&PROVIDER, Config::default(), info, Some(&tree)).unwrap();
    assert_eq!(stage.group_info_extensions(), [note]);
}

#[test]
fn a_member_follows_what_it_has_no_keys_for_as_an_observer_from_its_own_epoch() {
    let mut peers = group_of(&["alice", "bob", "dave", "carol"]);
    // Carol has the proposal, and none of the commits.
    let removal = NewProposal::Remove(LeafIndex(2));
    let proposal = peers[1].propose(removal, &Framing::default());
    deliver(&mut peers, 1, &proposal);
    let carol = peers.pop().unwrap();
    let mut observer = carol.group.observer().unwrap();
    assert_eq!(observer.proposals().count(), 1);
    assert_eq!(observer.group_info(), None);
    let here = carol.group.group_info(&PROVIDER, ALL).unwrap();
    assert_eq!(observer.group_info_misfits(&PROVIDER, &here).unwrap(), []);

    let options = CommitOptions { received: true, ..CommitOptions::default() };
    let mut sent = alloc::vec![peers[0].commit(options).commit];
    peers[0].accepted();
    sent.push(peers[0].commit(CommitOptions::default()).commit);
    peers[0].accepted();
    for commit in &sent {
        observe(&mut observer, commit).unwrap();
    }
    assert_eq!(observer.context(), peers[0].group.context());
    assert_eq!(observer.members().count(), 3);
    let there = peers[0].group.group_info(&PROVIDER, ALL).unwrap();
    assert_eq!(observer.group_info_misfits(&PROVIDER, &there).unwrap(), []);
    assert_ne!(observer.group_info_misfits(&PROVIDER, &here).unwrap(), []);

    // The member's own state is as before.
    assert_eq!(carol.group.epoch(), Epoch(1));
    assert_eq!(carol.group.members().count(), 4);
    carol.check();
}

#[test]
fn a_group_that_was_deleted_has_no_observer() {
    let mut alice = group_of(&["alice", "bob"]).swap_remove(0);
    let step = alice.group.delete().unwrap();
    alice.take(step);
    assert_eq!(alice.group.observer().unwrap_err(), Error::Misuse(Misuse::Deleted));
}
