use super::{Caller, Done, Operation, Service, ServiceError};
use crate::storage::Storage;
use conclave_delivery_api::{AckInbox, Acknowledged, FetchInbox, InboxPage, MAX_PAGE, PAGE_BYTES};

impl Operation for FetchInbox {
    fn run<S: Storage>(
        self,
        service: &Service<S>,
        caller: &Caller,
    ) -> Result<Done<InboxPage>, ServiceError> {
        let me = caller.id()?;
        let limit = self.limit.min(MAX_PAGE);
        let (items, total) = service.storage.inbox(me, limit, PAGE_BYTES)?;
        let seen = format!("{me} fetches {} of {total} Welcomes", items.len());
        Ok(Done::new(InboxPage { items, total }, seen))
    }
}

impl Operation for AckInbox {
    fn run<S: Storage>(
        self,
        service: &Service<S>,
        caller: &Caller,
    ) -> Result<Done<Acknowledged>, ServiceError> {
        let me = caller.id()?;
        if self.ids.len() > MAX_PAGE as usize {
            return Err(ServiceError::too_many(format!("at most {MAX_PAGE} items at a time")));
        }
        let seen = format!("{me} has {} Welcomes", self.ids.len());
        service.storage.ack_inbox(me, self.ids)?;
        Ok(Done::new(Acknowledged {}, seen))
    }
}
