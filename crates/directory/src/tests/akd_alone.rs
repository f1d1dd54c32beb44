//! What the tree's own verification takes, and this crate does not; and that both agree on the rest.

use super::*;
use crate::extension::Extension;
use crate::label;
use crate::lookup::{Answer, Kind};
use crate::path::Absence;
use crate::tree::{self, Hashing, Node};
use akd::auditor::audit_verify;
use akd::{AppendOnlyProof, AzksElement, AzksValue, SingleAppendOnlyProof};
use akd_core::verify::lookup_verify;
use akd_core::{AkdLabel, AkdValue, LookupProof};

/// An answer about a name, decoded.
fn answer(service: &Service, user: &str) -> Answer {
    Answer::from_bytes(&service.directory.lookup(user.as_bytes()).unwrap().proof).unwrap()
}

/// Every hash of the proof is that of the newest tree, in which the version was superseded. That it was not is
/// "proved" by the root's two children, of which one is above the mark.
#[test]
fn a_superseded_entry_is_refused_though_akd_takes_it() {
    let service = Service::new();
    let batch: Vec<_> = (0..40).map(|n| format!("user-{n}")).collect();
    let batch: Vec<_> = batch.iter().map(|user| (user.as_str(), 1)).collect();
    service.publish(&batch);
    let Kind::Present { value: old_value, superseded: old_mark, .. } =
        answer(&service, "user-3").kind
    else {
        panic!()
    };
    service.publish(&[("user-3", 2)]);
    let root = service.newest();

    // The history has the first version's place in the newest tree; the mark of the second is elsewhere.
    let page = service.directory.history(b"user-3", crate::Depth::Complete).unwrap();
    let history = crate::history::History::from_bytes(&page.proof).unwrap();
    let value = history.updates[1].value.clone();
    assert_eq!(value.head, old_value.head);

    // The root's two children: both are on nobody's way alone, and one is on the way to the mark.
    let halves = halves(&service);
    assert!(halves.iter().all(|half| half.label.label_len < 256));
    let mut w = conclave_mls::wire::codec::Writer::new();
    w.put(&old_mark.absence.label().label_val);
    halves[0].encode(&mut w).unwrap();
    halves[1].encode(&mut w).unwrap();
    w.put(&[0]);
    let absence = Absence::from_bytes(&w.finish()).unwrap();

    // This crate does not take them.
    let mut forged = answer(&service, "user-3");
    let opening = forged.opening;
    let mut mark = old_mark.clone();
    mark.absence = absence;
    forged.kind =
        Kind::Present { version: 1, value: value.clone(), marker: None, superseded: mark };
    let page = Page { root: root.signed().clone(), proof: forged.to_bytes().unwrap() };
    let refused = ProofError::Shape("an absent leaf could be below a node that is there");
    assert_eq!(service.check("user-3", &page), Err(refused));

    // `akd_core` does: if this fails, it has been repaired, and the comment in `path` is out of date.
    let leaf = value.path.membership(label::leaf(value.label), value.hash()).unwrap();
    let [left, right] =
        halves.map(|half| AzksElement { label: half.label, value: AzksValue(half.hash) });
    let proof = LookupProof {
        epoch: value.epoch,
        value: AkdValue(value.head.to_array().to_vec()),
        version: 1,
        existence_vrf_proof: value.name.to_vec(),
        existence_proof: leaf.clone(),
        marker_vrf_proof: value.name.to_vec(),
        marker_proof: leaf,
        freshness_vrf_proof: old_mark.name.to_vec(),
        freshness_proof: akd_core::NonMembershipProof {
            label: old_mark.absence.label(),
            longest_prefix: akd_core::NodeLabel::root(),
            longest_prefix_children: [left, right],
            longest_prefix_membership_proof: akd_core::MembershipProof {
                label: akd_core::NodeLabel::root(),
                hash_val: AzksValue(tree::parent_hash(&halves[0], &halves[1])),
                sibling_proofs: vec![],
            },
        },
        commitment_nonce: value.nonce.to_vec(),
    };
    let user = AkdLabel(b"user-3".to_vec());
    let taken = lookup_verify::<Hashing>(&opening.vrf_key, opening.tree, root.epoch(), user, proof);
    assert_eq!(taken.unwrap().version, 1);
}

/// The two children of the tree's root.
fn halves(service: &Service) -> [Node; 2] {
    let newest = service.directory.root().unwrap().epoch;
    let proof = service.directory.append_only(0, newest).unwrap();
    let leaves = Extension::read(&proof).unwrap().added;
    let half = |right: bool| {
        let nodes: Vec<_> = leaves
            .iter()
            .map(|leaf| Node {
                label: label::leaf(leaf.label),
                hash: tree::leaf_hash(leaf.commitment, leaf.epoch),
            })
            .filter(|node| label::goes_right(&node.label, 0) == right)
            .collect();
        top(&nodes)
    };
    [half(false), half(true)]
}

/// The node above these ascending ones, computed the slow way.
fn top(nodes: &[Node]) -> Node {
    let [first, .., last] = nodes else { return nodes[0] };
    let bits = label::common(&first.label, &last.label);
    let split = nodes.partition_point(|node| !label::goes_right(&node.label, bits));
    let (left, right) = (top(&nodes[..split]), top(&nodes[split..]));
    Node { label: label::prefix(&first.label, bits), hash: tree::parent_hash(&left, &right) }
}

/// The proof of one epoch in the form that `akd`'s auditor takes.
fn for_akd(extension: &Extension) -> AppendOnlyProof {
    let element = |label, value| AzksElement { label, value: AzksValue(value) };
    let kept = extension.kept.iter().map(|node| element(node.label, node.hash)).collect();
    let added =
        extension.added.iter().map(|leaf| element(label::leaf(leaf.label), leaf.commitment));
    let proof = SingleAppendOnlyProof { unchanged_nodes: kept, inserted: added.collect() };
    AppendOnlyProof { proofs: vec![proof], epochs: vec![extension.from] }
}

#[test]
fn akds_auditor_agrees_about_single_epochs() {
    let service = Service::new();
    for n in 0..12 {
        let fresh: Vec<_> = (0..n % 4 + 1).map(|m| format!("user-{n}-{m}")).collect();
        let mut batch: Vec<_> = fresh.iter().map(|user| (user.as_str(), 1)).collect();
        batch.push(("alice", n + 1));
        service.publish(&batch);

        let proof = service.directory.append_only(n, n + 1).unwrap();
        let extension = Extension::read(&proof).unwrap();
        let hashes = [extension.from_tree, extension.to_tree];
        assert!(akd_verifies(hashes, for_akd(&extension)));
        let mut wrong = hashes;
        wrong[1][0] ^= 1;
        assert!(!akd_verifies(wrong, for_akd(&extension)));
    }
}

/// What `akd`'s auditor says. It spawns tasks if there is more than one core.
fn akd_verifies(hashes: [[u8; 32]; 2], proof: AppendOnlyProof) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(audit_verify::<Hashing>(hashes.to_vec(), proof)).is_ok()
}
