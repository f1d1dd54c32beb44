//! This device's certificate, and those of others.

use super::{Engine, EngineError};
use crate::authority::Authority;
use crate::book::Change;
use crate::command::Command;
use crate::conversation::Conversation;
use crate::output::Answer;
use crate::reason::Reason;
use crate::record::Stage;
use conclave_delivery_api::{CertificatesPage, Mode, Name, ServiceInfo, SubmitCertificate};
use conclave_mls::GroupId;
use conclave_store::Store;

/// How long this device waits before it invites a new one of its user, which is still to publish its key packages,
/// in milliseconds.
const NEWCOMER_WAIT: u64 = 3_000;

impl<S: Store> Engine<S> {
    /// That the service takes the same word on keys as this device.
    pub(super) fn check_mode(&self, info: &ServiceInfo) -> Result<(), EngineError> {
        let what = match (self.authority.mode(), info.mode) {
            (Mode::Accounts, Mode::Certificates) => {
                "the devices of this service are certified by a CA, and this one has no certificate: use another \
                 folder (--data DIR), and begin with `conclave certificate request`"
            }
            (Mode::Certificates, Mode::Accounts) => {
                "this device is certified by a CA, and the service has accounts: it is another service (--server \
                 URL), or was started without --trust"
            }
            _ => return Ok(()),
        };
        Err(EngineError::Certificate(what.into()))
    }

    /// The request that shows this device's certificate to the service.
    pub(super) fn show_certificate(&self) -> Result<Option<SubmitCertificate>, EngineError> {
        let Some(certified) = self.authority.certified() else { return Ok(None) };
        let key = &self.book.identity().signer.public;
        let judged = certified.judge_own(&*self.provider, self.time(), key);
        judged.map_err(|e| {
            let device = self.device();
            EngineError::Certificate(format!(
                "the certificate of {device} is not accepted by the roots that it trusts: {e}. Ask the CA for \
                 another one (conclave ca renew), and start with --certificate FILE"
            ))
        })?;
        Ok(Some(SubmitCertificate { chain: certified.chain().to_vec() }))
    }

    /// Says when the certificate is soon to expire.
    pub(super) fn remind_of_expiry(&mut self) {
        let Some((from, until)) = self.authority.certified().and_then(|c| c.valid()) else {
            return;
        };
        let left = until.saturating_sub(self.time().as_secs());
        if left < until.saturating_sub(from) / 4 {
            let device = self.device().clone();
            self.answers.push_back(Answer::CertificateExpires { device, at: until });
        }
    }

    /// Takes what the service shows of a user's devices, and of revocation.
    pub(super) fn take_certificates(
        &mut self,
        user: &Name,
        page: &CertificatesPage,
    ) -> Result<(), EngineError> {
        let now = self.time();
        let Authority::Certificates(certified) = &mut self.authority else { return Ok(()) };
        let before = certified.devices_of(user).to_vec();
        let is_new = certified.learn(&*self.provider, now, user, page);
        let added = certified
            .devices_of(user)
            .iter()
            .any(|new| !before.iter().any(|old| old.device == new.device));
        let record = certified.record();

        if is_new {
            self.book.commit(None, vec![Change::Certified(record)])?;
            // What could not be judged then may be now.
            self.conversations.values_mut().for_each(Conversation::try_again);
        }
        if added && *user == self.device().user {
            self.newcomers_at = Some(self.now.saturating_add(NEWCOMER_WAIT));
        }
        let groups: Vec<GroupId> = self.conversations.keys().cloned().collect();
        groups.iter().for_each(|group| self.plan_removals(group));
        Ok(())
    }

    /// Invites new devices of this user into its groups, if this is the first of those that are in there.
    pub(super) fn invite_newcomers(&mut self) -> Result<(), EngineError> {
        if self.newcomers_at.is_none_or(|at| at > self.now) {
            return Ok(());
        }
        self.newcomers_at = None;
        let mut items = Vec::new();
        for id in self.conversations.keys() {
            let record = self.book.record(id);
            let accepted = record.is_some_and(|r| r.stage == Stage::Active && r.asked_by.is_none());
            let members = self.member_devices(id);
            if accepted && !self.book.leaving(id) && self.is_first_own(&members) {
                items.extend(self.bring_in_own(id, &members));
            }
        }
        Ok(self.book.commit(None, items)?)
    }

    /// Refuses a command that is about accounts, where there are none.
    pub(super) fn check_account_command(&self, command: &Command) -> Result<(), Reason> {
        let is_about_accounts = matches!(
            command,
            Command::Link(_)
                | Command::Revoke(_)
                | Command::Recovery(_)
                | Command::ConfirmRecovery(_)
                | Command::Recover(_)
                | Command::Acknowledge(_)
                | Command::AcknowledgeService
        );
        match self.authority.mode() {
            Mode::Certificates if is_about_accounts => Err(Reason::Certified),
            _ => Ok(()),
        }
    }
}
