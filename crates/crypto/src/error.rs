use conclave_wire::{CipherSuite, EncodeError};
use core::fmt;

/// Why a cryptographic operation gave no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CryptoError {
    /// The provider does not have all components of this suite, or the suite is unknown.
    UnsupportedSuite(CipherSuite),
    /// The provider does not have this component.
    UnsupportedComponent(&'static str),
    /// A public key is no valid point or has the wrong length.
    InvalidPublicKey,
    /// A private key is out of range or has the wrong length.
    InvalidPrivateKey,
    /// A Diffie-Hellman result was all zeros (RFC 9180 section 7.1.4), in a DHKEM or a hybrid KEM.
    InvalidSharedSecret,
    /// A signature does not verify.
    InvalidSignature,
    /// A ciphertext does not open, or an encapsulation has the wrong length.
    OpenFailed,
    /// A key, nonce or output has a length that the algorithm does not take.
    InvalidLength,
    /// No private key came of many attempts; cannot happen with a working hash function.
    KeyDerivationFailed,
    /// An input is too long to encode.
    Encode(EncodeError),
    /// The provider failed for a reason of its own.
    Provider(&'static str),
}

impl CryptoError {
    /// Whether the keys, ciphertexts or signatures are at fault that came in, and not the provider.
    #[must_use]
    pub fn is_of_input(&self) -> bool {
        matches!(
            self,
            Self::OpenFailed
                | Self::InvalidPublicKey
                | Self::InvalidSharedSecret
                | Self::InvalidSignature
        )
    }
}

impl fmt::Display for CryptoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnsupportedSuite(CipherSuite(n)) => {
                write!(f, "the crypto provider does not support cipher suite {n:#06x}")
            }
            Self::UnsupportedComponent(what) => {
                write!(f, "the crypto provider does not support {what}")
            }
            Self::InvalidPublicKey => f.write_str("the public key is invalid"),
            Self::InvalidPrivateKey => f.write_str("the private key is invalid"),
            Self::InvalidSharedSecret => f.write_str("the key agreement gave all zeros"),
            Self::InvalidSignature => f.write_str("the signature does not verify"),
            Self::OpenFailed => f.write_str("the ciphertext does not open"),
            Self::InvalidLength => f.write_str("a length does not fit the algorithm"),
            Self::KeyDerivationFailed => f.write_str("no key pair could be derived"),
            Self::Encode(e) => fmt::Display::fmt(e, f),
            Self::Provider(what) => write!(f, "the crypto provider failed: {what}"),
        }
    }
}

impl core::error::Error for CryptoError {}

impl From<EncodeError> for CryptoError {
    fn from(e: EncodeError) -> Self {
        Self::Encode(e)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::{String, ToString};
    use alloc::vec::Vec;

    #[test]
    fn each_error_has_a_text_of_its_own_and_some_are_of_the_input() {
        let too_long = EncodeError { length: 4711 };
        let errors = [
            (CryptoError::OpenFailed, true, "does not open"),
            (CryptoError::InvalidPublicKey, true, "public key"),
            (CryptoError::InvalidSharedSecret, true, "zeros"),
            (CryptoError::InvalidSignature, true, "signature"),
            (CryptoError::UnsupportedSuite(CipherSuite(0x4711)), false, "suite 0x4711"),
            (CryptoError::UnsupportedComponent("this thing"), false, "this thing"),
            (CryptoError::InvalidPrivateKey, false, "private key"),
            (CryptoError::InvalidLength, false, "length"),
            (CryptoError::KeyDerivationFailed, false, "derived"),
            (CryptoError::from(too_long), false, "4711 bytes"),
            (CryptoError::Provider("no memory"), false, "no memory"),
        ];
        let texts: Vec<String> = errors.iter().map(|(e, ..)| e.to_string()).collect();
        for ((error, of_input, says), text) in errors.iter().zip(&texts) {
            assert!(text.contains(says), "{text}");
            assert_eq!(texts.iter().filter(|other| *other == text).count(), 1, "{text}");
            assert_eq!(error.is_of_input(), *of_input, "{text}");
        }
    }
}
