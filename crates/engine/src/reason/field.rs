//! The fields of reasons: as words for people, and as bytes that are stored.

use crate::coding::{put_text, text};
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
        put_text(w, self)
    }
    fn take(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        text(r)
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
