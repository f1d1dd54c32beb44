//! The rules for leaf nodes, key packages, proposals and lists of proposals (sections 7.3, 10.1 and
//! 12).
//!
//! They see a [`GroupView`](crate::GroupView) and decide nothing that an application could decide.
//! The order in which a commit passes them is in `commit/validate.rs`.

pub(crate) mod app_data;
pub(crate) mod apply;
pub(crate) mod bindings;
pub(crate) mod components;
pub(crate) mod credentials;
pub(crate) mod key_package;
pub(crate) mod leaf;
pub(crate) mod list;
pub(crate) mod proposal;
pub(crate) mod safe_aad;
