//! Whose a credential is, by the authority that the service trusts. All that depends on it asks here.

use super::authority::{Authority, Certifiers};
use super::{Operation, Service, ServiceError};
use crate::storage::Storage;
use conclave_delivery_api::{DeviceId, ErrorCode, Mode, Registration};
use conclave_mls::credential::CredentialRequest;
use conclave_mls::crypto::Suite;
use conclave_mls::{CipherSuite, UnixTime};

impl<S: Storage> Service<S> {
    /// Which mode it is in.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.authority.mode()
    }

    /// That an operation is one of this service's mode.
    pub(super) fn check_mode<O: Operation>(&self) -> Result<(), ServiceError> {
        let detail = match (O::MODE, self.mode()) {
            (Some(Mode::Accounts), Mode::Certificates) => {
                "this service has no accounts: its devices are certified by a CA. A messenger comes in with \
                 --certificate and --trust"
            }
            (Some(Mode::Certificates), Mode::Accounts) => {
                "this service takes no certificates: it has accounts. A messenger comes in without --certificate \
                 and --trust, in another folder"
            }
            _ => return Ok(()),
        };
        Err(ServiceError::new(ErrorCode::WrongMode, detail))
    }

    pub(super) fn registration(&self) -> Registration {
        match &self.authority {
            Authority::Accounts(registration) => *registration,
            Authority::Certificates(_) => Registration::Closed,
        }
    }

    pub(super) fn certifiers(&self) -> Result<&Certifiers, ServiceError> {
        match &self.authority {
            Authority::Certificates(certifiers) => Ok(certifiers),
            Authority::Accounts(_) => {
                Err(ServiceError::new(ErrorCode::WrongMode, "this service has accounts"))
            }
        }
    }

    /// Whether a credential and key of a group's suite are those of an active device; that device.
    pub(super) fn credential_owner(
        &self,
        suite: CipherSuite,
        request: &CredentialRequest,
        now: UnixTime,
    ) -> Result<DeviceId, String> {
        let id = match &self.authority {
            Authority::Accounts(_) => {
                let identity =
                    request.credential.identity().ok_or("the credential is not a basic one")?;
                DeviceId::from_identity(identity)
                    .map_err(|e| format!("the credential's identity is not user/device: {e}"))?
            }
            Authority::Certificates(certifiers) => {
                let suite = Suite::new(&*self.provider, suite).map_err(|e| e.to_string())?;
                let scheme = suite.params().signature;
                let judged = certifiers.read().judge(&*self.provider, scheme, now, request);
                judged.map_err(|e| e.to_string())?
            }
        };
        let whose = match self.mode() {
            Mode::Accounts => format!("the account of {}", id.user),
            Mode::Certificates => "the service".to_string(),
        };
        match self.storage.device(&id) {
            Ok(Some(device)) if !device.active => Err(format!("{id} was revoked")),
            Ok(Some(device)) if device.signature_key == request.signature_key => Ok(id),
            Ok(Some(_)) => Err(format!("{whose} has another key for {id}")),
            Ok(None) => Err(format!("{whose} has no {id}")),
            Err(e) => Err(e.to_string()),
        }
    }
}
