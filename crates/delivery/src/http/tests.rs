//! Server and client over real sockets.

use crate::api::*;
use crate::http::handlers::now;
use crate::http::{Config, Observed, Server};
use crate::http_client::{Client, ClientError, Events, Heard};
use crate::storage::SqliteStorage;
use crate::testing::*;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const ID: [u8; 16] = [8; 16];

fn config(port: u16) -> Config {
    let addr = SocketAddr::from(([127, 0, 0, 1], port));
    Config { addr, ..Config::new(provider()) }
}

fn serve(directory: &Path, config: Config) -> Server {
    crate::http::serve(config, SqliteStorage::open(directory).unwrap()).unwrap()
}

fn client(server: &Server, own: &Own) -> Client {
    let mut client = Client::new(&server.url());
    client.register(&own.registration(now())).unwrap();
    client
}

fn two(server: &Server) -> (Client, Client) {
    let mut dice = Dice(3);
    let (alice, bob) = (Own::new("alice/pc", &mut dice), Own::new("bob/pc", &mut dice));
    (client(server, &alice), client(server, &bob))
}

fn group_of_two(alice: &Client) {
    let kind = GroupKind::Opaque { epoch: 0 };
    alice.call(&CreateGroup { group_id: ID.into(), kind }).unwrap();
    let add = SubmitCommit {
        added: vec!["bob/pc".parse().unwrap()],
        ..commit(private(&ID.into(), 0, ContentType::Commit, b"add"))
    };
    assert_eq!(alice.call(&add), Ok(Outcome::Accepted { epoch: 1, seq: 1 }));
}

fn send(from: &Client, text: &str) -> Outcome {
    let message = private(&ID.into(), 1, ContentType::Application, text.as_bytes());
    from.call(&SendMessage { message }).unwrap()
}

fn log(client: &Client) -> LogPage {
    client.call(&FetchLog { group_id: ID.into(), after: 0, limit: 100 }).unwrap()
}

/// The next that is heard and is no event about a head that was told already.
fn wait_for(events: &mut Events, wanted: impl Fn(&Heard) -> bool) -> Heard {
    events.find(wanted).unwrap()
}

fn head(heard: &Heard) -> Option<u64> {
    match heard {
        Heard::Event(Event::Group { head, .. }) => Some(*head),
        _ => None,
    }
}

#[test]
fn messages_go_through_and_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let server = serve(dir.path(), config(0));
    let (alice, bob) = two(&server);
    group_of_two(&alice);
    assert_eq!(send(&bob, "hello"), Outcome::Accepted { epoch: 1, seq: 2 });
    let before = log(&alice);
    assert_eq!(before.entries.len(), 2);
    let port = server.local_addr().port();
    server.shutdown();
    assert!(alice.call(&FetchInbox { limit: 1 }).unwrap_err().is_temporary());

    let server = serve(dir.path(), config(port));
    assert_eq!(log(&alice), before, "with the token from before");
    drop(server);
    // A process that dies leaves its log behind; what was answered is in it.
    let first = serve(dir.path(), config(0));
    let writer = Client::new(&first.url()).with_token(bob.token().unwrap().clone());
    assert_eq!(send(&writer, "again"), Outcome::Accepted { epoch: 1, seq: 3 });
    let crashed = crash_copy(dir.path());
    let server = serve(crashed.path(), config(0));
    let reader = Client::new(&server.url()).with_token(alice.token().unwrap().clone());
    assert_eq!(log(&reader).entries.len(), 3);
}

#[test]
fn refusals_are_told_by_code_and_in_words() {
    let dir = tempfile::tempdir().unwrap();
    let server = serve(dir.path(), Config { max_body: 10_000, ..config(0) });
    let (alice, bob) = two(&server);
    group_of_two(&alice);
    let stale = commit(private(&ID.into(), 0, ContentType::Commit, b"late"));
    assert_eq!(bob.call(&stale), Ok(Outcome::WrongEpoch { epoch: 1, head: 1 }));
    let unknown = alice.call(&ListDevices { user: "carol".parse().unwrap() }).unwrap_err();
    assert_eq!(unknown.code(), Some(ErrorCode::UnknownUser));
    assert!(unknown.to_string().contains("carol"), "{unknown}");
    let nobody = Client::new(&server.url());
    let refused = nobody.call(&FetchInbox { limit: 1 }).unwrap_err();
    assert_eq!(refused.code(), Some(ErrorCode::Unauthorized));
    let wrong = nobody.with_token(Token::new("alice/pc.00".into()));
    let refused = wrong.call(&FetchInbox { limit: 1 }).unwrap_err();
    assert_eq!(refused.code(), Some(ErrorCode::Unauthorized));
    let long = SendMessage { message: vec![0; 20_000].into() };
    assert_eq!(alice.call(&long).unwrap_err().code(), Some(ErrorCode::TooLarge));
    let nowhere = Client::new("http://127.0.0.1:1");
    let e = nowhere.call(&FetchInbox { limit: 1 }).unwrap_err();
    assert!(matches!(e, ClientError::Unreachable { .. }) && e.is_temporary(), "{e}");
}

