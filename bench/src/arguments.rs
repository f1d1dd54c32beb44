//! Arguments of the command line.

use crate::client::Result;

/// The values of a comma-separated list.
pub fn list<T>(value: &str, of: impl Fn(&str) -> Option<T>) -> Result<Vec<T>> {
    let one = |name: &str| of(name).ok_or_else(|| format!("what is {name}?").into());
    value.split(',').map(one).collect()
}
