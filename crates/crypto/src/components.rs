//! The components of suites: their code points, names and lengths.

use core::fmt;

macro_rules! component {
    ($(#[$meta:meta])* $name:ident {
        $($(#[$vmeta:meta])* $variant:ident = $value:literal, $text:literal;)*
    }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        #[repr(u16)]
        pub enum $name {
            $($(#[$vmeta])* $variant = $value),*
        }

        impl $name {
            /// All of them, in the order of their code points.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The code point in its registry.
            #[must_use]
            pub fn code_point(self) -> u16 {
                self as u16
            }

            /// The one with a code point; none if this crate does not know it.
            #[must_use]
            pub fn from_code_point(code: u16) -> Option<Self> {
                Self::ALL.iter().copied().find(|known| known.code_point() == code)
            }

            /// The name in its registry.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $text),*
                }
            }
        }

        /// The name.
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

component! {
    /// A key encapsulation mechanism, by its HPKE code point (RFC 9180 section 7.1, draft-ietf-hpke-pq
    /// section 4).
    Kem {
        /// DHKEM(P-256, HKDF-SHA256).
        DhP256 = 0x0010, "DHKEM(P-256, HKDF-SHA256)";
        /// DHKEM(P-384, HKDF-SHA384).
        DhP384 = 0x0011, "DHKEM(P-384, HKDF-SHA384)";
        /// DHKEM(P-521, HKDF-SHA512).
        DhP521 = 0x0012, "DHKEM(P-521, HKDF-SHA512)";
        /// DHKEM(X25519, HKDF-SHA256).
        DhX25519 = 0x0020, "DHKEM(X25519, HKDF-SHA256)";
        /// DHKEM(X448, HKDF-SHA512).
        DhX448 = 0x0021, "DHKEM(X448, HKDF-SHA512)";
        /// ML-KEM-768 (draft-ietf-hpke-pq section 3).
        MlKem768 = 0x0041, "ML-KEM-768";
        /// ML-KEM-1024.
        MlKem1024 = 0x0042, "ML-KEM-1024";
        /// The hybrid of ML-KEM-768 and P-256 (draft-irtf-cfrg-concrete-hybrid-kems).
        MlKem768P256 = 0x0050, "MLKEM768-P256";
        /// The hybrid of ML-KEM-1024 and P-384.
        MlKem1024P384 = 0x0051, "MLKEM1024-P384";
        /// The hybrid of ML-KEM-768 and X25519: X-Wing.
        MlKem768X25519 = 0x647a, "MLKEM768-X25519";
    }
}

component! {
    /// A key derivation function, by its HPKE code point (RFC 9180 section 7.2).
    Kdf {
        /// HKDF-SHA256.
        HkdfSha256 = 1, "HKDF-SHA256";
        /// HKDF-SHA384.
        HkdfSha384 = 2, "HKDF-SHA384";
        /// HKDF-SHA512.
        HkdfSha512 = 3, "HKDF-SHA512";
    }
}

component! {
    /// An authenticated encryption, by its HPKE code point (RFC 9180 section 7.3).
    Aead {
        /// AES-128-GCM.
        Aes128Gcm = 1, "AES-128-GCM";
        /// AES-256-GCM.
        Aes256Gcm = 2, "AES-256-GCM";
        /// ChaCha20-Poly1305.
        ChaCha20Poly1305 = 3, "ChaCha20-Poly1305";
    }
}

component! {
    /// A hash function, by its code point in TLS (RFC 5246 section 7.4.1.4.1).
    Hash {
        /// SHA-256.
        Sha256 = 4, "SHA-256";
        /// SHA-384.
        Sha384 = 5, "SHA-384";
        /// SHA-512.
        Sha512 = 6, "SHA-512";
    }
}

component! {
    /// A signature scheme, by its code point in TLS (RFC 8446 section 4.2.3).
    SignatureScheme {
        /// ECDSA with P-256 and SHA-256, DER-encoded.
        EcdsaSecp256r1Sha256 = 0x0403, "ecdsa_secp256r1_sha256";
        /// ECDSA with P-384 and SHA-384, DER-encoded.
        EcdsaSecp384r1Sha384 = 0x0503, "ecdsa_secp384r1_sha384";
        /// ECDSA with P-521 and SHA-512, DER-encoded.
        EcdsaSecp521r1Sha512 = 0x0603, "ecdsa_secp521r1_sha512";
        /// Ed25519.
        Ed25519 = 0x0807, "ed25519";
        /// Ed448.
        Ed448 = 0x0808, "ed448";
        /// ML-DSA-44 (FIPS 204) with an empty context; codes of draft-ietf-tls-mldsa.
        MlDsa44 = 0x0904, "mldsa44";
        /// ML-DSA-65 with an empty context.
        MlDsa65 = 0x0905, "mldsa65";
        /// ML-DSA-87 with an empty context.
        MlDsa87 = 0x0906, "mldsa87";
    }
}

/// A Diffie-Hellman group of a DHKEM or a hybrid KEM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DhGroup {
    /// NIST P-256: private keys are 32-byte scalars, public keys uncompressed points.
    P256,
    /// NIST P-384: private keys are 48-byte scalars, public keys uncompressed points.
    P384,
    /// NIST P-521: private keys are 66-byte scalars, public keys uncompressed points.
    P521,
    /// X25519: 32 bytes each.
    X25519,
    /// X448: 56 bytes each.
    X448,
}

impl DhGroup {
    /// All of them.
    pub const ALL: &[Self] = &[Self::P256, Self::P384, Self::P521, Self::X25519, Self::X448];

    /// The usual name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::P521 => "P-521",
            Self::X25519 => "X25519",
            Self::X448 => "X448",
        }
    }

    /// The length of a private key in bytes (RFC 9180's `Nsk`).
    #[must_use]
    pub fn private_key_len(self) -> usize {
        match self {
            Self::P256 | Self::X25519 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
            Self::X448 => 56,
        }
    }

    /// The length of a public key in bytes (RFC 9180's `Npk`).
    #[must_use]
    pub fn public_key_len(self) -> usize {
        match self {
            Self::P256 => 65,
            Self::P384 => 97,
            Self::P521 => 133,
            Self::X25519 => 32,
            Self::X448 => 56,
        }
    }
}

/// The usual name.
impl fmt::Display for DhGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A parameter set of ML-KEM (FIPS 203), alone or in a hybrid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MlKem {
    /// ML-KEM-768 of category 3: as hard to break as AES-192.
    MlKem768,
    /// ML-KEM-1024 of category 5: as hard to break as AES-256.
    MlKem1024,
}

impl MlKem {
    /// All of them.
    pub const ALL: &[Self] = &[Self::MlKem768, Self::MlKem1024];

    /// FIPS 203's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::MlKem768 => "ML-KEM-768",
            Self::MlKem1024 => "ML-KEM-1024",
        }
    }

    /// The length of a private key in bytes: the seed `d ‖ z`.
    pub const SEED_LEN: usize = 64;
    /// The number of random bytes that an encapsulation takes.
    pub const RANDOMNESS_LEN: usize = 32;
    /// The length of a shared secret in bytes.
    pub const SECRET_LEN: usize = 32;

    /// The length of a public key in bytes.
    #[must_use]
    pub const fn public_key_len(self) -> usize {
        match self {
            Self::MlKem768 => 1184,
            Self::MlKem1024 => 1568,
        }
    }

    /// The length of a ciphertext in bytes.
    #[must_use]
    pub const fn ciphertext_len(self) -> usize {
        match self {
            Self::MlKem768 => 1088,
            Self::MlKem1024 => 1568,
        }
    }
}

