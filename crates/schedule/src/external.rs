//! External initialization (section 8.3).

use crate::{ExternalSecret, InitSecret};
use conclave_crypto::{CryptoError, CryptoRng, HpkeKeyPair, Suite};
use conclave_wire::{Bytes, HpkePublicKey};

const EXPORTER_CONTEXT: &[u8] = b"MLS 1.0 external init secret";

/// Derives `external_priv` and `external_pub`, the key pair of external commits (section 8).
///
/// # Errors
/// If the provider fails.
pub fn external_key_pair(
    suite: &Suite<'_>,
    external: &ExternalSecret,
) -> Result<HpkeKeyPair, CryptoError> {
    suite.derive_key_pair(external.as_secret())
}

/// The joiner's side: the `kem_output` for an ExternalInit proposal, and the `init_secret` that
/// replaces the previous epoch's.
///
/// # Errors
/// If `external_pub` is invalid.
pub fn external_init_to(
    suite: &Suite<'_>,
    external_pub: &HpkePublicKey,
    rng: &mut dyn CryptoRng,
) -> Result<(Bytes, InitSecret), CryptoError> {
    let (kem_output, secret) = suite.export_to(external_pub, EXPORTER_CONTEXT, rng)?;
    Ok((kem_output.into(), InitSecret::from_secret(secret)))
}

/// The members' side: the `init_secret` of an ExternalInit proposal, from the key pair of the epoch
/// that the proposal was sent in.
///
/// # Errors
/// If `kem_output` is invalid.
pub fn external_init_from(
    suite: &Suite<'_>,
    external: &HpkeKeyPair,
    kem_output: &[u8],
) -> Result<InitSecret, CryptoError> {
    suite.export_from(external, kem_output, EXPORTER_CONTEXT).map(InitSecret::from_secret)
}
