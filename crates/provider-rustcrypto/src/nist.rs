//! ECDH and ECDSA on the NIST curves. Public keys are uncompressed points, private keys scalars in
//! big-endian order and full length.

use conclave_crypto::CryptoError;

/// SEC 1's tag of an uncompressed point.
const UNCOMPRESSED: u8 = 4;

/// Refuses every encoding except an uncompressed point: the libraries accept others.
fn check_form(public: &[u8], len: usize) -> Result<(), CryptoError> {
    let right = public.len() == len && public.first() == Some(&UNCOMPRESSED);
    right.then_some(()).ok_or(CryptoError::InvalidPublicKey)
}

/// The operations of one curve, named by its module here, its crate and the length of a scalar.
macro_rules! curve {
    ($name:ident, $curve:ident, $scalar_len:literal) => {
        pub(crate) mod $name {
            use super::check_form;
            use alloc::vec::Vec;
            use conclave_crypto::{CryptoError, Secret};
            use $curve::ecdsa::signature::{Signer, Verifier};
            use $curve::ecdsa::{DerSignature, Signature, SigningKey, VerifyingKey};
            use $curve::elliptic_curve::sec1::ToSec1Point;
            use $curve::{PublicKey, SecretKey};

            const SCALAR_LEN: usize = $scalar_len;

            fn scalar(private: &[u8]) -> Result<SecretKey, CryptoError> {
                // The library pads a scalar that is too short.
                if private.len() != SCALAR_LEN {
                    return Err(CryptoError::InvalidPrivateKey);
                }
                SecretKey::from_slice(private).map_err(|_| CryptoError::InvalidPrivateKey)
            }

            fn point(public: &[u8]) -> Result<PublicKey, CryptoError> {
                check_form(public, 2 * SCALAR_LEN + 1)?;
                PublicKey::from_sec1_bytes(public).map_err(|_| CryptoError::InvalidPublicKey)
            }

            pub(crate) fn public_key(private: &[u8]) -> Result<Vec<u8>, CryptoError> {
                Ok(scalar(private)?.public_key().to_sec1_point(false).as_bytes().to_vec())
            }

            pub(crate) fn validate(public: &[u8]) -> Result<(), CryptoError> {
                point(public).map(drop)
            }

            pub(crate) fn dh(private: &[u8], public: &[u8]) -> Result<Secret, CryptoError> {
                let private = scalar(private)?;
                let public = point(public)?;
                let shared =
                    $curve::ecdh::diffie_hellman(private.to_nonzero_scalar(), public.as_affine());
                Ok(Secret::copy_from(shared.raw_secret_bytes()))
            }

            pub(crate) fn sign(
                private: &[u8],
                public: &[u8],
                message: &[u8],
            ) -> Result<Vec<u8>, CryptoError> {
                let key = SigningKey::from(scalar(private)?);
                if key.verifying_key().to_sec1_point(false).as_bytes() != public {
                    return Err(CryptoError::InvalidPrivateKey);
                }
                let signature: DerSignature = key
                    .try_sign(message)
                    .map_err(|_| CryptoError::Provider("ECDSA signing failed"))?;
                Ok(signature.as_bytes().to_vec())
            }

            pub(crate) fn verify(
                public: &[u8],
                message: &[u8],
                signature: &[u8],
            ) -> Result<(), CryptoError> {
                let key = VerifyingKey::from(point(public)?);
                Signature::from_der(signature)
                    .and_then(|signature| key.verify(message, &signature))
                    .map_err(|_| CryptoError::InvalidSignature)
            }
        }
    };
}

curve!(p256, p256, 32);
curve!(p384, p384, 48);
curve!(p521, p521, 66);
