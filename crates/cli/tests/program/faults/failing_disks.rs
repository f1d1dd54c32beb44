//! One thing after another on a disk that fails: what is refused, what goes on, what is said, and that it comes back.

use super::devices::{Device, group_of, private};
use super::disk::{Failing, IO_ERROR, NO_SPACE};
use super::service::Service;
use crate::common::{CONCLAVE, PATIENCE, get, run};
use conclave_delivery::storage::{SqliteStorage, Storage};
use conclave_delivery_api::*;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Waits until something is so.
fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn metric(metrics: &str, name: &str) -> f64 {
    let page = get(metrics, "/metrics");
    let found = page.split_once(&format!("\nconclave_{name} "));
    let value = found.and_then(|(_, rest)| rest.lines().next());
    value.unwrap_or_else(|| panic!("{name}: {page}")).parse().unwrap()
}

fn failed(metrics: &str) -> f64 {
    metric(metrics, "writer_failed_total")
}

/// Waits until a service that cannot write says so, and has counted more failures than before.
fn wait_until_unready(metrics: &str, why: &str, failed_before: f64) {
    wait_for(&format!("it does not say that it is not ready: {why}"), || {
        let ready = get(metrics, "/health/ready");
        ready.starts_with("HTTP/1.1 503 ") && ready.contains(why)
    });
    assert!(get(metrics, "/health/live").starts_with("HTTP/1.1 200 "));
    assert_eq!(metric(metrics, "ready"), 0.0);
    assert!(failed(metrics) > failed_before);
}

fn wait_until_ready(metrics: &str) {
    wait_for("it is not ready again", || metric(metrics, "ready") == 1.0);
}

fn group() -> GroupId {
    GroupId::from([7; 16])
}

fn message(text: &str) -> SendMessage {
    SendMessage { message: private(&group(), 1, ContentType::Application, text.as_bytes()) }
}

fn seq(outcome: Outcome) -> u64 {
    let Outcome::Accepted { receipt, .. } = outcome else { panic!("{outcome:?}") };
    receipt.position.seq
}

/// How many entries a group's log has for a device that has just sent nothing.
fn length(device: &Device) -> usize {
    device.whole_log(&group()).len()
}

fn upload(device: &Device, content: &[u8]) -> Result<Upload, String> {
    let hash: Bytes = sha256(content).to_vec().into();
    let begin = BeginUpload { hash: hash.clone(), size: content.len() as u64 };
    let Upload { received, .. } = device.call(&begin).map_err(|e| e.to_string())?;
    let content = content[received as usize..].to_vec().into();
    device.call(&UploadPart { hash, offset: received, content }).map_err(|e| e.to_string())
}

#[test]
fn a_service_whose_disk_fails_refuses_reads_on_and_comes_back() {
    let service = Service::start(1);
    let Some(disk) = &service.disk else { return };
    let alice = Device::register(&service.url(), "alice");
    group_of(std::slice::from_ref(&alice), &group());
    let full = "the disk is full";
    let faults = [
        (Failing::Write(NO_SPACE), full),
        (Failing::Write(IO_ERROR), "I/O error"),
        (Failing::HalfWrites(NO_SPACE), full),
        (Failing::Flush, "I/O error"),
    ];
    for (failing, why) in faults {
        let known = length(&alice);
        let text = format!("{failing:?}");
        let content = text.repeat(5000).into_bytes();
        let failed_before = failed(service.metrics());

        disk.fail(failing);
        let error = alice.call(&message(&text)).unwrap_err();
        assert_eq!(error.code(), Some(ErrorCode::Unavailable), "{failing:?}: {error}");
        assert!(error.to_string().contains(why), "{failing:?}: {error}");
        assert_eq!(length(&alice), known, "{failing:?}: what was refused is read");
        let error = upload(&alice, &content).unwrap_err();
        assert!(error.contains("unavailable"), "{failing:?}: {error}");
        let (_, guest) = Device::new(&service.url(), &format!("guest-{known}"));
        assert!(alice.ask(&guest).is_err(), "{failing:?}");
        wait_until_unready(service.metrics(), why, failed_before);

        disk.mend();
        // The same bytes again: whatever became of them, they are in the log once.
        let first = seq(alice.call(&message(&text)).unwrap());
        assert_eq!(seq(alice.call(&message(&text)).unwrap()), first, "{failing:?}");
        assert_eq!(length(&alice), known + 1, "{failing:?}");
        let uploaded = upload(&alice, &content).unwrap();
        assert_eq!(uploaded.received, content.len() as u64, "{failing:?}");
        alice.ask(&guest).unwrap();
        wait_until_ready(service.metrics());
    }
    // What was accepted is published.
    wait_for("what has changed is not published", || {
        metric(service.metrics(), "publish_age_seconds") < 2.0
    });
    // What was refused has left nothing behind.
    service.check_state();
}

