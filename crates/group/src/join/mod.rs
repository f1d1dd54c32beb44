//! The ways into a group: creating one (section 11), by a Welcome and by an external commit
//! (section 12.4.3).

pub(crate) mod by_welcome;
pub(crate) mod create;
pub(crate) mod external;
pub(crate) mod pending;
