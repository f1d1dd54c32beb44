use conclave_crypto::{
    CryptoError, CryptoProvider, CryptoRng, DhGroup, Secret, SignatureKeyPair, SignatureScheme,
};

/// How often a private key is drawn before the source of randomness is given up. One attempt is
/// enough all but once in 2^32 times, so more than a few mean that the source is broken.
const MAX_ATTEMPTS: u8 = u8::MAX;

/// The length of a private key in bytes, and the bits of its first byte that may be set.
fn private_key_shape(scheme: SignatureScheme) -> Option<(usize, u8)> {
    use SignatureScheme as S;
    match scheme {
        S::Ed25519 | S::MlDsa44 | S::MlDsa65 | S::MlDsa87 => Some((32, 0xff)),
        S::Ed448 => Some((57, 0xff)),
        S::EcdsaSecp256r1Sha256 => Some((DhGroup::P256.private_key_len(), 0xff)),
        S::EcdsaSecp384r1Sha384 => Some((DhGroup::P384.private_key_len(), 0xff)),
        S::EcdsaSecp521r1Sha512 => Some((DhGroup::P521.private_key_len(), 0x01)),
        _ => None,
    }
}

/// Draws a signature key pair whose private key a provider accepts.
///
/// An EdDSA or ML-DSA seed is the next 32 bytes of the randomness (57 for Ed448). An ECDSA scalar is
/// its first 32, 48 or 66 bytes that are in range; for P-521 the upper seven bits of the first byte
/// are cleared.
///
/// # Errors
/// [`CryptoError::KeyDerivationFailed`] if no key is in range, which a working source of randomness
/// does not lead to; otherwise as [`CryptoProvider::signature_public_key`].
pub fn signature_key_pair(
    provider: &dyn CryptoProvider,
    scheme: SignatureScheme,
    rng: &mut dyn CryptoRng,
) -> Result<SignatureKeyPair, CryptoError> {
    let (length, mask) =
        private_key_shape(scheme).ok_or(CryptoError::UnsupportedComponent(scheme.name()))?;

    for _ in 0..MAX_ATTEMPTS {
        let mut private = Secret::random(length, rng);
        if let Some(first) = private.expose_mut().first_mut() {
            *first &= mask;
        }

        match provider.signature_public_key(scheme, &private) {
            Ok(public) => return Ok(SignatureKeyPair::new(private, public)),
            Err(CryptoError::InvalidPrivateKey) => {}
            Err(other) => return Err(other),
        }
    }

    Err(CryptoError::KeyDerivationFailed)
}
