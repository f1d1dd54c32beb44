use super::*;
use crate::extension::Extension;
use crate::history::History;
use crate::lookup::Answer;
use crate::{
    Auditor, Depth, EvidenceError, MAX_EVIDENCE, MAX_EXTENSION, MAX_HISTORY, MAX_LOOKUP, RootError,
    Roots, Seen, Source, verify_append_only, verify_history,
};

/// A service with some users, one of whom has five versions.
fn busy() -> Service {
    let service = Service::new();
    for n in 1..=5 {
        let users = [format!("user-{n}"), format!("other-{n}")];
        service.publish(&[("alice", n), (&users[0], 1), (&users[1], 1)]);
    }
    service
}

#[test]
fn an_edited_root_is_not_signed() {
    let service = busy();
    let bytes = service.directory.root().unwrap().to_bytes().unwrap();
    for edited in edits(&bytes, 1) {
        is_canonical::<SignedRoot>(&edited);
        let Ok(root) = SignedRoot::from_bytes(&edited) else { continue };
        assert_eq!(root.verify(&*service.provider, &service.key()), Err(RootError::NotSigned));
    }
}

#[test]
fn an_edited_lookup_proves_nothing_else() {
    let service = busy();
    for user in ["alice", "user-2", "nobody"] {
        let page = service.directory.lookup(user.as_bytes()).unwrap();
        let want = service.check(user, &page).unwrap();
        for proof in edits(&page.proof, 7) {
            is_canonical::<Answer>(&proof);
            let checked = service.check(user, &Page { proof, ..page.clone() });
            assert!(checked.is_err(), "{user}: {checked:?} for {want:?}");
        }
    }
}

#[test]
fn a_lookup_is_of_one_name_and_one_root() {
    let service = busy();
    let old = service.directory.lookup(b"alice").unwrap();
    let old_absence = service.directory.lookup(b"nobody").unwrap();
    service.publish(&[("alice", 6), ("nobody", 1)]);
    let new = service.directory.lookup(b"alice").unwrap();

    assert_eq!(service.check("user-1", &new), Err(ProofError::OtherName));
    assert_eq!(service.check("nobody", &new), Err(ProofError::OtherName));
    assert_eq!(service.check("alice", &old_absence), Err(ProofError::OtherName));

    // An old value under the newest root, and the newest under an old one.
    let swapped =
        |root: &Page, proof: &Page| Page { root: root.root.clone(), proof: proof.proof.clone() };
    let other_root = Err(ProofError::OtherRoot);
    assert_eq!(service.check("alice", &swapped(&new, &old)), other_root);
    assert_eq!(service.check("alice", &swapped(&old, &new)), other_root);
    assert_eq!(service.check("nobody", &swapped(&new, &old_absence)), other_root);

    // With the opening of the other root, the paths do not lead there.
    let mut forged = Answer::from_bytes(&old.proof).unwrap();
    forged.opening = Answer::from_bytes(&new.proof).unwrap().opening;
    let page = Page { root: new.root.clone(), proof: forged.to_bytes().unwrap() };
    assert_eq!(service.check("alice", &page), Err(ProofError::OtherTree));

    let mut forged = Answer::from_bytes(&old_absence.proof).unwrap();
    forged.opening = Answer::from_bytes(&new.proof).unwrap().opening;
    let page = Page { root: new.root, proof: forged.to_bytes().unwrap() };
    assert_eq!(service.check("nobody", &page), Err(ProofError::OtherTree));
}

#[test]
fn an_edited_history_proves_nothing_else() {
    let service = busy();
    let page = service.directory.history(b"alice", Depth::Complete).unwrap();
    let root = service.verified(&page.root);
    for proof in edits(&page.proof, 41) {
        is_canonical::<History>(&proof);
        let depth = Depth::Complete;
        assert!(verify_history(&*service.provider, &root, b"alice", depth, &proof).is_err());
    }

    // The last version left out, and the first one.
    let history = History::from_bytes(&page.proof).unwrap();
    let verify = |history: History| {
        let proof = history.to_bytes().unwrap();
        verify_history(&*service.provider, &root, b"alice", Depth::Complete, &proof)
    };
    assert!(verify(history.clone()).is_ok());
    let mut without_last = history.clone();
    without_last.updates.remove(0);
    without_last.version = 4;
    assert!(verify(without_last).is_err());
    let mut without_first = history;
    without_first.updates.pop();
    assert!(verify(without_first).is_err());
}

