//! Random commands, lost calls, lost answers and dying processes, from a seed.

use super::*;
use std::collections::BTreeMap;

/// Runs one seed, and checks what all have seen in the end. Two devices are without post-quantum
/// suites: they cannot be in the groups of odd seeds.
fn run(seed: u64, steps: u64) {
    let mut world = World::new(seed);
    let all = ["a/pc", "b/pc", "d/pc"].map(|id| world.add(id));
    let classic = ["b/phone", "c/pc"].map(|id| world.add_classic(id));
    let post_quantum = seed % 2 == 1;
    world.group(if post_quantum { "g" } else { "g classic" }, &all[..2]);
    let all = [all.as_slice(), &classic].concat();
    world.loss = 8;
    let (mut said, mut taken) = (0, Vec::new());
    for _ in 0..steps {
        let i = world.rng.below(all.len() as u64) as usize;
        let user = ["a", "b", "c", "d"][world.rng.below(4) as usize];
        match world.rng.below(100) {
            0..=3 => world.kill(i),
            4..=7 => world.say(i, &format!("/invite {user}")),
            8 if world.devices[i].id.user.as_str() != user && user != "a" => {
                world.say(i, &format!("/remove {user}"));
            }
            9 if i > 0 && world.rng.below(2) == 0 => world.say(i, "/leave"),
            10..=24 => {
                said += 1;
                let before = world.devices[i].engine.waiting();
                world.say(i, &format!("text {said}"));
                if world.devices[i].engine.waiting() > before {
                    taken.push(said);
                }
            }
            25..=30 => world.now += world.rng.below(3_000),
            34..=36 => world.say(i, "/accept"),
            31..=33 => {
                // The stream breaks, and what was pushed meanwhile with it.
                let current = world.service.current_events(&world.devices[i].info()).unwrap();
                let device = &mut world.devices[i];
                device.hints.clear();
                device.engine.heard(
                    world.now,
                    StreamEvent::Disconnected {
                        error: unreachable(),
                        retry_in: Default::default(),
                    },
                );
                device.engine.heard(world.now, StreamEvent::Connected);
                device.hints.extend(current.into_iter().map(StreamEvent::Event));
            }
            _ => {
                world.step(i);
            }
        }
    }
    world.loss = 0;
    world.settle();
    (0..all.len()).for_each(|i| world.say(i, "/accept"));
    world.settle();
    check(&mut world, &taken);
    for i in classic {
        assert!(!(post_quantum && world.devices[i].has_line("joined")), "{i}");
    }
}

fn check(world: &mut World, taken: &[u64]) {
    let mut log: BTreeMap<u64, (String, String)> = BTreeMap::new();
    for device in &world.devices {
        let mut last = 0;
        for (_, seq, sender, text) in device.messages() {
            assert!(seq > last, "{}: {seq} after {last}", device.id);
            last = seq;
            let known = log.entry(seq).or_insert_with(|| (sender.clone(), text.clone()));
            assert_eq!(*known, (sender, text), "{}: another message {seq}", device.id);
        }
        for line in device.lines() {
            assert!(!line.starts_with("unreadable"), "{}: {line}", device.id);
            assert!(!line.contains("cannot go on"), "{}: {line}", device.id);
        }
        assert!(device.engine.is_settled(), "{}: {}", device.id, device.engine.state());
    }
    // Each text that was taken is said once, or its author is told that it is not.
    for n in taken {
        let text = format!("text {n}");
        let times = log.values().filter(|(_, said)| *said == text).count();
        // Who was out before it heard the group's name knows it by another.
        let told = format!(" not sent, as you are out: {text}");
        let told = |line: &String| line.starts_with("failed ") && line.ends_with(&told);
        let told = world.devices.iter().filter(|device| device.lines().iter().any(told)).count();
        assert_eq!(times + told, 1, "{text}: said {times} times");
    }
    // Whoever is in the group sees the same of it, whatever it is called there: who invites may be
    // out before it has said the name.
    let now = world.now;
    let view = |device: &mut Device| {
        let name = format!(" {} ", device.current_name().unwrap_or_default());
        let lines = device.view(now).into_iter();
        lines.map(|line| line.replacen(&name, " ", 1)).collect()
    };
    let mut views: Vec<Vec<String>> = world.devices.iter_mut().map(view).collect();
    views.retain(|view| !view.is_empty());
    views.dedup();
    assert!(views.len() <= 1, "they see different groups: {views:?}");
}

#[test]
fn whatever_fails_all_see_the_same_in_the_end() {
    let seeds = std::env::var("CONCLAVE_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(12);
    let first = std::env::var("CONCLAVE_SEED").ok().and_then(|n| n.parse().ok()).unwrap_or(0);
    for seed in first..first + seeds {
        println!("seed {seed}");
        run(seed, 600);
    }
}
