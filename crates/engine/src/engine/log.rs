//! The group's log: each entry is processed once, in order, and a page of them is one write.

use super::groups::not_sent;
use super::join_links::judge_received;
use super::kept::keep;
use super::rooms::{history_change, metadata_changes, name_of, role_changes, room_of};
use super::{Engine, EngineError};
use crate::book::{Book, Change};
use crate::code::short_member_code;
use crate::content::{Content, MAX_CONTENT};
use crate::conversation::Standing;
use crate::conversation::leaves::{own_leaf, size_of};
use crate::names::is_group_name;
use crate::notice::Notice;
use crate::reason::Reason;
use crate::record::{GroupRecord, Item, News, OwnKey, Payload, RoomChange, Stage, Trust, Work};
use crate::seen::day;
use crate::watch::PassedRoot;
pub(super) use conclave_certificates::device_of;
use conclave_delivery_api::{
    ChainHash, ContentType, Decode, DeviceId, JOIN_LINKS, JoinLinks, Judged, LogEntry, LogPage,
    LogPosition, sha256,
};
use conclave_mls::credential::{CredentialRequest, CredentialSubject};
use conclave_mls::crypto::CryptoProvider;
use conclave_mls::error::Rejection;
use conclave_mls::group::{
    Answers, EpochChange, Member, Proposal, ProposalStage, Refused, Sender, Status,
};
use conclave_mls::storage::Fold;
use conclave_mls::wire::{MlsMessage, MlsMessageBody};
use conclave_mls::{Error, Event, Group, GroupId, Received, Transition, UnixTime, Verdict};
use conclave_room::{
    CHAT_HISTORY_POLICY, Capability, PARTICIPANT_LIST, ROLES_LIST, ROOM_METADATA, RoomState,
};
use conclave_store::{Store, StoreError};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The epoch that an encoded message was made in.
pub(super) fn epoch_of(message: &[u8]) -> Option<u64> {
    match MlsMessage::from_bytes(message).ok()?.body {
        MlsMessageBody::PublicMessage(message) => Some(message.content.epoch.0),
        MlsMessageBody::PrivateMessage(message) => Some(message.epoch.0),
        _ => None,
    }
}

/// What a commit was made for, to be done again; none for other work.
pub(super) fn not_committed(work: &Work) -> Option<Work> {
    match work {
        Work::Invite { who, committing: true, by_itself } => {
            Some(Work::Invite { who: who.clone(), committing: false, by_itself: *by_itself })
        }
        Work::Remove { who, committing: true } => {
            Some(Work::Remove { who: who.clone(), committing: false })
        }
        Work::Leave { alone, committing: true, .. } => {
            Some(Work::Leave { alone: *alone, committing: false, proposed: None })
        }
        Work::MakeLink { link, expires_at, max_uses, committing: true } => Some(Work::MakeLink {
            link: link.clone(),
            expires_at: *expires_at,
            max_uses: *max_uses,
            committing: false,
        }),
        Work::Unlink { number, committing: true } => {
            Some(Work::Unlink { number: *number, committing: false })
        }
        Work::Room { change, committing: true } => {
            Some(Work::Room { change: change.clone(), committing: false })
        }
        _ => None,
    }
}

/// What an entry leads to.
struct Planned {
    seq: u64,
    time: u64,
    what: What,
}

pub(super) enum What {
    /// Nothing.
    Nothing,
    /// The own message at the front of the queue has arrived.
    Own,
    /// The next event of the fold.
    Event,
    /// The next event of the fold: this device was removed. The service's order says so.
    Out,
    /// The next event of the fold: a proposal of this device's, and whom it is about, if anybody.
    Proposal(DeviceId, Proposed),
    /// The next event of the fold: the service proposes to remove a device which nobody has revoked, as far as known.
    Doubted(Option<DeviceId>),
    /// It cannot be read. `event`: its key is deleted, which is the next event of the fold.
    Refused { sender: DeviceId, reason: String, event: bool },
}

/// Whom a proposal is about.
pub(super) enum Proposed {
    Add(DeviceId),
    Remove(DeviceId),
    Other,
}

