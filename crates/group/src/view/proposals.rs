//! The proposals received in an epoch, by order of arrival and by reference.

use alloc::collections::BTreeMap;
use conclave_wire::{Encode, KeyPackage, LeafIndex, PreSharedKeyId, Proposal, ProposalRef, Sender};

/// A proposal with its sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ListedProposal {
    /// The proposer; for a proposal by value, the committer.
    pub(crate) sender: Sender,
    /// The proposal.
    pub(crate) proposal: Proposal,
    /// How a commit refers to it, if it came in its own message.
    pub(crate) reference: Option<ProposalRef>,
}

impl ListedProposal {
    /// A proposal by value.
    pub(crate) fn by_value(sender: Sender, proposal: Proposal) -> Self {
        Self { sender, proposal, reference: None }
    }

    /// The leaf that it removes.
    pub(crate) fn removed_leaf(&self) -> Option<LeafIndex> {
        removed_leaf(self.sender, &self.proposal)
    }

    /// Whether it is a SelfRemove.
    pub(crate) fn is_self_remove(&self) -> bool {
        matches!(self.proposal, Proposal::SelfRemove(_))
    }
}

/// The leaf that a proposal removes.
pub(crate) fn removed_leaf(sender: Sender, proposal: &Proposal) -> Option<LeafIndex> {
    match proposal {
        Proposal::Remove(leaf) => Some(*leaf),
        Proposal::SelfRemove(_) => leaving_member(sender),
        Proposal::Add(_)
        | Proposal::Update(_)
        | Proposal::PreSharedKey(_)
        | Proposal::ReInit(_)
        | Proposal::ExternalInit(_)
        | Proposal::GroupContextExtensions(_)
        | Proposal::AppDataUpdate(_)
        | Proposal::AppEphemeral(_)
        | Proposal::Custom { .. } => None,
    }
}

/// The leaf of the member who sent a SelfRemove. Nobody else can.
pub(crate) fn leaving_member(sender: Sender) -> Option<LeafIndex> {
    match sender {
        Sender::Member(leaf) => Some(leaf),
        Sender::External(_) | Sender::NewMemberProposal | Sender::NewMemberCommit => None,
    }
}

/// The PSK that a proposal injects.
pub(crate) fn injected_psk(proposal: &Proposal) -> Option<&PreSharedKeyId> {
    match proposal {
        Proposal::PreSharedKey(id) => Some(id),
        Proposal::Add(_)
        | Proposal::Update(_)
        | Proposal::Remove(_)
        | Proposal::ReInit(_)
        | Proposal::ExternalInit(_)
        | Proposal::GroupContextExtensions(_)
        | Proposal::AppDataUpdate(_)
        | Proposal::AppEphemeral(_)
        | Proposal::SelfRemove(_)
        | Proposal::Custom { .. } => None,
    }
}

/// The key package of the client that a proposal adds.
pub(crate) fn added_client(proposal: &Proposal) -> Option<&KeyPackage> {
    match proposal {
        Proposal::Add(key_package) => Some(key_package),
        Proposal::Update(_)
        | Proposal::Remove(_)
        | Proposal::PreSharedKey(_)
        | Proposal::ReInit(_)
        | Proposal::ExternalInit(_)
        | Proposal::GroupContextExtensions(_)
        | Proposal::AppDataUpdate(_)
        | Proposal::AppEphemeral(_)
        | Proposal::SelfRemove(_)
        | Proposal::Custom { .. } => None,
    }
}

/// A proposal that waits for a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PendingProposal<'a> {
    /// How a commit refers to it.
    pub reference: &'a ProposalRef,
    /// The proposer.
    pub sender: Sender,
    /// The proposal.
    pub proposal: &'a Proposal,
}

impl<'a> PendingProposal<'a> {
    pub(crate) fn of(listed: &'a ListedProposal) -> Option<Self> {
        let ListedProposal { sender, proposal, reference } = listed;
        Some(Self { reference: reference.as_ref()?, sender: *sender, proposal })
    }
}

/// Changes of a [`ProposalCache`]: a proposal is added or removed.
pub(crate) type ProposalChanges = BTreeMap<u64, Option<ListedProposal>>;

/// The proposals that a commit may refer to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ProposalCache {
    by_place: BTreeMap<u64, ListedProposal>,
    /// Commits of many proposals look each of them up.
    by_reference: BTreeMap<ProposalRef, u64>,
    /// The total length of the encodings.
    bytes: usize,
}

impl ProposalCache {
    pub(crate) fn is_empty(&self) -> bool {
        self.by_place.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.by_place.len()
    }

    /// The total length of the proposals' encodings.
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

    /// The proposal with a reference, and its place.
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

    /// Puts a proposal at its place, or removes the one there. Returns what was there.
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

/// The length of an encoding. (A proposal that is too long to encode cannot have come in a
/// message.)
pub(crate) fn encoded_len(proposal: &Proposal) -> usize {
    proposal.to_bytes().map_or(0, |bytes| bytes.len())
}
