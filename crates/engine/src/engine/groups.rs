//! Making groups, and leaving them.

use super::{CommandError, Engine, EngineError};
use crate::book::Change;
use crate::conversation::Conversation;
use crate::conversation::departure::forget;
use crate::conversation::phase::is_own;
use crate::conversation::rooms::room_of;
use crate::conversation::rules::{GROUP_INFO, config};
use crate::names::{is_group_name, look_alike};
use crate::reason::Reason;
use crate::record::{GroupRecord, Item, Stage, Work};
use crate::who::Who;
use conclave_delivery_api::{ChainHash, CreateGroup, Encode, GroupKind, Name};
use conclave_mls::group::{GroupParams, TreeRead};
use conclave_mls::storage::Batch;
use conclave_mls::wire::{Extension, ExtensionType};
use conclave_mls::{CipherSuite, Group, GroupId};
use conclave_room::RoomState;
use conclave_store::Store;

/// How long a new group's identifier is, in bytes.
const GROUP_ID: usize = 16;

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
        if self
            .conversations
            .values()
            .filter_map(|conversation| room_of(conversation.group()))
            .any(is_with_user)
        {
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

    /// Makes groups anew that the service does not have yet, and that name it by a key which it had before: it was
    /// set up anew meanwhile, and would refuse them.
    pub(super) fn remake_groups(&mut self) -> Result<(), EngineError> {
        let mut outdated = self.creating();
        outdated.retain(|id| {
            let names_another = |conversation: &Conversation| {
                !conversation.named_senders().is_empty()
                    && !conversation.names_service(&self.authority)
            };
            self.conversations.get(id).is_some_and(names_another)
        });
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
            let (Some(conversation), Some(record)) =
                (self.conversations.get(&id), self.book.record(&id))
            else {
                continue;
            };
            let (name, suite) = (record.name.clone(), conversation.group().cipher_suite());
            let room = room_of(conversation.group());
            self.create_group((id, name), suite, room.as_ref(), Vec::new())?;
        }
        Ok(())
    }

    /// Begins to leave a group. A device that is alone in a group, or cannot follow it any further, is out at once.
    pub(super) fn leave(&mut self, id: &GroupId) -> Result<(), CommandError> {
        let is_alone = self.conversations.get(id).is_some_and(Conversation::is_alone);
        if self.is_gone(id) || is_alone && !self.book.leaving(id) {
            return Ok(self.forget(id)?);
        }
        let work = Work::Leave { alone: false, committing: false, proposed: None };
        self.queue(id, vec![work], Vec::new())
    }

    /// Whether nothing can be done any more in a group that this device counts as one of its own: its log cannot be followed
    /// any further, or its state cannot be loaded.
    pub(super) fn is_gone(&self, id: &GroupId) -> bool {
        match self.conversations.get(id) {
            Some(conversation) => conversation.is_gone(&self.book),
            None => self.book.record(id).is_some_and(is_own),
        }
    }

    /// Leaves a group without telling the other members: there are none, or they cannot be told.
    pub(super) fn forget(&mut self, id: &GroupId) -> Result<(), EngineError> {
        let is_gone = self.is_gone(id);
        forget(&mut self.book, id, is_gone)?;
        self.conversations.remove(id);
        Ok(())
    }
}
