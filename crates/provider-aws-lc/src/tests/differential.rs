//! The same inputs give the same results with both providers, hostile inputs included.

use super::{TestRng, providers, secret};
use crate::AwsLc;
use conclave_crypto::hpke::{self, SharedInfo};
use conclave_crypto::{
    CryptoError, CryptoProvider, DhGroup, HpkeKeyPair, KemParts, PqSuite, SealItem, Secret,
    SignatureKeyPair, SignatureScheme, Suite, SuiteParams, Suites, VerifyItem,
};
use conclave_provider_rustcrypto::RustCrypto;
use conclave_wire::CipherSuite;
use core::fmt::Debug;

const GROUPS: [DhGroup; 5] =
    [DhGroup::P256, DhGroup::P384, DhGroup::P521, DhGroup::X25519, DhGroup::X448];

const SCHEMES: [SignatureScheme; 8] = [
    SignatureScheme::EcdsaSecp256r1Sha256,
    SignatureScheme::EcdsaSecp384r1Sha384,
    SignatureScheme::EcdsaSecp521r1Sha512,
    SignatureScheme::Ed25519,
    SignatureScheme::Ed448,
    SignatureScheme::MlDsa44,
    SignatureScheme::MlDsa65,
    SignatureScheme::MlDsa87,
];

/// The result of an operation, which must be both providers'.
fn same<R: PartialEq + Debug>(op: impl Fn(&dyn CryptoProvider) -> R) -> R {
    let [a, b] = providers().map(|p| op(&*p));
    assert_eq!(a, b);
    a
}

#[test]
fn both_providers_have_all_registered_suites() {
    for n in 0..=8 {
        let suite = same(|p| p.suite(CipherSuite(n)));
        assert_eq!(suite.is_some(), (1..=7).contains(&n), "{n}");
    }
}

#[test]
fn both_providers_have_the_post_quantum_suites_at_the_code_points_that_are_set_and_no_others() {
    for suites in [Suites::RFC_9420, Suites::CONCLAVE, Suites::MLSPP, Suites::OPENMLS] {
        let native = AwsLc::with_threads(1).with_suites(suites);
        let portable = RustCrypto::new().with_suites(suites);
        for n in 0..=u16::MAX {
            assert_eq!(native.suite(CipherSuite(n)), suites.get(CipherSuite(n)));
            assert_eq!(portable.suite(CipherSuite(n)), suites.get(CipherSuite(n)));
        }
    }
    let default: [&dyn CryptoProvider; 2] = [&AwsLc::new(), &RustCrypto::new()];
    assert!(default.iter().all(|p| p.suites() == Suites::RFC_9420));
    let suite = CipherSuite(0xf0c9);
    let shown = providers().map(|p| format!("{:?}", Suite::new(&*p, suite).unwrap()));
    let name = "MLS_128_MLKEM768X25519_CHACHA20POLY1305_SHA384_MLDSA44 (0xf0c9)";
    assert_eq!(shown, [format!("{name} by AWS-LC"), format!("{name} by RustCrypto")]);
}

#[test]
fn hashes_macs_and_derivations_agree() {
    let mut rng = TestRng(10);
    for suite in SuiteParams::REGISTERED {
        for n in [0, 1, 31, 32, 33, 55, 63, 64, 65, 111, 127, 128, 129, 200, 1000] {
            let (key, data) = (rng.bytes(n), rng.bytes(2 * n));
            let parts: [&[u8]; 3] = [&data[..n / 2], &[], &data[n / 2..]];
            let whole: [&[u8]; 1] = [&data];
            let hash = same(|p| p.hash(suite.hash, &parts).unwrap());
            assert_eq!(hash, same(|p| p.hash(suite.hash, &whole).unwrap()));
            let key = secret(&key);
            let mac = same(|p| p.hmac(suite.hash, &key, &parts).unwrap());
            assert_eq!(mac, same(|p| p.hmac(suite.hash, &key, &whole).unwrap()));
            let prk = same(|p| p.extract(suite.kdf, key.expose(), &parts).unwrap());
            assert_eq!(prk.expose(), &*mac);
            let okm = same(|p| p.expand(suite.kdf, &key, &parts, n).unwrap());
            assert_eq!(okm.len(), n);
            assert_eq!(okm, same(|p| p.expand(suite.kdf, &key, &whole, n).unwrap()));
        }
        let limit = 255 * suite.kdf.extract_len();
        let prk = secret(&rng.bytes(suite.kdf.extract_len()));
        assert_eq!(same(|p| p.expand(suite.kdf, &prk, &[], limit)).unwrap().len(), limit);
        let over = same(|p| p.expand(suite.kdf, &prk, &[], limit + 1));
        assert_eq!(over, Err(CryptoError::InvalidLength));
    }
}

