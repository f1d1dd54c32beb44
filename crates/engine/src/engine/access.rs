//! How a device comes to the service: what the service is, an account, a session; for a new device of a user who has
//! an account, a code that one of the others admits it by.

use super::linking::Waiting;
use super::{Engine, EngineError, FIRST_WAIT, Purpose};
use crate::book::Change;
use crate::conversation::Conversation;
use crate::notice::Notice;
use crate::output::Answer;
use crate::reason::Reason;
use crate::request::Request;
use conclave_account::{Account, Author, DeviceKey, Entry, LinkCode, Offer, Parcel, Standing};
use conclave_delivery_api::{
    Bytes, CallError, Decode, DescribeService, Encode, ErrorCode, FetchRelay, OpenSession,
    OpenedSession, PutRelay, Registration, SESSION_SCHEME, ServiceInfo, SubmitAccount,
};
use conclave_mls::credential::SignaturePublicKey;
use conclave_mls::crypto::{CryptoError, CryptoProvider, SignatureKeyPair, SignatureScheme};
use conclave_store::Store;
use std::sync::Arc;

/// How often a device that waits to be admitted looks whether it was, in milliseconds.
const LINK_INTERVAL: u64 = 1_000;
/// How long a code is good, in milliseconds: a little less than what it stands for lies at the relay.
const LINK_LIFETIME: u64 = 9 * 60 * 1000;
/// How often in a row the service may take no session before the user is told.
const QUIET_REFUSALS: u32 = 2;

impl<S: Store> Engine<S> {
    /// The key of the session that is being opened, or is open.
    #[must_use]
    pub fn session_key(&self) -> Option<&SignatureKeyPair> {
        self.session_key.as_ref()
    }

    /// The cryptography.
    #[must_use]
    pub fn provider(&self) -> Arc<dyn CryptoProvider> {
        self.provider.clone()
    }

    /// The signature scheme of this device's key.
    pub(super) fn scheme(&self) -> Result<SignatureScheme, EngineError> {
        let suite = self.book.identity().cipher_suite;
        let suite = conclave_mls::crypto::Suite::new(&*self.provider, suite)?;
        Ok(suite.params().signature)
    }

    /// The service has said what it is.
    pub(super) fn described(&mut self, info: ServiceInfo) -> Result<(), EngineError> {
        self.check_mode(&info)?;
        // Where a CA certifies devices, nothing depends on the service's key but the sessions themselves.
        if self.authority.certified().is_none() {
            self.check_key(&info.key)?;
        }
        let theirs = i64::try_from(info.now.saturating_mul(1000)).unwrap_or(i64::MAX);
        self.service_ahead = theirs.saturating_sub_unsigned(self.now);
        self.authority.set_sender(info.external_sender());
        self.remake_groups()?;
        self.take_domain(info.domain.as_ref())?;
        self.service_key = Some(info.key);
        self.is_described = true;
        self.by_invitation = info.registration == Registration::Invitation;
        Ok(())
    }

    /// This user's account, as far as this device knows it.
    pub(super) fn own_account(&self) -> Option<&Account> {
        self.book.account(&self.device().user)
    }

    pub(super) fn own_key(&self) -> Result<DeviceKey, EngineError> {
        let identity = self.book.identity();
        let (user, name) = (&identity.device.user, identity.device.device.clone());
        let scheme = self.scheme()?;
        Ok(DeviceKey::proved(&*self.provider, user, name, scheme, &identity.signer)?)
    }

