//! Checkpoints, and what a group that was rewound to one can and cannot do.

extern crate std;

use super::fixture::*;
use crate::store::rows::{RowKey, Table, content};
use crate::{
    CommitOptions, Config, Error, Event, Framing, Group, LeafUpdate, Limits, Misuse, NewProposal,
    Obstacle, Received, Rejection, Status,
};
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use conclave_crypto::Secret;
use conclave_wire::{Epoch, LeafIndex, ProtocolVersion, PskType, ReInit};

const HERE: Epoch = Epoch(1);

/// Alice, Bob and Carol in epoch 1, where Alice has a checkpoint.
fn trio() -> Vec<Peer> {
    trio_with(Limits::default())
}

fn trio_with(limits: Limits) -> Vec<Peer> {
    let mut peers = group_with(&["alice", "bob", "carol"], Config { limits, ..Config::default() });
    assert_eq!(peers[0].group.epoch(), HERE);
    peers[0].checkpoint();
    peers
}

/// What differs if the same epoch is entered again: what was recorded, and how far our ratchets are.
fn without_records(peer: &Peer) -> Rows {
    let mut rows = peer.rows.clone();
    rows.retain(|key, _| !matches!(key.table, Table::OwnRecord | Table::Ledger));
    rows
}

fn authenticator(peer: &Peer) -> Vec<u8> {
    peer.group.epoch_authenticator().unwrap().expose().to_vec()
}

fn tables(peer: &Peer, table: Table) -> usize {
    peer.rows.keys().filter(|key| key.table == table).count()
}

fn epochs(peer: &Peer) -> Vec<u64> {
    peer.group.checkpoints().map(|epoch| epoch.0).collect()
}

fn no_checkpoint<T>(result: Result<T, Error>) -> bool {
    let error = result.map(|_| ()).unwrap_err();
    error == Misuse::NotPossible(Obstacle::EpochNotKept).into()
}

#[test]
fn a_rewound_group_is_as_it_was_at_the_checkpoint() {
    let mut peers = trio();
    let before = without_records(&peers[0]);
    for who in [1, 0] {
        commits(&mut peers, who, CommitOptions::default());
    }
    peers[0].propose(NewProposal::Remove(LeafIndex(2)), &Framing::default());

    peers[0].reload();
    peers[0].rewind(HERE);
    assert_eq!(without_records(&peers[0]), before);
    peers[0].reload();
    assert_eq!(without_records(&peers[0]), before);
    assert_eq!(peers[0].group.pending_proposals(), 0);
}

#[test]
fn a_branch_that_was_left_can_be_taken_again_and_again() {
    let mut peers = trio();
    let ours = peers[0].commit(CommitOptions::default());
    peers[0].accepted();
    let on_ours = authenticator(&peers[0]);
    let theirs = peers[1].commit(CommitOptions::default());
    peers[1].accepted();

    for _ in 0..3 {
        peers[0].rewind(HERE);
        assert!(!peers[0].follows(&theirs.commit).own);
        agree(&peers[..2]);

        peers[0].rewind(HERE);
        peers[0].reload();
        assert!(peers[0].follows(&ours.commit).own);
        assert_eq!(authenticator(&peers[0]), on_ours);
    }
    peers[2].follows(&ours.commit);
    let said = peers[0].say(b"on our branch");
    assert_eq!(peers[2].reads(&said).data, b"on our branch");
}

#[test]
fn our_commits_are_processed_again_from_their_messages() {
    for framing in [Framing::default(), encrypted()] {
        let mut peers = trio();
        let id = PskType::External { psk_id: b"psk".as_slice().into() };
        let psk = Secret::new(vec![9; 32]);
        let mut branch = Vec::new();
        for n in 0..3 {
            let mut options = CommitOptions { framing: framing.clone(), ..Default::default() };
            match n {
                0 => {
                    let psk_id = b"psk".as_slice().into();
                    options.proposals.push(NewProposal::ExternalPsk { psk_id });
                    options.psks.push((id.clone(), psk.clone()));
                }
                1 => {
                    let signer = signer(&mut peers[0].rng);
                    options.leaf = Some(LeafUpdate { params: leaf_params("alice"), signer });
                }
                _ => options.proposals.push(NewProposal::Remove(LeafIndex(2))),
            }
            branch.push(peers[0].commit(options).commit);
            peers[0].accepted();
        }

        let end = authenticator(&peers[0]);
        peers[0].rewind(HERE);
        for commit in &branch {
            peers[0].reload();
            assert!(peers[0].follows(commit).own);
        }
        assert_eq!(authenticator(&peers[0]), end);

        peers[1].psks.push((id, psk));
        branch.iter().for_each(|commit| drop(peers[1].follows(commit)));
        agree(&peers[..2]);
    }
}

