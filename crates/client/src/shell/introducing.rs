//! The rooms that hear what the user says of themselves.

use super::Shell;
use crate::service::now;
use conclave_engine::{CommandError, EngineError, GroupId};
use conclave_store::Store;

impl<S: Store> Shell<'_, S> {
    /// Tells the groups that are to hear it now.
    pub(super) fn introduce_where_due(&mut self) -> Result<(), EngineError> {
        while let Some(group) = self.chat.profiles().next_room(&self.engine) {
            self.has_answered = true;
            self.introduce(&group)?;
        }
        Ok(())
    }

    /// Tells a group what the user says of themselves, if it is to hear that before anything else.
    pub(super) fn introduce_before(&mut self, group: &GroupId) -> Result<(), EngineError> {
        if self.chat.profiles().comes_first(&self.engine, group, now()) {
            self.introduce(group)?;
        }
        Ok(())
    }

    /// Tells a group what the user says of themselves, unless the user may say nothing there.
    fn introduce(&mut self, group: &GroupId) -> Result<(), EngineError> {
        let now = now();
        let told = self.chat.introduction(&self.engine, group, now)?;
        let Some((content, rows)) = told else { return Ok(()) };
        match self.engine.send_with(now, group, content, &[], rows) {
            Ok(()) => self.chat.profiles().sent(group, now),
            Err(CommandError::Refused(_)) => {}
            Err(CommandError::Engine(e)) => return Err(e),
        }
        Ok(())
    }
}