    /// What is to be done before there is a session.
    pub(super) fn next_access(&mut self) -> Result<Option<(Request, Purpose)>, EngineError> {
        let Some(service_key) = self.service_key.clone().filter(|_| self.is_described) else {
            return Ok(Some((DescribeService {}.into(), Purpose::Describe)));
        };
        if self.recovering.is_some() {
            return match self.watching.holds() {
                true => Ok(self.next_proof()),
                false => self.next_recovering(),
            };
        }
        if self.waiting_link.is_some() {
            return self.next_waiting();
        }
        if self.to_submit
            && let Some(request) = self.show_certificate()?
        {
            return Ok(Some((request.into(), Purpose::SubmitLog)));
        }
        if self.authority.certified().is_none() && self.own_account().is_none() {
            self.create_account()?;
        }
        if self.to_submit {
            let entries = self.book.own_log()?;
            let user = self.device().user.clone();
            let invitation = self.invitation.clone().map(Bytes::from);
            let request = SubmitAccount { user, entries, invitation };
            return Ok(Some((request.into(), Purpose::SubmitLog)));
        }

        if let Some(next) = self.next_key_entry()? {
            return Ok(Some(next));
        }
        let key = (self.scheme()?, self.book.identity().signer.clone());
        let author = Author::Device(self.device().device.clone());
        let request = self.open_session(&service_key, author, key)?;
        Ok(Some((request.into(), Purpose::OpenSession)))
    }

    /// The request for a session by one of the account's keys, with a new key for the session.
    pub(super) fn open_session(
        &mut self,
        service_key: &SignaturePublicKey,
        author: Author,
        (scheme, key): (SignatureScheme, SignatureKeyPair),
    ) -> Result<OpenSession, EngineError> {
        let session_key = self.provider.signature_key_pair(SESSION_SCHEME, &mut *self.rng)?;
        let request = OpenSession::signed(
            &*self.provider,
            service_key,
            (self.device().user.clone(), author),
            (scheme, &key),
            session_key.public.clone(),
            self.service_time(),
        )?;
        self.session_key = Some(session_key);
        Ok(request)
    }

    /// Makes the entry that creates this user's account. It is stored before it is sent: what the service has taken
    /// must not be forgotten here.
    fn create_account(&mut self) -> Result<(), EngineError> {
        let key = self.own_key()?;
        let identity = self.book.identity();
        let user = identity.device.user.clone();
        let now = self.time();
        let entry = Account::draft_creation(&*self.provider, &user, key, &identity.signer, now)?;
        let account = Account::create(&*self.provider, &entry).map_err(EngineError::Account)?;
        self.book.commit(None, vec![Change::OwnEntry(entry), Change::Account(account)])?;
        self.to_submit = true;
        Ok(())
    }

    /// The service has this user's log.
    pub(super) fn log_submitted(&mut self) -> Result<(), EngineError> {
        self.to_submit = false;
        self.confirm()
    }

    /// The service has this device's account.
    fn confirm(&mut self) -> Result<(), EngineError> {
        if !self.book.is_confirmed() {
            self.book.commit(None, vec![Change::Confirmed(true)])?;
        }
        Ok(())
    }

    pub(super) fn session_opened(&mut self, session: &OpenedSession) -> Result<(), EngineError> {
        self.registered = true;
        (self.resubmitted, self.asked_again) = (false, false);
        self.begin_marking();
        let lifetime = session.lifetime.saturating_mul(1000);
        self.session_until = self.now.saturating_add(lifetime / 4 * 3);
        // The service may be another one than before, or know less than it did.
        self.refused_suites.clear();
        self.count_at = 0;
        self.inbox_due = true;
        self.conversations.values_mut().for_each(Conversation::look_again);
        self.take_incarnation(session.incarnation)?;
        let groups: Vec<_> = self.conversations.keys().cloned().collect();
        groups.iter().for_each(|group| self.plan_removals(group));
        // The log may have grown while this device was away.
        self.lookups.insert(self.device().user.clone());
        self.lookups.extend(self.book.alarmed().cloned());
        self.remind_of_expiry();
        self.confirm()
    }

    /// The service did not take the session: it has ended, or the service is another process now. A new one is
    /// opened at once. If that is of no use either, the user is told, and each attempt waits longer.
    pub(super) fn session_refused(&mut self) {
        // The recovery key's session has no events.
        if self.waiting_link.is_some() {
            return;
        }
        self.registered = false;
        self.is_described = false;
        self.sessions_refused += 1;
        if self.sessions_refused > QUIET_REFUSALS {
            self.offline(Reason::NoSession);
            self.wait_longer();
        }
    }

