use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use rand_core::CryptoRng;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Secret bytes: wiped when dropped, compared in constant time, never printed.
///
/// The bytes are on the heap, so that moving a secret leaves no copy behind.
#[derive(Clone, Default)]
pub struct Secret(Box<[u8]>);

impl Zeroize for Secret {
    /// Wipes the bytes as one slice. As elements of a box or a vector they would be wiped one by one.
    fn zeroize(&mut self) {
        <[u8] as Zeroize>::zeroize(&mut self.0);
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.zeroize();
    }
}

impl ZeroizeOnDrop for Secret {}

impl Secret {
    /// A secret that takes over this buffer.
    ///
    /// A buffer with spare capacity is copied and wiped instead.
    #[must_use]
    pub fn new(mut bytes: Vec<u8>) -> Self {
        if bytes.len() == bytes.capacity() {
            return Self(bytes.into_boxed_slice());
        }

        let copy = Self(bytes.as_slice().into());
        bytes.as_mut_slice().zeroize();
        bytes.spare_capacity_mut().zeroize();
        copy
    }

    /// A secret with a copy of these bytes.
    #[must_use]
    pub fn copy_from(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }

    /// `n` zero bytes.
    #[must_use]
    pub fn zero(n: usize) -> Self {
        Self(alloc::vec![0; n].into_boxed_slice())
    }

    /// `n` random bytes.
    #[must_use]
    pub fn random(n: usize, rng: &mut dyn CryptoRng) -> Self {
        let mut secret = Self::zero(n);
        rng.fill_bytes(&mut secret.0);
        secret
    }

    /// The bytes. Do not copy them to where they are not wiped.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The bytes, to fill in.
    #[must_use]
    pub fn expose_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }

    /// The number of bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{format, vec};

    #[test]
    fn a_secret_does_not_print_itself() {
        let secret = Secret::new(vec![0xab; 32]);
        let shown = format!("{secret:?} {:#?}", Some(&secret));
        assert!(!shown.contains("ab") && !shown.contains("171"), "{shown}");
    }

    #[test]
    fn secrets_of_different_length_differ() {
        for n in [0, 1, 31, 33] {
            assert_ne!(Secret::zero(32), Secret::zero(n));
        }
        assert_eq!(Secret::zero(32), Secret::zero(32));
    }
}
