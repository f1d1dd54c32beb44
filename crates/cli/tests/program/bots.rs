//! Bots: what scripts say and hear, the daemon's protocol, and that every message is answered once.

#![cfg(unix)]

mod asynchronous;
mod policies;
mod profiles;
mod schema;

use crate::common::{CONCLAVE, DONE, Done, PATIENCE, People, Process, run};
use conclave_delivery_api::to_hex;
use schema::Schema;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The repository's folder.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The options that name a user's device and the service.
fn options(people: &People, user: &str) -> Vec<String> {
    let (url, data) = (people.server.url(), people.data().to_str().unwrap().to_string());
    ["--user", user, "--server", &url, "--data", &data].map(str::to_string).to_vec()
}

/// Runs a command for scripts, for a user's device.
fn script(people: &People, user: &str, words: &[&str], input: &str) -> Done {
    let words = words.iter().map(|word| (*word).to_string());
    let args: Vec<String> = words.chain(options(people, user)).collect();
    run(&args, input.as_bytes())
}

/// Alice, and a bot whom she has invited into the room `lunch`, which it has accepted.
fn lunch() -> People {
    let people = People::new();
    assert_eq!(people.chat("bot", "").code, DONE);
    assert_eq!(people.chat("alice", "/new lunch\n/invite bot\n").code, DONE);
    let accepted = people.chat("bot", "/accept lunch\n");
    assert_eq!(accepted.code, DONE, "{accepted:?}");
    people
}

/// A daemon, asked in turn.
struct Daemon {
    process: Process,
    schema: Schema,
    next: u64,
    /// The events that came before the answers.
    events: Vec<Value>,
}

impl Daemon {
    fn start(people: &People, users: &[&str], more: &[&str]) -> Self {
        let data = people.data();
        let folders = users.iter().map(|user| data.join(user).join("main"));
        let folders: Vec<String> = folders.map(|f| f.to_str().unwrap().to_string()).collect();
        let url = people.server.url();
        let mut args = vec!["bot", "--server", &url];
        args.extend(folders.iter().map(String::as_str));
        args.extend(more);
        let process = Process::start(&args);
        Self { process, schema: Schema::published(), next: 0, events: Vec::new() }
    }

    fn line(&self) -> Value {
        serde_json::from_str(&self.process.line().unwrap()).unwrap()
    }

    /// The answer to a call, which is as the schema says.
    fn answer(&mut self, method: &str, params: Value) -> Value {
        self.next += 1;
        let request =
            json!({ "jsonrpc": "2.0", "id": self.next, "method": method, "params": params });
        self.process.write(&request.to_string());
        loop {
            let line = self.line();
            if line["id"] == self.next {
                self.schema.check("response", &line).unwrap();
                if line.get("result").is_some() {
                    self.schema.check(&format!("results/{method}"), &line["result"]).unwrap();
                    self.schema.check(&format!("requests/{method}"), &request).unwrap();
                }
                return line;
            }
            self.schema.check("notification", &line).unwrap();
            self.events.push(line["params"].clone());
        }
    }

    fn call(&mut self, method: &str, params: Value) -> Value {
        let answer = self.answer(method, params);
        assert!(answer.get("result").is_some(), "{method}: {answer}");
        answer["result"].clone()
    }

    /// The word and the number of the refusal of a call.
    fn refusal(&mut self, method: &str, params: Value) -> (String, i64) {
        let error = self.answer(method, params)["error"].clone();
        (error["data"]["code"].as_str().unwrap().to_string(), error["code"].as_i64().unwrap())
    }

    /// The next event of this kind.
    fn event(&mut self, kind: &str) -> Value {
        loop {
            let event = match self.events.is_empty() {
                false => self.events.remove(0),
                true => {
                    let line = self.line();
                    if line.get("method").is_none() {
                        continue;
                    }
                    self.schema.check("notification", &line).unwrap();
                    line["params"].clone()
                }
            };
            if event["kind"] == kind {
                return event;
            }
        }
    }
}

