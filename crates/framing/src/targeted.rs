//! TargetedMessage (draft-ietf-mls-targeted-messages-02): from one member to another.
//!
//! The draft's order of checks is the order of types: a message's sender data is opened, then its
//! signature is verified, and only a [`VerifiedTargeted`] can be decrypted.

use crate::private::padded_length;
use crate::{FramingError, Padding};
use alloc::vec::Vec;
use conclave_crypto::hpke::Psk;
use conclave_crypto::{
    CryptoError, CryptoRng, Digest, HpkeKeyPair, Secret, SignatureKeyPair, Suite,
};
use conclave_schedule::{
    ExporterSecret, MessageKey, SenderDataSecret, export, sender_data_key_nonce,
};
use conclave_wire::{
    Bytes, Decode, DecodeError, Encode, Epoch, GroupId, HpkePublicKey, LeafIndex, PskId,
    SenderAuthDataAad, SignaturePublicKey, TargetedMessage, TargetedMessageContent,
    TargetedMessageContext, TargetedMessageContextData, TargetedMessageSenderAuthData,
    TargetedMessageTbs, Writer,
};

const SIGNATURE_LABEL: &[u8] = b"TargetedMessageTBS";

/// The secrets of an epoch that its targeted messages are sealed and opened with, besides the
/// members' own keys. They are wiped when dropped and never printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetedSecrets {
    /// `targeted_message_psk`.
    pub psk: Secret,
    /// `sender_auth_data_secret`, which is used as a sender data secret is.
    pub sender_auth_data: SenderDataSecret,
}

impl TargetedSecrets {
    /// Exports the secrets from an epoch (sections "Authentication" and "Sender Data Encryption").
    ///
    /// # Errors
    /// If the provider fails.
    pub fn derive(suite: &Suite<'_>, exporter: &ExporterSecret) -> Result<Self, CryptoError> {
        let secret = |context| export(suite, exporter, b"targeted message", context, suite.nh());
        Ok(Self {
            psk: secret(b"psk")?,
            sender_auth_data: SenderDataSecret::from_secret(secret(b"sender auth data secret")?),
        })
    }
}

/// What to say to one member.
#[derive(Clone, Copy)]
pub struct TargetedContent<'a> {
    /// The group.
    pub group_id: &'a GroupId,
    /// Its epoch.
    pub epoch: Epoch,
    /// Our leaf.
    pub sender: LeafIndex,
    /// The leaf of the member that it is for.
    pub recipient: LeafIndex,
    /// Data that is authenticated and not encrypted.
    pub authenticated_data: &'a [u8],
    /// Data that is encrypted.
    pub data: &'a [u8],
    /// The padding.
    pub padding: Padding,
}

impl core::fmt::Debug for TargetedContent<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("TargetedContent")
            .field("epoch", &self.epoch)
            .field("sender", &self.sender)
            .field("recipient", &self.recipient)
            .field("data", &format_args!("{} bytes", self.data.len()))
            .finish_non_exhaustive()
    }
}

