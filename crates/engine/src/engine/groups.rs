//! Which call a group needs next.

use super::rooms::room_of;
use super::{CommandError, Engine, EngineError, Purpose};
use crate::book::Change;
use crate::conversation::rules::config;
use crate::conversation::{Conversation, Standing};
use crate::names::{is_group_name, look_alike};
use crate::notice::Notice;
use crate::reason::Reason;
use crate::record::{GroupRecord, Item, News, Payload, Stage, Work};
use crate::request::Request;
use crate::who::Who;
use conclave_delivery_api::{ChainHash, CreateGroup, Decode, Encode, FetchLog, GroupKind, Name};
use conclave_mls::credential::ExternalSender;
use conclave_mls::group::{GroupParams, TreeRead};
use conclave_mls::join::GroupInfoOptions;
use conclave_mls::storage::Batch;
use conclave_mls::wire::{Extension, ExtensionType, find_extension};
use conclave_mls::{CipherSuite, Group, GroupId};
use conclave_room::RoomState;
use conclave_store::Store;

/// How many log entries are fetched, and written, at once.
const PAGE: u32 = 200;
/// How long a new group's identifier is, in bytes.
const GROUP_ID: usize = 16;

/// What the service keeps for those who join from outside: the tree it knows.
pub(super) const GROUP_INFO: GroupInfoOptions =
    GroupInfoOptions { ratchet_tree: false, external_pub: true };

/// What is to be told of something that is not done, as this device is out.
pub(super) fn not_sent(work: &Work) -> Option<News> {
    match work {
        Work::Send { payload: Payload::Content(content), .. } => {
            let what = match content.text() {
                Some(text) => text.to_string(),
                None => format!("{} bytes of {}", content.bytes().len(), content.media_type()),
            };
            Some(News::Failed { reason: Reason::NotSent { content: what } })
        }
        _ => None,
    }
}

impl<S: Store> Engine<S> {
    /// Makes a group, here first: in the suite that is chosen, or in the device's own. Never in
    /// another because somebody has no key packages of it.
    pub(super) fn new_group(
        &mut self,
        name: String,
        chosen: Option<CipherSuite>,
    ) -> Result<GroupId, CommandError> {
        if !is_group_name(&name) {
            return Err(Reason::UnusableName.into());
        }
        let cipher_suite = self.suite_for(chosen)?;
        let mut names = self.book.records().values().map(|record| &record.name);
        if let Some(taken) = names.find(|taken| look_alike(taken, &name)).cloned() {
            return Err(Reason::NameTaken { taken }.into());
        }
        let id = self.new_group_id();
        let own = self.bring_in_own(&id, core::slice::from_ref(self.device()));
        let room = self.new_room(&id, None);
        let changes = own.into_iter().collect();
        self.create_group((id.clone(), name), cipher_suite, Some(&room), changes)?;
        Ok(id)
    }

    /// Makes a direct chat, and invites the other user.
    pub(super) fn new_direct(
        &mut self,
        user: Name,
        chosen: Option<CipherSuite>,
    ) -> Result<GroupId, CommandError> {
        if user == self.device().user {
            return Err(Reason::DirectWithItself.into());
        }
        let cipher_suite = self.suite_for(chosen)?;
        let is_with_user = |room: RoomState| {
            room.is_direct() && room.users().any(|(other, _)| other == user.as_str())
        };
        if self.conversations.values().filter_map(|live| room_of(&live.group)).any(is_with_user) {
            return Err(Reason::DirectChatExists { user }.into());
        }

        let id = self.new_group_id();
        let name = self.book.free_name(&id, user.as_str());
        let own = self.bring_in_own(&id, core::slice::from_ref(self.device()));
        let who = Who { user: user.clone(), device: None };
        let unblocked = self.unblocked(core::slice::from_ref(&who));
        let work = Work::Invite { who, committing: false, by_itself: false };
        let invite = Change::NewItem(Item { group: id.clone(), work });

        let room = self.new_room(&id, Some(&user));
        let changes = unblocked.into_iter().chain(own).chain([invite]).collect();
        self.create_group((id.clone(), name), cipher_suite, Some(&room), changes)?;
        Ok(id)
    }

