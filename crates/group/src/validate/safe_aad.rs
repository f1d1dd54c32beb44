//! The authenticated data of messages in a group that requires safe AAD (draft-ietf-mls-extensions-10,
//! "Safe Additional Authenticated Data").

use crate::error::{Error, Misuse, Rejection};
use conclave_wire::{
    AppDataDictionary, Bytes, ComponentId, Decode, DecodeError, Encode, Extension, SafeAad,
};

/// Whether all authenticated data of an epoch with these GroupContext extensions is a SafeAAD. Every
/// message asks, so the dictionary is not decoded.
pub(crate) fn is_required(extensions: &[Extension]) -> Result<bool, DecodeError> {
    Ok(AppDataDictionary::find_data(extensions, ComponentId::SAFE_AAD)?.is_some())
}

/// Checks the authenticated data of a received message of an epoch with these GroupContext extensions.
pub(crate) fn check_received(extensions: &[Extension], data: &[u8]) -> Result<(), Error> {
    if is_required(extensions)? {
        SafeAad::from_bytes(data).map_err(Rejection::SafeAad)?;
    }
    Ok(())
}

/// The authenticated data of a message to send. If a SafeAAD is required, no data becomes the SafeAAD
/// without items.
pub(crate) fn to_send(required: bool, data: &[u8]) -> Result<Bytes, Error> {
    if required {
        if data.is_empty() {
            return Ok(SafeAad::default().to_bytes()?.into());
        }
        SafeAad::from_bytes(data).map_err(Misuse::NotSafeAad)?;
    }
    Ok(data.into())
}
