//! Application messages. They are most of what a service does, so the storage judges each in the step that appends it.

use super::messages::Submission;
use super::{Caller, Done, Operation, Service, ServiceError};
use crate::storage::{Append, Appended, CommitEffects, Storage};
use conclave_delivery_api::{
    Bytes, ContentType, MAX_PAGE, Outcome, SendMessage, SendMessages, SentMessages,
};

impl<S: Storage> Service<S> {
    /// Sends a message, whatever there is to say of it.
    fn send(
        &self,
        submission: &Submission<'_>,
        caller: &Caller,
    ) -> Result<Done<Outcome>, ServiceError> {
        self.submit(submission, caller.now, |_, group| self.append_application(group, submission))
    }

    /// Sends messages of the current epoch in one step. None if the first of them is not taken: the reason takes
    /// reading.
    async fn send_now(
        &self,
        submissions: &[Submission<'_>],
        caller: &Caller,
    ) -> Result<Option<Done<SentMessages>>, ServiceError> {
        let current =
            |submission: &Submission<'_>| Append { in_epoch: true, ..submission.append_message() };
        let appended = self.storage.append_all(submissions.iter().map(current).collect()).await?;
        let is_taken = |became: &&Appended| matches!(became, Appended::Won(_) | Appended::Known(_));
        let taken = appended.iter().take_while(is_taken).count();
        let mut newest_first = submissions.iter().zip(&appended).take(taken).rev();

        let mut done = match newest_first.next() {
            Some((last, Appended::Won(position))) => {
                self.accepted(last, *position, &CommitEffects::default(), caller.now)?
            }
            Some((last, Appended::Known(found))) => self.known(last, found, caller.now)?,
            _ => return Ok(None),
        };
        // If the last one was there already, members are told of the newest one that was not.
        if done.notices.is_empty() {
            let newest = newest_first.find_map(|(submission, became)| match became {
                Appended::Won(position) => Some((&submission.framed.group_id, *position)),
                _ => None,
            });
            if let Some((id, position)) = newest {
                done.notices = self.notices(id, position, &CommitEffects::default())?;
            }
        }
        Ok(Some(sent(taken, done)))
    }
}

/// The answer to so many messages, by that to the last of them.
fn sent(count: usize, done: Done<Outcome>) -> Done<SentMessages> {
    let Done { reply: outcome, notices, ended, seen } = done;
    let seen = if count > 1 { format!("{count} messages, the last one: {seen}") } else { seen };
    // At most `MAX_PAGE`.
    let taken = u32::try_from(count).unwrap_or(u32::MAX);
    Done { reply: SentMessages { taken, outcome }, notices, ended, seen }
}

fn none_sent() -> ServiceError {
    ServiceError::invalid(format!("a request sends 1 to {MAX_PAGE} messages"))
}

/// Messages as they were sent: of one group and epoch.
fn decoded(messages: Vec<Bytes>, caller: &Caller) -> Result<Vec<Submission<'_>>, ServiceError> {
    if messages.is_empty() || messages.len() > MAX_PAGE as usize {
        return Err(none_sent());
    }
    let decode = |message| Submission::decode(caller, message, ContentType::Application);
    let all = messages.into_iter().map(decode).collect::<Result<Vec<_>, _>>()?;

    let of =
        |submission: &Submission<'_>| (submission.framed.group_id.clone(), submission.framed.epoch);
    let first = all.first().map(of);
    if all.iter().any(|one| Some(of(one)) != first) {
        return Err(ServiceError::invalid("the messages are of different groups or epochs"));
    }
    Ok(all)
}

impl Operation for SendMessage {
    const LONG: bool = true;
    const WAITS: bool = true;

    fn run<S: Storage>(
        self,
        service: &Service<S>,
        caller: &Caller,
    ) -> Result<Done<Outcome>, ServiceError> {
        let submission = Submission::decode(caller, self.message, ContentType::Application)?;
        service.send(&submission, caller)
    }

    async fn wait<S: Storage>(
        self,
        service: &Service<S>,
        caller: &Caller,
    ) -> Result<Option<Done<Outcome>>, ServiceError> {
        let submission = Submission::decode(caller, self.message, ContentType::Application)?;
        let done = service.send_now(core::slice::from_ref(&submission), caller).await?;
        Ok(done.map(|Done { reply, notices, ended, seen }| Done {
            reply: reply.outcome,
            notices,
            ended,
            seen,
        }))
    }
}

impl Operation for SendMessages {
    const LONG: bool = true;
    const WAITS: bool = true;

    fn run<S: Storage>(
        self,
        service: &Service<S>,
        caller: &Caller,
    ) -> Result<Done<SentMessages>, ServiceError> {
        let (mut taken, mut notices, mut last) = (0, Vec::new(), None);
        for submission in &decoded(self.messages, caller)? {
            match service.send(submission, caller) {
                Ok(mut done) if matches!(done.reply, Outcome::Accepted { .. }) => {
                    // The latest say all that those before them said.
                    if !done.notices.is_empty() {
                        notices = core::mem::take(&mut done.notices);
                    }
                    taken += 1;
                    last = Some(done);
                }
                // What there is to say of this one is said when it is sent again.
                _ if taken > 0 => break,
                Ok(refused) => return Ok(sent(0, refused)),
                Err(e) => return Err(e),
            }
        }
        let last = last.ok_or_else(none_sent)?;
        Ok(sent(taken, Done { notices, ..last }))
    }

    async fn wait<S: Storage>(
        self,
        service: &Service<S>,
        caller: &Caller,
    ) -> Result<Option<Done<SentMessages>>, ServiceError> {
        service.send_now(&decoded(self.messages, caller)?, caller).await
    }
}
