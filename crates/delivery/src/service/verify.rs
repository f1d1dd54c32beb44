//! Checking all that a service's state says, as clients and auditors would.

use super::Service;
use super::accounts::{devices, stored_account};
use crate::storage::administration::Administration as _;
use crate::storage::{Counts, SqliteStorage, Storage, StorageError};
use conclave_account::{Account, Entry};
use conclave_delivery_api::{Bytes, DeviceId, Name};
use conclave_mls::UnixTime;
use conclave_mls::crypto::CryptoProvider;
use core::fmt;
use std::sync::Arc;

/// How many users, and entries of an account, are read at once.
const PAGE: u32 = 256;

/// Why a service's state does not hold.
#[derive(Debug)]
#[non_exhaustive]
pub enum VerifyError {
    /// It cannot be read, or its pages or rows are damaged.
    Storage(StorageError),
    /// What it says does not follow from what was signed.
    Contradiction(String),
}

impl fmt::Display for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Storage(e) => fmt::Display::fmt(e, f),
            Self::Contradiction(what) => f.write_str(what),
        }
    }
}

impl core::error::Error for VerifyError {}

impl From<StorageError> for VerifyError {
    fn from(e: StorageError) -> Self {
        Self::Storage(e)
    }
}

fn contradiction(what: impl fmt::Display) -> VerifyError {
    VerifyError::Contradiction(what.to_string())
}

/// Checks a service's state: its pages and rows, that every account is what its log says, and that the service signed
/// every root of its directory. Returns how much there is, and the newest root's epoch.
///
/// # Errors
/// The first thing that does not hold.
pub fn verify(
    storage: SqliteStorage,
    provider: Arc<dyn CryptoProvider>,
    now: UnixTime,
) -> Result<(Counts, u64), VerifyError> {
    storage.check()?;
    let service = Service::to_look(storage, provider, now).map_err(contradiction)?;

    let mut users = service.storage.users("", PAGE)?;
    while let Some(last) = users.last().cloned() {
        users.iter().try_for_each(|known| service.verify_account(&known.user))?;
        users = service.storage.users(last.user.as_str(), PAGE)?;
    }
    let newest = service.verify_roots()?;
    Ok((service.storage.counts()?, newest))
}

impl Service<SqliteStorage> {
    fn verify_account(&self, user: &Name) -> Result<(), VerifyError> {
        let about =
            |what: &dyn fmt::Display| contradiction(format!("the account of {user}: {what}"));
        let Some(record) = self.storage.account(user)? else {
            // A CA certifies its devices.
            let devices = self.storage.certificates(user)?;
            let is_known = self.storage.devices(user)?.iter().all(|known| {
                !known.active || devices.iter().any(|certified| certified.info == *known)
            });
            return if is_known {
                Ok(())
            } else {
                Err(about(&"a device has neither log nor certificate"))
            };
        };
        let mut replayed: Option<Account> = None;
        let mut length = 0u64;
        loop {
            let page: Vec<Bytes> = self.storage.account_entries(user, length, PAGE, usize::MAX)?;
            for bytes in &page {
                let entry = Entry::from_bytes(bytes).map_err(|e| about(&e))?;
                Account::follow(&mut replayed, &*self.provider, &entry).map_err(|e| about(&e))?;
            }
            length += page.len() as u64;
            if page.is_empty() {
                break;
            }
        }

        let replayed = replayed.ok_or_else(|| about(&"its log is empty"))?;
        let stored = stored_account(user, &record).map_err(|e| about(&e))?;
        if length != record.length || stored != replayed {
            return Err(about(&"it is not what its log says"));
        }
        let by_name = |info: &crate::storage::DeviceInfo| -> DeviceId { info.device.clone() };
        let (mut known, mut expected) = (self.storage.devices(user)?, devices(&replayed));
        known.sort_by_key(by_name);
        expected.sort_by_key(by_name);
        if known != expected {
            return Err(about(&"its devices are not those of its log"));
        }
        Ok(())
    }

    /// Checks the signature of every root; the newest one's epoch.
    fn verify_roots(&self) -> Result<u64, VerifyError> {
        let key = Arc::new(self.directory.key());
        let newest = self.directory.root().map_err(contradiction)?.epoch;
        let mut next = 0;
        while next <= newest {
            let roots = self.directory.roots(next).map_err(contradiction)?;
            if roots.is_empty() {
                return Err(contradiction(format!("root {next} of the directory is missing")));
            }
            for root in roots {
                if root.epoch != next {
                    return Err(contradiction(format!("root {next} of the directory is missing")));
                }
                root.verify(&*self.provider, &key)
                    .map_err(|e| contradiction(format!("root {next} of the directory: {e}")))?;
                next += 1;
            }
        }
        Ok(newest)
    }
}