/// The service was set up anew, and the device has the old one's token.
#[test]
fn a_device_with_a_token_that_is_no_longer_good_registers_again() {
    let dir = tempfile::tempdir().unwrap();
    let server = serve(dir.path(), config(0));
    let alice = Own::new("alice/pc", &mut Dice(3));
    let mut client = Client::new(&server.url()).with_token(Token::new("alice/pc.00".into()));
    client.register(&alice.registration(now())).unwrap();
    assert_eq!(client.call(&FetchInbox { limit: 1 }).unwrap().total, 0);

    // A client of another making that sends its token with every request.
    let body = alice.registration(now()).to_bytes().unwrap();
    let head = format!(
        "POST /v1/register HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer \
         alice/pc.00\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let mut stream = TcpStream::connect(server.local_addr()).unwrap();
    stream.write_all(&[head.as_bytes(), &body].concat()).unwrap();
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).unwrap();
    assert!(reply.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&reply));
}

#[test]
fn whatever_is_sent_the_server_answers_and_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let server = serve(dir.path(), config(0));
    let (alice, _) = two(&server);
    let answer = |request: &str| {
        let mut stream = TcpStream::connect(server.local_addr()).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        reply.to_lowercase()
    };
    let head = "host: x\r\nconnection: close\r\n";
    let posted = |body: &str| {
        let length = body.len();
        answer(&format!(
            "POST /v1/register HTTP/1.1\r\n{head}content-length: {length}\r\n\r\n{body}"
        ))
    };
    assert!(posted("nonsense").contains("x-conclave-error: malformed"));
    assert!(posted("").contains("x-conclave-error: malformed"));
    for path in ["GET /", "GET /v1/register", "POST /v1/events", "DELETE /v1/nothing"] {
        let reply = answer(&format!("{path} HTTP/1.1\r\n{head}\r\n"));
        assert!(reply.contains("x-conclave-error: unknown-operation"), "{path}: {reply}");
    }
    let basic = format!("GET {EVENTS_PATH} HTTP/1.1\r\n{head}authorization: Basic eA==\r\n\r\n");
    assert!(answer(&basic).contains("x-conclave-error: unauthorized"));
    answer("not http at all\r\n\r\n");
    assert_eq!(alice.call(&FetchInbox { limit: 1 }).unwrap().total, 0);
}

/// What is written to a connection, and all that comes back until it ends.
fn exchange(server: &Server, head: &str, body: &[u8]) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(server.local_addr()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).map(|_| reply.to_lowercase())
}

/// The head of a request with a body of this length.
fn posted(operation: &str, token: Option<&Token>, length: usize) -> String {
    let bearer = token.map(|t| format!("authorization: Bearer {}\r\n", t.expose()));
    let bearer = bearer.unwrap_or_default();
    format!(
        "POST /v1/{operation} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{bearer}\
         content-length: {length}\r\n\r\n"
    )
}

#[test]
fn whoever_sends_slowly_is_not_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let patience = Duration::from_millis(500);
    let server = serve(dir.path(), Config { patience, ..config(0) });
    let (alice, bob) = two(&server);
    group_of_two(&alice);
    let mut events = bob.events();
    assert_eq!(events.next(), Some(Heard::Connected));
    for nothing in ["", "POST /v1/reg", "POST /v1/register HTTP/1.1\r\nhost: x\r\n"] {
        assert!(exchange(&server, nothing, b"").is_ok(), "{nothing} is waited for");
    }
    let (good, wrong) = (alice.token(), Token::new("alice/pc.00".into()));
    for (token, code) in
        [(good, "unavailable"), (None, "unauthorized"), (Some(&wrong), "unauthorized")]
    {
        let reply = exchange(&server, &posted("send-message", token, 1000), b"a part").unwrap();
        assert!(reply.contains(&format!("x-conclave-error: {code}")), "{reply}");
    }
    let reply = exchange(&server, &posted("register", None, 1000), b"a part").unwrap();
    assert!(reply.contains("x-conclave-error: unavailable"), "{reply}");
    // But whoever listens has all the time that there is.
    send(&alice, "one");
    let heard = wait_for(&mut events, |h| head(h) == Some(2) || !matches!(h, Heard::Event(_)));
    assert_eq!(head(&heard), Some(2), "{heard:?}");
}

