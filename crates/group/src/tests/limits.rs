//! Every bound of [`Limits`] at its edge. What is just within it passes. One more is refused by
//! everybody that makes it, receives it, joins by it or observes it.

use super::fixture::*;
use crate::{
    Answers, CommitOptions, Config, Error, ExternalCommit, ExternalJoinOptions, ExternalJoinStage,
    Framing, Group, GroupInfoOptions, GroupParams, KeyPackageParams, LeafParams, LeafUpdate, Limit,
    Limits, NewProposal, Observer, ObserverStage, OwnKeyPackage, RatchetError, Received, Rejection,
    ValidKeyPackage, Verdict, WelcomeStage, apply,
};
use alloc::vec;
use alloc::vec::Vec;
use conclave_crypto::Secret;
use conclave_schedule::RatchetLimits;
use conclave_tree::TreeRead;
use conclave_wire::{
    Content, Decode, Encode, Extension, LeafIndex, Lifetime, MlsMessage, MlsMessageBody, Proposal,
    ProtocolVersion, PskType, ReInit, TreeSize, Writer,
};
use core::convert::Infallible;
use core::time::Duration;

pub(super) fn limits_of(limit: Limit, allowed: usize) -> Limits {
    let mut limits = Limits::default();
    *match limit {
        Limit::MessageBytes => &mut limits.message_bytes,
        Limit::JoinBytes => &mut limits.join_bytes,
        Limit::TreeLeaves => &mut limits.tree_leaves,
        Limit::LeafBytes => &mut limits.leaf_bytes,
        Limit::ExtensionsBytes => &mut limits.extensions_bytes,
        Limit::Proposals => &mut limits.proposals,
        Limit::PendingProposals => &mut limits.pending_proposals,
        Limit::PendingBytes => &mut limits.pending_bytes,
        Limit::Psks => &mut limits.psks,
        Limit::TargetedMessages => &mut limits.targeted_messages,
        Limit::Bindings => &mut limits.bindings,
    } = allowed;
    limits
}

fn config_of(limits: Limits) -> Config {
    Config { limits, ..Config::default() }
}

/// Checks that an attempt with `n` of something passes with a bound of `n` and fails with `n - 1`.
#[track_caller]
fn edge(limit: Limit, n: usize, mut attempt: impl FnMut(Limits) -> Result<(), Error>) {
    let rule = Rejection::OverLimit { limit, found: n, allowed: n - 1 };
    assert_eq!(attempt(limits_of(limit, n - 1)), Err(rule.into()));
    assert_eq!(attempt(limits_of(limit, n)), Ok(()));
}

fn watch(peer: &Peer) -> Observer {
    let info = peer.group.group_info(&PROVIDER, ALL).unwrap();
    opened_observer(Config::default(), &info, None).unwrap()
}

fn opened_observer(config: Config, info: &[u8], tree: Option<&[u8]>) -> Result<Observer, Error> {
    let stage = ObserverStage::open(&PROVIDER, config, info, tree)?;
    let verdicts = vec![Verdict::Accept; stage.credentials().len()];
    stage.resolve(&verdicts)
}

/// A member's answer to a message under these limits. It does not apply the step.
fn member(peer: &mut Peer, limits: Limits, message: &[u8]) -> Result<(), Error> {
    peer.group.public.config.limits = limits;
    let before = peer.all_rows();
    let result = peer.process(message);
    assert_eq!(peer.all_rows(), before);
    result.map(|_| ()).map_err(|refused| refused.error)
}

fn observes(observer: &mut Observer, limits: Limits, message: &[u8]) -> Result<(), Error> {
    observer.public.config.limits = limits;
    let before = observer.rows().unwrap();
    let stage = observer.process(&PROVIDER, message)?;
    let verdicts = vec![Verdict::Accept; stage.credentials().len()];
    let result = stage.resolve(observer, &PROVIDER, &verdicts.into()).map(|_| ());
    assert_eq!(observer.rows().unwrap(), before);
    result
}

