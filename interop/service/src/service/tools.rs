//! What every call needs: cryptography, randomness, a clock, settings; and how the harness's values
//! become Conclave's.

use super::failure::Failure;
use crate::proto;
use conclave_mls::crypto::{CryptoProvider, CryptoRng, SignatureKeyPair};
use conclave_mls::wire::{Decode, Encode, GroupInfo, MlsMessage, MlsMessageBody};
use conclave_mls::{
    CipherSuite, Config, Credential, CredentialRequest, Extension, ExtensionType, KeyPackage,
    KeyPackageParams, LeafParams, Lifetime, Limits, OwnKeyPackage, ValidKeyPackage, Verdict,
    signature_key_pair,
};
use std::time::{SystemTime, UNIX_EPOCH};

/// The suites of RFC 9420.
const SUITES: std::ops::RangeInclusive<u16> = 1..=7;

/// Cryptography and settings.
pub(crate) struct Tools {
    /// What computes.
    pub(crate) provider: Box<dyn CryptoProvider>,
    /// Settings of every group.
    pub(crate) config: Config,
    /// Whether a group is loaded anew from its rows after every step.
    pub(crate) reload: bool,
}

impl Tools {
    pub(crate) fn new(provider: Box<dyn CryptoProvider>, reload: bool) -> Self {
        let limits = Limits {
            // Scripts go back far.
            past_epochs: 64,
            past_epoch_age: u64::MAX,
            // MLS++ says that its key packages are valid for ever.
            lifetime: u64::MAX,
            ..Limits::default()
        };
        Self { provider, config: Config { limits, ..Config::default() }, reload }
    }

    /// The provider, as functions take it.
    pub(crate) fn crypto(&self) -> &dyn CryptoProvider {
        &*self.provider
    }

    /// The suites that the provider has.
    pub(crate) fn suites(&self) -> Vec<CipherSuite> {
        SUITES.map(CipherSuite).filter(|suite| self.provider.suite(*suite).is_some()).collect()
    }

    /// A leaf of an identity that supports all suites.
    pub(crate) fn leaf(&self, credential: Credential) -> LeafParams {
        LeafParams::new(credential, &self.suites())
    }

    /// A new signature key pair.
    pub(crate) fn signer(&self, suite: CipherSuite) -> Result<SignatureKeyPair, Failure> {
        Ok(signature_key_pair(self.crypto(), &mut rng(), suite)?)
    }

    /// A new key package with a new signature key.
    pub(crate) fn key_package(
        &self,
        suite: CipherSuite,
        credential: Credential,
    ) -> Result<OwnKeyPackage, Failure> {
        let params = KeyPackageParams::new(suite, self.leaf(credential), lifetime());
        let signer = self.signer(suite)?;
        Ok(OwnKeyPackage::generate(self.crypto(), &mut rng(), params, signer)?)
    }

    /// Somebody's key package, checked.
    pub(crate) fn valid(&self, message: &[u8]) -> Result<ValidKeyPackage, Failure> {
        let MlsMessageBody::KeyPackage(key_package) = MlsMessage::from_bytes(message)?.body else {
            return Err(Failure::invalid("key_package is another kind of message"));
        };
        let stage = ValidKeyPackage::check(self.crypto(), now(), &self.config, *key_package)?;
        let verdict = judge(stage.credential());
        Ok(stage.resolve(verdict)?)
    }
}

/// Randomness of the operating system: two processes must never make the same keys.
pub(crate) fn rng() -> impl CryptoRng {
    rand_core::UnwrapErr(getrandom::SysRng)
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Three months, begun an hour ago, as clocks differ.
pub(crate) fn lifetime() -> Lifetime {
    let now = now();
    Lifetime { not_before: now.saturating_sub(3600), not_after: now + 90 * 24 * 3600 }
}

/// The verdict on a credential: the harness has no authentication service, and only basic
/// credentials.
pub(crate) fn judge(request: &CredentialRequest) -> Verdict {
    match &request.credential {
        Credential::Basic { .. } => Verdict::Accept,
        _ => Verdict::refuse("the harness has basic credentials only"),
    }
}

/// The verdicts on a list of credentials.
pub(crate) fn judge_all(requests: &[CredentialRequest]) -> Vec<Verdict> {
    requests.iter().map(judge).collect()
}

/// A cipher suite, which fits 16 bits.
pub(crate) fn cipher_suite(number: u32) -> Result<CipherSuite, Failure> {
    let number = u16::try_from(number);
    number.map(CipherSuite).map_err(|_| Failure::invalid("the cipher suite is over 16 bits"))
}

/// A list of extensions.
pub(crate) fn extensions(list: Vec<proto::Extension>) -> Result<Vec<Extension>, Failure> {
    let one = |extension: proto::Extension| {
        let number = u16::try_from(extension.extension_type);
        let extension_type = number
            .map(ExtensionType)
            .map_err(|_| Failure::invalid("the extension type is over 16 bits"))?;
        Ok(Extension { extension_type, extension_data: extension.extension_data.into() })
    };
    list.into_iter().map(one).collect()
}

/// What is not given is empty.
pub(crate) fn given(bytes: &[u8]) -> Option<&[u8]> {
    (!bytes.is_empty()).then_some(bytes)
}

/// A key package as it is sent.
pub(crate) fn key_package_message(key_package: &KeyPackage) -> Result<Vec<u8>, Failure> {
    let body = MlsMessageBody::KeyPackage(Box::new(key_package.clone()));
    Ok(MlsMessage::from(body).to_bytes()?)
}

/// A GroupInfo, decoded and not verified.
pub(crate) fn group_info(message: &[u8]) -> Result<GroupInfo, Failure> {
    match MlsMessage::from_bytes(message)?.body {
        MlsMessageBody::GroupInfo(info) => Ok(*info),
        _ => Err(Failure::invalid("group_info is another kind of message")),
    }
}
