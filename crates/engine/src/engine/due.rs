//! What the engine does while no call is under way, and in which order.

use super::{Engine, EngineError, Purpose};
use crate::request::Request;
use conclave_store::Store;

/// The engine's own work, which comes before the conversations.
#[derive(Clone, Copy)]
enum Chore {
    /// Counts key packages, and makes and publishes new ones.
    KeyPackages,
    /// Fetches the proof that one of the directory's roots extends another.
    Proof,
    /// Plans to look up again what the directory lacked.
    Behind,
    /// Fetches the account of one user, or the user's certificates.
    Lookup,
    /// Fetches invitations, takes them, and acknowledges them.
    Inbox,
    /// Tells the device which has admitted this one that this one can be invited.
    Ready,
    /// Plans removals of revoked devices, changes our account, and admits devices to it.
    Account,
    /// Invites new devices of this user into its groups.
    Newcomers,
    /// Joins groups by links.
    Joining,
}

/// The order of the chores. A proof that does not come is due again later, so it does not hold up those below it. Users are
/// looked up again after the inbox, whose invitations may need accounts, and at the end: a change of our account may need
/// others, and a group to join may have unknown members.
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
    /// The next call, while no call is under way.
    pub(super) fn decide(&mut self) -> Result<Option<(Request, Purpose)>, EngineError> {
        if self.session_is_over() {
            self.registered = false;
        }
        if !self.registered {
            return self.next_access();
        }
        // Nothing uses a key before the service has confirmed that this is the device's latest state.
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

    /// Whether the engine may have work of its own, which comes before the conversations. Then they begin no further calls,
    /// so that the engine's work is not put off endlessly.
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

    /// The call that a chore needs; none if it needs none now.
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

    /// Whether a chore may have something to do.
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
