//! Differences between the stacks that are known and explained. Scripts go around them; each that
//! is more than a missing function is looked for by a script of its own, so that this table cannot
//! outlive what it says.

use crate::feature::Feature;
use crate::stack::Stack;

/// Whose a difference is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The stack has no function for it.
    Lacks,
    /// A stack departs from RFC 9420.
    Theirs,
    /// The RFC leaves it open.
    Open,
}

/// A difference.
#[derive(Debug)]
pub struct Difference {
    /// Its mark in the matrix.
    pub mark: char,
    /// What it concerns.
    pub features: &'static [Feature],
    /// Whom as an actor; nobody in particular.
    pub actor: Option<Stack>,
    /// Whom as a receiver.
    pub receiver: Option<Stack>,
    /// Whose it is.
    pub blame: Blame,
    /// What happens, and what the RFC says.
    pub text: &'static str,
}

impl Difference {
    /// Whether there is something to see.
    pub fn can_be_probed(&self) -> bool {
        self.blame != Blame::Lacks
    }

    fn covers(&self, feature: Feature, actor: Stack, receiver: Stack) -> bool {
        self.features.contains(&feature)
            && self.actor.is_none_or(|stack| stack == actor)
            && self.receiver.is_none_or(|stack| stack == receiver)
    }
}

/// The difference that concerns a cell.
pub fn find(feature: Feature, actor: Stack, receiver: Stack) -> Option<&'static Difference> {
    ALL.iter().find(|difference| difference.covers(feature, actor, receiver))
}

/// All of them.
pub const ALL: &[Difference] = &[
    Difference {
        mark: 'a',
        features: &[Feature::ReInit, Feature::ReInitSuite, Feature::Branch],
        actor: Some(Stack::OpenMls),
        receiver: None,
        blame: Blame::Lacks,
        text: "OpenMLS has no function that proposes a ReInit or opens a branch.",
    },
    Difference {
        mark: 'b',
        features: &[Feature::ReInit, Feature::ReInitSuite, Feature::Branch],
        actor: None,
        receiver: Some(Stack::OpenMls),
        blame: Blame::Lacks,
        text: "OpenMLS has no function that joins a successor or a branch.",
    },
    Difference {
        mark: 'c',
        features: &[Feature::ProposeUpdate],
        actor: Some(Stack::TsMls),
        receiver: None,
        blame: Blame::Lacks,
        text: "ts-mls has no function that proposes an update of the own leaf and keeps its key.",
    },
    Difference {
        mark: 'd',
        features: &[Feature::ExternalJoinPsk],
        actor: Some(Stack::TsMls),
        receiver: None,
        blame: Blame::Lacks,
        text: "ts-mls takes no PSKs for an external commit.",
    },
];
