//! What a CA signs.

use crate::der::{
    self, NO_KEYS, SEQUENCE, common_name, context, extension, integer, public_key_info, signed,
    time, tlv,
};
use crate::names::{DomainError, check_domain, device_uri, domain_in, domain_uri};
use crate::pem::{CERTIFICATE, to_pem};
use conclave_account::DeviceId;
use conclave_mls::UnixTime;
use conclave_mls::credential::SignaturePublicKey;
use conclave_mls::crypto::{
    CryptoError, CryptoProvider, CryptoRng, Hash, SignatureKeyPair, SignatureScheme,
};
use conclave_x509::{
    EKU_IM_URI, EndEntity, LoadError, algorithm_identifiers, any_key_pair_from_pem,
};
use core::fmt;
use x509_cert::der::asn1::OctetString;
use x509_cert::der::{Encode, oid::AssociatedOid};
use x509_cert::ext::pkix::{
    AuthorityKeyIdentifier, BasicConstraints, CrlNumber, ExtendedKeyUsage, KeyUsage, KeyUsages,
    SubjectAltName, SubjectKeyIdentifier,
};
use zeroize::Zeroizing;

/// The length of a serial number, in bytes.
const SERIAL: usize = 16;
/// The length of a key's identifier, in bytes.
const KEY_ID: usize = 20;
/// The longest name of a CA, in bytes (RFC 5280 appendix A.1: ub-common-name).
const MAX_NAME: usize = 64;

/// From when to when something is valid, both seconds included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    /// The first second.
    pub not_before: UnixTime,
    /// The last second.
    pub not_after: UnixTime,
}

/// A certificate on a revocation list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revoked {
    /// Its serial number.
    pub serial: Vec<u8>,
    /// When it was revoked.
    pub at: UnixTime,
}

/// Why a CA cannot sign, or is none.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CaError {
    /// The CA's name is empty, too long, or has control characters.
    Name,
    /// The domain is none.
    Domain(DomainError),
    /// The private key cannot be loaded.
    Key(LoadError),
    /// The certificate is malformed, or names no domain.
    Certificate,
    /// The certificate is of another key.
    OtherKey,
    /// A time cannot be written in a certificate.
    Time,
    /// The key of a device is its CA's own, or of an algorithm that X.509 does not have.
    DeviceKey,
    /// The provider failed.
    Crypto(CryptoError),
}

impl fmt::Display for CaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name => {
                write!(f, "a CA's name has 1 to {MAX_NAME} bytes, and no control characters")
            }
            Self::Domain(e) => fmt::Display::fmt(e, f),
            Self::Key(e) => write!(f, "the CA's key cannot be loaded: {e}"),
            Self::Certificate => {
                f.write_str("the CA's certificate is malformed, or names no domain")
            }
            Self::OtherKey => f.write_str("the CA's certificate is of another key"),
            Self::Time => {
                f.write_str("a time lies too far ahead: no certificate is valid for so long")
            }
            Self::DeviceKey => f.write_str("the device's key is the CA's own, or no key of X.509"),
            Self::Crypto(e) => fmt::Display::fmt(e, f),
        }
    }
}

impl core::error::Error for CaError {}

impl From<CryptoError> for CaError {
    fn from(e: CryptoError) -> Self {
        Self::Crypto(e)
    }
}

/// A CA: the root of its domain.
pub struct Ca {
    scheme: SignatureScheme,
    key: SignatureKeyPair,
    /// Its certificate in DER.
    certificate: Vec<u8>,
    /// Its name in DER.
    subject: Vec<u8>,
    domain: String,
}

impl fmt::Debug for Ca {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ca").field("domain", &self.domain).finish_non_exhaustive()
    }
}

/// What a certificate says.
struct Contents<'a> {
    issuer: &'a [u8],
    subject: &'a [u8],
    lifetime: Lifetime,
    scheme: SignatureScheme,
    key: &'a SignaturePublicKey,
    extensions: Vec<Vec<u8>>,
}

fn key_id(provider: &dyn CryptoProvider, key: &SignaturePublicKey) -> Result<Vec<u8>, CryptoError> {
    let digest = provider.hash(Hash::Sha256, &[key])?;
    Ok(digest.get(..KEY_ID).unwrap_or_default().to_vec())
}

fn encoded<T: Encode + AssociatedOid>(value: &T, critical: bool) -> Option<Vec<u8>> {
    extension(T::OID, critical, &value.to_der().ok()?)
}

/// The alternative names that are this URI.
fn uri_name(uri: String) -> Option<Vec<u8>> {
    use x509_cert::der::asn1::Ia5String;
    use x509_cert::ext::pkix::name::GeneralName;
    let uri = GeneralName::UniformResourceIdentifier(Ia5String::new(&uri).ok()?);
    encoded(&SubjectAltName(vec![uri]), false)
}

