//! Account logs and sessions: the service takes what the logs' own rules allow, and nothing else.

use super::invitations;
use super::sessions::Holder;
use super::{Caller, Done, MAX_TOLD, Notice, Operation, Service, ServiceError};
use crate::storage::DeviceInfo;
use crate::storage::{AccountExtension, AccountRecord, Extended, Storage};
use conclave_account::{Account, Author, Change, Entry, EntryFault, MAX_ENTRIES, Standing};
use conclave_delivery_api::{
    AccountHead, AccountPage, Bytes, Decode, DescribeService, DeviceId, Encode, ErrorCode, Event,
    FetchAccount, Mode, Name, OpenSession, OpenedSession, Registration, ServiceInfo, SubmitAccount,
};
use conclave_mls::UnixTime;
use conclave_mls::credential::SignaturePublicKey;
use std::collections::BTreeSet;

/// How many entries a request or a reply holds at most, and a reply how many bytes.
const MAX_ENTRIES_AT_ONCE: u32 = 256;
const MAX_PAGE_BYTES: usize = 1 << 20;
/// The length of a session's key, in bytes.
const SESSION_KEY: usize = 32;

fn refuse<T>(code: ErrorCode, detail: impl Into<String>) -> Result<T, ServiceError> {
    Err(ServiceError::new(code, detail))
}

impl<S: Storage> Service<S> {
    /// The service's public key.
    fn public_key(&self) -> SignaturePublicKey {
        self.directory.key().public
    }

    fn account(&self, user: &Name) -> Result<Option<(AccountRecord, Account)>, ServiceError> {
        let Some(record) = self.storage.account(user)? else { return Ok(None) };
        let account = stored_account(user, &record)?;
        Ok(Some((record, account)))
    }

    fn known_account(&self, user: &Name) -> Result<(AccountRecord, Account), ServiceError> {
        let unknown =
            || ServiceError::new(ErrorCode::UnknownUser, format!("there is no user {user}"));
        self.account(user)?.ok_or_else(unknown)
    }

    /// Checks the time at which a request was signed.
    fn check_clock(&self, issued_at: u64, now: UnixTime) -> Result<(), ServiceError> {
        let off = now.as_secs().abs_diff(issued_at);
        if off > self.limits.clock_skew.as_secs() {
            let which = if issued_at < now.as_secs() { "behind" } else { "ahead of" };
            let detail = format!("the device's clock is {off} seconds {which} the service's");
            return refuse(ErrorCode::Clock, detail);
        }
        Ok(())
    }

    /// Everybody whom a change of an account concerns: those of the user's devices that were active before, and all
    /// who share a group with one of them.
    pub(super) fn concerned(
        &self,
        before: &[DeviceInfo],
    ) -> Result<BTreeSet<DeviceId>, ServiceError> {
        let active = before.iter().filter(|device| device.active);
        let mut told: BTreeSet<DeviceId> = active.map(|device| device.device.clone()).collect();
        let mut groups = BTreeSet::new();
        for device in &told {
            groups.extend(self.storage.groups_of(device)?.into_iter().map(|group| group.0));
        }
        for group in groups {
            if told.len() >= MAX_TOLD as usize {
                break;
            }
            told.extend(self.storage.members(&group)?.iter().cloned());
        }
        Ok(told)
    }

    /// The entries that the service does not have yet. Those that it has must be the same: otherwise these are
    /// two logs.
    fn new_entries(
        &self,
        request: &SubmitAccount,
        had: u64,
    ) -> Result<Vec<(Entry, Bytes)>, ServiceError> {
        if request.entries.is_empty() || request.entries.len() > MAX_ENTRIES as usize {
            return refuse(ErrorCode::Malformed, "there are no entries, or too many");
        }
        let user = &request.user;
        let mut new = Vec::new();
        for bytes in &request.entries {
            let entry = Entry::from_bytes(bytes)
                .map_err(|e| ServiceError::new(ErrorCode::Malformed, format!("an entry: {e}")))?;
            if entry.sequence >= had {
                new.push((entry, bytes.clone()));
                continue;
            }

            let stored = self.storage.account_entries(user, entry.sequence, 1, 1)?;
            if stored.first() != Some(bytes) {
                let detail = format!(
                    "the service has another entry {} of the account of {user}: another device was faster, or \
                     there are two logs under this name. Fetch the log",
                    entry.sequence
                );
                return refuse(ErrorCode::AccountForked, detail);
            }
        }
        Ok(new)
    }

