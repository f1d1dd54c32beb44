//! What is not as it should be: findings, from what this device has stored and what it has heard in this process.

use super::{Engine, EngineError};
use crate::book::Book;
use crate::findings::{Finding, Problem};
use crate::record::{Stage, Work};
use conclave_delivery_api::DeviceId;
use conclave_mls::GroupId;
use conclave_store::Store;

/// How far a clock may be off before it is worth a word, in milliseconds.
const CLOCK_OFF: u64 = 60_000;
/// With fewer key packages of a suite than this, a device may soon be invited by one of last resort alone.
const FEW_KEY_PACKAGES: usize = 3;

impl<S: Store> Engine<S> {
    /// Whose state a store holds; none if it is new.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn device_in(store: &S) -> Result<Option<DeviceId>, EngineError> {
        Ok(Book::identity_in(store)?.map(|identity| identity.device))
    }

    /// What is not as it should be with this device and its groups; nothing if all is well. It reads only.
    ///
    /// What only the service knows (whether a log has grown, what its clock says) is found once it was asked in this
    /// process.
    #[must_use]
    pub fn doctor(&self, now: u64) -> Vec<Finding> {
        let mut findings = Vec::new();
        self.examine_device(now, &mut findings);
        for id in self.book.records().keys() {
            self.examine_group(id, now, &mut findings);
        }
        findings
    }

    fn examine_device(&self, now: u64, findings: &mut Vec<Finding>) {
        let mut find = |problem, what: String, remedy: &str| {
            findings.push(Finding { group: None, problem, what, remedy: remedy.into() });
        };
        let device = self.device();
        let by_itself = self.authority.certified().is_none();
        if self.book.copied().is_some() {
            let what =
                format!("the state of {device} is a copy, and another process has gone on from it");
            find(
                Problem::CopiedState,
                what,
                match by_itself {
                    true => {
                        "stop the other copy; this one takes a new key when it reaches the service"
                    }
                    false => {
                        "stop the other copy; to go on here, start with a certificate for a new key"
                    }
                },
            );
            let until = self.book.key_renewals().next(now);
            if by_itself && until > now {
                let what = format!(
                    "{device} has taken new keys too often, and waits {}",
                    wait(until - now)
                );
                find(
                    Problem::RenewalLimited,
                    what,
                    "stop whatever runs from a copy of this folder",
                );
            }
        }
        if self.waiting_link.is_some() {
            let what = format!("{device} waits until another device of its user admits it");
            find(Problem::WaitingForLink, what, "on another device: /link CODE");
        } else if !self.book.is_confirmed() && by_itself {
            let what = format!("the service has never taken {device}");
            find(
                Problem::NotRegistered,
                what,
                "start the messenger while the service can be reached",
            );
        }
        if self.offline {
            let what =
                "the service does not answer, or takes no session of this device".to_string();
            find(Problem::Offline, what, "check the address and the network");
        }
        if self.is_described && self.service_ahead.unsigned_abs() > CLOCK_OFF {
            let off = wait(self.service_ahead.unsigned_abs());
            let side = if self.service_ahead > 0 { "behind" } else { "ahead of" };
            let what = format!("this device's clock is {off} {side} the service's");
            find(Problem::ClockOff, what, "set the clock");
        }
        for (suite, held, unpublished) in self.key_package_stock() {
            if self.book.is_confirmed() && held < FEW_KEY_PACKAGES {
                let what =
                    format!("{held} key packages of {} are left", crate::suites::suite_name(suite));
                find(
                    Problem::KeyPackagesLow,
                    what,
                    "let the messenger reach the service: it makes more",
                );
            } else if unpublished > 0 {
                let what = format!(
                    "{unpublished} key packages of {} are not at the service yet",
                    crate::suites::suite_name(suite)
                );
                find(
                    Problem::KeyPackagesLow,
                    what,
                    "let the messenger reach the service: it makes more",
                );
            }
        }
        if let Some((from, until)) = self.authority.certified().and_then(|c| c.valid()) {
            let left = until.saturating_sub(now / 1000);
            if left < until.saturating_sub(from) / 4 {
                let what = match left {
                    0 => format!("the certificate of {device} has expired"),
                    _ => format!(
                        "the certificate of {device} expires in {}",
                        wait(left.saturating_mul(1000))
                    ),
                };
                find(
                    Problem::CertificateExpiring,
                    what,
                    "ask the CA to renew it, and start with --certificate FILE",
                );
            }
        }
        if self.is_convicted() {
            let what =
                "the service has shown two directories: the evidence is in the folder".to_string();
            find(Problem::ServiceLied, what, "ask whoever runs it; then /acknowledge service");
        }
        for user in self.book.alarmed() {
            let what = format!("what the service says of {user} contradicts what it said before");
            let remedy = format!("ask {user} in another way; if all is well, /acknowledge {user}");
            find(Problem::UserContradicted, what, &remedy);
        }
    }

    fn examine_group(&self, id: &GroupId, now: u64, findings: &mut Vec<Finding>) {
        let Some(record) = self.book.record(id) else { return };
        let name = self.group_name(id);
        let mut find = |problem, what: String, remedy: &str| {
            let group = Some(name.clone());
            findings.push(Finding { group, problem, what, remedy: remedy.into() });
        };
        match &record.stage {
            Stage::Removed | Stage::Left => return,
            Stage::Ended => {
                let what =
                    "the group has ended, and nobody has brought this device into its successor"
                        .to_string();
                find(Problem::WaitingForSuccessor, what, "wait, or begin it anew: /reset");
            }
            Stage::Creating(_) => {
                let what = "the service does not have the group yet".to_string();
                find(Problem::NotCreated, what, "let the messenger reach the service");
            }
            Stage::Active => {}
        }
        if let Some(by) = &record.asked_by {
            let what = format!("{by} has invited this device, and the user has not answered");
            find(Problem::Unanswered, what, "/accept, /decline or /block");
        }
        let rejoin = self.book.rejoin(id).filter(|rejoin| rejoin.wanted);
        if let Some(rejoin) = rejoin {
            let at = rejoin.times.next(now);
            if rejoin.commit.is_none() && at > now {
                let what =
                    format!("this device has come back too often, and waits {}", wait(at - now));
                find(Problem::RejoinLimited, what, "stop whatever runs from a copy of this folder");
            } else {
                let what = "this device has to come back in place of its former leaf".to_string();
                find(Problem::ComingBack, what, "let the messenger reach the service");
            }
        }

        let expected = matches!(record.stage, Stage::Active | Stage::Creating(_));
        let Some(live) = self.groups.get(id) else {
            if expected {
                let what = "the group's state cannot be loaded".to_string();
                find(
                    Problem::Unloadable,
                    what,
                    "/leave, and let a member invite this device again",
                );
            }
            return;
        };
        if let Some(why) = &live.stuck {
            find(
                Problem::Stuck,
                why.to_string(),
                "/reset begins it anew with the same members, /leave forgets it here",
            );
        } else if live.asking {
            let what = "the service has to say whose keys some members have".to_string();
            find(Problem::WaitingForAccount, what, "let the messenger reach the service");
        } else if live.head > record.cursor {
            let what = format!("{} entries of the log are not read yet", live.head - record.cursor);
            find(Problem::Behind, what, "let the messenger reach the service");
        }
        if let Some(missing) = self.book.missing(id) {
            let what = format!(
                "the service has lost {} entries of the log, and gets them back",
                missing.len()
            );
            find(Problem::LogLost, what, "keep the messenger running");
        }
        let leaves = |work: &Work| matches!(work, Work::Leave { .. });
        let (leaving, unsent): (Vec<_>, Vec<_>) =
            self.book.items(id).partition(|(_, item)| leaves(&item.work));
        if !unsent.is_empty() {
            let what = format!("{} things wait to be sent or done", unsent.len());
            find(Problem::Unsent, what, "let the messenger reach the service");
        }
        if !leaving.is_empty() {
            let what = "you have left, and no member has committed that yet".to_string();
            find(Problem::WaitingForDeparture, what, "wait until a member is there");
        }
    }
}

/// A time in words.
fn wait(milliseconds: u64) -> String {
    let seconds = milliseconds.div_ceil(1000);
    match seconds {
        0..=119 => format!("{seconds} seconds"),
        120..=7_199 => format!("{} minutes", seconds / 60),
        7_200..=172_799 => format!("{} hours", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}
