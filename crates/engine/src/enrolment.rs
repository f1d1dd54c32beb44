//! How a device comes to its certificate: the request that it gives to its CA, and what it gets back.

use crate::book::Book;
use crate::certified::Certified;
use crate::engine::EngineError;
use crate::record::Identity;
use crate::suites::{CLASSIC, HYBRID};
use conclave_certificates::{Bundle, CertificateRequest, EndEntity, Roots, device_of};
use conclave_delivery_api::{Bytes, DeviceId};
use conclave_mls::CipherSuite;
use conclave_mls::crypto::{CryptoProvider, CryptoRng, SignatureKeyPair, SignatureScheme, Suite};
use conclave_store::Store;

/// What a user gives to a certified device: texts of PEM. Both are kept, so that they are given once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The device's certificate, and those between it and a root. Revocation lists may stand beside them.
    pub certificate: Option<Vec<u8>>,
    /// The roots.
    pub trust: Option<Vec<u8>>,
}

fn refuse<T>(what: impl Into<String>) -> Result<T, EngineError> {
    Err(EngineError::Certificate(what.into()))
}

/// The identity of a new device of these suites.
pub(crate) fn new_identity(
    provider: &dyn CryptoProvider,
    rng: &mut dyn CryptoRng,
    device: DeviceId,
    cipher_suite: Option<CipherSuite>,
) -> Result<Identity, EngineError> {
    let (cipher_suite, other_suites) = match cipher_suite {
        Some(suite) => (suite, Vec::new()),
        None => (HYBRID, vec![CLASSIC]),
    };
    let suite = Suite::new(provider, cipher_suite)?;
    let signer = suite.signature_key_pair(rng)?;
    Ok(Identity { device, cipher_suite, other_suites, signer })
}

pub(crate) fn scheme_of(
    provider: &dyn CryptoProvider,
    identity: &Identity,
) -> Result<SignatureScheme, EngineError> {
    Ok(Suite::new(provider, identity.cipher_suite)?.params().signature)
}

/// Makes a certificate request (DER) for the device of a store. A device that is new makes its key first; with
/// `new_key` one that is not makes another, which it uses as soon as it has the certificate for it.
///
/// # Errors
/// If the store is another device's, or one with an account, or cannot be written.
pub fn certificate_request<S: Store>(
    store: &mut S,
    provider: &dyn CryptoProvider,
    rng: &mut dyn CryptoRng,
    (device, cipher_suite): (&DeviceId, Option<CipherSuite>),
    new_key: bool,
) -> Result<Vec<u8>, EngineError> {
    let stored = Book::identity_in(store)?;
    if Book::has_account(store)? {
        return refuse(format!(
            "{device} has an account in this folder, and no certificates: use another folder (--data DIR) or another \
             device name"
        ));
    }
    let record = Book::certified_in(store)?.unwrap_or_default();
    let next = Book::next_key_in(store)?;
    let (identity, is_next) = match stored {
        Some(found) if found.device != *device => {
            return Err(EngineError::OtherDevice { found: found.device });
        }
        Some(found) if cipher_suite.is_some_and(|suite| found.suites().any(|s| s != suite)) => {
            return Err(EngineError::OtherSuite { found: found.suites().collect() });
        }
        Some(found) if new_key && !record.chain.is_empty() => {
            // Asked for again, it is the same: an answer to the first request may be on its way.
            let signer = match next {
                Some(signer) => signer,
                None => Suite::new(provider, found.cipher_suite)?.signature_key_pair(rng)?,
            };
            (Identity { signer, ..found }, true)
        }
        Some(found) => (found, false),
        None => (new_identity(provider, rng, device.clone(), cipher_suite)?, false),
    };

    Book::set_certified(store, &identity, &record, is_next)?;
    let scheme = scheme_of(provider, &identity)?;
    Ok(CertificateRequest::make(provider, device, (scheme, &identity.signer))?)
}

