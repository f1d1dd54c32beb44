//! Ed448 (RFC 8032 section 5.2) with an empty context.
//!
//! Verification is written out here: the crate's own refuses keys with a torsion component and accepts
//! encodings that are not canonical, the opposite of RFC 8032.

use alloc::vec::Vec;
use conclave_crypto::{CryptoError, Secret, SignatureKeyPair};
use conclave_wire::SignaturePublicKey;
use ed448_goldilocks_plus::elliptic_curve::Group;
use ed448_goldilocks_plus::{
    CompressedEdwardsY, EdwardsPoint, Scalar, ScalarBytes, SigningKey, WideScalarBytes,
};
use shake::Shake256;
use shake::digest::{ExtendableOutput, Update, XofReader};
use zeroize::Zeroize;

const POINT_LEN: usize = 57;
const SIGNATURE_LEN: usize = 114;

/// `dom4(0, "")`: the name, no pre-hashing, an empty context.
const DOM4: &[u8] = b"SigEd448\x00\x00";

fn signing_key(seed: &[u8]) -> Result<SigningKey, CryptoError> {
    let mut seed = ScalarBytes::try_from(seed).map_err(|_| CryptoError::InvalidPrivateKey)?;
    let key = SigningKey::from(&seed);
    seed.zeroize();
    Ok(key)
}

pub(crate) fn public_key(seed: &[u8]) -> Result<Vec<u8>, CryptoError> {
    Ok(signing_key(seed)?.verifying_key().as_bytes().to_vec())
}

/// Computes the public key of a private key once: that takes half as long as a signature.
fn prepare(seed: &Secret, public: &SignaturePublicKey) -> Result<SigningKey, CryptoError> {
    let key = signing_key(seed.expose())?;
    let same = key.verifying_key().as_bytes() == &**public;
    same.then_some(key).ok_or(CryptoError::InvalidPrivateKey)
}

pub(crate) fn sign(key_pair: &SignatureKeyPair, message: &[u8]) -> Result<Vec<u8>, CryptoError> {
    let key = key_pair.prepared(prepare)?;
    Ok(key.sign_raw(message).to_bytes().to_vec())
}

/// Decodes a point, if the encoding is the canonical one.
fn decode(bytes: &[u8; POINT_LEN]) -> Option<EdwardsPoint> {
    let point = CompressedEdwardsY(*bytes).decompress_unchecked().into_option()?;
    let valid = bool::from(point.is_on_curve()) && point.compress().as_bytes() == bytes;
    valid.then_some(point)
}

fn times_cofactor_is_identity(point: &EdwardsPoint) -> bool {
    point.double().double().is_identity().into()
}

/// Decodes a scalar, if it is below the order.
fn decode_scalar(bytes: &[u8; POINT_LEN]) -> Option<Scalar> {
    if bytes.last() != Some(&0) {
        return None;
    }
    Scalar::from_canonical_bytes(&ScalarBytes::from(*bytes)).into_option()
}

pub(crate) fn verify(public: &[u8], message: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
    let public: &[u8; POINT_LEN] = public.try_into().map_err(|_| CryptoError::InvalidPublicKey)?;
    let key = decode(public)
        .filter(|key| !times_cofactor_is_identity(key))
        .ok_or(CryptoError::InvalidPublicKey)?;

    let signature: &[u8; SIGNATURE_LEN] =
        signature.try_into().map_err(|_| CryptoError::InvalidSignature)?;
    let (r_bytes, s_bytes) = signature.split_first_chunk().ok_or(CryptoError::InvalidSignature)?;
    let s_bytes = s_bytes.try_into().map_err(|_| CryptoError::InvalidSignature)?;
    let (Some(r), Some(s)) = (decode(r_bytes), decode_scalar(s_bytes)) else {
        return Err(CryptoError::InvalidSignature);
    };

    let mut k = WideScalarBytes::default();
    let hash = Shake256::default().chain(DOM4).chain(r_bytes).chain(public).chain(message);
    hash.finalize_xof().read(&mut k);
    let k = Scalar::from_bytes_mod_order_wide(&k);

    // Multiplication may drop torsion components; so would the cofactor below.
    let difference = r.add(&(key * k)).add(&(EdwardsPoint::GENERATOR * s).negate());
    if times_cofactor_is_identity(&difference) {
        Ok(())
    } else {
        Err(CryptoError::InvalidSignature)
    }
}
