//! Server and client over real sockets.

#[cfg(feature = "acme")]
mod acme;
mod attachments;
mod front;
mod hostile;
mod refusals;
mod resuming;
mod tls;
mod versions;

use crate::http::clock::now;
use crate::http::{Config, FrontLimits, LONG_ANONYMOUS, Observed, Server};
use crate::http_client::{Client, Events, Session};
use crate::service::{Act, Field, Limits};
use crate::storage::SqliteStorage;
use crate::testing::*;
use conclave_account::Author;
use conclave_delivery_api::*;
use conclave_mls::crypto::SignatureKeyPair;
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

/// Opens a session, whose key pair is returned, too.
fn open_session(
    client: &Client,
    own: &Own,
) -> Result<(SignatureKeyPair, OpenedSession), CallError> {
    let service = client.call(&DescribeService {})?;
    let pair = session_pair();
    client.call(&own.opening(&service.key, &pair, now())).map(|opened| (pair, opened))
}

/// A client with a session of a device whose account the service has.
fn known_client(server: &Server, own: &Own) -> Client {
    let client = Client::new(&server.url());
    let (pair, opened) = open_session(&client, own).unwrap();
    client.with_session(Session::new(provider(), pair, opened.token))
}

/// The same for a device whose account log is submitted first.
fn client(server: &Server, own: &Own) -> Client {
    Client::new(&server.url()).call(&own.submission()).unwrap();
    known_client(server, own)
}

fn owners() -> (Own, Own) {
    let mut dice = Dice(3);
    (Own::new("alice/pc", &mut dice), Own::new("bob/pc", &mut dice))
}

fn two(server: &Server) -> (Client, Client) {
    let (alice, bob) = owners();
    (client(server, &alice), client(server, &bob))
}

fn token(client: &Client) -> Token {
    client.session().unwrap().token().clone()
}

fn group_of_two(alice: &Client) {
    let kind = GroupKind::Opaque { epoch: 0 };
    alice.call(&CreateGroup { group_id: ID.into(), kind }).unwrap();
    let add = SubmitCommit {
        added: vec!["bob/pc".parse().unwrap()],
        ..SubmitCommit::new(private(&ID.into(), 0, ContentType::Commit, b"add"))
    };
    assert_eq!(brief(&alice.call(&add).unwrap()), Brief::Accepted { epoch: 1, seq: 1 });
}

fn send(from: &Client, text: &str) -> Brief {
    let message = private(&ID.into(), 1, ContentType::Application, text.as_bytes());
    brief(&from.call(&SendMessage { message }).unwrap())
}

fn log(client: &Client) -> LogPage {
    client.call(&FetchLog { group_id: ID.into(), after: 0, limit: 100 }).unwrap()
}

/// The next that is heard and is no event about a head that was told already.
fn wait_for(events: &mut Events, wanted: impl Fn(&StreamEvent) -> bool) -> StreamEvent {
    events.find(wanted).unwrap()
}

fn head(heard: &StreamEvent) -> Option<u64> {
    match heard {
        StreamEvent::Event(Event::Group { position, .. }) => Some(position.seq),
        _ => None,
    }
}

#[test]
fn messages_go_through_and_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let server = serve(dir.path(), config(0));
    let (alice, bob) = two(&server);
    group_of_two(&alice);
    assert_eq!(send(&bob, "hello"), Brief::Accepted { epoch: 1, seq: 2 });
    let before = log(&alice);
    assert_eq!(before.entries.len(), 2);
    let port = server.local_addr().port();
    server.shutdown();
    assert!(alice.call(&FetchInbox { limit: 1 }).unwrap_err().is_temporary());

    let server = serve(dir.path(), config(port));
    let (own_alice, own_bob) = owners();
    let alice = known_client(&server, &own_alice);
    let after = log(&alice);
    assert_eq!(after.entries, before.entries, "with a new session");
    assert_eq!(after.end.position, before.end.position);
    drop(server);
    // A process that dies leaves its log behind; what was answered is in it.
    let first = serve(dir.path(), config(0));
    assert_eq!(
        send(&known_client(&first, &own_bob), "again"),
        Brief::Accepted { epoch: 1, seq: 3 }
    );
    let crashed = crash_copy(dir.path());
    let server = serve(crashed.path(), config(0));
    assert_eq!(log(&known_client(&server, &own_alice)).entries.len(), 3);
}

