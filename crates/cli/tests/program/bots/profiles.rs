//! What users say of themselves, for bots.

use super::{Daemon, lunch};
use serde_json::json;

#[test]
fn a_bot_says_who_it_is_and_hears_who_others_are() {
    let people = lunch();
    let png = people.data().join("bot.png");
    std::fs::write(&png, b"\x89PNG\r\n\x1a\nbeep").unwrap();
    let mut bot = Daemon::start(&people, &["bot"], &[]);
    let own = bot.call("profile", json!({}));
    assert_eq!(own, json!({ "user": "bot", "name": null, "picture": null }));
    let own = bot.call("set_profile", json!({ "name": "Echo", "picture": png }));
    let picture = json!({ "media_type": "image/png", "size": 12 });
    assert_eq!(own, json!({ "user": "bot", "name": "Echo", "picture": picture }));
    for (wrong, word) in [
        (json!({ "name": "a\u{202e}" }), "invalid-params"),
        (json!({ "picture": "/no/such/file" }), "file-refused"),
    ] {
        assert_eq!(bot.refusal("set_profile", wrong).0, word);
    }
    assert_eq!(bot.call("profile", json!({})), own, "what is refused changes nothing");

    // Alice is told, and tells the bot.
    bot.call("send", json!({ "room_name": "lunch", "text": "beep", "wait": true }));
    let alice = people.chat("alice", "/profile name Alice\nhi\n");
    assert!(alice.has("profile lunch bot image/png 12 Echo"), "{alice:?}");
    bot.call("subscribe", json!({}));
    let event = bot.event("profile");
    assert_eq!((&event["text"], &event["picture"]), (&json!("Alice"), &json!(null)));
    assert_eq!(event["sender"]["user"], "alice");
    let found = bot.call("profile", json!({ "user": "alice" }));
    assert_eq!(found["name"], "Alice");
    let members = bot.call("members", json!({ "room_name": "lunch" }));
    let name_of = |user: &str| {
        let members = members["members"].as_array().unwrap();
        members.iter().find(|member| member["user"] == user).unwrap()["display_name"].clone()
    };
    assert_eq!((name_of("alice"), name_of("bot")), (json!("Alice"), json!("Echo")));
    // A profile is nothing that was said.
    let history = bot.call("history", json!({ "room_name": "lunch" }));
    let kinds: Vec<&str> =
        history["events"].as_array().unwrap().iter().map(|e| e["kind"].as_str().unwrap()).collect();
    assert!(!kinds.contains(&"profile") && kinds.contains(&"text"), "{kinds:?}");

    // An event that nobody has acknowledged comes again from a new process.
    bot.process.kill_9();
    let mut bot = Daemon::start(&people, &["bot"], &[]);
    bot.call("subscribe", json!({}));
    assert_eq!(bot.event("profile")["text"], "Alice");
    assert_eq!(bot.call("profile", json!({}))["name"], "Echo");
    let saved = people.data().join("saved.png");
    bot.call("profile", json!({ "path": saved }));
    assert_eq!(std::fs::read(&saved).unwrap(), std::fs::read(&png).unwrap());
    assert_eq!(bot.refusal("profile", json!({ "path": saved })).0, "file-refused");
}
