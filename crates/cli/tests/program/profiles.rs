//! What users say of themselves, between processes: who is told, when, and what names cannot do.

use crate::common::chats::{Chat, Dice, seed};
use crate::common::{DONE, PATIENCE, People, REFUSED};
use conclave_client::{
    Answer, Arrived, Content, EngineCommand, GroupId, Headless, News, Output, SUITES, Who, now,
};
use conclave_content::{
    Disposition, Draft, ExtensionKey, MIMI_CONTENT, NestedPart, PartSemantics, Salt,
    Value as CborValue,
};
use conclave_provider_aws_lc::AwsLc;
use conclave_store::MemoryStore;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread::sleep;
use std::time::{Duration, Instant};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\nalice from the left";

fn picture(people: &People) -> PathBuf {
    let file = people.data().join("alice.png");
    std::fs::write(&file, PNG).unwrap();
    file
}

#[test]
fn a_profile_reaches_the_other_user_the_own_devices_and_newcomers() {
    let people = People::new();
    people.chat("bob/main", "");
    let file = picture(&people);
    people.chat("carol/main", "");
    let input = format!(
        "/new lunch\n/invite bob\n/profile name Alice L.\n/profile picture {}\n/profile\nhello\n",
        file.display()
    );
    let alice = people.chat("alice/main", input);
    assert_eq!(alice.code, DONE, "{alice:?}");
    let whole = format!("image/png {} Alice L.", PNG.len());
    assert!(alice.has(&format!("profile - alice {whole}")), "{alice:?}");

    // Bob is told of the name and of the picture. That is no message: one is unread.
    let saved = people.data().join("saved.png");
    let input = format!(
        "/accept\n/unread\n/room\n/members\n/profile alice\n/profile alice save {}\n/history\n",
        saved.display()
    );
    let bob = people.chat("bob/main", input);
    assert_eq!(bob.code, DONE, "{bob:?}");
    assert!(bob.has("profile lunch alice - - Alice L."), "{bob:?}");
    assert!(bob.has(&format!("profile lunch alice {whole}")), "{bob:?}");
    assert!(bob.has("unread lunch 1 0"), "{bob:?}");
    let called = bob.lines.iter().filter(|line| *line == "called lunch alice Alice L.").count();
    assert_eq!(called, 2, "in the room and in its members: {bob:?}");
    assert!(bob.has(&format!("profile - alice {whole}")), "{bob:?}");
    assert_eq!(std::fs::read(&saved).unwrap(), PNG);
    assert!(bob.has("history message lunch ") && !bob.has("content "), "{bob:?}");
    // No file is overwritten.
    let again = people.chat("bob/main", format!("/profile alice save {}\n", saved.display()));
    assert_eq!(again.code, REFUSED, "{again:?}");

    // It is alice's, not her device's: a new one has it, and gives her another name everywhere.
    people.link_into(1, "alice/phone", "alice/main");
    let phone = people.chat("alice/phone", "/profile\n/profile name Al\n");
    assert!(phone.has(&format!("profile - alice {whole}")), "{phone:?}");
    let whole = format!("image/png {} Al", PNG.len());
    let main = people.chat("alice/main", "/profile\n");
    assert!(main.has(&format!("profile lunch alice {whole}")), "{main:?}");
    assert!(main.has(&format!("profile - alice {whole}")), "{main:?}");
    assert!(people.chat("bob/main", "").has(&format!("profile lunch alice {whole}")));

    // A newcomer is told before the next thing that she says.
    people.chat("alice/main", "/invite carol\n");
    let carol = people.chat("carol/main", "/accept\n/profile alice\n");
    assert!(carol.says("error ", "nothing is known here of what alice says of themselves"));
    people.chat("alice/main", "welcome\n");
    let carol = people.chat("carol/main", "");
    let place = |begin: &str| carol.lines.iter().position(|line| line.starts_with(begin));
    let profile = place(&format!("profile lunch alice {whole}"));
    assert!(profile.is_some() && profile < place("message lunch "), "{carol:?}");
    // Once is enough.
    people.chat("alice/main", "and now\n");
    assert!(!people.chat("carol/main", "").has("profile "));

    // What is taken back is gone for everybody.
    people.chat("alice/main", "/profile remove\n");
    for who in ["bob/main", "carol/main", "alice/phone"] {
        let done = people.chat(who, "/profile alice\n/room\n");
        assert!(done.lines.iter().any(|line| line == "profile lunch alice - -"), "{done:?}");
        assert!(done.has("error ") && !done.has("called "), "{done:?}");
    }
    // Whoever leaves is forgotten.
    people.chat("bob/main", "/profile name Bob\n");
    assert!(people.chat("carol/main", "/profile bob\n").has("profile - bob - - Bob"));
    people.chat("carol/main", "/leave\n");
    people.chat("alice/main", "");
    assert!(people.chat("carol/main", "/profile bob\n").has("error "));
}

