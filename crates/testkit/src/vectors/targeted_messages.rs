//! Targeted messages (draft-ietf-mls-targeted-messages-02, appendix "Test Vectors").

use super::compare::{same, same_value};
use super::hex::Hex;
use super::keys::hpke_key_pair;
use super::problem::{At, Problem};
use super::sample::{Client, secret};
use super::{Kind, SuiteVector};
use crate::SeededRng;
use conclave_crypto::Suite;
use conclave_framing::{
    Padding, TargetedContent, TargetedSecrets, open_targeted_sender, protect_targeted,
};
use conclave_schedule::ExporterSecret;
use conclave_tree::verify_leaf_signature;
use conclave_wire::{
    Encode, Epoch, GroupId, LeafIndex, LeafNode, LeafNodeContext, MlsMessage, MlsMessageBody,
};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
pub(super) struct TargetedMessages {
    cipher_suite: u16,
    group_id: Hex,
    epoch: u64,
    exporter_secret: Hex,
    sender_leaf_index: u32,
    sender_leaf_node: Hex,
    recipient_leaf_index: u32,
    recipient_encryption_priv: Hex,
    targeted_message: Hex,
    authenticated_data: Hex,
    application_data: Hex,
    padding_length: usize,
}

impl SuiteVector for TargetedMessages {
    fn cipher_suite(&self) -> u16 {
        self.cipher_suite
    }

    /// Takes the draft's steps of "Recipient Validation", and compares what comes of them.
    fn check(&self, suite: &Suite<'_>, _: &mut SeededRng) -> Result<(), Problem> {
        let message: MlsMessage = self.targeted_message.decode("the message")?;
        let MlsMessageBody::TargetedMessage(message) = message.body else {
            return Err(Problem::new("the message is not a TargetedMessage"));
        };
        same("group_id", &message.group_id, &self.group_id)?;
        same_value("epoch", &message.epoch.0, &self.epoch)?;
        let recipient = message.recipient_leaf_index.0;
        same_value("recipient_leaf_index", &recipient, &self.recipient_leaf_index)?;

        let exporter = ExporterSecret::from_secret(self.exporter_secret.secret());
        let secrets = TargetedSecrets::derive(suite, &exporter)?;
        let unverified =
            open_targeted_sender(suite, &message, &secrets).at("encrypted_sender_auth_data")?;
        same_value("sender_leaf_index", &unverified.sender().0, &self.sender_leaf_index)?;

        let leaf: LeafNode = self.sender_leaf_node.decode("sender_leaf_node")?;
        let leaf_index = LeafIndex(self.sender_leaf_index);
        let context = LeafNodeContext { group_id: &message.group_id, leaf_index };
        verify_leaf_signature(suite, &leaf, context).at("sender_leaf_node")?;
        let verified = unverified.verify(suite, &leaf.signature_key).at("signature")?;

        let private = &self.recipient_encryption_priv;
        let key_pair = hpke_key_pair(suite, "recipient_encryption_priv", private)?;
        let (data, padding) = verified.open(suite, &secrets, &key_pair).at("ciphertext")?;
        same("application_data", &data, &self.application_data)?;
        same_value("padding_length", &padding, &self.padding_length)?;
        same("authenticated_data", &message.authenticated_data, &self.authenticated_data)
    }

    fn generate(_: Kind, suite: &Suite<'_>, rng: &mut SeededRng) -> Result<Vec<Self>, Problem> {
        let sender = Client::new(suite, "sender", rng)?;
        let recipient = Client::new(suite, "recipient", rng)?;
        let sizes = [(0, 0, 0), (40, 13, 64)];
        let vector = |(length, authenticated, padding_length): (usize, usize, u16)| {
            let exporter_secret = secret(suite, rng);
            let group_id = GroupId::from(rng.bytes(16));
            let data = rng.bytes(length);
            let authenticated_data = rng.bytes(authenticated);
            let content = TargetedContent {
                group_id: &group_id,
                epoch: Epoch(rng.below(1000)),
                sender: LeafIndex(3),
                recipient: LeafIndex(6),
                authenticated_data: &authenticated_data,
                data: &data,
                padding: Padding::Bytes(padding_length.into()),
            };
            let exporter = ExporterSecret::from_secret(exporter_secret.clone());
            let secrets = TargetedSecrets::derive(suite, &exporter)?;
            let key = &recipient.leaf.public;
            let message = protect_targeted(suite, &content, &secrets, key, &sender.signer, rng)?;

            let body = MlsMessageBody::TargetedMessage(message);
            Ok(Self {
                cipher_suite: suite.cipher_suite().0,
                group_id: Hex::of(&group_id),
                epoch: content.epoch.0,
                exporter_secret: Hex::of(exporter_secret.expose()),
                sender_leaf_index: content.sender.0,
                sender_leaf_node: sender.key_package.leaf_node.to_bytes()?.into(),
                recipient_leaf_index: content.recipient.0,
                recipient_encryption_priv: Hex::of(recipient.leaf.private.0.expose()),
                targeted_message: MlsMessage::from(body).to_bytes()?.into(),
                authenticated_data: Hex::of(&authenticated_data),
                application_data: Hex::of(&data),
                padding_length: padding_length.into(),
            })
        };
        sizes.into_iter().map(vector).collect()
    }
}
