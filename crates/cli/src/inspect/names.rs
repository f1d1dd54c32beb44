//! The names of numbers in the registries.

use crate::provider::provider;
use conclave_mls::crypto::{SignatureScheme, Suite};
use conclave_mls::wire::{
    CipherSuite, ComponentId, CredentialType, Decode, DecodeError, ExtensionType, ProposalType,
    ProtocolVersion, Reader, WireFormat, is_grease,
};
use conclave_provider_aws_lc::AwsLc;
use std::sync::{Arc, LazyLock};

/// It knows the suites of drafts. Made once: an input can name a suite in each of its fields.
static PROVIDER: LazyLock<Arc<AwsLc>> = LazyLock::new(provider);

/// A number that a registry may have a name for.
pub(super) trait Registered {
    fn number(&self) -> u64;
    /// Its name; none if it is unknown.
    fn name(&self) -> Option<String>;
}

macro_rules! registered {
    ($($t:ty)*) => {$(
        impl Registered for $t {
            fn number(&self) -> u64 {
                self.0.into()
            }
            fn name(&self) -> Option<String> {
                name_of(self.0, self.to_string())
            }
        }
    )*};
}
registered!(ProtocolVersion WireFormat ExtensionType ProposalType CredentialType ComponentId);

/// The name of a number, by how the library displays it.
fn name_of(number: u16, displayed: String) -> Option<String> {
    if is_grease(number) {
        return Some("GREASE".into());
    }
    // What has no name is displayed as its number.
    (!displayed.starts_with("0x")).then_some(displayed)
}

impl Registered for CipherSuite {
    fn number(&self) -> u64 {
        self.0.into()
    }

    fn name(&self) -> Option<String> {
        // Drafts' suites are known to the provider alone.
        let drafts = || Suite::new(&**PROVIDER, *self).ok().map(|suite| suite.name().to_string());
        name_of(self.0, self.to_string()).or_else(drafts)
    }
}

/// A signature scheme as account logs and directories hold it: a known one.
pub(super) struct Scheme(SignatureScheme);

impl Decode for Scheme {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let code = u16::decode(r)?;
        let unknown = DecodeError::InvalidValue { field: "SignatureScheme", value: code.into() };
        SignatureScheme::from_code_point(code).map(Self).ok_or(unknown)
    }
}

impl Registered for Scheme {
    fn number(&self) -> u64 {
        self.0.code_point().into()
    }
    fn name(&self) -> Option<String> {
        Some(self.0.to_string())
    }
}
