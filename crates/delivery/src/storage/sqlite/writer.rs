//! One thread that writes, many that wait: whatever has come while the disk was busy goes into one
//! transaction, so that one flush makes all of it durable (group commit).

use super::files::Watched;
use super::result::{failed, reason};
use crate::storage::{BATCH_SIZES, StorageError, WriterLoad};
use rusqlite::Connection;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use tokio::sync::oneshot;

/// The most steps that go into one transaction.
const MOST: usize = 256;

/// Tells the one who waits what became of a step, once the transaction is over.
type Tell = Box<dyn FnOnce(Result<(), StorageError>) + Send>;
/// Runs within a transaction, or hears that there is none.
type Step = Box<dyn FnOnce(Result<&Connection, StorageError>) -> Tell + Send>;

#[derive(Debug)]
pub(super) struct Writer {
    steps: Mutex<Option<Sender<Step>>>,
    load: Arc<Mutex<WriterLoad>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread, which owns the connection. Nothing is acknowledged any more once a watched file is gone.
    pub(super) fn start(db: Connection, watched: Watched) -> Result<Self, StorageError> {
        let (steps, queue) = channel();
        let load = Arc::<Mutex<WriterLoad>>::default();
        let counted = load.clone();
        let thread = std::thread::Builder::new()
            .name("conclave-writer".into())
            .spawn(move || run(&db, &queue, &watched, &counted))
            .map_err(|e| StorageError::Failed(e.to_string()))?;
        Ok(Self { steps: Mutex::new(Some(steps)), load, thread: Some(thread) })
    }

    pub(super) fn load(&self) -> WriterLoad {
        count(&self.load, |load| load.clone())
    }

    /// Runs a step in a transaction, and returns when it is durable. A step that fails leaves
    /// nothing.
    pub(super) fn write<R: Send + 'static>(
        &self,
        step: impl FnOnce(&Connection) -> rusqlite::Result<R> + Send + 'static,
    ) -> Result<R, StorageError> {
        let (answer, wait) = channel();
        // Whoever does not wait any more need not be told.
        self.enqueue(step, move |result| drop(answer.send(result)))?;
        wait.recv().map_err(|_| stopped())?
    }

    /// The same, without holding up the thread meanwhile.
    pub(super) async fn write_later<R: Send + 'static>(
        &self,
        step: impl FnOnce(&Connection) -> rusqlite::Result<R> + Send + 'static,
    ) -> Result<R, StorageError> {
        let (answer, wait) = oneshot::channel();
        self.enqueue(step, move |result| drop(answer.send(result)))?;
        wait.await.map_err(|_| stopped())?
    }

    /// Puts a step in the queue. `tell` is called on the writer's thread, so it should be quick.
    fn enqueue<R: Send + 'static>(
        &self,
        step: impl FnOnce(&Connection) -> rusqlite::Result<R> + Send + 'static,
        tell: impl FnOnce(Result<R, StorageError>) + Send + 'static,
    ) -> Result<(), StorageError> {
        let step: Step = Box::new(move |db| {
            let result = db.and_then(|db| in_savepoint(db, step).map_err(failed));
            Box::new(move |committed| tell(result.and_then(|value| committed.map(|()| value))))
        });
        let gone = || StorageError::Failed("the writer has stopped".into());
        let steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
        let steps = steps.as_ref().ok_or_else(gone)?;
        count(&self.load, |load| load.waiting += 1);
        steps.send(step).map_err(|_| gone())
    }
}

/// Nobody says what became of a step.
fn stopped() -> StorageError {
    StorageError::Unknown("the writer has stopped".into())
}

