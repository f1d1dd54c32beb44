//! Secrets of components: exported once, and gone then.

use super::*;
use crate::store::rows::{RowKey, Table};
use crate::{
    ApplyError, CommitOptions, ComponentSecret, Event, ExternalJoinOptions, ExternalJoinStage,
    LeafUpdate, Limits, Misuse, Obstacle, apply,
};
use alloc::collections::BTreeSet;
use alloc::string::String;
use conclave_crypto::Secret;

/// A component's secret, exported by a step that is written.
fn export(peer: &mut Peer, id: ComponentId) -> Secret {
    let step = peer.group.component(id).export_secret(&PROVIDER).unwrap();
    let ComponentSecret { component_id, secret } = peer.take(step);
    assert_eq!(component_id, id);
    secret
}

fn error(peer: &Peer, id: ComponentId) -> Error {
    peer.group.component(id).export_secret(&PROVIDER).unwrap_err()
}

fn exporter_rows(peer: &Peer) -> Vec<RowKey> {
    peer.rows.keys().filter(|key| key.table == Table::ExporterNode).copied().collect()
}

#[test]
fn members_export_the_same_secret_another_for_each_component_and_epoch() {
    let mut peers = alice_and_bob();
    let mut seen = Vec::new();
    for _ in 0..2 {
        for id in [POLLS, FILES, ComponentId(0)] {
            let secret = export(&mut peers[0], id);
            assert_eq!(secret.len(), 32);
            assert_eq!(export(&mut peers[1], id), secret);
            assert!(!seen.contains(&secret));
            seen.push(secret);
        }
        commits(&mut peers, 0, CommitOptions::default());
    }
}

#[test]
fn a_component_exports_once_in_an_epoch_even_after_a_restart() {
    let mut peers = alice_and_bob();
    export(&mut peers[0], POLLS);
    let consumed = Error::from(Misuse::SecretConsumed(POLLS));
    assert_eq!(error(&peers[0], POLLS), consumed);
    peers[0].reload();
    assert_eq!(error(&peers[0], POLLS), consumed);
    assert_eq!(export(&mut peers[0], FILES), export(&mut peers[1], FILES));
}

#[test]
fn no_row_holds_an_exported_secret_or_what_it_was_derived_from() {
    let mut peers = alice_and_bob();
    let content = |row: &Secret| crate::rows::content(row).unwrap().to_vec();
    let [root] = exporter_rows(&peers[0])[..] else { panic!("more than the root") };
    let root = content(&peers[0].rows[&root]);
    let secret = export(&mut peers[0], POLLS);
    assert_eq!((root.len(), secret.len()), (32, 32));
    let holds = |row: &Secret, what: &[u8]| row.expose().windows(32).any(|part| part == what);
    for row in peers[0].rows.values() {
        assert!(!holds(row, &root) && !holds(row, secret.expose()));
    }
    // The others have not exported it.
    assert!(peers[1].rows.values().any(|row| holds(row, &root)));
}

#[test]
fn an_export_that_was_not_written_can_be_made_again() {
    let mut peers = alice_and_bob();
    let peer = &mut peers[0];
    let before = peer.all_rows();
    let step = peer.group.component(POLLS).export_secret(&PROVIDER).unwrap();
    let failed = apply(&mut peer.group, step, |_| Err(NotWritten));
    assert_eq!(failed, Err(ApplyError::Write(NotWritten)));
    assert_eq!(peer.all_rows(), before);

    // A fold that is dropped undoes it, too.
    let mut fold = peer.group.fold();
    let step = fold.state().component(POLLS).export_secret(&PROVIDER).unwrap();
    fold.push(step).unwrap();
    let again = fold.state().component(POLLS).export_secret(&PROVIDER).unwrap_err();
    assert_eq!(again, Misuse::SecretConsumed(POLLS).into());
    drop(fold);
    assert_eq!(peer.all_rows(), before);
    assert_eq!(export(&mut peers[0], POLLS), export(&mut peers[1], POLLS));
}

#[test]
fn an_export_writes_few_rows_and_says_what_it_gives_out() {
    let peers = alice_and_bob();
    let step = peers[0].group.component(POLLS).export_secret(&PROVIDER).unwrap();
    // The root, 16 siblings on the way, and the leaf.
    assert_eq!(step.batch().rows.len(), 18);
    let Event::Exported(exported) = step.untyped().into_outcome() else { panic!("another event") };
    assert_eq!(exported.component_id, POLLS);
    assert_eq!(alloc::format!("{exported:?}").matches("Secret(..)").count(), 1);
}

#[test]
fn what_can_be_exported_ends_with_its_epoch() {
    for past_epochs in [0, 3] {
        let limits = Limits { past_epochs, ..Limits::default() };
        let config = Config { limits, ..Config::default() };
        let leaves = vec![with_components("alice"), with_components("bob")];
        let mut peers = group_from(leaves, vec![], &config);
        for id in [POLLS, FILES, ComponentId(7)] {
            export(&mut peers[0], id);
        }
        assert!(exporter_rows(&peers[0]).len() > 20);

        for who in [1, 0] {
            commits(&mut peers, who, CommitOptions::default());
            for peer in &mut peers {
                let [root] = exporter_rows(peer)[..] else { panic!("more than the root") };
                assert_eq!(root.epoch, peer.group.epoch().0);
                peer.reload();
            }
            assert_eq!(export(&mut peers[0], POLLS), export(&mut peers[1], POLLS));
        }
    }
}

