//! Pre-shared keys (section 8.4).

use crate::PskSecret;
use conclave_crypto::{CryptoError, Secret, Suite};
use conclave_wire::{Encode, PreSharedKeyId, PskLabel};

/// Derives the `psk_secret` of PSKs in the order of the commit or GroupSecrets. Without PSKs, it is
/// all zeros.
///
/// # Errors
/// [`CryptoError::InvalidLength`] if there are more than the 2^16 - 1 PSKs that a PSKLabel can
/// count; or if an identifier is too long to encode, or the provider fails.
pub fn psk_secret(
    suite: &Suite<'_>,
    psks: &[(PreSharedKeyId, Secret)],
) -> Result<PskSecret, CryptoError> {
    let count = u16::try_from(psks.len()).map_err(|_| CryptoError::InvalidLength)?;
    let zero = Secret::zero(suite.nh());

    let mut psk_secret = zero.clone();
    for (index, (id, psk)) in (0..count).zip(psks) {
        let psk_extracted = suite.extract(&zero, psk)?;
        let label = PskLabel { id, index, count }.to_bytes()?;
        let psk_input =
            suite.expand_with_label(&psk_extracted, b"derived psk", &label, suite.nh())?;
        psk_secret = suite.extract(&psk_input, &psk_secret)?;
    }
    Ok(PskSecret::from_secret(psk_secret))
}