/// The extension that names a key, and the one that names its issuer's.
fn key_ids(own: &[u8], issuer: &[u8]) -> Option<[Vec<u8>; 2]> {
    let own = SubjectKeyIdentifier(OctetString::new(own).ok()?);
    Some([encoded(&own, false)?, issuer_id(issuer)?])
}

fn issuer_id(issuer: &[u8]) -> Option<Vec<u8>> {
    let key_identifier = Some(OctetString::new(issuer).ok()?);
    encoded(&AuthorityKeyIdentifier { key_identifier, ..Default::default() }, false)
}

/// A certificate (RFC 5280 section 4.1), signed.
fn certificate(
    provider: &dyn CryptoProvider,
    rng: &mut dyn CryptoRng,
    signer: (SignatureScheme, &SignatureKeyPair),
    contents: &Contents<'_>,
) -> Result<(Vec<u8>, [u8; SERIAL]), CaError> {
    let mut serial = [0; SERIAL];
    rng.fill_bytes(&mut serial);
    // Positive, and always of the same length.
    if let Some(first) = serial.first_mut() {
        *first = *first & 0x7f | 0x40;
    }

    let Lifetime { not_before, not_after } = contents.lifetime;
    let validity = [not_before, not_after].map(time);
    let [Some(not_before), Some(not_after)] = validity else { return Err(CaError::Time) };
    let version = tlv(context(0), &[&integer(&[2])]);
    let algorithm = der::signature_algorithm(signer.0).ok_or(NO_KEYS)?;
    let public = public_key_info(contents.scheme, contents.key).ok_or(CaError::DeviceKey)?;
    let extensions: Vec<&[u8]> = contents.extensions.iter().map(Vec::as_slice).collect();
    let content = tlv(
        SEQUENCE,
        &[
            &version,
            &integer(&serial),
            &algorithm,
            contents.issuer,
            &tlv(SEQUENCE, &[&not_before, &not_after]),
            contents.subject,
            &public,
            &tlv(context(3), &[&tlv(SEQUENCE, &extensions)]),
        ],
    );
    Ok((signed(provider, signer, &content)?, serial))
}

impl Ca {
    /// Makes a CA for a domain, with a new key: its root certificate says that it may certify devices, and sign
    /// revocation lists.
    ///
    /// # Errors
    /// If the name or the domain is none, or the provider fails.
    pub fn root(
        provider: &dyn CryptoProvider,
        rng: &mut dyn CryptoRng,
        scheme: SignatureScheme,
        (name, domain): (&str, &str),
        lifetime: Lifetime,
    ) -> Result<Self, CaError> {
        check_domain(domain).map_err(CaError::Domain)?;
        if name.is_empty() || name.len() > MAX_NAME || name.chars().any(char::is_control) {
            return Err(CaError::Name);
        }
        let key = provider.signature_key_pair(scheme, rng)?;
        let subject = common_name(name).ok_or(CaError::Name)?;
        let id = key_id(provider, &key.public)?;
        let extensions = || {
            let usage = KeyUsages::KeyCertSign | KeyUsages::CRLSign;
            // Devices alone stand below it.
            let constraints = BasicConstraints { ca: true, path_len_constraint: Some(0) };
            let [own, issuer] = key_ids(&id, &id)?;
            Some(vec![
                encoded(&constraints, true)?,
                encoded(&KeyUsage(usage), true)?,
                own,
                issuer,
                uri_name(domain_uri(domain))?,
            ])
        };
        let extensions = extensions().ok_or(CaError::Name)?;
        let contents = Contents {
            issuer: &subject,
            subject: &subject,
            lifetime,
            scheme,
            key: &key.public,
            extensions,
        };
        let (certificate, _) = certificate(provider, rng, (scheme, &key), &contents)?;
        Ok(Self { scheme, key, certificate, subject, domain: domain.to_string() })
    }

    /// A CA from its certificate (DER) and its private key (PKCS#8 in PEM).
    ///
    /// # Errors
    /// If they are malformed or do not belong together, or the certificate names no domain.
    pub fn load(
        provider: &dyn CryptoProvider,
        certificate: Vec<u8>,
        private_key: &[u8],
    ) -> Result<Self, CaError> {
        let (scheme, key) = any_key_pair_from_pem(provider, private_key).map_err(CaError::Key)?;
        let read = EndEntity::from_der(&certificate).ok_or(CaError::Certificate)?;
        if read.key != key.public || read.scheme != Some(scheme) {
            return Err(CaError::OtherKey);
        }
        let domain = domain_in(&read.presented).ok_or(CaError::Certificate)?.to_string();
        let subject = read.presented.subject;
        Ok(Self { scheme, key, certificate, subject, domain })
    }

    /// Its certificate in DER.
    #[must_use]
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// Its certificate in PEM.
    #[must_use]
    pub fn certificate_pem(&self) -> Option<String> {
        to_pem(CERTIFICATE, &self.certificate)
    }

