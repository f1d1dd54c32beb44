//! Transcript hashes (section 8.2) and confirmation tags (section 6.1).

use crate::ConfirmationKey;
use conclave_crypto::{CryptoError, Digest, Suite};
use conclave_wire::{ConfirmedTranscriptHashInput, Encode, InterimTranscriptHashInput, Mac};

/// Computes the `confirmed_transcript_hash` of the epoch that a commit starts. `interim` is the
/// `interim_transcript_hash` of the epoch that the commit was sent in; it is empty only if there is
/// none yet.
///
/// # Errors
/// If the commit is too long to encode, or the provider fails.
pub fn confirmed_transcript_hash(
    suite: &Suite<'_>,
    interim: &[u8],
    input: &ConfirmedTranscriptHashInput<'_, impl Encode>,
) -> Result<Digest, CryptoError> {
    suite.hash(&[interim, &input.to_bytes()?])
}

/// Computes the `interim_transcript_hash` of an epoch from its `confirmed_transcript_hash` and its
/// confirmation tag, which is that of its commit, its GroupInfo or its creator.
///
/// # Errors
/// If the tag is too long to encode, or the provider fails.
pub fn interim_transcript_hash(
    suite: &Suite<'_>,
    confirmed: &[u8],
    confirmation_tag: &Mac,
) -> Result<Digest, CryptoError> {
    suite.hash(&[confirmed, &InterimTranscriptHashInput { confirmation_tag }.to_bytes()?])
}

/// Computes `confirmation_tag`: `MAC(confirmation_key, confirmed_transcript_hash)`, both of the
/// epoch that the commit starts.
///
/// # Errors
/// If the provider fails.
pub fn confirmation_tag(
    suite: &Suite<'_>,
    key: &ConfirmationKey,
    confirmed_transcript_hash: &[u8],
) -> Result<Mac, CryptoError> {
    suite.mac(key.as_secret(), confirmed_transcript_hash)
}

/// Whether a confirmation tag equals [`confirmation_tag`], including its length. The comparison
/// takes constant time.
///
/// # Errors
/// If the provider fails.
pub fn confirmation_tag_matches(
    suite: &Suite<'_>,
    key: &ConfirmationKey,
    confirmed_transcript_hash: &[u8],
    tag: &Mac,
) -> Result<bool, CryptoError> {
    suite.mac_matches(key.as_secret(), confirmed_transcript_hash, tag)
}
