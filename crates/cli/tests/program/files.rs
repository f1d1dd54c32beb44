//! Files in rooms, as scripts see them: sent and saved, cut off and gone on with, changed on the way, refused.

mod network;

use crate::common::{DONE, Done, PATIENCE, People, Process, REFUSED, from_environment};
use network::Network;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const MIB: usize = 1 << 20;
/// The most anonymous memory of a messenger that sends or saves a file of any length, in bytes. It is less than the length
/// of [`USUAL_MIB`], so that one that held the file in memory would exceed it.
const MAX_MEMORY: u64 = 20 << 20;
/// The length of the large file, in MiB, if the environment does not choose another one.
const USUAL_MIB: u64 = 24;

/// Content of which no two parts are alike.
fn content(length: usize) -> Vec<u8> {
    let mut state = 88_172_645_463_325_252_u64;
    let mut content = Vec::with_capacity(length + 8);
    while content.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        content.extend_from_slice(&state.to_le_bytes());
    }
    content.truncate(length);
    content
}

/// Alice and bob in a group `g`, at a service with these options, and a folder for files.
fn two_people(options: &[&str]) -> (People, tempfile::TempDir) {
    let mut people = People::new();
    if !options.is_empty() {
        people.server.restart_under(options);
    }
    assert_eq!(people.chat("bob", "").code, DONE);
    let alice = people.chat("alice", "/new g\n/invite bob\n");
    assert_eq!(alice.code, DONE, "{:?}", alice.lines);
    assert_eq!(people.chat("bob", "/accept\n").code, DONE);
    (people, tempfile::tempdir().unwrap())
}

fn write(folder: &tempfile::TempDir, name: &str, content: &[u8]) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, content).unwrap();
    path
}

/// The number of the message that a file came with.
fn number(done: &Done) -> String {
    let line = done.line("attachment g ").unwrap_or_else(|| panic!("{:?}", done.lines));
    line.split(' ').nth(2).unwrap().into()
}

/// Sends a file as alice, and returns the number of its message once bob has it.
fn sent(people: &People, path: &Path, text: &str) -> String {
    let alice = people.chat("alice", format!("/send \"{}\" {text}\n", path.display()));
    assert_eq!(alice.code, DONE, "{alice:?}");
    let bob = people.chat("bob", "");
    let (seen, number) = (number(&bob), number(&alice));
    assert_eq!(seen, number);
    number
}

/// What lies in a folder, and in the folders there.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

/// The files that are under way for a user.
fn under_way(people: &People, user: &str) -> Vec<PathBuf> {
    files(&people.data().join(user).join("main/files"))
}

/// The only attachment that the service has.
fn attachment(people: &People) -> PathBuf {
    let found = files(&people.service_data("service").join("attachments"));
    let is_whole = |path: &&PathBuf| path.file_name().unwrap().len() == 64;
    let whole: Vec<&PathBuf> = found.iter().filter(is_whole).collect();
    assert_eq!(whole.len(), 1, "{found:?}");
    whole[0].clone()
}

/// Somebody's messenger that reaches the service by a network.
fn stay(people: &People, user: &str, network: &Network) -> Process {
    let mut args = people.args(user);
    args[3] = network.url();
    args.push("--stay".into());
    Process::start(&args.iter().map(String::as_str).collect::<Vec<_>>())
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "not yet: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_file_goes_from_one_user_to_another_and_only_they_can_read_it() {
    let (people, folder) = two_people(&[]);
    let content = content(2 * MIB + 5);
    // What an attacker suggests as a name is cut down to one that harms nothing.
    let path = write(&folder, "..\\..\\my report.pdf", &content);
    let number = sent(&people, &path, "here it is");

    let bob = people.chat("bob", format!("/save {number} \"{}\"\n", folder.path().display()));
    assert_eq!(bob.code, DONE, "{bob:?}");
    let saved = folder.path().join("my report.pdf");
    let line = format!("saved g {number} {} {}", content.len(), saved.display());
    assert!(bob.has(&line), "{:?}", bob.lines);
    assert!(std::fs::read(&saved).unwrap() == content);
    let history = people.chat("bob", "/history\n");
    assert!(history.says("history message", "here it is"), "{:?}", history.lines);
    assert!(history.says("history attachment", "application/pdf my report.pdf"));

    // The service has something else, and nobody keeps what was under way.
    let sealed = std::fs::read(attachment(&people)).unwrap();
    assert_eq!(sealed.len(), content.len() + 16);
    assert!(!sealed.windows(64).step_by(1024).any(|window| content.starts_with(window)));
    assert!(sealed[..64] != content[..64]);
    assert!(under_way(&people, "alice").is_empty() && under_way(&people, "bob").is_empty());

    // A file that is there stays as it is.
    std::fs::write(&saved, b"mine").unwrap();
    let bob = people.chat("bob", format!("/save {number} \"{}\"\n", saved.display()));
    assert_eq!(bob.code, REFUSED, "{bob:?}");
    assert_eq!(std::fs::read(&saved).unwrap(), b"mine");
}

