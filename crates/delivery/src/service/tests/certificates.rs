//! A service that trusts a CA.

use crate::service::{OpenError, Service};
use crate::storage::{Membership, SqliteStorage, Storage};
use crate::testing::*;
use conclave_account::Author;
use conclave_certificates::{Ca, Lifetime, Revoked, Roots, credential};
use conclave_delivery_api::*;
use conclave_mls::UnixTime;
use conclave_mls::credential::LeafParams;
use conclave_mls::key_package::{KeyPackageParams, OwnKeyPackage};

const DAY: u64 = 86_400;

fn at(days: i64) -> UnixTime {
    UnixTime::from_secs(NOW.as_secs().checked_add_signed(days * DAY as i64).unwrap()).unwrap()
}

fn days(from: i64, to: i64) -> Lifetime {
    Lifetime { not_before: at(from), not_after: at(to) }
}

fn ca(seed: u64) -> Ca {
    let names = ("Example CA", "example.com");
    Ca::root(&PROVIDER, &mut Dice(seed), SCHEME, names, days(-10, 3650)).unwrap()
}

/// A device, and its certificate.
struct Certified {
    own: Own,
    chain: Vec<Bytes>,
    serial: Vec<u8>,
}

impl Certified {
    fn new(ca: &Ca, id: &str, lifetime: Lifetime, dice: &mut Dice) -> Self {
        let own = Own::new(id, dice);
        let key = (SCHEME, &own.keys.public);
        let (der, serial) = ca.issue(&PROVIDER, dice, &own.id, key, lifetime).unwrap();
        Self { own, chain: vec![der.into()], serial }
    }

    fn submission(&self) -> SubmitCertificate {
        SubmitCertificate { chain: self.chain.clone() }
    }

    fn key_package(&self, dice: &mut Dice) -> Bytes {
        let params = KeyPackageParams {
            cipher_suite: SUITE,
            leaf: LeafParams::new(credential(&self.chain), &[SUITE]),
            lifetime: Own::lifetime(NOW),
            extensions: vec![],
            last_resort: false,
        };
        let signer = self.own.keys.clone();
        let own = OwnKeyPackage::generate(&PROVIDER, dice, params, signer).unwrap();
        key_package_message(own.key_package())
    }

    fn opening(&self, desk: &Desk) -> OpenSession {
        let pair = Own::new("session/key", &mut Dice(99)).keys;
        OpenSession::signed(
            &PROVIDER,
            &desk.service_key(),
            (self.own.id.user.clone(), Author::Device(self.own.id.device.clone())),
            (SCHEME, &self.own.keys),
            pair.public,
            desk.now,
        )
        .unwrap()
    }
}

fn desk(ca: &Ca, folder: &tempfile::TempDir) -> Desk {
    Desk::trusting(folder.path(), Roots::new(vec![ca.certificate().to_vec()]).unwrap())
}

#[track_caller]
fn code<T: core::fmt::Debug>(result: Result<T, crate::service::ServiceError>) -> ErrorCode {
    result.unwrap_err().code
}

#[test]
fn a_certified_device_comes_in_by_its_certificate_and_its_key() {
    let (folder, dice) = (tempfile::tempdir().unwrap(), &mut Dice(11));
    let ca = ca(1);
    let desk = desk(&ca, &folder);
    let alice = Certified::new(&ca, "alice/pc", days(-1, 30), dice);
    assert_eq!(code(desk.anonymous(alice.opening(&desk))), ErrorCode::UnknownDevice);
    let taken = desk.anonymous(alice.submission()).unwrap().reply;
    assert_eq!(taken.not_after, at(30).as_secs());
    desk.anonymous(alice.opening(&desk)).unwrap();

    // The certificate alone is worth nothing.
    let thief =
        Certified { own: alice.own.thief(dice), chain: alice.chain.clone(), serial: vec![] };
    assert_eq!(code(desk.anonymous(thief.opening(&desk))), ErrorCode::BadProof);
    let key_packages = vec![alice.key_package(dice)];
    desk.call(&alice.own, PublishKeyPackages { key_packages }).unwrap();
    let user = alice.own.id.user.clone();
    let fetch = FetchCertificates { user, known: Bytes::default() };
    let page = desk.call(&alice.own, fetch).unwrap().reply;
    assert_eq!(page.devices, [CertificateChain { certificates: alice.chain.clone() }]);
}

