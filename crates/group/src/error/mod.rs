//! Errors, grouped by who is at fault.

pub(crate) mod limit;
pub(crate) mod reasons;
pub(crate) mod remedy;
mod text;

use crate::error::limit::Limit;
use crate::error::reasons::{CredentialSubject, LinkFault, Obstacle};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use conclave_crypto::CryptoError;
use conclave_framing::FramingError;
use conclave_schedule::{ExporterError, RatchetError};
use conclave_tree::{LeafRule, TreeError};
use conclave_wire::{
    CipherSuite, ComponentId, CredentialType, DecodeError, EncodeError, Epoch, ExtensionType,
    LeafIndex, NodeIndex, PreSharedKeyId, ProposalRef, ProposalType, ProtocolVersion, WireFormat,
};

/// An operation that failed. It changed nothing. [`Self::remedy`] says what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The bytes have the wrong shape.
    Malformed(DecodeError),
    /// A message or object breaks a rule of the protocol.
    Rejected(Rejection),
    /// The caller asked for something that cannot be done now or in this way.
    Misuse(Misuse),
    /// The application cannot judge a credential now. The message, Welcome or key package can be
    /// processed again later.
    Undecided(CredentialSubject),
    /// The crypto provider failed.
    Crypto(CryptoError),
    /// A stored row is damaged or missing, or does not fit the others. The text names the row.
    Storage(Box<str>),
}

