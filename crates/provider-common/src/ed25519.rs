//! Ed25519 verification with one acceptance rule for single and batched signatures.
//!
//! The rule is RFC 8032 section 5.1.7 with the cofactor: `[8][S]B = [8]R + [8][k]A`, with `S` below the
//! order and `A` and `R` canonically encoded points. `A` must not be of small order, since such a key
//! verifies signatures that nobody made. The equation without the cofactor, which the RFC also allows,
//! cannot be checked in a batch: the owner of a key can craft signatures that a batch accepts and that
//! fail alone, so that members would disagree.
//!
//! The equation is checked by ed25519-zebra ([ZIP 215](https://zips.z.cash/zip-0215)); this module
//! refuses what the equation alone would accept.

use chacha20::ChaCha20Rng;
use conclave_crypto::{CryptoError, VerifyItem};
use ed25519_zebra::{Signature, VerificationKey, VerificationKeyBytes, batch};
use rand_core::SeedableRng;
use sha2::{Digest, Sha512};

/// The length of a public key.
const KEY_LEN: usize = 32;
/// The length of a signature: `R`, then `S`.
const SIGNATURE_LEN: usize = 64;

/// The most signatures that go into one equation. More would gain a few percent and take more memory:
/// about 1 KiB per signature, and twice that from 1024 on, because the equation's `2 n + 1` points lie
/// in a vector that doubles when it is full.
pub const MAX_BATCH: usize = 1023;
/// The size from which a batch is faster than verifying one by one.
pub const MIN_BATCH: usize = 4;

/// The y-coordinates of the points whose order divides 8, in little-endian order: those of order
/// 1, 2 and 4, and the two that the four points of order 8 have.
const SMALL_ORDER: [[u8; KEY_LEN]; 5] = [
    ONE,
    MINUS_ONE,
    [0; KEY_LEN],
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98,
        0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53,
        0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67,
        0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac,
        0x03, 0x7a,
    ],
];

const ONE: [u8; KEY_LEN] = {
    let mut one = [0; KEY_LEN];
    one[0] = 1;
    one
};

const MINUS_ONE: [u8; KEY_LEN] = {
    let mut minus_one = [0xff; KEY_LEN];
    minus_one[0] = 0xec;
    minus_one[31] = 0x7f;
    minus_one
};

/// The y-coordinate of an encoded point, and whether the encoding is canonical, provided that it is one
/// of a point: y is below p = 2^255 - 19, and an x-coordinate of zero has no sign.
fn y_coordinate(point: &[u8; KEY_LEN]) -> ([u8; KEY_LEN], bool) {
    let mut y = *point;
    let [first, middle @ .., last] = &mut y;

    let negative = *last & 0x80 != 0;
    *last &= 0x7f;

    let below_p = *first < 0xed || *last != 0x7f || middle.iter().any(|b| *b != 0xff);
    (y, below_p && !(negative && (y == ONE || y == MINUS_ONE)))
}

/// Checks what the bytes of a public key show: it is canonically encoded and not of small order. Whether
/// it is a point at all shows when it verifies.
///
/// # Errors
/// [`CryptoError::InvalidPublicKey`].
pub fn check_public_key(public_key: &[u8]) -> Result<[u8; KEY_LEN], CryptoError> {
    let key: [u8; KEY_LEN] = public_key.try_into().map_err(|_| CryptoError::InvalidPublicKey)?;

    let (y, canonical) = y_coordinate(&key);
    if canonical && !SMALL_ORDER.contains(&y) {
        Ok(key)
    } else {
        Err(CryptoError::InvalidPublicKey)
    }
}

/// Parses a signature and checks what its bytes show: `R` is canonically encoded.
fn check_signature(signature: &[u8]) -> Result<Signature, CryptoError> {
    let signature: [u8; SIGNATURE_LEN] =
        signature.try_into().map_err(|_| CryptoError::InvalidSignature)?;
    let signature = Signature::from(signature);

    let (_, canonical) = y_coordinate(signature.r_bytes());
    canonical.then_some(signature).ok_or(CryptoError::InvalidSignature)
}

/// Verifies a signature.
///
/// # Errors
/// [`CryptoError::InvalidPublicKey`] if the rule refuses the key, [`CryptoError::InvalidSignature`] if
/// the signature does not verify.
pub fn verify(public_key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
    let key = check_public_key(public_key)?;
    let signature = check_signature(signature)?;
    let key = VerificationKey::try_from(key).map_err(|_| CryptoError::InvalidPublicKey)?;
    key.verify(&signature, message).map_err(|_| CryptoError::InvalidSignature)
}

/// Whether all signatures verify, each by the rule of [`verify`]. This takes about half the time of
/// verifying one by one, except for the smallest batches. To learn which signature is bad, verify them
/// one by one.
///
/// The weights of a batch come from a hash of everything in it, so crafting signatures that are valid
/// only in their sum takes 2^128 attempts.
#[must_use]
pub fn all_verify(items: &[VerifyItem<'_>]) -> bool {
    items.chunks(MAX_BATCH).all(|chunk| batch_verifies(chunk).is_ok())
}

fn batch_verifies(items: &[VerifyItem<'_>]) -> Result<(), CryptoError> {
    if items.len() < MIN_BATCH {
        return items.iter().try_for_each(|i| verify(i.public_key, i.message, i.signature));
    }

    let mut transcript = Sha512::new();
    let mut batch = batch::Verifier::new();
    for item in items {
        let key = check_public_key(item.public_key)?;
        let signature = check_signature(item.signature)?;

        // All but the message have fixed lengths, so its length alone separates the items.
        transcript.update(key);
        transcript.update(item.signature);
        transcript.update((item.message.len() as u64).to_be_bytes());
        transcript.update(item.message);
        batch.queue((VerificationKeyBytes::from(key), signature, item.message));
    }

    let mut seed = [0; 32];
    for (seed, byte) in seed.iter_mut().zip(transcript.finalize()) {
        *seed = byte;
    }
    let weights = ChaCha20Rng::from_seed(seed);
    batch.verify(weights).map_err(|_| CryptoError::InvalidSignature)
}
