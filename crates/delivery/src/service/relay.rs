//! What a new device and one that is to admit it leave each other.

use super::{Caller, Done, Operation, Service, ServiceError};
use crate::storage::Storage;
use conclave_delivery_api::{FetchRelay, Mode, PutRelay, RelayContent, RelayStored};

impl Operation for PutRelay {
    const LONG: bool = true;

    const MODE: Option<Mode> = Some(Mode::Accounts);

    fn run<S: Storage>(
        self,
        service: &Service<S>,
        caller: &Caller,
    ) -> Result<Done<RelayStored>, ServiceError> {
        let seen = format!("{} bytes for a device to be linked", self.content.len());
        let lifetime = service.relay.put(self.slot, self.content, caller.now)?.as_secs();
        Ok(Done::new(RelayStored { lifetime }, seen))
    }
}

impl Operation for FetchRelay {
    const MODE: Option<Mode> = Some(Mode::Accounts);

    fn run<S: Storage>(
        self,
        service: &Service<S>,
        caller: &Caller,
    ) -> Result<Done<RelayContent>, ServiceError> {
        let content = service.relay.fetch(&self.slot, caller.now);
        let seen = if content.is_some() { "taken" } else { "nothing there" };
        Ok(Done::new(RelayContent { content }, format!("linking a device: {seen}")))
    }
}
