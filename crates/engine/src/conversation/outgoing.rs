//! The queue's work, done one after another: encrypting, committing, proposing.

use super::Conversation;
use super::call::{Call, Next};
use super::context::Context;
use super::departure::message_refused;
use super::entries::{epoch_of, sealed_in};
use super::links::judge_own;
use super::rooms::with_participants;
use super::rules::GROUP_INFO;
use super::waits::{COMMIT_TURN, COMMIT_WAIT, LAST_TURN, LEAVER_WAIT};
use crate::book::{Book, Change};
use crate::chance::random;
use crate::directory::is_revoked;
use crate::error::EngineError;
use crate::reason::Reason;
use crate::record::{GroupRecord, Item, News, Payload, Who, Work};
use crate::request::Request;
use crate::watch::Watch;
use conclave_certificates::device_of;
use conclave_delivery_api::{
    Bytes, DeviceId, SendMessage, SendMessages, SubmitCommit, SubmitProposal,
};
use conclave_mls::Event;
#[cfg(test)]
use conclave_mls::GroupId;
use conclave_mls::group::{
    CommitOptions, Framing, LeafIndex, NewProposal, Padding, PendingProposal, Proposal, Sender,
};
use conclave_store::Store;
use std::collections::BTreeSet;

/// A key of a message: its group, epoch, leaf and generation.
#[cfg(test)]
type MessageKey = (GroupId, u64, u32, u32);

#[cfg(test)]
thread_local! {
    /// Which key each message of this thread's engines was encrypted with, for the tests of copied states.
    pub(crate) static KEYS: core::cell::RefCell<std::collections::HashMap<Vec<u8>, MessageKey>> =
        core::cell::RefCell::default();
}

/// How many messages are encrypted in one write, and sent by one call.
const BURST: usize = 64;
/// How many bytes they have at most, unless it is one alone: so few that the service takes them without giving them to
/// another thread.
const BURST_BYTES: usize = 48 << 10;

impl Conversation {
    /// Our commit that waits for the service's verdict, to be submitted.
    pub(crate) fn pending_commit<S: Store>(&self, book: &Book<S>) -> Option<SubmitCommit> {
        let messages = self.group.pending_commit()?;
        Some(SubmitCommit {
            welcomes: messages.welcomes.iter().map(|w| w.message.as_slice().into()).collect(),
            group_info: messages.group_info.as_deref().map(Into::into),
            leaves_out: self.left_out_on_purpose(book),
            ..SubmitCommit::new(messages.commit.as_slice().into())
        })
    }

    /// The call that the front of the queue needs. Items that need none are dealt with on the way.
    pub(crate) fn next_item<S: Store>(
        &mut self,
        cx: &mut Context<'_, S>,
    ) -> Result<Next, EngineError> {
        while let Some((key, item)) = cx.book.front(&self.id) {
            let item = item.clone();
            let next = match &item.work {
                Work::Send { sealed: Some(_), .. } => {
                    return Ok(Some((self.send_sealed(cx), Call::Message)));
                }
                work @ Work::Send { .. } => self.seal(cx, key, work)?,
                Work::Invite { .. } if cx.watching.holds() => return Ok(None),
                // It looks up accounts, which concern other groups, too.
                Work::Invite { .. } if !cx.may_go_alone() => return Ok(None),
                Work::Invite { .. } => self.next_invite(cx)?,
                Work::Remove { who, .. } => self.remove(cx, key, &item, who)?,
                Work::Leave { alone, proposed, .. } => {
                    self.next_leave(cx, key, *alone, proposed.as_ref())?
                }
                Work::MakeLink { .. } => self.make_link(cx, key, &item)?,
                Work::Unlink { number, .. } => self.revoke_link(cx, key, *number)?,
                Work::Room { change, .. } => self.next_room_change(cx, key, change)?,
                // This device is in the group.
                Work::Join { .. } => {
                    self.give_up(cx, key, [])?;
                    None
                }
            };
            if next.is_some() {
                return Ok(next);
            }
        }
        Ok(None)
    }

