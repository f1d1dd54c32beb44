//! A conversation: a group that this device is in, as a machine of its own.
//!
//! It owns what concerns one group: the group's state, how far its log is known, what is under way in it and when something
//! is due. It decides its next step by itself ([`Conversation::next`]), from that, from its record and queue in the book,
//! and from what a [`Context`](context::Context) says of the time, of accounts and of the service; it takes the reply to its
//! call ([`Conversation::answered`]), and says when it has something to do next ([`Conversation::wake_at`]). It knows
//! nothing of other conversations, and the engine is the loop around all of them.
//!
//! Where it stands is a [`Phase`](phase::Phase), which follows from what is stored and what is in memory here. What has to
//! outlast the process is stored, in the group's record and queue; the rest begins anew with each process.

pub(crate) mod call;
pub(crate) mod context;
pub(crate) mod departure;
pub(crate) mod entries;
pub(crate) mod external;
mod invitations;
mod inviting;
pub(crate) mod kept;
pub(crate) mod leaves;
mod links;
mod log;
mod outcome;
pub(crate) mod outgoing;
pub(crate) mod phase;
mod receipts;
mod rejoining;
mod remedies;
pub(crate) mod removals;
mod renewal;
mod report;
mod restored;
mod restoring;
pub(crate) mod rooms;
pub(crate) mod rules;
mod stale;
mod step;
pub(crate) mod succession;
pub(crate) mod waits;

use crate::reason::Reason;
use conclave_certificates::device_of;
use conclave_delivery_api::{DeviceId, GroupState, Receipt};
use conclave_mls::credential::SignaturePublicKey;
use conclave_mls::wire::ProposalRef;
use conclave_mls::{Group, GroupId};
use invitations::Inviting;
use restoring::Restoring;
use std::collections::BTreeSet;
use waits::{LONGEST_COMMIT_WAIT, STALE_SPREAD};

/// Whether this device is in the group, and can follow its log.
#[derive(Debug, Default)]
enum Standing {
    /// It can, as far as known.
    #[default]
    Follows,
    /// What comes next in it waits for somebody's account.
    Asks,
    /// The group cannot be followed any further: why.
    Stuck(Reason),
    /// This device is out: then the conversation is dropped.
    Over,
}

/// How far the group's log goes, as far as known.
#[derive(Debug)]
struct LogEnd {
    /// The number of its last entry.
    head: u64,
    /// What `head` was when the log was last asked for.
    asked_head: u64,
    /// Whether it is to be fetched whatever `head` says.
    sync: bool,
}

impl LogEnd {
    /// Nothing is known: the log says it.
    const UNKNOWN: Self = Self { head: 0, asked_head: 0, sync: true };

    /// Whether the log is read up to its end.
    fn is_read(&self, cursor: u64) -> bool {
        !self.sync && self.head <= cursor
    }

    /// It has at least so many entries.
    fn reaches(&mut self, seq: u64) {
        self.head = self.head.max(seq);
    }
}

/// What this device has under way in the group, until an epoch begins or what it sends arrives.
#[derive(Debug, Default)]
struct Attempt {
    /// Whether the service took it: the log will bring it.
    delivered: bool,
    /// Whether the pending commit is one that nobody has asked for: of fresh keys, or of stale members' removal.
    is_unasked: bool,
    /// When proposals of others are to be committed.
    commit_at: Option<u64>,
    /// Whether what others have proposed is left out of commits, as one with it did not succeed in this epoch. It stays
    /// known: others may commit it, and what a commit refers to has to be there.
    own_only: bool,
    /// How often this device did what a refusal asked for.
    remedies: u32,
    /// The proposals that the service wants commits to take.
    demanded: BTreeSet<ProposalRef>,
}

/// A group that this device is in.
pub(crate) struct Conversation {
    id: GroupId,
    group: Group,
    log: LogEnd,
    standing: Standing,
    /// Whether the log goes on with a commit of this device's leaf that it cannot follow.
    ends_here: bool,
    /// The state of the group, into which this device comes back.
    shown: Option<GroupState>,
    /// The service's word on the latest place of the log that it has shown. It is stored with what is read next.
    receipt: Option<Receipt>,
    attempt: Attempt,
    inviting: Inviting,
    /// How often in a row the service refused something.
    refusals: u32,
    /// The epoch in which this device has tried last to renew its leaf.
    renewed_in: Option<u64>,
    /// When this device replaces its keys; none until that is planned.
    renew_at: Option<u64>,
    /// When stale members are to be removed, if there are any, and when they were last looked for.
    stale_at: Option<u64>,
    looked_at: Option<u64>,
    restoring: Restoring,
}

impl Conversation {
    /// A conversation as a process begins with it; with the service's last word on its log, if there is one.
    pub(crate) fn new(group: Group, receipt: Option<Receipt>) -> Self {
        Self {
            id: group.group_id().clone(),
            group,
            log: LogEnd::UNKNOWN,
            standing: Standing::default(),
            ends_here: false,
            shown: None,
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

    /// The group's state.
    pub(crate) fn group(&self) -> &Group {
        &self.group
    }

    /// Whether this device is out of the group: then the conversation is to be dropped.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.standing, Standing::Over)
    }

    /// The members' devices and their keys.
    pub(crate) fn devices(&self) -> Vec<(DeviceId, SignaturePublicKey)> {
        let members = self.group.members();
        members.filter_map(|m| Some((device_of(&m.credential)?, m.signature_key))).collect()
    }

    /// Whether nobody else is in the group, as far as this device knows. While a commit of its own is under way, it does
    /// not know: the service may have taken the commit, which may have added somebody.
    pub(crate) fn is_alone(&self) -> bool {
        self.group.pending_commit().is_none() && self.group.members().count() == 1
    }

    /// Why the group cannot be followed any further, if it cannot.
    pub(crate) fn stuck(&self) -> Option<&Reason> {
        match &self.standing {
            Standing::Stuck(reason) => Some(reason),
            Standing::Follows | Standing::Asks | Standing::Over => None,
        }
    }

    /// What could not be followed is tried again.
    pub(crate) fn try_again(&mut self) {
        if self.stuck().is_some() {
            self.standing = Standing::Follows;
        }
    }

    /// The log is to be fetched.
    pub(crate) fn read_on(&mut self) {
        self.log.sync = true;
    }

    /// Whether the log is read up to its end, as far as that is known.
    pub(crate) fn is_read(&self, cursor: u64) -> bool {
        self.log.is_read(cursor)
    }

    /// How many entries of the log are known that are not read.
    pub(crate) fn unread(&self, cursor: u64) -> u64 {
        self.log.head.saturating_sub(cursor)
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

#[cfg(test)]
impl Conversation {
    /// The service's last word on the log.
    pub(crate) fn receipt(&self) -> Option<&Receipt> {
        self.receipt.as_ref()
    }

    /// Puts another state of the group in the place of this one.
    pub(crate) fn set_group(&mut self, group: Group) {
        self.group = group;
    }

    /// What is not done, for a test that fails.
    pub(crate) fn not_done(&self) -> String {
        let Self { log, attempt, group, .. } = self;
        let pending = group.pending_commit().is_some();
        let proposals = group.pending_proposals();
        format!("{log:?} {attempt:?} proposals {proposals} pending {pending}")
    }
}
