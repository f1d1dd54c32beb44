//! Identifiers of pre-shared keys (section 8.4).

use crate::codec::{Decode, DecodeError, Encode, EncodeError, Reader, Writer, codec, small_enum};
use crate::epoch::Epoch;
use crate::ids::{Bytes, GroupId};

small_enum! {
    /// The use of a resumption PSK.
    ResumptionPskUsage {
        /// Any use by the application.
        Application = 1,
        /// Linking a group to the one that it replaces (section 11.2).
        Reinit = 2,
        /// Linking a group to the one that it branches from (section 11.3).
        Branch = 3,
    }
}

/// The source of a PSK.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PskType {
    /// A PSK that the application provides.
    External {
        /// The application's identifier of the PSK.
        psk_id: Bytes,
    },
    /// The `resumption_psk` of an epoch of a group.
    Resumption {
        /// The use.
        usage: ResumptionPskUsage,
        /// The group.
        psk_group_id: GroupId,
        /// The epoch.
        psk_epoch: Epoch,
    },
}

/// Identifies one use of a PSK: the nonce is fresh each time the PSK is injected.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PreSharedKeyId {
    /// The source.
    pub psktype: PskType,
    /// `KDF.Nh` random bytes.
    pub psk_nonce: Bytes,
}
codec!(PreSharedKeyId { psktype, psk_nonce });

impl Encode for PskType {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        match self {
            Self::External { psk_id } => {
                1u8.encode(w)?;
                psk_id.encode(w)
            }
            Self::Resumption { usage, psk_group_id, psk_epoch } => {
                2u8.encode(w)?;
                usage.encode(w)?;
                psk_group_id.encode(w)?;
                psk_epoch.encode(w)
            }
        }
    }
}

impl Decode for PskType {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match u8::decode(r)? {
            1 => Ok(Self::External { psk_id: Decode::decode(r)? }),
            2 => Ok(Self::Resumption {
                usage: Decode::decode(r)?,
                psk_group_id: Decode::decode(r)?,
                psk_epoch: Decode::decode(r)?,
            }),
            other => Err(DecodeError::InvalidValue { field: "PSKType", value: other.into() }),
        }
    }
}

/// PSKLabel: binds a PSK to its place in the list (section 8.4).
#[derive(Clone, Copy, Debug)]
pub struct PskLabel<'a> {
    /// The PSK.
    pub id: &'a PreSharedKeyId,
    /// Its place, from 0.
    pub index: u16,
    /// The length of the list.
    pub count: u16,
}
codec!(encode PskLabel<'a> { id, index, count });
