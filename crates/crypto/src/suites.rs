//! Which suites there are besides RFC 9420's, and by which code points.

use crate::{Aead, Kdf, Kem, SignatureScheme, SuiteParams};
use conclave_wire::{CipherSuite, is_grease};
use core::fmt;

/// The post-quantum suites of draft-ietf-mls-pq-ciphersuites-06, whose code points are still to be
/// assigned: [`Suites`] says which ones a group of applications has agreed on.
///
/// The KEM keeps what is said now secret from a quantum computer of later. Only the last three
/// also sign so that one cannot forge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum PqSuite {
    /// TBD1: `MLS_128_MLKEM768X25519_AES128GCM_SHA256_Ed25519`.
    MlKem768X25519Aes128Ed25519,
    /// TBD2: `MLS_128_MLKEM768X25519_AES256GCM_SHA384_Ed25519`.
    MlKem768X25519Aes256Ed25519,
    /// TBD3: `MLS_128_MLKEM768P256_AES128GCM_SHA256_P256`.
    MlKem768P256Aes128P256,
    /// TBD4: `MLS_128_MLKEM768P256_AES256GCM_SHA384_P256`.
    MlKem768P256Aes256P256,
    /// TBD5: `MLS_192_MLKEM1024P384_AES256GCM_SHA384_P384`.
    MlKem1024P384Aes256P384,
    /// TBD6: `MLS_128_MLKEM768_AES256GCM_SHA384_Ed25519`.
    MlKem768Aes256Ed25519,
    /// TBD7: `MLS_128_MLKEM768_AES256GCM_SHA384_P256`.
    MlKem768Aes256P256,
    /// TBD8: `MLS_192_MLKEM1024_AES256GCM_SHA384_P384`.
    MlKem1024Aes256P384,
    /// TBD9: `MLS_128_MLKEM768X25519_CHACHA20POLY1305_SHA384_MLDSA44`.
    MlKem768X25519ChaCha20MlDsa44,
    /// TBD10: `MLS_192_MLKEM768_AES256GCM_SHA384_MLDSA65`.
    MlKem768Aes256MlDsa65,
    /// TBD11: `MLS_256_MLKEM1024_AES256GCM_SHA384_MLDSA87`.
    MlKem1024Aes256MlDsa87,
}

impl PqSuite {
    /// All eleven, in the draft's order: TBD1 to TBD11.
    pub const ALL: [Self; 11] = [
        Self::MlKem768X25519Aes128Ed25519,
        Self::MlKem768X25519Aes256Ed25519,
        Self::MlKem768P256Aes128P256,
        Self::MlKem768P256Aes256P256,
        Self::MlKem1024P384Aes256P384,
        Self::MlKem768Aes256Ed25519,
        Self::MlKem768Aes256P256,
        Self::MlKem1024Aes256P384,
        Self::MlKem768X25519ChaCha20MlDsa44,
        Self::MlKem768Aes256MlDsa65,
        Self::MlKem1024Aes256MlDsa87,
    ];