#[test]
fn a_commit_that_was_pending_or_given_up_can_still_win() {
    let mut peers = group_of(&["alice", "bob"]);
    let given_up = peers[0].commit(CommitOptions::default());
    peers[0].checkpoint();
    peers[0].rejected();
    let pending = peers[0].commit(CommitOptions::default());
    let theirs = peers[1].commit(CommitOptions::default());
    peers[0].follows(&theirs.commit);

    for (ours, n) in [(given_up, 0), (pending, 1)] {
        peers[0].rewind(HERE);
        assert!(peers[0].group.pending_commit().is_none());
        let discarded = peers[0].commit(CommitOptions::default());
        let step = peers[0].group.commit_accepted(&PROVIDER, NOW, &ours.id).unwrap();
        let change = peers[0].take(step);
        assert!(change.own && change.discarded_own_commit, "commit {n}");
        assert!(peers[0].group.pending_commit().is_none());

        let late = peers[0].group.commit_accepted(&PROVIDER, NOW, &discarded.id);
        assert_eq!(late.err(), Some(Misuse::NoCommitPending.into()));
    }
}

#[test]
fn our_proposals_are_cached_again_from_their_messages() {
    for framing in [Framing::default(), encrypted()] {
        let mut peers = trio();
        let remove = peers[0].propose(NewProposal::Remove(LeafIndex(2)), &framing);
        let update = peers[0].propose_update(None, &framing);
        for message in [&remove, &update] {
            peers[1].caches(message);
        }
        let theirs = peers[1].commit(CommitOptions::default());
        peers[1].accepted();

        let ours = peers[0].commit(CommitOptions { received: false, ..CommitOptions::default() });
        peers[0].accepted();
        peers[0].rewind(HERE);
        let missing = rejection(peers[0].error(&theirs.commit));
        assert!(matches!(missing, Rejection::UnknownProposal(_)), "{missing:?}");

        for message in [&update, &remove] {
            let own = peers[0].group.process(&PROVIDER, NOW, message);
            assert!(matches!(own, Ok(Received::OwnProposal(_))), "{own:?}");
            peers[0].caches(message);
            peers[0].reload();
            let again = peers[0].group.process(&PROVIDER, NOW, message);
            assert!(matches!(again, Ok(Received::Known)), "{again:?}");
        }
        let change = peers[0].follows(&theirs.commit);
        assert_eq!((change.updated.len(), change.removed.len()), (1, 1));
        agree(&peers[..2]);

        peers[0].rewind(HERE);
        assert!(peers[0].follows(&ours.commit).own);
    }
}

/// Bob does not go back, so he has deleted each key that he has seen: if one were used again, he would
/// refuse the message.
#[test]
fn no_key_is_used_again_in_an_epoch_that_is_entered_again() {
    let mut peers = trio();
    let ours = peers[0].commit(CommitOptions { framing: encrypted(), ..Default::default() });
    let heard = |peers: &mut [Peer], n: u8| {
        let said = peers[0].say(&[n]);
        assert_eq!(peers[1].reads(&said).data, [n]);
        let said = peers[0].say(&[n, n]);
        assert_eq!(peers[1].reads(&said).data, [n, n]);
        let proposal = peers[0].propose(NewProposal::Remove(LeafIndex(2)), &encrypted());
        peers[1].receive(&proposal);
        let step = peers[0].group.discard_proposals().unwrap();
        peers[0].take(step);
    };

    // In the epoch of the checkpoint, which is the current one and then a past one.
    peers[0].rejected();
    for n in 0..3 {
        heard(&mut peers, n);
        peers[0].rewind(HERE);
    }
    let theirs = peers[2].commit(CommitOptions::default());
    peers[0].follows(&theirs.commit);
    peers[0].rewind(HERE);
    heard(&mut peers, 10);

    // In the epoch after it, from which we go back to the checkpoint, or two epochs on.
    peers[0].follows(&ours.commit);
    peers[1].follows(&ours.commit);
    for n in 20..23 {
        heard(&mut peers, n);
        peers[0].commit(CommitOptions { received: false, ..Default::default() });
        if n == 21 {
            peers[0].accepted();
            peers[0].say(b"in an epoch that Bob never sees");
        }
        peers[0].rewind(HERE);
        peers[0].reload();
        peers[0].follows(&ours.commit);
    }
    heard(&mut peers, 30);
}

