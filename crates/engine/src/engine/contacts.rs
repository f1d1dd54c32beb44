//! Whose invitations are taken. To be brought into a group by somebody whom the user has not
//! accepted is a question: this device follows the group, and says nothing there before the answer.

use super::{CommandError, Engine, EngineError};
use crate::book::Change;
use crate::notice::Notice;
use crate::reason::Reason;
use crate::record::{Item, News, Trust, Who, Work};
use conclave_mls::GroupId;
use conclave_store::Store;

impl<S: Store> Engine<S> {
    /// The groups that wait for the user's answer.
    pub(super) fn asking(&self) -> Vec<GroupId> {
        let asks = |id: &&GroupId| {
            let record = self.book.record(id);
            record.is_some_and(|record| record.asked_by.is_some()) && !self.book.leaving(id)
        };
        self.conversations.keys().filter(asks).cloned().collect()
    }

    /// Takes an invitation, and from now on all of that device's.
    pub(super) fn accept(&mut self, id: &GroupId) -> Result<(), CommandError> {
        self.check_asked(id)?;
        Ok(self.book.commit(None, self.accepted(id))?)
    }

    /// Refuses to answer a question that nobody has asked.
    fn check_asked(&self, id: &GroupId) -> Result<(), Reason> {
        match self.asking().contains(id) {
            true => Ok(()),
            false => Err(Reason::NoInvitation),
        }
    }

    /// What changes when the user takes a group for one of its own.
    fn accepted(&self, id: &GroupId) -> Vec<Change> {
        let Some(mut record) = self.book.record(id).cloned() else { return Vec::new() };
        let Some(by) = record.asked_by.take() else { return Vec::new() };
        let trust = Change::Trust(by.into(), Some(Trust::Accepted));
        let own = self.bring_in_own(id, &self.member_devices(id));
        [Change::Record(id.clone(), record), trust].into_iter().chain(own).collect()
    }

    /// Refuses an invitation.
    pub(super) fn decline(&mut self, id: &GroupId) -> Result<(), CommandError> {
        self.check_asked(id)?;
        Ok(self.leave_alone(id)?)
    }

    /// Leaves a group with this device. The user's others may have accepted it.
    fn leave_alone(&mut self, id: &GroupId) -> Result<(), EngineError> {
        if self.is_gone(id) {
            return self.forget(id);
        }
        let work = Work::Leave { alone: true, committing: false, proposed: None };
        let item = Item { group: id.clone(), work };
        Ok(self.book.commit(None, vec![Change::NewItem(item)])?)
    }

    /// Takes no invitations of somebody's any more.
    pub(super) fn block(&mut self, who: Who) -> Result<(), CommandError> {
        if who.includes(self.device()) {
            return Err(Reason::BlocksItself.into());
        }
        let mut changes: Vec<Change> =
            self.book.trusted(&who).map(|(known, _)| Change::Trust(known.clone(), None)).collect();
        changes.push(Change::Trust(who.clone(), Some(Trust::Blocked)));
        let notice = Notice::Blocked { who: who.clone() };
        changes.push(Change::News(None, News::Note { notice }));
        self.book.commit(None, changes)?;

        for id in self.asking() {
            let by = self.book.record(&id).and_then(|record| record.asked_by.as_ref());
            if by.is_some_and(|by| who.includes(by)) {
                self.leave_alone(&id)?;
            }
        }
        Ok(())
    }

    /// Whom the user invites, the user does not block.
    pub(super) fn unblocked(&self, invited: &[Who]) -> Vec<Change> {
        let known = invited.iter().flat_map(|who| self.book.trusted(who));
        let blocked = known.filter(|(_, trust)| *trust == Trust::Blocked);
        blocked.map(|(who, _)| Change::Trust(who.clone(), None)).collect()
    }
}
