//! What errors say.

use crate::error::reasons::{CredentialSubject, LinkFault, Obstacle};
use crate::error::{Error, Misuse, Rejection};
use core::fmt;

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
            Self::WrongVersion(v) => write!(f, "protocol version {v} does not fit"),
            Self::WrongCipherSuite(s) => write!(f, "cipher suite {s} does not fit"),
            Self::KeyPackageSignature => f.write_str("the key package's signature does not verify"),
            Self::KeyPackageLeafSource => {
                f.write_str("the key package's leaf node was not made for a key package")
            }
            Self::InitKeyReused => f.write_str("the key package's init key is its encryption key"),
            Self::DuplicateExtension(t) => write!(f, "extension {t} occurs twice"),
            Self::LifetimeExpired { not_after } => {
                write!(f, "the leaf node's lifetime ended at {not_after}")
            }
            Self::LifetimeNotBegun { not_before } => {
                write!(f, "the leaf node's lifetime begins at {not_before}")
            }
            Self::LifetimeTooLong => f.write_str("the leaf node's lifetime is too long"),
            Self::UnsupportedExtension(t) => {
                write!(f, "a member does not support extension {t}")
            }
            Self::UnsupportedProposal(t) => {
                write!(f, "a member does not support proposal type {t}")
            }
            Self::UnsupportedCredential(t) => {
                write!(f, "a member does not support credential type {t}")
            }
            Self::UpdateLeafSource => f.write_str("the Update's leaf node was not made for one"),
            Self::UpdateKeyUnchanged => f.write_str("the Update keeps the encryption key"),
            Self::CommitLeafSource => f.write_str("the path's leaf node was not made for a commit"),
            Self::UpdateFromOutside => f.write_str("an Update from a sender that is not a member"),
            Self::UnknownProposal(r) => write!(f, "the commit refers to an unknown proposal {r:?}"),
            Self::RepeatedReference(r) => write!(f, "the commit refers to proposal {r:?} twice"),
            Self::CommitterUpdates => f.write_str("the commit holds an Update by its committer"),
            Self::CommitterRemoved => f.write_str("the commit removes its committer"),
            Self::SeveralChangesOfLeaf(l) => {
                write!(f, "several Updates, Removes or SelfRemoves for {l}")
            }
            Self::RemoveOfNobody(l) => write!(f, "a Remove for {l}, which is blank"),
            Self::DuplicatePsk => f.write_str("a PSK occurs twice"),
            Self::PskUsage => f.write_str("a reinit or branch PSK where it is not allowed"),
            Self::PskNonceLength => f.write_str("a PSK nonce has the wrong length"),
            Self::SeveralGroupContextExtensions => {
                f.write_str("several GroupContextExtensions proposals")
            }
            Self::SelfRemoveByValue => f.write_str("a SelfRemove by value"),
            Self::SelfRemoveEncrypted => f.write_str("an encrypted SelfRemove"),
            Self::SelfRemoveFromOutside => {
                f.write_str("a SelfRemove from a sender that is not a member")
            }
            Self::AppDataByExtensions => f.write_str(
                "a GroupContextExtensions proposal that changes the app_data_dictionary",
            ),
            Self::AppDataMissing(id) => {
                write!(f, "an AppDataUpdate removes the data of component {id}, which has none")
            }
            Self::AppDataConflict(id) => {
                write!(f, "AppDataUpdates that conflict in component {id}")
            }
            Self::ReInitNotAlone => f.write_str("a ReInit beside other proposals"),
            Self::ReInitVersion(v) => write!(f, "a ReInit to the older version {v}"),
            Self::ExternalInitByMember => f.write_str("an ExternalInit in a member's commit"),
            Self::ExternalInitCount => {
                f.write_str("an external commit without exactly one ExternalInit")
            }
            Self::ExternalRemoves => f.write_str("an external commit with several Removes"),
            Self::ExternalProposal(t) => {
                write!(f, "an external commit with a proposal of type {t}")
            }
            Self::ExternalReference => {
                f.write_str("an external commit that refers to a proposal other than a SelfRemove")
            }
            Self::PathMissing => f.write_str("the commit needs a path and has none"),
            Self::ConfirmationTag => f.write_str("the confirmation tag does not match"),
            Self::UnknownExternalSender(i) => write!(f, "there is no external sender {i}"),
            Self::SenderNotMember(l) => write!(f, "the sender is {l}, which is blank"),
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
            Self::GroupInfoSigner => f.write_str("the GroupInfo's signer is not a member"),
            Self::TreeHash => f.write_str("the ratchet tree is not the one in the GroupContext"),
            Self::OwnLeafMissing => f.write_str("the ratchet tree does not hold our leaf"),
            Self::PathSecretMissing(node) => {
                write!(f, "the Welcome lacks a private key for node {} above our leaf", node.0)
            }
            Self::ExternalPubChanged => {
                f.write_str("the GroupInfo has another external_pub than the epoch's first one")
            }
            Self::ExternalPubMissing => f.write_str("the GroupInfo has no external_pub"),
            Self::LinkNotAlone => f.write_str("several reinit or branch PSKs"),
            Self::LinkMismatch(fault) => {
                write!(f, "the group does not continue the one that it names: {fault}")
            }
            Self::EpochExhausted => f.write_str("the epoch counter is at its end"),
            Self::InvalidPublicKey => f.write_str("a public key is not one of the cipher suite"),
            Self::PathOpen => f.write_str("the path secret does not open"),
            Self::ExternalInitOpen => f.write_str("the external init secret does not open"),
            Self::ExternalKeyUnchanged => {
                f.write_str("the external commit keeps the encryption key of the removed member")
            }
            Self::ExternalSenderProposal(t) => {
                write!(f, "external senders may not propose type {t}")
            }
            Self::NotRecipient(l) => write!(f, "the targeted message is for {l}, not for us"),
            Self::ReplayedTargetedMessage => f.write_str("the targeted message was read before"),
            Self::OverLimit { limit, found, allowed } => {
                write!(f, "{found} {limit} exceed this client's limit of {allowed}")
            }
            Self::UnsupportedComponent(c) => write!(f, "a member does not support component {c}"),
            Self::UnsupportedSafeAad(c) => {
                write!(f, "a member does not support safe AAD of component {c}")
            }
            Self::UnsupportedWireFormat(w) => {
                write!(f, "a member does not support wire format {w}")
            }
            Self::SafeAad(e) => write!(f, "the authenticated data is not a SafeAAD: {e}"),
            Self::ComponentSignature => f.write_str("the component's signature does not verify"),
            Self::ComponentOpen => f.write_str("the component's ciphertext does not open"),
            Self::BindingShape => {
                f.write_str("a credential of several has no binding, or one to several again")
            }
            Self::BindingSignature => f.write_str("a credential binding's signature is wrong"),
            Self::UnsupportedBinding(suite, kind) => write!(
                f,
                "a member does not support a binding of suite {suite} and credential type {kind}",
            ),
            Self::NoSupportedBinding => {
                f.write_str("a member supports no binding of a weak multi-credential")
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
            Self::CommitPending => f.write_str("a commit of ours is still pending"),
            Self::NoCommitPending => f.write_str("no commit of ours is pending"),
            Self::NotThisCommit => f.write_str("the verdict is not about the pending commit"),
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
            Self::AppDataCount { wanted, given } => write!(
                f,
                "{given} values were given for {wanted} components whose data the commit updates",
            ),
            Self::TreeMissing => f.write_str("the ratchet tree is needed and was not given"),
            Self::LinkMissing => f.write_str("the old group's link is needed and was not given"),
            Self::NotImplemented(t) => write!(
                f,
                "the leaf advertises proposals of type {t}, which are not in Config::proposals",
            ),
            Self::ComponentsNotListed => f.write_str(
                "the leaf advertises app_data_dictionary and does not list its app_components",
            ),
            Self::SecretConsumed(c) => {
                write!(f, "component {c} has exported its secret of this epoch")
            }
            Self::NotSafeAad(e) => {
                write!(f, "the authenticated data to send must be a SafeAAD: {e}")
            }
            Self::NotPossible(obstacle) => obstacle.fmt(f),
        }
    }
}

