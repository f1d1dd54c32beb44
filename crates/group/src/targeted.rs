//! Targeted messages: to one member, in the group's encryption
//! (draft-ietf-mls-targeted-messages-02).

use crate::error::limit::Limit;
use crate::error::reasons::Obstacle;
use crate::error::{Error, Misuse, Rejection};
use crate::event::{Member, TargetedApplicationMessage};
use crate::send::Framing;
use crate::state::group::{Delta, Group};
use crate::state::targeted::{TargetedKeys, supports_targeted};
use crate::transition::Transition;
use alloc::vec::Vec;
use conclave_crypto::{CryptoProvider, CryptoRng, HpkeKeyPair, Suite};
use conclave_framing::{TargetedContent, TargetedSecrets, open_targeted_sender, protect_targeted};
use conclave_tree::{Feature, TreeRead};
use conclave_wire::{
    Decode, Encode, Epoch, ExtensionType, LeafIndex, LeafNode, MlsMessage, MlsMessageBody,
    TargetedMessage,
};

/// # Sending to one member
impl Group {
    /// Encrypts data to one member of this epoch, as draft-ietf-mls-targeted-messages-02 does. The
    /// others, and the delivery service, learn for whom it is; the delivery service does not learn
    /// from whom.
    ///
    /// There is no step to apply: the message takes a fresh key of HPKE and none of a ratchet, so
    /// nothing changes here. It may be dropped, or sent again.
    ///
    /// Only the epoch's keys protect it: whoever learns the private key of the recipient's leaf,
    /// and is or was a member of this epoch, can read it. [`Framing::encrypt`] does not matter.
    ///
    /// ```
    #[doc = two_targeted!()]
    /// use conclave_mls::group::Framing;
    ///
    /// let bobs_leaf = bob.own_leaf();
    /// let message = alice.encrypt_to(&provider, &mut rng, bobs_leaf, b"psst", &Framing::default())?;
    /// // `message` is sent to Bob.
    /// let Ok(Received::Targeted(step)) = bob.process(&provider, now, &message) else { panic!() };
    /// let read = apply(&mut bob, step, |write| store.write(write))?;
    /// assert_eq!((read.sender.index, read.data.as_slice()), (alice.own_leaf(), &b"psst"[..]));
    /// # Done::Ok(())
    /// ```
    ///
    /// # Errors
    /// [`Misuse::NotPossible`] if there is no member at the leaf, if it is our own, or if it does
    /// not list `mls_targeted_message` in its extension `supported_wire_formats`;
    /// [`Misuse::ProposalsPending`] if proposals were received: commit them first (RFC 9420
    /// section 12.4).
    pub fn encrypt_to(
        &self,
        provider: &dyn CryptoProvider,
        rng: &mut dyn CryptoRng,
        recipient: LeafIndex,
        data: &[u8],
        framing: &Framing,
    ) -> Result<Vec<u8>, Error> {
        let suite = self.suite(provider)?;
        let current = self.active()?;
        self.check_data_may_be_sent()?;

        let not_possible = |obstacle| Error::from(Misuse::NotPossible(obstacle));
        if recipient == self.own_leaf {
            return Err(not_possible(Obstacle::OwnLeaf));
        }
        let leaf = self.public.tree.leaf(recipient);
        let leaf = leaf.ok_or_else(|| not_possible(Obstacle::NoSuchMember))?;
        if !supports_targeted(&leaf) {
            return Err(not_possible(Obstacle::TargetedUnsupported));
        }

        let content = TargetedContent {
            group_id: self.group_id(),
            epoch: self.epoch(),
            sender: self.own_leaf,
            recipient,
            authenticated_data: &framing.authenticated_data,
            data,
            padding: framing.padding,
        };
        let secrets = TargetedSecrets::derive(&suite, &current.exporter)?;
        let key = &leaf.encryption_key;
        let message = protect_targeted(&suite, &content, &secrets, key, &self.signer, rng)?;

        let message = MlsMessage::from(MlsMessageBody::TargetedMessage(message)).to_bytes()?;
        self.limits().check(Limit::MessageBytes, message.len())?;
        Ok(message)
    }
}