/// An observer takes a message without credentials.
fn takes(observer: &mut Observer, message: &[u8]) {
    let stage = observer.process(&PROVIDER, message).unwrap();
    let step = stage.resolve(observer, &PROVIDER, &Answers::default()).unwrap();
    apply(observer, step, |_| Ok::<_, Infallible>(())).unwrap();
}

/// Checks a message with `n` of something at a member and an observer.
#[track_caller]
fn judged(limit: Limit, n: usize, peer: &mut Peer, observer: &mut Observer, message: &[u8]) {
    edge(limit, n, |limits| member(peer, limits, message));
    edge(limit, n, |limits| observes(observer, limits, message));
}

/// Makes a commit under these limits, and does not apply it.
fn drafts(peer: &mut Peer, limits: Limits, options: &CommitOptions) -> Result<(), Error> {
    peer.group.public.config.limits = limits;
    let before = peer.all_rows();
    let result = peer.try_commit(options.clone()).map(|_| ());
    assert_eq!(peer.all_rows(), before);
    result
}

fn proposes(peer: &mut Peer, limits: Limits, proposal: &NewProposal) -> Result<(), Error> {
    peer.group.public.config.limits = limits;
    let rng = &mut peer.rng;
    let proposal = proposal.clone();
    peer.group.propose(&PROVIDER, rng, NOW, proposal, &Framing::default()).map(|_| ())
}

/// Joins a peer's group from outside.
fn outside(
    peer: &Peer,
    limits: Limits,
    leaf: LeafParams,
    psks: usize,
) -> Result<ExternalCommit, Error> {
    let info = peer.group.group_info(&PROVIDER, ALL).unwrap();
    let stage = ExternalJoinStage::open(&PROVIDER, config_of(limits), &info, None)?;
    let verdicts = vec![Verdict::Accept; stage.credentials().len()];
    let options = ExternalJoinOptions {
        leaf,
        signer: signer(&mut TestRng(600)),
        replaces: None,
        psks: (0..psks).map(known_psk).collect(),
        authenticated_data: Vec::new(),
        group_info: Some(ALL),
    };
    stage.commit(&PROVIDER, &mut TestRng(601), &verdicts, options)
}

fn known_psk(n: usize) -> (PskType, Secret) {
    (PskType::External { psk_id: [n as u8].into() }, Secret::zero(32))
}

fn new_psk(n: usize) -> NewProposal {
    NewProposal::ExternalPsk { psk_id: [n as u8].into() }
}

fn extension(length: usize) -> Extension {
    Extension { extension_type: CUSTOM, extension_data: vec![1; length].into() }
}

/// A leaf that is larger than those of the group.
fn large_leaf(name: &str) -> LeafParams {
    let mut leaf = leaf_params(name);
    leaf.extensions.push(extension(300));
    leaf
}

fn add(own: &OwnKeyPackage) -> NewProposal {
    NewProposal::Add(valid(own))
}

/// The length of the leaf node in an Update or path.
fn leaf_bytes_in(message: &[u8]) -> usize {
    let MlsMessageBody::PublicMessage(message) = MlsMessage::from_bytes(message).unwrap().body
    else {
        panic!("not in the clear")
    };
    let leaf = match message.content.content {
        Content::Proposal(Proposal::Update(leaf)) => *leaf,
        Content::Commit(commit) => commit.path.unwrap().leaf_node,
        other => panic!("{other:?}"),
    };
    leaf.to_bytes().unwrap().len()
}

