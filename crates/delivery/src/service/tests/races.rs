//! What comes between: an account that changes while another request is in work.

use super::room::room;
use crate::service::{Caller, Holder};
use crate::testing::*;
use conclave_delivery_api::*;
use conclave_mls::crypto::CryptoError;
use conclave_mls::crypto::testing::{Counter, Hook, Hooked, Operation};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

type Change = Box<dyn FnOnce() + Send>;

/// Does something at a cryptographic step of whatever runs.
#[derive(Clone, Default)]
struct Meanwhile(Arc<Mutex<Option<(usize, Change)>>>);

impl Meanwhile {
    /// After so many steps more.
    fn at(&self, step: usize, change: impl FnOnce() + Send + 'static) {
        *self.0.lock().unwrap() = Some((step, Box::new(change)));
    }

    /// Forgets what is to be done; whether it was done.
    fn is_done(&self) -> bool {
        self.0.lock().unwrap().take().is_none()
    }
}

impl Hook for Meanwhile {
    fn before(&self, _: Operation) -> Result<(), CryptoError> {
        let mut waiting = self.0.lock().unwrap();
        match &mut *waiting {
            None => {}
            Some((0, _)) => {
                let change = waiting.take().unwrap().1;
                drop(waiting);
                change();
            }
            Some((steps, _)) => *steps -= 1,
        }
        Ok(())
    }
}

/// A service that is interrupted, with Alice's account.
struct Scene {
    _dir: tempfile::TempDir,
    meanwhile: Meanwhile,
    desk: Arc<Desk>,
    dice: Dice,
    alice: Own,
}

impl Scene {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let meanwhile = Meanwhile::default();
        let provider = Arc::new(Hooked::new(PROVIDER, meanwhile.clone()));
        let desk = Arc::new(Desk::with_provider(dir.path(), provider));
        let mut dice = Dice(6);
        let alice = Own::new("alice/laptop", &mut dice);
        desk.register(&alice);
        Self { _dir: dir, meanwhile, desk, dice, alice }
    }

    /// Submits a log at a step of what comes next.
    fn submit_at(&self, step: usize, own: &Own) {
        let (desk, own) = (self.desk.clone(), own.clone());
        self.meanwhile.at(step, move || drop(desk.register(&own)));
    }
}

#[test]
fn no_session_outlives_a_revocation_that_came_between() {
    let mut s = Scene::new();
    let service_key = s.desk.service_key();
    for step in 0.. {
        let name = format!("phone-{step}");
        let phone = s.alice.add(&name, &mut s.dice);
        s.desk.register(&s.alice);
        let pair = session_pair();
        let opening = phone.opening(&service_key, &pair, NOW);
        s.alice.revoke(&name);
        s.submit_at(step, &s.alice);
        let opened = s.desk.anonymous(opening);
        if !s.meanwhile.is_done() {
            assert!(step >= 1, "it was interrupted at {step} steps");
            break;
        }
        if let Ok(opened) = opened {
            let OpenedSession { token, lifetime, .. } = opened.reply;
            let session = OwnSession { token, pair, lifetime };
            assert!(
                s.desk.request(&session, 1).is_err(),
                "revoked at step {step}, it has a session"
            );
        }
    }
}

#[test]
fn no_key_package_of_a_former_key_is_left() {
    let mut s = Scene::new();
    for step in 0.. {
        let lifetime = Own::lifetime(NOW);
        let package = s.alice.key_package(false, lifetime, &mut s.dice);
        let request =
            PublishKeyPackages { key_packages: vec![key_package_message(package.key_package())] };
        let before = s.alice.clone();
        s.alice.rotate(&mut s.dice);
        s.submit_at(step, &s.alice);
        let published = s.desk.call(&before, request);
        if !s.meanwhile.is_done() {
            assert!(step >= 3, "it was interrupted at {step} steps");
            break;
        }
        assert!(published.is_err(), "rotated at step {step}, it publishes");
        assert_eq!(s.desk.reply(&s.alice, CountKeyPackages {}).counts, []);
    }
}

#[test]
fn of_two_next_entries_at_once_one_is_taken() {
    let mut s = Scene::new();
    for step in 0.. {
        let (mut first, mut second) = (s.alice.clone(), s.alice.clone());
        first.add(&format!("a-{step}"), &mut s.dice);
        second.add(&format!("b-{step}"), &mut s.dice);
        s.submit_at(step, &second);
        let late = s.desk.anonymous(first.submission());
        if !s.meanwhile.is_done() {
            assert!(step >= 2, "it was interrupted at {step} steps");
            break;
        }
        assert_eq!(late.unwrap_err().code, ErrorCode::Unavailable, "it can be tried again");
        let error = s.desk.anonymous(first.submission()).unwrap_err();
        assert_eq!(error.code, ErrorCode::AccountForked, "{error}");
        s.alice = second;
        let user = s.alice.id.user.clone();
        let log = s.desk.reply(&s.alice, FetchAccount { user, after: 0 }).entries;
        assert_eq!(log, s.alice.submission().entries);
    }
}

