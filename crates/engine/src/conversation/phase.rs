//! Where a conversation stands: which of the things that it has to do comes first. This follows from what is stored and from
//! what this process knows, so that it does not matter when the last process died.

use super::{Conversation, Standing};
use crate::book::Book;
use crate::record::{GroupRecord, Item, Stage, Work};
use crate::view;
use conclave_mls::GroupId;
use conclave_store::Store;

/// Where a conversation stands. Where several would apply, [`Conversation::phase`] says which one comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// This device is out.
    Over,
    /// The log cannot be followed any further.
    Stuck,
    /// The service does not have the group yet.
    Creating,
    /// This device comes back in place of its former leaf. The log has been read, as far as it can be.
    ComingBack,
    /// The log is to be fetched.
    Reading,
    /// The service is to get back what it lost.
    GivingBack,
    /// Nothing new is sent, as members who have what the service lost come first.
    Held,
    /// Our commit waits for the service's verdict.
    Committing,
    /// The service has accepted our commit: the log will bring it.
    Committed,
    /// Nothing stands in the way of new work.
    Open,
}

impl Conversation {
    /// Where the conversation stands.
    pub(crate) fn phase<S: Store>(&self, book: &Book<S>, now: u64) -> Phase {
        let Some(record) = book.record(&self.id).filter(|_| !self.is_over()) else {
            return Phase::Over;
        };
        let comes_back = self.comes_back(book);
        if self.stuck().is_some() {
            Phase::Stuck
        } else if matches!(record.stage, Stage::Creating(_)) {
            Phase::Creating
        } else if self.ends_here && comes_back {
            Phase::ComingBack
        } else if !self.log.is_read(record.cursor) {
            Phase::Reading
        } else if comes_back {
            Phase::ComingBack
        } else if self.is_missing_something(book) {
            Phase::GivingBack
        } else if self.restoring.held_until(now).is_some() {
            Phase::Held
        } else if self.group.pending_commit().is_none() {
            Phase::Open
        } else if self.attempt.delivered {
            Phase::Committed
        } else {
            Phase::Committing
        }
    }

    /// Whether nothing can be done in the group now.
    pub(crate) fn is_settled<S: Store>(&self, book: &Book<S>, now: u64) -> bool {
        match self.phase(book, now) {
            Phase::Over | Phase::Stuck => true,
            _ if self.comes_back(book) => self.comes_back_at(book, now).is_some(),
            Phase::Open | Phase::Held => {
                self.group.pending_commit().is_none()
                    && self.attempt.commit_at.is_none()
                    && book.front(&self.id).is_none_or(|(_, item)| self.waits_for_others(item))
            }
            _ => false,
        }
    }

    /// Whether only another member can complete a piece of work: a departure that is proposed.
    fn waits_for_others(&self, item: &Item) -> bool {
        let proposed = matches!(item.work, Work::Leave { proposed: Some(_), .. });
        proposed && self.attempt.delivered
    }

    /// Whether nothing can be done any more in a group that this device counts as one of its own.
    pub(crate) fn is_gone<S: Store>(&self, book: &Book<S>) -> bool {
        book.record(&self.id).is_some_and(is_own) && (self.is_over() || self.stuck().is_some())
    }

    /// Whether what comes next waits until somebody's account is fetched.
    pub(crate) fn asks(&self) -> bool {
        matches!(self.standing, Standing::Asks)
    }

    /// When there may be something to do even if nothing comes in, in milliseconds since 1970.
    pub(crate) fn wake_at<S: Store>(&self, book: &Book<S>, now: u64) -> Option<u64> {
        let may_commit = self.stuck().is_none() && self.group.pending_commit().is_none();
        let times = [
            self.attempt.commit_at.filter(|_| may_commit),
            self.comes_back_at(book, now),
            self.give_at(book),
            self.restoring.held_until(now),
            self.renewal_wake(book, now),
            self.stale_wake(book, now),
            self.returns_wake(book, now),
        ];
        times.into_iter().flatten().min()
    }
}

/// Whether a group is one of this device's own.
pub(crate) fn is_own(record: &GroupRecord) -> bool {
    matches!(record.stage, Stage::Active | Stage::Creating(_))
}

/// Where this device stands in a group, as hosts are shown it; `conversation` is the group's, if there is one.
pub(crate) fn shown<S: Store>(
    book: &Book<S>,
    (id, record): (&GroupId, &GroupRecord),
    conversation: Option<&Conversation>,
) -> view::Phase {
    match (&record.stage, conversation.and_then(Conversation::stuck)) {
        (Stage::Removed, _) => view::Phase::Removed,
        (Stage::Left, _) => view::Phase::Left,
        (Stage::Ended, _) => view::Phase::Ended,
        (_, Some(reason)) => view::Phase::Stuck { reason: reason.clone() },
        _ if book.leaving(id) => view::Phase::Leaving,
        (stage, None) => match (&record.asked_by, stage) {
            (Some(by), _) => view::Phase::Invited { by: by.clone() },
            (None, Stage::Creating(_)) => view::Phase::Creating,
            (None, _) => view::Phase::Member,
        },
    }
}
