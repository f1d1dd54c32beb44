//! The service's state in one SQLite file.
//!
//! WAL with `synchronous=FULL`: what was answered is on disk. One connection writes, on a thread of
//! its own; others read beside it.

mod accounts;
mod administration;
mod certificates;
mod copy;
mod directory;
mod files;
mod formats;
mod groups;
mod inbox;
mod incarnation;
mod inventory;
mod key_packages;
mod members;
mod quotas;
mod read;
mod removals;
mod result;
mod state_marks;
mod uploads;
mod writer;

#[cfg(test)]
mod tests;

use super::{
    AccountExtension, AccountRecord, Append, Appended, CertificateRecord, Certified,
    DirectoryBatch, Extended, Found, Give, GroupAdded, GroupRecord, GroupsSince, KeyPackagesAdded,
    Membership, NewGroup, NewKeyPackages, NewMark, NewUpload, Put, Quota, Storage, StorageError,
    StoredKeyPackage, UploadBegun, UploadRecord, WriterLoad, append_each,
};
use crate::files::private_file;
use crate::storage::DeviceInfo;
use accounts::{accounts_around, entries, extend, find_account, mark_published, unpublished};
use conclave_delivery_api::{
    Bytes, CipherSuite, DeviceId, Ending, GroupId, InboxItem, Incarnation, KeyPackageRef, LogEntry,
    LogPosition, Name, StateMarked,
};
use conclave_mls::crypto::Secret;
use conclave_mls::storage::{RowKey, Table};
use files::{Held, Watched};
pub use formats::Upgrade;
use groups::{append, create_group, end_group, groups_of};
pub use inventory::Counts;
use key_packages::{add_key_packages, claim, key_packages, withdraw};
use members::Members;
use read::{
    DEVICE_COLUMNS, bytes, damaged, device_id, device_info, find_device, find_entry, find_group,
    find_position, group_number, inbox_item, known_device, log_entry, ordered, page, unordered,
};
use result::{Sql, failed};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use writer::Writer;

/// How many connections read.
const READERS: usize = 4;

/// The service's state in a directory.
#[derive(Debug)]
pub struct SqliteStorage {
    // Dropped in this order: the readers first, so that the writer empties the WAL, and the lock last.
    readers: Vec<Mutex<Connection>>,
    writer: Writer,
    next: std::sync::atomic::AtomicUsize,
    members: Members,
    upgraded: Option<Upgrade>,
    _held: Option<Held>,
}

fn connect(path: &Path, read_only: bool) -> Sql<Connection> {
    let access = if read_only {
        OpenFlags::SQLITE_OPEN_READ_ONLY
    } else {
        OpenFlags::SQLITE_OPEN_READ_WRITE
    };
    let db = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    db.set_prepared_statement_cache_capacity(64);
    // A plan is made once. Otherwise SQLite makes that of some searches again for each value that is bound.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(db)
}

fn open_readers(path: &Path) -> Result<Vec<Mutex<Connection>>, StorageError> {
    let readers = (0..READERS).map(|_| connect(path, true).map(Mutex::new));
    readers.collect::<Sql<_>>().map_err(failed)
}

/// The database in a directory.
fn existing(directory: &Path) -> Result<PathBuf, StorageError> {
    let path = directory.join("delivery.db");
    if path.exists() {
        return Ok(path);
    }
    Err(StorageError::Format(format!("there is no service's state in {}", directory.display())))
}

impl SqliteStorage {
    /// Opens the state in a directory, and creates both if there are none. Only the user can read
    /// the files.
    ///
    /// A database of an earlier format is brought to the current one, see [`Self::upgraded`].
    ///
    /// # Errors
    /// If another process has it open, if it is of a later format, or cannot be opened or upgraded.
    pub fn open(directory: &Path) -> Result<Self, StorageError> {
        let file = |e: std::io::Error| {
            StorageError::Failed(format!("{} cannot be opened: {e}", directory.display()))
        };
        std::fs::create_dir_all(directory).map_err(file)?;
        let held = Held::take(directory)?;
        let path: PathBuf = directory.join("delivery.db");
        private_file(&path).map_err(file)?;
        // SQLite gives those beside it the database's mode when it creates them.
        for suffix in ["-wal", "-shm"] {
            let beside = directory.join(format!("delivery.db{suffix}"));
            if beside.exists() {
                private_file(&beside).map_err(file)?;
            }
        }
        let db = connect(&path, false).map_err(failed)?;
        let upgraded = formats::prepare(&db, &path)?;
        let readers = open_readers(&path)?;
        let watched = Watched::new([path, directory.join("delivery.db-wal")]).map_err(file)?;
        let writer = Writer::start(db, watched)?;
        Ok(Self {
            readers,
            writer,
            next: 0.into(),
            members: Members::default(),
            upgraded,
            _held: Some(held),
        })
    }

