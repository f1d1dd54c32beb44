//! A device's state, sealed or not: how it is opened, and when its key changes.
//!
//! The state is `state.sqlite`; the key of a sealed one is in `state.key`, under a passphrase. A new key is
//! written to `state.key.next` first, then the state is encrypted under it in one transaction, then the file gets
//! its name. So whenever a crash comes, one of the two files opens the state, and the next start tidies up.

mod passphrase;

use crate::failure::{Failure, complain};
use crate::provider::provider;
use crate::writer;
use conclave_client::{Name, write_private};
use conclave_store::{KeyFile, KeyFileError, Secret, SqliteStore, StoreError};
pub(crate) use passphrase::{SealArgs, new_passphrase};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// A device as the arguments of a command name it: `alice --device phone`.
pub(crate) fn device_args(user: &Name, device: &Name) -> String {
    match device.as_str() {
        "main" => user.to_string(),
        device => format!("{user} --device {device}"),
    }
}

/// The files of a device's state.
struct Files {
    state: PathBuf,
    key: PathBuf,
    new_key: PathBuf,
}

impl Files {
    fn of(folder: &Path) -> Self {
        let [state, key, new_key] =
            ["state.sqlite", "state.key", "state.key.next"].map(|name| folder.join(name));
        Self { state, key, new_key }
    }

    /// The files of a state that has to be there.
    fn existing(folder: &Path) -> Result<Self, Failure> {
        let files = Self::of(folder);
        if files.state.exists() {
            return Ok(files);
        }
        Err(format!("there is no state of a device: {} is missing", files.state.display()).into())
    }

