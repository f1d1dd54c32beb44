//! A room full of real messengers that are killed at random moments, as is their service: in the end all of them have seen
//! the same messages, and each was sent once.
//!
//! Twelve messengers run for a quarter of a minute. `CONCLAVE_CROWD=50 CONCLAVE_CROWD_SECONDS=600 cargo test -p
//! conclave-cli --test program crowd:: -- --nocapture` is fifty for ten. `CONCLAVE_TEST_SEED=N` chooses the moments;
//! each run prints its seed.

#![cfg(unix)]

use crate::common::chats::{Chat, Dice, seed};
use crate::common::{PATIENCE, Server, from_environment};
use std::collections::BTreeSet;
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

/// How long somebody waits, at most, before saying the next thing, in milliseconds for each member of the room: so the
/// room is as loud whatever its size.
const PAUSE: u64 = 150;
/// One message in so many is the last of its process.
const LIFE: u64 = 6;
/// How long the service lives, in milliseconds: this at least, and at most so much longer.
const SERVICE_LIFE: (u64, u64) = (2_000, 8_000);

/// Somebody in the room, until it is over: what was said, and how often the process died.
struct Member {
    chat: Chat,
    said: Vec<String>,
    deaths: u64,
}

impl Member {
    /// Says things, changes what the room is about at times, and dies in the middle of it.
    fn take_part(mut self, until: Instant, room: u64, mut dice: Dice) -> Self {
        while Instant::now() < until {
            let text = format!("{} of {}", self.said.len(), self.chat.name);
            // Only the room's owner may change the topic. That is a commit, which races with what the others say.
            if self.chat.name == "user0" && dice.below(3) == 0 {
                self.chat.process.write(&format!("/topic before {text}"));
            }
            self.chat.process.write(&text);
            if dice.below(LIFE) == 0 {
                self.deaths += 1;
                self.chat.die_saying(&text, Duration::from_micros(dice.below(60_000)));
            }
            self.chat.until_said(&text);
            self.said.push(text);
            sleep(Duration::from_millis(dice.below(PAUSE * room)));
        }
        self
    }
}

#[test]
fn a_room_of_processes_that_are_killed_agrees_in_the_end_on_all_that_was_said() {
    let room = from_environment("CONCLAVE_CROWD", 12);
    let span = Duration::from_secs(from_environment("CONCLAVE_CROWD_SECONDS", 15));
    let seed = seed(50);
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(&folder.path().join("service"));

    let names: Vec<String> = (0..room).map(|n| format!("user{n}")).collect();
    let mut chats: Vec<Chat> =
        names.iter().map(|name| Chat::start(name, &server, folder.path())).collect();
    for chat in &mut chats {
        // All that came while it was dead is shown together.
        chat.may_repeat = 400;
        chat.until("ready");
    }
    let (owner, others) = chats.split_first_mut().unwrap();
    owner.process.write("/new room");
    owner.process.write(&format!("/invite {}", names[1..].join(" ")));
    for chat in others {
        chat.until("invited room");
        chat.process.write("/accept room");
        chat.until("note room accepted");
    }

    let until = Instant::now() + span;
    let mut dice = Dice(seed);
    let mut service_deaths = 0;
    let members: Vec<Member> = thread::scope(|scope| {
        let mut members = Vec::new();
        for (n, chat) in (1..).zip(chats) {
            let member = Member { chat, said: Vec::new(), deaths: 0 };
            let dice = Dice(seed.wrapping_mul(2 * n + 1));
            members.push(scope.spawn(move || member.take_part(until, room, dice)));
        }
        let (least, more) = SERVICE_LIFE;
        while Instant::now() < until {
            sleep(Duration::from_millis(least + dice.below(more)));
            server.kill_9_and_restart();
            service_deaths += 1;
        }
        members.into_iter().map(|member| member.join().unwrap()).collect()
    });

    let said: usize = members.iter().map(|member| member.said.len()).sum();
    let deaths: u64 = members.iter().map(|member| member.deaths).sum();
    println!("{said} messages; {deaths} messengers and {service_deaths} services were killed");
    assert!(said > 0 && (deaths > 0 || span < Duration::from_secs(10)));

    let mut chats = Vec::new();
    for Member { mut chat, said: own, .. } in members {
        while chat.seen.len() < said {
            chat.until("message");
        }
        let mine = format!("{}/main ", chat.name);
        let shown: Vec<&str> =
            chat.seen.values().filter_map(|said| said.strip_prefix(mine.as_str())).collect();
        assert_eq!(shown, own, "{}: lost, doubled or out of order", chat.name);
        chats.push(chat);
    }
    for chat in &chats {
        assert_eq!(chat.seen, chats[0].seen, "{} has seen something else", chat.name);
    }
    // A new process has nothing more to say, and all see the same members in the same epoch.
    for chat in &mut chats {
        chat.kill_9_and_restart();
        chat.sent_all();
        assert_eq!(chat.seen.len(), said, "{}", chat.name);
        assert_eq!(chat.answer("/members", "member ").len(), names.len());
    }
    let patience = Instant::now() + PATIENCE;
    loop {
        let codes: BTreeSet<String> =
            chats.iter_mut().map(|chat| chat.answer("/members", "epoch ").remove(0)).collect();
        if codes.len() == 1 {
            break;
        }
        assert!(Instant::now() < patience, "they are in different epochs: {codes:?}");
    }
}
