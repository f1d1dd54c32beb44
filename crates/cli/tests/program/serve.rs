//! `conclave serve` as an operator runs it: settings, TLS, health, metrics, logs, and stopping.

use crate::common::{CONCLAVE, Done, PATIENCE, Process, get, run, signal};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// A running service with its standard error in a file.
struct Service {
    process: Process,
    url: String,
    stderr: std::path::PathBuf,
}

impl Service {
    fn start(folder: &Path, args: &[&str]) -> Self {
        let stderr = folder.join("stderr");
        let data = folder.join("service");
        let mut all = vec!["serve", "--listen", "127.0.0.1:0", "--data", data.to_str().unwrap()];
        all.extend(args);
        let process = Process::start_with_stderr(&all, std::fs::File::create(&stderr).unwrap());
        let first = process.line().unwrap();
        let url = first.strip_prefix("listening on ").unwrap().to_string();
        Self { process, url, stderr }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(&self.stderr).unwrap()
    }

    /// Where its metrics are, as its log says.
    fn metrics(&self) -> String {
        let begun = Instant::now();
        loop {
            let log = self.log();
            if let Some((_, rest)) = log.split_once("info metrics what=http://") {
                return rest.split_once("/metrics").unwrap().0.to_string();
            }
            assert!(begun.elapsed() < PATIENCE, "{log}");
        }
    }
}

fn chat(folder: &Path, url: &str, who: &str, more: &[&str], input: &str) -> Done {
    let data = folder.join("users");
    let mut args = vec!["chat", who, "--server", url, "--data", data.to_str().unwrap()];
    args.extend(more);
    run(&args, input.as_bytes())
}

#[test]
fn settings_are_checked_and_what_is_wrong_ends_the_command() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("conclave.toml");
    let path = file.to_str().unwrap();
    std::fs::write(&file, "listen = \"127.0.0.1:0\"\npublish-every = \"5 s\"\n").unwrap();
    let output = Command::new(CONCLAVE)
        .args(["serve", "--check", "--devices", "7", "--config", path])
        .env("CONCLAVE_SESSIONS", "9")
        .output()
        .unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success());
    for line in [
        "devices = 7  # from: --devices",
        "sessions = 9  # from: CONCLAVE_SESSIONS",
        "groups = 10000  # from: default",
    ] {
        assert!(shown.contains(&format!("\n{line}\n")), "{line}: {shown}");
    }
    assert!(shown.contains(&format!("publish-every = \"5 s\"  # from: {path}:2\n")), "{shown}");

    for (text, said) in [
        ("\nlisten = \"0.0.0.0:80\"\n", "there is no TLS: set tls-certificate and tls-key"),
        ("\nsesions = 4\n", "conclave.toml:2: there is no setting \"sesions\""),
        ("x = [\n", "conclave.toml:"),
    ] {
        std::fs::write(&file, text).unwrap();
        for check in [true, false] {
            let args: &[&str] = &["serve", "--config", path, "--check"];
            let done = run(if check { args } else { &args[..3] }, b"");
            assert_eq!(done.code, Some(1), "{text}");
            assert!(done.stderr.contains(said), "{text}: {}", done.stderr);
        }
    }
}

#[test]
fn a_messenger_that_is_too_old_is_told_to_update_and_ends() {
    let dir = tempfile::tempdir().unwrap();
    let run_with = |minimum: &str| {
        let service = Service::start(dir.path(), &["--minimum-clients", minimum]);
        chat(dir.path(), &service.url, "alice", &[], "/new dinner\nsoup?\n")
    };
    let refused = run_with("other/1.0.0,conclave/99.0.0");
    assert_eq!(refused.code, Some(1), "{refused:?}");
    let told = format!(
        "conclave/{} is too old for this service, which serves conclave/99.0.0 and later: update it",
        env!("CARGO_PKG_VERSION")
    );
    assert!(refused.stderr.contains(&told), "{refused:?}");

    let served = run_with("other/1.0.0,conclave/0.0.1");
    assert_eq!(served.code, Some(0), "{served:?}");
}

