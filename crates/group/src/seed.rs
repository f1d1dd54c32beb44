//! Keys that derive from a secret of the caller's, so that several clients can act as one member
//! (draft-ietf-mls-virtual-clients).

use crate::error::reasons::Obstacle;
use crate::error::{Error, Misuse};
use conclave_crypto::{HpkeKeyPair, Secret, Suite};
use conclave_tree::PathOrigin;

/// A secret from which the encryption keys of one key package, Update or commit derive, in place of
/// fresh randomness: an `operation_secret` or `key_package_seed_secret` of
/// draft-ietf-mls-virtual-clients. Whoever has it has these keys.
///
/// It must be `KDF.Nh` bytes that outsiders cannot guess, and it is used **once**: for one key
/// package, or one Update, or one commit in one group, even if that is never accepted. An attempt
/// after a rejected one takes a new seed. Who uses one twice brings a former key back into a group,
/// from which nobody heals; the other members refuse that if the key is still in the tree.
///
/// The keys of signatures, and the randomness of everything else, do not come from it.
///
/// ```
#[doc = two_members!()]
/// use conclave_mls::group::{CommitOptions, KeySeed};
/// # use conclave_crypto::Secret;
///
/// # let secret = Secret::random(32, &mut rng);
/// // `secret` comes from a group of the clients that act as Alice.
/// let options = CommitOptions { seed: Some(KeySeed::new(secret)), ..CommitOptions::default() };
/// let step = alice.commit(&provider, &mut rng, now, options)?;
/// # apply(&mut alice, step, |write| store.write(write))?;
/// # Done::Ok(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySeed(Secret);

impl KeySeed {
    /// A seed. Its length is checked when it is used.
    #[must_use]
    pub fn new(secret: Secret) -> Self {
        Self(secret)
    }

    /// The key pair of a leaf.
    pub(crate) fn leaf_key(&self, suite: &Suite<'_>) -> Result<HpkeKeyPair, Error> {
        Ok(suite.derive_key_pair(&self.derive(suite, b"Encryption Key")?)?)
    }

    /// The key pair by which a key package's owner is welcomed.
    pub(crate) fn init_key(&self, suite: &Suite<'_>) -> Result<HpkeKeyPair, Error> {
        Ok(suite.derive_key_pair(&self.derive(suite, b"Init Key")?)?)
    }

    /// The origin of a commit's path.
    pub(crate) fn path(&self, suite: &Suite<'_>) -> Result<PathOrigin, Error> {
        Ok(PathOrigin {
            leaf: self.derive(suite, b"Encryption Key")?,
            path: self.derive(suite, b"Path Generation")?,
        })
    }

    fn derive(&self, suite: &Suite<'_>, label: &[u8]) -> Result<Secret, Error> {
        if self.0.len() != suite.nh() {
            return Err(Misuse::NotPossible(Obstacle::SeedLength).into());
        }
        Ok(suite.derive_secret(&self.0, label)?)
    }
}