#[test]
fn aeads_agree_and_refuse_wrong_lengths() {
    let mut rng = TestRng(11);
    for SuiteParams { aead, .. } in SuiteParams::REGISTERED {
        let (key, nonce) = (secret(&rng.bytes(aead.key_len())), rng.bytes(aead.nonce_len()));
        for n in [0, 1, 15, 16, 17, 64, 1000] {
            let (aad, plaintext) = (rng.bytes(n / 2), rng.bytes(n));
            let open = |ciphertext: &[u8], aad: &[u8]| {
                same(|p| p.aead_open(aead, &key, &nonce, aad, ciphertext))
            };
            let ciphertext = same(|p| p.aead_seal(aead, &key, &nonce, &aad, &plaintext)).unwrap();
            assert_eq!(ciphertext.len(), n + aead.tag_len());
            assert_eq!(open(&ciphertext, &aad), Ok(secret(&plaintext)));
            let failed = Err(CryptoError::OpenFailed);
            for end in 0..ciphertext.len() {
                assert_eq!(open(&ciphertext[..end], &aad), failed);
            }
            assert_eq!(open(&[&ciphertext[..], &[0]].concat(), &aad), failed);
            assert_eq!(open(&ciphertext, &[&aad[..], &[0]].concat()), failed);
        }
        for (key_len, nonce_len) in [(0, 12), (15, 12), (31, 12), (33, 12)]
            .into_iter()
            .chain([0, 11, 13, 16, 24].map(|n| (aead.key_len(), n)))
        {
            let (key, nonce) = (secret(&rng.bytes(key_len)), rng.bytes(nonce_len));
            let invalid = CryptoError::InvalidLength;
            assert_eq!(same(|p| p.aead_seal(aead, &key, &nonce, &[], &[1])), Err(invalid));
            assert_eq!(same(|p| p.aead_open(aead, &key, &nonce, &[], &[1; 40])), Err(invalid));
        }
    }
}

/// The group orders, in big-endian order.
fn order(group: DhGroup) -> Option<Vec<u8>> {
    let digits = match group {
        DhGroup::P256 => "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",
        DhGroup::P384 => {
            "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf
             581a0db248b0a77aecec196accc52973"
        }
        DhGroup::P521 => {
            "01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff
             ffa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409"
        }
        DhGroup::X25519 | DhGroup::X448 => return None,
    };
    Some(super::hex(digits))
}

#[test]
fn private_keys_out_of_range_are_refused() {
    let mut rng = TestRng(12);
    for group in GROUPS {
        let n = group.private_key_len();
        let peer = same(|p| p.dh_public_key(group, &secret(&[1; 66][..n]))).unwrap();
        let check = |private: &[u8], valid: bool| {
            let private = secret(private);
            let public = same(|p| p.dh_public_key(group, &private));
            let shared = same(|p| p.dh(group, &private, &peer));
            let invalid = Some(CryptoError::InvalidPrivateKey);
            assert_eq!(public.err(), invalid.filter(|_| !valid), "{group:?} {:?}", private.len());
            assert_eq!(shared.err(), invalid.filter(|_| !valid), "{group:?} {:?}", private.len());
        };
        for len in (0..n).chain(n + 1..=2 * n) {
            check(&rng.bytes(len), false);
        }
        let Some(order) = order(group) else {
            check(&vec![0; n], true);
            check(&vec![0xff; n], true);
            continue;
        };
        let mut below = order.clone();
        *below.last_mut().unwrap() -= 1;
        let mut above = order.clone();
        *above.last_mut().unwrap() += 1;
        let mut one = vec![0; n];
        *one.last_mut().unwrap() = 1;
        check(&one, true);
        check(&below, true);
        check(&vec![0; n], false);
        check(&order, false);
        check(&above, false);
        check(&vec![0xff; n], false);
    }
}

