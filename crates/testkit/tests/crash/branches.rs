//! A member that commits, goes back to a checkpoint, takes another branch, goes back once more and follows its
//! own commit. Its process dies at each of these writes in turn.

use crate::disks::{Disk, rows_of};
use crate::world::{Cut, number, put_events, put_number, write};
use conclave_group::{CommitOptions, Event, Framing, Group, Transition, apply};
use conclave_store::{Store, WriteSet};
use conclave_testkit::accepting;
use conclave_testkit::party::{NOW, Peer, group_of, pending_id};
use conclave_wire::Epoch;

const FORK: Epoch = Epoch(1);
/// The number of steps in [`next`].
const STEPS: u64 = 9;

/// Runs the member once without a crash, and with one before and after each write.
pub(crate) fn survive(disks: fn() -> Box<dyn Disk>) {
    run(disks(), STEPS, Cut::Not);
    for attempt in 0..STEPS {
        run(disks(), attempt, Cut::Before);
        run(disks(), attempt, Cut::After);
    }
}

fn sent(store: &dyn Store, place: u64) -> Vec<u8> {
    let message = store.get("outbox", &place.to_be_bytes()).expect("read");
    message.expect("sent").expose().to_vec()
}

/// The step that comes next, by what the disk says.
fn next(alice: &mut Peer, done: u64, theirs: &[u8], store: &dyn Store) -> Transition<Group, Event> {
    let Peer { group, provider, rng, .. } = alice;
    let provider = *provider;
    let follow = |group: &Group, message: &[u8]| {
        let step = accepting::process(group, provider, NOW, message, |_| Vec::new());
        step.expect("valid").expect("new")
    };
    match done {
        0 => group.checkpoint().expect("a checkpoint").untyped(),
        1 => {
            let step = group.commit(provider, rng, NOW, CommitOptions::default());
            step.expect("a commit").untyped()
        }
        2 => {
            let step = group.commit_accepted(provider, NOW, &pending_id(group));
            step.expect("a verdict").untyped()
        }
        3 | 8 => {
            let data: &[u8] = if done == 3 { b"one" } else { b"two" };
            let step = group.encrypt(provider, rng, data, &Framing::default());
            step.expect("encrypted").untyped()
        }
        4 | 6 => group.rewind(provider, FORK).expect("a checkpoint").untyped(),
        5 => follow(group, theirs),
        7 => follow(group, &sent(store, 0)),
        _ => panic!("there is no such step"),
    }
}

/// Runs the member on this disk. One write is cut.
fn run(mut disk: Box<dyn Disk>, cut_at: u64, kind: Cut) {
    let mut peers = group_of(&["alice", "bob", "carol"]);
    let theirs = peers[2].commit(CommitOptions::default()).expect("a commit").commit;
    let mut alice = peers.remove(0);
    let mut set = WriteSet::new();
    set.batch(alice.group.rows().expect("rows"));
    disk.commit(&set);

    for attempt in 0.. {
        let done = number(disk.store(), "done");
        if done == STEPS {
            break;
        }
        let cut = if attempt == cut_at { kind } else { Cut::Not };
        let step = next(&mut alice, done, &theirs, disk.store());
        let written = apply(&mut alice.group, step, |all| {
            let mut set = WriteSet::new();
            set.batch(all.batch.clone());
            put_events(disk.store(), &mut set, all.events);
            put_number(&mut set, "done", done + 1);
            write(&mut *disk, &set, cut)
        });
        if written.is_err() {
            disk.crash();
            alice.group = alice.load(&rows_of(disk.store())).expect("the disk's rows load");
        }
        assert!(alice.all_rows() == rows_of(disk.store()), "memory is not what is stored");
    }

    // Bob never goes back, so he refuses a key that he has seen.
    let bob = &mut peers[0];
    bob.receive(&sent(disk.store(), 0));
    assert_eq!(bob.group.epoch_authenticator(), alice.group.epoch_authenticator());
    assert_eq!(bob.reads(&sent(disk.store(), 1)).data, b"one");
    assert_eq!(bob.reads(&sent(disk.store(), 2)).data, b"two");
}
