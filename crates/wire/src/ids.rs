//! Opaque identifiers.

use crate::codec::{Decode, DecodeError, Encode, EncodeError, Reader, Writer};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

/// An `opaque<V>`: bytes with a length header. Prints as hexadecimal; long values are shortened.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Bytes(Box<[u8]>);

impl Bytes {
    /// The bytes.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        &self.0
    }

    /// The bytes as a vector, without copying.
    #[must_use]
    pub fn into_vec(self) -> Vec<u8> {
        self.0.into_vec()
    }
}

impl core::ops::Deref for Bytes {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(v: Vec<u8>) -> Self {
        Self(v.into_boxed_slice())
    }
}

impl From<&[u8]> for Bytes {
    fn from(v: &[u8]) -> Self {
        Self(v.into())
    }
}

impl<const N: usize> From<[u8; N]> for Bytes {
    fn from(v: [u8; N]) -> Self {
        Self(v.as_slice().into())
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 16;
        for byte in self.0.iter().take(SHOWN) {
            write!(f, "{byte:02x}")?;
        }
        if self.0.len() > SHOWN {
            write!(f, "…({} bytes)", self.0.len())?;
        }
        Ok(())
    }
}

impl Encode for Bytes {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        w.put_opaque(&self.0)
    }
}

impl Decode for Bytes {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(r.opaque()?.into())
    }
}

macro_rules! opaque {
    ($($(#[$meta:meta])* $name:ident;)*) => {$(
        $(#[$meta])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub Bytes);

        impl core::ops::Deref for $name {
            type Target = [u8];
            fn deref(&self) -> &[u8] {
                &self.0
            }
        }
        impl AsRef<[u8]> for $name {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }
        impl<T: Into<Bytes>> From<T> for $name {
            fn from(v: T) -> Self {
                Self(v.into())
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:?})"), self.0)
            }
        }
        impl Encode for $name {
            fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
                self.0.encode(w)
            }
        }
        impl Decode for $name {
            fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
                Bytes::decode(r).map(Self)
            }
        }
    )*};
}

opaque! {
    /// A public key of the cipher suite's KEM (section 5.1.1).
    HpkePublicKey;
    /// A public key of the cipher suite's signature scheme (section 5.1.1).
    SignaturePublicKey;
    /// A group's identifier, chosen by its creator (section 11).
    GroupId;
    /// A hash that identifies an object (section 5.2).
    HashReference;
    /// A message authentication code (section 6.1). Compare it in constant time.
    Mac;
}

/// The [`HashReference`] of a KeyPackage (section 5.2).
pub type KeyPackageRef = HashReference;
/// The [`HashReference`] of the AuthenticatedContent of a proposal (section 5.2).
pub type ProposalRef = HashReference;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_opaque_value_gives_its_bytes_in_every_form() {
        let bytes = Bytes::from([1, 2, 3]);
        let seen: [&[u8]; 3] = [&bytes, bytes.as_slice(), bytes.as_ref()];
        assert_eq!(seen, [&[1, 2, 3]; 3]);
        assert_eq!(bytes.into_vec(), [1, 2, 3]);
    }
}
