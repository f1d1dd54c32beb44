//! A service that was restored from a backup or set up anew: it may have lost what it acknowledged.

use super::{Engine, EngineError};
use crate::book::Change;
use crate::notice::Notice;
use crate::record::News;
use conclave_delivery_api::Incarnation;
use conclave_store::Store;

impl<S: Store> Engine<S> {
    /// Takes note of the life that the service's state is in. If it is another one than before, the user is told, and
    /// whatever was delivered is looked for in the logs.
    pub(super) fn take_incarnation(&mut self, current: Incarnation) -> Result<(), EngineError> {
        let known = self.book.incarnation();
        if known == Some(current) {
            return Ok(());
        }
        let mut changes = vec![Change::Incarnation(current)];
        if known.is_some() {
            let notice = match current.number > 1 {
                true => Notice::ServiceRestored,
                false => Notice::ServiceSetUpAnew,
            };
            changes.push(Change::News(None, News::Note { notice }));
        }
        self.book.commit(None, changes)?;
        self.was_restored |= known.is_some();
        for conversation in self.conversations.values_mut() {
            conversation.service_changed(self.now, known.is_some());
        }
        Ok(())
    }

    /// The stream of events is of another life than the session: a new session says which.
    pub(super) fn heard_incarnation(&mut self, current: Incarnation) {
        if self.book.incarnation().is_some_and(|known| known != current) {
            self.session_refused();
        }
    }
}
