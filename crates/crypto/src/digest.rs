use core::fmt;

/// The longest digest of any [`Hash`](crate::Hash), in bytes.
pub const MAX_DIGEST_LEN: usize = 64;

/// The output of a hash function: up to [`MAX_DIGEST_LEN`] bytes, kept inline. Not a secret.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest {
    bytes: [u8; MAX_DIGEST_LEN],
    len: u8,
}

impl Digest {
    /// A digest of these bytes, or `None` if there are more than [`MAX_DIGEST_LEN`].
    #[must_use]
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let mut all = [0; MAX_DIGEST_LEN];
        all.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(Self { bytes: all, len: bytes.len() as u8 })
    }
}

impl core::ops::Deref for Digest {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn a_digest_prints_its_bytes_and_holds_at_most_64() {
        let digest = Digest::new(&[0x0a, 0xff, 0]).unwrap();
        assert_eq!(*digest, [0x0a, 0xff, 0]);
        assert_eq!(format!("{digest:?}"), "0aff00");

        let most = [7; MAX_DIGEST_LEN + 1];
        assert_eq!(&*Digest::new(&most[..MAX_DIGEST_LEN]).unwrap(), &most[..MAX_DIGEST_LEN]);
        assert_eq!(Digest::new(&most), None);
    }
}
