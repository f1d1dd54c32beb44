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
        let submission = Submission::decode(caller, self.message, ContentType::Application)?;
        service.submit(&submission, caller.now, |_, group| {
            service.append_application(group, &submission)
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

        service.accepted(&submission, position, &CommitEffects::default(), caller.now).map(Some)
    }
}
