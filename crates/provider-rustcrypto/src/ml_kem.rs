//! ML-KEM (FIPS 203), with private keys as seeds and the randomness of encapsulations passed in.

use conclave_crypto::CryptoError;

/// The operations of one parameter set, named by its module here and its type in the crate.
macro_rules! parameter_set {
    ($name:ident, $set:ident) => {
        pub(crate) mod $name {
            use super::wrong_length;
            use alloc::vec::Vec;
            use conclave_crypto::{CryptoError, Secret};
            use ml_kem::array::Array;
            use ml_kem::{
                Ciphertext, Decapsulate, DecapsulationKey, EncapsulationKey, KeyExport, $set,
            };
            use zeroize::{Zeroize, Zeroizing};

            fn private_key(seed: &Secret) -> Result<DecapsulationKey<$set>, CryptoError> {
                let seed = <[u8; 64]>::try_from(seed.expose());
                let seed = Zeroizing::new(seed.map_err(|_| CryptoError::InvalidPrivateKey)?);
                let mut copy = Array::from(*seed);
                let key = DecapsulationKey::from_seed(copy);
                copy.zeroize();
                Ok(key)
            }

            fn public_key_of(bytes: &[u8]) -> Result<EncapsulationKey<$set>, CryptoError> {
                let bytes = bytes.try_into().map_err(|_| CryptoError::InvalidPublicKey)?;
                EncapsulationKey::new(bytes).map_err(|_| CryptoError::InvalidPublicKey)
            }

            pub(crate) fn public_key(seed: &Secret) -> Result<Vec<u8>, CryptoError> {
                Ok(private_key(seed)?.encapsulation_key().to_bytes().to_vec())
            }

            pub(crate) fn validate(public: &[u8]) -> Result<(), CryptoError> {
                public_key_of(public).map(drop)
            }

            pub(crate) fn encap(
                public: &[u8],
                randomness: &Secret,
            ) -> Result<(Vec<u8>, Secret), CryptoError> {
                let public = public_key_of(public)?;
                let randomness = randomness.expose().try_into().map_err(wrong_length)?;
                let (ciphertext, mut shared) = public.encapsulate_deterministic(randomness);
                let secret = Secret::copy_from(&shared);
                shared.zeroize();
                Ok((ciphertext.to_vec(), secret))
            }

            pub(crate) fn decap(seed: &Secret, ciphertext: &[u8]) -> Result<Secret, CryptoError> {
                let ciphertext = <&Ciphertext<$set>>::try_from(ciphertext);
                let ciphertext = ciphertext.map_err(|_| CryptoError::OpenFailed)?;
                let mut shared = private_key(seed)?.decapsulate(ciphertext);
                let secret = Secret::copy_from(&shared);
                shared.zeroize();
                Ok(secret)
            }
        }
    };
}

fn wrong_length<E>(_: E) -> CryptoError {
    CryptoError::InvalidLength
}

parameter_set!(ml_kem_768, MlKem768);
parameter_set!(ml_kem_1024, MlKem1024);
