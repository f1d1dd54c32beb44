//! What an account can grow to.

/// The most entries of a log.
pub const MAX_ENTRIES: u64 = 1024;
/// The most active devices of an account.
pub const MAX_DEVICES: usize = 50;
/// The longest entry, in bytes.
pub const MAX_ENTRY: usize = 24 << 10;
/// The longest public key, in bytes: an ML-DSA-87 key has 2592.
pub const MAX_KEY: usize = 4 << 10;
/// The longest signature, in bytes: one of ML-DSA-87 has 4627.
pub const MAX_SIGNATURE: usize = 8 << 10;
