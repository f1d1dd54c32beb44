//! What users say of themselves: what is a profile, what is none, and names that should deceive.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use conclave_content::{
    Arrival, Disposition, Draft, ExtensionKey, Ignored, Limits, MAX_PICTURE, Meaning, MessageId,
    MimiContent, NestedPart, Part, PartSemantics, Picture, PictureFormat, Profile, ProfileFault,
    Salt, Value, interpret, safe, text_rank,
};

const ALICE: &str = "mimi://example.com/u/alice";
const ROOM: &str = "mimi://example.com/r/lunch";
const PNG: &[u8] = b"\x89PNG\r\n\x1a\nand so on";

fn meaning(draft: Draft, check: impl FnOnce(Meaning<'_>)) {
    let sent = draft.finish(Salt([7; 16]), ALICE, ROOM).unwrap();
    let content = MimiContent::decode(&sent.bytes, &Limits::default()).unwrap();
    let arrival = Arrival { id: sent.id, sender: ALICE, room: ROOM, accepted_at: 1_800_000_000 };
    check(interpret(&content, &arrival, &(), &text_rank));
}

fn picture() -> Picture {
    Picture::new(PNG.to_vec()).unwrap()
}

/// A message with this body and, if it has one, this version.
fn of(body: NestedPart, version: Option<Value>) -> Draft {
    let draft = Draft::new(body);
    match version {
        Some(version) => draft.extension(ExtensionKey::Text("conclave.profile".into()), version),
        None => draft,
    }
}

fn body(name: NestedPart, picture: NestedPart) -> NestedPart {
    let both = NestedPart::multi(PartSemantics::ProcessAll, vec![name, picture]);
    NestedPart { disposition: Disposition::PROFILE, ..both }
}

fn name_part(name: &[u8]) -> NestedPart {
    NestedPart::single(Disposition::PROFILE, "text/plain;charset=utf-8", name)
}

fn no_picture() -> NestedPart {
    NestedPart::null(Disposition::ICON)
}

fn fault(draft: Draft) -> ProfileFault {
    let mut found = None;
    meaning(draft, |meaning| match meaning {
        Meaning::Ignored(Ignored::Profile(fault)) => found = Some(fault),
        other => panic!("{other:?}"),
    });
    found.unwrap()
}

fn named(name: &str) -> String {
    let mut found = None;
    meaning(of(body(name_part(name.as_bytes()), no_picture()), Some(Value::unsigned(1))), |m| {
        match m {
            Meaning::Profile(profile) => found = Some(profile.name().to_owned()),
            other => panic!("{other:?}"),
        }
    });
    found.unwrap()
}

#[test]
fn a_profile_comes_out_as_it_was_made() {
    for (name, picture) in [("Alice L.", Some(picture())), ("Алиса", None), ("", None)] {
        let profile = Profile::new(1_800_000_000_123, name, picture).unwrap();
        meaning(Draft::profile(&profile), |found| assert_eq!(found, Meaning::Profile(profile)));
    }
}

#[test]
fn a_profile_that_names_a_message_counts_for_nothing() {
    let draft = || Draft::profile(&Profile::new(1, "Alice", None).unwrap());
    let id = MessageId([MessageId::SHA_256; 32]);
    assert_eq!(fault(draft().replacing(id)), ProfileFault::Refers);
    assert_eq!(fault(draft().in_reply_to(id)), ProfileFault::Refers);
    // Neither does it delete anything.
    let nothing = NestedPart::null(Disposition::PROFILE);
    assert_eq!(fault(Draft::new(nothing).replacing(id)), ProfileFault::Refers);
}

#[test]
fn what_is_not_a_name_and_a_picture_is_no_profile() {
    let one = || Some(Value::unsigned(1));
    let name = || name_part(b"Alice");
    let single_unit = NestedPart {
        disposition: Disposition::PROFILE,
        ..NestedPart::multi(PartSemantics::SingleUnit, vec![name(), no_picture()])
    };
    let mut three = body(name(), no_picture());
    if let Part::Multi(multi) = &mut three.part {
        multi.parts.push(no_picture());
    }
    let said = NestedPart::single(Disposition::RENDER, "text/plain", b"Alice");
    let markdown = NestedPart::single(Disposition::PROFILE, "text/markdown", b"Alice");
    let shown = NestedPart::single(Disposition::INLINE, "image/png", PNG);
    for body in [
        name(),
        single_unit,
        three,
        body(no_picture(), name()),
        body(said, no_picture()),
        body(markdown, no_picture()),
        body(name(), shown),
        body(name(), body(name(), no_picture())),
    ] {
        assert_eq!(fault(of(body.clone(), one())), ProfileFault::Parts, "{body:?}");
    }
    for version in [None, Some(Value::text("1")), Some(Value::bytes(&[1]))] {
        assert_eq!(fault(of(body(name(), no_picture()), version)), ProfileFault::Version);
    }
    assert_eq!(fault(of(body(name_part(&[0xff]), no_picture()), one())), ProfileFault::Name);
}

#[test]
fn names_and_pictures_have_an_end() {
    let one = || Some(Value::unsigned(1));
    let long = "é".repeat(safe::MAX_DISPLAY_NAME);
    assert_eq!(named(&long), long);
    for longer in [long + "é", "x".repeat(65), "🧑".repeat(50_000)] {
        let draft = of(body(name_part(longer.as_bytes()), no_picture()), one());
        assert_eq!(fault(draft), ProfileFault::NameLength);
        assert_eq!(Profile::new(1, &longer, None), Err(ProfileFault::NameLength));
    }

    let of_size = |size: usize| [PNG, &vec![0; size - PNG.len()]].concat();
    assert!(Picture::new(of_size(MAX_PICTURE)).is_ok());
    let large = of_size(MAX_PICTURE + 1);
    let part = NestedPart::single(Disposition::ICON, "image/png", &large);
    assert_eq!(fault(of(body(name_part(b"A"), part), one())), ProfileFault::PictureSize);
    assert_eq!(Picture::new(large), Err(ProfileFault::PictureSize));
}

#[test]
fn a_picture_is_what_its_first_octets_say() {
    let webp = b"RIFF\x10\0\0\0WEBPVP8 ";
    let jpeg = b"\xff\xd8\xff\xe0\0\x10JFIF";
    for (format, bytes) in
        [(PictureFormat::Png, PNG), (PictureFormat::Jpeg, jpeg), (PictureFormat::Webp, webp)]
    {
        assert_eq!(Picture::new(bytes.to_vec()).unwrap().format(), format);
        for other in ["image/png", "image/jpeg", "image/webp", "image/svg+xml", "text/html"] {
            if other == format.media_type() {
                continue;
            }
            let part = NestedPart::single(Disposition::ICON, other, bytes);
            let draft = of(body(name_part(b"A"), part), Some(Value::unsigned(1)));
            assert_eq!(fault(draft), ProfileFault::PictureFormat, "{other}");
        }
    }
    for bytes in
        [&b""[..], b"\x89PNG", b"RIFF\x10\0\0\0WAVEfmt ", b"<svg onload=alert(1)>", b"GIF89a"]
    {
        assert_eq!(Picture::new(bytes.to_vec()), Err(ProfileFault::PictureFormat));
    }
}

#[test]
fn of_a_name_only_what_is_seen_on_one_line_is_kept() {
    for (sent, kept) in [
        ("  Alice \t L. ", "Alice L."),
        ("Alice\nbob/pc: hi\r\u{2028}x", "Alice bob/pc: hi x"),
        ("a\u{202e}bob\u{202c}\u{2066}\u{200f}", "abob"),
        ("b\u{200b}o\u{200d}b\u{feff}\u{ad}\u{e0041}\u{3164}", "bob"),
        ("\u{1b}[2Jx\u{7}\u{9b}", "[2Jx"),
        ("x\u{2800}\u{2800}y", "x y"),
        ("\u{301}e\u{301} \u{301}", "e\u{301}"),
        ("Al “Ace” \"x\"", "Al 'Ace' 'x'"),
        ("\u{200b}\u{2066}\u{2029}\u{34f}", ""),
        ("bob/phone", "bob/phone"),
        ("Nguyễn Thị", "Nguyễn Thị"),
        ("שָׁלוֹם", "שָׁלוֹם"),
    ] {
        assert_eq!(named(sent), kept, "{sent:?}");
        assert_eq!(safe::display_name(kept), kept);
        let own = Profile::new(1, sent, None);
        let expected = if sent == kept { None } else { Some(ProfileFault::Name) };
        assert_eq!(own.err(), expected, "{sent:?}");
    }
    // Nobody draws over the lines above and below.
    let tower = format!("Z{}a", "\u{335}\u{30d}\u{e49}".repeat(20));
    assert_eq!(named(&tower), "Z\u{335}\u{30d}\u{e49}a");
}
