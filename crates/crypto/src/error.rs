use crate::SuiteParams;
use conclave_wire::{CipherSuite, EncodeError};
use core::fmt;

/// Why a cryptographic operation failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CryptoError {
    /// The suite is unknown to the provider, or the provider lacks one of its components.
    UnsupportedSuite(CipherSuite),
    /// The provider lacks this component.
    UnsupportedComponent(&'static str),
    /// A public key is not valid or has the wrong length.
    InvalidPublicKey,
    /// A private key is out of range or has the wrong length.
    InvalidPrivateKey,
    /// A Diffie-Hellman result was all zeros (RFC 9180 section 7.1.4), in a DHKEM or a hybrid KEM.
    InvalidSharedSecret,
    /// A signature does not verify.
    InvalidSignature,
    /// A ciphertext does not authenticate, or an encapsulation has the wrong length.
    OpenFailed,
    /// A key, nonce or output has a length that the algorithm does not allow.
    InvalidLength,
    /// Many attempts at a private key gave none in range, which a working hash function or source of
    /// randomness does not lead to.
    KeyDerivationFailed,
    /// An input is too long to encode.
    Encode(EncodeError),
    /// The provider failed for a reason of its own.
    Provider(&'static str),
}

impl CryptoError {
    /// Whether a key, ciphertext or signature that came in is at fault, rather than the provider.
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
            Self::UnsupportedSuite(suite) => {
                f.write_str("the crypto provider does not support cipher suite ")?;
                match SuiteParams::registered(*suite) {
                    Some(known) => write!(f, "{known}"),
                    None => write!(f, "{:#06x}", suite.0),
                }
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
            Self::Encode(_) => f.write_str("an input is too long to encode"),
            Self::Provider(what) => write!(f, "the crypto provider failed: {what}"),
        }
    }
}

impl core::error::Error for CryptoError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Encode(e) => Some(e),
            _ => None,
        }
    }
}

impl From<EncodeError> for CryptoError {
    fn from(e: EncodeError) -> Self {
        Self::Encode(e)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use alloc::string::{String, ToString};
    use alloc::vec::Vec;
    use core::error::Error;

    #[test]
    fn each_error_has_its_own_text_and_says_whether_the_input_is_at_fault() {
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
            (CryptoError::from(too_long), false, "too long to encode"),
            (CryptoError::Provider("no memory"), false, "no memory"),
        ];
        let texts: Vec<String> = errors.iter().map(|(e, ..)| e.to_string()).collect();
        for ((error, of_input, says), text) in errors.iter().zip(&texts) {
            assert!(text.contains(says), "{text}");
            assert_eq!(texts.iter().filter(|other| *other == text).count(), 1, "{text}");
            assert_eq!(error.is_of_input(), *of_input, "{text}");
        }
    }

    #[test]
    fn an_unsupported_suite_is_named_if_it_is_known() {
        let text = CryptoError::UnsupportedSuite(CipherSuite(4)).to_string();
        assert!(text.ends_with("MLS_256_DHKEMX448_AES256GCM_SHA512_Ed448 (0x0004)"), "{text}");
    }

    #[test]
    fn an_error_names_its_source() {
        let error = CryptoError::from(EncodeError { length: 4711 });
        assert!(error.source().unwrap().to_string().contains("4711 bytes"));
        assert!(CryptoError::OpenFailed.source().is_none());
    }
}
