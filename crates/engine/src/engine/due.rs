//! What is done while nothing else is under way, and in which order.

use super::{Engine, EngineError, Purpose};
use crate::request::Request;
use conclave_store::Store;

/// What comes before the conversations.
#[derive(Clone, Copy)]
enum Chore {
    KeyPackages,
    Proof,
    /// What the directory lacked is looked up again.
    Behind,
    Lookup,
    Inbox,
    /// The word that this device, which was admitted, can be invited.
    Ready,
    Account,
    Newcomers,
    Joining,
}

/// The order. A proof that does not come is due again later, so it does not hold up what stands below. What the inbox held
/// may ask for somebody, so may a change of the own account, and a group to join may have members that nothing is known of.
const CHORES: [Chore; 11] = [
    Chore::KeyPackages,
    Chore::Proof,
    Chore::Behind,
    Chore::Lookup,
    Chore::Inbox,
    Chore::Lookup,
    Chore::Ready,
    Chore::Account,
    Chore::Newcomers,
    Chore::Joining,
    Chore::Lookup,
];

impl<S: Store> Engine<S> {
    /// The next call, while nothing is under way.
    pub(super) fn decide(&mut self) -> Result<Option<(Request, Purpose)>, EngineError> {
        if self.session_is_over() {
            self.registered = false;
        }
        if !self.registered {
            return self.next_access();
        }
        // Nothing that uses a key comes before the service has said that this is the device's state.
        if self.book.copied().is_some() {
            return self.next_of_copied();
        }
        if !self.is_marked() {
            return self.next_mark();
        }
        for chore in CHORES {
            if let Some(next) = self.next_of(chore)? {
                return Ok(Some(next));
            }
        }
        if let Some(next) = self.next_of_conversations()? {
            return Ok(Some(next));
        }
        Ok(self.next_history())
    }

    /// Whether there may be something to do that comes before the conversations. Then no further calls of theirs begin, so
    /// that they do not overtake it without end.
    pub(super) fn is_due_alone(&self) -> bool {
        !self.registered
            || self.session_is_over()
            || !self.is_marked()
            || self.book.copied().is_some()
            || CHORES.iter().any(|chore| self.is_due(*chore))
    }

    fn session_is_over(&self) -> bool {
        self.registered && self.session_until <= self.now
    }

    fn next_of(&mut self, chore: Chore) -> Result<Option<(Request, Purpose)>, EngineError> {
        match chore {
            Chore::KeyPackages => self.next_key_packages(),
            Chore::Proof => Ok(self.next_proof()),
            Chore::Behind => {
                self.due_behind();
                Ok(None)
            }
            Chore::Lookup => self.next_lookup(),
            Chore::Inbox => self.next_inbox(),
            Chore::Ready => self.next_ready(),
            Chore::Account => self.next_account(),
            Chore::Newcomers => {
                self.invite_newcomers()?;
                Ok(None)
            }
            Chore::Joining => self.next_joining(),
        }
    }

    fn is_due(&self, chore: Chore) -> bool {
        match chore {
            Chore::KeyPackages => {
                self.count_at <= self.now
                    || !self.to_replace.is_empty()
                    || !self.book.unpublished().is_empty()
            }
            Chore::Proof => self.proof_is_due(),
            Chore::Behind => self.behind_is_due(),
            Chore::Lookup => !self.lookups.is_empty(),
            Chore::Inbox => self.inbox_due || !self.inbox.is_empty() || !self.acks.is_empty(),
            Chore::Ready => self.tell_ready.is_some(),
            Chore::Account => self.account_is_due(),
            Chore::Newcomers => self.newcomers_at.is_some_and(|at| at <= self.now),
            Chore::Joining => !self.book.joining().is_empty(),
        }
    }
}
