//! SHA3-256 and SHAKE256, over inputs in parts that are secret.

use conclave_crypto::Secret;
use sha3::{Digest, Sha3_256};
use shake::Shake256;
use shake::digest::{ExtendableOutput, Update, XofReader};
use zeroize::Zeroize;

/// The SHA3-256 hash of the concatenation of `parts`.
#[must_use]
pub fn sha3_256(parts: &[&[u8]]) -> Secret {
    let mut state = Sha3_256::new();
    for part in parts {
        Digest::update(&mut state, part);
    }

    let mut hash = state.finalize();
    let secret = Secret::copy_from(&hash);
    hash.zeroize();
    secret
}

/// `length` bytes of SHAKE256 of the concatenation of `parts`.
#[must_use]
pub fn shake256(parts: &[&[u8]], length: usize) -> Secret {
    let mut state = Shake256::default();
    for part in parts {
        state.update(part);
    }

    let mut out = Secret::zero(length);
    state.finalize_xof().read(out.expose_mut());
    out
}
