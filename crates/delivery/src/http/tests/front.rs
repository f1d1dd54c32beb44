//! What a few cannot take from all: connections, streams, memory, and the server's time.

use super::*;
use crate::http::{Proxies, Rate};

/// A connection from one of this machine's own addresses: 127.0.0.n.
fn connect_from(n: u8, server: &Server) -> TcpStream {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    let stream = runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from(([127, 0, 0, n], 0)))?;
        socket.connect(server.local_addr()).await
    });
    let stream = stream.unwrap().into_std().unwrap();
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

/// Writes a request, and reads until the connection ends.
fn ask(stream: &mut TcpStream, head: &str, body: &[u8]) -> String {
    // What the server refuses it need not read.
    let _ = stream.write_all(head.as_bytes());
    let _ = stream.write_all(body);
    let mut reply = Vec::new();
    let _ = stream.read_to_end(&mut reply);
    String::from_utf8_lossy(&reply).to_lowercase()
}

fn describe(more: &str) -> String {
    posted("describe-service", None, 0).replace("host: x\r\n", &format!("host: x\r\n{more}"))
}

fn limited(front: FrontLimits) -> Config {
    Config { front, ..config(0) }
}

const SLOW: Rate = Rate { requests: 2, bytes: 1 << 30 };

#[test]
fn a_flood_from_one_address_is_refused_and_others_are_served() {
    let dir = tempfile::tempdir().unwrap();
    let burst = Duration::from_secs(60);
    let anonymous = Rate { requests: 1, ..SLOW };
    let server = serve(dir.path(), limited(FrontLimits { anonymous, burst, ..Default::default() }));
    let replies: Vec<String> =
        (0..80).map(|_| ask(&mut connect_from(2, &server), &describe(""), b"")).collect();
    let served = replies.iter().filter(|reply| reply.starts_with("http/1.1 200 ")).count();
    assert!((60..80).contains(&served), "a burst of 60: {served}");
    let refused = replies.last().unwrap();
    assert!(refused.starts_with("http/1.1 429 "), "{refused}");
    assert!(refused.contains("x-conclave-error: rate-limited"), "{refused}");
    assert!(refused.contains("retry-after: "), "{refused}");

    assert!(ask(&mut connect_from(3, &server), &describe(""), b"").starts_with("http/1.1 200 "));
    // A token that names nothing is no way around it.
    let wrong = posted("fetch-inbox", Some(&Token::new("00".into())), 0);
    let reply = ask(&mut connect_from(2, &server), &wrong, b"");
    assert!(reply.contains("x-conclave-error: rate-limited"), "{reply}");
    let (alice, _) = two(&server);
    assert!(alice.call(&FetchInbox { limit: 1 }).is_ok());
}

#[test]
fn a_claim_too_many_says_when_to_come_again() {
    let dir = tempfile::tempdir().unwrap();
    let server = serve(dir.path(), config(0));
    let (alice, _) = two(&server);
    let (user, devices) = ("bob".parse().unwrap(), vec![]);
    let claim = ClaimKeyPackages { user, cipher_suite: SUITE, devices };
    assert_eq!((0..30).filter(|_| alice.call(&claim).is_ok()).count(), 30);
    match alice.call(&claim).unwrap_err() {
        CallError::Postponed { code: ErrorCode::RateLimited, retry_after, .. } => {
            assert!((60..=120).contains(&retry_after.as_secs()), "{retry_after:?}");
        }
        e => panic!("{e}"),
    }
}

/// The replies to requests of a session, one after another, until one is refused; at most so many.
fn served_in_a_row(server: &Server, session: &OwnSession, from: u64, most: u64) -> (u64, String) {
    let body = FetchInbox { limit: 1 }.to_bytes().unwrap();
    for n in 0..most {
        let head = signed(session, from + n, FetchInbox::PATH, &body);
        let reply = exchange(server, &head, &body).unwrap();
        if !reply.starts_with("http/1.1 200 ") {
            return (n, reply);
        }
    }
    (most, String::new())
}