/// FIPS 203's name.
impl fmt::Display for MlKem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A hybrid KEM: ML-KEM and a Diffie-Hellman group under one key, secure as long as either is
/// (draft-irtf-cfrg-concrete-hybrid-kems).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HybridKem {
    /// The post-quantum part.
    pub ml_kem: MlKem,
    /// The traditional part.
    pub group: DhGroup,
    /// The number of bytes of a seed from which a private key of the group is drawn: candidates of
    /// [`DhGroup::private_key_len`] bytes, of which the first in range is used.
    pub group_seed_len: usize,
    /// The label that separates this hybrid's secrets from all others.
    pub label: &'static [u8],
}

impl HybridKem {
    /// The length of a private key in bytes: a seed for both parts.
    pub const SEED_LEN: usize = 32;
}

/// How a KEM is composed of a provider's primitives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KemParts {
    /// DHKEM (RFC 9180 section 4.1).
    Dh {
        /// The group.
        group: DhGroup,
        /// The KDF inside the KEM, which may differ from the suite's.
        kdf: Kdf,
    },
    /// ML-KEM alone.
    MlKem(MlKem),
    /// ML-KEM and a Diffie-Hellman group.
    Hybrid(HybridKem),
}

impl Kem {
    /// The primitives that the KEM is composed of.
    #[must_use]
    pub const fn parts(self) -> KemParts {
        const fn dh(group: DhGroup, kdf: Kdf) -> KemParts {
            KemParts::Dh { group, kdf }
        }

        match self {
            Self::DhP256 => dh(DhGroup::P256, Kdf::HkdfSha256),
            Self::DhP384 => dh(DhGroup::P384, Kdf::HkdfSha384),
            Self::DhP521 => dh(DhGroup::P521, Kdf::HkdfSha512),
            Self::DhX25519 => dh(DhGroup::X25519, Kdf::HkdfSha256),
            Self::DhX448 => dh(DhGroup::X448, Kdf::HkdfSha512),
            Self::MlKem768 => KemParts::MlKem(MlKem::MlKem768),
            Self::MlKem1024 => KemParts::MlKem(MlKem::MlKem1024),
            Self::MlKem768P256 => KemParts::Hybrid(HybridKem {
                ml_kem: MlKem::MlKem768,
                group: DhGroup::P256,
                group_seed_len: 128,
                label: b"MLKEM768-P256",
            }),
            Self::MlKem1024P384 => KemParts::Hybrid(HybridKem {
                ml_kem: MlKem::MlKem1024,
                group: DhGroup::P384,
                group_seed_len: 48,
                label: b"MLKEM1024-P384",
            }),
            Self::MlKem768X25519 => KemParts::Hybrid(HybridKem {
                ml_kem: MlKem::MlKem768,
                group: DhGroup::X25519,
                group_seed_len: 32,
                label: br"\.//^\",
            }),
        }
    }

