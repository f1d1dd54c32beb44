use conclave_crypto::CryptoError;
use conclave_wire::{DecodeError, EncodeError, Epoch, ProposalType, SenderType, WireFormat};
use core::fmt;

/// Why a message was not protected, not opened, or not taken as authentic. Nothing was changed by
/// the attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FramingError {
    /// The wire format is neither PublicMessage nor PrivateMessage, or not the one asked for
    /// (section 6).
    WrongWireFormat(WireFormat),
    /// The caller's mistake: the function is for other kinds of sender.
    WrongSenderType(SenderType),
    /// The message is of another group than the context (section 6.1).
    WrongGroup,
    /// The message is of another epoch than the context (section 6.1).
    WrongEpoch {
        /// The message's epoch.
        message: Epoch,
        /// The context's epoch.
        context: Epoch,
    },
    /// Application data in a PublicMessage (section 6).
    ApplicationDataInPublicMessage,
    /// A PrivateMessage whose sender is not a member (section 6).
    PrivateMessageFromOutside,
    /// An `external` sender sent something other than a proposal (section 6.1).
    ExternalSenderNotProposal,
    /// An `external` sender sent a type of proposal that it may not (sections 6.1 and 12.1.8).
    ExternalSenderProposalType(ProposalType),
    /// A `new_member_proposal` sender sent something other than a proposal (section 6.1).
    NewMemberProposalNotProposal,
    /// A `new_member_proposal` sender sent a proposal other than an Add (section 6.1).
    NewMemberProposalNotAdd(ProposalType),
    /// A `new_member_commit` sender sent something other than a commit (section 6.1).
    NewMemberCommitNotCommit,
    /// A `new_member_commit` sender sent a commit without a path, which holds the key that signs
    /// it (sections 6.1 and 12.4.3.2).
    NewMemberCommitWithoutPath,
    /// A commit without a confirmation tag (section 6.1).
    MissingConfirmationTag,
    /// A confirmation tag on something other than a commit (section 6.1).
    UnexpectedConfirmationTag,
    /// A member's PublicMessage without a membership tag (section 6.2).
    MissingMembershipTag,
    /// A membership tag on a message from outside (section 6.2).
    UnexpectedMembershipTag,
    /// The membership tag is not that of the message (section 6.2).
    InvalidMembershipTag,
    /// The signature is not one of the message by the key (section 6.1).
    InvalidSignature,
    /// The encrypted sender data does not open (section 6.3.2).
    SenderDataNotOpened,
    /// What was encrypted as sender data is none (section 6.3.2).
    MalformedSenderData(DecodeError),
    /// The ciphertext does not open with the key (section 6.3.1). The key is not consumed.
    ContentNotOpened,
    /// What was encrypted is no content of the message's type (section 6.3.1).
    MalformedContent(DecodeError),
    /// The padding holds a byte other than zero (section 6.3.1).
    NonZeroPadding,
    /// The message is too long to encode.
    Encode(EncodeError),
    /// The crypto provider failed, or was given a key of the wrong length.
    Crypto(CryptoError),
}

impl fmt::Display for FramingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self {
            Self::WrongWireFormat(found) => return write!(f, "{found:?} is not the wire format"),
            Self::WrongSenderType(found) => {
                return write!(f, "a message of a sender of type {found:?} is not protected so");
            }
            Self::WrongGroup => "the message is of another group",
            Self::WrongEpoch { message, context } => {
                return write!(f, "the message is of epoch {message}, not {context}");
            }
            Self::ApplicationDataInPublicMessage => {
                "application data may not be sent in a PublicMessage"
            }
            Self::PrivateMessageFromOutside => "only members may send a PrivateMessage",
            Self::ExternalSenderNotProposal => "an external sender may send only proposals",
            Self::ExternalSenderProposalType(kind) => {
                return write!(f, "an external sender may not send a proposal of type {kind:?}");
            }
            Self::NewMemberProposalNotProposal => {
                "a sender of type new_member_proposal may send only proposals"
            }
            Self::NewMemberProposalNotAdd(kind) => {
                return write!(f, "a new member may propose only an Add, not {kind:?}");
            }
            Self::NewMemberCommitNotCommit => {
                "a sender of type new_member_commit may send only commits"
            }
            Self::NewMemberCommitWithoutPath => "a new member's commit has no path",
            Self::MissingConfirmationTag => "the commit has no confirmation tag",
            Self::UnexpectedConfirmationTag => "only commits have a confirmation tag",
            Self::MissingMembershipTag => "the member's message has no membership tag",
            Self::UnexpectedMembershipTag => "only members' messages have a membership tag",
            Self::InvalidMembershipTag => "the membership tag is not valid",
            Self::InvalidSignature => "the message's signature is not valid",
            Self::SenderDataNotOpened => "the sender data does not open",
            Self::MalformedSenderData(e) => return write!(f, "the sender data is malformed: {e}"),
            Self::ContentNotOpened => "the ciphertext does not open",
            Self::MalformedContent(e) => return write!(f, "the content is malformed: {e}"),
            Self::NonZeroPadding => "the padding holds a byte other than zero",
            Self::Encode(e) => return fmt::Display::fmt(e, f),
            Self::Crypto(e) => return fmt::Display::fmt(e, f),
        };
        f.write_str(what)
    }
}

impl core::error::Error for FramingError {}

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
    fn each_error_has_a_text_of_its_own_that_names_what_it_found() {
        let (decode, encode) = (DecodeError::TrailingBytes(4711), EncodeError { length: 4711 });
        let errors = [
            (E::WrongWireFormat(WireFormat::WELCOME), "wire format"),
            (E::WrongSenderType(SenderType::NewMemberCommit), "NewMemberCommit"),
            (E::WrongGroup, "another group"),
            (E::WrongEpoch { message: Epoch(4711), context: Epoch(815) }, "epoch 4711, not 815"),
            (E::ApplicationDataInPublicMessage, "application data"),
            (E::PrivateMessageFromOutside, "only members"),
            (E::ExternalSenderNotProposal, "external sender may send only"),
            (E::ExternalSenderProposalType(ProposalType(0x4711)), "4711"),
            (E::NewMemberProposalNotProposal, "new_member_proposal"),
            (E::NewMemberProposalNotAdd(ProposalType(0x4711)), "4711"),
            (E::NewMemberCommitNotCommit, "new_member_commit"),
            (E::NewMemberCommitWithoutPath, "no path"),
            (E::MissingConfirmationTag, "no confirmation tag"),
            (E::UnexpectedConfirmationTag, "only commits"),
            (E::MissingMembershipTag, "no membership tag"),
            (E::UnexpectedMembershipTag, "only members'"),
            (E::InvalidMembershipTag, "membership tag is not valid"),
            (E::InvalidSignature, "signature"),
            (E::SenderDataNotOpened, "sender data does not open"),
            (E::MalformedSenderData(decode), "sender data is malformed: 4711 bytes"),
            (E::ContentNotOpened, "ciphertext does not open"),
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
}
