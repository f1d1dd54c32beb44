//! What the service signs of a group's log, and what that convicts it of.

use super::room::{Room, room};
use crate::testing::*;
use conclave_delivery_api::*;
use conclave_mls::crypto::CryptoError;

const ID: [u8; 16] = [5; 16];

fn talking() -> Room {
    let r = room();
    r.desk.reply(&r.alice, opaque());
    r
}

fn opaque() -> CreateGroup {
    CreateGroup { group_id: ID.into(), kind: GroupKind::Opaque { epoch: 0 } }
}

fn say(desk: &Desk, own: &Own, text: &str) -> Receipt {
    let message = private(&ID.into(), 0, ContentType::Application, text.as_bytes());
    desk.reply(own, SendMessage { message }).receipt().clone()
}

fn log(desk: &Desk, own: &Own, after: u64, limit: u32) -> LogPage {
    desk.reply(own, FetchLog { group_id: ID.into(), after, limit })
}

/// The state as it was, run by somebody else or again, and used otherwise.
fn set_back(r: &Room) -> (tempfile::TempDir, Desk) {
    let dir = crash_copy(r.dir.path());
    let desk = Desk::open(dir.path());
    (dir, desk)
}

#[test]
fn every_answer_about_a_group_is_signed_with_the_services_key() {
    let mut r = talking();
    let key = r.desk.service_key();
    r.desk.wait(7);
    let said = say(&r.desk, &r.alice, "one");
    let late = private(&ID.into(), 3, ContentType::Application, b"x");
    let late = r.desk.reply(&r.alice, SendMessage { message: late });
    assert!(matches!(late, Outcome::WrongEpoch { .. }));
    let all = [
        (r.desk.reply(&r.alice, opaque()).receipt, 1),
        (said.clone(), 1),
        (say(&r.desk, &r.alice, "one"), 1),
        (late.receipt().clone(), 1),
        (log(&r.desk, &r.alice, 0, 10).end, 1),
        (log(&r.desk, &r.alice, 0, 0).end, 0),
    ];
    for (receipt, seq) in &all {
        assert_eq!(receipt.verify(&PROVIDER, &key), Ok(()));
        let (place, group) = (receipt.position, &receipt.group_id);
        assert_eq!((place.seq, place.epoch, group), (*seq, 0, &ID.into()));
        assert_eq!(receipt.issued_at, r.desk.now.as_secs());
        assert_eq!(receipt.incarnation, said.incarnation);
        assert!(all.iter().all(|(other, _)| !receipt.contradicts(other)));
    }

    // Each field counts, and the key.
    let others = [
        Receipt { incarnation: Incarnation { number: 2, ..said.incarnation }, ..said.clone() },
        Receipt { incarnation: Incarnation { id: [0; 16], number: 1 }, ..said.clone() },
        Receipt { group_id: [6; 16].into(), ..said.clone() },
        Receipt { position: LogPosition { seq: 2, ..said.position }, ..said.clone() },
        Receipt { position: LogPosition { epoch: 1, ..said.position }, ..said.clone() },
        Receipt {
            position: LogPosition { chain: ChainHash::EMPTY, ..said.position },
            ..said.clone()
        },
        Receipt { issued_at: 1, ..said.clone() },
    ];
    for other in others {
        let refused = other.verify(&PROVIDER, &key);
        assert_eq!(refused, Err(CryptoError::InvalidSignature), "{other:?}");
    }
    assert!(said.verify(&PROVIDER, &room().desk.service_key()).is_err());
}

#[test]
fn a_page_says_by_which_hashes_it_follows_on_the_one_before() {
    let r = talking();
    (0..5).for_each(|n| drop(say(&r.desk, &r.alice, &n.to_string())));
    let whole = log(&r.desk, &r.alice, 0, 10);
    let chains = whole.chains(&ID.into(), None).unwrap();
    assert_eq!((whole.before, chains.len()), (Some(ChainHash::EMPTY), 5));
    let middle = log(&r.desk, &r.alice, 2, 2);
    assert_eq!(middle.before, Some(chains[1]));
    assert_eq!(middle.chains(&ID.into(), None).unwrap(), chains[2..4]);
    assert_eq!(middle.end.position.chain, chains[3]);
    for (after, seq) in [(5, 5), (6, 5), (u64::MAX, 5)] {
        let none = log(&r.desk, &r.alice, after, 2);
        let end = none.end.position;
        assert_eq!((none.entries.len(), end.seq, end.chain), (0, seq, chains[4]));
        assert_eq!(none.chains(&ID.into(), None), Some(vec![]));
    }

    // What was changed, left out or is of another group does not add up.
    assert_eq!(middle.chains(&[6; 16].into(), None), None);
    let mut changed = middle.clone();
    changed.entries[0].received_at += 1;
    assert_eq!(changed.chains(&ID.into(), None), None);
    let mut short = middle.clone();
    short.entries.remove(0);
    assert_eq!(short.chains(&ID.into(), None), None);
    let other = LogPage { before: Some(chains[0]), ..middle.clone() };
    assert_eq!(other.chains(&ID.into(), None), None);
    // Whoever knows what came before needs nobody to say it.
    let cut = LogPage { before: None, ..middle };
    assert_eq!(cut.chains(&ID.into(), Some(chains[1])).unwrap(), chains[2..4]);
    assert_eq!(cut.chains(&ID.into(), Some(chains[0])), None);
    assert_eq!(cut.chains(&ID.into(), None), None);
}

