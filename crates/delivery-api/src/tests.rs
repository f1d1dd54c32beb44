use super::*;

fn device(text: &str) -> DeviceId {
    text.parse().unwrap()
}

fn log_entry() -> LogEntry {
    LogEntry {
        seq: 2,
        epoch: 1,
        content_type: ContentType::Commit,
        sender: device("a/b"),
        received_at: 3,
        message: [4, 5].into(),
    }
}

#[test]
fn a_logs_hash_depends_on_all_of_an_entry_and_of_what_came_before() {
    let (group, before) = (GroupId::from([7; 16]), ChainHash([8; 32]));
    let hash = |group: &GroupId, entry: &LogEntry, before: &ChainHash| {
        ChainInput::of(group, entry).after(before).unwrap()
    };
    let entry = log_entry();
    // Computed apart from this code, by Python's hashlib.
    let expected = "044d8a0641a1dc8014ba89b548ac66170a4d076cbaa6e17645dd999574a8d01d";
    assert_eq!(hash(&group, &entry, &before).to_string(), expected);

    let others = [
        hash(&[6; 16].into(), &entry, &before),
        hash(&group, &LogEntry { seq: 3, ..entry.clone() }, &before),
        hash(&group, &LogEntry { epoch: 2, ..entry.clone() }, &before),
        hash(&group, &LogEntry { content_type: ContentType::Proposal, ..entry.clone() }, &before),
        hash(&group, &LogEntry { sender: device("a/c"), ..entry.clone() }, &before),
        hash(&group, &LogEntry { received_at: 4, ..entry.clone() }, &before),
        hash(&group, &LogEntry { message: [4, 6].into(), ..entry.clone() }, &before),
        hash(&group, &entry, &ChainHash::EMPTY),
    ];
    let mut all: Vec<String> = others.iter().map(ToString::to_string).collect();
    all.push(expected.into());
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 9, "one of them makes no difference");
}

#[test]
fn requests_and_replies_round_trip() {
    fn check<T: Encode + Decode + PartialEq + core::fmt::Debug>(value: &T) {
        let bytes = value.to_bytes().unwrap();
        assert_eq!(&T::from_bytes(&bytes).unwrap(), value);
        for cut in 0..bytes.len() {
            assert!(T::from_bytes(&bytes[..cut]).is_err(), "cut at {cut}");
        }
    }
    let bytes = Bytes::from([1, 2, 3]);
    check(&CreateGroup { group_id: [7; 16].into(), kind: GroupKind::Opaque { epoch: 3 } });
    check(&CreateGroup {
        group_id: [7; 16].into(),
        kind: GroupKind::Tracked { group_info: bytes.clone(), ratchet_tree: bytes.clone() },
    });
    check(&SubmitCommit {
        commit: bytes.clone(),
        welcomes: vec![bytes.clone()],
        group_info: None,
        ratchet_tree: Some(bytes.clone()),
        added: vec![device("a/b")],
        removed: vec![],
        key_packages: vec![bytes.clone()],
        leaves_out: vec![bytes.clone()],
    });
    let position = LogPosition { seq: 2, epoch: 1, chain: ChainHash([9; 32]) };
    let receipt = Receipt {
        incarnation: Incarnation { id: [3; 16], number: 2 },
        group_id: [7; 16].into(),
        position,
        issued_at: 5,
        signature: vec![6; 64],
    };
    check(&Outcome::Accepted { receipt: receipt.clone(), received_at: 3 });
    check(&Outcome::WrongEpoch { receipt: receipt.clone() });
    let group_id = GroupId::from([7; 16]);
    let successor = CreateGroup { group_id: [8; 32].into(), kind: GroupKind::Opaque { epoch: 3 } };
    check(&ResetGroup { group_id: group_id.clone(), successor });
    check(&WasReset { successor: group_id.clone(), receipt: None });
    check(&WasReset { successor: group_id.clone(), receipt: Some(receipt.clone()) });
    check(&GroupState {
        receipt: receipt.clone(),
        group_info: bytes.clone(),
        ratchet_tree: bytes.clone(),
        proposals: vec![log_entry(), log_entry()],
        pending: 3,
    });
    let misfit = |n| FieldMisfit::of("tree_hash", Some(&[n; 65]), Some(&[n; 64]));
    let missing = |seq| MissingProposal { reference: bytes.clone(), seq };
    let outdated = |remedy| OutdatedDevice { device: device("a/b"), remedy };
    let details = |n: usize| {
        [
            Details::GroupInfo((0..n).map(|n| misfit(n as u8)).collect()),
            Details::Proposals {
                end: position,
                missing: (0..n as u64).map(missing).collect(),
                total: u32::MAX,
            },
            Details::Devices {
                devices: (0..n).map(|_| outdated(DeviceRemedy::Renew)).collect(),
                total: 1,
            },
        ]
    };
    for details in details(2) {
        check(&Refusal { detail: bytes.clone(), details });
    }
    check(&outdated(DeviceRemedy::Remove));
    let longest = details(MAX_LISTED).into_iter().map(|details| {
        let refusal = Refusal { detail: vec![b'x'; 4096].into(), details };
        refusal.to_bytes().unwrap().len()
    });
    assert!(longest.max().unwrap() < MAX_REFUSAL);
    for details in details(MAX_LISTED + 1) {
        assert!(Details::from_bytes(&details.to_bytes().unwrap()).is_err(), "too many");
    }
    check(&LogRestored { receipt: receipt.clone(), taken: u32::MAX });
    check(&RestoreLog {
        group_id: group_id.clone(),
        before: ChainHash([4; 32]),
        entries: vec![log_entry()],
        end: receipt.clone(),
    });
    let (before, end) = (Some(ChainHash([4; 32])), receipt);
    for ending in [None, Some(Ending::Succeeded(group_id)), Some(Ending::Unsucceeded)] {
        let entries = vec![log_entry()];
        check(&LogPage { entries, head: u64::MAX, before, end: end.clone(), ending });
    }
    check(&SubmitAccount {
        user: "a".parse().unwrap(),
        entries: vec![bytes.clone(), Bytes::default()],
        invitation: Some(bytes.clone()),
    });
    let root = SignedRoot { epoch: 3, root: [4; 32], published_at: 5, signature: vec![6; 64] };
    let directory = DirectoryPage { root: root.clone(), proof: bytes.clone() };
    check(&AccountPage { entries: vec![bytes.clone()], length: 9, directory });
    check(&RootsPage { roots: vec![root.clone(), root], newest: 7 });
    check(&FetchExtension { from: 1, to: u64::MAX });
    for registration in [Registration::Open, Registration::Invitation, Registration::Closed] {
        for mode in [Mode::Accounts, Mode::Certificates] {
            let sender_key = vec![8; 32].into();
            let key = vec![7; 32].into();
            let incarnation = Incarnation { id: [9; 16], number: 2 };
            let info = ServiceInfo {
                key,
                sender_key,
                mode,
                registration,
                now: 1,
                minimum_clients: vec![],
                incarnation,
                domain: Some("a.example".try_into().unwrap()),
            };
            check(&info);
        }
    }
    let incarnation = Incarnation { id: [9; 16], number: u64::MAX };
    check(&OpenedSession { token: Token::new("a/b.00".into()), lifetime: 7, incarnation });
    let chain = CertificateChain { certificates: vec![bytes.clone()] };
    check(&CertificatesPage { devices: vec![chain], lists: Some(vec![bytes.clone()]) });
    check(&RelayContent { content: None });
    assert!(Token::from_bytes(&[3, b'a', b'\n', b'b']).is_err(), "would break a header");
}

