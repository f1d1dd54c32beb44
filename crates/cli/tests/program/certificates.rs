//! Devices that a CA certifies: the CA's commands, the service and the messengers that trust it.

use crate::common::{CONCLAVE, Done, Process, Server, run};
use std::path::PathBuf;

/// A CA, a service that trusts it, and people with devices.
struct Company {
    folder: tempfile::TempDir,
    server: Server,
}

impl Company {
    fn new() -> Self {
        Self::with_root(&[])
    }

    fn with_root(options: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ca = folder.path().join("ca");
        let (dir, service) = (ca.to_str().unwrap(), folder.path().join("service"));
        let root = ["ca", "root", "--dir", dir, "--domain", "example.com"];
        let made = run(&strings(&[&root, options].concat()), b"");
        assert_eq!(made.code, Some(0), "{made:?}");
        let (root, list) = (ca.join("root.pem"), ca.join("crl.pem"));
        let trust = ["--trust", root.to_str().unwrap(), "--revocations", list.to_str().unwrap()];
        let server = Server::start_at(&service, "127.0.0.1:0", &trust);
        Self { folder, server }
    }

    /// The service goes on with the roots of these CAs, and with their revocation lists or without.
    fn trusting(mut self, cas: &[&str], lists: bool) -> Self {
        let join = |name: &str| -> String {
            let files = cas.iter().map(|ca| self.path(ca).join(name));
            let all: Vec<u8> = files.flat_map(|file| std::fs::read(file).unwrap()).collect();
            let joint = self.text(name);
            std::fs::write(&joint, all).unwrap();
            joint
        };
        let (trust, list) = (join("root.pem"), join("crl.pem"));
        let options = ["--trust", &trust, "--revocations", &list];
        self.server.restart_as(if lists { &options } else { &options[..2] });
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_string()
    }

    /// A command of the CA whose folder has this name.
    fn ca_of(&self, folder: &str, args: &[&str], input: &str) -> Done {
        let dir = self.text(folder);
        run(&strings(&[&["ca", "--dir", &dir], args].concat()), input.as_bytes())
    }

    fn ca(&self, args: &[&str]) -> Done {
        self.ca_of("ca", args, "")
    }

    fn request(&self, user: &str, device: &str, options: &[&str]) -> String {
        let data = self.text("users");
        let args = ["certificate", "request", user, "--device", device, "--data", &data];
        let done = run(&strings(&[&args, options].concat()), b"");
        assert_eq!(done.code, Some(0), "{done:?}");
        done.lines.join("\n") + "\n"
    }

    /// Stores a certificate that a command of the CA printed, as DEVICE.pem.
    fn keep(&self, device: &str, issued: &Done) -> String {
        assert_eq!(issued.code, Some(0), "{issued:?}");
        let file = self.text(&format!("{}.pem", device.replace('/', "-")));
        std::fs::write(&file, issued.lines.join("\n") + "\n").unwrap();
        file
    }

    /// Certifies a new device, and gives the arguments of its messenger.
    fn certified(&self, who: &str) -> Vec<String> {
        self.certified_as(who, &[], &[])
    }

    fn certified_as(&self, who: &str, asked: &[&str], issued: &[&str]) -> Vec<String> {
        let (user, device) = who.split_once('/').unwrap();
        let request = self.request(user, device, asked);
        let issued = self.ca_of("ca", &[&["issue", "-"], issued].concat(), &request);
        let file = self.keep(who, &issued);
        self.chat_with(who, &file)
    }

    fn chat_with(&self, who: &str, certificate: &str) -> Vec<String> {
        let (url, data, root) = (self.server.url(), self.text("users"), self.text("ca/root.pem"));
        let (user, device) = who.split_once('/').unwrap();
        strings(&[
            "chat",
            user,
            "--device",
            device,
            "--data",
            &data,
            "--server",
            &url,
            "--certificate",
            certificate,
            "--trust",
            &root,
        ])
    }