/// Why the rest of a page is not processed.
pub(super) enum Halt {
    /// The service has to be asked for somebody first, which is seen to.
    Ask,
    /// The entry of this number is missing.
    Gap(u64),
    /// The service's log is another one than the one that was processed so far: why.
    OtherLog(Reason),
    /// This device is out.
    Out,
    /// This device's own leaf has made a commit that this state knows nothing of, or has given up.
    OwnCommit,
    /// A commit cannot be followed.
    Stuck(Reason),
}

/// What became of a page.
#[derive(Default)]
struct Taken {
    /// Why the rest of it is not processed.
    halt: Option<Halt>,
    /// Whether what was under way in the group is over: the own message has arrived, or an epoch has begun.
    settled: bool,
    /// Whether it has a message of this device's leaf that this state has not sent.
    copy_has_sent: bool,
}

/// One entry's step: what it leads to, and its transition.
pub(super) type Step = (What, Option<Transition<Group, Event>>);

/// Who knows whose key is whose. The answers are none if somebody has to be asked for first.
pub(super) trait Judge {
    /// The verdicts on credentials.
    fn verdicts(&mut self, requests: &[CredentialRequest]) -> Option<Vec<Verdict>>;

    /// Whether a member was revoked, as its user's account says.
    fn is_revoked(&mut self, member: &Member) -> Option<bool>;
}

/// The engine, about something that was sent at a time by the service's clock.
struct JudgeOf<'a, S> {
    engine: &'a mut Engine<S>,
    sent: UnixTime,
}

impl<S: Store> Judge for JudgeOf<'_, S> {
    fn verdicts(&mut self, requests: &[CredentialRequest]) -> Option<Vec<Verdict>> {
        self.engine.judge_sent(requests, self.sent)
    }

    fn is_revoked(&mut self, member: &Member) -> Option<bool> {
        let Engine { authority, book, lookups, .. } = &mut *self.engine;
        let Some(device) = device_of(&member.credential) else { return Some(false) };
        let revoked = authority.judge_revoked(book.accounts(), &device, &member.signature_key);
        if revoked.is_none() {
            lookups.insert(device.user);
        }
        revoked
    }
}

impl<S: Store> Engine<S> {
    /// Processes a page of a group's log, from the cursor on.
    pub(super) fn take_page(&mut self, id: &GroupId, page: &LogPage) -> Result<(), EngineError> {
        let Some(mut record) = self.book.record(id).cloned() else { return Ok(()) };
        let Some(mut live) = self.conversations.remove(id) else { return Ok(()) };
        record.receipt = live.receipt.clone();
        let result = self.take_entries(id, &mut live.group, &record, page);
        let out = live.group.status() == Status::Deleted;
        if !out {
            self.conversations.insert(id.clone(), live);
        }
        let Taken { halt, settled, copy_has_sent } = result?;
        let is_whole = halt.is_none();
        if let Some(live) = self.conversations.get_mut(id) {
            if settled {
                live.settle();
            }
            if halt.is_some() {
                live.restoring.waits = false;
            }
            match &halt {
                Some(Halt::Ask) => {
                    live.log.sync = true;
                    live.standing = Standing::Asks;
                }
                // The service has no more to give than this.
                None if page.entries.is_empty() && live.log.head <= live.log.asked_head => {
                    live.log.head = record.cursor;
                }
                _ => {}
            }
        }
        match halt {
            Some(Halt::Stuck(reason)) => self.stick(id, reason)?,
            Some(Halt::Gap(seq)) => {
                self.stick(id, Reason::LogGap { seq })?;
            }
            Some(Halt::OtherLog(reason)) => self.stick(id, reason)?,
            Some(Halt::OwnCommit) => self.cannot_follow_own(id)?,
            _ if copy_has_sent => self.copy_has_sent(id)?,
            _ => {}
        }
        self.note_found(id, page, record.cursor)?;
        if settled {
            self.plan_removals(id);
        }
        self.plan_auto_commit(id);
        if is_whole {
            self.plan_stale(id)?;
        }
        Ok(())
    }