/// Signs a message and encrypts it to the encryption key of the recipient's leaf (section
/// "Encryption", the sender's steps).
///
/// # Errors
/// If a key is invalid, or the message is too long to encode with its padding.
pub fn protect_targeted(
    suite: &Suite<'_>,
    content: &TargetedContent<'_>,
    secrets: &TargetedSecrets,
    recipient_key: &HpkePublicKey,
    signer: &SignatureKeyPair,
    rng: &mut dyn CryptoRng,
) -> Result<TargetedMessage, FramingError> {
    let TargetedContent { group_id, epoch, sender, recipient, authenticated_data, .. } = *content;

    // The content, with `SealPSK`.
    let psk_id = PskId { group_id, epoch }.to_bytes()?;
    let psk = Psk { psk: &secrets.psk, id: &psk_id };
    let info = info(sender, recipient)?;
    let plaintext = padded_plaintext(suite, content)?;
    let aad = authenticated_data;
    let sealed = suite.seal_psk(recipient_key, &psk, &info, aad, plaintext.written(), rng)?;
    drop(plaintext);

    // The signature, which covers the content by the ciphertext's hash.
    let mut message = TargetedMessage {
        group_id: group_id.clone(),
        epoch,
        recipient_leaf_index: recipient,
        authenticated_data: authenticated_data.into(),
        encrypted_sender_auth_data: Bytes::default(),
        ciphertext: sealed.ciphertext,
    };
    let kem_output = sealed.kem_output;
    let ciphertext_hash = suite.hash(&[&message.ciphertext])?;
    let tbs = TargetedMessageTbs {
        message: &message,
        sender_leaf_index: sender,
        kem_output: &kem_output,
        ciphertext_hash: &ciphertext_hash,
    };
    let signature = suite.sign_encoded_with_label(signer, SIGNATURE_LABEL, &tbs)?.into();

    // The sender data, under a key that depends on the ciphertext.
    let sender_data =
        TargetedMessageSenderAuthData { sender_leaf_index: sender, signature, kem_output };
    let secret = &secrets.sender_auth_data;
    let MessageKey { key, nonce } = sender_data_key_nonce(suite, secret, &message.ciphertext)?;
    let aad = sender_data_aad(&message)?;
    let sealed = suite.aead_seal(&key, nonce.expose(), &aad, &sender_data.to_bytes()?)?;
    message.encrypted_sender_auth_data = sealed.into();
    Ok(message)
}

/// Encodes the TargetedMessageContent with its padding.
fn padded_plaintext(
    suite: &Suite<'_>,
    content: &TargetedContent<'_>,
) -> Result<Writer, FramingError> {
    let application_data = content.data;
    let mut plaintext = TargetedMessageContent { application_data, padding: 0 };
    let mut w = Writer::secret_with_capacity(application_data.len().saturating_add(4));
    plaintext.encode(&mut w)?;

    let length = w.written().len();
    let padding = content.padding.bytes(length);
    let padded = padded_length(length, padding, suite.params().aead.tag_len())?;
    plaintext.padding = padded.saturating_sub(length);
    w.put_zeros(plaintext.padding);
    Ok(w)
}

/// HPKE's info: the members between whom the message goes.
fn info(sender: LeafIndex, recipient: LeafIndex) -> Result<Vec<u8>, FramingError> {
    let context =
        TargetedMessageContextData { recipient_leaf_index: recipient, sender_leaf_index: sender };
    Ok(TargetedMessageContext { context }.to_bytes()?)
}

fn sender_data_aad(message: &TargetedMessage) -> Result<Vec<u8>, FramingError> {
    let TargetedMessage { group_id, epoch, recipient_leaf_index, .. } = message;
    let recipient_leaf_index = *recipient_leaf_index;
    Ok(SenderAuthDataAad { group_id, epoch: *epoch, recipient_leaf_index }.to_bytes()?)
}

/// A targeted message whose sender is named, and whose signature is still to be verified.
#[derive(Debug)]
pub struct UnverifiedTargeted<'a> {
    message: &'a TargetedMessage,
    sender_data: TargetedMessageSenderAuthData,
}

/// A targeted message whose signature verified. It is still encrypted.
#[derive(Debug)]
pub struct VerifiedTargeted<'a> {
    message: &'a TargetedMessage,
    sender_data: TargetedMessageSenderAuthData,
    ciphertext_hash: Digest,
}

/// Decrypts the sender data of a targeted message.
///
/// # Errors
/// [`FramingError::SenderDataNotOpened`]; [`FramingError::MalformedSenderData`].
pub fn open_targeted_sender<'a>(
    suite: &Suite<'_>,
    message: &'a TargetedMessage,
    secrets: &TargetedSecrets,
) -> Result<UnverifiedTargeted<'a>, FramingError> {
    let secret = &secrets.sender_auth_data;
    let MessageKey { key, nonce } = sender_data_key_nonce(suite, secret, &message.ciphertext)?;
    let aad = sender_data_aad(message)?;
    let sealed = &message.encrypted_sender_auth_data;
    let opened = match suite.aead_open(&key, nonce.expose(), &aad, sealed) {
        Err(CryptoError::OpenFailed) => return Err(FramingError::SenderDataNotOpened),
        other => other?,
    };
    let sender_data = TargetedMessageSenderAuthData::from_bytes(opened.expose())
        .map_err(FramingError::MalformedSenderData)?;
    Ok(UnverifiedTargeted { message, sender_data })
}