    /// The draft's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::MlKem768X25519Aes128Ed25519 => "MLS_128_MLKEM768X25519_AES128GCM_SHA256_Ed25519",
            Self::MlKem768X25519Aes256Ed25519 => "MLS_128_MLKEM768X25519_AES256GCM_SHA384_Ed25519",
            Self::MlKem768P256Aes128P256 => "MLS_128_MLKEM768P256_AES128GCM_SHA256_P256",
            Self::MlKem768P256Aes256P256 => "MLS_128_MLKEM768P256_AES256GCM_SHA384_P256",
            Self::MlKem1024P384Aes256P384 => "MLS_192_MLKEM1024P384_AES256GCM_SHA384_P384",
            Self::MlKem768Aes256Ed25519 => "MLS_128_MLKEM768_AES256GCM_SHA384_Ed25519",
            Self::MlKem768Aes256P256 => "MLS_128_MLKEM768_AES256GCM_SHA384_P256",
            Self::MlKem1024Aes256P384 => "MLS_192_MLKEM1024_AES256GCM_SHA384_P384",
            Self::MlKem768X25519ChaCha20MlDsa44 => {
                "MLS_128_MLKEM768X25519_CHACHA20POLY1305_SHA384_MLDSA44"
            }
            Self::MlKem768Aes256MlDsa65 => "MLS_192_MLKEM768_AES256GCM_SHA384_MLDSA65",
            Self::MlKem1024Aes256MlDsa87 => "MLS_256_MLKEM1024_AES256GCM_SHA384_MLDSA87",
        }
    }

    /// The components, at a code point.
    #[must_use]
    pub const fn params(self, cipher_suite: CipherSuite) -> SuiteParams {
        use {Aead as A, Kdf as F, SignatureScheme as S};
        let (kem, kdf, aead, signature) = match self {
            Self::MlKem768X25519Aes128Ed25519 => {
                (Kem::MlKem768X25519, F::HkdfSha256, A::Aes128Gcm, S::Ed25519)
            }
            Self::MlKem768X25519Aes256Ed25519 => {
                (Kem::MlKem768X25519, F::HkdfSha384, A::Aes256Gcm, S::Ed25519)
            }
            Self::MlKem768P256Aes128P256 => {
                (Kem::MlKem768P256, F::HkdfSha256, A::Aes128Gcm, S::EcdsaSecp256r1Sha256)
            }
            Self::MlKem768P256Aes256P256 => {
                (Kem::MlKem768P256, F::HkdfSha384, A::Aes256Gcm, S::EcdsaSecp256r1Sha256)
            }
            Self::MlKem1024P384Aes256P384 => {
                (Kem::MlKem1024P384, F::HkdfSha384, A::Aes256Gcm, S::EcdsaSecp384r1Sha384)
            }
            Self::MlKem768Aes256Ed25519 => (Kem::MlKem768, F::HkdfSha384, A::Aes256Gcm, S::Ed25519),
            Self::MlKem768Aes256P256 => {
                (Kem::MlKem768, F::HkdfSha384, A::Aes256Gcm, S::EcdsaSecp256r1Sha256)
            }
            Self::MlKem1024Aes256P384 => {
                (Kem::MlKem1024, F::HkdfSha384, A::Aes256Gcm, S::EcdsaSecp384r1Sha384)
            }
            Self::MlKem768X25519ChaCha20MlDsa44 => {
                (Kem::MlKem768X25519, F::HkdfSha384, A::ChaCha20Poly1305, S::MlDsa44)
            }
            Self::MlKem768Aes256MlDsa65 => (Kem::MlKem768, F::HkdfSha384, A::Aes256Gcm, S::MlDsa65),
            Self::MlKem1024Aes256MlDsa87 => {
                (Kem::MlKem1024, F::HkdfSha384, A::Aes256Gcm, S::MlDsa87)
            }
        };
        let (name, hash) = (self.name(), kdf.hash());
        SuiteParams { cipher_suite, name, kem, kdf, aead, hash, signature }
    }
}

/// A code point that cannot name a suite of one's own: RFC 9420 has it, another suite of the
/// table does, it is reserved (0), or one of the GREASE values (section 13.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodePointTaken(pub CipherSuite);

impl fmt::Display for CodePointTaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the code point {:#06x} is not free for a cipher suite", self.0.0)
    }
}

impl core::error::Error for CodePointTaken {}

/// The suites that a provider answers for: RFC 9420's seven, and post-quantum ones where a
/// deployment has agreed on their code points.
///
/// A small value that goes with a provider: two of them in one process can differ. Members of a
/// group must have the same table, of course: a code point is all that travels.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Suites {
    /// In the order of [`PqSuite::ALL`].
    post_quantum: [Option<CipherSuite>; PqSuite::ALL.len()],
}

impl Default for Suites {
    fn default() -> Self {
        Self::RFC_9420
    }
}

impl fmt::Debug for Suites {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter().map(|s| (s.cipher_suite.0, s.name))).finish()
    }
}

/// A table of presets, checked when it is compiled.
const fn preset<const N: usize>(points: [(PqSuite, u16); N]) -> Suites {
    let mut suites = Suites::RFC_9420;
    let mut rest: &[(PqSuite, u16)] = &points;
    while let [(suite, n), tail @ ..] = rest {
        match suites.with(*suite, CipherSuite(*n)) {
            Ok(with) => suites = with,
            // In a constant, this is a compile error.
            #[allow(clippy::panic)]
            Err(_) => panic!("a code point is taken"),
        }
        rest = tail;
    }
    suites
}

impl Suites {
    /// The suites of RFC 9420 (section 17.1), and no other.
    pub const RFC_9420: Self = Self { post_quantum: [None; PqSuite::ALL.len()] };

    /// All eleven post-quantum suites at code points of our own, in the range for private use:
    /// TBDn of the draft at 0xf0c0 + n. No other stack that is known uses these.
    pub const CONCLAVE: Self = preset([
        (PqSuite::MlKem768X25519Aes128Ed25519, 0xf0c1),
        (PqSuite::MlKem768X25519Aes256Ed25519, 0xf0c2),
        (PqSuite::MlKem768P256Aes128P256, 0xf0c3),
        (PqSuite::MlKem768P256Aes256P256, 0xf0c4),
        (PqSuite::MlKem1024P384Aes256P384, 0xf0c5),
        (PqSuite::MlKem768Aes256Ed25519, 0xf0c6),
        (PqSuite::MlKem768Aes256P256, 0xf0c7),
        (PqSuite::MlKem1024Aes256P384, 0xf0c8),
        (PqSuite::MlKem768X25519ChaCha20MlDsa44, 0xf0c9),
        (PqSuite::MlKem768Aes256MlDsa65, 0xf0ca),
        (PqSuite::MlKem1024Aes256MlDsa87, 0xf0cb),
    ]);

