use super::{Details, ErrorCode};
use core::fmt;
use core::time::Duration;

/// Why a call gave no reply: what whoever makes calls says to whoever decides on them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CallError {
    /// Nobody answers at this address. Nothing is known to have happened there; to try again is
    /// safe.
    Unreachable {
        /// The service's address.
        url: String,
        /// What the system says.
        reason: String,
    },
    /// The service refused, and changed nothing.
    Refused {
        /// Why.
        code: ErrorCode,
        /// A sentence for people.
        detail: String,
        /// What can be done about it, if the service says so.
        details: Option<Box<Details>>,
    },
    /// The service refused because this client sends too much, or because there is too much to do, and changed
    /// nothing: the same call may succeed later.
    Postponed {
        /// Why.
        code: ErrorCode,
        /// A sentence for people.
        detail: String,
        /// How long the service asks to wait.
        retry_after: Duration,
    },
    /// What answers is no Conclave service, or one of another version.
    Strange(String),
    /// The request is too long to be encoded.
    TooLong,
    /// The request cannot be signed.
    Unsigned(String),
}

impl CallError {
    /// Why the service refused, if it did.
    #[must_use]
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Refused { code, .. } | Self::Postponed { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// A refusal without details.
    #[must_use]
    pub fn refused(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self::Refused { code, detail: detail.into(), details: None }
    }

    /// What can be done about a refusal, if the service said so.
    #[must_use]
    pub fn details(&self) -> Option<&Details> {
        match self {
            Self::Refused { details, .. } => details.as_deref(),
            _ => None,
        }
    }

    /// How long the service asks this client to wait, if it does.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Postponed { retry_after, .. } => Some(*retry_after),
            _ => None,
        }
    }

    /// Whether the same call may succeed later: nobody answered, or the service could not just
    /// then. All operations can be repeated without harm.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Postponed { .. } => true,
            Self::Refused { code, .. } => *code == ErrorCode::Unavailable,
            Self::Strange(_) | Self::TooLong | Self::Unsigned(_) => false,
        }
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable { url, reason } => {
                write!(f, "the service at {url} does not answer: {reason}")
            }
            Self::Refused { code, detail, .. } | Self::Postponed { code, detail, .. } => {
                write!(f, "the service refuses ({code}): {detail}")
            }
            Self::Strange(what) => write!(f, "the service's answer makes no sense: {what}"),
            Self::TooLong => f.write_str("the request is too long"),
            Self::Unsigned(reason) => write!(f, "the request cannot be signed: {reason}"),
        }
    }
}

impl core::error::Error for CallError {}
