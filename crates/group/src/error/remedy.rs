//! What to do about an error.

use crate::error::{Error, Misuse, Rejection};
use conclave_tree::TreeError;
use conclave_wire::{Epoch, ProposalRef};

/// What to do about an [`Error`]: [`Error::remedy`] says it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Remedy {
    /// Drop the message: it is late, a copy, or breaks a rule.
    Drop,
    /// Fetch the commits from this epoch on, which are missing, then process the message again. If
    /// they are not to be had, join from outside.
    FetchFrom(Epoch),
    /// Fetch this proposal, which the commit refers to, then process the commit again.
    FetchProposal(ProposalRef),
    /// Process the message again later: the application could not judge a credential.
    RetryLater,
    /// Compute the step again: the group has changed since.
    Recompute,
    /// Give what is missing (a PSK, a component's data, the ratchet tree, a link), then try again.
    Provide,
    /// Settle the pending commit, or commit the pending proposals, then try again.
    CommitFirst,
    /// Join from outside in place of the old leaf: this client has parted from the group, or its
    /// state is damaged.
    Rejoin,
    /// Tell the user: the application or its settings refused what the other members may have
    /// accepted. If the group has gone on, join from outside or leave.
    Decide,
    /// Nothing: the group is over for this client.
    Over,
    /// Fix the program or its settings.
    Fix,
}

impl Error {
    /// What to do about the error. The variant and its documentation say more.
    ///
    /// ```
    #[doc = client!()]
    /// use conclave_mls::Error;
    /// use conclave_mls::error::{Rejection, Remedy};
    /// # use conclave_mls::Epoch;
    ///
    /// let early = Error::Rejected(Rejection::WrongEpoch { message: Epoch(7), current: Epoch(5) });
    /// assert_eq!(early.remedy(), Remedy::FetchFrom(Epoch(5)));
    /// ```
    #[must_use]
    pub fn remedy(&self) -> Remedy {
        match self {
            Self::Malformed(_) => Remedy::Drop,
            Self::Rejected(rejection) => rejection.remedy(),
            Self::Misuse(misuse) => misuse.remedy(),
            Self::Undecided(_) => Remedy::RetryLater,
            Self::Crypto(_) => Remedy::Fix,
            Self::Storage(_) => Remedy::Rejoin,
        }
    }
}

impl Rejection {
    fn remedy(&self) -> Remedy {
        match self {
            Self::WrongEpoch { message, current } if message > current => {
                Remedy::FetchFrom(*current)
            }
            Self::UnknownProposal(reference) => Remedy::FetchProposal(reference.clone()),
            // All else in the commit was checked before, and the others may be in the epoch whose
            // secrets we cannot compute.
            Self::ConfirmationTag
            | Self::PathOpen
            | Self::ExternalInitOpen
            | Self::Tree(
                TreeError::NoPrivateKey { .. }
                | TreeError::PathSecretLength
                | TreeError::PathKeyMismatch { .. },
            ) => Remedy::Rejoin,
            Self::CredentialRefused { .. }
            | Self::RefusedByPolicy { .. }
            | Self::OverLimit { .. } => Remedy::Decide,
            Self::GroupReinitialized => Remedy::Over,
            _ => Remedy::Drop,
        }
    }
}

impl Misuse {
    fn remedy(&self) -> Remedy {
        match self {
            Self::Stale => Remedy::Recompute,
            Self::Deleted | Self::Reinitialized => Remedy::Over,
            Self::CommitPending | Self::ProposalsPending => Remedy::CommitFirst,
            Self::PskUnavailable(_)
            | Self::AppDataCount { .. }
            | Self::TreeMissing
            | Self::LinkMissing => Remedy::Provide,
            // A late verdict: the commit was settled before.
            Self::NoCommitPending | Self::NotThisCommit => Remedy::Drop,
            Self::OtherPolicy
            | Self::VerdictCount { .. }
            | Self::NotImplemented(_)
            | Self::ComponentsNotListed
            | Self::SecretConsumed(_)
            | Self::NotSafeAad(_)
            | Self::NotPossible(_) => Remedy::Fix,
        }
    }
}
