//! The rules of a log: who may add which entry.

use crate::account::{Account, AccountId, Device, End, Head};
use crate::entry::{Author, Change, DeviceKey, Entry, RecoveryKey};
use crate::error::{EntryError, EntryFault};
use crate::limits::{MAX_DEVICES, MAX_ENTRIES};
use crate::names::Name;
use alloc::vec::Vec;
use conclave_mls::credential::SignaturePublicKey;
use conclave_mls::crypto::{CryptoError, CryptoProvider, SignatureScheme};

impl Account {
    /// An account from its first entry.
    ///
    /// # Errors
    /// If the entry is not the valid creation of an account.
    pub fn create(provider: &dyn CryptoProvider, entry: &Entry) -> Result<Self, EntryError> {
        let error = |fault| EntryError { sequence: entry.sequence, fault };
        created(provider, entry).map_err(error)
    }

    /// An account from its whole log.
    ///
    /// # Errors
    /// As [`Self::create`] for the first entry and [`Self::apply`] for the others. A log without entries is none.
    pub fn from_entries<'a>(
        provider: &dyn CryptoProvider,
        entries: impl IntoIterator<Item = &'a Entry>,
    ) -> Result<Self, EntryError> {
        let mut account = None;
        for entry in entries {
            Self::follow(&mut account, provider, entry)?;
        }
        account.ok_or(EntryError { sequence: 0, fault: EntryFault::MisplacedCreation })
    }

    /// Moves on what is known of an account by the next entry of its log: at first nothing is.
    ///
    /// # Errors
    /// As [`Self::create`] if nothing is known, otherwise as [`Self::apply`]; then nothing has changed.
    pub fn follow(
        known: &mut Option<Self>,
        provider: &dyn CryptoProvider,
        entry: &Entry,
    ) -> Result<(), EntryError> {
        match known {
            Some(account) => account.apply(provider, entry),
            None => {
                *known = Some(Self::create(provider, entry)?);
                Ok(())
            }
        }
    }

    /// Moves the account on by the next entry of its log.
    ///
    /// # Errors
    /// If the entry breaks a rule; then nothing has changed.
    pub fn apply(
        &mut self,
        provider: &dyn CryptoProvider,
        entry: &Entry,
    ) -> Result<(), EntryError> {
        let error = |fault| EntryError { sequence: entry.sequence, fault };
        self.check_position(entry).map_err(error)?;
        self.check_author(provider, entry).map_err(error)?;
        self.check_change(provider, entry).map_err(error)?;
        let hash = entry.hash(provider).map_err(|e| error(e.into()))?;

        self.take_change(entry);
        self.head = Head { length: entry.sequence + 1, hash };
        self.last_at = entry.issued_at;
        Ok(())
    }

    /// Checks that the entry is the next one of this log.
    fn check_position(&self, entry: &Entry) -> Result<(), EntryFault> {
        let expected = self.head.length;
        if entry.user != self.user {
            return Err(EntryFault::OtherUser(entry.user.clone()));
        }
        if entry.sequence != expected {
            return Err(EntryFault::OutOfOrder { expected });
        }
        if entry.previous != Some(self.head.hash) {
            return Err(EntryFault::OtherHistory);
        }
        if entry.issued_at < self.last_at {
            return Err(EntryFault::BeforePrevious);
        }
        if expected >= MAX_ENTRIES {
            return Err(EntryFault::TooManyEntries);
        }
        Ok(())
    }

    /// Checks that the author is active before this entry, and signed it.
    fn check_author(&self, provider: &dyn CryptoProvider, entry: &Entry) -> Result<(), EntryFault> {
        let (scheme, key) = match &entry.author {
            Author::Device(name) => {
                let inactive = || EntryFault::AuthorNotActive(name.clone());
                let device = self.device(name).ok_or_else(inactive)?;
                (device.scheme, &device.key)
            }
            Author::Recovery => self.recovery_key().ok_or(EntryFault::NoRecoveryKey)?,
        };
        check_signature(provider, entry, scheme, key)
    }

    /// Checks that this author may make this change of this account.
    fn check_change(&self, provider: &dyn CryptoProvider, entry: &Entry) -> Result<(), EntryFault> {
        match &entry.change {
            Change::Create { .. } => Err(EntryFault::MisplacedCreation),

            Change::AddDevice(device) => {
                if self.device(&device.name).is_some() {
                    return Err(EntryFault::NameInUse(device.name.clone()));
                }
                if self.active().count() >= MAX_DEVICES {
                    return Err(EntryFault::TooManyDevices);
                }
                self.check_new_device_key(provider, device)
            }

            Change::RevokeDevice(name) => {
                self.check_active(name)?;
                if self.active().count() == 1 && self.recovery.is_none() {
                    return Err(EntryFault::LastKey);
                }
                Ok(())
            }

            Change::RotateKey(device) => {
                self.check_active(&device.name)?;
                if matches!(&entry.author, Author::Device(author) if *author != device.name) {
                    return Err(EntryFault::NotItsOwnKey(device.name.clone()));
                }
                self.check_new_device_key(provider, device)
            }

            Change::ReplaceRecovery(recovery) => {
                if self.recovery.is_some() && entry.author != Author::Recovery {
                    return Err(EntryFault::RecoveryKeyRequired);
                }
                match recovery {
                    Some(key) if self.knows_key(&key.key) => Err(EntryFault::KeyUsedBefore),
                    Some(key) => check_proof(key.verify(provider, &self.user)),
                    None if self.active().next().is_none() => Err(EntryFault::LastKey),
                    None => Ok(()),
                }
            }
        }
    }

    fn check_active(&self, name: &Name) -> Result<(), EntryFault> {
        match self.device(name) {
            Some(_) => Ok(()),
            None => Err(EntryFault::NoSuchDevice(name.clone())),
        }
    }

    fn check_new_device_key(
        &self,
        provider: &dyn CryptoProvider,
        device: &DeviceKey,
    ) -> Result<(), EntryFault> {
        if self.knows_key(&device.key) {
            return Err(EntryFault::KeyUsedBefore);
        }
        check_proof(device.verify(provider, &self.user))
    }

    /// Takes a change that was checked.
    fn take_change(&mut self, entry: &Entry) {
        match &entry.change {
            Change::Create { .. } => {}
            Change::AddDevice(device) => self.devices.push(added(device, entry)),
            Change::RevokeDevice(name) => self.end(name, entry, false),
            Change::RotateKey(device) => {
                self.end(&device.name, entry, true);
                self.devices.push(added(device, entry));
            }
            Change::ReplaceRecovery(recovery) => {
                let new = recovery.as_ref().map(|key| (key.scheme, key.key.clone()));
                let old = core::mem::replace(&mut self.recovery, new);
                self.former_recovery.extend(old.map(|(_, key)| key));
            }
        }
    }

    fn end(&mut self, name: &Name, entry: &Entry, rotated: bool) {
        let end = End { at: entry.issued_at, by: entry.author.clone(), rotated };
        let active = |device: &&mut Device| device.is_active() && device.name == *name;
        if let Some(device) = self.devices.iter_mut().find(active) {
            device.ended = Some(end);
        }
    }
}

