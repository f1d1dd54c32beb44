//! Credentials that are refused before anything is verified, and inputs that a validator refuses.

use super::ca::{Ca, Key, SUITE, by_mail, dns, request, validate, validator};
use crate::{RevocationPolicy, Settings, SetupError, X509Error, X509Validator, credential};
use conclave_mls::credential::CredentialType;
use conclave_mls::wire::{Decode, Encode};
use conclave_mls::{Credential, Verdict};
use rcgen::SanType;
use rcgen::string::Ia5String;

const ALICE: &str = "alice@example.org";

#[test]
fn a_credential_survives_the_wire() {
    let made = credential(&[b"one".as_slice(), b"two"]);
    assert_eq!(made.credential_type(), CredentialType::X509);
    let bytes = made.to_bytes().unwrap();
    // The type, the length of the list, and each certificate with its length.
    assert_eq!(bytes, b"\x00\x02\x08\x03one\x03two");
    assert_eq!(Credential::from_bytes(&bytes).unwrap(), made);
}

#[test]
fn a_basic_credential_is_refused() {
    let root = Ca::root("root");
    let key = Key::new(SUITE);
    let mut request = request(&[], &key);
    request.credential = Credential::basic(b"alice");
    assert_eq!(validate(&validator(&root), &request), Err(X509Error::NotX509));
}

#[test]
fn an_empty_chain_is_refused() {
    let root = Ca::root("root");
    let key = Key::new(SUITE);
    assert_eq!(validate(&validator(&root), &request(&[], &key)), Err(X509Error::EmptyChain));
}

#[test]
fn a_chain_longer_than_the_limit_is_refused() {
    let root = Ca::root("root");
    let key = Key::new(SUITE);
    let member = root.issue(ALICE, &key, |_| {});
    let settings = Settings { max_chain: 3, ..Settings::default() };
    let validator = validator(&root).with_settings(settings);
    let chain = |len| {
        let mut chain: Vec<&[u8]> = vec![&member];
        chain.resize(len, &root.der);
        request(&chain, &key)
    };
    validate(&validator, &chain(3)).unwrap();
    assert_eq!(validate(&validator, &chain(4)), Err(X509Error::ChainTooLong { count: 4 }));
}

#[test]
fn a_certificate_larger_than_the_limit_is_refused() {
    let root = Ca::root("root");
    let key = Key::new(SUITE);
    let member = root.issue(ALICE, &key, |_| {});
    let len = member.len();
    let limited = |max_certificate_len| {
        validator(&root).with_settings(Settings { max_certificate_len, ..Settings::default() })
    };
    let request = request(&[&member], &key);
    validate(&limited(len), &request).unwrap();
    let refused = Err(X509Error::CertificateTooLarge { index: 0, len });
    assert_eq!(validate(&limited(len - 1), &request), refused);
}

#[test]
fn more_identifiers_than_the_limit_are_refused() {
    let root = Ca::root("root");
    let key = Key::new(SUITE);
    let named = |n: usize| {
        let names = (0..n).map(|i| dns(&format!("{i}.example.org")));
        // The mail address and the common name count, too.
        let member = root.issue(ALICE, &key, |p| p.subject_alt_names.extend(names));
        validate(&validator(&root), &request(&[&member], &key))
    };
    named(62).unwrap();
    assert_eq!(named(63), Err(X509Error::TooManyIdentifiers { count: 65 }));
}

#[test]
fn malformed_certificates_are_refused_wherever_they_are() {
    let root = Ca::root("root");
    let key = Key::new(SUITE);
    let member = root.issue(ALICE, &key, |_| {});
    let validator = validator(&root);
    for len in 0..member.len() {
        let result = validate(&validator, &request(&[&member[..len]], &key));
        assert_eq!(result, Err(X509Error::Malformed { index: 0 }));
    }

    let longer = [member.as_slice(), &[0]].concat();
    let result = validate(&validator, &request(&[&longer], &key));
    assert_eq!(result, Err(X509Error::Malformed { index: 0 }));

    let result = validate(&validator, &request(&[&member, &root.der, b"no certificate"], &key));
    assert_eq!(result, Err(X509Error::Malformed { index: 2 }));
}

#[test]
fn a_name_with_control_characters_is_refused() {
    let root = Ca::root("root");
    let key = Key::new(SUITE);
    let deceptive = || Ia5String::try_from("alice@example.org\0.example.com").unwrap();
    for name in [SanType::Rfc822Name, SanType::DnsName, SanType::URI].map(|f| f(deceptive())) {
        let member = root.issue(ALICE, &key, |p| p.subject_alt_names = vec![name]);
        let result = validate(&validator(&root), &request(&[&member], &key));
        assert_eq!(result, Err(X509Error::Malformed { index: 0 }));
    }
}

#[test]
fn a_refusal_states_its_reason() {
    let provider = conclave_provider_rustcrypto::RustCrypto::new();
    let suite = conclave_mls::crypto::Suite::new(&provider, SUITE).unwrap();
    let root = Ca::root("root");
    let key = Key::new(SUITE);
    let member = root.issue(ALICE, &key, |_| {});
    let requests = [request(&[&member], &key), request(&[], &key)];
    let verdicts = validator(&root).judge_all(&suite, super::ca::NOW, &requests);
    assert_eq!(verdicts, [Verdict::Accept, Verdict::refuse("the chain is empty")]);
}

#[test]
fn a_validator_refuses_malformed_inputs() {
    let root = Ca::root("root");
    let none: [&[u8]; 0] = [];
    assert_eq!(X509Validator::new(&none, by_mail).unwrap_err(), SetupError::NoRoots);
    let roots = [root.der.as_slice(), b"no certificate"];
    assert_eq!(X509Validator::new(&roots, by_mail).unwrap_err(), SetupError::Root(1));
    let result = validator(&root).with_intermediates(&roots);
    assert_eq!(result.unwrap_err(), SetupError::Intermediate(1));
    let result = validator(&root).set_revocation_lists(&roots, RevocationPolicy::default());
    assert_eq!(result, Err(SetupError::RevocationList(0)));
}
