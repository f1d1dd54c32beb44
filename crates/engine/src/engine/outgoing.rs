//! What the user wants, done one after another: sealing, committing, proposing.

use super::groups::GROUP_INFO;
use super::join_links::judge_own;
use super::log::epoch_of;
use super::{Engine, EngineError, Purpose};
use crate::book::Change;
use crate::conversation::Conversation;
use crate::conversation::waits::{COMMIT_TURN, COMMIT_WAIT, LAST_TURN, LEAVER_WAIT};
use crate::directory::is_revoked;
use crate::reason::Reason;
use crate::record::{GroupRecord, Item, News, Payload, Who, Work};
use crate::request::Request;
use crate::watch::Watch;
use conclave_delivery_api::{
    Bytes, DeviceId, SendMessage, SendMessages, SubmitCommit, SubmitProposal,
};
use conclave_mls::crypto::CryptoRng;
use conclave_mls::group::{
    CommitOptions, Framing, LeafIndex, NewProposal, Padding, PendingProposal, Proposal, Sender,
};
use conclave_mls::{Event, GroupId};
use conclave_store::Store;
use std::collections::BTreeSet;

type Next = Option<(Request, Purpose)>;

/// A key of a message: its group, epoch, leaf and generation.
#[cfg(test)]
type MessageKey = (GroupId, u64, u32, u32);

#[cfg(test)]
thread_local! {
    /// Which key each message of this thread's engines was encrypted with, for the tests of copied states.
    pub(super) static KEYS: core::cell::RefCell<std::collections::HashMap<Vec<u8>, MessageKey>> =
        core::cell::RefCell::default();
}

/// How many messages are encrypted in one write, and sent by one call.
const BURST: usize = 64;
/// How many bytes they have at most, unless it is one alone: so few that the service takes them without giving them to
/// another thread.
const BURST_BYTES: usize = 48 << 10;

impl<S: Store> Engine<S> {
    /// The own commit that waits for the service's verdict, to be submitted.
    pub(super) fn pending_commit(&self, id: &GroupId) -> Option<SubmitCommit> {
        let messages = self.conversations.get(id)?.group.pending_commit()?;
        Some(SubmitCommit {
            welcomes: messages.welcomes.iter().map(|w| w.message.as_slice().into()).collect(),
            group_info: messages.group_info.as_deref().map(Into::into),
            leaves_out: self.left_out_on_purpose(id),
            ..SubmitCommit::new(messages.commit.as_slice().into())
        })
    }

    /// The call that the front of the queue needs; items that need none are done with.
    pub(super) fn next_item(&mut self, id: &GroupId) -> Result<Next, EngineError> {
        while let Some((key, item)) = self.book.front(id) {
            let item = item.clone();
            let next = match &item.work {
                Work::Send { sealed: Some(_), .. } => {
                    return Ok(Some((self.send_sealed(id), Purpose::Message(id.clone()))));
                }
                Work::Send { .. } => self.seal(id, key)?,
                Work::Invite { .. } if self.watching.holds() => return Ok(None),
                // It looks up accounts, which concern other groups, too.
                Work::Invite { .. } if !self.under_way.may_go_alone(id) => return Ok(None),
                Work::Invite { .. } => self.next_invite(id)?,
                Work::Remove { who, .. } => self.remove(id, key, &item, who)?,
                Work::Leave { alone, proposed, .. } => {
                    self.next_leave(id, key, *alone, proposed.as_ref())?
                }
                Work::MakeLink { .. } => self.make_link(id, key, &item)?,
                Work::Unlink { number, .. } => self.revoke_link(id, key, *number)?,
                Work::Room { change, .. } => self.next_room_change(id, key, change)?,
                // It is in.
                Work::Join { .. } => {
                    self.give_up(id, key, [])?;
                    None
                }
            };
            if next.is_some() {
                return Ok(next);
            }
        }
        Ok(None)
    }

    /// Forgets an item, with a word to the user.
    pub(super) fn give_up(
        &mut self,
        id: &GroupId,
        key: u64,
        news: impl IntoIterator<Item = News>,
    ) -> Result<(), EngineError> {
        let mut changes = vec![Change::Item(key, None)];
        changes.extend(news.into_iter().map(|news| Self::news(id, news)));
        if let Some(live) = self.conversations.get_mut(id) {
            live.inviting.end(key);
        }
        Ok(self.book.commit(None, changes)?)
    }

    /// Forgets an item that cannot be done, and says why.
    pub(super) fn cannot(
        &mut self,
        id: &GroupId,
        key: u64,
        reason: Reason,
    ) -> Result<Next, EngineError> {
        self.give_up(id, key, [News::Failed { reason }])?;
        Ok(None)
    }

