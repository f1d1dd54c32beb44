//! The group that takes the place of another one which is broken.

use super::GroupId;
use conclave_mls::crypto::{CryptoError, CryptoProvider, Hash};

/// What the identifier of a successor is derived with.
const LABEL: &[u8] = b"Conclave successor";
/// How many bytes of it are random, and how many name the predecessor.
const HALF: usize = 16;

/// The identifier of a group that succeeds another: random bytes, and as many of a hash of them and the predecessor's
/// identifier. It is part of what the group's creator signs, so members know by it alone which group it takes the
/// place of, whatever the service says.
///
/// # Errors
/// If the provider has no SHA-256.
pub fn successor_id(
    provider: &dyn CryptoProvider,
    predecessor: &GroupId,
    random: [u8; HALF],
) -> Result<GroupId, CryptoError> {
    let length = u64::try_from(predecessor.len()).map_err(|_| CryptoError::InvalidLength)?;
    let parts = [LABEL, &length.to_be_bytes(), predecessor.as_ref(), &random];
    let digest = provider.hash(Hash::Sha256, &parts)?;
    let half = digest.get(..HALF).ok_or(CryptoError::InvalidLength)?;
    Ok([&random, half].concat().into())
}

/// Whether a group's identifier names this predecessor.
///
/// # Errors
/// If the provider has no SHA-256.
pub fn is_successor(
    provider: &dyn CryptoProvider,
    successor: &GroupId,
    predecessor: &GroupId,
) -> Result<bool, CryptoError> {
    let Some((random, _)) = successor.split_first_chunk::<HALF>() else { return Ok(false) };
    Ok(successor_id(provider, predecessor, *random)? == *successor)
}