#[test]
fn no_key_is_used_again_after_the_checkpoint_was_dropped() {
    let mut peers = trio();
    let ours = peers[0].commit(CommitOptions::default());
    peers[0].accepted();
    peers[1].follows(&ours.commit);
    let said = peers[0].say(b"before");
    peers[1].reads(&said);

    peers[0].rewind(HERE);
    let step = peers[0].group.drop_checkpoint(HERE).unwrap();
    peers[0].take(step);
    peers[0].reload();
    assert!(peers[0].follows(&ours.commit).own);
    let said = peers[0].say(b"after");
    assert_eq!(peers[1].reads(&said).data, b"after");
}

#[test]
fn what_others_sent_is_received_again() {
    let mut peers = trio();
    let said = peers[1].say(b"said");
    let commit = peers[1].commit(CommitOptions { framing: encrypted(), ..Default::default() });
    for _ in 0..2 {
        assert_eq!(peers[0].reads(&said).data, b"said");
        let again = rejection(peers[0].error(&said));
        assert!(matches!(again, Rejection::Ratchet(_)), "{again:?}");
        assert!(!peers[0].follows(&commit.commit).own);
        peers[0].rewind(HERE);
    }
}

#[test]
fn our_messages_are_known_after_a_rewind() {
    let mut peers = trio();
    let said = peers[0].say(b"ours");
    peers[0].rewind(HERE);
    assert!(matches!(peers[0].group.process(&PROVIDER, NOW, &said), Ok(Received::Known)));
}

#[test]
fn a_commit_of_ours_on_another_branch_is_refused() {
    for framing in [Framing::default(), encrypted()] {
        let mut peers = trio();
        let first = peers[0].commit(CommitOptions::default());
        peers[0].accepted();
        let options = CommitOptions { framing, ..CommitOptions::default() };
        let second = peers[0].commit(options);
        peers[0].accepted();

        peers[0].rewind(HERE);
        let theirs = peers[1].commit(CommitOptions::default());
        peers[0].follows(&theirs.commit);
        // The epoch has the number of the one that it was made in.
        let refused = peers[0].refuses(&second.commit);
        assert!(matches!(refused.error, Error::Rejected(Rejection::Framing(_))), "{refused:?}");
        let verdict = peers[0].group.commit_accepted(&PROVIDER, NOW, &second.id);
        assert_eq!(verdict.err(), Some(Misuse::NoCommitPending.into()));

        peers[0].rewind(HERE);
        peers[0].follows(&first.commit);
        peers[0].follows(&second.commit);
    }
}

#[test]
fn only_a_kept_epoch_can_be_rewound_to() {
    let mut peers = trio();
    for epoch in [Epoch(0), Epoch(2), Epoch(u64::MAX)] {
        assert!(no_checkpoint(peers[0].group.rewind(&PROVIDER, epoch)));
        assert!(no_checkpoint(peers[0].group.drop_checkpoint(epoch)));
    }
    assert!(no_checkpoint(peers[1].group.rewind(&PROVIDER, HERE)));

    let step = peers[0].group.drop_checkpoint(HERE).unwrap();
    peers[0].take(step);
    assert!(no_checkpoint(peers[0].group.rewind(&PROVIDER, HERE)));

    let none = Limits { checkpoints: 0, ..Limits::default() };
    let peers = group_with(&["alice"], Config { limits: none, ..Config::default() });
    assert!(no_checkpoint(peers[0].group.checkpoint()));
}

