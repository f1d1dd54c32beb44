//! What a service signs: the root of its directory.

use crate::error::RootError;
use alloc::sync::Arc;
use alloc::vec::Vec;
use conclave_mls::crypto::{
    CryptoError, CryptoProvider, Hash, SignatureKeyPair, SignatureScheme, Suite,
};
use conclave_mls::wire::SignaturePublicKey;
use conclave_mls::wire::codec::{Decode, DecodeError, Encode, EncodeError, Reader, Writer};
use core::fmt;

/// The version of [`SignedRoot`].
const VERSION: u8 = 1;
/// Separates a root's signature from everything else that the key may sign (RFC 9420 section 5.1.2).
const ROOT_LABEL: &[u8] = b"Conclave directory root 1";
/// Separates the hash of a root from other hashes.
const COMMITMENT_LABEL: &[u8] = b"Conclave directory commitment 1";

/// The public key by which a service signs what it says about its directory, with its scheme.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct ServiceKey {
    /// The scheme.
    pub scheme: SignatureScheme,
    /// The key.
    pub public: SignaturePublicKey,
}

impl ServiceKey {
    /// The longest public key in bytes. ML-DSA-87's has 2,592.
    pub const MAX_PUBLIC: usize = 4096;

    /// Checks a signature over a content that has this label.
    pub(crate) fn verify(
        &self,
        provider: &dyn CryptoProvider,
        label: &[u8],
        content: &[u8],
        signature: &[u8],
    ) -> Result<(), CryptoError> {
        let message = Suite::sign_content(label, content)?;
        provider.verify(self.scheme, &self.public, &message, signature)
    }
}

impl Encode for ServiceKey {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        self.scheme.code_point().encode(w)?;
        self.public.encode(w)
    }
}

impl Decode for ServiceKey {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let code = u16::decode(r)?;
        let scheme = SignatureScheme::ALL.iter().copied().find(|s| s.code_point() == code);
        let unknown = DecodeError::InvalidValue { field: "SignatureScheme", value: code.into() };
        let scheme = scheme.ok_or(unknown)?;
        let public = take_bounded(r, Self::MAX_PUBLIC, "ServiceKey")?;
        Ok(Self { scheme, public: SignaturePublicKey::from(public) })
    }
}

/// Reads an `opaque<V>` of at most this many bytes.
pub(crate) fn take_bounded<'a>(
    r: &mut Reader<'a>,
    most: usize,
    field: &'static str,
) -> Result<&'a [u8], DecodeError> {
    let bytes = r.opaque()?;
    if bytes.len() > most {
        return Err(DecodeError::InvalidValue { field, value: bytes.len() as u64 });
    }
    Ok(bytes)
}

/// Reads an epoch.
pub(crate) fn take_epoch(r: &mut Reader<'_>) -> Result<u64, DecodeError> {
    let epoch = u64::decode(r)?;
    if epoch > SignedRoot::MAX_EPOCH {
        return Err(DecodeError::InvalidValue { field: "epoch", value: epoch });
    }
    Ok(epoch)
}

/// The key by which a service signs what it says about its directory.
#[derive(Clone, Debug)]
pub struct Signer {
    scheme: SignatureScheme,
    pair: SignatureKeyPair,
}

impl Signer {
    /// A signer with this key pair.
    #[must_use]
    pub fn new(scheme: SignatureScheme, pair: SignatureKeyPair) -> Self {
        Self { scheme, pair }
    }

    /// The public half, which clients need.
    #[must_use]
    pub fn key(&self) -> ServiceKey {
        ServiceKey { scheme: self.scheme, public: self.pair.public.clone() }
    }

    pub(crate) fn sign(
        &self,
        provider: &dyn CryptoProvider,
        label: &[u8],
        content: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        provider.sign(self.scheme, &self.pair, &Suite::sign_content(label, content)?)
    }

    /// Signs a root.
    ///
    /// # Errors
    /// If the provider fails, or does not have the scheme.
    pub fn root(
        &self,
        provider: &dyn CryptoProvider,
        epoch: u64,
        root: [u8; 32],
        published_at: u64,
    ) -> Result<SignedRoot, CryptoError> {
        let mut signed = SignedRoot { epoch, root, published_at, signature: Vec::new() };
        signed.signature = self.sign(provider, ROOT_LABEL, &signed.content())?;
        Ok(signed)
    }
}

/// The root of a directory as its service signs it, on the wire and not verified: 115 bytes with Ed25519.
///
/// ```text
/// struct {
///     uint8 version = 1;
///     uint64 epoch;
///     opaque root[32];
///     uint64 published_at;
///     opaque signature<V>;    // SignWithLabel(key, "Conclave directory root 1", all before)
/// } SignedRoot;
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SignedRoot {
    /// How many batches were published before, plus one. The empty directory is epoch 0.
    pub epoch: u64,
    /// What the directory is committed to: the root of the tree, and the key that hides names in it.
    pub root: [u8; 32],
    /// When it was signed, in seconds since 1970.
    pub published_at: u64,
    /// The signature.
    pub signature: Vec<u8>,
}