    /// The same, the group apart from the others.
    fn take_entries(
        &mut self,
        id: &GroupId,
        group: &mut Group,
        record: &GroupRecord,
        page: &LogPage,
    ) -> Result<Taken, EngineError> {
        let (provider, now) = (self.provider.clone(), self.time());
        let mut own = VecDeque::from(self.sealed_messages(id));
        // What this device has read in a log that the service has lost.
        let lost =
            self.book.missing(id).map(|lost| lost.values().copied().collect::<BTreeSet<_>>());
        let lost = lost.unwrap_or_default();
        let (mut plan, mut halt) = (Vec::new(), None);
        let (mut cursor, mut epoch) = (record.cursor, group.epoch());
        let mut chains = match chained(id, record, page) {
            Ok(chains) => chains,
            Err(halt) => return Ok(Taken { halt: Some(halt), ..Taken::default() }),
        };
        let room = room_of(group);
        let leaf = own_leaf(group).map(<[u8]>::to_vec);
        let members = size_of(group);
        let mut fold = group.fold();
        for entry in page.entries.iter().filter(|entry| entry.seq > record.cursor) {
            let what = if !lost.is_empty() && lost.contains(&sha256(&entry.message)) {
                What::Nothing
            } else if !lost.is_empty()
                && entry.content_type == ContentType::Commit
                && entry.epoch < epoch.0
            {
                halt = Some(Halt::Stuck(Reason::LogForked));
                break;
            } else if own.pop_front_if(|own| **own == *entry.message).is_some() {
                What::Own
            } else if entry.sender == *self.device()
                && own.iter().any(|own| **own == *entry.message)
            {
                halt = Some(Halt::OtherLog(Reason::LogReordered));
                break;
            } else {
                let sent = UnixTime::from_secs(entry.received_at).unwrap_or(UnixTime::MAX);
                let mut judge = JudgeOf { engine: self, sent };
                match process(&*provider, fold.state(), now, entry, &mut judge) {
                    Ok((what, transition)) => {
                        if let Some(transition) = transition {
                            push(&mut fold, transition)?;
                        }
                        what
                    }
                    Err(stop) => {
                        halt = Some(stop);
                        break;
                    }
                }
            };
            cursor = entry.seq;
            let out = matches!(what, What::Out);
            plan.push(Planned { seq: entry.seq, time: entry.received_at, what });
            if out {
                let deletion = fold.state().delete()?;
                push(&mut fold, deletion)?;
                halt = Some(Halt::Out);
                break;
            }
            epoch = fold.state().epoch();
        }
        if plan.is_empty() {
            return Ok(Taken { halt, ..Taken::default() });
        }
        let (mut settled, mut copy_has_sent) = (false, false);
        let changes = match halt {
            Some(Halt::Out) => self.keep_nothing(id)?,
            _ => keep(&self.book, id, page, (record.cursor, cursor), &chains)?,
        };
        let chain = chains.remove(&cursor);
        let today = self.seen_day();
        let absence = self.keys.absence_in(members);
        let own_key = if own_leaf(fold.state()) == leaf.as_deref() {
            let sent = plan.iter().filter(|planned| matches!(planned.what, What::Own)).count();
            let sent = u32::try_from(sent).unwrap_or(u32::MAX);
            OwnKey { sent: record.own_key.sent.saturating_add(sent), ..record.own_key }
        } else {
            OwnKey::new(self.now)
        };
        let record = GroupRecord { cursor, chain, epoch: epoch.0, own_key, ..record.clone() };
        let (book, watching, place) = (&mut self.book, &mut self.watching, &self.evidence_place);
        fold.commit(|write| {
            let mut report = Report::new(&*provider, book, id, record, (changes, room));
            report.absence = absence;
            let mut events = write.events.iter();
            for planned in plan {
                report.tell(book, planned, &mut events);
            }
            (settled, copy_has_sent) = (report.settled, report.copy_has_sent);
            let heard = core::mem::take(&mut report.heard);
            let gossip = watching.hear(&*provider, place, book, (id, heard));
            let seen = core::mem::take(&mut report.seen);
            let mut changes = report.finish();
            changes.extend(noted(book, id, &seen, today));
            changes.extend(gossip.map_err(StoreError::failed)?);
            book.commit(Some(write.batch), changes)
        })?;
        Ok(Taken { halt, settled, copy_has_sent })
    }

    /// A group's log has what this device's leaf has sent, and this state has not: it is a copy. If the leaf has the
    /// device's key, so has the other copy. Otherwise this device is on its way back into the group.
    fn copy_has_sent(&mut self, id: &GroupId) -> Result<(), EngineError> {
        let current = &self.book.identity().signer.public;
        let Some(live) = self.conversations.get(id) else { return Ok(()) };
        let own = live.group.member(live.group.own_leaf());
        match own.is_some_and(|own| own.signature_key == *current) {
            true => self.found_copied(None),
            false => Ok(()),
        }
    }

