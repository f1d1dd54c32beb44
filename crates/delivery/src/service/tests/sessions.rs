//! Sessions: who may open one, what it takes to use it, and when it ends.

use super::room::{Room, room, room_with};
use crate::service::{Caller, Holder, Limits, ServiceError};
use crate::testing::*;
use conclave_account::Author;
use conclave_delivery_api::*;
use conclave_mls::UnixTime;
use conclave_mls::crypto::SignatureKeyPair;
use core::time::Duration;

/// Opens a session with the recovery key of a user.
fn open_by_recovery(
    desk: &Desk,
    user: &Name,
    keys: &SignatureKeyPair,
) -> Result<OwnSession, ServiceError> {
    let pair = session_pair();
    let (service_key, who) = (desk.service_key(), (user.clone(), Author::Recovery));
    let key = (SCHEME, keys);
    let request =
        OpenSession::signed(&PROVIDER, &service_key, who, key, pair.public.clone(), desk.now);
    let opened = desk.anonymous(request.unwrap())?.reply;
    Ok(OwnSession { token: opened.token, pair, lifetime: opened.lifetime })
}

fn code<T>(result: Result<T, ServiceError>) -> ErrorCode {
    match result {
        Ok(_) => panic!("it is not refused"),
        Err(e) => e.code,
    }
}

#[test]
fn a_session_is_its_devices_alone() {
    let mut r = room();
    let phone = r.alice.add("phone", &mut r.dice);
    r.desk.register(&r.alice);
    let session = r.desk.open_session(&r.alice).unwrap();
    assert_eq!(r.desk.request(&session, 1).unwrap(), Holder::Device(r.alice.info()));
    let session = r.desk.open_session(&phone).unwrap();
    assert_eq!(r.desk.request(&session, 1).unwrap(), Holder::Device(phone.info()));
}

#[test]
fn only_a_devices_own_key_opens_its_session() {
    let mut r = room();
    let phone = r.alice.add("phone", &mut r.dice);
    r.desk.register(&r.alice);
    let refused = |own: &Own| code(r.desk.open_session(own));

    let thief = r.alice.thief(&mut r.dice);
    assert_eq!(refused(&thief), ErrorCode::BadProof);
    let other_device = Own { keys: phone.keys.clone(), ..r.alice.clone() };
    assert_eq!(refused(&other_device), ErrorCode::BadProof);
    let other_user = Own { keys: r.bob.keys.clone(), ..r.alice.clone() };
    assert_eq!(refused(&other_user), ErrorCode::BadProof);
    let no_device = Own { id: "alice/tablet".parse().unwrap(), ..r.alice.clone() };
    assert_eq!(refused(&no_device), ErrorCode::UnknownDevice);
    let nobody = Own { id: "carol/pc".parse().unwrap(), ..r.alice.clone() };
    assert_eq!(refused(&nobody), ErrorCode::UnknownUser);
    let by_device_key = open_by_recovery(&r.desk, &r.alice.id.user, &r.alice.keys);
    assert_eq!(code(by_device_key), ErrorCode::BadProof, "there is no recovery key");

    // Who names the right key has to have it.
    let key = r.desk.service_key();
    let forged = OpenSession {
        key: r.alice.keys.public.clone(),
        ..thief.opening(&key, &session_pair(), NOW)
    };
    assert_eq!(code(r.desk.anonymous(forged)), ErrorCode::BadProof);
}

#[test]
fn every_field_of_an_opening_is_signed() {
    let mut r = room();
    r.alice.recovery(&mut r.dice);
    r.desk.register(&r.alice);
    let good = r.alice.opening(&r.desk.service_key(), &session_pair(), NOW);
    let bytes = good.to_bytes().unwrap();
    for position in 0..bytes.len() {
        for bit in [1, 0x80] {
            let mut flipped = bytes.clone();
            flipped[position] ^= bit;
            if let Ok(flipped) = OpenSession::from_bytes(&flipped) {
                assert!(r.desk.anonymous(flipped).is_err(), "bit {bit} of byte {position}");
            }
        }
    }
    r.desk.anonymous(good).unwrap();
}