impl Group {
    /// The step that gives out a message to us (section "Recipient Validation").
    pub(crate) fn receive_targeted(
        &self,
        suite: &Suite<'_>,
        message: &TargetedMessage,
    ) -> Result<Transition<Self, TargetedApplicationMessage>, Error> {
        // The group, the epoch and the recipient.
        self.public.check_group(&message.group_id)?;
        let epoch = message.epoch;
        let keys = self.targeted_keys(suite, epoch)?;
        if message.recipient_leaf_index != self.own_leaf {
            return Err(Rejection::NotRecipient(message.recipient_leaf_index).into());
        }

        // The sender, as of that epoch, and its signature.
        let unverified = open_targeted_sender(suite, message, &keys.secrets)?;
        let sender = unverified.sender();
        let leaf = self.leaf_of_epoch(epoch, sender)?;
        let verified = unverified.verify(suite, &leaf.signature_key)?;

        // Ours: the draft does not keep a message from being given out twice.
        let hash = verified.ciphertext_hash();
        if self.targeted_read.has(epoch, hash) {
            return Err(Rejection::ReplayedTargetedMessage.into());
        }
        let read = self.targeted_read.count(epoch).saturating_add(1);
        self.limits().check(Limit::TargetedMessages, read)?;

        // The content and its padding.
        let public = self.leaf_of_epoch(epoch, self.own_leaf)?.encryption_key;
        let key_pair = HpkeKeyPair { private: keys.leaf_key, public };
        let (data, _) = verified.open(suite, &keys.secrets, &key_pair)?;

        let mut delta = Delta::default();
        let mut batch = self.batch();
        self.targeted_read.add(epoch, hash, &mut delta.targeted_read, &mut batch);
        let message = TargetedApplicationMessage {
            sender: Member::of(sender, &leaf),
            epoch,
            authenticated_data: message.authenticated_data.clone(),
            data,
        };
        Ok(self.step(delta, batch, message))
    }

    /// The leaf of a member in an epoch that is kept.
    fn leaf_of_epoch(&self, epoch: Epoch, leaf: LeafIndex) -> Result<LeafNode, Error> {
        let encoded = self.leaf_in_epoch(epoch, leaf).ok_or(Rejection::SenderNotMember(leaf))?;
        Ok(LeafNode::from_bytes(encoded)?)
    }

    /// What opens the messages to us of an epoch that is kept.
    fn targeted_keys(&self, suite: &Suite<'_>, epoch: Epoch) -> Result<TargetedKeys, Error> {
        let current = self.epoch();
        if epoch == current {
            return self.current_targeted_keys(suite);
        }
        let kept = self.past.get(&epoch).and_then(|past| past.targeted.as_ref());
        Ok(kept.cloned().ok_or(Rejection::WrongEpoch { message: epoch, current })?)
    }

    fn current_targeted_keys(&self, suite: &Suite<'_>) -> Result<TargetedKeys, Error> {
        let secrets = TargetedSecrets::derive(suite, &self.secrets()?.exporter)?;
        let leaf_key = self.private_keys.get(&self.own_leaf.node());
        let leaf_key = leaf_key.ok_or_else(|| Error::storage("our leaf's key is missing"))?;
        Ok(TargetedKeys { secrets, leaf_key: leaf_key.clone() })
    }

    /// What to keep of the current epoch once it is past, for late messages. Nothing, unless our
    /// leaf invites targeted messages or one came all the same.
    pub(crate) fn targeted_keys_to_keep(
        &self,
        suite: &Suite<'_>,
    ) -> Result<Option<TargetedKeys>, Error> {
        let invited = || {
            // Whoever uses the extension lists it among its capabilities. Counting is cheaper than
            // decoding our leaf at each commit.
            let listed = self
                .public
                .tree
                .members_with(Feature::Extension(ExtensionType::SUPPORTED_WIRE_FORMATS));
            listed > 0
                && self.public.tree.leaf(self.own_leaf).is_some_and(|l| supports_targeted(&l))
        };
        if self.targeted_read.count(self.epoch()) == 0 && !invited() {
            return Ok(None);
        }
        self.current_targeted_keys(suite).map(Some)
    }
}
