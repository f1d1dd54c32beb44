//! A service that was restored from a backup, or set up anew.

use super::*;
use conclave_delivery::backup;

/// A group g of a, b and c, in which everybody has said something.
fn talking(seed: u64) -> (World, [usize; 3]) {
    let mut world = World::new(seed);
    let all = ["a/pc", "b/pc", "c/pc"].map(|id| world.add(id));
    world.group("g", &all);
    for i in all {
        world.say(i, &format!("before {i}"));
        world.settle();
    }
    (world, all)
}

impl World {
    /// A backup of the service as it is now.
    fn save(&self) -> tempfile::TempDir {
        let saved = tempfile::tempdir().unwrap();
        backup::backup(self.folder.path(), saved.path(), provider(), self.time()).unwrap();
        saved
    }

    /// The service is restored from a backup.
    fn restore(&mut self, saved: &tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        backup::restore(saved.path(), folder.path(), provider(), self.time()).unwrap();
        let storage = SqliteStorage::open(folder.path()).unwrap();
        let begun = self.time();
        let limits = Limits::default();
        let service = Service::new(storage, provider(), limits, Registration::Open, begun);
        self.swap(service.unwrap());
        self.folder = folder;
    }
}

const RESTORED: &str = "note - the service was restored from a backup, and may have lost what";

#[test]
fn a_service_that_was_restored_is_noticed_once_and_nothing_else_is_told() {
    let (mut world, all) = talking(401);
    let saved = world.save();
    world.settle();
    for i in all {
        assert_eq!(world.devices[i].count(RESTORED), 0);
    }
    world.restore(&saved);
    world.settle();
    for i in all {
        world.kill(i);
        world.say(i, &format!("after {i}"));
        world.settle();
    }
    for i in all {
        let lines = world.devices[i].lines();
        assert_eq!(world.devices[i].count(RESTORED), 1, "{lines:?}");
        assert!(!lines.iter().any(|line| line.starts_with("error ")), "{lines:?}");
        assert_eq!(world.devices[i].messages().len(), 6);
    }
}

#[test]
fn a_service_that_was_set_up_anew_is_noticed_once() {
    let (mut world, [a, ..]) = talking(402);
    let (service, folder) = service(provider());
    world.swap(service);
    world.folder = folder;
    world.settle();
    world.kill(a);
    world.settle();
    assert_eq!(world.devices[a].count("note - the service was set up anew, and may"), 1);
}

#[test]
fn a_stream_of_another_life_than_the_session_leads_to_another_session() {
    let (mut world, [a, ..]) = talking(403);
    let engine = &mut world.devices[a].engine;
    let known = engine.book.incarnation().unwrap();
    engine.heard(world.now, Heard::Event(Event::Incarnation(known)));
    assert!(engine.next(world.now).unwrap().is_none());
    let other = Incarnation { number: 2, ..known };
    engine.heard(world.now, Heard::Event(Event::Incarnation(other)));
    assert!(matches!(engine.next(world.now).unwrap(), Some(Request::DescribeService(_))));
}
