//! The same answer for every order of certificates and lists.

use super::ca::{Ca, Key, NOW, SUITE, ca_params, request, validate_at, validator};
use super::revocation::list_until;
use crate::{RevocationPolicy, X509Error};
use conclave_mls::UnixTime;
use conclave_mls::credential::CredentialSubject;
use conclave_mls::group::LeafIndex;
use rcgen::{CertificateParams, KeyUsagePurpose, date_time_ymd};
use std::time::Duration;

const ALICE: &str = "alice@example.org";
const DAY: u64 = 24 * 3600;

/// All orders of some items.
fn orders<T: Clone>(items: &[T]) -> Vec<Vec<T>> {
    if items.is_empty() {
        return vec![Vec::new()];
    }

    let mut orders_of_all = Vec::new();
    for i in 0..items.len() {
        let mut rest = items.to_vec();
        let first = rest.remove(i);
        for mut order in orders(&rest) {
            order.insert(0, first.clone());
            orders_of_all.push(order);
        }
    }
    orders_of_all
}

/// Another certificate for a CA's name and key.
fn twin(ca: &Ca, issuer: &Ca, change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
    let mut params = ca_params("ca");
    change(&mut params);
    params.signed_by(ca.issuer.key(), &issuer.issuer).unwrap().der().to_vec()
}

/// Asserts that a member's certificate gets the same answer for every order of the certificates above it,
/// whether they are in the credential or known, and of the lists.
fn one_answer(
    root: &Ca,
    member: &[u8],
    key: &Key,
    above: &[Vec<u8>],
    lists: &[Vec<u8>],
    policy: RevocationPolicy,
    now: UnixTime,
) -> Result<(), X509Error> {
    let mut answers = Vec::new();
    for above in orders(above) {
        for given in 0..=above.len() {
            let (given, known) = above.split_at(given);
            for lists in orders(lists) {
                let mut validator = validator(root).with_intermediates(known).unwrap();
                validator.set_revocation_lists(&lists, policy).unwrap();
                let mut chain = vec![member];
                chain.extend(given.iter().map(Vec::as_slice));
                let mut request = request(&chain, key);
                request.subject = CredentialSubject::Member(LeafIndex(1));
                answers.push(validate_at(&validator, now, &request).map(drop));
            }
        }
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:?}");
    answers.remove(0)
}

#[test]
fn the_grace_after_expiry_does_not_depend_on_the_order_of_certificates() {
    let root = Ca::root("root");
    let key = Key::new(SUITE);
    let ca = root.ca("ca", |p| p.not_after = date_time_ymd(2026, 1, 1));
    let old = twin(&ca, &root, |p| p.not_after = date_time_ymd(2025, 6, 1));
    let future = twin(&ca, &root, |p| p.not_before = date_time_ymd(2026, 6, 1));
    let member = ca.issue(ALICE, &key, |_| {});
    let above = [ca.der.clone(), old, future, root.der.clone()];
    let policy = RevocationPolicy::default();
    let answer = |now| one_answer(&root, &member, &key, &above, &[], policy, now);
    assert_eq!(answer(NOW), Ok(()));
    let days_later = |days| NOW.saturating_add(Duration::from_secs(days * DAY));
    assert_eq!(answer(days_later(30)), Ok(()));
    assert!(answer(days_later(31)).is_err());
}

#[test]
fn unfit_and_forged_twins_of_a_ca_change_no_answer() {
    let root = Ca::root("root");
    let other = Ca::root("root");
    let key = Key::new(SUITE);
    let ca = root.ca("ca", |_| {});
    let unfit = twin(&ca, &root, |p| p.key_usages = vec![KeyUsagePurpose::CrlSign]);
    let forged = twin(&ca, &other, |p| p.not_after = date_time_ymd(2025, 12, 1));
    let member = ca.issue(ALICE, &key, |_| {});
    let policy = RevocationPolicy::default();
    let answer = |above: &[Vec<u8>]| one_answer(&root, &member, &key, above, &[], policy, NOW);
    assert_eq!(answer(&[unfit.clone(), forged.clone(), ca.der.clone()]), Ok(()));
    assert_eq!(answer(&[unfit, forged.clone()]), Err(X509Error::IssuerKeyUsage));
    assert_eq!(answer(&[forged]), Err(X509Error::InvalidSignature));
}

#[test]
fn revocation_does_not_depend_on_the_order_of_lists_and_certificates() {
    let root = Ca::root("root");
    let key = Key::new(SUITE);
    let ca = root.ca("ca", |_| {});
    let next_ca = root.ca("ca", |_| {});
    let bogus = Ca::root("ca");
    let member = ca.issue(ALICE, &key, |p| p.serial_number = Some(70_002.into()));
    let above = [ca.der.clone(), next_ca.der.clone()];

    for (serial, want) in [(70_002, Err(X509Error::Revoked)), (70_003, Ok(()))] {
        let lists = [
            list_until(&root, &[], 2),
            list_until(&bogus, &[70_002], 2),
            list_until(&next_ca, &[70_002], 2),
            list_until(&ca, &[serial], 2),
        ];
        for accept_unknown in [false, true] {
            let policy = RevocationPolicy { accept_unknown, ..RevocationPolicy::default() };
            assert_eq!(one_answer(&root, &member, &key, &above, &lists, policy, NOW), want);
        }
    }
}
