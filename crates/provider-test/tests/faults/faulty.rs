//! A correct provider with faults put in.

use conclave_crypto::testing::TestRng;
use conclave_crypto::{
    Aead, CryptoError, CryptoProvider, CryptoRng, Derive, DhGroup, Digest, Hash, HpkeKeyPair, Kdf,
    Kem, MlKem, Seal, SealItem, Secret, SignatureKeyPair, SignatureScheme, SuiteParams, Suites,
    VerifyItem,
};
use conclave_provider_rustcrypto::RustCrypto;
use conclave_wire::{CipherSuite, HpkeCiphertext, SignaturePublicKey};
use curve25519_dalek::edwards::CompressedEdwardsY;
use curve25519_dalek::traits::IsIdentity;
use curve25519_dalek::{EdwardsPoint, Scalar};
use sha2::{Digest as _, Sha512};
use std::sync::atomic::{AtomicU64, Ordering};

/// A way in which a provider is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    SuitesBeyondComponents,
    AnswersForWhatItLacks,
    LacksX448AndEd448,
    HashForgetsLastPart,
    HmacCutsLongKeys,
    ExpandHasNoLimit,
    ShakeRepeatsItsFirstBlock,
    OpensWithoutAad,
    OpensWithoutTag,
    PadsShortAeadKeys,
    PanicsOnShortKeys,
    AgreesOnZero,
    KeysOfLowOrderAreValid,
    RefusesTopBitOfX25519,
    HybridPointsAreValid,
    PadsShortScalars,
    CoefficientsOverTheModulus,
    EncapsulatesWithoutRandomness,
    PadsShortCiphertexts,
    ShakeReadsOnePart,
    SignsWithHalvesOfTwoPairs,
    KeysIgnoreRandomness,
    KeysAreNotDeterministic,
    PrivateKeysAreHandles,
    AcceptsBytesAfterDer,
    ReducesS,
    LeavesOutTheCofactor,
    AcceptsKeysOfSmallOrder,
    IgnoresLastByteOfS,
    NamesLastBadSignature,
    AcceptsLargeBatches,
    HashesInReverse,
    DropsLastKeyPair,
    ReusesASeed,
}

pub(crate) struct Faulty {
    right: RustCrypto,
    faults: Vec<Fault>,
    counter: AtomicU64,
}

impl Faulty {
    pub(crate) fn new(faults: &[Fault]) -> Self {
        let right = RustCrypto::new().with_suites(Suites::CONCLAVE);
        Self { right, faults: faults.to_vec(), counter: AtomicU64::new(0) }
    }

    fn has(&self, fault: Fault) -> bool {
        self.faults.contains(&fault)
    }

    fn lacks_448(&self) -> bool {
        self.has(Fault::LacksX448AndEd448) || self.has(Fault::SuitesBeyondComponents)
    }

    /// The private key of a handle: the bytes in reverse, after one byte more.
    fn private_key(&self, private: &Secret) -> Secret {
        if !self.has(Fault::PrivateKeysAreHandles) {
            return private.clone();
        }
        let bytes = private.expose().get(1..).unwrap_or_default();
        Secret::new(bytes.iter().rev().copied().collect())
    }

    fn handle(&self, private: Secret) -> Secret {
        if !self.has(Fault::PrivateKeysAreHandles) {
            return private;
        }
        let reversed = private.expose().iter().rev().copied();
        Secret::new([0].into_iter().chain(reversed).collect())
    }
}

const LACKING: CryptoError = CryptoError::UnsupportedComponent("ed448");

/// A scalar's encoding, padded with zeros in front.
fn padded(private: &Secret, n: usize) -> Secret {
    let mut bytes = vec![0; n.saturating_sub(private.len())];
    bytes.extend_from_slice(private.expose());
    Secret::new(bytes)
}

/// The order of the Ed25519 group, in little-endian order.
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

/// A signature with its S reduced by the order.
fn reduced(signature: &[u8]) -> Vec<u8> {
    let mut s = [0; 32];
    let mut reduced = signature.to_vec();
    if let Some(bytes) = signature.get(32..64) {
        s.copy_from_slice(bytes);
        reduced[32..64].copy_from_slice(&Scalar::from_bytes_mod_order(s).to_bytes());
    }
    reduced
}

