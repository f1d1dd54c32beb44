//! Which life of the service's state this is.

use super::result::Sql;
use conclave_delivery_api::Incarnation;
use rusqlite::Connection;

pub(super) fn incarnation(db: &Connection) -> Sql<Incarnation> {
    db.query_row("SELECT incarnation, incarnations FROM service", [], |r| {
        Ok(Incarnation { id: r.get(0)?, number: r.get(1)? })
    })
}

/// Begins the next one, within a transaction: for a state that is made, and for one that was put back from a backup.
pub(super) fn begin(db: &Connection) -> Sql<()> {
    let mut id = [0; 16];
    let failed = |e: getrandom::Error| {
        let reason = format!("there is no randomness: {e}");
        rusqlite::Error::ToSqlConversionFailure(reason.into())
    };
    getrandom::fill(&mut id).map_err(failed)?;
    db.execute("UPDATE service SET incarnation = ?, incarnations = incarnations + 1", [id])?;
    Ok(())
}
