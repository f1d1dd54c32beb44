//! Files written by other tools; see `testdata/make.sh`.

use super::der::{oid, seq, tlv};
use crate::{
    LoadError, certificates_from_pem, key_pair_from_pem, key_pair_from_pkcs8,
    revocation_lists_from_pem,
};
use conclave_mls::CipherSuite;
use conclave_mls::crypto::{CryptoProvider, PqSuite, SignatureScheme, Suite, Suites};
use conclave_provider_rustcrypto::RustCrypto;
use rustls_pki_types::pem::PemObject;

macro_rules! keys {
    ($(($suite:literal, $name:literal)),*) => {
        [$((
            $suite,
            include_bytes!(concat!("../../testdata/", $name, "-key.pem")),
            include_bytes!(concat!("../../testdata/", $name, "-public.der")),
        )),*]
    };
}

const KEYS: [(u16, &[u8], &[u8]); 5] =
    keys![(1, "ed25519"), (2, "p256"), (4, "ed448"), (5, "p521"), (7, "p384")];

#[test]
fn openssls_private_keys_match_their_public_keys() {
    let provider = RustCrypto::new();
    for (suite, pem, public) in KEYS {
        let suite = Suite::new(&provider, CipherSuite(suite)).unwrap();
        let pair = key_pair_from_pem(&suite, pem).unwrap();
        assert!(public.ends_with(&pair.public));
        let scheme = suite.params().signature;
        let signature = provider.sign(scheme, &pair, b"message").unwrap();
        provider.verify(scheme, &pair.public, b"message", &signature).unwrap();
    }
}

#[test]
fn a_private_key_of_another_suite_is_refused() {
    let provider = RustCrypto::new();
    for (of_key, pem, _) in KEYS {
        for of_suite in [1, 2, 4, 5, 7] {
            let suite = Suite::new(&provider, CipherSuite(of_suite)).unwrap();
            let result = key_pair_from_pem(&suite, pem);
            if of_key != of_suite {
                let scheme = suite.params().signature;
                assert_eq!(result.unwrap_err(), LoadError::WrongKeyAlgorithm { scheme });
            }
        }
    }
}

#[test]
fn truncated_and_altered_private_keys_do_not_panic() {
    let provider = RustCrypto::new();
    for (suite, pem, _) in KEYS {
        let suite = Suite::new(&provider, CipherSuite(suite)).unwrap();
        let der = rustls_pki_types::PrivatePkcs8KeyDer::from_pem_slice(pem).unwrap();
        let der = der.secret_pkcs8_der();
        for i in 0..der.len() {
            assert_eq!(key_pair_from_pkcs8(&suite, &der[..i]).unwrap_err(), LoadError::Malformed);
            let mut altered = der.to_vec();
            altered[i] ^= 0x55;
            let _ = key_pair_from_pkcs8(&suite, &altered);
        }
    }
}

#[test]
fn ml_dsa_keys_are_loaded_from_their_seeds() {
    let provider = RustCrypto::new().with_suites(Suites::CONCLAVE);
    let suite = Suites::CONCLAVE.code_point(PqSuite::MlKem768Aes256MlDsa65).unwrap();
    let suite = Suite::new(&provider, suite).unwrap();
    let algorithm = seq(&[&oid(&[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 3, 18])]);
    let pkcs8 = |private: &[u8]| seq(&[&[2, 1, 0], &algorithm, &tlv(4, private)]);
    let seed = [7; 32];
    let expanded = [9; 4032];

    // RFC 9881 section 6: the seed, the expanded key, or both.
    let alone = key_pair_from_pkcs8(&suite, &pkcs8(&tlv(0x80, &seed))).unwrap();
    let both = seq(&[&tlv(4, &seed), &tlv(4, &expanded)]);
    let both = key_pair_from_pkcs8(&suite, &pkcs8(&both)).unwrap();
    let secret = conclave_mls::crypto::Secret::new(seed.to_vec());
    let public = provider.signature_public_key(SignatureScheme::MlDsa65, &secret).unwrap();
    assert_eq!([&alone.public, &both.public], [&public, &public]);
    let result = key_pair_from_pkcs8(&suite, &pkcs8(&tlv(4, &expanded)));
    assert_eq!(result.unwrap_err(), LoadError::NoSeed);
}

#[test]
fn certificates_are_read_from_pem_in_their_order() {
    let pem: &[u8] = include_bytes!("../../testdata/two.pem");
    let root: &[u8] = include_bytes!("../../testdata/p256-root.der");
    let ca: &[u8] = include_bytes!("../../testdata/p256-ca.der");
    let (_, key, _) = KEYS[0];
    // A key in the same file is skipped.
    assert_eq!(certificates_from_pem(&[key, pem].concat()).unwrap(), [root, ca]);
    assert_eq!(certificates_from_pem(key), Err(LoadError::Empty));
    assert_eq!(certificates_from_pem(root), Err(LoadError::Empty));
    assert_eq!(certificates_from_pem(&pem[..pem.len() / 3]), Err(LoadError::Pem));
    assert_eq!(revocation_lists_from_pem(pem), Err(LoadError::Empty));
    let list = b"-----BEGIN X509 CRL-----\nAQID\n-----END X509 CRL-----\n";
    assert_eq!(revocation_lists_from_pem(list).unwrap(), [[1, 2, 3]]);

    let provider = RustCrypto::new();
    let suite = Suite::new(&provider, CipherSuite(1)).unwrap();
    assert_eq!(key_pair_from_pem(&suite, pem).unwrap_err(), LoadError::Empty);
}