    /// The domain whose devices it certifies.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The last second at which its certificate is valid.
    #[must_use]
    pub fn not_after(&self) -> Option<UnixTime> {
        Some(EndEntity::from_der(&self.certificate)?.not_after)
    }

    /// Its private key as PKCS#8 in PEM. Of an ML-DSA key that is the seed (RFC 9881).
    ///
    /// # Errors
    /// If keys of this scheme are not written: of Ed25519 and ML-DSA they are.
    pub fn private_key_pem(&self) -> Result<Zeroizing<String>, CaError> {
        use SignatureScheme as S;
        let seed = self.key.private.expose();
        let inner = match self.scheme {
            S::Ed25519 => tlv(der::OCTET_STRING, &[seed]),
            // The choice `seed [0]`.
            S::MlDsa44 | S::MlDsa65 | S::MlDsa87 => tlv(0x80, &[seed]),
            _ => return Err(NO_KEYS.into()),
        };
        let inner = Zeroizing::new(inner);
        let (algorithm, _) = algorithm_identifiers(self.scheme).ok_or(NO_KEYS)?;
        let content = Zeroizing::new(tlv(der::OCTET_STRING, &[&inner]));
        let version = integer(&[]);
        let info = tlv(SEQUENCE, &[&version, &tlv(SEQUENCE, &[algorithm]), &content]);
        let info = Zeroizing::new(info);
        to_pem("PRIVATE KEY", &info).map(Zeroizing::new).ok_or(CaError::Certificate)
    }

    /// Certifies a device's key. Returns the certificate in DER, and its serial number.
    ///
    /// # Errors
    /// If a time lies too far ahead, or the provider fails.
    pub fn issue(
        &self,
        provider: &dyn CryptoProvider,
        rng: &mut dyn CryptoRng,
        device: &DeviceId,
        (scheme, key): (SignatureScheme, &SignaturePublicKey),
        lifetime: Lifetime,
    ) -> Result<(Vec<u8>, Vec<u8>), CaError> {
        if *key == self.key.public {
            return Err(CaError::DeviceKey);
        }
        let subject = common_name(&device.to_string()).ok_or(CaError::Name)?;
        let id = key_id(provider, key)?;
        let own_id = key_id(provider, &self.key.public)?;
        let extensions = || {
            let [own, issuer] = key_ids(&id, &own_id)?;
            Some(vec![
                encoded(&KeyUsage(KeyUsages::DigitalSignature.into()), true)?,
                encoded(&ExtendedKeyUsage(vec![EKU_IM_URI]), false)?,
                own,
                issuer,
                uri_name(device_uri(&self.domain, device))?,
            ])
        };
        let extensions = extensions().ok_or(CaError::Name)?;
        let contents = Contents {
            issuer: &self.subject,
            subject: &subject,
            lifetime,
            scheme,
            key,
            extensions,
        };
        let (der, serial) = certificate(provider, rng, (self.scheme, &self.key), &contents)?;
        Ok((der, serial.to_vec()))
    }

    /// A revocation list (RFC 5280 section 5) in DER: what of the CA's certificates does not count any more. Of two
    /// lists the one with the higher number is the newer one.
    ///
    /// # Errors
    /// If a time lies too far ahead, or the provider fails.
    pub fn revocation_list(
        &self,
        provider: &dyn CryptoProvider,
        number: u64,
        Lifetime { not_before, not_after }: Lifetime,
        revoked: &[Revoked],
    ) -> Result<Vec<u8>, CaError> {
        let entries = revoked.iter().map(|revoked| {
            let at = time(revoked.at)?;
            Some(tlv(SEQUENCE, &[&integer(&revoked.serial), &at]))
        });
        let entries: Vec<Vec<u8>> = entries.collect::<Option<_>>().ok_or(CaError::Time)?;
        let entries: Vec<&[u8]> = entries.iter().map(Vec::as_slice).collect();
        // The field is absent if the list is empty.
        let entries = if entries.is_empty() { Vec::new() } else { tlv(SEQUENCE, &entries) };

        let own_id = key_id(provider, &self.key.public)?;
        let number = extension(CrlNumber::OID, false, &integer(&number.to_be_bytes()));
        let (Some(issuer), Some(number)) = (issuer_id(&own_id), number) else {
            return Err(CaError::Certificate);
        };
        let validity = [not_before, not_after].map(time);
        let [Some(not_before), Some(not_after)] = validity else { return Err(CaError::Time) };
        let content = tlv(
            SEQUENCE,
            &[
                &integer(&[1]),
                &der::signature_algorithm(self.scheme).ok_or(NO_KEYS)?,
                &self.subject,
                &not_before,
                &not_after,
                &entries,
                &tlv(context(0), &[&tlv(SEQUENCE, &[&issuer, &number])]),
            ],
        );
        Ok(signed(provider, (self.scheme, &self.key), &content)?)
    }
}
