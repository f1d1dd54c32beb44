//! The reason why a vector failed.

use std::fmt::Display;

/// The reason why a vector failed, for a person to read. Any error converts into it.
#[derive(Debug)]
pub struct Problem(String);

impl Problem {
    /// A problem in these words.
    pub fn new(text: impl Display) -> Self {
        Self(text.to_string())
    }

    /// The words.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }
}

// `Problem` is no `Error` itself, so this does not overlap with the reflexive `From`.
impl<E: core::error::Error> From<E> for Problem {
    fn from(e: E) -> Self {
        Self(e.to_string())
    }
}

/// Says where a problem occurred.
pub(super) trait At<T> {
    /// Puts `place` before the problem.
    ///
    /// # Errors
    /// If this is a problem.
    fn at(self, place: impl Display) -> Result<T, Problem>;
}

impl<T, E: Into<Problem>> At<T> for Result<T, E> {
    fn at(self, place: impl Display) -> Result<T, Problem> {
        self.map_err(|e| Problem(format!("{place}: {}", e.into().0)))
    }
}

impl<T> At<T> for Option<T> {
    fn at(self, place: impl Display) -> Result<T, Problem> {
        self.ok_or_else(|| Problem(place.to_string()))
    }
}

/// Checks that a condition holds.
///
/// # Errors
/// `what`, if it does not.
pub(super) fn ensure(holds: bool, what: impl Display) -> Result<(), Problem> {
    if holds { Ok(()) } else { Err(Problem::new(what)) }
}
