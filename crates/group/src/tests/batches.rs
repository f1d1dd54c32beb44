//! Rows and batches of changes to them.

use super::fixture::{Rows, TestRng};
use crate::store::rows::{Batch, RowKey, Table};
use rand_core::TryRng;

/// All kinds of rows. A new kind must be added here.
const TABLES: [Table; 22] = [
    Table::Header,
    Table::Tree,
    Table::PrivateKey,
    Table::SecretTreeNode,
    Table::Ratchet,
    Table::SkippedKey,
    Table::Proposal,
    Table::PastEpoch,
    Table::PastLeaf,
    Table::PendingUpdate,
    Table::PendingCommit,
    Table::ObserverHeader,
    Table::GroupInfo,
    Table::Ledger,
    Table::Policy,
    Table::ExporterNode,
    Table::AppData,
    Table::PastAppData,
    Table::TargetedKeys,
    Table::TargetedRead,
    Table::Checkpoint,
    Table::OwnRecord,
];

#[test]
fn table_numbers_lead_back_to_their_tables() {
    for (number, table) in (1..).zip(TABLES) {
        assert_eq!(table as u8, number);
        assert_eq!(Table::from_number(table as u8), Some(table));
    }
    let known = (0..=u8::MAX).filter(|n| Table::from_number(*n).is_some());
    assert_eq!(known.count(), TABLES.len());
}

fn below(rng: &mut TestRng, n: u64) -> u64 {
    rng.try_next_u64().unwrap() % n
}

fn random_batch(rng: &mut TestRng) -> Batch {
    let mut batch = Batch::new(b"a group".as_slice().into());
    batch.clear = below(rng, 10) == 0;
    batch.deleted_epochs.extend((0..3).filter(|_| below(rng, 3) == 0));
    for _ in 0..below(rng, 8) {
        let table = TABLES[below(rng, TABLES.len() as u64) as usize];
        // The kinds whose rows are deleted with an epoch.
        let of_epoch = matches!(table as u8, 4..=6 | 8..=9 | 20..=21);
        let index = [0, 1, u64::MAX][below(rng, 3) as usize];
        let key = if of_epoch {
            RowKey::of_epoch(table, below(rng, 3), index)
        } else {
            RowKey::new(table, index)
        };
        let content = [below(rng, 256) as u8; 3];
        batch.set(key, (below(rng, 3) > 0).then_some(&content));
    }
    batch
}

#[test]
fn a_merged_batch_equals_its_batches_in_sequence() {
    let mut rng = TestRng(1);
    for _ in 0..500 {
        let mut rows = Rows::new();
        (0..3).for_each(|_| random_batch(&mut rng).apply_to(&mut rows));
        let mut at_once = rows.clone();
        let mut merged = Batch::new(b"a group".as_slice().into());
        for _ in 0..1 + below(&mut rng, 4) {
            let batch = random_batch(&mut rng);
            batch.apply_to(&mut rows);
            merged.merge(batch);
        }
        merged.apply_to(&mut at_once);
        assert_eq!(rows, at_once);
    }
}

#[test]
fn a_new_group_is_still_new_in_a_merged_batch() {
    let empty = || Batch::new(b"a group".as_slice().into());
    let mut new = empty();
    new.new = true;
    new.clear = true;
    new.put(RowKey::new(Table::Header, 0), b"header");
    let mut deletion = empty();
    deletion.clear = true;

    for (first, is_new) in [(empty(), true), (deletion, false)] {
        let mut merged = first;
        merged.merge(new.clone());
        assert_eq!(merged.new, is_new);
        merged.merge(empty());
        assert_eq!(merged.new, is_new);
    }
}

#[test]
fn a_batch_counts_the_bytes_that_it_writes() {
    let mut batch = Batch::new(b"a group".as_slice().into());
    assert_eq!(batch.bytes(), 0);
    batch.put(RowKey::new(Table::Header, 0), &[1; 100]);
    let one = batch.bytes();
    assert!((100..200).contains(&one));
    batch.put(RowKey::new(Table::Proposal, 0), &[1; 300]);
    batch.delete(RowKey::new(Table::Proposal, 1));
    assert_eq!(batch.bytes(), 2 * one + 200);
}
