//! A conversation: a group that this device is in, as a machine of its own.
//!
//! It owns what concerns one group: the group's state, how far its log is known, what is under way in it and when something
//! is due. It decides its next step by itself ([`Conversation::next`]), from that, from its record and queue in the book,
//! and from what a [`Context`](context::Context) says of the time, of accounts and of the service. It takes the reply to its
//! call ([`Conversation::answered`]) or the refusal ([`Conversation::refused`]), and says when it has something to do next
//! ([`Conversation::wake_at`]). It reaches no other conversation; of other groups it reads only what is stored. The engine
//! is the loop around all conversations.
//!
//! Where it stands is a [`Phase`](phase::Phase), which follows from what is stored and what is in memory here. What has to
//! outlast the process is stored, in the group's record and queue; the rest begins anew with each process.
//!
//! # Where to find what
//!
//! * Deciding: `phase` says what comes first, `step` makes the call for it, and `outcome` takes what the service answers.
//! * Reading: `log` takes a page of the log in one write. `entries` says what each entry leads to, and `report` turns that
//!   into changes of what is stored and news for the user. `receipts` holds the service to what it has signed.
//! * The user's work, from the queue: `outgoing` encrypts messages, commits, proposes and removes; `inviting` (with its state
//!   in `invitations`), `links` and `rooms` do what their names say. `remedies` does what the service asks for when it
//!   refuses a commit.
//! * This device's own work: `renewal` replaces its keys; `removals` and `stale` see to it that devices that are revoked,
//!   or were not seen for a long time, leave the group; `returning` brings the user's own back.
//! * When something is wrong: `rejoining` comes back into the group with a new leaf, once `following` has judged what this
//!   device misses (with its state in `missed`); `restored` gives back to a service what it has lost (with its state in
//!   `restoring`, from the entries that `kept` keeps), and `departure` forgets a group that this device is out of.

pub(crate) mod call;
pub(crate) mod context;
pub(crate) mod departure;
pub(crate) mod entries;
pub(crate) mod external;
mod following;
mod invitations;
mod inviting;
pub(crate) mod kept;
pub(crate) mod leaves;
mod links;
mod log;
mod missed;
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
mod returning;
pub(crate) mod rooms;
pub(crate) mod rules;
mod stale;
mod step;
pub(crate) mod succession;
pub(crate) mod waits;

#[cfg(test)]
mod tests;

use crate::reason::Reason;
use conclave_certificates::device_of;
use conclave_delivery_api::{DeviceId, GroupState, Receipt};
use conclave_mls::credential::SignaturePublicKey;
use conclave_mls::wire::ProposalRef;
use conclave_mls::{Group, GroupId};
use invitations::Inviting;
use missed::Missed;
use restoring::Restoring;
use std::collections::BTreeSet;
use waits::{LONGEST_COMMIT_WAIT, STALE_SPREAD};

/// Whether this device is in the group, and can follow its log.
#[derive(Debug, Default)]
enum Standing {
    /// It can follow the log, as far as it knows.
    #[default]
    Follows,
    /// What comes next waits until somebody's account is fetched.
    Asks,
    /// It cannot follow the log any further, for this reason.
    Stuck(Reason),
    /// This device is out, and the conversation is to be dropped.
    Over,
}

/// How far the group's log goes, as far as known.
#[derive(Debug)]
struct LogEnd {
    /// The number of its last entry.
    head: u64,
    /// What `head` was when the log was last fetched.
    asked_head: u64,
    /// Whether the log is to be fetched whatever `head` says.
    sync: bool,
}

impl LogEnd {
    /// Nothing is known of it until the log is fetched.
    const UNKNOWN: Self = Self { head: 0, asked_head: 0, sync: true };

    /// Whether the log is read up to its end.
    fn is_read(&self, cursor: u64) -> bool {
        !self.sync && self.head <= cursor
    }

    /// Notes that the log has an entry with this number.
    fn reaches(&mut self, seq: u64) {
        self.head = self.head.max(seq);
    }
}

/// What this device has under way in the group, until an epoch begins or what it sends arrives.
#[derive(Debug, Default)]
struct Attempt {
    /// Whether the service has accepted it: the log will bring it.
    delivered: bool,
    /// Whether the pending commit is one that nobody has asked for: it replaces keys, or removes stale members.
    is_unasked: bool,
    /// When others' proposals are to be committed.
    commit_at: Option<u64>,
    /// Whether commits leave out others' proposals, as one with them failed in this epoch. The proposals stay stored: others
    /// may commit them, and what a commit refers to has to be there.
    own_only: bool,
    /// How often this device has done what a refusal asked for.
    remedies: u32,
    /// The proposals that the service wants commits to include.
    demanded: BTreeSet<ProposalRef>,
}

