//! Which profile counts, and what is kept.

use super::*;
use crate::headless::open_device;
use conclave_engine::{KeyPolicy, SUITES};
use conclave_provider_rustcrypto::RustCrypto;
use conclave_store::MemoryStore;
use std::path::Path;
use std::sync::Arc;

const NOW: u64 = 1_800_000_000;

struct World {
    engine: Engine<MemoryStore>,
    profiles: Profiles,
}

fn device(name: &str) -> DeviceId {
    name.parse().unwrap()
}

fn profile(version: u64, name: &str, picture: Option<Picture>) -> Profile {
    Profile::new(version, name, picture).unwrap()
}

fn picture(size: usize) -> Picture {
    Picture::new([b"\x89PNG\r\n\x1a\n", &vec![1; size - 8][..]].concat()).unwrap()
}

impl World {
    fn new() -> Self {
        let (provider, store) =
            (Arc::new(RustCrypto::new().with_suites(SUITES)), MemoryStore::new());
        let (keys, me) = (KeyPolicy::default(), device("alice/main"));
        let mut engine = open_device(me, provider, store, keys, Path::new("/none")).unwrap();
        let profiles = Profiles::open(&mut engine).unwrap();
        Self { engine, profiles }
    }

    fn take_at(&mut self, by: &str, profile: &Profile, time: u64) -> Option<ProfileNews> {
        let (group, by) = (GroupId::from(b"g".as_slice()), device(by));
        let taken = self.profiles.take(&self.engine, (&group, &by, time), profile).unwrap();
        self.engine.write_app_rows(taken.1).unwrap();
        taken.0
    }

    fn take(&mut self, by: &str, profile: &Profile) -> bool {
        self.take_at(by, profile, NOW).is_some()
    }

    fn set(&mut self, change: ProfileChange, now: u64) {
        let rows = self.profiles.set(&self.engine, change, now).unwrap();
        self.engine.write_app_rows(rows).unwrap();
    }

    fn name(&self, user: &str) -> String {
        let of = self.profiles.of(&user.parse().unwrap());
        of.map(|of| of.name.to_owned()).unwrap_or_default()
    }

    fn rows(&self) -> usize {
        self.engine.app_rows(TABLE, &[], usize::MAX).unwrap().len()
    }
}

fn named(name: &str) -> ProfileChange {
    ProfileChange { name: Some(name.into()), ..ProfileChange::default() }
}

#[test]
fn the_newest_profile_counts_in_whatever_order_they_come() {
    let (first, second) = (profile(1, "Bob", None), profile(2, "Bob K.", Some(picture(99))));
    let mut world = World::new();
    assert!(world.take("bob/pc", &first) && world.take("bob/phone", &second));
    assert!(!world.take("bob/pc", &first), "an old one changes nothing");
    assert_eq!(world.name("bob"), "Bob K.");

    let mut other = World::new();
    assert!(other.take("bob/phone", &second) && !other.take("bob/pc", &first));
    assert_eq!(other.name("bob"), "Bob K.");
    // A third says that there is none any more, and stays the last word.
    let gone = profile(3, "", None);
    assert!(other.take("bob/pc", &gone) && !other.take("bob/phone", &second));
    assert_eq!(other.profiles.of(&"bob".parse().unwrap()), None);
    let bob = "bob".parse().unwrap();
    assert_eq!(other.profiles.picture(&other.engine, &bob).unwrap(), None);
    assert_eq!(world.profiles.picture(&world.engine, &bob).unwrap(), Some(picture(99)));
}

#[test]
fn two_profiles_of_one_version_lead_all_devices_to_the_same_one() {
    let (one, other) = (profile(1, "Al", None), profile(1, "Bo", None));
    for order in [[&one, &other], [&other, &one]] {
        let mut world = World::new();
        for profile in order {
            world.take("bob/pc", profile);
        }
        assert_eq!(world.name("bob"), "Bo");
    }
}

#[test]
fn nobody_gives_another_user_a_profile() {
    let mut world = World::new();
    world.take("bob/pc", &profile(1, "Bob", None));
    world.take("mallory/pc", &profile(9, "alice", None));
    assert_eq!((world.name("bob"), world.name("alice")), ("Bob".into(), String::new()));
}

