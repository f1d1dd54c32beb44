//! Commits (section 12.4): validated, sealed, and taken into a new epoch.

pub(crate) mod advance;
pub(crate) mod choose;
pub(crate) mod draft;
pub(crate) mod epoch;
pub(crate) mod finish;
pub(crate) mod options;
pub(crate) mod own;
pub(crate) mod seal;
pub(crate) mod validate;
pub(crate) mod welcome;
