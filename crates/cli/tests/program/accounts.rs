//! Whose device it is: strangers and thieves, linking and revoking, who may register, a service that forgets or lies.

use crate::common::{CONCLAVE, Done, PATIENCE, People, Process, copy_folder, run};
use conclave_account::{Account, Author, Change, DeviceKey, Entry};
use conclave_client::{Name, SUITES, os_rng};
use conclave_delivery::http_client::{Client, Session};
use conclave_delivery_api::{
    CallError, CountKeyPackages, DescribeService, Encode, ErrorCode, FetchAccount, FetchInbox,
    OpenSession, SESSION_SCHEME, SubmitAccount,
};
use conclave_mls::UnixTime;
use conclave_mls::crypto::{CryptoProvider, SignatureKeyPair, SignatureScheme};
use conclave_provider_aws_lc::AwsLc;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

const ED25519: SignatureScheme = SignatureScheme::Ed25519;

fn provider() -> Arc<AwsLc> {
    Arc::new(AwsLc::new().with_suites(SUITES))
}

fn now() -> UnixTime {
    UnixTime::try_from(SystemTime::now()).unwrap()
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn key_pair() -> SignatureKeyPair {
    provider().signature_key_pair(ED25519, &mut *os_rng()).unwrap()
}

/// Asks for a session of a device with a key, which need not be the device's.
fn open_session(
    url: &str,
    user: &str,
    device: &str,
    key: &SignatureKeyPair,
) -> Result<Session, CallError> {
    let (client, provider, session_key) = (Client::new(url), provider(), key_pair());
    let service = client.call(&DescribeService {}).unwrap();
    let request = OpenSession::signed(
        &*provider,
        &service.key,
        (name(user), Author::Device(name(device))),
        (ED25519, key),
        session_key.public.clone(),
        now(),
    );
    assert_eq!(ED25519, SESSION_SCHEME);
    let opened = client.call(&request.unwrap())?;
    Ok(Session::new(provider, session_key, opened.token))
}

/// Somebody with an account who speaks to the service without a messenger.
struct Party {
    key: SignatureKeyPair,
    session: Session,
    client: Client,
}

impl Party {
    fn new(url: &str, user: &str) -> Self {
        let (provider, key) = (provider(), key_pair());
        let device = DeviceKey::proved(&*provider, &name(user), name("main"), ED25519, &key);
        let entry =
            Account::draft_creation(&*provider, &name(user), device.unwrap(), &key, now()).unwrap();
        submit(url, user, &entry).unwrap();
        let session = open_session(url, user, "main", &key).unwrap();
        let client = Client::new(url).with_session(session.clone());
        Self { key, session, client }
    }

    /// What the service says of somebody.
    fn account(&self, user: &str) -> Account {
        let page = self.client.call(&FetchAccount { user: name(user), after: 0 }).unwrap();
        let entries = page.entries.iter().map(|bytes| Entry::from_bytes(bytes).unwrap());
        Account::from_entries(&*provider(), &entries.collect::<Vec<_>>()).unwrap()
    }
}

fn submit(url: &str, user: &str, entry: &Entry) -> Result<u64, CallError> {
    let entries = vec![entry.to_bytes().unwrap().into()];
    let request = SubmitAccount { user: name(user), entries, invitation: None };
    Client::new(url).call(&request).map(|head| head.length)
}

/// Which refusal it is, and what it says.
#[track_caller]
fn refused<T>(result: Result<T, CallError>, code: ErrorCode, why: &str) {
    match result {
        Err(CallError::Refused { code: found, detail, .. }) => {
            assert_eq!(found, code, "{detail}");
            assert!(detail.contains(why), "{detail}");
        }
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it is not refused"),
    }
}

/// The lines that begin like this.
fn lines<'a>(done: &'a Done, begin: &str) -> Vec<&'a str> {
    done.lines.iter().filter(|line| line.starts_with(begin)).map(String::as_str).collect()
}