    /// Forgets an item, and tells the user these news.
    pub(crate) fn give_up<S: Store>(
        &mut self,
        cx: &mut Context<'_, S>,
        key: u64,
        news: impl IntoIterator<Item = News>,
    ) -> Result<(), EngineError> {
        let mut changes = vec![Change::Item(key, None)];
        changes.extend(news.into_iter().map(|news| Change::news(&self.id, news)));
        self.inviting.end(key);
        Ok(cx.book.commit(None, changes)?)
    }

    /// Forgets an item that cannot be done, and says why.
    pub(crate) fn cannot<S: Store>(
        &mut self,
        cx: &mut Context<'_, S>,
        key: u64,
        reason: Reason,
    ) -> Result<Next, EngineError> {
        self.give_up(cx, key, [News::Failed { reason }])?;
        Ok(None)
    }

    fn framing() -> Framing {
        Framing { padding: Padding::Padme, ..Framing::default() }
    }

    /// The call that sends the sealed messages at the front of the queue. After a refusal it sends the first one alone, to
    /// find out whether it is the refused one.
    fn send_sealed<S: Store>(&self, cx: &Context<'_, S>) -> Request {
        let alone = self.refusals > 0;
        let most = if alone { 1 } else { BURST };
        let sealed = sealed_in(cx.book, &self.id);
        let epoch = sealed.first().and_then(|message| epoch_of(message));
        let mut bytes = 0;
        let mut of_burst = |message: &Vec<u8>| {
            bytes += message.len();
            bytes <= BURST_BYTES && epoch_of(message) == epoch
        };
        let count = sealed.iter().take(most).take_while(|message| of_burst(message)).count().max(1);
        let mut messages = sealed.into_iter().take(count).map(Bytes::from);
        match count {
            1 => SendMessage { message: messages.next().unwrap_or_default() }.into(),
            _ => SendMessages { messages: messages.collect() }.into(),
        }
    }

    /// Encrypts the messages at the front of the queue in one write. If others' proposals are pending, a commit has to come
    /// first: makes that instead.
    fn seal<S: Store>(
        &mut self,
        cx: &mut Context<'_, S>,
        key: u64,
        work: &Work,
    ) -> Result<Next, EngineError> {
        let refused = |e: conclave_mls::Error| message_refused(work, e.to_string());
        if self.group.pending_proposals() > 0 {
            if self.takes_received(cx.book) {
                return self.commit_proposals(cx);
            }
            // A commit without them ends the epoch that they belong to.
            return match self.commit(cx, Vec::new(), None, Vec::new())? {
                Ok(next) => Ok(next),
                Err(e) => self.cannot(cx, key, refused(e)),
            };
        }
        match self.seal_burst(cx)? {
            Ok(()) => Ok(None),
            Err(e) => self.cannot(cx, key, refused(e)),
        }
    }

    /// Encrypts the messages at the front of the queue, up to the first that cannot be encrypted. If that is the very first,
    /// the inner result says why.
    fn seal_burst<S: Store>(
        &mut self,
        cx: &mut Context<'_, S>,
    ) -> Result<Result<(), conclave_mls::Error>, EngineError> {
        let mut burst: Vec<(u64, Payload, Vec<u8>, Option<GroupRecord>)> = Vec::new();
        let mut bytes = 0;
        for (key, item) in cx.book.items(&self.id).take(BURST) {
            let Work::Send { payload, sealed: None } = &item.work else { break };
            // One message of a burst takes a root along.
            let is_rooted = burst.iter().any(|(.., record)| record.is_some());
            let (data, record) =
                if is_rooted { (payload.to_data(), None) } else { self.data_of(cx, payload) };
            bytes += data.len();
            if bytes > BURST_BYTES && !burst.is_empty() {
                break;
            }
            burst.push((key, payload.clone(), data, record));
        }

        let (id, book) = (&self.id, &mut *cx.book);
        let mut fold = self.group.fold();
        let mut sealed = Vec::new();
        #[cfg(test)]
        let mut places = Vec::new();
        for (key, payload, data, record) in burst {
            #[cfg(test)]
            let place = {
                let group = fold.state();
                let generation = group.next_generation().unwrap_or_default();
                (id.clone(), group.epoch().0, group.own_leaf().0, generation)
            };
            let step = fold.state().encrypt(cx.provider, cx.rng, &data, &Self::framing());
            match step {
                Ok(step) => fold.push(step.untyped()).map_err(|e| e.without_write())?,
                Err(e) if sealed.is_empty() => return Ok(Err(e)),
                Err(_) => break,
            }
            sealed.push((key, payload, record));
            #[cfg(test)]
            places.push(place);
        }

        fold.commit(|write| {
            let mut changes = Vec::new();
            for ((key, payload, record), event) in sealed.into_iter().zip(write.events) {
                let Event::Message(message) = event else { continue };
                #[cfg(test)]
                KEYS.with_borrow_mut(|keys| keys.insert(message.clone(), places.remove(0)));
                let work = Work::Send { payload, sealed: Some(message.clone()) };
                changes.push(Change::Item(key, Some(Item { group: id.clone(), work })));
                changes.extend(record.map(|record| Change::Record(id.clone(), record)));
            }
            book.commit(Some(write.batch), changes)
        })?;
        Ok(Ok(()))
    }

