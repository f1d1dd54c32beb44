//! What messages mean: those of the draft's examples, and those that the helpers make.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;
mod room;

use conclave_content::{
    Chosen, ComposeError, Disposition, Draft, Expiration, ExtensionKey, ExternalFault,
    ExternalPart, Ignored, Lifetime, Meaning, MessageId, MessageStatus, MessageStatusReport,
    NestedPart, Part, PartSemantics, Reference, ReferenceState, Secret, Unknown, Value, choose,
    is_media_type, markdown, text_rank,
};
use room::{ALICE, BOB, CATHY, ROOM, Room, body_text, example, id_of, salt};

fn known(id: MessageId) -> Reference {
    Reference { id, state: ReferenceState::Known }
}

#[test]
fn the_drafts_conversation_means_what_the_draft_says() {
    let mut room = Room::default();
    let meaning = room.receive(ALICE, "5.1-original");
    assert!(body_text(&meaning).contains("release 2.0"), "{meaning:?}");

    let original = id_of("5.1-original");
    let reply = room.receive(BOB, "5.2-reply");
    assert!(matches!(&reply, Meaning::Reply { to, .. } if *to == known(original)), "{reply:?}");
    let reaction = room.receive(CATHY, "5.3-reaction");
    let Meaning::Reaction { to, with } = &reaction else { panic!("{reaction:?}") };
    assert_eq!((*to, with.leaves[0].text()), (Some(known(original)), Some("❤")));
    let mention = room.receive(CATHY, "5.4-mention");
    let links = markdown::links(&body_text(&mention));
    assert_eq!((links.len(), links[0].target.as_str()), (1, ALICE));

    let edit = room.receive(BOB, "5.5-edit");
    let Meaning::Edit { of, .. } = &edit else { panic!("{edit:?}") };
    assert_eq!(*of, known(id_of("5.2-reply")));
    assert_eq!(body_text(&edit), "Right on! _Congratulations_ y'all!");
    let deletion = room.receive(BOB, "5.6-delete");
    assert_eq!(deletion, Meaning::Delete { of: known(id_of("5.2-reply")) });
    let unlike = room.receive(CATHY, "5.7-unlike");
    assert_eq!(unlike, Meaning::Delete { of: known(id_of("5.3-reaction")) });

    assert!(matches!(room.receive(BOB, "5.9-attachment"), Meaning::Attachment(_)));
    assert!(matches!(room.receive(ALICE, "5.10-conferencing"), Meaning::Session(_)));
    let welcome = room.receive(ALICE, "B.1-alternatives");
    assert_eq!(body_text(&welcome), "# Welcome!");
    // To no message: see `vectors.rs`.
    let reactions = room.receive(ALICE, "B.2-reactions");
    let Meaning::Reaction { to: None, with } = &reactions else { panic!("{reactions:?}") };
    assert_eq!(with.leaves.len(), 3);
}

/// The parts that a client processes of the nested example, which shows HTML and images of some types.
fn nested(images: &[&str], language: &str) -> Vec<(usize, Vec<usize>)> {
    let rank = |part: &NestedPart| {
        let Part::Single(single) = &part.part else { return None };
        if is_media_type(&single.content_type, "text/html") {
            return Some(u32::from(part.language != language));
        }
        let at = images.iter().position(|image| is_media_type(&single.content_type, image));
        at.map(|at| 2 + at as u32)
    };
    let content = example("B.3-nested");
    let Chosen { leaves, skipped } = choose(&content.nested_part, &rank);
    assert_eq!(skipped, usize::from(images.is_empty()));
    leaves.into_iter().map(|leaf| (leaf.index, leaf.shows)).collect()
}

