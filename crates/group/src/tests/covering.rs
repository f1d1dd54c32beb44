//! The proposals that a commit leaves out. Comparing each pending proposal with the commit's
//! outcome must find the same as applying the commit together with each of them.

use super::fixture::*;
use crate::policy::covering::{fitting_beside, left_out};
use crate::policy::{Proposed, ProposedCommit};
use crate::state::public::PublicState;
use crate::validate::apply::apply;
use crate::validate::list::{CheckedList, Committer, check_list};
use crate::view::GroupView;
use crate::view::proposals::ListedProposal;
use crate::{Config, Limits};
use alloc::vec;
use alloc::vec::Vec;
use conclave_tree::{StagedTree, TreeRead};
use conclave_wire::{
    Bytes, Credential, CredentialType, CustomProposal, Extension, ExtensionType, KeyPackage,
    LeafIndex, LeafNode, PreSharedKeyId, Proposal, ProposalType, ProtocolVersion, PskType, ReInit,
    RequiredCapabilities, Sender,
};

const OTHER: ExtensionType = ExtensionType(0xf0e0);
const STRANGE: CredentialType = CredentialType(0xf0c0);
const TYPES: [ProposalType; 3] = [ProposalType(0xf001), ProposalType(0xf002), ProposalType(0xf00f)];

trait Choose {
    fn chance(&mut self, percent: u64) -> bool;
    fn one_of<T: Clone>(&mut self, list: &[T]) -> T;
}

impl Choose for TestRng {
    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    fn one_of<T: Clone>(&mut self, list: &[T]) -> T {
        self.pick(list).unwrap().clone()
    }
}

/// Changes what a leaf supports and uses.
fn vary(rng: &mut TestRng, leaf: &mut LeafNode) {
    let capabilities = &mut leaf.capabilities;
    if rng.chance(40) {
        capabilities.extensions.retain(|_| false);
    }
    if rng.chance(40) {
        capabilities.extensions.push(OTHER);
    }

    let listed = TYPES[..2].iter().copied().filter(|_| rng.chance(80));
    capabilities.proposals = listed.collect();
    if rng.chance(70) {
        capabilities.credentials.push(STRANGE);
    }
    if rng.chance(15) {
        capabilities.credentials.retain(|t| *t != CredentialType::BASIC);
    }
    if rng.chance(20) && !capabilities.credentials.contains(&CredentialType::BASIC)
        || rng.chance(10) && capabilities.credentials.contains(&STRANGE)
    {
        leaf.credential =
            Credential::Other { credential_type: STRANGE, data: b"who".as_slice().into() };
    }
}

/// A group of six members, some of which support more than others, with keys in some parents.
fn group(rng: &mut TestRng) -> PublicState {
    let mut peers = group_of(&["a", "b", "c", "d", "e", "f"]);
    for place in [0, 2, 5] {
        let options = crate::CommitOptions { force_path: true, ..Default::default() };
        commits(&mut peers, place, options);
    }

    let mut public = peers.remove(0).group.public;
    if rng.chance(70) {
        let mut staged = StagedTree::new(&public.tree);
        // All of them list custom types of proposal, or three do.
        let changed = rng.one_of(&[vec![0, 1, 2, 3, 4, 5], vec![1, 3, 4]]);
        for index in changed.into_iter().map(LeafIndex) {
            let mut leaf = public.tree.leaf(index).unwrap();
            let fresh = key_package("x", rng.below(1 << 30));
            leaf.encryption_key = fresh.key_package().init_key.clone();
            leaf.capabilities.credentials.push(STRANGE);
            leaf.capabilities.proposals = TYPES.into();
            if rng.chance(15) {
                vary(rng, &mut leaf);
            }
            staged.update_leaf(index, &leaf).unwrap();
        }
        if rng.chance(30) {
            staged.remove_leaves(&[LeafIndex(5)]).unwrap();
        }
        let mut delta = staged.into_delta(&suite()).unwrap();
        public.tree.swap(&mut delta);
    }

    let mut limits = Limits::default();
    if rng.chance(15) {
        limits.tree_leaves = 8;
    }
    if rng.chance(15) {
        limits.proposals = 2;
    }

    let proposals = TYPES[..2].iter().map(|t| CustomProposal::vector(*t)).collect();
    public.config = Config { limits, proposals, ..Config::default() };
    public
}

fn extensions(rng: &mut TestRng) -> Vec<Extension> {
    let mut list = Vec::new();
    for extension_type in [CUSTOM, OTHER] {
        if rng.chance(25) {
            list.push(Extension { extension_type, extension_data: Bytes::default() });
        }
    }
    if rng.chance(40) {
        let required = RequiredCapabilities {
            extension_types: [CUSTOM, OTHER].into_iter().filter(|_| rng.chance(20)).collect(),
            proposal_types: TYPES.into_iter().filter(|_| rng.chance(15)).collect(),
            credential_types: [CredentialType::BASIC, STRANGE]
                .into_iter()
                .filter(|_| rng.chance(30))
                .collect(),
        };
        let kind = ExtensionType::REQUIRED_CAPABILITIES;
        list.push(Extension::new(kind, &required).unwrap());
    }
    list
}

