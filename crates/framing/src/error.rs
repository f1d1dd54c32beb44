use conclave_crypto::CryptoError;
use conclave_wire::{DecodeError, EncodeError, Epoch, ProposalType, SenderType, WireFormat};
use core::fmt;

/// The reason why a message could not be protected, opened or authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FramingError {
    /// The wire format is neither PublicMessage nor PrivateMessage, or not the requested one
    /// (section 6).
    WrongWireFormat(WireFormat),
    /// The caller used a function for other kinds of sender.
    WrongSenderType(SenderType),
    /// The message and the context belong to different groups (section 6.1).
    WrongGroup,
    /// The message and the context belong to different epochs (section 6.1).
    WrongEpoch {
        /// The message's epoch.
        message: Epoch,
        /// The context's epoch.
        context: Epoch,
    },
    /// Application data in a PublicMessage (section 6).
    ApplicationDataInPublicMessage,
    /// A PrivateMessage from a sender that is not a member (section 6).
    PrivateMessageFromOutside,
    /// An `external` sender sent something other than a proposal (section 6.1).
    ExternalSenderNotProposal,
    /// An `external` sender sent a proposal of a forbidden type (sections 6.1 and 12.1.8).
    ExternalSenderProposalType(ProposalType),
    /// A `new_member_proposal` sender sent something other than a proposal (section 6.1).
    NewMemberProposalNotProposal,
    /// A `new_member_proposal` sender sent a proposal other than an Add (section 6.1).
    NewMemberProposalNotAdd(ProposalType),
    /// A `new_member_commit` sender sent something other than a commit (section 6.1).
    NewMemberCommitNotCommit,
    /// A `new_member_commit` sender sent a commit without a path, which would hold the key that
    /// verifies it (sections 6.1 and 12.4.3.2).
    NewMemberCommitWithoutPath,
    /// A commit without a confirmation tag (section 6.1).
    MissingConfirmationTag,
    /// A confirmation tag on something other than a commit (section 6.1).
    UnexpectedConfirmationTag,
    /// A member's PublicMessage without a membership tag (section 6.2).
    MissingMembershipTag,
    /// A membership tag on a message from outside (section 6.2).
    UnexpectedMembershipTag,
    /// The membership tag does not match the message (section 6.2).
    InvalidMembershipTag,
    /// The signature does not verify with the key (section 6.1).
    InvalidSignature,
    /// The sender data cannot be decrypted (section 6.3.2).
    SenderDataNotOpened,
    /// The decrypted sender data is malformed (section 6.3.2).
    MalformedSenderData(DecodeError),
    /// The content cannot be decrypted with the key (section 6.3.1). The key is not consumed.
    ContentNotOpened,
    /// The decrypted content is malformed or not of the message's type (section 6.3.1).
    MalformedContent(DecodeError),
    /// The padding holds a non-zero byte (section 6.3.1).
    NonZeroPadding,
    /// The message is too long to encode.
    Encode(EncodeError),
    /// The crypto provider failed or got a key of the wrong length.
    Crypto(CryptoError),
}

impl fmt::Display for FramingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self {
            Self::WrongWireFormat(found) => return write!(f, "unexpected wire format {found}"),
            Self::WrongSenderType(found) => {
                return write!(f, "this function does not protect messages of a {found:?} sender");
            }
            Self::WrongGroup => "the message belongs to another group",
            Self::WrongEpoch { message, context } => {
                return write!(f, "the message belongs to epoch {message}, not {context}");
            }
            Self::ApplicationDataInPublicMessage => {
                "application data must not be sent in a PublicMessage"
            }
            Self::PrivateMessageFromOutside => "only members may send a PrivateMessage",
            Self::ExternalSenderNotProposal => "an external sender may send only proposals",
            Self::ExternalSenderProposalType(kind) => {
                return write!(f, "an external sender must not send a proposal of type {kind}");
            }
            Self::NewMemberProposalNotProposal => {
                "a sender of type new_member_proposal may send only proposals"
            }
            Self::NewMemberProposalNotAdd(kind) => {
                return write!(f, "a new member may propose only an add, not {kind}");
            }
            Self::NewMemberCommitNotCommit => {
                "a sender of type new_member_commit may send only commits"
            }
            Self::NewMemberCommitWithoutPath => "a new member's commit has no path",
            Self::MissingConfirmationTag => "the commit has no confirmation tag",
            Self::UnexpectedConfirmationTag => "only commits have a confirmation tag",
            Self::MissingMembershipTag => "the member's message has no membership tag",
            Self::UnexpectedMembershipTag => "only members' messages have a membership tag",
            Self::InvalidMembershipTag => "the membership tag is invalid",
            Self::InvalidSignature => "the message's signature is invalid",
            Self::SenderDataNotOpened => "the sender data cannot be decrypted",
            Self::MalformedSenderData(e) => return write!(f, "the sender data is malformed: {e}"),
            Self::ContentNotOpened => "the content cannot be decrypted",
            Self::MalformedContent(e) => return write!(f, "the content is malformed: {e}"),
            Self::NonZeroPadding => "the padding holds a non-zero byte",
            Self::Encode(e) => return fmt::Display::fmt(e, f),
            Self::Crypto(e) => return fmt::Display::fmt(e, f),
        };
        f.write_str(what)
    }
}

