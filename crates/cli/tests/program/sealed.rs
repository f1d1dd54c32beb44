//! A device's state under a passphrase: what its files show, and who opens it.

use crate::common::{CONCLAVE, Done, People, Process, copy_folder, run};
use std::path::{Path, PathBuf};
use std::time::Duration;

const RIGHT: &str = "correct horse battery staple";
const OTHER: &str = "tr0ub4dor and three";

/// People whose passphrases are in files.
struct Sealed {
    people: People,
    passphrases: tempfile::TempDir,
}

impl Sealed {
    fn new() -> Self {
        Self { people: People::new(), passphrases: tempfile::tempdir().unwrap() }
    }

    fn file(&self, passphrase: &str) -> String {
        let path = self.passphrases.path().join(passphrase.replace(' ', "-"));
        std::fs::write(&path, format!("{passphrase}\n")).unwrap();
        path.to_string_lossy().into_owned()
    }

    fn args(&self, who: &str, passphrase: &str) -> Vec<String> {
        let mut args = self.people.args(who);
        args.extend(["--passphrase-file".into(), self.file(passphrase)]);
        args
    }

    fn chat(&self, who: &str, passphrase: &str, input: &str) -> Done {
        run(&self.args(who, passphrase), input.as_bytes())
    }

    fn stay(&self, who: &str, passphrase: &str) -> Process {
        let args = self.args(who, passphrase);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let process = Process::start(&[args.as_slice(), &["--stay"]].concat());
        process.until("ready ");
        process
    }

    fn seal(&self, who: &str, current: Option<&str>, new: &str, options: &[&str]) -> Done {
        let mut args = vec!["seal".to_string(), who.into(), "--data".into()];
        args.push(self.people.data().to_string_lossy().into_owned());
        args.extend(["--new-passphrase-file".into(), self.file(new)]);
        if let Some(current) = current {
            args.extend(["--passphrase-file".into(), self.file(current)]);
        }
        args.extend(options.iter().map(|option| option.to_string()));
        run(&args, b"")
    }

    fn folder(&self, who: &str) -> PathBuf {
        self.people.data().join(who).join("main")
    }
}

/// Which of the texts are in a file below a folder.
fn found(folder: &Path, texts: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(self::found(&path, texts));
            continue;
        }
        // SQLite may remove one of its files meanwhile.
        let Ok(bytes) = std::fs::read(&path) else { continue };
        let has = |text: &&&str| bytes.windows(text.len()).any(|part| part == text.as_bytes());
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        found.extend(texts.iter().filter(has).map(|text| format!("{name}: {text}")));
    }
    found
}

/// What nobody may find: names of people and groups, and what was said.
const CANARIES: &[&str] = &["alice", "bobolink", "lunchroom", "marzipan", "topsecret"];

#[test]
fn no_file_of_a_sealed_state_shows_what_was_said_or_who_is_who() {
    let sealed = Sealed::new();
    sealed.people.chat("bobolink", "");
    sealed.chat("alice", RIGHT, "/new lunchroom\n/invite bobolink\nmarzipan\n");
    sealed.people.chat("bobolink", "/accept lunchroom\ntopsecret\n");

    // While it is used, after it was killed at whatever it did, and at rest.
    for n in 0..6 {
        let mut alice = sealed.stay("alice", RIGHT);
        alice.write("marzipan again");
        alice.write("/history");
        std::thread::sleep(Duration::from_millis(40 * n));
        assert_eq!(found(&sealed.folder("alice"), CANARIES), [""; 0], "in use");
        alice.kill_9();
        assert_eq!(found(&sealed.folder("alice"), CANARIES), [""; 0], "after kill -9");
    }
    let alice = sealed.chat("alice", RIGHT, "/history\n");
    assert!(alice.code == Some(0), "{alice:?}");
    assert!(alice.lines.iter().any(|line| line.contains("topsecret")), "{alice:?}");
    assert_eq!(found(&sealed.folder("alice"), CANARIES), [""; 0], "at rest");

    // The search would find them.
    let open = found(&sealed.folder("bobolink"), CANARIES);
    assert!(CANARIES.iter().all(|text| open.iter().any(|found| found.contains(text))), "{open:?}");
}

