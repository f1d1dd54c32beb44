//! What happened in a group, as changes of what is stored and news for the user.

use super::departure::not_sent;
use super::entries::{Effect, Proposed, not_committed};
use super::rooms::{
    metadata_changes, name_of, policy_changes, preauthorization_changes, role_changes,
};
use crate::book::{Book, Change};
use crate::code::short_member_code;
use crate::content::{Content, MAX_CONTENT};
use crate::names::is_group_name;
use crate::notice::Notice;
use crate::record::{GroupRecord, Item, News, Payload, RoomChange, Stage, Trust, Work};
use crate::returns::Awaited;
use crate::seen::day;
use crate::watch::PassedRoot;
use conclave_certificates::device_of;
use conclave_delivery_api::{Decode, DeviceId, JOIN_LINKS, JoinLinks};
use conclave_mls::crypto::CryptoProvider;
use conclave_mls::group::{EpochChange, Member};
use conclave_mls::{Event, GroupId};
use conclave_room::{
    CHAT_HISTORY_POLICY, Capability, MESSAGE_EXPIRATION_POLICY, MessageExpiration,
    PARTICIPANT_LIST, PREAUTH_LIST, ROLES_LIST, ROOM_METADATA, RoomState,
    STATUS_NOTIFICATION_POLICY,
};
use conclave_store::Store;
use std::collections::{BTreeMap, VecDeque};

/// An entry's number in the log, its time in seconds since 1970, and what it leads to.
pub(crate) struct Planned {
    pub(crate) seq: u64,
    pub(crate) time: u64,
    pub(crate) effect: Effect,
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

/// Turns what happened in a group into changes of what is stored.
pub(crate) struct Report<'a> {
    provider: &'a dyn CryptoProvider,
    me: DeviceId,
    id: GroupId,
    record: GroupRecord,
    changes: Vec<Change>,
    /// The queue of the group, as it will be.
    items: VecDeque<(u64, Item)>,
    /// Whether what was under way in the group is over: our message has arrived, or an epoch has begun.
    pub(crate) ends_attempt: bool,
    /// Whether this device's leaf has sent a message that this state has not.
    pub(crate) copy_has_sent: bool,
    /// The roots that members have passed on.
    pub(crate) heard: Vec<(DeviceId, PassedRoot)>,
    /// The leaves that have sent something or are new (true), and those that are free now (false).
    pub(crate) seen: BTreeMap<u32, bool>,
    /// After how many silent days this device counts as away.
    pub(crate) absence: Option<u32>,
    /// After how many silent days the group waits for a removed device of the user's.
    pub(crate) awaited_after: u32,
    /// The room that the group is.
    room: Option<RoomState>,
    /// The user's devices that the group waits for; none if they are the same as before.
    awaited: Option<Vec<Awaited>>,
}

