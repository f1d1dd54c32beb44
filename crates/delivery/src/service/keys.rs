//! The service's keys. All follow from its secret, which a backup has to hold.

use conclave_delivery_api::SESSION_SCHEME;
use conclave_directory::Signer;
use conclave_directory::server::NameKey;
use conclave_mls::crypto::{CryptoError, CryptoProvider, Kdf, Secret, SignatureKeyPair};

/// What the key by which the service signs is derived with.
const SIGNING_LABEL: &[u8] = b"Conclave service key";
/// What the key that hides names in the directory is derived with.
const NAMES_LABEL: &[u8] = b"Conclave directory names";

/// What the key by which the service proposes removals is derived with.
const SENDER_LABEL: &[u8] = b"Conclave external sender";
/// What the key that seals places of event streams is derived with.
const PLACES_LABEL: &[u8] = b"Conclave event places";

fn derived(
    provider: &dyn CryptoProvider,
    secret: &Secret,
    label: &[u8],
) -> Result<Secret, CryptoError> {
    provider.expand(Kdf::HkdfSha256, secret, &[label], NameKey::LEN)
}

/// The key by which the service signs: its public half is the service's identity.
pub(super) fn key_pair(
    provider: &dyn CryptoProvider,
    secret: &Secret,
) -> Result<SignatureKeyPair, CryptoError> {
    let private = derived(provider, secret, SIGNING_LABEL)?;
    let public = provider.signature_public_key(SESSION_SCHEME, &private)?;
    Ok(SignatureKeyPair::new(private, public))
}

/// The same key, for the directory.
pub(super) fn signer(key_pair: &SignatureKeyPair) -> Signer {
    Signer::new(SESSION_SCHEME, key_pair.clone())
}

/// The key by which the service proposes removals in groups that name it. It signs MLS messages, whose contents are
/// others', so it is another one than the service's own.
pub(super) fn sender(
    provider: &dyn CryptoProvider,
    secret: &Secret,
) -> Result<SignatureKeyPair, CryptoError> {
    let private = derived(provider, secret, SENDER_LABEL)?;
    let public = provider.signature_public_key(SESSION_SCHEME, &private)?;
    Ok(SignatureKeyPair::new(private, public))
}

/// The key that hides names in the directory.
pub(super) fn names(
    provider: &dyn CryptoProvider,
    secret: &Secret,
) -> Result<NameKey, CryptoError> {
    NameKey::new(derived(provider, secret, NAMES_LABEL)?).ok_or(CryptoError::InvalidLength)
}

/// The key that seals places of event streams.
pub(super) fn places(
    provider: &dyn CryptoProvider,
    secret: &Secret,
) -> Result<Secret, CryptoError> {
    derived(provider, secret, PLACES_LABEL)
}
