//! The details that errors carry.

use conclave_wire::LeafIndex;

/// The owner of a credential that the application judges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum CredentialSubject {
    /// The owner of a key package, which could be added.
    KeyPackage,
    /// The member at a leaf, in a tree that we join or with a new credential.
    Member(LeafIndex),
    /// A client that a proposal would add.
    NewMember,
    /// A client that adds itself by an external commit.
    ExternalJoiner,
    /// A client that adds itself by an external commit in place of the member at a leaf, which the
    /// commit removes. Is it the same party as that member, whose credential is
    /// [`CredentialRequest::replaces`](crate::CredentialRequest::replaces)?
    ExternalReplacement(LeafIndex),
    /// The external sender with an index.
    ExternalSender(u32),
}

/// The way in which a group does not fit the group that it is linked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LinkFault {
    /// The Welcome names another group, epoch or use than the link.
    OtherLink,
    /// There is a link, but the Welcome names no group.
    NoGroupNamed,
    /// The new group's epoch is not 1.
    NotEpochOne,
    /// The branch has another version or cipher suite than the old group.
    VersionOrSuite,
    /// The successor's identifier is not the announced one.
    AnnouncedGroupId,
    /// The successor's version or cipher suite is not the announced one.
    AnnouncedVersionOrSuite,
    /// The successor's extensions are not the announced ones.
    AnnouncedExtensions,
    /// A member of the old group is missing in its successor.
    MemberMissing,
    /// The branch has a member that is not one of the old group.
    Stranger,
}

/// What stands in the way of a caller's request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Obstacle {
    /// Only a group in epoch 0 can be linked to another.
    NotNew,
    /// The group was not closed by a ReInit.
    NotClosed,
    /// The epoch is not among the past epochs, or the checkpoints, that are kept.
    EpochNotKept,
    /// The Welcome names no group that the new one continues.
    NoGroupNamed,
    /// The Welcome names another group.
    OtherGroupNamed,
    /// All members of the linked group are matched already.
    AllMatched,
    /// The member is not asked for, or the counterpart is none or somebody else's.
    NoCounterpart,
    /// The key package is of another cipher suite.
    OtherSuite,
    /// `ratchet_tree` and `external_pub` are not the application's to set.
    GroupInfoExtension,
    /// We have sent a SelfRemove in this epoch, and one is enough.
    SelfRemovePending,
    /// There is no member at the leaf.
    NoSuchMember,
    /// The epoch began without secrets for components: our leaf did not advertise
    /// `app_data_dictionary`.
    NoComponentSecrets,
    /// A policy returned [`Verdict::Later`](crate::Verdict::Later), but it has everything it needs
    /// to judge.
    PolicyCannotWait,
    /// A [`KeySeed`](crate::KeySeed) is not `KDF.Nh` bytes long.
    SeedLength,
    /// A targeted message is for another member than ourselves.
    OwnLeaf,
    /// The member's leaf does not list `mls_targeted_message` in its extension
    /// `supported_wire_formats` (draft-ietf-mls-extensions).
    TargetedUnsupported,
}
