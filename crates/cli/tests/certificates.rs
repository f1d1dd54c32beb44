//! Devices that a CA certifies: the CA's commands, the service and the messengers that trust it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "the helpers of tests, too, are tests"
)]

mod common;

use common::{Done, Process, Server, run};
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
    assert_eq!(phone.end_now(), Some(1), "its session is over");
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

fn until_message(process: &Process, text: &str) {
    loop {
        if process.until("message team ").ends_with(text) {
            return;
        }
    }
}
