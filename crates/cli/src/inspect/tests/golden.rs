//! Each kind as text and as JSON, as `crates/cli/tests/inspect` has it.

use super::samples::{now, official, root, samples, vectors};
use crate::inspect::input::Encoding;
use crate::inspect::kinds::{Kind, read_as, recognise, recognise_text};
use crate::inspect::report::{to_json, to_text};
use crate::inspect::tree::Drawing;
use crate::inspect::value::to_ascii;
use crate::inspect::walk::Context;
use clap::ValueEnum;
use conclave_account::from_base32;
use conclave_delivery_api::{JoinLink, parse_hex, to_hex};
use conclave_mls::wire::{Decode, RatchetTreeExtension};
use std::collections::BTreeSet;
use std::path::PathBuf;

#[test]
fn each_kind_is_shown_as_text_and_as_json() {
    let folder = root().join("crates/cli/tests/inspect");
    let mut kinds = BTreeSet::new();
    for sample in samples() {
        let contents = read_as(sample.kind, &sample.bytes, &sample.given, now());
        assert!(contents.stopped.is_none(), "{}: {:?}", sample.name, contents.stopped);
        kinds.insert(sample.kind.name());
        let length = sample.bytes.len();
        let text = to_text(sample.name, Encoding::Raw, length, &contents);
        let json = to_json(sample.name, Encoding::Raw, length, &contents);
        let json = serde_json::to_string_pretty(&json).unwrap() + "\n";
        for (ending, made) in [("txt", text), ("json", json)] {
            let file = folder.join(format!("{}.{ending}", sample.name));
            if std::env::var_os("CONCLAVE_RENDER").is_some() {
                std::fs::write(&file, &made).unwrap();
            }
            let there = std::fs::read_to_string(&file).unwrap_or_default();
            assert_eq!(
                there,
                made,
                "{} is behind: CONCLAVE_RENDER=1 cargo test -p conclave-cli each_kind_is_shown",
                file.display()
            );
        }
    }
    let all = Kind::value_variants().iter().map(|kind| kind.name()).collect();
    assert_eq!(kinds, all);
}

#[test]
fn bytes_are_recognised_unless_nothing_marks_their_kind() {
    let unmarked = ["proposal", "commit"];
    for sample in samples().into_iter().filter(|sample| !unmarked.contains(&sample.name)) {
        let kind = match recognise_text(&sample.bytes) {
            Some(kind) => Some(kind),
            None => recognise(&sample.bytes, &Context::default(), now()).kind,
        };
        assert_eq!(kind, Some(sample.kind), "{}", sample.name);
    }
}

/// As the vectors of the working group have them, and ours.
#[test]
fn resolutions_are_those_of_the_vectors() {
    let mut folders = vec![root().join("vectors")];
    folders.extend(std::env::var_os("MLS_VECTORS").map(PathBuf::from));
    for folder in folders {
        let trees = vectors(&folder, "tree-validation.json");
        for vector in trees.as_array().unwrap() {
            let tree = parse_hex(vector["tree"].as_str().unwrap()).unwrap();
            let drawing =
                Drawing::of(RatchetTreeExtension::from_bytes(&tree).unwrap().nodes).unwrap();
            let json = drawing.to_json("");
            for (index, expected) in vector["resolutions"].as_array().unwrap().iter().enumerate() {
                assert_eq!(&json["nodes"][index]["resolution"], expected);
            }
            // A line for each node.
            assert_eq!(drawing.lines().len(), json["nodes"].as_array().unwrap().len());
        }
    }
}

#[test]
fn official_vectors_are_read_to_their_end() {
    for (kind, bytes) in official() {
        let contents = read_as(kind, &bytes, &Context::default(), now());
        assert_eq!(contents.stopped, None, "{kind:?}");
    }
}

/// What others wrote, and what would move a cursor or turn a line around.
#[test]
fn control_characters_reach_no_terminal() {
    let harmful = |c: char| {
        (c.is_control() && c != '\n')
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let mut hostile = Vec::new();
    for sample in samples() {
        let contents = read_as(sample.kind, &sample.bytes, &sample.given, now());
        let name = "a\u{1b}[2J\u{9b}file";
        let text = to_text(name, Encoding::Raw, 1, &contents);
        let report = to_json(name, Encoding::Raw, 1, &contents);
        let json = to_ascii(&report);
        assert!(!text.contains(harmful), "{text:?}");
        assert!(json.bytes().all(|byte| (0x20..0x7f).contains(&byte)), "{json:?}");
        assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok());
        // The file's own name is in all of it.
        if to_ascii(&report["items"]).contains("\\u001b[2J") {
            hostile.push(sample.name);
        }
    }
    assert_eq!(hostile, ["credential", "mimi-content", "join-link"]);
}

#[test]
fn secrets_are_shown_by_their_length_alone() {
    let link = samples().into_iter().find(|sample| sample.kind == Kind::JoinLink).unwrap();
    let link = String::from_utf8(link.bytes).unwrap();
    let code = samples().into_iter().find(|sample| sample.kind == Kind::LinkCode).unwrap();
    let code = String::from_utf8(code.bytes).unwrap();
    let mut secrets = vec![to_hex(b"sixteen secrets!"), "sixteen secrets!".to_string()];
    secrets.extend([link[20..].to_string(), code.clone(), code.replace('-', "")]);

    // The link's secret is in front of its checksum, all of the code is one.
    let bytes = from_base32(link.strip_prefix(JoinLink::PREFIX).unwrap()).unwrap();
    let secret = &bytes[bytes.len() - 4 - JoinLink::SECRET_BYTES..bytes.len() - 4];
    secrets.extend([to_hex(secret), to_hex(&from_base32(&code.replace('-', "")).unwrap())]);
    for sample in samples() {
        let contents = read_as(sample.kind, &sample.bytes, &sample.given, now());
        let text = to_text("-", Encoding::Raw, 1, &contents);
        let json = to_json("-", Encoding::Raw, 1, &contents).to_string();
        for shown in [text, json] {
            assert!(secrets.iter().all(|secret| !shown.contains(secret)), "{shown}");
        }
    }
}
