//! PrivateMessage (section 6.3).

use crate::rules::check_confirmation_tag;
use crate::{FramingError, Padding, UnverifiedContent};
use alloc::vec::Vec;
use conclave_crypto::{CryptoError, CryptoRng, Secret, Suite};
use conclave_schedule::{MessageKey, SenderDataSecret, sender_data_key_nonce};
use conclave_wire::codec::MAX_VECTOR_LEN;
use conclave_wire::{
    AuthenticatedContent, Content, CustomProposal, Decode, DecodeError, Encode, EncodeError,
    FramedContent, PrivateContentAad, PrivateMessage, PrivateMessageContent, Reader, Sender,
    SenderData, SenderDataAad, WireFormat, Writer,
};

/// The length of a SenderData in bytes: leaf index, generation, reuse guard.
const SENDER_DATA_LEN: usize = 4 + 4 + 4;

/// Encrypts a member's signed message as a PrivateMessage. A commit must have its confirmation tag.
///
/// `key` is the key of `generation` of the sender's ratchet. This message uses it up: it must not
/// be used again.
///
/// # Errors
/// If the message was signed for another wire format, its sender is not a member, it is a commit
/// without its confirmation tag, or it is too long with its padding.
#[allow(clippy::too_many_arguments)] // all belong to this one message
pub fn protect_private(
    suite: &Suite<'_>,
    message: &AuthenticatedContent,
    generation: u32,
    key: MessageKey,
    sender_data_secret: &SenderDataSecret,
    padding: Padding,
    rng: &mut dyn CryptoRng,
) -> Result<PrivateMessage, FramingError> {
    if message.wire_format != WireFormat::PRIVATE_MESSAGE {
        return Err(FramingError::WrongWireFormat(message.wire_format));
    }
    let Sender::Member(leaf_index) = message.content.sender else {
        return Err(FramingError::PrivateMessageFromOutside);
    };
    check_confirmation_tag(message)?;

    // section 6.3.1: the content
    let FramedContent { group_id, epoch, authenticated_data, content, .. } = &message.content;
    let content_type = content.content_type();
    let plaintext = padded_plaintext(suite, message, padding)?;
    let mut reuse_guard = [0; 4];
    rng.fill_bytes(&mut reuse_guard);
    let nonce = guarded(key.nonce, reuse_guard);
    let aad = PrivateContentAad { group_id, epoch: *epoch, content_type, authenticated_data };
    let ciphertext =
        suite.aead_seal(&key.key, nonce.expose(), &aad.to_bytes()?, plaintext.written())?;
    drop(plaintext);

    // section 6.3.2: the sender data
    let sender_data = SenderData { leaf_index, generation, reuse_guard };
    let aad = SenderDataAad { group_id, epoch: *epoch, content_type };
    let encrypted_sender_data =
        seal_sender_data(suite, sender_data_secret, &sender_data, &aad, &ciphertext)?;

    Ok(PrivateMessage {
        group_id: group_id.clone(),
        epoch: *epoch,
        content_type,
        authenticated_data: authenticated_data.clone(),
        encrypted_sender_data: encrypted_sender_data.into(),
        ciphertext: ciphertext.into(),
    })
}

/// Decrypts the sender data of a PrivateMessage: its sender, and the key that opens it.
///
/// The caller must check that the sender is a non-blank leaf (section 6.3.2).
///
/// # Errors
/// [`FramingError::SenderDataNotOpened`]; [`FramingError::MalformedSenderData`].
pub fn open_sender_data(
    suite: &Suite<'_>,
    message: &PrivateMessage,
    sender_data_secret: &SenderDataSecret,
) -> Result<SenderData, FramingError> {
    let PrivateMessage { group_id, epoch, content_type, ciphertext, .. } = message;
    let aad = SenderDataAad { group_id, epoch: *epoch, content_type: *content_type };
    let MessageKey { key, nonce } = sender_data_key_nonce(suite, sender_data_secret, ciphertext)?;
    let sealed = &message.encrypted_sender_data;
    let opened = match suite.aead_open(&key, nonce.expose(), &aad.to_bytes()?, sealed) {
        Err(CryptoError::OpenFailed) => return Err(FramingError::SenderDataNotOpened),
        other => other?,
    };
    SenderData::from_bytes(opened.expose()).map_err(FramingError::MalformedSenderData)
}