    /// The service has refused what is to be done before there is a session.
    pub(super) fn access_refused(
        &mut self,
        purpose: &Purpose,
        error: &CallError,
    ) -> Result<(), EngineError> {
        let CallError::Refused { code, detail, .. } = error.clone() else { return Ok(()) };
        let confirmed = self.book.is_confirmed();
        match (purpose, code) {
            // Somebody has this name already: one of this user's other devices, if it is the user's.
            (Purpose::SubmitLog, ErrorCode::AccountForked) if !confirmed => {
                self.book.commit(None, vec![Change::ForgetOwnLog])?;
                self.to_submit = false;
                return self.wait_for_link();
            }
            // The service has forgotten this device, and is told again, once. It may have been set up anew since it was
            // asked for its key, so it is asked again.
            (Purpose::OpenSession, ErrorCode::UnknownUser | ErrorCode::UnknownDevice)
                if !self.resubmitted =>
            {
                self.is_described = false;
                self.to_submit = true;
                self.resubmitted = true;
                return Ok(());
            }
            // The service may have another key than it had when it was asked, or a clock was set since then.
            (Purpose::OpenSession, ErrorCode::BadProof | ErrorCode::Clock) if !self.asked_again => {
                self.is_described = false;
                // Or it was set back to a time before this device took its key.
                self.to_submit |=
                    code == ErrorCode::BadProof && !self.book.key_renewals().is_empty();
                self.asked_again = true;
                return Ok(());
            }
            (Purpose::OpenSession, ErrorCode::Revoked) if self.book.copied().is_some() => {
                return Err(EngineError::Superseded { device: self.device().clone() });
            }
            // (A service without a relay admits no further devices.)
            (Purpose::Place | Purpose::Look, code) if code != ErrorCode::UnknownOperation => {
                self.failed(None, Reason::ServiceRefuses { why: error.to_string() });
                self.wait = FIRST_WAIT;
                self.wait_longer();
                return self.wait_for_link();
            }
            _ => {}
        }

        if self.authority.certified().is_some() {
            let device = self.device();
            return Err(EngineError::Certificate(format!(
                "the service does not take {device} ({code}): {detail}. A certificate that counts comes from the CA; \
                 start with --certificate FILE"
            )));
        }
        let detail = match code {
            ErrorCode::RegistrationClosed if self.by_invitation => {
                format!("{detail}. With an invitation: --invitation CODE")
            }
            _ => detail,
        };
        Err(EngineError::NotRegistered { device: self.device().clone(), code, detail })
    }

    /// Begins to wait until another device of this user admits this one.
    fn wait_for_link(&mut self) -> Result<(), EngineError> {
        let offer = Offer { user: self.device().user.clone(), device: self.own_key()? };
        let code = LinkCode::new(&*self.provider, &mut *self.rng, &offer)?;
        let offer = offer.to_bytes().map_err(CryptoError::from)?;
        let sealed = code.seal(&*self.provider, &mut *self.rng, Parcel::Offer, &offer)?;
        let expires = self.now.saturating_add(LINK_LIFETIME);
        self.waiting_link = Some(Waiting { code, sealed, placed: false, expires, look_at: 0 });
        Ok(())
    }

    fn next_waiting(&mut self) -> Result<Option<(Request, Purpose)>, EngineError> {
        if self.waiting_link.as_ref().is_some_and(|waiting| waiting.expires <= self.now) {
            self.tell_now(Notice::CodeExpired);
            self.wait_for_link()?;
        }
        let Some(waiting) = &mut self.waiting_link else { return Ok(None) };
        let provider = &*self.provider;
        if !waiting.placed {
            let slot = waiting.code.slot(provider, Parcel::Offer)?.into();
            let content = waiting.sealed.as_slice().into();
            return Ok(Some((PutRelay { slot, content }.into(), Purpose::Place)));
        }
        if waiting.look_at > self.now {
            return Ok(None);
        }
        waiting.look_at = self.now.saturating_add(LINK_INTERVAL);
        let slot = waiting.code.slot(provider, Parcel::Log)?.into();
        Ok(Some((FetchRelay { slot }.into(), Purpose::Look)))
    }

