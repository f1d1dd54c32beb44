//! Messages before and after their signature was verified.

use crate::FramingError;
use crate::sign::verify_signature;
use conclave_crypto::Suite;
use conclave_wire::{
    AuthenticatedContent, Content, ContentType, GroupContext, GroupId, Proposal, Sender,
    SignaturePublicKey, WireFormat,
};

/// A message that was opened and whose signature has not been verified.
///
/// It shows what is needed to find the key and context to verify it with, and no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnverifiedContent(pub(crate) AuthenticatedContent);

impl UnverifiedContent {
    /// Who the message says has sent it.
    #[must_use]
    pub fn sender(&self) -> Sender {
        self.0.content.sender
    }

    /// What kind of content it has.
    #[must_use]
    pub fn content_type(&self) -> ContentType {
        self.0.content.content.content_type()
    }

    /// The group that the message says it is of.
    #[must_use]
    pub fn group_id(&self) -> &GroupId {
        &self.0.content.group_id
    }

    /// The epoch that the message says it was sent in.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.0.content.epoch
    }

    /// How it was sent.
    #[must_use]
    pub fn wire_format(&self) -> WireFormat {
        self.0.wire_format
    }

    /// The key in the message itself that must verify it, of a sender that is not in the group yet:
    /// in the path of a new member's commit, in the KeyPackage of a new member's Add
    /// (section 6.1). Whose key that is, is another question.
    #[must_use]
    pub fn new_member_key(&self) -> Option<&SignaturePublicKey> {
        match (self.sender(), &self.0.content.content) {
            (Sender::NewMemberCommit, Content::Commit(commit)) => {
                commit.path.as_ref().map(|path| &path.leaf_node.signature_key)
            }
            (Sender::NewMemberProposal, Content::Proposal(Proposal::Add(key_package))) => {
                Some(&key_package.leaf_node.signature_key)
            }
            _ => None,
        }
    }

    /// Verifies the signature by the sender's key.
    ///
    /// # Errors
    /// As [`verify_signature`].
    pub fn verify(
        self,
        suite: &Suite<'_>,
        context: &GroupContext,
        key: &SignaturePublicKey,
    ) -> Result<VerifiedContent, FramingError> {
        match verify_signature(suite, &self.0, context, key) {
            Ok(()) => Ok(VerifiedContent(self.0)),
            Err(e) => {
                // Nobody will read it, and it was encrypted.
                self.0.content.content.wipe();
                Err(e)
            }
        }
    }
}

/// A message whose signature was verified. Only [`UnverifiedContent::verify`] makes one.
///
/// A commit's confirmation tag has not been checked: that takes the next epoch's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedContent(AuthenticatedContent);

impl VerifiedContent {
    /// The message.
    #[must_use]
    pub fn into_inner(self) -> AuthenticatedContent {
        self.0
    }
}

impl core::ops::Deref for VerifiedContent {
    type Target = AuthenticatedContent;
    fn deref(&self) -> &AuthenticatedContent {
        &self.0
    }
}
