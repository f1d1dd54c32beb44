//! How often each thing was done, and what went wrong.

use crate::failure::Failure;
use crate::feature::Feature;
use crate::stack::Stack;
use crate::suite::Suite;
use std::collections::BTreeMap;

/// What was done, by which stack, to which, and in which suite.
pub type Cell = (Feature, Stack, Stack, Suite);

/// Counts.
#[derive(Default)]
pub struct Tally {
    /// How often each cell passed.
    pub passed: BTreeMap<Cell, u64>,
    /// What went wrong, with the command that repeats it.
    pub failed: Vec<(Failure, Suite, String)>,
    /// Known differences that a probe found, with the reason that the stack gave.
    pub shown: Vec<(Failure, Suite)>,
    /// Known differences that a probe did not find any more.
    pub gone: Vec<Cell>,
    /// How many scripts ended early because of a difference that shows only in some groups, by its mark.
    pub met: BTreeMap<char, u64>,
    /// In how many epochs all members agreed.
    pub epochs: u64,
    /// How many messages were read.
    pub messages: u64,
    /// How many scripts ran.
    pub scripts: u64,
}

impl Tally {
    /// Counts a cell that passed.
    pub fn passed(&mut self, feature: Feature, actor: Stack, receiver: Stack, suite: Suite) {
        *self.passed.entry((feature, actor, receiver, suite)).or_default() += 1;
    }

    /// Whether a cell passed at least once.
    pub fn has_passed(&self, cell: Cell) -> bool {
        self.passed.contains_key(&cell)
    }
}
