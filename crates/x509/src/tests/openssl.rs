//! Chains made by another implementation; see `testdata/make.sh`.

use super::ca::by_mail;
use crate::{X509Error, X509Validator, credential};
use conclave_mls::credential::{CredentialRequest, CredentialSubject};
use conclave_mls::crypto::Suite;
use conclave_mls::{CipherSuite, UnixTime};
use conclave_provider_rustcrypto::RustCrypto;

/// A time in 2033. The chains are valid for a hundred years from 2026 on.
const NOW: UnixTime = UnixTime::from_secs(2_000_000_000).unwrap();

type Chain = [&'static [u8]; 3];

macro_rules! chain {
    ($name:literal) => {
        [
            include_bytes!(concat!("../../testdata/", $name, "-member.der")),
            include_bytes!(concat!("../../testdata/", $name, "-ca.der")),
            include_bytes!(concat!("../../testdata/", $name, "-root.der")),
        ]
    };
}

const ED25519: Chain = chain!("ed25519");
const CHAINS: [(u16, Chain); 5] = [
    (1, ED25519),
    (2, chain!("p256")),
    (4, chain!("ed448")),
    (5, chain!("p521")),
    (7, chain!("p384")),
];
const MORE: [Chain; 2] = [chain!("rsa"), chain!("p521-sha256")];

fn validator(root: &[u8]) -> X509Validator {
    X509Validator::new(&[root], by_mail).unwrap()
}

fn validate(suite: u16, chain: Chain) -> Result<(), X509Error> {
    validate_by(&validator(chain[2]), suite, chain)
}

fn validate_with_aws_lc(chain: Chain) -> Result<(), X509Error> {
    validate_by(&validator(chain[2]).with_aws_lc(), 1, chain)
}

fn validate_by(
    validator: &X509Validator,
    suite: u16,
    [member, ca, _]: Chain,
) -> Result<(), X509Error> {
    let provider = RustCrypto::new();
    let suite = Suite::new(&provider, CipherSuite(suite)).unwrap();

    // The key is found by its place in the certificate, not with the parser under test. No other part of the
    // certificate has such a run of bytes.
    let len = match suite.cipher_suite().0 {
        1 => 32,
        2 => 65,
        4 => 57,
        5 => 133,
        _ => 97,
    };
    let header =
        if len < 127 { vec![3, len as u8 + 1, 0] } else { vec![3, 0x81, len as u8 + 1, 0] };
    let at = member.windows(header.len()).position(|w| w == header).unwrap() + header.len();
    let request = CredentialRequest {
        subject: CredentialSubject::NewMember,
        credential: credential(&[member, ca]),
        signature_key: member[at..at + len].into(),
        replaces: None,
    };
    let who = validator.validate(&suite, NOW, &request)?;
    assert_eq!(who.identity, b"alice@example.org");
    assert_eq!(who.certified.presented.uris, ["im:alice@example.org"]);
    assert_eq!(who.certified.presented.common_names, ["Alice"]);
    Ok(())
}

#[test]
fn chains_of_openssl_are_valid_in_each_scheme() {
    for (suite, chain) in CHAINS {
        assert_eq!(validate(suite, chain), Ok(()), "suite {suite}");
    }
}

#[test]
fn a_chain_to_another_root_of_the_same_name_is_refused() {
    let [member, ca, _] = ED25519;
    let (_, [_, _, root]) = CHAINS[1];
    assert_eq!(validate(1, [member, ca, root]), Err(X509Error::UnsupportedSignatureAlgorithm));
}

#[test]
fn rsa_and_other_hashes_are_accepted_only_when_asked_for() {
    for chain in MORE {
        assert_eq!(validate(1, chain), Err(X509Error::UnsupportedSignatureAlgorithm));
        assert_eq!(validate_with_aws_lc(chain), Ok(()));
    }
    assert_eq!(validate_with_aws_lc(ED25519), Ok(()));
}

#[test]
fn a_short_rsa_key_is_refused_with_its_length() {
    let root: &[u8] = include_bytes!("../../testdata/rsa1024-root.der");
    let member: &[u8] = include_bytes!("../../testdata/rsa1024-member.der");
    let result = validate_with_aws_lc([member, root, root]);
    assert_eq!(result, Err(X509Error::WeakIssuerKey { bits: 1024 }));
    assert!(result.unwrap_err().to_string().contains("1024 bits"));
}
