//! Who may create an account.

use crate::service::{INVITATION, Limits, ServiceError, invitation};
use crate::storage::{SqliteStorage, Storage};
use crate::testing::*;
use conclave_delivery_api::*;
use conclave_mls::UnixTime;
use core::time::Duration;
use std::path::Path;

fn desk(directory: &Path, registration: Registration) -> Desk {
    Desk::new(directory, Limits::default(), registration)
}

/// An invitation by whoever runs the service of this directory, which is not open just now.
fn invite(directory: &Path, dice: &mut Dice, expires_at: UnixTime) -> Bytes {
    let secret = SqliteStorage::open(directory).unwrap().secret().unwrap();
    invitation(&PROVIDER, &secret, dice, expires_at).unwrap().into()
}

fn submit(desk: &Desk, own: &Own, invitation: &Bytes) -> Result<u64, ServiceError> {
    let request = SubmitAccount { invitation: Some(invitation.clone()), ..own.submission() };
    Ok(desk.anonymous(request)?.reply.length)
}

fn refused(desk: &Desk, own: &Own, invitation: &Bytes) -> ErrorCode {
    submit(desk, own, invitation).unwrap_err().code
}

const LATER: UnixTime = UnixTime::from_secs(NOW.as_secs() + 1000).unwrap();

#[test]
fn a_service_says_who_may_register() {
    for registration in [Registration::Open, Registration::Invitation, Registration::Closed] {
        let dir = tempfile::tempdir().unwrap();
        let info = desk(dir.path(), registration).anonymous(DescribeService {}).unwrap().reply;
        assert_eq!((info.registration, info.now), (registration, NOW.as_secs()));
    }
}

#[test]
fn registration_is_open_by_invitation_or_closed() {
    let dir = tempfile::tempdir().unwrap();
    let mut dice = Dice(5);
    let mut alice = Own::new("alice/pc", &mut dice);
    let [bob, carol] = ["bob/pc", "carol/pc"].map(|id| Own::new(id, &mut dice));
    desk(dir.path(), Registration::Open).register(&alice);
    let invitation = invite(dir.path(), &mut dice, LATER);

    for registration in [Registration::Invitation, Registration::Closed] {
        let desk = desk(dir.path(), registration);
        let error = desk.anonymous(bob.submission()).unwrap_err();
        assert_eq!(error.code, ErrorCode::RegistrationClosed, "{registration:?}: {error}");
        // Accounts that there are go on, and their devices come in.
        alice.add(&format!("{registration:?}").to_lowercase(), &mut dice);
        desk.register(&alice);
        desk.open_session(&alice).unwrap();
    }
    let closed = desk(dir.path(), Registration::Closed);
    assert_eq!(refused(&closed, &bob, &invitation), ErrorCode::RegistrationClosed);
    drop(closed);
    assert_eq!(submit(&desk(dir.path(), Registration::Invitation), &bob, &invitation).unwrap(), 1);

    // Where anybody may, an invitation does no harm and is not looked at.
    let open = desk(dir.path(), Registration::Open);
    assert_eq!(submit(&open, &carol, &vec![1].into()).unwrap(), 1);
}

#[test]
fn an_invitation_lets_one_account_in() {
    let dir = tempfile::tempdir().unwrap();
    let mut dice = Dice(5);
    let [mut alice, bob, carol] =
        ["alice/pc", "bob/pc", "carol/pc"].map(|id| Own::new(id, &mut dice));
    let [first, second] = [(); 2].map(|()| invite(dir.path(), &mut dice, LATER));
    assert_ne!(first, second);
    let by_invitation = desk(dir.path(), Registration::Invitation);
    assert_eq!(submit(&by_invitation, &alice, &first).unwrap(), 1);
    assert_eq!(submit(&by_invitation, &alice, &first).unwrap(), 1, "the reply was lost");
    let error = submit(&by_invitation, &bob, &first).unwrap_err();
    assert_eq!(error.code, ErrorCode::BadInvitation, "{error}");
    assert!(error.detail.contains("used"), "{error}");

    // A second device needs none, and uses none up.
    alice.add("phone", &mut dice);
    assert_eq!(submit(&by_invitation, &alice, &second).unwrap(), 2);
    drop(by_invitation);
    let by_invitation = desk(dir.path(), Registration::Invitation);
    assert_eq!(refused(&by_invitation, &bob, &first), ErrorCode::BadInvitation, "restarted");
    assert_eq!(submit(&by_invitation, &bob, &second).unwrap(), 1);
    assert_eq!(refused(&by_invitation, &carol, &second), ErrorCode::BadInvitation);
}

#[test]
fn an_invitation_is_of_this_service_and_of_a_time() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut dice = Dice(5);
    let alice = Own::new("alice/pc", &mut dice);
    let foreign = invite(other.path(), &mut dice, LATER);
    let good = invite(dir.path(), &mut dice, LATER);
    let mut desk = desk(dir.path(), Registration::Invitation);
    assert_eq!(refused(&desk, &alice, &foreign), ErrorCode::BadInvitation);
    assert_eq!(good.len(), INVITATION);
    for position in 0..INVITATION {
        let mut flipped = good.to_vec();
        flipped[position] ^= 1;
        assert_eq!(refused(&desk, &alice, &flipped.into()), ErrorCode::BadInvitation);
    }
    for wrong in [vec![], good[..INVITATION - 1].to_vec(), [&*good, &[0]].concat()] {
        assert_eq!(refused(&desk, &alice, &wrong.into()), ErrorCode::BadInvitation);
    }

    desk.wait(1000);
    let error = submit(&desk, &alice, &good).unwrap_err();
    assert_eq!(error.code, ErrorCode::BadInvitation);
    assert!(error.detail.contains("expired"), "{error}");
    desk.now = NOW.saturating_add(Duration::from_secs(999));
    submit(&desk, &alice, &good).unwrap();
}

#[test]
fn a_refused_log_uses_no_invitation_up() {
    let dir = tempfile::tempdir().unwrap();
    let mut dice = Dice(5);
    let [alice, bob] = ["alice/pc", "bob/pc"].map(|id| Own::new(id, &mut dice));
    let [first, second] = [(); 2].map(|()| invite(dir.path(), &mut dice, LATER));
    let desk = desk(dir.path(), Registration::Invitation);
    submit(&desk, &alice, &first).unwrap();

    let mut broken = bob.clone();
    broken.log[0].signature = vec![7; 64].into();
    assert_eq!(refused(&desk, &broken, &second), ErrorCode::BadEntry);
    let alike = Own::new("a1ice/pc", &mut dice);
    assert_eq!(refused(&desk, &alike, &second), ErrorCode::NameTaken);
    assert_eq!(submit(&desk, &bob, &second).unwrap(), 1);
}

#[test]
fn of_those_who_share_an_invitation_one_comes_in() {
    let dir = tempfile::tempdir().unwrap();
    let mut dice = Dice(5);
    let owns: Vec<Own> = (0..8).map(|n| Own::new(&format!("user-{n}/pc"), &mut dice)).collect();
    let shared = invite(dir.path(), &mut dice, LATER);
    let desk = desk(dir.path(), Registration::Invitation);
    let results: Vec<bool> = std::thread::scope(|scope| {
        let one = |own: &Own| submit(&desk, own, &shared).is_ok();
        let threads: Vec<_> = owns.iter().map(|own| scope.spawn(move || one(own))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(results.iter().filter(|taken| **taken).count(), 1, "{results:?}");
}
