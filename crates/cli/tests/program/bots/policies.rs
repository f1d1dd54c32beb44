//! What rooms' policies and senders say of expiry, and whom owners let in.

use super::{Daemon, lunch, script};
use crate::common::DONE;
use serde_json::{Value, json};
use std::time::Duration;

#[test]
fn a_bot_knows_when_messages_disappear_and_decides_it_where_it_may() {
    let people = lunch();
    assert_eq!(people.chat("alice", "/expiry 7d\nfor a week\n/role bot admin\n").code, DONE);
    let mut daemon = Daemon::start(&people, &["bot"], &[]);
    daemon.call("subscribe", json!({}));
    let policy = daemon.event("room");
    assert_eq!(policy["text"], "messages disappear after 7 days");
    let week = json!({ "mode": "required", "min": 604800, "max": 604800, "default": 604800 });
    assert_eq!(policy["expiry"], week);
    let said = daemon.event("text");
    let time = said["time"].as_u64().unwrap();
    assert_eq!(said["expires_at"], time + 604_800);
    daemon.event("room");
    assert_eq!(daemon.call("rooms", json!({}))["rooms"][0]["expiry"], week);

    // An expiry of a text of the bot's own comes from the policy, too.
    let day = json!({ "room_name": "lunch", "mode": "optional", "max": 86400, "default": 3600 });
    daemon.call("set_expiry", day);
    let reports = json!({ "room_name": "lunch", "delivered": "required", "read": "forbidden" });
    daemon.call("set_reports", reports);
    let expiry = daemon.event("room");
    assert_eq!(expiry["expiry"]["max"], 86400);
    let reports = daemon.event("room");
    assert_eq!(reports["reports"], json!({ "delivered": "required", "read": "forbidden" }));
    daemon.call("send", json!({ "room_name": "lunch", "text": "for an hour", "wait": true }));
    let said = daemon.event("text");
    let left = said["expires_at"].as_u64().unwrap() - said["time"].as_u64().unwrap();
    assert!((3500..=3600).contains(&left), "{left}");

    // The device deletes what is over, whether the daemon runs then or not.
    let soon = json!({ "room_name": "lunch", "mode": "required", "min": 6, "max": 6 });
    daemon.call("set_expiry", soon);
    daemon.event("room");
    daemon.call("send", json!({ "room_name": "lunch", "text": "soon over", "wait": true }));
    assert!(texts_kept(&mut daemon).contains(&"soon over".into()));
    std::thread::sleep(Duration::from_secs(7));
    assert!(!texts_kept(&mut daemon).contains(&"soon over".into()));
    daemon.call("send", json!({ "room_name": "lunch", "text": "over later", "wait": true }));
    drop(daemon);
    std::thread::sleep(Duration::from_secs(6));
    let mut daemon = Daemon::start(&people, &["bot"], &[]);
    daemon.call("rooms", json!({}));
    let kept = texts_kept(&mut daemon);
    assert!(
        kept.contains(&"for a week".into()) && !kept.contains(&"over later".into()),
        "{kept:?}"
    );
}

/// The texts that the bot's device has kept in `lunch`.
fn texts_kept(daemon: &mut Daemon) -> Vec<String> {
    let history = daemon.call("history", json!({ "room_name": "lunch" }));
    let events = history["events"].as_array().unwrap().iter();
    events.filter_map(|event| event["text"].as_str()).map(str::to_string).collect()
}

#[test]
fn what_a_sender_lets_disappear_does_so_on_a_bots_device_in_any_room() {
    let people = lunch();
    let chosen = "this stays\n/expire 1h for an hour\n/expire 8s soon over\n/expire read 8s read\n";
    let alice = people.chat("alice", chosen);
    assert!(alice.says("message lunch ", " soon over"), "{alice:?}");
    assert_eq!(alice.lines.iter().filter(|line| line.starts_with("expires lunch ")).count(), 3);

    let mut daemon = Daemon::start(&people, &["bot"], &[]);
    daemon.call("subscribe", json!({}));
    assert_eq!(daemon.event("text").get("expires_at"), None);
    let hour = daemon.event("text");
    assert_eq!(hour["text"], "for an hour");
    let left = hour["expires_at"].as_u64().unwrap() - hour["time"].as_u64().unwrap();
    assert!((3590..=3600).contains(&left), "{left}");
    assert!(texts_kept(&mut daemon).contains(&"soon over".into()));
    drop(daemon);

    // It is deleted by a daemon that has not run when it expired, and its event does not say what it was.
    std::thread::sleep(Duration::from_secs(9));
    let mut daemon = Daemon::start(&people, &["bot"], &[]);
    let kept = texts_kept(&mut daemon);
    assert!(kept.contains(&"this stays".into()) && kept.contains(&"for an hour".into()));
    let history = daemon.call("history", json!({ "room_name": "lunch" }));
    let kinds = history["events"].as_array().unwrap().iter().map(|event| &event["kind"]);
    assert_eq!(
        kinds.filter(|kind| **kind == "text" || **kind == "expired").count(),
        2,
        "{history}"
    );
    daemon.call("subscribe", json!({}));
    let (stays, hour) = (daemon.event("text"), daemon.event("text"));
    assert_eq!((&stays["text"], &hour["text"]), (&"this stays".into(), &"for an hour".into()));
    let over = daemon.event("expired");
    assert_eq!((&over["text"], &over["sender"]["user"]), (&Value::Null, &"alice".into()));
    assert!(over["cursor"].is_u64() && over["expires_at"].is_u64(), "{over}");
    assert_eq!(over["message_id"], Value::Null);
    assert_eq!(daemon.process.end(), DONE);
}

