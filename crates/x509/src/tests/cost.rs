//! The cost of judging in signature checks, and what is remembered from one credential for the next.

use super::ca::{
    Ca, Key, NOW, SUITE, by_mail, ca_params, request, time, validate, validate_at, validator,
};
use super::revocation::list_until;
use crate::signatures::SignatureCache;
use crate::{Authenticated, RevocationPolicy, Settings, X509Error, X509Validator};
use conclave_crypto::testing::{Hook, Hooked, Operation};
use conclave_mls::Verdict;
use conclave_mls::credential::CredentialRequest;
use conclave_mls::crypto::{CryptoError, Suite};
use conclave_provider_rustcrypto::RustCrypto;
use rcgen::Issuer;
use std::sync::atomic::{AtomicUsize, Ordering};

const ALICE: &str = "alice@example.org";

/// Counts the signatures that a provider verifies.
#[derive(Default)]
struct Count(AtomicUsize);

impl Hook for Count {
    fn before(&self, operation: Operation) -> Result<(), CryptoError> {
        if operation == Operation::Verify {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// Returns the result and the number of signatures verified for it.
fn counted<T>(judge: impl FnOnce(&Suite<'_>) -> T) -> (T, usize) {
    let provider = Hooked::new(RustCrypto::new(), Count::default());
    let result = judge(&Suite::new(&provider, SUITE).unwrap());
    (result, provider.hook.0.load(Ordering::Relaxed))
}

fn checks(
    validator: &X509Validator,
    request: &CredentialRequest,
) -> (Result<Authenticated, X509Error>, usize) {
    counted(|suite| validator.validate(suite, NOW, request))
}

/// A credential with several unknown CAs of one name and a member's certificate that the first of them
/// issued.
fn forged(name: &str) -> CredentialRequest {
    let (cas, key): (Vec<_>, _) = ((0..7).map(|_| Ca::root(name)).collect(), Key::new(SUITE));
    let member = cas[0].issue(ALICE, &key, |_| {});
    let mut chain: Vec<&[u8]> = vec![&member];
    chain.extend(cas.iter().map(|ca| ca.der.as_slice()));
    request(&chain, &key)
}

/// A validator that knows nothing but the root, and one that knows many intermediate certificates below it.
fn with_few_and_many(root: &Ca) -> [X509Validator; 2] {
    let known: Vec<_> = (0..50).map(|i| root.ca(&format!("known {i}"), |_| {}).der).collect();
    [validator(root), validator(root).with_intermediates(&known).unwrap()]
}

#[test]
fn forged_cas_that_name_no_trusted_ca_cost_no_signature_check() {
    let root = Ca::root("root");
    for validator in with_few_and_many(&root) {
        let (result, checks) = checks(&validator, &forged("elsewhere"));
        assert_eq!(result, Err(X509Error::UnknownIssuer));
        assert_eq!(checks, 0);
    }
}

#[test]
fn forged_cas_in_a_roots_name_cost_one_signature_check_each() {
    let root = Ca::root("root");
    for validator in with_few_and_many(&root) {
        let (result, checks) = checks(&validator, &forged("root"));
        assert_eq!(result, Err(X509Error::InvalidSignature));
        assert!(checks <= 8, "{checks}");
    }
}

#[test]
fn no_credential_costs_more_signature_checks_than_the_setting() {
    // Twenty roots of one name: any of them may have issued each of the forged certificates.
    let roots: Vec<_> = (0..20).map(|_| Ca::root("root")).collect();
    let ders: Vec<_> = roots.iter().map(|root| &root.der).collect();
    let request = forged("root");
    for max_signature_checks in [0, 1, 32] {
        let settings = Settings { max_signature_checks, ..Settings::default() };
        let validator = X509Validator::new(&ders, by_mail).unwrap().with_settings(settings);
        let (result, checks) = checks(&validator, &request);
        assert_eq!(result, Err(X509Error::PathTooComplex));
        assert_eq!(checks, max_signature_checks + 19);
    }
}

#[test]
fn an_honest_chain_costs_one_signature_check_for_each_certificate() {
    let root = Ca::root("root");
    let key = Key::new(SUITE);
    let upper = root.ca("upper", |_| {});
    let unrelated = root.ca("unrelated", |_| {});
    let lower = upper.ca("lower", |_| {});
    let member = lower.issue(ALICE, &key, |_| {});
    let request = request(&[&member, &root.der, &unrelated.der, &upper.der, &lower.der], &key);

    for (max_signature_checks, accepted) in [(3, true), (2, false)] {
        let settings = Settings { max_signature_checks, ..Settings::default() };
        let (result, checks) = checks(&validator(&root).with_settings(settings), &request);
        assert_eq!(result.is_ok(), accepted);
        assert_eq!(checks, max_signature_checks);
    }
}

#[test]
fn credentials_after_the_first_that_is_refused_cost_nothing() {
    let root = Ca::root("root");
    let key = Key::new(SUITE);
    let member = root.issue(ALICE, &key, |_| {});
    let mut requests = vec![request(&[&member], &key)];
    requests.extend((0..300).map(|_| forged("root")));
    let validator = validator(&root);
    let (verdicts, checks) = counted(|suite| validator.judge_all(suite, NOW, &requests));
    assert!(checks <= 1 + 8, "{checks}");
    assert_eq!(verdicts.len(), 301);
    assert_eq!(verdicts[0], Verdict::Accept);
    assert_eq!(verdicts[1], Verdict::refuse("a certificate's signature does not verify"));

    let skipped = Verdict::refuse("a credential before this one was refused");
    assert!(verdicts[2..].iter().all(|verdict| *verdict == skipped));
}

#[test]
fn many_known_cas_of_one_name_do_not_hide_the_right_one() {
    let root = Ca::root("root");
    let key = Key::new(SUITE);
    let cas: Vec<_> = (0..120).map(|_| root.ca("ca", |_| {})).collect();
    let ders: Vec<_> = cas.iter().map(|ca| &ca.der).collect();
    let validator = validator(&root).with_intermediates(&ders).unwrap();
    for ca in [&cas[0], &cas[119]] {
        let member = ca.issue(ALICE, &key, |_| {});
        validate(&validator, &request(&[&member], &key)).unwrap();
        validate(&validator, &request(&[&member, &ca.der], &key)).unwrap();
    }
}

#[test]
fn a_key_identifier_points_to_one_of_many_cas_of_one_name() {
    let root = Ca::root("root");
    let key = Key::new(SUITE);
    let cas: Vec<_> = (0..40).map(|_| root.ca("ca", |_| {})).collect();
    let ders: Vec<_> = cas.iter().map(|ca| &ca.der).collect();
    let validator = validator(&root).with_intermediates(&ders).unwrap();
    let issue = || cas[30].issue(ALICE, &key, |p| p.use_authority_key_identifier_extension = true);
    validate(&validator, &request(&[&issue()], &key)).unwrap();
    let (result, checks) = checks(&validator, &request(&[&issue()], &key));
    result.unwrap();
    assert_eq!(checks, 1);
}

#[test]
fn cas_and_lists_that_members_share_are_verified_once() {
    let root = Ca::root("root");
    let ca = root.ca("ca", |_| {});
    let mut validator = validator(&root);
    let lists = [list_until(&root, &[], 2), list_until(&ca, &[], 2)];
    validator.set_revocation_lists(&lists, RevocationPolicy::default()).unwrap();
    let member = |i: usize| {
        let key = Key::new(SUITE);
        request(&[&ca.issue(&format!("{i}@example.org"), &key, |_| {}), &ca.der], &key)
    };
    let requests: Vec<_> = (0..20).map(member).collect();
    let (verdicts, checks) = counted(|suite| validator.judge_all(suite, NOW, &requests));
    assert!(verdicts.iter().all(|verdict| *verdict == Verdict::Accept));

    // Each member's own certificate, the CA's, and the two lists.
    assert_eq!(checks, 20 + 1 + 2);
}

/// Otherwise members would disagree about a credential of which some of them know a part.
#[test]
fn remembered_signatures_change_no_answer() {
    let root = Ca::root("root");
    let key = Key::new(SUITE);
    let upper = root.ca("upper", |_| {});
    let lower = upper.ca("lower", |_| {});
    let long = request(&[&lower.issue(ALICE, &key, |_| {}), &lower.der, &upper.der], &key);
    let short = request(&[&upper.issue(ALICE, &key, |_| {}), &upper.der], &key);
    let settings = Settings { max_signature_checks: 2, ..Settings::default() };
    let validator = validator(&root).with_settings(settings);
    for _ in 0..2 {
        assert_eq!(validate(&validator, &long).map(drop), Err(X509Error::PathTooComplex));
        validate(&validator, &short).unwrap();
    }
}

#[test]
fn remembered_signatures_let_no_other_certificate_in() {
    let root = Ca::root("root");
    let key = Key::new(SUITE);
    let ca = root.ca("ca", |_| {});
    let member = ca.issue(ALICE, &key, |_| {});
    let aware = validator(&root);
    validate(&aware, &request(&[&member, &ca.der], &key)).unwrap();

    // Neither a CA whose certificate differs in any one byte,
    for i in 0..ca.der.len() {
        let mut other = ca.der.clone();
        other[i] ^= 1;
        assert!(validate(&aware, &request(&[&member, &other], &key)).is_err(), "byte {i}");
    }
    // nor another CA of the same name and key that no trusted key has signed,
    let impostor = Ca::root("root");
    let twin = ca_params("ca").signed_by(ca.issuer.key(), &impostor.issuer).unwrap();
    let twin = request(&[&member, twin.der()], &key);
    assert_eq!(validate(&aware, &twin), Err(X509Error::InvalidSignature));
    // nor one by a CA that has the name and the signature, but not the key.
    let renamed = Issuer::new(ca_params("ca"), Key::new(SUITE));
    let renamed = Ca { issuer: renamed, der: Vec::new() }.issue(ALICE, &key, |_| {});
    let renamed = request(&[&renamed, &ca.der], &key);
    assert_eq!(validate(&aware, &renamed), Err(X509Error::InvalidSignature));
    // What counts is the key that signed, not another of the same name.
    let roots = [&impostor.der, &root.der];
    let two = X509Validator::new(&roots, by_mail).unwrap();
    for _ in 0..2 {
        let who = validate(&two, &request(&[&member, &ca.der], &key)).unwrap();
        assert_eq!(who.certified.root, Some(1));
    }
    // Remembered certificates still expire.
    let expired = validate_at(&aware, time(NOW.as_secs() * 2), &request(&[&member, &ca.der], &key));
    assert!(matches!(expired, Err(X509Error::Expired { .. })));
}

#[test]
fn memory_is_bounded_and_holds_valid_signatures_only() {
    let root = Ca::root("root");
    let key = Key::new(SUITE);
    let validator = validator(&root);
    for _ in 0..20 {
        validate(&validator, &forged("root")).unwrap_err();
    }
    assert_eq!(validator.remembered(), 0);

    // Certificates of 16 KiB each soon fill it.
    let member = root.issue(ALICE, &key, |_| {});
    validate(&validator, &request(&[&member], &key)).unwrap();
    assert_eq!(validator.remembered(), 0);
    for i in 0..160 {
        let ca = root.ca(&format!("ca {i}"), |p| {
            let id = [1, 3, 6, 1, 4, 1, 7];
            let large = rcgen::CustomExtension::from_oid_content(&id, vec![4; 15 * 1024]);
            p.custom_extensions.push(large);
        });
        let member = ca.issue(ALICE, &key, |_| {});
        validate(&validator, &request(&[&member, &ca.der], &key)).unwrap();
        assert!(validator.remembered() <= SignatureCache::MAX_BYTES);
    }
    assert!(validator.remembered() > SignatureCache::MAX_BYTES / 2);
}
