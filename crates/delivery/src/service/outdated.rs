//! Refusals that list devices which are out of date, and what is expected of them.

use super::authority::named;
use super::error::refused_by_rules;
use super::{Service, ServiceError};
use crate::storage::Storage;
use conclave_delivery_api::{Details, DeviceRemedy, ErrorCode, MAX_LISTED, OutdatedDevice};
use conclave_mls::Error;
use conclave_mls::credential::{CredentialRequest, CredentialSubject};
use conclave_mls::error::Rejection;

/// The refusal that lists these devices.
pub(super) fn devices_outdated(
    detail: impl Into<String>,
    mut devices: Vec<OutdatedDevice>,
) -> ServiceError {
    let total = u32::try_from(devices.len()).unwrap_or(u32::MAX);
    devices.truncate(MAX_LISTED);
    let details = Details::Devices { devices, total };
    ServiceError::new(ErrorCode::DevicesOutdated, detail).with(details)
}

impl<S: Storage> Service<S> {
    /// The refusal of what came with these credentials. If one of them was refused as its device was revoked or has
    /// another key now, that is what it says, of all such devices.
    pub(super) fn refused_with(
        &self,
        error: Error,
        credentials: &[CredentialRequest],
    ) -> ServiceError {
        if !matches!(error, Error::Rejected(Rejection::CredentialRefused { .. })) {
            return refused_by_rules(error);
        }
        match self.outdated(credentials) {
            Ok(devices) if devices.is_empty() => ServiceError::invalid(error),
            Ok(devices) => devices_outdated(error.to_string(), devices),
            Err(e) => e,
        }
    }

    /// The devices among these that were revoked or have another key, each once.
    fn outdated(
        &self,
        credentials: &[CredentialRequest],
    ) -> Result<Vec<OutdatedDevice>, ServiceError> {
        let mut found: Vec<OutdatedDevice> = Vec::new();
        for request in credentials {
            if matches!(request.subject, CredentialSubject::ExternalSender(_)) {
                continue;
            }
            let Ok(device) = named(&request.credential) else { continue };
            let remedy = match self.storage.device(&device)? {
                Some(known) if !known.active => DeviceRemedy::Remove,
                Some(known) if known.signature_key != request.signature_key => DeviceRemedy::Renew,
                _ => continue,
            };
            if found.iter().all(|one| one.device != device) {
                found.push(OutdatedDevice { device, remedy });
            }
        }
        Ok(found)
    }
}