/// The two sides of Ed25519's equation: `[S]B - [k]A` and `R`.
fn sides(public: &[u8], message: &[u8], signature: &[u8]) -> Option<[EdwardsPoint; 2]> {
    let r: [u8; 32] = signature.get(..32)?.try_into().ok()?;
    let s: [u8; 32] = signature.get(32..)?.try_into().ok()?;
    if s.iter().rev().ge(ORDER.iter().rev()) {
        return None;
    }
    let key = CompressedEdwardsY::from_slice(public).ok()?.decompress()?;
    let hash = Sha512::new().chain_update(r).chain_update(public).chain_update(message).finalize();
    let k = Scalar::from_bytes_mod_order_wide(&hash.into());
    let point = EdwardsPoint::mul_base(&Scalar::from_bytes_mod_order(s)) - k * key;
    Some([point, CompressedEdwardsY(r).decompress()?])
}

/// The signature in DER without the bytes after it.
fn without_trailing(signature: &[u8]) -> &[u8] {
    match signature {
        [0x30, n, ..] if *n < 0x80 => signature.get(..usize::from(*n) + 2).unwrap_or(signature),
        _ => signature,
    }
}

impl CryptoProvider for Faulty {
    fn name(&self) -> &'static str {
        "a faulty provider"
    }

    fn has_kem(&self, kem: Kem) -> bool {
        !(kem == Kem::DhX448 && self.lacks_448()) && self.right.has_kem(kem)
    }

    fn has_kdf(&self, kdf: Kdf) -> bool {
        self.right.has_kdf(kdf)
    }

    fn has_aead(&self, aead: Aead) -> bool {
        self.right.has_aead(aead)
    }

    fn has_hash(&self, hash: Hash) -> bool {
        let lacks = self.has(Fault::AnswersForWhatItLacks) && hash == Hash::Sha384;
        !lacks && self.right.has_hash(hash)
    }

    fn has_signature(&self, scheme: SignatureScheme) -> bool {
        !(scheme == SignatureScheme::Ed448 && self.lacks_448()) && self.right.has_signature(scheme)
    }

    fn suites(&self) -> Suites {
        self.right.suites()
    }

    fn suite(&self, cipher_suite: CipherSuite) -> Option<SuiteParams> {
        let suite = self.suites().get(cipher_suite)?;
        let has_all = self.has_kem(suite.kem)
            && self.has_hash(suite.hash)
            && self.has_signature(suite.signature);
        Some(suite).filter(|_| has_all || self.has(Fault::SuitesBeyondComponents))
    }

    fn hash(&self, hash: Hash, parts: &[&[u8]]) -> Result<Digest, CryptoError> {
        if self.has(Fault::HashForgetsLastPart)
            && let [first, .., _] = parts
        {
            return self.right.hash(hash, &[first]);
        }
        self.right.hash(hash, parts)
    }

    fn hmac(&self, hash: Hash, key: &Secret, parts: &[&[u8]]) -> Result<Digest, CryptoError> {
        if self.has(Fault::HmacCutsLongKeys)
            && let Some(cut) = key.expose().get(..64)
        {
            return self.right.hmac(hash, &Secret::copy_from(cut), parts);
        }
        self.right.hmac(hash, key, parts)
    }

    fn extract(&self, kdf: Kdf, salt: &[u8], ikm: &[&[u8]]) -> Result<Secret, CryptoError> {
        self.right.extract(kdf, salt, ikm)
    }

    fn expand(
        &self,
        kdf: Kdf,
        prk: &Secret,
        info: &[&[u8]],
        length: usize,
    ) -> Result<Secret, CryptoError> {
        let expanded = self.right.expand(kdf, prk, info, length);
        if self.has(Fault::ExpandHasNoLimit) && expanded == Err(CryptoError::InvalidLength) {
            return Ok(Secret::zero(length));
        }
        expanded
    }

    fn aead_seal(
        &self,
        aead: Aead,
        key: &Secret,
        nonce: &[u8],
        aad: &[u8],
        plaintext: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        if self.has(Fault::PanicsOnShortKeys) && aead == Aead::Aes128Gcm {
            assert_eq!(key.len(), 16, "a key is 16 bytes");
        }
        if self.has(Fault::PadsShortAeadKeys) && key.len() < aead.key_len() {
            let key = padded(key, aead.key_len());
            return self.right.aead_seal(aead, &key, nonce, aad, plaintext);
        }
        let aad = if self.has(Fault::OpensWithoutAad) { &[] } else { aad };
        self.right.aead_seal(aead, key, nonce, aad, plaintext)
    }

    fn aead_open(
        &self,
        aead: Aead,
        key: &Secret,
        nonce: &[u8],
        aad: &[u8],
        ciphertext: &[u8],
    ) -> Result<Secret, CryptoError> {
        if self.has(Fault::OpensWithoutTag) && aead == Aead::Aes256Gcm && ciphertext.len() >= 16 {
            // In counter mode, encrypting decrypts.
            let n = ciphertext.len() - 16;
            let mut opened = self.right.aead_seal(aead, key, nonce, aad, &ciphertext[..n])?;
            opened.truncate(n);
            return Ok(Secret::new(opened));
        }
        let aad = if self.has(Fault::OpensWithoutAad) { &[] } else { aad };
        self.right.aead_open(aead, key, nonce, aad, ciphertext)
    }

    fn dh_public_key(&self, group: DhGroup, private: &Secret) -> Result<Vec<u8>, CryptoError> {
        if self.has(Fault::PadsShortScalars) && group == DhGroup::P384 {
            return self.right.dh_public_key(group, &padded(private, 48));
        }
        self.right.dh_public_key(group, private)
    }

    fn dh(&self, group: DhGroup, private: &Secret, public: &[u8]) -> Result<Secret, CryptoError> {
        let top_bit = group == DhGroup::X25519 && public.last().is_some_and(|b| b & 0x80 != 0);
        if self.has(Fault::RefusesTopBitOfX25519) && top_bit {
            return Err(CryptoError::InvalidPublicKey);
        }
        if self.has(Fault::HybridPointsAreValid)
            && let [6 | 7, coordinates @ ..] = public
        {
            return self.right.dh(group, private, &[&[4], coordinates].concat());
        }
        let shared = self.right.dh(group, private, public);
        if self.has(Fault::AgreesOnZero) && shared == Err(CryptoError::InvalidSharedSecret) {
            return Ok(Secret::zero(public.len()));
        }
        shared
    }

    fn dh_validate_public_key(&self, group: DhGroup, public: &[u8]) -> Result<(), CryptoError> {
        let xdh = matches!(group, DhGroup::X25519 | DhGroup::X448);
        if self.has(Fault::KeysOfLowOrderAreValid) && xdh && public.len() == group.public_key_len()
        {
            return Ok(());
        }
        self.right.dh_validate_public_key(group, public)
    }

    fn sha3_256(&self, parts: &[&[u8]]) -> Result<Secret, CryptoError> {
        self.right.sha3_256(parts)
    }

    fn shake256(&self, parts: &[&[u8]], length: usize) -> Result<Secret, CryptoError> {
        let read =
            if self.has(Fault::ShakeReadsOnePart) { parts.len().min(1) } else { parts.len() };
        let mut output = self.right.shake256(&parts[..read], length)?;
        if self.has(Fault::ShakeRepeatsItsFirstBlock)
            && let Some((first, rest)) = output.expose_mut().split_at_mut_checked(136)
        {
            for (to, from) in rest.iter_mut().zip(first.iter().cycle()) {
                *to = *from;
            }
        }
        Ok(output)
    }

    fn ml_kem_public_key(&self, ml_kem: MlKem, private: &Secret) -> Result<Vec<u8>, CryptoError> {
        self.right.ml_kem_public_key(ml_kem, private)
    }

    fn ml_kem_encap(
        &self,
        ml_kem: MlKem,
        public: &[u8],
        randomness: &Secret,
    ) -> Result<(Vec<u8>, Secret), CryptoError> {
        let fixed = Secret::zero(randomness.len());
        let ignored = self.has(Fault::EncapsulatesWithoutRandomness) && ml_kem == MlKem::MlKem1024;
        self.right.ml_kem_encap(ml_kem, public, if ignored { &fixed } else { randomness })
    }

    fn ml_kem_decap(
        &self,
        ml_kem: MlKem,
        private: &Secret,
        ciphertext: &[u8],
    ) -> Result<Secret, CryptoError> {
        if self.has(Fault::PadsShortCiphertexts) && ciphertext.len() < ml_kem.ciphertext_len() {
            let mut ciphertext = ciphertext.to_vec();
            ciphertext.resize(ml_kem.ciphertext_len(), 0);
            return self.right.ml_kem_decap(ml_kem, private, &ciphertext);
        }
        self.right.ml_kem_decap(ml_kem, private, ciphertext)
    }

    fn ml_kem_validate_public_key(&self, ml_kem: MlKem, public: &[u8]) -> Result<(), CryptoError> {
        let right_length = public.len() == ml_kem.public_key_len();
        if self.has(Fault::CoefficientsOverTheModulus) && right_length {
            return Ok(());
        }
        self.right.ml_kem_validate_public_key(ml_kem, public)
    }

    fn signature_key_pair(
        &self,
        scheme: SignatureScheme,
        rng: &mut dyn CryptoRng,
    ) -> Result<SignatureKeyPair, CryptoError> {
        let n = self.counter.fetch_add(1, Ordering::Relaxed);
        let pair = if self.has(Fault::KeysIgnoreRandomness) {
            self.right.signature_key_pair(scheme, &mut TestRng(0))
        } else if self.has(Fault::KeysAreNotDeterministic) {
            self.right.signature_key_pair(scheme, &mut TestRng(n))
        } else {
            self.right.signature_key_pair(scheme, rng)
        }?;
        Ok(SignatureKeyPair::new(self.handle(pair.private), pair.public))
    }

    fn signature_public_key(
        &self,
        scheme: SignatureScheme,
        private: &Secret,
    ) -> Result<SignaturePublicKey, CryptoError> {
        self.right.signature_public_key(scheme, &self.private_key(private))
    }

    fn sign(
        &self,
        scheme: SignatureScheme,
        key_pair: &SignatureKeyPair,
        message: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        if !self.has_signature(scheme) {
            return Err(LACKING);
        }
        let private = self.private_key(&key_pair.private);
        let mut public = key_pair.public.clone();
        if self.has(Fault::SignsWithHalvesOfTwoPairs) {
            public = self.right.signature_public_key(scheme, &private)?;
        }
        self.right.sign(scheme, &SignatureKeyPair::new(private, public), message)
    }

    fn verify(
        &self,
        scheme: SignatureScheme,
        public_key: &SignaturePublicKey,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), CryptoError> {
        use SignatureScheme as S;
        if !self.has_signature(scheme) {
            return Err(LACKING);
        }
        let right = |signature: &[u8]| self.right.verify(scheme, public_key, message, signature);
        if scheme == S::Ed25519 && self.has(Fault::ReducesS) {
            return right(&reduced(signature));
        }
        if scheme == S::Ed25519 && self.has(Fault::LeavesOutTheCofactor) {
            right(signature)?;
            let sides = sides(public_key, message, signature);
            let equal = sides.is_some_and(|[point, r]| point == r);
            return equal.then_some(()).ok_or(CryptoError::InvalidSignature);
        }
        if scheme == S::Ed25519 && self.has(Fault::AcceptsKeysOfSmallOrder) {
            let sides = sides(public_key, message, signature);
            let equal = sides.is_some_and(|[point, r]| (point - r).mul_by_cofactor().is_identity());
            return equal.then_some(()).ok_or(CryptoError::InvalidSignature);
        }
        if scheme == S::Ed448 && self.has(Fault::IgnoresLastByteOfS) {
            let mut signature = signature.to_vec();
            if let Some(last) = signature.get_mut(113) {
                *last = 0;
            }
            return right(&signature);
        }
        if scheme == S::EcdsaSecp256r1Sha256 && self.has(Fault::AcceptsBytesAfterDer) {
            return right(without_trailing(signature));
        }
        right(signature)
    }

    fn verify_many(&self, scheme: SignatureScheme, items: &[VerifyItem<'_>]) -> Result<(), usize> {
        if self.has(Fault::AcceptsLargeBatches) && items.len() >= 20 {
            return Ok(());
        }
        let bad = |item: &VerifyItem<'_>| {
            self.verify(scheme, item.public_key, item.message, item.signature).is_err()
        };
        let found = if self.has(Fault::NamesLastBadSignature) {
            items.iter().rposition(bad)
        } else {
            items.iter().position(bad)
        };
        found.map_or(Ok(()), Err)
    }

    fn hash_many(&self, hash: Hash, inputs: &[&[u8]]) -> Result<Vec<Digest>, CryptoError> {
        let mut hashes = self.right.hash_many(hash, inputs)?;
        if self.has(Fault::HashesInReverse) {
            hashes.reverse();
        }
        Ok(hashes)
    }

    fn derive_many(
        &self,
        _: Kem,
        ikms: &[Secret],
        derive: &Derive<'_>,
    ) -> Result<Vec<HpkeKeyPair>, CryptoError> {
        let mut pairs: Vec<HpkeKeyPair> = ikms.iter().map(derive).collect::<Result<_, _>>()?;
        if self.has(Fault::DropsLastKeyPair) {
            pairs.pop();
        }
        Ok(pairs)
    }

    fn seal_many(
        &self,
        _: Kem,
        items: &[SealItem<'_>],
        seal: &Seal<'_>,
    ) -> Result<Vec<HpkeCiphertext>, CryptoError> {
        let first = items.first().map(|item| item.seed).filter(|_| self.has(Fault::ReusesASeed));
        let seal =
            |item: &SealItem<'_>| seal(&SealItem { seed: first.unwrap_or(item.seed), ..*item });
        items.iter().map(seal).collect()
    }
}