/// What alice sees of her groups and of her account.
fn alices(people: &People) -> Vec<String> {
    let done = people.chat("alice/main", "/groups\n/members\n/devices\n");
    let kept = |line: &&String| {
        ["group ", "epoch ", "member ", "device "].iter().any(|begin| line.starts_with(begin))
    };
    done.lines.iter().filter(kept).cloned().collect()
}

/// Alice with two devices, and a group of hers.
fn alice_with_a_phone() -> People {
    let people = People::new();
    people.chat("alice/main", "/new own\n");
    people.link("alice/phone", "alice/main");
    people
}

#[test]
fn a_stranger_who_starts_a_device_of_alice_gets_a_code_and_nothing_else() {
    let people = alice_with_a_phone();
    let before = alices(&people);
    let stranger = people.chat_elsewhere("stranger", "alice/x", "/new trap\nhello\n/quit\n");
    assert_eq!(lines(&stranger, "link alice/x ").len(), 1, "{stranger:?}");
    assert_eq!(lines(&stranger, "error this device waits until another one").len(), 2);
    assert!(!stranger.has("ready") && !stranger.has("created"), "{stranger:?}");
    assert_eq!(stranger.code, Some(3), "it was refused");
    let patient = people.chat_elsewhere("stranger", "alice/x", "/quit\n");
    assert_eq!(patient.code, Some(4), "it is not done");
    assert!(patient.stderr.contains("not done yet"), "{patient:?}");

    assert_eq!(alices(&people), before);
}

#[test]
fn a_strangers_entries_and_sessions_are_refused_with_the_reason() {
    let people = alice_with_a_phone();
    let before = alices(&people);
    let url = people.server.url();
    let mallory = Party::new(&url, "mallory");
    let account = mallory.account("alice");
    let (provider, own) = (provider(), key_pair());

    // By an entry that claims to be one of alice's devices'.
    for author in ["main", "phone"] {
        let device = DeviceKey::proved(&*provider, &name("alice"), name("x"), ED25519, &own);
        let change = Change::AddDevice(device.unwrap());
        let author = Author::Device(name(author));
        let entry = account.draft(&*provider, author, &own, change, now()).unwrap();
        refused(submit(&url, "alice", &entry), ErrorCode::BadEntry, "signature");
    }
    // By a log of her own under that name.
    let device = DeviceKey::proved(&*provider, &name("alice"), name("x"), ED25519, &own).unwrap();
    let other = Account::draft_creation(&*provider, &name("alice"), device, &own, now()).unwrap();
    refused(submit(&url, "alice", &other), ErrorCode::AccountForked, "two logs");

    // By sessions.
    let session = |device, key| open_session(&url, "alice", device, key);
    refused(session("main", &own), ErrorCode::BadProof, "another key for alice/main");
    refused(session("main", &mallory.key), ErrorCode::BadProof, "another key for alice/main");
    refused(session("x", &own), ErrorCode::UnknownDevice, "a device of alice has to add it");
    assert_eq!(alices(&people), before);
}

#[test]
fn a_session_token_alone_is_worth_nothing() {
    let people = People::new();
    let url = people.server.url();
    let alice = Party::new(&url, "alice");
    let token = alice.session.token().clone();
    let thief = Session::new(provider(), key_pair(), token);
    let thief = Client::new(&url).with_session(thief);
    for _ in 0..2 {
        let why = "a token alone is not enough";
        refused(thief.call(&FetchInbox { limit: 1 }), ErrorCode::BadProof, why);
        refused(thief.call(&CountKeyPackages {}), ErrorCode::BadProof, why);
        let fetch = FetchAccount { user: name("alice"), after: 0 };
        refused(thief.call(&fetch), ErrorCode::BadProof, why);
        alice.client.call(&FetchInbox { limit: 1 }).unwrap();
    }
}

