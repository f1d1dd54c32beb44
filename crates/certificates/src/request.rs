//! Certificate requests (PKCS#10, RFC 2986): what a device gives to its CA.

use crate::der::{
    COMMON_NAME, INTEGER, NO_KEYS, common_name, context, public_key_info, signed, tlv,
};
use conclave_account::{DeviceId, NameError};
use conclave_mls::credential::SignaturePublicKey;
use conclave_mls::crypto::{CryptoError, CryptoProvider, SignatureKeyPair, SignatureScheme};
use conclave_x509::scheme_of;
use core::fmt;
use x509_cert::der::asn1::Utf8StringRef;
use x509_cert::der::{Decode, Encode};
use x509_cert::request::CertReq;

/// The longest request that is read, in bytes: one of ML-DSA-87 has some 8 KiB.
const MAX_REQUEST: usize = 64 << 10;

/// Why a certificate request is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestError {
    /// It is no PKCS#10 request in DER.
    Malformed,
    /// The subject has no single common name that names a device.
    NoDevice,
    /// The common name is not `USER/DEVICE`.
    Name(NameError),
    /// Its key is of an algorithm that MLS does not have.
    KeyAlgorithm,
    /// It is not signed with its own key.
    Signature(CryptoError),
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("it is no certificate request (PKCS#10)"),
            Self::NoDevice => f.write_str("its subject names no device: CN=USER/DEVICE"),
            Self::Name(e) => write!(f, "its subject names no device: {e}"),
            Self::KeyAlgorithm => f.write_str("its key is of an algorithm that MLS does not have"),
            Self::Signature(e) => write!(f, "it is not signed with its own key: {e}"),
        }
    }
}

impl core::error::Error for RequestError {}

/// A request that was checked: whoever made it has the private key. Whether the device is that user's, the CA has to
/// know from elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateRequest {
    /// Which device wants to be certified.
    pub device: DeviceId,
    /// Its key's signature scheme.
    pub scheme: SignatureScheme,
    /// Its key.
    pub key: SignaturePublicKey,
}

impl CertificateRequest {
    /// Makes a request, in DER. It names the device as its subject's common name, `USER/DEVICE`: the domain is the
    /// CA's.
    ///
    /// # Errors
    /// If X.509 has no keys of the scheme, or the provider cannot sign.
    pub fn make(
        provider: &dyn CryptoProvider,
        device: &DeviceId,
        (scheme, key): (SignatureScheme, &SignatureKeyPair),
    ) -> Result<Vec<u8>, CryptoError> {
        let version = tlv(INTEGER, &[&[0]]);
        let subject = common_name(&device.to_string()).ok_or(NO_KEYS)?;
        let public = public_key_info(scheme, &key.public).ok_or(NO_KEYS)?;
        let attributes = tlv(context(0), &[]);
        let info = tlv(crate::der::SEQUENCE, &[&version, &subject, &public, &attributes]);
        signed(provider, (scheme, key), &info)
    }

    /// Reads a request in DER and checks its signature.
    ///
    /// # Errors
    /// If it is malformed, names no device, or is not signed with its own key.
    pub fn read(provider: &dyn CryptoProvider, der: &[u8]) -> Result<Self, RequestError> {
        if der.len() > MAX_REQUEST {
            return Err(RequestError::Malformed);
        }
        let malformed = |_| RequestError::Malformed;
        let CertReq { info, signature, .. } = CertReq::from_der(der).map_err(malformed)?;

        let mut names = info.subject.iter().filter(|a| a.oid == COMMON_NAME);
        let (Some(name), None) = (names.next(), names.next()) else {
            return Err(RequestError::NoDevice);
        };
        let name: Utf8StringRef<'_> = name.value.decode_as().map_err(|_| RequestError::NoDevice)?;
        let device = name.as_str().parse().map_err(RequestError::Name)?;

        let spki = &info.public_key;
        let mut algorithm = spki.algorithm.oid.to_der().map_err(malformed)?;
        let parameters = spki.algorithm.parameters.as_ref().map(Encode::to_der).transpose();
        algorithm.extend(parameters.map_err(malformed)?.unwrap_or_default());
        let scheme = scheme_of(&algorithm).ok_or(RequestError::KeyAlgorithm)?;
        let key = spki.subject_public_key.as_bytes().ok_or(RequestError::Malformed)?;
        let key = SignaturePublicKey::from(key.to_vec());

        let content = info.to_der().map_err(malformed)?;
        let signature = signature.as_bytes().ok_or(RequestError::Malformed)?;
        provider.verify(scheme, &key, &content, signature).map_err(RequestError::Signature)?;
        Ok(Self { device, scheme, key })
    }
}
