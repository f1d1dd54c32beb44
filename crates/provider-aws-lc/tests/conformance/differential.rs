//! The same inputs give the same results with both providers, hostile inputs included.

use super::{providers, same};
use conclave_crypto::hpke::{self, Psk, SharedInfo};
use conclave_crypto::testing::{StuckRng, TestRng};
use conclave_crypto::{
    Aead, CryptoError, CryptoProvider, CryptoRng, DhGroup, Hash, Kdf, SealItem, Secret,
    SignatureScheme, Suite, Suites, kem,
};
use conclave_provider_aws_lc::AwsLc;
use conclave_provider_rustcrypto::RustCrypto;
use conclave_wire::{CipherSuite, HpkeCiphertext};

#[test]
fn both_providers_have_the_same_suites() {
    let default: [&dyn CryptoProvider; 2] = [&AwsLc::new(), &RustCrypto::new()];
    assert!(default.iter().all(|p| p.suites() == Suites::RFC_9420));
    for suite in Suites::CONCLAVE.iter() {
        assert_eq!(same(|p| p.suite(suite.cipher_suite)), Some(suite));
    }

    let suite = CipherSuite(0xf0c9);
    let shown = providers().map(|p| format!("{:?}", Suite::new(&*p, suite).unwrap()));
    let name = "MLS_128_MLKEM768X25519_CHACHA20POLY1305_SHA384_MLDSA44 (0xf0c9)";
    assert_eq!(shown, [format!("{name} by AWS-LC"), format!("{name} by RustCrypto")]);
}

#[test]
fn hashes_macs_and_derivations_agree() {
    let rng = &mut TestRng(10);
    for n in [0, 1, 31, 32, 33, 55, 63, 64, 65, 111, 127, 128, 129, 200, 1000] {
        let key = Secret::random(n, rng);
        let data = rng.bytes(2 * n);
        let (start, end) = data.split_at(n / 2);
        let parts: [&[u8]; 3] = [start, &[], end];
        for hash in Hash::ALL {
            same(|p| p.hash(*hash, &parts).unwrap());
            same(|p| p.hmac(*hash, &key, &parts).unwrap());
        }
        for kdf in Kdf::ALL {
            same(|p| p.extract(*kdf, key.expose(), &parts).unwrap());
            same(|p| p.expand(*kdf, &key, &parts, n).unwrap());
        }
        same(|p| p.sha3_256(&parts).unwrap());
        same(|p| p.shake256(&parts, n).unwrap());
    }
}

#[test]
fn aeads_agree() {
    let rng = &mut TestRng(11);
    for aead in Aead::ALL.iter().copied() {
        for n in [0, 1, 15, 16, 17, 64, 1000] {
            let key = Secret::random(aead.key_len(), rng);
            let nonce = rng.bytes(aead.nonce_len());
            let aad = rng.bytes(n / 2);
            let plaintext = rng.bytes(n);
            let sealed = same(|p| p.aead_seal(aead, &key, &nonce, &aad, &plaintext).unwrap());
            let opened = same(|p| p.aead_open(aead, &key, &nonce, &aad, &sealed).unwrap());
            assert_eq!(opened.expose(), plaintext);
        }
    }
}

/// A private key of a group, in range.
fn private_key(group: DhGroup, rng: &mut dyn CryptoRng) -> Secret {
    let mut private = Secret::random(group.private_key_len(), rng);
    if group == DhGroup::P521 {
        private.expose_mut()[0] &= 1;
    }
    private
}

#[test]
fn key_agreements_agree_on_hostile_public_keys() {
    let rng = &mut TestRng(13);
    for group in DhGroup::ALL.iter().copied() {
        let private = private_key(group, rng);
        let public = same(|p| p.dh_public_key(group, &private).unwrap());
        same(|p| p.dh_both(group, &private, &public).unwrap());

        let check = |public: &[u8]| {
            let _ = same(|p| p.dh_validate_public_key(group, public));
            let _ = same(|p| p.dh(group, &private, public));
        };
        for i in 0..public.len() {
            let mut changed = public.clone();
            changed[i] ^= 1 << (i % 8);
            check(&changed);
            changed[i] = 0xff;
            check(&changed);
        }
        for fill in [0, 1, 0x7f, 0xff] {
            check(&vec![fill; public.len()]);
        }
        for _ in 0..5 {
            check(&rng.bytes(public.len()));
        }
    }
}

