//! Targeted messages: from one member to another (draft-ietf-mls-targeted-messages-02).

use crate::code_points::{ProtocolVersion, WireFormat};
use crate::codec::{DecodeError, Encode, EncodeError, Reader, Writer, codec};
use crate::epoch::Epoch;
use crate::ids::{Bytes, GroupId};
use crate::tree_math::LeafIndex;
use core::fmt;

/// TargetedMessage: a message that one member signed and encrypted to another (section "Format").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetedMessage {
    /// The group.
    pub group_id: GroupId,
    /// The epoch that it was sent in.
    pub epoch: Epoch,
    /// The leaf of the member that it is for.
    pub recipient_leaf_index: LeafIndex,
    /// Application data that is authenticated but not encrypted.
    pub authenticated_data: Bytes,
    /// The encrypted [`TargetedMessageSenderAuthData`].
    pub encrypted_sender_auth_data: Bytes,
    /// The encrypted [`TargetedMessageContent`].
    pub ciphertext: Bytes,
}
codec!(TargetedMessage {
    group_id,
    epoch,
    recipient_leaf_index,
    authenticated_data,
    encrypted_sender_auth_data,
    ciphertext
});

/// TargetedMessageSenderAuthData: who sent a targeted message, and what it takes to verify and to
/// open it (section "Format").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetedMessageSenderAuthData {
    /// The sender.
    pub sender_leaf_index: LeafIndex,
    /// `SignWithLabel(., "TargetedMessageTBS", TargetedMessageTBS)`.
    pub signature: Bytes,
    /// The output of HPKE's KEM.
    pub kem_output: Bytes,
}
codec!(TargetedMessageSenderAuthData { sender_leaf_index, signature, kem_output });

/// TargetedMessageTBS: the input of a targeted message's signature (section "Format").
#[derive(Clone, Copy, Debug)]
pub struct TargetedMessageTbs<'a> {
    /// The message. Its ciphertext is covered by its hash, its sender data by the fields below.
    pub message: &'a TargetedMessage,
    /// The sender.
    pub sender_leaf_index: LeafIndex,
    /// The output of HPKE's KEM.
    pub kem_output: &'a Bytes,
    /// The hash of [`TargetedMessage::ciphertext`], by the group's cipher suite.
    pub ciphertext_hash: &'a [u8],
}

impl Encode for TargetedMessageTbs<'_> {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        ProtocolVersion::MLS_1_0.encode(w)?;
        WireFormat::TARGETED_MESSAGE.encode(w)?;
        self.message.group_id.encode(w)?;
        self.message.epoch.encode(w)?;
        self.message.recipient_leaf_index.encode(w)?;
        self.message.authenticated_data.encode(w)?;
        self.sender_leaf_index.encode(w)?;
        self.kem_output.encode(w)?;
        w.put_opaque(self.ciphertext_hash)
    }
}

/// PSKId: the name of the PSK that encrypts an epoch's targeted messages (section "Format").
#[derive(Clone, Copy, Debug)]
pub struct PskId<'a> {
    /// The group.
    pub group_id: &'a GroupId,
    /// The epoch.
    pub epoch: Epoch,
}

impl Encode for PskId<'_> {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        self.group_id.encode(w)?;
        self.epoch.encode(w)?;
        w.put_opaque(b"MLS 1.0 targeted message psk")
    }
}

/// TargetedMessageContent: the plaintext of a targeted message (section "Padding"). The data is
/// never printed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TargetedMessageContent<'a> {
    /// The application's data.
    pub application_data: &'a [u8],
    /// The number of zero bytes behind it.
    pub padding: usize,
}

impl fmt::Debug for TargetedMessageContent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.application_data.len();
        write!(f, "TargetedMessageContent({bytes} bytes, {} of padding)", self.padding)
    }
}

impl Encode for TargetedMessageContent<'_> {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        w.put_opaque(self.application_data)?;
        w.put_zeros(self.padding);
        Ok(())
    }
}

impl<'a> TargetedMessageContent<'a> {
    /// Decodes a whole plaintext: the data, and padding up to the end.
    ///
    /// # Errors
    /// If the bytes do not start with data, or the padding holds a non-zero byte.
    pub fn from_plaintext(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes);
        let application_data = r.opaque()?;
        if r.rest().iter().any(|byte| *byte != 0) {
            return Err(DecodeError::NonZeroPadding);
        }
        Ok(Self { application_data, padding: r.rest().len() })
    }
}

/// TargetedMessageContextData: the members between whom a targeted message goes (section
/// "Application Data Encryption").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TargetedMessageContextData {
    /// The recipient.
    pub recipient_leaf_index: LeafIndex,
    /// The sender.
    pub sender_leaf_index: LeafIndex,
}
codec!(TargetedMessageContextData { recipient_leaf_index, sender_leaf_index });

