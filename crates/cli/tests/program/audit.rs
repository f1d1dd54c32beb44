//! An auditor of services that are honest, restarted, set back, and forked.

use crate::common::{Done, Process, copy_folder, run, wait_for_root};
use conclave_delivery_api::{
    ChainHash, Encode, GroupId, Incarnation, LogEvidence, LogPosition, Receipt, SESSION_SCHEME,
    to_hex,
};
use conclave_mls::UnixTime;
use conclave_mls::crypto::{CryptoProvider, Secret, SignatureKeyPair};
use conclave_provider_aws_lc::AwsLc;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};

/// A service that publishes every second, its users and its auditor.
struct Audited {
    folder: tempfile::TempDir,
    service: Process,
    /// Where it listens, also when it is started again.
    address: String,
}

fn serve(data: &Path, listen: &str) -> (Process, String) {
    let data = data.to_str().unwrap();
    let args = ["serve", "--listen", listen, "--data", data, "--publish-every", "1"];
    let process = Process::start(&args);
    let first = process.line().unwrap();
    let address = first.strip_prefix("listening on http://").unwrap().to_string();
    (process, address)
}

impl Audited {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (service, address) = serve(&folder.path().join("service"), "127.0.0.1:0");
        Self { folder, service, address }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The service dies; another process takes its place with the data of this name.
    fn restart_with(&mut self, data: &str) {
        self.service.kill_9();
        (self.service, _) = serve(&self.path(data), &self.address);
    }

    /// Somebody creates an account, which is published as this root.
    fn register(&self, user: &str, root: u64) {
        let (url, users) = (self.url(), self.path("users"));
        run(&["chat", user, "--server", &url, "--data", users.to_str().unwrap()], b"");
        wait_for_root(&url, root);
    }

    fn args(&self) -> Vec<String> {
        let data = self.path("audit").to_str().unwrap().to_string();
        ["audit", &self.url(), "--data", &data].map(str::to_string).to_vec()
    }

    /// Audits all that there is.
    fn audit(&self) -> Done {
        let mut args = self.args();
        args.push("--once".into());
        run(&args, b"")
    }

    /// The numbers of the roots that an audit has checked.
    fn roots(done: &Done) -> Vec<u64> {
        let number = |line: &String| line.strip_prefix("root ")?.split(' ').next()?.parse().ok();
        done.lines.iter().filter_map(number).collect()
    }
}

#[test]
fn an_honest_service_is_followed_over_restarts_of_both_sides() {
    let mut world = Audited::new();
    world.register("alice", 1);
    let first = world.audit();
    assert_eq!(first.code, Some(0), "{first:?}");
    assert!(first.has("key ed25519 "), "{first:?}");
    assert_eq!(Audited::roots(&first), [0, 1]);

    world.restart_with("service");
    world.register("bob", 2);
    let second = world.audit();
    assert_eq!((second.code, Audited::roots(&second)), (Some(0), vec![2]), "{second:?}");
    assert!(!second.has("key "), "it is known: {second:?}");
    let third = world.audit();
    assert_eq!((third.code, third.lines.len()), (Some(0), 0), "nothing is new: {third:?}");

    // One that stays is told of roots as they come, and outlives the service's absence.
    let mut args = world.args();
    args.extend(["--every".into(), "1".into()]);
    let auditor = Process::start(&args.iter().map(String::as_str).collect::<Vec<_>>());
    world.register("carol", 3);
    auditor.until("root 3 ");
    world.restart_with("service");
    world.register("dave", 4);
    auditor.until("root 4 ");

    let in_use = world.audit();
    assert_eq!(in_use.code, Some(1));
    assert!(in_use.stderr.contains("in use by another audit"), "{in_use:?}");
}

#[test]
fn an_auditor_says_plainly_that_it_cannot_reach_the_service() {
    let mut world = Audited::new();
    world.service.kill_9();
    let done = world.audit();
    assert_eq!(done.code, Some(1));
    assert!(done.stderr.contains("does not answer"), "{done:?}");
}

#[test]
fn a_service_that_shows_another_directory_is_convicted() {
    let mut world = Audited::new();
    world.register("alice", 1);
    world.service.kill_9();
    copy_folder(&world.path("service"), &world.path("copy"));
    world.restart_with("service");
    world.register("bob", 2);
    assert_eq!(world.audit().code, Some(0));

    // Fewer roots than before are no proof.
    world.restart_with("copy");
    let set_back = world.audit();
    assert_eq!(set_back.code, Some(4), "{set_back:?}");
    assert!(set_back.stderr.contains("number 1 as its newest, and it has shown number 2"));
    assert!(!world.path("audit/evidence-1.bin").exists());

    // Another root in the place of one that was seen is.
    world.register("carol", 2);
    let lied = world.audit();
    assert_eq!(lied.code, Some(3), "{lied:?}");
    assert!(lied.stderr.contains("two different directories"), "{lied:?}");
    assert_eq!(lied.stderr.matches("Directory number 2, signed ").count(), 2, "{lied:?}");
    let file = world.path("audit/evidence-1.bin");
    let file = file.to_str().unwrap();
    assert!(lied.stderr.contains(file), "{lied:?}");

    // Also when the audit was away for longer, and the same once more.
    world.register("dave", 3);
    assert_eq!(world.audit().code, Some(3));
    assert!(!world.path("audit/evidence-2.bin").exists(), "the same is kept twice");

    let url = world.url();
    let checked = run(&["audit", "--evidence", file, &url], b"");
    assert_eq!(checked.code, Some(0), "{checked:?}");
    assert!(checked.has("The service signed two different directories"), "{checked:?}");
    assert!(checked.says("The service at http://", " has this key."), "{checked:?}");

    // Neither the service nor the auditor is needed; but nothing may be changed.
    world.service.kill_9();
    assert_eq!(run(&["audit", "--evidence", file], b"").code, Some(0));
    let mut bytes = std::fs::read(file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    let forged = world.path("forged.bin");
    std::fs::write(&forged, bytes).unwrap();
    let refused = run(&["audit", "--evidence", forged.to_str().unwrap()], b"");
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("this proves nothing"), "{refused:?}");
}