#[test]
fn messages_over_the_limit_are_neither_sent_nor_processed() {
    let mut peers = group_of(&["alice", "bob"]);
    let mut observer = watch(&peers[0]);
    let unlimited = Limits::default();
    for framing in [Framing::default(), encrypted()] {
        let options = CommitOptions { framing: framing.clone(), ..CommitOptions::default() };
        let messages = peers[0].try_commit(options.clone()).unwrap().into_outcome();
        let n = messages.commit.len();
        edge(Limit::MessageBytes, n, |limits| drafts(&mut peers[0], limits, &options));
        edge(Limit::MessageBytes, n, |limits| member(&mut peers[1], limits, &messages.commit));
        if !framing.encrypt {
            let observer = &mut observer;
            edge(Limit::MessageBytes, n, |limits| observes(observer, limits, &messages.commit));
        }
        peers[0].group.public.config.limits = unlimited;
        let proposal = NewProposal::Remove(LeafIndex(1));
        let rng = &mut TestRng(5);
        let step = peers[0].group.propose(&PROVIDER, rng, NOW, proposal.clone(), &framing).unwrap();
        let message = step.into_outcome().message;
        edge(Limit::MessageBytes, message.len(), |limits| member(&mut peers[1], limits, &message));
        edge(Limit::MessageBytes, message.len(), |limits| {
            peers[0].group.public.config.limits = limits;
            let rng = &mut TestRng(5);
            peers[0].group.propose(&PROVIDER, rng, NOW, proposal.clone(), &framing).map(|_| ())
        });
        peers[0].group.public.config.limits = unlimited;
    }

    let framing = Framing::default();
    let say = |peer: &Peer| peer.group.encrypt(&PROVIDER, &mut TestRng(6), b"hello", &framing);
    let said = say(&peers[0]).unwrap().into_outcome();
    edge(Limit::MessageBytes, said.len(), |limits| member(&mut peers[1], limits, &said));
    edge(Limit::MessageBytes, said.len(), |limits| {
        peers[0].group.public.config.limits = limits;
        say(&peers[0]).map(|_| ())
    });

    let leaf = || leaf_params("carol");
    let commit = outside(&peers[1], unlimited, leaf(), 0).unwrap().commit;
    let n = commit.len();
    edge(Limit::MessageBytes, n, |limits| outside(&peers[1], limits, leaf(), 0).map(|_| ()));
    judged(Limit::MessageBytes, n, &mut peers[0], &mut observer, &commit);
}

#[test]
fn welcomes_and_group_infos_stay_within_the_limit() {
    let mut peers = group_of(&["alice", "bob"]);
    let carol = key_package("carol", 50);
    let options = CommitOptions { group_info: Some(ALL), ..commit_of(vec![add(&carol)]) };
    let messages = peers[0].try_commit(options).unwrap().into_outcome();
    let welcome = &messages.welcomes[0].message;
    edge(Limit::JoinBytes, welcome.len(), |limits| {
        WelcomeStage::open(&PROVIDER, config_of(limits), welcome, &carol).map(|_| ())
    });

    // No Welcome or GroupInfo is made that nobody could join by.
    let options = commit_of(vec![add(&carol)]);
    edge(Limit::JoinBytes, welcome.len(), |limits| drafts(&mut peers[0], limits, &options));

    let made = messages.group_info.as_ref().unwrap().len();
    let options = CommitOptions { group_info: Some(ALL), ..CommitOptions::default() };
    assert!(drafts(&mut peers[0], limits_of(Limit::JoinBytes, 100), &options).is_err());
    assert!(drafts(&mut peers[0], limits_of(Limit::JoinBytes, made), &options).is_ok());

    peers[0].group.public.config.limits = Limits::default();
    let info = peers[0].group.group_info(&PROVIDER, ALL).unwrap();
    let mut observer = watch(&peers[0]);
    edge(Limit::JoinBytes, info.len(), |limits| {
        peers[1].group.public.config.limits = limits;
        peers[1].group.group_info(&PROVIDER, ALL).map(|_| ())
    });
    edge(Limit::JoinBytes, info.len(), |limits| {
        ExternalJoinStage::open(&PROVIDER, config_of(limits), &info, None).map(|_| ())
    });
    edge(Limit::JoinBytes, info.len(), |limits| {
        opened_observer(config_of(limits), &info, None).map(|_| ())
    });
    edge(Limit::JoinBytes, info.len(), |limits| {
        observer.public.config.limits = limits;
        observer.take_group_info(&PROVIDER, &info).map(|_| ())
    });

    // A separate tree.
    let tree = peers[0].group.tree().to_extension_bytes().unwrap();
    let options = GroupInfoOptions { ratchet_tree: false, external_pub: true };
    let info = peers[0].group.group_info(&PROVIDER, options).unwrap();
    assert!(info.len() < tree.len());
    edge(Limit::JoinBytes, tree.len(), |limits| {
        ExternalJoinStage::open(&PROVIDER, config_of(limits), &info, Some(&tree)).map(|_| ())
    });
    edge(Limit::JoinBytes, tree.len(), |limits| {
        opened_observer(config_of(limits), &info, Some(&tree)).map(|_| ())
    });
}

