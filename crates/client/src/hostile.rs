//! Content that has hurt messengers, and what this one shows of each: as a line for scripts, and for people.

use crate::lines::{Render, Shown, escaped};
use crate::telling::shown;
use conclave_content::{
    Disposition, Draft, Expiration, ExpiryPolicy, ExternalPart, MIMI_CONTENT, MessageId,
    NestedPart, Salt,
};
use conclave_delivery_api::DeviceId;
use conclave_history::{Cursor, Event, GroupId, History, nobody};
use conclave_store::{MemoryStore, Store};

const NOW: u64 = 1_800_000_000;
const ROOM: &str = "mimi://localhost/r/67";
const TIME: &str = "2027-01-15T08:00:00Z";

/// A group `g`, as alice's device has it.
struct Room {
    store: MemoryStore,
    history: History,
    last: u64,
}

fn uri(user: &str) -> String {
    format!("mimi://localhost/u/{user}")
}

impl Room {
    fn new() -> Self {
        let mut store = MemoryStore::new();
        let history = History::open(&mut store, &mut *crate::os_rng()).unwrap();
        Self { store, history, last: 0 }
    }

    /// What is shown of what somebody sends.
    fn take(&mut self, user: &str, media_type: &str, bytes: &[u8]) -> Option<Shown> {
        self.last += 1;
        let device: DeviceId = format!("{user}/pc").parse().unwrap();
        let (group, user, name) = (GroupId::from(b"g".as_slice()), uri(user), device.to_string());
        let mut recording = self.history.record(&self.store, NOW);
        let event = Event {
            group: &group,
            room: ROOM,
            me: &uri("alice"),
            number: self.last,
            time: NOW,
            user: &user,
            device: &name,
            media_type,
            bytes,
            may_replace: &nobody,
            expiry: ExpiryPolicy::Open,
        };
        let taken = recording.take(&event).unwrap();
        let set = recording.finish();
        self.store.write(&set).unwrap();
        let shown = shown("g", "alice/pc", &device, taken)?;

        // Whatever it is, it moves no terminal and passes for nothing else.
        let (line, text) = (shown.to_line(), shown.to_text());
        let is_safe = |c: char| c == '\n' || !conclave_engine::is_harmful(c);
        assert!(line.chars().all(is_safe) && text.chars().all(is_safe), "{line}\n{text}");
        assert!(text.lines().skip(1).all(|line| line.starts_with("  | ")), "{text}");
        let number = self.last.to_string();
        let of_it = |line: &str| line.split(' ').nth(2).is_some_and(|word| word == number);
        assert!(line.lines().skip(1).all(of_it), "{line}");
        Some(shown)
    }

    fn content(&mut self, bytes: &[u8]) -> String {
        self.take("bob", MIMI_CONTENT, bytes).map(|shown| shown.to_line()).unwrap_or_default()
    }

    fn draft(&self, user: &str, draft: Draft) -> (MessageId, Vec<u8>) {
        let salt = Salt(u128::from(self.last).to_be_bytes());
        let sent = draft.finish(salt, &uri(user), ROOM).unwrap();
        (sent.id, sent.bytes)
    }

    /// The line that is shown of a draft.
    fn say(&mut self, user: &str, draft: Draft) -> String {
        let (_, bytes) = self.draft(user, draft);
        self.take(user, MIMI_CONTENT, &bytes).map(|shown| shown.to_line()).unwrap_or_default()
    }

    fn text_of(&self, number: u64) -> String {
        let group = GroupId::from(b"g".as_slice());
        let entry = self.history.read(&self.store).entry(&group, number).unwrap().unwrap();
        entry.body.text().to_owned()
    }

    /// How many messages are there.
    fn count(&self) -> usize {
        let group = GroupId::from(b"g".as_slice());
        let page = self.history.read(&self.store).before(&group, Cursor::LAST, 500);
        page.unwrap().entries.len()
    }
}

/// A message up to its body, with this head.
fn up_to_body(head: u8) -> Vec<u8> {
    let salt = [&[0x50][..], &[7; 16]].concat();
    [&[head][..], &salt, &[0xf6, 0x40, 0xf6, 0xf6, 0xa0]].concat()
}

/// A part of text of less than 24 octets, with this disposition.
fn text_part(disposition: u8, text: &[u8]) -> Vec<u8> {
    let mut part = vec![0x85, disposition, 0x60, 0x01, 0x6a];
    part.extend(b"text/plain");
    part.push(0x40 + u8::try_from(text.len()).unwrap());
    part.extend(text);
    part
}

fn unshown(number: u64, bytes: &[u8], media_type: &str) -> String {
    format!("content g {number} bob/pc {TIME} {} {media_type}", bytes.len())
}

