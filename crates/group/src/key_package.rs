//! Key packages (section 10): making our own, and checking others'.

use crate::config::Config;
use crate::credentials::{CredentialRequest, Verdict, check_verdicts};
use crate::error::reasons::CredentialSubject;
use crate::error::{Error, Rejection};
use crate::seed::KeySeed;
use crate::store::row_codec::{named, nothing_left, take_secret};
use crate::store::rows::Stored;
use crate::validate::components::{check_dictionary, check_own_components};
use crate::validate::key_package::{KEY_PACKAGE_LABEL, check_key_package, check_key_packages};
use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use conclave_crypto::{
    CryptoError, CryptoProvider, CryptoRng, HpkeKeyPair, HpkePrivateKey, Secret, SignatureKeyPair,
    Suite,
};
use conclave_tree::{check_own_leaf_rules, sign_leaf};
use conclave_wire::{
    AppDataDictionary, Bytes, Capabilities, CipherSuite, ComponentId, Credential, Decode, Encode,
    Extension, ExtensionType, GroupId, KeyPackage, KeyPackageRef, KeyPackageTbs, LeafIndex,
    LeafNode, LeafNodeContext, LeafNodeSource, Lifetime, MlsMessage, MlsMessageBody,
    ProtocolVersion, Reader, SignaturePublicKey, UnixTime, Writer, duplicate_extension,
    put_extension,
};

/// What a leaf node says about its client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeafParams {
    /// The client's credential.
    pub credential: Credential,
    /// The client's capabilities.
    pub capabilities: Capabilities,
    /// Leaf node extensions.
    pub extensions: Vec<Extension>,
}

impl LeafParams {
    /// A leaf with this credential that supports the given suites, and credentials of this type
    /// alone. A client that can judge other types too lists them in
    /// [`Capabilities::credentials`](conclave_wire::Capabilities::credentials).
    #[must_use]
    pub fn new(credential: Credential, cipher_suites: &[CipherSuite]) -> Self {
        let credentials = vec![credential.credential_type()];
        Self {
            credential,
            capabilities: Capabilities {
                versions: vec![ProtocolVersion::MLS_1_0],
                cipher_suites: cipher_suites.to_vec(),
                extensions: Vec::new(),
                proposals: Vec::new(),
                credentials,
            },
            extensions: Vec::new(),
        }
    }

    /// An unsigned leaf node without encryption key and source. Its capabilities do not list the
    /// default types, as section 7.2 demands.
    pub(crate) fn template(&self, signature_key: &SignaturePublicKey) -> LeafNode {
        let mut capabilities = self.capabilities.clone();
        capabilities.extensions.retain(|t| !t.is_default());
        capabilities.proposals.retain(|t| !t.is_default());
        LeafNode {
            encryption_key: Vec::new().into(),
            signature_key: signature_key.clone(),
            credential: self.credential.clone(),
            capabilities,
            leaf_node_source: LeafNodeSource::Update,
            extensions: self.extensions.clone(),
            signature: Bytes::default(),
        }
    }
}

/// Decodes a published key package: an MLSMessage that holds a KeyPackage.
/// [`ValidKeyPackage::check`] has to check it.
///
/// ```
#[doc = client!()]
/// use conclave_mls::key_package::key_package_from_message;
///
/// # let own = key_package_of(b"bob");
/// let published = own.message()?;
/// let key_package = key_package_from_message(&published)?;
/// # assert_eq!(key_package, *own.key_package());
/// # Done::Ok(())
/// ```
///
/// # Errors
/// [`Error::Malformed`] if the bytes are not an MLSMessage, as a bare KeyPackage is not;
/// [`Rejection::UnexpectedMessage`] for another kind of message.
pub fn key_package_from_message(message: &[u8]) -> Result<KeyPackage, Error> {
    match MlsMessage::from_bytes(message)?.body {
        MlsMessageBody::KeyPackage(key_package) => Ok(*key_package),
        MlsMessageBody::PublicMessage(_)
        | MlsMessageBody::PrivateMessage(_)
        | MlsMessageBody::Welcome(_)
        | MlsMessageBody::GroupInfo(_)
        | MlsMessageBody::TargetedMessage(_) => Err(Rejection::UnexpectedMessage.into()),
    }
}

