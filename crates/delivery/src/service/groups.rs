//! Making groups and reading them.

use super::error::provider_error;
use super::{Caller, Done, Notice, Operation, Service, ServiceError};
use crate::storage::{GroupAdded, GroupRecord, Membership, NewGroup, Quota, Storage};
use conclave_delivery_api::{
    CreateGroup, Created, DeviceId, Encode, Ending, ErrorCode, Event, FetchGroupInfo, FetchLog,
    GroupId, GroupKind, GroupState, LogPage, LogPosition, MAX_PAGE, PAGE_BYTES, ResetGroup,
    WasReset, is_successor, sha256, short_group,
};

pub(super) fn unknown_group() -> ServiceError {
    ServiceError::new(ErrorCode::UnknownGroup, "there is no group with this identifier")
}

impl<S: Storage> Service<S> {
    /// A group, which a stranger is told nothing of that it could not guess.
    pub(super) fn known_group(&self, id: &GroupId) -> Result<GroupRecord, ServiceError> {
        self.storage.group(id)?.ok_or_else(unknown_group)
    }

    /// The place of an entry that is in a group's log.
    fn position(
        &self,
        id: &GroupId,
        group: &GroupRecord,
        seq: u64,
    ) -> Result<LogPosition, ServiceError> {
        if seq == group.head {
            return Ok(group.position());
        }
        self.storage.position(id, seq)?.ok_or_else(|| {
            let detail = format!("message {seq} of the group's log is kept no longer");
            ServiceError::new(ErrorCode::LogTruncated, detail)
        })
    }

    /// That a device may join a group from outside: it is in the group and has fallen behind.
    ///
    /// Not another device of a member's user: the members have not seen it yet, and whoever has a stolen device
    /// or the recovery key could have added it.
    pub(super) fn check_may_join(
        &self,
        group: &GroupId,
        me: &DeviceId,
    ) -> Result<(), ServiceError> {
        let detail = match self.storage.membership(group, me)? {
            Membership::Member => return Ok(()),
            Membership::Former(_) => format!("{me} was removed: a member has to invite it"),
            Membership::Stranger => format!("{me} is not in the group: a member has to invite it"),
        };
        Err(ServiceError::new(ErrorCode::NotMember, detail))
    }
}

impl<S: Storage> Service<S> {
    /// Creates a group, in place of another one if that is named. Says what became of it, and what was seen.
    fn create(
        &self,
        caller: &Caller,
        request: &CreateGroup,
        predecessor: Option<GroupId>,
    ) -> Result<(GroupAdded, String), ServiceError> {
        let me = caller.id()?;
        self.check_group_id(&request.group_id)?;
        // Who repeats the request gets the same answer; who else makes the same one does not.
        let mut hashed = me.to_bytes().map_err(ServiceError::invalid)?;
        request.to_bytes().map_err(ServiceError::invalid)?.iter().for_each(|b| hashed.push(*b));
        let request_hash = sha256(&hashed);
        let short = short_group(&request.group_id);
        let (epoch, members, rows, what) = match &request.kind {
            GroupKind::Opaque { epoch } => (*epoch, vec![me.clone()], None, "opaque"),
            GroupKind::Tracked { group_info, ratchet_tree } => {
                let first =
                    self.first_view(&request.group_id, me, (group_info, ratchet_tree), caller.now)?;
                (first.epoch, first.members, Some(first.rows), "tracked")
            }
        };
        let seen = format!("group {short}, {what}, epoch {epoch}, {} members", members.len());
        let group = NewGroup {
            group_id: request.group_id.clone(),
            tracked: rows.is_some(),
            epoch,
            request_hash,
            creator: me.clone(),
            members,
            rows,
            predecessor,
            now: caller.now.as_secs(),
        };
        let most = self.most(&me.user, Quota::Groups, self.limits.groups)?;
        match self.storage.create_group(group, most)? {
            GroupAdded::Another => {
                let detail = format!("there is another group {short}");
                Err(ServiceError::new(ErrorCode::GroupExists, detail))
            }
            GroupAdded::TooMany => Err(ServiceError::too_many(format!(
                "{me} may make {most} groups, and has made as many or more"
            ))),
            added @ (GroupAdded::There | GroupAdded::Succeeded(_)) => Ok((added, seen)),
        }
    }
}

impl Operation for CreateGroup {
    const LONG: bool = true;

