//! What a conversation makes of the service's answers to its calls.

use super::call::Call;
use super::context::Context;
use super::departure::message_refused;
use super::entries::{epoch_of, not_committed, sealed_in};
use super::{Conversation, Standing};
use crate::book::{Book, Change};
use crate::error::EngineError;
use crate::output::Answer;
use crate::reason::Reason;
use crate::record::{GroupRecord, Item, News, Who, Work};
use crate::request::Reply;
use conclave_delivery_api::{
    CallError, ChainInput, ContentType, Ending, ErrorCode, LogEntry, LogPage, Outcome, Receipt,
    SentMessages,
};
use conclave_store::Store;

impl Conversation {
    /// Takes the reply to a call. Returns how the group has ended, if the reply says that it has. Replies that concern more
    /// than the group are the engine's.
    pub(crate) fn answered<S: Store>(
        &mut self,
        cx: &mut Context<'_, S>,
        call: Call,
        reply: Reply,
    ) -> Result<Option<Ending>, EngineError> {
        match (call, reply) {
            (Call::Log, Reply::FetchLog(page)) => return self.log_shown(cx, page),
            (Call::Restore, Reply::RestoreLog(restored)) => self.given_back(cx, &restored),
            (Call::Commit, Reply::SubmitCommit(outcome)) => {
                let commit = self.pending_commit(cx.book).map(|pending| pending.commit.into_vec());
                let commit = commit.into_iter().collect();
                self.outcome(cx, outcome, ContentType::Commit, commit)
            }
            (Call::Message, Reply::SendMessage(outcome)) => {
                let sealed = sealed_in(cx.book, &self.id).into_iter().take(1).collect();
                self.outcome(cx, outcome, ContentType::Application, sealed)
            }
            (Call::Message, Reply::SendMessages(SentMessages { taken, outcome })) => {
                let sealed = sealed_in(cx.book, &self.id).into_iter().take(taken as usize);
                self.outcome(cx, outcome, ContentType::Application, sealed.collect())
            }
            (Call::Proposal, Reply::SubmitProposal(outcome)) => {
                self.outcome(cx, outcome, ContentType::Proposal, Vec::new())
            }
            (Call::InviteClaim, Reply::ClaimKeyPackages(claimed)) => {
                self.invite_claimed(cx, &claimed.devices)
            }
            (Call::GroupInfo, Reply::FetchGroupInfo(state)) => {
                self.group_shown(state);
                Ok(())
            }
            (Call::Missed, Reply::FetchLog(page)) => self.missed_shown(cx, &page),
            (Call::Rejoin, Reply::SubmitCommit(outcome)) => self.rejoin_judged(cx, outcome),
            // This cannot happen, as each request has its own reply.
            _ => Ok(()),
        }?;
        Ok(None)
    }

    /// A call was refused, or is given up.
    pub(crate) fn refused<S: Store>(
        &mut self,
        cx: &mut Context<'_, S>,
        call: Call,
        error: &CallError,
    ) -> Result<(), EngineError> {
        match call {
            Call::Create => self.stick(cx, Reason::ServiceRefuses { why: error.to_string() }),
            Call::Log | Call::Missed => self.log_refused(cx, error),
            Call::Restore => self.not_given_back(cx, error),
            Call::Commit => self.refused_in_group(cx, error, true),
            Call::Message | Call::Proposal | Call::InviteLookup | Call::InviteClaim => {
                self.refused_in_group(cx, error, false)
            }
            Call::GroupInfo | Call::Rejoin => self.rejoin_refused(cx, error),
        }
    }

    /// The service has shown a page of the log.
    fn log_shown<S: Store>(
        &mut self,
        cx: &mut Context<'_, S>,
        page: LogPage,
    ) -> Result<Option<Ending>, EngineError> {
        if self.has_lost(cx, &page)? {
            return Ok(None);
        }
        self.take_receipt(cx, &page.end, Some(&page))?;
        let end = page.end.position.seq;
        if end < self.cursor(cx.book) {
            self.lost_data(cx, end)?;
            return Ok(None);
        }
        self.log.sync = false;
        // A hint may have overtaken this answer.
        if self.log.head <= self.log.asked_head {
            self.log.head = page.head;
        }
        self.take_page(cx, &page)?;
        // A device that cannot follow the log to its end takes the group's end all the same.
        let is_read = self.cursor(cx.book) == page.head || self.ends_here || self.is_gone(cx.book);
        Ok(page.ending.filter(|_| is_read))
    }

