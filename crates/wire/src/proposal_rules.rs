//! The columns of section 17.4: where a type of proposal may be used, and what a commit of it needs.

use crate::code_points::ProposalType;

/// How proposals of a type may be used: the columns of section 17.4, and section 12.2 on external commits.
///
/// [`Proposal::rules`](crate::Proposal::rules) gives those of the types of this library; an application states its
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

/// The wire format of SelfRemove (draft-ietf-mls-extensions-10), by which a member asks to be removed
/// and which anybody can commit, even a client that joins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SelfRemove {
    /// The code point.
    pub proposal_type: ProposalType,
    /// Whether the body is an empty vector, so a byte 0, instead of nothing.
    pub length_prefixed: bool,
}

impl SelfRemove {
    /// The draft's format.
    pub const DRAFT: Self =
        Self { proposal_type: ProposalType::SELF_REMOVE, length_prefixed: false };

    /// The draft's rules. An external commit holds it by reference.
    pub const RULES: ProposalRules =
        ProposalRules { external_senders: false, path_required: true, external_commit: true };
}

impl Default for SelfRemove {
    fn default() -> Self {
        Self::DRAFT
    }
}
