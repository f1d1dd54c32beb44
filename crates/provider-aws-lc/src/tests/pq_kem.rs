//! The KEMs of draft-ietf-hpke-pq: known answers, the crate `hpke` as another implementation, and
//! inputs that are hostile.

use super::{TestRng, hex, providers, secret};
use ::hpke::aead::{AesGcm128, AesGcm256, ChaCha20Poly1305};
use ::hpke::kdf::{HkdfSha256, HkdfSha384};
use ::hpke::kem::{MlKem768, MlKem768P256, MlKem1024, MlKem1024P384, XWing};
use ::hpke::{Deserializable, OpModeR, OpModeS, Serializable, setup_sender_with_rng};
use ::hpke::{setup_receiver, single_shot_open, single_shot_seal_with_rng};
use conclave_crypto::hpke::{self, SharedInfo};
use conclave_crypto::{
    Aead, CryptoError, CryptoProvider, HpkeKeyPair, HpkePrivateKey, Kem, KemParts, PqSuite,
    SealItem, SuiteParams,
};
use conclave_wire::{CipherSuite, HpkeCiphertext, HpkePublicKey};
use core::convert::Infallible;
use core::fmt::Debug;
use rand_core::{TryCryptoRng, TryRng};

const KEMS: [Kem; 5] =
    [Kem::MlKem768, Kem::MlKem1024, Kem::MlKem768P256, Kem::MlKem1024P384, Kem::MlKem768X25519];

/// Both providers' result, which must be the same.
fn same<R: PartialEq + Debug>(op: impl Fn(&dyn CryptoProvider) -> R) -> R {
    let [a, b] = providers().map(|p| op(&*p));
    assert_eq!(a, b);
    a
}

/// Gives bytes that are given to it, once.
struct Given(Vec<u8>);

impl TryRng for Given {
    type Error = Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        unreachable!("whole inputs are asked for")
    }
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        unreachable!("whole inputs are asked for")
    }
    fn try_fill_bytes(&mut self, to: &mut [u8]) -> Result<(), Infallible> {
        let rest = self.0.split_off(to.len());
        to.copy_from_slice(&self.0);
        self.0 = rest;
        Ok(())
    }
}

impl TryCryptoRng for Given {}

/// draft-irtf-cfrg-concrete-hybrid-kems: seeds and randomness of one byte each, repeated. A shared
/// secret depends on all that is computed on the way, but for the ML-KEM ciphertext, which the
/// decapsulation compares.
const HYBRIDS: [(Kem, u8, u8, &str); 6] = [
    (
        Kem::MlKem768P256,
        0x00,
        0x64,
        "9bd018e869bb01b63fb8f5da374a73d347ea14cb2bc570b13d0908e2288ec456",
    ),
    (
        Kem::MlKem768P256,
        0x01,
        0x65,
        "d33a83edb4fb5a7508686ba4ddff001c17ba8890e9e3be067d50c959b512f9be",
    ),
    (
        Kem::MlKem768X25519,
        0x00,
        0x64,
        "e5ba94031ea6efd69c09c254f6d9783136ba6037e2d4c43bcccf19d6f3f4343a",
    ),
    (
        Kem::MlKem768X25519,
        0x01,
        0x65,
        "750300db25bff9620e893c2c6fcab9bf04d7f2e543b5b39420485626fa274908",
    ),
    (
        Kem::MlKem1024P384,
        0x08,
        0x6c,
        "3fa279b00ab2798d2d70a2578ea2c76539cbea4bd86d1aa09e92bf0cc40e6626",
    ),
    (
        Kem::MlKem1024P384,
        0x09,
        0x6d,
        "3722070676e89cc0c97613a0207dbd89222219920caf5e9a8c6aa9d1e1a42bd5",
    ),
];

