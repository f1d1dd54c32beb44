//! PublicMessage (section 6.2).

use crate::rules::{check_confirmation_tag, check_context, check_sender};
use crate::{FramingError, UnverifiedContent};
use alloc::vec::Vec;
use conclave_crypto::Suite;
use conclave_schedule::MembershipKey;
use conclave_wire::{
    AuthenticatedContent, AuthenticatedContentTbm, Encode, EncodeError, FramedContentTbs,
    GroupContext, PublicMessage, Sender, WireFormat,
};

/// Turns a member's signed message into a PublicMessage. A commit must have its confirmation tag.
///
/// # Errors
/// If the message was signed for another wire format, holds application data, does not belong to
/// the context's group and epoch, or is a commit without its confirmation tag;
/// [`FramingError::WrongSenderType`] if the sender is not a member: use
/// [`protect_public_from_outside`] then.
pub fn protect_public(
    suite: &Suite<'_>,
    message: AuthenticatedContent,
    context: &GroupContext,
    membership_key: &MembershipKey,
) -> Result<PublicMessage, FramingError> {
    check(&message)?;
    check_context(&message.content, context)?;
    if !matches!(message.content.sender, Sender::Member(_)) {
        return Err(FramingError::WrongSenderType(message.content.sender.sender_type()));
    }

    let tag = suite.mac(membership_key.as_secret(), &tbm(&message, context)?)?;
    let AuthenticatedContent { content, auth, .. } = message;
    Ok(PublicMessage { content, auth, membership_tag: Some(tag) })
}

/// Turns a signed message from outside the group into a PublicMessage: a proposal of an external
/// sender or a new member, or an external commit.
///
/// # Errors
/// If the message was signed for another wire format, its sender must not send it, or it is a
/// commit without its confirmation tag; [`FramingError::WrongSenderType`] if the sender is a
/// member.
pub fn protect_public_from_outside(
    message: AuthenticatedContent,
) -> Result<PublicMessage, FramingError> {
    check(&message)?;
    if matches!(message.content.sender, Sender::Member(_)) {
        return Err(FramingError::WrongSenderType(message.content.sender.sender_type()));
    }

    let AuthenticatedContent { content, auth, .. } = message;
    Ok(PublicMessage { content, auth, membership_tag: None })
}

/// Opens a PublicMessage: checks that its sender may send it, that it belongs to the context's
/// group and epoch, and its membership tag.
///
/// An observer is not in the group and has no `membership_key`. Only the signature, which is
/// verified next, then shows that a member sent the message.
///
/// # Errors
/// The first rule that the message breaks.
pub fn open_public(
    suite: &Suite<'_>,
    message: PublicMessage,
    context: &GroupContext,
    membership_key: Option<&MembershipKey>,
) -> Result<UnverifiedContent, FramingError> {
    let PublicMessage { content, auth, membership_tag } = message;
    let message = AuthenticatedContent { wire_format: WireFormat::PUBLIC_MESSAGE, content, auth };
    check_sender(message.wire_format, &message.content)?;
    check_context(&message.content, context)?;

    match (message.content.sender, membership_tag) {
        (Sender::Member(_), None) => return Err(FramingError::MissingMembershipTag),
        (Sender::Member(_), Some(tag)) => {
            if let Some(key) = membership_key
                && !suite.mac_matches(key.as_secret(), &tbm(&message, context)?, &tag)?
            {
                return Err(FramingError::InvalidMembershipTag);
            }
        }
        (_, Some(_)) => return Err(FramingError::UnexpectedMembershipTag),
        (_, None) => {}
    }
    Ok(UnverifiedContent(message))
}

fn check(message: &AuthenticatedContent) -> Result<(), FramingError> {
    if message.wire_format != WireFormat::PUBLIC_MESSAGE {
        return Err(FramingError::WrongWireFormat(message.wire_format));
    }
    check_sender(message.wire_format, &message.content)?;
    check_confirmation_tag(message)
}

/// The encoded AuthenticatedContentTBM.
fn tbm(message: &AuthenticatedContent, context: &GroupContext) -> Result<Vec<u8>, EncodeError> {
    let AuthenticatedContent { wire_format, content, auth } = message;
    let content_tbs = FramedContentTbs { wire_format: *wire_format, content, context };
    AuthenticatedContentTbm { content_tbs, auth }.to_bytes()
}

#[cfg(test)]
mod tests;