impl fmt::Display for LinkFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OtherLink => "it names another group, epoch or use",
            Self::NoGroupNamed => "it names no group",
            Self::NotEpochOne => "its epoch is not 1",
            Self::VersionOrSuite => "its version or cipher suite is not the old group's",
            Self::AnnouncedGroupId => "its identifier is not the announced one",
            Self::AnnouncedVersionOrSuite => "its version or cipher suite is not the announced one",
            Self::AnnouncedExtensions => "its extensions are not the announced ones",
            Self::MemberMissing => "a member of the old group is missing",
            Self::Stranger => "it has a member that the old group does not have",
        })
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotNew => "only a new group can be linked to another",
            Self::NotClosed => "the group was not closed",
            Self::EpochNotKept => "the epoch is not kept",
            Self::NoGroupNamed => "the Welcome names no group",
            Self::OtherGroupNamed => "the Welcome names another group",
            Self::AllMatched => "all members are matched",
            Self::NoCounterpart => "a member cannot be matched",
            Self::OtherSuite => "the key package is of another cipher suite",
            Self::GroupInfoExtension => {
                "ratchet_tree and external_pub are not the application's to set"
            }
            Self::SelfRemovePending => "we have asked to be removed in this epoch already",
            Self::NoSuchMember => "there is no member at the leaf",
            Self::NoComponentSecrets => {
                "our leaf did not advertise app_data_dictionary when the epoch began"
            }
            Self::PolicyCannotWait => "a policy cannot judge later",
            Self::SeedLength => "the seed does not have the length of the cipher suite's secrets",
            Self::OwnLeaf => "a targeted message to ourselves",
            Self::TargetedUnsupported => "the member's leaf does not list targeted messages",
        })
    }
}
