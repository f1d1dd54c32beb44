//! The texts and remedies of errors.

use crate::{
    ApplyError, CredentialSubject, Error, FramingError, LeafRule, Limit, LinkFault, Misuse,
    Obstacle, RatchetError, Rejection, Remedy, TreeError,
};
use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use conclave_crypto::CryptoError;
use conclave_wire::{
    CipherSuite, ComponentId, CredentialType, DecodeError, EncodeError, Epoch, ExtensionType,
    LeafIndex, NodeIndex, PreSharedKeyId, ProposalRef, ProposalType, ProtocolVersion, PskType,
    WireFormat,
};
use core::error::Error as _;

/// Checks that each text says what it should, and that no two are the same.
fn check<E: ToString>(errors: &[(E, &str)]) {
    let texts: Vec<String> = errors.iter().map(|(e, _)| e.to_string()).collect();
    for ((_, says), text) in errors.iter().zip(&texts) {
        assert!(text.contains(says), "{text:?} does not say {says:?}");
        assert_eq!(texts.iter().filter(|other| *other == text).count(), 1, "{text}");
    }
}

#[test]
fn each_rejection_has_its_own_text_and_names_what_it_found() {
    use Rejection as R;
    let leaf = LeafIndex(4711);
    let proposal = ProposalType(0x4711);
    let extension = ExtensionType(0x4711);
    let credential = CredentialType(0x4711);
    let component = ComponentId(0x4711);
    let reference = ProposalRef::from([0x47, 0x11].as_slice());
    let reason: Box<str> = "not on Sundays".into();

    let subject = CredentialSubject::Member(leaf);
    check(&[
        (R::Framing(FramingError::MissingMembershipTag), "no membership tag"),
        (R::Tree(TreeError::Empty), "no node"),
        (R::LeafRule(LeafRule::VersionNotListed), "leaf node is invalid: its capabilities"),
        (R::Ratchet(RatchetError::Exhausted { leaf }), "ratchet of leaf 4711"),
        (
            R::WrongEpoch { message: Epoch(4711), current: Epoch(815) },
            "epoch 4711, the group is in epoch 815",
        ),
        (R::UnexpectedMessage, "kind of message"),
        (R::WrongVersion(ProtocolVersion(0x4711)), "version 0x4711"),
        (R::WrongCipherSuite(CipherSuite(0x4711)), "suite 0x4711"),
        (R::KeyPackageSignature, "key package's signature"),
        (R::KeyPackageLeafSource, "not made for a key package"),
        (R::InitKeyReused, "init key"),
        (R::DuplicateExtension(extension), "0x4711 occurs twice"),
        (R::LifetimeExpired { not_after: 4711 }, "ended at 4711"),
        (R::LifetimeNotBegun { not_before: 4711 }, "begins at 4711"),
        (R::LifetimeTooLong, "too long"),
        (R::UnsupportedExtension(extension), "extension 0x4711"),
        (R::UnsupportedProposal(proposal), "not support proposal type 0x4711"),
        (R::UnsupportedCredential(credential), "credential type 0x4711"),
        (R::UpdateLeafSource, "Update's leaf node"),
        (R::UpdateKeyUnchanged, "Update keeps"),
        (R::CommitLeafSource, "path's leaf node"),
        (R::UpdateFromOutside, "not a member"),
        (R::UnknownProposal(reference.clone()), "4711"),
        (R::RepeatedReference(reference), "twice"),
        (R::CommitterUpdates, "Update by its committer"),
        (R::CommitterRemoved, "removes its committer"),
        (R::SeveralChangesOfLeaf(leaf), "several Updates, Removes or SelfRemoves for leaf 4711"),
        (R::RemoveOfNobody(leaf), "Remove for leaf 4711"),
        (R::DuplicatePsk, "PSK occurs twice"),
        (R::PskUsage, "reinit or branch PSK where it is not"),
        (R::PskNonceLength, "nonce"),
        (R::SeveralGroupContextExtensions, "several GroupContextExtensions"),
        (R::SelfRemoveByValue, "SelfRemove by value"),
        (R::SelfRemoveEncrypted, "encrypted SelfRemove"),
        (R::SelfRemoveFromOutside, "SelfRemove from a sender"),
        (R::AppDataByExtensions, "changes the app_data_dictionary"),
        (R::AppDataMissing(ComponentId(0x4711)), "removes the data of component 0x4711"),
        (R::AppDataConflict(ComponentId(0x4711)), "conflict in component 0x4711"),
        (R::ReInitNotAlone, "ReInit beside"),
        (R::ReInitVersion(ProtocolVersion(0x4711)), "older version 0x4711"),
        (R::ExternalInitByMember, "ExternalInit in a member's"),
        (R::ExternalInitCount, "exactly one ExternalInit"),
        (R::ExternalRemoves, "several Removes"),
        (R::ExternalProposal(proposal), "external commit with a proposal of type 0x4711"),
        (R::ExternalReference, "refers to a proposal"),
        (R::PathMissing, "needs a path"),
        (R::ConfirmationTag, "confirmation tag"),
        (R::UnknownExternalSender(4711), "external sender 4711"),
        (R::SenderNotMember(leaf), "sender is leaf 4711"),
        (R::GroupReinitialized, "closed by a ReInit"),
        (
            R::CredentialRefused { subject, reason: reason.clone() },
            "member at leaf 4711 was refused: not on",
        ),
        (R::RefusedByPolicy { reason }, "policy refuses it: not on Sundays"),
        (R::WelcomeNotForKeyPackage, "no entry"),
        (R::WelcomeOpen, "Welcome does not open"),
        (R::GroupInfoSignature, "GroupInfo's signature"),
        (R::GroupInfoSigner, "GroupInfo's signer"),
        (R::TreeHash, "ratchet tree is not the one"),
        (R::OwnLeafMissing, "our leaf"),
        (R::PathSecretMissing(NodeIndex(4711)), "lacks a private key for node 4711"),
        (R::ExternalPubMissing, "external_pub"),
        (R::LinkNotAlone, "several reinit or branch"),
        (R::LinkMismatch(LinkFault::NotEpochOne), "names: its epoch is not 1"),
        (R::EpochExhausted, "epoch counter"),
        (R::InvalidPublicKey, "public key"),
        (R::PathOpen, "path secret does not open"),
        (R::ExternalInitOpen, "external init secret"),
        (R::ExternalKeyUnchanged, "removed member"),
        (R::UnsupportedComponent(component), "not support component 0x4711"),
        (R::UnsupportedSafeAad(component), "safe AAD of component 0x4711"),
        (R::UnsupportedWireFormat(WireFormat(0x4711)), "wire format 0x4711"),
        (R::SafeAad(DecodeError::Truncated), "not a SafeAAD: the input ends"),
        (R::ComponentSignature, "component's signature"),
        (R::ComponentOpen, "component's ciphertext"),
        (R::BindingShape, "no binding, or"),
        (R::BindingSignature, "binding's signature"),
        (R::UnsupportedBinding(CipherSuite(0x4711), credential), "0x4711 and credential type"),
        (R::NoSupportedBinding, "supports no binding"),
        (R::TooManyPsks, "more PSKs"),
        (R::NotRecipient(leaf), "is for leaf 4711"),
        (R::ReplayedTargetedMessage, "read before"),
        (R::ExternalSenderProposal(proposal), "external senders may not propose type 0x4711"),
        (
            R::OverLimit { limit: Limit::Psks, found: 4711, allowed: 815 },
            "4711 PSKs exceed this client's limit of 815",
        ),
    ]);
}

