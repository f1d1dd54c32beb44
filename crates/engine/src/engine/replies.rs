//! What the service answers.

use super::log::{epoch_of, not_committed};
use super::watching::Asked;
use super::{CallId, Engine, EngineError, FIRST_WAIT, LONGEST_WAIT, MAX_STRANGE, Purpose};
use crate::book::Change;
use crate::conversation::Standing;
use crate::conversation::waits::LONGEST_CLAIM_WAIT;
use crate::output::Answer;
use crate::reason::Reason;
use crate::record::{GroupRecord, Item, News, Stage, Who, Work};
use crate::request::Reply;
use conclave_delivery_api::{
    AccountPage, CallError, ChainInput, ContentType, ErrorCode, LogEntry, LogPage, Outcome,
    Receipt, SentMessages,
};
use conclave_mls::GroupId;
use conclave_store::Store;

impl<S: Store> Engine<S> {
    /// Takes the outcome of a call that [`Self::next`] gave out. Nothing changes if it did not give out this number, or if
    /// the outcome of that call is known.
    ///
    /// # Errors
    /// If the state cannot be written.
    pub fn reply(
        &mut self,
        now: u64,
        call: CallId,
        reply: Result<Reply, CallError>,
    ) -> Result<(), EngineError> {
        self.now = now;
        let Some(purpose) = self.under_way.end(call) else { return Ok(()) };
        if let Err(CallError::Refused { code: ErrorCode::ClientOutdated, detail, .. }) = &reply {
            return Err(EngineError::Outdated(detail.clone()));
        }
        match reply.and_then(|reply| self.checked_receipt(&purpose, reply)) {
            Ok(reply) => {
                self.online();
                self.strange = 0;
                // Only what needs the session shows that it is good.
                if !purpose.comes_before_a_session() {
                    self.wait = FIRST_WAIT;
                    self.sessions_refused = 0;
                    self.online();
                }
                self.answered(purpose, reply)
            }
            // It waits for itself alone.
            Err(error) if let Purpose::Extension { from, to } = purpose => {
                self.not_extended((from, to), &error.to_string())
            }
            Err(error) if self.is_final(&purpose, &error) => {
                if error.code().is_some() {
                    self.online();
                }
                self.strange = 0;
                if error.code() != Some(ErrorCode::Unauthorized) {
                    self.wait = FIRST_WAIT;
                }
                self.refused(purpose, &error)
            }
            Err(error) => {
                self.hurry_invites(&purpose, &error);
                self.again(purpose);
                self.offline(Reason::of_call(&error));
                self.wait_longer();
                Ok(())
            }
        }
    }

    /// Nothing is tried for a while. Other calls that were under way and fail as well do not prolong that.
    pub(super) fn wait_longer(&mut self) {
        if self.retry_at > self.now {
            return;
        }
        self.retry_at = self.now.saturating_add(self.wait);
        self.wait = (self.wait * 2).min(LONGEST_WAIT);
    }

    /// Whether to make a call again is of no use.
    fn is_final(&mut self, purpose: &Purpose, error: &CallError) -> bool {
        if matches!(error, CallError::Strange(_)) {
            // Calls that were under way together count once.
            self.strange += u32::from(self.retry_at <= self.now);
            // Without a session there is nothing else to do.
            return self.strange >= MAX_STRANGE && !purpose.comes_before_a_session();
        }
        // So many key packages were claimed that it takes a while until there are more: nothing else waits for it.
        if matches!(purpose, Purpose::InviteClaim(_))
            && let CallError::Postponed { code: ErrorCode::RateLimited, retry_after, .. } = error
        {
            return *retry_after > LONGEST_CLAIM_WAIT;
        }
        !error.is_temporary()
    }

