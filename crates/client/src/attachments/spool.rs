//! The files of transfers that are under way, in a folder below the device's that only its owner can open.

use crate::attachments::cipher::TAG_LENGTH;
use crate::files::private_options;
use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// The folder, below that of the device.
const FOLDER: &str = "files";

/// The folder of files that are under way.
#[derive(Clone, Debug)]
pub(super) struct Spool(PathBuf);

/// Opens a file for reading and writing that only its owner can open.
fn open_private(path: &Path, new: bool) -> io::Result<File> {
    private_options().read(true).create(true).create_new(new).truncate(false).open(path)
}

/// Removes a file if there is one.
fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

impl Spool {
    /// The folder below a device's, which is created unless it exists.
    pub(super) fn open(device: &Path) -> io::Result<Self> {
        let folder = device.join(FOLDER);
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&folder)?;
        Ok(Self(folder))
    }

    fn sealed(&self, id: u64) -> PathBuf {
        self.0.join(format!("{id}.sealed"))
    }

    fn part(&self, id: u64) -> PathBuf {
        self.0.join(format!("{id}.part"))
    }

    /// What is being decrypted: if that is cut off, it is neither ciphertext nor plaintext.
    fn opening(&self, id: u64) -> PathBuf {
        self.0.join(format!("{id}.opening"))
    }

    /// Deletes the files of a transfer.
    pub(super) fn discard(&self, id: u64) {
        // What stays is deleted at the next start.
        for file in [self.sealed(id), self.part(id), self.opening(id)] {
            let _ = remove(&file);
        }
    }

    /// Deletes the files of all transfers that are not under way.
    pub(super) fn sweep(&self, is_under_way: impl Fn(u64) -> bool) -> io::Result<()> {
        for entry in std::fs::read_dir(&self.0)? {
            let path = entry?.path();
            let id = path.file_stem().and_then(|stem| stem.to_str()).and_then(|id| id.parse().ok());
            if !id.is_some_and(&is_under_way) {
                remove(&path)?;
            }
        }
        Ok(())
    }

    /// Copies a file as it is now, and leaves room for a tag behind it.
    pub(super) fn copy_in(&self, id: u64, source: &Path) -> io::Result<File> {
        let path = self.sealed(id);
        remove(&path)?;
        let source = File::open(source)?;
        let length = source.metadata()?.len();
        let mut copy = open_private(&path, true)?;
        // The source may grow meanwhile, as a log does.
        io::copy(&mut source.take(length), &mut copy)?;
        copy.write_all(&[0; TAG_LENGTH as usize])?;
        Ok(copy)
    }

    /// The encrypted copy of a file.
    pub(super) fn sealed_file(&self, id: u64) -> io::Result<File> {
        File::open(self.sealed(id))
    }

    /// A new file, to be written as it is uploaded.
    pub(super) fn new_sealed(&self, id: u64) -> io::Result<File> {
        let path = self.sealed(id);
        remove(&path)?;
        open_private(&path, true)
    }

    /// The file of what was fetched so far, or a new one.
    pub(super) fn part_file(&self, id: u64) -> io::Result<File> {
        remove(&self.opening(id))?;
        open_private(&self.part(id), false)
    }

    /// Renames a file that was fetched, which is then decrypted in place.
    pub(super) fn begin_opening(&self, id: u64) -> io::Result<()> {
        std::fs::rename(self.part(id), self.opening(id))
    }

    /// Cuts the tag off a file that was decrypted, and gives the file its name. Until the transfer is forgotten, the spool
    /// has it as well: see [`Self::delivered`].
    pub(super) fn deliver(&self, id: u64, mut file: File, to: &Path) -> io::Result<u64> {
        let length = file.metadata()?.len().saturating_sub(TAG_LENGTH);
        file.set_len(length)?;
        file.sync_all()?;

        // A link never takes the place of a file that is there.
        match std::fs::hard_link(self.opening(id), to) {
            Ok(()) => {}
            // The spool's file is gone if the transfer was cancelled meanwhile.
            Err(e) if matches!(e.kind(), ErrorKind::AlreadyExists | ErrorKind::NotFound) => {
                return Err(e);
            }
            // The place is on another file system, or on one without links.
            Err(_) => {
                file.seek(SeekFrom::Start(0))?;
                copy_out(&mut file, to)?;
            }
        }
        Ok(length)
    }

    /// The length of a file that was delivered before the process died; none if it was not.
    pub(super) fn delivered(&self, id: u64, to: &Path) -> io::Result<Option<u64>> {
        let open = |path: &Path| match File::open(path) {
            Ok(file) => Ok(Some(file)),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        };
        let Some(opened) = open(&self.opening(id))? else { return Ok(None) };
        let Some(there) = open(to)? else { return Ok(None) };

        let length = opened.metadata()?.len();
        let is_it = there.metadata()?.len() == length && are_alike(opened, there)?;
        Ok(is_it.then_some(length))
    }
}

/// Whether two files have the same content.
fn are_alike(one: File, other: File) -> io::Result<bool> {
    let (mut one, mut other) = (BufReader::new(one), BufReader::new(other));
    loop {
        let (left, right) = (one.fill_buf()?, other.fill_buf()?);
        let count = left.len().min(right.len());
        if left.get(..count) != right.get(..count) {
            return Ok(false);
        }
        if count == 0 {
            return Ok(left.len() == right.len());
        }
        one.consume(count);
        other.consume(count);
    }
}

