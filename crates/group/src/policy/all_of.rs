//! Two policies as one.

use crate::credentials::Verdict;
use crate::policy::{Policy, Proposed, ProposedCommit};
use crate::view::GroupView;
use alloc::vec::Vec;
use conclave_wire::Sender;

/// A policy that asks two others: what either refuses is refused. [`Rules::and`](crate::Rules::and)
/// makes it.
#[derive(Clone, Debug)]
pub struct AllOf<A, B> {
    first: A,
    second: B,
}

impl<A: Policy, B: Policy> AllOf<A, B> {
    /// Asks `first`, and if that accepts, `second`.
    pub fn new(first: A, second: B) -> Self {
        Self { first, second }
    }

    /// Asks another policy as well.
    pub fn and<C: Policy>(self, other: C) -> AllOf<Self, C> {
        AllOf::new(self, other)
    }
}

fn both(first: Verdict, second: impl FnOnce() -> Verdict) -> Verdict {
    match first {
        Verdict::Accept => second(),
        Verdict::Refuse(_) | Verdict::Later => first,
    }
}

impl<A: Policy, B: Policy> Policy for AllOf<A, B> {
    /// Both names, the first with its length; empty if both are.
    fn id(&self) -> Vec<u8> {
        let first = self.first.id();
        let second = self.second.id();
        if first.is_empty() && second.is_empty() {
            return Vec::new();
        }
        let length = u32::try_from(first.len()).unwrap_or(u32::MAX);
        [b"all of".as_slice(), &length.to_be_bytes(), &first, &second].concat()
    }

    fn proposal(&self, group: GroupView<'_>, proposal: Proposed<'_>) -> Verdict {
        both(self.first.proposal(group, proposal), || self.second.proposal(group, proposal))
    }

    fn committable(
        &self,
        group: GroupView<'_>,
        committer: Sender,
        proposal: Proposed<'_>,
    ) -> Verdict {
        both(self.first.committable(group, committer, proposal), || {
            self.second.committable(group, committer, proposal)
        })
    }

    fn commit(&self, group: GroupView<'_>, commit: &ProposedCommit<'_>) -> Verdict {
        both(self.first.commit(group, commit), || self.second.commit(group, commit))
    }
}
