//! Two processes of one state: copied while it was in use, or restored from a backup.

use super::*;

impl World {
    /// The state of a device as it is now.
    fn backup(&self, i: usize) -> Disk {
        let state = self.devices[i].disk.get().clone();
        Disk(Arc::new(Mutex::new(state)), Arc::default())
    }

    /// A process of a device that goes on from a state; its number.
    fn start_from(&mut self, i: usize, disk: Disk) -> usize {
        let (id, suite) = (self.devices[i].id.to_string(), self.devices[i].suite);
        let new = self.switch_on(&id, suite, disk);
        // With randomness of its own.
        self.devices[new].life = 1_000 * new as u64;
        self.kill(new);
        new
    }

    /// A process of a device that goes on from a copy of its state; its number.
    fn copy(&mut self, i: usize) -> usize {
        let disk = self.backup(i);
        self.start_from(i, disk)
    }

    /// Which of these go on.
    fn running(&self, all: &[usize]) -> Vec<usize> {
        all.iter().copied().filter(|i| !self.devices[*i].revoked).collect()
    }

    /// The service says to a device that another process has marked its state.
    pub(super) fn lie_about_marks(&mut self, i: usize) {
        self.lied_to = Some(i);
        self.lie = Some(Box::new(|reply| {
            if let Reply::MarkState(marked) = reply {
                marked.latest.id[0] ^= 1;
            }
        }));
    }

    /// Checks that a device could read all that it got, and got nothing twice.
    fn has_read_all_once(&self, i: usize) {
        assert_eq!(self.devices[i].count("unreadable"), 0, "{:#?}", self.devices[i].lines());
        let mut texts = self.texts(i);
        texts.sort();
        let count = texts.len();
        texts.dedup();
        assert_eq!(texts.len(), count, "{texts:?}");
    }
}

#[test]
fn of_two_copies_of_a_device_one_goes_on_and_no_key_is_used_twice() {
    let mut world = World::new(1);
    let (a, b) = (world.add("a/pc"), world.add("b/pc"));
    world.group("g", &[a, b]);
    world.say(a, "before");
    world.settle();

    let c = world.copy(a);
    for n in 0..6 {
        world.say(a, &format!("from the one {n}"));
        world.say(c, &format!("from the other {n}"));
    }
    world.settle();
    let running = world.running(&[a, c]);
    assert_eq!(running.len(), 1, "{:?}", world.devices[c].lines());
    let one = running[0];
    assert!(world.devices[one].has_line("copied -") && world.devices[one].has_line("rejoined g"));
    world.say(one, "after");
    world.settle();
    world.has_read_all_once(b);
    let texts = world.texts(b);
    let whose = if one == a { "from the one" } else { "from the other" };
    for n in 0..6 {
        assert!(texts.contains(&format!("{whose} {n}")), "{texts:?}");
    }
    assert!(texts.contains(&"after".to_string()));
    world.agree(&[one, b]);
}

#[test]
fn a_state_from_a_backup_comes_back_with_a_new_key() {
    let mut world = World::new(2);
    let (a, b) = (world.add("a/pc"), world.add("b/pc"));
    world.group("g", &[a, b]);
    // Within one session, so that the service knows of no later mark; and over several processes.
    for (round, restarts) in [0, 2].into_iter().enumerate() {
        let first = if round == 0 { a } else { world.devices.len() - 1 };
        let backup = world.backup(first);
        for n in 0..3 {
            world.say(first, &format!("lost {round} {n}"));
            world.settle();
        }
        for _ in 0..restarts {
            world.kill(first);
            world.settle();
        }
        world.off(&[first]);
        let restored = world.start_from(first, backup);
        world.say(restored, &format!("restored {round}"));
        world.settle();
        let lines = world.devices[restored].lines();
        for begin in ["copied -", "key-renewed", "rejoined g"] {
            assert!(world.devices[restored].has_line(begin), "{begin}: {lines:#?}");
        }
        assert!(world.texts(b).contains(&format!("restored {round}")), "{lines:#?}");
        world.has_read_all_once(b);
        world.agree(&[restored, b]);
        // What this device said before is read, too.
        let texts = world.texts(restored);
        assert!(texts.contains(&format!("lost {round} 2")), "{texts:?}");
    }
}

#[test]
fn a_process_that_ends_while_it_marks_its_state_leaves_no_copy() {
    let mut world = World::new(3);
    let (a, b) = (world.add("a/pc"), world.add("b/pc"));
    world.group("g", &[a, b]);
    for round in 0..40 {
        world.kill(a);
        // The service takes the mark, or never hears of it, and the answer does not come.
        let arrives = round % 3 > 0;
        loop {
            let now = world.now;
            let Some(request) = world.devices[a].engine.next_request(now).unwrap() else {
                panic!("it did not mark its state");
            };
            if matches!(request, Request::MarkState(_)) {
                if arrives {
                    world.call(a, request).unwrap();
                }
                break;
            }
            world.call_and_answer(a, request);
        }
    }
    world.kill(a);
    world.say(a, "after all");
    world.settle();
    assert!(!world.devices[a].has_line("copied"), "{:#?}", world.devices[a].lines());
    assert!(world.texts(b).contains(&"after all".to_string()));
}

