//! What comes in, and what a room shows then.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "these are tests")]

mod room;

use conclave_content::{
    Disposition, Draft, Expiration, ExpiryPolicy, ExternalPart, MIMI_CONTENT, MessageId,
    MessageStatus, MessageStatusReport, Profile, markdown,
};
use conclave_history::{Body, Cursor, Event, Ignored, Taken, Unsent, nobody};
use conclave_store::Store;
use room::{ALICE, BOB, CATHY, NOW, ROOM, World, group};

#[test]
fn a_message_is_kept_with_its_number_time_author_and_identifier() {
    let mut world = World::new();
    let (id, taken) = world.say(ALICE, Draft::markdown("*Hungry?*"));
    let Taken::Said(entry) = taken else { panic!("{taken:?}") };
    assert_eq!(world.entry(1), Some(*entry.clone()));
    assert_eq!((entry.number, entry.id, entry.time), (1, id, NOW));
    assert_eq!((&*entry.user, &*entry.device, entry.own), (ALICE, "alice/pc", false));
    let Body::Said { text, markdown: true, .. } = &entry.body else { panic!("{entry:?}") };
    assert_eq!(text, "*Hungry?*");
    assert_eq!(world.history.read(&world.store).number_of(&group(), &id), Ok(Some(1)));
}

#[test]
fn an_entry_of_the_log_is_taken_once() {
    let mut world = World::new();
    let sent = world.draft(ALICE, Draft::plain("hi"));
    world.take(ALICE, MIMI_CONTENT, &sent.bytes);
    let rows = world.store.clone();
    let again = world.take_at(1, ALICE, MIMI_CONTENT, &sent.bytes).unwrap();
    assert_eq!(again, Taken::Known);
    assert_eq!((world.unread(), world.room().messages), ((1, 0), 1));
    assert_eq!(world.store.scan("h.message", &[], 9), rows.scan("h.message", &[], 9));

    // The same message as another entry counts for nothing, either.
    let other = world.take(ALICE, MIMI_CONTENT, &sent.bytes);
    assert_eq!(other, Taken::Ignored(Ignored::Duplicate));
    assert_eq!(world.numbers(), [1]);
}

#[test]
fn several_messages_are_written_in_one_step() {
    let mut world = World::new();
    let first = world.draft(ALICE, Draft::plain("one"));
    let edit = Draft::plain("two").replacing(first.id);
    let edit = edit.finish(conclave_content::Salt([9; 16]), ALICE, ROOM).unwrap();
    let group = group();
    let mut recording = world.history.record(&world.store, NOW);
    for (number, bytes) in [(1, &first.bytes), (2, &edit.bytes)] {
        let event = Event {
            group: &group,
            room: ROOM,
            me: BOB,
            number,
            time: NOW,
            user: ALICE,
            device: "alice/pc",
            media_type: MIMI_CONTENT,
            bytes,
            may_replace: &nobody,
            expiry: ExpiryPolicy::Open,
        };
        recording.take(&event).unwrap();
    }
    let set = recording.finish();
    world.store.write(&set).unwrap();
    assert_eq!((world.text(1), world.numbers()), ("two".to_owned(), vec![1]));
}

#[test]
fn text_of_older_versions_is_read_and_can_be_replied_to() {
    let mut world = World::new();
    let taken = world.take(ALICE, "text/plain;charset=utf-8", b"hello");
    let Taken::Said(entry) = taken else { panic!("{taken:?}") };
    assert_eq!(entry.body.text(), "hello");
    // The same words again are another message.
    world.take(ALICE, "text/plain;charset=utf-8", b"hello");
    assert_eq!(world.numbers(), [1, 2]);
    world.say(BOB, Draft::plain("hi").in_reply_to(entry.id));
    let quoted = world.entry(3).unwrap().reply_to.unwrap().message.unwrap();
    assert_eq!((quoted.number, &*quoted.device, &*quoted.excerpt), (1, "alice/pc", "hello"));
}

#[test]
fn an_edit_changes_what_is_shown_and_leaves_no_old_text() {
    let mut world = World::new();
    let original = world.said(ALICE, "the password is hunter2");
    let (edit, taken) = world.say(ALICE, Draft::plain("never mind").replacing(original));
    let Taken::Edited(entry) = taken else { panic!("{taken:?}") };
    assert!(entry.edited && entry.number == 1 && entry.id == original);
    assert_eq!((world.text(1), world.numbers()), ("never mind".to_owned(), vec![1]));
    assert!(!world.holds(b"hunter2"));
    assert!(world.search("hunter2").is_empty() && world.search("never") == [1]);

    // An edit of the edit is one of the message, and replies to either show it.
    world.say(ALICE, Draft::plain("third").replacing(edit));
    assert_eq!(world.text(1), "third");
    world.say(BOB, Draft::plain("why?").in_reply_to(edit));
    assert_eq!(world.entry(4).unwrap().reply_to.unwrap().message.unwrap().excerpt, "third");
}

