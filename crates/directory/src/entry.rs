//! What a directory says about a name.

use crate::error::ProofError;
use alloc::vec::Vec;
use conclave_mls::wire::codec::{Decode, DecodeError, Encode, EncodeError, Reader, Writer};

/// The longest name in bytes.
pub const MAX_NAME: usize = 255;

/// Where a user's account log ends: the value of the user's entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Head {
    /// The number of the log's entries.
    pub length: u64,
    /// The hash of the last one.
    pub hash: [u8; 32],
}

impl Encode for Head {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        w.put(&self.to_array());
        Ok(())
    }
}

impl Decode for Head {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { length: u64::decode(r)?, hash: r.take_array()? })
    }
}

impl Head {
    /// The encoding, which the tree takes for the value.
    pub(crate) fn to_array(self) -> [u8; 40] {
        let mut bytes = [0; 40];
        let (length, hash) = bytes.split_at_mut(8);
        length.copy_from_slice(&self.length.to_be_bytes());
        hash.copy_from_slice(&self.hash);
        bytes
    }
}

/// A version of a name's entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Entry {
    /// Which value of the name it is, from 1.
    pub version: u64,
    /// The epoch in which it was published.
    pub epoch: u64,
    /// The value.
    pub head: Head,
}

/// What a lookup proves about a name at a root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lookup {
    /// The name has this entry.
    Present(Entry),
    /// The name never had an entry.
    Absent,
}

/// How an account log that a client holds relates to the directory's entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agreement {
    /// The log is the one of the directory.
    Same,
    /// The log goes on after the directory's entry: the next batch publishes the rest. A client waits for
    /// it, and does not rely on the new entries until then.
    DirectoryBehind,
    /// The directory knows more entries than the log has: whoever handed it over left out the last ones.
    LogBehind,
    /// Another log: its entry at this place is not the directory's. One of the two was shown to nobody else.
    Different,
}

impl Entry {
    /// Compares the entry with an account log of this length. `hash_at` is the hash of the log's entry of
    /// that number, from 1.
    #[must_use]
    pub fn compare(
        &self,
        log_length: u64,
        hash_at: impl FnOnce(u64) -> Option<[u8; 32]>,
    ) -> Agreement {
        if self.head.length > log_length {
            return Agreement::LogBehind;
        }
        if hash_at(self.head.length) != Some(self.head.hash) {
            return Agreement::Different;
        }
        if self.head.length < log_length {
            return Agreement::DirectoryBehind;
        }
        Agreement::Same
    }
}

/// The versions of a name's entry, checked to be in order: versions and epochs ascend, and logs grow.
pub(crate) fn in_order(entries: &[Entry]) -> Result<(), ProofError> {
    for pair in entries.windows(2) {
        let [before, after] = pair else { continue };
        if after.version <= before.version || after.epoch <= before.epoch {
            return Err(ProofError::Rule("the versions of an entry are out of order"));
        }
        if after.head.length <= before.head.length {
            return Err(ProofError::Rule("an account log became shorter"));
        }
    }
    Ok(())
}

/// Reads a list of at most this many elements.
pub(crate) fn take_list<T: Decode>(
    r: &mut Reader<'_>,
    most: usize,
    field: &'static str,
) -> Result<Vec<T>, DecodeError> {
    let list: Vec<T> = Vec::decode(r)?;
    if list.len() > most {
        return Err(DecodeError::InvalidValue { field, value: list.len() as u64 });
    }
    Ok(list)
}
