//! Ed448 (RFC 8032 section 5.2) with an empty context.
//!
//! Verification is written out here: the crate's own refuses keys with a torsion component and
//! takes encodings that are not canonical, where RFC 8032 has it the other way round.

use alloc::vec::Vec;
use conclave_crypto::CryptoError;
use ed448_goldilocks::elliptic_curve::Group;
use ed448_goldilocks::shake::Shake256;
use ed448_goldilocks::shake::digest::{ExtendableOutput, Update, XofReader};
use ed448_goldilocks::{
    CompressedEdwardsY, EdwardsPoint, EdwardsScalar, EdwardsScalarBytes, SigningKey,
    WideEdwardsScalarBytes,
};
use zeroize::Zeroize;

const POINT_LEN: usize = 57;

/// `dom4(0, "")`: the name, no pre-hashing, an empty context.
const DOM4: &[u8] = b"SigEd448\x00\x00";

fn signing_key(seed: &[u8]) -> Result<SigningKey, CryptoError> {
    let mut seed =
        EdwardsScalarBytes::try_from(seed).map_err(|_| CryptoError::InvalidPrivateKey)?;
    let key = SigningKey::from(&seed);
    seed.zeroize();
    Ok(key)
}

pub(crate) fn public_key(seed: &[u8]) -> Result<Vec<u8>, CryptoError> {
    Ok(signing_key(seed)?.verifying_key().as_bytes().to_vec())
}

pub(crate) fn sign(seed: &[u8], public: &[u8], message: &[u8]) -> Result<Vec<u8>, CryptoError> {
    let key = signing_key(seed)?;
    if key.verifying_key().as_bytes() != public {
        return Err(CryptoError::InvalidPrivateKey);
    }
    Ok(key.sign_raw(message).to_bytes().to_vec())
}

/// The point of an encoding, if the encoding is the point's only one.
fn decode(bytes: &[u8; POINT_LEN]) -> Option<EdwardsPoint> {
    let point = CompressedEdwardsY(*bytes).decompress_unchecked().into_option()?;
    let valid = bool::from(point.is_on_curve()) && point.compress().as_bytes() == bytes;
    valid.then(|| point.to_edwards())
}

fn times_cofactor_is_identity(point: &EdwardsPoint) -> bool {
    point.double().double().is_identity().into()
}

/// The scalar of an encoding, if it is below the order.
fn decode_scalar(bytes: &[u8; 57]) -> Option<EdwardsScalar> {
    if bytes.last() != Some(&0) {
        return None;
    }
    EdwardsScalar::from_canonical_bytes(&EdwardsScalarBytes::from(*bytes)).into_option()
}

pub(crate) fn verify(public: &[u8], message: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
    let public: &[u8; POINT_LEN] = public.try_into().map_err(|_| CryptoError::InvalidPublicKey)?;
    let key = decode(public)
        .filter(|key| !times_cofactor_is_identity(key))
        .ok_or(CryptoError::InvalidPublicKey)?;
    let signature: &[u8; 114] = signature.try_into().map_err(|_| CryptoError::InvalidSignature)?;
    let (r_bytes, s_bytes) = signature.split_first_chunk().ok_or(CryptoError::InvalidSignature)?;
    let s_bytes = s_bytes.try_into().map_err(|_| CryptoError::InvalidSignature)?;
    let (Some(r), Some(s)) = (decode(r_bytes), decode_scalar(s_bytes)) else {
        return Err(CryptoError::InvalidSignature);
    };
    let mut k = WideEdwardsScalarBytes::default();
    let hash = Shake256::default().chain(DOM4).chain(r_bytes).chain(public).chain(message);
    hash.finalize_xof().read(&mut k);
    let k = EdwardsScalar::from_bytes_mod_order_wide(&k);
    // Multiplication drops torsion components, which the cofactor below would do anyway.
    let difference = r.add(&(key * k)).add(&(EdwardsPoint::GENERATOR * s).negate());
    if times_cofactor_is_identity(&difference) {
        Ok(())
    } else {
        Err(CryptoError::InvalidSignature)
    }
}