impl<'a> UnverifiedTargeted<'a> {
    /// The sender that it claims. The caller must check that this is a non-blank leaf.
    #[must_use]
    pub fn sender(&self) -> LeafIndex {
        self.sender_data.sender_leaf_index
    }

    /// Verifies the signature with the sender's key.
    ///
    /// # Errors
    /// [`FramingError::InvalidSignature`].
    pub fn verify(
        self,
        suite: &Suite<'_>,
        key: &SignaturePublicKey,
    ) -> Result<VerifiedTargeted<'a>, FramingError> {
        let Self { message, sender_data } = self;
        let ciphertext_hash = suite.hash(&[&message.ciphertext])?;
        let tbs = TargetedMessageTbs {
            message,
            sender_leaf_index: sender_data.sender_leaf_index,
            kem_output: &sender_data.kem_output,
            ciphertext_hash: &ciphertext_hash,
        };
        let signature = &sender_data.signature;
        match suite.verify_encoded_with_label(key, SIGNATURE_LABEL, &tbs, signature) {
            Err(CryptoError::InvalidSignature | CryptoError::InvalidPublicKey) => {
                Err(FramingError::InvalidSignature)
            }
            other => {
                Ok(other.map(|()| VerifiedTargeted { message, sender_data, ciphertext_hash })?)
            }
        }
    }
}

