//! Key packages (section 10): making one, and checking somebody else's.

use crate::config::Config;
use crate::credentials::{CredentialRequest, Verdict, check_verdicts};
use crate::error::{CredentialSubject, Error, Rejection};
use crate::limits::Limits;
use crate::row_codec::{named, nothing_left, take_secret};
use crate::rows::Stored;
use crate::rules;
use alloc::collections::BTreeSet;
use alloc::vec;
use alloc::vec::Vec;
use conclave_crypto::{
    CryptoError, CryptoProvider, CryptoRng, HpkeKeyPair, HpkePrivateKey, Secret, SignatureKeyPair,
    Suite,
};
use conclave_tree::{LeafRule, check_leaf_rules, sign_leaf};
use conclave_wire::{
    Bytes, Capabilities, CipherSuite, Credential, CredentialType, Decode, Encode, Extension,
    ExtensionType, GroupId, KeyPackage, KeyPackageRef, KeyPackageTbs, LeafIndex, LeafNode,
    LeafNodeContext, LeafNodeSource, Lifetime, ProtocolVersion, Reader, SignaturePublicKey, Writer,
    duplicate_extension,
};

/// What a client says of itself in a leaf node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeafParams {
    /// Who it is.
    pub credential: Credential,
    /// What it supports.
    pub capabilities: Capabilities,
    /// Leaf node extensions.
    pub extensions: Vec<Extension>,
}

impl LeafParams {
    /// A leaf of this credential that supports the given suites and basic and X.509 credentials.
    #[must_use]
    pub fn new(credential: Credential, cipher_suites: &[CipherSuite]) -> Self {
        Self {
            credential,
            capabilities: Capabilities {
                versions: vec![ProtocolVersion::MLS10],
                cipher_suites: cipher_suites.to_vec(),
                extensions: Vec::new(),
                proposals: Vec::new(),
                credentials: vec![CredentialType::BASIC, CredentialType::X509],
            },
            extensions: Vec::new(),
        }
    }

    /// An unsigned leaf node, its encryption key and source to be filled in. Its capabilities are
    /// without the default types, which must not be listed (section 7.2).
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

/// A key package with its private keys: what a client keeps until a Welcome comes.
///
/// Store [`Self::to_secret`] before the package is published; delete it in the same write that
/// stores the group that was joined by it, unless it is one of last resort.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnKeyPackage {
    key_package: KeyPackage,
    encoded: Vec<u8>,
    reference: KeyPackageRef,
    pub(crate) init_key: HpkePrivateKey,
    pub(crate) leaf_key: HpkePrivateKey,
    pub(crate) signer: SignatureKeyPair,
}

/// What goes into a new key package.
#[derive(Clone, Debug)]
pub struct KeyPackageParams {
    /// The cipher suite.
    pub cipher_suite: CipherSuite,
    /// The leaf node.
    pub leaf: LeafParams,
    /// When it may be used.
    pub lifetime: Lifetime,
    /// Key package extensions, without `last_resort`.
    pub extensions: Vec<Extension>,
    /// Whether it may be used more than once, when no other is left.
    pub last_resort: bool,
}

impl KeyPackageParams {
    /// A key package that serves once, without extensions.
    #[must_use]
    pub fn new(cipher_suite: CipherSuite, leaf: LeafParams, lifetime: Lifetime) -> Self {
        Self { cipher_suite, leaf, lifetime, extensions: Vec::new(), last_resort: false }
    }
}

impl OwnKeyPackage {
    /// A new key package with fresh keys.
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
        let mut leaf_node = params.leaf.template(&signer.public);
        let mut extensions = params.extensions;
        if params.last_resort {
            let extension_type = ExtensionType::LAST_RESORT;
            extensions.push(Extension { extension_type, extension_data: Bytes::default() });
        }
        if let Some(twice) = duplicate_extension(&extensions) {
            return Err(Rejection::DuplicateExtension(twice).into());
        }
        // The extensions of a key package must be among the leaf's capabilities (section 10).
        let listed = &mut leaf_node.capabilities.extensions;
        for extension_type in extensions.iter().map(|e| e.extension_type) {
            if !extension_type.is_default() && !listed.contains(&extension_type) {
                listed.push(extension_type);
            }
        }
        leaf_node.encryption_key = leaf.public;
        leaf_node.leaf_node_source = LeafNodeSource::KeyPackage(params.lifetime);
        let nowhere = GroupId::default();
        let context = LeafNodeContext { group_id: &nowhere, leaf_index: LeafIndex(0) };
        sign_leaf(&suite, &mut leaf_node, &signer, context)?;
        check_leaf_rules(&leaf_node, suite.cipher_suite()).map_err(Rejection::LeafRule)?;
        let mut key_package = KeyPackage {
            version: ProtocolVersion::MLS10,
            cipher_suite: params.cipher_suite,
            init_key: init.public,
            leaf_node,
            extensions,
            signature: Bytes::default(),
        };
        let tbs = KeyPackageTbs(&key_package).to_bytes()?;
        key_package.signature = suite.sign_with_label(&signer, b"KeyPackageTBS", &tbs)?.into();
        Self::assemble(&suite, key_package, init.private, leaf.private, signer)
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

