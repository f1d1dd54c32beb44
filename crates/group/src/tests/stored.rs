//! What a store gives back: the same group, or an error that names the row.

use super::fixture::*;
use crate::store::row_codec::count_after;
use crate::store::rows::{Batch, FORMAT, RowKey, Table, content};
use crate::{
    Answers, CommitOptions, Config, Error, Group, NewProposal, Observer, ObserverStage,
    OwnKeyPackage,
};
use alloc::string::String;
use alloc::vec::Vec;
use alloc::{format, vec};
use conclave_crypto::Secret;
use conclave_wire::LeafIndex;

/// A group whose second member has rows in every table.
fn rich_group() -> Vec<Peer> {
    let mut peers = group_of(&["alice", "bob", "carol"]);
    commits(&mut peers, 2, CommitOptions::default());
    let skipped = [peers[0].say(b"1"), peers[0].say(b"2")];
    peers[1].reads(&skipped[1]);
    commits(&mut peers, 0, CommitOptions::default());
    peers[1].propose_update(None, &Default::default());
    peers[1].commit(CommitOptions::default());
    peers
}

#[test]
fn a_group_loads_from_its_rows_as_it_was() {
    let mut peers = group_of(&["alice", "bob", "carol"]);
    let skipped = [peers[0].say(b"1"), peers[0].say(b"2")];
    peers[1].reads(&skipped[1]);
    commits(&mut peers, 0, CommitOptions::default());
    peers[1].propose_update(None, &Default::default());
    peers[1].commit(CommitOptions::default());
    let tables = (1..=14).filter_map(Table::from_number);

    for table in tables.filter(|t| !matches!(t, Table::ObserverHeader | Table::GroupInfo)) {
        assert!(peers[1].rows.keys().any(|key| key.table == table), "{table:?}");
    }

    peers[1].reload();
    assert_eq!(peers[1].reads(&skipped[0]).data, b"1");
    assert!(peers[1].group.pending_commit().is_some());
    peers[1].accepted();
}

fn error_of(rows: Rows) -> Option<String> {
    match Group::load(&PROVIDER, Config::default(), rows) {
        Err(Error::Storage(what)) => Some(what.into()),
        Err(other) => panic!("{other:?}"),
        Ok(_) => None,
    }
}

fn load_error(peer: &Peer, change: impl FnOnce(&mut Rows)) -> String {
    let mut rows = peer.rows.clone();
    change(&mut rows);
    error_of(rows).expect("an error")
}

#[test]
fn a_damaged_row_is_named() {
    let peers = rich_group();
    for (key, row) in &peers[1].rows {
        let places = (0..row.len()).filter(|n| row.len() < 64 || n % 17 == 0 || n + 6 > row.len());
        for place in places {
            let mut damaged = row.clone();
            damaged.expose_mut()[place] ^= 1;
            let error = load_error(&peers[1], |rows| drop(rows.insert(*key, damaged)));
            // If the header names another group, no row fits it, and the first of them is the
            // header.
            assert!(error.starts_with(&format!("{key}: ")), "{key} at {place}: {error}");
        }
        for length in [0, 4, 5, row.len() - 1] {
            let cut = Secret::copy_from(&row.expose()[..length]);
            let error = load_error(&peers[1], |rows| drop(rows.insert(*key, cut)));
            assert!(error.starts_with(&format!("{key}: ")), "{key} cut to {length}: {error}");
        }
    }
}

#[test]
fn a_row_of_another_group_or_place_is_named() {
    let peers = rich_group();
    let others = {
        let mut alice = Peer::found_with("alice", Config::default(), b"another group");
        alice.commit(CommitOptions { force_path: true, ..CommitOptions::default() });
        alice.accepted();
        alice
    };

    for (key, row) in others.rows.iter().filter(|(key, _)| peers[1].rows.contains_key(key)) {
        let error = load_error(&peers[1], |rows| drop(rows.insert(*key, row.clone())));
        assert!(error.contains("of another group"), "{key}: {error}");
    }
    for (key, row) in &peers[1].rows {
        let place = RowKey { index: key.index ^ 1, ..*key };
        let error = load_error(&peers[1], |rows| drop(rows.insert(place, row.clone())));
        assert!(error.starts_with(&format!("{place}: ")), "{place}: {error}");
    }
}

