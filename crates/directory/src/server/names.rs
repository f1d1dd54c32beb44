use akd::ecvrf::{VRFPrivateKey, VRFPublicKey};
use conclave_mls::crypto::{CryptoRng, Secret};
use core::fmt;
use std::sync::Arc;

/// The secret key of the verifiable random function that hides names: 32 random bytes.
///
/// It lives as long as the directory, beside the service's signing key and not among the records. Whoever has it
/// can find out which names are in the directory, and how often they changed; nobody can forge an entry with it.
/// A directory whose key is lost can be neither continued nor proved to anybody: its service begins a new one,
/// under a new signing key.
#[derive(Clone)]
pub struct NameKey {
    secret: Arc<Secret>,
    public: [u8; 32],
}

impl NameKey {
    /// The length in bytes.
    pub const LEN: usize = 32;

    /// A key of these bytes; none if there are not [`NameKey::LEN`] of them.
    #[must_use]
    pub fn new(secret: Secret) -> Option<Self> {
        let private = VRFPrivateKey::try_from(secret.expose()).ok()?;
        let public = VRFPublicKey::from(&private).to_bytes();
        Some(Self { secret: Arc::new(secret), public })
    }

    /// A fresh key.
    #[must_use]
    pub fn generate(rng: &mut dyn CryptoRng) -> Option<Self> {
        Self::new(Secret::random(Self::LEN, rng))
    }

    /// The bytes, to be stored where secrets are.
    #[must_use]
    pub fn secret(&self) -> &Secret {
        &self.secret
    }

    pub(crate) fn public(&self) -> [u8; 32] {
        self.public
    }
}

impl fmt::Debug for NameKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NameKey")
    }
}
