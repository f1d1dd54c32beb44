//! The transfers of a device: what is under way, and what has come of it.

use crate::attachments::cipher::FileCipher;
use crate::attachments::message::{attached, draft_with_file};
use crate::attachments::record::{Record, Sealed, TABLE, Task, ToGive, ToSave, ToSend};
use crate::attachments::spool::{Spool, discard_copy};
use crate::attachments::work::{Report, Work};
use crate::compose::{Markup, content_of, draft_of};
use crate::connection::Connection;
use crate::error::RunError;
use crate::expiry::expiration_of;
use crate::lines::ChosenExpiry;
use crate::mimi::Place;
use crate::service::{now, os_rng};
use conclave_content::{MimiContent, safe};
use conclave_delivery_api::{DeleteAttachment, EncodeError};
use conclave_engine::{AppRows, Content, Engine, EngineError};
use conclave_mls::GroupId;
use conclave_store::{Store, StoreError};
use core::fmt;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;

/// How many files can be under way at once.
const MAX_UNDER_WAY: usize = 8;
/// How often progress is worth a line, in percent.
const STEP: u8 = 10;

/// What a transfer's thread reports, for [`Transfers::take`].
pub struct TransferReport {
    id: u64,
    report: Report,
}

impl fmt::Debug for TransferReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransferReport").field("id", &self.id).finish_non_exhaustive()
    }
}

/// What transfers need: a cipher for files, and where their threads report.
#[derive(Clone)]
pub struct TransferSetup {
    /// What encrypts and decrypts files.
    pub cipher: Arc<dyn FileCipher>,
    /// Where the threads report.
    pub to: Arc<dyn Fn(TransferReport) + Send + Sync>,
}

impl fmt::Debug for TransferSetup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransferSetup").finish_non_exhaustive()
    }
}

/// A file to send.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileToSend {
    /// Where it is.
    pub path: String,
    /// What is said with it; may be empty.
    pub text: String,
    /// What a client calls the message; may be empty.
    pub label: String,
    /// Whether the message is to cause no event.
    pub quiet: bool,
    /// When the message disappears, if its sender chooses that. The room's policy at the time of sending bounds it.
    pub expiry: Option<ChosenExpiry>,
}

/// What came of a transfer.
#[derive(Debug)]
pub enum TransferNews {
    /// It has progressed.
    Moved {
        /// Its number.
        id: u64,
        /// The group.
        group: GroupId,
        /// Whether a file is sent; otherwise one is saved.
        sends: bool,
        /// What the file is called.
        name: String,
        /// How much is there, in percent.
        percent: u8,
        /// How many bytes there are in all.
        size: u64,
        /// Whether that is worth a line: at the beginning, and at each ten percent.
        is_step: bool,
    },
    /// The service has a file. The caller sends the message that names it, with these rows in the same write, and then
    /// calls [`Transfers::sent`].
    Uploaded {
        /// Its number.
        id: u64,
        /// The group.
        group: GroupId,
        /// The message.
        content: Content,
        /// What a client calls it; may be empty.
        label: String,
        /// Whether it is to cause no event.
        quiet: bool,
        /// What is to be written.
        rows: AppRows,
    },
    /// A file is saved.
    Saved {
        /// Its number.
        id: u64,
        /// The group.
        group: GroupId,
        /// The number of the message that it came with.
        number: u64,
        /// Where it is.
        path: String,
        /// How many bytes it has.
        size: u64,
    },
    /// The service has what was said, for another device of the user's. Only a messenger gives that.
    Given {
        /// Its number.
        id: u64,
    },
    /// What another device of the user's has given is here. Only a messenger takes it.
    Fetched {
        /// Its number.
        id: u64,
    },
    /// A file could not be sent or saved.
    Failed {
        /// Its number.
        id: u64,
        /// The group.
        group: GroupId,
        /// What the file is called.
        name: String,
        /// Why, and what to do.
        why: String,
    },
}

/// Why a transfer does not begin.
#[derive(Debug)]
pub enum TransferRefusal {
    /// It cannot begin: why, and what to do.
    Refused(String),
    /// The state cannot be read or written.
    Engine(EngineError),
}

