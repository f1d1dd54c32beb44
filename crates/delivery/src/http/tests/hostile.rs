//! Every call as `docs/api.md` has it, tried by somebody who means harm: without a session, with another's, with a
//! recovery key's, as a stranger to the group and as a removed member, with bodies that are too long or malformed, twice.

use super::*;
use crate::http::CertifiersConfig;
use conclave_certificates::{Ca, Lifetime};
use conclave_mls::UnixTime;
use std::collections::{BTreeMap, BTreeSet};

const PAGE: &str = include_str!("../../../../../docs/api.md");
const OPENAPI: &str = include_str!("../../../../../docs/openapi.json");
/// What the server is set up with, in the place of `MAX_BODY`.
const LONGEST: usize = 2 << 20;
/// The group of the page's examples.
const GROUP: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

/// What the page's table says of a call.
pub(super) struct Row {
    pub(super) name: String,
    who: String,
    longest: usize,
    services: String,
    /// The example of a request.
    example: Vec<u8>,
    /// What it may be refused with.
    errors: BTreeSet<String>,
}

pub(super) fn rows() -> Vec<Row> {
    let (_, table) = PAGE.split_once("## All calls\n").unwrap();
    let rows = table.lines().skip_while(|line| !line.starts_with("| [`"));
    let row = |line: &str| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let name = cells[0].split('`').nth(1).unwrap();
        let longest = match cells[2] {
            "64 KiB" => 64 << 10,
            "1 MiB" => 1 << 20,
            "`MAX_BODY`" => LONGEST,
            other => panic!("{other}"),
        };
        let (_, call) = OPENAPI.split_once(&format!("\"/v1/{name}\": {{")).unwrap();
        let call = call.split("\"/v1/").next().unwrap();
        let (_, example) = call.split_once("\"x-hex-example\": \"").unwrap();
        let example = parse_hex(example.split_once('"').unwrap().0).unwrap();
        let lists = call.split("\"enum\": [").skip(1).map(|rest| rest.split(']').next().unwrap());
        let errors = lists.flat_map(|list| list.split('"').skip(1).step_by(2));
        let errors = errors.map(String::from).collect();
        let (who, services) = (cells[1].into(), cells[3].into());
        Row { name: name.into(), who, longest, services, example, errors }
    };
    rows.take_while(|line| line.starts_with('|')).map(row).collect()
}

impl Row {
    pub(super) fn path(&self) -> String {
        format!("/v1/{}", self.name)
    }

    pub(super) fn is_anonymous(&self) -> bool {
        self.who == "anybody, without a session"
    }

    /// A request that gets as far as it can; each says something else in messages.
    pub(super) fn request(&self, n: u8) -> Vec<u8> {
        let message = |kind| private(&GROUP.into(), 2, kind, &[n]);
        match self.name.as_str() {
            "submit-commit" => SubmitCommit::new(message(ContentType::Commit)).to_bytes().unwrap(),
            "submit-proposal" => {
                SubmitProposal { proposal: message(ContentType::Proposal) }.to_bytes().unwrap()
            }
            "send-message" => {
                SendMessage { message: message(ContentType::Application) }.to_bytes().unwrap()
            }
            "send-messages" => {
                let messages = vec![message(ContentType::Application)];
                SendMessages { messages }.to_bytes().unwrap()
            }
            _ => self.example.clone(),
        }
    }
}

/// The error that a reply names, or `ok`.
pub(super) fn said(reply: &str) -> String {
    if reply.starts_with("http/1.1 200 ") {
        return "ok".into();
    }
    let (_, rest) = reply.split_once("x-conclave-error: ").unwrap_or_else(|| panic!("{reply}"));
    rest.split_once("\r\n").unwrap().0.into()
}

/// A server with a group: alice is in it, bob was, carol never was. Alice has a recovery key.
struct Room {
    server: Server,
    sessions: BTreeMap<&'static str, OwnSession>,
    number: u64,
    _folder: tempfile::TempDir,
}

impl Room {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let front = FrontLimits::unlimited();
        let server = serve(folder.path(), Config { max_body: LONGEST, front, ..config(0) });
        let mut dice = Dice(3);
        let mut alice = Own::new("alice/pc", &mut dice);
        let keys = alice.recovery(&mut dice);
        let owners = [
            ("alice", alice.clone()),
            ("bob", Own::new("bob/pc", &mut dice)),
            ("carol", Own::new("carol/pc", &mut dice)),
        ];
        let mut sessions: BTreeMap<&str, OwnSession> =
            owners.iter().map(|(name, own)| (*name, own_session(&server, own))).collect();

        let client = known_client(&server, &alice);
        let kind = GroupKind::Opaque { epoch: 0 };
        client.call(&CreateGroup { group_id: GROUP.into(), kind }).unwrap();
        let bob: DeviceId = "bob/pc".parse().unwrap();
        let message = |epoch| private(&GROUP.into(), epoch, ContentType::Commit, b"x");
        client
            .call(&SubmitCommit { added: vec![bob.clone()], ..SubmitCommit::new(message(0)) })
            .unwrap();
        client.call(&SubmitCommit { removed: vec![bob], ..SubmitCommit::new(message(1)) }).unwrap();