#[test]
fn a_rewind_drops_the_checkpoints_of_the_branch_that_it_leaves() {
    let mut peers = trio();
    for _ in 0..2 {
        commits(&mut peers, 1, CommitOptions::default());
        peers[0].checkpoint();
    }
    assert_eq!(epochs(&peers[0]), [1, 2, 3]);
    peers[0].rewind(Epoch(2));
    assert_eq!(epochs(&peers[0]), [1, 2]);
    peers[0].reload();
    assert_eq!(epochs(&peers[0]), [1, 2]);
    peers[0].rewind(HERE);
    assert_eq!(epochs(&peers[0]), [1]);
}

#[test]
fn the_oldest_checkpoints_are_dropped_over_the_limit() {
    let mut peers = trio_with(Limits { checkpoints: 2, ..Limits::default() });
    for epoch in 2..5 {
        commits(&mut peers, 0, CommitOptions::default());
        peers[0].checkpoint();
        peers[0].checkpoint();
        assert_eq!(epochs(&peers[0]), [epoch - 1, epoch]);
        assert_eq!(tables(&peers[0], Table::Checkpoint), 2);
        // Our commit of the older one's epoch.
        assert_eq!(tables(&peers[0], Table::OwnRecord), 1);
    }
}

#[test]
fn the_oldest_checkpoint_is_dropped_with_one_record_too_many() {
    let mut peers = trio_with(Limits { checkpoint_records: 3, ..Limits::default() });
    for _ in 0..2 {
        commits(&mut peers, 0, CommitOptions::default());
    }
    peers[0].checkpoint();
    peers[0].propose(NewProposal::Remove(LeafIndex(2)), &Framing::default());
    assert_eq!(epochs(&peers[0]), [1, 3]);

    peers[0].commit(CommitOptions::default());
    assert_eq!(epochs(&peers[0]), [3]);
    assert_eq!(tables(&peers[0], Table::OwnRecord), 2);
    peers[0].reload();

    // Nothing can bring back the epochs before it, and no record of them is left.
    assert!(no_checkpoint(peers[0].group.rewind(&PROVIDER, HERE)));
    peers[0].rewind(Epoch(3));
}

#[test]
fn records_for_a_branch_ahead_outlive_a_checkpoint_over_the_limit() {
    let mut peers = trio_with(Limits { checkpoint_records: 2, ..Limits::default() });
    let ours = peers[0].commit(CommitOptions::default());
    peers[0].accepted();
    peers[1].follows(&ours.commit);
    let said = peers[0].say(b"before");
    peers[1].reads(&said);

    // Going back records the generations of epoch 2; one record more, and the checkpoint goes.
    peers[0].rewind(HERE);
    peers[0].commit(CommitOptions::default());
    assert!(epochs(&peers[0]).is_empty());
    peers[0].follows(&ours.commit);
    let said = peers[0].say(b"after");
    assert_eq!(peers[1].reads(&said).data, b"after");
}

#[test]
fn nothing_is_left_of_checkpoints_that_are_dropped() {
    let mut peers = group_of(&["alice", "bob"]);
    let ledger = RowKey::new(Table::Ledger, 0);
    let before = content(&peers[0].rows[&ledger]).unwrap().len();
    peers[0].checkpoint();
    assert!(content(&peers[0].rows[&ledger]).unwrap().len() > before);
    peers[0].propose(NewProposal::Remove(LeafIndex(1)), &Framing::default());
    commits(&mut peers, 0, CommitOptions { received: false, ..CommitOptions::default() });

    let step = peers[0].group.drop_checkpoint(HERE).unwrap();
    peers[0].take(step);
    for table in [Table::Checkpoint, Table::OwnRecord] {
        assert_eq!(tables(&peers[0], table), 0, "{table:?}");
    }
    assert_eq!(content(&peers[0].rows[&ledger]).unwrap().len(), before);
    // Without a checkpoint nothing is recorded.
    commits(&mut peers, 0, CommitOptions::default());
    assert_eq!(tables(&peers[0], Table::OwnRecord), 0);
}

