//! Messages into a group's log: the one place where their order is decided.

use super::framed::{Framed, decode_message};
use super::misfits::check_group_info;
use super::outdated::devices_outdated;
use super::view::{SharedView, View, lock};
use super::{Caller, Done, Notice, Operation, Service, ServiceError};
use crate::storage::{Append, Appended, CommitEffects, Found, GroupRecord, Membership, Storage};
use conclave_delivery_api::{
    Bytes, ContentType, DeviceId, DeviceRemedy, Ending, ErrorCode, Event, GroupId, LogPosition,
    MAX_PAGE, Outcome, OutdatedDevice, SubmitCommit, SubmitProposal, sha256, short_group,
};
use conclave_mls::UnixTime;
use conclave_mls::wire::{MlsMessageBody, Sender};
use std::collections::{BTreeMap, BTreeSet};

/// A message on its way into the log.
pub(super) struct Submission<'a> {
    pub(super) me: &'a DeviceId,
    /// Whether it has to be a member in the step that appends: whoever joins is none yet, what is restored is of
    /// anybody, and the service's own proposals name a device that is none any more.
    pub(super) by_member: bool,
    /// The mark that the sender's session has shown, if it is the sender who submits it.
    pub(super) state_mark: Option<u64>,
    pub(super) now: UnixTime,
    pub(super) framed: Framed,
    pub(super) message: Bytes,
    pub(super) hash: [u8; 32],
    /// Whether the log had it in a former life of the service's state: then anybody may submit it.
    pub(super) is_restored: bool,
}

impl<'a> Submission<'a> {
    /// A message that is to hold what is wanted.
    pub(super) fn decode(
        caller: &'a Caller,
        message: Bytes,
        wanted: ContentType,
    ) -> Result<Self, ServiceError> {
        let framed = Framed::decode(&message, wanted)?;
        let state_mark = caller.session.map(|session| session.state_mark);
        Ok(Self { state_mark, ..Self::new(caller.id()?, caller.now, framed, message) })
    }

    /// A message of a device's that came at a time.
    pub(super) fn new(me: &'a DeviceId, now: UnixTime, framed: Framed, message: Bytes) -> Self {
        let sender = framed.public.as_ref().map(|message| message.content.sender);
        let by_member = sender != Some(Sender::NewMemberCommit);
        let hash = sha256(&message);
        Self { me, by_member, state_mark: None, now, framed, message, hash, is_restored: false }
    }

    /// What is appended, without the effects of a commit.
    pub(super) fn append(&self, group: &GroupRecord) -> Append {
        let handshake = self.framed.content_type != ContentType::Application;
        let expected_handshake = handshake.then_some(group.handshake);
        Append { expected_handshake, ..self.append_message() }
    }

    /// The same for a message that depends on none before it.
    pub(super) fn append_message(&self) -> Append {
        Append {
            group_id: self.framed.group_id.clone(),
            expected_handshake: None,
            by_member: self.by_member,
            state_mark: self.state_mark,
            in_epoch: false,
            epoch: self.framed.epoch,
            content_type: self.framed.content_type,
            sender: self.me.clone(),
            received_at: self.now.as_secs(),
            hash: self.hash,
            message: self.message.clone(),
            commit: None,
            rows: None,
        }
    }
}

impl<S: Storage> Service<S> {
    /// Whether the caller may send this, and whether it is in the log already.
    fn admit(
        &self,
        view: &mut View,
        group: &GroupRecord,
        submission: &Submission<'_>,
    ) -> Result<Option<Found>, ServiceError> {
        let (id, me) = (&submission.framed.group_id, submission.me);
        let found = self.storage.find(id, &submission.hash)?;
        if submission.is_restored || found.as_ref().is_some_and(|f| f.sender == *me) {
            return Ok(found);
        }
        let sender = submission.framed.public.as_ref().map(|m| m.content.sender);
        match sender {
            _ if self.storage.membership(id, me)? == Membership::Member => {}
            Some(Sender::NewMemberCommit) => self.check_link_use(view, group, submission)?,
            Some(Sender::NewMemberProposal) => self.check_may_join(id, me)?,
            _ => return Err(ServiceError::not_member()),
        }
        Ok(found)
    }

