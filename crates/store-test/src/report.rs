//! What came out of the checks.

use crate::Place;
use conclave_store::StoreError;
use core::fmt;

/// A check: what it shows, and how.
pub(crate) struct Check<P> {
    pub(crate) name: &'static str,
    pub(crate) run: fn(&dyn Fn() -> P) -> Outcome,
}

/// Whether a check was made, or what it found.
pub(crate) type Outcome = Result<Made, Found>;

/// Whether a check was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Made {
    Yes,
    /// The place offers no means for it.
    No,
}

/// What is wrong.
#[derive(Debug)]
pub(crate) struct Found(pub(crate) String);

impl Found {
    /// The same, with where or when it was found.
    pub(crate) fn after(self, place: &str) -> Self {
        Self(format!("{place}: {}", self.0))
    }
}

impl From<StoreError> for Found {
    fn from(e: StoreError) -> Self {
        Self(format!("an operation failed that has to succeed: {e}"))
    }
}

/// Ends a check unless a condition holds.
macro_rules! ensure {
    ($condition:expr, $($found:tt)+) => {
        if !$condition {
            return Err(crate::report::Found(format!($($found)+)));
        }
    };
}
pub(crate) use ensure;

/// A check that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What was checked.
    pub check: &'static str,
    /// What was found instead.
    pub found: String,
}

/// What came out of all checks, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The checks that passed.
    pub passed: Vec<&'static str>,
    /// The checks that failed.
    pub failed: Vec<Failure>,
    /// The checks that were left out, as the place offers no means for them.
    pub left_out: Vec<&'static str>,
}

impl Report {
    pub(crate) fn run<P: Place>(&mut self, checks: Vec<Check<P>>, new: &dyn Fn() -> P) {
        for Check { name, run } in checks {
            match run(new) {
                Ok(Made::Yes) => self.passed.push(name),
                Ok(Made::No) => self.left_out.push(name),
                Err(Found(found)) => self.failed.push(Failure { check: name, found }),
            }
        }
    }

    pub(crate) fn skip<P>(&mut self, checks: &[Check<P>]) {
        self.left_out.extend(checks.iter().map(|check| check.name));
    }

    #[allow(clippy::panic, reason = "this is how a test fails")]
    pub(crate) fn assert_passed(&self) {
        if !self.failed.is_empty() {
            panic!("{self}");
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { passed, failed, left_out } = self;
        write!(f, "{} checks passed, {} failed", passed.len(), failed.len())?;
        for Failure { check, found } in failed {
            write!(f, "\n  failed: {check}: {found}")?;
        }
        for check in left_out {
            write!(f, "\n  left out: {check}")?;
        }
        Ok(())
    }
}
