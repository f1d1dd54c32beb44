//! Errors.

use conclave_store::StoreError;
use core::fmt;

/// Errors of a history.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HistoryError {
    /// The store cannot be read.
    Store(StoreError),
    /// A row holds what no version has written: which kind of row.
    Damaged(&'static str),
    /// A row was written by a later version: which kind of row.
    Newer(&'static str),
    /// A room's URI is too long for message identifiers.
    RoomUri,
    /// There is no such room.
    NoRoom,
}

impl fmt::Display for HistoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(e) => fmt::Display::fmt(e, f),
            Self::Damaged(what) => write!(f, "the history is damaged: {what} cannot be read"),
            Self::Newer(what) => {
                write!(f, "the history was written by a later version: {what} cannot be read")
            }
            Self::RoomUri => f.write_str("a room's or user's URI has more than 65535 octets"),
            Self::NoRoom => f.write_str("the history has no such room"),
        }
    }
}

impl core::error::Error for HistoryError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Store(e) => Some(e),
            _ => None,
        }
    }
}

impl From<StoreError> for HistoryError {
    fn from(e: StoreError) -> Self {
        Self::Store(e)
    }
}