#[test]
fn hybrids_give_the_known_answers_of_the_draft() {
    for (kem, seed, randomness, want) in HYBRIDS {
        let private = HpkePrivateKey(secret(&[seed; 32]));
        let public = same(|p| p.kem_public_key(kem, &private)).unwrap();
        let randomness = secret(&vec![randomness; kem.encap_seed_len()]);
        let (ciphertext, shared) = same(|p| p.kem_encap(kem, &public, &randomness)).unwrap();
        assert_eq!(shared, secret(&hex(want)), "{kem:?}");
        let pair = HpkeKeyPair { private, public };
        assert_eq!(same(|p| p.kem_decap(kem, &pair, &ciphertext)), Ok(shared));
    }
}

/// What draft-ietf-hpke-pq's vectors give for a base mode set-up with HKDF, less what follows.
struct KnownAnswer {
    suite: PqSuite,
    aead: Aead,
    /// The randomness of the encapsulation, as far as it is used.
    ikm_e: &'static str,
    ikm_r: &'static str,
    private: &'static str,
    shared_secret: &'static str,
    key: &'static str,
    base_nonce: &'static str,
}

const INFO: &str =
    "34663634363532303666366532303631323034373732363536333639363136653230353537323665";

const KNOWN_ANSWERS: [KnownAnswer; 2] = [
    KnownAnswer {
        suite: PqSuite::MlKem768P256Aes128P256,
        aead: Aead::Aes128Gcm,
        ikm_e: "0ec0fee6a71457a9dac898a1c161bf1068e68de093f07754155bb8b8b378c17ed09ead96300cc402
                a6371b58928592dd93565834a19839e7dda048d8e04ff65c7b645f36738c370fbb2d684f59e16ea0
                8aea04444762fdf3a70a114ecf0ba435c9a1e869578142b445398f49093bcca618f0ae5e810163b1
                503faf3eeaff0bdc",
        ikm_r: "5e28a96731c6665f07bb00811cd70f0d3d6c44666ca54cddbb7e5946053b6415",
        private: "724eed44c3843d1f260f79b142ce633d602f7989a53ffc9fd4a68690c8e7baa5",
        shared_secret: "26c25e807a24354387a7385bc374953539001fcb7eb99eb8d63ec7fdb8441f46",
        key: "cb79279f04960511e17368b7c83df0be",
        base_nonce: "47cdcf9aec36fdf3730d94ce",
    },
    KnownAnswer {
        suite: PqSuite::MlKem768X25519Aes128Ed25519,
        aead: Aead::ChaCha20Poly1305,
        ikm_e: "2a1c0a3745fe8a48fb62034d300f54dfe1974a5b2e169e580a8789cb1cf5fd190fc00f3fd8995
                94e01a8b15334b9f3fa03d8de44da86e19f5776850fb689e6c8",
        ikm_r: "b86e76a59fabfc87b30cd7b1f7aaa28a834eb64e7a261c197b9a842893fbce56",
        private: "3ec47fa82dd5689d27c6190e724c74ec8f608df3331ce331929e37b829676630",
        shared_secret: "58200ed1f137bd95a921bb47f6aaecf2395b26f7fd24efd3a5ffae4849e8dea3",
        key: "131c2ebb469b909a40915914afd7ff5e638888ac7195dcaaaef8f9a84f0e4030",
        base_nonce: "2b7a68f19e6cdbd43dda3c6d",
    },
];

