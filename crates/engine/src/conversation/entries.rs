//! What an entry of a group's log leads to.

use super::links::{credentials_to_judge, judge_received};
use crate::book::Book;
use crate::reason::Reason;
use crate::record::{Item, Work};
use conclave_certificates::device_of;
use conclave_delivery_api::{
    ChainHash, ContentType, Decode, DeviceId, Judged, LogEntry, LogPage, LogPosition,
};
use conclave_mls::credential::{CredentialRequest, CredentialSubject};
use conclave_mls::crypto::CryptoProvider;
use conclave_mls::error::{Rejection, Remedy};
use conclave_mls::group::{Answers, CommitStage, Member, Proposal, ProposalStage, Refused, Sender};
use conclave_mls::wire::{MlsMessage, MlsMessageBody};
use conclave_mls::{Error, Event, Group, GroupId, Received, Transition, UnixTime, Verdict};
use conclave_store::Store;
use std::collections::BTreeMap;

/// The epoch that an encoded message was made in.
pub(crate) fn epoch_of(message: &[u8]) -> Option<u64> {
    match MlsMessage::from_bytes(message).ok()?.body {
        MlsMessageBody::PublicMessage(message) => Some(message.content.epoch.0),
        MlsMessageBody::PrivateMessage(message) => Some(message.epoch.0),
        _ => None,
    }
}

/// What a commit was made for, to be done again; none for other work.
pub(crate) fn not_committed(work: &Work) -> Option<Work> {
    match work {
        Work::Invite { who, committing: true, by_itself } => {
            Some(Work::Invite { who: who.clone(), committing: false, by_itself: *by_itself })
        }
        Work::Remove { who, committing: true } => {
            Some(Work::Remove { who: who.clone(), committing: false })
        }
        Work::Leave { alone, committing: true, .. } => {
            Some(Work::Leave { alone: *alone, committing: false, proposed: None })
        }
        Work::MakeLink { link, expires_at, max_uses, committing: true } => Some(Work::MakeLink {
            link: link.clone(),
            expires_at: *expires_at,
            max_uses: *max_uses,
            committing: false,
        }),
        Work::Unlink { number, committing: true } => {
            Some(Work::Unlink { number: *number, committing: false })
        }
        Work::Room { change, committing: true } => {
            Some(Work::Room { change: change.clone(), committing: false })
        }
        _ => None,
    }
}

/// What an entry of the log leads to.
pub(crate) enum Effect {
    Nothing,
    /// Our message at the front of the queue has arrived.
    Own,
    /// The next event of the fold.
    Event,
    /// The next event of the fold: this device was removed. The service's order says so.
    Out,
    /// The next event of the fold: a proposal of this device's, and whom it is about, if anybody.
    Proposal(DeviceId, Proposed),
    /// The next event of the fold: the service proposes to remove a device which nobody has revoked, as far as known.
    Doubted(Option<DeviceId>),
    /// It cannot be read. If `event`, its key is deleted, which is the next event of the fold.
    Refused {
        sender: DeviceId,
        reason: String,
        event: bool,
    },
}

/// Whom a proposal is about.
pub(crate) enum Proposed {
    Add(DeviceId),
    Remove(DeviceId),
    Other,
}

/// Why the rest of a page is not processed.
pub(crate) enum Halt {
    /// Accounts have to be fetched first, which is planned.
    Ask,
    /// This device is out.
    Out,
    /// This device has to come back in place of its own leaf. The log goes on with a commit of that leaf which this state has
    /// not made or has given up, or with a commit that keeps all rules and whose keys this device cannot derive.
    ComesBack,
    /// The log cannot be followed any further: an entry is missing, it is another log than before, or a commit in it is
    /// refused.
    Stuck(Reason),
}

/// One entry's step: what it leads to, and its transition.
pub(crate) type Step = (Effect, Option<Transition<Group, Event>>);

/// The authority on whose key is whose. Its answers are none if accounts have to be fetched first.
pub(crate) trait Judge {
    /// The verdicts on credentials.
    fn verdicts(&mut self, requests: &[CredentialRequest]) -> Option<Vec<Verdict>>;

    /// Whether a member was revoked, as its user's account says.
    fn is_revoked(&mut self, member: &Member) -> Option<bool>;
}

