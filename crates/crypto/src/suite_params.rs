use conclave_wire::CipherSuite;

macro_rules! component {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $value:literal),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        #[repr(u16)]
        pub enum $name {
            $($(#[$vmeta])* $variant = $value),*
        }

        impl $name {
            /// The code point in its registry.
            #[must_use]
            pub fn code_point(self) -> u16 {
                self as u16
            }
        }
    };
}

component! {
    /// A key encapsulation mechanism, by its HPKE code point (RFC 9180 section 7.1).
    Kem {
        /// DHKEM(P-256, HKDF-SHA256).
        DhP256 = 0x0010,
        /// DHKEM(P-384, HKDF-SHA384).
        DhP384 = 0x0011,
        /// DHKEM(P-521, HKDF-SHA512).
        DhP521 = 0x0012,
        /// DHKEM(X25519, HKDF-SHA256).
        DhX25519 = 0x0020,
        /// DHKEM(X448, HKDF-SHA512).
        DhX448 = 0x0021,
    }
}

component! {
    /// A key derivation function, by its HPKE code point (RFC 9180 section 7.2).
    Kdf {
        /// HKDF-SHA256.
        HkdfSha256 = 1,
        /// HKDF-SHA384.
        HkdfSha384 = 2,
        /// HKDF-SHA512.
        HkdfSha512 = 3,
    }
}

component! {
    /// An authenticated encryption, by its HPKE code point (RFC 9180 section 7.3).
    Aead {
        /// AES-128-GCM.
        Aes128Gcm = 1,
        /// AES-256-GCM.
        Aes256Gcm = 2,
        /// ChaCha20-Poly1305.
        ChaCha20Poly1305 = 3,
    }
}

component! {
    /// A hash function, by its code point in TLS (RFC 5246 section 7.4.1.4.1).
    Hash {
        /// SHA-256.
        Sha256 = 4,
        /// SHA-384.
        Sha384 = 5,
        /// SHA-512.
        Sha512 = 6,
    }
}

component! {
    /// A signature scheme, by its code point in TLS (RFC 8446 section 4.2.3).
    SignatureScheme {
        /// ECDSA with P-256 and SHA-256, DER-encoded.
        EcdsaSecp256r1Sha256 = 0x0403,
        /// ECDSA with P-384 and SHA-384, DER-encoded.
        EcdsaSecp384r1Sha384 = 0x0503,
        /// ECDSA with P-521 and SHA-512, DER-encoded.
        EcdsaSecp521r1Sha512 = 0x0603,
        /// Ed25519.
        Ed25519 = 0x0807,
        /// Ed448.
        Ed448 = 0x0808,
    }
}

/// The Diffie-Hellman group of a DHKEM.
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

impl Kem {
    /// The group of a DHKEM.
    #[must_use]
    pub fn dh_group(self) -> DhGroup {
        match self {
            Self::DhP256 => DhGroup::P256,
            Self::DhP384 => DhGroup::P384,
            Self::DhP521 => DhGroup::P521,
            Self::DhX25519 => DhGroup::X25519,
            Self::DhX448 => DhGroup::X448,
        }
    }

    /// The KDF that a DHKEM uses inside, whatever the suite's is.
    #[must_use]
    pub fn kdf(self) -> Kdf {
        match self {
            Self::DhP256 | Self::DhX25519 => Kdf::HkdfSha256,
            Self::DhP384 => Kdf::HkdfSha384,
            Self::DhP521 | Self::DhX448 => Kdf::HkdfSha512,
        }
    }

    /// How many random bytes a fresh key pair takes (RFC 9180's `Nsk`).
    #[must_use]
    pub fn seed_len(self) -> usize {
        self.dh_group().private_key_len()
    }

    /// The length of a shared secret in bytes (RFC 9180's `Nsecret`).
    #[must_use]
    pub fn secret_len(self) -> usize {
        self.kdf().extract_len()
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
    pub fn hash(self) -> Hash {
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

    /// How much longer a ciphertext is than its plaintext, in bytes (`Nt`).
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

/// The components that a cipher suite names. Suites are data: a provider knows only components.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SuiteParams {
    /// The suite's code point.
    pub cipher_suite: CipherSuite,
    /// The KEM of its HPKE.
    pub kem: Kem,
    /// The KDF of its HPKE and of the key schedule.
    pub kdf: Kdf,
    /// The AEAD of its HPKE and of message protection.
    pub aead: Aead,
    /// The hash function, of its HMAC too.
    pub hash: Hash,
    /// The signature scheme.
    pub signature: SignatureScheme,
}

impl SuiteParams {
    /// The suites that RFC 9420 registers (section 17.1).
    pub const REGISTERED: [Self; 7] = {
        use SignatureScheme as S;
        const fn suite(
            n: u16,
            kem: Kem,
            kdf: Kdf,
            aead: Aead,
            hash: Hash,
            signature: SignatureScheme,
        ) -> SuiteParams {
            SuiteParams { cipher_suite: CipherSuite(n), kem, kdf, aead, hash, signature }
        }
        let (k256, k384, k512) = (Kdf::HkdfSha256, Kdf::HkdfSha384, Kdf::HkdfSha512);
        let (a128, a256, cc20) = (Aead::Aes128Gcm, Aead::Aes256Gcm, Aead::ChaCha20Poly1305);
        [
            suite(1, Kem::DhX25519, k256, a128, Hash::Sha256, S::Ed25519),
            suite(2, Kem::DhP256, k256, a128, Hash::Sha256, S::EcdsaSecp256r1Sha256),
            suite(3, Kem::DhX25519, k256, cc20, Hash::Sha256, S::Ed25519),
            suite(4, Kem::DhX448, k512, a256, Hash::Sha512, S::Ed448),
            suite(5, Kem::DhP521, k512, a256, Hash::Sha512, S::EcdsaSecp521r1Sha512),
            suite(6, Kem::DhX448, k512, cc20, Hash::Sha512, S::Ed448),
            suite(7, Kem::DhP384, k384, a256, Hash::Sha384, S::EcdsaSecp384r1Sha384),
        ]
    };

    /// The components of a suite that RFC 9420 registers.
    #[must_use]
    pub fn registered(cipher_suite: CipherSuite) -> Option<Self> {
        Self::REGISTERED.into_iter().find(|s| s.cipher_suite == cipher_suite)
    }
}
