//! The key of a certificate is the leaf's, of the suite's algorithm.

use super::ca::{Ca, Key, NOW, SUITE, YEAR, by_mail, request, scheme_of, validate, validator};
use super::der::{RawKey, ca_flag, mail_address};
use crate::{X509Error, X509Validator, credential};
use conclave_mls::CipherSuite;
use conclave_mls::credential::{CredentialRequest, CredentialSubject};
use conclave_mls::crypto::{PqSuite, SignatureScheme, Suite, Suites};
use conclave_provider_rustcrypto::RustCrypto;

#[test]
fn a_chain_in_each_suites_scheme_authenticates() {
    let provider = RustCrypto::new();
    for suite in [1, 2, 3, 4, 5, 6, 7].map(CipherSuite) {
        let root = Ca::root_of(suite, "root");
        let key = Key::new(suite);
        let chain = root.issue("alice@example.org", &key, |_| {});
        let validator = X509Validator::new(&[&root.der], by_mail).unwrap();
        let of_suite = Suite::new(&provider, suite).unwrap();
        let who = validator.validate(&of_suite, NOW, &request(&[&chain], &key)).unwrap();
        assert_eq!(who.identity, b"alice@example.org");
        assert_eq!(who.certified.presented.common_names, ["a member"]);
        assert_eq!(who.not_after.as_secs(), NOW.as_secs() + YEAR);
    }
}

#[test]
fn a_key_of_another_suites_scheme_is_refused() {
    let provider = RustCrypto::new();
    let suites = [1, 2, 4, 5, 7].map(CipherSuite);
    for (of_key, of_group) in suites.iter().flat_map(|k| suites.map(|g| (*k, g))) {
        let root = Ca::root("root");
        let key = Key::new(of_key);
        let chain = root.issue("alice@example.org", &key, |_| {});
        // An Ed25519 CA signs keys of all kinds, but for Ed448's, which the tests' CA cannot name.
        if of_key == CipherSuite(4) {
            continue;
        }
        let group = Suite::new(&provider, of_group).unwrap();
        let result = validator(&root).validate(&group, NOW, &request(&[&chain], &key));
        if of_key == of_group {
            result.unwrap();
        } else {
            let scheme = scheme_of(of_group);
            assert_eq!(result, Err(X509Error::WrongKeyAlgorithm { scheme }));
        }
    }
}

#[test]
fn a_certificate_for_another_key_is_refused() {
    let root = Ca::root("root");
    let key = Key::new(SUITE);
    let other = Key::new(SUITE);
    let chain = root.issue("alice@example.org", &key, |_| {});
    let request = request(&[&chain], &other);
    assert_eq!(validate(&validator(&root), &request), Err(X509Error::WrongKey));
}

#[test]
fn a_compressed_point_is_not_the_signature_key() {
    // MLS has uncompressed points only, so that the same point in another form is another key.
    let suite = CipherSuite(2);
    let root = Ca::root_of(suite, "root");
    let mut key = Key::new(suite);
    let leaf_key = key.clone();
    let point: Vec<u8> = key.pair.public.to_vec();
    let sign = 2 + (point[64] & 1);
    key.pair.public = [&[sign], &point[1..33]].concat().into();
    let chain = root.issue("alice@example.org", &key, |_| {});
    let provider = RustCrypto::new();
    let of_suite = Suite::new(&provider, suite).unwrap();
    let result = validator(&root).validate(&of_suite, NOW, &request(&[&chain], &leaf_key));
    assert_eq!(result, Err(X509Error::WrongKey));
}

#[test]
fn a_signature_of_an_unknown_algorithm_is_refused() {
    let root = Ca::root_of(CipherSuite(2), "root");
    let key = Key::new(SUITE);
    let mut chain = root.issue("alice@example.org", &key, |_| {});
    // ecdsa-with-SHA224 in both places.
    const SHA256: [u8; 8] = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
    let places: Vec<_> = (0..chain.len() - 8).filter(|i| chain[*i..*i + 8] == SHA256).collect();
    assert_eq!(places.len(), 2);
    places.into_iter().for_each(|i| chain[i + 7] = 0x01);
    let result = validate(&validator(&root), &request(&[&chain], &key));
    assert_eq!(result, Err(X509Error::UnsupportedSignatureAlgorithm));
}

#[test]
fn ml_dsa_chains_authenticate_in_the_suites_that_sign_with_it() {
    let provider = RustCrypto::new().with_suites(Suites::CONCLAVE);
    for (pq, scheme) in [
        (PqSuite::MlKem768X25519ChaCha20MlDsa44, SignatureScheme::MlDsa44),
        (PqSuite::MlKem768Aes256MlDsa65, SignatureScheme::MlDsa65),
        (PqSuite::MlKem1024Aes256MlDsa87, SignatureScheme::MlDsa87),
    ] {
        let suite = Suites::CONCLAVE.code_point(pq).unwrap();
        let suite = Suite::new(&provider, suite).unwrap();
        let root = RawKey::new(scheme);
        let ca = RawKey::new(scheme);
        let key = RawKey::new(scheme);
        let root_der = root.certify("root", "root", &root, &[ca_flag()]);
        let ca_der = root.certify("root", "ca", &ca, &[ca_flag()]);
        let member = ca.certify("ca", "member", &key, &[mail_address("alice@example.org")]);
        let validator = X509Validator::new(&[&root_der], by_mail).unwrap();
        let mut request = CredentialRequest {
            subject: CredentialSubject::NewMember,
            credential: credential(&[&member, &ca_der]),
            signature_key: key.pair.public.clone(),
            replaces: None,
        };
        let who = validator.validate(&suite, NOW, &request).unwrap();
        assert_eq!(who.identity, b"alice@example.org");

        let mut flipped = member.clone();
        *flipped.last_mut().unwrap() ^= 1;
        request.credential = credential(&[&flipped, &ca_der]);
        let result = validator.validate(&suite, NOW, &request);
        assert_eq!(result, Err(X509Error::InvalidSignature));

        // A key of today's algorithms is none for such a suite.
        let classic = RawKey::new(SignatureScheme::Ed25519);
        let member = ca.certify("ca", "member", &classic, &[mail_address("alice@example.org")]);
        request.credential = credential(&[&member, &ca_der]);
        request.signature_key = classic.pair.public.clone();
        let result = validator.validate(&suite, NOW, &request);
        assert_eq!(result, Err(X509Error::WrongKeyAlgorithm { scheme }));
    }
}