#[test]
fn each_missing_row_is_an_error_that_names_its_kind() {
    let peers = rich_group();
    for key in peers[1].rows.keys() {
        let error = load_error(&peers[1], |rows| drop(rows.remove(key)));
        let kind = match key.table {
            Table::SecretTreeNode | Table::Ratchet | Table::SkippedKey => {
                String::from("secret tree")
            }
            Table::Tree => String::from("ratchet tree"),
            table => format!("{table:?}"),
        };
        assert!(error.contains(&kind), "{key}: {error}");
    }
    assert!(error_of(Rows::new()).is_some_and(|error| error.contains("Header")));
}

#[test]
fn rows_of_an_unknown_format_are_not_read() {
    let peers = rich_group();
    let mut rows = peers[1].rows.clone();
    let header = rows.get_mut(&RowKey::new(Table::Header, 0)).expect("a header");
    let place = header.len() - 5;
    header.expose_mut()[place] = FORMAT + 1;
    let error = error_of(rows).expect("an error");
    assert!(error.contains("format 2"), "{error}");
}

#[test]
fn a_member_does_not_load_from_an_observers_rows() {
    let peers = rich_group();
    let stray = RowKey::new(Table::GroupInfo, 0);
    let error = load_error(&peers[1], |rows| drop(rows.insert(stray, Secret::new(vec![1; 9]))));
    assert!(error.contains("GroupInfo"), "{error}");
}

#[test]
fn a_damaged_or_missing_row_of_an_observer_is_named() {
    let mut peers = group_of(&["alice", "bob"]);
    let options = CommitOptions {
        group_info: Some(crate::GroupInfoOptions { ratchet_tree: true, external_pub: true }),
        force_path: true,
        ..CommitOptions::default()
    };
    let info = commits(&mut peers, 0, options).group_info.expect("a GroupInfo");

    let stage = ObserverStage::open(&PROVIDER, Config::default(), &info, None).expect("a group");
    let verdicts = vec![crate::Verdict::Accept; stage.credentials().len()];
    let mut observer = stage.resolve(&verdicts).expect("an observer");
    let mut rows = Rows::new();
    observer.rows().expect("rows").apply_to(&mut rows);
    let removal = peers[1].propose(NewProposal::Remove(LeafIndex(0)), &Default::default());
    let stage = observer.process(&PROVIDER, &removal).expect("a proposal");

    let step = stage.resolve(&observer, &PROVIDER, &Answers::default()).expect("a step");
    let written = crate::apply(&mut observer, step, |write| stored(&mut rows, write.batch));
    written.expect("written");
    let load = |rows: Rows| Observer::load(&PROVIDER, Config::default(), rows).map(drop);
    assert_eq!(load(rows.clone()), Ok(()));
    for key in rows.keys() {
        let mut missing = rows.clone();
        missing.remove(key);
        assert!(matches!(load(missing), Err(Error::Storage(_))), "{key}");
        let mut damaged = rows.clone();
        damaged.get_mut(key).expect("a row").expose_mut()[0] ^= 1;
        let named =
            matches!(load(damaged), Err(Error::Storage(e)) if e.contains(&format!("{key}")));
        assert!(named, "{key}");
    }
}

