//! What a service that was restored from a backup had lost, given back to it.

use super::chain::chains;
use super::{
    ChainHash, Decode, DecodeError, Encode, EncodeError, GroupId, LogEntry, Reader, Receipt, Writer,
};

structs! {
    /// Gives back what a service that was restored from a backup has lost of a group's log: entries that it had in a
    /// former incarnation, as its own receipt shows.
    ///
    /// Whoever has them may give them back, those of others too. Each that the log does not hold is appended as it
    /// was, with its sender and its time, if the group can take it now: so a log that ends where the first of them
    /// began becomes what it was. Application messages of epochs that have ended long ago are passed over. A commit
    /// of an opaque group is refused: only its sender can say whom it adds, and has to submit it again.
    pub struct RestoreLog {
        /// The group.
        pub group_id: GroupId,
        /// The hash of the log before the first of the entries.
        pub before: ChainHash,
        /// Entries of the log as the service gave them out, ascending without gaps: 1 to
        /// [`MAX_PAGE`](super::MAX_PAGE).
        pub entries: Vec<LogEntry>,
        /// The receipt of another [`Incarnation`](super::Incarnation) for the place of the last of them.
        pub end: Receipt,
    }

    /// The reply to [`RestoreLog`].
    pub struct LogRestored {
        /// Where the log ends now.
        pub receipt: Receipt,
        /// How many of the entries were dealt with, from the first on. The next one cannot be taken now.
        pub taken: u32,
    }
}

impl RestoreLog {
    /// Whether there are entries, and they lead from the hash before them to the place of the receipt.
    #[must_use]
    pub fn adds_up(&self) -> bool {
        let chains = chains(&self.group_id, self.before, &self.entries, self.end.position);
        !self.entries.is_empty() && self.end.group_id == self.group_id && chains.is_some()
    }
}
