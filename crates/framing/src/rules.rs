//! The senders of each kind of content and its wire formats (sections 6, 6.1 and 12.1.8).

use crate::FramingError;
use conclave_wire::{
    AuthenticatedContent, Content, FramedContent, GroupContext, Proposal, Sender, WireFormat,
};

/// Checks that a sender may send this content in this wire format: before a message is signed, and
/// before a received one is verified.
pub(crate) fn check_sender(
    wire_format: WireFormat,
    message: &FramedContent,
) -> Result<(), FramingError> {
    match (wire_format, message.sender, &message.content) {
        (WireFormat::PUBLIC_MESSAGE, _, Content::Application(_)) => {
            Err(FramingError::ApplicationDataInPublicMessage)
        }
        (WireFormat::PUBLIC_MESSAGE, sender, content) => check_content(sender, content),
        (WireFormat::PRIVATE_MESSAGE, Sender::Member(_), _) => Ok(()),
        (WireFormat::PRIVATE_MESSAGE, _, _) => Err(FramingError::PrivateMessageFromOutside),
        (other, _, _) => Err(FramingError::WrongWireFormat(other)),
    }
}

fn check_content(sender: Sender, content: &Content) -> Result<(), FramingError> {
    match (sender, content) {
        (Sender::Member(_), _) => Ok(()),
        (Sender::External(_), Content::Proposal(proposal)) => check_external_proposal(proposal),
        (Sender::External(_), _) => Err(FramingError::ExternalSenderNotProposal),
        (Sender::NewMemberProposal, Content::Proposal(Proposal::Add(_))) => Ok(()),
        (Sender::NewMemberProposal, Content::Proposal(other)) => {
            Err(FramingError::NewMemberProposalNotAdd(other.proposal_type()))
        }
        (Sender::NewMemberProposal, _) => Err(FramingError::NewMemberProposalNotProposal),
        (Sender::NewMemberCommit, Content::Commit(commit)) => match commit.path {
            Some(_) => Ok(()),
            None => Err(FramingError::NewMemberCommitWithoutPath),
        },
        (Sender::NewMemberCommit, _) => Err(FramingError::NewMemberCommitNotCommit),
    }
}

fn check_external_proposal(proposal: &Proposal) -> Result<(), FramingError> {
    match proposal.rules(&[]) {
        Some(rules) if !rules.external_senders => {
            Err(FramingError::ExternalSenderProposalType(proposal.proposal_type()))
        }
        // The rules of a type beyond RFC 9420's depend on the group, and are checked with it.
        Some(_) | None => Ok(()),
    }
}

/// Checks that a message has a confirmation tag if and only if it is a commit.
pub(crate) fn check_confirmation_tag(message: &AuthenticatedContent) -> Result<(), FramingError> {
    match (&message.content.content, &message.auth.confirmation_tag) {
        (Content::Commit(_), None) => Err(FramingError::MissingConfirmationTag),
        (Content::Proposal(_) | Content::Application(_), Some(_)) => {
            Err(FramingError::UnexpectedConfirmationTag)
        }
        (Content::Commit(_), Some(_)) | (Content::Proposal(_) | Content::Application(_), None) => {
            Ok(())
        }
    }
}

/// Checks that a message belongs to the group and epoch of a context. For a sender whose signature
/// does not cover the context, nothing else checks this.
pub(crate) fn check_context(
    message: &FramedContent,
    context: &GroupContext,
) -> Result<(), FramingError> {
    if message.group_id != context.group_id {
        return Err(FramingError::WrongGroup);
    }
    if message.epoch != context.epoch {
        return Err(FramingError::WrongEpoch { message: message.epoch, context: context.epoch });
    }
    Ok(())
}