/// The sealed messages at the front of a group's queue.
pub(crate) fn sealed_in<S: Store>(book: &Book<S>, id: &GroupId) -> Vec<Vec<u8>> {
    let sealed = |(_, item): (u64, &Item)| match &item.work {
        Work::Send { sealed, .. } => sealed.clone(),
        _ => None,
    };
    book.items(id).map_while(sealed).collect()
}

/// The hashes of the log after each entry of a page, by the entry's number; `cursor` and `chain` are the last entry that was
/// read before, and the hash after it. They are checked first: nothing is taken from a log that is not the same as before.
pub(crate) fn chained(
    id: &GroupId,
    (cursor, chain): (u64, Option<ChainHash>),
    page: &LogPage,
) -> Result<BTreeMap<u64, ChainHash>, Halt> {
    let after = page.end.position.seq.saturating_sub(page.entries.len() as u64);
    if after > cursor {
        return Err(Halt::Stuck(Reason::LogGap { seq: cursor.saturating_add(1) }));
    }
    let known = chain.filter(|_| after == cursor);
    let Some(before) = page.before.or(known) else {
        // Neither the service nor this device knows any more what came before.
        let LogPosition { seq, chain, .. } = page.end.position;
        return Ok(BTreeMap::from([(seq, chain)]));
    };
    let Some(chains) = page.chains(id, Some(before)) else {
        return Err(Halt::Stuck(Reason::LogInconsistent { seq: cursor }));
    };

    let mut places: BTreeMap<u64, ChainHash> = (after.saturating_add(1)..).zip(chains).collect();
    places.insert(after, before);
    let known = chain.zip(places.get(&cursor));
    if known.is_some_and(|(known, shown)| known != *shown) {
        return Err(Halt::Stuck(Reason::LogReplaced { seq: cursor }));
    }
    Ok(places)
}

/// Computes what one entry leads to.
pub(crate) fn process(
    provider: &dyn CryptoProvider,
    group: &Group,
    now: UnixTime,
    entry: &LogEntry,
    judge: &mut dyn Judge,
) -> Result<Step, Halt> {
    match group.process(provider, now, &entry.message) {
        Ok(Received::Known) => Ok((Effect::Nothing, None)),
        // This messenger sends no messages to one member, and has nobody to show them to.
        Ok(Received::Targeted(_)) => Ok((Effect::Nothing, None)),
        Ok(Received::Application(step)) => Ok((Effect::Event, Some(step.untyped()))),
        Ok(Received::OwnCommit(step)) => Ok((Effect::Event, Some(step.untyped()))),
        Ok(Received::Proposal(stage)) if !matches!(stage.sender(), Sender::Member(_)) => {
            proposed_from_outside(group, entry, stage, judge)
        }
        Ok(Received::Proposal(stage)) if matches!(stage.proposal(), Proposal::AppDataUpdate(_)) => {
            refuse(entry, stage.refuse(group, "only a committer changes a component's data"))
        }
        Ok(Received::Proposal(stage)) => {
            let device = |leaf| device_of(&group.member(leaf)?.credential);
            let from = match stage.sender() {
                Sender::Member(leaf) => device(leaf),
                _ => None,
            };
            let proposed = match stage.proposal() {
                Proposal::Remove(leaf) => device(*leaf).map(Proposed::Remove),
                Proposal::Add(added) => device_of(&added.leaf_node.credential).map(Proposed::Add),
                _ => None,
            };
            let proposed = proposed.unwrap_or(Proposed::Other);
            let verdicts = judge.verdicts(stage.credentials()).ok_or(Halt::Ask)?;
            match stage.resolve(group, &verdicts) {
                Ok(step) => {
                    let from = from.unwrap_or_else(|| entry.sender.clone());
                    Ok((Effect::Proposal(from, proposed), Some(step.untyped())))
                }
                Err(refused) => refuse(entry, refused),
            }
        }
        // Its signature is valid.
        Ok(Received::Commit(stage)) if is_by_own_device(group, &stage) => Err(Halt::ComesBack),
        Ok(Received::Commit(stage)) => {
            let Judged { app_data, joins_by_link } =
                match judge_received(provider, group, &stage, entry.received_at) {
                    Ok(judged) => judged,
                    Err(e) => return refuse(entry, stage.refuse(group, &e.to_string())),
                };
            let credentials = credentials_to_judge(stage.credentials(), joins_by_link);
            let verdicts = judge.verdicts(&credentials).ok_or(Halt::Ask)?;
            let answers = Answers { verdicts, app_data, ..Answers::default() };
            let out = stage.removes().any(|leaf| leaf == group.own_leaf());
            match stage.resolve(group, provider, now, &answers) {
                Ok(step) if out => Ok((Effect::Out, Some(step.untyped()))),
                Ok(step) => Ok((Effect::Event, Some(step.untyped()))),
                Err(refused) => refuse(entry, refused),
            }
        }
        Ok(_) => Err(Halt::Stuck(Reason::LaterVersion { seq: entry.seq })),
        Err(refused) => refuse(entry, refused),
    }
}