#[test]
fn events_round_trip_and_strange_lines_are_passed_over() {
    let events = [
        Event::Incarnation(Incarnation { id: [0xe1; 16], number: u64::MAX }),
        Event::Group {
            group_id: [0xab, 0, 0xff].into(),
            position: LogPosition { seq: u64::MAX, epoch: 3, chain: ChainHash([0xcd; 32]) },
        },
        Event::Group { group_id: GroupId::default(), position: LogPosition::beginning(0) },
        Event::Ended { group_id: [7; 16].into(), ending: Ending::Succeeded([8; 32].into()) },
        Event::Ended { group_id: [7; 16].into(), ending: Ending::Unsucceeded },
        Event::Account { user: "a.b-c".parse().unwrap(), length: u64::MAX },
        Event::Certificates { user: "a.b-c".parse().unwrap() },
        Event::Inbox,
        Event::Ready,
    ];
    let mut text =
        String::from(": hello\n\nevent: news\ndata: x\n\nevent: group\ndata: 0g 1 2\n\n");
    // Without a whole hash it is none.
    text += "event: group\ndata: ab 1 2\n\nevent: group\ndata: ab 1 2 cdcd\n\n";
    // An identifier is whole, and has a number.
    text += "event: incarnation\ndata: e1e1 1\n\nevent: incarnation\ndata: 00\n\n";
    events.iter().for_each(|e| text += &e.to_text());
    text += "data: \n\nevent: group\ndata: abc 1 2\n\nevent: group\n\n";
    let mut parser = EventParser::default();
    let parsed: Vec<Event> = text.lines().filter_map(|line| parser.line(line)).collect();
    assert_eq!(parsed, events);
}

#[test]
fn the_last_identifier_of_an_event_is_kept_if_a_header_can_hold_it() {
    let mut parser = EventParser::default();
    let mut read = |text: &str| {
        text.lines().for_each(|line| drop(parser.line(line)));
        parser.last_id().map(str::to_string)
    };
    assert_eq!(read("event: inbox\ndata: -\n\n"), None);
    assert_eq!(read("id: ab-1\nevent: ready\n"), None, "the event is not complete");
    assert_eq!(read("data: -\n\n").as_deref(), Some("ab-1"));
    assert_eq!(read("event: inbox\ndata: -\n\n").as_deref(), Some("ab-1"));
    assert_eq!(read("id: ab-2\nevent: news\n\n").as_deref(), Some("ab-2"));
    for bad in ["", "a b", "ä", "a\tb", &"a".repeat(129)] {
        assert_eq!(read(&format!("id: {bad}\nevent: ready\ndata: -\n\n")), None, "{bad}");
    }
}

#[test]
fn error_codes_are_found_by_name() {
    for code in ErrorCode::ALL {
        assert_eq!(ErrorCode::from_name(code.name()), Some(*code));
    }
    assert_eq!(ErrorCode::from_name("nothing"), None);
}