#[test]
fn refusals_are_told_by_code_and_in_words() {
    let dir = tempfile::tempdir().unwrap();
    let server = serve(dir.path(), Config { max_body: 10_000, ..config(0) });
    let (alice, bob) = two(&server);
    group_of_two(&alice);
    let stale = SubmitCommit::new(private(&ID.into(), 0, ContentType::Commit, b"late"));
    assert_eq!(brief(&bob.call(&stale).unwrap()), Brief::WrongEpoch { epoch: 1, head: 1 });
    let unknown =
        alice.call(&FetchAccount { user: "carol".parse().unwrap(), after: 0 }).unwrap_err();
    assert_eq!(unknown.code(), Some(ErrorCode::UnknownUser));
    assert!(unknown.to_string().contains("carol"), "{unknown}");
    let nobody = Client::new(&server.url());
    let refused = nobody.call(&FetchInbox { limit: 1 }).unwrap_err();
    assert_eq!(refused.code(), Some(ErrorCode::Unauthorized));
    let key_pair = owners().0.keys;
    let wrong = nobody.with_session(Session::new(provider(), key_pair, Token::new("00".into())));
    let refused = wrong.call(&FetchInbox { limit: 1 }).unwrap_err();
    assert_eq!(refused.code(), Some(ErrorCode::Unauthorized));
    let long = SendMessage { message: vec![0; 20_000].into() };
    assert_eq!(alice.call(&long).unwrap_err().code(), Some(ErrorCode::TooLarge));
    let nowhere = Client::new("http://127.0.0.1:1");
    let e = nowhere.call(&FetchInbox { limit: 1 }).unwrap_err();
    assert!(matches!(e, CallError::Unreachable { .. }) && e.is_temporary(), "{e}");
}

/// The service was started or set up anew, and the device has the old one's session.
#[test]
fn a_device_whose_session_is_forgotten_opens_another() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (alice, _) = owners();
    let server = serve(first.path(), config(0));
    let forgotten = client(&server, &alice).session().unwrap().clone();
    drop(server);

    let server = serve(first.path(), config(0));
    let client = Client::new(&server.url()).with_session(forgotten.clone());
    let refused = client.call(&FetchInbox { limit: 1 }).unwrap_err();
    assert_eq!(refused.code(), Some(ErrorCode::Unauthorized));
    let client = known_client(&server, &alice);
    assert_eq!(client.call(&FetchInbox { limit: 1 }).unwrap().total, 0);
    drop(server);

    // One that has forgotten the account, too, says so.
    let server = serve(second.path(), config(0));
    let client = Client::new(&server.url()).with_session(forgotten);
    let refused = open_session(&client, &alice).unwrap_err();
    assert_eq!(refused.code(), Some(ErrorCode::UnknownUser));
    client.call(&alice.submission()).unwrap();
    assert_eq!(known_client(&server, &alice).call(&FetchInbox { limit: 1 }).unwrap().total, 0);

    // A client of another making that sends its old token with every request.
    let body = alice.submission().to_bytes().unwrap();
    let old = Token::new("00".into());
    let reply =
        exchange(&server, &posted("submit-account", Some(&old), body.len()), &body).unwrap();
    assert!(reply.starts_with("http/1.1 200 "), "{reply}");
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
            "POST /v1/submit-account HTTP/1.1\r\n{head}content-length: {length}\r\n\r\n{body}"
        ))
    };
    assert!(posted("nonsense").contains("x-conclave-error: malformed"));
    assert!(posted("").contains("x-conclave-error: malformed"));
    for path in ["GET /", "GET /v1/submit-account", "POST /v1/events", "DELETE /v1/nothing"] {
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
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply)?;
    Ok(String::from_utf8_lossy(&reply).to_lowercase())
}