/// A key package with its private keys, to be kept until a Welcome comes.
///
/// Store [`Self::to_secret`] before the package is published. Delete it in the same write that
/// stores the group which was joined by it, unless it is one of last resort.
///
/// ```
#[doc = client!()]
/// use conclave_mls::key_package::OwnKeyPackage;
///
/// # let bob = identity(b"bob");
/// let params = bob.key_package_params(lifetime);
/// let own = OwnKeyPackage::generate(&provider, &mut rng, params, bob.signer)?;
/// let stored = own.to_secret()?; // first stored,
/// let published = own.message()?; // then published
///
/// // When a Welcome has come for it:
/// let own = OwnKeyPackage::from_secret(&provider, &stored)?;
/// # assert_eq!(own.message()?, published);
/// # Done::Ok(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnKeyPackage {
    key_package: KeyPackage,
    encoded: Vec<u8>,
    reference: KeyPackageRef,
    pub(crate) init_key: HpkePrivateKey,
    pub(crate) leaf_key: HpkePrivateKey,
    pub(crate) signer: SignatureKeyPair,
}

/// The parameters of a new key package.
/// [`Identity::key_package_params`](crate::Identity::key_package_params) makes them.
#[derive(Clone, Debug)]
pub struct KeyPackageParams {
    /// The cipher suite.
    pub cipher_suite: CipherSuite,
    /// The leaf node.
    pub leaf: LeafParams,
    /// The time in which it may be used.
    pub lifetime: Lifetime,
    /// Key package extensions, without `last_resort`.
    pub extensions: Vec<Extension>,
    /// Whether it may be used more than once, if no other is left: then it has the extension
    /// `last_resort`, which is in wide use. [`Self::with_last_resort_component`] is the draft's way.
    pub last_resort: bool,
}

impl KeyPackageParams {
    /// A key package without extensions, which may be used once.
    #[must_use]
    pub fn new(cipher_suite: CipherSuite, leaf: LeafParams, lifetime: Lifetime) -> Self {
        Self { cipher_suite, leaf, lifetime, extensions: Vec::new(), last_resort: false }
    }

    /// The same key package with this data for a component in its dictionary
    /// (draft-ietf-mls-extensions-10). The leaf must list its [components](LeafParams::with_components).
    ///
    /// # Errors
    /// If the extensions hold a dictionary already and it is malformed.
    pub fn with_component(
        mut self,
        component_id: ComponentId,
        data: impl Into<Bytes>,
    ) -> Result<Self, Error> {
        let dictionary = AppDataDictionary::find(&self.extensions)?.unwrap_or_default();
        put_extension(&mut self.extensions, dictionary.with(component_id, data).to_extension()?);
        Ok(self)
    }

    /// The same key package, marked as one of last resort by the component `last_resort_key_package`. It
    /// may have the extension as well: [`Self::last_resort`].
    ///
    /// # Errors
    /// As for [`Self::with_component`].
    pub fn with_last_resort_component(self) -> Result<Self, Error> {
        self.with_component(ComponentId::LAST_RESORT_KEY_PACKAGE, Bytes::default())
    }
}

impl OwnKeyPackage {
    /// Makes a key package with fresh keys.
    ///
    /// # Errors
    /// If the provider does not support the suite, the signature key pair is not of it, or the leaf
    /// breaks a rule.
    pub fn generate(
        provider: &dyn CryptoProvider,
        rng: &mut dyn CryptoRng,
        params: KeyPackageParams,
        signer: SignatureKeyPair,
    ) -> Result<Self, Error> {
        let suite = Suite::new(provider, params.cipher_suite)?;
        let init = suite.hpke_key_pair(rng)?;
        let leaf = suite.hpke_key_pair(rng)?;
        Self::with_keys(&suite, init, leaf, params, signer)
    }

