//! New entries, made and signed by a device or the recovery key.

use crate::account::Account;
use crate::entry::{Author, Change, DeviceKey, Entry};
use crate::error::{EntryError, EntryFault};
use crate::names::Name;
use conclave_mls::UnixTime;
use conclave_mls::crypto::{CryptoError, CryptoProvider, SignatureKeyPair};

impl Account {
    /// The entry that creates an account, signed by its first device.
    ///
    /// # Errors
    /// If the provider cannot sign with the key.
    pub fn draft_creation(
        provider: &dyn CryptoProvider,
        user: &Name,
        device: DeviceKey,
        key_pair: &SignatureKeyPair,
        now: UnixTime,
    ) -> Result<Entry, CryptoError> {
        let scheme = device.scheme;
        let entry = Entry {
            user: user.clone(),
            sequence: 0,
            previous: None,
            issued_at: now,
            author: Author::Device(device.name.clone()),
            change: Change::Create { device, recovery: None },
            signature: Default::default(),
        };
        entry.signed(provider, scheme, key_pair)
    }

    /// The next entry of the log, signed by its author's key. Nothing is checked but what signing takes:
    /// [`Self::apply`] says whether it may be added.
    ///
    /// If the clock is behind the last entry's time, the entry takes that one.
    ///
    /// # Errors
    /// [`EntryFault::AuthorNotActive`] or [`EntryFault::NoRecoveryKey`] if the account has no such author, or if the
    /// provider cannot sign with the key.
    pub fn draft(
        &self,
        provider: &dyn CryptoProvider,
        author: Author,
        key_pair: &SignatureKeyPair,
        change: Change,
        now: UnixTime,
    ) -> Result<Entry, EntryError> {
        let error = |fault| EntryError { sequence: self.head.length, fault };
        let scheme = match &author {
            Author::Device(name) => self.device(name).map(|device| device.scheme),
            Author::Recovery => self.recovery_key().map(|(scheme, _)| scheme),
        };
        let scheme = scheme.ok_or_else(|| match &author {
            Author::Device(name) => error(EntryFault::AuthorNotActive(name.clone())),
            Author::Recovery => error(EntryFault::NoRecoveryKey),
        })?;

        let entry = Entry {
            user: self.user.clone(),
            sequence: self.head.length,
            previous: Some(self.head.hash),
            issued_at: now.max(self.last_at),
            change,
            author,
            signature: Default::default(),
        };
        entry.signed(provider, scheme, key_pair).map_err(|e| error(e.into()))
    }

    /// The next entry of the log, as [`Self::draft`] makes it, if the rules allow it.
    ///
    /// # Errors
    /// As [`Self::draft`] and [`Self::apply`].
    pub fn draft_checked(
        &self,
        provider: &dyn CryptoProvider,
        author: Author,
        key_pair: &SignatureKeyPair,
        change: Change,
        now: UnixTime,
    ) -> Result<Entry, EntryError> {
        let entry = self.draft(provider, author, key_pair, change, now)?;
        self.clone().apply(provider, &entry)?;
        Ok(entry)
    }
}