    /// A key package from its parts, whose keys must belong together.
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
        let (init_key, leaf_key) = (HpkePrivateKey(init_key), HpkePrivateKey(leaf_key));
        let signer = SignatureKeyPair {
            public: suite.signature_public_key(&signature_key)?,
            private: signature_key,
        };
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

    pub(crate) fn init_key_pair(&self) -> HpkeKeyPair {
        HpkeKeyPair { private: self.init_key.clone(), public: self.key_package.init_key.clone() }
    }

    /// All of it as bytes, for storage: content, [format](crate::rows::FORMAT), and a checksum that
    /// tells it from anything else that is stored, as of a [row](crate::rows).
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

    /// What [`Self::to_secret`] stored.
    ///
    /// # Errors
    /// [`Error::Storage`] if the bytes are damaged, of another format, or something else that was
    /// stored; or if the provider does not support the suite.
    pub fn from_secret(provider: &dyn CryptoProvider, bytes: &Secret) -> Result<Self, Error> {
        let parts = Stored::KeyPackage.open(bytes).and_then(Self::parts);
        let (key_package, [init_key, leaf_key, signature]) = named(&"key package", parts)?;
        let suite = Suite::new(provider, key_package.cipher_suite)?;
        let public = key_package.leaf_node.signature_key.clone();
        let signer = SignatureKeyPair { private: signature, public };
        let (init_key, leaf_key) = (HpkePrivateKey(init_key), HpkePrivateKey(leaf_key));
        Self::assemble(&suite, key_package, init_key, leaf_key, signer)
    }

    /// What is stored: the KeyPackage, and the private keys in their order.
    fn parts(content: &[u8]) -> Result<(KeyPackage, [Secret; 3]), Error> {
        let mut r = Reader::new(content);
        let key_package = KeyPackage::from_bytes(r.opaque()?)?;
        let secrets = [take_secret(&mut r)?, take_secret(&mut r)?, take_secret(&mut r)?];
        nothing_left(&r)?;
        Ok((key_package, secrets))
    }
}

/// A key package whose signatures, lifetime and rules were checked, and whose credential the
/// application accepted. There is no other way to one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidKeyPackage {
    key_package: KeyPackage,
    reference: KeyPackageRef,
}

/// A key package that is valid but for the application's verdict on its credential.
#[derive(Clone, Debug)]
pub struct KeyPackageStage {
    inner: ValidKeyPackage,
    request: [CredentialRequest; 1],
}

impl ValidKeyPackage {
    /// Checks a key package (section 10.1); the credential is still to be judged.
    ///
    /// # Errors
    /// The first rule that it breaks; or if the provider does not support its suite.
    pub fn check(
        provider: &dyn CryptoProvider,
        now: u64,
        config: &Config,
        key_package: KeyPackage,
    ) -> Result<KeyPackageStage, Error> {
        let suite = Suite::new(provider, key_package.cipher_suite)?;
        check_key_package(&suite, &config.limits, &key_package)?;
        rules::check_lifetime(&key_package.leaf_node, now, config)?;
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

/// What of section 10.1 depends on the group that a key package is used in, and its limits.
pub(crate) fn check_key_package_fits(
    suite: &Suite<'_>,
    limits: &Limits,
    kp: &KeyPackage,
) -> Result<(), Error> {
    if kp.version != ProtocolVersion::MLS10 {
        return Err(Rejection::WrongVersion(kp.version).into());
    }
    if kp.cipher_suite != suite.cipher_suite() {
        return Err(Rejection::WrongCipherSuite(kp.cipher_suite).into());
    }
    rules::check_leaf_bytes(limits, &kp.leaf_node)?;
    Ok(rules::check_extension_list(limits, &kp.extensions)?)
}

/// The rules of section 10.1 but lifetime and credential.
pub(crate) fn check_key_package(
    suite: &Suite<'_>,
    limits: &Limits,
    kp: &KeyPackage,
) -> Result<(), Error> {
    check_key_package_fits(suite, limits, kp)?;
    if !matches!(kp.leaf_node.leaf_node_source, LeafNodeSource::KeyPackage(_)) {
        return Err(Rejection::KeyPackageLeafSource.into());
    }
    if kp.init_key == kp.leaf_node.encryption_key {
        return Err(Rejection::InitKeyReused.into());
    }
    check_extensions_listed(kp)?;
    let nowhere = GroupId::default();
    let context = LeafNodeContext { group_id: &nowhere, leaf_index: LeafIndex(0) };
    rules::check_leaf(suite, limits, &kp.leaf_node, context)?;
    rules::check_public_key(suite, &kp.init_key)?;
    let tbs = KeyPackageTbs(kp).to_bytes()?;
    suite
        .verify_with_label(&kp.leaf_node.signature_key, b"KeyPackageTBS", &tbs, &kp.signature)
        .map_err(|e| Error::of_input(e, Rejection::KeyPackageSignature))
}

/// That the leaf's capabilities list the key package's extensions (section 10).
fn check_extensions_listed(kp: &KeyPackage) -> Result<(), Rejection> {
    let listed: BTreeSet<_> = kp.leaf_node.capabilities.extensions.iter().collect();
    let mut types = kp.extensions.iter().map(|e| e.extension_type);
    match types.find(|t| !t.is_default() && !listed.contains(t)) {
        Some(missing) => Err(Rejection::LeafRule(LeafRule::ExtensionNotListed(missing))),
        None => Ok(()),
    }
}