/// Evidence that the entries of a page lead to another log than a receipt's.
fn evidence(desk: &Desk, first: &Receipt, page: &LogPage) -> LogEvidence {
    LogEvidence {
        service_key: desk.service_key(),
        first: first.clone(),
        second: page.end.clone(),
        before: page.before.unwrap(),
        links: page.entries.iter().map(Link::of).collect(),
    }
}

#[test]
fn a_service_that_goes_on_in_two_ways_is_convicted_by_its_receipts() {
    let r = talking();
    let begun = say(&r.desk, &r.alice, "one");
    let (_dir, other) = set_back(&r);
    let mine = say(&r.desk, &r.alice, "two");
    let theirs = say(&other, &r.alice, "another two");

    // Of one place.
    let service_key = r.desk.service_key();
    let same_place = |first: &Receipt, second: &Receipt| LogEvidence {
        service_key: service_key.clone(),
        first: first.clone(),
        second: second.clone(),
        before: ChainHash::EMPTY,
        links: vec![],
    };
    let evidence_of_two = same_place(&mine, &theirs);
    assert_eq!(evidence_of_two.check(&PROVIDER), Ok(()));
    let report = evidence_of_two.report(&PROVIDER).unwrap();
    for part in [to_hex(&ID), mine.position.chain.to_string(), to_hex(&service_key)] {
        assert!(report.contains(&part), "{report}");
    }
    let file = evidence_of_two.to_bytes().unwrap();
    assert!(LogEvidence::is_kind_of(&file));
    assert_eq!(LogEvidence::read(&file), Ok(evidence_of_two.clone()));
    for cut in 0..file.len() {
        assert!(LogEvidence::read(&file[..cut]).is_err());
    }

    // Of a later place, whose log never had the first one.
    say(&other, &r.alice, "three");
    let page = log(&other, &r.alice, 2, 10);
    assert_eq!(evidence(&r.desk, &mine, &page).check(&PROVIDER), Ok(()));

    // What an honest service signs convicts nobody.
    let none = Err(LogEvidenceError::NoContradiction);
    assert_eq!(same_place(&begun, &theirs).check(&PROVIDER), none);
    assert_eq!(same_place(&theirs, &theirs).check(&PROVIDER), none);
    assert_eq!(evidence(&r.desk, &theirs, &page).check(&PROVIDER), none);

    // Nor do entries that somebody has made up, or signatures of somebody else.
    let mut forged = evidence(&r.desk, &theirs, &page);
    forged.before = ChainHash([1; 32]);
    assert_eq!(forged.check(&PROVIDER), Err(LogEvidenceError::Links));
    let mut forged = evidence(&r.desk, &mine, &page);
    forged.links[0].received_at += 1;
    assert_eq!(forged.check(&PROVIDER), Err(LogEvidenceError::Links));
    let forged = LogEvidence { service_key: r.alice.keys.public.clone(), ..evidence_of_two };
    assert!(matches!(forged.check(&PROVIDER), Err(LogEvidenceError::Receipt(_))));
}

#[test]
fn a_service_that_was_restored_and_says_so_is_convicted_of_nothing() {
    let r = talking();
    let dir = crash_copy(r.dir.path());
    let db = rusqlite::Connection::open(dir.path().join("delivery.db")).unwrap();
    let restored = "UPDATE service SET incarnation = randomblob(16), incarnations = 2";
    db.execute(restored, []).unwrap();
    drop(db);
    let other = Desk::open(dir.path());
    let mine = say(&r.desk, &r.alice, "one");
    let theirs = say(&other, &r.alice, "another one");
    assert_eq!((mine.incarnation.number, theirs.incarnation.number), (1, 2));
    assert!(!mine.contradicts(&theirs));

    say(&other, &r.alice, "two");
    let page = log(&other, &r.alice, 1, 10);
    let refused = evidence(&r.desk, &mine, &page).check(&PROVIDER);
    assert_eq!(refused, Err(LogEvidenceError::NoContradiction));
}

#[test]
fn an_incarnation_outlives_a_restart_and_is_no_other_services() {
    let r = talking();
    let first = say(&r.desk, &r.alice, "one").incarnation;
    let (_dir, again) = set_back(&r);
    assert_eq!(say(&again, &r.alice, "one").incarnation, first);
    let other = talking();
    assert_ne!(say(&other.desk, &other.alice, "one").incarnation, first);
}