/// A leaf of some client, perhaps with a key that is in the tree already.
fn leaf(rng: &mut TestRng, public: &PublicState, packages: &[KeyPackage]) -> KeyPackage {
    let mut package = rng.one_of(packages);
    vary(rng, &mut package.leaf_node);
    let tree = &public.tree;
    if rng.chance(10) {
        let node = conclave_wire::NodeIndex(rng.below(tree.size().node_count().into()) as u32);
        if let Some(key) = tree.encryption_key(node) {
            package.leaf_node.encryption_key = key;
        }
    }
    if rng.chance(10) {
        let member = LeafIndex(rng.below(6) as u32);
        if let Some(key) = tree.signature_key(member) {
            package.leaf_node.signature_key = key;
        }
    }
    package
}

fn proposal(
    rng: &mut TestRng,
    public: &PublicState,
    packages: &[KeyPackage],
) -> (Sender, Proposal) {
    let members: Vec<LeafIndex> = public.tree.members().collect();
    let sender = Sender::Member(rng.one_of(&members));
    let proposal = match rng.below(12) {
        0..3 => Proposal::Add(leaf(rng, public, packages).into()),
        3..5 => Proposal::Update(leaf(rng, public, packages).leaf_node.into()),
        5..7 => Proposal::Remove(rng.one_of(&members)),
        7 => Proposal::GroupContextExtensions(extensions(rng)),
        8 => Proposal::ReInit(ReInit {
            group_id: b"next".as_slice().into(),
            version: ProtocolVersion::MLS_1_0,
            cipher_suite: SUITE,
            extensions: Vec::new(),
        }),
        9 => Proposal::PreSharedKey(PreSharedKeyId {
            psktype: PskType::External { psk_id: b"x".as_slice().into() },
            psk_nonce: [1; 32].into(),
        }),
        _ => Proposal::Custom {
            proposal_type: rng.one_of(&TYPES),
            body: [rng.below(2) as u8].into(),
        },
    };
    (sender, proposal)
}

/// Whether a committed proposal takes the place of a pending one.
fn supersedes(committed: Proposed<'_>, pending: Proposed<'_>) -> bool {
    match (committed.proposal, pending.proposal) {
        (Proposal::Add(a), Proposal::Add(b)) => {
            a.leaf_node.signature_key == b.leaf_node.signature_key
        }
        (Proposal::GroupContextExtensions(_), Proposal::GroupContextExtensions(_)) => true,
        (Proposal::ReInit(_), _) | (_, Proposal::ReInit(_)) => true,
        (Proposal::Update(_), Proposal::Update(_)) => committed.sender == pending.sender,
        (Proposal::Remove(leaf), Proposal::Update(_)) => pending.sender == Sender::Member(*leaf),
        (Proposal::Remove(a), Proposal::Remove(b)) => a == b,
        (a, b) => a == b && committed.sender == pending.sender,
    }
}

/// Whether these are valid together in a member's commit, apart from its path.
fn fits(group: GroupView<'_>, committer: LeafIndex, list: &[Proposed<'_>]) -> bool {
    let limits = group.limits;
    let listed =
        list.iter().map(|item| ListedProposal::by_value(item.sender, item.proposal.clone()));
    let list = CheckedList::of_checked(listed.collect());
    limits.check(crate::Limit::Proposals, list.len()).is_ok()
        && check_list(limits, group.custom, Committer::Member(committer), &list).is_ok()
        && apply(group, &list).and_then(|applied| applied.check(group)).is_ok()
}

/// Finds out by applying the commit with each.
fn is_left_out(
    group: GroupView<'_>,
    committer: LeafIndex,
    committed: &[Proposed<'_>],
    item: Proposed<'_>,
) -> bool {
    let is_removed = |item: &Proposed<'_>, leaf| *item.proposal == Proposal::Remove(leaf);
    let by_who_goes = matches!(item.sender, Sender::Member(leaf)
        if committed.iter().any(|item| is_removed(item, leaf)));
    let counts = !matches!(item.proposal, Proposal::PreSharedKey(_))
        && !by_who_goes
        && !committed.iter().any(|other| supersedes(*other, item));
    let gives_way = |other: &&Proposed<'_>| match (item.proposal, other.proposal) {
        (Proposal::Remove(leaf), Proposal::Update(_)) => other.sender == Sender::Member(*leaf),
        _ => false,
    };

    let mut list: Vec<_> = committed.iter().filter(|other| !gives_way(other)).copied().collect();
    list.push(item);
    counts && fits(group, committer, &list)
}

