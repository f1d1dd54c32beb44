//! Validity in time (section 5.3.2).

use super::ca::{Ca, Key, NOW, SUITE, YEAR, request, time, validate_at, validator};
use crate::{Moment, Settings, X509Error};
use conclave_mls::UnixTime;
use conclave_mls::credential::CredentialSubject;
use conclave_mls::group::LeafIndex;
use rcgen::date_time_ymd;
use std::time::Duration;

const ALICE: &str = "alice@example.org";
const FIRST: u64 = NOW.as_secs() - YEAR;
const LAST: u64 = NOW.as_secs() + YEAR;
const DAY: u64 = 24 * 3600;

#[test]
fn a_certificate_is_valid_from_its_first_to_its_last_second() {
    let root = Ca::root("root");
    let key = Key::new(SUITE);
    let member = root.issue(ALICE, &key, |_| {});
    let validator = validator(&root);
    let request = request(&[&member], &key);
    let at = |now| validate_at(&validator, time(now), &request).map(drop);
    assert_eq!(at(FIRST - 1), Err(X509Error::NotYetValid { not_before: time(FIRST) }));
    assert_eq!(at(FIRST), Ok(()));
    assert_eq!(at(LAST), Ok(()));
    assert_eq!(at(LAST + 1), Err(X509Error::Expired { not_after: time(LAST) }));
    assert_eq!(at(0), Err(X509Error::NotYetValid { not_before: time(FIRST) }));
    assert_eq!(at(UnixTime::MAX.as_secs()), Err(X509Error::Expired { not_after: time(LAST) }));
}

/// RFC 5280 section 4.1.2.5 has the year 9999 for it, which is after the last [`UnixTime`].
#[test]
fn a_certificate_without_an_end_does_not_expire() {
    let key = Key::new(SUITE);
    let root = Ca::root("root");
    let member = root.issue(ALICE, &key, |p| p.not_after = date_time_ymd(9999, 12, 31));
    let request = request(&[&member], &key);
    let who = validate_at(&validator(&root), UnixTime::MAX, &request).unwrap();
    assert_eq!(who.not_after, UnixTime::MAX);
}

#[test]
fn an_issuer_that_has_expired_is_refused() {
    let root = Ca::root("root");
    let key = Key::new(SUITE);
    let ca = root.ca("ca", |p| p.not_after = date_time_ymd(2026, 1, 1));
    let member = ca.issue(ALICE, &key, |_| {});
    let request = request(&[&member, &ca.der], &key);
    validate_at(&validator(&root), NOW, &request).unwrap();
    let result = validate_at(&validator(&root), time(NOW.as_secs() + 1), &request);
    assert_eq!(result, Err(X509Error::Expired { not_after: NOW }));
}

#[test]
fn a_validity_that_ends_before_it_begins_is_refused() {
    let root = Ca::root("root");
    let key = Key::new(SUITE);
    let member = root.issue(ALICE, &key, |p| std::mem::swap(&mut p.not_before, &mut p.not_after));
    let result = validate_at(&validator(&root), NOW, &request(&[&member], &key));
    assert_eq!(result, Err(X509Error::InvalidValidity));
}

#[test]
fn a_joined_groups_member_may_be_late_with_its_renewal() {
    let root = Ca::root("root");
    let key = Key::new(SUITE);

    // The CA expires ten days before the member.
    let ca = root.ca("ca", |p| p.not_after -= Duration::from_secs(10 * DAY));
    let member = ca.issue(ALICE, &key, |_| {});
    let mut request = request(&[&member, &ca.der], &key);
    request.subject = CredentialSubject::Member(LeafIndex(7));
    let at = |now| validate_at(&validator(&root), time(now), &request).map(drop);
    assert_eq!(at(LAST - 10 * DAY + 30 * DAY), Ok(()));

    let expired = X509Error::Expired { not_after: time(LAST - 10 * DAY) };
    assert_eq!(at(LAST - 10 * DAY + 30 * DAY + 1), Err(expired.clone()));
    let strict = Settings { member_grace: Duration::ZERO, ..Settings::default() };
    let strict = validator(&root).with_settings(strict);
    assert_eq!(validate_at(&strict, time(LAST - 10 * DAY), &request).map(drop), Ok(()));
    assert_eq!(validate_at(&strict, time(LAST - 10 * DAY + 1), &request), Err(expired));

    let unlimited = Settings { member_grace: Duration::MAX, ..Settings::default() };
    let unlimited = validator(&root).with_settings(unlimited);
    validate_at(&unlimited, UnixTime::MAX, &request).unwrap();
}