    fn new_group_id(&mut self) -> GroupId {
        let mut id = vec![0; GROUP_ID];
        self.rng.fill_bytes(&mut id);
        GroupId::from(id)
    }

    /// The suite of a new group: the one that is chosen, or the device's own.
    fn suite_for(&self, chosen: Option<CipherSuite>) -> Result<CipherSuite, Reason> {
        let identity = self.book.identity();
        let cipher_suite = chosen.unwrap_or(identity.cipher_suite);
        if !identity.suites().any(|suite| suite == cipher_suite) {
            return Err(Reason::SuiteNotUsed { suite: cipher_suite });
        }
        Ok(cipher_suite)
    }

    /// Makes a group with this identifier and name. It replaces one that this device has made and the service does not
    /// have.
    pub(super) fn create_group(
        &mut self,
        (id, name): (GroupId, String),
        cipher_suite: CipherSuite,
        room: Option<&RoomState>,
        changes: Vec<Change>,
    ) -> Result<(), EngineError> {
        let mut extensions = self.group_extensions()?;
        extensions.extend(room.map(Self::room_extension).transpose()?);
        let params = GroupParams {
            group_id: id.clone(),
            cipher_suite,
            extensions,
            leaf: self.leaf(),
            lifetime: self.lifetime(),
        };
        let signer = self.book.identity().signer.clone();
        let provider = &*self.provider;
        let new = Group::create(provider, &mut *self.rng, config(), params, signer)?;
        let kind = GroupKind::Tracked {
            group_info: new.peek().group_info(provider, GROUP_INFO)?.into(),
            ratchet_tree: new
                .peek()
                .tree()
                .to_extension_bytes()
                .map_err(conclave_mls::Error::from)?
                .into(),
        };
        let request = CreateGroup { group_id: id.clone(), kind };
        let request = request.to_bytes().map_err(conclave_mls::Error::from)?;
        let record = GroupRecord {
            chain: Some(ChainHash::EMPTY),
            ..GroupRecord::new(name, Stage::Creating(request), self.now)
        };
        let mut all = vec![
            Change::Record(id.clone(), record),
            Change::SeenSince(id.clone(), self.seen_day()),
        ];
        all.extend(changes);
        let book = &mut self.book;
        let is_known = book.record(&id).is_some();
        let group = new.store(|batch| {
            let batch = Batch { new: !is_known, clear: is_known, ..batch.clone() };
            book.commit(Some(&batch), all)
        })?;
        self.made.insert(id.clone());
        self.conversations.insert(id, Conversation::new(group, None));
        Ok(())
    }

    /// The extensions of a new group: it takes proposals of the service, if that has said its key, so that revoked
    /// devices leave the group even if no device of their user's is there.
    fn group_extensions(&self) -> Result<Vec<Extension>, EngineError> {
        let Some(sender) = self.authority.sender() else { return Ok(Vec::new()) };
        let senders = vec![sender.clone()];
        let extension = Extension::new(ExtensionType::EXTERNAL_SENDERS, &senders);
        Ok(vec![extension.map_err(conclave_mls::Error::from)?])
    }

    /// The external senders that a group names.
    fn named_senders(&self, id: &GroupId) -> Vec<ExternalSender> {
        let Some(live) = self.conversations.get(id) else { return Vec::new() };
        let extensions = &live.group.context().extensions;
        let named = find_extension(extensions, ExtensionType::EXTERNAL_SENDERS).ok().flatten();
        named.unwrap_or_default()
    }

    /// Whether the service proposes the removal of revoked devices in a group.
    pub(super) fn names_service(&self, id: &GroupId) -> bool {
        let sender = self.authority.sender();
        sender.is_some_and(|sender| self.named_senders(id).contains(sender))
    }