    /// The sealed messages at the front of a group's queue.
    pub(super) fn sealed_messages(&self, id: &GroupId) -> Vec<Vec<u8>> {
        sealed_in(&self.book, id)
    }
}

/// The sealed messages at the front of a group's queue.
pub(super) fn sealed_in<S: Store>(book: &Book<S>, id: &GroupId) -> Vec<Vec<u8>> {
    let sealed = |(_, item): (u64, &Item)| match &item.work {
        Work::Send { sealed, .. } => sealed.clone(),
        _ => None,
    };
    book.items(id).map_while(sealed).collect()
}

/// The hashes of the log after each entry of a page, with the entry's number. They are looked at first: nothing is
/// taken of a log that is another one than before.
pub(super) fn chained(
    id: &GroupId,
    record: &GroupRecord,
    page: &LogPage,
) -> Result<BTreeMap<u64, ChainHash>, Halt> {
    let cursor = record.cursor;
    let after = page.end.position.seq.saturating_sub(page.entries.len() as u64);
    if after > cursor {
        return Err(Halt::Gap(cursor.saturating_add(1)));
    }
    let known = record.chain.filter(|_| after == cursor);
    let Some(before) = page.before.or(known) else {
        // Neither the service nor this device knows any more what came before.
        let LogPosition { seq, chain, .. } = page.end.position;
        return Ok(BTreeMap::from([(seq, chain)]));
    };
    let Some(chains) = page.chains(id, Some(before)) else {
        return Err(Halt::OtherLog(Reason::LogInconsistent { seq: cursor }));
    };

    let mut places: BTreeMap<u64, ChainHash> = (after.saturating_add(1)..).zip(chains).collect();
    places.insert(after, before);
    let known = record.chain.zip(places.get(&cursor));
    if known.is_some_and(|(known, shown)| known != *shown) {
        return Err(Halt::OtherLog(Reason::LogReplaced { seq: cursor }));
    }
    Ok(places)
}

fn push<O>(fold: &mut Fold<'_, Group>, step: Transition<Group, O>) -> Result<(), EngineError> {
    fold.push(step).map_err(|e| e.without_write().into())
}

/// Computes what one entry leads to.
pub(super) fn process(
    provider: &dyn CryptoProvider,
    group: &Group,
    now: UnixTime,
    entry: &LogEntry,
    judge: &mut dyn Judge,
) -> Result<Step, Halt> {
    match group.process(provider, now, &entry.message) {
        Ok(Received::Known) => Ok((What::Nothing, None)),
        // This messenger sends no messages to one member, and has nobody to show them to.
        Ok(Received::Targeted(_)) => Ok((What::Nothing, None)),
        Ok(Received::Application(step)) => Ok((What::Event, Some(step.untyped()))),
        Ok(Received::OwnCommit(step)) => Ok((What::Event, Some(step.untyped()))),
        Ok(Received::Proposal(stage)) if !matches!(stage.sender(), Sender::Member(_)) => {
            proposed_from_outside(group, entry, stage, judge)
        }
        Ok(Received::Proposal(stage)) if matches!(stage.proposal(), Proposal::AppDataUpdate(_)) => {
            refuse(entry, stage.refuse(group, "only a committer changes a component's data"))
        }
        Ok(Received::Proposal(stage)) => {
            let device = |leaf| device_of(&group.member(leaf)?.credential);
            let from = match stage.sender() {
                Sender::Member(leaf) => device(leaf),
                _ => None,
            };
            let proposed = match stage.proposal() {
                Proposal::Remove(leaf) => device(*leaf).map(Proposed::Remove),
                Proposal::Add(added) => device_of(&added.leaf_node.credential).map(Proposed::Add),
                _ => None,
            };
            let proposed = proposed.unwrap_or(Proposed::Other);
            let verdicts = judge.verdicts(stage.credentials()).ok_or(Halt::Ask)?;
            match stage.resolve(group, &verdicts) {
                Ok(step) => {
                    let from = from.unwrap_or_else(|| entry.sender.clone());
                    Ok((What::Proposal(from, proposed), Some(step.untyped())))
                }
                Err(refused) => refuse(entry, refused),
            }
        }
        // Its signature is valid.
        Ok(Received::Commit(stage)) if stage.sender() == Sender::Member(group.own_leaf()) => {
            Err(Halt::OwnCommit)
        }
        Ok(Received::Commit(stage)) => {
            let Judged { app_data, joins_by_link } =
                match judge_received(provider, group, &stage, entry.received_at) {
                    Ok(judged) => judged,
                    Err(e) => return refuse(entry, stage.refuse(group, &e.to_string())),
                };
            let mut credentials = stage.credentials().to_vec();
            if joins_by_link {
                // The link stands for a member's word, by which others are added.
                credentials.iter_mut().for_each(|c| c.subject = CredentialSubject::NewMember);
            }
            let verdicts = judge.verdicts(&credentials).ok_or(Halt::Ask)?;
            let answers = Answers { verdicts, app_data, ..Answers::default() };
            let out = stage.removes().any(|leaf| leaf == group.own_leaf());
            match stage.resolve(group, provider, now, &answers) {
                Ok(step) if out => Ok((What::Out, Some(step.untyped()))),
                Ok(step) => Ok((What::Event, Some(step.untyped()))),
                Err(refused) => refuse(entry, refused),
            }
        }
        Ok(_) => Err(Halt::Stuck(Reason::LaterVersion { seq: entry.seq })),
        Err(refused) => refuse(entry, refused),
    }
}

