//! What is known of a group, as bytes.

use conclave_mls::crypto::Secret;
use conclave_mls::observe::Observer;
use conclave_mls::storage::{RowKey, Table};
use conclave_mls::wire::codec::{Reader, Writer};
use conclave_mls::wire::{Decode, DecodeError, Encode, EncodeError};
use core::fmt;

/// What the bytes begin with, and the version of what follows.
const MAGIC: u32 = u32::from_be_bytes(*b"CGST");
const VERSION: u8 = 1;

/// The public state of a group after all that was found valid so far.
#[derive(Clone, PartialEq, Eq)]
pub struct GroupState {
    epoch: u64,
    rows: Vec<(RowKey, Vec<u8>)>,
}

/// Bytes that are no [`GroupState`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateError(DecodeError);

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "this is no state of a group as a verdict gives it out: {}", self.0)
    }
}

impl core::error::Error for StateError {}

impl fmt::Debug for GroupState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupState").field("epoch", &self.epoch).finish_non_exhaustive()
    }
}

impl GroupState {
    /// The state of an observer.
    pub(crate) fn of(observer: &Observer) -> Result<Self, conclave_mls::Error> {
        let rows = observer.rows()?.rows.into_iter();
        let rows = rows.filter_map(|(key, row)| Some((key, row?.expose().to_vec()))).collect();
        Ok(Self { epoch: observer.epoch().0, rows })
    }

    /// The rows that an observer is loaded from.
    pub(crate) fn rows(&self) -> impl Iterator<Item = (RowKey, Secret)> {
        self.rows.iter().map(|(key, row)| (*key, Secret::new(row.clone())))
    }

    /// The group's epoch.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The state as bytes to store. Whatever was ever given out stays readable.
    ///
    /// # Errors
    /// If the state is longer than a length can say: 1 GiB.
    pub fn to_bytes(&self) -> Result<Vec<u8>, EncodeError> {
        let mut w = Writer::new();
        MAGIC.encode(&mut w)?;
        VERSION.encode(&mut w)?;
        self.epoch.encode(&mut w)?;
        for (key, row) in &self.rows {
            (key.table as u8).encode(&mut w)?;
            key.epoch.encode(&mut w)?;
            key.index.encode(&mut w)?;
            w.put_opaque(row)?;
        }
        Ok(w.finish())
    }

    /// The state in bytes. Whether its parts fit together shows when it is used.
    ///
    /// # Errors
    /// If these are other bytes, or of a newer version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, StateError> {
        Self::read(bytes).map_err(StateError)
    }

    fn read(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes);
        let magic = u32::decode(&mut r)?;
        if magic != MAGIC {
            return Err(DecodeError::InvalidValue { field: "GroupState", value: magic.into() });
        }
        let version = u8::decode(&mut r)?;
        if version != VERSION {
            let value = version.into();
            return Err(DecodeError::InvalidValue { field: "GroupState.version", value });
        }
        let epoch = u64::decode(&mut r)?;
        let mut rows = Vec::new();
        while !r.is_empty() {
            let number = u8::decode(&mut r)?;
            let invalid = DecodeError::InvalidValue { field: "Table", value: number.into() };
            let table = Table::from_number(number).ok_or(invalid)?;
            let (row_epoch, index) = (u64::decode(&mut r)?, u64::decode(&mut r)?);
            let key = RowKey { table, epoch: row_epoch, index };
            rows.push((key, r.opaque()?.to_vec()));
        }
        Ok(Self { epoch, rows })
    }
}
