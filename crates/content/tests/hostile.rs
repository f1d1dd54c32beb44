//! Contents that have hurt messengers, crafted byte by byte where no honest encoder makes them, and what each shows.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;
mod room;

use common::{encoded, head};
use conclave_content::{
    Arrival, ContentError, Disposition, Draft, Expiration, ExternalFault, ExternalPart, Fault,
    Ignored, Limit, Limits, Meaning, MessageId, MessageStatusReport, MimiContent, NestedPart, Part,
    PartSemantics, ReferenceState, Unknown, interpret, markdown, safe, text_rank,
};
use room::{ALICE, BOB, NOW, ROOM, Room, body_text, salt};

/// The bytes of a message with this body, in diagnostic notation.
fn with_body(body: &str) -> Vec<u8> {
    encoded(&format!("[h'{}', null, h'', null, null, {{}}, {body}]", "07".repeat(16)))
}

/// The same, up to its body: the beginning of what no notation says.
fn up_to_body() -> Vec<u8> {
    let mut bytes = with_body("0");
    bytes.pop();
    bytes
}

fn decode(bytes: &[u8]) -> Result<MimiContent, ContentError> {
    MimiContent::decode(bytes, &Limits::default())
}

#[track_caller]
fn refused(bytes: &[u8], fault: Fault) {
    assert_eq!(decode(bytes).map_err(|error| error.fault), Err(fault));
}