fn proposed((sender, proposal): &(Sender, Proposal)) -> Proposed<'_> {
    Proposed { sender: *sender, proposal, by_reference: false }
}

/// Finds out by applying the commit with each and those before it.
fn greedily(
    group: GroupView<'_>,
    committer: LeafIndex,
    committed: &[ListedProposal],
    more: &[ListedProposal],
) -> Vec<ListedProposal> {
    let mut taken: Vec<ListedProposal> = Vec::new();
    for item in more {
        let list: Vec<Proposed<'_>> =
            committed.iter().chain(&taken).chain([item]).map(Proposed::from).collect();
        if fits(group, committer, &list) {
            taken.push(item.clone());
        }
    }
    taken
}

#[test]
fn proposals_taken_into_a_commit_are_valid_together() {
    let mut rng = TestRng(2);
    let packages: Vec<KeyPackage> =
        (0..12).map(|seed| key_package("new", 500 + seed).key_package().clone()).collect();
    let mut taken = [0; 2];
    let mut left = [0; 2];

    for _ in 0..12 {
        let group = group(&mut rng);
        for _ in 0..60 {
            let members: Vec<LeafIndex> = group.tree.members().collect();
            let committer = rng.one_of(&members);
            let listed =
                |(sender, proposal): (Sender, Proposal)| ListedProposal::by_value(sender, proposal);
            let mut some = |n| -> Vec<ListedProposal> {
                (0..n).map(|_| listed(proposal(&mut rng, &group, &packages))).collect()
            };
            let committed = some(2);
            let mut more = some(16);
            if !fits(
                group.view(),
                committer,
                &committed.iter().map(Proposed::from).collect::<Vec<_>>(),
            ) {
                continue;
            }
            more.retain(|item| matches!(item.proposal, Proposal::Add(_) | Proposal::Custom { .. }));
            let found = fitting_beside(group.view(), committer, &committed, more.clone());
            assert_eq!(found, greedily(group.view(), committer, &committed, &more));
            for item in more {
                let kind = usize::from(matches!(item.proposal, Proposal::Add(_)));
                let count = if found.contains(&item) { &mut taken } else { &mut left };
                count[kind] += 1;
            }
        }
    }
    assert!(taken.iter().chain(&left).all(|n| *n > 50), "{taken:?} taken, {left:?} left");
}

#[test]
fn a_proposal_is_left_out_if_the_commit_could_have_held_it() {
    let mut rng = TestRng(1);
    let packages: Vec<KeyPackage> =
        (0..12).map(|seed| key_package("new", 500 + seed).key_package().clone()).collect();
    let kinds = |proposal: &Proposal| proposal.proposal_type().0.min(8);
    let mut seen = vec![[0; 2]; 9];
    let mut valid = 0;

    for _ in 0..12 {
        let group = group(&mut rng);
        for _ in 0..150 {
            let members: Vec<LeafIndex> = group.tree.members().collect();
            let committer = rng.one_of(&members);
            let made: Vec<_> =
                (0..rng.below(4)).map(|_| proposal(&mut rng, &group, &packages)).collect();
            let mut pending: Vec<_> =
                (0..4).map(|_| proposal(&mut rng, &group, &packages)).collect();
            pending.extend(made.iter().filter(|_| rng.chance(20)).cloned().collect::<Vec<_>>());
            let committed: Vec<_> = made.iter().map(proposed).collect();
            // Invalid commits are refused before this is asked.
            if !fits(group.view(), committer, &committed) {
                continue;
            }
            valid += 1;
            let sender = Sender::Member(committer);
            let commit = ProposedCommit { sender, proposals: committed.clone(), leaf: None };
            for item in &pending {
                let item = proposed(item);
                let found = left_out(group.view(), committer, &commit, [item].into_iter()).next();
                let wanted = is_left_out(group.view(), committer, &committed, item);
                assert_eq!(found.is_some(), wanted, "{committer}: {committed:#?}\n{item:#?}");
                seen[usize::from(kinds(item.proposal))][usize::from(wanted)] += 1;
            }
            let found = left_out(group.view(), committer, &commit, pending.iter().map(proposed));
            let wanted = pending
                .iter()
                .map(proposed)
                .filter(|item| is_left_out(group.view(), committer, &committed, *item));
            let place = |item: Proposed<'_>| core::ptr::from_ref(item.proposal);
            let wanted: Vec<_> = wanted.map(place).collect();
            assert_eq!(found.map(place).collect::<Vec<_>>(), wanted);
        }
    }

    // Each kind was left out at times and covered at others, except PSKs, which do not count.
    assert!(valid > 500, "{valid}");
    for kind in [1, 2, 3, 5, 7, 8] {
        assert!(seen[kind].iter().all(|n| *n > 20), "{kind}: {seen:?}");
    }
    assert_eq!(seen[4][1], 0);
}
