//! Whose word the service takes on which key is whose.

use super::error::ServiceError;
use conclave_certificates::{Roots, device_of};
use conclave_delivery_api::{DeviceId, Mode, Registration};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Whose word counts.
#[derive(Debug)]
pub enum Authority {
    /// The users' own devices: their account logs say which keys are theirs, and this is who may create an account.
    Accounts(Registration),
    /// That of CAs which certify devices.
    Certificates(Certifiers),
}

/// The CAs that certify devices. Their revocation lists change.
#[derive(Debug)]
pub struct Certifiers {
    roots: Box<RwLock<Roots>>,
}

impl From<Registration> for Authority {
    fn from(registration: Registration) -> Self {
        Self::Accounts(registration)
    }
}

impl From<Roots> for Authority {
    fn from(roots: Roots) -> Self {
        Self::Certificates(Certifiers { roots: Box::new(RwLock::new(roots)) })
    }
}

impl Certifiers {
    pub(super) fn read(&self) -> RwLockReadGuard<'_, Roots> {
        self.roots.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn write(&self) -> RwLockWriteGuard<'_, Roots> {
        self.roots.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Authority {
    /// Which of the two it is.
    #[must_use]
    pub fn mode(&self) -> Mode {
        match self {
            Self::Accounts(_) => Mode::Accounts,
            Self::Certificates(_) => Mode::Certificates,
        }
    }
}

/// The device that a credential names. Judged before, it is one that the service knows.
pub(super) fn named(credential: &conclave_mls::Credential) -> Result<DeviceId, ServiceError> {
    device_of(credential).ok_or_else(|| ServiceError::invalid("a credential names no device"))
}
