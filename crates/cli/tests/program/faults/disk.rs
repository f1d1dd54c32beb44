//! A disk that fails on demand, and can lose its power: `preload/disk.c` between a service and its system.

use crate::common::preloaded;
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Sectors are written whole or not at all.
const SECTOR: usize = 512;

pub(crate) const NO_SPACE: u32 = 28;
pub(crate) const IO_ERROR: u32 = 5;

/// What a disk does not do any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Failing {
    /// It takes no bytes, for this reason.
    Write(u32),
    /// It takes half of what is written, and then no more.
    HalfWrites(u32),
    /// It takes bytes, and cannot say that they are safe.
    Flush,
}

/// What rules one service's disk.
pub(crate) struct Disk {
    folder: tempfile::TempDir,
    files: PathBuf,
    library: PathBuf,
}

impl Disk {
    /// The disk of the files beneath a folder, which is there; none, with a word on it, where there cannot be one.
    pub(crate) fn under(files: &Path) -> Option<Self> {
        let library = preloaded("disk")?;
        let folder = tempfile::tempdir().unwrap();
        let files = files.canonicalize().unwrap();
        Some(Self { folder, files, library })
    }

    /// Makes a command's files lie on it.
    pub(crate) fn hold(&self, command: &mut Command) {
        command
            .env("LD_PRELOAD", &self.library)
            .env("CONCLAVE_DISK", self.folder.path())
            .env("CONCLAVE_DISK_FILES", &self.files);
    }

    pub(crate) fn fail(&self, failing: Failing) {
        self.rule(&match failing {
            Failing::Write(errno) => format!("write {errno}"),
            Failing::HalfWrites(errno) => format!("short {errno}"),
            Failing::Flush => format!("sync {IO_ERROR}"),
        });
    }

    pub(crate) fn mend(&self) {
        self.rule("");
    }

    fn rule(&self, what: &str) {
        let new = self.folder.path().join("new");
        std::fs::write(&new, what).unwrap();
        std::fs::rename(new, self.folder.path().join("fault")).unwrap();
    }

    /// Cuts the power of a service that was killed just now: of what was written and not flushed, each sector is lost
    /// or not, as the dice fall. How many writes that hit.
    pub(crate) fn cut_power(&self, mut is_kept: impl FnMut() -> bool) -> usize {
        let undone = ["delivery.db", "delivery.db-wal"].map(|name| {
            let path = self.folder.path().join(format!("undo-{name}"));
            let Ok(bytes) = std::fs::read(&path) else { return 0 };
            std::fs::remove_file(path).unwrap();
            let notes = Note::all(&bytes);
            let file = OpenOptions::new().read(true).write(true).open(self.files.join(name));
            if let Ok(file) = file {
                lose(&file, &notes, &mut is_kept);
            }
            notes.len()
        });
        undone.into_iter().sum()
    }
}

/// What stood in a file before a write, or behind the length that it was cut to.
struct Note<'a> {
    at: u64,
    /// How many bytes were written; none if the file was cut.
    length: u64,
    size: u64,
    old: &'a [u8],
}

impl<'a> Note<'a> {
    fn all(mut bytes: &'a [u8]) -> Vec<Self> {
        let mut notes = Vec::new();
        while let Some((head, rest)) = bytes.split_at_checked(32) {
            let number = |n: usize| {
                let field: [u8; 8] = head[n * 8..][..8].try_into().unwrap();
                u64::from_ne_bytes(field)
            };
            let (at, length, size) = (number(0), number(1), number(2));
            // Of the last one there may be a part: then it was not written either.
            let Some((old, rest)) = rest.split_at_checked(number(3) as usize) else { break };
            notes.push(Self { at, length, size, old });
            bytes = rest;
        }
        notes
    }
}

/// Takes everything back, from the last to the first, and makes some of it again.
fn lose(file: &std::fs::File, notes: &[Note<'_>], is_kept: &mut impl FnMut() -> bool) {
    let mut written = Vec::new();
    for note in notes.iter().rev() {
        let mut new = vec![0; note.length as usize];
        let length = file.metadata().unwrap().len();
        // A write that failed may have got only so far.
        let there = usize::try_from(length.saturating_sub(note.at)).unwrap().min(new.len());
        new.truncate(there);
        file.read_exact_at(&mut new, note.at).unwrap();
        written.push(new);
        file.write_all_at(note.old, note.at).unwrap();
        file.set_len(note.size).unwrap();
    }
    for (note, new) in notes.iter().zip(written.iter().rev()) {
        if note.length == 0 && is_kept() {
            file.set_len(note.at).unwrap();
        }
        for (sector, at) in new.chunks(SECTOR).zip((note.at..).step_by(SECTOR)) {
            if is_kept() {
                file.write_all_at(sector, at).unwrap();
            }
        }
    }
}