    fn run<S: Storage>(
        self,
        service: &Service<S>,
        caller: &Caller,
    ) -> Result<Done<Created>, ServiceError> {
        let (_, seen) = service.create(caller, &self, None)?;
        let group = service.known_group(&self.group_id)?;
        let receipt = service.receipt(&self.group_id, group.position(), caller.now)?;
        Ok(Done::new(Created { receipt }, seen))
    }
}

impl Operation for ResetGroup {
    const LONG: bool = true;

    fn run<S: Storage>(
        self,
        service: &Service<S>,
        caller: &Caller,
    ) -> Result<Done<WasReset>, ServiceError> {
        let (old, me) = (&self.group_id, caller.id()?);
        let group = service.known_group(old)?;
        if service.storage.membership(old, me)? != Membership::Member {
            return Err(ServiceError::not_member());
        }
        let new = &self.successor.group_id;
        if !is_successor(&*service.provider, new, old).map_err(provider_error)? {
            let detail = "the successor's identifier does not name the group that it succeeds";
            return Err(ServiceError::invalid(detail));
        }
        let short = short_group(old);
        let before = group.ending.as_ref().and_then(Ending::successor);
        if let Some(successor) = before.filter(|successor| *successor != new).cloned() {
            let seen = format!("group {short} was reset before");
            return Ok(Done::new(WasReset { successor, receipt: None }, seen));
        }

        let (added, seen) = service.create(caller, &self.successor, Some(old.clone()))?;
        let successor = match added {
            GroupAdded::Succeeded(another) => another,
            _ => new.clone(),
        };
        let receipt = match successor == *new {
            true => {
                let position = service.known_group(new)?.position();
                Some(service.receipt(new, position, caller.now)?)
            }
            false => None,
        };
        let seen =
            format!("group {short} ends, and goes on in {}: {seen}", short_group(&successor));
        let mut done = Done::new(WasReset { successor: successor.clone(), receipt }, seen);
        let to = service.storage.members(old)?;
        let ending = Ending::Succeeded(successor);
        let event = Event::Ended { group_id: old.clone(), ending };
        done.notices.push(Notice { to, event });
        Ok(done)
    }
}

impl Operation for FetchLog {
    fn run<S: Storage>(
        self,
        service: &Service<S>,
        caller: &Caller,
    ) -> Result<Done<LogPage>, ServiceError> {
        let me = caller.id()?;
        let group = service.known_group(&self.group_id)?;
        let (head, ending) = match service.storage.membership(&self.group_id, me)? {
            Membership::Member => (group.head, group.ending.clone()),
            Membership::Former(seq) => (seq, None),
            Membership::Stranger => return Err(ServiceError::not_member()),
        };
        let limit = self.limit.min(MAX_PAGE);
        let entries = service.storage.log(&self.group_id, self.after, head, limit, PAGE_BYTES)?;
        // The beginning of a log may have been dropped; its last entry never is.
        let first = entries.first().map(|entry| entry.seq);
        if let Some(first) = first.filter(|first| *first != self.after.saturating_add(1)) {
            let detail = format!(
                "the log begins with number {first} now: what came after {} is kept no longer",
                self.after
            );
            return Err(ServiceError::new(ErrorCode::LogTruncated, detail));
        }
        let end = entries.last().map_or(self.after.min(head), |entry| entry.seq);
        let before = end.saturating_sub(entries.len() as u64);
        let end = service.position(&self.group_id, &group, end)?;
        let before = service.storage.position(&self.group_id, before)?.map(|before| before.chain);
        let end = service.receipt(&self.group_id, end, caller.now)?;
        let seen = format!(
            "group {}, {me} fetches {} messages after {}",
            short_group(&self.group_id),
            entries.len(),
            self.after
        );
        Ok(Done::new(LogPage { entries, head, before, end, ending }, seen))
    }
}

impl Operation for FetchGroupInfo {
    fn run<S: Storage>(
        self,
        service: &Service<S>,
        caller: &Caller,
    ) -> Result<Done<GroupState>, ServiceError> {
        let me = caller.id()?;
        service.known_group(&self.group_id)?;
        service.check_may_join(&self.group_id, me)?;
        let state = service.group_state(&self.group_id, caller.now)?;
        let short = short_group(&self.group_id);
        let (epoch, pending) = (state.receipt.position.epoch, state.pending);
        let seen =
            format!("group {short}, GroupInfo and tree of epoch {epoch}, {pending} proposals");
        Ok(Done::new(state, seen))
    }
}