#[test]
fn requests_that_say_little_are_short_whatever_others_may_be() {
    let dir = tempfile::tempdir().unwrap();
    let server = serve(dir.path(), config(0));
    let (alice, _) = two(&server);
    let reply = |operation, length| {
        let body = vec![0; length];
        exchange(&server, &posted(operation, alice.token(), length), &body).unwrap()
    };
    for short in ["register", "claim-key-packages", "ack-inbox", "fetch-log"] {
        // The whole of it is read, so that the answer can be.
        let answer = reply(short, 1_000_000);
        assert!(answer.contains("x-conclave-error: too-large"), "{short}: {answer}");
        assert!(!reply(short, 60_000).contains("too-large"), "{short}");
    }
    assert!(reply("send-message", 1_000_000).contains("x-conclave-error: malformed"));
}

#[test]
fn of_connections_there_are_so_many_and_the_next_waits() {
    let dir = tempfile::tempdir().unwrap();
    let server = serve(dir.path(), Config { connections: 1, ..config(0) });
    let first = TcpStream::connect(server.local_addr()).unwrap();
    let mut second = TcpStream::connect(server.local_addr()).unwrap();
    second.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    second.write_all(posted("register", None, 0).as_bytes()).unwrap();
    let mut reply = [0; 12];
    assert!(second.read(&mut reply).is_err(), "it is served beside the first");
    drop(first);
    second.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    second.read_exact(&mut reply).unwrap();
    assert_eq!(&reply, b"HTTP/1.1 400");
}

#[test]
fn events_begin_with_what_there_is_and_follow_what_comes() {
    let dir = tempfile::tempdir().unwrap();
    let server = serve(dir.path(), config(0));
    let (alice, bob) = two(&server);
    group_of_two(&alice);
    let mut events = bob.events();
    assert_eq!(events.next(), Some(Heard::Connected));
    let now = Event::Group { group_id: ID.into(), epoch: 1, head: 1 };
    assert_eq!(events.next(), Some(Heard::Event(now)));
    assert_eq!(events.next(), Some(Heard::Event(Event::Ready)));
    send(&alice, "one");
    assert_eq!(head(&wait_for(&mut events, |h| head(h).is_some())), Some(2));

    let port = server.local_addr().port();
    let begun = Instant::now();
    server.shutdown();
    assert!(begun.elapsed() < Duration::from_secs(4), "a stream holds nobody up");
    let heard = wait_for(&mut events, |_| true);
    assert!(matches!(heard, Heard::Disconnected { .. }), "{heard:?}");
    let server = serve(dir.path(), config(port));
    let heard = wait_for(&mut events, |h| head(h).is_some());
    assert_eq!(head(&heard), Some(2), "told again after the reconnection");

    let stop = events.stop_handle();
    stop.stop();
    assert_eq!(events.next(), None);
    drop(server);
}

#[test]
fn a_stream_without_a_server_waits_and_can_be_stopped() {
    let mut events = Client::new("http://127.0.0.1:1").with_token(Token::new("x".into())).events();
    let stop = events.stop_handle();
    let waits: Vec<Duration> = events
        .by_ref()
        .take(3)
        .map(|heard| match heard {
            Heard::Disconnected { retry_in, .. } => retry_in,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(waits, [200, 400, 800].map(Duration::from_millis));
    let thread = std::thread::spawn(move || events.next());
    stop.stop();
    assert_eq!(thread.join().unwrap(), None);
}

#[test]
fn the_hook_tells_what_the_server_sees_and_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let seen = Arc::new(Mutex::new(Vec::<Observed>::new()));
    let tell = {
        let seen = seen.clone();
        Arc::new(move |o: &Observed| seen.lock().unwrap().push(o.clone()))
    };
    let server = serve(dir.path(), Config { on_request: Some(tell), ..config(0) });
    let (alice, bob) = two(&server);
    group_of_two(&alice);
    send(&bob, "a secret");
    let last = seen.lock().unwrap().last().unwrap().clone();
    assert_eq!((last.operation, last.status), ("send-message", 200));
    assert_eq!(last.who, Some("bob/pc".parse().unwrap()));
    assert_eq!(
        last.summary,
        "group 08080808…, bob/pc: application data as PrivateMessage, epoch 1, 41 bytes: number 2"
    );
    let tokens = [alice.token().unwrap().expose(), bob.token().unwrap().expose()];
    for observed in seen.lock().unwrap().iter() {
        let shown = format!("{observed} {observed:?}");
        assert!(!shown.contains("a secret") && !tokens.iter().any(|t| shown.contains(t)));
    }
}
