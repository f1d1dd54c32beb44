//! A client's credential, capabilities and signature key pair as one value.

use crate::error::Error;
use crate::join::create::GroupParams;
use crate::join::external::ExternalJoinOptions;
use crate::key_package::{KeyPackageParams, LeafParams};
use crate::send::LeafUpdate;
use crate::store::row_codec::{named, nothing_left, put_secret, take_secret};
use crate::store::rows::Stored;
use conclave_crypto::{CryptoProvider, CryptoRng, Secret, SignatureKeyPair, Suite};
use conclave_wire::{CipherSuite, Credential, Decode, Encode, GroupId, Lifetime, Reader, Writer};

/// A client's credential, capabilities and signature key pair, for the groups of one cipher suite.
///
/// [`Self::to_secret`] stores it, so that the client is the same after a restart.
///
/// ```
#[doc = client!()]
/// let alice = Identity::generate(&provider, &mut rng, Credential::basic(b"alice"), suite)?;
/// let stored = alice.to_secret()?;
/// assert_eq!(Identity::from_secret(&stored)?, alice);
/// # Done::Ok(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The cipher suite of its groups, and of the key pair.
    pub cipher_suite: CipherSuite,
    /// The contents of its leaf nodes.
    pub leaf: LeafParams,
    /// The key pair that it signs with.
    pub signer: SignatureKeyPair,
}

impl Identity {
    /// A client with a key pair. Its leaf nodes list this cipher suite and the credential's type
    /// alone.
    #[must_use]
    pub fn new(
        credential: Credential,
        cipher_suite: CipherSuite,
        signer: SignatureKeyPair,
    ) -> Self {
        Self { cipher_suite, leaf: LeafParams::new(credential, &[cipher_suite]), signer }
    }

    /// A client with a fresh key pair.
    ///
    /// # Errors
    /// If the provider does not support the suite, or fails.
    pub fn generate(
        provider: &dyn CryptoProvider,
        rng: &mut dyn CryptoRng,
        credential: Credential,
        cipher_suite: CipherSuite,
    ) -> Result<Self, Error> {
        let signer = Suite::new(provider, cipher_suite)?.signature_key_pair(rng)?;
        Ok(Self::new(credential, cipher_suite, signer))
    }

    /// The same client with a fresh key pair: for
    /// [`CommitOptions::leaf`](crate::CommitOptions::leaf), to rotate its signature key.
    ///
    /// # Errors
    /// If the provider does not support the suite, or fails.
    pub fn renewed(
        &self,
        provider: &dyn CryptoProvider,
        rng: &mut dyn CryptoRng,
    ) -> Result<Self, Error> {
        let signer = Suite::new(provider, self.cipher_suite)?.signature_key_pair(rng)?;
        Ok(Self { signer, ..self.clone() })
    }

    /// Parameters of a group that this client creates.
    #[must_use]
    pub fn group_params(&self, group_id: GroupId, lifetime: Lifetime) -> GroupParams {
        GroupParams::new(group_id, self.cipher_suite, self.leaf.clone(), lifetime)
    }

    /// Parameters of a key package of this client.
    #[must_use]
    pub fn key_package_params(&self, lifetime: Lifetime) -> KeyPackageParams {
        KeyPackageParams::new(self.cipher_suite, self.leaf.clone(), lifetime)
    }

    /// Options for joining a group from outside as this client.
    #[must_use]
    pub fn external_join_options(&self) -> ExternalJoinOptions {
        ExternalJoinOptions::new(self.leaf.clone(), self.signer.clone())
    }

    /// The change that gives a leaf this identity.
    #[must_use]
    pub fn leaf_update(&self) -> LeafUpdate {
        LeafUpdate { params: self.leaf.clone(), signer: self.signer.clone() }
    }

    /// The identity as bytes, for storage: content, [format](crate::rows::FORMAT), and a checksum.
    /// It holds a private key.
    ///
    /// # Errors
    /// If it is too long to encode.
    pub fn to_secret(&self) -> Result<Secret, Error> {
        let mut w = Writer::secret();
        self.cipher_suite.encode(&mut w)?;
        self.leaf.credential.encode(&mut w)?;
        self.leaf.capabilities.encode(&mut w)?;
        self.leaf.extensions.encode(&mut w)?;
        put_secret(&mut w, &self.signer.private)?;
        self.signer.public.encode(&mut w)?;
        let content = Secret::new(w.finish());
        Ok(Stored::Identity.seal(content.expose()))
    }

    /// The identity that [`Self::to_secret`] stored.
    ///
    /// # Errors
    /// [`Error::Storage`] if the bytes are damaged, of another format, or something else that was
    /// stored.
    pub fn from_secret(stored: &Secret) -> Result<Self, Error> {
        named(&"stored identity", Stored::Identity.open(stored).and_then(Self::from_content))
    }

    fn from_content(content: &[u8]) -> Result<Self, Error> {
        let mut r = Reader::new(content);
        let cipher_suite = Decode::decode(&mut r)?;
        let leaf = LeafParams {
            credential: Decode::decode(&mut r)?,
            capabilities: Decode::decode(&mut r)?,
            extensions: Decode::decode(&mut r)?,
        };
        let signer = SignatureKeyPair::new(take_secret(&mut r)?, Decode::decode(&mut r)?);
        nothing_left(&r)?;
        Ok(Self { cipher_suite, leaf, signer })
    }
}
