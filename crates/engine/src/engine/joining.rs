//! Joining a group by a link: an external commit (RFC 9420 section 12.4.3.2) that uses it.
//!
//! What is under way stands in the queue, as other work does: first the link alone, then the commit with its group,
//! stored before it is sent, so that a process that dies in between does not join twice.

use super::{CommandError, Engine, EngineError, Purpose};
use crate::book::Change;
use crate::conversation::Conversation;
use crate::conversation::departure::nothing_to_do;
use crate::conversation::external::{NotJoined, external_commit, take_leavers};
use crate::conversation::rooms::{name_of, room_of};
use crate::conversation::rules::{GROUP_INFO, config};
use crate::names::is_group_name;
use crate::reason::Reason;
use crate::record::{GroupRecord, Item, News, Stage, Work};
use crate::request::Request;
use crate::suites::suite_name;
use conclave_certificates::device_of;
use conclave_delivery_api::{
    Bytes, CallError, DeviceId, Encode, FetchLinkedGroup, GroupState, JOIN_LINKS, JoinLink,
    JoinLinkRecord, JoinLinks, JoinLinksUpdate, Outcome, Receipt, short_group,
};
use conclave_mls::component::AppDataDictionary;
use conclave_mls::crypto::Secret;
use conclave_mls::group::GroupContext;
use conclave_mls::join::{ExternalCommit, ExternalJoinOptions, ExternalJoinStage};
use conclave_mls::{Credential, GroupId};
use conclave_room::{Claim, PARTICIPANT_LIST, RoleIndex, RoomState};
use conclave_store::Store;

type Next = Option<(Request, Purpose)>;

/// The links of a group that is about to be joined.
fn links_in(context: &GroupContext) -> JoinLinks {
    let data = AppDataDictionary::find_data(&context.extensions, JOIN_LINKS).ok().flatten();
    JoinLinks::of_data(data.map(Bytes::from).as_ref())
}

/// How a user comes into the participant list of a room by a link, in the role that the user is preauthorized for or else in
/// that of everybody who joins by one: the update, and the list after it. None if the user is in the list already, or if the
/// group is no room.
fn joining_list(
    context: &GroupContext,
    (me, credential): (&DeviceId, &Credential),
) -> Result<Option<(Bytes, Bytes)>, NotJoined> {
    let Some(room) = RoomState::in_extensions(&context.extensions)? else { return Ok(None) };
    let user = me.user.as_str();
    match room.role_of(user) {
        Some(role) if role.index == RoleIndex::BANNED => {
            return Err(NotJoined("you are banned from it".into()));
        }
        Some(role) if role.index != RoleIndex::NONE => return Ok(None),
        _ => {}
    }
    let uri = room.uri_of(user).ok_or_else(|| NotJoined("its URI is too long".into()))?;
    let preauthorized = room.role_if_preauthorized(&[Claim::of_user(credential, uri.clone())]);
    let role = preauthorized.or_else(|| room.role_by_link());
    let role = role.ok_or_else(|| NotJoined("nobody joins it by a link".into()))?;
    let after = room.participants.with(&uri, role);
    let update = room.participants.update_to(&after);
    Ok(Some((update.to_bytes()?.into(), after.to_bytes()?.into())))
}

impl<S: Store> Engine<S> {
    /// Begins to join a group by a link.
    pub(super) fn join(&mut self, link: JoinLink) -> Result<(), CommandError> {
        let id = link.group_id().clone();
        if self.conversations.contains_key(&id) {
            return Err(Reason::AlreadyMember.into());
        }
        if self.joining(&id).is_some() {
            return Err(Reason::AlreadyJoining.into());
        }
        let work = Work::Join { link, commit: None };
        Ok(self.book.commit(None, vec![Change::NewItem(Item { group: id, work })])?)
    }