    /// Makes a key package with encryption keys from a seed, in place of fresh randomness.
    ///
    /// # Errors
    /// Those of [`Self::generate`], and if the seed has not the right length.
    pub fn from_seed(
        provider: &dyn CryptoProvider,
        seed: &KeySeed,
        params: KeyPackageParams,
        signer: SignatureKeyPair,
    ) -> Result<Self, Error> {
        let suite = Suite::new(provider, params.cipher_suite)?;
        let init = seed.init_key(&suite)?;
        let leaf = seed.leaf_key(&suite)?;
        Self::with_keys(&suite, init, leaf, params, signer)
    }

    fn with_keys(
        suite: &Suite<'_>,
        init: HpkeKeyPair,
        leaf: HpkeKeyPair,
        params: KeyPackageParams,
        signer: SignatureKeyPair,
    ) -> Result<Self, Error> {
        // The extensions, and that the leaf supports them.
        let mut leaf_node = params.leaf.template(&signer.public);
        let mut extensions = params.extensions;
        if params.last_resort {
            let extension_type = ExtensionType::LAST_RESORT;
            extensions.push(Extension { extension_type, extension_data: Bytes::default() });
        }
        check_dictionary(&extensions)?;
        if let Some(twice) = duplicate_extension(&extensions) {
            return Err(Rejection::DuplicateExtension(twice).into());
        }
        // Section 10: the maker of a key package lists its extensions in the leaf's capabilities.
        let listed = &mut leaf_node.capabilities.extensions;
        for extension_type in extensions.iter().map(|e| e.extension_type) {
            if !extension_type.is_default() && !listed.contains(&extension_type) {
                listed.push(extension_type);
            }
        }

        check_own_components(&leaf_node)?;

        // Sign the leaf, then the whole.
        leaf_node.encryption_key = leaf.public;
        leaf_node.leaf_node_source = LeafNodeSource::KeyPackage(params.lifetime);
        let nowhere = GroupId::default();
        let context = LeafNodeContext { group_id: &nowhere, leaf_index: LeafIndex(0) };
        sign_leaf(suite, &mut leaf_node, &signer, context)?;
        check_own_leaf_rules(&leaf_node, suite.cipher_suite()).map_err(Rejection::LeafRule)?;
        let mut key_package = KeyPackage {
            version: ProtocolVersion::MLS_1_0,
            cipher_suite: params.cipher_suite,
            init_key: init.public,
            leaf_node,
            extensions,
            signature: Bytes::default(),
        };
        let tbs = KeyPackageTbs(&key_package).to_bytes()?;
        key_package.signature = suite.sign_with_label(&signer, KEY_PACKAGE_LABEL, &tbs)?.into();
        Self::assemble(suite, key_package, init.private, leaf.private, signer)
    }

    fn assemble(
        suite: &Suite<'_>,
        key_package: KeyPackage,
        init_key: HpkePrivateKey,
        leaf_key: HpkePrivateKey,
        signer: SignatureKeyPair,
    ) -> Result<Self, Error> {
        let encoded = key_package.to_bytes()?;
        let reference = suite.key_package_ref(&encoded)?;
        Ok(Self { key_package, encoded, reference, init_key, leaf_key, signer })
    }

    /// Puts a key package together from its parts, whose keys must belong together.
    ///
    /// # Errors
    /// If a private key does not belong to its public key.
    pub fn from_parts(
        provider: &dyn CryptoProvider,
        key_package: KeyPackage,
        init_key: Secret,
        leaf_key: Secret,
        signature_key: Secret,
    ) -> Result<Self, Error> {
        let suite = Suite::new(provider, key_package.cipher_suite)?;
        let init_key = HpkePrivateKey(init_key);
        let leaf_key = HpkePrivateKey(leaf_key);
        let public = suite.signature_public_key(&signature_key)?;
        let signer = SignatureKeyPair::new(signature_key, public);
        let fits = suite.hpke_public_key(&init_key)? == key_package.init_key
            && suite.hpke_public_key(&leaf_key)? == key_package.leaf_node.encryption_key
            && signer.public == key_package.leaf_node.signature_key;
        if !fits {
            return Err(CryptoError::InvalidPrivateKey.into());
        }
        Self::assemble(&suite, key_package, init_key, leaf_key, signer)
    }

