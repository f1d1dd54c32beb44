//! Marks of devices' states: each is compared with the one before in the step that sets it.

use super::super::NewMark;
use super::read::{device_number, find_device, known_device};
use super::result::Sql;
use conclave_delivery_api::{DeviceId, StateMark, StateMarked};
use rusqlite::{Connection, OptionalExtension, params};

/// The mark that a device's state has.
pub(super) fn find(db: &Connection, device: &DeviceId) -> Sql<Option<StateMarked>> {
    let Some(device) = device_number(db, device)? else { return Ok(None) };
    db.prepare_cached("SELECT number, id, marked_at FROM state_mark WHERE device = ?")?
        .query_row([device], |r| {
            let latest = StateMark { number: r.get(0)?, id: r.get(1)? };
            Ok(StateMarked { latest, marked_at: r.get(2)? })
        })
        .optional()
}

/// Sets a mark that follows on the one before, and returns the one that the device has afterwards.
pub(super) fn set(db: &Connection, new: &NewMark) -> Sql<Option<StateMarked>> {
    let NewMark { owner, request, now } = new;
    if find_device(db, &owner.device)?.as_ref() != Some(owner) {
        return Ok(None);
    }
    if let Some(known) = find(db, &owner.device)?
        && (!request.follows(Some(known.latest)) || known.latest == request.mark)
    {
        return Ok(Some(known));
    }

    let device = known_device(db, &owner.device)?;
    db.prepare_cached(
        "INSERT OR REPLACE INTO state_mark (device, number, id, marked_at) VALUES (?, ?, ?, ?)",
    )?
    .execute(params![device, request.mark.number, request.mark.id, now])?;
    Ok(Some(StateMarked { latest: request.mark, marked_at: *now }))
}

/// Forgets the mark of a device that has another key from now on, or was revoked.
pub(super) fn clear(db: &Connection, device: i64) -> Sql<()> {
    db.prepare_cached("DELETE FROM state_mark WHERE device = ?")?.execute([device])?;
    Ok(())
}
