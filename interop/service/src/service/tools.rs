//! What every call needs: cryptography, randomness, a clock, settings, and conversions from the harness's values
//! to Conclave's.

use super::failure::Failure;
use crate::proto;
use conclave_mls::credential::{CredentialRequest, LeafParams, signature_key_pair};
use conclave_mls::crypto::{CryptoProvider, CryptoRng, SignatureKeyPair};
use conclave_mls::group::{Extension, ExtensionType};
use conclave_mls::key_package::{
    KeyPackageParams, Lifetime, OwnKeyPackage, ValidKeyPackage, key_package_from_message,
};
use conclave_mls::limits::Limits;
use conclave_mls::wire::{Decode, GroupInfo, MlsMessage, MlsMessageBody};
use conclave_mls::{CipherSuite, Config, Credential, UnixTime, Verdict};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The suites of RFC 9420.
const SUITES: std::ops::RangeInclusive<u16> = 1..=7;

/// Cryptography and settings.
pub(crate) struct Tools {
    /// The provider of cryptography.
    pub(crate) provider: Box<dyn CryptoProvider>,
    /// Settings of every group.
    pub(crate) config: Config,
    /// Whether a group is loaded anew from its rows after every step.
    pub(crate) reload: bool,
}

impl Tools {
    pub(crate) fn new(provider: Box<dyn CryptoProvider>, reload: bool) -> Self {
        let limits = Limits {
            // Scripts read messages of epochs long past.
            past_epochs: 64,
            past_epoch_age: Duration::MAX,
            // The key packages of MLS++ never expire.
            lifetime: Duration::MAX,
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

    /// Checks a key package.
    pub(crate) fn valid(&self, message: &[u8]) -> Result<ValidKeyPackage, Failure> {
        let key_package = key_package_from_message(message)?;
        let stage = ValidKeyPackage::check(self.crypto(), now(), &self.config, key_package)?;
        let verdict = judge(stage.credential());
        Ok(stage.resolve(verdict)?)
    }
}

/// Randomness of the operating system: two processes must never make the same keys.
pub(crate) fn rng() -> impl CryptoRng {
    rand_core::UnwrapErr(getrandom::SysRng)
}

/// The system's time; 1970 if the clock is wrong.
pub(crate) fn now() -> UnixTime {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixTime::since_unix_epoch(elapsed).unwrap_or(UnixTime::MIN)
}

/// Three months from an hour ago, because clocks differ.
pub(crate) fn lifetime() -> Lifetime {
    const HOUR: Duration = Duration::from_secs(3600);
    Lifetime::starting_at(now().saturating_sub(HOUR), 90 * 24 * HOUR)
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

/// A cipher suite; its number must fit 16 bits.
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

/// An optional field, which is empty if it is missing.
pub(crate) fn given(bytes: &[u8]) -> Option<&[u8]> {
    (!bytes.is_empty()).then_some(bytes)
}

/// A GroupInfo, decoded and not verified.
pub(crate) fn group_info(message: &[u8]) -> Result<GroupInfo, Failure> {
    match MlsMessage::from_bytes(message)?.body {
        MlsMessageBody::GroupInfo(info) => Ok(*info),
        _ => Err(Failure::invalid("group_info is another kind of message")),
    }
}
