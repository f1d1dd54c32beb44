//! Coming back into a group in place of this device's own former leaf: an external commit that removes it (RFC 9420
//! section 12.4.3.2).
//!
//! The log is read first, as far as this device can follow it. What it cannot follow, up to the group that the service
//! shows, is judged without keys ([`following`](super::following)). Then the commit is made and stored with the group that it
//! leads to, and sent until the service has judged it. What was to be sent waits, and is encrypted anew.

use super::Conversation;
use super::Standing;
use super::call::{Call, Next};
use super::context::Context;
use super::entries::{Halt, not_committed};
use super::external::{NotJoined, external_commit, take_leavers};
use super::kept::keep_nothing;
use super::missed::{Missed, epoch_of_info};
use super::rules::{GROUP_INFO, PAGE, config};
use crate::book::{Book, Change};
use crate::copies::Rejoin;
use crate::error::EngineError;
use crate::reason::Reason;
use crate::record::{GroupRecord, Item, News, OwnKey, Stage, Work};
use conclave_certificates::device_of;
use conclave_delivery_api::{
    CallError, DeviceId, ErrorCode, FetchGroupInfo, FetchLog, GroupState, LogPage, Outcome, Receipt,
};
use conclave_mls::group::Member;
use conclave_mls::join::{ExternalCommit, ExternalJoinOptions, ExternalJoinStage};
use conclave_mls::storage::Batch;
use conclave_store::Store;

/// So many attempts in a row that others' commits came before count as one return, and returns are limited: a service that
/// lies cannot keep this device busy.
const MAX_OVERTAKEN: u32 = 50;

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

impl Conversation {
    /// Whether this device has to come back into the group before it can do anything else there.
    pub(crate) fn comes_back<S: Store>(&self, book: &Book<S>) -> bool {
        book.rejoin(&self.id).is_some_and(|rejoin| rejoin.wanted)
    }

    /// When this device may come back, if it has come back too often; none if it may now, or need not.
    pub(crate) fn comes_back_at<S: Store>(&self, book: &Book<S>, now: u64) -> Option<u64> {
        let rejoin =
            book.rejoin(&self.id).filter(|rejoin| rejoin.wanted && rejoin.commit.is_none());
        let at = rejoin?.times.next(now);
        (at > now).then_some(at)
    }

    /// Notes that this device has to come back: the log goes on with a commit that it cannot follow and others may have.
    pub(crate) fn come_back<S: Store>(
        &mut self,
        cx: &mut Context<'_, S>,
    ) -> Result<(), EngineError> {
        self.ends_here = true;
        let rejoin = cx.book.rejoin(&self.id).cloned().unwrap_or_default();
        if rejoin.wanted {
            return Ok(());
        }
        let rejoin = Rejoin { wanted: true, ..rejoin };
        Ok(cx.book.commit(None, vec![Change::Rejoin(self.id.clone(), rejoin)])?)
    }

    /// The next call on the way back into a group.
    pub(crate) fn next_rejoin<S: Store>(
        &mut self,
        cx: &mut Context<'_, S>,
    ) -> Result<Next, EngineError> {
        let Some(rejoin) = cx.book.rejoin(&self.id).cloned() else { return Ok(None) };
        if let Some(secret) = &rejoin.commit {
            let request = external_commit(cx.provider, secret)?;
            return Ok(Some((request, Call::Rejoin)));
        }
        if let Some(at) = self.comes_back_at(cx.book, cx.clock.now) {
            self.rejoin_waits(cx, rejoin, at)?;
            return Ok(None);
        }

        let Some(state) = self.shown.take() else {
            let request = FetchGroupInfo { group_id: self.id.clone() };
            return Ok(Some((request.into(), Call::GroupInfo)));
        };
        match self.next_missed(cx, &state) {
            Ok(None) => {}
            Ok(next) => {
                self.shown = Some(state);
                return Ok(next);
            }
            Err(NotJoined(why)) => {
                self.not_back(cx, &why)?;
                return Ok(None);
            }
        }
        match self.make_rejoin(cx, &state) {
            Ok(Some(made)) => {
                let rejoin = Rejoin { commit: Some(made.to_secret()?), ..rejoin };
                cx.book.commit(None, vec![Change::Rejoin(self.id.clone(), rejoin)])?;
                self.next_rejoin(cx)
            }
            // The members' accounts are fetched first.
            Ok(None) => {
                self.shown = Some(state);
                self.standing = Standing::Asks;
                Ok(None)
            }
            Err(NotJoined(why)) => {
                self.not_back(cx, &why)?;
                Ok(None)
            }
        }
    }

