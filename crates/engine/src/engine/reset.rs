//! A group that is broken goes on in another one, which a member makes in its place.

use super::{CommandError, Engine, EngineError};
use crate::book::Change;
use crate::conversation::kept::keep_nothing;
use crate::conversation::rooms::room_of;
use crate::conversation::rules::config;
use crate::conversation::succession;
use crate::reason::Reason;
use crate::record::{GroupRecord, Item, News, Stage, Who, Work};
use conclave_certificates::device_of;
use conclave_delivery_api::{DeviceId, Ending, ErrorCode, is_successor, successor_id};
use conclave_mls::credential::SignaturePublicKey;
use conclave_mls::storage::Batch;
use conclave_mls::{Group, GroupId};
use conclave_store::Store;

/// How many bytes of a successor's identifier are random.
const RANDOM: usize = 16;

impl<S: Store> Engine<S> {
    /// Begins a group anew: makes its successor, with the same members. What is to be sent is sent there.
    pub(super) fn reset(&mut self, old: &GroupId) -> Result<GroupId, CommandError> {
        let Some(record) = self.book.record(old).filter(|_| self.is_in(old)) else {
            return Err(Reason::NotMember.into());
        };
        if let Some(by) = record.asked_by.clone() {
            return Err(Reason::NotAccepted { by }.into());
        }
        let roster = |group: &Group| {
            let members = group.members().filter_map(|member| device_of(&member.credential));
            (group.cipher_suite(), members.collect(), room_of(group))
        };
        let Some((suite, members, room)): Option<(_, Vec<DeviceId>, _)> =
            self.look_into(old, roster)
        else {
            return Err(Reason::StateUnreadable.into());
        };
        let known = record.name.clone();
        if self.successor_under_way(old).is_some() {
            return Err(Reason::ResetUnderWay.into());
        }

        let mut random = [0; RANDOM];
        self.rng.fill_bytes(&mut random);
        let id = successor_id(&*self.provider, old, random)?;
        let invite = |device: DeviceId| {
            let work = Work::Invite { who: device.into(), committing: false, by_itself: false };
            Change::NewItem(Item { group: id.clone(), work })
        };
        let mut changes: Vec<Change> = members
            .into_iter()
            .filter(|device| {
                device != self.device()
                    && !self.authority.is_ended(self.book.accounts(), &Who::from(device.clone()))
            })
            .map(invite)
            .collect();
        changes.extend(self.set_aside(old, &known));
        let room = self.succeeding_room(room, &id);
        self.create_group((id.clone(), known), suite, room.as_ref(), changes)?;
        Ok(id)
    }

    /// The change that gives a group's name up to its successor.
    fn set_aside(&self, old: &GroupId, name: &str) -> Option<Change> {
        let record = self.book.record(old).cloned()?;
        let name = self.book.free_name(old, &format!("{name}-old"));
        Some(Change::Record(old.clone(), GroupRecord { name, ..record }))
    }

    /// The group that another one was made to take the place of, if this device knows it.
    #[must_use]
    pub fn predecessor(&self, id: &GroupId) -> Option<GroupId> {
        succession::predecessor(&self.book, &*self.provider, id)
    }

    /// The successor of a group that this device has made and the service does not have yet.
    fn successor_under_way(&self, old: &GroupId) -> Option<GroupId> {
        let mut records = self.book.records().iter();
        let creating = |record: &GroupRecord| matches!(record.stage, Stage::Creating(_));
        let found = records.find(|(id, record)| {
            creating(record) && is_successor(&*self.provider, id, old).unwrap_or(false)
        });
        found.map(|(id, _)| id.clone())
    }

    /// Whether this device is in a group, or was when it ended, and in no successor of it.
    fn is_in(&self, old: &GroupId) -> bool {
        succession::is_in(&self.book, old)
    }

    /// Reads something of a group that this device is in, or was when it ended.
    pub(super) fn look_into<T>(&self, id: &GroupId, look: impl FnOnce(&Group) -> T) -> Option<T> {
        if let Some(conversation) = self.conversations.get(id) {
            return Some(look(conversation.group()));
        }
        let rows = self.book.store().load(id).ok()?;
        Some(look(&Group::load(&*self.provider, config(), rows).ok()?))
    }

