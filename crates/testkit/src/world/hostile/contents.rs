//! Proposals and commits that a member has signed, tagged and encrypted correctly, and whose content
//! breaks a rule: lists, confirmation tags, paths.

use super::damage::flip;
use super::forgery::Forger;
use super::variant::{Because, Kind, Scene, Variant};
use crate::SeededRng;
use crate::world::state::CUSTOM_EXTENSION;
use conclave_crypto::Suite;
use conclave_group::Rejection;
use conclave_tree::TreeRead;
use conclave_wire::{
    Content, Encode, Extension, LeafIndex, LeafNode, LeafNodeContext, LeafNodeSource, LeafNodeTbs,
    Mac, PreSharedKeyId, Proposal, ProposalOrRef, ProtocolVersion, PskType, ReInit,
    ResumptionPskUsage, UpdatePath, UpdatePathNode,
};

pub(super) const KINDS: &[Kind] = &[
    Kind { name: "signed: list against the rules", make: unruly_list },
    Kind { name: "signed: list with an unknown proposal", make: unknown_proposal },
    Kind { name: "signed: other list", make: other_list },
    Kind { name: "signed: confirmation tag of zeros", make: |s| with_tag(s, |tag, _| zeros(tag)) },
    Kind {
        name: "signed: confirmation tag with a bit flipped",
        make: |s| with_tag(s, |tag, rng| assert!(flip(&mut tag.0, rng))),
    },
    Kind {
        name: "signed: confirmation tag cut short",
        make: |s| with_tag(s, |tag, _| *tag = tag[..tag.len() - 1].into()),
    },
    Kind { name: "signed: path left out", make: path_left_out },
    Kind { name: "signed: path nodes swapped", make: |s| with_path(s, swap_nodes) },
    Kind { name: "signed: path node left out", make: |s| with_path(s, drop_node) },
    Kind { name: "signed: path node twice", make: |s| with_path(s, double_node) },
    Kind { name: "signed: path node with another key", make: |s| with_path(s, another_key) },
    Kind { name: "signed: path secret left out", make: |s| with_path(s, drop_secret) },
    Kind { name: "signed: path secrets damaged", make: path_secrets_damaged },
    Kind { name: "signed: path leaf damaged", make: |s| with_path(s, damage_leaf) },
    Kind { name: "signed: path leaf for another parent", make: |s| with_leaf(s, another_parent) },
    Kind { name: "signed: path leaf with its old key", make: |s| with_leaf(s, old_key) },
    Kind { name: "signed: path leaf of a key package", make: |s| with_leaf(s, another_source) },
    Kind { name: "signed: proposal against the rules", make: unruly_proposal },
];

// ── proposals ────────────────────────────────────────────────────────────────────────────────

fn psk(scene: &mut Scene<'_>, psktype: PskType, nonce: usize) -> Proposal {
    Proposal::PreSharedKey(PreSharedKeyId { psktype, psk_nonce: scene.rng.bytes(nonce).into() })
}

fn external_psk() -> PskType {
    PskType::External { psk_id: b"unknown".as_slice().into() }
}

/// A proposal that breaks a rule by itself, and a check for that rule.
fn unruly(scene: &mut Scene<'_>) -> (Proposal, Because) {
    let group = &scene.victim.group;
    let nh = Suite::new(scene.victim.provider, group.cipher_suite()).expect("supported").nh();
    let branch = PskType::Resumption {
        usage: ResumptionPskUsage::Branch,
        psk_group_id: group.group_id().clone(),
        psk_epoch: group.epoch(),
    };

    let twice = Extension { extension_type: CUSTOM_EXTENSION, extension_data: Vec::new().into() };
    match scene.rng.below(5) {
        0 => {
            let beyond = group.tree().size().leaf_count() + scene.rng.below(3) as u32;
            (Proposal::Remove(LeafIndex(beyond)), |r| matches!(r, Rejection::RemoveOfNobody(_)))
        }
        1 => (psk(scene, external_psk(), nh - 1), |r| matches!(r, Rejection::PskNonceLength)),
        2 => (psk(scene, branch, nh), |r| matches!(r, Rejection::PskUsage)),
        3 => {
            let reinit = ReInit {
                group_id: scene.rng.bytes(16).into(),
                version: ProtocolVersion(0),
                cipher_suite: group.cipher_suite(),
                extensions: Vec::new(),
            };
            (Proposal::ReInit(reinit), |r| matches!(r, Rejection::ReInitVersion(_)))
        }
        _ => (Proposal::GroupContextExtensions(vec![twice.clone(), twice]), |r| {
            matches!(r, Rejection::DuplicateExtension(_))
        }),
    }
}

