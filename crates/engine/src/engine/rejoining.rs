//! Coming back into a group in place of this device's own former leaf: an external commit that removes it (RFC 9420
//! section 12.4.3.2).
//!
//! The log is read first, as far as this device can follow it. Then the commit is made and stored with the group that it
//! leads to, and sent until the service has judged it. What was to be sent waits, and is encrypted anew.

use super::groups::GROUP_INFO;
use super::joining::{NotJoined, take_leavers};
use super::log::{device_of, not_committed};
use super::{Engine, EngineError, Purpose};
use crate::book::Change;
use crate::conversation::rules::config;
use crate::conversation::{Conversation, Standing};
use crate::copies::Rejoin;
use crate::reason::Reason;
use crate::record::{GroupRecord, Item, News, OwnKey, Stage, Work};
use crate::request::Request;
use conclave_delivery_api::{
    CallError, DeviceId, ErrorCode, FetchGroupInfo, GroupState, Outcome, Receipt,
};
use conclave_mls::GroupId;
use conclave_mls::join::{ExternalCommit, ExternalJoinOptions, ExternalJoinStage};
use conclave_mls::storage::Batch;
use conclave_store::Store;

type Next = Option<(Request, Purpose)>;

/// Why a device whose leaf is gone does not come back.
fn not_in_it(me: &DeviceId) -> String {
    format!("{me} is no longer in it: a member has to invite it")
}

/// What is to be done in a group where this device has another leaf from now on.
fn begun_again(work: &Work) -> Option<Work> {
    match work {
        Work::Send { payload, sealed: Some(_) } => {
            Some(Work::Send { payload: payload.clone(), sealed: None })
        }
        Work::Leave { alone, proposed: Some(_), .. } => {
            Some(Work::Leave { alone: *alone, committing: false, proposed: None })
        }
        other => not_committed(other),
    }
}

impl<S: Store> Engine<S> {
    /// Whether this device has to come back into a group before it can do anything else there.
    pub(super) fn comes_back(&self, id: &GroupId) -> bool {
        self.book.rejoin(id).is_some_and(|rejoin| rejoin.wanted)
    }

    /// When it may come back, if it has done so too often; none if it may now, or need not.
    pub(super) fn comes_back_at(&self, id: &GroupId) -> Option<u64> {
        let rejoin = self.book.rejoin(id).filter(|rejoin| rejoin.wanted && rejoin.commit.is_none());
        let at = rejoin?.times.next(self.now);
        (at > self.now).then_some(at)
    }

    /// The log goes on with a commit of this device's own that it cannot follow: it comes back.
    pub(super) fn cannot_follow_own(&mut self, id: &GroupId) -> Result<(), EngineError> {
        if let Some(live) = self.conversations.get_mut(id) {
            live.ends_here = true;
        }
        let rejoin = self.book.rejoin(id).cloned().unwrap_or_default();
        if rejoin.wanted {
            return Ok(());
        }
        let rejoin = Rejoin { wanted: true, ..rejoin };
        Ok(self.book.commit(None, vec![Change::Rejoin(id.clone(), rejoin)])?)
    }

    /// The next call on the way back into a group.
    pub(super) fn next_rejoin(&mut self, id: &GroupId) -> Result<Next, EngineError> {
        let Some(rejoin) = self.book.rejoin(id).cloned() else { return Ok(None) };
        if let Some(secret) = &rejoin.commit {
            let request = self.external_commit(secret)?;
            return Ok(Some((request, Purpose::Rejoin(id.clone()))));
        }
        if let Some(at) = self.comes_back_at(id) {
            self.rejoin_waits(id, rejoin, at)?;
            return Ok(None);
        }

        let Some(state) = self.shown.remove(id) else {
            let request = FetchGroupInfo { group_id: id.clone() };
            return Ok(Some((request.into(), Purpose::GroupInfo(id.clone()))));
        };
        match self.make_rejoin(id, &state) {
            Ok(Some(made)) => {
                let rejoin = Rejoin { commit: Some(made.to_secret()?), ..rejoin };
                self.book.commit(None, vec![Change::Rejoin(id.clone(), rejoin)])?;
                self.next_rejoin(id)
            }
            // Its members' accounts are asked for first.
            Ok(None) => {
                self.shown.insert(id.clone(), state);
                if let Some(live) = self.conversations.get_mut(id) {
                    live.standing = Standing::Asks;
                }
                Ok(None)
            }
            Err(NotJoined(why)) => {
                self.not_back(id, &why)?;
                Ok(None)
            }
        }
    }

    /// Says once that this device has come back too often.
    fn rejoin_waits(&mut self, id: &GroupId, rejoin: Rejoin, at: u64) -> Result<(), EngineError> {
        if rejoin.waits {
            return Ok(());
        }
        let news = Self::news(id, News::RejoinLimited { until: at / 1000 });
        let rejoin = Change::Rejoin(id.clone(), Rejoin { waits: true, ..rejoin });
        Ok(self.book.commit(None, vec![rejoin, news])?)
    }

