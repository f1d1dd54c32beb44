//! What single users have more or less of than everybody.

use super::super::Quota;
use super::read::{damaged, name};
use super::result::Sql;
use conclave_delivery_api::Name;
use rusqlite::{Connection, OptionalExtension, params};

pub(super) fn find(db: &Connection, user: &str, of: Quota) -> Sql<Option<u64>> {
    db.prepare_cached("SELECT most FROM user_quota WHERE user = ? AND kind = ?")?
        .query_row(params![user, of.number()], |r| r.get(0))
        .optional()
}

/// Gives a user so much, or what everybody has; whether there is such a user.
pub(super) fn set(db: &Connection, user: &str, quotas: &[(Quota, Option<u64>)]) -> Sql<bool> {
    let is_known: bool = db
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM device WHERE user = ?)")?
        .query_row([user], |r| r.get(0))?;
    if !is_known {
        return Ok(false);
    }
    for (quota, most) in quotas {
        match most {
            Some(most) => db
                .prepare_cached(
                    "INSERT INTO user_quota (user, kind, most) VALUES (?, ?, ?)
                     ON CONFLICT DO UPDATE SET most = excluded.most",
                )?
                .execute(params![user, quota.number(), most])?,
            None => db
                .prepare_cached("DELETE FROM user_quota WHERE user = ? AND kind = ?")?
                .execute(params![user, quota.number()])?,
        };
    }
    Ok(true)
}

/// Those of one user, or of all.
pub(super) fn all(db: &Connection, user: Option<&str>) -> Sql<Vec<(Name, Quota, u64)>> {
    db.prepare_cached(
        "SELECT user, kind, most FROM user_quota WHERE ?1 IS NULL OR user = ?1 ORDER BY user, kind",
    )?
    .query_map([user], |r| {
        let kind: u8 = r.get(1)?;
        let quota = Quota::ALL.into_iter().find(|quota| quota.number() == kind);
        Ok((name(r, 0)?, quota.ok_or_else(|| damaged(1, "unknown quota"))?, r.get(2)?))
    })?
    .collect()
}