/// The head of a request with a body of this length.
fn posted(operation: &str, token: Option<&Token>, length: usize) -> String {
    // The proof is well-formed, and of nothing.
    let bearer = token.map(|token| {
        format!("authorization: Bearer {}\r\n{PROOF_HEADER}: 9 00\r\n", token.expose())
    });
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
    assert_eq!(events.next(), Some(StreamEvent::Connected));
    for nothing in ["", "POST /v1/sub", "POST /v1/submit-account HTTP/1.1\r\nhost: x\r\n"] {
        assert!(exchange(&server, nothing, b"").is_ok(), "{nothing} is waited for");
    }
    let (good, wrong) = (token(&alice), Token::new("00".into()));
    for (token, code) in
        [(Some(&good), "unavailable"), (None, "unauthorized"), (Some(&wrong), "unauthorized")]
    {
        let reply = exchange(&server, &posted("send-message", token, 1000), b"a part").unwrap();
        assert!(reply.contains(&format!("x-conclave-error: {code}")), "{reply}");
    }
    let reply = exchange(&server, &posted("submit-account", None, 1000), b"a part").unwrap();
    assert!(reply.contains("x-conclave-error: unavailable"), "{reply}");
    // But whoever listens has all the time that there is.
    send(&alice, "one");
    let heard =
        wait_for(&mut events, |h| head(h) == Some(2) || !matches!(h, StreamEvent::Event(_)));
    assert_eq!(head(&heard), Some(2), "{heard:?}");
}

#[test]
fn requests_that_say_little_are_short_whatever_others_may_be() {
    let dir = tempfile::tempdir().unwrap();
    let server = serve(dir.path(), config(0));
    let (alice, _) = two(&server);
    let token = token(&alice);
    let reply = |operation, length| {
        let body = vec![0; length];
        exchange(&server, &posted(operation, Some(&token), length), &body).unwrap()
    };
    for short in ["open-session", "fetch-relay", "claim-key-packages", "ack-inbox", "fetch-log"] {
        // The whole of it is read, so that the answer can be.
        let answer = reply(short, 1_000_000);
        assert!(answer.contains("x-conclave-error: too-large"), "{short}: {answer}");
        assert!(!reply(short, 60_000).contains("too-large"), "{short}");
    }
    assert!(reply("send-message", 1_000_000).contains("x-conclave-error: bad-proof"));

    // What takes no session may hold an account log, and less than what takes one.
    assert!(reply("submit-account", 1_000_000).contains("x-conclave-error: malformed"));
    assert!(reply("submit-account", 2_000_000).contains("x-conclave-error: too-large"));
}

#[test]
fn a_log_forgets_by_itself_what_it_is_set_to_keep_no_longer() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits { log_entries: Some(3), ..Default::default() };
    let compact_every = Duration::from_millis(20);
    let server = serve(dir.path(), Config { limits, compact_every, ..config(0) });
    let (alice, bob) = two(&server);
    group_of_two(&alice);
    for text in ["one", "two", "three", "four"] {
        send(&alice, text);
    }
    let fetch = |after| bob.call(&FetchLog { group_id: ID.into(), after, limit: 10 });
    let until = Instant::now() + Duration::from_secs(20);
    while fetch(1).is_ok() {
        assert!(Instant::now() < until, "nothing was dropped");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(fetch(1).unwrap_err().code(), Some(ErrorCode::LogTruncated));

    // Who comes later than what was dropped cannot know the hash before it, but follows all that is left.
    let known = fetch(5).unwrap().end.position.chain;
    let page = fetch(2).unwrap();
    assert_eq!((page.entries.len(), page.before), (3, None));
    let kept = fetch(3).unwrap();
    assert_eq!(kept.chains(&ID.into(), None).unwrap().last(), Some(&known));
}

