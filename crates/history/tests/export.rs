//! A room as a file.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "these are tests")]

mod room;

use conclave_content::{Disposition, Draft, ExternalPart};
use conclave_history::{ExportError, Format, GroupId, HistoryError};
use room::{ALICE, BOB, CATHY, World, group};

fn exported(world: &World, format: Format) -> String {
    let mut out = Vec::new();
    world.history.read(&world.store).export(&group(), format, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn lively() -> World {
    let mut world = World::new();
    let first = world.said(ALICE, "first\nalice/pc: \"forged\" \\ \u{1b}[2J\u{202e}");
    world.say(BOB, Draft::plain("second").in_reply_to(first));
    world.say(CATHY, Draft::reaction(first, &["👍"]).unwrap());
    let gone = world.said(CATHY, "gone");
    world.say(CATHY, Draft::deletion(gone));
    world.take(ALICE, "image/png", b"123");
    let external = ExternalPart {
        filename: "cake.jpg".into(),
        ..ExternalPart::plain("image/jpeg", "https://files.example/1")
    };
    world.say(ALICE, Draft::attachment(Disposition::ATTACHMENT, external));
    world
}

#[test]
fn an_export_as_text_cannot_be_forged_from_within() {
    let shown = exported(&lively(), Format::Text);
    let time = "2027-01-15T08:00:00Z";
    let expected = [
        &format!("[1] {time} alice/pc: first"),
        "    alice/pc: \"forged\" \\ \u{fffd}[2J\u{fffd}",
        "    👍 1",
        &format!("[2] {time} bob/pc: (to 1) second"),
        &format!("[4] {time} cathy/pc: (deleted by cathy/pc)"),
        &format!("[6] {time} alice/pc: (3 bytes of image/png, which cannot be shown)"),
        &format!("[7] {time} alice/pc: "),
        "    attachment: cake.jpg (image/jpeg)",
        "",
    ];
    assert_eq!(shown, expected.join("\n"));
}

#[test]
fn an_export_as_json_has_each_message_with_what_belongs_to_it() {
    let shown = exported(&lively(), Format::Json);
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(
        lines[0],
        r#"{"format":"conclave-history","version":1,"room":"mimi://example.com/r/lunch","messages":["#
    );
    assert!(lines[1].starts_with(r#"{"number":1,"id":"01"#), "{}", lines[1]);
    let text = r#""text":"first\nalice/pc: \"forged\" \\ \u001b[2J\u202e","markdown":false"#;
    assert!(lines[1].contains(text), "{}", lines[1]);
    let reaction = r#""reactions":[{"symbol":"👍","users":["mimi://example.com/u/cathy"]}]"#;
    assert!(lines[1].contains(reaction), "{}", lines[1]);
    assert!(lines[2].contains(r#""reply_to":"01"#) && lines[2].ends_with("},"), "{}", lines[2]);
    assert!(lines[3].contains(r#""deleted_by":"cathy/pc""#), "{}", lines[3]);
    assert!(lines[4].contains(r#""unknown":{"media_type":"image/png","size":3}"#), "{}", lines[4]);
    assert!(lines[5].contains(r#""file_name":"cake.jpg""#), "{}", lines[5]);
    assert_eq!(lines[6..], ["]}"]);
}

#[test]
fn a_long_room_is_written_page_by_page() {
    let mut world = World::new();
    for n in 0..450 {
        world.said(ALICE, &format!("n{n}"));
    }
    let shown = exported(&world, Format::Text);
    assert_eq!(shown.lines().count(), 450);
    assert!(shown.lines().enumerate().all(|(n, line)| line.ends_with(&format!(" n{n}"))));
    assert_eq!(exported(&world, Format::Json).lines().count(), 452);
}

#[test]
fn a_room_that_is_not_here_is_not_exported() {
    let world = World::new();
    let other = GroupId::from(b"other".as_slice());
    let failed = world.history.read(&world.store).export(&other, Format::Text, &mut Vec::new());
    assert!(matches!(failed, Err(ExportError::History(HistoryError::NoRoom))));
}
