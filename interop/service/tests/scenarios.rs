//! Two processes of the service, driven through scenarios over gRPC.

use std::path::PathBuf;
use std::process::{Command, Output};

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_conclave-interop"))
}

fn drive(options: &[&str]) -> Output {
    program().arg("drive").args(options).output().unwrap()
}

fn text(output: &Output) -> String {
    let out = &output.stdout;
    let err = &output.stderr;
    format!("{}{}", String::from_utf8_lossy(out), String::from_utf8_lossy(err))
}

fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    folder
}

#[test]
fn every_scenario_passes_in_every_mode_and_is_recorded() {
    let folder = folder("vectors");
    let output = drive(&[
        "--suites=1,2,3",
        "--commits=12",
        "--members=8",
        "--record",
        &folder.to_string_lossy(),
    ]);
    let text = text(&output);
    assert!(output.status.success(), "{text}");
    // Each script runs in three suites, two framings, two ways of transporting trees, and two distributions.
    let cells: Vec<&str> =
        text.lines().filter(|line| line.contains("  1: ") && line.contains("  3: ")).collect();
    assert_eq!(cells.len(), 49, "{text}");
    assert!(cells.iter().all(|line| line.ends_with("  1: 8/8  2: 8/8  3: 8/8")), "{text}");
    assert!(text.contains("1176 runs, ") && text.ends_with("; 0 failed\n"), "{text}");
    // All members that joined by a Welcome were recorded, for as long as they were passive.
    let read = |scenario: &str| {
        let path = folder.join(format!("passive-client-{scenario}.json"));
        let file = std::fs::read_to_string(path).unwrap();
        let vectors: serde_json::Value = serde_json::from_str(&file).unwrap();
        vectors.as_array().unwrap().clone()
    };

    let epochs = |vector: &serde_json::Value| vector["epochs"].as_array().unwrap().len();
    for scenario in ["welcome_join", "commit", "external_proposals", "deep_random"] {
        let vectors = read(scenario);
        assert!(vectors.iter().any(|v| epochs(v) > 0), "{scenario}");
        assert!(vectors.iter().any(|v| v["ratchet_tree"].is_string()), "{scenario}");
        assert!(vectors.iter().any(|v| v["ratchet_tree"].is_null()), "{scenario}");
    }

    assert!(read("deep_random").iter().any(|v| epochs(v) > 2));
}

#[test]
fn groups_that_are_loaded_from_their_rows_after_every_step_pass_too() {
    let output = drive(&["--suites=1", "--commits=10", "--members=6", "--reload"]);
    let text = text(&output);
    assert!(output.status.success(), "{text}");
}

#[test]
fn files_of_the_working_groups_format_are_read_and_every_cast_is_played() {
    let folder = folder("config");
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("some.json");
    let script = r#"{"scripts": {"short": [
        {"action": "createGroup", "actor": "alice"},
        {"action": "createKeyPackage", "actor": "bob"},
        {"action": "addProposal", "actor": "alice", "keyPackage": 1},
        {"action": "fullCommit", "actor": "alice", "byReference": [2], "joiners": ["bob"],
         "external_tree": true},
        {"action": "externalJoin", "actor": "bob", "joiner": "charlie", "members": ["alice"],
         "externalTree": true}
    ]}}"#;
    std::fs::write(&path, script).unwrap();
    let path = path.to_string_lossy();
    let some = ["--config", &path, "--suites=1", "--tree=script", "--roles=all"];
    let output = drive(&some);
    let passed = text(&output);
    assert!(output.status.success(), "{passed}");
    // Three actors, two clients, two framings.
    assert!(passed.contains("1: 16/16"), "{passed}");
}

#[test]
fn a_psk_can_be_stored_again_with_others() {
    let folder = folder("again");
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("some.json");
    let script = r#"{"scripts": {"again": [
        {"action": "createGroup", "actor": "alice", "members": ["bob"]},
        {"action": "installExternalPSK", "clients": ["alice"]},
        {"action": "installExternalPSK", "clients": ["alice", "bob"], "again": 1},
        {"action": "fullCommit", "actor": "alice", "members": ["bob"],
         "byValue": [{"proposalType": "externalPSK", "pskID": 1}]},
        {"action": "agree", "members": ["alice", "bob"]}
    ]}}"#;
    std::fs::write(&path, script).unwrap();
    let path = path.to_string_lossy();
    let output = drive(&["--config", &path, "--suites=1", "--handshake=public", "--jobs=1"]);
    let text = text(&output);
    assert!(output.status.success(), "{text}");
}

#[test]
fn a_step_that_fails_fails_the_run_and_is_named() {
    let folder = folder("failing");
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("some.json");
    let failing = [
        // A PSK that the other member does not know.
        (
            r#"{"action": "installExternalPSK", "clients": ["alice"]},
            {"action": "fullCommit", "actor": "alice", "members": ["bob"],
             "byValue": [{"proposalType": "externalPSK", "pskID": 1}]}"#,
            "step 2",
        ),
        // A proposal that cannot be committed: of two for one leaf, only the last can.
        (
            r#"{"action": "removeProposal", "actor": "bob", "removed": "bob"},
            {"action": "updateProposal", "actor": "bob"},
            {"action": "fullCommit", "actor": "alice", "byReference": [1, 2]}"#,
            "step 3",
        ),
        // A member that does not follow.
        (
            r#"{"action": "fullCommit", "actor": "alice"},
            {"action": "agree", "members": ["alice", "bob"]}"#,
            "step 2",
        ),
        // An actor that does not exist.
        (r#"{"action": "agree", "members": ["alice"]}"#, "step 1"),
        (r#"{"action": "agree", "members": ["alice", "bob"], "extensionTypes": [5]}"#, "step 1"),
        (r#"{"action": "dance", "actor": "alice"}"#, "step 1"),
    ];
    for (steps, step) in failing {
        let create = r#"{"action": "createGroup", "actor": "alice", "members": ["bob"]}"#;
        let script = format!(r#"{{"scripts": {{"bad": [{create}, {steps}]}}}}"#);
        std::fs::write(&path, script).unwrap();
        let path = path.to_string_lossy();
        let output = drive(&["--config", &path, "--suites=1", "--handshake=private"]);
        let text = text(&output);
        assert!(!output.status.success(), "{steps}: {text}");
        assert!(text.contains("1: 0/4") && text.contains(step), "{steps}: {text}");
    }
}

#[cfg(unix)]
#[test]
fn a_service_says_where_it_listens_and_ends_cleanly_when_interrupted() {
    use std::io::{BufRead, BufReader};
    use std::process::Stdio;
    let mut child = program().args(["--port", "0"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.trim().rsplit(' ').next().unwrap();
    // An open connection does not keep the service running.
    let _connection = std::net::TcpStream::connect(address).unwrap();
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    for _ in 0..200 {
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success());
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }

    child.kill().unwrap();
    panic!("it does not end");
}