#[test]
fn hpke_gives_the_known_answers_of_the_draft() {
    for t in &KNOWN_ANSWERS {
        let suite = SuiteParams { aead: t.aead, ..t.suite.params(CipherSuite(0xf000)) };
        let kem = suite.kem;
        let pair = same(|p| p.kem_derive_key_pair(kem, &secret(&hex(t.ikm_r)))).unwrap();
        assert_eq!(pair.private.0, secret(&hex(t.private)), "{kem:?}");
        let mut seed = hex(t.ikm_e);
        seed.resize(kem.encap_seed_len(), 0);
        let seed = secret(&seed);
        let (_, shared) = same(|p| p.kem_encap(kem, &pair.public, &seed)).unwrap();
        assert_eq!(shared, secret(&hex(t.shared_secret)), "{kem:?}");
        let info = |p: &dyn CryptoProvider| SharedInfo::new(p, &suite, &hex(INFO)).unwrap();
        let item = SealItem { public_key: &pair.public, plaintext: b"text", seed: &seed };
        let sealed = same(|p| hpke::seal(p, &suite, &info(p), &item)).unwrap();
        let (key, nonce) = (secret(&hex(t.key)), hex(t.base_nonce));
        let want = same(|p| p.aead_seal(t.aead, &key, &nonce, &[], b"text")).unwrap();
        assert_eq!(&sealed.ciphertext[..], want, "{kem:?}");
    }
}

#[test]
fn lengths_are_those_that_the_kem_says() {
    // draft-ietf-hpke-pq sections 3 and 4: Nsecret, Nenc, Npk, Nsk.
    let table = [
        [32, 1088, 1184, 64],
        [32, 1568, 1568, 64],
        [32, 1153, 1249, 32],
        [32, 1665, 1665, 32],
        [32, 1120, 1216, 32],
    ];
    for (kem, lengths) in KEMS.into_iter().zip(table) {
        let said =
            [kem.secret_len(), kem.encapsulation_len(), kem.public_key_len(), kem.seed_len()];
        assert_eq!(said, lengths, "{kem:?}");
        let (pair, encapsulation, shared) = exchange(kem, &mut TestRng(30));
        let made = [shared.len(), encapsulation.len(), pair.public.len(), pair.private.0.len()];
        assert_eq!(made, lengths, "{kem:?}");
    }
}

/// A key pair, an encapsulation to it, and the secret in it.
fn exchange(kem: Kem, rng: &mut TestRng) -> (HpkeKeyPair, Vec<u8>, conclave_crypto::Secret) {
    let ikm = secret(&rng.bytes(kem.seed_len()));
    let seed = secret(&rng.bytes(kem.encap_seed_len()));
    let pair = same(|p| p.kem_derive_key_pair(kem, &ikm)).unwrap();
    let (encapsulation, shared) = same(|p| p.kem_encap(kem, &pair.public, &seed)).unwrap();
    (pair, encapsulation, shared)
}

/// Keys, ciphertexts and exports equal those of another implementation, and each opens what the
/// other sealed.
fn check_against<A, F, K>(suite: PqSuite)
where
    A: ::hpke::aead::Aead,
    F: ::hpke::kdf::Kdf,
    K: ::hpke::Kem,
{
    let mut rng = TestRng(31);
    let suite: SuiteParams = suite.params(CipherSuite(0xf000));
    let kem = suite.kem;
    for _ in 0..3 {
        let ikm = rng.bytes(kem.seed_len());
        let (private, public) = K::derive_keypair(&ikm);
        let pair = same(|p| p.kem_derive_key_pair(kem, &secret(&ikm))).unwrap();
        assert_eq!(pair.private.0.expose(), private.to_bytes().as_slice(), "{}", suite.name);
        assert_eq!(&pair.public[..], public.to_bytes().as_slice(), "{}", suite.name);

        let (seed, plaintext) = (rng.bytes(kem.encap_seed_len()), rng.bytes(40));
        let (theirs, ciphertext) = single_shot_seal_with_rng::<A, F, K>(
            &OpModeS::Base,
            &public,
            b"info",
            &plaintext,
            b"",
            &mut Given(seed.clone()),
        )
        .unwrap();
        let theirs = HpkeCiphertext {
            kem_output: theirs.to_bytes().to_vec().into(),
            ciphertext: ciphertext.into(),
        };
        let info = |p: &dyn CryptoProvider| SharedInfo::new(p, &suite, b"info").unwrap();
        let seed = secret(&seed);
        let item = SealItem { public_key: &pair.public, plaintext: &plaintext, seed: &seed };
        let ours = same(|p| hpke::seal(p, &suite, &info(p), &item)).unwrap();
        assert_eq!(ours, theirs, "{}", suite.name);
        let opened = same(|p| hpke::open(p, &suite, &info(p), &pair, &theirs)).unwrap();
        assert_eq!(opened.expose(), plaintext);
        let received = K::EncappedKey::from_bytes(&ours.kem_output).unwrap();
        let opened = single_shot_open::<A, F, K>(
            &OpModeR::Base,
            &private,
            &received,
            b"info",
            &ours.ciphertext,
            b"",
        );
        assert_eq!(opened.unwrap(), plaintext);

        let (enc, exported) =
            same(|p| hpke::export_to(p, &suite, &pair.public, &seed, b"context", 32)).unwrap();
        let received = K::EncappedKey::from_bytes(&enc).unwrap();
        let context = setup_receiver::<A, F, K>(&OpModeR::Base, &private, &received, b"").unwrap();
        let mut theirs = [0; 32];
        context.export(b"context", &mut theirs).unwrap();
        assert_eq!(exported.expose(), theirs);
        let (enc, context) = setup_sender_with_rng::<A, F, K>(
            &OpModeS::Base,
            &public,
            b"",
            &mut Given(rng.bytes(kem.encap_seed_len())),
        )
        .unwrap();
        context.export(b"context", &mut theirs).unwrap();
        let enc = enc.to_bytes();
        let received = same(|p| hpke::export_from(p, &suite, &pair, &enc, b"context", 32));
        assert_eq!(received.unwrap().expose(), theirs);
    }
}

