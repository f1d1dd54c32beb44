//! The key that hides the sender of a private message (section 6.3.2).

use crate::{MessageKey, SenderDataSecret};
use conclave_crypto::{CryptoError, Suite};

/// Derives `sender_data_key` and `sender_data_nonce` for a message with this `ciphertext`. They
/// depend on its first `KDF.Nh` bytes, or on all of it if it is shorter.
///
/// # Errors
/// If the provider fails.
pub fn sender_data_key_nonce(
    suite: &Suite<'_>,
    sender_data: &SenderDataSecret,
    ciphertext: &[u8],
) -> Result<MessageKey, CryptoError> {
    let sample = ciphertext.get(..suite.nh()).unwrap_or(ciphertext);

    let aead = suite.params().aead;
    let labels: [(&[u8], usize); 2] = [(b"key", aead.key_len()), (b"nonce", aead.nonce_len())];
    let [key, nonce] = suite.expand_with_labels(sender_data.as_secret(), labels, sample)?;
    Ok(MessageKey { key, nonce })
}
