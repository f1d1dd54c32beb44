//! A store of one's own: two methods, `load` and `commit`, over a single file that is replaced as
//! a whole, so that each write happens or does not. In the same write go an outbox and a history.
//!
//! It is a toy: a real one is a database with transactions, and it encrypts the values.

use crate::common::{CRYPTO, Directory, Result, Rows, now, rng};
use crate::member::group_of;
use conclave_mls::crypto::Secret;
use conclave_mls::group::Framing;
use conclave_mls::storage::{ApplyError, WriteError};
use conclave_mls::storage::{Batch, RowKey, Table};
use conclave_mls::wire::Bytes;
use conclave_mls::wire::{Decode, Encode, Reader, Writer};
use conclave_mls::{Config, Event, Group, Received, apply};
use std::path::{Path, PathBuf};
use std::{env, fs, io, process};

/// What the file holds: the group's rows, and what the application keeps beside them.
#[derive(Default)]
struct State {
    rows: Rows,
    outbox: Vec<Bytes>,
    history: Vec<Bytes>,
}

struct FileStore {
    path: PathBuf,
    writes: u32,
    /// For the example: the process dies in the middle of the next write.
    crash: bool,
}

/// A write that failed.
#[derive(Debug)]
struct WriteFailed(io::Error);

impl WriteError for WriteFailed {
    /// The file may have been replaced before the failure: only reading it again can tell.
    fn may_have_written(&self) -> bool {
        true
    }
}

impl std::fmt::Display for WriteFailed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl From<io::Error> for WriteFailed {
    fn from(e: io::Error) -> Self {
        Self(e)
    }
}

impl std::error::Error for WriteFailed {}

fn io_error(e: impl std::fmt::Display) -> io::Error {
    io::Error::other(e.to_string())
}

impl FileStore {
    fn load(&self) -> Result<State> {
        let mut state = State::default();
        let bytes = match fs::read(&self.path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(state),
            other => other?,
        };
        let mut r = Reader::new(&bytes);
        state.outbox = Decode::decode(&mut r)?;
        state.history = Decode::decode(&mut r)?;
        while !r.rest().is_empty() {
            let table = Table::from_number(u8::decode(&mut r)?).ok_or("an unknown table")?;
            let key = RowKey { table, epoch: u64::decode(&mut r)?, index: u64::decode(&mut r)? };
            state.rows.insert(key, Secret::copy_from(r.opaque()?));
        }
        Ok(state)
    }

    /// One atomic, durable step: the rows, what is to be sent, and what was read.
    fn commit(&mut self, batch: &Batch, events: &[Event]) -> std::result::Result<(), WriteFailed> {
        let mut state = self.load().map_err(io_error)?;
        batch.apply_to(&mut state.rows);
        for event in events {
            match event {
                Event::Message(message) => state.outbox.push(message.as_slice().into()),
                Event::Application(read) => state.history.push(read.data.as_slice().into()),
                _ => {}
            }
        }
        let bytes = encode(&state).map_err(io_error)?;
        let new = self.path.with_extension("new");
        if self.crash {
            fs::write(&new, bytes.get(..bytes.len() / 2).unwrap_or_default())?;
            return Err(io_error("the power went out").into());
        }
        let mut file = fs::File::create(&new)?;
        io::Write::write_all(&mut file, &bytes)?;
        file.sync_all()?;
        fs::rename(&new, &self.path)?;
        self.writes += 1;
        Ok(())
    }
}

fn encode(state: &State) -> Result<Vec<u8>> {
    let mut w = Writer::secret();
    state.outbox.encode(&mut w)?;
    state.history.encode(&mut w)?;
    for (key, value) in &state.rows {
        (key.table as u8).encode(&mut w)?;
        key.epoch.encode(&mut w)?;
        key.index.encode(&mut w)?;
        w.put_opaque(value.expose())?;
    }
    Ok(w.finish())
}

/// After a crash: a group is the fold of all that was written.
fn restart(path: &Path) -> Result<(FileStore, Group)> {
    let store = FileStore { path: path.to_owned(), writes: 0, crash: false };
    let group = Group::load(&CRYPTO, Config::default(), store.load()?.rows)?;
    Ok((store, group))
}

pub(crate) fn run() -> Result {
    let mut directory = Directory::default();
    let [alice, mut bob] = group_of(["alice", "bob"], &mut directory)?;
    let path = env::temp_dir().join(format!("conclave-tour-{}", process::id()));
    let mut store = FileStore { path: path.clone(), writes: 0, crash: false };
    store.commit(&alice.group.rows()?, &[])?;
    let mut group = alice.group;

    // A crash in the write: nothing happened, on disk or in memory, and nothing was sent.
    store.crash = true;
    let step = group.encrypt(&CRYPTO, &mut rng(), b"lost", &Framing::default())?;
    let Err(e) = apply(&mut group, step, |w| store.commit(w.batch, w.events)) else {
        return Err("the write succeeded".into());
    };
    println!("{e}");
    // Whether it was written is not known, so that the group goes on only after loading.
    let step = group.encrypt(&CRYPTO, &mut rng(), b"again", &Framing::default())?;
    assert!(matches!(
        apply(&mut group, step, |_| Ok::<_, WriteFailed>(())),
        Err(ApplyError::Reload)
    ));
    let (mut store, mut group) = restart(&path)?;
    assert!(store.load()?.outbox.is_empty());

    // A crash after the write, before the message was sent: it waits in the outbox. Sent twice it
    // does no harm. The key that encrypted it is used up on disk, so that no other message gets it.
    let step = group.encrypt(&CRYPTO, &mut rng(), b"hello", &Framing::default())?;
    apply(&mut group, step, |w| store.commit(w.batch, w.events))?;
    let (mut store, mut group) = restart(&path)?;
    let outbox = store.load()?.outbox;
    let [message] = outbox.as_slice() else { return Err("one message waits".into()) };
    assert_eq!(bob.read(message, &directory)?, "hello");
    println!("the message that waited in the outbox is read");

    // A week's messages in one write: each step is computed from the state after the last.
    let messages: Vec<Vec<u8>> =
        (0..100).map(|i| bob.encrypt(&format!("message {i}"))).collect::<Result<_>>()?;
    let mut fold = group.fold();
    for message in &messages {
        match fold.state().process(&CRYPTO, now(), message) {
            Ok(Received::Application(step)) => fold.push(step)?,
            other => return Err(format!("not a message: {other:?}").into()),
        }
    }
    let events = fold.commit(|w| store.commit(w.batch, w.events))?;
    println!("{} messages in {} write", events.len(), store.writes);
    assert_eq!((events.len(), store.load()?.history.len(), store.writes), (100, 100, 1));
    // Memory and disk agree.
    let mut rows = Rows::new();
    group.rows()?.apply_to(&mut rows);
    assert_eq!(rows, store.load()?.rows);
    fs::remove_file(&path)?;
    Ok(fs::remove_file(path.with_extension("new")).or_else(ignore_missing)?)
}

fn ignore_missing(e: io::Error) -> io::Result<()> {
    if e.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(e) }
}