impl core::error::Error for FramingError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::MalformedSenderData(e) | Self::MalformedContent(e) => Some(e),
            Self::Encode(e) => Some(e),
            Self::Crypto(e) => Some(e),
            _ => None,
        }
    }
}

impl From<EncodeError> for FramingError {
    fn from(e: EncodeError) -> Self {
        Self::Encode(e)
    }
}

impl From<CryptoError> for FramingError {
    fn from(e: CryptoError) -> Self {
        match e {
            CryptoError::Encode(e) => Self::Encode(e),
            other => Self::Crypto(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use FramingError as E;
    use alloc::string::{String, ToString};
    use alloc::vec::Vec;

    #[test]
    fn each_error_has_its_own_text_with_the_value_found() {
        let decode = DecodeError::TrailingBytes(4711);
        let encode = EncodeError { length: 4711 };
        let errors = [
            (E::WrongWireFormat(WireFormat::WELCOME), "mls_welcome"),
            (E::WrongSenderType(SenderType::NewMemberCommit), "NewMemberCommit"),
            (E::WrongGroup, "another group"),
            (E::WrongEpoch { message: Epoch(4711), context: Epoch(815) }, "epoch 4711, not 815"),
            (E::ApplicationDataInPublicMessage, "application data"),
            (E::PrivateMessageFromOutside, "only members"),
            (E::ExternalSenderNotProposal, "external sender may send only"),
            (E::ExternalSenderProposalType(ProposalType(0x4711)), "4711"),
            (E::NewMemberProposalNotProposal, "new_member_proposal"),
            (E::NewMemberProposalNotAdd(ProposalType::REMOVE), "not remove"),
            (E::NewMemberCommitNotCommit, "new_member_commit"),
            (E::NewMemberCommitWithoutPath, "no path"),
            (E::MissingConfirmationTag, "no confirmation tag"),
            (E::UnexpectedConfirmationTag, "only commits"),
            (E::MissingMembershipTag, "no membership tag"),
            (E::UnexpectedMembershipTag, "only members'"),
            (E::InvalidMembershipTag, "membership tag is invalid"),
            (E::InvalidSignature, "signature"),
            (E::SenderDataNotOpened, "sender data cannot"),
            (E::MalformedSenderData(decode), "sender data is malformed: 4711 bytes"),
            (E::ContentNotOpened, "content cannot"),
            (E::MalformedContent(decode), "content is malformed: 4711 bytes"),
            (E::NonZeroPadding, "padding"),
            (E::from(CryptoError::Encode(encode)), "vector of 4711 bytes"),
            (E::from(CryptoError::InvalidLength), "length"),
        ];
        let texts: Vec<String> = errors.iter().map(|(e, _)| e.to_string()).collect();
        for ((_, says), text) in errors.iter().zip(&texts) {
            assert!(text.contains(says), "{text}");
            assert_eq!(texts.iter().filter(|other| *other == text).count(), 1, "{text}");
        }

        assert_eq!(E::from(CryptoError::Encode(encode)), E::Encode(encode));
    }

    #[test]
    fn a_wrapped_error_is_the_source() {
        use core::error::Error;

        let decode = DecodeError::TrailingBytes(4711);
        let encode = EncodeError { length: 4711 };
        for (error, source) in [
            (E::MalformedSenderData(decode), decode.to_string()),
            (E::MalformedContent(decode), decode.to_string()),
            (E::Encode(encode), encode.to_string()),
            (E::Crypto(CryptoError::InvalidLength), CryptoError::InvalidLength.to_string()),
        ] {
            assert_eq!(error.source().unwrap().to_string(), source);
        }
        assert!(E::InvalidSignature.source().is_none());
    }
}