#[test]
fn a_leaf_that_does_not_advertise_the_draft_has_nothing_to_export() {
    let mut peers = group(vec![with_components("alice"), leaf_params("bob")], vec![]);
    let none = Error::from(Misuse::NotPossible(Obstacle::NoComponentSecrets));
    assert_eq!(exporter_rows(&peers[1]), []);
    assert_eq!(error(&peers[1], POLLS), none);

    // Bob begins to advertise it, and Alice stops.
    let change = |name: &str, leaf: LeafParams| {
        let seed = name.len() as u64;
        let leaf = LeafUpdate { params: leaf, signer: signer(&mut TestRng(seed)) };
        CommitOptions { leaf: Some(leaf), ..CommitOptions::default() }
    };
    commits(&mut peers, 1, change("bob", with_components("bob")));
    assert_eq!(export(&mut peers[0], POLLS), export(&mut peers[1], POLLS));
    commits(&mut peers, 0, change("alice", leaf_params("alice")));
    assert_eq!(exporter_rows(&peers[0]), []);
    assert_eq!(error(&peers[0], POLLS), none);
    peers[0].reload();
    export(&mut peers[1], POLLS);
}

#[test]
fn a_client_that_joins_exports_what_the_others_do() {
    let mut peers = alice_and_bob();
    let carol = key_package_with(with_components("carol"), 300);
    let messages = commits(&mut peers, 0, commit_of(vec![NewProposal::Add(valid(&carol))]));
    let welcome = &messages.welcomes[0].message;
    peers.push(Peer::join(welcome, &carol, Config::default(), 300));
    let secret = export(&mut peers[0], POLLS);
    assert_eq!(export(&mut peers[2], POLLS), secret);

    let info = peers[0].group.group_info(&PROVIDER, ALL).unwrap();
    let stage = ExternalJoinStage::open(&PROVIDER, Config::default(), &info, None).unwrap();
    let verdicts = vec![Verdict::Accept; stage.credentials().len()];
    let mut rng = TestRng(17);
    let options = ExternalJoinOptions::new(with_components("dave"), signer(&mut rng));
    let joined = stage.commit(&PROVIDER, &mut rng, &verdicts, options).unwrap();
    for peer in &mut peers {
        peer.receive(&joined.commit);
    }
    let mut dave = Peer::settle(joined.group, 400);
    assert_eq!(export(&mut dave, FILES), export(&mut peers[0], FILES));
}

#[test]
fn missing_and_misplaced_rows_of_exports_are_named() {
    let mut peers = alice_and_bob();
    export(&mut peers[0], POLLS);
    let load = |rows: &Rows| -> Result<Group, String> {
        match Group::load(&PROVIDER, Config::default(), rows.clone()) {
            Ok(group) => Ok(group),
            Err(Error::Storage(what)) => Err(what.into()),
            Err(other) => panic!("{other}"),
        }
    };
    let stored = &peers[0].rows;
    let keys = exporter_rows(&peers[0]);
    assert_eq!(keys.len(), 17);

    for key in &keys {
        let mut less = stored.clone();
        less.remove(key);
        let error = load(&less).unwrap_err();
        assert!(error.contains("exporter tree of epoch 1: "), "{error}");
        assert!(error.contains("missing"), "{error}");
    }

    let mut none = stored.clone();
    none.retain(|key, _| key.table != Table::ExporterNode);
    assert_eq!(load(&none).unwrap_err(), "0 sets of ExporterNode rows, not 1");

    // The rows of the epoch before, of an export that is not in the ledger, and of no place.
    let found = try_found(with_components("alice"), vec![], Config::default()).unwrap();
    let batch = |epoch, index, content: &[u8]| {
        let mut batch = peers[0].group.batch();
        batch.put(RowKey::of_epoch(Table::ExporterNode, epoch, index), content);
        let mut rows = stored.clone();
        batch.apply_to(&mut rows);
        rows
    };
    let error = load(&batch(0, 0xffff, &[1; 32])).unwrap_err();
    assert!(error.contains("exporter tree of"), "{error}");
    let error = load(&batch(2, 0xffff, &[1; 32])).unwrap_err();
    assert_eq!(error, "exporter tree of another epoch 2");
    let root = exporter_rows(&found)[0].index;
    let error = load(&batch(1, root, &[1; 32])).unwrap_err();
    assert!(error.contains("damaged"), "{error}");
    let error = load(&batch(1, 1 << 20, &[1; 32])).unwrap_err();
    assert!(error.contains("damaged"), "{error}");
}

#[test]
fn a_group_without_the_draft_stores_no_row_and_no_flag_more() {
    let peers = group_of(&["alice", "bob"]);
    let tables: BTreeSet<Table> = peers[0].rows.keys().map(|key| key.table).collect();
    assert!(!tables.contains(&Table::ExporterNode));
    let ledger = &peers[0].rows[&RowKey::new(Table::Ledger, 0)];
    let content = crate::rows::content(ledger).unwrap();
    assert_eq!(content.last(), Some(&0));
}
