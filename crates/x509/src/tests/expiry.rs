//! Validity in time (section 5.3.2).

use super::ca::{Ca, Key, NOW, SUITE, YEAR, request, validate_at, validator};
use crate::{Moment, Settings, X509Error};
use conclave_mls::{CredentialSubject, LeafIndex};
use rcgen::date_time_ymd;
use std::time::Duration;

const ALICE: &str = "alice@example.org";
const FIRST: u64 = NOW - YEAR;
const LAST: u64 = NOW + YEAR;
const DAY: u64 = 24 * 3600;

#[test]
fn a_certificate_is_valid_from_its_first_to_its_last_second() {
    let (root, key) = (Ca::root("root"), Key::new(SUITE));
    let member = root.issue(ALICE, &key, |_| {});
    let (validator, request) = (validator(&root), request(&[&member], &key));
    let at = |now| validate_at(&validator, now, &request).map(drop);
    assert_eq!(at(FIRST - 1), Err(X509Error::NotYetValid { not_before: FIRST }));
    assert_eq!(at(FIRST), Ok(()));
    assert_eq!(at(LAST), Ok(()));
    assert_eq!(at(LAST + 1), Err(X509Error::Expired { not_after: LAST }));
    assert_eq!(at(0), Err(X509Error::NotYetValid { not_before: FIRST }));
    assert_eq!(at(u64::MAX), Err(X509Error::Expired { not_after: LAST }));
}

#[test]
fn an_issuer_that_has_expired_is_refused() {
    let (root, key) = (Ca::root("root"), Key::new(SUITE));
    let ca = root.ca("ca", |p| p.not_after = date_time_ymd(2026, 1, 1));
    let member = ca.issue(ALICE, &key, |_| {});
    let request = request(&[&member, &ca.der], &key);
    validate_at(&validator(&root), NOW, &request).unwrap();
    let result = validate_at(&validator(&root), NOW + 1, &request);
    assert_eq!(result, Err(X509Error::Expired { not_after: NOW }));
}

#[test]
fn a_validity_that_ends_before_it_begins_is_refused() {
    let (root, key) = (Ca::root("root"), Key::new(SUITE));
    let member = root.issue(ALICE, &key, |p| std::mem::swap(&mut p.not_before, &mut p.not_after));
    let result = validate_at(&validator(&root), NOW, &request(&[&member], &key));
    assert_eq!(result, Err(X509Error::InvalidValidity));
}

#[test]
fn a_member_of_a_group_that_is_joined_may_be_late_with_its_renewal() {
    let (root, key) = (Ca::root("root"), Key::new(SUITE));
    // The CA expires ten days before the member.
    let ca = root.ca("ca", |p| p.not_after -= Duration::from_secs(10 * DAY));
    let member = ca.issue(ALICE, &key, |_| {});
    let mut request = request(&[&member, &ca.der], &key);
    request.subject = CredentialSubject::Member(LeafIndex(7));
    let at = |now| validate_at(&validator(&root), now, &request).map(drop);
    assert_eq!(at(LAST - 10 * DAY + 30 * DAY), Ok(()));
    let expired = X509Error::Expired { not_after: LAST - 10 * DAY };
    assert_eq!(at(LAST - 10 * DAY + 30 * DAY + 1), Err(expired.clone()));
    let strict = Settings { member_grace: 0, ..Settings::default() };
    let strict = validator(&root).with_settings(strict);
    assert_eq!(validate_at(&strict, LAST - 10 * DAY, &request).map(drop), Ok(()));
    assert_eq!(validate_at(&strict, LAST - 10 * DAY + 1, &request), Err(expired));
    let for_ever = Settings { member_grace: u64::MAX, ..Settings::default() };
    let for_ever = validator(&root).with_settings(for_ever);
    validate_at(&for_ever, u64::MAX, &request).unwrap();
}

#[test]
fn certificates_that_were_never_valid_together_are_refused_for_members_too() {
    let (root, key) = (Ca::root("root"), Key::new(SUITE));
    let ca = root.ca("ca", |p| p.not_after = date_time_ymd(2025, 12, 31));
    let member = ca.issue(ALICE, &key, |p| p.not_before = date_time_ymd(2026, 1, 1));
    let mut request = request(&[&member, &ca.der], &key);
    request.subject = CredentialSubject::Member(LeafIndex(7));
    let result = validate_at(&validator(&root), NOW + DAY, &request);
    assert_eq!(result, Err(X509Error::NotYetValid { not_before: NOW }));
}

