//! The columns of section 17.4: where a type of proposal may be used, and what a commit of it needs.

/// How proposals of a type may be used: the columns of section 17.4, and section 12.2 on external commits.
///
/// [`Proposal::rules`](crate::Proposal::rules) gives those of RFC 9420's types; an application states its
/// own types' in [`CustomProposal::rules`](crate::CustomProposal::rules).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProposalRules {
    /// Whether an external sender may propose it (section 12.1.8). Default false.
    pub external_senders: bool,
    /// Whether a commit of it must have a path (section 12.4). Default false.
    pub path_required: bool,
    /// Whether an external commit may hold it, by value (section 12.2). Default false.
    pub external_commit: bool,
}
