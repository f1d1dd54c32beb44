//! The application's decision: whom a certificate's names identify.

use crate::PresentedIdentifiers;

/// An end entity's certificate and the CAs that vouch for it. An [`IdentityPolicy`] decides by it.
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
    /// For a credential that is being replaced, this is empty if no path can be verified any more: its root is
    /// no longer trusted, or an intermediate certificate that it left out is unknown.
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

/// The owner of a credential that is being replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Predecessor<'a> {
    /// The owner of an X.509 credential that was accepted when it was new. By now it may have expired or been
    /// revoked, and [`Certified::issuers`] may be empty.
    X509(&'a Certified),
    /// The owner of a basic credential with this identity.
    Basic(&'a [u8]),
}

/// The application's map from certificates to its own identities (section 5.3.1), in the application's
/// encoding.
///
/// A function `Fn(&Certified) -> Option<Vec<u8>>` is a policy. A credential is then a valid successor if it
/// has the same identity.
pub trait IdentityPolicy: Send + Sync {
    /// Returns the identity of the end entity, or none if it is not acceptable.
    ///
    /// Trusted CAs attest to the identifiers, but any CA below any root can attest to every identifier that
    /// no name constraint forbids. If some CAs may speak only for some people, decide by
    /// [`Certified::issuers`] or [`Certified::root`]; and if two CAs may give one name to different people,
    /// make the CA a part of the identity.
    fn identity(&self, certified: &Certified) -> Option<Vec<u8>>;

    /// Whether a new credential is a valid successor to the one that it replaces. Default: if both have the
    /// same identity, so never to a basic credential.
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
