//! What a conversation gets of the engine to decide, and what it leaves there.

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

/// What a conversation decides with, besides its own state.
pub(crate) struct Context<'a, S> {
    pub(crate) clock: Clock,
    pub(crate) provider: &'a dyn CryptoProvider,
    pub(crate) rng: &'a mut dyn CryptoRng,
    /// What is stored: the conversation's record and queue, and what is known of accounts.
    pub(crate) book: &'a mut Book<S>,
    pub(crate) keys: &'a KeyPolicy,
    /// Whose word counts on which key is whose.
    pub(crate) authority: &'a mut Authority,
    /// Whom the service is to be asked for.
    pub(crate) lookups: &'a mut BTreeSet<Name>,
    /// Revoked devices that are to leave groups, and when.
    pub(crate) removals: &'a mut BTreeMap<(GroupId, DeviceId), u64>,
    pub(crate) watching: &'a mut Watching,
    pub(crate) evidence_place: &'a str,
    pub(crate) service_key: Option<&'a SignaturePublicKey>,
    /// Whether the service was restored from a backup, or set up anew, since this process began.
    pub(crate) was_restored: bool,
    /// What there is to say that is not stored.
    pub(crate) answers: &'a mut VecDeque<Answer>,
    /// Whether no other call is under way.
    pub(crate) is_alone: bool,
    /// Whether the conversation waits until that is so.
    pub(crate) waits: bool,
}

impl<S: Store> Context<'_, S> {
    /// This device.
    pub(crate) fn device(&self) -> &DeviceId {
        &self.book.identity().device
    }

    /// The time as MLS and the service want it: in seconds.
    pub(crate) fn time(&self) -> UnixTime {
        self.clock.time()
    }

    /// The time by the service's clock.
    pub(crate) fn service_time(&self) -> UnixTime {
        self.clock.service_time()
    }

    /// By which day what is read now is noted.
    pub(crate) fn seen_day(&self) -> u32 {
        self.clock.seen_day()
    }

    /// The own leaf.
    pub(crate) fn leaf(&self) -> LeafParams {
        self.authority.own_leaf(self.book.identity())
    }

    /// Whether a call may now be made that has to be made alone. If not, the conversation waits for that.
    pub(crate) fn may_go_alone(&mut self) -> bool {
        self.waits |= !self.is_alone;
        self.is_alone
    }

    /// Judges credentials; none if the service has to be asked first, which is then seen to.
    pub(crate) fn judge(&mut self, requests: &[CredentialRequest]) -> Option<Vec<Verdict>> {
        self.judge_sent(requests, self.time())
    }

    /// The same for credentials that were sent at a time by the service's clock.
    pub(crate) fn judge_sent(
        &mut self,
        requests: &[CredentialRequest],
        sent: UnixTime,
    ) -> Option<Vec<Verdict>> {
        let times = (self.time(), sent);
        match self.authority.judge(self.provider, self.book.accounts(), times, requests) {
            Judged::Verdicts(verdicts) => Some(verdicts),
            Judged::Ask(users) => {
                self.lookups.extend(users);
                None
            }
        }
    }

    /// The request for what is new of a user.
    pub(crate) fn fetch_user(&self, user: Name) -> Result<Request, EngineError> {
        self.authority.request_for(self.book.accounts(), self.provider, user)
    }

    /// Says that something did not come about. That is not stored.
    pub(crate) fn failed(&mut self, group: Option<&GroupId>, reason: Reason) {
        self.answers.push_back(Answer::Failed { group: group.cloned(), reason });
    }

    /// This state is a copy, or an old one: another process has gone on from it, at a time in seconds since 1970 if the
    /// service has said so.
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
