//! Why an operation was refused, by whose fault it is.

use crate::limits::Limit;
use alloc::boxed::Box;
use alloc::string::String;
use conclave_crypto::CryptoError;
use conclave_framing::FramingError;
use conclave_schedule::RatchetError;
use conclave_tree::{LeafRule, TreeError};
use conclave_wire::{
    CipherSuite, CredentialType, DecodeError, EncodeError, Epoch, ExtensionType, LeafIndex,
    NodeIndex, PreSharedKeyId, ProposalRef, ProposalType, ProtocolVersion,
};
use core::fmt;

/// Why an operation gave nothing. It changed nothing either.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The bytes have the wrong shape.
    Malformed(DecodeError),
    /// A message or object breaks a rule of the protocol.
    Rejected(Rejection),
    /// The caller asked for something that cannot be done now, or not in this way.
    Misuse(Misuse),
    /// The application cannot judge a credential now. The message, Welcome or key package can be
    /// processed again later.
    Undecided(CredentialSubject),
    /// The crypto provider failed.
    Crypto(CryptoError),
    /// A stored row is damaged, missing or does not fit the others; which one.
    Storage(Box<str>),
}

/// A rule of RFC 9420 that a message or object breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rejection {
    /// Framing: signature, membership tag, sender, content type (section 6).
    Framing(FramingError),
    /// The ratchet tree, a leaf node or an update path (section 7).
    Tree(TreeError),
    /// A leaf node that breaks a rule by itself (sections 7.2 and 7.3).
    LeafRule(LeafRule),
    /// The key of a PrivateMessage (section 9).
    Ratchet(RatchetError),
    /// The message is of another group.
    WrongGroup,
    /// The message is of an epoch that is not the current one; and for application data, of none
    /// that is kept (sections 12.1, 12.4.2 and 15.3).
    WrongEpoch {
        /// The message's epoch.
        message: Epoch,
        /// The current epoch.
        current: Epoch,
    },
    /// The message was sent as something that cannot be processed here: a Welcome, say.
    UnexpectedMessage,
    /// A version other than MLS 1.0, or another than the group's (sections 10.1 and 12.4.3).
    WrongVersion(ProtocolVersion),
    /// A cipher suite other than the group's or the key package's (sections 10.1 and 12.4.3.1).
    WrongCipherSuite(CipherSuite),
    /// A key package's signature does not verify (section 10.1).
    KeyPackageSignature,
    /// A key package's leaf node was not made for a key package (section 10.1).
    KeyPackageLeafSource,
    /// A key package's init key is its encryption key (section 10.1).
    InitKeyReused,
    /// A list of extensions holds a type twice (section 13.4).
    DuplicateExtension(ExtensionType),
    /// A leaf node is outside its lifetime (section 7.3).
    LifetimeExpired {
        /// The last second that it was valid.
        not_after: u64,
    },
    /// A leaf node's lifetime has not begun (section 7.3).
    LifetimeNotBegun {
        /// The first second that it is valid.
        not_before: u64,
    },
    /// A leaf node's lifetime is longer than the application accepts (section 7.2).
    LifetimeTooLong,
    /// A member does not support an extension of the group (sections 11.1 and 13.4).
    UnsupportedExtension(ExtensionType),
    /// A member does not support a required proposal type (section 11.1).
    UnsupportedProposal(ProposalType),
    /// A member does not support a credential type that is required or in use (sections 7.3 and
    /// 11.1).
    UnsupportedCredential(CredentialType),
    /// A leaf node in an Update was not made for an update (section 7.3).
    UpdateLeafSource,
    /// A leaf node in an Update has the encryption key that it replaces (section 7.3).
    UpdateKeyUnchanged,
    /// A leaf node in an UpdatePath was not made for a commit (section 7.3).
    CommitLeafSource,
    /// An Update from a sender that is no member (section 12.1.2).
    UpdateFromOutside,
    /// A commit refers to a proposal that was not received in this epoch (section 12.4).
    UnknownProposal(ProposalRef),
    /// A commit refers twice to one proposal of a type that RFC 9420 defines, none of which can be in a
    /// commit twice (section 12.2).
    RepeatedReference(ProposalRef),
    /// A commit by a member holds an Update by that member (section 12.2).
    CommitterUpdates,
    /// A commit by a member removes that member (section 12.2).
    CommitterRemoved,
    /// Several Updates or Removes for one leaf (section 12.2).
    SeveralChangesOfLeaf(LeafIndex),
    /// A Remove of a leaf that is blank or not in the tree (section 12.1.3).
    RemoveOfNobody(LeafIndex),
    /// One PreSharedKeyID twice (section 12.2).
    DuplicatePsk,
    /// A PreSharedKey proposal with usage `reinit` or `branch` where none is allowed (section
    /// 12.1.4).
    PskUsage,
    /// A `psk_nonce` that is not `KDF.Nh` bytes long (section 12.1.4).
    PskNonceLength,
    /// Several GroupContextExtensions proposals (section 12.2).
    SeveralGroupContextExtensions,
    /// A ReInit with other proposals (section 12.2).
    ReInitNotAlone,
    /// A ReInit to an older version (section 12.1.5).
    ReInitVersion(ProtocolVersion),
    /// An ExternalInit in a commit by a member (section 12.2).
    ExternalInitByMember,
    /// An external commit without exactly one ExternalInit (section 12.2).
    ExternalInitCount,
    /// An external commit that removes more than one member (section 12.2).
    ExternalRemoves,
    /// An external commit with a proposal that it may not hold (section 12.2).
    ExternalProposal(ProposalType),
    /// An external commit that refers to a proposal (section 12.4.3.2).
    ExternalReference,
    /// A commit that needs a path and has none (section 12.4).
    PathMissing,
    /// A confirmation tag that does not match (section 12.4.2).
    ConfirmationTag,
    /// A proposal was sent by an external sender that the group does not list (section 12.1.8).
    UnknownExternalSender(u32),
    /// A member's leaf that is blank or not in the tree sent the message (section 6.3.2).
    SenderNotMember(LeafIndex),
    /// The group waits to be replaced by another; nothing else may happen in it (section 12.4.2).
    GroupReinitialized,
    /// The application refused a credential (section 5.3.1).
    CredentialRefused {
        /// Whose credential it was.
        subject: CredentialSubject,
        /// The application's reason.
        reason: Box<str>,
    },
    /// The application refused the message by its own rules (section 12.2).
    RefusedByPolicy {
        /// The application's reason.
        reason: Box<str>,
    },
    /// A Welcome has no entry for the key package (section 12.4.3.1).
    WelcomeNotForKeyPackage,
    /// The secrets of a Welcome do not open (section 12.4.3.1).
    WelcomeOpen,
    /// A GroupInfo's signature does not verify (section 12.4.3).
    GroupInfoSignature,
    /// A GroupInfo's signer is no member (section 12.4.3.1).
    GroupInfoSigner,
    /// The ratchet tree's hash is not the one in the GroupContext (section 12.4.3.1).
    TreeHash,
    /// No leaf of the tree is the joiner's (section 12.4.3.1).
    OwnLeafMissing,
    /// A Welcome brings no private key for a node above the joiner's leaf whose key the joiner has to
    /// know: it has no path secret, or one from too far up (sections 12.4.1 and 12.4.3.1).
    PathSecretMissing(NodeIndex),
    /// A GroupInfo names another `external_pub` than an earlier one of its epoch: by one of the two
    /// nobody can join (section 12.4.3.2).
    ExternalPubChanged,
    /// A GroupInfo without `external_pub`, so that nobody can join by it (section 12.4.3.2).
    ExternalPubMissing,
    /// A Welcome lists a `reinit` or `branch` PSK beside others of that kind (section 12.4.3.1).
    LinkNotAlone,
    /// A Welcome links the new group to another, and the new group does not fit: not epoch 1, or
    /// other parameters or members (sections 11.2, 11.3 and 12.4.3.1).
    LinkMismatch(&'static str),
    /// The epoch counter is at its end.
    EpochExhausted,
    /// An HPKE public key is not one of the cipher suite (section 5.1.1).
    InvalidPublicKey,
    /// A path secret that is encrypted to this member does not open (section 7.5).
    PathOpen,
    /// The `kem_output` of an ExternalInit does not open (section 8.3).
    ExternalInitOpen,
    /// An external commit whose leaf node has the encryption key of the one that it removes
    /// (sections 7.3 and 12.2).
    ExternalKeyUnchanged,
    /// More PSKs than a PSKLabel can count (section 8.4).
    TooManyPsks,
    /// An external proposal of a type that external senders may not make (section 12.1.8).
    ExternalSenderProposal(ProposalType),
    /// Something is larger than this client's [`Limits`](crate::Limits) allow.
    OverLimit {
        /// Which bound.
        limit: Limit,
        /// How much there is.
        found: usize,
        /// How much there may be.
        allowed: usize,
    },
}

