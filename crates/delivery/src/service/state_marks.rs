//! Marks of devices' states: of two processes that go on from one state, one is told that it is the copy.

use super::{Caller, Done, Operation, Service, ServiceError};
use crate::storage::{NewMark, Storage};
use conclave_delivery_api::{ErrorCode, MarkState, StateMarked};

impl Operation for MarkState {
    fn run<S: Storage>(
        self,
        service: &Service<S>,
        caller: &Caller,
    ) -> Result<Done<StateMarked>, ServiceError> {
        let owner = caller.device()?.clone();
        if !self.is_ascending() {
            return Err(ServiceError::invalid("the marks do not ascend, or are too many"));
        }
        let (mark, now) = (self.mark, caller.now.as_secs());
        let new = NewMark { owner: owner.clone(), request: self, now };
        let Some(marked) = service.storage.mark_state(new)? else {
            return Err(ServiceError::revoked(&owner.device));
        };

        let is_taken = marked.latest == mark;
        if let Some(session) = caller.session.filter(|_| is_taken) {
            service.sessions.marked(session, &owner, mark.number);
        }
        let what = if is_taken { "marks its state" } else { "has a state that is a copy" };
        let seen = format!("{} {what}, number {}", owner.device, mark.number);
        Ok(Done::new(marked, seen))
    }
}

impl ServiceError {
    /// To a device whose state another process has marked since.
    pub(super) fn overtaken() -> Self {
        let detail = "another process of this device has marked its state: open a session, and show your mark";
        Self::new(ErrorCode::Unauthorized, detail)
    }
}