    /// The call is still to be made.
    fn again(&mut self, purpose: Purpose) {
        match purpose {
            Purpose::Count => self.count_at = 0,
            Purpose::Inbox => self.inbox_due = true,
            Purpose::Ack(ids) => self.acks.extend(ids),
            Purpose::Lookup(user) => {
                self.lookups.insert(user);
            }
            Purpose::History => self.history_again(),
            // The others follow from what is stored.
            _ => {}
        }
    }

    fn answered(&mut self, purpose: Purpose, reply: Reply) -> Result<(), EngineError> {
        match (purpose, reply) {
            (Purpose::Describe, Reply::DescribeService(info)) => self.described(info),
            (Purpose::SubmitLog, Reply::SubmitAccount(_) | Reply::SubmitCertificate(_)) => {
                self.log_submitted()
            }
            (Purpose::OpenSession, Reply::OpenSession(session)) => self.session_opened(&session),
            (Purpose::Mark, Reply::MarkState(marked)) => self.marked(&marked),
            (Purpose::NewKey, Reply::SubmitAccount(_)) => self.key_renewed(),
            (Purpose::GroupInfo(id), Reply::FetchGroupInfo(state)) => {
                self.group_shown(id, state);
                Ok(())
            }
            (Purpose::Rejoin(id), Reply::SubmitCommit(outcome)) => self.rejoin_judged(&id, outcome),
            (Purpose::Place, Reply::PutRelay(_)) => {
                self.placed();
                Ok(())
            }
            (Purpose::Look, Reply::FetchRelay(there)) => self.looked(there.content.as_deref()),
            (Purpose::Recover, Reply::OpenSession(_)) => {
                self.recovery_opened();
                Ok(())
            }
            (Purpose::RecoverEntry(entry), Reply::SubmitAccount(_)) => self.recovered(*entry),
            (Purpose::Offer, Reply::FetchRelay(there)) => self.offered(there.content.as_deref()),
            (Purpose::OwnChange(entry), Reply::SubmitAccount(_)) => self.own_changed(*entry),
            (Purpose::Ready, Reply::PutRelay(_)) => self.ready_told(),
            (Purpose::Tell, Reply::PutRelay(_)) => {
                self.told();
                Ok(())
            }
            (Purpose::IsReady, Reply::FetchRelay(there)) => {
                self.admitted_is_ready(there.content.as_deref())
            }
            (
                Purpose::Publish(suite, references),
                Reply::PublishKeyPackages(_) | Reply::ReplaceKeyPackages(_),
            ) => self.published(suite, references, None),
            (Purpose::Count, Reply::CountKeyPackages(counts)) => self.counted(&counts),
            (Purpose::Lookup(user), Reply::FetchAccount(page)) => {
                self.account_page(Asked::Lookup(user), page)
            }
            (Purpose::InviteLookup(id), Reply::FetchAccount(page)) => {
                self.account_page(Asked::Invite(id), page)
            }
            (Purpose::Lookup(user), Reply::FetchCertificates(page)) => {
                self.take_certificates(&user, &page)?;
                self.authority.answered(user);
                Ok(())
            }
            (Purpose::InviteLookup(id), Reply::FetchCertificates(page)) => {
                let Some((_, who)) = self.current_invite(&id) else { return Ok(()) };
                self.take_certificates(&who.user, &page)?;
                self.authority.answered(who.user);
                self.invite_looked_up(&id)
            }
            (Purpose::Recover, Reply::FetchAccount(page)) => {
                self.account_page(Asked::Recover, page)
            }
            (Purpose::Extension { from, to }, Reply::FetchExtension(told)) => {
                self.extended((from, to), &told.proof)
            }
            (Purpose::History, Reply::FetchHistory(page)) => self.history_told(&page),
            (Purpose::Inbox, Reply::FetchInbox(page)) => {
                // What is left is fetched when this is acknowledged.
                self.inbox_due |= page.total as usize > page.items.len();
                self.inbox.extend(page.items.into_iter().map(|item| (item, 0)));
                Ok(())
            }
            (Purpose::Create(id), Reply::CreateGroup(created)) => {
                self.take_receipt(&id, &created.receipt, None)?;
                self.created(&id)
            }
            (Purpose::Create(id), Reply::ResetGroup(reset)) => {
                if let Some(receipt) = &reset.receipt {
                    self.take_receipt(&id, receipt, None)?;
                }
                self.was_reset(&id, &reset.successor)?;
                self.created(&id)
            }
            (Purpose::Restore(id), Reply::RestoreLog(restored)) => self.given_back(&id, &restored),
            (Purpose::Log(id), Reply::FetchLog(page)) => {
                if self.has_lost(&id, &page)? {
                    return Ok(());
                }
                self.take_receipt(&id, &page.end, Some(&page))?;
                let end = page.end.position.seq;
                if end < self.cursor(&id) {
                    return self.lost_data(&id, end);
                }
                if let Some(live) = self.conversations.get_mut(&id) {
                    live.log.sync = false;
                    // A hint may have overtaken this answer.
                    if live.log.head <= live.log.asked_head {
                        live.log.head = page.head;
                    }
                }
                self.take_page(&id, &page)?;
                // Whoever cannot follow it to its end goes on all the same.
                let is_read = self.cursor(&id) == page.head || self.is_gone(&id);
                match &page.ending {
                    Some(ending) if is_read => self.has_ended_for(&id, ending),
                    _ => Ok(()),
                }
            }
            (Purpose::Commit(id), Reply::SubmitCommit(outcome)) => {
                let commit = self.pending_commit(&id).map(|pending| pending.commit.into_vec());
                let commit = commit.into_iter().collect();
                self.outcome(&id, outcome, ContentType::Commit, commit)
            }
            (Purpose::Message(id), Reply::SendMessage(outcome)) => {
                let sealed = self.sealed_messages(&id).into_iter().take(1).collect();
                self.outcome(&id, outcome, ContentType::Application, sealed)
            }
            (Purpose::Message(id), Reply::SendMessages(SentMessages { taken, outcome })) => {
                let sealed = self.sealed_messages(&id).into_iter().take(taken as usize).collect();
                self.outcome(&id, outcome, ContentType::Application, sealed)
            }
            (Purpose::Proposal(id), Reply::SubmitProposal(outcome)) => {
                self.outcome(&id, outcome, ContentType::Proposal, Vec::new())
            }
            (Purpose::InviteClaim(id), Reply::ClaimKeyPackages(claimed)) => {
                self.invite_claimed(&id, &claimed.devices)
            }
            (Purpose::LinkedGroup(id), Reply::FetchLinkedGroup(state)) => {
                self.linked_shown(id, state);
                Ok(())
            }
            (Purpose::JoinCommit(id), Reply::SubmitCommit(outcome)) => {
                self.join_judged(&id, outcome)
            }
            // What needs no more than to have arrived; and what cannot be, as each request has its own reply.
            _ => Ok(()),
        }
    }