#[test]
fn scripts_send_and_listen_and_list_rooms() {
    let people = lunch();
    let sent = script(&people, "alice", &["send", "lunch"], "two\nlines\n");
    assert_eq!(sent.code, DONE);
    let number: u64 = sent.lines[0].parse().unwrap();

    // Under a name of the caller's, it is sent once.
    let again = ["send", "lunch", "once", "--id", "x", "--json"];
    let first = script(&people, "alice", &again, "");
    let second = script(&people, "alice", &again, "");
    assert_eq!(first.lines, second.lines);
    let told: Value = serde_json::from_str(&first.lines[0]).unwrap();
    assert!(told["seq"].as_u64().unwrap() > number);
    assert_eq!(
        script(&people, "alice", &["send", "lunch", "other", "--id", "x"], "").code,
        Some(3)
    );

    assert_eq!(script(&people, "alice", &["send", "dinner", "hi"], "").code, Some(3));
    let rooms = script(&people, "bot", &["rooms"], "");
    assert!(rooms.lines[0].starts_with("lunch member 2 "), "{rooms:?}");

    // With a cursor, events come again until one has them.
    let keep = ["listen", "lunch", "--since", "0", "--count", "2", "--timeout", "30"];
    let kept = script(&people, "bot", &keep, "");
    assert_eq!(kept.code, DONE, "{kept:?}");
    assert_eq!(script(&people, "bot", &keep, "").lines, kept.lines);
    assert!(kept.lines[0].contains(" text lunch ") && kept.lines[0].ends_with(r" two\nlines"));
    let cursor = kept.lines[0].split(' ').next().unwrap();
    let rest = ["listen", "--since", cursor, "--count", "1", "--timeout", "30", "--json"];
    let rest = script(&people, "bot", &rest, "");
    let event: Value = serde_json::from_str(&rest.lines[0]).unwrap();
    assert_eq!((event["text"].as_str(), &event["seq"]), (Some("once"), &told["seq"]));
    assert_eq!(event["sender"], json!({ "user": "alice", "device": "main" }));

    // Without one, they are acknowledged as they are shown.
    let shown = script(&people, "bot", &["listen", "--count", "1", "--timeout", "30"], "");
    assert_eq!(shown.lines.len(), 1);
    let none = script(&people, "bot", &["listen", "--count", "1", "--timeout", "1"], "");
    assert_eq!((none.code, none.lines.len()), (Some(3), 0));
}

#[test]
fn what_the_service_does_not_take_in_time_is_kept_and_sent_later() {
    let mut people = lunch();
    people.server.process.kill_9();
    let late =
        script(&people, "alice", &["send", "lunch", "late", "--id", "l", "--timeout", "2"], "");
    assert_eq!(late.code, Some(4), "{late:?}");
    people.server.kill_9_and_restart();
    // The same again waits for the first.
    assert_eq!(script(&people, "alice", &["send", "lunch", "late", "--id", "l"], "").code, DONE);
    let heard = script(&people, "bot", &["listen", "--timeout", "3"], "");
    assert_eq!(heard.lines.iter().filter(|line| line.ends_with(" late")).count(), 1);
}

