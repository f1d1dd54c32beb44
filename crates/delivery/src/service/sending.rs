//! Application messages. They are most of what a service does, so the storage judges each in the step that appends it.

use super::messages::Submission;
use super::{Caller, Done, Operation, Service, ServiceError};
use crate::storage::{Append, Appended, CommitEffects, Storage};
use conclave_delivery_api::{ContentType, Outcome, SendMessage};

impl Operation for SendMessage {
    const LONG: bool = true;
    const WAITS: bool = true;

    fn run<S: Storage>(
        self,
        service: &Service<S>,
        caller: &Caller,
    ) -> Result<Done<Outcome>, ServiceError> {
        let wanted = ContentType::Application;
        service.submit(caller, self.message, wanted, |_, group, submission| {
            service.append_application(group, submission)
        })
    }

    async fn wait<S: Storage>(
        self,
        service: &Service<S>,
        caller: &Caller,
    ) -> Result<Option<Done<Outcome>>, ServiceError> {
        let submission = Submission::decode(caller, self.message, ContentType::Application)?;
        let current = Append { in_epoch: true, ..submission.append_message() };
        let Appended::Won(position) = service.storage.append_later(current).await? else {
            // Whatever else there is to say takes reading.
            return Ok(None);
        };

        let id = &submission.framed.group_id;
        let receipt = service.receipt(id, position, caller.now)?;
        let reply = Outcome::Accepted { receipt, received_at: submission.now.as_secs() };
        let seen = format!("{}: number {}", service.seen(&submission), position.seq);
        let notices = service.notices(id, position, &CommitEffects::default())?;
        Ok(Some(Done { notices, ..Done::new(reply, seen) }))
    }
}