/// Where a file is written before it gets its name: beside its place, under a name that a user gives no file.
fn beside(to: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(to.file_name().unwrap_or_default());
    name.push(".conclave-part");
    to.with_file_name(name)
}

/// Deletes what an interrupted copy to a place has left beside it.
pub(super) fn discard_copy(to: &Path) {
    let _ = remove(&beside(to));
}

/// Copies a file to a place where there is none. Nobody sees a part of it under that name: it is written beside it
/// first.
fn copy_out(file: &mut File, to: &Path) -> io::Result<()> {
    let beside = beside(to);
    remove(&beside)?;
    let mut copy = open_private(&beside, true)?;
    let copied = io::copy(file, &mut copy).and_then(|_| copy.sync_all()).and_then(|()| {
        // This takes the name, so that nobody else can.
        open_private(to, true)?;
        std::fs::rename(&beside, to).inspect_err(|_| drop(remove(to)))
    });
    if copied.is_err() {
        let _ = remove(&beside);
    }
    copied
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder of this test, which is removed at its end.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("conclave-{name}-{}", std::process::id()));
            let _ = std::fs::remove_dir_all(&path);
            std::fs::create_dir_all(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn fetched(spool: &Spool, id: u64, content: &[u8]) -> File {
        let mut file = spool.part_file(id).unwrap();
        file.write_all(content).unwrap();
        file.write_all(&[9; TAG_LENGTH as usize]).unwrap();
        spool.begin_opening(id).unwrap();
        file
    }

    #[test]
    fn a_file_is_delivered_without_its_tag_and_never_over_another_one() {
        let folder = Folder::new("deliver");
        let spool = Spool::open(&folder.0).unwrap();
        let to = folder.0.join("to");
        let file = fetched(&spool, 1, b"content");
        assert_eq!(spool.deliver(1, file, &to).unwrap(), 7);
        assert_eq!(std::fs::read(&to).unwrap(), b"content");

        let file = fetched(&spool, 2, b"another");
        let refused = spool.deliver(2, file, &to).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&to).unwrap(), b"content");

        let cancelled = fetched(&spool, 4, b"cancelled");
        spool.discard(4);
        let refused = spool.deliver(4, cancelled, &folder.0.join("other")).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::NotFound);
        assert!(!folder.0.join("other").exists());

        // Between file systems it is copied, under the same rules.
        let mut file = fetched(&spool, 3, b"third");
        file.seek(SeekFrom::Start(0)).unwrap();
        let refused = copy_out(&mut file, &to).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&to).unwrap(), b"content");
        let beside = std::fs::read_dir(&folder.0).unwrap().count();
        assert_eq!(beside, 2, "the folder of files and the first file");
    }

    #[test]
    fn a_file_that_was_delivered_just_before_the_process_died_is_known_again() {
        let folder = Folder::new("delivered");
        let spool = Spool::open(&folder.0).unwrap();
        let (linked, copied) = (folder.0.join("linked"), folder.0.join("copied"));
        let file = fetched(&spool, 1, b"content");
        assert_eq!(spool.delivered(1, &linked).unwrap(), None);
        spool.deliver(1, file, &linked).unwrap();
        std::fs::copy(&linked, &copied).unwrap();
        assert_eq!(spool.delivered(1, &linked).unwrap(), Some(7));
        assert_eq!(spool.delivered(1, &copied).unwrap(), Some(7));

        // Another file of that name is the user's.
        for other in [&b"another"[..], b"content and more", b"cont"] {
            std::fs::write(&copied, other).unwrap();
            assert_eq!(spool.delivered(1, &copied).unwrap(), None);
        }
        spool.discard(1);
        assert_eq!(spool.delivered(1, &linked).unwrap(), None);
        assert_eq!(std::fs::read(&linked).unwrap(), b"content");
    }

    #[test]
    fn a_copy_that_was_cut_off_is_deleted_with_its_transfer() {
        let folder = Folder::new("copy");
        let to = folder.0.join("to");
        std::fs::write(beside(&to), b"a part").unwrap();
        discard_copy(&to);
        assert_eq!(std::fs::read_dir(&folder.0).unwrap().count(), 0);
    }

    #[test]
    fn what_belongs_to_no_transfer_is_swept_away() {
        let folder = Folder::new("sweep");
        let spool = Spool::open(&folder.0).unwrap();
        let source = folder.0.join("source");
        std::fs::write(&source, b"content").unwrap();
        let file = spool.copy_in(1, &source).unwrap();
        assert_eq!(file.metadata().unwrap().len(), 7 + TAG_LENGTH);
        drop(spool.copy_in(2, &source).unwrap());
        spool.sweep(|id| id == 2).unwrap();
        assert!(spool.sealed_file(1).is_err() && spool.sealed_file(2).is_ok());
        spool.discard(2);
        assert!(spool.sealed_file(2).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_can_open_what_is_under_way() {
        use std::os::unix::fs::PermissionsExt;
        let folder = Folder::new("private");
        let spool = Spool::open(&folder.0).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        std::fs::write(folder.0.join("source"), b"content").unwrap();
        drop(spool.copy_in(1, &folder.0.join("source")).unwrap());
        assert_eq!((mode(&spool.0), mode(&spool.sealed(1))), (0o700, 0o600));
    }
}
