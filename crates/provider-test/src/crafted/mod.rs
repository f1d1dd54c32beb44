//! Signatures that implementations of EdDSA are known to disagree on: the rule of
//! [`CryptoProvider::verify`](conclave_crypto::CryptoProvider::verify) says which are accepted.

mod ed25519;
mod ed448;
mod scene;

use crate::checks::Checks;
use conclave_crypto::SignatureScheme;
use scene::Scene;

pub(crate) fn run(c: &mut Checks<'_>) {
    let p = c.provider;
    if c.begin_if(p.has_signature(SignatureScheme::Ed25519), SignatureScheme::Ed25519)
        && let Some(scene) = Scene::new(c, SignatureScheme::Ed25519)
    {
        ed25519::run(c, &scene);
    }
    if c.begin_if(p.has_signature(SignatureScheme::Ed448), SignatureScheme::Ed448)
        && let Some(scene) = Scene::new(c, SignatureScheme::Ed448)
    {
        ed448::run(c, &scene);
    }
}