#[test]
fn a_revoked_or_former_key_opens_nothing() {
    let mut r = room();
    let phone = r.alice.add("phone", &mut r.dice);
    r.alice.revoke("phone");
    let before = r.alice.clone();
    r.alice.rotate(&mut r.dice);
    r.desk.register(&r.alice);
    assert_eq!(code(r.desk.open_session(&phone)), ErrorCode::Revoked);
    assert_eq!(code(r.desk.open_session(&before)), ErrorCode::Revoked);
    r.desk.open_session(&r.alice).unwrap();

    // Whoever has not the key is not told what became of it.
    let thief = phone.thief(&mut r.dice).opening(&r.desk.service_key(), &session_pair(), NOW);
    let forged = OpenSession { key: phone.keys.public.clone(), ..thief };
    assert_eq!(code(r.desk.anonymous(forged)), ErrorCode::BadProof);
}

#[test]
fn an_opening_is_for_one_service() {
    let r = room();
    let other = tempfile::tempdir().unwrap();
    let other = Desk::open(other.path());
    other.register(&r.alice);
    assert_ne!(other.service_key(), r.desk.service_key());
    let opening = r.alice.opening(&other.service_key(), &session_pair(), NOW);
    assert_eq!(code(r.desk.anonymous(opening.clone())), ErrorCode::BadProof);
    other.anonymous(opening).unwrap();

    let reopened = r.desk.service_key();
    drop(r.desk);
    assert_eq!(Desk::open(r.dir.path()).service_key(), reopened, "it outlives a restart");
}

#[test]
fn an_opening_is_signed_lately() {
    let r = room();
    let at = |time: UnixTime| {
        let opening = r.alice.opening(&r.desk.service_key(), &session_pair(), time);
        r.desk.anonymous(opening).map_err(|e| (e.code, e.detail))
    };
    let skew = Duration::from_secs(600);
    let more = Duration::from_secs(601);
    assert!(at(NOW.saturating_sub(skew)).is_ok() && at(NOW.saturating_add(skew)).is_ok());
    let (code, detail) = at(NOW.saturating_sub(more)).unwrap_err();
    assert_eq!(code, ErrorCode::Clock);
    assert!(detail.contains("601 seconds behind"), "{detail}");
    let (code, detail) = at(NOW.saturating_add(more)).unwrap_err();
    assert_eq!(code, ErrorCode::Clock);
    assert!(detail.contains("601 seconds ahead"), "{detail}");
}

#[test]
fn a_session_key_is_of_its_scheme() {
    let r = room();
    let service_key = r.desk.service_key();
    for length in [0, 31, 33, 60_000] {
        let mut pair = session_pair();
        pair.public = vec![7; length].into();
        let opening = r.alice.opening(&service_key, &pair, NOW);
        assert_eq!(code(r.desk.anonymous(opening)), ErrorCode::Malformed, "{length} bytes");
    }
}

/// Checks a request with a proof that was made for another one.
fn with_proof_for(
    desk: &Desk,
    session: &OwnSession,
    token: &Token,
    made_for: (&str, &[u8]),
    number: u64,
) -> Result<Caller, ServiceError> {
    let proof = Proof::signed(&PROVIDER, &session.pair, token, 7, made_for).unwrap();
    let proof = Proof { number, ..proof };
    desk.service.authenticate(session.token.expose(), &proof, ("/v1/a", b"body"), desk.now)
}

#[test]
fn a_proof_is_of_one_request_alone() {
    let r = room();
    let session = r.desk.open_session(&r.alice).unwrap();
    let other = r.desk.open_session(&r.alice).unwrap();
    let check = |token: &Token, made_for, number| {
        with_proof_for(&r.desk, &session, token, made_for, number)
    };
    let own = ("/v1/a", b"body".as_slice());
    assert_eq!(code(check(&session.token, ("/v1/b", b"body"), 7)), ErrorCode::BadProof, "path");
    assert_eq!(code(check(&session.token, ("/v1/a", b"bodx"), 7)), ErrorCode::BadProof, "body");
    assert_eq!(code(check(&session.token, ("/v1/ab", b"ody"), 7)), ErrorCode::BadProof, "both");
    assert_eq!(code(check(&other.token, own, 7)), ErrorCode::BadProof, "token");
    assert_eq!(code(check(&session.token, own, 8)), ErrorCode::BadProof, "number");

    // The token and another key, and a signature that is none.
    let forged = OwnSession { pair: other.pair.clone(), ..session.clone() };
    assert_eq!(code(r.desk.request(&forged, 7)), ErrorCode::BadProof);
    let nothing = Proof { number: 7, signature: Bytes::default() };
    let token = session.token.expose();
    let refused = r.desk.service.authenticate(token, &nothing, own, NOW);
    assert_eq!(code(refused), ErrorCode::BadProof);

    // None of that has used the number up.
    assert!(check(&session.token, own, 7).is_ok());
    assert_eq!(code(check(&session.token, own, 7)), ErrorCode::Replayed);
}