#[test]
fn key_agreements_agree_on_hostile_public_keys() {
    let mut rng = TestRng(13);
    for group in GROUPS {
        let (n, mask) = (group.private_key_len(), u8::from(group == DhGroup::P521));
        let mut private = rng.bytes(n);
        if mask == 1 {
            private[0] &= mask;
        }
        let private = secret(&private);
        let public = same(|p| p.dh_public_key(group, &private)).unwrap();
        assert_eq!(public.len(), group.public_key_len());
        let check = |public: &[u8]| {
            let valid = same(|p| p.dh_validate_public_key(group, public));
            let shared = same(|p| p.dh(group, &private, public));
            match shared {
                Err(CryptoError::InvalidSharedSecret) => {
                    assert_eq!(valid, Err(CryptoError::InvalidPublicKey));
                }
                _ => assert_eq!(shared.err(), valid.err()),
            }
            valid
        };
        assert_eq!(check(&public), Ok(()));
        let invalid = Err(CryptoError::InvalidPublicKey);
        for end in 0..public.len() {
            assert_eq!(check(&public[..end]), invalid);
        }
        assert_eq!(check(&[&public[..], &[0]].concat()), invalid);
        assert_eq!(check(&[&[0], &public[..]].concat()), invalid);
        if order(group).is_none() {
            assert_eq!(check(&vec![0; n]), invalid, "of small order");
            for fill in [1, 0x7f, 0xff] {
                assert_eq!(check(&vec![fill; n]), Ok(()));
            }
            for _ in 0..5 {
                assert_eq!(check(&rng.bytes(n)), Ok(()));
            }
            continue;
        }
        // Every other form: identity, compressed, hybrid.
        let (x, y) = public[1..].split_at(n);
        let odd = y[n - 1] & 1;
        for tag in (0..=u8::MAX).filter(|tag| *tag != 4) {
            assert_eq!(check(&[&[tag], x, y].concat()), invalid);
        }
        assert_eq!(check(&[&[2 + odd], x].concat()), invalid);
        assert_eq!(check(&[0]), invalid);
        assert_eq!(check(&vec![0; public.len()]), invalid);
        for i in 1..public.len() {
            let mut off_curve = public.clone();
            off_curve[i] ^= 1 << (i % 8);
            assert_eq!(check(&off_curve), invalid);
        }
        if group == DhGroup::P521 {
            // x + p fits, too: add 2^521 and take 1 away.
            let mut above = public.clone();
            let last = above[1..=n].iter().rposition(|b| *b != 0).unwrap() + 1;
            above[last] -= 1;
            above[last + 1..=n].fill(0xff);
            above[1] += 2;
            assert_eq!(check(&above), invalid);
        }
    }
}

#[test]
fn both_make_the_same_keys_of_the_same_randomness() {
    for scheme in SCHEMES {
        for seed in 0..4 {
            let pair = same(|p| p.signature_key_pair(scheme, &mut TestRng(seed)).unwrap());
            let public = same(|p| p.signature_public_key(scheme, &pair.private));
            assert_eq!(public.unwrap(), pair.public);
            for n in 0..2 * pair.private.len() {
                if n != pair.private.len() {
                    let wrong = secret(&vec![1; n]);
                    let refused = same(|p| p.signature_public_key(scheme, &wrong));
                    assert_eq!(refused, Err(CryptoError::InvalidPrivateKey));
                }
            }
        }
    }
}

/// A source that gives one byte for ever.
struct Stuck(u8);

impl rand_core::TryRng for Stuck {
    type Error = core::convert::Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        Ok(u32::from_ne_bytes([self.0; 4]))
    }
    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        Ok(u64::from_ne_bytes([self.0; 8]))
    }
    fn try_fill_bytes(&mut self, to: &mut [u8]) -> Result<(), Self::Error> {
        to.fill(self.0);
        Ok(())
    }
}

impl rand_core::TryCryptoRng for Stuck {}

#[test]
fn a_source_of_randomness_that_is_stuck_does_not_hang_key_generation() {
    for scheme in &SCHEMES[..3] {
        for byte in [0, 0xff] {
            let result = same(|p| p.signature_key_pair(*scheme, &mut Stuck(byte)));
            assert_eq!(result, Err(CryptoError::KeyDerivationFailed));
        }
    }
}

#[test]
fn each_verifies_what_the_other_signs() {
    for scheme in SCHEMES {
        let pair = same(|p| p.signature_key_pair(scheme, &mut TestRng(7)).unwrap());
        for message in [&b""[..], b"m", &[7; 1000]] {
            let signatures = providers().map(|p| p.sign(scheme, &pair, message).unwrap());
            if matches!(scheme, SignatureScheme::Ed25519 | SignatureScheme::Ed448) {
                assert_eq!(signatures[0], signatures[1]);
            }
            for signature in signatures {
                assert_eq!(same(|p| p.verify(scheme, &pair.public, message, &signature)), Ok(()));
                let other = [message, &[0]].concat();
                let refused = same(|p| p.verify(scheme, &pair.public, &other, &signature));
                assert_eq!(refused, Err(CryptoError::InvalidSignature));
            }
        }
    }
}

