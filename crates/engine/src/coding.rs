//! What the encodings of stored records have in common.

use conclave_mls::wire::codec::{Decode, DecodeError, EncodeError, Reader, Writer};

/// The format of the records; a later one gets another number.
pub(crate) const VERSION: u8 = 1;

pub(crate) fn check_version(r: &mut Reader<'_>) -> Result<(), DecodeError> {
    match u8::decode(r)? {
        VERSION => Ok(()),
        other => unknown("record version", other),
    }
}

pub(crate) fn unknown<T>(field: &'static str, value: u8) -> Result<T, DecodeError> {
    Err(DecodeError::InvalidValue { field, value: value.into() })
}

pub(crate) fn flag(r: &mut Reader<'_>) -> Result<bool, DecodeError> {
    Ok(u8::decode(r)? != 0)
}

pub(crate) fn put_text(w: &mut Writer, text: &str) -> Result<(), EncodeError> {
    w.put_opaque(text.as_bytes())
}

pub(crate) fn text(r: &mut Reader<'_>) -> Result<String, DecodeError> {
    let bytes = r.opaque()?;
    let invalid = DecodeError::InvalidValue { field: "text", value: bytes.len() as u64 };
    core::str::from_utf8(bytes).map(str::to_string).map_err(|_| invalid)
}