    /// Takes what the service says of an account, after its root.
    pub(super) fn take_account(
        &mut self,
        asked: Asked,
        page: &AccountPage,
    ) -> Result<(), EngineError> {
        match asked {
            Asked::Lookup(user) => {
                if self.learn(&user, page)? {
                    self.lookups.insert(user);
                } else {
                    self.authority.answered(user);
                }
                Ok(())
            }
            Asked::Invite(id) => {
                let Some((_, who)) = self.current_invite(&id) else { return Ok(()) };
                // What there is more is asked for again.
                if self.learn(&who.user, page)? {
                    return Ok(());
                }
                if self.is_convicted() && self.book.account(&who.user).is_none() {
                    let Some((key, who)) = self.current_invite(&id) else { return Ok(()) };
                    return self.give_up_invite(&id, key, Reason::ServiceConvicted { who });
                }
                self.invite_looked_up(&id)
            }
            Asked::Recover => self.recovery_read(page),
        }
    }

    /// Says, once, that this device can be invited, if only into groups of one of its suites.
    pub(super) fn announce(&mut self) {
        let ready = self.invitable && self.book.unpublished().is_empty();
        if ready && !core::mem::replace(&mut self.announced, true) {
            let device = self.device().clone();
            self.answers.push_back(Answer::Ready { device });
        }
    }