#[test]
fn an_edited_extension_is_not_signed() {
    let service = busy();
    let roots = service.directory.roots(0).unwrap();
    let (old, new) = (service.verified(&roots[2]), service.verified(&roots[5]));
    let proof = service.directory.append_only(2, 5).unwrap();
    for edited in edits(&proof, 11) {
        is_canonical::<Extension>(&edited);
        let refused = verify_append_only(&*service.provider, &old, &new, &edited).unwrap_err();
        let garbage = matches!(refused, ProofError::NotSigned | ProofError::Malformed(_));
        assert!(garbage, "{refused:?}");
    }
}

#[test]
fn a_signed_extension_is_refused_for_what_is_wrong() {
    let service = busy();
    let roots = service.directory.roots(0).unwrap();
    let right = Extension::read(&service.directory.append_only(2, 5).unwrap()).unwrap();
    let refused = |old: usize, new: usize, change: &dyn Fn(&mut Extension)| {
        let mut wrong = right.clone();
        change(&mut wrong);
        wrong.sign(&*service.provider, &service.signer).unwrap();
        let (old, new) = (service.verified(&roots[old]), service.verified(&roots[new]));
        let proof = wrong.to_bytes().unwrap();
        verify_append_only(&*service.provider, &old, &new, &proof).err()
    };
    let disorder = || Some(ProofError::Shape("subtrees out of order, or one below another"));

    assert_eq!(refused(2, 5, &|_| {}), None);
    assert_eq!(refused(2, 4, &|_| {}), Some(ProofError::OtherEpochs));
    assert_eq!(refused(1, 5, &|_| {}), Some(ProofError::OtherEpochs));
    assert_eq!(refused(2, 4, &|x| x.to = 4), Some(ProofError::OtherRoot));
    assert_eq!(refused(2, 5, &|x| x.vrf_key[0] ^= 1), Some(ProofError::OtherRoot));
    assert_eq!(refused(2, 5, &|x| x.from_tree[0] ^= 1), Some(ProofError::OtherRoot));
    assert_eq!(refused(2, 5, &|x| x.to_tree[0] ^= 1), Some(ProofError::OtherRoot));

    // A leaf or a subtree left out, doubled, swapped or changed.
    let other_tree = || Some(ProofError::OtherTree);
    assert_eq!(refused(2, 5, &|x| x.added.truncate(x.added.len() - 1)), other_tree());
    assert_eq!(refused(2, 5, &|x| x.kept.truncate(x.kept.len() - 1)), other_tree());
    assert_eq!(refused(2, 5, &|x| x.added[1].commitment[9] ^= 1), other_tree());
    assert_eq!(refused(2, 5, &|x| x.kept[1].hash[9] ^= 1), other_tree());
    assert_eq!(refused(2, 5, &|x| x.kept.insert(0, x.kept[0])), disorder());
    assert_eq!(refused(2, 5, &|x| x.added.insert(0, x.added[0])), disorder());
    assert_eq!(refused(2, 5, &|x| x.kept.swap(0, 1)), disorder());
    assert_eq!(refused(2, 5, &|x| x.added.swap(0, 1)), disorder());

    // An old leaf below a subtree that is said to be kept: it could replace what is there.
    let below = |x: &mut Extension| {
        let inner = x.kept.iter().find(|node| node.label.label_len < 250).unwrap();
        let mut label = inner.label.label_val;
        label[31] |= 1;
        x.added.push(crate::extension::Added { label, commitment: [1; 32], epoch: 3 });
        x.added.sort_by_key(|leaf| leaf.label);
    };
    assert_eq!(refused(2, 5, &below), disorder());

    // Leaves from epochs that are not in between.
    let rule = || Some(ProofError::Rule("a new leaf is not from an epoch in between"));
    assert_eq!(refused(2, 5, &|x| x.added[0].epoch = 2), rule());
    assert_eq!(refused(2, 5, &|x| x.added[0].epoch = 6), rule());
}

