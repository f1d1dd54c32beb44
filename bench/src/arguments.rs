//! Arguments of the command line.

use crate::client::Result;

/// The values of a list that is separated by commas.
pub fn list<T>(value: &str, of: impl Fn(&str) -> Option<T>) -> Result<Vec<T>> {
    let one = |name: &str| of(name).ok_or_else(|| format!("what is {name}?").into());
    value.split(',').map(one).collect()
}