/// What is noted of leaves that were seen on a day, or are free now.
pub(crate) fn noted<S: Store>(
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
    pub(crate) fn new<S: Store>(
        provider: &'a dyn CryptoProvider,
        book: &Book<S>,
        id: &GroupId,
        record: GroupRecord,
        (changes, room): (Vec<Change>, Option<RoomState>),
    ) -> Self {
        Self {
            provider,
            me: book.identity().device.clone(),
            id: id.clone(),
            record,
            changes,
            items: book.items(id).map(|(key, item)| (key, item.clone())).collect(),
            ends_attempt: false,
            copy_has_sent: false,
            heard: Vec::new(),
            seen: BTreeMap::new(),
            absence: None,
            awaited_after: u32::MAX,
            room,
            awaited: None,
        }
    }

    /// All changes, with the group's new record.
    pub(crate) fn finish(mut self) -> Vec<Change> {
        if let Some(awaited) = self.awaited {
            self.changes.push(Change::Awaited(self.id.clone(), awaited));
        }
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

    /// Takes what an entry leads to, with its event if it has one.
    pub(crate) fn tell<S: Store>(
        &mut self,
        book: &Book<S>,
        planned: Planned,
        events: &mut core::slice::Iter<'_, Event>,
    ) {
        let Planned { seq, time, effect } = planned;
        match effect {
            Effect::Nothing => {}
            Effect::Own => {
                if let Some(Work::Send { payload: Payload::Content(content), .. }) = self.front() {
                    let (sender, content) = (self.me.clone(), content.clone());
                    let (own, moderates) = (true, self.moderates(&sender));
                    let expiration = self.expiration();
                    self.news(News::Message {
                        seq,
                        time,
                        sender,
                        own,
                        moderates,
                        expiration,
                        content,
                    });
                }
                self.set_front(None);
                self.ends_attempt = true;
            }
            Effect::Event | Effect::Out => match events.next() {
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
            Effect::Proposal(by, proposed) => {
                events.next();
                match proposed {
                    Proposed::Remove(who) if who == by => self.news(News::Leaving { seq, who }),
                    Proposed::Remove(who) => {
                        self.news(News::Note { notice: Notice::RemovalProposed { by, who } });
                    }
                    // The member who commits it is shown to have added it.
                    Proposed::Add(who) => {
                        self.news(News::Note { notice: Notice::AdditionProposed { by, who } });
                    }
                    Proposed::Other => {}
                }
            }
            Effect::Doubted(who) => {
                events.next();
                let who = who.map_or("a member".to_string(), |who| who.to_string());
                self.news(News::Note { notice: Notice::RemovalDoubted { who } });
            }
            Effect::Refused { sender, reason, event } => {
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
        let expiration = self.expiration();
        self.news(match content.bytes().len() {
            0..=MAX_CONTENT => {
                News::Message { seq, time, sender, own, moderates, expiration, content }
            }
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

    /// What the room's policy says of expiry.
    fn expiration(&self) -> Option<MessageExpiration> {
        self.room.as_ref()?.expiration
    }

    /// A member says what the group is called. The first usable name counts.
    fn named<S: Store>(&mut self, book: &Book<S>, name: &str) {
        if self.record.name.is_empty() && is_group_name(name) {
            self.record.name = book.free_name(&self.id, name);
        }
    }

    /// An epoch has begun; `out` if without this device.
    fn epoch<S: Store>(
        &mut self,
        book: &Book<S>,
        (seq, time): (u64, u64),
        change: &EpochChange,
        out: bool,
    ) {
        self.ends_attempt = true;

        self.await_silent(book, time, &change.removed);
        self.seen.extend(change.removed.iter().map(|member| (member.index.0, false)));
        self.seen.extend(change.added.iter().map(|member| (member.index.0, true)));
        self.seen.insert(change.committer.index.0, true);

        let Some(by) = device_of(&change.committer.credential) else { return };
        for who in change.removed.iter().filter_map(|m| device_of(&m.credential)) {
            // A device that comes back by an external commit takes its own former place.
            if !(out || change.external && who == by) {
                self.news(News::Removed { seq, who, by: by.clone() });
            }
        }
        self.room_changed(book, (seq, &by), change);
        let maker = maker_of_link(change);
        for member in &change.added {
            self.added(seq, member, &by, maker.as_ref());
            if let Some(who) = device_of(&member.credential) {
                self.is_back(book, &who);
            }
            // A new member has heard of no root.
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

    /// Has the group wait for those of the user's devices that are removed after a long silence. This device judges that by its
    /// own notes, whichever member has removed them.
    fn await_silent<S: Store>(&mut self, book: &Book<S>, time: u64, removed: &[Member]) {
        for member in removed {
            let leaf = member.index.0;
            let Some(who) = device_of(&member.credential) else { continue };
            if who.user != self.me.user || who == self.me {
                continue;
            }

            let last = book.seen(&self.id).and_then(|seen| seen.day_of(leaf));
            let silent = last.map(|last| day(time.saturating_mul(1000)).saturating_sub(last));
            let was_seen = self.seen.get(&leaf).copied().unwrap_or_default();
            if was_seen || silent.is_none_or(|days| days <= self.awaited_after) {
                continue;
            }
            let awaited = self.awaited.get_or_insert_with(|| book.awaited(&self.id).to_vec());
            awaited.retain(|other| other.device != who.device);
            awaited.push(Awaited { device: who.device, removed_at: time });
        }
    }

    /// A device has come in: the group no longer waits for it.
    fn is_back<S: Store>(&mut self, book: &Book<S>, who: &DeviceId) {
        let is_it = |awaited: &Awaited| who.user == self.me.user && awaited.device == who.device;
        let awaited = self.awaited.as_deref().unwrap_or(book.awaited(&self.id));
        if awaited.iter().any(is_it) {
            self.awaited = Some(awaited.iter().filter(|a| !is_it(a)).cloned().collect());
        }
    }

    /// The news of how a commit changed the room.
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
                PREAUTH_LIST => set(&mut room.preauthorized, after),
                CHAT_HISTORY_POLICY => set(room.history.get_or_insert_default(), after),
                MESSAGE_EXPIRATION_POLICY => set(room.expiration.get_or_insert_default(), after),
                STATUS_NOTIFICATION_POLICY => {
                    set(room.status_notifications.get_or_insert_default(), after);
                }
                _ => {}
            }
        }

        let mut changes = metadata_changes(&old.metadata, &room.metadata);
        changes.extend(role_changes(room, &old.participants));
        changes.extend(policy_changes(&old, room));
        changes.extend(preauthorization_changes(&old, room));
        let is_renamed = changes.iter().any(|change| matches!(change, RoomChange::Name(_)));
        let name = name_of(room, &self.me.user);
        if is_renamed && !name.is_empty() {
            self.record.name = book.free_name(&self.id, &name);
        }
        for change in changes {
            self.news(News::Room { seq, by: by.clone(), change });
        }
    }

    /// The news that a device came in: a member has added it, or it has used a link that a member has made.
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

    /// The work that our commit was made for is done.
    fn committed(&mut self, added: &[Member]) {
        let invited: Vec<DeviceId> =
            added.iter().filter_map(|member| device_of(&member.credential)).collect();
        for (_, item) in &self.items {
            let Work::Invite { who, .. } = &item.work else { break };
            // A user who invites somebody knows them.
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

    /// Somebody else's commit came first: the work that ours was made for is tried again, in the group as it is now.
    fn begin_again(&mut self) {
        for (key, item) in &mut self.items {
            let Some(work) = not_committed(&item.work) else { break };
            item.work = work;
            self.changes.push(Change::Item(*key, Some(item.clone())));
        }
    }

    /// This device is out: what was still to be done will not be done.
    fn out(&mut self, (seq, time): (u64, u64), by: DeviceId) {
        let leaving = |(_, item): &(u64, Item)| matches!(item.work, Work::Leave { .. });
        let left = self.items.iter().any(leaving);
        self.record.stage = if left { Stage::Left } else { Stage::Removed };
        self.record.asked_by = None;
        // A device that is out brings nobody back.
        self.awaited = Some(Vec::new());
        self.news(News::Out { seq, by, left });

        let since = self.record.own_key.since;
        let days = day(time.saturating_mul(1000).saturating_sub(since));
        if !left && since > 0 && self.absence.is_some_and(|absence| days > absence) {
            self.news(News::Note { notice: Notice::RemovedWhileAway { days } });
        }
        // Others may have another limit for how long a device may be away. New key packages show them that it is back.
        if !left && since > 0 && days > 0 {
            self.changes.push(Change::KeyPackagesSince(time));
        }

        while let Some(work) = self.front() {
            if let Some(news) = not_sent(work) {
                self.news(news);
            }
            self.set_front(None);
        }
    }
}