#[test]
fn a_damaged_or_wrong_stored_key_package_is_an_error() {
    let own = key_package("alice", 1);
    let stored = own.to_secret().expect("stored");
    assert_eq!(OwnKeyPackage::from_secret(&PROVIDER, &stored), Ok(own));

    let error = |bytes: Vec<u8>| match OwnKeyPackage::from_secret(&PROVIDER, &Secret::new(bytes)) {
        Err(Error::Storage(what)) => what,
        other => panic!("{other:?}"),
    };
    for place in 0..stored.len() {
        let mut damaged = stored.expose().to_vec();
        damaged[place] ^= 1;
        let what = error(damaged);
        assert!(what.starts_with("key package: it is damaged"), "{place}: {what}");
        let what = error(stored.expose()[..place].to_vec());
        assert!(what.starts_with("key package: "), "cut to {place}: {what}");
    }

    // A row of the same content.
    let mut batch = Batch::new(b"a group".as_slice().into());
    let key = RowKey::new(Table::PendingUpdate, 0);
    batch.put(key, content(&stored).expect("a content"));
    let row = batch.rows.remove(&key).flatten().expect("a row");
    let what = error(row.expose().to_vec());
    assert!(what.starts_with("key package: it is damaged"), "{what}");
}

#[test]
fn our_pending_commit_is_the_same_after_loading() {
    let mut peers = group_of(&["alice", "bob"]);
    let new = signer(&mut TestRng(9));
    let leaf = crate::LeafUpdate { params: leaf_params("alicia"), signer: new.clone() };
    let options = CommitOptions {
        leaf: Some(leaf),
        group_info: Some(crate::GroupInfoOptions::default()),
        ..commit_of(vec![NewProposal::Add(valid(&key_package("carol", 8)))])
    };

    let messages = peers[0].commit(options);
    assert!(messages.welcomes.len() == 1 && messages.group_info.is_some());
    peers[0].reload();
    assert_eq!(peers[0].group.pending_commit(), Some(&messages));

    peers[0].accepted();
    assert_eq!(peers[0].group.signer, new);
    peers[1].receive(&messages.commit);
    agree(&peers);
}

/// Rows of an impossible state, each of which is whole.
fn load_error_of(peer: &Peer, change: impl FnOnce(&mut Group)) -> String {
    let mut group = Group::load(&PROVIDER, Config::default(), peer.rows.clone()).expect("whole");
    change(&mut group);
    let mut rows = Rows::new();
    group.rows().expect("rows").apply_to(&mut rows);
    error_of(rows).expect("an error")
}

#[test]
fn rows_load_in_any_order_and_the_last_of_a_key_counts() {
    let mut peers = group_of(&["alice", "bob"]);
    let key = RowKey::new(Table::Header, 0);
    let stale = (key, peers[0].rows[&key].clone());
    commits(&mut peers, 1, CommitOptions::default());
    let alice = &peers[0];
    let load = |rows: Vec<(RowKey, Secret)>| {
        Group::load(&PROVIDER, Config::default(), rows).map(|group| group.rows().unwrap())
    };

    let backwards: Vec<_> = alice.rows.clone().into_iter().rev().collect();
    let state = alice.group.rows().unwrap();
    assert_eq!(load(backwards.clone()), Ok(state.clone()));

    let stale_first = [&[stale.clone(), stale.clone()], &backwards[..]].concat();
    assert_eq!(load(stale_first), Ok(state));
    let stale_last = [&backwards[..], &[stale]].concat();
    assert!(load(stale_last).is_err());
}

