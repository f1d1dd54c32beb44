//! `conclave inspect` as a person runs it: files, standard input, exit codes.

use crate::common::run;
use conclave_mls::wire::Encode;
use conclave_testkit::party::{group_of, key_package};
use serde_json::Value;
use std::fmt::Write;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[test]
fn files_and_standard_input_are_shown_in_their_order() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_string()
    };
    let info = group_of(&["alice", "bob", "carol"])[0].group_info();
    let package = key_package("dave", 7).key_package().to_bytes().unwrap();
    let (raw, text) = (file("info", &info), file("info.hex", hex(&info).as_bytes()));

    let done = run(&["inspect", "--json", &raw, &text, "-"], &package);
    assert_eq!((done.code, done.lines.len()), (Some(0), 3), "{done:?}");
    let said: Vec<Value> = done.lines.iter().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(said[0]["kind"], "mls-message");
    assert_eq!(said[0]["items"], said[1]["items"]);
    assert_eq!((&said[1]["encoding"], &said[2]["kind"]), (&"hex".into(), &"key-package".into()));

    // By the member who signed it, over the tree that is in it.
    let checks = said[0]["items"][0]["checks"].as_array().unwrap();
    assert_eq!(checks.len(), 3);
    assert!(checks.iter().all(|check| check["verdict"] == "valid"), "{checks:?}");
    let tree = &said[0]["items"][0]["trees"][0];
    assert_eq!((&tree["leaves"], &tree["root"]), (&4.into(), &3.into()));

    let done = run(&["inspect", &raw], b"");
    let drawn: Vec<&String> = done.lines.iter().filter(|line| line.contains("leaf ")).collect();
    assert!(drawn.iter().any(|line| line.contains("├─ node 0, leaf 0: \"alice\"")), "{done:?}");
}

#[test]
fn exit_codes_tell_what_is_no_file_no_command_line_and_not_readable() {
    let package = key_package("dave", 7).key_package().to_bytes().unwrap();
    assert_eq!(run(&["inspect", "-"], &package).code, Some(0));
    assert_eq!(run(&["inspect", "/nonexistent"], b"").code, Some(1));
    assert_eq!(run(&["inspect", "--as", "nonsense", "-"], b"").code, Some(2));
    assert_eq!(run(&["inspect"], b"").code, Some(2));
    for kind in ["join-link", "link-code"] {
        let done = run(&["inspect", "--as", kind, "--encoding", "hex", "-"], b"00");
        assert_eq!(done.code, Some(2), "{done:?}");
        assert!(done.stderr.contains("--encoding does not go with it"), "{done:?}");
    }

    let cut = run(&["inspect", "--as", "key-package", "-"], &package[..100]);
    assert_eq!(cut.code, Some(3));
    assert!(cut.lines.last().unwrap().starts_with("STOPPED at byte "), "{cut:?}");
    let none = run(&["inspect", "--json", "-"], b"neither this nor that");
    let said: Value = serde_json::from_str(&none.lines[0]).unwrap();
    assert_eq!((none.code, &said["kind"]), (Some(3), &Value::Null));
    assert!(said["stopped"]["reason"].as_str().unwrap().contains("--as"));
    assert_eq!(run(&["inspect", "--encoding", "hex", "-"], &package).code, Some(3));
}

#[test]
fn a_signature_that_is_wrong_is_said_beside_what_is_there() {
    let package = key_package("dave", 7).key_package().to_bytes().unwrap();
    let verdicts = |bytes: &[u8]| {
        let done = run(&["inspect", "--json", "-"], bytes);
        assert_eq!(done.code, Some(0));
        let said: Value = serde_json::from_str(&done.lines[0]).unwrap();
        let checks = said["items"][0]["checks"].as_array().unwrap().clone();
        let find = |name: &str| {
            checks.iter().find(|check| check["check"] == name).unwrap()["verdict"].clone()
        };
        ["signature", "leaf_node.signature"].map(find)
    };
    assert_eq!(verdicts(&package), ["valid", "valid"]);
    let mut forged = package.clone();
    *forged.last_mut().unwrap() ^= 1;
    assert_eq!(verdicts(&forged), ["invalid", "valid"]);
}

#[test]
fn more_than_the_limit_is_not_read() {
    let done = run(&["inspect", "-"], &vec![0; (16 << 20) + 1]);
    assert_eq!(done.code, Some(1));
    assert!(done.stderr.contains("more than 16777216 bytes"), "{done:?}");
}

/// Every kind has a row, and every field of the JSON.
#[test]
fn the_page_names_every_kind_and_field() {
    let page = include_str!("../../../../docs/inspect.md");
    let help = run(&["inspect", "--help"], b"").lines.join("\n");
    let kinds = help
        .lines()
        .skip_while(|line| !line.contains("--as"))
        .skip_while(|line| !line.contains("- "));
    let kinds = kinds.take_while(|line| !line.contains("--encoding"));
    let kinds: Vec<&str> = kinds
        .filter_map(|line| line.trim().strip_prefix("- ")?.split_once(':'))
        .map(|(kind, _)| kind)
        .collect();
    assert_eq!(kinds.len(), 18, "{help}");
    for kind in kinds {
        assert!(page.contains(&format!("| `{kind}` |")), "{kind}");
    }
    let done = run(&["inspect", "--json", "-"], &group_of(&["alice"])[0].group_info());
    let said: Value = serde_json::from_str(&done.lines[0]).unwrap();
    let item = &said["items"][0];
    for object in [&said, item, &item["checks"][0], &item["fingerprints"][0], &item["trees"][0]] {
        for field in object.as_object().unwrap().keys() {
            assert!(page.contains(&format!("`{field}`")), "{field}");
        }
    }
}
