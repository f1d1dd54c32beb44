//! Messages that a member seals with another member's keys. Every member can derive every ratchet of the
//! epoch (section 9), so that the forgeries open; only the signature shows the sender.

use conclave_group::{CommitOptions, Event, Limits, Received, Rejection, Status};
use conclave_testkit::SeededRng;
use conclave_testkit::forge::{Insider, PathFor};
use conclave_testkit::party::*;
use conclave_wire::{Commit, Content, FramedContent, LeafIndex, Proposal, Sender};

const ALICE: LeafIndex = LeafIndex(0);

/// Garbage without a signature, sealed with a member's key of a generation.
fn forged(insider: &Insider, victim: LeafIndex, content: Content, generation: u32) -> Vec<u8> {
    let header = FramedContent { sender: Sender::Member(victim), ..insider.framed(content) };
    let rng = &mut SeededRng::from_u64(9);
    insider.sealed(&PROVIDER, rng, &header, b"garbage", generation).unwrap()
}

fn application() -> Content {
    Content::Application(b"x".as_slice().into())
}

fn commit() -> Content {
    Content::Commit(Commit { proposals: Vec::new(), path: None })
}

/// The generations of the next messages, and some that move a ratchet as far as one message can.
fn generations() -> [u32; 5] {
    let most = Limits::default().ratchet.max_forward;
    [0, 1, most / 2, most, 2 * most + 1]
}

/// Checks that a member refuses a forged message, and that nothing changes thereby.
fn costs_nothing(peer: &Peer, message: &[u8]) {
    let refused = peer.refuses(message);
    assert!(refused.key_deletion.is_none());
}

#[test]
fn forged_messages_silence_nobody() {
    let mut peers = group_of(&["alice", "bob", "carol", "mallory"]);
    let insider = Insider::of(&peers[3].group);
    for generation in generations() {
        let message = forged(&insider, ALICE, application(), generation);
        peers[..3].iter().for_each(|peer| costs_nothing(peer, &message));
    }

    for n in 0..200u8 {
        let message = peers[0].say(&[n]);
        for peer in &mut peers[1..3] {
            assert_eq!(peer.reads(&message).data, [n]);
        }
    }
}

#[test]
fn forged_garbage_does_not_use_up_a_commits_key() {
    let mut peers = group_of(&["alice", "bob", "carol", "mallory"]);
    let insider = Insider::of(&peers[3].group);
    for generation in generations() {
        let message = forged(&insider, ALICE, commit(), generation);
        peers[..3].iter().for_each(|peer| costs_nothing(peer, &message));
    }

    let framing = encrypted();
    commits(&mut peers, 0, CommitOptions { force_path: true, framing, ..commit_of(Vec::new()) });
    agree(&peers);
}

#[test]
fn forged_messages_take_no_key_from_messages_under_way() {
    let most = Limits::default().ratchet.max_forward;
    let mut peers = group_of(&["alice", "bob", "mallory"]);
    let insider = Insider::of(&peers[2].group);
    let under_way: Vec<Vec<u8>> = (0..10).map(|n| peers[0].say(&[n])).collect();
    peers[1].reads(&under_way[9]);

    for generation in [3, 9 + most] {
        costs_nothing(&peers[1], &forged(&insider, ALICE, application(), generation));
    }
    for message in &under_way[..9] {
        peers[1].reads(message);
    }
}

#[test]
fn forged_messages_do_not_move_their_victims_ratchet() {
    let mut peers = group_of(&["alice", "bob", "mallory"]);
    let insider = Insider::of(&peers[2].group);
    for generation in generations() {
        costs_nothing(&peers[0], &forged(&insider, ALICE, application(), generation));
    }
    let message = peers[0].say(b"hello");
    assert_eq!(peers[1].reads(&message).generation, 0);
}

#[test]
fn forged_messages_store_nothing() {
    let most = Limits::default().ratchet.max_forward;
    let names: Vec<String> = (0..20).map(|i| format!("m{i}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let peers = group_of(&names);
    let insider = Insider::of(&peers[19].group);
    for leaf in (0..18).map(LeafIndex) {
        for content in [application(), commit()] {
            costs_nothing(&peers[18], &forged(&insider, leaf, content, most));
        }
    }
}

/// An outsider that knows the public state can make a commit that its victim cannot distinguish from a
/// valid one.
#[test]
fn a_removal_forged_from_outside_leaves_its_victim_a_member() {
    let mut peers = group_of(&["alice", "bob", "carol"]);
    let mut outsider = Insider::of(&peers[0].group);
    outsider.signer = signer(SUITE, 999);
    let own = key_package("bob", 999);
    let mut joiner = own.key_package().leaf_node.clone();
    joiner.signature_key = outsider.signer.public.clone();
    let of = PathFor { removes: vec![LeafIndex(1)], joiner: Some(joiner) };
    let (_, path) = outsider.path(&PROVIDER, &mut SeededRng::from_u64(8), of, |_| {});
    let garbage = key_package("x", 3).key_package().init_key.to_vec();
    let proposals = vec![Proposal::ExternalInit(garbage.into()), Proposal::Remove(LeafIndex(1))];
    let content = Insider::commit(proposals, Some(path));
    let message = outsider.from_outside(&PROVIDER, Sender::NewMemberCommit, content);

    for member in [0, 2] {
        let refused = rejection(peers[member].refuses(&message).error);
        assert!(matches!(refused, Rejection::ExternalInitOpen | Rejection::ConfirmationTag));
    }

    // Bob's application judges the client that would replace bob, and sees the removal.
    let Ok(Received::Commit(stage)) = peers[1].group.process(&PROVIDER, NOW, &message) else {
        panic!("no commit")
    };
    assert!(stage.credentials().iter().any(|request| request.replaces.is_some()));
    assert!(matches!(peers[1].receive(&message), Event::Removal(_)));

    // Bob still has everything.
    peers[1].reload();
    assert_eq!(peers[1].group.status(), Status::Active);
    commits(&mut peers, 2, commit_of(Vec::new()));
    agree(&peers);
}
