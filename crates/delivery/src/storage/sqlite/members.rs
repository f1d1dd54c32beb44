//! Who is in a group, kept in memory: it is asked for each message, and changes with a commit or an account alone.

use conclave_delivery_api::{DeviceId, GroupId};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many members of groups are kept in all; some 200 bytes each.
const MOST: usize = 200_000;

#[derive(Debug, Default)]
struct Kept {
    groups: HashMap<GroupId, Arc<[DeviceId]>>,
    members: usize,
    /// How often something was forgotten.
    generation: u64,
}

/// The members of groups that were asked for lately.
#[derive(Debug, Default)]
pub(super) struct Members(Mutex<Kept>);

impl Members {
    fn locked(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The members of a group, read unless they are kept.
    pub(super) fn of<E>(
        &self,
        group: &GroupId,
        read: impl FnOnce() -> Result<Vec<DeviceId>, E>,
    ) -> Result<Arc<[DeviceId]>, E> {
        let generation = {
            let kept = self.locked();
            if let Some(members) = kept.groups.get(group) {
                return Ok(members.clone());
            }
            kept.generation
        };
        let members: Arc<[DeviceId]> = read()?.into();

        let mut kept = self.locked();
        // What was forgotten while this was read may have changed it.
        if kept.generation == generation && members.len() <= MOST {
            if kept.members + members.len() > MOST {
                kept.groups.clear();
                kept.members = 0;
            }
            kept.members += members.len();
            if let Some(before) = kept.groups.insert(group.clone(), members.clone()) {
                kept.members -= before.len();
            }
        }
        Ok(members)
    }

    /// A group's members change. To be called after the change is visible to readers, and before anybody hears of it.
    pub(super) fn forget(&self, group: &GroupId) {
        let mut kept = self.locked();
        kept.generation += 1;
        if let Some(before) = kept.groups.remove(group) {
            kept.members -= before.len();
        }
    }

    /// Members of any groups change.
    pub(super) fn forget_all(&self) {
        let mut kept = self.locked();
        let generation = kept.generation + 1;
        *kept = Kept { generation, ..Kept::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(n: usize) -> DeviceId {
        format!("user-{n}/pc").parse().unwrap()
    }

    #[test]
    fn members_are_read_once_until_they_change() {
        let members = Members::default();
        let group = GroupId::from([1]);
        let read =
            |n: usize| members.of::<()>(&group, || Ok((0..n).map(device).collect())).unwrap().len();
        assert_eq!((read(3), read(4)), (3, 3));
        members.forget(&group);
        assert_eq!((read(4), read(5)), (4, 4));
        members.forget_all();
        assert_eq!(read(5), 5);
        assert_eq!(members.of(&GroupId::from([2]), || Err("unread")), Err("unread"));
    }

    #[test]
    fn what_was_read_before_a_change_is_not_kept_after_it() {
        let members = Members::default();
        let group = GroupId::from([1]);
        let stale = members.of::<()>(&group, || {
            members.forget(&group);
            Ok(vec![device(1)])
        });
        assert_eq!(stale.unwrap().len(), 1);
        assert_eq!(*members.of::<()>(&group, || Ok(vec![])).unwrap(), []);
    }

    #[test]
    fn so_many_are_kept_and_no_more() {
        let members = Members::default();
        let large = |n: u8| {
            let read = || Ok((0..MOST / 2).map(device).collect());
            members.of::<()>(&GroupId::from([n]), read).unwrap();
            members.locked().members
        };
        assert_eq!([1, 2, 3].map(large), [MOST / 2, MOST, MOST / 2]);
    }
}
