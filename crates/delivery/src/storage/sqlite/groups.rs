//! Writing groups: what one entry of a log changes, it changes in one step.

use super::super::{Append, Appended, CommitEffects, GroupAdded, KeyPackagesAdded, NewGroup};
use super::key_packages::add_key_packages;
use super::read::{
    FoundSender, active_device, bytes, find_entry, find_group, find_sender, group_number,
    known_device, ordered, position,
};
use super::removals;
use super::result::Sql;
use conclave_delivery_api::{
    Bytes, ChainHash, ChainInput, ContentType, DeviceId, Ending, GroupId, LogPosition,
};
use conclave_mls::storage::Batch;
use rusqlite::{Connection, OptionalExtension, params};

pub(super) fn write_rows(db: &Connection, group: i64, batch: &Batch) -> Sql<()> {
    if batch.clear {
        db.prepare_cached("DELETE FROM observer WHERE grp = ?")?.execute([group])?;
    }
    for epoch in &batch.deleted_epochs {
        db.prepare_cached("DELETE FROM observer WHERE grp = ? AND epoch = ?")?
            .execute([group, ordered(*epoch)])?;
    }
    let mut put = db.prepare_cached(
        "INSERT INTO observer (grp, epoch, tbl, idx, value) VALUES (?, ?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET value = excluded.value",
    )?;
    let mut delete = db.prepare_cached(
        "DELETE FROM observer WHERE grp = ? AND epoch = ? AND tbl = ? AND idx = ?",
    )?;
    for (key, value) in &batch.rows {
        let (epoch, table, index) = (ordered(key.epoch), key.table as u8, ordered(key.index));
        match value {
            Some(value) => put.execute(params![group, epoch, table, index, value.expose()])?,
            None => delete.execute(params![group, epoch, table, index])?,
        };
    }
    Ok(())
}

/// Makes devices members from an epoch on.
pub(super) fn add_members(
    db: &Connection,
    group: i64,
    members: &[DeviceId],
    since: u64,
) -> Sql<()> {
    let mut add = db.prepare_cached(
        "INSERT INTO member (grp, device, removed_seq, since) VALUES (?, ?, NULL, ?)
         ON CONFLICT DO UPDATE SET removed_seq = NULL, since = excluded.since",
    )?;
    for member in members {
        if let Some(member) = active_device(db, member)? {
            add.execute([group, member, ordered(since)])?;
        }
    }
    Ok(())
}