#[test]
fn a_room_that_waits_for_an_answer_hears_nothing_of_the_user() {
    let people = People::new();
    people.chat("bob/main", "/profile name Bob\n");
    people.chat("mallory/main", "/new trap\n/invite bob\n");
    people.chat("bob/main", "/profile name Bobby\n");
    let mallory = people.chat("mallory/main", "/profile bob\n");
    assert!(mallory.has("error ") && !mallory.has("profile trap"), "{mallory:?}");
    // When it is accepted, it hears it without a word of his.
    people.chat("bob/main", "/accept\n");
    assert!(people.chat("mallory/main", "").has("profile trap bob - - Bobby"));
}

#[test]
fn a_display_name_passes_for_nobody() {
    let people = People::new();
    people.chat("bob/main", "");
    people.chat("carol/main", "");
    people.chat("mallory/main", "/new lunch\n/invite bob carol\n");
    people.chat("bob/main", "/accept\n");
    people.chat("carol/main", "/accept\n");
    for (name, why) in [
        ("a\u{202e}b", "invisible"),
        ("b\u{200b}ob", "invisible"),
        ("x” (you): “", "double quotation marks"),
        (&"x".repeat(65), "at most 64 characters"),
    ] {
        let refused = people.chat("mallory/main", format!("/profile name {name}\n"));
        assert_eq!(refused.code, REFUSED, "{name}");
        assert!(refused.line("error ").unwrap().contains(why), "{name}: {refused:?}");
    }
    // Another user's name can be had, and stands beside whose it is.
    for name in ["bob", "bob/main", "profile lunch bob"] {
        people.chat("mallory/main", format!("/profile name {name}\nI am {name}\n"));
        let carol = people.chat("carol/main", "/room\n/profile bob\n");
        assert!(carol.has(&format!("profile lunch mallory - - {name}")), "{carol:?}");
        assert!(carol.has(&format!("called lunch mallory {name}")), "{carol:?}");
        assert!(carol.line("message lunch ").unwrap().contains(" mallory/main "), "{carol:?}");
        assert!(carol.says("error ", "nothing is known here of what bob says of themselves"));
    }
}

#[test]
fn a_messenger_that_is_killed_tells_all_rooms_what_its_user_has_set() {
    let people = People::new();
    people.chat("bob/main", "");
    people.chat("alice/main", "/new one\n/invite bob\n/new two\n/invite bob\n");
    people.chat("bob/main", "/accept one\n/accept two\n");
    let data = people.data();
    let mut alice = Chat::start("alice", &people.server, &data);
    let mut dice = Dice(seed(5));
    for n in 1..=6 {
        alice.process.write(&format!("/profile name Alice {n}"));
        sleep(Duration::from_micros(dice.below(60_000)));
        alice.kill_9_and_restart();
    }
    alice.process.write("/profile name Alice the last");
    alice.until("profile - alice - - Alice the last");
    alice.kill_9_and_restart();
    alice.sent_all();

    let end = Instant::now() + PATIENCE;
    let bob = loop {
        let bob = people.chat("bob/main", "/profile alice\n");
        if bob.has("profile - alice - - Alice the last") || Instant::now() > end {
            break bob;
        }
        alice.sent_all();
    };
    assert!(bob.has("profile - alice - - Alice the last"), "{bob:?}");
}

