//! The files of a database: held against a second process, and watched.

use crate::files::private_file;
use crate::storage::StorageError;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

/// A data folder that this process alone has open, until this is dropped.
#[derive(Debug)]
pub(super) struct Held {
    _files: Vec<File>,
}

impl Held {
    /// Locks the folder and a file in it. The file can be removed, but not the folder; on some file systems only the
    /// file can be locked.
    pub(super) fn take(directory: &Path) -> Result<Self, StorageError> {
        let failed = |e: std::io::Error| {
            StorageError::Failed(format!("{} cannot be opened: {e}", directory.display()))
        };
        let in_use = || StorageError::InUse(directory.display().to_string());
        let lock = private_file(&directory.join("delivery.lock")).map_err(failed)?;
        lock.try_lock().map_err(|e| match e {
            TryLockError::WouldBlock => in_use(),
            TryLockError::Error(e) => failed(e),
        })?;
        let mut files = vec![lock];
        if cfg!(unix) {
            let folder = File::open(directory).map_err(failed)?;
            if matches!(folder.try_lock(), Err(TryLockError::WouldBlock)) {
                return Err(in_use());
            }
            files.push(folder);
        }
        Ok(Self { _files: files })
    }
}

/// Files that have to stay what they are as long as they are open.
#[derive(Debug, Default)]
pub(super) struct Watched {
    files: Vec<(PathBuf, Identity)>,
}

/// What stays the same as long as a name leads to the same file: device and inode.
type Identity = (u64, u64);

#[cfg(unix)]
fn identity(path: &Path) -> std::io::Result<Identity> {
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
fn identity(path: &Path) -> std::io::Result<Identity> {
    std::fs::metadata(path).map(|_| (0, 0))
}

impl Watched {
    pub(super) fn new(paths: impl IntoIterator<Item = PathBuf>) -> std::io::Result<Self> {
        let known = |path: PathBuf| identity(&path).map(|identity| (path, identity));
        Ok(Self { files: paths.into_iter().map(known).collect::<Result<_, _>>()? })
    }

    /// Whether all of them are still where they were. What is written to one that is not is lost when it is closed.
    pub(super) fn check(&self) -> Result<(), String> {
        for (path, known) in &self.files {
            if identity(path).ok() != Some(*known) {
                return Err(format!(
                    "{} was deleted, moved or replaced while the service runs, so that nothing is kept any more: stop \
                     the service, put the file back or restore a backup, and start it again",
                    path.display()
                ));
            }
        }
        Ok(())
    }
}