pub(super) fn commit_effects(
    db: &Connection,
    group: i64,
    LogPosition { seq, chain, .. }: LogPosition,
    append: &Append,
    effects: &CommitEffects,
) -> Sql<()> {
    let mut remove = db.prepare_cached(
        "UPDATE member SET removed_seq = ? WHERE grp = ? AND device = ? AND removed_seq IS NULL",
    )?;
    for member in &effects.removed {
        remove.execute(params![seq, group, known_device(db, member)?])?;
    }
    removals::committed(db, group, &effects.removed)?;
    // Who is removed and added by one commit stays.
    let epoch = append.epoch.saturating_add(1);
    add_members(db, group, &effects.added, epoch)?;
    match &effects.group_info {
        Some(info) => db
            .prepare_cached(
                "INSERT OR REPLACE INTO public_state (grp, group_info, ratchet_tree) VALUES (?, ?, ?)",
            )?
            .execute(params![group, info.as_slice(), effects.ratchet_tree.as_deref()])?,
        None => db.prepare_cached("DELETE FROM public_state WHERE grp = ?")?.execute([group])?,
    };
    let put_blob = |blob: &Bytes| -> Sql<i64> {
        db.prepare_cached("INSERT INTO blob (bytes) VALUES (?) RETURNING id")?
            .query_row([blob.as_slice()], |r| r.get(0))
    };
    if effects.welcomes.is_empty() {
        return Ok(());
    }
    let tree = effects.ratchet_tree.as_ref().map(put_blob).transpose()?;
    let sender = known_device(db, &append.sender)?;
    let mut deliver = db.prepare_cached(
        "INSERT INTO inbox (device, grp, epoch, seq, sender, welcome, tree, chain, received_at)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )?;
    let epoch = ordered(epoch);
    for (welcome, recipients) in &effects.welcomes {
        let welcome = put_blob(welcome)?;
        for recipient in recipients {
            if let Some(device) = active_device(db, recipient)? {
                deliver.execute(params![
                    device,
                    group,
                    epoch,
                    seq,
                    sender,
                    welcome,
                    tree,
                    chain.0,
                    append.received_at,
                ])?;
            }
        }
    }
    Ok(())
}

/// Why an entry may not be appended to a group of this state, if it may not.
fn refused(append: &Append, found: &FoundSender) -> Option<Appended> {
    let record = &found.record;
    if append.by_member && !found.is_member {
        return Some(Appended::NoMember);
    }
    // It was removed and has come back since: it has no way to tell that this was taken.
    if append.by_member && !append.in_epoch && append.epoch < found.member_since {
        return Some(Appended::NoMember);
    }
    if append.state_mark.is_some_and(|mark| mark != found.state_mark) {
        return Some(Appended::Overtaken);
    }
    if let Some(ending) = &record.ending {
        return Some(Appended::Ended(ending.clone()));
    }
    let came_between = append.expected_handshake.is_some_and(|known| known != record.handshake);
    let is_over = append.in_epoch && append.epoch != record.epoch;
    (came_between || is_over).then(|| Appended::Lost(record.clone()))
}

pub(super) fn append(db: &Connection, append: &Append) -> Sql<Appended> {
    let Some(found) = find_sender(db, &append.group_id, &append.sender)? else {
        let is_unknown = append.by_member && group_number(db, &append.group_id)?.is_none();
        return match is_unknown {
            true => Ok(Appended::NoMember),
            false => Err(rusqlite::Error::QueryReturnedNoRows),
        };
    };
    if let Some(refused) = refused(append, &found) {
        // Its sender may ask for its place, whatever has become of the group. Of others', only members hear.
        let known = find_entry(db, &append.group_id, &append.hash)?
            .filter(|known| refused != Appended::NoMember || known.sender == append.sender);
        return Ok(known.map_or(refused, Appended::Known));
    }
    let FoundSender { group, record, sender, .. } = found;
    // First: nothing is written if they are refused, nor if the commit was here before.
    if let Some(packages) = append.commit.as_ref().and_then(|effects| effects.key_packages.as_ref())
    {
        if let Some(known) = find_entry(db, &append.group_id, &append.hash)? {
            return Ok(Appended::Known(known));
        }
        if let KeyPackagesAdded::Refused(refused) = add_key_packages(db, packages)? {
            return Ok(Appended::KeyPackages(refused));
        }
    }

    let seq = record.head.saturating_add(1);
    let input = ChainInput {
        group_id: &append.group_id,
        seq,
        epoch: append.epoch,
        content_type: append.content_type,
        sender: &append.sender,
        received_at: append.received_at,
        message_hash: append.hash,
    };
    let unencodable = |e| rusqlite::Error::ToSqlConversionFailure(Box::new(e));
    let chain = input.after(&record.chain).map_err(unencodable)?;
    // The index finds what is there already: to look first would be to search it twice.
    let inserted = db
        .prepare_cached(
            "INSERT INTO log (grp, seq, epoch, content_type, sender, received_at, hash, chain, message)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (grp, hash) DO NOTHING",
        )?
        .execute(params![
            group,
            seq,
            ordered(append.epoch),
            append.content_type as u8,
            sender,
            append.received_at,
            append.hash,
            chain.0,
            append.message.as_slice(),
        ])?;
    if inserted == 0 {
        let known = find_entry(db, &append.group_id, &append.hash)?;
        return known.map(Appended::Known).ok_or(rusqlite::Error::QueryReturnedNoRows);
    }
    let epoch = record.epoch.saturating_add(u64::from(append.commit.is_some()));
    let handshake = match append.content_type {
        ContentType::Application => record.handshake,
        ContentType::Proposal | ContentType::Commit => seq,
    };
    db.prepare_cached(
        "UPDATE mls_group SET epoch = ?, head = ?, chain = ?, handshake = ? WHERE id = ?",
    )?
    .execute(params![ordered(epoch), seq, chain.0, handshake, group])?;
    let position = LogPosition { seq, epoch, chain };
    if let Some(effects) = &append.commit {
        commit_effects(db, group, position, append, effects)?;
    }
    if let Some(batch) = &append.rows {
        write_rows(db, group, batch)?;
    }
    Ok(Appended::Won(position))
}

pub(super) fn create_group(db: &Connection, group: &NewGroup, cap: u32) -> Sql<GroupAdded> {
    let existing = db
        .prepare_cached("SELECT request_hash FROM mls_group WHERE group_id = ?")?
        .query_row([group.group_id.as_ref()], |r| r.get::<_, [u8; 32]>(0))
        .optional()?;
    match existing {
        Some(hash) if hash == group.request_hash => return Ok(GroupAdded::There),
        Some(_) => return Ok(GroupAdded::Another),
        None => {}
    }
    if let Some(predecessor) = &group.predecessor {
        let (_, record) =
            find_group(db, predecessor)?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
        if let Some(Ending::Succeeded(successor)) = record.ending {
            return Ok(GroupAdded::Succeeded(successor));
        }
    }
    let creator = known_device(db, &group.creator)?;
    let made: u32 = db
        .prepare_cached("SELECT count(*) FROM mls_group WHERE creator = ?")?
        .query_row([creator], |r| r.get(0))?;
    if made >= cap {
        return Ok(GroupAdded::TooMany);
    }
    let number: i64 = db
        .prepare_cached(
            "INSERT INTO mls_group (group_id, tracked, epoch, head, chain, handshake, creator,
                request_hash, created_at)
             VALUES (?, ?, ?, 0, ?, 0, ?, ?, ?) RETURNING id",
        )?
        .query_row(
            params![
                group.group_id.as_ref(),
                group.tracked,
                ordered(group.epoch),
                ChainHash::EMPTY.0,
                creator,
                group.request_hash,
                group.now,
            ],
            |r| r.get(0),
        )?;
    if let Some(predecessor) = &group.predecessor {
        db.prepare_cached("UPDATE mls_group SET successor = ? WHERE group_id = ?")?
            .execute([group.group_id.as_ref(), predecessor.as_ref()])?;
    }
    add_members(db, number, &group.members, group.epoch)?;
    if let Some(rows) = &group.rows {
        write_rows(db, number, rows)?;
    }
    Ok(GroupAdded::There)
}

