//! DHKEM (RFC 9180 section 4.1).

use crate::labeled::{Labeled, SuiteId};
use crate::{CryptoError, CryptoProvider, DhGroup, HpkeKeyPair, HpkePrivateKey, Kdf, Kem, Secret};
use alloc::vec::Vec;
use conclave_wire::HpkePublicKey;

/// A DHKEM over a provider.
pub(super) struct DhKem<'a> {
    labeled: Labeled<'a>,
    group: DhGroup,
}

impl<'a> DhKem<'a> {
    pub(super) fn new(
        provider: &'a dyn CryptoProvider,
        kem: Kem,
        group: DhGroup,
        kdf: Kdf,
    ) -> Self {
        Self { labeled: Labeled { provider, kdf, suite_id: SuiteId::kem(kem) }, group }
    }

    /// The private key that `DeriveKeyPair` (section 7.1.3) derives from `ikm`, and what `set_up` makes of
    /// it. A candidate that `set_up` calls an invalid private key is skipped.
    fn derive_key<T>(
        &self,
        ikm: &Secret,
        set_up: impl Fn(&Secret) -> Result<T, CryptoError>,
    ) -> Result<(Secret, T), CryptoError> {
        let dkp_prk = self.labeled.extract(&[], b"dkp_prk", ikm.expose())?;
        let n = self.group.private_key_len();

        let mask = match self.group {
            DhGroup::X25519 | DhGroup::X448 => {
                let private = self.labeled.expand(&dkp_prk, b"sk", &[], n)?;
                let made = set_up(&private)?;
                return Ok((private, made));
            }
            DhGroup::P256 | DhGroup::P384 => 0xff,
            DhGroup::P521 => 0x01,
        };

        for counter in 0..=u8::MAX {
            let mut private = self.labeled.expand(&dkp_prk, b"candidate", &[&[counter]], n)?;
            if let Some(first) = private.expose_mut().first_mut() {
                *first &= mask;
            }

            match set_up(&private) {
                Ok(made) => return Ok((private, made)),
                Err(CryptoError::InvalidPrivateKey) => {}
                Err(other) => return Err(other),
            }
        }
        Err(CryptoError::KeyDerivationFailed)
    }

    /// `DeriveKeyPair` (section 7.1.3).
    pub(super) fn derive_key_pair(&self, ikm: &Secret) -> Result<HpkeKeyPair, CryptoError> {
        let set_up = |private: &Secret| self.labeled.provider.dh_public_key(self.group, private);
        let (private, public) = self.derive_key(ikm, set_up)?;
        Ok(HpkeKeyPair { private: HpkePrivateKey(private), public: public.into() })
    }

    fn shared_secret(
        &self,
        dh: &Secret,
        kem_output: &[u8],
        public: &[u8],
    ) -> Result<Secret, CryptoError> {
        let eae_prk = self.labeled.extract(&[], b"eae_prk", dh.expose())?;
        let n = self.labeled.kdf.extract_len();
        self.labeled.expand(&eae_prk, b"shared_secret", &[kem_output, public], n)
    }

    /// `Encap` with the ephemeral key pair derived from `seed`.
    pub(super) fn encap(
        &self,
        public: &HpkePublicKey,
        seed: &Secret,
    ) -> Result<(Vec<u8>, Secret), CryptoError> {
        let set_up = |private: &Secret| self.labeled.provider.dh_both(self.group, private, public);
        let (_, (kem_output, dh)) = self.derive_key(seed, set_up)?;
        let secret = self.shared_secret(&dh, &kem_output, public)?;
        Ok((kem_output, secret))
    }

    /// `Decap`.
    pub(super) fn decap(
        &self,
        key_pair: &HpkeKeyPair,
        kem_output: &[u8],
    ) -> Result<Secret, CryptoError> {
        let dh = self.labeled.provider.dh(self.group, &key_pair.private.0, kem_output)?;
        self.shared_secret(&dh, kem_output, &key_pair.public)
    }
}