/// What a proposal from outside the group leads to: no stranger proposes itself, and the service may propose the
/// removal of a revoked device alone.
///
/// If the account does not say that it was revoked, this device leaves it out of its commits, see
/// [`Engine::takes_received`]: so the service can remove nobody. Yet it is kept. The service may have withheld the
/// revocation here alone, and a commit of a member who knows of it has to be followed.
fn proposed_from_outside(
    group: &Group,
    entry: &LogEntry,
    stage: ProposalStage,
    judge: &mut dyn Judge,
) -> Result<Step, Halt> {
    let member = match (stage.sender(), stage.proposal()) {
        (Sender::External(_), Proposal::Remove(leaf)) => group.member(*leaf),
        _ => None,
    };
    let Some(member) = member else {
        let reason = "nobody outside the group may propose this";
        return refuse(entry, stage.refuse(group, reason));
    };
    let what = match judge.is_revoked(&member) {
        None => return Err(Halt::Ask),
        // The user hears of the revocation by the account, and of the removal when it is committed.
        Some(true) => What::Event,
        Some(false) => What::Doubted(device_of(&member.credential)),
    };
    match stage.resolve(group, &[]) {
        Ok(step) => Ok((what, Some(step.untyped()))),
        Err(refused) => refuse(entry, refused),
    }
}

/// A message that is refused is told and passed over; a commit that is refused is the end, as
/// everybody else goes on without this device.
fn refuse(entry: &LogEntry, refused: Refused) -> Result<Step, Halt> {
    let old = matches!(
        refused.error,
        Error::Rejected(Rejection::WrongEpoch { message, current }) if message < current
    );
    if old {
        // It was late, and made before this device came in: it is not for it.
        return Ok((What::Nothing, None));
    }
    if entry.content_type == ContentType::Commit {
        let (seq, sender, why) = (entry.seq, entry.sender.clone(), refused.to_string());
        return Err(Halt::Stuck(Reason::CommitRefused { seq, sender, why }));
    }
    let (sender, reason) = (entry.sender.clone(), refused.error.to_string());
    let step = refused.key_deletion.map(|step| step.untyped());
    Ok((What::Refused { sender, reason, event: step.is_some() }, step))
}

/// Who made the link by which somebody joined, if somebody did.
fn maker_of_link(change: &EpochChange) -> Option<DeviceId> {
    let links = change.app_data.iter().find(|data| data.component_id == JOIN_LINKS)?;
    let before = JoinLinks::of_data(links.old.as_ref());
    let after = JoinLinks::of_data(links.new.as_ref());
    after.used_since(&before).filter(|_| change.external).map(|link| link.maker.clone())
}

/// Sets what a component's data says.
fn set<T: Decode>(value: &mut T, data: &[u8]) {
    // What was accepted decodes.
    if let Ok(new) = T::from_bytes(data) {
        *value = new;
    }
}

