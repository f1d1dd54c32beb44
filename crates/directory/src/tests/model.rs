use super::*;
use crate::{
    Audited, Auditor, Depth, Entry, Roots, Seen, Source, verify_append_only, verify_history,
};
use std::collections::BTreeMap;

const USERS: [&str; 12] =
    ["a", "b", "c", "d", "ab", "abc", "alice", "bob", "carol", "\0", "\0\0", "ü"];

/// The directory as a map: every version of every name.
type Model = BTreeMap<&'static str, Vec<Entry>>;

/// Publishes random names, and tells the model.
fn publish(service: &Service, model: &mut Model, rng: &mut TestRng) -> SignedRoot {
    let epoch = service.directory.root().unwrap().epoch + 1;
    let mut batch = BTreeMap::new();
    for _ in 0..=rng.below(5) {
        let user = *rng.pick(&USERS).unwrap();
        let last = model.get(user).and_then(|versions| versions.last());
        let length = last.map_or(0, |entry| entry.head.length) + 1 + rng.below(3);
        batch.insert(user, length);
    }
    let batch: Vec<_> = batch.into_iter().collect();
    let root = service.publish(&batch);
    assert_eq!(root.epoch, epoch);
    for (user, length) in batch {
        let versions = model.entry(user).or_default();
        let version = versions.len() as u64 + 1;
        versions.push(Entry { version, epoch, head: head(0, user, length) });
    }
    root
}

/// Everything that the directory says is what the model says.
fn compare(service: &Service, model: &Model) {
    let root = service.newest();
    for user in USERS {
        let versions = model.get(user).map(Vec::as_slice).unwrap_or_default();
        let want = versions.last().map_or(Lookup::Absent, |entry| Lookup::Present(*entry));
        assert_eq!(service.lookup(user), want, "{user:?}");

        let name = user.as_bytes();
        let Ok(page) = service.directory.history(name, Depth::Complete) else {
            assert!(versions.is_empty());
            continue;
        };
        let told = verify_history(&*service.provider, &root, name, Depth::Complete, &page.proof);
        assert_eq!(told.unwrap(), versions, "{user:?}");
    }
}

#[test]
fn random_batches_agree_with_a_map() {
    for seed in 0..6 {
        let mut rng = TestRng(seed);
        let mut model = Model::new();
        let service = Service::new();
        let provider = &*service.provider;
        let mut auditor = Auditor::new(service.directory.key());
        let mut client = Roots::new(service.directory.key());
        let mut all = service.directory.roots(0).unwrap();
        assert_eq!(auditor.step(provider, all[0].clone(), None), Ok(Audited::Extends));
        assert_eq!(client.take(provider, all[0].clone(), Source::Service), Ok(Seen::First));

        for epoch in 1..=10 {
            let root = publish(&service, &mut model, &mut rng);
            all.push(root.clone());
            compare(&service, &model);

            let proof = service.directory.append_only(epoch - 1, epoch).unwrap();
            let step = auditor.step(provider, root.clone(), Some(&proof));
            assert_eq!(step, Ok(Audited::Extends), "seed {seed}");

            // The client sleeps through most roots, and hears of others late.
            if rng.below(3) == 0 {
                let from = client.newest().unwrap().epoch;
                let owed = Seen::NeedsProof { from, to: epoch };
                assert_eq!(client.take(provider, root, Source::Service), Ok(owed));
                let proof = service.directory.append_only(from, epoch).unwrap();
                assert_eq!(client.prove(provider, &proof), Ok(Seen::Newer));
            }
            let to = rng.below(epoch) + 1;
            let from = rng.below(to);
            let proof = service.directory.append_only(from, to).unwrap();
            let old = service.verified(&all[from as usize]);
            let new = service.verified(&all[to as usize]);
            assert_eq!(verify_append_only(provider, &old, &new, &proof), Ok(()));
        }
    }
}

#[test]
fn random_forks_are_found() {
    for seed in 0..10 {
        let mut rng = TestRng(seed);
        let mut model = Model::new();
        let service = Service::new();
        for _ in 0..=rng.below(4) {
            publish(&service, &mut model, &mut rng);
        }
        let fork = service.fork();
        let forked_at = service.directory.root().unwrap().epoch;

        // Each side goes on for a while, and differently from the first batch on.
        let (mut here, mut there) = (model.clone(), model);
        service.publish(&[("only here", 1)]);
        fork.publish(&[("only there", 1)]);
        for _ in 0..rng.below(3) {
            publish(&service, &mut here, &mut rng);
        }
        for _ in 0..rng.below(3) {
            publish(&fork, &mut there, &mut rng);
        }
        compare(&service, &here);
        compare(&fork, &there);

        // A client of one side hears of the other: at once, or when it asks for the proof.
        let provider = &*service.provider;
        let mut client = Roots::new(service.directory.key());
        let (mine, other) = (service.directory.root().unwrap(), fork.directory.root().unwrap());
        assert_eq!(client.take(provider, mine.clone(), Source::Service), Ok(Seen::First));
        let mut seen = client.take(provider, other, Source::Gossip).unwrap();
        if let Seen::NeedsProof { from, to } = seen {
            let longer = if to > mine.epoch { &fork } else { &service };
            let proof = longer.directory.append_only(from, to).unwrap();
            seen = client.prove(provider, &proof).unwrap();
        }
        let Seen::Conflict(evidence) = seen else { panic!("seed {seed}: {seen:?}") };
        match third_party(&evidence) {
            Finding::TwoRoots { epoch } => assert!(epoch > forked_at),
            Finding::BrokenExtension { to, .. } => assert!(to > forked_at),
            other => panic!("{other:?}"),
        }
    }
}