    fn stay(&self, args: &[String]) -> Process {
        let args: Vec<&str> = args.iter().map(String::as_str).chain(["--stay"]).collect();
        Process::start(&args)
    }
}

fn strings(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| word.to_string()).collect()
}

/// The messenger is not let in, and says why.
fn refused(args: &[String], why: &str) {
    let done = run(args, b"/new trap\n");
    assert_eq!(done.code, Some(1), "{done:?}");
    assert!(done.stderr.contains(why), "{done:?}");
    assert!(!done.has("created"), "{done:?}");
}

/// Alice and bob, with three devices in one group: alice's laptop, and bob's two.
fn three_devices(company: &Company) -> [Process; 3] {
    let laptop = company.certified("alice/laptop");
    let [main, phone] = ["bob/main", "bob/phone"].map(|who| company.certified(who));
    let [mut laptop, mut main, phone] = [laptop, main, phone].map(|args| company.stay(&args));
    laptop.until("ready alice/laptop");
    main.until("ready bob/main");
    phone.until("ready bob/phone");
    laptop.write("/new team");
    laptop.until("created team");
    laptop.write("/invite bob");
    for added in ["bob/main", "bob/phone"] {
        let line = laptop.until("added team ");
        assert!(line.contains(added) || line.contains("bob/"), "{line}");
    }
    main.until("invited ");
    main.write("/accept");
    let mut phone = phone;
    phone.until("invited ");
    phone.write("/accept");
    [laptop, main, phone]
}

#[test]
fn two_users_with_three_certified_devices_chat() {
    let company = Company::new();
    let [mut laptop, mut main, phone] = three_devices(&company);
    laptop.write("hello from the laptop");
    for other in [&main, &phone] {
        other.until("message team ").contains("hello from the laptop").then_some(()).unwrap();
    }
    main.write("hello from bob");
    assert!(laptop.until("message team ").contains("hello from the laptop"));
    assert!(laptop.until("message team ").contains("bob/main"));

    main.write("/devices");
    let listed = [main.until("certified bob/"), main.until("certified bob/")];
    assert!(listed.iter().all(|line| line.contains(" until ")), "{listed:?}");
    for (line, answer) in [
        ("/link alice-laptop-code", "error"),
        ("/revoke phone", "error devices are certified by a CA here, and the CA revokes them"),
        ("/recovery", "error devices are certified by a CA here, so there is no recovery key"),
        ("/acknowledge service", "error devices are certified by a CA here"),
    ] {
        main.write(line);
        main.until(answer);
    }
}

#[test]
fn a_certified_device_is_peeked_at_across_changes_of_its_group() {
    let company = Company::new();
    let [mut laptop, _main, mut phone] = three_devices(&company);
    phone.until("note team accepted");
    phone.kill_9();
    for line in ["soup", "/topic lunch", "pasta"] {
        laptop.write(line);
    }
    until_message(&laptop, "pasta");

    let (url, data) = (company.server.url(), company.text("users"));
    let device = ["--user", "bob", "--device", "phone", "--data", &data, "--server", &url];
    let peeked = run(&strings(&[&["peek"], &device[..]].concat()), b"");
    let texts: Vec<&str> =
        peeked.lines.iter().map(|line| line.rsplit(' ').next().unwrap()).collect();
    assert_eq!((peeked.code, texts), (Some(0), vec!["soup", "pasta"]), "{peeked:?}");
}

#[test]
fn a_revoked_device_leaves_a_running_group_and_does_not_come_back() {
    let company = Company::new();
    let [mut laptop, main, mut phone] = three_devices(&company);
    let revoked = company.ca(&["revoke", "bob/phone"]);
    assert_eq!(revoked.code, Some(0), "{revoked:?}");
    assert!(laptop.until("removed team ").contains("bob/phone"));
    assert!(main.until("removed team ").contains("bob/phone"));
    laptop.write("without the phone");
    loop {
        let line = main.until("message team ");
        if line.contains("without the phone") {
            break;
        }
    }
    // It may not have heard yet that its session is over.
    phone.end_now();
    refused(&company.chat_with("bob/phone", &company.text("bob-phone.pem")), "revoked");
    let list = company.ca(&["list"]);
    assert!(
        list.lines.iter().any(|l| l.contains("bob/phone") && l.ends_with("revoked")),
        "{list:?}"
    );
}