#[test]
fn without_its_passphrase_a_sealed_state_does_not_open() {
    let sealed = Sealed::new();
    assert_eq!(sealed.chat("alice", RIGHT, "/new lunch\nsoup\n").code, Some(0));

    let wrong = sealed.chat("alice", OTHER, "bread\n");
    assert!(wrong.code == Some(1) && wrong.stderr.contains("does not open"), "{wrong:?}");
    // A script is told what to name, and not asked.
    let none = sealed.people.chat("alice", "bread\n");
    assert!(none.code == Some(1) && none.stderr.contains("--passphrase-file"), "{none:?}");
    // Without the file of its key, nothing opens it, and no empty state takes its place.
    let key = sealed.folder("alice").join("state.key");
    std::fs::rename(&key, key.with_extension("elsewhere")).unwrap();
    let lost = sealed.chat("alice", RIGHT, "bread\n");
    assert!(lost.code == Some(1) && lost.stderr.contains("state.key is missing"), "{lost:?}");

    std::fs::rename(key.with_extension("elsewhere"), &key).unwrap();
    let again = sealed.chat("alice", RIGHT, "/history\n");
    assert!(again.says("", " soup"), "{again:?}");
    assert!(!again.says("", " bread"), "{again:?}");
}

#[test]
fn a_state_is_sealed_later_and_its_passphrase_and_key_change() {
    let sealed = Sealed::new();
    let open = sealed.people.chat("alice", "/new lunchroom\nmarzipan\n");
    assert!(open.stderr.contains("conclave seal alice"), "{open:?}");
    // A passphrase is no wish that is passed over.
    let unsealed = sealed.chat("alice", RIGHT, "");
    assert!(unsealed.code == Some(1) && unsealed.stderr.contains("is not sealed"), "{unsealed:?}");

    let short = sealed.seal("alice", None, "short", &[]);
    assert!(short.code == Some(1) && short.stderr.contains("8 characters"), "{short:?}");
    assert_eq!(sealed.seal("alice", None, RIGHT, &[]).lines, ["sealed"]);
    assert_eq!(found(&sealed.folder("alice"), &["lunchroom", "marzipan"]), [""; 0]);
    let copy = tempfile::tempdir().unwrap();
    copy_folder(&sealed.folder("alice"), copy.path());
    let state = |folder: &Path| std::fs::read(folder.join("state.sqlite")).unwrap();

    // Another passphrase leaves the state alone.
    let wrong = sealed.seal("alice", Some(OTHER), OTHER, &[]);
    assert!(wrong.code == Some(1) && wrong.stderr.contains("does not open"), "{wrong:?}");
    let changed = sealed.seal("alice", Some(RIGHT), OTHER, &[]);
    assert_eq!(changed.lines, ["the passphrase is changed"]);
    assert!(state(&sealed.folder("alice")) == state(copy.path()));
    assert_eq!(sealed.chat("alice", RIGHT, "").code, Some(1));
    assert!(sealed.chat("alice", OTHER, "/history\n").lines[0].starts_with("ready "));

    // Another key: the old file of the key opens nothing.
    let anew = sealed.seal("alice", Some(OTHER), RIGHT, &["--new-key"]);
    assert_eq!(anew.lines, ["the passphrase and the key are changed"]);
    let key = sealed.folder("alice").join("state.key");
    let new = std::fs::read(&key).unwrap();
    std::fs::copy(copy.path().join("state.key"), &key).unwrap();
    assert_eq!(sealed.chat("alice", RIGHT, "").code, Some(1));
    std::fs::write(&key, new).unwrap();
    let alice = sealed.chat("alice", RIGHT, "/history\n");
    assert!(alice.says("", " marzipan"), "{alice:?}");
}

fn says_soup_unsealed(sealed: &Sealed) -> bool {
    sealed.people.chat("alice", "/history\n").says("", " soup")
}