    /// Tells the user, once, that this device has come back too often.
    fn rejoin_waits<S: Store>(
        &mut self,
        cx: &mut Context<'_, S>,
        rejoin: Rejoin,
        at: u64,
    ) -> Result<(), EngineError> {
        if rejoin.waits {
            return Ok(());
        }
        let news = Change::news(&self.id, News::RejoinLimited { until: at / 1000 });
        let rejoin = Change::Rejoin(self.id.clone(), Rejoin { waits: true, ..rejoin });
        Ok(cx.book.commit(None, vec![rejoin, news])?)
    }

    /// The commit by which this device comes back; none while accounts have to be fetched first.
    fn make_rejoin<S: Store>(
        &mut self,
        cx: &mut Context<'_, S>,
        state: &GroupState,
    ) -> Result<Option<ExternalCommit>, NotJoined> {
        let (info, tree) = (&state.group_info, Some(&*state.ratchet_tree));
        let mut stage = ExternalJoinStage::open(cx.provider, config(), info, tree)?;
        let me = cx.device();
        let is_own = |leaf: &Member| device_of(&leaf.credential).as_ref() == Some(me);
        let own = stage.members().find(is_own).map(|member| member.index);
        let Some(replaces) = own else {
            return Err(NotJoined(not_in_it(me)));
        };

        let Some(verdicts) = cx.judge(stage.credentials()) else { return Ok(None) };
        take_leavers(cx.provider, &mut stage, state);
        let signer = cx.book.identity().signer.clone();
        let options = ExternalJoinOptions {
            replaces: Some(replaces),
            group_info: Some(GROUP_INFO),
            ..ExternalJoinOptions::new(cx.leaf(), signer)
        };
        Ok(Some(stage.commit(cx.provider, cx.rng, &verdicts, options)?))
    }

    /// The call for what this device misses up to the group that the service shows; none once all of it was followed, and
    /// the service shows the group that it leads to.
    fn next_missed<S: Store>(
        &mut self,
        cx: &mut Context<'_, S>,
        state: &GroupState,
    ) -> Result<Next, NotJoined> {
        let epoch = epoch_of_info(&state.group_info);
        let Some((epoch, record)) = epoch.zip(cx.book.record(&self.id)) else {
            return Err(NotJoined("the service shows no GroupInfo".into()));
        };
        let missed = match self.missed.take() {
            Some(missed) => missed,
            None => Box::new(Missed::of(&self.group, record)?),
        };
        let missed = self.missed.insert(missed);

        // After the commit that this device cannot follow there is another epoch.
        let has_ended = self.ends_here && epoch <= self.group.epoch().0;
        if epoch < missed.epoch() || has_ended {
            return Err(NotJoined("the service shows an epoch that is over".into()));
        }
        if epoch > missed.epoch() {
            let request = FetchLog { group_id: self.id.clone(), after: missed.cursor, limit: PAGE };
            return Ok(Some((request.into(), Call::Missed)));
        }
        missed.check_info(cx.provider, &state.group_info)?;
        Ok(None)
    }

    /// The service has shown a page of what this device misses.
    pub(crate) fn missed_shown<S: Store>(
        &mut self,
        cx: &mut Context<'_, S>,
        page: &LogPage,
    ) -> Result<(), EngineError> {
        self.take_receipt(cx, &page.end, Some(page))?;
        let epoch = self.shown.as_ref().and_then(|shown| epoch_of_info(&shown.group_info));
        let (Some(epoch), Some(missed)) = (epoch, &mut self.missed) else { return Ok(()) };
        match missed.follow(cx, page, epoch) {
            Ok(true) => Ok(()),
            Ok(false) => {
                let why = "its log ends before the epoch that the service shows begins";
                self.not_back(cx, why)
            }
            Err(Halt::Ask) => {
                self.standing = Standing::Asks;
                Ok(())
            }
            Err(Halt::Stuck(reason)) => self.stick(cx, reason),
            // Following without keys ends in neither.
            Err(Halt::Out | Halt::ComesBack) => Ok(()),
        }
    }

    /// The service has shown the group.
    pub(crate) fn group_shown(&mut self, state: GroupState) {
        self.shown = Some(state);
    }

