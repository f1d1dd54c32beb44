//! The features that stacks try on each other.

use crate::suite::Suite;
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
    SelfRemove, "self-remove", "proposal: SelfRemove";
    ExternalJoinSelfRemove, "external-join-self-remove", "external commit: another's SelfRemove";
    CommitAppData, "commit-app-data", "commit: AppDataUpdates, several for one component";
    DictionaryFirst, "dictionary-first", "the same, in a dictionary in front of other extensions";
    CommitAppDataRemoval, "commit-app-data-removal", "commit: AppDataUpdate that removes";
    ProposeAppData, "propose-app-data", "proposal: AppDataUpdate";
    DataThenExtensions, "data-then-extensions",
        "commit: GroupContext extensions, proposed after an AppDataUpdate";
    ProposeAppDataRemoval, "propose-app-data-removal", "proposal: AppDataUpdate that removes";
    ExternalJoinAppData, "external-join-app-data", "external commit: AppDataUpdates";
    ExternalSenderAppData, "external-sender-app-data", "external sender: AppDataUpdate";
    ObserveAppData, "observe-app-data", "commit of AppDataUpdates, followed by an observer";
    DictionaryByExtensions, "dictionary-by-extensions",
        "commit: GroupContext extensions with another dictionary";
    CommitEphemeral, "commit-ephemeral", "commit: AppEphemeral";
    ProposeEphemeral, "propose-ephemeral", "proposal: AppEphemeral";
    ExternalJoinEphemeral, "external-join-ephemeral", "external commit: AppEphemeral";
    CommitApplicationPsk, "commit-application-psk", "commit: application PSK";
    ProposeApplicationPsk, "propose-application-psk", "proposal: application PSK";
    SafeExport, "safe-export", "exported secret of a component, once";
    SafeAad, "safe-aad", "messages with a SafeAAD";
    MalformedSafeAad, "malformed-safe-aad", "malformed SafeAAD, refused";
    SafeAadTail, "safe-aad-tail", "SafeAAD with other data behind it, refused";
    OutsideSafeAad, "outside-safe-aad", "newcomer proposes to add itself, with a SafeAAD";
    LateSafeAad, "late-safe-aad", "message of an epoch before SafeAADs";
    Targeted, "targeted", "targeted message";
    TargetedMended, "targeted-mended", "the same, with the draft's HPKE inputs supplied";
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

    /// Whether a draft has it, and not RFC 9420.
    pub fn is_draft(self) -> bool {
        self >= Self::SelfRemove
    }

    /// Whether clients that have a suite have it at all.
    pub fn fits(self, suite: Suite) -> bool {
        match suite {
            Suite::Rfc(_) | Suite::Draft(_) | Suite::Mended(_) => !self.is_draft(),
            Suite::Extended(_) => true,
            Suite::Rcs(_) => self <= Self::ExternalJoinSelfRemove,
        }
    }

    /// Whether the page has it in the table of a suite: what is of RFC 9420 is there in the table of that.
    pub fn is_shown(self, suite: Suite) -> bool {
        let plain = matches!(suite, Suite::Rfc(_) | Suite::Draft(_) | Suite::Mended(_));
        self.fits(suite) && self.is_draft() != plain
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