#[test]
fn a_token_that_nobody_gave_names_no_session() {
    let r = room();
    let session = r.desk.open_session(&r.alice).unwrap();
    let text = session.token.expose().to_string();
    let last = if text.ends_with('0') { "1" } else { "0" };
    for wrong in ["", "0", &text[..63], &format!("{}{last}", &text[..63]), &text.to_uppercase()] {
        if *wrong == text {
            continue;
        }
        let forged = OwnSession { token: Token::new(wrong.to_string()), ..session.clone() };
        assert_eq!(code(r.desk.request(&forged, 1)), ErrorCode::Unauthorized, "{wrong}");
        assert_eq!(code(r.desk.service.check_token(wrong, NOW)), ErrorCode::Unauthorized);
    }
    r.desk.service.check_token(&text, NOW).unwrap();
    r.desk.request(&session, 1).unwrap();
}

#[test]
fn requests_overtake_each_other_and_count_once() {
    let r = room();
    let session = r.desk.open_session(&r.alice).unwrap();
    for number in [70, 69, 8, 7, 72] {
        r.desk.request(&session, number).unwrap();
    }
    for number in [70, 69, 72, 8, 7, 0] {
        assert_eq!(code(r.desk.request(&session, number)), ErrorCode::Replayed, "{number}");
    }
    r.desk.request(&session, 71).unwrap();
    assert_eq!(code(r.desk.request(&session, 6)), ErrorCode::Replayed, "too late to tell");
    r.desk.request(&session, 9).unwrap();

    // Each session counts for itself.
    let other = r.desk.open_session(&r.alice).unwrap();
    r.desk.request(&other, 70).unwrap();
}