#[test]
fn an_edit_keeps_reply_topic_and_expiration_of_the_original() {
    let mut world = World::new();
    let first = world.said(ALICE, "question");
    let expires = Expiration::at(u32::try_from(NOW + 60).unwrap());
    let draft = Draft::plain("anser").in_reply_to(first).topic(b"t").expiring(expires);
    let (id, _) = world.say(ALICE, draft);
    world.say(ALICE, Draft::plain("answer").replacing(id));
    let entry = world.entry(2).unwrap();
    assert_eq!((entry.body.text(), &*entry.topic), ("answer", &b"t"[..]));
    assert_eq!((entry.reply_to.unwrap().id, entry.expires_at), (first, Some(NOW + 60)));
}

#[test]
fn a_deleted_message_leaves_its_place_and_nothing_else() {
    let mut world = World::new();
    let id = world.said(ALICE, "regrettable");
    world.say(CATHY, Draft::reaction(id, &["😬"]).unwrap());
    world.say(ALICE, Draft::plain("regrettable, too").replacing(id));
    let (_, taken) = world.say(ALICE, Draft::deletion(id));
    assert_eq!(taken, Taken::Deleted { number: 1 });
    let entry = world.entry(1).unwrap();
    assert_eq!(entry.body, Body::Deleted { by: "alice/pc".into() });
    assert!(entry.reactions.is_empty() && !entry.edited);
    assert!(!world.holds(b"regrettable") && !world.holds("😬".as_bytes()));
    assert!(world.search("regrettable").is_empty());

    // It does not come back.
    let (_, taken) = world.say(ALICE, Draft::plain("back").replacing(id));
    assert_eq!(taken, Taken::Ignored(Ignored::Deleted(id)));
    let (_, taken) = world.say(CATHY, Draft::reaction(id, &["👍"]).unwrap());
    assert_eq!(taken, Taken::Nothing);
}

#[test]
fn nobody_replaces_anothers_message_unless_the_policy_says_so() {
    let mut world = World::new();
    let id = world.said(ALICE, "mine");
    for draft in [Draft::plain("theirs").replacing(id), Draft::deletion(id)] {
        let (_, taken) = world.say(CATHY, draft);
        assert_eq!(taken, Taken::Ignored(Ignored::NotTheAuthor(id)));
    }
    assert_eq!(world.text(1), "mine");
    world.moderated = true;
    let (_, taken) = world.say(CATHY, Draft::plain("theirs").replacing(id));
    assert_eq!(taken, Taken::Ignored(Ignored::NotTheAuthor(id)));
    world.say(CATHY, Draft::deletion(id));
    assert_eq!(world.entry(1).unwrap().body, Body::Deleted { by: "cathy/pc".into() });
}

#[test]
fn reactions_are_counted_by_symbol_and_taken_back_by_their_message() {
    let mut world = World::new();
    let id = world.said(ALICE, "cake?");
    let (thumb, taken) = world.say(BOB, Draft::reaction(id, &["👍"]).unwrap());
    let symbols = vec!["👍".to_owned()];
    assert_eq!(taken, Taken::Reacted { number: 1, symbols, taken_back: false });
    world.say(CATHY, Draft::reaction(id, &["👍", "🎂"]).unwrap());
    let shown = |world: &World| -> Vec<(String, usize)> {
        let reactions = world.entry(1).unwrap().reactions;
        reactions.into_iter().map(|r| (r.symbol, r.users.len())).collect()
    };
    assert_eq!(shown(&world), [("👍".to_owned(), 2), ("🎂".to_owned(), 1)]);
    assert_eq!(world.numbers(), [1]);

    let own = world.history.read(&world.store).reactions_of(BOB, &group(), 1);
    assert_eq!(own, Ok(vec![thumb]));
    world.say(BOB, Draft::unreaction(thumb, id));
    assert_eq!(shown(&world), [("👍".to_owned(), 1), ("🎂".to_owned(), 1)]);
    // Somebody else's cannot be taken back, and the same one counts once.
    let (heart, _) = world.say(CATHY, Draft::reaction(id, &["❤"]).unwrap());
    let (_, taken) = world.say(BOB, Draft::unreaction(heart, id));
    assert_eq!(taken, Taken::Ignored(Ignored::NotTheAuthor(heart)));
    world.say(CATHY, Draft::reaction(id, &["❤"]).unwrap());
    assert_eq!(shown(&world)[2], ("❤".to_owned(), 1));
}

