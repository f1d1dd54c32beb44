//! The doctor: finds what is not as it should be, by what this device has stored and what it has heard in this process.

use super::{Engine, EngineError};
use crate::book::Book;
use crate::conversation::Conversation;
use crate::findings::{Finding, Problem};
use crate::record::{GroupRecord, Stage, Work};
use crate::suites::suite_name;
use conclave_delivery_api::DeviceId;
use conclave_mls::GroupId;
use conclave_store::Store;

/// How far a clock may be off before it is reported, in milliseconds.
const CLOCK_OFF: u64 = 60_000;
/// With fewer key packages of a suite than this, only one of last resort may soon be left to invite a device by.
const FEW_KEY_PACKAGES: usize = 3;

const REACH: &str = "let the messenger reach the service";
const STOP_COPIES: &str = "stop whatever runs from a copy of this folder";

impl<S: Store> Engine<S> {
    /// Whose state a store holds; none if it is new.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn device_in(store: &S) -> Result<Option<DeviceId>, EngineError> {
        Ok(Book::identity_in(store)?.map(|identity| identity.device))
    }

    /// What is not as it should be with this device and its groups; nothing if all is well. This only reads.
    ///
    /// What only the service knows (whether a log has grown, what its clock says) is found once it was asked in this
    /// process.
    #[must_use]
    pub fn doctor(&self, now: u64) -> Vec<Finding> {
        let mut found = Found { group: None, findings: Vec::new() };
        self.examine_copy(now, &mut found);
        self.examine_access(&mut found);
        self.examine_keys(now, &mut found);
        self.examine_service(&mut found);

        for (id, record) in self.book.records() {
            found.group = Some(self.group_name(id));
            self.examine_group(id, record, now, &mut found);
        }
        found.findings
    }

    fn examine_copy(&self, now: u64, found: &mut Found) {
        if self.book.copied().is_none() {
            return;
        }
        let device = self.device();
        let what =
            format!("the state of {device} is a copy, and another process has gone on from it");
        if self.has_certificates() {
            let remedy =
                "stop the other copy; to go on here, start with a certificate for a new key";
            return found.add(Problem::CopiedState, what, remedy);
        }
        let remedy = "stop the other copy; this one takes a new key when it reaches the service";
        found.add(Problem::CopiedState, what, remedy);

        let until = self.book.key_renewals().next(now);
        if until > now {
            let wait = duration(until - now);
            let what = format!("{device} has taken new keys too often, and waits {wait}");
            found.add(Problem::RenewalLimited, what, STOP_COPIES);
        }
    }

    fn examine_access(&self, found: &mut Found) {
        let device = self.device();
        if self.waiting_link.is_some() {
            let what = format!("{device} waits until another device of its user admits it");
            found.add(Problem::WaitingForLink, what, "on another device: /link CODE");
        } else if !self.book.is_confirmed() && !self.has_certificates() {
            let what = format!("the service has never taken {device}");
            let remedy = "start the messenger while the service can be reached";
            found.add(Problem::NotRegistered, what, remedy);
        }

        if self.offline {
            let what = "the service does not answer, or takes no session of this device";
            found.add(Problem::Offline, what, "check the address and the network");
        }
        if self.is_described && self.service_ahead.unsigned_abs() > CLOCK_OFF {
            let off = duration(self.service_ahead.unsigned_abs());
            let side = if self.service_ahead > 0 { "behind" } else { "ahead of" };
            let what = format!("this device's clock is {off} {side} the service's");
            found.add(Problem::ClockOff, what, "set the clock");
        }
    }

    fn examine_keys(&self, now: u64, found: &mut Found) {
        for (suite, held, unpublished) in self.key_package_stock() {
            let suite = suite_name(suite);
            let what = if self.book.is_confirmed() && held < FEW_KEY_PACKAGES {
                format!("{held} key packages of {suite} are left")
            } else if unpublished > 0 {
                format!("{unpublished} key packages of {suite} are not at the service yet")
            } else {
                continue;
            };
            let remedy = "let the messenger reach the service: it makes more";
            found.add(Problem::KeyPackagesLow, what, remedy);
        }

        let Some((from, until)) = self.authority.certified().and_then(|c| c.valid()) else {
            return;
        };
        let left = until.saturating_sub(now / 1000);
        if left < until.saturating_sub(from) / 4 {
            let device = self.device();
            let what = match left {
                0 => format!("the certificate of {device} has expired"),
                _ => {
                    let left = duration(left.saturating_mul(1000));
                    format!("the certificate of {device} expires in {left}")
                }
            };
            let remedy = "ask the CA to renew it, and start with --certificate FILE";
            found.add(Problem::CertificateExpiring, what, remedy);
        }
    }

    fn examine_service(&self, found: &mut Found) {
        if self.is_convicted() {
            let what = "the service has shown two directories: the evidence is in the folder";
            let remedy = "ask whoever runs it; then /acknowledge service";
            found.add(Problem::ServiceLied, what, remedy);
        }
        for user in self.book.alarmed() {
            let what = format!("what the service says of {user} contradicts what it said before");
            let remedy = format!("ask {user} in another way; if all is well, /acknowledge {user}");
            found.add(Problem::UserContradicted, what, remedy);
        }
    }

    fn examine_group(&self, id: &GroupId, record: &GroupRecord, now: u64, found: &mut Found) {
        match &record.stage {
            Stage::Removed | Stage::Left => return,
            Stage::Ended => {
                let what =
                    "the group has ended, and nobody has brought this device into its successor";
                let remedy = "wait, or begin it anew: /reset";
                found.add(Problem::WaitingForSuccessor, what, remedy);
            }
            Stage::Creating(_) => {
                found.add(Problem::NotCreated, "the service does not have the group yet", REACH);
            }
            Stage::Active => {}
        }
        if let Some(by) = &record.asked_by {
            let what = format!("{by} has invited this device, and the user has not answered");
            found.add(Problem::Unanswered, what, "/accept, /decline or /block");
        }
        if let Some(rejoin) = self.book.rejoin(id).filter(|rejoin| rejoin.wanted) {
            let at = rejoin.times.next(now);
            if rejoin.commit.is_none() && at > now {
                let wait = duration(at - now);
                let what = format!("this device has come back too often, and waits {wait}");
                found.add(Problem::RejoinLimited, what, STOP_COPIES);
            } else {
                let what = "this device has to come back in place of its former leaf";
                found.add(Problem::ComingBack, what, REACH);
            }
        }

        if let Some(conversation) = self.conversations.get(id) {
            self.examine_log(id, conversation, record, found);
        } else if matches!(record.stage, Stage::Active | Stage::Creating(_)) {
            let remedy = "/leave, and let a member invite this device again";
            found.add(Problem::Unloadable, "the group's state cannot be loaded", remedy);
        }
    }

    fn examine_log(
        &self,
        id: &GroupId,
        conversation: &Conversation,
        record: &GroupRecord,
        found: &mut Found,
    ) {
        if let Some(why) = conversation.stuck() {
            let remedy = "/reset begins it anew with the same members, /leave forgets it here";
            found.add(Problem::Stuck, why.to_string(), remedy);
        } else if conversation.asks() {
            let what = "the service has to say whose keys some members have";
            found.add(Problem::WaitingForAccount, what, REACH);
        } else if conversation.unread(record.cursor) > 0 {
            let what = format!(
                "{} entries of the log are not read yet",
                conversation.unread(record.cursor)
            );
            found.add(Problem::Behind, what, REACH);
        }
        if let Some(missing) = self.book.missing(id) {
            let count = missing.len();
            let what =
                format!("the service has lost {count} entries of the log, and gets them back");
            found.add(Problem::LogLost, what, "keep the messenger running");
        }

        let leaves = |work: &Work| matches!(work, Work::Leave { .. });
        let (leaving, unsent): (Vec<_>, Vec<_>) =
            self.book.items(id).partition(|(_, item)| leaves(&item.work));
        if !unsent.is_empty() {
            let what = match unsent.len() {
                1 => "one thing waits to be sent or done".to_string(),
                count => format!("{count} things wait to be sent or done"),
            };
            found.add(Problem::Unsent, what, REACH);
        }
        if !leaving.is_empty() {
            let what = "you have left, and no member has committed that yet";
            found.add(Problem::WaitingForDeparture, what, "wait until a member is there");
        }
    }
}

/// What was found so far.
struct Found {
    /// The group that the next findings are about; none if that is the device.
    group: Option<String>,
    findings: Vec<Finding>,
}

impl Found {
    fn add(&mut self, problem: Problem, what: impl Into<String>, remedy: impl Into<String>) {
        let (group, what, remedy) = (self.group.clone(), what.into(), remedy.into());
        self.findings.push(Finding { group, problem, what, remedy });
    }
}

/// A time in words.
fn duration(milliseconds: u64) -> String {
    let seconds = milliseconds.div_ceil(1000);
    match seconds {
        0..=119 => format!("{seconds} seconds"),
        120..=7_199 => format!("{} minutes", seconds / 60),
        7_200..=172_799 => format!("{} hours", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}
