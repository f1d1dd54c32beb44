//! Random worlds of a few members without a service that orders their commits: they part, go back, follow each other's branch
//! and agree.

use super::fixture::*;
use crate::{CommitOptions, Event};
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use conclave_crypto::testing::TestRng;
use conclave_wire::Epoch;

/// A commit, or a message and what it says; and who made it.
struct Sent {
    by: usize,
    message: Vec<u8>,
    says: Option<Vec<u8>>,
}

struct World {
    peers: Vec<Peer>,
    rng: TestRng,
    /// All messages that were made: no two are the same, as no key is used twice.
    made: BTreeSet<Vec<u8>>,
}

impl World {
    fn below(&mut self, most: usize) -> usize {
        self.rng.below(most as u64) as usize
    }

    /// Members go on among themselves.
    fn branch(&mut self, side: &[usize]) -> Vec<Sent> {
        let mut branch = Vec::new();
        for n in 0..1 + self.below(4) {
            let by = side[self.below(side.len())];
            // Some of what one could commit is given up.
            if self.below(4) == 0 {
                self.peers[by].commit(CommitOptions::default());
                self.peers[by].rejected();
            }
            let force_path = self.below(2) == 0;
            let options = CommitOptions { force_path, ..CommitOptions::default() };
            let commit = self.peers[by].commit(options).commit;
            self.peers[by].accepted();
            branch.push(Sent { by, message: commit, says: None });

            let says = alloc::format!("{by} says {n}").into_bytes();
            let message = self.peers[by].say(&says);
            branch.push(Sent { by, message, says: Some(says) });
            let [commit, said] = &branch[branch.len() - 2..] else { panic!() };
            for i in side.iter().filter(|i| **i != by) {
                self.peers[*i].follows(&commit.message);
                assert_eq!(self.peers[*i].reads(&said.message).data, *said.says.as_ref().unwrap());
            }
        }
        for sent in &branch {
            assert!(self.made.insert(sent.message.clone()), "the same message twice");
        }
        branch
    }

    /// A member goes back to an epoch, and on by a branch: what it has made itself is known to it.
    fn follow(&mut self, i: usize, from: Epoch, branch: &[Sent]) {
        self.peers[i].rewind(from);
        if self.below(3) == 0 {
            self.peers[i].reload();
        }
        for sent in branch {
            let step = self.peers[i].process(&sent.message).unwrap();
            match (step, &sent.says) {
                (None, Some(_)) => assert_eq!(sent.by, i),
                (Some(step), says) => match (self.peers[i].take(step), says) {
                    (Event::Epoch(change), None) => assert_eq!(change.own, sent.by == i),
                    (Event::Application(message), Some(says)) => assert_eq!(message.data, *says),
                    (event, _) => panic!("{event:?}"),
                },
                (None, None) => panic!("a commit that does nothing"),
            }
        }
    }
}

#[test]
fn members_who_part_go_back_and_agree() {
    for seed in 0..12 {
        let peers = group_of(&["alice", "bob", "carol", "dave"]);
        let mut world = World { peers, rng: TestRng(seed), made: BTreeSet::new() };
        for _ in 0..4 {
            let from = world.peers[0].group.epoch();
            world.peers.iter_mut().for_each(Peer::checkpoint);
            let first = world.below(4);
            let (mut one, mut other) = (alloc::vec![first], alloc::vec![(first + 1) % 4]);
            for i in [(first + 2) % 4, (first + 3) % 4] {
                if world.below(2) == 0 { one.push(i) } else { other.push(i) }
            }
            let (kept, left) = (world.branch(&one), world.branch(&other));

            // Both sides may first take each other's branch: then only one of them has to change its mind.
            if world.below(2) == 0 {
                one.iter().for_each(|i| world.follow(*i, from, &left));
                agree(&world.peers);
            }
            (0..4).for_each(|i| world.follow(i, from, &kept));
            agree(&world.peers);
            world.peers.iter().for_each(Peer::check);
        }
    }
}