#[test]
fn unread_counts_what_others_said_and_mentions_what_names_the_user() {
    let mut world = World::new();
    let mention = || Draft::markdown(&format!("hey {}", markdown::mention("@Bob", BOB)));
    let first = world.said(ALICE, "one");
    let (second, _) = world.say(ALICE, mention());
    world.said(BOB, "mine");
    assert_eq!(world.unread(), (2, 1));

    // Edits, reactions and reports do not count; what an edit mentions does.
    world.say(CATHY, Draft::reaction(second, &["👍"]).unwrap());
    world.say(ALICE, mention().replacing(first));
    assert_eq!(world.unread(), (2, 2));
    world.say(ALICE, Draft::plain("nobody").replacing(first));
    assert_eq!(world.unread(), (2, 1));
    world.say(ALICE, Draft::deletion(second));
    assert_eq!(world.unread(), (1, 0));

    assert!(world.read_up_to(1));
    assert_eq!(world.unread(), (0, 0));
    assert!(!world.read_up_to(1) && !world.read_up_to(0));
    // What is read does not become unread.
    world.say(ALICE, mention().replacing(first));
    assert_eq!(world.unread(), (0, 0));
    // A mention is a link, not a text that looks like one.
    world.say(ALICE, Draft::plain(BOB));
    world.say(ALICE, Draft::markdown(&format!("`<{BOB}>`")));
    assert_eq!(world.unread(), (2, 0));
}

#[test]
fn a_marker_does_not_pass_what_is_still_to_come() {
    let mut world = World::new();
    world.said(ALICE, "one");
    world.read_up_to(u64::MAX);
    world.said(ALICE, "two");
    assert_eq!(world.unread(), (1, 0));
}

#[test]
fn what_another_device_of_the_user_has_read_is_read() {
    let mut world = World::new();
    let ids: Vec<MessageId> = (0..3).map(|_| world.said(ALICE, "hi")).collect();
    let report = MessageStatusReport::of(MessageStatus::READ, [ids[1]]);
    let (_, taken) = world.say(BOB, Draft::status(&report));
    assert_eq!(taken, Taken::ReadElsewhere { up_to: 2 });
    assert_eq!(world.unread(), (1, 0));
    let (_, taken) = world.say(BOB, Draft::status(&report));
    assert_eq!(taken, Taken::Nothing);
}

#[test]
fn receipts_of_others_are_shown_at_own_messages() {
    let mut world = World::new();
    let (mine, theirs) = (world.said(BOB, "mine"), world.said(ALICE, "theirs"));
    let report = |status| Draft::status(&MessageStatusReport::of(status, [mine, theirs]));
    let (_, taken) = world.say(ALICE, report(MessageStatus::DELIVERED));
    assert_eq!(taken, Taken::Receipt { read: false, numbers: vec![1] });
    world.say(CATHY, report(MessageStatus::READ));
    // Nobody unreads.
    world.say(CATHY, report(MessageStatus::DELIVERED));
    let entry = world.entry(1).unwrap();
    assert_eq!((entry.delivered_to, entry.read_by), (2, 1));
    assert_eq!(world.entry(2).unwrap().delivered_to, 0);
    assert_eq!(world.room().read_up_to, 0);
}

#[test]
fn what_is_about_a_message_that_is_not_here_waits_for_it() {
    let mut world = World::new();
    let late = Draft::plain("secret").finish(conclave_content::Salt([7; 16]), ALICE, ROOM).unwrap();
    let (_, taken) = world.say(ALICE, Draft::plain("better").replacing(late.id));
    assert_eq!(taken, Taken::Waiting);
    // Somebody else's edit is kept, too, and judged when it can be.
    world.say(CATHY, Draft::plain("worse").replacing(late.id));
    world.say(CATHY, Draft::reaction(late.id, &["👍"]).unwrap());
    assert!(world.numbers().is_empty());

    let taken = world.take(ALICE, MIMI_CONTENT, &late.bytes);
    let Taken::Said(entry) = taken else { panic!("{taken:?}") };
    assert_eq!((entry.body.text(), entry.edited, entry.reactions.len()), ("better", true, 1));
    assert!(!world.holds(b"secret") && !world.holds(b"worse"));
}