#[test]
fn an_empty_file_is_a_file() {
    let (people, folder) = two_people(&[]);
    let number = sent(&people, &write(&folder, "empty", b""), "");
    let to = folder.path().join("saved");
    let bob = people.chat("bob", format!("/save {number} {}\n", to.display()));
    assert_eq!(bob.code, DONE, "{bob:?}");
    assert_eq!(std::fs::read(&to).unwrap(), b"");
}

#[test]
fn a_file_that_the_service_changed_is_not_saved() {
    let (people, folder) = two_people(&[]);
    let number = sent(&people, &write(&folder, "a.bin", &content(MIB + 1)), "");
    let path = attachment(&people);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[MIB / 2] ^= 1;
    std::fs::write(&path, &bytes).unwrap();

    let to = folder.path().join("saved");
    let bob = people.chat("bob", format!("/save {number} {}\n", to.display()));
    assert_eq!(bob.code, REFUSED, "{bob:?}");
    assert!(bob.says("error a.bin: what the service has is not the file that was sent", ""));
    assert!(!to.exists() && under_way(&people, "bob").is_empty());

    // One that is longer than its message says is not even fetched.
    bytes.extend_from_slice(&[0; 40]);
    std::fs::write(&path, &bytes).unwrap();
    let bob = people.chat("bob", format!("/save {number} {}\n", to.display()));
    assert_eq!(bob.code, REFUSED, "{bob:?}");
    // One that is gone is missed.
    std::fs::remove_file(&path).unwrap();
    let bob = people.chat("bob", format!("/save {number} {}\n", to.display()));
    assert!(bob.says("error a.bin: the service does not have the file", ""), "{bob:?}");
    assert!(!to.exists() && under_way(&people, "bob").is_empty());
}

#[test]
fn what_cannot_be_sent_or_saved_is_said_and_leaves_nothing() {
    let (mut people, folder) =
        two_people(&["--attachment-quota", "3 MiB", "--attachment-size", "2 MiB"]);
    let fits = write(&folder, "fits", &content(2 * MIB - 16));
    let long = write(&folder, "long", &content(2 * MIB));
    let refused = |input: &str, why: &str| {
        let alice = people.chat("alice", input);
        assert_eq!(alice.code, REFUSED, "{input}: {alice:?}");
        let is_it = |line: &String| line.starts_with("error ") && line.contains(why);
        assert!(alice.lines.iter().any(is_it), "{input}: {:?}", alice.lines);
        assert!(under_way(&people, "alice").is_empty(), "{input}");
    };
    let send = |path: &Path| format!("/send {}\n", path.display());
    refused(&send(&long), "at most 2097152 bytes");
    refused(&send(&folder.path().join("missing")), "No such file");
    refused(&send(folder.path()), "is a folder: pack it into one file first");
    refused(&send(Path::new("/dev/null")), "is no file");
    sent(&people, &fits, "");
    // The key is another one, and so the attachment is.
    refused(&send(&fits), "would have more than 3145728 bytes");
    let alice = people.chat("alice", "only words\n/history\n");
    let words = alice.line("message g ").unwrap().split(' ').nth(2).unwrap().to_string();
    refused(&format!("/save {words}\n"), &format!("message {words} has no file"));
    refused("/save 999\n", "there is no message 999 in g");
    refused("/cancel\n", "no file is under way");

    people.server.restart_under(&["--no-attachments"]);
    let alice = people.chat("alice", send(&fits));
    assert_eq!(alice.code, REFUSED, "{alice:?}");
    assert!(alice.lines.iter().any(|line| line.contains("this service keeps no attachments")));
}