#[test]
fn halves_of_different_key_pairs_do_not_sign() {
    for scheme in SCHEMES {
        let pair = |seed| same(|p| p.signature_key_pair(scheme, &mut TestRng(seed)).unwrap());
        let (a, b) = (pair(1), pair(2));
        let mixed = SignatureKeyPair::new(a.private, b.public);
        assert_eq!(same(|p| p.sign(scheme, &mixed, b"m")), Err(CryptoError::InvalidPrivateKey));
        for public in [vec![], mixed.public[1..].to_vec(), vec![0; mixed.public.len()]] {
            let broken = SignatureKeyPair::new(mixed.private.clone(), public.into());
            let refused = same(|p| p.sign(scheme, &broken, b"m"));
            assert_eq!(refused, Err(CryptoError::InvalidPrivateKey));
        }
    }
}

#[test]
fn damaged_signatures_and_keys_are_refused_by_both() {
    for scheme in SCHEMES {
        let pair = same(|p| p.signature_key_pair(scheme, &mut TestRng(8)).unwrap());
        let signature = RustCrypto::new().sign(scheme, &pair, b"message").unwrap();
        let accepts = |public: &[u8], signature: &[u8]| {
            let public = public.to_vec().into();
            same(|p| p.verify(scheme, &public, b"message", signature).is_ok())
        };
        assert!(accepts(&pair.public, &signature));
        // Of long ones, a share.
        for i in (0..signature.len()).step_by(1 + signature.len() / 150) {
            let mut damaged = signature.clone();
            damaged[i] ^= 1 << (i % 8);
            assert!(!accepts(&pair.public, &damaged));
            assert!(!accepts(&pair.public, &signature[..i]));
            assert!(!accepts(&pair.public, &signature[i + 1..]));
        }
        assert!(!accepts(&pair.public, &[&signature[..], &[0]].concat()));
        for i in (0..pair.public.len()).step_by(1 + pair.public.len() / 150) {
            let mut damaged = pair.public.to_vec();
            damaged[i] ^= 1 << (i % 8);
            assert!(!accepts(&damaged, &signature));
            assert!(!accepts(&pair.public[..i], &signature));
        }
        assert!(!accepts(&[&pair.public[..], &[0]].concat(), &signature));
    }
}

#[test]
fn hpke_agrees_and_opens_what_the_other_sealed() {
    let mut rng = TestRng(14);
    for suite in Suites::CONCLAVE.iter() {
        let (n, m) = (suite.kem.seed_len(), suite.kem.encap_seed_len());
        for len in [0, 32, 100] {
            let (ikm, seed, plaintext) =
                (secret(&rng.bytes(n)), secret(&rng.bytes(m)), rng.bytes(len));
            let pair = same(|p| p.kem_derive_key_pair(suite.kem, &ikm).unwrap());
            let item = SealItem { public_key: &pair.public, plaintext: &plaintext, seed: &seed };
            let info = |p: &dyn CryptoProvider| SharedInfo::new(p, &suite, b"info").unwrap();
            let sealed = same(|p| hpke::seal(p, &suite, &info(p), &item)).unwrap();
            let opened = same(|p| hpke::open(p, &suite, &info(p), &pair, &sealed));
            assert_eq!(opened, Ok(secret(&plaintext)));
            let (enc, exported) =
                same(|p| hpke::export_to(p, &suite, &pair.public, &seed, b"context", 32)).unwrap();
            let received = same(|p| hpke::export_from(p, &suite, &pair, &enc, b"context", 32));
            assert_eq!(received, Ok(exported));
            let mut damaged = sealed;
            damaged.kem_output = enc[1..].to_vec().into();
            let refused = same(|p| hpke::open(p, &suite, &info(p), &pair, &damaged));
            let error = match suite.kem.parts() {
                KemParts::MlKem(_) => CryptoError::OpenFailed,
                _ => CryptoError::InvalidPublicKey,
            };
            assert_eq!(refused, Err(error));
        }
    }
}

/// Providers that run a batch on one, two and seven threads, to be held against a loop.
fn batch_providers() -> [AwsLc; 3] {
    [1, 2, 7].map(AwsLc::with_threads)
}

