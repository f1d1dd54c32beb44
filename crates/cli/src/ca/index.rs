//! What a CA has done, a line each: what it has issued and revoked, and the numbers of its revocation lists.
//!
//! ```text
//! issued SERIAL USER/DEVICE FROM UNTIL
//! revoked SERIAL AT
//! list NUMBER
//! ```
//!
//! Lines are only added, and each is on the disk before anything depends on it. One that the process did not come to
//! end has no line end: it is taken away when the next one is added.

use crate::failure::Failure;
use conclave_account::DeviceId;
use conclave_certificates::{Lifetime, Revoked};
use conclave_delivery_api::{parse_hex, to_hex};
use conclave_mls::UnixTime;
use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::PathBuf;

/// A certificate that was issued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Issued {
    pub(super) serial: Vec<u8>,
    pub(super) device: DeviceId,
    pub(super) lifetime: Lifetime,
}

/// A line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    Issued(Issued),
    Revoked(Revoked),
    /// A revocation list of this number.
    List(u64),
}

impl Entry {
    fn to_line(&self) -> String {
        match self {
            Self::Issued(Issued { serial, device, lifetime }) => {
                let (from, until) = (lifetime.not_before.as_secs(), lifetime.not_after.as_secs());
                format!("issued {} {device} {from} {until}\n", to_hex(serial))
            }
            Self::Revoked(Revoked { serial, at }) => {
                format!("revoked {} {}\n", to_hex(serial), at.as_secs())
            }
            Self::List(number) => format!("list {number}\n"),
        }
    }

    fn from_line(line: &str) -> Option<Self> {
        let time = |text: &str| UnixTime::from_secs(text.parse().ok()?);
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            ["issued", serial, device, from, until] => {
                let lifetime = Lifetime { not_before: time(from)?, not_after: time(until)? };
                let device = device.parse().ok()?;
                Some(Self::Issued(Issued { serial: parse_hex(serial)?, device, lifetime }))
            }
            ["revoked", serial, at] => {
                Some(Self::Revoked(Revoked { serial: parse_hex(serial)?, at: time(at)? }))
            }
            ["list", number] => Some(Self::List(number.parse().ok()?)),
            _ => None,
        }
    }
}

/// The index, as it is on the disk.
pub(super) struct Index {
    path: PathBuf,
    file: File,
    /// The length of the lines that have an end, in bytes.
    length: u64,
    issued: Vec<Issued>,
    revoked: Vec<Revoked>,
    is_revoked: BTreeSet<Vec<u8>>,
    lists: u64,
}

impl Index {
    pub(super) fn open(path: PathBuf) -> Result<Self, Failure> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let cannot = |e| format!("{} cannot be read: {e}", path.display());
        let mut file = options.open(&path).map_err(cannot)?;
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(cannot)?;

        let whole = text.rfind('\n').map_or(0, |at| at + 1);
        let (issued, revoked, is_revoked) = (Vec::new(), Vec::new(), BTreeSet::new());
        let length = whole as u64;
        let mut index = Self { path, file, length, issued, revoked, is_revoked, lists: 0 };
        for (number, line) in text.get(..whole).unwrap_or_default().lines().enumerate() {
            let entry = Entry::from_line(line).ok_or_else(|| {
                let shown = index.path.display();
                format!(
                    "line {} of {shown} is damaged: restore the CA's folder from a backup",
                    number + 1
                )
            })?;
            index.take(entry);
        }
        Ok(index)
    }

    fn take(&mut self, entry: Entry) {
        match entry {
            Entry::Issued(issued) => self.issued.push(issued),
            Entry::Revoked(revoked) => {
                self.is_revoked.insert(revoked.serial.clone());
                self.revoked.push(revoked);
            }
            Entry::List(number) => self.lists = self.lists.max(number),
        }
    }

    /// Adds a line. When this returns, it is on the disk.
    pub(super) fn append(&mut self, entry: &Entry) -> Result<(), Failure> {
        let line = entry.to_line();
        let mut write = || {
            self.file.set_len(self.length)?;
            self.file.seek(SeekFrom::Start(self.length))?;
            self.file.write_all(line.as_bytes())?;
            self.file.sync_all()
        };
        write().map_err(|e| format!("{} cannot be written: {e}", self.path.display()))?;
        self.length += line.len() as u64;
        self.take(entry.clone());
        Ok(())
    }

    /// All certificates that were issued, the oldest first.
    pub(super) fn issued(&self) -> impl Iterator<Item = &Issued> {
        self.issued.iter()
    }

    /// All that were revoked.
    pub(super) fn revoked(&self) -> impl Iterator<Item = &Revoked> {
        self.revoked.iter()
    }

    /// Whether a certificate was issued and not revoked.
    pub(super) fn counts(&self, serial: &[u8]) -> bool {
        self.issued.iter().any(|issued| issued.serial == serial)
            && !self.is_revoked.contains(serial)
    }

    /// The last certificate of a device that was not revoked.
    pub(super) fn newest(&self, device: &DeviceId) -> Option<&Issued> {
        let of_device = self.issued.iter().rev().filter(|issued| issued.device == *device);
        of_device.into_iter().find(|issued| self.counts(&issued.serial))
    }

    /// The last certificate of a device that counts at a time.
    pub(super) fn valid(&self, device: &DeviceId, now: UnixTime) -> Option<&Issued> {
        self.newest(device).filter(|issued| issued.lifetime.not_after >= now)
    }

    /// The number of the next revocation list.
    pub(super) fn next_list(&self) -> u64 {
        self.lists.saturating_add(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issued(serial: u8, device: &str) -> Entry {
        let at = |seconds| UnixTime::from_secs(seconds).unwrap();
        let lifetime = Lifetime { not_before: at(1000), not_after: at(2000) };
        Entry::Issued(Issued {
            serial: vec![serial; 16],
            device: device.parse().unwrap(),
            lifetime,
        })
    }

    #[test]
    fn a_line_that_was_cut_off_is_replaced_by_the_next_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("index");
        let mut index = Index::open(path.clone()).unwrap();
        index.append(&issued(1, "alice/laptop")).unwrap();
        index.append(&Entry::List(7)).unwrap();
        let whole = std::fs::read(&path).unwrap();

        for cut in 1..whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let mut index = Index::open(path.clone()).unwrap();
            let entries = index.issued().count();
            index.append(&issued(2, "bob/phone")).unwrap();
            let again = Index::open(path.clone()).unwrap();
            assert_eq!(again.issued().count(), entries + 1, "cut at {cut}");
        }
    }

    #[test]
    fn what_was_revoked_counts_no_more_and_a_damaged_line_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("index");
        let mut index = Index::open(path.clone()).unwrap();
        let (device, at) = ("alice/laptop".parse().unwrap(), UnixTime::from_secs(1500).unwrap());
        index.append(&issued(1, "alice/laptop")).unwrap();
        assert!(index.valid(&device, at).is_some());
        index.append(&Entry::Revoked(Revoked { serial: vec![1; 16], at })).unwrap();
        let index = Index::open(path.clone()).unwrap();
        assert!(index.valid(&device, at).is_none() && index.newest(&device).is_none());
        assert_eq!((index.revoked().count(), index.next_list()), (1, 1));

        std::fs::write(&path, "issued nobody\n").unwrap();
        assert!(Index::open(path).is_err());
    }
}