    /// The account after these entries, each of which is checked.
    fn extended(
        &self,
        user: &Name,
        mut account: Option<Account>,
        entries: &[(Entry, Bytes)],
        now: UnixTime,
    ) -> Result<Account, ServiceError> {
        let provider = &*self.provider;
        let latest = now.saturating_add(self.limits.clock_skew);
        for (entry, _) in entries {
            if entry.user != *user {
                return refuse(ErrorCode::BadEntry, "an entry belongs to another user's log");
            }
            if entry.issued_at > latest {
                self.check_clock(entry.issued_at.as_secs(), now)?;
            }
            Account::follow(&mut account, provider, entry).map_err(|e| refused_entry(user, &e))?;
        }
        account.ok_or_else(|| ServiceError::new(ErrorCode::BadEntry, "the log has no first entry"))
    }

    /// Stores entries that were checked.
    fn extend(&self, extension: AccountExtension) -> Result<(), ServiceError> {
        let user = extension.user.clone();
        let extended = self.storage.extend_account(extension).inspect_err(|_| {
            // They may have been written. If so, some devices are active no longer: which, nobody knows just now.
            self.sessions.keep(&user, &[], false);
        })?;
        match extended {
            Extended::Stored => Ok(()),
            Extended::Raced => {
                let detail = "the log has grown meanwhile: fetch it, and try again";
                refuse(ErrorCode::Unavailable, detail)
            }
            Extended::NameTaken(taken) => {
                let detail = format!(
                    "there is a user {taken}, whose name looks like {user}: choose another one"
                );
                refuse(ErrorCode::NameTaken, detail)
            }
            Extended::InvitationUsed => {
                refuse(ErrorCode::BadInvitation, "this invitation was used before")
            }
        }
    }
}

/// The account that is stored.
pub(super) fn stored_account(user: &Name, record: &AccountRecord) -> Result<Account, ServiceError> {
    Account::from_bytes(&record.state).map_err(|e| {
        let detail = format!("the stored account of {user} is damaged: {e}");
        ServiceError::new(ErrorCode::Unavailable, detail)
    })
}

/// The devices of an account, the last of each name.
pub(super) fn devices(account: &Account) -> Vec<DeviceInfo> {
    let mut devices: Vec<DeviceInfo> = Vec::new();
    for device in account.devices() {
        let id = DeviceId::new(account.user().clone(), device.name.clone());
        let info = DeviceInfo {
            device: id,
            scheme: device.scheme,
            signature_key: device.key.clone(),
            active: device.is_active(),
        };
        match devices.iter_mut().find(|known| known.device == info.device) {
            Some(known) => *known = info,
            None => devices.push(info),
        }
    }
    devices
}

/// The device that an entry revokes.
fn revoked(entry: &Entry) -> Option<DeviceId> {
    match &entry.change {
        Change::RevokeDevice(name) => Some(DeviceId::new(entry.user.clone(), name.clone())),
        Change::Create { .. }
        | Change::AddDevice(_)
        | Change::RotateKey(_)
        | Change::ReplaceRecovery(_) => None,
    }
}

/// What a name looks like (UTS 39), whatever the case: two names with the same are one name to a reader.
fn skeleton(name: &Name) -> String {
    let once: String = unicode_security::skeleton(name.as_str()).collect();
    unicode_security::skeleton(&once.to_lowercase()).collect()
}

/// Why an entry is refused, as the service says it.
fn refused_entry(user: &Name, e: &conclave_account::EntryError) -> ServiceError {
    let code = match &e.fault {
        EntryFault::OtherHistory | EntryFault::OutOfOrder { .. } => ErrorCode::AccountForked,
        EntryFault::TooManyDevices | EntryFault::TooManyEntries => ErrorCode::TooMany,
        EntryFault::Crypto(_) => ErrorCode::UnsupportedSuite,
        _ => ErrorCode::BadEntry,
    };
    ServiceError::new(code, format!("{user}: {e}"))
}

impl Operation for DescribeService {
    const ANY_CLIENT: bool = true;

    fn run<S: Storage>(
        self,
        service: &Service<S>,
        caller: &Caller,
    ) -> Result<Done<ServiceInfo>, ServiceError> {
        let info = ServiceInfo {
            key: service.public_key(),
            sender_key: service.sender.public.clone(),
            mode: service.mode(),
            registration: service.registration(),
            now: caller.now.as_secs(),
            minimum_clients: service.limits.minimum_clients.clone(),
            incarnation: service.incarnation,
            domain: service.limits.domain.as_deref().and_then(|d| d.try_into().ok()),
        };
        Ok(Done::new(info, "says what it is"))
    }
}