/// Whose credential the application judges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CredentialSubject {
    /// The owner of a key package that is to be added.
    KeyPackage,
    /// The member at a leaf: in a tree that is joined, or with a new credential.
    Member(LeafIndex),
    /// Somebody that a proposal would add.
    NewMember,
    /// Somebody that adds itself by an external commit.
    ExternalJoiner,
    /// Somebody that adds itself by an external commit in place of the member at a leaf, which the
    /// commit removes. Is that member the same party?
    /// [`CredentialRequest::replaces`](crate::CredentialRequest::replaces) is its credential.
    ExternalReplacement(LeafIndex),
    /// The external sender of an index.
    ExternalSender(u32),
}

/// What the caller did that cannot be done.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Misuse {
    /// The group has changed since the stage or transition was computed: compute it again.
    Stale,
    /// The group's state was deleted.
    Deleted,
    /// The group was closed by a ReInit: create or join its successor.
    Reinitialized,
    /// An own commit waits for the delivery service's verdict: settle it first.
    CommitPending,
    /// No own commit is pending.
    NoCommitPending,
    /// The verdict is on another commit than the pending one.
    NotThisCommit,
    /// The group was stored under another [`Policy`](crate::Policy) than the one given: see
    /// [`Config::adopt_policy`](crate::Config::adopt_policy).
    OtherPolicy,
    /// Proposals were received, which must be committed before application data may be sent
    /// (section 12.4).
    ProposalsPending,
    /// A PSK that is needed was not given.
    PskUnavailable(Box<PreSharedKeyId>),
    /// The number of verdicts is not the number of credentials.
    VerdictCount {
        /// How many credentials there are.
        wanted: usize,
        /// How many verdicts were given.
        given: usize,
    },
    /// The ratchet tree is needed and neither given nor in the GroupInfo.
    TreeMissing,
    /// The link to the old group is needed and was not given.
    LinkMissing,
    /// The own leaf advertises a type of proposal that is not among the
    /// [implemented](crate::Config::proposals) ones (section 13.4).
    NotImplemented(ProposalType),
    /// A last change is not possible in this group: what.
    NotPossible(&'static str),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(e) => write!(f, "malformed message: {e}"),
            Self::Rejected(r) => write!(f, "rejected: {r}"),
            Self::Misuse(m) => write!(f, "{m}"),
            Self::Undecided(subject) => {
                write!(f, "the credential of {subject} cannot be judged now: try again later")
            }
            Self::Crypto(e) => fmt::Display::fmt(e, f),
            Self::Storage(what) => write!(f, "stored state: {what}"),
        }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Framing(e) => fmt::Display::fmt(e, f),
            Self::Tree(e) => fmt::Display::fmt(e, f),
            Self::LeafRule(e) => write!(f, "the leaf node is invalid: {e}"),
            Self::Ratchet(e) => fmt::Display::fmt(e, f),
            Self::WrongGroup => f.write_str("the message is of another group"),
            Self::WrongEpoch { message, current } => {
                write!(f, "the message is of epoch {message}, the group is in epoch {current}")
            }
            Self::UnexpectedMessage => f.write_str("this kind of message is not processed here"),
            Self::WrongVersion(v) => write!(f, "protocol version {:#06x} does not fit", v.0),
            Self::WrongCipherSuite(s) => write!(f, "cipher suite {:#06x} does not fit", s.0),
            Self::KeyPackageSignature => f.write_str("the key package's signature does not verify"),
            Self::KeyPackageLeafSource => {
                f.write_str("the key package's leaf node was not made for a key package")
            }
            Self::InitKeyReused => f.write_str("the key package's init key is its encryption key"),
            Self::DuplicateExtension(t) => write!(f, "extension {:#06x} occurs twice", t.0),
            Self::LifetimeExpired { not_after } => {
                write!(f, "the leaf node's lifetime ended at {not_after}")
            }
            Self::LifetimeNotBegun { not_before } => {
                write!(f, "the leaf node's lifetime begins at {not_before}")
            }
            Self::LifetimeTooLong => f.write_str("the leaf node's lifetime is too long"),
            Self::UnsupportedExtension(t) => {
                write!(f, "a member does not support extension {:#06x}", t.0)
            }
            Self::UnsupportedProposal(t) => {
                write!(f, "a member does not support proposal type {:#06x}", t.0)
            }
            Self::UnsupportedCredential(t) => {
                write!(f, "a member does not support credential type {:#06x}", t.0)
            }
            Self::UpdateLeafSource => f.write_str("the Update's leaf node was not made for one"),
            Self::UpdateKeyUnchanged => f.write_str("the Update keeps the encryption key"),
            Self::CommitLeafSource => f.write_str("the path's leaf node was not made for a commit"),
            Self::UpdateFromOutside => f.write_str("an Update from a sender that is no member"),
            Self::UnknownProposal(r) => write!(f, "the commit refers to an unknown proposal {r:?}"),
            Self::RepeatedReference(r) => write!(f, "the commit refers to proposal {r:?} twice"),
            Self::CommitterUpdates => f.write_str("the commit holds an Update by its committer"),
            Self::CommitterRemoved => f.write_str("the commit removes its committer"),
            Self::SeveralChangesOfLeaf(l) => write!(f, "several Updates or Removes for {l}"),
            Self::RemoveOfNobody(l) => write!(f, "a Remove for {l}, where nobody is"),
            Self::DuplicatePsk => f.write_str("one PSK twice"),
            Self::PskUsage => f.write_str("a reinit or branch PSK where none is allowed"),
            Self::PskNonceLength => f.write_str("a PSK nonce has the wrong length"),
            Self::SeveralGroupContextExtensions => {
                f.write_str("several GroupContextExtensions proposals")
            }
            Self::ReInitNotAlone => f.write_str("a ReInit together with other proposals"),
            Self::ReInitVersion(v) => write!(f, "a ReInit to the older version {:#06x}", v.0),
            Self::ExternalInitByMember => f.write_str("an ExternalInit in a member's commit"),
            Self::ExternalInitCount => {
                f.write_str("an external commit without exactly one ExternalInit")
            }
            Self::ExternalRemoves => f.write_str("an external commit with several Removes"),
            Self::ExternalProposal(t) => {
                write!(f, "an external commit with a proposal of type {:#06x}", t.0)
            }
            Self::ExternalReference => f.write_str("an external commit that refers to a proposal"),
            Self::PathMissing => f.write_str("the commit needs a path and has none"),
            Self::ConfirmationTag => f.write_str("the confirmation tag does not match"),
            Self::UnknownExternalSender(i) => write!(f, "there is no external sender {i}"),
            Self::SenderNotMember(l) => write!(f, "the sender is {l}, where nobody is"),
            Self::GroupReinitialized => f.write_str("the group was closed by a ReInit"),
            Self::CredentialRefused { subject, reason } => {
                write!(f, "the credential of {subject} was refused: {reason}")
            }
            Self::RefusedByPolicy { reason } => {
                write!(f, "the application's policy refuses it: {reason}")
            }
            Self::WelcomeNotForKeyPackage => {
                f.write_str("the Welcome has no entry for this key package")
            }
            Self::WelcomeOpen => f.write_str("the Welcome does not open"),
            Self::GroupInfoSignature => f.write_str("the GroupInfo's signature does not verify"),
            Self::GroupInfoSigner => f.write_str("the GroupInfo's signer is no member"),
            Self::TreeHash => f.write_str("the ratchet tree is not the one of the GroupContext"),
            Self::OwnLeafMissing => f.write_str("the ratchet tree does not hold the own leaf"),
            Self::PathSecretMissing(node) => {
                write!(
                    f,
                    "the Welcome brings no private key for node {} above the own leaf",
                    node.0
                )
            }
            Self::ExternalPubChanged => {
                f.write_str("the GroupInfo has another external_pub than the epoch's first")
            }
            Self::ExternalPubMissing => f.write_str("the GroupInfo has no external_pub"),
            Self::LinkNotAlone => f.write_str("several reinit or branch PSKs"),
            Self::LinkMismatch(what) => {
                write!(f, "the group does not continue the one that it names: {what}")
            }
            Self::EpochExhausted => f.write_str("the epoch counter is at its end"),
            Self::InvalidPublicKey => f.write_str("a public key is not one of the cipher suite"),
            Self::PathOpen => f.write_str("the path secret does not open"),
            Self::ExternalInitOpen => f.write_str("the external init secret does not open"),
            Self::ExternalKeyUnchanged => {
                f.write_str("the external commit keeps the encryption key of the removed member")
            }
            Self::ExternalSenderProposal(t) => {
                write!(f, "external senders may not propose type {:#06x}", t.0)
            }
            Self::OverLimit { limit, found, allowed } => {
                write!(f, "{found} {limit} are over this client's limit of {allowed}")
            }
            Self::TooManyPsks => f.write_str("more PSKs than can be counted"),
        }
    }
}