#[test]
fn events_begin_with_what_there_is_and_follow_what_comes() {
    let dir = tempfile::tempdir().unwrap();
    let server = serve(dir.path(), config(0));
    let (alice, bob) = two(&server);
    group_of_two(&alice);
    let mut events = bob.events();
    assert_eq!(events.next(), Some(StreamEvent::Connected));
    let account = |user: &str| Event::Account { user: user.parse().unwrap(), length: 1 };
    let page = log(&bob);
    let group = Event::Group { group_id: ID.into(), position: page.end.position };
    let incarnation = bob.call(&DescribeService {}).unwrap().incarnation;
    assert_eq!(incarnation, page.end.incarnation);
    for now in [Event::Incarnation(incarnation), account("alice"), account("bob"), group] {
        assert_eq!(events.next(), Some(StreamEvent::Event(now)));
    }
    assert_eq!(events.next(), Some(StreamEvent::Event(Event::Ready)));
    send(&alice, "one");
    assert_eq!(head(&wait_for(&mut events, |h| head(h).is_some())), Some(2));

    let port = server.local_addr().port();
    let begun = Instant::now();
    server.shutdown();
    assert!(begun.elapsed() < Duration::from_secs(4), "a stream holds nobody up");
    let heard = wait_for(&mut events, |_| true);
    assert!(matches!(heard, StreamEvent::Disconnected { .. }), "{heard:?}");
    let server = serve(dir.path(), config(port));
    let heard = wait_for(&mut events, |_| true);
    let StreamEvent::Disconnected { error, .. } = heard else { panic!("{heard:?}") };
    assert_eq!(error.code(), Some(ErrorCode::Unauthorized), "the session is gone with the server");
    let mut events = known_client(&server, &owners().1).events();
    let heard = wait_for(&mut events, |h| head(h).is_some());
    assert_eq!(head(&heard), Some(2), "told again after the reconnection");

    let stop = events.stop_handle();
    stop.stop();
    assert_eq!(events.next(), None);
    drop(server);
}

#[test]
fn a_stream_without_a_server_waits_and_can_be_stopped() {
    let mut events = Client::new("http://127.0.0.1:1").events();
    let stop = events.stop_handle();
    let waits: Vec<Duration> = events
        .by_ref()
        .take(3)
        .map(|heard| match heard {
            StreamEvent::Disconnected { retry_in, .. } => retry_in,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(waits, [200, 400, 800].map(Duration::from_millis));
    let thread = std::thread::spawn(move || events.next());
    stop.stop();
    assert_eq!(thread.join().unwrap(), None);
}

/// The head of a signed request.
fn signed(session: &OwnSession, number: u64, path: &str, body: &[u8]) -> String {
    let OwnSession { token, pair, .. } = session;
    let proof = Proof::signed(&PROVIDER, pair, token, number, (path, body)).unwrap();
    with_proof(token, &proof, path, body.len())
}

fn with_proof(token: &Token, proof: &Proof, path: &str, length: usize) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {}\r\n\
         {PROOF_HEADER}: {}\r\ncontent-length: {length}\r\n\r\n",
        token.expose(),
        proof.to_text()
    )
}

fn own_session(server: &Server, own: &Own) -> OwnSession {
    let client = Client::new(&server.url());
    client.call(&own.submission()).unwrap();
    let (pair, opened) = open_session(&client, own).unwrap();
    OwnSession { token: opened.token, pair, lifetime: opened.lifetime }
}

