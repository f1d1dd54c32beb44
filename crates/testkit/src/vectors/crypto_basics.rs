//! The labelled operations of RFC 9420 section 5, 8 and 9.

use super::compare::same;
use super::hex::Hex;
use super::keys;
use super::problem::{At, Problem};
use super::{Kind, SuiteVector};
use crate::SeededRng;
use conclave_crypto::Suite;
use conclave_wire::{Bytes, HpkeCiphertext};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
pub(super) struct CryptoBasics {
    cipher_suite: u16,
    ref_hash: RefHash,
    expand_with_label: ExpandWithLabel,
    derive_secret: DeriveSecret,
    derive_tree_secret: DeriveTreeSecret,
    sign_with_label: SignWithLabel,
    encrypt_with_label: EncryptWithLabel,
}

#[derive(Serialize, Deserialize)]
struct RefHash {
    label: String,
    value: Hex,
    out: Hex,
}

#[derive(Serialize, Deserialize)]
struct ExpandWithLabel {
    secret: Hex,
    label: String,
    context: Hex,
    length: u16,
    out: Hex,
}

#[derive(Serialize, Deserialize)]
struct DeriveSecret {
    secret: Hex,
    label: String,
    out: Hex,
}

#[derive(Serialize, Deserialize)]
struct DeriveTreeSecret {
    secret: Hex,
    label: String,
    generation: u32,
    length: u16,
    out: Hex,
}

#[derive(Serialize, Deserialize)]
struct SignWithLabel {
    r#priv: Hex,
    r#pub: Hex,
    content: Hex,
    label: String,
    signature: Hex,
}

#[derive(Serialize, Deserialize)]
struct EncryptWithLabel {
    r#priv: Hex,
    r#pub: Hex,
    label: String,
    context: Hex,
    plaintext: Hex,
    kem_output: Hex,
    ciphertext: Hex,
}

impl SuiteVector for CryptoBasics {
    fn cipher_suite(&self) -> u16 {
        self.cipher_suite
    }

    fn check(&self, suite: &Suite<'_>, rng: &mut SeededRng) -> Result<(), Problem> {
        self.ref_hash.check(suite).at("ref_hash")?;
        self.expand_with_label.check(suite).at("expand_with_label")?;
        self.derive_secret.check(suite).at("derive_secret")?;
        self.derive_tree_secret.check(suite).at("derive_tree_secret")?;
        self.sign_with_label.check(suite).at("sign_with_label")?;
        self.encrypt_with_label.check(suite, rng).at("encrypt_with_label")
    }

    fn generate(_: Kind, suite: &Suite<'_>, rng: &mut SeededRng) -> Result<Vec<Self>, Problem> {
        Ok(vec![Self {
            cipher_suite: suite.cipher_suite().0,
            ref_hash: RefHash::generate(suite, rng)?,
            expand_with_label: ExpandWithLabel::generate(suite, rng)?,
            derive_secret: DeriveSecret::generate(suite, rng)?,
            derive_tree_secret: DeriveTreeSecret::generate(suite, rng)?,
            sign_with_label: SignWithLabel::generate(suite, rng)?,
            encrypt_with_label: EncryptWithLabel::generate(suite, rng)?,
        }])
    }
}

impl RefHash {
    fn compute(suite: &Suite<'_>, label: &str, value: &[u8]) -> Result<Hex, Problem> {
        Ok(Hex::of(&suite.ref_hash(label.as_bytes(), value)?))
    }

    fn check(&self, suite: &Suite<'_>) -> Result<(), Problem> {
        same("out", &Self::compute(suite, &self.label, &self.value)?, &self.out)
    }

    fn generate(suite: &Suite<'_>, rng: &mut SeededRng) -> Result<Self, Problem> {
        let label = "RefHash".to_owned();
        let value = Hex(rng.bytes(100));
        Ok(Self { out: Self::compute(suite, &label, &value)?, label, value })
    }
}

impl ExpandWithLabel {
    fn compute(&self, suite: &Suite<'_>) -> Result<Hex, Problem> {
        let secret = self.secret.secret();
        let label = self.label.as_bytes();
        let out = suite.expand_with_label(&secret, label, &self.context, self.length.into())?;
        Ok(Hex::of(out.expose()))
    }

    fn check(&self, suite: &Suite<'_>) -> Result<(), Problem> {
        same("out", &self.compute(suite)?, &self.out)
    }

    fn generate(suite: &Suite<'_>, rng: &mut SeededRng) -> Result<Self, Problem> {
        let mut vector = Self {
            secret: Hex(rng.bytes(suite.nh())),
            label: "ExpandWithLabel".to_owned(),
            context: Hex(rng.bytes(70)),
            length: 100,
            out: Hex::default(),
        };
        vector.out = vector.compute(suite)?;
        Ok(vector)
    }
}