impl From<EngineError> for TransferRefusal {
    fn from(e: EngineError) -> Self {
        Self::Engine(e)
    }
}

fn refused<T>(why: impl Into<String>) -> Result<T, TransferRefusal> {
    Err(TransferRefusal::Refused(why.into()))
}

pub(super) struct UnderWay {
    pub(super) record: Record,
    stop: Arc<AtomicBool>,
    /// None while its file is not written yet.
    thread: Option<JoinHandle<()>>,
    percent: Option<u8>,
}

/// The files that a device sends and saves. Each has a thread, and is kept in the engine's store until it is done: what is
/// cut off, or under way when the process is killed, goes on when the device is next in use.
pub struct Transfers {
    setup: TransferSetup,
    connection: Connection,
    pub(super) spool: Spool,
    pub(super) under_way: BTreeMap<u64, UnderWay>,
    next: u64,
    pub(super) moved_at: Instant,
}

impl fmt::Debug for Transfers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transfers")
            .field("under_way", &self.under_way.len())
            .finish_non_exhaustive()
    }
}

impl Drop for Transfers {
    fn drop(&mut self) {
        self.under_way.values().for_each(|one| one.stop.store(true, Ordering::Relaxed));
    }
}

impl Transfers {
    /// The transfers of a device whose state is in `folder`. Those that were under way go on.
    pub(crate) fn open<S: Store>(
        engine: &mut Engine<S>,
        folder: &Path,
        connection: &Connection,
        setup: TransferSetup,
    ) -> Result<Self, RunError> {
        let spool = Spool::open(folder).map_err(RunError::Files)?;
        let mut transfers = Self {
            setup,
            connection: connection.clone(),
            spool,
            under_way: BTreeMap::new(),
            next: 1,
            moved_at: Instant::now(),
        };

        for (key, row) in engine.app_rows(TABLE, &[], usize::MAX)? {
            let id = key.as_slice().try_into().map(u64::from_be_bytes).unwrap_or_default();
            transfers.next = transfers.next.max(id.saturating_add(1));
            // The row of a later version stays for that version.
            let Ok(mut record) = Record::from_row(row.expose()) else { continue };
            if let Task::Give(give) = &mut record.task
                && transfers.spool.sealed_file(id).is_err()
            {
                give.sealed = None;
            }
            transfers.start(id, record)?;
        }
        let under_way = &transfers.under_way;
        transfers.spool.sweep(|id| under_way.contains_key(&id)).map_err(RunError::Files)?;
        Ok(transfers)
    }

    /// How many files are under way.
    #[must_use]
    pub fn count(&self) -> usize {
        self.under_way.len()
    }

    /// When one of them has last progressed.
    pub(crate) fn moved_at(&self) -> Instant {
        self.moved_at
    }

    /// The transfer of the message to which a client has given this name.
    #[must_use]
    pub fn labelled(&self, label: &str) -> Option<u64> {
        let is_it =
            |one: &UnderWay| matches!(&one.record.task, Task::Send(send) if send.label == label);
        self.under_way.iter().find(|(_, one)| is_it(one)).map(|(id, _)| *id)
    }

    /// Starts the thread of a transfer, unless its file is to be written first.
    pub(crate) fn start(&mut self, id: u64, record: Record) -> Result<(), RunError> {
        if matches!(&record.task, Task::Give(ToGive { sealed: None, .. })) {
            let stop = Arc::new(AtomicBool::new(false));
            self.under_way.insert(id, UnderWay { record, stop, thread: None, percent: None });
            return Ok(());
        }
        let (stop, to) = (Arc::new(AtomicBool::new(false)), self.setup.to.clone());
        let work = Work {
            id,
            connection: self.connection.clone(),
            cipher: self.setup.cipher.clone(),
            spool: self.spool.clone(),
            stop: stop.clone(),
            say: Box::new(move |report| to(TransferReport { id, report })),
        };
        let task = record.task.clone();
        let thread = std::thread::Builder::new()
            .name("conclave-file".into())
            .spawn(move || work.run(&task))
            .map_err(RunError::Threads)?;
        let thread = Some(thread);
        self.under_way.insert(id, UnderWay { record, stop, thread, percent: None });
        Ok(())
    }

