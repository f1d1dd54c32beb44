use super::*;
use crate::server::DirectoryError;
use crate::{
    Agreement, Depth, Entry, RootError, Roots, Seen, Source, verify_append_only, verify_history,
};

#[test]
fn an_entry_is_found_and_verified() {
    let service = Service::new();
    assert_eq!(service.lookup("alice"), Lookup::Absent);

    service.publish(&[("alice", 1), ("bob", 2)]);
    let alice = Entry { version: 1, epoch: 1, head: head(0, "alice", 1) };
    assert_eq!(service.lookup("alice"), Lookup::Present(alice));
    assert_eq!(service.lookup("carol"), Lookup::Absent);

    service.publish(&[("bob", 5)]);
    let bob = Entry { version: 2, epoch: 2, head: head(0, "bob", 5) };
    assert_eq!(service.lookup("bob"), Lookup::Present(bob));
    assert_eq!(service.lookup("alice"), Lookup::Present(alice));
}

#[test]
fn a_root_is_small_enough_to_gossip() {
    let service = Service::new();
    let root = service.publish(&[("alice", 1)]);
    let bytes = root.to_bytes().unwrap();
    assert_eq!(bytes.len(), 115);
    assert_eq!(SignedRoot::from_bytes(&bytes), Ok(root));
}

#[test]
fn a_post_quantum_key_signs_directories_too() {
    let scheme = SignatureScheme::MlDsa44;
    let pair = RustCrypto::new().signature_key_pair(scheme, &mut TestRng(3)).unwrap();
    let service = Service::with(Signer::new(scheme, pair), names(7), MemoryRecords::new());
    let old = service.publish(&[("alice", 1)]);
    let new = service.publish(&[("bob", 1)]);
    assert!(matches!(service.lookup("alice"), Lookup::Present(_)));

    let proof = service.directory.append_only(1, 2).unwrap();
    let (old, new) = (service.verified(&old), service.verified(&new));
    assert_eq!(verify_append_only(&*service.provider, &old, &new, &proof), Ok(()));
    let key = service.key().to_bytes().unwrap();
    assert_eq!(ServiceKey::from_bytes(&key), Ok(service.directory.key()));
}

#[test]
fn a_batch_that_changes_nothing_publishes_nothing() {
    let service = Service::new();
    let first = service.publish(&[("alice", 1)]);
    assert_eq!(service.publish(&[]), first);
    assert_eq!(service.publish(&[("alice", 1)]), first);
    assert_eq!(service.directory.roots(0).unwrap().len(), 2);
}

#[test]
fn a_batch_that_breaks_a_rule_is_refused_whole() {
    let service = Service::new();
    service.publish(&[("alice", 3)]);
    let newest = service.directory.root().unwrap();
    let bob = (b"bob".to_vec(), head(0, "bob", 1));
    let refused = |bad: (Vec<u8>, Head)| {
        let refusal = service.directory.publish(&[bob.clone(), bad], START).unwrap_err();
        assert_eq!(service.directory.root().unwrap(), newest);
        assert_eq!(service.lookup("bob"), Lookup::Absent);
        refusal
    };

    assert_eq!(refused(bob.clone()), DirectoryError::Twice(b"bob".to_vec()));
    assert_eq!(refused((vec![], bob.1)), DirectoryError::Name(vec![]));
    assert_eq!(refused((vec![b'x'; 256], bob.1)), DirectoryError::Name(vec![b'x'; 256]));
    let shorter = (b"alice".to_vec(), head(0, "alice", 2));
    assert_eq!(refused(shorter), DirectoryError::NotLonger(b"alice".to_vec()));
    let other = (b"alice".to_vec(), head(1, "alice", 3));
    assert_eq!(refused(other), DirectoryError::NotLonger(b"alice".to_vec()));
}

#[test]
fn a_history_has_every_version() {
    let service = Service::new();
    let mut want = Vec::new();
    for version in 1..=21 {
        service.publish(&[("alice", version * 2), ("bob", version)]);
        service.pass_time(version % 3);
        let Lookup::Present(entry) = service.lookup("alice") else { panic!() };
        assert_eq!(entry.version, version);
        want.push(entry);

        let page = service.directory.history(b"alice", Depth::Complete).unwrap();
        let root = service.verified(&page.root);
        let verify = |user: &[u8], depth| {
            verify_history(&*service.provider, &root, user, depth, &page.proof)
        };
        assert_eq!(verify(b"alice", Depth::Complete).unwrap(), want);
        assert_eq!(verify(b"bob", Depth::Complete), Err(ProofError::OtherName));

        // The newest ones are not taken for all.
        let page = service.directory.history(b"alice", Depth::Newest(3)).unwrap();
        let verify =
            |depth| verify_history(&*service.provider, &root, b"alice", depth, &page.proof);
        let newest = want.len().saturating_sub(3);
        assert_eq!(verify(Depth::Newest(3)).unwrap(), want[newest..]);
        assert_eq!(verify(Depth::Complete).is_ok(), version <= 3);
    }
    assert_eq!(service.directory.history(b"carol", Depth::Complete), Err(DirectoryError::NoEntry));
}

