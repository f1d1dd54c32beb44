//! Why a vector failed.

use super::hex;
use std::fmt::{Debug, Display};

/// Why a vector failed, for a person to read. Any error becomes one.
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
    /// If this is one.
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

/// That a condition holds.
///
/// # Errors
/// `what`, if it does not.
pub(super) fn ensure(holds: bool, what: impl Display) -> Result<(), Problem> {
    if holds { Ok(()) } else { Err(Problem::new(what)) }
}

/// That computed bytes are those of the file.
///
/// # Errors
/// If they differ.
pub(super) fn same(what: impl Display, computed: &[u8], listed: &[u8]) -> Result<(), Problem> {
    ensure(
        computed == listed,
        format_args!("{what} is {}, the file has {}", shown(computed), shown(listed)),
    )
}

/// That a computed value is that of the file.
///
/// # Errors
/// If they differ.
pub(super) fn same_value<T: PartialEq + Debug>(
    what: impl Display,
    computed: &T,
    listed: &T,
) -> Result<(), Problem> {
    ensure(computed == listed, format_args!("{what} is {computed:?}, the file has {listed:?}"))
}

/// Bytes, shortened: enough to find them in a file.
fn shown(bytes: &[u8]) -> String {
    const SHOWN: usize = 12;
    match bytes.split_at_checked(SHOWN) {
        _ if bytes.is_empty() => "empty".to_owned(),
        Some((head, rest)) if !rest.is_empty() => {
            format!("{}… ({} bytes)", hex::encode(head), bytes.len())
        }
        _ => hex::encode(bytes),
    }
}