#[test]
fn a_daemon_gives_each_event_until_it_is_acknowledged() {
    let people = lunch();
    assert_eq!(people.chat("alice", "one\ntwo\n").code, DONE);
    let mut daemon = Daemon::start(&people, &["bot"], &[]);
    daemon.call("subscribe", json!({}));
    let (one, two) = (daemon.event("text"), daemon.event("text"));
    assert_eq!((&one["text"], &two["text"]), (&"one".into(), &"two".into()));
    assert_eq!((&one["device"], &one["room"]["name"]), (&"bot/main".into(), &"lunch".into()));

    // It dies: both come again.
    daemon.process.kill_9();
    let mut daemon = Daemon::start(&people, &["bot"], &[]);
    daemon.call("subscribe", json!({ "cursor": 0 }));
    assert_eq!(daemon.event("text"), one);
    assert_eq!(daemon.event("text"), two);

    // The first is answered and acknowledged in one step, however often it is asked for.
    let room = &one["room"]["id"];
    let answer = json!({ "room": room, "text": "re one", "id": "1", "acknowledge": one["cursor"] });
    daemon.call("send", answer.clone());
    daemon.process.kill_9();
    let mut daemon = Daemon::start(&people, &["bot"], &[]);
    daemon.call("send", answer);
    daemon.call("subscribe", json!({}));
    assert_eq!(daemon.event("text"), two);
    let waits =
        json!({ "room": room, "text": "re two", "wait": true, "acknowledge": two["cursor"] });
    let sent = daemon.call("send", waits);
    assert_eq!(sent["state"], "sent");

    let history = daemon.call("history", json!({ "room_name": "lunch" }));
    let history = history["events"].as_array().unwrap();
    let texts: Vec<&str> = history.iter().map(|event| event["text"].as_str().unwrap()).collect();
    assert_eq!(texts, ["one", "two", "re one", "re two"]);
    assert_eq!(history[3]["seq"], sent["seq"]);
    assert_eq!(daemon.process.end(), DONE);
}

#[test]
fn what_is_refused_has_a_code_that_never_changes() {
    let people = lunch();
    let mut daemon = Daemon::start(&people, &["bot"], &[]);
    let refused = |word: &str, number: i64| (word.to_string(), number);
    assert_eq!(daemon.refusal("say", json!({})), refused("unknown-method", -32601));
    assert_eq!(daemon.refusal("rooms", json!([])), refused("invalid-params", -32602));
    assert_eq!(daemon.refusal("members", json!({ "room": "00" })), refused("unknown-room", -32000));
    let device = json!({ "device": "alice/main" });
    assert_eq!(daemon.refusal("rooms", device), refused("unknown-device", -32000));

    for (line, word) in [("no json", "no-json"), ("[]", "invalid-request")] {
        daemon.process.write(line);
        let answer = daemon.line();
        daemon.schema.check("response", &answer).unwrap();
        assert_eq!((&answer["id"], &answer["error"]["data"]["code"]), (&Value::Null, &word.into()));
    }
    daemon.process.write(&"x".repeat((2 << 20) + 1));
    assert_eq!(daemon.line()["error"]["data"]["code"], "request-too-large");

    // It goes on.
    let rooms = daemon.call("rooms", json!({ "fresh": true }));
    assert_eq!(rooms["rooms"][0]["state"], "member");
    assert_eq!(
        daemon.call("members", json!({ "room_name": "lunch" }))["members"][0]["user"],
        "alice"
    );
    daemon.call("leave", json!({ "room_name": "lunch" }));
    let late = daemon.refusal("send", json!({ "room_name": "lunch", "text": "still here?" }));
    assert_eq!(late.1, -32000);
}

