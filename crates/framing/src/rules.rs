//! Who may send what, and how (sections 6, 6.1 and 12.1.8).

use crate::FramingError;
use conclave_wire::{
    AuthenticatedContent, Content, FramedContent, GroupContext, Proposal, Sender, WireFormat,
};

/// Checks what a message says of itself before it is believed, and before it is signed.
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
    match proposal {
        Proposal::Add(_)
        | Proposal::Remove(_)
        | Proposal::PreSharedKey(_)
        | Proposal::ReInit(_)
        | Proposal::GroupContextExtensions(_) => Ok(()),
        // Only the group knows what the type's registration says of external senders.
        Proposal::Custom { .. } => Ok(()),
        Proposal::Update(_) | Proposal::ExternalInit(_) => {
            Err(FramingError::ExternalSenderProposalType(proposal.proposal_type()))
        }
    }
}

/// Checks that there is a confirmation tag if and only if the message is a commit.
pub(crate) fn check_confirmation_tag(message: &AuthenticatedContent) -> Result<(), FramingError> {
    match (&message.content.content, &message.auth.confirmation_tag) {
        (Content::Commit(_), None) => Err(FramingError::MissingConfirmationTag),
        (Content::Proposal(_) | Content::Application(_), Some(_)) => {
            Err(FramingError::UnexpectedConfirmationTag)
        }
        _ => Ok(()),
    }
}

/// Checks that a message is of the group and epoch of a context. For senders whose signature does
/// not cover the context there is no other check of these.
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
