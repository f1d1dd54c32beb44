//! What a refusal says beside its code, for a client to act on.

use super::{
    Bytes, Decode, DecodeError, DeviceId, Encode, EncodeError, LogPosition, Reader, Writer, sha256,
};
use core::fmt;

/// The most fields, proposals or devices that [`Details`] list.
pub const MAX_LISTED: usize = 64;
/// The longest value of a [`FieldMisfit`], in bytes.
pub const MAX_SHOWN: usize = 64;
/// The longest encoded [`Refusal`], in bytes.
pub const MAX_REFUSAL: usize = 64 << 10;

structs! {
    /// A part of a GroupInfo or ratchet tree that does not fit the group. Of a value of more than 64 bytes, its SHA-256
    /// stands here.
    pub struct FieldMisfit {
        /// Its name in RFC 9420, such as `tree_hash`; of an extension of the GroupInfo, the extension's.
        pub field: Bytes,
        /// What the group has, encoded; none if only its members know, or it has nothing of the kind.
        pub expected: Option<Bytes>,
        /// What came, encoded; none if it is missing.
        pub found: Option<Bytes>,
    }

    /// A pending proposal that a commit has to cover and does not: refer to it, or do what it asks for, or name it in
    /// `leaves_out` of the request.
    pub struct MissingProposal {
        /// How a commit refers to it: a ProposalRef (RFC 9420 section 5.2).
        pub reference: Bytes,
        /// Its number in the log.
        pub seq: u64,
    }

    /// A device of which a message has something that its account, or its certificate, has no more.
    pub struct OutdatedDevice {
        /// The device.
        pub device: DeviceId,
        /// What has to become of it.
        pub remedy: DeviceRemedy,
    }
}

/// What is expected of a device that is out of date, or of those who meant to add it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceRemedy {
    /// It was revoked: leave it out, and remove what leaf it has.
    Remove,
    /// It has another key now: claim one of its new key packages; if it is in the group, it renews its leaf.
    Renew,
}

impl Encode for DeviceRemedy {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        let number: u8 = match self {
            Self::Remove => 1,
            Self::Renew => 2,
        };
        number.encode(w)
    }
}

impl Decode for DeviceRemedy {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match u8::decode(r)? {
            1 => Ok(Self::Remove),
            2 => Ok(Self::Renew),
            other => Err(DecodeError::InvalidValue { field: "DeviceRemedy", value: other.into() }),
        }
    }
}

impl FieldMisfit {
    /// A misfit whose values are shortened.
    #[must_use]
    pub fn of(field: &str, expected: Option<&[u8]>, found: Option<&[u8]>) -> Self {
        let shown = |value: &[u8]| match value.len() {
            ..=MAX_SHOWN => Bytes::from(value),
            _ => Bytes::from(sha256(value)),
        };
        let field = field.as_bytes().into();
        Self { field, expected: expected.map(shown), found: found.map(shown) }
    }
}

/// What is wrong with a request, and what to do about it. Each list has at most [`MAX_LISTED`] items.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Details {
    /// The parts of a GroupInfo or ratchet tree that do not fit the group, by their order in it.
    GroupInfo(Vec<FieldMisfit>),
    /// Pending proposals that a commit has to cover and does not. Fetch the log up to its end, and make the commit
    /// again with them.
    Proposals {
        /// Where the log ends.
        end: LogPosition,
        /// The proposals, by their order in the log.
        missing: Vec<MissingProposal>,
        /// How many there are in all.
        total: u32,
    },
    /// Devices of which a message holds an outdated credential or key.
    Devices {
        /// The devices, each once.
        devices: Vec<OutdatedDevice>,
        /// How many there are in all.
        total: u32,
    },
}

impl Encode for Details {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        match self {
            Self::GroupInfo(misfits) => {
                1u8.encode(w)?;
                misfits.encode(w)
            }
            Self::Proposals { end, missing, total } => {
                2u8.encode(w)?;
                end.encode(w)?;
                missing.encode(w)?;
                total.encode(w)
            }
            Self::Devices { devices, total } => {
                3u8.encode(w)?;
                devices.encode(w)?;
                total.encode(w)
            }
        }
    }
}

/// A list of at most [`MAX_LISTED`] items.
fn listed<T: Decode>(r: &mut Reader<'_>) -> Result<Vec<T>, DecodeError> {
    let list = Vec::decode(r)?;
    if list.len() > MAX_LISTED {
        return Err(DecodeError::InvalidValue { field: "Details", value: list.len() as u64 });
    }
    Ok(list)
}

impl Decode for Details {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match u8::decode(r)? {
            1 => Ok(Self::GroupInfo(listed(r)?)),
            2 => {
                let (end, missing) = (LogPosition::decode(r)?, listed(r)?);
                Ok(Self::Proposals { end, missing, total: u32::decode(r)? })
            }
            3 => Ok(Self::Devices { devices: listed(r)?, total: u32::decode(r)? }),
            other => Err(DecodeError::InvalidValue { field: "Details", value: other.into() }),
        }
    }
}

structs! {
    /// The body of a refusal with details.
    pub struct Refusal {
        /// A sentence for people, in UTF-8.
        pub detail: Bytes,
        /// What to do about it.
        pub details: Details,
    }
}

impl fmt::Display for DeviceRemedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Remove => "was revoked",
            Self::Renew => "has another key now",
        })
    }
}