#[test]
fn people_talk_over_tls() {
    let dir = tempfile::tempdir().unwrap();
    let mut params = CertificateParams::new([]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["127.0.0.1".to_string()]).unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap();
    let file = |name: &str, text: String| {
        std::fs::write(dir.path().join(name), text).unwrap();
        dir.path().join(name).to_str().unwrap().to_string()
    };
    let root = file("root.pem", issuer.pem());
    let (certificate, key) =
        (file("tls.pem", certificate.pem()), file("tls.key", key.serialize_pem()));
    let service =
        Service::start(dir.path(), &["--tls-certificate", &certificate, "--tls-key", &key]);
    assert!(service.url.starts_with("https://127.0.0.1:"), "{}", service.url);

    let trusting = ["--tls-root", root.as_str()];
    let done = chat(dir.path(), &service.url, "alice", &trusting, "/new dinner\nhello\n");
    assert_eq!(done.code, Some(0), "{done:?}");
    let ready = run(&["health", &service.url, "--tls-root", &root], b"");
    assert_eq!((ready.code, ready.lines), (Some(0), vec!["ready".to_string()]));
    let audit = dir.path().join("audit");
    let audit =
        ["audit", &service.url, "--once", "--tls-root", &root, "--data", audit.to_str().unwrap()];
    assert_eq!(run(&audit, b"").code, Some(0));

    let untrusting = run(&["health", &service.url], b"");
    assert_eq!(untrusting.code, Some(1));
    assert!(untrusting.stderr.contains("certificate"), "{}", untrusting.stderr);
}

#[test]
fn health_metrics_and_logs_tell_what_happens_and_name_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let options = ["--metrics", "127.0.0.1:0", "--log-level", "debug"];
    let mut service = Service::start(dir.path(), &options);
    let done = chat(dir.path(), &service.url, "alice", &[], "/new dinner\na secret\n");
    assert_eq!(done.code, Some(0), "{done:?}");

    let metrics = service.metrics();
    for address in [metrics.as_str(), service.url.strip_prefix("http://").unwrap()] {
        assert!(get(address, "/health/live").starts_with("HTTP/1.1 200 "));
        assert!(get(address, "/health/ready").starts_with("HTTP/1.1 200 "));
    }
    assert!(
        get(service.url.strip_prefix("http://").unwrap(), "/metrics").starts_with("HTTP/1.1 404 ")
    );
    let page = get(&metrics, "/metrics");
    for line in [
        "conclave_requests_total{call=\"send-message\",outcome=\"ok\"} 1\n",
        "conclave_requests_total{call=\"create-group\",outcome=\"ok\"} 1\n",
        "conclave_request_seconds_count{call=\"send-message\"} 1\n",
        "conclave_sessions 1\n",
        "conclave_ready 1\n",
        "# TYPE conclave_request_seconds histogram\n",
    ] {
        assert!(page.contains(line), "{line}: {page}");
    }
    let count = page.split_once("\nconclave_writer_batch_count ").unwrap().1;
    assert!(count.split_once('\n').unwrap().0.parse::<u64>().unwrap() > 0, "{page}");
    for name in [
        "writer_waiting",
        "connections",
        "event_streams",
        "held_memory_bytes",
        "publish_age_seconds",
        "sent_bytes_total",
    ] {
        assert!(page.contains(&format!("\nconclave_{name} ")), "{name}: {page}");
    }
    let answer = get(service.url.strip_prefix("http://").unwrap(), "/v1/events");
    let (_, id) = answer.split_once("x-conclave-request: ").unwrap();
    let id = id.split_once("\r\n").unwrap().0;
    assert_eq!(service.process.terminate(), 0);

    let log = service.log();
    let line = log.lines().find(|line| line.contains(&format!(" id={id} "))).unwrap();
    assert!(line.contains("call=events status=401 code=unauthorized"), "{line}");
    assert!(log.contains("call=send-message status=200 ms="), "{log}");
    for secret in ["alice", "dinner", "secret"] {
        assert!(!log.contains(secret) && !page.contains(secret), "{secret}: {log}");
    }

    let service =
        Service::start(dir.path(), &["--log", "json", "--log-level", "debug", "--log-names"]);
    chat(dir.path(), &service.url, "alice", &[], "again\n");
    let log = service.log();
    assert!(
        log.lines().all(|line| line.starts_with("{\"time\":\"20") && line.ends_with('}')),
        "{log}"
    );
    assert!(log.contains("\"device\":\"alice/main\""), "{log}");
}