#[test]
fn a_client_chooses_by_what_it_shows_best() {
    assert_eq!(nested(&["image/gif"], "en"), [(3, vec![5])]);
    assert_eq!(nested(&["image/gif"], "fr"), [(4, vec![5])]);
    assert_eq!(nested(&["image/png"], "fr"), [(9, vec![10])]);
    assert_eq!(nested(&["image/png", "image/gif"], "en"), [(8, vec![10])]);
    assert_eq!(nested(&["image/gif", "image/png"], "en"), [(3, vec![5])]);
    // Without images, the text is left, and something is missing.
    assert_eq!(nested(&[], "en"), [(3, vec![])]);
}

fn text(text: &str) -> NestedPart {
    NestedPart::single(Disposition::RENDER, "text/plain", text.as_bytes())
}

fn strange() -> NestedPart {
    NestedPart::single(Disposition::RENDER, "application/x-strange", b"?")
}

#[test]
fn a_single_unit_is_shown_as_a_whole_or_not_at_all() {
    let unit = |parts| NestedPart::multi(PartSemantics::SingleUnit, parts);
    let whole = unit(vec![text("a"), text("b")]);
    assert_eq!(choose(&whole, &text_rank).leaves.len(), 2);
    let torn = unit(vec![text("a"), strange()]);
    assert_eq!(choose(&torn, &text_rank), Chosen { leaves: vec![], skipped: 1 });

    // As one choice of two, the torn one loses; of many parts, it is skipped.
    let choice = NestedPart::multi(PartSemantics::ChooseOne, vec![torn.clone(), text("c")]);
    assert_eq!(choose(&choice, &text_rank).leaves[0].index, 4);
    let all = NestedPart::multi(PartSemantics::ProcessAll, vec![torn, text("c")]);
    let chosen = choose(&all, &text_rank);
    assert_eq!((chosen.leaves.len(), chosen.skipped), (1, 1));
}

#[test]
fn what_is_shown_by_another_part_is_not_shown_again() {
    let page = NestedPart::single(
        Disposition::RENDER,
        "text/markdown;variant=GFM-MIMI",
        b"![](cid:2@local.invalid) ![](cid:1@local.invalid) ![](cid:9@local.invalid)",
    );
    let all = |parts| NestedPart::multi(PartSemantics::ProcessAll, parts);
    let body = all(vec![page.clone(), text("inside"), text("behind")]);
    let chosen = choose(&body, &text_rank);
    let shown: Vec<_> = chosen.leaves.iter().map(|leaf| (leaf.index, &leaf.shows[..])).collect();
    assert_eq!(shown, [(1, &[2][..]), (3, &[][..])]);

    // What came before was processed already.
    let body = all(vec![text("before"), page, text("x")]);
    assert_eq!(choose(&body, &text_rank).leaves.len(), 3);
}

#[test]
fn each_kind_of_message_that_is_made_means_what_it_should() {
    let mut room = Room::default();
    let original = room.say(ALICE, Draft::markdown("*Hungry?*"));
    assert!(matches!(room.last(), Meaning::Text(_)));

    let reply = room.say(BOB, Draft::plain("yes").in_reply_to(original).topic(&original.0));
    assert!(matches!(room.last(), Meaning::Reply { to, .. } if to == known(original)));
    let like = room.say(BOB, Draft::reaction(original, &["👩🏽‍⚕️"]).unwrap());
    assert!(matches!(room.last(), Meaning::Reaction { to: Some(to), .. } if to == known(original)));
    room.say(BOB, Draft::reaction(original, &["👍", "❤"]).unwrap());
    assert!(matches!(room.last(), Meaning::Reaction { with, .. } if with.leaves.len() == 2));
    room.say(BOB, Draft::unreaction(like, original));
    assert_eq!(room.last(), Meaning::Delete { of: known(like) });

    let edit = room.say(BOB, Draft::plain("no").in_reply_to(original).replacing(reply));
    assert!(matches!(room.last(), Meaning::Edit { of, .. } if of == known(reply)));
    // An edit of the edit is one of the first version.
    room.say(BOB, Draft::plain("maybe").replacing(edit));
    assert!(matches!(room.last(), Meaning::Edit { of, .. } if of == known(reply)));
    room.say(BOB, Draft::deletion(reply));
    assert_eq!(room.last(), Meaning::Delete { of: known(reply) });

    room.say(ALICE, Draft::markdown(&format!("{}!", markdown::mention("Bob", BOB))));
    assert_eq!(markdown::links(&body_text(&room.last()))[0].target, BOB);
    room.say(ALICE, Draft::session("https://example.com/join/1", "lunch"));
    assert!(matches!(room.last(), Meaning::Session(_)));

    let report = MessageStatusReport::of(MessageStatus::READ, [original, reply]);
    room.say(CATHY, Draft::status(&report));
    assert_eq!(room.last(), Meaning::Status(report));
    room.say(CATHY, Draft::new(NestedPart::null(Disposition::RENDER)));
    assert_eq!(room.last(), Meaning::Empty);
}