/// Turns what happened in a group into changes of the records.
struct Report<'a> {
    provider: &'a dyn CryptoProvider,
    me: DeviceId,
    id: GroupId,
    record: GroupRecord,
    changes: Vec<Change>,
    /// The queue of the group, as it will be.
    items: VecDeque<(u64, Item)>,
    settled: bool,
    copy_has_sent: bool,
    /// The roots that members have passed on.
    heard: Vec<(DeviceId, PassedRoot)>,
    /// The leaves that have sent something or are new (true), and those that are free now (false).
    seen: BTreeMap<u32, bool>,
    /// After how many silent days this device counts as away.
    absence: Option<u32>,
    /// The room that the group is.
    room: Option<RoomState>,
}

/// What is noted of leaves that were seen on a day, or are free now.
fn noted<S: Store>(
    book: &Book<S>,
    id: &GroupId,
    seen: &BTreeMap<u32, bool>,
    today: u32,
) -> Vec<Change> {
    let known = |leaf: &u32| book.seen(id).and_then(|seen| seen.days.get(leaf)).copied();
    let change = |(leaf, is_there): (&u32, &bool)| {
        let day = is_there.then_some(today);
        (known(leaf) != day).then(|| Change::Seen(id.clone(), *leaf, day))
    };
    seen.iter().filter_map(change).collect()
}

impl<'a> Report<'a> {
    fn new<S: Store>(
        provider: &'a dyn CryptoProvider,
        book: &Book<S>,
        id: &GroupId,
        record: GroupRecord,
        (changes, room): (Vec<Change>, Option<RoomState>),
    ) -> Self {
        let items = book.items(id).map(|(key, item)| (key, item.clone())).collect();
        let (me, id) = (book.identity().device.clone(), id.clone());
        let (settled, copy_has_sent, heard) = (false, false, Vec::new());
        let (seen, absence) = (BTreeMap::new(), None);
        Self {
            provider,
            me,
            id,
            record,
            changes,
            items,
            settled,
            copy_has_sent,
            heard,
            seen,
            absence,
            room,
        }
    }

    fn finish(mut self) -> Vec<Change> {
        self.changes.push(Change::Record(self.id, self.record));
        self.changes
    }

    fn news(&mut self, news: News) {
        self.changes.push(Change::News(Some(self.id.clone()), news));
    }

    /// Replaces or deletes the front item.
    fn set_front(&mut self, work: Option<Work>) {
        let Some((key, _)) = self.items.pop_front() else { return };
        let item = work.map(|work| Item { group: self.id.clone(), work });
        if let Some(item) = &item {
            self.items.push_front((key, item.clone()));
        }
        self.changes.push(Change::Item(key, item));
    }

    fn front(&self) -> Option<&Work> {
        self.items.front().map(|(_, item)| &item.work)
    }

    fn tell<S: Store>(
        &mut self,
        book: &Book<S>,
        planned: Planned,
        events: &mut core::slice::Iter<'_, Event>,
    ) {
        let Planned { seq, time, what } = planned;
        match what {
            What::Nothing => {}
            What::Own => {
                if let Some(Work::Send { payload: Payload::Content(content), .. }) = self.front() {
                    let (sender, content) = (book.identity().device.clone(), content.clone());
                    let moderates = self.moderates(&sender);
                    self.news(News::Message { seq, time, sender, own: true, moderates, content });
                }
                self.set_front(None);
                self.settled = true;
            }
            What::Event | What::Out => match events.next() {
                Some(Event::Application(message)) => {
                    self.seen.insert(message.sender.index.0, true);
                    let Some(sender) = device_of(&message.sender.credential) else { return };
                    // With the leaf's key, and of a generation that this state has not come to.
                    self.copy_has_sent |= sender == self.me;
                    self.said(book, (seq, time, sender), Payload::from_data(&message.data));
                }
                Some(Event::Epoch(change)) => self.epoch(book, (seq, time), change, false),
                Some(Event::Removal(change)) => self.epoch(book, (seq, time), change, true),
                _ => {}
            },
            What::Proposal(by, proposed) => {
                events.next();
                match proposed {
                    Proposed::Remove(who) if who == by => self.news(News::Leaving { seq, who }),
                    Proposed::Remove(who) => {
                        self.news(News::Note { notice: Notice::RemovalProposed { by, who } });
                    }
                    // Whoever commits it is shown to have added it.
                    Proposed::Add(who) => {
                        self.news(News::Note { notice: Notice::AdditionProposed { by, who } });
                    }
                    Proposed::Other => {}
                }
            }
            What::Doubted(who) => {
                events.next();
                let who = who.map_or("a member".to_string(), |who| who.to_string());
                self.news(News::Note { notice: Notice::RemovalDoubted { who } });
            }
            What::Refused { sender, reason, event } => {
                if event {
                    events.next();
                }
                self.news(News::Unreadable { seq, sender, reason });
            }
        }
    }

