//! Messages before and after the verification of their signatures.

use crate::FramingError;
use crate::sign::verify_signature;
use alloc::vec::Vec;
use conclave_crypto::Suite;
use conclave_wire::{
    AuthenticatedCommit, AuthenticatedContent, Bytes, Content, ContentType, Encode, Epoch,
    FramedCommit, FramedContent, GroupContext, GroupId, LeafIndex, Proposal, ProposalRef, Sender,
    SignaturePublicKey, WireFormat,
};
use core::fmt;

/// An opened message whose signature has not been verified.
///
/// It shows only what is needed to find the key and context for the verification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnverifiedContent(pub(crate) AuthenticatedContent);

impl UnverifiedContent {
    /// The sender that the message names.
    #[must_use]
    pub fn sender(&self) -> Sender {
        self.0.content.sender
    }

    /// The kind of content.
    #[must_use]
    pub fn content_type(&self) -> ContentType {
        self.0.content.content.content_type()
    }

    /// The group that the message names.
    #[must_use]
    pub fn group_id(&self) -> &GroupId {
        &self.0.content.group_id
    }

    /// The epoch that the message names.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.0.content.epoch
    }

    /// The wire format that the message was sent in.
    #[must_use]
    pub fn wire_format(&self) -> WireFormat {
        self.0.wire_format
    }

    /// The key that must verify a message from a sender who is not yet a member (section 6.1): the
    /// key in the path of a new member's commit, or in the KeyPackage of a new member's Add. This
    /// does not show whose key it is.
    #[must_use]
    pub fn new_member_key(&self) -> Option<&SignaturePublicKey> {
        let content = &self.0.content.content;
        match self.sender() {
            Sender::NewMemberCommit => {
                let Content::Commit(commit) = content else { return None };
                commit.path.as_ref().map(|path| &path.leaf_node.signature_key)
            }
            Sender::NewMemberProposal => {
                let Content::Proposal(Proposal::Add(key_package)) = content else { return None };
                Some(&key_package.leaf_node.signature_key)
            }
            Sender::Member(_) | Sender::External(_) => None,
        }
    }

    /// Verifies the signature with the sender's key and takes the message apart.
    ///
    /// # Errors
    /// As [`verify_signature`]; [`FramingError::MissingConfirmationTag`] for a commit without its
    /// tag, [`FramingError::UnexpectedConfirmationTag`] for a tag on anything else.
    pub fn verify(
        self,
        suite: &Suite<'_>,
        context: &GroupContext,
        key: &SignaturePublicKey,
    ) -> Result<Verified, FramingError> {
        match verify_signature(suite, &self.0, context, key) {
            Ok(()) => Verified::new(suite, self.0),
            Err(e) => {
                // Possibly decrypted content that nobody will receive.
                self.0.content.content.wipe();
                Err(e)
            }
        }
    }
}

/// A message whose signature was verified, by what it holds. Only [`UnverifiedContent::verify`]
/// makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verified {
    /// A proposal.
    Proposal(VerifiedProposal),
    /// A commit.
    Commit(VerifiedCommit),
    /// Application data.
    Application(VerifiedApplication),
}

impl Verified {
    /// The message's authenticated data.
    #[must_use]
    pub fn authenticated_data(&self) -> &[u8] {
        match self {
            Self::Proposal(content) => content.authenticated_data(),
            Self::Commit(content) => &content.content.authenticated_data,
            Self::Application(content) => content.authenticated_data(),
        }
    }

    fn new(suite: &Suite<'_>, message: AuthenticatedContent) -> Result<Self, FramingError> {
        // The reference hashes the whole message, so encode it before taking it apart.
        let referenced = match &message.content.content {
            Content::Proposal(_) => message.to_bytes()?,
            Content::Commit(_) | Content::Application(_) => Vec::new(),
        };
        let AuthenticatedContent { wire_format, content, auth } = message;
        let FramedContent { group_id, epoch, sender, authenticated_data, content } = content;

        match (content, auth.confirmation_tag, sender) {
            (Content::Proposal(proposal), None, _) => {
                let reference = suite.proposal_ref(&referenced)?;
                let proposal = VerifiedProposal { sender, authenticated_data, proposal, reference };
                Ok(Self::Proposal(proposal))
            }
            (Content::Commit(commit), Some(confirmation_tag), _) => {
                let content = FramedCommit { group_id, epoch, sender, authenticated_data, commit };
                let signature = auth.signature;
                let commit =
                    AuthenticatedCommit { wire_format, content, signature, confirmation_tag };
                Ok(Self::Commit(VerifiedCommit(commit)))
            }
            (Content::Application(data), None, Sender::Member(sender)) => {
                let data = VerifiedApplication { sender, authenticated_data, data };
                Ok(Self::Application(data))
            }

            // section 6.1: a tag if and only if the message is a commit
            (Content::Commit(_), None, _) => Err(FramingError::MissingConfirmationTag),
            (Content::Application(data), None, _) => {
                Content::Application(data).wipe();
                Err(FramingError::PrivateMessageFromOutside)
            }
            (other @ (Content::Proposal(_) | Content::Application(_)), Some(_), _) => {
                other.wipe();
                Err(FramingError::UnexpectedConfirmationTag)
            }
        }
    }
}

/// A proposal in a message whose signature was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedProposal {
    sender: Sender,
    authenticated_data: Bytes,
    proposal: Proposal,
    reference: ProposalRef,
}

impl VerifiedProposal {
    /// The sender.
    #[must_use]
    pub fn sender(&self) -> Sender {
        self.sender
    }

    /// The message's authenticated data.
    #[must_use]
    pub fn authenticated_data(&self) -> &[u8] {
        &self.authenticated_data
    }

    /// The proposal.
    #[must_use]
    pub fn proposal(&self) -> &Proposal {
        &self.proposal
    }

    /// The reference by which commits name the proposal (section 5.2).
    #[must_use]
    pub fn reference(&self) -> &ProposalRef {
        &self.reference
    }

    /// The proposal and its reference.
    #[must_use]
    pub fn into_parts(self) -> (Proposal, ProposalRef) {
        (self.proposal, self.reference)
    }
}

/// A commit in a message whose signature was verified.
///
/// Its confirmation tag is there and has not been checked: that takes the next epoch's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedCommit(AuthenticatedCommit);

impl core::ops::Deref for VerifiedCommit {
    type Target = AuthenticatedCommit;
    fn deref(&self) -> &AuthenticatedCommit {
        &self.0
    }
}

/// Application data in a message whose signature was verified. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifiedApplication {
    sender: LeafIndex,
    authenticated_data: Bytes,
    data: Bytes,
}

impl VerifiedApplication {
    /// The member who sent it.
    #[must_use]
    pub fn sender(&self) -> LeafIndex {
        self.sender
    }

    /// The message's authenticated data.
    #[must_use]
    pub fn authenticated_data(&self) -> &[u8] {
        &self.authenticated_data
    }

    /// The application data.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// The authenticated data and the application data.
    #[must_use]
    pub fn into_parts(self) -> (Bytes, Bytes) {
        (self.authenticated_data, self.data)
    }
}

impl fmt::Debug for VerifiedApplication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifiedApplication({}, {} bytes)", self.sender, self.data.len())
    }
}
