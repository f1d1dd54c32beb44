//! Which certificate a connection gets: the service's, or the one that proves a name to the CA (RFC 8737).

use super::names::Domain;
use crate::http::tls::CHALLENGE_PROTOCOL;
use rcgen::{CertificateParams, CustomExtension, KeyPair};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::sync::{Arc, PoisonError, RwLock};

/// The certificates that connections get.
#[derive(Debug, Default)]
pub(super) struct Resolver {
    current: RwLock<Option<Arc<CertifiedKey>>>,
    challenges: RwLock<Vec<(Domain, Arc<CertifiedKey>)>>,
}

impl Resolver {
    /// From now on connections get this one.
    pub(super) fn serve(&self, certified: CertifiedKey) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        *current = Some(Arc::new(certified));
    }

    /// Proves a name until the end of [`Self::forget_challenges`].
    pub(super) fn prove(&self, domain: &Domain, proof: &[u8; 32]) -> Result<(), String> {
        let certified = Arc::new(challenge_certificate(domain, proof)?);
        let mut challenges = self.challenges.write().unwrap_or_else(PoisonError::into_inner);
        challenges.retain(|(known, _)| known != domain);
        challenges.push((domain.clone(), certified));
        Ok(())
    }

    pub(super) fn forget_challenges(&self) {
        self.challenges.write().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn challenge(&self, name: &str) -> Option<Arc<CertifiedKey>> {
        let challenges = self.challenges.read().unwrap_or_else(PoisonError::into_inner);
        let of_name = |(domain, _): &&(Domain, _)| domain.as_str().eq_ignore_ascii_case(name);
        challenges.iter().find(of_name).map(|(_, certified)| certified.clone())
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        // The CA offers that protocol and no other.
        let is_challenge = hello.alpn().is_some_and(|mut protocols| {
            protocols.next() == Some(CHALLENGE_PROTOCOL) && protocols.next().is_none()
        });
        if is_challenge {
            return self.challenge(hello.server_name()?);
        }
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A certificate with its key, as connections use it.
pub(super) fn certified_key(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<CertifiedKey, String> {
    CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider()).map_err(|e| e.to_string())
}

/// The certificate that proves a name to the CA: signed by itself, for that name alone, with the proof in a critical
/// extension.
fn challenge_certificate(domain: &Domain, proof: &[u8; 32]) -> Result<CertifiedKey, String> {
    let made = || {
        let mut params = CertificateParams::new([domain.to_string()])?;
        params.custom_extensions = vec![CustomExtension::new_acme_identifier(proof)];
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?;
        Ok((certificate.der().clone(), PrivatePkcs8KeyDer::from(key.serialize_der())))
    };
    let (certificate, key) = made().map_err(|e: rcgen::Error| e.to_string())?;
    // That they belong together is not checked: whoever reads the certificate has to know its critical extension.
    let key = aws_lc_rs::default_provider().key_provider.load_private_key(key.into());
    let key = key.map_err(|e| e.to_string())?;
    Ok(CertifiedKey::new(vec![certificate], key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use x509_cert::Certificate;
    use x509_cert::der::Decode;
    use x509_cert::der::asn1::ObjectIdentifier;

    /// id-pe-acmeIdentifier (RFC 8737 section 6.1).
    const ACME_IDENTIFIER: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.1.31");

    #[test]
    fn a_name_is_proved_by_a_critical_extension_until_its_order_ends() {
        let resolver = Resolver::default();
        let names = ["a.example", "b.example"].map(|name| name.parse::<Domain>().unwrap());
        for (name, proof) in names.iter().zip([[1; 32], [2; 32]]) {
            resolver.prove(name, &proof).unwrap();
        }
        // A second order's proof takes the place of the first one's.
        resolver.prove(&names[0], &[3; 32]).unwrap();
        for (name, proof) in [("A.EXAMPLE", [3; 32]), ("b.example", [2; 32])] {
            let certified = resolver.challenge(name).unwrap();
            let certificate = Certificate::from_der(&certified.cert[0]).unwrap();
            let extensions = certificate.tbs_certificate().extensions().unwrap();
            let found = extensions.iter().find(|e| e.extn_id == ACME_IDENTIFIER).unwrap();
            assert!(found.critical);
            // An OCTET STRING of 32 bytes.
            assert_eq!(found.extn_value.as_bytes(), [&[4, 32][..], &proof].concat());
        }
        assert!(resolver.challenge("c.example").is_none());
        resolver.forget_challenges();
        assert!(resolver.challenge("a.example").is_none());
    }
}
