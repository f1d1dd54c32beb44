use crate::hpke::{self, Psk, SharedInfo};
use crate::{
    CryptoError, CryptoProvider, Digest, HpkeKeyPair, HpkePrivateKey, SealItem, Secret,
    SignatureKeyPair, SuiteParams, VerifyItem, kem,
};
use alloc::vec::Vec;
use conclave_wire::{
    CipherSuite, Encode, EncodeError, HashReference, HpkeCiphertext, HpkePublicKey, Mac,
    SignaturePublicKey, Writer,
};
use core::fmt;
use rand_core::CryptoRng;
use subtle::ConstantTimeEq;

/// The prefix of every label of MLS 1.0.
const LABEL_PREFIX: &[u8] = b"MLS 1.0 ";

/// A cipher suite with the provider that computes it: all operations of RFC 9420 that depend on the suite
/// alone.
#[derive(Clone, Copy)]
pub struct Suite<'a> {
    provider: &'a dyn CryptoProvider,
    params: SuiteParams,
}

impl fmt::Debug for Suite<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} by {}", self.params, self.provider.name())
    }
}

/// The most bytes that a label and two length headers take, for the labels of RFC 9420.
const LABEL_ROOM: usize = 64;

/// `opaque label<V>` with the prefix, then `opaque content<V>`.
fn labelled(label: &[u8], content: &[u8]) -> Result<Vec<u8>, EncodeError> {
    put_labelled(Writer::new(), label, content).map(Writer::finish)
}

/// [`labelled`], wiped when dropped: what is signed may be what members write to each other.
fn labelled_and_wiped(label: &[u8], content: &[u8]) -> Result<Writer, EncodeError> {
    put_labelled(wiped(content.len()), label, content)
}

/// A writer that is wiped when dropped, for a label and a content of about this length.
fn wiped(content: usize) -> Writer {
    Writer::secret_with_capacity(content.saturating_add(LABEL_ROOM))
}

fn put_labelled(mut w: Writer, label: &[u8], content: &[u8]) -> Result<Writer, EncodeError> {
    put_label(&mut w, label)?;
    w.put_opaque(content)?;
    Ok(w)
}

/// [`labelled`] with an encoding as the content.
fn labelled_encoding(
    mut w: Writer,
    label: &[u8],
    content: &impl Encode,
) -> Result<Writer, EncodeError> {
    put_label(&mut w, label)?;
    w.put_vector(|w| content.encode(w))?;
    Ok(w)
}

fn put_label(w: &mut Writer, label: &[u8]) -> Result<(), EncodeError> {
    w.put_vector(|w| {
        w.put(LABEL_PREFIX);
        w.put(label);
        Ok(())
    })
}

/// `KDFLabel` (section 8).
fn put_kdf_label(
    w: &mut Writer,
    label: &[u8],
    context: &[u8],
    length: usize,
) -> Result<(), CryptoError> {
    u16::try_from(length).map_err(|_| CryptoError::InvalidLength)?.encode(w)?;
    put_label(w, label)?;
    w.put_opaque(context)?;
    Ok(())
}

impl<'a> Suite<'a> {
    /// A suite of a provider.
    ///
    /// # Errors
    /// [`CryptoError::UnsupportedSuite`].
    pub fn new(
        provider: &'a dyn CryptoProvider,
        cipher_suite: CipherSuite,
    ) -> Result<Self, CryptoError> {
        let params =
            provider.suite(cipher_suite).ok_or(CryptoError::UnsupportedSuite(cipher_suite))?;
        Ok(Self { provider, params })
    }

    /// The suite's components.
    #[must_use]
    pub fn params(&self) -> &SuiteParams {
        &self.params
    }

    /// The suite's code point.
    #[must_use]
    pub fn cipher_suite(&self) -> CipherSuite {
        self.params.cipher_suite
    }

