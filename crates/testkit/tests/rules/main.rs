//! The rules of `docs/rules.md` that have no test beside the code, and that the table is true.
//!
//! Every forged message of this binary is refused through one function, `Scene::refused_by_all`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod credentials;
mod extensibility;
mod external;
mod framing;
mod joining;
mod leaves;
mod links;
mod lists;
mod paths;
mod policy;
mod scene;
mod table;
