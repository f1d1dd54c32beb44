//! Accounts whose devices are lost, stolen or revoked.

use super::*;

/// The words that a device has just shown, and those that it wants to read again.
fn words(device: &Device) -> (String, [String; 2]) {
    let lines = device.lines();
    let line = lines.iter().rev().find_map(|line| line.strip_prefix("recovery-words ")).unwrap();
    let parts: Vec<&str> = line.split(' ').collect();
    let (places, words) = parts.split_at(2);
    let word = |place: &str| words[place.parse::<usize>().unwrap() - 1].to_string();
    (words.join(" "), [word(places[0]), word(places[1])])
}

impl World {
    /// Gives a device's account a recovery key; its words.
    fn set_recovery(&mut self, i: usize, command: &str) -> String {
        self.say(i, command);
        self.settle();
        let (words, [one, two]) = words(&self.devices[i]);
        self.say(i, &format!("/recovery confirm {one} {two}"));
        self.settle();
        words
    }

    /// Switches on a new device that nobody links, until it shows its code.
    pub(super) fn add_alone(&mut self, id: &str) -> usize {
        let new = self.switch_on(id, None, Disk::default());
        while !self.devices[new].has_line("link ") {
            self.step(new);
        }
        new
    }

    pub(super) fn errors(&self, i: usize) -> Vec<String> {
        self.devices[i].lines().into_iter().filter(|line| line.starts_with("error ")).collect()
    }
}

#[test]
fn words_bring_back_an_account_whose_devices_are_lost() {
    let mut world = World::new(80);
    let (a, b) = (world.add("a/pc"), world.add("b/pc"));
    world.group("g", &[b, a]);
    let words = world.set_recovery(a, "/recovery");
    assert!(world.devices[a].has_line("note - a has another recovery key"));

    // A new device, without help of the old one, revokes it.
    world.devices.remove(a);
    let b = b - 1;
    let new = world.add_alone("a/new");
    world.say(new, &format!("/recover {words}"));
    world.settle();
    assert!(world.devices[new].has_line("ready a/new"), "{:?}", world.devices[new].lines());
    assert!(world.devices[b].has_line("note - a/new ("), "{:?}", world.devices[b].lines());
    world.say(new, "/revoke pc");
    world.settle();
    assert!(world.devices[b].has_line("removed g "), "{:?}", world.devices[b].lines());
    world.say(b, "/invite a");
    world.settle();
    world.accept(new, "g");
    world.say(b, "welcome back");
    world.settle();
    assert_eq!(world.devices[new].messages().len(), 1, "{:?}", world.devices[new].lines());
    assert_eq!(world.errors(new), Vec::<String>::new());
}

#[test]
fn words_are_confirmed_before_they_count() {
    let mut world = World::new(81);
    let a = world.add("a/pc");
    world.settle();
    world.say(a, "/recovery");
    world.settle();
    world.say(a, "/recovery confirm abandon abandon");
    world.settle();
    assert_eq!(world.devices[a].count("error these are not words"), 1);
    let key = |world: &World| {
        let account = world.devices[a].engine.own_account().unwrap();
        account.recovery_key().map(|(_, key)| key.clone())
    };
    assert_eq!(key(&world), None);
    let (_, [one, two]) = words(&world.devices[a]);
    world.say(a, &format!("/recovery confirm {one} {two}"));
    world.settle();
    assert!(key(&world).is_some());
}

#[test]
fn only_the_old_words_make_new_ones() {
    let mut world = World::new(82);
    let a = world.add("a/pc");
    world.settle();
    let first = world.set_recovery(a, "/recovery");
    let others = "legal winner thank year wave sausage worth useful legal winner thank yellow";
    for refused in ["/recovery", &format!("/recovery {others}")] {
        world.say(a, refused);
        world.settle();
    }
    assert_eq!(world.errors(a).len(), 2, "{:?}", world.errors(a));
    let second = world.set_recovery(a, &format!("/recovery {first}"));
    assert_ne!(first, second);

    // The first words are worth nothing now.
    let thief = world.add_alone("a/thief");
    world.say(thief, &format!("/recover {first}"));
    for _ in 0..20 {
        world.step(thief);
    }
    let lines = world.devices[thief].lines();
    assert!(world.devices[thief].has_line("error your account is not recovered"), "{lines:?}");
    assert!(!world.devices[thief].has_line("ready"));
}

#[test]
fn a_revoked_device_leaves_all_groups_without_anybodys_help() {
    let mut world = World::new(83);
    let [a, b, c] = ["a/pc", "b/pc", "c/pc"].map(|id| world.add(id));
    let phone = world.add("a/phone");
    world.group("g", &[a, b]);
    world.say(a, "/invite a");
    world.settle();
    world.agree(&[a, b, phone]);
    // In this group the device that revokes is not: another member sees to it.
    world.group("h", &[c, phone]);
    world.say(c, "/remove a/pc");
    world.settle();

    // It is stolen: it hears nothing of it.
    world.devices.remove(phone);
    world.say(a, "/revoke phone");
    world.settle();
    world.say(b, "/switch g");
    world.settle();
    world.agree(&[a, b]);
    assert!(world.devices[c].has_line("removed h "), "{:?}", world.devices[c].lines());
    for i in [a, b, c] {
        assert!(!world.devices[i].has_line("failed"), "{:?}", world.devices[i].lines());
    }
}

#[test]
fn a_revoked_device_is_told_and_ends() {
    let mut world = World::new(84);
    let (a, phone) = (world.add("a/pc"), world.add("a/phone"));
    world.settle();
    let stolen = world.devices[phone].disk.clone();
    world.devices.remove(phone);
    world.say(a, "/revoke phone");
    world.settle();
    let id: DeviceId = "a/phone".parse().unwrap();
    let mut engine = world.engine(&id, None, &stolen, 9);
    let error = loop {
        let request = engine.next_request(world.now).unwrap().unwrap();
        let reply = match request {
            Request::DescribeService(_) | Request::OpenSession(_) => world.call(a, request),
            other => panic!("{other:?}"),
        };
        if let Err(e) = engine.answer(world.now, reply) {
            break e.to_string();
        }
    };
    assert!(error.contains("(revoked)"), "{error}");
}