impl fmt::Display for CredentialSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KeyPackage => f.write_str("the key package"),
            Self::Member(leaf) => write!(f, "the member at {leaf}"),
            Self::NewMember => f.write_str("the new member"),
            Self::ExternalJoiner => f.write_str("the external joiner"),
            Self::ExternalReplacement(leaf) => write!(f, "the external joiner in place of {leaf}"),
            Self::ExternalSender(i) => write!(f, "external sender {i}"),
        }
    }
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stale => f.write_str("the group has changed in the meantime"),
            Self::Deleted => f.write_str("the group's state was deleted"),
            Self::Reinitialized => f.write_str("the group was closed and waits for its successor"),
            Self::CommitPending => f.write_str("an own commit is still pending"),
            Self::NoCommitPending => f.write_str("no own commit is pending"),
            Self::NotThisCommit => f.write_str("the verdict is not on the pending commit"),
            Self::OtherPolicy => f.write_str(
                "the group was stored under another policy; set Config::adopt_policy to change it",
            ),
            Self::ProposalsPending => {
                f.write_str("received proposals must be committed before data may be sent")
            }
            Self::PskUnavailable(id) => write!(f, "the PSK {:?} is not available", id.psktype),
            Self::VerdictCount { wanted, given } => {
                write!(f, "{given} verdicts were given for {wanted} credentials")
            }
            Self::TreeMissing => f.write_str("the ratchet tree is needed and was not given"),
            Self::LinkMissing => f.write_str("the old group's link is needed and was not given"),
            Self::NotImplemented(t) => write!(
                f,
                "the leaf advertises proposals of type {:#06x}, which are not in Config::proposals",
                t.0
            ),
            Self::NotPossible(what) => f.write_str(what),
        }
    }
}