#[test]
fn a_device_and_a_user_have_a_rate_each_and_a_client_waits_as_it_is_asked_to() {
    let dir = tempfile::tempdir().unwrap();
    let burst = Duration::from_secs(10);
    let user = Rate { requests: 3, ..SLOW };
    let front = FrontLimits { device: SLOW, user, burst, ..Default::default() };
    let server = serve(dir.path(), limited(front));
    let mut dice = Dice(3);
    let mut alice = Own::new("alice/pc", &mut dice);
    let [phone, tablet] = ["phone", "tablet"].map(|name| alice.add(name, &mut dice));
    Client::new(&server.url()).call(&alice.submission()).unwrap();
    let [pc, phone] = [&alice, &phone].map(|own| {
        let (pair, opened) = open_session(&Client::new(&server.url()), own).unwrap();
        OwnSession { token: opened.token, pair, lifetime: opened.lifetime }
    });

    let (served, refused) = served_in_a_row(&server, &pc, 1, 100);
    assert!((20..30).contains(&served), "{served}");
    assert!(
        refused.starts_with("http/1.1 429 ") && refused.contains("rate of a device"),
        "{refused}"
    );
    let (served, refused) = served_in_a_row(&server, &phone, 1, 100);
    assert!((10..20).contains(&served), "what the user has left: {served}");
    assert!(refused.contains("rate of a user"), "{refused}");

    let client = known_client(&server, &tablet);
    for _ in 0..3 {
        assert!(client.call(&FetchInbox { limit: 1 }).is_ok(), "it does not wait");
    }
}

/// A stream that says at once whether it is open; what the refusal says.
fn listen(client: &Client) -> Result<Events, CallError> {
    let mut events = client.events();
    match events.next().unwrap() {
        StreamEvent::Connected => Ok(events),
        StreamEvent::Disconnected { error, .. } => Err(error),
        StreamEvent::Event(event) => panic!("{event:?}"),
    }
}