impl SignedRoot {
    /// The longest signature in bytes. ML-DSA-87's has 4,627.
    pub const MAX_SIGNATURE: usize = 8192;
    /// The highest epoch. Higher ones would overflow the arithmetic of markers in `akd`.
    pub const MAX_EPOCH: u64 = 1 << 48;

    /// What is signed.
    fn content(&self) -> Vec<u8> {
        let mut w = Writer::new();
        self.put_content(&mut w);
        w.finish()
    }

    fn put_content(&self, w: &mut Writer) {
        w.put(&[VERSION]);
        w.put(&self.epoch.to_be_bytes());
        w.put(&self.root);
        w.put(&self.published_at.to_be_bytes());
    }

    /// Checks that a service signed this root.
    ///
    /// # Errors
    /// [`RootError::NotSigned`] if it did not; [`RootError::Crypto`] if the provider cannot say.
    pub fn verify(
        &self,
        provider: &dyn CryptoProvider,
        key: &Arc<ServiceKey>,
    ) -> Result<Root, RootError> {
        key.verify(provider, ROOT_LABEL, &self.content(), &self.signature).map_err(|error| {
            if error.is_of_input() { RootError::NotSigned } else { RootError::Crypto(error) }
        })?;
        Ok(Root { key: Arc::clone(key), signed: self.clone() })
    }
}

impl Encode for SignedRoot {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        self.put_content(w);
        w.put_opaque(&self.signature)
    }
}

impl Decode for SignedRoot {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let version = u8::decode(r)?;
        if version != VERSION {
            return Err(DecodeError::InvalidValue { field: "SignedRoot", value: version.into() });
        }
        let epoch = take_epoch(r)?;
        let root = r.take_array()?;
        let published_at = u64::decode(r)?;
        let signature = take_bounded(r, Self::MAX_SIGNATURE, "signature")?.to_vec();
        Ok(Self { epoch, root, published_at, signature })
    }
}

impl fmt::Debug for SignedRoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SignedRoot({}, ", self.epoch)?;
        self.root.iter().take(4).try_for_each(|byte| write!(f, "{byte:02x}"))?;
        write!(f, "…, at {})", self.published_at)
    }
}

/// A root that its service signed: [`SignedRoot::verify`] alone makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    key: Arc<ServiceKey>,
    signed: SignedRoot,
}

impl Root {
    /// A root that nobody signed, to get at the checks behind the signature.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn unchecked(key: Arc<ServiceKey>, signed: SignedRoot) -> Self {
        Self { key, signed }
    }

    /// The epoch.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.signed.epoch
    }

    /// When it was signed, in seconds since 1970, by the service's clock.
    #[must_use]
    pub fn published_at(&self) -> u64 {
        self.signed.published_at
    }

    /// The service's key.
    #[must_use]
    pub fn key(&self) -> &Arc<ServiceKey> {
        &self.key
    }

    /// The root as it goes over the wire: what is handed to others.
    #[must_use]
    pub fn signed(&self) -> &SignedRoot {
        &self.signed
    }
}

/// What a [`SignedRoot::root`] is a hash of. Every proof carries it.
///
/// The key that hides names is part of it: a service that gave two clients different keys would show them
/// different leaves under one tree. Like this it has to show them different roots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Opening {
    /// The key of the verifiable random function that hides names.
    pub(crate) vrf_key: [u8; 32],
    /// The root of the tree.
    pub(crate) tree: [u8; 32],
}

impl Opening {
    /// The hash that goes into a [`SignedRoot`].
    pub(crate) fn commitment(
        &self,
        provider: &dyn CryptoProvider,
    ) -> Result<[u8; 32], CryptoError> {
        let digest = provider.hash(Hash::Sha256, &[COMMITMENT_LABEL, &self.vrf_key, &self.tree])?;
        <[u8; 32]>::try_from(&*digest).map_err(|_| CryptoError::InvalidLength)
    }

    /// Whether this is what a root was made of.
    pub(crate) fn opens(
        &self,
        provider: &dyn CryptoProvider,
        root: &Root,
    ) -> Result<bool, CryptoError> {
        Ok(self.commitment(provider)? == root.signed.root)
    }
}

impl Encode for Opening {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        w.put(&self.vrf_key);
        w.put(&self.tree);
        Ok(())
    }
}

impl Decode for Opening {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { vrf_key: r.take_array()?, tree: r.take_array()? })
    }
}