    /// Takes a message into the log, at a time that may be another one than the message's own. `append` makes the
    /// record, and may refuse.
    pub(super) fn submit(
        &self,
        submission: &Submission<'_>,
        now: UnixTime,
        append: impl FnOnce(&mut View, &GroupRecord) -> Result<(Appended, CommitEffects), ServiceError>,
    ) -> Result<Done<Outcome>, ServiceError> {
        let wanted = submission.framed.content_type;
        let id = &submission.framed.group_id;
        self.known_group(id)?;
        // Handshake messages of a group come one at a time; application messages need no lock.
        let shared = if wanted == ContentType::Application {
            SharedView::default()
        } else {
            self.views.of(id)
        };

        let mut view = lock(&shared);
        let group = self.known_group(id)?;
        if let Some(found) = self.admit(&mut view, &group, submission)? {
            drop(view);
            return self.known(submission, &found, now);
        }
        if let Some(ending) = &group.ending {
            return Err(ended(ending));
        }

        let in_time = match wanted {
            ContentType::Application => self.is_still_read(&group, submission)?,
            ContentType::Proposal | ContentType::Commit => submission.framed.epoch == group.epoch,
        };
        let wrong_epoch = |group: &GroupRecord| {
            let receipt = self.receipt(id, group.position(), now)?;
            let seen = self.seen(submission);
            let seen = format!("{seen}: refused, the group is in epoch {}", group.epoch);
            Ok(Done::new(Outcome::WrongEpoch { receipt }, seen))
        };
        if !in_time {
            drop(view);
            return wrong_epoch(&group);
        }

        let appended = append(&mut view, &group);
        let in_doubt = match &appended {
            Ok((Appended::Won(_), _)) => false,
            Ok(_) => true,
            Err(e) => e.code == ErrorCode::Unavailable,
        };
        if in_doubt {
            // Memory may not be what the storage holds.
            view.loaded = None;
        }

        let is_won = matches!(appended, Ok((Appended::Won(_), _)));
        let begins_epoch = is_won && group.tracked && wanted == ContentType::Commit;
        // What comes next of a restored log is of this epoch.
        let proposed = match begins_epoch && !submission.is_restored {
            // A proposal of the epoch that has ended counts no more. What fails here is done later.
            true => self.propose_removals_in(&mut view, id, now).unwrap_or_default(),
            false => None,
        };
        drop(view);

        let (position, effects) = match appended? {
            (Appended::Won(position), effects) => (position, effects),
            (Appended::Known(found), _) => return self.known(submission, &found, now),
            (Appended::Ended(ending), _) => return Err(ended(&ending)),
            (Appended::NoMember, _) => return Err(ServiceError::not_member()),
            (Appended::Overtaken, _) => return Err(ServiceError::overtaken()),
            (Appended::KeyPackages(refused), _) => {
                return Err(self.key_packages_refused(refused, submission.me));
            }
            // Only another process can have come between: this one held the lock.
            (Appended::Lost(now), _) => return wrong_epoch(&now),
        };
        let mut done = self.accepted(submission, position, &effects, now)?;
        done.notices.extend(proposed);
        Ok(done)
    }

    /// The answer to a message that the log had already.
    pub(super) fn known(
        &self,
        submission: &Submission<'_>,
        found: &Found,
        now: UnixTime,
    ) -> Result<Done<Outcome>, ServiceError> {
        let (position, received_at) = (found.position, found.received_at);
        let receipt = self.receipt(&submission.framed.group_id, position, now)?;
        let seen =
            format!("{}: in the log already, number {}", self.seen(submission), position.seq);
        Ok(Done::new(Outcome::Accepted { receipt, received_at }, seen))
    }

    /// The answer to a message that the log has taken, and who is told of it.
    pub(super) fn accepted(
        &self,
        submission: &Submission<'_>,
        position: LogPosition,
        effects: &CommitEffects,
        now: UnixTime,
    ) -> Result<Done<Outcome>, ServiceError> {
        let id = &submission.framed.group_id;
        let receipt = self.receipt(id, position, now)?;
        let reply = Outcome::Accepted { receipt, received_at: submission.now.as_secs() };
        let seen = format!("{}: number {}", self.seen(submission), position.seq);
        Ok(Done { notices: self.notices(id, position, effects)?, ..Done::new(reply, seen) })
    }