#[test]
fn certificates_never_valid_together_are_refused_for_members_too() {
    let root = Ca::root("root");
    let key = Key::new(SUITE);
    let ca = root.ca("ca", |p| p.not_after = date_time_ymd(2025, 12, 31));
    let member = ca.issue(ALICE, &key, |p| p.not_before = date_time_ymd(2026, 1, 1));
    let mut request = request(&[&member, &ca.der], &key);
    request.subject = CredentialSubject::Member(LeafIndex(7));
    let result = validate_at(&validator(&root), time(NOW.as_secs() + DAY), &request);
    assert_eq!(result, Err(X509Error::NotYetValid { not_before: NOW }));
}

#[test]
fn credentials_new_to_a_group_have_no_grace_period() {
    let root = Ca::root("root");
    let key = Key::new(SUITE);
    let member = root.issue(ALICE, &key, |_| {});
    let mut request = request(&[&member], &key);
    let expired = Err(X509Error::Expired { not_after: time(LAST) });

    for subject in [
        CredentialSubject::KeyPackage,
        CredentialSubject::NewMember,
        CredentialSubject::ExternalJoiner,
    ] {
        request.subject = subject;
        assert_eq!(validate_at(&validator(&root), time(LAST + 1), &request), expired);
    }

    // A member that replaces its credential brings in a new one. It does not matter that the old one has
    // expired.
    request.subject = CredentialSubject::Member(LeafIndex(0));
    request.replaces = Some(request.credential.clone());
    assert_eq!(validate_at(&validator(&root), time(LAST + 1), &request), expired);

    let renewed = root.issue(ALICE, &key, |p| p.not_after = date_time_ymd(2030, 1, 1));
    request.credential = crate::credential(&[&renewed]);
    validate_at(&validator(&root), time(LAST + 1), &request).unwrap();
}

#[test]
fn external_senders_have_the_grace_period_of_members() {
    let root = Ca::root("root");
    let key = Key::new(SUITE);
    let sender = root.issue("service@example.org", &key, |_| {});
    let mut request = request(&[&sender], &key);
    request.subject = CredentialSubject::ExternalSender(0);
    let at = |now| validate_at(&validator(&root), time(now), &request).map(drop);
    assert_eq!(at(LAST + 30 * DAY), Ok(()));
    assert_eq!(at(LAST + 30 * DAY + 1), Err(X509Error::Expired { not_after: time(LAST) }));
}

#[test]
fn credentials_valid_when_sent_are_accepted_late() {
    let root = Ca::root("root");
    let key = Key::new(SUITE);
    let old = root.issue(ALICE, &Key::new(SUITE), |_| {});
    let renewed = root.issue(ALICE, &key, |_| {});
    let mut request = request(&[&renewed], &key);
    request.subject = CredentialSubject::Member(LeafIndex(0));
    request.replaces = Some(crate::credential(&[&old]));
    let at = |now, sent| {
        let moment = Moment::now(time(now)).sent(time(sent));
        validate_at(&validator(&root), moment, &request).map(drop)
    };
    let expired = Err(X509Error::Expired { not_after: time(LAST) });

    let now = LAST + 20 * DAY;
    assert_eq!(validate_at(&validator(&root), time(now), &request).map(drop), expired);
    assert_eq!(at(now, LAST), Ok(()));
    assert_eq!(at(now, LAST - DAY), Ok(()));

    // It had expired when it was sent, or the time of sending is in the future.
    assert_eq!(at(now, LAST + 1), expired);
    assert_eq!(at(now, now + DAY), expired);
    assert_eq!(at(LAST, LAST + DAY), Ok(()));
    let early = X509Error::NotYetValid { not_before: time(FIRST) };
    assert_eq!(at(FIRST - 1, FIRST), Err(early));

    // The time of sending counts for no longer than the setting says.
    assert_eq!(at(LAST + 30 * DAY, LAST), Ok(()));
    assert_eq!(at(LAST + 30 * DAY + 1, LAST), expired);
}

#[test]
fn a_ca_whose_clock_is_ahead_is_accepted_by_the_setting() {
    let root = Ca::root("root");
    let key = Key::new(SUITE);
    let ca = root.ca("ca", |p| p.not_before += Duration::from_secs(100));
    let member = ca.issue(ALICE, &key, |_| {});
    let request = request(&[&member, &ca.der], &key);
    let tolerant = Settings { clock_skew: Duration::from_secs(60), ..Settings::default() };
    let tolerant = validator(&root).with_settings(tolerant);
    let at = |now| validate_at(&tolerant, time(now), &request).map(drop);
    let early = Err(X509Error::NotYetValid { not_before: time(FIRST + 100) });
    assert_eq!(at(FIRST + 40), Ok(()));
    assert_eq!(at(FIRST + 39), early);
    assert_eq!(validate_at(&validator(&root), time(FIRST + 99), &request).map(drop), early);
    assert_eq!(at(LAST + 1), Err(X509Error::Expired { not_after: time(LAST) }));
}