#[test]
fn both_draw_the_same_keys_from_the_same_randomness() {
    for scheme in SignatureScheme::ALL.iter().copied() {
        for seed in 0..4 {
            same(|p| p.signature_key_pair(scheme, &mut TestRng(seed)).unwrap());
        }
    }
}

#[test]
fn key_generation_ends_if_the_randomness_is_stuck() {
    use SignatureScheme as S;
    for scheme in [S::EcdsaSecp256r1Sha256, S::EcdsaSecp384r1Sha384, S::EcdsaSecp521r1Sha512] {
        for byte in [0, 0xff] {
            let result = same(|p| p.signature_key_pair(scheme, &mut StuckRng(byte)));
            assert_eq!(result, Err(CryptoError::KeyDerivationFailed));
        }
    }
}

#[test]
fn each_verifies_what_the_other_signs() {
    for scheme in SignatureScheme::ALL.iter().copied() {
        let pair = same(|p| p.signature_key_pair(scheme, &mut TestRng(7)).unwrap());
        for message in [&b""[..], b"m", &[7; 1000]] {
            let signatures = providers().map(|p| p.sign(scheme, &pair, message).unwrap());
            if matches!(scheme, SignatureScheme::Ed25519 | SignatureScheme::Ed448) {
                assert_eq!(signatures[0], signatures[1]);
            }
            for signature in signatures {
                assert_eq!(same(|p| p.verify(scheme, &pair.public, message, &signature)), Ok(()));
            }
        }
    }
}

#[test]
fn both_answer_alike_to_damaged_signatures_and_keys() {
    for scheme in SignatureScheme::ALL.iter().copied() {
        let pair = same(|p| p.signature_key_pair(scheme, &mut TestRng(8)).unwrap());
        let signature = RustCrypto::new().sign(scheme, &pair, b"message").unwrap();
        // Of long ones, a part.
        for i in (0..signature.len()).step_by(1 + signature.len() / 150) {
            let mut damaged = signature.clone();
            damaged[i] ^= 1 << (i % 8);
            same(|p| p.verify(scheme, &pair.public, b"message", &damaged).is_ok());
        }
        for i in (0..pair.public.len()).step_by(1 + pair.public.len() / 150) {
            let mut damaged = pair.public.to_vec();
            damaged[i] ^= 1 << (i % 8);
            let public = damaged.into();
            same(|p| p.verify(scheme, &public, b"message", &signature).is_ok());
        }
    }
}

#[test]
fn hpke_agrees_and_opens_what_the_other_sealed() {
    let rng = &mut TestRng(14);
    for suite in Suites::CONCLAVE.iter() {
        for len in [0, 32, 100] {
            let ikm = Secret::random(suite.kem.seed_len(), rng);
            let seed = Secret::random(suite.kem.encap_seed_len(), rng);
            let plaintext = rng.bytes(len);
            let pair = same(|p| kem::derive_key_pair(p, suite.kem, &ikm).unwrap());

            let info = |p: &dyn CryptoProvider| SharedInfo::new(p, &suite, b"info").unwrap();
            let item = SealItem { public_key: &pair.public, plaintext: &plaintext, seed: &seed };
            let sealed = same(|p| hpke::seal(p, &suite, &info(p), &item).unwrap());
            let opened = same(|p| hpke::open(p, &suite, &info(p), &pair, &sealed).unwrap());
            assert_eq!(opened.expose(), plaintext);

            let (enc, exported) =
                same(|p| hpke::export_to(p, &suite, &pair.public, &seed, b"context", 32).unwrap());
            let received = same(|p| hpke::export_from(p, &suite, &pair, &enc, b"context", 32));
            assert_eq!(received, Ok(exported));

            let key = Secret::random(32, rng);
            let psk = Psk { psk: &key, id: b"name" };
            let sealed = same(|p| hpke::seal_psk(p, &suite, &psk, b"info", b"aad", &item).unwrap());
            let HpkeCiphertext { kem_output, ciphertext } = &sealed;
            let opened = same(|p| {
                hpke::open_psk(p, &suite, &psk, b"info", b"aad", &pair, kem_output, ciphertext)
            });
            assert_eq!(opened.unwrap().expose(), plaintext);

            for at in (0..enc.len()).step_by(1 + enc.len() / 50) {
                let mut damaged = enc.clone();
                damaged[at] ^= 1 << (at % 8);
                let _ = same(|p| kem::decap(p, suite.kem, &pair, &damaged));
            }
        }
    }
}