/// Bytes of the group's rows, and of its checkpoint's.
fn sizes(members: usize) -> (usize, usize) {
    let names: Vec<String> = (0..members).map(|n| alloc::format!("member {n}")).collect();
    let mut peers = group_of(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let alice = &mut peers[0];
    let rows = alice.rows.values().map(Secret::len).sum();
    let step = alice.group.checkpoint().unwrap();
    let written = step.batch().rows.iter().filter(|(key, _)| key.table == Table::Checkpoint);
    let copy = written.filter_map(|(_, row)| row.as_ref()).map(Secret::len).sum();
    (rows, copy)
}

#[test]
fn a_checkpoint_is_about_as_large_as_the_group() {
    for members in [2, 30] {
        let (rows, copy) = sizes(members);
        assert!(copy < rows + rows / 3, "{members} members: {copy} bytes for {rows}");
    }
}

#[test]
#[ignore = "prints what a checkpoint costs in larger groups"]
fn the_cost_of_a_checkpoint() {
    for members in [2, 10, 100, 1000] {
        let (rows, copy) = sizes(members);
        std::println!("{members} members: {rows} bytes of rows, a checkpoint of {copy}");
    }
}

#[test]
fn past_epochs_before_the_checkpoint_stay_as_they_are() {
    let mut peers = group_of(&["alice", "bob"]);
    let [read, unread] = [b"read", b"late"].map(|data| peers[1].say(data));
    commits(&mut peers, 1, CommitOptions::default());
    peers[0].checkpoint();
    peers[0].reads(&read);
    let theirs = commits(&mut peers, 1, CommitOptions::default());

    peers[0].rewind(Epoch(2));
    let gone = rejection(peers[0].error(&read));
    assert!(matches!(gone, Rejection::Ratchet(_)), "{gone:?}");
    assert_eq!(peers[0].reads(&unread).data, b"late");
    peers[0].follows(&theirs.commit);

    // One that has expired does not come back, nor does the copy hold it.
    let step = peers[0].group.expire_past_epochs(conclave_wire::UnixTime::MAX).unwrap();
    peers[0].take(step);
    peers[0].rewind(Epoch(2));
    assert_eq!(tables(&peers[0], Table::PastEpoch), 0);
}

#[test]
fn a_closed_group_is_open_again_in_its_earlier_epochs() {
    let mut peers = trio();
    let reinit = ReInit {
        group_id: b"next".as_slice().into(),
        version: ProtocolVersion::MLS_1_0,
        cipher_suite: SUITE,
        extensions: Vec::new(),
    };
    let close = commits(&mut peers, 1, commit_of(vec![NewProposal::ReInit(reinit)]));
    assert_eq!(peers[0].group.status(), Status::Reinitialized);
    assert_eq!(peers[0].group.checkpoint().err(), Some(Misuse::Reinitialized.into()));

    peers[0].rewind(HERE);
    assert_eq!(peers[0].group.status(), Status::Active);
    peers[0].follows(&close.commit);
    assert_eq!(peers[0].group.status(), Status::Reinitialized);
}

#[test]
fn a_deleted_group_has_no_checkpoints() {
    let mut peers = trio();
    peers[0].commit(CommitOptions::default());
    let step = peers[0].group.delete().unwrap();
    peers[0].take(step);
    assert!(peers[0].rows.is_empty());
    assert_eq!(epochs(&peers[0]), []);
    let deleted = Some(Misuse::Deleted.into());
    assert_eq!(peers[0].group.rewind(&PROVIDER, HERE).err(), deleted);
    assert_eq!(peers[0].group.drop_checkpoint(HERE).err(), deleted);
    assert_eq!(peers[0].group.checkpoint().err(), deleted);
}

#[test]
fn a_fold_goes_back_and_on_in_one_write_or_not_at_all() {
    let mut peers = trio();
    let ours = peers[0].commit(CommitOptions::default());
    peers[0].accepted();
    let theirs = peers[1].commit(CommitOptions::default());
    peers[1].accepted();
    let before = peers[0].all_rows();

    for succeeds in [false, true] {
        let Peer { group, rows, .. } = &mut peers[0];
        let mut fold = group.fold();
        let step = fold.state().rewind(&PROVIDER, HERE).unwrap();
        fold.push(step).unwrap();
        let Ok(Received::Commit(stage)) = fold.state().process(&PROVIDER, NOW, &theirs.commit)
        else {
            panic!("no commit")
        };
        let answers = crate::Answers::default();
        let step = stage.resolve(fold.state(), &PROVIDER, NOW, &answers).unwrap();
        fold.push(step).unwrap();

        if succeeds {
            let events = fold.commit(|write| stored(rows, write.batch)).unwrap();
            assert!(matches!(events[..], [Event::Rewound(HERE), Event::Epoch(_)]), "{events:?}");
        } else {
            fold.commit(|_| Err(NotWritten)).unwrap_err();
            assert_eq!(peers[0].all_rows(), before);
        }
    }
    peers[0].check();
    peers[0].reload();
    agree(&peers[..2]);
    peers[0].rewind(HERE);
    peers[0].follows(&ours.commit);
}

/// A row with the checksum that its content should have.
fn row_of(peer: &Peer, key: RowKey, bytes: &[u8]) -> Secret {
    let mut batch = peer.group.batch();
    batch.put(key, bytes);
    batch.rows[&key].clone().unwrap()
}

fn load_error(peer: &Peer, change: impl FnOnce(&mut Rows)) -> String {
    let mut rows = peer.rows.clone();
    change(&mut rows);
    match Group::load(&PROVIDER, Config::default(), rows) {
        Err(Error::Storage(what)) => what.into(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_row_of_a_checkpoint_that_is_missing_or_damaged_is_named() {
    let mut peers = trio();
    peers[0].propose_update(None, &encrypted());
    peers[0].commit(CommitOptions { received: false, ..CommitOptions::default() });
    peers[0].accepted();

    let of_checkpoints = |key: &&RowKey| matches!(key.table, Table::Checkpoint | Table::OwnRecord);
    let keys: Vec<RowKey> = peers[0].rows.keys().filter(of_checkpoints).copied().collect();
    assert_eq!(keys.len(), 1 + 3, "a copy, a proposal, a commit, generations");
    for key in keys {
        let missing = load_error(&peers[0], |rows| drop(rows.remove(&key)));
        assert!(missing.contains(&alloc::format!("{:?}", key.table)), "{key}: {missing}");

        // Cut short, or with a byte more.
        let whole = content(&peers[0].rows[&key]).unwrap().to_vec();
        let longer = [&whole[..], &[0]].concat();
        for length in [0, 1, 9, whole.len() / 2, whole.len() - 1, longer.len()] {
            // An empty copy is found out when it is used.
            if length == 0 && key.table == Table::Checkpoint {
                continue;
            }
            let row = row_of(&peers[0], key, &longer[..length]);
            let error = load_error(&peers[0], |rows| drop(rows.insert(key, row)));
            assert!(error.starts_with(&alloc::format!("{key}: ")), "{key} to {length}: {error}");
        }
    }
}

#[test]
fn a_checkpoint_that_does_not_fit_is_not_rewound_to() {
    let mut peers = trio();
    commits(&mut peers, 1, CommitOptions::default());
    let key = RowKey::new(Table::Checkpoint, HERE.0);
    let whole = content(&peers[0].rows[&key]).unwrap().to_vec();

    let place = RowKey::new(Table::Checkpoint, 3);
    let row = row_of(&peers[0], place, &whole);
    let error = load_error(&peers[0], |rows| drop(rows.insert(place, row)));
    assert!(error.contains("later epoch"), "{error}");

    for (place, copy) in [(RowKey::new(Table::Checkpoint, 0), &whole[..]), (key, &[])] {
        let mut rows = peers[0].rows.clone();
        rows.remove(&key);
        rows.insert(place, row_of(&peers[0], place, copy));
        let group = Group::load(&PROVIDER, Config::default(), rows).unwrap();
        let error = group.rewind(&PROVIDER, Epoch(place.index)).unwrap_err();
        assert!(matches!(error, Error::Storage(_)), "{error:?}");
    }
}
