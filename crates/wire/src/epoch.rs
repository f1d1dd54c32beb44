//! The number of an epoch.

use crate::codec::{Decode, DecodeError, Encode, EncodeError, Reader, Writer};
use core::fmt;

/// The number of an epoch, counted from 0 at the group's creation (section 8.1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Epoch(pub u64);

impl Epoch {
    /// The epoch of a group's creation.
    pub const FIRST: Self = Self(0);

    /// The epoch after this one; none after the last that the number can count.
    #[must_use]
    pub const fn next(self) -> Option<Self> {
        match self.0.checked_add(1) {
            Some(next) => Some(Self(next)),
            None => None,
        }
    }
}

impl fmt::Debug for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl From<u64> for Epoch {
    fn from(number: u64) -> Self {
        Self(number)
    }
}

impl Encode for Epoch {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        self.0.encode(w)
    }
}

impl Decode for Epoch {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        u64::decode(r).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn epochs_count_up_to_the_last() {
        assert_eq!(Epoch::FIRST.next(), Some(Epoch(1)));
        assert_eq!(Epoch(u64::MAX - 1).next(), Some(Epoch(u64::MAX)));
        assert_eq!(Epoch(u64::MAX).next(), None);
    }

    #[test]
    fn an_epoch_prints_and_encodes_as_its_number() {
        let epoch = Epoch::from(0x0102);
        assert_eq!(format!("{epoch} {epoch:?}"), "258 258");
        assert_eq!(epoch.to_bytes(), 0x0102u64.to_bytes());
        assert_eq!(Epoch::from_bytes(&[0, 0, 0, 0, 0, 0, 1, 2]), Ok(epoch));
    }
}