impl DeriveSecret {
    fn compute(&self, suite: &Suite<'_>) -> Result<Hex, Problem> {
        let out = suite.derive_secret(&self.secret.secret(), self.label.as_bytes())?;
        Ok(Hex::of(out.expose()))
    }

    fn check(&self, suite: &Suite<'_>) -> Result<(), Problem> {
        same("out", &self.compute(suite)?, &self.out)
    }

    fn generate(suite: &Suite<'_>, rng: &mut SeededRng) -> Result<Self, Problem> {
        let mut vector = Self {
            secret: Hex(rng.bytes(suite.nh())),
            label: "DeriveSecret".to_owned(),
            out: Hex::default(),
        };
        vector.out = vector.compute(suite)?;
        Ok(vector)
    }
}

impl DeriveTreeSecret {
    fn compute(&self, suite: &Suite<'_>) -> Result<Hex, Problem> {
        let secret = self.secret.secret();
        let label = self.label.as_bytes();
        let length = self.length.into();
        let out = suite.derive_tree_secret(&secret, label, self.generation, length)?;
        Ok(Hex::of(out.expose()))
    }

    fn check(&self, suite: &Suite<'_>) -> Result<(), Problem> {
        same("out", &self.compute(suite)?, &self.out)
    }

    fn generate(suite: &Suite<'_>, rng: &mut SeededRng) -> Result<Self, Problem> {
        let mut vector = Self {
            secret: Hex(rng.bytes(suite.nh())),
            label: "DeriveTreeSecret".to_owned(),
            generation: rng.below(1 << 32) as u32,
            length: suite.nh() as u16,
            out: Hex::default(),
        };
        vector.out = vector.compute(suite)?;
        Ok(vector)
    }
}

impl SignWithLabel {
    fn check(&self, suite: &Suite<'_>) -> Result<(), Problem> {
        let label = self.label.as_bytes();
        let keys = keys::signature_key_pair_of(suite, "priv", &self.r#priv, &(&self.r#pub).into())?;
        suite.verify_with_label(&keys.public, label, &self.content, &self.signature)?;
        let again = suite.sign_with_label(&keys, label, &self.content).at("signing again")?;
        suite
            .verify_with_label(&keys.public, label, &self.content, &again)
            .at("verifying what was signed again")
    }

    fn generate(suite: &Suite<'_>, rng: &mut SeededRng) -> Result<Self, Problem> {
        let keys = suite.signature_key_pair(rng)?;
        let label = "SignWithLabel".to_owned();
        let content = Hex(rng.bytes(80));
        Ok(Self {
            r#priv: Hex::of(keys.private.expose()),
            r#pub: Hex::of(&keys.public),
            signature: suite.sign_with_label(&keys, label.as_bytes(), &content)?.into(),
            label,
            content,
        })
    }
}

impl EncryptWithLabel {
    fn check(&self, suite: &Suite<'_>, rng: &mut SeededRng) -> Result<(), Problem> {
        let label = self.label.as_bytes();
        let keys = keys::hpke_key_pair_of(suite, "priv", &self.r#priv, &(&self.r#pub).into())?;
        let ciphertext = HpkeCiphertext {
            kem_output: Bytes::from(&self.kem_output),
            ciphertext: Bytes::from(&self.ciphertext),
        };

        let opened = suite.decrypt_with_label(&keys, label, &self.context, &ciphertext)?;
        same("plaintext", opened.expose(), &self.plaintext)?;
        let again = suite
            .encrypt_with_label(&keys.public, label, &self.context, &self.plaintext, rng)
            .at("encrypting again")?;

        let opened = suite
            .decrypt_with_label(&keys, label, &self.context, &again)
            .at("opening what was encrypted again")?;
        same("plaintext, encrypted again,", opened.expose(), &self.plaintext)
    }

    fn generate(suite: &Suite<'_>, rng: &mut SeededRng) -> Result<Self, Problem> {
        let keys = suite.hpke_key_pair(rng)?;
        let label = "EncryptWithLabel".to_owned();
        let context = Hex(rng.bytes(64));
        let plaintext = Hex(rng.bytes(48));
        let sealed =
            suite.encrypt_with_label(&keys.public, label.as_bytes(), &context, &plaintext, rng)?;
        Ok(Self {
            r#priv: Hex::of(keys.private.0.expose()),
            r#pub: Hex::of(&keys.public),
            label,
            context,
            plaintext,
            kem_output: Hex::of(&sealed.kem_output),
            ciphertext: Hex::of(&sealed.ciphertext),
        })
    }
}