/// A group that this device is in.
pub(crate) struct Conversation {
    id: GroupId,
    group: Group,
    log: LogEnd,
    standing: Standing,
    /// Whether the log goes on with a commit that we cannot follow, so that we have to come back.
    ends_here: bool,
    /// The group's state as the service has shown it, for a commit by which this device comes back.
    shown: Option<GroupState>,
    /// What this device misses before it comes back, as far as it has followed that without keys.
    missed: Option<Box<Missed>>,
    /// How many attempts in a row to come back were overtaken by others' commits.
    overtaken: u32,
    /// The service's receipt for the latest place of the log that it has shown. It is stored with what is read next.
    receipt: Option<Receipt>,
    attempt: Attempt,
    inviting: Inviting,
    /// How often in a row the service has refused something.
    refusals: u32,
    /// The epoch in which this device has last tried to renew its leaf.
    renewed_in: Option<u64>,
    /// When this device replaces its keys; none until that is planned.
    renew_at: Option<u64>,
    /// When stale members are to be removed, if there are any.
    stale_at: Option<u64>,
    /// When stale members were last looked for.
    looked_at: Option<u64>,
    /// When to look for devices of the user's that may have come back; none if the group waits for none.
    returns_at: Option<u64>,
    /// Whether this process has looked for them.
    looked_for_returns: bool,
    restoring: Restoring,
}

impl Conversation {
    /// A conversation as a process begins with it, with the service's last receipt for its log, if there is one.
    pub(crate) fn new(group: Group, receipt: Option<Receipt>) -> Self {
        Self {
            id: group.group_id().clone(),
            group,
            log: LogEnd::UNKNOWN,
            standing: Standing::default(),
            ends_here: false,
            shown: None,
            missed: None,
            overtaken: 0,
            receipt,
            attempt: Attempt::default(),
            inviting: Inviting::default(),
            refusals: 0,
            renewed_in: None,
            renew_at: None,
            stale_at: None,
            looked_at: None,
            returns_at: None,
            looked_for_returns: false,
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

    /// Tries again to follow the log, if it could not be followed.
    pub(crate) fn try_again(&mut self) {
        if self.stuck().is_some() {
            self.standing = Standing::Follows;
        }
    }

    /// Has the log fetched.
    pub(crate) fn read_on(&mut self) {
        self.log.sync = true;
    }

    /// Whether the log is read up to its end, as far as that is known.
    pub(crate) fn is_read(&self, cursor: u64) -> bool {
        self.log.is_read(cursor)
    }

    /// How many entries the log is known to have that are not read.
    pub(crate) fn unread(&self, cursor: u64) -> u64 {
        self.log.head.saturating_sub(cursor)
    }

    /// Has the log fetched, and tries again to follow it.
    pub(crate) fn look_again(&mut self) {
        self.read_on();
        self.try_again();
    }

    /// Notes that the log ends with this number, or a later one.
    pub(crate) fn heard(&mut self, seq: u64) {
        if seq > self.log.head {
            self.log.head = seq;
            self.try_again();
        }
    }

    /// Notes that the service's state is in another life than before. If it was restored since this device has known it,
    /// members give back what it lost.
    pub(crate) fn service_changed(&mut self, now: u64, is_restored: bool) {
        if is_restored {
            self.restoring.begin(now);
        }
        // What the service has said of its log no longer holds.
        self.log = LogEnd::UNKNOWN;
        (self.ends_here, self.shown, self.missed) = (false, None, None);
        self.attempt.delivered = false;
        self.try_again();
    }

    /// Our message has arrived, or an epoch has begun: what was under way is over.
    pub(crate) fn end_attempt(&mut self) {
        self.attempt = Attempt::default();
        self.inviting.end_attempt();
        self.renew_at = None;
    }

    /// Brings forward times that lie further ahead than they are ever set: they do if the clock was set back.
    pub(crate) fn clamp_times(&mut self, now: u64) {
        let latest = now.saturating_add(LONGEST_COMMIT_WAIT);
        self.attempt.commit_at = self.attempt.commit_at.map(|at| latest.min(at));
        self.restoring.clamp(now);
        self.stale_at = self.stale_at.map(|at| at.min(now.saturating_add(STALE_SPREAD)));
    }
}

#[cfg(test)]
impl Conversation {
    /// The service's last receipt for the log.
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
