//! Test vectors: all 16 kinds of the working group's files, those of a draft and those of this project,
//! checked and generated.
//!
//! Each format has a module with its structure, the check of a vector, and the generation of one.
//! [`check()`] checks a file with any number of crypto providers, each on the suites that it supports;
//! [`generate()`] makes a file from a seed.

mod cast;
mod check;
mod compare;
mod components;
mod crypto_basics;
mod deserialization;
mod generate;
pub mod hex;
mod key_schedule;
mod keys;
mod kind;
mod message_protection;
mod messages;
mod passive_client;
mod problem;
mod proposals_of_components;
mod psk_secret;
mod sample;
mod secret_tree;
mod targeted_messages;
mod transcript_hashes;
mod tree_math;
mod tree_operations;
mod tree_validation;
mod treekem;
mod trees;
mod welcome;

pub use check::{CheckError, Failure, Report, check};
pub use generate::{GenerateError, generate};
pub use kind::Kind;
pub use problem::Problem;

use crate::SeededRng;
use conclave_crypto::Suite;
use serde::{Serialize, de::DeserializeOwned};

/// A format whose vectors do not depend on a cipher suite.
trait PlainVector: Serialize + DeserializeOwned {
    /// Verifies everything that the format's description asks for.
    fn check(&self) -> Result<(), Problem>;

    /// Makes vectors for a file.
    fn generate(rng: &mut SeededRng) -> Result<Vec<Self>, Problem>;
}

/// A format whose vectors each name a cipher suite.
trait SuiteVector: Serialize + DeserializeOwned {
    /// The suite's code point.
    fn cipher_suite(&self) -> u16;

    /// Verifies everything that the format's description asks for.
    fn check(&self, suite: &Suite<'_>, rng: &mut SeededRng) -> Result<(), Problem>;

    /// Makes vectors of one suite for a file of a kind with this format.
    fn generate(kind: Kind, suite: &Suite<'_>, rng: &mut SeededRng) -> Result<Vec<Self>, Problem>;
}