/// The account that a first entry creates.
fn created(provider: &dyn CryptoProvider, entry: &Entry) -> Result<Account, EntryFault> {
    let Change::Create { device, recovery } = &entry.change else {
        return Err(EntryFault::MisplacedCreation);
    };
    if entry.sequence != 0 || entry.previous.is_some() {
        return Err(EntryFault::OutOfOrder { expected: 0 });
    }

    // The first device signs for itself.
    match &entry.author {
        Author::Device(name) if *name == device.name => {}
        Author::Device(name) => return Err(EntryFault::AuthorNotActive(name.clone())),
        Author::Recovery => return Err(EntryFault::NoRecoveryKey),
    }
    check_signature(provider, entry, device.scheme, &device.key)?;

    check_proof(device.verify(provider, &entry.user))?;
    if let Some(recovery) = recovery {
        if recovery.key == device.key {
            return Err(EntryFault::KeyUsedBefore);
        }
        check_proof(recovery.verify(provider, &entry.user))?;
    }

    let hash = entry.hash(provider)?;
    let key = |recovery: &RecoveryKey| (recovery.scheme, recovery.key.clone());
    Ok(Account {
        user: entry.user.clone(),
        id: AccountId(hash),
        head: Head { length: 1, hash },
        last_at: entry.issued_at,
        devices: Vec::from([added(device, entry)]),
        recovery: recovery.as_ref().map(key),
        former_recovery: Vec::new(),
    })
}

fn added(device: &DeviceKey, entry: &Entry) -> Device {
    Device {
        name: device.name.clone(),
        scheme: device.scheme,
        key: device.key.clone(),
        added_at: entry.issued_at,
        added_by: entry.author.clone(),
        ended: None,
    }
}

/// Checks the author's signature. A provider that lacks the scheme is not the author's fault.
fn check_signature(
    provider: &dyn CryptoProvider,
    entry: &Entry,
    scheme: SignatureScheme,
    key: &SignaturePublicKey,
) -> Result<(), EntryFault> {
    entry.verify(provider, scheme, key).map_err(|e| match e.is_of_input() {
        true => EntryFault::BadSignature,
        false => EntryFault::Crypto(e),
    })
}

fn check_proof(result: Result<(), CryptoError>) -> Result<(), EntryFault> {
    result.map_err(|e| match e.is_of_input() {
        true => EntryFault::BadProof,
        false => EntryFault::Crypto(e),
    })
}
