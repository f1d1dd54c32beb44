//! The vectors of this repository and the working group's pass with both providers, generated vectors
//! pass, and changed ones fail.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use conclave_crypto::{CryptoProvider, Suites};
use conclave_provider_aws_lc::AwsLc;
use conclave_provider_rustcrypto::RustCrypto;
use conclave_testkit::SeededRng;
use conclave_testkit::vectors::{CheckError, Kind, Report, check, generate};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The portable provider, with the post-quantum suites at Conclave's code points.
const PORTABLE: RustCrypto = RustCrypto::new().with_suites(Suites::CONCLAVE);

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn check_with_both(kind: Option<Kind>, json: &[u8]) -> Report {
    check(kind, json, &[&AwsLc::with_threads(1).with_suites(Suites::CONCLAVE), &PORTABLE]).unwrap()
}

fn assert_passed(what: &str, report: &Report) {
    for failure in &report.failures {
        // Bypasses the test harness's capture, so that all of them are shown.
        let _ = writeln!(std::io::stderr(), "{what}: {failure}");
    }
    assert_eq!(report.failed, 0, "{what}");
    assert!(report.passed > 0, "{what}");
}

/// The working group's files, if this machine has them.
fn official() -> Option<PathBuf> {
    let named = std::env::var_os("MLS_VECTORS").map(PathBuf::from);
    if let Some(folder) = named {
        assert!(folder.is_dir(), "MLS_VECTORS is {}, which is not a folder", folder.display());
        return Some(folder);
    }
    let usual = workspace().join("../shared/vectors");
    usual.is_dir().then_some(usual)
}