    /// The key that the passphrase opens, if there is a file of one.
    fn key_in(file: &Path, passphrase: &Secret) -> Result<Option<Secret>, Failure> {
        let Some(file) = read_key_file(file)? else { return Ok(None) };
        match file.open(&*provider(), passphrase) {
            Ok(key) => Ok(Some(key)),
            Err(KeyFileError::WrongPassphrase) => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    fn has_key(&self) -> bool {
        self.key.exists() || self.new_key.exists()
    }

    /// Opens a state that is not sealed; none if there is no state, or a sealed one.
    fn open_plain(&self) -> Result<Option<SqliteStore>, Failure> {
        if !self.state.exists() {
            return Ok(None);
        }
        unless_sealed(SqliteStore::open(&self.state))
    }

    fn missing_key(&self) -> Failure {
        let (state, key) = (self.state.display(), self.key.display());
        format!("{state} is sealed, and its key is gone: {key} is missing").into()
    }

    /// Opens a state by whichever file's key is the state's. Returns the key and its file, too.
    fn open_by_key(
        &self,
        passphrase: &Secret,
        open: impl Fn(&Secret) -> Result<SqliteStore, StoreError>,
    ) -> Result<(SqliteStore, Secret, &Path), Failure> {
        for file in [&self.key, &self.new_key] {
            let Some(key) = Self::key_in(file, passphrase)? else { continue };
            match open(&key) {
                Err(StoreError::WrongKey(_)) => {}
                store => return Ok((store?, key, file.as_path())),
            }
        }
        Err(format!("the passphrase does not open {}", self.state.display()).into())
    }

    /// Opens a sealed state, tidies up after a change of its key, and returns the key, too.
    fn open_sealed(&self, passphrase: &Secret) -> Result<(SqliteStore, Secret), Failure> {
        let open = |key: &Secret| SqliteStore::open_encrypted(&self.state, key, provider());
        let (store, key, file) = self.open_by_key(passphrase, open)?;
        // The other one is of a change that was finished, or never came to anything.
        if file == self.new_key {
            std::fs::rename(&self.new_key, &self.key)?;
        } else {
            remove(&self.new_key)?;
        }
        Ok((store, key))
    }

    /// Opens a snapshot of a sealed state. It leaves tidying up to the process that writes.
    fn snapshot_sealed(&self, passphrase: &Secret) -> Result<SqliteStore, Failure> {
        let open = |key: &Secret| SqliteStore::snapshot_encrypted(&self.state, key, provider());
        Ok(self.open_by_key(passphrase, open)?.0)
    }

    /// Encrypts an open state under a new key, or for the first time.
    fn rekey(&self, store: &mut SqliteStore, passphrase: &Secret) -> Result<(), Failure> {
        let (file, key) = KeyFile::create(&*provider(), passphrase)?;
        write_private(&self.new_key, &file.to_bytes())?;
        store.rekey(&key, provider())?;
        std::fs::rename(&self.new_key, &self.key)?;
        Ok(())
    }
}

/// Opens the state of a device, and makes a new one unless it is there: sealed, if a passphrase is named.
///
/// At a terminal the passphrase of a sealed state is asked for; a script is told how to name it.
pub(crate) fn open_state(
    folder: &Path,
    args: &SealArgs,
    device: &str,
) -> Result<SqliteStore, Failure> {
    let store = open_store(folder, args, device).map_err(|why| writer::named(folder, why))?;
    writer::note(folder)?;
    Ok(store)
}

/// Opens a snapshot of the state in a folder, which another process may have open.
pub(crate) fn open_snapshot(folder: &Path, args: &SealArgs) -> Result<SqliteStore, Failure> {
    let files = Files::existing(folder)?;
    if let Some(store) = unless_sealed(SqliteStore::snapshot(&files.state))? {
        refuse_passphrase(args, &folder.display().to_string())?;
        return Ok(store);
    }
    if !files.has_key() {
        return Err(files.missing_key());
    }
    files.snapshot_sealed(&args.current()?)
}

/// Opens the state in a folder, which has to be there.
pub(crate) fn open_existing(folder: &Path, args: &SealArgs) -> Result<SqliteStore, Failure> {
    Files::existing(folder)?;
    open_state(folder, args, &folder.display().to_string())
}

/// A store that was opened without a key; none if it takes one.
fn unless_sealed(opened: Result<SqliteStore, StoreError>) -> Result<Option<SqliteStore>, Failure> {
    match opened {
        Ok(store) => Ok(Some(store)),
        Err(StoreError::Encrypted(_)) => Ok(None),
        Err(e) => Err(e.into()),
    }
}

/// Refuses a passphrase for a state that is not sealed.
fn refuse_passphrase(args: &SealArgs, device: &str) -> Result<(), Failure> {
    if args.passphrase()?.is_some() {
        let why = "a passphrase is named, and this device's state is not sealed";
        return Err(format!("{why}: `conclave seal {device}` seals it").into());
    }
    Ok(())
}

fn open_store(folder: &Path, args: &SealArgs, device: &str) -> Result<SqliteStore, Failure> {
    let files = Files::of(folder);
    if let Some(store) = files.open_plain()? {
        refuse_passphrase(args, device)?;
        remove(&files.new_key)?;
        return Ok(store);
    }

    if files.has_key() {
        return Ok(files.open_sealed(&args.current()?)?.0);
    }
    if files.state.exists() {
        return Err(files.missing_key());
    }

    let Some(passphrase) = args.passphrase()? else {
        let readable = "whoever reads this device's folder reads its messages and keys";
        complain(&format!("{readable}: `conclave seal {device}` seals it under a passphrase"));
        return Ok(SqliteStore::open(&files.state)?);
    };
    let (file, key) = KeyFile::create(&*provider(), &passphrase)?;
    write_private(&files.key, &file.to_bytes())?;
    Ok(SqliteStore::open_encrypted(&files.state, &key, provider())?)
}

/// Seals a state under a new passphrase: its key, or with `new_key` everything anew under another key.
/// Returns whether it was sealed before.
pub(crate) fn seal_state(
    folder: &Path,
    args: &SealArgs,
    new: impl FnOnce() -> Result<Secret, Failure>,
    new_key: bool,
) -> Result<bool, Failure> {
    let files = Files::existing(folder)?;
    if let Some(mut store) = files.open_plain()? {
        files.rekey(&mut store, &new()?)?;
        return Ok(false);
    }

    // While it is open, nobody else changes the key.
    let (mut store, key) = files.open_sealed(&args.current()?)?;
    let new = new()?;
    if new_key {
        files.rekey(&mut store, &new)?;
    } else {
        let file = KeyFile::seal(&*provider(), &new, &key)?;
        write_private(&files.key, &file.to_bytes())?;
    }
    Ok(true)
}

fn read_key_file(path: &Path) -> Result<Option<KeyFile>, Failure> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(format!("{} cannot be read: {e}", path.display()).into()),
    };
    let file = KeyFile::from_bytes(&bytes).map_err(|e| format!("{}: {e}", path.display()))?;
    Ok(Some(file))
}

fn remove(path: &Path) -> Result<(), Failure> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => {
            Err(format!("{} cannot be removed: {e}", path.display()).into())
        }
        _ => Ok(()),
    }
}
