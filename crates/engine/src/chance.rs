//! Random draws.

use conclave_mls::crypto::CryptoRng;

/// A random number.
pub(crate) fn random(rng: &mut dyn CryptoRng) -> u64 {
    let mut bytes = [0; 8];
    rng.fill_bytes(&mut bytes);
    u64::from_be_bytes(bytes)
}