    fn created(&mut self, id: &GroupId) -> Result<(), EngineError> {
        let Some(record) = self.book.record(id).cloned() else { return Ok(()) };
        if !matches!(record.stage, Stage::Creating(_)) {
            // It was left meanwhile.
            return Ok(());
        }
        let record = GroupRecord { stage: Stage::Active, ..record };
        let suite = self.conversations.get(id).map(|live| live.group.cipher_suite());
        let news = Self::news(id, News::Created { suite });
        Ok(self.book.commit(None, vec![Change::Record(id.clone(), record), news])?)
    }

    /// The service's verdict on messages that were submitted: if it has accepted them, these are they.
    fn outcome(
        &mut self,
        id: &GroupId,
        outcome: Outcome,
        content_type: ContentType,
        messages: Vec<Vec<u8>>,
    ) -> Result<(), EngineError> {
        let cursor = self.cursor(id);
        self.take_receipt(id, outcome.receipt(), None)?;
        let Some(live) = self.conversations.get_mut(id) else { return Ok(()) };
        live.refusals = 0;
        match outcome {
            // What is waited for is not in the log yet, as far as this device has seen it. (Its
            // proposal may be: it stays until somebody commits it.)
            Outcome::Accepted { receipt, .. }
                if !messages.is_empty() && receipt.position.seq <= cursor =>
            {
                self.lost_data(id, receipt.position.seq)
            }
            Outcome::Accepted { receipt: end, received_at } => {
                let seq = end.position.seq;
                live.attempt.delivered = true;
                live.log.reaches(seq);
                // Nobody else's came between: no need to fetch them to know them.
                if Some(seq) == cursor.checked_add(messages.len() as u64)
                    && let Some(page) = self.page_of(id, messages, (content_type, received_at), end)
                {
                    return self.take_page(id, &page);
                }
                Ok(())
            }
            Outcome::WrongEpoch { receipt } if receipt.position.epoch < live.group.epoch().0 => {
                let (epoch, own) = (receipt.position.epoch, live.group.epoch().0);
                self.stick(id, Reason::EpochLost { epoch, own })
            }
            Outcome::WrongEpoch { receipt } => {
                live.log.sync = true;
                live.log.reaches(receipt.position.seq);
                self.unseal(id)
            }
        }
    }

    /// The part of the log that own messages are; none if it does not lead to the end that the service says. Then the
    /// log shows by itself how it goes on.
    fn page_of(
        &self,
        id: &GroupId,
        messages: Vec<Vec<u8>>,
        (content_type, received_at): (ContentType, u64),
        end: Receipt,
    ) -> Option<LogPage> {
        let record = self.book.record(id)?;
        let (before, mut chain) = (record.chain?, record.chain?);
        let mut entries = Vec::new();
        for (seq, message) in (record.cursor.checked_add(1)?..).zip(messages) {
            let epoch = epoch_of(&message)?;
            let (sender, message) = (self.device().clone(), message.into());
            let entry = LogEntry { seq, epoch, content_type, sender, received_at, message };
            chain = ChainInput::of(id, &entry).after(&chain).ok()?;
            entries.push(entry);
        }

        let head = self.conversations.get(id)?.log.head;
        let is_end = !entries.is_empty() && chain == end.position.chain;
        is_end.then_some(LogPage { entries, head, before: Some(before), end, ending: None })
    }