/// A client of mallory's that sends what ours refuses to make.
struct Modified {
    device: Headless<MemoryStore>,
    inbox: Receiver<Arrived>,
}

impl Modified {
    fn start(people: &People) -> Self {
        let provider = Arc::new(AwsLc::new().with_suites(SUITES));
        let (store, folder) = (MemoryStore::new(), people.data());
        let (to, inbox) = channel::<Arrived>();
        let (id, url) = ("mallory/main".parse().unwrap(), people.server.url());
        Self { device: Headless::open(id, provider, store, &url, folder, to).unwrap(), inbox }
    }

    /// Takes what the engine says until there is this among it.
    fn until(&mut self, wanted: impl Fn(&Output) -> bool) {
        loop {
            self.device.advance().unwrap();
            let outputs = self.device.outputs();
            self.device.engine().acknowledge(&outputs).unwrap();
            if outputs.iter().any(&wanted) {
                return;
            }
            self.device.wait(&self.inbox).unwrap();
        }
    }

    fn until_news(&mut self, wanted: impl Fn(&News) -> bool) {
        self.until(|output| matches!(output, Output::News { news, .. } if wanted(news)));
    }

    /// Sends a profile with this name.
    fn send(&mut self, group: &GroupId, name: &str, version: u8) {
        let room = self.device.engine().room_uri(group).unwrap();
        let sender = format!("{}/u/mallory", room.split("/r/").next().unwrap());
        let name = NestedPart::single(Disposition::PROFILE, "text/plain", name.as_bytes());
        let parts = vec![name, NestedPart::null(Disposition::ICON)];
        let body = NestedPart {
            disposition: Disposition::PROFILE,
            ..NestedPart::multi(PartSemantics::ProcessAll, parts)
        };
        let key = ExtensionKey::Text("conclave.profile".into());
        let draft = Draft::new(body).extension(key, CborValue::unsigned(version.into()));
        let sent = draft.finish(Salt([version; 16]), &sender, &room).unwrap();
        let content = Content::new(MIMI_CONTENT, sent.bytes).unwrap();
        self.device.engine().send(now(), group, vec![content]).unwrap();
        self.until_news(|news| matches!(news, News::Message { own: true, .. }));
    }
}

#[test]
fn what_a_modified_client_calls_itself_moves_no_line() {
    let people = People::new();
    people.chat("bob/main", "");
    let mut mallory = Modified::start(&people);
    mallory.until(|output| matches!(output, Output::Answer(Answer::Ready { .. })));
    let create = EngineCommand::New { name: "lunch".into(), suite: None };
    let group = mallory.device.engine().command(now(), create).unwrap().unwrap();
    mallory.until_news(|news| matches!(news, News::Created { .. }));
    let who = vec![Who { user: "bob".parse().unwrap(), device: None }];
    let invite = EngineCommand::Invite { group: group.clone(), who };
    mallory.device.engine().command(now(), invite).unwrap();
    mallory.until_news(|news| matches!(news, News::Added { .. }));

    let tower = format!("Z{}", "\u{335}\u{30d}".repeat(30));
    for (version, (name, shown)) in (1..).zip([
        ("x\nmessage lunch 9 bob/main now no", Some("x message lunch 9 bob/main now no")),
        ("\u{202e}bob\u{1b}[2J\u{7}", Some("bob[2J")),
        ("b\u{200b}o\u{200d}b\u{2066}”", Some("bob'")),
        (&tower, Some("Z\u{335}\u{30d}\u{335}")),
        (&"x".repeat(65), None),
    ]) {
        mallory.send(&group, name, version);
        let bob = people.chat("bob/main", "/accept\n/room\n");
        match shown {
            Some(shown) => {
                let line = format!("profile lunch mallory - - {shown}");
                assert!(bob.lines.contains(&line), "{line}: {bob:?}");
                assert!(bob.lines.contains(&format!("called lunch mallory {shown}")), "{bob:?}");
            }
            None => {
                let why = "counts for nothing: a display name has at most 64 characters";
                assert!(bob.says("note lunch a message of mallory/main ", why), "{bob:?}");
            }
        }
        assert!(!bob.has("message ") && !bob.has("content "), "{bob:?}");
    }
}