        let service = client.call(&DescribeService {}).unwrap();
        let (pair, who) = (session_pair(), (alice.id.user.clone(), Author::Recovery));
        let session_key = pair.public.clone();
        let key = (SCHEME, &keys);
        let open = OpenSession::signed(&PROVIDER, &service.key, who, key, session_key, now());
        let opened = client.call(&open.unwrap()).unwrap();
        let recovery = OwnSession { token: opened.token, pair, lifetime: opened.lifetime };
        sessions.insert("recovery", recovery);
        Self { server, sessions, number: 1000, _folder: folder }
    }

    fn send(&self, head: &str, body: &[u8]) -> String {
        said(&exchange(&self.server, head, body).unwrap())
    }

    /// What is said to somebody's request.
    fn ask(&mut self, who: &str, row: &Row, body: &[u8]) -> String {
        self.number += 1;
        let head = signed(&self.sessions[who], self.number, &row.path(), body);
        self.send(&head, body)
    }
}

#[test]
fn only_those_call_whom_the_page_names() {
    let mut room = Room::new();
    let mut wrong = Vec::new();
    for row in rows() {
        let body = row.request(1);
        let anonymous = posted(&row.name, None, body.len());
        let mut check = |case: &str, is_right: bool, said: &str| {
            let is_named = said == "ok" || row.errors.contains(said);
            if !is_right || !is_named {
                wrong.push(format!("{}, {case}: {said}", row.name));
            }
        };
        let said = room.send(&anonymous, &body);
        check("without a session", row.is_anonymous() == (said != "unauthorized"), &said);
        let is_of_mode = row.services != "with certificates";
        if row.is_anonymous() {
            check("the mode", is_of_mode == (said != "wrong-mode"), &said);
            continue;
        }

        // A session's token with another session's key.
        let OwnSession { pair, .. } = room.sessions["carol"].clone();
        let mixed = OwnSession { pair, ..room.sessions["alice"].clone() };
        let said = room.send(&signed(&mixed, 1, &row.path(), &body), &body);
        check("another's session", said == "bad-proof", &said);

        let said = room.ask("recovery", &row, &body);
        let may = row.who == "a device, or the recovery key";
        check("the recovery key", !is_of_mode || may == (said != "unauthorized"), &said);

        let is_of_group = row.who.contains("in the group");
        let former_may = !is_of_group || row.who.contains("removed");
        let said = room.ask("carol", &row, &row.request(2));
        check("a stranger", is_of_group == (said == "not-member"), &said);
        let said = room.ask("bob", &row, &row.request(3));
        check("a removed member", former_may == (said != "not-member"), &said);
        let said = room.ask("alice", &row, &row.request(4));
        check("a member", said != "not-member" && said != "unauthorized", &said);
        check("the mode", is_of_mode == (said != "wrong-mode"), &said);
    }
    assert!(wrong.is_empty(), "docs/api.md says something else:\n{}", wrong.join("\n"));
}

#[test]
fn a_service_that_trusts_a_ca_has_the_calls_that_the_page_says() {
    let (folder, mut dice) = (tempfile::tempdir().unwrap(), Dice(3));
    let days = |from: i64| {
        let seconds = now().as_secs().checked_add_signed(from * 86_400).unwrap();
        UnixTime::from_secs(seconds).unwrap()
    };
    let lifetime = || Lifetime { not_before: days(-1), not_after: days(30) };
    let names = ("Example CA", "example.com");
    let ca = Ca::root(&PROVIDER, &mut dice, SCHEME, names, lifetime()).unwrap();
    let roots = vec![ca.certificate().to_vec()];
    let certifiers = Some(CertifiersConfig { roots, revocations: None });
    let server = serve(folder.path(), Config { certifiers, ..config(0) });

    let own = Own::new("alice/pc", &mut dice);
    let key = (SCHEME, &own.keys.public);
    let (der, _) = ca.issue(&PROVIDER, &mut dice, &own.id, key, lifetime()).unwrap();
    let client = Client::new(&server.url());
    client.call(&SubmitCertificate { chain: vec![der.into()] }).unwrap();
    let (pair, opened) = open_session(&client, &own).unwrap();
    let session = OwnSession { token: opened.token, pair, lifetime: opened.lifetime };

    let mut number = 0;
    for row in rows() {
        number += 1;
        let body = row.request(1);
        let head = if row.is_anonymous() {
            posted(&row.name, None, body.len())
        } else {
            signed(&session, number, &row.path(), &body)
        };
        let said = said(&exchange(&server, &head, &body).unwrap());
        assert_eq!(row.services == "with accounts", said == "wrong-mode", "{}: {said}", row.name);
    }
}

#[test]
fn no_call_takes_a_body_that_is_malformed_or_longer_than_the_page_says() {
    let mut room = Room::new();
    for row in rows() {
        let with_more = [row.example.clone(), vec![0]].concat();
        let (fits, longer) = (vec![0xff; row.longest], vec![0xff; row.longest + 1]);
        let cases = [(with_more, "malformed"), (fits, "malformed"), (longer, "too-large")];
        for (body, expected) in cases {
            let said = if row.is_anonymous() {
                room.send(&posted(&row.name, None, body.len()), &body)
            } else {
                room.ask("alice", &row, &body)
            };
            assert_eq!(said, expected, "{}, {} bytes", row.name, body.len());
        }
    }
}

#[test]
fn no_call_of_a_session_is_taken_twice() {
    let room = Room::new();
    let mut number = 0;
    for row in rows().iter().filter(|row| !row.is_anonymous()) {
        number += 1;
        let body = row.request(number);
        let head = signed(&room.sessions["alice"], number.into(), &row.path(), &body);
        assert_ne!(room.send(&head, &body), "replayed", "{}", row.name);
        assert_eq!(room.send(&head, &body), "replayed", "{}", row.name);
    }
    assert!(number > 10, "the page's table is not read");
}
