//! Revocation lists (section 5.3.2).

use super::ca::{Ca, Key, NOW, SUITE, ca_params, request, validate, validate_at, validator};
use crate::{RevocationPolicy, X509Error};
use conclave_mls::{CredentialSubject, LeafIndex};
use rcgen::{
    CertificateRevocationListParams, Issuer, KeyIdMethod, KeyUsagePurpose, RevokedCertParams,
    date_time_ymd,
};

const ALICE: &str = "alice@example.org";

/// A list by a CA of these serial numbers; the next is due at [`NOW`].
fn list(ca: &Ca, serials: &[u64]) -> Vec<u8> {
    list_until(ca, serials, 1)
}

/// The same with the first of a month of 2026 for when the next is due.
fn list_until(ca: &Ca, serials: &[u64], month: u8) -> Vec<u8> {
    let revoked = |serial: &u64| RevokedCertParams {
        serial_number: (*serial).into(),
        revocation_time: date_time_ymd(2025, 6, 1),
        reason_code: None,
        invalidity_date: None,
    };
    let params = CertificateRevocationListParams {
        this_update: date_time_ymd(2025, 12, 1),
        next_update: date_time_ymd(2026, month, 1),
        crl_number: 1.into(),
        issuing_distribution_point: None,
        revoked_certs: serials.iter().map(revoked).collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    params.signed_by(&ca.issuer).unwrap().der().to_vec()
}

const BEFORE: u64 = NOW - 1;

#[test]
fn a_revoked_certificate_is_refused() {
    let (root, key) = (Ca::root("root"), Key::new(SUITE));
    let ca = root.ca("ca", |p| p.serial_number = Some(70_001.into()));
    let member = ca.issue(ALICE, &key, |p| p.serial_number = Some(70_002.into()));
    let request = request(&[&member, &ca.der], &key);
    let mut validator = validator(&root);
    validate_at(&validator, BEFORE, &request).unwrap();
    for (of_root, of_ca, want) in [
        (70_000, 70_000, Ok(())),
        (70_000, 70_002, Err(X509Error::Revoked)),
        (70_001, 70_000, Err(X509Error::Revoked)),
        // The same number of another issuer is another certificate.
        (70_002, 70_001, Ok(())),
    ] {
        let lists = [list(&root, &[of_root]), list(&ca, &[of_ca])];
        validator.set_revocation_lists(&lists, RevocationPolicy::default()).unwrap();
        assert_eq!(validate_at(&validator, BEFORE, &request).map(drop), want);
    }
    let end_entity = RevocationPolicy { whole_chain: false, ..RevocationPolicy::default() };
    let lists = [list(&root, &[70_001]), list(&ca, &[])];
    validator.set_revocation_lists(&lists, end_entity).unwrap();
    validate_at(&validator, BEFORE, &request).unwrap();
}

#[test]
fn a_member_that_was_revoked_has_no_grace() {
    let (root, key) = (Ca::root("root"), Key::new(SUITE));
    let member = root.issue(ALICE, &key, |p| {
        p.serial_number = Some(70_002.into());
        p.not_after = date_time_ymd(2025, 12, 20);
    });
    let mut request = request(&[&member], &key);
    request.subject = CredentialSubject::Member(LeafIndex(1));
    let mut validator = validator(&root);
    validate_at(&validator, BEFORE, &request).unwrap();
    let lists = [list(&root, &[70_002])];
    validator.set_revocation_lists(&lists, RevocationPolicy::default()).unwrap();
    assert_eq!(validate_at(&validator, BEFORE, &request), Err(X509Error::Revoked));
}

#[test]
fn lists_are_judged_by_now_even_for_a_member_that_has_expired() {
    let (root, key) = (Ca::root("root"), Key::new(SUITE));
    let member = root.issue(ALICE, &key, |p| p.not_after = date_time_ymd(2025, 12, 20));
    let mut request = request(&[&member], &key);
    request.subject = CredentialSubject::Member(LeafIndex(1));
    let mut validator = validator(&root);
    let lists = [list(&root, &[])];
    validator.set_revocation_lists(&lists, RevocationPolicy::default()).unwrap();
    validate_at(&validator, BEFORE, &request).unwrap();
    // From here on the list, which counted when the certificate was valid, might have a successor.
    let expired = Err(X509Error::RevocationListExpired { next_update: NOW });
    assert_eq!(validate_at(&validator, NOW, &request), expired);
    // A fresh list of another CA makes no difference.
    let other = Ca::root("other");
    let fresh = [list(&root, &[]), list_until(&other, &[], 2)];
    validator.set_revocation_lists(&fresh, RevocationPolicy::default()).unwrap();
    assert_eq!(validate_at(&validator, NOW, &request), expired);
    for lenient in [
        RevocationPolicy { accept_expired_lists: true, ..RevocationPolicy::default() },
        RevocationPolicy { accept_unknown: true, ..RevocationPolicy::default() },
    ] {
        validator.set_revocation_lists(&lists, lenient).unwrap();
        validate_at(&validator, NOW, &request).unwrap();
    }
    let until = list_until(&root, &[], 2);
    validator.set_revocation_lists(&[until], RevocationPolicy::default()).unwrap();
    validate_at(&validator, NOW, &request).unwrap();
}

#[test]
fn a_certificate_without_a_list_is_refused_unless_the_policy_accepts() {
    let (root, other, key) = (Ca::root("root"), Ca::root("other"), Key::new(SUITE));
    let member = root.issue(ALICE, &key, |_| {});
    let request = request(&[&member], &key);
    let mut validator = validator(&root);
    let lists = [list(&other, &[])];
    validator.set_revocation_lists(&lists, RevocationPolicy::default()).unwrap();
    assert_eq!(validate_at(&validator, BEFORE, &request), Err(X509Error::RevocationUnknown));
    let lenient = RevocationPolicy { accept_unknown: true, ..RevocationPolicy::default() };
    validator.set_revocation_lists(&lists, lenient).unwrap();
    validate_at(&validator, BEFORE, &request).unwrap();
}

#[test]
fn a_list_whose_successor_was_due_is_refused_unless_the_policy_accepts() {
    let (root, key) = (Ca::root("root"), Key::new(SUITE));
    let member = root.issue(ALICE, &key, |_| {});
    let request = request(&[&member], &key);
    let mut validator = validator(&root);
    let lists = [list(&root, &[])];
    validator.set_revocation_lists(&lists, RevocationPolicy::default()).unwrap();
    validate_at(&validator, BEFORE, &request).unwrap();
    let expired = Err(X509Error::RevocationListExpired { next_update: NOW });
    assert_eq!(validate(&validator, &request), expired);
    let lenient = RevocationPolicy { accept_expired_lists: true, ..RevocationPolicy::default() };
    validator.set_revocation_lists(&lists, lenient).unwrap();
    validate(&validator, &request).unwrap();
}

#[test]
fn a_list_that_its_issuer_did_not_or_may_not_sign_is_refused() {
    let (root, impostor, key) = (Ca::root("root"), Ca::root("root"), Key::new(SUITE));
    let member = root.issue(ALICE, &key, |_| {});
    let mut of_root = validator(&root);
    of_root.set_revocation_lists(&[list(&impostor, &[])], RevocationPolicy::default()).unwrap();
    let result = validate_at(&of_root, BEFORE, &request(&[&member], &key));
    assert_eq!(result, Err(X509Error::RevocationListInvalid));
    // A CA whose key is for certificates only.
    let unfit = root.ca("ca", |p| p.key_usages = vec![KeyUsagePurpose::KeyCertSign]);
    let member = unfit.issue(ALICE, &key, |_| {});
    let signer = Issuer::new(ca_params("ca"), unfit.issuer.key().clone());
    let lists = [list(&root, &[]), list(&Ca { issuer: signer, der: Vec::new() }, &[])];
    of_root.set_revocation_lists(&lists, RevocationPolicy::default()).unwrap();
    let result = validate_at(&of_root, BEFORE, &request(&[&member, &unfit.der], &key));
    assert_eq!(result, Err(X509Error::RevocationListInvalid));
}