/// What a message of Alice's with this body means.
#[track_caller]
fn meaning<R>(body: &str, judge: impl FnOnce(Meaning<'_>) -> R) -> R {
    let content = decode(&with_body(body)).unwrap();
    let id = MessageId([1; 32]);
    let arrival = Arrival { id, sender: ALICE, room: ROOM, accepted_at: NOW };
    judge(interpret(&content, &arrival, &(), &text_rank))
}

#[test]
fn parts_nested_a_hundred_thousand_deep_are_refused_at_the_fifth() {
    let level = [0x85, 0x01, 0x60, 0x03, 0x02, 0x82];
    let bytes = [up_to_body(), level.repeat(100_000)].concat();
    refused(&bytes, Fault::OverLimit(Limit::Depth));
}

#[test]
fn arrays_nested_900_000_deep_in_an_extension_are_refused() {
    let head = encoded(&format!("[h'{}', null, h'', null, null]", "07".repeat(16)));
    let deep = |inner: u8| [&[0x87][..], &head[1..], &[0xa1, 0x0a], &vec![inner; 900_000]].concat();
    for inner in [0x81, 0xc1] {
        refused(&deep(inner), Fault::OverLimit(Limit::ItemDepth));
    }
    // A map's first key is the next map.
    refused(&deep(0xa1), Fault::MapKey);
}

#[test]
fn arrays_nested_in_fields_of_a_later_version_are_refused() {
    let mut bytes = with_body("[1, \"\", 0]");
    bytes[0] = 0x88;
    bytes.extend([0x81].repeat(900_000));
    refused(&bytes, Fault::OverLimit(Limit::ItemDepth));
}

#[test]
fn counts_without_bytes_behind_them_reserve_nothing() {
    let huge = head(4, u64::MAX);
    refused(&huge, Fault::Truncated);
    refused(&[up_to_body(), vec![0x85, 0x01, 0x60, 0x03, 0x02], huge].concat(), Fault::Truncated);
    for major in [2, 3, 5] {
        for count in [u64::MAX, u64::from(u32::MAX), 1 << 40] {
            let salt = [vec![0x87], head(major, count)].concat();
            refused(&salt, Fault::Truncated);
        }
    }
    let report = MessageStatusReport::decode(&head(4, 1 << 40), &Limits::default());
    assert_eq!(report.unwrap_err().fault, Fault::Truncated);
}

#[test]
fn two_thousand_parts_are_refused() {
    let parts = vec!["[1, \"\", 0]"; 2000].join(",");
    refused(&with_body(&format!("[1, \"\", 3, 2, [{parts}]]")), Fault::OverLimit(Limit::Parts));
}

#[test]
fn small_bytes_that_grow_in_memory_are_refused() {
    // Parts of four bytes that each take many times that in memory.
    let parts = vec!["[1, \"\", 4]"; 1000].join(",");
    let bytes = with_body(&format!("[1, \"\", 3, 2, [{parts}]]"));
    assert!(decode(&bytes).is_ok());
    let limits = Limits { memory: 20_000, ..Limits::default() };
    let error = MimiContent::decode(&bytes, &limits).unwrap_err();
    assert_eq!(error.fault, Fault::OverLimit(Limit::Memory));
    // Items of an unknown part are charged, too.
    let items = vec!["0"; 200_000].join(",");
    refused(&with_body(&format!("[1, \"\", 4, {items}]")), Fault::OverLimit(Limit::Memory));
}

#[test]
fn a_status_report_of_five_thousand_messages_is_refused() {
    let report = MessageStatusReport::of(
        conclave_content::MessageStatus::READ,
        (0..5000_u32).map(|n| {
            let mut id = [1; 32];
            id[28..].copy_from_slice(&n.to_be_bytes());
            MessageId(id)
        }),
    );
    let error = MessageStatusReport::decode(&report.encode(), &Limits::default()).unwrap_err();
    assert_eq!(error.fault, Fault::OverLimit(Limit::Statuses));
}

#[test]
fn duplicate_keys_do_not_name_two_senders() {
    let map = format!("{{1: \"{ALICE}\", 1: \"{BOB}\"}}");
    let bytes =
        encoded(&format!("[h'{}', null, h'', null, null, {map}, [1, \"\", 0]]", "07".repeat(16)));
    refused(&bytes, Fault::DuplicateKey);
}

#[test]
fn what_is_not_utf8_is_refused_in_a_field_and_no_text_in_a_body() {
    let bytes = [up_to_body(), vec![0x83, 0x01, 0x62, 0xc3, 0x28, 0x00]].concat();
    refused(&bytes, Fault::NotUtf8);
    // Surrogates are no UTF-8.
    let bytes = [up_to_body(), vec![0x83, 0x01, 0x63, 0xed, 0xa0, 0x80, 0x00]].concat();
    refused(&bytes, Fault::NotUtf8);

    // A body is octets of any type: it is no text.
    meaning("[1, \"\", 1, \"text/plain\", h'c328']", |meaning| {
        let Meaning::Text(chosen) = meaning else { panic!("{meaning:?}") };
        assert_eq!(chosen.leaves[0].text(), None);
    });
}

#[test]
fn direction_and_control_characters_are_shown_as_replaced() {
    let text = "pay \u{202e}eur 01\u{202c} \u{1b}[2J\r\nbob: ok\u{2028}\u{2066}\u{0}";
    let shown = safe::text(text);
    assert_eq!(shown, "pay \u{fffd}eur 01\u{fffd} \u{fffd}[2J\nbob: ok\u{fffd}\u{fffd}\u{fffd}");
    assert_eq!(safe::line("a\nb\tc\u{7}", 10), "a b c\u{fffd}");
}

#[test]
fn a_huge_description_is_cut_off() {
    let line = safe::line(&"é".repeat(1_000_000), 80);
    assert_eq!(line.chars().count(), 81);
    assert!(line.ends_with('…'));
}

#[test]
fn a_file_name_with_a_path_stays_in_its_folder() {
    for (suggested, name) in [
        ("../../.bashrc", "bashrc"),
        ("/etc/passwd", "passwd"),
        ("C:\\Windows\\system32\\a.dll", "a.dll"),
        ("..\\..\\start.bat", "start.bat"),
        ("a/b\0c.txt", "bc.txt"),
        ("C:evil.exe", "C_evil.exe"),
        ("notes.txt:hidden", "notes.txt_hidden"),
        (".hidden", "hidden"),
        ("report.pdf. ", "report.pdf"),
        ("con.txt", "_con.txt"),
        ("LPT1", "_LPT1"),
        ("aux.tar.gz", "_aux.tar.gz"),
        ("console.txt", "console.txt"),
        ("holiday.jpg", "holiday.jpg"),
    ] {
        assert_eq!(safe::file_name(suggested).as_deref(), Some(name), "{suggested:?}");
    }
    for nothing in ["", ".", "..", "/", "a/", "...", "\u{202e}", " . "] {
        assert_eq!(safe::file_name(nothing), None, "{nothing:?}");
    }
}

#[test]
fn a_file_name_does_not_hide_its_extension() {
    // U+202E would show `gpj.exe` as `exe.jpg`.
    assert_eq!(safe::file_name("photo\u{202e}gpj.exe").as_deref(), Some("photogpj.exe"));
    let long = format!("{}.exe", "é".repeat(100_000));
    let name = safe::file_name(&long).unwrap();
    assert!(name.len() <= 200 && name.ends_with(".exe"), "{name}");
}

#[test]
fn an_edit_of_somebody_elses_message_changes_nothing() {
    let mut room = Room::default();
    let original = room.say(ALICE, Draft::plain("borrow a pen?"));
    room.say(BOB, Draft::plain("borrow a Ferrari?").replacing(original));
    assert_eq!(room.last(), Meaning::Ignored(Ignored::NotTheAuthor(original)));
    room.say(BOB, Draft::deletion(original));
    assert_eq!(room.last(), Meaning::Ignored(Ignored::NotTheAuthor(original)));

    // Not by way of a message of Bob's own that claims to replace Alice's, either.
    let claim = room.say(BOB, Draft::plain("mine").replacing(original));
    room.say(BOB, Draft::deletion(claim));
    assert_eq!(room.last(), Meaning::Ignored(Ignored::NotTheAuthor(original)));
}

#[test]
fn a_deleted_message_does_not_come_back() {
    let mut room = Room::default();
    let original = room.say(ALICE, Draft::plain("oops"));
    room.say(ALICE, Draft::deletion(original));
    room.say(ALICE, Draft::plain("oops again").replacing(original));
    assert_eq!(room.last(), Meaning::Ignored(Ignored::Deleted(original)));
}

#[test]
fn a_message_in_somebody_elses_name_is_ignored() {
    let mut room = Room::default();
    let forged = Draft::plain("I quit").finish(salt(1), ALICE, ROOM).unwrap();
    room.take(BOB, forged.content);
    assert_eq!(room.last(), Meaning::Ignored(Ignored::Sender));

    let elsewhere = Draft::plain("hi").finish(salt(1), BOB, "mimi://example.com/r/other").unwrap();
    room.take(BOB, elsewhere.content);
    assert_eq!(room.last(), Meaning::Ignored(Ignored::Room));
}

#[test]
fn a_message_counts_once() {
    let mut room = Room::default();
    room.say(ALICE, Draft::plain("once"));
    let content = room.content.clone().unwrap();
    room.take(ALICE, content);
    assert_eq!(room.last(), Meaning::Ignored(Ignored::Duplicate));
}

#[test]
fn a_reply_to_what_nobody_knows_says_so() {
    let mut room = Room::default();
    let unknown = MessageId([1; 32]);
    room.say(ALICE, Draft::plain("I agree").in_reply_to(unknown));
    let Meaning::Reply { to, .. } = room.last() else { panic!("{:?}", room.last()) };
    assert_eq!((to.id, to.state), (unknown, ReferenceState::Missing));
    assert_eq!(body_text(&room.last()), "I agree");
}

#[test]
fn replies_and_edits_in_a_loop_end() {
    let [a, b] = [1, 2].map(|n| MessageId([[1; 16], [n; 16]].concat().try_into().unwrap()));
    let mut room = Room::default();
    // No hash makes such a loop; a history that was tampered with does.
    room.know(a, ALICE, [Some(b), Some(b)]);
    room.know(b, ALICE, [Some(a), Some(a)]);
    let hi = || Draft::plain("hi");
    room.say(ALICE, hi().in_reply_to(a));
    assert!(
        matches!(room.last(), Meaning::Reply { to, .. } if to.state == ReferenceState::Loop),
        "{:?}",
        room.last()
    );
    room.say(ALICE, hi().replacing(a));
    assert_eq!(room.last(), Meaning::Ignored(Ignored::Versions(a)));

    // A long row of replies is none.
    let mut last = None;
    for n in 0..3000_u32 {
        let mut id = [1; 32];
        id[28..].copy_from_slice(&n.to_be_bytes());
        room.know(MessageId(id), ALICE, [None, last]);
        last = Some(MessageId(id));
    }
    room.say(ALICE, hi().in_reply_to(last.unwrap()));
    let Meaning::Reply { to, .. } = room.last() else { panic!("{:?}", room.last()) };
    assert_eq!(to.state, ReferenceState::Known);
}

#[test]
fn a_message_that_expired_on_its_way_is_not_shown() {
    let mut room = Room::default();
    let now = NOW as u32;
    for (expires, ignored) in [
        (Expiration::at(now - 1), Ignored::Expired),
        (Expiration::at(now), Ignored::Expired),
        (Expiration::at(0), Ignored::Expiration),
        (Expiration::at(u32::MAX), Ignored::Expiration),
        (Expiration::after_reading(u32::MAX), Ignored::Expiration),
    ] {
        room.say(ALICE, Draft::plain("boo").expiring(expires));
        assert_eq!(room.last(), Meaning::Ignored(ignored), "{expires:?}");
    }

    // A deletion counts, however late it is.
    let original = room.say(ALICE, Draft::plain("secret"));
    room.say(ALICE, Draft::deletion(original).expiring(Expiration::at(now - 1)));
    assert!(matches!(room.last(), Meaning::Delete { .. }));
}

#[test]
fn a_page_of_text_is_no_reaction() {
    let mut room = Room::default();
    let original = room.say(ALICE, Draft::plain("hi"));
    for text in ["x".repeat(65), "a\nb".to_owned()] {
        let part = NestedPart::single(Disposition::REACTION, "text/plain", text.as_bytes());
        room.say(BOB, Draft::new(part).in_reply_to(original));
        assert_eq!(body_text(&room.last()), text);
        assert!(matches!(room.last(), Meaning::Reply { .. }));
    }
}

#[test]
fn parts_that_contradict_each_other_show_what_is_there() {
    // A choice of empty parts shows nothing, and says so.
    let nothing = "[1, \"\", 3, 0, [[1, \"\", 0], [1, \"\", 0]]]";
    meaning(nothing, |meaning| assert_eq!(meaning, Meaning::Unknown(Unknown::Parts)));
    // A reaction within a rendered whole is text; an attachment that is here is one.
    let mixed =
        "[1, \"\", 3, 2, [[2, \"\", 1, \"text/plain\", 'x'], [6, \"\", 1, \"text/plain\", 'y']]]";
    meaning(mixed, |meaning| assert!(matches!(meaning, Meaning::Text(_)), "{meaning:?}"));
    let attached = "[6, \"\", 1, \"text/plain\", 'y']";
    meaning(attached, |meaning| assert!(matches!(meaning, Meaning::Attachment(_)), "{meaning:?}"));
    // An unknown disposition counts as `render`.
    let unknown = "[200, \"\", 1, \"text/plain\", 'x']";
    meaning(unknown, |meaning| assert_eq!(body_text(&meaning), "x"));
}

#[test]
fn alternatives_are_evaluated_in_one_pass() {
    let leaf = NestedPart::single(Disposition::RENDER, "text/plain", b"x");
    let choice = |parts| NestedPart::multi(PartSemantics::ChooseOne, parts);
    let body = choice(vec![choice(vec![choice(vec![leaf; 7]); 11]); 11]);
    let calls = std::cell::Cell::new(0);
    let rank = |_: &NestedPart| {
        calls.set(calls.get() + 1);
        Some(0)
    };
    let chosen = conclave_content::choose(&body, &rank);
    assert_eq!((chosen.leaves.len(), calls.get()), (1, 7 * 11 * 11));
}

#[test]
fn forty_thousand_references_between_parts_are_followed_in_one_pass() {
    let page = "cid:2@local.invalid ".repeat(40_000);
    let body = format!(
        "[1, \"\", 3, 2, [[1, \"\", 1, \"text/markdown;variant=GFM-MIMI\", '{page}'], [1, \"\", 1, \"text/plain\", 'x']]]"
    );
    meaning(&body, |meaning| {
        let Meaning::Text(chosen) = meaning else { panic!("{meaning:?}") };
        assert_eq!((chosen.leaves.len(), &chosen.leaves[0].shows[..]), (1, &[2][..]));
    });
}

#[test]
fn addresses_that_no_client_should_open_are_not_fetched() {
    for url in [
        "",
        "https://",
        "https:///x",
        "javascript:alert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "https://bank.example@evil.example/",
        "https://evil.example\\@bank.example/",
        "https://b\u{430}nk.example/",
        "https://bank.example/\u{202e}gpj.exe",
        "https://bank.example/a b",
        "https://bank.example/\r\nHost: evil",
        "https://:443/",
    ] {
        let external = ExternalPart::plain("image/png", url);
        assert_eq!(external.fetch(NOW), Err(ExternalFault::Url), "{url:?}");
    }
    for url in ["https://files.example/1?x=%20#y", "HTTP://[2001:db8::1]:8080/"] {
        assert!(ExternalPart::plain("image/png", url).fetch(NOW).is_ok(), "{url:?}");
    }
}

#[test]
fn an_attachment_of_no_size_has_an_unknown_one() {
    let external = ExternalPart::plain("image/png", "https://files.example/1");
    assert_eq!(external.fetch(NOW).unwrap().size, None);
    let external = ExternalPart { size: u64::MAX, ..external };
    assert_eq!(external.fetch(NOW).unwrap().size, Some(u64::MAX));

    let empty = "[1, \"\", 1, \"text/plain\", h'']";
    meaning(empty, |meaning| assert_eq!(body_text(&meaning), ""));
}

#[test]
fn a_link_that_lies_is_told_from_one_that_does_not() {
    let links = markdown::links("[example.com](https://evil.example) <https://example.com>");
    let honest: Vec<bool> = links.iter().map(markdown::Link::shows_target).collect();
    assert_eq!(honest, [false, true]);
}

#[test]
fn a_broken_status_report_in_a_good_message_is_unknown() {
    let body = "[0, \"\", 1, \"application/mimi-message-status\", h'81']";
    meaning(body, |meaning| {
        assert!(matches!(meaning, Meaning::Unknown(Unknown::Status(_))), "{meaning:?}");
    });
}

#[test]
fn a_message_in_a_message_is_not_unpacked() {
    let inner = with_body("[1, \"\", 1, \"text/plain\", 'boo']");
    let part = NestedPart::single(Disposition::RENDER, "application/mimi-content", &inner);
    let mut room = Room::default();
    room.say(ALICE, Draft::new(part));
    assert_eq!(room.last(), Meaning::Unknown(Unknown::Parts));
}

#[test]
fn what_a_later_version_adds_may_change_all() {
    let mut bytes = with_body("[1, \"\", 1, \"text/plain\", 'sell']");
    bytes[0] = 0x88;
    bytes.extend([0x63, b'n', b'o', b't']);
    let content = decode(&bytes).unwrap();
    assert!(matches!(content.nested_part.part, Part::Single(_)));
    let arrival = Arrival { id: MessageId([1; 32]), sender: ALICE, room: ROOM, accepted_at: NOW };
    let meaning = interpret(&content, &arrival, &(), &text_rank);
    assert_eq!(meaning, Meaning::Unknown(Unknown::Later));
}