    /// The encoded payload of a message. Content takes along the newest root of the service's directory, if that is not the
    /// one that was last passed on in this group; then the group's record changes, too. So members learn of the root with
    /// messages that are sent anyway.
    fn data_of<S: Store>(
        &self,
        cx: &Context<'_, S>,
        payload: &Payload,
    ) -> (Vec<u8>, Option<GroupRecord>) {
        let root = cx.book.watch().and_then(Watch::to_pass).filter(|_| !self.is_alone());
        if let (Payload::Content(content), Some(root), Some(record)) =
            (payload, root, cx.book.record(&self.id))
        {
            let passed = Some((root.key, root.root.epoch));
            if record.passed != passed {
                let data = Payload::Rooted(Box::new(root), content.clone()).to_data();
                return (data, Some(GroupRecord { passed, ..record.clone() }));
            }
        }
        (payload.to_data(), None)
    }

    /// Makes a commit, and stores it with the changes `also` and with `item`, the item in the queue that it is for, if it is
    /// for one. The inner error says why it cannot be made.
    pub(crate) fn commit<S: Store>(
        &mut self,
        cx: &mut Context<'_, S>,
        proposals: Vec<NewProposal>,
        item: Option<(u64, Item)>,
        also: Vec<Change>,
    ) -> Result<Result<Next, conclave_mls::Error>, EngineError> {
        self.commit_with(cx, proposals, item, also, false)
    }

    /// Does as [`Self::commit`]; `force_path` replaces this device's keys even if the proposals need no path.
    pub(crate) fn commit_with<S: Store>(
        &mut self,
        cx: &mut Context<'_, S>,
        proposals: Vec<NewProposal>,
        item: Option<(u64, Item)>,
        mut also: Vec<Change>,
        force_path: bool,
    ) -> Result<Result<Next, conclave_mls::Error>, EngineError> {
        let (received, me) = (self.takes_received(cx.book), &cx.book.identity().device.user);
        let proposals = match with_participants(&self.group, me, proposals, received) {
            Ok(proposals) => proposals,
            Err(e) => return Ok(Err(e)),
        };
        let options = CommitOptions {
            proposals,
            received,
            force_path,
            framing: Self::framing(),
            group_info: Some(GROUP_INFO),
            leaf: self.leaf_update(cx),
            ..CommitOptions::default()
        };

        let now = cx.clock.time();
        let (provider, rng) = (cx.provider, &mut *cx.rng);
        let step = self.group.draft_commit(provider, rng, now, options).and_then(|draft| {
            let app_data = judge_own(provider, &self.group, &draft)?;
            draft.seal(rng, app_data)
        });
        let step = match step {
            Ok(step) => step,
            Err(e) => return Ok(Err(e)),
        };

        also.extend(item.map(|(key, item)| Change::Item(key, Some(item))));
        self.step(cx, step, move |_| also)?;
        (self.attempt.delivered, self.attempt.is_unasked) = (false, false);
        let request = self.pending_commit(cx.book);
        Ok(Ok(request.map(|request| (request.into(), Call::Commit))))
    }