#[test]
fn each_mode_refuses_the_others_credentials_and_calls() {
    let (folder, dice) = (tempfile::tempdir().unwrap(), &mut Dice(102));
    let ca = ca(1);
    let certified = desk(&ca, &folder);
    let alice = Certified::new(&ca, "alice/pc", days(-1, 30), dice);
    certified.anonymous(alice.submission()).unwrap();
    let basic = alice.own.key_package(false, Own::lifetime(NOW), dice);
    let key_packages = vec![key_package_message(basic.key_package())];
    let refused = certified.call(&alice.own, PublishKeyPackages { key_packages });
    assert!(refused.unwrap_err().detail.contains("not an X.509 credential"));
    let user = alice.own.id.user.clone();
    let wrong = ErrorCode::WrongMode;
    assert_eq!(code(certified.anonymous(alice.own.submission())), wrong);
    assert_eq!(code(certified.anonymous(FetchRoots { from: 0 })), wrong);
    let fetch = FetchAccount { user: user.clone(), after: 0 };
    assert_eq!(code(certified.call(&alice.own, fetch)), wrong);
    assert_eq!(code(certified.call(&alice.own, FetchHistory {})), wrong);
    assert_eq!(certified.anonymous(DescribeService {}).unwrap().reply.mode, Mode::Certificates);

    let other = tempfile::tempdir().unwrap();
    let accounts = Desk::open(other.path());
    accounts.register(&alice.own);
    let key_packages = vec![alice.key_package(dice)];
    let refused = accounts.call(&alice.own, PublishKeyPackages { key_packages });
    assert!(refused.unwrap_err().detail.contains("not a basic one"));
    assert_eq!(code(accounts.anonymous(alice.submission())), wrong);
    let fetch = FetchCertificates { user, known: Bytes::default() };
    assert_eq!(code(accounts.call(&alice.own, fetch)), wrong);
    assert_eq!(accounts.anonymous(DescribeService {}).unwrap().reply.mode, Mode::Accounts);

    // Neither takes the other's state.
    drop((certified, accounts));
    let open = |folder: &tempfile::TempDir| SqliteStorage::open(folder.path()).unwrap();
    let roots = Roots::new(vec![ca.certificate().to_vec()]).unwrap();
    let opened = Service::new(open(&other), provider(), Default::default(), roots, NOW);
    assert_eq!(opened.err(), Some(OpenError::Mode(Mode::Accounts)));
    let opened =
        Service::new(open(&folder), provider(), Default::default(), Registration::Open, NOW);
    assert_eq!(opened.err(), Some(OpenError::Mode(Mode::Certificates)));
}

#[test]
fn a_certificate_that_does_not_count_is_refused_with_the_reason() {
    let (folder, dice) = (tempfile::tempdir().unwrap(), &mut Dice(103));
    let (ca, other) = (ca(1), ca(2));
    let desk = desk(&ca, &folder);
    for (certified, why) in [
        (Certified::new(&other, "alice/pc", days(-1, 30), dice), "signature does not verify"),
        (Certified::new(&ca, "alice/pc", days(-9, -1), dice), "expired"),
        (Certified::new(&ca, "alice/pc", days(1, 30), dice), "not valid before"),
    ] {
        let refused = desk.anonymous(certified.submission()).unwrap_err();
        assert_eq!(refused.code, ErrorCode::BadCertificate, "{refused}");
        assert!(refused.detail.contains(why), "{refused}");
    }
    let nothing = SubmitCertificate { chain: vec![] };
    assert_eq!(code(desk.anonymous(nothing)), ErrorCode::Malformed);
    let long = SubmitCertificate { chain: vec![Bytes::from(vec![0; 1 << 16])] };
    assert_eq!(code(desk.anonymous(long)), ErrorCode::TooLarge);
}

