//! Event streams that go on where one before has ended.

use super::*;
use crate::service::{Authority, Service};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

fn group(number: u16) -> GroupId {
    GroupId::from(number.to_be_bytes())
}

/// A group of alice's and bob's, without a message.
fn group_of_both(alice: &Client, number: u16) {
    let (id, kind) = (group(number), GroupKind::Opaque { epoch: 0 });
    alice.call(&CreateGroup { group_id: id.clone(), kind }).unwrap();
    let add = SubmitCommit {
        added: vec!["bob/pc".parse().unwrap()],
        ..SubmitCommit::new(private(&id, 0, ContentType::Commit, b"add"))
    };
    alice.call(&add).unwrap();
}

/// Sends a message; where the group's log ends then.
fn say(from: &Client, number: u16, text: &str) -> u64 {
    let message = private(&group(number), 1, ContentType::Application, text.as_bytes());
    match brief(&from.call(&SendMessage { message }).unwrap()) {
        Brief::Accepted { seq, .. } => seq,
        other => panic!("{other:?}"),
    }
}

/// What a device was told, over all its streams.
struct Listener {
    client: Client,
    last: Option<String>,
    heads: BTreeMap<GroupId, u64>,
}

impl Listener {
    fn new(client: Client) -> Self {
        Self { client, last: None, heads: BTreeMap::new() }
    }

    /// Listens until the service has told what there is; which groups that were.
    fn come_back(&mut self) -> Vec<GroupId> {
        let mut events = self.client.events().after(self.last.take());
        let mut told = Vec::new();
        loop {
            match events.next().unwrap() {
                StreamEvent::Event(Event::Group { group_id, position }) => {
                    let head = self.heads.entry(group_id.clone()).or_default();
                    *head = (*head).max(position.seq);
                    told.push(group_id);
                }
                StreamEvent::Event(Event::Ready) => break,
                StreamEvent::Disconnected { error, .. } => panic!("{error}"),
                _ => {}
            }
        }
        self.last = events.last_id().map(str::to_string);
        told
    }
}

#[test]
fn a_device_that_comes_back_is_told_only_of_groups_that_have_grown() {
    const GROUPS: u16 = 100;
    let dir = tempfile::tempdir().unwrap();
    let server = serve(dir.path(), config(0));
    let (alice, bob) = two(&server);
    (0..GROUPS).for_each(|number| group_of_both(&alice, number));
    let mut bob = Listener::new(bob);
    assert_eq!(bob.come_back().len(), usize::from(GROUPS));
    assert_eq!(bob.come_back(), [] as [GroupId; 0]);

    say(&alice, 7, "one");
    say(&alice, 7, "two");
    group_of_both(&alice, GROUPS);
    assert_eq!(bob.come_back(), [group(7), group(GROUPS)]);
    assert_eq!(bob.heads[&group(7)], 3);
    assert_eq!(bob.come_back(), [] as [GroupId; 0]);

    // A place of before is one all the same.
    let before = bob.last.clone();
    say(&alice, 8, "three");
    assert_eq!(bob.come_back(), [group(8)]);
    bob.last = before;
    assert_eq!(bob.come_back(), [group(8)]);
}

#[test]
fn a_place_that_the_service_does_not_know_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let server = serve(dir.path(), config(0));
    let (alice, bob) = two(&server);
    (0..3).for_each(|number| group_of_both(&alice, number));
    let mut bob = Listener::new(bob);
    bob.come_back();
    let known = bob.last.clone().unwrap();
    let mut changed = known.clone().into_bytes();
    let last = changed.last_mut().unwrap();
    *last = if *last == b'0' { b'1' } else { b'0' };
    for hostile in [
        "x".to_string(),
        "-".into(),
        "-1".into(),
        "3".into(),
        u64::MAX.to_string(),
        known[2..].into(),
        format!("{known}00"),
        format!("{known}{known}"),
        format!("{known}'or'1"),
        String::from_utf8(changed).unwrap(),
        "00".repeat(known.len() / 2),
        "9".repeat(4000),
    ] {
        bob.last = Some(hostile.clone());
        assert_eq!(bob.come_back().len(), 3, "{hostile}");
        assert_eq!(bob.come_back(), [] as [GroupId; 0], "{hostile}");
    }
}

/// A service that takes as many requests as come.
fn serve_without_rates(dir: &Path) -> Server {
    let front = FrontLimits::unlimited();
    serve(dir, Config { front, ..config(0) })
}

#[test]
fn nothing_is_missed_between_streams_while_others_send() {
    const SENDS: u64 = 400;
    let dir = tempfile::tempdir().unwrap();
    let server = serve_without_rates(dir.path());
    let (alice, bob) = two(&server);
    (0..4).for_each(|number| group_of_both(&alice, number));
    let acknowledged: [AtomicU64; 4] = Default::default();
    let done = AtomicBool::new(false);
    let mut bob = Listener::new(bob);

    let streams = std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0..SENDS {
                let number = u16::try_from(n * n % 4).unwrap();
                let head = say(&alice, number, &n.to_string());
                acknowledged[usize::from(number)].store(head, Ordering::SeqCst);
            }
            done.store(true, Ordering::SeqCst);
        });
        let mut streams = 0;
        while !done.load(Ordering::SeqCst) {
            let sent = [0, 1, 2, 3].map(|n: usize| acknowledged[n].load(Ordering::SeqCst));
            bob.come_back();
            streams += 1;
            for (number, sent) in (0..).zip(sent) {
                let head = bob.heads[&group(number)];
                assert!(head >= sent, "group {number}: {sent} was sent, {head} told");
            }
        }
        streams
    });
    assert!(streams > 1, "the streams do not race the sender");
    bob.come_back();
    for (number, sent) in (0..).zip(&acknowledged) {
        let head = bob.heads[&group(number)];
        assert!(head >= sent.load(Ordering::SeqCst), "group {number}");
    }
    assert_eq!(bob.come_back(), [] as [GroupId; 0], "all was told");
}

/// 5,000 groups take half a minute to set up: `cargo test -p conclave-delivery --all-features --lib
/// bytes_of_a_stream -- --ignored --nocapture`.
#[test]
#[ignore = "prints figures"]
fn bytes_of_a_stream_that_begins() {
    const GROUPS: u16 = 5000;
    let dir = tempfile::tempdir().unwrap();
    let server = serve_without_rates(dir.path());
    let (alice, _bob) = two(&server);
    (0..GROUPS).for_each(|number| group_of_both(&alice, number));
    drop(server);

    let storage = SqliteStorage::open(dir.path()).unwrap();
    let authority = Authority::from(Registration::Open);
    let service = Service::new(storage, provider(), Limits::default(), authority, now()).unwrap();
    let info = owners().1.info();
    let mut place = None;
    for what in ["a first stream", "one that goes on", "one that goes on, again"] {
        let begun = Instant::now();
        let current = service.events_since(&info, place.as_deref()).unwrap();
        let elapsed = begun.elapsed();
        let bytes: usize = current.events.iter().map(|event| event.to_text().len()).sum();
        println!("{what}: {} events, {bytes} bytes, {elapsed:?}", current.events.len());
        place = current.place;
    }
}
