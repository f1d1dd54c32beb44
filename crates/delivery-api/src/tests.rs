use super::*;

fn device(text: &str) -> DeviceId {
    text.parse().unwrap()
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
    });
    check(&Outcome::Accepted { epoch: 1, seq: 2 });
    check(&Outcome::WrongEpoch { epoch: 1, head: 2 });
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
            let info = ServiceInfo { key: vec![7; 32].into(), mode, registration, now: 1 };
            check(&info);
        }
    }
    check(&OpenedSession { token: Token::new("a/b.00".into()), lifetime: 7 });
    let chain = CertificateChain { certificates: vec![bytes.clone()] };
    check(&CertificatesPage { devices: vec![chain], lists: Some(vec![bytes.clone()]) });
    check(&RelayContent { content: None });
    assert!(Token::from_bytes(&[3, b'a', b'\n', b'b']).is_err(), "would break a header");
}

#[test]
fn events_round_trip_and_strange_lines_are_passed_over() {
    let events = [
        Event::Group { group_id: [0xab, 0, 0xff].into(), epoch: 3, head: u64::MAX },
        Event::Group { group_id: GroupId::default(), epoch: 0, head: 0 },
        Event::Account { user: "a.b-c".parse().unwrap(), length: u64::MAX },
        Event::Certificates { user: "a.b-c".parse().unwrap() },
        Event::Inbox,
        Event::Ready,
    ];
    let mut text =
        String::from(": hello\n\nevent: news\ndata: x\n\nevent: group\ndata: 0g 1 2\n\n");
    events.iter().for_each(|e| text += &e.to_text());
    text += "data: \n\nevent: group\ndata: abc 1 2\n\nevent: group\n\n";
    let mut parser = EventParser::default();
    let parsed: Vec<Event> = text.lines().filter_map(|line| parser.line(line)).collect();
    assert_eq!(parsed, events);
}

#[test]
fn error_codes_are_found_by_name() {
    for code in ErrorCode::ALL {
        assert_eq!(ErrorCode::from_name(code.name()), Some(*code));
    }
    assert_eq!(ErrorCode::from_name("nothing"), None);
}