    /// The code points of MLS++ (2025-11): three suites.
    pub const MLSPP: Self = preset([
        (PqSuite::MlKem768X25519Aes256Ed25519, 0x0008),
        (PqSuite::MlKem768P256Aes256P256, 0x0009),
        (PqSuite::MlKem1024P384Aes256P384, 0x000a),
    ]);

    /// The code points of OpenMLS 0.9: eight suites.
    ///
    /// OpenMLS 0.9 with hpke-rs 0.7 derives key pairs otherwise than the draft: its members and these
    /// understand each other's messages and commits, except for commits with a path
    /// (`docs/interop.md`).
    pub const OPENMLS: Self = preset([
        (PqSuite::MlKem768X25519Aes128Ed25519, 0x004f),
        (PqSuite::MlKem768X25519Aes256Ed25519, 0x004e),
        (PqSuite::MlKem768Aes256Ed25519, 0xf042),
        (PqSuite::MlKem768Aes256P256, 0x0050),
        (PqSuite::MlKem1024Aes256P384, 0x0042),
        (PqSuite::MlKem768X25519ChaCha20MlDsa44, 0x0052),
        (PqSuite::MlKem768Aes256MlDsa65, 0x0051),
        (PqSuite::MlKem1024Aes256MlDsa87, 0x0907),
    ]);

    /// This table with a suite at a code point, instead of the one that the suite may have had.
    ///
    /// # Errors
    /// If the code point is not free.
    pub const fn with(
        mut self,
        suite: PqSuite,
        cipher_suite: CipherSuite,
    ) -> Result<Self, CodePointTaken> {
        let n = cipher_suite.0;
        let reserved = n == 0 || n <= SuiteParams::REGISTERED.len() as u16 || is_grease(n);
        if reserved {
            return Err(CodePointTaken(cipher_suite));
        }
        let mut i = 0;
        let mut rest: &mut [Option<CipherSuite>] = &mut self.post_quantum;
        while let [slot, tail @ ..] = rest {
            if i == suite as usize {
                *slot = Some(cipher_suite);
            } else if let Some(CipherSuite(other)) = slot
                && *other == n
            {
                return Err(CodePointTaken(cipher_suite));
            }
            i += 1;
            rest = tail;
        }
        Ok(self)
    }

    /// The code point of a post-quantum suite, if it has one here.
    #[must_use]
    pub fn code_point(&self, suite: PqSuite) -> Option<CipherSuite> {
        self.post_quantum.get(suite as usize).copied().flatten()
    }

    /// The components of the suite at a code point.
    #[must_use]
    pub fn get(&self, cipher_suite: CipherSuite) -> Option<SuiteParams> {
        self.iter().find(|s| s.cipher_suite == cipher_suite)
    }