    /// The length of a private key in bytes (RFC 9180's `Nsk`), which is also the number of random bytes that
    /// a fresh key pair takes.
    #[must_use]
    pub fn seed_len(self) -> usize {
        match self.parts() {
            KemParts::Dh { group, .. } => group.private_key_len(),
            KemParts::MlKem(_) => MlKem::SEED_LEN,
            KemParts::Hybrid(_) => HybridKem::SEED_LEN,
        }
    }

    /// The number of random bytes that an encapsulation takes.
    #[must_use]
    pub fn encap_seed_len(self) -> usize {
        match self.parts() {
            KemParts::Dh { group, .. } => group.private_key_len(),
            KemParts::MlKem(_) => MlKem::RANDOMNESS_LEN,
            KemParts::Hybrid(hybrid) => MlKem::RANDOMNESS_LEN + hybrid.group_seed_len,
        }
    }

    /// The length of a public key in bytes (RFC 9180's `Npk`).
    #[must_use]
    pub fn public_key_len(self) -> usize {
        match self.parts() {
            KemParts::Dh { group, .. } => group.public_key_len(),
            KemParts::MlKem(ml_kem) => ml_kem.public_key_len(),
            KemParts::Hybrid(h) => h.ml_kem.public_key_len() + h.group.public_key_len(),
        }
    }

    /// The length of an encapsulation in bytes (RFC 9180's `Nenc`).
    #[must_use]
    pub fn encapsulation_len(self) -> usize {
        match self.parts() {
            KemParts::Dh { group, .. } => group.public_key_len(),
            KemParts::MlKem(ml_kem) => ml_kem.ciphertext_len(),
            KemParts::Hybrid(h) => h.ml_kem.ciphertext_len() + h.group.public_key_len(),
        }
    }

