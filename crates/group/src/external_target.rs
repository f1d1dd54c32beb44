//! Proposals from outside the group (section 12.1.8).

use crate::config::Config;
use crate::error::reasons::Obstacle;
use crate::error::{Error, Misuse};
use crate::key_package::OwnKeyPackage;
use crate::validate::safe_aad;
use alloc::boxed::Box;
use alloc::vec::Vec;
use conclave_crypto::{CryptoProvider, SignatureKeyPair, Suite};
use conclave_framing::{protect_public_from_outside, sign_proposal_from_outside};
use conclave_wire::{
    Bytes, CipherSuite, Content, Encode, Epoch, FramedContent, GroupContext, GroupId, MlsMessage,
    MlsMessageBody, Proposal, Sender, UnixTime,
};
use core::time::Duration;

/// What an outsider must know about a group to send it proposals.
///
/// [`Group::external_target`](crate::Group::external_target) and
/// [`Observer::external_target`](crate::Observer::external_target) give it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalTarget {
    /// The group.
    pub group_id: GroupId,
    /// Its current epoch.
    pub epoch: Epoch,
    /// Its cipher suite.
    pub cipher_suite: CipherSuite,
    authenticated_data: Bytes,
    /// Whether the group requires safe AAD.
    safe_aad: bool,
    clock_skew: Duration,
}

impl ExternalTarget {
    /// A group in an epoch. The clocks of its members and of the outsider may differ by the default
    /// [`Config::clock_skew`].
    #[must_use]
    pub fn new(group_id: GroupId, epoch: Epoch, cipher_suite: CipherSuite) -> Self {
        let authenticated_data = Bytes::default();
        let clock_skew = Config::default().clock_skew;
        Self { group_id, epoch, cipher_suite, authenticated_data, safe_aad: false, clock_skew }
    }

    /// The group of a context.
    pub(crate) fn of(context: &GroupContext, config: &Config) -> Self {
        // An epoch's extensions were checked when it began.
        let safe_aad = safe_aad::is_required(&context.extensions).unwrap_or(false);
        let target = Self::new(context.group_id.clone(), context.epoch, context.cipher_suite);
        Self { safe_aad, ..target.with_clock_skew(config.clock_skew) }
    }

    /// The same group, which requires safe AAD (draft-ietf-mls-extensions-10): the component `safe_aad` is
    /// in the dictionary of its GroupContext.
    #[must_use]
    pub fn with_safe_aad(self) -> Self {
        Self { safe_aad: true, ..self }
    }

    /// The same group, for proposals that authenticate data of the application (section 6).
    #[must_use]
    pub fn with_authenticated_data(self, data: impl Into<Bytes>) -> Self {
        Self { authenticated_data: data.into(), ..self }
    }

    /// The same group, whose members' clocks may differ from ours by this many whole seconds.
    #[must_use]
    pub fn with_clock_skew(self, clock_skew: Duration) -> Self {
        Self { clock_skew, ..self }
    }

    /// A proposal by the external sender with an index in the group's `external_senders` (section
    /// 12.1.8): an encoded MLSMessage.
    ///
    /// ```
    #[doc = two_members!()]
    /// use conclave_mls::group::{LeafIndex, Proposal};
    ///
    /// # let service = identity(b"service").signer;
    /// // `service` is the key pair of the group's external sender 0.
    /// let target = alice.external_target();
    /// let message = target.propose(&provider, 0, &service, Proposal::Remove(LeafIndex(1)))?;
    /// # Done::Ok(())
    /// ```
    ///
    /// # Errors
    /// If external senders may not make such a proposal, or the authenticated data is not the SafeAAD
    /// that the group requires.
    pub fn propose(
        &self,
        provider: &dyn CryptoProvider,
        sender_index: u32,
        signer: &SignatureKeyPair,
        proposal: Proposal,
    ) -> Result<Vec<u8>, Error> {
        self.send(provider, Sender::External(sender_index), signer, proposal)
    }

    /// A proposal of the outsider to add itself (section 12.1.8): an encoded MLSMessage.
    ///
    /// # Errors
    /// If the key package is of another suite than the group, or out of its lifetime (section 7.3)
    /// even if the clocks differ.
    pub fn propose_self(
        &self,
        provider: &dyn CryptoProvider,
        now: UnixTime,
        own: &OwnKeyPackage,
    ) -> Result<Vec<u8>, Error> {
        let config = Config { clock_skew: self.clock_skew, ..Config::default() };
        config.check_within_lifetime(&own.key_package().leaf_node, now)?;
        if own.key_package().cipher_suite != self.cipher_suite {
            return Err(Misuse::NotPossible(Obstacle::OtherSuite).into());
        }
        let add = Proposal::Add(Box::new(own.key_package().clone()));
        self.send(provider, Sender::NewMemberProposal, &own.signer, add)
    }

    fn send(
        &self,
        provider: &dyn CryptoProvider,
        sender: Sender,
        signer: &SignatureKeyPair,
        proposal: Proposal,
    ) -> Result<Vec<u8>, Error> {
        let suite = Suite::new(provider, self.cipher_suite)?;
        let content = FramedContent {
            group_id: self.group_id.clone(),
            epoch: self.epoch,
            sender,
            authenticated_data: safe_aad::to_send(self.safe_aad, &self.authenticated_data)?,
            content: Content::Proposal(proposal),
        };
        let signed = sign_proposal_from_outside(&suite, content, signer)?;
        let message = protect_public_from_outside(signed)?;
        let body = MlsMessageBody::PublicMessage(Box::new(message));
        Ok(MlsMessage::from(body).to_bytes()?)
    }
}
