//! One thread that writes, many that wait: whatever has come while the disk was busy goes into one
//! transaction, so that one flush makes all of it durable (group commit).

use super::files::Watched;
use super::result::failed;
use crate::storage::{BATCH_SIZES, StorageError, WriterLoad};
use rusqlite::Connection;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

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
        let step: Step = Box::new(move |db| {
            let result = db.and_then(|db| in_savepoint(db, step).map_err(failed));
            Box::new(move |committed| {
                // Whoever does not wait any more need not be told.
                let _ = answer.send(result.and_then(|value| committed.map(|()| value)));
            })
        });
        let gone = || StorageError::Failed("the writer has stopped".into());
        let steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let steps = steps.ok_or_else(gone)?;
        count(&self.load, |load| load.waiting += 1);
        steps.send(step).map_err(|_| gone())?;
        wait.recv().map_err(|_| StorageError::Unknown("the writer has stopped".into()))?
    }
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
            count(load, |load| load.waiting = load.waiting.saturating_sub(1));
            first(Err(failed(e)))(Ok(()));
            continue;
        }
        let mut told = vec![first(Ok(db))];
        while told.len() < MOST
            && let Ok(step) = queue.try_recv()
        {
            told.push(step(Ok(db)));
        }
        let committed = db.execute_batch("COMMIT").map_err(|e| {
            let _ = db.execute_batch("ROLLBACK");
            StorageError::Unknown(e.to_string())
        });
        let kept = committed.and_then(|()| watched.check().map_err(StorageError::Unknown));
        count(load, |load| {
            let steps = told.len() as u64;
            load.waiting = load.waiting.saturating_sub(steps);
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