#[test]
fn rows_that_do_not_fit_together_are_an_error_that_says_why() {
    let mut peers = group_of(&["alice", "bob", "carol"]);
    let stale: Rows =
        peers[1].rows.clone().into_iter().filter(|(key, _)| key.table == Table::Tree).collect();
    for who in [2, 0, 2] {
        commits(&mut peers, who, CommitOptions::default());
    }

    peers[0].commit(CommitOptions::default());
    let alice = &peers[0];
    let bob = &peers[1];
    let error = load_error_of(bob, |group| group.signer = signer(&mut TestRng(9)));
    assert!(error.contains("the header's signature key"), "{error}");

    let error = load_error_of(bob, |group| {
        let key = group.private_keys.values().next().expect("a key").clone();
        group.private_keys.insert(LeafIndex(0).node(), key);
    });
    assert!(error.contains("not above our leaf"), "{error}");

    let info = alice.group.group_info(&PROVIDER, Default::default()).expect("a GroupInfo");
    let error = load_error_of(alice, |group| {
        group.pending_commit.as_mut().expect("pending").messages.commit = info;
    });
    assert!(error.contains("the pending commit is not a PublicMessage"), "{error}");

    let flag = load_error(bob, |rows| {
        let mut batch = Batch::new(b"a group".as_slice().into());
        batch.put(RowKey::new(Table::PendingUpdate, 0), &[1, 7, 2]);
        batch.apply_to(rows);
    });
    assert!(flag.contains("PendingUpdate") && flag.contains("is 2, not 0 or 1"), "{flag}");

    let error = load_error(bob, |rows| {
        let mut batch = Batch::new(b"a group".as_slice().into());
        batch.put(RowKey::new(Table::GroupInfo, 0), b"of an observer");
        batch.apply_to(rows);
    });
    assert!(error.contains("it is an observer's"), "{error}");

    // Rows of an earlier epoch: each is whole, and together they make a tree.
    let error = load_error(bob, |rows| {
        rows.retain(|key, _| key.table != Table::Tree);
        rows.extend(stale);
    });
    assert!(error.contains("ratchet tree") || error.contains("another tree hash"), "{error}");
}

#[test]
fn past_epochs_load_without_gaps_and_with_their_secret_trees() {
    let mut peers = group_of(&["alice", "bob"]);
    for _ in 0..3 {
        commits(&mut peers, 0, CommitOptions::default());
    }

    let past: Vec<u64> = peers[1].group.past.keys().map(|epoch| epoch.0).collect();
    assert_eq!(past, [1, 2, 3]);
    let error = load_error(&peers[1], |rows| rows.retain(|key, _| key.epoch != 2));
    assert!(error.contains("a past epoch before 3 is missing"), "{error}");

    let error = load_error(&peers[1], |rows| {
        let of_past = |table| matches!(table, Table::PastEpoch | Table::PastLeaf);
        rows.retain(|key, _| key.epoch != 1 || !of_past(key.table));
    });
    assert!(error.contains("secret tree of unknown epoch 1"), "{error}");
}

#[test]
fn a_secret_trees_row_of_no_kept_epoch_is_an_error() {
    let mut peers = group_of(&["alice", "bob"]);
    commits(&mut peers, 0, CommitOptions::default());

    for epoch in [0, 3, RowKey::NO_EPOCH] {
        for table in [Table::SecretTreeNode, Table::Ratchet, Table::SkippedKey] {
            let error = load_error(&peers[1], |rows| {
                let mut batch = Batch::new(b"a group".as_slice().into());
                batch.put(RowKey::of_epoch(table, epoch, 0), &[7; 40]);
                batch.apply_to(rows);
            });
            let what = format!("secret tree of unknown epoch {epoch}");
            assert!(error.contains(&what), "{table:?}: {error}");
        }
    }
}

#[test]
fn a_pending_commit_without_its_paths_secrets_is_not_applied() {
    let mut peers = group_of(&["alice", "bob"]);
    peers[0].commit(CommitOptions::default());
    peers[0].group.pending_commit.as_mut().expect("pending").path = None;
    let failed =
        peers[0].group.commit_accepted(&PROVIDER, NOW, &pending_id(&peers[0].group)).unwrap_err();
    assert!(matches!(&failed, Error::Storage(what) if what.contains("path's secrets")), "{failed}");
}

#[test]
fn row_counts_change_with_new_and_deleted_rows_alone() {
    let before = [1, 2, 3];
    let after = |changes: &[(u8, Option<()>)]| {
        let changes = changes.iter().map(|(key, change)| (key, change));
        count_after(before.len(), |key| before.contains(key), changes)
    };
    assert_eq!(after(&[]), 3);
    assert_eq!(after(&[(4, Some(())), (5, Some(()))]), 5);
    assert_eq!(after(&[(1, None), (2, None)]), 1);
    assert_eq!(after(&[(1, Some(())), (6, None)]), 3);
}
