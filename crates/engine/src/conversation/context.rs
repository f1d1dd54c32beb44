//! What the engine lends a conversation for each decision.

use crate::authority::Authority;
use crate::book::{Book, Change};
use crate::clock::Clock;
use crate::copies::Copied;
use crate::directory::Judged;
use crate::error::EngineError;
use crate::output::Answer;
use crate::policy::KeyPolicy;
use crate::reason::Reason;
use crate::record::News;
use crate::request::Request;
use crate::watching::Watching;
use conclave_delivery_api::{DeviceId, Name};
use conclave_mls::credential::{CredentialRequest, LeafParams, SignaturePublicKey};
use conclave_mls::crypto::{CryptoProvider, CryptoRng};
use conclave_mls::{GroupId, UnixTime, Verdict};
use conclave_store::Store;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// What a conversation decides with, besides its own state: first what it only reads, then what it shares with the rest of
/// the engine and may change.
pub(crate) struct Context<'a, S> {
    pub(crate) clock: Clock,
    pub(crate) provider: &'a dyn CryptoProvider,
    /// When this device replaces its keys, and when other devices count as gone.
    pub(crate) key_policy: &'a KeyPolicy,
    /// The service's key, once it is known. Evidence against the service names it.
    pub(crate) service_key: Option<&'a SignaturePublicKey>,
    /// Whether the service was restored from a backup, or set up anew, since this process began.
    pub(crate) was_restored: bool,
    /// Where the host keeps evidence, as users are told.
    pub(crate) evidence_place: &'a str,
    /// Whether no call is under way.
    pub(crate) is_idle: bool,

    pub(crate) rng: &'a mut dyn CryptoRng,
    /// What is stored: the conversation's record and queue, what is known of accounts, and the records of other groups.
    pub(crate) book: &'a mut Book<S>,
    /// Whose word counts on which key is whose.
    pub(crate) authority: &'a mut Authority,
    /// The users whose accounts are to be fetched.
    pub(crate) lookups: &'a mut BTreeSet<Name>,
    /// Revoked devices that are to leave groups, and when.
    pub(crate) removals: &'a mut BTreeMap<(GroupId, DeviceId), u64>,
    /// What this process knows of the service's directory.
    pub(crate) watching: &'a mut Watching,
    /// Messages to the host that are not stored.
    pub(crate) answers: &'a mut VecDeque<Answer>,
    /// Set if the conversation's next call has to wait until no other is under way.
    pub(crate) waits_for_idle: bool,
}

impl<S: Store> Context<'_, S> {
    /// This device.
    pub(crate) fn device(&self) -> &DeviceId {
        &self.book.identity().device
    }

    /// This device's leaf, as it would be made now.
    pub(crate) fn leaf(&self) -> LeafParams {
        self.authority.own_leaf(self.book.identity())
    }

    /// Whether a call may be made now beside which no other may be under way. If not, the conversation waits its turn.
    pub(crate) fn may_go_alone(&mut self) -> bool {
        self.waits_for_idle |= !self.is_idle;
        self.is_idle
    }

    /// Judges credentials; none if accounts have to be fetched first, which is then planned.
    pub(crate) fn judge(&mut self, requests: &[CredentialRequest]) -> Option<Vec<Verdict>> {
        self.judge_sent(requests, self.clock.time())
    }

    /// Does as [`Self::judge`], for credentials that were sent at a time by the service's clock.
    pub(crate) fn judge_sent(
        &mut self,
        requests: &[CredentialRequest],
        sent: UnixTime,
    ) -> Option<Vec<Verdict>> {
        let times = (self.clock.time(), sent);
        match self.authority.judge(self.provider, self.book.accounts(), times, requests) {
            Judged::Verdicts(verdicts) => Some(verdicts),
            Judged::Ask(users) => {
                self.lookups.extend(users);
                None
            }
        }
    }

    /// The request for what is new in a user's account, or of the user's certificates.
    pub(crate) fn fetch_user(&self, user: Name) -> Result<Request, EngineError> {
        self.authority.request_for(self.book.accounts(), self.provider, user)
    }

    /// Tells the host that something in a group failed. This is not stored.
    pub(crate) fn failed(&mut self, group: &GroupId, reason: Reason) {
        self.answers.push_back(Answer::Failed { group: Some(group.clone()), reason });
    }

    /// Notes that this state is a copy, or an old one: another process has gone on from it, at the time `since`, in seconds
    /// since 1970, if the service has said so.
    pub(crate) fn found_copied(&mut self, since: Option<u64>) -> Result<(), EngineError> {
        if self.book.copied().is_some() {
            return Ok(());
        }
        let key = self.book.identity().signer.public.clone();
        let by_itself = self.authority.certified().is_none();
        let copied = Copied { key, next: None, waits: false };
        let news = News::StateCopied { since, by_itself };
        self.book.commit(None, vec![Change::Copied(Some(copied)), Change::News(None, news)])?;
        // What the account is now says whether the key still counts.
        self.lookups.insert(self.book.identity().device.user.clone());
        Ok(())
    }
}