#[test]
fn a_thief_of_a_token_gets_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let server = serve(dir.path(), config(0));
    let session = own_session(&server, &owners().0);
    let token = &session.token;
    let body = FetchInbox { limit: 1 }.to_bytes().unwrap();
    let path = FetchInbox::PATH;
    let thiefs = OwnSession { pair: session_pair(), ..session.clone() };
    let forged = signed(&thiefs, 1, path, &body);
    let bearer = format!("authorization: Bearer {}\r\n", token.expose());
    let alone = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{bearer}content-length: {}\r\n\r\n",
        body.len()
    );
    let nonsense = alone.replace(&bearer, &format!("{bearer}{PROOF_HEADER}: nonsense\r\n"));
    let reason = "a token alone is not enough";
    for (head, what) in [(forged, "another key"), (alone, "no proof"), (nonsense, "nonsense")] {
        let reply = exchange(&server, &head, &body).unwrap();
        assert!(reply.starts_with("http/1.1 403 "), "{what}: {reply}");
        assert!(reply.contains("x-conclave-error: bad-proof"), "{what}: {reply}");
        assert!(reply.contains(reason), "{what}: {reply}");
    }
    for proof in [String::new(), format!("{PROOF_HEADER}: 1 00\r\n")] {
        let head = format!(
            "GET {EVENTS_PATH} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{bearer}{proof}\r\n"
        );
        let reply = exchange(&server, &head, b"").unwrap();
        assert!(reply.contains("x-conclave-error: bad-proof"), "it listens: {reply}");
    }

    // Its owner goes on, from the same number.
    let reply = exchange(&server, &signed(&session, 1, path, &body), &body).unwrap();
    assert!(reply.starts_with("http/1.1 200 "), "{reply}");
}

#[test]
fn an_overheard_request_is_worth_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let server = serve(dir.path(), config(0));
    let session = own_session(&server, &owners().0);
    let create = |n: u8| {
        let kind = GroupKind::Opaque { epoch: 0 };
        CreateGroup { group_id: [n; 16].into(), kind }.to_bytes().unwrap()
    };
    let (body, other) = (create(1), create(2));
    let head = signed(&session, 5, CreateGroup::PATH, &body);
    let refused = |head: &str, body: &[u8], code: &str| {
        let reply = exchange(&server, head, body).unwrap();
        assert!(reply.contains(&format!("x-conclave-error: {code}")), "{reply}");
    };

    // With another body or at another path, it is not what was signed; nor has it used up the number.
    refused(&head, &other, "bad-proof");
    refused(&head.replace(CreateGroup::PATH, FetchInbox::PATH), &body, "bad-proof");
    let reply = exchange(&server, &head, &body).unwrap();
    assert!(reply.starts_with("http/1.1 200 "), "{reply}");

    // As it was, it counts once.
    refused(&head, &body, "replayed");
    refused(&head, &other, "bad-proof");
    let listen = format!(
        "GET {EVENTS_PATH} HTTP/1.1\r\n{}",
        head.split_once("\r\n")
            .unwrap()
            .1
            .replace(&format!("content-length: {}\r\n", body.len()), "")
    );
    refused(&listen, b"", "bad-proof");

    // Nor with the token of a session that the thief opens.
    let (_, bob) = owners();
    let thiefs = own_session(&server, &bob);
    refused(&head.replace(session.token.expose(), thiefs.token.expose()), &body, "bad-proof");
}

#[test]
fn a_request_that_was_overtaken_is_signed_again() {
    let dir = tempfile::tempdir().unwrap();
    let server = serve(dir.path(), config(0));
    let OwnSession { token, pair, .. } = own_session(&server, &owners().0);
    let session = || Session::new(provider(), pair.clone(), token.clone());
    let first = Client::new(&server.url()).with_session(session());
    first.call(&FetchInbox { limit: 1 }).unwrap();

    // One whose numbers begin anew has the first refused, and the second not.
    let again = Client::new(&server.url()).with_session(session());
    again.call(&FetchInbox { limit: 1 }).unwrap();
    (0..70).for_each(|_| drop(again.call(&FetchInbox { limit: 1 }).unwrap()));
    let behind = first.call(&FetchInbox { limit: 1 }).unwrap_err();
    assert_eq!(behind.code(), Some(ErrorCode::Replayed), "it does not try without end");
}

