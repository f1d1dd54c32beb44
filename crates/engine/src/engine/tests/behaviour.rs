use super::*;
use crate::book::Change;
use crate::content::{Content, MAX_CONTENT, UNKNOWN_KIND};
use crate::record::{GroupRecord, Item, Payload, Stage, Work};
use crate::suites::{CLASSIC, HYBRID};
use crate::{CommandError, Output, Remedy};
use conclave_delivery_api::{CountKeyPackages, JoinLink, KeyPackageCount, KeyPackageRef};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// A host that stores events knows by the number which of them it has.
#[test]
fn an_event_keeps_its_number_until_acknowledged_and_no_other_gets_it() {
    let mut world = World::new(73);
    let a = world.add("a/pc");
    world.say(a, "/new g");
    world.say(a, "one");
    world.settle();
    world.kill(a);
    world.say(a, "two");
    while world.step_without_outputs(a) {}

    let given = world.devices[a].engine.outputs(world.now);
    assert!(given.iter().any(|output| matches!(output, Output::News { .. })), "{given:?}");
    world.kill(a);
    let again = world.devices[a].engine.outputs(world.now);
    let numbered = |outputs: &[Output]| -> Vec<Output> {
        outputs.iter().filter(|output| matches!(output, Output::News { .. })).cloned().collect()
    };
    assert_eq!(numbered(&again), numbered(&given));

    world.settle();
    let number = |shown: &Shown| match shown {
        Shown::News { key, .. } => Some(*key),
        _ => None,
    };
    let numbers: Vec<u64> = world.devices[a].shown.iter().filter_map(number).collect();
    assert!(numbers.len() >= 3 && numbers.is_sorted_by(|one, two| one < two), "{numbers:?}");
}

/// An application says what it likes, and what it says comes out as it went in, also after a restart.
#[test]
fn bytes_of_any_media_type_are_carried_and_kept() {
    let mut world = World::new(71);
    let [a, b] = ["a/pc", "b/pc"].map(|id| world.add(id));
    world.say(a, "/new g");
    world.say(a, "/invite b");
    world.settle();
    world.say(b, "/accept");

    let mimi = Content::new("application/mimi-content", [0xa0, 0xff, 0]).unwrap();
    world.order(a, Command::Send(mimi.clone()));
    world.kill(a);
    world.settle();
    world.kill(b);
    world.say(b, "/history");
    world.settle();

    for i in [a, b] {
        let content = |shown: &Shown| match shown {
            Shown::News { news: News::Message { content, .. }, .. } => Some(content.clone()),
            _ => None,
        };
        let shown: Vec<Content> = world.devices[i].shown.iter().filter_map(content).collect();
        assert_eq!(shown, std::slice::from_ref(&mimi), "{i}");
        assert_eq!(world.devices[i].count("content g "), 1, "{i}");
    }
    assert_eq!(world.devices[b].count("history content g "), 1);
}

/// A member with another client sends what ours never does.
#[test]
fn odd_messages_are_given_as_such_and_hold_up_nothing() {
    let mut world = World::new(72);
    let [a, b] = ["a/pc", "b/pc"].map(|id| world.add(id));
    world.say(a, "/new g");
    world.say(a, "/invite b");
    world.settle();
    world.say(b, "/accept");

    let long = Content::new("a/b", vec![7; MAX_CONTENT + 1]).unwrap();
    world.order(a, Command::Send(long.clone()));
    world.settle();
    assert_eq!(world.devices[a].count("error a message has at most 1048576 bytes"), 1);

    let latin = Content::new("text/plain;charset=utf-8", [0xe4]).unwrap();
    for payload in
        [Payload::Unknown(vec![9, 1, 2]), Payload::Content(latin), Payload::Content(long)]
    {
        gossip::say_payload(&mut world, a, &payload);
    }
    world.say(a, "hello");
    world.settle();
    let unknown = |shown: &Shown| match shown {
        Shown::News { news: News::Message { content, .. }, .. } => {
            content.media_type() == UNKNOWN_KIND && content.bytes() == [9, 1, 2]
        }
        _ => false,
    };
    assert_eq!(world.devices[b].shown.iter().filter(|output| unknown(output)).count(), 1);
    assert!(world.devices[b].lines().iter().any(|line| {
        line.starts_with("content g ") && line.ends_with(" 1 text/plain;charset=utf-8")
    }));
    assert_eq!(world.devices[b].count("unreadable g "), 1);
    assert_eq!(world.devices[b].messages().last().unwrap().3, "hello");
}

