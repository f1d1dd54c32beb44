//! Key packages (section 10): making one, and checking somebody else's.

use crate::config::Config;
use crate::credentials::{CredentialRequest, Verdict, check_verdicts};
use crate::error::{CredentialSubject, Error, Rejection};
use crate::limits::Limits;
use crate::row_codec::{named, nothing_left, take_secret};
use crate::rows::Stored;
use crate::rules;
use alloc::vec;
use alloc::vec::Vec;
use conclave_crypto::{
    CryptoError, CryptoProvider, CryptoRng, HpkeKeyPair, HpkePrivateKey, Secret, SignatureKeyPair,
    Suite, VerifyItem,
};
use conclave_tree::{TreeError, check_own_leaf_rules, leaf_sign_content, sign_leaf};
use conclave_wire::{
    Bytes, Capabilities, CipherSuite, Credential, Decode, Encode, Extension, ExtensionType,
    GroupId, KeyPackage, KeyPackageRef, KeyPackageTbs, LeafIndex, LeafNode, LeafNodeContext,
    LeafNodeSource, Lifetime, ProtocolVersion, Reader, SignaturePublicKey, Writer,
    duplicate_extension,
};

/// The label of a key package's signature (section 10).
const KEY_PACKAGE_LABEL: &[u8] = b"KeyPackageTBS";

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
    /// A leaf of this credential that supports the given suites, and credentials of this type alone:
    /// a client that can judge others as well lists them in
    /// [`Capabilities::credentials`](conclave_wire::Capabilities::credentials).
    #[must_use]
    pub fn new(credential: Credential, cipher_suites: &[CipherSuite]) -> Self {
        let credentials = vec![credential.credential_type()];
        Self {
            credential,
            capabilities: Capabilities {
                versions: vec![ProtocolVersion::MLS10],
                cipher_suites: cipher_suites.to_vec(),
                extensions: Vec::new(),
                proposals: Vec::new(),
                credentials,
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
        // Whoever makes a key package lists its extensions in the leaf's capabilities (section 10).
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
        check_own_leaf_rules(&leaf_node, suite.cipher_suite()).map_err(Rejection::LeafRule)?;
        let mut key_package = KeyPackage {
            version: ProtocolVersion::MLS10,
            cipher_suite: params.cipher_suite,
            init_key: init.public,
            leaf_node,
            extensions,
            signature: Bytes::default(),
        };
        let tbs = KeyPackageTbs(&key_package).to_bytes()?;
        key_package.signature = suite.sign_with_label(&signer, KEY_PACKAGE_LABEL, &tbs)?.into();
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

    /// The private key that opens the Welcome. With [`Self::leaf_key`] and [`Self::signer`] what
    /// [`Self::from_parts`] takes, for test vectors and other stacks; to store the key package there
    /// is [`Self::to_secret`].
    #[must_use]
    pub fn init_key(&self) -> &HpkePrivateKey {
        &self.init_key
    }

    /// The private encryption key of the leaf; as [`Self::init_key`].
    #[must_use]
    pub fn leaf_key(&self) -> &HpkePrivateKey {
        &self.leaf_key
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
        let signer = SignatureKeyPair::new(signature, public);
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
        Self::stage(&suite, now, config, key_package)
    }

    /// Checks many key packages, each as [`Self::check`] does: in a fraction of the time if the
    /// provider verifies signatures in batches.
    ///
    /// # Errors
    /// The index of one that breaks a rule, and the rule. (Without it, another may fail.)
    pub fn check_many(
        provider: &dyn CryptoProvider,
        now: u64,
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
        now: u64,
        config: &Config,
        key_package: KeyPackage,
    ) -> Result<KeyPackageStage, Error> {
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
///
/// That the leaf's capabilities list the key package's extensions binds who makes it (section 10).
/// Who receives it ignores the extensions that it does not know, listed or not (section 13.4).
pub(crate) fn check_key_package(
    suite: &Suite<'_>,
    limits: &Limits,
    kp: &KeyPackage,
) -> Result<(), Error> {
    check_key_packages(suite, limits, core::iter::once(kp)).map_err(|(_, error)| error)
}

/// How many key packages' signatures are verified together: enough for a provider's batches, and
/// few enough that what was signed takes little memory.
const TOGETHER: usize = 1024;

/// [`check_key_package`] of many. The error names the place of the key package.
pub(crate) fn check_key_packages<'a>(
    suite: &Suite<'_>,
    limits: &Limits,
    list: impl Iterator<Item = &'a KeyPackage>,
) -> Result<(), (usize, Error)> {
    let mut signed = Vec::new();
    let mut checked = 0;
    for (i, kp) in list.enumerate() {
        let signatures = check_unsigned(suite, limits, kp).and_then(|()| signatures(kp));
        signed.extend(signatures.map_err(|error| (i, error))?);
        if signed.len() >= 2 * TOGETHER {
            verify_together(suite, &signed).map_err(|(n, error)| (checked + n, error))?;
            signed.clear();
            checked = i + 1;
        }
    }
    verify_together(suite, &signed).map_err(|(n, error)| (checked + n, error))
}

/// A SignContent, with the key and the signature by which it is signed.
type Signed<'a> = (&'a SignaturePublicKey, Vec<u8>, &'a [u8]);

/// What is signed in a key package: its leaf node, and all of it.
fn signatures(kp: &KeyPackage) -> Result<[Signed<'_>; 2], Error> {
    let nowhere = GroupId::default();
    let context = LeafNodeContext { group_id: &nowhere, leaf_index: LeafIndex(0) };
    let leaf = leaf_sign_content(&kp.leaf_node, context)?;
    let whole = Suite::sign_content(KEY_PACKAGE_LABEL, &KeyPackageTbs(kp).to_bytes()?)?;
    let key = &kp.leaf_node.signature_key;
    Ok([(key, leaf, &kp.leaf_node.signature), (key, whole, &kp.signature)])
}

/// Verifies the [`signatures`] of some key packages; the error names the place among them.
fn verify_together(suite: &Suite<'_>, signed: &[Signed<'_>]) -> Result<(), (usize, Error)> {
    let items: Vec<VerifyItem<'_>> = signed
        .iter()
        .map(|(public_key, message, signature)| VerifyItem { public_key, message, signature })
        .collect();
    suite.verify_many(&items).map_err(|(bad, error)| {
        let broken = match bad % 2 {
            0 => Rejection::Tree(TreeError::LeafSignature { leaf: LeafIndex(0) }),
            _ => Rejection::KeyPackageSignature,
        };
        (bad / 2, Error::of_input(error, broken))
    })
}

/// The rules of [`check_key_package`] but for the signatures.
fn check_unsigned(suite: &Suite<'_>, limits: &Limits, kp: &KeyPackage) -> Result<(), Error> {
    check_key_package_fits(suite, limits, kp)?;
    if !matches!(kp.leaf_node.leaf_node_source, LeafNodeSource::KeyPackage(_)) {
        return Err(Rejection::KeyPackageLeafSource.into());
    }
    if kp.init_key == kp.leaf_node.encryption_key {
        return Err(Rejection::InitKeyReused.into());
    }
    rules::check_leaf_unsigned(suite, limits, &kp.leaf_node)?;
    rules::check_public_key(suite, &kp.init_key)
}