impl Operation for SubmitAccount {
    const LONG: bool = true;
    const MODE: Option<Mode> = Some(Mode::Accounts);

    fn run<S: Storage>(
        self,
        service: &Service<S>,
        caller: &Caller,
    ) -> Result<Done<AccountHead>, ServiceError> {
        let user = &self.user;
        let known = service.account(user)?;
        let had = known.as_ref().map_or(0, |(record, _)| record.length);
        let new = service.new_entries(&self, had)?;
        let invitation = match known {
            None => service.check_registration(self.invitation.as_ref(), caller.now)?,
            Some(_) => None,
        };

        let before = known.map(|(_, account)| account);
        let devices_before = before.as_ref().map(devices).unwrap_or_default();
        let recovery_before = before.as_ref().and_then(|account| account.recovery_key());
        let account = service.extended(user, before.clone(), &new, caller.now)?;
        let devices = devices(&account);
        let head = account.head();
        let reply = AccountHead { length: head.length, hash: head.hash.as_slice().into() };

        let mut told = BTreeSet::new();
        let is_longer = !new.is_empty();
        if is_longer {
            // Whom a revoked device shares groups with is forgotten together with the device.
            told = service.concerned(&devices_before)?;
            let state = account.to_bytes().map_err(|e| ServiceError::invalid(e.to_string()))?;
            let revoked = new.iter().filter_map(|(entry, _)| revoked(entry)).collect();
            service.extend(AccountExtension {
                user: user.clone(),
                skeleton: skeleton(user),
                expected_length: had,
                entries: new.into_iter().map(|(_, bytes)| bytes).collect(),
                state: state.into(),
                devices: devices.clone(),
                revoked,
                invitation,
            })?;
        }

        // Also if nothing is new: the request that brought the entries may have come to no end.
        let active: Vec<DeviceInfo> = devices.iter().filter(|d| d.active).cloned().collect();
        let keeps_recovery = recovery_before == account.recovery_key();
        service.sessions.keep(user, &active, keeps_recovery);
        let seen = format!("{user}, {} entries, {} devices", head.length, active.len());
        let mut done = Done::new(reply, seen);
        let ended = devices_before.iter().chain(&devices).filter(|d| !active.contains(d));
        done.ended = ended.map(|device| device.device.clone()).collect();
        if is_longer {
            told.extend(active.into_iter().map(|device| device.device));
            let event = Event::Account { user: user.clone(), length: head.length };
            done.notices.push(Notice { to: told.into_iter().collect(), event });
            // The log has the entries in any case. What fails here is done later.
            done.notices.extend(service.propose_removals(caller.now).unwrap_or_default());
        }
        Ok(done)
    }
}

impl Operation for FetchAccount {
    const MODE: Option<Mode> = Some(Mode::Accounts);

    fn run<S: Storage>(
        self,
        service: &Service<S>,
        caller: &Caller,
    ) -> Result<Done<AccountPage>, ServiceError> {
        match &caller.holder {
            Some(Holder::Device(_)) => {}
            Some(Holder::Recovery(user)) if *user == self.user => {}
            _ => {
                let detail =
                    "this takes the session of a device, or of the account's own recovery key";
                return refuse(ErrorCode::Unauthorized, detail);
            }
        }
        // The log comes last: what the directory has of it is then in it.
        let directory = service.directory_page(&self.user)?;
        let (record, _) = service.known_account(&self.user)?;
        let entries = service.storage.account_entries(
            &self.user,
            self.after,
            MAX_ENTRIES_AT_ONCE,
            MAX_PAGE_BYTES,
        )?;
        let seen = format!("{}, {} of {} entries", self.user, entries.len(), record.length);
        Ok(Done::new(AccountPage { entries, length: record.length, directory }, seen))
    }
}

