//! The contents of attachments, apart from the rest of the service's state: what engine keeps them is a
//! [`AttachmentStore`], and a [`FolderStore`] keeps them as files.

use conclave_delivery_api::{Name, to_hex};
use core::fmt;
use sha2::{Digest, Sha256};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// How many bytes are hashed at a time.
const CHUNK: usize = 1 << 20;
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
    fn part(&self, hash: &[u8; 32], user: &Name) -> PathBuf {
        self.folder.join(format!("{}-{user}{PART}", to_hex(hash)))
    }

    fn sync(&self) -> io::Result<()> {
        File::open(&self.folder)?.sync_all()
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(e),
        _ => Ok(()),
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

        let (mut hasher, mut length) = (Sha256::new(), 0);
        let mut chunk = vec![0; CHUNK];
        loop {
            let read = file.read(&mut chunk)?;
            let Some(bytes) = chunk.get(..read).filter(|bytes| !bytes.is_empty()) else { break };
            hasher.update(bytes);
            length += read as u64;
        }
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
