//! Revocation lists (section 5.3.2).

use super::ca::{Ca, Key, NOW, SUITE, ca_params, request, validate, validate_at, validator};
use super::der::{common_name, seq, tlv};
use crate::{RevocationPolicy, Settings, X509Error};
use conclave_mls::UnixTime;
use conclave_mls::Verdict;
use conclave_mls::credential::CredentialSubject;
use conclave_mls::crypto::Suite;
use conclave_mls::group::LeafIndex;
use rcgen::{
    CertificateParams, CertificateRevocationListParams, CrlDistributionPoint,
    CrlIssuingDistributionPoint, CrlScope, Issuer, KeyIdMethod, KeyUsagePurpose, RevokedCertParams,
    date_time_ymd,
};
use std::time::Duration;

const ALICE: &str = "alice@example.org";

/// A CA's list of these serial numbers. The next list is due at [`NOW`].
fn list(ca: &Ca, serials: &[u64]) -> Vec<u8> {
    list_until(ca, serials, 1)
}

/// The same. The next list is due on the first of a month of 2026.
pub(super) fn list_until(ca: &Ca, serials: &[u64], month: u8) -> Vec<u8> {
    list_with(ca, serials, |p| p.next_update = date_time_ymd(2026, month, 1))
}

/// The same, changed before it is signed.
fn list_with(
    ca: &Ca,
    serials: &[u64],
    change: impl FnOnce(&mut CertificateRevocationListParams),
) -> Vec<u8> {
    let revoked = |serial: &u64| RevokedCertParams {
        serial_number: (*serial).into(),
        revocation_time: date_time_ymd(2025, 6, 1),
        reason_code: None,
        invalidity_date: None,
    };
    let mut params = CertificateRevocationListParams {
        this_update: date_time_ymd(2025, 12, 1),
        next_update: date_time_ymd(2026, 1, 1),
        crl_number: 1.into(),
        issuing_distribution_point: None,
        revoked_certs: serials.iter().map(revoked).collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    change(&mut params);
    params.signed_by(&ca.issuer).unwrap().der().to_vec()
}

const BEFORE: UnixTime = NOW.saturating_sub(Duration::from_secs(1));

#[test]
fn a_revoked_certificate_is_refused() {
    let root = Ca::root("root");
    let key = Key::new(SUITE);
    let ca = root.ca("ca", |p| p.serial_number = Some(70_001.into()));
    let member = ca.issue(ALICE, &key, |p| p.serial_number = Some(70_002.into()));
    let request = request(&[&member, &ca.der], &key);
    let mut validator = validator(&root);
    validate_at(&validator, BEFORE, &request).unwrap();
    for (of_root, of_ca, want) in [
        (70_000, 70_000, Ok(())),
        (70_000, 70_002, Err(X509Error::Revoked)),
        (70_001, 70_000, Err(X509Error::Revoked)),
        // The same number from another issuer is another certificate.
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
fn a_revoked_member_has_no_grace_period() {
    let root = Ca::root("root");
    let key = Key::new(SUITE);
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
fn lists_are_judged_by_now_even_for_an_expired_member() {
    let root = Ca::root("root");
    let key = Key::new(SUITE);
    let member = root.issue(ALICE, &key, |p| p.not_after = date_time_ymd(2025, 12, 20));
    let mut request = request(&[&member], &key);
    request.subject = CredentialSubject::Member(LeafIndex(1));
    let mut validator = validator(&root);
    let lists = [list(&root, &[])];
    validator.set_revocation_lists(&lists, RevocationPolicy::default()).unwrap();
    validate_at(&validator, BEFORE, &request).unwrap();

    // From now on the list, which was current when the certificate was valid, may have a successor.
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
fn a_certificate_without_a_list_is_refused_unless_the_policy_allows() {
    let root = Ca::root("root");
    let other = Ca::root("other");
    let key = Key::new(SUITE);
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
fn an_expired_list_is_refused_unless_the_policy_allows() {
    let root = Ca::root("root");
    let key = Key::new(SUITE);
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
    let root = Ca::root("root");
    let impostor = Ca::root("root");
    let key = Key::new(SUITE);
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

const SERIAL: u64 = 70_002;

fn numbered(p: &mut CertificateParams) {
    p.serial_number = Some(SERIAL.into());
}

/// Accepts certificates that no list covers.
fn lenient() -> RevocationPolicy {
    RevocationPolicy { accept_unknown: true, ..RevocationPolicy::default() }
}

#[test]
fn no_unsigned_certificate_gets_a_member_past_an_expired_list() {
    let root = Ca::root("root");
    let liar = Ca::root("nobody");
    let key = Key::new(SUITE);
    let ca = root.ca("ca", |_| {});
    let decoy = liar.ca("ca", |p| p.not_after = date_time_ymd(2025, 12, 20));
    let member = ca.issue(ALICE, &key, numbered);
    let mut validator = validator(&root);
    let lists = [list_until(&root, &[], 2), list(&ca, &[SERIAL])];

    for policy in [RevocationPolicy::default(), lenient()] {
        validator.set_revocation_lists(&lists, policy).unwrap();
        for above in [&[&ca.der][..], &[&decoy.der, &ca.der], &[&ca.der, &decoy.der]] {
            let mut chain = vec![member.as_slice()];
            chain.extend(above.iter().map(|der| der.as_slice()));
            let mut request = request(&chain, &key);
            request.subject = CredentialSubject::Member(LeafIndex(1));
            assert_eq!(validate(&validator, &request), Err(X509Error::Revoked));
        }
    }
}

#[test]
fn an_expired_list_does_not_clear_a_certificate() {
    let root = Ca::root("root");
    let key = Key::new(SUITE);
    let member = root.issue(ALICE, &key, numbered);
    let request = request(&[&member], &key);
    let mut validator = validator(&root);
    let lists = [list(&root, &[70_000])];
    validator.set_revocation_lists(&lists, RevocationPolicy::default()).unwrap();
    let error = validate(&validator, &request).unwrap_err();
    assert_eq!(error, X509Error::RevocationListExpired { next_update: NOW });
    assert!(error.needs_revocation_list());
    validator.set_revocation_lists(&lists, lenient()).unwrap();
    validate(&validator, &request).unwrap();
}

#[test]
fn the_newest_of_several_lists_counts() {
    let root = Ca::root("root");
    let key = Key::new(SUITE);
    let request = request(&[&root.issue(ALICE, &key, numbered)], &key);
    let mut validator = validator(&root);
    let of_day = |day, serials: &[u64]| {
        list_with(&root, serials, |p| {
            p.this_update = date_time_ymd(2025, 12, day);
            p.next_update = date_time_ymd(2026, 2, 1);
        })
    };

    // A hold that was lifted, and one that was imposed.
    for (older, newer, want) in
        [(SERIAL, 70_000, Ok(())), (70_000, SERIAL, Err(X509Error::Revoked))]
    {
        let older = of_day(1, &[older]);
        let newer = of_day(2, &[newer]);
        for lists in [[&older, &newer], [&newer, &older]] {
            validator.set_revocation_lists(&lists, RevocationPolicy::default()).unwrap();
            assert_eq!(validate(&validator, &request).map(drop), want);
        }
    }
}

#[test]
fn a_list_from_the_future_clears_nobody() {
    let root = Ca::root("root");
    let key = Key::new(SUITE);
    let request = request(&[&root.issue(ALICE, &key, numbered)], &key);
    let mut validator = validator(&root);
    for (serial, want) in [(70_000, X509Error::RevocationUnknown), (SERIAL, X509Error::Revoked)] {
        let future = list_with(&root, &[serial], |p| {
            p.this_update = date_time_ymd(2026, 1, 2);
            p.next_update = date_time_ymd(2026, 2, 1);
        });
        validator.set_revocation_lists(&[future], RevocationPolicy::default()).unwrap();
        assert_eq!(validate(&validator, &request), Err(want));
    }
}

#[test]
fn a_ca_that_changes_its_key_has_a_list_for_each() {
    let root = Ca::root("root");
    let keys = [Key::new(SUITE), Key::new(SUITE)];
    let cas = [root.ca("ca", |_| {}), root.ca("ca", |_| {})];
    let mut validator = validator(&root);
    let request = |i: usize| {
        let member = cas[i].issue(ALICE, &keys[i], numbered);
        request(&[&member, &cas[i].der], &keys[i])
    };
    let of_root = list_until(&root, &[], 2);
    let lists = [of_root.clone(), list_until(&cas[0], &[], 2), list_until(&cas[1], &[SERIAL], 2)];
    validator.set_revocation_lists(&lists, RevocationPolicy::default()).unwrap();
    validate(&validator, &request(0)).unwrap();
    assert_eq!(validate(&validator, &request(1)), Err(X509Error::Revoked));

    // If one of the two is missing, the other does not stand in for it.
    validator.set_revocation_lists(&lists[..2], RevocationPolicy::default()).unwrap();
    validate(&validator, &request(0)).unwrap();
    let error = validate(&validator, &request(1)).unwrap_err();
    assert_eq!(error, X509Error::RevocationListInvalid);
    assert!(error.needs_revocation_list());
    validator.set_revocation_lists(&lists[..2], lenient()).unwrap();
    validate(&validator, &request(1)).unwrap();
}

#[test]
fn a_bogus_list_in_front_disables_nothing() {
    let root = Ca::root("root");
    let impostor = Ca::root("root");
    let key = Key::new(SUITE);
    let request = request(&[&root.issue(ALICE, &key, numbered)], &key);
    let mut validator = validator(&root);

    for (serial, want) in [(70_000, Ok(())), (SERIAL, Err(X509Error::Revoked))] {
        let lists = [list_until(&impostor, &[], 3), list_until(&root, &[serial], 2)];
        for policy in [RevocationPolicy::default(), lenient()] {
            validator.set_revocation_lists(&lists, policy).unwrap();
            assert_eq!(validate(&validator, &request).map(drop), want);
        }
    }

    // Nor does it revoke anything.
    let lists = [list_until(&impostor, &[SERIAL], 3), list_until(&root, &[], 2)];
    validator.set_revocation_lists(&lists, RevocationPolicy::default()).unwrap();
    validate(&validator, &request).unwrap();
}

/// A list of one distribution point.
fn partition(ca: &Ca, serials: &[u64], uri: &str, scope: Option<CrlScope>) -> Vec<u8> {
    list_with(ca, serials, |p| {
        p.next_update = date_time_ymd(2026, 2, 1);
        let distribution_point = CrlDistributionPoint { uris: vec![uri.into()] };
        p.issuing_distribution_point =
            Some(CrlIssuingDistributionPoint { distribution_point, scope });
    })
}

#[test]
fn a_list_of_another_partition_says_nothing() {
    let root = Ca::root("root");
    let key = Key::new(SUITE);
    let mut validator = validator(&root);
    let of_points = |uris: &[&str]| {
        let point =
            |uri: &&str| CrlDistributionPoint { uris: vec!["ldap://x".into(), (*uri).into()] };
        let member = root.issue(ALICE, &key, |p| {
            numbered(p);
            p.crl_distribution_points = uris.iter().map(point).collect();
        });
        request(&[&member], &key)
    };
    let a = |serials: &[u64]| partition(&root, serials, "http://a", None);
    let b = |serials: &[u64]| partition(&root, serials, "http://b", None);
    let in_b = of_points(&["http://b"]);
    let in_both = of_points(&["http://a", "http://b"]);
    let in_none = of_points(&[]);
    let unknown = || Err(X509Error::RevocationUnknown);

    for (lists, request, want) in [
        (vec![a(&[])], &in_b, unknown()),
        (vec![a(&[SERIAL])], &in_b, unknown()),
        (vec![a(&[]), b(&[SERIAL])], &in_b, Err(X509Error::Revoked)),
        (vec![b(&[SERIAL]), a(&[])], &in_b, Err(X509Error::Revoked)),
        (vec![a(&[SERIAL]), b(&[])], &in_b, Ok(())),
        (vec![a(&[])], &in_both, Ok(())),
        // A certificate that names no point is in no partition, but in the complete list.
        (vec![a(&[]), b(&[])], &in_none, unknown()),
        (vec![a(&[]), list_until(&root, &[], 2)], &in_none, Ok(())),
        (vec![a(&[]), list_until(&root, &[SERIAL], 2)], &in_b, Err(X509Error::Revoked)),
    ] {
        validator.set_revocation_lists(&lists, RevocationPolicy::default()).unwrap();
        assert_eq!(validate(&validator, request).map(drop), want);
        // A certificate that no list covers is accepted only if the policy says so.
        validator.set_revocation_lists(&lists, lenient()).unwrap();
        let want = want.or_else(|e| if e.needs_revocation_list() { Ok(()) } else { Err(e) });
        assert_eq!(validate(&validator, request).map(drop), want);
    }
}

#[test]
fn a_list_for_cas_or_for_members_covers_only_those() {
    let root = Ca::root("root");
    let key = Key::new(SUITE);
    let point = || vec![CrlDistributionPoint { uris: vec!["http://a".into()] }];
    let ca = root.ca("ca", |p| p.crl_distribution_points = point());
    let member = root.issue(ALICE, &key, |p| p.crl_distribution_points = point());
    let below = ca.issue(ALICE, &key, |_| {});
    let mut validator = validator(&root);
    let of_ca = list_until(&ca, &[], 2);

    for (scope, of_member, of_authority) in [
        (CrlScope::UserCertsOnly, Ok(()), Err(X509Error::RevocationUnknown)),
        (CrlScope::CaCertsOnly, Err(X509Error::RevocationUnknown), Ok(())),
    ] {
        let lists = [partition(&root, &[], "http://a", Some(scope)), of_ca.clone()];
        validator.set_revocation_lists(&lists, RevocationPolicy::default()).unwrap();
        let result = validate(&validator, &request(&[&member], &key)).map(drop);
        assert_eq!(result, of_member);
        let result = validate(&validator, &request(&[&below, &ca.der], &key)).map(drop);
        assert_eq!(result, of_authority);
    }
}

#[test]
fn a_revoked_member_blocks_a_join_unless_the_setting_allows() {
    let root = Ca::root("root");
    let key = Key::new(SUITE);
    let member = root.issue(ALICE, &key, numbered);
    let lists = [list_until(&root, &[SERIAL], 2)];
    let mut request = request(&[&member], &key);
    for accept_revoked_members in [false, true] {
        let settings = Settings { accept_revoked_members, ..Settings::default() };
        let mut validator = validator(&root).with_settings(settings);
        validator.set_revocation_lists(&lists, RevocationPolicy::default()).unwrap();

        request.subject = CredentialSubject::Member(LeafIndex(1));
        request.replaces = None;
        let result = validate(&validator, &request).map(|who| who.revoked);
        let want = if accept_revoked_members { Ok(true) } else { Err(X509Error::Revoked) };
        assert_eq!(result, want);

        // No revoked member can join, or stay by an update.
        request.replaces = Some(request.credential.clone());
        assert_eq!(validate(&validator, &request), Err(X509Error::Revoked));
        request.replaces = None;
        for subject in [CredentialSubject::NewMember, CredentialSubject::KeyPackage] {
            request.subject = subject;
            assert_eq!(validate(&validator, &request), Err(X509Error::Revoked));
        }
    }
}

#[test]
fn a_ca_that_may_not_sign_lists_can_revoke_but_not_clear() {
    let root = Ca::root("root");
    let key = Key::new(SUITE);
    let ca = root.ca("ca", |_| {});
    let mut params = ca_params("ca");
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let unfit = params.signed_by(ca.issuer.key(), &root.issuer).unwrap().der().to_vec();
    let request = request(&[&ca.issue(ALICE, &key, numbered), &unfit], &key);
    let mut validator = validator(&root);

    for (serial, by_default, by_leniency) in [
        (70_000, Err(X509Error::RevocationListInvalid), Ok(())),
        (SERIAL, Err(X509Error::Revoked), Err(X509Error::Revoked)),
    ] {
        let lists = [list_until(&root, &[], 2), list_until(&ca, &[serial], 2)];
        validator.set_revocation_lists(&lists, RevocationPolicy::default()).unwrap();
        assert_eq!(validate(&validator, &request).map(drop), by_default);
        validator.set_revocation_lists(&lists, lenient()).unwrap();
        assert_eq!(validate(&validator, &request).map(drop), by_leniency);
    }
}

#[test]
fn no_list_with_a_flipped_bit_clears_anybody() {
    let root = Ca::root("root");
    let key = Key::new(SUITE);
    let request = request(&[&root.issue(ALICE, &key, numbered)], &key);
    let mut validator = validator(&root);
    let list = list_until(&root, &[70_000], 2);
    validator.set_revocation_lists(&[&list], RevocationPolicy::default()).unwrap();
    validate(&validator, &request).unwrap();
    for i in 0..list.len() {
        let mut flipped = list.clone();
        flipped[i] ^= 1 << (i % 8);
        if validator.set_revocation_lists(&[flipped], RevocationPolicy::default()).is_ok() {
            let error = validate(&validator, &request).unwrap_err();
            assert!(error.needs_revocation_list(), "byte {i}: {error:?}");
        }
    }
}

#[test]
fn points_of_other_issuers_or_for_some_reasons_do_not_count() {
    let root = Ca::root("root");
    let key = Key::new(SUITE);
    let mut validator = validator(&root);
    let lists = [partition(&root, &[], "http://a", None)];
    validator.set_revocation_lists(&lists, RevocationPolicy::default()).unwrap();
    let name = tlv(0xa0, &tlv(0xa0, &tlv(0x86, b"http://a")));
    let reasons = tlv(0x81, &[1, 0x60]);
    let issuer = tlv(0xa2, &tlv(0xa4, &common_name("root")));

    for (rest, want) in [
        (Vec::new(), Ok(())),
        (reasons, Err(X509Error::RevocationUnknown)),
        (issuer, Err(X509Error::RevocationUnknown)),
    ] {
        let points = seq(&[&seq(&[&name, &rest])]);
        let member = root.issue(ALICE, &key, |p| {
            let points = rcgen::CustomExtension::from_oid_content(&[2, 5, 29, 31], points);
            p.custom_extensions.push(points);
        });
        let result = validate(&validator, &request(&[&member], &key)).map(drop);
        assert_eq!(result, want);
    }
}

#[test]
fn a_missing_list_does_not_put_off_a_refusal() {
    let root = Ca::root("root");
    let other = Ca::root("other");
    let key = Key::new(SUITE);
    let mut validator = validator(&root);
    let lists = [list_until(&other, &[], 2)];
    validator.set_revocation_lists(&lists, RevocationPolicy::default()).unwrap();
    let result = |change: fn(&mut CertificateParams)| {
        let member = root.issue(ALICE, &key, change);
        validate(&validator, &request(&[&member], &key)).unwrap_err()
    };
    assert_eq!(result(|_| {}), X509Error::RevocationUnknown);
    let expired = result(|p| p.not_after = date_time_ymd(2025, 12, 20));
    assert!(matches!(expired, X509Error::Expired { .. }));
    assert!(!expired.needs_revocation_list());
    let for_servers = |p: &mut CertificateParams| {
        p.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    };
    assert_eq!(result(for_servers), X509Error::KeyPurpose);

    // The same holds for the policy's refusal.
    let nobody = root.issue("nobody", &key, |p| p.subject_alt_names.clear());
    let nobody = validate(&validator, &request(&[&nobody], &key)).unwrap_err();
    assert_eq!(nobody, X509Error::IdentityRefused);

    // And for a revoked CA, although the list of the CA below it is missing.
    let upper = root.ca("upper", numbered);
    let lower = upper.ca("lower", |_| {});
    let member = lower.issue(ALICE, &key, |_| {});
    let chain = request(&[&member, &lower.der, &upper.der], &key);
    let lists = [list_until(&root, &[SERIAL], 2)];
    validator.set_revocation_lists(&lists, RevocationPolicy::default()).unwrap();
    assert_eq!(validate(&validator, &chain).map(drop), Err(X509Error::Revoked));
}

#[test]
fn a_missing_list_puts_the_verdict_off() {
    let root = Ca::root("root");
    let other = Ca::root("other");
    let key = Key::new(SUITE);
    let mut validator = validator(&root);
    let member = root.issue(ALICE, &key, |_| {});
    let stranger = other.issue(ALICE, &key, |_| {});
    let requests = [&member, &member, &stranger].map(|leaf| request(&[leaf], &key));
    let provider = conclave_provider_rustcrypto::RustCrypto::new();
    let suite = Suite::new(&provider, SUITE).unwrap();

    // A forged certificate is refused at once, with or without lists.
    let lists = [list(&other, &[])];
    validator.set_revocation_lists(&lists, RevocationPolicy::default()).unwrap();
    assert_eq!(validator.judge(&suite, BEFORE, &requests[0]), Verdict::Later);
    assert_eq!(validator.judge_all(&suite, BEFORE, &requests), vec![Verdict::Later; 3]);
    assert!(matches!(validator.judge(&suite, BEFORE, &requests[2]), Verdict::Refuse(_)));

    // Once there is a list, the answer is final.
    let lists = [list(&root, &[])];
    validator.set_revocation_lists(&lists, RevocationPolicy::default()).unwrap();
    let verdicts = validator.judge_all(&suite, BEFORE, &requests);
    assert_eq!(verdicts[..2], [Verdict::Accept, Verdict::Accept]);
    assert!(matches!(verdicts[2], Verdict::Refuse(_)));
}