#[test]
fn one_daemon_has_several_devices_and_serves_a_socket_of_its_owners() {
    let people = People::new();
    let socket = people.data().join("bots.sock");
    std::fs::create_dir_all(people.data()).unwrap();
    let mut daemon =
        Daemon::start(&people, &["alice", "bob"], &["--socket", socket.to_str().unwrap()]);
    let devices = daemon.call("devices", json!({}));
    assert_eq!(devices, json!({ "devices": ["alice/main", "bob/main"] }));
    let mode = std::fs::metadata(&socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(daemon.refusal("rooms", json!({})).0, "unknown-device");

    // Bob's device has to be at the service before somebody can invite it.
    daemon.call("rooms", json!({ "device": "bob/main", "fresh": true }));
    let alice = |more: Value| {
        let mut params = json!({ "device": "alice/main" });
        params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        params
    };
    let made = daemon.call("create", alice(json!({ "name": "pets", "fresh": true })));
    let room = made["room"]["id"].clone();
    daemon.call("invite", alice(json!({ "room": room, "who": ["bob"] })));
    daemon.call("subscribe", json!({ "device": "bob/main" }));
    let invited = daemon.event("invited");
    assert_eq!(invited["sender"]["user"], "alice");
    daemon.call("accept", json!({ "device": "bob/main", "room": room }));

    // Another client, at the socket.
    let mut stream = UnixStream::connect(&socket).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let params = json!({ "device": "bob/main", "room": room, "text": "meow", "wait": true });
    writeln!(
        stream,
        "{}",
        json!({ "jsonrpc": "2.0", "id": "a", "method": "send", "params": params })
    )
    .unwrap();
    let mut line = String::new();
    BufReader::new(&stream).read_line(&mut line).unwrap();
    let answer: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&answer["id"], &answer["result"]["state"]), (&"a".into(), &"sent".into()));

    // While the daemon has a device, commands ask it.
    let sent = script(&people, "alice", &["send", "pets", "woof"], "");
    assert_eq!(sent.code, DONE, "{sent:?}");
    assert_eq!(daemon.event("text")["text"], "meow");
    assert_eq!(daemon.event("text")["text"], "woof");
}

/// A bot with all the processes that it starts.
struct Bot(Process);

impl Bot {
    /// Starts it so that it finds this version of the command.
    fn start(name: &str, mut command: Command) -> Self {
        let folder = Path::new(CONCLAVE).parent().unwrap().to_path_buf();
        let path = std::env::var_os("PATH").unwrap();
        let paths = std::iter::once(folder).chain(std::env::split_paths(&path));
        command.env("PATH", std::env::join_paths(paths).unwrap()).process_group(0);
        Self(Process::of(name.into(), command))
    }
}

impl Drop for Bot {
    fn drop(&mut self) {
        let group = format!("-{}", self.0.child.id());
        let _ = Command::new("kill").args(["-9", "--", &group]).status();
    }
}

fn has_python() -> bool {
    let has = Command::new("python3").arg("--version").stdout(Stdio::null()).status().is_ok();
    if !has {
        println!("NOT TESTED: what takes python3");
    }
    has
}

/// Says something to a bot in `lunch`, and waits for the answer.
fn is_answered(people: &People, text: &str) {
    let mut alice = people.stay("alice");
    alice.write(text);
    let end = Instant::now() + PATIENCE;
    loop {
        assert!(Instant::now() < end, "no answer to {text}");
        let line = alice.until("message lunch ");
        if line.contains(" bot/main ") {
            assert!(line.ends_with(&format!(" You said: {text}")), "{line}");
            break;
        }
    }
    assert_eq!(alice.end_now(), DONE);
}

#[test]
fn the_bots_of_the_documentation_answer() {
    let people = lunch();
    let url = people.server.url();
    let folder = people.data().join("bot/main");
    let folder = folder.to_str().unwrap();

    let mut shell = Command::new("sh");
    shell.arg(root().join("docs/bots/echo.sh")).args(options(&people, "bot"));
    let bot = Bot::start("echo.sh", shell);
    is_answered(&people, "hello, shell");
    drop(bot);

    if has_python() {
        let mut python = Command::new("python3");
        python.arg(root().join("docs/bots/echo.py")).args([folder, "--server", &url]);
        let bot = Bot::start("echo.py", python);
        is_answered(&people, "hello, Python");
        drop(bot);
    }

    let example = Path::new(CONCLAVE).parent().unwrap().join("examples/echo");
    assert!(
        example.exists(),
        "--test program alone does not build it: cargo build -p conclave-cli --example echo"
    );
    let mut rust = Command::new(example);
    rust.args(["bot/main", &url, folder]);
    let bot = Bot::start("echo.rs", rust);
    is_answered(&people, "hello, Rust");
    drop(bot);

    // None of them has answered what another one had.
    let said = people.chat("alice", "/history 50\n");
    assert_eq!(said.lines.iter().filter(|line| line.contains("You said: ")).count(), 3);

    let page = std::fs::read_to_string(root().join("docs/bots.md")).unwrap();
    for file in ["docs/bots/echo.sh", "docs/bots/echo.py", "crates/cli/examples/echo.rs"] {
        let text = std::fs::read_to_string(root().join(file)).unwrap();
        assert!(page.contains(&text), "docs/bots.md does not have {file} as it is");
    }
}