/// A command need not have been a line that somebody has read.
#[test]
fn no_group_gets_a_name_that_misleads() {
    let mut world = World::new(70);
    let a = world.add("a/pc");
    for name in ["", "a b", "a\u{202e}b", "-", &"x".repeat(65)] {
        let new = crate::Command::New { name: name.into(), suite: None };
        world.order(a, Command::Wish(new));
    }
    world.settle();
    assert_eq!(world.devices[a].count("error a group's name has at most 64 bytes"), 5);
    assert_eq!(world.devices[a].count("created "), 0);
}

/// A host of another kind than the messenger decides by what it is given, not by a sentence.
#[test]
fn a_refused_command_is_a_value_and_changes_nothing() {
    let mut world = World::new(74);
    let [a, b] = ["a/pc", "b/pc"].map(|id| world.add(id));
    world.settle();
    world.say(a, "/new g");
    world.say(a, "/invite b");
    world.settle();
    let group = world.devices[a].current();
    let refusals = [
        (a, crate::Command::New { name: "g".into(), suite: None }, "name-taken", "choose-name"),
        (a, crate::Command::Accept(group.clone()), "no-invitation", ""),
        (
            a,
            crate::Command::Join(JoinLink::new(&mut TestRng(1), group.clone(), "g")),
            "already-a-member",
            "",
        ),
        (b, crate::Command::Reset(group.clone()), "not-accepted", "answer-invitation"),
        (
            b,
            crate::Command::Unlink { group: group.clone(), number: 1 },
            "not-accepted",
            "answer-invitation",
        ),
        (b, crate::Command::Leave(b"other".as_slice().into()), "not-a-member", ""),
        (b, crate::Command::Revoke("pc".parse().unwrap()), "revokes-itself", "use-other-device"),
    ];
    for (i, command, code, remedy) in refusals {
        let device = &mut world.devices[i];
        let before = device.disk.writes();
        let refused = device.engine.command(world.now, command);
        let Err(CommandError::Refused(reason)) = refused else { panic!("{code}: {refused:?}") };
        assert_eq!(reason.code(), code, "{reason}");
        assert_eq!(reason.remedy().map_or("", Remedy::code), remedy, "{reason}");
        assert_eq!(device.disk.writes(), before, "{code}");
        assert_eq!(device.engine.outputs(world.now), [], "{code}");
    }
}

#[test]
fn people_talk_and_see_the_same_codes() {
    let mut world = World::new(1);
    let (alice, bob) = (world.add("alice/pc"), world.add("bob/pc"));
    world.group("lunch", &[alice, bob]);
    world.agree(&[alice, bob]);
    world.say(alice, "soup?");
    world.settle();
    world.say(bob, "yes");
    world.settle();
    let messages = world.devices[alice].messages();
    assert_eq!(messages.len(), 2);
    assert_eq!(world.devices[bob].messages(), messages);
    assert!(world.devices.iter().all(|device| device.engine.is_settled()));
}

#[test]
fn two_invitations_at_once_both_come_about() {
    let mut world = World::new(2);
    let [a, b, c, d] = ["a/pc", "b/pc", "c/pc", "d/pc"].map(|id| world.add(id));
    world.group("g", &[a, b]);
    world.say(a, "/invite c");
    world.say(b, "/invite d");
    // Step by step in turn: both make a commit of the same epoch, and one of them loses.
    world.settle();
    world.agree(&[a, b, c, d]);
    let joined = |i: usize| world.devices[i].has_line("joined g");
    assert!(joined(c) && joined(d));
}

#[test]
fn who_is_removed_is_told_and_hears_no_more() {
    let mut world = World::new(3);
    let [a, b, c] = ["a/pc", "b/pc", "c/pc"].map(|id| world.add(id));
    world.group("g", &[a, b, c]);
    world.say(a, "/remove c");
    world.say(a, "without c");
    world.settle();
    world.agree(&[a, b]);
    assert!(world.devices[c].has_line("out g"));
    assert!(world.devices[c].messages().is_empty());
    assert_eq!(world.devices[b].messages().len(), 1);
    world.say(c, "may I?");
    world.settle();
    assert!(world.devices[c].has_line("error you are no longer in g"));
    // It can be invited again.
    world.say(a, "/invite c");
    world.settle();
    world.agree(&[a, b, c]);
    world.say(c, "thanks");
    world.settle();
    assert_eq!(world.devices[b].messages().len(), 2);
}

