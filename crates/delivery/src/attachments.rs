//! The contents of attachments, apart from the rest of the service's state: what engine keeps them is an
//! [`AttachmentStore`]. A [`FolderStore`] keeps them as files, an `S3Store` (module `s3`) in a bucket.

use crate::files::remove;
use crate::hashing::hashed;
use conclave_delivery_api::{Name, to_hex};
use core::fmt;
use core::time::Duration;
use sha2::Digest;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What the name of a file ends with, as long as it is not complete.
const PART: &str = ".part";

/// Keeps contents. Methods block, and may be called from several threads; of one upload, by one at a time.
#[allow(clippy::missing_errors_doc, reason = "all fail with what the system says")]
pub trait AttachmentStore: Send + Sync + fmt::Debug + 'static {
    /// Writes bytes of a user's upload, behind those that are there. When this returns, a sudden end takes none of
    /// them away.
    fn write(&self, hash: &[u8; 32], user: &Name, offset: u64, content: &[u8]) -> io::Result<()>;

    /// Whether a user's upload of so many bytes has the hash. What does not is thrown away.
    fn verify(&self, hash: &[u8; 32], user: &Name, size: u64) -> io::Result<bool>;

    /// Makes a verified upload the attachment, unless it is one already.
    fn publish(&self, hash: &[u8; 32], user: &Name) -> io::Result<()>;

    /// Whether an attachment is there.
    fn contains(&self, hash: &[u8; 32]) -> io::Result<bool>;

    /// Bytes of an attachment from `offset` on: `length` at most, none behind its end.
    fn read(&self, hash: &[u8; 32], offset: u64, length: usize) -> io::Result<Vec<u8>>;

    /// Throws away what there is of a user's upload.
    fn discard(&self, hash: &[u8; 32], user: &Name) -> io::Result<()>;

    /// Deletes an attachment.
    fn delete(&self, hash: &[u8; 32]) -> io::Result<()>;
}

/// Keeps contents as files in a folder.
#[derive(Clone, Debug)]
pub struct FolderStore {
    folder: PathBuf,
}

impl FolderStore {
    /// A store in this folder, which is made if there is none: its owner's alone.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn open(folder: &Path) -> io::Result<Self> {
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(folder)?;
        Ok(Self { folder: folder.to_path_buf() })
    }

    fn whole(&self, hash: &[u8; 32]) -> PathBuf {
        self.folder.join(to_hex(hash))
    }

    /// Uploads of several users do not get in each other's way. A name has no sign that a file's name cannot have.
    pub(crate) fn part(&self, hash: &[u8; 32], user: &Name) -> PathBuf {
        self.folder.join(format!("{}-{user}{PART}", to_hex(hash)))
    }

    /// Whether there is something of a user's upload.
    #[cfg(feature = "client")]
    pub(crate) fn has_part(&self, hash: &[u8; 32], user: &Name) -> io::Result<bool> {
        self.part(hash, user).try_exists()
    }

    fn sync(&self) -> io::Result<()> {
        File::open(&self.folder)?.sync_all()
    }
}

impl AttachmentStore for FolderStore {
    fn write(&self, hash: &[u8; 32], user: &Name, offset: u64, content: &[u8]) -> io::Result<()> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(self.part(hash, user))?;
        if file.metadata()?.len() < offset {
            return Err(io::Error::other("the bytes before these are missing"));
        }

        file.seek(SeekFrom::Start(offset))?;
        file.write_all(content)?;
        file.sync_data()?;
        if offset == 0 {
            self.sync()?;
        }
        Ok(())
    }

    fn verify(&self, hash: &[u8; 32], user: &Name, size: u64) -> io::Result<bool> {
        let path = self.part(hash, user);
        let mut file = match File::open(&path) {
            // An attachment of no bytes, or one that was published before the process ended.
            Err(e) if e.kind() == ErrorKind::NotFound => {
                if size == 0 {
                    self.write(hash, user, 0, &[])?;
                } else if std::fs::metadata(self.whole(hash)).is_ok_and(|m| m.len() == size) {
                    return Ok(true);
                }
                File::open(&path)?
            }
            opened => opened?,
        };

        let (hasher, length) = hashed(&mut file)?;
        let is_right = length == size && hasher.finalize()[..] == hash[..];
        if !is_right {
            remove(&path)?;
        }
        Ok(is_right)
    }

    fn publish(&self, hash: &[u8; 32], user: &Name) -> io::Result<()> {
        match std::fs::rename(self.part(hash, user), self.whole(hash)) {
            Err(e) if e.kind() == ErrorKind::NotFound && self.whole(hash).exists() => Ok(()),
            Err(e) => Err(e),
            Ok(()) => self.sync(),
        }
    }

    fn contains(&self, hash: &[u8; 32]) -> io::Result<bool> {
        self.whole(hash).try_exists()
    }

    fn read(&self, hash: &[u8; 32], offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut file = File::open(self.whole(hash))?;
        file.seek(SeekFrom::Start(offset))?;
        let mut content = Vec::new();
        file.take(length as u64).read_to_end(&mut content)?;
        Ok(content)
    }

    fn discard(&self, hash: &[u8; 32], user: &Name) -> io::Result<()> {
        remove(&self.part(hash, user))
    }

    fn delete(&self, hash: &[u8; 32]) -> io::Result<()> {
        remove(&self.whole(hash))
    }
}

/// What the service puts up with in attachments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachmentLimits {
    /// The longest one, in bytes. Default 2 GiB.
    pub size: u64,
    /// The most bytes of one user, those included that are still to be uploaded. Default 10 GiB.
    pub quota: u64,
    /// The most bytes of all. Default 100 GiB.
    pub total: u64,
    /// How long an attachment is kept, in whole seconds. Default 30 days.
    pub lifetime: Duration,
    /// How long an upload is kept that is not complete, in whole seconds. Default one day.
    pub unfinished: Duration,
}

impl Default for AttachmentLimits {
    fn default() -> Self {
        let day = Duration::from_secs(24 * 60 * 60);
        Self {
            size: 2 << 30,
            quota: 10 << 30,
            total: 100 << 30,
            lifetime: day * 30,
            unfinished: day,
        }
    }
}

/// What the service needs for attachments.
pub(crate) struct Attachments {
    pub(crate) store: Arc<dyn AttachmentStore>,
    pub(crate) limits: AttachmentLimits,
    /// Held where a content and the record of it change together: else one upload could be published while
    /// the same content of another is deleted.
    changing: Mutex<()>,
}

impl fmt::Debug for Attachments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attachments").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl Attachments {
    pub(crate) fn new(store: Arc<dyn AttachmentStore>, limits: AttachmentLimits) -> Self {
        Self { store, limits, changing: Mutex::new(()) }
    }

    pub(crate) fn changing(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
pub(crate) mod tests;