    /// Opens the state in a directory to look at it: it may be a running service's, or a backup. Whatever writes fails.
    ///
    /// # Errors
    /// If there is none, or if it is of another format.
    pub fn open_read_only(directory: &Path) -> Result<Self, StorageError> {
        let path = existing(directory)?;
        let db = connect(&path, true).map_err(failed)?;
        formats::check_current(&db, &path)?;
        let readers = open_readers(&path)?;
        let writer = Writer::start(db, Watched::default())?;
        let (members, upgraded) = (Members::default(), None);
        Ok(Self { readers, writer, next: 0.into(), members, upgraded, _held: None })
    }

    /// Writes a copy of the state in a directory, which may be a running service's, to another directory, which is
    /// there. The service goes on meanwhile. The copy's pages have been checked and are on the disk when this returns.
    ///
    /// # Errors
    /// If there is no state, if it is of a later format, or if the copy cannot be written.
    pub fn copy(directory: &Path, to: &Path) -> Result<(), StorageError> {
        let path = existing(directory)?;
        let db = connect(&path, true).map_err(failed)?;
        formats::known_format(&db, &path).map_err(failed)??;
        copy::write(&db, &to.join("delivery.db")).map_err(StorageError::Failed)
    }

    /// Looks for damaged pages and rows that contradict each other. It reads everything.
    ///
    /// # Errors
    /// [`StorageError::Damaged`] says what it found.
    pub fn check(&self) -> Result<(), StorageError> {
        self.read(|db| Ok(copy::check_pages(db)))?.map_err(StorageError::Damaged)?;
        let found = self.read(inventory::contradictions)?;
        if found.is_empty() { Ok(()) } else { Err(StorageError::Damaged(found.join("; "))) }
    }

    /// How much there is. It counts every row.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn counts(&self) -> Result<Counts, StorageError> {
        self.read(inventory::counts)
    }

    /// The secret of the service whose state is in a directory, which may be running.
    ///
    /// # Errors
    /// If there is no service's state, or it cannot be read.
    pub fn read_secret(directory: &Path) -> Result<Secret, StorageError> {
        let path = existing(directory)?;
        let db = connect(&path, true).map_err(failed)?;
        formats::known_format(&db, &path).map_err(failed)??;
        db.query_row("SELECT secret FROM service", [], |r| r.get(0).map(Secret::new))
            .map_err(failed)
    }

    /// What became of a database that had an earlier format when it was opened.
    #[must_use]
    pub fn upgraded(&self) -> Option<&Upgrade> {
        self.upgraded.as_ref()
    }

    /// Begins the next incarnation: for a state that was put back from a backup, before it is used.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn begin_incarnation(&self) -> Result<(), StorageError> {
        self.writer.write(incarnation::begin)
    }

    fn read<R>(&self, f: impl FnOnce(&Connection) -> Sql<R>) -> Result<R, StorageError> {
        let free = self.readers.iter().find_map(|r| r.try_lock().ok());
        let db = match free {
            Some(db) => db,
            None => {
                let n = self.next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                let Some(reader) = self.readers.get(n % READERS) else {
                    return Err(StorageError::Failed("no reader".into()));
                };
                reader.lock().unwrap_or_else(PoisonError::into_inner)
            }
        };
        f(&db).map_err(failed)
    }
}

impl Storage for SqliteStorage {
    fn secret(&self) -> Result<Secret, StorageError> {
        self.read(|db| {
            db.query_row("SELECT secret FROM service", [], |r| r.get(0).map(Secret::new))
        })
    }

    fn probe(&self) -> Result<(), StorageError> {
        self.secret()?;
        self.writer.write(formats::write_again)
    }

    fn writer_load(&self) -> Option<WriterLoad> {
        Some(self.writer.load())
    }

    fn incarnation(&self) -> Result<Incarnation, StorageError> {
        self.read(incarnation::incarnation)
    }

