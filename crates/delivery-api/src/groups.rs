//! Groups: one log each, in which each epoch has one commit.

use super::chain::chains;
use super::{
    Bytes, ChainHash, Decode, DecodeError, DeviceId, Encode, EncodeError, Ending, GroupId,
    LogEntry, Reader, Receipt, SignaturePublicKey, Writer,
};

structs! {
    /// Creates a group, whose first member is the caller. To create the same group again with the
    /// same request does nothing.
    pub struct CreateGroup {
        /// The group.
        pub group_id: GroupId,
        /// How much of it the service is to see.
        pub kind: GroupKind,
    }

    /// The reply to [`CreateGroup`].
    pub struct Created {
        /// Where its log ends: at the beginning, for a new group.
        pub receipt: Receipt,
    }

    /// Ends a group that is of no use any more, as somebody's state or the service's is broken, and creates another in
    /// its place. Only a device in the group can. The log of the old group stays as it is, and nothing is added to it;
    /// its members are told by an event. The caller invites them into the successor. Of a group that the service's
    /// administrator has ended, any member makes the successor likewise.
    ///
    /// To repeat the request gives the same answer.
    pub struct ResetGroup {
        /// The group that ends.
        pub group_id: GroupId,
        /// Its successor, whose identifier [names](super::successor_id) the old group.
        pub successor: CreateGroup,
    }

    /// The reply to [`ResetGroup`].
    pub struct WasReset {
        /// The group's successor: another one than the caller's if somebody was faster, who then invites the caller.
        /// The caller's was not created.
        pub successor: GroupId,
        /// Where the log of the successor ends: at the beginning, if it is new; none if it is not the caller's.
        pub receipt: Option<Receipt>,
    }

    /// Submits a commit, which is accepted if the group is in the epoch that the commit was made
    /// in and nobody else's came first.
    ///
    /// To submit the same commit again gives the same answer, so a request whose reply was lost can be repeated. An
    /// external commit takes the same path. Its sender must be a device in the group that has fallen behind, and in a
    /// tracked group the commit must remove that device's own leaf (RFC 9420 section 12.4.3.2 calls this a resync).
    /// Or its sender is not in a tracked group and uses one of its join links, by an AppDataUpdate beside the
    /// ExternalInit. Neither does anything else, except that it takes the pending SelfRemoves. Any other device needs
    /// an invitation.
    ///
    /// A commit in a tracked group has to cover the removals that are pending of revoked devices, which the service has
    /// proposed, and of members who have asked to leave: refer to them, or do the same by value. An external one refers to
    /// the SelfRemoves among them. One that has crossed such a proposal is refused with `proposals-missing`, whose details
    /// list what to take, and is made again.
    pub struct SubmitCommit {
        /// The commit: a PublicMessage, or in an opaque group a PrivateMessage.
        pub commit: Bytes,
        /// The Welcomes for those whom it adds. They are delivered if the commit is accepted, to
        /// the owners of the key packages that they name.
        pub welcomes: Vec<Bytes>,
        /// A GroupInfo of the new epoch with `external_pub` and without `ratchet_tree`, for
        /// external joins. Without one, nobody can join that way until the next commit.
        pub group_info: Option<Bytes>,
        /// The tree of the new epoch. For a Welcome without `ratchet_tree` extension it is given
        /// to the new members; in an opaque group it also goes with the GroupInfo.
        pub ratchet_tree: Option<Bytes>,
        /// In an opaque group, whom the commit adds. Not looked at in a tracked one.
        pub added: Vec<DeviceId>,
        /// In an opaque group, whom the commit removes. Not looked at in a tracked one.
        pub removed: Vec<DeviceId>,
        /// Key packages of the caller's that can be claimed only if the commit is accepted: they are
        /// published in the same step, by the rules of
        /// [`PublishKeyPackages`](super::PublishKeyPackages), and if one breaks them, the commit is
        /// refused. So a device whose commit loses does not give out what belongs to the state that
        /// the commit would have made. One that changes its key first has to register it.
        pub key_packages: Vec<Bytes>,
        /// In a tracked group, the ProposalRefs of those proposals that the commit leaves out although it would have to
        /// cover them: the sender knows of them, and cannot or will not take them. At most [`MAX_PAGE`](super::MAX_PAGE).
        pub leaves_out: Vec<Bytes>,
    }

    /// Submits a proposal, which is accepted in its epoch alone. To submit it again gives the
    /// same answer.
    pub struct SubmitProposal {
        /// The proposal: a PublicMessage, or in an opaque group a PrivateMessage.
        pub proposal: Bytes,
    }

    /// Sends an application message, which is accepted in its epoch and a few after it, if that
    /// epoch has not ended long ago. To send it again gives the same answer.
    pub struct SendMessage {
        /// The PrivateMessage.
        pub message: Bytes,
    }

    /// Sends application messages of one group and epoch, 1 to [`MAX_PAGE`](super::MAX_PAGE), in this order, each as by
    /// [`SendMessage`]. Those of the current epoch, in a request of at most 64 KiB, are appended in one step, so that a
    /// device need not wait for each message to become durable.
    pub struct SendMessages {
        /// The PrivateMessages.
        pub messages: Vec<Bytes>,
    }

    /// The reply to [`SendMessages`].
    pub struct SentMessages {
        /// How many of the messages are in the log, from the first on. Those after them are not, unless they were sent
        /// before: to send them again says why, or takes them.
        pub taken: u32,
        /// The verdict on the last one of these; on the first message if there are none.
        pub outcome: Outcome,
    }

    /// Asks for a part of a group's log. A former member gets it up to the commit that removed
    /// it, that commit included.
    pub struct FetchLog {
        /// The group.
        pub group_id: GroupId,
        /// The number of the last entry that the caller has; 0 to begin at the beginning.
        pub after: u64,
        /// How many entries at most; more than [`MAX_PAGE`](super::MAX_PAGE) counts as that.
        pub limit: u32,
    }

    /// The reply to [`FetchLog`].
    pub struct LogPage {
        /// Entries without gaps, ascending, those of the caller included.
        pub entries: Vec<LogEntry>,
        /// The number of the last entry that the caller may have: when the page ends there, there
        /// is no more.
        pub head: u64,
        /// The hash of the log before the first entry; none if what came before is kept no longer.
        pub before: Option<ChainHash>,
        /// Where the page ends: at its last entry. Without one, at the entry that was asked to be followed, or at
        /// the head if that comes before it.
        pub end: Receipt,
        /// How the group ended, if it has: then the log ends here.
        pub ending: Option<Ending>,
    }

    /// Asks for what an external join needs. For devices in the group alone.
    ///
    /// An external commit ends the epoch like any other, and what members have proposed in it with it. It may not
    /// refer to their proposals (RFC 9420 section 12.4.3.2), but for SelfRemoves, all of which it has to take
    /// (draft-ietf-mls-extensions-10). So the pending proposals come along: the joiner's commit takes the SelfRemoves,
    /// and the joiner knows what its commit discards, which it may propose or commit itself once it is in.
    pub struct FetchGroupInfo {
        /// The group.
        pub group_id: GroupId,
    }

    /// Asks for what joining by a join link needs. For whoever has the link's secret; the caller need not be in the
    /// group. Links are the data of the component 0x8c01 of a tracked group's GroupContext, which its members change by
    /// AppDataUpdates.
    pub struct FetchLinkedGroup {
        /// The group.
        pub group_id: GroupId,
        /// The link's public key, of Ed25519.
        pub key: SignaturePublicKey,
        /// By that key, over the structure of `opaque label<V> = "Conclave join link fetch 1"`, the group's identifier
        /// and the caller's `DeviceId`.
        pub signature: Bytes,
    }

    /// The reply to [`FetchGroupInfo`] and [`FetchLinkedGroup`].
    pub struct GroupState {
        /// Where the log ends: an external joiner reads on from there.
        pub receipt: Receipt,
        /// An MLSMessage that holds the GroupInfo.
        pub group_info: Bytes,
        /// The ratchet tree.
        pub ratchet_tree: Bytes,
        /// The proposals of this epoch that wait for a commit, by their order in the log: at most
        /// [`MAX_PAGE`](super::MAX_PAGE), up to the one that makes their messages [`PAGE_BYTES`](super::PAGE_BYTES) or
        /// longer. None of an opaque group: nobody outside can read them.
        pub proposals: Vec<LogEntry>,
        /// How many wait in all.
        pub pending: u32,
    }
}