    /// A group's item in the queue, if it is to be joined: its key, the link, and the commit, if it is made.
    fn joining(&self, id: &GroupId) -> Option<(u64, JoinLink, Option<Secret>)> {
        self.book.items(id).find_map(|(key, item)| match &item.work {
            Work::Join { link, commit } => Some((key, link.clone(), commit.clone())),
            _ => None,
        })
    }

    /// The next call on the way into a group.
    pub(super) fn next_joining(&mut self) -> Result<Next, EngineError> {
        for id in self.book.joining() {
            if let Some(next) = self.next_joining_of(&id)? {
                return Ok(Some(next));
            }
        }
        Ok(None)
    }

    fn next_joining_of(&mut self, id: &GroupId) -> Result<Next, EngineError> {
        let Some((key, link, commit)) = self.joining(id) else { return Ok(None) };
        if self.conversations.contains_key(id) {
            // Somebody has invited this device meanwhile.
            self.book.commit(None, vec![Change::Item(key, None)])?;
            return Ok(None);
        }
        if let Some(secret) = &commit {
            let request = external_commit(&*self.provider, secret)?;
            return Ok(Some((request, Purpose::JoinCommit(id.clone()))));
        }
        let Some(state) = self.linked.remove(id) else {
            let signature = link.sign_fetch(&*self.provider, self.device())?.into();
            let key = link.key_pair(&*self.provider)?.public;
            let request = FetchLinkedGroup { group_id: id.clone(), key, signature };
            return Ok(Some((request.into(), Purpose::LinkedGroup(id.clone()))));
        };
        match self.make_join(&link, &state) {
            Ok(Some(made)) => {
                let work = Work::Join { link, commit: Some(made.to_secret()?) };
                let item = Item { group: id.clone(), work };
                self.book.commit(None, vec![Change::Item(key, Some(item))])?;
                self.next_joining_of(id)
            }
            // Its members' accounts are asked for first.
            Ok(None) => {
                self.linked.insert(id.clone(), state);
                Ok(None)
            }
            Err(NotJoined(why)) => {
                self.not_joined(id, &why)?;
                Ok(None)
            }
        }
    }

    /// The commit that joins; none while somebody's account has to be asked for.
    fn make_join(
        &mut self,
        link: &JoinLink,
        state: &GroupState,
    ) -> Result<Option<ExternalCommit>, NotJoined> {
        let (info, tree) = (&state.group_info, Some(&*state.ratchet_tree));
        let stage = ExternalJoinStage::open(&*self.provider, config(), info, tree)?;
        let context = stage.context();
        if context.group_id != *link.group_id() {
            return Err(NotJoined("the service shows another group than the link's".into()));
        }
        let suite = context.cipher_suite;
        if !self.book.identity().suites().any(|own| own == suite) {
            let what = format!("the group uses {}, which this device does not", suite_name(suite));
            return Err(NotJoined(what));
        }
        let key = link.key_pair(&*self.provider)?.public;
        let links = links_in(context);
        let members = stage.members().filter_map(|member| device_of(&member.credential));
        links.usable(&key, members, self.service_time().as_secs())?;

        let Some(verdicts) = self.judge(stage.credentials()) else { return Ok(None) };
        let signer = self.book.identity().signer.clone();
        let epoch = stage.context().epoch.0;
        let signature = link.sign_use(&*self.provider, epoch, &signer.public)?.into();
        let update = JoinLinksUpdate::Use { key: key.clone(), signature }.to_bytes()?.into();
        // A room's participants are the users whose clients are in it: whoever joins is one from now on.
        let leaf = self.leaf();
        let listed = joining_list(context, (self.device(), &leaf.credential))?;
        let mut stage = stage.with_app_data_update(JOIN_LINKS, update, links.after_use(&key)?);
        if let Some((update, list)) = listed {
            stage = stage.with_app_data_update(PARTICIPANT_LIST, update, list);
        }
        take_leavers(&*self.provider, &mut stage, state);
        let options = ExternalJoinOptions {
            group_info: Some(GROUP_INFO),
            ..ExternalJoinOptions::new(leaf, signer)
        };
        Ok(Some(stage.commit(&*self.provider, &mut *self.rng, &verdicts, options)?))
    }

