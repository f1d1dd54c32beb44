//! What a credential's certificate says of its owner, without a verdict on it.

use crate::PresentedIdentifiers;
use crate::algorithm::scheme_of;
use crate::certificate::Parsed;
use conclave_mls::credential::SignaturePublicKey;
use conclave_mls::crypto::SignatureScheme;
use conclave_mls::{Credential, UnixTime};

/// The contents of an end entity's certificate. Nothing about it has been verified: whoever sent it has
/// written it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EndEntity {
    /// The identifiers that it presents.
    pub presented: PresentedIdentifiers,
    /// The signature scheme of its key. None if MLS has none for such keys.
    pub scheme: Option<SignatureScheme>,
    /// Its public key.
    pub key: SignaturePublicKey,
    /// The serial number, as a revocation list holds it.
    pub serial: Vec<u8>,
    /// The first second of its validity.
    pub not_before: UnixTime,
    /// The last second of its validity.
    pub not_after: UnixTime,
}

impl EndEntity {
    /// Reads the first certificate of an X.509 credential. None if the credential is another one, or its
    /// first certificate is malformed.
    #[must_use]
    pub fn of(credential: &Credential) -> Option<Self> {
        let Credential::X509 { certificates } = credential else { return None };
        Self::from_der(&certificates.first()?.cert_data)
    }

    /// Reads a certificate in DER. None if it is malformed.
    #[must_use]
    pub fn from_der(certificate: &[u8]) -> Option<Self> {
        let parsed = Parsed::parse(certificate, 0).ok()?;
        Some(Self {
            presented: parsed.presented()?,
            scheme: scheme_of(&parsed.key_algorithm()?),
            key: parsed.public_key()?.to_vec().into(),
            serial: parsed.serial.clone(),
            not_before: parsed.not_before(),
            not_after: parsed.not_after(),
        })
    }
}
