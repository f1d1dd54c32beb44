//! Pure ML-DSA (FIPS 204) with an empty context. Private keys are seeds, and signatures are deterministic
//! (section 3.4 there).

use alloc::vec::Vec;
use conclave_crypto::{CryptoError, Secret, SignatureKeyPair};
use conclave_wire::SignaturePublicKey;
use ml_dsa::signature::Keypair;
use ml_dsa::{EncodedVerifyingKey, MlDsaParams, Seed, Signature, SigningKey, VerifyingKey};
use zeroize::Zeroize;

const CONTEXT: &[u8] = b"";

fn signing_key<P: MlDsaParams>(seed: &[u8]) -> Result<SigningKey<P>, CryptoError> {
    let mut seed = Seed::try_from(seed).map_err(|_| CryptoError::InvalidPrivateKey)?;
    let key = SigningKey::from_seed(&seed);
    seed.zeroize();
    Ok(key)
}

pub(crate) fn public_key<P: MlDsaParams>(seed: &[u8]) -> Result<Vec<u8>, CryptoError> {
    Ok(signing_key::<P>(seed)?.verifying_key().encode().to_vec())
}

/// Expands a private key and computes its public key once: that takes a third as long as a signature.
fn prepare<P: MlDsaParams>(
    seed: &Secret,
    public: &SignaturePublicKey,
) -> Result<SigningKey<P>, CryptoError> {
    let key = signing_key::<P>(seed.expose())?;
    let same = key.verifying_key().encode().as_slice() == &**public;
    same.then_some(key).ok_or(CryptoError::InvalidPrivateKey)
}

pub(crate) fn sign<P: MlDsaParams + Send + Sync + 'static>(
    key_pair: &SignatureKeyPair,
    message: &[u8],
) -> Result<Vec<u8>, CryptoError> {
    let key = key_pair.prepared(prepare::<P>)?;
    let signature = key
        .expanded_key()
        .sign_deterministic(message, CONTEXT)
        .map_err(|_| CryptoError::Provider("ML-DSA signing failed"))?;
    Ok(signature.encode().to_vec())
}

pub(crate) fn verify<P: MlDsaParams>(
    public: &[u8],
    message: &[u8],
    signature: &[u8],
) -> Result<(), CryptoError> {
    let public = <&EncodedVerifyingKey<P>>::try_from(public);
    let key = VerifyingKey::<P>::decode(public.map_err(|_| CryptoError::InvalidPublicKey)?);
    Signature::<P>::try_from(signature)
        .ok()
        .filter(|signature| key.verify_with_context(message, CONTEXT, signature))
        .map(drop)
        .ok_or(CryptoError::InvalidSignature)
}