#[test]
fn a_revoked_devices_stolen_state_is_worth_nothing() {
    let people = alice_with_a_phone();
    people.chat("bob/main", "");
    let bob = people.stay("bob/main");
    bob.until("ready");
    people.chat("alice/main", "/invite bob\n");
    bob.until("joined own");
    // A group that alice's other device is not in.
    let mut bob = bob;
    for line in ["/accept own", "/new far", "/invite alice/phone"] {
        bob.write(line);
    }
    bob.until("added far");
    assert!(people.chat("alice/phone", "").has("joined far"));
    let stolen = people.service_data("thief").join("alice/phone");
    copy_folder(&people.data().join("alice/phone"), &stolen);

    let began = Instant::now();
    let revoked = people.chat("alice/main", "/revoke phone\n/devices\n");
    assert_eq!(revoked.code, Some(0), "{revoked:?}");
    assert!(revoked.has("device alice/main") && !revoked.has("device alice/phone"), "{revoked:?}");
    assert!(revoked.says("removed own ", " alice/phone by alice/main"), "{revoked:?}");
    let told = [bob.until("removed "), bob.until("removed ")];
    assert!(told.iter().any(|l| l.starts_with("removed own ") && l.ends_with("by alice/main")));
    assert!(told.iter().any(|l| l.starts_with("removed far ") && l.ends_with("by bob/main")));
    assert!(began.elapsed() < Duration::from_secs(25), "{:?}", began.elapsed());

    for folder in ["thief", "users"] {
        let thief = people.chat_elsewhere(folder, "alice/phone", "/new trap\nhello\n");
        assert_eq!(thief.code, Some(1), "{thief:?}");
        assert!(thief.stderr.contains("alice/phone was revoked"), "{thief:?}");
        assert!(!thief.has("message") && !thief.has("created"), "{thief:?}");
    }
}

#[test]
fn a_running_device_that_is_revoked_ends_and_says_why() {
    let people = alice_with_a_phone();
    let phone = people.stay("alice/phone");
    phone.until("ready");
    people.chat("alice/main", "/revoke phone\n");
    let mut phone = phone;
    while phone.line().is_some() {}
    assert_eq!(phone.child.wait().unwrap().code(), Some(1));
}

#[test]
fn a_change_of_the_account_that_cannot_be_done_is_said_not_to_be() {
    let people = alice_with_a_phone();
    for (command, why) in [
        ("/revoke main", "error this is the device that you are using"),
        ("/revoke nosuch", "error you have no device nosuch"),
        ("/acknowledge bob", "error there is nothing to acknowledge of bob"),
        ("/devices bob", "error no account of bob is known here"),
    ] {
        let done = people.chat("alice/main", format!("{command}\n"));
        assert!(done.has(why) && done.code == Some(3), "{done:?}");
    }
    assert!(people.chat("alice/main", "/devices\n").has("device alice/phone"));
}

#[test]
fn a_revocation_that_finds_no_service_is_done_when_there_is_one() {
    let mut people = alice_with_a_phone();
    people.server.process.kill_9();
    let done = people.chat("alice/main", "/revoke phone\n/quit\n");
    assert_eq!(done.code, Some(4), "{done:?}");
    assert!(done.stderr.contains("kept for the next time: 1 of what you wanted"), "{done:?}");
    people.restart_service_with("service");
    let done = people.chat("alice/main", "");
    assert!(done.has("note - alice/phone was revoked by alice/main"), "{done:?}");
    assert_eq!(lines(&people.chat("alice/main", "/devices\n"), "device ").len(), 1);
    let phone = people.chat("alice/phone", "");
    assert!(phone.stderr.contains("(revoked)"), "{phone:?}");
}

