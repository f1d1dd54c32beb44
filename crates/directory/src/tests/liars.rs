//! A service that has all its keys and lies, and everybody who finds out.

use super::*;
use crate::extension::Extension;
use crate::{Depth, Roots, Seen, Source};

/// What two statements about a name prove, to a third party.
fn convicted(service: &Service, user: &str, first: &Statement, second: &Statement) -> Finding {
    let key = service.key();
    let (first, second) = (first.clone(), second.clone());
    third_party(&Evidence::statements(key, user.as_bytes(), first, second))
}

#[test]
fn a_fork_is_found_by_the_first_message_between_its_victims() {
    let service = Service::new();
    service.publish(&[("carol", 1)]);
    let fork = service.fork();
    let to_alice = service.publish(&[("carol", 2)]);
    let to_bob = fork.publish_as(9, &[("carol", 2)]);

    let mut alice = Roots::new(service.directory.key());
    assert_eq!(alice.take(&*service.provider, to_alice, Source::Service), Ok(Seen::First));
    let Ok(Seen::Conflict(evidence)) = alice.take(&*service.provider, to_bob, Source::Gossip)
    else {
        panic!()
    };
    assert_eq!(third_party(&evidence), Finding::TwoRoots { epoch: 2 });

    let report = evidence.report(&*service.provider).unwrap();
    assert!(report.contains("two different directories as its directory number 2"), "{report}");
    assert!(report.contains("2027-01-15 08:02:00 UTC"), "{report}");
}

#[test]
fn a_fork_that_waits_has_no_proof_that_links_it() {
    let service = Service::new();
    service.publish(&[("carol", 1)]);
    let fork = service.fork();
    let to_alice = service.publish(&[("carol", 2)]);
    fork.publish_as(9, &[("carol", 2)]);
    let to_bob = fork.publish(&[("dave", 1)]);

    let mut alice = Roots::new(service.directory.key());
    let provider = &*service.provider;
    assert_eq!(alice.take(provider, to_alice.clone(), Source::Service), Ok(Seen::First));
    let owed = Seen::NeedsProof { from: 2, to: 3 };
    assert_eq!(alice.take(provider, to_bob, Source::Gossip), Ok(owed));

    // The honest code of the fork has another epoch 2, so its proof is wrong here: that convicts it.
    let proof = fork.directory.append_only(2, 3).unwrap();
    let Ok(Seen::Conflict(evidence)) = alice.prove(provider, &proof) else { panic!() };
    let why = ProofError::OtherRoot;
    assert_eq!(third_party(&evidence), Finding::BrokenExtension { from: 2, to: 3, why });

    // Made to fit as far as it can be, it is wrong still.
    let mut fitted = Extension::read(&proof).unwrap();
    let honest = Extension::read(&service.directory.append_only(1, 2).unwrap()).unwrap();
    fitted.from_tree = honest.to_tree;
    fitted.sign(provider, &service.signer).unwrap();
    let fitted = fitted.to_bytes().unwrap();
    let Ok(Seen::Conflict(evidence)) = alice.prove(provider, &fitted) else { panic!() };
    let why = ProofError::OtherTree;
    assert_eq!(third_party(&evidence), Finding::BrokenExtension { from: 2, to: 3, why });

    // A service that gives no proof, or an unsigned one, has proved nothing; the root is not used.
    let mut unsigned = Extension::read(&fitted).unwrap();
    unsigned.signature[0] ^= 1;
    let unsigned = unsigned.to_bytes().unwrap();
    assert_eq!(alice.prove(provider, &unsigned), Err(ProofError::NotSigned));
    assert_eq!(alice.newest(), Some(&to_alice));
    assert_eq!(alice.waiting().collect::<Vec<_>>(), [(2, 3)]);
}

#[test]
fn two_roots_that_wait_can_conflict() {
    let service = Service::new();
    let first = service.publish(&[("carol", 1)]);
    let fork = service.fork();
    let (here, there) = (service.publish(&[("carol", 2)]), fork.publish(&[("carol", 3)]));

    let mut alice = Roots::new(service.directory.key());
    let provider = &*service.provider;
    assert_eq!(alice.take(provider, first, Source::Service), Ok(Seen::First));
    let owed = Ok(Seen::NeedsProof { from: 1, to: 2 });
    assert_eq!(alice.take(provider, here, Source::Gossip), owed);
    let Ok(Seen::Conflict(evidence)) = alice.take(provider, there, Source::Gossip) else {
        panic!()
    };
    assert_eq!(third_party(&evidence), Finding::TwoRoots { epoch: 2 });
}

