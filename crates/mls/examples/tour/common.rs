//! What every task needs and none is about: a clock, randomness, an authentication service.

use conclave_mls::UnixTime;
use conclave_mls::credential::{
    CredentialRequest, LeafParams, SignaturePublicKey, signature_key_pair,
};
use conclave_mls::crypto::{CryptoRng, Secret, SignatureKeyPair};
use conclave_mls::key_package::{
    KeyPackage, KeyPackageParams, Lifetime, OwnKeyPackage, ValidKeyPackage,
};
use conclave_mls::storage::RowKey;
use conclave_mls::{CipherSuite, Config, Credential, Verdict};
use conclave_provider_rustcrypto::RustCrypto;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub(crate) type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Where a member's rows are kept: in place of a database, which `own_storage` shows.
pub(crate) type Rows = BTreeMap<RowKey, Secret>;

/// The provider of cryptography: the portable one. It has no state.
pub(crate) const CRYPTO: RustCrypto = RustCrypto::new();
pub(crate) const SUITE: CipherSuite = CipherSuite::MLS_128_DHKEMX25519_AES128GCM_SHA256_ED25519;

/// The operating system's randomness.
pub(crate) fn rng() -> impl CryptoRng {
    getrandom::rand_core::UnwrapErr(getrandom::SysRng)
}

/// The operating system's clock.
pub(crate) fn now() -> UnixTime {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixTime::since_unix_epoch(elapsed).unwrap_or(UnixTime::MAX)
}

/// Three months from now.
pub(crate) fn lifetime() -> Lifetime {
    Lifetime::starting_at(now(), Duration::from_secs(90 * 24 * 3600))
}

pub(crate) fn new_signer(suite: CipherSuite) -> Result<SignatureKeyPair> {
    Ok(signature_key_pair(&CRYPTO, &mut rng(), suite)?)
}

/// A client's leaf: who it is, and that it can do every suite of RFC 9420.
pub(crate) fn leaf(name: &str) -> LeafParams {
    let suites: Vec<CipherSuite> = (1..=7).map(CipherSuite).collect();
    LeafParams::new(Credential::basic(name.as_bytes()), &suites)
}

pub(crate) fn key_package(name: &str, signer: SignatureKeyPair) -> Result<OwnKeyPackage> {
    key_package_for(SUITE, name, signer)
}

pub(crate) fn key_package_for(
    cipher_suite: CipherSuite,
    name: &str,
    signer: SignatureKeyPair,
) -> Result<OwnKeyPackage> {
    let params = KeyPackageParams::new(cipher_suite, leaf(name), lifetime());
    Ok(OwnKeyPackage::generate(&CRYPTO, &mut rng(), params, signer)?)
}

pub(crate) fn name_of(credential: &Credential) -> String {
    credential.identity().map_or_else(String::new, |id| String::from_utf8_lossy(id).into_owned())
}

/// An authentication service: which keys belong to whom.
#[derive(Default)]
pub(crate) struct Directory(Vec<(String, SignaturePublicKey)>);

impl Directory {
    /// A new key pair for a person, who is now known to have it.
    pub(crate) fn register(&mut self, name: &str, suite: CipherSuite) -> Result<SignatureKeyPair> {
        let signer = new_signer(suite)?;
        self.0.push((name.to_owned(), signer.public.clone()));
        Ok(signer)
    }

    /// The application's verdict: does this key belong to that name, and is the name kept?
    pub(crate) fn judge(&self, request: &CredentialRequest) -> Verdict {
        let name = name_of(&request.credential);
        if request.replaces.as_ref().is_some_and(|old| name_of(old) != name) {
            return Verdict::refuse("members may not change their names");
        }
        if self.0.iter().any(|(who, key)| *who == name && *key == request.signature_key) {
            Verdict::Accept
        } else {
            Verdict::refuse("this key is not known to belong to that name")
        }
    }

    pub(crate) fn judge_all(&self, requests: &[CredentialRequest]) -> Vec<Verdict> {
        requests.iter().map(|request| self.judge(request)).collect()
    }

    pub(crate) fn valid(&self, key_package: &KeyPackage) -> Result<ValidKeyPackage> {
        let config = Config::default();
        let stage = ValidKeyPackage::check(&CRYPTO, now(), &config, key_package.clone())?;
        let verdict = self.judge(stage.credential());
        Ok(stage.resolve(verdict)?)
    }
}