    fn framing() -> Framing {
        Framing { padding: Padding::Padme, ..Framing::default() }
    }

    /// The call that sends the sealed messages at the front of the queue. After a refusal one goes alone, to find out
    /// whether it is the one.
    fn send_sealed(&self, id: &GroupId) -> Request {
        let alone = self.conversations.get(id).is_some_and(|live| live.refusals > 0);
        let most = if alone { 1 } else { BURST };
        let sealed = self.sealed_messages(id);
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

    /// Encrypts the messages at the front of the queue, all in one write; if others' proposals have to be committed
    /// first, does that.
    fn seal(&mut self, id: &GroupId, key: u64) -> Result<Next, EngineError> {
        let Some(live) = self.conversations.get(id) else { return Ok(None) };
        if live.group.pending_proposals() > 0 {
            if self.takes_received(id) {
                return self.commit_proposals(id);
            }
            // Without them a commit ends the epoch that they are of.
            return match self.commit(id, Vec::new(), None, Vec::new())? {
                Ok(next) => Ok(next),
                Err(e) => self.cannot(id, key, Reason::MessageRefused { why: e.to_string() }),
            };
        }
        match self.seal_burst(id)? {
            Ok(()) => Ok(None),
            Err(e) => self.cannot(id, key, Reason::MessageRefused { why: e.to_string() }),
        }
    }

    /// Encrypts the messages at the front of the queue, up to the first that cannot be; if that is the very first, the
    /// answer is why.
    fn seal_burst(&mut self, id: &GroupId) -> Result<Result<(), conclave_mls::Error>, EngineError> {
        let mut burst: Vec<(u64, Payload, Vec<u8>, Option<GroupRecord>)> = Vec::new();
        let mut bytes = 0;
        for (key, item) in self.book.items(id).take(BURST) {
            let Work::Send { payload, sealed: None } = &item.work else { break };
            // A root goes along once.
            let is_rooted = burst.iter().any(|(.., record)| record.is_some());
            let (data, record) =
                if is_rooted { (payload.to_data(), None) } else { self.data_of(id, payload) };
            bytes += data.len();
            if bytes > BURST_BYTES && !burst.is_empty() {
                break;
            }
            burst.push((key, payload.clone(), data, record));
        }

        let Self { conversations, provider, rng, book, .. } = self;
        let Some(live) = conversations.get_mut(id) else { return Ok(Ok(())) };
        let mut fold = live.group.fold();
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
            let step = fold.state().encrypt(&**provider, &mut **rng, &data, &Self::framing());
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

    /// What a message says. Content takes along the newest root of the service's directory, if that is not what was
    /// passed on last in this group; then the group's record changes, too. So members learn of it where somebody
    /// speaks anyway, and no message is sent for it alone.
    fn data_of(&self, id: &GroupId, payload: &Payload) -> (Vec<u8>, Option<GroupRecord>) {
        let root = self.book.watch().and_then(Watch::to_pass).filter(|_| !self.is_alone(id));
        if let (Payload::Content(content), Some(root), Some(record)) =
            (payload, root, self.book.record(id))
        {
            let passed = Some((root.key, root.root.epoch));
            if record.passed != passed {
                let data = Payload::Rooted(Box::new(root), content.clone()).to_data();
                return (data, Some(GroupRecord { passed, ..record.clone() }));
            }
        }
        (payload.to_data(), None)
    }

    /// Makes a commit; `item` says that the front item is what it does.
    pub(super) fn commit(
        &mut self,
        id: &GroupId,
        proposals: Vec<NewProposal>,
        item: Option<(u64, Item)>,
        also: Vec<Change>,
    ) -> Result<Result<Next, conclave_mls::Error>, EngineError> {
        self.commit_with(id, proposals, item, also, false)
    }

    /// The same; `force_path` replaces this device's keys even if the proposals need no path.
    pub(super) fn commit_with(
        &mut self,
        id: &GroupId,
        proposals: Vec<NewProposal>,
        item: Option<(u64, Item)>,
        mut also: Vec<Change>,
        force_path: bool,
    ) -> Result<Result<Next, conclave_mls::Error>, EngineError> {
        let Some(live) = self.conversations.get(id) else { return Ok(Ok(None)) };
        let (received, me) = (self.takes_received(id), &self.device().user);
        let proposals = match Self::with_participants(&live.group, me, proposals, received) {
            Ok(proposals) => proposals,
            Err(e) => return Ok(Err(e)),
        };
        let options = CommitOptions {
            proposals,
            received,
            force_path,
            framing: Self::framing(),
            group_info: Some(GROUP_INFO),
            ..CommitOptions::default()
        };
        let now = self.time();
        let options = CommitOptions { leaf: self.leaf_update(live), ..options };
        let (provider, rng) = (&*self.provider, &mut *self.rng);
        let step = live.group.draft_commit(provider, rng, now, options).and_then(|draft| {
            let app_data = judge_own(provider, &live.group, &draft)?;
            draft.seal(rng, app_data)
        });
        let step = match step {
            Ok(step) => step,
            Err(e) => return Ok(Err(e)),
        };
        also.extend(item.map(|(key, item)| Change::Item(key, Some(item))));
        self.step(id, step, move |_| also)?;
        if let Some(live) = self.conversations.get_mut(id) {
            (live.attempt.delivered, live.attempt.is_unasked) = (false, false);
        }
        let request = self.pending_commit(id);
        Ok(Ok(request.map(|request| (request.into(), Purpose::Commit(id.clone())))))
    }

    /// Commits this device's certificate and key to a group, if they are not what its leaf there has. That is tried
    /// once in an epoch.
    pub(super) fn next_renewal(&mut self, id: &GroupId) -> Result<Next, EngineError> {
        let Some(live) = self.conversations.get(id) else { return Ok(None) };
        let epoch = live.group.epoch().0;
        if live.renewed_in == Some(epoch) || self.leaf_update(live).is_none() {
            return Ok(None);
        }
        if let Some(live) = self.conversations.get_mut(id) {
            live.renewed_in = Some(epoch);
        }
        match self.commit(id, Vec::new(), None, Vec::new())? {
            Ok(next) => Ok(next),
            Err(e) => {
                self.failed(Some(id), Reason::CertificateNotShown { why: e.to_string() });
                Ok(None)
            }
        }
    }

    /// Whether commits take what others have proposed: unless one with it did not succeed in this epoch, or the service
    /// proposes to remove a device that its user has not revoked.
    pub(super) fn takes_received(&self, id: &GroupId) -> bool {
        let Some(live) = self.conversations.get(id).filter(|live| !live.attempt.own_only) else {
            return false;
        };
        live.group.view().proposals().all(|pending| !self.is_doubted(live, &pending))
    }

    /// Whether a proposal is one of the service's about which this device knows no reason.
    pub(super) fn is_doubted(&self, live: &Conversation, pending: &PendingProposal<'_>) -> bool {
        let is_due = |leaf: LeafIndex| {
            let Some(member) = live.group.member(leaf) else { return false };
            let device = super::log::device_of(&member.credential);
            let accounts = self.book.accounts();
            device.is_some_and(|device| is_revoked(accounts, &device, &member.signature_key))
        };
        match (pending.sender, pending.proposal) {
            (Sender::Member(_), _) => false,
            (_, Proposal::Remove(leaf)) => !is_due(*leaf),
            _ => true,
        }
    }

    /// Commits what others have proposed.
    fn commit_proposals(&mut self, id: &GroupId) -> Result<Next, EngineError> {
        match self.commit(id, Vec::new(), None, Vec::new())? {
            Ok(next) => Ok(next),
            Err(e) => {
                self.leave_proposals_out(id, &e);
                Ok(None)
            }
        }
    }

    /// A commit of what others have proposed did not succeed: they are left to others.
    pub(super) fn leave_proposals_out(&mut self, id: &GroupId, why: &dyn core::fmt::Display) {
        self.failed(Some(id), Reason::ProposalsLeftOut { why: why.to_string() });
        if let Some(live) = self.conversations.get_mut(id) {
            live.attempt.own_only = true;
            live.attempt.commit_at = None;
        }
    }

    /// Plans when to commit others' proposals, if there are any.
    pub(super) fn plan_auto_commit(&mut self, id: &GroupId) {
        let leaving = self.book.leaving(id);
        let takes_received = self.takes_received(id);
        let Some(live) = self.conversations.get_mut(id) else { return };
        let own_leaf = live.group.own_leaf();
        let proposals = live.group.view().proposals();
        let out: BTreeSet<LeafIndex> = proposals
            .filter_map(|pending| match pending.proposal {
                Proposal::Remove(leaf) => Some(*leaf),
                _ => None,
            })
            .collect();

        // A member cannot commit its own removal, and its commit of anything else undoes the proposal. So this
        // device commits only if nobody does who is to stay.
        let (least, wait) = match leaving || out.contains(&own_leaf) {
            true => (2, LEAVER_WAIT),
            false => (1, COMMIT_WAIT),
        };
        if !takes_received || live.group.pending_proposals() < least {
            live.attempt.commit_at = None;
        } else if live.attempt.commit_at.is_none() {
            let stay = live.group.members().filter(|member| !out.contains(&member.index));
            let before = stay.take_while(|member| member.index < own_leaf).count();
            let turn = u64::from((before + 1).ilog2().min(LAST_TURN)) * COMMIT_TURN;
            let spread = random(&mut *self.rng) % COMMIT_TURN;
            live.attempt.commit_at = Some(self.now.saturating_add(wait + turn + spread));
        }
    }

    pub(super) fn next_auto_commit(&mut self, id: &GroupId) -> Result<Next, EngineError> {
        let Some(live) = self.conversations.get_mut(id) else { return Ok(None) };
        if live.attempt.commit_at.is_none_or(|at| at > self.now) {
            return Ok(None);
        }
        live.attempt.commit_at = None;
        if live.group.pending_proposals() == 0 {
            return Ok(None);
        }
        self.commit_proposals(id)
    }

    /// The leaves of some devices.
    fn leaves(&self, id: &GroupId, includes: impl Fn(&DeviceId) -> bool) -> Vec<LeafIndex> {
        let Some(live) = self.conversations.get(id) else { return Vec::new() };
        let members = live.group.members();
        let wanted = members.filter(|m| {
            super::log::device_of(&m.credential).is_some_and(|device| includes(&device))
        });
        wanted.map(|m| m.index).collect()
    }

    fn remove(
        &mut self,
        id: &GroupId,
        key: u64,
        item: &Item,
        who: &Who,
    ) -> Result<Next, EngineError> {
        let leaves = self.leaves(id, |device| who.includes(device));
        if leaves.is_empty() && self.is_ended(who) {
            // Another member was faster.
            self.give_up(id, key, [])?;
            return Ok(None);
        }
        if leaves.is_empty() {
            return self.cannot(id, key, Reason::NotInGroup { who: who.clone() });
        }
        let removes = leaves.into_iter().map(NewProposal::Remove).collect();
        let work = Work::Remove { who: who.clone(), committing: true };
        let committing = Item { work, ..item.clone() };
        match self.commit(id, removes, Some((key, committing)), Vec::new())? {
            Ok(next) => {
                self.warn_of_links(id, who);
                Ok(next)
            }
            Err(e) => {
                self.cannot(id, key, Reason::NotRemoved { who: who.clone(), why: e.to_string() })
            }
        }
    }

    /// A member cannot commit its own removal (RFC 9420 section 12.2): removes the user's other
    /// devices, unless it leaves alone, then proposes its own, for somebody else to commit.
    fn next_leave(
        &mut self,
        id: &GroupId,
        key: u64,
        alone: bool,
        proposed: Option<&(u64, Vec<u8>)>,
    ) -> Result<Next, EngineError> {
        let Some(live) = self.conversations.get(id) else { return Ok(None) };
        if let Some((epoch, message)) = proposed
            && *epoch == live.group.epoch().0
        {
            let request = SubmitProposal { proposal: message.as_slice().into() };
            return Ok(Some((request.into(), Purpose::Proposal(id.clone()))));
        }
        let (epoch, own_leaf) = (live.group.epoch(), live.group.own_leaf());
        if self.is_alone(id) {
            self.forget(id)?;
            return Ok(None);
        }
        let me = self.device().clone();
        let others = self.leaves(id, |device| device.user == me.user && *device != me);
        if !others.is_empty() && !alone {
            let removes = others.into_iter().map(NewProposal::Remove).collect();
            let work = Work::Leave { alone, committing: true, proposed: None };
            let item = Item { group: id.clone(), work };
            return match self.commit(id, removes, Some((key, item)), Vec::new())? {
                Ok(next) => Ok(next),
                Err(e) => self.cannot(id, key, Reason::OwnDevicesStay { why: e.to_string() }),
            };
        }
        let Some(live) = self.conversations.get(id) else { return Ok(None) };
        let (now, framing) = (self.time(), Self::framing());
        let (provider, rng) = (&*self.provider, &mut *self.rng);
        let removal = NewProposal::Remove(own_leaf);
        let step = match live.group.propose(provider, rng, now, removal, &framing) {
            Ok(step) => step,
            Err(e) => return self.cannot(id, key, Reason::NotLeft { why: e.to_string() }),
        };
        let group = id.clone();
        self.step(id, step, move |event| {
            let Event::Proposal(proposal) = event else { return Vec::new() };
            let proposed = Some((epoch.0, proposal.message.clone()));
            let work = Work::Leave { alone, committing: false, proposed };
            vec![Change::Item(key, Some(Item { group, work }))]
        })?;
        Ok(None)
    }
}

pub(super) fn random(rng: &mut dyn CryptoRng) -> u64 {
    let mut bytes = [0; 8];
    rng.fill_bytes(&mut bytes);
    u64::from_be_bytes(bytes)
}
