use super::*;
use crate::{AuditError, Audited, Auditor};

#[test]
fn an_auditor_follows_every_root() {
    let service = Service::new();
    for n in 1..=6 {
        service.publish(&[("alice", n), (&format!("user-{n}"), 1)]);
    }

    let mut auditor = Auditor::new(service.directory.key());
    for root in service.directory.roots(0).unwrap() {
        let last = auditor.last().map(|last| last.epoch);
        let proof = last.map(|last| service.directory.append_only(last, root.epoch).unwrap());
        let step = auditor.step(&*service.provider, root.clone(), proof.as_deref());
        assert_eq!(step, Ok(Audited::Extends));
        assert_eq!(auditor.last(), Some(&root));

        let stored = auditor.to_bytes().unwrap();
        assert_eq!(Auditor::from_bytes(&stored).unwrap(), auditor);
    }
    assert_eq!(auditor.first_epoch(), 0);

    // What it saw before is behind; what it is not led to, it does not take.
    let early = service.directory.roots(2).unwrap()[0].clone();
    assert_eq!(auditor.step(&*service.provider, early, None), Ok(Audited::Behind));
    let newer = service.publish(&[("alice", 7)]);
    let missing = Err(AuditError::NeedsProof { from: 6, to: 7 });
    assert_eq!(auditor.step(&*service.provider, newer.clone(), None), missing);
    let of_others = service.directory.append_only(5, 7).unwrap();
    let other = Err(AuditError::Proof(ProofError::OtherEpochs));
    assert_eq!(auditor.step(&*service.provider, newer, Some(&of_others)), other);
    assert_eq!(auditor.last().map(|last| last.epoch), Some(6));
}

#[test]
fn an_auditor_finds_a_second_root_of_an_epoch() {
    let service = Service::new();
    service.publish(&[("alice", 1)]);
    let fork = service.fork();
    let (here, there) = (service.publish(&[("alice", 2)]), fork.publish(&[("alice", 3)]));

    let mut auditor = Auditor::new(service.directory.key());
    assert_eq!(auditor.step(&*service.provider, here, None), Ok(Audited::Extends));
    let Ok(Audited::Lied(evidence)) = auditor.step(&*service.provider, there, None) else {
        panic!()
    };
    assert_eq!(third_party(&evidence), Finding::TwoRoots { epoch: 2 });
}

#[test]
fn an_auditor_finds_a_directory_that_does_not_extend() {
    let service = Service::new();
    service.publish(&[("alice", 1), ("bob", 1)]);
    let fork = service.fork();
    let here = service.publish(&[("alice", 2)]);
    fork.publish(&[("bob", 2)]);
    let there = fork.publish(&[("bob", 3)]);

    // The service has to sign a proof, and there is none that is right.
    let mut extension =
        crate::extension::Extension::read(&fork.directory.append_only(2, 3).unwrap()).unwrap();
    extension.from_tree = opening_of(&service).tree;
    extension.sign(&*service.provider, &service.signer).unwrap();
    let proof = extension.to_bytes().unwrap();

    let mut auditor = Auditor::new(service.directory.key());
    assert_eq!(auditor.step(&*service.provider, here, None), Ok(Audited::Extends));
    let Ok(Audited::Lied(evidence)) = auditor.step(&*service.provider, there, Some(&proof)) else {
        panic!()
    };
    let why = ProofError::OtherTree;
    assert_eq!(third_party(&evidence), Finding::BrokenExtension { from: 2, to: 3, why });
}

/// What a service's newest root was made of.
fn opening_of(service: &Service) -> crate::root::Opening {
    let page = service.directory.lookup(b"alice").unwrap();
    crate::lookup::Answer::from_bytes(&page.proof).unwrap().opening
}