#[test]
fn who_leaves_is_out_when_somebody_else_commits_it() {
    let mut world = World::new(4);
    let [a, b, phone] = ["a/pc", "b/pc", "b/phone"].map(|id| world.add(id));
    world.group("g", &[a, b]);
    world.agree(&[a, b, phone]);
    world.say(b, "/leave");
    world.settle();
    world.agree(&[a]);
    assert!(world.devices[b].has_line("left g"));
    assert!(world.devices[phone].has_line("out g"), "a user leaves with all devices");
    world.say(a, "/leave");
    world.settle();
    assert!(world.devices[a].has_line("left g"));
}

#[test]
fn a_group_that_all_leave_at_once_ends() {
    let mut world = World::new(5);
    let [a, b, c] = ["a/pc", "b/pc", "c/pc"].map(|id| world.add(id));
    world.group("g", &[a, b, c]);
    for i in [a, b, c] {
        world.say(i, "/leave");
    }
    world.settle();
    for i in [a, b, c] {
        assert!(world.devices[i].has_line("left g"), "{:?}", world.devices[i].lines());
    }
}

#[test]
fn a_new_device_reads_what_comes_and_not_what_was() {
    let mut world = World::new(6);
    let (a, b) = (world.add("a/pc"), world.add("b/pc"));
    world.group("g", &[a, b]);
    world.say(a, "before");
    let phone = world.add("b/phone");
    world.settle();
    world.say(b, "/invite b");
    world.settle();
    world.agree(&[a, b, phone]);
    world.say(a, "after");
    world.settle();
    assert_eq!(world.texts(phone), ["after"]);
    world.say(b, "/invite b");
    world.settle();
    assert!(world.devices[b].has_line("note g all devices of b are in the group"));
}

/// What the service said of a user before says nothing of a device that has come since.
#[test]
fn an_invitation_by_a_device_that_is_new_to_a_known_user_is_taken() {
    let mut world = World::new(40);
    let (a, b) = (world.add("a/pc"), world.add("b/pc"));
    world.group("g", &[a, b]);
    let phone = world.add("a/phone");
    world.group("h", &[phone, b]);
    assert!(world.devices[b].has_line("joined h"), "{:?}", world.devices[b].lines());
}

#[test]
fn a_device_that_is_new_to_a_known_user_is_followed_into_a_group() {
    let mut world = World::new(41);
    let (a, b) = (world.add("a/pc"), world.add("b/pc"));
    world.group("g", &[a, b]);
    let phone = world.add("a/phone");
    world.settle();
    world.say(a, "/invite a");
    world.settle();
    world.agree(&[a, b, phone]);
    assert!(!world.devices[b].has_line("error"), "{:?}", world.devices[b].lines());
}

#[test]
fn a_device_that_comes_back_with_another_key_is_refused() {
    let mut world = World::new(7);
    let (a, b) = (world.add("a/pc"), world.add("b/pc"));
    world.group("g", &[a, b]);
    let disk = world.devices[a].disk.clone();
    // Another service vouches for another b/pc.
    let mut other = World::new(8);
    let (a, b) = (other.add_with("a/pc", None, disk), other.add("b/pc"));
    other.group("h", &[a, b]);
    assert!(!other.devices[b].has_line("joined"));
    let lines = other.devices[a].lines();
    let refused = |line: &String| {
        line.starts_with("alarm - what the service says of b contradicts what it said before")
    };
    assert!(lines.iter().any(refused), "{lines:?} {}", other.devices[a].engine.state());
}

#[test]
fn proposals_are_committed_before_something_is_said() {
    let (mut world, [a, b, c]) = World::departure(9);
    world.say(a, "goodbye");
    world.settle();
    world.agree(&[a, b]);
    assert!(world.devices[c].messages().is_empty(), "it was said after the departure");
    assert_eq!(world.devices[b].messages().len(), 1);
}