    /// Takes the service's verdict on the commit by which this device comes back.
    pub(crate) fn rejoin_judged<S: Store>(
        &mut self,
        cx: &mut Context<'_, S>,
        outcome: Outcome,
    ) -> Result<(), EngineError> {
        self.take_receipt(cx, outcome.receipt(), None)?;
        let Some(rejoin) = cx.book.rejoin(&self.id).cloned() else { return Ok(()) };
        let followed = self.missed.as_ref().map_or(0, |missed| missed.cursor);
        let read = self.cursor(cx.book).max(followed);
        match outcome {
            Outcome::Accepted { receipt, .. } if receipt.position.seq <= read => {
                self.stick(cx, Reason::LogShorter { end: receipt.position.seq, seen: read })
            }
            Outcome::Accepted { receipt, .. } => self.rejoined(cx, rejoin, receipt),
            // Another commit came first: ours is made again, in the group as it is now.
            Outcome::WrongEpoch { .. } => {
                self.overtaken += 1;
                let is_often = self.overtaken.is_multiple_of(MAX_OVERTAKEN);
                let times = if is_often { rejoin.times.with(cx.clock.now) } else { rejoin.times };
                let rejoin = Rejoin { commit: None, times, ..rejoin };
                Ok(cx.book.commit(None, vec![Change::Rejoin(self.id.clone(), rejoin)])?)
            }
        }
    }

    /// This device is in the group again.
    fn rejoined<S: Store>(
        &mut self,
        cx: &mut Context<'_, S>,
        rejoin: Rejoin,
        receipt: Receipt,
    ) -> Result<(), EngineError> {
        let (Some(secret), Some(record)) = (&rejoin.commit, cx.book.record(&self.id).cloned())
        else {
            return Ok(());
        };
        let made = ExternalCommit::from_secret(cx.provider, config(), secret)?;
        let position = receipt.position;
        let seq = position.seq;
        // Our commit itself was not missed.
        let missed = seq.saturating_sub(record.cursor).saturating_sub(1);
        let record = GroupRecord {
            cursor: seq,
            chain: Some(position.chain),
            receipt: Some(receipt),
            epoch: position.epoch,
            stage: Stage::Active,
            passed: None,
            own_key: OwnKey::new(cx.clock.now),
            ..record
        };
        let times = rejoin.times.with(cx.clock.now);
        let rejoin = Rejoin { times, ..Rejoin::default() };
        let mut changes = vec![
            Change::Record(self.id.clone(), record),
            Change::SeenSince(self.id.clone(), cx.clock.seen_day()),
            Change::Rejoin(self.id.clone(), rejoin),
            Change::news(&self.id, News::Rejoined { seq, missed }),
        ];

        changes.extend(keep_nothing(cx.book, &self.id)?);
        for (key, item) in cx.book.items(&self.id) {
            if let Some(work) = begun_again(&item.work) {
                changes.push(Change::Item(key, Some(Item { group: self.id.clone(), work })));
            }
        }

        let book = &mut *cx.book;
        let group = made.group.store(|batch| {
            let batch = Batch { new: false, clear: true, ..batch.clone() };
            book.commit(Some(&batch), changes)
        })?;
        let receipt = cx.book.record(&self.id).and_then(|record| record.receipt.clone());
        *self = Self::new(group, receipt);
        self.plan_removals(cx);
        Ok(())
    }

    /// Takes the service's refusal of a call on the way back.
    pub(crate) fn rejoin_refused<S: Store>(
        &mut self,
        cx: &mut Context<'_, S>,
        error: &CallError,
    ) -> Result<(), EngineError> {
        match error.code() {
            Some(ErrorCode::NotMember) => {
                let why = not_in_it(cx.device());
                self.not_back(cx, &why)
            }
            // The log says how the group ended. It is read once: a service that lies may say so here and not there.
            Some(ErrorCode::GroupEnded) if self.refusals == 0 => {
                self.refusals = 1;
                self.ends_here = false;
                self.read_on();
                Ok(())
            }
            _ => self.not_back(cx, &error.to_string()),
        }
    }

    /// This device cannot come back now. It tries again when it has a new session.
    fn not_back<S: Store>(
        &mut self,
        cx: &mut Context<'_, S>,
        why: &str,
    ) -> Result<(), EngineError> {
        self.shown = None;
        if let Some(rejoin) = cx.book.rejoin(&self.id).filter(|rejoin| rejoin.commit.is_some()) {
            let rejoin = Rejoin { commit: None, ..rejoin.clone() };
            cx.book.commit(None, vec![Change::Rejoin(self.id.clone(), rejoin)])?;
        }
        self.stick(cx, Reason::NotBack { why: why.into() })
    }
}