#[test]
fn a_directory_cannot_begin_with_something_in_it() {
    let service = busy();
    let roots = service.directory.roots(0).unwrap();
    let mut wrong = Extension::read(&service.directory.append_only(0, 5).unwrap()).unwrap();
    let first = wrong.added.remove(0);
    let hash = crate::tree::leaf_hash(first.commitment, first.epoch);
    wrong.kept.push(crate::tree::Node { label: crate::label::leaf(first.label), hash });
    wrong.sign(&*service.provider, &service.signer).unwrap();

    let (old, new) = (service.verified(&roots[0]), service.verified(&roots[5]));
    let refused = verify_append_only(&*service.provider, &old, &new, &wrong.to_bytes().unwrap());
    let rule = ProofError::Rule("the directory was not empty at its beginning");
    assert_eq!(refused, Err(rule));
}

#[test]
fn proofs_that_are_too_long_are_not_read() {
    let service = busy();
    let root = service.newest();
    let provider = &*service.provider;
    let long = |most: usize| vec![0; most + 1];

    let refused = verify_lookup(provider, &root, b"alice", &long(MAX_LOOKUP));
    assert_eq!(refused, Err(ProofError::TooLong(MAX_LOOKUP + 1)));
    let refused = verify_history(provider, &root, b"a", Depth::Complete, &long(MAX_HISTORY));
    assert_eq!(refused, Err(ProofError::TooLong(MAX_HISTORY + 1)));
    let refused = verify_append_only(provider, &root, &root, &long(MAX_EXTENSION));
    assert_eq!(refused, Err(ProofError::TooLong(MAX_EXTENSION + 1)));
    let refused = Evidence::read(&long(MAX_EVIDENCE));
    assert_eq!(refused, Err(EvidenceError::TooLong(MAX_EVIDENCE + 1)));
}

#[test]
fn versions_and_epochs_that_would_overflow_are_refused() {
    let service = busy();
    let proof = service.directory.lookup(b"alice").unwrap().proof;
    // The version follows the opening and the kind.
    for version in [0, (1 << 48) + 1, u64::MAX] {
        let mut proof = proof.clone();
        proof[65..73].copy_from_slice(&version.to_be_bytes());
        assert!(Answer::from_bytes(&proof).is_err());
    }
    let mut root = service.directory.root().unwrap();
    root.epoch = u64::MAX;
    assert!(SignedRoot::from_bytes(&root.to_bytes().unwrap()).is_err());
}

#[test]
fn an_edited_file_of_evidence_convicts_nobody_else() {
    let service = Service::new();
    let fork = service.fork();
    let (here, there) = (service.publish(&[("alice", 1)]), fork.publish(&[("alice", 2)]));
    let two_roots = Evidence::two_roots(service.key(), here, there);
    let (first, second) = (service.statement("alice"), fork.statement("alice"));
    let statements = Evidence::statements(service.key(), b"alice", first, second);

    for evidence in [two_roots, statements] {
        let file = evidence.to_bytes().unwrap();
        for edited in edits(&file, 13) {
            is_canonical::<Evidence>(&edited);
            let Ok(read) = Evidence::read(&edited) else { continue };
            assert!(read.check(&*service.provider).is_err());
        }
    }
}