    /// The length of a shared secret in bytes (RFC 9180's `Nsecret`).
    #[must_use]
    pub fn secret_len(self) -> usize {
        match self.parts() {
            KemParts::Dh { kdf, .. } => kdf.extract_len(),
            KemParts::MlKem(_) | KemParts::Hybrid(_) => MlKem::SECRET_LEN,
        }
    }

    /// Whether what is encrypted stays secret from a quantum computer.
    #[must_use]
    pub fn is_post_quantum(self) -> bool {
        !matches!(self.parts(), KemParts::Dh { .. })
    }
}

impl SignatureScheme {
    /// Whether a quantum computer does not help to forge signatures.
    #[must_use]
    pub fn is_post_quantum(self) -> bool {
        matches!(self, Self::MlDsa44 | Self::MlDsa65 | Self::MlDsa87)
    }
}

impl Kdf {
    /// The length of an extracted key in bytes (`Nh`).
    #[must_use]
    pub fn extract_len(self) -> usize {
        self.hash().len()
    }

    /// The hash function of an HKDF.
    #[must_use]
    pub const fn hash(self) -> Hash {
        match self {
            Self::HkdfSha256 => Hash::Sha256,
            Self::HkdfSha384 => Hash::Sha384,
            Self::HkdfSha512 => Hash::Sha512,
        }
    }
}

impl Aead {
    /// The length of a key in bytes (`Nk`).
    #[must_use]
    pub fn key_len(self) -> usize {
        match self {
            Self::Aes128Gcm => 16,
            Self::Aes256Gcm | Self::ChaCha20Poly1305 => 32,
        }
    }

    /// The length of a nonce in bytes (`Nn`).
    #[must_use]
    pub fn nonce_len(self) -> usize {
        12
    }

    /// The length of a tag in bytes (`Nt`): a ciphertext is that much longer than its plaintext.
    #[must_use]
    pub fn tag_len(self) -> usize {
        16
    }
}

#[allow(clippy::len_without_is_empty)]
impl Hash {
    /// The length of a digest in bytes.
    #[must_use]
    pub fn len(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::has_low_order;
    use alloc::string::ToString;
    use alloc::vec;

    /// RFC 9180 section 7.1, table 2: `Nsk` and `Npk`.
    #[test]
    fn group_keys_have_hpkes_lengths() {
        for (group, private, public) in [
            (DhGroup::P256, 32, 65),
            (DhGroup::P384, 48, 97),
            (DhGroup::P521, 66, 133),
            (DhGroup::X25519, 32, 32),
            (DhGroup::X448, 56, 56),
        ] {
            assert_eq!((group.private_key_len(), group.public_key_len()), (private, public));

            // Zero is a point of small order on the two curves that have such points.
            let small = matches!(group, DhGroup::X25519 | DhGroup::X448);
            assert_eq!(has_low_order(group, &vec![0; public]), small, "{group}");
            assert!(!has_low_order(group, &vec![0; public - 1]), "{group}");
        }
    }

    #[test]
    fn components_show_their_registered_names() {
        assert_eq!(Kem::DhX25519.to_string(), "DHKEM(X25519, HKDF-SHA256)");
        assert_eq!(Kem::MlKem768X25519.to_string(), "MLKEM768-X25519");
        assert_eq!(Kdf::HkdfSha384.to_string(), "HKDF-SHA384");
        assert_eq!(Aead::ChaCha20Poly1305.to_string(), "ChaCha20-Poly1305");
        assert_eq!(Hash::Sha512.to_string(), "SHA-512");
        assert_eq!(SignatureScheme::EcdsaSecp256r1Sha256.to_string(), "ecdsa_secp256r1_sha256");
        assert_eq!(DhGroup::X448.to_string(), "X448");
        assert_eq!(MlKem::MlKem1024.to_string(), "ML-KEM-1024");
    }
}