    pub(crate) fn begin<S: Store>(
        &mut self,
        engine: &mut Engine<S>,
        record: Record,
    ) -> Result<u64, TransferRefusal> {
        if self.count() >= MAX_UNDER_WAY {
            return refused(format!(
                "{MAX_UNDER_WAY} files are under way: wait until one is done, or stop one"
            ));
        }
        let planned = self.plan(&record);
        let (id, rows) = planned.map_err(|e| TransferRefusal::Refused(e.to_string()))?;
        engine.write_app_rows(rows)?;
        match self.start(id, record) {
            Ok(()) => Ok(id),
            Err(e) => {
                engine.write_app_rows(forgotten(id))?;
                refused(e.to_string())
            }
        }
    }

    /// Sends a file to a group: it is encrypted, uploaded, and then named in a message. Returns the transfer's number.
    ///
    /// # Errors
    /// If there is no such file, or too much is under way.
    pub fn send<S: Store>(
        &mut self,
        engine: &mut Engine<S>,
        group: &GroupId,
        file: FileToSend,
    ) -> Result<u64, TransferRefusal> {
        let path = match absolute(&file.path) {
            Ok(path) => path,
            Err(why) => return refused(why),
        };
        match std::fs::metadata(&path) {
            Ok(found) if found.is_dir() => {
                return refused(format!("{path} is a folder: pack it into one file first"));
            }
            Ok(found) if !found.is_file() => return refused(format!("{path} is no file")),
            Ok(_) => {}
            Err(e) => return refused(format!("{path}: {e}")),
        }
        let name = Path::new(&path).file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let record = Record {
            group: group.clone(),
            name: name.into(),
            task: Task::Send(ToSend {
                path: path.clone(),
                text: file.text,
                label: file.label,
                quiet: file.quiet,
                expiry: file.expiry,
                sealed: None,
            }),
        };
        self.begin(engine, record)
    }

    /// Saves the files that came with a message: under this name, in this folder, or under their own names in the current
    /// one. Returns the transfers' numbers.
    ///
    /// # Errors
    /// If the message has none, one cannot be fetched, there is a file of that name, or too much is under way.
    pub fn save<S: Store>(
        &mut self,
        engine: &mut Engine<S>,
        (group, number): (&GroupId, u64),
        content: Option<&MimiContent>,
        to: Option<&str>,
    ) -> Result<Vec<u64>, TransferRefusal> {
        let files = content.map(|content| attached(content, now() / 1000)).unwrap_or_default();
        if files.is_empty() {
            return refused(format!("message {number} has no file"));
        }
        let to = match absolute(to.unwrap_or(".")) {
            Ok(to) => PathBuf::from(to),
            Err(why) => return refused(why),
        };
        let is_folder = to.is_dir();
        if !is_folder && files.len() > 1 {
            return refused(format!(
                "message {number} has {} files: name a folder to save them in",
                files.len()
            ));
        }

        let mut records: Vec<Record> = Vec::new();
        for (index, file) in files.into_iter().enumerate() {
            let name = file.name.unwrap_or_else(|| format!("attachment-{number}-{}", index + 1));
            let sealed = match file.sealed {
                Ok(sealed) => sealed,
                Err(why) => return refused(format!("{name} cannot be fetched: {why}")),
            };
            let path = if is_folder { to.join(&name) } else { to.clone() };
            let Some(path) = path.to_str().map(str::to_string) else {
                return refused("the folder's name is not UTF-8");
            };
            // A link that leads nowhere is there, too.
            let is_taken = Path::new(&path).symlink_metadata().is_ok()
                || records.iter().any(|other| other.is_saved_at(&path))
                || self.under_way.values().any(|other| other.record.is_saved_at(&path));
            if is_taken {
                return refused(format!(
                    "{path}: there is a file of that name already, and it stays as it is: name another path"
                ));
            }
            let (group, task) = (group.clone(), Task::Save(ToSave { number, path, sealed }));
            records.push(Record { group, name, task });
        }
        records.into_iter().map(|record| self.begin(engine, record)).collect()
    }