#[test]
fn an_expired_message_is_gone_with_all_that_was_known_of_it() {
    let mut world = World::new();
    world.said(ALICE, "before");
    let before = world.rows();
    let expires = Expiration::at(u32::try_from(NOW + 60).unwrap());
    let (id, _) = world.say(ALICE, Draft::plain("ephemeral").topic(b"x").expiring(expires));
    world.say(CATHY, Draft::reaction(id, &["👀"]).unwrap());
    world.say(ALICE, Draft::plain("ephemeral!").replacing(id));
    assert_eq!(world.history.read(&world.store).wake_at(), Ok(Some(NOW + 60)));
    assert_eq!((world.search("ephemeral"), world.unread()), (vec![2], (2, 0)));

    world.now = NOW + 59;
    assert!(world.expire().is_empty());
    world.now = NOW + 60;
    assert_eq!(world.expire(), [2]);
    assert_eq!(
        (world.numbers(), world.unread(), world.search("ephemeral")),
        (vec![1], (1, 0), vec![])
    );
    assert_eq!(world.rows(), before);
    assert!(!world.holds(b"ephemeral") && world.history.read(&world.store).wake_at() == Ok(None));
}

#[test]
fn what_expires_after_reading_expires_after_it_was_read() {
    let mut world = World::new();
    world.say(ALICE, Draft::plain("burns").expiring(Expiration::after_reading(30)));
    world.say(BOB, Draft::plain("mine").expiring(Expiration::after_reading(30)));
    // What the user has said is read.
    assert_eq!(world.history.read(&world.store).wake_at(), Ok(Some(NOW + 30)));
    world.now = NOW + 1000;
    assert_eq!(world.expire(), [2]);
    world.read_up_to(2);
    assert_eq!(world.entry(1).unwrap().expires_at, Some(NOW + 1030));
    world.now += 30;
    assert_eq!(world.expire(), [1]);
    assert!(world.numbers().is_empty());
}

#[test]
fn what_nobody_reads_expires_when_its_room_lets_no_message_live_longer() {
    let mut world = World::new();
    let year = 366 * 24 * 3600;
    world.say(ALICE, Draft::plain("burns").expiring(Expiration::after_reading(30)));
    world.expiry = ExpiryPolicy::Within { required: false, min: 0, max: 3600, default: None };
    world.say(ALICE, Draft::plain("burns").expiring(Expiration::after_reading(30)));
    world.say(ALICE, Draft::plain("burns").expiring(Expiration::after_reading(30)));
    let unread = world.entry(2).unwrap();
    let end = (unread.expires_at, unread.expires_after_reading);
    assert_eq!(end, (Some(NOW + 3600), Some(30)));

    // Reading replaces that end by another one.
    world.now = NOW + 3599;
    world.read_up_to(2);
    let read = world.entry(2).unwrap();
    assert_eq!((read.expires_at, read.expires_after_reading), (Some(NOW + 3629), None));
    assert_eq!(world.entry(1).unwrap().expires_at, Some(NOW + 3629));
    world.now = NOW + 3600;
    assert_eq!(world.expire(), [3]);
    world.now = NOW + 3629;
    assert_eq!(world.expire(), [1, 2]);
    assert!(world.numbers().is_empty() && world.history.read(&world.store).wake_at() == Ok(None));

    world.expiry = ExpiryPolicy::Open;
    world.say(ALICE, Draft::plain("burns").expiring(Expiration::after_reading(30)));
    world.now += year;
    assert_eq!(world.expire(), [4]);
}

#[test]
fn a_message_that_expired_before_it_was_taken_is_never_stored() {
    let mut world = World::new();
    let sent = world.draft(ALICE, {
        let expires = Expiration::at(u32::try_from(NOW + 10).unwrap());
        Draft::plain("gone").expiring(expires)
    });
    let (group, accepted) = (group(), NOW);
    let mut recording = world.history.record(&world.store, NOW + 11);
    let taken = recording.take(&Event {
        group: &group,
        room: ROOM,
        me: BOB,
        number: 1,
        time: accepted,
        user: ALICE,
        device: "alice/pc",
        media_type: MIMI_CONTENT,
        bytes: &sent.bytes,
        may_replace: &nobody,
        expiry: ExpiryPolicy::Open,
    });
    assert_eq!(taken, Ok(Taken::Ignored(Ignored::Expired)));
    let set = recording.finish();
    world.store.write(&set).unwrap();
    assert!(!world.holds(b"gone"));
}