#[test]
fn what_can_be_true_convicts_nobody() {
    let service = busy();
    let provider = &*service.provider;
    let before = (service.directory.root().unwrap(), service.statement("alice"));
    let absent = service.statement("bob");
    service.publish(&[("alice", 9), ("bob", 1)]);
    let after = (service.directory.root().unwrap(), service.statement("alice"));
    let key = service.key();
    let none = Err(EvidenceError::NoContradiction);

    let check = |evidence: Evidence| evidence.check(provider);
    let roots = |a: &SignedRoot, b: &SignedRoot| {
        check(Evidence::two_roots(Arc::clone(&key), a.clone(), b.clone()))
    };
    assert_eq!(roots(&before.0, &after.0), none);
    assert_eq!(roots(&after.0, &after.0), none);

    let statements = |user: &str, a: &Statement, b: &Statement| {
        check(Evidence::statements(Arc::clone(&key), user.as_bytes(), a.clone(), b.clone()))
    };
    assert_eq!(statements("alice", &before.1, &after.1), none);
    assert_eq!(statements("alice", &after.1, &after.1), none);
    assert_eq!(statements("bob", &absent, &service.statement("bob")), none);
    let other_name = Err(EvidenceError::Proof(ProofError::OtherName));
    assert_eq!(statements("bob", &before.1, &after.1), other_name);

    let proof = service.directory.append_only(5, 6).unwrap();
    let extension = |old: &SignedRoot, new: &SignedRoot, proof: &[u8]| {
        let (old, new) = (old.clone(), new.clone());
        check(Evidence::broken_extension(Arc::clone(&key), old, new, proof.to_vec()))
    };
    assert_eq!(extension(&before.0, &after.0, &proof), none);
    let other_epochs = Err(EvidenceError::Proof(ProofError::OtherEpochs));
    assert_eq!(extension(&after.0, &before.0, &proof), other_epochs);

    // Nor does a wrong proof that the service did not sign, or a root of somebody else.
    let mut unsigned = Extension::read(&proof).unwrap();
    unsigned.added.pop();
    let not_signed = Err(EvidenceError::Proof(ProofError::NotSigned));
    assert_eq!(extension(&before.0, &after.0, &unsigned.to_bytes().unwrap()), not_signed);
    let other = Service::with(signer(2), names(7), MemoryRecords::new());
    let foreign = other.publish(&[("alice", 1)]);
    let of_another = Err(EvidenceError::Root(RootError::NotSigned));
    assert_eq!(roots(&before.0, &foreign), of_another);
}

#[test]
fn many_waiting_roots_push_out_the_oldest() {
    let service = Service::new();
    service.pass_time(40);
    let roots = service.directory.roots(0).unwrap();
    let mut seen = Roots::new(service.directory.key());
    for root in &roots {
        let _ = seen.take(&*service.provider, root.clone(), Source::Gossip).unwrap();
    }
    assert_eq!(seen.waiting().count(), 16);
    let proof = service.directory.append_only(0, 40).unwrap();
    assert_eq!(seen.prove(&*service.provider, &proof), Ok(Seen::Newer));

    let bytes = seen.to_bytes().unwrap();
    assert_eq!(Roots::from_bytes(&bytes).unwrap(), seen);
    for edited in edits(&bytes, 5) {
        is_canonical::<Roots>(&edited);
        is_canonical::<Auditor>(&edited);
    }
}

#[test]
fn edited_proofs_panic_nowhere_behind_the_checks() {
    let service = busy();
    let fork = service.fork();
    let (here, there) = (service.publish(&[("alice", 6)]), fork.publish(&[("alice", 7)]));
    let two_roots = Evidence::two_roots(service.key(), here, there);
    let seeds = [
        (0, service.directory.lookup(b"alice").unwrap().proof),
        (0, service.directory.lookup(b"nobody").unwrap().proof),
        (1, service.directory.history(b"alice", Depth::Complete).unwrap().proof),
        (2, service.directory.append_only(2, 5).unwrap()),
        (3, two_roots.to_bytes().unwrap()),
    ];
    for (kind, seed) in seeds {
        for edited in edits(&seed, 29) {
            crate::fuzz::proofs(&*service.provider, &[&[kind], edited.as_slice()].concat());
        }
    }

    let mut rng = TestRng(5);
    for _ in 0..2000 {
        let length = rng.below(400) as usize;
        crate::fuzz::proofs(&*service.provider, &rng.bytes(length));
    }
}
