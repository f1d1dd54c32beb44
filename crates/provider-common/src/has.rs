//! The components that both providers have: all those that `conclave-crypto` names today.

use conclave_crypto::{Aead, Hash, Kdf, Kem, SignatureScheme};

/// Whether both providers have this KEM.
#[must_use]
pub fn kem(kem: Kem) -> bool {
    use Kem as K;
    matches!(
        kem,
        K::DhP256
            | K::DhP384
            | K::DhP521
            | K::DhX25519
            | K::DhX448
            | K::MlKem768
            | K::MlKem1024
            | K::MlKem768P256
            | K::MlKem1024P384
            | K::MlKem768X25519
    )
}

/// Whether both providers have this KDF.
#[must_use]
pub fn kdf(kdf: Kdf) -> bool {
    matches!(kdf, Kdf::HkdfSha256 | Kdf::HkdfSha384 | Kdf::HkdfSha512)
}

/// Whether both providers have this AEAD.
#[must_use]
pub fn aead(aead: Aead) -> bool {
    matches!(aead, Aead::Aes128Gcm | Aead::Aes256Gcm | Aead::ChaCha20Poly1305)
}

/// Whether both providers have this hash function.
#[must_use]
pub fn hash(hash: Hash) -> bool {
    matches!(hash, Hash::Sha256 | Hash::Sha384 | Hash::Sha512)
}

/// Whether both providers have this signature scheme.
#[must_use]
pub fn signature(scheme: SignatureScheme) -> bool {
    use SignatureScheme as S;
    matches!(
        scheme,
        S::Ed25519
            | S::Ed448
            | S::EcdsaSecp256r1Sha256
            | S::EcdsaSecp384r1Sha384
            | S::EcdsaSecp521r1Sha512
            | S::MlDsa44
            | S::MlDsa65
            | S::MlDsa87
    )
}
