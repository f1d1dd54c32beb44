//! The user's devices that were removed after a long silence: they come back when they run again.

use crate::coding::{VERSION, check_version};
use conclave_delivery_api::Name;
use conclave_mls::key_package::KeyPackage;
use conclave_mls::wire::LeafNodeSource;
use conclave_mls::wire::codec::{Decode, DecodeError, Encode, EncodeError, Reader, Writer};

/// How long before it was made a key package may begin to be valid, in seconds: devices let it begin an hour early, and
/// clocks are off by ten minutes at most.
const SLACK: u64 = 2 * 60 * 60;

/// A device of the user's that a group waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Awaited {
    pub(crate) device: Name,
    /// When it was removed, by the service's clock, in seconds since 1970.
    pub(crate) removed_at: u64,
}

impl Encode for Awaited {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        VERSION.encode(w)?;
        self.device.encode(w)?;
        self.removed_at.encode(w)
    }
}

impl Decode for Awaited {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        check_version(r)?;
        Ok(Self { device: Decode::decode(r)?, removed_at: Decode::decode(r)? })
    }
}

/// Whether a key package was made since a time, in seconds since 1970.
pub(crate) fn is_made_since(package: &KeyPackage, time: u64) -> bool {
    match &package.leaf_node.leaf_node_source {
        LeafNodeSource::KeyPackage(lifetime) => lifetime.not_before.saturating_add(SLACK) > time,
        _ => false,
    }
}
