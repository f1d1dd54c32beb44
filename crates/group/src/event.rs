//! The outcomes of transitions.

use crate::app_data::{AppDataChange, EphemeralData};
use crate::transition::Outcome;
use alloc::vec::Vec;
use conclave_crypto::Secret;
use conclave_wire::{
    Bytes, ComponentId, Credential, Epoch, KeyPackageRef, LeafIndex, LeafNode, ProposalRef,
    ProposalType, ReInit, Sender, SignaturePublicKey,
};
use core::fmt;

/// A member of the group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its leaf.
    pub index: LeafIndex,
    /// Its credential.
    pub credential: Credential,
    /// The key that verifies its messages.
    pub signature_key: SignaturePublicKey,
}

impl Member {
    pub(crate) fn of(index: LeafIndex, leaf: &LeafNode) -> Self {
        Self {
            index,
            credential: leaf.credential.clone(),
            signature_key: leaf.signature_key.clone(),
        }
    }
}

/// A Welcome, and the clients that it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WelcomeMessage {
    /// The encoded MLSMessage.
    pub message: Vec<u8>,
    /// The references of their key packages.
    pub recipients: Vec<KeyPackageRef>,
}

/// The name of a commit: the hash of its encoded MLSMessage by the group's cipher suite.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommitId(pub Bytes);

/// The messages of a commit of ours.
///
/// The Welcomes and the GroupInfo may be delivered only once the commit is accepted (section 14).
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct CommitMessages {
    /// The commit's name, for the delivery service's verdict on it.
    pub id: CommitId,
    /// The commit, an encoded MLSMessage.
    pub commit: Vec<u8>,
    /// Welcomes for the added clients.
    pub welcomes: Vec<WelcomeMessage>,
    /// The GroupInfo of the new epoch, an encoded MLSMessage, if it was asked for.
    pub group_info: Option<Vec<u8>>,
}

/// A committed proposal of the application's own type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomChange {
    /// The proposer.
    pub sender: Sender,
    /// Its type.
    pub proposal_type: ProposalType,
    /// Its encoded body, including its own length header if it has one.
    pub body: Bytes,
}

/// The step to a new epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EpochChange {
    /// The new epoch.
    pub epoch: Epoch,
    /// The committer.
    pub committer: Member,
    /// Whether the committer joined by this commit.
    pub external: bool,
    /// The new members, including an external committer.
    pub added: Vec<Member>,
    /// The former members, as they were.
    pub removed: Vec<Member>,
    /// The members whose Update proposals were committed.
    pub updated: Vec<Member>,
    /// Whether the GroupContext's extensions changed.
    pub extensions_changed: bool,
    /// If the group was closed: the parameters of the group that replaces it.
    pub reinit: Option<ReInit>,
    /// The removed members that had asked for it themselves by a SelfRemove. They are among
    /// [`Self::removed`].
    pub left: Vec<LeafIndex>,
    /// The data of committed AppEphemeral proposals, in the commit's order.
    pub ephemeral: Vec<EphemeralData>,
    /// What changed in the GroupContext's `app_data_dictionary` by AppDataUpdates, by ascending
    /// component. [`Self::extensions_changed`] is then true.
    pub app_data: Vec<AppDataChange>,
    /// The committed proposals of the application's own types, in the commit's order.
    pub custom: Vec<CustomChange>,
    /// Whether this is our own pending commit.
    pub own: bool,
    /// Whether a pending commit of ours lost against this one and was discarded. What it proposed
    /// by value is to be proposed again.
    pub discarded_own_commit: bool,
}

/// A decrypted application message. The data is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct ApplicationMessage {
    /// The sender, as of the epoch in which it was sent.
    pub sender: Member,
    /// The epoch in which it was sent.
    pub epoch: Epoch,
    /// The step of the sender's ratchet. Together with epoch and sender it names the message.
    pub generation: u32,
    /// The authenticated data that was not encrypted.
    pub authenticated_data: Bytes,
    /// The data.
    pub data: Vec<u8>,
}

impl fmt::Debug for ApplicationMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApplicationMessage")
            .field("sender", &self.sender.index)
            .field("epoch", &self.epoch)
            .field("generation", &self.generation)
            .field("data", &format_args!("{} bytes", self.data.len()))
            .finish_non_exhaustive()
    }
}

/// A decrypted message to us alone (draft-ietf-mls-targeted-messages-02). The data is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct TargetedApplicationMessage {
    /// The sender, as of the epoch in which it was sent.
    pub sender: Member,
    /// The epoch in which it was sent.
    pub epoch: Epoch,
    /// The authenticated data that was not encrypted.
    pub authenticated_data: Bytes,
    /// The data.
    pub data: Vec<u8>,
}

