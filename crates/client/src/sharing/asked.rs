//! Who has asked whom for what was said, and what comes of it.

use crate::attachments::{Ask, AskId, Record, Sealed, Task, ToGive, ToTake, Transfers};
use crate::compose::content_of;
use crate::error::RunError;
use crate::history_word::{Heard, Word, answer, file_of};
use crate::lines::{Did, Shown};
use crate::mimi::Place;
use crate::service::{now, os_rng};
use crate::sharing::job::Job;
use crate::told::{Failure, Told, refused};
use conclave_delivery_api::{
    Bytes, Decode, DecodeError, DeviceId, Encode, EncodeError, GroupId, Reader, Writer,
};
use conclave_engine::{
    AppRows, Content, Engine, EngineError, GroupView, HistoryReach, Name, Phase,
};
use conclave_history::{Given, History, RoomPlace, RoomToGive, StreamError};
use conclave_mls::crypto::{HpkeKeyPair, HpkePrivateKey, Secret, Suite};
use conclave_store::{Store, StoreError};
use std::collections::{BTreeMap, VecDeque};

/// The table of questions in the engine's store.
const TABLE: &str = "history";
/// The row of this device's own question; those of others are by their devices.
const OWN: &[u8] = b"own";
const ASKED: &[u8] = b"by ";
const VERSION: u8 = 1;
/// The longest file that is taken, in bytes: some ten million messages. The other device says how long it is.
const MAX_TAKEN: u64 = 4 << 30;

/// What a user asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// To ask the others.
    Ask,
    /// To give to a device.
    Give(Name),
}

/// What came of something heard: what is shown, what is to be written with the note that it was taken, and what begins then.
#[derive(Default)]
pub(crate) struct Done {
    pub(crate) shown: Vec<Shown>,
    pub(crate) rows: AppRows,
    pub(crate) begins: Option<(u64, Record)>,
}

/// A question, as it is kept.
struct Kept {
    group: GroupId,
    ask: Ask,
    /// The private key of our own one, or the code of the device that has asked: a device of the same name and another key
    /// is not given anything.
    beside: Secret,
}

impl Kept {
    fn to_row(&self) -> Result<Secret, EncodeError> {
        let mut w = Writer::secret();
        VERSION.encode(&mut w)?;
        w.put_opaque(&self.group)?;
        self.ask.encode(&mut w)?;
        w.put_opaque(self.beside.expose())?;
        Ok(Secret::new(w.finish()))
    }

    /// Whether an answer that came in a group is one to this question.
    fn is_answered_by(&self, of: &AskId, group: &GroupId) -> bool {
        self.ask.id == *of && self.group == *group
    }
}

impl Decode for Kept {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match u8::decode(r)? {
            VERSION => {}
            other => {
                return Err(DecodeError::InvalidValue { field: "version", value: other.into() });
            }
        }
        let group = GroupId::from(&*Bytes::decode(r)?);
        let ask = Ask::decode(r)?;
        Ok(Self { group, ask, beside: Secret::copy_from(&Bytes::decode(r)?) })
    }
}

fn row_of(by: &DeviceId) -> Vec<u8> {
    [ASKED, by.to_string().as_bytes()].concat()
}

fn kept<S: Store>(engine: &Engine<S>, key: &[u8]) -> Result<Option<Kept>, EngineError> {
    let row = engine.app_row(TABLE, key)?;
    // The row of a later version is for that version.
    Ok(row.and_then(|row| Kept::from_bytes(row.expose()).ok()))
}

fn failed(e: impl core::fmt::Display) -> EngineError {
    EngineError::Store(StoreError::failed(e.to_string()))
}

/// The code of another device of this user's in a group; none if it is not there, or not the user's any more.
fn code_of<S: Store>(
    engine: &Engine<S>,
    group: &GroupId,
    device: &DeviceId,
) -> Result<Option<String>, EngineError> {
    let own = engine.devices(&device.user).unwrap_or_default();
    if device.user != engine.device().user || !own.iter().any(|own| own.device == *device) {
        return Ok(None);
    }
    let members = engine.roster(group)?.map(|roster| roster.members).unwrap_or_default();
    Ok(members.into_iter().find(|m| m.device == *device && !m.own).map(|member| member.code))
}

/// Since when, in seconds since 1970, what was said in a group may be given between devices of this user's; none if nothing
/// may.
fn reach<S: Store>(engine: &Engine<S>, group: &GroupId) -> Option<u64> {
    if !matches!(engine.group(group)?.phase, Phase::Member) {
        return None;
    }
    match engine.history_for_own_device(group) {
        HistoryReach::Nothing => None,
        HistoryReach::Seconds(seconds) => Some((now() / 1000).saturating_sub(seconds.into())),
        HistoryReach::All => Some(0),
    }
}