#[test]
fn a_service_that_was_set_up_anew_is_not_taken_for_the_one_before() {
    let mut world = Audited::new();
    assert_eq!(world.audit().code, Some(0));
    world.restart_with("another");
    let done = world.audit();
    assert_eq!(done.code, Some(4), "{done:?}");
    assert!(done.stderr.contains("was set up anew"), "{done:?}");

    let data = world.path("fresh");
    let fresh = run(&["audit", &world.url(), "--once", "--data", data.to_str().unwrap()], b"");
    assert_eq!(fresh.code, Some(0), "{fresh:?}");
}

/// What stands before a service, and passes on all but questions for proofs. Its address.
fn without_proofs(service: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                reader.read_line(&mut head).unwrap();
            }
            let length = head.lines().find_map(|line| {
                line.to_lowercase().strip_prefix("content-length: ")?.parse().ok()
            });
            let mut body = vec![0; length.unwrap_or(0)];
            reader.read_exact(&mut body).unwrap();

            if head.contains("/fetch-extension") {
                let refusal = "HTTP/1.1 413 Too Large\r\nx-conclave-error: too-large\r\n\
                               content-length: 0\r\nconnection: close\r\n\r\n";
                stream.write_all(refusal.as_bytes()).unwrap();
                continue;
            }
            let head = head.replacen("\r\n", "\r\nconnection: close\r\n", 1);
            let mut on = TcpStream::connect(&service).unwrap();
            on.write_all(&[head.as_bytes(), &body].concat()).unwrap();
            std::io::copy(&mut on, &mut stream).unwrap();
        }
    });
    format!("http://{address}")
}

#[test]
fn a_proof_that_the_service_withholds_is_told_and_is_no_evidence() {
    let world = Audited::new();
    world.register("alice", 1);
    let data = world.path("audit");
    let url = without_proofs(world.address.clone());
    let done = run(&["audit", &url, "--once", "--data", data.to_str().unwrap()], b"");
    assert_eq!((done.code, Audited::roots(&done)), (Some(4), vec![0]), "{done:?}");
    let what = "does not prove that its directory number 1 holds what number 0 held";
    assert!(done.stderr.contains(what), "{done:?}");
    assert!(!world.path("audit/evidence-1.bin").exists());
}

#[cfg(unix)]
#[test]
fn an_auditors_state_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;

    let world = Audited::new();
    world.audit();
    let mode = |path: PathBuf| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(world.path("audit")), 0o700);
    let files: Vec<_> = std::fs::read_dir(world.path("audit")).unwrap().collect();
    assert_eq!(files.len(), 2, "something is left over: {files:?}");
    for file in files {
        let file = file.unwrap().path();
        assert_eq!(mode(file.clone()), 0o600, "{}", file.display());
    }
}

#[test]
fn receipts_that_cannot_both_be_true_convict_a_service() {
    let provider = AwsLc::new();
    let pair = |seed| {
        let private = Secret::copy_from(&[seed; 32]);
        let public = provider.signature_public_key(SESSION_SCHEME, &private).unwrap();
        SignatureKeyPair::new(private, public)
    };
    let (service, other) = (pair(1), pair(2));
    let receipt = |number, chain| {
        let (now, incarnation) =
            (UnixTime::from_secs(1_700_000_000).unwrap(), Incarnation { id: [1; 16], number });
        let position = LogPosition { seq: 4, epoch: 2, chain: ChainHash([chain; 32]) };
        let place = (GroupId::from([7; 16]), position);
        Receipt::signed(&provider, &service, incarnation, place, now).unwrap()
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("evidence");
    let check = |key: &SignatureKeyPair, second: Receipt| {
        let evidence = LogEvidence {
            service_key: key.public.clone(),
            first: receipt(1, 8),
            second,
            before: ChainHash::EMPTY,
            links: Vec::new(),
        };
        std::fs::write(&file, evidence.to_bytes().unwrap()).unwrap();
        run(&["audit", "--evidence", file.to_str().unwrap()], b"")
    };

    let done = check(&service, receipt(1, 9));
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let text = done.lines.join("\n");
    for part in ["07".repeat(16), "08".repeat(32), "09".repeat(32), to_hex(&service.public)] {
        assert!(text.contains(&part), "{text}");
    }
    // Restored between them, the same, and of another key.
    for (key, second) in
        [(&service, receipt(2, 9)), (&service, receipt(1, 8)), (&other, receipt(1, 9))]
    {
        let done = check(key, second);
        assert_eq!(done.code, Some(1), "{:?}", done.lines);
        assert!(done.stderr.contains("this proves nothing"), "{}", done.stderr);
    }
}