#[test]
fn a_certificate_that_does_not_count_lets_nobody_in_and_changes_no_group() {
    let company = Company::new();
    let alice = company.certified("alice/laptop");
    let done = run(&alice, b"/new team\n/groups\n");
    let before = done.line("group team ").unwrap().to_string();

    // Of another CA, which its owner trusts, but nobody else does.
    let made = company.ca_of("other", &["root", "--domain", "example.com"], "");
    assert_eq!(made.code, Some(0), "{made:?}");
    let request = company.request("mallory", "main", &[]);
    let file = company.keep("mallory/main", &company.ca_of("other", &["issue", "-"], &request));
    let mut args = company.chat_with("mallory/main", &file);
    refused(&args, "a certificate's signature does not verify");
    *args.last_mut().unwrap() = company.text("other/root.pem");
    refused(&args, "bad-certificate");

    // Of another device.
    let request = company.request("mallory", "other", &[]);
    let issued = company.ca_of("ca", &["issue", "-"], &request);
    let file = company.keep("mallory/other", &issued);
    refused(&company.chat_with("alice/laptop", &file), "is the certificate of mallory/other");
    refused(&company.chat_with("mallory/third", &file), "is the certificate of mallory/other");

    // Expired.
    let request = company.request("mallory", "late", &[]);
    let issued = company.ca_of("ca", &["issue", "-", "--lifetime", "1s"], &request);
    let file = company.keep("mallory/late", &issued);
    std::thread::sleep(std::time::Duration::from_secs(2));
    refused(&company.chat_with("mallory/late", &file), "expired");

    // Not certified at all, at this service; and certified, at a service with accounts.
    let mut bare = company.chat_with("mallory/bare", "");
    bare.truncate(bare.len() - 4);
    refused(&bare, "certified by a CA");
    let open = Server::start(&company.path("accounts"));
    let mut elsewhere = alice.clone();
    let at = elsewhere.iter().position(|word| word == "--server").unwrap();
    elsewhere[at + 1] = open.url();
    refused(&elsewhere, "has accounts");

    let after = run(&alice, b"/groups\n");
    assert_eq!(after.line("group team "), Some(before.as_str()));
}

#[test]
fn a_renewed_certificate_goes_on_chatting_with_the_same_key_and_with_another() {
    let company = Company::new();
    let [mut laptop, mut main, _phone] = three_devices(&company);

    let same = company.keep("bob/main", &company.ca(&["renew", "bob/main"]));
    assert_eq!(main.end_now(), Some(0));
    let mut main = company.stay(&company.chat_with("bob/main", &same));
    main.write("with a renewed certificate");
    until_message(&laptop, "with a renewed certificate");

    assert_eq!(main.end_now(), Some(0));
    let request = company.request("bob", "main", &["--new-key"]);
    let file = company.text("bob-main.csr");
    std::fs::write(&file, request).unwrap();
    let issued = company.ca(&["renew", "bob/main", "--request", &file]);
    let renewed = company.keep("bob/main", &issued);
    laptop.write("/members");
    let before = laptop.until("member team bob/main ");
    let mut main = company.stay(&company.chat_with("bob/main", &renewed));
    main.write("with another key");
    until_message(&laptop, "with another key");
    laptop.write("/members");
    let after = laptop.until("member team bob/main ");
    assert_ne!(before, after, "the verification code is that of the new key");
    laptop.write("welcome back");
    until_message(&main, "welcome back");
}

