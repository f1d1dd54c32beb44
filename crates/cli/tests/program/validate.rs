//! A service in another language that asks `conclave validate`: the commands and requests of `docs/validator.md`.

use crate::common::{Done, run};
use base64ct::{Base64, Encoding};
use conclave_testkit::party::{add, commit_of, group_of, key_package};
use serde_json::{Value, json};
use std::path::PathBuf;

/// A folder with what a service was sent.
struct Sent(tempfile::TempDir);

impl Sent {
    fn file(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.path(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_string()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

fn validate(args: &[&str]) -> (Option<i32>, Value) {
    let done = run(&[&["validate"], args].concat(), b"");
    assert!(done.lines.len() <= 1, "{done:?}");
    (done.code, verdict(&done))
}

fn verdict(done: &Done) -> Value {
    done.lines.first().map_or(Value::Null, |line| serde_json::from_str(line).unwrap())
}

#[test]
fn commands_judge_files_and_keep_a_state() {
    let sent = Sent(tempfile::tempdir().unwrap());
    let mut peers = group_of(&["alice"]);
    let bob = key_package("bob", 7);
    let info = sent.file("group-info", &peers[0].group_info());
    let made = peers[0].commit(commit_of(vec![add(&bob)])).unwrap();
    let commit = sent.file("commit", &made.commit);
    let welcome = sent.file("welcome", &made.welcomes[0].message);
    let state = sent.path("state").to_str().unwrap().to_string();

    let (code, said) = validate(&["group", &info, "--out", &state]);
    assert_eq!((code, &said["valid"], &said["epoch"]), (Some(0), &json!(true), &json!(0)));
    assert_eq!(said["members"][0]["credential"]["identity"], json!("alice"));

    let follow =
        ["message", &commit, "--state", &state, "--welcome", &welcome, "--out", &state[..]];
    let (code, said) = validate(&follow);
    assert_eq!((code, &said["kind"], &said["epoch"]), (Some(0), &json!("commit"), &json!(1)));
    assert_eq!(said["added"][0]["credential"]["identity"], json!("bob"));

    // The epoch has ended: a second commit for it, be it the same, loses.
    let (code, said) = validate(&follow);
    assert_eq!((code, &said["valid"]), (Some(3), &json!(false)));
    assert_eq!(said["code"], json!("wrong-epoch"));

    // What the tests' clients make has long expired.
    let expired = sent.file("key-package", &bob.message().unwrap());
    let (code, said) = validate(&["key-package", &expired]);
    assert_eq!((code, &said["valid"], &said["file"]), (Some(3), &json!(false), &json!(expired)));

    // What is no question has another code, and says what is wrong.
    let nothing = sent.path("nothing").to_str().unwrap().to_string();
    let done = run(&["validate", "message", &commit, "--state", &nothing], b"");
    assert_eq!((done.code, done.lines.len()), (Some(1), 0));
    assert!(done.stderr.contains(&format!("cannot read {nothing}")), "{done:?}");
    let done = run(&["validate", "message", &commit, "--state", &commit], b"");
    assert!(done.code == Some(1) && done.stderr.contains("no state of a group"), "{done:?}");
}

#[test]
fn a_stream_answers_line_by_line() {
    let mut peers = group_of(&["alice"]);
    let bob = key_package("bob", 7);
    let info = peers[0].group_info();
    let made = peers[0].commit(commit_of(vec![add(&bob)])).unwrap();
    let b64 = |bytes: &[u8]| Base64::encode_string(bytes);
    let ask = |requests: &[Value]| -> Vec<Value> {
        let input: String = requests.iter().map(|request| format!("{request}\n")).collect();
        let done = run(&["validate", "stream"], input.as_bytes());
        assert_eq!(done.code, Some(0), "{done:?}");
        done.lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
    };

    let group = json!({ "id": 1, "judge": "group", "group_info": b64(&info) });
    let package = json!({
        "id": "kp", "judge": "key-package", "now": 1_700_000_000,
        "key_package": b64(&bob.message().unwrap()),
    });
    let said = ask(&[group, package, json!({ "id": 3, "judge": "it" }), json!("what?")]);
    assert_eq!((&said[0]["id"], &said[0]["valid"]), (&json!(1), &json!(true)));
    assert_eq!((&said[1]["id"], &said[1]["valid"]), (&json!("kp"), &json!(true)));
    assert!(said[2]["error"].as_str().unwrap().contains("key-package, group"), "{}", said[2]);
    assert!(said[3]["error"].is_string() && said.len() == 4);

    let message = |welcomes: Value| {
        json!({
            "judge": "message", "state": said[0]["state"], "message": b64(&made.commit),
            "welcomes": welcomes,
        })
    };
    let welcome = b64(&made.welcomes[0].message);
    let judged = ask(&[message(json!([welcome])), message(json!([])), message(json!("x"))]);
    assert_eq!((&judged[0]["valid"], &judged[0]["epoch"]), (&json!(true), &json!(1)));
    assert_eq!(judged[0]["key_packages"][0], said[1]["reference"]);
    assert_eq!(judged[1]["code"], json!("not-welcomed-once"));
    assert_eq!(judged[2]["error"], json!("\"welcomes\" is no list of texts"));

    let done = run(&["validate", "stream"], b"{\n\n");
    assert!(done.lines[0].contains("the line is no JSON") && done.lines.len() == 1, "{done:?}");
}
