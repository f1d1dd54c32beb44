//! Backups of a service's state: a folder that holds a database, complete and checked before it has its name.
//!
//! A backup holds the service's secret, from which its keys follow. Whoever has it can be this service.

use crate::service::{VerifyError, verify};
use crate::storage::{Counts, SqliteStorage, StorageError};
use conclave_mls::UnixTime;
use conclave_mls::crypto::CryptoProvider;
use core::fmt;
use std::fs::{DirBuilder, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a backup holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inventory {
    /// How much.
    pub counts: Counts,
    /// The epoch of the directory's newest root.
    pub root: u64,
    /// The size of its database, in bytes.
    pub bytes: u64,
}

impl fmt::Display for Inventory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { counts: c, root, bytes } = self;
        writeln!(f, "{} users with {} devices", c.accounts, c.devices)?;
        writeln!(f, "{} groups with {} messages", c.groups, c.log_entries)?;
        writeln!(f, "{} Welcomes and {} key packages", c.inbox_items, c.key_packages)?;
        write!(f, "the directory up to root {root}; {bytes} bytes in all")
    }
}

/// Why there is no backup, or nothing was restored. What was begun is gone again.
#[derive(Debug)]
#[non_exhaustive]
pub enum BackupError {
    /// A folder that has to be new or empty is not.
    Exists(PathBuf),
    /// A file or folder cannot be read or written.
    Io(PathBuf, std::io::Error),
    /// The state cannot be copied.
    Storage(StorageError),
    /// The copy does not hold.
    Verify(VerifyError),
}

impl fmt::Display for BackupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exists(path) => {
                write!(
                    f,
                    "{} is there and not empty: move it away, or name another folder",
                    path.display()
                )
            }
            Self::Io(path, e) => write!(f, "{}: {e}", path.display()),
            Self::Storage(e) => fmt::Display::fmt(e, f),
            Self::Verify(e) => write!(f, "the copy was checked and does not hold: {e}"),
        }
    }
}

impl core::error::Error for BackupError {}

impl From<StorageError> for BackupError {
    fn from(e: StorageError) -> Self {
        Self::Storage(e)
    }
}

impl From<VerifyError> for BackupError {
    fn from(e: VerifyError) -> Self {
        Self::Verify(e)
    }
}

/// A folder under a temporary name, which is deleted unless it gets its own.
struct Unfinished {
    path: PathBuf,
    to: PathBuf,
}

impl Unfinished {
    fn begin(to: &Path) -> Result<Self, BackupError> {
        match std::fs::read_dir(to).map(|mut entries| entries.next().is_none()) {
            Ok(true) => {}
            Ok(false) => return Err(BackupError::Exists(to.into())),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(BackupError::Io(to.into(), e)),
        }
        let mut name = to.file_name().unwrap_or_default().to_os_string();
        name.push(".part");
        let path = to.with_file_name(name);
        let mut builder = DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&path).map_err(|e| match e.kind() {
            // Of one that was cut off, or that another process writes just now.
            std::io::ErrorKind::AlreadyExists => BackupError::Exists(path.clone()),
            _ => BackupError::Io(path.clone(), e),
        })?;
        Ok(Self { path, to: to.into() })
    }

    fn database(&self) -> PathBuf {
        self.path.join("delivery.db")
    }

    /// Gives it its name. It is on the disk when this returns.
    fn finish(self) -> Result<(), BackupError> {
        let at = |path: &Path| {
            let path = path.to_path_buf();
            move |e| BackupError::Io(path, e)
        };
        File::open(self.database()).and_then(|file| file.sync_all()).map_err(at(&self.path))?;
        File::open(&self.path).and_then(|folder| folder.sync_all()).map_err(at(&self.path))?;
        std::fs::rename(&self.path, &self.to).map_err(at(&self.to))?;
        let parent = self.to.parent().filter(|parent| !parent.as_os_str().is_empty());
        let parent = parent.unwrap_or(Path::new("."));
        File::open(parent).and_then(|folder| folder.sync_all()).map_err(at(parent))
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // After `finish` it has another name.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

fn inventory(
    storage: SqliteStorage,
    database: &Path,
    provider: Arc<dyn CryptoProvider>,
    now: UnixTime,
) -> Result<Inventory, BackupError> {
    let (counts, root) = verify(storage, provider, now)?;
    let at = |e| BackupError::Io(database.to_path_buf(), e);
    let bytes = std::fs::metadata(database).map_err(at)?.len();
    Ok(Inventory { counts, root, bytes })
}

/// Copies the state in `data`, which may be a running service's, into a new folder, and checks the copy.
///
/// # Errors
/// If the folder is there and not empty, or the copy cannot be written or does not hold. Then there is none.
pub fn backup(
    data: &Path,
    to: &Path,
    provider: Arc<dyn CryptoProvider>,
    now: UnixTime,
) -> Result<Inventory, BackupError> {
    let unfinished = Unfinished::begin(to)?;
    SqliteStorage::copy(data, &unfinished.path)?;
    let copy = SqliteStorage::open_read_only(&unfinished.path)?;
    let inventory = inventory(copy, &unfinished.database(), provider, now)?;
    unfinished.finish()?;
    Ok(inventory)
}

/// Makes the data folder of a service from a backup, which is checked first, and upgraded if it is of an earlier format.
/// It begins another incarnation.
///
/// # Errors
/// If the folder is there and not empty (a service may use it), or the backup does not hold. Then nothing was restored.
pub fn restore(
    backup: &Path,
    data: &Path,
    provider: Arc<dyn CryptoProvider>,
    now: UnixTime,
) -> Result<Inventory, BackupError> {
    let unfinished = Unfinished::begin(data)?;
    SqliteStorage::copy(backup, &unfinished.path)?;
    let storage = SqliteStorage::open(&unfinished.path)?;
    let upgraded = storage.upgraded().cloned();
    // Logs may be shorter than clients have seen them: they are told that this is another life of the state.
    storage.begin_incarnation()?;
    let inventory = inventory(storage, &unfinished.database(), provider, now)?;
    // The backup itself holds it as it was.
    if let Some(upgrade) = upgraded {
        let at = |e| BackupError::Io(upgrade.kept.clone(), e);
        std::fs::remove_file(&upgrade.kept).map_err(at)?;
    }
    unfinished.finish()?;
    Ok(inventory)
}

#[cfg(test)]
mod tests;
