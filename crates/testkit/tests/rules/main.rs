//! The rules of `docs/rules.md` that have no test beside the code; and a check that the table is true.
//!
//! One function, `Scene::refused_by_all`, checks the refusal of all forged messages here.
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
