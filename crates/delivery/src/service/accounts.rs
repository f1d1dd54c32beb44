//! The authentication service: which key belongs to which device.

use super::{Caller, Done, Operation, Service, ServiceError};
use crate::api::{DeviceInfo, Devices, ErrorCode, ListDevices, Register, Registered};
use crate::storage::Storage;
use conclave_mls::crypto::Suite;

impl Operation for Register {
    fn run<S: Storage>(
        self,
        service: &Service<S>,
        caller: &Caller,
    ) -> Result<Done<Registered>, ServiceError> {
        let refuse = |code, detail: String| Err(ServiceError::new(code, detail));
        let now = caller.now.as_secs();
        let off = now.abs_diff(self.issued_at);
        if off > service.limits.clock_skew.as_secs() {
            let which = if self.issued_at < now { "behind" } else { "ahead of" };
            let detail = format!("the device's clock is {off} seconds {which} the service's");
            return refuse(ErrorCode::Clock, detail);
        }
        let suite = Suite::new(&*service.provider, self.cipher_suite)
            .map_err(|e| ServiceError::new(ErrorCode::UnsupportedSuite, e.to_string()))?;
        if let Err(e) = self.verify(&suite) {
            return refuse(ErrorCode::BadProof, format!("the registration's proof: {e}"));
        }
        let known = service.storage.devices(&self.device.user)?;
        let registered = known.iter().any(|d| d.device == self.device);
        if !registered && known.len() >= service.limits.devices {
            let detail = format!("{} has {} devices already", self.device.user, known.len());
            return refuse(ErrorCode::TooMany, detail);
        }
        let wanted = DeviceInfo {
            device: self.device,
            cipher_suite: self.cipher_suite,
            signature_key: self.signature_key,
            registered_at: now,
        };
        let stored = service.storage.register(&wanted)?;
        if stored.signature_key != wanted.signature_key {
            let detail = format!("{} is registered with another key", wanted.device);
            return refuse(ErrorCode::DeviceExists, detail);
        }
        let seen = format!(
            "{} {}with a signature key of {} bytes",
            wanted.device,
            if registered { "again, " } else { "" },
            wanted.signature_key.len()
        );
        Ok(Done::new(Registered { token: service.token(&stored)? }, seen))
    }
}

impl Operation for ListDevices {
    fn run<S: Storage>(
        self,
        service: &Service<S>,
        caller: &Caller,
    ) -> Result<Done<Devices>, ServiceError> {
        caller.device()?;
        let devices = service.storage.devices(&self.user)?;
        if devices.is_empty() {
            let detail = format!("there is no user {}", self.user);
            return Err(ServiceError::new(ErrorCode::UnknownUser, detail));
        }
        let seen = format!("{} has {} devices", self.user, devices.len());
        Ok(Done::new(Devices { devices }, seen))
    }
}