/// The headers and the body of a post.
type Post = (BTreeMap<String, String>, Vec<u8>);

/// A server that takes webhooks: it refuses the first.
fn webhook_server() -> (String, std::sync::mpsc::Receiver<Post>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let (to, posts) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for (i, stream) in listener.incoming().flatten().enumerate() {
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut headers = BTreeMap::new();
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line).unwrap() == 0 || line.trim_end().is_empty() {
                    break;
                }
                if let Some((name, value)) = line.trim_end().split_once(": ") {
                    headers.insert(name.to_lowercase(), value.to_string());
                }
            }
            let length = headers.get("content-length").map_or(0, |n| n.parse().unwrap());
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            let status = if i == 0 { "503 Later" } else { "204 Taken" };
            let mut stream = stream;
            write!(stream, "HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                .unwrap();
            let _ = to.send((headers, body));
        }
    });
    (url, posts)
}

#[test]
fn a_webhook_is_signed_and_repeated_until_it_is_taken() {
    use conclave_mls::crypto::{CryptoProvider, Hash};

    let people = lunch();
    let (url, posts) = webhook_server();
    let key = people.data().join("key");
    std::fs::write(&key, "0123456789abcdef\n").unwrap();
    let more = ["--webhook", &url, "--webhook-secret-file", key.to_str().unwrap()];
    let _daemon = Daemon::start(&people, &["bot"], &more);
    assert_eq!(people.chat("alice", "ping\npong\n").code, DONE);

    let schema = Schema::published();
    let (mut bodies, mut texts) = (Vec::new(), Vec::new());
    while texts.last().is_none_or(|text| text != "pong") {
        let (headers, body) = posts.recv_timeout(PATIENCE).unwrap();
        let provider = conclave_provider_aws_lc::AwsLc::new();
        let secret = conclave_store::Secret::new(b"0123456789abcdef".to_vec());
        let parts = [headers["conclave-timestamp"].as_bytes(), b".", &body];
        let mac = provider.hmac(Hash::Sha256, &secret, &parts).unwrap();
        assert_eq!(headers["conclave-signature"], format!("v1={}", to_hex(mac.as_ref())));
        let event: Value = serde_json::from_slice(&body).unwrap();
        schema.check("event", &event).unwrap();
        texts.extend(event["text"].as_str().map(str::to_string));
        bodies.push(body);
    }
    // The first was refused, and came again; everything else came once.
    assert_eq!(bodies[0], bodies[1]);
    bodies.remove(0);
    let count = bodies.len();
    bodies.sort();
    bodies.dedup();
    assert_eq!(bodies.len(), count);
}

/// How long the test kills: a few seconds, or as many as `CONCLAVE_BOT_KILL_SECONDS` says.
fn kill_time() -> Duration {
    let seconds = std::env::var("CONCLAVE_BOT_KILL_SECONDS").ok();
    Duration::from_secs(seconds.map_or(12, |seconds| seconds.parse().unwrap()))
}

/// Numbers that differ from run to run, and are no secret.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

