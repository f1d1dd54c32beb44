use crate::{Aead, Hash, Kdf, Kem, SignatureScheme};
use conclave_wire::CipherSuite;
use core::fmt;

/// The components that a cipher suite names. Suites are data: a provider implements components.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SuiteParams {
    /// The suite's code point.
    pub cipher_suite: CipherSuite,
    /// The suite's name in IANA's registry or in a draft.
    pub name: &'static str,
    /// The KEM of its HPKE.
    pub kem: Kem,
    /// The KDF of its HPKE and of the key schedule.
    pub kdf: Kdf,
    /// The AEAD of its HPKE and of message protection.
    pub aead: Aead,
    /// The hash function, also that of its HMAC.
    pub hash: Hash,
    /// The signature scheme.
    pub signature: SignatureScheme,
}

impl SuiteParams {
    /// The suites that RFC 9420 registers (section 17.1).
    pub const REGISTERED: [Self; 7] = {
        use {Aead as A, Kdf as F, SignatureScheme as S};
        const fn suite(
            n: u16,
            name: &'static str,
            kem: Kem,
            kdf: Kdf,
            aead: Aead,
            signature: SignatureScheme,
        ) -> SuiteParams {
            let hash = kdf.hash();
            SuiteParams { cipher_suite: CipherSuite(n), name, kem, kdf, aead, hash, signature }
        }

        let names = [
            "MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519",
            "MLS_128_DHKEMP256_AES128GCM_SHA256_P256",
            "MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519",
            "MLS_256_DHKEMX448_AES256GCM_SHA512_Ed448",
            "MLS_256_DHKEMP521_AES256GCM_SHA512_P521",
            "MLS_256_DHKEMX448_CHACHA20POLY1305_SHA512_Ed448",
            "MLS_256_DHKEMP384_AES256GCM_SHA384_P384",
        ];
        let [n1, n2, n3, n4, n5, n6, n7] = names;
        [
            suite(1, n1, Kem::DhX25519, F::HkdfSha256, A::Aes128Gcm, S::Ed25519),
            suite(2, n2, Kem::DhP256, F::HkdfSha256, A::Aes128Gcm, S::EcdsaSecp256r1Sha256),
            suite(3, n3, Kem::DhX25519, F::HkdfSha256, A::ChaCha20Poly1305, S::Ed25519),
            suite(4, n4, Kem::DhX448, F::HkdfSha512, A::Aes256Gcm, S::Ed448),
            suite(5, n5, Kem::DhP521, F::HkdfSha512, A::Aes256Gcm, S::EcdsaSecp521r1Sha512),
            suite(6, n6, Kem::DhX448, F::HkdfSha512, A::ChaCha20Poly1305, S::Ed448),
            suite(7, n7, Kem::DhP384, F::HkdfSha384, A::Aes256Gcm, S::EcdsaSecp384r1Sha384),
        ]
    };

    /// The components of a suite that RFC 9420 registers.
    #[must_use]
    pub fn registered(cipher_suite: CipherSuite) -> Option<Self> {
        Self::REGISTERED.into_iter().find(|s| s.cipher_suite == cipher_suite)
    }
}

/// The name and the code point: `MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519 (0x0001)`.
impl fmt::Display for SuiteParams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:#06x})", self.name, self.cipher_suite.0)
    }
}