    /// Makes groups anew that the service does not have yet, and that name it by a key which it had before: it was
    /// set up anew meanwhile, and would refuse them.
    pub(super) fn remake_groups(&mut self) -> Result<(), EngineError> {
        let mut outdated = self.creating();
        outdated.retain(|id| !self.named_senders(id).is_empty() && !self.names_service(id));
        self.remake(outdated)
    }

    /// The groups that the service does not have yet.
    pub(super) fn creating(&self) -> Vec<GroupId> {
        let records = self.book.records().iter();
        let creating = records.filter(|(_, record)| matches!(record.stage, Stage::Creating(_)));
        creating.map(|(id, _)| id.clone()).collect()
    }

    /// Makes groups anew that the service does not have yet.
    pub(super) fn remake(&mut self, groups: Vec<GroupId>) -> Result<(), EngineError> {
        for id in groups {
            let (Some(live), Some(record)) = (self.conversations.get(&id), self.book.record(&id))
            else {
                continue;
            };
            let (name, suite) = (record.name.clone(), live.group.cipher_suite());
            let room = room_of(&live.group);
            self.create_group((id, name), suite, room.as_ref(), Vec::new())?;
        }
        Ok(())
    }

    /// Asks to leave. A device that is alone in a group, or cannot follow it any further, is out at once.
    pub(super) fn leave(&mut self, id: &GroupId) -> Result<(), CommandError> {
        if self.is_gone(id) || self.is_alone(id) && !self.book.leaving(id) {
            return Ok(self.forget(id)?);
        }
        let work = Work::Leave { alone: false, committing: false, proposed: None };
        self.queue(id, vec![work], Vec::new())
    }

    /// Whether nothing can be done in a group that this device counts as one of its own: it cannot
    /// be followed any further, or its state cannot be loaded.
    pub(super) fn is_gone(&self, id: &GroupId) -> bool {
        let record = self.book.record(id);
        let own = record.is_some_and(|r| matches!(r.stage, Stage::Active | Stage::Creating(_)));
        own && self.conversations.get(id).is_none_or(|live| live.stuck().is_some())
    }

    /// Whether nobody else is in a group, as far as this device knows. While a commit of its own is under way, it does
    /// not know: the service may have taken the commit, which may have added somebody.
    pub(super) fn is_alone(&self, id: &GroupId) -> bool {
        let is_alone = |live: &Conversation| {
            live.group.pending_commit().is_none() && live.group.members().count() == 1
        };
        self.conversations.get(id).is_some_and(is_alone)
    }

    /// Leaves a group without a word to the others: nobody else is in it, or none can be said.
    pub(super) fn forget(&mut self, id: &GroupId) -> Result<(), EngineError> {
        let Some(record) = self.book.record(id).cloned() else { return Ok(()) };
        let mut batch = Batch::new(id.clone());
        batch.clear = true;
        let (seq, by) = (record.cursor, self.device().clone());
        let record = GroupRecord { stage: Stage::Left, asked_by: None, ..record };
        let mut changes = vec![
            Change::Record(id.clone(), record),
            Self::news(id, News::Out { seq, by, left: true }),
        ];
        if self.is_gone(id) {
            changes.push(Self::news(id, News::Note { notice: Notice::GroupForgotten }));
        }
        changes.extend(self.nothing_to_do(id));
        changes.extend(self.keep_nothing(id)?);
        self.book.commit(Some(&batch), changes)?;
        self.conversations.remove(id);
        Ok(())
    }

    /// Empties a group's queue.
    pub(super) fn nothing_to_do(&self, id: &GroupId) -> Vec<Change> {
        let mut changes = Vec::new();
        for (key, item) in self.book.items(id) {
            changes.extend(not_sent(&item.work).map(|news| Self::news(id, news)));
            changes.push(Change::Item(key, None));
        }
        changes
    }

