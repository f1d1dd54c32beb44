//! Why the service refuses, and why it does not open.

use crate::storage::StorageError;
use conclave_delivery_api::{Details, DeviceId, ErrorCode, Mode, Name};
use conclave_directory::server::DirectoryError;
use conclave_mls::crypto::CryptoError;
use core::fmt;
use core::time::Duration;

/// A refusal: nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceError {
    /// What kind of refusal.
    pub code: ErrorCode,
    /// A sentence for people.
    pub detail: String,
    /// What its client can do about it, if there is something.
    pub details: Option<Box<Details>>,
    /// The limit that was met, if waiting helps.
    pub limit: Option<Limit>,
}

/// A limit that was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// What it is of.
    pub name: &'static str,
    /// When the same request fits into it.
    pub wait: Duration,
}

impl ServiceError {
    pub(crate) fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), details: None, limit: None }
    }

    /// The same refusal with details.
    pub(super) fn with(self, details: Details) -> Self {
        Self { details: Some(Box::new(details)), ..self }
    }

    /// There was too much of something in too short a time.
    pub(crate) fn too_fast(what: &str, name: &'static str, wait: Duration) -> Self {
        let seconds = whole_seconds(wait);
        let detail = format!("there are too many {what} ({name}): try again in {seconds} s");
        Self { limit: Some(Limit { name, wait }), ..Self::new(ErrorCode::RateLimited, detail) }
    }

    pub(super) fn too_many(what: impl Into<String>) -> Self {
        Self::new(ErrorCode::TooMany, what)
    }

    pub(super) fn invalid(what: impl fmt::Display) -> Self {
        Self::new(ErrorCode::Invalid, what.to_string())
    }

    pub(super) fn not_member() -> Self {
        Self::new(ErrorCode::NotMember, "the device is not in the group")
    }

    pub(super) fn unknown_user(user: &Name) -> Self {
        Self::new(ErrorCode::UnknownUser, format!("there is no user {user}"))
    }

    pub(super) fn blocked(user: &Name) -> Self {
        let detail = format!("{user} is blocked: only whoever runs the service can change that");
        Self::new(ErrorCode::Blocked, detail)
    }

    pub(super) fn revoked(device: &DeviceId) -> Self {
        Self::new(ErrorCode::Revoked, format!("{device} was revoked, or has another key now"))
    }
}

/// At least one, as it stands in texts and headers.
pub(crate) fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)).max(1)
}

impl fmt::Display for ServiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.detail)
    }
}

impl core::error::Error for ServiceError {}

impl From<StorageError> for ServiceError {
    fn from(e: StorageError) -> Self {
        Self::new(ErrorCode::Unavailable, e.to_string())
    }
}

/// Why a service cannot run over a storage.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpenError {
    /// The storage cannot be read.
    Storage(StorageError),
    /// The directory in it cannot be read, or is of other keys.
    Directory(DirectoryError),
    /// What is in it is of a service of this mode, and not of this one's.
    Mode(Mode),
    /// The provider cannot do what the service needs.
    Crypto(CryptoError),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Storage(e) => fmt::Display::fmt(e, f),
            Self::Directory(e) => fmt::Display::fmt(e, f),
            Self::Mode(Mode::Accounts) => f.write_str(
                "the state is of a service with accounts: start it without --trust, or in another folder",
            ),
            Self::Mode(Mode::Certificates) => f.write_str(
                "the state is of a service whose devices are certified: start it with --trust, or in another folder",
            ),
            Self::Crypto(e) => fmt::Display::fmt(e, f),
        }
    }
}

impl core::error::Error for OpenError {}

impl From<StorageError> for OpenError {
    fn from(e: StorageError) -> Self {
        Self::Storage(e)
    }
}

impl From<DirectoryError> for OpenError {
    fn from(e: DirectoryError) -> Self {
        Self::Directory(e)
    }
}

impl From<CryptoError> for OpenError {
    fn from(e: CryptoError) -> Self {
        Self::Crypto(e)
    }
}

/// The provider has no SHA-256, or failed.
pub(super) fn provider_error(e: CryptoError) -> ServiceError {
    ServiceError::new(ErrorCode::Unavailable, e.to_string())
}

/// The refusal of a message that MLS or a policy rejects: `not-allowed` if it is a policy, that of the room or of the
/// service.
pub(super) fn refused_by_rules(e: conclave_mls::Error) -> ServiceError {
    match e {
        conclave_mls::Error::Rejected(conclave_mls::error::Rejection::RefusedByPolicy {
            reason,
        }) => ServiceError::new(ErrorCode::NotAllowed, reason.to_string()),
        other => ServiceError::invalid(other),
    }
}
