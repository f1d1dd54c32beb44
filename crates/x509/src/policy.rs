//! What the application decides: who a certificate's names are.

use crate::PresentedIdentifiers;

/// An end entity's certificate and who vouches for it: what an [`IdentityPolicy`] decides by.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Certified {
    /// The identifiers that the end entity presents.
    pub presented: PresentedIdentifiers,
    /// The end entity's certificate in DER.
    pub certificate: Vec<u8>,
    /// The CAs of the verified path, from the one that issued the end entity's certificate to the
    /// trust root.
    ///
    /// Of a credential that is being replaced, it is empty if no path can be verified any more: its
    /// root is no longer trusted, or an intermediate certificate that it left out is not known.
    pub issuers: Vec<Authority>,
    /// The place of the trust root in the list given to
    /// [`X509Validator::new`](crate::X509Validator::new). None if there is no path.
    pub root: Option<usize>,
}

/// A certificate authority on a verified path.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Authority {
    /// Its names.
    pub presented: PresentedIdentifiers,
    /// Its public key: a SubjectPublicKeyInfo in DER.
    pub public_key: Vec<u8>,
    /// Its certificate in DER.
    pub certificate: Vec<u8>,
}

impl Certified {
    /// The CA that issued the end entity's certificate.
    #[must_use]
    pub fn issuer(&self) -> Option<&Authority> {
        self.issuers.first()
    }
}

/// Who is replaced by a new credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Predecessor<'a> {
    /// The owner of an X.509 credential. It was accepted when it was new; by now it may have
    /// expired or been revoked, and [`Certified::issuers`] may be empty.
    X509(&'a Certified),
    /// The owner of a basic credential with this identity.
    Basic(&'a [u8]),
}

/// The application's map from certificates to its own identities (section 5.3.1), in an encoding
/// of its own.
///
/// A function `Fn(&Certified) -> Option<Vec<u8>>` is a policy, by which a credential is a valid
/// successor if both have the same identity.
pub trait IdentityPolicy: Send + Sync {
    /// The identity of the end entity; none if it is not acceptable.
    ///
    /// Trusted CAs attest to the identifiers, but any CA below any root can attest to any of them
    /// that no name constraint forbids. If not every CA may speak for everybody, decide here by
    /// [`Certified::issuers`] or [`Certified::root`], and make the CA a part of the identity where
    /// two of them may use one name for different people.
    fn identity(&self, certified: &Certified) -> Option<Vec<u8>>;

    /// Whether a new credential is a valid successor to the one that it replaces. By default, if
    /// both have the same identity; so never to a basic credential.
    fn is_successor(&self, old: Predecessor<'_>, new: &Certified) -> bool {
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
    F: Fn(&Certified) -> Option<Vec<u8>> + Send + Sync,
{
    fn identity(&self, certified: &Certified) -> Option<Vec<u8>> {
        self(certified)
    }
}