/// What a proposal from outside the group leads to: no stranger proposes itself, and the service may propose the
/// removal of a revoked device alone.
///
/// If the account does not say that it was revoked, this device leaves it out of its commits, see
/// `Conversation::takes_received`: so the service can remove nobody. Yet it is kept. The service may have withheld the
/// revocation here alone, and a commit of a member who knows of it has to be followed.
fn proposed_from_outside(
    group: &Group,
    entry: &LogEntry,
    stage: ProposalStage,
    judge: &mut dyn Judge,
) -> Result<Step, Halt> {
    let member = match (stage.sender(), stage.proposal()) {
        (Sender::External(_), Proposal::Remove(leaf)) => group.member(*leaf),
        _ => None,
    };
    let Some(member) = member else {
        let reason = "nobody outside the group may propose this";
        return refuse(entry, stage.refuse(group, reason));
    };
    let effect = match judge.is_revoked(&member) {
        None => return Err(Halt::Ask),
        // The user hears of the revocation by the account, and of the removal when it is committed.
        Some(true) => Effect::Event,
        Some(false) => Effect::Doubted(device_of(&member.credential)),
    };
    match stage.resolve(group, &[]) {
        Ok(step) => Ok((effect, Some(step.untyped()))),
        Err(refused) => refuse(entry, refused),
    }
}

/// Whether a commit that this state has not made is by this device's leaf, or replaces that with another leaf of this device.
fn is_by_own_device(group: &Group, stage: &CommitStage) -> bool {
    let leaf = group.own_leaf();
    let replaces = |request: &CredentialRequest| {
        request.subject == CredentialSubject::ExternalReplacement(leaf)
    };
    stage.sender() == Sender::Member(leaf) || stage.credentials().iter().any(replaces)
}

/// Whether an entry was refused because it came late: it was made before this device joined, and is not meant for it.
pub(crate) fn is_late(error: &Error) -> bool {
    matches!(
        error,
        Error::Rejected(Rejection::WrongEpoch { message, current }) if message < current
    )
}

/// The end of what can be read: this device refuses a commit, and everybody else goes on without it.
pub(crate) fn commit_refused(entry: &LogEntry, why: &dyn core::fmt::Display) -> Halt {
    let (seq, sender, why) = (entry.seq, entry.sender.clone(), why.to_string());
    Halt::Stuck(Reason::CommitRefused { seq, sender, why })
}

/// What a refused entry leads to. A message is reported and passed over. If only a commit's keys are at fault, which are
/// checked last, this device comes back: no member can shut others out by a path that does not open for them.
pub(super) fn refuse(entry: &LogEntry, refused: Refused) -> Result<Step, Halt> {
    if is_late(&refused.error) {
        return Ok((Effect::Nothing, None));
    }
    if entry.content_type == ContentType::Commit {
        let has_bad_keys =
            matches!(refused.error, Error::Rejected(_)) && refused.error.remedy() == Remedy::Rejoin;
        return Err(if has_bad_keys { Halt::ComesBack } else { commit_refused(entry, &refused) });
    }
    let (sender, reason) = (entry.sender.clone(), refused.error.to_string());
    let step = refused.key_deletion.map(|step| step.untyped());
    Ok((Effect::Refused { sender, reason, event: step.is_some() }, step))
}
