//! Failed calls, as gRPC statuses.

use conclave_mls::crypto::CryptoError;
use conclave_mls::error::{Error, Misuse, Rejection};
use conclave_mls::wire::{DecodeError, EncodeError};
use std::fmt::Display;
use tonic::Status;

/// A failed call.
#[derive(Debug)]
pub(crate) struct Failure(pub(crate) Status);

impl Failure {
    /// An id that names nothing.
    pub(crate) fn unknown(what: &str, id: u32) -> Self {
        Self(Status::not_found(format!("there is no {what} {id}")))
    }

    /// A request with invalid arguments.
    pub(crate) fn invalid(why: impl Display) -> Self {
        Self(Status::invalid_argument(why.to_string()))
    }

    /// A request that the current state does not allow.
    pub(crate) fn not_now(why: impl Display) -> Self {
        Self(Status::failed_precondition(why.to_string()))
    }

    /// A failure that should be impossible.
    pub(crate) fn internal(why: impl Display) -> Self {
        Self(Status::internal(why.to_string()))
    }
}

impl From<Error> for Failure {
    fn from(e: Error) -> Self {
        match &e {
            Error::Malformed(_)
            | Error::Rejected(_)
            | Error::Crypto(CryptoError::UnsupportedSuite(_) | CryptoError::InvalidLength) => {
                Self::invalid(e)
            }
            Error::Misuse(_) => Self::not_now(e),
            _ => Self::internal(e),
        }
    }
}

impl From<Misuse> for Failure {
    fn from(e: Misuse) -> Self {
        Error::from(e).into()
    }
}

impl From<Rejection> for Failure {
    fn from(e: Rejection) -> Self {
        Error::from(e).into()
    }
}

impl From<CryptoError> for Failure {
    fn from(e: CryptoError) -> Self {
        Error::from(e).into()
    }
}

impl From<DecodeError> for Failure {
    fn from(e: DecodeError) -> Self {
        Error::from(e).into()
    }
}

impl From<EncodeError> for Failure {
    fn from(e: EncodeError) -> Self {
        Error::from(e).into()
    }
}