#[test]
fn a_service_that_certifies_devices_itself_adds_none_to_an_account_or_a_group() {
    let company = Company::new();
    let made = company.ca_of("rogue", &["root", "--domain", "example.com"], "");
    assert_eq!(made.code, Some(0), "{made:?}");
    let company = company.trusting(&["ca", "rogue"], true);
    let [alice, bob] = ["alice/laptop", "bob/main"].map(|who| company.certified(who));
    assert_eq!(run(&bob, b"").code, Some(0));

    // Whoever runs the service has made a device of bob, and the service takes it.
    let request = company.request("bob", "evil", &[]);
    let issued = company.ca_of("rogue", &["issue", "-"], &request);
    let file = company.keep("bob/evil", &issued);
    let mut evil = company.chat_with("bob/evil", &file);
    *evil.last_mut().unwrap() = company.text("root.pem");
    let ready = run(&evil, b"");
    assert!(ready.has("ready bob/evil"), "the service does take it: {ready:?}");

    let mut laptop = company.stay(&alice);
    laptop.write("/new team");
    laptop.write("/invite bob");
    assert!(laptop.until("added team ").contains("bob/main"));
    laptop.write("/invite bob/evil");
    laptop.until("failed team ");
    laptop.write("/members");
    let members = [laptop.until("member team "), laptop.until("member team ")];
    assert!(members.iter().all(|member| !member.contains("bob/evil")), "{members:?}");

    // Nor does alice come into a group of that device.
    let mut evil = company.stay(&evil);
    evil.write("/new trap");
    evil.until("created trap");
    evil.write("/invite alice");
    evil.until("added trap ");
    let refusal = laptop.until("failed - bob/evil's invitation");
    assert!(refusal.contains("is refused"), "{refusal}");
}

#[test]
fn a_service_that_keeps_revocation_lists_back_is_noticed() {
    let company = Company::with_root(&["--list-lifetime", "6s"]);
    let [alice, bob] = ["alice/laptop", "bob/main"].map(|who| company.certified(who));
    assert_eq!(run(&bob, b"").code, Some(0));
    let company = company.trusting(&["ca"], false);
    std::thread::sleep(std::time::Duration::from_secs(7));
    let at = alice.iter().position(|word| word == "--server").unwrap();
    let mut alice = alice;
    alice[at + 1] = company.server.url();
    let invited = run(&alice, b"/new team\n/invite bob\n");
    assert_eq!(invited.code, Some(3), "{invited:?}");
    let failed = invited.line("failed team ").unwrap();
    assert!(failed.contains("a revocation list expired"), "{failed}");

    let fresh = company.ca(&["crl"]);
    assert_eq!(fresh.code, Some(0), "{fresh:?}");
    let _company = company.trusting(&["ca"], true);
    let invited = run(&alice, b"/switch team\n/invite bob\n");
    assert!(invited.has("added team "), "{invited:?}");
}

#[test]
fn keys_and_cas_of_ml_dsa_work_in_their_suites() {
    for (ca, suite) in [("ml-dsa-65", "mldsa65"), ("ed25519", "mldsa87"), ("ml-dsa-65", "hybrid")] {
        let company = Company::with_root(&["--algorithm", ca]);
        let alice = company.certified_as("alice/laptop", &["--suite", suite], &[]);
        let bob = company.certified_as("bob/main", &["--suite", suite], &[]);
        let [mut alice, mut bob] = [alice, bob].map(|args| company.stay(&args));
        bob.until("ready bob/main");
        alice.write("/new team");
        alice.write("/invite bob");
        alice.until("added team ");
        bob.until("invited ");
        bob.write("/accept");
        bob.write("with ML-DSA");
        until_message(&alice, "with ML-DSA");
        alice.write("hello");
        until_message(&bob, "hello");
    }
}

