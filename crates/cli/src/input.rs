//! What several commands take from outside: the time, and bytes that are written as text.

use crate::failure::Failure;
use base64ct::{Base64, Encoding};
use conclave_mls::UnixTime;
use std::time::SystemTime;

/// The time by this machine's clock.
pub(crate) fn now() -> Result<UnixTime, Failure> {
    Ok(UnixTime::try_from(SystemTime::now())?)
}

/// Reads padded base64. None if it is none.
pub(crate) fn parse_base64(text: &str) -> Option<Vec<u8>> {
    Base64::decode_vec(text).ok()
}
