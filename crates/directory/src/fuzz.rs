//! What a fuzzer feeds: each function takes any bytes and panics if a property does not hold.

use crate::auditor::Auditor;
use crate::evidence::Evidence;
use crate::extension::Extension;
use crate::history::{Depth, History, told};
use crate::lookup::{Answer, answered};
use crate::root::{Opening, Root, ServiceKey, SignedRoot};
use crate::roots::Roots;
use alloc::sync::Arc;
use alloc::vec::Vec;
use conclave_mls::crypto::{CryptoProvider, SignatureScheme};
use conclave_mls::wire::SignaturePublicKey;
use conclave_mls::wire::codec::{Decode, Encode};

/// Decodes the bytes after the first, which chooses one of the structures that come from outside. A value that
/// decodes encodes to the same bytes. A proof is verified then, against roots that are made of what it says they
/// are: random bytes would not get past a signature, or a hash of a root.
///
/// # Panics
/// If a property does not hold.
pub fn proofs(provider: &dyn CryptoProvider, bytes: &[u8]) {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    match kind % 7 {
        0 => {
            let Some(answer) = canonical::<Answer>(bytes) else { return };
            let root = root_of(provider, &answer.opening, 1 << 20);
            let _ = answered(provider, &root, b"alice", answer);
        }
        1 => {
            let Some(history) = canonical::<History>(bytes) else { return };
            let root = root_of(provider, &history.opening, 1 << 20);
            let _ = told(provider, &root, b"alice", Depth::Complete, history);
        }
        2 => {
            let Some(extension) = canonical::<Extension>(bytes) else { return };
            let Extension { vrf_key, from_tree, to_tree, from, to, .. } = extension;
            let old = root_of(provider, &Opening { vrf_key, tree: from_tree }, from);
            let new = root_of(provider, &Opening { vrf_key, tree: to_tree }, to);
            let _ = extension.verify(provider, &old, &new);
        }
        3 => {
            let Some(evidence) = canonical::<Evidence>(bytes) else { return };
            let _ = evidence.report(provider);
        }
        4 => drop(canonical::<SignedRoot>(bytes)),
        5 => drop(canonical::<Roots>(bytes)),
        _ => drop(canonical::<Auditor>(bytes)),
    }
}

fn canonical<T: Decode + Encode>(bytes: &[u8]) -> Option<T> {
    let value = T::from_bytes(bytes).ok()?;
    assert_eq!(value.to_bytes().as_deref(), Ok(bytes), "not canonical");
    let longer = [bytes, &[0]].concat();
    assert!(T::from_bytes(&longer).is_err(), "a trailing byte was ignored");
    Some(value)
}

/// A root that nobody signed.
fn root_of(provider: &dyn CryptoProvider, opening: &Opening, epoch: u64) -> Root {
    let root = opening.commitment(provider).unwrap_or_default();
    let public = SignaturePublicKey::from(&[0; 32][..]);
    let key = ServiceKey { scheme: SignatureScheme::Ed25519, public };
    let signed = SignedRoot { epoch, root, published_at: 0, signature: Vec::new() };
    Root::unchecked(Arc::new(key), signed)
}
