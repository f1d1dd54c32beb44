//! SHA-256 of what is too long to be in memory at once.

use conclave_delivery_api::MAX_PART;
use sha2::{Digest, Sha256};
use std::io::{self, Read};

/// Hashes all that is left of a file, part by part; the hash so far, and how many bytes these were.
pub(crate) fn hashed(file: &mut impl Read) -> io::Result<(Sha256, u64)> {
    let (mut hasher, mut length) = (Sha256::new(), 0);
    loop {
        let part = next_part(file)?;
        if part.is_empty() {
            return Ok((hasher, length));
        }
        hasher.update(&part);
        length += part.len() as u64;
    }
}

/// The next bytes of a file, [`MAX_PART`] at most; none at its end.
pub(crate) fn next_part(file: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut part = Vec::new();
    file.take(MAX_PART as u64).read_to_end(&mut part)?;
    Ok(part)
}