#[test]
fn a_message_expires_as_its_room_demands_whatever_its_sender_chose() {
    let mut world = World::new();
    let at = |seconds: u64| Expiration::at(u32::try_from(NOW + seconds).unwrap());
    world.said(ALICE, "before there was a policy");
    world.expiry = ExpiryPolicy::Within { required: true, min: 60, max: 3600, default: Some(3600) };
    let (id, _) = world.say(ALICE, Draft::plain("chose nothing"));
    world.take(ALICE, "text/plain", b"of an older version");
    world.say(ALICE, Draft::plain("too long").expiring(at(100_000)));
    world.say(ALICE, Draft::plain("too short").expiring(at(1)));
    world.say(ALICE, Draft::plain("burns late").expiring(Expiration::after_reading(100_000)));
    // An edit, by which nobody makes a message stay, and nobody's own message does.
    world.say(ALICE, Draft::plain("edited").replacing(id));
    world.say(BOB, Draft::plain("of this user's"));
    world.expiry = ExpiryPolicy::Never;
    world.say(ALICE, Draft::plain("stays").expiring(at(60)));

    world.read_up_to(6);
    let expire = |world: &mut World, now: u64| {
        world.now = now;
        world.expire()
    };
    assert!(expire(&mut world, NOW + 59).is_empty());
    assert_eq!(expire(&mut world, NOW + 60), [5]);
    assert!(expire(&mut world, NOW + 3599).is_empty());
    let mut expired = expire(&mut world, NOW + 3600);
    expired.sort_unstable();
    assert_eq!(expired, [2, 3, 4, 6, 8]);
    assert!(expire(&mut world, NOW + 1_000_000).is_empty());
    assert_eq!(world.numbers(), [1, 9]);
    for gone in ["chose nothing", "older version", "too long", "edited", "burns late"] {
        assert!(!world.holds(gone.as_bytes()), "{gone}");
    }
}

#[test]
fn a_deleted_message_that_expires_leaves_no_place_either() {
    let mut world = World::new();
    let expires = Expiration::at(u32::try_from(NOW + 60).unwrap());
    let (id, _) = world.say(ALICE, Draft::plain("x").expiring(expires));
    world.say(ALICE, Draft::deletion(id));
    world.now = NOW + 60;
    assert_eq!(world.expire(), [1]);
    assert!(world.entry(1).is_none());
}

#[test]
fn messages_of_a_topic_are_found_by_it() {
    let mut world = World::new();
    for n in 0..6 {
        let draft = Draft::plain("x");
        world.say(ALICE, if n % 2 == 0 { draft.topic(b"even") } else { draft });
    }
    let reading = world.history.read(&world.store);
    let page = reading.topic(&group(), b"even", Cursor::FIRST, 2).unwrap();
    assert_eq!(room::numbers(&page.entries), [1, 3]);
    let page = reading.topic(&group(), b"even", page.later.unwrap(), 2).unwrap();
    assert_eq!((room::numbers(&page.entries), page.later), (vec![5], None));
    assert!(reading.topic(&group(), b"odd", Cursor::FIRST, 2).unwrap().entries.is_empty());
    // Its name is not in a key.
    assert!(
        !world
            .store
            .scan("h.topic", &[], 9)
            .unwrap()
            .iter()
            .any(|(k, _)| k.windows(4).any(|w| w == b"even"))
    );
}

#[test]
fn attachments_are_listed_and_their_keys_stay_in_the_content() {
    let mut world = World::new();
    let external = ExternalPart {
        filename: "../cake\u{202e}gpj.exe".into(),
        description: "a cake\nfor you".into(),
        size: 5,
        ..ExternalPart::plain("image/jpeg", "https://files.example/1")
    };
    world.say(ALICE, Draft::attachment(Disposition::ATTACHMENT, external));
    let entry = world.entry(1).unwrap();
    let [attachment] = entry.body.attachments() else { panic!("{entry:?}") };
    assert_eq!(attachment.file_name.as_deref(), Some("cakegpj.exe"));
    assert_eq!((&*attachment.description, attachment.size), ("a cake for you", Some(5)));
    assert_eq!(world.search("cake"), [1]);
    assert!(entry.content().is_some());
}