#[test]
fn a_rule_that_several_crates_check_is_one_rejection() {
    use Rejection as R;
    let message = Epoch(1);
    let context = Epoch(2);
    let framing = [
        (FramingError::WrongGroup, R::WrongGroup),
        (
            FramingError::WrongEpoch { message, context },
            R::WrongEpoch { message, current: context },
        ),
        (
            FramingError::ExternalSenderProposalType(ProposalType::UPDATE),
            R::ExternalSenderProposal(ProposalType::UPDATE),
        ),
    ];

    for (error, rule) in framing {
        assert_eq!(Error::from(error), rule.into());
    }

    let tree = [
        (TreeError::EncryptionKeyUnchanged { leaf: LeafIndex(3) }, R::UpdateKeyUnchanged),
        (TreeError::PathLeafSource, R::CommitLeafSource),
    ];
    for (error, rule) in tree {
        assert_eq!(Error::from(error), rule.into());
    }
}

#[test]
fn each_detail_of_an_error_has_its_own_text() {
    check(&[
        (Limit::MessageBytes, "of a message"),
        (Limit::JoinBytes, "to join by"),
        (Limit::TreeLeaves, "leaves"),
        (Limit::LeafBytes, "leaf node"),
        (Limit::ExtensionsBytes, "extensions"),
        (Limit::Proposals, "proposals of a commit"),
        (Limit::PendingProposals, "pending"),
        (Limit::PendingBytes, "bytes of pending"),
        (Limit::Psks, "PSKs"),
        (Limit::Bindings, "bindings"),
    ]);
    check(&[
        (CredentialSubject::KeyPackage, "key package"),
        (CredentialSubject::Member(LeafIndex(4711)), "leaf 4711"),
        (CredentialSubject::NewMember, "new member"),
        (CredentialSubject::ExternalJoiner, "the external joiner"),
        (CredentialSubject::ExternalReplacement(LeafIndex(4711)), "in place of leaf 4711"),
        (CredentialSubject::ExternalSender(4711), "external sender 4711"),
    ]);
    check(&[
        (LinkFault::OtherLink, "another group, epoch or use"),
        (LinkFault::NoGroupNamed, "no group"),
        (LinkFault::NotEpochOne, "not 1"),
        (LinkFault::VersionOrSuite, "the old group's"),
        (LinkFault::AnnouncedGroupId, "identifier"),
        (LinkFault::AnnouncedVersionOrSuite, "suite is not the announced one"),
        (LinkFault::AnnouncedExtensions, "extensions"),
        (LinkFault::MemberMissing, "missing"),
        (LinkFault::Stranger, "does not have"),
    ]);
    check(&[
        (Obstacle::NotNew, "only a new group"),
        (Obstacle::NotClosed, "not closed"),
        (Obstacle::EpochNotKept, "not kept"),
        (Obstacle::NoGroupNamed, "no group"),
        (Obstacle::OtherGroupNamed, "another group"),
        (Obstacle::AllMatched, "all members are matched"),
        (Obstacle::NoCounterpart, "cannot be matched"),
        (Obstacle::OtherSuite, "another cipher suite"),
        (Obstacle::GroupInfoExtension, "external_pub"),
        (Obstacle::SelfRemovePending, "asked to be removed"),
        (Obstacle::NoSuchMember, "no member at the leaf"),
        (Obstacle::NoComponentSecrets, "did not advertise app_data_dictionary"),
        (Obstacle::PolicyCannotWait, "later"),
        (Obstacle::SeedLength, "the seed"),
        (Obstacle::OwnLeaf, "to ourselves"),
        (Obstacle::TargetedUnsupported, "does not list"),
    ]);
}