    /// Whether an application message is of the current epoch, or of one that ended so lately that
    /// members still have its keys. If not, its sender can encrypt it again; taken, it would be lost
    /// at those who have forgotten the epoch, and nobody would know.
    fn is_still_read(
        &self,
        group: &GroupRecord,
        submission: &Submission<'_>,
    ) -> Result<bool, ServiceError> {
        let Framed { group_id, epoch, .. } = &submission.framed;
        match group.epoch.checked_sub(*epoch) {
            None => Ok(false),
            Some(0) => Ok(true),
            Some(late) if late > self.limits.past_epochs => Ok(false),
            Some(_) => {
                let ended = self.storage.epoch_ended(group_id, *epoch)?;
                let age = ended.map(|ended| submission.now.as_secs().saturating_sub(ended));
                Ok(age.is_some_and(|age| age <= self.limits.past_epoch_age.as_secs()))
            }
        }
    }

    fn seen(&self, submission: &Submission<'_>) -> String {
        let (group, bytes) = (&submission.framed.group_id, submission.message.len());
        let seen = submission.framed.seen();
        format!("group {}, {}: {seen}, {bytes} bytes", short_group(group), submission.me)
    }

    /// Who is to be told of an entry: members, those whom it removed, and those with a Welcome.
    pub(super) fn notices(
        &self,
        group: &GroupId,
        position: LogPosition,
        effects: &CommitEffects,
    ) -> Result<Vec<Notice>, ServiceError> {
        let mut to = self.storage.members(group)?;
        if !effects.removed.is_empty() {
            let removed = effects.removed.iter().cloned();
            let told: BTreeSet<DeviceId> = to.iter().cloned().chain(removed).collect();
            to = told.into_iter().collect();
        }
        let event = Event::Group { group_id: group.clone(), position };
        let mut notices = vec![Notice { to, event }];
        let welcomed: Vec<DeviceId> =
            effects.welcomes.iter().flat_map(|(_, to)| to.clone()).collect();
        if !welcomed.is_empty() {
            notices.push(Notice { to: welcomed.into(), event: Event::Inbox });
        }
        Ok(notices)
    }

    /// To whom each Welcome goes: the owners of the key packages that it names, all of them added
    /// by the commit. `tree` goes with it.
    pub(super) fn route_welcomes(
        &self,
        welcomes: Vec<Bytes>,
        tree: Option<&Bytes>,
        added: &[DeviceId],
    ) -> Result<Vec<(Bytes, Vec<DeviceId>)>, ServiceError> {
        let added: BTreeSet<&DeviceId> = added.iter().collect();
        let tree = tree.map_or(0, |tree| tree.len());
        let mut inboxes = BTreeMap::new();
        let route = |message: Bytes| {
            let MlsMessageBody::Welcome(welcome) = decode_message(&message)? else {
                return Err(ServiceError::invalid("what is given as a Welcome is none"));
            };
            let mut to = BTreeSet::new();
            for secrets in &welcome.secrets {
                let owner = self.storage.key_package_owner(&secrets.new_member)?;
                let owner = owner.ok_or_else(|| {
                    ServiceError::invalid("a Welcome names a key package that was not published")
                })?;
                if !added.contains(&owner) {
                    let detail = format!("a Welcome is for {owner}, whom the commit does not add");
                    return Err(ServiceError::invalid(detail));
                }
                if to.insert(owner.clone()) {
                    self.check_inbox(&mut inboxes, owner, message.len().saturating_add(tree))?;
                }
            }
            Ok((message, to.into_iter().collect()))
        };
        welcomes.into_iter().map(route).collect()
    }

    /// Whether a device's inbox has room for so many bytes more, beside what this commit has put
    /// there already. Commits to other groups may come between, so that a few more may be taken.
    fn check_inbox(
        &self,
        inboxes: &mut BTreeMap<DeviceId, (u32, u64)>,
        device: DeviceId,
        bytes: usize,
    ) -> Result<(), ServiceError> {
        let (items, held) = match inboxes.get(&device) {
            Some(size) => *size,
            None => self.storage.inbox_size(&device)?,
        };
        let items = items.saturating_add(1);
        let held = held.saturating_add(bytes as u64);
        if items > self.limits.inbox_items || held > self.limits.inbox_bytes {
            let detail = format!("the inbox of {device} is full until it fetches what is there");
            return Err(ServiceError::too_many(detail));
        }
        inboxes.insert(device, (items, held));
        Ok(())
    }