#[test]
fn what_is_being_written_is_kept_until_it_is_empty() {
    let mut world = World::new();
    let id = world.said(ALICE, "hi");
    let unsent = Unsent { text: "well, ".into(), in_reply_to: Some(id) };
    for unsent in [unsent, Unsent::default()] {
        let mut recording = world.history.record(&world.store, NOW);
        recording.keep_unsent((&group(), ROOM), &unsent).unwrap();
        let set = recording.finish();
        world.store.write(&set).unwrap();
        assert_eq!(world.history.read(&world.store).unsent(&group()), Ok(unsent));
    }
}

#[test]
fn what_is_written_in_a_room_where_nothing_was_said_is_kept() {
    let mut world = World::new();
    let unsent = Unsent { text: "first!".into(), in_reply_to: None };
    let keep = |world: &mut World, unsent: &Unsent| {
        let mut recording = world.history.record(&world.store, NOW);
        recording.keep_unsent((&group(), ROOM), unsent).unwrap();
        let set = recording.finish();
        world.store.write(&set).unwrap();
    };
    // Nothing is kept of nothing.
    keep(&mut world, &Unsent::default());
    assert_eq!(world.history.read(&world.store).room(&group()), Ok(None));

    keep(&mut world, &unsent);
    assert_eq!(world.history.read(&world.store).unsent(&group()), Ok(unsent.clone()));
    assert_eq!((world.room().messages, world.unread()), (0, (0, 0)));
    world.said(ALICE, "hi");
    assert_eq!((world.numbers(), world.unread()), (vec![1], (1, 0)));
    assert_eq!(world.history.read(&world.store).unsent(&group()), Ok(unsent));
}

#[test]
fn a_room_that_is_forgotten_leaves_nothing() {
    let mut world = World::new();
    let expires = Expiration::at(u32::try_from(NOW + 60).unwrap());
    for n in 0..300 {
        let (id, _) =
            world.say(ALICE, Draft::plain(&format!("n{n}")).topic(b"t").expiring(expires));
        world.say(CATHY, Draft::reaction(id, &["👍"]).unwrap());
    }
    let mut recording = world.history.record(&world.store, NOW);
    recording.forget(&group()).unwrap();
    let set = recording.finish();
    world.store.write(&set).unwrap();
    let left: Vec<_> = world.rows().into_iter().filter(|(_, count)| *count > 0).collect();
    assert_eq!(left, [("h.meta", 2)]);
}

#[test]
fn mentions_are_found_the_latest_first_and_read_as_names() {
    let mut world = World::new();
    let mention = || Draft::markdown(&format!("hey {}!", markdown::mention("@bob", BOB)));
    let (first, _) = world.say(ALICE, mention());
    world.said(ALICE, "@bob is no link");
    world.say(BOB, mention());
    for n in 0..300 {
        world.said(ALICE, &format!("between {n}"));
    }
    world.say(CATHY, mention());
    let found = |world: &World, before: Cursor, limit| {
        let reading = world.history.read(&world.store);
        let found = reading.mentions(&group(), before, limit).unwrap();
        (found.entries.iter().map(|entry| entry.number).collect::<Vec<_>>(), found.before)
    };
    assert_eq!(found(&world, Cursor::LAST, 20), (vec![304, 1], None));
    assert_eq!(found(&world, Cursor::LAST, 1), (vec![304], Some(Cursor(304))));
    assert_eq!(found(&world, Cursor(304), 1), (vec![1], None));
    assert_eq!(world.entry(1).unwrap().body.readable(), "hey @bob!");
    assert!(world.search("example").is_empty(), "an address is not what people said");
    world.say(ALICE, Draft::deletion(first));
    assert_eq!(found(&world, Cursor::LAST, 20), (vec![304], None));
}

#[test]
fn a_profile_is_nothing_that_was_said() {
    let mut world = World::new();
    world.said(ALICE, "hi");
    world.read_up_to(1);

    let profile = Profile::new(1, "bob: Alice", None).unwrap();
    let (id, taken) = world.say(ALICE, Draft::profile(&profile));
    assert_eq!(taken, Taken::Profile(Box::new(profile)));
    assert_eq!(world.unread(), (0, 0));
    assert_eq!(world.search("alice"), []);
    assert_eq!(world.numbers(), [1]);

    // Nothing can be said about it.
    assert_eq!(world.say(BOB, Draft::reaction(id, &["!"]).unwrap()).1, Taken::Waiting);
    assert_eq!(world.say(ALICE, Draft::plain("I quit").replacing(id)).1, Taken::Waiting);
    assert_eq!((world.numbers(), world.unread()), (vec![1], (0, 0)));
}