    /// Takes the service's verdict on a submission. `messages` are what was submitted, for the log; none for a proposal.
    fn outcome<S: Store>(
        &mut self,
        cx: &mut Context<'_, S>,
        outcome: Outcome,
        content_type: ContentType,
        messages: Vec<Vec<u8>>,
    ) -> Result<(), EngineError> {
        let cursor = self.cursor(cx.book);
        self.take_receipt(cx, outcome.receipt(), None)?;
        self.refusals = 0;
        match outcome {
            // What was submitted is not in the log yet, as far as this device has seen it. (A
            // proposal may be: it stays until somebody commits it.)
            Outcome::Accepted { receipt, .. }
                if !messages.is_empty() && receipt.position.seq <= cursor =>
            {
                self.lost_data(cx, receipt.position.seq)
            }
            Outcome::Accepted { receipt: end, received_at } => {
                let seq = end.position.seq;
                self.attempt.delivered = true;
                self.log.reaches(seq);
                // If nobody else's came in between, the entries are known without fetching them.
                if Some(seq) == cursor.checked_add(messages.len() as u64)
                    && let Some(page) = self.page_of(cx, messages, (content_type, received_at), end)
                {
                    return self.take_page(cx, &page);
                }
                Ok(())
            }
            Outcome::WrongEpoch { receipt } if receipt.position.epoch < self.group.epoch().0 => {
                let (epoch, own) = (receipt.position.epoch, self.group.epoch().0);
                self.stick(cx, Reason::EpochLost { epoch, own })
            }
            Outcome::WrongEpoch { receipt } => {
                self.log.sync = true;
                self.log.reaches(receipt.position.seq);
                self.unseal(cx)
            }
        }
    }

    /// The page of the log that our messages make; none if it does not lead to the end that the service says. Then the log
    /// is fetched.
    fn page_of<S: Store>(
        &self,
        cx: &Context<'_, S>,
        messages: Vec<Vec<u8>>,
        (content_type, received_at): (ContentType, u64),
        end: Receipt,
    ) -> Option<LogPage> {
        let record = cx.book.record(&self.id)?;
        let (before, mut chain) = (record.chain?, record.chain?);
        let mut entries = Vec::new();
        for (seq, message) in (record.cursor.checked_add(1)?..).zip(messages) {
            let epoch = epoch_of(&message)?;
            let (sender, message) = (cx.device().clone(), message.into());
            let entry = LogEntry { seq, epoch, content_type, sender, received_at, message };
            chain = ChainInput::of(&self.id, &entry).after(&chain).ok()?;
            entries.push(entry);
        }

        let head = self.log.head;
        let is_end = !entries.is_empty() && chain == end.position.chain;
        is_end.then_some(LogPage { entries, head, before: Some(before), end, ending: None })
    }

    /// Has the sealed messages at the front of the queue encrypted again, in the epoch that the group is in by then.
    fn unseal<S: Store>(&mut self, cx: &mut Context<'_, S>) -> Result<(), EngineError> {
        let unsealed = |(key, item): (u64, &Item)| match &item.work {
            Work::Send { payload, sealed: Some(_) } => {
                let work = Work::Send { payload: payload.clone(), sealed: None };
                Some(Change::Item(key, Some(Item { group: self.id.clone(), work })))
            }
            _ => None,
        };
        let mut changes: Vec<Change> = cx.book.items(&self.id).map_while(unsealed).collect();
        if changes.is_empty() {
            return Ok(());
        }
        // A root that was in one of them is passed on again.
        if let Some(record) = cx.book.record(&self.id).filter(|record| record.passed.is_some()) {
            let record = GroupRecord { passed: None, ..record.clone() };
            changes.push(Change::Record(self.id.clone(), record));
        }
        Ok(cx.book.commit(None, changes)?)
    }

    /// The number of the last entry of the log that this device has read.
    pub(super) fn cursor<S: Store>(&self, book: &Book<S>) -> u64 {
        book.record(&self.id).map_or(0, |record| record.cursor)
    }

    /// The service's log, which now ends with the entry `end`, was longer before.
    pub(crate) fn lost_data<S: Store>(
        &mut self,
        cx: &mut Context<'_, S>,
        end: u64,
    ) -> Result<(), EngineError> {
        let seen = self.cursor(cx.book);
        self.stick(cx, Reason::LogShorter { end, seen })
    }

