//! X.509 credentials for MLS (RFC 9420 section 5.3): an authentication service over certificate
//! chains.
//!
//! An [`X509Validator`] answers the [`CredentialRequest`](conclave_mls::credential::CredentialRequest)s of groups. It
//! holds the trust roots, the known intermediate certificates and revocation lists, and the application's
//! [`IdentityPolicy`], which identifies a certificate's owner.
//!
//! It checks, in this order:
//!
//! 1. that the credential is a chain within the [`Settings`]' limits, and each certificate well-formed;
//! 2. that the end entity's public key is the leaf's `signature_key` and belongs to the signature algorithm of
//!    the group's cipher suite (section 5.3);
//! 3. that signatures lead from a root to the end entity;
//! 4. that all certificates on the path are valid at the [`Moment`] and obey RFC 5280: CA flags, path lengths,
//!    name constraints, key usages and purposes;
//! 5. if there are revocation lists, that those signed by the issuers' keys clear each certificate;
//! 6. that the application's policy maps the path to an identity (section 5.3.1);
//! 7. if the credential replaces another, that the policy accepts it as a successor (section 5.3.1).
//!
//! If several paths lead to roots, one that passes is enough. A revoked end entity is refused on every path.
//!
//! Certificates signed with MLS's signature schemes are verified by the group's own crypto provider. Many CAs
//! sign with RSA, or with ECDSA over a hash other than the curve's own: the feature `aws-lc-rs` brings
//! `X509Validator::with_aws_lc`, which accepts those, too. Without it, this crate is pure Rust.
//!
//! ```
//! use conclave_mls::credential::CredentialRequest;
//! use conclave_mls::crypto::{CryptoProvider, Suite};
//! use conclave_mls::{Group, UnixTime, Verdict};
//! use conclave_x509::{Certified, X509Validator};
//!
//! /// Identifies members by the only mail address in their certificate. There is one root, all of whose CAs
//! /// may speak for everybody, so it does not matter which of them issued it.
//! fn mail_address(member: &Certified) -> Option<Vec<u8>> {
//!     match member.presented.email_addresses.as_slice() {
//!         [address] => Some(address.clone().into_bytes()),
//!         _ => None,
//!     }
//! }
//!
//! # #[allow(dead_code)]
//! fn judge(
//!     provider: &dyn CryptoProvider,
//!     now: UnixTime,
//!     root: &[u8],
//!     group: &Group,
//!     requests: &[CredentialRequest],
//! ) -> Result<Vec<Verdict>, Box<dyn std::error::Error>> {
//!     let validator = X509Validator::new(&[root], mail_address)?;
//!     let suite = Suite::new(provider, group.cipher_suite())?;
//!     Ok(validator.judge_all(&suite, now, requests))
//! }
//! ```

#![forbid(unsafe_code)]

mod algorithm;
mod certificate;
mod distinguished;
mod end_entity;
mod error;
mod load;
mod names;
mod path;
mod policy;
mod revocation;
mod search;
mod settings;
mod signatures;
mod time;
mod validator;

#[cfg(test)]
mod tests;

pub use algorithm::{algorithm_identifiers, scheme_of};
pub use end_entity::EndEntity;
pub use error::{SetupError, X509Error};
pub use load::{
    LoadError, any_key_pair_from_pem, certificates_from_pem, key_pair_from_pem,
    key_pair_from_pkcs8, revocation_lists_from_pem,
};
pub use names::PresentedIdentifiers;
pub use policy::{Authority, Certified, IdentityPolicy, Predecessor};
pub use settings::{
    EKU_ANY, EKU_CLIENT_AUTH, EKU_EMAIL_PROTECTION, EKU_IM_URI, Moment, RevocationPolicy, Settings,
};
pub use validator::{Authenticated, X509Validator};
pub use x509_cert::der::asn1::ObjectIdentifier;

use conclave_mls::Credential;
use conclave_mls::wire::Certificate;

/// Creates an X.509 credential from DER certificates, the end entity's first. All but the first may be left
/// out if every peer knows them (section 5.3).
#[must_use]
pub fn credential(chain: &[impl AsRef<[u8]>]) -> Credential {
    let certificate = |der: &[u8]| Certificate { cert_data: der.into() };
    Credential::X509 { certificates: chain.iter().map(|der| certificate(der.as_ref())).collect() }
}
