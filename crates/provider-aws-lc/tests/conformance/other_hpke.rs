//! HPKE with the KEMs of draft-ietf-hpke-pq beside the crate `hpke`.

use super::same;
use ::hpke::aead::{AesGcm128, AesGcm256, ChaCha20Poly1305};
use ::hpke::kdf::{HkdfSha256, HkdfSha384};
use ::hpke::kem::{MlKem768, MlKem768P256, MlKem1024, MlKem1024P384, XWing};
use ::hpke::{Deserializable, OpModeR, OpModeS, PskBundle, Serializable, setup_sender_with_rng};
use ::hpke::{setup_receiver, single_shot_open, single_shot_seal_with_rng};
use conclave_crypto::hpke::{self, Psk, SharedInfo};
use conclave_crypto::testing::TestRng;
use conclave_crypto::{CryptoProvider, PqSuite, SealItem, Secret, SuiteParams, kem};
use conclave_wire::{CipherSuite, HpkeCiphertext};
use core::convert::Infallible;
use rand_core::{TryCryptoRng, TryRng};

/// Randomness that gives these bytes, once.
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

/// Keys, ciphertexts and exports equal those of the other implementation, and each opens what the other
/// sealed.
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
        // Keys.
        let ikm = rng.bytes(kem.seed_len());
        let (private, public) = K::derive_keypair(&ikm);
        let pair = same(|p| kem::derive_key_pair(p, kem, &Secret::copy_from(&ikm))).unwrap();
        assert_eq!(pair.private.0.expose(), private.to_bytes().as_slice(), "{}", suite.name);
        assert_eq!(&pair.public[..], public.to_bytes().as_slice(), "{}", suite.name);

        // One message each way.
        let seed = rng.bytes(kem.encap_seed_len());
        let plaintext = rng.bytes(40);
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
        let seed = Secret::copy_from(&seed);
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

        // One with a PSK.
        let key = rng.bytes(32);
        let seed_with_psk = rng.bytes(kem.encap_seed_len());
        let bundle = PskBundle::new(&key, b"name").unwrap();
        let (theirs, ciphertext) = single_shot_seal_with_rng::<A, F, K>(
            &OpModeS::Psk(bundle),
            &public,
            b"info",
            &plaintext,
            b"aad",
            &mut Given(seed_with_psk.clone()),
        )
        .unwrap();
        let key = Secret::copy_from(&key);
        let psk = Psk { psk: &key, id: b"name" };
        let seed_with_psk = Secret::copy_from(&seed_with_psk);
        let item =
            SealItem { public_key: &pair.public, plaintext: &plaintext, seed: &seed_with_psk };
        let ours = same(|p| hpke::seal_psk(p, &suite, &psk, b"info", b"aad", &item)).unwrap();
        assert_eq!(&ours.kem_output[..], theirs.to_bytes().as_slice(), "{}", suite.name);
        assert_eq!(&ours.ciphertext[..], ciphertext, "{}", suite.name);

        // One export each way.
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
fn hpke_equals_another_implementation_in_all_pq_suites() {
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
