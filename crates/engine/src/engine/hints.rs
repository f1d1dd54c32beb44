//! Hints that the service pushes, and whether the service can be reached.

use super::{Engine, FIRST_WAIT};
use crate::conversation::Conversation;
use crate::output::Answer;
use crate::reason::Reason;
use conclave_delivery_api::{ErrorCode, Event as Hint, LogPosition, StreamEvent};
use conclave_mls::GroupId;
use conclave_store::Store;

impl<S: Store> Engine<S> {
    /// Takes a hint of the service's.
    pub fn heard(&mut self, now: u64, heard: StreamEvent) {
        self.now = now;
        match heard {
            StreamEvent::Connected => {
                self.connecting = true;
                // A wait for something other than an answer goes on.
                if self.offline && self.sessions_refused == 0 {
                    self.wait = FIRST_WAIT;
                    self.retry_at = 0;
                }
                self.online();
                // What could not be fetched or judged then may be now.
                self.conversations.values_mut().for_each(Conversation::try_again);
            }
            // Nothing else tells a device that only listens.
            StreamEvent::Disconnected { error, .. }
                if error.code() == Some(ErrorCode::Unauthorized) =>
            {
                self.session_refused();
            }
            StreamEvent::Disconnected { error, .. } => self.offline(Reason::of_call(&error)),
            StreamEvent::Event(Hint::Incarnation(current)) => self.heard_incarnation(current),
            StreamEvent::Event(Hint::Inbox) => self.inbox_due = true,
            StreamEvent::Event(Hint::Account { user, length }) => {
                // Users of whom nothing is known are not looked up.
                let known = self.book.account(&user).map(|account| account.head().length);
                let alarmed = self.book.is_alarmed(&user);
                if known.is_some_and(|known| known != length || alarmed) {
                    self.lookups.insert(user);
                }
            }
            StreamEvent::Event(Hint::Certificates { user }) => {
                if self.authority.certified().is_some() {
                    self.lookups.insert(user);
                }
            }
            StreamEvent::Event(Hint::Group { group_id, position }) => {
                self.heard_of_group(&group_id, position);
            }
            StreamEvent::Event(Hint::Ended { group_id, .. }) => {
                // The log says so, after all that it has.
                if let Some(conversation) = self.conversations.get_mut(&group_id) {
                    conversation.look_again();
                }
            }
            StreamEvent::Event(Hint::Ready) => self.connecting = false,
        }
    }

    /// Takes a hint of where a group's log ends. One that this device has overtaken says nothing; but when the
    /// stream begins, the service says where all logs end then.
    fn heard_of_group(&mut self, id: &GroupId, LogPosition { seq, chain, .. }: LogPosition) {
        let Some(record) = self.book.record(id) else { return };
        let Some(conversation) = self.conversations.get_mut(id) else { return };
        conversation.heard(seq);
        let other = seq == record.cursor && record.chain.is_some_and(|known| known != chain);
        if other || (self.connecting && seq < record.cursor) {
            // The log says more.
            conversation.read_on();
        }
    }

    /// Notes that the service answers. As long as it refuses sessions, that is of little use.
    pub(super) fn online(&mut self) {
        if self.sessions_refused == 0 && core::mem::take(&mut self.offline) {
            self.answers.push_back(Answer::Online);
        }
    }

    /// Notes that the service cannot be reached.
    pub(super) fn offline(&mut self, reason: Reason) {
        if !core::mem::replace(&mut self.offline, true) {
            self.answers.push_back(Answer::Offline { reason });
        }
    }
}