#[test]
fn a_tree_grows_no_further_than_the_limit() {
    let mut peers = group_of(&["alice", "bob", "carol", "dave"]);
    let mut observer = watch(&peers[0]);
    let over = |allowed| {
        let limit = Limit::TreeLeaves;
        Error::from(Rejection::OverLimit { limit, found: 8, allowed })
    };
    let eve = key_package("eve", 50);

    let options = commit_of(vec![add(&eve)]);
    edge(Limit::TreeLeaves, 8, |limits| drafts(&mut peers[0], limits, &options));

    // A fifth leaf makes eight.
    let four = limits_of(Limit::TreeLeaves, 4);
    assert_eq!(drafts(&mut peers[0], four, &options), Err(over(4)));

    drafts(&mut peers[0], four, &CommitOptions::default()).unwrap();
    peers[0].group.public.config.limits = Limits::default();
    let messages = peers[0].commit(options);
    judged(Limit::TreeLeaves, 8, &mut peers[1], &mut observer, &messages.commit);

    let leaf = || leaf_params("fay");
    let joined = outside(&peers[2], Limits::default(), leaf(), 0).unwrap();
    judged(Limit::TreeLeaves, 8, &mut peers[1], &mut observer, &joined.commit);
    edge(Limit::TreeLeaves, 8, |limits| outside(&peers[2], limits, leaf(), 0).map(|_| ()));

    // Joining a tree of five leaves, which count as eight.
    peers[0].accepted();
    let welcome = &messages.welcomes[0].message;
    let joins = |limits| {
        let stage = WelcomeStage::open(&PROVIDER, config_of(limits), welcome, &eve)?;
        stage.join(&PROVIDER, &[], None, None).map(|_| ())
    };
    edge(Limit::TreeLeaves, 8, joins);

    let info = peers[0].group.group_info(&PROVIDER, ALL).unwrap();
    edge(Limit::TreeLeaves, 8, |limits| {
        ExternalJoinStage::open(&PROVIDER, config_of(limits), &info, None).map(|_| ())
    });
    edge(Limit::TreeLeaves, 8, |limits| {
        opened_observer(config_of(limits), &info, None).map(|_| ())
    });
}

#[test]
fn received_adds_beyond_the_tree_limit_are_left_out() {
    let mut peers = group_of(&["alice", "bob", "carol"]);
    for (name, seed) in [("dave", 50), ("eve", 51), ("fay", 52)] {
        let message = peers[1].propose(add(&key_package(name, seed)), &Framing::default());
        deliver(&mut peers, 1, &message);
    }
    for peer in &mut peers {
        peer.group.public.config.limits = limits_of(Limit::TreeLeaves, 4);
    }
    let messages = commits(&mut peers, 0, CommitOptions::default());
    assert_eq!(messages.welcomes[0].recipients.len(), 1);
    assert_eq!(peers[2].group.tree().size(), TreeSize::for_leaves(4).unwrap());
    agree(&peers);
}

#[test]
fn a_huge_blank_tree_is_refused_at_the_first_surplus_leaf() {
    let peers = group_of(&["alice", "bob"]);
    let options = GroupInfoOptions { ratchet_tree: false, external_pub: true };
    let info = peers[0].group.group_info(&PROVIDER, options).unwrap();
    let mut w = Writer::new();
    w.put_opaque(&vec![0; 60_000_000]).unwrap();
    let tree = w.finish();
    let limits = limits_of(Limit::TreeLeaves, 8);
    let failed = ExternalJoinStage::open(&PROVIDER, config_of(limits), &info, Some(&tree));
    // Its thirty million leaves were not even counted.
    let rule = Rejection::OverLimit { limit: Limit::TreeLeaves, found: 9, allowed: 8 };
    assert_eq!(rejection(failed.unwrap_err()), rule);
}