/// Decrypts a PrivateMessage with the key that its sender data names. `proposals` are the proposal
/// types beyond RFC 9420's that it may hold.
///
/// # Errors
/// [`FramingError::ContentNotOpened`] if the key is wrong or the message was tampered with; another
/// error if the decrypted content is malformed or its padding is not all zeros. No error
/// authenticates the sender: every member of the group can encrypt with another member's key.
pub fn open_private(
    suite: &Suite<'_>,
    message: &PrivateMessage,
    sender_data: &SenderData,
    key: MessageKey,
    proposals: &[CustomProposal],
) -> Result<UnverifiedContent, FramingError> {
    let PrivateMessage { group_id, epoch, content_type, authenticated_data, ciphertext, .. } =
        message;
    let epoch = *epoch;
    let content_type = *content_type;
    let aad = PrivateContentAad { group_id, epoch, content_type, authenticated_data };
    let nonce = guarded(key.nonce, sender_data.reuse_guard);
    let opened = match suite.aead_open(&key.key, nonce.expose(), &aad.to_bytes()?, ciphertext) {
        Err(CryptoError::OpenFailed) => return Err(FramingError::ContentNotOpened),
        other => other?,
    };

    let reader = Reader::with_proposals(opened.expose(), proposals);
    let PrivateMessageContent { content, auth } =
        PrivateMessageContent::decode_padded(content_type, reader).map_err(|e| match e {
            DecodeError::NonZeroPadding => FramingError::NonZeroPadding,
            other => FramingError::MalformedContent(other),
        })?;

    let content = FramedContent {
        group_id: group_id.clone(),
        epoch,
        sender: Sender::Member(sender_data.leaf_index),
        authenticated_data: authenticated_data.clone(),
        content,
    };
    let wire_format = WireFormat::PRIVATE_MESSAGE;
    Ok(UnverifiedContent(AuthenticatedContent { wire_format, content, auth }))
}

/// Encodes the PrivateMessageContent with its padding.
fn padded_plaintext(
    suite: &Suite<'_>,
    message: &AuthenticatedContent,
    padding: Padding,
) -> Result<Writer, FramingError> {
    /// The most bytes that the length headers of data, signature and confirmation tag take.
    const HEADERS: usize = 3 * 4;

    let tag = message.auth.confirmation_tag.as_ref().map_or(0, |tag| tag.len());
    let auth = HEADERS.saturating_add(message.auth.signature.len()).saturating_add(tag);
    let mut w = Writer::secret_with_capacity(match &message.content.content {
        Content::Application(data) => auth.saturating_add(data.len()),
        Content::Proposal(_) | Content::Commit(_) => auth.saturating_add(256),
    });
    message.content.content.encode_body(&mut w)?;
    message.auth.signature.encode(&mut w)?;
    if let Some(tag) = &message.auth.confirmation_tag {
        tag.encode(&mut w)?;
    }

    let length = w.written().len();
    let padding = padding.bytes(length);
    let padded = padded_length(length, padding, suite.params().aead.tag_len())?;
    w.put_zeros(padded.saturating_sub(length));
    Ok(w)
}

/// The length of a padded plaintext.
///
/// # Errors
/// If the ciphertext, which ends with a tag, would be longer than a vector can be.
pub(crate) fn padded_length(
    plaintext: usize,
    padding: usize,
    tag: usize,
) -> Result<usize, EncodeError> {
    let padded = plaintext.saturating_add(padding);
    let length = padded.saturating_add(tag);
    if length > MAX_VECTOR_LEN {
        return Err(EncodeError { length });
    }
    Ok(padded)
}

fn seal_sender_data(
    suite: &Suite<'_>,
    secret: &SenderDataSecret,
    sender_data: &SenderData,
    aad: &SenderDataAad<'_>,
    ciphertext: &[u8],
) -> Result<Vec<u8>, FramingError> {
    let MessageKey { key, nonce } = sender_data_key_nonce(suite, secret, ciphertext)?;

    let mut w = Writer::secret_with_capacity(SENDER_DATA_LEN);
    sender_data.encode(&mut w)?;
    Ok(suite.aead_seal(&key, nonce.expose(), &aad.to_bytes()?, w.written())?)
}

/// XORs a reuse guard into the first four bytes of a ratchet's nonce (section 6.3.1).
fn guarded(mut nonce: Secret, reuse_guard: [u8; 4]) -> Secret {
    nonce.expose_mut().iter_mut().zip(reuse_guard).for_each(|(byte, guard)| *byte ^= guard);
    nonce
}

#[cfg(test)]
mod tests;