#[test]
fn nothing_is_sent_before_the_mark_is_taken() {
    let mut world = World::new(4);
    let (a, b) = (world.add("a/pc"), world.add("b/pc"));
    world.group("g", &[a, b]);
    world.kill(a);
    world.say(a, "waits");
    world.fault = Some(Box::new(|request| match request {
        Request::MarkState(_) => Some(unreachable()),
        other => {
            assert!(!is_sending(other), "sent before the mark");
            None
        }
    }));
    for _ in 0..200 {
        world.step(a);
        world.now += 100;
    }
    assert!(!world.texts(b).contains(&"waits".to_string()));
    world.fault = None;
    world.settle();
    assert!(world.texts(b).contains(&"waits".to_string()));
}

#[test]
fn a_service_that_lies_about_marks_cannot_keep_a_device_busy() {
    let mut world = World::new(5);
    let (a, b) = (world.add("a/pc"), world.add("b/pc"));
    world.group("g", &[a, b]);
    world.kill(a);
    world.say(a, "at last");
    world.lie_about_marks(a);
    world.settle();
    assert_eq!(world.devices[a].count("key-renewed"), 3, "{:#?}", world.devices[a].lines());
    assert_eq!(world.devices[a].count("rejoin-limited -"), 1);
    assert!(!world.texts(b).contains(&"at last".to_string()));

    world.lie = None;
    world.now += 60 * 60 * 1000;
    world.settle();
    assert!(world.texts(b).contains(&"at last".to_string()), "{:#?}", world.devices[a].lines());
    world.has_read_all_once(b);
    world.agree(&[a, b]);
    // The others see one device with another key, and see nobody leave or join.
    assert!(world.devices[b].has_line("note - a/pc has another key from now on: "));
    assert_eq!(world.devices[b].count("removed g"), 0, "{:#?}", world.devices[b].lines());
}

#[test]
fn a_device_comes_back_into_one_group_only_so_often() {
    let mut world = World::new(6);
    let (a, b) = (world.add("a/pc"), world.add("b/pc"));
    world.group("g", &[a, b]);
    for _ in 0..5 {
        let id = world.devices[a].current();
        world.devices[a].engine.come_back(&id).unwrap();
        world.settle();
    }
    assert_eq!(world.devices[a].count("rejoined g"), 3);
    assert_eq!(world.devices[a].count("rejoin-limited g"), 1);
    // The limit holds in the next process, too.
    world.kill(a);
    world.settle();
    assert_eq!(world.devices[a].count("rejoined g"), 3);
    world.now += 60 * 60 * 1000;
    world.say(a, "back");
    world.settle();
    assert_eq!(world.devices[a].count("rejoined g"), 4);
    assert!(world.texts(b).contains(&"back".to_string()));
    world.agree(&[a, b]);
}

#[test]
fn copies_made_at_any_moment_never_use_a_key_twice() {
    for seed in 0..12 {
        let mut world = World::new(100 + seed);
        let (a, b, c) = (world.add("a/pc"), world.add("b/pc"), world.add("c/pc"));
        world.group("g", &[a, b, c]);
        let mut copies = vec![a];
        for n in 0..3 {
            for _ in 0..world.rng.below(30) {
                let i = world.rng.below(world.devices.len() as u64) as usize;
                world.step(i);
            }
            let running = world.running(&copies);
            let Some(from) = running.first().copied() else { break };
            let copy = world.copy(from);
            copies.push(copy);
            if world.rng.below(3) == 0 {
                world.kill(from);
            }
            for i in world.running(&copies) {
                world.say(i, &format!("{i} says {n}"));
            }
            world.say(b, &format!("b says {n}"));
            if world.rng.below(4) == 0 {
                world.say(c, "/invite-link --uses 3");
            }
        }
        world.settle();
        let running = world.running(&copies);
        assert!(running.len() <= 1, "seed {seed}: {running:?}");
        let Some(one) = running.first().copied() else { panic!("seed {seed}: nobody is left") };
        world.say(one, "the end");
        world.settle();
        for other in [b, c] {
            assert!(world.texts(other).contains(&"the end".to_string()), "seed {seed}");
            assert_eq!(world.devices[other].count("unreadable"), 0, "seed {seed}");
        }
        world.agree(&[one, b, c]);
    }
}

/// It would look for something to do without end.
#[test]
fn a_copy_that_waits_for_a_proof_sleeps() {
    let mut world = World::new(14);
    let (a, b) = (world.add("a/pc"), world.add("b/pc"));
    world.group("g", &[a, b]);
    let c = world.copy(a);
    world.settle();
    // The directory has grown, and the service does not show how.
    world.add("d/pc");
    world.now += 20_000;
    world.publish();
    world.lie_about_marks(c);
    world.fault = Some(Box::new(|request| match request {
        Request::FetchExtension(_) => Some(unreachable()),
        _ => None,
    }));
    world.kill(c);
    let mut waited = 0;
    for _ in 0..200 {
        while world.step(c) {}
        let engine = &world.devices[c].engine;
        let (now, wake) = (world.now, engine.wake_at());
        if engine.book.copied().is_some() && engine.watching.holds() {
            waited += 1;
            assert!(wake.is_some_and(|at| at > now), "{wake:?} at {now}");
        }
        world.now = now.max(wake.unwrap_or(now));
    }
    assert!(waited > 0, "{:?}", world.devices[c].lines());
}
