use crate::{Aead, Hash, Kdf, Kem, SignatureScheme};
use conclave_wire::CipherSuite;

/// The components that a cipher suite names. Suites are data: a provider knows only components.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SuiteParams {
    /// The suite's code point.
    pub cipher_suite: CipherSuite,
    /// The suite's name, as IANA's registry or a draft for it has it.
    pub name: &'static str,
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
            name: &'static str,
            kem: Kem,
            kdf: Kdf,
            aead: Aead,
            signature: SignatureScheme,
        ) -> SuiteParams {
            let hash = kdf.hash();
            SuiteParams { cipher_suite: CipherSuite(n), name, kem, kdf, aead, hash, signature }
        }
        let (k256, k384, k512) = (Kdf::HkdfSha256, Kdf::HkdfSha384, Kdf::HkdfSha512);
        let (a128, a256, cc20) = (Aead::Aes128Gcm, Aead::Aes256Gcm, Aead::ChaCha20Poly1305);
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
            suite(1, n1, Kem::DhX25519, k256, a128, S::Ed25519),
            suite(2, n2, Kem::DhP256, k256, a128, S::EcdsaSecp256r1Sha256),
            suite(3, n3, Kem::DhX25519, k256, cc20, S::Ed25519),
            suite(4, n4, Kem::DhX448, k512, a256, S::Ed448),
            suite(5, n5, Kem::DhP521, k512, a256, S::EcdsaSecp521r1Sha512),
            suite(6, n6, Kem::DhX448, k512, cc20, S::Ed448),
            suite(7, n7, Kem::DhP384, k384, a256, S::EcdsaSecp384r1Sha384),
        ]
    };

    /// The components of a suite that RFC 9420 registers.
    #[must_use]
    pub fn registered(cipher_suite: CipherSuite) -> Option<Self> {
        Self::REGISTERED.into_iter().find(|s| s.cipher_suite == cipher_suite)
    }
}
