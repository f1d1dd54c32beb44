//! What a group's log consists of.

use super::{
    Bytes, ContentType, Decode, DecodeError, DeviceId, Encode, EncodeError, Reader, Writer,
};

/// The most entries that one page of a log or an inbox holds.
pub const MAX_PAGE: u32 = 1000;

structs! {
    /// One message of a group.
    pub struct LogEntry {
        /// Its number, from 1, without gaps.
        pub seq: u64,
        /// The epoch that it was made in.
        pub epoch: u64,
        /// What it holds.
        pub content_type: ContentType,
        /// The device that submitted it; of a proposal of the service's own, the one that is to be removed. A hint:
        /// only MLS says who a message's author is.
        pub sender: DeviceId,
        /// When it came, in seconds since 1970.
        pub received_at: u64,
        /// The MLSMessage, byte for byte as it was submitted.
        pub message: Bytes,
    }
}
