//! The proposals that were received in an epoch, by order of arrival and by reference.

use crate::proposals::ListedProposal;
use alloc::collections::BTreeMap;
use conclave_wire::{Encode, Proposal, ProposalRef, Sender};

/// A proposal that waits for a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PendingProposal<'a> {
    /// How a commit refers to it.
    pub reference: &'a ProposalRef,
    /// Who proposes.
    pub sender: Sender,
    /// What is proposed.
    pub proposal: &'a Proposal,
}

impl<'a> PendingProposal<'a> {
    pub(crate) fn of(listed: &'a ListedProposal) -> Option<Self> {
        let ListedProposal { sender, proposal, reference } = listed;
        Some(Self { reference: reference.as_ref()?, sender: *sender, proposal })
    }
}

/// Changes of a [`ProposalCache`]: a proposal comes, or goes.
pub(crate) type ProposalChanges = BTreeMap<u64, Option<ListedProposal>>;

/// The proposals that a commit may refer to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ProposalCache {
    by_place: BTreeMap<u64, ListedProposal>,
    /// Commits of many proposals look each of them up.
    by_reference: BTreeMap<ProposalRef, u64>,
    /// The lengths of all encodings together.
    bytes: usize,
}

impl ProposalCache {
    pub(crate) fn is_empty(&self) -> bool {
        self.by_place.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.by_place.len()
    }

    /// How long the encodings of all proposals are together.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// By order of arrival.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &ListedProposal)> {
        self.by_place.iter().map(|(place, listed)| (*place, listed))
    }

    pub(crate) fn places(&self) -> impl Iterator<Item = u64> {
        self.by_place.keys().copied()
    }

    /// The proposal that a reference means, with its place.
    pub(crate) fn find(&self, reference: &ProposalRef) -> Option<(u64, &ListedProposal)> {
        let place = self.by_reference.get(reference)?;
        Some((*place, self.by_place.get(place)?))
    }

    pub(crate) fn has(&self, place: u64) -> bool {
        self.by_place.contains_key(&place)
    }

    /// The place for the next proposal.
    pub(crate) fn next_place(&self) -> u64 {
        self.by_place.last_key_value().map_or(0, |(last, _)| last.saturating_add(1))
    }

    /// Puts a proposal at its place, or takes one away, and gives back what was there.
    pub(crate) fn set(
        &mut self,
        place: u64,
        listed: Option<ListedProposal>,
    ) -> Option<ListedProposal> {
        let reference = listed.as_ref().and_then(|listed| listed.reference.clone());
        let more = listed.as_ref().map_or(0, |listed| encoded_len(&listed.proposal));
        let before = match listed {
            Some(new) => self.by_place.insert(place, new),
            None => self.by_place.remove(&place),
        };
        let fewer = before.as_ref().map_or(0, |listed| encoded_len(&listed.proposal));
        self.bytes = self.bytes.saturating_add(more).saturating_sub(fewer);
        if let Some(old) = before.as_ref().and_then(|listed| listed.reference.as_ref()) {
            self.by_reference.remove(old);
        }
        if let Some(reference) = reference {
            self.by_reference.insert(reference, place);
        }
        before
    }

    /// Exchanges proposals with those of the changes; twice is the identity.
    pub(crate) fn swap(&mut self, changes: &mut ProposalChanges) {
        for (place, change) in changes {
            *change = self.set(*place, change.take());
        }
    }
}

/// The length of an encoding. (What is too long to encode came in no message.)
pub(crate) fn encoded_len(proposal: &Proposal) -> usize {
    proposal.to_bytes().map_or(0, |bytes| bytes.len())
}
