//! Revoked members of tracked groups, until a commit removes them.

use super::read::{bytes, device_id, known_device, ordered};
use super::result::Sql;
use conclave_delivery_api::{DeviceId, GroupId};
use rusqlite::{Connection, params};

/// A device was revoked: its removal is due in each tracked group that it is in.
pub(super) fn revoked(db: &Connection, device: i64) -> Sql<()> {
    db.prepare_cached(
        "INSERT INTO to_remove (grp, device, due) SELECT grp, device, 1 FROM member
         JOIN mls_group ON mls_group.id = grp
         WHERE device = ? AND removed_seq IS NULL AND tracked
         ON CONFLICT DO UPDATE SET due = 1",
    )?
    .execute([device])?;
    Ok(())
}

/// A commit has removed these, and left the others.
pub(super) fn committed(db: &Connection, group: i64, removed: &[DeviceId]) -> Sql<()> {
    for device in removed {
        db.prepare_cached("DELETE FROM to_remove WHERE grp = ? AND device = ?")?
            .execute([group, known_device(db, device)?])?;
    }
    db.prepare_cached("UPDATE to_remove SET due = 1 WHERE grp = ?")?.execute([group])?;
    Ok(())
}

pub(super) fn due(db: &Connection, limit: u32) -> Sql<Vec<GroupId>> {
    db.prepare_cached(
        "SELECT DISTINCT group_id FROM to_remove JOIN mls_group ON mls_group.id = grp
         WHERE due LIMIT ?",
    )?
    .query_map([limit], |r| Ok(bytes(r, 0)?.into()))?
    .collect()
}

pub(super) fn due_in(db: &Connection, id: &GroupId) -> Sql<Vec<DeviceId>> {
    db.prepare_cached(
        "SELECT user, name FROM to_remove JOIN device ON device.id = device
         WHERE due AND grp = (SELECT id FROM mls_group WHERE group_id = ?) ORDER BY device",
    )?
    .query_map([id.as_ref()], |r| device_id(r, 0))?
    .collect()
}

pub(super) fn proposed(db: &Connection, id: &GroupId, epoch: u64) -> Sql<()> {
    db.prepare_cached(
        "UPDATE to_remove SET due = 0
         WHERE grp = (SELECT id FROM mls_group WHERE group_id = ? AND epoch = ?)",
    )?
    .execute(params![id.as_ref(), ordered(epoch)])?;
    Ok(())
}