/// What this device asks for and gives.
#[derive(Default)]
pub(crate) struct Sharing {
    job: Option<Job>,
    /// The files that are here, to be read.
    fetched: VecDeque<u64>,
}

impl Sharing {
    /// Does what a user wants, in the current group.
    pub(crate) fn command<S: Store>(
        (engine, transfers): (&mut Engine<S>, &mut Transfers),
        group: &GroupId,
        wanted: Wanted,
    ) -> Result<Told, Failure> {
        match wanted {
            Wanted::Ask => ask(engine, group),
            Wanted::Give(device) => give(engine, transfers, &device),
        }
    }

    /// Takes what another device of this user's has said.
    pub(crate) fn hear<S: Store>(
        engine: &Engine<S>,
        transfers: &mut Transfers,
        Heard { group, by, word }: Heard,
    ) -> Result<Done, EngineError> {
        let mut done = Done::default();
        let Some(code) = code_of(engine, &group, &by)? else { return Ok(done) };
        let shows = |did| vec![Shown::Did { group: engine.group_name(&group), did }];
        match word {
            Word::Ask(ask) => {
                let beside = Secret::copy_from(code.as_bytes());
                let row = Kept { group: group.clone(), ask, beside }.to_row().map_err(failed)?;
                done.rows.put_secret(TABLE, row_of(&by), row);
                let device = by.device.to_string();
                done.shown = shows(Did::HistoryAsked { by: by.to_string(), device });
            }
            Word::Answer { of, sealed } => {
                let own = kept(engine, OWN)?.filter(|own| own.is_answered_by(&of, &group));
                let Some(own) = own else { return Ok(done) };
                let key_pair = HpkeKeyPair {
                    private: HpkePrivateKey(own.beside),
                    public: own.ask.key.clone(),
                };
                let provider = engine.provider();
                let between = (&by, engine.device());
                let Some(file) = file_of(&*provider, (&own.ask, &key_pair), between, &sealed)
                else {
                    return Ok(done);
                };
                if let Some(what) = too_long(&by, file.length) {
                    done.shown = vec![Shown::Note { group: engine.group_name(&group), what }];
                    return Ok(done);
                }
                // A question has one answer.
                done.rows.delete(TABLE, OWN);
                let record = Record {
                    group: group.clone(),
                    name: format!("what {by} gives"),
                    task: Task::Take(ToTake { by: by.clone(), sealed: file }),
                };
                let (id, rows) = transfers.plan(&record).map_err(failed)?;
                done.rows.merge(rows);
                done.begins = Some((id, record));
                done.shown = shows(Did::HistoryComes { by: by.to_string() });
            }
        }
        Ok(done)
    }

    /// Takes note that a file is here.
    pub(crate) fn fetched(&mut self, id: u64) {
        self.fetched.push_back(id);
    }

    /// Whether there is a step to do.
    pub(crate) fn is_busy(&self, transfers: &Transfers) -> bool {
        self.job.is_some() || !self.fetched.is_empty() || transfers.to_write().is_some()
    }

    /// Writes or reads some messages of a file.
    pub(crate) fn step<S: Store>(
        &mut self,
        (engine, history): (&mut Engine<S>, &History),
        transfers: &mut Transfers,
    ) -> Result<Vec<Shown>, RunError> {
        transfers.touch();
        if self.job.as_ref().is_some_and(|job| transfers.name(job.id()).is_none()) {
            // It was stopped.
            self.job = None;
        }
        let Some(mut job) = self.next_job(engine, transfers)? else { return Ok(Vec::new()) };
        let id = job.id();
        match job.step(engine, history) {
            Ok(None) => self.job = Some(job),
            Ok(Some(given)) => return end(job, given, engine, transfers),
            Err(StreamError::History(e)) => return Err(RunError::History(e)),
            Err(StreamError::Store(e)) => return Err(EngineError::Store(e).into()),
            Err(e) => {
                let outcome = match (&job, &e) {
                    (Job::Give { .. }, _) => ": nothing is given",
                    (Job::Take { .. }, StreamError::Damaged { .. }) => ": nothing of it is taken",
                    // Some of it may be here.
                    (Job::Take { .. }, _) => "",
                };
                let name = transfers.name(id).unwrap_or_default();
                transfers.discard(engine, id)?;
                return Ok(vec![Shown::Refused(format!("{name}: {e}{outcome}"))]);
            }
        }
        Ok(Vec::new())
    }

