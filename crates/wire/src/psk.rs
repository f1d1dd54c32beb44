//! Identifiers of pre-shared keys (section 8.4).

use crate::codec::{Decode, DecodeError, Encode, EncodeError, Reader, Writer, codec, small_enum};
use crate::epoch::Epoch;
use crate::ids::{Bytes, GroupId};

small_enum! {
    /// What a resumption PSK is used for.
    ResumptionPskUsage {
        /// By the application.
        Application = 1,
        /// To link a group to the one that it replaces (section 11.2).
        Reinit = 2,
        /// To link a group to the one that it branches off (section 11.3).
        Branch = 3,
    }
}

/// Where a PSK comes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PskType {
    /// The application provides it.
    External {
        /// The application's name for it.
        psk_id: Bytes,
    },
    /// It is the `resumption_psk` of an epoch of a group.
    Resumption {
        /// What it is used for.
        usage: ResumptionPskUsage,
        /// The group.
        psk_group_id: GroupId,
        /// The epoch.
        psk_epoch: Epoch,
    },
}

/// Names a PSK, once: the nonce is fresh each time one is injected.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PreSharedKeyId {
    /// Where it comes from.
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