#[test]
fn hpke_is_that_of_another_implementation_in_all_suites() {
    check_against::<AesGcm128, HkdfSha256, XWing>(PqSuite::MlKem768X25519Aes128Ed25519);
    check_against::<AesGcm256, HkdfSha384, XWing>(PqSuite::MlKem768X25519Aes256Ed25519);
    check_against::<AesGcm128, HkdfSha256, MlKem768P256>(PqSuite::MlKem768P256Aes128P256);
    check_against::<AesGcm256, HkdfSha384, MlKem768P256>(PqSuite::MlKem768P256Aes256P256);
    check_against::<AesGcm256, HkdfSha384, MlKem1024P384>(PqSuite::MlKem1024P384Aes256P384);
    check_against::<AesGcm256, HkdfSha384, MlKem768>(PqSuite::MlKem768Aes256Ed25519);
    check_against::<AesGcm256, HkdfSha384, MlKem768>(PqSuite::MlKem768Aes256P256);
    check_against::<AesGcm256, HkdfSha384, MlKem1024>(PqSuite::MlKem1024Aes256P384);
    check_against::<ChaCha20Poly1305, HkdfSha384, XWing>(PqSuite::MlKem768X25519ChaCha20MlDsa44);
    check_against::<AesGcm256, HkdfSha384, MlKem768>(PqSuite::MlKem768Aes256MlDsa65);
    check_against::<AesGcm256, HkdfSha384, MlKem1024>(PqSuite::MlKem1024Aes256MlDsa87);
}