    /// When a device that waits looks again.
    pub(super) fn look_at(&self) -> Option<u64> {
        if self.recovering.is_some() {
            let waits = self.watching.holds();
            return Some(if waits { self.watching.proof_at } else { self.now });
        }
        self.waiting_link.as_ref().map(|waiting| waiting.look_at.min(waiting.expires))
    }

    pub(super) fn clamp_link_times(&mut self) {
        if let Some(waiting) = &mut self.waiting_link {
            waiting.look_at = self.now.saturating_add(LINK_INTERVAL).min(waiting.look_at);
            waiting.expires = self.now.saturating_add(LINK_LIFETIME).min(waiting.expires);
        }
    }

    /// The offer lies at the relay.
    pub(super) fn placed(&mut self) {
        if let Some(waiting) = &mut self.waiting_link {
            waiting.placed = true;
            let code = waiting.code.to_string();
            self.answers
                .push_back(Answer::Link { device: self.book.identity().device.clone(), code });
        }
    }

    /// What another device of this user has left for this one, if anything: the log with this device in it.
    pub(super) fn looked(&mut self, content: Option<&[u8]>) -> Result<(), EngineError> {
        let (Some(content), Some(waiting)) = (content, &self.waiting_link) else { return Ok(()) };
        let provider = &*self.provider;
        let read = || -> Result<(Account, Vec<Entry>), String> {
            let opened = waiting.code.open(provider, Parcel::Log, content);
            let opened = opened.map_err(|e| e.to_string())?;
            let log: Vec<Bytes> = Decode::from_bytes(&opened).map_err(|e| e.to_string())?;
            let entries: Result<Vec<Entry>, _> = log.iter().map(|e| Entry::from_bytes(e)).collect();
            let entries = entries.map_err(|e| e.to_string())?;
            let account = Account::from_entries(provider, &entries).map_err(|e| e.to_string())?;
            Ok((account, entries))
        };
        let me = self.device().clone();
        let own_key = self.book.identity().signer.public.clone();
        let (account, entries) = match read() {
            Ok((account, entries))
                if *account.user() == me.user
                    && matches!(account.standing(&me.device, &own_key), Standing::Active(_)) =>
            {
                (account, entries)
            }
            Ok(_) => {
                self.failed(None, Reason::LogOfAnotherAccount);
                return self.wait_for_link();
            }
            Err(e) => {
                self.failed(None, Reason::AdmissionUnreadable { why: e });
                return self.wait_for_link();
            }
        };

        let mut changes: Vec<Change> = entries.into_iter().map(Change::OwnEntry).collect();
        let code = self.waiting_link.take().map(|waiting| waiting.code);
        changes.extend([
            Change::Account(account),
            Change::Confirmed(true),
            Change::TellReady(code.clone()),
        ]);
        self.book.commit(None, changes)?;
        self.tell_ready = code;
        Ok(())
    }

    /// Says to the device that has admitted this one that it can be invited.
    pub(super) fn next_ready(&mut self) -> Result<Option<(Request, Purpose)>, EngineError> {
        if !self.announced {
            return Ok(None);
        }
        let Some(code) = &self.tell_ready else { return Ok(None) };
        let slot = code.slot(&*self.provider, Parcel::Ready)?.into();
        let content = code.seal(&*self.provider, &mut *self.rng, Parcel::Ready, b"ready")?.into();
        Ok(Some((PutRelay { slot, content }.into(), Purpose::Ready)))
    }

    /// That was said, or is of no use any more.
    pub(super) fn ready_told(&mut self) -> Result<(), EngineError> {
        self.tell_ready = None;
        Ok(self.book.commit(None, vec![Change::TellReady(None)])?)
    }
}
