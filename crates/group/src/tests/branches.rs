//! Members without a service that orders their commits: each follows what reaches it first, and all converge
//! by a rule. Meanwhile their processes restart, they go back at random, and no key encrypts two messages.

use super::fixture::*;
use crate::state::pending::commit_id;
use crate::{CommitOptions, Config, Event, Framing, Limits};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use conclave_schedule::RatchetKind;
use conclave_wire::Epoch;

const BASE: Epoch = Epoch(1);

/// A key: the epoch's authenticator, the sender's leaf, which of its ratchets, and the generation.
type Key = (Vec<u8>, u32, u8, u32);

struct World {
    peers: Vec<Peer>,
    /// The commits that each member knows, by digest.
    known: Vec<BTreeMap<Vec<u8>, Vec<u8>>>,
    all: BTreeMap<Vec<u8>, Vec<u8>>,
    used: BTreeSet<Key>,
    dice: TestRng,
    counts: BTreeMap<&'static str, u32>,
}

impl World {
    fn new(seed: u64) -> Self {
        let limits = Limits { checkpoints: 100, checkpoint_records: 10_000, ..Limits::default() };
        let config = Config { limits, ..Config::default() };
        let mut peers = group_with(&["alice", "bob", "carol"], config);
        peers.iter_mut().for_each(Peer::checkpoint);
        Self {
            known: peers.iter().map(|_| BTreeMap::new()).collect(),
            peers,
            all: BTreeMap::new(),
            used: BTreeSet::new(),
            dice: TestRng(seed),
            counts: BTreeMap::new(),
        }
    }

    fn roll(&mut self, n: usize) -> usize {
        usize::try_from(self.dice.below(n as u64)).unwrap()
    }

    fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    /// Notes the key that a member's next encrypted message takes.
    fn takes_key(&mut self, who: usize, kind: RatchetKind) {
        let group = &self.peers[who].group;
        let authenticator = group.epoch_authenticator().unwrap().expose().to_vec();
        let leaf = group.own_leaf();
        let generation = group.secret_trees[&group.epoch()].next_generation(leaf, kind);
        let key = (authenticator, leaf.0, kind as u8, generation);
        assert!(self.used.insert(key), "a key encrypts two messages");
    }

    fn step(&mut self) {
        let who = self.roll(3);
        match self.roll(10) {
            0..=2 => {
                self.takes_key(who, RatchetKind::Application);
                self.peers[who].say(b"hello");
                self.count("say");
            }
            3..=4 => {
                let encrypt = self.roll(2) == 0;
                if encrypt {
                    self.takes_key(who, RatchetKind::Handshake);
                }
                let framing = Framing { encrypt, ..Framing::default() };
                let options = CommitOptions { framing, force_path: true, ..Default::default() };
                if self.peers[who].group.pending_commit().is_some() {
                    self.peers[who].rejected();
                }
                let commit = self.peers[who].commit(options).commit;
                self.learns_own(who, commit);
                if self.roll(3) > 0 {
                    self.peers[who].accepted();
                }
                self.count("commit");
            }
            5..=6 => {
                let mut all = self.all.clone();
                all.retain(|id, _| !self.known[who].contains_key(id));
                let Some((id, commit)) = all.pop_first() else { return };
                self.known[who].insert(id, commit.clone());
                if self.follows(who, &commit) {
                    self.count("follow");
                }
            }
            7 => {
                let epochs: Vec<Epoch> = self.peers[who].group.checkpoints().collect();
                let to = epochs[self.roll(epochs.len())];
                self.peers[who].rewind(to);
                self.count("rewind");
            }
            8 => {
                self.peers[who].checkpoint();
                self.count("checkpoint");
            }
            _ => {
                self.settle(who);
                self.count("settle");
            }
        }
        if self.roll(2) == 0 {
            self.peers[who].reload();
        }
    }

    fn learns_own(&mut self, who: usize, commit: Vec<u8>) {
        let id = commit_id(&suite(), &commit).unwrap().0.into_vec();
        self.known[who].insert(id.clone(), commit.clone());
        self.all.insert(id, commit);
    }

    /// Whether a commit leads a member on.
    fn follows(&mut self, who: usize, commit: &[u8]) -> bool {
        match self.peers[who].process(commit) {
            Ok(Some(step)) => matches!(self.peers[who].take(step), Event::Epoch(_)),
            Ok(None) | Err(_) => false,
        }
    }

    /// The rule: from the common checkpoint on, the commit with the lowest digest that fits, and so on.
    fn settle(&mut self, who: usize) {
        self.peers[who].rewind(BASE);
        let commits: Vec<Vec<u8>> = self.known[who].values().cloned().collect();
        while commits.iter().any(|commit| self.follows(who, commit)) {}
    }
}

#[test]
fn members_without_a_sequencer_converge_by_a_rule_and_reuse_no_key() {
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    for seed in 0..12 {
        let mut world = World::new(seed);
        for _ in 0..60 {
            world.step();
        }

        // Everything reaches everybody at last.
        let all = world.all.clone();
        for who in 0..3 {
            world.known[who].clone_from(&all);
            world.settle(who);
        }
        agree(&world.peers);
        for from in 0..3 {
            world.takes_key(from, RatchetKind::Application);
            let said = world.peers[from].say(b"at last");
            for to in (0..3).filter(|to| *to != from) {
                assert_eq!(world.peers[to].reads(&said).data, b"at last");
            }
        }
        for (what, n) in world.counts {
            *counts.entry(what).or_default() += n;
        }
    }
    for what in ["say", "commit", "follow", "rewind", "checkpoint", "settle"] {
        assert!(counts.get(what).is_some_and(|n| *n > 10), "{counts:?}");
    }
}
