//! Which life of its state a service is in.

use super::{Decode, DecodeError, Encode, EncodeError, Reader, Writer, to_hex};
use core::fmt;

/// One life of a service's state: from when it was set up, or restored from a backup, to when it is restored.
///
/// Within one, logs only grow. After a restoration they may be shorter than they were, and go on in another way.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation {
    /// Drawn at random when it began.
    pub id: [u8; 16],
    /// How many there were of this state, with this one: 1 until the service is restored.
    pub number: u64,
}

impl fmt::Debug for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Incarnation({}, {}…)", self.number, to_hex(self.id.get(..4).unwrap_or_default()))
    }
}

impl Encode for Incarnation {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        w.put(&self.id);
        self.number.encode(w)
    }
}

impl Decode for Incarnation {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { id: r.take_array()?, number: u64::decode(r)? })
    }
}