#[test]
fn an_upload_goes_on_after_the_process_was_killed_while_words_pass_it() {
    let (people, folder) = two_people(&[]);
    let content = content(6 * MIB);
    let path = write(&folder, "a.bin", &content);
    let network = Network::new(&people.server.url());
    let mut alice = stay(&people, "alice", &network);
    alice.until("ready");

    network.hold_at(3 * MIB as u64);
    alice.write(&format!("/send {} look", path.display()));
    alice.until("upload g 1 33 a.bin");
    wait_until("three parts", || network.holds());
    alice.kill_9();
    network.open();
    let before = network.moved();

    // It goes on by itself where it was, and what is said meanwhile does not wait for it.
    network.hold_at(before + MIB as u64);
    let mut alice = stay(&people, "alice", &network);
    alice.until("upload g 1 ");
    network.let_small_pass();
    alice.write("meanwhile");
    alice.until("message g ");
    assert!(under_way(&people, "alice").len() == 1);
    network.open();
    alice.until("attachment g ");
    assert!(network.moved() - before < 5 * MIB as u64, "it began anew");
    assert_eq!(alice.end_now(), DONE);

    let bob = people.chat("bob", "");
    let texts = bob.texts("g");
    assert_eq!(texts, ["meanwhile", "look"]);
    let to = folder.path().join("saved");
    let bob = people.chat("bob", format!("/save {} {}\n", number(&bob), to.display()));
    assert_eq!(bob.code, DONE);
    assert!(std::fs::read(&to).unwrap() == content);
}

#[test]
fn a_download_goes_on_after_the_process_was_killed() {
    let (people, folder) = two_people(&[]);
    let content = content(6 * MIB);
    let number = sent(&people, &write(&folder, "a.bin", &content), "");
    let network = Network::new(&people.server.url());
    let mut bob = stay(&people, "bob", &network);
    bob.until("ready");

    let to = folder.path().join("saved");
    network.hold_at(network.moved() + 3 * MIB as u64);
    bob.write(&format!("/save {number} {}", to.display()));
    bob.until("download g 1 33 a.bin");
    wait_until("three parts", || network.holds());
    bob.kill_9();
    network.open();
    assert!(!to.exists());
    let before = network.moved();

    let mut bob = stay(&people, "bob", &network);
    bob.until(&format!("saved g {number} {} {}", content.len(), to.display()));
    assert!(network.moved() - before < 5 * MIB as u64, "it began anew");
    assert!(std::fs::read(&to).unwrap() == content);
    assert_eq!(bob.end_now(), DONE);
    assert!(under_way(&people, "bob").is_empty());
}

#[test]
fn transfers_go_on_at_a_service_that_was_killed_and_has_forgotten_their_sessions() {
    let (mut people, folder) = two_people(&[]);
    let content = content(6 * MIB);
    let path = write(&folder, "a.bin", &content);
    let network = Network::new(&people.server.url());
    let mut alice = stay(&people, "alice", &network);
    let mut bob = stay(&people, "bob", &network);
    alice.until("ready");
    bob.until("ready");

    network.hold_at(network.moved() + 3 * MIB as u64);
    alice.write(&format!("/send {}", path.display()));
    wait_until("three parts", || network.holds());
    let before = network.moved();
    people.server.kill_9_and_restart();
    network.open();
    alice.until("attachment g ");
    assert!(network.moved() - before < 5 * MIB as u64, "the upload began anew");
    let line = bob.until("attachment g ");
    let number = line.split(' ').nth(2).unwrap();

    let to = folder.path().join("saved");
    network.hold_at(network.moved() + 3 * MIB as u64);
    bob.write(&format!("/save {number} {}", to.display()));
    wait_until("three parts", || network.holds());
    let before = network.moved();
    people.server.kill_9_and_restart();
    network.open();
    bob.until(&format!("saved g {number} {} ", content.len()));
    assert!(network.moved() - before < 5 * MIB as u64, "the download began anew");
    assert!(std::fs::read(&to).unwrap() == content);
    assert_eq!((alice.end_now(), bob.end_now()), (DONE, DONE));
}

