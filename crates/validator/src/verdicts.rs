//! What is found of what is valid.

use crate::GroupState;
use conclave_mls::credential::CredentialRequest;
use conclave_mls::group::{Member, Sender};
use conclave_mls::key_package::{KeyPackageRef, Lifetime};
use conclave_mls::wire::{Bytes, ComponentId, ProposalRef};
use conclave_mls::{CipherSuite, GroupId};

/// A valid key package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPackageVerdict {
    /// Its hash, by which Welcomes name it.
    pub reference: KeyPackageRef,
    /// Its suite.
    pub cipher_suite: CipherSuite,
    /// Its init key: a service takes no second key package with it.
    pub init_key: Bytes,
    /// When it may be used, in seconds since 1970.
    pub lifetime: Lifetime,
    /// Whether it may be given out more than once.
    pub last_resort: bool,
    /// Whose it is said to be: for the service to judge.
    pub credential: CredentialRequest,
}

/// A valid group.
#[derive(Clone, Debug)]
pub struct GroupVerdict {
    /// What to store.
    pub state: GroupState,
    /// The group.
    pub group_id: GroupId,
    /// Its suite.
    pub cipher_suite: CipherSuite,
    /// Its members, by ascending leaf.
    pub members: Vec<Member>,
    /// The credentials of all members and external senders: for the service to judge.
    pub credentials: Vec<CredentialRequest>,
}

/// What kind of message it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A proposal that waits for a commit now.
    Proposal,
    /// A commit that ends the epoch.
    Commit,
}

/// A component whose data a commit updates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpdatedComponent {
    /// The component.
    pub component_id: ComponentId,
    /// Its data from now on; none if it was removed.
    pub data: Option<Bytes>,
}

/// A valid proposal or commit.
#[derive(Clone, Debug)]
pub struct MessageVerdict {
    /// What to store in place of the state before, if the service takes the message.
    pub next: GroupState,
    /// Which of both it is.
    pub kind: Kind,
    /// Who sent it.
    pub sender: Sender,
    /// Those whom a commit adds.
    pub added: Vec<Member>,
    /// The key packages by which it adds them, in that order. Whoever joins from outside has none.
    pub key_packages: Vec<KeyPackageRef>,
    /// The pending proposals that a commit leaves out, though it would be valid with each of them: how a commit refers to
    /// them. Section 12.4 asks a committer to take all that it has received.
    pub left_out: Vec<ProposalRef>,
    /// Those whom it removes.
    pub removed: Vec<Member>,
    /// Those who have another leaf afterwards, as they are then.
    pub updated: Vec<Member>,
    /// The components whose data it changes.
    pub components: Vec<UpdatedComponent>,
    /// The credentials that come with it: for the service to judge.
    pub credentials: Vec<CredentialRequest>,
}

/// A well-formed Welcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WelcomeVerdict {
    /// The key packages that it is for.
    pub recipients: Vec<KeyPackageRef>,
}