fn attachment() -> ExternalPart {
    ExternalPart {
        enc_alg: 1,
        key: Secret::new(vec![0xab; 16]),
        nonce: vec![1; 12],
        ..ExternalPart::plain("image/png", "https://files.example/1")
    }
}

#[test]
fn attachments_are_sent_alone_or_beside_a_text() {
    let mut room = Room::default();
    room.say(ALICE, Draft::attachment(Disposition::ATTACHMENT, attachment()));
    assert!(matches!(room.last(), Meaning::Attachment(chosen) if chosen.leaves.len() == 1));

    let part = NestedPart::external(Disposition::INLINE, attachment());
    room.say(ALICE, Draft::markdown("look").with(part.clone()).with(part));
    assert!(matches!(room.last(), Meaning::Text(chosen) if chosen.leaves.len() == 3));
}

#[test]
fn attachments_that_nobody_could_open_are_not_sent() {
    type Change = fn(&mut ExternalPart);
    let wrong: [(Change, ExternalFault); 7] = [
        (|e| e.url = "file:///etc/passwd".into(), ExternalFault::Url),
        (|e| e.url = "https://a@b.example/".into(), ExternalFault::Url),
        (|e| e.enc_alg = 0, ExternalFault::KeyWithoutAead),
        (|e| e.enc_alg = 77, ExternalFault::UnknownAead(77)),
        (|e| e.nonce = vec![1; 11], ExternalFault::KeyLength),
        (|e| e.content_hash = vec![1; 32], ExternalFault::UnknownHash(0)),
        (|e| (e.hash_alg, e.content_hash) = (1, vec![1; 31]), ExternalFault::HashLength),
    ];
    for (change, fault) in wrong {
        let mut external = attachment();
        change(&mut external);
        let draft = Draft::attachment(Disposition::ATTACHMENT, external);
        let refused = draft.finish(salt(1), ALICE, ROOM).unwrap_err();
        assert_eq!(refused, ComposeError::External(fault));
    }

    let expired = ExternalPart { expires: 100, ..attachment() };
    assert_eq!(expired.fetch(100), Err(ExternalFault::Expired(100)));
    assert!(expired.fetch(99).is_ok());
}

#[test]
fn a_key_is_printed_nowhere() {
    let draft = Draft::attachment(Disposition::ATTACHMENT, attachment());
    let shown = format!("{draft:?} {:?}", attachment().fetch(1));
    assert!(!shown.contains("171") && !shown.contains("ab, ab"), "{shown}");
}

#[test]
fn reactions_are_symbols_each_for_itself() {
    let to = MessageId([1; 32]);
    for wrong in [&[][..], &[""], &["👍 ❤"], &["👍", ""]] {
        assert_eq!(Draft::reaction(to, wrong).unwrap_err(), ComposeError::Reaction, "{wrong:?}");
    }
}

#[test]
fn html_is_sent_as_text() {
    let sent = Draft::markdown("<b>hi</b>").finish(salt(1), ALICE, ROOM).unwrap();
    let Part::Single(single) = &sent.content.nested_part.part else { panic!("{sent:?}") };
    assert_eq!(single.content, b"&lt;b>hi&lt;/b>");
}