impl SubmitCommit {
    /// A commit with nothing beside it.
    #[must_use]
    pub fn new(commit: Bytes) -> Self {
        Self {
            commit,
            welcomes: Vec::new(),
            group_info: None,
            ratchet_tree: None,
            added: Vec::new(),
            removed: Vec::new(),
            key_packages: Vec::new(),
            leaves_out: Vec::new(),
        }
    }
}

impl LogPage {
    /// The hashes of the log after each entry, ascending; none if they do not lead to the end of the page, or the
    /// entries have gaps: such a page makes no sense. `known` is the hash before the first entry, for when the service
    /// does not have it any more.
    #[must_use]
    pub fn chains(&self, group: &GroupId, known: Option<ChainHash>) -> Option<Vec<ChainHash>> {
        let chains = chains(group, self.before.or(known)?, &self.entries, self.end.position);
        chains.filter(|_| self.end.group_id == *group)
    }
}

/// How much of a group the service sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupKind {
    /// Handshake messages are PublicMessages, and the service checks them.
    Tracked {
        /// An MLSMessage that holds a GroupInfo of the first epoch, with `external_pub`.
        group_info: Bytes,
        /// The ratchet tree of that epoch.
        ratchet_tree: Bytes,
    },
    /// Handshake messages are PrivateMessages, and the service orders them.
    Opaque {
        /// The epoch that the group is in.
        epoch: u64,
    },
}

