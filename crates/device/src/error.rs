use conclave_mls::error::ApplyError;
use conclave_store::StoreError;
use core::fmt;

/// Errors of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The library refused: [`remedy`](conclave_mls::Error::remedy) says what to do.
    Mls(conclave_mls::Error),
    /// The store failed. If the write [may have
    /// happened](conclave_mls::storage::WriteError::may_have_written), load the room again.
    Store(StoreError),
    /// An earlier write may have happened although it failed: load the room again.
    Reload,
    /// The store has no key package that the Welcome is for: it was used, or is another device's.
    NoKeyPackage,
    /// The store has an identity of this name with another credential or cipher suite.
    OtherIdentity,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mls(e) => e.fmt(f),
            Self::Store(e) => e.fmt(f),
            Self::Reload => f.write_str(
                "an earlier write may have happened although it failed: load the room again",
            ),
            Self::NoKeyPackage => f.write_str(
                "the Welcome is for no key package in the store: it was used, or is another device's",
            ),
            Self::OtherIdentity => f.write_str(
                "the store has an identity of this name with another credential or cipher suite",
            ),
        }
    }
}

impl core::error::Error for Error {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Mls(e) => Some(e),
            Self::Store(e) => Some(e),
            Self::Reload | Self::NoKeyPackage | Self::OtherIdentity => None,
        }
    }
}

impl From<conclave_mls::Error> for Error {
    fn from(e: conclave_mls::Error) -> Self {
        Self::Mls(e)
    }
}

impl From<StoreError> for Error {
    fn from(e: StoreError) -> Self {
        Self::Store(e)
    }
}

impl From<ApplyError<StoreError>> for Error {
    fn from(e: ApplyError<StoreError>) -> Self {
        match e {
            ApplyError::Write(e) => Self::Store(e),
            // A step borrows its room, so that only an unknown outcome can part them.
            ApplyError::Stale | ApplyError::Reload => Self::Reload,
        }
    }
}
