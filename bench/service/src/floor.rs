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

/// A new database with the service's durability and its indices for a log.
fn open(path: &Path) -> Result<Connection, Failure> {
    let db = Connection::open(path)?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "wal_autocheckpoint", 4000)?;
    db.execute_batch(
        "CREATE TABLE log (grp INTEGER NOT NULL, seq INTEGER NOT NULL, hash BLOB NOT NULL, message BLOB NOT NULL,
            UNIQUE (grp, seq));
         CREATE UNIQUE INDEX log_by_hash ON log (grp, hash);",
    )?;
    Ok(db)
}

const INSERT: &str = "INSERT INTO log (grp, seq, hash, message) VALUES (?, ?, ?, ?)";

/// How long so many messages of short lines take, 64 a transaction: no more of them go to the service at once.
pub fn write(path: &Path, count: usize) -> Result<Duration, Failure> {
    let db = open(path)?;
    let mut insert = db.prepare(INSERT)?;
    let numbers: Vec<usize> = (0..count).collect();
    let begun = Instant::now();
    for some in numbers.chunks(64) {
        db.execute_batch("BEGIN IMMEDIATE")?;
        for seq in some {
            let mut hash = [0; 32];
            getrandom::fill(&mut hash)?;
            insert.execute(params![0, seq, hash, [7u8; 256]])?;
        }
        db.execute_batch("COMMIT")?;
    }
    Ok(begun.elapsed())
}

/// Rows a second, grouped.
pub fn messages(results: &mut Results, dir: &Path, time: Duration) -> Result<(), Failure> {
    let db = open(&dir.join("floor.db"))?;
    let mut insert = db.prepare(INSERT)?;
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