    /// The service has shown the group of a link.
    pub(super) fn linked_shown(&mut self, id: GroupId, state: GroupState) {
        self.linked.insert(id, state);
    }

    /// The service's verdict on the commit that joins.
    pub(super) fn join_judged(
        &mut self,
        id: &GroupId,
        outcome: Outcome,
    ) -> Result<(), EngineError> {
        let Some((key, link, Some(secret))) = self.joining(id) else { return Ok(()) };
        match outcome {
            Outcome::Accepted { receipt, .. } => self.joined(id, &link, &secret, receipt),
            // Another commit came first: it is made again, in the group as it is now.
            Outcome::WrongEpoch { .. } => {
                let work = Work::Join { link, commit: None };
                let item = Item { group: id.clone(), work };
                Ok(self.book.commit(None, vec![Change::Item(key, Some(item))])?)
            }
        }
    }

    /// This device is in the group.
    fn joined(
        &mut self,
        id: &GroupId,
        link: &JoinLink,
        secret: &Secret,
        receipt: Receipt,
    ) -> Result<(), EngineError> {
        let made = ExternalCommit::from_secret(&*self.provider, config(), secret)?;
        let new = made.group;
        // A room says itself what it is called.
        let called = room_of(new.peek()).map(|room| name_of(&room, &self.device().user));
        let called = called.filter(|called| !called.is_empty());
        let called =
            called.or_else(|| Some(link.name().to_string()).filter(|name| is_group_name(name)));
        let name = called.map(|called| self.book.free_name(id, &called)).unwrap_or_default();
        let position = receipt.position;
        let record = GroupRecord {
            cursor: position.seq,
            chain: Some(position.chain),
            receipt: Some(receipt),
            epoch: position.epoch,
            ..GroupRecord::new(name, Stage::Active, self.now)
        };
        let public = link.key_pair(&*self.provider)?.public;
        let links = links_in(new.peek().context());
        let used = links.links().iter().find(|link: &&JoinLinkRecord| link.key == public);
        let maker = used.map_or_else(|| self.device().clone(), |link| link.maker.clone());
        let (seq, suite) = (position.seq, new.peek().cipher_suite());
        let members: Vec<DeviceId> =
            new.peek().members().filter_map(|member| device_of(&member.credential)).collect();
        let own = self.bring_in_own(id, &members).filter(|_| self.is_first_own(&members));

        // Whatever was to be done in a group of this identifier was for those who were there then.
        let mut changes = nothing_to_do(&self.book, id);
        changes.extend([
            Change::Record(id.clone(), record),
            Change::SeenSince(id.clone(), self.seen_day()),
            Change::news(id, News::JoinedByLink { seq, maker, suite }),
        ]);
        changes.extend(own);
        let book = &mut self.book;
        let group = new.store(|batch| book.commit(Some(batch), changes))?;
        let receipt = self.book.record(id).and_then(|record| record.receipt.clone());
        self.conversations.insert(id.clone(), Conversation::new(group, receipt));
        self.plan_removals(id);
        Ok(())
    }

    /// The service has refused a call on the way into a group.
    pub(super) fn join_refused(
        &mut self,
        id: &GroupId,
        error: &CallError,
    ) -> Result<(), EngineError> {
        self.not_joined(id, &error.to_string())
    }

    fn not_joined(&mut self, id: &GroupId, why: &str) -> Result<(), EngineError> {
        let Some((key, link, _)) = self.joining(id) else { return Ok(()) };
        let group =
            if is_group_name(link.name()) { link.name().to_string() } else { short_group(id) };
        let reason = Reason::NotJoined { group, why: why.into() };
        let news = Change::News(None, News::Failed { reason });
        Ok(self.book.commit(None, vec![Change::Item(key, None), news])?)
    }
}