#[test]
fn streams_have_an_end_for_a_device_a_user_an_address_and_in_all() {
    let dir = tempfile::tempdir().unwrap();
    let front = FrontLimits {
        streams: 4,
        streams_of_address: 3,
        streams_of_user: 2,
        streams_of_device: 1,
        ..Default::default()
    };
    let trusted = vec!["127.0.0.9".parse().unwrap()];
    let proxies = Proxies { trusted, ..Default::default() };
    let server = serve(dir.path(), Config { proxies, ..limited(front) });
    let mut dice = Dice(3);
    let mut alice = Own::new("alice/pc", &mut dice);
    let [phone, tablet] = ["phone", "tablet"].map(|name| alice.add(name, &mut dice));
    let pc = client(&server, &alice);
    let [phone, tablet] = [phone, tablet].map(|own| known_client(&server, &own));
    let [bob, carol] =
        ["bob/pc", "carol/pc"].map(|name| client(&server, &Own::new(name, &mut dice)));

    // One more of a device ends its first, which may be of a network that is gone.
    let mut first = listen(&pc).unwrap();
    wait_for(&mut first, |heard| *heard == StreamEvent::Event(Event::Ready));
    let _second = listen(&pc).unwrap();
    assert!(stream_ends(&mut first));

    let open = listen(&phone).unwrap();
    let refused = listen(&tablet).err().unwrap();
    assert_eq!(refused.code(), Some(ErrorCode::Overloaded), "{refused}");
    assert!(refused.is_temporary(), "{refused}");
    let _bob = listen(&bob).unwrap();
    assert_eq!(listen(&carol).err().and_then(|e| e.code()), Some(ErrorCode::Overloaded));

    // A place comes back with the next line that does not arrive.
    drop(open);
    let begun = Instant::now();
    while listen(&carol).is_err() {
        assert!(begun.elapsed() < Duration::from_secs(30), "its place does not come back");
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn idle_connections_without_a_session_do_not_keep_others_out() {
    let dir = tempfile::tempdir().unwrap();
    let server = serve(dir.path(), Config { connections: 100, ..config(0) });
    let (alice, bob) = two(&server);
    group_of_two(&alice);
    let mut events = bob.events();
    wait_for(&mut events, |heard| *heard == StreamEvent::Event(Event::Ready));

    let idle: Vec<TcpStream> = (0..400).map(|n| connect_from(2 + (n % 8) as u8, &server)).collect();
    // Whoever has a session keeps it and its streams, and whoever has none gets in.
    assert!(matches!(send(&alice, "one"), Brief::Accepted { .. }));
    let heard =
        wait_for(&mut events, |h| head(h) == Some(2) || !matches!(h, StreamEvent::Event(_)));
    assert_eq!(head(&heard), Some(2), "{heard:?}");
    assert!(Client::new(&server.url()).call(&DescribeService {}).is_ok());
    drop(idle);
}

#[test]
fn a_newcomer_gets_in_for_whoever_has_waited_longest() {
    let dir = tempfile::tempdir().unwrap();
    let server = serve(dir.path(), Config { connections: 1, ..config(0) });
    let mut first = connect_from(2, &server);
    let reply = ask(&mut connect_from(3, &server), &describe(""), b"");
    assert!(reply.starts_with("http/1.1 200 "), "{reply}");
    assert_eq!(first.read(&mut [0; 1]).unwrap(), 0, "it has to go");

    // Nobody has to go who has a session.
    let mut dice = Dice(3);
    let member = client(&server, &Own::new("alice/pc", &mut dice));
    assert!(member.call(&FetchInbox { limit: 1 }).is_ok());
    let reply = ask(&mut connect_from(3, &server), "", b"");
    assert!(reply.starts_with("http/1.1 503 ") && reply.contains("retry-after: "), "{reply}");
    assert!(reply.contains("x-conclave-error: overloaded"), "{reply}");
}

/// Bob's session, and a group whose log has a page of more than three MiB.
fn with_a_long_log(server: &Server) -> (Client, OwnSession) {
    let (own_alice, own_bob) = owners();
    let alice = client(server, &own_alice);
    Client::new(&server.url()).call(&own_bob.submission()).unwrap();
    group_of_two(&alice);
    for n in 0..3u8 {
        let text = vec![n; 1_100_000];
        let message = private(&ID.into(), 1, ContentType::Application, &text);
        alice.call(&SendMessage { message }).unwrap();
    }
    let (pair, opened) = open_session(&Client::new(&server.url()), &own_bob).unwrap();
    (alice, OwnSession { token: opened.token, pair, lifetime: opened.lifetime })
}

#[test]
fn slow_readers_hold_their_share_of_memory_and_only_for_a_while() {
    let dir = tempfile::tempdir().unwrap();
    let front = FrontLimits {
        // Bob may hold four MiB: one page.
        memory: 32 << 20,
        stall: Duration::from_millis(700),
        ..Default::default()
    };
    let server = serve(dir.path(), limited(front));
    let (alice, bob) = with_a_long_log(&server);
    let body = FetchLog { group_id: ID.into(), after: 0, limit: 100 }.to_bytes().unwrap();
    let page = |number: u64| {
        let mut stream = connect_from(2, &server);
        let head = signed(&bob, number, FetchLog::PATH, &body);
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(&body).unwrap();
        let mut begin = [0; 12];
        stream.read_exact(&mut begin).unwrap();
        (stream, String::from_utf8(begin.to_vec()).unwrap())
    };
    let (slow, first) = page(1);
    assert_eq!(first, "HTTP/1.1 200");
    let (_, second) = page(2);
    assert_eq!(second, "HTTP/1.1 503", "a second page for the same user");
    // Alice has her own share.
    assert_eq!(log(&alice).entries.len(), 4);

    // Whoever reads nothing is given up, and the memory is there again.
    let begun = Instant::now();
    while page(3 + begun.elapsed().as_millis() as u64).1 != "HTTP/1.1 200" {
        assert!(begun.elapsed() < Duration::from_secs(20), "the slow reader holds it for ever");
        std::thread::sleep(Duration::from_millis(50));
    }
    let mut slow = slow;
    let mut rest = Vec::new();
    let _ = slow.read_to_end(&mut rest);
    assert!(rest.len() < 3_300_000, "it was sent all of it: {}", rest.len());
}

#[test]
fn unfinished_bodies_hold_their_share_of_memory() {
    let dir = tempfile::tempdir().unwrap();
    // An address may hold four MiB.
    let front = FrontLimits { memory: 16 << 20, ..FrontLimits::unlimited() };
    let server = serve(dir.path(), limited(front));
    let (alice, bob) = owners();
    let (alice, bob) = (client(&server, &alice), own_session(&server, &bob));
    let head = posted("send-message", Some(&bob.token), 4_000_000);
    let begun = Instant::now();
    let unfinished = loop {
        let mut first = connect_from(2, &server);
        first.write_all(head.as_bytes()).unwrap();
        first.write_all(&vec![0; 3_500_000]).unwrap();
        // The server may still be reading it, so that the next one is there first.
        std::thread::sleep(Duration::from_millis(200));
        let reply = ask(&mut connect_from(2, &server), &head, &vec![0; 4_000_000]);
        if reply.contains("x-conclave-error: overloaded") {
            break first;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{reply}");
    };
    let message = private(&ID.into(), 1, ContentType::Application, &[0; 1_000_000]);
    let refused = alice.call(&SendMessage { message }).unwrap_err();
    assert_eq!(refused.code(), Some(ErrorCode::UnknownGroup), "others have memory");
    drop(unfinished);
}

#[test]
fn the_clients_behind_a_trusted_proxy_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let burst = Duration::from_secs(30);
    let front =
        FrontLimits { anonymous: Rate { requests: 1, ..SLOW }, burst, ..Default::default() };
    let trusted = vec!["127.0.0.2".parse().unwrap()];
    let proxies = Proxies { trusted, ..Default::default() };
    let server = serve(dir.path(), Config { proxies, ..limited(front) });
    let served = |from: u8, client: &str| {
        let head = describe(&format!("x-forwarded-for: {client}\r\n"));
        ask(&mut connect_from(from, &server), &head, b"").starts_with("http/1.1 200 ")
    };
    assert!((0..100).any(|_| !served(2, "192.0.2.1")));
    assert!(served(2, "192.0.2.2") && served(2, "192.0.2.1, 192.0.2.3"));
    // Whoever is no proxy speaks for itself, whatever it says.
    assert!((0..100).any(|n| !served(3, &format!("192.0.2.{n}"))));
}

/// What a member's calls take: the half and the 99th of a hundred, in milliseconds.
fn latency(client: &Client) -> (f64, f64) {
    let mut times: Vec<f64> = (0..200)
        .map(|_| {
            let begun = Instant::now();
            client.call(&FetchInbox { limit: 1 }).unwrap();
            begun.elapsed().as_secs_f64() * 1000.0
        })
        .collect();
    times.sort_by(f64::total_cmp);
    (times[100], times[198])
}

/// The memory of this process, clients included, in MiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() / 1024
}

#[test]
#[ignore = "prints figures: cargo test -p conclave-delivery --features server,client --lib cost_others -- --ignored --nocapture"]
fn what_attackers_cost_others() {
    let dir = tempfile::tempdir().unwrap();
    // The member is measured by more calls than a device may make.
    let many = Rate { requests: 1_000_000, ..FrontLimits::default().device };
    let front = FrontLimits { device: many, user: many, ..Default::default() };
    let server = serve(dir.path(), limited(front));
    let (alice, bob) = with_a_long_log(&server);
    let show = |what: &str, (half, most): (f64, f64)| {
        println!("{what:<52} {half:>7.2} {most:>7.2} {:>6}", resident());
    };
    println!("{:<52} {:>7} {:>7} {:>6}", "a member's call, ms and MiB", "p50", "p99", "memory");
    show("alone", latency(&alice));

    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    let files = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    let files: usize = files.split_whitespace().next().unwrap().parse().unwrap();
    let count = 10_000.min((files - 300) / 2);
    let idle: Vec<TcpStream> =
        (0..count).map(|n| connect_from(2 + (n % 16) as u8, &server)).collect();
    show(&format!("{count} idle connections of 16 addresses"), latency(&alice));
    let begun = Instant::now();
    let reply = ask(&mut connect_from(99, &server), &describe(""), b"");
    let millis = begun.elapsed().as_secs_f64() * 1000.0;
    println!("  a newcomer's first call takes {millis:.1} ms: {}", reply.lines().next().unwrap());
    drop(idle);

    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (stop, server) = (&stop, &server);
        let flood = move |n: u8| {
            let mut counts = (0, 0);
            let head = describe("").replace("connection: close\r\n", "");
            let begun = Instant::now();
            while !stop.load(std::sync::atomic::Ordering::Relaxed) && begun.elapsed().as_secs() < 30
            {
                let mut stream = connect_from(n, server);
                for _ in 0..50 {
                    let mut reply = [0; 1024];
                    if stream.write_all(head.as_bytes()).is_err() {
                        break;
                    }
                    let Ok(length @ 1..) = stream.read(&mut reply) else { break };
                    match reply[..length].starts_with(b"HTTP/1.1 200 ") {
                        true => counts.0 += 1,
                        false => counts.1 += 1,
                    }
                }
            }
            counts
        };
        let floods: Vec<_> = (20..22).map(|n| scope.spawn(move || flood(n))).collect();
        show("2 addresses flood it without a session", latency(&alice));
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        for counts in floods.into_iter().map(|thread| thread.join().unwrap()) {
            println!("  of one's requests {} are served and {} refused", counts.0, counts.1);
        }
    });

    let body = FetchLog { group_id: ID.into(), after: 0, limit: 100 }.to_bytes().unwrap();
    let slow: Vec<TcpStream> = (0..40)
        .map(|n| {
            let mut stream = connect_from(30, &server);
            let head = signed(&bob, n + 1, FetchLog::PATH, &body);
            stream.write_all(head.as_bytes()).unwrap();
            stream.write_all(&body).unwrap();
            stream
        })
        .collect();
    show("40 readers of 3.3 MB that read nothing", latency(&alice));
    drop(slow);

    let head = posted("send-message", Some(&bob.token), 16_000_000);
    let unfinished: Vec<TcpStream> = (0..40)
        .map(|_| {
            let mut stream = connect_from(31, &server);
            stream.write_all(head.as_bytes()).unwrap();
            let _ = stream.write_all(&vec![0; 15_000_000]);
            stream
        })
        .collect();
    show("40 bodies of 15 MB that do not end", latency(&alice));
    drop(unfinished);
}
