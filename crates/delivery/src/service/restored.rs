//! What a restored service had lost of a group's log, given back by those who have it.
//!
//! The service believes its own signature alone: a receipt of another life of its state shows that the log had these
//! entries. Each then takes the way of any message, but for the question who submits it.

use super::error::ServiceError;
use super::framed::Framed;
use super::messages::{Submission, ended};
use super::{Caller, Done, Operation, Service};
use crate::storage::Storage;
use conclave_delivery_api::{
    Bytes, ContentType, ErrorCode, GroupId, LogEntry, LogRestored, MAX_PAGE, Outcome, RestoreLog,
    SubmitCommit, short_group,
};
use conclave_mls::UnixTime;

impl<S: Storage> Service<S> {
    /// That the log had these entries in another life of this service's state.
    fn check_restored(&self, request: &RestoreLog) -> Result<(), ServiceError> {
        if request.entries.len() > MAX_PAGE as usize {
            return Err(ServiceError::invalid(format!("at most {MAX_PAGE} entries come at once")));
        }
        if !request.adds_up() {
            let detail = "the entries do not lead to the place of the receipt";
            return Err(ServiceError::invalid(detail));
        }
        if request.end.verify(&*self.provider, &self.key_pair.public).is_err() {
            let detail = "this service has not signed the receipt";
            return Err(ServiceError::new(ErrorCode::BadProof, detail));
        }
        if request.end.incarnation == self.incarnation {
            let detail =
                "the receipt is of the present life of the service, which has lost nothing";
            return Err(ServiceError::invalid(detail));
        }
        Ok(())
    }

    /// Takes one entry, unless the log holds it or no member could read it any more.
    fn restore_entry(
        &self,
        id: &GroupId,
        entry: &LogEntry,
        now: UnixTime,
    ) -> Result<Done<Outcome>, ServiceError> {
        let framed = Framed::decode(&entry.message, entry.content_type)?;
        if framed.group_id != *id || framed.epoch != entry.epoch {
            return Err(ServiceError::invalid("an entry is of another group or epoch"));
        }
        if self.storage.device(&entry.sender)?.is_none() {
            let detail = format!(
                "{} sent one of the entries and has no device here: its account has to be restored first",
                entry.sender
            );
            return Err(ServiceError::new(ErrorCode::UnknownDevice, detail));
        }
        let received_at = UnixTime::from_secs(entry.received_at).unwrap_or(now).min(now);
        let submission = Submission {
            by_member: false,
            is_restored: true,
            ..Submission::new(&entry.sender, received_at, framed, entry.message.clone())
        };

        let done = self.submit(&submission, now, |view, group| {
            match submission.framed.content_type {
                ContentType::Application => self.append_application(group, &submission),
                ContentType::Proposal => self.append_proposal(view, group, &submission),
                ContentType::Commit if group.tracked => {
                    // Its Welcomes are lost.
                    let nothing_beside = SubmitCommit::new(Bytes::default());
                    self.append_tracked_commit(view, group, &submission, (nothing_beside, None))
                }
                ContentType::Commit => Err(ServiceError::invalid(
                    "whom a commit of an opaque group adds, only its sender can say: it has to submit it again",
                )),
            }
        })?;

        let is_late = |epoch| entry.content_type == ContentType::Application && epoch > entry.epoch;
        match &done.reply {
            Outcome::WrongEpoch { receipt } if !is_late(receipt.position.epoch) => {
                let (seq, epoch) = (entry.seq, receipt.position.epoch);
                let detail =
                    format!("message {seq} is of epoch {}, the group in {epoch}", entry.epoch);
                Err(ServiceError::invalid(detail))
            }
            _ => Ok(done),
        }
    }
}

impl Operation for RestoreLog {
    const LONG: bool = true;

    fn run<S: Storage>(
        self,
        service: &Service<S>,
        caller: &Caller,
    ) -> Result<Done<LogRestored>, ServiceError> {
        let (me, id) = (caller.id()?, &self.group_id);
        service.check_restored(&self)?;
        if let Some(ending) = service.known_group(id)?.ending {
            return Err(ended(&ending));
        }

        let (mut taken, mut notices, mut last) = (0u32, Vec::new(), Vec::new());
        for entry in &self.entries {
            match service.restore_entry(id, entry, caller.now) {
                Ok(done) => {
                    taken += 1;
                    // Where the log ends is told once; who comes and goes, each time.
                    match entry.content_type {
                        ContentType::Commit => notices.extend(done.notices),
                        _ if done.notices.is_empty() => {}
                        _ => last = done.notices,
                    }
                }
                Err(e) if taken == 0 => return Err(e),
                Err(_) => break,
            }
        }
        notices.append(&mut last);

        let position = service.known_group(id)?.position();
        let receipt = service.receipt(id, position, caller.now)?;
        let (short, given) = (short_group(id), self.entries.len());
        let seen = format!("group {short}, {me} gives back {given} messages, {taken} taken");
        let mut done = Done::new(LogRestored { receipt, taken }, seen);
        done.notices = notices;
        Ok(done)
    }
}