#[test]
fn leaves_over_the_limit_are_refused_everywhere() {
    let mut peers = group_of(&["alice", "bob"]);
    let mut observer = watch(&peers[0]);
    let carol = key_package_of(large_leaf("carol"), &mut TestRng(50));
    let kp = carol.key_package();
    let n = kp.leaf_node.to_bytes().unwrap().len();
    edge(Limit::LeafBytes, n, |limits| {
        ValidKeyPackage::check(&PROVIDER, NOW, &config_of(limits), kp.clone()).map(|_| ())
    });

    // It was checked under other settings.
    let options = commit_of(vec![add(&carol)]);
    edge(Limit::LeafBytes, n, |limits| drafts(&mut peers[0], limits, &options));
    edge(Limit::LeafBytes, n, |limits| proposes(&mut peers[0], limits, &add(&carol)));

    peers[0].group.public.config.limits = Limits::default();
    let messages = peers[0].commit(options);
    judged(Limit::LeafBytes, n, &mut peers[1], &mut observer, &messages.commit);
    edge(Limit::LeafBytes, n, |limits| {
        let welcome = &messages.welcomes[0].message;
        let stage = WelcomeStage::open(&PROVIDER, config_of(limits), welcome, &carol)?;
        stage.join(&PROVIDER, &[], None, None).map(|_| ())
    });

    peers[0].rejected();
    // In an Update and in a path.
    let change = LeafUpdate { params: large_leaf("alice"), signer: signer(&mut TestRng(51)) };
    let update = peers[0].propose_update(Some(change.clone()), &Framing::default());
    let n = leaf_bytes_in(&update);
    judged(Limit::LeafBytes, n, &mut peers[1], &mut observer, &update);
    edge(Limit::LeafBytes, n, |limits| {
        peers[0].group.public.config.limits = limits;
        let rng = &mut TestRng(9);
        let change = Some(change.clone());
        peers[0].group.propose_update(&PROVIDER, rng, change, &Framing::default()).map(|_| ())
    });

    let leaf = Some(change);
    let options = CommitOptions { leaf, received: false, ..CommitOptions::default() };
    peers[0].group.public.config.limits = Limits::default();
    let commit = peers[0].commit(options.clone()).commit;
    peers[0].rejected();
    let n = leaf_bytes_in(&commit);
    judged(Limit::LeafBytes, n, &mut peers[1], &mut observer, &commit);
    edge(Limit::LeafBytes, n, |limits| drafts(&mut peers[0], limits, &options));

    let made = outside(&peers[1], Limits::default(), large_leaf("alice"), 0).unwrap();
    let n = leaf_bytes_in(&made.commit);
    judged(Limit::LeafBytes, n, &mut peers[0], &mut observer, &made.commit);
    edge(Limit::LeafBytes, n, |limits| {
        outside(&peers[1], limits, large_leaf("alice"), 0).map(|_| ())
    });
}

#[test]
fn no_group_is_created_or_joined_with_a_leaf_over_the_limit() {
    let found = |limits| {
        let mut rng = TestRng(7);
        let params = GroupParams {
            group_id: b"a group".as_slice().into(),
            cipher_suite: SUITE,
            extensions: Vec::new(),
            leaf: large_leaf("alice"),
            lifetime: LIFETIME,
        };
        let signer = signer(&mut rng);
        Group::create(&PROVIDER, &mut rng, config_of(limits), params, signer)
    };

    let new = found(Limits::default()).unwrap();
    let n = new.peek().tree().leaf(LeafIndex(0)).unwrap().to_bytes().unwrap().len();
    edge(Limit::LeafBytes, n, |limits| found(limits).map(|_| ()));

    let info = new.peek().group_info(&PROVIDER, ALL).unwrap();
    edge(Limit::LeafBytes, n, |limits| {
        ExternalJoinStage::open(&PROVIDER, config_of(limits), &info, None).map(|_| ())
    });
    edge(Limit::LeafBytes, n, |limits| opened_observer(config_of(limits), &info, None).map(|_| ()));
}

