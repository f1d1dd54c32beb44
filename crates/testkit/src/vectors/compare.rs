//! Comparing computed values with those of a file.

use super::hex;
use super::problem::{Problem, ensure};
use std::fmt::{Debug, Display};

/// Checks that computed bytes are those of the file.
///
/// # Errors
/// If they differ.
pub(super) fn same(what: impl Display, computed: &[u8], listed: &[u8]) -> Result<(), Problem> {
    ensure(
        computed == listed,
        format_args!("{what} is {}, the file has {}", shown(computed), shown(listed)),
    )
}

/// Checks that a computed value is that of the file.
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