fn unruly_proposal(scene: &mut Scene<'_>) -> Option<Variant> {
    let forger = Forger::of(scene)?;
    if !matches!(forger.content.content, Content::Proposal(_)) {
        return None;
    }
    let (proposal, because) = match scene.rng.below(4) {
        0 => {
            let leaf = scene.victim.group.tree().leaf(forger.leaf())?;
            let because: Because =
                |r| matches!(r, Rejection::UpdateLeafSource | Rejection::UpdateKeyUnchanged);
            (Proposal::Update(Box::new(leaf)), because)
        }
        _ => unruly(scene),
    };
    Some(forger.message(scene, Content::Proposal(proposal))?.because(because))
}

/// The real path with a list of proposals that breaks a rule by itself.
fn unruly_list(scene: &mut Scene<'_>) -> Option<Variant> {
    let (forger, mut commit) = Forger::of_commit(scene)?;
    let me = forger.leaf();
    let other = scene.victim.group.tree().members().find(|leaf| *leaf != me)?;
    let reinit = |scene: &mut Scene<'_>| ReInit {
        group_id: scene.rng.bytes(16).into(),
        version: ProtocolVersion::MLS_1_0,
        cipher_suite: scene.victim.group.cipher_suite(),
        extensions: Vec::new(),
    };

    let remove = || Proposal::Remove(other);
    let nh = forger.tag.as_ref()?.len();
    let (list, because): (Vec<Proposal>, Because) = match scene.rng.below(8) {
        0 => (vec![Proposal::Remove(me)], |r| matches!(r, Rejection::CommitterRemoved)),
        1 => (vec![Proposal::ExternalInit(scene.rng.bytes(32).into())], |r| {
            matches!(r, Rejection::ExternalInitByMember)
        }),
        2 => (vec![Proposal::GroupContextExtensions(Vec::new()); 2], |r| {
            matches!(r, Rejection::SeveralGroupContextExtensions)
        }),
        3 => (vec![Proposal::ReInit(reinit(scene)), remove()], |r| {
            matches!(r, Rejection::ReInitNotAlone)
        }),
        4 => (vec![remove(), remove()], |r| matches!(r, Rejection::SeveralChangesOfLeaf(_))),
        5 => {
            let leaf = scene.victim.group.tree().leaf(me)?;
            let because: Because = |r| matches!(r, Rejection::CommitterUpdates);
            (vec![Proposal::Update(Box::new(leaf))], because)
        }
        6 => (vec![psk(scene, external_psk(), nh); 2], |r| matches!(r, Rejection::DuplicatePsk)),
        _ => {
            let (proposal, because) = unruly(scene);
            (vec![proposal], because)
        }
    };
    commit.proposals = list.into_iter().map(ProposalOrRef::Proposal).collect();
    Some(forger.commit(scene, commit)?.because(because))
}

/// The real path with a reference to a proposal that nobody has seen: it may still come.
fn unknown_proposal(scene: &mut Scene<'_>) -> Option<Variant> {
    let (forger, mut commit) = Forger::of_commit(scene)?;
    let reference = scene.rng.bytes(forger.tag.as_ref()?.len()).into();
    commit.proposals.push(ProposalOrRef::Reference(reference));
    let variant = forger.commit(scene, commit)?;
    Some(variant.because(|r| matches!(r, Rejection::UnknownProposal(_))))
}

/// The real path with another valid list. The path or the confirmation tag does not fit the epoch
/// that results; an observer sees neither.
fn other_list(scene: &mut Scene<'_>) -> Option<Variant> {
    let (forger, mut commit) = Forger::of_commit(scene)?;
    match scene.rng.below(2) {
        0 if !commit.proposals.is_empty() => drop(commit.proposals.pop()),
        _ => {
            let data = scene.rng.bytes(5).into();
            let extension_type = CUSTOM_EXTENSION;
            let list = vec![Extension { extension_type, extension_data: data }];
            let proposal = Proposal::GroupContextExtensions(list);
            commit.proposals = vec![ProposalOrRef::Proposal(proposal)];
        }
    }
    Some(Variant { observable: false, ..forger.commit(scene, commit)? })
}

// ── the confirmation tag ─────────────────────────────────────────────────────────────────────

fn zeros(tag: &mut Mac) {
    *tag = vec![0; tag.len()].into();
}

/// The real content with another confirmation tag, which an observer cannot check.
fn with_tag(scene: &mut Scene<'_>, edit: fn(&mut Mac, &mut SeededRng)) -> Option<Variant> {
    let (mut forger, commit) = Forger::of_commit(scene)?;
    edit(forger.tag.as_mut()?, scene.rng);
    let may_open = !forger.by_member(scene.victim.group.own_leaf());
    let variant = Variant { observable: false, ..forger.commit(scene, commit)? };
    if may_open {
        Some(variant.because(|r| matches!(r, Rejection::ConfirmationTag)))
    } else {
        Some(variant)
    }
}

// ── the path ─────────────────────────────────────────────────────────────────────────────────

fn path_left_out(scene: &mut Scene<'_>) -> Option<Variant> {
    let (forger, mut commit) = Forger::of_commit(scene)?;
    commit.path.take()?;
    commit.proposals.clear();
    let variant = forger.commit(scene, commit)?;
    Some(variant.because(|r| matches!(r, Rejection::PathMissing)))
}

