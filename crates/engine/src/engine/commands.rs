//! What the user wants: commands are checked and stored, and carried out in their turn.

use super::{CommandError, Engine};
use crate::book::Change;
use crate::command::Command;
use crate::content::{Content, MAX_CONTENT};
use crate::reason::Reason;
use crate::record::{Item, Payload, Stage, Work};
use conclave_mls::GroupId;
use conclave_store::Store;

impl<S: Store> Engine<S> {
    /// Takes a command. Returns the group that it makes, if it makes one. What cannot be done at once is kept; if it fails
    /// later, [`News::Failed`](crate::News::Failed) says so.
    ///
    /// # Errors
    /// [`CommandError::Refused`] if it cannot be done; nothing has changed then. [`CommandError::Engine`] if the state
    /// cannot be written.
    pub fn command(&mut self, now: u64, command: Command) -> Result<Option<GroupId>, CommandError> {
        self.now = now;
        let allowed = matches!(command, Command::Recover(_) | Command::AcknowledgeService);
        if self.awaits_admission() && !allowed {
            return Err(Reason::AwaitsAdmission.into());
        }
        self.check_account_command(&command)?;
        match command {
            Command::New { name, suite } => return self.new_group(name, suite).map(Some),
            Command::Direct { user, suite } => return self.new_direct(user, suite).map(Some),
            Command::ChangeRoom { group, change } => self.change_room(&group, change),
            Command::Reset(group) => return self.reset(&group).map(Some),
            Command::Invite { group, who } => {
                let also = self.unblocked(&who);
                let work = |who| Work::Invite { who, committing: false, by_itself: false };
                self.queue(&group, who.into_iter().map(work).collect(), also)
            }
            Command::Accept(group) => self.accept(&group),
            Command::Decline(group) => self.decline(&group),
            Command::Block(who) => self.block(who),
            Command::Remove { group, who } => {
                let me = self.device().clone();
                if who.iter().any(|who| who.includes(&me)) {
                    return Err(Reason::RemovesItself.into());
                }
                let work = |who| Work::Remove { who, committing: false };
                self.queue(&group, who.into_iter().map(work).collect(), Vec::new())
            }
            Command::InviteLink { group, max_uses, lifetime } => {
                self.new_link(&group, max_uses, lifetime)
            }
            Command::Unlink { group, number } => {
                self.queue(&group, vec![Work::Unlink { number, committing: false }], Vec::new())
            }
            Command::Join(link) => self.join(link),
            Command::Leave(group) => self.leave(&group),
            Command::Link(code) => self.link(code),
            Command::Revoke(device) => self.revoke(device),
            Command::Recovery(old) => self.new_recovery(old.as_deref()),
            Command::ConfirmRecovery(words) => {
                self.confirm_recovery(words.each_ref().map(String::as_str))
            }
            Command::Recover(words) => self.recover(&words),
            Command::Acknowledge(user) => self.acknowledge_user(user),
            Command::AcknowledgeService => self.acknowledge_service(),
        }?;
        Ok(None)
    }

    /// Takes what is to be said in a group, in this order: at most [`MAX_CONTENT`] bytes each. All of it is stored in one
    /// write, and sent by few calls.
    ///
    /// # Errors
    /// As of [`Self::command`]. If any of it is refused, all of it is.
    pub fn send(
        &mut self,
        now: u64,
        group: &GroupId,
        contents: Vec<Content>,
    ) -> Result<(), CommandError> {
        self.send_and(now, group, contents, Vec::new())
    }

    /// The same, with other changes in the same write.
    pub(super) fn send_and(
        &mut self,
        now: u64,
        group: &GroupId,
        contents: Vec<Content>,
        also: Vec<Change>,
    ) -> Result<(), CommandError> {
        self.now = now;
        if self.awaits_admission() {
            return Err(Reason::AwaitsAdmission.into());
        }
        let too_long = contents.iter().map(|one| one.bytes().len()).find(|len| *len > MAX_CONTENT);
        if let Some(len) = too_long {
            return Err(Reason::TooLong { len: len as u64 }.into());
        }
        let work = |content| Work::Send { payload: Payload::Content(content), sealed: None };
        self.queue(group, contents.into_iter().map(work).collect(), also)
    }

    /// Adds something to be done in a group, and makes other changes with it.
    pub(super) fn queue(
        &mut self,
        group: &GroupId,
        work: Vec<Work>,
        also: Vec<Change>,
    ) -> Result<(), CommandError> {
        self.check_work(group, &work)?;
        let items = work.into_iter().map(|work| Item { group: group.clone(), work });
        let changes: Vec<Change> = also.into_iter().chain(items.map(Change::NewItem)).collect();
        if !changes.is_empty() {
            self.book.commit(None, changes)?;
        }
        Ok(())
    }

    /// Checks that something can be done in a group.
    fn check_work(&self, group: &GroupId, work: &[Work]) -> Result<(), Reason> {
        let record = self.book.record(group);
        if let Some(by) = record.and_then(|record| record.asked_by.clone()) {
            return Err(Reason::NotAccepted { by });
        }

        // What is said in a group that has ended is sent in its successor.
        let ended = record.is_some_and(|record| record.stage == Stage::Ended);
        let waits = ended && work.iter().all(|work| matches!(work, Work::Send { .. }));
        if !waits && !self.conversations.contains_key(group) {
            return Err(Reason::NotMember);
        }
        if self.book.leaving(group) {
            return Err(Reason::Leaving);
        }
        work.iter().try_for_each(|work| self.check_role(group, work))
    }
}