    /// The key package.
    #[must_use]
    pub fn key_package(&self) -> &KeyPackage {
        &self.key_package
    }

    /// The encoded KeyPackage, not wrapped in an MLSMessage.
    #[must_use]
    pub fn encoded(&self) -> &[u8] {
        &self.encoded
    }

    /// The key package as an encoded MLSMessage, to be published.
    ///
    /// # Errors
    /// None for a package that could be encoded before.
    pub fn message(&self) -> Result<Vec<u8>, Error> {
        let body = MlsMessageBody::KeyPackage(Box::new(self.key_package.clone()));
        Ok(MlsMessage::from(body).to_bytes()?)
    }

    /// The hash by which a Welcome names this key package.
    #[must_use]
    pub fn reference(&self) -> &KeyPackageRef {
        &self.reference
    }

    /// The signature key pair.
    #[must_use]
    pub fn signer(&self) -> &SignatureKeyPair {
        &self.signer
    }

    /// The private key that opens the Welcome. [`Self::from_parts`] takes it together with
    /// [`Self::leaf_key`] and [`Self::signer`], for test vectors and other stacks. To store the key
    /// package, use [`Self::to_secret`].
    #[must_use]
    pub fn init_key(&self) -> &HpkePrivateKey {
        &self.init_key
    }

    /// The leaf's private encryption key. See [`Self::init_key`].
    #[must_use]
    pub fn leaf_key(&self) -> &HpkePrivateKey {
        &self.leaf_key
    }

    pub(crate) fn init_key_pair(&self) -> HpkeKeyPair {
        HpkeKeyPair { private: self.init_key.clone(), public: self.key_package.init_key.clone() }
    }

    /// The key package and its private keys as bytes, for storage: content,
    /// [format](crate::rows::FORMAT), and a checksum that tells it from everything else that is
    /// stored, as a [row](crate::rows) has.
    ///
    /// # Errors
    /// None for a package that could be encoded before.
    pub fn to_secret(&self) -> Result<Secret, Error> {
        let mut w = Writer::secret();
        w.put_opaque(&self.encoded)?;
        w.put_opaque(self.init_key.0.expose())?;
        w.put_opaque(self.leaf_key.0.expose())?;
        w.put_opaque(self.signer.private.expose())?;
        let content = Secret::new(w.finish());
        Ok(Stored::KeyPackage.seal(content.expose()))
    }

    /// The key package that [`Self::to_secret`] stored.
    ///
    /// # Errors
    /// [`Error::Storage`] if the bytes are damaged, of another format, or something else that was
    /// stored. It also fails if the provider does not support the suite.
    pub fn from_secret(provider: &dyn CryptoProvider, bytes: &Secret) -> Result<Self, Error> {
        let parts = Stored::KeyPackage.open(bytes).and_then(Self::parts);
        let (key_package, [init_key, leaf_key, signature]) = named(&"key package", parts)?;
        let suite = Suite::new(provider, key_package.cipher_suite)?;
        let public = key_package.leaf_node.signature_key.clone();
        let signer = SignatureKeyPair::new(signature, public);
        let init_key = HpkePrivateKey(init_key);
        let leaf_key = HpkePrivateKey(leaf_key);
        Self::assemble(&suite, key_package, init_key, leaf_key, signer)
    }

    /// The stored parts: the KeyPackage, and the private keys in their order.
    fn parts(content: &[u8]) -> Result<(KeyPackage, [Secret; 3]), Error> {
        let mut r = Reader::new(content);
        let key_package = KeyPackage::from_bytes(r.opaque()?)?;
        let secrets = [take_secret(&mut r)?, take_secret(&mut r)?, take_secret(&mut r)?];
        nothing_left(&r)?;
        Ok((key_package, secrets))
    }
}

