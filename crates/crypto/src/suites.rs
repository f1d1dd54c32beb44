//! The post-quantum suites, and tables of the code points that they have.

use crate::{Aead, Kdf, Kem, SignatureScheme, SuiteParams};
use conclave_wire::{CipherSuite, is_grease};
use core::fmt;

/// The post-quantum suites of draft-ietf-mls-pq-ciphersuites-06. IANA has not assigned their code points
/// yet: a [`Suites`] table says which ones a deployment uses.
///
/// The KEM keeps what is encrypted now secret from a future quantum computer. Only the last three suites
/// also have signatures that such a computer cannot forge.
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
    /// All eleven suites in the draft's order: TBD1 to TBD11.
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

    /// The suite's name in the draft.
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

    /// The suite's components, at a code point.
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
        SuiteParams { cipher_suite, name: self.name(), kem, kdf, aead, hash: kdf.hash(), signature }
    }
}

impl fmt::Display for PqSuite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A code point that is not free for a suite: RFC 9420 or another suite of the table has it, it is
/// reserved (0), or it is a GREASE value (section 13.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodePointTaken(pub CipherSuite);

impl fmt::Display for CodePointTaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the code point {:#06x} is not free for a cipher suite", self.0.0)
    }
}

impl core::error::Error for CodePointTaken {}

/// The suites that a provider knows: RFC 9420's seven, and post-quantum ones at the code points that a
/// deployment has agreed on.
///
/// The table is a value that belongs to a provider, so two providers in one process can differ. All members
/// of a group need the same table, because only the code point travels.
///
/// All presets but [`Self::RFC_9420`] are provisional: their suites are a draft's, and IANA has assigned
/// none of the code points. They will change.
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