impl Encode for GroupKind {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        match self {
            Self::Tracked { group_info, ratchet_tree } => {
                1u8.encode(w)?;
                group_info.encode(w)?;
                ratchet_tree.encode(w)
            }
            Self::Opaque { epoch } => {
                2u8.encode(w)?;
                epoch.encode(w)
            }
        }
    }
}

impl Decode for GroupKind {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match u8::decode(r)? {
            1 => Ok(Self::Tracked {
                group_info: Decode::decode(r)?,
                ratchet_tree: Decode::decode(r)?,
            }),
            2 => Ok(Self::Opaque { epoch: Decode::decode(r)? }),
            other => Err(DecodeError::InvalidValue { field: "GroupKind", value: other.into() }),
        }
    }
}

/// The answer to a message that is well-formed, valid and from somebody who may send it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is in the log.
    Accepted {
        /// Its place in the log.
        receipt: Receipt,
        /// When it came, in seconds since 1970.
        received_at: u64,
    },
    /// It was made in an epoch that is over (or not begun), and is not in the log. Fetch the log,
    /// and make it again.
    WrongEpoch {
        /// Where the log ends.
        receipt: Receipt,
    },
}

impl Outcome {
    /// Where the message is in the log; or else where the log ends.
    #[must_use]
    pub fn receipt(&self) -> &Receipt {
        match self {
            Self::Accepted { receipt, .. } | Self::WrongEpoch { receipt } => receipt,
        }
    }
}

impl Encode for Outcome {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        match self {
            Self::Accepted { receipt, received_at } => {
                1u8.encode(w)?;
                receipt.encode(w)?;
                received_at.encode(w)
            }
            Self::WrongEpoch { receipt } => {
                2u8.encode(w)?;
                receipt.encode(w)
            }
        }
    }
}

impl Decode for Outcome {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match u8::decode(r)? {
            1 => {
                Ok(Self::Accepted { receipt: Decode::decode(r)?, received_at: Decode::decode(r)? })
            }
            2 => Ok(Self::WrongEpoch { receipt: Decode::decode(r)? }),
            other => Err(DecodeError::InvalidValue { field: "Outcome", value: other.into() }),
        }
    }
}
