//! A group's log as a chain of hashes: whoever knows the last one can check everything before it.

use super::{
    ContentType, Decode, DecodeError, DeviceId, Encode, EncodeError, GroupId, LogEntry, Reader,
    Writer, to_hex,
};
use core::fmt;
use sha2::{Digest, Sha256};

/// Separates the hash of a log from other hashes.
const LABEL: &[u8] = b"Conclave log entry 1";

/// SHA-256 of bytes.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// The hash of a group's log up to an entry: that of the entry and of the [`ChainHash`] before it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChainHash(pub [u8; 32]);

impl ChainHash {
    /// The hash of a log without entries.
    pub const EMPTY: Self = Self([0; 32]);
}

impl fmt::Debug for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&to_hex(self.0.get(..4).unwrap_or_default()))
    }
}

impl fmt::Display for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&to_hex(&self.0))
    }
}

impl Encode for ChainHash {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        w.put(&self.0);
        Ok(())
    }
}

impl Decode for ChainHash {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.take_array().map(Self)
    }
}

/// The hashes of a log after each of these entries, ascending; none if they have gaps or do not lead to this place.
pub(crate) fn chains(
    group: &GroupId,
    mut chain: ChainHash,
    entries: &[LogEntry],
    end: LogPosition,
) -> Option<Vec<ChainHash>> {
    let before = end.seq.checked_sub(entries.len() as u64)?;
    let mut chains = Vec::with_capacity(entries.len());
    for (index, entry) in entries.iter().enumerate() {
        // No more than where they end, however far that is.
        let seq = before + index as u64 + 1;
        chain = ChainInput::of(group, entry).after(&chain).ok().filter(|_| entry.seq == seq)?;
        chains.push(chain);
    }
    (end.chain == chain).then_some(chains)
}

/// A place in a group's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogPosition {
    /// The number of an entry; 0 for the beginning of the log.
    pub seq: u64,
    /// The epoch that the group is in after that entry.
    pub epoch: u64,
    /// The hash of the log up to and with that entry.
    pub chain: ChainHash,
}

impl LogPosition {
    /// The beginning of the log of a group that is created in an epoch.
    #[must_use]
    pub fn beginning(epoch: u64) -> Self {
        Self { seq: 0, epoch, chain: ChainHash::EMPTY }
    }
}

impl Encode for LogPosition {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        self.seq.encode(w)?;
        self.epoch.encode(w)?;
        self.chain.encode(w)
    }
}

impl Decode for LogPosition {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (seq, epoch) = (Decode::decode(r)?, Decode::decode(r)?);
        Ok(Self { seq, epoch, chain: Decode::decode(r)? })
    }
}

/// An entry of a log as its hash sees it: the service and its clients compute [`ChainHash`]es by it alone.
///
/// ```text
/// struct {
///     opaque label<V> = "Conclave log entry 1";
///     opaque group_id<V>;
///     uint64 seq;
///     uint64 epoch;
///     ContentType content_type;       // uint8
///     DeviceId sender;
///     uint64 received_at;
///     opaque message_hash[32];        // SHA-256(message)
///     opaque before[32];              // the hash before this entry; zeros before the first
/// } ChainInput;                       // the hash is SHA-256(ChainInput)
/// ```
///
/// It names neither the service's key nor its incarnation: a log goes on as it was when the service is restored from
/// a backup. [`Receipt`](super::Receipt)s name both.
#[derive(Clone, Copy, Debug)]
pub struct ChainInput<'a> {
    /// The group.
    pub group_id: &'a GroupId,
    /// The entry's number.
    pub seq: u64,
    /// The epoch that the message was made in.
    pub epoch: u64,
    /// What the message holds.
    pub content_type: ContentType,
    /// Who submitted it.
    pub sender: &'a DeviceId,
    /// When it came, in seconds since 1970.
    pub received_at: u64,
    /// SHA-256 of the message.
    pub message_hash: [u8; 32],
}

impl<'a> ChainInput<'a> {
    /// An entry of a group's log.
    #[must_use]
    pub fn of(group_id: &'a GroupId, entry: &'a LogEntry) -> Self {
        Self {
            group_id,
            seq: entry.seq,
            epoch: entry.epoch,
            content_type: entry.content_type,
            sender: &entry.sender,
            received_at: entry.received_at,
            message_hash: sha256(&entry.message),
        }
    }

    /// The hash of the log with this entry, by the one of the log before it.
    ///
    /// # Errors
    /// If the group's identifier is longer than can be encoded.
    pub fn after(&self, before: &ChainHash) -> Result<ChainHash, EncodeError> {
        let mut w = Writer::new();
        w.put_opaque(LABEL)?;
        self.group_id.encode(&mut w)?;
        self.seq.encode(&mut w)?;
        self.epoch.encode(&mut w)?;
        (self.content_type as u8).encode(&mut w)?;
        self.sender.encode(&mut w)?;
        self.received_at.encode(&mut w)?;
        w.put(&self.message_hash);
        before.encode(&mut w)?;
        Ok(ChainHash(sha256(w.written())))
    }
}
