//! Making groups and reading them.

use super::{Caller, Done, Operation, Service, ServiceError};
use crate::storage::{GroupAdded, GroupRecord, Membership, NewGroup, Storage};
use conclave_delivery_api::{
    CreateGroup, Created, DeviceId, Encode, ErrorCode, FetchGroupInfo, FetchLog, GroupId,
    GroupKind, GroupState, LogPage, LogPosition, MAX_PAGE, PAGE_BYTES, short_group,
};

impl<S: Storage> Service<S> {
    /// A group, which a stranger is told nothing of that it could not guess.
    pub(super) fn known_group(&self, id: &GroupId) -> Result<GroupRecord, ServiceError> {
        self.storage.group(id)?.ok_or_else(|| {
            ServiceError::new(ErrorCode::UnknownGroup, "there is no group with this identifier")
        })
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

impl Operation for CreateGroup {
    const LONG: bool = true;

    fn run<S: Storage>(
        self,
        service: &Service<S>,
        caller: &Caller,
    ) -> Result<Done<Created>, ServiceError> {
        let me = caller.id()?;
        service.check_group_id(&self.group_id)?;
        // Who repeats the request gets the same answer; who else makes the same one does not.
        let mut request = me.to_bytes().map_err(ServiceError::invalid)?;
        self.to_bytes().map_err(ServiceError::invalid)?.iter().for_each(|b| request.push(*b));
        let request_hash = service.sha256(&request)?;
        let short = short_group(&self.group_id);
        let (epoch, members, rows, what) = match &self.kind {
            GroupKind::Opaque { epoch } => (*epoch, vec![me.clone()], None, "opaque"),
            GroupKind::Tracked { group_info, ratchet_tree } => {
                let first = service.first_view(
                    &self.group_id,
                    me,
                    (group_info, ratchet_tree),
                    caller.now,
                )?;
                (first.epoch, first.members, Some(first.rows), "tracked")
            }
        };
        let seen = format!("group {short}, {what}, epoch {epoch}, {} members", members.len());
        let group = NewGroup {
            group_id: self.group_id.clone(),
            tracked: rows.is_some(),
            epoch,
            request_hash,
            creator: me.clone(),
            members,
            rows,
            now: caller.now.as_secs(),
        };
        let most = service.limits.groups;
        match service.storage.create_group(group, most)? {
            GroupAdded::There => {}
            GroupAdded::Another => {
                let detail = format!("there is another group {short}");
                return Err(ServiceError::new(ErrorCode::GroupExists, detail));
            }
            GroupAdded::TooMany => {
                return Err(ServiceError::too_many(format!("{me} has made {most} groups already")));
            }
        }
        let group = service.known_group(&self.group_id)?;
        let receipt = service.receipt(&self.group_id, group.position(), caller.now)?;
        Ok(Done::new(Created { receipt }, seen))
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
        let head = match service.storage.membership(&self.group_id, me)? {
            Membership::Member => group.head,
            Membership::Former(seq) => seq,
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
        Ok(Done::new(LogPage { entries, head, before, end }, seen))
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
        let seen =
            format!("group {short}, GroupInfo and tree of epoch {}", state.receipt.position.epoch);
        Ok(Done::new(state, seen))
    }
}
