//! Lists of proposals that a commit may not hold (section 12.2).

use super::scene::*;
use conclave_group::{Config, Limit, Limits, NewProposal, Rejection};
use conclave_testkit::forge::{Insider, sign_key_package};
use conclave_tree::TreeError;
use conclave_wire::{
    Bytes, Content, Encode, Epoch, Extension, ExtensionType, GroupId, LeafIndex, LeafNodeSource,
    PreSharedKeyId, Proposal, ProposalOrRef, ProposalRef, ProtocolVersion, PskType, ReInit,
    ResumptionPskUsage,
};

fn psk(name: &[u8], nonce: usize) -> Proposal {
    let psktype = PskType::External { psk_id: name.into() };
    Proposal::PreSharedKey(PreSharedKeyId { psktype, psk_nonce: vec![9; nonce].into() })
}

fn linking(usage: ResumptionPskUsage) -> Proposal {
    let psktype = PskType::Resumption {
        usage,
        psk_group_id: b"a group".as_slice().into(),
        psk_epoch: Epoch(0),
    };
    Proposal::PreSharedKey(PreSharedKeyId { psktype, psk_nonce: vec![9; hash_len()].into() })
}

fn reinit(version: ProtocolVersion) -> ReInit {
    let group_id = GroupId::from(*b"next");
    ReInit { group_id, version, cipher_suite: SUITE, extensions: Vec::new() }
}

fn extensions() -> Proposal {
    Proposal::GroupContextExtensions(Vec::new())
}

/// Members only: `group::tests::proposals::lists_that_break_a_rule_are_refused`.
#[test]
fn observers_refuse_the_lists_that_members_refuse() {
    let scene = Scene::new();
    let remove = Proposal::Remove;
    let update = {
        let mut leaf = leaf_of(&scene.alice, LeafIndex(0));
        leaf.leaf_node_source = LeafNodeSource::Update;
        Proposal::Update(Box::new(leaf))
    };
    let alien =
        |n| Extension { extension_type: ExtensionType(n), extension_data: Bytes::default() };
    let twice = vec![alien(0xf001), alien(0xf002), alien(0xf001)];
    let mls10 = ProtocolVersion::MLS_1_0;
    let doubled = Rejection::DuplicateExtension(ExtensionType(0xf001));
    let reinit_twice = ReInit { extensions: twice.clone(), ..reinit(mls10) };

    for (list, rule) in [
        (vec![remove(LeafIndex(0))], Rejection::CommitterRemoved),
        (vec![remove(NOBODY)], Rejection::RemoveOfNobody(NOBODY)),
        (vec![remove(LeafIndex(1 << 31))], Rejection::RemoveOfNobody(LeafIndex(1 << 31))),
        (vec![remove(CAROL), remove(CAROL)], Rejection::SeveralChangesOfLeaf(CAROL)),
        (vec![update], Rejection::CommitterUpdates),
        (vec![extensions(), extensions()], Rejection::SeveralGroupContextExtensions),
        (vec![Proposal::GroupContextExtensions(twice)], doubled.clone()),
        (vec![Proposal::ReInit(reinit_twice)], doubled),
        (vec![Proposal::ExternalInit(Bytes::default())], Rejection::ExternalInitByMember),
        (vec![psk(b"x", hash_len()), psk(b"x", hash_len())], Rejection::DuplicatePsk),
        (vec![psk(b"x", hash_len() - 1)], Rejection::PskNonceLength),
        (vec![linking(ResumptionPskUsage::Reinit)], Rejection::PskUsage),
        (vec![linking(ResumptionPskUsage::Branch)], Rejection::PskUsage),
        (vec![Proposal::ReInit(reinit(mls10)), remove(CAROL)], Rejection::ReInitNotAlone),
        (
            vec![Proposal::ReInit(reinit(ProtocolVersion(0)))],
            Rejection::ReInitVersion(ProtocolVersion(0)),
        ),
        (vec![], Rejection::PathMissing),
        (vec![remove(CAROL)], Rejection::PathMissing),
        (vec![extensions()], Rejection::PathMissing),
    ] {
        let what = format!("{list:?}");
        scene.refused_by_all(&what, commit(list, None), SeenBy::All, is(rule));
    }

    let reference = ProposalRef::from([5; 32]);
    let list = vec![ProposalOrRef::Reference(reference.clone())];
    let rule = is(Rejection::UnknownProposal(reference));
    scene.refused_by_all("unknown", commit_list(list, None), SeenBy::All, rule);

    // The list is valid; only members see that the tag is wrong.
    for list in [vec![psk(b"x", hash_len())], vec![Proposal::ReInit(reinit(mls10))]] {
        let rule = is(Rejection::ConfirmationTag);
        scene.refused_by_all("tag", commit(list, None), SeenBy::Members, rule);
    }
}

