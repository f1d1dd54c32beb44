//! Why something is not valid.

use conclave_mls::Error;
use conclave_mls::error::Rejection;
use conclave_mls::observe::GroupInfoMisfit;
use conclave_mls::wire::ComponentId;
use core::fmt;

/// Why something is refused. Nothing is to be stored then.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// It breaks a rule, does not verify, or is of a suite that is not supported.
    Mls(Error),
    /// The GroupInfo does not fit the group: why, and where.
    GroupInfo(Error, Vec<GroupInfoMisfit>),
    /// The commit updates the data of these components, and [`Answers::app_data`](crate::Answers::app_data) does not
    /// have as many values.
    AppDataMissing(Vec<ComponentId>),
    /// This Welcome, by its index, is for somebody whom the commit does not add.
    WelcomeForNobody(usize),
    /// Somebody whom the commit adds, by its index in [`MessageVerdict::added`](crate::MessageVerdict::added), is in no
    /// Welcome, or in several.
    NotWelcomedOnce(usize),
}

impl Refusal {
    /// A stable name, for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Mls(error) | Self::GroupInfo(error, _) => match error {
                Error::Malformed(_) => "malformed",
                Error::Rejected(Rejection::WrongEpoch { .. }) => "wrong-epoch",
                Error::Rejected(Rejection::WrongGroup) => "wrong-group",
                Error::Rejected(_) => "rejected",
                Error::Crypto(_) => "unsupported",
                Error::Storage(_) => "bad-state",
                _ => "invalid",
            },
            Self::AppDataMissing(_) => "app-data-missing",
            Self::WelcomeForNobody(_) => "welcome-for-nobody",
            Self::NotWelcomedOnce(_) => "not-welcomed-once",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mls(e) => fmt::Display::fmt(e, f),
            Self::GroupInfo(e, misfits) => {
                let fields: Vec<&str> = misfits.iter().map(|misfit| misfit.field).collect();
                write!(f, "{e}: the GroupInfo does not fit the group in {}", fields.join(", "))
            }
            Self::AppDataMissing(components) => {
                write!(f, "the commit updates the data of components")?;
                components.iter().try_for_each(|id| write!(f, " {:#06x}", id.0))?;
                write!(f, ": say what becomes of it, a value for each")
            }
            Self::WelcomeForNobody(index) => {
                write!(f, "Welcome {index} is for a key package that the commit does not add")
            }
            Self::NotWelcomedOnce(index) => {
                write!(f, "newcomer {index} of the commit is not in exactly one Welcome")
            }
        }
    }
}

impl core::error::Error for Refusal {}

impl From<Error> for Refusal {
    fn from(e: Error) -> Self {
        Self::Mls(e)
    }
}