/// TargetedMessageContext: HPKE's info for a targeted message (section "Application Data
/// Encryption").
#[derive(Clone, Copy, Debug)]
pub struct TargetedMessageContext {
    /// The members.
    pub context: TargetedMessageContextData,
}

impl Encode for TargetedMessageContext {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        w.put_opaque(b"MLS 1.0 TargetedMessageData")?;
        self.context.encode(w)
    }
}

/// SenderAuthDataAAD: what the encryption of the sender data authenticates (section "Sender Data
/// Encryption").
#[derive(Clone, Copy, Debug)]
pub struct SenderAuthDataAad<'a> {
    /// The group.
    pub group_id: &'a GroupId,
    /// The epoch.
    pub epoch: Epoch,
    /// The recipient.
    pub recipient_leaf_index: LeafIndex,
}
codec!(encode SenderAuthDataAad<'a> { group_id, epoch, recipient_leaf_index });

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::codec::Decode;
    use alloc::format;
    use alloc::vec::Vec;

    fn message() -> TargetedMessage {
        TargetedMessage {
            group_id: b"a group".as_slice().into(),
            epoch: Epoch(7),
            recipient_leaf_index: LeafIndex(2),
            authenticated_data: b"aad".as_slice().into(),
            encrypted_sender_auth_data: b"who".as_slice().into(),
            ciphertext: b"what".as_slice().into(),
        }
    }

    #[test]
    fn every_byte_of_a_targeted_message_and_no_more_is_needed() {
        let bytes = message().to_bytes().unwrap();
        assert_eq!(TargetedMessage::from_bytes(&bytes), Ok(message()));
        for n in 0..bytes.len() {
            let cut = TargetedMessage::from_bytes(bytes.get(..n).unwrap());
            assert_eq!(cut, Err(DecodeError::Truncated), "{n}");
        }
        let longer = [bytes.as_slice(), &[0]].concat();
        let trailing = Err(DecodeError::TrailingBytes(1));
        assert_eq!(TargetedMessage::from_bytes(&longer), trailing);
    }

    #[test]
    fn the_signature_covers_all_fields_and_the_ciphertext_by_its_hash() {
        let message = message();
        let kem_output = b"enc".as_slice().into();
        let tbs = TargetedMessageTbs {
            message: &message,
            sender_leaf_index: LeafIndex(1),
            kem_output: &kem_output,
            ciphertext_hash: b"hash",
        };
        let expected = [
            &[0, 1, 0, 6, 7][..],
            b"a group",
            &[0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 2, 3],
            b"aad",
            &[0, 0, 0, 1, 3],
            b"enc",
            &[4],
            b"hash",
        ]
        .concat();
        assert_eq!(tbs.to_bytes().unwrap(), expected);
    }

    #[test]
    fn labels_are_the_drafts() {
        let group_id = b"g".as_slice().into();
        let id = PskId { group_id: &group_id, epoch: Epoch(1) }.to_bytes().unwrap();
        let expected =
            [&[1, b'g', 0, 0, 0, 0, 0, 0, 0, 1, 28][..], b"MLS 1.0 targeted message psk"].concat();
        assert_eq!(id, expected);

        let context = TargetedMessageContextData {
            recipient_leaf_index: LeafIndex(1),
            sender_leaf_index: LeafIndex(2),
        };
        let info = TargetedMessageContext { context }.to_bytes().unwrap();
        let expected =
            [&[27][..], b"MLS 1.0 TargetedMessageData", &[0, 0, 0, 1, 0, 0, 0, 2]].concat();
        assert_eq!(info, expected);
    }

    #[test]
    fn padding_is_all_that_follows_the_data_and_all_zeros() {
        for padding in [0, 1, 100] {
            let content = TargetedMessageContent { application_data: b"data", padding };
            let bytes = content.to_bytes().unwrap();
            assert_eq!(bytes.len(), 5 + padding);
            assert_eq!(TargetedMessageContent::from_plaintext(&bytes), Ok(content));
        }

        let whole = [4, b'd', b'a', b't', b'a', 0, 0, 0];
        for at in 5..8 {
            let mut changed = whole;
            if let Some(byte) = changed.get_mut(at) {
                *byte = 1;
            }
            let refused = TargetedMessageContent::from_plaintext(&changed);
            assert_eq!(refused, Err(DecodeError::NonZeroPadding), "{at}");
        }
        for n in 0..5 {
            let cut: Vec<u8> = whole.iter().take(n).copied().collect();
            let refused = TargetedMessageContent::from_plaintext(&cut);
            assert_eq!(refused, Err(DecodeError::Truncated), "{n}");
        }
    }

    #[test]
    fn a_plaintext_does_not_print_itself() {
        let content = TargetedMessageContent { application_data: b"data", padding: 3 };
        assert_eq!(format!("{content:?}"), "TargetedMessageContent(4 bytes, 3 of padding)");
    }
}