#[test]
fn a_clock_that_is_wrong_by_years_fixes_no_profile() {
    let mut world = World::new();
    world.take("bob/pc", &profile(u64::MAX, "Bob", None));
    // Two days later, from a device with a right clock.
    let later = NOW + 2 * 86_400;
    let right = profile(later * 1000, "Bob K.", None);
    assert!(world.take_at("bob/phone", &right, later).is_some());
    assert_eq!(world.name("bob"), "Bob K.");

    // The own device whose clock it was goes by what the others do.
    world.set(named("Alice"), u64::MAX - 7);
    let (group, version) = (GroupId::from(b"g".as_slice()), u64::MAX - 7);
    let told = Told { version, ..Told::default() };
    world.profiles.tell(&group, told, &mut AppRows::new()).unwrap();
    assert!(!world.take("alice/main", &profile(version, "Alice", None)));
    // A room that has heard that version hears of the next one.
    assert!(!world.profiles.is_behind(&group));
    world.set(named("Alice L."), later * 1000);
    assert!(world.profiles.is_behind(&group));
    let later = later + 1;
    let right = profile(later * 1000, "Al", None);
    assert!(world.take_at("alice/phone", &right, later).is_some());
    assert_eq!(world.name("alice"), "Al");
}

#[test]
fn the_next_own_profile_is_newer_than_that_of_any_other_own_device() {
    let mut world = World::new();
    world.take("alice/phone", &profile(NOW * 1000 + 500, "Al", Some(picture(99))));
    // This clock is behind.
    world.set(named("Alice"), NOW * 1000);
    let own = world.profiles.own().unwrap();
    assert_eq!((own.version, own.name.as_str()), (NOW * 1000 + 501, "Alice"));
    assert!(own.picture.is_some(), "what is not named stays");
    world.set(ProfileChange::removed(), NOW * 1000);
    assert_eq!(world.profiles.of(&"alice".parse().unwrap()), None);
}

#[test]
fn what_cannot_be_a_profile_changes_nothing() {
    let mut world = World::new();
    world.set(named("Alice"), NOW);
    let before = world.rows();
    let no_picture = PictureChange::New(b"<svg>".to_vec());
    for change in [
        named("a\u{202e}b"),
        named(&"x".repeat(65)),
        ProfileChange { name: Some("Al".into()), picture: no_picture },
        ProfileChange { name: None, picture: PictureChange::New(vec![0; 40_000]) },
    ] {
        let refused = world.profiles.set(&world.engine, change, NOW + 1);
        assert!(matches!(refused, Err(ProfileRefusal::Fault(_))));
    }
    assert_eq!((world.name("alice"), world.rows()), ("Alice".into(), before));
}

#[test]
fn profiles_of_others_have_an_end_and_the_own_one_stays() {
    let mut world = World::new();
    world.set(named("Alice"), NOW);
    let large = picture(conclave_content::MAX_PICTURE);
    for n in 0..600 {
        world.take(&format!("user{n}/pc"), &profile(1, "x", Some(large.clone())));
    }
    let kept = MAX_PICTURES as usize / conclave_content::MAX_PICTURE;
    assert_eq!(world.profiles.users.len(), kept + 1);
    // Two rows each, the own one without a picture, and none is left of those that made way.
    assert_eq!(world.rows(), 2 * kept + 1);
    for n in 0..MAX_PROFILES + 100 {
        world.take(&format!("other{n}/pc"), &profile(1, "x", None));
    }
    assert_eq!(world.profiles.users.len(), MAX_PROFILES + 1);
    assert_eq!((world.rows(), world.name("alice")), (MAX_PROFILES + 1, "Alice".into()));
}

#[test]
fn a_new_process_has_the_own_profile_and_none_of_strangers() {
    let mut world = World::new();
    world.set(named("Alice"), NOW);
    world.take("bob/pc", &profile(1, "Bob", Some(picture(99))));
    // Alice is in no room any more.
    world.profiles = Profiles::open(&mut world.engine).unwrap();
    assert_eq!((world.name("alice"), world.name("bob")), ("Alice".into(), String::new()));
    assert_eq!(world.rows(), 1);
}

#[test]
fn names_of_users_are_in_no_key_of_a_row() {
    let mut world = World::new();
    world.set(named("Alice"), NOW);
    world.take("bob/pc", &profile(1, "Bob", Some(picture(99))));
    for (key, _) in world.engine.app_rows(TABLE, &[], usize::MAX).unwrap() {
        let key = String::from_utf8_lossy(&key).to_lowercase();
        assert!(!key.contains("bob") && !key.contains("alice"), "{key:?}");
    }
}