#[test]
fn members_who_listen_hear_that_the_administrator_has_ended_their_group() {
    let dir = tempfile::tempdir().unwrap();
    let server = serve(dir.path(), config(0));
    let (alice, bob) = two(&server);
    group_of_two(&alice);
    let mut events = bob.events();
    wait_for(&mut events, |heard| *heard == StreamEvent::Event(Event::Ready));

    let report = server.administer().run(Act::Reset(ID.into())).unwrap();
    assert!(report[0].contains(&("members", Field::Number(2))), "{report:?}");
    let ended = Event::Ended { group_id: ID.into(), ending: Ending::Unsucceeded };
    assert_eq!(wait_for(&mut events, |_| true), StreamEvent::Event(ended));
    let request = SendMessage { message: private(&ID.into(), 1, ContentType::Application, b"x") };
    let refused = alice.call(&request).unwrap_err();
    assert_eq!(refused.code(), Some(ErrorCode::GroupEnded));
    assert_eq!(log(&bob).ending, Some(Ending::Unsucceeded));
}

/// Whether the stream ends within seconds, whatever it says before.
fn stream_ends(events: &mut Events) -> bool {
    let stop = events.stop_handle();
    // One that goes on is stopped at its next ping.
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_secs(5));
        stop.stop();
    });
    events.any(|heard| matches!(heard, StreamEvent::Disconnected { .. }))
}

#[test]
fn a_stream_is_cut_off_when_its_device_is_revoked_or_rotates() {
    let dir = tempfile::tempdir().unwrap();
    let server = serve(dir.path(), config(0));
    let mut dice = Dice(3);
    let mut alice = Own::new("alice/pc", &mut dice);
    let phone = alice.add("phone", &mut dice);
    let anyone = Client::new(&server.url());
    let (laptops, phones) = (client(&server, &alice), known_client(&server, &phone));
    let [mut laptop_hears, mut phone_hears] = [&laptops, &phones].map(Client::events);
    for events in [&mut laptop_hears, &mut phone_hears] {
        wait_for(events, |heard| *heard == StreamEvent::Event(Event::Ready));
    }

    alice.revoke("phone");
    anyone.call(&alice.submission()).unwrap();
    assert!(stream_ends(&mut phone_hears));
    let refused = phones.call(&FetchInbox { limit: 1 }).unwrap_err();
    assert_eq!(refused.code(), Some(ErrorCode::Unauthorized));
    assert_eq!(open_session(&anyone, &phone).unwrap_err().code(), Some(ErrorCode::Revoked));
    let told = Event::Account { user: alice.id.user.clone(), length: 3 };
    wait_for(&mut laptop_hears, |heard| *heard == StreamEvent::Event(told.clone()));

    alice.rotate(&mut dice);
    anyone.call(&alice.submission()).unwrap();
    assert!(stream_ends(&mut laptop_hears));
    let refused = laptops.call(&FetchInbox { limit: 1 }).unwrap_err();
    assert_eq!(refused.code(), Some(ErrorCode::Unauthorized));
    assert!(known_client(&server, &alice).call(&FetchInbox { limit: 1 }).is_ok());
}

#[test]
fn a_recovery_session_does_not_listen() {
    let dir = tempfile::tempdir().unwrap();
    let server = serve(dir.path(), config(0));
    let mut dice = Dice(3);
    let mut alice = Own::new("alice/pc", &mut dice);
    let keys = alice.recovery(&mut dice);
    let anyone = Client::new(&server.url());
    anyone.call(&alice.submission()).unwrap();
    let service = anyone.call(&DescribeService {}).unwrap();
    let (pair, who) = (session_pair(), (alice.id.user.clone(), Author::Recovery));
    let key = (SCHEME, &keys);
    let open = OpenSession::signed(&PROVIDER, &service.key, who, key, pair.public.clone(), now());
    let opened = anyone.call(&open.unwrap()).unwrap();
    let client = anyone.with_session(Session::new(provider(), pair, opened.token));
    let fetch = FetchAccount { user: alice.id.user.clone(), after: 1 };
    assert_eq!(client.call(&fetch).unwrap().length, 2);
    let heard = client.events().next().unwrap();
    let StreamEvent::Disconnected { error, .. } = heard else { panic!("{heard:?}") };
    assert_eq!(error.code(), Some(ErrorCode::Unauthorized));
}