/// A key package whose signatures, lifetime and rules were checked, and whose credential the
/// application accepted. There is no other way to make one.
///
/// ```
#[doc = client!()]
/// use conclave_mls::group::NewProposal;
/// use conclave_mls::key_package::ValidKeyPackage;
///
/// # let published = key_package_of(b"bob").message()?;
/// # let key_package = conclave_mls::key_package::key_package_from_message(&published)?;
/// let stage = ValidKeyPackage::check(&provider, now, &Config::default(), key_package)?;
/// // Does the authentication service vouch for this credential and its key?
/// let asked = stage.credential();
/// let verdict = if asked.credential == Credential::basic(b"bob") {
///     Verdict::Accept
/// } else {
///     Verdict::refuse("not bob")
/// };
/// let proposal = NewProposal::Add(Box::new(stage.resolve(verdict)?));
/// # Done::Ok(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidKeyPackage {
    key_package: KeyPackage,
    reference: KeyPackageRef,
}

/// A key package that is valid, apart from the application's verdict on its credential.
#[derive(Clone, Debug)]
pub struct KeyPackageStage {
    inner: ValidKeyPackage,
    request: [CredentialRequest; 1],
}

impl ValidKeyPackage {
    /// Checks a key package (section 10.1). The credential is still to be judged.
    ///
    /// # Errors
    /// The first rule that it breaks. It also fails if the provider does not support the suite.
    pub fn check(
        provider: &dyn CryptoProvider,
        now: UnixTime,
        config: &Config,
        key_package: KeyPackage,
    ) -> Result<KeyPackageStage, Error> {
        let suite = Suite::new(provider, key_package.cipher_suite)?;
        check_key_package(&suite, &config.limits, &key_package)?;
        Self::stage(&suite, now, config, key_package)
    }

    /// Checks many key packages as [`Self::check`] does, in a fraction of the time if the provider
    /// verifies signatures in batches.
    ///
    /// # Errors
    /// The index of a key package that breaks a rule, and the rule. Others may break rules too.
    pub fn check_many(
        provider: &dyn CryptoProvider,
        now: UnixTime,
        config: &Config,
        key_packages: Vec<KeyPackage>,
    ) -> Result<Vec<KeyPackageStage>, (usize, Error)> {
        let mut start = 0;
        for alike in key_packages.chunk_by(|a, b| a.cipher_suite == b.cipher_suite) {
            let in_all = |(i, error): (usize, Error)| (start + i, error);
            let Some(first) = alike.first() else { continue };
            let suite =
                Suite::new(provider, first.cipher_suite).map_err(|e| in_all((0, e.into())))?;
            check_key_packages(&suite, &config.limits, alike.iter()).map_err(in_all)?;
            start += alike.len();
        }

        let stage = |(i, key_package): (usize, KeyPackage)| {
            Suite::new(provider, key_package.cipher_suite)
                .map_err(Error::from)
                .and_then(|suite| Self::stage(&suite, now, config, key_package))
                .map_err(|error| (i, error))
        };
        key_packages.into_iter().enumerate().map(stage).collect()
    }

    /// A key package whose signatures and rules were checked.
    fn stage(
        suite: &Suite<'_>,
        now: UnixTime,
        config: &Config,
        key_package: KeyPackage,
    ) -> Result<KeyPackageStage, Error> {
        config.check_lifetime(&key_package.leaf_node, now)?;
        let reference = suite.key_package_ref(&key_package.to_bytes()?)?;

        let request = CredentialRequest {
            subject: CredentialSubject::KeyPackage,
            credential: key_package.leaf_node.credential.clone(),
            signature_key: key_package.leaf_node.signature_key.clone(),
            replaces: None,
        };
        let inner = Self { key_package, reference };
        Ok(KeyPackageStage { inner, request: [request] })
    }

    /// The key package.
    #[must_use]
    pub fn key_package(&self) -> &KeyPackage {
        &self.key_package
    }

    /// Its hash.
    #[must_use]
    pub fn reference(&self) -> &KeyPackageRef {
        &self.reference
    }
}

impl KeyPackageStage {
    /// The credential to judge.
    #[must_use]
    pub fn credential(&self) -> &CredentialRequest {
        let [request] = &self.request;
        request
    }

    /// The valid key package, if its credential was accepted.
    ///
    /// # Errors
    /// [`Rejection::CredentialRefused`].
    pub fn resolve(self, verdict: Verdict) -> Result<ValidKeyPackage, Error> {
        check_verdicts(&self.request, &[verdict])?;
        Ok(self.inner)
    }
}