    /// A member says something.
    fn said<S: Store>(
        &mut self,
        book: &Book<S>,
        (seq, time, sender): (u64, u64, DeviceId),
        payload: Payload,
    ) {
        let may_write = |room: &RoomState| room.may(sender.user.as_str(), Capability::SEND_MESSAGE);
        if self.room.as_ref().is_some_and(|room| !may_write(room)) {
            let reason = "its sender's role in the room does not allow messages".to_string();
            return self.news(News::Unreadable { seq, sender, reason });
        }
        let content = match payload {
            Payload::Content(content) => content,
            Payload::Rooted(root, content) => {
                self.heard.push((sender.clone(), *root));
                content
            }
            Payload::Name(name) => return self.named(book, &name),
            Payload::Unknown(data) => Content::unknown(data),
        };
        let (own, moderates) = (sender == self.me, self.moderates(&sender));
        self.news(match content.bytes().len() {
            0..=MAX_CONTENT => News::Message { seq, time, sender, own, moderates, content },
            len => {
                let reason = format!("it has {len} bytes, and at most {MAX_CONTENT} are taken");
                News::Unreadable { seq, sender, reason }
            }
        });
    }

    /// Whether a sender may delete what others have said.
    fn moderates(&self, sender: &DeviceId) -> bool {
        let may =
            |room: &RoomState| room.may(sender.user.as_str(), Capability::DELETE_OTHER_MESSAGE);
        self.room.as_ref().is_some_and(may)
    }

    /// Somebody says what the group is called.
    fn named<S: Store>(&mut self, book: &Book<S>, name: &str) {
        if self.record.name.is_empty() && is_group_name(name) {
            self.record.name = book.free_name(&self.id, name);
        }
    }

    fn epoch<S: Store>(
        &mut self,
        book: &Book<S>,
        (seq, time): (u64, u64),
        change: &EpochChange,
        out: bool,
    ) {
        self.settled = true;
        self.seen.extend(change.removed.iter().map(|member| (member.index.0, false)));
        self.seen.extend(change.added.iter().map(|member| (member.index.0, true)));
        self.seen.insert(change.committer.index.0, true);
        let Some(by) = device_of(&change.committer.credential) else { return };
        for who in change.removed.iter().filter_map(|m| device_of(&m.credential)) {
            // Who comes back by an external commit takes its own former place.
            if !(out || change.external && who == by) {
                self.news(News::Removed { seq, who, by: by.clone() });
            }
        }
        self.room_changed(book, (seq, &by), change);
        let maker = maker_of_link(change);
        for member in &change.added {
            self.added(seq, member, &by, maker.as_ref());
            // Who is new has heard of no root.
            self.record.passed = None;
        }
        if change.reinit.is_some() {
            self.news(News::Note { notice: Notice::GroupClosed { by: by.clone() } });
        }
        if out {
            self.out((seq, time), by);
        } else if change.own {
            self.committed(&change.added);
        } else if change.discarded_own_commit {
            self.begin_again();
        }
    }

    /// Tells how a commit changed the room.
    fn room_changed<S: Store>(
        &mut self,
        book: &Book<S>,
        (seq, by): (u64, &DeviceId),
        change: &EpochChange,
    ) {
        let Some(room) = &mut self.room else { return };
        let old = room.clone();
        for data in &change.app_data {
            let after = data.new.as_deref().unwrap_or_default();
            match data.component_id {
                ROOM_METADATA => set(&mut room.metadata, after),
                PARTICIPANT_LIST => set(&mut room.participants, after),
                ROLES_LIST => set(&mut room.roles, after),
                CHAT_HISTORY_POLICY => set(room.history.get_or_insert_default(), after),
                _ => {}
            }
        }

        let mut changes = metadata_changes(&old.metadata, &room.metadata);
        changes.extend(role_changes(room, &old.participants));
        changes.extend(history_change(&old, room));
        let is_renamed = changes.iter().any(|change| matches!(change, RoomChange::Name(_)));
        let name = name_of(room, &self.me.user);
        if is_renamed && !name.is_empty() {
            self.record.name = book.free_name(&self.id, &name);
        }
        for change in changes {
            self.news(News::Room { seq, by: by.clone(), change });
        }
    }

