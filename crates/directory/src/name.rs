//! Which leaf belongs to a name: a verifiable random function says it, and hides the name in the tree.

use crate::error::ProofError;
use crate::tree::Hashing;
use akd_core::ecvrf::{Proof, VRFKeyStorage, VRFPublicKey, VrfError};
use akd_core::{AkdLabel, Configuration as _, NodeLabel, VersionFreshness};
use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

/// A proof of the function.
pub(crate) type NameProof = [u8; 80];

/// The result of a future that never waits, which those of `akd` are over storage and keys that do not.
pub(crate) fn ready<T>(future: impl Future<Output = T>) -> Option<T> {
    let future = core::pin::pin!(future);
    match future.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

/// Checks that a proof is for a version of a name's entry, and returns the label of its leaf.
pub(crate) fn verify(
    key: &[u8; 32],
    user: &[u8],
    freshness: VersionFreshness,
    version: u64,
    proof: &NameProof,
) -> Result<NodeLabel, ProofError> {
    let other = |_| ProofError::OtherName;
    let key = VRFPublicKey::try_from(key.as_slice()).map_err(other)?;
    let proof = Proof::try_from(proof.as_slice()).map_err(other)?;

    let user = AkdLabel(user.to_vec());
    let input = Hashing::get_hash_from_label_input(&user, freshness, version);
    key.verify(&proof, &input).map_err(other)?;
    ready(NoKey.get_node_label_from_vrf_proof(proof)).ok_or(ProofError::OtherName)
}

/// A place of keys without one. `akd_core` computes a label from a proof as a method of such places alone.
#[derive(Clone)]
struct NoKey;

impl VRFKeyStorage for NoKey {
    fn retrieve<'a, 'f>(
        &'a self,
    ) -> Pin<Box<dyn Future<Output = Result<Vec<u8>, VrfError>> + Send + 'f>>
    where
        'a: 'f,
        Self: 'f,
    {
        Box::pin(core::future::ready(Err(VrfError::SigningKey("there is none".to_string()))))
    }
}
