//! ML-KEM (FIPS 203) from libcrux: AWS-LC's safe interface has neither private keys as seeds nor
//! encapsulation with randomness that the caller passes in.

use conclave_crypto::CryptoError;

/// The operations of one parameter set, from the crate's module for it and the types there.
macro_rules! parameter_set {
    ($set:ident, $private:ident, $public:ident, $ciphertext:ident) => {
        pub(crate) mod $set {
            use super::wrong_length;
            use conclave_crypto::{CryptoError, Secret};
            use libcrux_ml_kem::$set::{self as crate_set, $ciphertext, $private, $public};
            use zeroize::{Zeroize, Zeroizing};

            /// An expanded private key, wiped on drop: the crate does not wipe its own.
            struct Expanded($private);

            impl Drop for Expanded {
                fn drop(&mut self) {
                    self.0[0..$private::len()].zeroize();
                }
            }

            fn key_pair(seed: &Secret) -> Result<(Expanded, $public), CryptoError> {
                let seed = seed.expose().try_into().map(Zeroizing::new);
                let seed = seed.map_err(|_| CryptoError::InvalidPrivateKey)?;
                let (private, public) = crate_set::generate_key_pair(*seed).into_parts();
                Ok((Expanded(private), public))
            }

            fn public_key_of(bytes: &[u8]) -> Result<$public, CryptoError> {
                $public::try_from(bytes)
                    .ok()
                    .filter(crate_set::validate_public_key)
                    .ok_or(CryptoError::InvalidPublicKey)
            }

            pub(crate) fn public_key(seed: &Secret) -> Result<Vec<u8>, CryptoError> {
                Ok(key_pair(seed)?.1.as_ref().to_vec())
            }

            pub(crate) fn validate(public: &[u8]) -> Result<(), CryptoError> {
                public_key_of(public).map(drop)
            }

            pub(crate) fn encap(
                public: &[u8],
                randomness: &Secret,
            ) -> Result<(Vec<u8>, Secret), CryptoError> {
                let public = public_key_of(public)?;
                let randomness = randomness.expose().try_into().map(Zeroizing::new);
                let randomness = randomness.map_err(wrong_length)?;
                let (ciphertext, shared) = crate_set::encapsulate(&public, *randomness);
                let shared = Zeroizing::new(shared);
                Ok((ciphertext.as_ref().to_vec(), Secret::copy_from(&*shared)))
            }

            pub(crate) fn decap(seed: &Secret, ciphertext: &[u8]) -> Result<Secret, CryptoError> {
                let ciphertext = $ciphertext::try_from(ciphertext);
                let ciphertext = ciphertext.map_err(|_| CryptoError::OpenFailed)?;
                let (private, _) = key_pair(seed)?;
                let shared = Zeroizing::new(crate_set::decapsulate(&private.0, &ciphertext));
                Ok(Secret::copy_from(&*shared))
            }
        }
    };
}

fn wrong_length<E>(_: E) -> CryptoError {
    CryptoError::InvalidLength
}

parameter_set!(mlkem768, MlKem768PrivateKey, MlKem768PublicKey, MlKem768Ciphertext);
parameter_set!(mlkem1024, MlKem1024PrivateKey, MlKem1024PublicKey, MlKem1024Ciphertext);