#[test]
fn what_is_cancelled_is_gone_here_and_at_the_service() {
    let (people, folder) = two_people(&[]);
    let path = write(&folder, "a.bin", &content(4 * MIB));
    let network = Network::new(&people.server.url());
    let mut alice = stay(&people, "alice", &network);
    alice.until("ready");
    network.hold_at(2 * MIB as u64);
    alice.write(&format!("/send {}", path.display()));
    alice.until("upload g 1 ");
    wait_until("two parts", || network.holds());
    alice.write("/cancel 1");
    alice.until("note - stopped: a.bin");
    network.open();
    let parts = people.service_data("service").join("attachments");
    wait_until("nothing is left at the service", || files(&parts).is_empty());
    assert!(under_way(&people, "alice").is_empty());
    assert_eq!(alice.end_now(), DONE);
    // It does not come back.
    assert!(!people.chat("alice", "").has("upload"));
}

/// The most anonymous memory that a process has had since this began, in bytes.
fn watch_memory(process: &Process) -> Arc<AtomicU64> {
    let peak = Arc::new(AtomicU64::new(0));
    let (status, seen) = (format!("/proc/{}/status", process.child.id()), peak.clone());
    std::thread::spawn(move || {
        while let Ok(status) = std::fs::read_to_string(&status) {
            let anonymous = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
            let kib =
                anonymous.and_then(|rest| rest.trim().strip_suffix(" kB")?.parse::<u64>().ok());
            let Some(kib) = kib else { return };
            seen.fetch_max(kib << 10, Ordering::Relaxed);
            std::thread::sleep(Duration::from_millis(5));
        }
    });
    peak
}

/// 1 GiB and ten cuts: `CONCLAVE_FILE_MIB=1024 CONCLAVE_FILE_CUTS=10 cargo test -p conclave-cli --test program files::a_large_file`.
#[test]
fn a_large_file_survives_a_network_that_is_cut_and_memory_stays_flat() {
    let length = from_environment("CONCLAVE_FILE_MIB", USUAL_MIB) as usize * MIB;
    let cuts = from_environment("CONCLAVE_FILE_CUTS", 3) as usize;
    let rates = ["--device-bytes", "1 GiB", "--user-bytes", "1 GiB", "--address-bytes", "1 GiB"];
    let (people, folder) = two_people(&rates);
    let content = content(length);
    let path = write(&folder, "large.bin", &content);
    let begun = Instant::now();

    let network = Network::new(&people.server.url());
    let mut alice = stay(&people, "alice", &network);
    let sending = watch_memory(&alice);
    alice.until("ready");
    network.cut_at((1..=cuts).map(|n| (n * length / (cuts + 1)) as u64));
    alice.write(&format!("/send {}", path.display()));
    let mut line = alice.line().unwrap();
    while !line.starts_with("attachment g ") {
        line = alice.line().unwrap();
    }
    let number = line.split(' ').nth(2).unwrap().to_string();
    assert_eq!(network.cuts_left(), 0);
    assert_eq!(alice.end_now(), DONE);
    let sent_after = begun.elapsed();

    let network = Network::new(&people.server.url());
    let mut bob = stay(&people, "bob", &network);
    let saving = watch_memory(&bob);
    bob.until("attachment g ");
    network.cut_at((1..=cuts).map(|n| (n * length / (cuts + 1)) as u64));
    let to = folder.path().join("saved");
    bob.write(&format!("/save {number} {}", to.display()));
    while !bob.line().unwrap().starts_with("saved g ") {}
    assert_eq!(network.cuts_left(), 0);
    assert_eq!(bob.end_now(), DONE);
    assert!(std::fs::read(&to).unwrap() == content);

    let [sending, saving] = [sending, saving].map(|peak| peak.load(Ordering::Relaxed));
    println!(
        "{} MiB, {cuts} cuts each way: sent after {sent_after:?}, saved after {:?}; anonymous memory {} KiB sending, {} KiB saving",
        length / MIB,
        begun.elapsed(),
        sending >> 10,
        saving >> 10,
    );
    if cfg!(target_os = "linux") {
        assert!(sending > 0 && sending < MAX_MEMORY, "{sending}");
        assert!(saving > 0 && saving < MAX_MEMORY, "{saving}");
    }
}