    /// The job under way, or the next one.
    fn next_job<S: Store>(
        &mut self,
        engine: &Engine<S>,
        transfers: &Transfers,
    ) -> Result<Option<Job>, RunError> {
        if let Some(job) = self.job.take() {
            return Ok(Some(job));
        }
        while let Some(id) = self.fetched.pop_front() {
            let Some((group, take)) = transfers.taking(id) else { continue };
            let file = transfers.fetched_file(id).map_err(RunError::Files)?;
            return Ok(Some(Job::take((id, group), take, file, places(engine))));
        }
        let Some((id, give)) = transfers.to_write() else { return Ok(None) };
        let file = transfers.new_file(id).map_err(RunError::Files)?;
        let (rooms, _) = rooms_with(engine, &give.device)?;
        Ok(Some(Job::give(id, rooms, file)))
    }

    /// The message that tells another device where its file is, the group to say it in, and what is to be written with it:
    /// the question is answered then, and not before.
    pub(crate) fn answer<S: Store>(
        engine: &Engine<S>,
        transfers: &Transfers,
        id: u64,
    ) -> Option<Result<(GroupId, Content, AppRows), String>> {
        let (group, give) = transfers.giving(id)?;
        let file = give.sealed?;
        let mut rows = Transfers::rows_without(id);
        // The device may have asked anew meanwhile.
        let question = row_of(&give.device);
        match kept(engine, &question) {
            Ok(Some(kept)) if kept.ask.id == give.ask.id => rows.delete(TABLE, question),
            Ok(_) => {}
            Err(e) => return Some(Err(e.to_string())),
        }
        let (provider, mut rng) = (engine.provider(), os_rng());
        let between = (engine.device(), &give.device);
        let content = answer(&*provider, &mut *rng, &give.ask, between, &file)
            .map_err(|e| e.to_string())
            .and_then(|word| word.draft().map_err(|e| e.to_string()))
            .and_then(|draft| content_of(engine, &group, draft, &mut *rng));
        Some(content.map(|content| (group, content, rows)))
    }
}

/// Why a file that another device gives is not fetched, if it is too long.
fn too_long(by: &DeviceId, length: u64) -> Option<String> {
    let why = || {
        format!("what {by} gives has {length} bytes, more than a device takes: it is not fetched")
    };
    (length > MAX_TAKEN).then(why)
}

/// Asks the user's other devices in a group.
fn ask<S: Store>(engine: &Engine<S>, group: &GroupId) -> Result<Told, Failure> {
    let name = engine.group_name(group);
    let me = engine.device();
    let others = engine.devices(&me.user).unwrap_or_default().into_iter().filter(|d| !d.own);
    let mut is_there = false;
    for other in others {
        is_there |= code_of(engine, group, &other.device)?.is_some();
    }
    let Some(suite) = engine.group(group).and_then(|group| group.suite).filter(|_| is_there) else {
        return Err(refused(format!("no other device of yours is in {name}: ask where one is")));
    };

    let (provider, mut rng) = (engine.provider(), os_rng());
    let why = |e: &dyn core::fmt::Display| refused(e.to_string());
    let key_pair = Suite::new(&*provider, suite).and_then(|suite| suite.hpke_key_pair(&mut *rng));
    let key_pair = key_pair.map_err(|e| why(&e))?;

    let mut id = [0; 16];
    rng.fill_bytes(&mut id);
    let ask = Ask { id, suite, key: key_pair.public };
    let draft = Word::Ask(ask.clone()).draft().map_err(|e| why(&e))?;
    let content = content_of(engine, group, draft, &mut *rng).map_err(Failure::Refused)?;
    let row = Kept { group: group.clone(), ask, beside: key_pair.private.0 }.to_row();

    let mut told = Told::default();
    told.rows.put_secret(TABLE, OWN, row.map_err(|e| why(&e))?);
    told.to_send = vec![(group.clone(), content)];
    let what = format!(
        "asked for what was said before: on another device of yours, type /history give {}",
        me.device
    );
    told.shown = vec![Shown::Note { group: name, what }];
    Ok(told)
}