#[test]
fn of_long_requests_without_a_session_there_are_so_many() {
    let dir = tempfile::tempdir().unwrap();
    let server = serve(dir.path(), Config { front: FrontLimits::unlimited(), ..config(0) });
    let begin = || {
        let mut stream = TcpStream::connect(server.local_addr()).unwrap();
        stream.write_all(posted("submit-account", None, 200_000).as_bytes()).unwrap();
        stream.write_all(&[0; 100_000]).unwrap();
        stream
    };
    let mut waiting: Vec<TcpStream> = (0..LONG_ANONYMOUS).map(|_| begin()).collect();
    let whole = || {
        let head = posted("submit-account", None, 200_000);
        exchange(&server, &head, &[0; 200_000]).unwrap()
    };
    let crowded = |reply: &str| reply.contains("x-conclave-error: overloaded");
    let patience = Instant::now();
    while !crowded(&whole()) {
        // It took a place before one of those did, which is refused.
        waiting.push(begin());
        assert!(patience.elapsed() < Duration::from_secs(20), "as many as come are kept");
    }

    // Short ones come through, and so do those who have a session.
    let (alice, _) = two(&server);
    let message = private(&ID.into(), 1, ContentType::Application, &[0; 200_000]);
    let refused = alice.call(&SendMessage { message }).unwrap_err();
    assert_eq!(refused.code(), Some(ErrorCode::UnknownGroup));

    drop(waiting);
    let patience = Instant::now();
    while crowded(&whole()) {
        assert!(patience.elapsed() < Duration::from_secs(20), "no place is free again");
    }
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
    let tokens = [&alice, &bob].map(|client| token(client).expose().to_string());
    for observed in seen.lock().unwrap().iter() {
        let shown = format!("{observed} {observed:?}");
        assert!(!shown.contains("a secret") && !tokens.iter().any(|token| shown.contains(token)));
    }
}

#[test]
fn a_running_server_publishes_accounts_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let seen = Arc::new(Mutex::new(Vec::<Observed>::new()));
    let tell = {
        let seen = seen.clone();
        Arc::new(move |o: &Observed| seen.lock().unwrap().push(o.clone()))
    };
    let publish_every = Duration::from_millis(20);
    let server = serve(dir.path(), Config { publish_every, on_request: Some(tell), ..config(0) });
    let (alice, _bob) = two(&server);
    let nobody = Client::new(&server.url());
    let begun = Instant::now();
    // It is told after it was done.
    let is_told = || seen.lock().unwrap().iter().any(|o| o.operation == "publish");
    while nobody.call(&FetchRoots { from: 0 }).unwrap().newest == 0 || !is_told() {
        assert!(begun.elapsed() < Duration::from_secs(30), "nothing is published");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(nobody.call(&FetchExtension { from: 0, to: 1 }).is_ok());
    assert_eq!(nobody.call(&FetchHistory {}).unwrap_err().code(), Some(ErrorCode::Unauthorized));
    assert!(alice.call(&FetchHistory {}).is_ok());
    // It is told after it is done.
    let told = || seen.lock().unwrap().iter().find(|o| o.operation == "publish").cloned();
    let published = loop {
        match told() {
            Some(published) => break published,
            None => assert!(begun.elapsed() < Duration::from_secs(30), "nobody is told of it"),
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    assert!(published.summary.starts_with("directory 1, "), "{published}");
}