#[test]
fn several_changes_of_one_leaf_are_refused_by_reference_too() {
    let mut scene = Scene::new();
    let update = |seed, scene: &mut Scene| {
        scene.proposed(Some(0), seed, |bob, rng| bob.propose_update(&PROVIDER, rng, None, &clear()))
    };
    let first = update(70, &mut scene);
    let second = update(71, &mut scene);
    let remove = |leaf| ProposalOrRef::Proposal(Proposal::Remove(leaf));
    for list in [vec![first.clone(), second], vec![remove(BOB), first.clone()]] {
        let rule = is(Rejection::SeveralChangesOfLeaf(BOB));
        scene.refused_by_all("bob twice", commit_list(list, None), SeenBy::All, rule);
    }

    // Alone, the Update only lacks a path.
    let rule = is(Rejection::PathMissing);
    scene.refused_by_all("an Update", commit_list(vec![first], None), SeenBy::All, rule);
}

#[test]
fn the_committers_own_update_and_removal_are_refused_by_reference_too() {
    let mut scene = Scene::new();
    let update =
        scene.proposed(None, 70, |alice, rng| alice.propose_update(&PROVIDER, rng, None, &clear()));
    let remove = scene.proposed(Some(1), 71, |carol, rng| {
        carol.propose(&PROVIDER, rng, NOW, NewProposal::Remove(LeafIndex(0)), &clear())
    });
    let rule = is(Rejection::CommitterUpdates);
    scene.refused_by_all("own Update", commit_list(vec![update], None), SeenBy::All, rule);
    let rule = is(Rejection::CommitterRemoved);
    scene.refused_by_all("own Remove", commit_list(vec![remove], None), SeenBy::All, rule);
}

#[test]
fn a_reinit_by_reference_is_refused_beside_another_proposal() {
    let mut scene = Scene::new();
    let closes = scene.proposed(Some(0), 70, |bob, rng| {
        let reinit = NewProposal::ReInit(reinit(ProtocolVersion::MLS_1_0));
        bob.propose(&PROVIDER, rng, NOW, reinit, &clear())
    });
    let list = vec![closes, ProposalOrRef::Proposal(psk(b"x", hash_len()))];
    let rule = is(Rejection::ReInitNotAlone);
    scene.refused_by_all("ReInit", commit_list(list, None), SeenBy::All, rule);
}

#[test]
fn a_repeated_reference_is_refused() {
    let mut scene = Scene::new();
    let proposed = scene.proposed(Some(0), 70, |bob, rng| {
        let psk = NewProposal::ExternalPsk { psk_id: b"x".as_slice().into() };
        bob.propose(&PROVIDER, rng, NOW, psk, &clear())
    });
    let ProposalOrRef::Reference(reference) = &proposed else { panic!("by value") };
    let rule = is(Rejection::RepeatedReference(reference.clone()));
    let twice = commit_list(vec![proposed.clone(), proposed.clone()], None);
    scene.refused_by_all("twice", twice, SeenBy::All, rule);
}

#[test]
fn a_proposal_is_checked_on_receipt_and_not_only_in_a_commit() {
    let scene = Scene::new();
    for (proposal, rule) in [
        (Proposal::Remove(NOBODY), Rejection::RemoveOfNobody(NOBODY)),
        (psk(b"x", hash_len() + 1), Rejection::PskNonceLength),
        (linking(ResumptionPskUsage::Branch), Rejection::PskUsage),
        (
            Proposal::ReInit(reinit(ProtocolVersion(0))),
            Rejection::ReInitVersion(ProtocolVersion(0)),
        ),
    ] {
        let what = format!("{proposal:?}");
        scene.refused_by_all(&what, Content::Proposal(proposal), SeenBy::All, is(rule));
    }
}

