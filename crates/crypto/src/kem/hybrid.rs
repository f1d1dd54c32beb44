//! Hybrid KEMs of ML-KEM and a Diffie-Hellman group (draft-irtf-cfrg-concrete-hybrid-kems as used by
//! draft-ietf-hpke-pq; X-Wing is one of them).
//!
//! As in DHKEM, a key agreement that gives all zeros is refused.

use crate::{CryptoError, CryptoProvider, HybridKem, MlKem, Secret};
use alloc::vec::Vec;

/// A hybrid over a provider.
pub(super) struct Hybrid<'a> {
    pub(super) provider: &'a dyn CryptoProvider,
    pub(super) parts: HybridKem,
}

impl Hybrid<'_> {
    /// `expandDecapsKeyG`: the seeds of the ML-KEM key and of the group's key.
    fn expand(&self, private: &Secret) -> Result<(Secret, Secret), CryptoError> {
        if private.len() != HybridKem::SEED_LEN {
            return Err(CryptoError::InvalidPrivateKey);
        }

        let n = MlKem::SEED_LEN + self.parts.group_seed_len;
        split(&self.provider.shake256(&[private.expose()], n)?, MlKem::SEED_LEN)
    }

    /// `RandomScalar`: what `set_up` makes of the first candidate in `seed` that is a valid private key.
    fn with_scalar<T>(
        &self,
        seed: &Secret,
        set_up: impl Fn(&Secret) -> Result<T, CryptoError>,
    ) -> Result<T, CryptoError> {
        for candidate in seed.expose().chunks_exact(self.parts.group.private_key_len()) {
            match set_up(&Secret::copy_from(candidate)) {
                Err(CryptoError::InvalidPrivateKey) => {}
                result => return result,
            }
        }
        Err(CryptoError::KeyDerivationFailed)
    }

    /// The public keys of both parts.
    fn split_public<'k>(&self, public: &'k [u8]) -> Result<(&'k [u8], &'k [u8]), CryptoError> {
        // The provider checks the length of the rest.
        let n = self.parts.ml_kem.public_key_len();
        public.split_at_checked(n).ok_or(CryptoError::InvalidPublicKey)
    }

    pub(super) fn public_key(&self, private: &Secret) -> Result<Vec<u8>, CryptoError> {
        let (ml_kem_seed, group_seed) = self.expand(private)?;
        let mut public = self.provider.ml_kem_public_key(self.parts.ml_kem, &ml_kem_seed)?;
        let of_group = self.with_scalar(&group_seed, |scalar| {
            self.provider.dh_public_key(self.parts.group, scalar)
        })?;
        public.extend_from_slice(&of_group);
        Ok(public)
    }

    pub(super) fn validate_public_key(&self, public: &[u8]) -> Result<(), CryptoError> {
        let (of_ml_kem, of_group) = self.split_public(public)?;
        self.provider.ml_kem_validate_public_key(self.parts.ml_kem, of_ml_kem)?;
        self.provider.dh_validate_public_key(self.parts.group, of_group)
    }

    /// `Encaps` with the randomness of both parts, ML-KEM's first.
    pub(super) fn encap(
        &self,
        public: &[u8],
        seed: &Secret,
    ) -> Result<(Vec<u8>, Secret), CryptoError> {
        let (of_ml_kem, of_group) = self.split_public(public)?;
        if seed.len() != MlKem::RANDOMNESS_LEN + self.parts.group_seed_len {
            return Err(CryptoError::InvalidLength);
        }

        let (randomness, group_seed) = split(seed, MlKem::RANDOMNESS_LEN)?;
        let (mut kem_output, pq_secret) =
            self.provider.ml_kem_encap(self.parts.ml_kem, of_ml_kem, &randomness)?;
        let (ephemeral, dh) = self.with_scalar(&group_seed, |scalar| {
            self.provider.dh_both(self.parts.group, scalar, of_group)
        })?;

        let secret = self.combine(&pq_secret, &dh, &ephemeral, of_group)?;
        kem_output.extend_from_slice(&ephemeral);
        Ok((kem_output, secret))
    }

    /// `Decaps`. `public` is the public key of `private`.
    pub(super) fn decap(
        &self,
        private: &Secret,
        public: &[u8],
        kem_output: &[u8],
    ) -> Result<Secret, CryptoError> {
        let (_, of_group) = self.split_public(public)?;
        let (ciphertext, ephemeral) = kem_output
            .split_at_checked(self.parts.ml_kem.ciphertext_len())
            .ok_or(CryptoError::OpenFailed)?;

        let (ml_kem_seed, group_seed) = self.expand(private)?;
        let dh = self.with_scalar(&group_seed, |scalar| {
            self.provider.dh(self.parts.group, scalar, ephemeral)
        })?;
        let pq_secret = self.provider.ml_kem_decap(self.parts.ml_kem, &ml_kem_seed, ciphertext)?;

        self.combine(&pq_secret, &dh, ephemeral, of_group)
    }

    /// `C2PRICombiner`.
    fn combine(
        &self,
        pq_secret: &Secret,
        dh: &Secret,
        ephemeral: &[u8],
        public: &[u8],
    ) -> Result<Secret, CryptoError> {
        let parts = [pq_secret.expose(), dh.expose(), ephemeral, public, self.parts.label];
        self.provider.sha3_256(&parts)
    }
}

fn split(secret: &Secret, at: usize) -> Result<(Secret, Secret), CryptoError> {
    let (a, b) = secret.expose().split_at_checked(at).ok_or(CryptoError::InvalidLength)?;
    Ok((Secret::copy_from(a), Secret::copy_from(b)))
}