#[test]
fn each_misuse_has_its_own_text() {
    let id = PreSharedKeyId {
        psktype: PskType::External { psk_id: [0x47, 0x11].into() },
        psk_nonce: [0; 32].into(),
    };
    check(&[
        (Misuse::Stale, "has changed"),
        (Misuse::Deleted, "was deleted"),
        (Misuse::Reinitialized, "successor"),
        (Misuse::CommitPending, "still pending"),
        (Misuse::NoCommitPending, "no commit of ours"),
        (Misuse::NotThisCommit, "not about the pending commit"),
        (Misuse::OtherPolicy, "another policy"),
        (Misuse::ProposalsPending, "must be committed"),
        (Misuse::PskUnavailable(Box::new(id)), "4711"),
        (Misuse::VerdictCount { wanted: 4711, given: 815 }, "815 verdicts were given for 4711"),
        (Misuse::AppDataCount { wanted: 4711, given: 815 }, "815 values were given for 4711"),
        (Misuse::TreeMissing, "ratchet tree"),
        (Misuse::LinkMissing, "link"),
        (Misuse::NotImplemented(ProposalType(0x4711)), "type 0x4711"),
        (Misuse::ComponentsNotListed, "its app_components"),
        (Misuse::SecretConsumed(ComponentId(0x4711)), "component 0x4711"),
        (Misuse::NotSafeAad(DecodeError::Truncated), "must be a SafeAAD: the input ends"),
        (Misuse::NotPossible(Obstacle::NotClosed), "was not closed"),
    ]);
    check(&[
        (ApplyError::Stale, "computed from another state"),
        (ApplyError::Reload, "load the group again"),
        (ApplyError::Write("disk full"), "could not be stored: disk full"),
    ]);
}