/// A rule of RFC 9420, or of an extension where it says so, that a message or object breaks.
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
    /// A message of another group.
    WrongGroup,
    /// A message of another epoch than the current one; application data of an epoch that is not
    /// kept (sections 12.1, 12.4.2 and 15.3).
    WrongEpoch {
        /// The message's epoch.
        message: Epoch,
        /// The current epoch.
        current: Epoch,
    },
    /// A kind of message that is not processed here, such as a Welcome among a group's messages.
    UnexpectedMessage,
    /// A version other than MLS 1.0, or other than the group's (sections 10.1 and 12.4.3).
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
    /// A leaf node's lifetime has ended (section 7.3).
    LifetimeExpired {
        /// The last second in which it was valid, since 1970.
        not_after: u64,
    },
    /// A leaf node's lifetime has not begun (section 7.3).
    LifetimeNotBegun {
        /// The first second in which it is valid, since 1970.
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
    /// An Update from a sender that is not a member (section 12.1.2).
    UpdateFromOutside,
    /// A commit refers to a proposal that was not received in this epoch (section 12.4).
    UnknownProposal(ProposalRef),
    /// A commit refers twice to a proposal of a type that cannot be in a commit twice: all that RFC
    /// 9420 defines (section 12.2), and SelfRemove.
    RepeatedReference(ProposalRef),
    /// A commit by a member holds an Update by that member (section 12.2).
    CommitterUpdates,
    /// A commit by a member removes that member (section 12.2).
    CommitterRemoved,
    /// Several Updates, Removes or SelfRemoves for one leaf (section 12.2).
    SeveralChangesOfLeaf(LeafIndex),
    /// A Remove of a leaf that is blank or not in the tree (section 12.1.3).
    RemoveOfNobody(LeafIndex),
    /// A PreSharedKeyID that occurs twice (section 12.2).
    DuplicatePsk,
    /// A PreSharedKey proposal with usage `reinit` or `branch` where that is not allowed (section
    /// 12.1.4).
    PskUsage,
    /// A `psk_nonce` that is not `KDF.Nh` bytes long (section 12.1.4).
    PskNonceLength,
    /// Several GroupContextExtensions proposals (section 12.2).
    SeveralGroupContextExtensions,
    /// A SelfRemove by value in a commit (draft-ietf-mls-extensions-10).
    SelfRemoveByValue,
    /// A SelfRemove in a PrivateMessage, which clients that join from outside could not read
    /// (draft-ietf-mls-extensions-10).
    SelfRemoveEncrypted,
    /// A SelfRemove from a sender that is not a member (draft-ietf-mls-extensions-10).
    SelfRemoveFromOutside,
    /// A GroupContextExtensions proposal that changes the `app_data_dictionary`: only AppDataUpdate
    /// may. draft-ietf-mls-extensions-10 says so where AppDataUpdate is a required proposal type; that
    /// it holds everywhere is our own rule.
    AppDataByExtensions,
    /// An AppDataUpdate that removes the data of a component that has none
    /// (draft-ietf-mls-extensions-10).
    AppDataMissing(ComponentId),
    /// AppDataUpdates that remove a component's data twice, or remove and update it
    /// (draft-ietf-mls-extensions-10).
    AppDataConflict(ComponentId),
    /// A ReInit beside other proposals (section 12.2).
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
    /// An external commit that refers to a proposal (section 12.4.3.2), other than a SelfRemove
    /// (draft-ietf-mls-extensions-10).
    ExternalReference,
    /// A commit that needs a path and has none (section 12.4).
    PathMissing,
    /// A confirmation tag that does not match (section 12.4.2).
    ConfirmationTag,
    /// A proposal by an external sender that the group does not list (section 12.1.8).
    UnknownExternalSender(u32),
    /// A message whose sender's leaf is blank or not in the tree (section 6.3.2).
    SenderNotMember(LeafIndex),
    /// The group was closed by a ReInit and waits to be replaced. Nothing else may happen in it
    /// (section 12.4.2).
    GroupReinitialized,
    /// The application refused a credential (section 5.3.1).
    CredentialRefused {
        /// Whose credential it was.
        subject: CredentialSubject,
        /// The application's reason.
        reason: Box<str>,
    },
    /// The application refused the message by rules of its own (section 12.2).
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
    /// A GroupInfo's signer is not a member (section 12.4.3.1).
    GroupInfoSigner,
    /// The ratchet tree's hash is not the one in the GroupContext (section 12.4.3.1).
    TreeHash,
    /// No leaf of the tree is the joiner's (section 12.4.3.1).
    OwnLeafMissing,
    /// A Welcome does not bring a private key that the joiner must know, of a node above its leaf:
    /// it has no path secret, or one from too far up (sections 12.4.1 and 12.4.3.1).
    PathSecretMissing(NodeIndex),
    /// A GroupInfo names another `external_pub` than an earlier one of its epoch. Nobody can join
    /// by one of the two (section 12.4.3.2).
    ExternalPubChanged,
    /// A GroupInfo without `external_pub`: nobody can join by it (section 12.4.3.2).
    ExternalPubMissing,
    /// A Welcome lists a `reinit` or `branch` PSK beside others of that kind (section 12.4.3.1).
    LinkNotAlone,
    /// A Welcome links the new group to another that it does not fit (sections 11.2, 11.3 and
    /// 12.4.3.1).
    LinkMismatch(LinkFault),
    /// The epoch counter is at its end.
    EpochExhausted,
    /// An HPKE public key is not one of the cipher suite (section 5.1.1).
    InvalidPublicKey,
    /// A path secret that is encrypted to us does not open (section 7.5).
    PathOpen,
    /// The `kem_output` of an ExternalInit does not open (section 8.3).
    ExternalInitOpen,
    /// An external commit whose leaf node has the encryption key of the leaf that it removes
    /// (sections 7.3 and 12.2).
    ExternalKeyUnchanged,
    /// More PSKs than a PSKLabel can count (section 8.4).
    TooManyPsks,
    /// An external proposal of a type that external senders may not make (section 12.1.8).
    ExternalSenderProposal(ProposalType),
    /// A member does not support a component that the group requires
    /// (draft-ietf-mls-extensions-10, "Negotiating Extensions and Components").
    UnsupportedComponent(ComponentId),
    /// A member does not send the safe AAD of a component that the group requires
    /// (draft-ietf-mls-extensions-10, "Negotiating Extensions and Components").
    UnsupportedSafeAad(ComponentId),
    /// A member does not support a wire format that the group requires
    /// (draft-ietf-mls-extensions-10, "Negotiating Extensions and Components").
    UnsupportedWireFormat(WireFormat),
    /// A message's authenticated data is not a SafeAAD, as the group requires
    /// (draft-ietf-mls-extensions-10, "Safe Additional Authenticated Data").
    SafeAad(DecodeError),
    /// A component's signature does not verify (draft-ietf-mls-extensions-10, "Signature Keys").
    ComponentSignature,
    /// What was encrypted to a component does not open (draft-ietf-mls-extensions-10, "Hybrid Public
    /// Key Encryption (HPKE) Keys").
    ComponentOpen,
    /// A targeted message for the member at another leaf (draft-ietf-mls-targeted-messages-02).
    NotRecipient(LeafIndex),
    /// A targeted message that was read before. Our own rule: the draft leaves replays to the
    /// application.
    ReplayedTargetedMessage,
    /// A credential of several has no binding, or one to a credential of several again. Our own rule:
    /// draft-ietf-mls-extensions-10 does not speak of these.
    BindingShape,
    /// A binding's signature does not verify (draft-ietf-mls-extensions-10, "Credential Bindings").
    BindingSignature,
    /// A member does not support the suite and credential type of a binding in a `multi` credential
    /// (draft-ietf-mls-extensions-10, "Verifying a Multi-Credential").
    UnsupportedBinding(CipherSuite, CredentialType),
    /// A member supports no binding of a `weak-multi` credential
    /// (draft-ietf-mls-extensions-10, "Verifying a Multi-Credential").
    NoSupportedBinding,
    /// Something exceeds this client's [`Limits`](crate::Limits).
    OverLimit {
        /// Which bound.
        limit: Limit,
        /// How much there is.
        found: usize,
        /// How much there may be.
        allowed: usize,
    },
}

