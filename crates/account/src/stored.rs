//! The stored form of an account.

use crate::account::{Account, AccountId, Device, End, Head};
use crate::entry::{Author, decode_hash, decode_key, decode_scheme, decode_time};
use crate::limits::{MAX_DEVICES, MAX_ENTRIES};
use crate::names::Name;
use alloc::vec::Vec;
use conclave_mls::wire::codec::{Decode, DecodeError, Encode, EncodeError, Reader, Writer};

const VERSION: u8 = 1;

impl Encode for End {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        self.at.as_secs().encode(w)?;
        self.by.encode(w)?;
        u8::from(self.rotated).encode(w)
    }
}

impl Decode for End {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let at = decode_time(r)?;
        let by = Author::decode(r)?;
        let rotated = match u8::decode(r)? {
            0 => false,
            1 => true,
            other => {
                return Err(DecodeError::InvalidValue { field: "rotated", value: other.into() });
            }
        };
        Ok(Self { at, by, rotated })
    }
}

impl Encode for Device {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        self.name.encode(w)?;
        self.scheme.code_point().encode(w)?;
        self.key.encode(w)?;
        self.added_at.as_secs().encode(w)?;
        self.added_by.encode(w)?;
        self.ended.encode(w)
    }
}

impl Decode for Device {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            name: Name::decode(r)?,
            scheme: decode_scheme(r)?,
            key: decode_key(r)?,
            added_at: decode_time(r)?,
            added_by: Author::decode(r)?,
            ended: Decode::decode(r)?,
        })
    }
}

impl Encode for Account {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        VERSION.encode(w)?;
        self.user.encode(w)?;
        w.put_opaque(&self.id.0)?;
        self.head.length.encode(w)?;
        w.put_opaque(&self.head.hash)?;
        self.last_at.as_secs().encode(w)?;
        self.devices.encode(w)?;
        match &self.recovery {
            None => 0u8.encode(w)?,
            Some((scheme, key)) => {
                1u8.encode(w)?;
                scheme.code_point().encode(w)?;
                key.encode(w)?;
            }
        }
        self.former_recovery.encode(w)
    }
}

impl Decode for Account {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let invalid = |field, value| DecodeError::InvalidValue { field, value };
        let version = u8::decode(r)?;
        if version != VERSION {
            return Err(invalid("stored account version", version.into()));
        }

        let user = Name::decode(r)?;
        let id = AccountId(decode_hash(r)?);
        let head = Head { length: u64::decode(r)?, hash: decode_hash(r)? };
        if head.length == 0 || head.length > MAX_ENTRIES {
            return Err(invalid("account length", head.length));
        }
        let last_at = decode_time(r)?;

        let devices: Vec<Device> = Decode::decode(r)?;
        let active = devices.iter().filter(|device| device.is_active()).count();
        if active > MAX_DEVICES {
            return Err(invalid("active devices", active as u64));
        }
        let recovery = match u8::decode(r)? {
            0 => None,
            1 => Some((decode_scheme(r)?, decode_key(r)?)),
            other => return Err(DecodeError::InvalidPresence(other)),
        };
        let former_recovery = Decode::decode(r)?;
        Ok(Self { user, id, head, last_at, devices, recovery, former_recovery })
    }
}