#[test]
fn a_service_whose_bucket_does_not_answer_serves_messages() {
    let dir = tempfile::tempdir().unwrap();
    let serve = || {
        let mut command = Command::new(CONCLAVE);
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(dir.path().join("service"));
        // Nobody listens there.
        command.args(["--attachments-bucket", "http://127.0.0.1:1/files"]);
        command.env_remove("AWS_ACCESS_KEY_ID");
        command
    };
    let refused = serve().output().unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.contains("attachments-bucket needs the variable AWS_ACCESS_KEY_ID"), "{said}");
    assert_eq!(refused.status.code(), Some(1));

    let stderr = dir.path().join("stderr");
    let mut command = serve();
    command.env("AWS_ACCESS_KEY_ID", "id").env("AWS_SECRET_ACCESS_KEY", "between us");
    command.stderr(std::fs::File::create(&stderr).unwrap());
    let process = Process::of("service".into(), command);
    let url = process.until("listening on ").split_off("listening on ".len());
    assert_eq!(run(&["health", &url], b"").code, Some(0));
    let why = "attachments cannot be kept yet: http://127.0.0.1:1 does not answer";
    let begun = Instant::now();
    let said = loop {
        let said = std::fs::read_to_string(&stderr).unwrap();
        if said.contains(why) || begun.elapsed() > PATIENCE {
            break said;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    assert!(said.contains(why) && !said.contains("between us"), "{said}");
    let talk = chat(dir.path(), &url, "alice", &[], "/new dinner\nsoup\n");
    assert!(talk.says("message dinner 1 alice/main", " soup"), "{talk:?}");
}

#[test]
fn a_service_whose_database_is_gone_is_not_ready() {
    let dir = tempfile::tempdir().unwrap();
    let service = Service::start(dir.path(), &[]);
    assert_eq!(run(&["health", &service.url], b"").code, Some(0));
    std::fs::remove_file(dir.path().join("service/delivery.db")).unwrap();
    let begun = Instant::now();
    loop {
        let health = run(&["health", &service.url], b"");
        if health.code == Some(1) && health.stderr.contains("delivery.db") {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "{health:?}");
        std::thread::sleep(Duration::from_millis(200));
    }
    assert!(service.log().contains("warn health what=\"the storage fails"), "{}", service.log());
}

/// A request whose body does not come to its end.
fn half_a_request(url: &str) -> TcpStream {
    let mut stream = TcpStream::connect(url.strip_prefix("http://").unwrap()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = "POST /v1/submit-account HTTP/1.1\r\nhost: x\r\ncontent-length: 8\r\n\r\nhalf";
    stream.write_all(head.as_bytes()).unwrap();
    // The server takes it up.
    std::thread::sleep(Duration::from_millis(300));
    stream
}

#[test]
fn a_stop_is_announced_and_finishes_what_is_in_work() {
    let dir = tempfile::tempdir().unwrap();
    let options = ["--metrics", "127.0.0.1:0", "--stop-delay", "2 s"];
    let mut service = Service::start(dir.path(), &options);
    let metrics = service.metrics();
    let mut request = half_a_request(&service.url);
    signal(&service.process.child, "-TERM");
    let begun = Instant::now();
    loop {
        let answer = get(&metrics, "/health/ready");
        if answer.starts_with("HTTP/1.1 503 ") && answer.ends_with("the service is stopping\n") {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "{answer}");
    }
    // It is served all the same, and so is what comes later.
    assert!(run(&["health", &service.url], b"").stderr.contains("the service is stopping"));
    std::thread::sleep(Duration::from_secs(3));
    request.write_all(b"rest").unwrap();
    let mut reply = String::new();
    request.read_to_string(&mut reply).unwrap();
    assert!(reply.starts_with("HTTP/1.1 400 ") && reply.contains("malformed"), "{reply}");
    assert_eq!(service.process.child.wait().unwrap().code(), Some(0));
}

#[test]
fn requests_that_do_not_end_are_told_by_the_exit_code_and_a_second_signal_ends_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut service = Service::start(dir.path(), &["--grace", "1 s"]);
    let request = half_a_request(&service.url);
    assert_eq!(service.process.terminate(), 1);
    assert!(service.log().contains("requests that were in work for more than 1 s"));
    drop(request);

    let mut service = Service::start(dir.path(), &["--grace", "1 h"]);
    let request = half_a_request(&service.url);
    signal(&service.process.child, "-TERM");
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(service.process.terminate(), 128 + 15);
    drop(request);

    // Nobody waits for those who have not said what they want.
    let mut service = Service::start(dir.path(), &["--grace", "1 h"]);
    let mut silent = TcpStream::connect(service.url.strip_prefix("http://").unwrap()).unwrap();
    silent.write_all(b"POST /v1/sub").unwrap();
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(service.process.terminate(), 0);
}