#[test]
fn a_service_that_finds_its_disk_full_says_so_and_starts_later() {
    let mut service = Service::start(1);
    if service.disk.is_none() {
        return;
    }
    let alice = Device::register(&service.url(), "alice");
    group_of(std::slice::from_ref(&alice), &group());
    let sent = seq(alice.call(&message("before")).unwrap());
    service.kill_9();

    service.disk.as_ref().unwrap().fail(Failing::Write(NO_SPACE));
    let output = service.command(None).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).to_string();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("free room where the state is"), "{said}");

    service.disk.as_ref().unwrap().mend();
    service.recover();
    assert_eq!(length(&alice) as u64, sent);
    service.check_state();
}

/// What was flushed is gone only if a disk breaks its word, and then nobody can get it back. What is left has to be a
/// state that the service was in.
#[test]
fn a_wal_without_its_end_is_an_earlier_state_and_not_another() {
    let mut service = Service::start(1);
    let alice = Device::register(&service.url(), "alice");
    group_of(std::slice::from_ref(&alice), &group());
    for n in 0..100 {
        alice.call(&message(&n.to_string())).unwrap();
    }
    let whole = alice.whole_log(&group());
    service.kill_9();

    let wal = std::fs::read(service.data().join("delivery.db-wal")).unwrap();
    let mut lengths = std::collections::BTreeSet::new();
    for part in 0..24 {
        let copy = tempfile::tempdir().unwrap();
        let database = service.data().join("delivery.db");
        std::fs::copy(database, copy.path().join("delivery.db")).unwrap();
        // The database of a new service is in its WAL as a whole: its first part is left.
        let at = wal.len() / 2 + wal.len() * part / 48;
        let mut end = wal.clone();
        match part % 2 {
            0 => end.truncate(at),
            _ => end[at] ^= 0x40,
        }
        std::fs::write(copy.path().join("delivery.db-wal"), end).unwrap();

        let checked = run(&["admin", "check", "--data", copy.path().to_str().unwrap()], b"");
        assert!(checked.has("all is well"), "{checked:?}");
        let storage = SqliteStorage::open(copy.path()).unwrap();
        let log = storage.log(&group(), 0, u64::MAX, 1000, usize::MAX).unwrap();
        assert_eq!(log, whole[..log.len()], "cut at {at}");
        lengths.insert(log.len());
    }
    assert!(lengths.len() > 10, "{lengths:?}");
    assert!(*lengths.last().unwrap() < whole.len(), "nothing was lost");
}

/// A service whose state is on a file system of its own, in a mount namespace of its own.
struct Mounted {
    child: Child,
    url: String,
    /// The state's folder, as this process sees it.
    data: String,
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// None, with a word on it, where the system lets nobody mount.
fn mounted(folder: &std::path::Path, megabytes: u32, metrics: &str) -> Option<Mounted> {
    let data = folder.join("data");
    std::fs::create_dir(&data).unwrap();
    let script = format!("mount -t tmpfs -o size={megabytes}m none \"$0\" && exec \"$@\"");
    let shell = ["-rm", "sh", "-c", &script, data.to_str().unwrap(), CONCLAVE];
    let serve = ["serve", "--listen", "127.0.0.1:0", "--metrics", metrics, "--data"];
    let mut child = Command::new("unshare")
        .args(shell)
        .args(serve)
        .arg(&data)
        .args(super::service::unlimited())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .ok()?;
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    let Some(url) = line.trim().strip_prefix("listening on ") else {
        println!("NOT TESTED: a file system that is full. It takes `unshare -rm` and `mount`");
        let _ = child.wait();
        return None;
    };
    std::thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
    let data = format!("/proc/{}/root{}", child.id(), data.display());
    Some(Mounted { url: url.to_string(), child, data })
}

#[test]
fn a_full_file_system_stops_writers_alone_until_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let metrics = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let metrics = metrics.to_string();
    let Some(service) = mounted(folder.path(), 16, &metrics) else { return };
    let alice = Device::register(&service.url, "alice");
    group_of(std::slice::from_ref(&alice), &group());

    // Somebody else's file takes all that is left.
    let ballast = format!("{}/ballast", service.data);
    let mut file = std::fs::File::create(&ballast).unwrap();
    while file.write_all(&[0; 4096]).is_ok() {}
    let long = "x".repeat(5000);
    let mut sent = 1;
    let refused = loop {
        match alice.call(&message(&format!("{sent} {long}"))) {
            Ok(outcome) => sent = seq(outcome),
            Err(e) => break e,
        }
        assert!(sent < 5000, "the disk is not full");
    };
    assert_eq!(refused.code(), Some(ErrorCode::Unavailable), "{refused}");
    assert!(refused.to_string().contains("the disk is full"), "{refused}");
    wait_until_unready(&metrics, "the disk is full", 0.0);
    assert_eq!(length(&alice) as u64, sent, "what is read while the disk is full");

    drop(file);
    std::fs::remove_file(ballast).unwrap();
    assert_eq!(seq(alice.call(&message("there is room")).unwrap()), sent + 1);
    wait_until_ready(&metrics);
    assert_eq!(length(&alice) as u64, sent + 1);
}
