//! Private keys in the form of files.
//!
//! By their description, scalars of NIST curves have a fixed length; the working group's files omit
//! leading zeros. Files with either form exist, so shorter scalars are padded here. Longer ones stay
//! wrong, and keys that are not scalars stay as they are.

use super::hex::Hex;
use super::problem::{At, Problem, ensure};
use conclave_crypto::{
    DhGroup, HpkeKeyPair, HpkePrivateKey, KemParts, Secret, SignatureKeyPair, SignatureScheme,
    Suite,
};
use conclave_wire::{HpkePublicKey, SignaturePublicKey};

fn scalar(bytes: &Hex, curve: Option<DhGroup>) -> Secret {
    let missing = curve.map_or(0, |c| c.private_key_len().saturating_sub(bytes.len()));
    let mut filled = vec![0; missing];
    filled.extend_from_slice(bytes);
    Secret::new(filled)
}

/// The KEM key pair of a private key. `what` names it.
pub(super) fn hpke_key_pair(
    suite: &Suite<'_>,
    what: &str,
    private: &Hex,
) -> Result<HpkeKeyPair, Problem> {
    let curve = match suite.params().kem.parts() {
        KemParts::Dh { group: DhGroup::X25519 | DhGroup::X448, .. } => None,
        KemParts::Dh { group, .. } => Some(group),
        _ => None,
    };
    let private = HpkePrivateKey(scalar(private, curve));
    let public = suite.hpke_public_key(&private).at(what)?;
    Ok(HpkeKeyPair { private, public })
}

/// The signature key pair of a private key. `what` names it.
pub(super) fn signature_key_pair(
    suite: &Suite<'_>,
    what: &str,
    private: &Hex,
) -> Result<SignatureKeyPair, Problem> {
    let curve = match suite.params().signature {
        SignatureScheme::EcdsaSecp256r1Sha256 => Some(DhGroup::P256),
        SignatureScheme::EcdsaSecp384r1Sha384 => Some(DhGroup::P384),
        SignatureScheme::EcdsaSecp521r1Sha512 => Some(DhGroup::P521),
        _ => None,
    };
    let private = scalar(private, curve);
    let public = suite.signature_public_key(&private).at(what)?;
    Ok(SignatureKeyPair::new(private, public))
}

/// Like [`hpke_key_pair`], and checks that the public key is the listed one.
pub(super) fn hpke_key_pair_of(
    suite: &Suite<'_>,
    what: &str,
    private: &Hex,
    public: &HpkePublicKey,
) -> Result<HpkeKeyPair, Problem> {
    let keys = hpke_key_pair(suite, what, private)?;
    ensure(keys.public == *public, format_args!("{what} is not of the public key"))?;
    Ok(keys)
}

/// Like [`signature_key_pair`], and checks that the public key is the listed one.
pub(super) fn signature_key_pair_of(
    suite: &Suite<'_>,
    what: &str,
    private: &Hex,
    public: &SignaturePublicKey,
) -> Result<SignatureKeyPair, Problem> {
    let keys = signature_key_pair(suite, what, private)?;
    ensure(keys.public == *public, format_args!("{what} is not of the public key"))?;
    Ok(keys)
}