fn count<R>(load: &Mutex<WriterLoad>, f: impl FnOnce(&mut WriterLoad) -> R) -> R {
    f(&mut load.lock().unwrap_or_else(PoisonError::into_inner))
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Without a sender the thread ends when its queue is empty.
        self.steps.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn in_savepoint<R>(
    db: &Connection,
    step: impl FnOnce(&Connection) -> rusqlite::Result<R>,
) -> rusqlite::Result<R> {
    let run = |sql| db.prepare_cached(sql)?.execute([]).map(drop);
    run("SAVEPOINT step")?;
    let result = step(db);
    match &result {
        Ok(_) => run("RELEASE step")?,
        Err(_) => db.execute_batch("ROLLBACK TO step; RELEASE step")?,
    }
    result
}

fn run(db: &Connection, queue: &Receiver<Step>, watched: &Watched, load: &Mutex<WriterLoad>) {
    while let Ok(first) = queue.recv() {
        if let Err(e) = db.execute_batch("BEGIN IMMEDIATE") {
            count(load, |load| {
                load.waiting = load.waiting.saturating_sub(1);
                load.failed += 1;
            });
            first(Err(failed(e)))(Ok(()));
            continue;
        }
        let mut told = vec![first(Ok(db))];
        while told.len() < MOST
            && is_open(db)
            && let Ok(step) = queue.try_recv()
        {
            told.push(step(Ok(db)));
        }
        let kept = commit(db).and_then(|()| watched.check().map_err(StorageError::Unknown));
        count(load, |load| {
            let steps = told.len() as u64;
            load.waiting = load.waiting.saturating_sub(steps);
            if kept.is_err() {
                load.failed += 1;
                return;
            }
            load.steps += steps;
            load.transactions += 1;
            for (most, count) in BATCH_SIZES.iter().zip(&mut load.batches) {
                *count += u64::from(steps <= *most);
            }
        });
        told.into_iter().for_each(|tell| tell(kept.clone()));
    }
    // So that the database is whole without its WAL. If somebody reads just now, SQLite does it the next time.
    let _ = db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)");
}

/// Whether the transaction is still open: SQLite itself rolls it back if the disk fails in the middle of a step.
fn is_open(db: &Connection) -> bool {
    !db.is_autocommit()
}

fn commit(db: &Connection) -> Result<(), StorageError> {
    if !is_open(db) {
        // The step that failed knows why. Those before it are undone with it.
        let undone = "the disk failed in the same transaction, and nothing of it was written";
        return Err(StorageError::Failed(undone.into()));
    }
    db.execute_batch("COMMIT").map_err(|e| {
        let _ = db.execute_batch("ROLLBACK");
        StorageError::Unknown(reason(&e))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_before_one_that_ends_the_transaction_are_not_acknowledged() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db");
        let db = Connection::open(&path).unwrap();
        db.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (n)").unwrap();
        let writer = Writer::start(db, Watched::default()).unwrap();

        let put =
            |n: u32| move |db: &Connection| db.execute("INSERT INTO t VALUES (?)", [n]).map(drop);
        let (hold, held) = channel::<()>();
        let results = std::thread::scope(|scope| {
            let writer = &writer;
            // The others come while this one is at work, and go into its transaction.
            let first = scope.spawn(move || {
                writer.write(move |db| {
                    let _ = held.recv();
                    put(1)(db)
                })
            });
            while writer.load().waiting < 1 {}
            let second = scope.spawn(move || {
                // As SQLite does when a page cannot be written.
                writer.write(|db| db.execute_batch("ROLLBACK; INSERT INTO nothing VALUES (1)"))
            });
            while writer.load().waiting < 2 {}
            // It is in the queue before the next one.
            std::thread::sleep(std::time::Duration::from_millis(100));
            let third = scope.spawn(move || writer.write(put(3)));
            while writer.load().waiting < 3 {}
            hold.send(()).unwrap();
            [first, second, third].map(|thread| thread.join().unwrap())
        });

        assert!(matches!(results[0], Err(StorageError::Failed(_))), "{results:?}");
        assert!(results[1].is_err() && results[2].is_ok(), "{results:?}");
        let load = writer.load();
        assert_eq!((load.failed, load.steps, load.transactions), (1, 1, 1));
        drop(writer);
        let db = Connection::open(&path).unwrap();
        let kept: u32 = db.query_row("SELECT sum(n) FROM t", [], |row| row.get(0)).unwrap();
        assert_eq!(kept, 3);
    }
}
