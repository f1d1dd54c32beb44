//! SHA-3 and SHAKE, over inputs in parts that are secret.

use conclave_crypto::Secret;
use sha3::{Digest, Sha3_256};
use shake::Shake256;
use shake::digest::{ExtendableOutput, Update, XofReader};
use zeroize::Zeroize;

pub(crate) fn sha3_256(parts: &[&[u8]]) -> Secret {
    let mut state = Sha3_256::new();
    for part in parts {
        Digest::update(&mut state, part);
    }
    let mut hash = state.finalize();
    let secret = Secret::copy_from(&hash);
    hash.zeroize();
    secret
}

pub(crate) fn shake256(parts: &[&[u8]], length: usize) -> Secret {
    let mut state = Shake256::default();
    for part in parts {
        state.update(part);
    }
    let mut out = Secret::zero(length);
    state.finalize_xof().read(out.expose_mut());
    out
}
