//! What was done how often, and what went wrong.

use crate::failure::Failure;
use crate::feature::Feature;
use crate::stack::Stack;
use crate::suite::Suite;
use std::collections::BTreeMap;

/// Who did what to whom in which suite.
pub type Cell = (Feature, Stack, Stack, Suite);

/// Counts.
#[derive(Default)]
pub struct Tally {
    /// How often it went well.
    pub passed: BTreeMap<Cell, u64>,
    /// What went wrong, with the command that repeats it.
    pub failed: Vec<(Failure, Suite, String)>,
    /// Known differences that were looked for and showed, with the reason that the stack gave.
    pub shown: Vec<(Failure, Suite)>,
    /// Known differences that were looked for and did not show.
    pub gone: Vec<Cell>,
    /// Scripts that ended early by a difference that shows in some groups only, by its mark.
    pub met: BTreeMap<char, u64>,
    /// How often all members of a group were seen to agree.
    pub epochs: u64,
    /// How often a member read another's message.
    pub messages: u64,
    /// How many scripts were run.
    pub scripts: u64,
}

impl Tally {
    /// It went well.
    pub fn passed(&mut self, feature: Feature, actor: Stack, receiver: Stack, suite: Suite) {
        *self.passed.entry((feature, actor, receiver, suite)).or_default() += 1;
    }

    /// Whether it went well at least once.
    pub fn has_passed(&self, cell: Cell) -> bool {
        self.passed.contains_key(&cell)
    }
}
