//! Invitations.

use super::{Engine, EngineError, Purpose};
use crate::book::Change;
use crate::code::short_member_code;
use crate::conversation::Conversation;
use crate::conversation::departure::nothing_to_do;
use crate::conversation::kept::keep_nothing;
use crate::conversation::rooms::name_of;
use crate::conversation::rules::config;
use crate::reason::Reason;
use crate::record::{GroupRecord, News, Stage, Trust};
use crate::request::Request;
use conclave_certificates::device_of;
use conclave_delivery_api::{
    AckInbox, DeviceId, FetchInbox, InboxItem, LogPosition, WelcomeItem, short_group,
};
use conclave_mls::Epoch;
use conclave_mls::join::{JoinStage, WelcomeStage, welcome_recipients};
use conclave_mls::key_package::{KeyPackageRef, OwnKeyPackage};
use conclave_mls::storage::Batch;
use conclave_room::RoomState;
use conclave_store::Store;

/// How many invitations are fetched at once.
const PAGE: u32 = 20;

/// How often an invitation to a group that this device is in waits for the log to tell how it
/// got out. Then it counts for more than what is here.
const MAX_TRIES: u32 = 2;

/// What became of an invitation.
enum Taken {
    /// It is stored, or good for nothing: the service may forget it.
    Done,
    /// Something has to be known first, which is seen to: the group's log, if it `waited` for it.
    Later { waited: bool },
}

impl<S: Store> Engine<S> {
    pub(super) fn next_lookup(&mut self) -> Result<Option<(Request, Purpose)>, EngineError> {
        // One answer waits for a proof, and others would, too.
        if self.watching.holds() {
            return Ok(None);
        }
        let Some(user) = self.lookups.pop_first() else { return Ok(None) };
        let request = self.context().fetch_user(user.clone())?;
        Ok(Some((request, Purpose::Lookup(user))))
    }

    pub(super) fn next_inbox(&mut self) -> Result<Option<(Request, Purpose)>, EngineError> {
        while let Some((item, tries)) = self.inbox.pop_front() {
            match self.take_welcome(&item, tries)? {
                Taken::Done => self.acks.push(item.id),
                Taken::Later { waited } => {
                    self.inbox.push_front((item, tries + u32::from(waited)));
                    break;
                }
            }
        }
        if !self.acks.is_empty() {
            let ids = core::mem::take(&mut self.acks);
            return Ok(Some((AckInbox { ids: ids.clone() }.into(), Purpose::Ack(ids))));
        }
        if self.inbox.is_empty() && core::mem::take(&mut self.inbox_due) {
            return Ok(Some((FetchInbox { limit: PAGE }.into(), Purpose::Inbox)));
        }
        Ok(None)
    }