/// Checks the files of these kinds in a folder, each recognised by its content. Returns how many
/// vectors passed.
fn check_folder(folder: &Path, kinds: impl IntoIterator<Item = Kind>) -> usize {
    let mut passed = 0;
    for kind in kinds {
        let file = folder.join(format!("{kind}.json"));
        let json = std::fs::read(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        let report = check_with_both(None, &json);
        assert_eq!(report.kind, kind);
        assert_passed(kind.name(), &report);
        let suites: Vec<_> = report.suites.values().collect();
        if kind.has_suites() {
            assert_eq!(suites.len(), 2, "{kind}: a provider ran nothing");
            assert_eq!(suites[0], suites[1], "{kind}: a provider left suites out");
        }
        passed += report.passed;
    }
    passed
}

#[test]
fn the_repositorys_vectors_pass() {
    check_folder(&workspace().join("vectors"), Kind::ALL);
}

#[test]
fn the_post_quantum_vectors_pass_in_all_eleven_suites() {
    let mut suites = BTreeSet::new();
    for kind in ["crypto-basics", "treekem", "welcome", "passive-client-welcome"] {
        let file = workspace().join(format!("vectors/pq-{kind}.json"));
        let json = std::fs::read(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        let report = check_with_both(None, &json);
        assert_eq!(report.kind.name(), kind);
        assert_passed(kind, &report);
        assert_eq!(report.suites["AWS-LC"], report.suites["RustCrypto"], "{kind}");
        suites.extend(report.suites["AWS-LC"].iter().copied());
    }
    assert_eq!(suites, POST_QUANTUM.collect());
}

#[test]
fn the_vectors_of_the_draft_on_targeted_messages_pass() {
    let json = std::fs::read(workspace().join("vectors/draft-targeted-messages.json")).unwrap();
    let report = check_with_both(None, &json);
    assert_eq!((report.kind, report.passed), (Kind::TargetedMessages, 3));
    assert_passed("of the draft", &report);
    assert_eq!(report.suites["AWS-LC"], report.suites["RustCrypto"]);
}

#[test]
fn the_working_groups_vectors_pass() {
    let mut out = std::io::stderr();
    let _ = match official() {
        Some(folder) => {
            let theirs = Kind::ALL.into_iter().filter(|kind| kind.is_of_working_group());
            let passed = check_folder(&folder, theirs);
            writeln!(out, "{passed} of the working group's vectors passed")
        }
        None => writeln!(
            out,
            "NOT RUN: the working group's vectors are not here; set MLS_VECTORS to their folder"
        ),
    };
}

#[test]
fn generated_vectors_pass() {
    for (n, kind) in Kind::ALL.into_iter().enumerate() {
        let rng = SeededRng::from_u64(n as u64);
        let suites: Option<&[u16]> = kind.has_suites().then_some(&[2, 3]);
        let file = generate(kind, suites, &PORTABLE, &rng).unwrap();
        let report = check_with_both(None, file.as_bytes());
        assert_eq!(report.kind, kind, "seed {rng}");
        assert_passed(kind.name(), &report);
        let again = generate(kind, suites, &PORTABLE, &rng).unwrap();
        assert_eq!(file, again, "{kind}: the seed {rng} gives different files");
    }
}

/// The post-quantum suites at Conclave's code points.
const POST_QUANTUM: std::ops::RangeInclusive<u16> = 0xf0c1..=0xf0cb;

/// Checks that generated vectors of each kind pass with both providers, in the suites for the kind's
/// place.
fn generated_passes(suites: impl Fn(u16) -> BTreeSet<u16>) {
    for (n, kind) in (0..).zip(Kind::ALL).filter(|(_, kind)| kind.has_suites()) {
        let suites = suites(n);
        let rng = SeededRng::from_u64(n.into());
        let list: Vec<u16> = suites.iter().copied().collect();
        let file = generate(kind, Some(&list), &PORTABLE, &rng).unwrap();
        let report = check_with_both(None, file.as_bytes());
        assert_eq!(report.kind, kind, "seed {rng}");
        assert_passed(kind.name(), &report);
        assert!(report.suites.values().all(|ran| *ran == suites), "{kind}: {:?}", report.suites);
    }
}

/// Each kind in two of the suites; the kinds take turns through all suites.
#[test]
fn generated_post_quantum_vectors_pass() {
    generated_passes(|n| POST_QUANTUM.filter(|suite| (suite + n) % 11 < 2).collect());
}

#[test]
#[ignore = "takes minutes: cargo test --release -p conclave-testkit --test vectors -- --ignored"]
fn generated_vectors_of_each_kind_pass_in_all_post_quantum_suites() {
    generated_passes(|_| POST_QUANTUM.collect());
}

/// The vector with each of its values changed a little, and the place of the change.
fn changes(value: &Value) -> Vec<(String, Value)> {
    match value {
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(name, field)| {
                changes(field).into_iter().map(move |(place, changed)| {
                    let mut whole = value.clone();
                    whole[name] = changed;
                    (format!("{name}.{place}"), whole)
                })
            })
            .collect(),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .flat_map(|(i, item)| {
                changes(item).into_iter().map(move |(place, changed)| {
                    let mut whole = value.clone();
                    whole[i] = changed;
                    (format!("{i}.{place}"), whole)
                })
            })
            .collect(),
        Value::Number(n) => vec![(String::new(), json!(n.as_u64().unwrap() ^ 1))],
        Value::String(text) if text.is_empty() => vec![(String::new(), json!("00"))],
        Value::String(text) => {
            let flip = |c: char| char::from_digit(c.to_digit(16).unwrap_or(0) ^ 1, 16).unwrap();
            let (first, rest) = text.split_at(1);
            let first_flipped: String = first.chars().map(flip).chain(rest.chars()).collect();
            let mut last_flipped = text.clone();
            let last = last_flipped.pop().unwrap();
            last_flipped.push(flip(last));
            vec![
                ("first flipped".into(), json!(first_flipped)),
                ("last flipped".into(), json!(last_flipped)),
                ("shortened".into(), json!(text.get(2..).unwrap_or_default())),
            ]
        }
        Value::Null | Value::Bool(_) => vec![],
    }
}

/// Whether a change leaves a vector right.
fn is_harmless(kind: Kind, place: &str) -> bool {
    // Another suite with the same hash and AEAD gives the same secrets.
    place == "cipher_suite."
        // Any member may propose to add or remove.
        || place == "proposal_sender."
        // Only its first bytes count (section 6.3.2).
        || (kind == Kind::SecretTree && place == "sender_data.ciphertext.last flipped")
        // The end of an Add is its key package's signature, which does not get into the tree.
        || (kind == Kind::TreeOperations && place == "proposal.last flipped")
        // Only the form of messages is checked: their contents are arbitrary.
        || (kind == Kind::Messages && place.ends_with("flipped"))
}

#[test]
fn a_vector_with_any_value_changed_fails() {
    for kind in Kind::ALL {
        let suites: Option<&[u16]> = kind.has_suites().then_some(&[1]);
        let file = generate(kind, suites, &PORTABLE, &SeededRng::from_u64(1)).unwrap();
        let vectors: Vec<Value> = serde_json::from_str(&file).unwrap();
        // The longest vector has a value in every field.
        let vector = match kind {
            Kind::PassiveClientHandlingCommit => &vectors[1],
            Kind::PassiveClientRandom => continue,
            _ => vectors.iter().max_by_key(|v| v.to_string().len()).unwrap(),
        };
        let changes = changes(vector);
        assert!(!changes.is_empty());
        for (place, changed) in changes {
            if is_harmless(kind, &place) {
                continue;
            }
            let json = changed.to_string();
            let report = check(Some(kind), json.as_bytes(), &[&AwsLc::with_threads(1)]).unwrap();
            assert_eq!(report.failed, 1, "{kind}: passes with {place} changed");
        }
    }
}

fn one(kind: Kind) -> Value {
    let suites: Option<&[u16]> = kind.has_suites().then_some(&[1]);
    let file = generate(kind, suites, &PORTABLE, &SeededRng::from_u64(2)).unwrap();
    let vectors: Vec<Value> = serde_json::from_str(&file).unwrap();
    vectors.into_iter().next().unwrap()
}

#[test]
fn a_single_vector_is_read_without_an_array() {
    let json = one(Kind::PskSecret).to_string();
    assert_passed("one vector", &check_with_both(None, json.as_bytes()));
}

#[test]
fn upper_case_and_unknown_fields_are_accepted() {
    let mut vector = one(Kind::Welcome);
    for (_, field) in vector.as_object_mut().unwrap() {
        if let Value::String(text) = field {
            *text = text.to_ascii_uppercase();
        }
    }
    vector["comment"] = json!("of another stack");
    assert_passed("welcome", &check_with_both(None, vector.to_string().as_bytes()));
}

#[test]
fn optional_fields_may_be_null_or_absent() {
    for absent in [false, true] {
        let mut vector = one(Kind::PassiveClientWelcome);
        let fields = vector.as_object_mut().unwrap();
        for name in ["external_psks", "ratchet_tree", "epochs"] {
            fields.remove(name).unwrap();
            if !absent {
                fields.insert(name.into(), Value::Null);
            }
        }
        assert_passed("passive client", &check_with_both(None, vector.to_string().as_bytes()));
    }
}

#[test]
fn a_vector_without_a_required_field_fails() {
    let mut vectors = [one(Kind::Welcome), one(Kind::Welcome)];
    vectors[0].as_object_mut().unwrap().remove("signer_pub");
    let report = check_with_both(None, json!(vectors).to_string().as_bytes());
    assert_eq!((report.kind, report.passed, report.failed), (Kind::Welcome, 1, 1));
    assert_eq!(report.failures.len(), 1, "reported by each provider");
    assert!(report.failures[0].reason.contains("signer_pub"), "{}", report.failures[0]);
}

#[test]
fn a_suite_that_nobody_supports_is_a_failure() {
    let mut vector = one(Kind::PskSecret);
    vector["cipher_suite"] = json!(0xf001);
    let report = check_with_both(None, vector.to_string().as_bytes());
    assert_eq!((report.passed, report.failed), (0, 1));
    assert_eq!(report.failures[0].suite, Some(0xf001));
}

#[test]
fn files_without_vectors_are_errors() {
    let providers: [&dyn CryptoProvider; 1] = [&PORTABLE];
    let error = |json: &str| check(None, json.as_bytes(), &providers).unwrap_err();
    assert!(matches!(error("[]"), CheckError::Empty));
    assert!(matches!(error("7"), CheckError::NotVectors));
    assert!(matches!(error("[{}"), CheckError::NotJson(_)));
    assert!(matches!(error(r#"[{"what": 1}]"#), CheckError::UnknownKind));
}

#[test]
fn the_wrong_kind_fails() {
    let json = one(Kind::TreeMath).to_string();
    let report = check_with_both(Some(Kind::Welcome), json.as_bytes());
    assert_eq!((report.passed, report.failed), (0, 1));
}

#[test]
fn kinds_are_found_by_name() {
    for kind in Kind::ALL {
        assert_eq!(kind.name().parse(), Ok(kind));
    }
    assert_eq!("psk-secret".parse(), Ok(Kind::PskSecret));
    assert!("psk".parse::<Kind>().is_err());
}