/// Begins to give to a device that has asked.
fn give<S: Store>(
    engine: &mut Engine<S>,
    transfers: &mut Transfers,
    device: &Name,
) -> Result<Told, Failure> {
    let device = DeviceId::new(engine.device().user.clone(), device.clone());
    let Some(asked) = kept(engine, &row_of(&device))? else {
        return Err(refused(format!("{device} has not asked: type /history ask there first")));
    };
    if transfers.is_giving_to(&device) {
        return Err(refused(format!("{device} is being given it already")));
    }
    let code = code_of(engine, &asked.group, &device)?;
    if code.is_none_or(|code| code.as_bytes() != asked.beside.expose()) {
        return Err(refused(format!(
            "{device} is no longer the device that asked: type /history ask there again"
        )));
    }

    let (rooms, shut) = rooms_with(engine, &device)?;
    let forbidden = || format!("of {} nothing is given: the group forbids it", shut.join(", "));
    if rooms.is_empty() {
        return Err(refused(if shut.is_empty() {
            format!("no group has both this device and {device}")
        } else {
            forbidden()
        }));
    }
    let mut told = Told::default();
    if !shut.is_empty() {
        told.shown.push(Shown::Note { group: String::new(), what: forbidden() });
    }

    let record = Record {
        group: asked.group,
        name: format!("what was said, for {device}"),
        task: Task::Give(ToGive { device: device.clone(), ask: asked.ask, sealed: None }),
    };
    transfers.begin(engine, record)?;
    let what = format!("what was said in {} groups is given to {device}", rooms.len());
    told.shown.push(Shown::Note { group: String::new(), what });
    Ok(told)
}

/// The groups that another device of this user's is in, too: those of which it may be given something, and the names of
/// those that forbid it.
fn rooms_with<S: Store>(
    engine: &Engine<S>,
    device: &DeviceId,
) -> Result<(Vec<RoomToGive>, Vec<String>), EngineError> {
    let (mut rooms, mut shut) = (Vec::new(), Vec::new());
    for GroupView { id: group, phase, .. } in engine.groups() {
        if !matches!(phase, Phase::Member) || code_of(engine, &group, device)?.is_none() {
            continue;
        }
        match reach(engine, &group) {
            Some(since) => rooms.push(RoomToGive { group, since }),
            None => shut.push(engine.group_name(&group)),
        }
    }
    Ok((rooms, shut))
}

/// The groups of which messages are taken here.
fn places<S: Store>(engine: &Engine<S>) -> BTreeMap<GroupId, RoomPlace> {
    let me = engine.device().user.clone();
    let groups = engine.groups().into_iter().filter_map(|group| {
        let since = reach(engine, &group.id)?;
        let place = Place::of(engine, &group.id);
        let before = engine.log_position(&group.id)?.saturating_add(1);
        let bounds_expiry = engine.message_expiration(&group.id).is_some();
        let (uri, me) = (place.room().into(), place.user(&me));
        let place = RoomPlace { uri, me, before, since, bounds_expiry };
        Some((group.id, place))
    });
    groups.collect()
}

/// Ends a job whose file is written, or taken.
fn end<S: Store>(
    job: Job,
    given: Given,
    engine: &mut Engine<S>,
    transfers: &mut Transfers,
) -> Result<Vec<Shown>, RunError> {
    match job {
        Job::Give { id, key, .. } => {
            let Some((group, give)) = transfers.giving(id) else { return Ok(Vec::new()) };
            let sealed: Sealed = transfers.written(engine, id, key)?;
            let to = give.device.to_string();
            let did = Did::HistoryGiven {
                to,
                rooms: given.rooms,
                messages: given.messages,
                size: sealed.length,
            };
            Ok(vec![Shown::Did { group: engine.group_name(&group), did }])
        }
        Job::Take { id, group, by, .. } => {
            transfers.taken(engine, id)?;
            let did = Did::HistoryTaken {
                by: by.to_string(),
                rooms: given.rooms,
                messages: given.messages,
                left_out: given.left_out,
            };
            Ok(vec![Shown::Did { group: engine.group_name(&group), did }])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use conclave_mls::CipherSuite;

    #[test]
    fn an_answer_counts_for_its_question_and_in_its_group_alone() {
        let (group, other) = (GroupId::from([1].as_slice()), GroupId::from([2].as_slice()));
        let ask = Ask { id: [7; 16], suite: CipherSuite(1), key: vec![5; 32].into() };
        let kept = Kept { group: group.clone(), ask, beside: Secret::copy_from(b"key") };
        assert!(kept.is_answered_by(&[7; 16], &group));
        assert!(!kept.is_answered_by(&[8; 16], &group));
        assert!(!kept.is_answered_by(&[7; 16], &other));
    }

    #[test]
    fn a_file_that_is_said_to_be_endless_is_not_fetched() {
        let by: DeviceId = "alice/main".parse().unwrap();
        assert_eq!(too_long(&by, MAX_TAKEN), None);
        for length in [MAX_TAKEN + 1, u64::MAX] {
            assert!(too_long(&by, length).unwrap().contains(&length.to_string()));
        }
    }
}