impl<S: Storage> Service<S> {
    /// Who has the key that a request for a session is signed with.
    fn holder(&self, request: &OpenSession, account: &Account) -> Result<Holder, ServiceError> {
        let user = &request.user;
        let (scheme, holder) = match &request.author {
            Author::Recovery => match account.recovery_key() {
                Some((scheme, key)) if *key == request.key => {
                    (scheme, Ok(Holder::Recovery(user.clone())))
                }
                _ => return refuse(ErrorCode::BadProof, "this is not the account's recovery key"),
            },
            Author::Device(name) => {
                let id = DeviceId::new(user.clone(), name.clone());
                match account.standing(name, &request.key) {
                    Standing::Active(device) => {
                        let (scheme, signature_key) = (device.scheme, device.key.clone());
                        let info = DeviceInfo { device: id, scheme, signature_key, active: true };
                        (scheme, Ok(Holder::Device(info)))
                    }
                    Standing::Ended(device, _) => (device.scheme, Err(ServiceError::revoked(&id))),
                    Standing::OtherKey(_) => {
                        let detail = format!("the account has another key for {id}");
                        return refuse(ErrorCode::BadProof, detail);
                    }
                    Standing::Unknown => {
                        let detail = format!(
                            "the account of {user} has no device {name}: a device of {user} has to add it"
                        );
                        return refuse(ErrorCode::UnknownDevice, detail);
                    }
                }
            }
        };

        // However many keys the account has or had, this is the only signature that is checked.
        let service_key = self.public_key();
        if request.verify(&*self.provider, &service_key, scheme).is_err() {
            let detail = "the request is not signed with this key for this service";
            return refuse(ErrorCode::BadProof, detail);
        }
        holder
    }
}

impl<S: Storage> Service<S> {
    /// The certified device that a request for a session is signed by.
    fn certified_holder(&self, request: &OpenSession) -> Result<Holder, ServiceError> {
        let Author::Device(name) = &request.author else {
            return refuse(ErrorCode::WrongMode, "this service has no accounts to recover");
        };
        let id = DeviceId::new(request.user.clone(), name.clone());
        let info = self.certified_device(&id)?;
        let service_key = self.public_key();
        if info.signature_key != request.key
            || request.verify(&*self.provider, &service_key, info.scheme).is_err()
        {
            let detail = format!("the request is not signed with the certified key of {id}");
            return refuse(ErrorCode::BadProof, detail);
        }
        Ok(Holder::Device(info))
    }
}

impl Operation for OpenSession {
    fn run<S: Storage>(
        self,
        service: &Service<S>,
        caller: &Caller,
    ) -> Result<Done<OpenedSession>, ServiceError> {
        service.check_clock(self.issued_at, caller.now)?;
        if self.session_key.len() != SESSION_KEY {
            return refuse(ErrorCode::Malformed, "the session's key is no Ed25519 key");
        }
        if service.storage.is_blocked(&self.user)? {
            return Err(ServiceError::blocked(&self.user));
        }
        let (record, holder) = match service.mode() {
            Mode::Accounts => {
                let (record, account) = service.known_account(&self.user)?;
                (Some(record), service.holder(&self, &account)?)
            }
            Mode::Certificates => (None, service.certified_holder(&self)?),
        };
        let lifetime = service.limits.session;
        let opened = service.sessions.open(holder.clone(), self.session_key, caller.now, lifetime);
        let (token, lifetime) = opened?;

        // Whoever changes the account ends sessions after that. If it has changed since it was read, that may have
        // been before this session was there.
        let is_same = match &holder {
            Holder::Device(info) if record.is_none() => {
                service.storage.device(&info.device)?.as_ref() == Some(info)
            }
            _ => service.storage.account(&self.user)? == record,
        };
        if service.storage.is_blocked(&self.user)? {
            service.sessions.close(&token);
            return Err(ServiceError::blocked(&self.user));
        }
        if !is_same {
            service.sessions.close(&token);
            let detail = "the account has changed meanwhile: try again";
            return refuse(ErrorCode::Unavailable, detail);
        }
        let who = match &self.author {
            Author::Device(name) => name.as_str(),
            Author::Recovery => "the recovery key",
        };
        let seen = format!("{} by {who}", self.user);
        let incarnation = service.incarnation;
        Ok(Done::new(OpenedSession { token, lifetime, incarnation }, seen))
    }
}

impl<S: Storage> Service<S> {
    /// Whether a new account is let in; the hash of the invitation that it uses up.
    fn check_registration(
        &self,
        invitation: Option<&Bytes>,
        now: UnixTime,
    ) -> Result<Option<[u8; 32]>, ServiceError> {
        match (self.registration(), invitation) {
            (Registration::Open, _) => Ok(None),
            (Registration::Closed, _) => {
                refuse(ErrorCode::RegistrationClosed, "this service takes no new users")
            }
            (Registration::Invitation, None) => {
                let detail =
                    "this service takes new users by invitation: ask whoever runs it for one";
                refuse(ErrorCode::RegistrationClosed, detail)
            }
            (Registration::Invitation, Some(invitation)) => {
                let valid = invitations::check(&*self.provider, &self.secret, invitation, now);
                let hash =
                    valid.map_err(|what| ServiceError::new(ErrorCode::BadInvitation, what))?;
                Ok(Some(hash))
            }
        }
    }
}