#[test]
fn parts_too_deep_or_too_many_are_content_that_cannot_be_shown() {
    let mut room = Room::new();
    let deep = [up_to_body(0x87), [0x85, 1, 0x60, 3, 2, 0x82].repeat(50_000)].concat();
    assert_eq!(room.content(&deep), unshown(1, &deep, MIMI_CONTENT));
    let mut wide = [up_to_body(0x87), vec![0x85, 1, 0x60, 3, 2, 0x99, 0x07, 0xd0]].concat();
    wide.extend([0x83, 1, 0x60, 0].repeat(2000));
    assert_eq!(room.content(&wide), unshown(2, &wide, MIMI_CONTENT));
    let many = [0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
    assert_eq!(room.content(&many), unshown(3, &many, MIMI_CONTENT));
}

#[test]
fn text_that_turns_around_or_clears_the_screen_is_shown_escaped() {
    let mut room = Room::new();
    let text = "pay \u{202e}eur 01\u{202c}\u{1b}[2J\u{1b}]0;owned\u{7}\u{2066}";
    let line = room.say("bob", Draft::plain(text));
    assert_eq!(line, format!("message g 1 bob/pc {TIME} {}", escaped(text)));
    assert!(line.contains("\\u{202e}") && line.contains("\\u{1b}[2J"), "{line}");
}

#[test]
fn a_text_with_the_line_of_another_message_stays_one_message() {
    let mut room = Room::new();
    let line = room.say("bob", Draft::plain("x\nmessage g 2 alice/pc now no\r\u{2028}y"));
    assert_eq!(line.lines().count(), 1);
    assert!(line.ends_with(" x\\nmessage g 2 alice/pc now no\\u{d}\\u{2028}y"), "{line}");
}

#[test]
fn a_text_of_a_million_letters_is_shown_and_found_by_its_beginning() {
    let mut room = Room::new();
    let text = "needle ".to_owned() + &"x".repeat(1_000_000);
    assert!(room.say("bob", Draft::plain(&text)).len() > text.len());
    let group = GroupId::from(b"g".as_slice());
    let found = room.history.read(&room.store).search(&group, "needle", Cursor::LAST, 9).unwrap();
    assert_eq!(found.entries.len(), 1);
}

#[test]
fn names_of_attachments_have_no_path_no_tricks_and_an_end() {
    let mut room = Room::new();
    let mut attach = |filename: &str| {
        let external = ExternalPart {
            filename: filename.into(),
            ..ExternalPart::plain("image/jpeg", "https://files.example/1")
        };
        let line = room.say("bob", Draft::attachment(Disposition::ATTACHMENT, external));
        line.lines().last().unwrap().splitn(6, ' ').nth(5).unwrap().to_owned()
    };
    assert_eq!(attach("../../.bashrc"), "bashrc");
    assert_eq!(attach("photo\u{202e}gpj.exe"), "photogpj.exe");
    let huge = attach(&format!("{}.exe", "é".repeat(50_000)));
    assert!(huge.len() <= 200 && huge.ends_with(".exe"), "{huge}");
}

#[test]
fn an_attachment_at_an_address_that_nobody_should_open_says_so() {
    let mut room = Room::new();
    // A part that names `javascript:`, as our own drafts refuse to.
    let mut part = vec![0x8f, 6, 0x60, 2, 0x69];
    part.extend(b"image/png");
    part.push(0x73);
    part.extend(b"javascript:alert(1)");
    part.extend([0, 0, 0, 0x40, 0x40, 0x40, 0, 0x40, 0x60, 0x60]);
    let line = room.content(&[up_to_body(0x87), part].concat());
    let end = "(it cannot be fetched: the URL is not a valid http or https URL)";
    assert!(line.ends_with(end), "{line}");
}

#[test]
fn an_answer_to_what_is_not_here_says_so() {
    let mut room = Room::new();
    let line = room.say("bob", Draft::plain("I agree").in_reply_to(MessageId([1; 32])));
    assert_eq!(line, format!("message g 1 bob/pc {TIME} I agree\nreply g 1 to -"));
}

#[test]
fn edits_and_deletions_by_others_are_named_and_change_nothing() {
    let mut room = Room::new();
    let (id, bytes) = room.draft("alice", Draft::plain("borrow a pen?"));
    room.take("alice", MIMI_CONTENT, &bytes);
    let note =
        "note g a message of bob/pc counts for nothing: it changes what somebody else has said";
    assert_eq!(room.say("bob", Draft::plain("borrow a Ferrari?").replacing(id)), note);
    assert_eq!(room.say("bob", Draft::deletion(id)), note);
    assert_eq!((room.text_of(1), room.count()), ("borrow a pen?".into(), 1));

    assert_eq!(room.say("alice", Draft::deletion(id)), "deleted g 1 alice/pc");
    let line = room.say("alice", Draft::plain("again").replacing(id));
    assert!(line.ends_with(": it changes a message that was deleted"), "{line}");
}

#[test]
fn what_expired_before_it_came_or_expires_in_ages_is_not_kept() {
    let mut room = Room::new();
    let at = |time: u64| Expiration::at(u32::try_from(time).unwrap());
    for (expires, why) in [
        (at(NOW - 1), "it had expired before it came"),
        (at(0), "it expires at a time that makes no sense"),
        (Expiration::at(u32::MAX), "it expires at a time that makes no sense"),
        (Expiration::after_reading(u32::MAX), "it expires at a time that makes no sense"),
    ] {
        let line = room.say("bob", Draft::plain("boo").expiring(expires));
        assert_eq!(line, format!("note g a message of bob/pc counts for nothing: {why}"));
    }
    assert_eq!(room.count(), 0);
}

#[test]
fn a_message_in_somebody_elses_name_or_for_another_room_is_not_shown() {
    let mut room = Room::new();
    let (_, forged) = room.draft("alice", Draft::plain("I quit"));
    let line = room.content(&forged);
    assert!(line.ends_with(": it names another sender"), "{line}");
    let elsewhere = Draft::plain("hi").finish(Salt([1; 16]), &uri("bob"), "mimi://localhost/r/00");
    let line = room.content(&elsewhere.unwrap().bytes);
    assert!(line.ends_with(": it was meant for another room"), "{line}");
    assert_eq!(room.count(), 0);
}

#[test]
fn a_message_that_is_sent_again_is_shown_once() {
    let mut room = Room::new();
    let (_, bytes) = room.draft("bob", Draft::plain("once"));
    assert!(room.content(&bytes).starts_with("message g 1 "));
    assert!(room.content(&bytes).ends_with(": it came before"));
    assert_eq!(room.count(), 1);
}

#[test]
fn a_page_of_text_is_no_reaction_and_a_hundred_symbols_are_eight() {
    let mut room = Room::new();
    let (id, bytes) = room.draft("alice", Draft::plain("hi"));
    room.take("alice", MIMI_CONTENT, &bytes);
    let page = NestedPart::single(Disposition::REACTION, "text/plain", &[b'x'; 65]);
    let line = room.say("bob", Draft::new(page).in_reply_to(id));
    assert!(line.ends_with("x\nreply g 2 to 1"), "{line}");
    for n in 0..100 {
        room.say("bob", Draft::reaction(id, &[&format!("s{n}")]).unwrap());
    }
    let group = GroupId::from(b"g".as_slice());
    let entry = room.history.read(&room.store).entry(&group, 1).unwrap().unwrap();
    assert_eq!(entry.reactions.len(), 8);
    let line = room.say("carol", Draft::reaction(id, &["\u{202e}\u{1b}"]).unwrap());
    assert_eq!(line, "reaction g 1 carol/pc \u{fffd}\u{fffd}");
}

#[test]
fn parts_that_contradict_each_other_show_what_can_be_shown() {
    let mut room = Room::new();
    // A choice between nothing and nothing.
    let nothing =
        [up_to_body(0x87), vec![0x85, 1, 0x60, 3, 0, 0x82, 0x83, 1, 0x60, 0, 0x83, 1, 0x60, 0]];
    let nothing = nothing.concat();
    assert_eq!(room.content(&nothing), unshown(1, &nothing, MIMI_CONTENT));
    // Text, beside something of a kind that nobody knows.
    let mut both = [up_to_body(0x87), vec![0x85, 1, 0x60, 3, 2, 0x82]].concat();
    both.extend(text_part(1, b"hi"));
    both.extend([0x83, 1, 0x60, 4]);
    let line = room.content(&both);
    let expected = format!(
        "message g 2 bob/pc {TIME} hi\nattachment g 2 - - 1 parts that this messenger does not show"
    );
    assert_eq!(line, expected);
    // Text that is none.
    let line = room.content(&[up_to_body(0x87), text_part(1, &[0xc3, 0x28])].concat());
    assert!(line.ends_with("- - 1 parts that this messenger does not show"), "{line}");
}

#[test]
fn what_a_later_version_says_and_reports_that_are_none_cannot_be_shown() {
    let mut room = Room::new();
    let later = [up_to_body(0x88), text_part(1, b"sell"), b"\x63not".to_vec()].concat();
    assert_eq!(room.content(&later), unshown(1, &later, MIMI_CONTENT));
    let mut report = [up_to_body(0x87), vec![0x85, 0, 0x60, 1, 0x78, 31]].concat();
    report.extend(b"application/mimi-message-status\x41\x81");
    let line = room.content(&report);
    assert_eq!(line, unshown(2, &report, "application/mimi-message-status"));
    let media_type = "image/png;x=\"message g 9\"";
    let line = room.take("bob", media_type, b"123").unwrap().to_line();
    assert_eq!(line, unshown(3, b"123", "image/png"));
    assert_eq!(room.say("bob", Draft::new(NestedPart::null(Disposition::RENDER))), "");
}

#[test]
fn what_should_be_a_profile_and_is_none_says_so_and_is_not_kept() {
    let mut room = Room::new();
    let (id, _) = room.draft("bob", Draft::plain("hi"));
    let profile = conclave_content::Profile::new(1, "Bob", None).unwrap();
    assert_eq!(room.say("bob", Draft::profile(&profile)), "");
    let line = room.say("bob", Draft::profile(&profile).replacing(id));
    assert_eq!(
        line,
        "note g a message of bob/pc counts for nothing: a profile neither edits nor answers a message"
    );
    let name = NestedPart::single(Disposition::PROFILE, "text/plain", b"Bob");
    let line = room.say("bob", Draft::new(name));
    assert!(line.ends_with(": a profile needs a version"), "{line}");
    assert_eq!(room.count(), 0);
}