#[test]
fn a_code_admits_the_device_that_shows_it_to_its_user_once() {
    let people = People::new();
    people.chat("alice/main", "");
    people.chat("carol/main", "/new hers\n");
    let (phone, code) = people.waiting_device("alice/phone");
    // One letter of the secret, or of what binds it to the offer, is another.
    let other = |at: usize| {
        let old = code.as_bytes()[at];
        let new = if old == b'7' { "8" } else { "7" };
        format!("{}{new}{}", &code[..at], &code[at + 1..])
    };
    for (who, code, why) in [
        ("alice/main", other(0), "no device waits with this code"),
        ("alice/main", other(code.len() - 1), "the code is mistyped"),
        ("alice/main", code[1..].to_string(), "a code has 32 letters and digits"),
        ("carol/main", code.clone(), "this code is for a device of alice"),
    ] {
        let done = people.chat(who, format!("/link {code}\n/devices\n"));
        assert!(done.line("error ").unwrap().contains(why), "{done:?}");
        assert_eq!((done.code, lines(&done, "device ").len()), (Some(3), 1), "{done:?}");
    }

    // As people type it.
    let typed = code.to_uppercase().replace('-', " ");
    assert_eq!(people.chat("alice/main", format!("/link {typed}\n")).code, Some(0));
    phone.until("ready alice/phone");
    let log =
        |people: &People| lines(&people.chat("alice/main", "/devices\n"), "device ").join("\n");
    let before = log(&people);
    let again = people.chat("alice/main", format!("/link {code}\n"));
    assert!(again.has("note - alice/phone (") && !again.has("admitting"), "{again:?}");
    assert_eq!(again.code, Some(0));
    assert_eq!(log(&people), before);

    people.chat("alice/main", "/revoke phone\n");
    let again = people.chat("alice/main", format!("/link {code}\n"));
    assert!(again.line("error ").unwrap().contains("has or had this key"), "{again:?}");
    assert_eq!(again.code, Some(3));
    assert_eq!(lines(&people.chat("alice/main", "/devices\n"), "device ").len(), 1);
}

/// The epoch of the current group.
fn epoch(people: &People, who: &str) -> u64 {
    let done = people.chat(who, "/members\n");
    done.line("epoch ").unwrap().split(' ').nth(2).unwrap().parse().unwrap()
}

#[test]
fn a_linked_device_is_in_every_group_by_one_commit_each() {
    let people = People::new();
    people.chat("alice/main", "/new own\n");
    people.chat("bob/main", "/new his\n/invite alice\n");
    people.chat("alice/main", "/accept his\n");
    let before = (epoch(&people, "alice/main"), epoch(&people, "bob/main"));
    people.link_into(2, "alice/phone", "alice/main");
    let bob = people.chat("bob/main", "soup?\n");
    assert!(bob.says("added his ", &format!(" alice/phone by alice/main {}", short(&bob))));
    assert_eq!(epoch(&people, "bob/main"), before.1 + 1);
    assert_eq!(epoch(&people, "alice/main"), before.0 + 1);

    let phone = people.chat("alice/phone", "/switch own\nhello\n/groups\n");
    assert_eq!(lines(&phone, "joined ").len() + lines(&phone, "invited ").len(), 0);
    assert_eq!(phone.texts("his"), ["soup?"]);
    assert_eq!(lines(&phone, "group ").len(), 2, "{phone:?}");
    assert_eq!(people.chat("alice/main", "").texts("own"), ["hello"]);
}

/// The code at the end of the line that tells of alice's phone.
fn short(done: &Done) -> String {
    let line = done.lines.iter().find(|line| line.contains(" alice/phone by ")).unwrap();
    line.rsplit_once("alice/main ").unwrap().1.to_string()
}

/// Kills one of the two at different moments after `/link`. What was under way goes on, or is begun again with the
/// code that is shown then.
#[test]
fn linking_outlives_the_death_of_either_device() {
    let people = People::new();
    people.chat("alice/main", "/new own\n");
    let moments = [0, 5, 15, 40, 200, 1_000];
    for (i, after) in moments.into_iter().enumerate() {
        for phone_dies in [true, false] {
            let id = format!("alice/{}{i}", if phone_dies { "phone" } else { "tablet" });
            let (mut phone, code) = people.waiting_device(&id);
            let mut main = people.stay("alice/main");
            main.until("ready");
            main.write(&format!("/link {code}"));
            std::thread::sleep(Duration::from_millis(after));
            if phone_dies {
                phone.kill_9()
            } else {
                main.kill_9()
            }
            if phone_dies {
                let args = people.args(&id);
                phone = Process::start(&args.iter().map(String::as_str).collect::<Vec<_>>());
            } else {
                main = people.stay("alice/main");
                main.write(&format!("/link {code}"));
            }
            // Ready, or with another code.
            loop {
                let line = phone.line().unwrap();
                if let Some(code) = line.strip_prefix(&format!("link {id} ")) {
                    main.write(&format!("/link {code}"));
                }
                if line.starts_with("joined own ") {
                    break;
                }
            }
            assert_eq!(main.end_now(), Some(0));
            assert_eq!(phone.end(), Some(0));
            let members = people.chat("alice/main", "/members\n");
            assert!(members.has(&format!("member own {id} ")), "{after} {id}: {members:?}");
        }
    }
}

