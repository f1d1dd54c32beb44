//! Counts of exchanged messages.

use std::fmt;
use std::ops::AddAssign;

/// Counts over one run or many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Runs of a script.
    pub runs: u64,
    /// Calls of services.
    pub calls: u64,
    /// Groups created.
    pub groups: u64,
    /// Epochs that groups entered.
    pub epochs: u64,
    /// Entries of a member into an epoch, by a commit or a Welcome.
    pub steps: u64,
    /// Proposals sent.
    pub proposals: u64,
    /// Commits sent.
    pub commits: u64,
    /// Joins by a Welcome.
    pub welcomes: u64,
    /// Application messages sent.
    pub application: u64,
    /// Application messages read.
    pub read: u64,
    /// Comparisons of all members' views.
    pub agreements: u64,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.runs += other.runs;
        self.calls += other.calls;
        self.groups += other.groups;
        self.epochs += other.epochs;
        self.steps += other.steps;
        self.proposals += other.proposals;
        self.commits += other.commits;
        self.welcomes += other.welcomes;
        self.application += other.application;
        self.read += other.read;
        self.agreements += other.agreements;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { runs, calls, groups, epochs, steps, proposals, commits, .. } = self;
        let Self { welcomes, application, read, agreements, .. } = self;
        write!(
            f,
            "{runs} runs, {calls} calls: {groups} groups, {epochs} epochs, {steps} steps of members \
             into them; {proposals} proposals, {commits} commits, {welcomes} joins by Welcome, \
             {application} application messages read {read} times; {agreements} comparisons of \
             all members"
        )
    }
}