    fn take_welcome(&mut self, item: &InboxItem, tries: u32) -> Result<Taken, EngineError> {
        let welcome = &item.welcome;
        let id = &welcome.group_id;
        let (cursor, last) = self.book.record(id).map_or((0, 0), |r| (r.cursor, r.epoch));
        let current =
            self.conversations.get(id).map_or(0, |conversation| conversation.group().epoch().0);
        if welcome.position.epoch <= current.max(last) {
            // Fetched once more, as the answer to the last acknowledgement was lost. Or the service
            // repeats it: taken, it would bring a past epoch back, and its keys into use again.
            return Ok(Taken::Done);
        }
        if let Some(conversation) = self.conversations.get_mut(id)
            && conversation.stuck().is_none()
            && tries < MAX_TRIES
        {
            if !conversation.is_read(cursor) {
                // The log tells first how this device got out.
                return Ok(Taken::Later { waited: false });
            }
            conversation.read_on();
            return Ok(Taken::Later { waited: true });
        }
        // By the service's word, which may be wrong: the inviter's signature is looked at below. But
        // nothing is told of what is wrong with such an invitation.
        let blocked = self.book.trust(&welcome.sender) == Some(Trust::Blocked);
        let (reference, own) = match self.own_key_package(&welcome.welcome)? {
            Some((reference, own)) if blocked => {
                return self.drop_welcome(&reference, &own, Vec::new());
            }
            Some(found) => found,
            None => return self.no_key_package(welcome, blocked),
        };
        let invalid = |e: conclave_mls::Error| {
            let (by, group) = (welcome.sender.clone(), short_group(id));
            Reason::InvitationRefused { by, group, why: e.to_string() }
        };
        let stage = match self.open_welcome(welcome, &own) {
            Ok(stage) => stage,
            Err(e) => return self.refuse_welcome(&reference, &own, invalid(e)),
        };
        let Some(verdicts) = self.judge(stage.credentials()) else {
            return Ok(Taken::Later { waited: false });
        };
        let inviter = stage.inviter().clone();
        let new = match stage.resolve(&verdicts) {
            Ok(new) => new,
            Err(e) => return self.refuse_welcome(&reference, &own, invalid(e)),
        };
        // What was accepted names a device.
        let by = device_of(&inviter.credential).unwrap_or_else(|| welcome.sender.clone());
        if self.book.trust(&by) == Some(Trust::Blocked) {
            return self.drop_welcome(&reference, &own, Vec::new());
        }
        let old = self.succeeded_by(id, &by, &inviter.signature_key);
        let earlier = self.book.record(id);
        let mut name = earlier.map(|record| record.name.clone()).unwrap_or_default();
        let room = match RoomState::in_extensions(&new.peek().context().extensions) {
            Ok(room) => room,
            Err(e) => {
                let group = short_group(id);
                let reason = Reason::InvitationRefused { by, group, why: e.to_string() };
                return self.refuse_welcome(&reference, &own, reason);
            }
        };
        let called = room.as_ref().map(|room| name_of(room, &self.device().user));
        if let Some(called) = called.filter(|called| name.is_empty() && !called.is_empty()) {
            name = self.book.free_name(id, &called);
        }
        let has_left = earlier.is_some_and(|record| record.stage == Stage::Left);
        let by_ourselves = by.user == self.device().user;
        let is_trusted = by_ourselves || self.book.trust(&by) == Some(Trust::Accepted);
        let asks = has_left || !(is_trusted || old.is_some());
        let asked_by = asks.then(|| by.clone());
        let LogPosition { seq, epoch, chain } = welcome.position;
        let record = GroupRecord {
            cursor: seq,
            chain: Some(chain),
            epoch,
            asked_by,
            ..GroupRecord::new(name, Stage::Active, self.now)
        };
        let mut changes = vec![
            Change::Record(id.clone(), record),
            Change::SeenSince(id.clone(), self.seen_day()),
        ];
        let suite = Some(new.peek().cipher_suite());
        changes.push(Change::news(id, News::Joined { seq, by: by.clone(), suite }));
        if asks {
            // What the user wanted in a group of this identifier was for those who were there then.
            changes.extend(nothing_to_do(&self.book, id));
            let code = short_member_code(&*self.provider, &by, &inviter.signature_key)?;
            changes.push(Change::news(id, News::Invited { seq, by, code }));
        }
        if !asks && !by_ourselves {
            let members = new.peek().members();
            let members: Vec<DeviceId> = members.filter_map(|m| device_of(&m.credential)).collect();
            let own = self.bring_in_own(id, &members).filter(|_| self.is_first_own(&members));
            changes.extend(own);
        }
        if !own.key_package().is_last_resort() {
            changes.push(Change::KeyPackage(reference, None));
        }
        changes.extend(keep_nothing(&self.book, id)?);
        // One that could not be followed any further gives way.
        let is_here = !self.book.store().load(id)?.is_empty();
        let book = &mut self.book;
        let group = new.store(|batch| {
            let batch = Batch { new: !is_here, clear: is_here, ..batch.clone() };
            book.commit(Some(&batch), changes)
        })?;
        self.conversations.insert(id.clone(), Conversation::new(group, None));
        if let Some(old) = old {
            self.take_over(&old, id)?;
        }
        self.plan_removals(id);
        self.count_at = 0;
        Ok(Taken::Done)
    }

    /// The own key package that a Welcome is for.
    fn own_key_package(
        &self,
        welcome: &[u8],
    ) -> Result<Option<(KeyPackageRef, OwnKeyPackage)>, EngineError> {
        for reference in welcome_recipients(welcome).unwrap_or_default() {
            if let Some(secret) = self.book.key_package(&reference)? {
                let own = OwnKeyPackage::from_secret(&*self.provider, &secret)?;
                return Ok(Some((reference, own)));
            }
        }
        Ok(None)
    }

    fn open_welcome(
        &self,
        welcome: &WelcomeItem,
        own: &OwnKeyPackage,
    ) -> Result<JoinStage, conclave_mls::Error> {
        let provider = &*self.provider;
        let tree = welcome.ratchet_tree.as_deref();
        let stage = WelcomeStage::open(provider, config(), &welcome.welcome, own)?;
        let stage = stage.join(provider, &[], tree, None)?;
        let joined = stage.context();
        if joined.group_id != welcome.group_id || joined.epoch != Epoch(welcome.position.epoch) {
            return Err(conclave_mls::error::Rejection::WrongGroup.into());
        }
        Ok(stage)
    }

    fn no_key_package(
        &mut self,
        welcome: &WelcomeItem,
        blocked: bool,
    ) -> Result<Taken, EngineError> {
        // A group that is known was joined by this very Welcome.
        if !blocked && self.book.record(&welcome.group_id).is_none() {
            let (by, group) = (welcome.sender.clone(), short_group(&welcome.group_id));
            let reason = Reason::KeyPackageGone { by, group };
            self.book.commit(None, vec![Change::News(None, News::Failed { reason })])?;
        }
        // Others like it are withdrawn.
        self.count_at = 0;
        Ok(Taken::Done)
    }

    fn refuse_welcome(
        &mut self,
        reference: &KeyPackageRef,
        own: &OwnKeyPackage,
        reason: Reason,
    ) -> Result<Taken, EngineError> {
        self.drop_welcome(reference, own, vec![Change::News(None, News::Failed { reason })])
    }

    /// Does not take an invitation: its key package is used up.
    fn drop_welcome(
        &mut self,
        reference: &KeyPackageRef,
        own: &OwnKeyPackage,
        mut changes: Vec<Change>,
    ) -> Result<Taken, EngineError> {
        if !own.key_package().is_last_resort() {
            changes.push(Change::KeyPackage(reference.clone(), None));
        }
        self.book.commit(None, changes)?;
        self.count_at = 0;
        Ok(Taken::Done)
    }
}
