//! Lists for administrators, and dropping what is kept no longer.

use super::inventory::counts;
use super::read::{bytes, name, unordered};
use super::result::{Sql, failed};
use super::{SqliteStorage, inbox, quotas};
use crate::storage::administration::{
    Administration, Compacted, GroupSummary, InvitationSummary, Retention, StorageStatus,
    UserSummary,
};
use crate::storage::{Quota, StorageError};
use conclave_delivery_api::Name;
use rusqlite::{Connection, OptionalExtension, params};

/// The most rows that one step deletes, so that others write in between.
const DROPPED_AT_ONCE: u32 = 500;

fn users(db: &Connection, after: &str, limit: u32) -> Sql<Vec<UserSummary>> {
    db.prepare_cached(
        "SELECT user, EXISTS (SELECT 1 FROM blocked_user WHERE blocked_user.user = device.user),
            EXISTS (SELECT 1 FROM user_quota WHERE user_quota.user = device.user), sum(active),
            sum((SELECT count(*) FROM mls_group WHERE creator = device.id))
         FROM device WHERE user > ? GROUP BY user ORDER BY user LIMIT ?",
    )?
    .query_map((after, limit), |r| {
        let (user, blocked, own_quota) = (name(r, 0)?, r.get(1)?, r.get(2)?);
        Ok(UserSummary { user, blocked, own_quota, devices: r.get(3)?, groups: r.get(4)? })
    })?
    .collect()
}

fn largest_groups(db: &Connection, limit: u32) -> Sql<Vec<GroupSummary>> {
    db.prepare_cached(
        "SELECT group_id, tracked, epoch, entries, bytes, successor NOT NULL,
            (SELECT count(*) FROM member WHERE grp = mls_group.id AND removed_seq IS NULL)
         FROM (
            SELECT grp, count(*) AS entries, sum(length(message)) AS bytes FROM log
            GROUP BY grp ORDER BY bytes DESC LIMIT ?
         ) JOIN mls_group ON mls_group.id = grp ORDER BY bytes DESC",
    )?
    .query_map([limit], |r| {
        Ok(GroupSummary {
            group_id: bytes(r, 0)?.into(),
            tracked: r.get(1)?,
            epoch: unordered(r.get(2)?),
            entries: r.get(3)?,
            bytes: r.get(4)?,
            ended: r.get(5)?,
            members: r.get(6)?,
        })
    })?
    .collect()
}

fn open_invitations(db: &Connection, now: u64) -> Sql<Vec<InvitationSummary>> {
    db.prepare_cached(
        "DELETE FROM issued_invitation
         WHERE expires_at <= ? OR hash IN (SELECT hash FROM invitation)",
    )?
    .execute([now])?;
    db.prepare_cached("SELECT hash, issued_at, expires_at FROM issued_invitation ORDER BY 3, 1")?
        .query_map([], |r| {
            Ok(InvitationSummary { hash: r.get(0)?, issued_at: r.get(1)?, expires_at: r.get(2)? })
        })?
        .collect()
}

/// The last number of a log that is to be dropped; 0 for none.
fn last_dropped(db: &Connection, group: i64, retention: Retention) -> Sql<u64> {
    let head: u64 = db
        .prepare_cached("SELECT ifnull(max(seq), 0) FROM log WHERE grp = ?")?
        .query_row([group], |r| r.get(0))?;
    let too_many = retention.entries.map_or(0, |entries| head.saturating_sub(entries));
    let mut too_old = 0;
    if let Some(before) = retention.before {
        let first_young: Option<u64> = db
            .prepare_cached(
                "SELECT seq FROM log WHERE grp = ? AND received_at >= ? ORDER BY seq LIMIT 1",
            )?
            .query_row(params![group, before], |r| r.get(0))
            .optional()?;
        too_old = first_young.map_or(head, |seq| seq.saturating_sub(1));
    }
    Ok(too_many.max(too_old).min(head.saturating_sub(1)))
}

fn drop_some(db: &Connection, group: i64, up_to: u64) -> Sql<usize> {
    db.prepare_cached(
        "DELETE FROM log WHERE rowid IN
         (SELECT rowid FROM log WHERE grp = ? AND seq <= ? ORDER BY seq LIMIT ?)",
    )?
    .execute(params![group, up_to, DROPPED_AT_ONCE])
}

impl Administration for SqliteStorage {
    fn users(&self, after: &str, limit: u32) -> Result<Vec<UserSummary>, StorageError> {
        self.read(|db| users(db, after, limit))
    }

    fn largest_groups(&self, limit: u32) -> Result<Vec<GroupSummary>, StorageError> {
        self.read(|db| largest_groups(db, limit))
    }

    fn record_invitation(&self, invitation: InvitationSummary) -> Result<(), StorageError> {
        self.writer.write(move |db| {
            let InvitationSummary { hash, issued_at, expires_at } = invitation;
            db.prepare_cached("INSERT OR IGNORE INTO issued_invitation VALUES (?, ?, ?)")?
                .execute(params![hash, issued_at, expires_at])
                .map(drop)
        })
    }