#[test]
fn a_draft_names_its_sender_whatever_extensions_it_has() {
    let draft = Draft::plain("hi")
        .extension(ExtensionKey::SENDER_URI, Value::text(BOB))
        .extension(ExtensionKey::Integer(-1), Value::text("x"))
        .language("en")
        .expiring(Expiration::after_reading(60));
    let content = draft.finish(salt(1), ALICE, ROOM).unwrap().content;
    assert_eq!(content.mimi_extensions.sender_uri(), Some(ALICE));
    assert_eq!(content.mimi_extensions.0.len(), 3);
    assert!(content.expires.unwrap().relative);

    let long = "x".repeat(70_000);
    let refused = Draft::plain("hi").finish(salt(1), ALICE, &long).unwrap_err();
    assert!(matches!(refused, ComposeError::Uri(_)), "{refused}");
}

#[test]
fn expirations_are_judged_by_the_time_that_is_given() {
    let at = Expiration::at(1000);
    assert_eq!(at.lifetime(999, None), Lifetime::Until(1000));
    assert_eq!(at.lifetime(1000, Some(5)), Lifetime::Over);

    let relative = Expiration::after_reading(60);
    assert_eq!(relative.lifetime(u64::MAX, None), Lifetime::UntilRead);
    assert_eq!(relative.lifetime(1059, Some(1000)), Lifetime::Until(1060));
    assert_eq!(relative.lifetime(1060, Some(1000)), Lifetime::Over);
    assert_eq!(relative.lifetime(5, Some(u64::MAX)), Lifetime::Until(u64::MAX));

    let year = 366 * 24 * 3600;
    let now = u64::from(u32::MAX) / 2;
    for (expires, sensible) in [
        (Expiration::at(now as u32 + year), true),
        (Expiration::at(now as u32 + year + 1), false),
        (Expiration::at(now as u32 - year), true),
        (Expiration::at(now as u32 - year - 1), false),
        (Expiration::after_reading(year), true),
        (Expiration::after_reading(year + 1), false),
    ] {
        assert_eq!(expires.is_sensible(now), sensible, "{expires:?}");
    }
}

#[test]
fn a_moderator_deletes_only_where_the_policy_says_so() {
    let mut room = Room::default();
    let insult = room.say(BOB, Draft::plain("you fool"));
    room.say(ALICE, Draft::deletion(insult));
    assert_eq!(room.last(), Meaning::Ignored(Ignored::NotTheAuthor(insult)));

    room.forget_last();
    room.moderator = Some(ALICE);
    room.say(ALICE, Draft::deletion(insult));
    assert_eq!(room.last(), Meaning::Delete { of: known(insult) });
    room.say(ALICE, Draft::plain("I am a fool").replacing(insult));
    assert_eq!(room.last(), Meaning::Ignored(Ignored::NotTheAuthor(insult)));
}

#[test]
fn what_comes_before_its_original_is_judged_when_that_comes() {
    let mut room = Room::default();
    let original = Draft::plain("typo").finish(salt(99), ALICE, ROOM).unwrap();
    room.say(BOB, Draft::plain("no typo").replacing(original.id));
    let missing = Reference { id: original.id, state: ReferenceState::Missing };
    assert!(matches!(room.last(), Meaning::Edit { of, .. } if of == missing));

    let edit = room.content.clone().unwrap();
    room.forget_last();
    room.take(ALICE, original.content);
    room.take(BOB, edit);
    assert_eq!(room.last(), Meaning::Ignored(Ignored::NotTheAuthor(original.id)));
}

#[test]
fn what_cannot_be_shown_is_said_to_be_there() {
    let mut room = Room::default();
    room.say(ALICE, Draft::new(strange()));
    assert_eq!(room.last(), Meaning::Unknown(Unknown::Parts));
}
