//! The calls whose outcome is not known yet.

use crate::conversation::call::Call;
use conclave_account::Entry;
use conclave_delivery_api::Name;
use conclave_mls::key_package::KeyPackageRef;
use conclave_mls::{CipherSuite, GroupId};
use std::collections::BTreeMap;

/// How many calls are under way at once, at most: as many connections as browsers open to one host.
pub const MAX_CALLS: usize = 6;

/// The number of a call, with which its outcome is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(u64);

/// What a call is for.
#[derive(Clone, Debug)]
pub(super) enum Purpose {
    Describe,
    /// The own account log.
    SubmitLog,
    OpenSession,
    /// The mark of the state, for this session.
    Mark,
    /// The entry of the account by which a device whose state was a copy gets a new key.
    NewKey,
    /// The offer of this device, which waits to be admitted.
    Place,
    /// Whether this device was admitted.
    Look,
    /// The word that this device, which was admitted, can be invited.
    Ready,
    /// The offer of a device that is to be admitted.
    Offer,
    /// A step on the way to the account by its recovery key.
    Recover,
    RecoverEntry(Box<Entry>),
    /// A change of the own account.
    OwnChange(Box<Entry>),
    /// The log, for a device that was admitted.
    Tell,
    /// Whether a device that was admitted can be invited.
    IsReady,
    /// Key packages of one suite.
    Publish(CipherSuite, Vec<KeyPackageRef>),
    Count,
    Lookup(Name),
    /// The proof that one of the directory's roots extends another.
    Extension {
        from: u64,
        to: u64,
    },
    /// What the directory has of the own user.
    History,
    Inbox,
    Ack(Vec<u64>),
    /// A conversation's call.
    Of(GroupId, Call),
    /// The state of a group that is to be joined by a link.
    LinkedGroup(GroupId),
    /// The commit that joins it.
    JoinCommit(GroupId),
}

impl Purpose {
    /// Whether the call is made before there is a session.
    pub(super) fn comes_before_a_session(&self) -> bool {
        use Purpose::{
            Describe, Extension, Look, NewKey, OpenSession, Place, Recover, RecoverEntry, SubmitLog,
        };
        matches!(
            self,
            Describe
                | SubmitLog
                | OpenSession
                | NewKey
                | Place
                | Look
                | Recover
                | RecoverEntry(_)
                | Extension { .. }
        )
    }

    /// The group that the call is about, if calls of other groups may be under way beside it: its outcome changes nothing
    /// that a call of another group depends on.
    fn of_group_alone(&self) -> Option<&GroupId> {
        match self {
            Self::Of(id, call) if call.concerns_only_its_group() => Some(id),
            _ => None,
        }
    }
}

/// The calls under way: one that is made alone, or one for each of several groups.
#[derive(Debug, Default)]
pub(super) struct UnderWay {
    calls: BTreeMap<CallId, Purpose>,
    /// How many numbers were given out.
    given: u64,
    /// The group whose next call has to be made alone.
    waiting: Option<GroupId>,
}

impl UnderWay {
    pub(super) fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// Whether a call of another group may be made beside these.
    pub(super) fn takes_another(&self) -> bool {
        self.calls.len() < MAX_CALLS
            && self.waiting.is_none()
            && self.calls.values().all(|purpose| purpose.of_group_alone().is_some())
    }

    /// Whether a call of this group is under way.
    pub(super) fn is_of(&self, id: &GroupId) -> bool {
        self.calls.values().any(|purpose| purpose.of_group_alone() == Some(id))
    }

    pub(super) fn begin(&mut self, purpose: Purpose) -> CallId {
        self.given += 1;
        let id = CallId(self.given);
        self.calls.insert(id, purpose);
        id
    }

    pub(super) fn end(&mut self, id: CallId) -> Option<Purpose> {
        self.calls.remove(&id)
    }

    #[cfg(test)]
    pub(super) fn last(&self) -> Option<CallId> {
        self.calls.keys().next_back().copied()
    }

    /// A group waits to make a call alone, and no other group begins one before its turn.
    pub(super) fn wait_alone(&mut self, id: &GroupId) {
        self.waiting.get_or_insert_with(|| id.clone());
    }

    /// The group that has waited until nothing else was under way.
    pub(super) fn take_waiting(&mut self) -> Option<GroupId> {
        self.waiting.take()
    }
}