/// Anybody can ask for a session, and make an account that has had a thousand keys.
#[test]
fn an_opening_costs_one_signature_check_whatever_the_account() {
    let dir = tempfile::tempdir().unwrap();
    let provider = Arc::new(Hooked::new(PROVIDER, Counter::of(Operation::Verify)));
    let desk = Desk::with_provider(dir.path(), provider.clone());
    let mut dice = Dice(6);
    let mut alice = Own::new("alice/laptop", &mut dice);
    for _ in 0..50 {
        alice.rotate(&mut dice);
    }
    desk.register(&alice);
    let key = desk.service_key();
    let cost = |own: &Own| {
        let opening = own.opening(&key, &session_pair(), NOW);
        provider.hook.during(|| desk.anonymous(opening).map(drop).map_err(|e| e.code))
    };
    assert_eq!(cost(&alice), (1, Ok(())));
    let thief = alice.thief(&mut dice);
    assert_eq!(cost(&thief), (0, Err(ErrorCode::BadProof)));
    let forged =
        OpenSession { key: alice.keys.public.clone(), ..thief.opening(&key, &session_pair(), NOW) };
    let (checks, refused) = provider.hook.during(|| desk.anonymous(forged).map(drop));
    assert_eq!((checks, refused.unwrap_err().code), (1, ErrorCode::BadProof));
}

/// Signatures of entries that the service has are not checked again, and the first that is wrong is the last.
#[test]
fn a_submission_costs_its_new_entries_alone() {
    let dir = tempfile::tempdir().unwrap();
    let provider = Arc::new(Hooked::new(PROVIDER, Counter::of(Operation::Verify)));
    let desk = Desk::with_provider(dir.path(), provider.clone());
    let mut dice = Dice(6);
    let mut alice = Own::new("alice/laptop", &mut dice);
    for n in 0..20 {
        alice.add(&format!("d{n}"), &mut dice);
    }
    let cost = |own: &Own| {
        provider.hook.during(|| desk.anonymous(own.submission()).map(drop).map_err(|e| e.code))
    };
    // An entry's signature, and the new key's proof.
    assert_eq!(cost(&alice), (2 * 21, Ok(())));
    assert_eq!(cost(&alice), (0, Ok(())));
    alice.add("more", &mut dice);
    assert_eq!(cost(&alice), (2, Ok(())));

    let mut broken = Own::new("bob/pc", &mut dice);
    for n in 0..20 {
        broken.add(&format!("d{n}"), &mut dice);
    }
    broken.log[0].signature = vec![7; 64].into();
    assert_eq!(cost(&broken), (1, Err(ErrorCode::BadEntry)));
}

#[test]
fn nothing_of_a_device_is_taken_once_its_revocation_is_answered() {
    let mut r = room();
    let mut tablet = r.bob.add("tablet", &mut r.dice);
    r.desk.register(&r.bob);
    let group: GroupId = [5; 16].into();
    let kind = GroupKind::Opaque { epoch: 0 };
    r.desk.reply(&r.alice, CreateGroup { group_id: group.clone(), kind });
    let add = SubmitCommit::new(private(&group, 0, ContentType::Commit, b"add"));
    r.desk.reply(&r.alice, SubmitCommit { added: vec![r.bob.id.clone()], ..add });
    let head = || {
        let fetch = FetchLog { group_id: group.clone(), after: 0, limit: 0 };
        r.desk.reply(&r.alice, fetch).head
    };

    // Some wait in their thread until the storage has written, as callers of the library do, some as the server does.
    let send = |thread: u8, n: u32| {
        let data = [&[thread][..], &n.to_be_bytes()].concat();
        let message = private(&group, 1, ContentType::Application, &data);
        let caller = Caller::new(Some(Holder::Device(r.bob.info())), NOW);
        let request = SendMessage { message };
        if thread < 2 {
            return r.desk.service.run(request, &caller).map(Some);
        }
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(r.desk.service.wait(request, &caller))
    };
    let (told, last) = std::thread::scope(|scope| {
        let send = &send;
        let until_refused =
            |thread| (0..100_000).find(|n| !matches!(send(thread, *n), Ok(Some(_))));
        let threads: Vec<_> =
            (0..4).map(|thread| scope.spawn(move || until_refused(thread))).collect();
        let begun = Instant::now();
        while head() < 40 && begun.elapsed() < Duration::from_secs(60) {
            std::thread::yield_now();
        }
        tablet.revoke("phone");
        r.desk.register(&tablet);
        let told = head();
        for thread in threads {
            assert!(thread.join().unwrap().is_some(), "it is never refused");
        }
        (told, head())
    });
    assert!(told >= 40, "nobody is served");
    assert_eq!(told, last);
    assert_eq!(send(0, 200_000).unwrap_err().code, ErrorCode::NotMember);
}