impl VerifiedTargeted<'_> {
    /// The hash of the ciphertext, by the suite: the message's name, which no signature or other
    /// part that its sender or another member could vary goes into.
    #[must_use]
    pub fn ciphertext_hash(&self) -> &[u8] {
        &self.ciphertext_hash
    }

    /// Decrypts the message with the key pair of the recipient's leaf: the data, and the number of
    /// bytes of padding.
    ///
    /// # Errors
    /// [`FramingError::ContentNotOpened`]; [`FramingError::MalformedContent`];
    /// [`FramingError::NonZeroPadding`].
    pub fn open(
        &self,
        suite: &Suite<'_>,
        secrets: &TargetedSecrets,
        key_pair: &HpkeKeyPair,
    ) -> Result<(Vec<u8>, usize), FramingError> {
        let TargetedMessage { group_id, epoch, recipient_leaf_index, ciphertext, .. } =
            self.message;
        let psk_id = PskId { group_id, epoch: *epoch }.to_bytes()?;
        let psk = Psk { psk: &secrets.psk, id: &psk_id };
        let info = info(self.sender_data.sender_leaf_index, *recipient_leaf_index)?;
        let aad = &self.message.authenticated_data;
        let kem_output = &self.sender_data.kem_output;

        let plaintext = suite
            .open_psk(key_pair, &psk, &info, aad, kem_output, ciphertext)
            .map_err(|e| if e.is_of_input() { FramingError::ContentNotOpened } else { e.into() })?;
        let content = TargetedMessageContent::from_plaintext(plaintext.expose());
        let content = content.map_err(|e| match e {
            DecodeError::NonZeroPadding => FramingError::NonZeroPadding,
            other => FramingError::MalformedContent(other),
        })?;
        Ok((content.application_data.to_vec(), content.padding))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Fixture, TestRng};
    use alloc::format;

    const SENDER: LeafIndex = LeafIndex(5);
    const RECIPIENT: LeafIndex = LeafIndex(2);

    /// A group, the secrets of its epoch, and the recipient's key pair.
    fn scene() -> (Fixture, TargetedSecrets, HpkeKeyPair) {
        let f = Fixture::new();
        let exporter = ExporterSecret::from_secret(Secret::zero(32));
        let secrets = TargetedSecrets::derive(&f.suite, &exporter).unwrap();
        let key_pair = f.suite.hpke_key_pair(&mut TestRng(2)).unwrap();
        (f, secrets, key_pair)
    }

    fn content<'a>(f: &'a Fixture, data: &'a [u8], padding: Padding) -> TargetedContent<'a> {
        TargetedContent {
            group_id: &f.context.group_id,
            epoch: f.context.epoch,
            sender: SENDER,
            recipient: RECIPIENT,
            authenticated_data: b"aad",
            data,
            padding,
        }
    }

    #[test]
    fn targeted_messages_round_trip_with_every_padding() {
        let (f, secrets, key_pair) = scene();
        for data in [&b""[..], b"hello", &[7; 3000]] {
            for (padding, least) in
                [(Padding::None, 0), (Padding::Bytes(9), 9), (Padding::ToMultipleOf(4096), 1000)]
            {
                let content = content(&f, data, padding);
                let rng = &mut TestRng(3);
                let key = &key_pair.public;
                let sealed =
                    protect_targeted(&f.suite, &content, &secrets, key, &f.signer, rng).unwrap();
                let sealed = TargetedMessage::from_bytes(&sealed.to_bytes().unwrap()).unwrap();

                let unverified = open_targeted_sender(&f.suite, &sealed, &secrets).unwrap();
                assert_eq!(unverified.sender(), SENDER);
                let verified = unverified.verify(&f.suite, &f.signer.public).unwrap();
                let hash = f.suite.hash(&[&sealed.ciphertext]).unwrap();
                assert_eq!(verified.ciphertext_hash(), &*hash);
                let (opened, padded) = verified.open(&f.suite, &secrets, &key_pair).unwrap();
                assert_eq!(opened, data);
                assert!(padded >= least, "{padded} bytes of padding for {padding:?}");
            }
        }
    }

    #[test]
    fn padding_over_the_longest_vector_is_refused() {
        let (f, secrets, key_pair) = scene();
        let content = content(&f, b"hello", Padding::Bytes(u32::MAX));
        let rng = &mut TestRng(3);
        let key = &key_pair.public;
        let sealed = protect_targeted(&f.suite, &content, &secrets, key, &f.signer, rng);
        assert!(matches!(sealed, Err(FramingError::Encode(_))), "{sealed:?}");
    }

    #[test]
    fn the_psk_opens_only_its_own_epochs_messages() {
        let (f, secrets, key_pair) = scene();
        let other = ExporterSecret::from_secret(Secret::new(alloc::vec![1; 32]));
        let other = TargetedSecrets::derive(&f.suite, &other).unwrap();
        assert_ne!(secrets.psk, other.psk);
        assert_ne!(secrets.psk, *secrets.sender_auth_data.as_secret());

        let content = content(&f, b"hello", Padding::None);
        let rng = &mut TestRng(3);
        let key = &key_pair.public;
        let sealed = protect_targeted(&f.suite, &content, &secrets, key, &f.signer, rng).unwrap();
        let refused = open_targeted_sender(&f.suite, &sealed, &other).map(|_| ());
        assert_eq!(refused, Err(FramingError::SenderDataNotOpened));
        let unverified = open_targeted_sender(&f.suite, &sealed, &secrets).unwrap();
        let verified = unverified.verify(&f.suite, &f.signer.public).unwrap();
        let refused = verified.open(&f.suite, &other, &key_pair);
        assert_eq!(refused, Err(FramingError::ContentNotOpened));
    }

    #[test]
    fn targeted_content_and_secrets_do_not_print_themselves() {
        let (f, secrets, _) = scene();
        let shown = format!("{:?} {secrets:?}", content(&f, b"hello", Padding::None));
        assert!(shown.contains("5 bytes"), "{shown}");
        for secret in ["hello", "104, 101", "68656c", &format!("{:?}", secrets.psk.expose())] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}