    /// Whether nothing can be done in a group now.
    pub(super) fn group_is_settled(&self, id: &GroupId, live: &Conversation) -> bool {
        let Some(record) = self.book.record(id) else { return true };
        if self.comes_back(id) && live.stuck().is_none() {
            return self.comes_back_at(id).is_some();
        }
        if live.stuck().is_some() {
            return true;
        }
        // A departure waits for somebody else.
        let waits = |item: &Item| {
            let proposed = matches!(item.work, Work::Leave { proposed: Some(_), .. });
            proposed && live.attempt.delivered
        };
        live.log.is_read(record.cursor)
            && !self.is_missing_something(id)
            && !matches!(record.stage, Stage::Creating(_))
            && live.group.pending_commit().is_none()
            && live.attempt.commit_at.is_none()
            && self.book.front(id).is_none_or(|(_, item)| waits(item))
    }

    /// The next call of the next group that needs one and has none under way.
    pub(super) fn next_of_groups(&mut self) -> Result<Option<(Request, Purpose)>, EngineError> {
        self.plan_renewals()?;
        let ids: Vec<GroupId> = self.conversations.keys().cloned().collect();
        // The one after the last served comes first, so that a busy group does not hold up others.
        let after = |id: &&GroupId| self.last_group.as_ref().is_some_and(|last| **id > *last);
        let start = ids.iter().position(|id| after(&id)).unwrap_or(0);
        let (first, second) = ids.split_at(start);
        let waiting = self.under_way.take_waiting();
        for id in waiting.iter().chain(second).chain(first) {
            if self.under_way.is_of(id) {
                continue;
            }
            if let Some(next) = self.next_of_group(id)? {
                self.last_group = Some(id.clone());
                return Ok(Some(next));
            }
            if !self.under_way.takes_another() {
                // The group now waits to make its call alone.
                break;
            }
        }
        Ok(None)
    }

    fn next_of_group(&mut self, id: &GroupId) -> Result<Option<(Request, Purpose)>, EngineError> {
        self.resume_giving(id);
        let comes_back = self.comes_back(id);
        let (Some(live), Some(record)) = (self.conversations.get_mut(id), self.book.record(id))
        else {
            return Ok(None);
        };
        if live.stuck().is_some() {
            return Ok(None);
        }
        if matches!(live.standing, Standing::Asks)
            && (self.watching.holds() || !self.lookups.is_empty())
        {
            return Ok(None);
        }
        live.standing = Standing::Follows;
        if let Stage::Creating(request) = &record.stage {
            if !self.under_way.may_go_alone(id) {
                return Ok(None);
            }
            if let Some(request) = self.reset_request(id, request)? {
                return Ok(Some((request.into(), Purpose::Create(id.clone()))));
            }
            let request = CreateGroup::from_bytes(request).map_err(conclave_mls::Error::from)?;
            return Ok(Some((request.into(), Purpose::Create(id.clone()))));
        }
        if live.ends_here && comes_back {
            // It cannot be read any further.
            return self.next_rejoin(id);
        }
        if !live.log.is_read(record.cursor) {
            live.log.asked_head = live.log.head;
            let after = live.restoring.compare.unwrap_or(record.cursor);
            let request = FetchLog { group_id: id.clone(), after, limit: PAGE };
            return Ok(Some((request.into(), Purpose::Log(id.clone()))));
        }
        if comes_back {
            return self.next_rejoin(id);
        }
        let (delivered, held) =
            (live.attempt.delivered, live.restoring.held_until(self.now).is_some());
        if self.is_missing_something(id) {
            return self.next_given_back(id);
        }
        if held {
            return Ok(None);
        }
        match self.pending_commit(id) {
            // What was delivered is the commit: the log will bring it.
            Some(_) if delivered => return Ok(None),
            Some(request) => return Ok(Some((request.into(), Purpose::Commit(id.clone())))),
            None => {}
        }
        if !delivered && let Some(next) = self.next_renewal(id)? {
            return Ok(Some(next));
        }
        if let Some(next) = self.next_fresh_key(id)? {
            return Ok(Some(next));
        }
        if let Some(next) = self.next_stale(id)? {
            return Ok(Some(next));
        }
        if !delivered && let Some(next) = self.next_item(id)? {
            return Ok(Some(next));
        }
        self.next_auto_commit(id)
    }
}