/// FIPS 203's implicit rejection: who decapsulates learns nothing from the KEM, and what was sealed
/// does not open.
#[test]
fn a_damaged_encapsulation_gives_a_secret_of_nobody_so_that_nothing_opens() {
    for suite in PqSuite::ALL {
        let suite = suite.params(CipherSuite(0xf000));
        let kem = suite.kem;
        let (pair, encapsulation, shared) = exchange(kem, &mut TestRng(32));
        let ml_kem_len = match kem.parts() {
            KemParts::MlKem(ml_kem) => ml_kem.ciphertext_len(),
            KemParts::Hybrid(hybrid) => hybrid.ml_kem.ciphertext_len(),
            KemParts::Dh { .. } => unreachable!("no post-quantum KEM"),
        };
        let info = |p: &dyn CryptoProvider| SharedInfo::new(p, &suite, b"").unwrap();
        let seed = secret(&vec![7; kem.encap_seed_len()]);
        let item = SealItem { public_key: &pair.public, plaintext: b"text", seed: &seed };
        let sealed = same(|p| hpke::seal(p, &suite, &info(p), &item)).unwrap();
        for at in [0, 1, 500, ml_kem_len - 1] {
            let mut damaged = encapsulation.clone();
            damaged[at] ^= 1;
            let secret_of_nobody = same(|p| p.kem_decap(kem, &pair, &damaged)).unwrap();
            assert_ne!(secret_of_nobody, shared, "{kem:?}");
            let mut damaged = sealed.kem_output.to_vec();
            damaged[at] ^= 0x80;
            let damaged = HpkeCiphertext {
                kem_output: damaged.into(),
                ciphertext: sealed.ciphertext.clone(),
            };
            let opened = same(|p| hpke::open(p, &suite, &info(p), &pair, &damaged));
            assert_eq!(opened, Err(CryptoError::OpenFailed), "{kem:?}");
        }
        // The point of a hybrid: another one, or none.
        for at in ml_kem_len..encapsulation.len() {
            let mut damaged = encapsulation.clone();
            damaged[at] ^= 1;
            assert_ne!(same(|p| p.kem_decap(kem, &pair, &damaged)), Ok(shared.clone()));
        }
        // Another's key.
        let (other, ..) = exchange(kem, &mut TestRng(33));
        let opened = same(|p| hpke::open(p, &suite, &info(p), &other, &sealed));
        assert_eq!(opened, Err(CryptoError::OpenFailed));
    }
}

#[test]
fn keys_encapsulations_and_randomness_of_wrong_lengths_are_errors() {
    let mut rng = TestRng(34);
    for kem in KEMS {
        let (pair, encapsulation, _) = exchange(kem, &mut rng);
        let seed = secret(&rng.bytes(kem.encap_seed_len()));
        let n = pair.public.len();
        for len in [0, 1, 31, 32, 65, 97, 1088, 1184, n - 1, n + 1, n + 32] {
            if len == n {
                continue;
            }
            let mut bytes = pair.public.to_vec();
            bytes.resize(len, 0);
            let public: HpkePublicKey = bytes.into();
            let invalid = Err(CryptoError::InvalidPublicKey);
            assert_eq!(same(|p| p.kem_validate_public_key(kem, &public)), invalid);
            assert_eq!(same(|p| p.kem_encap(kem, &public, &seed)).map(drop), invalid);
        }
        let n = encapsulation.len();
        for len in [0, 1, 32, 1087, 1089, 1119, 1567, 1569, n - 1, n + 1] {
            let mut bytes = encapsulation.clone();
            bytes.resize(len, 0);
            let refused = same(|p| p.kem_decap(kem, &pair, &bytes)).unwrap_err();
            let of_input =
                matches!(refused, CryptoError::OpenFailed | CryptoError::InvalidPublicKey);
            assert!(of_input, "{kem:?}, {len} bytes: {refused:?}");
        }
        for len in [0, 1, 31, 33, 63, 65, 96, 128] {
            let private = HpkePrivateKey(secret(&rng.bytes(len)));
            let invalid = CryptoError::InvalidPrivateKey;
            assert_eq!(same(|p| p.kem_public_key(kem, &private)), Err(invalid));
            let pair = HpkeKeyPair { private, public: pair.public.clone() };
            assert_eq!(same(|p| p.kem_decap(kem, &pair, &encapsulation)), Err(invalid));
        }
        for len in [0, 31, 33, 63, 65, 79, 159, 161] {
            let seed = secret(&rng.bytes(len));
            let result = same(|p| p.kem_encap(kem, &pair.public, &seed));
            assert_eq!(result.map(drop), Err(CryptoError::InvalidLength));
        }
    }
}