#[test]
fn a_program_lets_a_message_disappear_as_far_as_the_room_allows() {
    let people = lunch();
    let mut daemon = Daemon::start(&people, &["bot"], &[]);
    let send = |more: Value| {
        let mut all = json!({ "room_name": "lunch", "text": "hi", "wait": true });
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        all
    };
    daemon.call("subscribe", json!({}));
    daemon.call("send", send(json!({ "expires": 3600, "id": "x" })));
    let said = daemon.event("text");
    let left = said["expires_at"].as_u64().unwrap() - said["time"].as_u64().unwrap();
    assert!((3590..=3600).contains(&left), "{left}");
    // The same name for what expires at another time is another message.
    let other = send(json!({ "expires": 60, "id": "x" }));
    assert_eq!(daemon.refusal("send", other).0, "id-in-use");
    daemon.call("send", send(json!({ "expires_after_reading": 60 })));
    let said = daemon.event("text");
    assert_eq!(said["expires_at"], said["time"].as_u64().unwrap() + 60);
    for wrong in [
        json!({ "expires": 0 }),
        json!({ "expires": u64::from(u32::MAX) + 1 }),
        json!({ "expires": 60, "expires_after_reading": 60 }),
    ] {
        assert_eq!(daemon.refusal("send", send(wrong)).0, "invalid-params");
    }
    let long = send(json!({ "expires": 367 * 86400 }));
    assert_eq!(daemon.refusal("send", long).0, "expiry-not-allowed");
    assert_eq!(daemon.process.end(), DONE);

    // Beyond the room's bounds nothing is sent, and the refusal says what they are.
    assert_eq!(people.chat("alice", "/expiry 1h 1d\n").code, DONE);
    let mut daemon = Daemon::start(&people, &["bot"], &[]);
    daemon.call("rooms", json!({ "fresh": true }));
    for chosen in [json!({ "expires": 60 }), json!({ "expires_after_reading": 90000 })] {
        let refused = daemon.answer("send", send(chosen))["error"].clone();
        assert_eq!(refused["data"]["code"], "expiry-not-allowed");
        let why = refused["message"].as_str().unwrap();
        assert!(why.contains("lunch does not allow that expiry: messages disappear after 1 day"));
    }
    let file = people.data().join("a.txt");
    std::fs::write(&file, "a").unwrap();
    let mut sent = json!({ "room_name": "lunch", "path": file, "expires": 60, "wait": true });
    assert_eq!(daemon.refusal("send_file", sent.clone()).0, "expiry-not-allowed");
    sent["expires"] = 7200.into();
    daemon.call("send_file", sent);
    assert_eq!(daemon.process.end(), DONE);

    let refused = script(&people, "alice", &["send", "lunch", "hi", "--expires", "1m"], "");
    assert_eq!(refused.code, Some(3), "{refused:?}");
    let two_hours = ["send", "lunch", "hi", "--expires-after-reading", "2h"];
    assert_eq!(script(&people, "alice", &two_hours, "").code, DONE);
    let bot = people.chat("bot", "/expire 1m no\n");
    assert!(
        bot.says("error lunch does not allow that expiry", "sender chooses 1 hour to 1 day"),
        "{bot:?}"
    );
    assert!(bot.says("expires lunch ", " read 7200"), "{bot:?}");
}

#[test]
fn an_owners_bot_lists_adds_and_removes_preauthorized_users() {
    let people = lunch();
    let mut daemon = Daemon::start(&people, &["alice"], &[]);
    let about = |user: &str| json!({ "room_name": "lunch", "user": user });
    let listed = |daemon: &mut Daemon, user: &str| {
        daemon.call("preauthorized", json!({ "room_name": "lunch" }))["users"]
            .as_array()
            .unwrap()
            .iter()
            .find(|entry| entry["user"] == user)
            .map(|entry| entry["role"].as_str().unwrap().to_string())
    };
    daemon.call("subscribe", json!({}));
    let moderator = json!({ "room_name": "lunch", "user": "carol", "role": "moderator" });
    daemon.call("preauthorize", moderator);
    let change = daemon.event("room");
    assert_eq!((&change["change"], &change["user"]), (&"preauthorized".into(), &"carol".into()));
    assert_eq!(listed(&mut daemon, "carol").as_deref(), Some("moderator"));
    daemon.call("preauthorize", about("dave"));
    daemon.event("room");
    assert_eq!(listed(&mut daemon, "dave").as_deref(), Some("member"));
    daemon.call("unpreauthorize", about("carol"));
    daemon.event("room");
    assert_eq!(listed(&mut daemon, "carol"), None);
    assert_eq!(daemon.refusal("preauthorize", about("No Name")).0, "invalid-params");
    let nowhere = json!({ "room_name": "dinner" });
    assert_eq!(daemon.refusal("preauthorized", nowhere).0, "unknown-room");
    assert_eq!(daemon.process.end(), DONE);

    let mut daemon = Daemon::start(&people, &["bot"], &[]);
    daemon.call("rooms", json!({ "fresh": true }));
    assert_eq!(listed(&mut daemon, "dave").as_deref(), Some("member"));
    assert_eq!(daemon.refusal("preauthorize", about("erin")).0, "role-does-not-allow");
}
