use super::records::RecordsError;
use conclave_mls::crypto::CryptoError;
use core::fmt;

/// Why a directory did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DirectoryError {
    /// The records failed.
    Records(RecordsError),
    /// A record is damaged, or missing.
    Damaged(&'static str),
    /// The records are of a directory that hides names with another key, or that another service signs.
    OtherKeys,
    /// Another process published at the same time. Nothing was published; try again.
    Raced,
    /// A name is empty, or longer than [`MAX_NAME`](crate::MAX_NAME) bytes.
    Name(Vec<u8>),
    /// A name is twice in one batch.
    Twice(Vec<u8>),
    /// An account log is not longer than the published one of the name, which it does not equal.
    NotLonger(Vec<u8>),
    /// The name has no entry.
    NoEntry,
    /// There is no directory of this epoch, or the epochs do not ascend.
    NoEpoch,
    /// The answer would be too large to be checked: ask for fewer epochs, or versions.
    TooLarge,
    /// The provider failed.
    Crypto(CryptoError),
    /// The tree failed, for this reason.
    Tree(String),
}

impl fmt::Display for DirectoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown =
            |name: &[u8]| -> String { String::from_utf8_lossy(name).escape_debug().collect() };
        match self {
            Self::Records(error) => error.fmt(f),
            Self::Damaged(what) => write!(f, "the directory's records are damaged: {what}"),
            Self::OtherKeys => f.write_str(
                "these records are of a directory with other keys: restore its keys, or begin a \
                 new directory",
            ),
            Self::Raced => f.write_str("another process published at the same time"),
            Self::Name(name) => write!(f, "\"{}\" cannot be a name", shown(name)),
            Self::Twice(name) => write!(f, "\"{}\" is twice in one batch", shown(name)),
            Self::NotLonger(name) => write!(
                f,
                "the account log of \"{}\" is not longer than the published one",
                shown(name)
            ),
            Self::NoEntry => f.write_str("the name has no entry"),
            Self::NoEpoch => f.write_str("there are no such epochs"),
            Self::TooLarge => f.write_str("the answer would be too large"),
            Self::Crypto(error) => error.fmt(f),
            Self::Tree(why) => write!(f, "the tree failed: {why}"),
        }
    }
}

impl core::error::Error for DirectoryError {}

impl From<RecordsError> for DirectoryError {
    fn from(error: RecordsError) -> Self {
        Self::Records(error)
    }
}

impl From<CryptoError> for DirectoryError {
    fn from(error: CryptoError) -> Self {
        Self::Crypto(error)
    }
}
