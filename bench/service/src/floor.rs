//! What the disk takes: durable inserts of messages of a kibibyte into SQLite, by one writer that does nothing else.

use crate::Failure;
use crate::process::cpu;
use crate::results::Results;
use rusqlite::{Connection, params};
use std::path::Path;
use std::time::{Duration, Instant};

/// How many rows each transaction has: as many as there are senders.
pub const SENDERS: [usize; 3] = [1, 16, 64];

pub fn name(senders: usize) -> String {
    format!("raw SQLite, {senders} rows a transaction")
}

/// CPU time of a row.
pub fn cpu_name(senders: usize) -> String {
    format!("{}: CPU each", name(senders))
}

/// Rows a second, grouped, with the service's durability and its indices for a log.
pub fn messages(results: &mut Results, dir: &Path, time: Duration) -> Result<(), Failure> {
    let db = Connection::open(dir.join("floor.db"))?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "wal_autocheckpoint", 4000)?;
    db.execute_batch(
        "CREATE TABLE log (grp INTEGER NOT NULL, seq INTEGER NOT NULL, hash BLOB NOT NULL, message BLOB NOT NULL,
            UNIQUE (grp, seq));
         CREATE UNIQUE INDEX log_by_hash ON log (grp, hash);",
    )?;
    let mut insert = db.prepare("INSERT INTO log (grp, seq, hash, message) VALUES (?, ?, ?, ?)")?;
    let message = vec![7u8; 1024 + 60];
    let mut seq = 0u64;
    for rows in SENDERS {
        let (begun, before, spent) = (Instant::now(), seq, cpu("self")?);
        while begun.elapsed() < time {
            db.execute_batch("BEGIN IMMEDIATE")?;
            for _ in 0..rows {
                let mut hash = [0; 32];
                getrandom::fill(&mut hash)?;
                insert.execute(params![seq % 64, seq, hash, message])?;
                seq += 1;
            }
            db.execute_batch("COMMIT")?;
        }
        let inserted = (seq - before) as f64;
        results.put(name(rows), inserted / begun.elapsed().as_secs_f64(), "/s");
        results.put(cpu_name(rows), (cpu("self")? - spent) * 1e6 / inserted, "µs");
    }
    Ok(())
}
