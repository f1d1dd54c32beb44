//! The step to format 7: the hashes of logs that were stored before there were any, and the first incarnation.

use super::super::incarnation;
use super::super::read::{bytes, content_type, device_id, unordered};
use super::super::result::Sql;
use conclave_delivery_api::{ChainHash, ChainInput, GroupId};
use rusqlite::{Connection, params};

pub(super) fn step(db: &Connection) -> Sql<()> {
    db.execute_batch(include_str!("7.sql"))?;
    let groups: Vec<(i64, GroupId)> = db
        .prepare("SELECT id, group_id FROM group_before ORDER BY id")?
        .query_map([], |r| Ok((r.get(0)?, bytes(r, 1)?.into())))?
        .collect::<Sql<_>>()?;
    for (number, group_id) in groups {
        let chain = fill_log(db, number, &group_id)?;
        db.prepare_cached(
            "INSERT INTO mls_group (id, group_id, tracked, epoch, head, chain, handshake, creator,
                request_hash, created_at)
             SELECT id, group_id, tracked, epoch, head, ?, handshake, creator, request_hash, created_at
             FROM group_before WHERE id = ?",
        )?
        .execute(params![chain.0, number])?;
    }
    db.execute_batch(
        "UPDATE inbox SET chain = log.chain FROM log WHERE log.grp = inbox.grp AND log.seq = inbox.seq;
         DROP TABLE log_before; DROP TABLE group_before",
    )?;
    incarnation::begin(db)
}

/// Copies a group's log with its hashes; the last of them.
fn fill_log(db: &Connection, number: i64, group_id: &GroupId) -> Sql<ChainHash> {
    let mut entries = db.prepare_cached(
        "SELECT log_before.rowid, seq, epoch, content_type, user, name, received_at, hash
         FROM log_before JOIN device ON device.id = sender WHERE grp = ? ORDER BY seq",
    )?;
    let mut copy = db.prepare_cached(
        "INSERT INTO log (rowid, grp, seq, epoch, content_type, sender, received_at, hash, chain, message)
         SELECT rowid, grp, seq, epoch, content_type, sender, received_at, hash, ?, message
         FROM log_before WHERE rowid = ?",
    )?;
    let mut chain = ChainHash::EMPTY;
    let mut rows = entries.query([number])?;
    while let Some(row) = rows.next()? {
        let sender = device_id(row, 4)?;
        let input = ChainInput {
            group_id,
            seq: row.get(1)?,
            epoch: unordered(row.get(2)?),
            content_type: content_type(row, 3)?,
            sender: &sender,
            received_at: row.get(6)?,
            message_hash: row.get(7)?,
        };
        let unencodable = |e| rusqlite::Error::ToSqlConversionFailure(Box::new(e));
        chain = input.after(&chain).map_err(unencodable)?;
        copy.execute(params![chain.0, row.get::<_, i64>(0)?])?;
    }
    Ok(chain)
}