    /// The sealed messages at the front are to be encrypted again, in the epoch that the group is in then.
    fn unseal(&mut self, id: &GroupId) -> Result<(), EngineError> {
        let unsealed = |(key, item): (u64, &Item)| match &item.work {
            Work::Send { payload, sealed: Some(_) } => {
                let work = Work::Send { payload: payload.clone(), sealed: None };
                Some(Change::Item(key, Some(Item { group: id.clone(), work })))
            }
            _ => None,
        };
        let mut changes: Vec<Change> = self.book.items(id).map_while(unsealed).collect();
        if changes.is_empty() {
            return Ok(());
        }
        // A root that was in one of them is passed on again.
        if let Some(record) = self.book.record(id).filter(|record| record.passed.is_some()) {
            let record = GroupRecord { passed: None, ..record.clone() };
            changes.push(Change::Record(id.clone(), record));
        }
        Ok(self.book.commit(None, changes)?)
    }

    fn cursor(&self, id: &GroupId) -> u64 {
        self.book.record(id).map_or(0, |record| record.cursor)
    }

    /// The service's log of a group, which ends with `head`, was longer before.
    fn lost_data(&mut self, id: &GroupId, head: u64) -> Result<(), EngineError> {
        let cursor = self.cursor(id);
        self.stick(id, Reason::LogShorter { end: head, seen: cursor })
    }

    /// Says that a group cannot be followed any further. Whoever wanted to leave it is out.
    pub(super) fn stick(&mut self, id: &GroupId, reason: Reason) -> Result<(), EngineError> {
        if let Some(live) = self.conversations.get_mut(id) {
            live.standing = Standing::Stuck(reason.clone());
            live.log.sync = true;
            self.answers.push_back(Answer::Stuck { group: id.clone(), reason });
        }
        match self.book.leaving(id) {
            true => self.forget(id),
            false => Ok(()),
        }
    }

    /// A call was refused, or is given up.
    fn refused(&mut self, purpose: Purpose, error: &CallError) -> Result<(), EngineError> {
        let unauthorized = error.code() == Some(ErrorCode::Unauthorized);
        if unauthorized && !purpose.comes_before_a_session() {
            // Other calls that were under way in this session are refused as well: it ends once.
            if self.registered {
                self.session_refused();
            }
            self.again(purpose);
            return Ok(());
        }
        match purpose {
            Purpose::Describe
            | Purpose::SubmitLog
            | Purpose::OpenSession
            | Purpose::Place
            | Purpose::Look => self.access_refused(&purpose, error),
            Purpose::Recover | Purpose::RecoverEntry(_) => {
                self.recovery_failed(&error.to_string());
                Ok(())
            }
            Purpose::Mark => {
                self.mark_refused(error);
                Ok(())
            }
            Purpose::NewKey => self.key_refused(error),
            Purpose::GroupInfo(id) | Purpose::Rejoin(id) => self.rejoin_refused(&id, error),
            Purpose::OwnChange(_) => self.own_change_refused(error),
            // It is there already: the answer was lost.
            Purpose::Ready if error.code() == Some(ErrorCode::Invalid) => self.ready_told(),
            Purpose::Tell if error.code() == Some(ErrorCode::Invalid) => {
                self.told();
                Ok(())
            }
            Purpose::Ready => {
                self.failed(None, Reason::ServiceRefuses { why: error.to_string() });
                self.ready_told()
            }
            Purpose::Offer | Purpose::Tell | Purpose::IsReady => {
                self.account_failed(Reason::ServiceRefuses { why: error.to_string() });
                self.end_admission()
            }
            Purpose::Publish(suite, references) => self.published(suite, references, Some(error)),
            Purpose::Lookup(user) => {
                self.authority.answered(user);
                Ok(())
            }
            Purpose::Count | Purpose::Inbox | Purpose::Ack(_) => {
                self.failed(None, Reason::ServiceRefuses { why: error.to_string() });
                Ok(())
            }
            // It is not published yet, or is asked for again later.
            Purpose::History => Ok(()),
            Purpose::Extension { from, to } => self.not_extended((from, to), &error.to_string()),
            Purpose::Create(id) if self.nothing_to_reset(&id, error.code())? => Ok(()),
            Purpose::LinkedGroup(id) | Purpose::JoinCommit(id) => self.join_refused(&id, error),
            Purpose::Create(id) => {
                self.stick(&id, Reason::ServiceRefuses { why: error.to_string() })
            }
            Purpose::Log(id) => self.log_refused(&id, error),
            Purpose::Restore(id) => self.not_given_back(&id, error),
            Purpose::Commit(id) => self.refused_in_group(&id, error, true),
            Purpose::Message(id)
            | Purpose::Proposal(id)
            | Purpose::InviteLookup(id)
            | Purpose::InviteClaim(id) => self.refused_in_group(&id, error, false),
        }
    }