    /// The effects of a commit in an opaque group, as the submitter tells them.
    fn told_effects(
        &self,
        request: SubmitCommit,
        submission: &Submission<'_>,
    ) -> Result<CommitEffects, ServiceError> {
        if request.added.len() + request.removed.len() > self.limits.named_devices {
            return Err(ServiceError::too_many("the commit names too many devices"));
        }
        let mut added = request.added;
        if submission.framed.is_from_outside() {
            added.push(submission.me.clone());
        }
        let mut revoked = Vec::new();
        for device in &added {
            let Some(known) = self.storage.device(device)? else {
                return Err(ServiceError::invalid(format!("there is no device {device}")));
            };
            if !known.active {
                let remedy = DeviceRemedy::Remove;
                revoked.push(OutdatedDevice { device: device.clone(), remedy });
            }
        }
        if let Some(first) = revoked.first() {
            let detail = format!("the commit adds {}, which was revoked", first.device);
            return Err(devices_outdated(detail, revoked));
        }
        for device in &request.removed {
            if self.storage.device(device)?.is_none() {
                return Err(ServiceError::invalid(format!("there is no device {device}")));
            }
        }
        let tree = request.ratchet_tree.as_ref();
        let welcomes = self.route_welcomes(request.welcomes, tree, &added)?;
        Ok(CommitEffects {
            added,
            removed: request.removed,
            welcomes,
            ratchet_tree: request.ratchet_tree,
            group_info: request.group_info,
            key_packages: None,
        })
    }
}

impl<S: Storage> Service<S> {
    /// Appends a proposal.
    pub(super) fn append_proposal(
        &self,
        view: &mut View,
        group: &GroupRecord,
        submission: &Submission<'_>,
    ) -> Result<(Appended, CommitEffects), ServiceError> {
        let appended = match group.tracked {
            true => self.append_tracked_proposal(view, group, submission)?,
            false => self.storage.append(submission.append(group))?,
        };
        Ok((appended, CommitEffects::default()))
    }

    /// Appends an application message.
    pub(super) fn append_application(
        &self,
        group: &GroupRecord,
        submission: &Submission<'_>,
    ) -> Result<(Appended, CommitEffects), ServiceError> {
        Ok((self.storage.append(submission.append(group))?, CommitEffects::default()))
    }
}

/// The refusal of what comes into a group that has ended.
pub(super) fn ended(ending: &Ending) -> ServiceError {
    let detail = match ending {
        Ending::Succeeded(successor) => {
            format!("the group was reset, and goes on in {}", short_group(successor))
        }
        Ending::Unsucceeded => {
            "the service's administrator has ended the group: a member can begin another in its place"
                .into()
        }
    };
    ServiceError::new(ErrorCode::GroupEnded, detail)
}

impl Operation for SubmitCommit {
    const LONG: bool = true;

    fn run<S: Storage>(
        mut self,
        service: &Service<S>,
        caller: &Caller,
    ) -> Result<Done<Outcome>, ServiceError> {
        let commit = core::mem::take(&mut self.commit);
        let key_packages = core::mem::take(&mut self.key_packages);
        let submission = Submission::decode(caller, commit, ContentType::Commit)?;
        service.submit(&submission, caller.now, |view, group| {
            let framed = &submission.framed;
            let epoch = framed.epoch.checked_add(1);
            let epoch = epoch.ok_or_else(|| ServiceError::invalid("there is no next epoch"))?;
            if self.leaves_out.len() > MAX_PAGE as usize {
                return Err(ServiceError::too_many("the commit leaves out too many proposals"));
            }
            let key_packages = match key_packages.is_empty() {
                true => None,
                false => Some(service.new_key_packages(caller, key_packages, None)?),
            };
            if group.tracked {
                let request = (self, key_packages);
                return service.append_tracked_commit(view, group, &submission, request);
            }
            if let Some(info) = &self.group_info {
                check_group_info(info, &framed.group_id, epoch)?;
            }
            let effects =
                CommitEffects { key_packages, ..service.told_effects(self, &submission)? };
            let commit = Some(effects.clone());
            let append = Append { commit, ..submission.append(group) };
            Ok((service.storage.append(append)?, effects))
        })
    }
}

impl Operation for SubmitProposal {
    const LONG: bool = true;

    fn run<S: Storage>(
        self,
        service: &Service<S>,
        caller: &Caller,
    ) -> Result<Done<Outcome>, ServiceError> {
        let submission = Submission::decode(caller, self.proposal, ContentType::Proposal)?;
        service.submit(&submission, caller.now, |view, group| {
            service.append_proposal(view, group, &submission)
        })
    }
}
