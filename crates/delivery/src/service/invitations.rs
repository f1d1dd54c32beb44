//! Invitations: what lets one new account in.
//!
//! ```text
//! struct { opaque number[16]; uint64 expires_at; opaque mac[16]; } Invitation;
//! ```
//!
//! The MAC is HMAC-SHA256 with the service's secret, cut to 16 bytes. So whoever reads the service's state can make one
//! while the service runs; that each is used once, the service sees to.

use conclave_delivery_api::sha256;
use conclave_mls::UnixTime;
use conclave_mls::crypto::{CryptoError, CryptoProvider, CryptoRng, Hash, Secret};

pub(super) const NUMBER: usize = 16;
const MAC: usize = 16;
/// The length of an invitation, in bytes.
pub const INVITATION: usize = NUMBER + 8 + MAC;

fn mac(
    provider: &dyn CryptoProvider,
    secret: &Secret,
    content: &[u8],
) -> Result<Secret, CryptoError> {
    let mac = provider.hmac(Hash::Sha256, secret, &[b"invitation\0", content])?;
    Ok(Secret::copy_from(mac.get(..MAC).unwrap_or_default()))
}

/// An invitation of a service with this secret, good until a time.
///
/// # Errors
/// If the provider has no SHA-256.
pub fn invitation(
    provider: &dyn CryptoProvider,
    secret: &Secret,
    rng: &mut dyn CryptoRng,
    expires_at: UnixTime,
) -> Result<Vec<u8>, CryptoError> {
    let mut number = [0; NUMBER];
    rng.fill_bytes(&mut number);
    numbered(provider, secret, number, expires_at)
}

/// The invitation of a number, which must be random.
pub(super) fn numbered(
    provider: &dyn CryptoProvider,
    secret: &Secret,
    number: [u8; NUMBER],
    expires_at: UnixTime,
) -> Result<Vec<u8>, CryptoError> {
    let mut invitation = number.to_vec();
    invitation.extend(expires_at.as_secs().to_be_bytes());
    let mac = mac(provider, secret, &invitation)?;
    invitation.extend(mac.expose());
    Ok(invitation)
}

/// Whether this is an invitation of the service's that is good now; its hash.
pub(super) fn check(
    provider: &dyn CryptoProvider,
    secret: &Secret,
    invitation: &[u8],
    now: UnixTime,
) -> Result<[u8; 32], String> {
    let wrong = || "this is no invitation to this service".to_string();
    if invitation.len() != INVITATION {
        return Err(wrong());
    }
    let (content, found) = invitation.split_at(NUMBER + 8);
    let expected = mac(provider, secret, content).map_err(|e| e.to_string())?;
    // In constant time.
    if expected != Secret::copy_from(found) {
        return Err(wrong());
    }

    let expires_at = content.last_chunk().map_or(0, |bytes: &[u8; 8]| u64::from_be_bytes(*bytes));
    if expires_at <= now.as_secs() {
        return Err("this invitation has expired".into());
    }
    Ok(sha256(invitation))
}
