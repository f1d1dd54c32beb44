//! What is known of a service, in a folder.

use crate::failure::Failure;
use conclave_client::write_private;
use conclave_directory::{Auditor, Evidence};
use conclave_mls::wire::codec::{Decode, Encode};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The file of the auditor's state.
const AUDITOR: &str = "auditor.bin";

/// A folder that one audit has at a time.
pub(super) struct State {
    folder: PathBuf,
    _lock: File,
}

impl State {
    pub(super) fn open(folder: &Path) -> Result<Self, Failure> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let lock = options.open(folder.join("audit.lock"))?;
        lock.try_lock().map_err(|e| match e {
            TryLockError::WouldBlock => {
                Failure::from(format!("{} is in use by another audit", folder.display()))
            }
            TryLockError::Error(e) => e.into(),
        })?;
        Ok(Self { folder: folder.to_path_buf(), _lock: lock })
    }

    /// The auditor as it was left; none if this is the first time.
    pub(super) fn load(&self) -> Result<Option<Auditor>, Failure> {
        let path = self.folder.join(AUDITOR);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(format!("{} cannot be read: {e}", path.display()).into()),
        };
        let auditor = Auditor::from_bytes(&bytes).map_err(|e| {
            format!("{} is damaged: {e}. Move it away to begin anew", path.display())
        })?;
        Ok(Some(auditor))
    }

    pub(super) fn save(&self, auditor: &Auditor) -> Result<(), Failure> {
        let path = self.folder.join(AUDITOR);
        write_private(&path, &auditor.to_bytes()?)
            .map_err(|e| format!("{} cannot be written: {e}", path.display()).into())
    }

    /// Writes evidence, and returns the file. Other evidence stays.
    pub(super) fn keep_evidence(&self, evidence: &Evidence) -> Result<PathBuf, Failure> {
        let bytes = evidence.to_bytes()?;
        for n in 1..u32::MAX {
            let path = self.folder.join(format!("evidence-{n}.bin"));
            let there = std::fs::read(&path);
            if there.as_ref().is_ok_and(|there| *there != bytes) {
                continue;
            }
            if there.is_err() {
                write_private(&path, &bytes)?;
            }
            return Ok(path);
        }
        Err("there are too many files of evidence".into())
    }
}