/// What is trusted by the device of a store: what the user gives now, and else what was given before; none if it is
/// a device with an account. A certificate of the next key makes that the device's key.
pub(crate) fn open<S: Store>(
    store: &mut S,
    provider: &dyn CryptoProvider,
    identity: &mut Identity,
    files: CertificateFiles,
) -> Result<Option<Certified>, EngineError> {
    let stored = Book::certified_in(store)?;
    let CertificateFiles { certificate, trust } = files;
    if stored.is_none() && certificate.is_none() && trust.is_none() {
        return Ok(None);
    }
    if Book::has_account(store)? {
        return refuse(format!(
            "{} has an account in this folder: start it without --certificate and --trust, or use another folder \
             (--data DIR)",
            identity.device
        ));
    }

    let record = stored.unwrap_or_default();
    let is_given = certificate.is_some() || trust.is_some();
    let chain = certificate.map(|text| read_chain(&text)).transpose()?;
    let (chain, lists) = match chain {
        Some(Bundle { certificates, lists }) => (certificates, lists),
        None => (record.chain.iter().map(|der| der.to_vec()).collect(), Vec::new()),
    };
    let mut roots = match trust {
        Some(text) => match Roots::from_pem(provider, &text) {
            Ok(roots) => roots,
            Err(e) => return refuse(format!("--trust: {e}")),
        },
        None if record.roots.is_empty() => {
            return refuse(format!(
                "{} is to be certified by a CA: start it with --certificate FILE, which the CA issued, and --trust \
                 FILE, the CA's root. `conclave certificate request` prints what the CA has to certify",
                identity.device
            ));
        }
        None => {
            let certificates = record.roots.iter().map(|der| der.to_vec()).collect();
            Roots::new(certificates).map_err(|e| EngineError::Certificate(e.to_string()))?
        }
    };
    roots.learn(provider, &record.lists.iter().map(|der| der.to_vec()).collect::<Vec<_>>());
    roots.learn(provider, &lists);

    let next = Book::next_key_in(store)?;
    take_key(identity, next, &chain)?;
    let scheme = scheme_of(provider, identity)?;
    let chain: Vec<Bytes> = chain.into_iter().map(Bytes::from).collect();
    let certified = Certified::new(roots, chain, scheme);
    if is_given {
        Book::set_certified(store, identity, &certified.record(), false)?;
    }
    Ok(Some(certified))
}

fn read_chain(text: &[u8]) -> Result<Bundle, EngineError> {
    match Bundle::from_pem(text) {
        Ok(bundle) if !bundle.certificates.is_empty() => Ok(bundle),
        Ok(_) => refuse("--certificate: there is no certificate in it"),
        Err(e) => refuse(format!("--certificate: {e}")),
    }
}

/// Checks that a certificate is this device's, and takes the key for which it was issued.
fn take_key(
    identity: &mut Identity,
    next: Option<SignatureKeyPair>,
    chain: &[Vec<u8>],
) -> Result<(), EngineError> {
    let device = &identity.device;
    if chain.is_empty() {
        return refuse(format!(
            "{device} waits for its certificate: start it with --certificate FILE"
        ));
    }
    let credential = conclave_certificates::credential(chain);
    let Some(read) = EndEntity::of(&credential) else {
        return refuse("--certificate: the certificate is malformed");
    };
    match device_of(&credential) {
        Some(named) if named == *device => {}
        Some(named) => {
            return refuse(format!("this is the certificate of {named}, and not of {device}"));
        }
        None => {
            return refuse(
                "the certificate names no device: it needs a URI mimi://DOMAIN/d/USER~DEVICE",
            );
        }
    }

    if read.key == identity.signer.public {
        return Ok(());
    }
    match next {
        Some(next) if next.public == read.key => {
            identity.signer = next;
            Ok(())
        }
        _ => refuse(format!(
            "this certificate is of another key than the one that {device} has here: let the CA certify what \
             `conclave certificate request` prints"
        )),
    }
}