    /// The service has no such group any more, so there is none to end: the successor is made all the same.
    pub(super) fn nothing_to_reset(
        &mut self,
        id: &GroupId,
        code: Option<ErrorCode>,
    ) -> Result<bool, EngineError> {
        match self.predecessor(id) {
            Some(old) if code == Some(ErrorCode::UnknownGroup) && self.is_in(&old) => {
                self.retire(&old, id)?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// The service has reset a group for this device, or for another one which was faster.
    pub(super) fn was_reset(
        &mut self,
        made: &GroupId,
        successor: &GroupId,
    ) -> Result<(), EngineError> {
        let Some(old) = self.predecessor(made) else { return Ok(()) };
        if made == successor {
            return self.retire(&old, made);
        }
        // Nothing was said in the one that was made here.
        let mut batch = Batch::new(made.clone());
        batch.clear = true;
        let items: Vec<(u64, Item)> =
            self.book.items(made).map(|(key, item)| (key, item.clone())).collect();
        let mut changes = Vec::new();
        for (key, item) in items {
            changes.push(Change::Item(key, None));
            if matches!(item.work, Work::Send { .. }) {
                changes.push(Change::NewItem(Item { group: old.clone(), ..item }));
            }
        }
        let records = (self.book.record(made).cloned(), self.book.record(&old).cloned());
        if let (Some(new), Some(before)) = records {
            let name = new.name.clone();
            let gone = GroupRecord { name: String::new(), stage: Stage::Left, ..new };
            changes.push(Change::Record(made.clone(), gone));
            changes.push(Change::Record(old.clone(), GroupRecord { name, ..before }));
        }
        self.book.commit(Some(&batch), changes)?;
        self.conversations.remove(made);
        self.has_ended_for(&old, &Ending::Succeeded(successor.clone()))
    }

    /// The service says that a group has ended. What this device has to send waits for the successor, into which whoever
    /// makes it invites this device.
    ///
    /// If the administrator has ended it, no device makes a successor before its user says so: the service's word alone
    /// must not bring a device to invite anybody, and not all members' devices should begin at once.
    pub(super) fn has_ended_for(
        &mut self,
        old: &GroupId,
        ending: &Ending,
    ) -> Result<(), EngineError> {
        let Some(record) = self.book.record(old).filter(|_| self.is_in(old)).cloned() else {
            return Ok(());
        };
        let successor = match ending {
            Ending::Succeeded(successor) => Some(successor.clone()),
            Ending::Unsucceeded => None,
        };
        let record = GroupRecord { stage: Stage::Ended, ..record };
        let news = Change::news(old, News::Ended { successor });
        self.book.commit(None, vec![Change::Record(old.clone(), record), news])?;
        self.conversations.remove(old);
        Ok(())
    }

    /// A group has ended, and this device is in its successor: what was to be sent is sent there.
    pub(super) fn retire(&mut self, old: &GroupId, new: &GroupId) -> Result<(), EngineError> {
        let Some(record) = self.book.record(old).cloned() else { return Ok(()) };
        let mut changes = Vec::new();
        let items: Vec<(u64, Item)> =
            self.book.items(old).map(|(key, item)| (key, item.clone())).collect();
        for (key, item) in items {
            changes.push(Change::Item(key, None));
            if let Work::Send { payload, .. } = item.work {
                let work = Work::Send { payload, sealed: None };
                changes.push(Change::NewItem(Item { group: new.clone(), work }));
            }
        }
        changes.push(Change::news(new, News::Replaces { old: old.clone() }));
        changes.push(Change::Record(old.clone(), GroupRecord { stage: Stage::Removed, ..record }));
        changes.extend(keep_nothing(&self.book, old)?);
        let mut batch = Batch::new(old.clone());
        batch.clear = true;
        self.book.commit(Some(&batch), changes)?;
        self.conversations.remove(old);
        Ok(())
    }

    /// This device has come into the successor of a group: it goes on under the same name.
    pub(super) fn take_over(&mut self, old: &GroupId, new: &GroupId) -> Result<(), EngineError> {
        let name = self.book.record(old).map(|record| record.name.clone()).unwrap_or_default();
        if let Some(record) = self.book.record(new).filter(|_| !name.is_empty()).cloned() {
            let mut changes = Vec::from_iter(self.set_aside(old, &name));
            changes.push(Change::Record(new.clone(), GroupRecord { name, ..record }));
            self.book.commit(None, changes)?;
        }
        self.retire(old, new)
    }

    /// The group that this invitation's group takes the place of: one that this device is in, and that the inviter is
    /// in by what this device has of it. So nobody else gets past the user's question.
    pub(super) fn succeeded_by(
        &self,
        id: &GroupId,
        inviter: &DeviceId,
        key: &SignaturePublicKey,
    ) -> Option<GroupId> {
        let old = self.predecessor(id)?;
        if !self.is_in(&old) || self.book.record(&old)?.asked_by.is_some() {
            return None;
        }
        let is_inviter = |group: &Group| {
            group.members().any(|member| {
                member.signature_key == *key
                    && device_of(&member.credential).as_ref() == Some(inviter)
            })
        };
        self.look_into(&old, is_inviter)?.then_some(old)
    }
}
