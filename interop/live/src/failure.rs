//! Failures between two stacks.

use crate::feature::Feature;
use crate::stack::Stack;

/// Something that a stack refused, or on which members do not agree.
#[derive(Clone, Debug)]
pub struct Failure {
    /// What was done.
    pub feature: Feature,
    /// The stack that did it.
    pub actor: Stack,
    /// The stack that did not follow, or the actor itself if it could not do it.
    pub receiver: Stack,
    /// Why.
    pub reason: String,
}

/// A failure in the words of a stack.
pub fn failure(
    feature: Feature,
    actor: Stack,
    receiver: Stack,
    error: &dyn std::error::Error,
) -> Failure {
    let short = error.to_string();
    let long = format!("{error:?}");
    let reason = if long.len() > short.len() + 2 && long.len() < 300 {
        format!("{short} [{long}]")
    } else {
        short
    };

    Failure { feature, actor, receiver, reason }
}