#[test]
fn a_bot_that_is_killed_at_random_answers_every_message_once() {
    if !has_python() {
        return;
    }
    let people = lunch();
    let socket = people.data().join("kill.sock");
    let daemon = || Daemon::start(&people, &["bot"], &["--socket", socket.to_str().unwrap()]);
    let client = || {
        let mut python = Command::new("python3");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/program/bots/client.py");
        // Until the daemon is there, it ends at once.
        python.arg(script).arg(&socket).stderr(Stdio::null());
        Process::of("client.py".into(), python)
    };

    let seed = u64::from(std::process::id()) + 88_172_645_463_325_252;
    println!("seed {seed}");
    let mut dice = Dice(seed);
    let (mut bot, mut asking) = (daemon(), client());
    let mut alice = people.stay("alice");
    let (mut said, mut kills) = (0, [0, 0]);
    let begun = Instant::now();
    while begun.elapsed() < kill_time() {
        for _ in 0..=dice.below(3) {
            alice.write(&format!("m{said}"));
            said += 1;
        }
        std::thread::sleep(Duration::from_millis(dice.below(700)));
        if dice.below(2) == 0 {
            bot.process.kill_9();
            kills[0] += 1;
            bot = daemon();
        }
        if dice.below(2) == 0 {
            asking.kill_9();
            kills[1] += 1;
        }
        if asking.child.try_wait().unwrap().is_some() {
            asking = client();
        }
    }

    // At rest, all are answered, each once. Only the time for each answer is bounded.
    let mut answers: BTreeMap<String, usize> = BTreeMap::new();
    while answers.len() < said {
        if asking.child.try_wait().unwrap().is_some() {
            asking = client();
        }
        let line = alice.until("message lunch ");
        if let Some((_, text)) = line.split_once(" re ") {
            *answers.entry(text.to_string()).or_default() += 1;
        }
    }
    drop((asking, bot));
    assert_eq!(alice.end_now(), DONE);
    // What came after the last one was counted would be a second answer.
    let rest = people.chat("alice", "");
    for text in rest.texts("lunch") {
        if let Some(text) = text.strip_prefix("re ") {
            *answers.entry(text.to_string()).or_default() += 1;
        }
    }
    println!("{said} messages, {} kills of the daemon, {} of its client", kills[0], kills[1]);
    let expected: BTreeMap<String, usize> = (0..said).map(|n| (format!("m{n}"), 1)).collect();
    assert_eq!(answers, expected);
    assert!(kills[0] > 0 && kills[1] > 0 || kill_time() < Duration::from_secs(10));
}

#[test]
fn a_bot_mentions_by_name_and_in_markdown_and_hears_who_is_mentioned() {
    let people = lunch();
    let mut daemon = Daemon::start(&people, &["bot"], &[]);
    daemon.call("subscribe", json!({ "cursor": 0 }));
    let send = |text: &str, markdown: bool| json!({ "room_name": "lunch", "text": text, "markdown": markdown, "id": text, "wait": true });
    let first = daemon.call("send", send("hi @alice", false));
    assert_eq!(daemon.call("send", send("hi @alice", false)), first, "it is sent once");
    daemon.call("send", send("**@alice** `@alice`", true));
    people.chat("alice", "@bot, yes\n");

    let one = daemon.event("text");
    assert_eq!((&one["text"], &one["mentions"]), (&"hi @alice".into(), &json!(["alice"])));
    let two = daemon.event("text");
    assert_eq!(two["text"], "**@alice** `@alice`");
    assert!(two["markdown"].as_str().unwrap().starts_with("**[\\@alice](mimi://"), "{two}");
    let three = daemon.event("text");
    assert_eq!((&three["text"], &three["mentions"]), (&"@bot, yes".into(), &json!(["bot"])));
    assert_eq!(daemon.process.end(), DONE);

    let alice = people.chat("alice", "/mentions\n");
    assert!(alice.says("found message lunch ", " hi @alice"), "{alice:?}");
    assert!(alice.says("found message lunch ", " **@alice** `@alice`"), "{alice:?}");
}

