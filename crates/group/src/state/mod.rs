//! The state of a group as a member or an observer holds it, and what waits in it.

pub(crate) mod checkpoints;
pub(crate) mod exporter;
pub(crate) mod group;
pub(crate) mod link;
pub(crate) mod pending;
pub(crate) mod public;
pub(crate) mod stored;
pub(crate) mod targeted;