/// FIPS 203 section 7.2: each of the coefficients, of twelve bits, is below 3329.
#[test]
fn public_keys_with_a_coefficient_over_the_modulus_are_refused() {
    for kem in KEMS {
        let (pair, ..) = exchange(kem, &mut TestRng(35));
        let seed = secret(&vec![1; kem.encap_seed_len()]);
        let last = match kem {
            Kem::MlKem1024 | Kem::MlKem1024P384 => 1536 - 3,
            _ => 1152 - 3,
        };
        for at in [0, 3 * 100, last] {
            for (coefficient, valid) in [(0, true), (3328, true), (3329, false), (4095, false)] {
                for odd in [false, true] {
                    let mut bytes = pair.public.to_vec();
                    let [low, high] = u16::to_le_bytes(coefficient);
                    if odd {
                        bytes[at + 1] = (bytes[at + 1] & 0x0f) | (low << 4);
                        bytes[at + 2] = (low >> 4) | (high << 4);
                    } else {
                        bytes[at] = low;
                        bytes[at + 1] = (bytes[at + 1] & 0xf0) | high;
                    }
                    let public: HpkePublicKey = bytes.into();
                    let want = valid.then_some(()).ok_or(CryptoError::InvalidPublicKey);
                    assert_eq!(same(|p| p.kem_validate_public_key(kem, &public)), want, "{kem:?}");
                    assert_eq!(same(|p| p.kem_encap(kem, &public, &seed)).map(drop), want);
                }
            }
        }
    }
}

/// As in DHKEM: who has such a key, or sends such a share, makes the traditional part worthless.
#[test]
fn hybrids_refuse_traditional_parts_that_are_no_point_or_of_small_order() {
    let mut rng = TestRng(36);
    for kem in [Kem::MlKem768P256, Kem::MlKem1024P384, Kem::MlKem768X25519] {
        let KemParts::Hybrid(parts) = kem.parts() else { panic!("{kem:?} is a hybrid") };
        let (pair, encapsulation, _) = exchange(kem, &mut rng);
        let seed = secret(&rng.bytes(kem.encap_seed_len()));
        let zeros = |bytes: &[u8]| {
            let mut bytes = bytes.to_vec();
            let start = bytes.len() - parts.group.public_key_len();
            bytes[start..].fill(0);
            bytes
        };
        let public: HpkePublicKey = zeros(&pair.public).into();
        let invalid = Err(CryptoError::InvalidPublicKey);
        assert_eq!(same(|p| p.kem_validate_public_key(kem, &public)), invalid);
        let error = match kem {
            Kem::MlKem768X25519 => CryptoError::InvalidSharedSecret,
            _ => CryptoError::InvalidPublicKey,
        };
        assert_eq!(same(|p| p.kem_encap(kem, &public, &seed)).map(drop), Err(error));
        let encapsulation = zeros(&encapsulation);
        assert_eq!(same(|p| p.kem_decap(kem, &pair, &encapsulation)), Err(error));
    }
}

/// RandomScalar of the hybrids: the first candidate in range, and an error if none is.
#[test]
fn scalars_out_of_range_are_passed_over() {
    let kem = Kem::MlKem768P256;
    let (pair, ..) = exchange(kem, &mut TestRng(37));
    let seed = |candidates: [u8; 4]| {
        let mut seed = vec![9; 32];
        seed.extend(candidates.iter().flat_map(|byte| [*byte; 32]));
        secret(&seed)
    };
    let encap = |candidates| same(|p| p.kem_encap(kem, &pair.public, &seed(candidates)));
    let first = encap([5, 6, 7, 8]).unwrap();
    assert_eq!(encap([0xff, 0, 5, 8]).unwrap(), first);
    assert_eq!(encap([0, 0xff, 0xff, 5]).unwrap(), first);
    assert_ne!(encap([6, 5, 5, 5]).unwrap(), first);
    assert_eq!(encap([0xff, 0, 0, 0xff]), Err(CryptoError::KeyDerivationFailed));
}