#[test]
fn a_later_certificate_takes_the_place_of_the_former_and_not_the_other_way_round() {
    let (folder, dice) = (tempfile::tempdir().unwrap(), &mut Dice(104));
    let ca = ca(1);
    let desk = desk(&ca, &folder);
    let old = Certified::new(&ca, "alice/pc", days(-5, 30), dice);
    let new = Certified::new(&ca, "alice/pc", days(-1, 30), dice);
    desk.anonymous(old.submission()).unwrap();
    let key_packages = vec![old.key_package(dice)];
    desk.call(&old.own, PublishKeyPackages { key_packages }).unwrap();
    let taken = desk.anonymous(new.submission()).unwrap();
    assert_eq!(
        taken.ended,
        std::slice::from_ref(&new.own.id),
        "whoever listens with the former key is cut off"
    );
    assert_eq!(code(desk.anonymous(old.opening(&desk))), ErrorCode::BadProof);
    let left = desk.call(&new.own, CountKeyPackages {}).unwrap().reply.counts;
    assert_eq!(left, [], "those of the former key are gone");

    assert_eq!(code(desk.anonymous(old.submission())), ErrorCode::BadCertificate);
    desk.anonymous(new.opening(&desk)).unwrap();
}

#[test]
fn what_is_revoked_or_expired_ends_with_all_that_it_had() {
    let (folder, dice) = (tempfile::tempdir().unwrap(), &mut Dice(105));
    let ca = ca(1);
    let mut desk = desk(&ca, &folder);
    let alice = Certified::new(&ca, "alice/pc", days(-1, 300), dice);
    let [gone, late] = [("bob/gone", 300), ("bob/late", 30)]
        .map(|(name, until)| Certified::new(&ca, name, days(-1, until), dice));
    for device in [&alice, &gone, &late] {
        desk.anonymous(device.submission()).unwrap();
        let key_packages = vec![device.key_package(dice)];
        desk.call(&device.own, PublishKeyPackages { key_packages }).unwrap();
        desk.anonymous(device.opening(&desk)).unwrap();
    }
    let group_id: GroupId = b"group".to_vec().into();
    let create = CreateGroup { group_id: group_id.clone(), kind: GroupKind::Opaque { epoch: 0 } };
    for device in [&alice, &gone, &late] {
        let group_id: GroupId = device.own.id.to_string().into_bytes().into();
        let create = CreateGroup { group_id, ..create.clone() };
        desk.call(&device.own, create).unwrap();
    }
    let member = |desk: &Desk, device: &Certified| {
        let group: GroupId = device.own.id.to_string().into_bytes().into();
        desk.service.storage.membership(&group, &device.own.id).unwrap()
    };
    assert_eq!(desk.service.sweep(desk.now).unwrap().ended, []);

    let revoked = Revoked { serial: gone.serial.clone(), at: NOW };
    let list = |number, revoked: &[Revoked]| {
        ca.revocation_list(&PROVIDER, number, days(0, 365), revoked).unwrap()
    };
    assert!(desk.service.set_revocation_lists(&[list(2, &[revoked])]));
    assert!(!desk.service.set_revocation_lists(&[list(1, &[])]), "an older one comes too late");
    let swept = desk.service.sweep(desk.now).unwrap();
    assert_eq!(swept.ended, std::slice::from_ref(&gone.own.id));
    assert_eq!(swept.notices[0].event, Event::Certificates { user: gone.own.id.user.clone() });
    assert_eq!(member(&desk, &gone), Membership::Stranger);
    assert_eq!(code(desk.anonymous(gone.opening(&desk))), ErrorCode::Revoked);
    assert_eq!(code(desk.anonymous(gone.submission())), ErrorCode::Revoked);

    desk.wait(31 * DAY);
    assert_eq!(desk.service.sweep(desk.now).unwrap().ended, std::slice::from_ref(&late.own.id));
    assert_eq!(member(&desk, &late), Membership::Stranger);
    assert_eq!(member(&desk, &alice), Membership::Member);
    let claim =
        ClaimKeyPackages { user: late.own.id.user.clone(), cipher_suite: SUITE, devices: vec![] };
    assert_eq!(code(desk.call(&alice.own, claim)), ErrorCode::UnknownUser);
    assert_eq!(desk.service.sweep(desk.now).unwrap().ended, [], "each ends once");
}