    /// All suites of the table: RFC 9420's, then the draft's, each in order.
    pub fn iter(&self) -> impl Iterator<Item = SuiteParams> {
        let post_quantum = PqSuite::ALL.into_iter().zip(self.post_quantum);
        let post_quantum = post_quantum.filter_map(|(suite, at)| at.map(|at| suite.params(at)));
        SuiteParams::REGISTERED.into_iter().chain(post_quantum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;
    use alloc::format;
    use alloc::vec::Vec;

    /// The draft's two tables: name, KEM, KDF, AEAD, TLS code point of the signature scheme.
    const DRAFT: [(&str, u16, u16, u16, u16); 11] = [
        ("MLS_128_MLKEM768X25519_AES128GCM_SHA256_Ed25519", 0x647a, 1, 1, 0x0807),
        ("MLS_128_MLKEM768X25519_AES256GCM_SHA384_Ed25519", 0x647a, 2, 2, 0x0807),
        ("MLS_128_MLKEM768P256_AES128GCM_SHA256_P256", 0x0050, 1, 1, 0x0403),
        ("MLS_128_MLKEM768P256_AES256GCM_SHA384_P256", 0x0050, 2, 2, 0x0403),
        ("MLS_192_MLKEM1024P384_AES256GCM_SHA384_P384", 0x0051, 2, 2, 0x0503),
        ("MLS_128_MLKEM768_AES256GCM_SHA384_Ed25519", 0x0041, 2, 2, 0x0807),
        ("MLS_128_MLKEM768_AES256GCM_SHA384_P256", 0x0041, 2, 2, 0x0403),
        ("MLS_192_MLKEM1024_AES256GCM_SHA384_P384", 0x0042, 2, 2, 0x0503),
        ("MLS_128_MLKEM768X25519_CHACHA20POLY1305_SHA384_MLDSA44", 0x647a, 2, 3, 0x0904),
        ("MLS_192_MLKEM768_AES256GCM_SHA384_MLDSA65", 0x0041, 2, 2, 0x0905),
        ("MLS_256_MLKEM1024_AES256GCM_SHA384_MLDSA87", 0x0042, 2, 2, 0x0906),
    ];

    #[test]
    fn each_post_quantum_suite_has_the_components_of_the_draft() {
        for (n, (suite, draft)) in PqSuite::ALL.into_iter().zip(DRAFT).enumerate() {
            assert_eq!(suite as usize, n);
            let s = suite.params(CipherSuite(7));
            let (kem, kdf, aead) = (s.kem.code_point(), s.kdf.code_point(), s.aead.code_point());
            assert_eq!((s.name, kem, kdf, aead, s.signature.code_point()), draft);
            assert_eq!((s.hash, s.cipher_suite), (s.kdf.hash(), CipherSuite(7)));
            assert_eq!(s.name.contains("MLDSA"), s.signature.is_post_quantum());
            assert!(s.kem.is_post_quantum());
        }
    }

    #[test]
    fn the_presets_are_those_of_the_stacks_that_they_name() {
        let points = |suites: Suites| -> Vec<Option<u16>> {
            PqSuite::ALL.iter().map(|s| suites.code_point(*s).map(|at| at.0)).collect()
        };
        assert_eq!(points(Suites::RFC_9420), [None; 11]);
        let own: Vec<Option<u16>> = (0xf0c1..=0xf0cb).map(Some).collect();
        assert_eq!(points(Suites::CONCLAVE), own);
        let (n, s) = (None, Some::<u16>);
        let mlspp = [n, s(8), n, s(9), s(10), n, n, n, n, n, n];
        assert_eq!(points(Suites::MLSPP), mlspp);
        let openmls = [0x4f, 0x4e, 0, 0, 0, 0xf042, 0x50, 0x42, 0x52, 0x51, 0x907]
            .map(|p| s(p).filter(|p| *p > 0));
        assert_eq!(points(Suites::OPENMLS), openmls);
        // ts-mls has sets of its own, at 0x004d to 0x0058 and 0xf007 to 0xf012; mls-rs at 65001 to
        // 65003 and 65100.
        let taken: BTreeSet<u16> = [Suites::MLSPP, Suites::OPENMLS]
            .into_iter()
            .flat_map(points)
            .flatten()
            .chain(0x004d..=0x0058)
            .chain(0xf007..=0xf012)
            .chain([65001, 65002, 65003, 65100])
            .collect();
        assert!(points(Suites::CONCLAVE).into_iter().flatten().all(|p| !taken.contains(&p)));
    }

    #[test]
    fn a_table_finds_each_of_its_suites_and_no_other() {
        for suites in [Suites::RFC_9420, Suites::CONCLAVE, Suites::MLSPP, Suites::OPENMLS] {
            let all: Vec<SuiteParams> = suites.iter().collect();
            assert_eq!(all[..7], SuiteParams::REGISTERED);
            for n in 0..=u16::MAX {
                let at = CipherSuite(n);
                let want = all.iter().find(|s| s.cipher_suite == at).copied();
                assert_eq!(suites.get(at), want);
            }
            let shown = format!("{suites:?}");
            assert!(all.iter().all(|s| shown.contains(s.name)), "{shown}");
        }
    }

    #[test]
    fn a_code_point_names_one_suite_and_none_that_is_registered_or_reserved() {
        let (a, b) = (PqSuite::ALL[0], PqSuite::ALL[10]);
        let free = CipherSuite(0x1234);
        for n in [0, 1, 7, 0x0a0a, 0xeaea] {
            let refused = Suites::RFC_9420.with(a, CipherSuite(n));
            assert_eq!(refused, Err(CodePointTaken(CipherSuite(n))));
        }
        let suites = Suites::RFC_9420.with(b, free).unwrap();
        assert_eq!(suites.get(free), Some(b.params(free)));
        assert_eq!(suites.with(a, free), Err(CodePointTaken(free)));
        assert_eq!(suites.with(b, free), Ok(suites));
        // Elsewhere: where it was before is free again.
        let moved = suites.with(b, CipherSuite(8)).unwrap();
        assert_eq!((moved.get(free), moved.code_point(b)), (None, Some(CipherSuite(8))));
        assert_eq!(moved.with(a, free).unwrap().get(free), Some(a.params(free)));
    }
}