#[test]
fn new_users_come_as_the_service_says_and_devices_come_all_the_same() {
    let mut people = People::new();
    people.chat("alice/main", "");
    let closed = people.server.restart_as(&["--registration", "closed"]);
    assert_eq!(closed, "no new accounts");
    let bob = people.chat("bob/main", "/quit\n");
    assert!(bob.code == Some(1) && bob.stderr.contains("takes no new users"), "{bob:?}");
    assert!(!bob.stderr.contains("--invitation"), "it would not help: {bob:?}");
    people.link("alice/phone", "alice/main");

    let by_invitation = people.server.restart_as(&["--registration", "invitation"]);
    assert!(by_invitation.contains("conclave admin invite"), "{by_invitation}");
    let bob = people.chat("bob/main", "");
    assert!(bob.code == Some(1) && bob.stderr.contains("--invitation CODE"), "{bob:?}");
    let data = people.service_data("service");
    let invited = run(&["admin", "invite", "--data", data.to_str().unwrap()], b"");
    assert_eq!((invited.code, invited.lines.len()), (Some(0), 1), "{invited:?}");
    let with = |user: &str, invitation: &str| {
        let mut args = people.args(user);
        args.extend(["--invitation".into(), invitation.into()]);
        run(&args, b"")
    };
    let code = &invited.lines[0];
    let wrong =
        format!("{}{}", &code[..code.len() - 1], if code.ends_with('0') { '1' } else { '0' });
    let done = with("bob", &wrong);
    assert!(done.code == Some(1) && done.stderr.contains("no invitation to this"), "{done:?}");
    assert_eq!(with("bob", "abc").code, Some(2));
    assert_eq!(with("bob", code).code, Some(0));
    assert_eq!(with("bob", code).code, Some(0), "he is in, and it does no harm");
    let done = with("carol", code);
    assert!(done.code == Some(1) && done.stderr.contains("used before"), "{done:?}");
    people.link("alice/pad", "alice/main");
}

#[test]
fn a_service_beyond_this_machine_takes_new_users_by_invitation() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("service");
    for (listen, says) in
        [("0.0.0.0:0", "new users need an invitation"), ("[::1]:0", "anybody may")]
    {
        let args =
            ["serve", "--allow-plain-http", "--listen", listen, "--data", data.to_str().unwrap()];
        Process::start(&args).until(says);
    }
}

/// What the service has forgotten, its users' devices tell it again, and go on.
#[test]
fn devices_go_on_after_the_service_forgot_them() {
    for backup in [false, true] {
        let mut people = People::new();
        if backup {
            people.chat("alice/main", "");
            people.server.process.kill_9();
            copy_folder(&people.service_data("service"), &people.service_data("later"));
            people.restart_service_with("service");
        }
        people.chat("alice/main", "/new old\n");
        people.link("alice/phone", "alice/main");
        let mut bob = people.stay("bob/main");
        bob.until("ready");
        people.chat("alice/main", "/invite bob\n");
        bob.until("joined old");
        bob.write("/accept");
        bob.until("note old");
        let (mut main, mut phone) = (people.stay("alice/main"), people.stay("alice/phone"));
        phone.until("ready");
        main.until("ready");

        people.restart_service_with("later");
        main.write("/new new");
        main.until("created new");
        // They come back when they notice, not all at once.
        let end = Instant::now() + PATIENCE;
        let all = || main_members(&mut main, "new");
        retry(end, all);
        bob.until("joined new");
        phone.until("joined new");
        phone.write("/switch new");
        phone.write("hello");
        assert!(bob.until("message new ").ends_with(" hello"));
        for process in [&mut main, &mut phone, &mut bob] {
            process.write("/help");
            loop {
                let line = process.line().unwrap();
                let about_service = line.ends_with("/acknowledge service ends this warning");
                assert!(about_service || !line.starts_with("alarm"), "{line}");
                if line.starts_with("help") {
                    break;
                }
            }
        }
    }
}