    fn account(&self, user: &Name) -> Result<Option<AccountRecord>, StorageError> {
        self.read(|db| find_account(db, user))
    }

    fn account_entries(
        &self,
        user: &Name,
        after: u64,
        limit: u32,
        bytes: usize,
    ) -> Result<Vec<Bytes>, StorageError> {
        self.read(|db| entries(db, user, after, limit, bytes))
    }

    fn has_accounts(&self) -> Result<bool, StorageError> {
        self.read(|db| db.query_row("SELECT EXISTS (SELECT * FROM account)", [], |row| row.get(0)))
    }

    fn certify(&self, record: CertificateRecord, cap: usize) -> Result<Certified, StorageError> {
        self.writer.write(move |db| certificates::certify(db, &record, cap))
    }

    fn certificates(&self, user: &Name) -> Result<Vec<CertificateRecord>, StorageError> {
        self.read(|db| certificates::of_user(db, user))
    }

    fn all_certificates(
        &self,
        after: i64,
        limit: u32,
    ) -> Result<Vec<(i64, CertificateRecord)>, StorageError> {
        self.read(|db| certificates::page(db, after, limit))
    }

    fn end_certified(&self, record: CertificateRecord) -> Result<bool, StorageError> {
        let ended = self.writer.write(move |db| certificates::end(db, &record));
        self.members.forget_all();
        ended
    }

    fn extend_account(&self, extension: AccountExtension) -> Result<Extended, StorageError> {
        let revokes = !extension.revoked.is_empty();
        let extended = self.writer.write(move |db| {
            db.execute_batch("SAVEPOINT account")?;
            let extended = extend(db, &extension)?;
            if extended != Extended::Stored {
                db.execute_batch("ROLLBACK TO account")?;
            }
            db.execute_batch("RELEASE account")?;
            Ok(extended)
        });
        if revokes {
            self.members.forget_all();
        }
        extended
    }

    fn unpublished(&self, limit: u32) -> Result<Vec<(Name, AccountRecord)>, StorageError> {
        self.read(|db| unpublished(db, limit))
    }

    fn mark_published(&self, published: Vec<(Name, u64)>) -> Result<(), StorageError> {
        self.writer.write(move |db| mark_published(db, &published))
    }