    /// The commit that brings this device's credential and key into the group, if its leaf there has others. It is tried once
    /// in an epoch.
    pub(crate) fn next_renewal<S: Store>(
        &mut self,
        cx: &mut Context<'_, S>,
    ) -> Result<Next, EngineError> {
        let epoch = self.group.epoch().0;
        if self.renewed_in == Some(epoch) || self.leaf_update(cx).is_none() {
            return Ok(None);
        }
        self.renewed_in = Some(epoch);
        match self.commit(cx, Vec::new(), None, Vec::new())? {
            Ok(next) => Ok(next),
            Err(e) => {
                cx.failed(&self.id, Reason::CertificateNotShown { why: e.to_string() });
                Ok(None)
            }
        }
    }

    /// Whether commits include others' proposals: they do unless one with them failed in this epoch, or the service proposes
    /// to remove a device that its user has not revoked, as far as known.
    pub(crate) fn takes_received<S: Store>(&self, book: &Book<S>) -> bool {
        !self.attempt.own_only
            && self.group.view().proposals().all(|pending| !self.is_doubted(book, &pending))
    }

    /// Whether a proposal is the service's, and this device knows no reason for it.
    pub(crate) fn is_doubted<S: Store>(
        &self,
        book: &Book<S>,
        pending: &PendingProposal<'_>,
    ) -> bool {
        let is_due = |leaf: LeafIndex| {
            let Some(member) = self.group.member(leaf) else { return false };
            let device = device_of(&member.credential);
            let accounts = book.accounts();
            device.is_some_and(|device| is_revoked(accounts, &device, &member.signature_key))
        };
        match (pending.sender, pending.proposal) {
            (Sender::Member(_), _) => false,
            (_, Proposal::Remove(leaf)) => !is_due(*leaf),
            _ => true,
        }
    }

    /// Commits others' proposals.
    fn commit_proposals<S: Store>(&mut self, cx: &mut Context<'_, S>) -> Result<Next, EngineError> {
        match self.commit(cx, Vec::new(), None, Vec::new())? {
            Ok(next) => Ok(next),
            Err(e) => {
                self.leave_proposals_out(cx, &e);
                Ok(None)
            }
        }
    }

    /// Leaves others' proposals to other members, as a commit of them failed.
    pub(crate) fn leave_proposals_out<S: Store>(
        &mut self,
        cx: &mut Context<'_, S>,
        why: &dyn core::fmt::Display,
    ) {
        cx.failed(&self.id, Reason::ProposalsLeftOut { why: why.to_string() });
        self.attempt.own_only = true;
        self.attempt.commit_at = None;
    }

    /// Plans when to commit others' proposals, if there are any.
    pub(crate) fn plan_auto_commit<S: Store>(&mut self, cx: &mut Context<'_, S>) {
        let leaving = cx.book.leaving(&self.id);
        let takes_received = self.takes_received(cx.book);
        let own_leaf = self.group.own_leaf();
        let proposals = self.group.view().proposals();
        let out: BTreeSet<LeafIndex> = proposals
            .filter_map(|pending| match pending.proposal {
                Proposal::Remove(leaf) => Some(*leaf),
                _ => None,
            })
            .collect();

        // A member cannot commit its own removal, and its commit of anything else undoes the proposal. So a device
        // that is to leave commits only if none of the members who stay does.
        let (least, wait) =
            if leaving || out.contains(&own_leaf) { (2, LEAVER_WAIT) } else { (1, COMMIT_WAIT) };
        if !takes_received || self.group.pending_proposals() < least {
            self.attempt.commit_at = None;
        } else if self.attempt.commit_at.is_none() {
            let stay = self.group.members().filter(|member| !out.contains(&member.index));
            let before = stay.take_while(|member| member.index < own_leaf).count();
            let turn = u64::from((before + 1).ilog2().min(LAST_TURN)) * COMMIT_TURN;
            let spread = random(cx.rng) % COMMIT_TURN;
            self.attempt.commit_at = Some(cx.clock.now.saturating_add(wait + turn + spread));
        }
    }