/// The real commit with a path that visibly breaks a rule.
fn with_path(
    scene: &mut Scene<'_>,
    edit: fn(&mut UpdatePath, &mut SeededRng) -> Option<()>,
) -> Option<Variant> {
    let (forger, mut commit) = Forger::of_commit(scene)?;
    edit(commit.path.as_mut()?, scene.rng)?;
    let variant = forger.commit(scene, commit)?;
    Some(variant.because(|r| matches!(r, Rejection::Tree(_))))
}

fn some_node<'a>(path: &'a mut UpdatePath, rng: &mut SeededRng) -> Option<&'a mut UpdatePathNode> {
    let at = rng.below(path.nodes.len() as u64) as usize;
    path.nodes.get_mut(at)
}

fn swap_nodes(path: &mut UpdatePath, rng: &mut SeededRng) -> Option<()> {
    let at = rng.below((path.nodes.len() as u64).checked_sub(1)?) as usize;
    let [one, other] = path.nodes.get_mut(at..at + 2)? else { return None };
    std::mem::swap(&mut one.encryption_key, &mut other.encryption_key);
    Some(())
}

fn drop_node(path: &mut UpdatePath, _: &mut SeededRng) -> Option<()> {
    path.nodes.pop().map(drop)
}

fn double_node(path: &mut UpdatePath, _: &mut SeededRng) -> Option<()> {
    let last = path.nodes.last()?.clone();
    path.nodes.push(last);
    Some(())
}

fn another_key(path: &mut UpdatePath, rng: &mut SeededRng) -> Option<()> {
    let key = path.leaf_node.encryption_key.clone();
    some_node(path, rng)?.encryption_key = key;
    Some(())
}

fn drop_secret(path: &mut UpdatePath, rng: &mut SeededRng) -> Option<()> {
    some_node(path, rng)?.encrypted_path_secret.pop().map(drop)
}

fn damage_leaf(path: &mut UpdatePath, rng: &mut SeededRng) -> Option<()> {
    flip(&mut path.leaf_node.signature, rng);
    Some(())
}

/// The real commit with all path secrets damaged, the victim's among them. An observer cannot open
/// them anyway.
fn path_secrets_damaged(scene: &mut Scene<'_>) -> Option<Variant> {
    let (forger, mut commit) = Forger::of_commit(scene)?;
    let path = commit.path.as_mut()?;
    if path.nodes.is_empty() {
        return None;
    }
    for sealed in path.nodes.iter_mut().flat_map(|node| &mut node.encrypted_path_secret) {
        flip(&mut sealed.ciphertext, scene.rng);
    }
    Some(Variant { observable: false, ..forger.commit(scene, commit)? })
}

/// The real commit with a leaf that breaks a rule, signed by the committer.
fn with_leaf(
    scene: &mut Scene<'_>,
    edit: fn(&mut LeafNode, &Scene<'_>, LeafIndex) -> Option<()>,
) -> Option<Variant> {
    let (forger, mut commit) = Forger::of_commit(scene)?;
    let leaf = &mut commit.path.as_mut()?.leaf_node;
    // The forger lacks the private half of a new signature key.
    if leaf.signature_key != forger.insider.signer.public {
        return None;
    }

    edit(leaf, scene, forger.leaf())?;
    let context =
        LeafNodeContext { group_id: scene.victim.group.group_id(), leaf_index: forger.leaf() };
    let tbs = LeafNodeTbs { leaf_node: leaf, context }.to_bytes().ok()?;
    let suite = Suite::new(scene.victim.provider, scene.victim.group.cipher_suite()).ok()?;
    leaf.signature =
        suite.sign_with_label(&forger.insider.signer, b"LeafNodeTBS", &tbs).ok()?.into();
    let variant = forger.commit(scene, commit)?;
    Some(variant.because(|r| matches!(r, Rejection::Tree(_) | Rejection::CommitLeafSource)))
}

fn another_parent(leaf: &mut LeafNode, _: &Scene<'_>, _: LeafIndex) -> Option<()> {
    let LeafNodeSource::Commit(parent_hash) = &mut leaf.leaf_node_source else { return None };
    let mut other = parent_hash.to_vec();
    match other.first_mut() {
        Some(byte) => *byte ^= 1,
        None => other.push(1),
    }
    *parent_hash = other.into();
    Some(())
}

fn old_key(leaf: &mut LeafNode, scene: &Scene<'_>, committer: LeafIndex) -> Option<()> {
    leaf.encryption_key = scene.victim.group.tree().encryption_key(committer.node())?;
    Some(())
}

fn another_source(leaf: &mut LeafNode, _: &Scene<'_>, _: LeafIndex) -> Option<()> {
    leaf.leaf_node_source = LeafNodeSource::Update;
    Some(())
}
