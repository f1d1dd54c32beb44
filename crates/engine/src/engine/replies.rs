//! What the service answers.

use super::{CallId, Engine, EngineError, FIRST_WAIT, LONGEST_WAIT, MAX_STRANGE, Purpose};
use crate::book::Change;
use crate::conversation::Conversation;
use crate::conversation::call::Call;
use crate::conversation::waits::LONGEST_CLAIM_WAIT;
use crate::output::Answer;
use crate::reason::Reason;
use crate::record::{GroupRecord, News, Stage, Who};
use crate::request::Reply;
use crate::watching::Asked;
use conclave_delivery_api::{AccountPage, CallError, ErrorCode};
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
                if let Purpose::Of(id, call) = &purpose
                    && let Some(conversation) = self.conversations.get_mut(id)
                {
                    conversation.hurry_invites(*call, &error);
                }
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
        if matches!(purpose, Purpose::Of(_, Call::InviteClaim))
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
            (Purpose::Of(id, Call::InviteLookup), Reply::FetchAccount(page)) => {
                self.account_page(Asked::Invite(id), page)
            }
            (Purpose::Lookup(user), Reply::FetchCertificates(page)) => {
                self.take_certificates(&user, &page)?;
                self.authority.answered(user);
                Ok(())
            }
            (Purpose::Of(id, Call::InviteLookup), Reply::FetchCertificates(page)) => {
                let Some((_, who)) = self.current_invite(&id) else { return Ok(()) };
                self.take_certificates(&who.user, &page)?;
                self.authority.answered(who.user);
                self.with(&id, Conversation::invite_looked_up)
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
            (Purpose::Of(id, Call::Create), Reply::CreateGroup(created)) => {
                self.with(&id, |conversation, cx| {
                    conversation.take_receipt(cx, &created.receipt, None)
                })?;
                self.created(&id)
            }
            (Purpose::Of(id, Call::Create), Reply::ResetGroup(reset)) => {
                if let Some(receipt) = &reset.receipt {
                    self.with(&id, |conversation, cx| {
                        conversation.take_receipt(cx, receipt, None)
                    })?;
                }
                self.was_reset(&id, &reset.successor)?;
                self.created(&id)
            }
            (Purpose::Of(id, call), reply) => {
                match self.with(&id, |conversation, cx| conversation.answered(cx, call, reply))? {
                    Some(ending) => self.has_ended_for(&id, &ending),
                    None => Ok(()),
                }
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
                    let reason = Reason::ServiceConvicted { who };
                    return self.with(&id, |conversation, cx| {
                        conversation.give_up_invite(cx, key, reason)
                    });
                }
                self.with(&id, Conversation::invite_looked_up)
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

    /// The invitation of a group's that is looked up now, and whom it is about.
    pub(super) fn current_invite(&self, id: &GroupId) -> Option<(u64, Who)> {
        self.conversations.get(id)?.current_invite(&self.book)
    }

    fn created(&mut self, id: &GroupId) -> Result<(), EngineError> {
        let Some(record) = self.book.record(id).cloned() else { return Ok(()) };
        if !matches!(record.stage, Stage::Creating(_)) {
            // It was left meanwhile.
            return Ok(());
        }
        let record = GroupRecord { stage: Stage::Active, ..record };
        let suite =
            self.conversations.get(id).map(|conversation| conversation.group().cipher_suite());
        let news = Change::news(id, News::Created { suite });
        Ok(self.book.commit(None, vec![Change::Record(id.clone(), record), news])?)
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
            Purpose::LinkedGroup(id) | Purpose::JoinCommit(id) => self.join_refused(&id, error),
            Purpose::Of(id, Call::Create) if self.nothing_to_reset(&id, error.code())? => Ok(()),
            Purpose::Of(id, call) => {
                self.with(&id, |conversation, cx| conversation.refused(cx, call, error))
            }
        }
    }
}