#[test]
fn a_request_that_comes_twice_at_once_counts_once() {
    let r = room();
    let session = r.desk.open_session(&r.alice).unwrap();
    for number in 1..20 {
        let results: Vec<bool> = std::thread::scope(|scope| {
            let (desk, session) = (&r.desk, &session);
            let one = || scope.spawn(move || desk.request(session, number).is_ok());
            let threads: Vec<_> = (0..4).map(|_| one()).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(results.iter().filter(|taken| **taken).count(), 1, "{results:?}");
    }
}

#[test]
fn a_session_ends_after_its_lifetime() {
    let mut r = room();
    let session = r.desk.open_session(&r.alice).unwrap();
    assert_eq!(session.lifetime, 3600);
    r.desk.wait(3599);
    r.desk.request(&session, 1).unwrap();
    r.desk.wait(1);
    let over = r.desk.request(&session, 2).unwrap_err();
    assert_eq!(over.code, ErrorCode::Unauthorized);
    assert!(over.detail.contains("open another"), "{over}");
    let token = session.token.expose();
    assert_eq!(code(r.desk.service.check_token(token, r.desk.now)), ErrorCode::Unauthorized);
    let next = r.desk.open_session(&r.alice).unwrap();
    assert_eq!(code(r.desk.request(&session, 3)), ErrorCode::Unauthorized);
    r.desk.request(&next, 1).unwrap();
}

#[test]
fn to_open_a_session_again_changes_nothing() {
    let mut r = room();
    let pair = session_pair();
    let opening = r.alice.opening(&r.desk.service_key(), &pair, NOW);
    let first = r.desk.anonymous(opening.clone()).unwrap().reply;
    let session = OwnSession { token: first.token.clone(), pair, lifetime: first.lifetime };
    r.desk.request(&session, 1).unwrap();

    // The reply was lost; or somebody repeats what was overheard.
    r.desk.wait(500);
    let again = r.desk.anonymous(opening).unwrap().reply;
    assert_eq!(again, OpenedSession { lifetime: 3100, ..first });
    assert_eq!(code(r.desk.request(&session, 1)), ErrorCode::Replayed);
    r.desk.wait(3100);
    assert_eq!(code(r.desk.request(&session, 2)), ErrorCode::Unauthorized, "it is no longer");
}

/// Somebody has overheard how a session was opened, and its requests.
#[test]
fn what_was_signed_in_a_session_counts_in_no_later_one() {
    let limits = Limits { session: Duration::from_secs(60), ..Limits::default() };
    let mut r = room_with(limits);
    let (service_key, pair) = (r.desk.service_key(), session_pair());
    let opening = r.alice.opening(&service_key, &pair, NOW);
    let opened = r.desk.anonymous(opening.clone()).unwrap().reply;
    let session = OwnSession { token: opened.token, pair: pair.clone(), lifetime: 60 };
    let overheard = |desk: &Desk, token: &Token| {
        with_proof_for(
            desk,
            &OwnSession { token: token.clone(), ..session.clone() },
            &session.token,
            ("/v1/a", b"body"),
            7,
        )
    };
    overheard(&r.desk, &session.token).unwrap();

    // After its end, and after a restart.
    r.desk.wait(60);
    let reopened = r.desk.anonymous(opening.clone()).unwrap().reply.token;
    assert!(overheard(&r.desk, &session.token).is_err());
    assert!(overheard(&r.desk, &reopened).is_err());
    drop(r.desk);
    let desk = Desk::open(r.dir.path());
    assert_eq!(code(overheard(&desk, &session.token)), ErrorCode::Unauthorized);
    let reopened = desk.anonymous(opening).unwrap().reply.token;
    assert!(overheard(&desk, &session.token).is_err());
    assert!(overheard(&desk, &reopened).is_err());
}

#[test]
fn whoever_is_revoked_or_rotates_loses_its_sessions_at_once() {
    let mut r = room();
    let phone = r.alice.add("phone", &mut r.dice);
    r.desk.register(&r.alice);
    let [laptop, other_laptop] = [(); 2].map(|()| r.desk.open_session(&r.alice).unwrap());
    let [phones, bobs] = [&phone, &r.bob].map(|own| r.desk.open_session(own).unwrap());
    let is_open = |r: &Room, session: &OwnSession, number| r.desk.request(session, number).is_ok();

    // A change that does not concern it ends no session.
    r.alice.add("tablet", &mut r.dice);
    r.desk.register(&r.alice);
    assert!([&laptop, &other_laptop, &phones, &bobs].into_iter().all(|s| is_open(&r, s, 1)));

    r.alice.revoke("phone");
    r.desk.register(&r.alice);
    assert!(!is_open(&r, &phones, 2));
    assert!([&laptop, &other_laptop, &bobs].into_iter().all(|s| is_open(&r, s, 2)));

    let former = r.alice.clone();
    r.alice.rotate(&mut r.dice);
    r.desk.register(&r.alice);
    assert!(![&laptop, &other_laptop].into_iter().any(|s| is_open(&r, s, 3)));
    assert!(is_open(&r, &bobs, 3));

    // Nor does it listen any more.
    for gone in [&phone, &former] {
        assert_eq!(code(r.desk.service.current_events(&gone.info())), ErrorCode::Revoked);
    }
    assert!(r.desk.service.current_events(&r.alice.info()).is_ok());
}

#[test]
fn the_recovery_key_reaches_its_account_and_nothing_else() {
    let mut r = room();
    let keys = r.alice.recovery(&mut r.dice);
    r.desk.register(&r.alice);
    let user = r.alice.id.user.clone();
    let session = open_by_recovery(&r.desk, &user, &keys).unwrap();
    let holder = r.desk.request(&session, 1).unwrap();
    assert_eq!(holder, Holder::Recovery(user.clone()));

    let fetch = |user: &Name| {
        let request = FetchAccount { user: user.clone(), after: 0 };
        r.desk.run(Some(holder.clone()), request)
    };
    assert_eq!(fetch(&user).unwrap().reply.length, 2);
    assert_eq!(code(fetch(&r.bob.id.user)), ErrorCode::Unauthorized, "another's account");
    r.desk.run(Some(holder.clone()), r.alice.submission()).unwrap();

    macro_rules! refused {
        ($($request:expr),* $(,)?) => {$(
            let refused = r.desk.run(Some(holder.clone()), $request);
            assert_eq!(code(refused), ErrorCode::Unauthorized, "{}", stringify!($request));
            let refused = r.desk.run(None, $request);
            assert_eq!(code(refused), ErrorCode::Unauthorized, "{}", stringify!($request));
        )*};
    }
    let group: GroupId = [5; 16].into();
    let message = |kind| private(&group, 0, kind, b"x");
    r.desk.reply(
        &r.alice,
        CreateGroup { group_id: group.clone(), kind: GroupKind::Opaque { epoch: 0 } },
    );
    refused![
        PublishKeyPackages { key_packages: vec![] },
        CountKeyPackages {},
        WithdrawKeyPackages { references: vec![] },
        ClaimKeyPackages { user: user.clone(), cipher_suite: SUITE, devices: vec![] },
        CreateGroup { group_id: [6].into(), kind: GroupKind::Opaque { epoch: 0 } },
        SubmitCommit::new(message(ContentType::Commit)),
        SubmitProposal { proposal: message(ContentType::Proposal) },
        SendMessage { message: message(ContentType::Application) },
        FetchLog { group_id: group.clone(), after: 0, limit: 1 },
        FetchGroupInfo { group_id: group.clone() },
        FetchInbox { limit: 1 },
        AckInbox { ids: vec![] },
    ];
    let nobody = r.desk.run(None, FetchAccount { user, after: 0 });
    assert_eq!(code(nobody), ErrorCode::Unauthorized);
}

#[test]
fn a_replaced_recovery_key_has_no_session() {
    let mut r = room();
    let first = r.alice.recovery(&mut r.dice);
    r.desk.register(&r.alice);
    let user = r.alice.id.user.clone();
    let session = open_by_recovery(&r.desk, &user, &first).unwrap();
    r.alice.add("phone", &mut r.dice);
    // The whole log is sent, with the entry that set the recovery key.
    r.desk.register(&r.alice);
    r.desk.request(&session, 1).unwrap();

    let second = r.alice.replace_recovery(&first, &mut r.dice);
    r.desk.register(&r.alice);
    assert_eq!(code(r.desk.request(&session, 2)), ErrorCode::Unauthorized);
    assert_eq!(code(open_by_recovery(&r.desk, &user, &first)), ErrorCode::BadProof);
    let session = open_by_recovery(&r.desk, &user, &second).unwrap();
    r.desk.request(&session, 1).unwrap();
}

#[test]
fn an_account_has_so_many_sessions_and_the_oldest_gives_way() {
    let mut r = room();
    let bobs = r.desk.open_session(&r.bob).unwrap();
    let devices: Vec<Own> = (0..13).map(|n| r.alice.add(&format!("pc{n}"), &mut r.dice)).collect();
    r.desk.register(&r.alice);
    let first = r.desk.open_session(&r.alice).unwrap();
    r.desk.wait(1);
    let others: Vec<_> = (0..99).map(|n| r.desk.open_session(&devices[n / 8]).unwrap()).collect();
    r.desk.request(&first, 1).unwrap();
    let last = r.desk.open_session(&devices[12]).unwrap();
    assert_eq!(code(r.desk.request(&first, 2)), ErrorCode::Unauthorized);
    for session in others.iter().chain([&last, &bobs]) {
        r.desk.request(session, 1).unwrap();
    }
}

#[test]
fn a_device_has_few_sessions_without_a_mark_and_the_oldest_gives_way() {
    let r = room();
    // All in one second.
    let sessions: Vec<_> = (0..30).map(|_| r.desk.open_session(&r.alice).unwrap()).collect();
    let (ended, open) = sessions.split_at(22);
    for session in ended {
        assert_eq!(code(r.desk.request(session, 1)), ErrorCode::Unauthorized);
    }
    for session in open {
        r.desk.request(session, 1).unwrap();
    }
}

#[test]
fn a_service_has_so_many_sessions_in_all() {
    let limits = Limits { sessions: 3, ..Limits::default() };
    let mut r = room_with(limits);
    let first = r.desk.open_session(&r.alice).unwrap();
    r.desk.wait(10);
    let _others = [&r.alice, &r.bob].map(|own| r.desk.open_session(own).unwrap());
    assert_eq!(code(r.desk.open_session(&r.bob)), ErrorCode::Unavailable);
    r.desk.request(&first, 1).unwrap();

    // As one ends, another can be opened.
    r.desk.wait(3590);
    r.desk.open_session(&r.bob).unwrap();
    assert_eq!(code(r.desk.open_session(&r.bob)), ErrorCode::Unavailable);
}

#[test]
fn secrets_of_sessions_do_not_print() {
    let r = room();
    let session = r.desk.open_session(&r.alice).unwrap();
    let shown = format!("{:?} {:?}", r.desk.service, session.token);
    assert!(!shown.contains(session.token.expose()), "{shown}");
}
