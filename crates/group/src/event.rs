//! What comes out of transitions.

use alloc::vec::Vec;
use conclave_wire::{
    Bytes, Credential, Epoch, KeyPackageRef, LeafIndex, LeafNode, ProposalRef, ProposalType,
    ReInit, Sender, SignaturePublicKey,
};
use core::fmt;

/// A member of the group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its leaf.
    pub index: LeafIndex,
    /// Who it is.
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

/// A Welcome and whom it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WelcomeMessage {
    /// The encoded MLSMessage.
    pub message: Vec<u8>,
    /// The key packages of those that can join by it.
    pub recipients: Vec<KeyPackageRef>,
}

/// Names a commit: the hash of its encoded MLSMessage by the group's cipher suite.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommitId(pub Bytes);

/// The messages of an own commit, to be sent together.
///
/// The Welcomes and the GroupInfo may only be delivered once the commit is accepted (section 14).
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct CommitMessages {
    /// Names the commit, for the delivery service's verdict on it.
    pub id: CommitId,
    /// The commit, an encoded MLSMessage.
    pub commit: Vec<u8>,
    /// Welcomes for the added clients.
    pub welcomes: Vec<WelcomeMessage>,
    /// The GroupInfo of the new epoch, an encoded MLSMessage, if it was asked for.
    pub group_info: Option<Vec<u8>>,
}

/// A proposal of a type that RFC 9420 does not define, committed. What it means is the
/// application's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomChange {
    /// Who proposed it.
    pub sender: Sender,
    /// Its type.
    pub proposal_type: ProposalType,
    /// Its body as it is encoded, its own length header included if it has one.
    pub body: Bytes,
}

/// The step to a new epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EpochChange {
    /// The new epoch.
    pub epoch: Epoch,
    /// Who committed.
    pub committer: Member,
    /// Whether the committer joined by this commit.
    pub external: bool,
    /// The new members, an external committer included.
    pub added: Vec<Member>,
    /// The former members, as they were.
    pub removed: Vec<Member>,
    /// The members whose Update proposals were committed.
    pub updated: Vec<Member>,
    /// Whether the GroupContext's extensions changed.
    pub extensions_changed: bool,
    /// The group is closed, to be replaced by one with these parameters.
    pub reinit: Option<ReInit>,
    /// The committed proposals of types that RFC 9420 does not define, in the commit's order.
    pub custom: Vec<CustomChange>,
    /// Whether this is the own pending commit.
    pub own: bool,
    /// Whether an own pending commit lost against this one and was discarded: what it proposed by
    /// value is to be proposed again.
    pub discarded_own_commit: bool,
}

/// A decrypted application message. The data is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct ApplicationMessage {
    /// Who sent it, as of the epoch that it was sent in.
    pub sender: Member,
    /// The epoch that it was sent in.
    pub epoch: Epoch,
    /// The step of the sender's ratchet: with epoch and sender it names the message.
    pub generation: u32,
    /// Authenticated data that was not encrypted.
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

/// What a member's transition gives out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A message to send: an encoded MLSMessage.
    Message(Vec<u8>),
    /// A proposal to send: an encoded MLSMessage; it is cached, too.
    Proposal {
        /// The message.
        message: Vec<u8>,
        /// How a commit refers to it.
        reference: ProposalRef,
    },
    /// An own commit to send; it is pending until it is accepted or rejected.
    Commit(CommitMessages),
    /// An application message was received.
    Application(ApplicationMessage),
    /// A proposal was received and cached.
    ProposalReceived {
        /// Who proposed.
        sender: Sender,
        /// How a commit refers to it.
        reference: ProposalRef,
        /// What kind it is.
        proposal_type: ProposalType,
    },
    /// A commit was applied: the group is in a new epoch.
    Epoch(EpochChange),
    /// A commit removes this client, if the others take it.
    ///
    /// Whoever is removed cannot check a commit's confirmation tag, so that any member, and anybody
    /// who can send an external commit, can make one that this client believes and all others
    /// refuse. So the group is as it was. [Delete](crate::Group::delete) it once the delivery
    /// service's order says that this was the epoch's commit. If another commit of the epoch can be
    /// processed, this one was refused. An encrypted one has used up its key (section 9.2).
    Removal(EpochChange),
    /// The group's state was deleted.
    Deleted,
    /// The own pending commit, cached proposals or past epochs were discarded.
    Discarded,
    /// The key of a message that was rejected, or told nothing new, was deleted (section 9.2).
    /// Nothing else changed.
    KeyDeleted,
}
