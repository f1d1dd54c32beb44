//! What errors say to people.

use crate::{
    ApplyError, CredentialSubject, Error, FramingError, LeafRule, Limit, Misuse, RatchetError,
    Rejection, TreeError,
};
use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use conclave_crypto::CryptoError;
use conclave_wire::{
    CipherSuite, CredentialType, DecodeError, EncodeError, Epoch, ExtensionType, LeafIndex,
    NodeIndex, PreSharedKeyId, ProposalRef, ProposalType, ProtocolVersion, PskType,
};

/// That each text says what it should, and is no other's.
fn check<E: ToString>(errors: &[(E, &str)]) {
    let texts: Vec<String> = errors.iter().map(|(e, _)| e.to_string()).collect();
    for ((_, says), text) in errors.iter().zip(&texts) {
        assert!(text.contains(says), "{text:?} does not say {says:?}");
        assert_eq!(texts.iter().filter(|other| *other == text).count(), 1, "{text}");
    }
}

#[test]
fn each_rejection_has_a_text_of_its_own_that_names_what_it_found() {
    use Rejection as R;
    let (leaf, proposal) = (LeafIndex(4711), ProposalType(0x4711));
    let (extension, credential) = (ExtensionType(0x4711), CredentialType(0x4711));
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
        (R::UpdateFromOutside, "no member"),
        (R::UnknownProposal(reference.clone()), "4711"),
        (R::RepeatedReference(reference), "twice"),
        (R::CommitterUpdates, "Update by its committer"),
        (R::CommitterRemoved, "removes its committer"),
        (R::SeveralChangesOfLeaf(leaf), "several Updates or Removes for leaf 4711"),
        (R::RemoveOfNobody(leaf), "Remove for leaf 4711"),
        (R::DuplicatePsk, "PSK twice"),
        (R::PskUsage, "reinit or branch PSK where none"),
        (R::PskNonceLength, "nonce"),
        (R::SeveralGroupContextExtensions, "several GroupContextExtensions"),
        (R::ReInitNotAlone, "ReInit together"),
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
        (R::OwnLeafMissing, "own leaf"),
        (R::PathSecretMissing(NodeIndex(4711)), "no private key for node 4711"),
        (R::ExternalPubMissing, "external_pub"),
        (R::LinkNotAlone, "several reinit or branch"),
        (R::LinkMismatch("too many"), "names: too many"),
        (R::EpochExhausted, "epoch counter"),
        (R::InvalidPublicKey, "public key"),
        (R::PathOpen, "path secret does not open"),
        (R::ExternalInitOpen, "external init secret"),
        (R::ExternalKeyUnchanged, "removed member"),
        (R::TooManyPsks, "more PSKs"),
        (R::ExternalSenderProposal(proposal), "external senders may not propose type 0x4711"),
        (
            R::OverLimit { limit: Limit::Psks, found: 4711, allowed: 815 },
            "4711 PSKs are over this client's limit of 815",
        ),
    ]);
}

#[test]
fn a_rule_that_several_floors_check_is_one_rejection() {
    use Rejection as R;
    let (message, context) = (Epoch(1), Epoch(2));
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
fn each_limit_and_each_subject_of_a_credential_has_a_name() {
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
    ]);
    check(&[
        (CredentialSubject::KeyPackage, "key package"),
        (CredentialSubject::Member(LeafIndex(4711)), "leaf 4711"),
        (CredentialSubject::NewMember, "new member"),
        (CredentialSubject::ExternalJoiner, "the external joiner"),
        (CredentialSubject::ExternalReplacement(LeafIndex(4711)), "in place of leaf 4711"),
        (CredentialSubject::ExternalSender(4711), "external sender 4711"),
    ]);
}

#[test]
fn each_misuse_says_what_to_do_otherwise() {
    let id = PreSharedKeyId {
        psktype: PskType::External { psk_id: [0x47, 0x11].into() },
        psk_nonce: [0; 32].into(),
    };
    check(&[
        (Misuse::Stale, "has changed"),
        (Misuse::Deleted, "was deleted"),
        (Misuse::Reinitialized, "successor"),
        (Misuse::CommitPending, "still pending"),
        (Misuse::NoCommitPending, "no own commit"),
        (Misuse::NotThisCommit, "not on the pending commit"),
        (Misuse::OtherPolicy, "another policy"),
        (Misuse::ProposalsPending, "must be committed"),
        (Misuse::PskUnavailable(Box::new(id)), "4711"),
        (Misuse::VerdictCount { wanted: 4711, given: 815 }, "815 verdicts were given for 4711"),
        (Misuse::TreeMissing, "ratchet tree"),
        (Misuse::LinkMissing, "link"),
        (Misuse::NotImplemented(ProposalType(0x4711)), "type 0x4711"),
        (Misuse::NotPossible("not on Sundays"), "not on Sundays"),
    ]);
    check(&[
        (ApplyError::Stale, "computed from another state"),
        (ApplyError::Reload, "load the group anew"),
        (ApplyError::Write("disk full"), "could not be stored: disk full"),
    ]);
}

#[test]
fn an_error_blames_whose_fault_it_is() {
    let crypto = CryptoError::Provider("no memory");
    let (decode, encode) = (DecodeError::Truncated, EncodeError { length: 4711 });
    check(&[
        (Error::from(decode), "malformed message: the input ends"),
        (Error::from(Rejection::PathMissing), "rejected: the commit needs a path"),
        (Error::from(Misuse::Deleted), "state was deleted"),
        (Error::from(crypto), "provider failed: no memory"),
        (Error::from(encode), "vector of 4711 bytes"),
        (Error::Undecided(CredentialSubject::NewMember), "cannot be judged now"),
        (Error::storage("a row"), "stored state: a row"),
    ]);
    assert_eq!(Error::from(TreeError::Crypto(crypto)), Error::Crypto(crypto));
    assert_eq!(Error::from(FramingError::Crypto(crypto)), Error::Crypto(crypto));
    assert_eq!(Error::from(RatchetError::Crypto(crypto)), Error::Crypto(crypto));
    let of_input = |e| Error::of_input(e, Rejection::PathOpen);
    assert_eq!(of_input(CryptoError::OpenFailed), Rejection::PathOpen.into());
    assert_eq!(of_input(crypto), Error::Crypto(crypto));
    // A key is deleted for what is wrong with the message, and for nothing else.
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