/// A request of the caller that cannot be met.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Misuse {
    /// The group has changed since the stage or transition was computed: compute it again.
    Stale,
    /// The group's state was deleted.
    Deleted,
    /// The group was closed by a ReInit: create or join its successor.
    Reinitialized,
    /// A commit of ours waits for the delivery service's verdict: settle it first.
    CommitPending,
    /// No commit of ours is pending.
    NoCommitPending,
    /// The verdict is about another commit than the pending one.
    NotThisCommit,
    /// The group was stored under another [`Policy`](crate::Policy) than the one given: see
    /// [`Config::adopt_policy`](crate::Config::adopt_policy).
    OtherPolicy,
    /// Received proposals must be committed before application data may be sent (section 12.4).
    ProposalsPending,
    /// A PSK that is needed was not given.
    PskUnavailable(Box<PreSharedKeyId>),
    /// There are more or fewer verdicts than credentials.
    VerdictCount {
        /// How many credentials there are.
        wanted: usize,
        /// How many verdicts were given.
        given: usize,
    },
    /// There are more or fewer new values than components that the commit updates.
    AppDataCount {
        /// How many components there are.
        wanted: usize,
        /// How many values were given.
        given: usize,
    },
    /// The ratchet tree is neither given nor in the GroupInfo.
    TreeMissing,
    /// The link to the old group is needed and was not given.
    LinkMissing,
    /// Our leaf advertises a type of proposal that is not among the
    /// [implemented](crate::Config::proposals) ones (section 13.4).
    NotImplemented(ProposalType),
    /// Our leaf advertises `app_data_dictionary` and does not list its components
    /// (draft-ietf-mls-extensions-10, "Attaching Application Data to MLS Messages"):
    /// [`LeafParams::with_components`](crate::LeafParams::with_components) does both.
    ComponentsNotListed,
    /// The component has exported its secret of this epoch. Another is there in the next one.
    SecretConsumed(ComponentId),
    /// The authenticated data to send is not a SafeAAD, as the group requires
    /// (draft-ietf-mls-extensions-10, "Safe Additional Authenticated Data").
    NotSafeAad(DecodeError),
    /// Something stands in the way.
    NotPossible(Obstacle),
}

impl core::error::Error for Error {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Malformed(e) => Some(e),
            Self::Rejected(e) => Some(e),
            Self::Misuse(e) => Some(e),
            Self::Crypto(e) => Some(e),
            Self::Undecided(_) | Self::Storage(_) => None,
        }
    }
}

impl core::error::Error for Rejection {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Framing(e) => Some(e),
            Self::Tree(e) => Some(e),
            Self::LeafRule(e) => Some(e),
            Self::Ratchet(e) => Some(e),
            _ => None,
        }
    }
}

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
            // Rules that this crate states too have one variant each.
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
            // Rules that this crate states too have one variant each.
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

impl From<ExporterError> for Error {
    fn from(e: ExporterError) -> Self {
        match e {
            ExporterError::Crypto(e) => Self::Crypto(e),
            ExporterError::Consumed(component) => Misuse::SecretConsumed(component).into(),
            damaged => Self::storage(format!("{damaged}")),
        }
    }
}

impl Error {
    pub(crate) fn storage(what: impl Into<String>) -> Self {
        Self::Storage(what.into().into_boxed_str())
    }

    /// The error of an operation on keys, ciphertexts or signatures that came from outside: the
    /// rejection, unless the provider failed.
    pub(crate) fn of_input(error: CryptoError, rejection: Rejection) -> Self {
        if error.is_of_input() { Self::Rejected(rejection) } else { Self::Crypto(error) }
    }

    /// Whether the message is at fault, so that trying again is useless. A commit that arrives
    /// before its proposals is not at fault: it can be processed once they are there.
    pub(crate) fn condemns(&self) -> bool {
        match self {
            Self::Rejected(rejection) => !matches!(rejection, Rejection::UnknownProposal(_)),
            Self::Malformed(_) => true,
            Self::Misuse(_) | Self::Undecided(_) | Self::Crypto(_) | Self::Storage(_) => false,
        }
    }
}