#[test]
fn extensions_over_the_limit_are_refused_everywhere() {
    let mut peers = group_of(&["alice", "bob"]);
    let mut observer = watch(&peers[0]);

    // Each length header of section 2.1.2.
    for (length, n) in [(0x3f, 0x42), (0x40, 0x44), (0x3fff, 0x4003), (0x4000, 0x4006)] {
        assert_eq!(extension(length).to_bytes().unwrap().len(), n);
        let context = NewProposal::GroupContextExtensions(vec![extension(length)]);
        let reinit = NewProposal::ReInit(ReInit {
            group_id: b"next".as_slice().into(),
            version: ProtocolVersion::MLS_1_0,
            cipher_suite: SUITE,
            extensions: vec![extension(length)],
        });
        for proposal in [context, reinit] {
            edge(Limit::ExtensionsBytes, n, |l| proposes(&mut peers[0], l, &proposal));
            let options = commit_of(vec![proposal.clone()]);
            edge(Limit::ExtensionsBytes, n, |l| drafts(&mut peers[0], l, &options));
            peers[0].group.public.config.limits = Limits::default();
            let rng = &mut TestRng(3);
            let framing = Framing::default();
            let step = peers[0].group.propose(&PROVIDER, rng, NOW, proposal, &framing).unwrap();
            let message = step.into_outcome().message;
            judged(Limit::ExtensionsBytes, n, &mut peers[1], &mut observer, &message);
            let step = peers[0].try_commit(options).unwrap();
            let messages = step.into_outcome();
            judged(Limit::ExtensionsBytes, n, &mut peers[1], &mut observer, &messages.commit);
        }
    }

    // Key packages.
    let params = KeyPackageParams {
        cipher_suite: SUITE,
        leaf: leaf_params("carol"),
        lifetime: LIFETIME,
        extensions: vec![extension(100)],
        last_resort: false,
    };

    let keys = signer(&mut TestRng(8));
    let carol = OwnKeyPackage::generate(&PROVIDER, &mut TestRng(9), params, keys).unwrap();
    edge(Limit::ExtensionsBytes, 104, |limits| {
        let kp = carol.key_package().clone();
        ValidKeyPackage::check(&PROVIDER, NOW, &config_of(limits), kp).map(|_| ())
    });

    let options = commit_of(vec![add(&carol)]);
    edge(Limit::ExtensionsBytes, 104, |l| drafts(&mut peers[0], l, &options));
    peers[0].group.public.config.limits = Limits::default();
    let messages = peers[0].try_commit(options).unwrap().into_outcome();
    judged(Limit::ExtensionsBytes, 104, &mut peers[1], &mut observer, &messages.commit);
}

#[test]
fn no_group_is_created_or_joined_with_extensions_over_the_limit() {
    let found = |limits| {
        let mut rng = TestRng(7);
        let params = GroupParams {
            group_id: b"a group".as_slice().into(),
            cipher_suite: SUITE,
            extensions: vec![extension(100)],
            leaf: leaf_params("alice"),
            lifetime: LIFETIME,
        };
        let signer = signer(&mut rng);
        Group::create(&PROVIDER, &mut rng, config_of(limits), params, signer)
    };
    edge(Limit::ExtensionsBytes, 104, |limits| found(limits).map(|_| ()));

    let mut alice = Peer::settle(found(Limits::default()).unwrap(), 1);
    // Of a GroupInfo's own extensions external_pub counts and the tree does not.
    let info = alice.group.group_info(&PROVIDER, ALL).unwrap();
    edge(Limit::ExtensionsBytes, 104, |limits| {
        ExternalJoinStage::open(&PROVIDER, config_of(limits), &info, None).map(|_| ())
    });
    edge(Limit::ExtensionsBytes, 104, |limits| {
        opened_observer(config_of(limits), &info, None).map(|_| ())
    });

    let bob = key_package("bob", 50);
    let welcome = alice.commit(commit_of(vec![add(&bob)])).welcomes.remove(0).message;
    edge(Limit::ExtensionsBytes, 104, |limits| {
        let stage = WelcomeStage::open(&PROVIDER, config_of(limits), &welcome, &bob)?;
        stage.join(&PROVIDER, &[], None, None).map(|_| ())
    });

    let peers = group_of(&["alice", "bob"]);
    let info = peers[0].group.group_info(&PROVIDER, ALL).unwrap();
    let external_pub = 2 + 1 + 1 + 32;
    edge(Limit::ExtensionsBytes, external_pub, |limits| {
        ExternalJoinStage::open(&PROVIDER, config_of(limits), &info, None).map(|_| ())
    });

    let mut observer = watch(&peers[0]);
    edge(Limit::ExtensionsBytes, external_pub, |limits| {
        observer.public.config.limits = limits;
        observer.take_group_info(&PROVIDER, &info).map(|_| ())
    });
}