    fn open_invitations(&self, now: u64) -> Result<Vec<InvitationSummary>, StorageError> {
        self.writer.write(move |db| open_invitations(db, now))
    }

    fn set_blocked(&self, user: &Name, blocked: bool) -> Result<bool, StorageError> {
        let user = user.clone();
        self.writer.write(move |db| {
            let is_known = db
                .prepare_cached("SELECT EXISTS (SELECT 1 FROM device WHERE user = ?)")?
                .query_row([user.as_str()], |r| r.get(0))?;
            let change = if blocked {
                "INSERT OR IGNORE INTO blocked_user (user) VALUES (?)"
            } else {
                "DELETE FROM blocked_user WHERE user = ?"
            };
            if is_known {
                db.prepare_cached(change)?.execute([user.as_str()])?;
            }
            Ok(is_known)
        })
    }

    fn set_quotas(
        &self,
        user: &Name,
        quotas: Vec<(Quota, Option<u64>)>,
    ) -> Result<bool, StorageError> {
        let user = user.clone();
        self.writer.write(move |db| quotas::set(db, user.as_str(), &quotas))
    }

    fn quotas(&self, user: Option<&Name>) -> Result<Vec<(Name, Quota, u64)>, StorageError> {
        self.read(|db| quotas::all(db, user.map(Name::as_str)))
    }

    fn compact(&self, retention: Retention) -> Result<Compacted, StorageError> {
        let mut compacted = Compacted::default();
        let mut last = 0i64;
        loop {
            let group = self.read(|db| {
                db.prepare_cached("SELECT id FROM mls_group WHERE id > ? ORDER BY id LIMIT 1")?
                    .query_row([last], |r| r.get::<_, i64>(0))
                    .optional()
            })?;
            let Some(group) = group else { break };
            let up_to = self.read(|db| last_dropped(db, group, retention))?;
            let dropped = match up_to {
                0 => 0,
                _ => self.in_steps(move |db| drop_some(db, group, up_to))?,
            };
            compacted.entries += dropped;
            compacted.groups += u64::from(dropped > 0);
            last = group;
        }
        compacted.welcomes = match retention.welcomes_before {
            Some(before) => {
                self.in_steps(move |db| inbox::drop_before(db, before, DROPPED_AT_ONCE))?
            }
            None => 0,
        };
        if compacted.entries > 0 || compacted.welcomes > 0 {
            self.release()?;
        }
        Ok(compacted)
    }

    fn status(&self) -> Result<StorageStatus, StorageError> {
        let number = |db: &Connection, pragma| db.pragma_query_value(None, pragma, |r| r.get(0));
        let read = |db: &Connection| {
            let page: u64 = number(db, "page_size")?;
            let (pages, free): (u64, u64) =
                (number(db, "page_count")?, number(db, "freelist_count")?);
            let format = db.pragma_query_value(None, "user_version", |r| r.get(0))?;
            let path = db.path().map(str::to_string).unwrap_or_default();
            Ok((format, counts(db)?, page * pages, page * free, path))
        };
        let (format, counts, bytes, free_bytes, path) = self.read(read)?;
        let wal_bytes = std::fs::metadata(path + "-wal").map_or(0, |wal| wal.len());
        Ok(StorageStatus { format, counts, bytes, free_bytes, wal_bytes })
    }
}

impl SqliteStorage {
    /// Deletes [`DROPPED_AT_ONCE`] rows in each step, until one finds fewer; how many in all.
    fn in_steps(
        &self,
        step: impl Fn(&Connection) -> Sql<usize> + Copy + Send + 'static,
    ) -> Result<u64, StorageError> {
        let mut dropped = 0;
        loop {
            let some = self.writer.write(step)?;
            dropped += some as u64;
            if some < DROPPED_AT_ONCE as usize {
                return Ok(dropped);
            }
        }
    }

    /// Gives free pages back to the file system, and empties the WAL if nobody reads it just now.
    fn release(&self) -> Result<(), StorageError> {
        loop {
            let free: u64 =
                self.read(|db| db.pragma_query_value(None, "freelist_count", |r| r.get(0)))?;
            self.writer.write(|db| db.execute_batch("PRAGMA incremental_vacuum(1000)"))?;
            let left: u64 =
                self.read(|db| db.pragma_query_value(None, "freelist_count", |r| r.get(0)))?;
            // A database of an earlier version keeps its free pages, and fills them again.
            if left == 0 || left >= free {
                break;
            }
        }
        let path = self.read(|db| Ok(db.path().map(str::to_string)))?;
        let Some(path) = path else { return Ok(()) };
        let db = super::connect(path.as_ref(), false).map_err(failed)?;
        db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").map_err(failed)
    }
}
