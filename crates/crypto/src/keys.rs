use crate::{CryptoError, Secret};
use alloc::boxed::Box;
use alloc::sync::Arc;
use conclave_wire::{HpkePublicKey, SignaturePublicKey};
use core::any::Any;
use core::fmt;
use once_cell::race::OnceBox;

/// A KEM private key as RFC 9180's `SerializePrivateKey` encodes it; for the KEMs beyond DHKEM, the seed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HpkePrivateKey(pub Secret);

/// A KEM key pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HpkeKeyPair {
    /// The private key.
    pub private: HpkePrivateKey,
    /// The public key.
    pub public: HpkePublicKey,
}

/// A signature key pair. The application and its provider agree on what the private part's bytes are: a seed
/// or scalar for Conclave's providers, a handle for a provider that asks a key store.
#[derive(Clone)]
pub struct SignatureKeyPair {
    /// The private key: an EdDSA or ML-DSA seed, or an ECDSA scalar in big-endian order.
    pub private: Secret,
    /// The public key, as in a leaf node.
    pub public: SignaturePublicKey,
    prepared: Arc<OnceBox<Prepared>>,
}

/// What a provider has computed from a key pair, with the halves that it was computed from.
struct Prepared {
    private: Secret,
    public: SignaturePublicKey,
    value: Arc<dyn Any + Send + Sync>,
}

impl SignatureKeyPair {
    /// A key pair. Whether its halves belong together is checked when it signs.
    #[must_use]
    pub fn new(private: Secret, public: SignaturePublicKey) -> Self {
        Self { private, public, prepared: Arc::default() }
    }

    /// What a provider computes from the key pair before it can sign: computed once, and kept with the pair
    /// and its clones.
    ///
    /// # Errors
    /// The error of `make`.
    pub fn prepared<T: Any + Send + Sync>(
        &self,
        make: impl Fn(&Secret, &SignaturePublicKey) -> Result<T, CryptoError>,
    ) -> Result<Arc<T>, CryptoError> {
        let make = || Ok(Arc::new(make(&self.private, &self.public)?));
        let kept = self.prepared.get_or_try_init(|| {
            let value: Arc<T> = make()?;
            let private = self.private.clone();
            let public = self.public.clone();
            Ok::<_, CryptoError>(Box::new(Prepared { private, public, value }))
        })?;

        // The halves may have changed since, and another provider may have been first.
        let same = kept.public == self.public && kept.private == self.private;
        let value = same.then(|| Arc::clone(&kept.value).downcast().ok()).flatten();
        value.map_or_else(make, Ok)
    }
}

impl PartialEq for SignatureKeyPair {
    fn eq(&self, other: &Self) -> bool {
        self.private == other.private && self.public == other.public
    }
}

impl Eq for SignatureKeyPair {}

impl fmt::Debug for SignatureKeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignatureKeyPair").field("public", &self.public).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use core::cell::Cell;

    #[test]
    fn a_key_pair_is_prepared_once_for_each_key_and_provider() {
        let times = Cell::new(0);
        let first_byte = |private: &Secret, _: &SignaturePublicKey| {
            times.set(times.get() + 1);
            private.expose().first().copied().ok_or(CryptoError::InvalidPrivateKey)
        };
        let public = SignaturePublicKey::from(&[9][..]);
        let pair = SignatureKeyPair::new(Secret::copy_from(&[1]), public.clone());
        let clone = pair.clone();
        assert_eq!([&pair, &pair, &clone].map(|p| *p.prepared(first_byte).unwrap()), [1; 3]);
        assert_eq!(times.get(), 1);

        let mut changed = pair.clone();
        changed.private = Secret::copy_from(&[2]);
        assert_eq!(*changed.prepared(first_byte).unwrap(), 2);

        let other = |_: &Secret, public: &SignaturePublicKey| Ok(public.to_vec());
        assert_eq!(*pair.prepared(other).unwrap(), [9]);
        assert_eq!(*pair.prepared(first_byte).unwrap(), 1);

        let none = SignatureKeyPair::new(Secret::default(), public);
        assert_eq!(none.prepared(first_byte), Err(CryptoError::InvalidPrivateKey));
    }
}