#[test]
fn one_proof_spans_any_two_epochs() {
    let service = Service::new();
    let mut roots = vec![service.directory.root().unwrap()];
    for n in 1..=8 {
        roots.push(service.publish(&[("alice", n), (&format!("user-{n}"), 1)]));
    }
    assert_eq!(service.directory.roots(0).unwrap(), roots);
    assert_eq!(service.directory.roots(7).unwrap(), roots[7..]);

    for from in 0..8 {
        for to in from + 1..=8 {
            let proof = service.directory.append_only(from as u64, to as u64).unwrap();
            let (old, new) = (service.verified(&roots[from]), service.verified(&roots[to]));
            let verify = |a, b| verify_append_only(&*service.provider, a, b, &proof);
            assert_eq!(verify(&old, &new), Ok(()));
            assert_eq!(verify(&new, &old), Err(ProofError::OtherEpochs));
        }
    }
    assert_eq!(service.directory.append_only(3, 3), Err(DirectoryError::NoEpoch));
    assert_eq!(service.directory.append_only(3, 9), Err(DirectoryError::NoEpoch));
}

#[test]
fn a_client_links_roots_from_service_and_friends() {
    let service = Service::new();
    let provider = &*service.provider;
    let roots: Vec<_> = (1..=4).map(|n| service.publish(&[("alice", n)])).collect();
    let mut seen = Roots::new(service.directory.key());
    let take = |seen: &mut Roots, n: usize, source| {
        let step = seen.take(provider, roots[n - 1].clone(), source).unwrap();
        *seen = Roots::from_bytes(&seen.to_bytes().unwrap()).unwrap();
        step
    };
    let prove = |seen: &mut Roots, from, to| {
        seen.prove(provider, &service.directory.append_only(from, to).unwrap())
    };

    assert_eq!(take(&mut seen, 2, Source::Service), Seen::First);
    assert_eq!(take(&mut seen, 2, Source::Gossip), Seen::Same);

    // A newer root is used when it is proved.
    assert_eq!(take(&mut seen, 4, Source::Gossip), Seen::NeedsProof { from: 2, to: 4 });
    assert_eq!(seen.newest().unwrap().epoch, 2);
    assert_eq!(seen.waiting().collect::<Vec<_>>(), [(2, 4)]);
    assert_eq!(prove(&mut seen, 2, 3), Err(ProofError::OtherEpochs));
    assert_eq!(prove(&mut seen, 2, 4), Ok(Seen::Newer));
    assert_eq!(seen.newest().unwrap().epoch, 4);
    assert_eq!(seen.waiting().count(), 0);

    // Older ones of friends are linked from the other side; of the service, they are odd.
    assert_eq!(take(&mut seen, 2, Source::Gossip), Seen::Older);
    assert_eq!(take(&mut seen, 1, Source::Gossip), Seen::NeedsProof { from: 1, to: 4 });
    assert_eq!(prove(&mut seen, 1, 4), Ok(Seen::Older));
    assert_eq!(take(&mut seen, 1, Source::Gossip), Seen::Older);
    assert_eq!(take(&mut seen, 3, Source::Service), Seen::Rollback { newest: 4, shown: 3 });
}

#[test]
fn a_refreshed_root_is_the_same_root() {
    let service = Service::new();
    let first = service.publish(&[("alice", 1)]);
    let again = service.directory.refresh(first.published_at + 500).unwrap();
    assert_eq!((again.epoch, again.root), (first.epoch, first.root));
    assert_eq!(again.published_at, first.published_at + 500);

    let mut seen = Roots::new(service.directory.key());
    assert_eq!(seen.take(&*service.provider, first, Source::Service), Ok(Seen::First));
    assert_eq!(seen.take(&*service.provider, again.clone(), Source::Gossip), Ok(Seen::Same));
    assert_eq!(seen.newest(), Some(&again));

    // Time does not go back, whatever the service's clock does.
    assert_eq!(service.directory.refresh(0).unwrap(), again);
    assert!(service.publish(&[("bob", 1)]).published_at >= again.published_at);
}

#[test]
fn roots_of_another_service_are_refused() {
    let service = Service::new();
    let other = Service::with(signer(2), names(7), MemoryRecords::new());
    let (root, others) = (service.publish(&[("alice", 1)]), other.publish(&[("alice", 1)]));
    assert_eq!(root.root, others.root);

    let mut seen = Roots::new(service.directory.key());
    let taken = seen.take(&*service.provider, others.clone(), Source::Gossip);
    assert_eq!(taken, Err(RootError::NotSigned));
    assert_eq!(seen.newest(), None);

    let proof = service.directory.append_only(0, 1).unwrap();
    let old = service.verified(&service.directory.roots(0).unwrap()[0]);
    let verified = verify_append_only(&*service.provider, &old, &other.verified(&others), &proof);
    assert_eq!(verified, Err(ProofError::OtherService));
}

#[test]
fn a_log_is_compared_with_its_entry() {
    let entry = Entry { version: 2, epoch: 9, head: head(0, "alice", 4) };
    let compare = |flavour, length| {
        entry.compare(length, |at| (at <= length).then(|| head(flavour, "alice", at).hash))
    };
    assert_eq!(compare(0, 4), Agreement::Same);
    assert_eq!(compare(0, 6), Agreement::DirectoryBehind);
    assert_eq!(compare(0, 3), Agreement::LogBehind);
    assert_eq!(compare(1, 4), Agreement::Different);
    assert_eq!(compare(1, 6), Agreement::Different);
}