    fn directory_rows(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>, StorageError> {
        self.read(|db| directory::rows(db, keys))
    }

    fn put_directory(&self, batch: DirectoryBatch) -> Result<Put, StorageError> {
        self.writer.write(move |db| directory::put(db, &batch))
    }

    fn is_blocked(&self, user: &Name) -> Result<bool, StorageError> {
        self.read(|db| {
            db.prepare_cached("SELECT EXISTS (SELECT 1 FROM blocked_user WHERE user = ?)")?
                .query_row([user.as_str()], |r| r.get(0))
        })
    }

    fn quota(&self, user: &Name, of: Quota) -> Result<Option<u64>, StorageError> {
        self.read(|db| quotas::find(db, user.as_str(), of))
    }

    fn device(&self, id: &DeviceId) -> Result<Option<DeviceInfo>, StorageError> {
        self.read(|db| find_device(db, id))
    }

    fn devices(&self, user: &Name) -> Result<Vec<DeviceInfo>, StorageError> {
        self.read(|db| {
            db.prepare_cached(&format!(
                "SELECT {DEVICE_COLUMNS} FROM device WHERE user = ? ORDER BY id"
            ))?
            .query_map([user.as_str()], device_info)?
            .collect()
        })
    }

    fn add_key_packages(&self, new: NewKeyPackages) -> Result<KeyPackagesAdded, StorageError> {
        self.writer.write(move |db| add_key_packages(db, &new))
    }

    fn key_packages(
        &self,
        owner: &DeviceId,
        now: u64,
    ) -> Result<Vec<StoredKeyPackage>, StorageError> {
        self.read(|db| key_packages(db, owner, now))
    }

    fn withdraw_key_packages(
        &self,
        owner: &DeviceId,
        numbers: Vec<i64>,
    ) -> Result<u32, StorageError> {
        let owner = owner.clone();
        self.writer.write(move |db| withdraw(db, &owner, &numbers))
    }

    fn claim_key_packages(
        &self,
        owners: Vec<DeviceId>,
        suite: CipherSuite,
        give: Give,
        now: u64,
    ) -> Result<Vec<Option<Bytes>>, StorageError> {
        self.writer.write(move |db| {
            owners.iter().map(|owner| claim(db, owner, suite, give, now)).collect()
        })
    }

    fn key_package_owner(
        &self,
        reference: &KeyPackageRef,
    ) -> Result<Option<DeviceId>, StorageError> {
        self.read(|db| {
            db.prepare_cached(
                "SELECT user, name FROM known_key_package JOIN device ON device.id = device
                 WHERE reference = ?",
            )?
            .query_row([reference.as_ref()], |r| device_id(r, 0))
            .optional()
        })
    }

    fn create_group(&self, group: NewGroup, cap: u32) -> Result<GroupAdded, StorageError> {
        let id = group.group_id.clone();
        let added = self.writer.write(move |db| create_group(db, &group, cap));
        self.members.forget(&id);
        added
    }

    fn group(&self, id: &GroupId) -> Result<Option<GroupRecord>, StorageError> {
        self.read(|db| Ok(find_group(db, id)?.map(|(_, record)| record)))
    }

    fn membership(&self, id: &GroupId, device: &DeviceId) -> Result<Membership, StorageError> {
        self.read(|db| {
            let found = db
                .prepare_cached(
                    "SELECT removed_seq FROM member
                     JOIN mls_group ON mls_group.id = grp JOIN device ON device.id = device
                     WHERE group_id = ? AND user = ? AND name = ?",
                )?
                .query_row(
                    params![id.as_ref(), device.user.as_str(), device.device.as_str()],
                    |r| r.get::<_, Option<u64>>(0),
                )
                .optional()?;
            Ok(match found {
                Some(None) => Membership::Member,
                Some(Some(seq)) => Membership::Former(seq),
                None => Membership::Stranger,
            })
        })
    }

    fn members(&self, id: &GroupId) -> Result<Arc<[DeviceId]>, StorageError> {
        let read = |db: &Connection| {
            let Some(group) = group_number(db, id)? else { return Ok(Vec::new()) };
            db.prepare_cached(
                "SELECT user, name FROM member JOIN device ON device.id = device
                 WHERE grp = ? AND removed_seq IS NULL ORDER BY device",
            )?
            .query_map([group], |r| device_id(r, 0))?
            .collect()
        };
        self.members.of(id, || self.read(read))
    }

    fn groups_of(&self, device: &DeviceId) -> Result<Vec<(GroupId, LogPosition)>, StorageError> {
        self.read(|db| groups_of(db, device, None))
    }

    fn groups_since(
        &self,
        device: &DeviceId,
        place: Option<u64>,
    ) -> Result<GroupsSince, StorageError> {
        // A later entry may be among the groups: it is told once more the next time.
        let end: u64 = self.read(|db| {
            db.prepare_cached("SELECT ifnull(max(rowid), 0) FROM log")?.query_row([], |r| r.get(0))
        })?;
        let place = place.filter(|place| *place <= end);
        let groups = self.read(|db| groups_of(db, device, place))?;
        Ok((groups, Some(end)))
    }

    fn end_group(&self, id: &GroupId) -> Result<Option<Ending>, StorageError> {
        let id = id.clone();
        self.writer.write(move |db| end_group(db, &id))
    }

    fn ended_groups_of(&self, device: &DeviceId) -> Result<Vec<(GroupId, Ending)>, StorageError> {
        self.read(|db| {
            db.prepare_cached(
                "SELECT group_id, successor FROM member JOIN mls_group ON mls_group.id = grp
                 WHERE device = ? AND removed_seq IS NULL AND successor NOT NULL ORDER BY grp",
            )?
            .query_map([known_device(db, device)?], |r| {
                Ok((bytes(r, 0)?.into(), GroupId::from(bytes(r, 1)?).into()))
            })?
            .collect()
        })
    }

    fn accounts_around(
        &self,
        device: &DeviceId,
        limit: u32,
    ) -> Result<Vec<(Name, u64)>, StorageError> {
        self.read(|db| accounts_around(db, device, limit))
    }

    fn append(&self, entry: Append) -> Result<Appended, StorageError> {
        let commits = entry.commit.is_some().then(|| entry.group_id.clone());
        let appended = self.writer.write(move |db| append(db, &entry));
        // Also if it failed: it may have been written.
        if let Some(group) = commits {
            self.members.forget(&group);
        }
        appended
    }

    async fn append_all(&self, entries: Vec<Append>) -> Result<Vec<Appended>, StorageError> {
        if entries.iter().any(|entry| entry.commit.is_some()) {
            return append_each(entries, |entry| self.append(entry));
        }
        let step = move |db: &Connection| append_each(&entries, |entry| append(db, entry));
        self.writer.write_later(step).await
    }

    fn position(&self, id: &GroupId, seq: u64) -> Result<Option<LogPosition>, StorageError> {
        self.read(|db| find_position(db, id, seq))
    }

    fn due_removals(&self, limit: u32) -> Result<Vec<GroupId>, StorageError> {
        self.read(|db| removals::due(db, limit))
    }

    fn due_removals_in(&self, id: &GroupId) -> Result<Vec<DeviceId>, StorageError> {
        self.read(|db| removals::due_in(db, id))
    }

    fn removals_proposed(&self, id: &GroupId, epoch: u64) -> Result<(), StorageError> {
        let id = id.clone();
        self.writer.write(move |db| removals::proposed(db, &id, epoch))
    }

    fn find(&self, id: &GroupId, hash: &[u8; 32]) -> Result<Option<Found>, StorageError> {
        self.read(|db| find_entry(db, id, hash))
    }

    fn epoch_ended(&self, id: &GroupId, epoch: u64) -> Result<Option<u64>, StorageError> {
        self.read(|db| {
            // The number is that of a commit's content type: so the index on commits serves.
            db.prepare_cached(
                "SELECT received_at FROM log WHERE content_type = 3 AND log.epoch = ?
                 AND grp = (SELECT id FROM mls_group WHERE group_id = ?)",
            )?
            .query_row(params![ordered(epoch), id.as_ref()], |r| r.get(0))
            .optional()
        })
    }

    fn log(
        &self,
        id: &GroupId,
        after: u64,
        up_to: u64,
        limit: u32,
        bytes: usize,
    ) -> Result<Vec<LogEntry>, StorageError> {
        let signed = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        self.read(|db| {
            let Some(group) = group_number(db, id)? else { return Ok(Vec::new()) };
            let mut statement = db.prepare_cached(
                "SELECT seq, epoch, content_type, user, name, received_at, message FROM log
                 JOIN device ON device.id = sender
                 WHERE grp = ? AND seq > ? AND seq <= ? ORDER BY seq LIMIT ?",
            )?;
            let range = params![group, signed(after), signed(up_to), limit];
            page(&mut statement.query(range)?, bytes, log_entry)
        })
    }

    fn proposals(
        &self,
        id: &GroupId,
        epoch: u64,
        limit: u32,
        bytes: usize,
    ) -> Result<Vec<LogEntry>, StorageError> {
        self.read(|db| {
            let Some(group) = group_number(db, id)? else { return Ok(Vec::new()) };
            let mut statement = db.prepare_cached(
                "SELECT seq, epoch, content_type, user, name, received_at, message
                 FROM log INDEXED BY proposal_by_epoch JOIN device ON device.id = sender
                 WHERE content_type = 2 AND grp = ? AND epoch = ? ORDER BY seq LIMIT ?",
            )?;
            page(&mut statement.query(params![group, ordered(epoch), limit])?, bytes, log_entry)
        })
    }

    fn public_state(&self, id: &GroupId) -> Result<Option<(Bytes, Bytes)>, StorageError> {
        self.read(|db| {
            db.prepare_cached(
                "SELECT group_info, ratchet_tree FROM public_state
                 WHERE grp = (SELECT id FROM mls_group WHERE group_id = ?) AND ratchet_tree NOT NULL",
            )?
            .query_row([id.as_ref()], |r| Ok((bytes(r, 0)?, bytes(r, 1)?)))
            .optional()
        })
    }

    fn rows(&self, id: &GroupId) -> Result<Vec<(RowKey, Secret)>, StorageError> {
        self.read(|db| {
            let Some(group) = group_number(db, id)? else { return Ok(Vec::new()) };
            let mut loaded = db
                .prepare_cached("SELECT tbl, epoch, idx, value FROM observer WHERE grp = ?")?
                .query_map([group], |r| {
                    let table = Table::from_number(r.get(0)?);
                    let table = table.ok_or_else(|| damaged(0, "unknown table"))?;
                    let (epoch, index) = (unordered(r.get(1)?), unordered(r.get(2)?));
                    let value = Secret::copy_from(r.get_ref(3)?.as_blob()?);
                    Ok((RowKey { table, epoch, index }, value))
                })?
                .collect::<Sql<Vec<_>>>()?;
            loaded.sort_unstable_by_key(|(key, _)| *key);
            Ok(loaded)
        })
    }

    fn inbox(
        &self,
        device: &DeviceId,
        limit: u32,
        bytes: usize,
    ) -> Result<(Vec<InboxItem>, u32), StorageError> {
        self.read(|db| {
            let device = known_device(db, device)?;
            let total = db
                .prepare_cached("SELECT count(*) FROM inbox WHERE device = ?")?
                .query_row([device], |r| r.get(0))?;
            let mut statement = db.prepare_cached(
                "SELECT inbox.id, group_id, inbox.seq, inbox.epoch, inbox.chain, user, name, welcome.bytes, tree.bytes
                 FROM inbox JOIN mls_group ON mls_group.id = inbox.grp
                 JOIN device ON device.id = inbox.sender
                 JOIN blob AS welcome ON welcome.id = inbox.welcome
                 LEFT JOIN blob AS tree ON tree.id = inbox.tree
                 WHERE inbox.device = ? ORDER BY inbox.id LIMIT ?",
            )?;
            let mut rows = statement.query(params![device, limit])?;
            Ok((page(&mut rows, bytes, inbox_item)?, total))
        })
    }

    fn inbox_size(&self, device: &DeviceId) -> Result<(u32, u64), StorageError> {
        self.read(|db| {
            db.prepare_cached(
                "SELECT count(*), ifnull(sum(length(welcome.bytes) + ifnull(length(tree.bytes), 0)), 0)
                 FROM inbox JOIN blob AS welcome ON welcome.id = inbox.welcome
                 LEFT JOIN blob AS tree ON tree.id = inbox.tree
                 WHERE inbox.device = ?",
            )?
            .query_row([known_device(db, device)?], |r| Ok((r.get(0)?, r.get(1)?)))
        })
    }

    fn mark_state(&self, new: NewMark) -> Result<Option<StateMarked>, StorageError> {
        self.writer.write(move |db| state_marks::set(db, &new))
    }

    fn state_mark(&self, device: &DeviceId) -> Result<Option<StateMarked>, StorageError> {
        self.read(|db| state_marks::find(db, device))
    }

    fn ack_inbox(&self, device: &DeviceId, ids: Vec<u64>) -> Result<(), StorageError> {
        let device = device.clone();
        self.writer.write(move |db| {
            let device = known_device(db, &device)?;
            let ids: Vec<i64> =
                ids.into_iter().map(|id| i64::try_from(id).unwrap_or(i64::MAX)).collect();
            inbox::remove(db, device, &ids)
        })
    }

    fn begin_upload(
        &self,
        new: NewUpload,
        quota: u64,
        total: u64,
    ) -> Result<UploadBegun, StorageError> {
        self.writer.write(move |db| uploads::begin(db, &new, quota, total))
    }

    fn upload(&self, hash: &[u8; 32], user: &Name) -> Result<Option<UploadRecord>, StorageError> {
        self.read(|db| uploads::find(db, hash, user.as_str()))
    }

    fn advance_upload(
        &self,
        hash: [u8; 32],
        user: &Name,
        received: u64,
    ) -> Result<(), StorageError> {
        let user = user.clone();
        self.writer.write(move |db| uploads::advance(db, &hash, user.as_str(), received))
    }

    fn complete_upload(
        &self,
        hash: [u8; 32],
        user: &Name,
        expires_at: u64,
    ) -> Result<bool, StorageError> {
        let user = user.clone();
        self.writer.write(move |db| uploads::complete(db, &hash, user.as_str(), expires_at))
    }

    fn attachment(&self, hash: &[u8; 32]) -> Result<Option<u64>, StorageError> {
        self.read(|db| uploads::attachment(db, hash))
    }

    fn remove_upload(&self, hash: [u8; 32], user: &Name) -> Result<bool, StorageError> {
        let user = user.clone();
        self.writer.write(move |db| uploads::remove(db, &hash, user.as_str()))
    }

    fn expired_uploads(&self, now: u64, limit: u32) -> Result<Vec<([u8; 32], Name)>, StorageError> {
        self.read(|db| uploads::expired(db, now, limit))
    }
}
