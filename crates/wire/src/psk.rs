//! Identifiers of pre-shared keys (section 8.4).

use crate::code_points::ComponentId;
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
    /// A PSK that a component of the application provides (draft-ietf-mls-extensions-10, "Pre-Shared
    /// Keys"). Components' PSKs are kept apart from each other's and from external ones.
    Application {
        /// The component.
        component_id: ComponentId,
        /// The component's identifier of the PSK.
        psk_id: Bytes,
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
            Self::Application { component_id, psk_id } => {
                3u8.encode(w)?;
                component_id.encode(w)?;
                psk_id.encode(w)
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
            3 => Ok(Self::Application {
                component_id: Decode::decode(r)?,
                psk_id: Decode::decode(r)?,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_components_psk_names_component_and_psk() {
        let psktype = PskType::Application {
            component_id: ComponentId(0x8001),
            psk_id: b"id".as_slice().into(),
        };
        let id = PreSharedKeyId { psktype, psk_nonce: [9, 9].into() };
        let bytes = id.to_bytes().unwrap();
        assert_eq!(bytes, b"\x03\x80\x01\x02id\x02\x09\x09");
        assert_eq!(PreSharedKeyId::from_bytes(&bytes), Ok(id));
    }
}