#[test]
fn a_batch_names_the_first_bad_signature() {
    let portable = RustCrypto::new();
    let pair = portable.signature_key_pair(SignatureScheme::Ed25519, &mut TestRng(9)).unwrap();
    let messages: Vec<[u8; 2]> = (0..100_u16).map(u16::to_be_bytes).collect();
    let sign = |m: &[u8; 2]| portable.sign(SignatureScheme::Ed25519, &pair, m).unwrap();
    let signatures: Vec<Vec<u8>> = messages.iter().map(sign).collect();
    for provider in batch_providers() {
        for bad in [&[][..], &[0], &[99], &[50, 98], &[13, 14, 15, 90], &[49], &[51, 50]] {
            let items: Vec<VerifyItem<'_>> = (0..100)
                .map(|i| VerifyItem {
                    public_key: &pair.public,
                    message: &messages[if bad.contains(&i) { (i + 1) % 100 } else { i }],
                    signature: &signatures[i],
                })
                .collect();
            let result = provider.verify_many(SignatureScheme::Ed25519, &items);
            assert_eq!(result, portable.verify_many(SignatureScheme::Ed25519, &items));
            assert_eq!(result.err(), bad.iter().min().copied());
        }
        assert_eq!(provider.verify_many(SignatureScheme::Ed25519, &[]), Ok(()));
    }
}

#[test]
fn batches_give_what_a_loop_gives() {
    let hybrid = PqSuite::MlKem768X25519Aes128Ed25519.params(CipherSuite(0xf000));
    for suite in [SuiteParams::REGISTERED[0], hybrid] {
        batches_are_loops(suite);
    }
}

fn batches_are_loops(suite: SuiteParams) {
    let mut rng = TestRng(15);
    let portable = RustCrypto::new();
    let mut secrets =
        |n: usize| -> Vec<Secret> { (0..200).map(|_| Secret::random(n, &mut rng)).collect() };
    let (ikms, seeds) = (secrets(suite.kem.seed_len()), secrets(suite.kem.encap_seed_len()));
    let pairs = portable.derive_many(suite.kem, &ikms).unwrap();
    let info = SharedInfo::new(&portable, &suite, b"info").unwrap();
    let items: Vec<SealItem<'_>> = pairs
        .iter()
        .zip(&seeds)
        .map(|(HpkeKeyPair { public, .. }, seed)| SealItem {
            public_key: public,
            plaintext: b"plaintext",
            seed,
        })
        .collect();
    let sealed = portable.seal_many(&suite, &info, &items).unwrap();
    let large = rng.bytes(100_000);
    let inputs: Vec<&[u8]> = (0..100).map(|i| &large[i * 10..(i + 1) * 500]).collect();
    let hashes = portable.hash_many(suite.hash, &inputs).unwrap();
    for provider in batch_providers() {
        assert_eq!(provider.derive_many(suite.kem, &ikms).unwrap(), pairs);
        assert_eq!(provider.seal_many(&suite, &info, &items).unwrap(), sealed);
        assert_eq!(provider.hash_many(suite.hash, &inputs).unwrap(), hashes);
        assert_eq!(provider.derive_many(suite.kem, &[]), Ok(vec![]));
        assert_eq!(provider.seal_many(&suite, &info, &[]), Ok(vec![]));
        assert_eq!(provider.hash_many(suite.hash, &[]), Ok(vec![]));
    }
}

#[test]
fn a_batch_reports_the_first_recipient_that_fails() {
    let suite = SuiteParams::REGISTERED[0];
    let seed = secret(&[1; 32]);
    let good = RustCrypto::new().kem_derive_key_pair(suite.kem, &seed).unwrap().public;
    let (short, zero) = (vec![1].into(), vec![0; 32].into());
    for (first, second, error) in [
        (&short, &zero, CryptoError::InvalidPublicKey),
        (&zero, &short, CryptoError::InvalidSharedSecret),
    ] {
        let item = |i| SealItem {
            public_key: if i == 90 {
                first
            } else if i == 150 {
                second
            } else {
                &good
            },
            plaintext: &[],
            seed: &seed,
        };
        let items: Vec<SealItem<'_>> = (0..200).map(item).collect();
        for provider in batch_providers() {
            let info = SharedInfo::new(&provider, &suite, b"").unwrap();
            assert_eq!(provider.seal_many(&suite, &info, &items), Err(error));
        }
    }
}
