//! A conversation: a group that this device is in, as a machine of its own.
//!
//! It owns what concerns one group: the group's state, how far its log is known, what is under way in it and when something
//! is due. All of that is in memory alone: what has to outlast the process is in the group's record and queue. The engine
//! is the loop around the conversations.

pub(crate) mod invitations;
pub(crate) mod leaves;
pub(crate) mod restoring;
pub(crate) mod rules;
pub(crate) mod waits;

use crate::reason::Reason;
use conclave_delivery_api::Receipt;
use conclave_mls::Group;
use conclave_mls::wire::ProposalRef;
use invitations::Inviting;
use restoring::Restoring;
use std::collections::BTreeSet;
use waits::{LONGEST_COMMIT_WAIT, STALE_SPREAD};

/// Whether the log can be followed.
#[derive(Debug, Default)]
pub(crate) enum Standing {
    /// It can, as far as known.
    #[default]
    Follows,
    /// What comes next in it waits for somebody's account.
    Asks,
    /// The group cannot be followed any further: why.
    Stuck(Reason),
}

/// How far the group's log goes, as far as known.
#[derive(Debug)]
pub(crate) struct LogEnd {
    /// The number of its last entry.
    pub(crate) head: u64,
    /// What `head` was when the log was last asked for.
    pub(crate) asked_head: u64,
    /// Whether it is to be fetched whatever `head` says.
    pub(crate) sync: bool,
}

impl LogEnd {
    /// Nothing is known: the log says it.
    pub(crate) const UNKNOWN: Self = Self { head: 0, asked_head: 0, sync: true };

    /// Whether the log is read up to its end.
    pub(crate) fn is_read(&self, cursor: u64) -> bool {
        !self.sync && self.head <= cursor
    }

    /// It has at least so many entries.
    pub(crate) fn reaches(&mut self, seq: u64) {
        self.head = self.head.max(seq);
    }
}

/// What this device has under way in the group, until an epoch begins or what it sends arrives.
#[derive(Debug, Default)]
pub(crate) struct Attempt {
    /// Whether the service took it: the log will bring it.
    pub(crate) delivered: bool,
    /// Whether the pending commit is one that nobody has asked for: of fresh keys, or of stale members' removal.
    pub(crate) is_unasked: bool,
    /// When proposals of others are to be committed.
    pub(crate) commit_at: Option<u64>,
    /// Whether what others have proposed is left out of commits, as one with it did not succeed in this epoch. It stays
    /// known: others may commit it, and what a commit refers to has to be there.
    pub(crate) own_only: bool,
    /// How often this device did what a refusal asked for.
    pub(crate) remedies: u32,
    /// The proposals that the service wants commits to take.
    pub(crate) demanded: BTreeSet<ProposalRef>,
}

/// A group that this device is in.
pub(crate) struct Conversation {
    pub(crate) group: Group,
    pub(crate) log: LogEnd,
    pub(crate) standing: Standing,
    /// Whether the log goes on with a commit of this device's leaf that it cannot follow.
    pub(crate) ends_here: bool,
    /// The service's word on the latest place of the log that it has shown. It is stored with what is read next.
    pub(crate) receipt: Option<Receipt>,
    pub(crate) attempt: Attempt,
    pub(crate) inviting: Inviting,
    /// How often in a row the service refused something.
    pub(crate) refusals: u32,
    /// The epoch in which this device has tried last to renew its leaf.
    pub(crate) renewed_in: Option<u64>,
    /// When this device replaces its keys; none until that is planned.
    pub(crate) renew_at: Option<u64>,
    /// When stale members are to be removed, if there are any, and when they were last looked for.
    pub(crate) stale_at: Option<u64>,
    pub(crate) looked_at: Option<u64>,
    pub(crate) restoring: Restoring,
}

impl Conversation {
    /// A conversation as a process begins with it; with the service's last word on its log, if there is one.
    pub(crate) fn new(group: Group, receipt: Option<Receipt>) -> Self {
        Self {
            group,
            log: LogEnd::UNKNOWN,
            standing: Standing::default(),
            ends_here: false,
            receipt,
            attempt: Attempt::default(),
            inviting: Inviting::default(),
            refusals: 0,
            renewed_in: None,
            renew_at: None,
            stale_at: None,
            looked_at: None,
            restoring: Restoring::default(),
        }
    }

    /// Why the group cannot be followed any further, if it cannot.
    pub(crate) fn stuck(&self) -> Option<&Reason> {
        match &self.standing {
            Standing::Stuck(reason) => Some(reason),
            Standing::Follows | Standing::Asks => None,
        }
    }

    /// What could not be followed is tried again.
    pub(crate) fn try_again(&mut self) {
        if self.stuck().is_some() {
            self.standing = Standing::Follows;
        }
    }

    /// What could not be followed is tried again, and the log is fetched.
    pub(crate) fn look_again(&mut self) {
        self.log.sync = true;
        self.try_again();
    }

    /// The log ends there, or later.
    pub(crate) fn heard(&mut self, seq: u64) {
        if seq > self.log.head {
            self.log.head = seq;
            self.try_again();
        }
    }

    /// The service's state is in another life than before. If it was restored since this device knows it, members give back
    /// what it lost.
    pub(crate) fn service_changed(&mut self, now: u64, is_restored: bool) {
        if is_restored {
            self.restoring.begin(now);
        }
        // What the service said of its logs is over.
        self.log = LogEnd::UNKNOWN;
        self.attempt.delivered = false;
        self.try_again();
    }

    /// The own message has arrived, or an epoch has begun: what was under way is over.
    pub(crate) fn settle(&mut self) {
        self.attempt = Attempt::default();
        self.inviting.settle();
        self.renew_at = None;
    }

    /// No time lies further ahead than it is ever set: it does if the clock was set back.
    pub(crate) fn clamp_times(&mut self, now: u64) {
        let latest = now.saturating_add(LONGEST_COMMIT_WAIT);
        self.attempt.commit_at = self.attempt.commit_at.map(|at| latest.min(at));
        self.restoring.clamp(now);
        self.stale_at = self.stale_at.map(|at| at.min(now.saturating_add(STALE_SPREAD)));
    }
}