impl core::error::Error for Error {}
impl core::error::Error for Rejection {}
impl core::error::Error for Misuse {}

impl From<DecodeError> for Error {
    fn from(e: DecodeError) -> Self {
        Self::Malformed(e)
    }
}

impl From<EncodeError> for Error {
    fn from(e: EncodeError) -> Self {
        Self::Crypto(e.into())
    }
}

impl From<CryptoError> for Error {
    fn from(e: CryptoError) -> Self {
        Self::Crypto(e)
    }
}

impl From<Rejection> for Error {
    fn from(r: Rejection) -> Self {
        Self::Rejected(r)
    }
}

impl From<Misuse> for Error {
    fn from(m: Misuse) -> Self {
        Self::Misuse(m)
    }
}

impl From<TreeError> for Error {
    fn from(e: TreeError) -> Self {
        match e {
            TreeError::Crypto(e) => Self::Crypto(e),
            // Rules that this floor states too: each comes as one variant.
            TreeError::EncryptionKeyUnchanged { .. } => Rejection::UpdateKeyUnchanged.into(),
            TreeError::PathLeafSource => Rejection::CommitLeafSource.into(),
            other => Self::Rejected(Rejection::Tree(other)),
        }
    }
}

impl From<FramingError> for Error {
    fn from(e: FramingError) -> Self {
        match e {
            FramingError::Crypto(e) => Self::Crypto(e),
            // Rules that this floor states too: each comes as one variant.
            FramingError::WrongGroup => Rejection::WrongGroup.into(),
            FramingError::WrongEpoch { message, context } => {
                Rejection::WrongEpoch { message, current: context }.into()
            }
            FramingError::ExternalSenderProposalType(proposal_type) => {
                Rejection::ExternalSenderProposal(proposal_type).into()
            }
            other => Self::Rejected(Rejection::Framing(other)),
        }
    }
}

impl From<RatchetError> for Error {
    fn from(e: RatchetError) -> Self {
        match e {
            RatchetError::Crypto(e) => Self::Crypto(e),
            other => Self::Rejected(Rejection::Ratchet(other)),
        }
    }
}

impl Error {
    pub(crate) fn storage(what: impl Into<String>) -> Self {
        Self::Storage(what.into().into_boxed_str())
    }

    /// An error of an operation on keys, ciphertexts or signatures that came from outside: the
    /// rejection, unless the provider failed.
    pub(crate) fn of_input(error: CryptoError, rejection: Rejection) -> Self {
        match error.is_of_input() {
            true => Self::Rejected(rejection),
            false => Self::Crypto(error),
        }
    }

    /// Whether the message is at fault, so that trying again is of no use. A commit that came
    /// before its proposals is not: it can be processed once they are there.
    pub(crate) fn condemns(&self) -> bool {
        match self {
            Self::Rejected(rejection) => !matches!(rejection, Rejection::UnknownProposal(_)),
            Self::Malformed(_) => true,
            Self::Misuse(_) | Self::Undecided(_) | Self::Crypto(_) | Self::Storage(_) => false,
        }
    }
}