#[test]
fn a_crash_between_key_and_state_loses_neither() {
    let sealed = Sealed::new();
    sealed.people.chat("alice", "/new lunch\nsoup\n");
    let folder = sealed.folder("alice");
    let [state, key, new] = ["state.sqlite", "state.key", "state.key.next"].map(|f| folder.join(f));
    let says_soup =
        |passphrase: &str| sealed.chat("alice", passphrase, "/history\n").says("", " soup");

    // A key's file that was not written to its end is no file of a key.
    let half = folder.join("state.key.new");
    std::fs::write(&half, b"half").unwrap();
    assert!(says_soup_unsealed(&sealed));

    // The key's file was written, and the state was not yet encrypted: it is as it was.
    let plain = std::fs::read(&state).unwrap();
    assert_eq!(sealed.seal("alice", None, RIGHT, &[]).code, Some(0));
    let encrypted = std::fs::read(&state).unwrap();
    std::fs::rename(&key, &new).unwrap();
    std::fs::write(&state, plain).unwrap();
    assert_eq!(sealed.people.chat("alice", "").code, Some(0));
    assert!(!new.exists(), "it is of no use any more");

    // The state was encrypted, and the key's file did not get its name.
    assert_eq!(sealed.seal("alice", None, RIGHT, &[]).code, Some(0));
    std::fs::write(&half, b"half").unwrap();
    let wrong = sealed.chat("alice", OTHER, "");
    assert!(wrong.stderr.contains("the passphrase does not open"), "{wrong:?}");
    std::fs::rename(&key, &new).unwrap();
    assert!(says_soup(RIGHT));
    assert!(key.exists() && !new.exists());

    // The same for a second key: before the state is encrypted under it, and after.
    let first = (std::fs::read(&state).unwrap(), std::fs::read(&key).unwrap());
    assert_eq!(sealed.seal("alice", Some(RIGHT), OTHER, &["--new-key"]).code, Some(0));
    let second = (std::fs::read(&state).unwrap(), std::fs::read(&key).unwrap());
    assert!(first.0 != second.0 && first.0 != encrypted);
    std::fs::write(&new, &second.1).unwrap();
    std::fs::write(&key, &first.1).unwrap();
    std::fs::write(&state, &second.0).unwrap();
    assert!(!says_soup(RIGHT), "the old passphrase opens no more");
    assert!(says_soup(OTHER));
    std::fs::write(&new, &second.1).unwrap();
    std::fs::write(&key, &first.1).unwrap();
    std::fs::write(&state, &first.0).unwrap();
    assert!(says_soup(RIGHT));
    assert!(key.exists() && !new.exists());
}

#[test]
fn a_passphrase_comes_from_a_command_or_a_variable() {
    let sealed = Sealed::new();
    assert_eq!(sealed.chat("alice", RIGHT, "").code, Some(0));
    let with = |options: &[&str], variables: &[(&str, &str)]| {
        let mut command = std::process::Command::new(CONCLAVE);
        command.args(sealed.people.args("alice")).args(options);
        command.envs(variables.iter().copied()).stdin(std::process::Stdio::null());
        let done = command.output().unwrap();
        (done.status.code(), String::from_utf8(done.stderr).unwrap())
    };

    let print = format!("echo '{RIGHT}'");
    let file = sealed.file(RIGHT);
    assert_eq!(with(&["--passphrase-command", &print], &[]).0, Some(0));
    assert_eq!(with(&[], &[("CONCLAVE_PASSPHRASE", RIGHT)]).0, Some(0));
    assert_eq!(with(&[], &[("CONCLAVE_PASSPHRASE_FILE", &file)]).0, Some(0));
    assert_eq!(with(&[], &[("CONCLAVE_PASSPHRASE_COMMAND", &print)]).0, Some(0));
    // What is said on the line of the command counts.
    assert_eq!(with(&["--passphrase-file", &file], &[("CONCLAVE_PASSPHRASE", OTHER)]).0, Some(0));

    for (command, why) in [("false", "gave no passphrase"), ("true", "first line is empty")] {
        let (code, stderr) = with(&["--passphrase-command", command], &[]);
        assert!(code == Some(1) && stderr.contains(why), "{command}: {stderr}");
    }
}
