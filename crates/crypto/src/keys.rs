use crate::Secret;
use conclave_wire::{HpkePublicKey, SignaturePublicKey};
use core::fmt;

/// A KEM private key, encoded as RFC 9180's `SerializePrivateKey` does.
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

/// A signature key pair. What the private part's bytes are is between the application and the
/// provider: a seed or scalar for the providers here, a handle for one that asks a key store.
#[derive(Clone, PartialEq, Eq)]
pub struct SignatureKeyPair {
    /// The private key: an EdDSA seed, or an ECDSA scalar in big-endian order.
    pub private: Secret,
    /// The public key, as in a leaf node.
    pub public: SignaturePublicKey,
}

impl fmt::Debug for SignatureKeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignatureKeyPair").field("public", &self.public).finish_non_exhaustive()
    }
}