    /// Stops a transfer for good: the only one, if none is named. Returns what its file is called.
    ///
    /// # Errors
    /// If there is none, or none is named and there are several.
    pub fn cancel<S: Store>(
        &mut self,
        engine: &mut Engine<S>,
        id: Option<u64>,
    ) -> Result<String, TransferRefusal> {
        let ids: Vec<u64> = self.under_way.keys().copied().collect();
        let id = match (id, ids.as_slice()) {
            (_, []) => return refused("no file is under way"),
            (Some(id), _) => id,
            (None, [id]) => *id,
            (None, _) => {
                let all =
                    self.under_way.iter().map(|(id, one)| format!("{id} {}", one.record.name));
                let all = all.collect::<Vec<_>>().join(", ");
                return refused(format!(
                    "several files are under way, name one by its number: {all}"
                ));
            }
        };
        let Some(one) = self.under_way.get(&id) else {
            return refused(format!("no file of number {id} is under way"));
        };
        let name = one.record.name.clone();
        self.discard(engine, id)?;
        Ok(name)
    }

    /// Forgets a transfer that comes to nothing, and takes back what the service has of it.
    ///
    /// # Errors
    /// If the state cannot be written.
    pub fn discard<S: Store>(
        &mut self,
        engine: &mut Engine<S>,
        id: u64,
    ) -> Result<(), EngineError> {
        engine.write_app_rows(forgotten(id))?;
        let Some(UnderWay { record, thread, .. }) = self.finish(id) else { return Ok(()) };
        let sealed = match record.task {
            Task::Send(ToSend { sealed, .. }) | Task::Give(ToGive { sealed, .. }) => sealed,
            Task::Save(_) | Task::Take(_) => None,
        };
        if let (Some(Sealed { hash, .. }), Some(thread)) = (sealed, thread) {
            let connection = self.connection.clone();
            // What stays there expires.
            let _ = std::thread::Builder::new().name("conclave-file".into()).spawn(move || {
                // A part that is still on its way would come after that.
                let _ = thread.join();
                let client = connection.with_session(|| Err(()));
                client.map(|client| client.call(&DeleteAttachment { hash: hash.into() }))
            });
        }
        Ok(())
    }

    /// A transfer is done, and forgotten in the store. Its files are deleted.
    pub(super) fn finish(&mut self, id: u64) -> Option<UnderWay> {
        let one = self.under_way.remove(&id)?;
        one.stop.store(true, Ordering::Relaxed);
        self.spool.discard(id);
        if let Task::Save(save) = &one.record.task {
            discard_copy(Path::new(&save.path));
        }
        Some(one)
    }

    /// The message of an upload is in the engine, which will send it: the transfer is done.
    pub fn sent(&mut self, id: u64) {
        self.finish(id);
    }

    /// The number and rows of a transfer that begins when they are written.
    pub(crate) fn plan(&mut self, record: &Record) -> Result<(u64, AppRows), EncodeError> {
        let id = self.next;
        let rows = kept(id, record)?;
        self.next += 1;
        Ok((id, rows))
    }

    /// Takes what a thread reports.
    ///
    /// # Errors
    /// If the state cannot be written.
    pub fn take<S: Store>(
        &mut self,
        engine: &mut Engine<S>,
        TransferReport { id, report }: TransferReport,
    ) -> Result<Option<TransferNews>, EngineError> {
        // It was stopped meanwhile.
        let Some(one) = self.under_way.get_mut(&id) else { return Ok(None) };
        match report {
            Report::Sealed(sealed) => {
                if let Task::Send(send) = &mut one.record.task {
                    send.sealed = Some(sealed);
                }
                let rows = kept(id, &one.record).map_err(|e| StoreError::failed(e.to_string()))?;
                engine.write_app_rows(rows)?;
                Ok(None)
            }
            Report::Moved(there, size) => Ok(self.moved(id, there, size)),
            Report::Uploaded(..) if matches!(one.record.task, Task::Give(_)) => {
                Ok(Some(TransferNews::Given { id }))
            }
            Report::Uploaded(sealed, expires_at) => self.uploaded(engine, id, &sealed, expires_at),
            Report::Fetched => Ok(Some(TransferNews::Fetched { id })),
            Report::Saved(size) => {
                let group = one.record.group.clone();
                let Task::Save(ToSave { number, path, .. }) = one.record.task.clone() else {
                    return Ok(None);
                };
                engine.write_app_rows(forgotten(id))?;
                self.finish(id);
                Ok(Some(TransferNews::Saved { id, group, number, path, size }))
            }
            Report::Failed(why) => {
                let (group, name) = (one.record.group.clone(), one.record.name.clone());
                self.discard(engine, id)?;
                Ok(Some(TransferNews::Failed { id, group, name, why }))
            }
        }
    }