fn retry(end: Instant, mut done: impl FnMut() -> bool) {
    while !done() {
        assert!(Instant::now() < end, "nobody comes back");
        std::thread::sleep(Duration::from_millis(500));
    }
}

/// Invites bob and the own phone; whether all three devices are in.
fn main_members(main: &mut Process, group: &str) -> bool {
    main.write("/invite bob alice");
    std::thread::sleep(Duration::from_millis(1_000));
    main.write("/members");
    main.write("/help");
    let mut members = 0;
    loop {
        let line = main.line().unwrap();
        members += usize::from(line.starts_with(&format!("member {group} ")));
        if line.starts_with("help") {
            return members == 3;
        }
    }
}

/// A service whose word on alice is another one than before: somebody else's account under her name.
#[test]
fn another_account_under_a_known_name_is_not_believed_before_it_is_acknowledged() {
    let mut people = People::new();
    people.chat("bob/main", "");
    people.chat("alice/main", "/new lunch\n/invite bob\n");
    assert!(people.chat("bob/main", "/accept\n").has("joined lunch"));
    people.restart_service_with("other");
    people.chat("bob/main", "");
    assert_eq!(
        people.chat_elsewhere("evil", "alice/main", "/new trap\n/invite bob\n").code,
        Some(0)
    );

    let bob = people.chat("bob/main", "/new dinner\n/invite alice\n/members\n");
    let alarm = bob.line("alarm - ").unwrap();
    assert!(alarm.contains("of alice") && alarm.contains("/acknowledge alice"), "{bob:?}");
    assert!(!bob.has("joined") && !bob.has("added"), "{bob:?}");
    assert_eq!(lines(&bob, "member dinner ").len(), 1);
    assert_eq!(bob.code, Some(3), "alice is not invited");
    // Alice herself is told that she is not alice there.
    let alice = people.chat("alice/main", "/quit\n");
    assert_eq!(alice.code, Some(1));
    assert!(alice.stderr.contains("Nothing more is sent to this service"), "{alice:?}");

    let bob = people.chat("bob/main", "/invite alice\n");
    assert!(!bob.has("added"), "{bob:?}");
    let bob = people.chat("bob/main", "/acknowledge alice\n/invite alice\n");
    assert!(bob.has("note - alice is taken for who the service says"), "{bob:?}");
    assert!(bob.says("added dinner ", "") && bob.code == Some(0), "{bob:?}");
    let refused = people.chat("bob/main", "/acknowledge alice\n");
    assert!(refused.has("error there is nothing to acknowledge"), "{refused:?}");
}

#[test]
fn help_lists_what_accounts_brought() {
    let people = People::new();
    let help = people.chat("alice/main", "/help\n");
    let help = help.line("help ").unwrap();
    for command in ["/link CODE", "/devices [USER]", "/revoke DEVICE", "/acknowledge USER"] {
        assert!(help.contains(command), "{help}");
    }
    let chat = run(&["chat", "--help"], b"").lines.join("\n");
    for event in ["link USER/DEVICE CODE", "admitting", "device USER/DEVICE", "alarm"] {
        assert!(chat.contains(event), "{chat}");
    }
    let all = std::process::Command::new(CONCLAVE).args(["serve", "--help"]).output().unwrap();
    assert!(String::from_utf8_lossy(&all.stdout).contains("conclave admin invite"));
}