    /// Tells that a device came in: by a commit of somebody's, or by a link that somebody has made.
    fn added(&mut self, seq: u64, member: &Member, by: &DeviceId, maker: Option<&DeviceId>) {
        let Some(who) = device_of(&member.credential) else { return };
        // No provider that can be used at all lacks SHA-512.
        let code = short_member_code(self.provider, &who, &member.signature_key);
        let code = code.unwrap_or_default();
        self.news(match maker {
            Some(maker) => News::AddedByLink { seq, who, maker: maker.clone(), code },
            None => News::Added { seq, who, by: by.clone(), code },
        });
    }

    /// What the own commit was made for is done.
    fn committed(&mut self, added: &[Member]) {
        let invited: Vec<DeviceId> =
            added.iter().filter_map(|member| device_of(&member.credential)).collect();
        for (_, item) in &self.items {
            let Work::Invite { who, .. } = &item.work else { break };
            // Whom the user invites, the user knows.
            let theirs =
                invited.iter().filter(|device| who.includes(device) && **device != self.me);
            let trust =
                theirs.map(|device| Change::Trust(device.clone().into(), Some(Trust::Accepted)));
            self.changes.extend(trust);
        }
        // The last invitation of the commit stands for all of them: the name is sent once.
        let committing = |item: Option<&(u64, Item)>| {
            item.is_some_and(|(_, item)| item.work.is_invite_in_commit())
        };
        while committing(self.items.front()) && committing(self.items.get(1)) {
            self.set_front(None);
        }
        match self.front() {
            // The new members have no other way to learn the name.
            Some(Work::Invite { committing: true, .. })
                if !added.is_empty()
                    && !self.record.name.is_empty()
                    && !self.room.as_ref().is_some_and(RoomState::is_direct) =>
            {
                let payload = Payload::Name(self.record.name.clone());
                self.set_front(Some(Work::Send { payload, sealed: None }));
            }
            Some(
                Work::Invite { committing: true, .. }
                | Work::Remove { committing: true, .. }
                | Work::Room { committing: true, .. },
            ) => self.set_front(None),
            Some(Work::MakeLink { link, expires_at, max_uses, committing: true }) => {
                let (expires_at, max_uses) = (*expires_at, *max_uses);
                // What was decoded, or fits a new group's identifier, encodes.
                let text = link.to_text().unwrap_or_default();
                self.news(News::LinkMade { text, max_uses, expires_at });
                self.set_front(None);
            }
            Some(Work::Unlink { number, committing: true }) => {
                let notice = Notice::LinkRevoked { number: *number };
                self.news(News::Note { notice });
                self.set_front(None);
            }
            Some(Work::Leave { alone, committing: true, .. }) => {
                let alone = *alone;
                self.set_front(Some(Work::Leave { alone, committing: false, proposed: None }));
            }
            _ => {}
        }
    }

    /// Somebody else's commit came first: what the own one was made for is tried again, in the
    /// group as it is now.
    fn begin_again(&mut self) {
        for (key, item) in &mut self.items {
            let Some(work) = not_committed(&item.work) else { break };
            item.work = work;
            self.changes.push(Change::Item(*key, Some(item.clone())));
        }
    }

    /// This device is out: what was still to be done is not.
    fn out(&mut self, (seq, time): (u64, u64), by: DeviceId) {
        let leaving = |(_, item): &(u64, Item)| matches!(item.work, Work::Leave { .. });
        let left = self.items.iter().any(leaving);
        self.record.stage = if left { Stage::Left } else { Stage::Removed };
        self.record.asked_by = None;
        self.news(News::Out { seq, by, left });
        let since = self.record.own_key.since;
        let days = day(time.saturating_mul(1000).saturating_sub(since));
        if !left && since > 0 && self.absence.is_some_and(|absence| days > absence) {
            self.news(News::Note { notice: Notice::RemovedWhileAway { days } });
        }
        while let Some(work) = self.front() {
            if let Some(news) = not_sent(work) {
                self.news(news);
            }
            self.set_front(None);
        }
    }
}