/// A table of these suites, checked at compile time.
const fn preset<const N: usize>(points: [(PqSuite, u16); N]) -> Suites {
    let mut suites = Suites::RFC_9420;
    let mut rest: &[(PqSuite, u16)] = &points;
    while let [(suite, n), tail @ ..] = rest {
        match suites.with(*suite, CipherSuite(*n)) {
            Ok(with) => suites = with,
            // Evaluated in a constant, so this is a compile error.
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

    /// Conclave's own code points, in the range for private use: TBDn of the draft at 0xf0c0 + n, for all
    /// eleven suites. No other known stack uses them.
    ///
    /// Provisional: a draft's suites, at code points of one vendor.
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

    /// The code points of Wire's core-crypto, in the range for private use: TBDn of the draft at
    /// 0xf000 + n, for all eleven suites.
    ///
    /// Provisional: a draft's suites, at code points of one vendor, on a branch that is not released
    /// (wireapp/core-crypto#2330, wireapp/openmls#110). An earlier state of that branch had another order.
    pub const WIRE: Self = preset([
        (PqSuite::MlKem768X25519Aes128Ed25519, 0xf001),
        (PqSuite::MlKem768X25519Aes256Ed25519, 0xf002),
        (PqSuite::MlKem768P256Aes128P256, 0xf003),
        (PqSuite::MlKem768P256Aes256P256, 0xf004),
        (PqSuite::MlKem1024P384Aes256P384, 0xf005),
        (PqSuite::MlKem768Aes256Ed25519, 0xf006),
        (PqSuite::MlKem768Aes256P256, 0xf007),
        (PqSuite::MlKem1024Aes256P384, 0xf008),
        (PqSuite::MlKem768X25519ChaCha20MlDsa44, 0xf009),
        (PqSuite::MlKem768Aes256MlDsa65, 0xf00a),
        (PqSuite::MlKem1024Aes256MlDsa87, 0xf00b),
    ]);

    /// The code points of MLS++ (2025-11): three suites.
    ///
    /// Provisional: a draft's suites, at code points that IANA may assign to others.
    pub const MLSPP: Self = preset([
        (PqSuite::MlKem768X25519Aes256Ed25519, 0x0008),
        (PqSuite::MlKem768P256Aes256P256, 0x0009),
        (PqSuite::MlKem1024P384Aes256P384, 0x000a),
    ]);

    /// The code points of OpenMLS: the eight suites that OpenMLS 0.9 has, and the three hybrids with NIST
    /// curves that are proposed to it at 0x0053 to 0x0055 (openmls/openmls#2208, not merged).
    ///
    /// OpenMLS 0.9 with hpke-rs 0.7 derives key pairs differently from the draft: its members and ours
    /// understand each other's messages and commits, except for commits with a path (`docs/interop.md`).
    ///
    /// Provisional: a draft's suites, most of them at code points that IANA may assign to others.
    pub const OPENMLS: Self = preset([
        (PqSuite::MlKem768X25519Aes128Ed25519, 0x004f),
        (PqSuite::MlKem768X25519Aes256Ed25519, 0x004e),
        (PqSuite::MlKem768P256Aes128P256, 0x0053),
        (PqSuite::MlKem768P256Aes256P256, 0x0054),
        (PqSuite::MlKem1024P384Aes256P384, 0x0055),
        (PqSuite::MlKem768Aes256Ed25519, 0xf042),
        (PqSuite::MlKem768Aes256P256, 0x0050),
        (PqSuite::MlKem1024Aes256P384, 0x0042),
        (PqSuite::MlKem768X25519ChaCha20MlDsa44, 0x0052),
        (PqSuite::MlKem768Aes256MlDsa65, 0x0051),
        (PqSuite::MlKem1024Aes256MlDsa87, 0x0907),
    ]);

    /// This table with a suite at a code point. It replaces the suite's former code point, if any.
    ///
    /// # Errors
    /// If the code point is not free.
    pub const fn with(
        mut self,
        suite: PqSuite,
        cipher_suite: CipherSuite,
    ) -> Result<Self, CodePointTaken> {
        let n = cipher_suite.0;
        // RFC 9420's suites are numbered from 1 on, without a gap; 0 is reserved.
        if n <= SuiteParams::REGISTERED.len() as u16 || is_grease(n) {
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

    /// The code point of a post-quantum suite, if the table has it.
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
        let post_quantum = PqSuite::ALL
            .into_iter()
            .zip(self.post_quantum)
            .filter_map(|(suite, at)| at.map(|at| suite.params(at)));
        SuiteParams::REGISTERED.into_iter().chain(post_quantum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;
    use alloc::format;
    use alloc::string::ToString;
    use alloc::vec::Vec;

    /// The draft's two tables: name, KEM, KDF, AEAD, and the TLS code point of the signature scheme.
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

    /// All presets, by name.
    const PRESETS: [(&str, Suites); 5] = [
        ("RFC_9420", Suites::RFC_9420),
        ("CONCLAVE", Suites::CONCLAVE),
        ("WIRE", Suites::WIRE),
        ("MLSPP", Suites::MLSPP),
        ("OPENMLS", Suites::OPENMLS),
    ];

    /// The code point of each of the draft's suites in order, 0 for a suite that the table lacks.
    fn points(suites: Suites) -> [u16; 11] {
        PqSuite::ALL.map(|suite| suites.code_point(suite).map_or(0, |at| at.0))
    }

    #[test]
    fn each_post_quantum_suite_has_the_components_of_the_draft() {
        for (n, (suite, draft)) in PqSuite::ALL.into_iter().zip(DRAFT).enumerate() {
            assert_eq!(suite as usize, n);
            assert_eq!(suite.to_string(), draft.0);

            let s = suite.params(CipherSuite(7));
            let (kem, kdf, aead) = (s.kem.code_point(), s.kdf.code_point(), s.aead.code_point());
            assert_eq!((s.name, kem, kdf, aead, s.signature.code_point()), draft);
            assert_eq!((s.hash, s.cipher_suite), (s.kdf.hash(), CipherSuite(7)));

            assert_eq!(s.name.contains("MLDSA"), s.signature.is_post_quantum());
            assert!(s.kem.is_post_quantum());
        }
    }

    #[test]
    fn presets_have_the_code_points_of_the_stacks_that_they_name() {
        let known = [
            ("RFC_9420", [0; 11]),
            (
                "CONCLAVE",
                [
                    0xf0c1, 0xf0c2, 0xf0c3, 0xf0c4, 0xf0c5, 0xf0c6, 0xf0c7, 0xf0c8, 0xf0c9, 0xf0ca,
                    0xf0cb,
                ],
            ),
            (
                "WIRE",
                [
                    0xf001, 0xf002, 0xf003, 0xf004, 0xf005, 0xf006, 0xf007, 0xf008, 0xf009, 0xf00a,
                    0xf00b,
                ],
            ),
            ("MLSPP", [0, 0x08, 0, 0x09, 0x0a, 0, 0, 0, 0, 0, 0]),
            ("OPENMLS", [0x4f, 0x4e, 0x53, 0x54, 0x55, 0xf042, 0x50, 0x42, 0x52, 0x51, 0x0907]),
        ];
        for ((name, suites), known) in PRESETS.into_iter().zip(known) {
            assert_eq!((name, points(suites)), known);
        }
    }

    #[test]
    fn no_preset_gives_a_code_point_to_two_suites() {
        for (name, suites) in PRESETS {
            let all: Vec<u16> = suites.iter().map(|suite| suite.cipher_suite.0).collect();
            let distinct: BTreeSet<u16> = all.iter().copied().collect();
            assert_eq!(distinct.len(), all.len(), "{name}");
            assert!(all.iter().all(|n| *n != 0 && !is_grease(*n)), "{name}");
        }
    }

    #[test]
    fn no_other_known_stack_uses_conclaves_code_points() {
        // ts-mls has sets of its own at 0x004d to 0x0058 and 0xf007 to 0xf012, mls-rs at 65001 to 65003
        // and 65100.
        let taken: BTreeSet<u16> = [Suites::WIRE, Suites::MLSPP, Suites::OPENMLS]
            .into_iter()
            .flat_map(points)
            .chain(0x004d..=0x0058)
            .chain(0xf007..=0xf012)
            .chain([65001, 65002, 65003, 65100])
            .collect();
        assert!(points(Suites::CONCLAVE).into_iter().all(|n| !taken.contains(&n)));
    }

    #[test]
    fn a_table_finds_each_of_its_suites_and_no_other() {
        for (name, suites) in PRESETS {
            let all: Vec<SuiteParams> = suites.iter().collect();
            assert_eq!(all[..7], SuiteParams::REGISTERED);

            for n in 0..=u16::MAX {
                let at = CipherSuite(n);
                let want = all.iter().find(|s| s.cipher_suite == at).copied();
                assert_eq!(suites.get(at), want, "{name} {n:#06x}");
            }
            for suite in PqSuite::ALL {
                let found = suites.code_point(suite).map(|at| suites.get(at).map(|s| s.name));
                assert!(found.is_none_or(|found| found == Some(suite.name())), "{name} {suite}");
            }

            let shown = format!("{suites:?}");
            assert!(all.iter().all(|s| shown.contains(s.name)), "{shown}");
        }
    }

    #[test]
    fn a_code_point_names_one_suite_and_none_that_is_reserved() {
        let [a, .., b] = PqSuite::ALL;
        let free = CipherSuite(0x1234);
        for n in [0, 1, 7, 0x0a0a, 0xeaea] {
            let refused = Suites::RFC_9420.with(a, CipherSuite(n));
            assert_eq!(refused, Err(CodePointTaken(CipherSuite(n))));
        }

        let suites = Suites::RFC_9420.with(b, free).unwrap();
        assert_eq!(suites.get(free), Some(b.params(free)));
        assert_eq!(suites.with(a, free), Err(CodePointTaken(free)));
        assert_eq!(suites.with(b, free), Ok(suites));

        // A suite that moves frees its former code point.
        let moved = suites.with(b, CipherSuite(8)).unwrap();
        assert_eq!((moved.get(free), moved.code_point(b)), (None, Some(CipherSuite(8))));
        assert_eq!(moved.with(a, free).unwrap().get(free), Some(a.params(free)));
    }
}