    /// The commit that comes back; none while somebody's account has to be asked for.
    fn make_rejoin(
        &mut self,
        id: &GroupId,
        state: &GroupState,
    ) -> Result<Option<ExternalCommit>, NotJoined> {
        let (info, tree) = (&state.group_info, Some(&*state.ratchet_tree));
        let mut stage = ExternalJoinStage::open(&*self.provider, config(), info, tree)?;
        let context = stage.context();
        if context.group_id != *id {
            return Err(NotJoined("the service shows another group".into()));
        }
        let known = self.conversations.get(id).map_or(0, |live| live.group.epoch().0);
        if context.epoch.0 < known {
            return Err(NotJoined("the service shows an epoch that is over".into()));
        }
        let me = self.device();
        let is_own =
            |leaf: &conclave_mls::group::Member| device_of(&leaf.credential).as_ref() == Some(me);
        let own = stage.members().find(is_own).map(|member| member.index);
        let Some(replaces) = own else {
            return Err(NotJoined(not_in_it(me)));
        };

        let Some(verdicts) = self.judge(stage.credentials()) else { return Ok(None) };
        take_leavers(&*self.provider, &mut stage, state);
        let signer = self.book.identity().signer.clone();
        let options = ExternalJoinOptions {
            replaces: Some(replaces),
            group_info: Some(GROUP_INFO),
            ..ExternalJoinOptions::new(self.leaf(), signer)
        };
        Ok(Some(stage.commit(&*self.provider, &mut *self.rng, &verdicts, options)?))
    }

    /// The service has shown the group.
    pub(super) fn group_shown(&mut self, id: GroupId, state: GroupState) {
        self.shown.insert(id, state);
    }

    /// The service's verdict on the commit that comes back.
    pub(super) fn rejoin_judged(
        &mut self,
        id: &GroupId,
        outcome: Outcome,
    ) -> Result<(), EngineError> {
        let Some(rejoin) = self.book.rejoin(id).cloned() else { return Ok(()) };
        match outcome {
            Outcome::Accepted { receipt, .. } => self.rejoined(id, rejoin, receipt),
            // Another commit came first: it is made again, in the group as it is now.
            Outcome::WrongEpoch { .. } => {
                let rejoin = Rejoin { commit: None, ..rejoin };
                Ok(self.book.commit(None, vec![Change::Rejoin(id.clone(), rejoin)])?)
            }
        }
    }

    /// This device is in the group again.
    fn rejoined(
        &mut self,
        id: &GroupId,
        rejoin: Rejoin,
        receipt: Receipt,
    ) -> Result<(), EngineError> {
        let (Some(secret), Some(record)) = (&rejoin.commit, self.book.record(id).cloned()) else {
            return Ok(());
        };
        let made = ExternalCommit::from_secret(&*self.provider, config(), secret)?;
        let position = receipt.position;
        let seq = position.seq;
        // The commit itself was not missed.
        let missed = seq.saturating_sub(record.cursor).saturating_sub(1);
        let record = GroupRecord {
            cursor: seq,
            chain: Some(position.chain),
            receipt: Some(receipt),
            epoch: position.epoch,
            stage: Stage::Active,
            passed: None,
            own_key: OwnKey::new(self.now),
            ..record
        };
        let times = rejoin.times.with(self.now);
        let rejoin = Rejoin { times, ..Rejoin::default() };

        let mut changes = vec![
            Change::Record(id.clone(), record),
            Change::SeenSince(id.clone(), self.seen_day()),
            Change::Rejoin(id.clone(), rejoin),
            Self::news(id, News::Rejoined { seq, missed }),
        ];
        changes.extend(self.keep_nothing(id)?);
        for (key, item) in self.book.items(id) {
            if let Some(work) = begun_again(&item.work) {
                changes.push(Change::Item(key, Some(Item { group: id.clone(), work })));
            }
        }
        let book = &mut self.book;
        let group = made.group.store(|batch| {
            let batch = Batch { new: false, clear: true, ..batch.clone() };
            book.commit(Some(&batch), changes)
        })?;
        let receipt = self.book.record(id).and_then(|record| record.receipt.clone());
        self.conversations.insert(id.clone(), Conversation::new(group, receipt));
        self.plan_removals(id);
        Ok(())
    }

    /// The service has refused a call on the way back.
    pub(super) fn rejoin_refused(
        &mut self,
        id: &GroupId,
        error: &CallError,
    ) -> Result<(), EngineError> {
        match error.code() {
            Some(ErrorCode::NotMember) => self.not_back(id, &not_in_it(self.device())),
            _ => self.not_back(id, &error.to_string()),
        }
    }

    /// This device cannot come back now. It tries again when it has a new session.
    fn not_back(&mut self, id: &GroupId, why: &str) -> Result<(), EngineError> {
        if let Some(rejoin) = self.book.rejoin(id).filter(|rejoin| rejoin.commit.is_some()) {
            let rejoin = Rejoin { commit: None, ..rejoin.clone() };
            self.book.commit(None, vec![Change::Rejoin(id.clone(), rejoin)])?;
        }
        self.stick(id, Reason::NotBack { why: why.into() })
    }
}