#[test]
fn a_device_whose_certificate_expires_leaves_a_running_group() {
    let company = Company::new();
    let laptop = company.certified("alice/laptop");
    let phone = company.certified_as("bob/phone", &[], &["--lifetime", "20s"]);
    let [mut laptop, phone] = [laptop, phone].map(|args| company.stay(&args));
    phone.until("ready bob/phone");
    laptop.write("/new team");
    laptop.write("/invite bob");
    laptop.until("added team ");
    assert!(laptop.until("removed team ").contains("bob/phone"));
    let listed = company.ca(&["list"]);
    assert!(listed.lines.iter().any(|l| l.contains("bob/phone") && l.ends_with("expired")));
}

/// The blocks of commands on the page, run one after another in one folder.
#[cfg(unix)]
#[test]
fn the_commands_of_the_page_work() {
    let page = include_str!("../../../../docs/certificates.md");
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().to_str().unwrap();
    let mut server = None;
    let mut url = String::new();
    let blocks = page.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let mut commands = 0;
    for line in blocks.flat_map(str::lines) {
        commands += 1;
        if let Some(options) = line.strip_prefix("conclave serve ") {
            let options: Vec<String> = options
                .split(' ')
                .map(|word| if word.contains('/') { format!("{dir}/{word}") } else { word.into() })
                .collect();
            let options: Vec<&str> = options.iter().map(String::as_str).collect();
            let started = Server::start_at(&folder.path().join("service"), "127.0.0.1:0", &options);
            url = started.url();
            server = Some(started);
            continue;
        }
        let line = line.replace("conclave chat ", &format!("conclave chat --server {url} "));
        let binaries = std::path::Path::new(CONCLAVE).parent().unwrap().display();
        let path = format!("{binaries}:{}", std::env::var("PATH").unwrap());
        let output = std::process::Command::new("sh")
            .args(["-c", &line])
            .current_dir(dir)
            .env("PATH", path)
            .env("XDG_DATA_HOME", format!("{dir}/data"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{line}: {output:?}");
    }
    assert!(server.is_some() && commands > 10);
}

#[test]
fn a_ca_keeps_its_key_to_itself_and_makes_no_device_twice() {
    let company = Company::new();
    let again = company.ca_of("ca", &["root", "--domain", "example.com"], "");
    assert_eq!(again.code, Some(1));
    assert!(again.stderr.contains("there is a CA in"), "{again:?}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |name: &str| company.path(name).metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!([mode("ca"), mode("ca/ca.key")], [0o700, 0o600]);
    }
    let key = std::fs::read_to_string(company.path("ca/ca.key")).unwrap();
    let secret = key.lines().nth(1).unwrap();

    let request = company.request("alice", "laptop", &[]);
    let issue = |args: &[&str]| company.ca_of("ca", &[&["issue", "-"], args].concat(), &request);
    let other = issue(&["--device", "alice/phone"]);
    assert!(other.stderr.contains("the request is of alice/laptop"), "{other:?}");
    let first = issue(&["--device", "alice/laptop"]);
    let second = issue(&[]);
    assert_eq!([first.code, second.code], [Some(0), Some(1)]);
    assert!(second.stderr.contains("conclave ca renew alice/laptop"), "{second:?}");
    let outlasting = company.ca(&["renew", "alice/laptop", "--lifetime", "9999d"]);
    assert!(outlasting.stderr.contains("would outlast the CA's own"), "{outlasting:?}");
    let nobody = company.ca(&["revoke", "bob"]);
    assert!(nobody.stderr.contains("no certificate is meant"), "{nobody:?}");
    let serial = company.ca(&["list"]).lines[0].split(' ').next().unwrap().to_string();
    assert_eq!(company.ca(&["revoke", "--serial", &serial]).code, Some(0));
    assert_eq!(issue(&[]).code, Some(0), "a revoked device can be certified anew");
    for done in [&first, &second, &outlasting] {
        assert!(!done.lines.join("\n").contains(secret) && !done.stderr.contains(secret));
    }
}

fn until_message(process: &Process, text: &str) {
    loop {
        if process.until("message team ").ends_with(text) {
            return;
        }
    }
}