#[test]
fn what_cannot_be_done_is_said_and_holds_nothing_up() {
    let mut world = World::new(10);
    let a = world.add("a/pc");
    world.group("g", &[a]);
    for line in ["/invite nobody", "/remove nobody", "/invite a", "still here"] {
        world.say(a, line);
    }
    world.settle();
    let lines = world.devices[a].lines();
    let said = |begin: &str| lines.iter().any(|line| line.starts_with(begin));
    assert!(said("failed g nobody is not invited"), "{lines:?}");
    assert!(said("failed g nobody is not in the group"), "{lines:?}");
    assert!(said("note g all devices of a"), "{lines:?}");
    assert!(world.devices[a].messages().iter().any(|(.., text)| text == "still here"));
}

#[test]
fn key_packages_of_each_suite_are_made_again_when_they_run_low() {
    let mut world = World::new(11);
    let (a, b) = (world.add("a/pc"), world.add("b/pc"));
    world.settle();
    for suite in ["hybrid", "classic"] {
        for i in 0..12 {
            let name = format!("{suite}{i}");
            world.group(&format!("{name} {suite}"), &[a, b]);
            assert!(world.devices[b].has_line(&format!("joined {name} ")), "{name}");
        }
        let reply = world.call(b, Request::CountKeyPackages(CountKeyPackages {})).unwrap();
        let Reply::CountKeyPackages(counts) = reply else { panic!("{reply:?}") };
        for wanted in [HYBRID, CLASSIC] {
            let of = counts.counts.iter().find(|count| count.cipher_suite == wanted).unwrap();
            assert!((5..=10).contains(&of.available), "{of:?}");
            assert_eq!(of.last_resort, 1);
        }
    }
    let stored = world.devices[b].engine.book.key_packages().unwrap().len();
    assert!((12..=22).contains(&stored), "{stored}");
}

#[test]
fn key_packages_without_secrets_are_not_published() {
    let mut world = World::new(13);
    let a = world.add("a/pc");
    world.settle();
    let (now, engine) = (world.now, &mut world.devices[a].engine);
    let lost = Change::Publish(vec![7; 32].into(), true);
    engine.book.commit(None, vec![lost]).unwrap();
    let request = engine.next_request(now).unwrap();
    assert!(request.is_none(), "{request:?}");
    assert!(engine.book.unpublished().is_empty() && engine.is_settled());
}

#[test]
fn where_secrets_are_lost_a_suites_key_packages_are_replaced_in_one_call() {
    let mut world = World::new(14);
    let (a, b) = (world.add("a/pc"), world.add("b/pc"));
    world.settle();
    let held = |world: &mut World| {
        let reply = world.call(b, CountKeyPackages {}.into()).unwrap();
        let Reply::CountKeyPackages(counts) = reply else { panic!("{reply:?}") };
        let of = |c: KeyPackageCount| (c.cipher_suite, (c.references, c.available, c.last_resort));
        counts.counts.into_iter().map(of).collect::<BTreeMap<_, _>>()
    };
    let before = held(&mut world);

    // Seven of one suite's are lost, the last resort among them.
    let lost = before[&HYBRID].0[4..].to_vec();
    let forget = |reference: &KeyPackageRef| Change::KeyPackage(reference.clone(), None);
    world.devices[b].engine.book.commit(None, lost.iter().map(forget).collect()).unwrap();
    let calls = Rc::new(RefCell::new(Vec::new()));
    let seen = calls.clone();
    world.fault = Some(Box::new(move |request| {
        match request {
            Request::ReplaceKeyPackages(request) => {
                seen.borrow_mut().push((request.cipher_suite, request.key_packages.len()));
            }
            Request::PublishKeyPackages(_) => panic!("a call more than is needed"),
            _ => {}
        }
        // The first is lost on the way.
        (seen.borrow().len() == 1 && matches!(request, Request::ReplaceKeyPackages(_)))
            .then(unreachable)
    }));
    world.now += 60 * 60 * 1000;
    world.settle();
    world.fault = None;
    assert_eq!(*calls.borrow(), [(HYBRID, 11), (HYBRID, 11)]);

    let after = held(&mut world);
    assert_eq!(after[&CLASSIC], before[&CLASSIC]);
    let (references, available, last_resort) = &after[&HYBRID];
    assert_eq!((*available, *last_resort), (10, 1));
    assert!(lost.iter().all(|reference| !references.contains(reference)));
    assert_eq!(references[..4], before[&HYBRID].0[..4], "those that can be used stay");
    world.group("g", &[a, b]);
    assert!(world.devices[b].has_line("joined g"));
}