    /// Takes note of how far a transfer is; none if its percentage has not changed.
    fn moved(&mut self, id: u64, there: u64, size: u64) -> Option<TransferNews> {
        self.moved_at = Instant::now();
        let one = self.under_way.get_mut(&id)?;
        let percent = percent(there, size);
        let before = one.percent.replace(percent);
        if before == Some(percent) {
            return None;
        }

        let is_step = before.is_none_or(|before| before / STEP < percent / STEP);
        // The last one is what comes of it.
        let is_step = is_step && percent < 100;
        let sends = matches!(one.record.task, Task::Send(_) | Task::Give(_));
        let (group, name) = (one.record.group.clone(), one.record.name.clone());
        Some(TransferNews::Moved { id, group, sends, name, percent, size, is_step })
    }

    /// Writes the message that names a file, which the service has until a time in seconds since 1970.
    fn uploaded<S: Store>(
        &mut self,
        engine: &mut Engine<S>,
        id: u64,
        sealed: &Sealed,
        expires_at: u64,
    ) -> Result<Option<TransferNews>, EngineError> {
        let Some(UnderWay { record: Record { group, name, task }, .. }) = self.under_way.get(&id)
        else {
            return Ok(None);
        };
        let Task::Send(send) = task else { return Ok(None) };
        let (group, name) = (group.clone(), name.clone());
        let (label, quiet) = (send.label.clone(), send.quiet);

        let place = Place::of(engine, &group);
        let text = Some(&*send.text).filter(|text| !text.is_empty());
        let text = text.map(|text| draft_of(engine, (&group, &place), text, Markup::Plain));
        let mut draft =
            draft_with_file((&name, text), sealed, (&self.connection.url(), expires_at));
        if let Some(chosen) = send.expiry {
            draft = draft.expiring(expiration_of(chosen, now() / 1000));
        }
        let content = content_of(engine, &group, draft, &mut *os_rng());
        Ok(Some(match content {
            Ok(content) => {
                let rows = forgotten(id);
                TransferNews::Uploaded { id, group, content, label, quiet, rows }
            }
            Err(why) => {
                self.discard(engine, id)?;
                TransferNews::Failed { id, group, name, why }
            }
        }))
    }
}

impl Record {
    fn is_saved_at(&self, at: &str) -> bool {
        matches!(&self.task, Task::Save(ToSave { path, .. }) if path == at)
    }
}

pub(super) fn kept(id: u64, record: &Record) -> Result<AppRows, EncodeError> {
    let row = record.to_row()?;
    let mut rows = AppRows::new();
    rows.put_secret(TABLE, id.to_be_bytes(), row);
    Ok(rows)
}

pub(super) fn forgotten(id: u64) -> AppRows {
    let mut rows = AppRows::new();
    rows.delete(TABLE, id.to_be_bytes());
    rows
}

fn percent(there: u64, size: u64) -> u8 {
    let percent = u128::from(there) * 100 / u128::from(size.max(1));
    u8::try_from(percent.min(100)).unwrap_or(100)
}

/// The absolute path of one that a user has typed: it stays the same wherever the process runs next.
fn absolute(path: &str) -> Result<String, String> {
    let home = path.strip_prefix("~/").and_then(|rest| Some((std::env::home_dir()?, rest)));
    let path = home.map_or_else(|| PathBuf::from(path), |(home, rest)| home.join(rest));
    let absolute = std::path::absolute(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    absolute.into_os_string().into_string().map_err(|_| {
        format!("{} is not UTF-8: rename it", safe::line(&path.display().to_string(), 200))
    })
}
