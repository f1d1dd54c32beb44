//! The drafts' own examples, in `vectors/`: each decodes to what the draft says, and encodes to the same bytes.
//!
//! Where draft-ietf-mimi-content-08 contradicts itself:
//!
//! * The hex dumps of the reply (5.2) and of the reaction (5.3) reply to `01b00844…`, the original's identifier in an
//!   earlier draft. The identifiers that the draft gives for both messages fit the diagnostic notation alone.
//! * The reactions of B.2 are to no message: their `inReplyTo` is null, while section 5.3 has a reaction look like a
//!   reply.
//! * Section 5.3 calls its heart U+2665 and 0xe299a5; notation and dump have U+2764, 0xe29da4.
//! * B.3 lacks a comma (`0  # partSemantics` of part 7), and 5.6 has one too many.
//! * Section 4.3 bounds the values of extensions (`any .size (0..4095)`); appendix A.1 and the change log do not.
//!   Section 6.2 lets texts as keys be empty, sections 4.3 and A.1 do not. We follow A.1.
//! * Section 4.5 declares `url: uri`, which is a tag in CDDL, sections 4.4 and A.1 `url: tstr`. The same holds for the
//!   URLs of sections 4.6 and A.2. The examples, and we, have plain text.
//! * Section 4.3 says that integer keys are positive or negative; its CDDL and section 6.2 have 0, which is reserved.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::{encoded, unhex};
use conclave_content::{
    Aead, Disposition, HashAlgorithm, Limits, MIMI_CONTENT, MessageDerivedValues, MessageId,
    MessageStatus, MessageStatusReport, MimiContent, NestedPart, Part, PartSemantics, SinglePart,
    Timestamp, Value, essence,
};
use std::fs::read_to_string;
use std::path::PathBuf;

/// The messages, in the order of their sections.
const MESSAGES: [&str; 13] = [
    "5.1-original",
    "5.2-reply",
    "5.3-reaction",
    "5.4-mention",
    "5.5-edit",
    "5.6-delete",
    "5.7-unlike",
    "5.8-expiring",
    "5.9-attachment",
    "5.10-conferencing",
    "B.1-alternatives",
    "B.2-reactions",
    "B.3-nested",
];

const GFM: &str = "text/markdown;variant=GFM-MIMI";