#[test]
fn a_changed_value_convicts() {
    let service = Service::new();
    service.publish(&[("carol", 1)]);
    let fork = service.fork();
    service.publish(&[("carol", 2)]);
    let seen = service.statement("carol");

    fork.publish_as(9, &[("carol", 2)]);
    fork.pass_time(3);
    let finding = Finding::EntryChanged { user: b"carol".to_vec(), version: 2 };
    assert_eq!(convicted(&service, "carol", &seen, &fork.statement("carol")), finding);
    assert_eq!(convicted(&service, "carol", &fork.statement("carol"), &seen), finding);

    // What its owner is shown convicts it as well.
    let page = fork.directory.history(b"carol", Depth::Complete).unwrap();
    let history = Statement { root: page.root, claim: Claim::History(page.proof) };
    assert_eq!(convicted(&service, "carol", &seen, &history), finding);
}

#[test]
fn a_removed_user_convicts() {
    let service = Service::new();
    let fork = service.fork();
    service.publish(&[("carol", 1)]);
    let seen = service.statement("carol");

    fork.pass_time(4);
    let finding = Finding::EntryRemoved { user: b"carol".to_vec(), had: 1, lacks: 4 };
    assert_eq!(convicted(&service, "carol", &seen, &fork.statement("carol")), finding);
}

#[test]
fn an_entry_that_goes_back_convicts() {
    let service = Service::new();
    service.publish(&[("carol", 1)]);
    let fork = service.fork();
    service.publish(&[("carol", 2)]);
    let seen = service.statement("carol");

    fork.pass_time(4);
    let finding = Finding::RolledBack { user: b"carol".to_vec(), from: 2, to: 1 };
    assert_eq!(convicted(&service, "carol", &seen, &fork.statement("carol")), finding);
}

#[test]
fn an_entry_put_into_the_past_convicts() {
    let service = Service::new();
    service.publish(&[("carol", 1)]);
    let fork = service.fork();
    service.pass_time(4);
    let seen = service.statement("carol");

    fork.publish(&[("carol", 2)]);
    fork.pass_time(6);
    let user = b"carol".to_vec();
    let finding = Finding::Backdated { user, version: 2, claimed: 2, lacking: 5 };
    assert_eq!(convicted(&service, "carol", &seen, &fork.statement("carol")), finding);
}

#[test]
fn two_newest_entries_of_one_epoch_convict() {
    let service = Service::new();
    service.publish(&[("carol", 1)]);
    let fork = service.fork();
    service.publish(&[("carol", 2)]);
    fork.pass_time(1);
    let (first, second) = (service.statement("carol"), fork.statement("carol"));
    let user = b"carol".to_vec();
    let finding = Finding::TwoEntries { user, epoch: 2, first: 2, second: 1 };
    assert_eq!(convicted(&service, "carol", &first, &second), finding);
}

#[test]
fn a_log_that_shrinks_convicts() {
    let service = Service::new();
    let fork = service.fork();
    service.publish(&[("carol", 9)]);
    let seen = service.statement("carol");

    fork.publish(&[("carol", 1)]);
    fork.publish(&[("carol", 2)]);
    let finding = Finding::LogShrank { user: b"carol".to_vec(), from: 9, to: 2 };
    assert_eq!(convicted(&service, "carol", &seen, &fork.statement("carol")), finding);
}

#[test]
fn a_second_key_for_names_convicts() {
    let service = Service::new();
    let other = Service::with(signer(1), names(8), MemoryRecords::new());
    let (here, there) = (service.publish(&[("carol", 1)]), other.publish(&[("carol", 1)]));

    // The roots differ, though the directories hold the same; so does what each says about names.
    let evidence = Evidence::two_roots(service.key(), here, there);
    assert_eq!(third_party(&evidence), Finding::TwoRoots { epoch: 1 });
    other.pass_time(2);
    let (first, second) = (service.statement("carol"), other.statement("carol"));
    let finding = Finding::TwoNameKeys { first: 1, second: 3 };
    assert_eq!(convicted(&service, "carol", &first, &second), finding);
}

#[test]
fn a_name_cannot_write_the_report() {
    let finding = Finding::EntryChanged { user: b"\"\n\x1b[2Jbob\xff".to_vec(), version: 1 };
    let text = finding.to_string();
    assert!(!text.contains(['\n', '\x1b']), "{text}");
}