#[test]
fn a_commit_holds_no_more_proposals_and_psks_than_the_limits() {
    let mut peers = group_of(&["alice", "bob"]);
    let mut observer = watch(&peers[0]);
    for peer in &mut peers {
        peer.psks = (0..3).map(known_psk).collect();
    }

    let psks = (0..3).map(known_psk).collect();
    let options = CommitOptions { psks, ..commit_of((0..3).map(new_psk).collect()) };
    let messages = peers[0].try_commit(options.clone()).unwrap().into_outcome();
    for limit in [Limit::Proposals, Limit::Psks] {
        edge(limit, 3, |limits| drafts(&mut peers[0], limits, &options));
        judged(limit, 3, &mut peers[1], &mut observer, &messages.commit);
    }

    let leaf = || leaf_params("carol");
    let made = outside(&peers[1], Limits::default(), leaf(), 3).unwrap();
    for (limit, n) in [(Limit::Proposals, 4), (Limit::Psks, 3)] {
        edge(limit, n, |limits| outside(&peers[1], limits, leaf(), 3).map(|_| ()));
        peers[0].group.public.config.limits = Limits::default();
        judged(limit, n, &mut peers[0], &mut observer, &made.commit);
    }

    // A Welcome has the same limit.
    peers[0].group.public.config.limits = Limits::default();
    let carol = key_package("carol", 50);
    let proposals = (0..3).map(new_psk).chain([add(&carol)]).collect();
    let welcome = peers[0].commit(CommitOptions { proposals, ..options }).welcomes.remove(0);
    edge(Limit::Psks, 3, |limits| {
        WelcomeStage::open(&PROVIDER, config_of(limits), &welcome.message, &carol).map(|_| ())
    });
}

#[test]
fn received_proposals_beyond_a_commits_limits_wait() {
    for limit in [Limit::Proposals, Limit::Psks] {
        let mut peers = group_of(&["alice", "bob"]);
        for peer in &mut peers {
            peer.psks = (0..5).map(known_psk).collect();
        }
        for n in 0..5 {
            let message = peers[1].propose(new_psk(n), &Framing::default());
            deliver(&mut peers, 1, &message);
        }
        for peer in &mut peers {
            peer.group.public.config.limits = limits_of(limit, 2);
        }
        let psks = (0..5).map(known_psk).collect();
        let commit = peers[0].commit(CommitOptions { psks, ..CommitOptions::default() }).commit;
        assert_eq!(peers[0].group.pending_commit.as_ref().unwrap().psks.len(), 2, "{limit}");
        deliver(&mut peers, 0, &commit);
        peers[0].accepted();
        agree(&peers);
    }
}

#[test]
fn no_more_proposals_wait_than_the_limit() {
    let mut peers = group_of(&["alice", "bob"]);
    let mut observer = watch(&peers[0]);
    let waiting = [new_psk(0), new_psk(1)].map(|psk| peers[0].propose(psk, &Framing::default()));
    for message in &waiting {
        peers[1].receive(message);
        takes(&mut observer, message);
    }

    let rng = &mut TestRng(3);
    let framing = Framing::default();
    let step = peers[0].group.propose(&PROVIDER, rng, NOW, new_psk(2), &framing).unwrap();
    let third = step.into_outcome().message;
    edge(Limit::PendingProposals, 3, |limits| proposes(&mut peers[0], limits, &new_psk(2)));
    judged(Limit::PendingProposals, 3, &mut peers[1], &mut observer, &third);

    // A proposal that waits already takes no more room.
    let full = limits_of(Limit::PendingProposals, 2);
    peers[1].group.public.config.limits = full;
    let again = peers[1].group.process(&PROVIDER, NOW, &waiting[0]);
    assert!(matches!(again, Ok(Received::Known)), "{again:?}");

    observes(&mut observer, full, &waiting[0]).unwrap();
    // The next epoch has room again.
    commits(&mut peers, 1, CommitOptions::default());
    peers[0].group.public.config.limits = full;
    let message = peers[0].propose(new_psk(3), &Framing::default());
    peers[1].receive(&message);
}