fn file(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(name);
    read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn notation(name: &str) -> Vec<u8> {
    encoded(&file(&format!("{name}.edn")))
}

fn dump(name: &str) -> Vec<u8> {
    unhex(&file(&format!("{name}.hex")))
}

fn decode(bytes: &[u8]) -> MimiContent {
    MimiContent::decode(bytes, &Limits::default()).unwrap()
}

fn example(name: &str) -> MimiContent {
    decode(&notation(name))
}

/// The identifier that the draft gives for a message.
fn id(name: &str) -> MessageId {
    let text = file(&format!("{name}.edn"));
    let line = text.lines().next().unwrap();
    let hex = line.strip_prefix("# message ID = h'").unwrap().strip_suffix('\'').unwrap();
    MessageId(unhex(hex).try_into().unwrap())
}

fn single(name: &str) -> (Disposition, String, String) {
    let NestedPart { disposition, part, .. } = example(name).nested_part;
    let Part::Single(SinglePart { content_type, content }) = part else { panic!("{part:?}") };
    (disposition, content_type, String::from_utf8(content).unwrap())
}

#[test]
fn examples_encode_to_the_same_bytes() {
    for name in MESSAGES {
        let bytes = notation(name);
        assert_eq!(decode(&bytes).encode().unwrap(), bytes, "{name}");
    }
}

#[test]
fn examples_have_the_drafts_identifiers() {
    for name in MESSAGES {
        let message = example(name);
        let extensions = &message.mimi_extensions;
        let (sender, room) = (extensions.sender_uri().unwrap(), extensions.room_uri().unwrap());
        let derived = MessageId::derive(sender, room, &notation(name), &message.salt).unwrap();
        assert_eq!(derived, id(name), "{name}");
    }
}

#[test]
fn hex_dumps_are_the_examples() {
    for name in ["5.1-original", "5.8-expiring", "5.9-attachment", "5.10-conferencing"] {
        assert_eq!(dump(name), notation(name), "{name}");
    }

    // These two reply to another message than the draft's notation does.
    let old = unhex("01b0084467273cc43d6f0ebeac13eb84229c4fffe8f6c3594c905f47779e5a79");
    for name in ["5.2-reply", "5.3-reaction"] {
        let mut message = decode(&dump(name));
        assert_eq!(message.encode().unwrap(), dump(name), "{name}");
        assert_eq!(message.in_reply_to.replace(id("5.1-original")).unwrap().0, *old);
        assert_eq!(message, example(name), "{name}");
    }
}

#[test]
fn examples_say_what_the_draft_says() {
    let original = example("5.1-original");
    assert_eq!(original.salt.0, *unhex("5eed9406c2545547ab6f09f20a18b003"));
    assert_eq!((original.replaces, original.in_reply_to, original.expires), (None, None, None));
    assert_eq!(original.mimi_extensions.sender_uri(), Some("mimi://example.com/u/alice-smith"));
    let text = "Hi everyone, we just shipped release 2.0. __Good  work__!";
    assert_eq!(single("5.1-original"), (Disposition::RENDER, GFM.into(), text.into()));

    assert_eq!(example("5.2-reply").in_reply_to, Some(id("5.1-original")));
    let heart = (Disposition::REACTION, "text/plain;charset=utf-8".into(), "❤".into());
    assert_eq!(single("5.3-reaction"), heart);
    let (_, _, kudos) = single("5.4-mention");
    assert!(kudos.contains("[@Alice Smith](mimi://example.com/u/alice-smith)"), "{kudos}");

    assert_eq!(example("5.5-edit").replaces, Some(id("5.2-reply")));
    assert_eq!(example("5.6-delete").replaces, Some(id("5.2-reply")));
    assert_eq!(example("5.6-delete").nested_part, NestedPart::null(Disposition::RENDER));
    assert_eq!(example("5.7-unlike").replaces, Some(id("5.3-reaction")));
    assert_eq!(example("5.7-unlike").nested_part, NestedPart::null(Disposition::REACTION));

    let expires = example("5.8-expiring").expires.unwrap();
    assert_eq!((expires.relative, expires.time), (false, 1_644_390_004));
    assert_eq!(example("5.10-conferencing").topic_id, b"Foo 118");
}

#[test]
fn the_attachment_says_how_to_fetch_it() {
    let part = example("5.9-attachment").nested_part;
    assert_eq!((part.disposition, part.language.as_str()), (Disposition::ATTACHMENT, "en"));
    let Part::External(external) = part.part else { panic!("{part:?}") };
    assert_eq!((&*external.content_type, &*external.filename), ("video/mp4", "bigfile.mp4"));

    let fetch = external.fetch(1_800_000_000).unwrap();
    assert_eq!(fetch.url, "https://example.com/storage/8ksB4bSrrRE.mp4");
    assert_eq!(fetch.size, Some(708_234_961));
    let decryption = fetch.decryption.unwrap();
    assert_eq!(decryption.aead, Aead::Aes128Gcm);
    assert_eq!(decryption.key.expose(), unhex("21399320958a6f4c745dde670d95e0d8"));
    assert_eq!(fetch.hash.unwrap().0, HashAlgorithm::Sha256);
    assert!(!format!("{external:?}").contains("57, 147"), "the key is printed");
}

#[test]
fn part_indices_are_those_of_the_nested_example() {
    let body = example("B.3-nested").nested_part;
    let described: Vec<&str> = body
        .parts()
        .map(|part| match &part.part {
            Part::Multi(multi) if multi.part_semantics == PartSemantics::ChooseOne => "choose",
            Part::Multi(_) => "all",
            Part::Single(single) if single.content_type == "image/gif" => "gif",
            Part::Single(single) if single.content_type == "image/png" => "png",
            _ => &part.language,
        })
        .collect();
    let expected =
        ["choose", "all", "choose", "en", "fr", "gif", "all", "choose", "en", "fr", "png"];
    assert_eq!(described, expected);
}

#[test]
fn derived_values_are_read_and_written() {
    let bytes = notation("5.1-derived");
    let derived = MessageDerivedValues::decode(&bytes, &Limits::default()).unwrap();
    assert_eq!(derived.encode(), bytes);
    assert_eq!(derived.message_id, id("5.1-original"));
    assert_eq!(derived.hub_accepted_timestamp, Timestamp::Milliseconds(1_644_387_225_019));
    assert_eq!(derived.sender_leaf_index, 4);

    // An extended time (RFC 9581) stays as it came.
    let time = Value::from_cbor(&[0xd9, 0x03, 0xe9, 0xa1, 0x01, 0x18, 0x1e]).unwrap();
    let hub_accepted_timestamp = Timestamp::Extended(time);
    let extended = MessageDerivedValues { hub_accepted_timestamp, ..derived };
    let read = MessageDerivedValues::decode(&extended.encode(), &Limits::default());
    assert_eq!(read, Ok(extended));
}

#[test]
fn numbers_are_those_of_the_registries() {
    let dispositions = [Disposition::PROFILE, Disposition::ICON, Disposition::PREVIEW];
    assert_eq!(dispositions.map(|disposition| disposition.0), [3, 5, 8]);
    let statuses = [
        MessageStatus::DELIVERED,
        MessageStatus::DELETED,
        MessageStatus::HIDDEN,
        MessageStatus::ERROR,
    ];
    assert_eq!(statuses.map(|status| status.0), [1, 4, 5, 6]);
    let aeads = [Aead::Aes256Gcm, Aead::ChaCha20Poly1305];
    assert_eq!(aeads.map(|aead| (aead as u16, aead.key_length())), [(2, 32), (29, 32)]);
    let hashes = [HashAlgorithm::Sha384, HashAlgorithm::Sha512];
    assert_eq!(hashes.map(|hash| (hash as u8, hash.length())), [(7, 48), (8, 64)]);
    assert_eq!(MIMI_CONTENT, "application/mimi-content");
    assert_eq!(essence("Text/Plain; charset=utf-8"), "Text/Plain");
}

#[test]
fn a_status_report_is_read_and_written() {
    let bytes = notation("status-5-report");
    assert_eq!(dump("status-5-report"), bytes);
    let report = MessageStatusReport::decode(&bytes, &Limits::default()).unwrap();
    assert_eq!(report.encode(), bytes);

    let expected = [
        ("5.1-original", MessageStatus::READ),
        ("5.2-reply", MessageStatus::READ),
        ("5.4-mention", MessageStatus::UNREAD),
        ("5.8-expiring", MessageStatus::EXPIRED),
    ];
    assert_eq!(report.0.len(), expected.len());
    for (name, status) in expected {
        assert_eq!(report.status(&id(name)), Some(status), "{name}");
    }
}
