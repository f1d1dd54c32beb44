//! What stands in reasons: as words for people, and as bytes that are stored.

use crate::suites::suite_name;
use crate::who::Who;
use conclave_delivery_api::{DeviceId, Name};
use conclave_mls::CipherSuite;
use conclave_mls::wire::codec::{Decode, DecodeError, Encode, EncodeError, Reader, Writer};

/// Something that a reason names.
pub(crate) trait Field: Sized {
    fn words(&self) -> String;
    fn put(&self, w: &mut Writer) -> Result<(), EncodeError>;
    fn take(r: &mut Reader<'_>) -> Result<Self, DecodeError>;
}

impl Field for String {
    fn words(&self) -> String {
        self.clone()
    }
    fn put(&self, w: &mut Writer) -> Result<(), EncodeError> {
        w.put_opaque(self.as_bytes())
    }
    fn take(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let bytes = r.opaque()?;
        let invalid = DecodeError::InvalidValue { field: "text", value: bytes.len() as u64 };
        core::str::from_utf8(bytes).map(str::to_string).map_err(|_| invalid)
    }
}

macro_rules! fields {
    ($($type:ty => $words:expr),* $(,)?) => {
        $(impl Field for $type {
            fn words(&self) -> String {
                $words(self)
            }
            fn put(&self, w: &mut Writer) -> Result<(), EncodeError> {
                self.encode(w)
            }
            fn take(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
                Self::decode(r)
            }
        })*
    };
}

fields! {
    u32 => u32::to_string,
    u64 => u64::to_string,
    Name => Name::to_string,
    DeviceId => DeviceId::to_string,
    Who => Who::to_string,
    CipherSuite => |suite: &CipherSuite| suite_name(*suite),
}