/// Ends a group without a successor, unless it has ended; how it has ended then.
pub(super) fn end_group(db: &Connection, id: &GroupId) -> Sql<Option<Ending>> {
    db.prepare_cached(
        "UPDATE mls_group SET successor = x'' WHERE group_id = ? AND successor IS NULL",
    )?
    .execute([id.as_ref()])?;
    Ok(find_group(db, id)?.and_then(|(_, record)| record.ending))
}

/// A device's groups with where their logs end for it; of those alone whose logs have grown since a place.
pub(super) fn groups_of(
    db: &Connection,
    device: &DeviceId,
    place: Option<u64>,
) -> Sql<Vec<(GroupId, LogPosition)>> {
    // A commit removed it: the group was in the next epoch after that. When that is kept no longer, there is nothing left
    // to read. The index of the log's numbers has the rows' own, too. A log without entries has none.
    db.prepare_cached(
        "SELECT group_id, ifnull(log.seq, head), ifnull(log.epoch + 1, mls_group.epoch),
            ifnull(log.chain, mls_group.chain)
         FROM member JOIN mls_group ON mls_group.id = member.grp
         LEFT JOIN log ON log.grp = member.grp AND log.seq = removed_seq
         WHERE device = ?1 AND (removed_seq IS NULL OR log.seq NOT NULL)
            AND (?2 IS NULL OR ifnull((SELECT last.rowid > ?2 FROM log AS last
                WHERE last.grp = member.grp AND last.seq = ifnull(removed_seq, head)), 1))
         ORDER BY member.grp",
    )?
    .query_map(params![known_device(db, device)?, place], |r| {
        Ok((bytes(r, 0)?.into(), position(r, 1)?))
    })?
    .collect()
}
