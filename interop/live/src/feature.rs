//! The features that stacks try on each other.

use std::fmt;

macro_rules! features {
    ($($name:ident, $key:literal, $text:literal;)*) => {
        /// A row of the matrix: something that an actor does and a receiver has to understand.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Feature {
            $(#[doc = $text] $name,)*
        }

        impl Feature {
            /// All features, in the order of the matrix.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Its name on the command line.
            pub fn key(self) -> &'static str {
                match self { $(Self::$name => $key),* }
            }

            /// Its name on the page.
            pub fn text(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }
        }
    };
}

features! {
    Create, "create", "creates the group";
    Welcome, "welcome", "adds the other, which joins by the Welcome";
    WelcomeTreeApart, "welcome-tree-apart", "the same, with the tree apart";
    CommitAdd, "commit-add", "commit: add";
    CommitRemove, "commit-remove", "commit: remove";
    CommitRemoveAdd, "commit-remove-add", "commit: remove and add";
    Removed, "removed", "commit: remove the other";
    RemovedReplaced, "removed-replaced", "the same, and a new member takes its leaf";
    HalfEmpty, "half-empty", "commit: remove the whole left half of the tree";
    CommitUpdate, "commit-update", "commit: empty, with a path";
    CommitExternalPsk, "commit-external-psk", "commit: external PSK";
    CommitResumptionPsk, "commit-resumption-psk", "commit: resumption PSK";
    CommitExtensions, "commit-extensions", "commit: GroupContext extensions";
    UnlistedExtensions, "unlisted-extensions", "the same, of a type that is not required";
    ClearExtensions, "clear-extensions", "commit: no GroupContext extensions";
    CommitByReference, "commit-by-reference", "commit: others' proposals by reference";
    CommitPsksBoth, "commit-psks-both", "commit: PSKs by reference and by value";
    CommitPublic, "commit-public", "commit as PublicMessage";
    CommitPrivate, "commit-private", "commit as PrivateMessage";
    LostCommit, "lost-commit", "commit that wins over the receiver's";
    ProposeAdd, "propose-add", "proposal: add";
    ProposeRemove, "propose-remove", "proposal: remove";
    ProposeUpdate, "propose-update", "proposal: update";
    ProposeExternalPsk, "propose-external-psk", "proposal: external PSK";
    ProposeResumptionPsk, "propose-resumption-psk", "proposal: resumption PSK";
    ProposeExtensions, "propose-extensions", "proposal: GroupContext extensions";
    ProposePublic, "propose-public", "proposal as PublicMessage";
    ProposePrivate, "propose-private", "proposal as PrivateMessage";
    GroupInfo, "group-info", "GroupInfo by which the other joins";
    GroupInfoTreeApart, "group-info-tree-apart", "the same, with the tree apart";
    ExternalJoin, "external-join", "joins by external commit";
    ExternalJoinPsk, "external-join-psk", "the same, with an external PSK";
    Resync, "resync", "the same, in place of its old leaf";
    Message, "message", "application message";
    OutOfOrder, "out-of-order", "application messages out of order";
    Late, "late", "application message of a past epoch";
    LateLeft, "late-left", "the same, from a sender that has left";
    StackKeys, "stack-keys", "signature keys as the stack generates them";
    ExternalSenderAdd, "external-sender-add", "external sender: add";
    ExternalSenderRemove, "external-sender-remove", "external sender: remove";
    ExternalSenderPsk, "external-sender-psk", "external sender: external PSK";
    NewMemberProposal, "new-member-proposal", "newcomer proposes to add itself";
    ReInit, "reinit", "ReInit into the same suite";
    ReInitSuite, "reinit-suite", "ReInit into another suite";
    Branch, "branch", "branch";
    BranchExtensions, "branch-extensions", "the same, with other extensions";
}

impl Feature {
    /// The feature with a name.
    pub fn from_key(key: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|feature| feature.key() == key)
    }

    /// Whether it is a step of its own; the other features show in one of these steps.
    pub fn is_step(self) -> bool {
        !matches!(
            self,
            Self::Create
                | Self::Welcome
                | Self::Removed
                | Self::RemovedReplaced
                | Self::CommitPublic
                | Self::CommitPrivate
                | Self::ProposePublic
                | Self::ProposePrivate
                | Self::Message
                | Self::OutOfOrder
        )
    }

    /// Whether no other step can follow it.
    pub fn is_last(self) -> bool {
        matches!(self, Self::ReInit | Self::ReInitSuite | Self::Branch | Self::BranchExtensions)
    }

    /// The step that shows it.
    pub fn step(self) -> Self {
        match self {
            Self::Create | Self::Message | Self::OutOfOrder | Self::Welcome => Self::CommitAdd,
            Self::CommitPublic | Self::CommitPrivate => Self::CommitExternalPsk,
            Self::Removed => Self::CommitRemove,
            Self::RemovedReplaced => Self::CommitRemoveAdd,
            Self::ProposePublic | Self::ProposePrivate => Self::ProposeAdd,
            step => step,
        }
    }
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.key())
    }
}