#[test]
fn what_is_new_to_a_group_has_no_grace() {
    let (root, key) = (Ca::root("root"), Key::new(SUITE));
    let member = root.issue(ALICE, &key, |_| {});
    let mut request = request(&[&member], &key);
    let expired = Err(X509Error::Expired { not_after: LAST });
    for subject in [
        CredentialSubject::KeyPackage,
        CredentialSubject::NewMember,
        CredentialSubject::ExternalJoiner,
    ] {
        request.subject = subject;
        assert_eq!(validate_at(&validator(&root), LAST + 1, &request), expired);
    }
    // A member that replaces its credential brings in a new one; that the old has expired does
    // not matter.
    request.subject = CredentialSubject::Member(LeafIndex(0));
    request.replaces = Some(request.credential.clone());
    assert_eq!(validate_at(&validator(&root), LAST + 1, &request), expired);
    let renewed = root.issue(ALICE, &key, |p| p.not_after = date_time_ymd(2030, 1, 1));
    request.credential = crate::credential(&[&renewed]);
    validate_at(&validator(&root), LAST + 1, &request).unwrap();
}

#[test]
fn an_external_sender_of_the_group_has_the_grace_of_members() {
    let (root, key) = (Ca::root("root"), Key::new(SUITE));
    let sender = root.issue("service@example.org", &key, |_| {});
    let mut request = request(&[&sender], &key);
    request.subject = CredentialSubject::ExternalSender(0);
    let at = |now| validate_at(&validator(&root), now, &request).map(drop);
    assert_eq!(at(LAST + 30 * DAY), Ok(()));
    assert_eq!(at(LAST + 30 * DAY + 1), Err(X509Error::Expired { not_after: LAST }));
}

#[test]
fn what_was_valid_when_it_was_sent_is_accepted_late() {
    let (root, key) = (Ca::root("root"), Key::new(SUITE));
    let old = root.issue(ALICE, &Key::new(SUITE), |_| {});
    let renewed = root.issue(ALICE, &key, |_| {});
    let mut request = request(&[&renewed], &key);
    request.subject = CredentialSubject::Member(LeafIndex(0));
    request.replaces = Some(crate::credential(&[&old]));
    let at = |moment: Moment| validate_at(&validator(&root), moment, &request).map(drop);
    let expired = Err(X509Error::Expired { not_after: LAST });

    let now = LAST + 20 * DAY;
    assert_eq!(at(Moment::now(now)), expired);
    assert_eq!(at(Moment::now(now).sent(LAST)), Ok(()));
    assert_eq!(at(Moment::now(now).sent(LAST - DAY)), Ok(()));
    // It had expired when it was sent, or so it is said from now.
    assert_eq!(at(Moment::now(now).sent(LAST + 1)), expired);
    assert_eq!(at(Moment::now(now).sent(now + DAY)), expired);
    assert_eq!(at(Moment::now(LAST).sent(LAST + DAY)), Ok(()));
    assert_eq!(
        at(Moment::now(FIRST - 1).sent(FIRST)),
        Err(X509Error::NotYetValid { not_before: FIRST })
    );
    // Nobody is believed for longer than the setting.
    assert_eq!(at(Moment::now(LAST + 30 * DAY).sent(LAST)), Ok(()));
    assert_eq!(at(Moment::now(LAST + 30 * DAY + 1).sent(LAST)), expired);
}

#[test]
fn a_ca_whose_clock_is_ahead_is_accepted_by_the_setting() {
    let (root, key) = (Ca::root("root"), Key::new(SUITE));
    let ca = root.ca("ca", |p| p.not_before += Duration::from_secs(100));
    let member = ca.issue(ALICE, &key, |_| {});
    let request = request(&[&member, &ca.der], &key);
    let tolerant = Settings { clock_skew: 60, ..Settings::default() };
    let tolerant = validator(&root).with_settings(tolerant);
    let at = |now| validate_at(&tolerant, now, &request).map(drop);
    let early = Err(X509Error::NotYetValid { not_before: FIRST + 100 });
    assert_eq!(at(FIRST + 40), Ok(()));
    assert_eq!(at(FIRST + 39), early);
    assert_eq!(validate_at(&validator(&root), FIRST + 99, &request).map(drop), early);
    assert_eq!(at(LAST + 1), Err(X509Error::Expired { not_after: LAST }));
}