impl fmt::Debug for TargetedApplicationMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TargetedApplicationMessage")
            .field("sender", &self.sender.index)
            .field("epoch", &self.epoch)
            .field("data", &format_args!("{} bytes", self.data.len()))
            .finish_non_exhaustive()
    }
}

/// A proposal of ours to send. It is cached as well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProposalMessage {
    /// The message: an encoded MLSMessage.
    pub message: Vec<u8>,
    /// How a commit refers to the proposal.
    pub reference: ProposalRef,
}

/// A proposal that was received and cached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CachedProposal {
    /// The proposer.
    pub sender: Sender,
    /// How a commit refers to the proposal.
    pub reference: ProposalRef,
    /// The type of the proposal.
    pub proposal_type: ProposalType,
}

/// A secret that a component has exported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComponentSecret {
    /// The component.
    pub component_id: ComponentId,
    /// The secret, `KDF.Nh` bytes.
    pub secret: Secret,
}

/// The outcome of a received commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Committed {
    /// The commit was applied: the group is in a new epoch.
    Epoch(EpochChange),
    /// The commit removes us, if the others accept it.
    ///
    /// A removed member cannot check a commit's confirmation tag. So any member, and anybody who
    /// can send an external commit, can make one that we believe and all others refuse. Therefore
    /// the group stays as it was. [Delete](crate::Group::delete) it once the delivery service's
    /// order says that this was the epoch's commit. If another commit of the epoch can be
    /// processed, this one was refused. The key of an encrypted one is consumed (section 9.2).
    Removal(EpochChange),
}

/// The outcome of a member's transition, as a write and a [`Fold`](crate::Fold) see it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// An application message to send: an encoded MLSMessage.
    Message(Vec<u8>),
    /// A proposal to send.
    Proposal(ProposalMessage),
    /// A commit to send. It is pending until it is accepted or rejected.
    Commit(CommitMessages),
    /// An application message was received.
    Application(ApplicationMessage),
    /// A message to us alone was received.
    Targeted(TargetedApplicationMessage),
    /// A proposal was received and cached.
    ProposalReceived(CachedProposal),
    /// A commit was applied: the group is in a new epoch.
    Epoch(EpochChange),
    /// A commit removes us, if the others accept it: see [`Committed::Removal`].
    Removal(EpochChange),
    /// A component has exported its secret of the epoch.
    Exported(ComponentSecret),
    /// The group's state was deleted.
    Deleted,
    /// The pending commit, cached proposals, past epochs or a checkpoint were discarded.
    Discarded,
    /// A [checkpoint](crate::Group::checkpoint) of this epoch was taken.
    Checkpoint(Epoch),
    /// The group was [rewound](crate::Group::rewind) to this epoch.
    Rewound(Epoch),
    /// The key of a message that was refused or held nothing new was deleted (section 9.2). Nothing
    /// else changed.
    KeyDeleted,
}

impl Outcome<Event> for Event {
    fn from_event(event: Event) -> Self {
        event
    }
}

/// Outcomes that are one variant of [`Event`] each.
macro_rules! outcomes {
    ($($outcome:ty => $variant:ident,)+) => {$(
        impl From<$outcome> for Event {
            fn from(outcome: $outcome) -> Self {
                Self::$variant(outcome)
            }
        }

        impl Outcome<Event> for $outcome {
            fn from_event(event: Event) -> Self {
                match event {
                    Event::$variant(outcome) => outcome,
                    _ => unreachable!("a transition's event is made of its outcome"),
                }
            }
        }
    )+};
}

outcomes! {
    Vec<u8> => Message,
    ProposalMessage => Proposal,
    CommitMessages => Commit,
    ApplicationMessage => Application,
    ComponentSecret => Exported,
    TargetedApplicationMessage => Targeted,
    EpochChange => Epoch,
}

impl From<Committed> for Event {
    fn from(outcome: Committed) -> Self {
        match outcome {
            Committed::Epoch(change) => Self::Epoch(change),
            Committed::Removal(change) => Self::Removal(change),
        }
    }
}

impl Outcome<Event> for Committed {
    fn from_event(event: Event) -> Self {
        match event {
            Event::Removal(change) => Self::Removal(change),
            other => Self::Epoch(EpochChange::from_event(other)),
        }
    }
}

/// None if the proposal was cached before. Then only its message's key is deleted.
impl From<Option<CachedProposal>> for Event {
    fn from(outcome: Option<CachedProposal>) -> Self {
        outcome.map_or(Self::KeyDeleted, Self::ProposalReceived)
    }
}

impl Outcome<Event> for Option<CachedProposal> {
    fn from_event(event: Event) -> Self {
        match event {
            Event::ProposalReceived(cached) => Some(cached),
            _ => None,
        }
    }
}