#[test]
fn the_history_has_what_a_messenger_on_this_device_has_kept() {
    let people = lunch();
    let said = people.chat("alice", "one\n");
    let number = said.line("message lunch ").unwrap().split(' ').nth(2).unwrap();
    people.chat("alice", format!("/reply {number} two, @bot\n"));
    let mut daemon = Daemon::start(&people, &["alice"], &[]);
    daemon.call("send", json!({ "room_name": "lunch", "text": "three", "wait": true }));
    let history = daemon.call("history", json!({ "room_name": "lunch" }));
    let events = history["events"].as_array().unwrap();
    let texts: Vec<&str> = events.iter().filter_map(|event| event["text"].as_str()).collect();
    assert_eq!(texts, ["one", "two, @bot", "three"], "{history}");
    assert_eq!(events[1]["mentions"], json!(["bot"]), "{history}");
    assert!(events.iter().all(|event| event["own"] == true), "{history}");
    let last = daemon.call("history", json!({ "room_name": "lunch", "limit": 1 }));
    assert_eq!(last["events"].as_array().unwrap().len(), 1);
    assert_eq!(daemon.process.end(), DONE);
}

#[test]
fn programs_send_and_save_files_under_the_same_rules() {
    let (people, folder) = (lunch(), tempfile::tempdir().unwrap());
    let content: Vec<u8> = (0..2_500_000_u32).map(|n| (n / 7) as u8).collect();
    let path = folder.path().join("a b.png");
    std::fs::write(&path, &content).unwrap();
    let path = path.to_str().unwrap();
    let sent = script(&people, "alice", &["send", "lunch", "look", "--file", path], "");
    assert_eq!(sent.code, DONE, "{sent:?}");

    let mut daemon = Daemon::start(&people, &["bot"], &[]);
    daemon.call("subscribe", json!({}));
    let event = daemon.event("text");
    assert_eq!(event["text"], "look");
    let size = content.len() + 16;
    let file = json!({ "file_name": "a b.png", "media_type": "image/png", "size": size });
    assert_eq!(event["attachments"], json!([file]));

    // It is saved where the client says, and nothing is put in its place later.
    let to = folder.path().join("saved");
    std::fs::create_dir(&to).unwrap();
    let room = event["room"]["id"].clone();
    let save = json!({ "room": room, "seq": event["seq"], "path": to, "progress": true });
    let saved = daemon.call("save", save.clone());
    let there = to.join("a b.png");
    assert_eq!(saved["files"], json!([{ "path": there, "size": content.len() }]));
    assert!(std::fs::read(&there).unwrap() == content);
    assert!(daemon.events.iter().any(|event| event["percent"] == 0 && event["size"] != 0));
    assert_eq!(daemon.refusal("save", save), ("file-refused".into(), -32000));
    let missing = json!({ "room": room, "seq": 99, "path": to });
    assert_eq!(daemon.refusal("save", missing), ("unknown-message".into(), -32000));

    // However often it is sent under one id, there is one message.
    let send = json!({ "room": room, "path": there, "id": "once", "wait": true });
    let (first, second) = (daemon.call("send_file", send.clone()), daemon.call("send_file", send));
    assert_eq!((&first, first["state"].as_str()), (&second, Some("sent")));
    let nowhere = json!({ "room": room, "path": folder.path().join("nothing") });
    assert_eq!(daemon.refusal("send_file", nowhere), ("file-refused".into(), -32000));
    drop(daemon);

    let heard = script(&people, "alice", &["listen", "--count", "1", "--timeout", "30"], "");
    assert!(heard.says("", " image/png a b.png"), "{:?}", heard.lines);
    let seq = first["seq"].to_string();
    let again = folder.path().join("again.png");
    let saved = script(&people, "alice", &["save", "lunch", &seq, again.to_str().unwrap()], "");
    assert_eq!((saved.code, saved.lines.len()), (DONE, 1), "{saved:?}");
    assert!(std::fs::read(&again).unwrap() == content);
    let refused = script(&people, "alice", &["save", "lunch", &seq, again.to_str().unwrap()], "");
    assert_eq!(refused.code, Some(3), "{refused:?}");
}