#[test]
fn more_psks_than_can_be_counted_are_refused() {
    let psks: Vec<_> =
        (0..=u32::from(u16::MAX)).map(|n| psk(&n.to_be_bytes(), hash_len())).collect();
    let limit = Limit::Psks;
    let found = psks.len();
    let mut limits = Limits::default();
    let over = Rejection::OverLimit { limit, found, allowed: limits.psks };
    let scene = Scene::new();
    scene.refused_by_all("psks", commit(psks.clone(), None), SeenBy::All, is(over));

    // A client with a higher limit cannot count them.
    limits.psks = found;
    let scene = Scene::with(&Config { limits, ..Config::default() });
    scene.refused_by_all("psks", commit(psks, None), SeenBy::All, is(Rejection::TooManyPsks));
}

#[test]
fn messages_over_the_limits_are_refused() {
    let context = Proposal::GroupContextExtensions(vec![Extension {
        extension_type: ExtensionType(0xf001),
        extension_data: vec![1; 100].into(),
    }]);
    let frank = add(&key_package("frank", 40));
    let defaults = Limits::default();
    let leaf_bytes = key_package("frank", 40).key_package().leaf_node.to_bytes().unwrap().len();
    let pending = frank.to_bytes().unwrap().len();
    let cases: [(Limits, Limit, usize, Content); 6] = [
        (
            Limits { leaf_bytes: leaf_bytes - 1, ..defaults },
            Limit::LeafBytes,
            leaf_bytes,
            Content::Proposal(frank.clone()),
        ),
        (
            Limits { extensions_bytes: 103, ..defaults },
            Limit::ExtensionsBytes,
            104,
            Content::Proposal(context),
        ),
        (
            Limits { pending_proposals: 0, ..defaults },
            Limit::PendingProposals,
            1,
            Content::Proposal(frank.clone()),
        ),
        (
            Limits { pending_bytes: pending - 1, ..defaults },
            Limit::PendingBytes,
            pending,
            Content::Proposal(frank.clone()),
        ),
        (
            Limits { proposals: 1, ..defaults },
            Limit::Proposals,
            2,
            commit(vec![psk(b"x", hash_len()), psk(b"y", hash_len())], None),
        ),
        (
            Limits { tree_leaves: 8, ..defaults },
            Limit::TreeLeaves,
            16,
            commit((40..44).map(|n| add(&key_package("frank", n))).collect(), None),
        ),
    ];

    for (limits, limit, found, content) in cases {
        let scene = Scene::with(&Config { limits, ..Config::default() });
        let over = |rejection: &Rejection| match rejection {
            Rejection::OverLimit { limit: over, found: size, .. } => {
                (*over, *size) == (limit, found)
            }
            _ => false,
        };
        scene.refused_by_all(&limit.to_string(), content, SeenBy::All, over);
    }
}

/// Members only: `group::tests::proposals::a_client_cannot_be_added_twice`.
#[test]
fn observers_refuse_to_add_a_client_that_is_a_member() {
    let scene = Scene::new();
    let dave = key_package("another", 40);
    let twice = vec![add(&dave), add(&dave)];
    let rule = of_tree(|e| matches!(e, TreeError::DuplicateEncryptionKey { .. }));
    scene.refused_by_all("twice", commit(twice, None), SeenBy::All, rule);

    // A member's signature key with new encryption keys.
    let keys = Insider::of(&scene.judges[0]).signer;
    let mut package = key_package("again", 41).key_package().clone();
    package.leaf_node.signature_key = keys.public.clone();
    sign_key_package(&suite(), &mut package, &keys);
    let again = Proposal::Add(Box::new(package));
    let rule = of_tree(|e| matches!(e, TreeError::DuplicateSignatureKey { .. }));
    scene.refused_by_all("again", commit(vec![again], None), SeenBy::All, rule);
}
