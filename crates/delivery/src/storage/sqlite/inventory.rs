//! What a database holds in all: for backups, checks and whoever administers the service.

use super::result::Sql;
use rusqlite::Connection;

/// How much a service's state holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "each counts what its name says")]
pub struct Counts {
    pub accounts: u64,
    pub devices: u64,
    pub groups: u64,
    pub log_entries: u64,
    pub key_packages: u64,
    pub inbox_items: u64,
}

pub(super) fn counts(db: &Connection) -> Sql<Counts> {
    let count = |sql: &str| db.query_row(sql, [], |r| r.get(0));
    Ok(Counts {
        accounts: count("SELECT count(*) FROM account")?,
        devices: count("SELECT count(*) FROM device WHERE active")?,
        groups: count("SELECT count(*) FROM mls_group")?,
        log_entries: count("SELECT count(*) FROM log")?,
        key_packages: count("SELECT count(*) FROM key_package")?,
        inbox_items: count("SELECT count(*) FROM inbox")?,
    })
}

/// Rows that point nowhere, and logs with gaps: a sentence each, few of them.
pub(super) fn contradictions(db: &Connection) -> Sql<Vec<String>> {
    db.prepare(
        "SELECT * FROM (
            SELECT 'the log of group ' || hex(group_id) || ' ends with ' || last || ', not ' || head || ', or has a gap'
            FROM mls_group JOIN (
                SELECT grp, count(*) AS entries, min(seq) AS first, max(seq) AS last FROM log GROUP BY grp
            ) ON grp = mls_group.id WHERE last <> head OR entries <> last - first + 1
         UNION ALL
            SELECT 'a log entry belongs to no group' FROM log
            WHERE NOT EXISTS (SELECT 1 FROM mls_group WHERE id = grp)
         UNION ALL
            SELECT 'a member of a group is no device' FROM member
            WHERE NOT EXISTS (SELECT 1 FROM device WHERE id = member.device)
         UNION ALL
            SELECT 'a Welcome is missing' FROM inbox
            WHERE NOT EXISTS (SELECT 1 FROM blob WHERE id = welcome)
         UNION ALL
            SELECT 'a key package belongs to no device' FROM key_package
            WHERE NOT EXISTS (SELECT 1 FROM device WHERE id = key_package.device)
         ) LIMIT 5",
    )?
    .query_map([], |r| r.get(0))?
    .collect()
}