#[test]
fn state_is_used_by_its_device_alone() {
    let mut world = World::new(12);
    let a = world.add("a/pc");
    let setup = |id: &str, suite: Option<u16>| Setup {
        device: id.parse().unwrap(),
        cipher_suite: suite.map(CipherSuite),
        provider: provider(),
        rng: Box::new(TestRng(0)),
        store: world.devices[a].disk.clone(),
        invitation: None,
        certificates: Default::default(),
        keys: Default::default(),
        evidence_place: String::new(),
    };
    let refused = |suite| match Engine::open(setup("a/pc", Some(suite))) {
        Err(e @ EngineError::OtherSuite { .. }) => e.to_string(),
        _ => panic!("another suite is taken"),
    };
    assert!(matches!(Engine::open(setup("b/pc", None)), Err(EngineError::OtherDevice { .. })));
    // `a/pc` has two suites: it cannot become a device of one.
    for suite in [1, 2, 0xf0c2] {
        let said = refused(suite);
        assert!(
            said.contains("MLKEM768X25519_AES256GCM") && said.contains("DHKEMX25519"),
            "{said}"
        );
    }
    assert!(Engine::open(setup("a/pc", None)).is_ok());
}

/// A service that was set up anew knows no groups: whoever knows an old one's identifier can make
/// another of it.
#[test]
fn what_waits_in_a_lost_group_is_not_said_in_a_strangers() {
    let mut world = World::new(42);
    let (alice, mallory) = (world.add("alice/pc"), world.add("mallory/pc"));
    world.settle();
    world.say(mallory, "/new trap");
    world.settle();
    let group = world.devices[mallory].current();
    let record = GroupRecord::new("work".into(), Stage::Active, 0);
    let payload = Payload::Content(Content::from_text("between us"));
    let item = Item { group: group.clone(), work: Work::Send { payload, sealed: None } };
    let before = vec![Change::Record(group, record), Change::NewItem(item)];
    world.devices[alice].engine.book.commit(None, before).unwrap();

    world.say(mallory, "/invite alice");
    world.settle();
    let lines = world.devices[alice].lines();
    assert!(world.devices[alice].has_line("invited work 1 by mallory/pc "), "{lines:?}");
    assert!(lines.iter().any(|line| line.starts_with("failed work ")), "{lines:?}");
    assert!(world.devices[mallory].messages().is_empty(), "{:?}", world.devices[mallory].lines());
}

#[test]
fn a_group_named_as_an_unnamed_one_is_shown_gets_another_name() {
    let mut world = World::new(43);
    let a = world.add("a/pc");
    world.settle();
    world.say(a, "/new g");
    world.settle();
    let group = world.devices[a].current();
    let book = &mut world.devices[a].engine.book;
    let record = GroupRecord { name: String::new(), ..book.record(&group).cloned().unwrap() };
    book.commit(None, vec![Change::Record(group.clone(), record)]).unwrap();
    let shown = book.group_name(&group);
    assert_eq!(book.free_name(&b"other".as_slice().into(), &shown), format!("{shown}-2"));
}

/// If the maker left at once, whoever came in by its commit would keep it as a member.
#[test]
fn a_maker_who_leaves_while_it_invites_is_no_member_for_the_invited() {
    let mut world = World::new(58);
    let [a, b] = ["a/pc", "b/pc"].map(|id| world.add(id));
    world.group("g", &[a]);
    world.say(a, "/invite b");
    loop {
        let now = world.now;
        let request = world.devices[a].engine.next_request(now).unwrap().unwrap();
        let is_commit = matches!(request, Request::SubmitCommit(_));
        if is_commit {
            // The service takes it, and the answer does not come.
            world.call(a, request).unwrap();
            break;
        }
        world.call_and_answer(a, request);
    }
    world.say(a, "/leave");
    let now = world.now;
    world.devices[a].engine.answer(now, Err(unreachable())).unwrap();
    world.settle();
    world.accept(b, "g");
    world.settle();
    assert!(world.devices[a].has_line("left g"), "{:?}", world.devices[a].lines());
    world.agree(&[b]);
}
