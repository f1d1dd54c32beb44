//! This device's certificate, and those of others.

use super::{Engine, EngineError};
use crate::authority::Authority;
use crate::book::Change;
use crate::command::Command;
use crate::conversation::Conversation;
use crate::output::Answer;
use crate::reason::Reason;
use crate::record::{Stage, Who};
use crate::request::Request;
use conclave_certificates::device_of;
use conclave_delivery_api::{
    CertificatesPage, DeviceId, FetchCertificates, Mode, Name, ServiceInfo, SubmitCertificate,
};
use conclave_mls::credential::SignaturePublicKey;
use conclave_mls::group::LeafUpdate;
use conclave_mls::{GroupId, UnixTime};
use conclave_store::Store;

/// How long this device waits before it invites a new one of its user, which is still to publish its key packages,
/// in milliseconds.
const NEWCOMER_WAIT: u64 = 3_000;

impl<S: Store> Engine<S> {
    /// The request for what is new of a user.
    pub(super) fn fetch_user(&self, user: Name) -> Result<Request, EngineError> {
        match &self.authority {
            Authority::Accounts(_) => Ok(self.fetch_account(user).into()),
            Authority::Certificates(certified) => {
                let known = certified.known_lists(&*self.provider)?;
                Ok(FetchCertificates { user, known }.into())
            }
        }
    }

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
            self.conversations.values_mut().for_each(|live| live.try_again());
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
            let members: Vec<DeviceId> =
                self.devices_in(id).into_iter().map(|(device, _)| device).collect();
            if accepted && !self.book.leaving(id) && self.is_first_own(&members) {
                items.extend(self.bring_in_own(id, &members));
            }
        }
        Ok(self.book.commit(None, items)?)
    }

    /// The time by which certificates of members have to be over before they count as that: this device's and the
    /// service's clock must agree.
    fn expiry_time(&self) -> UnixTime {
        self.time().min(self.service_time())
    }

    /// Whether a member's certificate counts no more.
    pub(super) fn certificate_has_ended(
        &mut self,
        group: &GroupId,
        device: &DeviceId,
        key: &SignaturePublicKey,
    ) -> bool {
        let now = self.expiry_time();
        let Authority::Certificates(certified) = &mut self.authority else { return false };
        let members =
            self.conversations.get(group).into_iter().flat_map(|live| live.group.members());
        let mut found = members.filter(|member| member.signature_key == *key);
        let member = found.find(|member| device_of(&member.credential).as_ref() == Some(device));
        member.is_some_and(|m| certified.has_ended(&*self.provider, now, &m.credential, key))
    }

    /// What of this device's leaf in a group is not as it is now: after a renewal, its credential and perhaps its key.
    pub(super) fn leaf_update(&self, live: &Conversation) -> Option<LeafUpdate> {
        let signer = &self.book.identity().signer;
        let own = live.group.own_member()?;
        let params = self.leaf();
        let same = own.credential == params.credential && own.signature_key == signer.public;
        (!same).then(|| LeafUpdate { params, signer: signer.clone() })
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

    /// Whether a device was in a group, and its certificate counts no more.
    pub(super) fn was_ended(&self, who: &Who) -> bool {
        let (Some(certified), Some(device)) = (self.authority.certified(), &who.device) else {
            return false;
        };
        certified.was_ended(&DeviceId::new(who.user.clone(), device.clone()))
    }
}
