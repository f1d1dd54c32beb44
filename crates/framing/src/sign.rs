//! Content authentication (section 6.1).

use crate::FramingError;
use crate::rules::{check_context, check_sender};
use alloc::vec::Vec;
use conclave_crypto::{CryptoError, Secret, SignatureKeyPair, Suite};
use conclave_wire::{
    AuthenticatedContent, Encode, EncodeError, FramedContent, FramedContentAuthData,
    FramedContentTbs, GroupContext, ProtocolVersion, Sender, SignaturePublicKey, WireFormat,
    Writer,
};

const LABEL: &[u8] = b"FramedContentTBS";

/// Signs a message. A commit's confirmation tag is still to be filled in: it depends on the
/// signature.
///
/// # Errors
/// If the message is not of the context's group and epoch, or its sender may not send it so
/// (application data in a PublicMessage, say); if it is too long to encode; or if the key pair is
/// invalid.
pub fn sign_content(
    suite: &Suite<'_>,
    wire_format: WireFormat,
    content: FramedContent,
    context: &GroupContext,
    signer: &SignatureKeyPair,
) -> Result<AuthenticatedContent, FramingError> {
    check_sender(wire_format, &content)?;
    check_context(&content, context)?;
    let tbs = to_be_signed(&FramedContentTbs { wire_format, content: &content, context })?;
    let signature = suite.sign_with_label(signer, LABEL, tbs.expose())?.into();
    let auth = FramedContentAuthData { signature, confirmation_tag: None };
    Ok(AuthenticatedContent { wire_format, content, auth })
}

/// The encoding, wiped when dropped: it may hold what members say to each other.
fn to_be_signed(tbs: &FramedContentTbs<'_>) -> Result<Secret, EncodeError> {
    let mut w = Writer::secret();
    tbs.encode(&mut w)?;
    Ok(Secret::new(w.finish()))
}

/// Signs a proposal, to be sent as a PublicMessage, by somebody who is not in the group and need
/// not know its context: an `external` or `new_member_proposal` sender (section 12.1.8).
///
/// # Errors
/// As [`sign_content`]; [`FramingError::WrongSenderType`] for a sender whose signature would cover
/// the context.
pub fn sign_proposal_from_outside(
    suite: &Suite<'_>,
    content: FramedContent,
    signer: &SignatureKeyPair,
) -> Result<AuthenticatedContent, FramingError> {
    if matches!(content.sender, Sender::Member(_) | Sender::NewMemberCommit) {
        return Err(FramingError::WrongSenderType(content.sender.sender_type()));
    }
    // The signatures of these senders do not cover it; only group and epoch are compared.
    let context = GroupContext {
        version: ProtocolVersion::MLS10,
        cipher_suite: suite.cipher_suite(),
        group_id: content.group_id.clone(),
        epoch: content.epoch,
        tree_hash: Vec::new().into(),
        confirmed_transcript_hash: Vec::new().into(),
        extensions: Vec::new(),
    };
    sign_content(suite, WireFormat::PUBLIC_MESSAGE, content, &context, signer)
}

/// Verifies a message's signature by a key, which must be that of its sender (section 6.1).
///
/// # Errors
/// [`FramingError::InvalidSignature`]; or if the message is not of the context's group and epoch,
/// or too long to encode.
pub fn verify_signature(
    suite: &Suite<'_>,
    message: &AuthenticatedContent,
    context: &GroupContext,
    key: &SignaturePublicKey,
) -> Result<(), FramingError> {
    check_context(&message.content, context)?;
    let content = &message.content;
    let wire_format = message.wire_format;
    let tbs = to_be_signed(&FramedContentTbs { wire_format, content, context })?;
    match suite.verify_with_label(key, LABEL, tbs.expose(), &message.auth.signature) {
        Err(CryptoError::InvalidSignature | CryptoError::InvalidPublicKey) => {
            Err(FramingError::InvalidSignature)
        }
        other => Ok(other?),
    }
}
