//! The names of devices in certificates.

use conclave_account::DeviceId;
use conclave_mls::Credential;
use conclave_x509::{EndEntity, PresentedIdentifiers};
use core::fmt;

/// What the URIs of MIMI's identifiers begin with (draft-ietf-mimi-protocol-06 section 4).
const SCHEME: &str = "mimi://";
/// What stands between user and device: unreserved in URIs, and in no name.
const BETWEEN: char = '~';
/// The longest domain, in bytes (RFC 1035 section 2.3.4).
const MAX_DOMAIN: usize = 253;

/// A text that is no domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DomainError;

impl fmt::Display for DomainError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a domain has labels of a-z, 0-9 and '-' with dots between them, such as example.com",
        )
    }
}

impl core::error::Error for DomainError {}

/// Checks that a text is a domain in lower case.
///
/// # Errors
/// If it is not.
pub fn check_domain(domain: &str) -> Result<(), DomainError> {
    let is_label = |label: &str| {
        let is_letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        (1..=63).contains(&label.len())
            && label.bytes().all(is_letter)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    match domain.len() <= MAX_DOMAIN && domain.split('.').all(is_label) {
        true => Ok(()),
        false => Err(DomainError),
    }
}

/// The URI that names a device of a domain.
#[must_use]
pub fn device_uri(domain: &str, device: &DeviceId) -> String {
    format!("{SCHEME}{domain}/d/{}{BETWEEN}{}", device.user, device.device)
}

/// The URI that names a domain.
pub(crate) fn domain_uri(domain: &str) -> String {
    format!("{SCHEME}{domain}")
}

/// What a certificate's names say in MIMI's way. None unless exactly one of its URIs is one of MIMI's: of two names,
/// nobody could say which is meant.
fn only_uri(presented: &PresentedIdentifiers) -> Option<&str> {
    let mut ours = presented.uris.iter().filter_map(|uri| uri.strip_prefix(SCHEME));
    let only = ours.next()?;
    ours.next().is_none().then_some(only)
}

/// The domain that a root's certificate names.
pub(crate) fn domain_in(presented: &PresentedIdentifiers) -> Option<&str> {
    only_uri(presented).filter(|domain| check_domain(domain).is_ok())
}

/// The domain and device that a device's certificate names.
pub(crate) fn device_in(presented: &PresentedIdentifiers) -> Option<(&str, DeviceId)> {
    let (domain, device) = only_uri(presented)?.split_once("/d/")?;
    check_domain(domain).ok()?;
    let (user, device) = device.split_once(BETWEEN)?;
    Some((domain, DeviceId::new(user.parse().ok()?, device.parse().ok()?)))
}

/// The device that a credential names, be it a basic one or a certificate. Nothing about it is verified: ask this of
/// credentials that were judged.
#[must_use]
pub fn device_of(credential: &Credential) -> Option<DeviceId> {
    match credential {
        Credential::X509 { .. } => Some(device_in(&EndEntity::of(credential)?.presented)?.1),
        _ => DeviceId::from_identity(credential.identity()?).ok(),
    }
}
