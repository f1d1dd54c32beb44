//! What the application decides: who a certificate's names are.

use crate::PresentedIdentifiers;

/// Who is replaced by a new credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Predecessor<'a> {
    /// Somebody with an X.509 credential that presents these identifiers.
    X509(&'a PresentedIdentifiers),
    /// Somebody with a basic credential for this identity.
    Basic(&'a [u8]),
}

/// The application's map from presented identifiers to its own identities (section 5.3.1), in an
/// encoding of its own.
///
/// A function `Fn(&PresentedIdentifiers) -> Option<Vec<u8>>` is a policy, by which a credential is
/// a valid successor if both have the same identity.
pub trait IdentityPolicy: Send + Sync {
    /// The identity that the identifiers stand for; none if they are not acceptable.
    ///
    /// The identifiers were attested by a trusted CA, but as they are: whether this CA may speak
    /// for these names is a matter of its name constraints and of this policy.
    fn identity(&self, presented: &PresentedIdentifiers) -> Option<Vec<u8>>;

    /// Whether new identifiers are a valid successor to those that they replace. By default, if
    /// both stand for the same identity; so never to a basic credential.
    fn is_successor(&self, old: Predecessor<'_>, new: &PresentedIdentifiers) -> bool {
        match old {
            Predecessor::X509(old) => {
                self.identity(old).is_some_and(|old| self.identity(new) == Some(old))
            }
            Predecessor::Basic(_) => false,
        }
    }
}

impl<F> IdentityPolicy for F
where
    F: Fn(&PresentedIdentifiers) -> Option<Vec<u8>> + Send + Sync,
{
    fn identity(&self, presented: &PresentedIdentifiers) -> Option<Vec<u8>> {
        self(presented)
    }
}