#[test]
fn each_class_of_error_has_its_remedy() {
    use Rejection as R;
    let leaf = LeafIndex(1);
    let subject = CredentialSubject::Member(leaf);
    let reason: Box<str> = "not on Sundays".into();
    let reference = ProposalRef::from([0x47, 0x11].as_slice());
    let psktype = PskType::External { psk_id: [0x47, 0x11].into() };
    let id = PreSharedKeyId { psktype, psk_nonce: [0; 32].into() };

    let epochs =
        |message, current| R::WrongEpoch { message: Epoch(message), current: Epoch(current) };
    let cases: Vec<(Error, Remedy)> = vec![
        (DecodeError::Truncated.into(), Remedy::Drop),
        (R::KeyPackageSignature.into(), Remedy::Drop),
        (R::Framing(FramingError::InvalidSignature).into(), Remedy::Drop),
        (R::Ratchet(RatchetError::KeyGone { leaf, generation: 1 }).into(), Remedy::Drop),
        (R::NotRecipient(leaf).into(), Remedy::Drop),
        (R::ReplayedTargetedMessage.into(), Remedy::Drop),
        (epochs(4, 5).into(), Remedy::Drop),
        (epochs(6, 5).into(), Remedy::FetchFrom(Epoch(5))),
        (R::UnknownProposal(reference.clone()).into(), Remedy::FetchProposal(reference)),
        (R::ConfirmationTag.into(), Remedy::Rejoin),
        (R::PathOpen.into(), Remedy::Rejoin),
        (R::ExternalInitOpen.into(), Remedy::Rejoin),
        (R::Tree(TreeError::NoPrivateKey { leaf }).into(), Remedy::Rejoin),
        (R::Tree(TreeError::PathSecretLength).into(), Remedy::Rejoin),
        (R::Tree(TreeError::PathKeyMismatch { node: NodeIndex(1) }).into(), Remedy::Rejoin),
        (R::Tree(TreeError::PathParentHash).into(), Remedy::Drop),
        (R::CredentialRefused { subject, reason: reason.clone() }.into(), Remedy::Decide),
        (R::RefusedByPolicy { reason }.into(), Remedy::Decide),
        (R::OverLimit { limit: Limit::Psks, found: 3, allowed: 2 }.into(), Remedy::Decide),
        (R::GroupReinitialized.into(), Remedy::Over),
        (Misuse::Stale.into(), Remedy::Recompute),
        (Misuse::Deleted.into(), Remedy::Over),
        (Misuse::Reinitialized.into(), Remedy::Over),
        (Misuse::CommitPending.into(), Remedy::CommitFirst),
        (Misuse::ProposalsPending.into(), Remedy::CommitFirst),
        (Misuse::NoCommitPending.into(), Remedy::Drop),
        (Misuse::NotThisCommit.into(), Remedy::Drop),
        (Misuse::PskUnavailable(Box::new(id)).into(), Remedy::Provide),
        (Misuse::AppDataCount { wanted: 1, given: 0 }.into(), Remedy::Provide),
        (Misuse::TreeMissing.into(), Remedy::Provide),
        (Misuse::LinkMissing.into(), Remedy::Provide),
        (Misuse::OtherPolicy.into(), Remedy::Fix),
        (Misuse::VerdictCount { wanted: 1, given: 2 }.into(), Remedy::Fix),
        (Misuse::NotImplemented(ProposalType(0x4711)).into(), Remedy::Fix),
        (Misuse::ComponentsNotListed.into(), Remedy::Fix),
        (Misuse::SecretConsumed(ComponentId(1)).into(), Remedy::Fix),
        (Misuse::NotSafeAad(DecodeError::Truncated).into(), Remedy::Fix),
        (Misuse::NotPossible(Obstacle::NotClosed).into(), Remedy::Fix),
        (Error::Undecided(subject), Remedy::RetryLater),
        (CryptoError::Provider("no memory").into(), Remedy::Fix),
        (Error::storage("a row"), Remedy::Rejoin),
    ];

    for (error, remedy) in cases {
        assert_eq!(error.remedy(), remedy, "{error}");
    }
}

#[test]
fn an_error_blames_whoever_is_at_fault() {
    let crypto = CryptoError::Provider("no memory");
    let decode = DecodeError::Truncated;
    let encode = EncodeError { length: 4711 };
    check(&[
        (Error::from(decode), "malformed message: the input ends"),
        (Error::from(Rejection::PathMissing), "rejected: the commit needs a path"),
        (Error::from(Misuse::Deleted), "state was deleted"),
        (Error::from(crypto), "provider failed: no memory"),
        (Error::from(encode), "too long to encode"),
        (Error::Undecided(CredentialSubject::NewMember), "cannot be judged now"),
        (Error::storage("a row"), "stored state: a row"),
    ]);

    let too_long = Error::from(encode);
    let source = too_long.source().and_then(|error| error.source()).expect("the encoding");
    assert!(source.to_string().contains("vector of 4711 bytes"), "{source}");
    assert_eq!(Error::from(TreeError::Crypto(crypto)), Error::Crypto(crypto));
    assert_eq!(Error::from(FramingError::Crypto(crypto)), Error::Crypto(crypto));
    assert_eq!(Error::from(RatchetError::Crypto(crypto)), Error::Crypto(crypto));

    let of_input = |e| Error::of_input(e, Rejection::PathOpen);
    assert_eq!(of_input(CryptoError::OpenFailed), Rejection::PathOpen.into());
    assert_eq!(of_input(crypto), Error::Crypto(crypto));

    // A key is deleted only if the message is at fault.
    let unknown = Rejection::UnknownProposal(ProposalRef::from([1].as_slice()));
    for (error, condemns) in [
        (Error::from(decode), true),
        (Error::from(Rejection::PathMissing), true),
        (Error::from(unknown), false),
        (Error::from(Misuse::Stale), false),
        (Error::from(crypto), false),
        (Error::storage("a row"), false),
    ] {
        assert_eq!(error.condemns(), condemns, "{error}");
    }
}