    /// Notes that the log cannot be followed any further, and tells the host. If this device was leaving, it is out.
    pub(crate) fn stick<S: Store>(
        &mut self,
        cx: &mut Context<'_, S>,
        reason: Reason,
    ) -> Result<(), EngineError> {
        self.standing = Standing::Stuck(reason.clone());
        self.log.sync = true;
        cx.answers.push_back(Answer::Stuck { group: self.id.clone(), reason });
        if cx.book.leaving(&self.id) {
            self.forget(cx)?;
        }
        Ok(())
    }

    /// Takes the refusal of something that was to be done in the group; `commit` says whether a commit was refused. This
    /// device may have missed the reason, so the log is read before the refusal is final.
    fn refused_in_group<S: Store>(
        &mut self,
        cx: &mut Context<'_, S>,
        error: &CallError,
        commit: bool,
    ) -> Result<(), EngineError> {
        if commit && self.remedy(cx, error)? {
            return Ok(());
        }
        self.refusals += 1;
        if self.refusals == 1 && error.code() != Some(ErrorCode::UnknownUser) {
            self.log.sync = true;
            return Ok(());
        }

        self.refusals = 0;
        if error.code() == Some(ErrorCode::UnknownGroup) {
            return self.stick(cx, Reason::ServiceRefuses { why: error.to_string() });
        }

        // A commit that others' work may have spoilt is made again without it.
        let is_unasked = commit && core::mem::take(&mut self.attempt.is_unasked);
        if commit && self.halve_invites(cx)? {
            return Ok(());
        }
        if commit && self.reject_commit(cx, false)? {
            self.leave_proposals_out(cx, error);
            return Ok(());
        }

        let why = error.to_string();
        if is_unasked {
            cx.failed(&self.id, Reason::CommitFailed { why });
            return Ok(());
        }

        // What the call was for is given up.
        let not_invited = |who: &Who, why| Reason::NotInvited { who: who.to_string(), why };
        // The user who was looked up need not be the first in the queue.
        if !commit && let Some((key, who)) = self.current_invite(cx.book) {
            return self.give_up_invite(cx, key, not_invited(&who, why));
        }
        let front = cx.book.front(&self.id).map(|(key, item)| (key, item.work.clone()));
        let (key, reason) = match front {
            // A commit that was refused had to come before the message.
            Some((key, work @ Work::Send { .. })) => (key, message_refused(&work, why)),
            Some((key, Work::Invite { who, committing, .. })) if committing == commit => {
                return self.give_up_invite(cx, key, not_invited(&who, why));
            }
            Some((key, Work::Remove { who, committing })) if committing == commit => {
                (key, Reason::NotRemoved { who, why })
            }
            Some((key, Work::Leave { committing, .. })) if committing == commit => {
                (key, Reason::NotLeft { why })
            }
            Some((key, Work::MakeLink { committing, .. })) if committing == commit => {
                (key, Reason::LinkNotMade { why })
            }
            Some((key, Work::Unlink { number, committing })) if committing == commit => {
                (key, Reason::LinkNotRevoked { number, why })
            }
            Some((key, Work::Room { committing, .. })) if committing == commit => {
                (key, Reason::RoomUnchanged { why })
            }
            _ => {
                cx.failed(&self.id, Reason::CommitFailed { why });
                return Ok(());
            }
        };
        self.give_up(cx, key, [News::Failed { reason }])
    }

    /// Forgets our commit. If `again`, or if it included others' proposals, which may be why it was refused, its work is
    /// to be done again. Returns whether it is.
    pub(crate) fn reject_commit<S: Store>(
        &mut self,
        cx: &mut Context<'_, S>,
        again: bool,
    ) -> Result<bool, EngineError> {
        let Some(pending) = self.group.pending_commit() else { return Ok(false) };
        let again = again || self.group.pending_commit_references().next().is_some();
        let anew = |(key, item): (u64, &Item)| {
            let work = not_committed(&item.work)?;
            Some(Change::Item(key, Some(Item { group: self.id.clone(), work })))
        };
        let changes: Vec<Change> =
            cx.book.items(&self.id).filter(|_| again).map_while(anew).collect();
        let step = self.group.commit_rejected(&pending.id)?;
        self.step(cx, step, |_| changes)?;
        self.inviting.commit_refused();
        Ok(again)
    }
}