    /// Something that was to be done in a group was refused. This device may have missed why, so
    /// the log is looked at before that is final.
    fn refused_in_group(
        &mut self,
        id: &GroupId,
        error: &CallError,
        commit: bool,
    ) -> Result<(), EngineError> {
        if commit && self.remedy(id, error)? {
            return Ok(());
        }
        let Some(live) = self.conversations.get_mut(id) else { return Ok(()) };
        live.refusals += 1;
        if live.refusals == 1 && error.code() != Some(ErrorCode::UnknownUser) {
            live.log.sync = true;
            return Ok(());
        }
        live.refusals = 0;
        if error.code() == Some(ErrorCode::UnknownGroup) {
            return self.stick(id, Reason::ServiceRefuses { why: error.to_string() });
        }
        let is_unasked = commit && core::mem::take(&mut live.attempt.is_unasked);
        if commit && self.halve_invites(id)? {
            return Ok(());
        }
        if commit && self.reject_commit(id, false)? {
            self.leave_proposals_out(id, error);
            return Ok(());
        }
        let why = error.to_string();
        if is_unasked {
            self.failed(Some(id), Reason::CommitFailed { why });
            return Ok(());
        }
        let not_invited = |who: &Who, why| Reason::NotInvited { who: who.to_string(), why };
        // Whoever was asked for is not the first in the queue.
        if !commit && let Some((key, who)) = self.current_invite(id) {
            return self.give_up_invite(id, key, not_invited(&who, why));
        }
        let front = self.book.front(id).map(|(key, item)| (key, item.work.clone()));
        let (key, reason) = match front {
            // If a commit was refused, it had to come before the message.
            Some((key, Work::Send { .. })) => (key, Reason::MessageRefused { why }),
            Some((key, Work::Invite { who, committing, .. })) if committing == commit => {
                return self.give_up_invite(id, key, not_invited(&who, why));
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
                self.failed(Some(id), Reason::CommitFailed { why });
                return Ok(());
            }
        };
        self.give_up(id, key, [News::Failed { reason }])
    }

    /// Forgets the own commit. If `again`, or if it held what others have proposed, which may be why it was refused,
    /// what it was made for is to be done again, and that is the answer.
    pub(super) fn reject_commit(&mut self, id: &GroupId, again: bool) -> Result<bool, EngineError> {
        let Some(live) = self.conversations.get(id) else { return Ok(false) };
        let Some(pending) = live.group.pending_commit() else { return Ok(false) };
        let again = again || live.group.pending_commit_references().next().is_some();
        let anew = |(key, item): (u64, &Item)| {
            let work = not_committed(&item.work)?;
            Some(Change::Item(key, Some(Item { group: id.clone(), work })))
        };
        let changes: Vec<Change> = self.book.items(id).filter(|_| again).map_while(anew).collect();
        let step = live.group.commit_rejected(&pending.id)?;
        self.step(id, step, |_| changes)?;
        if let Some(live) = self.conversations.get_mut(id) {
            live.inviting.commit_refused();
        }
        Ok(again)
    }
}