    /// The commit of others' proposals, if it is time.
    pub(crate) fn next_auto_commit<S: Store>(
        &mut self,
        cx: &mut Context<'_, S>,
    ) -> Result<Next, EngineError> {
        if self.attempt.commit_at.is_none_or(|at| at > cx.clock.now) {
            return Ok(None);
        }
        self.attempt.commit_at = None;
        if self.group.pending_proposals() == 0 {
            return Ok(None);
        }
        self.commit_proposals(cx)
    }

    /// The leaves of the devices that `includes` names.
    fn leaves(&self, includes: impl Fn(&DeviceId) -> bool) -> Vec<LeafIndex> {
        let members = self.group.members();
        let wanted =
            members.filter(|m| device_of(&m.credential).is_some_and(|device| includes(&device)));
        wanted.map(|m| m.index).collect()
    }

    /// The commit that removes a user, or one device.
    fn remove<S: Store>(
        &mut self,
        cx: &mut Context<'_, S>,
        key: u64,
        item: &Item,
        who: &Who,
    ) -> Result<Next, EngineError> {
        let leaves = self.leaves(|device| who.includes(device));
        if leaves.is_empty() && cx.authority.is_ended(cx.book.accounts(), who) {
            // Another member was faster.
            self.give_up(cx, key, [])?;
            return Ok(None);
        }
        if leaves.is_empty() {
            return self.cannot(cx, key, Reason::NotInGroup { who: who.clone() });
        }
        let removes = leaves.into_iter().map(NewProposal::Remove).collect();
        let work = Work::Remove { who: who.clone(), committing: true };
        let committing = Item { work, ..item.clone() };
        match self.commit(cx, removes, Some((key, committing)), Vec::new())? {
            Ok(next) => {
                self.warn_of_links(cx, who);
                Ok(next)
            }
            Err(e) => {
                self.cannot(cx, key, Reason::NotRemoved { who: who.clone(), why: e.to_string() })
            }
        }
    }

    /// The call that takes this device out of the group. It cannot commit its own removal (RFC 9420 section 12.2), so it
    /// removes the user's other devices, unless it leaves `alone`, and then proposes its own removal, for somebody else to
    /// commit.
    fn next_leave<S: Store>(
        &mut self,
        cx: &mut Context<'_, S>,
        key: u64,
        alone: bool,
        proposed: Option<&(u64, Vec<u8>)>,
    ) -> Result<Next, EngineError> {
        if let Some((epoch, message)) = proposed
            && *epoch == self.group.epoch().0
        {
            let request = SubmitProposal { proposal: message.as_slice().into() };
            return Ok(Some((request.into(), Call::Proposal)));
        }

        let (epoch, own_leaf) = (self.group.epoch(), self.group.own_leaf());
        if self.is_alone() {
            self.forget(cx)?;
            return Ok(None);
        }

        let me = cx.device().clone();
        let others = self.leaves(|device| device.user == me.user && *device != me);
        if !others.is_empty() && !alone {
            let removes = others.into_iter().map(NewProposal::Remove).collect();
            let work = Work::Leave { alone, committing: true, proposed: None };
            let item = Item { group: self.id.clone(), work };
            return match self.commit(cx, removes, Some((key, item)), Vec::new())? {
                Ok(next) => Ok(next),
                Err(e) => self.cannot(cx, key, Reason::OwnDevicesStay { why: e.to_string() }),
            };
        }

        let (now, framing) = (cx.clock.time(), Self::framing());
        let (provider, rng) = (cx.provider, &mut *cx.rng);
        let removal = NewProposal::Remove(own_leaf);
        let step = match self.group.propose(provider, rng, now, removal, &framing) {
            Ok(step) => step,
            Err(e) => return self.cannot(cx, key, Reason::NotLeft { why: e.to_string() }),
        };
        let group = self.id.clone();
        self.step(cx, step, move |event| {
            let Event::Proposal(proposal) = event else { return Vec::new() };
            let proposed = Some((epoch.0, proposal.message.clone()));
            let work = Work::Leave { alone, committing: false, proposed };
            vec![Change::Item(key, Some(Item { group, work }))]
        })?;
        Ok(None)
    }
}