    /// The suite's name in IANA's registry or in a draft.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.params.name
    }

    /// The provider.
    #[must_use]
    pub fn provider(&self) -> &'a dyn CryptoProvider {
        self.provider
    }

    /// `KDF.Nh`: the length of most secrets, in bytes.
    #[must_use]
    pub fn nh(&self) -> usize {
        self.params.kdf.extract_len()
    }

    /// The hash of the concatenation of `parts`.
    ///
    /// # Errors
    /// If the provider fails.
    pub fn hash(&self, parts: &[&[u8]]) -> Result<Digest, CryptoError> {
        self.provider.hash(self.params.hash, parts)
    }

    /// `MAC(key, data)` (section 6.1).
    ///
    /// # Errors
    /// If the provider fails.
    pub fn mac(&self, key: &Secret, data: &[u8]) -> Result<Mac, CryptoError> {
        Ok(self.provider.hmac(self.params.hash, key, &[data])?.to_vec().into())
    }

    /// Whether `mac` is `MAC(key, data)` in full length, compared in constant time.
    ///
    /// # Errors
    /// If the provider fails.
    pub fn mac_matches(&self, key: &Secret, data: &[u8], mac: &Mac) -> Result<bool, CryptoError> {
        let want = self.mac(key, data)?;
        Ok(want.ct_eq(mac).into())
    }

    /// `RefHash(label, value)` (section 5.2), with the label as passed in.
    ///
    /// # Errors
    /// If the value is too long to encode, or the provider fails.
    pub fn ref_hash(&self, label: &[u8], value: &[u8]) -> Result<HashReference, CryptoError> {
        let mut w = Writer::new();
        w.put_opaque(label)?;
        w.put_opaque(value)?;
        Ok(self.hash(&[&w.finish()])?.to_vec().into())
    }

    /// `MakeKeyPackageRef(key_package)`.
    ///
    /// # Errors
    /// As [`Self::ref_hash`].
    pub fn key_package_ref(&self, encoded: &[u8]) -> Result<HashReference, CryptoError> {
        self.ref_hash(b"MLS 1.0 KeyPackage Reference", encoded)
    }

    /// `MakeProposalRef(authenticated_content)`.
    ///
    /// # Errors
    /// As [`Self::ref_hash`].
    pub fn proposal_ref(&self, encoded: &[u8]) -> Result<HashReference, CryptoError> {
        self.ref_hash(b"MLS 1.0 Proposal Reference", encoded)
    }

    /// `KDF.Extract(salt, ikm)`.
    ///
    /// # Errors
    /// If the provider fails.
    pub fn extract(&self, salt: &Secret, ikm: &Secret) -> Result<Secret, CryptoError> {
        self.provider.extract(self.params.kdf, salt.expose(), &[ikm.expose()])
    }

    /// `ExpandWithLabel(secret, label, context, length)` (section 8).
    ///
    /// # Errors
    /// If the context is too long to encode, or the length exceeds the KDF's limit.
    pub fn expand_with_label(
        &self,
        secret: &Secret,
        label: &[u8],
        context: &[u8],
        length: usize,
    ) -> Result<Secret, CryptoError> {
        let mut w = Writer::new();
        put_kdf_label(&mut w, label, context, length)?;
        self.provider.expand(self.params.kdf, secret, &[w.written()], length)
    }

    /// [`Self::expand_with_label`] of the same secret and context for each pair of a label and a length, in
    /// their order.
    ///
    /// # Errors
    /// Those of [`Self::expand_with_label`].
    pub fn expand_with_labels<const N: usize>(
        &self,
        secret: &Secret,
        labels: [(&[u8], usize); N],
        context: &[u8],
    ) -> Result<[Secret; N], CryptoError> {
        let mut w = Writer::new();
        let mut ends = [0; N];
        for ((label, length), end) in labels.iter().zip(&mut ends) {
            put_kdf_label(&mut w, label, context, *length)?;
            *end = w.written().len();
        }

        let mut start = 0;
        let mut items: [(&[u8], usize); N] = [(&[], 0); N];
        for ((item, end), (_, length)) in items.iter_mut().zip(ends).zip(labels) {
            *item = (w.written().get(start..end).unwrap_or_default(), length);
            start = end;
        }
        let secrets = self.provider.expand_many(self.params.kdf, secret, &items)?;
        let wrong = |_| CryptoError::Provider("it returned another number of secrets");
        secrets.try_into().map_err(wrong)
    }

    /// `DeriveSecret(secret, label)` (section 8).
    ///
    /// # Errors
    /// If the provider fails.
    pub fn derive_secret(&self, secret: &Secret, label: &[u8]) -> Result<Secret, CryptoError> {
        self.expand_with_label(secret, label, &[], self.nh())
    }

    /// `DeriveTreeSecret(secret, label, generation, length)` (section 9.1).
    ///
    /// # Errors
    /// If the provider fails.
    pub fn derive_tree_secret(
        &self,
        secret: &Secret,
        label: &[u8],
        generation: u32,
        length: usize,
    ) -> Result<Secret, CryptoError> {
        self.expand_with_label(secret, label, &generation.to_be_bytes(), length)
    }

    /// Encrypts with the suite's AEAD.
    ///
    /// # Errors
    /// If the key or nonce has the wrong length.
    pub fn aead_seal(
        &self,
        key: &Secret,
        nonce: &[u8],
        aad: &[u8],
        plaintext: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        self.provider.aead_seal(self.params.aead, key, nonce, aad, plaintext)
    }

    /// Decrypts with the suite's AEAD.
    ///
    /// # Errors
    /// [`CryptoError::OpenFailed`] if the ciphertext does not authenticate.
    pub fn aead_open(
        &self,
        key: &Secret,
        nonce: &[u8],
        aad: &[u8],
        ciphertext: &[u8],
    ) -> Result<Secret, CryptoError> {
        self.provider.aead_open(self.params.aead, key, nonce, aad, ciphertext)
    }

    /// A fresh signature key pair.
    ///
    /// # Errors
    /// If the provider fails.
    pub fn signature_key_pair(
        &self,
        rng: &mut dyn CryptoRng,
    ) -> Result<SignatureKeyPair, CryptoError> {
        self.provider.signature_key_pair(self.params.signature, rng)
    }

    /// The public key of a signature private key.
    ///
    /// # Errors
    /// If the private key is invalid.
    pub fn signature_public_key(
        &self,
        private: &Secret,
    ) -> Result<SignaturePublicKey, CryptoError> {
        self.provider.signature_public_key(self.params.signature, private)
    }

    /// `SignWithLabel(key, label, content)` (section 5.1.2).
    ///
    /// # Errors
    /// If the content is too long to encode, or the key pair is invalid.
    pub fn sign_with_label(
        &self,
        key_pair: &SignatureKeyPair,
        label: &[u8],
        content: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        let message = labelled_and_wiped(label, content)?;
        self.provider.sign(self.params.signature, key_pair, message.written())
    }

    /// `VerifyWithLabel(key, label, content, signature)` (section 5.1.2).
    ///
    /// # Errors
    /// If the signature does not verify.
    pub fn verify_with_label(
        &self,
        public_key: &SignaturePublicKey,
        label: &[u8],
        content: &[u8],
        signature: &[u8],
    ) -> Result<(), CryptoError> {
        let message = labelled_and_wiped(label, content)?;
        self.provider.verify(self.params.signature, public_key, message.written(), signature)
    }

    /// [`Self::sign_with_label`] over the encoding of a public value, which may be long: it is encoded in
    /// place, without a copy.
    ///
    /// # Errors
    /// As [`Self::sign_with_label`].
    pub fn sign_encoded_with_label(
        &self,
        key_pair: &SignatureKeyPair,
        label: &[u8],
        content: &impl Encode,
    ) -> Result<Vec<u8>, CryptoError> {
        let message = labelled_encoding(Writer::new(), label, content)?;
        self.provider.sign(self.params.signature, key_pair, message.written())
    }

    /// [`Self::sign_encoded_with_label`] over a value that may be secret: its only encoding is wiped. `len` is
    /// about how long that is.
    ///
    /// # Errors
    /// As [`Self::sign_with_label`].
    pub fn sign_secret_with_label(
        &self,
        key_pair: &SignatureKeyPair,
        label: &[u8],
        content: &impl Encode,
        len: usize,
    ) -> Result<Vec<u8>, CryptoError> {
        let message = labelled_encoding(wiped(len), label, content)?;
        self.provider.sign(self.params.signature, key_pair, message.written())
    }

    /// [`Self::verify_with_label`] over the encoding of a public value, which may be long: it is encoded in
    /// place, without a copy.
    ///
    /// # Errors
    /// As [`Self::verify_with_label`].
    pub fn verify_encoded_with_label(
        &self,
        public_key: &SignaturePublicKey,
        label: &[u8],
        content: &impl Encode,
        signature: &[u8],
    ) -> Result<(), CryptoError> {
        let message = labelled_encoding(Writer::new(), label, content)?;
        self.provider.verify(self.params.signature, public_key, message.written(), signature)
    }

    /// [`Self::verify_encoded_with_label`] over a value that may be secret: its only encoding is wiped. `len`
    /// is about how long that is.
    ///
    /// # Errors
    /// As [`Self::verify_with_label`].
    pub fn verify_secret_with_label(
        &self,
        public_key: &SignaturePublicKey,
        label: &[u8],
        content: &impl Encode,
        len: usize,
        signature: &[u8],
    ) -> Result<(), CryptoError> {
        let message = labelled_encoding(wiped(len), label, content)?;
        self.provider.verify(self.params.signature, public_key, message.written(), signature)
    }

    /// The SignContent of a label and a content, for [`Self::verify_many`].
    ///
    /// # Errors
    /// If the content is too long to encode.
    pub fn sign_content(label: &[u8], content: &[u8]) -> Result<Vec<u8>, CryptoError> {
        Ok(labelled(label, content)?)
    }

    /// Verifies many signatures over SignContents.
    ///
    /// # Errors
    /// The index of the first signature that does not verify, and why. A batch reports only the index, so
    /// this signature is verified again; if it verifies alone, the provider is at fault.
    pub fn verify_many(&self, items: &[VerifyItem<'_>]) -> Result<(), (usize, CryptoError)> {
        let scheme = self.params.signature;
        let Err(bad) = self.provider.verify_many(scheme, items) else { return Ok(()) };

        let again = items.get(bad).map(|item| {
            self.provider.verify(scheme, item.public_key, item.message, item.signature)
        });
        let alone = CryptoError::Provider("a signature verifies alone, but not in a batch");
        Err((bad, again.and_then(Result::err).unwrap_or(alone)))
    }

    /// `KEM.DeriveKeyPair(ikm)`.
    ///
    /// # Errors
    /// If the provider fails.
    pub fn derive_key_pair(&self, ikm: &Secret) -> Result<HpkeKeyPair, CryptoError> {
        kem::derive_key_pair(self.provider, self.params.kem, ikm)
    }

    /// `KEM.DeriveKeyPair` for many secrets.
    ///
    /// # Errors
    /// If the provider fails.
    pub fn derive_key_pairs(&self, ikms: &[Secret]) -> Result<Vec<HpkeKeyPair>, CryptoError> {
        kem::derive_key_pairs(self.provider, self.params.kem, ikms)
    }

    /// A fresh KEM key pair.
    ///
    /// # Errors
    /// If the provider fails.
    pub fn hpke_key_pair(&self, rng: &mut dyn CryptoRng) -> Result<HpkeKeyPair, CryptoError> {
        self.derive_key_pair(&Secret::random(self.params.kem.seed_len(), rng))
    }

    /// The public key of a KEM private key.
    ///
    /// # Errors
    /// If the private key is invalid.
    pub fn hpke_public_key(&self, private: &HpkePrivateKey) -> Result<HpkePublicKey, CryptoError> {
        kem::public_key(self.provider, self.params.kem, private)
    }

    /// Checks that a KEM public key is valid.
    ///
    /// # Errors
    /// If it is not.
    pub fn validate_hpke_public_key(&self, public: &HpkePublicKey) -> Result<(), CryptoError> {
        kem::validate_public_key(self.provider, self.params.kem, public)
    }

    /// `EncryptWithLabel(public, label, context, plaintext)` (section 5.1.3).
    ///
    /// # Errors
    /// If the public key is invalid, or the context too long to encode.
    pub fn encrypt_with_label(
        &self,
        public: &HpkePublicKey,
        label: &[u8],
        context: &[u8],
        plaintext: &[u8],
        rng: &mut dyn CryptoRng,
    ) -> Result<HpkeCiphertext, CryptoError> {
        let info = SharedInfo::new(self.provider, &self.params, &labelled(label, context)?)?;

        let seed = Secret::random(self.params.kem.encap_seed_len(), rng);
        let item = SealItem { public_key: public, plaintext, seed: &seed };
        hpke::seal(self.provider, &self.params, &info, &item)
    }

    /// [`Self::encrypt_with_label`] for many pairs of a recipient and a plaintext, with the same label and
    /// context.
    ///
    /// # Errors
    /// As [`Self::encrypt_with_label`], for the first recipient that fails.
    pub fn encrypt_many_with_label(
        &self,
        recipients: &[(&HpkePublicKey, &[u8])],
        label: &[u8],
        context: &[u8],
        rng: &mut dyn CryptoRng,
    ) -> Result<Vec<HpkeCiphertext>, CryptoError> {
        if recipients.is_empty() {
            return Ok(Vec::new());
        }

        let info = SharedInfo::new(self.provider, &self.params, &labelled(label, context)?)?;
        let n = self.params.kem.encap_seed_len();
        let seeds: Vec<Secret> = recipients.iter().map(|_| Secret::random(n, rng)).collect();
        let items: Vec<SealItem<'_>> = recipients
            .iter()
            .zip(&seeds)
            .map(|((public_key, plaintext), seed)| SealItem { public_key, plaintext, seed })
            .collect();

        hpke::seal_many(self.provider, &self.params, &info, &items)
    }

    /// `DecryptWithLabel(private, label, context, kem_output, ciphertext)` (section 5.1.3).
    ///
    /// # Errors
    /// If the ciphertext does not open.
    pub fn decrypt_with_label(
        &self,
        key_pair: &HpkeKeyPair,
        label: &[u8],
        context: &[u8],
        ciphertext: &HpkeCiphertext,
    ) -> Result<Secret, CryptoError> {
        let info = SharedInfo::new(self.provider, &self.params, &labelled(label, context)?)?;
        hpke::open(self.provider, &self.params, &info, key_pair, ciphertext)
    }

    /// HPKE's `SealPSK` to a public key (RFC 9180 section 6.1).
    ///
    /// # Errors
    /// If the public key is invalid, or the PSK or its name is empty.
    pub fn seal_psk(
        &self,
        public: &HpkePublicKey,
        psk: &Psk<'_>,
        info: &[u8],
        aad: &[u8],
        plaintext: &[u8],
        rng: &mut dyn CryptoRng,
    ) -> Result<HpkeCiphertext, CryptoError> {
        let seed = Secret::random(self.params.kem.encap_seed_len(), rng);
        let item = SealItem { public_key: public, plaintext, seed: &seed };
        hpke::seal_psk(self.provider, &self.params, psk, info, aad, &item)
    }

    /// The receiver's side of [`Self::seal_psk`].
    ///
    /// # Errors
    /// If the ciphertext does not open, or the PSK or its name is empty.
    pub fn open_psk(
        &self,
        key_pair: &HpkeKeyPair,
        psk: &Psk<'_>,
        info: &[u8],
        aad: &[u8],
        kem_output: &[u8],
        ciphertext: &[u8],
    ) -> Result<Secret, CryptoError> {
        let provider = self.provider;
        let suite = &self.params;
        hpke::open_psk(provider, suite, psk, info, aad, key_pair, kem_output, ciphertext)
    }

    /// HPKE's export to a public key, with an empty info (section 8.3): `(kem_output, exported)`.
    ///
    /// # Errors
    /// If the public key is invalid.
    pub fn export_to(
        &self,
        public: &HpkePublicKey,
        exporter_context: &[u8],
        rng: &mut dyn CryptoRng,
    ) -> Result<(Vec<u8>, Secret), CryptoError> {
        let seed = Secret::random(self.params.kem.encap_seed_len(), rng);
        let n = self.nh();
        hpke::export_to(self.provider, &self.params, public, &seed, exporter_context, n)
    }

    /// The receiver's side of [`Self::export_to`].
    ///
    /// # Errors
    /// If the encapsulation is invalid.
    pub fn export_from(
        &self,
        key_pair: &HpkeKeyPair,
        kem_output: &[u8],
        exporter_context: &[u8],
    ) -> Result<Secret, CryptoError> {
        let n = self.nh();
        hpke::export_from(self.provider, &self.params, key_pair, kem_output, exporter_context, n)
    }
}
