//! What this device misses in a group before it comes back, followed and judged without its keys.
//!
//! The log goes on with a commit whose keys this device cannot derive, or the group has moved on since this device read the
//! log. Commits and proposals are public messages. So they can be followed from outside, as the service follows them: from
//! the group's state here up to the epoch of the GroupInfo by which this device is to come back. They are judged by the same
//! rules, and credentials by the same accounts, as on a device that reads on with its keys; and the GroupInfo has to be of
//! the group that they lead to. Otherwise a service that lies could, together with a member, bring this device into a group
//! whose rules were broken in between.
//!
//! Nobody can check a confirmation tag without the epoch's keys, so tags are taken as given. They are part of the transcript,
//! and the GroupInfo is signed by a member and names it.

use super::context::Context;
use super::entries::{Halt, Judge, chained, commit_refused, is_late};
use super::links::{credentials_to_judge, refused_by_policy};
use super::log::JudgeOf;
use super::missed::Missed;
use crate::reason::Reason;
use conclave_certificates::device_of;
use conclave_delivery_api::{ContentType, Judged, JudgedCommit, LogEntry, LogPage, judge_commit};
use conclave_mls::crypto::CryptoProvider;
use conclave_mls::group::{Answers, Proposal, Sender};
use conclave_mls::observe::{ObservedStage, Observer, ObserverEvent};
use conclave_mls::{Transition, UnixTime, apply};
use conclave_store::Store;
use core::convert::Infallible;

impl Missed {
    /// Follows the entries of a page, up to the commit that ends the epoch `until`. Returns whether there was an entry.
    pub(crate) fn follow<S: Store>(
        &mut self,
        cx: &mut Context<'_, S>,
        page: &LogPage,
        until: u64,
    ) -> Result<bool, Halt> {
        let (end, before) = (page.end.position.seq, self.cursor);
        if end < before {
            return Err(Halt::Stuck(Reason::LogShorter { end, seen: before }));
        }
        let id = self.observer.group_id().clone();
        let chains = chained(&id, (before, self.chain), page)?;
        let provider = cx.provider;

        for entry in page.entries.iter().filter(|entry| entry.seq > before) {
            let sent = UnixTime::from_secs(entry.received_at).unwrap_or(UnixTime::MAX);
            let stage = match self.observer.process(provider, &entry.message) {
                Ok(stage) if stage.is_commit() && self.epoch() >= until => break,
                Ok(stage) => Some(stage),
                Err(e) if entry.content_type == ContentType::Commit && !is_late(&e) => {
                    return Err(commit_refused(entry, &e));
                }
                // Application messages are for members alone.
                Err(_) => None,
            };

            if let Some(stage) = stage {
                let mut judge = JudgeOf { cx, sent };
                if let Some(step) = judged(provider, &self.observer, entry, stage, &mut judge)? {
                    let stored = apply(&mut self.observer, step, |_| Ok::<_, Infallible>(()));
                    stored.map_err(|e| commit_refused(entry, &e))?;
                }
            }
            (self.cursor, self.chain) = (entry.seq, chains.get(&entry.seq).copied());
        }
        Ok(self.cursor > before)
    }
}

/// The step of a message whose signature and form are right; none if it is passed over. It is judged as
/// [`process`](super::entries::process) judges what is read with keys.
fn judged(
    provider: &dyn CryptoProvider,
    observer: &Observer,
    entry: &LogEntry,
    stage: ObservedStage,
    judge: &mut dyn Judge,
) -> Result<Option<Transition<Observer, ObserverEvent>>, Halt> {
    if !stage.is_commit() {
        return judged_proposal(provider, observer, stage, judge);
    }
    // After the first commit of a group no client uses a PSK, and the service takes no commit that does.
    if stage.proposals().any(|(_, proposal)| matches!(proposal, Proposal::PreSharedKey(_))) {
        return Err(commit_refused(entry, &"it needs a PSK that this device does not have"));
    }

    let commit = JudgedCommit {
        sender: stage.sender(),
        proposals: stage.proposals().collect(),
        credentials: stage.credentials(),
        received_at: entry.received_at,
    };
    let Judged { app_data, joins_by_link } =
        judge_commit(provider, observer.view(), &commit, device_of)
            .map_err(|e| commit_refused(entry, &refused_by_policy(&e)))?;
    let credentials = credentials_to_judge(stage.credentials(), joins_by_link);
    let verdicts = judge.verdicts(&credentials).ok_or(Halt::Ask)?;
    let answers = Answers { verdicts, app_data, ..Answers::default() };
    let step = stage.resolve(observer, provider, &answers);
    step.map(Some).map_err(|e| commit_refused(entry, &e))
}

/// The same for a proposal: one that is refused is passed over, and whatever refers to it is refused.
fn judged_proposal(
    provider: &dyn CryptoProvider,
    observer: &Observer,
    stage: ObservedStage,
    judge: &mut dyn Judge,
) -> Result<Option<Transition<Observer, ObserverEvent>>, Halt> {
    let verdicts = match (stage.sender(), stage.proposals().next()) {
        (_, None | Some((_, Proposal::AppDataUpdate(_)))) => return Ok(None),
        (Sender::Member(_), Some(_)) => judge.verdicts(stage.credentials()).ok_or(Halt::Ask)?,
        (Sender::External(_), Some((_, Proposal::Remove(leaf)))) => {
            let Some(member) = observer.view().member(*leaf) else { return Ok(None) };
            // Whether or not the device was revoked, a commit may refer to it.
            judge.is_revoked(&member).ok_or(Halt::Ask)?;
            Vec::new()
        }
        _ => return Ok(None),
    };
    Ok(stage.resolve(observer, provider, &verdicts.into()).ok())
}
