//! Content authentication (section 6.1).

use crate::FramingError;
use crate::rules::{check_context, check_sender};
use alloc::vec::Vec;
use conclave_crypto::{CryptoError, SignatureKeyPair, Suite};
use conclave_wire::{
    AuthenticatedContent, Content, FramedContent, FramedContentAuthData, FramedContentTbs,
    GroupContext, ProtocolVersion, Sender, SignaturePublicKey, WireFormat,
};

const LABEL: &[u8] = b"FramedContentTBS";

/// Signs a message. The caller must add a commit's confirmation tag, which depends on the
/// signature.
///
/// # Errors
/// If the message does not belong to the context's group and epoch, its sender must not send it in
/// this wire format (application data in a PublicMessage, for example), it is too long to encode,
/// or the key pair is invalid.
pub fn sign_content(
    suite: &Suite<'_>,
    wire_format: WireFormat,
    content: FramedContent,
    context: &GroupContext,
    signer: &SignatureKeyPair,
) -> Result<AuthenticatedContent, FramingError> {
    check_sender(wire_format, &content)?;
    check_context(&content, context)?;

    // What is signed may be application data, so its encoding is wiped.
    let tbs = FramedContentTbs { wire_format, content: &content, context };
    let signature = suite
        .sign_secret_with_label(signer, LABEL, &tbs, usual_length(&content))
        .map_err(unwrap_encode_error)?;
    let auth = FramedContentAuthData { signature: signature.into(), confirmation_tag: None };
    Ok(AuthenticatedContent { wire_format, content, auth })
}

/// About how long the input of a signature is. A longer one costs a copy.
fn usual_length(content: &FramedContent) -> usize {
    /// The group context, and what frames the content.
    const REST: usize = 448;

    let data = match &content.content {
        Content::Application(data) => data.len(),
        Content::Proposal(_) | Content::Commit(_) => 0,
    };
    REST.saturating_add(data).saturating_add(content.authenticated_data.len())
}

fn unwrap_encode_error(error: CryptoError) -> FramingError {
    match error {
        CryptoError::Encode(error) => error.into(),
        other => other.into(),
    }
}

/// Signs a proposal for a PublicMessage from outside the group, where the context is unknown: from
/// an `external` or `new_member_proposal` sender (section 12.1.8).
///
/// # Errors
/// Those of [`sign_content`]; [`FramingError::WrongSenderType`] for a sender whose signature would
/// cover the context.
pub fn sign_proposal_from_outside(
    suite: &Suite<'_>,
    content: FramedContent,
    signer: &SignatureKeyPair,
) -> Result<AuthenticatedContent, FramingError> {
    if matches!(content.sender, Sender::Member(_) | Sender::NewMemberCommit) {
        return Err(FramingError::WrongSenderType(content.sender.sender_type()));
    }

    // The signatures of these senders do not cover the context. Only group and epoch are compared.
    let context = GroupContext {
        version: ProtocolVersion::MLS_1_0,
        cipher_suite: suite.cipher_suite(),
        group_id: content.group_id.clone(),
        epoch: content.epoch,
        tree_hash: Vec::new().into(),
        confirmed_transcript_hash: Vec::new().into(),
        extensions: Vec::new(),
    };
    sign_content(suite, WireFormat::PUBLIC_MESSAGE, content, &context, signer)
}

/// Verifies a message's signature with a key, which must be its sender's (section 6.1).
///
/// # Errors
/// [`FramingError::InvalidSignature`]; or if the message does not belong to the context's group and
/// epoch, or is too long to encode.
pub fn verify_signature(
    suite: &Suite<'_>,
    message: &AuthenticatedContent,
    context: &GroupContext,
    key: &SignaturePublicKey,
) -> Result<(), FramingError> {
    check_context(&message.content, context)?;

    let content = &message.content;
    let wire_format = message.wire_format;
    let tbs = FramedContentTbs { wire_format, content, context };
    let signature = &message.auth.signature;
    match suite.verify_secret_with_label(key, LABEL, &tbs, usual_length(content), signature) {
        Err(CryptoError::InvalidSignature | CryptoError::InvalidPublicKey) => {
            Err(FramingError::InvalidSignature)
        }
        other => other.map_err(unwrap_encode_error),
    }
}