#[test]
fn no_more_bytes_of_proposals_wait_than_the_limit() {
    let mut peers = group_of(&["alice", "bob"]);
    let mut observer = watch(&peers[0]);
    let long = |n: usize| NewProposal::ExternalPsk { psk_id: vec![7; n].into() };

    // A PreSharedKey proposal is two bytes of its type, one of the PSK's, the identifier and the
    // nonce.
    let bytes = |n: usize| 2 + 1 + (2 + n) + (1 + 32);
    let first = peers[0].propose(long(1000), &Framing::default());
    peers[1].receive(&first);
    takes(&mut observer, &first);
    let framing = Framing::default();
    let step =
        peers[0].group.propose(&PROVIDER, &mut TestRng(3), NOW, long(500), &framing).unwrap();

    let second = step.into_outcome().message;
    let both = bytes(1000) + bytes(500);
    edge(Limit::PendingBytes, both, |limits| proposes(&mut peers[0], limits, &long(500)));
    judged(Limit::PendingBytes, both, &mut peers[1], &mut observer, &second);

    // The total survives a reload, and the next epoch has room again.
    let full = limits_of(Limit::PendingBytes, both);
    peers[1].reload();
    edge(Limit::PendingBytes, both, |limits| member(&mut peers[1], limits, &second));

    peers[1].group.public.config.limits = Limits::default();
    commits(&mut peers, 1, CommitOptions::default());
    peers[1].group.public.config.limits = full;
    let message = peers[0].propose(long(1000), &Framing::default());
    peers[1].receive(&message);
}

#[test]
fn a_message_is_no_further_ahead_than_the_ratchet_limit() {
    let ratchet = RatchetLimits { max_forward: 4, max_skipped: 2, ..RatchetLimits::default() };
    let limits = Limits { ratchet, ..Limits::default() };
    let mut peers = group_of(&["alice", "bob"]);
    let messages: Vec<_> = (0..6).map(|n| peers[0].say(&[n])).collect();
    peers[1].group.public.config.limits = limits;
    let leaf = LeafIndex(0);
    let far = RatchetError::TooFarAhead { leaf, generation: 5, by: 5 };
    assert_eq!(rejection(peers[1].error(&messages[5])), Rejection::Ratchet(far));
    assert_eq!(peers[1].reads(&messages[4]).data, [4]);
    for n in [0, 1] {
        let gone = RatchetError::KeyGone { leaf, generation: n };
        let error = rejection(peers[1].error(&messages[n as usize]));
        assert_eq!(error, Rejection::Ratchet(gone));
    }
    assert_eq!(peers[1].reads(&messages[2]).data, [2]);
    assert_eq!(peers[1].reads(&messages[3]).data, [3]);
    assert_eq!(peers[1].reads(&messages[5]).data, [5]);
}

#[test]
fn a_key_package_lives_no_longer_than_the_limit() {
    let limits = Limits { lifetime: Duration::from_secs(1000), ..Limits::default() };
    for (length, expected) in [(1000, Ok(())), (1001, Err(Rejection::LifetimeTooLong.into()))] {
        let params = KeyPackageParams {
            cipher_suite: SUITE,
            leaf: leaf_params("carol"),
            lifetime: Lifetime::starting_at(NOW, Duration::from_secs(length)),
            extensions: Vec::new(),
            last_resort: false,
        };
        let keys = signer(&mut TestRng(8));
        let own = OwnKeyPackage::generate(&PROVIDER, &mut TestRng(9), params, keys).unwrap();
        let kp = own.key_package().clone();
        let checked = ValidKeyPackage::check(&PROVIDER, NOW, &config_of(limits), kp);
        assert_eq!(checked.map(|_| ()), expected);
    }
}
